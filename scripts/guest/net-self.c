// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: net-self INTERFACE [FRAMES BYTES]
 *
 * Send broadcasts through a NIC whose other end sends them back, one after the
 * other, and see that each comes as it went: 64 of many lengths, or FRAMES of
 * BYTES each.
 */
#include <arpa/inet.h>
#include <err.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define TYPE	0x88b5		/* for experiments, IEEE 802 */
#define FRAMES	64
#define SECONDS	10

static void make(unsigned char *frame, size_t len, unsigned int number)
{
	memset(frame, 0xff, ETH_ALEN);
	memcpy(frame + ETH_ALEN, "\x02self", ETH_ALEN);
	frame[12] = TYPE >> 8;
	frame[13] = TYPE & 0xff;
	for (size_t i = ETH_HLEN; i < len; i++)
		frame[i] = i * 31 + number * 7 + 1;
}

int main(int argc, char **argv)
{
	struct timeval limit = { .tv_sec = SECONDS };
	struct sockaddr_ll from = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(TYPE),
	};
	unsigned char out[2048], in[2048];
	unsigned long frames = FRAMES, bytes = 0;
	int fd;

	if (argc == 4) {
		frames = strtoul(argv[2], NULL, 0);
		bytes = strtoul(argv[3], NULL, 0);
	}
	if ((argc != 2 && argc != 4) || !frames || bytes > sizeof(out) ||
	    (argc == 4 && bytes < ETH_ZLEN))
		errx(2, "usage: net-self INTERFACE [FRAMES BYTES]");
	from.sll_ifindex = if_nametoindex(argv[1]);
	if (!from.sll_ifindex)
		err(1, "%s", argv[1]);
	fd = socket(AF_PACKET, SOCK_RAW, htons(TYPE));
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
		err(1, "socket");
	for (unsigned int n = 0; n < frames; n++) {
		size_t len = bytes ?: 60 + n * 22 % 1400;
		ssize_t got;

		make(out, len, n);
		if (send(fd, out, len, 0) != (ssize_t)len)
			err(1, "frame %u: send", n);
		do {
			socklen_t size = sizeof(from);

			got = recvfrom(fd, in, sizeof(in), 0, (struct sockaddr *)&from,
				       &size);
			if (got < 0)
				err(1, "frame %u does not come back", n);
		} while (from.sll_pkttype == PACKET_OUTGOING);
		if (got != (ssize_t)len || memcmp(in, out, len))
			errx(1, "frame %u comes back changed", n);
	}
	printf("%lu frames sent and received\n", frames);
	return 0;
}

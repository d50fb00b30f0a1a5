// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: net-bench stream|rr MILLISECONDS | net-bench send BYTES COUNT
 *
 *   stream	one TCP connection between the two NICs that the host has
 *		connected, sends of 64 KiB
 *   rr		one byte there and one back, over and over
 *   send	COUNT packets into the NIC whose MAC address ends in 02:01; above
 *		1514 bytes each is TCP data that the device is to cut (TSO); up to
 *		65535 bytes the kernel leaves that to it
 *
 * Both ends of the first two are in namespaces of their own.  What was seen:
 * "bench: time CELL operations=N bytes=N seconds=S".
 */
#include <arpa/inet.h>
#include <err.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vtest.h"
#include "vtest_net.h"

#define CHUNK		65536
#define SEND_MAC	"52:54:00:00:02:01"
#define MSS		1448

static void wrong_usage(void)
{
	errx(2, "usage: stream|rr MILLISECONDS or send BYTES COUNT");
}

/* The far end: takes what comes, or sends each byte back. */
static pid_t far_end(int fd, int stream)
{
	static char buf[CHUNK];
	pid_t pid = fork();
	ssize_t n;

	if (pid < 0)
		err(1, "fork");
	if (pid)
		return pid;
	while ((n = recv(fd, buf, stream ? sizeof(buf) : 1, 0)) > 0)
		if (!stream && send(fd, buf, 1, MSG_NOSIGNAL) != 1)
			break;
	_exit(0);
}

static void run(const struct vt_pair *pair, int stream, double seconds)
{
	static char buf[CHUNK];
	unsigned long operations = 0, bytes = 0;
	double begin, elapsed;
	int fd[2], one = 1;
	pid_t pid;

	if (vt_net_tcp(pair, fd))
		errx(1, "%s", vt_error);
	if (setsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
	    setsockopt(fd[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		err(1, "TCP_NODELAY");
	pid = far_end(fd[1], stream);
	close(fd[1]);

	begin = vt_now();
	do {
		ssize_t n = send(fd[0], buf, stream ? CHUNK : 1, MSG_NOSIGNAL);

		if (n <= 0 || (!stream && recv(fd[0], buf, 1, 0) != 1))
			err(1, "%s", stream ? "send" : "request");
		operations++;
		bytes += n;
		elapsed = vt_now() - begin;
	} while (elapsed < seconds);
	/* What is under way counts with the time that it takes. */
	shutdown(fd[0], SHUT_WR);
	if (waitpid(pid, NULL, 0) != pid)
		err(1, "waitpid");
	if (stream)
		elapsed = vt_now() - begin;
	close(fd[0]);
	printf("bench: time %s operations=%lu bytes=%lu seconds=%.6f\n",
	       stream ? "stream" : "rr", operations, bytes, elapsed);
	fflush(stdout);
}

static void find_send_nic(struct ifreq *ifr)
{
	struct if_nameindex *all = if_nameindex(), *nic;
	char path[64], mac[32];

	for (nic = all; nic && nic->if_index; nic++) {
		snprintf(path, sizeof(path), "/sys/class/net/%s/address",
			 nic->if_name);
		if (!vt_read_line(path, mac, sizeof(mac)) &&
		    !strcmp(mac, SEND_MAC))
			break;
	}
	if (!nic || !nic->if_index)
		errx(1, "no NIC " SEND_MAC);
	memset(ifr, 0, sizeof(*ifr));
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", nic->if_name);
	if_freenameindex(all);
}

/* Ethernet, IPv4 and TCP headers of a segment of len bytes in all. */
static void make_frame(char *frame, size_t len)
{
	struct ether_header *eth = (struct ether_header *)frame;
	struct iphdr *ip = (struct iphdr *)(eth + 1);
	struct tcphdr *tcp = (struct tcphdr *)(ip + 1);

	memcpy(eth->ether_dhost, "\x02vring", ETH_ALEN);
	memcpy(eth->ether_shost, "\x52\x54\0\0\x02\x01", ETH_ALEN);
	eth->ether_type = htons(ETHERTYPE_IP);
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->protocol = IPPROTO_TCP;
	ip->tot_len = htons(len - sizeof(*eth));
	ip->saddr = htonl(0x0a020001);
	ip->daddr = htonl(0x0a020002);
	tcp->source = htons(9);
	tcp->dest = htons(9);
	tcp->doff = 5;
	tcp->ack = 1;
}

static void send_packets(size_t len, unsigned long count)
{
	const size_t headers = sizeof(struct ether_header) +
			       sizeof(struct iphdr) + sizeof(struct tcphdr);
	struct virtio_net_hdr *hdr;
	struct sockaddr_ll sll = { .sll_family = AF_PACKET };
	int fd, one = 1, queued;
	size_t size = sizeof(*hdr) + len;
	char *packet = calloc(1, size);
	struct ifreq ifr;

	if (!packet || len < headers || len > headers + 65535 - 40)
		errx(2, "no packet of %zu bytes", len);
	find_send_nic(&ifr);
	fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	if (fd < 0 || ioctl(fd, SIOCGIFINDEX, &ifr))
		err(1, "packet socket");
	sll.sll_ifindex = ifr.ifr_ifindex;
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&sll, sizeof(sll)))
		err(1, "%s", ifr.ifr_name);

	hdr = (struct virtio_net_hdr *)packet;
	make_frame(packet + sizeof(*hdr), len);
	if (len > ETH_FRAME_LEN) {
		hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		hdr->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		hdr->hdr_len = headers;
		hdr->gso_size = MSS;
		hdr->csum_start = headers - sizeof(struct tcphdr);
		hdr->csum_offset = offsetof(struct tcphdr, check);
	}
	while (count--)
		if (send(fd, packet, size, 0) != (ssize_t)size)
			err(1, "sending %zu bytes", len);
	/* The device has had all of them when nothing is left of them here. */
	for (int tries = 0; tries < 2000; tries++) {
		if (ioctl(fd, SIOCOUTQ, &queued))
			err(1, "SIOCOUTQ");
		if (!queued)
			break;
		usleep(1000);
	}
}

int main(int argc, char **argv)
{
	struct vt_pair pair;

	if (argc == 4 && !strcmp(argv[1], "send")) {
		send_packets(strtoul(argv[2], NULL, 0),
			     strtoul(argv[3], NULL, 0));
		return 0;
	}
	if (argc != 3 || (strcmp(argv[1], "stream") && strcmp(argv[1], "rr")))
		wrong_usage();
	if (vt_net_find(&pair, 1) != 1)
		errx(1, "no NICs 52:54:00:00:K:01 and 52:54:00:00:K:02");
	atexit(vt_net_leave);
	if (vt_net_enter(&pair, 1))
		errx(1, "%s", vt_error);
	run(&pair, !strcmp(argv[1], "stream"), atoi(argv[2]) / 1e3);
	return 0;
}

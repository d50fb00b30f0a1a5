// SPDX-License-Identifier: GPL-2.0
/*
 * Data sent through one virtio NIC arrives at the NIC that the host has
 * connected to it, in both directions at once: frames, datagrams and streams,
 * small and large.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "vtest.h"
#include "vtest_net.h"

#define ETHERTYPE	0x88b5		/* for local experiments */
#define DEFAULT_MTU	1500

static struct vt_pair pairs[VT_MAX_PAIRS];
static int pair_count;
static char setup_error[sizeof(vt_error)];

FIXTURE(net)
{
};

FIXTURE_SETUP(net)
{
	if (!pair_count)
		SKIP(return, "no NICs 52:54:00:00:K:01 and 52:54:00:00:K:02");
	ASSERT_STREQ("", setup_error);
}

FIXTURE_TEARDOWN(net)
{
}

#define CHECK_PAIR(pair, step)						\
	do {								\
		const struct vt_pair *_pair = (pair);			\
									\
		vt_error[0] = '\0';					\
		ASSERT_EQ(0, step) {					\
			TH_LOG("pair %u (%s, %s): %s", _pair->number,	\
			       _pair->nic[0].virtio,			\
			       _pair->nic[1].virtio, vt_error);		\
		}							\
	} while (0)

static int frame_socket(const struct vt_pair *pair, int side)
{
	struct sockaddr_ll sll = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETHERTYPE),
		.sll_ifindex = pair->nic[side].ifindex,
	};
	struct timeval limit = { .tv_sec = 2 };
	int fd;

	fd = vt_net_socket(side, AF_PACKET, SOCK_RAW, htons(ETHERTYPE));
	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&sll, sizeof(sll)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit))) {
		vt_fail("packet socket: %s", strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * One frame there.  No protocol protects it: every byte is looked at here, and
 * nobody sends it again.
 */
static int send_one(const int fd[2], int from, size_t len, __u64 seed)
{
	static __u8 out[DEFAULT_MTU + ETH_HLEN], in[DEFAULT_MTU + ETH_HLEN];
	struct ether_header *header = (struct ether_header *)out;
	ssize_t n;

	memset(header->ether_dhost, 0xff, ETH_ALEN);
	memcpy(header->ether_shost, "\x02vtest", ETH_ALEN);
	header->ether_type = htons(ETHERTYPE);
	vt_fill(out + ETH_HLEN, len - ETH_HLEN, seed, len);
	if (send(fd[from], out, len, 0) != (ssize_t)len)
		return vt_fail("sending a frame of %zu bytes: %s", len,
			       strerror(errno));
	memset(in, 0, sizeof(in));
	n = recv(fd[!from], in, sizeof(in), 0);
	/* The host may pad what is shorter than Ethernet allows. */
	if (n < (ssize_t)len || (n > (ssize_t)len && n > ETH_ZLEN))
		return vt_fail("a frame of %zu bytes arrived as %zd: %s", len,
			       n, n < 0 ? strerror(errno) : "wrong length");
	if (memcmp(in, out, ETH_HLEN))
		return vt_fail("header of a frame of %zu bytes differs", len);
	return vt_check(in + ETH_HLEN, len - ETH_HLEN, seed, len);
}

static int frames(const struct vt_pair *pair)
{
	/* 1..: each length below a cache line matters; above, a sample. */
	unsigned int step = 100 / vt_scale(100) + 1;
	int fd[2], ret = 0;

	for (int side = 0; side < 2; side++) {
		fd[side] = frame_socket(pair, side);
		if (fd[side] < 0)
			return -1;
	}
	for (size_t len = ETH_HLEN + 1; !ret && len < 128; len++)
		ret = send_one(fd, len % 2, len, pair->number);
	for (size_t len = 128; !ret && len <= DEFAULT_MTU + ETH_HLEN;
	     len += 17 * step)
		ret = send_one(fd, len % 2, len, pair->number);
	for (int side = 0; !ret && side < 2; side++)
		ret = send_one(fd, side, DEFAULT_MTU + ETH_HLEN, 7);
	close(fd[0]);
	close(fd[1]);
	return ret;
}

TEST_F_TIMEOUT(net, ethernet_frames_of_every_size_arrive_unchanged, VT_TIMEOUT)
{
	for (struct vt_pair *pair = pairs; pair < pairs + pair_count; pair++)
		CHECK_PAIR(pair, frames(pair));
}

#define BURST		32

/*
 * A burst of datagrams there, all of them answered.  What is lost is sent
 * again, for UDP may lose; what arrives must be right.
 */
static int burst(const int fd[2], int from, const size_t *lengths, __u64 seed)
{
	struct timeval limit = { .tv_sec = 2 };
	static __u8 buf[65536];
	bool arrived[BURST] = { false };
	int missing = BURST;

	if (setsockopt(fd[!from], SOL_SOCKET, SO_RCVTIMEO, &limit,
		       sizeof(limit)))
		return vt_fail("setsockopt: %s", strerror(errno));
	for (int turn = 0; missing && turn < 5; turn++) {
		int sent = 0;

		for (int i = 0; i < BURST; i++) {
			if (arrived[i])
				continue;
			buf[0] = i;
			vt_fill(buf + 1, lengths[i] - 1, seed, i << 20);
			if (send(fd[from], buf, lengths[i], 0) !=
			    (ssize_t)lengths[i])
				return vt_fail("sending %zu bytes: %s",
					       lengths[i], strerror(errno));
			sent++;
		}
		while (sent--) {
			ssize_t n = recv(fd[!from], buf, sizeof(buf), 0);
			int i = buf[0];

			if (n < 0)
				break;
			if (i >= BURST || n != (ssize_t)lengths[i])
				return vt_fail("datagram %d arrived with %zd bytes",
					       i, n);
			if (vt_check(buf + 1, n - 1, seed, i << 20))
				return -1;
			missing -= !arrived[i];
			arrived[i] = true;
		}
	}
	if (missing)
		return vt_fail("%d of %d datagrams never arrived", missing,
			       BURST);
	return 0;
}

static int datagrams(const struct vt_pair *pair)
{
	int fd[2], ret, rounds = vt_scale(16);
	size_t lengths[BURST];

	if (vt_net_udp(pair, fd))
		return -1;
	ret = 0;
	for (int round = 0; !ret && round < rounds; round++) {
		__u64 seed = vt_mix(pair->number << 16 | round);

		for (int i = 0; i < BURST; i++) {
			/* Small ones, full ones, and ones in fragments. */
			size_t most = i % 8 == 7 ? 16384 : i % 2 ? 1472 : 64;

			lengths[i] = 1 + vt_mix(seed + i) % most;
		}
		ret = burst(fd, round % 2, lengths, seed);
	}
	/* The largest there is. */
	for (int i = 0; i < BURST; i++)
		lengths[i] = i ? 1 : 65507;
	if (!ret)
		ret = burst(fd, 0, lengths, 1);
	if (!ret)
		ret = burst(fd, 1, lengths, 2);
	close(fd[0]);
	close(fd[1]);
	return ret;
}

TEST_F_TIMEOUT(net, datagrams_arrive_unchanged_both_ways, VT_TIMEOUT)
{
	for (struct vt_pair *pair = pairs; pair < pairs + pair_count; pair++)
		CHECK_PAIR(pair, datagrams(pair));
}

/* Without Nagle's algorithm each write is a packet of its own. */
TEST_F_TIMEOUT(net, a_stream_of_small_packets_arrives_unchanged, VT_TIMEOUT)
{
	for (struct vt_pair *pair = pairs; pair < pairs + pair_count; pair++)
		CHECK_PAIR(pair, vt_net_streams(pair, 1, vt_scale(64) * VT_KIB,
						173, NULL, NULL));
}

TEST_F_TIMEOUT(net, streams_of_large_sends_arrive_unchanged_both_ways,
	       VT_TIMEOUT)
{
	for (struct vt_pair *pair = pairs; pair < pairs + pair_count; pair++)
		CHECK_PAIR(pair, vt_net_streams(pair, 1,
						vt_scale(2048) * VT_KIB,
						256 * VT_KIB, NULL, NULL));
}

TEST_F_TIMEOUT(net, eight_streams_at_once_arrive_unchanged, VT_TIMEOUT)
{
	for (struct vt_pair *pair = pairs; pair < pairs + pair_count; pair++)
		CHECK_PAIR(pair, vt_net_streams(pair, 8, vt_scale(128) * VT_KIB,
						16 * VT_KIB, NULL, NULL));
}

static int set_mtu(const struct vt_pair *pair, int mtu)
{
	for (int side = 0; side < 2; side++)
		if (vt_net_set_mtu(side, &pair->nic[side], mtu))
			return -1;
	return 0;
}

static int mtus(const struct vt_pair *pair)
{
	static const int sizes[] = { 576, 1280, 4000, 9000, 65535 };
	bool large = vt_nic_has(&pair->nic[0], VT_NET_F_MRG_RXBUF) &&
		     vt_nic_has(&pair->nic[1], VT_NET_F_MRG_RXBUF);
	int ret = 0;

	for (size_t i = 0; !ret && i < VT_ARRAY_SIZE(sizes); i++) {
		/* One buffer is a frame of the MTU that the driver began with. */
		if (sizes[i] > DEFAULT_MTU && !large)
			continue;
		ret = set_mtu(pair, sizes[i]);
		if (!ret)
			ret = vt_net_streams(pair, 1, vt_scale(256) * VT_KIB,
					     64 * VT_KIB, NULL, NULL);
		if (!ret)
			ret = datagrams(pair);
	}
	return set_mtu(pair, DEFAULT_MTU) ?: ret;
}

TEST_F_TIMEOUT(net, data_arrives_unchanged_with_every_mtu, VT_TIMEOUT)
{
	for (struct vt_pair *pair = pairs; pair < pairs + pair_count; pair++)
		CHECK_PAIR(pair, mtus(pair));
}

/* Buffers that the device held when the NIC went down come back and go again. */
static int down_and_up(const struct vt_pair *pair)
{
	int rounds = vt_scale(10), ret = 0;

	for (int i = 0; !ret && i < rounds; i++) {
		int side = i % 2;

		ret = vt_net_set_up(side, &pair->nic[side], false);
		if (!ret)
			ret = vt_net_set_up(side, &pair->nic[side], true);
		if (!ret)
			ret = vt_net_streams(pair, 1, 32 * VT_KIB, 4 * VT_KIB,
					     NULL, NULL);
	}
	return ret;
}

TEST_F_TIMEOUT(net, data_arrives_after_the_nic_was_down, VT_TIMEOUT)
{
	for (struct vt_pair *pair = pairs; pair < pairs + pair_count; pair++)
		CHECK_PAIR(pair, down_and_up(pair));
}

/* The last one: TCP would have hidden what was damaged by sending it again. */
TEST_F(net, no_packet_of_these_tests_had_a_wrong_checksum)
{
	for (int side = 0; side < 2; side++) {
		unsigned long errors;

		ASSERT_EQ(0, vt_net_checksum_errors(side, &errors)) {
			TH_LOG("%s", vt_error);
		}
		EXPECT_EQ(0UL, errors);
	}
}

int main(int argc, char **argv)
{
	pair_count = vt_net_find(pairs, VT_MAX_PAIRS);
	atexit(vt_net_leave);
	if (pair_count && vt_net_enter(pairs, pair_count))
		memcpy(setup_error, vt_error, sizeof(setup_error));
	return test_harness_run(argc, argv);
}

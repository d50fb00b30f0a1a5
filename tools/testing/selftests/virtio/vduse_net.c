// SPDX-License-Identifier: GPL-2.0
/*
 * A NIC whose back end is this process, driven by virtio-net through
 * virtio-vdpa.  The back end sends every frame back.  virtio-net detaches its
 * requests when it is removed, so here the device breaks the rules with
 * requests in flight.  The queue must break with one message, and the device
 * must be removable.
 *
 * VDUSE takes locks in its DMA operations and for notifications.  They are not
 * safe in softirqs, from which a network driver calls them.  The driver
 * therefore polls in threads of its own, and gets frames without a queueing
 * discipline.  The watchdog of each interface still runs in a softirq, so
 * lockdep is switched off.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <dirent.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "vtest.h"
#include "vtest_hostile.h"

#define NAME		"vtnet"
#define PROVE_LOCKING	"/proc/sys/kernel/prove_locking"
#define PROTOCOL	0x88b5	/* for experiments, IEEE 802 */
#define HEADER		sizeof(struct virtio_net_hdr_v1)
#define FRAME_MAX	1514
#define ROOM		4096
#define RX		0
#define TX		1

static struct virtio_net_config config = {
	.mac = { 0x52, 0x54, 0x00, 0x76, 0x64, 0x01 },
	.status = VIRTIO_NET_S_LINK_UP,
};

static struct vd_dev dev = {
	.name = NAME,
	.driver = "virtio_net",
	.queue_name = { [RX] = "input.0", [TX] = "output.0" },
	.type = VIRTIO_ID_NET,
	.num = 64,
	.queues = 2,
	.config = &config,
	.config_size = sizeof(config),
	.bounce_size = 4 * VT_MIB,
};

static struct vd_queue *rx = &dev.queue[RX], *tx = &dev.queue[TX];

/* What the device does with a buffer that holds a frame and is to be returned. */
static void (*twist)(struct vd_queue *queue, struct vd_chain *chain, __u32 *len);
/* What the device's memory had when the buffer was returned, and how much. */
static __u8 shown[ROOM];
static __u32 shown_len;
static __u64 seed;

/* --- the back end --- */

/* The device-writable part of a chain, as the device sees it. */
static void look(struct vd_chain *chain)
{
	struct vd_chain readable = *chain;

	for (int i = 0; i < readable.count; i++)
		readable.seg[i].write = !readable.seg[i].write;
	vd_read(&dev, &readable, 0, shown, sizeof(shown));
}

static bool send_back(const __u8 *frame, size_t len)
{
	static struct vd_chain chain;
	static __u8 buf[ROOM];
	__u32 written;

	if (!vd_pop(&dev, rx, &chain))
		return false;
	memset(buf, 0, HEADER);
	((struct virtio_net_hdr_v1 *)buf)->num_buffers = 1;
	memcpy(buf + HEADER, frame, len);
	written = vd_write(&dev, &chain, 0, buf, HEADER + len);
	if (twist)
		twist(rx, &chain, &written);
	look(&chain);
	shown_len = vd_length(&chain, true);
	vd_push(rx, &chain, written);
	return true;
}

static void serve(struct vd_dev *unused)
{
	static struct vd_chain chain;
	bool any = false, back = false;
	__u8 frame[FRAME_MAX];
	__u32 len;

	while (vd_pop(&dev, tx, &chain)) {
		len = vd_read(&dev, &chain, HEADER, frame, sizeof(frame));
		back |= send_back(frame, len);
		len = 0;
		if (twist)
			twist(tx, &chain, &len);
		vd_push(tx, &chain, len);
		any = true;
	}
	if ((any && vd_interrupt(&dev, tx)) || (back && vd_interrupt(&dev, rx)))
		vd_complain("an interrupt");
}

/*
 * Where a descriptor of a device's own making points to, there may be nothing;
 * from then on there is.
 */
static void nothing_there(int signal, siginfo_t *info, void *context)
{
	void *page = (void *)((unsigned long)info->si_addr & ~(VT_PAGE - 1));

	if (mmap(page, VT_PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != page)
		abort();
}

/* --- the user of the NIC --- */

static int interface_name(char name[IFNAMSIZ])
{
	char path[128];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/virtio/devices/%s/net", dev.virtio);
	name[0] = '\0';
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			snprintf(name, IFNAMSIZ, "%.15s", entry->d_name);
	if (dir)
		closedir(dir);
	return name[0] ? 0 : vt_fail("%s is no network interface", dev.virtio);
}

/* Up, polled in threads, and a socket of its own; -1 if it fails. */
static int open_interface(void)
{
	struct timeval patience = { .tv_sec = 20 };
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET, .sll_protocol = htons(PROTOCOL),
	};
	struct ifreq req = { 0 };
	char path[128];
	int fd, on = 1;

	if (interface_name(req.ifr_name))
		return -1;
	snprintf(path, sizeof(path), "/sys/class/net/%s/threaded", req.ifr_name);
	if (vt_write_file(path, "1"))
		return -1;
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return vt_fail("socket: %s", strerror(errno));
	addr.sll_ifindex = if_nametoindex(req.ifr_name);
	req.ifr_flags = IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &req) ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
		       sizeof(patience)) ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		vt_fail("%s: %s", req.ifr_name, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

static void make_frame(__u8 *frame, size_t len, __u64 tag)
{
	struct ethhdr *eth = (void *)frame;

	memset(eth->h_dest, 0xff, ETH_ALEN);
	memcpy(eth->h_source, config.mac, ETH_ALEN);
	eth->h_proto = htons(PROTOCOL);
	vt_fill(frame + ETH_HLEN, len - ETH_HLEN, tag, 0);
}

static int send_frame(int fd, size_t len, __u64 tag)
{
	__u8 frame[FRAME_MAX];

	make_frame(frame, len, tag);
	return send(fd, frame, len, MSG_DONTWAIT) == (ssize_t)len ? 0 :
	       vt_fail("frame of %zu bytes: %s", len, strerror(errno));
}

/* The queue may be stopped for a moment, or not yet started. */
static int send_soon(int fd, size_t len, __u64 tag)
{
	int ret;

	for (double limit = vt_now() + 20; ; usleep(1000)) {
		ret = send_frame(fd, len, tag);
		if (!ret || vt_now() > limit)
			return ret;
	}
}

static int exchange(int fd, unsigned int rounds)
{
	__u8 frame[ROOM];
	ssize_t len;

	for (unsigned int i = 0; i < rounds; i++) {
		size_t size = 60 + (i * 211) % (FRAME_MAX - 60 + 1);

		if (send_soon(fd, size, i))
			return -1;
		len = recv(fd, frame, sizeof(frame), 0);
		if (len < 0)
			return vt_fail("frame %u: %s", i, strerror(errno));
		if (len != (ssize_t)size)
			return vt_fail("frame %u: %zd bytes, not %zu", i, len,
				       size);
		if (vt_check(frame + ETH_HLEN, len - ETH_HLEN, i, 0))
			return -1;
	}
	return 0;
}

/* --- the tests --- */

/* Frames are right, and the log has nothing to say about the queues. */
static int is_harmless(int log, int fd)
{
	return exchange(fd, vt_scale(20)) ?: vd_none_broken(&dev, log);
}

/*
 * What was done to a queue breaks it, with one message that names both and says
 * why, however often it is provoked.
 */
static int breaks(int log, int fd, int q, const char *format, __u32 number)
{
	char words[64];

	snprintf(words, sizeof(words), format, number);
	if (vd_breaks(&dev, q, log, words))
		return -1;
	for (int i = 0; i < 3; i++) {
		send_frame(fd, 100, i);
		if (vd_interrupt(&dev, &dev.queue[q]))
			return -1;
		usleep(10000);
	}
	return vd_no_more(&dev, q, log);
}

/* A request in flight that the device has and keeps. */
static int take(int fd, int q, struct vd_chain *chain)
{
	vd_hold(&dev);
	if (q == TX && send_soon(fd, 200, 1))
		return -1;
	return vd_pop_soon(&dev, &dev.queue[q], chain);
}

FIXTURE(net)
{
	int fd;
	int log;
	bool created;
	double started;
	int messages;		/* that the kernel was made to write */
};

FIXTURE_VARIANT(net)
{
	__u64 features;
};

FIXTURE_VARIANT_ADD(net, split)
{
	.features = 0,
};

/* vduse_blk.c has these the other way round. */
FIXTURE_VARIANT_ADD(net, packed)
{
	.features = 1ULL << VIRTIO_F_RING_PACKED |
		    1ULL << VIRTIO_RING_F_INDIRECT_DESC |
		    1ULL << VIRTIO_RING_F_EVENT_IDX,
};

/* 0 with a NIC that works. */
static int plug(__u64 features, int *fd)
{
	dev.offered = features | 1ULL << VIRTIO_F_VERSION_1 |
		      1ULL << VIRTIO_F_ACCESS_PLATFORM |
		      1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_STATUS;
	dev.serve = serve;
	dev.polls = false;
	twist = NULL;
	if (vd_create(&dev))
		return -1;
	*fd = open_interface();
	if (*fd >= 0 && !exchange(*fd, 8) && dev.features == dev.offered)
		return 0;
	if (*fd >= 0)
		close(*fd);
	vd_destroy(&dev);
	return -1;
}

FIXTURE_SETUP(net)
{
	struct sigaction bus = {
		.sa_sigaction = nothing_there, .sa_flags = SA_SIGINFO,
	};

	self->created = false;
	self->messages = 1;
	self->started = vt_now();
	seed = self->started * 1e9;
	ASSERT_EQ(0, sigaction(SIGBUS, &bus, NULL));
	self->log = vt_log_open();
	ASSERT_GE(self->log, 0) {
		TH_LOG("%s", vt_error);
	}
	CHECK(plug(variant->features, &self->fd));
	self->created = true;
}

FIXTURE_TEARDOWN(net)
{
	if (!self->created)
		return;
	close(self->fd);
	EXPECT_EQ(0, vd_destroy(&dev)) {
		TH_LOG("%s", vt_error);
	}
	EXPECT_EQ(-1, access("/sys/bus/vdpa/devices/" NAME, F_OK));
	vd_pace(self->started, self->messages);
}

TEST_F_TIMEOUT(net, frames_of_all_lengths_come_back_right, VT_TIMEOUT)
{
	CHECK(is_harmless(self->log, self->fd));
}

TEST_F_TIMEOUT(net, an_id_just_out_of_range_breaks_a_receive_queue, VT_TIMEOUT)
{
	struct vd_chain chain;

	CHECK(take(self->fd, RX, &chain));
	vd_push_raw(rx, rx->num, 100, chain.slots);
	CHECK(breaks(self->log, self->fd, RX, "used id %u out of range",
		     rx->num));
}

TEST_F_TIMEOUT(net, an_id_far_out_of_range_breaks_a_send_queue, VT_TIMEOUT)
{
	struct vd_chain chain;

	CHECK(take(self->fd, TX, &chain));
	vd_push_raw(tx, 0xffffffff, 0, chain.slots);
	CHECK(breaks(self->log, self->fd, TX, "used id %u out of range",
		     tx->packed ? 0xffff : 0xffffffff));
}

TEST_F_TIMEOUT(net, an_id_never_offered_breaks_the_queue, VT_TIMEOUT)
{
	struct vd_chain chain;
	__u16 other;

	CHECK(take(self->fd, TX, &chain));
	other = (chain.id + tx->num / 2) % tx->num;
	vd_push_raw(tx, other, 0, chain.slots);
	CHECK(breaks(self->log, self->fd, TX, "used id %u is not in flight",
		     other));
}

TEST_F_TIMEOUT(net, the_same_id_twice_breaks_the_queue, VT_TIMEOUT)
{
	struct vd_chain chain;

	CHECK(take(self->fd, RX, &chain));
	vd_push(rx, &chain, HEADER);
	vd_push(rx, &chain, HEADER);
	CHECK(breaks(self->log, self->fd, RX, "used id %u is not in flight",
		     chain.id));
}

TEST_F_TIMEOUT(net, more_used_than_was_offered_breaks_the_queue, VT_TIMEOUT)
{
	struct vd_chain chain;

	CHECK(take(self->fd, TX, &chain));
	if (tx->packed) {
		vd_push(tx, &chain, 0);
		vd_push_raw(tx, chain.id, 0, 1);
		CHECK(breaks(self->log, self->fd, TX,
			     "used id %u is not in flight", chain.id));
	} else {
		tx->used++;
		vd_push(tx, &chain, 0);
		CHECK(breaks(self->log, self->fd, TX,
			     "2 used entries for 1 requests", 0));
	}
}

/* An index cannot go back; a descriptor of the lap before is not used yet. */
TEST_F_TIMEOUT(net, a_used_index_or_wrap_counter_of_the_past, VT_TIMEOUT)
{
	struct vd_chain chain;

	CHECK(take(self->fd, TX, &chain));
	if (tx->packed) {
		__u16 was = vd_flip_wrap(tx);

		ASSERT_EQ(0, vd_interrupt(&dev, tx));
		usleep(50000);
		vd_set_flags(tx, was);
		vd_push(tx, &chain, 0);
		vd_go_on(&dev, serve);
		CHECK(is_harmless(self->log, self->fd));
	} else {
		tx->used -= 2;
		vd_push(tx, &chain, 0);
		CHECK(breaks(self->log, self->fd, TX,
			     "65535 used entries for 1 requests", 0));
	}
}

TEST_F_TIMEOUT(net, a_used_index_far_ahead_breaks_the_queue, VT_TIMEOUT)
{
	struct vd_chain chain;

	CHECK(take(self->fd, RX, &chain));
	if (rx->packed) {
		/* A whole lap of the ring. */
		for (__u16 i = 0; i < rx->num; i++)
			vd_push_raw(rx, chain.id, HEADER, 1);
		CHECK(breaks(self->log, self->fd, RX,
			     "used id %u is not in flight", chain.id));
	} else {
		rx->used += 0x7fff;
		vd_push(rx, &chain, HEADER);
		CHECK(breaks(self->log, self->fd, RX,
			     "32768 used entries for", 0));
	}
}

static void twist_request(struct vd_queue *queue, struct vd_chain *chain,
			  __u32 *len)
{
	vd_spoil_request(&dev, queue, chain, &seed);
}

TEST_F_TIMEOUT(net, descriptors_rewritten_in_flight_are_harmless, VT_TIMEOUT)
{
	twist = twist_request;
	CHECK(is_harmless(self->log, self->fd));
}

static void twist_events(struct vd_queue *queue, struct vd_chain *chain,
			 __u32 *len)
{
	vd_spoil_events(queue, &seed);
}

/* Notifications may be lost then, so the device looks without them. */
TEST_F_TIMEOUT(net, event_fields_and_flags_at_random_are_harmless, VT_TIMEOUT)
{
	dev.polls = true;
	twist = twist_events;
	CHECK(is_harmless(self->log, self->fd));
}

static __u32 claimed;

static void twist_length(struct vd_queue *queue, struct vd_chain *chain,
			 __u32 *len)
{
	*len = claimed;
}

/* What arrives is what the device's memory had, and no longer than that. */
TEST_F_TIMEOUT(net, lengths_too_large_show_the_device_s_own_memory, VT_TIMEOUT)
{
	static const __u32 lengths[] = {
		HEADER + 1000, 0x10000, 0x7fffffff, 0xffffffff,
	};

	twist = twist_length;
	for (size_t i = 0; i < VT_ARRAY_SIZE(lengths); i++) {
		__u8 frame[2 * ROOM];
		ssize_t len;

		claimed = lengths[i];
		ASSERT_EQ(0, send_soon(self->fd, 100, i));
		len = recv(self->fd, frame, sizeof(frame), 0);
		ASSERT_GT(len, 0) {
			TH_LOG("claim of %u bytes: %s", claimed, strerror(errno));
		}
		EXPECT_LE(len, (ssize_t)(shown_len - HEADER));
		ASSERT_EQ(0, memcmp(frame, shown + HEADER, len)) {
			TH_LOG("claim of %u bytes", claimed);
		}
	}
	twist = NULL;
	CHECK(is_harmless(self->log, self->fd));
}

TEST_F_TIMEOUT(net, lengths_of_less_than_a_frame_lose_the_frame, VT_TIMEOUT)
{
	struct timeval moment = { .tv_usec = 200000 }, long_time = { .tv_sec = 20 };
	__u8 frame[ROOM];

	twist = twist_length;
	setsockopt(self->fd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof(moment));
	for (claimed = 0; claimed < HEADER + ETH_HLEN; claimed += 5) {
		ASSERT_EQ(0, send_soon(self->fd, 100, 1));
		EXPECT_EQ(-1, recv(self->fd, frame, sizeof(frame), 0));
	}
	setsockopt(self->fd, SOL_SOCKET, SO_RCVTIMEO, &long_time,
		   sizeof(long_time));
	twist = NULL;
	CHECK(is_harmless(self->log, self->fd));
}

TEST_F_TIMEOUT(net, a_storm_of_interrupts_is_harmless, VT_TIMEOUT)
{
	struct vd_storm storm;
	unsigned long count;

	CHECK(vd_storm_begin(&storm, &dev));
	EXPECT_EQ(0, exchange(self->fd, vt_scale(20))) {
		TH_LOG("%s", vt_error);
	}
	count = vd_storm_end(&storm);
	TH_LOG("%lu interrupts", count);
	EXPECT_GT(count, 100UL);
	CHECK(is_harmless(self->log, self->fd));
}

TEST_F_TIMEOUT(net, removal_ends_what_is_in_flight, VT_TIMEOUT)
{
	double started;

	vd_hold(&dev);
	for (int i = 0; i < 10; i++)
		CHECK(send_soon(self->fd, 1000, i));
	started = vt_now();
	CHECK(vd_detach(&dev));
	EXPECT_LT(vt_now() - started, 60);
	/* The pages are still ours to write, and nobody else's. */
	for (struct vd_map *map = dev.map; map < dev.map + dev.maps; map++)
		if (map->start >= dev.bounce_size)
			vd_scribble(map->mem, map->last - map->start + 1, &seed);
}

/* Not even what the kernel asks of the device as a whole is answered. */
TEST_F_TIMEOUT(net, a_device_that_is_gone_can_be_removed, VT_TIMEOUT)
{
	double started;

	ASSERT_EQ(0, send_soon(self->fd, 1000, 1));
	vd_abandon(&dev);
	ASSERT_EQ(0, vt_write_file("/sys/class/vduse/" NAME "/msg_timeout", "1"));
	started = vt_now();
	CHECK(vd_detach(&dev));
	EXPECT_LT(vt_now() - started, 60);
}

static void scribble_some(void *mem, size_t size)
{
	size_t at = vd_random(&seed) % size;

	vd_scribble((__u8 *)mem + at, size - at < 2 ? size - at : 2, &seed);
}

static void one_step(int fd)
{
	struct vd_queue *queue = &dev.queue[vd_random(&seed) % 2];
	__u64 chance = vd_random(&seed);
	__u32 small = vd_random(&seed) % (queue->num + 2);

	switch (chance % 8) {
	case 0:
		vd_push_raw(queue, chance & 256 ? small : chance >> 32,
			    vd_random(&seed), 1 + vd_random(&seed) % 3);
		break;
	case 1:
		scribble_some(queue->device, vd_device_size(queue));
		break;
	case 2:
		scribble_some(queue->desc, vd_desc_size(queue));
		break;
	case 3:
		scribble_some(queue->driver, vd_driver_size(queue));
		break;
	case 4:
		send_frame(fd, 60 + chance / 16 % 1000, chance);
		break;
	case 5:
		queue->used = vd_random(&seed) % queue->num;
		queue->used_wrap = chance & 16;
		break;
	case 6:
		serve(&dev);
		break;
	case 7:
		vd_interrupt(&dev, queue);
		break;
	}
}

/* Until both queues are broken, or for long enough.  vtest.seed= repeats it. */
TEST_F_TIMEOUT(net, a_device_that_does_anything_does_no_harm, VT_TIMEOUT)
{
	int rounds = vt_scale(6), steps = 0, both = 0, logs[2];

	vt_seed(&seed);
	TH_LOG("seed %llu", (unsigned long long)seed);
	self->messages = 2 * rounds;
	logs[RX] = vt_log_open();
	logs[TX] = vt_log_open();
	for (int round = 0; round < rounds; round++) {
		int found[2] = { 0, 0 };

		if (round) {
			close(self->fd);
			self->created = false;
			CHECK(vd_destroy(&dev));
			ASSERT_EQ(0, plug(variant->features, &self->fd)) {
				TH_LOG("round %d: %s", round, vt_error);
			}
			self->created = true;
		}
		vd_hold(&dev);
		for (int i = 1; i <= 2000 && !(found[RX] && found[TX]); i++) {
			one_step(self->fd);
			steps++;
			if (i % 20)
				continue;
			usleep(1000);
			for (int q = RX; q <= TX; q++)
				found[q] += vd_times_broken(&dev, q, logs[q]);
		}
		EXPECT_LE(found[RX], 1);
		EXPECT_LE(found[TX], 1);
		both += found[RX] && found[TX];
	}
	TH_LOG("%d steps, both queues broken in %d of %d rounds", steps, both,
	       rounds);
	close(logs[RX]);
	close(logs[TX]);
}

/* A reason to skip is the same for all tests. */
int main(int argc, char **argv)
{
	bool lockdep = !access(PROVE_LOCKING, F_OK);
	int ret;

	if (vd_missing(&dev))
		ksft_exit_skip("%s\n", vt_error);
	if (lockdep && vt_write_file(PROVE_LOCKING, "0"))
		ksft_exit_fail_msg("%s\n", vt_error);
	ret = test_harness_run(argc, argv);
	if (lockdep && vt_write_file(PROVE_LOCKING, "1"))
		ksft_exit_fail_msg("%s\n", vt_error);
	return ret;
}

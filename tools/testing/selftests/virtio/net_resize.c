// SPDX-License-Identifier: GPL-2.0
/*
 * The rings of virtio-net are resized (VIRTIO_F_RING_RESET) while checked data
 * moves through them.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "vtest.h"
#include "vtest_net.h"

/*
 * What the driver needs for one packet: it stops a transmit queue that has less
 * room than this and would never start a smaller one again.
 */
#define SMALLEST_TX	32
#define SMALLEST_RX	16

static struct vt_pair pairs[VT_MAX_PAIRS];
static int pair_count;
static char setup_error[sizeof(vt_error)];
static const char *why_not;

struct shared {
	int stop;
	__u64 moved;
};

FIXTURE(resize)
{
	struct shared *shared;
};

FIXTURE_SETUP(resize)
{
	if (why_not)
		SKIP(return, "%s", why_not);
	ASSERT_STREQ("", setup_error);
	self->shared = mmap(NULL, sizeof(*self->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->shared);
}

FIXTURE_TEARDOWN(resize)
{
	if (!why_not)
		munmap(self->shared, sizeof(*self->shared));
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

/* As "ethtool -g" and "ethtool -G": errno if the ioctl fails, -1 for the rest. */
static int ring_ioctl(int side, const struct vt_nic *nic, __u32 cmd,
		      struct ethtool_ringparam *ring)
{
	struct ifreq ifr = { 0 };
	int fd, ret = 0;

	fd = vt_net_socket(side, AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		return -1;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", nic->name);
	ring->cmd = cmd;
	ifr.ifr_data = (void *)ring;
	if (ioctl(fd, SIOCETHTOOL, &ifr)) {
		ret = errno;
		vt_fail("%s: ring parameters: %s", nic->virtio,
			strerror(errno));
	}
	close(fd);
	return ret;
}

static int set_ring(int side, const struct vt_nic *nic, __u32 rx,
		    __u32 tx)
{
	struct ethtool_ringparam ring = { 0 };

	if (ring_ioctl(side, nic, ETHTOOL_GRINGPARAM, &ring))
		return -1;
	ring.rx_pending = rx;
	ring.tx_pending = tx;
	if (ring_ioctl(side, nic, ETHTOOL_SRINGPARAM, &ring))
		return -1;
	memset(&ring, 0, sizeof(ring));
	if (ring_ioctl(side, nic, ETHTOOL_GRINGPARAM, &ring))
		return -1;
	if (ring.rx_pending != rx || ring.tx_pending != tx)
		return vt_fail("%s: asked for rings of %u and %u, have %u and %u",
			       nic->virtio, rx, tx, ring.rx_pending,
			       ring.tx_pending);
	return 0;
}

/* Resizes, and returns when more bytes have arrived than had before. */
static int resize(int side, const struct vt_nic *nic, __u32 rx, __u32 tx,
		  struct shared *shared)
{
	__u64 before;
	double limit;

	if (set_ring(side, nic, rx, tx))
		return -1;
	before = __atomic_load_n(&shared->moved, __ATOMIC_RELAXED);
	limit = vt_now() + 20;
	while (__atomic_load_n(&shared->moved, __ATOMIC_RELAXED) == before) {
		if (vt_now() > limit)
			return vt_fail("%s: no data arrives with rings of %u and %u",
				       nic->virtio, rx, tx);
		usleep(1000);
	}
	return 0;
}

/* Receive and transmit ring by themselves, then both. */
static int all_sizes(int side, const struct vt_nic *nic, struct shared *shared)
{
	struct ethtool_ringparam max = { 0 };
	__u32 most_rx, most_tx, size;

	if (ring_ioctl(side, nic, ETHTOOL_GRINGPARAM, &max))
		return -1;
	most_rx = max.rx_max_pending;
	most_tx = max.tx_max_pending;
	for (size = SMALLEST_RX; size <= most_rx; size *= 2)
		if (resize(side, nic, size, most_tx, shared))
			return -1;
	for (size = SMALLEST_TX; size <= most_tx; size *= 2)
		if (resize(side, nic, most_rx, size, shared))
			return -1;
	for (size = most_rx < most_tx ? most_rx : most_tx; size >= SMALLEST_TX;
	     size /= 2)
		if (resize(side, nic, size, size, shared))
			return -1;
	return resize(side, nic, most_rx, most_tx, shared);
}

static int resize_sides(const struct vt_pair *pair, struct shared *shared)
{
	int turns = vt_scale(3), ret = 0;

	for (int i = 0; !ret && i < 2 * turns; i++)
		ret = all_sizes(i % 2, &pair->nic[i % 2], shared);
	return ret;
}

static int under_traffic(const struct vt_pair *pair, struct shared *shared)
{
	int status, ret;
	pid_t traffic;

	shared->stop = 0;
	shared->moved = 0;
	fflush(stdout);
	traffic = fork();
	if (traffic < 0)
		return vt_fail("fork: %s", strerror(errno));
	if (!traffic) {
		setpgid(0, 0);
		ret = vt_net_streams(pair, 2, 16 * VT_KIB, 8 * VT_KIB,
				     &shared->stop, &shared->moved);
		if (ret)
			printf("# %s\n", vt_error);
		fflush(stdout);
		_exit(!!ret);
	}
	ret = resize_sides(pair, shared);
	__atomic_store_n(&shared->stop, 1, __ATOMIC_RELAXED);
	/* Streams that are stuck would not see that they are to stop. */
	if (ret)
		kill(-traffic, SIGKILL);
	if (waitpid(traffic, &status, 0) != traffic || (status && !ret))
		ret = vt_fail("data went wrong while rings changed their size");
	return ret;
}

TEST_F_TIMEOUT(resize, traffic_survives_rings_of_every_size, VT_TIMEOUT)
{
	for (struct vt_pair *pair = pairs; pair < pairs + pair_count; pair++)
		CHECK_PAIR(pair, under_traffic(pair, self->shared));
}

/* More than the device has is refused, and all goes on as before. */
static int too_large(const struct vt_pair *pair)
{
	const struct vt_nic *nic = &pair->nic[0];
	struct ethtool_ringparam ring = { 0 }, after = { 0 };

	if (ring_ioctl(0, nic, ETHTOOL_GRINGPARAM, &ring))
		return -1;
	after = ring;
	after.rx_pending = ring.rx_max_pending * 2;
	if (ring_ioctl(0, nic, ETHTOOL_SRINGPARAM, &after) != EINVAL)
		return vt_fail("a ring above its maximum was not refused with EINVAL");
	if (ring_ioctl(0, nic, ETHTOOL_GRINGPARAM, &after))
		return -1;
	if (after.rx_pending != ring.rx_pending ||
	    after.tx_pending != ring.tx_pending)
		return vt_fail("a refused size changed the rings");
	return vt_net_streams(pair, 1, 64 * VT_KIB, 8 * VT_KIB, NULL, NULL);
}

TEST_F_TIMEOUT(resize, a_ring_above_its_maximum_is_refused, VT_TIMEOUT)
{
	for (struct vt_pair *pair = pairs; pair < pairs + pair_count; pair++)
		CHECK_PAIR(pair, too_large(pair));
}

/* The queue is down: nobody reaps, and all buffers are taken back at once. */
static int while_down(const struct vt_pair *pair)
{
	const struct vt_nic *nic = &pair->nic[1];
	struct ethtool_ringparam max = { 0 };
	int ret;

	if (ring_ioctl(1, nic, ETHTOOL_GRINGPARAM, &max) ||
	    vt_net_set_up(1, nic, false))
		return -1;
	ret = set_ring(1, nic, 64, 64);
	if (vt_net_set_up(1, nic, true))
		return -1;
	if (!ret)
		ret = vt_net_streams(pair, 1, 64 * VT_KIB, 8 * VT_KIB, NULL,
				     NULL);
	return set_ring(1, nic, max.rx_max_pending, max.tx_max_pending) ?: ret;
}

TEST_F_TIMEOUT(resize, rings_change_while_the_nic_is_down, VT_TIMEOUT)
{
	for (struct vt_pair *pair = pairs; pair < pairs + pair_count; pair++)
		CHECK_PAIR(pair, while_down(pair));
}

/*
 * With a packed ring and event indices, a transmit queue of virtio-net can stop
 * for good when the ring at the other end is reset: every packet is used, and
 * no interrupt says so.  It is the same with the kernel's own virtio_ring (6.12
 * on QEMU 7.2), so it tells nothing about the ring; without event indices it
 * does not happen.
 */
static bool may_stall(const struct vt_nic *nic)
{
	return vt_nic_has(nic, VT_F_RING_PACKED) && vt_nic_has(nic, VT_F_EVENT_IDX);
}

static bool usable(const struct vt_pair *pair)
{
	for (int side = 0; side < 2; side++) {
		if (!vt_nic_has(&pair->nic[side], VT_F_RING_RESET)) {
			printf("# pair %u left out: no VIRTIO_F_RING_RESET\n",
			       pair->number);
			return false;
		}
		if (may_stall(&pair->nic[side])) {
			printf("# pair %u left out: packed ring with event index\n",
			       pair->number);
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	int found = vt_net_find(pairs, VT_MAX_PAIRS);

	if (!found)
		why_not = "no NICs 52:54:00:00:K:01 and 52:54:00:00:K:02";
	for (int i = 0; i < found; i++)
		if (usable(&pairs[i]))
			pairs[pair_count++] = pairs[i];
	if (found && !pair_count)
		why_not = "no pair of NICs can have its rings reset";
	atexit(vt_net_leave);
	if (pair_count && vt_net_enter(pairs, pair_count))
		memcpy(setup_error, vt_error, sizeof(setup_error));
	return test_harness_run(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Keeps every virtio disk and every pair of NICs busy in the background, and
 * checks every byte, while a test does something else.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vtest.h"
#include "vtest_load.h"
#include "vtest_net.h"
#include "vtest_traffic.h"

#define PATIENCE	60		/* seconds of silence that mean: stuck */
#define REQUEST		(64 * VT_KIB)	/* at most */
#define ROUNDS		2
#define STREAM		(64 * VT_KIB)

static const char * const kind_name[VT_TRAFFIC_KINDS] = { "blk", "net" };

static bool stopped(struct vt_traffic_state *state)
{
	return __atomic_load_n(&state->stop, __ATOMIC_RELAXED);
}

static void moved(struct vt_traffic_state *state, int kind, __u64 amount)
{
	__atomic_fetch_add(&state->moved[kind], amount, __ATOMIC_RELAXED);
}

/* One thread a disk, and other contents each time. */
static int disks_busy(struct vt_traffic_state *state)
{
	struct vt_disk disks[VT_MAX_DISKS];
	int count = vt_find_disks(disks, VT_MAX_DISKS);

	for (__u64 turn = 0; !stopped(state); turn++) {
		struct vt_loader loaders[VT_MAX_DISKS] = { 0 };

		for (int i = 0; i < count; i++) {
			loaders[i].path = disks[i].path;
			loaders[i].pos = VT_REGION_VFIO;
			loaders[i].max = REQUEST;
			loaders[i].rounds = ROUNDS;
			loaders[i].seed = vt_mix(turn);
		}
		if (vt_load(loaders, count))
			return -1;
		moved(state, VT_TRAFFIC_BLK, count * ROUNDS);
	}
	return 0;
}

static int nics_busy(struct vt_traffic_state *state)
{
	struct vt_pair pairs[VT_MAX_PAIRS];
	int count = vt_net_find(pairs, VT_MAX_PAIRS);
	int ret = vt_net_enter(pairs, count);

	for (int i = 0; !ret && !stopped(state); i = (i + 1) % count)
		ret = vt_net_streams(&pairs[i], 1, STREAM, VT_PAGE, NULL,
				     &state->moved[VT_TRAFFIC_NET]);
	vt_net_leave();
	return ret;
}

/* How many there are of a kind. */
static int how_many(int kind)
{
	struct vt_disk disks[VT_MAX_DISKS];
	struct vt_pair pairs[VT_MAX_PAIRS];

	return kind == VT_TRAFFIC_BLK ? vt_find_disks(disks, VT_MAX_DISKS) :
	       vt_net_find(pairs, VT_MAX_PAIRS);
}

static int start(struct vt_traffic *traffic, int kind)
{
	pid_t pid;
	int ret;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return vt_fail("fork: %s", strerror(errno));
	if (pid) {
		traffic->pid[kind] = pid;
		return 0;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ret = kind == VT_TRAFFIC_BLK ? disks_busy(traffic->state) :
	      nics_busy(traffic->state);
	if (ret) {
		printf("# %s: %s\n", kind_name[kind], vt_error);
		__atomic_store_n(&traffic->state->wrong, 1, __ATOMIC_RELAXED);
	}
	fflush(stdout);
	_exit(!!ret);
}

int vt_traffic_start(struct vt_traffic *traffic)
{
	int kinds = 0;

	memset(traffic, 0, sizeof(*traffic));
	traffic->state = mmap(NULL, sizeof(*traffic->state),
			      PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (traffic->state == MAP_FAILED)
		return vt_fail("mmap: %s", strerror(errno));
	for (int kind = 0; kind < VT_TRAFFIC_KINDS; kind++) {
		if (!how_many(kind))
			continue;
		if (start(traffic, kind)) {
			vt_traffic_stop(traffic);
			return vt_fail("%s: cannot start", kind_name[kind]);
		}
		kinds++;
	}
	return kinds;
}

int vt_traffic_moves(struct vt_traffic *traffic)
{
	for (int kind = 0; kind < VT_TRAFFIC_KINDS; kind++) {
		__u64 *now = &traffic->state->moved[kind];
		double limit = vt_now() + PATIENCE;

		while (traffic->pid[kind] &&
		       __atomic_load_n(now, __ATOMIC_RELAXED) ==
		       traffic->seen[kind]) {
			if (__atomic_load_n(&traffic->state->wrong,
					    __ATOMIC_RELAXED))
				return vt_fail("data were wrong, or did not move");
			if (vt_now() > limit)
				return vt_fail("%s: no data move",
					       kind_name[kind]);
			usleep(1000);
		}
		traffic->seen[kind] = __atomic_load_n(now, __ATOMIC_RELAXED);
	}
	return 0;
}

static int stop(struct vt_traffic *traffic, int kind)
{
	pid_t pid = traffic->pid[kind];
	int status;

	for (double limit = vt_now() + PATIENCE; vt_now() < limit; usleep(5000))
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status ? vt_fail("%s: ended with status %#x",
						kind_name[kind], status) : 0;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return vt_fail("%s: does not end", kind_name[kind]);
}

int vt_traffic_stop(struct vt_traffic *traffic)
{
	int ret = 0;

	__atomic_store_n(&traffic->state->stop, 1, __ATOMIC_RELAXED);
	for (int kind = 0; kind < VT_TRAFFIC_KINDS; kind++)
		if (traffic->pid[kind] && stop(traffic, kind))
			ret = -1;
	munmap(traffic->state, sizeof(*traffic->state));
	return ret;
}

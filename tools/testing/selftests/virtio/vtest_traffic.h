/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Keeps every virtio disk and every pair of NICs busy in the background, and
 * checks every byte, while a test does something else.
 */
#ifndef VTEST_TRAFFIC_H
#define VTEST_TRAFFIC_H

#include <linux/types.h>
#include <sys/types.h>

enum { VT_TRAFFIC_BLK, VT_TRAFFIC_NET, VT_TRAFFIC_KINDS };

/* Shared with the processes that make it. */
struct vt_traffic_state {
	int stop;
	int wrong;
	__u64 moved[VT_TRAFFIC_KINDS];
};

/* Of the process that starts it; the processes of tests have it from there. */
struct vt_traffic {
	struct vt_traffic_state *state;
	__u64 seen[VT_TRAFFIC_KINDS];
	pid_t pid[VT_TRAFFIC_KINDS];	/* 0 if there is no such device */
};

/* How many kinds of devices there are to be busy; -1 if it fails. */
int vt_traffic_start(struct vt_traffic *traffic);
/* 0 once data have moved, in each kind, since the last time, and were right. */
int vt_traffic_moves(struct vt_traffic *traffic);
/* 0 if all data were right. */
int vt_traffic_stop(struct vt_traffic *traffic);

#endif

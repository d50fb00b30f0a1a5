/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of hostile back ends share: a device that stops while a test
 * changes its rings, and the kernel's messages about queues that broke.
 */
#ifndef VTEST_HOSTILE_H
#define VTEST_HOSTILE_H

#include "vtest_vring.h"

/* From now on the device looks at nothing; and back, beginning with a look. */
void vd_hold(struct vd_dev *dev);
void vd_go_on(struct vd_dev *dev, void (*serve)(struct vd_dev *dev));
/* The next request, which the driver has to offer soon.  0, or -1 with vt_error. */
int vd_pop_soon(struct vd_dev *dev, struct vd_queue *queue, struct vd_chain *chain);

/* Interrupts without end, for one queue after the other; how many there were. */
struct vd_storm {
	struct vd_dev *dev;
	pthread_t thread;
	bool stop;
	unsigned long count;
};

int vd_storm_begin(struct vd_storm *storm, struct vd_dev *dev);
unsigned long vd_storm_end(struct vd_storm *storm);

/*
 * The log since the last look; 0, or -1 with vt_error.  None of the device's
 * queues is broken; queue q is, as was said in one message with these words,
 * after an interrupt for it; and no second message came.
 */
int vd_none_broken(struct vd_dev *dev, int log);
int vd_breaks(struct vd_dev *dev, int q, int log, const char *words);
int vd_no_more(struct vd_dev *dev, int q, int log);
/* How often the log says that queue q is broken. */
int vd_times_broken(struct vd_dev *dev, int q, int log);
/*
 * Wait at the end of a test that began then and had the kernel write so many
 * messages: of more than ten in five seconds, the kernel drops some.
 */
void vd_pace(double started, int messages);

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * What the tests of hostile back ends share.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vtest.h"
#include "vtest_hostile.h"

void vd_hold(struct vd_dev *dev)
{
	pthread_mutex_lock(&dev->lock);
	dev->serve = NULL;
	pthread_mutex_unlock(&dev->lock);
}

void vd_go_on(struct vd_dev *dev, void (*serve)(struct vd_dev *dev))
{
	pthread_mutex_lock(&dev->lock);
	dev->serve = serve;
	serve(dev);
	pthread_mutex_unlock(&dev->lock);
}

int vd_pop_soon(struct vd_dev *dev, struct vd_queue *queue, struct vd_chain *chain)
{
	for (double limit = vt_now() + 20; vt_now() < limit; usleep(1000))
		if (vd_pop(dev, queue, chain))
			return 0;
	return vt_fail("nothing was made available");
}

/* --- interrupts --- */

static void *storm_thread(void *arg)
{
	struct vd_storm *storm = arg;

	for (; !__atomic_load_n(&storm->stop, __ATOMIC_ACQUIRE); storm->count++)
		vd_interrupt(storm->dev,
			     &storm->dev->queue[storm->count % storm->dev->queues]);
	return NULL;
}

int vd_storm_begin(struct vd_storm *storm, struct vd_dev *dev)
{
	*storm = (struct vd_storm){ .dev = dev };
	return pthread_create(&storm->thread, NULL, storm_thread, storm) ?
	       vt_fail("no thread") : 0;
}

unsigned long vd_storm_end(struct vd_storm *storm)
{
	__atomic_store_n(&storm->stop, true, __ATOMIC_RELEASE);
	pthread_join(storm->thread, NULL);
	return storm->count;
}

/* --- the kernel's log --- */

static int find_broken(struct vd_dev *dev, int q, int log, char *line, size_t size)
{
	char prefix[96];

	snprintf(prefix, sizeof(prefix), "%s %s: %s: queue broken: ", dev->driver,
		 dev->virtio, dev->queue_name[q]);
	return vt_log_find(log, prefix, "", line, size);
}

int vd_none_broken(struct vd_dev *dev, int log)
{
	char line[256];

	return vt_log_find(log, dev->virtio, "queue broken", line, sizeof(line)) ?
	       vt_fail("the log says%s", line) : 0;
}

int vd_breaks(struct vd_dev *dev, int q, int log, const char *words)
{
	char line[256];
	int found = 0;

	if (vd_interrupt(dev, &dev->queue[q]))
		return -1;
	for (double limit = vt_now() + 20; vt_now() < limit && !found; ) {
		usleep(20000);
		found = find_broken(dev, q, log, line, sizeof(line));
	}
	if (found != 1)
		return vt_fail("%d messages", found);
	return strstr(line, words) ? 0 :
	       vt_fail("the log says%s, not %s", line, words);
}

int vd_no_more(struct vd_dev *dev, int q, int log)
{
	char line[256];

	return find_broken(dev, q, log, line, sizeof(line)) ?
	       vt_fail("the log says once more%s", line) : 0;
}

int vd_times_broken(struct vd_dev *dev, int q, int log)
{
	char line[256];

	return find_broken(dev, q, log, line, sizeof(line));
}

void vd_pace(double started, int messages)
{
	double left = started + 0.6 * messages - vt_now();

	if (left > 0)
		usleep(left * 1e6);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface between the files of vring_race.  race_device.c is a device and
 * the transport, race_driver.c has the drivers, and race_test.c runs them
 * together.
 *
 * These use one queue at the same time: two drivers, which serialize as the
 * ring's API demands and no more; a device that takes, completes, interrupts
 * and asks for notifications; and a timer that interrupts without reason.
 */
#ifndef VRING_RACE_H
#define VRING_RACE_H

#include <linux/atomic.h>
#include <linux/hrtimer.h>
#include <linux/rwsem.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <linux/wait.h>

#define RACE_REQS	48	/* more than any queue has room for */
#define RACE_BYTES	48	/* length of a buffer at most */
#define RACE_MAX_SEGS	4
#define RACE_NUM	16	/* descriptors of a queue */
#define RACE_NUM_LESS	8	/* and after a resize */
#define RACE_PATIENCE	(20 * HZ)	/* for what cannot be missed */

/* First in the first device-readable buffer of a request. */
struct race_header {
	__le32 seq;
	__le32 len;		/* bytes the device is to write */
};

/**
 * struct race_req - a request, its address the token
 * @busy: it is in the ring; under &race_queue.lock
 * @seq: number of the request
 * @in_len: bytes that the device writes
 * @sg: the buffers
 * @header: what the device reads first
 * @out: what it reads then
 * @in: what it writes
 */
struct race_req {
	bool busy;
	u32 seq;
	u32 in_len;
	struct scatterlist sg[RACE_MAX_SEGS];
	struct race_header header ____cacheline_aligned;
	u8 out[RACE_BYTES] ____cacheline_aligned;
	u8 in[RACE_BYTES] ____cacheline_aligned;
};

/**
 * struct race_queue - a queue, its drivers and its device
 * @vdev: the virtio device
 * @vq: the virtqueue
 * @parent: parent of @vdev
 * @error: what went wrong first, "" if nothing
 * @failed: @error is taken
 * @lossy: queues are broken and unbroken: notifications and interrupts get lost
 *
 * @lock: the drivers', for the calls that they have to serialize
 * @quiesce: held for reading while a driver uses the queue, for writing while
 *	it is reset
 * @reqs: the drivers' requests, under @lock
 * @seq: number of the next one, under @lock
 * @in_flight: requests in the ring, under @lock
 * @added: descriptors or, for the split layout, requests since the reset
 * @events: counts what drivers may wait for
 * @wq: where they wait
 * @got: requests that came back used
 * @recycled: requests that came back unused
 * @callbacks: calls of the callback
 *
 * @hw_lock: the device's; interrupts are off below it
 * @enabled: the device may use the queue, under @hw_lock
 * @num: descriptors of the queue
 * @mem: the three areas of the ring
 * @seen: position of the next request to take
 * @seen_wrap: and its wrap counter
 * @used: position of the next used entry
 * @used_wrap: and its wrap counter
 * @told: used entries since the driver's wish for interrupts was looked at
 * @rung: the driver has notified
 * @bell: where the device waits for that
 * @irq_on: the transport lets interrupts through
 * @fail_reset: the next reset fails
 * @timer: interrupts for nothing
 * @interrupts: calls of vring_interrupt()
 */
struct race_queue {
	struct virtio_device *vdev;
	struct virtqueue *vq;
	struct device *parent;
	char error[128];
	atomic_t failed;
	bool lossy;

	spinlock_t lock;	/* the drivers' */
	struct rw_semaphore quiesce;
	struct race_req *reqs;
	u32 seq;
	unsigned int in_flight;
	u32 added;
	atomic_t events;
	wait_queue_head_t wq;
	unsigned long got;
	unsigned long recycled;
	atomic_t callbacks;

	spinlock_t hw_lock;	/* the device's */
	bool enabled;
	unsigned int num;
	void *mem[3];
	u16 seen;
	u16 used;
	bool seen_wrap;
	bool used_wrap;
	u16 told;
	bool rung;
	wait_queue_head_t bell;
	bool irq_on;
	bool fail_reset;
	struct hrtimer timer;
	atomic_t interrupts;
};

static inline bool race_has(const struct race_queue *q, unsigned int bit)
{
	return q->vdev->features & BIT_ULL(bit);
}

static inline bool race_failed(const struct race_queue *q)
{
	return atomic_read(&q->failed);
}

__printf(2, 3)
void race_fail(struct race_queue *q, const char *fmt, ...);

/* race_device.c */
int race_create(struct race_queue *q, struct device *parent, u64 features);
void race_delete_queue(struct race_queue *q);
void race_delete_device(struct race_queue *q);
int race_device(void *data);
bool race_armed(struct race_queue *q);

/* race_driver.c */
void race_callback(struct virtqueue *vq);
void race_recycle(struct virtqueue *vq, void *buf);
unsigned int race_reap(struct race_queue *q);
int race_driver(void *data);
void race_finish(struct race_queue *q);

#endif

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The drivers of vring_race.  Two threads use one queue.  Calls that the API
 * wants serialized are under the queue's lock, the others are outside of it.  A
 * thread that was promised an interrupt waits for it.
 */
#include <linux/kthread.h>

#include "race.h"

/* Requests that a driver adds before it looks at the queue. */
#define ADD_AT_ONCE	6

/* The kinds of requests, by number. */
enum { IN_ONLY, OUT_ONLY, OUT_IN, OUT_OUT_IN_IN, KINDS };

/* A device that is told no number writes this. */
#define NO_NUMBER	0
#define POISON		0xee

static int submit(struct race_queue *q, struct race_req *req)
{
	struct scatterlist *sg = req->sg, *sgs[3] = { sg, sg + 1, sg + 2 };
	unsigned int len = 1 + q->seq % RACE_BYTES;

	req->seq = q->seq;
	req->in_len = req->seq % KINDS == OUT_ONLY ? 0 : len;
	req->header.seq = cpu_to_le32(req->seq);
	req->header.len = cpu_to_le32(req->in_len);
	memset(req->out, req->seq, sizeof(req->out));
	memset(req->in, POISON, sizeof(req->in));

	switch (req->seq % KINDS) {
	case IN_ONLY:
		sg_init_one(sg, req->in, len);
		return virtqueue_add_inbuf(q->vq, sg, 1, req, GFP_ATOMIC);
	case OUT_ONLY:
		sg_init_one(sg, &req->header, sizeof(req->header));
		return virtqueue_add_outbuf(q->vq, sg, 1, req, GFP_ATOMIC);
	case OUT_IN:
		sg_init_one(sg, &req->header, sizeof(req->header));
		sg_init_one(sg + 1, req->in, len);
		return virtqueue_add_sgs(q->vq, sgs, 1, 1, req, GFP_ATOMIC);
	default:
		sg_init_one(sg, &req->header, sizeof(req->header));
		sg_init_one(sg + 1, req->out, len);
		sg_init_table(sg + 2, 2);
		sg_set_buf(sg + 2, req->in, 1);
		sg_set_buf(sg + 3, req->in + 1, len - 1);
		if (len == 1)
			sg_mark_end(sg + 2);
		return virtqueue_add_sgs(q->vq, sgs, 2, 1, req, GFP_ATOMIC);
	}
}

/* Adds one request, the lock held.  Returns whether there was room. */
static bool add_one(struct race_queue *q)
{
	unsigned int free = q->vq->num_free, i;
	struct race_req *req;
	int err;

	for (i = 0; q->reqs[i].busy; i++)
		;	/* there are more than a queue has room for */
	req = &q->reqs[i];
	err = submit(q, req);
	if (err) {
		if (err != -ENOSPC && !(err == -EIO && q->lossy))
			race_fail(q, "adding failed: %d", err);
		return false;
	}
	req->busy = true;
	q->seq++;
	q->in_flight++;
	/* After what it counts; pairs with the acquire in notify(). */
	smp_store_release(&q->added, q->added +
			  (race_has(q, VIRTIO_F_RING_PACKED) ?
			   free - q->vq->num_free : 1));
	return true;
}

static void check(struct race_queue *q, struct race_req *req, u32 len)
{
	u8 expected = req->seq % KINDS == IN_ONLY ? NO_NUMBER : req->seq;
	unsigned int i;

	if (len != req->in_len)
		race_fail(q, "request %u: %u bytes in place of %u", req->seq,
			  len, req->in_len);
	for (i = 0; i < RACE_BYTES; i++) {
		u8 byte = i < req->in_len ? expected : POISON;

		if (req->in[i] == byte)
			continue;
		race_fail(q, "request %u: byte %u is %#x in place of %#x",
			  req->seq, i, req->in[i], byte);
		return;
	}
}

/* The token is that of a request in the ring; takes it out. */
static bool give_back(struct race_queue *q, struct race_req *req)
{
	if (req < q->reqs || req >= q->reqs + RACE_REQS || !req->busy) {
		race_fail(q, "token %td was not in the ring", req - q->reqs);
		return false;
	}
	req->busy = false;
	q->in_flight--;
	return true;
}

static void tell(struct race_queue *q)
{
	atomic_inc(&q->events);
	wake_up(&q->wq);
}

/**
 * race_reap - take back and check whatever was used
 * @q: the queue, its lock held
 *
 * Return: the number of requests.
 */
unsigned int race_reap(struct race_queue *q)
{
	struct race_req *req;
	unsigned int n, len;

	for (n = 0; (req = virtqueue_get_buf(q->vq, &len)); n++)
		if (give_back(q, req))
			check(q, req, len);
	q->got += n;
	if (n)
		tell(q);
	return n;
}

/**
 * race_recycle - take back a request that was not used
 * @vq: the virtqueue, being reset
 * @buf: the request
 */
void race_recycle(struct virtqueue *vq, void *buf)
{
	struct race_queue *q = vq->vdev->priv;

	if (give_back(q, buf))
		q->recycled++;
}

/**
 * race_callback - what the ring calls in an interrupt
 * @vq: the virtqueue
 *
 * Every other time it does as network drivers do and leaves the work to a
 * thread, else as block drivers do.
 */
void race_callback(struct virtqueue *vq)
{
	struct race_queue *q = vq->vdev->priv;

	if (atomic_inc_return(&q->callbacks) & 1) {
		/* Not serialized, beside whatever a driver does. */
		virtqueue_disable_cb(vq);
		tell(q);
		return;
	}
	spin_lock(&q->lock);
	do {
		virtqueue_disable_cb(vq);
		race_reap(q);
	} while (!virtqueue_enable_cb(vq));
	spin_unlock(&q->lock);
}

/* One round; returns whether there is nothing to do before an interrupt. */
static bool step(struct race_queue *q, unsigned int round)
{
	unsigned int added = 0, reaped, state = 0;
	bool kick = false, more = false;

	spin_lock_irq(&q->lock);
	while (added < ADD_AT_ONCE && add_one(q))
		added++;
	if (added)
		kick = virtqueue_kick_prepare(q->vq);
	spin_unlock_irq(&q->lock);
	/* Not serialized: the other driver may add meanwhile. */
	if (kick && !virtqueue_notify(q->vq) && !q->lossy)
		race_fail(q, "the queue is broken");

	spin_lock_irq(&q->lock);
	virtqueue_disable_cb(q->vq);
	reaped = race_reap(q);
	switch (round % 3) {
	case 0:
		more = !virtqueue_enable_cb(q->vq);
		break;
	case 1:
		more = !virtqueue_enable_cb_delayed(q->vq);
		break;
	case 2:
		state = virtqueue_enable_cb_prepare(q->vq);
		break;
	}
	spin_unlock_irq(&q->lock);
	/* Not serialized, either: the other driver may reap meanwhile. */
	if (round % 3 == 2)
		more = virtqueue_poll(q->vq, state);
	return !added && !reaped && !more;
}

/**
 * race_driver - thread of a driver
 * @data: the queue
 *
 * Return: 0.
 */
int race_driver(void *data)
{
	struct race_queue *q = data;
	unsigned int round;

	for (round = 0; !kthread_should_stop(); round++) {
		int events;
		bool idle;

		/* What is wrong already can only get worse. */
		if (race_failed(q)) {
			schedule_timeout_interruptible(1);
			continue;
		}

		down_read(&q->quiesce);
		events = atomic_read(&q->events);
		idle = step(q, round);
		up_read(&q->quiesce);
		cond_resched();
		if (idle && !wait_event_timeout(q->wq, atomic_read(&q->events) != events ||
						race_failed(q) || kthread_should_stop(),
						q->lossy ? 1 : RACE_PATIENCE) &&
		    !q->lossy)
			race_fail(q, "a driver was not interrupted");
	}
	return 0;
}

/**
 * race_finish - see all requests back
 * @q: the queue, its drivers stopped and its device not
 */
void race_finish(struct race_queue *q)
{
	unsigned long end = jiffies + RACE_PATIENCE;

	/* A notification may have been lost on a broken queue. */
	if (q->lossy)
		virtqueue_notify(q->vq);
	for (;;) {
		unsigned int left;

		spin_lock_irq(&q->lock);
		race_reap(q);
		left = q->in_flight;
		spin_unlock_irq(&q->lock);
		if (!left)
			break;
		if (race_failed(q))
			return;
		if (time_after(jiffies, end)) {
			race_fail(q, "%u requests did not come back", left);
			return;
		}
		schedule_timeout_uninterruptible(1);
	}
	if (q->vq->num_free != virtqueue_get_vring_size(q->vq))
		race_fail(q, "%u descriptors are free of %u", q->vq->num_free,
			  virtqueue_get_vring_size(q->vq));
	if (virtqueue_detach_unused_buf(q->vq))
		race_fail(q, "a request is left that nobody added");
}

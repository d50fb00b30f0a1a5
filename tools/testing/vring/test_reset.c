// SPDX-License-Identifier: GPL-2.0
/* VIRTIO_F_RING_RESET: resizing and resetting a queue in use, 2.6.1. */
#include "test.h"

static unsigned int done_calls;

static void recycle_done(struct virtqueue *vq)
{
	check(drv_recycler->q->vq == vq);
	/* After the last of them, before the queue works again. */
	check_eq(drv_recycler->queued, 0);
	check(!drv_recycler->q->enabled);
	done_calls++;
}

static void fill(struct run *t, unsigned int n)
{
	while (n-- && t->q->vq->num_free >= 3)
		drv_submit(&t->drv, 1, 1 + n % 2, 20);
}

static void resize(struct run *t)
{
	static const unsigned int to[] = { 32, 16, 4, 1, 256, 2, 128, 8 };
	unsigned int i, n, resets = 0;

	drv_recycler = &t->drv;
	test_queue(t);
	for (i = 0; i < ARRAY_SIZE(to); i++) {
		fill(t, 5);
		drv_dev_serve(&t->drv, 2);
		if (i & 1)
			drv_reap(&t->drv);
		n = t->drv.queued;
		t->drv.recycled = 0;
		done_calls = 0;
		check_eq(virtqueue_resize(t->q->vq, to[i], drv_recycle, recycle_done), 0);
		if (virtqueue_get_vring_size(t->q->vq) != to[i])
			fail("resized to %u, asked for %u", virtqueue_get_vring_size(t->q->vq),
			     to[i]);
		check_eq(t->q->resets, ++resets);
		check_eq(t->drv.recycled, n);
		check_eq(done_calls, 1);
		check_eq(t->q->vq->num_free, to[i]);
		check_eq(dma_stats(NULL).live_maps, 0);
		drv_check_works(&t->drv);
	}
}

static void resize_packed_odd(struct run *t)
{
	drv_recycler = &t->drv;
	test_queue(t);
	fill(t, 5);
	check_eq(virtqueue_resize(t->q->vq, 11, drv_recycle, NULL), 0);
	check_eq(virtqueue_get_vring_size(t->q->vq), 11);
	drv_check_works(&t->drv);
}

static void resize_to_the_same(struct run *t)
{
	test_queue(t);
	fill(t, 3);
	check_eq(virtqueue_resize(t->q->vq, t->num, drv_recycle, recycle_done), 0);
	check_eq(t->q->resets, 0);
	check_eq(t->drv.recycled, 0);
	check(drv_dev_serve(&t->drv, 9));
	check(drv_reap(&t->drv));
	drv_check_works(&t->drv);
}

static void resize_refused(struct run *t)
{
	unsigned int n;

	test_queue(t);
	fill(t, 3);
	n = t->drv.queued;
	t->q->vq->num_max = 64;
	check_eq(virtqueue_resize(t->q->vq, 65, drv_recycle, recycle_done), -E2BIG);
	check_eq(virtqueue_resize(t->q->vq, 128, drv_recycle, recycle_done), -E2BIG);
	check_eq(virtqueue_resize(t->q->vq, 0, drv_recycle, recycle_done), -EINVAL);
	check_eq(t->q->resets, 0);
	check_eq(t->drv.queued, n);
	check_eq(drv_dev_serve(&t->drv, 9), n);
	check_eq(drv_reap(&t->drv), n);
	drv_check_works(&t->drv);
}

static void resize_split_odd(struct run *t)
{
	int err;

	drv_recycler = &t->drv;
	test_queue(t);
	fill(t, 3);
	err = virtqueue_resize(t->q->vq, 24, drv_recycle, NULL);
	check(err < 0 && err != -EBUSY);
	kernel_take_messages(SHIM_WARN, NULL);
	check_eq(virtqueue_get_vring_size(t->q->vq), t->num);
	drv_dev_serve(&t->drv, 9);
	drv_reap(&t->drv);
	drv_check_works(&t->drv);
}

static void transport_without_reset(struct run *t)
{
	struct virtio_config_ops keep = t->dev.config;
	unsigned int i, interrupts;
	unsigned long allocs;

	test_queue(t);
	fill(t, 3);
	for (i = 0; i < 3; i++) {
		t->dev.config = keep;
		if (i != 1)
			t->dev.config.disable_vq_and_reset = NULL;
		if (i != 0)
			t->dev.config.enable_vq_after_reset = NULL;
		check_eq(virtqueue_resize(t->q->vq, 32, drv_recycle, recycle_done), -ENOENT);
		check_eq(virtqueue_reset(t->q->vq, drv_recycle, recycle_done), -ENOENT);
	}
	/* One that could, with a device that cannot: nothing is even tried. */
	t->dev.config = keep;
	__virtio_clear_bit(&t->dev.vdev, VIRTIO_F_RING_RESET);
	allocs = kernel_allocs();
	interrupts = t->q->callbacks;
	check_eq(virtqueue_resize(t->q->vq, 32, drv_recycle, recycle_done), -ENOENT);
	check_eq(virtqueue_reset(t->q->vq, drv_recycle, recycle_done), -ENOENT);
	check_eq(kernel_allocs(), allocs);
	check_eq(t->q->callbacks, interrupts);
	check_eq(t->q->resets, 0);
	check(drv_dev_serve(&t->drv, 9));
	check(drv_reap(&t->drv));
	drv_check_works(&t->drv);
}

static void reset_fails(struct run *t)
{
	unsigned int n;

	test_queue(t);
	fill(t, 3);
	n = t->drv.queued;
	t->q->reset_fails = true;
	check_eq(virtqueue_resize(t->q->vq, 32, drv_recycle, recycle_done), -EIO);
	check_eq(virtqueue_reset(t->q->vq, drv_recycle, recycle_done), -EIO);
	check_eq(virtqueue_get_vring_size(t->q->vq), t->num);
	/* Nothing happened: what is in flight stays there. */
	check_eq(t->drv.queued, n);
	check_eq(drv_dev_serve(&t->drv, 9), n);
	check_eq(drv_reap(&t->drv), n);
	drv_check_works(&t->drv);
}

static struct run *running;

static void complete_and_interrupt(struct dev_queue *q)
{
	check_eq(drv_dev_serve(&running->drv, 1), 1);
	check(dev_interrupt(q));
}

static void interrupt_while_reset_fails(struct run *t)
{
	unsigned int resize;

	test_queue(t);
	running = t;
	t->q->reset_fails = true;
	t->q->in_reset = complete_and_interrupt;
	for (resize = 0; resize < 2; resize++) {
		virtqueue_disable_cb(t->q->vq);
		check(virtqueue_enable_cb(t->q->vq));
		drv_submit(&t->drv, 1, 1, 8);
		t->q->callbacks = 0;
		check_eq(resize ? virtqueue_resize(t->q->vq, 32, drv_recycle, NULL) :
			 virtqueue_reset(t->q->vq, drv_recycle, NULL), -EIO);
		/* No other interrupt comes for that buffer. */
		check_eq(t->q->callbacks, 1);
		check_eq(drv_reap(&t->drv), 1);
	}
}

static void late_interrupt(struct run *t)
{
	drv_recycler = &t->drv;
	test_queue(t);
	running = t;
	drv_submit(&t->drv, 1, 1, 8);
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	check_eq(virtqueue_resize(t->q->vq, 64, drv_recycle, NULL), 0);
	/* It was on its way when the ring was exchanged. */
	check_eq(vring_interrupt(0, t->q->vq), IRQ_NONE);
	check_eq(t->q->callbacks, 0);
	drv_check_works(&t->drv);
}

static void enable_fails(struct run *t)
{
	drv_recycler = &t->drv;
	test_queue(t);
	fill(t, 3);
	t->q->enable_fails = true;
	check_eq(virtqueue_reset(t->q->vq, drv_recycle, recycle_done), -EBUSY);
	check_eq(t->drv.queued, 0);
	t->q->vq->reset = false;
	check_eq(virtqueue_resize(t->q->vq, 32, drv_recycle, recycle_done), -EBUSY);
	check_eq(t->drv.queued, 0);
}

static void reset(struct run *t)
{
	unsigned int lap, n;

	drv_recycler = &t->drv;
	test_queue(t);
	for (lap = 0; lap < 20; lap++) {
		fill(t, lap % 7);
		drv_dev_serve(&t->drv, lap % 3);
		if (lap & 1)
			drv_reap(&t->drv);
		n = t->drv.queued;
		t->drv.recycled = 0;
		done_calls = 0;
		check_eq(virtqueue_reset(t->q->vq, drv_recycle, recycle_done), 0);
		check_eq(t->drv.recycled, n);
		check_eq(done_calls, 1);
		check_eq(t->q->resets, lap + 1);
		check_eq(virtqueue_get_vring_size(t->q->vq), t->num);
		check_eq(t->q->vq->num_free, t->num);
		check_eq(dma_stats(NULL).live_maps, 0);
		/* Odd laps start from a position in the middle. */
		if (lap & 2)
			drv_check_works(&t->drv);
		fill(t, 3);
		drv_dev_serve(&t->drv, 3);
		drv_reap(&t->drv);
	}
}

static void ring_is_clean_after_reset(struct run *t)
{
	unsigned int i, lap;
	u8 *p;

	drv_recycler = &t->drv;
	test_queue(t);
	for (lap = 0; lap < 2; lap++) {
		drv_check_works(&t->drv);
		dev_notify_never(t->q);
		virtqueue_disable_cb(t->q->vq);
		fill(t, 3);
		check_eq(lap ? virtqueue_resize(t->q->vq, 64, drv_recycle, NULL) :
			 virtqueue_reset(t->q->vq, drv_recycle, NULL), 0);
		/* 2.8.10: the driver's descriptors start as not available. */
		p = dev_ptr(t->q, t->q->desc, 16 * t->q->num, false);
		for (i = 0; t->packed && i < 16 * t->q->num; i++)
			check_eq(p[i], 0);
		check_eq(dev_get32(t->q, t->q->avail), 0);
		check_eq(dev_get32(t->q, t->q->used), 0);
		/* Interrupts are as on a new queue. */
		drv_submit(&t->drv, 1, 1, 4);
		check(virtqueue_kick_prepare(t->q->vq));
		check_eq(drv_dev_serve(&t->drv, 1), 1);
		check(dev_interrupt(t->q));
		check_eq(drv_reap(&t->drv), 1);
	}
}

static void no_callback_after_reset(struct run *t)
{
	unsigned int i, lap;

	drv_recycler = &t->drv;
	test_queue_opts(t, &(struct queue_opts){ .no_callback = true });
	for (lap = 0; lap < 2; lap++) {
		check_eq(lap ? virtqueue_resize(t->q->vq, 64, drv_recycle, NULL) :
			 virtqueue_reset(t->q->vq, drv_recycle, NULL), 0);
		t->q->interrupts = 0;
		for (i = 0; i < 40; i++) {
			drv_submit(&t->drv, 1, 1, 4);
			check_eq(drv_dev_serve(&t->drv, 1), 1);
			dev_interrupt(t->q);
			check_eq(drv_reap(&t->drv), 1);
		}
		check(t->q->interrupts <= (!t->packed && t->event));
	}
}

static void contexts_after_resize(struct run *t)
{
	struct drv_req *r;

	drv_recycler = &t->drv;
	test_queue_opts(t, &(struct queue_opts){ .ctx = true });
	check_eq(virtqueue_resize(t->q->vq, 64, drv_recycle, NULL), 0);
	r = drv_req(&t->drv, 0, 3, 5000);
	r->ctx = (void *)77;
	check_eq(drv_add_as(&t->drv, r, DRV_CTX), 0);
	check_eq(t->q->vq->num_free, 61);
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	check_eq(drv_reap(&t->drv), 1);
}

static void disabled_after_reset(struct run *t)
{
	drv_recycler = &t->drv;
	test_queue(t);
	virtqueue_enable_cb(t->q->vq);
	drv_submit(&t->drv, 1, 1, 4);
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	check(dev_interrupt(t->q));
	check_eq(virtqueue_reset(t->q->vq, drv_recycle, NULL), 0);
	/* The ring asks for interrupts again, as a new one does. */
	virtqueue_disable_cb(t->q->vq);
	drv_submit(&t->drv, 1, 1, 4);
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	check(!dev_interrupt(t->q));
	check_eq(drv_reap(&t->drv), 1);
}

const struct test reset_tests[] = {
	{ "a queue can be resized in use, up and down", resize, AXIS_ALL },
	{ "a packed queue can get a length that is no power of two", resize_packed_odd,
	  ONLY_PACKED },
	{ "resizing to the same length does nothing", resize_to_the_same, AXIS_INDIRECT },
	{ "a length that the device does not have is refused",
	  resize_refused, AXIS_INDIRECT | NEEDS(RESIZE) },
	{ "a split queue cannot get a length that is no power of two", resize_split_odd,
	  ONLY_SPLIT | NEEDS(RESIZE) },
	{ "a transport that cannot reset queues refuses", transport_without_reset, 0 },
	{ "if the device refuses the reset nothing has happened", reset_fails, AXIS_INDIRECT },
	{ "an interrupt while the device refuses the reset is not lost",
	  interrupt_while_reset_fails, AXIS_EVENT | NEEDS(STOPPED) },
	{ "an interrupt that comes late finds nothing",
	  late_interrupt, AXIS_EVENT | NEEDS(STOPPED) },
	{ "if the device does not come back the error says so", enable_fails, AXIS_ACCESS },
	{ "a reset gives every buffer back and the queue works again", reset, AXIS_ALL },
	{ "a ring is as new after a reset or resize", ring_is_clean_after_reset, AXIS_EVENT },
	{ "a queue without callback asks for no interrupts after a reset",
	  no_callback_after_reset, AXIS_EVENT },
	{ "callbacks can be disabled after a reset", disabled_after_reset, AXIS_EVENT },
	{ "a queue with contexts keeps them after a resize", contexts_after_resize, 0 },
	{ 0 }
};

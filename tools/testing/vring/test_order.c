// SPDX-License-Identifier: GPL-2.0
/* VIRTIO_F_IN_ORDER, virtio 1.2 sections 2.7.9 and 2.8.9: batches of used buffers. */
#include "test.h"

static void in_order_queue(struct run *t, const struct queue_opts *o)
{
	test_device(t, BIT_ULL(VIRTIO_F_IN_ORDER) | test_features(t));
	test_queue_opts(t, o);
}

/*
 * The device does @n requests and says so once, with the length of the last;
 * those before it count as written in full.
 */
static void serve_batch(struct run *t, unsigned int n)
{
	static struct served s[300];
	unsigned int i;

	for (i = 0; i < n; i++) {
		check(drv_dev_take(&t->drv, &s[i]));
		drv_dev_fill(&t->drv, &s[i], s[i].from->writable, s[i].from->writable);
	}
	dev_complete_batch(t->q, &s[0].req, sizeof(s[0]), n, s[n - 1].from->writable);
}

/* Requests come back in the order in which they were added. */
static void reap_in_order(struct run *t, struct drv_req **r, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		check(drv_get(&t->drv) == r[i]);
		drv_free(&t->drv, r[i]);
	}
}

static void batches(struct run *t)
{
	struct drv_req *r[16];
	unsigned int lap, i, n;

	in_order_queue(t, &(struct queue_opts){ 0 });
	for (lap = 0; lap < 100; lap++) {
		n = 1 + lap % (t->indirect ? 16 : 5);
		for (i = 0; i < n; i++)
			r[i] = drv_submit(&t->drv, (lap + i) % 2, 1 + (lap + i) % 2, 20);
		serve_batch(t, n);
		reap_in_order(t, r, n);
		check(!drv_get(&t->drv));
		check_eq(t->q->vq->num_free, t->num);
	}
}

static void one_by_one(struct run *t)
{
	unsigned int lap;

	in_order_queue(t, &(struct queue_opts){ 0 });
	for (lap = 0; lap < 5; lap++)
		drv_check_works(&t->drv);
}

static void batch_after_batch(struct run *t)
{
	struct drv_req *r[12];
	unsigned int lap, i;

	in_order_queue(t, &(struct queue_opts){ 0 });
	for (lap = 0; lap < 50; lap++) {
		for (i = 0; i < 12; i++)
			r[i] = drv_submit(&t->drv, i % 2, !(i % 2), 9);
		serve_batch(t, 1 + lap % 7);
		serve_batch(t, 12 - (1 + lap % 7));
		reap_in_order(t, r, 12);
		check(!drv_get(&t->drv));
	}
}

/* Descriptors are made available in ring order, round and round. */
static void check_ring_order(struct run *t)
{
	static struct served s;
	unsigned int i, at = 0;

	for (i = 0; i < 100; i++) {
		drv_submit(&t->drv, 0, 1 + i % 3, 200);
		check(drv_dev_take(&t->drv, &s));
		check_eq(s.req.id, at);
		at = (at + s.req.ndesc) % t->num;
		drv_dev_finish(&t->drv, &s, 200, 200);
		check_eq(drv_reap(&t->drv), 1);
	}
}

static void ring_order(struct run *t)
{
	in_order_queue(t, &(struct queue_opts){ 0 });
	check_ring_order(t);
}

/* A driver that stops in the middle of a batch is told that there is more. */
static void stops_midway(struct run *t)
{
	struct drv_req *r[6];
	unsigned int i, state;

	in_order_queue(t, &(struct queue_opts){ 0 });
	for (i = 0; i < 6; i++)
		r[i] = drv_submit(&t->drv, 0, 1, 9);
	serve_batch(t, 6);
	for (i = 0; i < 6; i++) {
		state = virtqueue_enable_cb_prepare(t->q->vq);
		check(virtqueue_poll(t->q->vq, state));
		check(!virtqueue_enable_cb(t->q->vq));
		if (i > 0)
			check(!virtqueue_enable_cb_delayed(t->q->vq));
		check_eq(vring_interrupt(0, t->q->vq), IRQ_HANDLED);
		virtqueue_disable_cb(t->q->vq);
		reap_in_order(t, r + i, 1);
	}
	check(virtqueue_enable_cb(t->q->vq));
	check_eq(vring_interrupt(0, t->q->vq), IRQ_NONE);
	drv_check_works(&t->drv);
}

static void full_length(struct run *t)
{
	static struct served s[2];
	struct drv_req *r[2];
	unsigned int len, i;

	in_order_queue(t, &(struct queue_opts){ 0 });
	for (i = 0; i < 2; i++) {
		r[i] = drv_submit(&t->drv, 0, 1, 50);
		check(drv_dev_take(&t->drv, &s[i]));
	}
	drv_dev_fill(&t->drv, &s[0], 50, 50);
	drv_dev_fill(&t->drv, &s[1], 7, 7);
	dev_complete_batch(t->q, &s[0].req, sizeof(s[0]), 2, 7);
	check(virtqueue_get_buf(t->q->vq, &len) == r[0]);
	check_eq(len, 50);
	check(virtqueue_get_buf(t->q->vq, &len) == r[1]);
	check_eq(len, 7);
	for (i = 0; i < 2; i++) {
		r[i]->queued = false;
		t->drv.queued--;
		drv_free(&t->drv, r[i]);
	}
	drv_check_works(&t->drv);
}

static void id_that_is_not_there(struct run *t)
{
	in_order_queue(t, &(struct queue_opts){ 0 });
	drv_submit(&t->drv, 0, 1, 9);
	drv_submit(&t->drv, 0, 1, 9);
	dev_forge_used(t->q, 9, 1);
	check(!virtqueue_get_buf(t->q->vq, &(unsigned int){ 0 }));
	check(virtqueue_is_broken(t->q->vq));
	check_eq(kernel_take_messages(SHIM_ERR, "not in flight"), 1);
	check_eq(drv_detach_all(&t->drv), 2);
}

static void detached_and_used_again(struct run *t)
{
	struct drv_req *r[5];
	unsigned int i;

	in_order_queue(t, &(struct queue_opts){ 0 });
	for (i = 0; i < 5; i++)
		r[i] = drv_submit(&t->drv, 0, 1, 9);
	serve_batch(t, 3);
	reap_in_order(t, r, 2);
	drv_recycler = &t->drv;
	check_eq(virtqueue_reset(t->q->vq, drv_recycle, NULL), 0);
	check_eq(t->drv.recycled, 3);
	check_ring_order(t);
}

/* The packed ring would have to be reset. */
static void detached_and_gone_on(struct run *t)
{
	struct drv_req *r[5];
	unsigned int i;

	in_order_queue(t, &(struct queue_opts){ 0 });
	for (i = 0; i < 5; i++)
		r[i] = drv_submit(&t->drv, 0, 1, 9);
	serve_batch(t, 3);
	reap_in_order(t, r, 3);
	check_eq(drv_detach_all(&t->drv), 2);
	for (i = 0; i < 5; i++)
		r[i] = drv_submit(&t->drv, 0, 1, 9);
	serve_batch(t, 5);
	reap_in_order(t, r, 5);
	drv_check_works(&t->drv);
}

static void with_contexts(struct run *t)
{
	struct drv_req *r[8];
	unsigned int lap, i;

	in_order_queue(t, &(struct queue_opts){ .ctx = true });
	for (lap = 0; lap < 20; lap++) {
		for (i = 0; i < 8; i++) {
			r[i] = drv_req(&t->drv, 0, 1, 60);
			r[i]->ctx = (void *)(0x1000UL + lap * 8 + i);
			check_eq(drv_add_as(&t->drv, r[i], DRV_CTX), 0);
		}
		serve_batch(t, 8);
		reap_in_order(t, r, 8);
	}
}

static void offered(struct run *t)
{
	test_device(t, BIT_ULL(VIRTIO_F_IN_ORDER) | test_features(t));
	vring_transport_features(&t->dev.vdev);
	check(virtio_has_feature(&t->dev.vdev, VIRTIO_F_IN_ORDER));
}

const struct test order_tests[] = {
	{ "in order: the feature survives the filter", offered, NEEDS(ORDER) },
	{ "in order: a used entry stands for all requests up to its own", batches,
	  AXIS_ALL | NEEDS(ORDER) },
	{ "in order: a device may use requests one by one", one_by_one,
	  AXIS_ALL | AXIS_NUM | NEEDS(ORDER) },
	{ "in order: batch follows batch", batch_after_batch, AXIS_ALL | NEEDS(ORDER) },
	{ "in order: descriptors come in ring order", ring_order, AXIS_INDIRECT | NEEDS(ORDER) },
	{ "in order: a driver that stops midway learns of the rest", stops_midway,
	  AXIS_ALL | NEEDS(ORDER) },
	{ "in order: all but the last of a batch count as written in full", full_length,
	  AXIS_ALL | NEEDS(ORDER) },
	{ "in order: an id that is not in flight breaks the queue", id_that_is_not_there,
	  AXIS_ALL | NEEDS(ORDER) },
	{ "in order: a reset in the middle of a batch starts anew", detached_and_used_again,
	  AXIS_INDIRECT | NEEDS(ORDER) },
	{ "in order: what follows requests that were detached takes their place",
	  detached_and_gone_on, AXIS_INDIRECT | ONLY_SPLIT | NEEDS(ORDER) },
	{ "in order: contexts come back with their requests", with_contexts,
	  AXIS_EVENT | NEEDS(ORDER) },
	{ 0 }
};

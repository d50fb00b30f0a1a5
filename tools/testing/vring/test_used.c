// SPDX-License-Identifier: GPL-2.0
/*
 * Queues whose driver reads nothing beyond the used length: how much is copied,
 * and what a device can show if it reports a wrong length.
 */
#include "test.h"
#include "ring.h"

static const struct drv_shape shapes[] = {
	{ 0, 1, { 64 } },
	{ 0, 1, { 1526 } },
	{ 0, 1, { 4096 } },
	{ 0, 2, { 12, 1500 }, DRV_EACH },
	{ 0, 3, { 100, 200, 300 } },
	{ 1, 2, { 40, 100, 2000 }, DRV_EACH },
};

static u64 bounced(const struct run *t)
{
	return to_vring(t->q->vq)->stats.bounced_bytes;
}

static u32 sum(const struct drv_shape *shape, bool in)
{
	u32 len = 0;
	unsigned int i;

	for (i = 0; i < shape->nout + shape->nin; i++)
		len += (i >= shape->nout) == in ? shape->len[i] : 0;
	return len;
}

static void used_only_queue(struct run *t)
{
	test_queue(t);
	virtqueue_set_used_only(t->q->vq);
}

/* What came, and what was sent, and nothing else. */
static void what_came_is_copied(struct run *t)
{
	static struct served s;
	unsigned int i, w;

	used_only_queue(t);
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		const u32 total = sum(&shapes[i], true), out = sum(&shapes[i], false);
		const u32 written[] = { 0, 1, 12, 13, 64, total - 1, total };

		for (w = 0; w < ARRAY_SIZE(written); w++) {
			u64 before = bounced(t);

			test_add(t, drv_req_shape(&t->drv, &shapes[i]));
			check_eq(bounced(t), before + out);
			check(drv_dev_take(&t->drv, &s));
			drv_dev_finish(&t->drv, &s, written[w], written[w]);
			check_eq(drv_reap(&t->drv), 1);
			check_eq(bounced(t), before + out + written[w]);
		}
	}
}

/* It is a matter of copies: buffers are as they would be anyway. */
static void content_is_the_same(struct run *t)
{
	static struct served s;
	unsigned int i, w;

	used_only_queue(t);
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		const u32 total = sum(&shapes[i], true);
		const u32 written[] = { 0, 1, total / 2, total };

		for (w = 0; w < ARRAY_SIZE(written); w++) {
			test_add(t, drv_req_shape(&t->drv, &shapes[i]));
			check(drv_dev_take(&t->drv, &s));
			drv_dev_finish(&t->drv, &s, written[w], written[w]);
			check_eq(drv_reap(&t->drv), 1);
		}
	}
	/* In a list that is mapped beside one that is copied. */
	for (w = 0; w <= 6012; w += 1503) {
		test_add(t, drv_req_shape(&t->drv, &(struct drv_shape) {
			1, 2, { 16, 12, 6000 }, DRV_EACH,
		}));
		check(drv_dev_take(&t->drv, &s));
		drv_dev_finish(&t->drv, &s, w, w);
		check_eq(drv_reap(&t->drv), 1);
	}
}

/* What the device wrote and did not report does not arrive. */
static void more_written_than_said(struct run *t)
{
	static struct served s;
	unsigned int i;

	used_only_queue(t);
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		const u32 total = sum(&shapes[i], true);

		test_add(t, drv_req_shape(&t->drv, &shapes[i]));
		check(drv_dev_take(&t->drv, &s));
		drv_dev_finish(&t->drv, &s, total, 13);
		s.from->written = 13;
		check_eq(drv_reap(&t->drv), 1);
	}
}

/* Behind what it did write are its own older bytes, zeroes, or the driver's. */
static void less_written_than_said(struct run *t)
{
	static struct served s;
	static u8 before[4096], other[4096];
	struct dev_queue *secret, *q;
	unsigned int len, i, round, stale = 0;
	u8 *buf;

	/* Another queue of the device has been through other memory. */
	secret = dev_create_queue(&t->dev, &(struct queue_opts){ .index = 1 });
	t->q = secret;
	drv_init(&t->drv, t->q);
	memset(other, 0x5e, sizeof(other));
	for (i = 0; i < 4; i++) {
		test_add(t, drv_req(&t->drv, 0, 1, 4096));
		check(drv_dev_take(&t->drv, &s));
		dev_write(t->q, &s.req, 0, other, sizeof(other));
		dev_complete(t->q, &s.req, 4096);
		check(virtqueue_get_buf(t->q->vq, &len) == s.from);
		drv_take_back(&t->drv, s.from);
	}

	used_only_queue(t);
	q = t->q;
	/* A pool has been all around by half of that. */
	for (round = 0; round < 64; round++) {
		u32 wrote = round < 32 ? 4096 : 10;

		test_add(t, drv_req(&t->drv, 0, 1, 4096));
		check(drv_dev_take(&t->drv, &s));
		buf = s.from->seg[0].buf;
		memcpy(before, buf, sizeof(before));
		memset(other, 0xee, sizeof(other));
		dev_write(q, &s.req, 0, other, wrote);
		dev_complete(q, &s.req, 4096);
		check(virtqueue_get_buf(q->vq, &len) == s.from);
		check_eq(len, 4096);
		for (i = 0; i < 4096; i++) {
			check(buf[i] == 0xee || (i >= wrote && (!buf[i] || buf[i] == before[i])));
			stale += i >= wrote && buf[i] == 0xee;
		}
		drv_take_back(&t->drv, s.from);
	}
	/* So it is, and the documents say so. */
	check_eq(stale, 32 * 4086);
	dev_delete_queue(secret);
}

/* Nothing came of what was never used. */
static void taken_back_untouched(struct run *t)
{
	unsigned int i;
	u64 before;

	used_only_queue(t);
	test_round_trip(t, &shapes[1]);
	before = bounced(t);
	for (i = 0; i < 8; i++)
		drv_submit(&t->drv, 0, 1, 2000);
	check_eq(drv_detach_all(&t->drv), 8);
	check_eq(bounced(t), before);
}

/* It holds for as long as there is the queue. */
static void outlives_a_reset(struct run *t)
{
	static struct served s;
	u64 before;

	used_only_queue(t);
	drv_recycler = &t->drv;
	check_eq(virtqueue_resize(t->q->vq, t->num / 2, drv_recycle, NULL), 0);
	before = bounced(t);
	test_add(t, drv_req(&t->drv, 0, 1, 2000));
	check(drv_dev_take(&t->drv, &s));
	drv_dev_finish(&t->drv, &s, 20, 20);
	check_eq(drv_reap(&t->drv), 1);
	check_eq(bounced(t), before + 20);
}

const struct test used_tests[] = {
	{ "of a queue that is read up to the used length no more than that is copied",
	  what_came_is_copied, AXIS_CELLS | AXIS_POOLS | AXIS_INDIRECT },
	{ "a queue that is read up to the used length has the same content",
	  content_is_the_same, AXIS_ACCESS | AXIS_INDIRECT },
	{ "what a device does not report does not arrive", more_written_than_said,
	  AXIS_CELLS | AXIS_POOLS },
	{ "a device that reports too much shows what it wrote before", less_written_than_said,
	  AXIS_CELLS | AXIS_POOLS },
	{ "nothing is copied of a request that was never used", taken_back_untouched,
	  AXIS_CELLS | AXIS_POOLS },
	{ "a resize does not change how far a queue is read", outlives_a_reset,
	  AXIS_CELLS | AXIS_POOLS },
	{ 0 }
};

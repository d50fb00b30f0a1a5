// SPDX-License-Identifier: GPL-2.0
/* Lengths: queues from the shortest to the longest, requests and lists that do not fit. */
#include "test.h"

#define LONGEST 32768			/* virtio 1.2 sections 2.7 and 2.8.10.1 */

static const unsigned int lengths[] = { 1, 2, 3, 256, 1024, LONGEST };

static u8 token[LONGEST], memory[64];

/* A queue of that length, with no request; false if the layout cannot have it. */
static bool queue_of(struct run *t, unsigned int num)
{
	if (num == 3 && !t->packed)
		return false;
	if (t->q)
		dev_delete_queue(t->q);
	test_queue_opts(t, &(struct queue_opts){ .num = num });
	return true;
}

static int add_token(struct run *t, unsigned int i)
{
	struct scatterlist sg;

	sg_init_one(&sg, &memory[i % 32], 1 + i % 32);
	return i & 1 ? virtqueue_add_inbuf(t->q->vq, &sg, 1, &token[i], GFP_ATOMIC) :
		       virtqueue_add_outbuf(t->q->vq, &sg, 1, &token[i], GFP_ATOMIC);
}

static void take_token(struct run *t, unsigned int i)
{
	static struct dev_req r;

	check(dev_take(t->q, &r));
	check_eq(r.nseg, 1);
	check_eq(r.seg[0].len, 1 + i % 32);
	check_eq(r.seg[0].write, i & 1);
	dev_complete(t->q, &r, 0);
}

static void get_token(struct run *t, unsigned int i)
{
	unsigned int len;

	check(virtqueue_get_buf(t->q->vq, &len) == &token[i]);
	check_eq(len, 0);
}

static void full_and_empty(struct run *t)
{
	unsigned int k, i, lap, num, len;

	for (k = 0; k < ARRAY_SIZE(lengths); k++) {
		num = lengths[k];
		if (!queue_of(t, num))
			continue;
		/* The longest has its 16-bit indexes wrap in the third lap. */
		for (lap = 0; lap < 3; lap++) {
			check(!virtqueue_get_buf(t->q->vq, &len));
			for (i = 0; i < num; i++) {
				check_eq(t->q->vq->num_free, num - i);
				check_eq(add_token(t, i), 0);
			}
			check_eq(t->q->vq->num_free, 0);
			check_eq(add_token(t, 0), -ENOSPC);
			check_eq(add_token(t, 1), -ENOSPC);
			check_eq(dev_pending(t->q, num + 1), num);
			for (i = 0; i < num; i++)
				take_token(t, i);
			check_eq(dev_pending(t->q, 1), 0);
			for (i = 0; i < num; i++)
				get_token(t, i);
			check(!virtqueue_get_buf(t->q->vq, &len));
			check_eq(t->q->vq->num_free, num);
		}
	}
}

/* Any number in flight: the positions of both sides drift over the whole ring. */
static void never_empty(struct run *t)
{
	unsigned int k, i, added, got, num;

	for (k = 0; k < ARRAY_SIZE(lengths); k++) {
		num = lengths[k];
		if (!queue_of(t, num))
			continue;
		for (added = 0, got = 0; got < 2 * num + 10; ) {
			for (i = 0; i < 1 + num / 3 && added - got < num; i++)
				check_eq(add_token(t, added++ % num), 0);
			for (i = 0; i < 1 + num / 5 && got < added; i++) {
				take_token(t, got % num);
				get_token(t, got++ % num);
			}
			check_eq(t->q->vq->num_free, num - (added - got));
		}
		check_eq(dev_pending(t->q, num), added - got);
		while (virtqueue_detach_unused_buf(t->q->vq))
			got++;
		check_eq(got, added);
		check_eq(t->q->vq->num_free, num);
	}
}

/* A kick for the whole ring; the event is before, on and behind what was added. */
static void events(struct run *t)
{
	unsigned int k, e, i, n, lap, num, told;
	u64 done;

	for (k = 0; k < ARRAY_SIZE(lengths); k++) {
		num = lengths[k];
		if (!queue_of(t, num))
			continue;
		for (done = 0, lap = 0; lap < 6; lap++) {
			const long long at[] = { -1, 0, num / 2, num - 1, num };

			e = (lap + k) % ARRAY_SIZE(at);
			/* Half of the ring from an odd place on, all of it every other time. */
			n = lap & 1 ? num : (num + 2) / 3;
			if ((at[e] < 0 && !done) || at[e] - n >= num)
				continue;
			dev_notify_at(t->q, done + at[e]);
			told = t->q->notified;
			for (i = 0; i < n; i++)
				check_eq(add_token(t, i), 0);
			/* The longest kicks by itself before its count would wrap. */
			told = t->q->notified - told + virtqueue_kick_prepare(t->q->vq);
			if (told != (at[e] >= 0 && at[e] < n))
				fail("%u added of %u, the event %lld from the first", n, num,
				     at[e]);
			for (i = 0; i < n; i++) {
				take_token(t, i);
				get_token(t, i);
			}
			done += n;
		}
	}
}

static void delayed(struct run *t)
{
	unsigned int k, i, lap, num, hit;

	for (k = 0; k < ARRAY_SIZE(lengths); k++) {
		num = lengths[k];
		if (!queue_of(t, num))
			continue;
		for (lap = 0; lap < 3; lap++) {
			virtqueue_disable_cb(t->q->vq);
			for (i = 0; i < num; i++)
				check_eq(add_token(t, i), 0);
			check(virtqueue_enable_cb_delayed(t->q->vq));
			for (hit = 0, i = 0; i < num; i++) {
				take_token(t, i);
				if (!dev_interrupt(t->q))
					continue;
				check_eq(i, num * 3 / 4);
				hit++;
			}
			check_eq(hit, 1);
			for (i = 0; i < num; i++)
				get_token(t, i);
		}
	}
}

/* ---- requests that do not fit ---- */

static void longer_than_the_ring(struct run *t)
{
	struct drv_req *r;

	t->indirect = false;
	test_device(t, test_features(t));
	test_queue(t);
	r = drv_req(&t->drv, 1, t->num, 5000);
	/* Waiting for room would be in vain. */
	check_eq(drv_add_as(&t->drv, r, DRV_SGS_EACH), -EINVAL);
	check_eq(t->q->vq->num_free, t->num);
	check_eq(dma_stats(NULL).live_maps, 0);
	drv_free(&t->drv, r);
	drv_check_works(&t->drv);
}

static void longer_without_a_table(struct run *t)
{
	struct drv_req *r;

	test_queue(t);
	r = drv_req(&t->drv, 1, t->num, 5000);
	kernel_out_of_memory(true);
	/* With memory it will fit: that is to be had again, room would not be. */
	check_eq(drv_add_as(&t->drv, r, DRV_SGS_EACH), -ENOMEM);
	kernel_out_of_memory(false);
	check_eq(t->q->vq->num_free, t->num);
	check_eq(dma_stats(NULL).live_maps, 0);
	check_eq(drv_add_as(&t->drv, r, DRV_SGS_EACH), 0);
	test_serve(t, 1);
	drv_check_works(&t->drv);
}

/* A driver that counts more entries than its list has. */
static void shorter_list(struct run *t)
{
	static const u32 lens[] = { 8, 5000 };
	struct scatterlist sg[2];
	unsigned int i, k;
	u8 *buf = kmalloc(2 * 5000, GFP_KERNEL);

	test_queue(t);
	for (k = 0; k < ARRAY_SIZE(lens); k++) {
		sg_init_table(sg, 2);
		for (i = 0; i < 2; i++)
			sg_set_buf(&sg[i], buf + 5000 * i, lens[k]);
		check_eq(virtqueue_add_inbuf(t->q->vq, sg, 3, buf, GFP_KERNEL), -EINVAL);
		check_eq(virtqueue_add_outbuf(t->q->vq, sg, 3, buf, GFP_KERNEL), -EINVAL);
		check_eq(kernel_take_warnings(), 2);
		check_eq(t->q->vq->num_free, t->num);
		check_eq(dma_stats(NULL).live_maps, 0);
		check_eq(dev_pending(t->q, 1), 0);
	}
	kfree(buf);
	drv_check_works(&t->drv);
}

/* virtqueue_add_sgs() takes lists as they come, those without entries, too. */
static void empty_list(struct run *t)
{
	static const struct { unsigned int lists, out, in; } cases[] = {
		{ 2, 1, 0 },		/* as many readable as writable lists */
		{ 2, 0, 1 },
		{ 4, 1, 1 },
	};
	struct scatterlist out, in, *sgs[4];
	static struct dev_req r;
	unsigned int len, i;

	test_queue(t);
	sg_init_one(&out, memory, 20);
	sg_init_one(&in, memory + 32, 8);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		memset(sgs, 0, sizeof(sgs));
		if (cases[i].out)
			sgs[0] = &out;
		if (cases[i].in)
			sgs[cases[i].lists - 1] = &in;
		check_eq(virtqueue_add_sgs(t->q->vq, sgs, cases[i].lists / 2,
					   cases[i].lists / 2, &token[i], GFP_ATOMIC), 0);
		check(dev_take(t->q, &r));
		check_eq(r.nseg, cases[i].out + cases[i].in);
		check_eq(r.readable, 20 * cases[i].out);
		check_eq(r.writable, 8 * cases[i].in);
		dev_complete(t->q, &r, 0);
		check(virtqueue_get_buf(t->q->vq, &len) == &token[i]);
		check_eq(dma_stats(NULL).live_maps, 0);
		check_eq(t->q->vq->num_free, t->num);
	}
}

static void broken_for_one_segment(struct run *t)
{
	test_queue(t);
	virtio_break_device(&t->dev.vdev);
	check_eq(add_token(t, 0), -EIO);
	check_eq(add_token(t, 1), -EIO);
	check_eq(t->q->vq->num_free, t->num);
	__virtio_unbreak_device(&t->dev.vdev);
	check_eq(add_token(t, 0), 0);
	take_token(t, 0);
	get_token(t, 0);
}

/* However many are mapped at once, and wherever their addresses touch. */
static void segments_are_entries(struct run *t)
{
	static const u32 lens[] = { 4096, 8192, 5000, 4097 };
	static struct served s;
	unsigned int i, k, n;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		test_queue(t);
		t->drv.place = DRV_PAGES;
		for (n = 2; n <= 12; n += 5) {
			drv_submit(&t->drv, 1, n, lens[i]);
			check(drv_dev_take(&t->drv, &s));
			check_eq(s.req.nseg, 1 + n);
			for (k = 0; k <= n; k++)
				check_eq(s.req.seg[k].len, lens[i]);
			drv_dev_finish(&t->drv, &s, n * lens[i], n * lens[i]);
			check_eq(drv_reap(&t->drv), 1);
		}
		dev_delete_queue(t->q);
	}
	test_queue(t);
}

const struct test length_tests[] = {
	{ "a queue of any length can be full and empty", full_and_empty, AXIS_EVENT },
	{ "a queue of any length works with any number of requests in flight", never_empty, 0 },
	{ "a kick meets an event anywhere in a queue of any length", events, 0 },
	{ "delayed callbacks come after three quarters of a queue of any length", delayed, 0 },
	{ "without tables a request longer than the ring is invalid", longer_than_the_ring,
	  AXIS_ACCESS | NEEDS(ERRORS) },
	{ "a request longer than the ring has to wait for memory", longer_without_a_table,
	  AXIS_ACCESS | NEEDS(ERRORS) },
	{ "a list with less entries than the driver says is refused", shorter_list,
	  AXIS_ACCESS | AXIS_INDIRECT },
	{ "a list without entries counts for nothing", empty_list, AXIS_ACCESS | AXIS_INDIRECT },
	{ "a broken queue refuses a single segment", broken_for_one_segment, AXIS_ACCESS },
	{ "a segment of a page and more is what the driver's entry was", segments_are_entries,
	  AXIS_ACCESS | AXIS_INDIRECT },
	{ 0 }
};

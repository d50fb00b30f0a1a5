// SPDX-License-Identifier: GPL-2.0
/*
 * A device that breaks the rules.  Whatever it does, the queue either goes on
 * or is broken with one message; no memory is touched that is not ours, every
 * request comes back once, and everything is unmapped with the values it was
 * mapped with.
 */
#include "test.h"

static void expect_broken(struct run *t)
{
	unsigned int n = t->drv.queued;
	struct drv_req *r;

	check(!drv_get(&t->drv));
	check(virtqueue_is_broken(t->q->vq));
	check_eq(kernel_take_messages(SHIM_WARN, NULL), 1);
	/* Once is enough. */
	check(!drv_get(&t->drv));
	r = drv_req(&t->drv, 1, 1, 8);
	check_eq(drv_add(&t->drv, r), -EIO);
	drv_free(&t->drv, r);
	check_eq(vring_interrupt(0, t->q->vq), vring_interrupt(0, t->q->vq));
	check_eq(t->q->callbacks, 0);
	check_eq(kernel_take_messages(SHIM_WARN, NULL), 0);
	check_eq(drv_detach_all(&t->drv), n);
	check_eq(t->q->vq->num_free, t->num);
	check_eq(dma_stats(NULL).live_maps, 0);
}

static void submit_some(struct run *t)
{
	drv_submit(&t->drv, 1, 0, 8);
	drv_submit(&t->drv, 1, 2, 8);
	drv_submit(&t->drv, 0, 1, 8);
}

static void id_out_of_range(struct run *t)
{
	static const u32 ids[] = { 16, 17, 255, 0x7fff, 0x8000, 0xffff };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		test_queue(t);
		submit_some(t);
		dev_forge_used(t->q, ids[i], 0);
		expect_broken(t);
		dev_delete_queue(t->q);
	}
	test_queue(t);
	if (t->packed)
		return;
	submit_some(t);
	dev_forge_used(t->q, 0x10000, 0);
	expect_broken(t);
	dev_delete_queue(t->q);
	test_queue(t);
	submit_some(t);
	dev_forge_used(t->q, 0xffffffff, 0);
	expect_broken(t);
}

static void id_not_in_flight(struct run *t)
{
	static struct dev_req r;
	bool known[16] = { 0 };
	unsigned int i;

	test_queue(t);
	submit_some(t);
	while (dev_take(t->q, &r))
		known[r.id] = true;
	for (i = 0; known[i]; i++)
		;
	dev_forge_used(t->q, i, 0);
	expect_broken(t);
}

static void id_inside_chain(struct run *t)
{
	static struct dev_req r;

	t->indirect = false;
	test_device(t, test_features(t));
	test_queue(t);
	drv_submit_as(&t->drv, 2, 3, 8, DRV_SGS_EACH);
	check(dev_take(t->q, &r));
	check_eq(r.ndesc, 5);
	dev_forge_used(t->q, (r.id + 1) % t->num, 0);
	expect_broken(t);
}

static void used_twice(struct run *t)
{
	static struct served s, other;

	test_queue(t);
	submit_some(t);
	check(drv_dev_take(&t->drv, &s));
	check(drv_dev_take(&t->drv, &other));
	drv_dev_finish(&t->drv, &s, s.from->writable, s.from->writable);
	dev_forge_used(t->q, s.req.id, 0);
	check_eq(drv_get(&t->drv) == s.from, 1);
	drv_free(&t->drv, s.from);
	expect_broken(t);
}

static void used_without_request(struct run *t)
{
	test_queue(t);
	dev_forge_used(t->q, 0, 0);
	expect_broken(t);
}

static void used_index_jumps(struct run *t)
{
	static const u16 jumps[] = { 4, 16, 17, 0x7fff, 0x8000, 0xfffd, 0xffff };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(jumps); i++) {
		test_queue(t);
		submit_some(t);
		/* More than was given; entry 0 would even name a request. */
		dev_put16(t->q, t->q->used + 2, jumps[i]);
		expect_broken(t);
		dev_delete_queue(t->q);
	}
	test_queue(t);
}

static void used_index_goes_back(struct run *t)
{
	test_queue(t);
	submit_some(t);
	check_eq(drv_dev_serve(&t->drv, 2), 2);
	check_eq(drv_reap(&t->drv), 2);
	dev_put16(t->q, t->q->used + 2, 1);
	expect_broken(t);
}

static void length_too_long(struct run *t)
{
	static const u32 lens[] = { 25, 4096, 0x7fffffff, 0xffffffff };
	static struct served s;
	unsigned int i, len;

	test_queue(t);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		struct drv_req *r = drv_submit(&t->drv, 2, 3, 8);

		check(drv_dev_take(&t->drv, &s));
		drv_dev_finish(&t->drv, &s, 24, lens[i]);
		len = 0;
		check(virtqueue_get_buf(t->q->vq, &len) == r);
		check_eq(len, 24);
		drv_take_back(&t->drv, r);
	}
	/* Nothing was writable, and the device says it wrote. */
	{
		struct drv_req *r = drv_submit(&t->drv, 1, 0, 8);

		check(drv_dev_take(&t->drv, &s));
		drv_dev_finish(&t->drv, &s, 0, 8);
		check(virtqueue_get_buf(t->q->vq, &len) == r);
		check_eq(len, 0);
		drv_take_back(&t->drv, r);
	}
	check_eq(kernel_take_messages(SHIM_INFO, NULL), 0);
	drv_check_works(&t->drv);
}

static void packed_bogus_flags(struct run *t)
{
	unsigned int flags, slot;

	for (flags = 0; flags < 4; flags++) {
		for (slot = 0; slot < 16; slot++) {
			u16 v = (flags & 1 ? 0x80 : 0) | (flags & 2 ? 0x8000 : 0);
			struct drv_req *r;

			test_queue(t);
			submit_some(t);
			dev_put16(t->q, t->q->desc + 16 * slot + 14, v);
			while ((r = virtqueue_get_buf(t->q->vq, &(unsigned int){ 0 })))
				drv_take_back(&t->drv, r);
			check(kernel_take_messages(SHIM_WARN, NULL) <= 2);
			drv_detach_all(&t->drv);
			check_eq(t->q->vq->num_free, t->num);
			dev_delete_queue(t->q);
		}
	}
	test_queue(t);
}

static void packed_wrong_wrap(struct run *t)
{
	unsigned int i;

	test_queue(t);
	submit_some(t);
	/* Used as the other lap would have it: not used. */
	for (i = 0; i < t->num; i++)
		dev_put16(t->q, t->q->desc + 16 * i + 14, 0);
	check(!drv_get(&t->drv));
	check(!virtqueue_is_broken(t->q->vq));
	check_eq(vring_interrupt(0, t->q->vq), IRQ_NONE);
}

static void packed_all_used(struct run *t)
{
	struct drv_req *r;
	unsigned int i, n = 0;

	test_queue(t);
	submit_some(t);
	for (i = 0; i < t->num; i++) {
		dev_put16(t->q, t->q->desc + 16 * i + 12, i);
		dev_put16(t->q, t->q->desc + 16 * i + 14, 0x8080);
	}
	while ((r = virtqueue_get_buf(t->q->vq, &(unsigned int){ 0 }))) {
		drv_take_back(&t->drv, r);
		check(++n <= 3);
	}
	check(kernel_take_messages(SHIM_WARN, NULL) <= 2);
	drv_detach_all(&t->drv);
	check_eq(t->q->vq->num_free, t->num);
}

/* ---- scribbling ---- */

static void fill_bytes(u8 *p, size_t n, u32 *seed, unsigned int how)
{
	while (n--) {
		*seed = *seed * 1103515245 + 12345;
		*p++ = how == 0 ? 0 : how == 1 ? 0xff : *seed >> 16;
	}
}

/* Without an IOMMU nothing stops a device from writing what it may only read. */
static void scribble(struct dev_queue *q, u64 addr, size_t len, u32 *seed, unsigned int how)
{
	fill_bytes(dev_ptr(q, addr, len, false), len, seed, how);
}

static void scribble_split(struct run *t)
{
	static struct served s[3];
	unsigned int how, i, lap;
	u32 seed = 1;

	test_queue(t);
	for (lap = 0; lap < 6; lap++) {
		how = lap % 3;
		submit_some(t);
		for (i = 0; i < 3; i++) {
			check(drv_dev_take(&t->drv, &s[i]));
			if (s[i].req.indirect) {
				u64 d = t->q->desc + 16 * s[i].req.id;

				scribble(t->q, dev_get64(t->q, d), dev_get32(t->q, d + 8),
					 &seed, how);
			}
		}
		/* Descriptors, available ring and flags: all that is the driver's. */
		scribble(t->q, t->q->desc, 16 * t->num, &seed, how);
		scribble(t->q, t->q->avail + 4, 2 * t->num, &seed, how);
		for (i = 3; i--; )
			drv_dev_finish(&t->drv, &s[i], s[i].from->writable,
				       s[i].from->writable);
		check_eq(drv_reap(&t->drv), 3);
		check_eq(dma_stats(NULL).live_maps, 0);
		check_eq(t->q->vq->num_free, t->num);
	}
	drv_check_works(&t->drv);
}

static void scribble_packed(struct run *t)
{
	static struct served s[3];
	unsigned int how, i, lap;
	u32 seed = 1;

	test_queue(t);
	for (lap = 0; lap < 6; lap++) {
		u64 from = t->q->done;

		how = lap % 3;
		submit_some(t);
		for (i = 0; i < 3; i++) {
			u64 at = t->q->taken;

			check(drv_dev_take(&t->drv, &s[i]));
			if (s[i].req.indirect) {
				u64 d = t->q->desc + 16 * (at % t->num);

				scribble(t->q, dev_get64(t->q, d), dev_get32(t->q, d + 8),
					 &seed, how);
			}
		}
		/* Their addresses, lengths and ids; flags stay as not used. */
		for (; from < t->q->taken; from++)
			scribble(t->q, t->q->desc + 16 * (from % t->num), 14, &seed, how);
		for (i = 3; i--; )
			drv_dev_finish(&t->drv, &s[i], s[i].from->writable,
				       s[i].from->writable);
		check_eq(drv_reap(&t->drv), 3);
		check_eq(dma_stats(NULL).live_maps, 0);
		check_eq(t->q->vq->num_free, t->num);
	}
	drv_check_works(&t->drv);
}

static void scribble_then_detach(struct run *t)
{
	unsigned int how, in_use = 16 * 16 + 4 + 2 * 16;
	u32 seed = 3;

	for (how = 0; how < 5; how++) {
		test_queue(t);
		submit_some(t);
		scribble(t->q, t->q->desc, t->packed ? 16 * t->num : in_use, &seed, how);
		scribble(t->q, t->q->used, 4, &seed, how);
		scribble(t->q, t->q->avail, 4, &seed, how);
		check_eq(drv_detach_all(&t->drv), 3);
		check_eq(t->q->vq->num_free, t->num);
		check_eq(dma_stats(NULL).live_maps, 0);
		dev_delete_queue(t->q);
	}
	test_queue(t);
}

static void events_of_any_value(struct run *t)
{
	unsigned int i;
	u32 seed = 1;

	test_queue(t);
	for (i = 0; i < 3000; i++) {
		u64 event = t->packed ? t->q->used :
			    t->event ? t->q->used + 4 + 8 * t->num : t->q->used;

		seed = seed * 1103515245 + 12345;
		dev_put16(t->q, event, seed >> 16);
		if (t->packed)
			dev_put16(t->q, event + 2, seed >> 13);
		drv_submit(&t->drv, 1, 1, 4);
		check(virtqueue_kick(t->q->vq));
		check_eq(drv_dev_serve(&t->drv, 1), 1);
		check_eq(drv_reap(&t->drv), 1);
	}
	drv_check_works(&t->drv);
}

static void polls_of_any_state(struct run *t)
{
	unsigned int i;

	test_queue(t);
	submit_some(t);
	check_eq(drv_dev_serve(&t->drv, 2), 2);
	for (i = 0; i < t->num; i++) {
		virtqueue_poll(t->q->vq, i);
		virtqueue_poll(t->q->vq, i | 0x8000);
	}
	check_eq(drv_reap(&t->drv), 2);
}

/* ---- changes of mind ---- */

static struct { struct run *t; u32 seed; } mind;

static void change_mind(void *arg)
{
	struct run *t = arg;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		mind.seed = mind.seed * 1103515245 + 12345;
		if (t->packed)
			dev_put16(t->q, t->q->desc + 16 * ((mind.seed >> 8) % t->num) + 12,
				  mind.seed >> 20);
		else
			dev_put32(t->q, t->q->used + 4 + 8 * ((mind.seed >> 8) % t->num),
				  mind.seed >> 24);
	}
	if (!t->packed && !(mind.seed & 0x300))
		dev_put16(t->q, t->q->used + 2, mind.seed >> 16);
}

static void changes_of_mind(struct run *t)
{
	unsigned int lap, n;

	mind.t = t;
	for (lap = 0; lap < 300; lap++) {
		struct drv_req *r;

		mind.seed = lap;
		test_queue(t);
		submit_some(t);
		drv_dev_serve(&t->drv, 2);
		n = t->drv.queued;
		kernel_set_barrier_hook(change_mind, t);
		virtqueue_enable_cb(t->q->vq);
		while ((r = virtqueue_get_buf(t->q->vq, &(unsigned int){ 0 }))) {
			check(r->queued);
			drv_take_back(&t->drv, r);
			n--;
		}
		virtqueue_enable_cb_delayed(t->q->vq);
		kernel_set_barrier_hook(NULL, NULL);
		check(kernel_take_messages(SHIM_WARN, NULL) <= 2);
		check_eq(drv_detach_all(&t->drv), n);
		check_eq(t->q->vq->num_free, t->num);
		dev_delete_queue(t->q);
	}
	test_queue(t);
}

const struct test hostile_tests[] = {
	{ "a used id out of range breaks the queue", id_out_of_range, AXIS_ALL },
	{ "a used id that is not in flight breaks the queue", id_not_in_flight, AXIS_ALL },
	{ "a used id inside of a chain breaks the queue", id_inside_chain, AXIS_ACCESS },
	{ "a request used twice comes back once and breaks the queue", used_twice, AXIS_ALL },
	{ "a used buffer on an empty queue breaks it", used_without_request, AXIS_ALL },
	{ "a used index that jumps breaks the queue", used_index_jumps,
	  ONLY_SPLIT | AXIS_ALL },
	{ "a used index that goes back breaks the queue", used_index_goes_back,
	  ONLY_SPLIT | AXIS_ALL },
	{ "a used length beyond the buffer is cut down without a word", length_too_long,
	  AXIS_ALL },
	{ "flags of any value in any descriptor do no harm", packed_bogus_flags,
	  ONLY_PACKED | AXIS_INDIRECT },
	{ "flags of the wrong lap are not taken for used", packed_wrong_wrap,
	  ONLY_PACKED | AXIS_INDIRECT },
	{ "all descriptors used at once return each request once at most", packed_all_used,
	  ONLY_PACKED | AXIS_INDIRECT },
	{ "scribbling over descriptors, tables and available ring changes nothing",
	  scribble_split, ONLY_SPLIT | AXIS_ALL },
	{ "scribbling over descriptors and tables changes nothing", scribble_packed,
	  ONLY_PACKED | AXIS_ALL },
	{ "scribbling over the whole ring leaves every buffer to be detached",
	  scribble_then_detach, AXIS_ALL },
	{ "events of any value do no harm", events_of_any_value, AXIS_EVENT },
	{ "polling with any state does no harm", polls_of_any_state, AXIS_EVENT },
	{ "a device that changes its mind between two reads does no harm", changes_of_mind,
	  AXIS_INDIRECT | AXIS_EVENT },
	{ 0 }
};

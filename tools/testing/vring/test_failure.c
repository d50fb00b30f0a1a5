// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation and every mapping fails once: the first, then the second,
 * and so on until none is left.
 */
#include "test.h"

static void create(struct run *t)
{
	unsigned int n;

	for (n = 1; ; n++) {
		struct queue_opts o = { .num = t->num };
		struct dev_queue *q;

		fail_nth(n);
		q = dev_create_queue(&t->dev, &o);
		if (!fail_nth_fired()) {
			check(q);
			break;
		}
		fail_nth(0);
		check(!q);
		check(list_empty(&t->dev.vdev.vqs));
		check_eq(kernel_live_allocs(), 0);
		check_eq(dma_stats(NULL).live_coherent, 0);
	}
	/* The queue itself, its memory, the state of its requests at least. */
	check(n > 3);
	fail_nth(0);
	drv_init(&t->drv, &t->dev.queue[0]);
	drv_check_works(&t->drv);
}

static void new_on_pages(struct run *t)
{
	dma_addr_t addr;
	void *pages = dma_alloc_coherent(&t->dev.parent, PAGE_SIZE, &addr, GFP_KERNEL);
	struct queue_opts o = { .num = 16, .pages = pages, .pages_addr = addr };
	unsigned int n;

	for (n = 1; ; n++) {
		struct dev_queue *q;

		fail_nth(n);
		q = dev_create_queue(&t->dev, &o);
		if (!fail_nth_fired()) {
			check(q);
			dev_delete_queue(q);
			break;
		}
		check(!q);
		check_eq(kernel_live_allocs(), 0);
	}
	fail_nth(0);
	dma_free_coherent(&t->dev.parent, PAGE_SIZE, pages, addr);
}

/*
 * Sweep one request; @before requests are in flight around it.  If it is @cold,
 * the ring has to find memory for its cells anew each time.  How often it was
 * refused, and then went through the next time.
 */
static unsigned int sweep_add(struct run *t, const struct drv_shape *shape, unsigned int before,
			      bool cold)
{
	unsigned int n, i, failures = 0;

	/* Once without a failure first, for what stays allocated. */
	for (n = 0; ; n++) {
		struct drv_req *r = drv_req_shape(&t->drv, shape);
		unsigned int num_free, pending;
		struct dma_stats s;
		unsigned long live;
		bool fired;
		int err;

		if (cold) {
			check_eq(virtqueue_reset(t->q->vq, drv_recycle, NULL), 0);
			check_eq(kernel_live_pages(), 0);
		}
		for (i = 0; i < before; i++)
			drv_submit(&t->drv, i % 2, 1, 6);
		num_free = t->q->vq->num_free;
		pending = dev_pending(t->q, t->num);
		live = kernel_live_allocs();
		s = dma_stats(NULL);

		fail_nth(n);
		err = drv_add_as(&t->drv, r, DRV_SGS_LISTS);
		fired = fail_nth_fired();
		fail_nth(0);
		if (err) {
			failures++;
			check(fired);
			check_eq(err, test_map_error(t));
			check_eq(t->q->vq->num_free, num_free);
			check_eq(dev_pending(t->q, t->num), pending);
			/* What remembers requests stays, as cells do. */
			check(kernel_live_allocs() == live ||
			      (cold && kernel_live_allocs() == live + 1));
			check_eq(dma_stats(NULL).live_maps, s.live_maps);
			check(!virtqueue_is_broken(t->q->vq));
			/* The same request goes through next time. */
			check_eq(drv_add_as(&t->drv, r, DRV_SGS_LISTS), 0);
		}
		check_eq(drv_dev_serve(&t->drv, t->num), before + 1);
		check_eq(drv_reap(&t->drv), before + 1);
		check_eq(t->q->vq->num_free, t->num);
		check_eq(dma_stats(NULL).live_maps, 0);
		if (n && !fired)
			return failures;
	}
}

/* Requests of every small shape.  What is copied can always be mapped instead. */
static void sweep_small(struct run *t)
{
	struct drv_shape small = { .len = { 10, 10, 10, 10, 10, 10, 10, 10 } };
	const bool unasked = test_unasked(t);
	unsigned int before, failures;

	drv_recycler = &t->drv;
	/* A list is mapped entry by entry, each of which can fail. */
	dma_iova_limit = 1;
	for (before = 0; before <= 5; before += 5) {
		for (small.nout = 0; small.nout < 5; small.nout += 2) {
			for (small.nin = !small.nout; small.nin < 5; small.nin += 2) {
				failures = sweep_add(t, &small, before, small.nin == 2);
				check_eq(failures > 0, !unasked && !test_copied(t));
			}
		}
	}
	drv_check_works(&t->drv);
}

static void add(struct run *t)
{
	test_queue(t);
	sweep_small(t);
}

static void add_with_contexts(struct run *t)
{
	test_queue_opts(t, &(struct queue_opts){ .ctx = true });
	sweep_small(t);
}

static void add_in_order(struct run *t)
{
	test_device(t, BIT_ULL(VIRTIO_F_IN_ORDER) | test_features(t));
	test_queue(t);
	sweep_small(t);
}

static void add_large(struct run *t)
{
	static const struct drv_shape shapes[] = {
		/* One entry, or three, to be mapped in one direction or both. */
		{ 1, 0, { 5000 } },
		{ 0, 1, { 5000 } },
		{ 3, 3, { 5000, 5000, 5000, 5000, 5000, 5000 } },
		/* With lists that are copied before, between and behind. */
		{ 2, 2, { 16, 5000, 5000, 1 }, BIT(0) | BIT(2) },
		{ 4, 5, { 16, 4096, 3000, 3000, 100, 5000, 2000, 3000, 1 },
		  BIT(0) | BIT(1) | BIT(4) | BIT(5) | BIT(7) },
		/* More entries in cells than are remembered for nothing. */
		{ 0, 9, { 300, 300, 300, 300, 300, 300, 5000, 5000, 1 }, BIT(5) | BIT(7) },
		/* A table that does not fit next to the data. */
		{ 1, 18, { 3000, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 5000 },
		  0x3ffff },
	};
	unsigned int i, cold;

	drv_recycler = &t->drv;
	test_queue_opts(t, &(struct queue_opts){ .num = 32 });
	t->num = 32;
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		for (cold = 0; cold < 2; cold++) {
			/* A list that cannot be mapped is, entry by entry. */
			dma_iova_limit = 0;
			sweep_add(t, &shapes[i], i % 3, cold);
			dma_iova_limit = 1;
			check_eq(sweep_add(t, &shapes[i], i % 3, cold) > 0,
				 !test_unasked(t) && !test_pooled(t));
		}
	}
	drv_check_works(&t->drv);
}

/* Room for a table, but not for the request without. */
static void add_without_room(struct run *t)
{
	static const struct drv_shape shapes[] = {
		{ 2, 2, { 8, 8, 8, 8 }, 0xf },
		{ 3, 2, { 16, 3000, 3000, 5000, 1 }, BIT(0) | BIT(2) | BIT(3) },
		{ 1, 18, { 3000, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 5000 },
		  0x3ffff },
	};
	unsigned int i, k, n;

	test_queue_opts(t, &(struct queue_opts){ .num = 32 });
	for (k = 0; k < 30; k++)
		drv_submit(&t->drv, 0, 1, 4);
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		for (n = 1; ; n++) {
			struct drv_req *r = drv_req_shape(&t->drv, &shapes[i]);
			unsigned long live = kernel_live_allocs();
			unsigned long maps = dma_stats(NULL).live_maps;
			bool fired;
			int err;

			fail_nth(n);
			err = drv_add_as(&t->drv, r, DRV_SGS_LISTS);
			fired = fail_nth_fired();
			fail_nth(0);
			if (err) {
				check(fired);
				check(err == -ENOMEM || err == -ENOSPC);
				check_eq(t->q->vq->num_free, 2);
				check_eq(kernel_live_allocs(), live);
				check_eq(dma_stats(NULL).live_maps, maps);
				drv_free(&t->drv, r);
			} else {
				check_eq(t->q->vq->num_free, 1);
				check_eq(drv_dev_serve(&t->drv, 40), t->drv.queued);
				drv_reap(&t->drv);
				for (k = 0; k < 30; k++)
					drv_submit(&t->drv, 0, 1, 4);
			}
			if (!fired)
				break;
		}
		check(n > 1 || !i);
	}
}

static void add_premapped(struct run *t)
{
	unsigned int n, failures = 0;

	test_queue(t);
	drv_premap(&t->drv);
	for (n = 1; ; n++) {
		struct drv_req *r = drv_req(&t->drv, 2, 3, 10);
		bool fired;
		int err;

		/* The driver's own five mappings come first and must not fail. */
		fail_nth(5 + n);
		err = drv_add(&t->drv, r);
		fired = fail_nth_fired();
		fail_nth(0);
		if (err) {
			failures++;
			check(fired);
			check_eq(err, test_map_error(t));
			check_eq(t->q->vq->num_free, t->num);
			check_eq(dma_stats(NULL).live_maps, 5);
			drv_free(&t->drv, r);
		} else {
			check_eq(drv_dev_serve(&t->drv, 2), 1);
			check_eq(drv_reap(&t->drv), 1);
		}
		check_eq(dma_stats(NULL).live_maps, 0);
		if (!fired)
			break;
	}
	/* Where tables are copied a request can do without. */
	check_eq(failures > 0, t->indirect && !test_has_cells(t) && !test_map_only(t) &&
		 !(RING_POOL && test_bounced(t)));
	drv_check_works(&t->drv);
}

static void no_table_no_room(struct run *t)
{
	struct drv_req *r;
	unsigned int i;

	/* Neither a table nor as many descriptors: an error, not a mess. */
	test_queue(t);
	for (i = 0; i < t->num - 2; i++)
		drv_submit(&t->drv, 0, 1, 4);
	r = drv_req(&t->drv, 2, 2, 8);
	kernel_out_of_memory(true);
	check_eq(drv_add_as(&t->drv, r, DRV_SGS_EACH), -ENOSPC);
	kernel_out_of_memory(false);
	check_eq(t->q->vq->num_free, 2);
	check_eq(drv_add_as(&t->drv, r, DRV_SGS_EACH), 0);
	check_eq(drv_dev_serve(&t->drv, t->num), t->num - 1);
	check_eq(drv_reap(&t->drv), t->num - 1);
	drv_check_works(&t->drv);
}

static void no_table_then_direct(struct run *t)
{
	static struct served s;

	test_queue(t);
	kernel_out_of_memory(true);
	drv_submit_as(&t->drv, 2, 2, 8, DRV_SGS_EACH);
	kernel_out_of_memory(false);
	check(drv_dev_take(&t->drv, &s));
	check(!s.req.indirect);
	check_eq(t->q->vq->num_free, t->num - 4);
	drv_dev_finish(&t->drv, &s, 16, 16);
	/* A table for the next one: the two kinds mix. */
	drv_submit_as(&t->drv, 2, 2, 8, DRV_SGS_EACH);
	check(drv_dev_take(&t->drv, &s));
	check(s.req.indirect);
	drv_dev_finish(&t->drv, &s, 16, 16);
	check_eq(drv_reap(&t->drv), 2);
	drv_check_works(&t->drv);
}

static void sweep_resize(struct run *t)
{
	unsigned int n, i, to;

	drv_recycler = &t->drv;
	for (to = 32; to; to = to == 32 ? 8 : 0) {
		for (n = 1; ; n++) {
			unsigned int size = virtqueue_get_vring_size(t->q->vq), want;
			bool fired;
			int err;

			/* One with a table, if there are any. */
			for (i = 0; i < 3; i++)
				drv_submit(&t->drv, 0, 1 + i, 8);
			want = size == to ? to / 2 : to;
			t->drv.recycled = 0;
			fail_nth(n);
			err = virtqueue_resize(t->q->vq, want, drv_recycle, NULL);
			fired = fail_nth_fired();
			fail_nth(0);
			check_eq(err, fired ? -ENOMEM : 0);
			check_eq(virtqueue_get_vring_size(t->q->vq), fired ? size : want);
			/* Recycled or still in flight, but not lost. */
			check_eq(t->drv.recycled + t->drv.queued, 3);
			check_eq(drv_dev_serve(&t->drv, 9), t->drv.queued);
			check_eq(t->drv.recycled + drv_reap(&t->drv), 3);
			drv_check_works(&t->drv);
			if (!fired)
				break;
		}
	}
}

static void resize(struct run *t)
{
	test_queue(t);
	sweep_resize(t);
}

static void resize_premapped(struct run *t)
{
	test_queue(t);
	drv_premap(&t->drv);
	sweep_resize(t);
}

static void reset(struct run *t)
{
	drv_recycler = &t->drv;
	test_queue(t);
	drv_submit(&t->drv, 2, 2, 8);
	/* It allocates nothing: it cannot fail. */
	fail_nth(1);
	check_eq(virtqueue_reset(t->q->vq, drv_recycle, NULL), 0);
	check(!fail_nth_fired());
	fail_nth(0);
	check_eq(t->drv.recycled, 1);
	drv_check_works(&t->drv);
}

static void bounce_buffer_is_full(struct run *t)
{
	struct drv_req *r;

	t->access = BOUNCED;
	test_device(t, test_features(t));
	test_queue(t);
	/* More than can be mapped at once, after some that can. */
	r = drv_req(&t->drv, 1, 2, 8);
	shim_free(r->seg[2].mem);
	r->seg[2].mem = kmalloc(300 << 10, GFP_KERNEL);
	r->seg[2].buf = r->seg[2].mem;
	r->seg[2].len = 300 << 10;
	check_eq(drv_add(&t->drv, r), test_map_error(t));
	check(kernel_take_messages(SHIM_WARN, "swiotlb") >= 1);
	check_eq(dma_stats(NULL).live_maps, 0);
	drv_free(&t->drv, r);
	drv_check_works(&t->drv);
}

const struct test failure_tests[] = {
	{ "creating a queue can fail anywhere and leaves nothing", create,
	  AXIS_ACCESS | AXIS_NUM },
	{ "vring_new_virtqueue can fail anywhere and leaves nothing", new_on_pages,
	  ONLY_SPLIT },
	{ "adding a request can fail anywhere and leaves the queue as it was", add, AXIS_ALL },
	{ "adding a request can fail anywhere on a queue with contexts", add_with_contexts,
	  AXIS_ACCESS },
	{ "adding a request can fail anywhere on a queue that is used in order", add_in_order,
	  AXIS_ACCESS | AXIS_INDIRECT },
	{ "adding a large request can fail anywhere and leaves the queue as it was", add_large,
	  AXIS_ALL },
	{ "adding a request without room for it can fail anywhere and leaves the queue full",
	  add_without_room, AXIS_ACCESS | NEEDS(ERRORS) },
	{ "adding a premapped request can fail anywhere and unmaps nothing of the driver's",
	  add_premapped, AXIS_ALL },
	{ "without memory for a table and room for all of it a request is refused",
	  no_table_no_room, AXIS_ACCESS },
	{ "without memory for a table a request goes in direct descriptors",
	  no_table_then_direct, AXIS_ACCESS },
	{ "resizing can fail anywhere and the queue goes on as it was", resize,
	  AXIS_ACCESS | AXIS_INDIRECT | NEEDS(RESIZE) },
	{ "resizing can fail anywhere with premapped buffers", resize_premapped,
	  AXIS_ACCESS | AXIS_INDIRECT | NEEDS(RESIZE) },
	{ "resetting needs no memory", reset, AXIS_ACCESS },
	{ "a mapping that is too big fails the request and unmaps the rest",
	  bounce_buffer_is_full, AXIS_INDIRECT },
	{ 0 }
};

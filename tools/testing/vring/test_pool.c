// SPDX-License-Identifier: GPL-2.0
/*
 * The pool of a virtqueue whose every buffer is bounced: where a request is
 * placed, which requests find no room, how the pool grows, and that all of it
 * is freed.
 *
 * In these variants, any mapping is a failure: see dma_shared_only.
 */
#include "test.h"
#include "ring.h"

#define KIB		1024U
#define UNIT		512U
#define FIRST		(64 * KIB)	/* bytes of the first block */
#define LARGEST		(4096 * KIB)	/* and of the largest */

static u32 pool_bytes(const struct run *t)
{
	return to_vring(t->q->vq)->stats.cell_bytes;
}

/* Pages of shared memory that all queues have, rings aside. */
static unsigned int device_pages(const struct run *t)
{
	return atomic_read(&t->dev.vdev.cell_pages);
}

/* Add a request and have the device take it; what it got. */
static struct served *take(struct run *t, struct drv_req *r)
{
	static struct served s;

	test_add(t, r);
	check(drv_dev_take(&t->drv, &s));
	check(s.from == r);
	return &s;
}

static void finish(struct run *t, struct served *s)
{
	drv_dev_finish(&t->drv, s, s->from->writable, s->from->writable);
}

/* Where a request of one buffer is put; it stays in flight. */
static u64 put(struct run *t, u32 len, struct served *s)
{
	test_add(t, drv_req(&t->drv, 0, 1, len));
	check(drv_dev_take(&t->drv, s));
	check_eq(s->req.nseg, 1);
	return s->req.seg[0].addr;
}

/*
 * Every block, each of which has twice the size of the one before, has room for
 * a request of its length: all of its units are free.
 */
static void check_all_free(struct run *t)
{
	const u32 bytes = pool_bytes(t);
	unsigned long maps = dma_stats(NULL).maps;
	unsigned int n = 0;
	u32 size;

	for (size = FIRST; size - FIRST < bytes; size *= 2)
		n++;
	check_eq(size - FIRST, bytes);
	while ((size /= 2) >= FIRST)
		drv_submit(&t->drv, 0, 1, size);
	check_eq(pool_bytes(t), bytes);
	check_eq(dma_stats(NULL).maps, maps);
	test_serve(t, n);
}

/* ---- where a request is ---- */

static void in_one_run(struct run *t)
{
	/* Offsets in the run of each list, and of the table. */
	static const struct {
		struct drv_shape shape;
		u32 at[6], table;
	} cases[] = {
		{ { 1, 0, { 1 } }, { 0 } },
		{ { 0, 1, { 511 } }, { 0 } },
		{ { 0, 1, { 512 } }, { 0 } },
		{ { 1, 0, { 9000 } }, { 0 } },
		/* Small ones follow one another at multiples of 16. */
		{ { 1, 1, { 16, 1 } }, { 0, 16 }, 32 },
		{ { 2, 2, { 17, 15, 33, 1 }, DRV_EACH }, { 0, 32, 48, 96 }, 112 },
		/* From 512 bytes on at multiples of that, from a page on at pages. */
		{ { 2, 2, { 100, 600, 511, 512 }, DRV_EACH }, { 0, 512, 1120, 2048 }, 2560 },
		{ { 1, 1, { 4095, 4096 } }, { 4096, 0 }, 8192 },
		{ { 2, 2, { 16, 5000, 4096, 1 }, DRV_EACH }, { 12288, 0, 8192, 12304 }, 12320 },
		/* Blocks read and written: the data is first. */
		{ { 1, 2, { 16, 4096, 1 }, DRV_EACH }, { 4096, 0, 4112 }, 4128 },
		{ { 2, 1, { 16, 5000, 1 }, DRV_EACH }, { 5120, 0, 5136 }, 5152 },
		/* Lists count, not entries: of 400, 4,096 and 4,096 bytes. */
		{ { 6, 4, { 100, 100, 100, 100, 4000, 96, 1024, 1024, 1024, 1024 },
		    BIT(3) | BIT(5) }, { 8192, 0, 4096 }, 8592 },
	};
	static struct served before;
	struct served *s;
	unsigned int i, n;
	u64 run, block;
	bool pages;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		test_queue(t);
		block = put(t, 1, &before);
		s = take(t, drv_req_shape(&t->drv, &cases[i].shape));
		run = s->req.seg[0].addr - cases[i].at[0];
		for (n = 0, pages = false; n < s->req.nseg; n++) {
			check_eq(s->req.seg[n].addr, run + cases[i].at[n]);
			pages |= s->req.seg[n].len >= PAGE_SIZE;
		}
		/* A run begins after the last one, but where pages are in it at a page. */
		check_eq(run - block, pages ? PAGE_SIZE : UNIT);
		check_eq(s->req.indirect, t->indirect && cases[i].table);
		if (s->req.indirect)
			check_eq(dev_get64(t->q, t->q->desc + 16), run + cases[i].table);
		check_eq(t->q->vq->num_free, t->num - 1 - (s->req.indirect ? 1 : n));
		/* The ring and a block; the request itself costs nothing. */
		check_eq(dma_stats(NULL).live_coherent, 2);
		check_eq(dma_stats(NULL).maps, 0);
		check_eq(pool_bytes(t), FIRST);
		finish(t, s);
		finish(t, &before);
		check_eq(drv_reap(&t->drv), 2);
		check_all_free(t);
		dev_delete_queue(t->q);
	}
	test_queue(t);
}

static void joined_up_to_a_page(struct run *t)
{
	static const struct {
		unsigned int entries;
		u32 len[8], segs[8];
	} cases[] = {
		{ 8, { 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096 },
		  { 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096 } },
		{ 5, { 1024, 1024, 1024, 1024, 1024 }, { 4096, 1024 } },
		{ 5, { 1024, 1024, 1024, 1025, 1024 }, { 3072, 2049 } },
		{ 5, { 128, 128, 128, 128, 128 }, { 640 } },
		{ 3, { 1, 4096, 1 }, { 1, 4096, 1 } },
		{ 3, { 1, 4095, 1 }, { 4096, 1 } },
		/* Nothing joins a longer one. */
		{ 3, { 100, 8192, 100 }, { 100, 8192, 100 } },
		{ 4, { 8192, 100, 100, 8192 }, { 8192, 200, 8192 } },
	};
	unsigned int i, k, in;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (in = 0; in < 2; in++) {
			struct drv_shape shape = { .nout = cases[i].entries };
			struct served *s;

			if (in)
				swap(shape.nout, shape.nin);
			memcpy(shape.len, cases[i].len, sizeof(cases[i].len));
			test_queue(t);
			s = take(t, drv_req_shape(&t->drv, &shape));
			for (k = 0; k < ARRAY_SIZE(cases[i].segs) && cases[i].segs[k]; k++)
				check_eq(s->req.seg[k].len, cases[i].segs[k]);
			check_eq(s->req.nseg, k);
			check_eq(s->req.indirect, t->indirect && k > 1);
			finish(t, s);
			check_eq(drv_reap(&t->drv), 1);
			dev_delete_queue(t->q);
		}
	}
	test_queue(t);
}

/* Where one ends and the next begins, a header stays a header. */
static void lists_are_not_joined(struct run *t)
{
	static const struct drv_shape shapes[] = {
		{ 3, 3, { 4096, 4096, 4096, 4096, 4096, 4096 }, DRV_EACH },
		{ 3, 3, { 16, 16, 16, 16, 16, 16 }, DRV_EACH },
		{ 3, 3, { 512, 1024, 512, 16, 512, 16 }, DRV_EACH },
	};
	struct served *s;
	unsigned int i;

	test_queue(t);
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		s = take(t, drv_req_shape(&t->drv, &shapes[i]));
		check_eq(s->req.nseg, 6);
		finish(t, s);
		check_eq(drv_reap(&t->drv), 1);
	}
}

static void large_requests(struct run *t)
{
	unsigned int in;
	struct served *s;

	test_queue_opts(t, &(struct queue_opts){ .num = 256 });
	for (in = 0; in < 2; in++) {
		/* 1 MiB of pages, one after another. */
		s = take(t, drv_req(&t->drv, in ? 0 : 256, in ? 256 : 0, 4096));
		check_eq(s->req.nseg, 256);
		check_eq(s->req.seg[0].addr % PAGE_SIZE, 0);
		check_eq(s->req.seg[255].addr - s->req.seg[0].addr, 255 * PAGE_SIZE);
		finish(t, s);
		check_eq(drv_reap(&t->drv), 1);
	}
	/* Beside the data is a table, or nothing. */
	check_eq(pool_bytes(t), t->indirect ? 2048 * KIB : 1024 * KIB);
}

static void of_no_bytes(struct run *t)
{
	static struct dev_req r;
	struct scatterlist sg[3], *sgs[3] = { &sg[0], &sg[1], &sg[2] };
	static u8 buf[16];
	unsigned int i, len;

	/* As the first request there is, and when there is a block. */
	test_queue(t);
	for (i = 0; i < 2; i++) {
		sg_init_one(&sg[0], buf, 0);
		check_eq(virtqueue_add_inbuf(t->q->vq, sg, 1, buf, GFP_ATOMIC), 0);
		check(dev_take(t->q, &r));
		check_eq(r.nseg, 1);
		check_eq(r.writable, 0);
		dev_complete(t->q, &r, 0);
		check(virtqueue_get_buf(t->q->vq, &len) == buf);
	}
	for (i = 0; i < 3; i++)
		sg_init_one(&sg[i], buf, i == 1 ? 0 : 16);
	check_eq(virtqueue_add_sgs(t->q->vq, sgs, 1, 2, buf, GFP_ATOMIC), 0);
	check(dev_take(t->q, &r));
	check_eq(r.nseg, 3);
	check_eq(r.seg[1].len, 0);
	dev_complete(t->q, &r, 16);
	check(virtqueue_get_buf(t->q->vq, &len) == buf);
	check_all_free(t);
}

/* ---- the units of a block ---- */

static void units_are_taken_in_turn(struct run *t)
{
	/* A buffer of @len is put @at; then that which was put @done steps ago is used. */
	static const struct { u32 len, at; unsigned int done; } steps[] = {
		/* A quarter of the block each. */
		{ 16384, 0 }, { 16384, 16384 }, { 16384, 32768, 2 }, { 16384, 49152, 2 },
		/* At the end of it: from the start. */
		{ 16384, 0, 2 }, { 16384, 16384, 2 }, { 16384, 32768, 2 },
		{ 8192, 49152 }, { 4096, 57344, 3 },
		/* Too long for the page that is left there. */
		{ 8192, 0 }, { 1, 8192 }, { 1, 8704 }, { 4096, 12288 },
	};
	static struct served s[ARRAY_SIZE(steps)];
	bool used[ARRAY_SIZE(steps)] = { };
	unsigned int i;
	u64 base = 0, at;

	test_queue(t);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		at = put(t, steps[i].len, &s[i]);
		if (!i)
			base = at;
		check_eq(at - base, steps[i].at);
		if (!steps[i].done)
			continue;
		finish(t, &s[i - steps[i].done]);
		used[i - steps[i].done] = true;
		check_eq(drv_reap(&t->drv), 1);
	}
	for (i = 0; i < ARRAY_SIZE(steps); i++)
		if (!used[i])
			finish(t, &s[i]);
	drv_reap(&t->drv);
	check_all_free(t);
	check_eq(pool_bytes(t), FIRST);
}

static void a_block_to_the_last_byte(struct run *t)
{
	unsigned int lap, i;

	test_queue_opts(t, &(struct queue_opts){ .num = 256 });
	for (lap = 0; lap < 2; lap++) {
		for (i = 0; i < FIRST / UNIT; i++)
			drv_submit(&t->drv, i & 1, !(i & 1), UNIT);
		check_eq(pool_bytes(t), FIRST);
		check_eq(drv_dev_serve(&t->drv, 256), FIRST / UNIT);
		check_eq(drv_reap(&t->drv), FIRST / UNIT);
		check_all_free(t);
	}
}

/* In any order, with neighbours that are in flight. */
static void out_of_order(struct run *t)
{
	static const struct drv_shape shapes[] = {
		{ 1, 2, { 16, 4096, 1 }, DRV_EACH }, { 0, 1, { 1500 } }, { 2, 1, { 12, 70, 2 } },
		{ 1, 0, { 9000 } }, { 1, 3, { 600, 512, 700, 3 }, DRV_EACH },
	};
	static struct served s[16];
	unsigned int lap, i, k, n;
	u32 seed = 1, bytes = 0;

	test_queue_opts(t, &(struct queue_opts){ .num = 64 });
	for (lap = 0; lap < 40; lap++) {
		for (n = 0; n < ARRAY_SIZE(s); n++) {
			seed = seed * 1103515245 + 12345;
			test_add(t, drv_req_shape(&t->drv, &shapes[(seed >> 16) %
								   ARRAY_SIZE(shapes)]));
			check(drv_dev_take(&t->drv, &s[n]));
		}
		for (i = n; i; i--) {
			seed = seed * 1103515245 + 12345;
			k = (seed >> 16) % i;
			finish(t, &s[k]);
			s[k] = s[i - 1];
			check_eq(drv_reap(&t->drv), 1);
		}
		check_all_free(t);
		check(!lap || pool_bytes(t) == bytes);
		bytes = pool_bytes(t);
	}
}

/* ---- growth ---- */

static void first_through_swiotlb(struct run *t)
{
	unsigned int i;

	kernel_set_work(WORK_LATER);
	dma_shared_only = false;
	test_queue_opts(t, &(struct queue_opts){ .num = 256 });
	/* A queue that is not used takes nothing. */
	check_eq(kernel_do_work(), 0);
	check_eq(dma_stats(NULL).live_coherent, 1);
	/* Until there is a block requests are mapped, and nothing fails. */
	check_eq(test_add(t, drv_req(&t->drv, 1, 1, 4096)), 2 + t->indirect);
	check_eq(test_add(t, drv_req(&t->drv, 0, 1, 512)), 1);
	check_eq(pool_bytes(t), 0);
	check_eq(kernel_do_work(), 1);
	check_eq(test_add(t, drv_req(&t->drv, 0, 1, 512)), 0);
	check_eq(pool_bytes(t), FIRST);
	test_serve(t, 3);
	/* When that is full, too. */
	for (i = 0; i < 16; i++)
		check_eq(test_add(t, drv_req(&t->drv, 0, 1, 4096)), 0);
	check_eq(test_add(t, drv_req(&t->drv, 1, 0, 1)), 1);
	check_eq(test_add(t, drv_req(&t->drv, 1, 1, 4096)), 2 + t->indirect);
	check_eq(kernel_do_work(), 1);
	check_eq(test_add(t, drv_req(&t->drv, 1, 0, 1)), 0);
	check_eq(pool_bytes(t), FIRST + 2 * FIRST);
	test_serve(t, 19);
	check_all_free(t);
	check_eq(kernel_do_work(), 0);
}

/* As a network card fills its queues. */
static void at_once_for_who_can_wait(struct run *t)
{
	unsigned int i;

	kernel_set_work(WORK_LATER);
	dma_shared_only = false;
	test_queue_opts(t, &(struct queue_opts){ .num = 256 });
	t->drv.gfp = GFP_KERNEL;
	for (i = 0; i < 200; i++) {
		drv_submit_as(&t->drv, 0, 1, 2000, DRV_SIMPLE);
		check_eq(dma_stats(NULL).maps, 0);
	}
	check_eq(pool_bytes(t), (64 + 128 + 256) * KIB);
	drv_submit(&t->drv, 1, 1, 65000);
	check_eq(dma_stats(NULL).maps, 0);
	check_eq(kernel_do_work(), 0);
	test_serve(t, 201);
	dev_delete_queue(t->q);
	/* A driver may pass GFP_KERNEL where it cannot wait. */
	test_queue(t);
	t->drv.gfp = GFP_KERNEL;
	shim_in_interrupt = true;
	check_eq(test_add(t, drv_req(&t->drv, 0, 1, 512)), 1);
	shim_in_interrupt = false;
	check_eq(kernel_do_work(), 1);
	test_serve(t, 1);
}

/* Whoever maps says nothing of a full swiotlb while that will pass. */
static void quiet_while_it_passes(struct run *t)
{
	kernel_set_work(WORK_LATER);
	kernel_set_tick(0);
	dma_shared_only = false;
	shim_param_cell_max(64);
	test_queue_opts(t, &(struct queue_opts){ .num = 256 });
	check_eq(test_add(t, drv_req(&t->drv, 1, 1, 4096)), 2 + t->indirect);
	check_eq(dma_last_attrs, DMA_ATTR_NO_WARN);
	check_eq(kernel_do_work(), 1);
	/* There is one, and what has no room in it waits for requests to complete. */
	check_eq(test_add(t, drv_req(&t->drv, 0, 1, FIRST)), 0);
	check_eq(test_add(t, drv_req(&t->drv, 0, 1, 512)), 1);
	check_eq(dma_last_attrs, DMA_ATTR_NO_WARN);
	test_serve(t, 3);
	/* There are none, and there will never be room. */
	check_eq(test_add(t, drv_req(&t->drv, 0, 1, FIRST + 1)), 1);
	check_eq(dma_last_attrs, 0);
	test_serve(t, 1);
	dev_delete_queue(t->q);
	/* The same where there is no memory for one. */
	test_queue(t);
	check_eq(test_add(t, drv_req(&t->drv, 0, 1, 512)), 1);
	check_eq(dma_last_attrs, DMA_ATTR_NO_WARN);
	fail_nth(1);
	check_eq(kernel_do_work(), 1);
	check(fail_nth_fired());
	fail_nth(0);
	test_serve(t, 1);
	check_eq(test_add(t, drv_req(&t->drv, 0, 1, 512)), 1);
	test_serve(t, 1);
	check_eq(test_add(t, drv_req(&t->drv, 0, 1, 512)), 1);
	check_eq(dma_last_attrs, 0);
	test_serve(t, 1);
	shim_param_cell_max(8192);
}

static void doubles(struct run *t)
{
	/* KiB in flight, in requests of 64, and of the pool. */
	static const struct { unsigned int requests; u32 kib; } steps[] = {
		{ 1, 64 }, { 2, 192 }, { 3, 192 }, { 4, 448 }, { 7, 448 }, { 8, 960 },
		{ 16, 1984 }, { 32, 4032 }, { 64, 8128 }, { 65, 8128 }, { 127, 8128 },
	};
	unsigned int i, k = 0;

	test_queue_opts(t, &(struct queue_opts){ .num = 256 });
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		for (; k < steps[i].requests; k++)
			drv_submit(&t->drv, 1, 0, FIRST);
		check_eq(pool_bytes(t), steps[i].kib * KIB);
		check_eq(device_pages(t), steps[i].kib / 4);
	}
	/* Of the 8 MiB that a device may have 64 KiB are left. */
	dma_shared_only = false;
	check_eq(test_add(t, drv_req(&t->drv, 1, 0, FIRST)), 0);
	check_eq(pool_bytes(t), 8192 * KIB);
	check_eq(test_add(t, drv_req(&t->drv, 1, 0, FIRST)), 1);
	check_eq(pool_bytes(t), 8192 * KIB);
	test_serve(t, 129);
	check_eq(drv_detach_all(&t->drv), 0);
}

/* However much a device may have: 16 blocks, none of more than 4 MiB. */
static void blocks_are_counted(struct run *t)
{
	unsigned int i;

	shim_param_cell_max(128 * 1024);
	test_queue_opts(t, &(struct queue_opts){ .num = 32 });
	for (i = 1; i <= 16; i++) {
		/* The second asks for no more than the first got. */
		drv_submit(&t->drv, 0, 1, i == 2 ? UNIT : LARGEST);
		check_eq(pool_bytes(t), i * LARGEST);
	}
	drv_submit(&t->drv, 0, 1, LARGEST - PAGE_SIZE);
	check_eq(pool_bytes(t), 16 * LARGEST);
	dma_shared_only = false;
	check_eq(test_add(t, drv_req(&t->drv, 0, 1, FIRST)), 1);
	check_eq(pool_bytes(t), 16 * LARGEST);
	test_serve(t, 18);
	shim_param_cell_max(8192);
}

static void what_is_left_is_taken(struct run *t)
{
	/* cell_max in KiB, and how large a pool gets. */
	static const struct { unsigned int max; u32 kib; } cases[] = {
		{ 0, 0 }, { 60, 0 }, { 64, 64 }, { 124, 64 }, { 128, 128 }, { 160, 128 },
		{ 192, 192 }, { 256, 256 }, { 448, 448 }, { 500, 448 }, { 640, 640 },
	};
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		shim_param_cell_max(cases[i].max);
		dma_shared_only = false;
		test_queue_opts(t, &(struct queue_opts){ .num = 64 });
		for (k = 0; k < 16; k++)
			check_eq(test_add(t, drv_req(&t->drv, 0, 1, FIRST)),
				 k >= cases[i].kib / 64);
		check_eq(pool_bytes(t), cases[i].kib * KIB);
		test_serve(t, 16);
		/* It is as much the second time. */
		for (k = 0; k < 16; k++)
			check_eq(test_add(t, drv_req(&t->drv, 0, 1, FIRST)),
				 k >= cases[i].kib / 64);
		test_serve(t, 16);
		dev_delete_queue(t->q);
		check_eq(device_pages(t), 0);
	}
	shim_param_cell_max(8192);
	test_queue(t);
}

/* All queues of a device together have so much and no more. */
static void queues_share_a_bound(struct run *t)
{
	struct dev_queue *q[3];
	unsigned int i, round;

	shim_param_cell_max(128);
	dma_shared_only = false;
	for (i = 0; i < 3; i++)
		q[i] = dev_create_queue(&t->dev, &(struct queue_opts){ .index = i });
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 3; i++) {
			t->q = q[i];
			drv_init(&t->drv, t->q);
			check_eq(test_round_trip(t, &(struct drv_shape){ 0, 1, { 4096 } }), i == 2);
			check_eq(device_pages(t), min(16 * (i + 1), 32U) + (round ? 32 - 16 *
				 min(i + 1, 2U) : 0));
		}
	}
	/* What a queue gives back another one gets. */
	dev_delete_queue(q[0]);
	check_eq(device_pages(t), 16);
	check_eq(test_round_trip(t, &(struct drv_shape){ 0, 1, { 4096 } }), 0);
	check_eq(device_pages(t), 32);
	dev_delete_queue(q[1]);
	dev_delete_queue(q[2]);
	check_eq(device_pages(t), 0);
	shim_param_cell_max(8192);
	test_queue(t);
}

/* Half of the bound is for whoever asks first, the rest in shares for all. */
static void queues_have_shares(struct run *t)
{
	/* KiB that four queues get of 1,024, each as hungry as can be, in turn. */
	static const u32 kib[] = { 640, 128, 128, 128 };
	struct dev_queue *q[4];
	unsigned int i, k;

	shim_param_cell_max(1024);
	dma_shared_only = false;
	kernel_set_tick(0);
	for (i = 0; i < 4; i++)
		q[i] = dev_create_queue(&t->dev, &(struct queue_opts){ .index = i, .num = 64 });
	for (i = 0; i < 4; i++) {
		t->q = q[i];
		drv_init(&t->drv, t->q);
		for (k = 0; k < 24; k++) {
			test_add(t, drv_req(&t->drv, 0, 1, FIRST));
			kernel_advance(HZ);
		}
		check_eq(pool_bytes(t), kib[i] * KIB);
		test_serve(t, 24);
	}
	check_eq(device_pages(t), 1024 * KIB / PAGE_SIZE);
	for (i = 0; i < 4; i++)
		dev_delete_queue(q[i]);
	check_eq(device_pages(t), 0);
	shim_param_cell_max(8192);
	test_queue(t);
}

/* Two queues ask while there is room for one. */
static void queues_ask_at_once(struct run *t)
{
	struct dev_queue *q[2];
	unsigned int i;

	shim_param_cell_max(64);
	dma_shared_only = false;
	kernel_set_work(WORK_LATER);
	kernel_set_tick(0);
	for (i = 0; i < 2; i++) {
		q[i] = dev_create_queue(&t->dev, &(struct queue_opts){ .index = i });
		t->q = q[i];
		drv_init(&t->drv, t->q);
		check_eq(test_round_trip(t, &(struct drv_shape){ 0, 1, { 4096 } }), 1);
	}
	check_eq(kernel_do_work(), 2);
	check_eq(device_pages(t), 16);
	/* One of them got it; the other does not ask again for a while. */
	for (i = 0; i < 2; i++) {
		t->q = q[i];
		drv_init(&t->drv, t->q);
		test_round_trip(t, &(struct drv_shape){ 0, 1, { 4096 } });
	}
	check_eq(to_vring(q[0]->vq)->stats.cell_bytes + to_vring(q[1]->vq)->stats.cell_bytes,
		 FIRST);
	check_eq(kernel_do_work(), 0);
	dev_delete_queue(q[0]);
	dev_delete_queue(q[1]);
	check_eq(device_pages(t), 0);
	shim_param_cell_max(8192);
	test_queue(t);
}

static void of_a_restricted_pool(struct run *t)
{
	/*
	 * KiB of the pool that buffers are bounced in, too, how many of them
	 * others use, and how many the queue gets.  Its ring is in the pool,
	 * too.
	 */
	static const struct { unsigned int of, used, kib; } cases[] = {
		{ 128, 0, 0 }, { 256, 0, 64 }, { 1024, 0, 448 }, { 2048, 0, 960 },
		{ 65536, 0, 8192 }, { 2048, 960, 0 }, { 2048, 896, 64 }, { 2048, 1536, 0 },
		{ 65536, 24576, 8128 },
	};
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		t->dev.dma_dev->shim_restricted = true;
		dma_pool_size = cases[i].of * KIB;
		dma_pool_used = cases[i].used * KIB;
		dma_shared_only = false;
		test_queue_opts(t, &(struct queue_opts){ .num = 256 });
		for (k = 0; k < 140; k++)
			check_eq(test_add(t, drv_req(&t->drv, 1, 0, FIRST)),
				 k >= cases[i].kib / 64);
		check_eq(pool_bytes(t), cases[i].kib * KIB);
		test_serve(t, 140);
		dev_delete_queue(t->q);
	}
	t->dev.dma_dev->shim_restricted = false;
	dma_pool_used = 0;
	test_queue(t);
}

/* swiotlb copies through caches, which such a device does not see. */
static void of_uncached_memory(struct run *t)
{
	unsigned long coherent;
	unsigned int k;

	shim_uncached = true;
	dma_shared_only = false;
	kernel_set_tick(0);
	test_queue(t);
	coherent = dma_stats(NULL).coherent;
	for (k = 0; k < 8; k++) {
		check_eq(test_round_trip(t, &(struct drv_shape){ 0, 1, { 4096 } }), 1);
		kernel_advance(2 * HZ);
	}
	/* It has looked once. */
	check_eq(dma_stats(NULL).coherent, coherent + 1);
	check_eq(dma_stats(NULL).live_coherent, 1);
	check_eq(pool_bytes(t), 0);
	check_eq(device_pages(t), 0);
	shim_uncached = false;
}

/* A device of old finds its header by its being a segment. */
static void headers_of_legacy_devices(struct run *t)
{
	static const struct drv_shape shape = { 2, 3, { 12, 1000, 12, 1000, 1000 } };
	static const u64 layouts[] = { 0, BIT_ULL(VIRTIO_F_ANY_LAYOUT) };
	unsigned int i, k;
	struct served *s;

	for (i = 0; i < ARRAY_SIZE(layouts); i++) {
		if (t->access == POOLED)
			break;
		test_device(t, (test_features(t) & ~BIT_ULL(VIRTIO_F_VERSION_1)) | layouts[i]);
		test_queue(t);
		s = take(t, drv_req_shape(&t->drv, &shape));
		check_eq(s->req.nseg, i ? 2 : 5);
		for (k = 0; k < s->req.nseg && !i; k++)
			check_eq(s->req.seg[k].len, shape.len[k]);
		finish(t, s);
		check_eq(drv_reap(&t->drv), 1);
		dev_delete_queue(t->q);
	}
	test_queue(t);
}

/* ---- without memory ---- */

static void asks_again_later(struct run *t)
{
	unsigned int nth;

	dma_shared_only = false;
	kernel_set_tick(0);
	/* What describes the block, and the block. */
	for (nth = 1; nth <= 2; nth++) {
		unsigned long allocs, coherent;

		test_queue(t);
		fail_nth(nth);
		check_eq(test_round_trip(t, &(struct drv_shape){ 0, 1, { 4096 } }), 1);
		check(fail_nth_fired());
		fail_nth(0);
		check_eq(device_pages(t), 0);
		allocs = kernel_live_allocs();
		coherent = dma_stats(NULL).coherent;
		check_eq(test_round_trip(t, &(struct drv_shape){ 0, 1, { 4096 } }), 1);
		kernel_advance(HZ - 1);
		check_eq(test_round_trip(t, &(struct drv_shape){ 0, 1, { 4096 } }), 1);
		check_eq(kernel_live_allocs(), allocs);
		check_eq(dma_stats(NULL).coherent, coherent);
		kernel_advance(1);
		check_eq(test_round_trip(t, &(struct drv_shape){ 0, 1, { 4096 } }), 0);
		check_eq(dma_stats(NULL).coherent, coherent + 1);
		check_eq(pool_bytes(t), FIRST);
		/* Nor does it wait after a long time, of more than 32 bits. */
		kernel_advance(1ULL << 33);
		drv_submit(&t->drv, 0, 1, FIRST);
		drv_submit(&t->drv, 0, 1, FIRST);
		check_eq(pool_bytes(t), FIRST + 2 * FIRST);
		test_serve(t, 2);
		dev_delete_queue(t->q);
	}
	test_queue(t);
}

/* Where there is no long piece of memory a short one will do, and at once. */
static void takes_less(struct run *t)
{
	/* KiB of the pool after one request more, and whether the first try fails. */
	static const struct { bool fails; u32 kib; } steps[] = {
		{ false, 64 }, { false, 192 }, { false, 192 }, { true, 320 }, { false, 320 },
		{ true, 448 }, { false, 448 }, { false, 704 },
	};
	unsigned int i;

	test_queue_opts(t, &(struct queue_opts){ .num = 64 });
	kernel_set_tick(0);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		fail_nth(steps[i].fails ? 2 : 0);
		check_eq(test_add(t, drv_req(&t->drv, 0, 1, FIRST)), 0);
		check_eq(fail_nth_fired(), steps[i].fails);
		fail_nth(0);
		check_eq(pool_bytes(t), steps[i].kib * KIB);
	}
	test_serve(t, ARRAY_SIZE(steps));
	dev_delete_queue(t->q);
	/* But not less than the request has. */
	dma_shared_only = false;
	test_queue_opts(t, &(struct queue_opts){ .num = 64 });
	fail_nth(2);
	check_eq(test_add(t, drv_req(&t->drv, 0, 1, 2 * FIRST)), 1);
	check(fail_nth_fired());
	fail_nth(0);
	check_eq(pool_bytes(t), 0);
	test_serve(t, 1);
}

/* Whatever fails, a request that starts a pool goes through. */
static void any_failure_is_borne(struct run *t)
{
	static const struct drv_shape shapes[] = {
		{ 1, 0, { 100 } },
		{ 0, 1, { 5000 } },
		{ 1, 2, { 16, 4096, 1 }, DRV_EACH },
		{ 2, 5, { 16, 600, 600, 600, 600, 5000, 1 }, DRV_EACH },
	};
	unsigned int i, n;
	bool fired;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		for (n = 1; ; n++) {
			struct drv_req *r;

			test_queue(t);
			r = drv_req_shape(&t->drv, &shapes[i]);
			fail_nth(n);
			check_eq(drv_add_as(&t->drv, r, DRV_SGS_LISTS), 0);
			fired = fail_nth_fired();
			fail_nth(0);
			test_serve(t, 1);
			/* The next one is in the pool, and so is all of it then free. */
			check_eq(test_round_trip(t, &shapes[i]), 0);
			check_all_free(t);
			dev_delete_queue(t->q);
			check_eq(device_pages(t), 0);
			if (!fired)
				break;
		}
		/* A block's description, a block, and the way back of several pieces. */
		check_eq(n, 3 + (shapes[i].nin > 1));
	}
	test_queue(t);
}

/* ---- what the pool is not for ---- */

static void larger_than_a_block(struct run *t)
{
	unsigned int lap, entries;
	unsigned long coherent;

	dma_shared_only = false;
	t->dev.parms.max_segment_size = U32_MAX;
	t->dev.vdev.dev.dma_parms = &t->dev.parms;
	test_queue_opts(t, &(struct queue_opts){ .num = 64 });
	coherent = dma_stats(NULL).coherent;
	/* Of 256 KiB each: 4 MiB is what a block may have, with a table if need be. */
	for (lap = 0; lap < 2; lap++) {
		entries = 17;
		check_eq(test_add(t, drv_req(&t->drv, entries, 0, 256 * KIB)),
			 entries + t->indirect);
		check_eq(pool_bytes(t), lap ? LARGEST : 0);
		test_serve(t, 1);
		check_eq(test_add(t, drv_req(&t->drv, 8, 8, 256 * KIB)),
			 t->indirect ? 17 : 0);
		test_serve(t, 1);
		check_eq(test_add(t, drv_req(&t->drv, 0, 16 - t->indirect, 256 * KIB)), 0);
		check_eq(pool_bytes(t), LARGEST);
		test_serve(t, 1);
		check_eq(dma_stats(NULL).coherent, coherent + 1);
	}
}

/* Lengths whose sum has more than 32 bits, or 42. */
static void of_many_bytes(struct run *t)
{
	static int (* const add[])(struct virtqueue *vq, struct scatterlist *sg,
				   unsigned int num, void *data, gfp_t gfp) = {
		virtqueue_add_outbuf, virtqueue_add_inbuf,
	};
	static const u32 lens[] = { 0x40000000, 0xfffff000, 0xffffffff };
	static const unsigned int nums[] = { 1024, 4, 1 };
	static struct scatterlist sg[1024];
	static u8 page[4096] __aligned(4096);
	unsigned int i, k, in;
	unsigned long coherent;

	t->indirect = true;
	test_device(t, test_features(t));
	dma_shared_only = false;
	test_queue(t);
	coherent = dma_stats(NULL).coherent;
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		sg_init_table(sg, ARRAY_SIZE(sg));
		for (k = 0; k < ARRAY_SIZE(sg); k++)
			sg_set_buf(&sg[k], page, lens[i]);
		for (in = 0; in < 2; in++) {
			/* As swiotlb says: too long for that, too. */
			for (k = 0; k < ARRAY_SIZE(nums); k++) {
				check_eq(add[in](t->q->vq, sg, nums[k], page, GFP_ATOMIC), -ENOMEM);
				check_eq(kernel_take_messages(SHIM_WARN, "buffer is full"), 1);
			}
		}
	}
	check_eq(dma_stats(NULL).coherent, coherent);
	check_eq(t->q->vq->num_free, t->num);
}

/* A single segment as well as more. */
static void never_fits(struct run *t)
{
	static const struct { size_t swiotlb; int err; } cases[] = {
		{ SIZE_MAX, -ENOMEM }, { 12288, -ENOMEM }, { 12287, -EIO },
	};
	unsigned int i, n, in;

	dma_shared_only = false;
	test_queue(t);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (n = 1; n <= 3; n += 2) {
			for (in = 0; in < 2; in++) {
				struct drv_req *r = drv_req(&t->drv, in ? 0 : n, in ? n : 0,
							    12288 / n);

				dma_pool_size = cases[i].swiotlb;
				kernel_out_of_memory(true);
				fail_nth(n);
				check_eq(drv_add_as(&t->drv, r, DRV_SIMPLE), cases[i].err);
				check(fail_nth_fired());
				kernel_out_of_memory(false);
				fail_nth(0);
				check_eq(kernel_take_messages(SHIM_WARN, "12288 bytes refused"),
					 cases[i].err == -EIO);
				check_eq(t->q->vq->num_free, t->num);
				check_eq(dma_stats(NULL).live_maps, 0);
				drv_free(&t->drv, r);
			}
		}
	}
}

static void without_copies(struct run *t)
{
	static const struct { const char *bounce_max; bool pool; } cases[] = {
		{ "-1", false }, { "0", true }, { "4096", true },
	};
	static const struct drv_shape one = { 0, 1, { 100 } }, two = { 1, 1, { 5000, 9 } };
	unsigned int i;

	dma_shared_only = false;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const bool mapped = !cases[i].pool;

		test_queue_with(t, cases[i].bounce_max, 16);
		check_eq(!to_vring(t->q->vq)->pool, mapped);
		check_eq(test_round_trip(t, &one), mapped);
		check_eq(test_round_trip(t, &two), mapped * (2 + t->indirect));
		check_eq(dma_stats(NULL).live_coherent, 1 + !mapped);
		check_eq(pool_bytes(t), mapped ? 0 : FIRST);
		dev_delete_queue(t->q);
	}
	test_queue(t);
}

static void on_pages_of_the_caller(struct run *t)
{
	dma_addr_t addr;
	void *pages;

	/* That makes the device one for DMA, where it has physical addresses. */
	test_queue(t);
	dev_delete_queue(t->q);
	pages = dma_alloc_coherent(t->dev.dma_dev, PAGE_SIZE, &addr, GFP_KERNEL);
	/* Its buffers may be no memory that can be copied. */
	dma_shared_only = false;
	test_queue_opts(t, &(struct queue_opts){ .num = 16, .pages = pages, .pages_addr = addr });
	check(!to_vring(t->q->vq)->pool);
	check_eq(test_round_trip(t, &(struct drv_shape){ 1, 1, { 100, 100 } }), 2 + t->indirect);
	dev_delete_queue(t->q);
	dma_free_coherent(t->dev.dma_dev, PAGE_SIZE, pages, addr);
	test_queue(t);
}

static void tables_of_premapped(struct run *t)
{
	static const unsigned int nums[] = { 1, 2, 16, 17, 33, 300 };
	unsigned int i, n, slot;
	u64 table;

	t->indirect = true;
	test_device(t, test_features(t));
	test_queue(t);
	drv_premap(&t->drv);
	/* More units than a block has, unless they are given back. */
	for (i = 0; i < 20 * ARRAY_SIZE(nums); i++) {
		n = nums[i % ARRAY_SIZE(nums)];
		slot = t->packed ? i % t->num : 0;
		/* What the driver mapped the device has there; the table is ours. */
		test_add(t, drv_req(&t->drv, n / 2, n - n / 2, 8));
		check_eq(dma_stats(NULL).live_maps, n);
		check_eq(t->q->vq->num_free, t->num - 1);
		check_eq(pool_bytes(t), i ? FIRST : 0);
		if (n > 1) {
			table = dev_get64(t->q, t->q->desc + 16 * slot);
			check(dma_in_cell(t->dev.dma_dev, table));
			check_eq(table % 16, 0);
		}
		test_serve(t, 1);
	}
	/* Without memory for a block the table is allocated and mapped. */
	dev_delete_queue(t->q);
	test_queue(t);
	drv_premap(&t->drv);
	fail_nth(5);
	test_add(t, drv_req(&t->drv, 2, 2, 8));
	check(fail_nth_fired());
	check_eq(dma_stats(NULL).live_maps, 5);
	check_eq(t->q->vq->num_free, t->num - 1);
	fail_nth(0);
	test_serve(t, 1);
}

/* ---- the end of requests, queues and work ---- */

/* Requests of every kind, some of which the device has and some it has completed. */
static void fill(struct run *t)
{
	static const struct drv_shape shapes[] = {
		{ 1, 0, { 100 } }, { 0, 1, { 600 } }, { 1, 2, { 16, 4096, 1 }, DRV_EACH },
		{ 1, 3, { 16, 3000, 5000, 8 }, DRV_EACH }, { 0, 1, { 3 * FIRST } },
	};
	static struct served s;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(shapes); i++)
		test_add(t, drv_req_shape(&t->drv, &shapes[i]));
	check(drv_dev_take(&t->drv, &s));
	finish(t, &s);
	check(drv_dev_take(&t->drv, &s));
}

static void all_comes_back(struct run *t)
{
	unsigned int how;

	drv_recycler = &t->drv;
	test_queue_opts(t, &(struct queue_opts){ .num = 32 });
	/* Blocks of 64 and 128 KiB before the one of 256 that is needed then. */
	drv_submit(&t->drv, 0, 1, FIRST);
	drv_submit(&t->drv, 0, 1, 2 * FIRST);
	test_serve(t, 2);
	for (how = 0; how < 6; how++) {
		fill(t);
		check_eq(pool_bytes(t), 7 * FIRST);
		switch (how) {
		case 0:
			check_eq(virtqueue_reset(t->q->vq, drv_recycle, NULL), 0);
			break;
		case 1:
			check_eq(virtqueue_resize(t->q->vq, 64, drv_recycle, NULL), 0);
			break;
		case 2:
			check_eq(virtqueue_resize(t->q->vq, 16, drv_recycle, NULL), 0);
			break;
		case 3:
			/* Refused: all is as it was. */
			t->q->reset_fails = true;
			check_eq(virtqueue_resize(t->q->vq, 32, drv_recycle, NULL), -EIO);
			t->q->reset_fails = false;
			check_eq(t->drv.queued, 5);
			check_eq(virtqueue_reset(t->q->vq, drv_recycle, NULL), 0);
			break;
		case 4:
			__virtqueue_break(t->q->vq);
			check_eq(drv_detach_all(&t->drv), 5);
			__virtqueue_unbreak(t->q->vq);
			check_eq(virtqueue_reset(t->q->vq, drv_recycle, NULL), 0);
			break;
		case 5:
			check_eq(drv_detach_all(&t->drv), 5);
			check_eq(virtqueue_reset(t->q->vq, drv_recycle, NULL), 0);
			break;
		}
		check_eq(t->drv.queued, 0);
		check_all_free(t);
	}
	check_eq(device_pages(t), 7 * 16);
}

static void deleted_in_flight(struct run *t)
{
	struct drv_req *r[8];
	unsigned int i, n;

	test_queue_opts(t, &(struct queue_opts){ .num = 32 });
	fill(t);
	/* The driver has lost them. */
	n = t->drv.tail - 5;
	for (i = 0; i < 5; i++)
		r[i] = t->drv.order[(n + i) % DRV_INFLIGHT];
	dev_delete_queue(t->q);
	check_eq(device_pages(t), 0);
	check_eq(dma_stats(NULL).live_coherent, 0);
	test_queue(t);
	for (i = 0; i < 5; i++) {
		r[i]->queued = false;
		drv_free(&t->drv, r[i]);
	}
}

static void deleted_with_work(struct run *t)
{
	unsigned int done;

	for (done = 0; done < 2; done++) {
		kernel_set_work(WORK_LATER);
		dma_shared_only = false;
		test_queue(t);
		check_eq(test_round_trip(t, &(struct drv_shape){ 0, 1, { 4096 } }), 1);
		/* The block is there, and nobody asked for it yet. */
		if (done)
			check_eq(kernel_do_work(), 1);
		check_eq(device_pages(t), done ? 16 : 0);
		dev_delete_queue(t->q);
		check_eq(kernel_do_work(), 0);
		check_eq(device_pages(t), 0);
		check_eq(dma_stats(NULL).live_coherent, 0);
	}
	test_queue(t);
}

/* What the device does to all that it can reach is its own affair. */
static void all_of_it_overwritten(struct run *t)
{
	static const struct drv_shape shape = { 2, 2, { 16, 600, 4096, 8 }, DRV_EACH };
	static struct served s[2];
	struct drv_req *r[2];
	unsigned int i, k, len;
	u64 block;

	test_queue(t);
	block = put(t, 1, &s[0]);
	finish(t, &s[0]);
	check_eq(drv_reap(&t->drv), 1);
	for (i = 0; i < 2; i++) {
		r[i] = drv_req_shape(&t->drv, &shape);
		test_add(t, r[i]);
		check(drv_dev_take(&t->drv, &s[i]));
	}
	memset(dev_ptr(t->q, block, FIRST, true), 0xee, FIRST);
	for (i = 0; i < 2; i++) {
		dev_complete(t->q, &s[i].req, 4104);
		check(virtqueue_get_buf(t->q->vq, &len) == r[i]);
		check_eq(len, 4104);
		for (k = 0; k < 4104; k++)
			check_eq(k < 4096 ? r[i]->seg[2].buf[k] : r[i]->seg[3].buf[k - 4096], 0xee);
	}
	/* Completed: what it writes now shows nowhere. */
	memset(dev_ptr(t->q, block, FIRST, true), 0x11, FIRST);
	for (i = 0; i < 2; i++) {
		check_eq(r[i]->seg[2].buf[0], 0xee);
		check_eq(r[i]->seg[3].buf[7], 0xee);
		r[i]->seg[2].buf[0] = 0;
		drv_take_back(&t->drv, r[i]);
	}
	test_round_trip(t, &shape);
	check_all_free(t);
}

const struct test pool_tests[] = {
	{ "a request has one run of the pool, aligned as its lists are long", in_one_run,
	  AXIS_POOLS | AXIS_INDIRECT },
	{ "entries of a list are joined up to a page", joined_up_to_a_page,
	  AXIS_POOLS | AXIS_INDIRECT },
	{ "lists in the pool are not joined", lists_are_not_joined,
	  AXIS_POOLS | AXIS_INDIRECT },
	{ "a request of 1 MiB in 256 entries goes into the pool", large_requests,
	  AXIS_POOLS | AXIS_INDIRECT },
	{ "a buffer of no bytes does the pool no harm", of_no_bytes,
	  AXIS_POOLS | AXIS_INDIRECT },
	{ "units of a block are taken in turn, from the start when at the end",
	  units_are_taken_in_turn, AXIS_POOLS },
	{ "a block can be used to its last byte", a_block_to_the_last_byte,
	  AXIS_POOLS | AXIS_INDIRECT },
	{ "requests in the pool complete in any order", out_of_order,
	  AXIS_POOLS | AXIS_INDIRECT },
	{ "what has no room in the pool goes through swiotlb until there is more",
	  first_through_swiotlb, AXIS_POOLS | AXIS_INDIRECT },
	{ "a pool doubles when it is full, up to cell_max", doubles, AXIS_POOLS },
	{ "a pool has a number of blocks, none of more than 4 MiB", blocks_are_counted,
	  AXIS_POOLS },
	{ "what cell_max leaves a pool takes", what_is_left_is_taken, AXIS_POOLS },
	{ "all pools of a device together have a bound", queues_share_a_bound, AXIS_POOLS },
	{ "a driver that can wait has the pool grow at once", at_once_for_who_can_wait,
	  AXIS_POOLS | AXIS_INDIRECT },
	{ "a mapping is quiet while the want of room passes", quiet_while_it_passes,
	  AXIS_POOLS | AXIS_INDIRECT },
	{ "each queue has its share of the bound", queues_have_shares, AXIS_POOLS },
	{ "two queues that ask at once keep to the bound", queues_ask_at_once, AXIS_POOLS },
	{ "half of a restricted pool stays free", of_a_restricted_pool, AXIS_POOLS },
	{ "no pool is made of memory that is not cached", of_uncached_memory,
	  AXIS_POOLS | AXIS_INDIRECT },
	{ "a legacy device finds its header in a segment of its own",
	  headers_of_legacy_devices, ONLY_SPLIT | LEGACY | AXIS_POOLS | AXIS_INDIRECT },
	{ "memory that there was not is asked for again a second later", asks_again_later,
	  AXIS_POOLS },
	{ "a pool that cannot grow by as much grows by less", takes_less, AXIS_POOLS },
	{ "a request that starts a pool goes through whatever fails", any_failure_is_borne,
	  AXIS_POOLS | AXIS_INDIRECT },
	{ "a request that is larger than a block goes through swiotlb", larger_than_a_block,
	  AXIS_POOLS | AXIS_INDIRECT },
	{ "a request of more than 4 GiB gets no run", of_many_bytes, AXIS_POOLS },
	{ "what neither the pool nor swiotlb ever has room for is refused for good", never_fits,
	  AXIS_POOLS | AXIS_INDIRECT },
	{ "with bounce_max=-1 there is no pool", without_copies, AXIS_POOLS | AXIS_INDIRECT },
	{ "a queue on memory of the caller has no pool", on_pages_of_the_caller,
	  ONLY_SPLIT | AXIS_POOLS | AXIS_INDIRECT },
	{ "of premapped requests the table is in the pool", tables_of_premapped, AXIS_POOLS },
	{ "resize, reset and detaching give back all units of requests in flight",
	  all_comes_back, AXIS_POOLS | AXIS_INDIRECT },
	{ "a queue that is deleted gives back its pool and what is in flight there",
	  deleted_in_flight, AXIS_POOLS | AXIS_INDIRECT },
	{ "a queue can be deleted while its pool grows", deleted_with_work, AXIS_POOLS },
	{ "a device that overwrites all of the pool harms no request but its own",
	  all_of_it_overwritten, AXIS_POOLS | AXIS_INDIRECT },
	{ 0 }
};

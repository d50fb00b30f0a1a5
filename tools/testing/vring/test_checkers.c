// SPDX-License-Identifier: GPL-2.0
/* The kernel's checkers see a driver's buffers, whatever way these are mapped. */
#include "test.h"
#include "ring.h"

/* Buffers of all lengths that are treated differently, and of all numbers. */
static const struct drv_shape shapes[] = {
	{ 1, 1, { 1, 1 } },
	{ 1, 2, { 16, 100, 1 }, DRV_EACH },
	{ 2, 1, { 16, 100, 1 }, DRV_EACH },
	{ 2, 2, { 128, 4096, 4096, 128 }, DRV_EACH },
	{ 2, 2, { 129, 4097, 4097, 129 }, DRV_EACH },
	{ 3, 3, { 1000, 1000, 1000, 1000, 1000, 1000 } },
	{ 3, 3, { 3000, 3000, 40, 3000, 3000, 40 }, BIT(1) | BIT(4) },
	/* Too many for the cell of a table, and for what needs no allocation. */
	{ 12, 12, { 9, 8, 7, 6, 5, 4, 3, 2, 1, 300, 5000, 20,
		    9, 8, 7, 6, 5, 4, 3, 2, 1, 300, 5000, 20 }, DRV_EACH },
	{ 1, 0, { 100 } },
	{ 1, 0, { 4096 } },
	{ 1, 0, { 5000 } },
	{ 0, 1, { 100 } },
	{ 0, 1, { 4096 } },
	{ 0, 1, { 5000 } },
};

static const enum drv_place places[] = { DRV_ANYWHERE, DRV_ACROSS, DRV_COMPOUND };

/* ---- KMSAN ---- */

static void nothing_unwritten_goes_out(struct run *t)
{
	unsigned int i, p, seg, where;

	test_queue_opts(t, &(struct queue_opts){ .num = 64 });
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		for (p = 0; p < ARRAY_SIZE(places); p++) {
			t->drv.place = places[p];
			test_round_trip(t, &shapes[i]);
			check_eq(kmsan_take_reports(), 0);
			for (seg = 0; seg < shapes[i].nout; seg++) {
				const u32 len = shapes[i].len[seg];
				const u32 byte[] = { 0, len / 2, len - 1 };

				for (where = 0; where < ARRAY_SIZE(byte); where++) {
					struct drv_req *r = drv_req_shape(&t->drv, &shapes[i]);

					kmsan_poison(r->seg[seg].buf + byte[where], 1);
					test_add(t, r);
					check_eq(kmsan_take_reports(), 1);
					test_serve(t, 1);
					kmsan_reset();
				}
			}
		}
	}
}

static void what_comes_in_is_written(struct run *t)
{
	unsigned int i, p, seg, n;

	test_queue_opts(t, &(struct queue_opts){ .num = 64 });
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		for (p = 0; p < ARRAY_SIZE(places); p++) {
			struct drv_req *r;

			t->drv.place = places[p];
			r = drv_req_shape(&t->drv, &shapes[i]);
			n = shapes[i].nout + shapes[i].nin;
			for (seg = shapes[i].nout; seg < n; seg++)
				kmsan_poison(r->seg[seg].buf, shapes[i].len[seg]);
			test_add(t, r);
			check_eq(drv_dev_serve(&t->drv, 2), 1);
			check(drv_get(&t->drv) == r);
			for (seg = shapes[i].nout; seg < n; seg++)
				check_eq(kmsan_poisoned(r->seg[seg].buf, shapes[i].len[seg]), 0);
			check_eq(kmsan_take_reports(), 0);
			drv_free(&t->drv, r);
			kmsan_reset();
		}
	}
}

static void what_was_detached_is_written(struct run *t)
{
	struct drv_req *r;

	test_queue(t);
	r = drv_req(&t->drv, 0, 2, 100);
	kmsan_poison(r->seg[0].buf, 100);
	kmsan_poison(r->seg[1].buf, 100);
	test_add(t, r);
	check_eq(kmsan_poisoned(r->seg[0].buf, 100), 0);
	t->q->enabled = false;
	check(virtqueue_detach_unused_buf(t->q->vq) == r);
	check_eq(kmsan_poisoned(r->seg[0].buf, 100), 0);
	check_eq(kmsan_poisoned(r->seg[1].buf, 100), 0);
	drv_take_back(&t->drv, r);
	t->drv.head = t->drv.tail;
}

static void next_user_of_a_cell(struct run *t)
{
	struct drv_req *r;
	unsigned int len;

	test_queue(t);
	for (len = 100; len <= 3000; len += 2900) {
		r = drv_req(&t->drv, 1, 0, len);
		kmsan_poison(r->seg[0].buf, len);
		test_add(t, r);
		check_eq(kmsan_take_reports(), 1);
		test_serve(t, 1);
		kmsan_reset();
		/* What was in the cell before is nobody's fault now. */
		test_add(t, drv_req(&t->drv, 1, 1, len));
		check_eq(kmsan_take_reports(), 0);
		test_serve(t, 1);
	}
}

/* ---- DMA_API_DEBUG, which has bounce_max=-1 for a default ---- */

static void every_buffer_is_mapped(struct run *t)
{
	static const u32 lens[] = { 1, 16, 128, 129, 4096, 5000 };
	static struct served s;
	unsigned int i, in, seg;
	struct drv_req *r;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		test_queue_with(t, "-1", 16);
		for (in = 0; in < 2; in++) {
			check_eq(test_add(t, drv_req(&t->drv, !in, in, lens[i])), 1);
			check_eq(dma_stats(NULL).live_cells, 0);
			test_serve(t, 1);
		}
		dev_delete_queue(t->q);
	}
	test_queue_with(t, "-1", 64);
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		r = drv_req_shape(&t->drv, &shapes[i]);
		check_eq(test_add(t, r), !!shapes[i].nout + !!shapes[i].nin);
		check(drv_dev_take(&t->drv, &s));
		for (seg = 0; seg < r->nout + r->nin; seg++)
			check(!r->seg[seg].copied);
		drv_dev_finish(&t->drv, &s, r->writable, r->writable);
		check_eq(drv_reap(&t->drv), 1);
		check_eq(dma_stats(NULL).live_maps, 0);
	}
	check_eq(to_vring(t->q->vq)->stats.bounced_bytes, 0);
	/* Tables are the ring's own: short ones have a cell, and long ones another. */
	check_eq(dma_stats(NULL).live_cells, t->indirect ? 2 : 0);
}

const struct test checkers_tests[] = {
	{ "KMSAN sees a byte that nobody wrote on its way out", nothing_unwritten_goes_out,
	  AXIS_ACCESS | AXIS_INDIRECT },
	{ "KMSAN takes what comes in for written", what_comes_in_is_written,
	  AXIS_ACCESS | AXIS_INDIRECT },
	{ "KMSAN takes a buffer that is detached for written", what_was_detached_is_written,
	  AXIS_ACCESS | AXIS_INDIRECT },
	{ "KMSAN reports a buffer once and not the next one", next_user_of_a_cell,
	  AXIS_ACCESS | AXIS_INDIRECT },
	{ "with bounce_max=-1 every buffer of a driver is mapped", every_buffer_is_mapped,
	  AXIS_CELLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ 0 }
};

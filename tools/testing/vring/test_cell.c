// SPDX-License-Identifier: GPL-2.0
/* Cells: which parts of a translated request are copied, and which are mapped. */
#include "test.h"
#include "ring.h"

/* There and back; whether its only buffer was copied. */
static bool is_copied(struct run *t, bool in, u32 len)
{
	struct drv_req *r = drv_submit(&t->drv, !in, in, len);
	bool copied;

	check_eq(drv_dev_serve(&t->drv, 2), 1);
	check(drv_get(&t->drv) == r);
	copied = r->seg[0].copied;
	drv_free(&t->drv, r);
	return copied;
}

/* ---- what is copied ---- */

static void small_costs_nothing(struct run *t)
{
	static const struct drv_shape shapes[] = {
		{ 1, 0, { 1 } },
		{ 0, 1, { 1 } },
		{ 1, 0, { 4096 } },
		{ 0, 1, { 4096 } },
		/* Blocks written and read: header, data, status. */
		{ 2, 1, { 16, 4096, 1 }, DRV_EACH },
		{ 1, 2, { 16, 4096, 1 }, DRV_EACH },
		{ 2, 2, { 128, 4096, 4096, 128 }, DRV_EACH },
		/* Entries of a list, and as many lists as the cells take. */
		{ 5, 4, { 1000, 1000, 1000, 1000, 96, 1024, 1024, 1024, 1024 } },
		{ 4, 3, { 64, 64, 64, 64, 60, 60, 4096 }, DRV_EACH },
	};
	unsigned int i, lap;

	test_queue(t);
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		for (lap = 0; lap < 3; lap++) {
			struct drv_req *r = drv_req_shape(&t->drv, &shapes[i]);
			unsigned long allocs = kernel_allocs();
			struct dma_stats s = dma_stats(NULL);

			check_eq(test_add(t, r), 0);
			check_eq(drv_dev_serve(&t->drv, 2), 1);
			check(drv_get(&t->drv) == r);
			drv_free(&t->drv, r);
			/* The first lap may have to find memory for the cells. */
			if (!lap)
				continue;
			check_eq(kernel_allocs(), allocs);
			check_eq(dma_stats(NULL).live_cells, s.live_cells);
		}
	}
}

static void copied_up_to_bounce_max(struct run *t)
{
	static const struct { const char *value; u32 longest; } limits[] = {
		/* Lists up to 128 bytes are, if anything is. */
		{ "0", 128 }, { "1", 128 }, { "127", 128 }, { "128", 128 }, { "129", 129 },
		{ "2048", 2048 }, { "2049", 2049 }, { "4095", 4095 }, { "4096", 4096 },
	};
	unsigned int i, in;
	u32 len;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		test_queue_with(t, limits[i].value, 16);
		for (in = 0; in < 2; in++)
			for (len = limits[i].longest - 2; len <= limits[i].longest + 2; len++)
				check_eq(is_copied(t, in, len), len <= limits[i].longest);
		/* The list counts, not the entry. */
		check_eq(test_round_trip(t, &(struct drv_shape) {
			2, 2, { limits[i].longest - 1, 1, 1, limits[i].longest - 1 },
		}), 0);
		check_eq(test_round_trip(t, &(struct drv_shape) {
			2, 2, { limits[i].longest, 1, 1, limits[i].longest },
		}), 2);
		dev_delete_queue(t->q);
	}
	test_queue(t);
}

static void malformed_bounce_max(struct run *t)
{
	static const char * const bad[] = {
		"-2", "4097", "abc", "", "4096x", "0x1001", "65536", "99999999999",
	};
	unsigned int i;

	test_bounce_max("2048");
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (shim_set_bounce_max(bad[i]) != -EINVAL)
			fail("bounce_max took \"%s\"", bad[i]);
		test_queue(t);
		check(is_copied(t, i & 1, 2048));
		check(!is_copied(t, i & 1, 2049));
		dev_delete_queue(t->q);
	}
	test_queue(t);
}

static void later_queues_only(struct run *t)
{
	struct dev_queue *q;
	struct driver drv;

	drv_recycler = &t->drv;
	test_queue(t);
	check(is_copied(t, false, 4096));
	test_bounce_max("0");
	check(is_copied(t, false, 4096));
	q = dev_create_queue(&t->dev, &(struct queue_opts){ .index = 1 });
	drv = t->drv;
	drv_init(&t->drv, q);
	check(!is_copied(t, false, 4096));
	check(is_copied(t, false, 128));
	dev_delete_queue(q);
	t->drv = drv;
	/* A queue keeps what it was created with. */
	check_eq(virtqueue_resize(t->q->vq, 64, drv_recycle, NULL), 0);
	check(is_copied(t, false, 4096));
	check_eq(virtqueue_reset(t->q->vq, drv_recycle, NULL), 0);
	check(is_copied(t, false, 4096));
}

/* ---- what the device does and says ---- */

static void partly_written(struct run *t)
{
	static const u32 lens[] = { 1, 100, 128, 129, 300, 2048, 4095, 4096, 5000 };
	static struct served s;
	unsigned int i, w, p;

	test_queue(t);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		const u32 len = lens[i], total = len + 8;
		const u32 written[] = { 0, 1, len / 2, len - 1, len, len + 3, total };
		const struct drv_shape shape = { 1, 2, { 16, len, 8 }, DRV_EACH };

		for (w = 0; w < ARRAY_SIZE(written); w++) {
			const u32 said[] = { written[w], 0, written[w] / 2, total, U32_MAX };

			for (p = 0; p < ARRAY_SIZE(said); p++) {
				/* All of the cells is dirty from the one before. */
				test_round_trip(t, &shape);
				test_add(t, drv_req_shape(&t->drv, &shape));
				check(drv_dev_take(&t->drv, &s));
				drv_dev_finish(&t->drv, &s, written[w], said[p]);
				s.from->reported = min(said[p], total);
				check_eq(drv_reap(&t->drv), 1);
			}
		}
	}
}

static void written_too_late(struct run *t)
{
	static const struct drv_shape shape = { 1, 2, { 16, 3000, 8 }, DRV_EACH };
	static struct served a, b, c;
	static u8 junk[3000];
	struct drv_req *first;

	memset(junk, 0xee, sizeof(junk));
	test_queue(t);
	test_add(t, drv_req_shape(&t->drv, &shape));
	check(drv_dev_take(&t->drv, &a));
	drv_dev_finish(&t->drv, &a, 3008, 3008);
	first = drv_get(&t->drv);
	check(first == a.from);
	/* The device still reaches the cells, but nobody's buffer. */
	dev_write(t->q, &a.req, 0, junk, sizeof(junk));
	dev_write(t->q, &a.req, 3000, junk, 8);
	drv_check_content(&t->drv, first);

	test_add(t, drv_req_shape(&t->drv, &shape));
	test_add(t, drv_req_shape(&t->drv, &shape));
	check(drv_dev_take(&t->drv, &b));
	check(drv_dev_take(&t->drv, &c));
	/* The same cells: what was left there is gone. */
	check_eq(b.req.seg[1].addr, a.req.seg[1].addr);
	drv_dev_finish(&t->drv, &c, 3008, 3008);
	drv_dev_finish(&t->drv, &b, 10, 3008);
	check_eq(drv_reap(&t->drv), 2);
	drv_check_content(&t->drv, first);
	drv_free(&t->drv, first);
}

static void one_direction(struct run *t)
{
	bool readable = t->access == TRANSLATED_NONCOHERENT;
	static struct served s;
	unsigned int i;

	test_queue(t);
	/* Header, data, data, status; what does not fit into cells besides. */
	test_add(t, drv_req_shape(&t->drv, &(struct drv_shape) {
		3, 3, { 16, 4096, 5000, 5000, 4096, 1 }, DRV_EACH,
	}));
	if (t->indirect) {
		u64 table = dev_get64(t->q, t->q->desc);

		check(dma_in_cell(t->dev.dma_dev, table));
		check(dev_reaches(t->q, table, 96, false));
		check(!dev_reaches(t->q, table, 1, true));
	}
	check(drv_dev_take(&t->drv, &s));
	check_eq(s.req.nseg, 6);
	for (i = 0; i < 6; i++) {
		u64 addr = s.req.seg[i].addr;

		check_eq(dev_reaches(t->q, addr, s.req.seg[i].len, true), i >= 3);
		/* Cells have to be written back for a device that sees no caches. */
		check_eq(dev_reaches(t->q, addr, 1, false),
			 i < 3 || (readable && s.from->seg[i].copied));
	}
	drv_dev_finish(&t->drv, &s, 9097, 9097);
	check_eq(drv_reap(&t->drv), 1);
}

static void cells_are_not_shared(struct run *t)
{
	static const struct drv_shape shape = { 2, 3, { 16, 700, 900, 100, 1 }, DRV_EACH };
	static struct served s[64];
	unsigned int lap, n, i, j, a, b, order[64];
	u32 seed = 1;

	test_queue_with(t, "1000", 64);
	for (lap = 0; lap < 6; lap++) {
		for (n = 0; t->q->vq->num_free >= (t->indirect ? 1 : 5); n++) {
			check_eq(test_add(t, drv_req_shape(&t->drv, &shape)), 0);
			check(drv_dev_take(&t->drv, &s[n]));
			order[n] = n;
		}
		check_eq(n, t->indirect ? 64 : 12);
		for (i = 0; i < n; i++)
			for (j = 0; j < i; j++)
				for (a = 0; a < 5; a++)
					for (b = 0; b < 5; b++)
						check(s[i].req.seg[a].addr + shape.len[a] <=
						      s[j].req.seg[b].addr ||
						      s[j].req.seg[b].addr + shape.len[b] <=
						      s[i].req.seg[a].addr);
		for (i = n; i > 1; i--) {
			seed = seed * 1103515245 + 12345;
			swap(order[i - 1], order[(seed >> 16) % i]);
		}
		for (i = 0; i < n; i++) {
			drv_dev_finish(&t->drv, &s[order[i]], 1001, 1001);
			if (lap & 1)
				check_eq(drv_reap(&t->drv), 1);
		}
		check_eq(drv_reap(&t->drv), lap & 1 ? 0 : n);
	}
}

/* ---- the life of cells ---- */

static void fill(struct run *t)
{
	while (t->q->vq->num_free >= 4)
		test_add(t, drv_req_shape(&t->drv, &(struct drv_shape) {
			2, 2, { 16, 3000, 3000, 1 }, DRV_EACH,
		}));
}

static void check_no_cells(void)
{
	check_eq(dma_stats(NULL).live_cells, 0);
	check_eq(kernel_live_pages(), 0);
}

static void freed_in_the_end(struct run *t)
{
	unsigned int lap;

	drv_recycler = &t->drv;
	test_queue(t);
	check_no_cells();
	for (lap = 0; lap < 4; lap++) {
		fill(t);
		drv_dev_serve(&t->drv, lap);
		check(dma_stats(NULL).live_cells > 3);
		check_eq(dma_stats(NULL).live_cells, kernel_live_pages());
		check_eq(lap & 1 ? virtqueue_reset(t->q->vq, drv_recycle, NULL) :
			 virtqueue_resize(t->q->vq, lap ? 8 : 64, drv_recycle, NULL), 0);
		check_no_cells();
		drv_check_works(&t->drv);
	}
	/* A resize that fails frees none that are in use. */
	fill(t);
	t->q->reset_fails = true;
	check_eq(virtqueue_resize(t->q->vq, 32, drv_recycle, NULL), -EIO);
	drv_dev_serve(&t->drv, 8);
	check(drv_reap(&t->drv));
	dev_delete_queue(t->q);
	check_no_cells();
	test_queue(t);
}

static void detached_with_content(struct run *t)
{
	static const struct drv_shape shape = { 1, 3, { 16, 3000, 5000, 8 }, DRV_EACH };
	static struct served s;
	struct drv_req *r[3];
	unsigned int i;

	test_queue(t);
	for (i = 0; i < 3; i++) {
		r[i] = drv_req_shape(&t->drv, &shape);
		test_add(t, r[i]);
	}
	/* One is done and one half done when the device stops. */
	check(drv_dev_take(&t->drv, &s));
	drv_dev_finish(&t->drv, &s, 8008, 8008);
	check(drv_dev_take(&t->drv, &s));
	drv_dev_finish(&t->drv, &s, 10, 0);
	/* Where this one's entries are the device has not looked. */
	for (i = 0; i < 4; i++)
		r[2]->seg[i].copied = i != 2;
	t->q->enabled = false;
	for (i = 0; i < 3; i++) {
		struct drv_req *back = virtqueue_detach_unused_buf(t->q->vq);

		check(back);
		drv_check_content(&t->drv, back);
		drv_take_back(&t->drv, back);
	}
	check(!virtqueue_detach_unused_buf(t->q->vq));
	check_eq(dma_stats(NULL).live_maps, 0);
	t->drv.head = t->drv.tail;
}

static void deleted_without_copying(struct run *t)
{
	static const struct drv_shape shape = { 1, 2, { 16, 4096, 8 }, DRV_EACH };
	static struct served s;
	struct drv_req *r;

	test_queue(t);
	r = drv_req_shape(&t->drv, &shape);
	test_add(t, r);
	check(drv_dev_take(&t->drv, &s));
	drv_dev_finish(&t->drv, &s, 4104, 4104);
	dev_delete_queue(t->q);
	/* What the device wrote nobody asked for. */
	r->written = 0;
	test_queue(t);
	drv_check_content(&t->drv, r);
	r->queued = false;
	drv_free(&t->drv, r);
}

/*
 * What is copied comes back whole.  Without coherence, what is mapped does as
 * well: the cache's lines are thrown away.
 */
static bool comes_back_whole(const struct run *t, u32 len)
{
	switch (t->access) {
	case TRANSLATED:
		return len <= 4096;
	case TRANSLATED_MAPPED:
		return len <= 128;
	case BOUNCED:
	case PHYSICAL_BOUNCED:
	case POOLED:
	case PHYSICAL_POOLED:
	case TRANSLATED_NONCOHERENT:
		return true;
	default:
		return false;
	}
}

/*
 * The contract of virtio_ring_dma.rst, "A buffer is the device's until its
 * token is back": here the driver breaks it, and its buffer has another owner.
 */
static void given_up_early(struct run *t)
{
	static const u32 lens[] = { 1, 128, 129, 4096, 4097, 9000 };
	static struct served s;
	unsigned int i, w;
	static u8 data[9000];

	memset(data, 0xdd, sizeof(data));
	test_queue(t);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		const u32 len = lens[i], written[] = { 0, len / 3, len };

		for (w = 0; w < ARRAY_SIZE(written); w++) {
			const struct drv_shape shape = { 0, 1, { len } };
			struct drv_req *r = drv_req_shape(&t->drv, &shape);
			u32 lost = 0, said, j;

			memset(r->seg[0].buf, 0x11, len);
			test_add(t, r);
			check(drv_dev_take(&t->drv, &s));
			memset(r->seg[0].buf, 0x5a, len);
			dev_write(t->q, &s.req, 0, data, written[w]);
			dev_complete(t->q, &s.req, written[w]);
			check(virtqueue_get_buf(t->q->vq, &said) == r);
			for (j = 0; j < len; j++)
				lost += r->seg[0].buf[j] != 0x5a;
			check_eq(lost, comes_back_whole(t, len) ? len : written[w]);
			drv_take_back(&t->drv, r);
		}
	}
}

/* Requests of one segment reach the cells of every id. */
static void load(struct run *t, bool in, u32 len)
{
	while (t->q->vq->num_free)
		test_add(t, drv_req(&t->drv, !in, in, len));
	test_serve(t, t->num);
}

static void bounded_memory(struct run *t)
{
	/* Pages of cells that are in use, one kind more in each step. */
	static const struct {
		const char *bounce_max;
		unsigned int num, header, status, out, in, table;
	} want[] = {
		/* 256 and 128 bytes an id; data as much as bounce_max says; tables. */
		{ "4096", 16, 1, 1, 16, 16, 1 },
		{ "4096", 256, 16, 8, 256, 256, 16 },
		{ "4095", 32, 2, 1, 32, 32, 2 },
		{ "2049", 32, 2, 1, 32, 32, 2 },
		{ "2048", 32, 2, 1, 16, 16, 2 },
		{ "200", 64, 4, 2, 32, 32, 4 },
		{ "0", 64, 4, 2, 0, 0, 4 },
		{ "-1", 64, 0, 0, 0, 0, 4 },
	};
	unsigned int i, n, lap, pages;

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		u32 most = max(atoi(want[i].bounce_max), 0);

		t->num = want[i].num;
		test_queue_with(t, want[i].bounce_max, want[i].num);
		for (lap = 0; lap < 2; lap++) {
			load(t, false, 128);
			pages = want[i].header;
			if (!lap)
				check_eq(dma_stats(NULL).live_cells, pages);
			load(t, true, 128);
			pages += want[i].status;
			if (!lap)
				check_eq(dma_stats(NULL).live_cells, pages);
			load(t, false, max(most, 129U));
			load(t, true, max(most, 129U));
			pages += want[i].out + want[i].in;
			if (!lap)
				check_eq(dma_stats(NULL).live_cells, pages);
			for (n = 0; t->q->vq->num_free >= 2; n++)
				drv_submit(&t->drv, 1, 1, 8);
			test_serve(t, n);
			if (t->indirect)
				pages += want[i].table;
			check_eq(dma_stats(NULL).live_cells, pages);
		}
		dev_delete_queue(t->q);
	}
	t->num = 16;
	test_queue(t);
}

/* ---- without memory ---- */

static void no_memory_for_cells(struct run *t)
{
	static const struct drv_shape shape = { 2, 2, { 16, 3000, 3000, 1 }, DRV_EACH };
	struct drv_req *r;
	unsigned int i;

	test_queue(t);
	r = drv_req_shape(&t->drv, &shape);
	kernel_out_of_memory(true);
	/* Nothing to remember the request with: segment by segment. */
	check_eq(test_add(t, r), 4);
	check_eq(t->q->vq->num_free, 12);
	check_no_cells();
	test_serve(t, 1);
	check_eq(test_round_trip(t, &(struct drv_shape){ 0, 1, { 3000 } }), 1);
	check_eq(test_round_trip(t, &(struct drv_shape){ 1, 0, { 30 } }), 1);
	check_no_cells();
	kernel_out_of_memory(false);

	/* Once there was memory for that, more is needed for large ones only. */
	check_eq(test_round_trip(t, &(struct drv_shape){ 0, 1, { 5000 } }), 1);
	r = drv_req(&t->drv, 1, 1, 3000);
	kernel_out_of_memory(true);
	check_eq(test_add(t, r), 2);
	kernel_out_of_memory(false);
	check_eq(t->q->vq->num_free, 14);
	check_no_cells();
	check_eq(drv_dev_serve(&t->drv, 2), 1);
	check(drv_get(&t->drv) == r);
	for (i = 0; i < 2; i++)
		check(!r->seg[i].copied);
	drv_free(&t->drv, r);

	/* As soon as there is memory there are cells. */
	check_eq(test_round_trip(t, &shape), 0);
}

/* Pages of cells that a device has; none before the ring has tables that stay. */
static unsigned int device_cell_pages(struct run *t)
{
#if RING_TABLES
	return atomic_read(&t->dev.vdev.cell_pages);
#else
	return 0;
#endif
}

/* All queues of a device together have so much and no more. */
static void bounded(struct run *t)
{
	static const struct { unsigned int kib, pages; } bounds[] = {
		{ 0, 0 }, { 3, 1 }, { 12, 3 }, { 16, 4 },
	};
	struct dev_queue *other;
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(bounds); i++) {
		shim_param_cell_max(bounds[i].kib);
		other = dev_create_queue(&t->dev, &(struct queue_opts){ .index = 1 });
		test_queue(t);
		/* A cell of 4,096 bytes each, or a mapping. */
		for (n = 0; n < 8; n++)
			drv_submit(&t->drv, 0, 1, 4096);
		check_eq(dma_stats(NULL).live_cells, bounds[i].pages);
		check_eq(dma_stats(NULL).live_maps, 8 - bounds[i].pages);
		check_eq(device_cell_pages(t), bounds[i].pages);
		test_serve(t, 8);
		/* The other queue gets none, until this one gives back its own. */
		swap(t->q, other);
		drv_init(&t->drv, t->q);
		check_eq(test_round_trip(t, &(struct drv_shape){ 0, 1, { 4096 } }), 1);
		dev_delete_queue(other);
		check_eq(device_cell_pages(t), 0);
		check_eq(test_round_trip(t, &(struct drv_shape){ 0, 1, { 4096 } }),
			 !bounds[i].pages);
		dev_delete_queue(t->q);
		check_eq(device_cell_pages(t), 0);
	}
	shim_param_cell_max(8192);
	test_queue(t);
}

static void no_mapping_for_cells(struct run *t)
{
	struct drv_req *r;
	unsigned int in;

	test_queue(t);
	check_eq(test_round_trip(t, &(struct drv_shape){ 0, 1, { 5000 } }), 1);
	for (in = 0; in < 2; in++) {
		r = drv_req(&t->drv, !in, in, 3000);
		/* The page is there, and cannot be mapped. */
		fail_nth(2);
		check_eq(test_add(t, r), 1);
		check(fail_nth_fired());
		check_eq(dma_stats(NULL).live_cells, in);
		check_eq(kernel_live_pages(), in);
		check_eq(drv_dev_serve(&t->drv, 2), 1);
		check(drv_get(&t->drv) == r);
		check(!r->seg[0].copied);
		drv_free(&t->drv, r);
		check(is_copied(t, in, 3000));
	}
}

static void small_goes_with_data(struct run *t)
{
	static struct served s;

	test_queue(t);
	check_eq(test_round_trip(t, &(struct drv_shape){ 0, 1, { 5000 } }), 1);
	/* No memory for headers, but for the cell of the data. */
	fail_nth(1);
	check_eq(test_add(t, drv_req_shape(&t->drv, &(struct drv_shape) {
		3, 0, { 16, 3000, 100 }, DRV_EACH,
	})), 0);
	check(fail_nth_fired());
	fail_nth(0);
	check(drv_dev_take(&t->drv, &s));
	check_eq(s.req.nseg, 3);
	check(s.from->seg[0].copied && s.from->seg[1].copied && s.from->seg[2].copied);
	drv_dev_finish(&t->drv, &s, 0, 0);
	check_eq(drv_reap(&t->drv), 1);
	/* More than all cells hold: the rest is mapped. */
	check_eq(test_round_trip(t, &(struct drv_shape) {
		6, 6, { 128, 128, 128, 2000, 2000, 128, 128, 2000, 2000, 128, 128, 128 },
		DRV_EACH,
	}), 2);
}

static void no_memory_for_large(struct run *t)
{
	static const struct drv_shape shape = {
		5, 4, { 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096 },
	};
	static struct served s;

	test_queue(t);
	/* Mapped in two, and with a cell for the table. */
	check_eq(test_add(t, drv_req(&t->drv, 4, 3, 4096)), 2);
	check_eq(t->q->vq->num_free, t->indirect ? 15 : 9);
	test_serve(t, 1);
	fail_nth(1);
	check_eq(test_add(t, drv_req_shape(&t->drv, &shape)), 9 + t->indirect);
	check(fail_nth_fired());
	check_eq(t->q->vq->num_free, t->indirect ? 15 : 7);
	check(drv_dev_take(&t->drv, &s));
	check_eq(s.req.nseg, 9);
	drv_dev_finish(&t->drv, &s, 4 * 4096, 4 * 4096);
	check_eq(drv_reap(&t->drv), 1);
	check_eq(dma_stats(NULL).live_maps, 0);
	check_eq(test_round_trip(t, &shape), 2);
}

/* ---- other ways to map ---- */

static void premapped_tables_only(struct run *t)
{
	unsigned int n, i;

	test_queue_opts(t, &(struct queue_opts){ .num = 64 });
	drv_premap(&t->drv);
	for (n = 1; n <= 20; n++) {
		for (i = 0; i < 2; i++) {
			struct drv_req *r = drv_req(&t->drv, n / 2, n - n / 2, 8);

			/* Seen by the device where the driver mapped them. */
			check_eq(test_add(t, r), n + (t->indirect && n > 16));
			check_eq(drv_dev_serve(&t->drv, 2), 1);
			check(drv_get(&t->drv) == r);
			check_eq(dma_stats(NULL).live_maps, n);
			check(!r->seg[0].copied);
			drv_free(&t->drv, r);
		}
		check_eq(dma_stats(NULL).live_cells, t->indirect && n > 1);
	}
}

static void contexts(struct run *t)
{
	unsigned int i;

	test_queue_opts(t, &(struct queue_opts){ .ctx = true });
	for (i = 0; i < 40; i++) {
		struct drv_req *r = drv_req(&t->drv, 0, 1 + i % 4, i % 3 ? 1000 : 3000);
		unsigned long maps = dma_stats(NULL).maps;

		r->ctx = (void *)(0x100UL + i);
		check_eq(drv_add_as(&t->drv, r, DRV_CTX), 0);
		check_eq(dma_stats(NULL).maps - maps, (1 + i % 4) * r->seg[0].len > 4096);
		test_serve(t, 1);
	}
}

/* One that may have to bounce, whether it has an IOMMU in passthrough or none. */
static void narrow_device(struct run *t)
{
	test_device(t, test_features(t));
	t->dev.parent_mask = DMA_BIT_MASK(48);
	t->dev.parent.shim_untracked = false;
}

static void first_bounce_buffer(struct run *t)
{
	static const enum access access[] = { DIRECT, IDENTITY };
	unsigned int i, nth;

	drv_recycler = &t->drv;
	for (i = 0; i < ARRAY_SIZE(access); i++) {
		for (nth = 1; nth <= 5; nth++) {
			t->access = access[i];
			narrow_device(t);
			test_queue(t);
			/* One is under way that nobody is going to unmap. */
			drv_submit(&t->drv, 2, 3, 50);
			check_eq(dma_stats(NULL).live_maps, 0);
			t->dev.dma_dev->shim_bounce_in = nth;
			drv_submit(&t->drv, 2, 3, 50);
			check(t->dev.dma_dev->shim_bounces);
			/* From now on there is something to undo, tables included. */
			check_eq(dma_stats(NULL).live_maps, 5 + t->indirect);
			drv_submit(&t->drv, 1, 0, 50);
			check_eq(dma_stats(NULL).live_maps, 6 + t->indirect);
			test_serve(t, 3);
			drv_check_works(&t->drv);
			check_eq(virtqueue_resize(t->q->vq, 32, drv_recycle, NULL), 0);
			drv_check_works(&t->drv);
			drv_submit(&t->drv, 2, 3, 50);
			check_eq(dma_stats(NULL).live_maps, 5 + t->indirect);
			check_eq(drv_detach_all(&t->drv), 1);
			check_eq(dma_stats(NULL).live_maps, 0);
			dev_delete_queue(t->q);
			check_no_cells();
		}
	}
	test_queue(t);
}

static void first_bounce_buffer_of_one(struct run *t)
{
	static const enum access access[] = { DIRECT, IDENTITY };
	unsigned int i, in;

	for (i = 0; i < ARRAY_SIZE(access); i++) {
		for (in = 0; in < 2; in++) {
			t->access = access[i];
			narrow_device(t);
			test_queue(t);
			drv_submit(&t->drv, !in, in, 50);
			check_eq(dma_stats(NULL).live_maps, 0);
			t->dev.dma_dev->shim_bounce_in = 1;
			drv_submit(&t->drv, !in, in, 50);
			check(t->dev.dma_dev->shim_bounces);
			check_eq(dma_stats(NULL).live_maps, 1);
			drv_submit(&t->drv, !in, in, 50);
			check_eq(dma_stats(NULL).live_maps, 2);
			/* The device's data arrives from the bounce buffer, too. */
			test_serve(t, 3);
			check_eq(dma_stats(NULL).live_maps, 0);
			drv_check_works(&t->drv);
			dev_delete_queue(t->q);

			narrow_device(t);
			test_queue(t);
			t->dev.dma_dev->shim_bounce_in = 1;
			drv_submit(&t->drv, !in, in, 50);
			check_eq(dma_stats(NULL).live_maps, 1);
			check_eq(drv_detach_all(&t->drv), 1);
			check_eq(dma_stats(NULL).live_maps, 0);
			dev_delete_queue(t->q);
		}
	}
	test_queue(t);
}

static void counted(struct run *t)
{
	const bool asked = !test_unasked(t) && !test_pooled(t);
	const struct vring_stats *stats;
	struct drv_req *r;

	t->dev.dma_dev->shim_syncs_late = true;
	test_queue_with(t, "0", 16);
	stats = &to_vring(t->q->vq)->stats;
	check_eq(stats->mappings, 0);
	drv_submit(&t->drv, 0, 1, 200);
	check_eq(stats->mappings, asked);
	r = drv_req(&t->drv, 1, 0, 200);
	if (asked) {
		fail_nth(1);
		check_eq(drv_add(&t->drv, r), test_map_error(t));
		check(fail_nth_fired());
		fail_nth(0);
	}
	check_eq(stats->mappings, asked);
	check_eq(stats->requests, 1);
	check_eq(drv_add(&t->drv, r), 0);
	check_eq(stats->mappings, 2 * asked);
	check_eq(stats->requests, 2);
	check_eq(stats->descriptors, 2);
	check_eq(stats->bounced_bytes, test_bounced(t) ? 400 : 0);
	test_serve(t, 2);
	drv_submit(&t->drv, 1, 2, 200);
	check_eq(stats->requests, 3);
	check_eq(stats->indirect_tables, t->indirect);
	/* The two that are written are a list, which a pool makes one. */
	check_eq(stats->descriptors, 2 + 3 - test_pooled(t) + t->indirect);
	test_serve(t, 1);
}

static void first_bounce_buffer_of_one_list(struct run *t)
{
	static const enum access access[] = { DIRECT, IDENTITY };
	struct scatterlist sg[3], *sgs[2] = { sg, sg };
	static u8 buf[3][100];
	static struct dev_req r;
	unsigned int i, k, nth, len;

	for (i = 0; i < ARRAY_SIZE(access); i++) {
		for (nth = 1; nth <= 6; nth++) {
			t->access = access[i];
			narrow_device(t);
			test_queue(t);
			sg_init_table(sg, 3);
			for (k = 0; k < 3; k++) {
				memset(buf[k], 1, 100);
				sg_set_buf(&sg[k], buf[k], 100);
			}
			/* As for an encryption in place. */
			t->dev.dma_dev->shim_bounce_in = nth;
			check_eq(virtqueue_add_sgs(t->q->vq, sgs, 1, 1, buf, GFP_ATOMIC), 0);
			check(t->dev.dma_dev->shim_bounces);
			check(dev_take(t->q, &r));
			check_eq(r.nseg, 6);
			dev_write(t->q, &r, 299, "x", 1);
			dev_complete(t->q, &r, 300);
			check(virtqueue_get_buf(t->q->vq, &len) == buf);
			check_eq(buf[2][99], 'x');
			check_eq(dma_stats(NULL).live_maps, 0);
			dev_delete_queue(t->q);
		}
	}
	test_queue(t);
}

static void first_bounce_buffer_fails(struct run *t)
{
	unsigned int n;
	int err;

	for (n = 1; ; n++) {
		struct drv_req *r;
		bool fired;

		t->access = n & 1 ? DIRECT : IDENTITY;
		narrow_device(t);
		test_queue(t);
		r = drv_req(&t->drv, 2, 3, 50);
		t->dev.dma_dev->shim_bounce_in = 1;
		fail_nth(n);
		err = drv_add(&t->drv, r);
		fired = fail_nth_fired();
		fail_nth(0);
		if (err) {
			check_eq(err, test_map_error(t));
			check_eq(dma_stats(NULL).live_maps, 0);
			check_eq(t->q->vq->num_free, t->num);
			check_eq(drv_add(&t->drv, r), 0);
		}
		check_eq(dma_stats(NULL).live_maps > 0, t->dev.dma_dev->shim_bounces);
		test_serve(t, 1);
		dev_delete_queue(t->q);
		if (!fired)
			break;
	}
	/* Every mapping until the bounce buffer, and five that are to be undone. */
	check(n > 6);
	test_queue(t);
}

const struct test cell_tests[] = {
	{ "a small request costs no mapping and no allocation once the cells are there",
	  small_costs_nothing, AXIS_CELLS | AXIS_INDIRECT | AXIS_EVENT | NEEDS(CELLS) },
	{ "lists up to bounce_max are copied, longer ones mapped", copied_up_to_bounce_max,
	  AXIS_CELLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "bounce_max is refused if it is not -1 to 4096", malformed_bounce_max, NEEDS(CELLS) },
	{ "bounce_max is for queues created from then on",
	  later_queues_only, AXIS_CELLS | NEEDS(CELLS) },
	{ "what is not written keeps its content whatever length is reported", partly_written,
	  AXIS_CELLS | AXIS_POOLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "what a device writes after completion shows nowhere", written_too_late,
	  AXIS_CELLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "a cell is for one direction",
	  one_direction, AXIS_CELLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "no two requests share a cell, or units of a pool", cells_are_not_shared,
	  AXIS_CELLS | AXIS_POOLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "cells are freed by reset, resize and deletion", freed_in_the_end,
	  AXIS_CELLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "a buffer that is detached has what the device wrote and nothing else",
	  detached_with_content, AXIS_CELLS | AXIS_POOLS | AXIS_INDIRECT },
	{ "deleting a queue copies nothing", deleted_without_copying,
	  AXIS_CELLS | AXIS_POOLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "a buffer that is given up early is overwritten, as a whole if it is copied",
	  given_up_early, AXIS_ACCESS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "cells take as much memory as their sizes say", bounded_memory,
	  AXIS_CELLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "without memory for cells requests are mapped", no_memory_for_cells,
	  AXIS_CELLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "all cells of a device together have a bound", bounded, AXIS_CELLS | NEEDS(CELLS) },
	{ "a cell that cannot be mapped is done without", no_mapping_for_cells,
	  AXIS_CELLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "without a cell for headers they go with the data", small_goes_with_data,
	  AXIS_CELLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "without memory for it a large request goes segment by segment", no_memory_for_large,
	  AXIS_CELLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "of premapped requests only the table is the ring's", premapped_tables_only,
	  AXIS_CELLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "requests with contexts are copied, too",
	  contexts, AXIS_CELLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "the first bounce buffer ends mapping without unmapping", first_bounce_buffer,
	  AXIS_INDIRECT | NEEDS(ONLY) },
	{ "the first bounce buffer may be of a single segment", first_bounce_buffer_of_one,
	  AXIS_INDIRECT | NEEDS(ONLY) },
	{ "requests, descriptors, mappings and bounced bytes are counted", counted,
	  AXIS_ACCESS | AXIS_INDIRECT | NEEDS(PHYS) },
	{ "the first bounce buffer may be in a list that is read and written",
	  first_bounce_buffer_of_one_list, AXIS_INDIRECT },
	{ "the first bounce buffer may come when mappings fail", first_bounce_buffer_fails,
	  AXIS_INDIRECT },
	{ 0 }
};

// SPDX-License-Identifier: GPL-2.0
/* What the device is given: segments, the mappings behind them, and tables. */
#include "test.h"

/* ---- what is mapped ---- */

static void one_mapping_for_data(struct run *t)
{
	test_queue_with(t, "0", 16);
	check_eq(test_round_trip(t, &(struct drv_shape){ 2, 1, { 16, 4096, 1 }, DRV_EACH }), 1);
	check_eq(test_round_trip(t, &(struct drv_shape){ 1, 2, { 16, 4096, 1 }, DRV_EACH }), 1);
	check_eq(test_round_trip(t, &(struct drv_shape){ 2, 2, { 16, 4096, 4096, 1 }, DRV_EACH }),
		 2);
	check_eq(test_round_trip(t, &(struct drv_shape){ 1, 0, { 129 } }), 1);
	check_eq(test_round_trip(t, &(struct drv_shape){ 1, 1, { 128, 128 } }), 0);
}

static void one_mapping_a_direction(struct run *t)
{
	unsigned int n, how;

	test_queue_with(t, "4096", 256);
	for (n = 1; n <= 250; n += 1 + n / 16) {
		for (how = 0; how < 3; how++) {
			unsigned int nout = how == 0 ? n : how == 1 ? 0 : n / 2;
			unsigned int nin = n - nout;
			/* More than a cell holds, of each direction. */
			u32 len = 4100 / max(n / (how == 2 ? 2 : 1), 1U) + 1;

			check_eq(test_add(t, drv_req(&t->drv, nout, nin, len)), !!nout + !!nin);
			check_eq(t->q->vq->num_free, t->indirect && n > 1 ? 255 : 256 - n);
			test_serve(t, 1);
		}
	}
}

static void every_mix(struct run *t)
{
	unsigned int mask, k, j, i, large[2];

	test_queue_with(t, "4096", 64);
	for (mask = 0; mask < 64; mask++) {
		struct drv_shape s = { 0 };
		struct drv_req *r;

		/* Three lists a direction, each of one to three entries. */
		for (k = 0, i = 0, large[0] = 0, large[1] = 0; k < 6; k++) {
			bool is_large = mask >> k & 1;

			for (j = 0; j < 1 + (k + mask) % 3; j++)
				s.len[i++] = is_large ? 5000 : 40;
			s.last |= BIT(i - 1);
			large[k / 3] += is_large;
			if (k == 2)
				s.nout = i;
		}
		s.nin = i - s.nout;
		r = drv_req_shape(&t->drv, &s);
		check_eq(test_add(t, r), !!large[0] + !!large[1]);
		check_eq(drv_dev_serve(&t->drv, 2), 1);
		check(drv_get(&t->drv) == r);
		check_eq(dma_stats(NULL).live_maps, 0);
		for (i = 0; i < s.nout + s.nin; i++)
			check_eq(r->seg[i].copied, r->seg[i].len == 40);
		drv_free(&t->drv, r);
	}
}

/* ---- segments ---- */

/* What the device gets, as lengths; the request is completed. */
static void check_segments(struct run *t, const struct drv_shape *shape, unsigned int nseg,
			   u32 len)
{
	static struct served s;
	unsigned int i;

	test_add(t, drv_req_shape(&t->drv, shape));
	check(drv_dev_take(&t->drv, &s));
	check_eq(s.req.nseg, nseg);
	for (i = 0; i < nseg; i++)
		check_eq(s.req.seg[i].len, len);
	drv_dev_finish(&t->drv, &s, s.from->writable, s.from->writable);
	check_eq(drv_reap(&t->drv), 1);
}

static void joined_in_a_list(struct run *t)
{
	unsigned int in;

	for (in = 0; in < 2; in++) {
		const struct drv_shape pages = {
			in ? 0 : 8, in ? 8 : 0, { 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096 },
		};
		const struct drv_shape bits = {
			in ? 0 : 8, in ? 8 : 0, { 512, 512, 512, 512, 512, 512, 512, 512 },
		};

		test_queue_with(t, "4096", 16);
		t->drv.place = DRV_PAGES;
		check_segments(t, &pages, 8, 4096);
		/* In a cell anything touches. */
		check_segments(t, &bits, 1, 4096);
		dev_delete_queue(t->q);
		test_queue_with(t, "0", 16);
		t->drv.place = DRV_PAGES;
		check_segments(t, &pages, 8, 4096);
		check_segments(t, &bits, 8, 512);
		dev_delete_queue(t->q);
	}
	test_queue(t);
}

/* dma_map_sg() must not be given it; it is the driver's doing. */
static void too_long_for_a_list(struct run *t)
{
	static const struct { u32 limit, entries, len; unsigned int maps; } cases[] = {
		{ 65536, 8, 5000, 1 },
		{ 5000, 8, 5000, 1 },
		{ 4999, 8, 5000, 8 },
		{ 4096, 4, 8192, 4 },
		{ 512, 1, 5000, 1 },
		/* To copy it is another matter. */
		{ 512, 1, 4096, 0 },
		{ 512, 4, 1024, 0 },
	};
	unsigned int i, j;

	test_queue(t);
	t->drv.place = DRV_PAGES;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct drv_shape s = { .nout = cases[i].entries };

		for (j = 0; j < cases[i].entries; j++)
			s.len[j] = cases[i].len;
		t->dev.parms.max_segment_size = cases[i].limit;
		check_eq(test_round_trip(t, &s), cases[i].maps);
		swap(s.nout, s.nin);
		check_eq(test_round_trip(t, &s), cases[i].maps);
	}
}

/* Take a request and check that its segments touch, and are those of the lists. */
static void check_touching(struct run *t, const struct drv_shape *shape, unsigned int nseg)
{
	static struct served s;
	unsigned int i;

	test_add(t, drv_req_shape(&t->drv, shape));
	check(drv_dev_take(&t->drv, &s));
	check_eq(s.req.nseg, nseg);
	for (i = 1; i < nseg; i++)
		if (s.req.seg[i].write == s.req.seg[i - 1].write)
			check_eq(s.req.seg[i].addr,
				 s.req.seg[i - 1].addr + s.req.seg[i - 1].len);
	drv_dev_finish(&t->drv, &s, s.from->writable, s.from->writable);
	check_eq(drv_reap(&t->drv), 1);
}

static void lists_are_not_joined(struct run *t)
{
	test_queue_with(t, "0", 16);
	t->drv.place = DRV_PAGES;
	/* Next to each other in the IOMMU's range, and in a cell. */
	check_touching(t, &(struct drv_shape) {
		3, 3, { 4096, 4096, 4096, 4096, 4096, 4096 }, DRV_EACH,
	}, 6);
	check_touching(t, &(struct drv_shape) {
		4, 4, { 4096, 4096, 4096, 4096, 4096, 4096, 8192, 4096 },
		BIT(1) | BIT(4) | BIT(6),
	}, 8);
	check_touching(t, &(struct drv_shape){ 2, 3, { 16, 32, 32, 16, 1 }, DRV_EACH }, 5);
}

static void tables_of_any_length(struct run *t)
{
	static const unsigned int lens[] = {
		2, 15, 16, 17, 127, 128, 129, 255, 256, 257, 258, 259, 300,
	};
	static const struct { const char *bounce_max; unsigned int most; } cells[] = {
		{ "4096", 256 }, { "0", 128 }, { "2049", 256 },
	};
	unsigned int i, c, k;

	t->indirect = true;
	test_device(t, test_features(t));
	for (c = 0; c < ARRAY_SIZE(cells); c++) {
		test_queue_with(t, cells[c].bounce_max, 16);
		for (i = 0; i < ARRAY_SIZE(lens); i++) {
			unsigned int n = lens[i], maps;

			/* The data and, where no cell has room for it, the table. */
			maps = 1 + (n > cells[c].most);
			for (k = 0; k < 2; k++)
				check_eq(test_add(t, drv_req(&t->drv, n, 0, 9000 / n)), maps);
			check_eq(t->q->vq->num_free, 14);
			test_serve(t, 2);
		}
		dev_delete_queue(t->q);
	}
	test_queue(t);
}

/* No range is left that is long enough for a list, but many that are short. */
static void addresses_are_fragmented(struct run *t)
{
	static const struct drv_shape shapes[] = {
		{ 3, 0, { 5000, 5000, 5000 } },
		{ 0, 4, { 5000, 4096, 5000, 4096 } },
		{ 2, 3, { 5000, 5000, 5000, 5000, 5000 } },
		/* With lists that are copied beside. */
		{ 3, 4, { 16, 5000, 5000, 5000, 5000, 5000, 1 }, BIT(0) | BIT(2) | BIT(5) },
	};
	static const unsigned int maps[] = { 3, 4, 5, 5 };
	unsigned int i, k;

	test_queue(t);
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		dma_iova_limit = 1;
		for (k = 0; k < 2; k++)
			check_eq(test_round_trip(t, &shapes[i]), maps[i]);
		/* It is tried at once again each time. */
		dma_iova_limit = 0;
		check_eq(test_round_trip(t, &shapes[i]),
			 (shapes[i].nout > 0) + (shapes[i].nin > 0));
	}
}

static void tables_next_to_data(struct run *t)
{
	struct drv_shape s = { .nout = 1, .nin = 20, .len = { 2000 }, .last = DRV_EACH };
	unsigned int i, maps;

	for (i = 1; i < 21; i++)
		s.len[i] = i == 20 ? 5000 : 5;
	t->indirect = true;
	test_device(t, test_features(t));
	test_queue(t);
	for (i = 0; i < 20; i++) {
		/* The cell for long tables is in use: one is allocated, and mapped. */
		maps = 2;
		s.len[0] = 2000;
		/* Now it is in a cell, where the data was just now. */
		if (i & 1) {
			maps = 1;
			s.len[0] = 100;
		}
		check_eq(test_add(t, drv_req_shape(&t->drv, &s)), maps);
		check_eq(test_add(t, drv_req_shape(&t->drv, &s)), maps);
		test_serve(t, 2);
	}
}

static void untranslated_tables(struct run *t)
{
	/* What is mapped and forgotten would be in the way of the others. */
	static const enum access access[] = { PHYSICAL, IDENTITY, DIRECT };
	unsigned int i, lap, n;

	for (i = 0; i < ARRAY_SIZE(access); i++) {
		t->access = access[i];
		test_device(t, test_features(t));
		test_queue(t);
		for (n = 2; n <= 16; n++) {
			for (lap = 0; lap < 2; lap++) {
				struct drv_req *r = drv_req(&t->drv, n / 2, n - n / 2, 100);
				unsigned long allocs = kernel_allocs();

				check(test_add(t, r) <= n);
				check_eq(t->q->vq->num_free, 15);
				if (lap)
					check_eq(kernel_allocs(), allocs);
				test_serve(t, 1);
			}
		}
		/* More than a cell holds is mapped, and that is undone. */
		check_eq(test_add(t, drv_req(&t->drv, 17, 0, 100)) > 1, !test_unasked(t));
		check_eq(t->q->vq->num_free, 15);
		test_serve(t, 1);
		dev_delete_queue(t->q);
	}
	test_queue(t);
}

/* ---- buffers and scatterlists as they come ---- */

static void buffers_anywhere(struct run *t)
{
	static const enum drv_place places[] = { DRV_PAGES, DRV_ACROSS, DRV_COMPOUND };
	static const u32 lens[] = { 2, 100, 1300, 3000, 4096, 9000 };
	unsigned int p, i;

	test_queue(t);
	for (p = 0; p < ARRAY_SIZE(places); p++) {
		t->drv.place = places[p];
		for (i = 0; i < ARRAY_SIZE(lens); i++) {
			drv_submit(&t->drv, 3, 3, lens[i]);
			drv_submit_as(&t->drv, 2, 2, lens[i], DRV_SGS_EACH);
			test_serve(t, 2);
		}
	}
}

static void chained_lists(struct run *t)
{
	static const u32 lens[] = { 9, 300, 3000 };
	unsigned int i, n;

	test_queue(t);
	t->drv.chained = true;
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		for (n = 1; n <= 8; n++) {
			drv_submit(&t->drv, n, 0, lens[i]);
			test_serve(t, 1);
			drv_submit(&t->drv, 8 - n, n, lens[i]);
			test_serve(t, 1);
		}
	}
	/* Some lists copied, some mapped. */
	test_round_trip(t, &(struct drv_shape) {
		6, 6, { 10, 10, 10, 5000, 5000, 5000, 700, 700, 700, 5000, 5000, 5000 }, 0x124,
	});
}

static void longer_than_they_say(struct run *t)
{
	static const u32 lens[] = { 20, 900, 5000 };
	static struct dev_req r;
	struct scatterlist sg[5];
	unsigned int i, n, len;
	u8 *buf[5], word[4];

	test_queue(t);
	for (i = 0; i < 5; i++)
		buf[i] = kmalloc(5000, GFP_KERNEL);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		sg_init_table(sg, 5);
		for (n = 0; n < 5; n++) {
			memset(buf[n], 0x11 * n, 5000);
			sg_set_buf(&sg[n], buf[n], lens[i]);
		}
		/* Two entries of five, as the number says. */
		check_eq(virtqueue_add_inbuf(t->q->vq, sg, 2, buf, GFP_ATOMIC), 0);
		check(dev_take(t->q, &r));
		check_eq(r.writable, 2 * lens[i]);
		dev_write(t->q, &r, 2 * lens[i] - 4, "last", 4);
		dev_complete(t->q, &r, 2 * lens[i]);
		check(virtqueue_get_buf(t->q->vq, &len) == buf);
		check(!memcmp(buf[1] + lens[i] - 4, "last", 4));
		for (n = 2; n < 5; n++)
			check_eq(buf[n][0], 0x11 * n);

		check_eq(virtqueue_add_outbuf(t->q->vq, sg, 2, buf, GFP_ATOMIC), 0);
		check(dev_take(t->q, &r));
		check_eq(r.readable, 2 * lens[i]);
		dev_read(t->q, &r, 2 * lens[i] - 4, word, 4);
		check(!memcmp(word, "last", 4));
		dev_complete(t->q, &r, 0);
		check(virtqueue_get_buf(t->q->vq, &len) == buf);
	}
	for (i = 0; i < 5; i++)
		kfree(buf[i]);
}

static void lists_reused_at_once(struct run *t)
{
	static struct dev_req r[4];
	static u8 data[4][4][3000];
	struct scatterlist sg[4], *sgs[3];
	unsigned int i, n, len;
	u8 back[2], out[3];

	test_queue(t);
	memset(data, 0, sizeof(data));
	/* The same lists for every request, copied, mapped and mixed. */
	for (i = 0; i < 4; i++) {
		for (n = 0; n < 4; n++) {
			sg_init_one(&sg[n], data[i][n], i & 1 << (n & 1) ? 3000 : 40);
			memset(data[i][n], 16 * i + n, 3000);
		}
		sgs[0] = &sg[0];
		sg_unmark_end(&sg[0]);
		sgs[1] = &sg[2];
		sgs[2] = &sg[3];
		check_eq(virtqueue_add_sgs(t->q->vq, sgs, 1, 2, data[i], GFP_ATOMIC), 0);
		memset(sg, 0xff, sizeof(sg));
		memset(sgs, 0xff, sizeof(sgs));
	}
	for (i = 0; i < 4; i++) {
		check(dev_take(t->q, &r[i]));
		dev_read(t->q, &r[i], 0, &back[0], 1);
		check_eq(back[0], 16 * i);
		dev_read(t->q, &r[i], r[i].readable - 1, &back[1], 1);
		check_eq(back[1], 16 * i + 1);
	}
	for (i = 4; i--; ) {
		memset(out, 0x80 + i, sizeof(out));
		dev_write(t->q, &r[i], r[i].writable - 3, out, 3);
		dev_complete(t->q, &r[i], r[i].writable);
		check(virtqueue_get_buf(t->q->vq, &len) == data[i]);
		check_eq(data[i][3][i & 2 ? 2999 : 39], 0x80 + i);
	}
	check_eq(dma_stats(NULL).live_maps, 0);
}

static void any_length(struct run *t)
{
	static const char * const values[] = { "4096", "0", "200" };
	unsigned int i, k;
	u32 len;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		test_queue_with(t, values[i], 16);
		test_round_trip(t, &(struct drv_shape){ 1, 1, { 16, 1 } });
		for (len = 1; len <= 4100; len++) {
			if (len == 301)
				len = 2044;
			if (len == 2053)
				len = 4092;
			/* Of different lengths at the same time. */
			for (k = 0; k < 2; k++)
				test_add(t, drv_req_shape(&t->drv, &(struct drv_shape) {
					2, 2, { 16, len + k, len + k, 1 }, DRV_EACH,
				}));
			test_serve(t, 2);
		}
		dev_delete_queue(t->q);
	}
	test_queue(t);
}

const struct test segs_tests[] = {
	{ "data that is not copied takes one mapping", one_mapping_for_data,
	  AXIS_CELLS | AXIS_INDIRECT | AXIS_EVENT | NEEDS(CELLS) },
	{ "a request has one mapping a direction however many segments it has",
	  one_mapping_a_direction, AXIS_CELLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "lists are copied and mapped in every mix",
	  every_mix, AXIS_CELLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "entries of a list are joined in a cell and nowhere else", joined_in_a_list,
	  AXIS_CELLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "an entry that is longer than the device allows is mapped by itself", too_long_for_a_list,
	  AXIS_CELLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "lists are not joined even where they touch", lists_are_not_joined,
	  AXIS_CELLS | AXIS_INDIRECT | NEEDS(CELLS) },
	{ "a list that finds no range of addresses is mapped entry by entry",
	  addresses_are_fragmented, AXIS_CELLS | AXIS_ACCESS | NEEDS(CELLS) },
	{ "indirect tables of any length find a place",
	  tables_of_any_length, AXIS_CELLS | NEEDS(CELLS) },
	{ "a long indirect table does not get in the way of data", tables_next_to_data,
	  AXIS_CELLS | NEEDS(CELLS) },
	{ "without translation an indirect table costs nothing either",
	  untranslated_tables, NEEDS(TABLES) },
	{ "buffers may cross pages and begin in any of an entry's pages", buffers_anywhere,
	  AXIS_ACCESS | AXIS_INDIRECT },
	{ "scatterlists may be chained after any entry", chained_lists,
	  AXIS_ACCESS | AXIS_INDIRECT },
	{ "a scatterlist may be longer than its number of entries", longer_than_they_say,
	  AXIS_ACCESS | AXIS_INDIRECT },
	{ "the driver may reuse its scatterlists at once", lists_reused_at_once,
	  AXIS_ACCESS | AXIS_INDIRECT },
	{ "data of any length arrives", any_length,
	  AXIS_CELLS | AXIS_POOLS | AXIS_INDIRECT },
	{ 0 }
};

// SPDX-License-Identifier: GPL-2.0
/* What is mapped, when and for how long, and buffers that the driver maps. */
#include "test.h"
#include "model_map.h"

static void mapped_while_in_flight(struct run *t)
{
	static const u32 lens[] = { 50, 5000 };
	unsigned int i, want;

	test_queue(t);
	check_eq(dma_stats(NULL).live_maps, 0);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		struct dma_stats before = dma_stats(NULL), s;

		drv_submit(&t->drv, 2, 3, lens[i]);
		s = dma_stats(NULL);
		/*
		 * The segments and, if there is one, the table; the latter is
		 * copied if need be.  Translated: what is not copied, at once.
		 * With a pool: nothing.
		 */
		want = 5 + t->indirect;
		if (RING_LISTS && test_translated(t))
			want = (2 * lens[i] > test_copied(t)) +
			       (3 * lens[i] > test_copied(t));
		if (test_pooled(t))
			want = 0;
		if (test_unasked(t)) {
			check_eq(s.maps, before.maps);
		} else if (test_map_only(t)) {
			check(s.maps > before.maps && s.maps <= before.maps + 5 +
							       !RING_TABLES);
			check_eq(s.live_maps, 0);
		} else {
			check_eq(s.maps, before.maps + want);
			/* A ring without RING_ONLY undoes optional mappings, too. */
			check_eq(s.live_maps + (RING_ONLY ? 0 : s.optional), want);
		}
		check_eq(drv_dev_serve(&t->drv, 1), 1);
		check_eq(dma_stats(NULL).live_maps, s.live_maps);
		check_eq(drv_reap(&t->drv), 1);
		check_eq(dma_stats(NULL).live_maps, 0);
		check_eq(dma_stats(NULL).maps, s.maps);
	}
}

static void never_sleeps_when_atomic(struct run *t)
{
	unsigned int lap;

	test_queue(t);
	kernel_set_atomic(true);
	for (lap = 0; lap < 3; lap++) {
		drv_submit(&t->drv, 3, 3, 8);
		virtqueue_kick(t->q->vq);
		check_eq(drv_dev_serve(&t->drv, 2), 1);
		dev_interrupt(t->q);
		virtqueue_disable_cb(t->q->vq);
		check_eq(drv_reap(&t->drv), 1);
		virtqueue_enable_cb(t->q->vq);
		drv_submit(&t->drv, 1, 1, 8);
		check_eq(drv_detach_all(&t->drv), 1);
		dev_enable_queue(t->q);
		kernel_set_atomic(false);
		dev_delete_queue(t->q);
		test_queue(t);
		kernel_set_atomic(true);
	}
}

static void sleeps_if_allowed(struct run *t)
{
	test_queue(t);
	t->drv.gfp = GFP_KERNEL;
	drv_check_works(&t->drv);
}

static void none_in_high_memory(struct run *t)
{
	/* What the ring allocates for a request it writes itself. */
	test_queue(t);
	t->drv.gfp = GFP_KERNEL | __GFP_HIGHMEM;
	drv_submit(&t->drv, 2, 2, 8);
	drv_submit(&t->drv, 2, 2, 5000);
	test_serve(t, 2);
}

static void traced(struct run *t)
{
	struct drv_req *r;
	unsigned int i;

	test_queue(t);
	drv_submit(&t->drv, 2, 2, 8);
	drv_submit(&t->drv, 0, 1, 8);
	check_eq(kernel_trace_hits("virtio_ring_map"), 2);
	check_eq(kernel_trace_hits("virtio_ring_unmap"), 0);
	check_eq(drv_dev_serve(&t->drv, 3), 2);
	check_eq(drv_reap(&t->drv), 2);
	check_eq(kernel_trace_hits("virtio_ring_map"), 2);
	check_eq(kernel_trace_hits("virtio_ring_unmap"), 2);
	for (i = 0; i < 5; i++)
		drv_submit(&t->drv, 1, 0, 8);
	check_eq(drv_detach_all(&t->drv), 5);
	check_eq(kernel_trace_hits("virtio_ring_map"), 7);
	check_eq(kernel_trace_hits("virtio_ring_unmap"), 7);
	/* What could not be mapped was not. */
	r = drv_req(&t->drv, 1, 0, 5000);
	fail_nth(1);
	check_eq(drv_add(&t->drv, r), -ENOMEM);
	check_eq(kernel_trace_hits("virtio_ring_map") - 7,
		 kernel_trace_hits("virtio_ring_unmap") - 7);
	drv_free(&t->drv, r);
}

/* ---- premapped ---- */

/* The driver undoes its own mappings even where that does nothing. */
static unsigned long mapped(void)
{
	struct dma_stats s = dma_stats(NULL);

	return s.live_maps + s.optional;
}

static void premapped(struct run *t)
{
	struct drv_req *r;
	unsigned int i;
	bool table;

	test_queue(t);
	drv_premap(&t->drv);
	for (i = 0; i < 40; i++) {
		unsigned int nout = i % 3, nin = 1 + i % 4;

		/* drv_dev_take() checks that the addresses are those we mapped. */
		r = drv_submit(&t->drv, nout, nin, 40);
		/* The ring maps a table, or copies that, too. */
		table = t->indirect && nout + nin > 1 && !test_has_cells(t) &&
			!test_pooled(t);
		check_eq(mapped(), nout + nin + table);
		check_eq(drv_dev_serve(&t->drv, 2), 1);
		check(drv_get(&t->drv) == r);
		/* The driver's mappings are still there, the table's is not. */
		check_eq(mapped(), nout + nin);
		drv_free(&t->drv, r);
		check_eq(mapped(), 0);
	}
	r = drv_submit(&t->drv, 2, 2, 8);
	check(virtqueue_detach_unused_buf(t->q->vq) == r);
	t->drv.head = t->drv.tail;
	check_eq(mapped(), 4);
	drv_take_back(&t->drv, r);
}

static void premapped_large(struct run *t)
{
	static const unsigned int nums[] = { 15, 16, 17, 257, 258, 259, DRV_SEGS };
	unsigned int i;

	t->indirect = true;
	test_device(t, test_features(t));
	test_queue(t);
	drv_premap(&t->drv);
	for (i = 0; i < ARRAY_SIZE(nums); i++) {
		drv_submit(&t->drv, nums[i] / 2, nums[i] - nums[i] / 2, 8);
		check_eq(t->q->vq->num_free, t->num - 1);
		check_eq(drv_dev_serve(&t->drv, 2), 1);
		check_eq(drv_reap(&t->drv), 1);
		check_eq(mapped(), 0);
	}
}

static void premapped_survives_reset(struct run *t)
{
	test_queue(t);
	drv_premap(&t->drv);
	drv_submit(&t->drv, 1, 1, 8);
	drv_recycler = &t->drv;
	check_eq(virtqueue_resize(t->q->vq, 32, drv_recycle, NULL), 0);
	drv_check_works(&t->drv);
	check_eq(virtqueue_reset(t->q->vq, drv_recycle, NULL), 0);
	drv_check_works(&t->drv);
}

static void premapped_with_context(struct run *t)
{
	struct drv_req *r;
	unsigned int i;

	/* As virtio-net's receive queues. */
	test_queue_opts(t, &(struct queue_opts){ .ctx = true });
	drv_premap(&t->drv);
	for (i = 0; i < 100; i++) {
		r = drv_req(&t->drv, 0, 1 + i % 3, 33);
		r->ctx = (void *)(0x100UL + i);
		check_eq(drv_add_as(&t->drv, r, DRV_CTX), 0);
		check_eq(mapped(), 1 + i % 3);
		check_eq(drv_dev_serve(&t->drv, 2), 1);
		check_eq(drv_reap(&t->drv), 1);
	}
}

static void driver_maps(struct run *t)
{
	enum dma_data_direction dir;
	dma_addr_t addr;
	size_t got;
	const char *why;
	u8 *buf = kzalloc(300, GFP_KERNEL), *seen;
	const bool bounced = test_bounced(t);
	bool stale = t->access == TRANSLATED_NONCOHERENT;

	test_queue(t);
	for (dir = DMA_BIDIRECTIONAL; dir <= DMA_FROM_DEVICE; dir++) {
		bool back = dir == DMA_FROM_DEVICE;

		memset(buf, 1, 300);
		addr = drv_map(t->q->vq, buf, 300, dir);
		check_eq(drv_map_error(t->q->vq, addr), 0);
		check_eq(drv_map_need_sync(t->q->vq, addr), bounced || stale);
		seen = dma_access(t->dev.dma_dev, addr, 300, dir != DMA_TO_DEVICE, &got, &why);
		check(seen && got == 300);
		check_eq(seen[10], stale && back ? DMA_STALE : 1);
		buf[10] = 2;
		drv_map_sync_for_device(t->q->vq, addr, 8, 4, dir);
		/* What the device is going to write it need not see. */
		check_eq(seen[10], !back || !(bounced || stale) ? 2 : stale ? DMA_STALE : 1);
		if (dir != DMA_TO_DEVICE) {
			seen[20] = 3;
			seen[299] = 3;
			drv_map_sync_for_cpu(t->q->vq, addr, 16, 8, dir);
			check_eq(buf[20], 3);
			/* Further away than a cache line. */
			check_eq(buf[299], bounced || stale ? 1 : 3);
		}
		drv_unmap(t->q->vq, addr, 300, dir);
		if (dir != DMA_TO_DEVICE)
			check_eq(buf[299], 3);
	}
	fail_nth(1);
	addr = drv_map(t->q->vq, buf, 300, DMA_TO_DEVICE);
	check(drv_map_error(t->q->vq, addr) != 0);
	kfree(buf);
}

static void partly_written(struct run *t)
{
	static struct served s;
	unsigned int len;

	test_queue(t);
	for (len = 0; len <= 90; len += 15) {
		/* The rest must be neither lost nor somebody else's. */
		drv_submit(&t->drv, 1, 3, 30);
		check(drv_dev_take(&t->drv, &s));
		drv_dev_finish(&t->drv, &s, len, len);
		check_eq(drv_reap(&t->drv), 1);
	}
}

static void wrongly_reported(struct run *t)
{
	static struct served s;

	test_queue(t);
	/* It wrote 90 bytes and says 7: all of them arrive. */
	drv_submit(&t->drv, 1, 3, 30);
	check(drv_dev_take(&t->drv, &s));
	drv_dev_finish(&t->drv, &s, 90, 7);
	check_eq(drv_reap(&t->drv), 1);
	/* It wrote nothing and says 60: what is there is our own. */
	drv_submit(&t->drv, 1, 3, 30);
	check(drv_dev_take(&t->drv, &s));
	drv_dev_finish(&t->drv, &s, 0, 60);
	check_eq(drv_reap(&t->drv), 1);
}

/* What swiotlb has no room for now it may have later, or it never has. */
static void larger_than_the_pool(struct run *t)
{
	static const struct { size_t pool; int err; } cases[] = {
		{ SIZE_MAX, -ENOMEM }, { 8192, -ENOMEM }, { 6144, -ENOMEM }, { 6143, -EIO },
	};
	const bool bounced = test_bounced(t);
	struct drv_req *r;
	unsigned int i;

	test_queue(t);
	for (i = 0; i < ARRAY_SIZE(cases) && bounced && !test_pooled(t); i++) {
		dma_pool_size = cases[i].pool;
		/* Three slots of 2,048 bytes. */
		r = drv_req(&t->drv, 0, 3, 2000);
		fail_nth(2);
		check_eq(drv_add(&t->drv, r), cases[i].err);
		check_eq(kernel_take_messages(SHIM_WARN, "6144 bytes refused"),
			 cases[i].err == -EIO);
		check_eq(dma_stats(NULL).live_maps, 0);
		check_eq(t->q->vq->num_free, t->num);
		check_eq(drv_add(&t->drv, r), 0);
		test_serve(t, 1);
	}
	dma_pool_size = SIZE_MAX;
}

/* A quarter of what all buffers are bounced in. */
static void largest_request(struct run *t)
{
#if RING_SIZE
	const bool bounced = test_bounced(t);

	test_queue(t);
	dma_pool_size = SIZE_MAX;
	check_eq(virtio_max_request_size(&t->dev.vdev), SIZE_MAX);
	dma_pool_size = 65536;
	check_eq(virtio_max_request_size(&t->dev.vdev), bounced ? 16384 : SIZE_MAX);
	dma_pool_size = 4096;
	check_eq(virtio_max_request_size(&t->dev.vdev), bounced ? PAGE_SIZE : SIZE_MAX);
	dma_pool_size = SIZE_MAX;
#endif
}

const struct test dma_tests[] = {
	{ "buffers are mapped while they are in flight and no longer", mapped_while_in_flight,
	  AXIS_ALL },
	{ "nothing sleeps in atomic context", never_sleeps_when_atomic, AXIS_ALL },
	{ "allocations may sleep if the caller says so", sleeps_if_allowed, AXIS_ACCESS },
	{ "nothing is allocated in high memory, even if the caller has no objection",
	  none_in_high_memory, AXIS_ALL },
	{ "mapping and unmapping of a request is traced once each", traced,
	  AXIS_INDIRECT | NEEDS(TRACE) },
	{ "premapped buffers keep the driver's addresses and mappings", premapped, AXIS_ALL },
	{ "a premapped request may have any number of segments", premapped_large, AXIS_ACCESS },
	{ "premapped mode survives resize and reset", premapped_survives_reset, AXIS_ALL },
	{ "premapped buffers may have contexts", premapped_with_context, AXIS_ALL },
	{ "a driver can map, sync and unmap by itself", driver_maps, AXIS_ACCESS },
	{ "a request that swiotlb never has room for is refused for good", larger_than_the_pool,
	  AXIS_ACCESS | AXIS_INDIRECT | NEEDS(NEVER) },
	{ "virtio_max_request_size is a quarter of swiotlb where all is bounced",
	  largest_request, AXIS_ACCESS | NEEDS(SIZE) },
	{ "what the device does not write keeps its content", partly_written, AXIS_ALL },
	{ "what the device writes arrives whatever length it reports", wrongly_reported,
	  AXIS_ALL },
	{ 0 }
};

// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping functions of this kernel only: requests that the driver mapped beside
 * others, attributes of a request, and devices with mapping functions of their
 * own.
 */
#include "test.h"
#include "ring.h"

/* The ring core has it for a whole queue, too, though no driver of this kernel. */
bool drv_map_queue(struct virtqueue *vq)
{
	to_vring(vq)->premapped = true;
	return true;
}

static unsigned long mapped(void)
{
	struct dma_stats s = dma_stats(NULL);

	return s.live_maps + s.optional;
}

static void mapped_beside_others(struct run *t)
{
	unsigned int i, n, before;
	struct drv_req *r;

	test_queue_opts(t, &(struct queue_opts){ .num = 64 });
	t->drv.premapped = true;
	for (i = 0; i < 60; i++) {
		/* Of both directions, and so the ring's to map. */
		drv_submit(&t->drv, 1, 1, 40);
		before = mapped();
		n = 1 + i % 5;
		r = drv_submit(&t->drv, i & 1 ? n : 0, i & 1 ? 0 : n, 40);
		check(r->premapped);
		check_eq(mapped(), before + n +
			 (t->indirect && n > 1 && !test_has_cells(t) && !test_pooled(t)));
		check_eq(drv_dev_serve(&t->drv, 3), 2);
		check_eq(drv_reap(&t->drv), 2);
		check_eq(dma_stats(NULL).live_maps, 0);
	}
}

static void attributes_of_one_request(struct run *t)
{
	unsigned long want = DMA_ATTR_DEBUGGING_IGNORE_CACHELINES;
	static char buf[2][PAGE_SIZE * 2];
	struct scatterlist sg;
	unsigned int len;

	test_queue(t);
	sg_init_one(&sg, buf[0], sizeof(buf[0]));
	check_eq(virtqueue_add_inbuf_cache_clean(t->q->vq, &sg, 1, buf[0], GFP_KERNEL), 0);
	check_eq(dma_last_attrs, want);
	sg_init_one(&sg, buf[1], sizeof(buf[1]));
	check_eq(virtqueue_add_inbuf(t->q->vq, &sg, 1, buf[1], GFP_KERNEL), 0);
	check_eq(dma_last_attrs, 0);
	check(virtqueue_detach_unused_buf(t->q->vq) == buf[0]);
	check(virtqueue_detach_unused_buf(t->q->vq) == buf[1]);
	check(!virtqueue_get_buf(t->q->vq, &len));
}

/* ---- mapping functions of the device's own: those of another device, counted ---- */

static unsigned int token, calls, allocs;
static struct device *behind;

static struct device *of(union virtio_map map)
{
	check((void *)map.group == &token);
	calls++;
	return behind;
}

static dma_addr_t own_map_page(union virtio_map map, struct page *page, unsigned long offset,
			       size_t size, enum dma_data_direction dir, unsigned long attrs)
{
	return dma_map_page_attrs(of(map), page, offset, size, dir, attrs);
}

static void own_unmap_page(union virtio_map map, dma_addr_t addr, size_t size,
			   enum dma_data_direction dir, unsigned long attrs)
{
	dma_unmap_page_attrs(of(map), addr, size, dir, attrs);
}

static void own_sync_for_cpu(union virtio_map map, dma_addr_t addr, size_t size,
			     enum dma_data_direction dir)
{
	dma_sync_single_for_cpu(of(map), addr, size, dir);
}

static void own_sync_for_device(union virtio_map map, dma_addr_t addr, size_t size,
				enum dma_data_direction dir)
{
	dma_sync_single_for_device(of(map), addr, size, dir);
}

static void *own_alloc(union virtio_map map, size_t size, dma_addr_t *addr, gfp_t gfp)
{
	allocs++;
	return dma_alloc_coherent(of(map), size, addr, gfp);
}

static void own_free(union virtio_map map, size_t size, void *mem, dma_addr_t addr,
		     unsigned long attrs)
{
	allocs--;
	dma_free_coherent(of(map), size, mem, addr);
}

static bool own_need_sync(union virtio_map map, dma_addr_t addr)
{
	return dma_need_sync(of(map), addr);
}

static int own_mapping_error(union virtio_map map, dma_addr_t addr)
{
	return dma_mapping_error(of(map), addr);
}

static size_t own_max(union virtio_map map)
{
	of(map);
	return 12345;
}

static const struct virtio_map_ops own_ops = {
	.map_page = own_map_page,
	.unmap_page = own_unmap_page,
	.sync_single_for_cpu = own_sync_for_cpu,
	.sync_single_for_device = own_sync_for_device,
	.alloc = own_alloc,
	.free = own_free,
	.need_sync = own_need_sync,
	.mapping_error = own_mapping_error,
	.max_mapping_size = own_max,
};

static void functions_of_its_own(struct run *t)
{
	const bool platform = !test_physical(t);
	unsigned int i;
	size_t pool;

	calls = 0;
	allocs = 0;
	behind = platform ? &t->dev.other : NULL;
	t->dev.vdev.map = &own_ops;
	t->dev.vdev.vmap.group = (struct vduse_vq_group *)&token;
	if (platform) {
		t->dev.dma_dev = behind;
		/* Where its functions bounce is not known: no pool. */
		dma_shared_only = false;
	}
	test_queue_opts(t, &(struct queue_opts){ .dma_dev = (struct device *)&token });
	/* Without ACCESS_PLATFORM it takes physical addresses all the same. */
	check_eq(calls > 0, platform);
	check_eq(allocs, platform);
	check(virtqueue_dma_dev(t->q->vq) == (platform ? NULL : &t->dev.vdev.dev));
	if (platform) {
		check_eq(virtio_max_dma_size(&t->dev.vdev), 12345);
		/* What swiotlb has for the parent does not matter. */
		pool = dma_pool_size;
		dma_pool_size = 4096;
		check_eq(virtio_max_request_size(&t->dev.vdev), SIZE_MAX);
		dma_pool_size = pool;
	}
	for (i = 0; i < 60; i++) {
		t->drv.premapped = i & 1;
		drv_submit(&t->drv, i % 3, 1 + i % 4, i % 5 ? 40 : 5000);
		check_eq(drv_dev_serve(&t->drv, 2), 1);
		check_eq(drv_reap(&t->drv), 1);
		check_eq(dma_stats(NULL).live_maps, 0);
	}
	check_eq(dma_stats(&t->dev.parent).maps, 0);
}

const struct test map_tests[] = {
	{ "requests that the driver mapped go beside others", mapped_beside_others, AXIS_ALL },
	{ "attributes of a mapping are those of one request", attributes_of_one_request,
	  AXIS_CELLS },
	{ "a device may have mapping functions of its own", functions_of_its_own, AXIS_ALL },
	{ 0 }
};

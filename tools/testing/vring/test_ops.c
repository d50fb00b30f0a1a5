// SPDX-License-Identifier: GPL-2.0
/*
 * Some architectures have mapping operations that translate for every device.
 * The ring gives a device with physical addresses other operations, and these
 * are tested here.  The other tests use such a device as one of their variants.
 */
#include "test.h"

/* A device with physical addresses on such an architecture, and its queue. */
static struct device *begin(struct run *t)
{
	t->access = PHYSICAL_OPS;
	test_device(t, test_features(t));
	test_queue(t);
	return &t->dev.vdev.dev;
}

static void addresses_are_physical(struct run *t)
{
	static struct dev_req r;
	static char buf[100];
	struct scatterlist sg;
	struct device *dev = begin(t);
	unsigned int len;

	check(virtqueue_dma_dev(t->q->vq) == dev);
	check(phys_to_virt(t->q->desc));
	check_eq(dma_stats(dev).live_coherent, dma_stats(NULL).live_coherent);
	sg_init_one(&sg, buf, sizeof(buf));
	check_eq(virtqueue_add_inbuf(t->q->vq, &sg, 1, buf, GFP_KERNEL), 0);
	check(dev_take(t->q, &r));
	check_eq(r.seg[0].addr, virt_to_phys(buf));
	dev_complete(t->q, &r, 0);
	check(virtqueue_get_buf(t->q->vq, &len) == buf);
	check_eq(dma_stats(dev).live_maps, 0);
}

static void memory_is_zeroed(struct run *t)
{
	struct device *dev = begin(t);
	dma_addr_t addr;
	void *mem;

	/* The model looks; unlike the ring, not every caller asks for it. */
	mem = dma_alloc_coherent(dev, 3 * PAGE_SIZE, &addr, GFP_KERNEL);
	check(mem);
	check_eq(addr, virt_to_phys(mem));
	dma_free_coherent(dev, 3 * PAGE_SIZE, mem, addr);
	fail_nth(1);
	check(!dma_alloc_coherent(dev, 3 * PAGE_SIZE, &addr, GFP_KERNEL));
	check(fail_nth_fired());
}

static void others_are_translated(struct run *t)
{
	static char buf[100];
	dma_addr_t addr;

	begin(t);
	check(!t->dev.parent.dma_ops);
	addr = dma_map_single(&t->dev.parent, buf, sizeof(buf), DMA_TO_DEVICE);
	check(!dma_mapping_error(&t->dev.parent, addr));
	check(addr != virt_to_phys(buf));
	dma_unmap_single(&t->dev.parent, addr, sizeof(buf), DMA_TO_DEVICE);
}

static void none_if_there_are_none(struct run *t)
{
	t->access = PHYSICAL;
	test_device(t, test_features(t));
	test_queue(t);
	check(!t->dev.vdev.dev.dma_ops);
	drv_check_works(&t->drv);
}

static void only_where_addresses_are_physical(struct run *t)
{
	t->access = TRANSLATED_OPS;
	test_device(t, test_features(t));
	test_queue(t);
	check(!t->dev.vdev.dev.dma_ops);
	check(!t->dev.parent.dma_ops);
	drv_check_works(&t->drv);
}

static void map_list(struct run *t)
{
	static char buf[3][300];
	struct device *dev = begin(t);
	struct scatterlist sg[3];
	unsigned int i;
	u64 mask;

	sg_init_table(sg, 3);
	for (i = 0; i < 3; i++)
		sg_set_buf(&sg[i], buf[i], 100 * (i + 1));
	check_eq(dma_map_sg(dev, sg, 3, DMA_TO_DEVICE), 3);
	for (i = 0; i < 3; i++) {
		check_eq(sg_dma_address(&sg[i]), virt_to_phys(buf[i]));
		check_eq(sg_dma_len(&sg[i]), 100 * (i + 1));
	}
	check_eq(dma_stats(dev).live_maps, 1);
	dma_unmap_sg(dev, sg, 3, DMA_TO_DEVICE);
	check_eq(dma_stats(dev).live_maps, 0);

	/* The last byte counts. */
	dev->dma_mask = &mask;
	mask = virt_to_phys(buf[2]) + 299;
	check_eq(dma_map_sg(dev, sg, 3, DMA_TO_DEVICE), 3);
	dma_unmap_sg(dev, sg, 3, DMA_TO_DEVICE);
	mask--;
	check_eq(dma_map_sg(dev, sg, 3, DMA_TO_DEVICE), 0);
	check_eq(dma_stats(dev).live_maps, 0);
}

static void buffer_beyond_the_mask(struct run *t)
{
	struct device *dev = begin(t);
	u64 mask = DMA_BIT_MASK(40);
	struct drv_req *r;

	dev->dma_mask = &mask;
	r = drv_req(&t->drv, 1, 1, 8);
	dma_set_phys_base(1ULL << 40);
	check_eq(drv_add(&t->drv, r), test_map_error(t));
	check_eq(t->q->vq->num_free, t->num);
	check_eq(dma_stats(NULL).live_maps, 0);
	dma_set_phys_base(1ULL << 30);
	check_eq(drv_add(&t->drv, r), 0);
	test_serve(t, 1);
}

static void ring_beyond_the_mask(struct run *t)
{
	unsigned long live;
	struct device *dev = begin(t);

	dev_delete_queue(t->q);
	t->q = NULL;
	live = kernel_live_allocs();
	dev->coherent_dma_mask = DMA_BIT_MASK(40);
	dma_set_phys_base(1ULL << 40);
	check(!dev_create_queue(&t->dev, &(struct queue_opts){ .num = 16 }));
	kernel_take_messages(SHIM_WARN, NULL);
	check_eq(kernel_live_allocs(), live);
	dma_set_phys_base(1ULL << 30);
	test_queue(t);
	drv_check_works(&t->drv);
}

const struct test ops_tests[] = {
	{ "the ring's own mapping operations leave physical addresses alone",
	  addresses_are_physical, 0 },
	{ "coherent memory from the ring's own operations is zeroed", memory_is_zeroed, 0 },
	{ "the parent keeps the operations of the architecture", others_are_translated, 0 },
	{ "no operations are set where the architecture has none", none_if_there_are_none, 0 },
	{ "no operations are set for a device behind the platform's",
	  only_where_addresses_are_physical, 0 },
	{ "a driver can map a scatterlist with the ring's own operations", map_list, 0 },
	{ "the ring's own operations refuse a buffer beyond the DMA mask",
	  buffer_beyond_the_mask, 0 },
	{ "the ring's own operations refuse a ring beyond the coherent mask",
	  ring_beyond_the_mask, 0 },
	{ 0 }
};

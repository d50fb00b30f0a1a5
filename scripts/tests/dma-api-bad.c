// SPDX-License-Identifier: GPL-2.0-only
/*
 * What scripts/dma-api.cocci must find, and what it must leave alone.  Never
 * compiled.  scripts/check.sh demands that exactly the lines that are marked
 * with "found" are reported.
 */

#include <linux/dma-mapping.h>

struct bad_ops {
	dma_addr_t (*map)(struct device *dev, void *buf, size_t len);
};

static dma_addr_t bad_map(struct device *dev, void *buf, size_t len)
{
	dma_addr_t addr;

	addr = dma_map_single(dev, buf, len, DMA_TO_DEVICE); /* found */
	if (dma_mapping_error(dev, addr)) /* found */
		return DMA_MAPPING_ERROR;
	if (dma_need_sync(dev, addr)) /* found */
		dma_sync_single_for_device(dev, addr, len, DMA_TO_DEVICE); /* found */
	return addr;
}

static int bad_map_sg(struct device *dev, struct scatterlist *sg, int n)
{
	int ret = dma_map_sg(dev, sg, n, DMA_FROM_DEVICE); /* found */

	return ret ? dma_get_max_seg_size(dev) : /* found */
		     (int)dma_max_mapping_size(dev); /* found */
}

static void bad_unmap(struct device *dev, dma_addr_t addr, size_t len)
{
	while (len--)
		dma_unmap_page(dev, addr, len, DMA_TO_DEVICE); /* found */
}

static void *bad_ring(struct device *dev, size_t len, dma_addr_t *addr)
{
	void *ring = dma_alloc_coherent(dev, len, addr, GFP_KERNEL); /* found */

	if (!ring)
		return NULL;
	dma_free_coherent(dev, len, ring, *addr); /* found */
	return ring;
}

static u64 bad_phys(void *buf, struct scatterlist *sg, struct page *page)
{
	u64 sum = virt_to_phys(buf); /* found */

	sum += sg_phys(sg); /* found */
	sum += page_to_phys(page); /* found */
	return sum + phys_to_dma(NULL, __pa(buf)); /* found */
}

/* Taking the address of one is no better than calling it. */
static const struct bad_ops bad_ops = {
	.map = dma_map_resource, /* found */
};

/* Names of the ring's own, types, and words in comments are not uses:
 * dma_map_single(), virt_to_phys().
 */
static dma_addr_t good(struct vring_request *req, struct vring_dma *dma)
{
	const char *dma_map = "dma_map_single(";
	dma_addr_t addr = req->dma_addr;

	vring_dma_map(dma, req);
	vring_dma_unmap(dma, req);
	pr_debug("%s sg_phys(\n", dma_map);
	return addr;
}

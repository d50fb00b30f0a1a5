/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How this kernel maps, as the ring sees it: pages.  Part of shim.h.
 */
#ifndef VRING_SHIM_MAP_H
#define VRING_SHIM_MAP_H

static inline void kmsan_handle_dma(struct page *page, size_t offset, size_t size,
				    enum dma_data_direction dir)
{
	shim_kmsan_dma((char *)page_address(page) + offset, size, dir);
}

struct dma_map_ops {
	void *(*alloc)(struct device *dev, size_t size, dma_addr_t *handle, gfp_t gfp,
		       unsigned long attrs);
	void (*free)(struct device *dev, size_t size, void *cpu, dma_addr_t handle,
		     unsigned long attrs);
	dma_addr_t (*map_page)(struct device *dev, struct page *page, unsigned long offset,
			       size_t size, enum dma_data_direction dir, unsigned long attrs);
	void (*unmap_page)(struct device *dev, dma_addr_t addr, size_t size,
			   enum dma_data_direction dir, unsigned long attrs);
	int (*map_sg)(struct device *dev, struct scatterlist *sg, int nents,
		      enum dma_data_direction dir, unsigned long attrs);
	void (*unmap_sg)(struct device *dev, struct scatterlist *sg, int nents,
			 enum dma_data_direction dir, unsigned long attrs);
};

#define nth_page(p, n)		((p) + (n))

/* What the DMA API does for a device that has operations of its own. */
#define shim_ops_map(dev, page, offset, size, dir, attrs) \
	((dev)->dma_ops->map_page(dev, page, offset, size, dir, attrs))
#define shim_ops_unmap(dev, addr, size, dir, attrs) \
	((dev)->dma_ops->unmap_page(dev, addr, size, dir, attrs))

#endif

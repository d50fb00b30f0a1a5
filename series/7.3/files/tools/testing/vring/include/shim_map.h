/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How this kernel maps, as the ring sees it: physical addresses.  Part of shim.h.
 */
#ifndef VRING_SHIM_MAP_H
#define VRING_SHIM_MAP_H

static inline void kmsan_handle_dma(phys_addr_t phys, size_t size,
				    enum dma_data_direction dir)
{
	shim_kmsan_dma(phys_to_virt(phys), size, dir);
}

struct dma_map_ops {
	void *(*alloc)(struct device *dev, size_t size, dma_addr_t *handle, gfp_t gfp,
		       unsigned long attrs);
	void (*free)(struct device *dev, size_t size, void *cpu, dma_addr_t handle,
		     unsigned long attrs);
	dma_addr_t (*map_phys)(struct device *dev, phys_addr_t phys, size_t size,
			       enum dma_data_direction dir, unsigned long attrs);
	void (*unmap_phys)(struct device *dev, dma_addr_t addr, size_t size,
			   enum dma_data_direction dir, unsigned long attrs);
	int (*map_sg)(struct device *dev, struct scatterlist *sg, int nents,
		      enum dma_data_direction dir, unsigned long attrs);
	void (*unmap_sg)(struct device *dev, struct scatterlist *sg, int nents,
			 enum dma_data_direction dir, unsigned long attrs);
};

/* What the DMA API does for a device that has operations of its own. */
#define shim_ops_map(dev, page, offset, size, dir, attrs) \
	((dev)->dma_ops->map_phys(dev, page_to_phys(page) + (offset), size, dir, attrs))
#define shim_ops_unmap(dev, addr, size, dir, attrs) \
	((dev)->dma_ops->unmap_phys(dev, addr, size, dir, attrs))

#define DMA_ATTR_DEBUGGING_IGNORE_CACHELINES	BIT(11)

static inline bool dma_bounces_all(struct device *dev)
{
	return is_swiotlb_force_bounce(dev);
}

#endif

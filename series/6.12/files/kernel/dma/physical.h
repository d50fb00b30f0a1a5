/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In this kernel, an architecture's mapping operations take pages.
 */
#ifndef _KERNEL_DMA_PHYSICAL_H
#define _KERNEL_DMA_PHYSICAL_H

static dma_addr_t dma_physical_map_page(struct device *dev, struct page *page,
					unsigned long offset, size_t size,
					enum dma_data_direction dir,
					unsigned long attrs)
{
	return dma_physical_map(dev, page_to_phys(page) + offset, size);
}

#define DMA_PHYSICAL_MAP						\
	.map_page	= dma_physical_map_page,			\
	.unmap_page	= dma_physical_unmap

#endif /* _KERNEL_DMA_PHYSICAL_H */

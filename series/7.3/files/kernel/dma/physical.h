/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In this kernel, an architecture's mapping operations take physical addresses.
 */
#ifndef _KERNEL_DMA_PHYSICAL_H
#define _KERNEL_DMA_PHYSICAL_H

static dma_addr_t dma_physical_map_phys(struct device *dev, phys_addr_t phys,
					size_t size,
					enum dma_data_direction dir,
					unsigned long attrs)
{
	return dma_physical_map(dev, phys, size);
}

#define DMA_PHYSICAL_MAP						\
	.map_phys	= dma_physical_map_phys,			\
	.unmap_phys	= dma_physical_unmap

#endif /* _KERNEL_DMA_PHYSICAL_H */

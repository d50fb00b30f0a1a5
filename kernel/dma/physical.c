// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that use physical addresses, whatever IOMMU or mapping operations
 * other devices of the machine have.
 */
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>

#ifdef CONFIG_ARCH_HAS_DMA_OPS
/*
 * If the architecture has mapping operations of its own for every device, a
 * device that takes physical addresses needs operations that leave them
 * unchanged.
 */
static void *dma_physical_alloc(struct device *dev, size_t size,
				dma_addr_t *addr, gfp_t gfp,
				unsigned long attrs)
{
	void *mem = alloc_pages_exact(size, gfp | __GFP_ZERO);

	if (!mem)
		return NULL;
	*addr = virt_to_phys(mem);
	if (*addr + size - 1 > dev->coherent_dma_mask) {
		free_pages_exact(mem, size);
		return NULL;
	}
	return mem;
}

static void dma_physical_free(struct device *dev, size_t size, void *mem,
			      dma_addr_t addr, unsigned long attrs)
{
	free_pages_exact(mem, size);
}

static dma_addr_t dma_physical_map(struct device *dev, phys_addr_t addr,
				   size_t size)
{
	if (addr + size - 1 > dma_get_mask(dev))
		return DMA_MAPPING_ERROR;
	return addr;
}

static void dma_physical_unmap(struct device *dev, dma_addr_t addr, size_t size,
			       enum dma_data_direction dir, unsigned long attrs)
{
}

#include "physical.h"

static int dma_physical_map_sg(struct device *dev, struct scatterlist *sgl,
			       int nents, enum dma_data_direction dir,
			       unsigned long attrs)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		sg_dma_address(sg) = dma_physical_map(dev, sg_phys(sg),
						      sg->length);
		if (sg_dma_address(sg) == DMA_MAPPING_ERROR)
			return -EIO;
		sg_dma_len(sg) = sg->length;
	}
	return nents;
}

static void dma_physical_unmap_sg(struct device *dev, struct scatterlist *sgl,
				  int nents, enum dma_data_direction dir,
				  unsigned long attrs)
{
}

static const struct dma_map_ops dma_physical_ops = {
	.alloc		= dma_physical_alloc,
	.free		= dma_physical_free,
	DMA_PHYSICAL_MAP,
	.map_sg		= dma_physical_map_sg,
	.unmap_sg	= dma_physical_unmap_sg,
};

static void dma_set_physical_ops(struct device *dev)
{
	if (get_dma_ops(dev))
		set_dma_ops(dev, &dma_physical_ops);
}
#else
static void dma_set_physical_ops(struct device *dev)
{
}
#endif /* CONFIG_ARCH_HAS_DMA_OPS */

/**
 * dma_set_physical - use physical addresses as a device's DMA addresses
 * @dev: the device, one that no bus has set up for DMA
 * @mask: where to keep its DMA mask, for as long as @dev lives
 *
 * For devices that are implemented by the hypervisor and do not take part in
 * the platform's DMA.  @dev gets a mask of 64 bits, is coherent, and has
 * neither an IOMMU nor mapping operations of the architecture.  swiotlb=force
 * and DMA_API_DEBUG apply to it as to any device.
 *
 * If @dev already has a coherent mask, that mask stays.  Otherwise it gets 64
 * bits.
 *
 * Context: nothing is mapped for @dev yet; the caller serializes.
 * Return: 0, or -EIO if the architecture cannot do that.
 */
int dma_set_physical(struct device *dev, u64 *mask)
{
#if defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE) || \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU) || \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU_ALL)
	dev->dma_coherent = true;
#endif
	dma_set_physical_ops(dev);

	*mask = DMA_BIT_MASK(64);
	dev->dma_mask = mask;
	if (!dev->coherent_dma_mask)
		dev->coherent_dma_mask = DMA_BIT_MASK(64);
	/* Has the DMA layer find out whether syncs are needed at all. */
	return dma_set_mask(dev, DMA_BIT_MASK(64));
}
EXPORT_SYMBOL_GPL(dma_set_physical);

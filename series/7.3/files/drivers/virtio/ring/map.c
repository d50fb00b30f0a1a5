// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mapping functions of this kernel for drivers.  Each request is mapped by
 * the driver or by the ring.  The driver's mappings use the same device or
 * functions as the ring's own.
 *
 * Addresses and lengths are in bytes, attributes are DMA_ATTR_*.  The functions
 * may be called in any context.  The driver serializes adding as in core.c.
 */
#include <linux/export.h>

#include "ring.h"

/* As virtqueue_add_outbuf(), for entries that the driver has mapped. */
int virtqueue_add_outbuf_premapped(struct virtqueue *vq, struct scatterlist *sg,
				   unsigned int num, void *data, gfp_t gfp)
{
	return vring_add_premapped(to_vring(vq), sg, num, false, data, NULL,
				   gfp);
}
EXPORT_SYMBOL_GPL(virtqueue_add_outbuf_premapped);

/* As virtqueue_add_inbuf_ctx(), for entries that the driver has mapped. */
int virtqueue_add_inbuf_premapped(struct virtqueue *vq, struct scatterlist *sg,
				  unsigned int num, void *data, void *ctx,
				  gfp_t gfp)
{
	return vring_add_premapped(to_vring(vq), sg, num, true, data, ctx, gfp);
}
EXPORT_SYMBOL_GPL(virtqueue_add_inbuf_premapped);

/*
 * As virtqueue_add_inbuf(), for entries that share cache lines with each other
 * but not with data that the CPU writes meanwhile.  DMA_API_DEBUG does not
 * complain.
 */
int virtqueue_add_inbuf_cache_clean(struct virtqueue *vq,
				    struct scatterlist *sg, unsigned int num,
				    void *data, gfp_t gfp)
{
	int err;

	to_vring(vq)->add_attrs = DMA_ATTR_DEBUGGING_IGNORE_CACHELINES;
	err = virtqueue_add_inbuf(vq, sg, num, data, gfp);
	to_vring(vq)->add_attrs = 0;
	return err;
}
EXPORT_SYMBOL_GPL(virtqueue_add_inbuf_cache_clean);

/* Coherent memory for the device or the functions that @map stands for. */
void *virtqueue_map_alloc_coherent(struct virtio_device *vdev,
				   union virtio_map map, size_t size,
				   dma_addr_t *addr, gfp_t gfp)
{
	if (vdev->map)
		return vdev->map->alloc(map, size, addr, gfp);
	return dma_alloc_coherent(map.dma_dev, size, addr, gfp);
}
EXPORT_SYMBOL_GPL(virtqueue_map_alloc_coherent);

void virtqueue_map_free_coherent(struct virtio_device *vdev,
				 union virtio_map map, size_t size, void *mem,
				 dma_addr_t addr)
{
	if (vdev->map)
		vdev->map->free(map, size, mem, addr, 0);
	else
		dma_free_coherent(map.dma_dev, size, mem, addr);
}
EXPORT_SYMBOL_GPL(virtqueue_map_free_coherent);

/* The DMA address, to be checked with virtqueue_map_mapping_error(). */
dma_addr_t virtqueue_map_page_attrs(const struct virtqueue *vq,
				    struct page *page, unsigned long offset,
				    size_t size, enum dma_data_direction dir,
				    unsigned long attrs)
{
	if (!IS_ENABLED(CONFIG_HAS_DMA))
		return page_to_phys(page) + offset;
	return vring_map(to_vring(vq), page, offset, size, dir, attrs);
}
EXPORT_SYMBOL_GPL(virtqueue_map_page_attrs);

void virtqueue_unmap_page_attrs(const struct virtqueue *vq, dma_addr_t addr,
				size_t size, enum dma_data_direction dir,
				unsigned long attrs)
{
	if (IS_ENABLED(CONFIG_HAS_DMA))
		vring_unmap(to_vring(vq), addr, size, dir, attrs);
}
EXPORT_SYMBOL_GPL(virtqueue_unmap_page_attrs);

/* The same for memory in the kernel's linear mapping. */
dma_addr_t virtqueue_map_single_attrs(const struct virtqueue *vq, void *ptr,
				      size_t size, enum dma_data_direction dir,
				      unsigned long attrs)
{
	if (dev_WARN_ONCE(&vq->vdev->dev, is_vmalloc_addr(ptr),
			  "not in the linear mapping, so not mapped\n"))
		return DMA_MAPPING_ERROR;
	return virtqueue_map_page_attrs(vq, virt_to_page(ptr),
					offset_in_page(ptr), size, dir, attrs);
}
EXPORT_SYMBOL_GPL(virtqueue_map_single_attrs);

void virtqueue_unmap_single_attrs(const struct virtqueue *vq, dma_addr_t addr,
				  size_t size, enum dma_data_direction dir,
				  unsigned long attrs)
{
	virtqueue_unmap_page_attrs(vq, addr, size, dir, attrs);
}
EXPORT_SYMBOL_GPL(virtqueue_unmap_single_attrs);

/* 0, or -ENOMEM if @addr says that a mapping failed. */
int virtqueue_map_mapping_error(const struct virtqueue *vq, dma_addr_t addr)
{
	return IS_ENABLED(CONFIG_HAS_DMA) && vring_map_error(to_vring(vq), addr) ?
	       -ENOMEM : 0;
}
EXPORT_SYMBOL_GPL(virtqueue_map_mapping_error);

/* Do the next two functions do anything for @addr? */
bool virtqueue_map_need_sync(const struct virtqueue *vq, dma_addr_t addr)
{
	if (to_vring(vq)->own_map)
		return vq->vdev->map->need_sync(to_vring(vq)->map, addr);
	return dma_need_sync(to_vring(vq)->dma_dev, addr);
}
EXPORT_SYMBOL_GPL(virtqueue_map_need_sync);

/* Take a range of the mapping at @addr back from the device. */
void virtqueue_map_sync_single_range_for_cpu(const struct virtqueue *vq,
					     dma_addr_t addr,
					     unsigned long offset, size_t size,
					     enum dma_data_direction dir)
{
	if (to_vring(vq)->own_map)
		vq->vdev->map->sync_single_for_cpu(to_vring(vq)->map,
						   addr + offset, size, dir);
	else
		dma_sync_single_range_for_cpu(to_vring(vq)->dma_dev, addr,
					      offset, size, dir);
}
EXPORT_SYMBOL_GPL(virtqueue_map_sync_single_range_for_cpu);

/* Give a range of the mapping at @addr to the device. */
void virtqueue_map_sync_single_range_for_device(const struct virtqueue *vq,
						dma_addr_t addr,
						unsigned long offset,
						size_t size,
						enum dma_data_direction dir)
{
	if (to_vring(vq)->own_map)
		vq->vdev->map->sync_single_for_device(to_vring(vq)->map,
						      addr + offset, size, dir);
	else
		dma_sync_single_range_for_device(to_vring(vq)->dma_dev, addr,
						 offset, size, dir);
}
EXPORT_SYMBOL_GPL(virtqueue_map_sync_single_range_for_device);

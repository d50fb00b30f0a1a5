// SPDX-License-Identifier: GPL-2.0-only
/*
 * How this kernel maps, as drivers see it: each request is mapped by the driver or
 * by the ring, and what the driver maps goes where the ring's own mappings go.
 */
#include <linux/export.h>

#include "ring.h"

/**
 * virtqueue_add_outbuf_premapped - expose buffers that the driver mapped
 * @vq: the virtqueue
 * @sg: the entries, with DMA addresses and lengths (sg_dma_address(), sg_dma_len())
 * @num: number of entries
 * @data: token of the request
 * @gfp: how to allocate an indirect table
 *
 * The ring neither maps nor unmaps these entries; the rest is as for
 * virtqueue_add_outbuf().
 *
 * Context: any that @gfp allows, serialized by the driver.
 * Return: as virtqueue_add_outbuf().
 */
int virtqueue_add_outbuf_premapped(struct virtqueue *vq, struct scatterlist *sg,
				   unsigned int num, void *data, gfp_t gfp)
{
	return vring_add_premapped(to_vring(vq), sg, num, false, data, NULL,
				   gfp);
}
EXPORT_SYMBOL_GPL(virtqueue_add_outbuf_premapped);

/**
 * virtqueue_add_inbuf_premapped - let the device write buffers that the driver mapped
 * @vq: the virtqueue
 * @sg: the entries, with DMA addresses and lengths
 * @num: number of entries
 * @data: token of the request
 * @ctx: context of the request, or NULL
 * @gfp: how to allocate an indirect table
 *
 * Context: any that @gfp allows, serialized by the driver.
 * Return: as virtqueue_add_inbuf_ctx().
 */
int virtqueue_add_inbuf_premapped(struct virtqueue *vq, struct scatterlist *sg,
				  unsigned int num, void *data, void *ctx,
				  gfp_t gfp)
{
	return vring_add_premapped(to_vring(vq), sg, num, true, data, ctx, gfp);
}
EXPORT_SYMBOL_GPL(virtqueue_add_inbuf_premapped);

/**
 * virtqueue_add_inbuf_cache_clean - virtqueue_add_inbuf() of buffers that share lines
 * @vq: the virtqueue
 * @sg: the entries
 * @num: number of entries
 * @data: token of the request
 * @gfp: how to allocate an indirect table
 *
 * The entries may share cache lines with each other, but with nothing that the CPU
 * writes while the device has them.  DMA_API_DEBUG does not complain of them.
 *
 * Context: any that @gfp allows, serialized by the driver.
 * Return: as virtqueue_add_inbuf().
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

/**
 * virtqueue_map_alloc_coherent - allocate memory that needs no synchronizing
 * @vdev: the virtio device
 * @map: what maps for it: a DMA device, or the token of the device's own functions
 * @size: length in bytes
 * @addr: where to put the DMA address
 * @gfp: how to allocate
 *
 * Context: any that @gfp allows.
 * Return: the memory, NULL if there is none.
 */
void *virtqueue_map_alloc_coherent(struct virtio_device *vdev,
				   union virtio_map map, size_t size,
				   dma_addr_t *addr, gfp_t gfp)
{
	if (vdev->map)
		return vdev->map->alloc(map, size, addr, gfp);
	return dma_alloc_coherent(map.dma_dev, size, addr, gfp);
}
EXPORT_SYMBOL_GPL(virtqueue_map_alloc_coherent);

/**
 * virtqueue_map_free_coherent - undo virtqueue_map_alloc_coherent()
 * @vdev: the virtio device
 * @map: as allocated
 * @size: as allocated, in bytes
 * @mem: the memory
 * @addr: its DMA address
 *
 * Context: may sleep.
 */
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

/**
 * virtqueue_map_page_attrs - map a buffer for premapped requests of a virtqueue
 * @vq: the virtqueue
 * @page: the page that the buffer starts in
 * @offset: offset of the buffer in bytes
 * @size: its length in bytes
 * @dir: direction of the transfer
 * @attrs: DMA_ATTR_*
 *
 * The mapping is made where the ring's own mappings are made.
 *
 * Context: any.
 * Return: the DMA address, to be checked with virtqueue_map_mapping_error().
 */
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

/**
 * virtqueue_unmap_page_attrs - undo virtqueue_map_page_attrs()
 * @vq: the virtqueue
 * @addr: the DMA address
 * @size: length in bytes, as mapped
 * @dir: direction, as mapped
 * @attrs: DMA_ATTR_*
 *
 * Context: any.
 */
void virtqueue_unmap_page_attrs(const struct virtqueue *vq, dma_addr_t addr,
				size_t size, enum dma_data_direction dir,
				unsigned long attrs)
{
	if (IS_ENABLED(CONFIG_HAS_DMA))
		vring_unmap(to_vring(vq), addr, size, dir, attrs);
}
EXPORT_SYMBOL_GPL(virtqueue_unmap_page_attrs);

/**
 * virtqueue_map_single_attrs - virtqueue_map_page_attrs() of a pointer
 * @vq: the virtqueue
 * @ptr: the buffer, in the kernel's linear mapping
 * @size: its length in bytes
 * @dir: direction of the transfer
 * @attrs: DMA_ATTR_*
 *
 * Context: any.
 * Return: the DMA address, to be checked with virtqueue_map_mapping_error(); a
 * pointer outside the linear mapping gives DMA_MAPPING_ERROR.
 */
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

/**
 * virtqueue_unmap_single_attrs - undo virtqueue_map_single_attrs()
 * @vq: the virtqueue
 * @addr: the DMA address
 * @size: length in bytes, as mapped
 * @dir: direction, as mapped
 * @attrs: DMA_ATTR_*
 *
 * Context: any.
 */
void virtqueue_unmap_single_attrs(const struct virtqueue *vq, dma_addr_t addr,
				  size_t size, enum dma_data_direction dir,
				  unsigned long attrs)
{
	virtqueue_unmap_page_attrs(vq, addr, size, dir, attrs);
}
EXPORT_SYMBOL_GPL(virtqueue_unmap_single_attrs);

/**
 * virtqueue_map_mapping_error - check what virtqueue_map_*_attrs() returned
 * @vq: the virtqueue
 * @addr: the DMA address
 *
 * Context: any.
 * Return: 0 if @addr is valid, -ENOMEM if the mapping failed.
 */
int virtqueue_map_mapping_error(const struct virtqueue *vq, dma_addr_t addr)
{
	return IS_ENABLED(CONFIG_HAS_DMA) && vring_map_error(to_vring(vq), addr) ?
	       -ENOMEM : 0;
}
EXPORT_SYMBOL_GPL(virtqueue_map_mapping_error);

/**
 * virtqueue_map_need_sync - does a premapped buffer need syncing?
 * @vq: the virtqueue
 * @addr: the DMA address
 *
 * Context: any.
 * Return: true if ownership of the buffer must be passed with the
 * virtqueue_map_sync_*() functions, false if they would do nothing.
 */
bool virtqueue_map_need_sync(const struct virtqueue *vq, dma_addr_t addr)
{
	if (to_vring(vq)->own_map)
		return vq->vdev->map->need_sync(to_vring(vq)->map, addr);
	return dma_need_sync(to_vring(vq)->dma_dev, addr);
}
EXPORT_SYMBOL_GPL(virtqueue_map_need_sync);

/**
 * virtqueue_map_sync_single_range_for_cpu - take a premapped buffer back
 * @vq: the virtqueue
 * @addr: the DMA address of the whole mapping
 * @offset: offset of the range in bytes
 * @size: length of the range in bytes
 * @dir: direction, as mapped
 *
 * Context: any.
 */
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

/**
 * virtqueue_map_sync_single_range_for_device - give a premapped buffer away
 * @vq: the virtqueue
 * @addr: the DMA address of the whole mapping
 * @offset: offset of the range in bytes
 * @size: length of the range in bytes
 * @dir: direction, as mapped
 *
 * Context: any.
 */
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

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mapping functions of this kernel for drivers and transports: a driver
 * maps all buffers of a queue, or none.
 */
#include <linux/export.h>

#include "ring.h"

/**
 * vring_create_virtqueue_dma - create a virtqueue with a DMA device of its own
 * @index: index of the queue, from 0
 * @num: number of descriptors
 * @vring_align: alignment of the used ring in bytes
 * @vdev: the virtio device
 * @weak_barriers: the device is a CPU of this machine
 * @may_reduce_num: fewer descriptors will do if memory is short
 * @ctx: the driver uses contexts
 * @notify: doorbell
 * @callback: called by vring_interrupt(), or NULL
 * @name: for messages
 * @dma_dev: the DMA device of this queue; not used if the device lacks
 *	VIRTIO_F_ACCESS_PLATFORM
 *
 * The other parameters are as in vring_create_virtqueue_map().
 *
 * Context: may sleep.
 * Return: the virtqueue, NULL if memory is short or @num impossible.
 */
struct virtqueue *vring_create_virtqueue_dma(unsigned int index,
					     unsigned int num,
					     unsigned int vring_align,
					     struct virtio_device *vdev,
					     bool weak_barriers,
					     bool may_reduce_num, bool ctx,
					     bool (*notify)(struct virtqueue *vq),
					     void (*callback)(struct virtqueue *vq),
					     const char *name,
					     struct device *dma_dev)
{
	const union virtio_map map = { .dma_dev = dma_dev };

	return vring_create_virtqueue_map(index, num, vring_align, vdev,
					  weak_barriers, may_reduce_num, ctx,
					  notify, callback, name, map);
}
EXPORT_SYMBOL_GPL(vring_create_virtqueue_dma);

/**
 * virtqueue_set_dma_premapped - let the driver map the queue's buffers
 * @_vq: a virtqueue that nothing was added to
 *
 * From now on the driver maps with virtqueue_dma_map_single_attrs() or for
 * virtqueue_dma_dev(), puts the address into the scatterlist's dma_address, and
 * unmaps the buffers that it reaps.  The ring still maps its indirect tables
 * itself.
 *
 * Context: any, serialized by the driver.
 * Return: 0, -EINVAL if the queue is not empty.
 */
int virtqueue_set_dma_premapped(struct virtqueue *_vq)
{
	struct vring_virtqueue *vq = to_vring(_vq);

	if (_vq->num_free != vq->ring.num)
		return -EINVAL;
	vq->premapped = true;
	return 0;
}
EXPORT_SYMBOL_GPL(virtqueue_set_dma_premapped);

/**
 * virtqueue_dma_map_single_attrs - map a buffer for a premapped virtqueue
 * @_vq: the virtqueue
 * @ptr: the buffer, in the kernel's linear mapping
 * @size: its length in bytes
 * @dir: direction of the transfer
 * @attrs: DMA_ATTR_*
 *
 * Context: any.
 * Return: the DMA address, to be checked with virtqueue_dma_mapping_error().
 */
dma_addr_t virtqueue_dma_map_single_attrs(struct virtqueue *_vq, void *ptr,
					  size_t size,
					  enum dma_data_direction dir,
					  unsigned long attrs)
{
	if (!IS_ENABLED(CONFIG_HAS_DMA))
		return virt_to_phys(ptr);
	return dma_map_single_attrs(to_vring(_vq)->dma_dev, ptr, size, dir,
				    attrs);
}
EXPORT_SYMBOL_GPL(virtqueue_dma_map_single_attrs);

/**
 * virtqueue_dma_unmap_single_attrs - undo virtqueue_dma_map_single_attrs()
 * @_vq: the virtqueue
 * @addr: the DMA address
 * @size: length in bytes, as mapped
 * @dir: direction, as mapped
 * @attrs: DMA_ATTR_*
 *
 * Context: any.
 */
void virtqueue_dma_unmap_single_attrs(struct virtqueue *_vq, dma_addr_t addr,
				      size_t size, enum dma_data_direction dir,
				      unsigned long attrs)
{
	dma_unmap_single_attrs(to_vring(_vq)->dma_dev, addr, size, dir, attrs);
}
EXPORT_SYMBOL_GPL(virtqueue_dma_unmap_single_attrs);

/**
 * virtqueue_dma_mapping_error - check a virtqueue_dma_map_single_attrs() result
 * @_vq: the virtqueue
 * @addr: the DMA address
 *
 * Context: any.
 * Return: 0 if @addr is valid, -ENOMEM if the mapping failed.
 */
int virtqueue_dma_mapping_error(struct virtqueue *_vq, dma_addr_t addr)
{
	return IS_ENABLED(CONFIG_HAS_DMA) &&
	       vring_map_error(to_vring(_vq), addr) ? -ENOMEM : 0;
}
EXPORT_SYMBOL_GPL(virtqueue_dma_mapping_error);

/**
 * virtqueue_dma_need_sync - does a premapped buffer need syncing?
 * @_vq: the virtqueue
 * @addr: the DMA address
 *
 * Context: any.
 * Return: true if ownership of the buffer must be passed with the
 * virtqueue_dma_sync_*() functions, false if they would do nothing.
 */
bool virtqueue_dma_need_sync(struct virtqueue *_vq, dma_addr_t addr)
{
	return dma_need_sync(to_vring(_vq)->dma_dev, addr);
}
EXPORT_SYMBOL_GPL(virtqueue_dma_need_sync);

/**
 * virtqueue_dma_sync_single_range_for_cpu - take a premapped buffer back
 * @_vq: the virtqueue
 * @addr: the DMA address of the whole mapping
 * @offset: offset of the range in bytes
 * @size: length of the range in bytes
 * @dir: direction, as mapped
 *
 * Context: any.
 */
void virtqueue_dma_sync_single_range_for_cpu(struct virtqueue *_vq,
					     dma_addr_t addr,
					     unsigned long offset, size_t size,
					     enum dma_data_direction dir)
{
	dma_sync_single_range_for_cpu(to_vring(_vq)->dma_dev, addr, offset,
				      size, dir);
}
EXPORT_SYMBOL_GPL(virtqueue_dma_sync_single_range_for_cpu);

/**
 * virtqueue_dma_sync_single_range_for_device - give a premapped buffer away
 * @_vq: the virtqueue
 * @addr: the DMA address of the whole mapping
 * @offset: offset of the range in bytes
 * @size: length of the range in bytes
 * @dir: direction, as mapped
 *
 * Context: any.
 */
void virtqueue_dma_sync_single_range_for_device(struct virtqueue *_vq,
						dma_addr_t addr,
						unsigned long offset,
						size_t size,
						enum dma_data_direction dir)
{
	dma_sync_single_range_for_device(to_vring(_vq)->dma_dev, addr, offset,
					 size, dir);
}
EXPORT_SYMBOL_GPL(virtqueue_dma_sync_single_range_for_device);

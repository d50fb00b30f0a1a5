/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How this kernel maps, as drivers see it: for whole queues.
 */
#ifndef VRING_MODEL_MAP_H
#define VRING_MODEL_MAP_H

#include "harness.h"
#include <linux/virtio.h>
#include <linux/virtio_ring.h>

static inline dma_addr_t drv_map(struct virtqueue *vq, void *p, size_t len,
				 enum dma_data_direction dir)
{
	return virtqueue_dma_map_single_attrs(vq, p, len, dir, 0);
}

static inline void drv_unmap(struct virtqueue *vq, dma_addr_t addr, size_t len,
			     enum dma_data_direction dir)
{
	virtqueue_dma_unmap_single_attrs(vq, addr, len, dir, 0);
}

#define drv_map_error		virtqueue_dma_mapping_error
#define drv_map_need_sync	virtqueue_dma_need_sync
#define drv_map_sync_for_cpu	virtqueue_dma_sync_single_range_for_cpu
#define drv_map_sync_for_device	virtqueue_dma_sync_single_range_for_device

/* Whether all requests are premapped from now on. */
static inline bool drv_map_queue(struct virtqueue *vq)
{
	if (virtqueue_set_dma_premapped(vq))
		fail("a new queue cannot be premapped");
	return true;
}

/* What only single requests are asked for. */
static inline int drv_add_mapped(struct virtqueue *vq, struct scatterlist *sg, unsigned int n,
				 bool in, void *data, void *ctx, gfp_t gfp)
{
	fail("a request cannot be premapped by itself");
	return -EINVAL;
}

static inline void drv_set_mapped(struct scatterlist *sg, dma_addr_t addr, u32 len)
{
	sg->length = len;
	sg_dma_address(sg) = addr;
}

static inline struct virtqueue *
drv_create_queue(unsigned int index, unsigned int num, unsigned int align,
		 struct virtio_device *vdev, bool weak, bool reduce, bool ctx,
		 bool (*notify)(struct virtqueue *vq), void (*callback)(struct virtqueue *vq),
		 const char *name, struct device *dev)
{
	return vring_create_virtqueue_dma(index, num, align, vdev, weak, reduce, ctx, notify,
					  callback, name, dev);
}

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How this kernel maps, as drivers see it: request by request.
 */
#ifndef VRING_MODEL_MAP_H
#define VRING_MODEL_MAP_H

#include "harness.h"
#include <linux/virtio.h>
#include <linux/virtio_ring.h>

/* Drivers map what they like, also where the ring has a pool. */
static inline dma_addr_t drv_map(struct virtqueue *vq, void *p, size_t len,
				 enum dma_data_direction dir)
{
	bool keep = dma_shared_only;
	dma_addr_t addr;

	dma_shared_only = false;
	addr = virtqueue_map_single_attrs(vq, p, len, dir, 0);
	dma_shared_only = keep;
	return addr;
}

static inline void drv_unmap(struct virtqueue *vq, dma_addr_t addr, size_t len,
			     enum dma_data_direction dir)
{
	virtqueue_unmap_single_attrs(vq, addr, len, dir, 0);
}

#define drv_map_error		virtqueue_map_mapping_error
#define drv_map_need_sync	virtqueue_map_need_sync
#define drv_map_sync_for_cpu	virtqueue_map_sync_single_range_for_cpu
#define drv_map_sync_for_device	virtqueue_map_sync_single_range_for_device

/* Whether all requests are premapped from now on: only test_map.c has a way. */
bool __weak drv_map_queue(struct virtqueue *vq)
{
	return false;
}

static inline int drv_add_mapped(struct virtqueue *vq, struct scatterlist *sg, unsigned int n,
				 bool in, void *data, void *ctx, gfp_t gfp)
{
	return in ? virtqueue_add_inbuf_premapped(vq, sg, n, data, ctx, gfp) :
		    virtqueue_add_outbuf_premapped(vq, sg, n, data, gfp);
}

static inline void drv_set_mapped(struct scatterlist *sg, dma_addr_t addr, u32 len)
{
	/* Only one of the two counts. */
	sg->length = 0xdead;
	sg_dma_address(sg) = addr;
	sg_dma_len(sg) = len;
}

static inline struct virtqueue *
drv_create_queue(unsigned int index, unsigned int num, unsigned int align,
		 struct virtio_device *vdev, bool weak, bool reduce, bool ctx,
		 bool (*notify)(struct virtqueue *vq), void (*callback)(struct virtqueue *vq),
		 const char *name, struct device *dev)
{
	return vring_create_virtqueue_map(index, num, align, vdev, weak, reduce, ctx, notify,
					  callback, name,
					  (union virtio_map) { .dma_dev = dev });
}

#endif

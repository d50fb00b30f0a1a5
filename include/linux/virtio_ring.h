/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface of virtio_ring for transports and drivers, beyond
 * <linux/virtio.h>.
 */
#ifndef _LINUX_VIRTIO_RING_H
#define _LINUX_VIRTIO_RING_H

#include <asm/barrier.h>
#include <linux/irqreturn.h>
#include <linux/types.h>
#include <uapi/linux/virtio_ring.h>

struct virtio_device;
struct virtqueue;
union virtio_map;

/*
 * Barriers between driver and device.  A device that is a CPU of this machine
 * (weak_barriers) needs SMP barriers, even in a guest with one CPU, since the
 * hypervisor may have more.  A device across a bus (VIRTIO_F_ORDER_PLATFORM)
 * needs DMA barriers.  The caller says what a barrier pairs with.
 */

/**
 * virtio_mb - full barrier between driver and device
 * @weak_barriers: the device is a CPU of this machine
 */
static inline void virtio_mb(bool weak_barriers)
{
	if (weak_barriers)
		virt_mb(); /* pairs as the caller says */
	else
		mb(); /* pairs as the caller says */
}

/**
 * virtio_rmb - read barrier between driver and device
 * @weak_barriers: the device is a CPU of this machine
 */
static inline void virtio_rmb(bool weak_barriers)
{
	if (weak_barriers)
		virt_rmb(); /* pairs as the caller says */
	else
		dma_rmb(); /* pairs as the caller says */
}

/**
 * virtio_wmb - write barrier between driver and device
 * @weak_barriers: the device is a CPU of this machine
 */
static inline void virtio_wmb(bool weak_barriers)
{
	if (weak_barriers)
		virt_wmb(); /* pairs as the caller says */
	else
		dma_wmb(); /* pairs as the caller says */
}

/**
 * virtio_store_mb - write shared memory, then a full barrier
 * @weak_barriers: the device is a CPU of this machine
 * @p: where to write
 * @v: what to write
 */
#define virtio_store_mb(weak_barriers, p, v)				\
do {									\
	typeof(p) __p = (p);						\
	typeof(*__p) __v = (v);						\
									\
	if (weak_barriers) {						\
		virt_store_mb(*__p, __v); /* pairs as the caller says */ \
	} else {							\
		WRITE_ONCE(*__p, __v);					\
		mb(); /* pairs as the caller says */			\
	}								\
} while (0)

struct virtqueue *vring_create_virtqueue(unsigned int index, unsigned int num,
					 unsigned int vring_align,
					 struct virtio_device *vdev,
					 bool weak_barriers,
					 bool may_reduce_num, bool ctx,
					 bool (*notify)(struct virtqueue *vq),
					 void (*callback)(struct virtqueue *vq),
					 const char *name);
struct virtqueue *vring_create_virtqueue_map(unsigned int index,
					     unsigned int num,
					     unsigned int vring_align,
					     struct virtio_device *vdev,
					     bool weak_barriers,
					     bool may_reduce_num, bool ctx,
					     bool (*notify)(struct virtqueue *vq),
					     void (*callback)(struct virtqueue *vq),
					     const char *name,
					     union virtio_map map);
struct virtqueue *vring_new_virtqueue(unsigned int index, unsigned int num,
				      unsigned int vring_align,
				      struct virtio_device *vdev,
				      bool weak_barriers, bool ctx, void *pages,
				      bool (*notify)(struct virtqueue *vq),
				      void (*callback)(struct virtqueue *vq),
				      const char *name);
void vring_del_virtqueue(struct virtqueue *vq);

void virtqueue_set_used_only(struct virtqueue *vq);
size_t virtio_max_request_size(const struct virtio_device *vdev);

void vring_transport_features(struct virtio_device *vdev);
irqreturn_t vring_interrupt(int irq, void *vq);
u32 vring_notification_data(struct virtqueue *vq);

const char *vring_dma_access(struct virtio_device *vdev);

#ifdef CONFIG_VIRTIO_DEBUG
void vring_debug_device_init(struct virtio_device *vdev);
#else
static inline void vring_debug_device_init(struct virtio_device *vdev)
{
}
#endif

#endif /* _LINUX_VIRTIO_RING_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A virtio device in memory.  It knows only what a device knows of its driver:
 * the negotiated features and the DMA addresses of its queues.  It reaches
 * memory only through the mappings that the driver made.  It checks that the
 * driver obeys the virtio specification, version 1.2, sections 2.7 (split) and
 * 2.8 (packed).
 */
#ifndef VRING_MODEL_DEVICE_H
#define VRING_MODEL_DEVICE_H

#include "harness.h"
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#define DEV_QUEUES	4
#define REQ_SEGS	320

/* One segment of a request, as the descriptors have it. */
struct dev_seg {
	u64 addr;
	u32 len;
	bool write;
};

/* A request that the device has taken and not yet completed. */
struct dev_req {
	u16 id;				/* head, or buffer id of the packed ring */
	u16 ndesc;			/* descriptors of the ring it takes */
	bool indirect;
	unsigned int nseg;
	u64 readable, writable;		/* bytes */
	struct dev_seg seg[REQ_SEGS];
};

struct device_model;

/*
 * The device's side of a queue.  Positions are counted without end in the
 * order of the ring: position / size says the lap, position % size the slot.
 */
struct dev_queue {
	struct device_model *dev;
	struct virtqueue *vq;
	bool packed, enabled;
	unsigned int num;
	u64 desc, avail, used;		/* DMA addresses */

	u64 taken;			/* position of the next request to take */
	u64 done;			/* position of the next used entry */
	u64 told;			/* done when the driver was last interrupted */

	unsigned int notified, interrupts, callbacks;
	bool refuse_notify;
	void (*callback)(struct dev_queue *q);	/* the driver's, from vring_interrupt */
	bool reset_fails, enable_fails;
	void (*in_reset)(struct dev_queue *q);	/* while the device is told */
	unsigned int resets;
};

struct device_model {
	struct virtio_device vdev;
	struct device parent;
	struct device other;		/* what a transport may pass as DMA device */
	struct device_dma_parameters parms;
	u64 parent_mask, other_mask;
	struct virtio_config_ops config;
	struct device *dma_dev;		/* whose mappings the device may use */
	struct dev_queue queue[DEV_QUEUES];
};

/* Which device, how its memory is mapped. */
void dev_init(struct device_model *d, u64 features, enum shim_dma mode);

/* The device as the queue's owner sees it: no queue may be left. */
void dev_exit(struct device_model *d);

/* What to create a queue with; zero is the usual value of everything. */
struct queue_opts {
	unsigned int index;
	unsigned int num;		/* 0: 16 */
	unsigned int align;		/* 0: 64 */
	bool strong_barriers, reduce, ctx, no_callback;
	void *pages;			/* vring_new_virtqueue() on these */
	u64 pages_addr;			/* and their DMA address */
	struct device *dma_dev;		/* a queue for it alone */
};

/* Returns NULL if the ring returned NULL. */
struct dev_queue *dev_create_queue(struct device_model *d, const struct queue_opts *o);
void dev_delete_queue(struct dev_queue *q);

/* Take the addresses and the size anew, as a device does when it is enabled. */
void dev_enable_queue(struct dev_queue *q);

/* ---- what a correct device does ---- */

/* Take the next available request; false if there is none. */
bool dev_take(struct dev_queue *q, struct dev_req *r);

/* Requests available and not yet taken, at least @limit of them if so many. */
unsigned int dev_pending(struct dev_queue *q, unsigned int limit);

void dev_read(struct dev_queue *q, const struct dev_req *r, u64 off, void *to, size_t len);
void dev_write(struct dev_queue *q, const struct dev_req *r, u64 off, const void *from,
	       size_t len);

/* Complete @r, having written @len bytes; tell nobody. */
void dev_complete(struct dev_queue *q, const struct dev_req *r, u32 len);

/*
 * Complete @n requests at once with VIRTIO_F_IN_ORDER, having written @len
 * bytes to the last; they are @stride bytes apart, from @first on.
 */
void dev_complete_batch(struct dev_queue *q, const struct dev_req *first, size_t stride,
			unsigned int n, u32 len);

/* Interrupt the driver if it wants that for what was completed; true if so. */
bool dev_interrupt(struct dev_queue *q);

/* Ask for notifications: never, at every kick, or when position @at is passed. */
void dev_notify_never(struct dev_queue *q);
void dev_notify_always(struct dev_queue *q);
void dev_notify_at(struct dev_queue *q, u64 at);

/* ---- fields of the shared memory, raw, for tests and hostile devices ---- */

void *dev_ptr(struct dev_queue *q, u64 addr, size_t len, bool write);

/* Copy to or from DMA addresses, which may be of several mappings that touch. */
void dev_copy(struct dev_queue *q, u64 addr, void *buf, size_t len, bool write);

/* Whether the device may do that. */
bool dev_reaches(struct dev_queue *q, u64 addr, size_t len, bool write);
u16 dev_get16(struct dev_queue *q, u64 addr);
u32 dev_get32(struct dev_queue *q, u64 addr);
u64 dev_get64(struct dev_queue *q, u64 addr);
void dev_put16(struct dev_queue *q, u64 addr, u16 v);
void dev_put32(struct dev_queue *q, u64 addr, u32 v);
void dev_put64(struct dev_queue *q, u64 addr, u64 v);

/* Write a used entry of any content at the device's position and publish it. */
void dev_forge_used(struct dev_queue *q, u32 id, u32 len);

/* Lap parity of a position, as the packed ring's wrap counters have it. */
static inline bool dev_wrap(const struct dev_queue *q, u64 position)
{
	return !((position / q->num) & 1);
}

static inline struct dev_queue *to_queue(struct virtqueue *vq)
{
	return &container_of(vq->vdev, struct device_model, vdev)->queue[vq->index];
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of virtio_ring know of each other.
 *
 * core.c owns the life of a virtqueue, its free list and the state of the
 * requests in flight; split.c and packed.c write and read the memory that is
 * shared with the device; dma.c maps.  Everything the driver side needs later
 * is in the private structures below, never in shared memory.
 */
#ifndef _VIRTIO_RING_RING_H
#define _VIRTIO_RING_RING_H

#include <linux/bits.h>
#include <linux/types.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

/* Largest queue of either layout, virtio 1.2 sections 2.7 and 2.8.10.1. */
#define VRING_MAX_NUM		32768U

/* The device writes this segment, virtio 1.2 section 2.7.5. */
#define VRING_SEG_WRITE		BIT(0)
/* dma.c mapped this segment and has to unmap it. */
#define VRING_SEG_MAPPED	BIT(1)

/**
 * struct vring_seg - one mapped segment of a request
 * @addr: DMA address that the device was given
 * @len: length in bytes
 * @flags: VRING_SEG_*
 * @next: index of the segment that follows, in the same array
 *
 * A segment of a direct request lives in &vring_ring.segs at the index of its
 * descriptor id, and @next links the free list as well as the chain; one of an
 * indirect request lives in &vring_indirect.segs.  Written by dma.c when it
 * maps, private to the driver side.
 */
struct vring_seg {
	dma_addr_t addr;
	u32 len;
	u16 flags;
	u16 next;
};

/**
 * struct vring_indirect - an indirect descriptor table and what backs it
 * @table: the table that the device reads
 * @addr: DMA address of @table
 * @len: length of @table in bytes
 * @num: number of segments and of table entries
 * @segs: the segments, private
 *
 * One allocation, made when the request is added and freed when it completes;
 * only @table is mapped for the device.
 */
struct vring_indirect {
	void *table;
	dma_addr_t addr;
	u32 len;
	u32 num;
	struct vring_seg segs[] __counted_by(num);
};

/**
 * struct vring_state - a request in flight
 * @data: the driver's token; NULL if no request has this id
 * @indirect: the indirect table, or NULL, on a queue without contexts
 * @ctx: the driver's context, on a queue with contexts
 * @in_len: bytes that the device may write at most
 * @num: descriptors of the ring that the request occupies
 * @last: id of the last of them
 *
 * Indexed by the id of the request's first descriptor.
 */
struct vring_state {
	void *data;
	union {
		struct vring_indirect *indirect;
		void *ctx;
	};
	u32 in_len;
	u16 num;
	u16 last;
};

/**
 * struct vring_request - a request on its way into the ring
 * @segs: array that the segments are in
 * @first: index of the first segment in @segs
 * @last: index of the last segment in @segs
 * @num: number of segments
 * @in_len: bytes that the device may write at most
 *
 * Lives on the stack of virtqueue_add_*(); dma.c fills in everything but
 * @segs and @first.
 */
struct vring_request {
	struct vring_seg *segs;
	u32 first;
	u32 last;
	u32 num;
	u32 in_len;
};

/* Split layout, virtio 1.2 section 2.7. */
struct vring_split {
	struct vring vring;
	u16 avail_flags;	/* what the device was last told */
	u16 avail_idx;		/* next value of avail->idx, CPU order */
	u16 last_used;		/* next used entry to look at */
};

/* Packed layout, virtio 1.2 section 2.8. */
struct vring_packed {
	struct vring_packed_desc *desc;
	struct vring_packed_desc_event *driver;
	struct vring_packed_desc_event *device;
	u16 next_avail;		/* slot of the next descriptor to write */
	u16 avail_bits;		/* AVAIL and USED bits of this lap */
	u16 driver_flags;	/* what the device was last told */
	u16 last_used;		/* slot to look at next, wrap counter in bit 15 */
};

/**
 * struct vring_ring - one incarnation of a queue: its memory and its state
 * @num: number of descriptors
 * @mem: memory shared with the device
 * @addr: DMA address of @mem, if the ring core allocated it
 * @size: length of @mem in bytes
 * @avail_off: offset of the driver area in @mem, in bytes
 * @used_off: offset of the device area in @mem, in bytes
 * @state: one entry a descriptor id
 * @segs: one entry a descriptor id
 * @split: the split layout's view of @mem
 * @packed: the packed layout's view of @mem
 *
 * A resize makes a second one and exchanges the two.
 */
struct vring_ring {
	u32 num;
	void *mem;
	dma_addr_t addr;
	size_t size;
	u32 avail_off;
	u32 used_off;
	struct vring_state *state;
	struct vring_seg *segs;
	union {
		struct vring_split split;
		struct vring_packed packed;
	};
};

/**
 * struct vring_stats - what a queue did since it was created
 * @requests: requests added
 * @descriptors: descriptors written, in the ring and in indirect tables
 * @mappings: calls that mapped a segment or an indirect table
 * @bounced_bytes: bytes mapped through a forced swiotlb
 * @indirect_tables: requests that went through an indirect table
 * @notifications: notifications sent to the device
 *
 * Written by whoever the driver lets use the queue, read without a lock.
 */
struct vring_stats {
	u64 requests;
	u64 descriptors;
	u64 mappings;
	u64 bounced_bytes;
	u64 indirect_tables;
	u64 notifications;
};

/**
 * struct vring_virtqueue - the ring core's side of a virtqueue
 * @vq: what drivers and transports see
 * @packed: packed layout, else split
 * @weak_barriers: the device is a CPU: SMP barriers are enough
 * @broken: the device broke the rules or is gone; no more requests
 * @stopped: being reset or resized: interrupts are none of the ring's
 * @indirect: indirect tables may be used
 * @event: VIRTIO_F_EVENT_IDX was negotiated
 * @premapped: the driver maps its buffers itself
 * @own_ring: the ring core allocated the ring
 * @may_reduce: a smaller ring than asked for is acceptable
 * @event_triggered: hint that an interrupt came, so that with event indexes
 *	none follows until callbacks are enabled again; racy by design
 * @bounce: the DMA device goes through a forced swiotlb, for the counters
 * @free_head: first free descriptor id
 * @num_added: descriptors added since the last kick
 * @align: alignment of the split ring's used ring in bytes
 * @dma_dev: the device that everything is mapped for, chosen at creation
 * @ring: the ring as it is now
 * @stats: counters
 * @notify: the transport's doorbell
 *
 * Allocated by vring_create_virtqueue*() or vring_new_virtqueue(), freed by
 * vring_del_virtqueue().  The driver serializes all calls but those that say
 * otherwise; @vq is on the device's list of queues under its vqs_list_lock.
 */
struct vring_virtqueue {
	struct virtqueue vq;
	bool packed;
	bool weak_barriers;
	bool broken;
	bool stopped;
	bool indirect;
	bool event;
	bool premapped;
	bool own_ring;
	bool may_reduce;
	bool event_triggered;
	bool bounce;
	u16 free_head;
	u16 num_added;
	u32 align;
	struct device *dma_dev;
	struct vring_ring ring;
	struct vring_stats stats;
	bool (*notify)(struct virtqueue *vq);
};

#define to_vring(_vq) container_of_const(_vq, struct vring_virtqueue, vq)

/* core.c */
__printf(2, 3)
void vring_break(struct vring_virtqueue *vq, const char *fmt, ...);

/* dma.c */
struct device *vring_dma_device(struct virtio_device *vdev,
				struct device *transport_dev);
struct device *vring_vdev_dma_device(struct virtio_device *vdev);
int vring_dma_map(struct vring_virtqueue *vq, struct vring_request *req,
		  struct scatterlist *sgs[], unsigned int out_sgs,
		  unsigned int in_sgs);
void vring_dma_unmap(struct vring_virtqueue *vq, const struct vring_seg *segs,
		     u32 first, u32 num, bool discard);
int vring_dma_map_table(struct vring_virtqueue *vq, struct vring_indirect *ind);
void vring_dma_unmap_table(struct vring_virtqueue *vq,
			   const struct vring_indirect *ind);
void *vring_dma_alloc(struct device *dev, size_t size, dma_addr_t *addr,
		      gfp_t gfp);
void vring_dma_free(struct device *dev, size_t size, void *mem,
		    dma_addr_t addr);
bool vring_dma_forced_bounce(struct device *dev);

/*
 * The layouts.  Each has the same set; core.c picks one with a branch, since
 * an indirect call per buffer costs more.
 */
#define VRING_DECLARE_LAYOUT(_name)					\
size_t vring_##_name##_size(u32 num, u32 align);			\
void vring_##_name##_place(struct vring_ring *ring, u32 align);	\
void vring_##_name##_reset(struct vring_virtqueue *vq,			\
			   struct vring_ring *ring);			\
void vring_##_name##_fill_table(struct vring_virtqueue *vq,		\
				struct vring_indirect *ind);		\
void vring_##_name##_publish(struct vring_virtqueue *vq, u16 id,	\
			     const struct vring_request *req,		\
			     const struct vring_indirect *ind);		\
void vring_##_name##_withdraw(struct vring_virtqueue *vq);		\
bool vring_##_name##_more_used(const struct vring_virtqueue *vq);	\
bool vring_##_name##_get_used(struct vring_virtqueue *vq, u32 *id,	\
			      u32 *len);				\
void vring_##_name##_put_used(struct vring_virtqueue *vq, u16 num);	\
bool vring_##_name##_kick_prepare(struct vring_virtqueue *vq);		\
void vring_##_name##_disable_cb(struct vring_virtqueue *vq);		\
unsigned int vring_##_name##_enable_cb(struct vring_virtqueue *vq);	\
bool vring_##_name##_enable_cb_delayed(struct vring_virtqueue *vq);	\
bool vring_##_name##_poll(const struct vring_virtqueue *vq, u16 state);	\
u16 vring_##_name##_next(const struct vring_virtqueue *vq)

VRING_DECLARE_LAYOUT(split);
VRING_DECLARE_LAYOUT(packed);

#endif /* _VIRTIO_RING_RING_H */

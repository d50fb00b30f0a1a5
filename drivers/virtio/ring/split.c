// SPDX-License-Identifier: GPL-2.0-only
/*
 * The split layout, virtio 1.2 section 2.7: descriptor table, available ring
 * and used ring.  This file only writes and reads the shared memory.  Of the
 * device's data it reads only the used ring and the event index, and each field
 * once.
 */
#include <linux/align.h>
#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/virtio_ring.h>

#include "ring.h"

static u16 split_used_idx(const struct vring_virtqueue *vq)
{
	return virtio16_to_cpu(vq->vq.vdev,
			       READ_ONCE(vq->ring.split.vring.used->idx));
}

static void split_write_avail_flags(struct vring_virtqueue *vq, u16 flags)
{
	WRITE_ONCE(vq->ring.split.vring.avail->flags,
		   cpu_to_virtio16(vq->vq.vdev, flags));
}

static void split_write_used_event(struct vring_virtqueue *vq, u16 idx)
{
	WRITE_ONCE(vring_used_event(&vq->ring.split.vring),
		   cpu_to_virtio16(vq->vq.vdev, idx));
}

/*
 * Offset of the used ring in the ring's memory, in bytes.
 *
 * The entries of a used ring have eight bytes and follow a head of four.  If
 * the used ring spans two pages, one of its entries therefore has its id in one
 * page and its length in the next.  If an IOMMU translates, QEMU (5.2 to 7.2,
 * and 10.0) writes that length to another address.  The driver then sees the
 * length of an older packet, or ids that are not in flight.  virtio 1.2 section
 * 2.7.2 only wants an alignment of four bytes.  So place such a ring where its
 * entries are aligned to their size, unless the transport really needs the
 * alignment it asks for.
 */
static size_t split_used_off(const struct vring_virtqueue *vq, u32 num)
{
	size_t off = ALIGN(num * sizeof(struct vring_desc) +
			   (3 + num) * sizeof(__virtio16), vq->align);
	size_t end = off + struct_size_t(struct vring_used, ring, num);
	size_t head = offsetof(struct vring_used, ring);

	if (vq->may_move_used && off / SZ_4K != (end - 1) / SZ_4K &&
	    virtio_has_feature(vq->vq.vdev, VIRTIO_F_ACCESS_PLATFORM))
		off = ALIGN(off + head, sizeof(struct vring_used_elem)) - head;
	return off;
}

/**
 * vring_split_size - memory that a split ring takes
 * @vq: the virtqueue
 * @num: number of descriptors, a power of two
 *
 * Return: bytes.
 */
size_t vring_split_size(const struct vring_virtqueue *vq, u32 num)
{
	return split_used_off(vq, num) +
	       struct_size_t(struct vring_used, ring, num) +
	       sizeof(__virtio16);
}

/**
 * vring_split_place - lay a split ring over its memory
 * @vq: the virtqueue
 * @ring: the ring, @num and @mem set
 */
void vring_split_place(const struct vring_virtqueue *vq,
		       struct vring_ring *ring)
{
	struct vring *vring = &ring->split.vring;

	ring->avail_off = ring->num * sizeof(struct vring_desc);
	ring->used_off = split_used_off(vq, ring->num);
	vring->num = ring->num;
	vring->desc = ring->mem;
	vring->avail = ring->mem + ring->avail_off;
	vring->used = ring->mem + ring->used_off;
}

/**
 * vring_split_reset - put a split ring into its initial state
 * @vq: the virtqueue
 * @ring: the ring, placed, its memory zeroed
 */
void vring_split_reset(struct vring_virtqueue *vq, struct vring_ring *ring)
{
	struct vring_split *split = &ring->split;

	split->avail_flags = 0;
	split->avail_idx = 0;
	split->last_used = 0;

	/* There is no callback: tell the device not to interrupt. */
	if (!vq->vq.callback) {
		split->avail_flags = VRING_AVAIL_F_NO_INTERRUPT;
		if (!vq->event)
			split_write_avail_flags(vq, split->avail_flags);
	}
}

static void split_write_desc(struct vring_virtqueue *vq, struct vring_desc *desc,
			     dma_addr_t addr, u32 len, u16 flags, u16 next)
{
	desc->addr = cpu_to_virtio64(vq->vq.vdev, addr);
	desc->len = cpu_to_virtio32(vq->vq.vdev, len);
	desc->flags = cpu_to_virtio16(vq->vq.vdev, flags);
	desc->next = cpu_to_virtio16(vq->vq.vdev, next);
}

/* Write a descriptor of a chain; @next follows it unless it is the last. */
static void split_write_seg(struct vring_virtqueue *vq, struct vring_desc *desc,
			    const struct vring_seg *seg, u16 next, bool last)
{
	u16 flags = last ? 0 : VRING_DESC_F_NEXT;

	if (seg->flags & VRING_SEG_WRITE)
		flags |= VRING_DESC_F_WRITE;
	split_write_desc(vq, desc, seg->addr, seg->len, flags, last ? 0 : next);
}

/* The descriptors of a request are written: make them available. */
static __always_inline void split_make_available(struct vring_virtqueue *vq,
						 u16 id)
{
	struct vring_split *split = &vq->ring.split;
	struct vring *vring = &split->vring;
	u16 idx = split->avail_idx;

	vring->avail->ring[idx & (vring->num - 1)] =
		cpu_to_virtio16(vq->vq.vdev, id);

	/*
	 * Descriptors and ring entry before the index that exposes them; pairs
	 * with the device's read barrier between avail->idx and avail->ring.
	 */
	virtio_wmb(vq->weak_barriers);
	WRITE_ONCE(vring->avail->idx, cpu_to_virtio16(vq->vq.vdev, ++idx));
	/* Pairs with READ_ONCE() in vring_split_next(). */
	WRITE_ONCE(split->avail_idx, idx);
}

/**
 * vring_split_publish_one - hand a request of one descriptor to the device
 * @vq: the virtqueue
 * @id: id of the descriptor
 * @addr: DMA address of the buffer or of a table that is filled in
 * @len: its length in bytes
 * @flags: VRING_DESC_F_WRITE or VRING_DESC_F_INDIRECT or none
 *
 * virtio 1.2 section 2.7.13; the device is not notified.
 */
void vring_split_publish_one(struct vring_virtqueue *vq, u16 id,
			     dma_addr_t addr, u32 len, u16 flags)
{
	split_write_desc(vq, &vq->ring.split.vring.desc[id], addr, len, flags, 0);
	split_make_available(vq, id);
}

/**
 * vring_split_publish - hand a chain to the device, virtio 1.2 section 2.7.13
 * @vq: the virtqueue
 * @req: the request, mapped
 *
 * Writes the descriptors and makes them available; the device is not notified.
 */
void vring_split_publish(struct vring_virtqueue *vq,
			 const struct vring_request *req)
{
	struct vring_desc *desc = vq->ring.split.vring.desc;
	u32 i, n, next;

	for (n = 0, i = req->id; n < req->num; n++, i = next) {
		next = vq->ring.segs[i].next;
		split_write_seg(vq, &desc[i], &req->segs[req->linear ? n : i],
				next, n == req->num - 1);
	}
	split_make_available(vq, req->id);
}

/**
 * vring_split_withdraw - take back one request of a queue that is not active
 * @vq: the virtqueue
 */
void vring_split_withdraw(struct vring_virtqueue *vq)
{
	struct vring_split *split = &vq->ring.split;

	split->avail_idx--;
	WRITE_ONCE(split->vring.avail->idx,
		   cpu_to_virtio16(vq->vq.vdev, split->avail_idx));
}

/**
 * vring_split_more_used - has the device used something that was not reaped?
 * @vq: the virtqueue
 *
 * Context: any, not serialized.
 * Return: true if so.
 */
bool vring_split_more_used(const struct vring_virtqueue *vq)
{
	return READ_ONCE(vq->ring.split.last_used) != split_used_idx(vq);
}

/**
 * vring_split_get_used - read the next used entry, virtio 1.2 section 2.7.14
 * @vq: the virtqueue
 *
 * Breaks the queue if the device returns more than it was given, or an id that
 * does not exist.
 *
 * Return: what the device returned, VRING_NO_ID if there is none.
 */
struct vring_used_buf vring_split_get_used(struct vring_virtqueue *vq)
{
	struct vring_used_buf used = { .id = VRING_NO_ID };
	struct vring_split *split = &vq->ring.split;
	struct virtio_device *vdev = vq->vq.vdev;
	struct vring *vring = &split->vring;
	struct vring_used_elem *elem;
	u16 pending, in_flight;

	pending = split_used_idx(vq) - split->last_used;
	if (!pending)
		return used;

	in_flight = split->avail_idx - split->last_used;
	if (unlikely(pending > in_flight)) {
		vring_break(vq, "%u used entries for %u requests", pending,
			    in_flight);
		return used;
	}

	/*
	 * The index before the entry that it exposes; pairs with the device's
	 * write barrier between used->ring and used->idx.
	 */
	virtio_rmb(vq->weak_barriers);

	elem = &vring->used->ring[split->last_used & (vring->num - 1)];
	used.id = virtio32_to_cpu(vdev, READ_ONCE(elem->id));
	used.len = virtio32_to_cpu(vdev, READ_ONCE(elem->len));
	if (unlikely(used.id >= vring->num)) {
		vring_break(vq, "used id %u out of range", used.id);
		used.id = VRING_NO_ID;
	}
	return used;
}

/**
 * vring_split_put_used - go on to the next used entry
 * @vq: the virtqueue
 * @num: descriptors that the request occupied; a used entry stands for all
 */
void vring_split_put_used(struct vring_virtqueue *vq, u16 num)
{
	struct vring_split *split = &vq->ring.split;

	WRITE_ONCE(split->last_used, split->last_used + 1);

	/*
	 * Ask for an interrupt with the next entry, and have that seen before
	 * the next look at used->idx; pairs with the device's barrier between
	 * writing used->idx and reading used_event.
	 */
	if (vq->event && !READ_ONCE(split->avail_flags))
		virtio_store_mb(vq->weak_barriers,
				&vring_used_event(&split->vring),
				cpu_to_virtio16(vq->vq.vdev, split->last_used));
}

/**
 * vring_split_kick_prepare - must the device be notified of what was added?
 * @vq: the virtqueue
 *
 * virtio 1.2 sections 2.7.10 and 2.7.13.4.  If the device writes an invalid
 * event index, it may miss a notification or get one too many.
 *
 * Return: true if so.
 */
bool vring_split_kick_prepare(struct vring_virtqueue *vq)
{
	struct vring_split *split = &vq->ring.split;
	struct virtio_device *vdev = vq->vq.vdev;
	struct vring *vring = &split->vring;
	__virtio16 raw;
	u16 old;

	/*
	 * Write avail->idx before reading whether the device wants to be
	 * notified; pairs with the device's barrier between writing that and
	 * reading the index.
	 */
	virtio_mb(vq->weak_barriers);

	old = split->avail_idx - vq->num_added;
	vq->num_added = 0;

	if (vq->event) {
		raw = READ_ONCE(*(__virtio16 *)&vring->used->ring[vring->num]);
		return vring_need_event(virtio16_to_cpu(vdev, raw),
					split->avail_idx, old);
	}
	raw = READ_ONCE(vring->used->flags);
	return !(virtio16_to_cpu(vdev, raw) & VRING_USED_F_NO_NOTIFY);
}

/**
 * vring_split_disable_cb - ask the device not to interrupt
 * @vq: the virtqueue
 *
 * Context: any, not serialized; a hint.
 */
void vring_split_disable_cb(struct vring_virtqueue *vq)
{
	struct vring_split *split = &vq->ring.split;

	/* Pairs with split_clear_no_interrupt(), which may run meanwhile. */
	if (READ_ONCE(split->avail_flags))
		return;
	WRITE_ONCE(split->avail_flags, VRING_AVAIL_F_NO_INTERRUPT);

	/* The event has fired and is not armed again: no need to write. */
	if (READ_ONCE(vq->event_triggered))
		return;

	/* The index that is farthest away from the device's. */
	if (vq->event)
		split_write_used_event(vq, READ_ONCE(split->last_used) - 0x8000);
	else
		split_write_avail_flags(vq, VRING_AVAIL_F_NO_INTERRUPT);
}

/*
 * Always write the device's flags, even if they seem to be right.  A concurrent
 * vring_split_disable_cb() may have written them after the last call of this,
 * and avail_flags does not show that.
 */
static void split_clear_no_interrupt(struct vring_virtqueue *vq)
{
	/* Pairs with vring_split_disable_cb(). */
	WRITE_ONCE(vq->ring.split.avail_flags, 0);
	if (!vq->event)
		split_write_avail_flags(vq, 0);
}

/**
 * vring_split_enable_cb - ask for an interrupt with the next used entry
 * @vq: the virtqueue
 *
 * Return: what to give to vring_split_poll().
 */
unsigned int vring_split_enable_cb(struct vring_virtqueue *vq)
{
	u16 last_used = vq->ring.split.last_used;

	split_clear_no_interrupt(vq);
	if (vq->event)
		split_write_used_event(vq, last_used);
	return last_used;
}

/**
 * vring_split_enable_cb_delayed - ask for an interrupt when most is used
 * @vq: the virtqueue
 *
 * With event indexes that is after three quarters of the requests in flight.
 *
 * Return: false if as many have been used already.
 */
bool vring_split_enable_cb_delayed(struct vring_virtqueue *vq)
{
	struct vring_split *split = &vq->ring.split;
	u16 bufs = 0;

	split_clear_no_interrupt(vq);
	if (vq->event) {
		bufs = (u16)(split->avail_idx - split->last_used) * 3 / 4;
		split_write_used_event(vq, split->last_used + bufs);
	}

	/*
	 * Ask for interrupts before reading used->idx; pairs with the device's
	 * barrier between writing used->idx and reading whether to interrupt.
	 */
	virtio_mb(vq->weak_barriers);
	return (u16)(split_used_idx(vq) - split->last_used) <= bufs;
}

/**
 * vring_split_poll - has anything been used since vring_split_enable_cb()?
 * @vq: the virtqueue
 * @state: what that returned
 *
 * Context: any, not serialized; the caller has a barrier before it.
 * Return: true if so.
 */
bool vring_split_poll(const struct vring_virtqueue *vq, u16 state)
{
	return state != split_used_idx(vq);
}

/**
 * vring_split_next - position for notification data, virtio 1.2 section 2.9
 * @vq: the virtqueue
 *
 * Context: any, not serialized.
 * Return: the available index.
 */
u16 vring_split_next(const struct vring_virtqueue *vq)
{
	return READ_ONCE(vq->ring.split.avail_idx);
}

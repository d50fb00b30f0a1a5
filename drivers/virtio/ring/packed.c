// SPDX-License-Identifier: GPL-2.0-only
/*
 * The packed layout, virtio 1.2 section 2.8: one ring of descriptors that
 * driver and device both write, and two event suppression structures.  This
 * file only writes and reads the shared memory.  Of the device's data it reads
 * only used descriptors and its event structure, and each field once.
 */
#include <linux/align.h>
#include <linux/cache.h>
#include <linux/virtio_ring.h>

#include "ring.h"

#define PACKED_AVAIL	BIT(VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED	BIT(VRING_PACKED_DESC_F_USED)
#define PACKED_WRAP	BIT(VRING_PACKED_EVENT_F_WRAP_CTR)

/* Advance a position, slot and wrap counter in bit 15, by up to one lap. */
static u16 packed_advance(u16 pos, u32 by, u32 num)
{
	u32 slot = (pos & ~PACKED_WRAP) + by;
	u16 wrap = pos & PACKED_WRAP;

	if (slot >= num) {
		slot -= num;
		wrap ^= PACKED_WRAP;
	}
	return slot | wrap;
}

/* Has the device used the descriptor at a position? */
static bool packed_is_used(const struct vring_virtqueue *vq, u16 pos)
{
	u16 slot = pos & ~PACKED_WRAP, flags;
	bool avail, used;

	flags = le16_to_cpu(READ_ONCE(vq->ring.packed.desc[slot].flags));
	avail = flags & PACKED_AVAIL;
	used = flags & PACKED_USED;
	return avail == used && used == !!(pos & PACKED_WRAP);
}

static void packed_write_driver_flags(struct vring_packed *packed, u16 flags)
{
	WRITE_ONCE(packed->driver->flags, cpu_to_le16(flags));
}

/* Driver and device each write one event structure: separate cache lines. */
static size_t packed_driver_off(u32 num)
{
	return ALIGN(num * sizeof(struct vring_packed_desc), SMP_CACHE_BYTES);
}

/**
 * vring_packed_size - memory that a packed ring takes, with event structures
 * @vq: the virtqueue
 * @num: number of descriptors
 *
 * The layout has fixed alignments, virtio 1.2 section 2.8.10.
 *
 * Return: bytes.
 */
size_t vring_packed_size(const struct vring_virtqueue *vq, u32 num)
{
	return packed_driver_off(num) + 2 * SMP_CACHE_BYTES;
}

/**
 * vring_packed_place - lay a packed ring over its memory
 * @vq: the virtqueue
 * @ring: the ring, @num and @mem set
 */
void vring_packed_place(const struct vring_virtqueue *vq,
			struct vring_ring *ring)
{
	struct vring_packed *packed = &ring->packed;

	ring->avail_off = packed_driver_off(ring->num);
	ring->used_off = ring->avail_off + SMP_CACHE_BYTES;
	packed->desc = ring->mem;
	packed->driver = ring->mem + ring->avail_off;
	packed->device = ring->mem + ring->used_off;
}

/**
 * vring_packed_reset - put a packed ring into its initial state
 * @vq: the virtqueue
 * @ring: the ring, placed, its memory zeroed
 */
void vring_packed_reset(struct vring_virtqueue *vq, struct vring_ring *ring)
{
	struct vring_packed *packed = &ring->packed;

	/* Both wrap counters start at 1, virtio 1.2 section 2.8.1. */
	packed->next_avail = PACKED_WRAP;
	packed->last_used = PACKED_WRAP;
	packed->driver_flags = VRING_PACKED_EVENT_FLAG_ENABLE;

	/* There is no callback: tell the device not to interrupt. */
	if (!vq->vq.callback) {
		packed->driver_flags = VRING_PACKED_EVENT_FLAG_DISABLE;
		packed_write_driver_flags(packed, packed->driver_flags);
	}
}

/* Write a descriptor except for its flags, which may expose it. */
static void packed_write_desc(struct vring_packed_desc *desc, dma_addr_t addr,
			      u32 len, u16 id)
{
	desc->addr = cpu_to_le64(addr);
	desc->len = cpu_to_le32(len);
	desc->id = cpu_to_le16(id);
}

/* The AVAIL and USED bits that make a descriptor available in this lap. */
static u16 packed_avail_bits(u16 pos)
{
	return pos & PACKED_WRAP ? PACKED_AVAIL : PACKED_USED;
}

/* The chain is written except for the flags of its head: write them to expose it. */
static __always_inline void packed_make_available(struct vring_virtqueue *vq,
						  u16 head, u16 flags, u16 next)
{
	/*
	 * Write the chain before the flags of its head; pairs with the device's
	 * read barrier after it sees those flags.
	 */
	virtio_wmb(vq->weak_barriers);
	WRITE_ONCE(vq->ring.packed.desc[head].flags, cpu_to_le16(flags));
	/* Pairs with READ_ONCE() in vring_packed_next(). */
	WRITE_ONCE(vq->ring.packed.next_avail, next);
}

/**
 * vring_packed_publish_one - hand a request of one descriptor to the device
 * @vq: the virtqueue
 * @id: id of the request
 * @addr: DMA address of the buffer or of a table that is filled in
 * @len: its length in bytes
 * @flags: VRING_DESC_F_WRITE or VRING_DESC_F_INDIRECT or none
 *
 * virtio 1.2 section 2.8.21; the device is not notified.
 */
void vring_packed_publish_one(struct vring_virtqueue *vq, u16 id,
			      dma_addr_t addr, u32 len, u16 flags)
{
	struct vring_packed *packed = &vq->ring.packed;
	u16 pos = packed->next_avail, slot = pos & ~PACKED_WRAP;

	packed_write_desc(&packed->desc[slot], addr, len, id);
	packed_make_available(vq, slot, flags | packed_avail_bits(pos),
			      packed_advance(pos, 1, vq->ring.num));
}

/**
 * vring_packed_publish - hand a chain to the device, virtio 1.2 section 2.8.21
 * @vq: the virtqueue
 * @req: the request, mapped
 *
 * Writes the descriptors and makes them available; the device is not notified.
 */
void vring_packed_publish(struct vring_virtqueue *vq,
			  const struct vring_request *req)
{
	struct vring_packed *packed = &vq->ring.packed;
	u16 pos = packed->next_avail;
	u16 head = pos & ~PACKED_WRAP, head_flags = 0;
	u32 i = req->linear ? 0 : req->id, n;

	for (n = req->num; n; n--) {
		const struct vring_seg *seg = &req->segs[i];
		u16 slot = pos & ~PACKED_WRAP;
		u16 flags = packed_avail_bits(pos);

		packed_write_desc(&packed->desc[slot], seg->addr, seg->len,
				  req->id);
		if (n > 1)
			flags |= VRING_DESC_F_NEXT;
		if (seg->flags & VRING_SEG_WRITE)
			flags |= VRING_DESC_F_WRITE;
		if (slot == head)
			head_flags = flags;
		else
			packed->desc[slot].flags = cpu_to_le16(flags);
		pos = packed_advance(pos, 1, vq->ring.num);
		i = req->linear ? i + 1 : seg->next;
	}
	packed_make_available(vq, head, head_flags, pos);
}

/**
 * vring_packed_withdraw - take back one request of a queue that is not active
 * @vq: the virtqueue
 *
 * The layout has no count of what is available; a reset clears the ring.
 */
void vring_packed_withdraw(struct vring_virtqueue *vq)
{
}

/**
 * vring_packed_more_used - has the device used something that was not reaped?
 * @vq: the virtqueue
 *
 * Context: any, not serialized.
 * Return: true if so.
 */
bool vring_packed_more_used(const struct vring_virtqueue *vq)
{
	return packed_is_used(vq, READ_ONCE(vq->ring.packed.last_used));
}

/**
 * vring_packed_get_used - read the next used descriptor, section 2.8.22
 * @vq: the virtqueue
 *
 * Breaks the queue if the device returns an id that does not exist.
 *
 * Return: what the device returned, VRING_NO_ID if there is none.
 */
struct vring_used_buf vring_packed_get_used(struct vring_virtqueue *vq)
{
	struct vring_used_buf used = { .id = VRING_NO_ID };
	struct vring_packed *packed = &vq->ring.packed;
	struct vring_packed_desc *desc;

	if (!packed_is_used(vq, packed->last_used))
		return used;

	/*
	 * Read the flags before the fields that they expose; pairs with the
	 * device's write barrier before it writes those flags.
	 */
	virtio_rmb(vq->weak_barriers);

	desc = &packed->desc[packed->last_used & ~PACKED_WRAP];
	used.id = le16_to_cpu(READ_ONCE(desc->id));
	used.len = le32_to_cpu(READ_ONCE(desc->len));
	if (unlikely(used.id >= vq->ring.num)) {
		vring_break(vq, "used id %u out of range", used.id);
		used.id = VRING_NO_ID;
	}
	return used;
}

/**
 * vring_packed_put_used - go on to the next used descriptor
 * @vq: the virtqueue
 * @num: descriptors that the request occupied, which the device skips too
 */
void vring_packed_put_used(struct vring_virtqueue *vq, u16 num)
{
	struct vring_packed *packed = &vq->ring.packed;
	u16 pos = packed_advance(packed->last_used, num, vq->ring.num);

	WRITE_ONCE(packed->last_used, pos);

	/*
	 * Ask for an interrupt with the next descriptor, and have that seen
	 * before the next look at its flags; pairs with the device's barrier
	 * between writing used flags and reading the event structure.
	 */
	if (READ_ONCE(packed->driver_flags) == VRING_PACKED_EVENT_FLAG_DESC)
		virtio_store_mb(vq->weak_barriers, &packed->driver->off_wrap,
				cpu_to_le16(pos));
}

/**
 * vring_packed_kick_prepare - must the device be notified of what was added?
 * @vq: the virtqueue
 *
 * virtio 1.2 sections 2.8.14 and 2.8.21.3.  If the device writes an invalid
 * event position, it may miss a notification or get one too many.
 *
 * Return: true if so.
 */
bool vring_packed_kick_prepare(struct vring_virtqueue *vq)
{
	struct vring_packed *packed = &vq->ring.packed;
	union {
		struct vring_packed_desc_event event;
		u32 word;
	} device;
	u16 new, old, off_wrap, event, flags;

	/*
	 * Write the chain's flags before reading whether the device wants to be
	 * notified; pairs with the device's barrier between writing that and
	 * reading flags.
	 */
	virtio_mb(vq->weak_barriers);

	new = packed->next_avail & ~PACKED_WRAP;
	old = new - vq->num_added;
	vq->num_added = 0;

	/* Both halves in one read: they belong together. */
	device.word = READ_ONCE(*(u32 *)packed->device);
	flags = le16_to_cpu(device.event.flags);
	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;

	off_wrap = le16_to_cpu(device.event.off_wrap);
	event = off_wrap & ~PACKED_WRAP;
	/* A position in the previous lap is a ring's length below. */
	if ((off_wrap ^ packed->next_avail) & PACKED_WRAP)
		event -= vq->ring.num;
	return vring_need_event(event, new, old);
}

/**
 * vring_packed_disable_cb - ask the device not to interrupt
 * @vq: the virtqueue
 *
 * Context: any, not serialized; a hint.
 */
void vring_packed_disable_cb(struct vring_virtqueue *vq)
{
	struct vring_packed *packed = &vq->ring.packed;
	/* Pairs with packed_enable_cb(), which may run meanwhile. */
	u16 old = READ_ONCE(packed->driver_flags);

	if (old == VRING_PACKED_EVENT_FLAG_DISABLE)
		return;
	WRITE_ONCE(packed->driver_flags, VRING_PACKED_EVENT_FLAG_DISABLE);

	/* The event has fired and is not armed again: no need to write. */
	if (old == VRING_PACKED_EVENT_FLAG_DESC &&
	    READ_ONCE(vq->event_triggered))
		return;

	packed_write_driver_flags(packed, VRING_PACKED_EVENT_FLAG_DISABLE);
}

/*
 * Always write the device's flags, even if they seem to be right.  A concurrent
 * vring_packed_disable_cb() may have written them after the last call of this,
 * and driver_flags does not show that.
 */
static void packed_enable_cb(struct vring_virtqueue *vq, u16 pos)
{
	struct vring_packed *packed = &vq->ring.packed;
	/* Pairs with vring_packed_disable_cb(), which may run meanwhile. */
	u16 flags = READ_ONCE(packed->driver_flags);

	if (vq->event) {
		WRITE_ONCE(packed->driver->off_wrap, cpu_to_le16(pos));
		/*
		 * Write the position before the flags that enable it; pairs
		 * with the device's read of both, in one access or with a
		 * barrier.
		 */
		virtio_wmb(vq->weak_barriers);
	}

	if (flags == VRING_PACKED_EVENT_FLAG_DISABLE)
		flags = vq->event ? VRING_PACKED_EVENT_FLAG_DESC :
				    VRING_PACKED_EVENT_FLAG_ENABLE;
	WRITE_ONCE(packed->driver_flags, flags);
	packed_write_driver_flags(packed, flags);
}

/**
 * vring_packed_enable_cb - ask for an interrupt with the next used descriptor
 * @vq: the virtqueue
 *
 * Return: what to give to vring_packed_poll().
 */
unsigned int vring_packed_enable_cb(struct vring_virtqueue *vq)
{
	u16 pos = vq->ring.packed.last_used;

	packed_enable_cb(vq, pos);
	return pos;
}

/**
 * vring_packed_enable_cb_delayed - ask for an interrupt when most is used
 * @vq: the virtqueue
 *
 * With event indexes that is after three quarters of the descriptors in use.
 *
 * Return: false if something can be reaped already.
 */
bool vring_packed_enable_cb_delayed(struct vring_virtqueue *vq)
{
	u32 bufs = (vq->ring.num - vq->vq.num_free) * 3 / 4;

	packed_enable_cb(vq, packed_advance(vq->ring.packed.last_used, bufs,
					    vq->ring.num));

	/*
	 * Ask for interrupts before reading the flags; pairs with the device's
	 * barrier between writing used flags and reading whether to interrupt.
	 */
	virtio_mb(vq->weak_barriers);
	return !packed_is_used(vq, vq->ring.packed.last_used);
}

/**
 * vring_packed_poll - has anything been used since vring_packed_enable_cb()?
 * @vq: the virtqueue
 * @state: what that returned
 *
 * Context: any, not serialized; the caller has a barrier before it.
 * Return: true if so.
 */
bool vring_packed_poll(const struct vring_virtqueue *vq, u16 state)
{
	return packed_is_used(vq, state);
}

/**
 * vring_packed_next - position for notification data, virtio 1.2 section 2.9
 * @vq: the virtqueue
 *
 * Context: any, not serialized.
 * Return: the next slot, the wrap counter in bit 15.
 */
u16 vring_packed_next(const struct vring_virtqueue *vq)
{
	/* Both halves in one read: they belong together. */
	return READ_ONCE(vq->ring.packed.next_avail);
}

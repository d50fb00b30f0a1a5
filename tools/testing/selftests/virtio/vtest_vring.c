// SPDX-License-Identifier: GPL-2.0
/*
 * The device's side of split and packed rings, written from virtio 1.2 sections
 * 2.7 and 2.8.
 */
#include <linux/virtio_ring.h>
#include <string.h>

#include "vtest.h"
#include "vtest_vring.h"

#define PACKED_AVAIL	0x80	/* 1 << VRING_PACKED_DESC_F_AVAIL */
#define PACKED_USED	0x8000	/* 1 << VRING_PACKED_DESC_F_USED */

/* What the driver may write at any time is read once. */
#define READ_ONCE(x)	__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELAXED)

static void barrier(void)
{
	__sync_synchronize();
}

size_t vd_length(const struct vd_chain *chain, bool write)
{
	size_t len = 0;

	for (int i = 0; i < chain->count; i++)
		if (chain->seg[i].write == write)
			len += chain->seg[i].len;
	return len;
}

/* Bytes from on of what the device may write or read, either way. */
static size_t transfer(struct vd_dev *dev, const struct vd_chain *chain,
		       bool write, size_t from, void *buf, size_t len)
{
	size_t done = 0;

	for (int i = 0; i < chain->count && done < len; i++) {
		const struct vd_seg *seg = &chain->seg[i];
		size_t n;
		__u8 *mem;

		if (seg->write != write)
			continue;
		if (from >= seg->len) {
			from -= seg->len;
			continue;
		}
		n = seg->len - from < len - done ? seg->len - from : len - done;
		mem = vd_at(dev, seg->addr + from, n);
		if (!mem)
			break;
		if (write)
			memcpy(mem, (__u8 *)buf + done, n);
		else
			memcpy((__u8 *)buf + done, mem, n);
		done += n;
		from = 0;
	}
	return done;
}

size_t vd_read(struct vd_dev *dev, const struct vd_chain *chain, size_t from,
	       void *buf, size_t len)
{
	return transfer(dev, chain, false, from, buf, len);
}

size_t vd_write(struct vd_dev *dev, const struct vd_chain *chain, size_t from,
		const void *buf, size_t len)
{
	return transfer(dev, chain, true, from, (void *)buf, len);
}

static bool chain_add(struct vd_chain *chain, __u64 addr, __u32 len, bool write)
{
	if (chain->count == VD_MAX_SEGS)
		return false;
	chain->seg[chain->count++] = (struct vd_seg){ addr, len, write };
	return true;
}

/* A split ring's descriptors, or those of its indirect table. */
static bool split_walk(struct vd_chain *chain, const struct vring_desc *desc,
		       __u32 num, __u32 i)
{
	for (;;) {
		__u16 flags = READ_ONCE(desc[i].flags);

		if (!chain->table && chain->count < VD_MAX_SEGS)
			chain->slot[chain->slots++] = i;

		if (!chain_add(chain, READ_ONCE(desc[i].addr),
			       READ_ONCE(desc[i].len), flags & VRING_DESC_F_WRITE))
			return false;
		if (!(flags & VRING_DESC_F_NEXT))
			return true;
		i = READ_ONCE(desc[i].next);
		if (i >= num)
			return false;
	}
}

static bool split_pop(struct vd_dev *dev, struct vd_queue *queue,
		      struct vd_chain *chain)
{
	struct vring_avail *avail = queue->driver;
	struct vring_used *used = queue->device;
	struct vring_desc *desc = queue->desc, *table;
	__u16 *event;

	/* The wish for notifications, written below, before this look. */
	barrier();
	if (READ_ONCE(avail->idx) == queue->avail)
		return false;
	barrier();
	chain->id = READ_ONCE(avail->ring[queue->avail % queue->num]);
	queue->avail++;
	event = (void *)&used->ring[queue->num];
	if (queue->event)
		WRITE_ONCE(*event, queue->avail);
	if (chain->id >= queue->num)
		return false;
	desc += chain->id;
	if (READ_ONCE(desc->flags) & VRING_DESC_F_INDIRECT) {
		chain->slot[chain->slots++] = chain->id;
		chain->table = READ_ONCE(desc->addr);
		chain->table_len = READ_ONCE(desc->len);
		table = vd_at(dev, chain->table, chain->table_len);
		return table && split_walk(chain, table, chain->table_len /
					   sizeof(*table), 0);
	}
	return split_walk(chain, queue->desc, queue->num, chain->id);
}

static void packed_next(struct vd_queue *queue, __u16 *slot, bool *wrap,
			__u16 count)
{
	*slot += count;
	if (*slot >= queue->num) {
		*slot -= queue->num;
		*wrap = !*wrap;
	}
}

static bool packed_pop(struct vd_dev *dev, struct vd_queue *queue,
		       struct vd_chain *chain)
{
	struct vring_packed_desc *ring = queue->desc, *desc = &ring[queue->avail];
	__u16 flags = READ_ONCE(desc->flags);

	if (!(flags & PACKED_AVAIL) == queue->avail_wrap ||
	    !(flags & PACKED_USED) != queue->avail_wrap)
		return false;
	barrier();
	for (;;) {
		if (chain->slots == VD_MAX_SEGS)
			return false;
		chain->slot[chain->slots++] = queue->avail;
		desc = &ring[queue->avail];
		flags = READ_ONCE(desc->flags);
		chain->id = READ_ONCE(desc->id);
		packed_next(queue, &queue->avail, &queue->avail_wrap, 1);
		if (flags & VRING_DESC_F_INDIRECT)
			break;
		if (!chain_add(chain, READ_ONCE(desc->addr),
			       READ_ONCE(desc->len), flags & VRING_DESC_F_WRITE))
			return false;
		if (!(flags & VRING_DESC_F_NEXT))
			return true;
	}
	chain->table = READ_ONCE(desc->addr);
	chain->table_len = READ_ONCE(desc->len);
	desc = vd_at(dev, chain->table, chain->table_len);
	for (__u32 i = 0; desc && i < chain->table_len / sizeof(*desc); i++)
		if (!chain_add(chain, READ_ONCE(desc[i].addr),
			       READ_ONCE(desc[i].len),
			       READ_ONCE(desc[i].flags) & VRING_DESC_F_WRITE))
			return false;
	return desc;
}

bool vd_pop(struct vd_dev *dev, struct vd_queue *queue, struct vd_chain *chain)
{
	chain->count = 0;
	chain->slots = 0;
	chain->table = 0;
	chain->table_len = 0;
	return queue->packed ? packed_pop(dev, queue, chain) :
			       split_pop(dev, queue, chain);
}

void vd_push_raw(struct vd_queue *queue, __u32 id, __u32 len, __u16 slots)
{
	if (queue->packed) {
		struct vring_packed_desc *desc = queue->desc;

		desc += queue->used;
		WRITE_ONCE(desc->id, id);
		WRITE_ONCE(desc->len, len);
		barrier();
		WRITE_ONCE(desc->flags, queue->used_wrap ?
			   PACKED_AVAIL | PACKED_USED : 0);
		packed_next(queue, &queue->used, &queue->used_wrap, slots);
	} else {
		struct vring_used *used = queue->device;
		struct vring_used_elem *elem;

		elem = &used->ring[queue->used % queue->num];
		WRITE_ONCE(elem->id, id);
		WRITE_ONCE(elem->len, len);
		barrier();
		WRITE_ONCE(used->idx, ++queue->used);
	}
}

void vd_push(struct vd_queue *queue, const struct vd_chain *chain, __u32 len)
{
	vd_push_raw(queue, chain->id, len, chain->slots);
}

/* --- what it should not do --- */

void vd_spoil_desc(struct vd_queue *queue, __u16 slot, __u64 *seed)
{
	struct vring_packed_desc *packed = queue->desc;
	struct vring_desc *split = queue->desc;

	if (!queue->packed)
		vd_scribble(&split[slot], sizeof(*split), seed);
	else
		vd_scribble(&packed[slot],
			    offsetof(struct vring_packed_desc, flags), seed);
}

/* Garbage, or a chain without end that is a table of tables. */
static void spoil_table(struct vring_desc *table, __u32 len, __u64 *seed)
{
	if (vd_random(seed) % 2) {
		vd_scribble(table, len, seed);
		return;
	}
	for (__u32 i = 0; i < len / sizeof(*table); i++) {
		table[i].len = 0xffffffff;
		table[i].flags = VRING_DESC_F_NEXT | VRING_DESC_F_WRITE |
				 VRING_DESC_F_INDIRECT;
		table[i].next = 0;
	}
}

void vd_spoil_request(struct vd_dev *dev, struct vd_queue *queue,
		      const struct vd_chain *chain, __u64 *seed)
{
	void *table;

	for (int i = 0; i < chain->slots; i++)
		vd_spoil_desc(queue, chain->slot[i], seed);
	table = chain->table ? vd_at(dev, chain->table, chain->table_len) : NULL;
	if (table)
		spoil_table(table, chain->table_len, seed);
}

void vd_spoil_events(struct vd_queue *queue, __u64 *seed)
{
	struct vring_avail *avail = queue->driver;
	struct vring_used *used = queue->device;

	if (queue->packed) {
		vd_scribble(queue->device, vd_device_size(queue), seed);
		vd_scribble(queue->driver, vd_driver_size(queue), seed);
		return;
	}
	vd_scribble(&used->flags, sizeof(used->flags), seed);
	vd_scribble(&used->ring[queue->num], sizeof(__u16), seed);
	vd_scribble(&avail->flags, sizeof(avail->flags), seed);
	vd_scribble(&avail->ring[queue->num], sizeof(__u16), seed);
}

__u16 vd_flip_wrap(struct vd_queue *queue)
{
	struct vring_packed_desc *desc = queue->desc;
	__u16 was = READ_ONCE(desc[queue->used].flags);

	vd_set_flags(queue, queue->used_wrap ? 0 : PACKED_AVAIL | PACKED_USED);
	return was;
}

void vd_set_flags(struct vd_queue *queue, __u16 flags)
{
	struct vring_packed_desc *desc = queue->desc;

	WRITE_ONCE(desc[queue->used].flags, flags);
}

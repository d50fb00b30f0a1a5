/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device's side of split and packed rings of a VDUSE device, virtio 1.2
 * sections 2.7 and 2.8.  It obeys the specification unless a test makes it
 * break a rule.
 */
#ifndef VTEST_VRING_H
#define VTEST_VRING_H

#include "vtest_vduse.h"

#define VD_MAX_SEGS	128

struct vd_seg {
	__u64 addr;
	__u32 len;
	bool write;		/* the device writes it */
};

/* A request as the driver made it available. */
struct vd_chain {
	__u16 id;		/* what a used entry calls it */
	__u16 slots;		/* descriptors of the ring that it takes */
	__u16 slot[VD_MAX_SEGS];	/* which those are */
	int count;
	struct vd_seg seg[VD_MAX_SEGS];
	__u64 table;		/* of an indirect one, else 0 */
	__u32 table_len;
};

size_t vd_read(struct vd_dev *dev, const struct vd_chain *chain, size_t from,
	       void *buf, size_t len);
size_t vd_write(struct vd_dev *dev, const struct vd_chain *chain, size_t from,
		const void *buf, size_t len);
/* Bytes that the device may read or write. */
size_t vd_length(const struct vd_chain *chain, bool write);

/* The next available request; false if there is none. */
bool vd_pop(struct vd_dev *dev, struct vd_queue *queue, struct vd_chain *chain);
/* Return it, having written len bytes. */
void vd_push(struct vd_queue *queue, const struct vd_chain *chain, __u32 len);
/* Return anything at all. */
void vd_push_raw(struct vd_queue *queue, __u32 id, __u32 len, __u16 slots);
/*
 * What a device does to a request in flight that is none of its business: the
 * request's descriptors and its table, or just one descriptor.  Flags of a
 * packed ring stay, they say on the next lap too what was used.
 */
void vd_spoil_request(struct vd_dev *dev, struct vd_queue *queue,
		      const struct vd_chain *chain, __u64 *seed);
void vd_spoil_desc(struct vd_queue *queue, __u16 slot, __u64 *seed);
/* Event fields and flags of both sides, at random. */
void vd_spoil_events(struct vd_queue *queue, __u64 *seed);
/* Packed: the next descriptor to use, as used a lap ago; what it was. */
__u16 vd_flip_wrap(struct vd_queue *queue);
void vd_set_flags(struct vd_queue *queue, __u16 flags);

#endif

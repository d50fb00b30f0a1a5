// SPDX-License-Identifier: GPL-2.0
/*
 * The device's side of both ring layouts, written from the virtio 1.2
 * specification.  Section numbers in the messages are those of that text.
 */
#include "model_device.h"
#include "model_map.h"

/* ---- memory ---- */

/* As much of @len bytes as is in one piece behind the DMA addresses, in @got. */
static void *piece(struct dev_queue *q, u64 addr, size_t len, bool write, size_t *got)
{
	const char *why = NULL;
	void *p = dma_access(q->dev->dma_dev, addr, len, write, got, &why);

	if (!p)
		fail("the device cannot %s %zu bytes at %#llx: %s", write ? "write" : "read",
		     len, addr, why);
	return p;
}

void *dev_ptr(struct dev_queue *q, u64 addr, size_t len, bool write)
{
	size_t got = 0;
	void *p = piece(q, addr, len, write, &got);

	if (got < len)
		fail("the device cannot %s %zu bytes at %#llx: mapping too short",
		     write ? "write" : "read", len, addr);
	return p;
}

bool dev_reaches(struct dev_queue *q, u64 addr, size_t len, bool write)
{
	const char *why;
	size_t got;

	for (; len; len -= got, addr += got)
		if (!dma_access(q->dev->dma_dev, addr, len, write, &got, &why))
			return false;
	return true;
}

void dev_copy(struct dev_queue *q, u64 addr, void *buf, size_t len, bool write)
{
	size_t got;
	void *p;

	for (; len; len -= got, addr += got, buf += got) {
		p = piece(q, addr, len, write, &got);
		if (write)
			memcpy(p, buf, got);
		else
			memcpy(buf, p, got);
	}
}

/* The packed layout is modern only; a legacy split ring has the guest's order. */
static bool little(struct dev_queue *q)
{
	return (q->dev->vdev.features & BIT_ULL(VIRTIO_F_VERSION_1)) || q->packed ||
	       !shim_big_endian_guest;
}

u16 dev_get16(struct dev_queue *q, u64 addr)
{
	u16 v;

	memcpy(&v, dev_ptr(q, addr, 2, false), 2);
	return little(q) ? v : __builtin_bswap16(v);
}

u32 dev_get32(struct dev_queue *q, u64 addr)
{
	u32 v;

	memcpy(&v, dev_ptr(q, addr, 4, false), 4);
	return little(q) ? v : __builtin_bswap32(v);
}

u64 dev_get64(struct dev_queue *q, u64 addr)
{
	u64 v;

	memcpy(&v, dev_ptr(q, addr, 8, false), 8);
	return little(q) ? v : __builtin_bswap64(v);
}

void dev_put16(struct dev_queue *q, u64 addr, u16 v)
{
	v = little(q) ? v : __builtin_bswap16(v);
	memcpy(dev_ptr(q, addr, 2, true), &v, 2);
}

void dev_put32(struct dev_queue *q, u64 addr, u32 v)
{
	v = little(q) ? v : __builtin_bswap32(v);
	memcpy(dev_ptr(q, addr, 4, true), &v, 4);
}

void dev_put64(struct dev_queue *q, u64 addr, u64 v)
{
	v = little(q) ? v : __builtin_bswap64(v);
	memcpy(dev_ptr(q, addr, 8, true), &v, 8);
}

/* Where things are in the rings, 2.7.6, 2.7.8, 2.8.14. */
#define RING_FLAGS	0		/* in the split available and used ring */
#define RING_IDX	2
#define EVENT_OFF_WRAP	0		/* in the packed event structures */
#define EVENT_FLAGS	2

static u64 avail_entry(const struct dev_queue *q, u64 i)
{
	return q->avail + 4 + 2 * i;
}

static u64 used_entry(const struct dev_queue *q, u64 i)
{
	return q->used + 4 + 8 * i;
}

static u64 used_event(const struct dev_queue *q)
{
	return avail_entry(q, q->num);
}

static u64 avail_event(const struct dev_queue *q)
{
	return used_entry(q, q->num);
}

static u64 desc_entry(const struct dev_queue *q, u64 i)
{
	return q->desc + 16 * i;
}

#define F_NEXT		1
#define F_WRITE		2
#define F_INDIRECT	4
#define F_AVAIL		0x80
#define F_USED		0x8000

static bool has(struct dev_queue *q, unsigned int bit)
{
	return q->dev->vdev.features & BIT_ULL(bit);
}

/* ---- taking requests ---- */

static void add_seg(struct dev_req *r, u64 addr, u32 len, bool write)
{
	if (r->nseg == REQ_SEGS)
		fail("a request of more than %d segments", REQ_SEGS);
	if (!write && r->writable)
		fail("a device-readable segment after a writable one (2.7.4.2, 2.8.5)");
	r->seg[r->nseg++] = (struct dev_seg){ .addr = addr, .len = len, .write = write };
	if (write)
		r->writable += len;
	else
		r->readable += len;
}

static void check_segs(struct dev_queue *q, const struct dev_req *r)
{
	unsigned int i;

	if (r->readable + r->writable > 1ULL << 32)
		fail("a request of more than 2^32 bytes (2.7.5.2, 2.8.5)");
	/* Every byte must be reachable the way the descriptor says. */
	for (i = 0; i < r->nseg; i++) {
		const struct dev_seg *s = &r->seg[i];
		size_t off, got;

		for (off = 0; off < s->len; off += got)
			piece(q, s->addr + off, s->len - off, s->write, &got);
	}
}

static void take_split_table(struct dev_queue *q, struct dev_req *r, u64 addr, u32 len)
{
	unsigned int n = len / 16, i = 0, seen = 0;
	u16 flags;

	if (!has(q, VIRTIO_RING_F_INDIRECT_DESC))
		fail("an indirect table that was not negotiated (2.7.5.3.1)");
	if (!len || len % 16)
		fail("an indirect table of %u bytes (2.7.5.3)", len);
	dev_ptr(q, addr, len, false);
	do {
		u64 d = addr + 16 * (u64)i;

		if (i >= n)
			fail("next %u beyond an indirect table of %u entries", i, n);
		if (seen++ == n)
			fail("a loop in an indirect table (2.7.5.3.1)");
		flags = dev_get16(q, d + 12);
		if (flags & F_INDIRECT)
			fail("an indirect table inside of another (2.7.5.3.1)");
		if (flags & ~(F_NEXT | F_WRITE))
			fail("flags %#x in an indirect table (2.7.5)", flags);
		add_seg(r, dev_get64(q, d), dev_get32(q, d + 8), flags & F_WRITE);
		i = dev_get16(q, d + 14);
	} while (flags & F_NEXT);
	if (seen != n)
		fail("%u of %u entries of an indirect table used", seen, n);
}

static bool take_split(struct dev_queue *q, struct dev_req *r)
{
	unsigned int i;
	u16 idx, flags;

	idx = dev_get16(q, q->avail + RING_IDX);
	if (idx == (u16)q->taken)
		return false;
	if ((u16)(idx - (u16)q->taken) > q->num)
		fail("avail idx %u is %u ahead of a ring of %u (2.7.6)", idx,
		     (u16)(idx - (u16)q->taken), q->num);

	i = dev_get16(q, avail_entry(q, q->taken % q->num));
	r->id = i;
	for (;;) {
		u64 d = desc_entry(q, i);

		if (i >= q->num)
			fail("descriptor %u of %u (2.7.6)", i, q->num);
		if (r->ndesc++ == q->num)
			fail("a loop of descriptors (2.7.5.2)");
		flags = dev_get16(q, d + 12);
		if (flags & ~(F_NEXT | F_WRITE | F_INDIRECT))
			fail("descriptor flags %#x (2.7.5)", flags);
		if (flags & F_INDIRECT) {
			if (flags & F_NEXT)
				fail("INDIRECT together with NEXT (2.7.5.3.1)");
			if (flags & F_WRITE)
				fail("INDIRECT together with WRITE (2.7.5.3)");
			r->indirect = true;
			take_split_table(q, r, dev_get64(q, d), dev_get32(q, d + 8));
			break;
		}
		add_seg(r, dev_get64(q, d), dev_get32(q, d + 8), flags & F_WRITE);
		if (!(flags & F_NEXT))
			break;
		i = dev_get16(q, d + 14);
	}
	q->taken++;
	return true;
}

static bool packed_available(struct dev_queue *q, u64 position)
{
	u16 flags = dev_get16(q, desc_entry(q, position % q->num) + 14);
	bool wrap = dev_wrap(q, position);

	return !!(flags & F_AVAIL) == wrap && !!(flags & F_USED) == !wrap;
}

static bool take_packed(struct dev_queue *q, struct dev_req *r)
{
	u64 at = q->taken;
	u16 flags;

	if (!packed_available(q, at))
		return false;
	for (;;) {
		u64 d = desc_entry(q, at % q->num);

		if (!packed_available(q, at))
			fail("descriptor %llu of a chain is not available (2.8.6)",
			     at % q->num);
		if (at - q->done >= q->num)
			fail("descriptor %llu is still in use", at % q->num);
		at++;
		r->ndesc++;
		flags = dev_get16(q, d + 14);
		if (flags & ~(F_NEXT | F_WRITE | F_INDIRECT | F_AVAIL | F_USED))
			fail("descriptor flags %#x (2.8.1)", flags);
		/* The id of the last descriptor is the buffer's, 2.8.6. */
		r->id = dev_get16(q, d + 12);
		if (flags & F_INDIRECT) {
			u64 table = dev_get64(q, d);
			u32 len = dev_get32(q, d + 8), i;

			if (!has(q, VIRTIO_RING_F_INDIRECT_DESC))
				fail("an indirect table that was not negotiated (2.8.7)");
			if (flags & (F_NEXT | F_WRITE))
				fail("INDIRECT with flags %#x (2.8.19)", flags);
			if (!len || len % 16)
				fail("an indirect table of %u bytes (2.8.7)", len);
			dev_ptr(q, table, len, false);
			r->indirect = true;
			for (i = 0; i < len; i += 16)
				add_seg(r, dev_get64(q, table + i),
					dev_get32(q, table + i + 8),
					dev_get16(q, table + i + 14) & F_WRITE);
			break;
		}
		add_seg(r, dev_get64(q, d), dev_get32(q, d + 8), flags & F_WRITE);
		if (!(flags & F_NEXT))
			break;
	}
	if (r->id >= q->num)
		fail("buffer id %u of %u", r->id, q->num);
	q->taken = at;
	return true;
}

bool dev_take(struct dev_queue *q, struct dev_req *r)
{
	r->ndesc = 0;
	r->nseg = 0;
	r->readable = 0;
	r->writable = 0;
	r->indirect = false;
	if (!q->enabled)
		return false;
	if (!(q->packed ? take_packed(q, r) : take_split(q, r)))
		return false;
	check_segs(q, r);
	return true;
}

unsigned int dev_pending(struct dev_queue *q, unsigned int limit)
{
	u64 keep = q->taken;
	static struct dev_req r;
	unsigned int n = 0;

	while (n < limit && dev_take(q, &r))
		n++;
	q->taken = keep;
	return n;
}

/* ---- data ---- */

static void copy(struct dev_queue *q, const struct dev_req *r, u64 off, char *buf,
		 size_t len, bool write)
{
	unsigned int i;

	for (i = 0; i < r->nseg && len; i++) {
		const struct dev_seg *s = &r->seg[i];
		size_t n;

		if (s->write != write)
			continue;
		if (off >= s->len) {
			off -= s->len;
			continue;
		}
		n = min(len, (size_t)(s->len - off));
		dev_copy(q, s->addr + off, buf, n, write);
		buf += n;
		len -= n;
		off = 0;
	}
	if (len)
		fail("the test copies %zu bytes more than the request has", len);
}

void dev_read(struct dev_queue *q, const struct dev_req *r, u64 off, void *to, size_t len)
{
	copy(q, r, off, to, len, false);
}

void dev_write(struct dev_queue *q, const struct dev_req *r, u64 off, const void *from,
	       size_t len)
{
	copy(q, r, off, (char *)from, len, true);
}

/* ---- completing ---- */

static void put_used(struct dev_queue *q, u32 id, u32 len, unsigned int ndesc)
{
	if (q->packed) {
		u64 d = desc_entry(q, q->done % q->num);
		u16 flags = dev_wrap(q, q->done) ? F_AVAIL | F_USED : 0;

		dev_put16(q, d + 12, id);
		dev_put32(q, d + 8, len);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		dev_put16(q, d + 14, flags | (len ? F_WRITE : 0));
		q->done += ndesc;
		return;
	}
	dev_put32(q, used_entry(q, q->done % q->num), id);
	dev_put32(q, used_entry(q, q->done % q->num) + 4, len);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	q->done++;
	dev_put16(q, q->used + RING_IDX, q->done);
}

void dev_complete(struct dev_queue *q, const struct dev_req *r, u32 len)
{
	put_used(q, r->id, len, r->ndesc);
}

void dev_complete_batch(struct dev_queue *q, const struct dev_req *first, size_t stride,
			unsigned int n, u32 len)
{
	const struct dev_req *r = first;
	unsigned int i, ndesc = 0;

	for (i = 0; i < n; i++) {
		r = (const void *)((const char *)first + i * stride);
		ndesc += r->ndesc;
	}
	if (q->packed) {
		put_used(q, r->id, len, ndesc);
		return;
	}
	dev_put32(q, used_entry(q, q->done % q->num), r->id);
	dev_put32(q, used_entry(q, q->done % q->num) + 4, len);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	q->done += n;
	dev_put16(q, q->used + RING_IDX, q->done);
}

void dev_forge_used(struct dev_queue *q, u32 id, u32 len)
{
	put_used(q, id, len, 1);
}

/* ---- events, 2.7.7 to 2.7.10 and 2.8.10, one position after the other ---- */

static bool wants_interrupt(struct dev_queue *q)
{
	u64 p;

	if (q->packed) {
		u16 flags = dev_get16(q, q->avail + EVENT_FLAGS);
		u16 off_wrap = dev_get16(q, q->avail + EVENT_OFF_WRAP);

		switch (flags) {
		case 0:
			return true;
		case 1:
			return false;
		case 2:
			if (!has(q, VIRTIO_RING_F_EVENT_IDX))
				fail("event flags 2 without EVENT_IDX (2.8.10)");
			break;
		default:
			fail("event flags %#x (2.8.14)", flags);
		}
		if ((off_wrap & 0x7fff) >= q->num)
			fail("event offset %u of %u (2.8.10)", off_wrap & 0x7fff, q->num);
		for (p = q->told; p < q->done; p++)
			if (p % q->num == (off_wrap & 0x7fff) &&
			    dev_wrap(q, p) == off_wrap >> 15)
				return true;
		return false;
	}
	if (!has(q, VIRTIO_RING_F_EVENT_IDX)) {
		u16 flags = dev_get16(q, q->avail + RING_FLAGS);

		if (flags > 1)
			fail("avail flags %#x (2.7.7.1)", flags);
		return !flags;
	}
	if (dev_get16(q, q->avail + RING_FLAGS))
		fail("avail flags %#x with EVENT_IDX (2.7.7.1)",
		     dev_get16(q, q->avail + RING_FLAGS));
	for (p = q->told; p < q->done; p++)
		if ((u16)p == dev_get16(q, used_event(q)))
			return true;
	return false;
}

bool dev_interrupt(struct dev_queue *q)
{
	bool wanted;

	if (q->told == q->done)
		return false;
	wanted = wants_interrupt(q);
	q->told = q->done;
	if (!wanted)
		return false;
	q->interrupts++;
	vring_interrupt(0, q->vq);
	return true;
}

void dev_notify_never(struct dev_queue *q)
{
	if (q->packed)
		dev_put16(q, q->used + EVENT_FLAGS, 1);
	else if (!has(q, VIRTIO_RING_F_EVENT_IDX))
		dev_put16(q, q->used + RING_FLAGS, 1);
	else
		/* As far away as possible. */
		dev_put16(q, avail_event(q), q->taken + 0x8000);
}

void dev_notify_always(struct dev_queue *q)
{
	if (q->packed)
		dev_put16(q, q->used + EVENT_FLAGS, 0);
	else if (!has(q, VIRTIO_RING_F_EVENT_IDX))
		dev_put16(q, q->used + RING_FLAGS, 0);
	else
		dev_notify_at(q, q->taken);
}

void dev_notify_at(struct dev_queue *q, u64 at)
{
	if (!has(q, VIRTIO_RING_F_EVENT_IDX))
		fail("the test wants an event index that was not negotiated");
	if (!q->packed) {
		dev_put16(q, avail_event(q), at);
		return;
	}
	dev_put16(q, q->used + EVENT_OFF_WRAP, at % q->num | (u16)dev_wrap(q, at) << 15);
	dev_put16(q, q->used + EVENT_FLAGS, 2);
}

/* ---- life ---- */

static bool notify(struct virtqueue *vq)
{
	struct dev_queue *q = to_queue(vq);

	q->notified++;
	return !q->refuse_notify;
}

static void callback(struct virtqueue *vq)
{
	struct dev_queue *q = to_queue(vq);

	q->callbacks++;
	if (q->callback)
		q->callback(q);
}

static int disable_vq_and_reset(struct virtqueue *vq)
{
	struct dev_queue *q = to_queue(vq);

	if (q->in_reset)
		q->in_reset(q);
	if (q->reset_fails)
		return -EIO;
	q->enabled = false;
	q->resets++;
	vq->reset = true;
	return 0;
}

static int enable_vq_after_reset(struct virtqueue *vq)
{
	struct dev_queue *q = to_queue(vq);

	if (!vq->reset)
		return -EBUSY;
	if (q->enable_fails)
		return -EIO;
	dev_enable_queue(q);
	vq->reset = false;
	return 0;
}

/* Below the transport's, feature bits are for drivers that know them. */
void virtio_check_driver_offered_feature(const struct virtio_device *vdev, unsigned int bit)
{
	(void)vdev;
	if (bit < VIRTIO_TRANSPORT_F_START)
		fail("the ring asks for feature %u, which not every driver offers", bit);
}

void dev_init(struct device_model *d, u64 features, enum shim_dma mode)
{
	memset(d, 0, sizeof(*d));
	/* Without an IOMMU it may have to bounce one day. */
	d->parent_mask = DMA_BIT_MASK(mode == SHIM_DMA_DIRECT ? 48 : 64);
	d->parent.init_name = "parent";
	d->parent.dma_mask = &d->parent_mask;
	d->parent.coherent_dma_mask = DMA_BIT_MASK(64);
	d->parent.dma_parms = &d->parms;
	d->parent.shim_mode = mode;
	/* Nor does anybody ask where DMA addresses are physical ones anyway. */
	d->parent.shim_untracked = mode == SHIM_DMA_IDENTITY && !dma_accounted;
	d->other = d->parent;
	d->other.init_name = "other";
	d->other_mask = d->parent_mask;
	d->other.dma_mask = &d->other_mask;
	d->vdev.dev.init_name = "virtio0";
	d->vdev.dev.parent = &d->parent;
	/* swiotlb=force holds for every device, an IOMMU only for its own. */
	if (mode == SHIM_DMA_BOUNCED)
		d->vdev.dev.shim_mode = SHIM_DMA_BOUNCED;
	/* If it uses physical addresses, nobody else has a word in them. */
	d->vdev.dev.shim_untracked = mode != SHIM_DMA_BOUNCED && !dma_accounted &&
				     !shim_arch_ops;
	d->vdev.features = features;
	d->vdev.config = &d->config;
	d->config.disable_vq_and_reset = disable_vq_and_reset;
	d->config.enable_vq_after_reset = enable_vq_after_reset;
	INIT_LIST_HEAD(&d->vdev.vqs);
	spin_lock_init(&d->vdev.vqs_list_lock);
	d->dma_dev = features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) ? &d->parent : &d->vdev.dev;
}

void dev_exit(struct device_model *d)
{
	if (!list_empty(&d->vdev.vqs))
		fail("a deleted virtqueue is still on the device's list");
}

void dev_enable_queue(struct dev_queue *q)
{
	q->num = virtqueue_get_vring_size(q->vq);
	q->desc = virtqueue_get_desc_addr(q->vq);
	q->avail = virtqueue_get_avail_addr(q->vq);
	q->used = virtqueue_get_used_addr(q->vq);
	q->taken = 0;
	q->done = 0;
	q->told = 0;
	q->enabled = true;
}

struct dev_queue *dev_create_queue(struct device_model *d, const struct queue_opts *o)
{
	unsigned int num = o->num ? o->num : 16, align = o->align ? o->align : 64;
	void (*cb)(struct virtqueue *vq) = o->no_callback ? NULL : callback;
	struct dev_queue *q = &d->queue[o->index];
	struct virtqueue *vq;

	memset(q, 0, sizeof(*q));
	q->dev = d;
	q->packed = d->vdev.features & BIT_ULL(VIRTIO_F_RING_PACKED);
	if (o->pages)
		vq = vring_new_virtqueue(o->index, num, align, &d->vdev,
					 !o->strong_barriers, o->ctx, o->pages, notify, cb,
					 "test");
	else if (o->dma_dev)
		vq = drv_create_queue(o->index, num, align, &d->vdev, !o->strong_barriers,
				      o->reduce, o->ctx, notify, cb, "test", o->dma_dev);
	else
		vq = vring_create_virtqueue(o->index, num, align, &d->vdev,
					    !o->strong_barriers, o->reduce, o->ctx, notify,
					    cb, "test");
	if (!vq)
		return NULL;
	q->vq = vq;
	vq->num_max = 1024;
	if (o->pages) {
		/* 2.7.2: the three parts one after the other, the last aligned. */
		q->num = num;
		q->desc = o->pages_addr;
		q->avail = q->desc + 16 * (u64)num;
		q->used = ALIGN(q->avail + 4 + 2 * (u64)num + 2, align);
		q->enabled = true;
	} else {
		dev_enable_queue(q);
	}
	return q;
}

void dev_delete_queue(struct dev_queue *q)
{
	vring_del_virtqueue(q->vq);
	memset(q, 0, sizeof(*q));
}

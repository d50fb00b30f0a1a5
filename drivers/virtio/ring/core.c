// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core of virtio_ring: what drivers and transports call, the free list and
 * the requests in flight.  How a request looks to the device is split.c's and
 * packed.c's business, where it is mapped dma.c's, how a queue comes and goes
 * queue.c's.
 */
#include <linux/align.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/export.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "ring.h"

#include <trace/events/virtio_ring.h>

/**
 * vring_break - stop using a queue whose device broke the rules
 * @vq: the virtqueue
 * @fmt: what the device did, without newline
 *
 * One message a queue, rate-limited over all queues.  Requests in flight stay
 * mapped until the driver detaches them, since the device may still use them.
 *
 * Context: any.
 */
void vring_break(struct vring_virtqueue *vq, const char *fmt, ...)
{
	struct va_format vaf;
	va_list args;

	if (READ_ONCE(vq->broken))
		return;
	/* Pairs with READ_ONCE() in virtqueue_is_broken(). */
	WRITE_ONCE(vq->broken, true);

	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	dev_err_ratelimited(&vq->vq.vdev->dev, "%s: queue broken: %pV\n",
			    vq->vq.name, &vaf);
	va_end(args);
}

static struct vring_indirect *vring_alloc_indirect(u32 descs, u32 segs, gfp_t gfp)
{
	struct vring_indirect *ind;
	size_t head, len;

	/* The table is addressed through the linear mapping. */
	gfp &= ~__GFP_HIGHMEM;

	/* Virtio 1.2 section 2.7.5.3 wants no alignment; 16 is what rings have. */
	head = ALIGN(struct_size(ind, segs, segs), sizeof(struct vring_desc));
	len = array_size(descs, sizeof(struct vring_desc));
	ind = kmalloc(size_add(head, len), gfp);
	if (!ind)
		return NULL;
	ind->num = segs;
	ind->len = len;
	ind->table = (void *)ind + head;
	return ind;
}

static void vring_free_indirect(struct vring_virtqueue *vq,
				struct vring_indirect *ind, bool discard)
{
	vring_dma_unmap_table(vq, ind);
	vring_dma_unmap(vq, ind->segs, 0, ind->num, discard);
	kfree(ind);
}

/*
 * Map a request into an indirect table of its own.  Returns NULL if it has to
 * go without one: there is no memory (*err is 0) or it cannot be mapped.
 */
static struct vring_indirect *
vring_prepare_indirect(struct vring_virtqueue *vq, struct vring_request *req,
		       struct scatterlist *sgs[], unsigned int out_sgs,
		       unsigned int in_sgs, gfp_t gfp, int *err)
{
	struct vring_indirect *ind;

	ind = vring_alloc_indirect(req->num, req->num, gfp);
	if (unlikely(!ind))
		return NULL;

	req->segs = ind->segs;
	req->linear = true;
	*err = vring_dma_map(vq, req, sgs, out_sgs, in_sgs);
	if (unlikely(*err))
		goto err_free;

	vring_layout(vq, fill_table, vq, ind->table, ind->segs, req->num);
	*err = vring_dma_map_table(vq, ind);
	if (unlikely(*err))
		goto err_unmap;
	req->table = ind->addr;
	req->table_len = ind->len;
	req->undo = VRING_UNDO_INDIRECT;
	return ind;

err_unmap:
	vring_dma_unmap(vq, ind->segs, 0, ind->num, false);
err_free:
	kfree(ind);
	return NULL;
}

/*
 * Put a mapped request into an indirect table, one that is there already or one
 * of its own.  Without memory for one it goes without.
 */
static struct vring_indirect *vring_add_table(struct vring_virtqueue *vq,
					      struct vring_request *req,
					      gfp_t gfp)
{
	struct vring_indirect *ind;
	void *table;

	table = vring_cell_table(vq, req);
	if (likely(table)) {
		vring_layout(vq, fill_table, vq, table, req->segs, req->num);
		vring_dma_give_cell(vq, req->table, req->table_len, false);
		return NULL;
	}

	ind = vring_alloc_indirect(req->num, 0, gfp);
	if (unlikely(!ind))
		return NULL;
	vring_layout(vq, fill_table, vq, ind->table, req->segs, req->num);
	if (unlikely(vring_dma_map_table(vq, ind))) {
		kfree(ind);
		return NULL;
	}
	req->table = ind->addr;
	req->table_len = ind->len;
	req->undo |= VRING_UNDO_INDIRECT;
	return ind;
}

/* No room.  Devices that are slow to look have been prodded here since 2007. */
static int vring_no_space(struct vring_virtqueue *vq, unsigned int out_sgs)
{
	if (out_sgs && !vq->packed)
		vq->notify(&vq->vq);
	return -ENOSPC;
}

static void vring_undo(struct vring_virtqueue *vq, u16 id, u8 undo,
		       struct vring_indirect *ind, u32 num, bool discard)
{
	if (undo & VRING_UNDO_XFER)
		vring_cell_unmap(vq, id, discard);
	if (undo & VRING_UNDO_INDIRECT)
		vring_free_indirect(vq, ind, discard);
	if (undo & VRING_UNDO_SEGS)
		vring_dma_unmap(vq, vq->ring.segs, id, num, discard);
}

/* A request is mapped: remember it, and take its ids off the free list. */
static __always_inline void
vring_remember(struct vring_virtqueue *vq, u16 id, void *data, void *ctx,
	       u32 in_len, u16 num, u16 last, u32 segs, u8 undo)
{
	struct vring_state *state = &vq->ring.state[id];

	state->data = data;
	state->ctx = ctx;
	state->in_len = in_len;
	state->num = num;
	state->segs = segs;
	state->last = last;
	state->undo = undo;
	vq->free_head = vq->ring.segs[last].next;
	vq->vq.num_free -= num;
}

/* A request was published. */
static __always_inline void vring_added(struct vring_virtqueue *vq, u16 num,
					u32 segs, bool table)
{
	vq->stats.requests++;
	vq->stats.descriptors += segs + table;
	vq->stats.indirect_tables += table;

	vq->num_added += vq->packed ? num : 1;
	/* The count must not wrap before a driver that rarely kicks does. */
	if (unlikely(vq->num_added >= U16_MAX - VRING_MAX_NUM))
		virtqueue_kick(&vq->vq);
}

static int virtqueue_add(struct vring_virtqueue *vq, struct scatterlist *sgs[],
			 unsigned int total_sg, unsigned int out_sgs,
			 unsigned int in_sgs, void *data, void *ctx, gfp_t gfp)
{
	struct vring_request req = { .id = vq->free_head, .num = total_sg };
	struct vring_indirect *ind = NULL;
	u16 used, last, i;
	int err;

	if (unlikely(READ_ONCE(vq->broken)))
		return -EIO;
	if (WARN_ON_ONCE(!data || !total_sg || total_sg > VRING_MAX_NUM ||
			 (ctx && vq->indirect)))
		return -EINVAL;
	if (unlikely(!vq->vq.num_free))
		return vring_no_space(vq, out_sgs);
	if (!vq->indirect) {
		if (unlikely(total_sg > vq->ring.num))
			return -EINVAL;
		if (unlikely(total_sg > vq->vq.num_free))
			return vring_no_space(vq, out_sgs);
	}

	if (vq->mapping == VRING_MAP_ONLY)
		err = vring_dma_map_only(vq, &req, sgs, out_sgs, in_sgs);
	else if (vq->mapping == VRING_MAP_CELLS)
		err = vring_cell_map(vq, &req, sgs, out_sgs, in_sgs, gfp);
	else
		err = -EAGAIN;

	if (likely(!err)) {
		if (vq->indirect && req.num > 1)
			ind = vring_add_table(vq, &req, gfp);
	} else if (err == -EAGAIN) {
		err = 0;
		if (vq->indirect && total_sg > 1)
			ind = vring_prepare_indirect(vq, &req, sgs, out_sgs,
						     in_sgs, gfp, &err);
	}
	if (unlikely(err))
		return err;

	used = 1;
	last = req.id;
	if (!req.table_len && (req.num > 1 || !req.linear)) {
		err = 0;
		/* With memory for a table it would have fitted. */
		if (unlikely(req.num > vq->ring.num))
			err = -ENOMEM;
		else if (unlikely(req.num > vq->vq.num_free))
			err = vring_no_space(vq, out_sgs);
		if (unlikely(err)) {
			vring_undo(vq, req.id, req.undo, ind, 0, false);
			return err;
		}
		if (!req.linear) {
			req.segs = vq->ring.segs;
			err = vring_dma_map(vq, &req, sgs, out_sgs, in_sgs);
			if (unlikely(err))
				return err;
		}
		for (used = req.num, i = 1; i < used; i++)
			last = vq->ring.segs[last].next;
	}

	/* A queue with contexts has no tables. */
	vring_remember(vq, req.id, data, ind ? (void *)ind : ctx, req.in_len,
		       used, last, req.num, req.undo);
	trace_virtio_ring_map(&vq->vq, req.num, req.in_len, !!req.table_len);
	if (req.table_len)
		vring_layout(vq, publish_one, vq, req.id, req.table,
			     req.table_len, VRING_DESC_F_INDIRECT);
	else
		vring_layout(vq, publish, vq, &req);
	vring_added(vq, used, req.num, req.table_len);
	return 0;
}

/*
 * virtqueue_add() for a single segment, as networks and many others have them:
 * there is nothing to gather.  @in and @ctx are constants more often than not.
 */
static __always_inline int virtqueue_add_single(struct vring_virtqueue *vq,
						struct scatterlist *sg, bool in,
						void *data, void *ctx)
{
	u16 id = vq->free_head;
	dma_addr_t addr;
	u32 in_len;
	u8 undo = 0;

	if (unlikely(READ_ONCE(vq->broken)))
		return -EIO;
	if (WARN_ON_ONCE(!data || (ctx && vq->indirect)))
		return -EINVAL;
	if (unlikely(!vq->vq.num_free))
		return vring_no_space(vq, !in);

	if (vq->mapping == VRING_MAP_CELLS) {
		addr = vring_cell_map_single(vq, id, sg, in, &undo);
		if (unlikely(addr == DMA_MAPPING_ERROR))
			return -ENOMEM;
	} else {
		addr = vring_dma_map_single(vq, sg, in);
		if (unlikely(addr == DMA_MAPPING_ERROR))
			return -ENOMEM;
		if (unlikely(vq->mapping == VRING_MAP_SEGS))
			undo = vring_dma_keep_single(vq, id, addr, sg->length,
						     in);
	}

	in_len = in ? sg->length : 0;
	vring_remember(vq, id, data, ctx, in_len, 1, id, 1, undo);
	trace_virtio_ring_map(&vq->vq, 1, in_len, false);
	vring_layout(vq, publish_one, vq, id, addr, sg->length,
		     in ? VRING_DESC_F_WRITE : 0);
	vring_added(vq, 1, 1, false);
	return 0;
}

/* Add a list of one direction. */
static __always_inline int virtqueue_add_list(struct virtqueue *_vq,
					      struct scatterlist *sg,
					      unsigned int num, bool in,
					      void *data, void *ctx, gfp_t gfp)
{
	struct vring_virtqueue *vq = to_vring(_vq);

	if (num == 1 && vq->mapping != VRING_MAP_SEGS && !vq->premapped)
		return virtqueue_add_single(vq, sg, in, data, ctx);
	return virtqueue_add(vq, &sg, num, !in, in, data, ctx, gfp);
}

/* Returns the number of descriptors that are free again. */
static __always_inline u16 __vring_release(struct vring_virtqueue *vq,
					   struct vring_state *state, u16 id,
					   void **ctx, bool discard)
{
	u16 num = state->num;

	trace_virtio_ring_unmap(&vq->vq, state->segs);
	if (state->undo)
		vring_undo(vq, id, state->undo, state->indirect, state->segs,
			   discard);
	if (ctx && !vq->indirect)
		*ctx = state->ctx;

	state->data = NULL;
	vq->vq.num_free += num;
	/* What is used in order is free in order: the links stay as they are. */
	if (vq->in_order)
		return num;
	vq->ring.segs[state->last].next = vq->free_head;
	vq->free_head = id;
	return num;
}

/**
 * vring_release - take a request out of the ring
 * @vq: the virtqueue
 * @id: id of its first descriptor
 * @ctx: where to put its context, or NULL
 * @discard: nobody wants what the device wrote; do not touch the buffers
 *
 * Undoes what was mapped and puts its ids on the free list.
 */
void vring_release(struct vring_virtqueue *vq, u16 id, void **ctx, bool discard)
{
	__vring_release(vq, &vq->ring.state[id], id, ctx, discard);
}

/*
 * With VIRTIO_F_IN_ORDER a used entry or descriptor stands for all requests up
 * to the one that it names, virtio 1.2 sections 2.7.9 and 2.8.9.  Those before
 * it count as used in full.
 */
static struct vring_used_buf vring_get_used_in_order(struct vring_virtqueue *vq)
{
	struct vring_used_buf used;

	if (!vq->in_batch) {
		used = vring_layout(vq, get_used, vq);
		if (used.id == VRING_NO_ID)
			return used;
		if (unlikely(!vq->ring.state[used.id].data)) {
			vring_break(vq, "used id %u is not in flight", used.id);
			used.id = VRING_NO_ID;
			return used;
		}
		vq->batch_last = used.id;
		vq->batch_len = used.len;
		/* Pairs with READ_ONCE() in vring_batch_left(). */
		WRITE_ONCE(vq->in_batch, true);
	}

	used.id = vq->oldest;
	used.len = vq->ring.state[used.id].in_len;
	if (used.id == vq->batch_last) {
		used.len = vq->batch_len;
		WRITE_ONCE(vq->in_batch, false);
	}
	return used;
}

/* Is there something to reap of which the ring says nothing any more? */
static bool vring_batch_left(const struct vring_virtqueue *vq)
{
	return unlikely(READ_ONCE(vq->in_batch));
}

/**
 * virtqueue_add_sgs - add a request of device-readable and -writable buffers
 * @_vq: the virtqueue
 * @sgs: terminated scatterlists, the device-readable ones first
 * @out_sgs: number of device-readable scatterlists
 * @in_sgs: number of device-writable scatterlists
 * @data: token that virtqueue_get_buf() returns, not NULL
 * @gfp: how to allocate an indirect table
 *
 * The scatterlists may be reused at once, the buffers belong to the device
 * until virtqueue_get_buf() or virtqueue_detach_unused_buf() returns @data.
 * virtio 1.2 section 2.6.
 *
 * Context: any that @gfp allows; serialized by the driver with all other calls
 * on the queue but those that say otherwise.
 * Return: 0, or with the queue as it was: -ENOSPC if there is no room until
 * something is reaped; -ENOMEM if memory or mappings are short; -EIO if the
 * queue is broken; -EINVAL if the request is malformed or can never fit.
 */
int virtqueue_add_sgs(struct virtqueue *_vq, struct scatterlist *sgs[],
		      unsigned int out_sgs, unsigned int in_sgs, void *data,
		      gfp_t gfp)
{
	unsigned int i, total_sg = 0;
	struct scatterlist *sg;

	for (i = 0; i < out_sgs + in_sgs; i++)
		for (sg = sgs[i]; sg; sg = vring_sg_next(sg))
			total_sg++;

	if (total_sg == 1 && out_sgs + in_sgs == 1)
		return in_sgs ? virtqueue_add_inbuf(_vq, sgs[0], 1, data, gfp) :
				virtqueue_add_outbuf(_vq, sgs[0], 1, data, gfp);
	return virtqueue_add(to_vring(_vq), sgs, total_sg, out_sgs, in_sgs,
			     data, NULL, gfp);
}
EXPORT_SYMBOL_GPL(virtqueue_add_sgs);

/**
 * virtqueue_add_outbuf - add a request of device-readable buffers
 * @vq: the virtqueue
 * @sg: terminated scatterlist
 * @num: number of entries in @sg
 * @data: token that virtqueue_get_buf() returns, not NULL
 * @gfp: how to allocate an indirect table
 *
 * Context: as virtqueue_add_sgs().
 * Return: as virtqueue_add_sgs().
 */
int virtqueue_add_outbuf(struct virtqueue *vq, struct scatterlist *sg,
			 unsigned int num, void *data, gfp_t gfp)
{
	return virtqueue_add_list(vq, sg, num, false, data, NULL, gfp);
}
EXPORT_SYMBOL_GPL(virtqueue_add_outbuf);

/**
 * virtqueue_add_inbuf - add a request of device-writable buffers
 * @vq: the virtqueue
 * @sg: terminated scatterlist
 * @num: number of entries in @sg
 * @data: token that virtqueue_get_buf() returns, not NULL
 * @gfp: how to allocate an indirect table
 *
 * Context: as virtqueue_add_sgs().
 * Return: as virtqueue_add_sgs().
 */
int virtqueue_add_inbuf(struct virtqueue *vq, struct scatterlist *sg,
			unsigned int num, void *data, gfp_t gfp)
{
	return virtqueue_add_list(vq, sg, num, true, data, NULL, gfp);
}
EXPORT_SYMBOL_GPL(virtqueue_add_inbuf);

/**
 * virtqueue_add_inbuf_ctx - add device-writable buffers with a context
 * @vq: the virtqueue, created with contexts
 * @sg: terminated scatterlist
 * @num: number of entries in @sg
 * @data: token that virtqueue_get_buf_ctx() returns, not NULL
 * @ctx: context that virtqueue_get_buf_ctx() returns
 * @gfp: not used: a queue with contexts has no indirect tables
 *
 * Context: as virtqueue_add_sgs().
 * Return: as virtqueue_add_sgs().
 */
int virtqueue_add_inbuf_ctx(struct virtqueue *vq, struct scatterlist *sg,
			    unsigned int num, void *data, void *ctx, gfp_t gfp)
{
	return virtqueue_add_list(vq, sg, num, true, data, ctx, gfp);
}
EXPORT_SYMBOL_GPL(virtqueue_add_inbuf_ctx);

/**
 * virtqueue_kick_prepare - find out whether the device must be notified
 * @_vq: the virtqueue
 *
 * First half of virtqueue_kick(), for drivers that notify outside their lock.
 *
 * Context: any, serialized by the driver.
 * Return: true if virtqueue_notify() has to follow.
 */
bool virtqueue_kick_prepare(struct virtqueue *_vq)
{
	struct vring_virtqueue *vq = to_vring(_vq);

	return vring_layout(vq, kick_prepare, vq);
}
EXPORT_SYMBOL_GPL(virtqueue_kick_prepare);

/**
 * virtqueue_notify - notify the device
 * @_vq: the virtqueue
 *
 * Second half of virtqueue_kick().
 *
 * Context: any, not serialized.
 * Return: false if the queue is broken or the transport failed, which breaks
 * it; otherwise true.
 */
bool virtqueue_notify(struct virtqueue *_vq)
{
	struct vring_virtqueue *vq = to_vring(_vq);

	if (unlikely(READ_ONCE(vq->broken)))
		return false;
	/* Not serialized, so the counter may miss one. */
	data_race(vq->stats.notifications++);
	if (unlikely(!vq->notify(_vq))) {
		WRITE_ONCE(vq->broken, true);
		return false;
	}
	return true;
}
EXPORT_SYMBOL_GPL(virtqueue_notify);

/**
 * virtqueue_kick - tell the device about what was added, if it wants to know
 * @vq: the virtqueue
 *
 * Context: any, serialized by the driver.
 * Return: false if the queue is broken or the transport failed; otherwise true.
 */
bool virtqueue_kick(struct virtqueue *vq)
{
	if (virtqueue_kick_prepare(vq))
		return virtqueue_notify(vq);
	return true;
}
EXPORT_SYMBOL_GPL(virtqueue_kick);

static __always_inline void *virtqueue_reap(struct vring_virtqueue *vq,
					    unsigned int *len, void **ctx)
{
	struct vring_used_buf used;
	struct vring_state *state;
	void *data;
	u16 num;

	if (unlikely(READ_ONCE(vq->broken)))
		return NULL;
	used = vq->in_order ? vring_get_used_in_order(vq) :
			      vring_layout(vq, get_used, vq);
	if (used.id == VRING_NO_ID)
		return NULL;

	state = &vq->ring.state[used.id];
	data = state->data;
	if (unlikely(!data)) {
		vring_break(vq, "used id %u is not in flight", used.id);
		return NULL;
	}
	if (unlikely(used.len > state->in_len)) {
		dev_dbg_ratelimited(&vq->vq.vdev->dev,
				    "%s: used length %u of %u cut down\n",
				    vq->vq.name, used.len, state->in_len);
		used.len = state->in_len;
	}
	*len = used.len;

	if (vq->in_order)
		vq->oldest = vq->ring.segs[state->last].next;
	num = __vring_release(vq, state, used.id, ctx, false);
	vring_layout(vq, put_used, vq, num);
	return data;
}

/**
 * virtqueue_get_buf_ctx - reap a request that the device has used
 * @vq: the virtqueue
 * @len: bytes that the device wrote, never more than there was room for
 * @ctx: context of virtqueue_add_inbuf_ctx(), or NULL
 *
 * A claim to have written more than there was room for is cut down: devices in
 * use make it.  A device that returns what it does not have breaks the queue.
 *
 * Context: any, serialized by the driver.
 * Return: the token, NULL if there is nothing to reap or the queue is broken.
 */
void *virtqueue_get_buf_ctx(struct virtqueue *vq, unsigned int *len, void **ctx)
{
	return virtqueue_reap(to_vring(vq), len, ctx);
}
EXPORT_SYMBOL_GPL(virtqueue_get_buf_ctx);

/**
 * virtqueue_get_buf - reap a request that the device has used
 * @vq: the virtqueue
 * @len: bytes that the device wrote, never more than there was room for
 *
 * Context: as virtqueue_get_buf_ctx().
 * Return: as virtqueue_get_buf_ctx().
 */
void *virtqueue_get_buf(struct virtqueue *vq, unsigned int *len)
{
	return virtqueue_reap(to_vring(vq), len, NULL);
}
EXPORT_SYMBOL_GPL(virtqueue_get_buf);

/**
 * virtqueue_disable_cb - ask the device not to interrupt
 * @_vq: the virtqueue
 *
 * A hint: the callback may run all the same.
 *
 * Context: any, not serialized.
 */
void virtqueue_disable_cb(struct virtqueue *_vq)
{
	struct vring_virtqueue *vq = to_vring(_vq);

	vring_layout(vq, disable_cb, vq);
}
EXPORT_SYMBOL_GPL(virtqueue_disable_cb);

/**
 * virtqueue_enable_cb_prepare - ask for interrupts again
 * @_vq: the virtqueue
 *
 * What was used before may go without an interrupt: look with virtqueue_poll().
 *
 * Context: any, serialized by the driver.
 * Return: the state of the queue, opaque, for virtqueue_poll().
 */
unsigned int virtqueue_enable_cb_prepare(struct virtqueue *_vq)
{
	struct vring_virtqueue *vq = to_vring(_vq);

	WRITE_ONCE(vq->event_triggered, false);
	return vring_layout(vq, enable_cb, vq);
}
EXPORT_SYMBOL_GPL(virtqueue_enable_cb_prepare);

/**
 * virtqueue_poll - has anything been used since callbacks were enabled?
 * @_vq: the virtqueue
 * @last_used_idx: what virtqueue_enable_cb_prepare() returned
 *
 * Context: any, not serialized.
 * Return: true if there is something to reap.
 */
bool virtqueue_poll(struct virtqueue *_vq, unsigned int last_used_idx)
{
	struct vring_virtqueue *vq = to_vring(_vq);

	if (unlikely(READ_ONCE(vq->broken)))
		return false;

	/*
	 * The wish for interrupts before the look at the ring; pairs with the
	 * device's barrier between using a buffer and reading the wish.
	 */
	virtio_mb(vq->weak_barriers);
	return vring_batch_left(vq) ||
	       vring_layout(vq, poll, vq, last_used_idx);
}
EXPORT_SYMBOL_GPL(virtqueue_poll);

/**
 * virtqueue_enable_cb - ask for interrupts again and look at the queue
 * @_vq: the virtqueue
 *
 * Context: any, serialized by the driver.
 * Return: false if there is something to reap, for which no interrupt may come.
 */
bool virtqueue_enable_cb(struct virtqueue *_vq)
{
	return !virtqueue_poll(_vq, virtqueue_enable_cb_prepare(_vq));
}
EXPORT_SYMBOL_GPL(virtqueue_enable_cb);

/**
 * virtqueue_enable_cb_delayed - ask for an interrupt when most is used
 * @_vq: the virtqueue
 *
 * For drivers that do not mind when buffers come back, as in transmission.
 *
 * Context: any, serialized by the driver.
 * Return: false if much has been used already, for which no interrupt may come;
 * true on a broken queue, whose device uses nothing any more.
 */
bool virtqueue_enable_cb_delayed(struct virtqueue *_vq)
{
	struct vring_virtqueue *vq = to_vring(_vq);

	if (unlikely(READ_ONCE(vq->broken)))
		return true;

	WRITE_ONCE(vq->event_triggered, false);
	return vring_layout(vq, enable_cb_delayed, vq) && !vring_batch_left(vq);
}
EXPORT_SYMBOL_GPL(virtqueue_enable_cb_delayed);

/**
 * virtqueue_detach_unused_buf - take back a request that was never used
 * @_vq: a virtqueue that the device does not use any more
 *
 * Works on a broken queue too.
 *
 * Context: any, serialized by the driver.
 * Return: the token, NULL when none is left.
 */
void *virtqueue_detach_unused_buf(struct virtqueue *_vq)
{
	struct vring_virtqueue *vq = to_vring(_vq);
	void *data;
	u32 id;

	for (id = 0; id < vq->ring.num; id++) {
		data = vq->ring.state[id].data;
		if (!data)
			continue;
		vring_release(vq, id, NULL, false);
		vring_layout(vq, withdraw, vq);
		return data;
	}
	WARN_ON_ONCE(vq->vq.num_free != vq->ring.num);
	/* In order the next request follows the last that was used. */
	if (vq->in_order)
		vq->free_head = vq->oldest;
	WRITE_ONCE(vq->in_batch, false);
	return NULL;
}
EXPORT_SYMBOL_GPL(virtqueue_detach_unused_buf);

/**
 * vring_interrupt - handle the interrupt of a virtqueue
 * @irq: not used
 * @_vq: the virtqueue
 *
 * Context: interrupt, not serialized.
 * Return: IRQ_NONE if there is nothing to reap, otherwise IRQ_HANDLED.
 */
irqreturn_t vring_interrupt(int irq, void *_vq)
{
	struct vring_virtqueue *vq = to_vring((struct virtqueue *)_vq);

	/* Pairs with vring_restart_queue() and vring_resume_queue(). */
	if (unlikely(smp_load_acquire(&vq->stopped)))
		return IRQ_HANDLED;

	if (!vring_batch_left(vq) && !vring_layout(vq, more_used, vq))
		return IRQ_NONE;

	if (unlikely(READ_ONCE(vq->broken))) {
		if (!IS_ENABLED(CONFIG_VIRTIO_HARDEN_NOTIFICATION))
			return IRQ_HANDLED;
		dev_warn_once(&vq->vq.vdev->dev,
			      "%s: interrupt before DRIVER_OK\n", vq->vq.name);
		return IRQ_NONE;
	}

	if (vq->event)
		WRITE_ONCE(vq->event_triggered, true);
	if (vq->vq.callback)
		vq->vq.callback(&vq->vq);
	return IRQ_HANDLED;
}
EXPORT_SYMBOL_GPL(vring_interrupt);

/**
 * virtqueue_set_dma_premapped - let the driver map the queue's buffers
 * @_vq: a virtqueue that nothing was added to
 *
 * From now on the driver maps with virtqueue_dma_map_single_attrs() or for
 * virtqueue_dma_dev(), puts the address into the scatterlist's dma_address, and
 * unmaps what it reaps.  Indirect tables stay the ring's business.
 *
 * Context: any, serialized by the driver.
 * Return: 0, -EINVAL if the queue is not empty.
 */
int virtqueue_set_dma_premapped(struct virtqueue *_vq)
{
	struct vring_virtqueue *vq = to_vring(_vq);

	if (_vq->num_free != vq->ring.num)
		return -EINVAL;
	vq->premapped = true;
	return 0;
}
EXPORT_SYMBOL_GPL(virtqueue_set_dma_premapped);

/**
 * vring_notification_data - what to notify a device with that wants data
 * @_vq: the virtqueue
 *
 * VIRTIO_F_NOTIFICATION_DATA, virtio 1.2 section 2.9.
 *
 * Return: index of the queue in the low half, position in the high half.
 */
u32 vring_notification_data(struct virtqueue *_vq)
{
	struct vring_virtqueue *vq = to_vring(_vq);
	u32 next = vring_layout(vq, next, vq);

	return next << 16 | _vq->index;
}
EXPORT_SYMBOL_GPL(vring_notification_data);

/**
 * vring_transport_features - drop transport features that the ring has not got
 * @vdev: the virtio device; its feature bits are changed
 *
 * Bits 28 to 41 are about rings and transports, virtio 1.2 section 6.  A
 * transport sets those of its own after this.
 */
void vring_transport_features(struct virtio_device *vdev)
{
	const u64 known = BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |
			  BIT_ULL(VIRTIO_RING_F_EVENT_IDX) |
			  BIT_ULL(VIRTIO_F_VERSION_1) |
			  BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) |
			  BIT_ULL(VIRTIO_F_RING_PACKED) |
			  BIT_ULL(VIRTIO_F_IN_ORDER) |
			  BIT_ULL(VIRTIO_F_ORDER_PLATFORM) |
			  BIT_ULL(VIRTIO_F_NOTIFICATION_DATA);
	const u64 transport = GENMASK_ULL(VIRTIO_TRANSPORT_F_END - 1,
					  VIRTIO_TRANSPORT_F_START);

	vdev->features &= ~transport | known;
}
EXPORT_SYMBOL_GPL(vring_transport_features);

/**
 * virtqueue_get_vring_size - number of descriptors of a virtqueue
 * @_vq: the virtqueue
 *
 * Context: any, not serialized.
 * Return: the number.
 */
unsigned int virtqueue_get_vring_size(const struct virtqueue *_vq)
{
	return to_vring(_vq)->ring.num;
}
EXPORT_SYMBOL_GPL(virtqueue_get_vring_size);

/**
 * __virtqueue_break - take a queue out of use
 * @_vq: the virtqueue
 *
 * For the virtio core and transports, not for drivers.  Context: any.
 */
void __virtqueue_break(struct virtqueue *_vq)
{
	/* Pairs with READ_ONCE() in virtqueue_is_broken(). */
	WRITE_ONCE(to_vring(_vq)->broken, true);
}
EXPORT_SYMBOL_GPL(__virtqueue_break);

/**
 * __virtqueue_unbreak - take a queue into use again
 * @_vq: the virtqueue
 *
 * For the virtio core and transports, not for drivers.  Context: any.
 */
void __virtqueue_unbreak(struct virtqueue *_vq)
{
	/* Pairs with READ_ONCE() in virtqueue_is_broken(). */
	WRITE_ONCE(to_vring(_vq)->broken, false);
}
EXPORT_SYMBOL_GPL(__virtqueue_unbreak);

/**
 * virtqueue_is_broken - is a queue out of use?
 * @_vq: the virtqueue
 *
 * Context: any, not serialized.
 * Return: true if so.
 */
bool virtqueue_is_broken(const struct virtqueue *_vq)
{
	return READ_ONCE(to_vring(_vq)->broken);
}
EXPORT_SYMBOL_GPL(virtqueue_is_broken);

static void vring_set_broken(struct virtio_device *vdev, bool broken)
{
	struct virtqueue *vq;

	spin_lock(&vdev->vqs_list_lock);
	/* Pairs with READ_ONCE() in virtqueue_is_broken(). */
	list_for_each_entry(vq, &vdev->vqs, list)
		WRITE_ONCE(to_vring(vq)->broken, broken);
	spin_unlock(&vdev->vqs_list_lock);
}

/**
 * virtio_break_device - take all queues of a device out of use
 * @dev: the virtio device
 *
 * For a device that is gone.  What runs already is not waited for.
 */
void virtio_break_device(struct virtio_device *dev)
{
	vring_set_broken(dev, true);
}
EXPORT_SYMBOL_GPL(virtio_break_device);

/**
 * __virtio_unbreak_device - take all queues of a device into use
 * @dev: the virtio device, on probe or restore
 *
 * For the virtio core, not for drivers.
 */
void __virtio_unbreak_device(struct virtio_device *dev)
{
	vring_set_broken(dev, false);
}
EXPORT_SYMBOL_GPL(__virtio_unbreak_device);

/* A ring that the caller owns has addresses that only the caller knows. */
static dma_addr_t vring_addr(const struct virtqueue *_vq, bool avail, bool used)
{
	const struct vring_virtqueue *vq = to_vring(_vq);

	if (WARN_ON_ONCE(!vq->own_ring))
		return DMA_MAPPING_ERROR;
	return vq->ring.addr + (avail ? vq->ring.avail_off : 0) +
	       (used ? vq->ring.used_off : 0);
}

/**
 * virtqueue_get_desc_addr - DMA address of the descriptor area
 * @_vq: a virtqueue whose ring was not given by the caller
 *
 * Return: the address.
 */
dma_addr_t virtqueue_get_desc_addr(const struct virtqueue *_vq)
{
	return vring_addr(_vq, false, false);
}
EXPORT_SYMBOL_GPL(virtqueue_get_desc_addr);

/**
 * virtqueue_get_avail_addr - DMA address of the driver area
 * @_vq: a virtqueue whose ring was not given by the caller
 *
 * Return: the address.
 */
dma_addr_t virtqueue_get_avail_addr(const struct virtqueue *_vq)
{
	return vring_addr(_vq, true, false);
}
EXPORT_SYMBOL_GPL(virtqueue_get_avail_addr);

/**
 * virtqueue_get_used_addr - DMA address of the device area
 * @_vq: a virtqueue whose ring was not given by the caller
 *
 * Return: the address.
 */
dma_addr_t virtqueue_get_used_addr(const struct virtqueue *_vq)
{
	return vring_addr(_vq, false, true);
}
EXPORT_SYMBOL_GPL(virtqueue_get_used_addr);

/**
 * virtqueue_get_vring - the split layout's memory
 * @vq: a virtqueue of the split layout
 *
 * Return: the ring, valid until the queue is resized or deleted.
 */
const struct vring *virtqueue_get_vring(const struct virtqueue *vq)
{
	return &to_vring(vq)->ring.split.vring;
}
EXPORT_SYMBOL_GPL(virtqueue_get_vring);

MODULE_DESCRIPTION("Virtio rings");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core of virtio_ring: adding and reaping requests, the free list, and the
 * requests in flight.  split.c and packed.c have the layouts, dma.c maps,
 * event.c has notifications and interrupts, and queue.c has the life of a
 * queue.
 */
#include <linux/align.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/export.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "ring.h"

#include <trace/events/virtio_ring.h>

static struct vring_indirect *vring_alloc_indirect(u32 descs, u32 segs, gfp_t gfp)
{
	struct vring_indirect *ind;
	size_t head, len;

	/* The table is addressed through the linear mapping. */
	gfp &= ~__GFP_HIGHMEM;

	/* Virtio 1.2 section 2.7.5.3 wants no alignment; rings have 16. */
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
				struct vring_indirect *ind, u32 len)
{
	vring_dma_unmap_table(vq, ind);
	vring_dma_unmap(vq, ind->segs, 0, ind->num, !len);
	kfree(ind);
}

static __always_inline void vring_write_segs(const struct vring_virtqueue *vq,
					     bool packed, void *table,
					     const struct vring_seg *segs,
					     u32 num)
{
	u32 i;

	for (i = 0; i < num; i++)
		vring_write_entry(vq, packed, table, i, num, segs[i].addr,
				  segs[i].len, segs[i].flags & VRING_SEG_WRITE);
}

static void vring_fill_table(const struct vring_virtqueue *vq, void *table,
			     const struct vring_seg *segs, u32 num)
{
	if (vq->packed)
		vring_write_segs(vq, true, table, segs, num);
	else
		vring_write_segs(vq, false, table, segs, num);
}

/*
 * Map a request into an indirect table of its own.  Returns NULL if that fails:
 * there is no memory for a table (*err is 0), or something cannot be mapped.
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

	vring_fill_table(vq, ind->table, ind->segs, req->num);
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
 * Put a mapped request into an indirect table: in a cell, in the pool, or in an
 * allocation of its own.  Without memory for a table, the request gets none.
 */
static struct vring_indirect *vring_add_table(struct vring_virtqueue *vq,
					      struct vring_request *req,
					      gfp_t gfp)
{
	struct vring_indirect *ind;
	void *table;

	table = vring_cell_table(vq, req);
	if (likely(table)) {
		vring_fill_table(vq, table, req->segs, req->num);
		if (!(req->undo & VRING_UNDO_POOL))
			vring_dma_give_cell(vq, req->table, req->table_len,
					    false);
		return NULL;
	}

	ind = vring_alloc_indirect(req->num, 0, gfp);
	if (unlikely(!ind))
		return NULL;
	vring_fill_table(vq, ind->table, req->segs, req->num);
	if (unlikely(vring_dma_map_table(vq, ind))) {
		kfree(ind);
		return NULL;
	}
	req->table = ind->addr;
	req->table_len = ind->len;
	req->undo |= VRING_UNDO_INDIRECT;
	return ind;
}

/*
 * Write an indirect table from the scatterlists in one pass, for a device that
 * takes physical addresses.  Returns 0; -EINVAL as virtqueue_add_sgs(); -EAGAIN
 * if there is no memory for a table.
 */
static int vring_add_phys(struct vring_virtqueue *vq, struct vring_request *req,
			  struct scatterlist *sgs[], unsigned int out_sgs,
			  unsigned int in_sgs, gfp_t gfp,
			  struct vring_indirect **pind)
{
	struct vring_indirect *ind = NULL;
	void *table;
	int err;

	table = vring_cell_table(vq, req);
	if (!table) {
		ind = vring_alloc_indirect(req->num, 0, gfp);
		if (unlikely(!ind))
			return -EAGAIN;
		table = ind->table;
	}

	err = vring_dma_write_table(vq, req, sgs, out_sgs, in_sgs, table);
	if (unlikely(err)) {
		kfree(ind);
		return err;
	}
	/* For such a device nothing has to be synchronized, not even a cell. */
	if (!ind)
		return 0;
	vring_dma_map_table(vq, ind);
	req->table = ind->addr;
	req->table_len = ind->len;
	req->undo = VRING_UNDO_INDIRECT;
	*pind = ind;
	return 0;
}

/* No room.  The device is notified here since 2007, as it may have been slow. */
static int vring_no_space(struct vring_virtqueue *vq, unsigned int out_sgs)
{
	if (out_sgs && !vq->packed)
		vq->notify(&vq->vq);
	return -ENOSPC;
}

/* @len is as in vring_release(). */
static void vring_undo(struct vring_virtqueue *vq, u16 id, u8 undo,
		       struct vring_indirect *ind, u32 num, u32 len)
{
	if (undo & VRING_UNDO_COPY)
		vring_cell_copy_back(vq, id, len);
	if (undo & VRING_UNDO_XFER)
		vring_cell_unmap(vq, id, len);
	if (undo & VRING_UNDO_POOL)
		vring_pool_unmap(vq, id, len);
	if (undo & VRING_UNDO_INDIRECT)
		vring_free_indirect(vq, ind, len);
	if (undo & VRING_UNDO_SEGS)
		vring_dma_unmap(vq, vq->ring.segs, id, num, !len);
}

/* A request is mapped: record it, and take its ids off the free list. */
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
	/* Kick before the count wraps, if the driver rarely does. */
	if (unlikely(vq->num_added >= U16_MAX - VRING_MAX_NUM))
		virtqueue_kick(&vq->vq);
}

static int virtqueue_add(struct vring_virtqueue *vq, struct scatterlist *sgs[],
			 unsigned int total_sg, unsigned int out_sgs,
			 unsigned int in_sgs, bool premapped, void *data,
			 void *ctx, gfp_t gfp)
{
	struct vring_request req = {
		.id = vq->free_head,
		.num = total_sg,
		.premapped = premapped,
	};
	bool tables = vq->indirect && total_sg > 1;
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

	if (tables && vq->mapping == VRING_MAP_PHYS && !premapped) {
		err = vring_add_phys(vq, &req, sgs, out_sgs, in_sgs, gfp, &ind);
		if (likely(err != -EAGAIN))
			goto mapped;
		/* There is no memory for a table: use the ring's descriptors. */
		tables = false;
	}
	if (vq->mapping == VRING_MAP_SEGS ||
	    (unlikely(total_sg > vq->scratch_num) &&
	     !vring_dma_grow_scratch(vq, total_sg, gfp)))
		err = -EAGAIN;
	else if (vq->mapping == VRING_MAP_CELLS)
		err = vring_cell_map(vq, &req, sgs, out_sgs, in_sgs, gfp);
	else if (vq->mapping == VRING_MAP_POOL)
		err = vring_pool_map(vq, &req, sgs, out_sgs, in_sgs, gfp);
	else
		err = vring_dma_map_only(vq, &req, sgs, out_sgs, in_sgs);

	if (likely(!err)) {
		if (tables && req.num > 1)
			ind = vring_add_table(vq, &req, gfp);
	} else if (err == -EAGAIN) {
		err = 0;
		if (tables)
			ind = vring_prepare_indirect(vq, &req, sgs, out_sgs,
						     in_sgs, gfp, &err);
	}
mapped:
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
			/* The device has never had the buffers. */
			vring_undo(vq, req.id, req.undo, ind, 0, 0);
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
 * virtqueue_add() for a single segment, which network drivers and many others
 * add.  There is nothing to gather.  @in, @premapped and @ctx are usually
 * constants.
 */
static __always_inline int virtqueue_add_single(struct vring_virtqueue *vq,
						struct scatterlist *sg, bool in,
						bool premapped, void *data,
						void *ctx, gfp_t gfp)
{
	u16 id = vq->free_head;
	dma_addr_t addr;
	u32 len, in_len;
	u8 undo = 0;

	if (unlikely(READ_ONCE(vq->broken)))
		return -EIO;
	if (WARN_ON_ONCE(!data || (ctx && vq->indirect)))
		return -EINVAL;
	if (unlikely(!vq->vq.num_free))
		return vring_no_space(vq, !in);

	len = sg->length;
	if (premapped) {
		addr = vring_premapped(sg, &len);
	} else if (vq->mapping < VRING_MAP_CELLS) {
		addr = vring_dma_map_single(vq, sg, in);
		if (unlikely(addr == DMA_MAPPING_ERROR))
			return -ENOMEM;
		if (unlikely(vq->mapping == VRING_MAP_SEGS))
			undo = vring_dma_keep_single(vq, id, addr, sg->length,
						     in);
	} else if (vq->mapping == VRING_MAP_CELLS) {
		addr = vring_cell_map_single(vq, id, sg, in, &undo);
		if (unlikely(addr == DMA_MAPPING_ERROR))
			return -ENOMEM;
	} else {
		addr = vring_pool_map_single(vq, id, sg, in, gfp, &undo);
		/* The pool has no room.  Mapping one segment needs no allocation. */
		if (unlikely(addr == DMA_MAPPING_ERROR))
			return virtqueue_add(vq, &sg, 1, !in, in, false, data,
					     ctx, GFP_ATOMIC);
	}

	in_len = in ? len : 0;
	vring_remember(vq, id, data, ctx, in_len, 1, id, 1, undo);
	trace_virtio_ring_map(&vq->vq, 1, in_len, false);
	vring_layout(vq, publish_one, vq, id, addr, len,
		     in ? VRING_DESC_F_WRITE : 0);
	vring_added(vq, 1, 1, false);
	return 0;
}

/**
 * vring_add_premapped - add a list of one direction that the driver mapped
 * @vq: the virtqueue
 * @sg: terminated scatterlist, with DMA addresses
 * @num: number of entries in @sg
 * @in: the device writes them
 * @data: token that virtqueue_get_buf() returns, not NULL
 * @ctx: context, on a queue with contexts
 * @gfp: how to allocate an indirect table
 *
 * The ring still maps its indirect tables itself.
 *
 * Context: as virtqueue_add_sgs().
 * Return: as virtqueue_add_sgs().
 */
int vring_add_premapped(struct vring_virtqueue *vq, struct scatterlist *sg,
			unsigned int num, bool in, void *data, void *ctx,
			gfp_t gfp)
{
	if (num == 1)
		return virtqueue_add_single(vq, sg, in, true, data, ctx, gfp);
	return virtqueue_add(vq, &sg, num, !in, in, true, data, ctx, gfp);
}

/* Add a list of one direction. */
static __always_inline int virtqueue_add_list(struct virtqueue *_vq,
					      struct scatterlist *sg,
					      unsigned int num, bool in,
					      void *data, void *ctx, gfp_t gfp)
{
	struct vring_virtqueue *vq = to_vring(_vq);

	if (unlikely(vq->premapped))
		return vring_add_premapped(vq, sg, num, in, data, ctx, gfp);
	if (num == 1 && vq->mapping != VRING_MAP_SEGS)
		return virtqueue_add_single(vq, sg, in, false, data, ctx, gfp);
	return virtqueue_add(vq, &sg, num, !in, in, false, data, ctx, gfp);
}

/*
 * Returns the number of descriptors that are free again.  @len is as in
 * vring_release(), or the used length of what the device has @used.
 */
static __always_inline u16 __vring_release(struct vring_virtqueue *vq,
					   struct vring_state *state, u16 id,
					   void **ctx, u32 len, bool used)
{
	u16 num = state->num;

	trace_virtio_ring_unmap(&vq->vq, state->segs);
	if (state->undo)
		vring_undo(vq, id, state->undo, state->indirect, state->segs,
			   used && !vq->used_only ? VRING_ALL : len);
	if (ctx && !vq->indirect)
		*ctx = state->ctx;

	state->data = NULL;
	vq->vq.num_free += num;
	/* In order, requests are freed in the order of the links: these stay. */
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
 * @len: number of bytes of the device's data that are needed at least, up to
 *	VRING_ALL; 0: do not touch the buffers
 *
 * Unmaps the request and puts its ids on the free list.
 */
void vring_release(struct vring_virtqueue *vq, u16 id, void **ctx, u32 len)
{
	__vring_release(vq, &vq->ring.state[id], id, ctx, len, false);
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

/**
 * virtqueue_add_sgs - add a request of device-readable and -writable buffers
 * @_vq: the virtqueue
 * @sgs: terminated scatterlists, the device-readable ones first
 * @out_sgs: number of device-readable scatterlists
 * @in_sgs: number of device-writable scatterlists
 * @data: token that virtqueue_get_buf() returns, not NULL
 * @gfp: how to allocate an indirect table
 *
 * The scatterlists may be reused at once.  The buffers belong to the device
 * until virtqueue_get_buf() or virtqueue_detach_unused_buf() returns @data.
 * virtio 1.2 section 2.6.
 *
 * Context: any that @gfp allows; serialized by the driver with all other calls
 * on the queue except those that say otherwise.
 * Return: 0, or with the queue as it was: -ENOSPC if there is no room until
 * something is reaped; -ENOMEM if memory or mappings are short; -EIO if the
 * queue is broken, or if every buffer is bounced and the request is larger than
 * swiotlb; -EINVAL if the request is malformed or can never fit.
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
			     to_vring(_vq)->premapped, data, NULL, gfp);
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
 * @gfp: how to make room for a copy, if buffers are copied
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
	num = __vring_release(vq, state, used.id, ctx, used.len, true);
	vring_layout(vq, put_used, vq, num);
	return data;
}

/**
 * virtqueue_get_buf_ctx - reap a request that the device has used
 * @vq: the virtqueue
 * @len: bytes that the device wrote, never more than there was room for
 * @ctx: context of virtqueue_add_inbuf_ctx(), or NULL
 *
 * If the device reports more bytes than there was room for, @len is limited to
 * that room, since existing devices do so.  A device that returns a request
 * that it does not have breaks the queue.
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
		vring_release(vq, id, NULL, vq->used_only ? 0 : VRING_ALL);
		vring_layout(vq, withdraw, vq);
		return data;
	}
	WARN_ON_ONCE(vq->vq.num_free != vq->ring.num);
	/* In order, the next request follows the last one that was used. */
	if (vq->in_order)
		vq->free_head = vq->oldest;
	WRITE_ONCE(vq->in_batch, false);
	return NULL;
}
EXPORT_SYMBOL_GPL(virtqueue_detach_unused_buf);

/**
 * virtqueue_set_used_only - say that a queue is read up to the used length
 * @_vq: the virtqueue
 *
 * For a driver that reads no byte beyond the length that virtqueue_get_buf()
 * reports.  If buffers are copied, only that length is then copied.  If a
 * device reports more than it wrote, the driver sees data of other requests of
 * the same queue, or the previous content of the buffer.
 *
 * Context: any, serialized by the driver.  Holds until the queue is deleted.
 */
void virtqueue_set_used_only(struct virtqueue *_vq)
{
	to_vring(_vq)->used_only = true;
}
EXPORT_SYMBOL_GPL(virtqueue_set_used_only);

MODULE_DESCRIPTION("Virtio rings");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core of virtio_ring: what drivers and transports call, the life of a
 * virtqueue, its free list and the requests in flight.  How a request looks to
 * the device is split.c's and packed.c's business, where it is mapped dma.c's.
 */
#include <linux/align.h>
#include <linux/device.h>
#include <linux/export.h>
#include <linux/interrupt.h>
#include <linux/irqflags.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "ring.h"

/* Calls the function of the queue's layout: a branch, not a pointer. */
#define vring_layout(vq, func, ...)					\
	((vq)->packed ? vring_packed_##func(__VA_ARGS__) :		\
			vring_split_##func(__VA_ARGS__))

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

static struct vring_indirect *vring_alloc_indirect(u32 num, gfp_t gfp)
{
	struct vring_indirect *ind;
	size_t segs, len;

	/* The table is addressed through the linear mapping. */
	gfp &= ~__GFP_HIGHMEM;

	/* Virtio 1.2 section 2.7.5.3 wants no alignment; 16 is what rings have. */
	segs = ALIGN(struct_size(ind, segs, num), sizeof(struct vring_desc));
	len = array_size(num, sizeof(struct vring_desc));
	ind = kmalloc(size_add(segs, len), gfp);
	if (!ind)
		return NULL;
	ind->num = num;
	ind->len = len;
	ind->table = (void *)ind + segs;
	return ind;
}

static void vring_free_indirect(struct vring_virtqueue *vq,
				struct vring_indirect *ind, bool discard)
{
	vring_dma_unmap_table(vq, ind);
	vring_dma_unmap(vq, ind->segs, 0, ind->num, discard);
	kfree(ind);
}

/* Map a request into an indirect table; NULL if it has to go without one. */
static struct vring_indirect *
vring_prepare_indirect(struct vring_virtqueue *vq, struct vring_request *req,
		       struct scatterlist *sgs[], unsigned int out_sgs,
		       unsigned int in_sgs, gfp_t gfp, int *err)
{
	struct vring_indirect *ind = vring_alloc_indirect(req->num, gfp);

	if (unlikely(!ind))
		return NULL;

	req->segs = ind->segs;
	req->first = 0;
	*err = vring_dma_map(vq, req, sgs, out_sgs, in_sgs);
	if (unlikely(*err))
		goto err_free;

	vring_layout(vq, fill_table, vq, ind);
	*err = vring_dma_map_table(vq, ind);
	if (unlikely(*err))
		goto err_unmap;
	return ind;

err_unmap:
	vring_dma_unmap(vq, ind->segs, 0, ind->num, false);
err_free:
	kfree(ind);
	return NULL;
}

/* No room.  Devices that are slow to look have been prodded here since 2007. */
static int vring_no_space(struct vring_virtqueue *vq, unsigned int out_sgs)
{
	if (out_sgs && !vq->packed)
		vq->notify(&vq->vq);
	return -ENOSPC;
}

static int virtqueue_add(struct vring_virtqueue *vq, struct scatterlist *sgs[],
			 unsigned int total_sg, unsigned int out_sgs,
			 unsigned int in_sgs, void *data, void *ctx, gfp_t gfp)
{
	struct vring_request req = { .num = total_sg };
	struct vring_indirect *ind = NULL;
	u16 id = vq->free_head, used, last;
	struct vring_state *state;
	int err = 0;

	if (unlikely(READ_ONCE(vq->broken)))
		return -EIO;
	if (WARN_ON_ONCE(!data || !total_sg || total_sg > VRING_MAX_NUM ||
			 (ctx && vq->indirect)))
		return -EINVAL;
	if (unlikely(!vq->vq.num_free))
		return vring_no_space(vq, out_sgs);

	if (vq->indirect && total_sg > 1) {
		ind = vring_prepare_indirect(vq, &req, sgs, out_sgs, in_sgs,
					     gfp, &err);
		if (unlikely(err))
			return err;
	}

	if (ind) {
		used = 1;
		last = id;
	} else {
		if (unlikely(total_sg > vq->ring.num))
			return vq->indirect ? -ENOMEM : -EINVAL;
		if (unlikely(total_sg > vq->vq.num_free))
			return vring_no_space(vq, out_sgs);
		req.segs = vq->ring.segs;
		req.first = id;
		err = vring_dma_map(vq, &req, sgs, out_sgs, in_sgs);
		if (unlikely(err))
			return err;
		used = total_sg;
		last = req.last;
	}

	state = &vq->ring.state[id];
	state->data = data;
	if (vq->indirect)
		state->indirect = ind;
	else
		state->ctx = ctx;
	state->in_len = req.in_len;
	state->num = used;
	state->last = last;
	vq->free_head = vq->ring.segs[last].next;
	vq->vq.num_free -= used;

	vring_layout(vq, publish, vq, id, &req, ind);

	vq->stats.requests++;
	vq->stats.descriptors += ind ? total_sg + 1 : total_sg;
	vq->stats.indirect_tables += !!ind;

	vq->num_added += vq->packed ? used : 1;
	/* The count must not wrap before a driver that rarely kicks does. */
	if (unlikely(vq->num_added >= U16_MAX - VRING_MAX_NUM))
		virtqueue_kick(&vq->vq);
	return 0;
}

/* Take a request out of the ring: unmap it and put its ids on the free list. */
static void vring_release(struct vring_virtqueue *vq, u16 id, void **ctx,
			  bool discard)
{
	struct vring_state *state = &vq->ring.state[id];

	if (vq->indirect && state->indirect) {
		vring_free_indirect(vq, state->indirect, discard);
	} else {
		vring_dma_unmap(vq, vq->ring.segs, id, state->num, discard);
		if (ctx && !vq->indirect)
			*ctx = state->ctx;
	}

	state->data = NULL;
	state->ctx = NULL;
	vq->ring.segs[state->last].next = vq->free_head;
	vq->free_head = id;
	vq->vq.num_free += state->num;
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
		for (sg = sgs[i]; sg; sg = sg_next(sg))
			total_sg++;

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
	return virtqueue_add(to_vring(vq), &sg, num, 1, 0, data, NULL, gfp);
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
	return virtqueue_add(to_vring(vq), &sg, num, 0, 1, data, NULL, gfp);
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
	return virtqueue_add(to_vring(vq), &sg, num, 0, 1, data, ctx, gfp);
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

/**
 * virtqueue_get_buf_ctx - reap a request that the device has used
 * @_vq: the virtqueue
 * @len: bytes that the device wrote, never more than there was room for
 * @ctx: context of virtqueue_add_inbuf_ctx(), or NULL
 *
 * A claim to have written more than there was room for is cut down: devices in
 * use make it.  A device that returns what it does not have breaks the queue.
 *
 * Context: any, serialized by the driver.
 * Return: the token, NULL if there is nothing to reap or the queue is broken.
 */
void *virtqueue_get_buf_ctx(struct virtqueue *_vq, unsigned int *len,
			    void **ctx)
{
	struct vring_virtqueue *vq = to_vring(_vq);
	struct vring_state *state;
	u32 id, written;
	void *data;
	u16 num;

	if (unlikely(READ_ONCE(vq->broken)))
		return NULL;
	if (!vring_layout(vq, get_used, vq, &id, &written))
		return NULL;

	state = &vq->ring.state[id];
	data = state->data;
	num = state->num;
	if (unlikely(!data)) {
		vring_break(vq, "used id %u is not in flight", id);
		return NULL;
	}
	if (unlikely(written > state->in_len)) {
		dev_dbg_ratelimited(&_vq->vdev->dev,
				    "%s: used length %u of %u cut down\n",
				    _vq->name, written, state->in_len);
		written = state->in_len;
	}
	*len = written;

	vring_release(vq, id, ctx, false);
	vring_layout(vq, put_used, vq, num);
	return data;
}
EXPORT_SYMBOL_GPL(virtqueue_get_buf_ctx);

/**
 * virtqueue_get_buf - reap a request that the device has used
 * @_vq: the virtqueue
 * @len: bytes that the device wrote, never more than there was room for
 *
 * Context: as virtqueue_get_buf_ctx().
 * Return: as virtqueue_get_buf_ctx().
 */
void *virtqueue_get_buf(struct virtqueue *_vq, unsigned int *len)
{
	return virtqueue_get_buf_ctx(_vq, len, NULL);
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
	return vring_layout(vq, poll, vq, last_used_idx);
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
	return vring_layout(vq, enable_cb_delayed, vq);
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

	if (!vring_layout(vq, more_used, vq))
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

static int vring_alloc_state(struct vring_ring *ring)
{
	ring->state = kvcalloc(ring->num, sizeof(*ring->state), GFP_KERNEL);
	ring->segs = kvcalloc(ring->num, sizeof(*ring->segs), GFP_KERNEL);
	if (ring->state && ring->segs)
		return 0;

	kvfree(ring->segs);
	kvfree(ring->state);
	return -ENOMEM;
}

static void vring_free_ring(struct vring_virtqueue *vq, struct vring_ring *ring)
{
	if (vq->own_ring)
		vring_dma_free(vq->dma_dev, ring->size, ring->mem, ring->addr);
	kvfree(ring->segs);
	kvfree(ring->state);
}

static int vring_alloc_mem(struct vring_virtqueue *vq, struct vring_ring *ring,
			   u32 num)
{
	for (; num; num /= 2) {
		ring->num = num;
		ring->size = vring_layout(vq, size, num, vq->align);
		ring->mem = vring_dma_alloc(vq->dma_dev, ring->size,
					    &ring->addr,
					    GFP_KERNEL | __GFP_NOWARN);
		if (ring->mem)
			return 0;
		if (!vq->may_reduce)
			break;
	}
	return -ENOMEM;
}

static int vring_alloc_ring(struct vring_virtqueue *vq, struct vring_ring *ring,
			    u32 num)
{
	int err;

	err = vring_alloc_mem(vq, ring, num);
	if (err)
		return err;
	err = vring_alloc_state(ring);
	if (err)
		vring_dma_free(vq->dma_dev, ring->size, ring->mem, ring->addr);
	return err;
}

/* Is this a length that the layout can have? */
static bool vring_num_valid(const struct vring_virtqueue *vq, u32 num)
{
	return num && num <= VRING_MAX_NUM && (vq->packed || is_power_of_2(num));
}

/*
 * Put the queue into its initial state, all descriptors free; the ring memory
 * has been zeroed by whoever allocated it, or by virtqueue_reset().
 */
static void vring_init_queue(struct vring_virtqueue *vq)
{
	struct vring_ring *ring = &vq->ring;
	u32 i;

	for (i = 0; i < ring->num; i++)
		ring->segs[i].next = i + 1;
	vq->free_head = 0;
	vq->num_added = 0;
	vq->event_triggered = false;
	vq->vq.num_free = ring->num;
	vring_layout(vq, reset, vq, ring);
}

static struct vring_virtqueue *
vring_alloc_queue(unsigned int index, unsigned int align,
		  struct virtio_device *vdev, bool weak_barriers, bool ctx,
		  bool (*notify)(struct virtqueue *vq),
		  void (*callback)(struct virtqueue *vq), const char *name,
		  struct device *transport_dev)
{
	struct vring_virtqueue *vq = kzalloc(sizeof(*vq), GFP_KERNEL);

	if (!vq)
		return NULL;

	vq->vq.callback = callback;
	vq->vq.vdev = vdev;
	vq->vq.name = name;
	vq->vq.index = index;
	vq->notify = notify;
	vq->align = align;
	vq->packed = virtio_has_feature(vdev, VIRTIO_F_RING_PACKED);
	vq->event = virtio_has_feature(vdev, VIRTIO_RING_F_EVENT_IDX);
	/* A context takes the place of the table in the state of a request. */
	vq->indirect = !ctx &&
		       virtio_has_feature(vdev, VIRTIO_RING_F_INDIRECT_DESC);
	vq->weak_barriers = weak_barriers &&
			    !virtio_has_feature(vdev, VIRTIO_F_ORDER_PLATFORM);
	/* Until the device is ready nothing is to come from it. */
	vq->broken = IS_ENABLED(CONFIG_VIRTIO_HARDEN_NOTIFICATION);
	vq->dma_dev = vring_dma_device(vdev, transport_dev);
	vq->bounce = vring_dma_forced_bounce(vq->dma_dev);
	return vq;
}

static struct virtqueue *vring_register_queue(struct vring_virtqueue *vq)
{
	struct virtio_device *vdev = vq->vq.vdev;

	vring_init_queue(vq);
	spin_lock(&vdev->vqs_list_lock);
	list_add_tail(&vq->vq.list, &vdev->vqs);
	spin_unlock(&vdev->vqs_list_lock);
	return &vq->vq;
}

/**
 * vring_create_virtqueue_dma - create a virtqueue with a DMA device of its own
 * @index: index of the queue, from 0
 * @num: number of descriptors, for the split layout a power of two
 * @vring_align: alignment of the split layout's used ring in bytes
 * @vdev: the virtio device, features negotiated
 * @weak_barriers: the device is a CPU of this machine
 * @may_reduce_num: fewer descriptors will do if memory is short
 * @ctx: the driver uses contexts, see virtqueue_add_inbuf_ctx()
 * @notify: doorbell; returns false if the device is gone
 * @callback: called by vring_interrupt(), or NULL
 * @name: for messages; must live as long as the queue
 * @dma_dev: what the transport does this queue's DMA with; not used if the
 *	device lacks VIRTIO_F_ACCESS_PLATFORM
 *
 * Context: may sleep.
 * Return: the virtqueue, NULL if memory is short or @num impossible.
 */
struct virtqueue *vring_create_virtqueue_dma(unsigned int index,
					     unsigned int num,
					     unsigned int vring_align,
					     struct virtio_device *vdev,
					     bool weak_barriers,
					     bool may_reduce_num, bool ctx,
					     bool (*notify)(struct virtqueue *vq),
					     void (*callback)(struct virtqueue *vq),
					     const char *name,
					     struct device *dma_dev)
{
	struct vring_virtqueue *vq;

	vq = vring_alloc_queue(index, vring_align, vdev, weak_barriers, ctx,
			       notify, callback, name, dma_dev);
	if (!vq)
		return NULL;
	if (!vring_num_valid(vq, num)) {
		dev_warn(&vdev->dev, "%s: %u is no length for a queue\n", name,
			 num);
		goto err_free;
	}

	vq->own_ring = true;
	vq->may_reduce = may_reduce_num;
	if (vring_alloc_ring(vq, &vq->ring, num))
		goto err_free;
	vring_layout(vq, place, &vq->ring, vq->align);
	return vring_register_queue(vq);

err_free:
	kfree(vq);
	return NULL;
}
EXPORT_SYMBOL_GPL(vring_create_virtqueue_dma);

/**
 * vring_create_virtqueue - create a virtqueue
 * @index: index of the queue, from 0
 * @num: number of descriptors, for the split layout a power of two
 * @vring_align: alignment of the split layout's used ring in bytes
 * @vdev: the virtio device, features negotiated
 * @weak_barriers: the device is a CPU of this machine
 * @may_reduce_num: fewer descriptors will do if memory is short
 * @ctx: the driver uses contexts, see virtqueue_add_inbuf_ctx()
 * @notify: doorbell; returns false if the device is gone
 * @callback: called by vring_interrupt(), or NULL
 * @name: for messages; must live as long as the queue
 *
 * vring_create_virtqueue_dma() with the virtio device's parent.
 *
 * Context: may sleep.
 * Return: the virtqueue, NULL if memory is short or @num impossible.
 */
struct virtqueue *vring_create_virtqueue(unsigned int index, unsigned int num,
					 unsigned int vring_align,
					 struct virtio_device *vdev,
					 bool weak_barriers,
					 bool may_reduce_num, bool ctx,
					 bool (*notify)(struct virtqueue *vq),
					 void (*callback)(struct virtqueue *vq),
					 const char *name)
{
	return vring_create_virtqueue_dma(index, num, vring_align, vdev,
					  weak_barriers, may_reduce_num, ctx,
					  notify, callback, name,
					  vdev->dev.parent);
}
EXPORT_SYMBOL_GPL(vring_create_virtqueue);

/**
 * vring_new_virtqueue - create a split virtqueue on memory of the caller
 * @index: index of the queue, from 0
 * @num: number of descriptors, a power of two
 * @vring_align: alignment of the used ring in bytes
 * @vdev: the virtio device, features negotiated
 * @weak_barriers: the device is a CPU of this machine
 * @ctx: the driver uses contexts, see virtqueue_add_inbuf_ctx()
 * @pages: zeroed memory that the device knows, vring_size() bytes, which has to
 *	live as long as the queue
 * @notify: doorbell; returns false if the device is gone
 * @callback: called by vring_interrupt(), or NULL
 * @name: for messages; must live as long as the queue
 *
 * Such a queue cannot be resized or reset, and has no DMA addresses to ask for.
 *
 * Context: may sleep.
 * Return: the virtqueue, NULL if memory is short, @num impossible or the packed
 * layout was negotiated.
 */
struct virtqueue *vring_new_virtqueue(unsigned int index, unsigned int num,
				      unsigned int vring_align,
				      struct virtio_device *vdev,
				      bool weak_barriers, bool ctx, void *pages,
				      bool (*notify)(struct virtqueue *vq),
				      void (*callback)(struct virtqueue *vq),
				      const char *name)
{
	struct vring_virtqueue *vq;

	vq = vring_alloc_queue(index, vring_align, vdev, weak_barriers, ctx,
			       notify, callback, name, vdev->dev.parent);
	if (!vq)
		return NULL;
	if (vq->packed || !vring_num_valid(vq, num))
		goto err_free;

	vq->ring.num = num;
	vq->ring.mem = pages;
	vq->ring.size = vring_split_size(num, vring_align);
	if (vring_alloc_state(&vq->ring))
		goto err_free;
	vring_split_place(&vq->ring, vring_align);
	return vring_register_queue(vq);

err_free:
	kfree(vq);
	return NULL;
}
EXPORT_SYMBOL_GPL(vring_new_virtqueue);

/**
 * vring_del_virtqueue - delete a virtqueue
 * @_vq: the virtqueue, not used by the device any more
 *
 * Requests that the driver did not detach are unmapped.  Their buffers, which
 * may be gone, are not touched, and their tokens are lost.
 *
 * Context: may sleep, interrupts enabled.
 */
void vring_del_virtqueue(struct virtqueue *_vq)
{
	struct vring_virtqueue *vq = to_vring(_vq);
	u32 id;

	spin_lock(&_vq->vdev->vqs_list_lock);
	list_del(&_vq->list);
	spin_unlock(&_vq->vdev->vqs_list_lock);

	for (id = 0; id < vq->ring.num; id++)
		if (vq->ring.state[id].data)
			vring_release(vq, id, NULL, true);
	vring_free_ring(vq, &vq->ring);
	kfree(vq);
}
EXPORT_SYMBOL_GPL(vring_del_virtqueue);

/* Not stopped after all: make up for an interrupt that came meanwhile. */
static void vring_resume_queue(struct vring_virtqueue *vq)
{
	unsigned long flags;

	/* The flag before the look at the ring; pairs with vring_interrupt(). */
	smp_store_mb(vq->stopped, false);
	local_irq_save(flags);
	vring_interrupt(0, &vq->vq);
	local_irq_restore(flags);
}

/* Stop one queue, VIRTIO_F_RING_RESET, and give its buffers back. */
static int vring_stop_queue(struct vring_virtqueue *vq,
			    void (*recycle)(struct virtqueue *vq, void *buf),
			    void (*recycle_done)(struct virtqueue *vq))
{
	void *buf;
	int err;

	/*
	 * An interrupt that is under way must not look at a ring that goes or
	 * comes.  The transport waits for handlers that run already, those that
	 * start later see this.
	 */
	WRITE_ONCE(vq->stopped, true);
	err = vq->vq.vdev->config->disable_vq_and_reset(&vq->vq);
	if (err) {
		vring_resume_queue(vq);
		return err;
	}
	while ((buf = virtqueue_detach_unused_buf(&vq->vq)))
		recycle(&vq->vq, buf);
	if (recycle_done)
		recycle_done(&vq->vq);
	return 0;
}

static int vring_restart_queue(struct vring_virtqueue *vq)
{
	vring_init_queue(vq);
	/* The ring before the flag; pairs with vring_interrupt(). */
	smp_store_release(&vq->stopped, false);
	return vq->vq.vdev->config->enable_vq_after_reset(&vq->vq) ? -EBUSY : 0;
}

static int vring_may_reset(const struct vring_virtqueue *vq)
{
	const struct virtio_config_ops *config = vq->vq.vdev->config;

	if (!vq->own_ring)
		return -EPERM;
	if (!config->disable_vq_and_reset || !config->enable_vq_after_reset)
		return -ENOENT;
	return 0;
}

/**
 * virtqueue_resize - give a live queue another length
 * @_vq: the virtqueue
 * @num: number of descriptors, for the split layout a power of two
 * @recycle: called with the token of each request that was not used
 * @recycle_done: called when there are no more of them, or NULL
 *
 * virtio 1.2 section 2.6.1.  The new ring is allocated first: if that fails the
 * queue goes on undisturbed and nothing is recycled.
 *
 * Context: may sleep, serialized by the driver.
 * Return: 0 if the queue has the new length (a shorter one if memory is short
 * and the transport allows it), or had it before; with the queue working as it
 * was: -ENOMEM if memory is short, -E2BIG if @num is more than
 * the device has, -EINVAL if @num is no length for the layout, -ENOENT if the
 * transport cannot reset a queue, -EPERM if the caller owns the ring, or the
 * transport's error if the reset failed; -EBUSY if the device did not take the
 * queue up again, which then does not work.
 */
int virtqueue_resize(struct virtqueue *_vq, u32 num,
		     void (*recycle)(struct virtqueue *vq, void *buf),
		     void (*recycle_done)(struct virtqueue *vq))
{
	struct vring_virtqueue *vq = to_vring(_vq);
	struct vring_ring ring = { };
	int err;

	if (num > _vq->num_max)
		return -E2BIG;
	if (!num)
		return -EINVAL;
	if (num == vq->ring.num)
		return 0;
	if (!vring_num_valid(vq, num))
		return -EINVAL;
	err = vring_may_reset(vq);
	if (err)
		return err;

	err = vring_alloc_ring(vq, &ring, num);
	if (err)
		return err;
	vring_layout(vq, place, &ring, vq->align);

	err = vring_stop_queue(vq, recycle, recycle_done);
	if (err) {
		vring_free_ring(vq, &ring);
		return err;
	}
	swap(vq->ring, ring);
	vring_free_ring(vq, &ring);
	return vring_restart_queue(vq);
}
EXPORT_SYMBOL_GPL(virtqueue_resize);

/**
 * virtqueue_reset - reset a live queue
 * @_vq: the virtqueue
 * @recycle: called with the token of each request that was not used
 * @recycle_done: called when there are no more of them, or NULL
 *
 * virtio 1.2 section 2.6.1.
 *
 * Context: may sleep, serialized by the driver.
 * Return: 0; with the queue working as it was: -ENOENT if the transport cannot
 * reset a queue, -EPERM if the caller owns the ring, or the transport's error
 * if the reset failed; -EBUSY if the device did not take the queue up again,
 * which then does not work.
 */
int virtqueue_reset(struct virtqueue *_vq,
		    void (*recycle)(struct virtqueue *vq, void *buf),
		    void (*recycle_done)(struct virtqueue *vq))
{
	struct vring_virtqueue *vq = to_vring(_vq);
	int err;

	err = vring_may_reset(vq);
	if (err)
		return err;
	err = vring_stop_queue(vq, recycle, recycle_done);
	if (err)
		return err;
	memset(vq->ring.mem, 0, vq->ring.size);
	return vring_restart_queue(vq);
}
EXPORT_SYMBOL_GPL(virtqueue_reset);

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

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a virtqueue: creation and deletion, resize and reset, its memory
 * and the addresses of that memory.
 */
#include <linux/bottom_half.h>
#include <linux/device.h>
#include <linux/export.h>
#include <linux/irqflags.h>
#include <linux/log2.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "ring.h"

static int vring_alloc_state(struct vring_virtqueue *vq, struct vring_ring *ring)
{
	ring->state = kvcalloc(ring->num, sizeof(*ring->state), GFP_KERNEL);
	ring->segs = kvcalloc(ring->num, sizeof(*ring->segs), GFP_KERNEL);
	if (ring->state && ring->segs && !vring_pool_alloc(vq, ring) &&
	    !vring_cell_alloc(vq, ring))
		return 0;

	kvfree(ring->run);
	kvfree(ring->segs);
	kvfree(ring->state);
	return -ENOMEM;
}

static void vring_free_ring(struct vring_virtqueue *vq, struct vring_ring *ring)
{
	vring_cell_free(vq, ring);
	if (vq->own_ring)
		vring_dma_free(vq, ring->size, ring->mem, ring->addr);
	kvfree(ring->run);
	kvfree(ring->segs);
	kvfree(ring->state);
}

static int vring_alloc_mem(struct vring_virtqueue *vq, struct vring_ring *ring,
			   u32 num)
{
	for (; num; num /= 2) {
		ring->num = num;
		ring->size = vring_layout(vq, size, vq, num);
		ring->mem = vring_dma_alloc(vq, ring->size, &ring->addr,
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
	err = vring_alloc_state(vq, ring);
	if (err)
		vring_dma_free(vq, ring->size, ring->mem, ring->addr);
	return err;
}

/* Can a ring of this layout have @num descriptors? */
static bool vring_num_valid(const struct vring_virtqueue *vq, u32 num)
{
	return num && num <= VRING_MAX_NUM && (vq->packed || is_power_of_2(num));
}

/*
 * Put the queue into its initial state, with all descriptors free.  The ring
 * memory was zeroed when it was allocated, or by virtqueue_reset().
 */
static void vring_init_queue(struct vring_virtqueue *vq)
{
	struct vring_ring *ring = &vq->ring;
	u32 i;

	/* In order, the ids form a circle, virtio 1.2 section 2.7.9. */
	for (i = 0; i < ring->num; i++)
		ring->segs[i].next = i + 1 < ring->num ? i + 1 : 0;
	vq->free_head = 0;
	vq->oldest = 0;
	WRITE_ONCE(vq->in_batch, false);
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
		  union virtio_map map)
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
	vq->in_order = virtio_has_feature(vdev, VIRTIO_F_IN_ORDER);
	/* A context takes the place of the table in the state of a request. */
	vq->indirect = !ctx &&
		       virtio_has_feature(vdev, VIRTIO_RING_F_INDIRECT_DESC);
	vq->weak_barriers = weak_barriers &&
			    !virtio_has_feature(vdev, VIRTIO_F_ORDER_PLATFORM);
	/* Before DRIVER_OK the device must not send interrupts. */
	vq->broken = IS_ENABLED(CONFIG_VIRTIO_HARDEN_NOTIFICATION);
	vring_dma_init_queue(vq, map);
	vring_cell_init_queue(vq);
	if (vring_pool_init_queue(vq))
		goto err_free;
	if (!vring_dma_grow_scratch(vq, VRING_SCRATCH_SEGS, GFP_KERNEL))
		goto err_pool;
	return vq;

err_pool:
	vring_pool_free_queue(vq);
err_free:
	kfree(vq);
	return NULL;
}

static void vring_free_queue(struct vring_virtqueue *vq)
{
	vring_pool_free_queue(vq);
	kvfree(vq->scratch);
	kfree(vq);
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

/* By default, memory is mapped for the parent. */
static union virtio_map vring_parent_map(const struct virtio_device *vdev)
{
	return (union virtio_map) { .dma_dev = vdev->dev.parent };
}

static struct virtqueue *
vring_create(unsigned int index, unsigned int num, unsigned int align,
	     bool may_move_used, struct virtio_device *vdev, bool weak_barriers,
	     bool may_reduce, bool ctx, bool (*notify)(struct virtqueue *vq),
	     void (*callback)(struct virtqueue *vq), const char *name,
	     union virtio_map map)
{
	struct vring_virtqueue *vq;

	vq = vring_alloc_queue(index, align, vdev, weak_barriers, ctx, notify,
			       callback, name, map);
	if (!vq)
		return NULL;
	if (!vring_num_valid(vq, num)) {
		dev_warn(&vdev->dev, "%s: a queue cannot have %u entries\n", name,
			 num);
		goto err_free;
	}

	vq->own_ring = true;
	vq->may_move_used = may_move_used;
	vq->may_reduce = may_reduce;
	if (vring_alloc_ring(vq, &vq->ring, num))
		goto err_free;
	vring_layout(vq, place, vq, &vq->ring);
	return vring_register_queue(vq);

err_free:
	vring_free_queue(vq);
	return NULL;
}

/**
 * vring_create_virtqueue_map - create a virtqueue with a mapping of its own
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
 * @map: the DMA device of this queue or, if @vdev has mapping functions of its own,
 *	their argument; not used if the device lacks VIRTIO_F_ACCESS_PLATFORM
 *
 * Context: may sleep.
 * Return: the virtqueue, NULL if memory is short or @num impossible.
 */
struct virtqueue *vring_create_virtqueue_map(unsigned int index,
					     unsigned int num,
					     unsigned int vring_align,
					     struct virtio_device *vdev,
					     bool weak_barriers,
					     bool may_reduce_num, bool ctx,
					     bool (*notify)(struct virtqueue *vq),
					     void (*callback)(struct virtqueue *vq),
					     const char *name,
					     union virtio_map map)
{
	/* The device may be hardware, which needs the alignment it asks for. */
	return vring_create(index, num, vring_align, false, vdev, weak_barriers,
			    may_reduce_num, ctx, notify, callback, name, map);
}
EXPORT_SYMBOL_GPL(vring_create_virtqueue_map);

/**
 * vring_create_virtqueue - create a virtqueue
 * @index: index of the queue, from 0
 * @num: number of descriptors, for the split layout a power of two
 * @vring_align: alignment of the split layout's used ring in bytes; the used ring
 *	begins four bytes later if an entry would be in two pages and @vdev has
 *	VIRTIO_F_ACCESS_PLATFORM
 * @vdev: the virtio device, features negotiated
 * @weak_barriers: the device is a CPU of this machine
 * @may_reduce_num: fewer descriptors will do if memory is short
 * @ctx: the driver uses contexts, see virtqueue_add_inbuf_ctx()
 * @notify: doorbell; returns false if the device is gone
 * @callback: called by vring_interrupt(), or NULL
 * @name: for messages; must live as long as the queue
 *
 * Its DMA device is the virtio device's parent.
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
	return vring_create(index, num, vring_align, true, vdev, weak_barriers,
			    may_reduce_num, ctx, notify, callback, name,
			    vring_parent_map(vdev));
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
 * Such a queue cannot be resized or reset.  Its ring has no DMA addresses.
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
			       notify, callback, name, vring_parent_map(vdev));
	if (!vq)
		return NULL;
	if (vq->packed || !vring_num_valid(vq, num))
		goto err_free;

	/* Its buffers may be unfit to be mapped or copied, see dma.c. */
	if (vq->mapping != VRING_MAP_CELLS)
		vq->mapping = VRING_MAP_SEGS;
	vring_pool_free_queue(vq);
	vq->ring.num = num;
	vq->ring.mem = pages;
	vq->ring.size = vring_split_size(vq, num);
	if (vring_alloc_state(vq, &vq->ring))
		goto err_free;
	vring_split_place(vq, &vq->ring);
	return vring_register_queue(vq);

err_free:
	vring_free_queue(vq);
	return NULL;
}
EXPORT_SYMBOL_GPL(vring_new_virtqueue);

/**
 * vring_del_virtqueue - delete a virtqueue
 * @_vq: the virtqueue, not used by the device any more
 *
 * Requests that the driver did not detach are unmapped.  Their buffers are not
 * touched, since they may have been freed.  Their tokens are lost.
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
			vring_release(vq, id, NULL, 0);
	vring_free_ring(vq, &vq->ring);
	vring_free_queue(vq);
}
EXPORT_SYMBOL_GPL(vring_del_virtqueue);

/*
 * The queue was not stopped after all: call the handler for an interrupt that
 * was ignored meanwhile.  The callback runs in the context of an interrupt
 * handler, which is a thread if PREEMPT_RT is configured.
 */
static void vring_resume_queue(struct vring_virtqueue *vq)
{
	unsigned long flags;

	/* The flag before the look at the ring; pairs with vring_interrupt(). */
	smp_store_mb(vq->stopped, false);
	if (IS_ENABLED(CONFIG_PREEMPT_RT)) {
		local_bh_disable();
		vring_interrupt(0, &vq->vq);
		local_bh_enable();
		return;
	}
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
	 * An interrupt handler must not look at a ring that is being replaced.
	 * The transport waits for handlers that are running.  Handlers that
	 * start later see this flag.
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
	if (!config->disable_vq_and_reset || !config->enable_vq_after_reset ||
	    !virtio_has_feature(vq->vq.vdev, VIRTIO_F_RING_RESET))
		return -ENOENT;
	return 0;
}

/**
 * virtqueue_resize - change the length of a live queue
 * @_vq: the virtqueue
 * @num: number of descriptors, for the split layout a power of two
 * @recycle: called with the token of each request that was not used
 * @recycle_done: called when there are no more of them, or NULL
 *
 * virtio 1.2 section 2.6.1.  The new ring is allocated first.  If that fails,
 * the queue goes on as before and nothing is recycled.
 *
 * Context: may sleep, serialized by the driver.
 * Return: 0 if the queue has the new length, or had it before.  The length is
 * smaller if memory is short and the transport allows it.  With the queue
 * working as before: -ENOMEM if memory is short, -E2BIG if @num is more than
 * the device has, -EINVAL if the layout cannot have the length @num, -ENOENT if
 * the transport cannot reset a queue, -EPERM if the caller owns the ring, or
 * the transport's error if the reset failed.  -EBUSY if the device did not
 * enable the queue again, which then does not work.
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
	vring_layout(vq, place, vq, &ring);

	err = vring_stop_queue(vq, recycle, recycle_done);
	if (err) {
		vring_free_ring(vq, &ring);
		return err;
	}
	/* Code that walks the device's queues sees either ring as a whole. */
	spin_lock(&_vq->vdev->vqs_list_lock);
	swap(vq->ring, ring);
	_vq->num_free = vq->ring.num;
	spin_unlock(&_vq->vdev->vqs_list_lock);
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
 * Return: 0.  With the queue working as before: -ENOENT if the transport cannot
 * reset a queue, -EPERM if the caller owns the ring, or the transport's error
 * if the reset failed.  -EBUSY if the device did not enable the queue again,
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
	vring_cell_drop(vq, &vq->ring);
	memset(vq->ring.mem, 0, vq->ring.size);
	return vring_restart_queue(vq);
}
EXPORT_SYMBOL_GPL(virtqueue_reset);

/**
 * vring_transport_features - drop transport features unknown to the ring
 * @vdev: the virtio device; its feature bits are changed
 *
 * Bits 28 to 41 are for rings and transports, virtio 1.2 section 6.  A
 * transport sets its own bits after this call.
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
 * Return: the number; during a resize, the old or the new one.
 */
unsigned int virtqueue_get_vring_size(const struct virtqueue *_vq)
{
	/* One aligned word, which virtqueue_resize() exchanges as a whole. */
	return data_race(to_vring(_vq)->ring.num);
}
EXPORT_SYMBOL_GPL(virtqueue_get_vring_size);

/* Only the caller of vring_new_virtqueue() knows the addresses of its ring. */
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
 * Return: the address, aligned to four bytes.
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

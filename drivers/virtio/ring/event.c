// SPDX-License-Identifier: GPL-2.0-only
/*
 * The events of a virtqueue: notifications to the device, interrupts from it,
 * how each is suppressed, and taking a queue out of use.
 */
#include <linux/device.h>
#include <linux/export.h>
#include <linux/interrupt.h>
#include <linux/spinlock.h>

#include "ring.h"

/**
 * vring_break - stop using a queue whose device broke the rules
 * @vq: the virtqueue
 * @fmt: what the device did, without newline
 *
 * Prints one message for a queue, rate-limited over all queues.  Requests in
 * flight stay mapped until the driver detaches them, since the device may still
 * use them.
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

/**
 * virtqueue_kick_prepare - find out whether the device must be notified
 * @_vq: the virtqueue
 *
 * The first half of virtqueue_kick(), for drivers that notify outside their
 * lock.
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
 * The second half of virtqueue_kick().
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
 * virtqueue_kick - notify the device of added requests, if it asks for that
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
 * virtqueue_disable_cb - ask the device not to interrupt
 * @_vq: the virtqueue
 *
 * This is a hint: the callback may run all the same.
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
 * No interrupt may come for requests that were used before.  Check for them
 * with virtqueue_poll().
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
	 * Ask for interrupts before reading the ring; pairs with the device's
	 * barrier between using a buffer and reading whether to interrupt.
	 */
	virtio_mb(vq->weak_barriers);
	return vring_batch_left(vq) ||
	       vring_layout(vq, poll, vq, last_used_idx);
}
EXPORT_SYMBOL_GPL(virtqueue_poll);

/**
 * virtqueue_enable_cb - ask for interrupts again and check the queue
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
 * For drivers that do not need their buffers back soon, as in transmission.
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
 * vring_notification_data - data for a notification
 * @_vq: the virtqueue
 *
 * VIRTIO_F_NOTIFICATION_DATA, virtio 1.2 section 2.9.
 *
 * Context: any, not serialized.
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
 * For a device that is gone.  Does not wait for calls that are running.
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

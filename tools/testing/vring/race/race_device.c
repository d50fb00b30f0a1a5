// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device and the transport of vring_race, from the virtio specification.
 * The device is a thread on a CPU of its own, or on that of the second driver.
 * It obeys the rules: it interrupts if and only if the driver asked for that,
 * and after it asked for a notification it waits for one.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/random.h>
#include <linux/rcupdate.h>

#include "../bench/fake_vdev.h"
#include "race.h"

#define AVAIL	BIT(VRING_PACKED_DESC_F_AVAIL)
#define USED	BIT(VRING_PACKED_DESC_F_USED)
#define WRAP	BIT(VRING_PACKED_EVENT_F_WRAP_CTR)

/* Requests that the device takes before it completes them, the last one first. */
#define BATCH	4

/* A request that the device has taken. */
struct chain {
	u16 id;
	u16 num;		/* descriptors of the ring */
	u32 written;
	bool has_header;
	struct race_header header;
};

/* -- what both layouts share -------------------------------------------------- */

static struct race_queue *to_queue(struct virtio_device *vdev)
{
	return vdev->priv;
}

/* The device has physical addresses: it lacks VIRTIO_F_ACCESS_PLATFORM. */
static void use_buffer(struct race_queue *q, struct chain *c, u64 addr, u32 len,
		       bool write)
{
	u32 seq = le32_to_cpu(c->header.seq);
	void *mem = phys_to_virt(addr);

	if (write) {
		memset(mem, seq, len);
		c->written += len;
	} else if (!c->has_header) {
		memcpy(&c->header, mem, sizeof(c->header));
		c->has_header = true;
	} else if (memchr_inv(mem, seq, len)) {
		race_fail(q, "request %u: the device sees other data", seq);
	}
}

/* Descriptors and tables of both layouts have addr and len in the same place. */
static void use_table(struct race_queue *q, struct chain *c, u64 addr, u32 len)
{
	unsigned int i, num = len / sizeof(struct vring_desc);
	bool packed = race_has(q, VIRTIO_F_RING_PACKED);
	struct vring_desc *desc = phys_to_virt(addr);
	__le16 flags;

	for (i = 0; i < num; i++) {
		flags = packed ? ((struct vring_packed_desc *)desc)[i].flags :
				 (__force __le16)desc[i].flags;
		use_buffer(q, c, le64_to_cpu((__force __le64)desc[i].addr),
			   le32_to_cpu((__force __le32)desc[i].len),
			   le16_to_cpu(flags) & VRING_DESC_F_WRITE);
	}
}

static void use_desc(struct race_queue *q, struct chain *c, u64 addr, u32 len,
		     u16 flags)
{
	if (flags & VRING_DESC_F_INDIRECT)
		use_table(q, c, addr, len);
	else
		use_buffer(q, c, addr, len, flags & VRING_DESC_F_WRITE);
}

/* -- split layout, virtio 1.2 section 2.7 ------------------------------------- */

static bool split_available(const struct race_queue *q)
{
	const struct vring_avail *avail = q->mem[1];

	return le16_to_cpu((__force __le16)READ_ONCE(avail->idx)) != q->seen;
}

static void split_take(struct race_queue *q, struct chain *c)
{
	const struct vring_avail *avail = q->mem[1];
	const struct vring_desc *desc = q->mem[0];
	u16 i, flags;

	c->id = le16_to_cpu((__force __le16)avail->ring[q->seen++ % q->num]);
	i = c->id;
	do {
		flags = le16_to_cpu((__force __le16)desc[i].flags);
		use_desc(q, c, le64_to_cpu((__force __le64)desc[i].addr),
			 le32_to_cpu((__force __le32)desc[i].len), flags);
		i = le16_to_cpu((__force __le16)desc[i].next);
	} while (flags & VRING_DESC_F_NEXT);
}

static void split_complete(struct race_queue *q, const struct chain *c)
{
	struct vring_used *used = q->mem[2];
	vring_used_elem_t *elem = &used->ring[q->used++ % q->num];

	elem->id = (__force __virtio32)cpu_to_le32(c->id);
	elem->len = (__force __virtio32)cpu_to_le32(c->written);
	/* The entry before the index; pairs with virtio_rmb() in split.c. */
	virt_store_release(&used->idx, (__force __virtio16)cpu_to_le16(q->used));
	q->told++;
}

static bool split_wants_interrupt(const struct race_queue *q)
{
	const struct vring_avail *avail = q->mem[1];
	u16 event;

	if (!race_has(q, VIRTIO_RING_F_EVENT_IDX))
		return !(le16_to_cpu((__force __le16)READ_ONCE(avail->flags)) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	event = le16_to_cpu((__force __le16)READ_ONCE(avail->ring[q->num]));
	return vring_need_event(event, q->used, q->used - q->told);
}

static void split_want_notification(struct race_queue *q, bool want)
{
	struct vring_used *used = q->mem[2];
	__le16 *event = (__le16 *)&used->ring[q->num];

	if (!race_has(q, VIRTIO_RING_F_EVENT_IDX))
		WRITE_ONCE(used->flags, (__force __virtio16)
			   cpu_to_le16(want ? 0 : VRING_USED_F_NO_NOTIFY));
	else if (want)
		WRITE_ONCE(*event, cpu_to_le16(q->seen));
}

/* -- packed layout, virtio 1.2 section 2.8 ------------------------------------ */

static bool packed_available(const struct race_queue *q)
{
	const struct vring_packed_desc *desc = q->mem[0];
	u16 flags = le16_to_cpu(READ_ONCE(desc[q->seen].flags));

	return !!(flags & AVAIL) == q->seen_wrap &&
	       !!(flags & USED) != q->seen_wrap;
}

static void packed_take(struct race_queue *q, struct chain *c)
{
	const struct vring_packed_desc *desc = q->mem[0], *d;
	u16 flags;

	do {
		d = &desc[q->seen];
		flags = le16_to_cpu(READ_ONCE(d->flags));
		use_desc(q, c, le64_to_cpu(d->addr), le32_to_cpu(d->len), flags);
		c->id = le16_to_cpu(d->id);
		c->num++;
		if (++q->seen == q->num) {
			q->seen = 0;
			q->seen_wrap = !q->seen_wrap;
		}
	} while (flags & VRING_DESC_F_NEXT);
}

static void packed_complete(struct race_queue *q, const struct chain *c)
{
	struct vring_packed_desc *desc = q->mem[0], *d = &desc[q->used];
	u16 flags = q->used_wrap ? AVAIL | USED : 0;

	d->id = cpu_to_le16(c->id);
	d->len = cpu_to_le32(c->written);
	/* All of it before the flags; pairs with virtio_rmb() in packed.c. */
	virt_store_release(&d->flags, cpu_to_le16(flags));
	q->used += c->num;
	q->told += c->num;
	if (q->used >= q->num) {
		q->used -= q->num;
		q->used_wrap = !q->used_wrap;
	}
}

static bool packed_wants_interrupt(const struct race_queue *q)
{
	const struct vring_packed_desc_event *driver = q->mem[1];
	u16 flags = le16_to_cpu(READ_ONCE(driver->flags)), off_wrap, event;

	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	/* The flags before the position that they go with. */
	virt_rmb();
	off_wrap = le16_to_cpu(READ_ONCE(driver->off_wrap));
	event = off_wrap & ~WRAP;
	if (!!(off_wrap & WRAP) != q->used_wrap)
		event -= q->num;
	return vring_need_event(event, q->used, q->used - q->told);
}

static void packed_want_notification(struct race_queue *q, bool want)
{
	struct vring_packed_desc_event *device = q->mem[2];
	union {
		struct vring_packed_desc_event event;
		u32 word;
	} wish = { };

	wish.event.flags = cpu_to_le16(VRING_PACKED_EVENT_FLAG_DISABLE);
	if (want) {
		bool event = race_has(q, VIRTIO_RING_F_EVENT_IDX);

		wish.event.off_wrap = cpu_to_le16(q->seen |
						  (q->seen_wrap ? WRAP : 0));
		wish.event.flags = cpu_to_le16(event ?
					       VRING_PACKED_EVENT_FLAG_DESC :
					       VRING_PACKED_EVENT_FLAG_ENABLE);
	}
	WRITE_ONCE(*(u32 *)device, wish.word);
}

/* -- the device --------------------------------------------------------------- */

#define layout(q, func, ...)						\
	(race_has(q, VIRTIO_F_RING_PACKED) ? packed_##func(__VA_ARGS__) : \
					     split_##func(__VA_ARGS__))

static bool complete_one(struct race_queue *q, const struct chain *c)
{
	if (c->has_header && c->written != le32_to_cpu(c->header.len))
		race_fail(q, "request %u: room for %u bytes in place of %u",
			  le32_to_cpu(c->header.seq), c->written,
			  le32_to_cpu(c->header.len));
	layout(q, complete, q, c);

	/*
	 * What was used before the driver's wish; pairs with the barrier in
	 * virtqueue_poll() and its like.
	 */
	virt_mb();
	if (!layout(q, wants_interrupt, q)) {
		q->told = 0;
		return false;
	}
	q->told = 0;
	return true;
}

/*
 * A device that sleeps until it is notified sees no request before it is all
 * there.  Every other time look for as long as a watched access takes.
 */
static bool available(const struct race_queue *q)
{
	ktime_t until;

	if (layout(q, available, q))
		return true;
	if (q->seen & 1)
		return false;
	until = ktime_add_us(ktime_get(), 500);
	do {
		cpu_relax();
		if (layout(q, available, q))
			return true;
	} while (ktime_before(ktime_get(), until));
	return false;
}

/* Returns whether there was something to do. */
static bool work(struct race_queue *q, bool *interrupt)
{
	struct chain c[BATCH];
	int n = 0;

	layout(q, want_notification, q, false);
	while (n < BATCH && available(q)) {
		/* What is available before what it is; pairs with virtio_wmb(). */
		virt_rmb();
		memset(&c[n], 0, sizeof(c[n]));
		layout(q, take, q, &c[n]);
		n++;
	}
	if (!n) {
		layout(q, want_notification, q, true);
		/* The wish before the look; pairs with the ring's kick_prepare. */
		virt_mb();
		return layout(q, available, q);
	}
	if (race_has(q, VIRTIO_F_IN_ORDER)) {
		for (int i = 0; i < n; i++)
			*interrupt |= complete_one(q, &c[i]);
	} else {
		while (n--)
			*interrupt |= complete_one(q, &c[n]);
	}
	return true;
}

/*
 * An interrupt as the transport delivers it: not after race_delete_queue()
 * waited for it, but at any other time.
 */
static void interrupt(struct race_queue *q)
{
	unsigned long flags;

	rcu_read_lock();
	local_irq_save(flags);
	if (READ_ONCE(q->irq_on)) {
		atomic_inc(&q->interrupts);
		vring_interrupt(0, q->vq);
	}
	local_irq_restore(flags);
	rcu_read_unlock();
}

/**
 * race_armed - would the driver be interrupted for the next used buffer?
 * @q: the queue, its device idle
 *
 * Return: true if so.
 */
bool race_armed(struct race_queue *q)
{
	bool armed, wrap = q->used_wrap;
	u16 used = q->used;

	spin_lock_irq(&q->hw_lock);
	q->told = 1;
	q->used++;
	if (race_has(q, VIRTIO_F_RING_PACKED) && q->used == q->num) {
		q->used = 0;
		q->used_wrap = !wrap;
	}
	armed = layout(q, wants_interrupt, q);
	q->told = 0;
	q->used = used;
	q->used_wrap = wrap;
	spin_unlock_irq(&q->hw_lock);
	return armed;
}

/**
 * race_device - thread of a device
 * @data: the queue
 *
 * Return: 0.
 */
int race_device(void *data)
{
	struct race_queue *q = data;

	while (!kthread_should_stop()) {
		bool irq = false, busy = false;

		/* Whoever rings from now on wants another look. */
		smp_store_mb(q->rung, false);
		spin_lock_irq(&q->hw_lock);
		if (q->enabled)
			busy = work(q, &irq);
		spin_unlock_irq(&q->hw_lock);
		if (irq)
			interrupt(q);
		cond_resched();
		if (busy)
			continue;
		if (wait_event_timeout(q->bell, READ_ONCE(q->rung) ||
				       kthread_should_stop(),
				       q->lossy ? 1 : RACE_PATIENCE) || q->lossy)
			continue;
		spin_lock_irq(&q->hw_lock);
		if (q->enabled && layout(q, available, q))
			race_fail(q, "the device was not notified");
		spin_unlock_irq(&q->hw_lock);
	}
	return 0;
}

static enum hrtimer_restart tick(struct hrtimer *timer)
{
	struct race_queue *q = container_of(timer, struct race_queue, timer);

	interrupt(q);
	hrtimer_forward_now(timer, ns_to_ktime(200000 + get_random_u32_below(2000000)));
	return HRTIMER_RESTART;
}

/* -- the transport ------------------------------------------------------------ */

/* From any context, beside anything: virtqueue_notify() is not serialized. */
static bool notify(struct virtqueue *vq)
{
	struct race_queue *q = to_queue(vq->vdev);
	bool packed = race_has(q, VIRTIO_F_RING_PACKED);
	/* At least this is in the ring; pairs with the release in add_one(). */
	u32 before = smp_load_acquire(&q->added), after, data, pos, lap;

	data = vring_notification_data(vq) >> 16;
	/* The position before the count: it only grows. */
	smp_rmb();
	after = READ_ONCE(q->added);

	/* A lap of a packed ring: there and back with the wrap counter. */
	lap = packed ? 2 * q->num : U16_MAX + 1;
	if (packed)
		data = (data & ~WRAP) + (data & WRAP ? 0 : q->num);
	pos = (data + lap - before % lap) % lap;
	/* One request may have gone in that is not counted yet. */
	if (after - before < q->num / 2 &&
	    pos > after - before + RACE_MAX_SEGS)
		race_fail(q, "notified of position %u, %u to %u are in the ring",
			  data, before % lap, after % lap);

	WRITE_ONCE(q->rung, true);
	wake_up(&q->bell);
	return true;
}

static void enable(struct race_queue *q)
{
	spin_lock_irq(&q->hw_lock);
	q->num = virtqueue_get_vring_size(q->vq);
	q->mem[0] = phys_to_virt(virtqueue_get_desc_addr(q->vq));
	q->mem[1] = phys_to_virt(virtqueue_get_avail_addr(q->vq));
	q->mem[2] = phys_to_virt(virtqueue_get_used_addr(q->vq));
	q->seen = 0;
	q->used = 0;
	q->told = 0;
	q->added = 0;
	q->seen_wrap = true;
	q->used_wrap = true;
	q->enabled = true;
	spin_unlock_irq(&q->hw_lock);
}

static void disable(struct race_queue *q)
{
	spin_lock_irq(&q->hw_lock);
	q->enabled = false;
	spin_unlock_irq(&q->hw_lock);
	/* Handlers that run are waited for, others may start at any time. */
	synchronize_rcu();
}

static int disable_vq_and_reset(struct virtqueue *vq)
{
	struct race_queue *q = to_queue(vq->vdev);

	if (q->fail_reset)
		return -EIO;
	disable(q);
	return 0;
}

static int enable_vq_after_reset(struct virtqueue *vq)
{
	enable(to_queue(vq->vdev));
	return 0;
}

static const struct virtio_config_ops config_ops = {
	.get = fake_vdev_get,
	.get_status = fake_vdev_get_status,
	.disable_vq_and_reset = disable_vq_and_reset,
	.enable_vq_after_reset = enable_vq_after_reset,
};

/**
 * race_create - create a virtio device with one queue
 * @q: the queue
 * @parent: parent of the device
 * @features: beyond VIRTIO_F_VERSION_1
 *
 * Interrupts arrive from now on; the device does nothing yet.
 *
 * Return: 0, or -ENOMEM.
 */
int race_create(struct race_queue *q, struct device *parent, u64 features)
{
	q->vdev = fake_vdev_create(parent, &config_ops, features, "vring_race");
	if (!q->vdev)
		return -ENOMEM;
	q->vdev->priv = q;
	q->vq = vring_create_virtqueue(0, RACE_NUM, PAGE_SIZE, q->vdev, true,
				       false, false, notify, race_callback,
				       "race");
	if (!q->vq) {
		put_device(&q->vdev->dev);
		return -ENOMEM;
	}
	q->vq->num_max = RACE_NUM;
	__virtqueue_unbreak(q->vq);
	q->vdev->debugfs_dir = debugfs_create_dir("vring_race", NULL);
	vring_debug_device_init(q->vdev);

	enable(q);
	WRITE_ONCE(q->irq_on, true);
	hrtimer_init(&q->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	q->timer.function = tick;
	hrtimer_start(&q->timer, ms_to_ktime(1), HRTIMER_MODE_REL_PINNED_HARD);
	return 0;
}

/**
 * race_delete_queue - delete the queue
 * @q: the queue, its drivers stopped, its device or not
 *
 * As a transport does: first no more interrupts, then the queue.
 */
void race_delete_queue(struct race_queue *q)
{
	WRITE_ONCE(q->irq_on, false);
	disable(q);
	vring_del_virtqueue(q->vq);
}

/**
 * race_delete_device - delete what is left
 * @q: the queue, deleted, all threads stopped
 */
void race_delete_device(struct race_queue *q)
{
	hrtimer_cancel(&q->timer);
	debugfs_remove_recursive(q->vdev->debugfs_dir);
	put_device(&q->vdev->dev);
}

// SPDX-License-Identifier: GPL-2.0
/* Notifications to the device, interrupts from it, and how each is suppressed. */
#include "test.h"

static void kick_notifies(struct run *t)
{
	unsigned int i;

	test_queue(t);
	dev_notify_always(t->q);
	for (i = 1; i <= 3 * t->num; i++) {
		drv_submit(&t->drv, 1, 0, 4);
		check(virtqueue_kick(t->q->vq));
		check_eq(t->q->notified, i);
		check_eq(drv_dev_serve(&t->drv, 2), 1);
		check_eq(drv_reap(&t->drv), 1);
		dev_notify_always(t->q);
	}
}

static void kick_is_suppressed(struct run *t)
{
	unsigned int i;

	test_queue(t);
	dev_notify_never(t->q);
	for (i = 0; i < 3 * t->num; i++) {
		drv_submit(&t->drv, 1, 0, 4);
		check(!virtqueue_kick_prepare(t->q->vq));
		check(virtqueue_kick(t->q->vq));
		check_eq(drv_dev_serve(&t->drv, 2), 1);
		check_eq(drv_reap(&t->drv), 1);
	}
	check_eq(t->q->notified, 0);
	dev_notify_always(t->q);
	drv_submit(&t->drv, 1, 0, 4);
	check(virtqueue_kick_prepare(t->q->vq));
	check_eq(t->q->notified, 0);
	check(virtqueue_notify(t->q->vq));
	check_eq(t->q->notified, 1);
}

static void notified_at_event(struct run *t)
{
	u64 done = 0, event;
	unsigned int n;
	int ahead;

	test_queue(t);
	/* Every batch size against every event position around it. */
	for (n = 1; n <= t->num; n++) {
		for (ahead = -(int)t->num + (int)n; ahead < (int)t->num; ahead++) {
			unsigned int i;
			bool want = ahead >= 0 && ahead < (int)n;

			if (ahead < 0 && done < (u64)-ahead)
				continue;
			event = done + ahead;
			dev_notify_at(t->q, event);
			for (i = 0; i < n; i++)
				drv_submit(&t->drv, 0, 1, 4);
			check_eq(virtqueue_kick_prepare(t->q->vq), want);
			/* Asked again without anything new: never. */
			check(!virtqueue_kick_prepare(t->q->vq));
			check_eq(drv_dev_serve(&t->drv, n + 1), n);
			check_eq(drv_reap(&t->drv), n);
			done += n;
		}
	}
}

static void notified_at_event_after_wrap(struct run *t)
{
	u64 done = 0;
	u32 seed = 1;

	test_queue(t);
	while (done < (t->num == 1 ? 66000 : 2 * 65536 + 1000)) {
		unsigned int n, i;
		int ahead;

		seed = seed * 1103515245 + 12345;
		n = 1 + (seed >> 16) % t->num;
		ahead = (int)((seed >> 8) % (2 * t->num - n)) - (int)(t->num - n);
		if (done < t->num)
			ahead = 0;
		dev_notify_at(t->q, done + ahead);
		for (i = 0; i < n; i++)
			drv_submit(&t->drv, 0, 1, 1);
		check_eq(virtqueue_kick_prepare(t->q->vq), ahead >= 0 && ahead < (int)n);
		check_eq(drv_dev_serve(&t->drv, n + 1), n);
		check_eq(drv_reap(&t->drv), n);
		done += n;
	}
}

static void notified_inside_chain(struct run *t)
{
	unsigned int lap, at;

	t->indirect = false;
	test_device(t, test_features(t));
	test_queue(t);
	/* A chain of three: an event on any of its descriptors counts, 2.8.10. */
	for (lap = 0; lap < 40; lap++) {
		u64 start = 3ULL * lap;

		at = lap % 4;
		dev_notify_at(t->q, start + at);
		drv_submit_as(&t->drv, 1, 2, 4, DRV_SGS_EACH);
		check_eq(virtqueue_kick_prepare(t->q->vq), at < 3);
		check_eq(drv_dev_serve(&t->drv, 2), 1);
		check_eq(drv_reap(&t->drv), 1);
	}
}

static void rarely_kicked(struct run *t)
{
	unsigned int i;

	test_queue(t);
	/* So many that 16 bits of their number are too small to reach the event. */
	dev_notify_at(t->q, 5);
	for (i = 0; i < 65536 + 4; i++) {
		drv_submit(&t->drv, 0, 1, 1);
		check_eq(drv_dev_serve(&t->drv, 2), 1);
		check_eq(drv_reap(&t->drv), 1);
	}
	virtqueue_kick(t->q->vq);
	check(t->q->notified >= 1);
	check(t->q->notified < 20);
}

static void failed_notify_breaks(struct run *t)
{
	struct drv_req *r;

	test_queue(t);
	drv_submit(&t->drv, 1, 1, 4);
	t->q->refuse_notify = true;
	check(!virtqueue_kick(t->q->vq));
	check(virtqueue_is_broken(t->q->vq));
	check_eq(t->q->notified, 1);
	check(!virtqueue_notify(t->q->vq));
	check_eq(t->q->notified, 1);
	r = drv_req(&t->drv, 1, 1, 4);
	check_eq(drv_add(&t->drv, r), -EIO);
	drv_free(&t->drv, r);
	check_eq(drv_detach_all(&t->drv), 1);
}

static void notification_data(struct run *t)
{
	unsigned int i;

	test_queue_opts(t, &(struct queue_opts){ .index = 2 });
	check_eq(vring_notification_data(t->q->vq),
		 t->packed ? 0x80000002LL : 0x00000002);
	for (i = 1; i <= 3 * t->num; i++) {
		u32 next = t->packed ? i % t->num | (u32)dev_wrap(t->q, i) << 15 : i;

		drv_submit(&t->drv, 1, 0, 4);
		check_eq(vring_notification_data(t->q->vq), (long long)(next << 16 | 2));
		check_eq(drv_dev_serve(&t->drv, 2), 1);
		check_eq(drv_reap(&t->drv), 1);
	}
}

/* ---- interrupts ---- */

static void interrupt_without_work(struct run *t)
{
	test_queue(t);
	check_eq(vring_interrupt(0, t->q->vq), IRQ_NONE);
	drv_submit(&t->drv, 1, 1, 4);
	check_eq(vring_interrupt(0, t->q->vq), IRQ_NONE);
	check_eq(t->q->callbacks, 0);
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	check_eq(vring_interrupt(0, t->q->vq), IRQ_HANDLED);
	check_eq(t->q->callbacks, 1);
	check_eq(drv_reap(&t->drv), 1);
	check_eq(vring_interrupt(0, t->q->vq), IRQ_NONE);
	check_eq(t->q->callbacks, 1);
}

static void interrupt_when_broken(struct run *t)
{
	test_queue(t);
	drv_submit(&t->drv, 1, 1, 4);
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	__virtqueue_break(t->q->vq);
	check_eq(vring_interrupt(0, t->q->vq), IRQ_HANDLED);
	check_eq(t->q->callbacks, 0);
}

static void break_now(void *arg)
{
	struct run *t = arg;

	__virtqueue_break(t->q->vq);
}

static void broken_meanwhile(struct run *t)
{
	unsigned int len;

	test_queue(t);
	drv_submit(&t->drv, 1, 1, 4);
	dev_forge_used(t->q, t->num, 4);
	/* Whoever broke it has said why: no other message. */
	kernel_set_barrier_hook(break_now, t);
	check(!virtqueue_get_buf(t->q->vq, &len));
	kernel_set_barrier_hook(NULL, NULL);
	check_eq(kernel_take_messages(SHIM_WARN, NULL), 0);
	check(virtqueue_is_broken(t->q->vq));
	check_eq(drv_detach_all(&t->drv), 1);
}

static void no_callback_no_interrupts(struct run *t)
{
	unsigned int i;

	test_queue_opts(t, &(struct queue_opts){ .no_callback = true });
	/* Split with event index: an index that the first entry hits is harmless. */
	for (i = 0; i < 4 * t->num; i++) {
		drv_submit(&t->drv, 1, 1, 4);
		check_eq(drv_dev_serve(&t->drv, 1), 1);
		dev_interrupt(t->q);
		check_eq(drv_reap(&t->drv), 1);
	}
	check_eq(t->q->callbacks, 0);
	check(t->q->interrupts <= (!t->packed && t->event));
}

static void disable_in_callback(struct dev_queue *q)
{
	virtqueue_disable_cb(q->vq);
}

static void first_used_interrupts(struct run *t)
{
	unsigned int i;

	test_queue(t);
	for (i = 1; i <= 20; i++) {
		drv_submit(&t->drv, 1, 1, 4);
		check_eq(drv_dev_serve(&t->drv, 1), 1);
		check(dev_interrupt(t->q));
		check_eq(t->q->callbacks, i);
		check_eq(drv_reap(&t->drv), 1);
		/* From here on with callbacks that were enabled, once. */
		if (i == 5) {
			virtqueue_disable_cb(t->q->vq);
			check(virtqueue_enable_cb(t->q->vq));
		}
	}
}

static void first_callback_disables(struct run *t)
{
	unsigned int i;

	test_queue(t);
	t->q->callback = disable_in_callback;
	for (i = 0; i < 10; i++) {
		drv_submit(&t->drv, 1, 1, 4);
		check_eq(drv_dev_serve(&t->drv, 1), 1);
		check_eq(dev_interrupt(t->q), !i);
		check_eq(drv_reap(&t->drv), 1);
	}
}

static void one_interrupt_until_reaped(struct run *t)
{
	unsigned int i;

	test_queue(t);
	check(virtqueue_enable_cb(t->q->vq));
	for (i = 0; i < 8; i++)
		drv_submit(&t->drv, 1, 1, 4);
	for (i = 0; i < 8; i++) {
		check_eq(drv_dev_serve(&t->drv, 1), 1);
		/* The packed ring starts with all interrupts on. */
		check_eq(dev_interrupt(t->q), !i || t->packed);
	}
	check_eq(drv_reap(&t->drv), 8);
	virtqueue_disable_cb(t->q->vq);
	check(virtqueue_enable_cb(t->q->vq));
	for (i = 0; i < 8; i++)
		drv_submit(&t->drv, 1, 1, 4);
	for (i = 0; i < 8; i++) {
		check_eq(drv_dev_serve(&t->drv, 1), 1);
		check_eq(dev_interrupt(t->q), !i);
	}
	check_eq(drv_reap(&t->drv), 8);
}

static void disabled_means_none(struct run *t)
{
	unsigned int i;

	test_queue(t);
	drv_submit(&t->drv, 1, 1, 4);
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	check_eq(drv_reap(&t->drv), 1);
	t->q->told = t->q->done;
	virtqueue_disable_cb(t->q->vq);
	for (i = 0; i < 20000; i++) {
		drv_submit(&t->drv, 0, 1, 1);
		check_eq(drv_dev_serve(&t->drv, 1), 1);
		check(!dev_interrupt(t->q));
		check_eq(drv_reap(&t->drv), 1);
	}
	check(virtqueue_enable_cb(t->q->vq));
	drv_submit(&t->drv, 1, 1, 4);
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	check(dev_interrupt(t->q));
}

static void enabled_whatever_the_device_was_told(struct run *t)
{
	test_queue(t);
	virtqueue_disable_cb(t->q->vq);
	check(virtqueue_enable_cb(t->q->vq));
	/* What a virtqueue_disable_cb() on another CPU may have written last. */
	if (t->packed)
		dev_put16(t->q, t->q->avail + 2, VRING_PACKED_EVENT_FLAG_DISABLE);
	else if (t->event)
		dev_put16(t->q, t->q->avail + 4 + 2 * t->num, 0x8000);
	else
		dev_put16(t->q, t->q->avail, VRING_AVAIL_F_NO_INTERRUPT);
	check(virtqueue_enable_cb(t->q->vq));
	drv_submit(&t->drv, 1, 1, 4);
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	check(dev_interrupt(t->q));
	check_eq(drv_reap(&t->drv), 1);
}

static void disabled_by_the_callback(struct run *t)
{
	unsigned int i, lap;

	test_queue(t);
	t->q->callback = disable_in_callback;
	for (lap = 0; lap < 50; lap++) {
		virtqueue_disable_cb(t->q->vq);
		check(virtqueue_enable_cb(t->q->vq));
		for (i = 0; i < 10; i++)
			drv_submit(&t->drv, 1, 1, 4);
		check_eq(drv_dev_serve(&t->drv, 1), 1);
		check(dev_interrupt(t->q));
		for (i = 0; i < 9; i++) {
			check_eq(drv_dev_serve(&t->drv, 1), 1);
			check(!dev_interrupt(t->q));
			if (i & 1)
				check(drv_reap(&t->drv));
		}
		drv_reap(&t->drv);
	}
	check_eq(t->q->callbacks, 50);
}

static void enabling_sees_what_is_used(struct run *t)
{
	unsigned int state;

	test_queue(t);
	virtqueue_disable_cb(t->q->vq);
	state = virtqueue_enable_cb_prepare(t->q->vq);
	check(!virtqueue_poll(t->q->vq, state));
	check(virtqueue_enable_cb(t->q->vq));
	drv_submit(&t->drv, 1, 1, 4);
	drv_submit(&t->drv, 1, 1, 4);
	check(virtqueue_enable_cb(t->q->vq));
	virtqueue_disable_cb(t->q->vq);
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	check(!virtqueue_enable_cb(t->q->vq));
	state = virtqueue_enable_cb_prepare(t->q->vq);
	check(virtqueue_poll(t->q->vq, state));
	check_eq(drv_reap(&t->drv), 1);
	check(virtqueue_enable_cb(t->q->vq));
	state = virtqueue_enable_cb_prepare(t->q->vq);
	check(!virtqueue_poll(t->q->vq, state));
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	check(virtqueue_poll(t->q->vq, state));
	__virtqueue_break(t->q->vq);
	check(!virtqueue_poll(t->q->vq, state));
}

static void delayed_until_three_quarters(struct run *t)
{
	unsigned int lap, i;

	test_queue(t);
	for (lap = 0; lap < 30; lap++) {
		virtqueue_disable_cb(t->q->vq);
		for (i = 0; i < 12; i++)
			drv_submit(&t->drv, 0, 1, 4);
		check(virtqueue_enable_cb_delayed(t->q->vq));
		for (i = 0; i < 12; i++) {
			check_eq(drv_dev_serve(&t->drv, 1), 1);
			check_eq(dev_interrupt(t->q), i == 9);
		}
		virtqueue_disable_cb(t->q->vq);
		check(!virtqueue_enable_cb_delayed(t->q->vq));
		check_eq(drv_reap(&t->drv), 12);
		virtqueue_disable_cb(t->q->vq);
		check(virtqueue_enable_cb_delayed(t->q->vq));
	}
}

static void delayed_without_event_index(struct run *t)
{
	t->event = false;
	test_device(t, test_features(t));
	test_queue(t);
	virtqueue_disable_cb(t->q->vq);
	drv_submit(&t->drv, 0, 1, 4);
	drv_submit(&t->drv, 0, 1, 4);
	check(virtqueue_enable_cb_delayed(t->q->vq));
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	check(dev_interrupt(t->q));
	/* One is enough: no later one can be asked for. */
	check(!virtqueue_enable_cb_delayed(t->q->vq));
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	check(!virtqueue_enable_cb_delayed(t->q->vq));
}

static void enable_as(struct run *t, unsigned int way)
{
	if (!way)
		check(virtqueue_enable_cb(t->q->vq));
	else if (way == 1)
		check(virtqueue_enable_cb_delayed(t->q->vq));
	else
		virtqueue_enable_cb_prepare(t->q->vq);
}

static void disabled_after_enabled(struct run *t)
{
	unsigned int way;

	/* The interrupt that came before does not stand for the next one. */
	for (way = 0; way < 3; way++) {
		test_queue(t);
		virtqueue_enable_cb(t->q->vq);
		drv_submit(&t->drv, 1, 1, 4);
		check_eq(drv_dev_serve(&t->drv, 1), 1);
		check(dev_interrupt(t->q));
		check_eq(drv_reap(&t->drv), 1);
		virtqueue_disable_cb(t->q->vq);
		enable_as(t, way);
		virtqueue_disable_cb(t->q->vq);
		drv_submit(&t->drv, 1, 1, 4);
		check_eq(drv_dev_serve(&t->drv, 1), 1);
		check(!dev_interrupt(t->q));
		check_eq(drv_reap(&t->drv), 1);
		dev_delete_queue(t->q);
		t->q = NULL;
	}
}

/* ---- nothing is lost ---- */

/*
 * A driver that does something only when it is interrupted, and a device that
 * works on its own time: between the driver's calls and at every barrier.
 */
struct napi {
	struct run *t;
	bool scheduled;
	u32 seed;
	unsigned int style;
};

static struct napi napi;

static void napi_callback(struct dev_queue *q)
{
	virtqueue_disable_cb(q->vq);
	napi.scheduled = true;
}

static u32 napi_random(u32 below)
{
	napi.seed = napi.seed * 1103515245 + 12345;
	return (napi.seed >> 16) % below;
}

static void napi_device(void *arg)
{
	struct run *t = arg;

	if (napi_random(3))
		return;
	drv_dev_serve(&t->drv, 1 + napi_random(3));
	if (napi_random(2))
		dev_interrupt(t->q);
}

static unsigned int napi_poll(struct run *t)
{
	unsigned int got = 0, state;
	bool again;

	napi.scheduled = false;
	do {
		virtqueue_disable_cb(t->q->vq);
		got += drv_reap(&t->drv);
		switch (napi.style) {
		case 0:
			again = !virtqueue_enable_cb(t->q->vq);
			break;
		case 1:
			again = !virtqueue_enable_cb_delayed(t->q->vq);
			break;
		default:
			state = virtqueue_enable_cb_prepare(t->q->vq);
			again = virtqueue_poll(t->q->vq, state);
		}
	} while (again);
	return got;
}

static void no_interrupt_is_lost(struct run *t)
{
	unsigned int total;

	test_queue(t);
	for (napi.style = 0; napi.style < 3; napi.style++) {
		total = 0;
		t->q->callback = napi_callback;
		napi.t = t;
		napi.seed = napi.style + 1;
		napi_poll(t);
		while (total < 70000) {
			unsigned int n = 1 + napi_random(t->num);

			/* The driver's own lock is off; here the device may run. */
			while (n-- && t->q->vq->num_free)
				drv_submit(&t->drv, 0, 1, 1);
			kernel_set_barrier_hook(napi_device, t);
			if (napi.scheduled)
				total += napi_poll(t);
			kernel_set_barrier_hook(NULL, NULL);
			if (napi_random(2))
				continue;
			/* The device finishes all, then falls silent. */
			drv_dev_serve(&t->drv, t->num);
			dev_interrupt(t->q);
			kernel_set_barrier_hook(napi_device, t);
			while (napi.scheduled)
				total += napi_poll(t);
			kernel_set_barrier_hook(NULL, NULL);
			dev_interrupt(t->q);
			while (napi.scheduled)
				total += napi_poll(t);
			if (t->drv.queued)
				fail("%u used buffers and no interrupt for them",
				     t->drv.queued);
		}
	}
}

/* The device sleeps when it finds nothing, having asked to be woken first. */
struct sleeper {
	struct run *t;
	unsigned int notified;
	bool asleep;
};

static struct sleeper sleeper;

static void sleeper_step(void *arg)
{
	struct run *t = arg;

	if (sleeper.asleep && t->q->notified == sleeper.notified)
		return;
	sleeper.asleep = false;
	dev_notify_never(t->q);
	if (drv_dev_serve(&t->drv, 1 + napi_random(2)))
		return;
	if (t->event)
		dev_notify_at(t->q, t->q->taken);
	else
		dev_notify_always(t->q);
	sleeper.notified = t->q->notified;
	if (!dev_pending(t->q, 1))
		sleeper.asleep = true;
}

static void no_notification_is_lost(struct run *t)
{
	unsigned int total = 0, i, n;

	test_queue(t);
	memset(&sleeper, 0, sizeof(sleeper));
	napi.seed = 7;
	sleeper_step(t);
	while (total < 70000) {
		n = 1 + napi_random(t->num);
		for (i = 0; i < n && t->q->vq->num_free; i++)
			drv_submit(&t->drv, 0, 1, 1);
		kernel_set_barrier_hook(sleeper_step, t);
		virtqueue_kick(t->q->vq);
		kernel_set_barrier_hook(NULL, NULL);
		for (i = 0; i < 2 * t->num + 2; i++)
			sleeper_step(t);
		total += drv_reap(&t->drv);
		if (t->drv.queued)
			fail("the device sleeps with %u requests available", t->drv.queued);
	}
}

static void polls_of_any_state(struct run *t)
{
	unsigned int i;

	test_queue(t);
	drv_submit(&t->drv, 1, 0, 8);
	drv_submit(&t->drv, 1, 2, 8);
	drv_submit(&t->drv, 0, 1, 8);
	check_eq(drv_dev_serve(&t->drv, 2), 2);
	for (i = 0; i < t->num; i++) {
		virtqueue_poll(t->q->vq, i);
		virtqueue_poll(t->q->vq, i | 0x8000);
	}
	check_eq(drv_reap(&t->drv), 2);
}

const struct test event_tests[] = {
	{ "a kick notifies a device that wants it", kick_notifies, AXIS_EVENT | AXIS_NUM },
	{ "a kick does not notify a device that does not want it", kick_is_suppressed,
	  AXIS_EVENT | AXIS_NUM },
	{ "with event index a kick notifies exactly when it passes the event",
	  notified_at_event, AXIS_INDIRECT },
	{ "events are met after the indexes have wrapped", notified_at_event_after_wrap,
	  AXIS_NUM },
	{ "an event inside of a chain notifies", notified_inside_chain, ONLY_PACKED },
	{ "a driver that hardly kicks notifies all the same", rarely_kicked, 0 },
	{ "a failed notification breaks the queue", failed_notify_breaks, 0 },
	{ "notification data says what comes next", notification_data, AXIS_NUM },
	{ "an interrupt without used buffers is none of ours", interrupt_without_work,
	  AXIS_EVENT },
	{ "an interrupt on a broken queue calls nobody", interrupt_when_broken, AXIS_EVENT },
	{ "a queue that is broken meanwhile says nothing about a bad id", broken_meanwhile, 0 },
	{ "a queue without callback asks for no interrupts", no_callback_no_interrupts,
	  AXIS_EVENT },
	{ "the first buffer used after the driver has looked interrupts",
	  first_used_interrupts, AXIS_EVENT },
	{ "the first callback of a new queue can disable callbacks", first_callback_disables,
	  AXIS_EVENT },
	{ "with event index one interrupt comes until the driver has looked",
	  one_interrupt_until_reaped, 0 },
	{ "no interrupt comes while callbacks are disabled", disabled_means_none, AXIS_EVENT },
	{ "callbacks are enabled whatever the device was told before",
	  enabled_whatever_the_device_was_told, AXIS_EVENT | NEEDS(RACE) },
	{ "a callback can disable callbacks", disabled_by_the_callback, AXIS_EVENT },
	{ "enabling callbacks shows what was used meanwhile", enabling_sees_what_is_used,
	  AXIS_EVENT },
	{ "delayed callbacks come after three quarters", delayed_until_three_quarters, 0 },
	{ "delayed callbacks without event index come at once", delayed_without_event_index,
	  0 },
	{ "callbacks enabled after an interrupt can be disabled again", disabled_after_enabled,
	  AXIS_EVENT },
	{ "no interrupt is lost however device and driver interleave", no_interrupt_is_lost,
	  AXIS_EVENT },
	{ "no notification is lost however device and driver interleave",
	  no_notification_is_lost, AXIS_EVENT },
	{ "polling with any state does no harm", polls_of_any_state, AXIS_EVENT },
	{ 0 }
};

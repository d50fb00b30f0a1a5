// SPDX-License-Identifier: GPL-2.0
/*
 * Faults instead of attacks: memory is short, or two calls of the driver run at
 * the same time.  The device obeys the rules.
 */
#include "attack.h"

/* virtqueue_disable_cb() on another CPU writes last, and then callbacks are enabled. */
static void callbacks_left_disabled(struct run *t, unsigned int step)
{
	test_queue(t);
	virtqueue_disable_cb(t->q->vq);
	check(virtqueue_enable_cb(t->q->vq));
	if (t->packed)
		dev_put16(t->q, t->q->avail + 2, VRING_PACKED_EVENT_FLAG_DISABLE);
	else if (!t->event)
		dev_put16(t->q, t->q->avail, VRING_AVAIL_F_NO_INTERRUPT);
	if (step)
		check(virtqueue_enable_cb_delayed(t->q->vq));
	else
		check(virtqueue_enable_cb(t->q->vq));
	attack_submit(t);
	attack_take(t);
	attack_finish(t, 0);
	harm_if(!dev_interrupt(t->q), "leaves callbacks disabled");
	attack_finish_from(t, 1);
	attack_settle_works(t);
}

/* The first mapping or allocation fails, or the second, and so on. */
static void cannot_map(struct run *t, unsigned int step)
{
	struct drv_req *r;
	bool fired;
	int err;

	test_queue(t);
	r = drv_req(&t->drv, 1, 2, 4096);
	fail_nth(step + 1);
	err = drv_add(&t->drv, r);
	fired = fail_nth_fired();
	fail_nth(0);
	if (err)
		drv_free(&t->drv, r);
	harm_if(err && (!fired || err != -ENOMEM), "takes a lack of memory for an I/O error");
	attack_settle(t);
}

static void resize_without_memory(struct run *t, unsigned int step)
{
	bool fired;
	int err;

	attack_queue(t);
	fail_nth(step + 1);
	err = attack_reset_or_resize(t, true);
	fired = fail_nth_fired();
	fail_nth(0);
	harm_if(err != (fired ? -ENOMEM : 0), "returns the wrong error");
	if (t->drv.queued)
		attack_finish_from(t, 0);
	attack_settle_works(t);
}

const struct attack fault_attacks[] = {
	{ "callbacks disabled while they are enabled", callbacks_left_disabled, HARMLESS,
	  AXIS_EVENT, 2 },
	{ "no memory to map a request", cannot_map, HARMLESS, AXIS_ACCESS | AXIS_INDIRECT, 5 },
	{ "no memory to resize", resize_without_memory, HARMLESS, RING, 6 },
	{ 0 }
};

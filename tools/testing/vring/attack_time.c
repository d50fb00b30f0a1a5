// SPDX-License-Identifier: GPL-2.0
/*
 * Attacks that depend on time: writes between two reads, endless interrupts,
 * random events, and writes around a reset or after completion.
 */
#include "attack.h"

#define STORM	10000

static void events_at_random(struct run *t, unsigned int step)
{
	u32 seed = step + 1;
	unsigned int i;

	test_queue(t);
	for (i = 0; i < 600; i++) {
		u64 event = t->packed ? t->q->used :
			    t->event ? t->q->used + 4 + 8 * t->num : t->q->used;

		dev_put16(t->q, event, attack_random(&seed));
		if (t->packed)
			dev_put16(t->q, event + 2, attack_random(&seed));
		drv_submit(&t->drv, 1, 1, 4);
		check(virtqueue_kick(t->q->vq));
		check_eq(drv_dev_serve(&t->drv, 1), 1);
		check_eq(drv_reap(&t->drv), 1);
	}
	attack_settle_works(t);
}

/* ---- between two reads ---- */

static u32 mind;

static void change_anything(void *arg)
{
	struct run *t = arg;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		attack_random(&mind);
		if (t->packed)
			dev_put16(t->q, t->q->desc + 16 * ((mind >> 8) % t->num) + 12,
				  mind >> 20);
		else
			dev_put32(t->q, t->q->used + 4 + 8 * ((mind >> 8) % t->num),
				  mind >> 24);
	}
	if (!t->packed && !(mind & 0x300))
		dev_put16(t->q, t->q->used + 2, mind >> 16);
}

static void changes_of_mind(struct run *t, unsigned int step)
{
	unsigned int lap;

	for (lap = 0; lap < 30; lap++) {
		mind = 30 * step + lap;
		test_queue(t);
		attack_submit(t);
		drv_dev_serve(&t->drv, 2);
		kernel_set_barrier_hook(change_anything, t);
		virtqueue_enable_cb(t->q->vq);
		while (attack_get(t))
			;
		virtqueue_enable_cb_delayed(t->q->vq);
		kernel_set_barrier_hook(NULL, NULL);
		attack_settle(t);
	}
}

/* Where the driver looks for what is used next, and its id. */
static u64 next_used(struct run *t)
{
	return t->packed ? t->q->desc : t->q->used + 4;
}

static void change_id(void *arg)
{
	struct run *t = arg;

	if (t->packed)
		dev_put16(t->q, next_used(t) + 12, 16);
	else
		dev_put32(t->q, next_used(t), 16);
}

/* By the time that the driver has seen the index or the flags, the id is another. */
static void id_changes(struct run *t, unsigned int step)
{
	attack_queue(t);
	attack_finish(t, 0);
	kernel_set_barrier_hook(change_id, t);
	check(!attack_get(t));
	attack_settle(t);
}

static void change_length(void *arg)
{
	struct run *t = arg;

	dev_put32(t->q, next_used(t) + (t->packed ? 8 : 4), 0xffffffff);
}

static void length_changes(struct run *t, unsigned int step)
{
	static struct served s;
	struct drv_req *r;

	test_queue(t);
	r = drv_submit(&t->drv, 0, 1, 8);
	check(drv_dev_take(&t->drv, &s));
	drv_dev_finish(&t->drv, &s, 8, 8);
	kernel_set_barrier_hook(change_length, t);
	attack_get_length(t, r, 8);
	attack_settle_works(t);
}

static void take_back(void *arg)
{
	struct run *t = arg;

	if (t->packed)
		dev_put16(t->q, next_used(t) + 14, 0x80);
	else
		dev_put16(t->q, t->q->used + 2, 0);
}

/* Used, and then not used: the driver has seen it, and that is that. */
static void used_taken_back(struct run *t, unsigned int step)
{
	attack_queue(t);
	attack_finish(t, 0);
	kernel_set_barrier_hook(take_back, t);
	attack_get(t);
	kernel_set_barrier_hook(NULL, NULL);
	attack_settle_unused(t);
}

/* ---- interrupts ---- */

/* @often interrupts; how many of them were for the queue. */
static unsigned int storm(struct run *t, unsigned int often)
{
	unsigned int handled = 0;

	while (often--)
		handled += vring_interrupt(0, t->q->vq) == IRQ_HANDLED;
	return handled;
}

static void storm_of_nothing(struct run *t, unsigned int step)
{
	attack_queue(t);
	harm_if(storm(t, STORM) || t->q->callbacks, "calls the driver for nothing");
	attack_finish_from(t, 0);
	attack_settle_works(t);
}

static void storm_of_one(struct run *t, unsigned int step)
{
	attack_queue(t);
	attack_finish(t, 0);
	check_eq(storm(t, STORM), STORM);
	check_eq(t->q->callbacks, STORM);
	harm_if(attack_reap(t) != 1, "loses a request");
	harm_if(storm(t, STORM) || t->q->callbacks != STORM, "calls the driver for nothing");
	attack_finish_from(t, 1);
	attack_settle_works(t);
}

static void storm_when_broken(struct run *t, unsigned int step)
{
	attack_queue(t);
	attack_break(t);
	storm(t, STORM);
	harm_if(t->q->callbacks, "a broken queue calls the driver");
	attack_settle(t);
}

static void interrupt_now(void *arg)
{
	struct run *t = arg;

	vring_interrupt(0, t->q->vq);
}

/* In the middle of adding, kicking, reaping and enabling. */
static void interrupts_anywhere(struct run *t, unsigned int step)
{
	unsigned int lap;

	test_queue(t);
	kernel_set_barrier_hook(interrupt_now, t);
	for (lap = 0; lap < 20; lap++) {
		virtqueue_disable_cb(t->q->vq);
		attack_submit(t);
		virtqueue_kick(t->q->vq);
		attack_take(t);
		attack_finish_from(t, 0);
		virtqueue_enable_cb_delayed(t->q->vq);
		check_eq(attack_reap(t), VICTIMS);
		virtqueue_enable_cb(t->q->vq);
	}
	kernel_set_barrier_hook(NULL, NULL);
	attack_settle_works(t);
}

/* ---- around a reset ---- */

static void scribble_in_reset(struct dev_queue *q)
{
	u32 seed = 7, i;

	for (i = 0; i < 16 * q->num; i += 4)
		dev_put32(q, q->desc + i, attack_random(&seed));
	dev_put32(q, q->used, attack_random(&seed));
	vring_interrupt(0, q->vq);
}

static void reset_in_flight(struct run *t, unsigned int step)
{
	attack_queue(t);
	attack_finish(t, 0);
	t->q->in_reset = scribble_in_reset;
	check_eq(attack_reset_or_resize(t, step), 0);
	harm_if(t->drv.queued, "loses a request");
	attack_settle_works(t);
}

static void interrupt_in_reset(struct dev_queue *q)
{
	vring_interrupt(0, q->vq);
}

static void interrupted_reset(struct run *t, unsigned int step)
{
	attack_queue(t);
	attack_finish(t, 0);
	t->q->in_reset = interrupt_in_reset;
	check_eq(attack_reset_or_resize(t, step), 0);
	harm_if(t->q->callbacks, "calls the driver in the middle of a reset");
	attack_settle_works(t);
}

/* The device refuses, having made a mess: what is in flight has to come back yet. */
static void reset_refused(struct run *t, unsigned int step)
{
	attack_queue(t);
	t->q->in_reset = scribble_in_reset;
	t->q->reset_fails = true;
	check_eq(attack_reset_or_resize(t, step), -EIO);
	attack_settle(t);
}

static void used_from_before_reset(struct run *t, unsigned int step)
{
	unsigned int i;

	attack_queue(t);
	check_eq(attack_reset_or_resize(t, step), 0);
	for (i = 0; i < VICTIMS; i++)
		dev_forge_used(t->q, victim[i].req.id, 8);
	attack_settle(t);
}

static void reset_when_broken(struct run *t, unsigned int step)
{
	attack_queue(t);
	attack_break(t);
	check_eq(attack_reset_or_resize(t, step), 0);
	harm_if(t->drv.queued, "loses a request");
	attack_settle(t);
}

/* ---- after completion ---- */

/*
 * The device keeps an address for later.  A device with the whole memory before
 * it cannot be stopped; behind an IOMMU or a bounce buffer the driver's memory
 * is its own again, and so is what it adds next.
 */
static void write_after_completion(struct run *t, unsigned int step)
{
	static struct served now;
	const struct dev_seg *seg;
	struct drv_req *r;
	unsigned int i, k;

	if (!test_translated(t) && !test_bounced(t))
		attack_void(NULL);
	attack_queue(t);
	attack_finish_from(t, 0);
	harm_if(attack_reap(t) != VICTIMS, "loses a request");
	for (i = 0; i < VICTIMS; i++)
		for (k = 0; k < victim[i].req.nseg; k++) {
			seg = &victim[i].req.seg[k];
			if (dev_reaches(t->q, seg->addr, seg->len, true))
				memset(dev_ptr(t->q, seg->addr, seg->len, true), 0xee,
				       seg->len);
		}
	for (i = 0; i < VICTIMS; i++)
		drv_check_content(&t->drv, victim[i].from);
	/* Less than there is room for: the rest is what the driver had there. */
	r = drv_submit(&t->drv, 1, 3, 8);
	check(drv_dev_take(&t->drv, &now));
	drv_dev_finish(&t->drv, &now, 3, 24);
	check(attack_get(t) == r);
	attack_settle_works(t);
}

const struct attack time_attacks[] = {
	{ "event fields at random", events_at_random, HARMLESS, AXIS_EVENT, 5 },
	{ "anything changed between two reads", changes_of_mind, EITHER,
	  AXIS_INDIRECT | AXIS_EVENT | AXIS_PREMAPPED, 10 },
	{ "used id changed between two reads", id_changes, BREAKS, ATTACK_ALL },
	{ "used length changed between two reads", length_changes, HARMLESS, ATTACK_ALL },
	{ "used, taken back between two reads", used_taken_back, EITHER, ATTACK_ALL },
	{ "interrupts without end, nothing used", storm_of_nothing, HARMLESS, AXIS_EVENT },
	{ "interrupts without end, one used", storm_of_one, HARMLESS, AXIS_EVENT },
	{ "interrupts without end, queue broken", storm_when_broken, BREAKS, AXIS_EVENT },
	{ "interrupts in the middle of everything", interrupts_anywhere, HARMLESS, ATTACK_ALL },
	{ "reset in mid-flight, ring overwritten", reset_in_flight, HARMLESS, RING, 2 },
	{ "interrupt in the middle of a reset", interrupted_reset, HARMLESS, RING, 2 },
	{ "reset refused, ring overwritten", reset_refused, EITHER, RING, 2 },
	{ "used after a reset what was before it", used_from_before_reset, BREAKS, RING, 2 },
	{ "reset of a queue that is broken", reset_when_broken, EITHER, RING, 2 },
	{ "buffers written after completion", write_after_completion, HARMLESS,
	  AXIS_ACCESS | AXIS_INDIRECT },
	{ 0 }
};

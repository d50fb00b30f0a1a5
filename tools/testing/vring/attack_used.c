// SPDX-License-Identifier: GPL-2.0
/*
 * Attacks on what the driver reads: used ids and lengths, the used index, and
 * the flags of packed descriptors.
 */
#include "attack.h"

static void id_out_of_range(struct run *t, unsigned int step)
{
	static const u32 ids[] = { 16, 17, 255, 0x7fff, 0x8000, 0xffff };

	test_queue(t);
	attack_submit(t);
	dev_forge_used(t->q, ids[step], 0);
	attack_settle_unused(t);
}

static void id_beyond_16_bits(struct run *t, unsigned int step)
{
	static const u32 ids[] = { 0x10000, 0x10001, 0x80000000, 0xffffffff };

	test_queue(t);
	attack_submit(t);
	dev_forge_used(t->q, ids[step], 0);
	attack_settle_unused(t);
}

/* What broke the queue is put right, and that is too late. */
static void id_put_right(struct run *t, unsigned int step)
{
	attack_queue(t);
	attack_break(t);
	if (t->packed)
		dev_put16(t->q, t->q->desc + 12, victim[0].req.id);
	else
		dev_put32(t->q, t->q->used + 4, victim[0].req.id);
	harm_if(attack_get(t), "a broken queue gives buffers back");
	attack_settle(t);
}

static void id_never_offered(struct run *t, unsigned int step)
{
	static struct dev_req r;
	bool known[16] = { 0 };
	unsigned int i;

	test_queue(t);
	attack_submit(t);
	while (dev_take(t->q, &r))
		known[r.id] = true;
	for (i = 0; known[i]; i++)
		;
	dev_forge_used(t->q, i, 0);
	attack_settle_unused(t);
}

static void id_inside_chain(struct run *t, unsigned int step)
{
	static struct dev_req r;

	t->indirect = false;
	test_device(t, test_features(t));
	test_queue(t);
	drv_submit_as(&t->drv, 2, 3, 8, DRV_SGS_EACH);
	check(dev_take(t->q, &r));
	check_eq(r.ndesc, 5);
	dev_forge_used(t->q, (r.id + 1) % t->num, 0);
	attack_settle_unused(t);
}

static void id_twice(struct run *t, unsigned int step)
{
	attack_queue(t);
	attack_finish(t, 0);
	dev_forge_used(t->q, victim[0].req.id, 0);
	check(attack_get(t) == victim[0].from);
	attack_settle_unused(t);
}

/* The request that has the id now is another one, and its buffers are untouched. */
static void id_again_later(struct run *t, unsigned int step)
{
	static struct served s;
	struct drv_req *r;

	attack_queue(t);
	attack_finish(t, 0);
	check(attack_get(t) == victim[0].from);
	r = drv_submit(&t->drv, 0, 1, 8);
	check(drv_dev_take(&t->drv, &s));
	dev_forge_used(t->q, s.req.id, 8);
	check(attack_get(t) == r);
	dev_forge_used(t->q, s.req.id, 8);
	attack_settle_unused(t);
}

static void used_on_empty_queue(struct run *t, unsigned int step)
{
	test_queue(t);
	dev_forge_used(t->q, 0, 0);
	attack_settle_unused(t);
}

/* More than was given; entry 0 would even name a request. */
static void index_jumps(struct run *t, unsigned int step)
{
	static const u16 jumps[] = { 4, 16, 17, 0x7fff, 0x8000, 0xfffd, 0xffff };

	test_queue(t);
	attack_submit(t);
	dev_put16(t->q, t->q->used + 2, jumps[step]);
	attack_settle_unused(t);
}

static void index_goes_back(struct run *t, unsigned int step)
{
	static const u16 to[] = { 1, 0, 0xffff };

	attack_queue(t);
	attack_finish(t, 0);
	attack_finish(t, 1);
	check_eq(attack_reap(t), 2);
	dev_put16(t->q, t->q->used + 2, to[step]);
	attack_settle_unused(t);
}

static void length_too_long(struct run *t, unsigned int step)
{
	static const u32 lens[] = { 25, 4096, 0x7fffffff, 0xffffffff };
	static struct served s;
	struct drv_req *r;

	test_queue(t);
	r = drv_submit(&t->drv, 2, 3, 8);
	check(drv_dev_take(&t->drv, &s));
	drv_dev_finish(&t->drv, &s, 24, lens[step]);
	check_eq(attack_get_length(t, r, 24), 24);

	/* Nothing was writable, and the device says it wrote. */
	r = drv_submit(&t->drv, 1, 0, 8);
	check(drv_dev_take(&t->drv, &s));
	drv_dev_finish(&t->drv, &s, 0, lens[step]);
	attack_get_length(t, r, 0);
	check_eq(kernel_take_messages(SHIM_INFO, NULL), 0);
	attack_settle_works(t);
}

/*
 * What was not written must not be another request's: first a queue full of
 * other data, then one whose lengths are lies.
 */
static void length_a_lie(struct run *t, unsigned int step)
{
	static const u32 written[] = { 0, 24, 7 }, said[] = { 24, 0, 23 };
	static struct served s;
	unsigned int i;

	test_queue(t);
	drv_check_works(&t->drv);
	for (i = 0; i < 20; i++) {
		drv_submit_as(&t->drv, 1, 3, 8, i & 1 ? DRV_SGS : DRV_SGS_EACH);
		check(drv_dev_take(&t->drv, &s));
		drv_dev_finish(&t->drv, &s, written[step], said[step]);
		check_eq(drv_reap(&t->drv), 1);
	}
	attack_settle_works(t);
}

static void flags_of_any_value(struct run *t, unsigned int step)
{
	u16 v = (step & 1 ? 0x80 : 0) | (step & 2 ? 0x8000 : 0);
	unsigned int slot;

	for (slot = 0; slot < 16; slot++) {
		test_queue(t);
		attack_submit(t);
		dev_put16(t->q, t->q->desc + 16 * slot + 14, v);
		attack_settle(t);
	}
}

static void flags_at_random(struct run *t, unsigned int step)
{
	u32 seed = step + 1;
	unsigned int lap, i;

	for (lap = 0; lap < 20; lap++) {
		test_queue(t);
		attack_submit(t);
		for (i = 0; i < 16; i++)
			dev_put16(t->q, t->q->desc + 16 * i + 14, attack_random(&seed));
		attack_settle(t);
	}
}

/* Used as the other lap would have it: not used. */
static void wrong_wrap(struct run *t, unsigned int step)
{
	unsigned int i;

	test_queue(t);
	attack_submit(t);
	for (i = 0; i < t->num; i++)
		dev_put16(t->q, t->q->desc + 16 * i + 14, 0);
	harm_if(virtqueue_get_buf(t->q->vq, &(unsigned int){ 0 }),
		"takes flags of the wrong lap for used");
	check(!virtqueue_is_broken(t->q->vq));
	check_eq(vring_interrupt(0, t->q->vq), IRQ_NONE);
	attack_settle_unused(t);
}

static void all_used(struct run *t, unsigned int step)
{
	unsigned int i;

	test_queue(t);
	attack_submit(t);
	for (i = 0; i < t->num; i++) {
		dev_put16(t->q, t->q->desc + 16 * i + 12, i);
		dev_put16(t->q, t->q->desc + 16 * i + 14, 0x8080);
	}
	attack_settle(t);
}

/* Not where the driver looks, since the device skips too much or too little. */
static void wrong_slot(struct run *t, unsigned int step)
{
	attack_queue(t);
	t->q->done += step ? 2 * t->num : t->num - 1;
	dev_forge_used(t->q, victim[0].req.id, 0);
	attack_settle(t);
}

const struct attack used_attacks[] = {
	{ "used id out of range", id_out_of_range, BREAKS, ATTACK_ALL, 6 },
	{ "used id beyond 16 bits", id_beyond_16_bits, BREAKS, ONLY_SPLIT | ATTACK_ALL, 4 },
	{ "used id put right when the queue is broken", id_put_right, BREAKS, ATTACK_ALL },
	{ "used id never offered", id_never_offered, BREAKS, ATTACK_ALL },
	{ "used id inside of a chain", id_inside_chain, BREAKS,
	  AXIS_ACCESS | AXIS_PREMAPPED },
	{ "the same used id twice", id_twice, BREAKS, ATTACK_ALL },
	{ "the same used id twice, in flight again", id_again_later, BREAKS, ATTACK_ALL },
	{ "used buffer on an empty queue", used_on_empty_queue, BREAKS, ATTACK_ALL },
	{ "used index jumps ahead", index_jumps, BREAKS, ONLY_SPLIT | ATTACK_ALL, 7 },
	{ "used index goes back", index_goes_back, BREAKS, ONLY_SPLIT | ATTACK_ALL, 3 },
	{ "used length beyond the buffer", length_too_long, HARMLESS, ATTACK_ALL, 4 },
	{ "used length not what was written", length_a_lie, HARMLESS, ATTACK_ALL, 3 },
	{ "used flags of any value in any descriptor", flags_of_any_value, EITHER,
	  ONLY_PACKED | RING, 4 },
	{ "flags at random in all descriptors", flags_at_random, EITHER,
	  ONLY_PACKED | RING, 3 },
	{ "used flags with the wrong wrap counter", wrong_wrap, HARMLESS,
	  ONLY_PACKED | ATTACK_ALL },
	{ "all descriptors used at once", all_used, EITHER, ONLY_PACKED | ATTACK_ALL },
	{ "used descriptor in the wrong slot", wrong_slot, EITHER, ONLY_PACKED | ATTACK_ALL, 2 },
	{ 0 }
};

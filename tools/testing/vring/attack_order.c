// SPDX-License-Identifier: GPL-2.0
/*
 * Attacks on VIRTIO_F_IN_ORDER, where one used entry stands for all requests up to
 * the one that it names, virtio 1.2 sections 2.7.9 and 2.8.9.
 */
#include "attack.h"

/* Requests of one descriptor each, so that the ids are 0, 1, 2, ... */
static void in_order_queue(struct run *t, unsigned int requests)
{
	test_device(t, BIT_ULL(VIRTIO_F_IN_ORDER) | test_features(t));
	vring_transport_features(&t->dev.vdev);
	/* The transport's own. */
	__virtio_set_bit(&t->dev.vdev, VIRTIO_F_RING_RESET);
	if (!virtio_has_feature(&t->dev.vdev, VIRTIO_F_IN_ORDER))
		attack_void("has no in-order mode");
	test_queue(t);
	while (requests--)
		drv_submit(&t->drv, 0, 1, 9);
}

/* A used entry that moves the split used index by @by. */
static void forge_batch(struct run *t, u32 id, u32 len, unsigned int by)
{
	dev_forge_used(t->q, id, len);
	t->q->done += by - 1;
	if (!t->packed)
		dev_put16(t->q, t->q->used + 2, t->q->done);
}

static void id_out_of_range(struct run *t, unsigned int step)
{
	in_order_queue(t, 4);
	forge_batch(t, 16, 1, 3);
	attack_settle_unused(t);
}

static void id_not_in_flight(struct run *t, unsigned int step)
{
	in_order_queue(t, 2);
	forge_batch(t, 9, 1, 2);
	attack_settle_unused(t);
}

/* The device has completed both with the first: the second says nothing new. */
static void id_twice(struct run *t, unsigned int step)
{
	in_order_queue(t, 2);
	forge_batch(t, 1, 1, 1);
	forge_batch(t, 1, 1, 1);
	attack_settle(t);
}

static void backwards(struct run *t, unsigned int step)
{
	unsigned int i;

	in_order_queue(t, 4);
	for (i = 4; i--; )
		forge_batch(t, i, 1, 1);
	attack_settle(t);
}

/* The last of the batch, while the index moves by less or by more. */
static void index_by_less(struct run *t, unsigned int step)
{
	in_order_queue(t, 6);
	forge_batch(t, 3, 1, 2);
	attack_settle(t);
}

static void index_by_more(struct run *t, unsigned int step)
{
	in_order_queue(t, 6);
	forge_batch(t, 1, 1, 4);
	attack_settle(t);
}

static void length_too_long(struct run *t, unsigned int step)
{
	unsigned int i;

	in_order_queue(t, 3);
	forge_batch(t, 2, 0xffffffff, 3);
	for (i = 0; i < 3; i++)
		harm_if(!attack_get(t), "loses a request");
	attack_settle(t);
}

/* Half of a batch is reaped, and the other half added again. */
static void batch_again(struct run *t, unsigned int step)
{
	in_order_queue(t, 4);
	forge_batch(t, 3, 1, 4);
	check(attack_get(t));
	check(attack_get(t));
	drv_submit(&t->drv, 0, 1, 9);
	forge_batch(t, 3, 1, 1);
	attack_settle(t);
}

static void reset_in_batch(struct run *t, unsigned int step)
{
	in_order_queue(t, 4);
	forge_batch(t, 3, 1, 4);
	check(attack_get(t));
	check_eq(virtqueue_reset(t->q->vq, attack_recycle, NULL), 0);
	harm_if(t->drv.queued, "loses a request");
	attack_settle_works(t);
}

static void at_random(struct run *t, unsigned int step)
{
	unsigned int lap, i;
	u32 seed = step + 1;
	struct drv_req *r;

	for (lap = 0; lap < 20; lap++) {
		in_order_queue(t, 8);
		for (i = 0; i < 4; i++) {
			forge_batch(t, attack_random(&seed) % 10, attack_random(&seed) % 12,
				    attack_random(&seed) % 5 + 1);
			attack_get(t);
			r = drv_req(&t->drv, 0, 1, 9);
			if (drv_add(&t->drv, r))
				drv_free(&t->drv, r);
		}
		attack_settle(t);
	}
}

const struct attack order_attacks[] = {
	{ "in order: used id out of range", id_out_of_range, BREAKS, ATTACK_ALL },
	{ "in order: used id not in flight", id_not_in_flight, BREAKS, ATTACK_ALL },
	{ "in order: the same used id twice", id_twice, HARMLESS, ATTACK_ALL },
	{ "in order: backwards", backwards, HARMLESS, ATTACK_ALL },
	{ "in order: index moves by less than the batch", index_by_less, BREAKS,
	  ONLY_SPLIT | ATTACK_ALL },
	{ "in order: index moves by more than the batch", index_by_more, BREAKS,
	  ONLY_SPLIT | ATTACK_ALL },
	{ "in order: used length beyond the buffer", length_too_long, HARMLESS, ATTACK_ALL },
	{ "in order: a batch used again before it is reaped", batch_again, EITHER, ATTACK_ALL },
	{ "in order: reset in the middle of a batch", reset_in_batch, HARMLESS, ATTACK_ALL },
	{ "in order: batches at random", at_random, EITHER,
	  RING, 3 },
	{ 0 }
};

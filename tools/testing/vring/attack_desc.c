// SPDX-License-Identifier: GPL-2.0
/*
 * Attacks on what the driver wrote and need not read again.  The device
 * rewrites descriptors, indirect tables and the available ring while requests
 * are in flight.
 */
#include "attack.h"

#define F_NEXT		1
#define F_WRITE		2
#define F_INDIRECT	4
#define DESCS		64

/* Each way in which requests come back to the driver. */
static void end_somehow(struct run *t, unsigned int step)
{
	switch (step) {
	case 0:
		attack_finish_backwards(t);
		attack_settle_works(t);
		break;
	case 1:
		/* The device goes away. */
		attack_settle(t);
		break;
	default:
		check_eq(attack_reset_or_resize(t, step == 3), 0);
		harm_if(t->drv.queued, "loses a request");
		attack_settle_works(t);
	}
}

#define ENDS	4

/* ---- one field of each descriptor ---- */

enum field { ADDR, OTHER_ADDR, LEN, DIRECTION, NEXT_SET, NEXT_CLEAR, NEXT, INDIRECT };

#define TABLES	0x100

/* DMA addresses of a victim's descriptors in the ring, from @d on; how many. */
static unsigned int find_descs(struct run *t, unsigned int nth, u64 *d)
{
	const struct dev_req *r = &victim[nth].req;
	u64 at = t->q->taken, i;

	if (t->packed) {
		for (i = VICTIMS; i-- > nth; )
			at -= victim[i].req.ndesc;
		for (i = 0; i < r->ndesc; i++)
			d[i] = t->q->desc + 16 * ((at + i) % t->num);
		return r->ndesc;
	}
	d[0] = t->q->desc + 16 * r->id;
	for (i = 1; i < r->ndesc; i++)
		d[i] = t->q->desc + 16 * dev_get16(t->q, d[i - 1] + 14);
	return r->ndesc;
}

/* The same of the entries of its table. */
static unsigned int find_entries(struct run *t, unsigned int nth, u64 *d)
{
	unsigned int i, n;
	u64 table;

	find_descs(t, nth, d);
	if (!victim[nth].req.indirect)
		return 0;
	table = dev_get64(t->q, d[0]);
	n = dev_get32(t->q, d[0] + 8) / 16;
	for (i = 0; i < n; i++)
		d[i] = table + 16 * i;
	return n;
}

static void rewrite_field(struct run *t, u8 *d, enum field field, u64 other)
{
	u16 *flags = (u16 *)(d + (t->packed ? 14 : 12));
	/* Next descriptor, or the id in the packed layout. */
	u16 *next = (u16 *)(d + (t->packed ? 12 : 14));

	switch (field) {
	case ADDR:
		*(u64 *)d += 0x123450;
		break;
	case OTHER_ADDR:
		*(u64 *)d = other;
		break;
	case LEN:
		*(u32 *)(d + 8) += 4;
		break;
	case DIRECTION:
		*flags ^= F_WRITE;
		break;
	case NEXT_SET:
		*flags |= F_NEXT;
		break;
	case NEXT_CLEAR:
		*flags &= ~F_NEXT;
		break;
	case NEXT:
		*next = 0;
		break;
	case INDIRECT:
		*flags ^= F_INDIRECT;
		break;
	}
}

/* attack_what: the field, and TABLES if that of the entries of tables. */
static void rewrite(struct run *t, unsigned int step)
{
	enum field field = attack_what & ~TABLES;
	unsigned int n = 0, i;
	u64 d[DESCS];
	u8 *p;

	attack_queue(t);
	for (i = 0; i < VICTIMS; i++)
		n += attack_what & TABLES ? find_entries(t, i, d + n) :
					    find_descs(t, i, d + n);
	if (!n)
		fail("no descriptor is in flight");
	for (i = 0; i < n; i++) {
		p = attack_memory(t, d[i], 16);
		if (!p)
			attack_void("the IOMMU forbids it");
		rewrite_field(t, p, field, victim[VICTIMS - 1].req.seg[0].addr);
	}
	end_somehow(t, step);
}

/* A chain that never ends, through the whole ring. */
static void endless_chain(struct run *t, unsigned int step)
{
	unsigned int i;

	attack_queue(t);
	for (i = 0; i < t->num; i++)
		dev_put16(t->q, t->q->desc + 16 * i + 12, F_NEXT);
	end_somehow(t, step);
}

/* ---- all of it ---- */

static void scribble(struct run *t, u64 addr, size_t len, u32 *seed, unsigned int how)
{
	u8 *p = attack_memory(t, addr, len);

	while (p && len--)
		*p++ = how == 0 ? 0 : how == 1 ? 0xff : attack_random(seed) >> 8;
}

static void scribble_tables(struct run *t, u32 *seed, unsigned int how)
{
	unsigned int i, n;
	u64 d[DESCS];

	for (i = 0; i < VICTIMS; i++) {
		n = find_entries(t, i, d);
		if (n)
			scribble(t, d[0], 16 * n, seed, how);
	}
}

/* Descriptors, tables, available ring and flags: all that is the driver's. */
static void scribble_all(struct run *t, u32 *seed, unsigned int how)
{
	u64 at;
	unsigned int i;

	scribble_tables(t, seed, how);
	if (!t->packed) {
		scribble(t, t->q->desc, 16 * t->num, seed, how);
		scribble(t, t->q->avail + 4, 2 * t->num, seed, how);
		return;
	}
	/* Addresses, lengths and ids of those in flight; flags stay as not used. */
	at = t->q->taken;
	for (i = 0; i < VICTIMS; i++)
		at -= victim[i].req.ndesc;
	for (; at < t->q->taken; at++)
		scribble(t, t->q->desc + 16 * (at % t->num), 14, seed, how);
}

static void scribble_and_complete(struct run *t, unsigned int step)
{
	unsigned int lap;
	u32 seed = 1;

	test_queue(t);
	for (lap = 0; lap < 4; lap++) {
		attack_submit(t);
		attack_take(t);
		scribble_all(t, &seed, step);
		attack_finish_backwards(t);
		harm_if(attack_reap(t) != VICTIMS, "does not give back what the device used");
		attack_check_unmapped(t);
		harm_if(t->q->vq->num_free != t->num, "loses count of its descriptors");
	}
	attack_settle_works(t);
}

static void scribble_and_detach(struct run *t, unsigned int step)
{
	unsigned int split = 16 * 16 + 4 + 2 * 16;
	u32 seed = 3;

	test_queue(t);
	attack_submit(t);
	scribble(t, t->q->desc, t->packed ? 16 * t->num : split, &seed, step);
	scribble(t, t->q->used, 4, &seed, step);
	scribble(t, t->q->avail, 4, &seed, step);
	/* As on removal: nobody looks for what was used. */
	attack_detach(t);
	attack_settle(t);
}

static void avail_ring(struct run *t, unsigned int step)
{
	u32 seed = 5;

	attack_queue(t);
	scribble(t, t->q->avail, t->packed ? 4 : 4 + 2 * t->num + 2, &seed, 2);
	end_somehow(t, step);
}

#define TABLE	(AXIS_ACCESS | AXIS_PREMAPPED)

const struct attack desc_attacks[] = {
	{ "descriptors rewritten: address", rewrite, HARMLESS, RING, ENDS, ADDR },
	{ "descriptors rewritten: another's address", rewrite, HARMLESS, RING, ENDS, OTHER_ADDR },
	{ "descriptors rewritten: length", rewrite, HARMLESS, RING, ENDS, LEN },
	{ "descriptors rewritten: direction", rewrite, HARMLESS, RING, ENDS, DIRECTION },
	{ "descriptors rewritten: NEXT set", rewrite, HARMLESS, RING, ENDS, NEXT_SET },
	{ "descriptors rewritten: NEXT cleared", rewrite, HARMLESS, RING, ENDS, NEXT_CLEAR },
	{ "descriptors rewritten: next, or id", rewrite, HARMLESS, RING, ENDS, NEXT },
	{ "descriptors rewritten: INDIRECT", rewrite, HARMLESS, RING, ENDS, INDIRECT },
	{ "descriptors rewritten: an endless chain", endless_chain, HARMLESS, ONLY_SPLIT | RING,
	  ENDS },
	{ "tables rewritten: address", rewrite, HARMLESS, TABLE, ENDS, TABLES | ADDR },
	{ "tables rewritten: another's address", rewrite, HARMLESS, TABLE, ENDS,
	  TABLES | OTHER_ADDR },
	{ "tables rewritten: length", rewrite, HARMLESS, TABLE, ENDS, TABLES | LEN },
	{ "tables rewritten: direction", rewrite, HARMLESS, TABLE, ENDS, TABLES | DIRECTION },
	{ "tables rewritten: NEXT set", rewrite, HARMLESS, TABLE, ENDS, TABLES | NEXT_SET },
	{ "tables rewritten: NEXT cleared", rewrite, HARMLESS, TABLE, ENDS, TABLES | NEXT_CLEAR },
	{ "tables rewritten: next, or id", rewrite, HARMLESS, TABLE, ENDS, TABLES | NEXT },
	{ "tables rewritten: INDIRECT", rewrite, HARMLESS, TABLE, ENDS, TABLES | INDIRECT },
	{ "all the driver wrote overwritten", scribble_and_complete, HARMLESS, ATTACK_ALL, 3 },
	{ "the whole ring overwritten, then detached", scribble_and_detach, EITHER, ATTACK_ALL,
	  5 },
	{ "available ring and events overwritten", avail_ring, HARMLESS, RING, ENDS },
	{ 0 }
};

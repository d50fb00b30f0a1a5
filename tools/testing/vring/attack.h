/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A table of what a device can do that breaks the rules.  An attack is carried
 * out once for either layout and every combination of the axes that it asks for,
 * once for each of its steps there; what came of it is an outcome in words.  The
 * ring that this is compiled against may be ours, the base's, or the base's with the
 * fixes.
 */
#ifndef VRING_ATTACK_H
#define VRING_ATTACK_H

#include "test.h"

/* Axes of the attacks: a device can do the same whoever maps the buffers. */
#define RING		(AXIS_ACCESS | AXIS_INDIRECT | AXIS_PREMAPPED)
#define ATTACK_ALL	(RING | AXIS_EVENT)

/* What has to come of it with our ring. */
enum attack_end {
	EITHER,			/* one of the two below */
	BREAKS,			/* the queue is broken, with one message */
	HARMLESS,		/* the device harmed nobody but itself */
};

struct attack {
	const char *name;	/* what the device does */
	void (*fn)(struct run *t, unsigned int step);
	enum attack_end end;
	unsigned int axes;
	unsigned int steps;	/* 0 is 1 */
	unsigned int what;	/* attack_what, where attacks share fn */
};

/* Whether the ring is the base's, with the fixes or without. */
extern bool attack_stock;

/* What the attack's row says. */
extern unsigned int attack_what;

/* This was no attack: the ring lacks what it is about, or @why else; NULL: no matter. */
void attack_void(const char *why) __noreturn;

/* The attack did harm: say which, in words that fit into a table. */
void attack_harm(const char *what) __noreturn;

#define harm_if(cond, what)	do { if (cond) attack_harm(what); } while (0)

/*
 * The usual requests, several of them longer than a descriptor, and the device
 * takes them without completing any.
 */
#define VICTIMS	3
extern struct served victim[VICTIMS];

void attack_submit(struct run *t);
void attack_take(struct run *t);
void attack_queue(struct run *t);	/* a queue, and both */

/* The device completes victim @i, with all that it may write. */
void attack_finish(struct run *t, unsigned int i);

/* The same of @i and those after it, and of all in the opposite order. */
void attack_finish_from(struct run *t, unsigned int i);
void attack_finish_backwards(struct run *t);

/* The device breaks the queue. */
void attack_break(struct run *t);

/*
 * virtqueue_get_buf(), checked for what no device may achieve.  The request stays
 * allocated until attack_settle().
 */
struct drv_req *attack_get(struct run *t);

/*
 * The driver gets back @r, and frees it; the length that it is given, which must be
 * @most at most.
 */
unsigned int attack_get_length(struct run *t, struct drv_req *r, unsigned int most);

/* Take back everything used, with the lengths as reported; how much there was. */
unsigned int attack_reap(struct run *t);

/* Take back everything that is in the queue, as on removal; how much there was. */
unsigned int attack_detach(struct run *t);

/*
 * What came back is not mapped any more: neither by the ring nor, once that is
 * undone, by the driver of a premapped queue.
 */
void attack_check_unmapped(struct run *t);

/* For virtqueue_reset() and virtqueue_resize(). */
void attack_recycle(struct virtqueue *vq, void *buf);
extern struct run *attack_run;

/* One of these two, and what it returns. */
int attack_reset_or_resize(struct run *t, bool resize);

/*
 * What came of it: reap, look at the queue and the messages, detach what is left,
 * and look for anything lost, doubled or leaked.  The queue is deleted then.
 */
void attack_settle(struct run *t);

/* The same; the queue has to be empty and as good as new, unless it is broken. */
void attack_settle_works(struct run *t);

/* The same; what the device did not use must not come back before it is detached. */
void attack_settle_unused(struct run *t);

/* ---- what attacks are made of ---- */

/* The next of a series of random numbers. */
static inline u32 attack_random(u32 *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 8;
}

/*
 * Memory that the device is to write, though it may only read it.  Without an IOMMU
 * nothing stops it, and our ring is held to that everywhere; NULL if that were
 * unfair to the base's, since there is an IOMMU that forbids it.
 */
u8 *attack_memory(struct run *t, u64 addr, size_t len);

/* The tables of the side that this is compiled for, ended by one without a name. */
extern const struct attack used_attacks[], desc_attacks[], time_attacks[], order_attacks[],
			   fault_attacks[];

/* ---- between a side and attacks.c ---- */

/* Of which one is in the program for each ring. */
struct attack_side {
	/* The @i-th attack of the table, NULL if there are no more. */
	const struct attack *(*get)(unsigned int i);
	const char *(*access_name)(enum access access);

	/*
	 * Carry out @a from the @from-th time on; @stock: this is the base's ring.
	 * Writes records to @fd, a line each: "@N ACCESS INDIRECT PREMAPPED" before the
	 * N-th time, "=OUTCOME" after it, if any, "." at the end; or the last is "~HARM"
	 * or "!MESSAGE".
	 */
	void (*run)(bool stock, const struct attack *a, bool packed, unsigned int from, int fd);
};

/* attack.c's, renamed by the Makefile; not every base has fixes. */
extern const struct attack_side attack_side_ours, attack_side_stock;
extern const struct attack_side attack_side_fixed __attribute__((weak));

#endif

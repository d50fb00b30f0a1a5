// SPDX-License-Identifier: GPL-2.0
/*
 * The code that all attacks share.  It carries them out against the ring that
 * it is linked with, and writes the outcomes through a pipe to attacks.c.
 */
#include <stdio.h>
#include <unistd.h>
#include <sys/time.h>

#include "attack.h"

/* CPU time for one time: it hangs.  The base's ring does, so that has to be short. */
#define PATIENCE	{ .it_value.tv_sec = 10 }
#define PATIENCE_STOCK	{ .it_value.tv_usec = 250000 }
#define BACK		512

bool attack_stock;
unsigned int attack_what;
struct served victim[VICTIMS];
struct run *attack_run;

static const struct attack *attack;
static const char *outcome;
static char context[160];
static int out;

/* Requests that came back, of the queue as it is. */
static struct drv_req *back[BACK];
static unsigned int nback, given_len;

/* ---- records ---- */

static void __printf(1, 2) record(const char *fmt, ...)
{
	char line[400];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	len = min(len, (int)sizeof(line) - 2);
	line[len++] = '\n';
	if (write(out, line, len) != len)
		_exit(3);
}

void harness_context(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
}

void harness_fail(const char *file, int line, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	record("!%s [%s:%d; %s]", text, strrchr(file, '/') ? strrchr(file, '/') + 1 : file,
	       line, context);
	_exit(1);
}

void attack_harm(const char *what)
{
	record("~%s [%s]", what, context);
	_exit(1);
}

void attack_void(const char *why)
{
	record("=%s", why ? why : "");
	_exit(0);
}

/* ---- requests ---- */

void attack_submit(struct run *t)
{
	drv_submit(&t->drv, 1, 0, 8);
	drv_submit(&t->drv, 1, 2, 8);
	drv_submit(&t->drv, 0, 3, 8);
}

void attack_take(struct run *t)
{
	unsigned int i;

	for (i = 0; i < VICTIMS; i++)
		check(drv_dev_take(&t->drv, &victim[i]));
}

void attack_queue(struct run *t)
{
	test_queue(t);
	attack_submit(t);
	attack_take(t);
}

void attack_finish(struct run *t, unsigned int i)
{
	drv_dev_finish(&t->drv, &victim[i], victim[i].from->writable,
		       victim[i].from->writable);
}

void attack_finish_from(struct run *t, unsigned int i)
{
	for (; i < VICTIMS; i++)
		attack_finish(t, i);
}

void attack_finish_backwards(struct run *t)
{
	unsigned int i;

	for (i = VICTIMS; i--; )
		attack_finish(t, i);
}

void attack_break(struct run *t)
{
	dev_forge_used(t->q, 16, 0);
	check(!attack_get(t));
}

static void came_back(struct run *t, struct drv_req *r)
{
	harm_if(!r->queued, "gives a request back twice");
	r->queued = false;
	t->drv.queued--;
	check(nback < BACK);
	back[nback++] = r;
}

struct drv_req *attack_get(struct run *t)
{
	unsigned int len = 0xdead0000;
	struct drv_req *r = virtqueue_get_buf(t->q->vq, &len);

	if (!r)
		return NULL;
	came_back(t, r);
	harm_if(len > r->writable, "gives the driver a length beyond the buffer");
	given_len = len;
	drv_sync_premapped(&t->drv, r);
	drv_check_content(&t->drv, r);
	return r;
}

unsigned int attack_get_length(struct run *t, struct drv_req *r, unsigned int most)
{
	unsigned int len = 0;

	check(virtqueue_get_buf(t->q->vq, &len) == r);
	kernel_set_barrier_hook(NULL, NULL);
	harm_if(len > most, "gives the driver a length beyond the buffer");
	drv_take_back(&t->drv, r);
	return len;
}

unsigned int attack_reap(struct run *t)
{
	struct drv_req *r;
	unsigned int n = 0;

	while ((r = attack_get(t))) {
		harm_if(given_len != min_t(u64, r->reported, r->writable),
			"gives the driver another length");
		n++;
	}
	return n;
}

unsigned int attack_detach(struct run *t)
{
	struct drv_req *r;
	unsigned int n = 0;

	while ((r = virtqueue_detach_unused_buf(t->q->vq))) {
		came_back(t, r);
		n++;
	}
	return n;
}

void attack_recycle(struct virtqueue *vq, void *buf)
{
	check(attack_run->q->vq == vq);
	came_back(attack_run, buf);
	attack_run->drv.head = attack_run->drv.tail;
}

int attack_reset_or_resize(struct run *t, bool resize)
{
	return resize ? virtqueue_resize(t->q->vq, 32, attack_recycle, NULL) :
			virtqueue_reset(t->q->vq, attack_recycle, NULL);
}

void attack_check_unmapped(struct run *t)
{
	while (t->premapped && nback)
		drv_free(&t->drv, back[--nback]);
	harm_if(dma_stats(NULL).live_maps, "leaves a buffer mapped");
}

u8 *attack_memory(struct run *t, u64 addr, size_t len)
{
	if (attack_stock && test_translated(t) && !dev_reaches(t->q, addr, len, true))
		return NULL;
	return dev_ptr(t->q, addr, len, false);
}

/* ---- what came of it ---- */

/* A broken queue says so once, to everybody, and does nothing any more. */
static void check_broken(struct run *t)
{
	unsigned int callbacks = t->q->callbacks;
	struct drv_req *r = drv_req(&t->drv, 1, 1, 8);

	harm_if(virtqueue_get_buf(t->q->vq, &(unsigned int){ 0 }),
		"a broken queue gives buffers back");
	harm_if(drv_add(&t->drv, r) != -EIO, "a broken queue takes requests");
	drv_free(&t->drv, r);
	check_eq(vring_interrupt(0, t->q->vq), vring_interrupt(0, t->q->vq));
	harm_if(t->q->callbacks != callbacks, "a broken queue calls the driver");
	harm_if(kernel_take_messages(SHIM_WARN, NULL), "broken, message after message");
}

static void settle(struct run *t, bool works, bool all_served)
{
	unsigned int messages, i, detached;
	bool broken;

	for (i = 0; attack_get(t); i++)
		harm_if(all_served && !back[nback - 1]->served,
			"gives back what the device did not use");
	kernel_set_barrier_hook(NULL, NULL);

	broken = virtqueue_is_broken(t->q->vq);
	messages = kernel_take_messages(SHIM_WARN, NULL);
	harm_if(broken && !messages, "broken without a word");
	harm_if(broken && messages > 1, "broken, message after message");
	harm_if(!broken && messages, "messages, but not broken");
	if (broken)
		check_broken(t);

	detached = attack_detach(t);
	harm_if(t->drv.queued, "loses a request");
	harm_if(t->q->vq->num_free != virtqueue_get_vring_size(t->q->vq),
		"loses count of its descriptors");
	attack_check_unmapped(t);
	t->drv.head = t->drv.tail;
	if (works && !broken) {
		harm_if(detached, "does not give back what the device used");
		drv_check_works(&t->drv);
	}
	if (!attack_stock && attack->end == BREAKS)
		harm_if(!broken, "the queue should be broken");
	if (!attack_stock && attack->end == HARMLESS)
		harm_if(broken, "the queue should not be broken");

	while (nback)
		drv_free(&t->drv, back[--nback]);
	dev_delete_queue(t->q);
	if (broken || !outcome)
		outcome = broken ? "broken, 1 message" : "harmless";
}

void attack_settle(struct run *t)
{
	settle(t, false, false);
}

void attack_settle_works(struct run *t)
{
	settle(t, true, false);
}

void attack_settle_unused(struct run *t)
{
	settle(t, false, true);
}

/* ---- carrying them out ---- */

static const struct attack *get(unsigned int i)
{
	static const struct attack * const tables[] = {
		used_attacks, desc_attacks, time_attacks, order_attacks, fault_attacks,
	};
	unsigned int n;

	for (n = 0; n < ARRAY_SIZE(tables); n++) {
		const struct attack *a = tables[n];

		for (; a->name; a++)
			if (!i--)
				return a;
	}
	return NULL;
}

/* How the base's ring goes about mapping differs between these, not beyond. */
static bool differs(enum access access)
{
	return access == TRANSLATED || access == PHYSICAL || access == IDENTITY ||
	       access == BOUNCED;
}

static void run(bool stock, const struct attack *a, bool packed, unsigned int from, int fd)
{
	static const struct itimerval patience[] = { PATIENCE, PATIENCE_STOCK };
	unsigned int steps = a->steps ? a->steps : 1, at;
	static struct run t;

	attack_stock = stock;
	attack = a;
	attack_what = a->what;
	attack_run = &t;
	out = fd;
	for (at = from; test_variant(a->axes, packed, at / steps, &t); at++) {
		if (attack_stock && !differs(t.access))
			continue;
		dma_untracked_physical = stock && test_physical(&t);
		record("@%u %u %u %u", at, t.access, t.indirect, t.premapped);
		setitimer(ITIMER_PROF, &patience[stock], NULL);
		test_begin(&t, a->axes);
		outcome = NULL;
		nback = 0;
		drv_recycler = &t.drv;
		a->fn(&t, at % steps);
		test_end(&t);
		if (!outcome)
			fail("the attack says nothing of its outcome");
		record("=%s", outcome);
	}
	record(".");
}

const struct attack_side attack_side = {
	.get = get, .access_name = test_access_name, .run = run,
};

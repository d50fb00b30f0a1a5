/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The interface between the tests and the emulated kernel: failure injection,
 * captured messages, leak accounting, and the record of every DMA mapping.
 */
#ifndef VRING_HARNESS_H
#define VRING_HARNESS_H

#include <shim.h>

/* ---- verdicts ---- */

/* Say where and why, then end the test (or the fuzzer's run).  Never returns. */
void harness_fail(const char *file, int line, const char *fmt, ...)
	__printf(3, 4) __noreturn;

/* What the message of a failure says besides: the variant, the operation. */
void harness_context(const char *fmt, ...) __printf(1, 2);

#define fail(...)	harness_fail(__FILE__, __LINE__, __VA_ARGS__)
#define check(cond)	do { if (!(cond)) fail("not so: %s", #cond); } while (0)
#define check_eq(a, b)								\
	do {									\
		long long _a = (long long)(a), _b = (long long)(b);		\
		if (_a != _b)							\
			fail("%s is %lld, expected %s = %lld", #a, _a, #b, _b);	\
	} while (0)

/* ---- kernel.c ---- */

/* Forget everything: between two variants of a test. */
void kernel_reset(void);

/* Complain about what was left: allocations, locks, unread messages, warnings. */
void kernel_check_clean(void);

/*
 * Let the n-th allocation or mapping from now on fail (1 is the next), once;
 * 0 turns it off.
 */
void fail_nth(unsigned long n);

/* Whether the failure asked for has happened. */
bool fail_nth_fired(void);

/* Called by everything that can fail; true if it must. */
bool kernel_fail_now(void);

/* Whether something failed since fail_nth(), or every allocation does. */
bool kernel_short_of_memory(void);

/* Let every allocation fail, but no mapping, until turned off. */
void kernel_out_of_memory(bool out);

/* Allocations not yet freed, pages apart. */
unsigned long kernel_live_allocs(void);
unsigned long kernel_live_pages(void);

/* Allocations made so far, pages included. */
unsigned long kernel_allocs(void);

/* Whether this is a page from alloc_page(). */
bool kernel_is_page(const void *p);

/*
 * Number of messages of at least @level since the last call whose text has
 * @part; they count as expected from then on.
 */
unsigned int kernel_take_messages(enum shim_level level, const char *part);

/* Number of WARN_ON()s hit since the last call; they count as expected. */
unsigned int kernel_take_warnings(void);

/* Code runs in interrupt context: an allocation that may sleep is a failure. */
void kernel_set_atomic(bool atomic);

/* @hook runs at every barrier the ring executes, as a concurrent device would. */
void kernel_set_barrier_hook(void (*hook)(void *), void *arg);

/* Number of barriers of a kind that were executed. */
unsigned long kernel_barriers(enum shim_barrier kind);

/* Number of times that tracepoint @name was hit. */
unsigned long kernel_trace_hits(const char *name);

/* When work that is queued is done. */
enum kernel_work {
	WORK_LATER,			/* when kernel_do_work() is called, if ever */
	WORK_AT_ONCE,
};

void kernel_set_work(enum kernel_work when);

/* Do the work that is queued; how much there was. */
unsigned int kernel_do_work(void);

/*
 * Time goes on by @tick jiffies with each look at it, HZ by default: whoever
 * waits has waited.
 */
void kernel_set_tick(u64 tick);
void kernel_advance(u64 by);

extern bool shim_big_endian_guest;

/* ---- model_kmsan.c ---- */

/* All has been written, and nothing was reported. */
void kmsan_reset(void);

/* Nobody has written these bytes. */
void kmsan_poison(const void *p, size_t len);

/* How many of these bytes nobody has written. */
size_t kmsan_poisoned(const void *p, size_t len);

/*
 * Number of buffers since the last call that went to a device though nobody had
 * written all of their bytes.
 */
unsigned int kmsan_take_reports(void);

/* ---- model_dma.c ---- */

/*
 * A scatterlist is one mapping.  Pages from alloc_page() are counted apart:
 * only the ring's cells are such, and they stay.
 */
struct dma_stats {
	unsigned long maps;		/* streaming mappings made */
	unsigned long live_maps;	/* and not yet undone */
	unsigned long optional;		/* not counted there, see dma_accounted */
	unsigned long live_cells;	/* pages of cells that are mapped */
	unsigned long coherent;		/* coherent allocations made */
	unsigned long live_coherent;
};

/* Counters of @dev, or of all devices together if NULL. */
struct dma_stats dma_stats(const struct device *dev);

void dma_reset(void);

/*
 * The architecture has mapping operations of its own from now on: they
 * translate for every device that was not given others.
 */
void dma_arch_has_ops(void);

/*
 * Every mapping has to be undone, as with CONFIG_DMA_API_DEBUG.  Else it need
 * not be where that would do nothing, and the model forgets such a mapping when
 * its memory is mapped again.
 */
extern bool dma_accounted;

/*
 * The longest range of IOVAs in bytes that is still to be had, 0 for no limit;
 * a page is always to be had.
 */
extern size_t dma_iova_limit;

/*
 * Every buffer has room in memory that is shared for good: a mapping that
 * somebody else than a driver makes is a failure, unless memory is short just
 * then.
 */
extern bool dma_shared_only;

/* DMA_ATTR_* of the last page that was mapped. */
extern unsigned long dma_last_attrs;

/* The length of swiotlb in bytes, SIZE_MAX if it grows.  It never runs dry. */
extern size_t dma_pool_size;

/* Bytes of that which other devices use. */
extern size_t dma_pool_used;

/*
 * What the device finds, and leaves, where the driver handed a buffer over with
 * DMA_FROM_DEVICE and the device does not see the CPU's caches: nobody has
 * written back what was there.
 */
#define DMA_STALE	0xd5

/* Complain about a mapping or a coherent allocation that is still there. */
void dma_check_clean(void);

/*
 * dma_access - the memory behind a DMA address, as a device sees it
 * @dev: the device whose mappings count
 * @addr: DMA address
 * @len: number of bytes wanted
 * @write: whether the device means to write
 * @got: how many bytes may be accessed at the returned pointer, at most @len
 *
 * Returns NULL, with a reason in @why, if no mapping of @dev allows it.
 */
void *dma_access(const struct device *dev, dma_addr_t addr, size_t len, bool write,
		 size_t *got, const char **why);

/* Whether @addr is in one of the ring's cells, or in memory that is shared for good. */
bool dma_in_cell(const struct device *dev, dma_addr_t addr);

/* Physical memory begins at @base from now on; for tests of DMA masks. */
void dma_set_phys_base(phys_addr_t base);

/*
 * Physical memory may be reached without a mapping by devices that do not
 * negotiate ACCESS_PLATFORM, whatever DMA_API_DEBUG, swiotlb or the
 * architecture say: how the base's ring works, never how ours does.
 */
extern bool dma_untracked_physical;

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of the kernel that the virtio ring needs, for a userspace program.
 * Every <linux/...> header that the ring includes is a generated one-line file
 * that includes this one (FORWARD in the Makefile).  The functions behind the
 * declarations are in kernel.c and model_dma.c.  They check their callers.
 *
 * kernel.c and model_dma.c include this file as well.  This circle is intended:
 * the ring includes nothing else, so the kernel's types and the inline
 * functions that call kernel.c and model_dma.c have to be in one place, and
 * both files use these types.  model_dma.c calls kernel.c, but not the other
 * way round.  harness.h has what the tests call and the ring does not.
 */
#ifndef VRING_SHIM_H
#define VRING_SHIM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <limits.h>
#include <errno.h>
#include <sys/types.h>
#include <asm/types.h>
#include <linux/stddef.h>

/* ---- compiler ---- */

#define __bitwise
#define __force
#define __user
#define __iomem
#define __rcu
#define __must_check		__attribute__((warn_unused_result))
#define __maybe_unused		__attribute__((unused))
#define __always_unused		__attribute__((unused))
#define __aligned(x)		__attribute__((aligned(x)))
#define __packed		__attribute__((packed))
#define __printf(a, b)		__attribute__((format(printf, a, b)))
#define __noreturn		__attribute__((noreturn))
#define __cold			__attribute__((cold))
#define __weak			__attribute__((weak))
#define __counted_by(m)
#define __read_mostly
#define __ro_after_init
#define __init
#define __exit
#define __acquires(x)
#define __releases(x)
#define noinline		__attribute__((noinline))
#ifndef __always_inline
#define __always_inline		inline __attribute__((always_inline))
#endif
#define noinline_for_stack	noinline
#define fallthrough		__attribute__((fallthrough))
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define barrier()		__asm__ __volatile__("" : : : "memory")
#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v)	(*(volatile __typeof__(x) *)&(x) = (v))
#define data_race(expr)		(expr)
#define prefetch(x)		__builtin_prefetch(x)
#define prefetchw(x)		__builtin_prefetch(x, 1)
#define static_assert_msg(e, m)	_Static_assert(e, m)
#ifndef static_assert
#define static_assert(e, ...)	_Static_assert(e, #e)
#endif
/* At run time: some conditions are constant only once inlined. */
#define BUILD_BUG_ON(cond)	BUG_ON(cond)
#define BUILD_BUG_ON_ZERO(e)	((int)(sizeof(struct { int : (-!!(e)); })))
#define typecheck(type, x)	(1)
/* 1 for an option that is defined as 1 below, else 0. */
#define shim_probe_1		~, 1
#define shim_second(a, b, ...)	b
#define shim_pick(...)		shim_second(__VA_ARGS__, 0, 0)
#define shim_cat(a, b)		a##b
#define shim_enabled(value)	shim_pick(shim_cat(shim_probe_, value))
#define IS_ENABLED(option)	shim_enabled(option)
#define IS_REACHABLE(option)	IS_ENABLED(option)
#define IS_BUILTIN(option)	IS_ENABLED(option)
#define CONFIG_HAS_DMA		1
#define CONFIG_ARCH_HAS_DMA_OPS	1
#define CONFIG_VIRTIO_DEBUG	1
#define asmlinkage
#define DEFINE_STATIC_KEY_FALSE(name)	bool name
#define DEFINE_STATIC_KEY_TRUE(name)	bool name = true
#define static_branch_unlikely(p)	unlikely(*(p))
#define static_branch_likely(p)		likely(*(p))
#define static_branch_enable(p)		(*(p) = true)
#define static_branch_disable(p)	(*(p) = false)

/* ---- types ---- */

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef __u16 __le16;
typedef __u32 __le32;
typedef __u64 __le64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef u64 dma_addr_t;
typedef u64 phys_addr_t;
typedef unsigned int gfp_t;
typedef s64 ktime_t;
typedef unsigned short umode_t;

#define U8_MAX		((u8)~0U)
#define U16_MAX		((u16)~0U)
#define U32_MAX		((u32)~0U)
#define U64_MAX		((u64)~0ULL)

#define cpu_to_le16(x)	((__le16)(x))
#define cpu_to_le32(x)	((__le32)(x))
#define cpu_to_le64(x)	((__le64)(x))
#define le16_to_cpu(x)	((u16)(x))
#define le32_to_cpu(x)	((u32)(x))
#define le64_to_cpu(x)	((u64)(x))
#define cpu_to_be16(x)	((__be16)__builtin_bswap16(x))
#define cpu_to_be32(x)	((__be32)__builtin_bswap32(x))
#define cpu_to_be64(x)	((__be64)__builtin_bswap64(x))
#define be16_to_cpu(x)	__builtin_bswap16(x)
#define be32_to_cpu(x)	__builtin_bswap32(x)
#define be64_to_cpu(x)	__builtin_bswap64(x)
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the harness assumes a little-endian host; it emulates big-endian legacy guests"
#endif

/* ---- arithmetic and small helpers ---- */

#define BITS_PER_LONG		64
#define BIT(n)			(1UL << (n))
#define BIT_ULL(n)		(1ULL << (n))
#define GENMASK(h, l)		((~0UL >> (63 - (h))) & (~0UL << (l)))
#define GENMASK_ULL(h, l)	((~0ULL >> (63 - (h))) & (~0ULL << (l)))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define ALIGN(x, a)		(((x) + ((__typeof__(x))(a) - 1)) & ~((__typeof__(x))(a) - 1))
#define ALIGN_DOWN(x, a)	((x) & ~((__typeof__(x))(a) - 1))
#define IS_ALIGNED(x, a)	(((x) & ((__typeof__(x))(a) - 1)) == 0)
#define PTR_ALIGN(p, a)		((__typeof__(p))ALIGN((unsigned long)(p), (a)))
#define round_up(x, y)		((((x) - 1) | ((__typeof__(x))((y) - 1))) + 1)
#define round_down(x, y)	((x) & ~((__typeof__(x))((y) - 1)))
#define rounddown(x, y)		((x) - (x) % (y))
#define roundup(x, y)		(DIV_ROUND_UP(x, y) * (y))
#define min(a, b)		({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); \
				   _a < _b ? _a : _b; })
#define max(a, b)		({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); \
				   _a > _b ? _a : _b; })
#define min3(a, b, c)		min(min(a, b), c)
#define min_t(t, a, b)		min((t)(a), (t)(b))
#define max_t(t, a, b)		max((t)(a), (t)(b))
#define min_not_zero(a, b)	({ __typeof__(a) _x = (a); __typeof__(b) _y = (b); \
				   !_x ? _y : !_y ? _x : min(_x, _y); })
#define clamp(v, lo, hi)	min(max(v, lo), hi)
#define clamp_t(t, v, lo, hi)	clamp((t)(v), (t)(lo), (t)(hi))
#define swap(a, b)		do { __typeof__(a) _t = (a); (a) = (b); (b) = _t; } while (0)
#define container_of(p, type, m) ((type *)((char *)(p) - offsetof(type, m)))
#define container_of_const(p, type, m) \
	_Generic(p, \
		const __typeof__(*(p)) *: ((const type *)container_of(p, type, m)), \
		default: container_of(p, type, m))
#define upper_32_bits(n)	((u32)((u64)(n) >> 32))
#define lower_32_bits(n)	((u32)(n))
#define SZ_1K		1024
#define SZ_4K		4096
#define SZ_64K		0x10000
#define SZ_4M		0x400000

#define struct_size(p, m, n)	(sizeof(*(p)) + sizeof((p)->m[0]) * (size_t)(n))
#define struct_size_t(type, m, n) \
	(sizeof(type) + sizeof(((type *)0)->m[0]) * (size_t)(n))
#define flex_array_size(p, m, n) (sizeof((p)->m[0]) * (size_t)(n))
#define check_add_overflow(a, b, d)	__builtin_add_overflow(a, b, d)
#define check_sub_overflow(a, b, d)	__builtin_sub_overflow(a, b, d)
#define check_mul_overflow(a, b, d)	__builtin_mul_overflow(a, b, d)
#define struct_group(name, ...) \
	union { struct { __VA_ARGS__ }; struct { __VA_ARGS__ } name; }
#ifndef sizeof_field
#define sizeof_field(type, m)	sizeof(((type *)0)->m)
#endif

static inline size_t size_mul(size_t a, size_t b)
{
	size_t r;

	return __builtin_mul_overflow(a, b, &r) ? SIZE_MAX : r;
}

static inline size_t size_add(size_t a, size_t b)
{
	size_t r;

	return __builtin_add_overflow(a, b, &r) ? SIZE_MAX : r;
}

#define array_size(a, b)	size_mul(a, b)
#define array3_size(a, b, c)	size_mul(size_mul(a, b), c)

static inline bool is_power_of_2(unsigned long n)
{
	return n && !(n & (n - 1));
}

/* Of 0 it is undefined. */
static inline unsigned long roundup_pow_of_two(unsigned long n)
{
	return n == 1 ? 1 : 1UL << (n ? 64 - __builtin_clzl(n - 1) : 64);
}

static inline unsigned long rounddown_pow_of_two(unsigned long n)
{
	return 1UL << (63 - __builtin_clzl(n));
}

static inline int ilog2(u64 n)
{
	return 63 - __builtin_clzll(n);
}

static inline int fls(unsigned int x)
{
	return x ? 32 - __builtin_clz(x) : 0;
}

static inline u32 array_index_nospec_u32(u32 i, u32 n)
{
	return i < n ? i : 0;
}

#define array_index_nospec(i, n) array_index_nospec_u32(i, n)

/* ---- bitmaps ---- */

#define BITS_TO_LONGS(n)	DIV_ROUND_UP(n, BITS_PER_LONG)

void bitmap_set(unsigned long *map, unsigned int start, unsigned int n);
void bitmap_clear(unsigned long *map, unsigned int start, unsigned int n);
unsigned long bitmap_find_next_zero_area(unsigned long *map, unsigned long size,
					 unsigned long start, unsigned int n,
					 unsigned long align_mask);

/* ---- errors in pointers ---- */

#define MAX_ERRNO	4095
#define IS_ERR_VALUE(x)	((unsigned long)(void *)(x) >= (unsigned long)-MAX_ERRNO)

static inline void *ERR_PTR(long e)
{
	return (void *)e;
}

static inline long PTR_ERR(const void *p)
{
	return (long)p;
}

static inline bool IS_ERR(const void *p)
{
	return IS_ERR_VALUE((unsigned long)p);
}

static inline bool IS_ERR_OR_NULL(const void *p)
{
	return !p || IS_ERR(p);
}

/* ---- messages; every one is kept, and a test fails on one it did not expect ---- */

struct device;

struct va_format {
	const char *fmt;
	va_list *va;
};

enum shim_level { SHIM_DEBUG, SHIM_INFO, SHIM_WARN, SHIM_ERR };

void shim_log(enum shim_level level, const struct device *dev, const char *fmt, ...)
	__printf(3, 4);
void shim_warn(const char *file, int line, const char *cond);
void shim_bug(const char *file, int line, const char *cond) __noreturn;

#define dev_err(d, ...)			shim_log(SHIM_ERR, d, __VA_ARGS__)
#define dev_warn(d, ...)		shim_log(SHIM_WARN, d, __VA_ARGS__)
#define dev_info(d, ...)		shim_log(SHIM_INFO, d, __VA_ARGS__)
#define dev_notice(d, ...)		shim_log(SHIM_INFO, d, __VA_ARGS__)
#define dev_dbg(d, ...)			shim_log(SHIM_DEBUG, d, __VA_ARGS__)
#define dev_err_ratelimited		dev_err
#define dev_warn_ratelimited		dev_warn
#define dev_dbg_ratelimited		dev_dbg
#define shim_once(call) \
	({ static bool _done; bool _first = !_done; _done = true; if (_first) call; })
#define dev_err_once(d, ...)		shim_once(dev_err(d, __VA_ARGS__))
#define dev_warn_once(d, ...)		shim_once(dev_warn(d, __VA_ARGS__))
#define dev_info_once(d, ...)		shim_once(dev_info(d, __VA_ARGS__))
#define pr_err(...)			shim_log(SHIM_ERR, NULL, __VA_ARGS__)
#define pr_warn(...)			shim_log(SHIM_WARN, NULL, __VA_ARGS__)
#define pr_info(...)			shim_log(SHIM_INFO, NULL, __VA_ARGS__)
#define pr_debug(...)			shim_log(SHIM_DEBUG, NULL, __VA_ARGS__)
#define pr_err_ratelimited		pr_err
#define pr_warn_ratelimited		pr_warn
#define pr_warn_once(...)		shim_once(pr_warn(__VA_ARGS__))
#define panic(...)			shim_bug(__FILE__, __LINE__, "panic")

#define WARN_ON(c) \
	({ bool _w = !!(c); if (unlikely(_w)) shim_warn(__FILE__, __LINE__, #c); unlikely(_w); })
#define WARN_ON_ONCE(c)		WARN_ON(c)
#define WARN(c, ...)		WARN_ON(c)
#define WARN_ONCE(c, ...)	WARN_ON(c)
#define dev_WARN_ONCE(d, c, ...) WARN_ON(c)
#define VM_WARN_ON_ONCE(c)	WARN_ON(c)
#define DEBUG_NET_WARN_ON_ONCE(c) WARN_ON(c)
#define BUG()			shim_bug(__FILE__, __LINE__, "BUG")
#define BUG_ON(c)		do { if (unlikely(c)) shim_bug(__FILE__, __LINE__, #c); } while (0)

/* ---- barriers: full ones, each also a moment at which the device may run ---- */

enum shim_barrier {
	SHIM_BARRIER_CPU,		/* between CPUs */
	SHIM_BARRIER_DEVICE,		/* between a CPU and a device */
	SHIM_BARRIERS,
};

void shim_barrier(enum shim_barrier kind);

#define mb()			shim_barrier(SHIM_BARRIER_DEVICE)
#define rmb()			shim_barrier(SHIM_BARRIER_DEVICE)
#define wmb()			shim_barrier(SHIM_BARRIER_DEVICE)
#define dma_mb()		shim_barrier(SHIM_BARRIER_DEVICE)
#define dma_rmb()		shim_barrier(SHIM_BARRIER_DEVICE)
#define dma_wmb()		shim_barrier(SHIM_BARRIER_DEVICE)
#define smp_mb()		shim_barrier(SHIM_BARRIER_CPU)
#define smp_rmb()		shim_barrier(SHIM_BARRIER_CPU)
#define smp_wmb()		shim_barrier(SHIM_BARRIER_CPU)
#define virt_mb()		shim_barrier(SHIM_BARRIER_CPU)
#define virt_rmb()		shim_barrier(SHIM_BARRIER_CPU)
#define virt_wmb()		shim_barrier(SHIM_BARRIER_CPU)
#define virt_store_mb(v, x)	do { WRITE_ONCE(v, x); virt_mb(); } while (0)
#define smp_store_mb(v, x)	virt_store_mb(v, x)
#define smp_store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)
#define smp_load_acquire(p)	__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define cpu_relax()		barrier()

typedef struct { int counter; } atomic_t;
typedef struct { s64 counter; } atomic64_t;
typedef struct { long counter; } atomic_long_t;

#define ATOMIC_INIT(i)		{ (i) }
#define atomic_read(v)		__atomic_load_n(&(v)->counter, __ATOMIC_RELAXED)
#define atomic_set(v, i)	__atomic_store_n(&(v)->counter, i, __ATOMIC_RELAXED)
#define atomic_inc(v)		((void)__atomic_add_fetch(&(v)->counter, 1, __ATOMIC_SEQ_CST))
#define atomic_dec(v)		((void)__atomic_sub_fetch(&(v)->counter, 1, __ATOMIC_SEQ_CST))
#define atomic_sub(i, v)	((void)__atomic_sub_fetch(&(v)->counter, i, __ATOMIC_SEQ_CST))
#define atomic_add_return(i, v)	__atomic_add_fetch(&(v)->counter, i, __ATOMIC_SEQ_CST)
#define atomic_inc_return(v)	__atomic_add_fetch(&(v)->counter, 1, __ATOMIC_SEQ_CST)
#define atomic_dec_and_test(v)	(__atomic_sub_fetch(&(v)->counter, 1, __ATOMIC_SEQ_CST) == 0)
#define atomic64_read		atomic_read
#define atomic64_set		atomic_set
#define atomic64_inc		atomic_inc
#define atomic64_add(i, v)	((void)__atomic_add_fetch(&(v)->counter, i, __ATOMIC_SEQ_CST))
#define atomic_long_read	atomic_read
#define atomic_long_set		atomic_set
#define atomic_long_inc		atomic_inc
#define atomic_long_add		atomic64_add

/* ---- locks: nesting is checked, and no sleeping allocation may happen inside ---- */

typedef struct { bool locked; } spinlock_t;

struct mutex { bool locked; };
struct completion { unsigned int done; };

void shim_lock(bool *locked, const char *file, int line);
void shim_unlock(bool *locked, const char *file, int line);

#define DEFINE_SPINLOCK(l)		spinlock_t l
#define DEFINE_MUTEX(m)			struct mutex m
#define spin_lock_init(l)		((l)->locked = false)
#define spin_lock(l)			shim_lock(&(l)->locked, __FILE__, __LINE__)
#define spin_unlock(l)			shim_unlock(&(l)->locked, __FILE__, __LINE__)
#define spin_lock_irq			spin_lock
#define spin_unlock_irq			spin_unlock
#define local_bh_disable()		do { } while (0)
#define local_bh_enable()		do { } while (0)
#define local_irq_save(f)		((f) = 0)
#define local_irq_restore(f)		((void)(f))
#define spin_lock_irqsave(l, f)		do { (f) = 0; spin_lock(l); } while (0)
#define spin_unlock_irqrestore(l, f)	do { (void)(f); spin_unlock(l); } while (0)
#define lockdep_assert_held(l)		WARN_ON(!(l)->locked)
#define mutex_init(m)			((m)->locked = false)
#define mutex_lock(m)			WARN_ON((m)->locked || !((m)->locked = true))
#define mutex_unlock(m)			WARN_ON(!(m)->locked || ((m)->locked = false))
#define might_sleep()			shim_might_sleep(__FILE__, __LINE__)
#define synchronize_rcu()		might_sleep()

void shim_might_sleep(const char *file, int line);
void shim_may_allocate(unsigned int gfp, const char *file, int line);

/* ---- lists ---- */

struct list_head { struct list_head *next, *prev; };

#define LIST_HEAD_INIT(n)	{ &(n), &(n) }
#define LIST_HEAD(n)		struct list_head n = LIST_HEAD_INIT(n)
#define list_entry(p, t, m)	container_of(p, t, m)
#define list_first_entry(h, t, m) list_entry((h)->next, t, m)
#define list_first_entry_or_null(h, t, m) \
	((h)->next == (h) ? NULL : list_first_entry(h, t, m))
#define list_for_each_entry(p, h, m) \
	for (p = list_entry((h)->next, __typeof__(*p), m); &p->m != (h); \
	     p = list_entry(p->m.next, __typeof__(*p), m))
#define list_for_each_entry_safe(p, n, h, m) \
	for (p = list_entry((h)->next, __typeof__(*p), m), \
	     n = list_entry(p->m.next, __typeof__(*p), m); &p->m != (h); \
	     p = n, n = list_entry(n->m.next, __typeof__(*n), m))

static inline void INIT_LIST_HEAD(struct list_head *h)
{
	h->next = h;
	h->prev = h;
}

static inline void list_add(struct list_head *n, struct list_head *h)
{
	n->next = h->next;
	n->prev = h;
	h->next->prev = n;
	h->next = n;
}

static inline void list_add_tail(struct list_head *n, struct list_head *h)
{
	list_add(n, h->prev);
}

static inline void list_del(struct list_head *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	e->next = NULL;
	e->prev = NULL;
}

static inline size_t list_count_nodes(struct list_head *h)
{
	struct list_head *p;
	size_t n = 0;

	for (p = h->next; p != h; p = p->next)
		n++;
	return n;
}

static inline bool list_empty(const struct list_head *h)
{
	return h->next == h;
}

/* ---- memory ---- */

#define __GFP_HIGHMEM		0x0002u
#define __GFP_DMA32		0x0004u
#define __GFP_ZERO		0x0100u
#define __GFP_IO		0x0040u
#define __GFP_RECLAIM		0x0400u
#define __GFP_NOWARN		0x2000u
#define __GFP_NOMEMALLOC	0x80000u
#define __GFP_NORETRY		0x10000u
#define __GFP_NOFAIL		0x8000u
#define __GFP_COMP		0x40000u
#define __GFP_ACCOUNT		0x400000u
#define GFP_KERNEL		(__GFP_RECLAIM | __GFP_IO)
#define GFP_NOIO		__GFP_RECLAIM
#define GFP_NOFS		__GFP_RECLAIM
#define GFP_ATOMIC		0x20u
#define GFP_NOWAIT		0x800u

static inline bool gfpflags_allow_blocking(gfp_t gfp)
{
	return gfp & __GFP_RECLAIM;
}

/* No allocation waits for I/O between these. */
unsigned int memalloc_noio_save(void);
void memalloc_noio_restore(unsigned int flags);

void *shim_alloc(size_t size, size_t align, gfp_t gfp, const char *file, int line);
void shim_free(const void *p);

#define kmalloc(s, g)			shim_alloc(s, 0, g, __FILE__, __LINE__)
#define kzalloc(s, g)			kmalloc(s, (g) | __GFP_ZERO)
#define kmalloc_array(n, s, g)		kmalloc(size_mul(n, s), g)
#define kcalloc(n, s, g)		kzalloc(size_mul(n, s), g)
#define kvmalloc			kmalloc
#define kvzalloc			kzalloc
#define kvmalloc_array			kmalloc_array
#define kmalloc_array_node(n, s, g, i)	((void)(i), kmalloc_array(n, s, g))

/* With a type, or something of it, and GFP_KERNEL by default: the base's ring. */
#define shim_gfp(...)		shim_second(0, ##__VA_ARGS__, GFP_KERNEL, 0)
#define kmalloc_objs(t, n, ...) \
	((__typeof__(t) *)kmalloc_array(n, sizeof(t), shim_gfp(__VA_ARGS__)))
#define kmalloc_obj(t, ...)	kmalloc_objs(t, 1, ##__VA_ARGS__)

#define kvcalloc			kcalloc
#define kmalloc_node(s, g, n)		kmalloc(s, g)
#define kzalloc_node(s, g, n)		kzalloc(s, g)
#define kcalloc_node(c, s, g, n)	kcalloc(c, s, g)
#define kvcalloc_node(c, s, g, n)	kvcalloc(c, s, g)
#define vmalloc(s)			kmalloc(s, GFP_KERNEL)
#define vzalloc(s)			kzalloc(s, GFP_KERNEL)
#define kfree(p)			shim_free(p)
#define kvfree(p)			shim_free(p)
#define vfree(p)			shim_free(p)
#define kfree_sensitive(p)		shim_free(p)
#define alloc_page(g)			shim_alloc_page(g)
#define alloc_pages_node(n, g, o)	((void)(n), shim_alloc_page(g))
#define __free_page(p)			shim_free_page(p)
#define free_page(a)			shim_free_page((struct page *)(a))
#define alloc_pages_exact(s, g)		shim_alloc(PAGE_ALIGN(s), PAGE_SIZE, g, __FILE__, __LINE__)
#define free_pages_exact(p, s)		shim_free(p)
#define __free(fn)			__attribute__((cleanup(shim_cleanup_##fn)))
#define no_free_ptr(p)			({ __typeof__(p) _p = (p); (p) = NULL; _p; })

static inline void shim_cleanup_kfree(void *p)
{
	shim_free(*(void **)p);
}

/* A page is its own memory: struct page pointers are page addresses. */
#define PAGE_SHIFT		12
#define PAGE_SIZE		(1UL << PAGE_SHIFT)
#define PAGE_MASK		(~(PAGE_SIZE - 1))
#define PAGE_ALIGN(x)		ALIGN((size_t)(x), PAGE_SIZE)
#define offset_in_page(p)	((unsigned long)(p) & ~PAGE_MASK)
#define SMP_CACHE_BYTES		64
#define L1_CACHE_BYTES		64
#define cache_line_size()	64
#define ARCH_DMA_MINALIGN	128
#define ARCH_KMALLOC_MINALIGN	8
#define ____cacheline_aligned	__aligned(64)
#define ____cacheline_aligned_in_smp __aligned(64)
#define NUMA_NO_NODE		(-1)

struct page { char byte[PAGE_SIZE]; };

static inline struct page *virt_to_page(const void *p)
{
	return (struct page *)((unsigned long)p & PAGE_MASK);
}

static inline void *page_address(const struct page *page)
{
	return (void *)page;
}

struct page *shim_alloc_page(gfp_t gfp);
void shim_free_page(struct page *page);

/* Bytes that nobody wrote stay that when they are copied; model_kmsan.c. */
void shim_kmsan_copy(void *to, const void *from, size_t len);

/* They map one page: with memory beyond it the kernel's are a bug. */
static inline void memcpy_to_page(struct page *page, size_t offset, const void *from, size_t len)
{
	BUG_ON(offset + len > PAGE_SIZE);
	memcpy((char *)page_address(page) + offset, from, len);
	shim_kmsan_copy((char *)page_address(page) + offset, from, len);
}

static inline void memcpy_from_page(void *to, struct page *page, size_t offset, size_t len)
{
	BUG_ON(offset + len > PAGE_SIZE);
	memcpy(to, (char *)page_address(page) + offset, len);
	shim_kmsan_copy(to, (char *)page_address(page) + offset, len);
}

phys_addr_t shim_virt_to_phys(const void *p);
void *shim_phys_to_virt(phys_addr_t phys);

/* Memory that is no RAM of ours, such as a remote processor's. */
extern const void *shim_foreign;
extern size_t shim_foreign_size;

#define page_to_pfn(p)		(page_to_phys(p) >> PAGE_SHIFT)
#define pfn_valid(n)		shim_pfn_valid(n)
#define virt_to_phys(p)		shim_virt_to_phys((const void *)(p))
#define phys_to_virt(p)		shim_phys_to_virt(p)
#define page_to_phys(p)		shim_virt_to_phys(page_address(p))
#define virt_addr_valid(p)	true
#define PageHighMem(p)		false
#define kmap_local_page(p)	page_address(p)
#define kunmap_local(p)		((void)(p))

static inline bool shim_pfn_valid(unsigned long pfn)
{
	const char *p = phys_to_virt((phys_addr_t)pfn << PAGE_SHIFT);

	return !shim_foreign || p < (const char *)shim_foreign ||
	       p >= (const char *)shim_foreign + shim_foreign_size;
}

struct scatterlist {
	unsigned long page_link;
	unsigned int offset;
	unsigned int length;
	dma_addr_t dma_address;
	unsigned int dma_length;
	unsigned int dma_flags;
};

struct sg_table {
	struct scatterlist *sgl;
	unsigned int nents, orig_nents;
};

#define SG_CHAIN		0x01UL
#define SG_END			0x02UL
#define sg_is_chain(sg)		((sg)->page_link & SG_CHAIN)
#define sg_is_last(sg)		((sg)->page_link & SG_END)
#define sg_dma_address(sg)	((sg)->dma_address)
#define sg_dma_len(sg)		((sg)->dma_length)
#define for_each_sg(l, sg, n, i) \
	for ((i) = 0, (sg) = (l); (i) < (n); (i)++, (sg) = sg_next(sg))

static inline struct page *sg_page(struct scatterlist *sg)
{
	return (struct page *)(sg->page_link & ~(SG_CHAIN | SG_END));
}

static inline void *sg_virt(struct scatterlist *sg)
{
	return (char *)page_address(sg_page(sg)) + sg->offset;
}

static inline phys_addr_t sg_phys(struct scatterlist *sg)
{
	return page_to_phys(sg_page(sg)) + sg->offset;
}

static inline struct scatterlist *sg_next(struct scatterlist *sg)
{
	if (sg_is_last(sg))
		return NULL;
	sg++;
	if (sg_is_chain(sg))
		sg = (struct scatterlist *)(sg->page_link & ~(SG_CHAIN | SG_END));
	return sg;
}

static inline void sg_mark_end(struct scatterlist *sg)
{
	sg->page_link = (sg->page_link | SG_END) & ~SG_CHAIN;
}

static inline void sg_unmark_end(struct scatterlist *sg)
{
	sg->page_link &= ~SG_END;
}

static inline void sg_init_table(struct scatterlist *sg, unsigned int n)
{
	memset(sg, 0, sizeof(*sg) * n);
	sg_mark_end(&sg[n - 1]);
}

static inline void sg_set_page(struct scatterlist *sg, struct page *page,
			       unsigned int len, unsigned int offset)
{
	sg->page_link = (sg->page_link & (SG_CHAIN | SG_END)) | (unsigned long)page;
	sg->offset = offset;
	sg->length = len;
}

static inline void sg_set_buf(struct scatterlist *sg, const void *buf, unsigned int len)
{
	sg_set_page(sg, virt_to_page(buf), len, offset_in_page(buf));
}

static inline void sg_init_one(struct scatterlist *sg, const void *buf, unsigned int len)
{
	sg_init_table(sg, 1);
	sg_set_buf(sg, buf, len);
}

static inline void sg_chain(struct scatterlist *prv, unsigned int n, struct scatterlist *sgl)
{
	prv[n - 1].page_link = (unsigned long)sgl | SG_CHAIN;
}

/* ---- devices and the DMA API ---- */

enum shim_dma {
	SHIM_DMA_DIRECT,	/* DMA address is the physical address */
	SHIM_DMA_IDENTITY,	/* the same, behind an IOMMU's identity domain */
	SHIM_DMA_TRANSLATED,	/* an IOVA of its own for every mapping */
	SHIM_DMA_BOUNCED,	/* swiotlb=force */
};

struct bus_type { const char *name; };
struct device_driver { const char *name; };
struct kobject { const char *name; };
struct device_dma_parameters {
	unsigned int max_segment_size;
	unsigned int min_align_mask;
	unsigned long segment_boundary_mask;
};

struct device {
	struct kobject kobj;
	struct device *parent;
	const struct bus_type *bus;
	struct device_driver *driver;
	void *driver_data;
	const char *init_name;
	u64 *dma_mask;
	u64 coherent_dma_mask;
	u64 bus_dma_limit;
	const struct dma_map_ops *dma_ops;
	struct device_dma_parameters *dma_parms;
	void *iommu_group;
	void *iommu;
	void *dma_io_tlb_mem;
	const void *dma_range_map;
	bool dma_coherent;
	bool dma_skip_sync;
	bool dma_ops_bypass;
	int numa_node;
	void *of_node;
	void *fwnode;
	struct mutex mutex;		/* device_lock() */

	enum shim_dma shim_mode;	/* how the model serves this device */
	struct iommu_domain *shim_domain;	/* NULL: shim_mode says */
	bool shim_noncoherent;		/* it does not see the CPU's caches */
	bool shim_untracked;		/* it uses physical addresses, and nobody is told */
	unsigned int shim_bounce_in;	/* so many mappings from now one is bounced */
	bool shim_bounces;		/* one was */
	bool shim_syncs_late;		/* no sync is needed before one was, as in 6.12 */
	bool shim_restricted;		/* coherent memory is of the pool it bounces in */
};

#define dev_name(d)		((d)->init_name ? (d)->init_name : "device")
#define dev_get_drvdata(d)	((d)->driver_data)
#define dev_set_drvdata(d, v)	((d)->driver_data = (v))
#define dev_to_node(d)		((d)->numa_node)
#define set_dev_node(d, n)	((d)->numa_node = (n))
#define get_device(d)		(d)
#define put_device(d)		((void)(d))
#define get_dma_ops(d)		((d)->dma_ops ? (d)->dma_ops : shim_arch_ops)
#define set_dma_ops(d, o)	((d)->dma_ops = (o))
#define device_iommu_mapped(d) \
	((d)->shim_mode == SHIM_DMA_IDENTITY || (d)->shim_mode == SHIM_DMA_TRANSLATED)
#define is_swiotlb_force_bounce(d) ((d)->shim_mode == SHIM_DMA_BOUNCED)
#define is_swiotlb_for_alloc(d)	((d)->shim_restricted)
size_t swiotlb_pool_used(struct device *dev);

/* Whether coherent memory is not cached, for devices that see no caches. */
extern bool shim_uncached;

/* Whether this is an interrupt. */
extern bool shim_in_interrupt;
#define in_task()		(!shim_in_interrupt)
#define is_vmalloc_addr(p)	((void)(p), shim_uncached)
#define module_param(n, t, p) \
	void shim_param_##n(t val) \
	{ \
		n = val; \
	} \
	struct kernel_param
#define module_param_named(n, v, t, p)
#define module_param_cb(n, o, p, m) \
	int shim_set_##n(const char *val) \
	{ \
		return (o)->set(val, &(struct kernel_param){ .arg = (p) }); \
	} \
	struct kernel_param
#define MODULE_PARM_DESC(n, d)
#define MODULE_LICENSE(x)
#define MODULE_AUTHOR(x)
#define MODULE_DESCRIPTION(x)
#define MODULE_IMPORT_NS(x)
#define EXPORT_SYMBOL(x)
#define EXPORT_SYMBOL_GPL(x)
#define EXPORT_SYMBOL_NS_GPL(x, ns)
#define THIS_MODULE		((struct module *)NULL)
#define module_init(f)
#define module_exit(f)
#define KBUILD_MODNAME		"virtio_ring"

typedef unsigned int uint;

struct kernel_param { void *arg; };

struct kernel_param_ops {
	int (*set)(const char *val, const struct kernel_param *kp);
	int (*get)(char *buffer, const struct kernel_param *kp);
};

/* What the command line does to a parameter of module_param_cb(). */
int shim_set_bounce_max(const char *val);

/* And to those of module_param(). */
void shim_param_cell_max(unsigned int val);

int kstrtoint(const char *s, unsigned int base, int *res);
int param_set_uint_minmax(const char *val, const struct kernel_param *kp, unsigned int min,
			  unsigned int max);
int param_get_uint(char *buffer, const struct kernel_param *kp);
int param_get_int(char *buffer, const struct kernel_param *kp);

struct module;
struct cpumask;
struct dentry;

struct virtio_device_id { __u32 device, vendor; };

extern bool shim_xen_domain;
#define xen_domain()		shim_xen_domain

enum cc_attr { CC_ATTR_MEM_ENCRYPT };
extern bool shim_mem_encrypt;
#define cc_platform_has(attr)	shim_mem_encrypt

enum dma_data_direction { DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_NONE };

/* A base that does not map leaves it to the ring to call kmsan_handle_dma(). */
void shim_kmsan_dma(void *p, size_t size, enum dma_data_direction dir);
void kmsan_unpoison_memory(const void *p, size_t size);

/* An architecture's own, for every device; NULL as on most. */
extern const struct dma_map_ops *shim_arch_ops;

#include "shim_map.h"

#define DMA_BIT_MASK(n)			(~0ULL >> (64 - (n)))
#define DMA_MAPPING_ERROR		(~(dma_addr_t)0)
#define DMA_ATTR_WEAK_ORDERING		BIT(1)
#define DMA_ATTR_NO_KERNEL_MAPPING	BIT(4)
#define DMA_ATTR_SKIP_CPU_SYNC		BIT(5)
#define DMA_ATTR_FORCE_CONTIGUOUS	BIT(6)
#define DMA_ATTR_NO_WARN		BIT(8)
#define DMA_ATTR_PRIVILEGED		BIT(9)

dma_addr_t dma_map_page_attrs(struct device *dev, struct page *page, size_t offset,
			      size_t size, enum dma_data_direction dir, unsigned long attrs);
void dma_unmap_page_attrs(struct device *dev, dma_addr_t addr, size_t size,
			  enum dma_data_direction dir, unsigned long attrs);
dma_addr_t dma_map_single_attrs(struct device *dev, void *p, size_t size,
				enum dma_data_direction dir, unsigned long attrs);
unsigned int dma_map_sg_attrs(struct device *dev, struct scatterlist *sg, int nents,
			      enum dma_data_direction dir, unsigned long attrs);
void dma_unmap_sg_attrs(struct device *dev, struct scatterlist *sg, int nents,
			enum dma_data_direction dir, unsigned long attrs);
int dma_mapping_error(struct device *dev, dma_addr_t addr);
void *dma_alloc_attrs(struct device *dev, size_t size, dma_addr_t *handle, gfp_t gfp,
		      unsigned long attrs);
void dma_free_attrs(struct device *dev, size_t size, void *cpu, dma_addr_t handle,
		    unsigned long attrs);
void dma_sync_single_for_cpu(struct device *dev, dma_addr_t addr, size_t size,
			     enum dma_data_direction dir);
void dma_sync_single_for_device(struct device *dev, dma_addr_t addr, size_t size,
				enum dma_data_direction dir);
bool dma_need_sync(struct device *dev, dma_addr_t addr);
bool dma_dev_need_sync(struct device *dev);
bool dma_need_unmap(struct device *dev);
bool dma_addr_is_phys(struct device *dev);
int dma_set_physical(struct device *dev, u64 *mask);
size_t swiotlb_max_mapping_size(struct device *dev);
size_t swiotlb_pool_size(struct device *dev);

#define IO_TLB_SIZE			2048
size_t dma_max_mapping_size(struct device *dev);
int dma_set_mask(struct device *dev, u64 mask);
int dma_set_coherent_mask(struct device *dev, u64 mask);

#define dma_get_cache_alignment()	ARCH_DMA_MINALIGN
#define dma_opt_mapping_size(d)		dma_max_mapping_size(d)
#define dma_map_page(d, p, o, s, r)	dma_map_page_attrs(d, p, o, s, r, 0)
#define dma_unmap_page(d, a, s, r)	dma_unmap_page_attrs(d, a, s, r, 0)
#define dma_unmap_single_attrs(d, h, s, r, a) dma_unmap_page_attrs(d, h, s, r, a)
#define dma_map_single(d, p, s, r)	dma_map_single_attrs(d, p, s, r, 0)
#define dma_unmap_single(d, a, s, r)	dma_unmap_single_attrs(d, a, s, r, 0)
#define dma_map_sg(d, s, n, r)		dma_map_sg_attrs(d, s, n, r, 0)
#define dma_unmap_sg(d, s, n, r)	dma_unmap_sg_attrs(d, s, n, r, 0)
#define dma_alloc_coherent(d, s, h, g)	dma_alloc_attrs(d, s, h, g, 0)
#define dma_free_coherent(d, s, c, h)	dma_free_attrs(d, s, c, h, 0)
#define dma_sync_single_range_for_cpu(d, a, o, s, r) \
	dma_sync_single_for_cpu(d, (a) + (o), s, r)
#define dma_sync_single_range_for_device(d, a, o, s, r) \
	dma_sync_single_for_device(d, (a) + (o), s, r)

static inline unsigned int dma_get_max_seg_size(struct device *dev)
{
	if (dev->dma_parms && dev->dma_parms->max_segment_size)
		return dev->dma_parms->max_segment_size;
	return 65536;
}

static inline void dma_set_max_seg_size(struct device *dev, unsigned int size)
{
	if (!WARN_ON(!dev->dma_parms))
		dev->dma_parms->max_segment_size = size;
}

static inline unsigned long dma_get_seg_boundary(struct device *dev)
{
	if (dev->dma_parms && dev->dma_parms->segment_boundary_mask)
		return dev->dma_parms->segment_boundary_mask;
	return ULONG_MAX;
}

static inline u64 dma_get_mask(struct device *dev)
{
	return dev->dma_mask && *dev->dma_mask ? *dev->dma_mask : DMA_BIT_MASK(32);
}

static inline int dma_set_mask_and_coherent(struct device *dev, u64 mask)
{
	int err = dma_set_mask(dev, mask);

	return err ? err : dma_set_coherent_mask(dev, mask);
}

static inline int dma_coerce_mask_and_coherent(struct device *dev, u64 mask)
{
	dev->dma_mask = &dev->coherent_dma_mask;
	return dma_set_mask_and_coherent(dev, mask);
}

/* ---- interrupts, time, tracepoints ---- */

typedef int irqreturn_t;
#define IRQ_NONE	0
#define IRQ_HANDLED	1

#define ktime_get()		((ktime_t)0)
#define ktime_sub(a, b)		((a) - (b))
#define ktime_to_ms(t)		((t) / 1000000)

#define HZ			250
#define time_before64(a, b)	((s64)((a) - (b)) < 0)

u64 get_jiffies_64(void);

/* When work is done the test says, kernel_set_work(). */
struct work_struct {
	void (*func)(struct work_struct *work);
	struct work_struct *next;
	bool pending;
};

#define system_freezable_wq	NULL
#define INIT_WORK(w, f)		(*(w) = (struct work_struct){ .func = (f) })
#define queue_work(q, w)	((void)(q), shim_queue_work(w))

bool shim_queue_work(struct work_struct *work);
bool cancel_work_sync(struct work_struct *work);

/* A tracepoint counts its hits by name; its fields are not evaluated. */
void shim_trace(const char *name);

#define TP_PROTO(...)		__VA_ARGS__
#define TP_ARGS(...)		__VA_ARGS__
#define TP_CONDITION(...)	__VA_ARGS__
#define shim_tracepoint(name, proto) \
	static inline __maybe_unused void trace_##name(proto) { shim_trace(#name); } \
	static inline __maybe_unused bool trace_##name##_enabled(void) { return true; }
#define TRACE_EVENT(name, proto, ...)		shim_tracepoint(name, TP_PROTO(proto))
#define DECLARE_EVENT_CLASS(name, ...)
#define DEFINE_EVENT(tmpl, name, proto, ...)	shim_tracepoint(name, TP_PROTO(proto))
#define TRACE_DEFINE_ENUM(x)

#include "shim_show.h"

#endif

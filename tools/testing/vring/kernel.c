// SPDX-License-Identifier: GPL-2.0
/*
 * The parts of the kernel behind shim.h that are not DMA: memory, messages,
 * warnings, locks, barriers and work.  Each of them checks its callers.
 */
#include <stdio.h>

#include "harness.h"

#ifdef MEMCHECK
#include <valgrind/memcheck.h>
#endif

#define MESSAGES	64
#define TRACES		16

struct message {
	enum shim_level level;
	bool taken;
	char text[200];
};

static struct {
	unsigned long live, allocs;
	unsigned long pages, page_room;
	const void **page;
	unsigned long fail_in;
	bool fired;
	bool out_of_memory;
	bool atomic;
	unsigned int locks;
	unsigned int warnings;
	char first_warning[160];
	unsigned int nmessages;
	struct message message[MESSAGES];
	void (*hook)(void *arg);
	void *hook_arg;
	bool in_hook;
	unsigned long barriers[SHIM_BARRIERS];
	struct { const char *name; unsigned long hits; } trace[TRACES];
	enum kernel_work when;
	struct work_struct *work;
	bool in_work, noio;
	u64 now, tick;
} k;

bool shim_xen_domain;
bool shim_mem_encrypt;
bool shim_big_endian_guest;
bool shim_signal;
const void *shim_foreign;
size_t shim_foreign_size;

void kernel_reset(void)
{
	free(k.page);
	memset(&k, 0, sizeof(k));
	k.tick = HZ;
	kmsan_reset();
	shim_xen_domain = false;
	shim_mem_encrypt = false;
	shim_big_endian_guest = false;
	shim_signal = false;
	shim_foreign = NULL;
}

void kernel_check_clean(void)
{
	unsigned int i;

	if (k.live)
		fail("%lu allocations were leaked", k.live);
	if (k.pages)
		fail("%lu pages were leaked", k.pages);
	if (k.locks)
		fail("%u locks are still held", k.locks);
	if (k.work)
		fail("work is still to be done");
	if (k.warnings)
		fail("unexpected warning: %s", k.first_warning);
	if (kmsan_take_reports())
		fail("bytes that nobody wrote went to a device");
	for (i = 0; i < k.nmessages; i++)
		if (!k.message[i].taken && k.message[i].level >= SHIM_WARN)
			fail("unexpected message: %s", k.message[i].text);
}

/* ---- failure injection ---- */

void fail_nth(unsigned long n)
{
	k.fail_in = n;
	k.fired = false;
}

bool fail_nth_fired(void)
{
	return k.fired;
}

bool kernel_short_of_memory(void)
{
	return k.fired || k.out_of_memory;
}

bool kernel_fail_now(void)
{
	if (!k.fail_in || --k.fail_in)
		return false;
	k.fired = true;
	return true;
}

void kernel_out_of_memory(bool out)
{
	k.out_of_memory = out;
}

/* ---- memory ---- */

/* For memcheck, to which a pattern is as good as any value. */
static void not_written_yet(const void *p, size_t size)
{
#ifdef MEMCHECK
	VALGRIND_MAKE_MEM_UNDEFINED(p, size);
#endif
}

void *shim_alloc(size_t size, size_t align, gfp_t gfp, const char *file, int line)
{
	void *p;

	shim_may_allocate(gfp, file, line);
	if (gfp & __GFP_HIGHMEM)
		fail("%s:%d: memory without an address is asked for", file, line);
	if (size == SIZE_MAX || size > (64UL << 20))
		return NULL;
	if (!(gfp & __GFP_NOFAIL) && (k.out_of_memory || kernel_fail_now()))
		return NULL;
	if (align < 16)
		align = 16;
	p = aligned_alloc(align, ALIGN(size ? size : 1, align));
	if (!p)
		fail("the harness itself is out of memory");
	memset(p, gfp & __GFP_ZERO ? 0 : 0xa5, size);
	if (!(gfp & __GFP_ZERO))
		not_written_yet(p, size);
	k.live++;
	k.allocs++;
	return p;
}

void shim_free(const void *p)
{
	if (!p)
		return;
	if (!k.live)
		fail("more memory freed than was allocated");
	k.live--;
	free((void *)p);
}

struct page *shim_alloc_page(gfp_t gfp)
{
	void *p;

	shim_may_allocate(gfp, __FILE__, __LINE__);
	if (gfp & __GFP_HIGHMEM)
		fail("a page without an address is asked for");
	if (!(gfp & __GFP_NOMEMALLOC))
		fail("a page that stays may come from the emergency reserves");
	if (k.out_of_memory || kernel_fail_now())
		return NULL;
	if (k.pages == k.page_room) {
		k.page_room = k.page_room ? 2 * k.page_room : 64;
		k.page = realloc(k.page, k.page_room * sizeof(*k.page));
	}
	p = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	if (!p || !k.page)
		fail("the harness itself is out of memory");
	memset(p, gfp & __GFP_ZERO ? 0 : 0xa5, PAGE_SIZE);
	if (!(gfp & __GFP_ZERO))
		not_written_yet(p, PAGE_SIZE);
	k.page[k.pages++] = p;
	k.allocs++;
	return p;
}

/* Where a page is in the list, counted from 1; 0 if it is not.  Newest first. */
static unsigned long find_page(const void *p)
{
	unsigned long i = k.pages;

	while (i && k.page[i - 1] != p)
		i--;
	return i;
}

void shim_free_page(struct page *page)
{
	unsigned long i = find_page(page);

	if (!i)
		fail("freeing a page that was not allocated");
	k.page[i - 1] = k.page[--k.pages];
	free(page);
}

bool kernel_is_page(const void *p)
{
	return find_page(p);
}

int param_set_uint_minmax(const char *val, const struct kernel_param *kp, unsigned int min,
			  unsigned int max)
{
	char *end;
	unsigned long n = strtoul(val, &end, 0);

	if (end == val || *end || n < min || n > max)
		return -EINVAL;
	*(unsigned int *)kp->arg = n;
	return 0;
}

int kstrtoint(const char *s, unsigned int base, int *res)
{
	char *end;
	long n = strtol(s, &end, base);

	if (end == s || (*end && strcmp(end, "\n")))
		return -EINVAL;
	if (n != (int)n)
		return -ERANGE;
	*res = n;
	return 0;
}

int param_get_int(char *buffer, const struct kernel_param *kp)
{
	return sprintf(buffer, "%d\n", *(int *)kp->arg);
}

int param_get_uint(char *buffer, const struct kernel_param *kp)
{
	return sprintf(buffer, "%u\n", *(unsigned int *)kp->arg);
}

unsigned long kernel_live_allocs(void)
{
	return k.live;
}

unsigned long kernel_live_pages(void)
{
	return k.pages;
}

unsigned long kernel_allocs(void)
{
	return k.allocs;
}

/* ---- messages and warnings ---- */

/*
 * One conversion after the other, since printk has some that printf has not: of
 * those %pV, a format in a format, is the one the ring uses.
 */
static void format(char *to, size_t room, const char *fmt, va_list *ap)
{
	char *end = to + room - 1;

	while (*fmt && to < end) {
		size_t n = 1;
		char spec[16];

		if (*fmt != '%' || fmt[1] == '%') {
			*to++ = *fmt;
			fmt += 1 + (*fmt == '%');
			continue;
		}
		while (!strchr("diuxXcsp", fmt[n]))
			n++;
		check(fmt[n] && n < sizeof(spec) - 1);
		snprintf(spec, sizeof(spec), "%.*s", (int)n + 1, fmt);
		if (fmt[n] == 'p' && fmt[n + 1] == 'V') {
			struct va_format *inner = va_arg(*ap, struct va_format *);

			format(to, end - to + 1, inner->fmt, inner->va);
			n++;
		} else if (fmt[n] == 's' || fmt[n] == 'p') {
			snprintf(to, end - to + 1, spec, va_arg(*ap, void *));
		} else if (strchr(spec, 'l') || strchr(spec, 'z')) {
			snprintf(to, end - to + 1, spec, va_arg(*ap, long));
		} else {
			snprintf(to, end - to + 1, spec, va_arg(*ap, int));
		}
		to += strlen(to);
		fmt += n + 1;
	}
	*to = '\0';
}

void shim_log(enum shim_level level, const struct device *dev, const char *fmt, ...)
{
	struct message *m;
	va_list ap;

	if (level < SHIM_INFO)
		return;
	if (k.nmessages == MESSAGES)
		fail("more than %d messages: not rate-limited?", MESSAGES);
	m = &k.message[k.nmessages++];
	m->level = level;
	m->taken = false;
	va_start(ap, fmt);
	format(m->text, sizeof(m->text), fmt, &ap);
	va_end(ap);
	m->text[strcspn(m->text, "\n")] = '\0';
}

unsigned int kernel_take_messages(enum shim_level level, const char *part)
{
	unsigned int i, n = 0;

	for (i = 0; i < k.nmessages; i++) {
		struct message *m = &k.message[i];

		if (m->taken || m->level < level || (part && !strstr(m->text, part)))
			continue;
		m->taken = true;
		n++;
	}
	/* Room again for whatever comes, the order does not matter. */
	for (i = 0; i < k.nmessages; ) {
		if (k.message[i].taken)
			k.message[i] = k.message[--k.nmessages];
		else
			i++;
	}
	return n;
}

void shim_warn(const char *file, int line, const char *cond)
{
	if (!k.warnings++)
		snprintf(k.first_warning, sizeof(k.first_warning), "%s:%d: WARN_ON(%s)",
			 file, line, cond);
}

unsigned int kernel_take_warnings(void)
{
	unsigned int n = k.warnings;

	k.warnings = 0;
	return n;
}

void shim_bug(const char *file, int line, const char *cond)
{
	harness_fail(file, line, "BUG_ON(%s)", cond);
}

/* ---- context ---- */

void kernel_set_atomic(bool atomic)
{
	k.atomic = atomic;
}

void shim_might_sleep(const char *file, int line)
{
	if (k.atomic || k.locks)
		harness_fail(file, line, "may sleep in atomic context");
}

/* Work that somebody waits for does not wait for that somebody's disk. */
void shim_may_allocate(gfp_t gfp, const char *file, int line)
{
	if (gfpflags_allow_blocking(gfp))
		shim_might_sleep(file, line);
	if (k.in_work && gfp & __GFP_IO && !k.noio)
		harness_fail(file, line, "work may wait for I/O");
}

unsigned int memalloc_noio_save(void)
{
	bool before = k.noio;

	k.noio = true;
	return before;
}

void memalloc_noio_restore(unsigned int flags)
{
	k.noio = flags;
}

void shim_lock(bool *locked, const char *file, int line)
{
	if (*locked)
		harness_fail(file, line, "the lock is held already");
	*locked = true;
	k.locks++;
}

void shim_unlock(bool *locked, const char *file, int line)
{
	if (!*locked)
		harness_fail(file, line, "the lock is not held");
	*locked = false;
	k.locks--;
}

void kernel_set_barrier_hook(void (*hook)(void *), void *arg)
{
	k.hook = hook;
	k.hook_arg = arg;
}

unsigned long kernel_barriers(enum shim_barrier kind)
{
	return k.barriers[kind];
}

void shim_barrier(enum shim_barrier kind)
{
	k.barriers[kind]++;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (k.hook && !k.in_hook) {
		k.in_hook = true;
		k.hook(k.hook_arg);
		k.in_hook = false;
	}
}

void shim_trace(const char *name)
{
	unsigned int i;

	for (i = 0; i < TRACES; i++) {
		if (!k.trace[i].name)
			k.trace[i].name = name;
		if (!strcmp(k.trace[i].name, name)) {
			k.trace[i].hits++;
			return;
		}
	}
}

unsigned long kernel_trace_hits(const char *name)
{
	unsigned int i;

	for (i = 0; i < TRACES && k.trace[i].name; i++)
		if (!strcmp(k.trace[i].name, name))
			return k.trace[i].hits;
	return 0;
}

/* ---- time and work ---- */

void kernel_set_tick(u64 tick)
{
	k.tick = tick;
}

void kernel_advance(u64 by)
{
	k.now += by;
}

u64 get_jiffies_64(void)
{
	k.now += k.tick;
	return k.now;
}

void kernel_set_work(enum kernel_work when)
{
	k.when = when;
}

/* It may sleep, whoever queued it. */
static void do_work(struct work_struct *work)
{
	bool atomic = k.atomic;

	k.atomic = false;
	k.in_work = true;
	work->pending = false;
	work->func(work);
	k.in_work = false;
	k.atomic = atomic;
	if (k.noio)
		fail("work left memalloc_noio_save() without a restore");
}

unsigned int kernel_do_work(void)
{
	struct work_struct *work;
	unsigned int n = 0;

	for (; k.work; n++) {
		work = k.work;
		k.work = work->next;
		do_work(work);
	}
	return n;
}

bool shim_queue_work(struct work_struct *work)
{
	if (!work->func)
		fail("work that was never initialized is queued");
	if (work->pending)
		return false;
	work->pending = true;
	if (k.when == WORK_AT_ONCE) {
		do_work(work);
		return true;
	}
	work->next = k.work;
	k.work = work;
	return true;
}

bool cancel_work_sync(struct work_struct *work)
{
	struct work_struct **at = &k.work;

	might_sleep();
	if (!work->pending)
		return false;
	while (*at != work)
		at = &(*at)->next;
	*at = work->next;
	work->pending = false;
	return true;
}

/* ---- bitmaps, a bit at a time ---- */

static bool bit_of(const unsigned long *map, unsigned long n)
{
	return map[n / BITS_PER_LONG] & BIT(n % BITS_PER_LONG);
}

void bitmap_set(unsigned long *map, unsigned int start, unsigned int n)
{
	for (; n--; start++) {
		if (bit_of(map, start))
			fail("bit %u of a bitmap is set already", start);
		map[start / BITS_PER_LONG] |= BIT(start % BITS_PER_LONG);
	}
}

void bitmap_clear(unsigned long *map, unsigned int start, unsigned int n)
{
	for (; n--; start++) {
		if (!bit_of(map, start))
			fail("bit %u of a bitmap is clear already", start);
		map[start / BITS_PER_LONG] &= ~BIT(start % BITS_PER_LONG);
	}
}

/* The first @n clear bits from @start on; more than @size if there are none. */
unsigned long bitmap_find_next_zero_area(unsigned long *map, unsigned long size,
					 unsigned long start, unsigned int n,
					 unsigned long align_mask)
{
	unsigned long at = start, i;

	if (align_mask & (align_mask + 1))
		fail("bits are to be aligned to %lu", align_mask + 1);
	for (;;) {
		while (at < size && bit_of(map, at))
			at++;
		at = (at + align_mask) & ~align_mask;
		if (at + n > size)
			return at + n;
		for (i = at; i < at + n && !bit_of(map, i); i++)
			;
		if (i == at + n)
			return at;
		at = i + 1;
	}
}

/* ---- what a user sees, shim_show.h ---- */

struct iommu_domain *iommu_get_domain_for_dev(struct device *dev)
{
	static struct iommu_domain identity = { IOMMU_DOMAIN_IDENTITY },
				   strict = { IOMMU_DOMAIN_DMA };

	if (dev->shim_domain)
		return dev->shim_domain;
	if (dev->shim_mode == SHIM_DMA_IDENTITY)
		return &identity;
	return dev->shim_mode == SHIM_DMA_TRANSLATED ? &strict : NULL;
}

void seq_printf(struct seq_file *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	s->len += vsnprintf(s->text + s->len, sizeof(s->text) - s->len, fmt, ap);
	va_end(ap);
	check(s->len < sizeof(s->text));
}

static struct {
	const char *name;
	const struct dentry *parent;
	const struct file_operations *fops;
	struct seq_file seq;
} file;

void debugfs_create_file(const char *name, umode_t mode, struct dentry *parent, void *data,
			 const struct file_operations *fops)
{
	check_eq(mode, 0444);
	file.name = name;
	file.parent = parent;
	file.fops = fops;
	file.seq.private = data;
}

const char *shim_debugfs_read(const char *name, const struct dentry *parent)
{
	if (!file.name || strcmp(file.name, name) || file.parent != parent)
		return NULL;
	file.seq.len = 0;
	check_eq(file.fops->show(&file.seq, NULL), 0);
	return file.seq.text;
}

void __weak shim_param_cell_max(unsigned int val)
{
}

/* A ring without the parameter takes any value for it, as a kernel's does. */
int __weak shim_set_bounce_max(const char *val)
{
	return 0;
}

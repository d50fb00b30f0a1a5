// SPDX-License-Identifier: GPL-2.0
/*
 * A KMSAN for buffers.  It knows which of their bytes are uninitialized: a test
 * marks bytes of its buffers, copies keep the marks, and the functions that
 * stand in for a mapping report them as the kernel's KMSAN does.
 */
#include "harness.h"

#define PAGES	64

static struct {
	unsigned long page;
	bool poisoned[PAGE_SIZE];
} shadow[PAGES];

static unsigned int pages;
static unsigned int reports;

void kmsan_reset(void)
{
	pages = 0;
	reports = 0;
}

/* The shadow of a byte; NULL if there is none, which means that it was written. */
static bool *find(const void *p)
{
	unsigned long page = (unsigned long)p & PAGE_MASK;
	unsigned int i;

	for (i = 0; i < pages; i++)
		if (shadow[i].page == page)
			return &shadow[i].poisoned[offset_in_page(p)];
	return NULL;
}

static void set(const void *p, bool poisoned)
{
	bool *at = find(p);

	if (!at && !poisoned)
		return;
	if (!at) {
		if (pages == PAGES)
			fail("more than %d pages have bytes that nobody wrote", PAGES);
		shadow[pages].page = (unsigned long)p & PAGE_MASK;
		memset(shadow[pages].poisoned, 0, PAGE_SIZE);
		at = &shadow[pages++].poisoned[offset_in_page(p)];
	}
	*at = poisoned;
}

void kmsan_poison(const void *p, size_t len)
{
	const char *c = p;

	while (len--)
		set(c++, true);
}

void kmsan_unpoison_memory(const void *p, size_t size)
{
	const char *c = p;

	while (pages && size--)
		set(c++, false);
}

size_t kmsan_poisoned(const void *p, size_t len)
{
	const char *c = p;
	size_t n = 0;
	bool *at;

	for (; pages && len--; c++) {
		at = find(c);
		n += at && *at;
	}
	return n;
}

void shim_kmsan_copy(void *to, const void *from, size_t len)
{
	const char *c = from;
	char *t = to;
	bool *at;

	for (; pages && len--; c++) {
		at = find(c);
		set(t++, at && *at);
	}
}

void shim_kmsan_dma(void *p, size_t size, enum dma_data_direction dir)
{
	if (dir != DMA_FROM_DEVICE)
		reports += !!kmsan_poisoned(p, size);
	if (dir != DMA_TO_DEVICE)
		kmsan_unpoison_memory(p, size);
}

unsigned int kmsan_take_reports(void)
{
	unsigned int n = reports;

	reports = 0;
	return n;
}

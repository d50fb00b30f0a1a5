// SPDX-License-Identifier: GPL-2.0
/*
 * A DMA API that remembers.  Every mapping is recorded with its device, size
 * and direction; whoever unmaps with other values, reaches memory outside of a
 * mapping or against its direction, or leaves a mapping behind, fails the test.
 *
 * DMA addresses are never CPU addresses.  Physical addresses are numbered from
 * phys_base in chunks of 1 GiB of address space, in the order of first use;
 * IOVAs count downwards and are never used twice, so that an access after the
 * unmap is always seen.
 */
#include "harness.h"

#define CHUNK_SHIFT	30
#define CHUNKS		256
#define IOVA_TOP	0xfffff0000000ULL
#define BOUNCE_MAX	(256UL << 10)

enum kind { KIND_PAGE, KIND_SG, KIND_COHERENT };

struct mapping {
	struct device *dev;
	dma_addr_t addr;
	size_t size;
	enum dma_data_direction dir;
	enum kind kind;
	char *cpu;			/* the driver's memory */
	char *seen;			/* the device's: a bounce buffer, or cpu */
	bool error_checked;
	struct scatterlist *sg;		/* of KIND_SG */
	int nents;
};

static struct mapping *table;		/* sorted by address */
static size_t used, room;
static unsigned long chunk[CHUNKS];
static unsigned int chunks;
static phys_addr_t phys_base = 1ULL << CHUNK_SHIFT;
static dma_addr_t next_iova = IOVA_TOP;

static struct {
	const struct device *dev;
	unsigned long maps, coherent;
} counted[8];

bool dma_untracked_physical;

/* ---- addresses ---- */

phys_addr_t shim_virt_to_phys(const void *p)
{
	unsigned long virt = (unsigned long)p, number = virt >> CHUNK_SHIFT;
	unsigned int i;

	for (i = 0; i < chunks; i++)
		if (chunk[i] == number)
			break;
	if (i == chunks) {
		if (chunks == CHUNKS)
			fail("address space is too scattered for the model");
		chunk[chunks++] = number;
	}
	return phys_base + ((phys_addr_t)i << CHUNK_SHIFT) + (virt & ((1UL << CHUNK_SHIFT) - 1));
}

void *shim_phys_to_virt(phys_addr_t phys)
{
	phys_addr_t off = phys - phys_base;

	if (phys < phys_base || off >> CHUNK_SHIFT >= chunks)
		return NULL;
	return (void *)((chunk[off >> CHUNK_SHIFT] << CHUNK_SHIFT) |
			(off & ((1UL << CHUNK_SHIFT) - 1)));
}

void dma_set_phys_base(phys_addr_t base)
{
	phys_base = base;
}

/* ---- the record ---- */

static size_t upper_bound(dma_addr_t addr)
{
	size_t lo = 0, hi = used;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (table[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct mapping *record(struct mapping m)
{
	size_t at = upper_bound(m.addr), i;

	if (used == room) {
		room = room ? 2 * room : 64;
		table = realloc(table, room * sizeof(*table));
		if (!table)
			fail("the harness itself is out of memory");
	}
	memmove(&table[at + 1], &table[at], (used - at) * sizeof(*table));
	table[at] = m;
	used++;

	for (i = 0; i < ARRAY_SIZE(counted); i++) {
		if (counted[i].dev && counted[i].dev != m.dev)
			continue;
		counted[i].dev = m.dev;
		if (m.kind == KIND_COHERENT)
			counted[i].coherent++;
		else
			counted[i].maps++;
		break;
	}
	return &table[at];
}

static void forget(struct mapping *m)
{
	size_t at = m - table;

	if (m->seen != m->cpu)
		free(m->seen);
	used--;
	memmove(&table[at], &table[at + 1], (used - at) * sizeof(*table));
}

/* The newest mapping of @dev that starts at @addr. */
static struct mapping *find_start(const struct device *dev, dma_addr_t addr, enum kind kind)
{
	size_t i = upper_bound(addr);

	while (i-- && table[i].addr == addr)
		if (table[i].dev == dev && table[i].kind == kind)
			return &table[i];
	return NULL;
}

static const char *dir_name(enum dma_data_direction dir)
{
	static const char * const name[] = {
		"DMA_BIDIRECTIONAL", "DMA_TO_DEVICE", "DMA_FROM_DEVICE", "DMA_NONE",
	};

	return (unsigned int)dir < ARRAY_SIZE(name) ? name[dir] : "none at all";
}

struct dma_stats dma_stats(const struct device *dev)
{
	struct dma_stats s = { 0 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(counted); i++) {
		if (!counted[i].dev || (dev && counted[i].dev != dev))
			continue;
		s.maps += counted[i].maps;
		s.coherent += counted[i].coherent;
	}
	for (i = 0; i < used; i++) {
		if (dev && table[i].dev != dev)
			continue;
		if (table[i].kind == KIND_COHERENT)
			s.live_coherent++;
		else
			s.live_maps++;
	}
	return s;
}

void dma_reset(void)
{
	size_t i;

	for (i = 0; i < used; i++) {
		if (table[i].seen != table[i].cpu)
			free(table[i].seen);
		if (table[i].kind == KIND_COHERENT)
			free(table[i].cpu);
	}
	free(table);
	table = NULL;
	used = 0;
	room = 0;
	chunks = 0;
	phys_base = 1ULL << CHUNK_SHIFT;
	next_iova = IOVA_TOP;
	memset(counted, 0, sizeof(counted));
}

void dma_check_clean(void)
{
	if (used)
		fail("%zu mappings were leaked, the first: %s %#llx, %zu bytes, %s", used,
		     table[0].kind == KIND_COHERENT ? "coherent" : "streaming",
		     table[0].addr, table[0].size, dir_name(table[0].dir));
}

/* ---- mapping ---- */

static bool bounced(const struct device *dev)
{
	return dev->shim_mode == SHIM_DMA_BOUNCED;
}

/* The address of @size bytes at @cpu for @dev, or DMA_MAPPING_ERROR. */
static dma_addr_t address(struct device *dev, const void *cpu, size_t size, u64 mask)
{
	dma_addr_t addr;

	if (dev->shim_mode == SHIM_DMA_TRANSLATED) {
		unsigned long off = offset_in_page(cpu);

		/* One page stays unmapped between any two mappings. */
		next_iova -= PAGE_ALIGN(off + size) + PAGE_SIZE;
		return next_iova + off;
	}
	addr = shim_virt_to_phys(cpu);
	if (addr + size - 1 > mask)
		return DMA_MAPPING_ERROR;
	return addr;
}

static dma_addr_t map(struct device *dev, void *cpu, size_t size,
		      enum dma_data_direction dir, unsigned long attrs, enum kind kind,
		      struct scatterlist *sg, int nents)
{
	struct mapping m = {
		.dev = dev, .size = size, .dir = dir, .kind = kind, .cpu = cpu, .seen = cpu,
		.sg = sg, .nents = nents, .error_checked = kind == KIND_SG,
	};

	if (!dev)
		fail("a mapping without a device");
	if ((unsigned int)dir > DMA_FROM_DEVICE)
		fail("a mapping with %s", dir_name(dir));
	if (!size)
		fail("a mapping of no bytes");
	if (!dev->dma_mask || !*dev->dma_mask)
		fail("a mapping for device %s, which has no DMA mask", dev_name(dev));
	if (bounced(dev) && size > BOUNCE_MAX) {
		shim_log(SHIM_WARN, dev, "swiotlb buffer is full (sz: %zu bytes)", size);
		return DMA_MAPPING_ERROR;
	}
	if (bounced(dev)) {
		m.seen = malloc(size);
		if (!m.seen)
			fail("the harness itself is out of memory");
		memcpy(m.seen, cpu, size);
	}
	m.addr = address(dev, m.seen, size, *dev->dma_mask);
	if (m.addr == DMA_MAPPING_ERROR) {
		if (m.seen != cpu)
			free(m.seen);
		return DMA_MAPPING_ERROR;
	}
	(void)attrs;
	record(m);
	return m.addr;
}

static void unmap(struct device *dev, dma_addr_t addr, size_t size,
		  enum dma_data_direction dir, unsigned long attrs, enum kind kind)
{
	struct mapping *m = find_start(dev, addr, kind);

	if (!m)
		fail("unmapping %#llx (%zu bytes, %s), which device %s has not mapped",
		     addr, size, dir_name(dir), dev_name(dev));
	if (m->size != size)
		fail("unmapping %zu bytes at %#llx, %zu were mapped", size, addr, m->size);
	if (m->dir != dir)
		fail("unmapping %#llx as %s, it was mapped %s", addr, dir_name(dir),
		     dir_name(m->dir));
	if (!m->error_checked)
		fail("mapping %#llx was never given to dma_mapping_error()", addr);
	if (m->seen != m->cpu && dir != DMA_TO_DEVICE && !(attrs & DMA_ATTR_SKIP_CPU_SYNC))
		memcpy(m->cpu, m->seen, size);
	forget(m);
}

dma_addr_t dma_map_page_attrs(struct device *dev, struct page *page, size_t offset,
			      size_t size, enum dma_data_direction dir, unsigned long attrs)
{
	if (kernel_fail_now())
		return DMA_MAPPING_ERROR;
	return map(dev, (char *)page_address(page) + offset, size, dir, attrs, KIND_PAGE,
		   NULL, 0);
}

void dma_unmap_page_attrs(struct device *dev, dma_addr_t addr, size_t size,
			  enum dma_data_direction dir, unsigned long attrs)
{
	if (!dev)
		fail("an unmap without a device");
	unmap(dev, addr, size, dir, attrs, KIND_PAGE);
}

int dma_mapping_error(struct device *dev, dma_addr_t addr)
{
	struct mapping *m;

	if (addr == DMA_MAPPING_ERROR)
		return -ENOMEM;
	m = find_start(dev, addr, KIND_PAGE);
	if (m)
		m->error_checked = true;
	return 0;
}

/*
 * An IOMMU gives a list one range of addresses and joins what then touches, up
 * to the device's limit; without one each entry keeps its own address.
 */
unsigned int dma_map_sg_attrs(struct device *dev, struct scatterlist *sgl, int nents,
			      enum dma_data_direction dir, unsigned long attrs)
{
	struct scatterlist *sg, *out = sgl;
	size_t total = 0;
	dma_addr_t iova;
	int i, n = 0;

	if (nents <= 0)
		fail("a scatterlist of %d entries", nents);
	if (kernel_fail_now())
		return 0;
	for_each_sg(sgl, sg, nents, i)
		total += PAGE_ALIGN(offset_in_page(sg_virt(sg)) + sg->length);
	next_iova -= total + PAGE_SIZE;
	iova = next_iova;

	for_each_sg(sgl, sg, nents, i) {
		dma_addr_t addr, keep = next_iova;
		unsigned int len = sg->length;

		if (dev->shim_mode == SHIM_DMA_TRANSLATED) {
			size_t span = PAGE_ALIGN(offset_in_page(sg_virt(sg)) + len);

			next_iova = iova + span + PAGE_SIZE;
			addr = map(dev, sg_virt(sg), len, dir, attrs, KIND_SG, sgl, nents);
			iova += span;
		} else {
			addr = map(dev, sg_virt(sg), len, dir, attrs, KIND_SG, sgl, nents);
		}
		next_iova = keep;
		if (addr == DMA_MAPPING_ERROR) {
			size_t j;

			for (j = used; j--; )
				if (table[j].kind == KIND_SG && table[j].sg == sgl &&
				    table[j].dev == dev)
					forget(&table[j]);
			return 0;
		}
		if (n && dev->shim_mode == SHIM_DMA_TRANSLATED &&
		    out->dma_address + out->dma_length == addr &&
		    out->dma_length + len <= dma_get_max_seg_size(dev)) {
			out->dma_length += len;
			continue;
		}
		if (n)
			out = sg_next(out);
		out->dma_address = addr;
		out->dma_length = len;
		n++;
	}
	return n;
}

void dma_unmap_sg_attrs(struct device *dev, struct scatterlist *sgl, int nents,
			enum dma_data_direction dir, unsigned long attrs)
{
	int found = 0;
	size_t i;

	for (i = used; i--; ) {
		struct mapping *m = &table[i];

		if (m->kind != KIND_SG || m->sg != sgl || m->dev != dev)
			continue;
		if (m->nents != nents)
			fail("unmapping %d entries of a scatterlist, %d were mapped", nents,
			     m->nents);
		found++;
		unmap(dev, m->addr, m->size, dir, attrs, KIND_SG);
	}
	if (found != nents)
		fail("unmapping a scatterlist of %d entries, of which %d are mapped", nents,
		     found);
}

void *dma_alloc_attrs(struct device *dev, size_t size, dma_addr_t *handle, gfp_t gfp,
		      unsigned long attrs)
{
	struct mapping m = {
		.dev = dev, .size = size, .dir = DMA_BIDIRECTIONAL, .kind = KIND_COHERENT,
		.error_checked = true,
	};

	(void)attrs;
	if (!dev)
		fail("a coherent allocation without a device");
	if (gfpflags_allow_blocking(gfp))
		shim_might_sleep(__FILE__, __LINE__);
	if (WARN_ON(!dev->coherent_dma_mask))
		return NULL;
	if (kernel_fail_now())
		return NULL;
	m.cpu = aligned_alloc(PAGE_SIZE, PAGE_ALIGN(size));
	if (!m.cpu)
		fail("the harness itself is out of memory");
	memset(m.cpu, 0, PAGE_ALIGN(size));
	m.seen = m.cpu;
	m.addr = address(dev, m.cpu, size, dev->coherent_dma_mask);
	if (m.addr == DMA_MAPPING_ERROR) {
		free(m.cpu);
		return NULL;
	}
	record(m);
	*handle = m.addr;
	return m.cpu;
}

void dma_free_attrs(struct device *dev, size_t size, void *cpu, dma_addr_t handle,
		    unsigned long attrs)
{
	struct mapping *m;

	(void)attrs;
	if (!cpu)
		return;
	m = find_start(dev, handle, KIND_COHERENT);
	if (!m)
		fail("freeing coherent memory at %#llx, which device %s does not have",
		     handle, dev_name(dev));
	if (m->size != size || m->cpu != cpu)
		fail("freeing %zu coherent bytes at %p, it is %zu at %p", size, cpu, m->size,
		     m->cpu);
	forget(m);
	free(cpu);
}

static struct mapping *find_within(const struct device *dev, dma_addr_t addr)
{
	size_t i;

	for (i = upper_bound(addr); i--; )
		if (table[i].dev == dev && addr - table[i].addr < table[i].size)
			return &table[i];
	return NULL;
}

static void sync(struct device *dev, dma_addr_t addr, size_t size,
		 enum dma_data_direction dir, bool for_cpu)
{
	struct mapping *m = find_within(dev, addr);
	size_t off;

	if (!m || addr - m->addr + size > m->size)
		fail("syncing %zu bytes at %#llx, which are not mapped", size, addr);
	if (m->dir != dir && m->dir != DMA_BIDIRECTIONAL)
		fail("syncing %#llx as %s, it was mapped %s", addr, dir_name(dir),
		     dir_name(m->dir));
	if (m->seen == m->cpu)
		return;
	off = addr - m->addr;
	if (for_cpu && dir != DMA_TO_DEVICE)
		memcpy(m->cpu + off, m->seen + off, size);
	if (!for_cpu)
		memcpy(m->seen + off, m->cpu + off, size);
}

void dma_sync_single_for_cpu(struct device *dev, dma_addr_t addr, size_t size,
			     enum dma_data_direction dir)
{
	sync(dev, addr, size, dir, true);
}

void dma_sync_single_for_device(struct device *dev, dma_addr_t addr, size_t size,
				enum dma_data_direction dir)
{
	sync(dev, addr, size, dir, false);
}

bool dma_need_sync(struct device *dev, dma_addr_t addr)
{
	(void)addr;
	return bounced(dev);
}

bool dma_need_unmap(struct device *dev)
{
	(void)dev;
	return true;
}

size_t dma_max_mapping_size(struct device *dev)
{
	return bounced(dev) ? BOUNCE_MAX : SIZE_MAX;
}

int dma_set_mask(struct device *dev, u64 mask)
{
	if (!dev->dma_mask)
		return -EIO;
	*dev->dma_mask = mask;
	return 0;
}

int dma_set_coherent_mask(struct device *dev, u64 mask)
{
	dev->coherent_dma_mask = mask;
	return 0;
}

/* ---- the device's side ---- */

void *dma_access(const struct device *dev, dma_addr_t addr, size_t len, bool write,
		 size_t *got, const char **why)
{
	const char *reason = "no mapping there";
	struct mapping *m = NULL;
	size_t i;

	for (i = upper_bound(addr); i--; ) {
		struct mapping *c = &table[i];

		if (addr - c->addr >= c->size)
			continue;
		if (c->dev != dev) {
			reason = "mapped for another device";
			continue;
		}
		if (c->dir == (write ? DMA_TO_DEVICE : DMA_FROM_DEVICE)) {
			reason = write ? "mapped DMA_TO_DEVICE" : "mapped DMA_FROM_DEVICE";
			continue;
		}
		m = c;
		break;
	}
	if (!m) {
		char *p = shim_phys_to_virt(addr);
		bool foreign = shim_foreign && p >= (const char *)shim_foreign &&
			       p + len <= (const char *)shim_foreign + shim_foreign_size;

		if (p && (dma_untracked_physical || foreign)) {
			*got = len;
			return p;
		}
		*why = reason;
		return NULL;
	}
	*got = min(len, m->size - (size_t)(addr - m->addr));
	return m->seen + (addr - m->addr);
}

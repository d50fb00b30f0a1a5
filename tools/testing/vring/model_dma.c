// SPDX-License-Identifier: GPL-2.0
/*
 * A DMA API that records.  Every mapping is recorded with its device, size and
 * direction.  A test fails if something unmaps with other values, accesses
 * memory outside of a mapping or against its direction, or leaves a mapping
 * behind.
 *
 * DMA addresses are never CPU addresses.  Physical addresses are numbered from
 * phys_base in chunks of 1 GiB of address space, in the order of first use.
 * IOVAs count downwards and are never used twice, so every access after the
 * unmap is detected.
 *
 * A device behind a bounce buffer, or one that does not see the CPU's caches,
 * has a copy of each buffer.  Only mapping, syncing and unmapping pass the copy
 * on.
 *
 * If a device was given mapping operations, these operations serve it.  They
 * must return what the record says: physical addresses within the device's
 * mask.
 */
#include "harness.h"

#define CHUNK_SHIFT	30
#define CHUNKS		256
#define IOVA_TOP	0xfffff0000000ULL
#define BOUNCE_MAX	(256UL << 10)
#define CACHE_LINE	ARCH_DMA_MINALIGN

enum kind { KIND_PAGE, KIND_SG, KIND_COHERENT };

struct mapping {
	struct device *dev;
	dma_addr_t addr;
	size_t size;
	enum dma_data_direction dir;
	enum kind kind;
	char *cpu;			/* the driver's memory */
	char *seen;			/* the device's: what it sees of that, or cpu */
	bool error_checked;
	bool optional;			/* undoing it would do nothing */
	bool cell;			/* the ring's, a page from alloc_page() */
	struct scatterlist *sg;		/* of KIND_SG, which is several of these */
	int nents, nth;
};

/* Those in use, sorted by address, and behind them those that are not. */
static struct mapping **table;
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
bool dma_accounted;
bool dma_shared_only;
unsigned long dma_last_attrs;
size_t dma_iova_limit;
size_t dma_pool_size = SIZE_MAX;
size_t dma_pool_used;
bool shim_uncached;
bool shim_in_interrupt;

const struct dma_map_ops *shim_arch_ops;

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

		if (table[mid]->addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void forget(struct mapping *m);

/* What the tests call a mapping: nothing of the ring's own, a scatterlist once. */
static bool is_counted(const struct mapping *m)
{
	return m->kind != KIND_COHERENT && !m->cell && !m->nth;
}

/* Bytes of the longest mapping that was optional so far. */
static size_t longest_optional;

/*
 * Memory that is mapped again that way was done with, if nobody had to say so.
 * What has become the ring's own was, whatever it was mapped for.
 */
static void forget_optional(const struct mapping *m)
{
	bool own = m->cell || m->kind == KIND_COHERENT;
	phys_addr_t phys = shim_virt_to_phys(m->cpu);
	size_t i = upper_bound(phys + m->size - 1);

	/* Undoing does nothing where DMA addresses are physical ones. */
	while (i-- && table[i]->addr + longest_optional > phys)
		if (table[i]->optional && table[i]->dev == m->dev &&
		    (own || table[i]->dir == m->dir) &&
		    table[i]->cpu < m->cpu + m->size && m->cpu < table[i]->cpu + table[i]->size)
			forget(table[i]);
}

static struct mapping *record(struct mapping m)
{
	size_t at = upper_bound(m.addr), i;
	struct mapping *entry;

	if (used == room) {
		struct mapping *more;

		room = room ? 2 * room : 64;
		table = realloc(table, room * sizeof(*table));
		more = calloc(room - used, sizeof(*more));
		if (!table || !more)
			fail("the harness itself is out of memory");
		for (i = used; i < room; i++)
			table[i] = more++;
	}
	entry = table[used];
	/* The sanitizers' memmove() goes byte by byte. */
	for (i = used++; i > at; i--)
		table[i] = table[i - 1];
	table[at] = entry;
	*entry = m;
	if (m.optional && m.size > longest_optional)
		longest_optional = m.size;

	for (i = 0; i < ARRAY_SIZE(counted); i++) {
		if (counted[i].dev && counted[i].dev != m.dev)
			continue;
		counted[i].dev = m.dev;
		if (m.kind == KIND_COHERENT)
			counted[i].coherent++;
		else
			counted[i].maps += is_counted(&m);
		break;
	}
	return entry;
}

static void forget(struct mapping *m)
{
	size_t at = upper_bound(m->addr) - 1;

	while (table[at] != m)
		at--;
	if (m->seen != m->cpu)
		free(m->seen);
	for (used--; at < used; at++)
		table[at] = table[at + 1];
	table[used] = m;
}

/* The newest mapping of @dev that starts at @addr, for that direction if there is one. */
static struct mapping *find_start(const struct device *dev, dma_addr_t addr, enum kind kind,
				  enum dma_data_direction dir)
{
	struct mapping *newest = NULL;
	size_t i = upper_bound(addr);

	while (i-- && table[i]->addr == addr) {
		if (table[i]->dev != dev || table[i]->kind != kind)
			continue;
		if (table[i]->dir == dir)
			return table[i];
		if (!newest)
			newest = table[i];
	}
	return newest;
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
		if (dev && table[i]->dev != dev)
			continue;
		if (table[i]->kind == KIND_COHERENT)
			s.live_coherent++;
		else if (table[i]->cell)
			s.live_cells++;
		else if (table[i]->optional)
			s.optional++;
		else
			s.live_maps += is_counted(table[i]);
	}
	return s;
}

void dma_reset(void)
{
	size_t i;

	for (i = 0; i < used; i++) {
		if (table[i]->seen != table[i]->cpu)
			free(table[i]->seen);
		if (table[i]->kind == KIND_COHERENT)
			free(table[i]->cpu);
	}
	used = 0;
	chunks = 0;
	phys_base = 1ULL << CHUNK_SHIFT;
	next_iova = IOVA_TOP;
	dma_accounted = false;
	dma_shared_only = false;
	dma_iova_limit = 0;
	dma_pool_size = SIZE_MAX;
	dma_pool_used = 0;
	shim_arch_ops = NULL;
	memset(counted, 0, sizeof(counted));
}

/* What they do is below: an address of its own for every mapping. */
void dma_arch_has_ops(void)
{
	static const struct dma_map_ops translating;

	shim_arch_ops = &translating;
}

void dma_check_clean(void)
{
	size_t i;

	for (i = used; i--; )
		if (table[i]->optional)
			forget(table[i]);
	if (used)
		fail("%zu mappings were leaked, the first: %s %#llx, %zu bytes, %s", used,
		     table[0]->kind == KIND_COHERENT ? "coherent" : "streaming",
		     table[0]->addr, table[0]->size, dir_name(table[0]->dir));
}

/* ---- mapping ---- */

static bool translates(const struct device *dev)
{
	return dev->shim_mode == SHIM_DMA_TRANSLATED || (shim_arch_ops && !dev->dma_ops);
}

/* Whether a new mapping goes through swiotlb: every one does, or this one, or none. */
static bool bounces(struct device *dev)
{
	if (translates(dev))
		return false;
	if (dev->shim_mode != SHIM_DMA_BOUNCED &&
	    (!dev->shim_bounce_in || --dev->shim_bounce_in))
		return false;
	dev->shim_bounces = true;
	return true;
}

/* The address of @size bytes at @cpu for @dev, or DMA_MAPPING_ERROR. */
static dma_addr_t address(struct device *dev, const void *cpu, size_t size, u64 mask)
{
	dma_addr_t addr;

	if (translates(dev)) {
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

static void same_address(const struct device *dev, dma_addr_t by_ops, dma_addr_t addr)
{
	if (by_ops != addr)
		fail("the operations of device %s say %#llx, it is %#llx", dev_name(dev), by_ops,
		     addr);
}

/* Record @m, of which @addr and what depends on the device are filled in. */
static dma_addr_t map(struct mapping m)
{
	struct device *dev = m.dev;
	bool bounce;

	if (!dev)
		fail("a mapping without a device");
	if ((unsigned int)m.dir > DMA_FROM_DEVICE)
		fail("a mapping with %s", dir_name(m.dir));
	if (!m.size)
		fail("a mapping of no bytes");
	if (dma_shared_only && !kernel_short_of_memory())
		fail("%zu bytes are mapped, though there is room in shared memory", m.size);
	if (!dev->dma_mask || !*dev->dma_mask)
		fail("a mapping for device %s, which has no DMA mask", dev_name(dev));
	bounce = bounces(dev);
	if (bounce && m.size > BOUNCE_MAX) {
		shim_log(SHIM_WARN, dev, "swiotlb buffer is full (sz: %zu bytes)", m.size);
		return DMA_MAPPING_ERROR;
	}
	m.seen = m.cpu;
	if (bounce || dev->shim_noncoherent) {
		m.seen = malloc(m.size);
		if (!m.seen)
			fail("the harness itself is out of memory");
		if (m.dir == DMA_FROM_DEVICE && !bounce)
			memset(m.seen, DMA_STALE, m.size);
		else
			memcpy(m.seen, m.cpu, m.size);
	}
	m.addr = address(dev, bounce ? m.seen : m.cpu, m.size, *dev->dma_mask);
	if (dev->dma_ops && m.kind == KIND_PAGE)
		same_address(dev, shim_ops_map(dev, virt_to_page(m.cpu), offset_in_page(m.cpu),
					       m.size, m.dir, 0), m.addr);
	if (m.addr == DMA_MAPPING_ERROR) {
		if (m.seen != m.cpu)
			free(m.seen);
		return DMA_MAPPING_ERROR;
	}
	m.cell = m.kind == KIND_PAGE && m.size == PAGE_SIZE && kernel_is_page(m.cpu);
	m.optional = m.kind != KIND_COHERENT && !m.cell && !dma_dev_need_sync(dev) &&
		     !get_dma_ops(dev) && !translates(dev);
	forget_optional(&m);
	record(m);
	return m.addr;
}

static void unmap(struct device *dev, dma_addr_t addr, size_t size,
		  enum dma_data_direction dir, unsigned long attrs, enum kind kind)
{
	struct mapping *m = find_start(dev, addr, kind, dir);

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
	if (m->seen != m->cpu && dir != DMA_TO_DEVICE && !(attrs & DMA_ATTR_SKIP_CPU_SYNC)) {
		memcpy(m->cpu, m->seen, size);
		kmsan_unpoison_memory(m->cpu, size);
	}
	forget(m);
}

dma_addr_t dma_map_page_attrs(struct device *dev, struct page *page, size_t offset,
			      size_t size, enum dma_data_direction dir, unsigned long attrs)
{
	dma_addr_t addr;

	dma_last_attrs = attrs;
	if (kernel_fail_now())
		return DMA_MAPPING_ERROR;
	addr = map((struct mapping) {
		.dev = dev, .cpu = (char *)page_address(page) + offset, .size = size,
		.dir = dir, .kind = KIND_PAGE,
	});
	shim_kmsan_dma((char *)page_address(page) + offset, size, dir);
	return addr;
}

/* This is how drivers map by themselves, who do as they like. */
dma_addr_t dma_map_single_attrs(struct device *dev, void *p, size_t size,
				enum dma_data_direction dir, unsigned long attrs)
{
	bool keep = dma_shared_only;
	dma_addr_t addr;

	dma_shared_only = false;
	addr = dma_map_page_attrs(dev, virt_to_page(p), offset_in_page(p), size, dir, attrs);
	dma_shared_only = keep;
	return addr;
}

void dma_unmap_page_attrs(struct device *dev, dma_addr_t addr, size_t size,
			  enum dma_data_direction dir, unsigned long attrs)
{
	if (!dev)
		fail("an unmap without a device");
	unmap(dev, addr, size, dir, attrs, KIND_PAGE);
	if (dev->dma_ops)
		shim_ops_unmap(dev, addr, size, dir, attrs);
}

int dma_mapping_error(struct device *dev, dma_addr_t addr)
{
	struct mapping *m;

	if (addr == DMA_MAPPING_ERROR)
		return -ENOMEM;
	m = find_start(dev, addr, KIND_PAGE, DMA_NONE);
	if (m)
		m->error_checked = true;
	return 0;
}

static bool is_of_sg(const struct mapping *m, const struct device *dev,
		     const struct scatterlist *sgl)
{
	return m->kind == KIND_SG && m->sg == sgl && m->dev == dev;
}

static void forget_sg(const struct device *dev, const struct scatterlist *sgl)
{
	size_t i;

	for (i = used; i--; )
		if (is_of_sg(table[i], dev, sgl))
			forget(table[i]);
}

/*
 * An IOMMU gives a list one range of addresses and joins what then touches, up
 * to the device's limit, as __finalise_sg() does; without one each entry keeps
 * its own address.
 */
unsigned int dma_map_sg_attrs(struct device *dev, struct scatterlist *sgl, int nents,
			      enum dma_data_direction dir, unsigned long attrs)
{
	bool translated = translates(dev);
	struct scatterlist *sg, *out = sgl;
	u32 limit = dma_get_max_seg_size(dev), len = 0;
	dma_addr_t iova, end = 0;
	size_t total = 0, k;
	int i, n = 0, by_ops = 0;

	if (nents <= 0)
		fail("a scatterlist of %d entries", nents);
	for (k = used; k--; ) {
		if (!is_of_sg(table[k], dev, sgl))
			continue;
		if (!table[k]->optional)
			fail("a scatterlist is mapped again before it was unmapped");
		/* The list is another one now, what was mapped with it stays. */
		table[k]->sg = NULL;
	}
	if (kernel_fail_now())
		return 0;
	for_each_sg(sgl, sg, nents, i)
		total += PAGE_ALIGN(offset_in_page(sg_virt(sg)) + sg->length);
	if (translated && dma_iova_limit && total > dma_iova_limit)
		return 0;
	next_iova -= total + PAGE_SIZE;
	iova = next_iova;
	if (dev->dma_ops)
		by_ops = dev->dma_ops->map_sg(dev, sgl, nents, dir, attrs);

	for_each_sg(sgl, sg, nents, i) {
		size_t span = PAGE_ALIGN(offset_in_page(sg_virt(sg)) + sg->length);
		dma_addr_t addr, keep = next_iova;

		if (translated)
			next_iova = iova + span + PAGE_SIZE;
		addr = map((struct mapping) {
			.dev = dev, .cpu = sg_virt(sg), .size = sg->length, .dir = dir,
			.kind = KIND_SG, .error_checked = true, .sg = sgl, .nents = nents,
			.nth = i,
		});
		if (translated)
			next_iova = keep;
		if (addr == DMA_MAPPING_ERROR) {
			check(!dev->dma_ops || by_ops == -EIO);
			forget_sg(dev, sgl);
			return 0;
		}
		if (dev->dma_ops) {
			same_address(dev, sg->dma_address, addr);
			check_eq(sg->dma_length, sg->length);
		}
		iova += span;
		/* Unsigned: the kernel, too, joins to what is beyond the limit. */
		if (translated && n && addr == end && limit - len >= sg->length) {
			len += sg->length;
		} else {
			if (n++)
				out = sg_next(out);
			out->dma_address = addr;
			len = sg->length;
		}
		out->dma_length = len;
		end = addr + sg->length;
		shim_kmsan_dma(sg_virt(sg), sg->length, dir);
	}
	check(!dev->dma_ops || by_ops == n);
	return n;
}

/* The list has to be the one that was mapped, and what it was then. */
void dma_unmap_sg_attrs(struct device *dev, struct scatterlist *sgl, int nents,
			enum dma_data_direction dir, unsigned long attrs)
{
	struct scatterlist *sg;
	int found = 0, i;
	size_t n;

	for_each_sg(sgl, sg, nents, i) {
		for (n = used; n--; )
			if (is_of_sg(table[n], dev, sgl) && table[n]->nth == i)
				break;
		if (n == SIZE_MAX)
			break;
		if (table[n]->nents != nents)
			fail("unmapping %d entries of a scatterlist, %d were mapped", nents,
			     table[n]->nents);
		if (!i && sg_dma_address(sg) != table[n]->addr)
			fail("unmapping a scatterlist at %#llx, it was mapped at %#llx",
			     sg_dma_address(sg), table[n]->addr);
		if (sg_virt(sg) != table[n]->cpu || sg->length != table[n]->size)
			fail("entry %d of a scatterlist was changed while it was mapped", i);
		found++;
	}
	if (found != nents)
		fail("unmapping a scatterlist of %d entries, of which %d are mapped", nents,
		     found);
	for (n = used; n--; )
		if (is_of_sg(table[n], dev, sgl))
			unmap(dev, table[n]->addr, table[n]->size, dir, attrs, KIND_SG);
	if (dev->dma_ops)
		dev->dma_ops->unmap_sg(dev, sgl, nents, dir, attrs);
}

/* Of one chunk: what is in two has no physical addresses that follow one another. */
static void *alloc_zeroed(size_t size)
{
	char *p = aligned_alloc(PAGE_SIZE, PAGE_ALIGN(size)), *other = NULL;

	if (p && ((unsigned long)p ^ (unsigned long)(p + size - 1)) >> CHUNK_SHIFT) {
		other = p;
		p = aligned_alloc(PAGE_SIZE, PAGE_ALIGN(size));
	}
	free(other);
	if (!p)
		fail("the harness itself is out of memory");
	return memset(p, 0, PAGE_ALIGN(size));
}

void *dma_alloc_attrs(struct device *dev, size_t size, dma_addr_t *handle, gfp_t gfp,
		      unsigned long attrs)
{
	struct mapping m = {
		.dev = dev, .size = size, .dir = DMA_BIDIRECTIONAL, .kind = KIND_COHERENT,
		.error_checked = true,
	};

	if (!dev)
		fail("a coherent allocation without a device");
	shim_may_allocate(gfp, __FILE__, __LINE__);
	if (WARN_ON(!dev->coherent_dma_mask))
		return NULL;
	/* What operations allocate fails by itself. */
	if (!dev->dma_ops && kernel_fail_now())
		return NULL;
	m.cpu = dev->dma_ops ? dev->dma_ops->alloc(dev, size, handle, gfp, attrs) :
			       alloc_zeroed(size);
	if (!m.cpu)
		return NULL;
	m.seen = m.cpu;
	m.addr = address(dev, m.cpu, size, dev->coherent_dma_mask);
	if (dev->dma_ops) {
		same_address(dev, *handle, m.addr);
		if (m.cpu[0] || memcmp(m.cpu, m.cpu + 1, size - 1))
			fail("coherent memory of device %s is not zeroed", dev_name(dev));
	} else if (m.addr == DMA_MAPPING_ERROR) {
		free(m.cpu);
		return NULL;
	}
	forget_optional(&m);
	record(m);
	*handle = m.addr;
	return m.cpu;
}

void dma_free_attrs(struct device *dev, size_t size, void *cpu, dma_addr_t handle,
		    unsigned long attrs)
{
	struct mapping *m;

	if (!cpu)
		return;
	m = find_start(dev, handle, KIND_COHERENT, DMA_NONE);
	if (!m)
		fail("freeing coherent memory at %#llx, which device %s does not have",
		     handle, dev_name(dev));
	if (m->size != size || m->cpu != cpu)
		fail("freeing %zu coherent bytes at %p, it is %zu at %p", size, cpu, m->size,
		     m->cpu);
	forget(m);
	if (dev->dma_ops)
		dev->dma_ops->free(dev, size, cpu, handle, attrs);
	else
		free(cpu);
}

/* The newest mapping of @dev that @addr is in. */
static struct mapping *find_within(const struct device *dev, dma_addr_t addr)
{
	size_t i;

	for (i = upper_bound(addr); i--; )
		if (table[i]->dev == dev && addr - table[i]->addr < table[i]->size)
			return table[i];
	return NULL;
}

/*
 * Nothing is written back for a buffer that only the device writes.  Caches
 * work by the line, and what else is in the line suffers.
 */
static void sync(struct device *dev, dma_addr_t addr, size_t size,
		 enum dma_data_direction dir, bool for_cpu)
{
	struct mapping *m = find_within(dev, addr);
	size_t off, end;

	if (!m || addr - m->addr + size > m->size)
		fail("syncing %zu bytes at %#llx, which are not mapped", size, addr);
	if (m->dir != dir && m->dir != DMA_BIDIRECTIONAL)
		fail("syncing %#llx as %s, it was mapped %s", addr, dir_name(dir),
		     dir_name(m->dir));
	if (m->seen == m->cpu)
		return;
	off = addr - m->addr;
	end = off + size;
	if (dev->shim_noncoherent) {
		off = ALIGN_DOWN(addr, CACHE_LINE) > m->addr ?
		      ALIGN_DOWN(addr, CACHE_LINE) - m->addr : 0;
		end = min(ALIGN(addr + size, CACHE_LINE) - m->addr, (u64)m->size);
	}
	if (for_cpu && dir != DMA_TO_DEVICE)
		memcpy(m->cpu + off, m->seen + off, end - off);
	if (!for_cpu && dir != DMA_FROM_DEVICE)
		memcpy(m->seen + off, m->cpu + off, end - off);
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
	struct mapping *m = find_within(dev, addr);

	return m && m->seen != m->cpu;
}

bool dma_dev_need_sync(struct device *dev)
{
	return dma_accounted || dev->shim_bounces || dev->shim_noncoherent ||
	       (dev->shim_mode == SHIM_DMA_BOUNCED && !dev->shim_syncs_late);
}

bool dma_need_unmap(struct device *dev)
{
	return get_dma_ops(dev) || translates(dev) || dma_dev_need_sync(dev);
}

bool dma_addr_is_phys(struct device *dev)
{
	return !dma_need_unmap(dev) && dev->shim_mode != SHIM_DMA_BOUNCED &&
	       !shim_mem_encrypt && dma_get_mask(dev) == DMA_BIT_MASK(64);
}

size_t swiotlb_max_mapping_size(struct device *dev)
{
	return BOUNCE_MAX;
}

size_t swiotlb_pool_size(struct device *dev)
{
	return dma_pool_size;
}

size_t swiotlb_pool_used(struct device *dev)
{
	size_t bytes = dma_pool_used, i;

	for (i = 0; i < used; i++)
		if (table[i]->dev == dev && table[i]->kind == KIND_COHERENT)
			bytes += table[i]->size;
	return bytes;
}

size_t dma_max_mapping_size(struct device *dev)
{
	return dev->shim_mode == SHIM_DMA_BOUNCED ? BOUNCE_MAX : SIZE_MAX;
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
	bool mapped = false;
	size_t i;

	for (i = upper_bound(addr); i--; ) {
		struct mapping *c = table[i];

		if (addr - c->addr >= c->size)
			continue;
		if (c->dev != dev) {
			reason = "mapped for another device";
			continue;
		}
		if (c->dir == (write ? DMA_TO_DEVICE : DMA_FROM_DEVICE)) {
			reason = write ? "mapped DMA_TO_DEVICE" : "mapped DMA_FROM_DEVICE";
			mapped = true;
			continue;
		}
		m = c;
		break;
	}
	if (!m) {
		char *p = shim_phys_to_virt(addr);
		bool foreign = shim_foreign && p >= (const char *)shim_foreign &&
			       p + len <= (const char *)shim_foreign + shim_foreign_size;

		/* What is mapped for one direction is the ring's own, a cell. */
		if (p && (dma_untracked_physical || foreign ||
			  (dev->shim_untracked && !mapped))) {
			*got = len;
			return p;
		}
		*why = reason;
		return NULL;
	}
	*got = min(len, m->size - (size_t)(addr - m->addr));
	return m->seen + (addr - m->addr);
}

bool dma_in_cell(const struct device *dev, dma_addr_t addr)
{
	struct mapping *m = find_within(dev, addr);

	return m && (m->cell || m->kind == KIND_COHERENT);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cells: memory next to the ring that stays mapped for the device, so that
 * indirect tables and small buffers cost no mapping.  If accesses are
 * translated, a mapping, its removal and the invalidation that follows cost
 * more than copying a page.  Buffers that are not copied are mapped, each
 * direction at once.
 *
 * Device-writable buffers follow the rules of swiotlb.  The device may write
 * less than there is room for, and may report any length.  So a whole buffer is
 * copied in when the request is added, and copied back when it completes.
 * Bytes that were not written keep their content, and no data of an older
 * request shows.  Cells are mapped for one direction.  A coherent device can
 * therefore read no more than the buffer's own mapping would have let it read.
 */
#include <linux/align.h>
#include <linux/dma-mapping.h>
#include <linux/highmem.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>

#include "ring.h"

/* Sizes in bytes of the kinds of cells with a fixed size: powers of two. */
#define CELL_TABLE_SIZE		256
#define CELL_HEADER_SIZE	256
#define CELL_STATUS_SIZE	128

/* A list of up to this many bytes goes into a cell for headers or status. */
#define CELL_SMALL		128

/* Pieces of a cell start at multiples of this. */
#define CELL_ALIGN		16

#define CELL_BOUNCE_MAX		4096

/* KiB of cells that a device may have by default. */
#define CELL_MAX		8192

/* A data cell has room for a table of this many bytes, whatever bounce_max is. */
#define CELL_DATA_MIN		2048

/* A request of one entry goes into the cell of its kind without a check. */
static_assert(CELL_SMALL <= CELL_HEADER_SIZE);
static_assert(CELL_SMALL <= CELL_STATUS_SIZE);
/* A page is divided into cells without a remainder. */
static_assert(PAGE_SIZE % CELL_TABLE_SIZE == 0);
static_assert(PAGE_SIZE % CELL_HEADER_SIZE == 0);
static_assert(PAGE_SIZE % CELL_STATUS_SIZE == 0);
static_assert(PAGE_SIZE % CELL_BOUNCE_MAX == 0);
static_assert(PAGE_SIZE % CELL_DATA_MIN == 0);
/* Two requests do not share a cache line that is written back and invalidated. */
static_assert(CELL_STATUS_SIZE % ARCH_DMA_MINALIGN == 0);
static_assert(CELL_DATA_MIN % ARCH_DMA_MINALIGN == 0);
/* A position in a kind of cells has 32 bits. */
static_assert((u64)VRING_MAX_NUM * CELL_BOUNCE_MAX <= U32_MAX);

/* With this value, no buffer of a driver goes into a cell. */
#define CELL_BOUNCE_NOTHING	-1

/*
 * DMA_API_DEBUG checks buffers that are mapped: memory on a stack, freed or
 * mapped twice.  It cannot check a buffer that is copied.
 */
static int bounce_max = IS_ENABLED(CONFIG_DMA_API_DEBUG) ? CELL_BOUNCE_NOTHING :
							   CELL_BOUNCE_MAX;

static int bounce_max_set(const char *val, const struct kernel_param *kp)
{
	int max;

	if (kstrtoint(val, 0, &max) || max < CELL_BOUNCE_NOTHING ||
	    max > CELL_BOUNCE_MAX)
		return -EINVAL;
	WRITE_ONCE(*(int *)kp->arg, max);
	return 0;
}

static const struct kernel_param_ops bounce_max_ops = {
	.set	= bounce_max_set,
	.get	= param_get_int,
};
module_param_cb(bounce_max, &bounce_max_ops, &bounce_max, 0644);
MODULE_PARM_DESC(bounce_max,
		 "copy translated buffers of up to this many bytes, 0 to 4096, instead of mapping them; -1: copy none and have no pools (default with CONFIG_DMA_API_DEBUG); for queues that are created later");

static uint cell_max = CELL_MAX;
module_param(cell_max, uint, 0644);
MODULE_PARM_DESC(cell_max,
		 "limit of the cells or pools of a device in KiB; for queues that are created later");

static bool cell_in(enum vring_cell_kind kind)
{
	return kind == VRING_CELL_STATUS || kind == VRING_CELL_IN;
}

static u32 cell_size(const struct vring_virtqueue *vq, enum vring_cell_kind kind)
{
	switch (kind) {
	case VRING_CELL_TABLE:
		return CELL_TABLE_SIZE;
	case VRING_CELL_HEADER:
		return CELL_HEADER_SIZE;
	case VRING_CELL_STATUS:
		return CELL_STATUS_SIZE;
	default:
		return vq->data_cell;
	}
}

static u32 cell_chunks(const struct vring_virtqueue *vq, u32 num,
		       enum vring_cell_kind kind)
{
	return DIV_ROUND_UP(num * (u64)cell_size(vq, kind), PAGE_SIZE);
}

/* The cell of an id; NULL if there is none and no memory for one. */
static __always_inline void *cell_get(struct vring_virtqueue *vq,
				      enum vring_cell_kind kind, u16 id,
				      dma_addr_t *addr)
{
	u32 size = cell_size(vq, kind), pos = id * size;
	struct vring_chunk *chunk;

	if (!vq->ring.chunk[kind])
		return NULL;
	chunk = &vq->ring.chunk[kind][pos / PAGE_SIZE];
	if (unlikely(!chunk->mem) &&
	    vring_dma_alloc_chunk(vq, chunk, cell_in(kind)))
		return NULL;
	*addr = chunk->addr + pos % PAGE_SIZE;
	return chunk->mem + pos % PAGE_SIZE;
}

/**
 * vring_cell_init_queue - decide what of a queue's requests is copied
 * @vq: the virtqueue
 */
void vring_cell_init_queue(struct vring_virtqueue *vq)
{
	int max = READ_ONCE(bounce_max);

	vq->bounce_max = max(max, 0);
	vq->small_max = max == CELL_BOUNCE_NOTHING ? 0 : CELL_SMALL;
	vq->cell_pages = DIV_ROUND_UP((u64)READ_ONCE(cell_max) * SZ_1K,
				      PAGE_SIZE);
	/* Large tables go into data cells, too. */
	vq->data_cell = roundup_pow_of_two(max_t(u32, vq->bounce_max,
						 CELL_DATA_MIN));
}

static u32 xfer_blocks(const struct vring_ring *ring)
{
	return DIV_ROUND_UP(ring->num, VRING_XFER_BLOCK);
}

/**
 * vring_cell_alloc - prepare a ring for cells
 * @vq: the virtqueue
 * @ring: the ring, @num set
 *
 * The cells themselves are allocated when they are first needed.
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM.
 */
int vring_cell_alloc(struct vring_virtqueue *vq, struct vring_ring *ring)
{
	enum vring_cell_kind kind;

	memset(ring->chunk, 0, sizeof(ring->chunk));
	ring->xfer = NULL;
	if (vq->mapping == VRING_MAP_SEGS || vq->mapping == VRING_MAP_POOL)
		return 0;

	for (kind = 0; kind < VRING_CELL_KINDS; kind++) {
		/* Without translation, only tables have cells: they save kmalloc(). */
		if (kind != VRING_CELL_TABLE && vq->mapping != VRING_MAP_CELLS)
			continue;
		if (kind == VRING_CELL_TABLE && !vq->indirect)
			continue;
		ring->chunk[kind] = kvcalloc(cell_chunks(vq, ring->num, kind),
					     sizeof(*ring->chunk[kind]),
					     GFP_KERNEL);
		if (!ring->chunk[kind])
			goto err_free;
	}
	if (vq->mapping != VRING_MAP_CELLS)
		return 0;
	ring->xfer = kvcalloc(xfer_blocks(ring), sizeof(*ring->xfer),
			      GFP_KERNEL);
	if (ring->xfer)
		return 0;

err_free:
	vring_cell_free(vq, ring);
	return -ENOMEM;
}

/**
 * vring_cell_drop - free the cells of a ring that has no request in flight
 * @vq: the virtqueue
 * @ring: the ring
 */
void vring_cell_drop(struct vring_virtqueue *vq, struct vring_ring *ring)
{
	enum vring_cell_kind kind;
	struct vring_chunk *chunk;
	u32 i;

	for (kind = 0; kind < VRING_CELL_KINDS; kind++) {
		if (!ring->chunk[kind])
			continue;
		for (i = 0; i < cell_chunks(vq, ring->num, kind); i++) {
			chunk = &ring->chunk[kind][i];
			if (chunk->mem)
				vring_dma_free_chunk(vq, chunk, cell_in(kind));
		}
	}
	for (i = 0; ring->xfer && i < xfer_blocks(ring); i++) {
		kfree(ring->xfer[i]);
		ring->xfer[i] = NULL;
	}
}

/**
 * vring_cell_free - undo vring_cell_alloc()
 * @vq: the virtqueue
 * @ring: the ring
 */
void vring_cell_free(struct vring_virtqueue *vq, struct vring_ring *ring)
{
	enum vring_cell_kind kind;

	vring_cell_drop(vq, ring);
	for (kind = 0; kind < VRING_CELL_KINDS; kind++)
		kvfree(ring->chunk[kind]);
	kvfree(ring->xfer);
}

/*
 * Where the lists of a request go: fill levels of the cells of its id.  The
 * plan is made once to count, and again in the same way to copy and map.
 */
struct cell_plan {
	u16 id;
	void *mem[VRING_CELL_KINDS];
	dma_addr_t addr[VRING_CELL_KINDS];
	u32 used[VRING_CELL_KINDS];
	bool none[VRING_CELL_KINDS];
};

/* Take @len bytes of a cell; false if there is no room. */
static bool plan_take(struct vring_virtqueue *vq, struct cell_plan *plan,
		      enum vring_cell_kind kind, u32 len, u32 *offset)
{
	*offset = ALIGN(plan->used[kind], CELL_ALIGN);
	if (*offset + len > cell_size(vq, kind) || plan->none[kind])
		return false;
	if (!plan->mem[kind]) {
		plan->mem[kind] = cell_get(vq, kind, plan->id,
					   &plan->addr[kind]);
		plan->none[kind] = !plan->mem[kind];
		if (plan->none[kind])
			return false;
	}
	plan->used[kind] = *offset + len;
	return true;
}

/* The length of a list and of its longest entry in bytes, and its entries. */
struct cell_list {
	size_t len;
	u32 longest;
	u32 entries;
};

/* The kind of cell for a list, and where in it; KINDS if the list is mapped. */
static enum vring_cell_kind plan_list(struct vring_virtqueue *vq,
				      struct cell_plan *plan, bool in,
				      const struct cell_list *list, u32 *offset)
{
	const size_t len = list->len;
	enum vring_cell_kind kind;

	if (len > max(vq->bounce_max, vq->small_max))
		return VRING_CELL_KINDS;
	kind = in ? VRING_CELL_STATUS : VRING_CELL_HEADER;
	if (len <= vq->small_max && plan_take(vq, plan, kind, len, offset))
		return kind;
	kind = in ? VRING_CELL_IN : VRING_CELL_OUT;
	if (len <= vq->bounce_max && plan_take(vq, plan, kind, len, offset))
		return kind;
	return VRING_CELL_KINDS;
}

static void plan_rewind(struct cell_plan *plan)
{
	memset(plan->used, 0, sizeof(plan->used));
}

/* Measure a list, of which at most *left entries count. */
static struct cell_list list_measure(struct scatterlist *sg, u32 *left)
{
	struct cell_list list = { };

	for (; sg && list.entries < *left; sg = vring_sg_next(sg)) {
		list.len += sg->length;
		list.longest = max(list.longest, sg->length);
		list.entries++;
	}
	*left -= list.entries;
	return list;
}

/**
 * vring_cell_copy - copy between a cell and pages, which may be in high memory
 * @cell: the cell, or other memory that is shared with the device
 * @page: the first of the pages
 * @offset: offset in @page in bytes, may be beyond it
 * @len: length in bytes
 * @to_page: copy to the pages, else from them
 *
 * Context: any.
 */
void vring_cell_copy(void *cell, struct page *page, size_t offset, size_t len,
		     bool to_page)
{
	size_t n;

	page = vring_nth_page(page, offset / PAGE_SIZE);
	offset %= PAGE_SIZE;
	for (; len; len -= n, cell += n) {
		n = min_t(size_t, len, PAGE_SIZE - offset);
		if (to_page)
			memcpy_to_page(page, offset, cell, n);
		else
			memcpy_from_page(cell, page, offset, n);
		page = vring_nth_page(page, 1);
		offset = 0;
	}
}

/* The state of an id's request; NULL if there was no memory for it. */
static struct vring_xfer *xfer_of(const struct vring_virtqueue *vq, u16 id)
{
	struct vring_xfer *block = vq->ring.xfer[id / VRING_XFER_BLOCK];

	return likely(block) ? &block[id % VRING_XFER_BLOCK] : NULL;
}

/* The same, allocated for good if it is not there; NULL if memory is short. */
static struct vring_xfer *xfer_get(struct vring_virtqueue *vq, u16 id)
{
	struct vring_xfer *xfer = xfer_of(vq, id);

	if (likely(xfer))
		return xfer;
	xfer = kmalloc_array_node(VRING_XFER_BLOCK, sizeof(*xfer),
				  GFP_NOWAIT | __GFP_NOWARN | __GFP_NOMEMALLOC,
				  dev_to_node(vq->dma_dev));
	if (!xfer)
		return NULL;
	vq->ring.xfer[id / VRING_XFER_BLOCK] = xfer;
	return &xfer[id % VRING_XFER_BLOCK];
}

static struct scatterlist *xfer_sgs(struct vring_xfer *xfer)
{
	return xfer->mem ?: xfer->space;
}

static struct vring_copy *xfer_copies(struct vring_xfer *xfer)
{
	return (void *)(xfer_sgs(xfer) + xfer->nout + xfer->nin);
}

/* Make room for this many entries and copies. */
static int xfer_init(struct vring_xfer *xfer, u32 nout, u32 nin, u32 copies,
		     gfp_t gfp)
{
	size_t size = size_add(array_size(nout + nin, sizeof(struct scatterlist)),
			       array_size(copies, sizeof(struct vring_copy)));

	xfer->mem = NULL;
	xfer->nout = nout;
	xfer->nin = nin;
	xfer->ncopies = 0;
	if (likely(size <= sizeof(xfer->space)))
		return 0;

	xfer->mem = kmalloc(size, gfp & ~__GFP_HIGHMEM);
	return xfer->mem ? 0 : -ENOMEM;
}

/* Copy the driver's entries of the lists that are mapped, and map them. */
static int xfer_map(struct vring_virtqueue *vq, struct vring_xfer *xfer,
		    struct cell_plan *plan, struct scatterlist *sgs[],
		    unsigned int out_sgs, unsigned int in_sgs, u32 left)
{
	struct scatterlist *out = xfer_sgs(xfer), *in = out + xfer->nout;
	struct scatterlist *to = out, *sg;
	struct cell_list list;
	unsigned int n;
	u32 offset;
	int err;

	if (xfer->nout)
		sg_init_table(out, xfer->nout);
	if (xfer->nin)
		sg_init_table(in, xfer->nin);
	plan_rewind(plan);
	for (n = 0; n < out_sgs + in_sgs; n++) {
		list = list_measure(sgs[n], &left);
		if (plan_list(vq, plan, n >= out_sgs, &list, &offset) !=
		    VRING_CELL_KINDS)
			continue;
		for (sg = sgs[n]; list.entries--; sg = vring_sg_next(sg), to++)
			sg_set_page(to, sg_page(sg), sg->length, sg->offset);
	}

	if (xfer->nout) {
		err = vring_dma_map_sgs(vq, out, xfer->nout, false,
					&xfer->apart[false]);
		if (unlikely(err))
			return err;
	}
	if (!xfer->nin)
		return 0;
	err = vring_dma_map_sgs(vq, in, xfer->nin, true,
				&xfer->apart[true]);
	if (unlikely(err) && xfer->nout)
		vring_dma_unmap_sgs(vq, out, xfer->nout, false,
				    xfer->apart[false], false);
	return err;
}

static __always_inline void copy_to(struct vring_virtqueue *vq, void *cell,
				    struct scatterlist *sg)
{
	vring_cell_copy(cell, sg_page(sg), sg->offset, sg->length, false);
	vq->stats.bounced_bytes += sg->length;
}

/* Copy a list into its place in a cell, and record how to copy it back. */
static void xfer_copy(struct vring_virtqueue *vq, struct vring_xfer *xfer,
		      struct scatterlist *sg, u32 entries, void *cell,
		      dma_addr_t addr, bool in)
{
	/* A part is copied back only if nothing is mapped, see vring_cell_unmap(). */
	const bool copy = vring_copies_in(vq, in) || xfer->nin;

	for (; entries--; sg = vring_sg_next(sg)) {
		/* Before the copy: no poison may come back with the device's data. */
		vring_kmsan_entry(sg, in);
		if (copy)
			copy_to(vq, cell, sg);
		if (in)
			xfer_copies(xfer)[xfer->ncopies++] = (struct vring_copy) {
				.page = sg_page(sg),
				.offset = sg->offset,
				.len = sg->length,
				.cell = cell,
				.addr = addr,
			};
		cell += sg->length;
		addr += sg->length;
	}
}

/**
 * vring_cell_map_single - map a translated request of a single entry
 * @vq: the virtqueue, VRING_MAP_CELLS
 * @id: id of the descriptor
 * @sg: the entry
 * @in: the device writes it
 * @undo: what completion has to undo, 0 before the call
 *
 * Context: any, serialized by the driver.
 * Return: its DMA address, DMA_MAPPING_ERROR if it could not be mapped.
 */
dma_addr_t vring_cell_map_single(struct vring_virtqueue *vq, u16 id,
				 struct scatterlist *sg, bool in, u8 *undo)
{
	u32 len = sg->length;
	struct vring_xfer *xfer;
	void *cell = NULL;
	dma_addr_t addr;

	if (len <= vq->small_max)
		cell = cell_get(vq, in ? VRING_CELL_STATUS : VRING_CELL_HEADER,
				id, &addr);
	if (!cell && len <= vq->bounce_max)
		cell = cell_get(vq, in ? VRING_CELL_IN : VRING_CELL_OUT, id,
				&addr);
	if (cell) {
		vring_kmsan_entry(sg, in);
		if (vring_copies_in(vq, in))
			copy_to(vq, cell, sg);
		vring_dma_give_cell(vq, addr, len, in);
		/* For a cell that the device only reads, nothing has to be undone. */
		if (!in)
			return addr;
	}

	xfer = xfer_get(vq, id);
	if (unlikely(!xfer)) {
		addr = vring_dma_map_single(vq, sg, in);
		if (addr != DMA_MAPPING_ERROR)
			*undo = vring_dma_keep_single(vq, id, addr, len, in);
		return addr;
	}

	if (cell) {
		*(struct vring_copy *)xfer->space = (struct vring_copy) {
			.page = sg_page(sg),
			.offset = sg->offset,
			.len = len,
			.cell = cell,
			.addr = addr,
		};
		*undo = VRING_UNDO_COPY;
		return addr;
	}

	xfer->mem = NULL;
	xfer->nout = !in;
	xfer->nin = in;
	xfer->ncopies = 0;
	sg_init_table(xfer_sgs(xfer), 1);
	sg_set_page(xfer_sgs(xfer), sg_page(sg), len, sg->offset);
	addr = vring_dma_map_sg(vq, xfer_sgs(xfer), in);
	if (unlikely(addr == DMA_MAPPING_ERROR))
		return addr;
	xfer->apart[in] = true;
	*undo = VRING_UNDO_XFER;
	return addr;
}

/**
 * vring_cell_map - map a translated request
 * @vq: the virtqueue, its scratch array long enough
 * @req: @id and @num set; the rest is filled in
 * @sgs: the driver's scatterlists, device-readable ones first
 * @out_sgs: number of device-readable scatterlists
 * @in_sgs: number of device-writable scatterlists
 * @gfp: how to allocate what a large request needs
 *
 * Lists that fit are copied into the cells of the request's id.  All others are
 * mapped with one call for each direction.  Entries are joined within a list
 * but not across lists, because some devices expect a header to be a segment of
 * its own.
 *
 * Context: any that @gfp allows, serialized by the driver.
 * Return: 0; or, with nothing mapped, -ENOMEM if something could not be mapped,
 * -EINVAL if the lists have less than @req->num entries, -EAGAIN if memory is
 * short and the request has to be mapped with vring_dma_map().
 */
int vring_cell_map(struct vring_virtqueue *vq, struct vring_request *req,
		   struct scatterlist *sgs[], unsigned int out_sgs,
		   unsigned int in_sgs, gfp_t gfp)
{
	struct vring_seg *seg = vq->scratch;
	struct cell_plan plan = { .id = req->id };
	u32 left = req->num, mapped[2] = { }, copies = 0;
	const u32 max_seg = vring_dma_max_seg(vq);
	struct vring_cursor cursor[2];
	bool apart[2] = { };
	struct vring_xfer *xfer;
	enum vring_cell_kind kind;
	struct cell_list list;
	unsigned int n;
	u64 in_len = 0;
	u32 offset;
	int err;

	if (req->premapped)
		return vring_dma_take_mapped(vq, req, sgs, out_sgs, in_sgs);
	xfer = xfer_get(vq, req->id);
	if (unlikely(!xfer))
		return -EAGAIN;

	for (n = 0; n < out_sgs + in_sgs; n++) {
		bool in = n >= out_sgs;

		/* The count rules: a list may have room to spare. */
		list = list_measure(sgs[n], &left);
		if (in)
			in_len += list.len;
		if (plan_list(vq, &plan, in, &list, &offset) !=
		    VRING_CELL_KINDS) {
			copies += in ? list.entries : 0;
			continue;
		}
		/* The DMA API does not map an entry of this length in a list. */
		if (unlikely(list.longest > max_seg))
			apart[in] = true;
		mapped[in] += list.entries;
	}
	if (WARN_ON_ONCE(left))
		return -EINVAL;

	err = xfer_init(xfer, mapped[false], mapped[true], copies, gfp);
	if (unlikely(err))
		return -EAGAIN;
	xfer->apart[false] = apart[false];
	xfer->apart[true] = apart[true];
	if (mapped[0] + mapped[1]) {
		err = xfer_map(vq, xfer, &plan, sgs, out_sgs, in_sgs, req->num);
		if (unlikely(err)) {
			kfree(xfer->mem);
			return err;
		}
		for (n = 0; n < ARRAY_SIZE(cursor); n++) {
			cursor[n].sg = xfer_sgs(xfer) + (n ? xfer->nout : 0);
			cursor[n].offset = 0;
		}
	}

	left = req->num;
	plan_rewind(&plan);
	for (n = 0; n < out_sgs + in_sgs; n++) {
		bool in = n >= out_sgs;
		u16 flags = in ? VRING_SEG_WRITE : 0;

		list = list_measure(sgs[n], &left);
		if (!list.entries)
			continue;
		kind = plan_list(vq, &plan, in, &list, &offset);
		if (kind == VRING_CELL_KINDS) {
			seg = vring_dma_segs(&cursor[in], sgs[n], list.entries,
					     flags, seg);
			continue;
		}
		seg->addr = plan.addr[kind] + offset;
		seg->len = list.len;
		xfer_copy(vq, xfer, sgs[n], list.entries,
			  plan.mem[kind] + offset, seg->addr, in);
		vring_dma_give_cell(vq, seg->addr, list.len, in);
		seg->flags = flags;
		seg++;
	}

	req->segs = vq->scratch;
	req->linear = true;
	req->num = seg - vq->scratch;
	req->in_len = min_t(u64, in_len, U32_MAX);
	req->data_free = !plan.used[VRING_CELL_OUT];
	req->undo = VRING_UNDO_XFER;
	return 0;
}

/* Copy back what the device wrote to a piece of a cell, at most @max bytes. */
static __always_inline u32 copy_back(struct vring_virtqueue *vq,
				     const struct vring_copy *copy, u32 max)
{
	const u32 len = min(copy->len, max);

	if (unlikely(!len))
		return 0;
	vring_dma_take_cell(vq, copy->addr, len);
	vring_cell_copy(copy->cell, copy->page, copy->offset, len, true);
	vq->stats.bounced_bytes += len;
	return len;
}

/**
 * vring_cell_copy_back - undo vring_cell_map_single() of a copied entry
 * @vq: the virtqueue
 * @id: id of the descriptor
 * @len: as in vring_release()
 *
 * Context: any, serialized by the driver.
 */
void vring_cell_copy_back(struct vring_virtqueue *vq, u16 id, u32 len)
{
	copy_back(vq, (struct vring_copy *)xfer_of(vq, id)->space, len);
}

/**
 * vring_cell_unmap - unmap a translated request and copy its data back
 * @vq: the virtqueue
 * @id: id of its first descriptor
 * @len: as in vring_release()
 *
 * Context: any, serialized by the driver.
 */
void vring_cell_unmap(struct vring_virtqueue *vq, u16 id, u32 len)
{
	struct vring_xfer *xfer = xfer_of(vq, id);
	struct scatterlist *sgs = xfer_sgs(xfer);
	const bool discard = !len;
	u32 i;

	if (xfer->nout)
		vring_dma_unmap_sgs(vq, sgs, xfer->nout, false,
				    xfer->apart[false], discard);
	if (xfer->nin)
		vring_dma_unmap_sgs(vq, sgs + xfer->nout, xfer->nin, true,
				    xfer->apart[true], discard);
	/* With mapped entries, the used length does not say what to copy. */
	if (xfer->nin && !discard)
		len = VRING_ALL;
	for (i = 0; i < xfer->ncopies && len; i++)
		len -= copy_back(vq, &xfer_copies(xfer)[i], len);
	kfree(xfer->mem);
}

/**
 * vring_cell_table - find a place for an indirect table in a cell or the pool
 * @vq: the virtqueue
 * @req: the request, mapped; @table and @table_len are filled in
 *
 * The caller fills in the table, and gives one in a cell to the device with
 * vring_dma_give_cell().
 *
 * Context: any, serialized by the driver.
 * Return: the table, NULL if it fits nowhere or memory is short.
 */
void *vring_cell_table(struct vring_virtqueue *vq, struct vring_request *req)
{
	u32 len = req->num * sizeof(struct vring_desc);
	void *table = NULL;

	if (req->undo & VRING_UNDO_POOL)
		table = vring_pool_table(vq, req);
	else if (len <= CELL_TABLE_SIZE)
		table = cell_get(vq, VRING_CELL_TABLE, req->id, &req->table);
	else if (req->data_free && len <= vq->data_cell)
		table = cell_get(vq, VRING_CELL_OUT, req->id, &req->table);
	if (table)
		req->table_len = len;
	return table;
}

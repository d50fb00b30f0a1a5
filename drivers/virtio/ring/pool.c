// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pool of a virtqueue: memory that it shares with its device for good.  A
 * virtqueue has a pool if swiotlb would copy every buffer (swiotlb=force,
 * confidential guests).  The buffers are copied into the pool instead.  Nothing
 * has to be mapped, and no lock is taken, since the driver serializes its
 * calls.
 *
 * A request has one run of units for all its lists and its indirect table.  The
 * largest lists come first, aligned to 4 KiB, because hosts expect that.  A
 * request that finds no run goes through swiotlb, and a work item enlarges the
 * pool.  Shared memory takes long to allocate, and the allocation may have to
 * wait.
 *
 * The rules of swiotlb apply: device-writable buffers are copied in when the
 * request is added, and copied back when it completes.  The device can read and
 * write all of the pool at any time.  But the driver reads only what is in use,
 * and reads it once.  Where the data goes is known from private memory.
 */
#include <linux/align.h>
#include <linux/bitmap.h>
#include <linux/bits.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "ring.h"

/* Bytes of a unit: units are taken and given back as a whole. */
#define POOL_UNIT	512U

/* Large lists start at multiples of this, the largest block size of a disk. */
#define POOL_PAGE	4096U

/* Smaller lists and tables start at multiples of this. */
#define POOL_ALIGN	16U

/* Bytes of the first block, which is the smallest, and of the largest block. */
#define POOL_FIRST	max_t(u32, SZ_64K, PAGE_SIZE)
#define POOL_LARGEST	SZ_4M

/* Unless memory is short, each block is twice as large as the one before. */
#define POOL_BLOCKS	16

/* How long to wait after a failed allocation before the next one, in jiffies. */
#define POOL_RETRY	HZ

static_assert(PAGE_SIZE % POOL_UNIT == 0);

/**
 * struct pool_block - an allocation of shared memory
 * @mem: the memory, aligned to a page
 * @addr: its DMA address
 * @units: how many units it has
 * @free: how many of them are free
 * @next: where to look for a run first
 * @used: a bit for each unit
 */
struct pool_block {
	void *mem;
	dma_addr_t addr;
	u32 units;
	u32 free;
	u32 next;
	unsigned long used[];
};

/**
 * struct vring_pool - the pool of a virtqueue
 * @vq: the virtqueue
 * @num: number of blocks
 * @last: the block to look at first
 * @block: the blocks
 * @growing: the work is pending, or @grown has not been taken yet
 * @size: bytes of the next block, if no request needs more; 0: there will be none
 * @want: bytes of the block to be allocated
 * @need: bytes that the block must have at least
 * @retry: when to try again after a failed allocation; 64 bits, as months may pass
 *	before the pool has to grow again
 * @grown: a new block, or an error; passed from the work to the queue
 * @work: allocates a block for callers that cannot wait
 */
struct vring_pool {
	struct vring_virtqueue *vq;
	u32 num;
	u32 last;
	struct pool_block *block[POOL_BLOCKS];
	bool growing;
	u32 size;
	u32 want;
	u32 need;
	u64 retry;
	struct pool_block *grown;
	struct work_struct work;
};

/* Where a piece of a run goes when the request completes. */
struct pool_piece {
	struct page *page;
	u32 offset;		/* in @page in bytes, may be beyond it */
	u32 len;
	u32 at;			/* in the run, in bytes */
};

/**
 * struct vring_run - the part of the pool that a request in flight has
 * @one: the piece that is copied back, if there is only one
 * @many: the pieces otherwise
 * @pieces: how many
 * @table: where the indirect table is, in bytes, if the request has one
 * @unit: index of its first unit
 * @units: number of its units
 * @block: index of its block
 */
struct vring_run {
	union {
		struct pool_piece one;
		struct pool_piece *many;
	};
	u32 pieces;
	u32 table;
	u16 unit;
	u16 units;
	u8 block;
};

static_assert(POOL_LARGEST / POOL_UNIT <= U16_MAX);
static_assert(POOL_BLOCKS <= U8_MAX);

/*
 * Offsets of the lists in a run.  They have 64 bits, because a request of any
 * length is planned before its length is checked.
 */
struct pool_plan {
	u64 large;		/* end of the lists that are aligned to POOL_PAGE */
	u64 small;		/* end of the others, counted from there */
};

/* --- blocks --- */

static u32 queue_pages(const struct vring_virtqueue *vq)
{
	/* Other queues read this to share memory; it need not be exact. */
	return (u32)data_race(vq->stats.cell_bytes) / PAGE_SIZE;
}

/*
 * May a queue have @num pages more?  Half of the limit is kept for all queues
 * of the device, in equal shares.  The other half is for the queues that ask
 * first.
 */
static bool pages_claim(struct vring_virtqueue *vq, u32 num)
{
	struct virtio_device *vdev = vq->vq.vdev;
	const u32 own = queue_pages(vq);
	struct virtqueue *other;
	u32 share, kept = 0;

	spin_lock(&vdev->vqs_list_lock);
	share = vq->cell_pages / 2 / max_t(size_t, list_count_nodes(&vdev->vqs), 1);
	list_for_each_entry(other, &vdev->vqs, list)
		if (other != &vq->vq)
			kept += share - min(share, queue_pages(to_vring(other)));
	spin_unlock(&vdev->vqs_list_lock);

	/* A queue without a block goes before the shares of others. */
	if (!own || own + num <= share)
		kept = 0;
	if (atomic_add_return(num, &vdev->cell_pages) <= vq->cell_pages - kept)
		return true;
	atomic_sub(num, &vdev->cell_pages);
	return false;
}

static struct pool_block *block_alloc(struct vring_virtqueue *vq, u32 size)
{
	const u32 units = size / POOL_UNIT, num = size / PAGE_SIZE;
	struct pool_block *block;
	int err = -ENOMEM;

	if (!vring_dma_may_share(vq, size) || !pages_claim(vq, num))
		return ERR_PTR(-ENOSPC);
	block = kzalloc(struct_size(block, used, BITS_TO_LONGS(units)),
			GFP_KERNEL);
	if (!block)
		goto err_count;
	block->mem = vring_dma_alloc(vq, size, &block->addr,
				     GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY |
				     __GFP_NOMEMALLOC);
	if (!block->mem)
		goto err_free;
	/* The device is not coherent, and this is not cached: use swiotlb. */
	if (is_vmalloc_addr(block->mem)) {
		vring_dma_free(vq, size, block->mem, block->addr);
		err = -EOPNOTSUPP;
		goto err_free;
	}
	block->units = units;
	block->free = units;
	return block;

err_free:
	kfree(block);
err_count:
	atomic_sub(num, &vq->vq.vdev->cell_pages);
	return ERR_PTR(err);
}

static void block_free(struct vring_virtqueue *vq, struct pool_block *block)
{
	const u32 size = block->units * POOL_UNIT;

	vring_dma_free(vq, size, block->mem, block->addr);
	atomic_sub(size / PAGE_SIZE, &vq->vq.vdev->cell_pages);
	kfree(block);
}

/* Is a run in a single word of the bitmap? */
static bool run_in_word(u32 unit, u32 units)
{
	return unit % BITS_PER_LONG + units <= BITS_PER_LONG;
}

static unsigned long run_mask(u32 unit, u32 units)
{
	return GENMASK(units - 1, 0) << unit % BITS_PER_LONG;
}

static unsigned long *run_word(struct pool_block *block, u32 unit)
{
	return &block->used[unit / BITS_PER_LONG];
}

static void block_taken(struct pool_block *block, u32 unit, u32 units)
{
	block->free -= units;
	block->next = unit + units;
}

/*
 * Take the units after the last run.  They are usually free, and in one word of
 * the bitmap.  Returns false if they are not.
 */
static __always_inline bool block_take_next(struct pool_block *block, u32 units,
					    u32 align, u16 *unit)
{
	u32 next = ALIGN(block->next, align);
	unsigned long *word, mask;

	if (next + units > block->units)
		next = 0;
	if (!run_in_word(next, units))
		return false;
	word = run_word(block, next);
	mask = run_mask(next, units);
	if (unlikely(*word & mask))
		return false;
	*word |= mask;
	block_taken(block, next, units);
	*unit = next;
	return true;
}

/* Take a run anywhere in a block; returns false if the block has none. */
static bool block_take(struct pool_block *block, u32 units, u32 align, u16 *unit)
{
	unsigned long at;

	if (block->free < units)
		return false;
	at = bitmap_find_next_zero_area(block->used, block->units, block->next,
					units, align - 1);
	if (at >= block->units)
		at = bitmap_find_next_zero_area(block->used, block->units, 0,
						units, align - 1);
	if (at >= block->units)
		return false;
	bitmap_set(block->used, at, units);
	block_taken(block, at, units);
	*unit = at;
	return true;
}

/* --- growth --- */

static void pool_alloc(struct vring_pool *pool)
{
	/* Deleting the queue of a disk waits for this work: it must not do I/O. */
	unsigned int noio = memalloc_noio_save();
	struct pool_block *block;
	u32 size = pool->want;

	block = block_alloc(pool->vq, size);
	/* Memory may be fragmented or short: try smaller blocks. */
	while (IS_ERR(block) && PTR_ERR(block) != -EOPNOTSUPP &&
	       size / 2 >= pool->need) {
		size /= 2;
		block = block_alloc(pool->vq, size);
	}
	memalloc_noio_restore(noio);
	/* The block before the pointer to it; pairs with pool_grown(). */
	smp_store_release(&pool->grown, block);
}

static void pool_work(struct work_struct *work)
{
	pool_alloc(container_of(work, struct vring_pool, work));
}

/* Take the block that the work has allocated; returns false if there is none. */
static bool pool_grown(struct vring_pool *pool)
{
	/* Pairs with pool_alloc(). */
	struct pool_block *block = smp_load_acquire(&pool->grown);

	if (!block)
		return false;
	pool->grown = NULL;
	pool->growing = false;
	if (IS_ERR(block)) {
		if (PTR_ERR(block) == -EOPNOTSUPP)
			pool->size = 0;
		pool->retry = get_jiffies_64() + POOL_RETRY;
		return false;
	}
	pool->size = min(block->units * POOL_UNIT * 2, POOL_LARGEST);
	pool->vq->stats.cell_bytes += block->units * POOL_UNIT;
	pool->block[pool->num++] = block;
	return true;
}

/*
 * Have a block allocated that has room for a run of @len bytes.  This is done
 * at once if the driver can wait.  When a network card fills its queues, it can
 * wait.
 */
static void pool_grow(struct vring_pool *pool, u32 len, gfp_t gfp)
{
	struct vring_virtqueue *vq = pool->vq;
	u32 size, need;

	if (pool->growing || !pool->size || pool->num == POOL_BLOCKS ||
	    time_before64(get_jiffies_64(), pool->retry))
		return;
	size = roundup_pow_of_two(max(pool->size, len));
	need = roundup_pow_of_two(max(len, POOL_FIRST));
	/* Take what is left of the limit, if that is less. */
	while (size / PAGE_SIZE + atomic_read(&vq->vq.vdev->cell_pages) >
	       vq->cell_pages) {
		size /= 2;
		if (size < need)
			return;
	}
	pool->want = size;
	pool->need = need;
	pool->growing = true;
	/* Some drivers pass GFP_KERNEL in an interrupt for a single segment. */
	if (gfpflags_allow_blocking(gfp) && in_task()) {
		pool_alloc(pool);
		return;
	}
	/*
	 * Freezable: an allocation of contiguous memory may wait for writeback,
	 * and a suspended disk, whose queues are deleted, does no writeback.
	 */
	queue_work(system_freezable_wq, &pool->work);
}

/**
 * vring_pool_init_queue - decide whether a queue has a pool
 * @vq: the virtqueue, its mapping and its bounds chosen
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM.
 */
int vring_pool_init_queue(struct vring_virtqueue *vq)
{
	struct vring_pool *pool;

	/* With bounce_max=-1, which checkers need, the ring copies no buffers. */
	if (!IS_ENABLED(CONFIG_HAS_DMA) || !vq->bounce || !vq->small_max)
		return 0;
	pool = kzalloc(sizeof(*pool), GFP_KERNEL);
	if (!pool)
		return -ENOMEM;
	pool->vq = vq;
	pool->size = POOL_FIRST;
	INIT_WORK(&pool->work, pool_work);
	vq->pool = pool;
	vq->mapping = VRING_MAP_POOL;
	/* A legacy device needs a header in a segment of its own, section 2.7.4. */
	if (virtio_has_feature(vq->vq.vdev, VIRTIO_F_VERSION_1) ||
	    __virtio_test_bit(vq->vq.vdev, VIRTIO_F_ANY_LAYOUT))
		vq->join_max = PAGE_SIZE;
	return 0;
}

/**
 * vring_pool_free_queue - free the pool of a queue without requests in flight
 * @vq: the virtqueue
 *
 * Context: may sleep.
 */
void vring_pool_free_queue(struct vring_virtqueue *vq)
{
	struct vring_pool *pool = vq->pool;
	u32 i;

	if (!pool)
		return;
	cancel_work_sync(&pool->work);
	pool_grown(pool);
	for (i = 0; i < pool->num; i++)
		block_free(vq, pool->block[i]);
	kfree(pool);
	vq->pool = NULL;
}

/**
 * vring_pool_alloc - prepare a ring for runs of its queue's pool
 * @vq: the virtqueue
 * @ring: the ring, @num set
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM.
 */
int vring_pool_alloc(const struct vring_virtqueue *vq, struct vring_ring *ring)
{
	if (vq->mapping != VRING_MAP_POOL)
		return 0;
	ring->run = kvcalloc(ring->num, sizeof(*ring->run), GFP_KERNEL);
	return ring->run ? 0 : -ENOMEM;
}

/* --- requests --- */

/*
 * A request without a run goes through swiotlb.  If swiotlb is full as well, it
 * writes a message only if nothing will make room: the pool does not grow, and
 * no request is in flight.
 */
static bool run_none(struct vring_virtqueue *vq)
{
	const bool passes = vq->pool->growing || vq->vq.num_free < vq->ring.num;

	vq->map_attrs = passes ? DMA_ATTR_NO_WARN : 0;
	return false;
}

/* Search all blocks and a new one for a run; returns false if there is none now. */
static noinline bool run_search(struct vring_virtqueue *vq, struct vring_run *run,
				u32 align, gfp_t gfp)
{
	struct vring_pool *pool = vq->pool;
	u32 i, n = pool->last;

	for (i = 0; i < pool->num; i++) {
		if (block_take(pool->block[n], run->units, align, &run->unit))
			goto taken;
		n = n + 1 < pool->num ? n + 1 : 0;
	}
	pool_grow(pool, run->units * POOL_UNIT, gfp);
	if (!pool_grown(pool))
		return run_none(vq);
	n = pool->num - 1;
	if (!block_take(pool->block[n], run->units, align, &run->unit))
		return run_none(vq);

taken:
	pool->last = n;
	run->block = n;
	return true;
}

/* Take a run of @len bytes; returns false if there is none now. */
static bool run_take(struct vring_virtqueue *vq, struct vring_run *run,
		     u64 len, u32 align, gfp_t gfp)
{
	const struct vring_pool *pool = vq->pool;
	struct pool_block *block = pool->block[pool->last];
	const u32 units = max(DIV_ROUND_UP((u32)len, POOL_UNIT), 1U);

	if (unlikely(len > POOL_LARGEST))
		return run_none(vq);
	align = max(align / POOL_UNIT, 1U);
	run->units = units;
	run->block = pool->last;
	run->pieces = 0;
	return likely(block && block_take_next(block, units, align, &run->unit)) ||
	       run_search(vq, run, align, gfp);
}

static struct pool_block *run_block(const struct vring_virtqueue *vq,
				    const struct vring_run *run)
{
	return vq->pool->block[run->block];
}

static void run_give(struct pool_block *block, const struct vring_run *run)
{
	if (run_in_word(run->unit, run->units))
		*run_word(block, run->unit) &= ~run_mask(run->unit, run->units);
	else
		bitmap_clear(block->used, run->unit, run->units);
	block->free += run->units;
}

static void *run_mem(const struct pool_block *block, const struct vring_run *run)
{
	return block->mem + run->unit * POOL_UNIT;
}

static dma_addr_t run_addr(const struct pool_block *block,
			   const struct vring_run *run)
{
	return block->addr + run->unit * POOL_UNIT;
}

/* The alignment of a list of @len bytes. */
static u32 list_align(u64 len)
{
	if (len >= POOL_PAGE)
		return POOL_PAGE;
	return len >= POOL_UNIT ? POOL_UNIT : POOL_ALIGN;
}

/* Place a list; returns its offset in the large lists or in the others. */
static u64 plan_list(struct pool_plan *plan, u64 len)
{
	const u32 align = list_align(len);
	u64 *end = align == POOL_PAGE ? &plan->large : &plan->small;
	u64 at = ALIGN(*end, align);

	*end = at + len;
	return at;
}

/* The offset of the other lists. */
static u64 plan_others(const struct pool_plan *plan)
{
	return ALIGN(plan->large, POOL_UNIT);
}

/* Copy an entry into a run, and record how to copy it back. */
static void run_copy(struct vring_virtqueue *vq, struct vring_run *run,
		     struct pool_piece *pieces, struct scatterlist *sg,
		     void *mem, size_t at, bool in)
{
	/* Before the copy: no poison may come back with the device's data. */
	vring_kmsan_entry(sg, in);
	if (vring_copies_in(vq, in)) {
		vring_cell_copy(mem + at, sg_page(sg), sg->offset, sg->length,
				false);
		vq->stats.bounced_bytes += sg->length;
	}
	if (in)
		pieces[run->pieces++] = (struct pool_piece) {
			.page = sg_page(sg),
			.offset = sg->offset,
			.len = sg->length,
			.at = at,
		};
}

/**
 * vring_pool_map_single - copy a request of a single entry into the pool
 * @vq: the virtqueue, VRING_MAP_POOL
 * @id: id of the descriptor
 * @sg: the entry
 * @in: the device writes it
 * @gfp: how to enlarge the pool
 * @undo: what completion has to undo
 *
 * Context: any that @gfp allows, serialized by the driver.
 * Return: its DMA address, DMA_MAPPING_ERROR if the pool has no room for it.
 */
dma_addr_t vring_pool_map_single(struct vring_virtqueue *vq, u16 id,
				 struct scatterlist *sg, bool in, gfp_t gfp,
				 u8 *undo)
{
	struct vring_run *run = &vq->ring.run[id];
	const struct pool_block *block;

	if (unlikely(!run_take(vq, run, sg->length, list_align(sg->length),
			       gfp)))
		return DMA_MAPPING_ERROR;
	block = run_block(vq, run);
	run_copy(vq, run, &run->one, sg, run_mem(block, run), 0, in);
	*undo = VRING_UNDO_POOL;
	return run_addr(block, run);
}

/*
 * Number of segments of a list.  Neighbouring entries in a run are joined, up
 * to a page, since every device accepts a segment of a page.
 */
static u32 list_segs(const struct vring_virtqueue *vq, struct scatterlist *sg,
		     u32 *left, u64 *len, u32 *entries)
{
	u32 segs = 0, room = 0;

	*len = 0;
	for (*entries = 0; sg && *entries < *left; sg = vring_sg_next(sg)) {
		if (!segs || sg->length > room) {
			segs++;
			room = max(vq->join_max, sg->length);
		}
		room -= sg->length;
		*len += sg->length;
		++*entries;
	}
	*left -= *entries;
	return segs;
}

/**
 * vring_pool_map - copy a request into the pool
 * @vq: the virtqueue, its scratch array long enough
 * @req: @id and @num set; the rest is filled in
 * @sgs: the driver's scatterlists, device-readable ones first
 * @out_sgs: number of device-readable scatterlists
 * @in_sgs: number of device-writable scatterlists
 * @gfp: how to allocate what a large request needs
 *
 * Entries are joined within a list but not across lists, as in cell.c.  If the
 * driver mapped the buffers itself, only the indirect table is in the pool.
 *
 * Context: any that @gfp allows, serialized by the driver.
 * Return: 0; -EINVAL if the lists have less than @req->num entries; -EAGAIN if
 * there is no room, and the request has to be mapped with vring_dma_map().
 */
int vring_pool_map(struct vring_virtqueue *vq, struct vring_request *req,
		   struct scatterlist *sgs[], unsigned int out_sgs,
		   unsigned int in_sgs, gfp_t gfp)
{
	const unsigned int lists = out_sgs + in_sgs;
	struct vring_run *run = &vq->ring.run[req->id];
	struct vring_seg *seg = vq->scratch;
	u32 left = req->num, pieces = 0, segs = 0, entries;
	struct pool_plan plan = { };
	struct pool_piece *piece;
	u64 len, at, others, in_len = 0;
	dma_addr_t addr;
	unsigned int n;
	void *mem;
	int err;

	if (req->premapped) {
		err = vring_dma_take_mapped(vq, req, sgs, out_sgs, in_sgs);
		len = req->num * sizeof(struct vring_desc);
		if (!err && vq->indirect && req->num > 1 &&
		    run_take(vq, run, len, POOL_UNIT, gfp)) {
			run->table = 0;
			req->undo = VRING_UNDO_POOL;
		}
		return err;
	}

	for (n = 0; n < lists; n++) {
		/* The count rules: a list may have room to spare. */
		segs += list_segs(vq, sgs[n], &left, &len, &entries);
		if (n >= out_sgs) {
			in_len += len;
			pieces += entries;
		}
		plan_list(&plan, len);
	}
	if (WARN_ON_ONCE(left))
		return -EINVAL;
	others = plan_others(&plan);
	at = others + ALIGN(plan.small, POOL_ALIGN);
	len = at;
	if (vq->indirect && segs > 1)
		len += segs * sizeof(struct vring_desc);
	if (unlikely(!run_take(vq, run, len, plan.large ? POOL_PAGE : POOL_UNIT,
			       gfp)))
		return -EAGAIN;
	piece = &run->one;
	if (pieces > 1) {
		piece = kmalloc_array(pieces, sizeof(*piece),
				      gfp & ~__GFP_HIGHMEM);
		if (unlikely(!piece)) {
			run_give(run_block(vq, run), run);
			run_none(vq);
			return -EAGAIN;
		}
		run->many = piece;
	}

	mem = run_mem(run_block(vq, run), run);
	addr = run_addr(run_block(vq, run), run);
	run->table = at;
	left = req->num;
	plan = (struct pool_plan) { };
	for (n = 0; n < lists; n++) {
		const bool in = n >= out_sgs;
		struct scatterlist *sg;
		u32 room = 0, rest;

		rest = left;
		if (!list_segs(vq, sgs[n], &left, &len, &entries))
			continue;
		at = plan_list(&plan, len);
		if (len < POOL_PAGE)
			at += others;
		for (sg = sgs[n]; rest > left; sg = vring_sg_next(sg), rest--) {
			run_copy(vq, run, piece, sg, mem, at, in);
			if (rest == left + entries || sg->length > room) {
				seg->addr = addr + at;
				seg->len = 0;
				seg->flags = in ? VRING_SEG_WRITE : 0;
				seg++;
				room = max(vq->join_max, sg->length);
			}
			seg[-1].len += sg->length;
			room -= sg->length;
			at += sg->length;
		}
	}

	req->segs = vq->scratch;
	req->linear = true;
	req->num = segs;
	req->in_len = min_t(u64, in_len, U32_MAX);
	req->undo = VRING_UNDO_POOL;
	return 0;
}

/**
 * vring_pool_table - the place for the indirect table in a request's run
 * @vq: the virtqueue
 * @req: the request, VRING_UNDO_POOL set; @table is filled in
 *
 * Context: any, serialized by the driver.
 * Return: the table.
 */
void *vring_pool_table(struct vring_virtqueue *vq, struct vring_request *req)
{
	const struct vring_run *run = &vq->ring.run[req->id];
	const struct pool_block *block = run_block(vq, run);

	req->table = run_addr(block, run) + run->table;
	return run_mem(block, run) + run->table;
}

/**
 * vring_pool_unmap - copy back the data of a request, and free its run
 * @vq: the virtqueue
 * @id: id of its first descriptor
 * @len: as in vring_release()
 *
 * Context: any, serialized by the driver.
 */
void vring_pool_unmap(struct vring_virtqueue *vq, u16 id, u32 len)
{
	struct vring_run *run = &vq->ring.run[id];
	const struct pool_piece *piece = run->pieces > 1 ? run->many : &run->one;
	struct pool_block *block = run_block(vq, run);
	void *mem = run_mem(block, run);
	u32 i, n;

	/* The pieces are in the request's order, which the device writes in. */
	for (i = 0; i < run->pieces && len; i++, piece++, len -= n) {
		n = min(piece->len, len);
		vring_cell_copy(mem + piece->at, piece->page, piece->offset, n,
				true);
		vq->stats.bounced_bytes += n;
	}
	if (run->pieces > 1)
		kfree(run->many);
	run_give(block, run);
}

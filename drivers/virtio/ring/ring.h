/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface between the files of virtio_ring.
 *
 * core.c owns the free list and the state of the requests in flight, event.c
 * owns notifications and interrupts, and queue.c the life of a virtqueue.
 * split.c and packed.c write and read the memory that is shared with the
 * device.  dma.c maps; map.h and map.c have the functions that this kernel maps
 * with.  cell.c copies small buffers where mapping is expensive, and pool.c
 * copies requests where every buffer is bounced.  What the driver side needs
 * later is in the private structures below, never in shared memory.
 */
#ifndef _VIRTIO_RING_RING_H
#define _VIRTIO_RING_RING_H

#include <linux/bits.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/types.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

/* Largest queue of either layout, virtio 1.2 sections 2.7 and 2.8.10.1. */
#define VRING_MAX_NUM		32768U

/* The device writes this segment, virtio 1.2 section 2.7.5. */
#define VRING_SEG_WRITE		BIT(0)
/* dma.c mapped this segment and has to unmap it. */
#define VRING_SEG_MAPPED	BIT(1)

/**
 * struct vring_seg - one mapped segment of a request
 * @addr: DMA address that the device was given
 * @len: length in bytes
 * @flags: VRING_SEG_*
 * @next: index of the segment that follows, in &vring_ring.segs
 *
 * Segments that have to be unmapped one by one are kept until the request
 * completes.  They are in &vring_ring.segs at the indexes of the request's
 * descriptor ids, or in &vring_indirect.segs.  In &vring_ring.segs, @next links
 * the free list as well as the chain.  Other segments are only needed to write
 * descriptors, and pass through &vring_virtqueue.scratch.  A single segment
 * needs neither, unless it has to be unmapped.  Written by dma.c, cell.c and
 * pool.c, private to the driver side.
 */
struct vring_seg {
	dma_addr_t addr;
	u32 len;
	u16 flags;
	u16 next;
};

/**
 * struct vring_indirect - an indirect descriptor table of one request
 * @table: the table that the device reads
 * @addr: DMA address of @table
 * @len: length of @table in bytes
 * @num: number of @segs, 0 if nothing but the table has to be unmapped
 * @segs: the segments, private
 *
 * This is one allocation, made when the request is added and freed when it
 * completes.  Only @table is mapped for the device.
 */
struct vring_indirect {
	void *table;
	dma_addr_t addr;
	u32 len;
	u32 num;
	struct vring_seg segs[] __counted_by(num);
};

/* The whole length of a request's device-writable buffers. */
#define VRING_ALL		U32_MAX

/* What completion has to undo of a request. */
#define VRING_UNDO_SEGS		BIT(0)	/* &vring_ring.segs are mapped */
#define VRING_UNDO_INDIRECT	BIT(1)	/* &vring_state.indirect is there */
#define VRING_UNDO_XFER		BIT(2)	/* &vring_ring.xfer is in use */
#define VRING_UNDO_COPY		BIT(3)	/* a single copy is all there is */
#define VRING_UNDO_POOL		BIT(4)	/* &vring_ring.run is in use */

/**
 * struct vring_state - a request in flight
 * @data: the driver's token; NULL if no request has this id
 * @indirect: the indirect table, on a queue without contexts
 * @ctx: the driver's context, on a queue with contexts
 * @in_len: bytes that the device may write at most
 * @num: descriptors of the ring that the request occupies
 * @segs: segments that the device was given
 * @last: id of the last of its descriptors
 * @undo: VRING_UNDO_*
 *
 * Indexed by the id of the request's first descriptor.
 */
struct vring_state {
	void *data;
	union {
		struct vring_indirect *indirect;
		void *ctx;
	};
	u32 in_len;
	u16 num;
	u16 segs;
	u16 last;
	u8 undo;
};

/**
 * struct vring_request - a request on its way into the ring
 * @id: id of its first descriptor
 * @linear: @segs are consecutive; otherwise they are linked in &vring_ring.segs
 *	from @id on
 * @premapped: the driver mapped the buffers itself
 * @undo: VRING_UNDO_*
 * @data_free: the data cell that the device reads is not in use
 * @num: number of scatterlist entries; number of segments once mapped
 * @in_len: bytes that the device may write at most
 * @table_len: length of the indirect table in bytes, 0 if there is none
 * @table: DMA address of the indirect table
 * @segs: the segments
 *
 * Lives on the stack of virtqueue_add_*(); a single segment needs none.
 */
struct vring_request {
	u16 id;
	bool linear;
	bool premapped;
	u8 undo;
	bool data_free;
	u32 num;
	u32 in_len;
	u32 table_len;
	dma_addr_t table;
	struct vring_seg *segs;
};

/* Number of segments that the scratch array of a queue has room for at first. */
#define VRING_SCRATCH_SEGS	32U

/*
 * Cells: memory of a ring that stays mapped.  Each descriptor id has its own
 * cell of each kind, so a request never has to search for a free cell.
 */
enum vring_cell_kind {
	VRING_CELL_TABLE,	/* indirect table, read by the device */
	VRING_CELL_HEADER,	/* small device-readable buffers */
	VRING_CELL_STATUS,	/* small device-writable buffers */
	VRING_CELL_OUT,		/* device-readable data, or a large table */
	VRING_CELL_IN,		/* device-writable data */
	VRING_CELL_KINDS,
};

/**
 * struct vring_chunk - a page of cells of one kind
 * @mem: its memory, NULL until a cell of it is needed
 * @addr: its DMA address
 */
struct vring_chunk {
	void *mem;
	dma_addr_t addr;
};

/**
 * struct vring_copy - where a piece of a cell goes when a request completes
 * @page: the driver's page
 * @offset: offset in @page in bytes, may be beyond it
 * @len: length in bytes
 * @cell: the piece
 * @addr: its DMA address
 */
struct vring_copy {
	struct page *page;
	u32 offset;
	u32 len;
	void *cell;
	dma_addr_t addr;
};

/* Bytes of entries and copies that need no allocation of their own. */
#define VRING_XFER_INLINE	(2 * sizeof(struct scatterlist) + \
				 2 * sizeof(struct vring_copy))

/**
 * struct vring_xfer - what a translated request holds until it completes
 * @mem: allocation for the entries and copies, NULL if they are in @space
 * @nout: number of device-readable entries that are mapped
 * @nin: number of device-writable entries that are mapped
 * @ncopies: number of pieces that are copied back
 * @apart: the entries of a direction are mapped one by one, not as a list
 * @space: the entries, device-readable ones first, and then the copies
 *
 * The entries belong to the ring, since the driver may reuse its scatterlists
 * at once.
 */
struct vring_xfer {
	void *mem;
	u32 nout;
	u32 nin;
	u32 ncopies;
	bool apart[2];
	u8 space[VRING_XFER_INLINE] __aligned(8);
};

/* Number of them that are allocated together. */
#define VRING_XFER_BLOCK	((u32)(SZ_4K / sizeof(struct vring_xfer)))

/**
 * struct vring_cursor - a place in entries that are mapped
 * @sg: the entry
 * @offset: offset in what it was mapped to, in bytes
 */
struct vring_cursor {
	struct scatterlist *sg;
	u32 offset;
};

/* Split layout, virtio 1.2 section 2.7. */
struct vring_split {
	struct vring vring;
	u16 avail_flags;	/* what the device was last told */
	u16 avail_idx;		/* next value of avail->idx, CPU order */
	u16 last_used;		/* next used entry to look at */
};

/* Packed layout, virtio 1.2 section 2.8. */
struct vring_packed {
	struct vring_packed_desc *desc;
	struct vring_packed_desc_event *driver;
	struct vring_packed_desc_event *device;
	u16 next_avail;		/* slot to write next, wrap counter in bit 15 */
	u16 driver_flags;	/* what the device was last told */
	u16 last_used;		/* slot to look at next, wrap counter in bit 15 */
};

/**
 * struct vring_ring - one incarnation of a queue: its memory and its state
 * @num: number of descriptors
 * @mem: memory shared with the device
 * @addr: DMA address of @mem, if the ring core allocated it
 * @size: length of @mem in bytes
 * @avail_off: offset of the driver area in @mem, in bytes
 * @used_off: offset of the device area in @mem, in bytes
 * @state: one entry a descriptor id
 * @segs: one entry a descriptor id
 * @xfer: blocks of entries, one a descriptor id, each NULL until it is needed;
 *	NULL if accesses are not translated
 * @chunk: the pages of each kind of cells, NULL if the ring has none
 * @run: one entry a descriptor id; NULL if the queue has no pool
 * @split: the split layout's view of @mem
 * @packed: the packed layout's view of @mem
 *
 * A resize creates a second ring and exchanges the two under the vqs_list_lock
 * of the device.
 */
struct vring_ring {
	u32 num;
	void *mem;
	dma_addr_t addr;
	size_t size;
	u32 avail_off;
	u32 used_off;
	struct vring_state *state;
	struct vring_seg *segs;
	struct vring_xfer **xfer;
	struct vring_chunk *chunk[VRING_CELL_KINDS];
	struct vring_run *run;
	union {
		struct vring_split split;
		struct vring_packed packed;
	};
};

/**
 * struct vring_stats - what a queue did since it was created
 * @requests: requests added
 * @descriptors: descriptors written, in the ring and in indirect tables
 * @mappings: calls that mapped something
 * @bounced_bytes: bytes copied to and from cells and pools, and bytes mapped
 *	through a forced swiotlb
 * @indirect_tables: requests that went through an indirect table
 * @notifications: notifications sent to the device
 * @cell_bytes: memory that cells and the pool take now
 *
 * Written by the calls that the driver serializes, read without a lock.
 */
struct vring_stats {
	u64 requests;
	u64 descriptors;
	u64 mappings;
	u64 bounced_bytes;
	u64 indirect_tables;
	u64 notifications;
	u64 cell_bytes;
};

/**
 * enum vring_mapping - how the requests of a queue are mapped
 * @VRING_MAP_SEGS: mapped and unmapped segment by segment
 * @VRING_MAP_ONLY: mapped segment by segment, and not unmapped
 * @VRING_MAP_PHYS: not mapped, because the DMA API would return each buffer's
 *	physical address and do nothing else, see dma_addr_is_phys()
 * @VRING_MAP_CELLS: copied through cells; larger buffers are mapped, each
 *	direction at once
 * @VRING_MAP_POOL: copied into the queue's pool; without room there, mapped as by
 *	VRING_MAP_SEGS
 */
enum vring_mapping {
	VRING_MAP_SEGS,
	VRING_MAP_ONLY,
	VRING_MAP_PHYS,
	VRING_MAP_CELLS,
	VRING_MAP_POOL,
};

/**
 * struct vring_virtqueue - the ring core's side of a virtqueue
 * @vq: what drivers and transports see
 * @packed: packed layout, else split
 * @weak_barriers: the device is a CPU: SMP barriers are enough
 * @broken: the device broke the rules or is gone; no more requests
 * @stopped: being reset or resized: interrupts are ignored
 * @indirect: indirect tables may be used
 * @event: VIRTIO_F_EVENT_IDX was negotiated
 * @premapped: the driver maps the buffers of all requests itself
 * @used_only: the driver looks at nothing beyond the used length
 * @own_ring: the ring core allocated the ring
 * @may_move_used: the split layout's used ring may begin four bytes later
 * @may_reduce: a smaller ring than asked for is acceptable
 * @event_triggered: hint that an interrupt came, so that with event indexes
 *	none follows until callbacks are enabled again; racy by design
 * @in_order: VIRTIO_F_IN_ORDER was negotiated
 * @in_batch: the device used several buffers at once, not all reaped yet
 * @bounce: the DMA device goes through a forced swiotlb, for the counters
 * @cell_sync: bytes that the driver writes to a cell have to be synchronized
 * @own_map: the device has mapping functions of its own, in place of the DMA API
 * @map_attrs: DMA_ATTR_* of segments
 * @add_attrs: DMA_ATTR_* of the buffers of the request that is being added
 * @mapping: how requests are mapped
 * @bounce_max: length in bytes of the longest list that is copied into a data
 *	cell
 * @small_max: the same for a cell for headers or status, 0 if nothing is copied
 * @data_cell: length in bytes of a data cell
 * @cell_pages: pages of cells and pools that all queues of the device may have
 * @free_head: first free descriptor id
 * @oldest: in order, id of the request that the device uses next
 * @batch_last: id of the last request of a batch
 * @batch_len: bytes that the device says it wrote to that request
 * @num_added: descriptors added since the last kick
 * @align: alignment of the split ring's used ring in bytes
 * @dma_dev: the device that everything is mapped for, chosen at creation; NULL
 *	if @own_map
 * @map: the argument of the device's mapping functions, if @own_map
 * @scratch: segments of the request that is being added; grows with requests
 * @scratch_num: number of segments that @scratch has room for
 * @pool: memory shared with the device, NULL if @mapping is not VRING_MAP_POOL
 * @join_max: bytes of the longest segment that is made of several entries
 * @ring: the ring as it is now
 * @stats: counters
 * @notify: the transport's doorbell
 *
 * Allocated by vring_create_virtqueue*() or vring_new_virtqueue(), freed by
 * vring_del_virtqueue().  The driver serializes all calls except those that say
 * otherwise.  @vq is on the device's list of queues, which the vqs_list_lock
 * protects.
 */
struct vring_virtqueue {
	struct virtqueue vq;
	bool packed;
	bool weak_barriers;
	bool broken;
	bool stopped;
	bool indirect;
	bool event;
	bool premapped;
	bool used_only;
	bool own_ring;
	bool may_move_used;
	bool may_reduce;
	bool event_triggered;
	bool in_order;
	bool in_batch;
	bool bounce;
	bool cell_sync;
	bool own_map;
	u16 map_attrs;
	u16 add_attrs;
	u8 mapping;
	u16 bounce_max;
	u16 small_max;
	u16 data_cell;
	u32 cell_pages;
	u16 free_head;
	u16 num_added;
	u16 oldest;
	u16 batch_last;
	u32 batch_len;
	u32 align;
	struct device *dma_dev;
	union virtio_map map;
	struct vring_seg *scratch;
	u32 scratch_num;
	struct vring_pool *pool;
	u32 join_max;
	struct vring_ring ring;
	struct vring_stats stats;
	bool (*notify)(struct virtqueue *vq);
};

#define to_vring(_vq) container_of_const(_vq, struct vring_virtqueue, vq)

/* sg_next() without a call. */
static __always_inline struct scatterlist *vring_sg_next(struct scatterlist *sg)
{
	if (sg_is_last(sg))
		return NULL;
	return likely(!sg_is_chain(sg + 1)) ? sg + 1 : sg_next(sg);
}

/* An id that no request has: ids are below VRING_MAX_NUM. */
#define VRING_NO_ID		U32_MAX

/**
 * struct vring_used_buf - what the device returns
 * @id: id of the request, below the size of the ring; VRING_NO_ID: nothing
 * @len: the bytes that the device says it wrote, not checked
 */
struct vring_used_buf {
	u32 id;
	u32 len;
};

/* In order: are there used requests left of the last used entry? */
static inline bool vring_batch_left(const struct vring_virtqueue *vq)
{
	return unlikely(READ_ONCE(vq->in_batch));
}

/* An entry of an indirect table of the packed layout, virtio 1.2 section 2.8.8. */
static __always_inline void
vring_packed_write_entry(struct vring_packed_desc *desc, dma_addr_t addr,
			 u32 len, bool in)
{
	desc->addr = cpu_to_le64(addr);
	desc->len = cpu_to_le32(len);
	desc->id = 0;
	desc->flags = cpu_to_le16(in ? VRING_DESC_F_WRITE : 0);
}

/*
 * The same for the split layout, section 2.7.5.3.  @next is the index of the
 * entry that follows, 0 if there is none.
 */
static __always_inline void
vring_split_write_entry(struct virtio_device *vdev,
			struct vring_desc *desc, dma_addr_t addr, u32 len,
			bool in, u16 next)
{
	desc->addr = cpu_to_virtio64(vdev, addr);
	desc->len = cpu_to_virtio32(vdev, len);
	desc->flags = cpu_to_virtio16(vdev,
				      (in ? VRING_DESC_F_WRITE : 0) |
				      (next ? VRING_DESC_F_NEXT : 0));
	desc->next = cpu_to_virtio16(vdev, next);
}

/**
 * vring_write_entry - write an entry of an indirect descriptor table
 * @vq: the virtqueue
 * @packed: its layout, a constant in loops
 * @table: the table
 * @n: index of the entry
 * @num: number of entries that the table will have
 * @addr: DMA address of the segment
 * @len: length of the segment in bytes
 * @in: the device writes it
 */
static __always_inline void
vring_write_entry(const struct vring_virtqueue *vq, bool packed, void *table,
		  u32 n, u32 num, dma_addr_t addr, u32 len, bool in)
{
	if (packed)
		vring_packed_write_entry((struct vring_packed_desc *)table + n,
					 addr, len, in);
	else
		vring_split_write_entry(vq->vq.vdev,
					(struct vring_desc *)table + n, addr,
					len, in, n + 1 < num ? n + 1 : 0);
}

/*
 * Device-writable buffers are copied in as well, since the device may report
 * more than it wrote.  A driver that reads only the used length needs no copy.
 */
static __always_inline bool vring_copies_in(const struct vring_virtqueue *vq,
					    bool in)
{
	return !in || !vq->used_only;
}

/* core.c */
int vring_add_premapped(struct vring_virtqueue *vq, struct scatterlist *sg,
			unsigned int num, bool in, void *data, void *ctx,
			gfp_t gfp);
void vring_release(struct vring_virtqueue *vq, u16 id, void **ctx, u32 len);

/* event.c */
__printf(2, 3)
void vring_break(struct vring_virtqueue *vq, const char *fmt, ...);

/* dma.c */
bool vring_platform_access(const struct virtio_device *vdev);
struct device *vring_vdev_dma_device(struct virtio_device *vdev);
void vring_dma_init_queue(struct vring_virtqueue *vq, union virtio_map map);
bool vring_dma_grow_scratch(struct vring_virtqueue *vq, u32 num, gfp_t gfp);
int vring_dma_map(struct vring_virtqueue *vq, struct vring_request *req,
		  struct scatterlist *sgs[], unsigned int out_sgs,
		  unsigned int in_sgs);
int vring_dma_map_only(struct vring_virtqueue *vq, struct vring_request *req,
		       struct scatterlist *sgs[], unsigned int out_sgs,
		       unsigned int in_sgs);
int vring_dma_write_table(struct vring_virtqueue *vq, struct vring_request *req,
			  struct scatterlist *sgs[], unsigned int out_sgs,
			  unsigned int in_sgs, void *table);
dma_addr_t vring_dma_map_single(struct vring_virtqueue *vq,
				struct scatterlist *sg, bool in);
u8 vring_dma_keep_single(struct vring_virtqueue *vq, u16 id, dma_addr_t addr,
			 u32 len, bool in);
int vring_dma_take_mapped(struct vring_virtqueue *vq, struct vring_request *req,
			  struct scatterlist *sgs[], unsigned int out_sgs,
			  unsigned int in_sgs);
void vring_dma_unmap(struct vring_virtqueue *vq, const struct vring_seg *segs,
		     u32 first, u32 num, bool discard);
int vring_dma_map_table(struct vring_virtqueue *vq, struct vring_indirect *ind);
void vring_dma_unmap_table(struct vring_virtqueue *vq,
			   const struct vring_indirect *ind);
dma_addr_t vring_dma_map_sg(struct vring_virtqueue *vq, struct scatterlist *sg,
			    bool in);
int vring_dma_map_sgs(struct vring_virtqueue *vq, struct scatterlist *sgs,
		      u32 num, bool in, bool *apart);
void vring_dma_unmap_sgs(struct vring_virtqueue *vq, struct scatterlist *sgs,
			 u32 num, bool in, bool apart, bool discard);
struct vring_seg *vring_dma_segs(struct vring_cursor *cursor,
				 struct scatterlist *sg, u32 num, u16 flags,
				 struct vring_seg *seg);
u32 vring_dma_max_seg(const struct vring_virtqueue *vq);
int vring_dma_alloc_chunk(struct vring_virtqueue *vq, struct vring_chunk *chunk,
			  bool in);
void vring_dma_free_chunk(struct vring_virtqueue *vq, struct vring_chunk *chunk,
			  bool in);
void vring_dma_give_cell(struct vring_virtqueue *vq, dma_addr_t addr, u32 len,
			 bool in);
void vring_dma_take_cell(struct vring_virtqueue *vq, dma_addr_t addr, u32 len);
void *vring_dma_alloc(const struct vring_virtqueue *vq, size_t size,
		      dma_addr_t *addr, gfp_t gfp);
void vring_dma_free(const struct vring_virtqueue *vq, size_t size, void *mem,
		    dma_addr_t addr);
bool vring_dma_forced_bounce(struct device *dev);
bool vring_dma_may_share(const struct vring_virtqueue *vq, size_t size);

/* cell.c */
void vring_cell_init_queue(struct vring_virtqueue *vq);
int vring_cell_alloc(struct vring_virtqueue *vq, struct vring_ring *ring);
void vring_cell_drop(struct vring_virtqueue *vq, struct vring_ring *ring);
void vring_cell_free(struct vring_virtqueue *vq, struct vring_ring *ring);
void *vring_cell_table(struct vring_virtqueue *vq, struct vring_request *req);
int vring_cell_map(struct vring_virtqueue *vq, struct vring_request *req,
		   struct scatterlist *sgs[], unsigned int out_sgs,
		   unsigned int in_sgs, gfp_t gfp);
dma_addr_t vring_cell_map_single(struct vring_virtqueue *vq, u16 id,
				 struct scatterlist *sg, bool in, u8 *undo);
void vring_cell_copy_back(struct vring_virtqueue *vq, u16 id, u32 len);
void vring_cell_unmap(struct vring_virtqueue *vq, u16 id, u32 len);
void vring_cell_copy(void *cell, struct page *page, size_t offset, size_t len,
		     bool to_page);

/* pool.c */
int vring_pool_init_queue(struct vring_virtqueue *vq);
void vring_pool_free_queue(struct vring_virtqueue *vq);
int vring_pool_alloc(const struct vring_virtqueue *vq, struct vring_ring *ring);
int vring_pool_map(struct vring_virtqueue *vq, struct vring_request *req,
		   struct scatterlist *sgs[], unsigned int out_sgs,
		   unsigned int in_sgs, gfp_t gfp);
dma_addr_t vring_pool_map_single(struct vring_virtqueue *vq, u16 id,
				 struct scatterlist *sg, bool in, gfp_t gfp,
				 u8 *undo);
void *vring_pool_table(struct vring_virtqueue *vq, struct vring_request *req);
void vring_pool_unmap(struct vring_virtqueue *vq, u16 id, u32 len);

/*
 * The layouts.  Each has the same set of functions.  A branch chooses between
 * them, because an indirect call for each buffer costs more.
 */
#define VRING_DECLARE_LAYOUT(_name)					\
size_t vring_##_name##_size(const struct vring_virtqueue *vq, u32 num);	\
void vring_##_name##_place(const struct vring_virtqueue *vq,		\
			   struct vring_ring *ring);			\
void vring_##_name##_reset(struct vring_virtqueue *vq,			\
			   struct vring_ring *ring);			\
void vring_##_name##_publish_one(struct vring_virtqueue *vq, u16 id,	\
				 dma_addr_t addr, u32 len, u16 flags);	\
void vring_##_name##_publish(struct vring_virtqueue *vq,		\
			     const struct vring_request *req);		\
void vring_##_name##_withdraw(struct vring_virtqueue *vq);		\
bool vring_##_name##_more_used(const struct vring_virtqueue *vq);	\
struct vring_used_buf vring_##_name##_get_used(struct vring_virtqueue *vq); \
void vring_##_name##_put_used(struct vring_virtqueue *vq, u16 num);	\
bool vring_##_name##_kick_prepare(struct vring_virtqueue *vq);		\
void vring_##_name##_disable_cb(struct vring_virtqueue *vq);		\
unsigned int vring_##_name##_enable_cb(struct vring_virtqueue *vq);	\
bool vring_##_name##_enable_cb_delayed(struct vring_virtqueue *vq);	\
bool vring_##_name##_poll(const struct vring_virtqueue *vq, u16 state);	\
u16 vring_##_name##_next(const struct vring_virtqueue *vq)

VRING_DECLARE_LAYOUT(split);
VRING_DECLARE_LAYOUT(packed);

/* Calls the function of the queue's layout: a branch, not a pointer. */
#define vring_layout(vq, func, ...)					\
	((vq)->packed ? vring_packed_##func(__VA_ARGS__) :		\
			vring_split_##func(__VA_ARGS__))

#include "map.h"

#endif /* _VIRTIO_RING_RING_H */

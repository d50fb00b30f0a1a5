// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mapping side of virtio_ring: chooses the device that a virtio device's
 * memory is mapped for, and maps rings, requests and indirect tables for it.
 * Besides map.h and map.c, which have the mapping functions of this kernel, no
 * other file of the ring calls the DMA API or sees a physical address.
 */
#include <linux/cc_platform.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/swiotlb.h>
#include <xen/xen.h>

#include "ring.h"

#define CREATE_TRACE_POINTS
#include <trace/events/virtio_ring.h>

/*
 * Make the virtio device itself a DMA device whose DMA addresses are physical
 * addresses.  A descriptor has 64 bits for an address, whatever the transport.
 * A legacy transport, which tells the device the page frame number of a ring,
 * has limited the coherent mask.  This is done once in the life of the virtio
 * device.
 */
static void vring_make_phys_device(struct virtio_device *vdev)
{
	struct device *dev = &vdev->dev;

	if (!IS_ENABLED(CONFIG_HAS_DMA) || dev->dma_mask == &vdev->dma_mask)
		return;
	if (dma_set_physical(dev, &vdev->dma_mask))
		dev_warn(dev, "cannot do DMA with physical addresses\n");
}

/**
 * vring_platform_access - does a device take part in the platform's DMA?
 * @vdev: the virtio device, features negotiated
 *
 * Return: true if so, virtio 1.2 section 6.1.
 */
bool vring_platform_access(const struct virtio_device *vdev)
{
	/* On Xen, grants and swiotlb-xen are those of the parent in any case. */
	return !virtio_has_dma_quirk(vdev) || xen_domain();
}

/**
 * vring_vdev_dma_device - the DMA device of a virtio device as a whole
 * @vdev: the virtio device
 *
 * This is the device that its virtqueues were created with.  Without
 * virtqueues, it is the one that they would have by default.
 *
 * Context: takes the vqs_list_lock, does not sleep.
 * Return: the device, without a reference.
 */
struct device *vring_vdev_dma_device(struct virtio_device *vdev)
{
	struct device *dev = NULL;
	struct virtqueue *vq;

	spin_lock(&vdev->vqs_list_lock);
	vq = list_first_entry_or_null(&vdev->vqs, struct virtqueue, list);
	if (vq)
		dev = to_vring(vq)->dma_dev;
	spin_unlock(&vdev->vqs_list_lock);

	if (!dev)
		dev = vring_platform_access(vdev) ? vdev->dev.parent : &vdev->dev;
	return dev;
}

/* Does dma-iommu serve the device? */
static bool vring_dma_translated(struct device *dev)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);

	return domain && iommu_is_dma_domain(domain);
}

/**
 * vring_dma_forced_bounce - does every mapping of a device go through swiotlb?
 * @dev: the DMA device
 *
 * Return: true if so (``swiotlb=force``, confidential guests).
 */
bool vring_dma_forced_bounce(struct device *dev)
{
	/* dma-iommu does not bounce every buffer, even if swiotlb is forced. */
	return vring_bounces_all(dev) && !vring_dma_translated(dev);
}

/**
 * virtio_max_dma_size - largest buffer that can be mapped for a device
 * @vdev: the virtio device, features negotiated
 *
 * Return: the limit in bytes for one segment, SIZE_MAX if there is none.
 */
size_t virtio_max_dma_size(const struct virtio_device *vdev)
{
	/* Nothing is changed, but the functions below do not take a const. */
	struct virtio_device *dev = (struct virtio_device *)vdev;

	if (!IS_ENABLED(CONFIG_HAS_DMA))
		return SIZE_MAX;
	if (vring_own_map(dev))
		return vring_own_map_max(dev);
	if (vring_platform_access(dev))
		return dma_max_mapping_size(vring_vdev_dma_device(dev));
	/* The virtio device becomes a DMA device with its first virtqueue. */
	return vring_bounces_all(&dev->dev) ?
	       swiotlb_max_mapping_size(&dev->dev) : SIZE_MAX;
}
EXPORT_SYMBOL_GPL(virtio_max_dma_size);

/**
 * virtio_max_request_size - length of the longest request that can be mapped
 * @vdev: the virtio device, with its virtqueues
 *
 * If every buffer is bounced, all buffers of a request are in swiotlb at the
 * same time.  A request that does not fit into an empty pool would be retried
 * for ever.  The limit is a quarter of the pool, because each segment may begin
 * and end in the middle of a slot.  A request within the limit, with no more
 * segments than the limit has pages, finds room once the requests before it are
 * done.
 *
 * Context: takes the vqs_list_lock, does not sleep.
 * Return: the limit in bytes for all buffers of a request together, a page at
 * least; SIZE_MAX if there is none.
 */
size_t virtio_max_request_size(const struct virtio_device *vdev)
{
	/* As in virtio_max_dma_size(). */
	struct device *dev = vring_vdev_dma_device((struct virtio_device *)vdev);
	size_t pool = swiotlb_pool_size(dev);

	if (vring_own_map(vdev) || !vring_dma_forced_bounce(dev) ||
	    pool == SIZE_MAX)
		return SIZE_MAX;
	return max(pool / 4, PAGE_SIZE);
}
EXPORT_SYMBOL_GPL(virtio_max_request_size);

/*
 * A request could not be mapped: is it larger than swiotlb?  swiotlb gives each
 * segment slots of its own.
 */
static bool vring_never_fits(const struct vring_virtqueue *vq,
			     struct scatterlist *sgs[], unsigned int lists,
			     u32 entries)
{
	struct scatterlist *sg;
	size_t pool, len = 0;
	unsigned int n;

	if (!vq->bounce)
		return false;
	pool = swiotlb_pool_size(vq->dma_dev);
	if (pool == SIZE_MAX)
		return false;
	for (n = 0; n < lists; n++)
		for (sg = sgs[n]; sg && entries; sg = sg_next(sg), entries--)
			len = size_add(len, ALIGN((size_t)sg->length,
						  IO_TLB_SIZE));
	if (len <= pool)
		return false;
	dev_warn_ratelimited(&vq->vq.vdev->dev,
			     "%s: request of %zu bytes refused, swiotlb has %zu\n",
			     vq->vq.name, len, pool);
	return true;
}

/*
 * A kernel without the DMA API (CONFIG_NO_DMA: user mode Linux, MMU-less
 * boards) has only physical addresses.  The compiler drops one side below.
 */
static dma_addr_t vring_map_page(const struct vring_virtqueue *vq,
				 struct page *page, size_t offset, size_t size,
				 enum dma_data_direction dir,
				 unsigned long attrs)
{
	if (!IS_ENABLED(CONFIG_HAS_DMA))
		return page_to_phys(page) + offset;
	return vring_map(vq, page, offset, size, dir, attrs);
}

static void vring_unmap_page(const struct vring_virtqueue *vq, dma_addr_t addr,
			     size_t size, enum dma_data_direction dir,
			     unsigned long attrs)
{
	if (IS_ENABLED(CONFIG_HAS_DMA))
		vring_unmap(vq, addr, size, dir, attrs);
}

static bool vring_mapping_error(const struct vring_virtqueue *vq,
				dma_addr_t addr)
{
	return IS_ENABLED(CONFIG_HAS_DMA) && vring_map_error(vq, addr);
}

/*
 * The ring and the buffers of a remote processor may be in its own memory,
 * which is not RAM of this machine.  Such memory has a physical address, but
 * cannot be mapped or bounced.
 */
static bool vring_foreign_page(const struct vring_virtqueue *vq,
			       struct page *page)
{
	return unlikely(!vq->own_ring) && vq->dma_dev == &vq->vq.vdev->dev &&
	       !pfn_valid(page_to_pfn(page));
}

/* Map one entry of a scatterlist, or take over what the driver mapped. */
static int vring_map_seg(struct vring_virtqueue *vq, struct scatterlist *sg,
			 enum dma_data_direction dir, bool premapped,
			 struct vring_seg *seg)
{
	u16 flags = dir == DMA_FROM_DEVICE ? VRING_SEG_WRITE : 0;

	if (premapped) {
		seg->addr = vring_premapped(sg, &seg->len);
		seg->flags = flags;
		return 0;
	}
	seg->len = sg->length;
	if (vring_foreign_page(vq, sg_page(sg))) {
		seg->addr = page_to_phys(sg_page(sg)) + sg->offset;
		seg->flags = flags;
		return 0;
	}

	seg->addr = vring_map_page(vq, sg_page(sg), sg->offset, sg->length, dir,
				   vq->map_attrs | vq->add_attrs);
	if (vring_mapping_error(vq, seg->addr))
		return -ENOMEM;
	seg->flags = flags | VRING_SEG_MAPPED;
	vq->stats.mappings++;
	if (vq->bounce)
		vq->stats.bounced_bytes += sg->length;
	return 0;
}

static void vring_unmap_segs(struct vring_virtqueue *vq,
			     const struct vring_seg *segs, u32 first, u32 num,
			     bool linear, unsigned long attrs)
{
	const struct vring_seg *seg;
	u32 i = first, n;

	for (n = 0; n < num; n++) {
		seg = &segs[i];
		i = linear ? i + 1 : seg->next;
		if (seg->flags & VRING_SEG_MAPPED)
			vring_unmap_page(vq, seg->addr, seg->len,
					 seg->flags & VRING_SEG_WRITE ?
					 DMA_FROM_DEVICE : DMA_TO_DEVICE,
					 attrs);
	}
}

/*
 * Do a device's mappings have to be synchronized?  They do if the device is not
 * coherent, if DMA_API_DEBUG is on, or if buffers are bounced.  Only the last
 * can change later, with the first buffer that swiotlb has to bounce.
 */
static bool vring_dma_need_sync(struct device *dev)
{
	return IS_ENABLED(CONFIG_HAS_DMA) && dma_dev_need_sync(dev);
}

/*
 * Does a device without unmapping take physical addresses, even if those of
 * other devices have an offset?  A device that vring_make_phys_device() made
 * does, unless swiotlb is forced, or memory encryption adds a bit to each
 * address.
 */
static bool vring_dma_just_physical(const struct vring_virtqueue *vq)
{
	return vq->dma_dev == &vq->vq.vdev->dev && !vq->bounce &&
	       !cc_platform_has(CC_ATTR_MEM_ENCRYPT);
}

/**
 * vring_dma_init_queue - decide how a queue's memory and requests are mapped
 * @vq: the virtqueue
 * @map: what the transport does the queue's DMA with
 *
 * With VIRTIO_F_ACCESS_PLATFORM (virtio 1.2 section 6.1), memory is mapped for
 * @map.  That is a device of the DMA API, or the argument of the virtio
 * device's own mapping functions.  Without the feature, the device uses
 * physical addresses, whatever IOMMU is on its bus.  The virtio device itself
 * then becomes a DMA device without an IOMMU, for which the DMA API returns
 * physical addresses.  The choice is final, except that VRING_MAP_ONLY may
 * become VRING_MAP_SEGS later.
 *
 * Context: may sleep.
 */
void vring_dma_init_queue(struct vring_virtqueue *vq, union virtio_map map)
{
	struct virtio_device *vdev = vq->vq.vdev;
	struct device *dev = map.dma_dev;

	if (vring_own_map(vdev)) {
		vq->own_map = true;
		vq->map = map;
		vq->mapping = VRING_MAP_SEGS;
		return;
	}
	if (!vring_platform_access(vdev)) {
		vring_make_phys_device(vdev);
		dev = &vdev->dev;
	}

	vq->dma_dev = dev;
	vq->bounce = vring_dma_forced_bounce(dev);
	if (IS_ENABLED(CONFIG_HAS_DMA) && vring_dma_translated(dev))
		vq->mapping = VRING_MAP_CELLS;
	else if (dma_need_unmap(dev))
		vq->mapping = VRING_MAP_SEGS;
	else if (vring_dma_just_physical(vq) || dma_addr_is_phys(dev))
		vq->mapping = VRING_MAP_PHYS;
	else
		vq->mapping = VRING_MAP_ONLY;
	/*
	 * The bytes that are copied into a device-writable cell must not stay
	 * in a cache when the cell is handed over.  Otherwise the driver would
	 * find data of an older request where the device wrote nothing.
	 */
	vq->cell_sync = vring_dma_need_sync(dev);
}

/**
 * vring_dma_grow_scratch - make room for a longer request in the scratch array
 * @vq: the virtqueue
 * @num: number of segments
 * @gfp: how to allocate
 *
 * The array keeps its new length.
 *
 * Context: any that @gfp allows, serialized by the driver.
 * Return: true, or false if memory is short and the array is unchanged.
 */
bool vring_dma_grow_scratch(struct vring_virtqueue *vq, u32 num, gfp_t gfp)
{
	struct vring_seg *scratch;

	num = roundup_pow_of_two(max(num, VRING_SCRATCH_SEGS));
	scratch = kvmalloc_array(num, sizeof(*scratch),
				 (gfp & ~__GFP_HIGHMEM) | __GFP_NOWARN);
	if (!scratch)
		return false;
	kvfree(vq->scratch);
	vq->scratch = scratch;
	vq->scratch_num = num;
	return true;
}

/**
 * vring_dma_map - map a request segment by segment, both directions
 * @vq: the virtqueue
 * @req: @id, @num, @segs, @linear and @premapped set; the rest is filled in
 * @sgs: the driver's scatterlists, device-readable ones first
 * @out_sgs: number of device-readable scatterlists
 * @in_sgs: number of device-writable scatterlists
 *
 * The segments are at the ids of the free list, which does not change, or are
 * consecutive if @linear is set.  @sgs is not needed afterwards.
 *
 * Context: that of virtqueue_add_*(): any, serialized by the driver.
 * Return: 0; or, with nothing mapped, -ENOMEM if something could not be mapped,
 * -EIO if the request can never be mapped, -EINVAL if the lists have less than
 * @req->num entries.
 */
int vring_dma_map(struct vring_virtqueue *vq, struct vring_request *req,
		  struct scatterlist *sgs[], unsigned int out_sgs,
		  unsigned int in_sgs)
{
	u32 first = req->linear ? 0 : req->id, i = first, num = 0;
	struct scatterlist *sg;
	unsigned int n;
	u64 in_len = 0;
	int err;

	for (n = 0; n < out_sgs + in_sgs; n++) {
		bool in = n >= out_sgs;

		for (sg = sgs[n]; sg; sg = sg_next(sg)) {
			struct vring_seg *seg = &req->segs[i];

			/* The count rules: a list may have room to spare. */
			if (num == req->num)
				break;
			err = vring_map_seg(vq, sg, in ? DMA_FROM_DEVICE :
					    DMA_TO_DEVICE, req->premapped, seg);
			if (unlikely(err))
				goto err_unmap;
			if (in)
				in_len += seg->len;
			i = req->linear ? i + 1 : seg->next;
			num++;
		}
	}
	err = -EINVAL;
	if (WARN_ON_ONCE(num != req->num))
		goto err_unmap;

	req->in_len = min_t(u64, in_len, U32_MAX);
	req->undo |= VRING_UNDO_SEGS;
	return 0;

err_unmap:
	vring_unmap_segs(vq, req->segs, first, num, req->linear, 0);
	if (err == -ENOMEM &&
	    vring_never_fits(vq, sgs, out_sgs + in_sgs, req->num))
		err = -EIO;
	return err;
}

/**
 * vring_dma_take_mapped - take over what the driver mapped itself
 * @vq: the virtqueue, its scratch array long enough
 * @req: @id, @num and @premapped set; the rest is filled in
 * @sgs: the driver's scatterlists, device-readable ones first
 * @out_sgs: number of device-readable scatterlists
 * @in_sgs: number of device-writable scatterlists
 *
 * Context: any, serialized by the driver.
 * Return: 0, or -EINVAL if the lists have less than @req->num entries.
 */
int vring_dma_take_mapped(struct vring_virtqueue *vq, struct vring_request *req,
			  struct scatterlist *sgs[], unsigned int out_sgs,
			  unsigned int in_sgs)
{
	int err;

	req->segs = vq->scratch;
	req->linear = true;
	err = vring_dma_map(vq, req, sgs, out_sgs, in_sgs);
	req->undo = 0;
	return err;
}

/* The DMA address of an entry on a queue with VRING_MAP_PHYS. */
static __always_inline dma_addr_t vring_phys_addr(struct scatterlist *sg,
						  bool in)
{
	vring_kmsan_entry(sg, in);
	return sg_phys(sg);
}

/* What vring_phys_lists() writes. */
enum vring_phys_sink {
	VRING_PHYS_SPLIT,	/* an indirect table of the split layout */
	VRING_PHYS_PACKED,	/* one of the packed layout */
	VRING_PHYS_SEGS,	/* an array of &struct vring_seg */
};

/* Write the entries of a list that follow the first @i.  Returns the next index. */
static __always_inline u32 vring_phys_list(const struct vring_virtqueue *vq,
					   enum vring_phys_sink sink, void *to,
					   u32 i, u32 num,
					   struct scatterlist *sg, bool in,
					   u64 *in_len)
{
	struct vring_seg *segs = to;

	/* The count rules: a list may have room to spare. */
	for (; sg && i < num; sg = vring_sg_next(sg), i++) {
		const dma_addr_t addr = vring_phys_addr(sg, in);

		if (sink == VRING_PHYS_SEGS) {
			segs[i].addr = addr;
			segs[i].len = sg->length;
			segs[i].flags = in ? VRING_SEG_WRITE : 0;
		} else {
			vring_write_entry(vq, sink == VRING_PHYS_PACKED, to, i,
					  num, addr, sg->length, in);
		}
		if (in)
			*in_len += sg->length;
	}
	return i;
}

/* The same of all lists of a request, compiled for each @sink. */
static __always_inline int vring_phys_lists(const struct vring_virtqueue *vq,
					    enum vring_phys_sink sink, void *to,
					    struct vring_request *req,
					    struct scatterlist *sgs[],
					    unsigned int out_sgs,
					    unsigned int in_sgs)
{
	const u32 num = req->num;
	u64 in_len = 0;
	u32 i = 0;

	for (; out_sgs; out_sgs--)
		i = vring_phys_list(vq, sink, to, i, num, *sgs++, false,
				    &in_len);
	for (; in_sgs; in_sgs--)
		i = vring_phys_list(vq, sink, to, i, num, *sgs++, true,
				    &in_len);
	if (WARN_ON_ONCE(i != num))
		return -EINVAL;
	req->in_len = min_t(u64, in_len, U32_MAX);
	return 0;
}

/**
 * vring_dma_write_table - map a request and write its table in one pass
 * @vq: the virtqueue, VRING_MAP_PHYS
 * @req: @num set, not premapped; @in_len is filled in
 * @sgs: the driver's scatterlists, device-readable ones first
 * @out_sgs: number of device-readable scatterlists
 * @in_sgs: number of device-writable scatterlists
 * @table: room for @req->num entries
 *
 * Context: any, serialized by the driver.
 * Return: 0, or -EINVAL if the lists have less than @req->num entries.
 */
int vring_dma_write_table(struct vring_virtqueue *vq, struct vring_request *req,
			  struct scatterlist *sgs[], unsigned int out_sgs,
			  unsigned int in_sgs, void *table)
{
	if (vq->packed)
		return vring_phys_lists(vq, VRING_PHYS_PACKED, table, req, sgs,
					out_sgs, in_sgs);
	return vring_phys_lists(vq, VRING_PHYS_SPLIT, table, req, sgs, out_sgs,
				in_sgs);
}

/* Unmap the segments in the scratch array up to @end. */
static void vring_only_unmap(struct vring_virtqueue *vq,
			     const struct vring_seg *end)
{
	const struct vring_seg *seg;

	for (seg = vq->scratch; seg != end; seg++)
		vring_unmap_page(vq, seg->addr, seg->len,
				 seg->flags & VRING_SEG_WRITE ?
				 DMA_FROM_DEVICE : DMA_TO_DEVICE, 0);
}

/**
 * vring_dma_map_only - map a request for a device that needs no unmapping
 * @vq: the virtqueue, its scratch array long enough
 * @req: @id and @num set; the rest is filled in
 * @sgs: the driver's scatterlists, device-readable ones first
 * @out_sgs: number of device-readable scatterlists
 * @in_sgs: number of device-writable scatterlists
 *
 * The segments are in the scratch array and need not be kept.
 *
 * Context: as vring_dma_map().
 * Return: as vring_dma_map(); -EAGAIN if the request has to be mapped with
 * that.
 */
int vring_dma_map_only(struct vring_virtqueue *vq, struct vring_request *req,
		       struct scatterlist *sgs[], unsigned int out_sgs,
		       unsigned int in_sgs)
{
	struct vring_seg *seg = vq->scratch, *const end = seg + req->num;
	struct scatterlist *sg;
	unsigned int n;
	u64 in_len = 0;
	int err;

	if (req->premapped)
		return vring_dma_take_mapped(vq, req, sgs, out_sgs, in_sgs);
	if (vq->mapping == VRING_MAP_PHYS) {
		req->segs = vq->scratch;
		req->linear = true;
		return vring_phys_lists(vq, VRING_PHYS_SEGS, vq->scratch, req,
					sgs, out_sgs, in_sgs);
	}
	if (!IS_ENABLED(CONFIG_HAS_DMA))
		return -EAGAIN;

	for (n = 0; n < out_sgs + in_sgs; n++) {
		const bool in = n >= out_sgs;

		/* The count rules: a list may have room to spare. */
		for (sg = sgs[n]; sg && seg != end; sg = vring_sg_next(sg)) {
			err = -ENOMEM;
			seg->addr = dma_map_page_attrs(vq->dma_dev, sg_page(sg),
						       sg->offset, sg->length,
						       in ? DMA_FROM_DEVICE :
							    DMA_TO_DEVICE,
						       vq->add_attrs);
			if (unlikely(dma_mapping_error(vq->dma_dev, seg->addr)))
				goto err_unmap;
			seg->len = sg->length;
			seg->flags = in ? VRING_SEG_WRITE : 0;
			if (in)
				in_len += seg->len;
			seg++;
		}
	}
	err = -EINVAL;
	if (WARN_ON_ONCE(seg != end))
		goto err_unmap;
	vq->stats.mappings += req->num;

	/* The first buffer that was bounced: from now on there is work to do. */
	if (unlikely(vring_dma_need_sync(vq->dma_dev))) {
		vq->mapping = VRING_MAP_SEGS;
		err = -EAGAIN;
		goto err_unmap;
	}
	req->segs = vq->scratch;
	req->linear = true;
	req->in_len = min_t(u64, in_len, U32_MAX);
	return 0;

err_unmap:
	vring_only_unmap(vq, seg);
	return err;
}

/**
 * vring_dma_map_single - map a segment that is a request of its own
 * @vq: the virtqueue
 * @sg: the segment, a request of its own
 * @in: the device writes it
 *
 * If the segment has to be unmapped although @vq->mapping is VRING_MAP_ONLY,
 * @vq->mapping becomes VRING_MAP_SEGS.  If @vq->mapping is then neither
 * VRING_MAP_ONLY nor VRING_MAP_PHYS, vring_dma_keep_single() must follow.
 *
 * Context: as vring_dma_map().
 * Return: its DMA address, DMA_MAPPING_ERROR if it could not be mapped.
 */
dma_addr_t vring_dma_map_single(struct vring_virtqueue *vq,
				struct scatterlist *sg, bool in)
{
	dma_addr_t addr;

	if (vq->mapping == VRING_MAP_PHYS)
		return vring_phys_addr(sg, in);

	addr = vring_map_page(vq, sg_page(sg), sg->offset, sg->length,
			      in ? DMA_FROM_DEVICE : DMA_TO_DEVICE,
			      vq->add_attrs);
	if (unlikely(vring_mapping_error(vq, addr)))
		return DMA_MAPPING_ERROR;
	vq->stats.mappings++;
	/* The first buffer that was bounced: from now on there is work to do. */
	if (unlikely(vring_dma_need_sync(vq->dma_dev)) &&
	    vq->mapping == VRING_MAP_ONLY)
		vq->mapping = VRING_MAP_SEGS;
	return addr;
}

/**
 * vring_dma_keep_single - have a single segment unmapped when it completes
 * @vq: the virtqueue
 * @id: id of its descriptor
 * @addr: its DMA address, from vring_dma_map_single()
 * @len: its length in bytes
 * @in: the device writes it
 *
 * Context: as vring_dma_map().
 * Return: what completion has to undo.
 */
u8 vring_dma_keep_single(struct vring_virtqueue *vq, u16 id, dma_addr_t addr,
			 u32 len, bool in)
{
	struct vring_seg *seg = &vq->ring.segs[id];

	seg->addr = addr;
	seg->len = len;
	seg->flags = VRING_SEG_MAPPED | (in ? VRING_SEG_WRITE : 0);
	if (vq->bounce)
		vq->stats.bounced_bytes += len;
	return VRING_UNDO_SEGS;
}

/**
 * vring_dma_unmap - unmap a completed or withdrawn request
 * @vq: the virtqueue
 * @segs: the array that the segments are in
 * @first: index of the first of them
 * @num: how many there are
 * @discard: the data that the device wrote is not needed; do not touch the buffers
 *
 * Uses only the private segments, whatever the device did to its descriptors.
 *
 * Context: any, serialized by the driver.
 */
void vring_dma_unmap(struct vring_virtqueue *vq, const struct vring_seg *segs,
		     u32 first, u32 num, bool discard)
{
	vring_unmap_segs(vq, segs, first, num, segs != vq->ring.segs,
			 discard ? DMA_ATTR_SKIP_CPU_SYNC : 0);
}

/**
 * vring_dma_map_table - map an indirect descriptor table that is filled in
 * @vq: the virtqueue
 * @ind: the table; its address is filled in
 *
 * Context: any, serialized by the driver.
 * Return: 0, or -ENOMEM if it could not be mapped.
 */
int vring_dma_map_table(struct vring_virtqueue *vq, struct vring_indirect *ind)
{
	if (vq->mapping == VRING_MAP_PHYS) {
		ind->addr = virt_to_phys(ind->table);
		return 0;
	}
	ind->addr = vring_map_page(vq, virt_to_page(ind->table),
				   offset_in_page(ind->table), ind->len,
				   DMA_TO_DEVICE, vq->map_attrs);
	if (vring_mapping_error(vq, ind->addr))
		return -ENOMEM;
	vq->stats.mappings++;
	if (vq->bounce)
		vq->stats.bounced_bytes += ind->len;
	return 0;
}

/**
 * vring_dma_unmap_table - undo vring_dma_map_table()
 * @vq: the virtqueue
 * @ind: the table
 *
 * Context: any, serialized by the driver.
 */
void vring_dma_unmap_table(struct vring_virtqueue *vq,
			   const struct vring_indirect *ind)
{
	if (vq->mapping != VRING_MAP_PHYS)
		vring_unmap_page(vq, ind->addr, ind->len, DMA_TO_DEVICE, 0);
}

/**
 * vring_dma_map_sg - map a single entry for a translated device
 * @vq: the virtqueue
 * @sg: the entry, which belongs to the ring and stays until it is unmapped
 * @in: the device writes it
 *
 * This takes half the work of mapping a list.  vring_dma_unmap_sgs() undoes it.
 *
 * Context: any, serialized by the driver.
 * Return: its DMA address, DMA_MAPPING_ERROR if it could not be mapped.
 */
dma_addr_t vring_dma_map_sg(struct vring_virtqueue *vq, struct scatterlist *sg,
			    bool in)
{
	sg_dma_address(sg) = vring_map_page(vq, sg_page(sg), sg->offset,
					    sg->length, in ? DMA_FROM_DEVICE :
							     DMA_TO_DEVICE,
					    vq->add_attrs);
	if (vring_mapping_error(vq, sg_dma_address(sg)))
		return DMA_MAPPING_ERROR;
	sg_dma_len(sg) = sg->length;
	vq->stats.mappings++;
	return sg_dma_address(sg);
}

/**
 * vring_dma_map_sgs - map a request's entries of one direction as one
 * @vq: the virtqueue
 * @sgs: the entries, which belong to the ring and stay until they are unmapped
 * @num: how many
 * @in: the device writes them
 * @apart: map entry by entry; set if that was done
 *
 * One call maps all entries to one range of addresses, which needs one
 * invalidation later.  If there is no range of that length, in a fragmented
 * address space or for a device with a narrow mask, each entry gets a range of
 * its own.
 *
 * Context: any, serialized by the driver.
 * Return: 0, or -ENOMEM: nothing stays mapped.
 */
int vring_dma_map_sgs(struct vring_virtqueue *vq, struct scatterlist *sgs,
		      u32 num, bool in, bool *apart)
{
	enum dma_data_direction dir = in ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
	u32 i;

	if (!*apart && num > 1 &&
	    dma_map_sg_attrs(vq->dma_dev, sgs, num, dir, vq->add_attrs)) {
		vq->stats.mappings++;
		return 0;
	}

	*apart = true;
	for (i = 0; i < num; i++) {
		if (vring_dma_map_sg(vq, &sgs[i], in) == DMA_MAPPING_ERROR) {
			vring_dma_unmap_sgs(vq, sgs, i, in, true, false);
			return -ENOMEM;
		}
	}
	return 0;
}

/**
 * vring_dma_unmap_sgs - undo vring_dma_map_sgs()
 * @vq: the virtqueue
 * @sgs: the entries
 * @num: how many
 * @in: the device writes them
 * @apart: as vring_dma_map_sgs() left it
 * @discard: the data that the device wrote is not needed
 *
 * Context: any, serialized by the driver.
 */
void vring_dma_unmap_sgs(struct vring_virtqueue *vq, struct scatterlist *sgs,
			 u32 num, bool in, bool apart, bool discard)
{
	enum dma_data_direction dir = in ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
	unsigned long attrs = discard ? DMA_ATTR_SKIP_CPU_SYNC : 0;
	u32 i;

	if (!apart) {
		dma_unmap_sg_attrs(vq->dma_dev, sgs, num, dir, attrs);
		return;
	}
	for (i = 0; i < num; i++)
		vring_unmap_page(vq, sg_dma_address(&sgs[i]),
				 sg_dma_len(&sgs[i]), dir, attrs);
}

/**
 * vring_dma_segs - write the segments of a list that was mapped
 * @cursor: beginning of the list in the mapped entries; moved to its end
 * @sg: the driver's list
 * @num: how many of its entries count
 * @flags: flags of the segments
 * @seg: where to write them
 *
 * Each entry of the driver becomes a segment, even if the DMA API joined
 * entries, because some devices look for a segment in one mapping of their
 * IOMMU.
 *
 * Return: the segment after the last.
 */
struct vring_seg *vring_dma_segs(struct vring_cursor *cursor,
				 struct scatterlist *sg, u32 num, u16 flags,
				 struct vring_seg *seg)
{
	for (; num; num--, seg++, sg = vring_sg_next(sg)) {
		seg->addr = sg_dma_address(cursor->sg) + cursor->offset;
		seg->len = sg->length;
		seg->flags = flags;
		cursor->offset += sg->length;
		if (cursor->offset == sg_dma_len(cursor->sg)) {
			cursor->sg = vring_sg_next(cursor->sg);
			cursor->offset = 0;
		}
	}
	return seg;
}

/**
 * vring_dma_max_seg - longest entry that may be mapped together with others
 * @vq: the virtqueue
 *
 * Return: the limit in bytes.
 */
u32 vring_dma_max_seg(const struct vring_virtqueue *vq)
{
	return dma_get_max_seg_size(vq->dma_dev);
}

static enum dma_data_direction vring_cell_dir(const struct vring_virtqueue *vq,
					      bool in)
{
	if (!in)
		return DMA_TO_DEVICE;
	return vq->cell_sync ? DMA_BIDIRECTIONAL : DMA_FROM_DEVICE;
}

/**
 * vring_dma_alloc_chunk - get a page for cells and map it for good
 * @vq: the virtqueue
 * @chunk: filled in
 * @in: the device writes it
 *
 * The page is mapped for one direction only, like the buffers that will be
 * copied through it.
 *
 * Context: any, serialized by the driver.
 * Return: 0; -ENOMEM if memory is short, or if the device has reached its
 * limit.
 */
int vring_dma_alloc_chunk(struct vring_virtqueue *vq, struct vring_chunk *chunk,
			  bool in)
{
	atomic_t *pages = &vq->vq.vdev->cell_pages;
	struct page *page;

	/* A device that has reached its limit comes here with each request. */
	if (atomic_read(pages) >= vq->cell_pages)
		return -ENOMEM;
	if (atomic_inc_return(pages) > vq->cell_pages)
		goto err_count;
	/* A cell is kept for long: do not take it from the memory reserves. */
	page = alloc_pages_node(dev_to_node(vq->dma_dev),
				GFP_NOWAIT | __GFP_NOWARN | __GFP_NOMEMALLOC |
				__GFP_ZERO, 0);
	if (!page)
		goto err_count;
	chunk->addr = vring_map_page(vq, page, 0, PAGE_SIZE,
				     vring_cell_dir(vq, in), 0);
	if (vring_mapping_error(vq, chunk->addr)) {
		__free_page(page);
		goto err_count;
	}
	chunk->mem = page_address(page);
	vq->stats.mappings++;
	vq->stats.cell_bytes += PAGE_SIZE;
	return 0;

err_count:
	atomic_dec(pages);
	return -ENOMEM;
}

/**
 * vring_dma_free_chunk - undo vring_dma_alloc_chunk()
 * @vq: the virtqueue
 * @chunk: the page
 * @in: as it was allocated
 *
 * Context: any, serialized by the driver.
 */
void vring_dma_free_chunk(struct vring_virtqueue *vq, struct vring_chunk *chunk,
			  bool in)
{
	vring_unmap_page(vq, chunk->addr, PAGE_SIZE,
			 vring_cell_dir(vq, in), 0);
	free_page((unsigned long)chunk->mem);
	chunk->mem = NULL;
	vq->stats.cell_bytes -= PAGE_SIZE;
	atomic_dec(&vq->vq.vdev->cell_pages);
}

/**
 * vring_dma_give_cell - pass the content of a cell on to the device
 * @vq: the virtqueue
 * @addr: DMA address
 * @len: length in bytes
 * @in: the device writes it
 *
 * Context: any, serialized by the driver.
 */
void vring_dma_give_cell(struct vring_virtqueue *vq, dma_addr_t addr, u32 len,
			 bool in)
{
	dma_sync_single_for_device(vq->dma_dev, addr, len,
				   vring_cell_dir(vq, in));
}

/**
 * vring_dma_take_cell - take a device-writable cell back from the device
 * @vq: the virtqueue
 * @addr: DMA address
 * @len: length in bytes
 *
 * Context: any, serialized by the driver.
 */
void vring_dma_take_cell(struct vring_virtqueue *vq, dma_addr_t addr, u32 len)
{
	dma_sync_single_for_cpu(vq->dma_dev, addr, len,
				vring_cell_dir(vq, true));
}

/**
 * vring_dma_alloc - allocate ring memory that the device can reach
 * @vq: the virtqueue
 * @size: length in bytes
 * @addr: where to put the DMA address
 * @gfp: how to allocate
 *
 * Return: zeroed memory aligned to a page, NULL if there is none.
 */
void *vring_dma_alloc(const struct vring_virtqueue *vq, size_t size,
		      dma_addr_t *addr, gfp_t gfp)
{
	void *mem;

	if (IS_ENABLED(CONFIG_HAS_DMA))
		return vring_map_alloc(vq, size, addr, gfp | __GFP_ZERO);

	mem = alloc_pages_exact(size, gfp | __GFP_ZERO);
	if (mem)
		*addr = virt_to_phys(mem);
	return mem;
}

/**
 * vring_dma_free - undo vring_dma_alloc()
 * @vq: the virtqueue
 * @size: length in bytes
 * @mem: the memory
 * @addr: its DMA address
 *
 * Context: may sleep, interrupts enabled.
 */
void vring_dma_free(const struct vring_virtqueue *vq, size_t size, void *mem,
		    dma_addr_t addr)
{
	if (IS_ENABLED(CONFIG_HAS_DMA))
		vring_map_free(vq, size, mem, addr);
	else
		free_pages_exact(mem, size);
}

/**
 * vring_dma_may_share - may a device get more memory to share for good?
 * @vq: the virtqueue, its DMA device bounced
 * @size: length in bytes
 *
 * All devices that have a restricted pool bounce their buffers in it, and
 * shared memory comes from it as well.  Half of the pool is left for bouncing.
 *
 * Return: true if so.
 */
bool vring_dma_may_share(const struct vring_virtqueue *vq, size_t size)
{
	struct device *dev = vq->dma_dev;

	return !is_swiotlb_for_alloc(dev) ||
	       swiotlb_pool_used(dev) + size <= swiotlb_pool_size(dev) / 2;
}

/**
 * virtqueue_dma_dev - the device that a virtqueue's buffers are mapped for
 * @_vq: the virtqueue
 *
 * For drivers that map buffers themselves.
 *
 * Return: the device to hand to the DMA API; NULL if the virtio device has
 * mapping functions of its own.
 */
struct device *virtqueue_dma_dev(struct virtqueue *_vq)
{
	return to_vring(_vq)->dma_dev;
}
EXPORT_SYMBOL_GPL(virtqueue_dma_dev);

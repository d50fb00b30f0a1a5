// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mapping side of virtio_ring: chooses the device that a virtio device's
 * memory is mapped for, and maps rings, requests and indirect tables for it.
 * No other file of the ring calls the DMA API or sees a physical address.
 */
#include <linux/cache.h>
#include <linux/device.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/iommu-dma.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/swiotlb.h>
#include <xen/xen.h>

#include "ring.h"

#define CREATE_TRACE_POINTS
#include <trace/events/virtio_ring.h>

#ifdef CONFIG_ARCH_HAS_DMA_OPS
/*
 * Where the architecture has mapping operations of its own for every device,
 * a virtio device that takes physical addresses needs some that leave them
 * alone.
 */
static void *vring_phys_alloc(struct device *dev, size_t size,
			      dma_addr_t *addr, gfp_t gfp, unsigned long attrs)
{
	void *mem = alloc_pages_exact(size, gfp | __GFP_ZERO);

	if (!mem)
		return NULL;
	*addr = virt_to_phys(mem);
	if (*addr + size - 1 > dev->coherent_dma_mask) {
		free_pages_exact(mem, size);
		return NULL;
	}
	return mem;
}

static void vring_phys_free(struct device *dev, size_t size, void *mem,
			    dma_addr_t addr, unsigned long attrs)
{
	free_pages_exact(mem, size);
}

static dma_addr_t vring_phys_map_page(struct device *dev, struct page *page,
				      unsigned long offset, size_t size,
				      enum dma_data_direction dir,
				      unsigned long attrs)
{
	dma_addr_t addr = page_to_phys(page) + offset;

	if (addr + size - 1 > dma_get_mask(dev))
		return DMA_MAPPING_ERROR;
	return addr;
}

static void vring_phys_unmap_page(struct device *dev, dma_addr_t addr,
				  size_t size, enum dma_data_direction dir,
				  unsigned long attrs)
{
}

static int vring_phys_map_sg(struct device *dev, struct scatterlist *sgl,
			     int nents, enum dma_data_direction dir,
			     unsigned long attrs)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		sg_dma_address(sg) = vring_phys_map_page(dev, sg_page(sg),
							 sg->offset, sg->length,
							 dir, attrs);
		if (sg_dma_address(sg) == DMA_MAPPING_ERROR)
			return -EIO;
		sg_dma_len(sg) = sg->length;
	}
	return nents;
}

static void vring_phys_unmap_sg(struct device *dev, struct scatterlist *sgl,
				int nents, enum dma_data_direction dir,
				unsigned long attrs)
{
}

static const struct dma_map_ops vring_phys_ops = {
	.alloc		= vring_phys_alloc,
	.free		= vring_phys_free,
	.map_page	= vring_phys_map_page,
	.unmap_page	= vring_phys_unmap_page,
	.map_sg		= vring_phys_map_sg,
	.unmap_sg	= vring_phys_unmap_sg,
};

static void vring_set_phys_ops(struct device *dev)
{
	if (get_dma_ops(dev))
		set_dma_ops(dev, &vring_phys_ops);
}
#else
static void vring_set_phys_ops(struct device *dev)
{
}
#endif /* CONFIG_ARCH_HAS_DMA_OPS */

/* A physical address in a descriptor has 64 bits, whatever the transport. */
static u64 vring_phys_mask = U64_MAX;

/*
 * Make the virtio device itself a DMA device for which DMA addresses are
 * physical addresses: no IOMMU, no mapping operations, coherent.  Of the
 * parent's masks only the coherent one means something here: it is where a
 * legacy transport says how far the page frame number of a ring reaches.  Once
 * in the life of the virtio device.
 */
static void vring_make_phys_device(struct virtio_device *vdev)
{
	struct device *parent = vdev->dev.parent;
	struct device *dev = &vdev->dev;

	if (!IS_ENABLED(CONFIG_HAS_DMA) || dev->dma_mask)
		return;

#if defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE) || \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU) || \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU_ALL)
	dev->dma_coherent = true;
#endif
	vring_set_phys_ops(dev);

	dev->dma_mask = &vring_phys_mask;
	dev->coherent_dma_mask = parent && parent->dma_mask ?
				 parent->coherent_dma_mask : DMA_BIT_MASK(64);
	/* Has the DMA layer find out whether syncs are needed at all. */
	if (dma_set_mask(dev, DMA_BIT_MASK(64)))
		dev_warn(dev, "no DMA with physical addresses\n");
}

/* Does the device take part in the platform's DMA, section 6.1 of virtio 1.2? */
static bool vring_platform_access(const struct virtio_device *vdev)
{
	/* Grants and swiotlb-xen belong to the parent, whatever was negotiated. */
	return !virtio_has_dma_quirk(vdev) || xen_domain();
}

/**
 * vring_dma_device - choose the device that a virtqueue's memory is mapped for
 * @vdev: the virtio device, features negotiated
 * @transport_dev: what the transport does its DMA with
 *
 * With VIRTIO_F_ACCESS_PLATFORM (virtio 1.2 section 6.1) the device's accesses
 * are those of @transport_dev.  Without it the device uses physical addresses,
 * whatever sits on its bus: the virtio device itself is then made a DMA device
 * without IOMMU, for which the DMA API gives just those.
 *
 * Context: may sleep.
 * Return: the device to hand to the DMA API.
 */
struct device *vring_dma_device(struct virtio_device *vdev,
				struct device *transport_dev)
{
	if (vring_platform_access(vdev))
		return transport_dev;

	vring_make_phys_device(vdev);
	return &vdev->dev;
}

/**
 * vring_vdev_dma_device - the DMA device of a virtio device as a whole
 * @vdev: the virtio device
 *
 * The one that its virtqueues were created with, or, when it has none, the one
 * that they would be created with by default.
 *
 * Context: takes the vqs_list_lock, does not sleep.
 * Return: the device; not a reference.
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

/**
 * vring_dma_forced_bounce - does every mapping of a device go through swiotlb?
 * @dev: the DMA device
 *
 * Return: true if so (``swiotlb=force``, confidential guests).
 */
bool vring_dma_forced_bounce(struct device *dev)
{
	/* dma-iommu bounces what it has to and nothing else. */
	return is_swiotlb_force_bounce(dev) && !use_dma_iommu(dev);
}

/**
 * virtio_max_dma_size - largest buffer that can be mapped for a device
 * @vdev: the virtio device, features negotiated
 *
 * Return: the limit in bytes for one segment, SIZE_MAX if there is none.
 */
size_t virtio_max_dma_size(const struct virtio_device *vdev)
{
	/* What changes is the embedded device's DMA side, not a caller's matter. */
	struct virtio_device *dev = (struct virtio_device *)vdev;

	if (!IS_ENABLED(CONFIG_HAS_DMA))
		return SIZE_MAX;
	if (!vring_platform_access(dev))
		vring_make_phys_device(dev);
	return dma_max_mapping_size(vring_vdev_dma_device(dev));
}
EXPORT_SYMBOL_GPL(virtio_max_dma_size);

/*
 * A kernel without the DMA API (CONFIG_NO_DMA: user mode Linux, MMU-less
 * boards) has physical addresses only; the compiler drops one side below.
 */
static dma_addr_t vring_map_page(struct device *dev, struct page *page,
				 size_t offset, size_t size,
				 enum dma_data_direction dir)
{
	if (!IS_ENABLED(CONFIG_HAS_DMA))
		return page_to_phys(page) + offset;
	return dma_map_page(dev, page, offset, size, dir);
}

static void vring_unmap_page(struct device *dev, dma_addr_t addr, size_t size,
			     enum dma_data_direction dir, unsigned long attrs)
{
	if (IS_ENABLED(CONFIG_HAS_DMA))
		dma_unmap_page_attrs(dev, addr, size, dir, attrs);
}

static bool vring_mapping_error(struct device *dev, dma_addr_t addr)
{
	return IS_ENABLED(CONFIG_HAS_DMA) && dma_mapping_error(dev, addr);
}

/*
 * A remote processor's ring and buffers may be its own memory, none of our RAM:
 * it has a physical address, but nothing to map or to bounce.
 */
static bool vring_foreign_page(const struct vring_virtqueue *vq,
			       struct page *page)
{
	return unlikely(!vq->own_ring) && vq->dma_dev == &vq->vq.vdev->dev &&
	       !pfn_valid(page_to_pfn(page));
}

/* Map one entry of a scatterlist, or take over what the driver mapped. */
static int vring_map_seg(struct vring_virtqueue *vq, struct scatterlist *sg,
			 enum dma_data_direction dir, struct vring_seg *seg)
{
	u16 flags = dir == DMA_FROM_DEVICE ? VRING_SEG_WRITE : 0;

	seg->len = sg->length;
	if (vq->premapped) {
		seg->addr = sg_dma_address(sg);
		seg->flags = flags;
		return 0;
	}
	if (vring_foreign_page(vq, sg_page(sg))) {
		seg->addr = page_to_phys(sg_page(sg)) + sg->offset;
		seg->flags = flags;
		return 0;
	}

	seg->addr = vring_map_page(vq->dma_dev, sg_page(sg), sg->offset,
				   sg->length, dir);
	if (vring_mapping_error(vq->dma_dev, seg->addr))
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

	if (vq->premapped)
		return;

	for (n = 0; n < num; n++) {
		seg = &segs[i];
		i = linear ? i + 1 : seg->next;
		if (seg->flags & VRING_SEG_MAPPED)
			vring_unmap_page(vq->dma_dev, seg->addr, seg->len,
					 seg->flags & VRING_SEG_WRITE ?
					 DMA_FROM_DEVICE : DMA_TO_DEVICE,
					 attrs);
	}
}

/*
 * Must what is mapped for a device be synchronized?  Not coherent, accounted for
 * by DMA_API_DEBUG, or bounced.  Only the last may begin later, with the first
 * buffer for which swiotlb finds a reason.
 */
static bool vring_dma_need_sync(struct device *dev)
{
	return IS_ENABLED(CONFIG_HAS_DMA) && dma_dev_need_sync(dev);
}

/*
 * Is there anything to do to unmap what was mapped for the device?  There is
 * not if addresses are what they are, nothing was ever bounced for the device,
 * memory is coherent, and nobody keeps accounts.
 */
static bool vring_dma_need_unmap(struct device *dev)
{
	if (!IS_ENABLED(CONFIG_HAS_DMA))
		return false;
	return get_dma_ops(dev) || use_dma_iommu(dev) || vring_dma_need_sync(dev);
}

/**
 * vring_dma_mapping - how the requests for a device are to be mapped
 * @dev: the DMA device
 *
 * Return: the way; VRING_MAP_ONLY may have to be given up later.
 */
enum vring_mapping vring_dma_mapping(struct device *dev)
{
	if (IS_ENABLED(CONFIG_HAS_DMA) && use_dma_iommu(dev))
		return VRING_MAP_CELLS;
	return vring_dma_need_unmap(dev) ? VRING_MAP_SEGS : VRING_MAP_ONLY;
}

/**
 * vring_dma_map - map a request segment by segment, both directions
 * @vq: the virtqueue
 * @req: @id, @num, @segs and @linear set; the rest is filled in
 * @sgs: the driver's scatterlists, device-readable ones first
 * @out_sgs: number of device-readable scatterlists
 * @in_sgs: number of device-writable scatterlists
 *
 * The segments follow the free list, which is left as it was, or, if @linear,
 * one another.  Nothing of @sgs is needed afterwards.
 *
 * Context: that of virtqueue_add_*(): any, serialized by the driver.
 * Return: 0; -ENOMEM if something could not be mapped, -EINVAL if the lists have
 * less than @req->num entries: then nothing stays mapped.
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
					    DMA_TO_DEVICE, seg);
			if (unlikely(err))
				goto err_unmap;
			if (in)
				in_len += sg->length;
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
	return err;
}

/**
 * vring_dma_take_mapped - take over what the driver mapped itself
 * @vq: the virtqueue, premapped
 * @req: @id and @num set; the rest is filled in
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

/* Undo what is in the scratch array up to @end, should there be anything. */
static void vring_only_unmap(struct vring_virtqueue *vq,
			     const struct vring_seg *end)
{
	const struct vring_seg *seg;

	for (seg = vq->scratch; seg != end; seg++)
		vring_unmap_page(vq->dma_dev, seg->addr, seg->len,
				 seg->flags & VRING_SEG_WRITE ?
				 DMA_FROM_DEVICE : DMA_TO_DEVICE, 0);
}

/**
 * vring_dma_map_only - map a request for a device that needs no unmapping
 * @vq: the virtqueue
 * @req: @id and @num set; the rest is filled in
 * @sgs: the driver's scatterlists, device-readable ones first
 * @out_sgs: number of device-readable scatterlists
 * @in_sgs: number of device-writable scatterlists
 *
 * The segments are in the scratch array and need not be kept.
 *
 * Context: as vring_dma_map().
 * Return: as vring_dma_map(); -EAGAIN if the request has to be mapped with that.
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

	if (unlikely(req->num > VRING_SCRATCH_SEGS ||
		     !IS_ENABLED(CONFIG_HAS_DMA)))
		return -EAGAIN;
	if (vq->premapped)
		return vring_dma_take_mapped(vq, req, sgs, out_sgs, in_sgs);

	for (n = 0; n < out_sgs + in_sgs; n++) {
		const bool in = n >= out_sgs;

		/* The count rules: a list may have room to spare. */
		for (sg = sgs[n]; sg && seg != end; sg = vring_sg_next(sg)) {
			err = -ENOMEM;
			seg->addr = dma_map_page(vq->dma_dev, sg_page(sg),
						 sg->offset, sg->length,
						 in ? DMA_FROM_DEVICE :
						      DMA_TO_DEVICE);
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
 * vring_dma_map_single - map a segment for a device that needs no unmapping
 * @vq: the virtqueue, VRING_MAP_ONLY and not premapped
 * @sg: the segment, a request of its own
 * @in: the device writes it
 *
 * @vq->mapping is VRING_MAP_SEGS afterwards if the segment, and whatever is
 * mapped from then on, has to be unmapped: vring_dma_keep_single() must follow.
 *
 * Context: as vring_dma_map().
 * Return: its DMA address, DMA_MAPPING_ERROR if it could not be mapped.
 */
dma_addr_t vring_dma_map_single(struct vring_virtqueue *vq,
				struct scatterlist *sg, bool in)
{
	dma_addr_t addr;

	addr = vring_map_page(vq->dma_dev, sg_page(sg), sg->offset, sg->length,
			      in ? DMA_FROM_DEVICE : DMA_TO_DEVICE);
	if (unlikely(vring_mapping_error(vq->dma_dev, addr)))
		return DMA_MAPPING_ERROR;
	vq->stats.mappings++;
	/* The first buffer that was bounced: from now on there is work to do. */
	if (unlikely(vring_dma_need_sync(vq->dma_dev)))
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
 * @discard: nobody wants what the device wrote; do not touch the buffers
 *
 * Works from the private segments alone, whatever the device did to its
 * descriptors.
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
	ind->addr = vring_map_page(vq->dma_dev, virt_to_page(ind->table),
				   offset_in_page(ind->table), ind->len,
				   DMA_TO_DEVICE);
	if (vring_mapping_error(vq->dma_dev, ind->addr))
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
	vring_unmap_page(vq->dma_dev, ind->addr, ind->len, DMA_TO_DEVICE, 0);
}

/**
 * vring_dma_map_sg - map an entry of its own for a device that translates
 * @vq: the virtqueue
 * @sg: the entry, the ring's own, which has to stay until it is unmapped
 * @in: the device writes it
 *
 * With half of the work that a list takes.  vring_dma_unmap_sgs() undoes it.
 *
 * Context: any, serialized by the driver.
 * Return: its DMA address, DMA_MAPPING_ERROR if it could not be mapped.
 */
dma_addr_t vring_dma_map_sg(struct vring_virtqueue *vq, struct scatterlist *sg,
			    bool in)
{
	sg_dma_address(sg) = vring_map_page(vq->dma_dev, sg_page(sg), sg->offset,
					    sg->length, in ? DMA_FROM_DEVICE :
							     DMA_TO_DEVICE);
	if (vring_mapping_error(vq->dma_dev, sg_dma_address(sg)))
		return DMA_MAPPING_ERROR;
	sg_dma_len(sg) = sg->length;
	vq->stats.mappings++;
	return sg_dma_address(sg);
}

/**
 * vring_dma_map_sgs - map a request's entries of one direction as one
 * @vq: the virtqueue
 * @sgs: the entries, the ring's own, which have to stay until they are unmapped
 * @num: how many
 * @in: the device writes them
 *
 * One call, one range of addresses, one invalidation later on.  What touches in
 * that range is joined, up to dma_get_max_seg_size().
 *
 * Context: any, serialized by the driver.
 * Return: 0, or -ENOMEM.
 */
int vring_dma_map_sgs(struct vring_virtqueue *vq, struct scatterlist *sgs,
		      u32 num, bool in)
{
	if (num == 1)
		return vring_dma_map_sg(vq, sgs, in) == DMA_MAPPING_ERROR ?
		       -ENOMEM : 0;
	if (!dma_map_sg_attrs(vq->dma_dev, sgs, num,
			      in ? DMA_FROM_DEVICE : DMA_TO_DEVICE, 0))
		return -ENOMEM;
	vq->stats.mappings++;
	return 0;
}

/**
 * vring_dma_unmap_sgs - undo vring_dma_map_sgs()
 * @vq: the virtqueue
 * @sgs: the entries
 * @num: how many
 * @in: the device writes them
 * @discard: nobody wants what the device wrote
 *
 * Context: any, serialized by the driver.
 */
void vring_dma_unmap_sgs(struct vring_virtqueue *vq, struct scatterlist *sgs,
			 u32 num, bool in, bool discard)
{
	enum dma_data_direction dir = in ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
	unsigned long attrs = discard ? DMA_ATTR_SKIP_CPU_SYNC : 0;

	if (num > 1)
		dma_unmap_sg_attrs(vq->dma_dev, sgs, num, dir, attrs);
	else
		vring_unmap_page(vq->dma_dev, sg_dma_address(sgs),
				 sg_dma_len(sgs), dir, attrs);
}

/**
 * vring_dma_segs - write the segments of a list that was mapped
 * @cursor: where the list begins in what was mapped; moved to its end
 * @len: length of the list in bytes
 * @flags: flags of the segments
 * @seg: where to write them
 *
 * Segments are as the DMA API joined entries, but cut at the end of the list.
 *
 * Return: the segment after the last.
 */
struct vring_seg *vring_dma_segs(struct vring_cursor *cursor, size_t len,
				 u16 flags, struct vring_seg *seg)
{
	size_t n;

	for (; len; len -= n, seg++) {
		n = min_t(size_t, len, sg_dma_len(cursor->sg) - cursor->offset);
		seg->addr = sg_dma_address(cursor->sg) + cursor->offset;
		seg->len = n;
		seg->flags = flags;
		cursor->offset += n;
		if (cursor->offset == sg_dma_len(cursor->sg)) {
			cursor->sg = vring_sg_next(cursor->sg);
			cursor->offset = 0;
		}
	}
	return seg;
}

/**
 * vring_dma_max_seg - longest segment that entries may be joined to
 * @vq: the virtqueue
 *
 * Return: the limit in bytes.
 */
u32 vring_dma_max_seg(const struct vring_virtqueue *vq)
{
	return dma_get_max_seg_size(vq->dma_dev);
}

/*
 * What is copied into a device-writable cell must not get lost in a cache when
 * the cell is given away, or the device's memory, an older request's, would
 * come back where the device does not write.
 */
static enum dma_data_direction vring_cell_dir(const struct vring_virtqueue *vq,
					      bool in)
{
	if (!in)
		return DMA_TO_DEVICE;
	return dev_is_dma_coherent(vq->dma_dev) ? DMA_FROM_DEVICE :
						  DMA_BIDIRECTIONAL;
}

/**
 * vring_dma_alloc_chunk - get a page for cells and map it for good
 * @vq: the virtqueue
 * @chunk: filled in
 * @in: the device writes it
 *
 * Mapped for one direction only, as the buffers that will go through it would
 * have been.
 *
 * Context: any, serialized by the driver.
 * Return: 0, or -ENOMEM.
 */
int vring_dma_alloc_chunk(struct vring_virtqueue *vq, struct vring_chunk *chunk,
			  bool in)
{
	struct page *page;

	page = alloc_page(GFP_NOWAIT | __GFP_NOWARN | __GFP_ZERO);
	if (!page)
		return -ENOMEM;
	chunk->addr = vring_map_page(vq->dma_dev, page, 0, PAGE_SIZE,
				     vring_cell_dir(vq, in));
	if (vring_mapping_error(vq->dma_dev, chunk->addr)) {
		__free_page(page);
		return -ENOMEM;
	}
	chunk->mem = page_address(page);
	vq->stats.mappings++;
	vq->stats.cell_bytes += PAGE_SIZE;
	return 0;
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
	vring_unmap_page(vq->dma_dev, chunk->addr, PAGE_SIZE,
			 vring_cell_dir(vq, in), 0);
	free_page((unsigned long)chunk->mem);
	chunk->mem = NULL;
	vq->stats.cell_bytes -= PAGE_SIZE;
}

/**
 * vring_dma_give_cell - pass what was written to a cell on to the device
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
 * @dev: the DMA device
 * @size: length in bytes
 * @addr: where to put the DMA address
 * @gfp: how to allocate
 *
 * Return: zeroed memory aligned to a page, NULL if there is none.
 */
void *vring_dma_alloc(struct device *dev, size_t size, dma_addr_t *addr,
		      gfp_t gfp)
{
	void *mem;

	if (IS_ENABLED(CONFIG_HAS_DMA))
		return dma_alloc_coherent(dev, size, addr, gfp | __GFP_ZERO);

	mem = alloc_pages_exact(size, gfp | __GFP_ZERO);
	if (mem)
		*addr = virt_to_phys(mem);
	return mem;
}

/**
 * vring_dma_free - undo vring_dma_alloc()
 * @dev: the DMA device
 * @size: length in bytes
 * @mem: the memory
 * @addr: its DMA address
 *
 * Context: may sleep, interrupts enabled.
 */
void vring_dma_free(struct device *dev, size_t size, void *mem,
		    dma_addr_t addr)
{
	if (IS_ENABLED(CONFIG_HAS_DMA))
		dma_free_coherent(dev, size, mem, addr);
	else
		free_pages_exact(mem, size);
}

/**
 * virtqueue_dma_dev - the device that a virtqueue's buffers are mapped for
 * @_vq: the virtqueue
 *
 * For drivers that map buffers themselves, see virtqueue_set_dma_premapped().
 *
 * Return: the device to hand to the DMA API, never NULL.
 */
struct device *virtqueue_dma_dev(struct virtqueue *_vq)
{
	return to_vring(_vq)->dma_dev;
}
EXPORT_SYMBOL_GPL(virtqueue_dma_dev);

/**
 * virtqueue_set_max_seg_size - say how long a segment may be for the device
 * @_vq: a virtqueue of the device
 * @size: the limit in bytes, of the device's configuration
 *
 * Segments of one scatterlist are joined where their DMA addresses touch.  A
 * driver whose device has a limit of its own sets it here, besides keeping to
 * it with every entry.  It holds for all virtqueues of the device.
 *
 * Context: any; the driver's probe function.
 */
void virtqueue_set_max_seg_size(struct virtqueue *_vq, unsigned int size)
{
	struct device *dev = to_vring(_vq)->dma_dev;

	/* Nothing is joined for a device that has no limits to set. */
	if (dev->dma_parms)
		dma_set_max_seg_size(dev, size);
}
EXPORT_SYMBOL_GPL(virtqueue_set_max_seg_size);

/**
 * virtqueue_dma_map_single_attrs - map a buffer for a premapped virtqueue
 * @_vq: the virtqueue
 * @ptr: the buffer, in the kernel's linear mapping
 * @size: its length in bytes
 * @dir: direction of the transfer
 * @attrs: DMA_ATTR_*
 *
 * Context: any.
 * Return: the DMA address, to be checked with virtqueue_dma_mapping_error().
 */
dma_addr_t virtqueue_dma_map_single_attrs(struct virtqueue *_vq, void *ptr,
					  size_t size,
					  enum dma_data_direction dir,
					  unsigned long attrs)
{
	if (!IS_ENABLED(CONFIG_HAS_DMA))
		return virt_to_phys(ptr);
	return dma_map_single_attrs(to_vring(_vq)->dma_dev, ptr, size, dir,
				    attrs);
}
EXPORT_SYMBOL_GPL(virtqueue_dma_map_single_attrs);

/**
 * virtqueue_dma_unmap_single_attrs - undo virtqueue_dma_map_single_attrs()
 * @_vq: the virtqueue
 * @addr: the DMA address
 * @size: length in bytes, as mapped
 * @dir: direction, as mapped
 * @attrs: DMA_ATTR_*
 *
 * Context: any.
 */
void virtqueue_dma_unmap_single_attrs(struct virtqueue *_vq, dma_addr_t addr,
				      size_t size, enum dma_data_direction dir,
				      unsigned long attrs)
{
	dma_unmap_single_attrs(to_vring(_vq)->dma_dev, addr, size, dir, attrs);
}
EXPORT_SYMBOL_GPL(virtqueue_dma_unmap_single_attrs);

/**
 * virtqueue_dma_mapping_error - check a virtqueue_dma_map_single_attrs() result
 * @_vq: the virtqueue
 * @addr: the DMA address
 *
 * Context: any.
 * Return: 0 if @addr is valid, -ENOMEM if the mapping failed.
 */
int virtqueue_dma_mapping_error(struct virtqueue *_vq, dma_addr_t addr)
{
	return vring_mapping_error(to_vring(_vq)->dma_dev, addr) ? -ENOMEM : 0;
}
EXPORT_SYMBOL_GPL(virtqueue_dma_mapping_error);

/**
 * virtqueue_dma_need_sync - does a premapped buffer need syncing?
 * @_vq: the virtqueue
 * @addr: the DMA address
 *
 * Context: any.
 * Return: true if ownership of the buffer must be passed with the
 * virtqueue_dma_sync_*() functions, false if they would do nothing.
 */
bool virtqueue_dma_need_sync(struct virtqueue *_vq, dma_addr_t addr)
{
	return dma_need_sync(to_vring(_vq)->dma_dev, addr);
}
EXPORT_SYMBOL_GPL(virtqueue_dma_need_sync);

/**
 * virtqueue_dma_sync_single_range_for_cpu - take a premapped buffer back
 * @_vq: the virtqueue
 * @addr: the DMA address of the whole mapping
 * @offset: offset of the range in bytes
 * @size: length of the range in bytes
 * @dir: direction, as mapped
 *
 * Context: any.
 */
void virtqueue_dma_sync_single_range_for_cpu(struct virtqueue *_vq,
					     dma_addr_t addr,
					     unsigned long offset, size_t size,
					     enum dma_data_direction dir)
{
	dma_sync_single_range_for_cpu(to_vring(_vq)->dma_dev, addr, offset,
				      size, dir);
}
EXPORT_SYMBOL_GPL(virtqueue_dma_sync_single_range_for_cpu);

/**
 * virtqueue_dma_sync_single_range_for_device - give a premapped buffer away
 * @_vq: the virtqueue
 * @addr: the DMA address of the whole mapping
 * @offset: offset of the range in bytes
 * @size: length of the range in bytes
 * @dir: direction, as mapped
 *
 * Context: any.
 */
void virtqueue_dma_sync_single_range_for_device(struct virtqueue *_vq,
						dma_addr_t addr,
						unsigned long offset,
						size_t size,
						enum dma_data_direction dir)
{
	dma_sync_single_range_for_device(to_vring(_vq)->dma_dev, addr, offset,
					 size, dir);
}
EXPORT_SYMBOL_GPL(virtqueue_dma_sync_single_range_for_device);

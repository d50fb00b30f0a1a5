/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mapping functions of this kernel: the DMA API, or functions of the
 * device.  Part of ring.h.
 */
#ifndef _VIRTIO_RING_MAP_H
#define _VIRTIO_RING_MAP_H

#include <linux/dma-mapping.h>
#include <linux/kmsan.h>
#include <linux/swiotlb.h>

/*
 * Does what dma_map_page() does for KMSAN, for an entry that is not mapped.
 * Uninitialized bytes that the device reads are reported.  Bytes that the
 * device writes become initialized.
 */
static __always_inline void vring_kmsan_entry(struct scatterlist *sg, bool in)
{
	kmsan_handle_dma(sg_phys(sg), sg->length,
			 in ? DMA_FROM_DEVICE : DMA_TO_DEVICE);
}

/* The page @n pages after @page, in the same buffer. */
static inline struct page *vring_nth_page(struct page *page, size_t n)
{
	return page + n;
}

/* Has the device mapping functions of its own? */
static inline bool vring_own_map(const struct virtio_device *vdev)
{
	return vdev->map && vring_platform_access(vdev);
}

/* The largest buffer that these functions map, in bytes. */
static inline size_t vring_own_map_max(const struct virtio_device *vdev)
{
	return vdev->map->max_mapping_size(vdev->vmap);
}

/* Does a device without a driver offer VIRTIO_F_ACCESS_PLATFORM? */
static inline bool vring_offers_platform(struct virtio_device *vdev)
{
	u64 features[VIRTIO_FEATURES_U64S];

	virtio_get_features(vdev, features);
	return virtio_features_test_bit(features, VIRTIO_F_ACCESS_PLATFORM);
}

/* Is every buffer of a device bounced, if no IOMMU translates for it? */
static inline bool vring_bounces_all(struct device *dev)
{
	return dma_bounces_all(dev);
}

/* The DMA address of an entry that the driver mapped, and its length in bytes. */
static __always_inline dma_addr_t vring_premapped(struct scatterlist *sg,
						  u32 *len)
{
	*len = sg_dma_len(sg);
	return sg_dma_address(sg);
}

static __always_inline dma_addr_t
vring_map(const struct vring_virtqueue *vq, struct page *page, size_t offset,
	  size_t size, enum dma_data_direction dir, unsigned long attrs)
{
	if (unlikely(vq->own_map))
		return vq->vq.vdev->map->map_page(vq->map, page, offset, size,
						  dir, attrs);
	return dma_map_page_attrs(vq->dma_dev, page, offset, size, dir, attrs);
}

static __always_inline void vring_unmap(const struct vring_virtqueue *vq,
					dma_addr_t addr, size_t size,
					enum dma_data_direction dir,
					unsigned long attrs)
{
	if (unlikely(vq->own_map))
		vq->vq.vdev->map->unmap_page(vq->map, addr, size, dir, attrs);
	else
		dma_unmap_page_attrs(vq->dma_dev, addr, size, dir, attrs);
}

static __always_inline bool vring_map_error(const struct vring_virtqueue *vq,
					    dma_addr_t addr)
{
	if (unlikely(vq->own_map))
		return vq->vq.vdev->map->mapping_error(vq->map, addr);
	return dma_mapping_error(vq->dma_dev, addr);
}

static inline void *vring_map_alloc(const struct vring_virtqueue *vq,
				    size_t size, dma_addr_t *addr, gfp_t gfp)
{
	if (vq->own_map)
		return vq->vq.vdev->map->alloc(vq->map, size, addr, gfp);
	return dma_alloc_coherent(vq->dma_dev, size, addr, gfp);
}

static inline void vring_map_free(const struct vring_virtqueue *vq, size_t size,
				  void *mem, dma_addr_t addr)
{
	if (vq->own_map)
		vq->vq.vdev->map->free(vq->map, size, mem, addr, 0);
	else
		dma_free_coherent(vq->dma_dev, size, mem, addr);
}

#endif /* _VIRTIO_RING_MAP_H */

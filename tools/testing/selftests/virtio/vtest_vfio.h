/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A PCI device that VFIO has.  It is taken from its driver and given back, its
 * memory is mapped and unmapped, its registers are accessed, and the kernel's
 * log is searched for messages about it.
 */
#ifndef VTEST_VFIO_H
#define VTEST_VFIO_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

struct vt_vfio {
	char pci[32];		/* 0000:00:18.0 */
	char group[16];		/* number of its IOMMU group, "" if it has none */
	char driver[64];	/* who had it, "" if nobody */
	char override[64];	/* its driver_override */
	char unsafe[8];		/* VFIO's allow_unsafe_interrupts */
	bool taken;
	bool ungrouped;		/* not taken: the kernel has no IOMMU for it */

	/* While it is open. */
	int container;
	int group_fd;
	int device;
	int log;
	__u8 *bar;
	size_t bar_size;
};

/* The first device of that kind; -1, and vt_error says what is not there. */
int vt_vfio_find(struct vt_vfio *dev, __u16 vendor, __u16 device);
/* Bind it to vfio-pci, which may be what puts it in a group, and back. */
int vt_vfio_take(struct vt_vfio *dev);
int vt_vfio_give_back(struct vt_vfio *dev);

/* With a container of its own in which nothing is mapped, and as bus master. */
int vt_vfio_open(struct vt_vfio *dev);
void vt_vfio_close(struct vt_vfio *dev);

/* As the flags of VFIO_IOMMU_MAP_DMA say.  All of it stays where it is. */
int vt_vfio_map(struct vt_vfio *dev, void *mem, size_t size, __u64 iova,
		__u32 flags);
int vt_vfio_unmap(struct vt_vfio *dev, __u64 iova, size_t size);

/* How many devices are in its group, and the group's type. */
int vt_vfio_neighbours(const struct vt_vfio *dev);
int vt_vfio_type(const struct vt_vfio *dev, char *type, size_t size);

/*
 * Whether the IOMMU says what it has refused.  QEMU's amd-iommu (7.2) keeps
 * that to itself if there is no page.
 */
bool vt_vfio_reports(const struct vt_vfio *dev);
/* Whether the kernel has logged a fault of the device at that page meanwhile. */
bool vt_vfio_faulted(struct vt_vfio *dev, __u64 iova);

/* Where a page of this process is; it must be kept there. */
int vt_physical(const void *page, __u64 *address);
/* 0 if the range has neither memory nor a device at it. */
int vt_nobodys(__u64 address, size_t size);

/* One access each, in the order of the program. */
static inline __u32 vt_vfio_read32(struct vt_vfio *dev, size_t at)
{
	return __atomic_load_n((__u32 *)(dev->bar + at), __ATOMIC_ACQUIRE);
}

static inline void vt_vfio_write32(struct vt_vfio *dev, size_t at, __u32 value)
{
	__atomic_store_n((__u32 *)(dev->bar + at), value, __ATOMIC_RELEASE);
}

static inline __u64 vt_vfio_read64(struct vt_vfio *dev, size_t at)
{
	return __atomic_load_n((__u64 *)(dev->bar + at), __ATOMIC_ACQUIRE);
}

static inline void vt_vfio_write64(struct vt_vfio *dev, size_t at, __u64 value)
{
	__atomic_store_n((__u64 *)(dev->bar + at), value, __ATOMIC_RELEASE);
}

#endif

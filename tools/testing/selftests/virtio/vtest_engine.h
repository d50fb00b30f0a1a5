/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PCI devices that VFIO gives to a test.  The functions here make them write
 * and read memory.  They are QEMU's edu, which has a DMA engine, and its NVMe
 * controller, which has queues in memory and gets addresses from there.
 */
#ifndef VTEST_ENGINE_H
#define VTEST_ENGINE_H

#include <linux/types.h>
#include <stdbool.h>

#include "vtest.h"
#include "vtest_vfio.h"

/*
 * A place of which a guest has nothing, below the 39 bits that a small IOMMU
 * translates.  The first part is for pages that a device needs for itself.
 */
#define VT_IOVA_OWN	0x4000000000ULL
#define VT_IOVA_TEST	(VT_IOVA_OWN + VT_MIB)

/* What get() can read, in the first eight bytes. */
#define VT_SECRET_BITS	47

/*
 * start() comes first and maps what the device needs.  What the others ask for
 * is over when they return: 0, 1 if the device reports an error, or -1 if it
 * does not answer any more.
 */
struct vt_engine {
	const char *name;
	__u16 vendor;
	__u16 device;
	int (*start)(struct vt_vfio *dev, __u64 seed);
	/* Write something to the page; 0 if a page has all of it. */
	int (*put)(struct vt_vfio *dev, __u64 iova);
	int (*holds)(const void *page);
	/* Write a few bytes there, which makes for few faults if it may not. */
	int (*touch)(struct vt_vfio *dev, __u64 iova);
	/* Read the page; whether the device knows now that the secret is there. */
	int (*get)(struct vt_vfio *dev, __u64 iova, __u64 secret, bool *known);
};

extern const struct vt_engine vt_edu, vt_nvme;

#endif

// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the memory accesses of a virtio device are addressed, for
 * /sys/bus/virtio/devices/virtioN/dma_access.
 */
#include <linux/export.h>
#include <linux/iommu.h>

#include "ring.h"

/*
 * Without a driver no features are negotiated, so use those that the device
 * offers.  The lock keeps drivers from being bound and unbound.
 */
static struct device *access_device(struct virtio_device *vdev)
{
	device_lock_assert(&vdev->dev);

	if (!vdev->dev.driver && vring_offers_platform(vdev))
		return vdev->dev.parent;
	return vring_vdev_dma_device(vdev);
}

static const char *access_word(struct virtio_device *vdev, struct device *dev)
{
	struct iommu_domain *domain;

	/* Physical addresses are the virtio device's own. */
	if (dev == &vdev->dev)
		return vring_dma_forced_bounce(dev) ? "bounced" : "physical";

	domain = iommu_get_domain_for_dev(dev);
	if (domain && domain->type == IOMMU_DOMAIN_DMA_FQ)
		return "translated-lazy";
	if (domain && iommu_is_dma_domain(domain))
		return "translated-strict";
	if (vring_dma_forced_bounce(dev))
		return "bounced";
	if (domain && domain->type == IOMMU_DOMAIN_IDENTITY)
		return "identity";
	return "direct";
}

/**
 * vring_dma_access - how a device's memory accesses are addressed
 * @vdev: the virtio device, registered
 *
 * Documentation/ABI/testing/sysfs-bus-virtio-dma-access has the words.  The
 * answer holds for the driver that is bound.  Without a driver, it is derived
 * from the features that the device offers, and the default domain may change
 * before a driver is bound.
 *
 * Context: may sleep, takes the device lock.
 * Return: one of the words of the ABI, a constant; NULL if a signal came while
 * a driver was probed or removed.
 */
const char *vring_dma_access(struct virtio_device *vdev)
{
	const char *word;

	if (device_lock_interruptible(&vdev->dev))
		return NULL;
	word = access_word(vdev, access_device(vdev));
	device_unlock(&vdev->dev);
	return word;
}
EXPORT_SYMBOL_GPL(vring_dma_access);

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtio device that is on no bus and has no driver.  It suffices to create
 * virtqueues.
 */
#ifndef VRING_FAKE_VDEV_H
#define VRING_FAKE_VDEV_H

#include <linux/device.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

static void fake_vdev_get(struct virtio_device *vdev, unsigned int offset,
			  void *buf, unsigned int len)
{
	memset(buf, 0, len);
}

static u8 fake_vdev_get_status(struct virtio_device *vdev)
{
	return VIRTIO_CONFIG_S_DRIVER_OK;
}

static void fake_vdev_release(struct device *dev)
{
	kfree(dev_to_virtio(dev));
}

/* Returns NULL without memory; put_device() of its dev frees it. */
static struct virtio_device *
fake_vdev_create(struct device *parent, const struct virtio_config_ops *config,
		 u64 features, const char *name)
{
	struct virtio_device *vdev = kzalloc(sizeof(*vdev), GFP_KERNEL);

	if (!vdev)
		return NULL;
	device_initialize(&vdev->dev);
	vdev->dev.parent = parent;
	vdev->dev.release = fake_vdev_release;
	vdev->config = config;
	vdev->features = BIT_ULL(VIRTIO_F_VERSION_1) | features;
	INIT_LIST_HEAD(&vdev->vqs);
	spin_lock_init(&vdev->vqs_list_lock);
	if (dev_set_name(&vdev->dev, "%s", name)) {
		put_device(&vdev->dev);
		return NULL;
	}
	return vdev;
}

#endif

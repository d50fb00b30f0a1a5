/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vDPA devices.  virtio-vdpa turns them into virtio devices.
 */
#ifndef VTEST_VDPA_H
#define VTEST_VDPA_H

#include <stddef.h>

/* Before anything else: 0, or -1 if this kernel has no vDPA. */
int vt_vdpa_open(void);
/* 0, what errno the kernel answered with, or -1. */
int vt_vdpa_create(const char *mgmt_dev, const char *name);
int vt_vdpa_destroy(const char *name);
/* The virtio device (virtio3) that the vDPA device has become. */
int vt_vdpa_virtio(const char *name, char *virtio, size_t size);
/* The disk (/dev/vda) that the virtio device is, once it is there. */
int vt_vdpa_disk(const char *virtio, char *path, size_t size);

#endif

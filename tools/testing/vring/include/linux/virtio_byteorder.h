/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's own accessors, except that a test can declare the guest to be
 * big-endian: then a legacy queue has big-endian fields, a modern one has not.
 */
#ifndef VRING_SHIM_VIRTIO_BYTEORDER_H
#define VRING_SHIM_VIRTIO_BYTEORDER_H

#include <shim.h>

#define virtio_legacy_is_little_endian	host_is_little_endian
#include <base/virtio_byteorder.h>
#undef virtio_legacy_is_little_endian

extern bool shim_big_endian_guest;

static inline bool virtio_legacy_is_little_endian(void)
{
	return !shim_big_endian_guest;
}

#endif

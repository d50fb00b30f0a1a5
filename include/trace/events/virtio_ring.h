/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mapping and unmapping of requests: one event for each request, however many
 * segments it has.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM virtio_ring

#if !defined(_TRACE_VIRTIO_RING_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_VIRTIO_RING_H

#include <linux/device.h>
#include <linux/tracepoint.h>
#include <linux/virtio.h>

TRACE_EVENT(virtio_ring_map,

	TP_PROTO(const struct virtqueue *vq, unsigned int segments,
		 unsigned int in_len, bool indirect),

	TP_ARGS(vq, segments, in_len, indirect),

	TP_STRUCT__entry(
		__string(device, dev_name(&vq->vdev->dev))
		__field(unsigned int, index)
		__field(unsigned int, segments)
		__field(unsigned int, in_len)
		__field(bool, indirect)
	),

	TP_fast_assign(
		__assign_str(device);
		__entry->index = vq->index;
		__entry->segments = segments;
		__entry->in_len = in_len;
		__entry->indirect = indirect;
	),

	TP_printk("%s vq=%u segments=%u in_len=%u indirect=%d",
		  __get_str(device), __entry->index, __entry->segments,
		  __entry->in_len, __entry->indirect)
);

TRACE_EVENT(virtio_ring_unmap,

	TP_PROTO(const struct virtqueue *vq, unsigned int segments),

	TP_ARGS(vq, segments),

	TP_STRUCT__entry(
		__string(device, dev_name(&vq->vdev->dev))
		__field(unsigned int, index)
		__field(unsigned int, segments)
	),

	TP_fast_assign(
		__assign_str(device);
		__entry->index = vq->index;
		__entry->segments = segments;
	),

	TP_printk("%s vq=%u segments=%u", __get_str(device), __entry->index,
		  __entry->segments)
);

#endif /* _TRACE_VIRTIO_RING_H */

#include <trace/define_trace.h>

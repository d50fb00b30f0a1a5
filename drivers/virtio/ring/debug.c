// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counters of a device's virtqueues in debugfs, next to the entries that
 * virtio_debug.c makes: Documentation/ABI/testing/debugfs-virtio-virtqueues.
 */
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>

#include "ring.h"

static void virtqueues_show_one(struct seq_file *s,
				const struct vring_virtqueue *vq)
{
	/* The counters may change while they are read. */
	const struct vring_stats stats = data_race(vq->stats);
	/* So may this one, but it never exceeds the size. */
	unsigned int num_free = data_race(vq->vq.num_free);
	const char *name = vq->vq.name;

	seq_printf(s, "%u ", vq->vq.index);
	/* Columns are separated by blanks. */
	if (name && *name)
		for (; *name; name++)
			seq_putc(s, *name == ' ' ? '_' : *name);
	else
		seq_putc(s, '-');
	seq_printf(s, " %s %u %u %llu %llu %llu %llu %llu %llu %llu\n",
		   vq->packed ? "packed" : "split", vq->ring.num,
		   vq->ring.num - num_free, stats.requests,
		   stats.descriptors, stats.mappings, stats.bounced_bytes,
		   stats.indirect_tables, stats.notifications,
		   stats.cell_bytes);
}

/* Not serialized with the users of the queues: counters may differ by a request. */
static int virtqueues_show(struct seq_file *s, void *data)
{
	struct virtio_device *vdev = s->private;
	struct virtqueue *vq;

	seq_puts(s, "index name layout size in_use requests descriptors mappings bounced_bytes indirect_tables notifications cell_bytes\n");
	/* Queues are freed after they leave the list, and resized under the lock. */
	spin_lock(&vdev->vqs_list_lock);
	list_for_each_entry(vq, &vdev->vqs, list)
		virtqueues_show_one(s, to_vring(vq));
	spin_unlock(&vdev->vqs_list_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(virtqueues);

/**
 * vring_debug_device_init - add the counters to a device's debugfs folder
 * @vdev: the virtio device, its folder made by virtio_debug_device_init()
 *
 * The counters are removed with the folder.
 *
 * Context: may sleep.
 */
void vring_debug_device_init(struct virtio_device *vdev)
{
	debugfs_create_file("virtqueues", 0444, vdev->debugfs_dir, vdev,
			    &virtqueues_fops);
}
EXPORT_SYMBOL_GPL(vring_debug_device_init);

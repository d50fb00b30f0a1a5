/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A virtio device that is this process: a VDUSE device.  vtest_vring.h is built
 * on this and serves its rings.
 */
#ifndef VTEST_VDUSE_H
#define VTEST_VDUSE_H

#include <linux/types.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define VD_MAX_QUEUES	2

struct vd_queue {
	__u32 index;
	__u16 num;
	bool packed;
	bool event;
	void *desc;		/* descriptor area */
	void *driver;		/* available ring, or the driver's events */
	void *device;		/* used ring, or the device's events */
	__u16 avail;		/* next to look at */
	__u16 used;		/* next to write */
	bool avail_wrap;	/* packed */
	bool used_wrap;
};

struct vd_map {
	__u64 start;
	__u64 last;
	__u8 *mem;
};

/*
 * Created by vd_create(), which leaves a thread that answers the kernel and
 * calls serve whenever the driver may have made something available.  The
 * thread holds lock while it does, and so does a test that touches queues.
 */
struct vd_dev {
	/* Set by the test. */
	const char *name;
	const char *driver;	/* of the guest, */
	const char *queue_name[VD_MAX_QUEUES];	/* and its names of the queues */
	__u32 type;
	__u64 offered;		/* features */
	__u16 num;		/* descriptors a queue */
	__u32 queues;
	const void *config;
	__u32 config_size;
	size_t bounce_size;	/* bytes, at least 1 MiB */
	bool own_bounce;	/* bounce buffers are memory of this process */
	void (*serve)(struct vd_dev *dev);
	void *data;

	bool polls;		/* serve every millisecond, notified or not */
	bool ready;		/* the driver is */
	__u64 features;		/* negotiated */
	struct vd_queue queue[VD_MAX_QUEUES];
	__u8 *bounce;		/* what descriptors point to, at DMA address 0 */
	char virtio[32];	/* virtio3 */

	pthread_mutex_t lock;
	pthread_t thread;
	bool running;
	bool stop;
	bool exists;		/* the char device */
	bool attached;		/* the vDPA device */
	int control;
	int fd;
	int kick[VD_MAX_QUEUES];
	struct vd_map map[8];
	int maps;
};

/*
 * Whether this guest cannot have such a device: a kernel without VDUSE, or
 * disks whose queues are locked in interrupts.  Then vt_error says so.  VDUSE
 * takes locks below the driver's that are not safe in interrupts, which is a
 * matter of lockdep only where the driver has other devices too.
 */
bool vd_missing(const struct vd_dev *dev);
/* 0, or -1 and vt_error says why. */
int vd_create(struct vd_dev *dev);
/* Both ends of it.  Waits for the driver to let go of the device. */
int vd_destroy(struct vd_dev *dev);
/* The first half of it alone, the vDPA device. */
int vd_detach(struct vd_dev *dev);
/* From now on nothing is answered, neither driver nor kernel. */
void vd_abandon(struct vd_dev *dev);

/*
 * Memory of the driver's, or NULL if that is no address that it may use.  With
 * own_bounce, all of dev->bounce may be touched, else only what was mapped.
 */
void *vd_at(struct vd_dev *dev, __u64 addr, size_t len);
int vd_interrupt(struct vd_dev *dev, struct vd_queue *queue);
/* What goes wrong in the device's own thread; the driver just waits then. */
void vd_complain(const char *what);
/* New contents of the configuration space, and an interrupt for them. */
int vd_set_config(struct vd_dev *dev, const void *config);

/* Bytes of the ring's three parts. */
size_t vd_desc_size(const struct vd_queue *queue);
size_t vd_driver_size(const struct vd_queue *queue);
size_t vd_device_size(const struct vd_queue *queue);

/* Numbers that the same seed gives again. */
__u64 vd_random(__u64 *seed);
void vd_scribble(void *mem, size_t len, __u64 *seed);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A virtio device that is this process: a VDUSE device with the device's side
 * of split and packed rings, virtio 1.2 sections 2.7 and 2.8.  It obeys the
 * specification until a test has it do otherwise.
 */
#ifndef VTEST_VDUSE_H
#define VTEST_VDUSE_H

#include <linux/types.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define VD_MAX_QUEUES	2
#define VD_MAX_SEGS	128

struct vd_seg {
	__u64 addr;
	__u32 len;
	bool write;		/* the device writes it */
};

/* A request as the driver made it available. */
struct vd_chain {
	__u16 id;		/* what a used entry calls it */
	__u16 slots;		/* descriptors of the ring that it takes */
	__u16 slot[VD_MAX_SEGS];	/* which those are */
	int count;
	struct vd_seg seg[VD_MAX_SEGS];
	__u64 table;		/* of an indirect one, else 0 */
	__u32 table_len;
};

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
 * Whether this guest cannot have such a device: a kernel without VDUSE, or disks
 * whose queues are locked in interrupts, by a driver's name.  Then vt_error says
 * so.  VDUSE takes locks below the driver's that are not safe in interrupts,
 * which is a matter of lockdep only where the driver has other devices too.
 */
bool vd_missing(const char *driver);
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
size_t vd_read(struct vd_dev *dev, const struct vd_chain *chain, size_t from,
	       void *buf, size_t len);
size_t vd_write(struct vd_dev *dev, const struct vd_chain *chain, size_t from,
		const void *buf, size_t len);
/* Bytes that the device may read or write. */
size_t vd_length(const struct vd_chain *chain, bool write);

/* The next available request; false if there is none. */
bool vd_pop(struct vd_dev *dev, struct vd_queue *queue, struct vd_chain *chain);
/* Return it, having written len bytes. */
void vd_push(struct vd_queue *queue, const struct vd_chain *chain, __u32 len);
/* Return anything at all. */
void vd_push_raw(struct vd_queue *queue, __u32 id, __u32 len, __u16 slots);
int vd_interrupt(struct vd_dev *dev, struct vd_queue *queue);
/* What goes wrong in the device's own thread; the driver just waits then. */
void vd_complain(const char *what);
/* New contents of the configuration space, and an interrupt for them. */
int vd_set_config(struct vd_dev *dev, const void *config);

/*
 * What a device does to a request in flight that is none of its business: the
 * request's descriptors and its table, or just one descriptor.  Flags of a packed
 * ring stay, they say on the next lap too what was used.
 */
void vd_spoil_request(struct vd_dev *dev, struct vd_queue *queue,
		      const struct vd_chain *chain, __u64 *seed);
void vd_spoil_desc(struct vd_queue *queue, __u16 slot, __u64 *seed);
/* Event fields and flags of both sides, at random. */
void vd_spoil_events(struct vd_queue *queue, __u64 *seed);
/* Packed: the next descriptor to use, as used a lap ago; what it was. */
__u16 vd_flip_wrap(struct vd_queue *queue);
void vd_set_flags(struct vd_queue *queue, __u16 flags);

/* Bytes of the ring's three parts. */
size_t vd_desc_size(const struct vd_queue *queue);
size_t vd_driver_size(const struct vd_queue *queue);
size_t vd_device_size(const struct vd_queue *queue);

/* Numbers that the same seed gives again. */
__u64 vd_random(__u64 *seed);
void vd_scribble(void *mem, size_t len, __u64 *seed);

#endif

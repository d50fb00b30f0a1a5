/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A virtio driver.  The content of a request identifies the request, so that
 * both sides can check every byte.
 */
#ifndef VRING_MODEL_DRIVER_H
#define VRING_MODEL_DRIVER_H

#include "model_device.h"

#define DRV_SEGS	300	/* of one request, at most */
#define DRV_INFLIGHT	4096

/* One entry of a scatterlist. */
struct drv_seg {
	u8 *mem, *buf;
	u32 len;
	bool last;			/* of its list */
	bool copied;			/* through a cell or a pool, as the device found */
	dma_addr_t addr;
};

struct drv_req {
	u32 seed;
	unsigned int nout, nin;
	bool queued;			/* the ring has it */
	bool served;			/* the device has completed it */
	u32 written;			/* bytes that the device wrote, from the start */
	u32 reported;			/* bytes that it said it wrote */
	u64 writable;
	void *ctx;
	bool premapped;
	bool scribbled;			/* the device put zeroes anywhere */
	struct drv_seg seg[];
};

/* How requests go to the ring. */
enum drv_add {
	DRV_SGS,			/* virtqueue_add_sgs, one list a direction */
	DRV_SGS_EACH,			/* one list a segment */
	DRV_SGS_LISTS,			/* lists end where drv_seg.last says so */
	DRV_SIMPLE,			/* virtqueue_add_inbuf / outbuf */
	DRV_CTX,			/* virtqueue_add_inbuf_ctx */
	DRV_MAPPED,			/* as a single list that the driver mapped */
};

/* Where buffers are. */
enum drv_place {
	DRV_ANYWHERE,			/* aligned to nothing in particular */
	DRV_PAGES,			/* from the start of a page */
	DRV_ACROSS,			/* half of it, a page at most, before a page's end */
	DRV_COMPOUND,			/* in the third page of the entry's pages */
};

/* Requests in flight, in the order the ring got them. */
struct driver {
	struct dev_queue *q;
	u32 next_seed;
	bool premapped;			/* it maps what the ring lets it map */
	bool whole;			/* that is all of the queue's requests */
	bool chained;			/* scatterlists are, after every second entry */
	enum drv_place place;
	gfp_t gfp;
	unsigned int head, tail;	/* of order[], for the device's checks */
	struct drv_req *order[DRV_INFLIGHT];
	unsigned int queued;
	unsigned int recycled;
};

void drv_init(struct driver *drv, struct dev_queue *q);

/* From now on the driver maps its buffers. */
void drv_premap(struct driver *drv);

/* A request of @nout readable and @nin writable segments of @len bytes each. */
struct drv_req *drv_req(struct driver *drv, unsigned int nout, unsigned int nin, u32 len);

/* The same with a length for each, and to be added as DRV_SGS_LISTS. */
struct drv_shape {
	unsigned int nout, nin;
	u32 len[24];
	u32 last;			/* bit i: a list ends with segment i */
};

#define DRV_EACH	(~0U)		/* in drv_shape.last: each is a list */

struct drv_req *drv_req_shape(struct driver *drv, const struct drv_shape *shape);
void drv_free(struct driver *drv, struct drv_req *r);

/* Add it; what virtqueue_add_*() returns.  Its scatterlists are gone after that. */
int drv_add_as(struct driver *drv, struct drv_req *r, enum drv_add how);
int drv_add(struct driver *drv, struct drv_req *r);

/* drv_req() and drv_add(); an error fails the test. */
struct drv_req *drv_submit(struct driver *drv, unsigned int nout, unsigned int nin, u32 len);
struct drv_req *drv_submit_as(struct driver *drv, unsigned int nout, unsigned int nin, u32 len,
			      enum drv_add how);

/* The device's work on one request, checked against what the driver added. */
struct served {
	struct dev_req req;
	struct drv_req *from;
};

/* Take the next request and check all of it; false if there is none. */
bool drv_dev_take(struct driver *drv, struct served *s);

/* Write the first @len writable bytes, which will be reported as @reported. */
void drv_dev_fill(struct driver *drv, struct served *s, u64 len, u32 reported);

/* Write the first @len writable bytes, report @reported, complete it. */
void drv_dev_finish(struct driver *drv, struct served *s, u64 len, u32 reported);

/* Take and finish up to @max requests; how many there were. */
unsigned int drv_dev_serve(struct driver *drv, unsigned int max);

/* virtqueue_get_buf() with everything checked; NULL if nothing is used. */
struct drv_req *drv_get(struct driver *drv);

/* A request came back some other way, written for @len bytes: check everything. */
void drv_got(struct driver *drv, struct drv_req *r, u32 len);

/* Get and free everything that is used; how many there were. */
unsigned int drv_reap(struct driver *drv);

/* virtqueue_detach_unused_buf() with everything freed; how many there were. */
unsigned int drv_detach_all(struct driver *drv);

/* A token that came back some other way, its buffers unchecked. */
void drv_take_back(struct driver *drv, struct drv_req *r);

/* What was mapped by the driver is the driver's to sync, before it looks at it. */
void drv_sync_premapped(struct driver *drv, struct drv_req *r);

/* Check every buffer of a request that is not in the ring. */
void drv_check_content(struct driver *drv, struct drv_req *r);

/* Check that the queue is empty and takes and completes requests as ever. */
void drv_check_works(struct driver *drv);

/* For virtqueue_resize() and virtqueue_reset(). */
void drv_recycle(struct virtqueue *vq, void *buf);
extern struct driver *drv_recycler;

#endif

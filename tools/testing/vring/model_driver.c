// SPDX-License-Identifier: GPL-2.0
/* The driver's side of the tests: makes requests, adds, gets and checks them. */
#include "model_driver.h"

struct driver *drv_recycler;

void drv_init(struct driver *drv, struct dev_queue *q)
{
	memset(drv, 0, sizeof(*drv));
	drv->q = q;
	drv->gfp = GFP_ATOMIC;
	drv->next_seed = 1;
}

static u8 pattern(u32 seed, u64 i, bool write)
{
	return (seed * 131 + i * 7 + (i >> 8) * 13) ^ (write ? 0x3c : 0xc3);
}

#define UNTOUCHED 0x5a

struct drv_req *drv_req(struct driver *drv, unsigned int nout, unsigned int nin, u32 len)
{
	struct drv_req *r = kzalloc(struct_size(r, seg, nout + nin),
				    GFP_ATOMIC | __GFP_NOFAIL);
	u64 off = 0;
	unsigned int i;
	u32 j;

	check(nout + nin <= DRV_SEGS);
	r->seed = drv->next_seed++;
	r->nout = nout;
	r->nin = nin;
	for (i = 0; i < nout + nin; i++) {
		struct drv_seg *s = &r->seg[i];

		/* Not aligned to anything in particular. */
		s->mem = kmalloc(len + 16, GFP_ATOMIC | __GFP_NOFAIL);
		s->buf = s->mem + (r->seed + i) % 16;
		s->len = len;
		for (j = 0; j < len; j++)
			s->buf[j] = i < nout ? pattern(r->seed, off + j, false) : UNTOUCHED;
		if (i < nout)
			off += len;
		else
			r->writable += len;
	}
	return r;
}

void drv_free(struct driver *drv, struct drv_req *r)
{
	unsigned int i;

	check(!r->queued);
	for (i = 0; i < r->nout + r->nin; i++) {
		if (r->premapped)
			virtqueue_dma_unmap_single_attrs(drv->q->vq, r->seg[i].addr,
							 r->seg[i].len, i < r->nout ?
							 DMA_TO_DEVICE : DMA_FROM_DEVICE, 0);
		shim_free(r->seg[i].mem);
	}
	shim_free(r);
}

static void premap(struct driver *drv, struct drv_req *r)
{
	unsigned int i;

	for (i = 0; i < r->nout + r->nin; i++) {
		struct drv_seg *s = &r->seg[i];

		s->addr = virtqueue_dma_map_single_attrs(drv->q->vq, s->buf, s->len,
							 i < r->nout ? DMA_TO_DEVICE :
							 DMA_FROM_DEVICE, 0);
		check(!virtqueue_dma_mapping_error(drv->q->vq, s->addr));
	}
	r->premapped = true;
}

int drv_add_as(struct driver *drv, struct drv_req *r, enum drv_add how)
{
	unsigned int n = r->nout + r->nin, i, lists = 0, nout = 0;
	struct scatterlist *sg = calloc(n, sizeof(*sg)), **sgs = calloc(n, sizeof(*sgs));
	struct virtqueue *vq = drv->q->vq;
	int err;

	if (!sg || !sgs)
		fail("the harness itself is out of memory");
	if (drv->premapped && !r->premapped)
		premap(drv, r);
	for (i = 0; i < n; i++) {
		if (i == 0 || i == r->nout || how == DRV_SGS_EACH) {
			sgs[lists++] = &sg[i];
			if (i < r->nout)
				nout++;
		}
		if (drv->premapped) {
			/* A ring that looks at the page of a premapped buffer crashes. */
			sg[i].length = r->seg[i].len;
			sg_dma_address(&sg[i]) = r->seg[i].addr;
			sg[i].page_link = 0x40;
		} else {
			sg_set_buf(&sg[i], r->seg[i].buf, r->seg[i].len);
			sg_dma_address(&sg[i]) = 0xdeadbeefdeadULL;
		}
		if (i + 1 == n || i + 1 == r->nout || how == DRV_SGS_EACH)
			sg_mark_end(&sg[i]);
	}

	switch (how) {
	case DRV_SIMPLE:
		check(!r->nout || !r->nin);
		err = r->nout ? virtqueue_add_outbuf(vq, sg, n, r, drv->gfp) :
				virtqueue_add_inbuf(vq, sg, n, r, drv->gfp);
		break;
	case DRV_CTX:
		check(!r->nout);
		err = virtqueue_add_inbuf_ctx(vq, sg, n, r, r->ctx, drv->gfp);
		break;
	default:
		err = virtqueue_add_sgs(vq, sgs, nout, lists - nout, r, drv->gfp);
	}

	/* The caller's lists are its own: ASan sees whoever keeps a pointer. */
	free(sg);
	free(sgs);
	if (!err) {
		r->queued = true;
		drv->queued++;
		check(drv->tail - drv->head < DRV_INFLIGHT);
		drv->order[drv->tail++ % DRV_INFLIGHT] = r;
	}
	return err;
}

int drv_add(struct driver *drv, struct drv_req *r)
{
	return drv_add_as(drv, r, DRV_SGS);
}

struct drv_req *drv_submit(struct driver *drv, unsigned int nout, unsigned int nin, u32 len)
{
	struct drv_req *r = drv_req(drv, nout, nin, len);

	check_eq(drv_add(drv, r), 0);
	return r;
}

/* ---- the device ---- */

bool drv_dev_take(struct driver *drv, struct served *s)
{
	struct drv_req *r;
	unsigned int i;
	u64 off = 0;
	u32 j;

	if (!dev_take(drv->q, &s->req))
		return false;
	if (drv->head == drv->tail)
		fail("the device got a request that was never added");
	r = drv->order[drv->head++ % DRV_INFLIGHT];
	s->from = r;
	check_eq(s->req.nseg, r->nout + r->nin);
	for (i = 0; i < r->nout + r->nin; i++) {
		check_eq(s->req.seg[i].len, r->seg[i].len);
		check_eq(s->req.seg[i].write, i >= r->nout);
		if (r->premapped)
			check_eq(s->req.seg[i].addr, r->seg[i].addr);
		if (i < r->nout) {
			u8 *p = dev_ptr(drv->q, s->req.seg[i].addr, r->seg[i].len, false);

			for (j = 0; j < r->seg[i].len; j++)
				if (p[j] != pattern(r->seed, off + j, false))
					fail("byte %llu of a request is not what was added",
					     off + j);
			off += r->seg[i].len;
		}
	}
	return true;
}

void drv_dev_finish(struct driver *drv, struct served *s, u64 len, u32 reported)
{
	struct drv_req *r = s->from;
	unsigned int i;
	u64 off = 0;
	u32 j;

	check(len <= r->writable);
	for (i = r->nout; i < r->nout + r->nin && off < len; i++) {
		u32 n = min((u64)r->seg[i].len, len - off);
		u8 *p = dev_ptr(drv->q, s->req.seg[i].addr, n, true);

		for (j = 0; j < n; j++)
			p[j] = pattern(r->seed, off + j, true);
		off += n;
	}
	r->served = true;
	r->written = len;
	r->reported = reported;
	dev_complete(drv->q, &s->req, reported);
}

unsigned int drv_dev_serve(struct driver *drv, unsigned int max)
{
	static struct served s;
	unsigned int n = 0;

	while (n < max && drv_dev_take(drv, &s)) {
		drv_dev_finish(drv, &s, s.from->writable, s.from->writable);
		n++;
	}
	return n;
}

/* ---- completion ---- */

static void check_content(struct drv_req *r)
{
	unsigned int i;
	u64 in = 0, out = 0;
	u32 j;

	for (i = 0; i < r->nout + r->nin; i++) {
		for (j = 0; j < r->seg[i].len; j++) {
			u8 b = r->seg[i].buf[j];

			if (i < r->nout) {
				if (b != pattern(r->seed, out + j, false))
					fail("a device-readable buffer was changed");
			} else if (in + j < r->written) {
				if (b != pattern(r->seed, in + j, true))
					fail("byte %llu is not what the device wrote", in + j);
			} else if (b != UNTOUCHED && b != 0) {
				fail("byte %llu, which nobody wrote, is %#x: stale data?",
				     in + j, b);
			}
		}
		if (i < r->nout)
			out += r->seg[i].len;
		else
			in += r->seg[i].len;
	}
}

/* A premapped buffer is the driver's to sync. */
static void sync_premapped(struct driver *drv, struct drv_req *r)
{
	unsigned int i;

	for (i = r->nout; r->premapped && i < r->nout + r->nin; i++)
		if (virtqueue_dma_need_sync(drv->q->vq, r->seg[i].addr))
			virtqueue_dma_sync_single_range_for_cpu(drv->q->vq, r->seg[i].addr, 0,
								r->seg[i].len,
								DMA_FROM_DEVICE);
}

struct drv_req *drv_get(struct driver *drv)
{
	unsigned int len = 0xdead0000;
	void *ctx = NULL;
	struct drv_req *r = virtqueue_get_buf_ctx(drv->q->vq, &len, &ctx);

	if (!r)
		return NULL;
	check(r->queued);
	check(r->served);
	check_eq(len, r->reported);
	if (r->ctx && ctx != r->ctx)
		fail("the context came back as %p, it was %p", ctx, r->ctx);
	r->queued = false;
	drv->queued--;
	sync_premapped(drv, r);
	check_content(r);
	return r;
}

unsigned int drv_reap(struct driver *drv)
{
	struct drv_req *r;
	unsigned int n = 0;

	while ((r = drv_get(drv))) {
		drv_free(drv, r);
		n++;
	}
	return n;
}

static void take_back(struct driver *drv, struct drv_req *r)
{
	check(r->queued);
	r->queued = false;
	drv->queued--;
	drv_free(drv, r);
}

unsigned int drv_detach_all(struct driver *drv)
{
	struct drv_req *r;
	unsigned int n = 0;

	while ((r = virtqueue_detach_unused_buf(drv->q->vq))) {
		take_back(drv, r);
		n++;
	}
	drv->head = drv->tail;
	return n;
}

void drv_recycle(struct virtqueue *vq, void *buf)
{
	check(drv_recycler->q->vq == vq);
	drv_recycler->recycled++;
	drv_recycler->head = drv_recycler->tail;
	take_back(drv_recycler, buf);
}

void drv_check_works(struct driver *drv)
{
	unsigned int lap, i, size = virtqueue_get_vring_size(drv->q->vq);

	check_eq(drv->queued, 0);
	check_eq(drv->q->vq->num_free, size);
	check(!virtqueue_is_broken(drv->q->vq));
	for (lap = 0; lap < 3; lap++) {
		/* Full with requests of one segment, then one that fills it. */
		for (i = 0; i < size; i++)
			drv_submit(drv, i & 1, !(i & 1), 24);
		check_eq(drv->q->vq->num_free, 0);
		check_eq(dev_pending(drv->q, size + 1), size);
		check_eq(drv_dev_serve(drv, size + 1), size);
		check_eq(drv_reap(drv), size);
		if (size <= DRV_SEGS) {
			drv_submit(drv, size / 2, size - size / 2, 8);
			check_eq(drv_dev_serve(drv, 2), 1);
			check_eq(drv_reap(drv), 1);
		}
		check_eq(drv->q->vq->num_free, size);
	}
}

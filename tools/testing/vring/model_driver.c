// SPDX-License-Identifier: GPL-2.0
/* The driver's side of the tests: makes requests, adds, gets and checks them. */
#include "model_driver.h"
#include "model_map.h"

struct driver *drv_recycler;

void drv_init(struct driver *drv, struct dev_queue *q)
{
	memset(drv, 0, sizeof(*drv));
	drv->q = q;
	drv->gfp = GFP_ATOMIC;
	drv->next_seed = 1;
}

/*
 * What is in a request: bytes in steps of seven, modulo 256, from another one on
 * every 256 bytes.  Where byte @i of it and those that follow are in a table of
 * such steps; *@n is cut down to as many.  In both directions none is the same.
 */
static const u8 *pattern(u32 seed, u64 i, bool write, u32 *n)
{
	static u8 steps[2][512];
	unsigned int k;

	for (k = 0; !steps[0][0] && k < 512; k++) {
		steps[1][k] = 7 * k ^ 0x3c;
		steps[0][k] = 7 * k ^ 0xc3;
	}
	*n = min(*n, 256 - (u32)(i & 255));
	/* 7 times 183 is 1, modulo 256. */
	return &steps[write][(u8)((seed * 131 + (i >> 8) * 13) * 183) + (i & 255)];
}

/* Fill @buf with bytes of a request from @off on. */
static void fill(u8 *buf, u32 len, u32 seed, u64 off, bool write)
{
	u32 n;

	for (; len; len -= n, buf += n, off += n) {
		const u8 *from;

		n = len;
		from = pattern(seed, off, write, &n);
		memcpy(buf, from, n);
	}
}

/* How many bytes of @buf are those. */
static u32 matches(const u8 *buf, u32 len, u32 seed, u64 off, bool write)
{
	u32 done, n, k;

	for (done = 0; done < len; done += n) {
		const u8 *want;

		n = len - done;
		want = pattern(seed, off + done, write, &n);
		if (!memcmp(buf + done, want, n))
			continue;
		for (k = 0; buf[done + k] == want[k]; k++)
			;
		return done + k;
	}
	return len;
}

#define UNTOUCHED 0x5a

/* Memory for a segment, and where in it that is. */
static void place(enum drv_place where, struct drv_seg *s, unsigned int salt)
{
	const gfp_t gfp = GFP_ATOMIC | __GFP_NOFAIL;
	size_t before = 0;

	if (where == DRV_ANYWHERE) {
		s->mem = kmalloc(s->len + 16, gfp);
		s->buf = s->mem + salt % 16;
		return;
	}
	if (where == DRV_ACROSS)
		before = PAGE_SIZE - min(s->len / 2, (u32)PAGE_SIZE);
	if (where == DRV_COMPOUND)
		before = 2 * PAGE_SIZE + salt % 512;
	s->mem = shim_alloc(before + s->len, PAGE_SIZE, gfp, __FILE__, __LINE__);
	s->buf = s->mem + before;
}

static struct drv_req *new_req(struct driver *drv, unsigned int nout, unsigned int nin,
			       const u32 *len, u32 each)
{
	struct drv_req *r = kzalloc(struct_size(r, seg, nout + nin),
				    GFP_ATOMIC | __GFP_NOFAIL);
	u64 off = 0;
	unsigned int i;

	check(nout + nin <= DRV_SEGS);
	r->seed = drv->next_seed++;
	r->nout = nout;
	r->nin = nin;
	for (i = 0; i < nout + nin; i++) {
		struct drv_seg *s = &r->seg[i];

		s->len = len ? len[i] : each;
		place(drv->place, s, r->seed + i);
		if (i < nout) {
			fill(s->buf, s->len, r->seed, off, false);
			off += s->len;
		} else {
			memset(s->buf, UNTOUCHED, s->len);
			r->writable += s->len;
		}
	}
	return r;
}

struct drv_req *drv_req(struct driver *drv, unsigned int nout, unsigned int nin, u32 len)
{
	return new_req(drv, nout, nin, NULL, len);
}

struct drv_req *drv_req_shape(struct driver *drv, const struct drv_shape *shape)
{
	struct drv_req *r;
	unsigned int i;

	check(shape->nout + shape->nin <= ARRAY_SIZE(shape->len));
	r = new_req(drv, shape->nout, shape->nin, shape->len, 0);
	for (i = 0; i < shape->nout + shape->nin; i++)
		r->seg[i].last = shape->last >> i & 1;
	return r;
}

void drv_free(struct driver *drv, struct drv_req *r)
{
	unsigned int i;

	check(!r->queued);
	for (i = 0; i < r->nout + r->nin; i++) {
		if (r->premapped)
			drv_unmap(drv->q->vq, r->seg[i].addr, r->seg[i].len,
				  i < r->nout ? DMA_TO_DEVICE : DMA_FROM_DEVICE);
		shim_free(r->seg[i].mem);
	}
	shim_free(r);
}

void drv_premap(struct driver *drv)
{
	drv->premapped = true;
	drv->whole = drv_map_queue(drv->q->vq);
}

static void premap(struct driver *drv, struct drv_req *r)
{
	unsigned int i;

	for (i = 0; i < r->nout + r->nin; i++) {
		struct drv_seg *s = &r->seg[i];

		s->addr = drv_map(drv->q->vq, s->buf, s->len,
				  i < r->nout ? DMA_TO_DEVICE : DMA_FROM_DEVICE);
		check(!drv_map_error(drv->q->vq, s->addr));
	}
	r->premapped = true;
}

/* Where the lists of a request end. */
static void mark_lists(struct drv_req *r, enum drv_add how)
{
	unsigned int i, n = r->nout + r->nin;

	for (i = 0; i < n; i++) {
		if (how != DRV_SGS_LISTS)
			r->seg[i].last = how == DRV_SGS_EACH;
		if (i + 1 == n || i + 1 == r->nout)
			r->seg[i].last = true;
	}
}

static void set_entry(const struct driver *drv, const struct drv_req *r,
		      const struct drv_seg *s, struct scatterlist *sg)
{
	if (r->premapped) {
		/* A ring that looks at the page of a premapped buffer crashes. */
		drv_set_mapped(sg, s->addr, s->len);
		sg->page_link = 0x40;
		return;
	}
	if (drv->place == DRV_COMPOUND)
		sg_set_page(sg, virt_to_page(s->mem), s->len, s->buf - s->mem);
	else
		sg_set_buf(sg, s->buf, s->len);
	sg_dma_address(sg) = 0xdeadbeefdeadULL;
}

/* Lay out the lists from @sg on, where there is room for three entries a segment. */
static unsigned int build_lists(const struct driver *drv, const struct drv_req *r,
				struct scatterlist *sg, struct scatterlist **sgs)
{
	unsigned int lists = 0, inside = 0, i;

	for (i = 0; i < r->nout + r->nin; i++, sg++) {
		if (!inside) {
			sgs[lists++] = sg;
		} else if (drv->chained && !(inside & 1)) {
			sg_chain(sg, 1, sg + 2);
			sg += 2;
		}
		set_entry(drv, r, &r->seg[i], sg);
		inside++;
		if (r->seg[i].last) {
			sg_mark_end(sg);
			inside = 0;
		}
	}
	return lists;
}

int drv_add_as(struct driver *drv, struct drv_req *r, enum drv_add how)
{
	unsigned int n = r->nout + r->nin, i, lists, nout = 0;
	struct scatterlist *sg = calloc(3 * n, sizeof(*sg)), **sgs = calloc(n, sizeof(*sgs));
	struct virtqueue *vq = drv->q->vq;
	int err;

	if (!sg || !sgs)
		fail("the harness itself is out of memory");
	mark_lists(r, how);
	/* Not for every queue can a request of both directions be. */
	for (i = 0, lists = 0; i < n; i++)
		lists += r->seg[i].last;
	if (drv->premapped && !r->premapped && (drv->whole || lists == 1))
		premap(drv, r);
	lists = build_lists(drv, r, sg, sgs);
	for (i = 0; i < r->nout; i++)
		nout += r->seg[i].last;

	switch (r->premapped && !drv->whole ? DRV_MAPPED : how) {
	case DRV_MAPPED:
		err = drv_add_mapped(vq, sg, n, r->nin, r, r->ctx, drv->gfp);
		break;
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
	memset(sg, 0xff, 3 * n * sizeof(*sg));
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

struct drv_req *drv_submit_as(struct driver *drv, unsigned int nout, unsigned int nin, u32 len,
			      enum drv_add how)
{
	struct drv_req *r = drv_req(drv, nout, nin, len);

	check_eq(drv_add_as(drv, r, how), 0);
	return r;
}

struct drv_req *drv_submit(struct driver *drv, unsigned int nout, unsigned int nin, u32 len)
{
	return drv_submit_as(drv, nout, nin, len, DRV_SGS);
}

/* ---- the device ---- */

/*
 * The ring may join segments of a list that it copies, up to a page, but not lists:
 * a header stays a segment of its own.  What the driver mapped itself stays as
 * it is.
 */
static void check_segs(const struct driver *drv, struct drv_req *r, const struct dev_req *req)
{
	const struct device *dev = drv->q->dev->dma_dev;
	unsigned int entries = r->nout + r->nin, i = 0, k, first, n = 0;
	u32 longest;
	u64 len, got;

	while (i < entries) {
		bool copied = n < req->nseg && dma_in_cell(dev, req->seg[n].addr);

		first = i;
		len = 0;
		longest = 0;
		do {
			len += r->seg[i].len;
			longest = max(longest, r->seg[i].len);
			r->seg[i].copied = copied;
		} while (!r->seg[i++].last);

		for (got = 0, k = first; got < len; n++, k++) {
			check(n < req->nseg);
			check_eq(req->seg[n].write, first >= r->nout);
			check_eq(dma_in_cell(dev, req->seg[n].addr), copied);
			/* What is mapped is an entry, what is copied a page at most. */
			if (!copied)
				check_eq(req->seg[n].len, r->seg[k].len);
			if (req->seg[n].len > PAGE_SIZE && req->seg[n].len > longest)
				fail("segments were joined to %u bytes", req->seg[n].len);
			got += req->seg[n].len;
		}
		check_eq(got, len);
	}
	check_eq(n, req->nseg);
	check(n <= entries);
	for (i = 0; r->premapped && i < entries; i++) {
		check_eq(req->seg[i].addr, r->seg[i].addr);
		check_eq(req->seg[i].len, r->seg[i].len);
	}
}

bool drv_dev_take(struct driver *drv, struct served *s)
{
	struct drv_req *r;
	u8 buf[4096];
	u64 off;
	u32 n, good;

	if (!dev_take(drv->q, &s->req))
		return false;
	if (drv->head == drv->tail)
		fail("the device got a request that was never added");
	r = drv->order[drv->head++ % DRV_INFLIGHT];
	s->from = r;
	check_segs(drv, r, &s->req);
	for (off = 0; off < s->req.readable; off += n) {
		n = min(s->req.readable - off, (u64)sizeof(buf));
		dev_read(drv->q, &s->req, off, buf, n);
		good = matches(buf, n, r->seed, off, false);
		if (good < n)
			fail("byte %llu of a request is not what was added", off + good);
	}
	return true;
}

void drv_dev_fill(struct driver *drv, struct served *s, u64 len, u32 reported)
{
	struct drv_req *r = s->from;
	u8 buf[4096];
	u64 off;
	u32 n;

	check(len <= r->writable);
	for (off = 0; off < len; off += n) {
		n = min(len - off, (u64)sizeof(buf));
		fill(buf, n, r->seed, off, true);
		dev_write(drv->q, &s->req, off, buf, n);
	}
	r->served = true;
	r->written = len;
	r->reported = reported;
}

void drv_dev_finish(struct driver *drv, struct served *s, u64 len, u32 reported)
{
	drv_dev_fill(drv, s, len, reported);
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

/* What is behind @off in a device-writable buffer has not been written. */
static void check_unwritten(const struct driver *drv, const struct drv_req *r,
			    const struct drv_seg *s, u32 off)
{
	bool stale = drv->q->dev->dma_dev->shim_noncoherent && !s->copied;

	for (; off < s->len; off++) {
		u8 b = s->buf[off];

		if (b != UNTOUCHED && !(stale && b == DMA_STALE) && !(r->scribbled && !b))
			fail("byte %u of a buffer, which nobody wrote, is %#x: stale data?",
			     off, b);
	}
}

void drv_check_content(struct driver *drv, struct drv_req *r)
{
	u64 off[2] = { 0, 0 };
	unsigned int i;
	u32 good, len;

	for (i = 0; i < r->nout + r->nin; i++) {
		const struct drv_seg *s = &r->seg[i];
		bool in = i >= r->nout;

		len = s->len;
		if (in)
			len = clamp((s64)r->written - (s64)off[1], 0LL, (s64)len);
		good = matches(s->buf, len, r->seed, off[in], in);
		if (good < len && in)
			fail("byte %llu is not what the device wrote", off[1] + good);
		if (good < len)
			fail("a device-readable buffer was changed");
		if (in)
			check_unwritten(drv, r, s, len);
		off[in] += s->len;
	}
}

void drv_sync_premapped(struct driver *drv, struct drv_req *r)
{
	unsigned int i;

	for (i = r->nout; r->premapped && i < r->nout + r->nin; i++)
		if (drv_map_need_sync(drv->q->vq, r->seg[i].addr))
			drv_map_sync_for_cpu(drv->q->vq, r->seg[i].addr, 0, r->seg[i].len,
					     DMA_FROM_DEVICE);
}

void drv_got(struct driver *drv, struct drv_req *r, u32 len)
{
	check(r->queued);
	check(r->served);
	check_eq(len, r->reported);
	r->queued = false;
	drv->queued--;
	drv_sync_premapped(drv, r);
	drv_check_content(drv, r);
}

struct drv_req *drv_get(struct driver *drv)
{
	unsigned int len = 0xdead0000;
	void *ctx = NULL;
	struct drv_req *r = virtqueue_get_buf_ctx(drv->q->vq, &len, &ctx);

	if (!r)
		return NULL;
	if (r->ctx && ctx != r->ctx)
		fail("the context came back as %p, it was %p", ctx, r->ctx);
	drv_got(drv, r, len);
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

void drv_take_back(struct driver *drv, struct drv_req *r)
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
		drv_take_back(drv, r);
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
	drv_take_back(drv_recycler, buf);
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

// SPDX-License-Identifier: GPL-2.0
/* Adding buffers and getting them back. */
#include "test.h"

static void one_request(struct run *t)
{
	struct virtqueue *vq;
	struct drv_req *r;

	test_queue(t);
	vq = t->q->vq;
	check_eq(virtqueue_get_vring_size(vq), t->num);
	check_eq(vq->num_free, t->num);
	check(!drv_get(&t->drv));

	r = drv_submit(&t->drv, 0, 1, 100);
	check_eq(vq->num_free, t->num - 1);
	check(!drv_get(&t->drv));
	check_eq(dev_pending(t->q, 2), 1);
	check_eq(drv_dev_serve(&t->drv, 2), 1);
	check(drv_get(&t->drv) == r);
	drv_free(&t->drv, r);
	check_eq(vq->num_free, t->num);
	check(!drv_get(&t->drv));
	drv_check_works(&t->drv);
}

static void every_shape(struct run *t)
{
	unsigned int nout, nin, lap, segs;

	test_queue(t);
	/* Primes, so that the chains cross the end of the ring in every way. */
	for (lap = 0; lap < 3; lap++) {
		for (nout = 0; nout <= 7; nout++) {
			for (nin = !nout; nin <= 7; nin++) {
				drv_submit_as(&t->drv, nout, nin, 13 + nout,
					      nin & 1 ? DRV_SGS : DRV_SGS_EACH);
				segs = nout + nin;
				if (nin & 1)
					segs = test_list_segs(t, nout, 13 + nout) +
					       test_list_segs(t, nin, 13 + nout);
				check_eq(t->q->vq->num_free,
					 t->num - (t->indirect && segs > 1 ? 1 : segs));
				check_eq(drv_dev_serve(&t->drv, 2), 1);
				check_eq(drv_reap(&t->drv), 1);
				check_eq(t->q->vq->num_free, t->num);
			}
		}
	}
}

static void big_buffers(struct run *t)
{
	test_queue(t);
	drv_submit(&t->drv, 2, 2, 3 * PAGE_SIZE + 17);
	drv_submit(&t->drv, 1, 0, 65536);
	drv_submit(&t->drv, 0, 1, 65536);
	check_eq(drv_dev_serve(&t->drv, 4), 3);
	check_eq(drv_reap(&t->drv), 3);
}

static void in_and_out_calls(struct run *t)
{
	unsigned int n;

	test_queue(t);
	for (n = 1; n <= min(t->num, 5U); n++) {
		check_eq(drv_add_as(&t->drv, drv_req(&t->drv, n, 0, 32), DRV_SIMPLE), 0);
		check_eq(drv_dev_serve(&t->drv, 2), 1);
		check_eq(drv_reap(&t->drv), 1);
		check_eq(drv_add_as(&t->drv, drv_req(&t->drv, 0, n, 32), DRV_SIMPLE), 0);
		check_eq(drv_dev_serve(&t->drv, 2), 1);
		check_eq(drv_reap(&t->drv), 1);
	}
}

static void lists_are_chained(struct run *t)
{
	struct scatterlist a[3], b[2], *sgs[1] = { a };
	static u8 data[4][40] __aligned(256);
	struct dev_req r;
	unsigned int len, i;
	u8 back[160];

	test_queue(t);
	for (i = 0; i < 4; i++)
		memset(data[i], i + 1, sizeof(data[i]));
	sg_init_table(a, 3);
	sg_init_table(b, 2);
	sg_unmark_end(&a[2]);
	sg_set_buf(&a[0], data[0], 40);
	sg_set_buf(&a[1], data[1], 40);
	sg_chain(a, 3, b);
	sg_set_buf(&b[0], data[2], 40);
	sg_set_buf(&b[1], data[3], 40);
	check_eq(virtqueue_add_sgs(t->q->vq, sgs, 1, 0, data, GFP_ATOMIC), 0);
	check(dev_take(t->q, &r));
	check_eq(r.nseg, test_list_segs(t, 4, 40));
	dev_read(t->q, &r, 0, back, 160);
	for (i = 0; i < 160; i++)
		check_eq(back[i], i / 40 + 1);
	dev_complete(t->q, &r, 0);
	check(virtqueue_get_buf(t->q->vq, &len) == data);
	check_eq(len, 0);
}

static void fills_and_refuses(struct run *t)
{
	unsigned int lap, i;
	struct drv_req *r;

	test_queue(t);
	for (lap = 0; lap < 3; lap++) {
		for (i = 0; i < t->num; i++)
			drv_submit(&t->drv, 0, 1, 10);
		check_eq(t->q->vq->num_free, 0);
		r = drv_req(&t->drv, 0, 1, 10);
		check_eq(drv_add(&t->drv, r), -ENOSPC);
		drv_free(&t->drv, r);
		r = drv_req(&t->drv, t->num > 2, 1, 10);
		check_eq(drv_add(&t->drv, r), -ENOSPC);
		check_eq(drv_add(&t->drv, r), -ENOSPC);
		check_eq(t->q->vq->num_free, 0);
		check_eq(dev_pending(t->q, t->num + 1), t->num);
		/* One comes back, one fits again. */
		check_eq(drv_dev_serve(&t->drv, 1), 1);
		check_eq(drv_reap(&t->drv), 1);
		drv_submit(&t->drv, 1, 0, 5);
		check_eq(drv_add(&t->drv, r), -ENOSPC);
		drv_free(&t->drv, r);
		check_eq(drv_dev_serve(&t->drv, t->num + 1), t->num);
		check_eq(drv_reap(&t->drv), t->num);
	}
	drv_check_works(&t->drv);
}

static void direct_needs_room_for_all(struct run *t)
{
	struct drv_req *r;

	t->indirect = false;
	test_device(t, test_features(t));
	test_queue(t);
	drv_submit_as(&t->drv, 4, 6, 8, DRV_SGS_EACH);
	check_eq(t->q->vq->num_free, 6);
	r = drv_req(&t->drv, 3, 4, 8);
	check_eq(drv_add_as(&t->drv, r, DRV_SGS_EACH), -ENOSPC);
	drv_free(&t->drv, r);
	check_eq(t->q->vq->num_free, 6);
	check_eq(dev_pending(t->q, 3), 1);
	drv_submit_as(&t->drv, 3, 3, 8, DRV_SGS_EACH);
	check_eq(t->q->vq->num_free, 0);
	check_eq(drv_dev_serve(&t->drv, 3), 2);
	check_eq(drv_reap(&t->drv), 2);
	drv_check_works(&t->drv);
}

static void outgoing_without_room_notifies(struct run *t)
{
	struct drv_req *r;
	unsigned int i;

	t->indirect = false;
	test_device(t, test_features(t));
	test_queue(t);
	for (i = 0; i < t->num; i++)
		drv_submit(&t->drv, 1, 0, 8);
	r = drv_req(&t->drv, 1, 0, 8);
	t->q->notified = 0;
	check_eq(drv_add(&t->drv, r), -ENOSPC);
	check_eq(t->q->notified, 1);
	drv_free(&t->drv, r);
	r = drv_req(&t->drv, 0, 1, 8);
	check_eq(drv_add(&t->drv, r), -ENOSPC);
	check_eq(t->q->notified, 1);
	drv_free(&t->drv, r);
}

static void indirect_holds_more_than_the_ring(struct run *t)
{
	test_queue(t);
	drv_submit(&t->drv, 100, 156, 5);
	drv_submit(&t->drv, 17, 0, 5);
	check_eq(t->q->vq->num_free, t->num - 2);
	check_eq(drv_dev_serve(&t->drv, 3), 2);
	check_eq(drv_reap(&t->drv), 2);
	drv_check_works(&t->drv);
}

static void single_segment_is_direct(struct run *t)
{
	static struct dev_req r;

	test_queue(t);
	drv_submit(&t->drv, 1, 0, 5);
	check(dev_take(t->q, &r));
	check(!r.indirect);
	drv_submit(&t->drv, 1, 1, 5);
	check(dev_take(t->q, &r));
	check(r.indirect);
	check_eq(r.ndesc, 1);
}

static void any_order(struct run *t)
{
	static struct served s[16];
	unsigned int lap, i, n;

	test_queue(t);
	for (lap = 0; lap < 200; lap++) {
		unsigned int order[16], seed = lap * 2654435761u;

		/* Of different lengths, so that the free list gets tangled. */
		for (n = 0; n < 16; n++) {
			struct drv_req *r = drv_req(&t->drv, (lap + n) % 3, 1 + n % 2, 9);

			if (drv_add(&t->drv, r)) {
				drv_free(&t->drv, r);
				break;
			}
		}
		for (i = 0; i < n; i++) {
			check(drv_dev_take(&t->drv, &s[i]));
			order[i] = i;
		}
		for (i = n; i > 1; i--) {
			seed = seed * 1103515245 + 12345;
			swap(order[i - 1], order[(seed >> 16) % i]);
		}
		for (i = 0; i < n; i++) {
			struct served *one = &s[order[i]];
			struct drv_req *r;

			drv_dev_finish(&t->drv, one, one->from->writable, one->from->writable);
			if (lap & 1)
				continue;
			r = drv_get(&t->drv);
			check(r == one->from);
			drv_free(&t->drv, r);
		}
		if (lap & 1) {
			for (i = 0; i < n; i++) {
				struct drv_req *r = drv_get(&t->drv);

				/* In the order of the used ring. */
				check(r == s[order[i]].from);
				drv_free(&t->drv, r);
			}
		}
		check(!drv_get(&t->drv));
		check_eq(t->q->vq->num_free, t->num);
	}
}

static void indexes_wrap(struct run *t)
{
	unsigned int total = 0, n = 0;

	test_queue(t);
	while (total < 2 * 65536 + 100) {
		unsigned int k = n++ % t->num + 1, i;

		for (i = 0; i < k; i++)
			drv_submit(&t->drv, i & 1, !(i & 1), 1);
		check_eq(drv_dev_serve(&t->drv, k + 1), k);
		check_eq(drv_reap(&t->drv), k);
		total += k;
	}
	drv_check_works(&t->drv);
}

static void written_length(struct run *t)
{
	static struct served s;
	unsigned int len;

	test_queue(t);
	for (len = 0; len <= 60; len += 6) {
		drv_submit(&t->drv, 1, 3, 20);
		check(drv_dev_take(&t->drv, &s));
		drv_dev_finish(&t->drv, &s, len, len);
		check_eq(drv_reap(&t->drv), 1);
	}
}

static void contexts(struct run *t)
{
	struct drv_req *r[16];
	unsigned int i, len;
	void *ctx;

	test_queue_opts(t, &(struct queue_opts){ .ctx = true });
	for (i = 0; i < 16; i++) {
		r[i] = drv_req(&t->drv, 0, 1, 10);
		r[i]->ctx = (void *)(0x1000UL + i);
		check_eq(drv_add_as(&t->drv, r[i], DRV_CTX), 0);
	}
	check_eq(drv_dev_serve(&t->drv, 16), 16);
	for (i = 0; i < 16; i++) {
		ctx = NULL;
		check(virtqueue_get_buf_ctx(t->q->vq, &len, &ctx) == r[i]);
		check(ctx == r[i]->ctx);
		drv_take_back(&t->drv, r[i]);
	}
	/* Without one, and without asking for one. */
	r[0] = drv_req(&t->drv, 0, 1, 10);
	check_eq(drv_add_as(&t->drv, r[0], DRV_CTX), 0);
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	ctx = (void *)1;
	check(virtqueue_get_buf_ctx(t->q->vq, &len, &ctx) == r[0]);
	check(!ctx);
	drv_take_back(&t->drv, r[0]);
	r[0] = drv_req(&t->drv, 0, 1, 10);
	r[0]->ctx = (void *)2;
	check_eq(drv_add_as(&t->drv, r[0], DRV_CTX), 0);
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	check(virtqueue_get_buf(t->q->vq, &len) == r[0]);
	drv_take_back(&t->drv, r[0]);
}

static void contexts_exclude_indirect(struct run *t)
{
	static struct dev_req r;

	test_queue_opts(t, &(struct queue_opts){ .ctx = true });
	drv_submit_as(&t->drv, 1, 3, 10, DRV_SGS_EACH);
	check_eq(t->q->vq->num_free, t->num - 4);
	check(dev_take(t->q, &r));
	check(!r.indirect);
	check_eq(r.ndesc, 4);
}

static void detach_returns_all(struct run *t)
{
	static struct served s;
	unsigned int i;

	test_queue(t);
	check(!virtqueue_detach_unused_buf(t->q->vq));
	for (i = 0; i < 6; i++)
		drv_submit(&t->drv, 1, 1 - i % 2, 10);
	check_eq(drv_detach_all(&t->drv), 6);
	check_eq(t->q->vq->num_free, t->num);

	/* Taken by the device, or completed and not fetched: they come back too. */
	dev_enable_queue(t->q);
	dev_delete_queue(t->q);
	test_queue(t);
	for (i = 0; i < 6; i++)
		drv_submit(&t->drv, 1, 1, 10);
	check_eq(drv_dev_serve(&t->drv, 2), 2);
	check(drv_dev_take(&t->drv, &s));
	t->q->enabled = false;
	check_eq(drv_detach_all(&t->drv), 6);
	check_eq(t->q->vq->num_free, t->num);
	check(!virtqueue_detach_unused_buf(t->q->vq));
}

/* The packed ring has no count of what is available: it has to be reset. */
static void detached_is_withdrawn(struct run *t)
{
	unsigned int i;

	test_queue(t);
	for (i = 0; i < 3; i++)
		drv_submit(&t->drv, 1, 1, 10);
	check_eq(drv_dev_serve(&t->drv, 3), 3);
	check_eq(drv_reap(&t->drv), 3);
	for (i = 0; i < 4; i++)
		drv_submit(&t->drv, 1, 1, 10);
	check_eq(dev_get16(t->q, t->q->avail + 2), 7);
	check_eq(drv_detach_all(&t->drv), 4);
	check_eq(dev_get16(t->q, t->q->avail + 2), 3);
	drv_check_works(&t->drv);
}

static void broken_refuses(struct run *t)
{
	struct drv_req *r;

	test_queue(t);
	drv_submit(&t->drv, 1, 1, 10);
	drv_submit(&t->drv, 0, 1, 10);
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	check(!virtqueue_is_broken(t->q->vq));
	virtio_break_device(&t->dev.vdev);
	check(virtqueue_is_broken(t->q->vq));
	r = drv_req(&t->drv, 1, 1, 10);
	check_eq(drv_add(&t->drv, r), -EIO);
	check(!drv_get(&t->drv));
	check(!virtqueue_notify(t->q->vq));
	check_eq(t->q->notified, 0);
	check(!virtqueue_poll(t->q->vq, 0));
	check(virtqueue_enable_cb_delayed(t->q->vq));

	__virtio_unbreak_device(&t->dev.vdev);
	check(!virtqueue_is_broken(t->q->vq));
	check_eq(drv_reap(&t->drv), 1);
	check_eq(drv_add(&t->drv, r), 0);
	check_eq(drv_dev_serve(&t->drv, 3), 2);
	check_eq(drv_reap(&t->drv), 2);

	__virtqueue_break(t->q->vq);
	check(virtqueue_is_broken(t->q->vq));
	check(!virtqueue_kick(t->q->vq) || t->event);
	__virtqueue_unbreak(t->q->vq);
	check(!virtqueue_is_broken(t->q->vq));
	drv_check_works(&t->drv);
}

static void broken_gives_back_what_it_has(struct run *t)
{
	unsigned int i;

	test_queue(t);
	for (i = 0; i < 5; i++)
		drv_submit(&t->drv, 1, 1, 10);
	virtio_break_device(&t->dev.vdev);
	check_eq(drv_detach_all(&t->drv), 5);
	check_eq(t->q->vq->num_free, t->num);
}

static void refused(struct run *t, unsigned int num, void *data, void *ctx, bool add_sgs)
{
	struct scatterlist sg[2], *sgs[1] = { sg };
	static u8 buf[2][16];
	int err;

	sg_init_table(sg, 2);
	sg_set_buf(&sg[0], buf[0], 16);
	sg_set_buf(&sg[1], buf[1], 16);
	if (num == 1)
		sg_mark_end(&sg[0]);
	err = add_sgs ? virtqueue_add_sgs(t->q->vq, sgs, 0, num > 0, data, GFP_ATOMIC) :
			virtqueue_add_inbuf_ctx(t->q->vq, sg, num, data, ctx, GFP_ATOMIC);
	check_eq(err, -EINVAL);
	check_eq(kernel_take_warnings(), 1);
	check_eq(t->q->vq->num_free, t->num);
	check_eq(dev_pending(t->q, 1), 0);
	check_eq(dma_stats(NULL).live_maps, 0);
}

static void malformed(struct run *t)
{
	unsigned int num;
	int i;

	test_queue(t);
	for (num = 0; num <= 2; num++) {
		refused(t, num, NULL, NULL, false);
		refused(t, num, NULL, NULL, true);
		/* With tables there is no place for a context. */
		if (t->indirect)
			refused(t, num, &i, &i, false);
	}
	refused(t, 0, &i, NULL, false);
	refused(t, 0, &i, NULL, true);
	drv_check_works(&t->drv);
}

static void same_buffer_twice(struct run *t)
{
	struct scatterlist sg;
	u8 *buf = kzalloc(64, GFP_KERNEL);
	static struct dev_req r;
	unsigned int len;

	test_queue(t);
	sg_init_one(&sg, buf, 64);
	check_eq(virtqueue_add_outbuf(t->q->vq, &sg, 1, buf, GFP_ATOMIC), 0);
	check_eq(virtqueue_add_outbuf(t->q->vq, &sg, 1, buf + 1, GFP_ATOMIC), 0);
	check(dev_take(t->q, &r));
	dev_complete(t->q, &r, 0);
	check(virtqueue_get_buf(t->q->vq, &len) == buf);
	check(dev_take(t->q, &r));
	dev_complete(t->q, &r, 0);
	check(virtqueue_get_buf(t->q->vq, &len) == buf + 1);
	kfree(buf);
}

static void big_endian_legacy(struct run *t)
{
	unsigned int i;

	shim_big_endian_guest = true;
	test_queue(t);
	for (i = 0; i < 3; i++)
		drv_submit(&t->drv, 2, 3, 10);
	/* 2.7.6: avail idx, in the byte order of the guest. */
	check_eq(*(u16 *)dev_ptr(t->q, t->q->avail + 2, 2, false), 0x0300);
	check_eq(drv_dev_serve(&t->drv, 5), 3);
	check_eq(drv_reap(&t->drv), 3);
	drv_check_works(&t->drv);
}

static void big_endian_modern(struct run *t)
{
	shim_big_endian_guest = true;
	test_queue(t);
	drv_submit(&t->drv, 2, 3, 10);
	if (!t->packed)
		check_eq(*(u16 *)dev_ptr(t->q, t->q->avail + 2, 2, false), 0x0001);
	check_eq(drv_dev_serve(&t->drv, 5), 1);
	check_eq(drv_reap(&t->drv), 1);
	drv_check_works(&t->drv);
}

static void work_at_barrier(void *arg)
{
	struct driver *drv = arg;

	drv_dev_serve(drv, 1);
}

static void device_runs_at_barriers(struct run *t)
{
	unsigned int i, got = 0;

	test_queue(t);
	/*
	 * What is visible at a barrier must be complete.  The order of the
	 * requests is recorded after the add, so the device works one behind.
	 */
	for (i = 0; i < 500; i++) {
		kernel_set_barrier_hook(NULL, NULL);
		while (t->q->vq->num_free < 3)
			got += drv_dev_serve(&t->drv, 2) ? drv_reap(&t->drv) : 0;
		drv_submit(&t->drv, i % 3, 1 + i % 2, 10);
		kernel_set_barrier_hook(work_at_barrier, &t->drv);
		virtqueue_kick_prepare(t->q->vq);
		got += drv_reap(&t->drv);
		if (!virtqueue_enable_cb(t->q->vq))
			got += drv_reap(&t->drv);
	}
	kernel_set_barrier_hook(NULL, NULL);
	drv_dev_serve(&t->drv, t->num);
	got += drv_reap(&t->drv);
	check_eq(got, 500);
}

static void half_a_request(void *arg)
{
	struct dev_queue *q = arg;

	/* dev_pending() checks every descriptor that it can see. */
	dev_pending(q, q->num);
}

static void published_when_complete(struct run *t)
{
	unsigned int i;

	test_queue(t);
	kernel_set_barrier_hook(half_a_request, t->q);
	for (i = 0; i < 300; i++) {
		struct drv_req *r = drv_req(&t->drv, i % 4, 1 + i % 3, 10);

		if (drv_add(&t->drv, r)) {
			drv_free(&t->drv, r);
			check(drv_dev_serve(&t->drv, 1 + i % 5));
			check(drv_reap(&t->drv));
		}
	}
}

const struct test add_tests[] = {
	{ "a request goes to the device and comes back", one_request,
	  AXIS_ALL | AXIS_NUM | AXIS_BARRIERS },
	{ "any number of readable and writable segments arrives as it was added",
	  every_shape, AXIS_ALL },
	{ "buffers may span pages", big_buffers, AXIS_ACCESS | AXIS_INDIRECT },
	{ "add_inbuf and add_outbuf take arrays of segments", in_and_out_calls,
	  AXIS_ALL | AXIS_NUM },
	{ "scatterlists may be chained", lists_are_chained, AXIS_ALL },
	{ "a full queue refuses with ENOSPC and stays as it is", fills_and_refuses,
	  AXIS_ALL | AXIS_NUM },
	{ "without indirect descriptors every segment needs one", direct_needs_room_for_all,
	  AXIS_ACCESS },
	{ "a split queue without room for outgoing data notifies the device",
	  outgoing_without_room_notifies, ONLY_SPLIT },
	{ "an indirect request may be longer than the ring", indirect_holds_more_than_the_ring,
	  AXIS_ACCESS | AXIS_EVENT },
	{ "a request of one segment goes without an indirect table", single_segment_is_direct,
	  0 },
	{ "the device may complete in any order", any_order, AXIS_INDIRECT | AXIS_ACCESS },
	{ "ring indexes wrap around", indexes_wrap, AXIS_EVENT },
	{ "the written length is what the device reports", written_length,
	  AXIS_ACCESS | AXIS_INDIRECT | NEEDS(LENGTH) },
	{ "a context comes back with its buffer", contexts, AXIS_ALL },
	{ "a queue with contexts uses no indirect tables", contexts_exclude_indirect, 0 },
	{ "detach_unused_buf returns every buffer and unmaps it", detach_returns_all, AXIS_ALL },
	{ "a request that is detached is not available any more", detached_is_withdrawn,
	  AXIS_EVENT | ONLY_SPLIT },
	{ "a broken queue refuses until it is unbroken", broken_refuses, AXIS_ALL },
	{ "a broken queue gives its buffers back", broken_gives_back_what_it_has, AXIS_ALL },
	{ "one buffer may be in two requests", same_buffer_twice, AXIS_ACCESS },
	{ "malformed requests are refused and change nothing", malformed,
	  AXIS_ACCESS | AXIS_INDIRECT },
	{ "a legacy queue of a big-endian guest is big-endian", big_endian_legacy,
	  LEGACY | AXIS_INDIRECT | AXIS_EVENT },
	{ "a modern queue of a big-endian guest is little-endian", big_endian_modern,
	  AXIS_INDIRECT | AXIS_EVENT },
	{ "a device that works during the driver's calls gets and returns every request",
	  device_runs_at_barriers, AXIS_ALL },
	{ "nothing incomplete is visible to the device", published_when_complete,
	  AXIS_INDIRECT | AXIS_EVENT },
	{ 0 }
};

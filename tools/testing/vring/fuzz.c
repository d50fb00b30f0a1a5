// SPDX-License-Identifier: GPL-2.0
/*
 * A driver and a device that follow the input, for libFuzzer.
 *
 * The first bytes choose the queue.  Each further byte is an operation.  As
 * long as the device obeys the rules, every byte of every request is checked as
 * in the unit tests.  After its first violation, these checks remain: there is
 * no memory error, no mapping is undone with other values, every token comes
 * back exactly once, and nothing is left in the end.
 *
 * VRING_SEEDS=dir reads inputs from stdin, lines of hexadecimal digits as in
 * corpus.txt, and writes them to files in that directory.
 */
#include <stdio.h>

#include "model_driver.h"

#define INFLIGHT	64	/* requests the device may hold */

static struct {
	const u8 *data;
	size_t left;
} in;

static struct device_model dev;
static struct driver drv;
static struct served held[INFLIGHT];
static unsigned int nheld;
static bool hostile, premapped, in_order, contexts, used_only;
static struct drv_req *queued[DRV_INFLIGHT];	/* every token the ring has */
static unsigned int nqueued;
static unsigned int operations;		/* begun so far; 0 while setting up */
static u64 shared;			/* where a buffer was in what is shared for good */

void harness_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%d: ", file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, " [operation %u, %s%s]\n", operations,
		dev.vdev.features & BIT_ULL(VIRTIO_F_RING_PACKED) ? "packed" : "split",
		hostile ? ", hostile" : "");
	abort();
}

static u8 byte(void)
{
	if (!in.left)
		return 0;
	in.left--;
	return *in.data++;
}

static u32 word(void)
{
	u32 v = byte();

	return v | (u32)byte() << 8 | (u32)byte() << 16 | (u32)byte() << 24;
}

/* ---- tokens ---- */

static void forget(struct drv_req *r)
{
	unsigned int i;

	for (i = 0; i < nqueued; i++)
		if (queued[i] == r)
			break;
	if (i == nqueued)
		fail("a token came back that the ring does not have");
	queued[i] = queued[--nqueued];
}

static void take_back(struct drv_req *r)
{
	forget(r);
	r->queued = false;
	drv.queued--;
	drv_free(&drv, r);
}

static void recycle(struct virtqueue *vq, void *buf)
{
	(void)vq;
	take_back(buf);
}

/* ---- operations ---- */

static void add(struct drv_req *r, enum drv_add how)
{
	int err;

	if (contexts && !r->nout) {
		r->ctx = &r->seed;
		how = DRV_CTX;
	}
	err = drv_add_as(&drv, r, how);
	if (!err) {
		queued[nqueued++] = r;
		return;
	}
	if (err != -ENOSPC && err != -ENOMEM && err != -EIO && err != -EINVAL)
		fail("adding a request returned %d", err);
	if (err == -EINVAL && r->nout + r->nin <= virtqueue_get_vring_size(drv.q->vq))
		fail("a request that fits was called invalid");
	drv_free(&drv, r);
}

static void op_add(void)
{
	u8 shape = byte();
	unsigned int nout = shape & 7, nin = shape >> 3 & 7, len = 1 + byte() % 64;

	if (!nout && !nin)
		nin = 1;
	if (shape & 0x40 && nout + nin == 1)
		len *= 100;		/* across pages */
	add(drv_req(&drv, nout, nin, len), shape & 0x80 ? DRV_SGS_EACH : DRV_SGS);
}

/* Lists of some KiB, that are copied, mapped, or both in one request. */
static void op_add_lists(void)
{
	static const u16 lens[] = {
		1, 16, 100, 128, 129, 200, 201, 512, 1000, 1024, 2047, 2048, 2049, 3000, 4095,
		4096,
	};
	struct drv_shape s = { 0 };
	unsigned int n = 0, bytes = 0, out, lists, i;
	u8 how = byte();

	lists = 1 + how % 6;
	out = (how >> 3) % (lists + 1);
	for (i = 0; i < lists; i++) {
		u8 what = byte();
		unsigned int entries = 1 + (what >> 4) % 3;

		/* Enough for every way to map, and quick. */
		for (; entries && bytes < 12000; entries--) {
			s.len[n++] = lens[what & 15];
			bytes += lens[what & 15];
		}
		if (n)
			s.last |= BIT(n - 1);
		if (i + 1 == out)
			s.nout = n;
	}
	s.nin = n - s.nout;
	add(drv_req_shape(&drv, &s), DRV_SGS_LISTS);
}

static void op_get(void)
{
	struct drv_req *r;
	unsigned int len;
	void *ctx = NULL;

	r = virtqueue_get_buf_ctx(drv.q->vq, &len, &ctx);
	if (!r)
		return;
	if (contexts && ctx != r->ctx)
		fail("another request's context");
	/* It may have become hostile at a barrier just now. */
	if (!hostile) {
		drv_got(&drv, r, len);
		forget(r);
		drv_free(&drv, r);
		return;
	}
	if (len > r->writable)
		fail("%u bytes written of %llu", len, r->writable);
	take_back(r);
}

static void op_take(void)
{
	u64 addr;

	if (hostile || nheld == INFLIGHT || !drv_dev_take(&drv, &held[nheld]))
		return;
	addr = held[nheld++].req.seg[0].addr;
	if (dma_in_cell(dev.dma_dev, addr))
		shared = addr;
}

/* Those up to and with the n-th at once; but for the last they are written in full. */
static void finish_batch(unsigned int n, u64 len, u32 reported)
{
	unsigned int i;

	for (i = 0; i + 1 < n; i++)
		drv_dev_fill(&drv, &held[i], held[i].from->writable, held[i].from->writable);
	drv_dev_fill(&drv, &held[i], len, reported);
	dev_complete_batch(drv.q, &held[0].req, sizeof(held[0]), n, reported);
	nheld -= n;
	memmove(held, &held[n], nheld * sizeof(held[0]));
}

static void op_finish(void)
{
	unsigned int i;
	u32 reported;
	u64 len;
	u8 how;

	if (hostile || !nheld || !drv.q->enabled)
		return;
	how = byte();
	i = (how >> 2) % nheld;
	len = held[i].from->writable;
	if (how & 1)
		len = len * byte() / 255;
	/* What is not reported may be lost, for a driver that does not look there. */
	reported = how & 2 && !used_only ? len / 2 : len;
	if (in_order) {
		finish_batch(i + 1, len, reported);
		return;
	}
	drv_dev_finish(&drv, &held[i], len, reported);
	held[i] = held[--nheld];
}

static void op_notify_wish(void)
{
	u8 how = byte();

	if (!drv.q->enabled)
		return;
	if (how % 3 == 0)
		dev_notify_never(drv.q);
	else if (how % 3 == 1 || !(dev.vdev.features & BIT_ULL(VIRTIO_RING_F_EVENT_IDX)))
		dev_notify_always(drv.q);
	else
		dev_notify_at(drv.q, drv.q->taken + how % (drv.q->num + 1));
}

/* Anything, anywhere in memory that a device without IOMMU reaches. */
static void scribble(void)
{
	struct dev_queue *q = drv.q;
	u8 where = byte();
	u32 what = word();
	u64 addr;
	u16 slot;

	if (!q->enabled)
		return;
	hostile = true;
	nheld = 0;
	slot = where % q->num;
	switch (where >> 5) {
	case 0:
	case 1:
		addr = q->desc + 16 * (u64)slot + (what >> 28);
		break;
	case 2:
		addr = q->packed ? q->avail : q->avail + 2 * (u64)(slot & ~1);
		break;
	case 3:
	case 4:
	case 5:
		addr = q->packed ? q->used : q->used + 4 + 8 * (u64)slot;
		what &= where & 16 ? ~0U : 0x1f;
		break;
	default:
		addr = q->used;
		what &= where & 16 ? ~0U : 0x1fffff;
		/* A pool, with all that is near a buffer, if it is still there. */
		if (where & 32 && dev_reaches(q, shared, PAGE_SIZE, true) &&
		    dev_reaches(q, shared, PAGE_SIZE, false))
			addr = shared + (what >> 20) % (PAGE_SIZE - 4);
	}
	addr &= ~3ULL;
	memcpy(dev_ptr(q, addr, 4, false), &what, 4);
}

static void scribble_buffers(void)
{
	static u8 zero[256];
	unsigned int i;
	u64 off;

	/* What the device holds it may write as it likes. */
	if (hostile || !drv.q->enabled)
		return;
	for (i = 0; i < nheld; i++) {
		for (off = 0; off < held[i].req.writable; off += sizeof(zero))
			dev_write(drv.q, &held[i].req, off, zero,
				  min(held[i].req.writable - off, (u64)sizeof(zero)));
		held[i].from->scribbled = true;
	}
}

static void op_forge(void)
{
	u8 id = byte();

	if (!drv.q->enabled)
		return;
	hostile = true;
	nheld = 0;
	dev_forge_used(drv.q, id & 0x80 ? word() : id % drv.q->num, byte());
}

static void at_barrier(void *arg)
{
	(void)arg;
	switch (byte() & 7) {
	case 0:
		scribble();
		break;
	case 1:
		op_forge();
		break;
	case 2:
		vring_interrupt(0, drv.q->vq);
		break;
	case 3:
		op_finish();
		break;
	}
}

static void check_numbers(void)
{
	unsigned int size = virtqueue_get_vring_size(drv.q->vq);

	if (drv.q->vq->num_free > size)
		fail("%u of %u descriptors are free", drv.q->vq->num_free, size);
	if (nqueued != drv.queued)
		fail("%u tokens in the ring, %u expected", nqueued, drv.queued);
	if (!nqueued && drv.q->vq->num_free != size)
		fail("nothing in flight and %u of %u descriptors free", drv.q->vq->num_free,
		     size);
	if (!nqueued && !premapped && dma_stats(NULL).live_maps)
		fail("nothing in flight and something is mapped");
	/* A break is announced, a wrong length too; more there is not to say. */
	if (kernel_take_messages(SHIM_WARN, NULL) > 3)
		fail("more than three messages for one operation");
}

static void renew(int err)
{
	if (err && err != -EBUSY)
		return;
	/* -EBUSY: all is recycled, and the device has not taken the queue up. */
	/* A new ring, and a device that behaves again. */
	hostile = false;
	nheld = 0;
	drv.head = drv.tail;
}

static void step(u8 op)
{
	static const u16 sizes[] = { 1, 2, 4, 8, 16, 64, 5, 0 };
	struct virtqueue *vq = drv.q->vq;
	u16 size;

	operations++;
	switch (op & 31) {
	case 0 ... 2:
		op_add();
		break;
	case 3 ... 5:
		op_add_lists();
		break;
	case 6 ... 8:
		op_take();
		break;
	case 9 ... 11:
		op_finish();
		break;
	case 12 ... 14:
		op_get();
		break;
	case 15:
		virtqueue_kick(vq);
		if (op & 32)
			kernel_do_work();
		break;
	case 16:
		op_notify_wish();
		break;
	case 17:
		if (hostile || !drv.q->enabled)
			vring_interrupt(0, vq);
		else
			dev_interrupt(drv.q);
		break;
	case 18:
		virtqueue_disable_cb(vq);
		break;
	case 19:
		virtqueue_enable_cb(vq);
		break;
	case 20:
		virtqueue_enable_cb_delayed(vq);
		break;
	case 21:
		virtqueue_poll(vq, virtqueue_enable_cb_prepare(vq));
		break;
	case 22:
		renew(virtqueue_reset(vq, recycle, NULL));
		break;
	case 23:
		size = sizes[byte() % ARRAY_SIZE(sizes)];
		if (size != virtqueue_get_vring_size(vq))
			renew(virtqueue_resize(vq, size, recycle, NULL));
		break;
	case 24:
		scribble_buffers();
		break;
	case 25:
		scribble();
		break;
	case 26:
		op_forge();
		break;
	case 27:
		/* Whatever comes next meets a failure; a premapped driver's own not. */
		size = byte();
		dma_shared_only = false;
		if (size & 0x80)
			kernel_out_of_memory(size & 1);
		else if (!premapped)
			fail_nth(1 + size % 8);
		break;
	case 28:
		kernel_set_barrier_hook(byte() & 1 ? at_barrier : NULL, NULL);
		break;
	case 29:
		if (byte() & 1)
			__virtqueue_break(vq);
		else
			__virtqueue_unbreak(vq);
		break;
	case 30:
		vring_notification_data(vq);
		break;
	case 31:
		drv.q->reset_fails = byte() & 1;
		drv.q->enable_fails = (byte() & 7) == 7;
		break;
	}
	check_numbers();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const enum shim_dma modes[] = {
		SHIM_DMA_TRANSLATED, SHIM_DMA_DIRECT, SHIM_DMA_BOUNCED, SHIM_DMA_IDENTITY,
	};
	static const char * const bounce_max[] = { "4096", "0", "200", "2048" };
	static const u16 sizes[] = { 16, 4, 1, 7 };
	struct drv_req *r;
	struct queue_opts o = { 0 };
	u64 features;
	u8 how, what, cells;

	in.data = data;
	in.left = size;
	kernel_reset();
	dma_reset();
	hostile = false;
	nheld = 0;
	nqueued = 0;
	operations = 0;
	shared = 0;

	how = byte();
	what = byte();
	cells = byte();
	features = BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_RING_RESET);
	if (how & 1)
		features |= BIT_ULL(VIRTIO_F_RING_PACKED);
	if (how & 2)
		features |= BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
	if (how & 4)
		features |= BIT_ULL(VIRTIO_RING_F_EVENT_IDX);
	if (how & 8)
		features |= BIT_ULL(VIRTIO_F_ACCESS_PLATFORM);
	in_order = what & 64;
	if (in_order)
		features |= BIT_ULL(VIRTIO_F_IN_ORDER);
	if (!(how & 1) && what & 4) {
		features &= ~BIT_ULL(VIRTIO_F_VERSION_1);
		shim_big_endian_guest = true;
	}
	check_eq(shim_set_bounce_max(bounce_max[cells & 3]), 0);
	dev_init(&dev, features, modes[how >> 4 & 3]);
	/* Of what is bounced: whether there is a pool at once, and how large it gets. */
	kernel_set_work(how & 64 ? WORK_AT_ONCE : WORK_LATER);
	shim_param_cell_max(how & 128 ? 128 : 8192);
	dev.dma_dev->shim_restricted = what & 128;
	if (what & 128)
		dma_pool_size = SZ_64K << 3;
	dma_shared_only = modes[how >> 4 & 3] == SHIM_DMA_BOUNCED && how & 64 &&
			  !(how & 128) && !(what & 128);
	dev.parent.shim_noncoherent = cells & 4;
	if (cells & 8)
		dev.parms.max_segment_size = 4096;
	/* One that has a mask of 64 bits has nothing bounced one day. */
	if (cells & 16 && (features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))) {
		dev.parent_mask = DMA_BIT_MASK(48);
		dev.parent.shim_untracked = false;
		dev.dma_dev->shim_bounce_in = 9;
	}
	premapped = what & 8;
	o.num = how & 1 ? sizes[what & 3] : sizes[(what & 3) % 3];
	contexts = what & 16;
	o.ctx = contexts;
	o.no_callback = what & 32;
	used_only = what & 32;
	if (!dev_create_queue(&dev, &o))
		fail("no queue");
	drv_init(&drv, &dev.queue[0]);
	drv.chained = cells & 32;
	drv.place = cells >> 6;
	if (premapped)
		drv_premap(&drv);
	if (used_only)
		virtqueue_set_used_only(drv.q->vq);

	while (in.left && nqueued < DRV_INFLIGHT - 1)
		step(byte());

	fail_nth(0);
	kernel_out_of_memory(false);
	kernel_set_barrier_hook(NULL, NULL);
	while ((r = virtqueue_detach_unused_buf(drv.q->vq)))
		take_back(r);
	check_eq(nqueued, 0);
	check_eq(drv.q->vq->num_free, virtqueue_get_vring_size(drv.q->vq));
	dev_delete_queue(drv.q);
	dev_exit(&dev);
	dma_check_clean();
	kernel_take_messages(SHIM_WARN, NULL);
	kernel_check_clean();
	return 0;
}

/* ---- the corpus to begin with ---- */

static void write_seed(const char *dir, unsigned int n, const u8 *seed, size_t len)
{
	char name[300];
	FILE *f;

	snprintf(name, sizeof(name), "%s/seed-%03u", dir, n);
	f = fopen(name, "wb");
	if (!f || fwrite(seed, 1, len, f) != len || fclose(f)) {
		perror(name);
		exit(1);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *dir = getenv("VRING_SEEDS");
	char line[1100];
	unsigned int n;
	size_t len;

	(void)argc;
	(void)argv;
	if (!dir)
		return 0;
	for (n = 0; fgets(line, sizeof(line), stdin); n++) {
		u8 seed[sizeof(line) / 2];

		for (len = 0; sscanf(&line[2 * len], "%2hhx", &seed[len]) == 1; len++)
			;
		if (line[2 * len] != '\n') {
			fprintf(stderr, "fuzz: line %u is no input in hexadecimal\n", n + 1);
			exit(1);
		}
		write_seed(dir, n, seed, len);
	}
	exit(!n);
}

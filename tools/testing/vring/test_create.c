// SPDX-License-Identifier: GPL-2.0
/* Creating and deleting queues: sizes, memory, features, the DMA device. */
#include "test.h"

static struct virtqueue *nth_queue(struct device_model *d, unsigned int n)
{
	struct virtqueue *vq;

	virtio_device_for_each_vq(&d->vdev, vq)
		if (!n--)
			return vq;
	return NULL;
}

static void fields(struct run *t)
{
	struct virtqueue *vq;

	test_queue_opts(t, &(struct queue_opts){ .index = 3 });
	vq = t->q->vq;
	check(vq->vdev == &t->dev.vdev);
	check(!strcmp(vq->name, "test"));
	check(vq->callback);
	check_eq(vq->index, 3);
	check_eq(vq->num_free, t->num);
	check(!vq->reset);
	check(!virtqueue_is_broken(vq));
	check(nth_queue(&t->dev, 0) == vq);
	check(!nth_queue(&t->dev, 1));
	dev_delete_queue(t->q);
	check(!nth_queue(&t->dev, 0));
	check_eq(dma_stats(NULL).live_coherent, 0);
}

static void several_queues(struct run *t)
{
	struct dev_queue *a, *b;
	struct driver da, db;

	a = dev_create_queue(&t->dev, &(struct queue_opts){ .index = 0, .num = 8 });
	b = dev_create_queue(&t->dev, &(struct queue_opts){ .index = 1, .num = 64 });
	check(a && b);
	check(nth_queue(&t->dev, 0) == a->vq);
	check(nth_queue(&t->dev, 1) == b->vq);
	drv_init(&da, a);
	drv_init(&db, b);
	drv_submit(&da, 1, 1, 8);
	drv_check_works(&db);
	check_eq(drv_dev_serve(&da, 2), 1);
	check_eq(drv_reap(&da), 1);
	dev_delete_queue(b);
	check(nth_queue(&t->dev, 0) == a->vq);
	drv_check_works(&da);
	dev_delete_queue(a);
}

static void sizes(struct run *t)
{
	static const unsigned int good[] = { 1, 2, 4, 256, 1024, 32768 };
	static const unsigned int odd[] = { 3, 5, 6, 7, 100, 1000 };
	struct dev_queue *q;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		q = dev_create_queue(&t->dev, &(struct queue_opts){ .num = good[i] });
		check(q);
		check_eq(virtqueue_get_vring_size(q->vq), good[i]);
		check_eq(q->vq->num_free, good[i]);
		dev_delete_queue(q);
	}
	/* 2.7.1: a power of two; 2.8.10.1: anything up to 2^15. */
	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		q = dev_create_queue(&t->dev, &(struct queue_opts){ .num = odd[i] });
		check_eq(!!q, t->packed);
		if (q) {
			drv_init(&t->drv, q);
			drv_check_works(&t->drv);
			dev_delete_queue(q);
		} else {
			check_eq(kernel_take_messages(SHIM_WARN, NULL), 1);
		}
	}
}

static void impossible_sizes(struct run *t)
{
	check(!vring_create_virtqueue(0, 0, 64, &t->dev.vdev, true, false, false, NULL, NULL,
				      "test"));
	check(!vring_create_virtqueue(0, 65536, 64, &t->dev.vdev, true, false, false, NULL,
				      NULL, "test"));
	check(kernel_take_messages(SHIM_WARN, NULL) <= 2);
}

static bool an_entry_is_in_two_pages(u64 used, unsigned int num)
{
	unsigned int i;

	for (i = 0; i < num; i++)
		if ((used + 4 + 8LL * i) / 4096 != (used + 4 + 8LL * i + 7) / 4096)
			return true;
	return false;
}

static void split_addresses(struct run *t)
{
	static const unsigned int align[] = { 4, 64, 4096 };
	bool access_platform;
	struct queue_opts o = { 0 };
	const struct vring *vring;
	unsigned int i, num;

	access_platform = virtio_has_feature(&t->dev.vdev, VIRTIO_F_ACCESS_PLATFORM);
	for (i = 0; i < ARRAY_SIZE(align); i++) {
		for (num = 1; num <= 1024; num *= 2) {
			u64 desc, avail, used, formula;

			o.num = num;
			o.align = align[i];
			test_queue_opts(t, &o);
			desc = virtqueue_get_desc_addr(t->q->vq);
			avail = virtqueue_get_avail_addr(t->q->vq);
			used = virtqueue_get_used_addr(t->q->vq);
			/* Legacy PCI knows a page number and the formula of 2.7.2. */
			check_eq(desc & ~PAGE_MASK, 0);
			check_eq(avail - desc, 16LL * num);
			formula = desc + ((16LL * num + 4 + 2LL * num + 2 + align[i] - 1) /
					  align[i]) * align[i];
			/* Who has ACCESS_PLATFORM is told the addresses. */
			if (access_platform && an_entry_is_in_two_pages(formula, num))
				formula += 4;
			check_eq(used, formula);
			check(!access_platform || !an_entry_is_in_two_pages(used, num));
			vring = virtqueue_get_vring(t->q->vq);
			check_eq(vring->num, num);
			check(vring->desc == dev_ptr(t->q, desc, 16, true));
			check(vring->avail == dev_ptr(t->q, avail, 4, true));
			check(vring->used == dev_ptr(t->q, used, 4, true));
			/* All of the used ring with its event is there. */
			dev_ptr(t->q, used + 4 + 8 * (u64)num, 2, true);
			drv_check_works(&t->drv);
			dev_delete_queue(t->q);
			t->q = NULL;
		}
	}
}

static void split_addresses_of_hardware(struct run *t)
{
	static const unsigned int align[] = { 8, 64, 4096 };
	unsigned int i, num;

	for (i = 0; i < ARRAY_SIZE(align); i++) {
		for (num = 256; num <= 1024; num *= 2) {
			/* What vDPA passes is its parent, as often as not. */
			test_queue_opts(t, &(struct queue_opts) {
				.num = num, .align = align[i], .dma_dev = t->dev.dma_dev,
			});
			check_eq(virtqueue_get_used_addr(t->q->vq) & (align[i] - 1), 0);
			drv_check_works(&t->drv);
			dev_delete_queue(t->q);
			t->q = NULL;
		}
	}
}

static void packed_addresses(struct run *t)
{
	unsigned int num;

	for (num = 1; num <= 1024; num = num * 3 + 1) {
		u64 desc, driver, device;

		test_queue_opts(t, &(struct queue_opts){ .num = num });
		desc = virtqueue_get_desc_addr(t->q->vq);
		driver = virtqueue_get_avail_addr(t->q->vq);
		device = virtqueue_get_used_addr(t->q->vq);
		/* 2.8: alignments 16, 4 and 4. */
		check_eq(desc & 15, 0);
		check_eq(driver & 3, 0);
		check_eq(device & 3, 0);
		dev_ptr(t->q, desc, 16 * num, true);
		dev_ptr(t->q, driver, 4, false);
		dev_ptr(t->q, device, 4, true);
		/* None overlaps another. */
		check(driver >= desc + 16 * (u64)num || driver + 4 <= desc);
		check(device >= desc + 16 * (u64)num || device + 4 <= desc);
		check(device >= driver + 4 || device + 4 <= driver);
		drv_check_works(&t->drv);
		dev_delete_queue(t->q);
		t->q = NULL;
	}
}

static void ring_starts_zeroed(struct run *t)
{
	unsigned int i;
	u8 *p;

	test_queue(t);
	p = dev_ptr(t->q, t->q->desc, 16 * t->num, false);
	for (i = 0; i < 16 * t->num; i++)
		check_eq(p[i], 0);
	check_eq(dev_get32(t->q, t->q->avail), 0);
	check_eq(dev_get32(t->q, t->q->used), 0);
	if (!t->packed) {
		for (i = 0; i <= t->num; i++)
			check_eq(dev_get16(t->q, t->q->avail + 4 + 2 * i), 0);
		check_eq(dev_get16(t->q, t->q->used + 4 + 8 * t->num), 0);
	}
}

static void smaller_if_allowed(struct run *t)
{
	unsigned int n, smaller = 0;

	for (n = 1; ; n++) {
		struct queue_opts o = { .num = 1024, .reduce = true };
		struct dev_queue *q;
		bool fired;

		fail_nth(n);
		q = dev_create_queue(&t->dev, &o);
		fired = fail_nth_fired();
		fail_nth(0);
		if (q) {
			unsigned int num = virtqueue_get_vring_size(q->vq);

			check(num == 1024 || (fired && num == 512));
			check_eq(q->vq->num_free, num);
			smaller += num == 512;
			drv_init(&t->drv, q);
			drv_check_works(&t->drv);
			dev_delete_queue(q);
		}
		check_eq(dma_stats(NULL).live_coherent, 0);
		if (!fired)
			break;
	}
	check_eq(smaller, 1);
}

static void caller_memory(struct run *t)
{
	struct queue_opts o = { .num = 16, .align = 4096 };
	dma_addr_t addr;
	void *pages;

	pages = dma_alloc_coherent(&t->dev.parent, 3 * PAGE_SIZE, &addr, GFP_KERNEL);
	check(pages);
	o.pages = pages;
	o.pages_addr = addr;
	test_queue_opts(t, &o);
	check_eq(virtqueue_get_vring_size(t->q->vq), 16);
	check(virtqueue_get_vring(t->q->vq)->desc == pages);
	check_eq(dma_stats(NULL).live_coherent, 1);
	drv_check_works(&t->drv);
	check_eq(virtqueue_resize(t->q->vq, 8, drv_recycle, NULL), -EPERM);
	check_eq(virtqueue_reset(t->q->vq, drv_recycle, NULL), -EPERM);
	check_eq(t->q->resets, 0);
	drv_check_works(&t->drv);
	dev_delete_queue(t->q);
	t->q = NULL;
	check_eq(dma_stats(NULL).live_coherent, 1);
	dma_free_coherent(&t->dev.parent, 3 * PAGE_SIZE, pages, addr);
}

static void caller_memory_direct(struct run *t)
{
	t->access = DIRECT;
	test_device(t, test_features(t));
	caller_memory(t);
}

static void caller_memory_has_no_address(struct run *t)
{
	void *pages = alloc_pages_exact(PAGE_SIZE, GFP_KERNEL | __GFP_ZERO);
	struct queue_opts o = { .num = 16, .pages = pages };

	test_queue_opts(t, &o);
	check(virtqueue_get_desc_addr(t->q->vq) == DMA_MAPPING_ERROR);
	check(virtqueue_get_avail_addr(t->q->vq) == DMA_MAPPING_ERROR);
	check(virtqueue_get_used_addr(t->q->vq) == DMA_MAPPING_ERROR);
	check_eq(kernel_take_warnings(), 3);
	dev_delete_queue(t->q);
	t->q = NULL;
	free_pages_exact(pages, PAGE_SIZE);
}

static void caller_memory_is_not_packed(struct run *t)
{
	void *pages = alloc_pages_exact(2 * PAGE_SIZE, GFP_KERNEL | __GFP_ZERO);
	struct queue_opts o = { .num = 16, .pages = pages };

	check(!dev_create_queue(&t->dev, &o));
	free_pages_exact(pages, 2 * PAGE_SIZE);
}

/* ---- features ---- */

static void transport_features(struct run *t)
{
	/*
	 * Of the transport bits 28 to 41: INDIRECT_DESC 28, EVENT_IDX 29,
	 * VERSION_1 32, ACCESS_PLATFORM 33, RING_PACKED 34, IN_ORDER 35,
	 * ORDER_PLATFORM 36, NOTIFICATION_DATA 38.  SR_IOV, RING_RESET and
	 * ADMIN_VQ are for the transport to set again, if it knows them.
	 */
	t->dev.vdev.features = ~0ULL;
	vring_transport_features(&t->dev.vdev);
	check_eq(t->dev.vdev.features, 0xfffffc5f3fffffffLL);
	t->dev.vdev.features = 0;
	vring_transport_features(&t->dev.vdev);
	check_eq(t->dev.vdev.features, 0);
	t->dev.vdev.features = 0x0000000100000021ULL;
	vring_transport_features(&t->dev.vdev);
	check_eq(t->dev.vdev.features, 0x0000000100000021LL);
}

static void barriers(struct run *t)
{
	unsigned int kind;

	for (kind = 0; kind < 3; kind++) {
		u64 features = test_features(t);
		unsigned long cpu, device;

		if (kind == 1)
			features |= BIT_ULL(VIRTIO_F_ORDER_PLATFORM);
		test_device(t, features);
		test_queue_opts(t, &(struct queue_opts){ .strong_barriers = kind == 2 });
		cpu = kernel_barriers(SHIM_BARRIER_CPU);
		device = kernel_barriers(SHIM_BARRIER_DEVICE);
		drv_check_works(&t->drv);
		virtqueue_kick_prepare(t->q->vq);
		virtqueue_enable_cb(t->q->vq);
		virtqueue_enable_cb_delayed(t->q->vq);
		check_eq(kernel_barriers(SHIM_BARRIER_CPU) > cpu, kind == 0);
		check_eq(kernel_barriers(SHIM_BARRIER_DEVICE) > device, kind != 0);
		dev_delete_queue(t->q);
		t->q = NULL;
	}
}

/* ---- the DMA device ---- */

static void chosen_device(struct run *t)
{
	struct device *vdev = &t->dev.vdev.dev, *parent = &t->dev.parent;
	bool platform = t->dev.vdev.features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM);
	bool asked = !test_unasked(t) && !test_pooled(t);

	test_queue(t);
	check_eq(dma_stats(parent).live_coherent > 0, platform);
	check_eq(dma_stats(vdev).live_coherent > 0, !platform);
	/* Some of it copied, if that is done, and some of it mapped, or all copied. */
	drv_submit(&t->drv, 2, 2, 8);
	drv_submit(&t->drv, 2, 2, 5000);
	check_eq(dma_stats(parent).maps > 0, platform && asked);
	check_eq(dma_stats(vdev).maps > 0, !platform && asked);
	check_eq(dma_stats(platform ? parent : vdev).live_coherent > 1, test_pooled(t));
	check_eq(dma_stats(parent).live_cells > 0, platform && test_has_cells(t));
	check_eq(dma_stats(vdev).live_cells > 0, !platform && test_map_only(t));
	check(virtqueue_dma_dev(t->q->vq) == (platform ? parent : vdev));
}

static void passed_device(struct run *t)
{
	bool platform = t->dev.vdev.features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM);

	/* vDPA's own device counts like the parent: with ACCESS_PLATFORM only. */
	if (platform)
		t->dev.dma_dev = &t->dev.other;
	test_queue_opts(t, &(struct queue_opts){ .dma_dev = &t->dev.other });
	drv_submit(&t->drv, 2, 2, 8);
	drv_submit(&t->drv, 2, 2, 5000);
	check_eq(dma_stats(&t->dev.other).live_coherent > 0, platform);
	check_eq(dma_stats(&t->dev.other).live_coherent > 1, platform && test_pooled(t));
	check_eq(dma_stats(&t->dev.other).maps > 0,
		 platform && !test_unasked(t) && !test_pooled(t));
	check_eq(dma_stats(&t->dev.parent).live_coherent, 0);
	check_eq(dma_stats(&t->dev.parent).maps, 0);
	check_eq(dma_stats(&t->dev.parent).live_cells, 0);
	check(virtqueue_dma_dev(t->q->vq) == (platform ? &t->dev.other : &t->dev.vdev.dev));
	check_eq(drv_dev_serve(&t->drv, 3), 2);
	check_eq(drv_reap(&t->drv), 2);
	drv_check_works(&t->drv);
}

static void xen_uses_the_parent(struct run *t)
{
	shim_xen_domain = true;
	t->dev.dma_dev = &t->dev.parent;
	test_queue(t);
	check(dma_stats(&t->dev.parent).live_coherent > 0);
	check_eq(dma_stats(&t->dev.vdev.dev).live_coherent, 0);
	drv_check_works(&t->drv);
}

/* Where DMA addresses are not all physical ones, each is asked for. */
static void addresses_are_asked_for(struct run *t)
{
	static const enum access access[] = { PHYSICAL, DIRECT, IDENTITY };
	unsigned int i;

	for (i = 0; i < 2 * ARRAY_SIZE(access) - 1; i++) {
		struct device *dev;
		unsigned long maps;

		t->access = access[(i + 1) / 2];
		/* A mask of its own has the virtio device nobody else sets. */
		shim_mem_encrypt = !(i & 1);
		test_device(t, test_features(t));
		t->dev.parent.shim_untracked = false;
		if (i & 1)
			t->dev.parent_mask = DMA_BIT_MASK(63);
		test_queue(t);
		dev = test_physical(t) ? &t->dev.vdev.dev : &t->dev.parent;
		maps = dma_stats(dev).maps;
		drv_submit(&t->drv, 2, 2, 8);
		check_eq(dma_stats(dev).maps, maps + 4);
		drv_submit(&t->drv, 0, 1, 8);
		check_eq(dma_stats(dev).maps, maps + 5);
		check_eq(drv_dev_serve(&t->drv, 2), 2);
		check_eq(drv_reap(&t->drv), 2);
		dev_delete_queue(t->q);
	}
	test_queue(t);
}

static void masks_of_the_parent(struct run *t)
{
	t->access = PHYSICAL;
	test_device(t, test_features(t));
	/* As a channel of s390 has them, whose own commands are below 2 GiB. */
	t->dev.parent_mask = DMA_BIT_MASK(32);
	t->dev.parent.coherent_dma_mask = DMA_BIT_MASK(31);
	dma_set_phys_base(1ULL << 40);
	test_queue(t);
	check_eq(virtqueue_get_vring_size(t->q->vq), t->num);
	check_eq(t->dev.vdev.dev.coherent_dma_mask, -1);
	drv_check_works(&t->drv);
	check_eq(t->dev.parent_mask, DMA_BIT_MASK(32));
	check_eq(t->dev.parent.coherent_dma_mask, DMA_BIT_MASK(31));
}

static void coherent_mask_of_the_transport(struct run *t)
{
	t->access = PHYSICAL;
	test_device(t, test_features(t));
	/* As legacy PCI sets it: a ring has 32 bits of page number. */
	t->dev.vdev.dev.coherent_dma_mask = DMA_BIT_MASK(44);
	test_queue(t);
	check_eq(t->dev.vdev.dev.coherent_dma_mask, DMA_BIT_MASK(44));
	check_eq(dma_get_mask(&t->dev.vdev.dev), -1);
}

static void mask_of_each_device(struct run *t)
{
	static struct device_model other;
	struct dev_queue *q;

	t->access = PHYSICAL;
	test_device(t, test_features(t));
	test_queue(t);
	dev_init(&other, t->dev.vdev.features, SHIM_DMA_TRANSLATED);
	q = dev_create_queue(&other, &(struct queue_opts){ .num = 16 });
	check(q);
	/* A driver that narrows its own does so for no other device. */
	check_eq(dma_set_mask(&other.vdev.dev, DMA_BIT_MASK(32)), 0);
	check_eq(dma_get_mask(&t->dev.vdev.dev), -1);
	dma_set_phys_base(1ULL << 40);
	drv_check_works(&t->drv);
	dma_set_phys_base(1ULL << 30);
	dev_delete_queue(q);
	dev_exit(&other);
}

static void mask_set_by_the_driver(struct run *t)
{
	static u64 own;

	t->access = PHYSICAL_OPS;
	test_device(t, test_features(t));
	own = DMA_BIT_MASK(32);
	t->dev.vdev.dev.dma_mask = &own;
	test_queue(t);
	/* It is set up all the same, and the driver's variable left alone. */
	check(t->dev.vdev.dev.dma_ops);
	check_eq(dma_get_mask(&t->dev.vdev.dev), -1);
	check_eq(own, DMA_BIT_MASK(32));
	drv_check_works(&t->drv);
}

static void ring_beyond_the_mask(struct run *t)
{
	struct queue_opts o = { .num = 16 };

	t->access = PHYSICAL;
	test_device(t, test_features(t));
	t->dev.vdev.dev.coherent_dma_mask = DMA_BIT_MASK(44);
	dma_set_phys_base(1ULL << 44);
	check(!dev_create_queue(&t->dev, &o));
	kernel_take_messages(SHIM_WARN, NULL);
	dma_set_phys_base(1ULL << 30);
	test_queue(t);
	drv_check_works(&t->drv);
}

static void buffer_beyond_the_mask(struct run *t)
{
	struct drv_req *r;

	t->access = DIRECT;
	test_device(t, test_features(t));
	t->dev.parent_mask = DMA_BIT_MASK(40);
	test_queue(t);
	r = drv_req(&t->drv, 1, 1, 8);
	dma_set_phys_base(1ULL << 40);
	check_eq(drv_add(&t->drv, r), test_map_error(t));
	check_eq(t->q->vq->num_free, t->num);
	check_eq(dma_stats(NULL).live_maps, 0);
	dma_set_phys_base(1ULL << 30);
	check_eq(drv_add(&t->drv, r), 0);
	check_eq(drv_dev_serve(&t->drv, 2), 1);
	check_eq(drv_reap(&t->drv), 1);
}

static void buffer_anywhere(struct run *t)
{
	/* A descriptor has 64 bits, whatever the bus of the device has. */
	t->access = PHYSICAL;
	test_device(t, test_features(t));
	dma_set_phys_base(1ULL << 40);
	t->dev.parent_mask = DMA_BIT_MASK(32);
	test_queue(t);
	drv_check_works(&t->drv);
}

static void parent_without_masks(struct run *t)
{
	/* A transport whose device never did DMA, such as remoteproc's. */
	t->access = PHYSICAL;
	test_device(t, test_features(t));
	t->dev.parent.dma_mask = NULL;
	t->dev.parent.coherent_dma_mask = 0;
	test_queue(t);
	drv_check_works(&t->drv);
}

static void no_parent(struct run *t)
{
	t->access = PHYSICAL;
	test_device(t, test_features(t));
	t->dev.vdev.dev.parent = NULL;
	test_queue(t);
	check_eq(t->dev.vdev.dev.coherent_dma_mask, -1);
	drv_check_works(&t->drv);
}

static void largest_mapping(struct run *t)
{
	size_t bounce = 256 << 10;	/* the model's swiotlb */
	struct device before = t->dev.vdev.dev;

	check_eq(virtio_max_dma_size(&t->dev.vdev),
		 test_bounced(t) ? bounce : SIZE_MAX);
	/* It is asked, and no more. */
	check(!memcmp(&before, &t->dev.vdev.dev, sizeof(before)));
	test_queue(t);
	check_eq(virtio_max_dma_size(&t->dev.vdev),
		 test_bounced(t) ? bounce : SIZE_MAX);
}

static void created_again(struct run *t)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		test_queue(t);
		drv_check_works(&t->drv);
		dev_delete_queue(t->q);
		t->q = NULL;
		check_eq(dma_stats(NULL).live_coherent, 0);
		check_eq(kernel_live_allocs(), 0);
	}
}

static void foreign_memory(struct run *t)
{
	const size_t size = 64 << 10;
	struct queue_opts o = { .num = 16, .align = 4096 };
	struct scatterlist sg;
	static struct dev_req r;
	unsigned int len;
	u8 *mem = alloc_pages_exact(size, GFP_KERNEL | __GFP_ZERO);

	t->access = PHYSICAL;
	test_device(t, test_features(t));
	o.pages = mem;
	o.pages_addr = virt_to_phys(mem);
	shim_foreign = mem;
	shim_foreign_size = size;
	test_queue_opts(t, &o);
	sg_init_one(&sg, mem + 40000, 100);
	check_eq(virtqueue_add_inbuf(t->q->vq, &sg, 1, mem, GFP_KERNEL), 0);
	check_eq(dma_stats(NULL).maps, 0);
	check(dev_take(t->q, &r));
	check_eq(r.seg[0].addr, virt_to_phys(mem + 40000));
	dev_write(t->q, &r, 0, "hello", 5);
	dev_complete(t->q, &r, 5);
	check(virtqueue_get_buf(t->q->vq, &len) == mem);
	check_eq(len, 5);
	check(!memcmp(mem + 40000, "hello", 5));
	/* Memory of ours in the same queue is mapped as ever. */
	drv_submit(&t->drv, 1, 0, 8);
	check_eq(dma_stats(NULL).maps, 1);
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	check_eq(drv_reap(&t->drv), 1);
	dev_delete_queue(t->q);
	t->q = NULL;
	free_pages_exact(mem, size);
}

/* With ACCESS_PLATFORM it is the platform that knows how to reach it. */
static void foreign_memory_is_mapped(struct run *t)
{
	u8 *mem = alloc_pages_exact(2 * PAGE_SIZE, GFP_KERNEL | __GFP_ZERO);
	struct queue_opts o = { .num = 16 };
	static struct dev_req r;
	struct scatterlist sg;
	unsigned int len;

	t->access = DIRECT;
	test_device(t, test_features(t));
	o.pages = dma_alloc_coherent(&t->dev.parent, PAGE_SIZE, &o.pages_addr, GFP_KERNEL);
	shim_foreign = mem;
	shim_foreign_size = 2 * PAGE_SIZE;
	test_queue_opts(t, &o);
	sg_init_one(&sg, mem + 100, 100);
	check_eq(virtqueue_add_inbuf(t->q->vq, &sg, 1, mem, GFP_KERNEL), 0);
	check_eq(dma_stats(&t->dev.parent).maps, 1);
	check(dev_take(t->q, &r));
	dev_complete(t->q, &r, 0);
	check(virtqueue_get_buf(t->q->vq, &len) == mem);
	dev_delete_queue(t->q);
	t->q = NULL;
	dma_free_coherent(&t->dev.parent, PAGE_SIZE, o.pages, o.pages_addr);
	free_pages_exact(mem, 2 * PAGE_SIZE);
}

static void deleted_with_requests(struct run *t)
{
	static struct served s;
	struct drv_req *r[3];
	unsigned int i;

	test_queue(t);
	for (i = 0; i < 3; i++)
		r[i] = drv_submit(&t->drv, 1, 1 + i, 20);
	check(drv_dev_take(&t->drv, &s));
	drv_dev_finish(&t->drv, &s, 20, 20);
	/* The driver frees its buffers and goes. */
	for (i = 0; i < 3; i++) {
		r[i]->queued = false;
		drv_free(&t->drv, r[i]);
	}
	dev_delete_queue(t->q);
	t->q = NULL;
	check_eq(dma_stats(NULL).live_maps, 0);
	check_eq(dma_stats(NULL).live_coherent, 0);
	check_eq(kernel_live_allocs(), 0);
}

const struct test create_tests[] = {
	{ "a new queue has its fields set and is on the device's list", fields, AXIS_NUM },
	{ "queues of one device are independent", several_queues, AXIS_ACCESS },
	{ "a queue has any length that its layout can have", sizes, 0 },
	{ "lengths that no layout can have are refused", impossible_sizes, 0 },
	{ "a used ring has the alignment that a transport with a DMA device asks for",
	  split_addresses_of_hardware, AXIS_ACCESS | ONLY_SPLIT },
	{ "a split ring is where legacy devices expect it, its entries each in one page",
	  split_addresses, ONLY_SPLIT | AXIS_ACCESS | NEEDS(PLACE) },
	{ "the three parts of a packed ring are aligned and apart", packed_addresses,
	  ONLY_PACKED | AXIS_ACCESS },
	{ "ring memory is zeroed", ring_starts_zeroed, AXIS_ACCESS | AXIS_EVENT },
	{ "a queue gets shorter if memory is short and that is allowed", smaller_if_allowed,
	  ONLY_SPLIT | AXIS_ACCESS },
	{ "vring_new_virtqueue works on memory of the caller and leaves it alone",
	  caller_memory, ONLY_SPLIT },
	{ "vring_new_virtqueue works without an IOMMU, too", caller_memory_direct, ONLY_SPLIT },
	{ "of memory of the caller the ring knows no address", caller_memory_has_no_address,
	  ONLY_SPLIT },
	{ "vring_new_virtqueue refuses the packed layout", caller_memory_is_not_packed,
	  ONLY_PACKED },
	{ "transport features that the ring does not know are dropped",
	  transport_features, NEEDS(ORDER) },
	{ "barriers are for CPUs unless the device needs more", barriers, AXIS_EVENT },
	{ "ACCESS_PLATFORM decides between the parent and the device itself", chosen_device,
	  AXIS_ACCESS },
	{ "a DMA device that the transport passes counts with ACCESS_PLATFORM only",
	  passed_device, AXIS_ACCESS },
	{ "a Xen guest always uses the parent", xen_uses_the_parent, AXIS_ACCESS },
	{ "the DMA API is asked unless its answer is the physical address for sure",
	  addresses_are_asked_for, AXIS_INDIRECT | NEEDS(TABLES) },
	{ "what a parent can reach is no limit for a device that takes physical addresses",
	  masks_of_the_parent, 0 },
	{ "a transport may limit where the ring of such a device is",
	  coherent_mask_of_the_transport, 0 },
	{ "each device that takes physical addresses has a mask of its own",
	  mask_of_each_device, 0 },
	{ "a driver's own mask does not keep such a device from being set up",
	  mask_set_by_the_driver, 0 },
	{ "a ring beyond the coherent mask cannot be created", ring_beyond_the_mask, 0 },
	{ "a buffer beyond the mask cannot be added", buffer_beyond_the_mask, 0 },
	{ "a device that takes physical addresses takes all of them", buffer_anywhere, 0 },
	{ "a remote processor's memory is used unmapped", foreign_memory, ONLY_SPLIT },
	{ "a remote processor's memory is mapped with ACCESS_PLATFORM",
	  foreign_memory_is_mapped, ONLY_SPLIT },
	{ "deleting a queue unmaps what was forgotten and touches no buffer",
	  deleted_with_requests, AXIS_ALL | NEEDS(DELETED) },
	{ "a parent without DMA masks does for physical addresses", parent_without_masks, 0 },
	{ "a device without a parent has physical addresses", no_parent, 0 },
	{ "virtio_max_dma_size is what can be mapped at once", largest_mapping, AXIS_ACCESS },
	{ "queues can be created and deleted again and again", created_again, AXIS_ALL },
	{ 0 }
};

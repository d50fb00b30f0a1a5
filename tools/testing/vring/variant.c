// SPDX-License-Identifier: GPL-2.0
/* The variants in which tests and attacks run. */
#include "test.h"

static const char * const access_name[ACCESS_KINDS] = {
	"translated", "physical", "direct", "identity", "bounced", "physical bounced",
	"translated, bounce_max=0", "direct, accounted", "physical, accounted",
	"translated, not coherent", "translated by the architecture",
	"physical, not by the architecture", "translated, bounce_max=-1", "pooled",
	"physical pooled",
};

bool test_translated(const struct run *t)
{
	return t->access == TRANSLATED || t->access == TRANSLATED_MAPPED ||
	       t->access == TRANSLATED_NONCOHERENT || t->access == TRANSLATED_CHECKED;
}

bool test_map_only(const struct run *t)
{
	return RING_ONLY && (t->access == DIRECT || t->access == IDENTITY ||
			     t->access == PHYSICAL);
}

bool test_unasked(const struct run *t)
{
	return RING_PHYS && (t->access == PHYSICAL || t->access == IDENTITY);
}

static bool pooled(enum access access)
{
	return access == POOLED || access == PHYSICAL_POOLED;
}

bool test_pooled(const struct run *t)
{
	return RING_POOL && pooled(t->access);
}

bool test_bounced(const struct run *t)
{
	return t->access == BOUNCED || t->access == PHYSICAL_BOUNCED || pooled(t->access);
}

bool test_has_cells(const struct run *t)
{
	if (test_translated(t))
		return RING_LISTS;
	return RING_TABLES && test_map_only(t);
}

u32 test_copied(const struct run *t)
{
	switch (t->access) {
	case TRANSLATED:
	case TRANSLATED_NONCOHERENT:
		return RING_CELLS ? 4096 : 0;
	case TRANSLATED_MAPPED:
		return RING_CELLS ? 128 : 0;
	case POOLED:
	case PHYSICAL_POOLED:
		return RING_POOL ? SZ_4M : 0;
	default:
		return 0;
	}
}

unsigned int test_list_segs(const struct run *t, unsigned int entries, u32 len)
{
	const u32 copied = test_copied(t);

	if (entries * len > copied)
		return entries;
	/* Up to a page is one. */
	return DIV_ROUND_UP(entries, max_t(u32, PAGE_SIZE / len, 1));
}

int test_map_error(const struct run *t)
{
	return t->packed && !RING_ERRORS ? -EIO : -ENOMEM;
}

bool test_physical(const struct run *t)
{
	return t->access == PHYSICAL || t->access == PHYSICAL_BOUNCED ||
	       t->access == PHYSICAL_ACCOUNTED || t->access == PHYSICAL_OPS ||
	       t->access == PHYSICAL_POOLED;
}

void test_bounce_max(const char *value)
{
	/* The base's ring has no such parameter. */
	check_eq(shim_set_bounce_max(value), 0);
}

u64 test_features(const struct run *t)
{
	u64 f = BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_RING_RESET);

	if (t->packed)
		f |= BIT_ULL(VIRTIO_F_RING_PACKED);
	if (t->indirect)
		f |= BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
	if (t->event)
		f |= BIT_ULL(VIRTIO_RING_F_EVENT_IDX);
	if (!test_physical(t))
		f |= BIT_ULL(VIRTIO_F_ACCESS_PLATFORM);
	return f;
}

void test_device(struct run *t, u64 features)
{
	static const enum shim_dma mode[] = {
		[TRANSLATED] = SHIM_DMA_TRANSLATED,
		/* An IOMMU is there and must not be used. */
		[PHYSICAL] = SHIM_DMA_TRANSLATED,
		[DIRECT] = SHIM_DMA_DIRECT,
		[IDENTITY] = SHIM_DMA_IDENTITY,
		[BOUNCED] = SHIM_DMA_BOUNCED,
		[PHYSICAL_BOUNCED] = SHIM_DMA_BOUNCED,
		[TRANSLATED_MAPPED] = SHIM_DMA_TRANSLATED,
		[DIRECT_ACCOUNTED] = SHIM_DMA_DIRECT,
		[PHYSICAL_ACCOUNTED] = SHIM_DMA_TRANSLATED,
		[TRANSLATED_NONCOHERENT] = SHIM_DMA_TRANSLATED,
		/* No IOMMU that the kernel knows of. */
		[TRANSLATED_OPS] = SHIM_DMA_DIRECT,
		[PHYSICAL_OPS] = SHIM_DMA_DIRECT,
		[TRANSLATED_CHECKED] = SHIM_DMA_TRANSLATED,
		[POOLED] = SHIM_DMA_BOUNCED,
		[PHYSICAL_POOLED] = SHIM_DMA_BOUNCED,
	};

	dma_accounted = t->access == DIRECT_ACCOUNTED || t->access == PHYSICAL_ACCOUNTED;
	if (t->access == TRANSLATED_OPS || t->access == PHYSICAL_OPS)
		dma_arch_has_ops();
	test_bounce_max(t->access == TRANSLATED_MAPPED ? "0" :
			t->access == TRANSLATED_CHECKED ? "-1" : "4096");
	shim_param_cell_max(8192);
	kernel_set_work(test_pooled(t) ? WORK_AT_ONCE : WORK_LATER);
	dma_shared_only = test_pooled(t);
	dev_init(&t->dev, features, mode[t->access]);
	t->dev.parent.shim_noncoherent = t->access == TRANSLATED_NONCOHERENT;
	t->dev.other.shim_noncoherent = t->access == TRANSLATED_NONCOHERENT;
}

void test_queue_opts(struct run *t, const struct queue_opts *o)
{
	struct queue_opts with = *o;

	if (!with.num)
		with.num = t->num;
	if (t->strong)
		with.strong_barriers = true;
	t->q = dev_create_queue(&t->dev, &with);
	check(t->q);
	drv_init(&t->drv, t->q);
	if (t->premapped)
		drv_premap(&t->drv);
}

void test_queue(struct run *t)
{
	test_queue_opts(t, &(struct queue_opts){ 0 });
}

void test_queue_with(struct run *t, const char *bounce_max, unsigned int num)
{
	test_bounce_max(bounce_max);
	test_queue_opts(t, &(struct queue_opts){ .num = num });
}

unsigned long test_add(struct run *t, struct drv_req *r)
{
	unsigned long maps = dma_stats(NULL).maps;

	check_eq(drv_add_as(&t->drv, r, DRV_SGS_LISTS), 0);
	return dma_stats(NULL).maps - maps;
}

void test_serve(struct run *t, unsigned int n)
{
	check_eq(drv_dev_serve(&t->drv, n + 1), n);
	check_eq(drv_reap(&t->drv), n);
	check_eq(dma_stats(NULL).live_maps, 0);
}

unsigned long test_round_trip(struct run *t, const struct drv_shape *shape)
{
	unsigned long maps = test_add(t, drv_req_shape(&t->drv, shape));

	test_serve(t, 1);
	return maps;
}

const char *test_access_name(enum access access)
{
	return access_name[access];
}

/* Those that use cells for data, and those that have a pool. */
static const enum access copies[] = {
	TRANSLATED, TRANSLATED_NONCOHERENT, POOLED, PHYSICAL_POOLED,
};

#define CELLS	2

/* Number of values that an axis has in this test. */
static unsigned int values(unsigned int axes, unsigned int axis, bool packed)
{
	if (axis == AXIS_ACCESS && axes & (AXIS_CELLS | AXIS_POOLS))
		return (axes & AXIS_CELLS ? CELLS : 0) +
		       (axes & AXIS_POOLS ? ARRAY_SIZE(copies) - CELLS : 0);
	if (!(axes & axis))
		return 1;
	switch (axis) {
	case AXIS_ACCESS:
		return ACCESS_KINDS;
	case AXIS_NUM:
		return packed ? 4 : 3;
	default:
		return 2;
	}
}

/* Every combination, counted like a number whose digits have these bases. */
bool test_variant(unsigned int axes, bool packed, unsigned int nth, struct run *v)
{
	static const unsigned int nums[] = { 16, 1, 256, 7 };
	static const unsigned int order[] = {
		AXIS_BARRIERS, AXIS_NUM, AXIS_EVENT, AXIS_INDIRECT, AXIS_ACCESS,
		AXIS_PREMAPPED,
	};
	unsigned int digit[ARRAY_SIZE(order)], i;

	for (i = 0; i < ARRAY_SIZE(order); i++) {
		digit[i] = nth % values(axes, order[i], packed);
		nth /= values(axes, order[i], packed);
	}
	*v = (struct run) {
		.packed = packed, .strong = digit[0], .num = nums[digit[1]],
		.event = !digit[2], .indirect = !digit[3], .access = digit[4],
		.premapped = digit[5],
	};
	if (axes & (AXIS_CELLS | AXIS_POOLS))
		v->access = copies[digit[4] + (axes & AXIS_CELLS ? 0 : CELLS)];
	return !nth;
}

void test_begin(struct run *t, unsigned int axes)
{
	harness_context("%s%s%s, %s%s, %u descriptors%s", t->packed ? "packed" : "split",
			t->indirect ? ", indirect" : "", t->event ? ", event index" : "",
			access_name[t->access], t->premapped ? ", premapped" : "", t->num,
			t->strong ? ", strong barriers" : "");
	kernel_reset();
	dma_reset();
	test_device(t, test_features(t));
	if (axes & LEGACY)
		test_device(t, t->dev.vdev.features & ~BIT_ULL(VIRTIO_F_VERSION_1));
}

void test_end(struct run *t)
{
	unsigned int i;

	fail_nth(0);
	kernel_out_of_memory(false);
	kernel_set_atomic(false);
	kernel_set_barrier_hook(NULL, NULL);
	if (t->q && t->q->vq)
		drv_detach_all(&t->drv);
	for (i = 0; i < DEV_QUEUES; i++)
		if (t->dev.queue[i].vq)
			dev_delete_queue(&t->dev.queue[i]);
	dev_exit(&t->dev);
	dma_check_clean();
	kernel_check_clean();
}

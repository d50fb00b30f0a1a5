// SPDX-License-Identifier: GPL-2.0
/* What a user sees, see Documentation/ABI/testing: dma_access and virtqueues. */
#include <stdio.h>

#include "test.h"

static const char * const word[] = {
	[TRANSLATED] = "translated-strict",
	[PHYSICAL] = "physical",
	[DIRECT] = "direct",
	[IDENTITY] = "identity",
	[BOUNCED] = "bounced",
	[PHYSICAL_BOUNCED] = "bounced",
	[POOLED] = "bounced",
	[PHYSICAL_POOLED] = "bounced",
	[TRANSLATED_MAPPED] = "translated-strict",
	[TRANSLATED_CHECKED] = "translated-strict",
	[DIRECT_ACCOUNTED] = "direct",
	[PHYSICAL_ACCOUNTED] = "physical",
	[TRANSLATED_NONCOHERENT] = "translated-strict",
	[TRANSLATED_OPS] = "direct",
	[PHYSICAL_OPS] = "physical",
};

static struct device_driver driver;
static u64 offered;

static u64 get_features(struct virtio_device *vdev)
{
	return offered;
}

static void check_word(struct run *t, const char *expected)
{
	const char *is = vring_dma_access(&t->dev.vdev);

	if (!is || strcmp(is, expected))
		fail("dma_access is %s, expected %s", is ? is : "nothing", expected);
	check(!t->dev.vdev.dev.mutex.locked);
	check_eq(kernel_take_warnings(), 0);
}

static void access_words(struct run *t)
{
	t->dev.vdev.dev.driver = &driver;
	check_word(t, word[t->access]);
	test_queue(t);
	check_word(t, word[t->access]);
	drv_check_works(&t->drv);
	check_word(t, word[t->access]);
}

static void access_domains(struct run *t)
{
	struct iommu_domain domain = { IOMMU_DOMAIN_DMA_FQ };

	t->dev.vdev.dev.driver = &driver;
	t->dev.parent.shim_domain = &domain;
	test_queue(t);
	check_word(t, "translated-lazy");
	domain.type = IOMMU_DOMAIN_DMA;
	check_word(t, "translated-strict");
	domain.type = IOMMU_DOMAIN_IDENTITY;
	check_word(t, "identity");
	/* The DMA API does not go through a domain that is somebody's own. */
	domain.type = IOMMU_DOMAIN_UNMANAGED;
	check_word(t, "direct");
}

static void access_without_driver(struct run *t)
{
	t->dev.config.get_features = get_features;
	/* Nothing is negotiated: what is offered counts. */
	t->dev.vdev.features = 0;
	offered = BIT_ULL(VIRTIO_F_ACCESS_PLATFORM);
	check_word(t, "translated-strict");
	offered = ~offered;
	check_word(t, "physical");
	/* A driver that did not take what is offered. */
	t->dev.vdev.dev.driver = &driver;
	offered = ~0ULL;
	check_word(t, "physical");
}

static void access_of_passed_device(struct run *t)
{
	t->dev.vdev.dev.driver = &driver;
	t->dev.dma_dev = &t->dev.other;
	t->dev.other.shim_mode = SHIM_DMA_IDENTITY;
	test_queue_opts(t, &(struct queue_opts){ .dma_dev = &t->dev.other });
	/* Where the queues' memory goes, not where the parent's would. */
	check_word(t, "identity");
}

static void access_interrupted(struct run *t)
{
	shim_signal = true;
	check(!vring_dma_access(&t->dev.vdev));
	check(!t->dev.vdev.dev.mutex.locked);
}

#define HEADER \
	"index name layout size in_use requests descriptors mappings bounced_bytes " \
	"indirect_tables notifications cell_bytes\n"

static void check_file(struct run *t, const char *lines)
{
	const char *text = shim_debugfs_read("virtqueues", t->dev.vdev.debugfs_dir);
	char expected[500];

	snprintf(expected, sizeof(expected), HEADER "%s", lines);
	if (!text || strcmp(text, expected))
		fail("the file is:\n# %s# and should be:\n# %s# ", text ? text : "", expected);
}

static void counters(struct run *t)
{
	struct dev_queue *second;
	struct drv_req *r;

	t->dev.vdev.debugfs_dir = (struct dentry *)t;
	vring_debug_device_init(&t->dev.vdev);
	check_file(t, "");
	test_queue(t);
	check_file(t, t->packed ? "0 test packed 16 0 0 0 0 0 0 0 0\n" :
				  "0 test split 16 0 0 0 0 0 0 0 0\n");

	/* Two entries of 5000 bytes, mapped each, in a table whose page is mapped, too. */
	drv_submit(&t->drv, 2, 0, 5000);
	check(virtqueue_kick(t->q->vq));
	check_file(t, t->packed ? "0 test packed 16 1 1 3 3 0 1 1 4096\n" :
				  "0 test split 16 1 1 3 3 0 1 1 4096\n");
	check_eq(drv_dev_serve(&t->drv, 1), 1);
	check_eq(drv_reap(&t->drv), 1);
	r = drv_submit(&t->drv, 1, 0, 5000);

	/* Another queue has another line; blanks separate, so a name has none. */
	second = dev_create_queue(&t->dev, &(struct queue_opts){ .index = 2, .num = 4 });
	second->vq->name = "input 0.x";
	check_file(t, t->packed ? "0 test packed 16 1 2 4 4 0 1 1 4096\n"
				  "2 input_0.x packed 4 0 0 0 0 0 0 0 0\n" :
				  "0 test split 16 1 2 4 4 0 1 1 4096\n"
				  "2 input_0.x split 4 0 0 0 0 0 0 0 0\n");
	check(virtqueue_detach_unused_buf(t->q->vq) == r);
	drv_take_back(&t->drv, r);
	dev_delete_queue(t->q);
	t->q = NULL;
	second->vq->name = "";
	check_file(t, t->packed ? "2 - packed 4 0 0 0 0 0 0 0 0\n" :
				  "2 - split 4 0 0 0 0 0 0 0 0\n");
	second->vq->name = NULL;
	check_file(t, t->packed ? "2 - packed 4 0 0 0 0 0 0 0 0\n" :
				  "2 - split 4 0 0 0 0 0 0 0 0\n");
}

static void direct_counters(struct run *t)
{
	t->access = DIRECT;
	test_device(t, test_features(t));
	counters(t);
}

static void copied_counters(struct run *t)
{
	vring_debug_device_init(&t->dev.vdev);
	test_queue(t);
	/* 30 bytes there, 20 there and back, a table of two: three pages of cells. */
	drv_submit(&t->drv, 1, 1, 20);
	drv_submit(&t->drv, 1, 0, 10);
	check_eq(drv_dev_serve(&t->drv, 2), 2);
	check_eq(drv_reap(&t->drv), 2);
	check_file(t, t->packed ? "0 test packed 16 0 2 4 3 70 1 0 12288\n" :
				  "0 test split 16 0 2 4 3 70 1 0 12288\n");
}

static void bounced_counters(struct run *t)
{
	t->access = BOUNCED;
	test_device(t, test_features(t));
	vring_debug_device_init(&t->dev.vdev);
	test_queue(t);
	/* Two buffers and a table of two descriptors. */
	drv_submit(&t->drv, 1, 1, 20);
	/* A single buffer. */
	drv_submit(&t->drv, 1, 0, 100);
	check_file(t, t->packed ? "0 test packed 16 2 2 4 4 172 1 0 0\n" :
				  "0 test split 16 2 2 4 4 172 1 0 0\n");
	check_eq(drv_dev_serve(&t->drv, 2), 2);
	check_eq(drv_reap(&t->drv), 2);
}

static void pooled_counters(struct run *t)
{
	t->access = POOLED;
	test_device(t, test_features(t));
	vring_debug_device_init(&t->dev.vdev);
	test_queue(t);
	/* 120 bytes there, 20 there and back, beside a table of two; a block of 64 KiB. */
	drv_submit(&t->drv, 1, 1, 20);
	drv_submit(&t->drv, 1, 0, 100);
	check_file(t, t->packed ? "0 test packed 16 2 2 4 0 140 1 0 65536\n" :
				  "0 test split 16 2 2 4 0 140 1 0 65536\n");
	check_eq(drv_dev_serve(&t->drv, 2), 2);
	check_eq(drv_reap(&t->drv), 2);
	check_file(t, t->packed ? "0 test packed 16 0 2 4 0 160 1 0 65536\n" :
				  "0 test split 16 0 2 4 0 160 1 0 65536\n");
}

const struct test show_tests[] = {
	{ "dma_access says how a device's memory is reached", access_words, AXIS_ACCESS },
	{ "dma_access goes by the type of the domain", access_domains, 0 },
	{ "without a driver dma_access goes by what the device offers", access_without_driver, 0 },
	{ "dma_access is that of the device that the queues use", access_of_passed_device, 0 },
	{ "dma_access says nothing when a signal came", access_interrupted, 0 },
	{ "virtqueues in debugfs has a line for each queue", direct_counters, 0 },
	{ "virtqueues in debugfs counts what is copied", copied_counters, 0 },
	{ "virtqueues in debugfs counts what is bounced", bounced_counters, 0 },
	{ "virtqueues in debugfs counts what is in a pool", pooled_counters, 0 },
	{ 0 }
};

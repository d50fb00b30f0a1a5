// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures the work of a kernel's virtio_ring for a request.  The module adds
 * requests to a virtqueue, completes them in memory as the device would, and
 * takes them back.  It reads the cycle counter around the adds and around the
 * gets only.
 *
 * The DMA device is QEMU's "edu", a PCI device that is behind the guest's IOMMU
 * and has no driver.  A mapping for it costs what it costs any driver in that
 * guest.  Without VIRTIO_F_ACCESS_PLATFORM the same queue takes physical
 * addresses.
 *
 * Under "qemu -icount shift=0" the counter counts instructions exactly.  The
 * calibration, which is printed first, shows whether it did.  Each case prints
 * one line of words NAME=VALUE:
 *
 *	vring_bench: calibration per_1000=N pair=N
 *	vring_bench: layout=split access=1 segments=4 bytes=4096 add=N ...
 *
 * bytes is the length of a segment.  add and get are medians for a request,
 * add_max and get_max are the largest of all batches.  descriptors is the
 * number of descriptors of the ring that a request took.
 */
#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/timex.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "fake_vdev.h"

#define RING_SIZE	256	/* a packed ring of one page */
#define BATCH		16	/* requests in flight */
#define ROUNDS		65	/* batches a case; odd, for the median */
#define WARM_UP		8	/* batches before that, not counted */
#define MAX_SEGMENTS	64
#define HEADER		16	/* as virtio-blk's */

static bool indirect = true;
module_param(indirect, bool, 0444);
MODULE_PARM_DESC(indirect, "offer indirect descriptors");

struct bench {
	struct virtio_device *vdev;
	struct virtqueue *vq;
	struct device *parent;
	/* every other page of these, so that no two segments touch */
	void *data;
	u8 *header;
	u8 *status;
	struct scatterlist sgl[MAX_SEGMENTS];
	/* the model device's side */
	struct vring_packed_desc *desc;
	u16 seen;
	u16 used;
	bool wrap;
	u64 add[ROUNDS];
	u64 get[ROUNDS];
};

static u64 clock_now(void)
{
	return get_cycles();
}

/* -- a virtio device that is nothing but a queue ----------------------------- */

static const struct virtio_config_ops config_ops = {
	.get = fake_vdev_get,
	.get_status = fake_vdev_get_status,
};

static bool notify_nobody(struct virtqueue *vq)
{
	return true;
}

static struct virtio_device *vdev_create(struct device *parent, bool packed,
					 bool access)
{
	u64 features = BIT_ULL(VIRTIO_RING_F_EVENT_IDX);

	if (indirect)
		features |= BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
	if (packed)
		features |= BIT_ULL(VIRTIO_F_RING_PACKED);
	if (access)
		features |= BIT_ULL(VIRTIO_F_ACCESS_PLATFORM);
	return fake_vdev_create(parent, &config_ops, features, "vring_bench");
}

/* -- the model device -------------------------------------------------------- */

/* Where the CPU finds the one page that a packed ring's descriptors are in. */
static void *ring_memory(struct bench *b, bool access)
{
	dma_addr_t addr = virtqueue_get_desc_addr(b->vq);
	struct iommu_domain *domain = NULL;
	phys_addr_t phys = addr;

	if (access)
		domain = iommu_get_domain_for_dev(b->parent);
	if (domain)
		phys = iommu_iova_to_phys(domain, addr);
	return phys_to_virt(phys);
}

static void complete_split(struct bench *b)
{
	const struct vring *vring = virtqueue_get_vring(b->vq);
	u16 avail = virtio16_to_cpu(b->vdev, READ_ONCE(vring->avail->idx));

	virt_rmb();	/* the entries are not older than the index */
	for (; b->seen != avail; b->seen++, b->used++) {
		u16 slot = b->seen % RING_SIZE;
		vring_used_elem_t *elem = &vring->used->ring[b->used % RING_SIZE];

		elem->id = cpu_to_virtio32(b->vdev,
					   virtio16_to_cpu(b->vdev, vring->avail->ring[slot]));
		elem->len = cpu_to_virtio32(b->vdev, 1);
	}
	virt_wmb();	/* the driver sees no index without its entries */
	WRITE_ONCE(vring->used->idx, cpu_to_virtio16(b->vdev, b->used));
}

static bool packed_available(const struct bench *b)
{
	u16 flags = le16_to_cpu(READ_ONCE(b->desc[b->seen].flags));
	bool avail = flags & BIT(VRING_PACKED_DESC_F_AVAIL);
	bool used = flags & BIT(VRING_PACKED_DESC_F_USED);

	return avail == b->wrap && used != b->wrap;
}

static void complete_packed(struct bench *b)
{
	u16 both = BIT(VRING_PACKED_DESC_F_AVAIL) | BIT(VRING_PACKED_DESC_F_USED);

	while (packed_available(b)) {
		u16 head = b->seen, last = head;
		u16 flags = b->wrap ? both : 0;
		bool more;

		virt_rmb();	/* the descriptor is not older than its flags */
		do {
			last = b->seen;
			more = le16_to_cpu(b->desc[last].flags) & VRING_DESC_F_NEXT;
			if (++b->seen == RING_SIZE) {
				b->seen = 0;
				b->wrap = !b->wrap;
			}
		} while (more);
		b->desc[head].id = b->desc[last].id;
		b->desc[head].len = cpu_to_le32(1);
		virt_wmb();	/* the driver sees no flags without the rest */
		WRITE_ONCE(b->desc[head].flags,
			   cpu_to_le16(flags | VRING_DESC_F_WRITE));
	}
}

/* -- the driver -------------------------------------------------------------- */

/*
 * One segment is a buffer to receive into; more are what virtio-blk makes of a
 * read: a header, pages that do not touch, a status byte.
 */
static int add_one(struct bench *b, unsigned int segments)
{
	struct scatterlist *sgs[3] = {
		&b->sgl[0], &b->sgl[1], &b->sgl[segments - 1]
	};

	if (segments == 1)
		return virtqueue_add_inbuf(b->vq, b->sgl, 1, b, GFP_ATOMIC);
	return virtqueue_add_sgs(b->vq, sgs, 1, 2, b, GFP_ATOMIC);
}

static void fill_list(struct bench *b, unsigned int segments, unsigned int bytes)
{
	struct scatterlist *sgl = b->sgl;
	unsigned int i;

	sg_init_table(sgl, segments);
	for (i = 0; i < segments; i++)
		sg_set_buf(&sgl[i], b->data + 2 * i * PAGE_SIZE, bytes);
	if (segments == 1)
		return;
	sg_set_buf(&sgl[0], b->header, HEADER);
	sg_set_buf(&sgl[segments - 1], b->status, 1);
	/* Three lists, each with an end of its own. */
	sg_mark_end(&sgl[0]);
	sg_mark_end(&sgl[segments - 2]);
}

/* One batch: the time for all adds and the time for all gets. */
static int one_batch(struct bench *b, unsigned int segments, bool packed,
		     u64 *add, u64 *get)
{
	unsigned long flags;
	unsigned int len, i;
	int ret = 0;
	u64 begin;

	local_irq_save(flags);
	begin = clock_now();
	for (i = 0; i < BATCH && !ret; i++)
		ret = add_one(b, segments);
	*add = clock_now() - begin;
	local_irq_restore(flags);
	if (ret)
		return ret;
	/* A driver kicks now; nobody listens, but the ring keeps count. */
	virtqueue_kick_prepare(b->vq);

	if (packed)
		complete_packed(b);
	else
		complete_split(b);

	local_irq_save(flags);
	begin = clock_now();
	for (i = 0; i < BATCH; i++)
		if (virtqueue_get_buf(b->vq, &len) != b)
			ret = -EIO;
	*get = clock_now() - begin;
	local_irq_restore(flags);
	return ret;
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static int run_batches(struct bench *b, unsigned int segments,
		       unsigned int bytes, bool packed)
{
	u64 add, get;
	int i, ret;

	fill_list(b, segments, bytes);
	for (i = -WARM_UP; i < ROUNDS; i++) {
		ret = one_batch(b, segments, packed, &add, &get);
		if (ret)
			return ret;
		if (i < 0) {
			/* What a queue gets in the background comes now. */
			schedule_timeout_uninterruptible(1);
			continue;
		}
		b->add[i] = add;
		b->get[i] = get;
	}
	sort(b->add, ROUNDS, sizeof(b->add[0]), compare, NULL);
	sort(b->get, ROUNDS, sizeof(b->get[0]), compare, NULL);
	return 0;
}

/* How many descriptors of the ring one request takes. */
static int count_descriptors(struct bench *b, unsigned int segments,
			     unsigned int bytes, bool packed)
{
	int before = b->vq->num_free, taken, ret;
	unsigned int len;

	fill_list(b, segments, bytes);
	ret = add_one(b, segments);
	if (ret)
		return ret;
	taken = before - b->vq->num_free;
	virtqueue_kick_prepare(b->vq);
	if (packed)
		complete_packed(b);
	else
		complete_split(b);
	return virtqueue_get_buf(b->vq, &len) == b ? taken : -EIO;
}

static int run_case(struct bench *b, bool packed, bool access,
		    unsigned int segments, unsigned int bytes)
{
	int descriptors, ret;

	b->vdev = vdev_create(b->parent, packed, access);
	if (!b->vdev)
		return -ENOMEM;
	b->vq = vring_create_virtqueue(0, RING_SIZE, PAGE_SIZE, b->vdev, true,
				       false, false, notify_nobody, NULL,
				       "bench");
	if (!b->vq) {
		ret = -ENOMEM;
		goto out_put;
	}
	b->seen = 0;
	b->used = 0;
	b->wrap = true;
	if (packed)
		b->desc = ring_memory(b, access);

	descriptors = count_descriptors(b, segments, bytes, packed);
	ret = descriptors < 0 ? descriptors :
	      run_batches(b, segments, bytes, packed);
	if (!ret)
		pr_info("vring_bench: layout=%s access=%d segments=%u bytes=%u add=%llu add_max=%llu get=%llu get_max=%llu descriptors=%d\n",
			packed ? "packed" : "split", access, segments, bytes,
			b->add[ROUNDS / 2] / BATCH, b->add[ROUNDS - 1] / BATCH,
			b->get[ROUNDS / 2] / BATCH, b->get[ROUNDS - 1] / BATCH,
			descriptors);
	vring_del_virtqueue(b->vq);
out_put:
	put_device(&b->vdev->dev);
	return ret;
}

/* What 1,000 iterations of two instructions cost, and what the clock itself. */
static void calibrate(void)
{
	unsigned long flags, n = 1000;
	u64 begin, loop, pair;

	local_irq_save(flags);
	begin = clock_now();
	pair = clock_now() - begin;
	begin = clock_now();
	/* Two instructions an iteration on x86. */
	asm volatile("1: dec %0; jnz 1b" : "+r" (n));
	loop = clock_now() - begin;
	local_irq_restore(flags);
	pr_info("vring_bench: calibration per_1000=%llu pair=%llu\n",
		loop - pair, pair);
}

static int bench_run(struct bench *b)
{
	static const struct {
		unsigned int segments, bytes;
	} cases[] = {
		{ 1, 256 }, { 1, PAGE_SIZE }, { 4, PAGE_SIZE },
		{ MAX_SEGMENTS, PAGE_SIZE },
	};
	int ret = 0;
	size_t i;

	calibrate();
	for (int access = 1; access >= 0; access--)
		for (int packed = 0; packed < 2; packed++)
			for (i = 0; i < ARRAY_SIZE(cases) && !ret; i++)
				ret = run_case(b, packed, access,
					       cases[i].segments,
					       cases[i].bytes);
	return ret;
}

static int bench_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct bench *b;
	int ret;

	ret = pcim_enable_device(pdev);
	if (!ret)
		ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;

	ret = -ENOMEM;
	b = kzalloc(sizeof(*b), GFP_KERNEL);
	if (!b)
		return ret;
	b->parent = &pdev->dev;
	b->header = kzalloc(HEADER, GFP_KERNEL);
	b->status = kzalloc(HEADER, GFP_KERNEL);
	b->data = alloc_pages_exact(2 * MAX_SEGMENTS * PAGE_SIZE, GFP_KERNEL);
	if (b->header && b->status && b->data)
		ret = bench_run(b);
	if (ret)
		pr_err("vring_bench: failed: %d\n", ret);
	if (b->data)
		free_pages_exact(b->data, 2 * MAX_SEGMENTS * PAGE_SIZE);
	kfree(b->status);
	kfree(b->header);
	kfree(b);
	return ret;
}

static const struct pci_device_id bench_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },		/* QEMU's edu */
	{ }
};
MODULE_DEVICE_TABLE(pci, bench_ids);

static struct pci_driver bench_driver = {
	.name = "vring_bench",
	.id_table = bench_ids,
	.probe = bench_probe,
};
module_pci_driver(bench_driver);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Micro-benchmark of virtio_ring");

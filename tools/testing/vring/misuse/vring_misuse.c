// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver with deliberate errors in its buffers.  It tests whether the
 * kernel's checkers report them:
 *
 *	insmod vring_misuse.ko what=unwritten device=0000:00:06.0
 *
 * what=unwritten	the device is to read uninitialized bytes: KMSAN
 * what=stack		the buffer is on the stack: DMA_API_DEBUG
 * what=nothing		the same requests without a fault: no checker may complain
 *
 * The virtqueue belongs to a virtio device that is on no bus, and no device
 * serves it.  Its memory is mapped for the PCI device that is named, translated
 * or not as for that device's own driver.  If no device is named, the virtqueue
 * takes physical addresses.  Every request is one fault and is in the ring
 * alone.  "insmod" prints the number of requests:
 *
 *	vring_misuse: 6 requests
 */
#include <linux/device.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "../bench/fake_vdev.h"

#define RING_SIZE	16
#define HEADER		16

static char *what = "nothing";
module_param(what, charp, 0444);
MODULE_PARM_DESC(what, "unwritten, stack or nothing");

static char *device = "";
module_param(device, charp, 0444);
MODULE_PARM_DESC(device, "PCI device to map for; none: physical addresses");

struct misuse {
	struct virtqueue *vq;
	u8 *header;
	unsigned int requests;
	unsigned int same;
};

static const struct virtio_config_ops config_ops = {
	.get = fake_vdev_get,
	.get_status = fake_vdev_get_status,
};

static bool notify_nobody(struct virtqueue *vq)
{
	return true;
}

/* The two ways into a ring: a buffer by itself, and lists after a header. */
static int add(struct misuse *m, struct scatterlist *sg, bool in, bool lists)
{
	struct scatterlist header, *sgs[2] = { &header, sg };

	if (!lists)
		return in ? virtqueue_add_inbuf(m->vq, sg, 1, m, GFP_KERNEL) :
			    virtqueue_add_outbuf(m->vq, sg, 1, m, GFP_KERNEL);
	sg_init_one(&header, m->header, HEADER);
	return virtqueue_add_sgs(m->vq, sgs, 2 - in, in, m, GFP_KERNEL);
}

/* Into the ring, and back before a device could look. */
static int there_and_back(struct misuse *m, struct scatterlist *sg, bool in,
			  bool lists)
{
	int err = add(m, sg, in, lists);

	if (err)
		return err;
	m->requests++;
	return virtqueue_detach_unused_buf(m->vq) == m ? 0 : -EIO;
}

/*
 * A buffer of the heap.  With @hole, four bytes of what goes out were never
 * written.  Nothing at all was written of what comes in, which is looked at
 * when it is back.
 */
static int heap(struct misuse *m, unsigned int len, bool in, bool lists, bool hole)
{
	u8 *buf = kmalloc(len, GFP_KERNEL);
	struct scatterlist sg;
	int err;

	if (!buf)
		return -ENOMEM;
	if (!in) {
		memset(buf, 1, len / 2);
		memset(buf + len / 2 + 4, 1, len - len / 2 - 4);
		if (!hole)
			memset(buf + len / 2, 1, 4);
	}
	sg_init_one(&sg, buf, len);
	err = there_and_back(m, &sg, in, lists);
	if (!err && in && buf[0] == buf[len - 1])
		m->same++;
	kfree(buf);
	return err;
}

/* A buffer on the stack, of which no page has a linear address, or one has. */
static noinline int stack(struct misuse *m, bool in, bool lists)
{
	u8 buf[64] __aligned(64);
	struct scatterlist sg;

	memset(buf, 1, sizeof(buf));
	sg_init_table(&sg, 1);
	sg_set_page(&sg, is_vmalloc_addr(buf) ? vmalloc_to_page(buf) :
						virt_to_page(buf),
		    sizeof(buf), offset_in_page(buf));
	return there_and_back(m, &sg, in, lists);
}

static int misuse(struct misuse *m)
{
	/* Short enough to be copied with a header, by itself, and not at all. */
	static const unsigned int lens[] = { 64, 1000, 5000 };
	unsigned int i, way;
	int err = 0;

	if (!strcmp(what, "stack")) {
		for (way = 0; way < 4 && !err; way++)
			err = stack(m, way & 1, way & 2);
		return err;
	}
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		for (way = 0; way < 4 && !err; way++) {
			bool in = way & 1;

			/* What comes in is no fault of the driver. */
			if (in && strcmp(what, "nothing"))
				continue;
			err = heap(m, lens[i], in, way & 2,
				   !strcmp(what, "unwritten"));
		}
	}
	return err;
}

static int misuse_queue(struct device *parent, u64 features)
{
	struct misuse m = { };
	struct virtio_device *vdev;
	int err = -ENOMEM;

	vdev = fake_vdev_create(parent, &config_ops, features, "vring_misuse");
	if (!vdev)
		return -ENOMEM;
	m.header = kzalloc(HEADER, GFP_KERNEL);
	if (!m.header)
		goto out_put;
	m.vq = vring_create_virtqueue(0, RING_SIZE, SMP_CACHE_BYTES, vdev, true,
				      false, false, notify_nobody, NULL,
				      "misuse");
	if (!m.vq)
		goto out_free;
	__virtqueue_unbreak(m.vq);
	err = misuse(&m);
	pr_info("vring_misuse: %u requests\n", m.requests);
	pr_debug("vring_misuse: %u buffers end as they begin\n", m.same);
	vring_del_virtqueue(m.vq);
out_free:
	kfree(m.header);
out_put:
	put_device(&vdev->dev);
	return err;
}

static int __init misuse_init(void)
{
	u64 features = BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
	struct device *parent;
	int err;

	if (strcmp(what, "unwritten") && strcmp(what, "stack") &&
	    strcmp(what, "nothing"))
		return -EINVAL;
	if (!*device) {
		parent = root_device_register("vring_misuse");
		if (IS_ERR(parent))
			return PTR_ERR(parent);
		err = misuse_queue(parent, features);
		root_device_unregister(parent);
		return err;
	}
	parent = bus_find_device_by_name(&pci_bus_type, NULL, device);
	if (!parent)
		return -ENODEV;
	err = misuse_queue(parent, features | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM));
	put_device(parent);
	return err;
}
module_init(misuse_init);

static void __exit misuse_exit(void)
{
}
module_exit(misuse_exit);

MODULE_DESCRIPTION("Driver that hands over buffers as no driver should");
MODULE_LICENSE("GPL");

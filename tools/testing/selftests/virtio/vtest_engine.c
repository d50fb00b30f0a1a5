// SPDX-License-Identifier: GPL-2.0
/*
 * PCI devices that VFIO gives to a test.  The functions here make them write
 * and read memory.  See docs/specs/edu.rst of QEMU, and the NVM Express base
 * specification 1.4 for the registers and admin commands below.
 */
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vtest.h"
#include "vtest_engine.h"
#include "vtest_load.h"

#define RW	(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)
#define PATIENCE	60	/* seconds */

/* The device's own pages, mapped at VT_IOVA_OWN. */
static __u8 *own;
static __u64 seed;

static int map_own(struct vt_vfio *dev, unsigned int pages, __u64 new_seed)
{
	own = vt_pages(pages * VT_PAGE);
	seed = new_seed;
	if (!own)
		return vt_fail("out of memory");
	return vt_vfio_map(dev, own, pages * VT_PAGE, VT_IOVA_OWN, RW);
}

/* --- edu --- */

#define EDU_ID		0x00
#define EDU_ID_MASK	0xffff
#define EDU_ID_VALUE	0x00ed
#define EDU_SOURCE	0x80
#define EDU_TARGET	0x88
#define EDU_LENGTH	0x90
#define EDU_COMMAND	0x98
#define EDU_START	1
#define EDU_TO_RAM	2

/* A buffer of a page; QEMU 7.2 finds that its last byte is out of bounds. */
#define EDU_LEN		1024
#define EDU_OUT		0x40000		/* what put() writes */
#define EDU_IN		(EDU_OUT + EDU_LEN)

static int edu_copy(struct vt_vfio *dev, __u64 from, __u64 to, size_t len,
		    __u64 direction)
{
	vt_vfio_write64(dev, EDU_SOURCE, from);
	vt_vfio_write64(dev, EDU_TARGET, to);
	vt_vfio_write64(dev, EDU_LENGTH, len);
	vt_vfio_write64(dev, EDU_COMMAND, direction | EDU_START);
	/* It waits for a tenth of a second first. */
	for (double limit = vt_now() + PATIENCE; vt_now() < limit; usleep(5000))
		if (!(vt_vfio_read64(dev, EDU_COMMAND) & EDU_START))
			return 0;
	return vt_fail("edu: the copy does not end");
}

static int edu_start(struct vt_vfio *dev, __u64 new_seed)
{
	if ((vt_vfio_read32(dev, EDU_ID) & EDU_ID_MASK) != EDU_ID_VALUE)
		return vt_fail("%s is no edu", dev->pci);
	if (map_own(dev, 1, new_seed))
		return -1;
	vt_fill(own, EDU_LEN, seed, 0);
	return edu_copy(dev, VT_IOVA_OWN, EDU_OUT, EDU_LEN, 0);
}

static int edu_put(struct vt_vfio *dev, __u64 iova)
{
	return edu_copy(dev, EDU_OUT, iova, EDU_LEN, EDU_TO_RAM);
}

static int edu_touch(struct vt_vfio *dev, __u64 iova)
{
	return edu_copy(dev, EDU_OUT, iova, sizeof(__u64), EDU_TO_RAM);
}

static int edu_holds(const void *page)
{
	return vt_check(page, EDU_LEN, seed, 0);
}

static int edu_get(struct vt_vfio *dev, __u64 iova, __u64 secret, bool *known)
{
	memset(own, 0, VT_PAGE);
	if (edu_copy(dev, iova, EDU_IN, sizeof(secret), 0) ||
	    edu_copy(dev, EDU_IN, VT_IOVA_OWN, sizeof(secret), EDU_TO_RAM))
		return -1;
	*known = !memcmp(own, &secret, sizeof(secret));
	return 0;
}

const struct vt_engine vt_edu = {
	.name = "edu", .vendor = 0x1234, .device = 0x11e8,
	.start = edu_start, .put = edu_put, .holds = edu_holds,
	.touch = edu_touch, .get = edu_get,
};

/* --- NVMe --- */

#define NVME_CAP	0x00
#define NVME_INTMS	0x0c
#define NVME_CC		0x14
#define NVME_CSTS	0x1c
#define NVME_AQA	0x24
#define NVME_ASQ	0x28
#define NVME_ACQ	0x30
#define NVME_DOORBELLS	0x1000

#define NVME_CAP_DSTRD(cap)	((cap) >> 32 & 0xf)
#define NVME_CC_ENABLE		1
#define NVME_CC_SIZES		(6 << 16 | 4 << 20)	/* of entries, log2 */
#define NVME_CSTS_READY		1
#define NVME_CSTS_FATAL		2

#define NVME_IDENTIFY		0x06
#define NVME_SET_FEATURES	0x09
#define NVME_GET_FEATURES	0x0a
#define NVME_CNS_CONTROLLER	1
#define NVME_TIMESTAMP		0x0e
#define NVME_TIMESTAMP_MASK	((1ULL << 48) - 1)

#define NVME_ENTRIES	16

struct nvme_command {
	__u8 opcode;
	__u8 flags;
	__u16 id;
	__u32 namespace;
	__u32 reserved[2];
	__u64 metadata;
	__u64 prp[2];
	__u32 cdw10[6];
};

struct nvme_completion {
	__u32 result;
	__u32 reserved;
	__u16 head;
	__u16 queue;
	__u16 id;
	__u16 status;		/* bit 0 is the phase */
};

/* A queue a page, and one for data. */
#define NVME_SQ		(0 * VT_PAGE)
#define NVME_CQ		(1 * VT_PAGE)
#define NVME_DATA	(2 * VT_PAGE)
#define NVME_OWN_PAGES	3

/* As the host must have named it, and as QEMU names them all. */
static const char nvme_serial[] = "vtnvme0", nvme_model[] = "QEMU NVMe Ctrl";

static struct {
	__u16 next;		/* entry of both queues */
	__u16 phase;
	size_t stride;		/* of doorbells */
} nvme;

static int nvme_ready(struct vt_vfio *dev, __u32 wanted)
{
	__u32 status = 0;

	for (double limit = vt_now() + PATIENCE; vt_now() < limit; usleep(1000)) {
		status = vt_vfio_read32(dev, NVME_CSTS);
		if ((status & NVME_CSTS_READY) == wanted)
			return 0;
		if (status & NVME_CSTS_FATAL)
			break;
	}
	return vt_fail("nvme: status is %#x", status);
}

static int nvme_start(struct vt_vfio *dev, __u64 new_seed)
{
	vt_vfio_write32(dev, NVME_CC, 0);
	if (nvme_ready(dev, 0) || map_own(dev, NVME_OWN_PAGES, new_seed))
		return -1;
	nvme.next = 0;
	nvme.phase = 1;
	nvme.stride = 4UL << NVME_CAP_DSTRD(vt_vfio_read64(dev, NVME_CAP));
	vt_vfio_write32(dev, NVME_INTMS, ~0U);
	vt_vfio_write32(dev, NVME_AQA,
			(NVME_ENTRIES - 1) << 16 | (NVME_ENTRIES - 1));
	vt_vfio_write64(dev, NVME_ASQ, VT_IOVA_OWN + NVME_SQ);
	vt_vfio_write64(dev, NVME_ACQ, VT_IOVA_OWN + NVME_CQ);
	vt_vfio_write32(dev, NVME_CC, NVME_CC_ENABLE | NVME_CC_SIZES);
	return nvme_ready(dev, NVME_CSTS_READY);
}

/* One admin command at a time, with up to a page of data at iova. */
static int nvme_do(struct vt_vfio *dev, __u8 opcode, __u32 cdw10, __u64 iova)
{
	struct nvme_command *command = (void *)(own + NVME_SQ);
	struct nvme_completion *completion = (void *)(own + NVME_CQ);
	__u16 id = nvme.next, status;

	command += nvme.next;
	completion += nvme.next;
	memset(command, 0, sizeof(*command));
	command->opcode = opcode;
	command->id = id;
	command->prp[0] = iova;
	command->cdw10[0] = cdw10;
	if (++nvme.next == NVME_ENTRIES)
		nvme.next = 0;
	vt_vfio_write32(dev, NVME_DOORBELLS, nvme.next);
	for (double limit = vt_now() + PATIENCE; ; usleep(1000)) {
		status = __atomic_load_n(&completion->status, __ATOMIC_ACQUIRE);
		if ((status & 1) == nvme.phase)
			break;
		if (vt_now() > limit)
			return vt_fail("nvme: command %#x is not done, status %#x",
				       opcode, vt_vfio_read32(dev, NVME_CSTS));
	}
	if (!nvme.next)
		nvme.phase ^= 1;
	vt_vfio_write32(dev, NVME_DOORBELLS + nvme.stride, nvme.next);
	if (completion->id != id)
		return vt_fail("nvme: command %u came back as %u", id,
			       completion->id);
	return status >> 1 && vt_fail("nvme: command %#x has status %#x",
				      opcode, status >> 1);
}

static int nvme_put(struct vt_vfio *dev, __u64 iova)
{
	return nvme_do(dev, NVME_IDENTIFY, NVME_CNS_CONTROLLER, iova);
}

/* In Identify Controller, padded with spaces. */
static int nvme_text(const __u8 *at, size_t size, const char *wanted)
{
	char text[64];

	snprintf(text, sizeof(text), "%-*s", (int)size, wanted);
	return memcmp(at, text, size) ?
	       vt_fail("'%.*s' is not '%s'", (int)size, at, text) : 0;
}

static int nvme_holds(const void *page)
{
	const __u8 *at = page;

	return nvme_text(at + 4, 20, nvme_serial) ?:
	       nvme_text(at + 24, 40, nvme_model);
}

/* What time it is, eight bytes. */
static int nvme_touch(struct vt_vfio *dev, __u64 iova)
{
	return nvme_do(dev, NVME_GET_FEATURES, NVME_TIMESTAMP, iova);
}

/*
 * A controller's clock is set from memory, in milliseconds, and goes on from
 * there: an hour is far more than it takes to ask for it.
 */
static int nvme_get(struct vt_vfio *dev, __u64 iova, __u64 secret, bool *known)
{
	int ret = nvme_do(dev, NVME_SET_FEATURES, NVME_TIMESTAMP, iova);
	__u64 now;

	memset(own + NVME_DATA, 0, VT_PAGE);
	if (ret < 0 || nvme_touch(dev, VT_IOVA_OWN + NVME_DATA))
		return -1;
	memcpy(&now, own + NVME_DATA, sizeof(now));
	*known = (now & NVME_TIMESTAMP_MASK) - secret < 3600 * 1000;
	return ret;
}

const struct vt_engine vt_nvme = {
	.name = "nvme", .vendor = 0x1b36, .device = 0x0010,
	.start = nvme_start, .put = nvme_put, .holds = nvme_holds,
	.touch = nvme_touch, .get = nvme_get,
};

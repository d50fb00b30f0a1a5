// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: vfio-isolated GROUP PCI-ADDRESS
 *
 * Take QEMU's edu device through VFIO and have it copy memory from one page to another,
 * by way of IOVAs that are nobody's physical address.  Succeeds if the copy is
 * right: then the IOMMU translates for this device, whatever the default
 * domain type of the others is.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE			4096
#define LENGTH			2048	/* QEMU 7.2 finds the whole buffer too long */
/* Below 256 MiB, for edu has 28 address bits. */
#define IOVA_FROM		0x0a000000
#define IOVA_TO			0x0b000000

#define PCI_COMMAND		4
#define PCI_COMMAND_BITS	6	/* memory, bus master */

#define EDU_ID			0x00
#define EDU_DMA_SOURCE		0x80
#define EDU_DMA_TARGET		0x88
#define EDU_DMA_LENGTH		0x90
#define EDU_DMA_COMMAND		0x98
#define EDU_DMA_START		1
#define EDU_DMA_TO_RAM		2
#define EDU_BUFFER		0x40000

static void die(const char *what)
{
	printf("vfio-isolated: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void fail(const char *what)
{
	printf("vfio-isolated: %s\n", what);
	exit(1);
}

static void *map_page(int container, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.iova = iova,
		.size = PAGE,
	};
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (page == MAP_FAILED)
		die("mmap");
	map.vaddr = (uintptr_t)page;
	if (ioctl(container, VFIO_IOMMU_MAP_DMA, &map))
		die("VFIO_IOMMU_MAP_DMA");
	return page;
}

static struct vfio_region_info region_of(int device, unsigned int index)
{
	struct vfio_region_info region = { .argsz = sizeof(region), .index = index };

	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &region))
		die("VFIO_DEVICE_GET_REGION_INFO");
	return region;
}

static void copy(volatile uint8_t *bar, uint64_t source, uint64_t target,
		 uint64_t direction)
{
	struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	int tries;

	*(volatile uint64_t *)(bar + EDU_DMA_SOURCE) = source;
	*(volatile uint64_t *)(bar + EDU_DMA_TARGET) = target;
	*(volatile uint64_t *)(bar + EDU_DMA_LENGTH) = LENGTH;
	*(volatile uint64_t *)(bar + EDU_DMA_COMMAND) = direction | EDU_DMA_START;
	for (tries = 0; tries < 1000; tries++) {
		if (!(*(volatile uint64_t *)(bar + EDU_DMA_COMMAND) & EDU_DMA_START))
			return;
		nanosleep(&pause, NULL);
	}
	fail("the device's DMA does not end");
}

int main(int argc, char **argv)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	struct vfio_region_info bar_info, config;
	int container, group, device, i;
	volatile uint8_t *bar;
	uint8_t *from, *to;
	uint16_t command;
	char path[64];

	if (argc != 3)
		fail("usage: vfio-isolated GROUP PCI-ADDRESS");
	container = open("/dev/vfio/vfio", O_RDWR);
	if (container < 0)
		die("/dev/vfio/vfio");
	snprintf(path, sizeof(path), "/dev/vfio/%s", argv[1]);
	group = open(path, O_RDWR);
	if (group < 0)
		die(path);
	if (ioctl(group, VFIO_GROUP_GET_STATUS, &status))
		die("VFIO_GROUP_GET_STATUS");
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		fail("the group is not viable");
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container))
		die("VFIO_GROUP_SET_CONTAINER");
	if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		die("VFIO_SET_IOMMU");
	from = map_page(container, IOVA_FROM);
	to = map_page(container, IOVA_TO);

	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, argv[2]);
	if (device < 0)
		die("VFIO_GROUP_GET_DEVICE_FD");
	config = region_of(device, VFIO_PCI_CONFIG_REGION_INDEX);
	if (pread(device, &command, 2, config.offset + PCI_COMMAND) != 2)
		die("read of PCI_COMMAND");
	command |= PCI_COMMAND_BITS;
	if (pwrite(device, &command, 2, config.offset + PCI_COMMAND) != 2)
		die("write of PCI_COMMAND");
	bar_info = region_of(device, VFIO_PCI_BAR0_REGION_INDEX);
	bar = mmap(NULL, bar_info.size, PROT_READ | PROT_WRITE, MAP_SHARED, device,
		   bar_info.offset);
	if (bar == MAP_FAILED)
		die("mmap of BAR 0");
	if ((*(volatile uint32_t *)(bar + EDU_ID) & 0xffff) != 0x00ed)
		fail("not an edu device");

	for (i = 0; i < LENGTH; i++)
		from[i] = i * 7 + i / 256;
	copy(bar, IOVA_FROM, EDU_BUFFER, 0);
	copy(bar, EDU_BUFFER, IOVA_TO, EDU_DMA_TO_RAM);
	if (memcmp(from, to, LENGTH))
		fail("the device did not copy what is at the IOVA");
	printf("vfio-isolated: %s copied by IOVA\n", argv[2]);
	return 0;
}

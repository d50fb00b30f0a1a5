// SPDX-License-Identifier: GPL-2.0
/*
 * A PCI device that VFIO has.  It is taken from its driver and given back, its
 * memory is mapped and unmapped, its registers are accessed, and the kernel's
 * log is searched for messages about it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vtest.h"
#include "vtest_vfio.h"

#define DEVICES		"/sys/bus/pci/devices"
#define DRIVERS		"/sys/bus/pci/drivers"
#define VFIO_PCI	"vfio-pci"
#define UNSAFE		"/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"

/* A file of the device in sysfs, as in path. */
static char *device_file(const struct vt_vfio *dev, const char *name,
			 char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, DEVICES "/%s/%s", dev->pci, name);
	return path;
}

/* The last part of where a link points to, "" if there is none. */
static void link_name(const char *path, char *name, size_t size)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	name[0] = '\0';
	if (n <= 0)
		return;
	target[n] = '\0';
	snprintf(name, size, "%s", strrchr(target, '/') + 1);
}

static void driver_of(const struct vt_vfio *dev, char *name, size_t size)
{
	char path[PATH_MAX];

	link_name(device_file(dev, "driver", path), name, size);
}

static bool has_id(const struct vt_vfio *dev, const char *name, __u16 id)
{
	char path[PATH_MAX], text[16];

	return !vt_read_line(device_file(dev, name, path), text, sizeof(text)) &&
	       strtoul(text, NULL, 16) == id;
}

int vt_vfio_find(struct vt_vfio *dev, __u16 vendor, __u16 device)
{
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	memset(dev, 0, sizeof(*dev));
	dir = opendir(DEVICES);
	while (dir && !found && (entry = readdir(dir))) {
		snprintf(dev->pci, sizeof(dev->pci), "%.31s", entry->d_name);
		found = dev->pci[0] != '.' && has_id(dev, "vendor", vendor) &&
			has_id(dev, "device", device);
	}
	if (dir)
		closedir(dir);
	if (!found)
		return vt_fail("no PCI device %04x:%04x", vendor, device);
	if (access(DRIVERS "/" VFIO_PCI, F_OK))
		return vt_fail("no driver " VFIO_PCI ": CONFIG_VFIO_PCI=y");
	return 0;
}

/* Bind the device to what driver_override says, or to its own driver. */
static int rebind(const struct vt_vfio *dev, const char *override,
		  const char *wanted)
{
	char path[PATH_MAX], driver[64];

	if (vt_write_file(device_file(dev, "driver_override", path), override))
		return -1;
	if (!access(device_file(dev, "driver/unbind", path), F_OK) &&
	    vt_write_file(path, dev->pci))
		return -1;
	if (vt_write_file("/sys/bus/pci/drivers_probe", dev->pci))
		return -1;
	driver_of(dev, driver, sizeof(driver));
	return strcmp(driver, wanted) ?
	       vt_fail("%s is bound to '%s', not '%s'", dev->pci, driver,
		       wanted) : 0;
}

int vt_vfio_take(struct vt_vfio *dev)
{
	char path[PATH_MAX];
	int ret;

	driver_of(dev, dev->driver, sizeof(dev->driver));
	if (vt_read_line(device_file(dev, "driver_override", path),
			 dev->override, sizeof(dev->override)) ||
	    vt_read_line(UNSAFE, dev->unsafe, sizeof(dev->unsafe)))
		return -1;
	/* Interrupts are another matter, and not every vIOMMU remaps them. */
	if (vt_write_file(UNSAFE, "Y"))
		return -1;
	dev->taken = true;
	ret = rebind(dev, VFIO_PCI, VFIO_PCI);
	link_name(device_file(dev, "iommu_group", path), dev->group,
		  sizeof(dev->group));
	if (!ret)
		return 0;
	vt_vfio_give_back(dev);
	dev->ungrouped = !dev->group[0];
	return dev->ungrouped ? vt_fail("%s is behind no IOMMU", dev->pci) : -1;
}

int vt_vfio_give_back(struct vt_vfio *dev)
{
	bool none = !strcmp(dev->override, "(null)");
	int ret;

	if (!dev->taken)
		return 0;
	dev->taken = false;
	ret = rebind(dev, none ? "\n" : dev->override, dev->driver);
	return vt_write_file(UNSAFE, dev->unsafe) ? -1 : ret;
}

static int region_of(struct vt_vfio *dev, unsigned int index,
		     struct vfio_region_info *region)
{
	memset(region, 0, sizeof(*region));
	region->argsz = sizeof(*region);
	region->index = index;
	if (ioctl(dev->device, VFIO_DEVICE_GET_REGION_INFO, region))
		return vt_fail("%s: VFIO_DEVICE_GET_REGION_INFO: %s", dev->pci,
			       strerror(errno));
	return 0;
}

static int open_group(struct vt_vfio *dev)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[PATH_MAX];

	dev->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (dev->container < 0)
		return vt_fail("/dev/vfio/vfio: %s", strerror(errno));
	snprintf(path, sizeof(path), "/dev/vfio/%s", dev->group);
	dev->group_fd = open(path, O_RDWR | O_CLOEXEC);
	if (dev->group_fd < 0)
		return vt_fail("%s: %s", path, strerror(errno));
	if (ioctl(dev->group_fd, VFIO_GROUP_GET_STATUS, &status))
		return vt_fail("VFIO_GROUP_GET_STATUS: %s", strerror(errno));
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return vt_fail("group %s is not viable", dev->group);
	if (ioctl(dev->group_fd, VFIO_GROUP_SET_CONTAINER, &dev->container))
		return vt_fail("VFIO_GROUP_SET_CONTAINER: %s", strerror(errno));
	if (ioctl(dev->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return vt_fail("VFIO_SET_IOMMU: %s", strerror(errno));
	return 0;
}

static int open_device(struct vt_vfio *dev)
{
	struct vfio_region_info bar, config;
	__u16 command;
	off_t at;
	void *mem;

	dev->device = ioctl(dev->group_fd, VFIO_GROUP_GET_DEVICE_FD, dev->pci);
	if (dev->device < 0)
		return vt_fail("VFIO_GROUP_GET_DEVICE_FD: %s", strerror(errno));
	if (region_of(dev, VFIO_PCI_CONFIG_REGION_INDEX, &config) ||
	    region_of(dev, VFIO_PCI_BAR0_REGION_INDEX, &bar))
		return -1;
	/* Nobody here waits for interrupts. */
	at = config.offset + PCI_COMMAND;
	if (pread(dev->device, &command, 2, at) != 2)
		return vt_fail("PCI_COMMAND: %s", strerror(errno));
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
		   PCI_COMMAND_INTX_DISABLE;
	if (pwrite(dev->device, &command, 2, at) != 2)
		return vt_fail("PCI_COMMAND: %s", strerror(errno));
	mem = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   dev->device, bar.offset);
	if (mem == MAP_FAILED)
		return vt_fail("BAR 0 of %s: %s", dev->pci, strerror(errno));
	dev->bar = mem;
	dev->bar_size = bar.size;
	return 0;
}

int vt_vfio_open(struct vt_vfio *dev)
{
	dev->container = -1;
	dev->group_fd = -1;
	dev->device = -1;
	dev->bar = NULL;
	dev->log = vt_log_open();
	if (dev->log >= 0 && !open_group(dev) && !open_device(dev))
		return 0;
	vt_vfio_close(dev);
	return -1;
}

void vt_vfio_close(struct vt_vfio *dev)
{
	const int fds[] = {
		dev->device, dev->group_fd, dev->container, dev->log,
	};

	if (dev->bar)
		munmap(dev->bar, dev->bar_size);
	dev->bar = NULL;
	for (size_t i = 0; i < VT_ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

int vt_vfio_map(struct vt_vfio *dev, void *mem, size_t size, __u64 iova,
		__u32 flags)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = flags,
		.vaddr = (uintptr_t)mem,
		.iova = iova,
		.size = size,
	};

	return ioctl(dev->container, VFIO_IOMMU_MAP_DMA, &map) ?
	       vt_fail("VFIO_IOMMU_MAP_DMA at %#llx: %s",
		       (unsigned long long)iova, strerror(errno)) : 0;
}

int vt_vfio_unmap(struct vt_vfio *dev, __u64 iova, size_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = iova, .size = size,
	};

	if (ioctl(dev->container, VFIO_IOMMU_UNMAP_DMA, &unmap))
		return vt_fail("VFIO_IOMMU_UNMAP_DMA at %#llx: %s",
			       (unsigned long long)iova, strerror(errno));
	return unmap.size == size ? 0 :
	       vt_fail("%llu of %zu bytes at %#llx were unmapped",
		       (unsigned long long)unmap.size, size,
		       (unsigned long long)iova);
}

int vt_vfio_neighbours(const struct vt_vfio *dev)
{
	struct dirent *entry;
	char path[PATH_MAX];
	int count = 0;
	DIR *dir;

	dir = opendir(device_file(dev, "iommu_group/devices", path));
	if (!dir)
		return vt_fail("%s: %s", path, strerror(errno));
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

int vt_vfio_type(const struct vt_vfio *dev, char *type, size_t size)
{
	char path[PATH_MAX];

	return vt_read_line(device_file(dev, "iommu_group/type", path), type,
			    size);
}

bool vt_vfio_reports(const struct vt_vfio *dev)
{
	char path[PATH_MAX], iommu[64];

	link_name(device_file(dev, "iommu", path), iommu, sizeof(iommu));
	return strncmp(iommu, "ivhd", 4);
}

bool vt_vfio_faulted(struct vt_vfio *dev, __u64 iova)
{
	unsigned int domain, bus, slot, function;
	char line[512], where[32], who[3][64];

	if (sscanf(dev->pci, "%x:%x:%x.%x", &domain, &bus, &slot,
		   &function) != 4)
		return false;
	/* As intel-iommu, amd-iommu and virtio-iommu have it. */
	snprintf(who[0], sizeof(who[0]), "device [%02x:%02x.%x] fault addr",
		 bus, slot, function);
	snprintf(who[1], sizeof(who[1]), "%s: AMD-Vi: Event logged [IO_PAGE",
		 dev->pci);
	snprintf(who[2], sizeof(who[2]), "fault from EP %u at",
		 bus << 8 | slot << 3 | function);
	snprintf(where, sizeof(where), "0x%llx ", (unsigned long long)iova);
	if (!vt_log_find(dev->log, where, "", line, sizeof(line)))
		return false;
	for (size_t i = 0; i < VT_ARRAY_SIZE(who); i++)
		if (strstr(line, who[i]))
			return true;
	return false;
}

#define PAGEMAP_PRESENT	0x8000000000000000ULL
#define PAGEMAP_PFN	0x007fffffffffffffULL

int vt_physical(const void *page, __u64 *address)
{
	off_t at = (uintptr_t)page / VT_PAGE * sizeof(__u64);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	__u64 entry = 0;
	ssize_t n;

	if (fd < 0)
		return vt_fail("/proc/self/pagemap: %s", strerror(errno));
	n = pread(fd, &entry, sizeof(entry), at);
	close(fd);
	/* Without CAP_SYS_ADMIN there is a page, but its number is 0. */
	if (n != sizeof(entry) || !(entry & PAGEMAP_PRESENT) ||
	    !(entry & PAGEMAP_PFN))
		return vt_fail("/proc/self/pagemap does not say where a page is");
	*address = (entry & PAGEMAP_PFN) * VT_PAGE;
	return 0;
}

int vt_nobodys(__u64 address, size_t size)
{
	unsigned long long first, last;
	char line[256];
	int lines = 0, ret = 0;
	FILE *file;

	file = fopen("/proc/iomem", "r");
	if (!file)
		return vt_fail("/proc/iomem: %s", strerror(errno));
	while (!ret && fgets(line, sizeof(line), file)) {
		if (sscanf(line, " %llx-%llx :", &first, &last) != 2)
			continue;
		lines += !!last;
		if (first < address + size && last >= address)
			ret = vt_fail("%#llx is somebody's: %.200s",
				      (unsigned long long)address, line);
	}
	fclose(file);
	return ret || lines ? ret : vt_fail("/proc/iomem does not say");
}

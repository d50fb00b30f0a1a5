// SPDX-License-Identifier: GPL-2.0
/*
 * A virtio device that is this process, by way of VDUSE.  Written from the
 * virtio specification and from Documentation/userspace-api/vduse.rst.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vduse.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vtest.h"
#include "vtest_vdpa.h"
#include "vtest_vduse.h"

#define CONTROL		"/dev/vduse/control"

void vd_complain(const char *what)
{
	printf("# the device: %s: %s\n", what, strerror(errno));
	fflush(stdout);
}

/* --- memory --- */

size_t vd_desc_size(const struct vd_queue *queue)
{
	return queue->num * sizeof(struct vring_desc);
}

size_t vd_driver_size(const struct vd_queue *queue)
{
	return queue->packed ? sizeof(struct vring_packed_desc_event) :
	       sizeof(struct vring_avail) + (queue->num + 1) * sizeof(__u16);
}

size_t vd_device_size(const struct vd_queue *queue)
{
	return queue->packed ? sizeof(struct vring_packed_desc_event) :
	       sizeof(struct vring_used) + sizeof(__u16) +
	       queue->num * sizeof(struct vring_used_elem);
}

static int own_bounce(struct vd_dev *dev)
{
	struct vduse_iova_umem umem = {
		.uaddr = (unsigned long)dev->bounce,
		.size = dev->bounce_size,
	};

	return ioctl(dev->fd, VDUSE_IOTLB_REG_UMEM, &umem);
}

/* Have the driver's memory at that address be ours too. */
static struct vd_map *map_driver(struct vd_dev *dev, __u64 addr)
{
	struct vduse_iotlb_entry entry = { .start = addr, .last = addr };
	struct vd_map *map = &dev->map[dev->maps];
	int fd;

	if (dev->maps == VT_ARRAY_SIZE(dev->map))
		return NULL;
	if (addr < dev->bounce_size && dev->own_bounce) {
		if (own_bounce(dev)) {
			vd_complain("VDUSE_IOTLB_REG_UMEM");
			return NULL;
		}
		*map = (struct vd_map){
			.last = dev->bounce_size - 1, .mem = dev->bounce,
		};
		dev->maps++;
		return map;
	}
	fd = ioctl(dev->fd, VDUSE_IOTLB_GET_FD, &entry);
	if (fd < 0)
		return NULL;	/* not an address that the driver has mapped */
	map->start = entry.start;
	map->last = entry.last;
	map->mem = mmap(NULL, entry.last - entry.start + 1,
			PROT_READ | PROT_WRITE, MAP_SHARED, fd, entry.offset);
	close(fd);
	if (map->mem == MAP_FAILED) {
		vd_complain("mmap");
		return NULL;
	}
	dev->maps++;
	return map;
}

void *vd_at(struct vd_dev *dev, __u64 addr, size_t len)
{
	struct vd_map *map;

	for (map = dev->map; map < dev->map + dev->maps; map++)
		if (addr >= map->start && addr <= map->last)
			break;
	if (map == dev->map + dev->maps)
		map = map_driver(dev, addr);
	if (!map || len > map->last - addr + 1)
		return NULL;
	return map->mem + (addr - map->start);
}

/* --- the device --- */

int vd_interrupt(struct vd_dev *dev, struct vd_queue *queue)
{
	/* The kernel notes DRIVER_OK a moment after we have said yes to it. */
	for (double limit = vt_now() + 10; vt_now() < limit; usleep(1000)) {
		if (!ioctl(dev->fd, VDUSE_VQ_INJECT_IRQ, &queue->index))
			return 0;
		if (errno != EINVAL || !dev->ready)
			break;
	}
	return vt_fail("interrupt: %s", strerror(errno));
}

static int setup_queue(struct vd_dev *dev, __u32 index)
{
	struct vduse_vq_eventfd kick = { .index = index, .fd = dev->kick[index] };
	struct vduse_vq_info info = { .index = index };
	struct vd_queue *queue = &dev->queue[index];

	if (ioctl(dev->fd, VDUSE_VQ_GET_INFO, &info) || !info.ready)
		return -1;
	*queue = (struct vd_queue){
		.index = index,
		.num = info.num,
		.packed = dev->features >> VIRTIO_F_RING_PACKED & 1,
		.event = dev->features >> VIRTIO_RING_F_EVENT_IDX & 1,
		.avail_wrap = true,
		.used_wrap = true,
	};
	queue->desc = vd_at(dev, info.desc_addr, vd_desc_size(queue));
	queue->driver = vd_at(dev, info.driver_addr, vd_driver_size(queue));
	queue->device = vd_at(dev, info.device_addr, vd_device_size(queue));
	if (!queue->desc || !queue->driver || !queue->device)
		return -1;
	return ioctl(dev->fd, VDUSE_VQ_SETUP_KICKFD, &kick);
}

static void unmap_all(struct vd_dev *dev)
{
	for (int i = 0; i < dev->maps; i++)
		if (dev->map[i].mem != dev->bounce)
			munmap(dev->map[i].mem,
			       dev->map[i].last - dev->map[i].start + 1);
	dev->maps = 0;
}

static bool set_status(struct vd_dev *dev, __u8 status)
{
	bool ok = true;

	pthread_mutex_lock(&dev->lock);
	if (!status)
		dev->ready = false;
	if (status & VIRTIO_CONFIG_S_DRIVER_OK && !dev->ready) {
		ok = !ioctl(dev->fd, VDUSE_DEV_GET_FEATURES, &dev->features);
		for (__u32 i = 0; ok && i < dev->queues; i++)
			ok = !setup_queue(dev, i);
		dev->ready = ok;
		if (!ok)
			vd_complain("queues");
	}
	pthread_mutex_unlock(&dev->lock);
	return ok;
}

static void answer(struct vd_dev *dev)
{
	struct vduse_dev_response response = { .result = VDUSE_REQ_RESULT_OK };
	struct vduse_dev_request request;

	if (read(dev->fd, &request, sizeof(request)) != sizeof(request))
		return;
	response.request_id = request.request_id;
	if (request.type == VDUSE_SET_STATUS && !set_status(dev, request.s.status))
		response.result = VDUSE_REQ_RESULT_FAILED;
	if (write(dev->fd, &response, sizeof(response)) != sizeof(response))
		vd_complain("answer");
}

static void *thread(void *arg)
{
	struct vd_dev *dev = arg;
	struct pollfd fds[1 + VD_MAX_QUEUES] = {
		{ .fd = dev->fd, .events = POLLIN },
	};
	__u64 count;

	for (__u32 i = 0; i < dev->queues; i++)
		fds[1 + i] = (struct pollfd){ .fd = dev->kick[i],
					      .events = POLLIN };
	while (!__atomic_load_n(&dev->stop, __ATOMIC_RELAXED)) {
		bool kicked = __atomic_load_n(&dev->polls, __ATOMIC_RELAXED);

		poll(fds, 1 + dev->queues, kicked ? 1 : 50);
		if (fds[0].revents & POLLIN)
			answer(dev);
		for (__u32 i = 0; i < dev->queues; i++)
			if (read(dev->kick[i], &count, sizeof(count)) > 0)
				kicked = true;
		pthread_mutex_lock(&dev->lock);
		if (kicked && dev->ready && dev->serve)
			dev->serve(dev);
		pthread_mutex_unlock(&dev->lock);
	}
	return NULL;
}

static int create_char_device(struct vd_dev *dev)
{
	struct vduse_dev_config *config;
	int ret = 0;

	config = calloc(1, sizeof(*config) + dev->config_size);
	if (!config)
		return vt_fail("out of memory");
	snprintf(config->name, sizeof(config->name), "%s", dev->name);
	config->device_id = dev->type;
	config->features = dev->offered;
	config->vq_num = dev->queues;
	config->vq_align = VT_PAGE;
	config->config_size = dev->config_size;
	memcpy(config->config, dev->config, dev->config_size);
	if (ioctl(dev->control, VDUSE_CREATE_DEV, config))
		ret = vt_fail("VDUSE_CREATE_DEV: %s", strerror(errno));
	free(config);
	return ret;
}

static int open_char_device(struct vd_dev *dev)
{
	char path[128], size[32];

	snprintf(path, sizeof(path), "/sys/class/vduse/%s/bounce_size", dev->name);
	snprintf(size, sizeof(size), "%zu", dev->bounce_size);
	if (vt_write_file(path, size))
		return -1;
	snprintf(path, sizeof(path), "/dev/vduse/%s", dev->name);
	dev->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (dev->fd < 0)
		return vt_fail("%s: %s", path, strerror(errno));
	for (__u32 i = 0; i < dev->queues; i++) {
		struct vduse_vq_config config = {
			.index = i, .max_size = dev->num,
		};

		if (ioctl(dev->fd, VDUSE_VQ_SETUP, &config))
			return vt_fail("VDUSE_VQ_SETUP: %s", strerror(errno));
		dev->kick[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (dev->kick[i] < 0)
			return vt_fail("eventfd: %s", strerror(errno));
	}
	return 0;
}

static int bring_up(struct vd_dev *dev)
{
	int ret;

	if (create_char_device(dev))
		return -1;
	dev->exists = true;
	if (open_char_device(dev))
		return -1;
	if (pthread_create(&dev->thread, NULL, thread, dev))
		return vt_fail("no thread");
	dev->running = true;
	ret = vt_vdpa_create("vduse", dev->name);
	if (ret > 0)
		vt_fail("the vDPA device: %s", strerror(ret));
	if (ret)
		return -1;
	dev->attached = true;
	if (vt_vdpa_virtio(dev->name, dev->virtio, sizeof(dev->virtio)))
		return -1;
	return dev->ready ? 0 : vt_fail("%s has no driver", dev->virtio);
}

bool vd_missing(const struct vd_dev *dev)
{
	char path[128];
	struct dirent *entry;
	bool others = false;
	DIR *dir;

	if (access(CONTROL, F_OK)) {
		vt_fail("no " CONTROL ": CONFIG_VDPA_USER is not set");
		return true;
	}
	snprintf(path, sizeof(path), "/sys/bus/virtio/drivers/%s", dev->driver);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, "virtio", 6))
			others = true;
	if (dir)
		closedir(dir);
	if (others)
		vt_fail("%s has other devices: their locks and those of VDUSE do not go together",
			dev->driver);
	return others;
}

int vd_create(struct vd_dev *dev)
{
	char reason[sizeof(vt_error)];

	pthread_mutex_init(&dev->lock, NULL);
	dev->ready = false;
	dev->stop = false;
	dev->maps = 0;
	dev->fd = -1;
	for (__u32 i = 0; i < dev->queues; i++)
		dev->kick[i] = -1;
	dev->control = open(CONTROL, O_RDWR | O_CLOEXEC);
	if (dev->control < 0)
		return vt_fail(CONTROL ": %s", strerror(errno));
	dev->bounce = mmap(NULL, dev->bounce_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (dev->bounce == MAP_FAILED)
		return vt_fail("out of memory");
	if (!vt_vdpa_open() && !bring_up(dev))
		return 0;
	memcpy(reason, vt_error, sizeof(reason));
	vd_destroy(dev);
	return vt_fail("%.500s", reason);
}

int vd_detach(struct vd_dev *dev)
{
	int ret;

	if (!dev->attached)
		return 0;
	ret = vt_vdpa_destroy(dev->name);
	if (ret > 0)
		vt_fail("removal: %s", strerror(ret));
	if (ret)
		return -1;
	dev->attached = false;
	return 0;
}

void vd_abandon(struct vd_dev *dev)
{
	__atomic_store_n(&dev->stop, true, __ATOMIC_RELAXED);
	if (dev->running)
		pthread_join(dev->thread, NULL);
	dev->running = false;
}

int vd_destroy(struct vd_dev *dev)
{
	char name[VDUSE_NAME_MAX] = "";
	int ret = vd_detach(dev);

	vd_abandon(dev);
	unmap_all(dev);
	for (__u32 i = 0; i < dev->queues; i++)
		if (dev->kick[i] >= 0)
			close(dev->kick[i]);
	if (dev->fd >= 0)
		close(dev->fd);
	munmap(dev->bounce, dev->bounce_size);
	snprintf(name, sizeof(name), "%s", dev->name);
	if (dev->exists && ioctl(dev->control, VDUSE_DESTROY_DEV, name) && !ret)
		ret = vt_fail("VDUSE_DESTROY_DEV: %s", strerror(errno));
	dev->exists = false;
	close(dev->control);
	return ret;
}

int vd_set_config(struct vd_dev *dev, const void *config)
{
	struct vduse_config_data *data;
	int ret = 0;

	data = calloc(1, sizeof(*data) + dev->config_size);
	if (!data)
		return vt_fail("out of memory");
	data->length = dev->config_size;
	memcpy(data->buffer, config, dev->config_size);
	if (ioctl(dev->fd, VDUSE_DEV_SET_CONFIG, data) ||
	    ioctl(dev->fd, VDUSE_DEV_INJECT_CONFIG_IRQ))
		ret = vt_fail("configuration: %s", strerror(errno));
	free(data);
	return ret;
}

/* --- chance --- */

__u64 vd_random(__u64 *seed)
{
	return vt_mix((*seed)++);
}

void vd_scribble(void *mem, size_t len, __u64 *seed)
{
	for (size_t i = 0; i < len; i++)
		__atomic_store_n((__u8 *)mem + i, (__u8)vd_random(seed),
				 __ATOMIC_RELAXED);
}

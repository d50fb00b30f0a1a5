// SPDX-License-Identifier: GPL-2.0
/*
 * Every driver is unbound from its devices and bound again, many times, while
 * the devices are busy.  Completed writes are still there, every request that
 * fails returns an error to its caller, and nothing stays mapped.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "vtest.h"
#include "vtest_net.h"

#define CYCLES		20
#define MAX_DEVICES	32
#define DUMP		"/sys/kernel/debug/dma-api/dump"

struct device {
	char name[32];		/* virtio3 */
	char parent[64];	/* 0000:00:05.0 */
};

static int by_name(const void *a, const void *b)
{
	return strverscmp(((const struct device *)a)->name,
			  ((const struct device *)b)->name);
}

/* The devices that are bound to a driver. */
static int find_devices(const char *driver, struct device *devices, int max)
{
	char path[PATH_MAX], *real;
	struct dirent *entry;
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/virtio/drivers/%s", driver);
	dir = opendir(path);
	if (!dir)
		return 0;
	while (count < max && (entry = readdir(dir))) {
		struct device *device = &devices[count];

		if (strncmp(entry->d_name, "virtio", 6))
			continue;
		snprintf(device->name, sizeof(device->name), "%.31s",
			 entry->d_name);
		snprintf(path, sizeof(path), "/sys/bus/virtio/devices/%s",
			 device->name);
		real = realpath(path, NULL);
		if (!real)
			continue;
		*strrchr(real, '/') = '\0';
		snprintf(device->parent, sizeof(device->parent), "%.63s",
			 strrchr(real, '/') + 1);
		free(real);
		count++;
	}
	closedir(dir);
	qsort(devices, count, sizeof(*devices), by_name);
	return count;
}

static int set_bound(const char *driver, const struct device *device,
		     bool bound)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/virtio/drivers/%s/%s", driver,
		 bound ? "bind" : "unbind");
	return vt_write_file(path, device->name);
}

/*
 * With CONFIG_DMA_API_DEBUG every mapping and every coherent allocation is
 * listed with the device that it was made for: the PCI function, or the virtio
 * device if it does without ACCESS_PLATFORM.
 */
static int nothing_mapped(const struct device *device)
{
	char line[512], pci[80], virtio[80];
	FILE *file = fopen(DUMP, "r");
	int ret = 0;

	if (!file)
		return 0;
	snprintf(pci, sizeof(pci), " %s ", device->parent);
	snprintf(virtio, sizeof(virtio), " %s ", device->name);
	/* The transport itself keeps nothing; a vIOMMU does, but is not here. */
	while (!ret && fgets(line, sizeof(line), file))
		if (strstr(line, pci) || strstr(line, virtio))
			ret = vt_fail("%s: still mapped while unbound: %.300s",
				      device->name, line);
	fclose(file);
	return ret;
}

static int disks_there(void);

/* One device after the other, and in between as long as load needs to notice. */
static int cycle(const char *driver, const struct device *devices, int count,
		 int cycles)
{
	for (int i = 0; i < cycles; i++) {
		const struct device *device = &devices[i % count];

		if (set_bound(driver, device, false))
			return -1;
		if (nothing_mapped(device)) {
			set_bound(driver, device, true);
			return -1;
		}
		if (set_bound(driver, device, true))
			return -1;
		/* The scan is not over; at least the disk has been found. */
		if (!strcmp(driver, "virtio_scsi") && disks_there())
			return -1;
		usleep(20000);
	}
	return 0;
}

/*
 * Load: a process that keeps the devices of a driver busy until it is told to
 * stop, and then says whether all that it saw was right.
 */
static int stop_asked;

static void on_stop(int signal)
{
	__atomic_store_n(&stop_asked, 1, __ATOMIC_RELAXED);
}

static bool stopped(void)
{
	return __atomic_load_n(&stop_asked, __ATOMIC_RELAXED);
}

static pid_t start_load(int (*load)(int), int arg)
{
	struct sigaction action = { .sa_handler = on_stop };
	pid_t pid;
	int ret;

	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	/* No SA_RESTART: what waits for a device is to wake up. */
	sigaction(SIGTERM, &action, NULL);
	ret = load(arg);
	if (ret)
		printf("# load: %s\n", vt_error);
	fflush(stdout);
	_exit(!!ret);
}

static int stop_load(pid_t pid)
{
	double limit = vt_now() + 60;
	int status;

	while (vt_now() < limit) {
		/* Again, for it may have come just before it began to wait. */
		kill(pid, SIGTERM);
		usleep(20000);
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status ? vt_fail("load ended with status %#x",
						status) : 0;
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return vt_fail("load hangs");
}

#define MAX_LOADS	16

static int under_load(const char *driver, int (*load)(int), int loads,
		      int cycles)
{
	struct device devices[MAX_DEVICES];
	int count = find_devices(driver, devices, MAX_DEVICES);
	pid_t pids[MAX_LOADS];
	int ret;

	for (int i = 0; i < loads; i++)
		pids[i] = start_load(load, i);
	usleep(100000);
	ret = cycle(driver, devices, count, cycles);
	for (int i = 0; i < loads; i++)
		if (stop_load(pids[i]))
			ret = -1;
	return ret;
}

/* Disks: a log of what was written, and then all of it is read back. */

#define BLOCK		VT_PAGE
#define BLOCKS		128
#define LOADS_PER_DISK	2
#define PENDING		0x80000000u

struct disk_load {
	struct vt_disk disk;
	__u64 start;
	__u64 seed;
	int fd;
	__u8 *buf;
	/*
	 * Per block, the number of the last write that completed, and that of a
	 * later one that failed and may have reached the disk or not.
	 */
	__u32 done[BLOCKS];
	__u32 failed[BLOCKS];
};

static struct vt_disk all_disks[VT_MAX_DISKS];
static int disk_count;

static int disks_there(void)
{
	double limit = vt_now() + 60;

	for (;;) {
		struct vt_disk disks[VT_MAX_DISKS];
		int count = vt_find_disks(disks, VT_MAX_DISKS), found = 0;

		for (int i = 0; i < count; i++)
			for (int k = 0; k < disk_count; k++)
				found += !strcmp(disks[i].serial,
						 all_disks[k].serial);
		if (found == disk_count)
			return 0;
		if (vt_now() > limit)
			return vt_fail("%d of %d disks came back", found,
				       disk_count);
		usleep(20000);
	}
}

/* After a bind the disk may have another name. */
static int reopen(struct disk_load *load, double seconds)
{
	double limit = vt_now() + seconds;

	if (load->fd >= 0)
		close(load->fd);
	for (;;) {
		struct vt_disk disks[VT_MAX_DISKS];
		int count = vt_find_disks(disks, VT_MAX_DISKS);

		for (int i = 0; i < count; i++) {
			if (strcmp(disks[i].serial, load->disk.serial))
				continue;
			load->fd = open(disks[i].path, O_RDWR | O_DIRECT);
			if (load->fd >= 0)
				return 0;
		}
		if (vt_now() > limit)
			return vt_fail("disk %s does not come back",
				       load->disk.serial);
		usleep(10000);
	}
}

static __u64 write_seed(const struct disk_load *load, __u32 number)
{
	return vt_mix(load->seed ^ number);
}

static int check_block(struct disk_load *load, int block)
{
	__u64 pos = load->start + block * BLOCK;
	__u32 numbers[2] = { load->done[block], load->failed[block] };

	if (pread(load->fd, load->buf, BLOCK, pos) != (ssize_t)BLOCK)
		return vt_fail("%s: reading block %d: %s", load->disk.serial,
			       block, strerror(errno));
	for (int i = 0; i < 2; i++)
		if (numbers[i] && !vt_check(load->buf, BLOCK,
					    write_seed(load, numbers[i]), pos))
			return 0;
	return vt_fail("%s: block %d is not what was last written",
		       load->disk.serial, block);
}

static int disk_load(int index)
{
	static struct disk_load load = { .fd = -1 };
	unsigned int writes = 0, errors = 0;
	__u32 number = 0;

	load.disk = all_disks[index / LOADS_PER_DISK];
	load.seed = index + 1000;
	load.start = VT_REGION_BIND +
		     index % LOADS_PER_DISK * BLOCKS * BLOCK;
	load.buf = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (load.buf == MAP_FAILED)
		return vt_fail("out of memory");
	if (reopen(&load, 30))
		return -1;
	/* On a slow machine the first write may take until the end. */
	while (!stopped() || !writes) {
		int block = vt_mix(++number ^ load.seed) % BLOCKS;
		__u64 pos = load.start + block * BLOCK;

		if (number % 4 == 0 && load.done[block]) {
			if (pread(load.fd, load.buf, BLOCK, pos) !=
			    (ssize_t)BLOCK) {
				errors++;
				if (reopen(&load, 60))
					return -1;
			} else if (check_block(&load, block)) {
				/* Gone in between is an error like others. */
				if (reopen(&load, 60) ||
				    check_block(&load, block))
					return -1;
			}
			continue;
		}
		vt_fill(load.buf, BLOCK, write_seed(&load, number), pos);
		if (pwrite(load.fd, load.buf, BLOCK, pos) == (ssize_t)BLOCK) {
			load.done[block] = number;
			load.failed[block] = 0;
			writes++;
			continue;
		}
		load.failed[block] = number;
		errors++;
		if (reopen(&load, 60))
			return -1;
	}
	if (reopen(&load, 60))
		return -1;
	for (int block = 0; block < BLOCKS; block++)
		if ((load.done[block] || load.failed[block]) &&
		    check_block(&load, block) && load.done[block])
			return -1;
	printf("# %s: %u writes completed, %u requests failed\n",
	       load.disk.serial, writes, errors);
	return writes ? 0 : vt_fail("%s: not one write completed",
				    load.disk.serial);
}

/* Leaves in all_disks those of one driver; the name of a disk says which. */
static void find_disks(const char *prefix)
{
	struct vt_disk found[VT_MAX_DISKS];
	int count = vt_find_disks(found, VT_MAX_DISKS);

	disk_count = 0;
	for (int i = 0; i < count; i++)
		if (!strncmp(found[i].name, prefix, strlen(prefix)))
			all_disks[disk_count++] = found[i];
	/* As many processes as there are CPUs to run them, and a few more. */
	if (disk_count > MAX_LOADS / LOADS_PER_DISK)
		disk_count = MAX_LOADS / LOADS_PER_DISK;
}

FIXTURE(bind)
{
	int cycles;
};

FIXTURE_SETUP(bind)
{
	self->cycles = vt_scale(CYCLES);
}

FIXTURE_TEARDOWN(bind)
{
}

static int disks_under_load(const char *driver, const char *prefix, int cycles)
{
	find_disks(prefix);
	return under_load(driver, disk_load, disk_count * LOADS_PER_DISK,
			  cycles);
}

TEST_F_TIMEOUT(bind, virtio_blk_loses_no_completed_write, VT_TIMEOUT)
{
	find_disks("vd");
	if (!disk_count)
		SKIP(return, "no virtio-blk disk whose serial begins with vt");
	CHECK(disks_under_load("virtio_blk", "vd", self->cycles));
}

TEST_F_TIMEOUT(bind, virtio_scsi_loses_no_completed_write, VT_TIMEOUT)
{
	find_disks("sd");
	if (!disk_count)
		SKIP(return, "no virtio-scsi disk whose serial begins with vt");
	/*
	 * A host that goes away waits for the end of its own scan, which is 256
	 * targets long and takes seconds with an emulated CPU: a fifth will do.
	 */
	CHECK(disks_under_load("virtio_scsi", "sd", (self->cycles + 4) / 5));
}

/* NICs: frames from one end of a pair to the other, right or not at all. */

static unsigned int pair_numbers[VT_MAX_PAIRS];

static int net_load(int index)
{
	unsigned int arrived = 0, lost = 0;
	__u64 number = vt_mix(index);
	int fd[2] = { -1, -1 }, ret = 0;
	double limit;

	while (ret >= 0 && !stopped()) {
		if (fd[0] < 0 && vt_frame_open(pair_numbers[index], fd)) {
			usleep(5000);
			continue;
		}
		number++;
		ret = vt_frame_send(fd, number % 2, number);
		if (ret > 0) {
			arrived++;
		} else if (!ret) {
			lost++;
			close(fd[0]);
			close(fd[1]);
			fd[0] = -1;
		}
	}
	/* And now, with nobody taking the driver away, it must work. */
	limit = vt_now() + 60;
	for (int done = 0; ret >= 0 && done < 10; ) {
		if (vt_now() > limit)
			return vt_fail("pair %u does not work any more",
				       pair_numbers[index]);
		if (fd[0] < 0 && vt_frame_open(pair_numbers[index], fd)) {
			usleep(5000);
			continue;
		}
		ret = vt_frame_send(fd, done % 2, ++number);
		if (ret > 0) {
			done++;
		} else {
			close(fd[0]);
			close(fd[1]);
			fd[0] = -1;
		}
	}
	if (ret < 0)
		return -1;
	printf("# pair %u: %u frames arrived, %u were lost\n",
	       pair_numbers[index], arrived, lost);
	return 0;
}

TEST_F_TIMEOUT(bind, virtio_net_delivers_right_frames_or_none, VT_TIMEOUT)
{
	struct vt_pair pairs[VT_MAX_PAIRS];
	int count = vt_net_find(pairs, VT_MAX_PAIRS);

	if (!count)
		SKIP(return, "no NICs 52:54:00:00:K:01 and 52:54:00:00:K:02");
	for (int i = 0; i < count; i++)
		pair_numbers[i] = pairs[i].number;
	CHECK(under_load("virtio_net", net_load, count, self->cycles));
}

/* rng: somebody reads all the time and may be told that there is none. */
static int rng_load(int index)
{
	unsigned long bytes = 0;
	__u8 buf[64];
	int fd;

	while (!stopped()) {
		fd = open("/dev/hwrng", O_RDONLY);
		if (fd < 0) {
			usleep(5000);
			continue;
		}
		while (!stopped()) {
			ssize_t n = read(fd, buf, sizeof(buf));

			if (n <= 0)
				break;
			bytes += n;
		}
		close(fd);
	}
	printf("# %lu random bytes\n", bytes);
	return bytes ? 0 : vt_fail("not one random byte came");
}

TEST_F_TIMEOUT(bind, virtio_rng_is_read_all_the_time, VT_TIMEOUT)
{
	struct device devices[MAX_DEVICES];
	__u8 buf[32];
	int fd;

	if (!find_devices("virtio_rng", devices, MAX_DEVICES))
		SKIP(return, "no virtio-rng");
	CHECK(under_load("virtio_rng", rng_load, 2, self->cycles));
	fd = open("/dev/hwrng", O_RDONLY);
	ASSERT_GE(fd, 0);
	EXPECT_EQ((ssize_t)sizeof(buf), read(fd, buf, sizeof(buf)));
	close(fd);
}

/* Console: what was written while a port went away may be lost. */

static int open_port(const char *name)
{
	struct dirent *entry;
	int fd = -1;
	DIR *dir;

	dir = opendir("/sys/class/virtio-ports");
	if (!dir)
		return -1;
	while (fd < 0 && (entry = readdir(dir))) {
		char path[PATH_MAX], found[64];

		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name",
			 entry->d_name);
		if (entry->d_name[0] == '.' ||
		    vt_read_line(path, found, sizeof(found)) ||
		    strcmp(found, name))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	}
	closedir(dir);
	return fd;
}

static void close_ports(int fd[2])
{
	for (int i = 0; i < 2; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
		fd[i] = -1;
	}
}

static bool open_ports(int fd[2])
{
	if (fd[0] < 0)
		fd[0] = open_port("vt.a");
	if (fd[1] < 0)
		fd[1] = open_port("vt.b");
	return fd[0] >= 0 && fd[1] >= 0;
}

static ssize_t wait_io(int fd, void *buf, size_t len, bool out, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = out ? POLLOUT : POLLIN };

	if (poll(&pfd, 1, ms) != 1 || !(pfd.revents & pfd.events))
		return 0;
	return out ? write(fd, buf, len) : read(fd, buf, len);
}

static int console_load(int index)
{
	__u8 out[3000], in[4096];
	int fd[2] = { -1, -1 };
	unsigned long bytes = 0;

	vt_fill(out, sizeof(out), 3, 0);
	while (!stopped()) {
		ssize_t put, got;

		if (!open_ports(fd)) {
			usleep(5000);
			continue;
		}
		put = wait_io(fd[0], out, sizeof(out), true, 50);
		got = wait_io(fd[1], in, sizeof(in), false, 50);
		if (put > 0 && got > 0)
			bytes += got;
		if (put < 0 || got <= 0)
			close_ports(fd);
	}
	close_ports(fd);
	printf("# %lu bytes through the console\n", bytes);
	return bytes ? 0 : vt_fail("not one byte went through the console");
}

static int console_works(void)
{
	__u8 out[2000], in[4096];
	int fd[2] = { -1, -1 };
	double limit = vt_now() + 30;
	size_t got = 0;

	while (!open_ports(fd)) {
		if (vt_now() > limit)
			return vt_fail("ports do not come back");
		usleep(10000);
	}
	/* What is still on its way. */
	while (wait_io(fd[1], in, sizeof(in), false, 500) > 0)
		;
	vt_fill(out, sizeof(out), 4, 0);
	if (wait_io(fd[0], out, sizeof(out), true, 10000) != sizeof(out)) {
		close_ports(fd);
		return vt_fail("port cannot be written to");
	}
	while (got < sizeof(out)) {
		ssize_t n = wait_io(fd[1], in + got, sizeof(in) - got, false,
				    10000);

		if (n <= 0)
			break;
		got += n;
	}
	close_ports(fd);
	if (got != sizeof(out))
		return vt_fail("%zu of %zu bytes came through", got,
			       sizeof(out));
	return vt_check(in, sizeof(out), 4, 0);
}

TEST_F_TIMEOUT(bind, virtio_console_carries_data_afterwards, VT_TIMEOUT)
{
	int fd[2] = { -1, -1 };

	if (!open_ports(fd)) {
		close_ports(fd);
		SKIP(return, "no console ports named vt.a and vt.b");
	}
	close_ports(fd);
	CHECK(under_load("virtio_console", console_load, 1, self->cycles));
	CHECK(console_works());
}

/* Input: keys come, and somebody listens to every input device there is. */
static int input_load(int index)
{
	while (!stopped()) {
		struct pollfd pfds[32];
		char buf[1024];
		int count = 0;

		for (int i = 0; i < 32; i++) {
			char path[64];
			int fd;

			snprintf(path, sizeof(path), "/dev/input/event%d", i);
			fd = open(path, O_RDONLY | O_NONBLOCK);
			if (fd >= 0)
				pfds[count++] = (struct pollfd) {
					.fd = fd, .events = POLLIN,
				};
		}
		for (int turn = 0; turn < 10 && !stopped(); turn++) {
			if (poll(pfds, count, 5) <= 0)
				continue;
			for (int i = 0; i < count; i++)
				if (read(pfds[i].fd, buf, sizeof(buf)) < 0 &&
				    errno == ENODEV)
					turn = 10;
		}
		for (int i = 0; i < count; i++)
			close(pfds[i].fd);
	}
	return 0;
}

TEST_F_TIMEOUT(bind, virtio_input_goes_while_keys_come, VT_TIMEOUT)
{
	struct device devices[MAX_DEVICES];
	int count = find_devices("virtio_input", devices, MAX_DEVICES);

	if (!count)
		SKIP(return, "no virtio-input");
	CHECK(vt_say("HOSTASK input a b a b a b a b a b a b a b a b"));
	CHECK(under_load("virtio_input", input_load, 1, self->cycles));
	EXPECT_EQ(count, find_devices("virtio_input", devices, MAX_DEVICES));
}

/* Balloon: it is inflated at every bind, and interrupted at every unbind. */

/* What is in the balloon is no longer part of the guest's memory. */
static int wait_memory(long kib)
{
	double limit = vt_now() + 60;
	long found = 0;

	while (vt_now() < limit) {
		found = vt_meminfo_kib("MemTotal");
		if (found == kib)
			return 0;
		usleep(20000);
	}
	return vt_fail("the guest has %ld KiB, not %ld", found, kib);
}

TEST_F_TIMEOUT(bind, virtio_balloon_gives_all_pages_back, VT_TIMEOUT)
{
	struct device devices[MAX_DEVICES];
	unsigned int mib = vt_scale(16);
	long before = vt_meminfo_kib("MemTotal");
	int ret;

	if (!find_devices("virtio_balloon", devices, MAX_DEVICES))
		SKIP(return, "no virtio-balloon");
	CHECK(vt_say("HOSTASK balloon %u", mib));
	ret = wait_memory(before - mib * 1024);
	if (!ret)
		ret = under_load("virtio_balloon", NULL, 0, self->cycles);
	if (!ret)
		ret = wait_memory(before - mib * 1024);
	vt_say("HOSTASK balloon 0");
	CHECK(ret);
	CHECK(wait_memory(before));
}

/* 9p: a mount keeps the device, so each turn mounts, uses and unmounts it. */
static int share_works(const struct device *device)
{
	char path[PATH_MAX], tag[64] = "", buf[5000], in[5000];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "/sys/bus/virtio/devices/%s/mount_tag",
		 device->name);
	if (vt_read_line(path, tag, sizeof(tag)))
		return -1;
	if (strncmp(tag, "vt", 2))
		return 0;
	mkdir("/tmp/vtbind", 0700);
	if (mount(tag, "/tmp/vtbind", "9p", 0,
		  "trans=virtio,version=9p2000.L"))
		return vt_fail("%s: mount: %s", tag, strerror(errno));
	vt_fill(buf, sizeof(buf), 9, 0);
	fd = open("/tmp/vtbind/bind", O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, buf, sizeof(buf)) != sizeof(buf) ||
	    pread(fd, in, sizeof(in), 0) != sizeof(in))
		ret = vt_fail("%s: %s", tag, strerror(errno));
	else
		ret = vt_check(in, sizeof(in), 9, 0);
	if (fd >= 0)
		close(fd);
	if (umount("/tmp/vtbind") && !ret)
		ret = vt_fail("%s: umount: %s", tag, strerror(errno));
	return ret;
}

TEST_F_TIMEOUT(bind, virtio_9p_is_mounted_every_time, VT_TIMEOUT)
{
	struct device devices[MAX_DEVICES];
	int count = find_devices("9pnet_virtio", devices, MAX_DEVICES);

	if (!count)
		SKIP(return, "no 9p device");
	for (int i = 0; i < self->cycles; i++) {
		CHECK(share_works(&devices[i % count]));
		CHECK(cycle("9pnet_virtio", &devices[i % count], 1, 1));
		CHECK(share_works(&devices[i % count]));
	}
}

/*
 * What a cycle leaves behind adds up; the ring of a queue and its state are
 * some tens of KiB.
 */
#define LEAK_CYCLES	20
#define LEAK_KIB	(LEAK_CYCLES * 8)
/* kfree_rcu() keeps what it is given for up to five seconds. */
#define SETTLE_S	7

static int leaks(const char *driver)
{
	struct device devices[MAX_DEVICES];
	int count = find_devices(driver, devices, MAX_DEVICES);
	int cycles = vt_scale(LEAK_CYCLES);
	long before, after;

	if (!count)
		return 0;
	/* First, whatever is allocated once. */
	if (cycle(driver, devices, count, count + 4))
		return -1;
	sleep(1);
	before = vt_held_kib();
	if (before < 0 || cycle(driver, devices, count, cycles))
		return -1;
	/* What is free comes back in that time; what leaked never does. */
	for (int wait = 0; wait < SETTLE_S; wait++) {
		sleep(1);
		after = vt_held_kib();
		if (after < 0)
			return -1;
		if (after - before <= LEAK_KIB)
			break;
	}
	printf("# %s: %ld KiB after %d cycles, %ld KiB before\n", driver, after,
	       cycles, before);
	fflush(stdout);
	if (after - before > LEAK_KIB)
		return vt_fail("%s: %ld KiB more after %d cycles", driver,
			       after - before, cycles);
	return 0;
}

TEST_F_TIMEOUT(bind, cycles_leave_no_memory_behind, VT_TIMEOUT)
{
	static const char * const drivers[] = {
		"virtio_blk", "virtio_net", "virtio_console",
	};

	for (size_t i = 0; i < VT_ARRAY_SIZE(drivers); i++)
		CHECK(leaks(drivers[i]));
}

TEST_HARNESS_MAIN

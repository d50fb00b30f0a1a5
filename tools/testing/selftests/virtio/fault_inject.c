// SPDX-License-Identifier: GPL-2.0
/*
 * A sequence that succeeds is repeated with its first allocation failing, then
 * its second, its third and so on, until it succeeds again.  The kernel may
 * return an error.  It must not log a splat, lose data, or leave a device that
 * does not work.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "vtest.h"

#define FAILSLAB	"/sys/kernel/debug/failslab/"
#define FAIL_PAGE	"/sys/kernel/debug/fail_page_alloc/"
#define SLAB		"/sys/kernel/slab/"
#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define SEGMENTS	64
#define MAX_NTH		2000

FIXTURE(fault)
{
	struct vt_disk disks[VT_MAX_DISKS];
	int count;
	__u8 *arena;
};

/* What fails: memory from kmalloc(), or pages, which the rings are made of. */
FIXTURE_VARIANT(fault)
{
	const char *knobs;
	const char *interval;	/* every which may fail, in bad weather */
	bool pages;
};

FIXTURE_VARIANT_ADD(fault, slab)
{
	.knobs = FAILSLAB,
	.interval = "1",
};

FIXTURE_VARIANT_ADD(fault, pages)
{
	.knobs = FAIL_PAGE,
	/* Never twice running, or slabs could not be had, see set_victims(). */
	.interval = "2",
	.pages = true,
};

/* Bytes of an object of a cache that kmalloc() allocates from, or 0. */
static unsigned long kmalloc_size(const char *cache)
{
	unsigned long size;
	char *end;

	if (strncmp(cache, "kmalloc-", 8))
		return 0;
	size = strtoul(strrchr(cache, '-') + 1, &end, 10);
	return *end == 'k' ? size * VT_KIB : size;
}

/*
 * Which allocations may fail: those of kmalloc() with at least this many bytes.
 * Not all there are, for the rest of the kernel has its own weak spots: without
 * a radix tree node the checks of the DMA API turn themselves off, and without
 * a proc_dir_entry the removal of an interrupt warns.
 */
static int set_caches(unsigned long smallest)
{
	struct dirent *entry;
	int chosen = 0;
	DIR *dir;

	dir = opendir(SLAB);
	if (!dir)
		return vt_fail("no " SLAB);
	while ((entry = readdir(dir))) {
		unsigned long size = kmalloc_size(entry->d_name);
		char path[PATH_MAX];

		if (!size)
			continue;
		snprintf(path, sizeof(path), SLAB "%.200s/failslab",
			 entry->d_name);
		/* A cache that is shared with others refuses. */
		if (!vt_write_file(path, size >= smallest ? "1" : "0") &&
		    size >= smallest)
			chosen++;
	}
	closedir(dir);
	if (smallest != ULONG_MAX && !chosen)
		return vt_fail("no cache of kmalloc() can be made to fail");
	return 0;
}

/*
 * Either those, or any page that is not the user's.  A slab that cannot be had
 * is asked for once more, as a smaller one; so no small object fails for a
 * page.
 */
static int set_victims(bool pages, unsigned long smallest)
{
	return vt_write_file(FAIL_PAGE "min-order", pages ? "0" : "99") ?:
	       set_caches(pages ? ULONG_MAX : smallest);
}

/* Allocations that may sleep fail as well: those are what a probe makes. */
static int arm(bool pages)
{
	if (access(FAIL_NTH, W_OK))
		return vt_fail("CONFIG_FAULT_INJECTION is not set");
	if (access(FAILSLAB "cache-filter", W_OK))
		return vt_fail("no " FAILSLAB ": CONFIG_FAILSLAB or debugfs is missing");
	if (access(FAIL_PAGE "min-order", W_OK))
		return vt_fail("no " FAIL_PAGE ": CONFIG_FAIL_PAGE_ALLOC is missing");
	return vt_write_file(FAILSLAB "ignore-gfp-wait", "N") ?:
	       vt_write_file(FAILSLAB "verbose", "0") ?:
	       vt_write_file(FAILSLAB "cache-filter", "Y") ?:
	       vt_write_file(FAIL_PAGE "ignore-gfp-wait", "N") ?:
	       vt_write_file(FAIL_PAGE "verbose", "0") ?:
	       set_victims(pages, 8);
}

static int set_knob(const char *knobs, const char *name, const char *value)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", knobs, name);
	return vt_write_file(path, value);
}

static int set_weather(const char *knobs, const char *interval,
		       const char *probability)
{
	return set_knob(knobs, "task-filter", "Y") ?:
	       set_knob(knobs, "times", "-1") ?:
	       set_knob(knobs, "interval", interval) ?:
	       set_knob(knobs, "probability", probability);
}

FIXTURE_SETUP(fault)
{
	self->count = 0;
	if (arm(variant->pages))
		SKIP(return, "%s", vt_error);
	self->count = vt_find_disks(self->disks, VT_MAX_DISKS);
	if (!self->count)
		SKIP(return, "no virtio disk whose serial begins with \"vt\"");
	self->arena = mmap(NULL, 2 * SEGMENTS * VT_PAGE,
			   PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, self->arena);
}

FIXTURE_TEARDOWN(fault)
{
	if (!self->count)
		return;
	set_weather(variant->knobs, variant->interval, "0");
	munmap(self->arena, 2 * SEGMENTS * VT_PAGE);
}

#define CHECK_NAMED(name, step)						\
	do {								\
		vt_error[0] = '\0';					\
		ASSERT_EQ(0, step) {					\
			TH_LOG("%s: %s", name, vt_error);		\
		}							\
	} while (0)

/* The n-th allocation of this thread from now on fails. */
static int fail_nth(int fd, int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	if (pwrite(fd, text, len, 0) != len)
		return vt_fail("fail-nth: %s", strerror(errno));
	return 0;
}

/* Disarms, and tells whether it came to that: 1, or 0 if there were less. */
static int did_fail(int fd)
{
	char text[16] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return vt_fail("fail-nth: %s", strerror(errno));
	if (fail_nth(fd, 0))
		return -1;
	return atoi(text) == 0;
}

struct scatter {
	struct iovec iov[SEGMENTS];
	size_t len;
};

static void scatter(struct scatter *sc, __u8 *arena, int count)
{
	for (int i = 0; i < count; i++) {
		sc->iov[i].iov_base = arena + 2 * (count - 1 - i) * VT_PAGE;
		sc->iov[i].iov_len = VT_PAGE;
	}
	sc->len = count * VT_PAGE;
}

static void fill(struct scatter *sc, __u64 seed)
{
	for (size_t i = 0; i < sc->len / VT_PAGE; i++)
		vt_fill(sc->iov[i].iov_base, VT_PAGE, seed, i * VT_PAGE);
}

static int check(struct scatter *sc, __u64 seed)
{
	for (size_t i = 0; i < sc->len / VT_PAGE; i++)
		if (vt_check(sc->iov[i].iov_base, VT_PAGE, seed, i * VT_PAGE))
			return -1;
	return 0;
}

/* Segments are few enough for one request, or it would fail only in part. */
static int sweep_io(const struct vt_disk *disk, __u8 *arena, int count,
		    int *allocations)
{
	__u64 pos = VT_REGION_FAULT;
	static struct scatter sc;
	int disk_fd, nth_fd, ret = 0, nth, failed = 1, errors = 0;

	scatter(&sc, arena, count);
	disk_fd = open(disk->path, O_RDWR | O_DIRECT);
	nth_fd = open(FAIL_NTH, O_RDWR);
	if (disk_fd < 0 || nth_fd < 0)
		return vt_fail("open: %s", strerror(errno));
	for (nth = 1; !ret && failed && nth < MAX_NTH; nth++) {
		ssize_t put, got;

		fill(&sc, nth);
		if (fail_nth(nth_fd, nth))
			return -1;
		put = pwritev(disk_fd, sc.iov, count, pos);
		failed = did_fail(nth_fd);
		if (put != (ssize_t)sc.len)
			errors++;
		/* Whatever happened, the next request must be a good one. */
		if (failed > 0 && put != (ssize_t)sc.len)
			put = pwritev(disk_fd, sc.iov, count, pos);
		if (failed < 0 || put != (ssize_t)sc.len) {
			ret = vt_fail("write after the failure of allocation %d: %s",
				      nth, strerror(errno));
			break;
		}
		memset(arena, 0, 2 * count * VT_PAGE);
		if (fail_nth(nth_fd, nth))
			return -1;
		got = preadv(disk_fd, sc.iov, count, pos);
		ret = did_fail(nth_fd);
		failed |= ret > 0;
		if (ret >= 0 && got != (ssize_t)sc.len) {
			errors++;
			got = preadv(disk_fd, sc.iov, count, pos);
		}
		if (ret < 0 || got != (ssize_t)sc.len)
			ret = vt_fail("read after the failure of allocation %d: %s",
				      nth, strerror(errno));
		else
			ret = check(&sc, nth);
	}
	close(disk_fd);
	close(nth_fd);
	printf("# %s, %d segments: %d allocations failed in turn, %d requests gave an error\n",
	       disk->serial, count, nth - 2, errors);
	fflush(stdout);
	if (!ret && failed)
		ret = vt_fail("still allocations that fail after %d", nth);
	/* Small requests, or disks without indirect tables, may need none. */
	*allocations += nth - 2;
	return ret;
}

TEST_F_TIMEOUT(fault, requests_survive_the_failure_of_each_allocation,
	       VT_TIMEOUT)
{
	int allocations = 0;

	for (int i = 0; i < self->count; i++) {
		CHECK_NAMED(self->disks[i].serial,
			    sweep_io(&self->disks[i], self->arena, 1, &allocations));
		CHECK_NAMED(self->disks[i].serial,
			    sweep_io(&self->disks[i], self->arena, SEGMENTS,
				     &allocations));
	}
	/* Else nothing was tested; pages are taken only where DMA is translated. */
	if (!variant->pages)
		EXPECT_GT(allocations, 0);
}

static int write_driver(const char *verb, const char *virtio)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/virtio/drivers/virtio_blk/%s",
		 verb);
	return vt_write_file(path, virtio);
}

/* Finds the disk again, for it may have another name and another number. */
static int find_by_serial(struct vt_disk *disk)
{
	struct vt_disk disks[VT_MAX_DISKS];
	double limit = vt_now() + 30;

	do {
		int count = vt_find_disks(disks, VT_MAX_DISKS);

		for (int i = 0; i < count; i++) {
			if (strcmp(disks[i].serial, disk->serial))
				continue;
			*disk = disks[i];
			return 0;
		}
		usleep(10000);
	} while (vt_now() < limit);
	return vt_fail("the disk does not come back");
}

/*
 * Nobody resets a device whose probe has failed, and its queues may be enabled
 * already: only with a new virtio device can there be another probe.
 */
static int renew(const char *pci)
{
	return vt_write_file("/sys/bus/pci/drivers/virtio-pci/unbind", pci) ?:
	       vt_write_file("/sys/bus/pci/drivers/virtio-pci/bind", pci);
}

static int pci_address(const struct vt_disk *disk, char *pci, size_t size)
{
	char path[PATH_MAX], *real;

	snprintf(path, sizeof(path), "/sys/bus/virtio/devices/%s/..",
		 disk->virtio);
	real = realpath(path, NULL);
	if (!real)
		return vt_fail("%s: %s", path, strerror(errno));
	snprintf(pci, size, "%s", strrchr(real, '/') + 1);
	free(real);
	return 0;
}

/*
 * The probe of virtio-blk: the state of its rings is among what cannot be had.
 * Of the first allocations each one fails, further on the steps become longer.
 */
static int sweep_probe(struct vt_disk *disk, bool pages, int density)
{
	int fd, nth, failed = 1, errors = 0, ret = 0;
	char pci[64];

	if (pci_address(disk, pci, sizeof(pci)))
		return -1;
	fd = open(FAIL_NTH, O_RDWR);
	if (fd < 0)
		return vt_fail("open: %s", strerror(errno));
	/* Queues are large, names and entries of sysfs are small. */
	ret = set_victims(pages, 512);
	for (nth = 1; !ret && failed > 0 && nth < MAX_NTH;
	     nth += 1 + nth / density) {
		ret = write_driver("unbind", disk->virtio) ?: fail_nth(fd, nth);
		if (ret)
			break;
		if (write_driver("bind", disk->virtio)) {
			errors++;
			ret = renew(pci);
		}
		failed = did_fail(fd);
		if (!ret && failed >= 0)
			ret = find_by_serial(disk);
	}
	close(fd);
	printf("# %s: up to allocation %d, %d probes failed\n", disk->serial,
	       nth, errors);
	fflush(stdout);
	if (set_victims(pages, 8) || failed < 0)
		return -1;
	/* With less pages than it wants, a ring is made smaller. */
	if (!ret && (pages ? nth < 3 : !errors))
		ret = vt_fail("nothing failed");
	return ret;
}

TEST_F_TIMEOUT(fault, probes_that_fail_leave_a_device_that_works, VT_TIMEOUT)
{
	int swept = 0;

	/* Two will do, and two flavours of disk are most often different. */
	for (int i = 0; i < self->count && swept < 2; i++) {
		struct vt_disk disk = self->disks[i];

		if (strncmp(disk.name, "vd", 2))
			continue;
		swept++;
		/* Of pages a probe takes so few that each can fail. */
		CHECK_NAMED(disk.serial, sweep_probe(&disk, variant->pages,
						     variant->pages ? MAX_NTH :
						     vt_scale(20)));
		CHECK_NAMED(disk.serial, sweep_io(&disk, self->arena, 1,
						  &(int){ 0 }));
	}
}

/* Of allocations that may fail one in five does, for as long as this goes on. */
static int weather(const struct vt_disk *disk, __u8 *arena)
{
	int rounds = vt_scale(200), completed = 0, fd, victim, ret = 0;
	__u64 pos = VT_REGION_FAULT + VT_MIB;
	static struct scatter sc;

	scatter(&sc, arena, SEGMENTS);
	fd = open(disk->path, O_RDWR | O_DIRECT);
	if (fd < 0)
		return vt_fail("open: %s", strerror(errno));
	/* Opened before, for to open it again may fail as well. */
	victim = open("/proc/self/make-it-fail", O_WRONLY);
	if (victim < 0 || pwrite(victim, "1", 1, 0) != 1)
		return vt_fail("make-it-fail: %s", strerror(errno));
	for (int i = 0; !ret && i < rounds; i++) {
		fill(&sc, i);
		if (pwritev(fd, sc.iov, SEGMENTS, pos) != (ssize_t)sc.len)
			continue;
		memset(arena, 0, 2 * SEGMENTS * VT_PAGE);
		if (preadv(fd, sc.iov, SEGMENTS, pos) != (ssize_t)sc.len)
			continue;
		ret = check(&sc, i);
		completed++;
	}
	if (pwrite(victim, "0", 1, 0) != 1)
		return vt_fail("make-it-fail: %s", strerror(errno));
	close(victim);
	printf("# %s: %d of %d rounds completed\n", disk->serial, completed,
	       rounds);
	fflush(stdout);
	/* When the weather is fair again, so is the disk. */
	if (!ret) {
		fill(&sc, 1);
		if (pwritev(fd, sc.iov, SEGMENTS, pos) != (ssize_t)sc.len ||
		    preadv(fd, sc.iov, SEGMENTS, pos) != (ssize_t)sc.len)
			ret = vt_fail("request afterwards: %s",
				      strerror(errno));
		else
			ret = check(&sc, 1);
	}
	close(fd);
	return ret;
}

TEST_F_TIMEOUT(fault, data_is_right_whenever_a_request_says_it_succeeded,
	       VT_TIMEOUT)
{
	CHECK_NAMED(variant->knobs,
		    set_weather(variant->knobs, variant->interval, "20"));
	for (int i = 0; i < self->count; i++)
		CHECK_NAMED(self->disks[i].serial,
			    weather(&self->disks[i], self->arena));
	CHECK_NAMED(variant->knobs,
		    set_weather(variant->knobs, variant->interval, "0"));
}

TEST_HARNESS_MAIN

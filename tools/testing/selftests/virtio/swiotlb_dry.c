// SPDX-License-Identifier: GPL-2.0
/*
 * Everything is bounced (swiotlb=force), and swiotlb is smaller than the
 * requests in flight.  Without pools of the virtqueues
 * (virtio_ring.bounce_max=-1), requests may wait or fail.  Data must not be
 * wrong, and all memory taken from swiotlb must be returned.  With pools, no
 * request waits or fails.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "vtest.h"
#include "vtest_load.h"

#define SWIOTLB		"/sys/kernel/debug/swiotlb/io_tlb_"
#define BOUNCE_MAX	"/sys/module/virtio_ring/parameters/bounce_max"
#define SLOT		2048UL
#define THREADS		4	/* a disk */
#define LENGTH		(128 * VT_KIB)
#define POOL_MAX	(2 * VT_MIB)

static int pool(const char *name, unsigned long *value)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), SWIOTLB "%s", name);
	if (vt_read_line(path, text, sizeof(text)))
		return -1;
	*value = strtoul(text, NULL, 10);
	return 0;
}

FIXTURE(swiotlb)
{
	struct vt_disk disks[VT_MAX_DISKS];
	int count;
	bool pools;
	unsigned long slots;
};

FIXTURE_SETUP(swiotlb)
{
	char line[4096], bounce_max[16];

	self->count = 0;
	if (vt_read_line("/proc/cmdline", line, sizeof(line)) ||
	    !strstr(line, "swiotlb=") || !strstr(line, ",force"))
		SKIP(return, "not booted with swiotlb=<slots>,force");
	ASSERT_EQ(0, vt_read_line(BOUNCE_MAX, bounce_max, sizeof(bounce_max)));
	self->pools = strtol(bounce_max, NULL, 10) >= 0;
	ASSERT_EQ(0, pool("nslabs", &self->slots)) {
		TH_LOG("%s", vt_error);
	}
	self->count = vt_find_disks(self->disks, VT_MAX_DISKS);
	ASSERT_GT(self->count, 0);
	/* Else it would not run dry, and nothing would be tested. */
	ASSERT_LT(self->slots * SLOT, POOL_MAX);
	ASSERT_LT(self->slots * SLOT, self->count * THREADS * LENGTH);
}

FIXTURE_TEARDOWN(swiotlb)
{
}

/* So many on each disk, each in a region of its own. */
static int load(const struct vt_disk *disks, int count, unsigned int threads,
		unsigned int rounds)
{
	struct vt_loader loaders[VT_MAX_DISKS * THREADS] = { 0 };
	unsigned int n = count * threads;

	for (unsigned int i = 0; i < n; i++) {
		loaders[i].path = disks[i / threads].path;
		loaders[i].pos = VT_REGION_DATA + i * LENGTH;
		loaders[i].max = LENGTH;
		loaders[i].rounds = vt_scale(rounds);
	}
	return vt_load(loaders, n);
}

TEST_F_TIMEOUT(swiotlb, a_pool_that_runs_dry_does_no_harm, VT_TIMEOUT)
{
	unsigned long before, high, after;
	int errors;

	/* What is mapped for good, and what is mapped at rest. */
	ASSERT_EQ(0, load(self->disks, self->count, 1, 1)) {
		TH_LOG("%s", vt_error);
	}
	ASSERT_EQ(0, pool("used", &before));
	ASSERT_EQ(0, vt_write_file(SWIOTLB "used_hiwater", "0"));

	errors = load(self->disks, self->count, THREADS, 25);
	ASSERT_GE(errors, 0) {
		TH_LOG("%s", vt_error);
	}
	ASSERT_EQ(0, pool("used_hiwater", &high));
	if (self->pools) {
		EXPECT_EQ(0, errors);
		/* While they grow it is used, and then no more. */
		for (int round = 0; round < 10; round++) {
			ASSERT_EQ(0, pool("used", &before));
			ASSERT_EQ(0, vt_write_file(SWIOTLB "used_hiwater", "0"));
			EXPECT_EQ(0, load(self->disks, self->count, THREADS, 25)) {
				TH_LOG("%s", vt_error);
			}
			ASSERT_EQ(0, pool("used_hiwater", &high));
			if (high <= before)
				break;
		}
		EXPECT_LE(high, before);
	}

	/* What it wants besides, it gets again; all of it. */
	EXPECT_EQ(0, load(self->disks, self->count, 1, 10)) {
		TH_LOG("%s", vt_error);
	}
	for (double limit = vt_now() + 20; vt_now() < limit; usleep(10000)) {
		ASSERT_EQ(0, pool("used", &after));
		if (after <= before)
			break;
	}
	TH_LOG("%lu of %lu slots at most, %lu before, %lu after, %d errors",
	       high, self->slots, before, after, errors);
	EXPECT_LE(after, before);
	/* A request of 64 slots did not fit any more. */
	if (!self->pools)
		EXPECT_GT(high, self->slots - LENGTH / SLOT);
}

/* It would never find room: it has to be cut, or to fail. */
TEST_F_TIMEOUT(swiotlb, a_request_larger_than_the_pool_ends, VT_TIMEOUT)
{
	void *buf = vt_pages(POOL_MAX);

	ASSERT_NE(NULL, buf);
	ASSERT_LT(self->slots * SLOT, POOL_MAX);
	for (int i = 0; i < self->count; i++) {
		int fd = open(self->disks[i].path, O_RDWR | O_DIRECT);

		ASSERT_GE(fd, 0);
		for (size_t len = VT_MIB / 4; len <= POOL_MAX; len *= 2)
			EXPECT_EQ(0, vt_write_and_read(fd, buf, len,
						       VT_REGION_DATA, len)) {
				TH_LOG("%s: %s", self->disks[i].path, vt_error);
			}
		close(fd);
	}
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * A device that the guest has given to VFIO is isolated, whatever the default
 * domain type is and whatever virtio does.  Its DMA goes where the container
 * has a mapping, and nowhere else.  All virtio disks and NICs are busy during
 * the test, and their data is checked.
 */
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "vtest.h"
#include "vtest_engine.h"
#include "vtest_load.h"
#include "vtest_traffic.h"
#include "vtest_vfio.h"

#define RW	(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

/* Seconds to wait for a fault in the log, until there is another, and at most. */
#define FAULT_AGAIN	0.7
#define FAULT_PATIENCE	40

/* A page that a device may be given, between two that it must not touch. */
#define PAGES		3
#define SIZE		(PAGES * VT_PAGE)

struct memory {
	__u8 *before;
	__u8 *page;
	__u64 seed;
};

/* --- memory --- */

/* Filled with contents that no device writes. */
static void memory_fill(struct memory *memory)
{
	memory->seed = vt_mix(memory->seed);
	vt_fill(memory->before, SIZE, memory->seed, 0);
}

static int memory_new(struct memory *memory, __u64 seed)
{
	memory->before = vt_pages(SIZE);
	if (!memory->before || mlock(memory->before, SIZE))
		return vt_fail("out of memory");
	memory->page = memory->before + VT_PAGE;
	memory->seed = seed;
	memory_fill(memory);
	return 0;
}

/* Nothing of it was written. */
static int memory_untouched(const struct memory *memory)
{
	return vt_check(memory->before, SIZE, memory->seed, 0);
}

/* Nothing but the page was written. */
static int memory_around_untouched(const struct memory *memory)
{
	return vt_check(memory->before, VT_PAGE, memory->seed, 0) ?:
	       vt_check(memory->page + VT_PAGE, VT_PAGE, memory->seed,
			2 * VT_PAGE);
}

/* Something for the device to read at the page, and nowhere else. */
static __u64 memory_hide(struct memory *memory)
{
	__u64 secret = vt_mix(~memory->seed) & ((1ULL << VT_SECRET_BITS) - 1);

	memcpy(memory->page, &secret, sizeof(secret));
	return secret;
}

/* --- the fixture --- */

/* It goes on from before the first test until after the last. */
static struct vt_traffic traffic;
static int traffic_kinds;

struct given {
	const struct vt_engine *engine;
	struct vt_vfio dev;
	struct memory memory;
	char type[16];		/* of the group, before VFIO had a domain for it */
};

FIXTURE(vfio)
{
	struct given given;
};

FIXTURE_VARIANT(vfio)
{
	const struct vt_engine *engine;
};

FIXTURE_VARIANT_ADD(vfio, edu)
{
	.engine = &vt_edu,
};

FIXTURE_VARIANT_ADD(vfio, nvme)
{
	.engine = &vt_nvme,
};

static int begin(struct given *given, __u64 seed)
{
	if (vt_vfio_type(&given->dev, given->type, sizeof(given->type)) ||
	    memory_new(&given->memory, seed) || vt_vfio_open(&given->dev))
		goto give_back;
	if (!given->engine->start(&given->dev, seed) &&
	    !vt_traffic_moves(&traffic))
		return 0;
	vt_vfio_close(&given->dev);
give_back:
	vt_vfio_give_back(&given->dev);
	return -1;
}

FIXTURE_SETUP(vfio)
{
	struct given *given = &self->given;
	__u64 seed = vt_now() * 1e9;

	given->engine = variant->engine;
	if (vt_vfio_find(&given->dev, given->engine->vendor,
			 given->engine->device))
		SKIP(return, "%s (%s)", vt_error, given->engine->name);
	if (vt_vfio_take(&given->dev)) {
		if (given->dev.ungrouped)
			SKIP(return, "%s (%s)", vt_error, given->engine->name);
		ASSERT_EQ(0, -1) {
			TH_LOG("%s", vt_error);
		}
	}
	vt_seed(&seed);
	TH_LOG("%s, seed %llu", given->dev.pci, (unsigned long long)seed);
	CHECK(begin(given, seed));
}

FIXTURE_TEARDOWN(vfio)
{
	struct given *given = &self->given;

	EXPECT_EQ(0, vt_traffic_moves(&traffic)) {
		TH_LOG("%s", vt_error);
	}
	vt_vfio_close(&given->dev);
	EXPECT_EQ(0, vt_vfio_give_back(&given->dev)) {
		TH_LOG("%s", vt_error);
	}
}

/* The device tries to write to where it may not, and nothing comes of it. */
static int write_fails(struct given *given, __u64 iova)
{
	memory_fill(&given->memory);
	return given->engine->touch(&given->dev, iova) < 0 ? -1 :
	       memory_untouched(&given->memory);
}

/*
 * And the kernel logs a fault.  It drops messages of many faults in a short
 * time, so the device tries again until one is there.
 */
static int write_faults(struct given *given, __u64 iova)
{
	double limit = vt_now() + FAULT_PATIENCE;

	while (vt_now() < limit) {
		double again = vt_now() + FAULT_AGAIN;

		if (write_fails(given, iova))
			return -1;
		if (!vt_vfio_reports(&given->dev))
			return 0;
		for (; vt_now() < again; usleep(5000))
			if (vt_vfio_faulted(&given->dev, iova))
				return 0;
	}
	return vt_fail("no fault at %#llx in the kernel's log",
		       (unsigned long long)iova);
}

/* The device writes to the page at iova, and to nothing else. */
static int write_arrives(struct given *given, __u64 iova)
{
	memory_fill(&given->memory);
	if (given->engine->put(&given->dev, iova))
		return -1;
	return given->engine->holds(given->memory.page) ?:
	       memory_around_untouched(&given->memory);
}

static int read_arrives(struct given *given, __u64 iova)
{
	__u64 secret = memory_hide(&given->memory);
	bool known = false;

	if (given->engine->get(&given->dev, iova, secret, &known))
		return -1;
	return known ? 0 : vt_fail("%s has not read what is at %#llx",
				   given->engine->name, (unsigned long long)iova);
}

/* --- the tests --- */

/* VFIO attaches a domain of its own; the default of the group stays. */
TEST_F_TIMEOUT(vfio, the_group_has_no_other_device_and_keeps_its_type, VT_TIMEOUT)
{
	struct given *given = &self->given;
	char type[16];

	EXPECT_EQ(1, vt_vfio_neighbours(&given->dev)) {
		TH_LOG("%s", vt_error);
	}
	CHECK(vt_vfio_type(&given->dev, type, sizeof(type)));
	EXPECT_STREQ(given->type, type);
	EXPECT_TRUE(!strcmp(type, "identity") || !strcmp(type, "DMA") ||
		    !strcmp(type, "DMA-FQ"));
	CHECK(vt_nobodys(VT_IOVA_OWN, 2 * VT_MIB));
}

TEST_F_TIMEOUT(vfio, what_is_mapped_arrives, VT_TIMEOUT)
{
	struct given *given = &self->given;

	CHECK(vt_vfio_map(&given->dev, given->memory.page, VT_PAGE, VT_IOVA_TEST,
			  RW));
	CHECK(write_arrives(given, VT_IOVA_TEST));
	CHECK(read_arrives(given, VT_IOVA_TEST));
}

TEST_F_TIMEOUT(vfio, what_is_not_mapped_faults_and_is_not_touched, VT_TIMEOUT)
{
	struct given *given = &self->given;

	/* With mappings on both sides of what is not mapped. */
	CHECK(vt_vfio_map(&given->dev, given->memory.before, VT_PAGE, VT_IOVA_TEST,
			  RW));
	CHECK(vt_vfio_map(&given->dev, given->memory.page + VT_PAGE, VT_PAGE,
			  VT_IOVA_TEST + 2 * VT_PAGE, RW));
	CHECK(write_faults(given, VT_IOVA_TEST + VT_PAGE));
}

/*
 * What a passthrough by mistake would let through.  The page is mapped at
 * another address, so that it stays where it is.
 */
static int map_and_locate(struct given *given, __u64 *physical)
{
	if (vt_vfio_map(&given->dev, given->memory.page, VT_PAGE, VT_IOVA_TEST,
			RW) ||
	    vt_physical(given->memory.page, physical))
		return -1;
	return vt_nobodys(*physical, VT_PAGE) ? 0 :
	       vt_fail("%#llx is no memory", (unsigned long long)*physical);
}

TEST_F_TIMEOUT(vfio, a_physical_address_faults_and_is_not_written, VT_TIMEOUT)
{
	struct given *given = &self->given;
	__u64 physical, after;

	CHECK(map_and_locate(given, &physical));
	CHECK(write_faults(given, physical));
	CHECK(vt_physical(given->memory.page, &after));
	EXPECT_EQ(physical, after);
	/* The device has not given up: what it may do, it does. */
	CHECK(write_arrives(given, VT_IOVA_TEST));
}

TEST_F_TIMEOUT(vfio, what_is_unmapped_faults_again, VT_TIMEOUT)
{
	struct given *given = &self->given;
	struct memory old = given->memory;

	CHECK(vt_vfio_map(&given->dev, old.page, VT_PAGE, VT_IOVA_TEST, RW));
	CHECK(write_arrives(given, VT_IOVA_TEST));
	CHECK(vt_vfio_unmap(&given->dev, VT_IOVA_TEST, VT_PAGE));
	CHECK(write_faults(given, VT_IOVA_TEST));

	/* Something else is there: that is written, and the old page is not. */
	old = given->memory;
	CHECK(memory_new(&given->memory, vt_mix(old.seed)));
	CHECK(vt_vfio_map(&given->dev, given->memory.page, VT_PAGE, VT_IOVA_TEST,
			  RW));
	CHECK(write_arrives(given, VT_IOVA_TEST));
	CHECK(memory_untouched(&old));
}

/* From here on nothing waits for faults, so that the log has room for others. */
TEST_F_TIMEOUT(vfio, a_read_only_mapping_is_read_and_not_written, VT_TIMEOUT)
{
	struct given *given = &self->given;

	CHECK(vt_vfio_map(&given->dev, given->memory.page, VT_PAGE, VT_IOVA_TEST,
			  VFIO_DMA_MAP_FLAG_READ));
	CHECK(write_fails(given, VT_IOVA_TEST));
	CHECK(read_arrives(given, VT_IOVA_TEST));
	/* Now that it has been translated for reading. */
	CHECK(write_fails(given, VT_IOVA_TEST));
}

TEST_F_TIMEOUT(vfio, a_physical_address_is_not_read, VT_TIMEOUT)
{
	struct given *given = &self->given;
	__u64 physical, secret;
	bool known = false;

	CHECK(map_and_locate(given, &physical));
	secret = memory_hide(&given->memory);
	ASSERT_LE(0, given->engine->get(&given->dev, physical, secret, &known)) {
		TH_LOG("%s", vt_error);
	}
	EXPECT_FALSE(known);
	CHECK(read_arrives(given, VT_IOVA_TEST));
}

/* Without devices to be busy there is nothing wrong, but it is to be seen. */
FIXTURE(traffic)
{
};

FIXTURE_SETUP(traffic)
{
	if (!traffic_kinds)
		SKIP(return, "no disk whose serial begins with vt, no pair of NICs");
}

FIXTURE_TEARDOWN(traffic)
{
}

TEST_F_TIMEOUT(traffic, virtio_is_busy_meanwhile, VT_TIMEOUT)
{
	for (int i = 0; i < 3; i++)
		CHECK(vt_traffic_moves(&traffic));
}

/* The harness does not come back, it exits. */
static void traffic_end(void)
{
	if (!vt_traffic_stop(&traffic))
		return;
	printf("# virtio traffic: %s\n", vt_error);
	fflush(stdout);
	_exit(KSFT_FAIL);
}

int main(int argc, char **argv)
{
	struct vt_vfio dev;

	if (vt_vfio_find(&dev, vt_edu.vendor, vt_edu.device) &&
	    vt_vfio_find(&dev, vt_nvme.vendor, vt_nvme.device))
		ksft_exit_skip("%s\n", vt_error);
	traffic_kinds = vt_traffic_start(&traffic);
	if (traffic_kinds < 0)
		ksft_exit_fail_msg("virtio traffic: %s\n", vt_error);
	if (atexit(traffic_end))
		abort();
	return test_harness_run(argc, argv);
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A test is a function with a sentence as its name.  It runs in a process of
 * its own for each layout, once for every combination of the axes that it asks
 * for.  An axis that it does not ask for has its first value.
 */
#ifndef VRING_TEST_H
#define VRING_TEST_H

#include "model_driver.h"

enum access {
	TRANSLATED,		/* ACCESS_PLATFORM, behind a translating IOMMU */
	PHYSICAL,		/* no ACCESS_PLATFORM, whatever the bus has */
	DIRECT,			/* ACCESS_PLATFORM, no IOMMU, a mask of 48 bits */
	IDENTITY,		/* ACCESS_PLATFORM, IOMMU in passthrough */
	BOUNCED,		/* ACCESS_PLATFORM, swiotlb=force; no work is done */
	PHYSICAL_BOUNCED,	/* no ACCESS_PLATFORM, the same */
	TRANSLATED_MAPPED,	/* TRANSLATED, with bounce_max=0 */
	DIRECT_ACCOUNTED,	/* DIRECT, with CONFIG_DMA_API_DEBUG */
	PHYSICAL_ACCOUNTED,	/* PHYSICAL, with CONFIG_DMA_API_DEBUG */
	TRANSLATED_NONCOHERENT,	/* TRANSLATED, the device does not see caches */
	TRANSLATED_OPS,		/* ACCESS_PLATFORM, by operations of the architecture */
	PHYSICAL_OPS,		/* no ACCESS_PLATFORM, whatever these do */
	TRANSLATED_CHECKED,	/* TRANSLATED, with bounce_max=-1 */
	POOLED,			/* BOUNCED, and work is done: there is a pool */
	PHYSICAL_POOLED,	/* PHYSICAL_BOUNCED, the same */
	ACCESS_KINDS,
};

#define AXIS_ACCESS	0x01	/* all of enum access */
#define AXIS_INDIRECT	0x02	/* with and without VIRTIO_F_INDIRECT_DESC */
#define AXIS_EVENT	0x04	/* with and without VIRTIO_F_EVENT_IDX */
#define AXIS_NUM	0x08	/* 16, 1 and 256 descriptors; packed also 7 */
#define AXIS_BARRIERS	0x10	/* weak and strong */
#define AXIS_CELLS	0x20	/* of enum access those that use cells for data */
#define AXIS_PREMAPPED	0x40	/* mapped by the ring, and by the driver */
#define AXIS_POOLS	0x80	/* those with a pool, or besides */
#define ONLY_SPLIT	0x100
#define ONLY_PACKED	0x200
#define LEGACY		0x400	/* without VERSION_1, split only */
#define LACKS		0x800	/* the ring under test has not got what is tested */
#define AXIS_ALL	(AXIS_ACCESS | AXIS_INDIRECT | AXIS_EVENT)

/*
 * Every patch of the series is tested, with rings that cannot do all.  A test says
 * what the ring must be able to do, a word of the Makefile.
 */
#define NEEDS(what)	(RING_##what ? 0 : LACKS)

struct run {
	bool packed, indirect, event, strong, premapped;
	enum access access;
	unsigned int num;
	struct device_model dev;
	struct driver drv;
	struct dev_queue *q;
};

struct test {
	const char *name;
	void (*fn)(struct run *t);
	unsigned int axes;
};

/*
 * test_variant - the @nth combination of the axes that a test asks for
 * @axes: AXIS_* and the like
 * @packed: which layout
 * @nth: from 0 on
 * @v: what to run
 *
 * Returns false if there are no more.
 */
bool test_variant(unsigned int axes, bool packed, unsigned int nth, struct run *v);

/* Make everything new for one variant of a test with these axes. */
void test_begin(struct run *t, unsigned int axes);

/* Nothing may be left once every request is taken back and every queue gone. */
void test_end(struct run *t);

const char *test_access_name(enum access access);

/* Features of the device as this variant has them. */
u64 test_features(const struct run *t);

/* Whether requests go through cells. */
bool test_translated(const struct run *t);

/* Whether every buffer is bounced, by swiotlb or in a pool. */
bool test_bounced(const struct run *t);

/* Whether all of that is in a pool. */
bool test_pooled(const struct run *t);

/* Whether a ring has cells, for indirect tables if for nothing else. */
bool test_has_cells(const struct run *t);

/* Whether mappings need no undoing. */
bool test_map_only(const struct run *t);

/* Whether physical addresses are used without asking the DMA API for them. */
bool test_unasked(const struct run *t);

/* Length of the longest list that is copied, in bytes; 0: none is. */
u32 test_copied(const struct run *t);

/* Segments of a list of @entries whose addresses do not touch. */
unsigned int test_list_segs(const struct run *t, unsigned int entries, u32 len);

/* What adding a request says of a mapping that failed. */
int test_map_error(const struct run *t);

/* Whether the device takes physical addresses. */
bool test_physical(const struct run *t);

/* virtio_ring.bounce_max= of queues created from now on. */
void test_bounce_max(const char *value);

/* The usual queue of this variant, number 0, with a driver on it. */
void test_queue(struct run *t);
void test_queue_opts(struct run *t, const struct queue_opts *o);
void test_queue_with(struct run *t, const char *bounce_max, unsigned int num);

/* Add a request, as DRV_SGS_LISTS; how many mappings that took. */
unsigned long test_add(struct run *t, struct drv_req *r);

/* Let the device do the @n requests there are, and take and free them. */
void test_serve(struct run *t, unsigned int n);

/* Both with a request of this shape; how many mappings that took. */
unsigned long test_round_trip(struct run *t, const struct drv_shape *shape);

/* Start a device with other features than usual, before test_queue(). */
void test_device(struct run *t, u64 features);

extern const struct test add_tests[], event_tests[], create_tests[], dma_tests[],
	segs_tests[], cell_tests[], order_tests[], reset_tests[], length_tests[], show_tests[],
	failure_tests[], ops_tests[], checkers_tests[], pool_tests[], used_tests[], map_tests[];

#endif

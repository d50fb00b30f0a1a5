// SPDX-License-Identifier: GPL-2.0
/*
 * A disk whose back end is this process, driven by virtio-blk through
 * virtio-vdpa.  First it behaves, and then it acts like a hostile device.  The
 * ring must go on correctly, or break the queue with one message.
 *
 * This test breaks a queue only while nothing is in flight.  On removal,
 * virtio-blk waits for requests in flight, and in a broken queue they never
 * complete.  vduse_net.c has the attacks with requests in flight.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "vtest.h"
#include "vtest_hostile.h"
#include "vtest_load.h"
#include "vtest_vdpa.h"

#define SIZE		(2 * VT_MIB)
#define NAME		"vtblk"
#define MARK		0x5a	/* what the device's memory is filled with */
#define UNTOUCHED	0xaa	/* what a reader's buffer is filled with */
#define LOADERS		3
#define LOAD_MAX	(32 * VT_KIB)

static __u8 store[SIZE];

static struct virtio_blk_config config = {
	.capacity = SIZE / VT_SECTOR,
	.seg_max = 30,
};

static struct vd_dev dev = {
	.name = NAME,
	.driver = "virtio_blk",
	.queue_name = { "req.0" },
	.type = VIRTIO_ID_BLOCK,
	.queues = 1,
	.config = &config,
	.config_size = sizeof(config),
	/* Far more than any request takes, or one that does not fit waits for ever. */
	.bounce_size = 4 * VT_MIB,
	.own_bounce = true,
};

static struct vd_queue *queue = &dev.queue[0];

/* What the device does with a request that it has done and not yet returned. */
static void (*twist)(struct vd_chain *chain, __u32 *len);
static __u64 seed;

/* --- the back end --- */

static __u32 do_request(struct vd_chain *chain)
{
	size_t in = vd_length(chain, true), out = vd_length(chain, false);
	__u8 status = VIRTIO_BLK_S_UNSUPP;
	struct virtio_blk_outhdr header;
	__u64 pos;

	if (!in || vd_read(&dev, chain, 0, &header, sizeof(header)) !=
		   sizeof(header))
		return 0;
	pos = header.sector * VT_SECTOR;
	if (header.type == VIRTIO_BLK_T_IN && pos + in - 1 <= SIZE &&
	    vd_write(&dev, chain, 0, store + pos, in - 1) == in - 1)
		status = VIRTIO_BLK_S_OK;
	out -= sizeof(header);
	if (header.type == VIRTIO_BLK_T_OUT && pos + out <= SIZE &&
	    vd_read(&dev, chain, sizeof(header), store + pos, out) == out)
		status = VIRTIO_BLK_S_OK;
	vd_write(&dev, chain, in - 1, &status, 1);
	return in;
}

static void serve(struct vd_dev *unused)
{
	static struct vd_chain chain;
	bool any = false;

	while (vd_pop(&dev, queue, &chain)) {
		__u32 len = do_request(&chain);

		if (twist)
			twist(&chain, &len);
		vd_push(queue, &chain, len);
		any = true;
	}
	if (any && vd_interrupt(&dev, queue))
		vd_complain("an interrupt");
}

/* --- the user of the disk --- */

struct io {
	pthread_t thread;
	int fd;
	bool write;
	void *buf;
	size_t len;
	__u64 pos;
	ssize_t ret;
	int err;
	bool done;
};

static void *io_thread(void *arg)
{
	struct io *io = arg;

	io->ret = io->write ? pwrite(io->fd, io->buf, io->len, io->pos) :
			      pread(io->fd, io->buf, io->len, io->pos);
	io->err = errno;
	__atomic_store_n(&io->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static int io_start(struct io *io)
{
	io->done = false;
	return pthread_create(&io->thread, NULL, io_thread, io) ?
	       vt_fail("no thread") : 0;
}

/* Each in a region of its own. */
static int load(const char *path, unsigned int rounds)
{
	struct vt_loader loaders[LOADERS] = { 0 };

	for (unsigned int i = 0; i < LOADERS; i++) {
		loaders[i].path = path;
		loaders[i].pos = i * LOAD_MAX;
		loaders[i].max = LOAD_MAX;
		loaders[i].rounds = vt_scale(rounds);
	}
	return vt_load(loaders, LOADERS);
}

/* --- the tests --- */

/* Requests are right, and the log has nothing to say about the queue. */
static int is_harmless(int log, const char *path)
{
	return load(path, 8) ?: vd_none_broken(&dev, log);
}

/*
 * What was done to the queue breaks it, with one message that names it and says
 * why.  From then on there are errors, at once.
 */
static int breaks(int log, int fd, void *buf, const char *words)
{
	if (vd_breaks(&dev, 0, log, words))
		return -1;
	if (pread(fd, buf, 4096, 0) != -1 || errno != EIO)
		return vt_fail("a read of a broken queue: %s", strerror(errno));
	if (vd_interrupt(&dev, queue))
		return -1;
	usleep(50000);
	return vd_no_more(&dev, 0, log);
}

FIXTURE(blk)
{
	char path[64];
	__u8 *buf;
	int fd;
	int log;
	bool created;
	double started;
};

FIXTURE_VARIANT(blk)
{
	__u64 features;
	__u16 num;
};

FIXTURE_VARIANT_ADD(blk, split)
{
	.features = 1ULL << VIRTIO_RING_F_INDIRECT_DESC |
		    1ULL << VIRTIO_RING_F_EVENT_IDX,
	.num = 64,
};

/* vduse_net.c has these the other way round. */
FIXTURE_VARIANT_ADD(blk, packed)
{
	.features = 1ULL << VIRTIO_F_RING_PACKED,
	.num = 50,
};

/* On every new disk, whatever was done to the one before. */
static int well_behaved(int fd, __u8 *buf)
{
	return vt_write_and_read(fd, buf, VT_SECTOR, VT_MIB, 1) ?:
	       vt_write_and_read(fd, buf, LOAD_MAX, VT_MIB, 2);
}

FIXTURE_SETUP(blk)
{
	int ret;

	self->created = false;
	self->started = vt_now();
	seed = self->started * 1e9;
	memset(store, 0, sizeof(store));
	dev.offered = variant->features | 1ULL << VIRTIO_F_VERSION_1 |
		      1ULL << VIRTIO_F_ACCESS_PLATFORM |
		      1ULL << VIRTIO_BLK_F_SEG_MAX;
	dev.num = variant->num;
	dev.serve = serve;
	self->log = vt_log_open();
	ASSERT_GE(self->log, 0) {
		TH_LOG("%s", vt_error);
	}
	CHECK(vd_create(&dev));
	self->created = true;
	self->buf = vt_pages(SIZE);
	ret = self->buf ? vt_vdpa_disk(dev.virtio, self->path,
				       sizeof(self->path)) : -1;
	self->fd = ret ? -1 : open(self->path, O_RDWR | O_DIRECT);
	ret = self->fd < 0 ? -1 : well_behaved(self->fd, self->buf);
	if (!ret && (dev.features & variant->features) != variant->features)
		ret = vt_fail("features %llx were negotiated",
			      (unsigned long long)dev.features);
	if (ret) {
		close(self->fd);
		vd_destroy(&dev);
	}
	CHECK(ret);
}

FIXTURE_TEARDOWN(blk)
{
	if (!self->created)
		return;
	twist = NULL;
	vd_go_on(&dev, serve);
	close(self->fd);
	EXPECT_EQ(0, vd_destroy(&dev)) {
		TH_LOG("%s", vt_error);
	}
	EXPECT_EQ(-1, access("/sys/bus/vdpa/devices/" NAME, F_OK));
	vd_pace(self->started, 1);
}

TEST_F_TIMEOUT(blk, requests_of_512_bytes_to_256_kib_keep_their_data, VT_TIMEOUT)
{
	static const size_t lengths[] = {
		512, 1024, 4096, 4608, 65536, 128 * VT_KIB + 512, 256 * VT_KIB,
	};

	for (size_t i = 0; i < VT_ARRAY_SIZE(lengths); i++) {
		CHECK(vt_write_and_read(self->fd, self->buf, lengths[i],
					i * VT_PAGE, i));
	}
	CHECK(is_harmless(self->log, self->path));
}

static bool is_readable(const struct vd_chain *chain, __u64 addr)
{
	if (addr >= chain->table && addr < chain->table + chain->table_len)
		return true;
	for (int i = 0; i < chain->count; i++)
		if (!chain->seg[i].write && addr >= chain->seg[i].addr &&
		    addr < chain->seg[i].addr + chain->seg[i].len)
			return true;
	return false;
}

/* Of what the kernel has, the device sees what was written and no more. */
TEST_F_TIMEOUT(blk, the_device_is_shown_what_was_asked_and_no_more, VT_TIMEOUT)
{
	static const size_t lengths[] = { 512, 4096, 66048 };

	for (size_t i = 0; i < VT_ARRAY_SIZE(lengths); i++) {
		struct virtio_blk_outhdr header;
		struct vd_chain chain;
		struct io io = {
			.fd = self->fd, .write = true, .buf = self->buf,
			.len = lengths[i], .pos = 8 * VT_SECTOR,
		};
		size_t shown = 0;

		vd_hold(&dev);
		memset(dev.bounce, MARK, dev.bounce_size);
		vt_fill(self->buf, io.len, i, 0);
		ASSERT_EQ(0, io_start(&io));
		ASSERT_EQ(0, vd_pop_soon(&dev, queue, &chain));
		EXPECT_EQ(sizeof(header),
			  vd_read(&dev, &chain, 0, &header, sizeof(header)));
		EXPECT_EQ((__u32)VIRTIO_BLK_T_OUT, header.type);
		EXPECT_EQ(8ULL, header.sector);
		EXPECT_EQ(sizeof(header) + io.len, vd_length(&chain, false));
		EXPECT_EQ(1UL, vd_length(&chain, true));
		for (size_t at = 0; at < dev.bounce_size; at++) {
			if (dev.bounce[at] == MARK)
				continue;
			shown++;
			ASSERT_TRUE(is_readable(&chain, at)) {
				TH_LOG("byte %zx of the device's memory is %02x",
				       at, dev.bounce[at]);
			}
		}
		/* A byte may happen to be what the memory was filled with. */
		EXPECT_GT(shown, io.len * 9 / 10);
		vd_push(queue, &chain, do_request(&chain));
		ASSERT_EQ(0, vd_interrupt(&dev, queue));
		vd_go_on(&dev, serve);
		pthread_join(io.thread, NULL);
		EXPECT_EQ((ssize_t)io.len, io.ret);
		EXPECT_EQ(0, vt_check(store + io.pos, io.len, i, 0));
	}
	CHECK(is_harmless(self->log, self->path));
}

/* What the device does not write is what it could have written, or untouched. */
TEST_F_TIMEOUT(blk, a_read_cut_short_shows_nothing_of_others, VT_TIMEOUT)
{
	static const __u8 ok = VIRTIO_BLK_S_OK;
	const size_t half = 2048;
	struct vd_chain chain;
	struct io io = {
		.fd = self->fd, .buf = self->buf, .len = 4096,
	};

	vt_fill(store, half, 5, 0);
	for (int pass = 0; pass < 2; pass++) {
		vd_hold(&dev);
		memset(dev.bounce, MARK, dev.bounce_size);
		memset(self->buf, UNTOUCHED, io.len);
		ASSERT_EQ(0, io_start(&io));
		ASSERT_EQ(0, vd_pop_soon(&dev, queue, &chain));
		vd_write(&dev, &chain, 0, store, half);
		vd_write(&dev, &chain, io.len, &ok, 1);
		/* First it admits it, then it claims to have written all. */
		vd_push(queue, &chain, pass ? io.len + 1 : half);
		ASSERT_EQ(0, vd_interrupt(&dev, queue));
		vd_go_on(&dev, serve);
		pthread_join(io.thread, NULL);
		EXPECT_EQ((ssize_t)io.len, io.ret);
		EXPECT_EQ(0, vt_check(self->buf, half, 5, 0));
		for (size_t i = half; i < io.len; i++) {
			ASSERT_TRUE(self->buf[i] == MARK ||
				    self->buf[i] == UNTOUCHED) {
				TH_LOG("byte %zu is %02x", i, self->buf[i]);
			}
		}
	}
	CHECK(is_harmless(self->log, self->path));
}

static void twist_length(struct vd_chain *chain, __u32 *len)
{
	static const __u32 lengths[] = { 0, 1, 0x10000, 0x7fffffff, 0xffffffff };
	__u64 chance = vd_random(&seed);

	*len = chance % 2 ? lengths[chance / 2 % VT_ARRAY_SIZE(lengths)] :
			    (__u32)(chance >> 32);
}

TEST_F_TIMEOUT(blk, lengths_too_large_or_zero_or_wrong_are_harmless, VT_TIMEOUT)
{
	twist = twist_length;
	CHECK(is_harmless(self->log, self->path));
}

static void twist_descriptors(struct vd_chain *chain, __u32 *len)
{
	vd_spoil_request(&dev, queue, chain, &seed);
}

TEST_F_TIMEOUT(blk, descriptors_and_tables_rewritten_in_flight_are_harmless,
	       VT_TIMEOUT)
{
	twist = twist_descriptors;
	CHECK(is_harmless(self->log, self->path));
}

static void twist_events(struct vd_chain *chain, __u32 *len)
{
	vd_spoil_events(queue, &seed);
}

/* Notifications may be lost then, so the device looks without them. */
TEST_F_TIMEOUT(blk, event_fields_and_flags_at_random_are_harmless, VT_TIMEOUT)
{
	dev.polls = true;
	twist = twist_events;
	CHECK(is_harmless(self->log, self->path));
}

TEST_F_TIMEOUT(blk, a_storm_of_interrupts_is_harmless, VT_TIMEOUT)
{
	struct vd_storm storm;
	unsigned long count;

	CHECK(vd_storm_begin(&storm, &dev));
	EXPECT_EQ(0, load(self->path, 8)) {
		TH_LOG("%s", vt_error);
	}
	count = vd_storm_end(&storm);
	TH_LOG("%lu interrupts", count);
	EXPECT_GT(count, 100UL);
	CHECK(is_harmless(self->log, self->path));
}

TEST_F_TIMEOUT(blk, writes_after_completion_are_harmless, VT_TIMEOUT)
{
	struct vring_used *used = queue->device;

	for (unsigned int i = 0; i < vt_scale(8); i++) {
		CHECK(vt_write_and_read(self->fd, self->buf, LOAD_MAX, 0, i));
		vd_hold(&dev);
		vd_scribble(dev.bounce, LOAD_MAX, &seed);
		for (__u16 slot = 0; slot < queue->num; slot++)
			vd_spoil_desc(queue, slot, &seed);
		if (!queue->packed)
			vd_scribble(used->ring, queue->num *
				    sizeof(used->ring[0]), &seed);
		ASSERT_EQ(0, vd_interrupt(&dev, queue));
		vd_go_on(&dev, serve);
		CHECK(vt_check(self->buf, LOAD_MAX, i, 0));
	}
	CHECK(is_harmless(self->log, self->path));
}

static void twist_all(struct vd_chain *chain, __u32 *len)
{
	__u64 chance = vd_random(&seed);

	if (chance & 1)
		twist_length(chain, len);
	if (chance & 2)
		twist_descriptors(chain, len);
	if (chance & 4)
		twist_events(chain, len);
	if (chance & 8)
		vd_interrupt(&dev, queue);
}

TEST_F_TIMEOUT(blk, all_of_that_at_once_is_harmless, VT_TIMEOUT)
{
	vt_seed(&seed);
	TH_LOG("seed %llu", (unsigned long long)seed);
	dev.polls = true;
	twist = twist_all;
	for (int i = 0; i < 3; i++)
		CHECK(is_harmless(self->log, self->path));
}

TEST_F_TIMEOUT(blk, a_configuration_that_keeps_changing_is_harmless, VT_TIMEOUT)
{
	static const __u64 sectors[] = {
		0, 1, SIZE / VT_SECTOR / 2, 1ULL << 32, 1ULL << 54, ~0ULL,
	};
	struct virtio_blk_config wild;

	for (unsigned int i = 0; i < vt_scale(100); i++) {
		vd_scribble(&wild, sizeof(wild), &seed);
		wild.capacity = sectors[i % VT_ARRAY_SIZE(sectors)];
		ASSERT_EQ(0, vd_set_config(&dev, &wild));
		if (i % 8 == 0)
			usleep(5000);
	}
	ASSERT_EQ(0, vd_set_config(&dev, &config));
	/* The driver reads it in its own time. */
	for (double limit = vt_now() + 20; vt_now() < limit; usleep(10000))
		if (lseek(self->fd, 0, SEEK_END) == SIZE)
			break;
	EXPECT_EQ((off_t)SIZE, lseek(self->fd, 0, SEEK_END));
	CHECK(load(self->path, 8));
}

static void *detach_thread(void *arg)
{
	int ret = vd_detach(&dev);

	__atomic_store_n((bool *)arg, true, __ATOMIC_RELEASE);
	return ret ? arg : NULL;
}

/*
 * virtio-blk has no time-out: reader and removal wait for the device, both of
 * them, and both get what they want when it answers after all.
 */
TEST_F_TIMEOUT(blk, removal_waits_for_a_device_that_does_not_answer, VT_TIMEOUT)
{
	struct io io = {
		.fd = self->fd, .buf = self->buf, .len = LOAD_MAX,
	};
	bool detached = false;
	pthread_t detach;
	void *failed;

	vt_fill(store, io.len, 7, 0);
	vd_hold(&dev);
	ASSERT_EQ(0, io_start(&io));
	usleep(500000);
	ASSERT_EQ(0, pthread_create(&detach, NULL, detach_thread,
				    &detached));
	sleep(1);
	EXPECT_FALSE(__atomic_load_n(&io.done, __ATOMIC_ACQUIRE));
	EXPECT_FALSE(__atomic_load_n(&detached, __ATOMIC_ACQUIRE));
	vd_go_on(&dev, serve);
	pthread_join(io.thread, NULL);
	pthread_join(detach, &failed);
	EXPECT_EQ(NULL, failed) {
		TH_LOG("%s", vt_error);
	}
	EXPECT_EQ((ssize_t)io.len, io.ret) {
		TH_LOG("%s", strerror(io.err));
	}
	EXPECT_EQ(0, vt_check(self->buf, io.len, 7, 0)) {
		TH_LOG("%s", vt_error);
	}
}

TEST_F_TIMEOUT(blk, a_used_entry_for_no_request_breaks_the_queue, VT_TIMEOUT)
{
	vd_hold(&dev);
	vd_push_raw(queue, 0, 1, 1);
	CHECK(breaks(self->log, self->fd, self->buf, queue->packed ?
		     "used id 0 is not in flight" :
		     "1 used entries for 0 requests"));
}

TEST_F_TIMEOUT(blk, an_id_out_of_range_breaks_the_queue, VT_TIMEOUT)
{
	char words[64] = "1 used entries for 0 requests";

	vd_hold(&dev);
	vd_push_raw(queue, queue->num, 1, 1);
	if (queue->packed)
		snprintf(words, sizeof(words), "used id %u out of range",
			 queue->num);
	CHECK(breaks(self->log, self->fd, self->buf, words));
}

/* An index cannot go back; a descriptor of the lap before is not used yet. */
TEST_F_TIMEOUT(blk, a_used_index_or_wrap_counter_of_the_past, VT_TIMEOUT)
{
	vd_hold(&dev);
	if (queue->packed) {
		__u16 was = vd_flip_wrap(queue);

		ASSERT_EQ(0, vd_interrupt(&dev, queue));
		usleep(50000);
		vd_set_flags(queue, was);
		vd_go_on(&dev, serve);
		CHECK(is_harmless(self->log, self->path));
	} else {
		queue->used -= 2;
		vd_push_raw(queue, 0, 1, 1);
		CHECK(breaks(self->log, self->fd, self->buf,
			     "65535 used entries for 0 requests"));
	}
}

/* A reason to skip is the same for all tests. */
int main(int argc, char **argv)
{
	if (vd_missing(&dev))
		ksft_exit_skip("%s\n", vt_error);
	return test_harness_run(argc, argv);
}

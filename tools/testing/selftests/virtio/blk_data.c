// SPDX-License-Identifier: GPL-2.0
/*
 * Data written to virtio-blk and virtio-scsi disks is read back unchanged, in
 * every shape that a direct request can have.  The host finds the same data in
 * the image when the guest is off.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "vtest.h"

#define POISON		0xa5

/* Where in VT_REGION_DATA each test works; the last column of their sum is 32. */
#define SIZES_AT	(VT_REGION_DATA + 0 * VT_MIB)
#define MISALIGNED_AT	(VT_REGION_DATA + 8 * VT_MIB)
#define SCATTERED_AT	(VT_REGION_DATA + 12 * VT_MIB)
#define PROCESSES_AT	(VT_REGION_DATA + 20 * VT_MIB)
#define DEPTH_AT	(VT_REGION_DATA + 28 * VT_MIB)
#define FLUSH_AT	(VT_REGION_DATA + 30 * VT_MIB)
#define ZERO_AT		(VT_REGION_DATA + 31 * VT_MIB)

FIXTURE(blk)
{
	struct vt_disk disks[VT_MAX_DISKS];
	int count;
	__u8 *arena;		/* ARENA_SIZE bytes of single, small pages */
};

#define ARENA_SIZE	(8 * VT_MIB)

FIXTURE_SETUP(blk)
{
	self->count = vt_find_disks(self->disks, VT_MAX_DISKS);
	if (!self->count)
		SKIP(return, "no virtio disk whose serial begins with \"vt\"");
	self->arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->arena);
	/* Scattered must mean scattered; kernels without huge pages refuse. */
	madvise(self->arena, ARENA_SIZE, MADV_NOHUGEPAGE);
}

FIXTURE_TEARDOWN(blk)
{
	if (self->count)
		munmap(self->arena, ARENA_SIZE);
}

/* Runs a step for a disk; a failure names the disk and the reason. */
#define CHECK_DISK(disk, step)						\
	do {								\
		const struct vt_disk *_disk = (disk);			\
									\
		vt_error[0] = '\0';					\
		ASSERT_EQ(0, step) {					\
			TH_LOG("%s (%s, %s): %s", _disk->name,		\
			       _disk->serial, _disk->virtio, vt_error);	\
		}							\
	} while (0)

static int open_direct(const struct vt_disk *disk)
{
	int fd = open(disk->path, O_RDWR | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		vt_fail("open: %s", strerror(errno));
	return fd;
}

/* Each disk and place has contents of its own: a mix-up does not go unseen. */
static __u64 seed_of(const struct vt_disk *disk, __u64 salt)
{
	__u64 seed = salt;

	for (const char *p = disk->serial; *p; p++)
		seed = vt_mix(seed ^ (__u8)*p);
	return seed;
}

static int write_at(int fd, const void *buf, size_t len, __u64 pos)
{
	ssize_t n = pwrite(fd, buf, len, pos);

	if (n == (ssize_t)len)
		return 0;
	return vt_fail("write of %zu bytes at %llu: %zd, %s", len,
		       (unsigned long long)pos, n, strerror(errno));
}

/*
 * The buffer is poisoned first, so that a read that says it succeeded and left
 * the memory alone is found out.
 */
static int read_at(int fd, void *buf, size_t len, __u64 pos)
{
	ssize_t n;

	memset(buf, POISON, len);
	n = pread(fd, buf, len, pos);
	if (n == (ssize_t)len)
		return 0;
	return vt_fail("read of %zu bytes at %llu: %zd, %s", len,
		       (unsigned long long)pos, n, strerror(errno));
}

static int write_seed(int fd, void *buf, size_t len, __u64 seed,
		      __u64 pos)
{
	vt_fill(buf, len, seed, pos);
	return write_at(fd, buf, len, pos);
}

static int read_seed(int fd, void *buf, size_t len, __u64 seed,
		     __u64 pos)
{
	char reason[sizeof(vt_error)];

	if (read_at(fd, buf, len, pos))
		return -1;
	if (!vt_check(buf, len, seed, pos))
		return 0;
	memcpy(reason, vt_error, sizeof(reason));
	return vt_fail("read of %zu bytes at %llu: %.400s", len,
		       (unsigned long long)pos, reason);
}

static int check_sizes(const struct vt_disk *disk, void *arena)
{
	static const size_t lengths[] = {
		512, 1024, 1536, 4096, 4608, 8192, 65536, 128 * VT_KIB + 512,
		VT_MIB, 4 * VT_MIB + 512,
	};
	__u64 seed = seed_of(disk, 1), pos = SIZES_AT;
	int fd = open_direct(disk), ret = 0;

	if (fd < 0)
		return -1;
	for (size_t i = 0; !ret && i < VT_ARRAY_SIZE(lengths); i++) {
		ret = write_seed(fd, arena, lengths[i], seed, pos);
		if (!ret)
			ret = read_seed(fd, arena, lengths[i], seed, pos);
		pos += lengths[i];
	}
	/* Once more, all of it at once: no write has touched its neighbours. */
	if (!ret)
		ret = read_seed(fd, arena, pos - SIZES_AT, seed, SIZES_AT);
	close(fd);
	if (!ret)
		ret = vt_hostcheck_seed(disk->serial, SIZES_AT, pos - SIZES_AT,
					seed);
	return ret;
}

TEST_F_TIMEOUT(blk, requests_of_512_bytes_to_4_mib_keep_their_data, VT_TIMEOUT)
{
	for (int i = 0; i < self->count; i++)
		CHECK_DISK(&self->disks[i],
			   check_sizes(&self->disks[i], self->arena));
}

/* The poison before and behind a buffer is still there. */
static int check_around(const __u8 *buf, size_t len)
{
	for (int i = 0; i < 64; i++)
		if (buf[-1 - i] != POISON || buf[len + i] != POISON)
			return vt_fail("a byte outside of a buffer of %zu bytes was written",
				       len);
	return 0;
}

static int check_misaligned(const struct vt_disk *disk, __u8 *arena)
{
	static const size_t lengths[] = { 512, 4096, 12 * 1024 + 512, 65536 };
	unsigned int align = disk->mem_align;
	/* Offsets in a page; each is a multiple of what the queue permits. */
	const size_t offsets[] = {
		align, 3 * align, 512, 512 + align, 2048, 4096 - 512,
		4096 - align,
	};
	__u64 seed = seed_of(disk, 2), pos = MISALIGNED_AT;
	int fd = open_direct(disk), ret = 0;

	if (fd < 0)
		return -1;
	for (size_t i = 0; !ret && i < VT_ARRAY_SIZE(offsets); i++) {
		for (size_t k = 0; !ret && k < VT_ARRAY_SIZE(lengths); k++) {
			size_t len = lengths[k];
			__u8 *buf = arena + VT_PAGE + offsets[i];

			memset(arena, POISON, len + 4 * VT_PAGE);
			ret = write_seed(fd, buf, len, seed, pos);
			if (!ret)
				ret = read_seed(fd, buf, len, seed, pos);
			if (!ret)
				ret = check_around(buf, len);
			pos += len;
		}
	}
	close(fd);
	if (!ret)
		ret = vt_hostcheck_seed(disk->serial, MISALIGNED_AT,
					pos - MISALIGNED_AT, seed);
	return ret;
}

TEST_F_TIMEOUT(blk, buffers_may_be_as_misaligned_as_the_queue_permits,
	       VT_TIMEOUT)
{
	for (int i = 0; i < self->count; i++)
		CHECK_DISK(&self->disks[i],
			   check_misaligned(&self->disks[i], self->arena));
}

/*
 * count segments of seg bytes, no two of them neighbours in memory: the order
 * of the pages is reversed, and a segment never begins where a page does unless
 * it is a whole one.
 */
static void scatter(struct iovec *iov, int count, size_t seg, __u8 *arena)
{
	for (int i = 0; i < count; i++) {
		size_t skip = seg == VT_PAGE ? 0 : 512 * (1 + i % 7);

		iov[i].iov_base = arena + (size_t)(count - 1 - i) * VT_PAGE +
				  skip;
		iov[i].iov_len = seg;
	}
}

static int check_scattered(const struct vt_disk *disk, __u8 *arena)
{
	static const struct {
		int count;
		size_t seg;
	} shapes[] = {
		{ 2, 4096 }, { 3, 512 }, { 17, 4096 }, { 126, 4096 },
		{ 127, 512 }, { 254, 4096 }, { 255, 512 }, { 513, 512 },
		{ IOV_MAX, 512 }, { IOV_MAX, 4096 },
	};
	__u64 seed = seed_of(disk, 3), pos = SCATTERED_AT;
	static struct iovec iov[IOV_MAX];
	int fd = open_direct(disk), ret = 0;

	if (fd < 0)
		return -1;
	for (size_t i = 0; !ret && i < VT_ARRAY_SIZE(shapes); i++) {
		size_t seg = shapes[i].seg, done;
		int count = shapes[i].count;
		size_t len = count * seg;
		ssize_t n;

		scatter(iov, count, seg, arena);
		for (int s = 0; s < count; s++)
			vt_fill(iov[s].iov_base, seg, seed, pos + s * seg);
		n = pwritev(fd, iov, count, pos);
		if (n != (ssize_t)len) {
			ret = vt_fail("pwritev of %d times %zu bytes: %zd, %s",
				      count, seg, n, strerror(errno));
			break;
		}

		memset(arena, POISON, count * VT_PAGE);
		for (done = 0; done < len; done += n) {
			/* A request may be cut short; always at a segment. */
			n = preadv(fd, iov + done / seg, count - done / seg,
				   pos + done);
			if (n > 0 && n % seg == 0)
				continue;
			ret = vt_fail("preadv of %d times %zu bytes: %zd, %s",
				      count, seg, n, strerror(errno));
			break;
		}
		for (int s = 0; !ret && s < count; s++)
			ret = vt_check(iov[s].iov_base, seg, seed,
				       pos + s * seg);
		pos += len;
	}
	/* The same in one piece of memory: the order of segments was right. */
	for (__u64 at = SCATTERED_AT; !ret && at < pos; ) {
		size_t len = pos - at < VT_MIB ? pos - at : VT_MIB;

		ret = read_seed(fd, arena, len, seed, at);
		at += len;
	}
	close(fd);
	if (!ret)
		ret = vt_hostcheck_seed(disk->serial, SCATTERED_AT,
					pos - SCATTERED_AT, seed);
	return ret;
}

TEST_F_TIMEOUT(blk, requests_of_up_to_iov_max_segments_keep_their_data,
	       VT_TIMEOUT)
{
	for (int i = 0; i < self->count; i++)
		CHECK_DISK(&self->disks[i],
			   check_scattered(&self->disks[i], self->arena));
}

#define PROCESSES	8
#define PROCESS_BYTES	(256 * VT_KIB)

/* One process: writes its part in pieces of changing size, reading as it goes. */
static int process(const struct vt_disk *disk, int index, __u8 *arena)
{
	__u64 start = PROCESSES_AT + index * PROCESS_BYTES, at = 0;
	__u64 seed = seed_of(disk, 100 + index);
	unsigned int turn = 0;
	int fd, ret = 0;

	fd = open_direct(disk);
	if (fd < 0)
		return -1;
	while (!ret && at < PROCESS_BYTES) {
		size_t len = 512 << (vt_mix(seed + turn++) % 8);

		if (len > PROCESS_BYTES - at)
			len = PROCESS_BYTES - at;
		ret = write_seed(fd, arena, len, seed, start + at);
		at += len;
		if (!ret && turn % 3 == 0) {
			/* Anything that was written, sectors not the same. */
			__u64 from = vt_mix(seed ^ turn) % at / 512 * 512;
			size_t n = at - from < 65536 ? at - from : 65536;

			ret = read_seed(fd, arena, n, seed, start + from);
		}
	}
	if (!ret)
		ret = read_seed(fd, arena, PROCESS_BYTES, seed, start);
	close(fd);
	return ret;
}

static int check_processes(const struct vt_disk *disk, __u8 *arena)
{
	pid_t pids[PROCESSES];
	int status, ret = 0;

	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			ret = process(disk, i, arena);
			if (ret)
				printf("# %s: process %d: %s\n", disk->name, i,
				       vt_error);
			fflush(stdout);
			_exit(!!ret);
		}
		if (pids[i] < 0)
			ret = vt_fail("fork: %s", strerror(errno));
	}
	for (int i = 0; i < PROCESSES; i++) {
		if (pids[i] < 0)
			continue;
		if (waitpid(pids[i], &status, 0) != pids[i] || status)
			ret = vt_fail("process %d failed, status %#x", i,
				      status);
	}
	for (int i = 0; !ret && i < PROCESSES; i++)
		ret = vt_hostcheck_seed(disk->serial,
					PROCESSES_AT + i * PROCESS_BYTES,
					PROCESS_BYTES, seed_of(disk, 100 + i));
	return ret;
}

TEST_F_TIMEOUT(blk, eight_processes_at_once_keep_their_data, VT_TIMEOUT)
{
	for (int i = 0; i < self->count; i++)
		CHECK_DISK(&self->disks[i],
			   check_processes(&self->disks[i], self->arena));
}

#define DEPTH		512

/* All requests at once: more than a queue of 256 or 128 entries can take. */
static int submit_all(int fd, aio_context_t ctx, struct iocb *cbs,
		      __u8 *arena, int op)
{
	struct iocb *list[DEPTH];
	struct io_event events[64];
	int submitted = 0, reaped = 0;

	for (int i = 0; i < DEPTH; i++) {
		memset(&cbs[i], 0, sizeof(cbs[i]));
		cbs[i].aio_lio_opcode = op;
		cbs[i].aio_fildes = fd;
		cbs[i].aio_buf = (uintptr_t)(arena + i * VT_PAGE);
		cbs[i].aio_nbytes = VT_PAGE;
		/* Every other page, or the block layer merges neighbours. */
		cbs[i].aio_offset = DEPTH_AT +
			(i % 2 * DEPTH / 2 + i / 2) * VT_PAGE;
		cbs[i].aio_data = i;
		list[i] = &cbs[i];
	}
	while (submitted < DEPTH) {
		int n = syscall(SYS_io_submit, ctx, DEPTH - submitted,
				list + submitted);

		if (n <= 0)
			return vt_fail("io_submit: %s", strerror(errno));
		submitted += n;
	}
	while (reaped < DEPTH) {
		int n = syscall(SYS_io_getevents, ctx, 1,
				VT_ARRAY_SIZE(events), events, NULL);

		if (n <= 0)
			return vt_fail("io_getevents: %s", strerror(errno));
		for (int i = 0; i < n; i++)
			if (events[i].res != (long long)VT_PAGE)
				return vt_fail("request %llu of %d: %lld",
					       events[i].data, DEPTH,
					       events[i].res);
		reaped += n;
	}
	return 0;
}

static int check_depth(const struct vt_disk *disk, __u8 *arena)
{
	static struct iocb cbs[DEPTH];
	__u64 seed = seed_of(disk, 4);
	aio_context_t ctx = 0;
	int fd, ret;

	if (syscall(SYS_io_setup, DEPTH, &ctx))
		return vt_fail("io_setup: %s", strerror(errno));
	fd = open_direct(disk);
	if (fd < 0)
		return -1;
	for (int i = 0; i < DEPTH; i++)
		vt_fill(arena + i * VT_PAGE, VT_PAGE, seed, DEPTH_AT +
			(i % 2 * DEPTH / 2 + i / 2) * VT_PAGE);
	ret = submit_all(fd, ctx, cbs, arena, IOCB_CMD_PWRITE);
	if (!ret) {
		memset(arena, POISON, DEPTH * VT_PAGE);
		ret = submit_all(fd, ctx, cbs, arena, IOCB_CMD_PREAD);
	}
	for (int i = 0; !ret && i < DEPTH; i++)
		ret = vt_check(arena + i * VT_PAGE, VT_PAGE, seed, DEPTH_AT +
			       (i % 2 * DEPTH / 2 + i / 2) * VT_PAGE);
	close(fd);
	syscall(SYS_io_destroy, ctx);
	if (!ret)
		ret = vt_hostcheck_seed(disk->serial, DEPTH_AT,
					DEPTH * VT_PAGE, seed);
	return ret;
}

TEST_F_TIMEOUT(blk, more_requests_than_the_queue_holds_all_complete, VT_TIMEOUT)
{
	for (int i = 0; i < self->count; i++)
		CHECK_DISK(&self->disks[i],
			   check_depth(&self->disks[i], self->arena));
}

/* Field 16 of a disk's stat: flush requests completed. */
static int flushes(const struct vt_disk *disk, unsigned long long *count)
{
	char path[PATH_MAX], line[512], *word, *save = NULL;

	snprintf(path, sizeof(path), "/sys/block/%s/stat", disk->name);
	if (vt_read_line(path, line, sizeof(line)))
		return -1;
	word = strtok_r(line, " ", &save);
	for (int field = 1; word && field < 16; field++)
		word = strtok_r(NULL, " ", &save);
	if (!word)
		return vt_fail("%s has no field 16", path);
	*count = strtoull(word, NULL, 10);
	return 0;
}

static int check_flush(const struct vt_disk *disk, __u8 *arena)
{
	unsigned long long before, after;
	__u64 seed = seed_of(disk, 5);
	char path[PATH_MAX], cache[32];
	int fd, ret = 0, rounds = 8;

	snprintf(path, sizeof(path), "/sys/block/%.31s/queue/write_cache",
		 disk->name);
	if (vt_read_line(path, cache, sizeof(cache)) || flushes(disk, &before))
		return -1;
	fd = open_direct(disk);
	if (fd < 0)
		return -1;
	for (int i = 0; !ret && i < rounds; i++) {
		ret = write_seed(fd, arena, VT_PAGE, seed,
				 FLUSH_AT + i * VT_PAGE);
		if (!ret && fdatasync(fd))
			ret = vt_fail("fdatasync: %s", strerror(errno));
	}
	if (!ret)
		ret = read_seed(fd, arena, rounds * VT_PAGE, seed, FLUSH_AT);
	close(fd);
	if (!ret)
		ret = flushes(disk, &after);
	if (!ret && !strcmp(cache, "write back") &&
	    after - before < (unsigned int)rounds)
		ret = vt_fail("%d fdatasync made %llu flush requests", rounds,
			      after - before);
	if (!ret)
		ret = vt_hostcheck_seed(disk->serial, FLUSH_AT,
					rounds * VT_PAGE, seed);
	return ret;
}

TEST_F_TIMEOUT(blk, fdatasync_flushes_the_disk, VT_TIMEOUT)
{
	for (int i = 0; i < self->count; i++)
		CHECK_DISK(&self->disks[i],
			   check_flush(&self->disks[i], self->arena));
}

static int check_zero(const struct vt_disk *disk, __u8 *arena)
{
	__u64 range[2] = { ZERO_AT + 3 * VT_PAGE, 64 * VT_PAGE };
	__u64 seed = seed_of(disk, 6);
	size_t len = 128 * VT_PAGE;
	int fd, ret;

	fd = open_direct(disk);
	if (fd < 0)
		return -1;
	ret = write_seed(fd, arena, len, seed, ZERO_AT);
	if (!ret && ioctl(fd, BLKZEROOUT, range))
		ret = vt_fail("BLKZEROOUT: %s", strerror(errno));
	if (!ret)
		ret = read_at(fd, arena, len, ZERO_AT);
	close(fd);
	if (!ret)
		ret = vt_check(arena, 3 * VT_PAGE, seed, ZERO_AT);
	for (size_t i = 3 * VT_PAGE; !ret && i < 67 * VT_PAGE; i++)
		if (arena[i])
			ret = vt_fail("byte %zu of a zeroed range is %#x", i,
				      arena[i]);
	if (!ret)
		ret = vt_check(arena + 67 * VT_PAGE, len - 67 * VT_PAGE, seed,
			       ZERO_AT + 67 * VT_PAGE);
	return ret;
}

TEST_F_TIMEOUT(blk, a_zeroed_range_is_zero_and_its_neighbours_are_not,
	       VT_TIMEOUT)
{
	for (int i = 0; i < self->count; i++)
		CHECK_DISK(&self->disks[i],
			   check_zero(&self->disks[i], self->arena));
}

/* virtio-blk asks the device each time the attribute is read. */
static int check_serial(const struct vt_disk *disk)
{
	char path[64], found[64];

	snprintf(path, sizeof(path), "/sys/block/%.31s/serial", disk->name);
	for (int i = 0; i < 32; i++) {
		if (vt_read_line(path, found, sizeof(found)))
			return -1;
		if (strcmp(found, disk->serial))
			return vt_fail("serial read as '%s'", found);
	}
	return 0;
}

TEST_F_TIMEOUT(blk, the_serial_number_reads_the_same_every_time, VT_TIMEOUT)
{
	int asked = 0;

	for (int i = 0; i < self->count; i++) {
		const struct vt_disk *disk = &self->disks[i];

		if (strncmp(disk->name, "vd", 2))
			continue;
		CHECK_DISK(disk, check_serial(disk));
		asked++;
	}
	if (!asked)
		SKIP(return, "no virtio-blk disk");
}

TEST_HARNESS_MAIN

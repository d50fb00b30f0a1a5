// SPDX-License-Identifier: GPL-2.0
/*
 * Checked contents for the shell tests.  This program writes, sends or requests
 * data that can be verified later.
 */
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/input.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vtest.h"

#define CHUNK		(64 * VT_KIB)

static const char usage[] =
"usage: vt_io fill SEED LENGTH		contents to standard output\n"
"       vt_io check SEED LENGTH		compare standard input with them\n"
"       vt_io write PATH OFFSET LENGTH SEED	to a disk (O_DIRECT) or file\n"
"       vt_io verify PATH OFFSET LENGTH SEED	the same, read back\n"
"       vt_io hostcheck NAME OFFSET LENGTH SEED	have the host look at it\n"
"       vt_io disks			serial, path and virtio device of each\n"
"       vt_io keys SECONDS EVENT NAME:CODE...	ask the host for these keys\n"
"					and see them come from /dev/input/EVENT\n"
"       vt_io held			KiB that the kernel holds for good\n";

static int report(int ret)
{
	if (ret)
		printf("%s\n", vt_error);
	return !!ret;
}

static int fill(__u64 seed, __u64 length)
{
	static __u8 buf[CHUNK];
	__u64 pos = 0;

	while (pos < length) {
		size_t n = length - pos < CHUNK ? length - pos : CHUNK;
		size_t done = 0;

		vt_fill(buf, n, seed, pos);
		while (done < n) {
			ssize_t put = write(1, buf + done, n - done);

			if (put <= 0)
				return vt_fail("write after %llu bytes: %s",
					       (unsigned long long)pos + done,
					       strerror(errno));
			done += put;
		}
		pos += n;
	}
	return 0;
}

static int check(__u64 seed, __u64 length)
{
	static __u8 buf[CHUNK];
	__u64 pos = 0;

	while (pos < length) {
		size_t want = length - pos < CHUNK ? length - pos : CHUNK;
		ssize_t n = read(0, buf, want);

		if (n <= 0)
			return vt_fail("read after %llu bytes: %s",
				       (unsigned long long)pos,
				       n ? strerror(errno) : "end of file");
		if (vt_check(buf, n, seed, pos))
			return -1;
		pos += n;
	}
	return 0;
}

/* A disk is read and written directly; a file goes the way that files go. */
static int open_path(const char *path, int flags)
{
	struct stat st;
	int fd;

	if (!stat(path, &st) && S_ISBLK(st.st_mode))
		flags |= O_DIRECT;
	fd = open(path, flags, 0600);
	if (fd < 0)
		vt_fail("%s: %s", path, strerror(errno));
	return fd;
}

static int transfer(const char *path, __u64 offset, __u64 length,
		    __u64 seed, bool write)
{
	__u8 *buf;
	__u64 done = 0;
	int fd, ret = 0;

	buf = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf == MAP_FAILED)
		return vt_fail("out of memory");
	fd = open_path(path, write ? O_RDWR | O_CREAT : O_RDONLY);
	if (fd < 0)
		return -1;
	while (!ret && done < length) {
		size_t n = length - done < CHUNK ? length - done : CHUNK;
		ssize_t moved;

		if (write) {
			vt_fill(buf, n, seed, offset + done);
			moved = pwrite(fd, buf, n, offset + done);
		} else {
			memset(buf, 0, n);
			moved = pread(fd, buf, n, offset + done);
		}
		if (moved != (ssize_t)n)
			ret = vt_fail("%s at %llu: %zd of %zu bytes: %s", path,
				      (unsigned long long)(offset + done),
				      moved, n, strerror(errno));
		else if (!write)
			ret = vt_check(buf, n, seed, offset + done);
		done += n;
	}
	if (!ret && write && fsync(fd))
		ret = vt_fail("fsync of %s: %s", path, strerror(errno));
	if (close(fd) && !ret)
		ret = vt_fail("close of %s: %s", path, strerror(errno));
	return ret;
}

static int list_disks(void)
{
	struct vt_disk disks[VT_MAX_DISKS];
	int count = vt_find_disks(disks, VT_MAX_DISKS);

	for (int i = 0; i < count; i++)
		printf("%s %s %s\n", disks[i].serial, disks[i].path,
		       disks[i].virtio);
	return 0;
}

/* Next press (1) or release (0) of a key; what else a keyboard says is skipped. */
static int next_key(int fd, double limit, struct input_event *event)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	for (;;) {
		int left = (limit - vt_now()) * 1000;

		if (left <= 0 || poll(&pfd, 1, left) != 1)
			return vt_fail("no key came");
		if (read(fd, event, sizeof(*event)) != sizeof(*event))
			return vt_fail("read: %s", strerror(errno));
		if (event->type == EV_KEY && event->value < 2)
			return 0;
	}
}

static int keys(int seconds, const char *event, int count, char **specs)
{
	char path[PATH_MAX], names[256] = "";
	struct input_event key;
	double limit;
	int fd, ret;

	snprintf(path, sizeof(path), "/dev/input/%s", event);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return vt_fail("%s: %s", path, strerror(errno));
	for (int i = 0; i < count; i++) {
		size_t len = strlen(names);

		snprintf(names + len, sizeof(names) - len, " %.*s",
			 (int)strcspn(specs[i], ":"), specs[i]);
	}
	ret = vt_say("HOSTASK input%s", names);
	limit = vt_now() + seconds;
	for (int i = 0; !ret && i < 2 * count; i++) {
		const char *spec = specs[i / 2];
		int code = atoi(spec + strcspn(spec, ":") + 1);
		int value = i % 2 == 0;

		ret = next_key(fd, limit, &key);
		if (ret)
			vt_fail("%s of %s (event %d) did not come from %s",
				value ? "press" : "release", spec, i, event);
		if (!ret && (key.code != code || key.value != value))
			ret = vt_fail("key %d value %d came instead of %s",
				      key.code, key.value, spec);
	}
	close(fd);
	return ret;
}

static int held(void)
{
	long kib = vt_held_kib();

	if (kib < 0)
		return -1;
	printf("%ld\n", kib);
	return 0;
}

static __u64 number(const char *text)
{
	return strtoull(text, NULL, 0);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (argc == 4 && !strcmp(verb, "fill")) {
		if (!fill(number(argv[2]), number(argv[3])))
			return 0;
		fprintf(stderr, "%s\n", vt_error);
		return 1;
	}
	if (argc == 4 && !strcmp(verb, "check"))
		return report(check(number(argv[2]), number(argv[3])));
	if (argc == 6 && (!strcmp(verb, "write") || !strcmp(verb, "verify")))
		return report(transfer(argv[2], number(argv[3]),
				       number(argv[4]), number(argv[5]),
				       !strcmp(verb, "write")));
	if (argc == 6 && !strcmp(verb, "hostcheck"))
		return report(vt_hostcheck_seed(argv[2], number(argv[3]),
						number(argv[4]),
						number(argv[5])));
	if (argc == 2 && !strcmp(verb, "disks"))
		return report(list_disks());
	if (argc > 4 && !strcmp(verb, "keys"))
		return report(keys(atoi(argv[2]), argv[3], argc - 4, argv + 4));
	if (argc == 2 && !strcmp(verb, "held"))
		return report(held());
	fputs(usage, stderr);
	return 2;
}

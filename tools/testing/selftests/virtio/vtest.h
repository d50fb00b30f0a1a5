/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the C tests of this directory share.  The contract with the host (disk
 * serials, MAC addresses, HOSTCHECK lines) is written down in vtest_lib.sh.
 */
#ifndef VTEST_H
#define VTEST_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#define VT_ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define VT_KIB			1024UL
#define VT_MIB			(1024UL * 1024UL)
#define VT_PAGE			4096UL
#define VT_SECTOR		512UL

/*
 * Seconds after which the harness ends a test.  Far above what any test needs
 * even with KASAN under TCG: it is there to end a hang.
 */
#define VT_TIMEOUT		240

/* Every test of a disk has a region of its own, so that none spoils another. */
#define VT_REGION_DATA		(0 * VT_MIB)
#define VT_REGION_BIND		(32 * VT_MIB)
#define VT_REGION_VFIO		(44 * VT_MIB)
#define VT_REGION_POLICY	(48 * VT_MIB)
#define VT_REGION_FAULT		(52 * VT_MIB)
#define VT_REGION_DEBUGFS	(56 * VT_MIB)
#define VT_REGION_MODULES	(60 * VT_MIB)
#define VT_DISK_MIN		(64 * VT_MIB)

/* Reason of the last failure of any function below that says it leaves one. */
extern char vt_error[512];

/* A step of a test that returns 0, or leaves vt_error; for kselftest_harness.h. */
#define CHECK(step)							\
	do {								\
		vt_error[0] = '\0';					\
		ASSERT_EQ(0, step) {					\
			TH_LOG("%s", vt_error);				\
		}							\
	} while (0)

int vt_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Contents are a function of a seed and of the position alone, so that any part
 * of what was written can be checked without keeping it.
 */
__u64 vt_mix(__u64 x);
void vt_fill(void *buf, size_t len, __u64 seed, __u64 pos);
int vt_check(const void *buf, size_t len, __u64 seed, __u64 pos);

struct vt_sha256 {
	__u32 state[8];
	__u64 length;
	__u8 block[64];
};

void vt_sha256_init(struct vt_sha256 *sha);
void vt_sha256_update(struct vt_sha256 *sha, const void *data, size_t len);
void vt_sha256_hex(struct vt_sha256 *sha, char hex[65]);

/* A line of the protocol with the host. */
int vt_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Have the host compare what it finds with the contents of seed. */
int vt_hostcheck_seed(const char *name, __u64 pos, size_t len,
		      __u64 seed);

/* vtest.scale= percent of n, at least 1. */
unsigned int vt_scale(unsigned int n);
/* *seed becomes vtest.seed=, if that was given. */
void vt_seed(__u64 *seed);
double vt_now(void);

/* First line of a small file without its newline; -1 if it cannot be read. */
int vt_read_line(const char *path, char *buf, size_t size);
int vt_write_file(const char *path, const char *text);

/*
 * The kernel's log from now on.  vt_log_find() counts the lines that have both
 * texts in them, and keeps the last of them.
 */
int vt_log_open(void);
int vt_log_find(int fd, const char *first, const char *second, char *line,
		size_t size);

struct vt_disk {
	char name[32];		/* vda */
	char path[64];		/* /dev/vda */
	char serial[64];
	char virtio[32];	/* virtio3 */
	__u64 size;
	unsigned int mem_align;	/* of user buffers for O_DIRECT */
};

#define VT_MAX_DISKS	32

/* Disks whose serial begins with "vt" and that are large enough. */
int vt_find_disks(struct vt_disk *disks, int max);

/* A number of /proc/meminfo; -1 if it is not there. */
long vt_meminfo_kib(const char *name);
/*
 * SUnreclaim is all that the slab allocator has given to the kernel for good, and
 * slabs that are half empty, which come and go in their own time: without that
 * room, it is what somebody holds, in KiB.
 */
long vt_held_kib(void);

#endif

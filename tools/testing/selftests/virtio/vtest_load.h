/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checked writes and reads of disks, many at a time.
 */
#ifndef VTEST_LOAD_H
#define VTEST_LOAD_H

#include <linux/types.h>
#include <pthread.h>
#include <stddef.h>

/* One thread that writes requests of up to so many bytes and reads them back. */
struct vt_loader {
	const char *path;
	__u64 pos;		/* where it may, max bytes from there on */
	size_t max;
	unsigned int rounds;
	__u64 seed;		/* another one, other contents */

	unsigned int errors;	/* requests that failed, and 0 if all is right */
	int wrong;
	char reason[256];
	pthread_t thread;
};

/* Memory for O_DIRECT, or NULL. */
void *vt_pages(size_t len);
/* 0; 1 if a request fails, -1 if what it says it did is not so. */
int vt_write_and_read(int fd, void *buf, size_t len, __u64 pos, __u64 seed);
/* All at once.  How many requests failed, or -1 as above. */
int vt_load(struct vt_loader *loaders, unsigned int count);

#endif

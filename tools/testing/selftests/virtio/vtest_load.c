// SPDX-License-Identifier: GPL-2.0
/*
 * Checked writes and reads of disks, many at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vtest.h"
#include "vtest_load.h"

/* vt_error is one for all threads. */
static pthread_mutex_t error_lock = PTHREAD_MUTEX_INITIALIZER;

void *vt_pages(size_t len)
{
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

int vt_write_and_read(int fd, void *buf, size_t len, __u64 pos, __u64 seed)
{
	const char *what = "write";
	ssize_t done;
	int ret = 0;

	vt_fill(buf, len, seed, pos);
	done = pwrite(fd, buf, len, pos);
	if (done == (ssize_t)len) {
		what = "read";
		memset(buf, 0, len);
		done = pread(fd, buf, len, pos);
	}
	pthread_mutex_lock(&error_lock);
	if (done == (ssize_t)len)
		ret = vt_check(buf, len, seed, pos);
	else if (vt_fail("%s of %zu bytes at %llu: %s", what, len,
			 (unsigned long long)pos, strerror(errno)))
		ret = 1;
	pthread_mutex_unlock(&error_lock);
	return ret;
}

static void *work(void *arg)
{
	struct vt_loader *loader = arg;
	int fd = open(loader->path, O_RDWR | O_DIRECT);
	__u8 *buf = vt_pages(loader->max);

	loader->wrong = fd < 0 || !buf ? -1 : 0;
	for (unsigned int i = 0; i < loader->rounds && !loader->wrong; i++) {
		__u64 seed = loader->seed + loader->pos + i;
		size_t len = 1 + vt_mix(seed) % (loader->max / VT_SECTOR);
		int ret = vt_write_and_read(fd, buf, len * VT_SECTOR,
					    loader->pos, seed);

		if (!ret)
			continue;
		if (ret > 0)
			loader->errors++;
		else
			loader->wrong = -1;
		pthread_mutex_lock(&error_lock);
		snprintf(loader->reason, sizeof(loader->reason), "%.255s",
			 vt_error);
		pthread_mutex_unlock(&error_lock);
	}
	if (buf)
		munmap(buf, loader->max);
	close(fd);
	return NULL;
}

int vt_load(struct vt_loader *loaders, unsigned int count)
{
	int errors = 0;

	for (unsigned int i = 0; i < count; i++)
		if (pthread_create(&loaders[i].thread, NULL, work, &loaders[i]))
			abort();
	for (unsigned int i = 0; i < count; i++)
		pthread_join(loaders[i].thread, NULL);
	for (unsigned int i = 0; i < count; i++) {
		if (loaders[i].reason[0])
			vt_fail("%s: %.255s", loaders[i].path,
				loaders[i].reason);
		if (loaders[i].wrong)
			return -1;
		errors += loaders[i].errors;
	}
	return errors;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What the C tests of this directory share: checked contents, messages to the
 * host, the search for disks, and the memory that the kernel holds.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vtest.h"

char vt_error[512];

int vt_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(vt_error, sizeof(vt_error), fmt, ap);
	va_end(ap);
	return -1;
}

/* The finalizer of splitmix64: every bit of the result depends on all of x. */
__u64 vt_mix(__u64 x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static __u64 vt_word(__u64 seed, __u64 pos)
{
	return vt_mix(seed ^ (pos / 8) * 0x2545f4914f6cdd1dULL);
}

void vt_fill(void *buf, size_t len, __u64 seed, __u64 pos)
{
	__u8 *p = buf;

	while (len) {
		__u64 word = vt_word(seed, pos);
		size_t skip = pos % 8;
		size_t n = 8 - skip;

		if (n > len)
			n = len;
		memcpy(p, (__u8 *)&word + skip, n);
		p += n;
		pos += n;
		len -= n;
	}
}

int vt_check(const void *buf, size_t len, __u64 seed, __u64 pos)
{
	const __u8 *p = buf;
	__u64 start = pos;

	while (len) {
		__u64 word = vt_word(seed, pos);
		size_t skip = pos % 8;
		size_t n = 8 - skip;

		if (n > len)
			n = len;
		if (memcmp(p, (__u8 *)&word + skip, n)) {
			__u64 found = 0;

			memcpy((__u8 *)&found + skip, p, n);
			return vt_fail("byte %llu (position %llu): found %016llx, not %016llx",
				       (unsigned long long)(pos - start),
				       (unsigned long long)pos,
				       (unsigned long long)found,
				       (unsigned long long)word);
		}
		p += n;
		pos += n;
		len -= n;
	}
	return 0;
}

static const __u32 sha256_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
	0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static __u32 ror(__u32 x, unsigned int n)
{
	return x >> n | x << (32 - n);
}

static void sha256_block(struct vt_sha256 *sha, const __u8 *p)
{
	__u32 v[8], w[64];
	int i;

	for (i = 0; i < 16; i++, p += 4)
		w[i] = (__u32)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
	for (; i < 64; i++) {
		__u32 a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + w[i - 7] +
		       (ror(a, 7) ^ ror(a, 18) ^ a >> 3) +
		       (ror(b, 17) ^ ror(b, 19) ^ b >> 10);
	}
	memcpy(v, sha->state, sizeof(v));
	for (i = 0; i < 64; i++) {
		__u32 t1, t2;

		t1 = v[7] + (ror(v[4], 6) ^ ror(v[4], 11) ^ ror(v[4], 25)) +
		     ((v[4] & v[5]) ^ (~v[4] & v[6])) + sha256_k[i] + w[i];
		t2 = (ror(v[0], 2) ^ ror(v[0], 13) ^ ror(v[0], 22)) +
		     ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
		memmove(v + 1, v, 7 * sizeof(v[0]));
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (i = 0; i < 8; i++)
		sha->state[i] += v[i];
}

void vt_sha256_init(struct vt_sha256 *sha)
{
	static const __u32 initial[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	};

	memcpy(sha->state, initial, sizeof(initial));
	sha->length = 0;
}

void vt_sha256_update(struct vt_sha256 *sha, const void *data, size_t len)
{
	const __u8 *p = data;

	while (len) {
		size_t have = sha->length % 64;
		size_t n = 64 - have < len ? 64 - have : len;

		memcpy(sha->block + have, p, n);
		sha->length += n;
		p += n;
		len -= n;
		if (have + n == 64)
			sha256_block(sha, sha->block);
	}
}

void vt_sha256_hex(struct vt_sha256 *sha, char hex[65])
{
	__u64 bits = sha->length * 8;
	__u8 tail[8];
	int i;

	vt_sha256_update(sha, "\x80", 1);
	while (sha->length % 64 != 56)
		vt_sha256_update(sha, "", 1);
	for (i = 0; i < 8; i++)
		tail[i] = bits >> (56 - 8 * i);
	vt_sha256_update(sha, tail, sizeof(tail));
	for (i = 0; i < 8; i++)
		sprintf(hex + 8 * i, "%08x", sha->state[i]);
}

int vt_say(const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int fd, len, ret;

	/* By default, ten messages in five seconds and the rest is lost. */
	if (vt_write_file("/proc/sys/kernel/printk_devkmsg", "on\n"))
		return -1;

	len = snprintf(line, sizeof(line), "<5>vtest: ");
	va_start(ap, fmt);
	len += vsnprintf(line + len, sizeof(line) - len, fmt, ap);
	va_end(ap);
	/* Without a newline the kernel would keep it, for more to follow. */
	len += snprintf(line + len, sizeof(line) - len, "\n");

	fd = open("/dev/kmsg", O_WRONLY);
	if (fd < 0)
		return vt_fail("/dev/kmsg: %s", strerror(errno));
	ret = write(fd, line, len) == len ? 0 :
	      vt_fail("/dev/kmsg: %s", strerror(errno));
	close(fd);
	return ret;
}

int vt_hostcheck_seed(const char *name, __u64 pos, size_t len,
		      __u64 seed)
{
	struct vt_sha256 sha;
	__u8 buf[VT_PAGE];
	char hex[65];
	size_t done, n;

	vt_sha256_init(&sha);
	for (done = 0; done < len; done += n) {
		n = len - done < sizeof(buf) ? len - done : sizeof(buf);
		vt_fill(buf, n, seed, pos + done);
		vt_sha256_update(&sha, buf, n);
	}
	vt_sha256_hex(&sha, hex);
	return vt_say("HOSTCHECK %s %llu %zu %s", name,
		      (unsigned long long)pos, len, hex);
}

static bool vt_param(const char *name, char *value, size_t size)
{
	char line[4096], *word, *save = NULL;
	size_t n = strlen(name);
	bool found = false;

	if (vt_read_line("/proc/cmdline", line, sizeof(line)))
		return false;
	for (word = strtok_r(line, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		if (strncmp(word, name, n) || word[n] != '=')
			continue;
		snprintf(value, size, "%s", word + n + 1);
		found = true;
	}
	return found;
}

unsigned int vt_scale(unsigned int n)
{
	unsigned long percent = 100;
	char value[16];

	if (vt_param("vtest.scale", value, sizeof(value)))
		percent = strtoul(value, NULL, 10);
	n = n * percent / 100;
	return n ? n : 1;
}

void vt_seed(__u64 *seed)
{
	char value[32];

	if (vt_param("vtest.seed", value, sizeof(value)))
		*seed = strtoull(value, NULL, 0);
}

double vt_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

int vt_log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return vt_fail("/dev/kmsg: %s", strerror(errno));
	lseek(fd, 0, SEEK_END);
	return fd;
}

int vt_log_find(int fd, const char *first, const char *second, char *line,
		size_t size)
{
	char record[2048];
	int found = 0;
	ssize_t n;

	for (;;) {
		n = read(fd, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return found;
		record[n] = '\0';
		record[strcspn(record, "\n")] = '\0';
		if (!strstr(record, first) || !strstr(record, second))
			continue;
		found++;
		snprintf(line, size, "%s", strchr(record, ';') ?: record);
	}
}

int vt_read_line(const char *path, char *buf, size_t size)
{
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY);
	if (fd < 0)
		return vt_fail("%s: %s", path, strerror(errno));
	n = read(fd, buf, size - 1);
	if (n < 0) {
		vt_fail("%s: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	close(fd);
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

int vt_write_file(const char *path, const char *text)
{
	int fd, ret = 0;

	fd = open(path, O_WRONLY);
	if (fd < 0)
		return vt_fail("%s: %s", path, strerror(errno));
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		ret = vt_fail("%s: writing '%s': %s", path, text,
			      strerror(errno));
	close(fd);
	return ret;
}

/* virtio-blk has an attribute; a SCSI disk has it in page 80h of its VPD. */
static int vt_disk_serial(const char *name, char *serial, size_t size)
{
	char path[PATH_MAX];
	__u8 page[256];
	size_t len;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/block/%s/serial", name);
	if (!vt_read_line(path, serial, size))
		return 0;

	snprintf(path, sizeof(path), "/sys/block/%s/device/vpd_pg80", name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return vt_fail("%s: %s", path, strerror(errno));
	n = read(fd, page, sizeof(page));
	close(fd);
	if (n < 4)
		return vt_fail("%s: %zd bytes", path, n);
	len = page[3] < n - 4 ? page[3] : n - 4;
	snprintf(serial, size, "%.*s", (int)len, (char *)page + 4);
	return 0;
}

static int vt_disk_virtio(const char *name, char *virtio, size_t size)
{
	char path[PATH_MAX], *real, *at;

	snprintf(path, sizeof(path), "/sys/block/%s/device", name);
	real = realpath(path, NULL);
	if (!real)
		return vt_fail("%s: %s", path, strerror(errno));
	/* The last "virtioN": a disk may be behind a virtio-mmio "virtio..." */
	at = NULL;
	for (char *p = real; (p = strstr(p, "/virtio")); p++)
		if (isdigit((unsigned char)p[7]))
			at = p + 1;
	if (at)
		snprintf(virtio, size, "%.*s", (int)strcspn(at, "/"), at);
	else
		vt_fail("%s is no virtio device", name);
	free(real);
	return at ? 0 : -1;
}

static int vt_by_serial(const void *a, const void *b)
{
	return strcmp(((const struct vt_disk *)a)->serial,
		      ((const struct vt_disk *)b)->serial);
}

int vt_find_disks(struct vt_disk *disks, int max)
{
	struct dirent *entry;
	int found = 0;
	DIR *dir;

	dir = opendir("/sys/block");
	if (!dir)
		return 0;
	while (found < max && (entry = readdir(dir))) {
		struct vt_disk *disk = &disks[found];
		char path[PATH_MAX], value[32];

		if (entry->d_name[0] == '.')
			continue;
		memset(disk, 0, sizeof(*disk));
		snprintf(disk->name, sizeof(disk->name), "%.31s",
			 entry->d_name);
		snprintf(disk->path, sizeof(disk->path), "/dev/%s", disk->name);
		if (vt_disk_serial(disk->name, disk->serial,
				   sizeof(disk->serial)) ||
		    strncmp(disk->serial, "vt", 2) ||
		    vt_disk_virtio(disk->name, disk->virtio,
				   sizeof(disk->virtio)))
			continue;

		snprintf(path, sizeof(path), "/sys/block/%s/size", disk->name);
		if (vt_read_line(path, value, sizeof(value)))
			continue;
		disk->size = strtoull(value, NULL, 10) * VT_SECTOR;
		/* Nothing at all: still being set up. */
		if (!disk->size)
			continue;
		if (disk->size < VT_DISK_MIN) {
			printf("# %s (%s) is smaller than 64 MiB: not used\n",
			       disk->name, disk->serial);
			continue;
		}

		snprintf(path, sizeof(path),
			 "/sys/block/%s/queue/dma_alignment", disk->name);
		if (vt_read_line(path, value, sizeof(value)))
			continue;
		disk->mem_align = strtoul(value, NULL, 10) + 1;
		found++;
	}
	closedir(dir);
	qsort(disks, found, sizeof(*disks), vt_by_serial);
	return found;
}

long vt_meminfo_kib(const char *name)
{
	char line[256];
	size_t len = strlen(name);
	long kib = -1;
	FILE *file;

	file = fopen("/proc/meminfo", "r");
	if (!file)
		return vt_fail("/proc/meminfo: %s", strerror(errno));
	while (kib < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, len) && line[len] == ':')
			kib = strtol(line + len + 1, NULL, 10);
	fclose(file);
	return kib < 0 ? vt_fail("no %s in /proc/meminfo", name) : kib;
}

/* The number in a file of a slab cache, 0 if it has not got that file. */
static long slab_number(const char *cache, const char *name)
{
	char path[PATH_MAX], text[256] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", cache, name);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = 0;
	fclose(file);
	return strtol(text, NULL, 10);
}

/* Bytes of the slabs of a cache that hold no object; none is to be reclaimed. */
static long slab_room(const char *cache)
{
	if (slab_number(cache, "reclaim_account"))
		return 0;
	return (slab_number(cache, "slabs") << slab_number(cache, "order")) *
		sysconf(_SC_PAGESIZE) -
		slab_number(cache, "objects") * slab_number(cache, "slab_size");
}

long vt_held_kib(void)
{
	struct stat status;
	glob_t caches;
	long room = 0, kib;

	if (vt_write_file("/proc/sys/vm/drop_caches", "3"))
		return -1;
	/* Half-empty slabs, and what KASAN keeps for a while although it is free. */
	if (glob("/sys/kernel/slab/*", 0, NULL, &caches))
		return vt_fail("no cache in /sys/kernel/slab");
	for (size_t i = 0; i < caches.gl_pathc; i++) {
		char path[PATH_MAX];

		/* Others are aliases. */
		if (lstat(caches.gl_pathv[i], &status) || !S_ISDIR(status.st_mode))
			continue;
		snprintf(path, sizeof(path), "%s/shrink", caches.gl_pathv[i]);
		vt_write_file(path, "1");
		room += slab_room(caches.gl_pathv[i]);
	}
	globfree(&caches);
	/* Of several CPUs each counts for itself and adds to the sum now and then. */
	if (!access("/proc/sys/vm/stat_refresh", F_OK) &&
	    vt_write_file("/proc/sys/vm/stat_refresh", "1"))
		return -1;
	kib = vt_meminfo_kib("SUnreclaim");
	return kib < 0 ? kib : kib - room / 1024;
}

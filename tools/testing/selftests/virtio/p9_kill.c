// SPDX-License-Identifier: GPL-2.0
/*
 * A reader of a 9p share is killed while the device has its request.  The
 * device answers later.  Its answer must not go to a page that belongs to
 * somebody else by then.  The share reads slowly, see vtest_lib.sh.
 *
 * A killed reader sends a flush and waits for the reply, which QEMU holds back
 * until the request itself is done.  After "umount -f" no flush is sent, and a
 * user runs that before killing the readers of a server that hangs.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "vtest.h"

#define SHARE		"/tmp/vtslow"
#define FILE_NAME	SHARE "/data"
#define MEMORY_MAX	(256 * VT_MIB)

/* How long to give memory to a new owner, in seconds: the answer takes longer. */
#define FILL_S		3

#define OLD		'o'	/* in the reader's page before */
#define DATA		'd'	/* in the file */
#define OWNER		'n'	/* in the page with its new owner */

/* Interrupts of the device's queue so far: what it has answered. */
static long answers(const char *device)
{
	char line[4096], name[64];
	FILE *file = fopen("/proc/interrupts", "r");
	long sum = -1;

	snprintf(name, sizeof(name), " %s-", device);
	while (file && fgets(line, sizeof(line), file)) {
		char *at = strchr(line, ':'), *end;

		if (!strstr(line, name) || !strstr(line, "requests"))
			continue;
		sum = 0;
		while (at) {
			long one = strtol(at + 1, &end, 10);

			if (end == at + 1)
				break;
			sum += one;
			at = end - 1;
		}
	}
	if (file)
		fclose(file);
	return sum;
}

/* Until the device has answered once more. */
static int wait_answer(const char *device, long before, double seconds)
{
	for (double limit = vt_now() + seconds; vt_now() < limit; usleep(50000))
		if (answers(device) > before)
			return 0;
	return -1;
}

struct share {
	char tag[64], device[32];
	pid_t reader;
};

static int find_share(struct share *share)
{
	int ret = -1;
	glob_t found;

	if (glob("/sys/bus/virtio/devices/*/mount_tag", 0, NULL, &found))
		return vt_fail("no 9p device");
	for (size_t i = 0; i < found.gl_pathc && ret; i++) {
		if (vt_read_line(found.gl_pathv[i], share->tag,
				 sizeof(share->tag)) ||
		    strncmp(share->tag, "slow", 4))
			continue;
		snprintf(share->device, sizeof(share->device), "%s",
			 basename(dirname(found.gl_pathv[i])));
		ret = 0;
	}
	globfree(&found);
	return ret ? vt_fail("no 9p share whose tag begins with slow") : 0;
}

/* The reader tells through the pipe that its next request will have to wait. */
static void be_reader(int told, off_t pos)
{
	char *page = mmap(NULL, VT_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open(FILE_NAME, O_RDONLY);

	if (fd < 0 || page == MAP_FAILED)
		_exit(1);
	/* This uses up what the server reads in the next eight seconds. */
	if (pread(fd, page, VT_PAGE, 0) != VT_PAGE)
		_exit(2);
	memset(page, OLD, VT_PAGE);
	if (write(told, "", 1) != 1)
		_exit(3);
	pread(fd, page, VT_PAGE, pos);
	_exit(4);
}

/* A page that one process frees shall be the next that another gets. */
static int stay_on_one_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	return sched_setaffinity(0, sizeof(cpus), &cpus);
}

static int write_file(void)
{
	char data[VT_PAGE];
	int fd = open(FILE_NAME, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t done;

	memset(data, DATA, sizeof(data));
	done = write(fd, data, sizeof(data));
	if (close(fd) || done != sizeof(data))
		return vt_fail(FILE_NAME ": %s", strerror(errno));
	return 0;
}

/* Mount the share and have a reader wait for what is there at pos. */
static int begin(struct share *share, off_t pos)
{
	int told[2], status;
	char byte;

	if (answers(share->device) < 0)
		return vt_fail("no interrupt of %s", share->device);
	mkdir(SHARE, 0700);
	if (mount(share->tag, SHARE, "9p", 0,
		  "trans=virtio,version=9p2000.L,cache=none"))
		return vt_fail("mount: %s", strerror(errno));
	if (stay_on_one_cpu() || pipe(told))
		return vt_fail("%s", strerror(errno));
	if (write_file())
		return -1;

	share->reader = fork();
	if (share->reader < 0)
		return vt_fail("fork: %s", strerror(errno));
	if (!share->reader)
		be_reader(told[1], pos);
	close(told[1]);
	if (read(told[0], &byte, 1) != 1)
		return vt_fail("the reader does not get to its last request");
	close(told[0]);
	usleep(500000);
	if (waitpid(share->reader, &status, WNOHANG)) {
		share->reader = 0;
		return vt_fail("the reader did not have to wait, status 0x%x",
			       status);
	}
	return 0;
}

static void end(struct share *share)
{
	if (share->reader > 0) {
		kill(share->reader, SIGKILL);
		waitpid(share->reader, NULL, 0);
	}
	if (umount(SHARE) && errno != EINVAL)
		printf("# umount: %s\n", strerror(errno));
}

/* It dies at once: nothing keeps it waiting for a server that hangs. */
static int kill_reader(struct share *share)
{
	double began = vt_now();
	int status;

	if (!umount2(SHARE, MNT_FORCE) || errno != EBUSY)
		return vt_fail("umount -f: %s", strerror(errno));
	kill(share->reader, SIGKILL);
	if (waitpid(share->reader, &status, 0) != share->reader)
		return vt_fail("waitpid: %s", strerror(errno));
	share->reader = 0;
	if (!WIFSIGNALED(status))
		return vt_fail("the reader was not killed, status 0x%x", status);
	if (vt_now() - began > 3)
		return vt_fail("the reader took %.1f s to die", vt_now() - began);
	return 0;
}

FIXTURE(late)
{
	struct share share;
};

FIXTURE_VARIANT(late)
{
	off_t pos;
};

FIXTURE_VARIANT_ADD(late, with_the_data)
{
	.pos = 0,
};

/* The device writes nothing to the page. */
FIXTURE_VARIANT_ADD(late, at_end_of_file)
{
	.pos = VT_PAGE,
};

FIXTURE_SETUP(late)
{
	memset(&self->share, 0, sizeof(self->share));
	if (find_share(&self->share))
		SKIP(return, "%s", vt_error);
	ASSERT_EQ(0, begin(&self->share, variant->pos)) {
		TH_LOG("%s", vt_error);
		end(&self->share);
	}
}

FIXTURE_TEARDOWN(late)
{
	end(&self->share);
}

TEST_F_TIMEOUT(late, an_answer_is_not_for_the_next_owner_of_the_page, VT_TIMEOUT)
{
	size_t size = vt_meminfo_kib("MemFree") * VT_KIB / 2, used = 0, lost = 0;
	double limit;
	char *memory;
	long before;

	if (size > MEMORY_MAX)
		size = MEMORY_MAX;
	size &= ~(VT_PAGE - 1);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, memory);

	ASSERT_EQ(0, kill_reader(&self->share)) {
		TH_LOG("%s", vt_error);
	}
	before = answers(self->share.device);
	/* A page that was freed last goes to a new owner first: slow guests stop early. */
	limit = vt_now() + FILL_S;
	for (; used < size && vt_now() < limit; used += VT_PAGE)
		memory[used] = OWNER;
	ASSERT_EQ(before, answers(self->share.device)) {
		TH_LOG("the answer came before the memory had a new owner");
	}
	ASSERT_EQ(0, wait_answer(self->share.device, before, 60)) {
		TH_LOG("no answer ever came");
	}

	for (size_t i = 0; i < used; i += VT_PAGE)
		for (size_t j = 0; j < VT_PAGE; j++)
			lost += memory[i + j] != (j ? 0 : OWNER);
	EXPECT_EQ(0, lost) {
		TH_LOG("%zu bytes of another process were overwritten", lost);
	}
	munmap(memory, size);
}

FIXTURE(unmount)
{
	struct share share;
};

FIXTURE_SETUP(unmount)
{
	memset(&self->share, 0, sizeof(self->share));
	if (find_share(&self->share))
		SKIP(return, "%s", vt_error);
	ASSERT_EQ(0, begin(&self->share, 0)) {
		TH_LOG("%s", vt_error);
		end(&self->share);
	}
}

FIXTURE_TEARDOWN(unmount)
{
	end(&self->share);
}

/* Requests go with the client, and so does what the device writes to. */
TEST_F_TIMEOUT(unmount, a_share_is_in_use_until_the_last_answer, VT_TIMEOUT)
{
	long answered;

	ASSERT_EQ(0, kill_reader(&self->share)) {
		TH_LOG("%s", vt_error);
	}
	ASSERT_EQ(0, umount(SHARE));
	answered = answers(self->share.device);
	EXPECT_NE(0, wait_answer(self->share.device, answered, 15)) {
		TH_LOG("the device answered after the share was unmounted");
	}
}

TEST_HARNESS_MAIN

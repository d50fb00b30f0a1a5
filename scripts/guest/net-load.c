// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: net-load stream|frames K
 *
 * Checked data between the NICs 52:54:00:00:K:01 and 52:54:00:00:K:02, which the
 * host has connected, until SIGTERM.
 *
 *   stream	TCP connections one after the other, both directions at once, the
 *		ends in network namespaces of their own; nothing may be lost
 *   frames	single frames, which may be lost as long as a NIC is away; at the
 *		end it must work
 *
 * What was seen: "net-load: bytes=N" or "net-load: arrived=N lost=N".
 */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vtest.h"
#include "vtest_net.h"

#define WHOLE		(64 * VT_KIB)	/* of a connection, each way */
#define PAUSE_US	100000		/* between two, for the disks to get on */
#define AT_THE_END	20		/* frames that must go through */
#define AGAIN_SECONDS	60		/* for a NIC that has come back */

/* SIGTERM is blocked: it is to interrupt nothing. */
static int stopped(void)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, SIGTERM);
}

static struct vt_pair pair;

static void find_pair(unsigned int number)
{
	struct vt_pair pairs[VT_MAX_PAIRS];
	int count = vt_net_find(pairs, VT_MAX_PAIRS);

	for (int i = 0; i < count; i++)
		if (pairs[i].number == number)
			pair = pairs[i];
	if (!pair.nic[0].ifindex)
		errx(1, "no NICs 52:54:00:00:%02x:01 and 52:54:00:00:%02x:02",
		     number, number);
}

static void stream(unsigned int number)
{
	/* The processes of a stream add to it. */
	__u64 *bytes = mmap(NULL, sizeof(*bytes), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (bytes == MAP_FAILED)
		err(1, "mmap");
	find_pair(number);
	atexit(vt_net_leave);
	if (vt_net_enter(&pair, 1))
		errx(1, "%s", vt_error);
	do {
		if (vt_net_streams(&pair, 1, WHOLE, 16 * VT_KIB, NULL, bytes))
			errx(1, "%s", vt_error);
		usleep(PAUSE_US);
	} while (!stopped());
	printf("net-load: bytes=%llu\n", (unsigned long long)*bytes);
}

static void frames(unsigned int number)
{
	unsigned int arrived = 0, lost = 0, at_the_end = 0;
	int fd[2] = { -1, -1 };
	double limit = 0;

	for (__u64 n = 0; at_the_end < AT_THE_END; n++) {
		int ret;

		if (stopped() && !limit)
			limit = vt_now() + AGAIN_SECONDS;
		if (limit && vt_now() > limit)
			errx(1, "pair %u: %u frames arrived, then no more",
			     number, arrived);
		if (fd[0] < 0 && vt_frame_open(number, fd)) {
			usleep(5000);
			continue;
		}
		ret = vt_frame_send(fd, n % 2, n);
		if (ret < 0)
			errx(1, "pair %u: %s", number, vt_error);
		arrived += ret;
		lost += !ret;
		if (limit)
			at_the_end += ret;
		if (ret)
			continue;
		close(fd[0]);
		close(fd[1]);
		fd[0] = -1;
	}
	printf("net-load: arrived=%u lost=%u\n", arrived, lost);
}

int main(int argc, char **argv)
{
	unsigned int number;
	sigset_t term;

	if (argc != 3 || (strcmp(argv[1], "stream") && strcmp(argv[1], "frames")))
		errx(2, "usage: net-load stream|frames K");
	number = strtoul(argv[2], NULL, 0);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	/* A stream takes what there is; the disks are to get on, too. */
	if (sigprocmask(SIG_BLOCK, &term, NULL) || nice(19) < 0)
		err(1, "SIGTERM, nice");
	if (!strcmp(argv[1], "stream"))
		stream(number);
	else
		frames(number);
	return 0;
}

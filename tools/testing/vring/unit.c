// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the tests and reports in KTAP.
 *
 *	unit [-l] [-e N] [WORD]		list, or run, the tests whose names contain
 *					WORD; of the variants of each every N-th only
 */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "test.h"

/* Seconds of CPU time, for a test that hangs. */
#ifndef TIMEOUT
#define TIMEOUT	20
#endif

static const struct test * const suites[] = {
	add_tests, event_tests, create_tests, dma_tests, segs_tests, cell_tests, order_tests,
	reset_tests, length_tests, show_tests, failure_tests, hostile_tests,
};

static const char * const access_name[] = {
	"translated", "physical", "direct", "identity", "bounced", "physical bounced",
	"translated, bounce_max=0", "direct, accounted", "physical, accounted",
	"translated, not coherent",
};

static unsigned int every = 1;		/* -e */
static char context[160];

void harness_context(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
}

void harness_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("# %s:%d: ", file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(" [%s]\n", context);
	fflush(stdout);
	_exit(1);
}

bool test_translated(const struct run *t)
{
	return t->access == TRANSLATED || t->access == TRANSLATED_MAPPED ||
	       t->access == TRANSLATED_NONCOHERENT;
}

bool test_map_only(const struct run *t)
{
	return t->access == DIRECT || t->access == IDENTITY || t->access == PHYSICAL;
}

bool test_has_cells(const struct run *t)
{
	if (test_translated(t))
		return true;
	return test_map_only(t);
}

unsigned int test_list_segs(const struct run *t, unsigned int entries, u32 len)
{
	/* 128 bytes are copied in any case. */
	u32 copied = t->access == TRANSLATED_MAPPED ? 128 : 4096;

	if (entries * len > copied || !test_translated(t))
		return entries;
	return !!entries;
}

bool test_physical(const struct run *t)
{
	return t->access == PHYSICAL || t->access == PHYSICAL_BOUNCED ||
	       t->access == PHYSICAL_ACCOUNTED;
}

void test_bounce_max(const char *value)
{
	check_eq(shim_set_bounce_max(value), 0);
}

u64 test_features(const struct run *t)
{
	u64 f = BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_RING_RESET);

	if (t->packed)
		f |= BIT_ULL(VIRTIO_F_RING_PACKED);
	if (t->indirect)
		f |= BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
	if (t->event)
		f |= BIT_ULL(VIRTIO_RING_F_EVENT_IDX);
	if (!test_physical(t))
		f |= BIT_ULL(VIRTIO_F_ACCESS_PLATFORM);
	return f;
}

void test_device(struct run *t, u64 features)
{
	static const enum shim_dma mode[] = {
		[TRANSLATED] = SHIM_DMA_TRANSLATED,
		/* An IOMMU is there and must not be used. */
		[PHYSICAL] = SHIM_DMA_TRANSLATED,
		[DIRECT] = SHIM_DMA_DIRECT,
		[IDENTITY] = SHIM_DMA_IDENTITY,
		[BOUNCED] = SHIM_DMA_BOUNCED,
		[PHYSICAL_BOUNCED] = SHIM_DMA_BOUNCED,
		[TRANSLATED_MAPPED] = SHIM_DMA_TRANSLATED,
		[DIRECT_ACCOUNTED] = SHIM_DMA_DIRECT,
		[PHYSICAL_ACCOUNTED] = SHIM_DMA_TRANSLATED,
		[TRANSLATED_NONCOHERENT] = SHIM_DMA_TRANSLATED,
	};

	dma_accounted = t->access == DIRECT_ACCOUNTED || t->access == PHYSICAL_ACCOUNTED;
	test_bounce_max(t->access == TRANSLATED_MAPPED ? "0" : "4096");
	dev_init(&t->dev, features, mode[t->access]);
	t->dev.parent.shim_noncoherent = t->access == TRANSLATED_NONCOHERENT;
	t->dev.other.shim_noncoherent = t->access == TRANSLATED_NONCOHERENT;
}

void test_queue_opts(struct run *t, const struct queue_opts *o)
{
	struct queue_opts with = *o;

	if (!with.num)
		with.num = t->num;
	if (t->strong)
		with.strong_barriers = true;
	t->q = dev_create_queue(&t->dev, &with);
	check(t->q);
	drv_init(&t->drv, t->q);
}

void test_queue(struct run *t)
{
	test_queue_opts(t, &(struct queue_opts){ 0 });
}

void test_queue_with(struct run *t, const char *bounce_max, unsigned int num)
{
	test_bounce_max(bounce_max);
	test_queue_opts(t, &(struct queue_opts){ .num = num });
}

unsigned long test_add(struct run *t, struct drv_req *r)
{
	unsigned long maps = dma_stats(NULL).maps;

	check_eq(drv_add_as(&t->drv, r, DRV_SGS_LISTS), 0);
	return dma_stats(NULL).maps - maps;
}

void test_serve(struct run *t, unsigned int n)
{
	check_eq(drv_dev_serve(&t->drv, n + 1), n);
	check_eq(drv_reap(&t->drv), n);
	check_eq(dma_stats(NULL).live_maps, 0);
}

unsigned long test_round_trip(struct run *t, const struct drv_shape *shape)
{
	unsigned long maps = test_add(t, drv_req_shape(&t->drv, shape));

	test_serve(t, 1);
	return maps;
}

/* Nothing may be left once every request is taken back and every queue gone. */
static void finish(struct run *t)
{
	unsigned int i;

	fail_nth(0);
	kernel_out_of_memory(false);
	kernel_set_atomic(false);
	kernel_set_barrier_hook(NULL, NULL);
	if (t->q && t->q->vq)
		drv_detach_all(&t->drv);
	for (i = 0; i < DEV_QUEUES; i++)
		if (t->dev.queue[i].vq)
			dev_delete_queue(&t->dev.queue[i]);
	dev_exit(&t->dev);
	dma_check_clean();
	kernel_check_clean();
}

static void run_variant(const struct test *test, const struct run *variant)
{
	static struct run t;

	t = *variant;
	harness_context("%s%s%s, %s, %u descriptors%s", t.packed ? "packed" : "split",
			t.indirect ? ", indirect" : "", t.event ? ", event index" : "",
			access_name[t.access], t.num, t.strong ? ", strong barriers" : "");
	kernel_reset();
	dma_reset();
	test_device(&t, test_features(&t));
	if (test->axes & LEGACY)
		test_device(&t, t.dev.vdev.features & ~BIT_ULL(VIRTIO_F_VERSION_1));
	test->fn(&t);
	finish(&t);
}

static const enum access uses_cells[] = { TRANSLATED, TRANSLATED_NONCOHERENT };

/* Number of values that an axis has in this test. */
static unsigned int values(const struct test *test, unsigned int axis, bool packed)
{
	if (axis == AXIS_ACCESS && test->axes & AXIS_CELLS)
		return ARRAY_SIZE(uses_cells);
	if (!(test->axes & axis))
		return 1;
	switch (axis) {
	case AXIS_ACCESS:
		return ACCESS_KINDS;
	case AXIS_NUM:
		return packed ? 4 : 3;
	default:
		return 2;
	}
}

/* Every combination, counted like a number whose digits have these bases. */
static void run_test(const struct test *test, bool packed)
{
	static const unsigned int nums[] = { 16, 1, 256, 7 };
	static const unsigned int axes[] = {
		AXIS_BARRIERS, AXIS_NUM, AXIS_EVENT, AXIS_INDIRECT, AXIS_ACCESS,
	};
	unsigned int digit[ARRAY_SIZE(axes)] = { 0 }, i, n = 0;

	do {
		struct run v = {
			.packed = packed, .strong = digit[0], .num = nums[digit[1]],
			.event = !digit[2], .indirect = !digit[3], .access = digit[4],
		};

		if (test->axes & AXIS_CELLS)
			v.access = uses_cells[digit[4]];

		if (n++ % every == 0)
			run_variant(test, &v);
		for (i = 0; i < ARRAY_SIZE(axes); i++) {
			if (++digit[i] < values(test, axes[i], packed))
				break;
			digit[i] = 0;
		}
	} while (i < ARRAY_SIZE(axes));
}

/* In a process of its own: a crash is the failure of one test. */
static bool run_isolated(const struct test *test, bool packed)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		perror("unit: fork");
		exit(2);
	}
	if (!pid) {
		struct rlimit cpu = { TIMEOUT, TIMEOUT };

		/* Not wall-clock time: the machine may be busy. */
		setrlimit(RLIMIT_CPU, &cpu);
		run_test(test, packed);
		exit(0);
	}
	if (waitpid(pid, &status, 0) != pid) {
		perror("unit: waitpid");
		exit(2);
	}
	if (WIFSIGNALED(status))
		printf("# killed by signal %d: %s\n", WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) > 1)
		printf("# the sanitizer ended the test, its report is on stderr\n");
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	unsigned int pass, s, n = 0, failed = 0;
	const struct test *test;
	const char *word;
	char name[200];
	bool list = false;
	int packed, opt;

	while ((opt = getopt(argc, argv, "le:")) != -1) {
		if (opt == 'e')
			every = strtoul(optarg, NULL, 10);
		list |= opt == 'l';
		if (opt == '?' || !every) {
			fprintf(stderr, "usage: unit [-l] [-e N] [WORD]\n");
			return 2;
		}
	}
	word = optind < argc ? argv[optind] : "";
	dma_untracked_physical = getenv("VRING_UNTRACKED_PHYSICAL");
	for (pass = 0; pass < 2; pass++) {
		if (pass && !list)
			printf("KTAP version 1\n1..%u\n", n);
		n = 0;
		for (packed = 0; packed < 2; packed++) {
			for (s = 0; s < ARRAY_SIZE(suites); s++) {
				for (test = suites[s]; test->name; test++) {
					bool ok;

					if (test->axes & (packed ? ONLY_SPLIT | LEGACY :
							  ONLY_PACKED))
						continue;
					snprintf(name, sizeof(name), "%s: %s",
						 packed ? "packed" : "split", test->name);
					if (!strstr(name, word))
						continue;
					n++;
					if (!pass)
						continue;
					if (list) {
						printf("%s\n", name);
						continue;
					}
					ok = run_isolated(test, packed);
					failed += !ok;
					printf("%sok %u %s\n", ok ? "" : "not ", n, name);
				}
			}
		}
	}
	if (!list)
		printf("# Totals: pass:%u fail:%u skip:0\n", n - failed, failed);
	if (!n) {
		fprintf(stderr, "unit: no test has \"%s\" in its name; -l lists them\n", word);
		return 2;
	}
	return failed != 0;
}

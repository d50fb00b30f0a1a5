// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the tests and reports in KTAP.
 *
 *	unit [-l] [-e N] [WORD]		list, or run, the tests whose names contain
 *					WORD; only every N-th variant of each
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
	reset_tests, length_tests, failure_tests, ops_tests, checkers_tests, map_tests,
#if RING_DEBUG
	show_tests,
#endif
#if RING_POOL
	pool_tests,
#endif
#if RING_USED
	used_tests,
#endif
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

static void run_test(const struct test *test, bool packed)
{
	static struct run t;
	unsigned int nth;

	for (nth = 0; test_variant(test->axes, packed, nth, &t); nth++) {
		if (nth % every)
			continue;
		test_begin(&t, test->axes);
		test->fn(&t);
		test_end(&t);
	}
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
	unsigned int pass, s, n = 0, failed = 0, skipped = 0;
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
					if (test->axes & LACKS) {
						printf("ok %u %s # SKIP not in this ring\n",
						       n, name);
						skipped++;
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
		printf("# Totals: pass:%u fail:%u skip:%u\n", n - failed - skipped, failed,
		       skipped);
	if (!n) {
		fprintf(stderr, "unit: no test has \"%s\" in its name; -l lists them\n", word);
		return 2;
	}
	return failed != 0;
}

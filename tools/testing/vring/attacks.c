// SPDX-License-Identifier: GPL-2.0
/*
 * Carries out every attack of the table against our ring, the base's, and the base's
 * with the fixes if there are any, which are all in this program, and reports in KTAP.  An attack that
 * hurts ours or the fixed one is a test that failed; what it does to the base's is
 * written down.
 *
 *	attacks [-l] [WORD]	list, or carry out, those whose names contain WORD
 *
 * Before each result stand the outcomes, a line each, the worst first:
 *
 *	# RING | harm or - | OUTCOME | ACCESS; ... or - | REQUESTS; ... or -
 *
 * with the kinds of access and the requests in which it came about, - if these are
 * all in which the attack was carried out.  REQUESTS are "tables" or "no tables",
 * "premapped" or "not premapped".  scripts/attacks.py reads that.
 */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "attack.h"

#define OUTCOMES	16	/* of one attack */
#define TEXT		160

/* In what an attack was carried out, or an outcome came about; bit sets. */
struct kinds {
	unsigned int access, indirect, premapped;
};

struct outcome {
	char text[TEXT];
	bool harm;
	struct kinds kinds;
};

/* What came of one attack with one ring. */
struct result {
	unsigned int n;
	struct outcome outcome[OUTCOMES];
	struct kinds kinds;
	char detail[400];		/* of the first harm */
};

static void die(const char *what)
{
	fflush(stdout);
	fprintf(stderr, "attacks: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- in words ---- */

/* What the emulated kernel complains of, and how that is said in the table. */
static const struct { const char *part, *words; } says[] = {
	{ "which device", "unmaps what is not mapped" },
	{ "were mapped", "unmaps another size than it mapped" },
	{ "it was mapped", "unmaps in another direction than it mapped" },
	{ "mappings were leaked", "leaves a buffer mapped" },
	{ "allocations were leaked", "leaks memory" },
	{ "unexpected message", "writes a message" },
	{ "stale data?", "discloses stale data" },
	{ "is not what the device wrote", "loses what the device wrote" },
	{ "rate-limited?", "floods the log" },
};

static void in_words(const char *message, char *words)
{
	unsigned int i, len = strcspn(message, "[");

	for (i = 0; i < ARRAY_SIZE(says); i++) {
		if (!strstr(message, says[i].part))
			continue;
		snprintf(words, TEXT, "%s", says[i].words);
		return;
	}
	while (len && message[len - 1] == ' ')
		len--;
	snprintf(words, TEXT, "%.*s", (int)len, message);
}

/* Whether this line of a stack is of a ring, and the function's name. */
static bool ring_frame(const char *line, char *name, size_t room)
{
	const char *in = strstr(line, " in ");

	if (!in || strncmp(line + strspn(line, " "), "#", 1))
		return false;
	if (!strstr(in, "drivers/virtio/"))
		return false;
	in += 4;
	snprintf(name, room, "%.*s", (int)strcspn(in, " "), in);
	return true;
}

/* A report takes its time, which is none of the ring's. */
void __asan_on_error(void)
{
	setitimer(ITIMER_PROF, &(struct itimerval){ 0 }, NULL);
}

/* The sanitizers' report is in @f: what, and where in the ring. */
static void read_report(FILE *f, int signal, char *words, char *detail, size_t room)
{
	static const char asan[] = "ERROR: AddressSanitizer: ", ubsan[] = "runtime error: ";
	char line[300], what[80] = "", where[80] = "";
	bool ended = false;
	const char *p;

	rewind(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		p = strstr(line, asan);
		if (p && !*what)
			snprintf(what, sizeof(what), "%.*s",
				 (int)strcspn(p + strlen(asan), " :"), p + strlen(asan));
		p = strstr(line, ubsan);
		if (p && !*what)
			snprintf(what, sizeof(what), "%.70s", p + strlen(ubsan));
		if (*what && !*where && !ended)
			ring_frame(line, where, sizeof(where));
		/* What follows are other stacks, as that of who freed it. */
		ended |= *what && !*line;
		if (p || strstr(line, asan))
			snprintf(detail, room, "%s", line);
	}
	if (!*what)
		snprintf(what, sizeof(what), signal ? "%s" : "ends by itself",
			 strsignal(signal));
	snprintf(words, TEXT, *where ? "%s in %s" : "%s", what, where);
	if (!*detail)
		snprintf(detail, room, "%s", words);
}

/* All that the sanitizers say of our ring is for a reader. */
static void show(FILE *f)
{
	char line[300];

	rewind(f);
	while (fgets(line, sizeof(line), f))
		fputs(line, stderr);
}

/* ---- one attack ---- */

static void add_kinds(struct kinds *to, const struct kinds *more)
{
	to->access |= more->access;
	to->indirect |= more->indirect;
	to->premapped |= more->premapped;
}

static void note(struct result *r, const char *text, bool harm, const struct kinds *kinds)
{
	struct outcome *o;
	unsigned int i;

	for (i = 0; i < r->n; i++)
		if (!strcmp(r->outcome[i].text, text))
			break;
	if (i == OUTCOMES) {
		errno = E2BIG;
		die("an attack has too many outcomes");
	}
	o = &r->outcome[i];
	if (i == r->n) {
		r->n++;
		snprintf(o->text, sizeof(o->text), "%s", text);
		o->harm = harm;
	}
	add_kinds(&o->kinds, kinds);
	add_kinds(&r->kinds, kinds);
}

/* Where a child got to. */
struct progress {
	unsigned int at;
	struct kinds kinds;		/* one of each */
	bool under_way, noted, hung, ended;
};

static void take_record(struct result *r, struct progress *p, char *line)
{
	unsigned int access, indirect, premapped;
	char words[TEXT];

	switch (line[0]) {
	case '@':
		p->noted = false;
		if (sscanf(line, "@%u %u %u %u", &p->at, &access, &indirect, &premapped) != 4)
			return;
		p->under_way = true;
		p->kinds = (struct kinds){ BIT(access), BIT(indirect), BIT(premapped) };
		return;
	case '=':
		if (line[1])
			note(r, line + 1, false, &p->kinds);
		p->under_way = false;
		return;
	case '.':
		p->ended = true;
		return;
	}
	if (line[0] == '~')
		snprintf(words, sizeof(words), "%.*s", (int)strcspn(line + 1, "[") - 1,
			 line + 1);
	else
		in_words(line + 1, words);
	note(r, words, true, &p->kinds);
	p->noted = true;
	if (!*r->detail)
		snprintf(r->detail, sizeof(r->detail), "%s", line + 1);
}

/* In a process of its own, from the @from-th time on, until it ends in whatever way. */
static void run_child(const struct attack_side *side, unsigned int nth, bool packed,
		      unsigned int from, struct result *r, struct progress *p)
{
	FILE *report = tmpfile(), *records;
	char line[400], words[TEXT];
	int fd[2], status, signal;
	pid_t pid;

	fflush(stdout);
	if (!report || pipe(fd))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		close(fd[0]);
		dup2(fileno(report), STDERR_FILENO);
		side->run(side != &attack_side_ours, side->get(nth), packed, from, fd[1]);
		exit(0);
	}
	close(fd[1]);
	records = fdopen(fd[0], "r");
	if (!records)
		die("fdopen");
	memset(p, 0, sizeof(*p));
	p->at = from;
	while (fgets(line, sizeof(line), records)) {
		line[strcspn(line, "\n")] = '\0';
		take_record(r, p, line);
	}
	fclose(records);
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	p->hung = signal == SIGPROF;
	if (p->hung) {
		note(r, "hangs", true, &p->kinds);
		snprintf(r->detail, sizeof(r->detail), "it used up its time");
	} else if (!p->noted && (status || p->under_way)) {
		read_report(report, signal, words, r->detail, sizeof(r->detail));
		note(r, words, true, &p->kinds);
	}
	if (side != &attack_side_stock)
		show(report);
	fclose(report);
}

static void carry_out(const struct attack_side *side, unsigned int nth, bool packed,
		      struct result *r)
{
	unsigned int from = 0, steps = side->get(nth)->steps;
	struct progress p = { 0 };

	memset(r, 0, sizeof(*r));
	do {
		run_child(side, nth, packed, from, r, &p);
		from = p.at + 1;
		/* Each takes its time: one will do. */
		if (p.hung && steps)
			from = roundup(from, steps);
		/* The test has failed, whatever else there is. */
	} while (!p.ended && !(*r->detail && side != &attack_side_stock));
}

/* ---- the report ---- */

static void print_outcome(const char *ring, const struct result *r, const struct outcome *o)
{
	bool tables = o->kinds.indirect != r->kinds.indirect;
	bool premapped = o->kinds.premapped != r->kinds.premapped;
	const char *sep = "";
	unsigned int i;

	printf("# %s | %s | %s | ", ring, o->harm ? "harm" : "-", o->text);
	if (o->kinds.access == r->kinds.access)
		printf("-");
	for (i = 0; o->kinds.access != r->kinds.access && i < ACCESS_KINDS; i++)
		if (o->kinds.access & BIT(i)) {
			printf("%s%s", sep, attack_side_ours.access_name(i));
			sep = "; ";
		}
	printf(" | ");
	if (tables)
		printf("%stables", o->kinds.indirect & BIT(true) ? "" : "no ");
	if (premapped)
		printf("%s%spremapped", tables ? "; " : "",
		       o->kinds.premapped & BIT(true) ? "" : "not ");
	printf("%s\n", tables || premapped ? "" : "-");
}

/* The worst first; whether any is harm. */
static bool print_result(const char *ring, const struct result *r)
{
	bool harmed = false;
	unsigned int harm, i;

	for (harm = 2; harm--; )
		for (i = 0; i < r->n; i++)
			if (r->outcome[i].harm == harm) {
				print_outcome(ring, r, &r->outcome[i]);
				harmed |= harm;
			}
	return harmed;
}

static bool report(unsigned int nth, bool packed)
{
	static const struct {
		const char *name;
		const struct attack_side *side;
	} rings[] = {
		{ "stock", &attack_side_stock }, { "fixed", &attack_side_fixed },
		{ "ours", &attack_side_ours },
	};
	static struct result result;
	bool harmed, ok = true;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		if (!rings[i].side)
			continue;
		carry_out(rings[i].side, nth, packed, &result);
		harmed = print_result(rings[i].name, &result);
		if (!i)
			continue;
		if (harmed)
			printf("# %s\n", result.detail);
		ok &= !harmed && result.n;
	}
	return ok;
}

int main(int argc, char **argv)
{
	bool list = argc > 1 && !strcmp(argv[1], "-l");
	const char *word = argc > 1 + list ? argv[1 + list] : "";
	unsigned int pass, i, n = 0, failed = 0, packed;
	const struct attack *a;
	char name[200];

	for (pass = 0; pass < 2; pass++) {
		if (pass && !list)
			printf("KTAP version 1\n1..%u\n", n);
		n = 0;
		for (i = 0; (a = attack_side_ours.get(i)); i++) {
			for (packed = 0; packed < 2; packed++) {
				bool ok;

				if (a->axes & (packed ? ONLY_SPLIT : ONLY_PACKED))
					continue;
				snprintf(name, sizeof(name), "%s: %s",
					 packed ? "packed" : "split", a->name);
				if (!strstr(name, word))
					continue;
				n++;
				if (!pass)
					continue;
				if (list) {
					printf("%s\n", name);
					continue;
				}
				ok = report(i, packed);
				failed += !ok;
				printf("%sok %u %s\n", ok ? "" : "not ", n, name);
			}
		}
	}
	if (!list)
		printf("# Totals: pass:%u fail:%u skip:0\n", n - failed, failed);
	if (!n) {
		fprintf(stderr, "attacks: none has \"%s\" in its name; -l lists them\n", word);
		return 2;
	}
	return failed != 0;
}

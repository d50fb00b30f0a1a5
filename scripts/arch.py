#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""usage: arch.py [--no-build] [--no-stock] [compile|guests|arm64|s390x|CONFIGURATION]...

Test other architectures than x86.  "compile" compiles the files that the series
touches with every warning, in the configurations of scripts/lib/arch/compile.py.  A
warning is a failure.  "guests" boots an arm64 guest with an SMMUv3 and a big-endian
s390x guest, with the unmodified kernel and with ours.  They run the data checks of
make matrix and the selftests.  Without a name, it does all of this.  Results:
build/BASE/arch.json; the last line is "N passed, N failed, N skipped".
"""

from lib import report, rows
from lib.arch import compile, guests
from lib.matrix import report as matrix_report

ARCHS = ("arm64", "s390x")
CONFIGS = tuple(c.name for c in compile.CONFIGS)


def words():
    parser = rows.RowWords(__doc__, "--no-stock")
    parser.add_argument("asked", nargs="*", default=["compile", "guests"],
                        metavar="compile|guests|arm64|s390x|CONFIGURATION",
                        choices=[["compile", "guests"], "compile", "guests", *ARCHS, *CONFIGS])
    return parser


def show_compiled(done, close):
    """The table of what was compiled; returns the failures."""
    table, failures = [], []
    for one in done:
        wrong = one.failed()
        good = sum(verdict == "ok" for verdict in one.files.values())
        table.append([one.config.name, one.config.what, good, len(one.left_out),
                      len(wrong), "FAIL" if wrong else "PASS"])
        close.counts["PASS"] += good
        failures += wrong
    rows.show(["compiled for", "", "files", "not for it", "warnings", "result"], table)
    if len(done) == len(compile.CONFIGS):
        failures += ["%s is compiled by no configuration" % path
                     for path in compile.nowhere(done)]
    return failures


def show_guests(verdicts, tests, found, results, close):
    """The tables of the guests; returns the failures."""
    matrix_report.show(verdicts)
    rows.show(["selftests in", "passed", "failed", "skipped", "s"], [
        [b.name, *(sum(f[0] == b.name and f[2] == word for f in found)
                   for word in ("PASS", "FAIL", "SKIP")), "%.0f" % results[b.name].seconds]
        for b in tests])
    for boot, name, word, reason in found:
        if word == "SKIP":
            report.say("SKIP %s: %s: %s" % (boot, name, reason))
    close.counts.update(word for word in [v.word for v in verdicts] + [f[2] for f in found]
                        if word != "FAIL")
    return ["%s: %s" % (v.name(), note) for v in verdicts if v.word == "FAIL"
            for note in v.notes] + \
        ["%s: %s: %s" % (f[0], f[1], f[3]) for f in found if f[2] == "FAIL"]


def main():
    wish, close = words().read(), rows.Close()
    configs = [n for n in CONFIGS if n in wish.asked and n not in ARCHS or "compile" in wish.asked]
    archs = [a for a in ARCHS if a in wish.asked or "guests" in wish.asked]
    if not wish.no_build:
        rows.build([k for a in archs for k in [a + "-stock"] * (not wish.no_stock) + [a]], archs,
                   first=[["tree.py", "tree"]])
    failures, values = [], {}
    if configs:
        done = compile.run(configs)
        failures += show_compiled(done, close)
        values["compiled"] = {one.config.name: {
            "what": one.config.what, "arch": one.config.arch, "problem": one.problem,
            "files": one.files, "left_out": one.left_out} for one in done}
    if archs:
        plan, tests = guests.boots(archs, not wish.no_stock)
        results = guests.run(plan, tests)
        verdicts = guests.judge(plan, results)
        found = guests.judge_tests(tests, results)
        failures += show_guests(verdicts, tests, found, results, close)
        values["rows"] = matrix_report.rows_json(verdicts)
        values["tests"] = [dict(zip(("boot", "name", "result", "reason"), f)) for f in found]
        values["boots"] = {name: round(r.seconds, 1) for name, r in results.items()}
    close.counts["FAIL"] = len(failures)
    for failure in failures:
        report.say("FAIL " + failure)
    close.write("arch", values)
    return close.status()


if __name__ == "__main__":
    report.main_guard(main)

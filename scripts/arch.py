#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: arch.py [--no-build] [--no-stock] [compile|guests|arm64|s390x|CONFIGURATION]...

What is beyond x86.  "compile": the files that the series touches, compiled for other
architectures with every warning, as scripts/lib/arch/compile.py has the
configurations; a warning is a failure.  "guests": an arm64 guest with an SMMUv3 and
a big-endian s390x guest, with the data checks of make matrix, the unmodified kernel
beside ours, and the selftests.  All of it if nothing is named.  Results:
build/BASE/arch.json; the last line is "N passed, N failed, N skipped".
"""

import sys
import time

sys.dont_write_bytecode = True

from lib import report                                           # noqa: E402
from lib.arch import compile, guests                             # noqa: E402
from lib.guest import expect                                     # noqa: E402
from lib.matrix import report as matrix_report                   # noqa: E402

ARCHS = ("arm64", "s390x")


def compile_all(names):
    """The configurations of these names, compiled."""
    paths, done = compile.files(), []
    with report.Progress() as progress:
        for config in compile.CONFIGS:
            if config.name in names:
                progress.begin(config.name)
                done.append(compile.Compile(config, paths).run())
                progress.end(config.name)
    return done


def show_compiled(done):
    """The table, and (passed, failures) of it."""
    table, passed, failures = [], 0, []
    for one in done:
        wrong = one.failed()
        good = sum(verdict == "ok" for verdict in one.files.values())
        table.append([one.config.name, one.config.what, good, len(one.left_out),
                      len(wrong), "FAIL" if wrong else "PASS"])
        passed += good
        failures += wrong
    for line in report.format_table(["compiled for", "", "files", "not for it", "warnings",
                                     "result"], table):
        report.say(line)
    return passed, failures


def words():
    """(options, what is asked for)."""
    options = [w for w in sys.argv[1:] if w.startswith("--")]
    asked = [w for w in sys.argv[1:] if not w.startswith("--")] or ["compile", "guests"]
    configs = [c.name for c in compile.CONFIGS]
    for word in options + asked:
        if word not in ("--no-build", "--no-stock", "compile", "guests", *ARCHS, *configs):
            raise report.Failure("%s is nothing to ask for: see the head of this file" % word)
    return options, (configs if "compile" in asked else
                     [w for w in asked if w in configs and w not in ARCHS]), \
        (ARCHS if "guests" in asked else [w for w in asked if w in ARCHS])


def main():
    started = time.monotonic()
    options, configs, archs = words()
    if "--no-build" not in options:
        kernels = [k for a in archs for k in ([a] if "--no-stock" in options else
                                              [a + "-stock", a])]
        expect.build(["tree.py", "tree"], *[["kernel.sh", k] for k in kernels],
                           *[["initramfs.sh", a] for a in archs])
    passed, failures, skipped, values = 0, [], 0, {}
    if configs:
        done = compile_all(configs)
        passed, failures = show_compiled(done)
        if len(done) == len(compile.CONFIGS):
            failures += ["%s is compiled by no configuration" % path
                         for path in compile.nowhere(done)]
        values["compiled"] = {one.config.name: {
            "what": one.config.what, "arch": one.config.arch, "problem": one.problem,
            "files": one.files, "left_out": one.left_out} for one in done}
    if archs:
        plan, tests = guests.boots(archs, "--no-stock" not in options)
        results = guests.run(plan, tests)
        verdicts = guests.judge(plan, results)
        for line in matrix_report.table(verdicts):
            report.say(line)
        failures += ["%s: %s" % (v.name(), note) for v in verdicts for note in v.notes]
        passed += sum(v.word == "PASS" for v in verdicts)
        found = guests.judge_tests(tests, results)
        for line in report.format_table(
                ["selftests in", "passed", "failed", "skipped", "s"],
                [[b.name, *(sum(f[0] == b.name and f[2] == word for f in found)
                            for word in ("PASS", "FAIL", "SKIP")),
                  "%.0f" % results[b.name].seconds] for b in tests]):
            report.say(line)
        for boot, name, word, reason in found:
            if word == "SKIP":
                report.say("SKIP %s: %s: %s" % (boot, name, reason))
        failures += ["%s: %s: %s" % (f[0], f[1], f[3]) for f in found if f[2] == "FAIL"]
        passed += sum(f[2] == "PASS" for f in found)
        skipped += sum(f[2] == "SKIP" for f in found)
        values["rows"] = matrix_report.rows_json(verdicts)
        values["tests"] = [dict(zip(("boot", "name", "result", "reason"), f)) for f in found]
        values["boots"] = {name: round(r.seconds, 1) for name, r in results.items()}
    for failure in failures:
        report.say("FAIL " + failure)
    report.write_json(report.BUILD + "/arch.json", {
        **values, "seconds": round(time.monotonic() - started, 1), "passed": passed,
        "failed": len(failures), "skipped": skipped})
    report.say("%d passed, %d failed, %d skipped" % (passed, len(failures), skipped))
    return 1 if failures or not passed else 0


if __name__ == "__main__":
    report.main_guard(main)

#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""usage: debian.py [--no-build] [--list] [--jobs=N] [PATTERN...]

Boot Debian: its own configuration of a cloud kernel with the series in it, cut to the
modules that scripts/config/debian.config names, as a package that apt installs in an image
of Debian, beside Debian's own package of the same kernel.  Each scenario runs with both,
from a root file system on a virtio disk behind intel-iommu, by a login on the console.
PATTERN (or ROWS=) names scenarios; without it there is only "boot".  build/BASE/debian.json
has the result for programs; the last line is "N passed, N failed, N skipped".
"""

from lib import report, rows
from lib.debian import image as images, plan
from lib.guest import vm


def words():
    parser = rows.RowWords(__doc__, "--list").patterns()
    parser.add_argument("--jobs", type=int, choices=[1, 2], default=2)
    return parser


def ktap(number, row):
    """The line of a row."""
    return "%s %d %s # %s" % ("ok" if row["ok"] else "not ok", number, row["row"], row["ours"])


def judge(runs, results):
    """A dictionary for each row."""
    stock = {run.scenario: got for run, got in zip(runs, results) if run.kernel == "stock"}
    beside = {run.scenario: plan.checks(run, got) for run, got in zip(runs, results)
              if run.kernel == "stock"}
    values = []
    for run, got in zip(runs, results):
        if run.kernel == "stock":
            continue
        said, theirs = (plan.checks(run, got, stock.get(run.scenario)),
                        beside.get(run.scenario, {}))
        for name in {**theirs, **said}:
            okay, text = said.get(name, (False, "not reached"))
            was = theirs.get(name)
            values.append({
                "row": run.row(name), "ok": okay, "ours": text, "log": got[-1].log,
                "stock": "-" if was is None else ("" if was[0] else "FAIL ") + was[1]})
    return values


def main():
    wish, close = words().read(), rows.Close()
    chosen = rows.chosen(wish.rows or ([] if wish.list else ["boot"]), plan.SCENARIOS,
                         lambda name: [name], "there are: " + " ".join(plan.SCENARIOS))
    if wish.list:
        print("\n".join("%-10s %s" % (name, plan.SCENARIOS[name].text) for name in chosen))
        return 0
    vm.check_host()
    reason = plan.machine().missing()
    if reason:
        raise report.Failure(reason)
    image = images.provide(not wish.no_build)
    report.say("debian: stock is %(stock)s, ours %(ours)s" % image.versions)
    with report.Progress() as progress:
        runs = [plan.Run(name, kernel, mode, image, progress) for name in chosen
                for kernel, mode in plan.SCENARIOS[name].boots]
        results = vm.boot_all(runs, wish.jobs)
    values = judge(runs, results)
    close.counts.update("PASS" if value["ok"] else "FAIL" for value in values)
    rows.show(["row", "stock", "ours"], [[v["row"], v["stock"], v["ours"]] for v in values])
    report.say("\nKTAP version 1\n1..%d" % len(values))
    for number, value in enumerate(values, 1):
        report.say(ktap(number, value))
    for run, got in zip(runs, results):
        for result in got:
            for problem in result.problems:
                report.say("boot %s: %s (log: %s)" % (run.name, problem, result.log))
    close.write("debian", {"image": image.versions, "rows": values})
    report.say("debian: %.0f s" % close.seconds())
    return close.status()


if __name__ == "__main__":
    report.main_guard(main)

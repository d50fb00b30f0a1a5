#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""usage: qemus.py [--no-build] [--no-speed] [PATTERN...]

Find out which QEMU works with which kernel.  Runs the promise of scripts/matrix.toml,
ours and stock on the same command lines, with the QEMU of this machine and with the
oldest and the newest of Debian's archive.  QEMUS= names other suites, where "-" is this
machine.  PATTERN (or ROWS=) restricts the boots as with matrix.py.  Unless --no-speed is
given, it also measures the quick times of make bench behind intel-iommu with each QEMU.
Results: build/BASE/qemus.json; for each QEMU those of matrix.py as qemus-SUITE.html,
.json and .xml, and those of bench.py as qemus-SUITE-speed.json; the last line is "N
passed, N failed, N skipped".
"""

import itertools
import json
import os
import subprocess

from lib import report, rows, tables
from lib.bench import figures, plan
from lib.guest import expect, machine
from lib.matrix import plan as matrix_plan

SUITES = "bullseye - trixie"
# Modes of ours, each beside one of stock's.
COMPARED = (("default", "default"), ("pt", "pt"), ("strict", "strict"), ("strict", "pt"))
KERNELS = ("stock", "devices-stock", "ours", "modular", "devices")
SCRIPTS = report.ROOT + "/scripts/"


def program(suite):
    """The QEMU of a suite."""
    if suite == "-":
        return machine.QEMU
    done = subprocess.run([SCRIPTS + "qemu-of.sh", suite], stdout=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode:
        raise report.Failure("there is no QEMU of %s" % suite)
    return done.stdout.strip()


def version(qemu):
    done = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=False)
    words = done.stdout.split()
    if done.returncode or len(words) < 4:
        raise report.Failure("%s --version says: %s" % (qemu, done.stderr.strip()))
    return words[3]


def run(qemu, script, name, *words, **env):
    """The results of a script with one QEMU, which it calls by that name."""
    path = "%s/%s.json" % (report.BUILD, name)
    if os.path.exists(path):
        os.unlink(path)
    expect.finish([SCRIPTS + script, "--name=" + name, *words],
                  {**os.environ, "QEMU": qemu, **env})
    try:
        with open(path, encoding="utf-8") as found:
            return json.load(found)
    except OSError:
        raise report.Failure("%s came to no end with %s" % (script, qemu)) from None


def speed_table(measured):
    """Of what bench.py timed with each QEMU: what each of ours takes for each of
    stock's, the median of slices beside each other, and the medians of the two."""
    table = []
    for (mine, theirs), cell in itertools.product(COMPARED, plan.FEW_CELLS):
        row = [plan.NAMES[cell], "ours, %s : stock, %s" % (mine, theirs)]
        for one in measured:
            us = {(t["kernel"], t["mode"]): t["us"] for t in one["time"] if t["cell"] == cell}
            ours, stock = us.get(("ours", mine)), us.get(("stock", theirs))
            row.append("-" if not ours or not stock else "%.2f (%.0f, %.0f)" % (
                figures.ratio(ours, stock), ours["median"], stock["median"]))
        table.append(row)
    return table


def did(row):
    """What the two kernels did with a row, in a few words."""
    if row["guest"] == "stock":
        return "stock " + row["verdict"]
    stock = row["stock"].split(":")[0].split(",")[0] or "-"
    return "%s, stock %s" % (row["verdict"], stock)


def main():
    wish, close = rows.RowWords(__doc__, "--no-speed").patterns().read(), rows.Close()
    rows.chosen(wish.rows, matrix_plan.promise(tables.load("matrix")), matrix_plan.Boot.words,
                "matrix.py --promise --list names them")
    rows.need("jinja2", "python3-jinja2")
    suites = (os.environ.get("QEMUS") or SUITES).split()
    qemus = [program(suite) for suite in suites]
    versions = [version(qemu) for qemu in qemus]
    if not wish.no_build:
        rows.build(KERNELS, ["plain", "modular"])
    found, measured = [], []
    for suite, qemu, number in zip(suites, qemus, versions):
        report.say("qemus: QEMU %s" % number)
        name = "qemus-" + ("here" if suite == "-" else suite)
        found.append(run(qemu, "matrix.py", name, "--no-build", "--promise",
                         *wish.rows, ROWS=""))
        if not wish.no_speed:
            measured.append(run(qemu, "bench.py", name + "-speed", "--only=time",
                                "--iommu=intel", QUICK="1"))

    for one in found:
        close.counts.update(PASS=one["passed"], FAIL=one["failed"], SKIP=one["skipped"])
    close.write("qemus", {
        "qemus": [{"suite": suite, "version": number, "rows": one["rows"],
                   "not_possible": one["not_possible"], "seconds": one["seconds"]}
                  for suite, number, one in zip(suites, versions, found)],
        "speed": [one["time"] for one in measured]})
    names = ["QEMU " + v for v in versions]
    rows.show(["boot", "device", "IOMMU in guest", "dma_access", *names], [
        [of[0]["boot"], of[0]["device"], of[0]["iommu"][:30], of[0]["dma_access"], *map(did, of)]
        for of in zip(*(one["rows"] for one in found))])
    if measured:
        report.say()
        rows.show(["ratio (microseconds a request)", "", *names], speed_table(measured))
    return close.status()


if __name__ == "__main__":
    report.main_guard(main)

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: qemus.py [--no-build] [PATTERN...]

Who works with whom: the promise of scripts/matrix.toml, ours and stock on the same
command lines, with the QEMU of this machine and with those of other suites of Debian,
the oldest and the newest that its archive has for this.  QEMUS= names others, "-"
being this machine's; PATTERN (or ROWS=) restricts the boots as with matrix.py.
Results: build/BASE/qemus.json, and of each QEMU matrix.py's, as qemus-SUITE.html,
.json and .xml; the last line is "N passed, N failed, N skipped".
"""

import json
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True

from lib import guest_expect, guest_machine, report      # noqa: E402

SUITES = "bullseye - trixie"
SCRIPTS = report.ROOT + "/scripts/"


def program(suite):
    """The QEMU of a suite."""
    if suite == "-":
        return guest_machine.QEMU
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


def run(suite, qemu, patterns):
    """What matrix.py found with one QEMU."""
    name = "qemus-" + ("here" if suite == "-" else suite)
    path = "%s/%s.json" % (report.BUILD, name)
    if os.path.exists(path):
        os.unlink(path)
    subprocess.run([SCRIPTS + "matrix.py", "--no-build", "--promise", "--name=" + name, *patterns],
                   env={**os.environ, "QEMU": qemu, "ROWS": ""}, check=False)
    try:
        with open(path, encoding="utf-8") as found:
            return json.load(found)
    except OSError:
        raise report.Failure("matrix.py came to no end with %s" % qemu) from None


def did(row):
    """What the two kernels did with a row, in a few words."""
    if row["guest"] == "stock":
        return "stock " + row["verdict"]
    stock = row["stock"].split(":")[0].split(",")[0] or "-"
    return "%s, stock %s" % (row["verdict"], stock)


def main():
    started = time.monotonic()
    unknown = [w for w in sys.argv[1:] if w.startswith("--") and w != "--no-build"]
    if unknown:
        raise report.Failure("no option %s: see the head of this file" % unknown[0])
    patterns = [w for w in sys.argv[1:] if not w.startswith("--")]
    patterns = patterns or (os.environ.get("ROWS") or "").split()
    suites = (os.environ.get("QEMUS") or SUITES).split()
    qemus = [program(suite) for suite in suites]
    versions = [version(qemu) for qemu in qemus]
    if "--no-build" not in sys.argv:
        guest_expect.build(["kernel.sh", "ours"], ["kernel.sh", "stock"], ["kernel.sh", "modular"],
                           ["initramfs.sh"], ["initramfs.sh", "modular"])
    found = []
    for suite, qemu, number in zip(suites, qemus, versions):
        report.say("qemus: QEMU %s" % number)
        found.append(run(suite, qemu, patterns))

    table = []
    for rows in zip(*(one["rows"] for one in found)):
        first = rows[0]
        table.append([first["boot"], first["device"], first["iommu"][:30], first["dma_access"],
                      *map(did, rows)])
    total = {word: sum(one[word] for one in found) for word in ("passed", "failed", "skipped")}
    report.write_json(report.BUILD + "/qemus.json", {
        "qemus": [{"suite": suite, "version": number, "rows": one["rows"],
                   "not_possible": one["not_possible"], "seconds": one["seconds"]}
                  for suite, number, one in zip(suites, versions, found)],
        "seconds": round(time.monotonic() - started, 1), **total})
    for line in report.format_table(["boot", "device", "IOMMU in guest", "dma_access",
                                     *("QEMU " + v for v in versions)], table):
        report.say(line)
    report.say("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % total)
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    report.main_guard(main)

#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""usage: each.py [PATTERN...]

Build the kernel after each patch of the series, as each.sh does.  Where a patch
changes the ring that is built, test that ring in userspace, boot a guest with it whose
devices are physical, behind an IOMMU that passes through, and behind one that
translates strictly, send data through its disks, and count the instructions of an add
and a get.  A table has a line for each patch: so each patch's gain or cost is seen.
PATTERNs choose patches by name.

A test in userspace that needs what a ring has not got yet is skipped; each runs with
every 11th of its variants, or every EVERY-th.  Instructions are those of the split
layout, with 1 segment of 256 bytes and with 64 of a page; of both layouts and of all
lengths in build/BASE/each.json, and build/BASE/each.txt is a block for a mail.  The
patch that adds split.c, which is not built yet, has the figures of the base's ring.
The last line is "N passed, N failed, N skipped".
"""

import json
import os
import re
import subprocess
import sys

from lib import report, rows
from lib.bench import guest as bench
from lib.guest import expect, vm
from lib.guest.machine import Device, Machine, check_host

EACH = os.path.join(report.BUILD, "each")
ROWS = os.path.join(report.LOGS, ".each-rows")
VRING = os.path.join(report.ROOT, "tools/testing/vring")

# Boots: parameters, and the modes of the devices with ACCESS_PLATFORM and without.  A
# kernel that does not know iommu=on yet translates by default.
BOOTS = (("iommu=pt", "identity", "physical"),
         ("iommu=on iommu.strict=1", "strict", "physical"))
MODES = ("physical", "identity", "strict")
DISKS = (("plain", {}), ("behind", {"access": True}),
         ("packed", {"access": True, "packed": True}), ("legacy", {"mode": "legacy"}))
# The cases of the table: segments and bytes.
CASES = ((1, 256), (64, 4096))


def git(*words):
    """A line, or more, of what git says of the tree after the patch."""
    return subprocess.run(("git", *words), cwd=EACH, check=True, capture_output=True,
                          text=True).stdout.strip()


def lines_changed():
    """Lines that the patch adds and takes away outside of tools and documents."""
    added = removed = 0
    for line in git("diff", "--numstat", "HEAD^", "HEAD", "--", ".", ":!tools",
                    ":!Documentation").splitlines():
        plus, minus, _ = line.split("\t")
        if plus != "-":
            added, removed = added + int(plus), removed + int(minus)
    return added, removed


def parse_ktap(text):
    """Results of the unit tests; those that are missing have failed."""
    done = {"passed": 0, "failed": 0, "skipped": 0}
    plan = re.search(r"^1\.\.(\d+)$", text, re.M)
    for line in text.splitlines():
        match = re.match(r"(not )?ok \d+ (.*)", line)
        if match:
            done["failed" if match.group(1) else "skipped" if "# SKIP" in line
                 else "passed"] += 1
    done["failed"] += max(int(plan.group(1)) - sum(done.values()), 0) if plan else 1
    return done


def unit(name):
    """The ring of this tree in userspace."""
    out = os.path.join(report.BUILD, "each-unit")
    own = os.path.join(report.ROOT, "series", report.BASE, "files")
    subprocess.run(("rm", "-rf", out), check=True)
    log = os.path.join(report.LOGS, "each-unit-%s" % name)
    with open(log + ".log", "w", encoding="utf-8") as said:
        built = subprocess.run(
            ("make", "-C", VRING, "-j" + (os.environ.get("JOBS") or "2"), "CC=gcc",
             "KTREE=" + EACH, "RTREE=" + EACH, "OWN=" + own, "O=" + out, "all"),
            stdout=said, stderr=said, check=False)
        if built.returncode:
            return {"passed": 0, "failed": 1, "skipped": 0, "log": log + ".log"}
        done = subprocess.run((out + "/unit", "-e", os.environ.get("EVERY") or "11"),
                              stdout=subprocess.PIPE, stderr=said, text=True, check=False)
    with open(log + ".ktap", "w", encoding="utf-8") as ktap:
        ktap.write(done.stdout)
    return {**parse_ktap(done.stdout), "log": log + ".ktap"}


def initrd():
    """The guest's file system, and what belongs to this kernel in front of it."""
    path = os.path.join(report.BUILD, "each.cpio")
    with open(path, "wb") as out:
        for part in (EACH + "/build-each/guest.cpio", vm.initramfs("crash")):
            with open(part, "rb") as src:
                out.write(src.read())
            out.write(b"\0" * (-out.tell() % 512))
    return path


def boots(name, progress):
    """({mode: problem or ""}, {mode: {layout: [case]}}) of two boots."""
    good, counted = {}, {}
    files = initrd()
    guests = [vm.Guest("each-%s-%s" % (name, access),
                       EACH + "/build-each/arch/x86/boot/bzImage", files,
                       Machine("intel", [Device("blk", disk, **how) for disk, how in DISKS],
                               smp=1, icount=True, extra=["-device", "edu"]),
                       append, ["each"], bench.TIMEOUT, progress=progress)
              for append, access, _ in BOOTS]
    for (_, access, plain), result in zip(BOOTS, vm.boot_all(guests)):
        problem = result.problems[0] if result.problems else ""
        for mode in (access, plain):
            good[mode] = good.get(mode) or problem
        if problem:
            continue
        for case in bench.parse_module(result.kernel):
            mode = access if case["access"] else plain
            layouts = counted.setdefault(mode, {})
            one = {k: case[k] for k in ("segments", "bytes", "add", "get")}
            if one not in layouts.setdefault(case["layout"], []) and \
                    not any(o["segments"] == one["segments"] and o["bytes"] == one["bytes"]
                            for o in layouts[case["layout"]]):
                layouts[case["layout"]].append(one)
    return good, counted


def one():
    """What tree.py runs after each patch."""
    name = os.environ["SERIES_PATCH"]
    wanted = (os.environ.get("EACH_PATTERNS") or "").split()
    if wanted and not any(rows.matches(word, [name]) for word in wanted):
        return
    subprocess.run((report.ROOT + "/scripts/each.sh", "one"), cwd=EACH, check=True)
    with open(report.LOGS + "/.each-results", encoding="utf-8") as src:
        verdict = src.read().splitlines()[-1]
    row = {"patch": name, "subject": git("log", "-1", "--format=%s"),
           "tree": git("rev-parse", "HEAD^{tree}"), "build": verdict}
    row["added"], row["removed"] = lines_changed()
    changed = git("diff", "--name-only", "HEAD^", "HEAD").splitlines()
    ring = [p for p in changed
            if p.startswith(("drivers/virtio/ring/", "drivers/virtio/Makefile"))]
    with open(EACH + "/drivers/virtio/Makefile", encoding="utf-8") as src:
        built = "ring/core.o" in src.read()
    # The first file that is not built yet: the base's ring, for comparison.
    first = not built and "drivers/virtio/ring/split.c" in changed
    if verdict.startswith("PASS") and ring and (built or first):
        if built:
            row["unit"] = unit(name)
        made = subprocess.run((report.ROOT + "/scripts/each.sh", "guest"), cwd=EACH, check=False)
        if made.returncode:
            row["boots"] = dict.fromkeys(MODES, "the kernel or the module does not build")
        else:
            with report.Progress() as progress:
                row["boots"], row["instructions"] = boots(name, progress)
        report.say("each: %s: %s" % (name, json.dumps(row.get("boots"))))
    with open(ROWS, "a", encoding="utf-8") as out:
        out.write(json.dumps(row) + "\n")


def instructions(row, mode, segments, size):
    """Of an add and a get, as the table has it."""
    for case in row.get("instructions", {}).get(mode, {}).get("split", ()):
        if (case["segments"], case["bytes"]) == (segments, size):
            return str(case["add"] + case["get"])
    return "-"


def cell(row, what):
    """What a column says of the unit tests, or of a mode's boot."""
    found = row.get(what)
    if found is None:
        return "-"
    if what == "unit":
        return "%s %d/%d" % ("FAIL" if found["failed"] else "PASS", found["passed"],
                             found["passed"] + found["failed"])
    return "FAIL" if any(found.values()) else "PASS"


HEADER = ["patch", "+", "-", "builds", "unit", "boots",
          *("%s, %d" % (mode, segments) for segments, _ in CASES for mode in MODES)]


def table(found):
    """A line for each row."""
    return [[row["patch"], row["added"], row["removed"], row["build"].split(" ")[0],
             cell(row, "unit"), cell(row, "boots"),
             *(instructions(row, mode, *case) for case in CASES for mode in MODES)]
            for row in found]


def letter(found):
    """The rings' lines of the table as a block of a mail, in at most 75 columns."""
    def line(name, cells):
        return (name[:32].ljust(33) + "".join("%7s" % c for c in cells)).rstrip() + "\n"

    lines = [["%dx%d" % case, *[""] * (len(MODES) - 1)] for case in CASES]
    text = ("Instructions of an add and a get of the split layout after each patch of\n"
            "the ring, by segments x bytes and mode; the first line is the base's ring\n\n" +
            line("", sum(lines, [])) + line("", ["phys", "ident", "strict"] * len(CASES)))
    for row in found:
        cells = [instructions(row, mode, *case) for case in CASES for mode in MODES]
        if set(cells) != {"-"}:
            text += line(row["patch"], cells)
    return text


def count(found, close):
    """Each build, each ring's unit tests and each of its modes is a result."""
    for row in found:
        close.counts["PASS" if row["build"].startswith("PASS") else "FAIL"] += 1
        if "unit" in row:
            close.counts["FAIL" if row["unit"]["failed"] else "PASS"] += 1
        for problem in row.get("boots", {}).values():
            close.counts["FAIL" if problem else "PASS"] += 1
            if problem:
                report.say("each: %s: %s" % (row["patch"], problem))


def main():
    wish, close = rows.RowWords(__doc__).patterns().read(), rows.Close()
    check_host()
    reason = Machine("intel", [Device("blk", "plain")]).missing()
    if reason:
        raise report.Failure(reason)
    expect.build(["tree.py", "tree"], ["initramfs.sh", "crash"])
    os.makedirs(report.LOGS, exist_ok=True)
    for path in (ROWS, report.LOGS + "/.each-results", report.LOGS + "/.each-passed"):
        with open(path, "a" if path.endswith("passed") else "w", encoding="utf-8"):
            pass
    subprocess.run((report.ROOT + "/scripts/tree.py", "each", "--", os.path.abspath(__file__),
                    "one"), check=True,
                   env=dict(os.environ, EACH_PATTERNS=" ".join(wish.rows)))
    with open(ROWS, encoding="utf-8") as src:
        found = [json.loads(line) for line in src]
    if not found:
        raise report.Failure("no patch matches %s" % " ".join(wish.rows))
    rows.show(HEADER, table(found), title="Each patch, and instructions of an add and a get "
              "of the split layout, by mode and segments")
    count(found, close)
    close.write("each", {"patches": found, "modes": list(MODES)})
    if not wish.rows:
        with open(report.BUILD + "/each.txt", "w", encoding="utf-8") as out:
            out.write(letter(found))
    return close.status()


if __name__ == "__main__":
    if sys.argv[1:] == ["one"]:
        one()
    else:
        report.main_guard(main)

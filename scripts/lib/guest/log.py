# SPDX-License-Identifier: GPL-2.0-only
"""Reading what a guest says: splats in the kernel's log, complaints of QEMU,
KTAP, device rows and the disk contents that the host is to check."""

import os
import re
from dataclasses import dataclass, field

from lib import tables

SAID = tables.load("log", os.path.dirname(__file__))
SPLATS = re.compile("|".join(SAID["splats"]))
NOT_SPLATS = re.compile(SAID["not-splats"])


def is_splat(line):
    """Whether a line of the kernel's log tells of something gone wrong."""
    return bool(SPLATS.search(line)) and not NOT_SPLATS.search(line)


def find_splats(lines):
    """Those of the lines that are splats."""
    splats, injected = [], False
    for line in lines:
        if re.search(SAID["injected"], line):
            injected = True
        elif injected and "Call Trace:" in line:
            injected = False
        elif is_splat(line):
            splats.append(line)
    return splats


def unexpected(lines, expected):
    """Those of the lines that match no pattern of what a test was there to bring
    about."""
    return [line for line in lines if not any(re.search(p, line) for p in expected)]


# What QEMU says of a keyboard that is told how fast keys repeat (EV_REP), as Linux 7.3
# does it, the unmodified too: it has no use for that.
_KEYS_REPEAT = "virtio_input_hid_handle_status: unknown type 20"


def complaints(lines, ended):
    """Those of the lines that QEMU wrote which tell of something gone wrong; @ended: we
    ended it, and what it says of that is our own doing."""
    return [line.strip() for line in lines
            if line.strip() and line.strip() != _KEYS_REPEAT
            and not (ended and "terminating on signal" in line)]


def faults_of(pci):
    """Patterns of all that is said of the DMA of a PCI device that its IOMMU refused."""
    bus, slot, function = (int(n, 16) for n in re.findall(r"[0-9a-f]+", pci)[1:])
    words = {"bus": bus, "slot": slot, "function": function,
             "number": bus << 8 | slot << 3 | function}
    return tuple(pattern % words for pattern in SAID["faults"])


@dataclass
class Ktap:
    """One result line of KTAP, with the tests it was nested in."""
    name: str
    ok: bool
    skip: bool = False
    reason: str = ""
    detail: list = field(default_factory=list)

    @property
    def verdict(self):
        return "SKIP" if self.skip else "PASS" if self.ok else "FAIL"


RESULT = re.compile(r"^(not )?ok\b(?:\s+(\d+))?\s*-?\s*(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)(?:\s*#\s*SKIP\b\s*(.*))?$", re.I)
DIRECTIVE = re.compile(r"(?<!\\)#\s*(SKIP|TODO|XFAIL|TIMEOUT|exit=\d+)\b\s*(.*)$", re.I)


def _depth(line):
    """Nesting of a line: each "# " or pair of spaces in front is a level, as
    the kselftest runner and as KUnit write it."""
    bare = re.sub(r"^(# |  )+", "", line)
    return (len(line) - len(bare)) // 2, bare


class _Level:
    """Results next to each other, and what was said since the last of them."""

    def __init__(self):
        self.plan, self.seen, self.detail, self.results = None, 0, [], []

    def missed(self):
        """How the plan was not fulfilled: tests that did not run must not pass unnoticed."""
        return [] if self.plan in (None, self.seen) else [
            "plan of %d tests, %d results" % (self.plan, self.seen)]


def _result(line, detail):
    """The Ktap of a match of RESULT."""
    name, reason, skip = line.group(3), "", False
    ok = not line.group(1)
    directive = DIRECTIVE.search(name)
    if directive:
        name = name[:directive.start()].strip()
        skip = directive.group(1).upper() == "SKIP"
        reason = directive.group(2).strip() if skip else directive.group(0)[1:].strip()
        ok = ok or directive.group(1).upper() == "XFAIL"
    if name.startswith("selftests: "):
        name = name.rsplit(": ", 1)[-1]
    return Ktap(name, ok, skip, reason, detail)


def parse_ktap(lines):
    """(results, problems) of KTAP lines.

    A result that sums up nested ones is left out unless it fails, or is skipped, though
    none of them is."""
    problems, levels = [], [_Level()]

    def close_to(depth):
        """End the levels that are deeper; their results."""
        inner = []
        while len(levels) - 1 > depth:
            level = levels.pop()
            problems.extend(level.missed())
            inner = level.results + inner
        return inner

    for raw in lines:
        depth, line = _depth(raw.rstrip())
        plan, found = PLAN.match(line), RESULT.match(line)
        if plan or line.startswith(("TAP version", "KTAP version")):
            inner = close_to(depth)
            levels[-1].results += inner
            levels += [_Level() for _ in range(depth + 1 - len(levels))]
        level = levels[min(depth, len(levels) - 1)]
        if plan:
            problems += level.missed()
            level.plan, level.seen = int(plan.group(1)), 0
            if plan.group(2) is not None:
                level.results.append(Ktap("all", True, True, plan.group(2).strip()))
        elif not found or depth >= len(levels):
            levels[-1].detail.append(line)
        else:
            inner = close_to(depth)
            test = _result(found, level.detail)
            level.seen, level.detail = level.seen + 1, []
            told = inner and (test.ok or not all(i.ok for i in inner)) and (
                not test.skip or any(i.skip for i in inner))
            for item in inner:
                item.name = test.name + ": " + item.name
            level.results += inner + ([] if told else [test])
    inner = close_to(0)
    results = levels[0].results + inner
    problems += levels[0].missed()
    for item in results:
        if item.skip and not item.reason and item.detail:
            item.reason = item.detail[-1].lstrip("# ")
    return results, problems


ROW = re.compile(r"vdma-row: dev=(\S+) pci=(\S+) driver=(\S+) features=(\S+)"
                 r" group=(\S+) access=(\S+) irq=(\S+) rings=(\S+) data=(.*)$")


@dataclass
class Ring:
    """A virtqueue as the guest sees it, and what it has done so far."""
    name: str
    size: int
    requests: int
    tables: int


@dataclass
class Row:
    """One virtio device as the guest sees it.  irq: msi, intx or "-"; rings: None
    where the kernel does not tell."""
    dev: str
    pci: str
    driver: str
    features: list
    group: str
    access: str
    irq: str
    rings: object
    data: str


def parse_rows(lines):
    """The Rows that are among some lines."""
    rows = []
    for match in filter(None, map(ROW.search, lines)):
        dev, pci, driver, features, group, access, irq, rings, data = match.groups()
        rows.append(Row(dev, pci, driver, features.split(","), group, access, irq,
                        None if rings == "-" else [
                            Ring(name, *map(int, numbers)) for name, *numbers in
                            (ring.split(":") for ring in rings.split(","))], data))
    return rows


HOSTCHECK = re.compile(r"HOSTCHECK (\S+) (\d+) (\d+) ([0-9a-f]{64})\s*$")


def parse_hostchecks(lines):
    """(serial, offset, length, sha256) of each HOSTCHECK line."""
    return [(serial, int(offset), int(length), digest) for serial, offset, length, digest in
            (match.groups() for match in filter(None, map(HOSTCHECK.search, lines)))]

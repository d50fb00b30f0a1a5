# SPDX-License-Identifier: GPL-2.0-only
"""Reading what a guest says: splats in the kernel's log, complaints of QEMU,
KTAP, device rows and the disk contents that the host is to check."""

import re
from dataclasses import dataclass, field

# A line of the kernel's log that matches one of these fails the boot.
SPLATS = [re.compile(p) for p in (
    r"\bWARNING: ",
    r"\bBUG: ",
    r"kernel BUG at",
    r"\bOops\b",
    r"Kernel panic",
    r"general protection fault",
    r"Unable to handle|unable to handle",
    r"\bKASAN: ",
    r"\bUBSAN: ",
    r"possible recursive locking",
    r"possible circular locking|circular locking dependency",
    r"possible irq lock inversion|inconsistent lock state",
    r"\bINFO: possible",
    r"\bINFO: trying to register non-static key",
    r"suspicious RCU usage",
    r"\bINFO: rcu_|rcu: .*detected .*stall|self-detected stall",
    r"hung task|blocked for more than \d+ seconds",
    r"soft lockup|hard LOCKUP",
    r"sleeping function called from invalid context",
    r"scheduling while atomic",
    r"list_(add|del) corruption",
    r"refcount_t: ",
    r"page allocation failure",
    r"swiotlb buffer is full",
    r"\bDMA-API: ",
    r"DMAR: \[DMA|DMAR: DRHD: handling fault|DMAR: .*PTE .* for vPFN",
    r"\bEvent logged \[",
    r"fault from EP \d+",
    r"arm-smmu-v3 .*event 0x[0-9a-f]+ received",
    r"virtio.*(bad ring|is not a head|id \d+ out of range|out of bounds)",
    r"virtqueue.*(broken|corrupt)",
    r"virtio.*queue broken: ",
    r"I/O error, dev|Buffer I/O error",
    r"NETDEV WATCHDOG|transmit queue \d+ timed out",
    r"unregister_netdevice: waiting",
    r"kobject_add_internal failed|sysfs: cannot create duplicate",
    r"Call Trace:",
)]

# Not splats, though a pattern above matches: what CONFIG_DMA_API_DEBUG says
# when it starts, on every boot of the debug kernel.
NOT_SPLATS = [re.compile(p) for p in (
    r"DMA-API: preallocated \d+ debug entries$",
    r"DMA-API: debugging enabled by kernel config$",
)]


def is_splat(line):
    """Whether a line of the kernel's log tells of something gone wrong."""
    if any(p.search(line) for p in NOT_SPLATS):
        return False
    return any(p.search(line) for p in SPLATS)


# An allocation that fault_inject made fail, and that warns of it with a stack: a page
# table of vmalloc(), where partitions are looked for.
INJECTED = re.compile(r"\bfault_inject: vmalloc error: ")


def find_splats(lines):
    """Those of the lines that are splats."""
    splats, injected = [], False
    for line in lines:
        if INJECTED.search(line):
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


def faults_of(pci):
    """Patterns of all that is said of the DMA of a PCI device that its IOMMU refused:
    by the kernel, by QEMU, and in QEMU's trace."""
    bus, slot, function = (int(n, 16) for n in re.findall(r"[0-9a-f]+", pci)[1:])
    number = bus << 8 | slot << 3 | function
    return (r"DMAR: \[DMA (Read|Write) NO_PASID\] Request device \[%02x:%02x\.%x\] fault addr"
            % (bus, slot, function),
            # It comes before that line, which says whose fault it is.
            r"DMAR: DRHD: handling fault status reg",
            r" fault from EP %d at" % number,
            r"vtd_iommu_translate: detected translation failure \(dev=%02x:%02x:%02x, "
            % (bus, slot, function),
            r"vtd_iova_to_slpte: detected slpte permission error \(",
            r"New fault is not recorded due to compression of faults",
            r"vtd_dmar_fault sid 0x%x " % number,
            r"virtio_iommu_translate no mapping for 0x[0-9a-f]+ for sid=%d$" % number,
            r"virtio_iommu_translate permission error on ",
            r"virtio_iommu_report_fault .*endpoint=%d " % number)


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
    depth = 0
    while True:
        if line.startswith("# "):
            line = line[2:]
        elif line.startswith("  "):
            line = line[2:]
        else:
            return depth, line
        depth += 1


def parse_ktap(lines):
    """(results, problems) of KTAP lines.

    A result that sums up nested ones is left out unless it fails though none
    of them did.  A plan that is not fulfilled is a problem: tests that did not
    run must not pass unnoticed."""
    results, problems = [], []
    # A level is [plan, results seen, detail lines, nested results].
    levels = [[None, 0, [], []]]

    def close():
        plan, seen, _, nested = levels.pop()
        if plan is not None and plan != seen:
            problems.append("plan of %d tests, %d results" % (plan, seen))
        return nested

    for raw in lines:
        depth, line = _depth(raw.rstrip())
        plan = PLAN.match(line)
        result = RESULT.match(line)
        if line.startswith(("TAP version", "KTAP version")) or plan:
            while len(levels) - 1 > depth:
                levels[-2][3].extend(close())
            while len(levels) - 1 < depth:
                levels.append([None, 0, [], []])
        if plan:
            if levels[-1][0] is not None and levels[-1][0] != levels[-1][1]:
                problems.append("plan of %d tests, %d results"
                                % (levels[-1][0], levels[-1][1]))
            levels[-1][0], levels[-1][1] = int(plan.group(1)), 0
            if plan.group(2) is not None:
                levels[-1][3].append(Ktap("all", True, True, plan.group(2).strip()))
            continue
        if not result or depth > len(levels) - 1:
            levels[-1][2].append(line)
            continue
        nested = []
        while len(levels) - 1 > depth:
            inner = close()
            nested.extend(inner)
        name, reason, skip = result.group(3), "", False
        directive = DIRECTIVE.search(name)
        if directive:
            name = name[:directive.start()].strip()
            word = directive.group(1)
            skip = word.upper() == "SKIP"
            reason = directive.group(2).strip() if skip else directive.group(0)[1:].strip()
        ok = not result.group(1) or (directive is not None
                                     and directive.group(1).upper() == "XFAIL")
        level = levels[-1]
        level[1] += 1
        short = name.rsplit(": ", 1)[-1] if name.startswith("selftests: ") else name
        if nested:
            for item in nested:
                item.name = short + ": " + item.name
            level[3].extend(nested)
            told = any(not item.ok for item in nested)
            if (not ok and not told) or (skip and not any(i.skip for i in nested)):
                level[3].append(Ktap(short, ok, skip, reason, level[2]))
        else:
            level[3].append(Ktap(short, ok, skip, reason, level[2]))
        level[2] = []
    while len(levels) > 1:
        levels[-2][3].extend(close())
    results = levels[0][3]
    if levels[0][0] is not None and levels[0][0] != levels[0][1]:
        problems.append("plan of %d tests, %d results" % (levels[0][0], levels[0][1]))
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
    for line in lines:
        match = ROW.search(line)
        if match:
            values = list(match.groups())
            values[3] = values[3].split(",")
            values[7] = None if values[7] == "-" else [
                Ring(name, *map(int, numbers)) for name, *numbers in
                (ring.split(":") for ring in values[7].split(","))]
            rows.append(Row(*values))
    return rows


HOSTCHECK = re.compile(r"HOSTCHECK (\S+) (\d+) (\d+) ([0-9a-f]{64})\s*$")


def parse_hostchecks(lines):
    """(serial, offset, length, sha256) of each HOSTCHECK line."""
    checks = []
    for line in lines:
        match = HOSTCHECK.search(line)
        if match:
            serial, offset, length, digest = match.groups()
            checks.append((serial, int(offset), int(length), digest))
    return checks

# SPDX-License-Identifier: GPL-2.0-only
"""Boots a guest that measures, and reads what comes of it."""

import collections
import os
import re
import statistics
from dataclasses import dataclass

from lib import report, trace
from lib.bench import plan, turns as bench_turns
from lib.guest import vm
from lib.guest.vm import Device, Machine

TIMEOUT = 900           # a guest waits for all others, too


# --- reading ---------------------------------------------------------------

# Places in a line of fio's --terse-version=3, from 0: see fio(1).
FIO_NAME, FIO_ERROR = 2, 4
FIO_READ, FIO_WRITE = 5, 46             # KiB in all, KiB/s, IOPS, ms follow there
SIZES = {"4k": 4096, "512k": 1 << 19, "1m": 1 << 20}


@dataclass
class Timed:
    """A run of a timed cell; seconds are those of one operation."""
    cell: str
    seconds: float
    mb_s: float


def parse_fio(line):
    """The Timed of a terse line, None for the job that warms up."""
    fields = line.split(";")[1:]
    if len(fields) < FIO_WRITE + 4 or fields[0] != "3":
        raise report.Failure("fio: no terse line of version 3: %s" % line[:60])
    name = fields[FIO_NAME]
    if fields[FIO_ERROR] != "0":
        raise report.Failure("fio: %s failed with error %s" % (name, fields[FIO_ERROR]))
    if name == "warm":
        return None
    at = FIO_WRITE if "write" in name.split("-")[0] else FIO_READ
    size = SIZES[name.split("-")[1]]
    operations = int(fields[at]) * 1024 / size
    seconds = int(fields[at + 3]) / 1e3
    if not operations:
        raise report.Failure("fio: %s did nothing" % name)
    return Timed(name, seconds / operations, operations * size / seconds / 1e6)


OWN = re.compile(r"bench: time (\w+) operations=(\d+) bytes=(\d+) seconds=([\d.]+)")
COUNT = re.compile(r"bench: (?:count|busy) (\S+) (.*)$")
DD = re.compile(r"bench: seconds ([\d.]+)$")
MODULE = re.compile(r"vring_bench: (layout=.*|calibration .*|failed.*)$")


def parse_own(match):
    cell, operations, size, seconds = match.groups()
    return Timed(cell, float(seconds) / int(operations), int(size) / float(seconds) / 1e6)


def words(text):
    """NAME=VALUE words as a dictionary, numbers as such."""
    pairs = (word.split("=", 1) for word in text.split())
    return {name: int(value) if value.isdigit() else value for name, value in pairs}


def parse_output(lines):
    """(Timed of each run, seconds of each dd, {cell: counts}) of a guest."""
    timed, seconds, counts = [], [], {}
    for line in lines:
        if line.startswith("fio;"):
            one = parse_fio(line)
            timed += [one] if one else []
        elif OWN.match(line):
            timed.append(parse_own(OWN.match(line)))
        elif DD.match(line):
            seconds.append(float(DD.match(line).group(1)))
        elif COUNT.match(line):
            cell, rest = COUNT.match(line).groups()
            counts[cell] = words(rest)
    return timed, seconds, counts


def parse_module(lines):
    """The micro-benchmark's cases as dictionaries; a clock that does not count
    instructions is an error."""
    cases, calibrated = [], False
    for line in lines:
        match = MODULE.search(line)
        if not match:
            continue
        text = match.group(1)
        if text.startswith("failed"):
            raise report.Failure("vring_bench " + text)
        found = words(text.replace("calibration ", ""))
        if "layout" in found:
            cases.append(found)
        elif not 2000 <= found["per_1000"] <= 2002:
            raise report.Failure("vring_bench: 2,000 instructions took %d ticks: the guest's"
                                 " clock does not count them" % found["per_1000"])
        else:
            calibrated = True
    if not cases or not calibrated:
        raise report.Failure("vring_bench said nothing")
    return cases


def parse_trace(lines, iommu, sent):
    """What QEMU's trace has of one counted cell.  sent: packets sent are the
    requests, and what arrives is not."""
    seen = collections.Counter()
    filled, vectors, own, own_next = collections.Counter(), collections.Counter(), set(), False
    for line in lines:
        seen[trace.event(line)] += 1
        if trace.event(line) in plan.OWN_QUEUE:
            own_next = True
            continue
        match = re.search(r"virtqueue_fill vq (\S+) elem \S+ len (\d+)", line)
        if match:
            if own_next:
                own.add(match.group(1))
                own_next = False
            if not sent or match.group(2) == "0":
                filled[match.group(1)] += 1
            continue
        match = re.search(r"virtqueue_pop vq (\S+) elem \S+ in_num (\d+) out_num (\d+)", line)
        if match:
            vectors[match.group(1)] += int(match.group(2)) + int(match.group(3))
    queues = {vq: n for vq, n in filled.items() if vq not in own}
    return {
        "requests": sum(queues.values()),
        "vectors": sum(vectors[vq] for vq in queues),
        "notifications": seen["virtio_queue_notify"],
        "interrupts": seen["virtio_notify"],
        "invalidations": sum(seen[e] for e in trace.INVALIDATIONS[iommu]),
        "iotlb_misses": sum(seen[e] for e in trace.MISSES[iommu])
                        if iommu in trace.MISSES else None,
    }


def merge(seen, counted, iommu):
    """What QEMU saw and what the guest counted of one cell.  The guest's calls of
    the DMA API are not the device's alone where virtio-iommu makes some too."""
    mine = {"guest_requests" if name == "requests" else name: value
            for name, value in counted.items()
            if not (iommu == "virtio" and name.startswith("dma_"))}
    if not seen["requests"]:
        mine["requests"] = mine["guest_requests"]
    return {**seen, **mine}


# --- booting ---------------------------------------------------------------

def events_of(iommu, cell):
    """What QEMU is to trace of a device behind a vIOMMU.  Where nobody waits for the
    next packet, a trace of each would change how many go at a time."""
    if cell in plan.NET_CELLS:
        return plan.NOTIFICATIONS
    return (trace.INVALIDATIONS[iommu] + tuple(trace.events(iommu)) + plan.NOTIFICATIONS
            + plan.QUEUES + (plan.OWN_QUEUE if iommu == "virtio" else ()))


class Counter(trace.Tail):
    """Has QEMU trace events(cell) while the guest counts a cell, and keeps what
    parse(lines, cell) makes of them."""

    def __init__(self, events, parse):
        super().__init__()
        self.events = events
        self.parse = parse
        self.cells = {}

    def _enable(self, cell, enable):
        for event in set(self.events(cell)) & set(vm.trace_events()):
            self.guest.qmp.send({"execute": "trace-event-set-state",
                                 "arguments": {"name": event, "enable": enable}})

    def begin(self, cell):
        self.skip()
        self._enable(cell, True)
        return "counting"

    def end(self, cell):
        self._enable(cell, False)
        if not os.path.exists(self.guest.trace_file()):
            raise report.Failure("QEMU's trace is not there")
        self.cells[cell] = self.parse(self.read(), cell)
        return "counted"


def machine(iommu, tap, access=True):
    """A disk, two NICs wired together and one that takes TSO, all of them with
    ACCESS_PLATFORM or without."""
    nics = [Device("net", "wire%s" % end, access=access, wire="wire." + end,
                   mac="52:54:00:00:01:%02x" % number)
            for number, end in ((1, "a"), (2, "b"))]
    if tap:
        nics.append(Device("net", "tap", access=access, tap=True, mac="52:54:00:00:02:01"))
    return Machine(iommu, [Device("blk", "bench", access=access, size=128 * vm.MIB), *nics])


def checked(guest, result):
    """The result, if nothing went wrong."""
    if result.problems:
        raise report.Failure("%s: %s (log: %s)" % (guest.name, result.problems[0], result.log))
    return result


def settings(parts, kernel, mode, words, progress):
    """What makes a Guest of a kernel in a mode that measures what the words say, but for
    its machine.  parts: of its name."""
    return {"name": "bench-" + re.sub(r"[^\w-]+", "-", "-".join(map(str, parts))),
            "kernel": vm.kernel_image(kernel), "initrd": vm.initramfs("bench"),
            "append": plan.APPEND[kernel, mode], "command": ["bench", *words],
            "timeout": TIMEOUT, "progress": progress}


class _Measured(vm.Guest):
    """A guest that takes turns with others."""

    def __init__(self, row, turn, steps, tap, progress):
        self.row = row
        self.turns = None
        self.counter = Counter(
            lambda cell: events_of(row.iommu, cell), lambda lines, cell: parse_trace(
                lines, row.iommu, cell.startswith("send")))
        self.counter.guest = self
        super().__init__(
            **settings((row.iommu, row.kernel, row.mode, turn), row.kernel, row.mode, steps,
                       progress),
            machine=machine(row.iommu, tap, row.mode != "physical"), serve={
                "begin": self.counter.begin, "end": self.counter.end,
                "turn": lambda cell: self._stopped(self.turns.take, cell),
                "over": lambda _: self._stopped(self.turns.over),
                "next": self._next})

    def boot(self):
        try:
            return super().boot()
        finally:
            self.turns.leave(self.name)

    def _stopped(self, wait, *args):
        self.qmp.command("stop")
        try:
            wait(self.name, *args)
        finally:
            self.qmp.command("cont")
        return "go"

    def _next(self, cell):
        self.turns.give(self.name, cell)
        return "thanks"

    def figures(self, result):
        """What parse_output() has of the boot that ended with this result."""
        timed, seconds, counts = parse_output(checked(self, result).output)
        for cell, seen in self.counter.cells.items():
            if not seen["requests"] and cell not in plan.NET_CELLS:
                raise report.Failure("%s: QEMU traced no request of %s (log: %s)"
                                     % (self.name, cell, result.log))
            counts[cell] = merge(seen, counts[cell], self.row.iommu)
        return timed, seconds, counts


def slices(steps):
    """The turns that a guest asks for in these steps, in their order."""
    labels = []
    for step in steps:
        kind, *rest = step.split(":")
        if kind == "dd":
            labels += ["dd"] * int(rest[0])
        elif kind == "time":
            cells = rest[2].split(",")
            for own in (False, True):
                labels += [c for c in cells if (c in plan.OWN_CELLS) == own] * int(rest[1])
    return labels


def measure(jobs, turn, tap, progress):
    """The figures of a boot of each (row, steps), all at the same time: they take
    turns where time is measured, and count when that is over."""
    guests = [_Measured(row, turn, steps, tap, progress) for row, steps in jobs]
    turns = bench_turns.Turns(
        bench_turns.plan([(guest.name, slices(steps))
                          for guest, (_, steps) in zip(guests, jobs)], turn),
        [guest.name for guest in guests])
    for guest in guests:
        guest.turns = turns
    results = vm.boot_all(guests, len(guests))
    for guest, result in zip(guests, results):
        if guest.name == turns.broken:      # the others failed for want of it
            checked(guest, result)
    return [guest.figures(result) for guest, result in zip(guests, results)]


def instructions(rows, progress):
    """The micro-benchmark's cases in a boot of each (kernel, mode), in which an
    instruction is a nanosecond."""
    guests = [vm.Guest(
        **settings(("icount", kernel, mode), kernel, mode, ["module:vring_bench-" + kernel],
                   progress),
        machine=Machine("intel", smp=1, icount=True, extra=["-device", "edu"]))
              for kernel, mode in rows]
    return [parse_module(checked(guest, result).kernel)
            for guest, result in zip(guests, vm.boot_all(guests))]


def busy(iommus, boots, progress):
    """{(iommu, kernel, mode, cell): figures}: what the whole guest spends on a request, the
    median of so many boots of each.  How often it falls asleep differs from boot to boot."""
    keys, guests = plan.busy_rows(iommus) * boots, []
    for number, (iommu, kernel, mode) in enumerate(keys):
        bench = machine(iommu, False, mode != "physical")
        bench.smp, bench.icount = 1, True
        guests.append(vm.Guest(machine=bench, **settings(
            ("busy", iommu, kernel, mode, number), kernel, mode,
            ["module:vring_busy-" + kernel] +
            ["busy:%s:%d" % cell for cell in plan.BUSY_CELLS], progress)))
    found = {}
    for key, guest, result in zip(keys, guests, vm.boot_all(guests)):
        _, _, counts = parse_output(checked(guest, result).output)
        progress.line("bench: the whole guest, %s, %s, %s: %d kinds of request" % (
            plan.IOMMU_NAMES[key[0]], *key[1:], len(counts)))
        for cell, seen in counts.items():
            found.setdefault(key + (cell,), []).append(seen["instructions"] / seen["requests"])
    return {key: {"instructions": statistics.median(runs), "boots": runs}
            for key, runs in found.items()}

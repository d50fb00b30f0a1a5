#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""usage: bench.py [--no-build] [--only=time|count|busy|iotlb|instructions]...
                [--iommu=intel|amd|virtio|none]... [--name=WORD]

Measure ours and stock side by side, in one run, with one QEMU.  Every figure is
a median with its spread, or a count.  The guests of a vIOMMU run together and take
turns: each measures a cell for a fraction of a second while all others are stopped.
A ratio is the median of the ratios of neighbouring runs.

  time          virtio-blk with fio (4 KiB at random, depth 1 and 32; 512 KiB and
                1 MiB in sequence; read and write), virtio-net between two NICs
                (a TCP stream; request and response), and 20,000 reads with dd:
                time and throughput.
  count         in a separate part of the first boot of each row, after all turns:
                map and unmap calls, IOTLB invalidations and misses, descriptors
                per request.
  busy          instructions that the whole guest spends on a request while it is not
                idle, on a clock that counts them.  This is the CPU time of a request,
                without the work of the host.  Median of three boots.
  iotlb         the IOTLB misses and invalidations of a NIC that is another process
                (vhost-user, DPDK's testpmd), for a packet that goes there and comes
                back.
  instructions  instructions of an add and a get, on a clock that counts them.

Rows are vIOMMU x kernel x mode.  Each boot costs time, so the rows are not measured
alike:

  intel-iommu   default, pt and strict are timed in all cells, three boots each.  Lazy
                is timed for ours in one boot (stock's default is lazy).
  amd-iommu and virtio-iommu
                Stock's pt and strict and ours' default and strict are timed in the
                cells that the acceptance names, two boots each.  The other modes are
                only counted.
  none          Devices are physical, and bounced (swiotlb=force), three boots each.

Without a translating IOMMU, the IOMMU driver has nothing to map (maps, unmaps), but
the ring still calls the DMA API (dma maps).  In a table, "spread" is the least and the
largest of all runs.  Behind amd-iommu, a map also invalidates, and nothing is lazy.
virtio-iommu sends each unmap at once.  It also calls the DMA API itself, so DMA API
calls are not counted behind it.

Packets sent are counted on a NIC behind a tap in a network namespace of its own, which
is the only back end that takes TSO.  Without /dev/net/tun they are left out.
QUICK=1 boots everything once and leaves out cells and modes (scripts/bench.toml
has the rows).

Results: build/BASE/bench.json, bench-time.svg, bench-requests.svg,
bench-instructions.svg; with --name=WORD, WORD.json and no plots.
"""

import os

from lib import report, rows
from lib.bench import figures, guest, iotlb as bench_iotlb, letter, plan, plot
from lib.guest import machine, vm

PARTS = ("time", "count", "busy", "iotlb", "instructions")


class Run:
    """The figures of a run as they come in."""

    def __init__(self, quick, wish, progress):
        self.quick = quick
        self.parts = wish.only or PARTS
        self.iommus = wish.iommu or plan.IOMMUS
        self.progress = progress
        self.timed = {}         # (iommu, kernel, mode, cell): [Timed]
        self.dd = {}            # (kernel, mode): [seconds]
        self.counted = {}       # (iommu, kernel, mode, cell): figures a request
        self.busy = {}          # (iommu, kernel, mode, cell): figures a request
        self.iotlb = {}         # (kernel, mode, cell): figures a packet
        self.instructions = {}  # (mode, layout, segments, bytes): {kernel: case}
        self.reads = 5000 if quick else 20000
        self.tap = vm.tap_missing()
        if self.tap:
            progress.line("bench: packets sent are not counted: %s" % self.tap)

    def steps(self, row, turn):
        """What one boot of a row is to do."""
        steps = []
        if "time" in self.parts and turn < row.boots:
            if row.dd:
                steps.append("dd:2:%d" % self.reads)
            if row.cells:
                steps.append("time:%d:4:%s" % (150 if self.quick else 200, ",".join(row.cells)))
        if "count" in self.parts and turn == 0:
            steps += ["count:%s:%d" % one for one in row.counts
                      if not (self.tap and one[0].startswith("send"))]
        return steps

    def boot(self, rows, turn):
        """A boot of every row that has anything to do, at the same time."""
        jobs = [(row, self.steps(row, turn)) for row in rows]
        jobs = [job for job in jobs if job[1]]
        if not jobs:
            return
        found = guest.measure(jobs, turn, not self.tap, self.progress)
        for (row, _), one in zip(jobs, found):
            self.keep(row, turn, *one)

    def keep(self, row, turn, timed, seconds, counted):
        """What one boot of a row brought."""
        for one in timed:
            self.timed.setdefault((row.iommu, row.kernel, row.mode, one.cell), []).append(one)
        if seconds:
            self.dd.setdefault((row.kernel, row.mode), []).extend(seconds)
        for cell, counts in counted.items():
            self.counted[row.iommu, row.kernel, row.mode, cell] = figures.per_request(counts)
        self.progress.line("bench: %s, %s, %s, boot %d: %s" % (
            plan.IOMMU_NAMES[row.iommu], row.kernel, row.mode, turn + 1, ", ".join(
                ["dd %s s" % " ".join("%.2f" % s for s in seconds)] * bool(seconds) +
                ["%d runs timed" % len(timed)] * bool(timed) +
                ["%d kinds of request counted" % len(counted)] * bool(counted))))

    def all_rows(self):
        """Every row as often as it boots, those of a vIOMMU together."""
        rows = plan.rows(self.quick)
        for iommu in self.iommus:
            mine = [row for row in rows if row.iommu == iommu]
            for turn in range(max(row.boots for row in mine)):
                self.boot(mine, turn)

    def all_iotlb(self):
        """Boots of their own: what polls would disturb what is timed."""
        missing = bench_iotlb.machine().missing()
        if missing:
            self.progress.line("bench: IOTLB of another process is not counted: " + missing)
        else:
            self.iotlb = bench_iotlb.measure(self.quick, self.progress)

    def all_instructions(self):
        """Two boots at a time: what is counted does not mind."""
        found = []
        boots = guest.instructions([row[:2] for row in plan.INSTRUCTIONS],
                                         self.progress)
        for (kernel, mode, access, plain), cases in zip(plan.INSTRUCTIONS, boots):
            for case in cases:
                name = access if case["access"] else plain
                if name:
                    found.append((kernel, name, case))
            self.progress.line("bench: instructions, %s, %s: %d cases"
                               % (kernel, mode, len(cases)))
        self.instructions = figures.gather_instructions(found)


def nested(found, names):
    """Rows of JSON: a dictionary's key spelled out beside its value."""
    return [{**dict(zip(names, key)), **value} for key, value in found.items()]


def words():
    parser = rows.RowWords(__doc__)
    parser.add_argument("--only", action="append", choices=PARTS)
    parser.add_argument("--iommu", action="append", choices=plan.IOMMUS)
    parser.add_argument("--name", default="bench", type=rows.name)
    return parser


def main():
    wish, close = words().read(), rows.Close()
    quick = bool(os.environ.get("QUICK"))
    version = vm.qemu_version()
    for iommu in wish.iommu or plan.IOMMUS:
        reason = guest.machine(iommu, False).missing()
        if reason:
            raise report.Failure(reason)
    if not wish.no_build:
        rows.build(plan.KERNELS, ["bench"],
                   modules=[(m, k) for m in ("bench", "busy") for k in plan.KERNELS])
    building = close.seconds()
    with report.Progress() as progress:
        run = Run(quick, wish, progress)
        run.all_rows()
        if "busy" in run.parts:
            run.busy = guest.busy(run.iommus, 1 if quick else 3, progress)
        if "iotlb" in run.parts:
            run.all_iotlb()
        if "instructions" in run.parts:
            run.all_instructions()

    timed = {key: figures.summarise(runs) for key, runs in run.timed.items()}
    dd = {key: figures.spread(seconds) for key, seconds in run.dd.items()}
    figures.add_descriptors(run.counted)
    lines = figures.headlines(timed, run.counted, dd, run.busy) + bench_iotlb.headlines(run.iotlb)
    for title, table in (
            ("Time per request", figures.timed_table(timed)),
            ("Per request, counted", figures.counted_table(run.counted)),
            ("IOTLB of another process per packet, counted (behind intel-iommu)",
             bench_iotlb.table(run.iotlb)),
            ("Instructions per add and get (behind intel-iommu)",
             figures.instruction_table(run.instructions)),
            ("In short", figures.headline_table(lines))):
        rows.show(*table, title=title)
    key = ("iommu", "kernel", "mode", "cell")
    values = {
        "quick": quick, "qemu": ".".join(map(str, version)), "acceptance": lines,
        "append": {"%s, %s" % row: value for row, value in plan.APPEND.items()},
        "time": nested(timed, key), "count": nested(run.counted, key),
        "dd": {"reads": run.reads, "block": 4096, "seconds": nested(dd, key[1:3])},
        "busy": nested(run.busy, key),
        "iotlb": nested(run.iotlb, key[1:]),
        "instructions": nested(run.instructions, ("mode", "layout", "segments", "bytes")),
        "seconds": round(close.seconds(), 1)}
    report.write_json("%s/%s.json" % (report.BUILD, wish.name), values)
    block = letter.text("Linux %s and the series, QEMU %s, %s" % (
        report.BASE, values["qemu"], machine.accelerator()[1].partition(",")[0].upper()), timed, run.counted, run.busy, run.instructions)
    with open("%s/%s.txt" % (report.BUILD, wish.name), "w", encoding="utf-8") as out:
        out.write(block)
    report.say("\n" + block)
    if wish.name == "bench":
        for path in plot.plot_all(values):
            report.say("plot: " + path)
    report.say("bench: %.0f s, %.0f s of them measuring" % (
        close.seconds(), close.seconds() - building))
    return 0


if __name__ == "__main__":
    report.main_guard(main)

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: bench.py [--no-build]

Time 20,000 direct reads of 4 KiB from virtio-blk with ACCESS_PLATFORM behind
intel-iommu, ours and stock by turns, in three modes: default, iommu=pt, and
iommu=on iommu.strict=1.  Then count, in boots of their own, the IOTLB
invalidations that QEMU sees for a request.  What counts is the ratio of the two
kernels in one run: the machine decides the seconds.  QUICK=1 measures less.
build/BASE/bench.json has all of it, bench.svg a plot if gnuplot is there.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True

from lib import guest_expect, guest_vm, report                   # noqa: E402
from lib.guest_vm import Device, Machine                         # noqa: E402

KERNELS = ("ours", "stock")
MODES = {"default": "", "iommu=pt": "iommu=pt", "strict": "iommu=on iommu.strict=1"}
STOCK_STRICT = "iommu.strict=1"     # stock translates unasked and knows no iommu=on


def append_for(kernel, mode):
    return STOCK_STRICT if (kernel, mode) == ("stock", "strict") else MODES[mode]


def guest(name, kernel, mode, command, progress):
    machine = Machine("intel", [Device("blk", "bench", access=True, size=128 * guest_vm.MIB)])
    reason = machine.missing()
    if reason:
        raise report.Failure(reason)
    return guest_vm.Guest("bench-%s-%s-%s" % (name, kernel, mode.replace("=", "-")),
                          guest_vm.kernel_image(kernel), guest_vm.initramfs(), machine,
                          append_for(kernel, mode), command, 600, progress=progress)


def boot(one):
    """Boot alone, for nothing else may compete with what is measured."""
    result = one.boot()
    if result.problems:
        raise report.Failure("%s: %s (log: %s)" % (one.name, result.problems[0], result.log))
    return result


def seconds_of(result):
    found = [float(m.group(1)) for m in
             (re.match(r"bench: seconds ([\d.]+)", line) for line in result.output) if m]
    if not found:
        raise report.Failure("%s: dd reported no time (log: %s)" % (result.name, result.log))
    return found


def invalidations(result):
    """(IOTLB invalidations, requests) that QEMU's trace has."""
    inv = sum("vtd_inv_desc_iotlb_" in line for line in result.trace)
    requests = sum("virtqueue_fill " in line for line in result.trace)
    if not requests:
        raise report.Failure("%s: QEMU traced no request (log: %s)" % (result.name, result.log))
    return inv, requests


def plot(values):
    """Bars of the medians with their spread; says so if it cannot."""
    if not shutil.which("gnuplot"):
        report.say("no plot: gnuplot is missing (apt-get install gnuplot-nox)")
        return
    data = "\n".join("%s %s" % (mode, " ".join(
        "%f %f %f" % (values[mode][k]["median"], values[mode][k]["min"], values[mode][k]["max"])
        for k in KERNELS)) for mode in values)
    script = """set terminal svg size 640,400
set output '%s/bench.svg'
set style data histogram
set style histogram errorbars gap 2 lw 1
set style fill solid 0.6
set yrange [0:*]
set ylabel 'seconds, median and spread'
set title '%d direct 4 KiB reads, virtio-blk with ACCESS\\_PLATFORM'
$data << EOD
%s
EOD
plot $data using 2:3:4:xtic(1) title 'ours', '' using 5:6:7 title 'stock'
""" % (report.BUILD, values["default"]["count"], data)
    done = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True, check=False)
    if done.returncode:
        raise report.Failure("gnuplot: " + done.stderr.strip().splitlines()[0])
    report.say("plot: %s/bench.svg" % report.BUILD)


def main():
    if sys.argv[1:] not in ([], ["--no-build"]):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    started = time.monotonic()
    guest_vm.qemu_version()
    if not sys.argv[1:]:
        guest_expect.build(["kernel.sh", "ours"], ["kernel.sh", "stock"], ["initramfs.sh"])
    quick = bool(os.environ.get("QUICK"))
    count, runs, boots = (5000, 2, 1) if quick else (20000, 3, 3)

    times = {(mode, kernel): [] for mode in MODES for kernel in KERNELS}
    counted = {}
    with report.Progress() as progress:
        for turn in range(boots):
            for mode in MODES:
                # By turns, each going first as often as the other.
                for kernel in KERNELS if turn % 2 == 0 else KERNELS[::-1]:
                    one = guest("time%d" % turn, kernel, mode,
                                ["dd-bench", "time", str(runs), str(count)], progress)
                    found = seconds_of(boot(one))
                    times[mode, kernel] += found
                    progress.line("bench: %s, %s, boot %d of %d: %s s" % (
                        mode, kernel, turn + 1, boots, " ".join("%.2f" % s for s in found)))
        for mode in MODES:
            for kernel in KERNELS:
                one = guest("count", kernel, mode, ["dd-bench", "count", "2000"], progress)
                counted[mode, kernel] = invalidations(boot(one))

    values, table = {}, []
    for mode in MODES:
        values[mode] = {"count": count}
        for kernel in KERNELS:
            found = sorted(times[mode, kernel])
            inv, requests = counted[mode, kernel]
            values[mode][kernel] = {
                "append": append_for(kernel, mode), "seconds": times[mode, kernel],
                "median": statistics.median(found), "min": found[0], "max": found[-1],
                "iotlb_invalidations": inv, "requests": requests}
        ours, stock = values[mode]["ours"], values[mode]["stock"]
        values[mode]["ratio"] = ours["median"] / stock["median"]
        cells = [mode]
        for one in (ours, stock):
            cells += ["%.3f" % one["median"], "%.2f-%.2f" % (one["min"], one["max"]),
                      "%.2f" % (one["iotlb_invalidations"] / one["requests"])]
        table.append(cells + ["%.3f" % values[mode]["ratio"]])
    report.say()
    report.say("%d direct 4 KiB reads, %d boots of each with %d runs" % (count, boots, runs))
    for line in report.format_table(
            ["mode", "ours s", "spread", "inval/req", "stock s", "spread", "inval/req",
             "ours/stock"], table):
        report.say(line)
    report.write_json(report.BUILD + "/bench.json", {
        "modes": values, "boots": boots, "runs": runs, "quick": quick,
        "qemu": ".".join(map(str, guest_vm.qemu_version())),
        "seconds": round(time.monotonic() - started, 1)})
    plot(values)
    report.say("bench: %.0f s" % (time.monotonic() - started))
    return 0


if __name__ == "__main__":
    report.main_guard(main)

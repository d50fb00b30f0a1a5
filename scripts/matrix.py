#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""usage: matrix.py [--no-build] [--no-stock] [--slice] [--promise] [--list] [--name=WORD]
                 [PATTERN...]

Boot guests in every way in which QEMU can wire a virtio device, as scripts/matrix.toml
says.  Compare the result of each device with its expectation: its IOMMU group, its
dma_access, data that both ends compare, the kernel's log, and with intel-iommu what
QEMU's trace says of its DMA.  Each boot is repeated with the stock kernel, unless
--no-stock is given.  PATTERN (or ROWS=) runs the boots that match it or have it in their
name, a row or their parameters.  --promise runs only the promise, which is the part of
matrix.toml that is written by hand.  --slice runs the quick boots of the promise, and as
few others as are needed to have every level of every factor.  --list shows what would
run.  Results: build/BASE/matrix.html, .json and .xml, or with WORD in place of "matrix";
the last line is "N passed, N failed, N skipped".
"""

from lib import report, rows, tables, trace
from lib.guest import log, vm
from lib.guest.machine import qemu_devices, qemu_version
from lib.matrix import beside as matrix_beside, expect, judge
from lib.matrix import plan as matrix_plan, report as matrix_report

TIMEOUT = 300           # of a boot, in seconds
BESIDE = 120            # of one that is not judged, some of which hang


def boots(wish):
    """The table, what is to run of it, and the boots of the stock kernel beside that."""
    table = tables.load("matrix")
    plan = [b for b in matrix_plan.promise(table) if not (b.slow and wish.slice)]
    if not wish.promise:
        covering = matrix_plan.covering(table)
        for boot in covering:
            boot.rows = expect.rows(boot)
        plan += matrix_plan.slice_of(covering) if wish.slice else covering
    plan = rows.chosen(wish.rows, plan, matrix_plan.Boot.words, "--list names them")
    return table, plan, [] if wish.no_stock else matrix_plan.twins(plan)


def guest_for(boot, name, progress):
    command = ["vfio-beside", matrix_plan.EDU_PCI] if boot.vfio else []
    if boot.vdpa:
        command += ["vdpa-beside", ",".join(boot.vdpa)]
    command += matrix_beside.command(boot)
    beside = matrix_beside.Beside(boot)
    beside.guest = vm.Guest(
        name + "-" + boot.name, vm.kernel_image(boot.flavour()),
        vm.initramfs("modular" if boot.kernel == "modular" else "plain"),
        boot.machine, boot.append, [*command, "virtio-table", *boot.not_virtio()],
        TIMEOUT if boot.rows else BESIDE,
        [*trace.events(boot.machine.iommu), *matrix_beside.events(boot)], progress,
        serve={"counts": beside.counts},
        expected=log.faults_of(matrix_plan.EDU_PCI) if boot.vfio else ())
    return beside.guest


def why_not(boot):
    """Why this machine cannot have the boot, or None."""
    version = "%d.%d" % qemu_version()
    if version in boot.undone:
        return "QEMU %s %s" % (version, boot.undone[version])
    if boot.vfio and matrix_plan.EDU not in qemu_devices():
        return "%s has no edu device to give to VFIO" % vm.QEMU
    if any(d.tap for d in boot.machine.devices) and vm.tap_missing():
        return vm.tap_missing()
    return None if boot.refused else boot.machine.missing()


def leave_out(plan):
    """Take from the boots what this QEMU has not; the reasons, by BOOT/DEVICE.  A boot
    that is about a device in particular stays as it is, to be skipped or refused."""
    reasons = {}
    for boot in plan:
        gone = []
        for device in list(boot.machine.devices):
            reason = None if boot.beside or boot.refused else device.missing()
            reason = reason or next(filter(None, (misses(device, d) for d in gone)), None)
            if reason:
                reasons["%s/%s" % (boot.name, device.id)] = reason
                boot.machine.devices.remove(device)
                gone.append(device)
    return reasons


def misses(device, gone):
    """What becomes of a device without one that stood before it in its boot, or None."""
    if (device.bus, device.slot) == (gone.bus, gone.slot) and not gone.function \
            and device.function:
        return "without %s it is not there" % gone.id
    if device.bus == gone.bus == "port":        # each has a bus with a number
        return "without %s it is elsewhere" % gone.id
    return None


def show(plan):
    for boot in plan:
        print("%-22s %-8s %-7s %-14s %s" % (boot.name, boot.kernel, boot.machine.board[:7],
                                            boot.machine.iommu, boot.append))
        for row in boot.rows:
            print("    %-18s %-44s %-9s %s" % (row.device, row.text, row.expect.group,
                                               row.expect.access))


def main():
    words = rows.RowWords(__doc__, "--no-stock", "--slice", "--promise", "--list").patterns()
    words.add_argument("--name", default="matrix", type=rows.name)
    wish, close = words.read(), rows.Close()
    rows.need("jinja2", "python3-jinja2")
    table, plan, twins = boots(wish)
    if wish.list:
        show(plan + twins)
        return 0
    every = plan + twins
    flavours = {boot.flavour() for boot in every}
    if not wish.no_build:
        rows.build([f for f in ("stock", "devices-stock", "ours", "modular", "devices")
                    if f in flavours], ["plain"] + ["modular"] * ("modular" in flavours))
    skipped = leave_out(plan)
    skipped.update({boot.name: reason for boot in every for reason in [why_not(boot)] if reason})
    every = [boot for boot in every if boot.name not in skipped]
    _, results = rows.boot(
        every, lambda boot, progress: guest_for(boot, wish.name, progress),
        "matrix: %d boots for %d rows" % (len(every), sum(len(b.rows) for b in plan)))
    verdicts = judge.judge(plan, results, skipped)
    impossible = [] if wish.rows else judge.impossible(table["impossible"])

    matrix_report.show(verdicts)
    for note, devices in matrix_report.notes(verdicts).items():
        report.say("%s %s/%s: %s" % (note[0], note[1], ",".join(devices), note[2]))
    for entry in impossible:
        report.say("SKIP " + matrix_report.not_possible(entry))
    for twin in twins:
        for problem in results[twin.name].problems if twin.name in results else ():
            report.say("stock %s: %s" % (twin.name, problem))
    close.counts.update([v.word for v in verdicts] + ["SKIP"] * len(impossible))
    if close.counts["FAIL"]:
        report.say("logs: %s/%s-*.log" % (report.LOGS, wish.name))
    times = {name: result.seconds for name, result in results.items()}
    close.write(wish.name, {
        "rows": matrix_report.rows_json(verdicts),
        "boots": {name: round(s, 1) for name, s in times.items()},
        "not_possible": [matrix_report.not_possible(e) for e in impossible]})
    base = "%s/%s" % (report.BUILD, wish.name)
    matrix_report.write_junit(base + ".xml", verdicts, impossible, close)
    matrix_report.write_page(base + ".html", verdicts, impossible, close, times)
    report.say("page: %s.html" % base)
    return close.status()


if __name__ == "__main__":
    report.main_guard(main)

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: run.py [--no-build]

Build the kernel with the series and the stock kernel, boot them on q35 with
intel-iommu and a mixed set of virtio devices, and show for each boot where
every device's DMA goes.  Exit status 0 only if all of it is as expected;
build/BASE/run.json has the same for programs.
"""

import sys
import time

sys.dont_write_bytecode = True

from lib import report                                           # noqa: E402
from lib.guest import expect, vm                                 # noqa: E402
from lib.guest.expect import Expect                              # noqa: E402
from lib.guest.vm import Device, Machine                         # noqa: E402

# What is booted: name, kernel, parameters, a line that the log must have.
BOOTS = [
    ("default", "ours", "", "iommu: Default domain type: Passthrough (QEMU guest)"),
    ("iommu=pt", "ours", "iommu=pt",
     "iommu: Default domain type: Passthrough (set via kernel command line)"),
    ("iommu=on", "ours", "iommu=on",
     "iommu: Default domain type: Translated (set via kernel command line)"),
    ("stock", "stock", "", "iommu: Default domain type: Translated"),
]

# What each device must show, written out by hand from DESIGN and the
# administrator's guide: type of the IOMMU group, and dma_access, per boot.
IDENTITY, PHYSICAL = Expect("identity", "identity"), Expect("identity", "physical")
LAZY, PHYSICAL_ON = Expect("DMA-FQ", "translated-lazy"), Expect("DMA-FQ", "physical")
STOCK = Expect("DMA-FQ", "-")

EXPECTED = {
    #                      default    iommu=pt   iommu=on      stock
    "blk-modern-access":  (IDENTITY,  IDENTITY,  LAZY,         STOCK),
    "blk-packed-access":  (IDENTITY,  IDENTITY,  LAZY,         STOCK),
    "blk-modern":         (PHYSICAL,  PHYSICAL,  PHYSICAL_ON,  STOCK),
    "blk-packed":         (PHYSICAL,  PHYSICAL,  PHYSICAL_ON,  STOCK),
    "blk-transitional":   (PHYSICAL,  PHYSICAL,  PHYSICAL_ON,  STOCK),
    "blk-legacy":         (PHYSICAL,  PHYSICAL,  PHYSICAL_ON,  STOCK),
    "scsi-modern-access": (IDENTITY,  IDENTITY,  LAZY,         STOCK),
    "scsi-legacy":        (PHYSICAL,  PHYSICAL,  PHYSICAL_ON,  STOCK),
    "net-modern-access":  (IDENTITY,  IDENTITY,  LAZY,         STOCK),
    "net-packed-access":  (IDENTITY,  IDENTITY,  LAZY,         STOCK),
    "net-modern":         (PHYSICAL,  PHYSICAL,  PHYSICAL_ON,  STOCK),
    "net-legacy":         (PHYSICAL,  PHYSICAL,  PHYSICAL_ON,  STOCK),
    "p9-access":          (IDENTITY,  IDENTITY,  LAZY,         STOCK),
    "p9-legacy":          (PHYSICAL,  PHYSICAL,  PHYSICAL_ON,  STOCK),
    "console-access":     (IDENTITY,  IDENTITY,  LAZY,         STOCK),
    "console-legacy":     (PHYSICAL,  PHYSICAL,  PHYSICAL_ON,  STOCK),
    "rng-access":         (IDENTITY,  IDENTITY,  LAZY,         STOCK),
    "keyboard-access":    (IDENTITY,  IDENTITY,  LAZY,         STOCK),
    "tablet-modern":      (PHYSICAL,  PHYSICAL,  PHYSICAL_ON,  STOCK),
    "balloon-modern":     (PHYSICAL,  PHYSICAL,  PHYSICAL_ON,  STOCK),
}

MEANING = """\
  physical          the device ignores the IOMMU and gets physical addresses
  identity          behind the IOMMU, which passes addresses through
  translated-lazy   translated by the IOMMU, its cache flushed now and then
The stock kernel has no dma_access: what it translates shows in its group only."""


def devices():
    """One of everything, in every mode that QEMU can express."""
    return [
        Device("blk", "blk-modern-access", access=True),
        Device("blk", "blk-packed-access", access=True, packed=True),
        Device("blk", "blk-modern"),
        Device("blk", "blk-packed", packed=True),
        Device("blk", "blk-transitional", mode="transitional"),
        Device("blk", "blk-legacy", mode="legacy"),
        Device("scsi", "scsi-modern-access", access=True),
        Device("scsi", "scsi-legacy", mode="legacy"),
        Device("net", "net-modern-access", access=True),
        Device("net", "net-packed-access", access=True, packed=True),
        Device("net", "net-modern"),
        Device("net", "net-legacy", mode="legacy"),
        Device("9p", "p9-access", access=True),
        Device("9p", "p9-legacy", mode="legacy"),
        Device("console", "console-access", access=True),
        Device("console", "console-legacy", mode="legacy"),
        Device("rng", "rng-access", access=True, packed=True),
        Device("keyboard", "keyboard-access", access=True),
        Device("tablet", "tablet-modern"),
        Device("balloon", "balloon-modern"),
    ]


def main():
    started = time.monotonic()
    if sys.argv[1:] not in ([], ["--no-build"]):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    vm.qemu_version()
    if not sys.argv[1:]:
        expect.build(["kernel.sh", "ours"], ["kernel.sh", "stock"], ["initramfs.sh"])

    present, skipped = [], []
    for device in devices():
        reason = device.missing()
        if reason:
            skipped.append((device.id, reason))
        else:
            present.append(device)
    guests = []
    with report.Progress() as progress:
        for name, kernel, append, _ in BOOTS:
            machine = Machine("intel", present)
            reason = machine.missing()
            if reason:
                raise report.Failure(reason)
            guests.append(vm.Guest(
                "run-" + name.replace("=", "-"), vm.kernel_image(kernel),
                vm.initramfs(), machine, append, ["virtio-table"], 300,
                progress=progress))
        report.say("run: %d boots of a guest with %d virtio devices behind intel-iommu"
                   % (len(guests), len(present)))
        results = vm.boot_all(guests)

    failed, values = 0, []
    for column, (boot, guest, result) in enumerate(zip(BOOTS, guests, results)):
        name, kernel, append, log_line = boot
        expects = {d.id: EXPECTED[d.id][column] for d in present}
        table, colours, problems, rows = expect.judge(guest.machine, expects,
                                                            result.rows())
        problems = result.problems + problems
        if not any(log_line in line for line in result.kernel):
            problems.append("the kernel's log does not say: " + log_line)
        report.say()
        report.say(report.colour("%s kernel, %s (%.0f s)" % (
            kernel, append or "nothing on the command line", result.seconds), "bold"))
        for line in report.format_table(expect.HEADER, table, colours):
            report.say(line)
        for problem in problems:
            report.say(report.colour("  not as expected: " + problem, "red"))
        if problems:
            report.say("  log: " + result.log)
        failed += bool(problems)
        values.append({"boot": name, "kernel": kernel, "append": append, "devices": rows,
                       "problems": problems, "seconds": round(result.seconds, 1),
                       "log": result.log})
    report.say()
    report.say(MEANING)
    for name, reason in skipped:
        report.say("SKIP %s: %s" % (name, reason))
    report.write_json(report.BUILD + "/run.json", {
        "boots": values, "skipped": dict(skipped), "ok": not failed,
        "seconds": round(time.monotonic() - started, 1)})
    report.say("%s: %d of %d boots as expected, in %.0f s" % (
        "FAIL" if failed else "PASS", len(values) - failed, len(values),
        time.monotonic() - started))
    return 1 if failed else 0


if __name__ == "__main__":
    report.main_guard(main)

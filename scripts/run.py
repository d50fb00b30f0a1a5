#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: run.py [--no-build]

Build the kernel with the series and the stock kernel, boot them on q35 with
intel-iommu and a mixed set of virtio devices, and show for each boot where
every device's DMA goes.  The exit status is 0 only if everything is as expected.
build/BASE/run.json has the same results for programs.
"""

import sys
import time

sys.dont_write_bytecode = True

from lib import report, words                                    # noqa: E402
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

# What each device must show, written out by hand from the administrator's guide,
# Documentation/admin-guide/virtio-dma.rst: type of the IOMMU group, and dma_access,
# for each of the boots.
BEHIND = (Expect("identity", "identity"), Expect("identity", "identity"),
          Expect("DMA-FQ", "translated-lazy"), Expect("DMA-FQ", "-"))
PAST = (Expect("identity", "physical"), Expect("identity", "physical"),
        Expect("DMA-FQ", "physical"), Expect("DMA-FQ", "-"))

# One of everything, in every mode that QEMU can express.
DEVICES = (
    ("blk", "blk-modern-access", BEHIND, {"access": True}),
    ("blk", "blk-packed-access", BEHIND, {"access": True, "packed": True}),
    ("blk", "blk-modern", PAST, {}),
    ("blk", "blk-packed", PAST, {"packed": True}),
    ("blk", "blk-transitional", PAST, {"mode": "transitional"}),
    ("blk", "blk-legacy", PAST, {"mode": "legacy"}),
    ("scsi", "scsi-modern-access", BEHIND, {"access": True}),
    ("scsi", "scsi-legacy", PAST, {"mode": "legacy"}),
    ("net", "net-modern-access", BEHIND, {"access": True}),
    ("net", "net-packed-access", BEHIND, {"access": True, "packed": True}),
    ("net", "net-modern", PAST, {}),
    ("net", "net-legacy", PAST, {"mode": "legacy"}),
    ("9p", "p9-access", BEHIND, {"access": True}),
    ("9p", "p9-legacy", PAST, {"mode": "legacy"}),
    ("console", "console-access", BEHIND, {"access": True}),
    ("console", "console-legacy", PAST, {"mode": "legacy"}),
    ("rng", "rng-access", BEHIND, {"access": True, "packed": True}),
    ("keyboard", "keyboard-access", BEHIND, {"access": True}),
    ("tablet", "tablet-modern", PAST, {}),
    ("balloon", "balloon-modern", PAST, {}),
)
EXPECTED = {name: expects for _, name, expects, _ in DEVICES}

MEANING = """\
  physical          the device ignores the IOMMU and gets physical addresses
  identity          behind the IOMMU, which passes addresses through
  translated-lazy   translated by the IOMMU, its cache flushed now and then
The stock kernel has no dma_access: what it translates shows in its group only."""


def devices():
    """The devices of a guest."""
    return [Device(kind, name, **options) for kind, name, _, options in DEVICES]


def main():
    started = time.monotonic()
    wish = words.Words(__doc__, "--no-build").parse_args()
    vm.check_host()
    skipped = {device.id: device.missing() for device in devices() if device.missing()}
    present = [device for device in devices() if device.id not in skipped]
    reason = Machine("intel", present).missing()
    if reason:
        raise report.Failure(reason)
    if not wish.no_build:
        expect.build(["kernel.sh", "ours"], ["kernel.sh", "stock"], ["initramfs.sh"])

    with report.Progress() as progress:
        guests = [vm.Guest(
            "run-" + name.replace("=", "-"), vm.kernel_image(kernel), vm.initramfs(),
            Machine("intel", present), append, ["virtio-table"], 300, progress=progress)
            for name, kernel, append, _ in BOOTS]
        report.say("run: %d boots of a guest with %d virtio devices behind intel-iommu"
                   % (len(guests), len(present)))
        results = vm.boot_all(guests)

    failed, values = 0, []
    for column, (boot, guest, result) in enumerate(zip(BOOTS, guests, results)):
        name, kernel, append, log_line = boot
        expects = {d.id: EXPECTED[d.id][column] for d in present}
        table, colours, problems, rows = expect.judge(guest.machine, expects, result.rows())
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
    for name, reason in skipped.items():
        report.say("SKIP %s: %s" % (name, reason))
    report.write_json(report.BUILD + "/run.json", {
        "boots": values, "skipped": skipped, "ok": not failed,
        "seconds": round(time.monotonic() - started, 1)})
    report.say("%s: %d of %d boots as expected, in %.0f s" % (
        "FAIL" if failed else "PASS", len(values) - failed, len(values),
        time.monotonic() - started))
    return 1 if failed else 0


if __name__ == "__main__":
    report.main_guard(main)

#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""usage: run.py [--no-build]

Build the kernel with the series and the stock kernel, boot them on q35 with
intel-iommu and a mixed set of virtio devices, and show for each boot where
every device's DMA goes.  The exit status is 0 only if everything is as expected.
build/BASE/run.json has the same results for programs.
"""

from dataclasses import dataclass

from lib import report, rows, tables
from lib.guest import expect, vm
from lib.guest.machine import Machine, devices_of

TABLE = tables.load("run")


@dataclass
class Boot:
    """See scripts/run.toml."""
    name: str
    kernel: str
    append: str
    log: str
    behind: list
    past: list


MEANING = """\
  physical          the device ignores the IOMMU and gets physical addresses
  identity          behind the IOMMU, which passes addresses through
  translated-lazy   translated by the IOMMU, its cache flushed now and then
The stock kernel has no dma_access: what it translates shows in its group only."""


def devices():
    """The devices of a guest."""
    return devices_of(TABLE, ["run"])


def guest_for(boot, progress):
    present = [device for device in devices() if not device.missing()]
    return vm.Guest("run-" + boot.name.replace("=", "-"), vm.kernel_image(boot.kernel),
                    vm.initramfs(), Machine("intel", present), boot.append, ["virtio-table"],
                    300, progress=progress)


def main():
    wish, close = rows.RowWords(__doc__).read(), rows.Close()
    vm.check_host()
    skipped = {device.id: device.missing() for device in devices() if device.missing()}
    present = [device for device in devices() if device.id not in skipped]
    reason = Machine("intel", present).missing()
    if reason:
        raise report.Failure(reason)
    if not wish.no_build:
        rows.build(["ours", "stock"], ["plain"])
    boots = [Boot(name, **of) for name, of in TABLE["boot"].items()]
    guests, results = rows.boot(
        boots, guest_for, "run: %d boots of a guest with %d virtio devices behind intel-iommu"
        % (len(boots), len(present)))

    failed, values = 0, []
    for boot in boots:
        result = results[boot.name]
        expects = {d.id: expect.Expect(*(boot.behind if d.access else boot.past))
                   for d in present}
        table, colours, problems, found = expect.judge(guests[boot.name].machine, expects,
                                                       result.rows())
        problems = result.problems + problems
        if not any(boot.log in line for line in result.kernel):
            problems.append("the kernel's log does not say: " + boot.log)
        report.say()
        report.say(report.colour("%s kernel, %s (%.0f s)" % (
            boot.kernel, boot.append or "nothing on the command line", result.seconds), "bold"))
        rows.show(expect.HEADER, table, colours)
        for problem in problems:
            report.say(report.colour("  not as expected: " + problem, "red"))
        if problems:
            report.say("  log: " + result.log)
        failed += bool(problems)
        values.append({"boot": boot.name, "kernel": boot.kernel, "append": boot.append,
                       "devices": found, "problems": problems,
                       "seconds": round(result.seconds, 1), "log": result.log})
    report.say()
    report.say(MEANING)
    for name, reason in skipped.items():
        report.say("SKIP %s: %s" % (name, reason))
    report.write_json(report.BUILD + "/run.json", {
        "boots": values, "skipped": skipped, "ok": not failed,
        "seconds": round(close.seconds(), 1)})
    report.say("%s: %d of %d boots as expected, in %.0f s" % (
        "FAIL" if failed else "PASS", len(values) - failed, len(values),
        close.seconds()))
    return 1 if failed else 0


if __name__ == "__main__":
    report.main_guard(main)

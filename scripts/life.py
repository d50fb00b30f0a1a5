#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: life.py [--no-build] [--kernel=ours|stock|debug] [--list] [PATTERN | --soak=SECONDS]

Life under load: guests whose disks and NICs are busy, with every byte checked, while
devices are plugged and unplugged, the guest is reset, put to sleep and migrated, its
disks fail or do not answer, a back end is killed, and one kernel starts another, after
a crash (kdump/VIOMMU-FIRST-SECOND: a dump is compared with the memory) or without
(kexec/...).  Of these last there are a few without PATTERN.  A row is SCENARIO/BOOT; PATTERN
(or ROWS=) restricts the run to the rows that match it or have it in their name.  A row
passes if the load went on with right data, no memory was left behind, and neither the
kernel nor QEMU complained of more than the scenario explains; and all of a boot's rows
need every device to be where its DMA was expected to go.  --soak does all of it at
once, over and over, in one guest that passes through and one that translates.
build/BASE/life.json, or soak.json, has the result for programs; the last line is
"N passed, N failed, N skipped".
"""

import os
import sys
import time

sys.dont_write_bytecode = True

from lib import report                                           # noqa: E402
from lib.guest import expect, vm                                 # noqa: E402
from lib.life import guest as life_guest, kexec, plan as life_plan  # noqa: E402


def options(words):
    """(whether to build, kernel, plan, whether to list), or None if they are wrong."""
    build, kernel, pattern, listing = True, "ours", os.environ.get("ROWS") or "", False
    soak = 0
    for word in words:
        if word == "--no-build":
            build = False
        elif word == "--list":
            listing = True
        elif word in ("--kernel=ours", "--kernel=stock", "--kernel=debug"):
            kernel = word[9:]
        elif word.startswith("--soak=") and word[7:].isdigit() and int(word[7:]):
            soak = int(word[7:])
        elif not word.startswith("-"):
            pattern = word
        else:
            return None
    return build, kernel, life_plan.soak(soak) if soak else life_plan.chosen(pattern), listing


def device_problems(guest, result, kernel):
    """Devices that are not where they should be at the end of a boot."""
    wrong = []
    if guest.plan.first:
        wrong += guest.first_problems(kernel == "stock")
    if kernel == "stock":
        return wrong
    found = {row.pci: row for row in result.rows()}
    for device in [*guest.machine.devices, *guest.hot.values()]:
        wrong += expect.compare(device, guest.plan.expect(device.access),
                                      found.get(guest.pci(device)))
    return wrong


def problems(guest, result):
    """Problems of a boot, without the command's status where QEMU refused a scenario."""
    return [p for p in result.problems if not (guest.refused and p.startswith("command ended"))]


def judge(guest, result, kernel):
    """{scenario: (verdict, text)} of a boot."""
    said = life_guest.parse(result.output)
    rows, splats = {}, guest.kernel_lines()
    for name in guest.plan.scenarios:
        verdict, text = said.get(name, ("FAIL", "did not come to an end"))
        mine = [line for scenario, line in splats if scenario == name]
        if name in guest.refused:
            verdict, text = "SKIP", "QEMU: " + guest.refused[name]
        elif mine:
            verdict, text = "FAIL", "kernel: " + mine[0]
        rows[name] = ("PASS" if verdict == "ok" else verdict, text)
    # What cannot be laid to one scenario is laid to those that seem to have passed.
    if all(row[0] != "FAIL" for row in rows.values()):
        wrong = device_problems(guest, result, kernel) + problems(guest, result)
        if wrong:
            rows = {name: row if row[0] == "SKIP" else ("FAIL", "boot: " + wrong[0])
                    for name, row in rows.items()}
    return rows


def main():
    chosen = options(sys.argv[1:])
    if not chosen:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    build, kernel, plan, listing = chosen
    started = time.monotonic()
    if listing:
        for boot in plan:
            print("\n".join(boot.rows()))
        return 0
    vm.qemu_version()
    if build:
        second = any(boot.first for boot in plan)
        stock = any(boot.first == "stock" for boot in plan)
        kernels = [kernel] + ["stock"] * (stock and kernel != "stock")
        expect.build(*[["kernel.sh", k] for k in kernels], ["initramfs.sh", "life"],
                           *[["initramfs.sh", "crash"]] * second)

    guests, missing = {}, {}
    with report.Progress() as progress:
        for boot in plan:
            guest = (kexec.KexecGuest if boot.first else life_guest.LifeGuest)(
                boot, kernel, progress)
            reason = guest.machine.missing()
            if reason:
                missing[boot.name] = reason
            else:
                guests[boot.name] = guest
        report.say("life: %d rows in %d boots of the kernel %s"
                   % (sum(len(b.scenarios) for b in plan), len(guests), kernel))
        results = dict(zip(guests, vm.boot_all(guests.values())))

    table, values, counts = [], [], {"PASS": 0, "FAIL": 0, "SKIP": 0}
    for boot in plan:
        if boot.name in missing:
            rows, seconds, log = {n: ("SKIP", missing[boot.name]) for n in boot.scenarios}, 0, ""
        else:
            result = results[boot.name]
            rows, seconds, log = judge(guests[boot.name], result, kernel), result.seconds, result.log
        for (name, (verdict, text)), row in zip(rows.items(), boot.rows()):
            counts[verdict] += 1
            table.append([row, boot.iommu, boot.mode, life_plan.SCENARIOS[name].text, verdict, text])
            values.append({"row": row, "iommu": boot.iommu, "mode": boot.mode, "scenario": name,
                           "verdict": verdict, "text": text, "boot_seconds": round(seconds, 1),
                           "log": log})
    for line in report.format_table(
            ["row", "vIOMMU", "mode", "what happens under load", "result", "seen"], table):
        report.say(line)
    for value in values:
        if value["verdict"] != "PASS":
            report.say("%(verdict)s %(row)s: %(text)s" % value)
    for name, result in results.items():
        for problem in problems(guests[name], result):
            report.say("boot %s: %s (log: %s)" % (name, problem, result.log))
    seconds = time.monotonic() - started
    name = "soak" if plan[0].scenarios == ("soak",) else "life"
    report.write_json("%s/%s.json" % (report.BUILD, name), {
        "kernel": kernel, "rows": values, "passed": counts["PASS"], "failed": counts["FAIL"],
        "skipped": counts["SKIP"], "seconds": round(seconds, 1)})
    report.say("life: %.0f s" % seconds)
    report.say("%d passed, %d failed, %d skipped" % (
        counts["PASS"], counts["FAIL"], counts["SKIP"]))
    return 1 if counts["FAIL"] or not counts["PASS"] else 0


if __name__ == "__main__":
    report.main_guard(main)

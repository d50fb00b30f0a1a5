#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""usage: life.py [--no-build] [--kernel=ours|stock|debug] [--list]
               [PATTERN... | --soak=SECONDS]

Test guests under load.  Their disks and NICs are busy, and every byte is checked, while
devices are plugged and unplugged, the guest is reset, put to sleep and migrated, its
disks fail or do not answer, and a back end is killed.  One kernel also starts another,
after a crash (kdump/VIOMMU-FIRST-SECOND: the dump is compared with the memory) or
without one (kexec/...).

A row is SCENARIO/BOOT.  PATTERN (or ROWS=) restricts the run to the rows that match it
or have it in their name.  Without PATTERN, only a few of the kdump and kexec rows run.
A row passes if the load went on with correct data, no memory was leaked, and neither
the kernel nor QEMU logged more than the scenario explains.  In all rows, the DMA of
every device must go where it was expected to go.  --soak does all of this at once, over
and over, in one guest that passes through and one that translates.
build/BASE/life.json, or soak.json, has the result for programs; the last line is
"N passed, N failed, N skipped".
"""

from lib import report, rows
from lib.guest import expect
from lib.guest.result import Result
from lib.life import guest as life_guest, kexec, plan as life_plan


def positive(word):
    if not word.isdecimal() or not int(word):
        raise ValueError(word)
    return int(word)


def words():
    parser = rows.RowWords(__doc__, "--list").patterns()
    parser.add_argument("--kernel", choices=["ours", "stock", "debug"], default="ours")
    parser.add_argument("--soak", type=positive)
    return parser


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
    verdicts, splats = {}, guest.kernel_lines()
    for name in guest.plan.scenarios:
        verdict, text = said.get(name, ("FAIL", "did not come to an end"))
        mine = [line for scenario, line in splats if scenario == name]
        if name in guest.refused:
            verdict, text = "SKIP", "QEMU: " + guest.refused[name]
        elif mine:
            verdict, text = "FAIL", "kernel: " + mine[0]
        verdicts[name] = ("PASS" if verdict == "ok" else verdict, text)
    # What cannot be laid to one scenario is laid to those that seem to have passed.
    if all(row[0] != "FAIL" for row in verdicts.values()):
        wrong = device_problems(guest, result, kernel) + problems(guest, result)
        if wrong:
            verdicts = {name: row if row[0] == "SKIP" else ("FAIL", "boot: " + wrong[0])
                        for name, row in verdicts.items()}
    return verdicts


def main():
    wish, close = words().read(), rows.Close()
    plan = life_plan.soak(wish.soak) if wish.soak else life_plan.chosen(wish.rows)
    if wish.list:
        print("\n".join(row for boot in plan for row in boot.rows()))
        return 0
    if not wish.no_build:
        stock = wish.kernel != "stock" and any(boot.first == "stock" for boot in plan)
        second = any(boot.first for boot in plan)
        rows.build([wish.kernel] + ["stock"] * stock, ["life"] + ["crash"] * second)

    missing = {boot.name: life_guest.machine_of(boot).missing() for boot in plan}
    there = [boot for boot in plan if not missing[boot.name]]
    guests, results = rows.boot(
        there, lambda boot, progress: (kexec.KexecGuest if boot.first else life_guest.LifeGuest)(
            boot, wish.kernel, progress),
        "life: %d rows in %d boots of the kernel %s" % (
            sum(len(b.scenarios) for b in plan), len(there), wish.kernel))

    values = []
    for boot in plan:
        verdicts = {n: ("SKIP", missing[boot.name]) for n in boot.scenarios} \
            if boot.name not in results else \
            judge(guests[boot.name], results[boot.name], wish.kernel)
        result = results.get(boot.name, Result(boot.name))
        for (name, (verdict, text)), row in zip(verdicts.items(), boot.rows()):
            values.append({"row": row, "iommu": boot.iommu, "mode": boot.mode, "scenario": name,
                           "verdict": verdict, "text": text, "log": result.log,
                           "boot_seconds": round(result.seconds, 1)})
    close.counts.update(value["verdict"] for value in values)
    rows.show(["row", "vIOMMU", "mode", "what happens under load", "result", "seen"], [
        [v["row"], v["iommu"], v["mode"], life_plan.SCENARIOS[v["scenario"]].text, v["verdict"],
         v["text"]] for v in values])
    for value in values:
        if value["verdict"] != "PASS":
            report.say("%(verdict)s %(row)s: %(text)s" % value)
    for name, result in results.items():
        for problem in problems(guests[name], result):
            report.say("boot %s: %s (log: %s)" % (name, problem, result.log))
    close.write("soak" if wish.soak else "life", {"kernel": wish.kernel, "rows": values})
    report.say("life: %.0f s" % close.seconds())
    return close.status()


if __name__ == "__main__":
    report.main_guard(main)

# SPDX-License-Identifier: GPL-2.0-only
"""What came of the boots of make matrix, held against their rows."""

import subprocess
from dataclasses import dataclass, field

from lib import trace
from lib.guest import expect, machine
from lib.matrix import beside
from lib.matrix.expect import Wish
from lib.matrix.plan import EDU, EDU_PCI, Boot, Row


@dataclass
class Verdict:
    """Of one row.  word: PASS, FAIL or SKIP; notes: why.  stock: what the unmodified
    kernel did with the same, or ""."""
    boot: Boot
    row: Row
    word: str
    notes: list = field(default_factory=list)
    stock: str = ""
    seconds: float = 0.0

    def name(self):
        return "%s/%s" % (self.boot.name, self.row.device)


def refused(boot, result):
    """What QEMU said when it would not have this boot, if that was to be expected."""
    if boot.refused:
        for problem in result.problems:
            if problem.startswith("QEMU: ") and boot.refused in problem:
                return problem
    return None


def _device(boot, row):
    return next((d for d in boot.machine.devices if d.id == row.device), None)


def _vdpa(row, result):
    """Problems of a simulator of vDPA, whose parent in the guest has the row's name."""
    found = {r.pci: r for r in result.rows()}.get(row.device)
    if not found:
        return ["%s: not in the guest" % row.device]
    return ["%s: %s is %s, expected %s" % (row.device, what, have, want)
            for what, want, have in (("IOMMU group", row.expect.group, found.group),
                                     ("dma_access", row.expect.access, found.access),
                                     ("data check", "ok", found.data.split(" ")[0]))
            if want != have]


def boot_failed(result):
    """The first problem of a boot that is not told by the row of a device."""
    of_a_device = any(r.data.startswith("fail") for r in result.rows())
    for problem in result.problems:
        if not (of_a_device and problem == "command ended with status 1"):
            return problem
    return None


def problems_of(boot, row, result):
    """Problems of one row, none if all is as expected."""
    failed = boot_failed(result)
    if failed:
        return ["the boot failed: " + failed]
    problems, device, pci = [], _device(boot, row), EDU_PCI
    if row.device == EDU:
        if any("%s is not isolated" % pci in line for line in result.output):
            problems.append("%s is not isolated" % pci)
        elif "vfio-beside: %s is isolated" % pci not in result.output:
            problems.append("%s was not used through VFIO" % pci)
    elif device is None:
        return _vdpa(row, result)
    else:
        pci = device.pci()
        found = {r.pci: r for r in result.rows()}.get(pci)
        problems = expect.compare(device, row.expect, found)
    seen = trace.translations(result.trace, boot.machine.iommu)
    if row.seen is not None and (pci in seen) != row.seen:
        problems.append("QEMU has %s its DMA" % ("not translated" if row.seen else "translated"))
    wanted = boot.log
    if wanted is None and boot.kernel != "stock":
        wanted = Wish(boot.append).log()
    if wanted and not any(line.rstrip().endswith(wanted) for line in result.kernel):
        problems.append("the kernel's log has no line: " + wanted)
    problems += ["the x86 default is here too: " + line for line in result.kernel
                 if boot.machine.foreign() and "QEMU guest" in line]
    if row.device in boot.beside[:1]:
        problems += beside.problems(boot, result.output)
    return problems


def stock_did(boot, row, result):
    """In a few words, what the stock kernel did with the device of a row."""
    if result is None:
        return ""
    if row.device == EDU:
        return "isolated" if "vfio-beside: %s is isolated" % EDU_PCI in result.output \
            else "not isolated"
    device = _device(boot, row)
    where = device.pci() if device else row.device
    found = {r.pci: r for r in result.rows()}.get(where)
    if not found:
        return "FAILS: " + (result.problems[0] if result.problems else "not in the guest")
    if not found.data.startswith("ok"):
        return "FAILS: " + found.data
    return "works, " + ("no group" if found.group == "-" else "group " + found.group)


def judge(boots, results, skipped):
    """Verdicts of all rows.  results: by the name of a boot; skipped: reasons, by the
    name of a boot or BOOT/DEVICE."""
    verdicts = []
    for boot in boots:
        result = results.get(boot.name)
        whole = skipped.get(boot.name) or (refused(boot, result) if result else None)
        for row in boot.rows:
            reason = whole or skipped.get("%s/%s" % (boot.name, row.device))
            notes = [reason] if reason else problems_of(boot, row, result)
            word = "SKIP" if reason else "FAIL" if notes else "PASS"
            if word == "PASS" and row.device in boot.beside[:1]:
                notes = [beside.said(boot, result.output)]
            twin = results.get(boot.twin.name) if boot.twin else None
            verdicts.append(Verdict(boot, row, word, notes,
                                    "" if reason and not whole else stock_did(boot, row, twin),
                                    result.seconds if result else 0.0))
    return verdicts


def impossible(entries):
    """[(what, what it needs, what QEMU says)], the last None if this QEMU has it."""
    found = []
    for entry in entries:
        try:
            done = subprocess.run(
                [machine.QEMU, "-M", "q35", "-accel", "tcg", "-nodefaults",
                 "-no-user-config", "-display", "none", "-S", "-monitor", "stdio",
                 *entry["arguments"]], input="quit\n", capture_output=True, text=True,
                timeout=60, check=False)
            said = None
            if done.returncode:
                lines = [line for line in done.stderr.splitlines() if line.strip()]
                said = lines[-1].strip() if lines else "exit status %d" % done.returncode
        except subprocess.TimeoutExpired:
            said = "no answer in a minute"
        found.append((entry["what"], entry["needs"], said))
    return found

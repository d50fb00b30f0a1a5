# SPDX-License-Identifier: GPL-2.0-only
"""What make debian does in which guest, and what is made of it."""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass

from lib.debian.guest import DebianGuest, MODES, expects, journal, machine, warnings

SAID = re.compile(r"debian: (ok|FAIL) (\S+) ?(.*)$")
BESIDE = (("stock", "default"), ("ours", "on"))


@dataclass
class Scenario:
    """text: what it does.  steps: one start of QEMU after the other with the same disks,
    each the words that the guest is told, one login after the other.  boots: kernels and
    modes.  memory: of the guest.  seconds: until a step has to be over."""
    text: str
    steps: tuple
    boots: tuple = BESIDE
    memory: str = "1G"
    seconds: int = 1800
    append: str = ""
    expected: tuple = ()


SCENARIOS = {
    "boot": Scenario("systemd comes up, network by networkd, login", ("boot",), (
        ("stock", "default"), *(("ours", mode) for mode in MODES))),
    "fio": Scenario("fio with crc32c of each block, raw and on ext4", ("fio",)),
    **{"cut-" + kind: Scenario("QEMU is killed while %s is written and flushed" % kind,
                               ("cut:" + kind, "check:" + kind))
       for kind in ("ext4", "xfs", "btrfs")},
    "swap": Scenario("stress-ng, of memory and of the file system, with swap on a disk",
                     ("swap",), memory="512M"),
    "reboot": Scenario("five reboots", ("nothing nothing nothing nothing boot",),
                       seconds=5400),
    "upgrade": Scenario("apt removes ours, kexec to stock, apt installs ours, kexec to it",
                        ("downgrade upgrade boot",), (("ours", "default"), ("ours", "on")),
                        seconds=3600),
    "hibernate": Scenario("hibernation to a disk and back", ("hibernate", ""),
                          append="resume=/dev/disk/by-id/virtio-spare"),
    "kdump": Scenario("a crash while disks are busy, and kdump-tools", ("crash", "dump"),
                      append="crashkernel=256M",
                      expected=("Kernel panic - not syncing: sysrq triggered crash",
                                "Call Trace:")),
}


class Run:
    """The boots of a scenario with a kernel in a mode."""

    def __init__(self, name, kernel, mode, image, progress):
        scenario = SCENARIOS[name]
        self.scenario, self.kernel, self.mode = name, kernel, mode
        self.name = "%s-%s-%s" % (name, kernel, mode)
        self.guests = [DebianGuest(
            "debian-%s%s" % (self.name, "-%d" % number if number else ""), image, kernel,
            "%s %s" % (MODES[mode], scenario.append), step.split(), None, scenario.seconds,
            progress, machine(scenario.memory),
            scenario.expected) for number, step in enumerate(scenario.steps)]

    def row(self, what):
        return "%s/%s/%s" % (self.scenario, self.mode, what)

    def boot(self):
        """The results of its boots; those after one that failed are left out."""
        folder = tempfile.mkdtemp(prefix="debian-", dir=os.environ.get("TMPDIR") or "/var/tmp")
        results = []
        try:
            for guest in self.guests:
                guest.folder = folder
                results.append(guest.boot())
                if not results[-1].ok:
                    break
            return results
        finally:
            shutil.rmtree(folder)


def devices(run, result):
    """(whether every device is where its DMA was expected to go, what was found)."""
    want, found = expects(run.kernel, run.mode), {row.pci: row for row in result.rows()}
    wrong, text = [], []
    for device in run.guests[0].machine.devices:
        row = found.get(device.pci())
        have = (row.driver, row.group, row.access) if row else ("missing",)
        expect = want[device.id]
        driver = device.known().get("driver", "virtio_" + device.kind)
        if have != (driver, expect.group, expect.access):
            wrong.append("%s is %s" % (device.id, " ".join(have)))
        elif row:
            text.append("%s %s" % (device.id, row.group if row.access == "-" else row.access))
    return not wrong, ", ".join(wrong or text)


def _marked(result, word):
    return [line[len(word):] for line in result.output if line.startswith(word)]


def compared(result, stock):
    """What a boot has to show beside stock's of the same image: {name: (ok, text)}."""
    known = set(journal(_marked(stock, "journal: ")))
    lines = warnings(_marked(result, "journal: "))
    new = [line for line, plain in zip(lines, journal(lines)) if plain not in known]
    missing = sorted(set(_marked(stock, "module: ")) - set(_marked(result, "module: ")))
    return {"journal": (not new, "new: " + new[0] if new else
                        "%d lines of warning or worse, all of them stock's too" % len(lines)),
            "modules": (not missing, "not loaded: " + " ".join(missing) if missing else
                        "%d loaded, all of stock's among them" %
                        len(_marked(result, "module: ")))}


def kept(before, after):
    """Whether each file that was on the disk for good before the power failed is there
    afterwards, with the same contents."""
    written = set(_marked(before, "written "))
    lost = sorted(written - set(_marked(after, "found ")))
    if not written or lost:
        return False, "lost or other: " + lost[0] if lost else "nothing was written"
    return True, "%d files written and synced, all there" % len(written)


def checks(run, results, stock=None):
    """{name: (ok, text)} of a run; stock: the results of stock's run of the scenario."""
    said = {}
    for result, guest in zip(results, run.guests):
        if not guest.logins:
            said["login"] = (False, result.problems[0] if result.problems else "no login")
        for match in filter(None, map(SAID.match, result.output)):
            said[match[2]] = (match[1] == "ok", match[3])
    if results[0].rows():
        said = {"login": (True, "on the console, in %.0f s altogether" % results[0].seconds),
                **said, "dma_access": devices(run, results[0])}
        if stock and stock[0].rows():
            said.update(compared(results[0], stock[0]))
    if run.scenario.startswith("cut-") and len(results) == 2:
        said["files"] = kept(*results)
    problems = [p for result in results for p in result.problems]
    if problems and all(ok for ok, _ in said.values()):
        said["end"] = (False, problems[0])
    return said

# SPDX-License-Identifier: GPL-2.0-only
"""A disk that the IOMMU leaves alone, beside one that it translates: requests,
translations and invalidations are counted while the first works alone, and then
while both do."""

import re

from lib import trace

COUNTED = re.compile(r"disks-beside: (\w+) (.*)$")


class Beside(trace.Tail):
    """The host's part while the guest reads: it says what QEMU has seen since it
    was asked the last time, or with "begin" since QEMU began."""

    def __init__(self, boot):
        super().__init__()
        self.boot = boot
        self.requests = {}

    def counts(self, since):
        if since == "begin":
            self.offset, self.requests = 0, {}
        lines, iommu = self.read(), self.boot.machine.iommu
        translations = trace.translations(lines, iommu)
        words = ["invalidations=%d" % trace.invalidations(lines, iommu)]
        devices = {d.id: d for d in self.boot.machine.devices}
        for one in self.guest.qmp.command("query-blockstats"):
            id_ = one["device"].removeprefix("drive-")
            if id_ in devices:
                done = one["stats"]["rd_operations"] + one["stats"]["wr_operations"]
                words += ["%s.requests=%d" % (id_, done - self.requests.get(id_, 0)),
                          "%s.translations=%d" % (id_, translations[devices[id_].pci()])]
                self.requests[id_] = done
        return " ".join(words)


def events(boot):
    """What more QEMU is to trace for it."""
    return trace.INVALIDATIONS[trace.kind(boot.machine.iommu)] if boot.beside else ()


def command(boot):
    """What the guest runs first."""
    return ["disks-beside", *boot.beside] if boot.beside else []


def counted(output):
    """{phase: {NAME: N}} of what the guest wrote down."""
    found = {}
    for line in output:
        match = COUNTED.match(line)
        if match:
            words = (word.split("=") for word in match.group(2).split())
            found[match.group(1)] = {name: int(value) for name, value in words}
    return found


def _of(phase, name, what):
    return phase.get("%s.%s" % (name, what), 0)


def problems(boot, output):
    """What is wrong with the counts, none if nothing is."""
    found = counted(output)
    if set(found) != {"alone", "both"}:
        return ["%s and %s were not counted beside each other" % boot.beside]
    bypassing, translated = boot.beside
    alone, both = found["alone"], found["both"]
    wrong = []
    for phase, names in ((alone, (bypassing,)), (both, boot.beside)):
        wrong += ["QEMU has seen no request of %s" % name
                  for name in names if not _of(phase, name, "requests")]
    for name, value in alone.items():
        if value and name != bypassing + ".requests":
            wrong.append("while %s worked alone, %s was %d" % (bypassing, name, value))
    if _of(both, bypassing, "translations"):
        wrong.append("QEMU has translated %s" % bypassing)
    if not _of(both, translated, "translations") or not both.get("invalidations"):
        wrong.append("QEMU has not translated %s beside %s" % (translated, bypassing))
    return wrong


def said(boot, output):
    """The counts in a line for people."""
    bypassing, translated = boot.beside
    alone, both = (counted(output).get(phase, {}) for phase in ("alone", "both"))
    return ("%d requests alone: %d translations, %d invalidations; beside %s: "
            "%d requests and %d translations against %d and %d, %d invalidations" % (
                _of(alone, bypassing, "requests"), _of(alone, bypassing, "translations"),
                alone.get("invalidations", 0), translated,
                *(_of(both, name, what) for name in boot.beside
                  for what in ("requests", "translations")), both.get("invalidations", 0)))

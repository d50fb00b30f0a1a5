# SPDX-License-Identifier: GPL-2.0-only
"""What make life does to which guest, of scripts/life.toml, and what must come of it."""

from dataclasses import dataclass, field, replace

from lib import rows, tables
from lib.guest.expect import Expect

TABLE = tables.load("life")
MODES, FIRST, SECOND = TABLE["modes"], TABLE["first"], TABLE["second"]
IO_ERROR = TABLE["said"]["io-error"]


@dataclass
class Scenario:
    """See scripts/life.toml; kernel and qemu are patterns."""
    text: str
    rounds: int = 1
    devices: tuple = ()
    kernel: str = ""
    qemu: str = ""
    seconds: int = 300

    def __post_init__(self):
        self.kernel, self.qemu = ("|".join(TABLE["said"][name] for name in names)
                                  for names in (self.kernel, self.qemu))


SCENARIOS = {name: Scenario(**words) for name, words in TABLE["scenario"].items()}


@dataclass
class Boot:
    """A guest and what happens to it, see scripts/life.toml."""
    name: str
    iommu: str
    mode: str
    scenarios: tuple
    native: bool = False
    refused: dict = field(default_factory=dict)
    first = ""              # see KexecBoot

    def rows(self):
        return ["%s/%s" % (scenario, self.name) for scenario in self.scenarios]

    def parameters(self):
        """Kernel parameters."""
        return MODES[self.mode]

    def words(self):
        """What the guest's script is told to do."""
        return ["%s:%d" % (name, SCENARIOS[name].rounds) for name in self.scenarios]

    def expect(self, access):
        """What a device shows, with ACCESS_PLATFORM or without."""
        return shows("strict" if self.mode == "strict" else "identity", access)


def shows(what, access):
    group, dma_access = TABLE["shows"][what]
    return Expect(group, dma_access if access else "physical", "-")


@dataclass
class KexecBoot(Boot):
    """A guest in which one kernel starts another: first, a key of FIRST, mode one of
    SECOND, and a single scenario."""
    first: str = ""

    def rows(self):
        return ["%s/%s-%s-%s" % (*self.scenarios, self.iommu, self.first, self.mode)]

    def parameters(self):
        # The rest is what is dumped.
        return FIRST[self.first] + (" crashkernel=112M" if self.scenarios == ("kdump",) else "")

    def words(self):
        return ["%s:%s" % (*self.scenarios, "type" if self.first == "type" else "first")]

    def _expect(self, mode, access):
        # Behind amd-iommu nothing is lazy, virtio-iommu is never asked to be strict.
        lazy = "strict" if self.iommu == "amd" else "lazy"
        return shows({"default": "identity", "pt": "identity", "on": lazy, "strict": "strict",
                      "type": "strict", "stock": lazy}[mode], access)

    def expect_first(self, access):
        return self._expect(self.first, access)

    def expect(self, access):
        # A crash kernel does not pass through of its own accord.
        crash = self.scenarios == ("kdump",) and self.mode == "default"
        return self._expect("on" if crash else self.mode, access)


BOOTS = [Boot(name, **{**words, "scenarios": tuple(words["scenarios"])})
         for name, words in TABLE["boot"].items()]
# Every first kernel with every second one, behind every vIOMMU, and the usual ones.
KEXEC_BOOTS = [KexecBoot("%s-%s-%s-%s" % (scenario, iommu, first, mode), iommu, mode, (scenario,),
                         first=first)
               for scenario in ("kdump", "kexec") for iommu in ("intel", "amd", "virtio")
               for first in FIRST for mode in SECOND]
KEXEC_SLICE = TABLE["kexec"]["usual"]


def soak(seconds):
    """The boots of a soak.  Of hot plug by ACPI, the firmware (SeaBIOS 1.16) leaves nothing
    behind when it wakes up."""
    SCENARIOS["soak"] = Scenario(**{
        **TABLE["scenario"]["soak"], "text": "all of it, for %d s" % seconds,
        "rounds": seconds, "seconds": 2 * seconds + 900})
    return [Boot("soak", "intel", "identity", ("soak",), native=True),
            Boot("soak-strict", "intel", "strict", ("soak",), native=True)]


def chosen(patterns):
    """The boots with those of their rows that a pattern matches, or that contain it; without
    one, the usual rows."""
    everything = {row: (boot, scenario)
                  for boot in BOOTS + [b for b in KEXEC_BOOTS
                                       if patterns or b.rows()[0] in KEXEC_SLICE]
                  for row, scenario in zip(boot.rows(), boot.scenarios)}
    found = {}
    for row in rows.chosen(patterns, everything, lambda row: [row],
                           "there are: " + " ".join(everything)):
        boot, scenario = everything[row]
        found.setdefault(boot.name, [boot]).append(scenario)
    return [replace(boot, scenarios=tuple(names)) for boot, *names in found.values()]

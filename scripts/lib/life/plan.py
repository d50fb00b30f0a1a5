# SPDX-License-Identifier: GPL-2.0-only
"""What make life does to which guest: data only."""

from dataclasses import dataclass, field, replace

from lib import rows
from lib.guest.expect import Expect

# Kernel parameters of a mode, and what a device with ACCESS_PLATFORM shows in it
# and one without, per vIOMMU: behind amd-iommu nothing is lazy, virtio-iommu is
# never asked to be strict.
MODES = {"identity": "", "strict": "iommu=on iommu.strict=1"}
IDENTITY = (Expect("identity", "identity", "-"), Expect("identity", "physical", "-"))
STRICT = (Expect("DMA", "translated-strict", "-"), Expect("DMA", "physical", "-"))
LAZY = (Expect("DMA-FQ", "translated-lazy", "-"), Expect("DMA-FQ", "physical", "-"))

# The same of the kernel that starts another, and of the one that it starts.  "type" is
# what an administrator writes while the guest runs, "stock" the unmodified kernel.
FIRST = {"default": "", "pt": "iommu=pt", "on": "iommu=on", "strict": "iommu=on iommu.strict=1",
         "type": "", "stock": ""}
SECOND = {"default": "", "pt": "iommu=pt", "on": "iommu=on"}

# What the kernel may say while requests fail on purpose.
IO_ERROR = r"I/O error, dev (vd|sd)[a-z]+, sector|critical target error|Buffer I/O error"
OFFLINE = r"|rejecting I/O to offline device|Synchronize Cache.*failed"
# What QEMU says of a NIC that is yet to be plugged.
NO_PEER = r"warning: netdev net-\w+ has no peer"
# What QEMU may say while its back end is away.
BACK_END_AWAY = (r"Failed to (read|write|set) (msg|header|guest)|Unable to connect|"
                 r"vhost.* failed|[Cc]onnection refused|vhost-user-blk|Unexpected end-of-file|"
                 r"terminating on signal|Failed to connect")


@dataclass
class Scenario:
    """One line of the guest's script.  rounds: how often it happens.  kernel, qemu:
    lines that are no failure.  devices: ids of what it needs, see life_guest."""
    text: str
    rounds: int = 1
    devices: tuple = ()
    kernel: str = ""
    qemu: str = ""
    seconds: int = 300      # that it may take on a busy host


SCENARIOS = {
    "reset": Scenario("system_reset under load", 1, ("vtscsi",), seconds=600),
    "plug-blk": Scenario("virtio-blk unplugged under its own I/O", 3, ("vthot",), IO_ERROR,
                         seconds=600),
    "plug-scsi": Scenario("virtio-scsi unplugged under its own I/O", 1, ("vthots",),
                          IO_ERROR + OFFLINE,
                          seconds=600),
    "plug-net": Scenario("virtio-net unplugged under traffic", 3, ("vtnet1b",),
                         qemu=NO_PEER, seconds=600),
    "plug-console": Scenario("a console unplugged that the host does not read", 2,
                             ("vthvc",), seconds=600),
    "suspend": Scenario("suspend to RAM under load", 2, ("vtscsi",), seconds=600),
    "migrate": Scenario("migration to a file and back under load", 1, ("vtscsi",), seconds=600),
    "errors": Scenario("a disk that fails", 4, ("vtbad",), IO_ERROR),
    "retry": Scenario("a disk that fails, QEMU stops and tries again", 3, ("vtstop",)),
    "stall": Scenario("disks that do not answer", 5, ("vtscsi",)),
    "kill": Scenario("kill -9 of a vhost-user back end", 2, ("vhost",), qemu=BACK_END_AWAY,
                     seconds=600),
    "dimm": Scenario("memory plugged beyond 4 GiB, a NIC of 32 bits", 1, ("e1000",)),
    "kdump": Scenario("a crash under load, and a dump", 1, ("vtdump", "kernels"), seconds=300),
    "kexec": Scenario("kexec under load", 1, ("kernels",), seconds=300),
}


@dataclass
class Boot:
    """A guest and what happens to it, in this order.  native: hot plug by PCIe
    itself, not by ACPI.  refused: what QEMU says of a scenario that it cannot do."""
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
        return (STRICT if self.mode == "strict" else IDENTITY)[0 if access else 1]


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
        lazy = STRICT if self.iommu == "amd" else LAZY
        return {"default": IDENTITY, "pt": IDENTITY, "on": lazy, "strict": STRICT,
                "type": STRICT, "stock": lazy}[mode][0 if access else 1]

    def expect_first(self, access):
        return self._expect(self.first, access)

    def expect(self, access):
        # A crash kernel does not pass through of its own accord.
        crash = self.scenarios == ("kdump",) and self.mode == "default"
        return self._expect("on" if crash else self.mode, access)


PLUG = ("plug-blk", "plug-scsi", "plug-net", "plug-console")
POWER = ("reset", "suspend", "migrate")
BACK_END = ("errors", "retry", "stall", "kill")

# The slow ones first, so that the short ones fill what is left.
BOOTS = [
    Boot("plug", "intel", "identity", PLUG),
    Boot("plug-strict", "intel", "strict", PLUG),
    Boot("power", "intel", "identity", POWER),
    Boot("power-strict", "intel", "strict", POWER),
    Boot("back-end", "intel", "identity", BACK_END),
    Boot("back-end-strict", "intel", "strict", BACK_END),
    Boot("amd-strict", "amd", "strict", ("plug-blk", "suspend", "migrate"),
         refused={"migrate": r"State blocked by non-migratable device .*amd-iommu"}),
    # The driver of virtio-iommu (6.12) does not bring its device back from sleep, and
    # whatever is translated waits for it for ever, stock and ours.
    Boot("virtio-strict", "virtio", "strict", ("plug-blk", "migrate")),
    Boot("virtio", "virtio", "identity", ("plug-blk", "suspend")),
    Boot("native-strict", "intel", "strict", ("plug-blk",), native=True),
    Boot("narrow", "intel", "identity", ("dimm",)),
    Boot("narrow-amd", "amd", "identity", ("dimm",)),
    Boot("narrow-virtio", "virtio", "identity", ("dimm",)),
    Boot("narrow-strict", "intel", "strict", ("dimm",)),
]


# Every first kernel with every second one, behind every vIOMMU.
KEXEC_BOOTS = [KexecBoot("%s-%s-%s-%s" % (scenario, iommu, first, mode), iommu, mode, (scenario,),
                         first=first)
               for scenario in ("kdump", "kexec") for iommu in ("intel", "amd", "virtio")
               for first in FIRST for mode in SECOND]
# Those that "make life" has without being asked.
KEXEC_SLICE = ("kdump/intel-on-default", "kdump/intel-on-pt", "kdump/amd-type-default",
               "kdump/virtio-default-on", "kexec/intel-on-default", "kexec/amd-default-on")


# All that one guest can have at once; how long is for whoever asks to say.  Of hot
# plug by ACPI, the firmware (SeaBIOS 1.16) leaves nothing behind when it wakes up.
def soak(seconds):
    """The scenario and the boots of a soak."""
    SCENARIOS["soak"] = Scenario(
        "all of it, for %d s" % seconds, seconds, ("vtscsi", "vthot", "vthots", "vtnet1b"),
        IO_ERROR + OFFLINE, NO_PEER, 2 * seconds + 900)
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

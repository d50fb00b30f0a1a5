# SPDX-License-Identifier: GPL-2.0-only
"""What this QEMU can do, and the machine and devices that a guest gets of it."""

import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field

from . import report

QEMU = os.environ.get("QEMU") or "qemu-system-x86_64"
OLDEST = (7, 2)
MIB = 1 << 20


# --- what this QEMU and this machine can do -------------------------------

def _ask(*args):
    try:
        return subprocess.run([QEMU, *args], capture_output=True, text=True,
                              timeout=60, check=False).stdout
    except FileNotFoundError:
        raise report.Failure("%s is missing: apt-get install qemu-system-x86, or set QEMU="
                             % QEMU) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise report.Failure("%s does not answer: %s" % (QEMU, error)) from None


@functools.lru_cache(None)
def qemu_version():
    """Version of QEMU as a tuple; too old a one is an error."""
    match = re.search(r"version (\d+)\.(\d+)", _ask("--version"))
    if not match:
        raise report.Failure("%s --version says no version: is it QEMU?" % QEMU)
    version = tuple(int(n) for n in match.groups())
    if version < OLDEST:
        raise report.Failure("QEMU %d.%d is too old: %d.%d or newer is needed, set QEMU="
                             % (version + OLDEST))
    return version


@functools.lru_cache(None)
def qemu_devices():
    """Names and aliases of the devices that this QEMU has."""
    return set(re.findall(r'(?:name|alias) "([^"]+)"', _ask("-device", "help")))


@functools.lru_cache(None)
def device_properties(device):
    return set(re.findall(r"^  ([\w-]+)=", _ask("-device", device + ",help"), re.M))


@functools.lru_cache(None)
def machine_properties():
    return set(re.findall(r"^  ([\w-]+)=", _ask("-M", "q35,help"), re.M))


@functools.lru_cache(None)
def trace_events():
    return set(_ask("-trace", "help").split())


def accelerator():
    """Arguments that choose the accelerator, from ACCEL."""
    wish = os.environ.get("ACCEL") or "auto"
    if wish not in ("auto", "tcg", "kvm"):
        raise report.Failure("ACCEL=%s: must be tcg, kvm or auto" % wish)
    if wish != "tcg":
        usable = True
        try:
            with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
                usable = bool(re.search(r"^flags.*\b(vmx|svm)\b", info.read(), re.M))
            os.close(os.open("/dev/kvm", os.O_RDWR))
        except OSError:
            usable = False
        if usable:
            return ["-accel", "kvm"]
        if wish == "kvm":
            raise report.Failure("ACCEL=kvm: /dev/kvm does not open or the CPU has no vmx or svm")
    return ["-accel", "tcg,thread=multi"]


# --- devices --------------------------------------------------------------

# Number of the expander bus that bypasses the IOMMU; each device there has a
# root port, whose bus follows in number.
BYPASS_BUS = 0x40

PCI_NAMES = {
    "blk": "virtio-blk-pci", "scsi": "virtio-scsi-pci", "net": "virtio-net-pci",
    "9p": "virtio-9p-pci", "console": "virtio-serial-pci", "rng": "virtio-rng-pci",
    "keyboard": "virtio-keyboard-pci", "tablet": "virtio-tablet-pci",
    "balloon": "virtio-balloon-pci", "vhost-user-blk": "vhost-user-blk-pci",
}


@dataclass
class Device:
    """A virtio PCI device.  mode: modern, transitional or legacy.  wire:
    NAME.a or NAME.b, the two NICs that are connected to each other.  tap: a NIC
    that takes TSO and whose packets are lost.  bus: pcie.0, port (a root port of
    its own) or bypass (one on an expander bus that the IOMMU leaves alone)."""
    kind: str
    id: str
    access: bool = False
    mode: str = "modern"
    packed: bool = False
    bus: str = "pcie.0"
    slot: int = 0
    options: str = ""
    size: int = 64 * MIB
    wire: str = ""
    tap: bool = False
    mac: str = ""
    ports: tuple = ()
    function: int = 0

    def pci(self):
        """Address in the guest, where it is known beforehand."""
        if self.bus == "bypass":
            return "0000:%02x:00.0" % (BYPASS_BUS + 1 + self.slot)
        return "0000:00:%02x.%d" % (self.slot, self.function)

    def label(self):
        words = [self.kind, self.mode]
        words += ["packed"] if self.packed else []
        words += ["ACCESS_PLATFORM"] if self.access else []
        words += ["bypassing bus"] if self.bus == "bypass" else []
        return " ".join(words)

    def missing(self):
        """Why this QEMU cannot have it, or None."""
        name = PCI_NAMES[self.kind]
        if name not in qemu_devices():
            return "%s has no %s" % (QEMU, name)
        if self.packed and "packed" not in device_properties(name):
            return "%s of %s has no packed=" % (name, QEMU)
        if self.kind == "vhost-user-blk" and not shutil.which("qemu-storage-daemon"):
            return "qemu-storage-daemon is missing (package qemu-system-common)"
        return None

    def properties(self):
        words = [PCI_NAMES[self.kind], "id=" + self.id]
        if self.bus in ("port", "bypass"):
            words += ["bus=port-" + self.id]
        else:
            words += ["bus=" + self.bus, "addr=0x%x.%d" % (self.slot, self.function)]
        words += {
            "modern": ["disable-legacy=on", "disable-modern=off"],
            "legacy": ["disable-legacy=off", "disable-modern=on"],
            "transitional": ["disable-legacy=off", "disable-modern=off"],
        }[self.mode]
        words += ["iommu_platform=on"] if self.access else []
        words += ["packed=on"] if self.packed else []
        words += [self.options] if self.options else []
        return words


@dataclass
class Machine:
    """iommu: none, intel, intel-caching, amd or virtio.  icount: an instruction
    takes a nanosecond of the guest's time, whatever the host does."""
    iommu: str = "intel"
    devices: list = field(default_factory=list)
    default_bus_bypass: bool = False
    extra: list = field(default_factory=list)
    smp: int = 2
    memory: str = "1G"
    icount: bool = False
    cpu: str = "max"

    def memory_bytes(self):
        return int(self.memory[:-1]) * MIB * (1024 if self.memory.endswith("G") else 1)

    def __post_init__(self):
        """Give each device without a slot a free one; slot 1 is the IOMMU's."""
        for bus, first in (("pcie.0", 2), ("bypass", 0), ("port", 0)):
            taken = {d.slot for d in self.devices if d.bus == bus and d.slot}
            if bus == "pcie.0":
                taken |= {0x1c, 0x1d, 0x1e, 0x1f}
            slot = first
            for device in self.devices:
                if device.bus == bus and not device.slot:
                    while slot in taken:
                        slot += 1
                    device.slot = slot
                    slot += 1
        names = [d.id for d in self.devices]
        if len(names) != len(set(names)):
            raise report.Failure("two devices of one guest have the same id")

    def missing(self):
        """Why this QEMU cannot have this machine, or None."""
        need = {"intel": "intel-iommu", "intel-caching": "intel-iommu", "amd": "amd-iommu",
                "virtio": "virtio-iommu-pci"}.get(self.iommu)
        if need and need not in qemu_devices():
            return "%s has no %s" % (QEMU, need)
        if self.default_bus_bypass and "default-bus-bypass-iommu" not in machine_properties():
            return "q35 of %s has no default-bus-bypass-iommu" % QEMU
        if any(d.bus == "bypass" for d in self.devices):
            if "pxb-pcie" not in qemu_devices():
                return "%s has no pxb-pcie" % QEMU
            if "bypass_iommu" not in device_properties("pxb-pcie"):
                return "pxb-pcie of %s has no bypass_iommu=" % QEMU
        for device in self.devices:
            reason = device.missing()
            if reason:
                return reason
        return None

    def arguments(self):
        """QEMU's arguments for the machine, without its devices."""
        machine = "q35,kernel-irqchip=split"
        if self.default_bus_bypass:
            machine += ",default-bus-bypass-iommu=on"
        if any(d.kind == "vhost-user-blk" for d in self.devices):
            machine += ",memory-backend=ram"
        cpu = (["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]
               if self.icount else accelerator())
        args = ["-M", machine, *cpu, "-cpu", self.cpu, "-smp", str(self.smp),
                "-m", self.memory, "-nodefaults", "-no-user-config", "-no-reboot",
                "-display", "none"]
        if "memory-backend" in machine:
            args += ["-object", "memory-backend-memfd,id=ram,size=%s,share=on" % self.memory]
        # A bus that bypasses the IOMMU bypasses its interrupt remapping too, and
        # then the guest never gets the interrupts of the devices there.
        intel = "intel-iommu,intremap=%s" % (
            "off" if any(d.bus == "bypass" for d in self.devices) else "on")
        # The IOMMU comes first: a device placed before it would miss it.
        args += {
            "none": [],
            "intel": ["-device", intel],
            "intel-caching": ["-device", intel + ",caching-mode=on"],
            "amd": ["-device", "amd-iommu"],
            "virtio": ["-device", "virtio-iommu-pci,bus=pcie.0,addr=0x1"],
        }[self.iommu]
        if any(d.bus == "bypass" for d in self.devices):
            args += ["-device", "pxb-pcie,id=bypass,bus=pcie.0,addr=0x1c,bus_nr=0x%x,"
                     "bypass_iommu=true" % BYPASS_BUS]
        return args

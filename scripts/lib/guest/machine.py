# SPDX-License-Identifier: GPL-2.0-only
"""What this QEMU can do, and the machine and devices that a guest gets of it."""

import functools
import itertools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field

from lib import report, tables

QEMU = os.environ.get("QEMU") or "qemu-system-x86_64"
OLDEST = (5, 2)
MIB = 1 << 20


# --- what this QEMU and this machine can do -------------------------------

@functools.lru_cache(None)
def _ask(*args, qemu=QEMU):
    try:
        done = subprocess.run([qemu, *args], capture_output=True, text=True,
                              timeout=60, check=False)
        # Before 6.0 the list of trace events was an error message.
        return done.stdout or done.stderr
    except FileNotFoundError:
        raise report.Failure("%s is missing: apt-get install qemu-system-x86, or set QEMU="
                             % qemu) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise report.Failure("%s does not answer: %s" % (qemu, error)) from None


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
def properties(option, of):
    """Names of what can be set with an option of QEMU of a device or machine."""
    return set(re.findall(r"^  ([\w-]+)=", _ask(option, of + ",help"), re.M))


@functools.lru_cache(None)
def trace_events(qemu=QEMU):
    return set(_ask("-trace", "help", qemu=qemu).split())


def _kvm():
    """Whether KVM can be had."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
            able = re.search(r"^flags.*\b(vmx|svm)\b", info.read(), re.M)
        os.close(os.open("/dev/kvm", os.O_RDWR))
        return bool(able)
    except OSError:
        return False


def accelerator(one_thread=False):
    """Arguments that choose the accelerator, from ACCEL; with one_thread, vCPUs that
    are emulated take turns."""
    wish = os.environ.get("ACCEL") or "auto"
    if wish not in ("auto", "tcg", "kvm"):
        raise report.Failure("ACCEL=%s: must be tcg, kvm or auto" % wish)
    if wish != "tcg" and _kvm():
        return ["-accel", "kvm"]
    if wish == "kvm":
        raise report.Failure("ACCEL=kvm: /dev/kvm does not open or the CPU has no vmx or svm")
    return ["-accel", "tcg,thread=" + ("single" if one_thread else "multi")]


def check_host():
    """Refuse a QEMU= or ACCEL= with which no guest boots; to be done before anything
    is built for one."""
    accelerator()
    qemu_version()


def virtiofsd():
    """The daemon behind a virtiofs share: QEMU's own, or the one in its place."""
    for path in (os.environ.get("VIRTIOFSD"), "/usr/lib/qemu/virtiofsd",
                 "/usr/libexec/virtiofsd", shutil.which("virtiofsd")):
        if path and os.access(path, os.X_OK):
            return path
    return None


# --- devices --------------------------------------------------------------

# Where a microvm without ACPI has its transports, eight of them.
MMIO_BASE, MMIO_IRQ = 0xfeb00000, 5

# The port of a console of its own that the guest's command writes to on boards of other
# architectures.
OUT_PORT = "vdma.out"

KINDS, BOARDS = (tables.load(name, os.path.dirname(__file__)) for name in ("kinds", "boards"))
NOT_VIRTIO = {kind for kind, words in KINDS.items() if "bits" in words}


def edu(pci):
    """QEMU's arguments for its edu device, which reaches all of memory."""
    return ["-device", "edu,bus=pcie.0,addr=%s,dma_mask=0x%x" % (pci[8:], (1 << 64) - 1)]


def nvme(pci):
    """QEMU's arguments for an NVMe controller without a disk."""
    return ["-device", "nvme,bus=pcie.0,addr=%s,serial=vtnvme0" % pci[8:]]


@dataclass
class Device:
    """A virtio device, or one of NOT_VIRTIO.  mode: modern, transitional or legacy.
    wire: NAME.a or NAME.b, the two NICs that are connected to each other.  tap: a NIC
    that takes TSO and whose packets are lost; queues: of those that each CPU has.
    read_bps: how many bytes a 9p share reads in a second.  bus: pcie.0, port (a root
    port of its own), bridge (one PCIe-to-PCI bridge for all of them), bypass (one on
    an expander bus that the IOMMU leaves alone), mmio, virt-mmio (of the arm64 board)
    or ccw (of s390).  port: the slot of its root port, and number the bus that makes,
    if they are to be known beforehand."""
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
    queues: int = 1
    mac: str = ""
    ports: tuple = ()
    read_bps: int = 0
    function: int = 0
    port: int = 0
    number: int = 0

    def known(self):
        """What kinds.toml says of its kind."""
        return KINDS.get(self.kind, {})

    def place(self):
        """What boards.toml says of its bus."""
        return BOARDS["bus"].get(self.bus, BOARDS["bus"]["pcie.0"])

    def model(self):
        """QEMU's name of it."""
        name = self.known().get("model", "virtio-" + self.kind)
        return name if self.kind in NOT_VIRTIO else name + self.place().get("suffix", "-pci")

    def pci(self):
        """Address in the guest, where it is known beforehand."""
        if self.number:
            return "0000:%02x:00.0" % self.number
        place = self.place()
        return place["address"].format(
            slot=self.slot, function=self.function,
            bus=place.get("base", 0) + place.get("step", 1) * self.slot)

    def label(self):
        words = [self.kind]
        words += [self.mode] if self.kind not in NOT_VIRTIO else []
        words += ["packed"] if self.packed else []
        words += ["ACCESS_PLATFORM"] if self.access else []
        return " ".join(words + self.place()["label"])

    def missing(self):
        """Why this QEMU cannot have it, or None."""
        name = self.model()
        if name not in qemu_devices():
            return "%s has no %s" % (QEMU, name)
        if self.bus == "bypass" and "bypass_iommu" not in properties("-device", "pxb-pcie"):
            return "%s has no pxb-pcie with bypass_iommu=" % QEMU
        if self.packed and "packed" not in properties("-device", name):
            return "%s of %s has no packed=" % (name, QEMU)
        program = self.known().get("program")
        if program and not (virtiofsd() if self.kind == "fs" else shutil.which(program)):
            return "%s is missing (%s)" % (program, self.known()["package"])
        return None

    def properties(self):
        words = [self.model(), "id=" + self.id]
        words += [word.format(on=self.bus, **vars(self)) for word in self.place()["words"]]
        if self.bus == "ccw":
            words += ["max_revision=0"] if self.mode == "legacy" else []
        if "suffix" not in self.place() and not {"modern", "bits"}.intersection(self.known()):
            words += BOARDS["modes"][self.mode]
        words += ["iommu_platform=on"] if self.access else []
        words += ["packed=on"] if self.packed else []
        return words + ([self.options] if self.options else [])


def devices_of(table, groups, **more):
    """The devices of some groups of a table, with more words where a device has not its
    own."""
    return [Device(id=id_, **{**more, **words}) for group in groups
            for id_, words in table["devices"][group].items()]


@dataclass
class Machine:
    """iommu: none, intel, intel-caching, amd or virtio, or smmuv3 of the arm64 board.
    iommu_options: more of intel-iommu's.  board: q35 or microvm, with legacy devices or
    with modern ones; or virt (arm64) or s390.
    icount: an instruction takes a nanosecond of the guest's time, whatever the host
    does; only what it waits for takes the host's.
    one_thread: the vCPUs take turns where they are emulated.  While one of them, or
    QEMU's monitor, switches a BAR on or off, as VFIO and hot plug do, QEMU (7.2 and
    10.0) may lose what another writes to a device: a queue that nobody notifies
    stands still forever; or look it up in the wrong memory map and end.  Both are
    there under the stock kernel without an IOMMU too."""
    iommu: str = "intel"
    devices: list = field(default_factory=list)
    default_bus_bypass: bool = False
    extra: list = field(default_factory=list)
    smp: int = 2
    memory: str = "1G"
    room: str = ""                  # for memory to be plugged, as -m takes it
    icount: bool = False
    one_thread: bool = False
    cpu: str = "max"
    board: str = "q35"
    iommu_options: str = ""
    bridge: int = 0                 # slot of the root port above the PCI bridge

    def memory_bytes(self):
        return int(self.memory[:-1]) * MIB * (1024 if self.memory.endswith("G") else 1)

    def __post_init__(self):
        """Give each device without a slot a free one; slot 1 is the IOMMU's."""
        for bus, place in BOARDS["bus"].items():
            taken = {d.slot for d in self.devices if d.bus == bus and d.slot}
            if bus == "pcie.0":
                taken |= {0x1c, 0x1d, 0x1e, 0x1f}
            free = (slot for slot in itertools.count(place["first"]) if slot not in taken)
            for device in self.devices:
                if device.bus == bus and not device.slot:
                    device.slot = next(free)
        names = [d.id for d in self.devices]
        if len(names) != len(set(names)):
            raise report.Failure("two devices of one guest have the same id")

    def missing(self):
        """Why this QEMU cannot have this machine, or None."""
        need = BOARDS["iommu"][self.iommu].get("device")
        if need and need not in qemu_devices():
            return "%s has no %s" % (QEMU, need)
        if self.iommu == "virtio" and qemu_version() < (7, 0):
            return "q35 of %s does not tell the guest of a virtio-iommu (no VIOT)" % QEMU
        if self.default_bus_bypass and \
                "default-bus-bypass-iommu" not in properties("-M", "q35"):
            return "q35 of %s has no default-bus-bypass-iommu" % QEMU
        if self.board == "q35" and self.iommu.startswith("intel"):
            for word in filter(None, self.iommu_options.split(",")):
                if word.split("=")[0] not in properties("-device", "intel-iommu"):
                    return "intel-iommu of %s has no %s" % (QEMU, word)
        return next(filter(None, (device.missing() for device in self.devices)), None)

    def remaps_interrupts(self):
        """Whether its IOMMU, Intel's or AMD's, remaps interrupts too.  A bus that
        bypasses it would bypass that as well, and then the guest never gets the
        interrupts of the devices there."""
        return "intremap=off" not in self.iommu_options.split(",") and \
            not any(d.bus == "bypass" for d in self.devices)

    def foreign(self):
        """Whether its architecture is another."""
        return "qemu" in BOARDS["board"][self.board]

    def parameters(self):
        """What the kernel must be told of the machine."""
        if self.foreign():
            return ["console=" + BOARDS["board"][self.board]["console"]]
        # Where the host is short of time, a guest's timer can miss the interrupts by
        # which the kernel tests it.
        return ["console=ttyS0", "no_timer_check"] + [
            "virtio_mmio.device=512@0x%x:%d" % (MMIO_BASE + 512 * d.slot, MMIO_IRQ + d.slot)
            for d in self.devices if d.bus == "mmio"]

    def qemu(self):
        """The QEMU that has it."""
        return BOARDS["board"][self.board].get("qemu", QEMU)

    def _accelerator(self):
        if self.icount:
            return ["-accel", "tcg,thread=single", "-icount", "shift=0"]
        return ["-accel", "tcg,thread=multi"] if self.foreign() else accelerator(self.one_thread)

    def arguments(self):
        """QEMU's arguments for the machine, without its devices."""
        board, iommu = BOARDS["board"][self.board], BOARDS["iommu"][self.iommu]
        machine = board["machine"] + iommu.get("machine", "")
        if self.default_bus_bypass:
            machine += ",default-bus-bypass-iommu=on"
        buses = {d.bus for d in self.devices}
        if any("program" in d.known() for d in self.devices):
            machine += ",memory-backend=ram"
        memory = self.memory
        if any("memory" in d.known() for d in self.devices):
            memory += ",maxmem=4G"
        memory += "," + self.room if self.room else ""
        args = ["-M", machine, *self._accelerator(), "-cpu", self.cpu, "-smp", str(self.smp),
                "-m", memory, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
        if "memory-backend" in machine:
            args += ["-object", "memory-backend-memfd,id=ram,size=%s,share=on" % self.memory]
        args += board["more"]
        if "out" in board:
            args += ["-device", board["out"] + ",id=out-bus", "-device",
                     "virtserialport,bus=out-bus.0,chardev=out,name=" + OUT_PORT]
        if self.board != "q35":
            return args
        # The IOMMU comes first: a device placed before it would miss it.
        args += [word.format(
            intremap="on" if self.remaps_interrupts() else "off",
            options="".join("," + word for word in self.iommu_options.split(",")
                            if word not in ("", "intremap=off"))) for word in iommu["words"]]
        if "bypass" in buses:
            args += ["-device", "pxb-pcie,id=bypass,bus=pcie.0,addr=0x1c,bus_nr=0x40,"
                     "bypass_iommu=true"]
        if "bridge" in buses:
            args += ["-device", "pcie-root-port,id=port-bridge,bus=pcie.0,addr=0x%x,chassis=90,"
                     "slot=90" % self.bridge, "-device", "pcie-pci-bridge,id=bridge,"
                     "bus=port-bridge"]
        return args

# SPDX-License-Identifier: GPL-2.0-only
"""The promise as a function: what each device of a boot must show, computed from
how the machine is wired and what the command line says.  The rows of
scripts/matrix.toml are written by hand from the same promise; a test holds the
two against each other."""

from lib.guest.expect import Expect
from lib.guest.machine import NOT_VIRTIO
from lib.matrix.plan import Row


class Wish:
    """What a kernel command line asks for."""

    def __init__(self, append):
        self.default, self.said, self.strict, self.off = "pt", False, False, set()
        self.swiotlb, self.entries = False, {}
        for word in append.split():
            name, _, value = word.partition("=")
            if word in ("iommu=pt", "iommu=on"):
                self.default, self.said = value, True
            elif word in ("iommu=off", "intel_iommu=off"):
                self.off |= {"intel", "amd"} if name == "iommu" else {"intel"}
            elif word == "iommu.strict=1":
                self.strict = True
            elif word == "swiotlb=force":
                self.swiotlb = True
            elif name == "virtio_dma":
                for entry in value.split(","):
                    what, _, how = entry.rpartition(":")
                    self.entries[what] = how
            else:
                raise ValueError("nothing is known of %r" % word)

    def of(self, device):
        """pt or on, for one device by itself: an address says more than a type, a
        type more than nothing.  virtio_dma= is about virtio devices alone."""
        if device.kind in NOT_VIRTIO:
            return self.default
        for what in (device.pci(), device.known().get("type", device.kind), ""):
            if what in self.entries:
                return self.entries[what]
        return self.default

    def log(self):
        """A line that the kernel's log must have."""
        return "iommu: Default domain type: %s (%s)" % (
            "Translated" if self.default == "on" else "Passthrough",
            "set via kernel command line" if self.said else "QEMU guest")


def group_of(device):
    """Devices with the same are in one IOMMU group: the functions of a device
    without ACS, and all that is behind a PCIe-to-PCI bridge."""
    return "bridge" if device.bus == "bridge" else device.pci().rpartition(".")[0]


def behind_iommu(machine, wish, device):
    """Whether an IOMMU that is on stands between the device and memory."""
    kind = "intel" if machine.iommu.startswith("intel") else machine.iommu
    if kind == "none" or kind in wish.off or device.bus in ("bypass", "mmio"):
        return False
    if kind == "virtio" and device.bus == "bridge":
        return False    # Linux 6.12, the unmodified too, finds no IOMMU for it in the VIOT
    return not machine.default_bus_bypass


def expect(machine, append, device):
    """Expect of one device of a machine, booted with a command line."""
    wish = Wish(append)
    if not behind_iommu(machine, wish, device):
        group, access = "-", "direct"
    else:
        together = [d for d in machine.devices if group_of(d) == group_of(device)]
        if not any(wish.of(d) == "on" for d in together):
            group, access = "identity", "identity"
        # An emulated IOMMU that caches what is not present makes its driver strict.
        elif wish.strict or machine.iommu in ("amd", "intel-caching") or \
                "caching-mode=on" in machine.iommu_options:
            group, access = "DMA", "translated-strict"
        else:
            group, access = "DMA-FQ", "translated-lazy"
    translated = access.startswith("translated")
    if device.kind in NOT_VIRTIO:
        beyond = machine.memory_bytes() > 1 << device.known()["bits"]
        return Expect(group, "bounced" if not translated and (beyond or wish.swiotlb) else "-")
    if wish.swiotlb and not (translated and device.access):
        access = "bounced"
    elif not device.access:
        access = "physical"
    return Expect(group, access, irq=interrupts(machine, wish, device))


def interrupts(machine, wish, device):
    """How a device of a machine interrupts, or None if anything is right."""
    if device.bus == "mmio" or "irq" not in device.known():
        return None
    # Linux 6.12, the unmodified too: an Intel IOMMU that remaps interrupts leaves
    # devices without a domain for messages if it is off, or not theirs.
    if machine.iommu.startswith("intel") and machine.remaps_interrupts() and \
            ("intel" in wish.off or machine.default_bus_bypass):
        return None
    return "intx" if "vectors=0" in device.options.split(",") else "msi"


def rows(boot):
    """The rows of a covering boot."""
    found = []
    for device in boot.machine.devices:
        wanted = expect(boot.machine, boot.append, device)
        seen = None
        # An address behind a PCI bridge is the bridge's, to the IOMMU.
        if boot.machine.iommu.startswith("intel") and device.bus != "bridge":
            seen = device.access and wanted.access.startswith("translated")
        text = [device.label().removeprefix(device.kind + " ")]
        text += [device.options] if device.options else []
        found.append(Row(device.id, ", ".join(text), boot.append or "nothing asked", wanted,
                         seen))
    return found

# SPDX-License-Identifier: GPL-2.0-only
"""What QEMU's trace says of the DMA of a guest's devices, and of a vIOMMU's work."""

import collections
import os
import re

# By vIOMMU: what invalidates its IOTLB, and an entry that it makes for a device, who that
# is, where it wants to go, and where that leads.  QEMU's virtio-iommu has no IOTLB.
INVALIDATIONS = {
    "intel": ("vtd_inv_desc_iotlb_global", "vtd_inv_desc_iotlb_domain",
              "vtd_inv_desc_iotlb_pages"),
    "amd": ("amdvi_pages_inval", "amdvi_all_inval"),
    "virtio": ("virtio_iommu_unmap",),
    "none": (),
}
MISSES = {"intel": ("vtd_iotlb_page_update",), "amd": ("amdvi_cache_update",)}
_ENTRY = {
    "intel": re.compile(r"vtd_iotlb_page_update .*sid 0x(?P<sid>[0-9a-f]+)"),
    "amd": re.compile(r"amdvi_cache_update .*devid: (?P<bus>\w+):(?P<slot>\w+)\.(?P<function>\w)"
                      r" gpa 0x(?P<from>\w+) hpa 0x(?P<to>\w+)"),
}


def kind(iommu):
    """intel, amd, virtio or none, of a Machine's iommu."""
    return "intel" if iommu.startswith("intel") else iommu


def event(line):
    """The name of a line's event; QEMU may write who and when before it."""
    return re.sub(r"^\d+@\d+\.\d+:", "", line).split(" ", 1)[0]


def events(iommu):
    """What QEMU is to trace to tell whose DMA it translates; none if it cannot."""
    return list(MISSES.get(kind(iommu), ()))


def translations(lines, iommu):
    """{PCI address: how many IOTLB entries QEMU made for it}.  amd-iommu makes some
    for devices that it does not translate, too: these lead to where they come from."""
    found = collections.Counter()
    entry = _ENTRY.get(kind(iommu))
    for match in filter(None, map(entry.search, lines)) if entry else ():
        words = match.groupdict()
        if "sid" in words:
            sid = int(words["sid"], 16)
            found["0000:%02x:%02x.%d" % (sid >> 8, sid >> 3 & 31, sid & 7)] += 1
        elif int(words["from"], 16) >> 12 != int(words["to"], 16) >> 12:
            found["0000:%(bus)s:%(slot)s.%(function)s" % words] += 1
    return found


def invalidations(lines, iommu):
    """How often the guest had QEMU forget IOTLB entries."""
    return sum(event(line) in INVALIDATIONS[kind(iommu)] for line in lines)


class Tail:
    """The end of a guest's trace while QEMU writes it."""

    def __init__(self):
        self.guest = None
        self.offset = 0

    def skip(self):
        """Look at nothing that is there by now."""
        path = self.guest.trace_file()
        self.offset = os.path.getsize(path) if os.path.exists(path) else 0

    def read(self):
        """The lines since the last look; none if QEMU has not begun."""
        path = self.guest.trace_file()
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8", errors="replace") as trace:
            trace.seek(self.offset)
            lines = trace.read().splitlines()
            self.offset = trace.tell()
        return lines

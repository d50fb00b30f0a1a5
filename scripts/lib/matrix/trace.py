# SPDX-License-Identifier: GPL-2.0-only
"""What QEMU's trace says of the DMA of a guest's devices."""

import collections
import re

from lib.bench import plan

# By vIOMMU, an IOTLB entry made for a device: who it is, where it wants to go, and
# where that leads.  QEMU's virtio-iommu has no IOTLB.
_ENTRY = {
    "intel": ("vtd_iotlb_page_update", re.compile(
        r"vtd_iotlb_page_update .*sid 0x(?P<sid>[0-9a-f]+)")),
    "amd": ("amdvi_cache_update", re.compile(
        r"amdvi_cache_update .*devid: (?P<bus>\w+):(?P<slot>\w+)\.(?P<function>\w)"
        r" gpa 0x(?P<from>\w+) hpa 0x(?P<to>\w+)")),
}


def kind(iommu):
    """intel, amd, virtio or none, of a Machine's iommu."""
    return "intel" if iommu.startswith("intel") else iommu


def events(iommu):
    """What QEMU is to trace to tell whose DMA it translates; none if it cannot."""
    return [_ENTRY[kind(iommu)][0]] if kind(iommu) in _ENTRY else []


def translations(lines, iommu):
    """{PCI address: how many IOTLB entries QEMU made for it}.  amd-iommu makes some
    for devices that it does not translate, too: these lead to where they come from."""
    found = collections.Counter()
    if kind(iommu) not in _ENTRY:
        return found
    _, entry = _ENTRY[kind(iommu)]
    for line in lines:
        match = entry.search(line)
        if not match:
            continue
        words = match.groupdict()
        if "sid" in words:
            sid = int(words["sid"], 16)
            found["0000:%02x:%02x.%d" % (sid >> 8, sid >> 3 & 31, sid & 7)] += 1
        elif int(words["from"], 16) >> 12 != int(words["to"], 16) >> 12:
            found["0000:%s:%s.%s" % (words["bus"], words["slot"], words["function"])] += 1
    return found


def invalidations(lines, iommu):
    """How often the guest had QEMU forget IOTLB entries."""
    names = tuple(event + " " for event in plan.INVALIDATIONS[kind(iommu)])
    return sum(any(name in line for name in names) for line in lines)

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: matrix.py [--no-build] [BOOT...]

Hold every row of the table of expectations (guest, device, IOMMU, what is to
come of it) against guests under QEMU, stock beside ours.  Where the IOMMU is
intel-iommu, QEMU's trace says from outside whether a device's DMA was
translated.  Names of boots restrict the run to them.  build/BASE/matrix.json
has the result for programs; the last line is "N passed, N failed, N skipped".
"""

import re
import sys
import time
from dataclasses import dataclass

sys.dont_write_bytecode = True

from lib import guest_expect, guest_vm, report                   # noqa: E402
from lib.guest_expect import Expect                              # noqa: E402
from lib.guest_vm import Device, Machine                         # noqa: E402

# An IOTLB entry made for a device: its DMA is translated.
TRANSLATION = re.compile(r"vtd_iotlb_page_update .*sid 0x([0-9a-f]+)")


@dataclass
class Row:
    """A line of the table.  seen: whether QEMU translates for the device, None
    where its trace does not tell."""
    guest: str
    text: str
    iommu: str
    boot: str
    device: str
    expect: Expect
    seen: object = None


def mixed():
    return [
        Device("blk", "blk-access", access=True),
        Device("blk", "blk-packed-access", access=True, packed=True),
        Device("blk", "blk-modern"),
        Device("blk", "blk-legacy", mode="legacy"),
        Device("net", "net-access", access=True),
        Device("net", "net-legacy", mode="legacy"),
        Device("rng", "rng-access", access=True),
    ]


def with_bypass():
    """Some of them on a bus that the IOMMU leaves alone."""
    return mixed() + [
        Device("blk", "bypass-access", access=True, bus="bypass"),
        Device("blk", "bypass-modern", bus="bypass"),
    ]


def with_vhost_user():
    return mixed() + [Device("vhost-user-blk", "vhost-user")]


def with_vhost_user_access():
    return mixed() + [Device("vhost-user-blk", "vhost-user", access=True)]


# name: kernel, IOMMU, devices, kernel parameters
BOOTS = {
    "stock":                ("stock", "intel", mixed, ""),
    "stock-off":            ("stock", "none", mixed, ""),
    "off":                  ("ours", "none", mixed, ""),
    "default":              ("ours", "intel", with_bypass, ""),
    "pt":                   ("ours", "intel", with_bypass, "iommu=pt"),
    "on":                   ("ours", "intel", with_bypass, "iommu=on"),
    "strict":               ("ours", "intel", mixed, "iommu=on iommu.strict=1"),
    "bus-bypass":           ("ours", "intel", mixed, "iommu=on"),
    "net-on":               ("ours", "intel", mixed, "virtio_dma=net:on"),
    "virtio-pt":            ("ours", "intel", mixed, "iommu=on virtio_dma=pt"),
    "caching":              ("ours", "intel-caching", mixed, ""),
    "caching-on":           ("ours", "intel-caching", mixed, "iommu=on"),
    "amd":                  ("ours", "amd", mixed, ""),
    "amd-on":               ("ours", "amd", mixed, "iommu=on"),
    "virtio-iommu":         ("ours", "virtio", mixed, ""),
    "virtio-iommu-on":      ("ours", "virtio", mixed, "iommu=on"),
    "vhost-user":           ("ours", "intel", with_vhost_user, ""),
    "vhost-user-on":        ("ours", "intel", with_vhost_user, "iommu=on"),
    "vhost-user-access":    ("ours", "intel", with_vhost_user_access, ""),
    "vhost-user-access-on": ("ours", "intel", with_vhost_user_access, "virtio_dma=blk:on"),
    "vfio":                 ("ours", "intel", mixed, ""),
    "vfio-on":              ("ours", "intel", mixed, "iommu=on"),
    "vfio-pt":              ("ours", "intel", mixed, "iommu=pt"),
    "modular":              ("modular", "intel", mixed, ""),
    "modular-on":           ("modular", "intel", mixed, "iommu=on"),
}

# Written out by hand from the table in DESIGN: IOMMU group type, dma_access.
STOCK_ON, STOCK_OFF = Expect("DMA-FQ", "-"), Expect("-", "-")
OFF_PHYSICAL, DIRECT = Expect("-", "physical"), Expect("-", "direct")
IDENTITY, PHYSICAL = Expect("identity", "identity"), Expect("identity", "physical")
LAZY, PHYSICAL_LAZY = Expect("DMA-FQ", "translated-lazy"), Expect("DMA-FQ", "physical")
STRICT, PHYSICAL_STRICT = Expect("DMA", "translated-strict"), Expect("DMA", "physical")

# What VFIO has: no virtio device, and translated whatever the default is.
EDU, EDU_PCI, ISOLATED = "edu", "0000:00:18.0", Expect("-", "isolated")

WITH, WITHOUT = "ACCESS_PLATFORM", "no ACCESS_PLATFORM"
PACKED, LEGACY = "ACCESS_PLATFORM, packed", "no ACCESS_PLATFORM, legacy"

ROWS = [
    Row("stock", WITHOUT, "off", "stock-off", "blk-modern", STOCK_OFF),
    Row("stock", LEGACY, "off", "stock-off", "blk-legacy", STOCK_OFF),
    Row("stock", LEGACY, "off", "stock-off", "net-legacy", STOCK_OFF),
    Row("stock", WITH, "off", "stock-off", "blk-access", STOCK_OFF),
    Row("stock", WITHOUT, "on", "stock", "blk-modern", STOCK_ON, False),
    Row("stock", LEGACY, "on", "stock", "blk-legacy", STOCK_ON, False),
    Row("stock", LEGACY, "on", "stock", "net-legacy", STOCK_ON, False),
    Row("stock", WITH, "on", "stock", "blk-access", STOCK_ON, True),
    Row("stock", PACKED, "on", "stock", "blk-packed-access", STOCK_ON, True),
    Row("stock", WITH, "on", "stock", "net-access", STOCK_ON, True),

    Row("ours", WITHOUT, "off", "off", "blk-modern", OFF_PHYSICAL),
    Row("ours", LEGACY, "off", "off", "blk-legacy", OFF_PHYSICAL),
    Row("ours", LEGACY, "off", "off", "net-legacy", OFF_PHYSICAL),
    Row("ours", WITHOUT, "on", "default", "blk-modern", PHYSICAL, False),
    Row("ours", LEGACY, "on", "default", "blk-legacy", PHYSICAL, False),
    Row("ours", LEGACY, "on", "default", "net-legacy", PHYSICAL, False),
    Row("ours", WITHOUT, "iommu=on", "on", "blk-modern", PHYSICAL_LAZY, False),
    Row("ours", LEGACY, "iommu=on", "on", "blk-legacy", PHYSICAL_LAZY, False),
    Row("ours", LEGACY, "iommu=on", "on", "net-legacy", PHYSICAL_LAZY, False),

    Row("ours", WITH, "off", "off", "blk-access", DIRECT),
    Row("ours", PACKED, "off", "off", "blk-packed-access", DIRECT),
    Row("ours", WITH, "off", "off", "net-access", DIRECT),

    Row("ours", WITH, "on, nothing asked", "default", "blk-access", IDENTITY, False),
    Row("ours", PACKED, "on, nothing asked", "default", "blk-packed-access", IDENTITY, False),
    Row("ours", WITH, "on, nothing asked", "default", "net-access", IDENTITY, False),
    Row("ours", WITH, "caching mode, nothing asked", "caching", "blk-access", IDENTITY, False),
    Row("ours", WITH, "amd-iommu, nothing asked", "amd", "blk-access", IDENTITY),
    Row("ours", WITH, "amd-iommu, nothing asked", "amd", "net-access", IDENTITY),
    Row("ours", WITH, "virtio-iommu, nothing asked", "virtio-iommu", "blk-access", IDENTITY),
    Row("ours", WITH, "virtio-iommu, nothing asked", "virtio-iommu", "net-access", IDENTITY),
    Row("ours", WITH, "on, virtio as modules", "modular", "blk-access", IDENTITY, False),
    Row("ours", WITH, "on, virtio as modules", "modular", "net-access", IDENTITY, False),

    Row("ours", WITH, "iommu=pt", "pt", "blk-access", IDENTITY, False),
    Row("ours", PACKED, "iommu=pt", "pt", "blk-packed-access", IDENTITY, False),
    Row("ours", WITH, "iommu=pt", "pt", "net-access", IDENTITY, False),

    Row("ours", WITH, "iommu=on", "on", "blk-access", LAZY, True),
    Row("ours", PACKED, "iommu=on", "on", "blk-packed-access", LAZY, True),
    Row("ours", WITH, "iommu=on", "on", "net-access", LAZY, True),
    Row("ours", WITH, "iommu=on, strict", "strict", "blk-access", STRICT, True),
    Row("ours", PACKED, "iommu=on, strict", "strict", "blk-packed-access", STRICT, True),
    Row("ours", WITH, "iommu=on, strict", "strict", "net-access", STRICT, True),
    Row("ours", WITHOUT, "iommu=on, strict", "strict", "blk-modern", PHYSICAL_STRICT, False),
    Row("ours", WITH, "iommu=on, caching mode", "caching-on", "blk-access", STRICT, True),
    Row("ours", WITH, "iommu=on, amd-iommu", "amd-on", "blk-access", STRICT),
    Row("ours", WITH, "iommu=on, amd-iommu", "amd-on", "net-access", STRICT),
    Row("ours", WITH, "iommu=on, virtio-iommu", "virtio-iommu-on", "blk-access", LAZY),
    Row("ours", WITH, "iommu=on, virtio-iommu", "virtio-iommu-on", "net-access", LAZY),
    Row("ours", WITH, "iommu=on, as modules", "modular-on", "blk-access", LAZY, True),
    Row("ours", WITH, "iommu=on, as modules", "modular-on", "net-access", LAZY, True),

    Row("ours", "bypassing bus, " + WITH, "on", "default", "bypass-access", DIRECT, False),
    Row("ours", "bypassing bus, " + WITH, "iommu=pt", "pt", "bypass-access", DIRECT, False),
    Row("ours", "bypassing bus, " + WITH, "iommu=on", "on", "bypass-access", DIRECT, False),
    Row("ours", "bypassing bus, " + WITHOUT, "iommu=on", "on", "bypass-modern", OFF_PHYSICAL,
        False),
    Row("ours", "root bus bypasses, " + WITH, "iommu=on", "bus-bypass", "blk-access", DIRECT,
        False),
    Row("ours", "root bus bypasses, " + WITH, "iommu=on", "bus-bypass", "net-access", DIRECT,
        False),

    Row("ours", "given to VFIO", "on", "vfio", EDU, ISOLATED, True),
    Row("ours", "VFIO has another, " + WITH, "on", "vfio", "blk-access", IDENTITY, False),
    Row("ours", "given to VFIO", "iommu=on", "vfio-on", EDU, ISOLATED, True),
    Row("ours", "VFIO has another, " + WITH, "iommu=on", "vfio-on", "blk-access", LAZY, True),
    Row("ours", "given to VFIO", "iommu=pt", "vfio-pt", EDU, ISOLATED, True),
    Row("ours", "VFIO has another, " + WITH, "iommu=pt", "vfio-pt", "blk-access", IDENTITY, False),

    Row("ours", "another process, " + WITHOUT, "on", "vhost-user", "vhost-user", PHYSICAL, False),
    Row("ours", "another process, " + WITHOUT, "iommu=on", "vhost-user-on", "vhost-user",
        PHYSICAL_LAZY, False),
    Row("ours", "beside it, " + WITH, "iommu=on", "vhost-user-on", "blk-access", LAZY, True),
    Row("ours", "another process, " + WITH, "on", "vhost-user-access", "vhost-user", IDENTITY,
        False),
    Row("ours", "another process, " + WITH, "virtio_dma=blk:on", "vhost-user-access-on",
        "vhost-user", LAZY, True),

    Row("ours", "per type: net, " + WITH, "virtio_dma=net:on", "net-on", "net-access", LAZY, True),
    Row("ours", "per type: net, " + LEGACY, "virtio_dma=net:on", "net-on", "net-legacy",
        PHYSICAL_LAZY, False),
    Row("ours", "per type: blk, " + WITH, "virtio_dma=net:on", "net-on", "blk-access", IDENTITY,
        False),
    Row("ours", "virtio only, " + WITH, "iommu=on virtio_dma=pt", "virtio-pt", "blk-access",
        IDENTITY, False),
    Row("ours", "virtio only, " + WITH, "iommu=on virtio_dma=pt", "virtio-pt", "net-access",
        IDENTITY, False),
]


def machine_of(boot):
    _, iommu, devices, _ = BOOTS[boot]
    machine = Machine(iommu, devices(), default_bus_bypass=boot == "bus-bypass")
    if boot.startswith("vfio"):
        # Some device that no driver of the guest claims.
        machine.extra = ["-device", "edu,bus=pcie.0,addr=" + EDU_PCI[8:]]
    return machine


def command_of(boot):
    if boot.startswith("vfio"):
        return ["vfio-beside", EDU_PCI, "virtio-table"]
    return ["virtio-table"]


def translated(trace):
    """PCI addresses that QEMU made IOTLB entries for."""
    found = set()
    for line in trace:
        match = TRANSLATION.search(line)
        if match:
            sid = int(match.group(1), 16)
            found.add("0000:%02x:%02x.%d" % (sid >> 8, sid >> 3 & 31, sid & 7))
    return found


def refused(result):
    """What QEMU said when it would not have a back end behind an IOMMU."""
    for problem in result.problems:
        match = re.search(r"iommu_platform=true is not supported by the device", problem)
        if match:
            return "qemu-storage-daemon has no IOTLB, QEMU: " + match.group(0)
    return None


def judge(row, guest, result):
    """Problems of one row."""
    if result.problems:
        return ["the boot failed"]
    if row.device == EDU:
        pci, problems = EDU_PCI, []
        if "vfio-isolated: %s copied by IOVA" % pci not in result.output:
            problems.append("%s was not used through VFIO" % pci)
    else:
        device = next(d for d in guest.machine.devices if d.id == row.device)
        pci = device.pci()
        found = {r.pci: r for r in result.rows()}.get(pci)
        problems = guest_expect.compare(device, row.expect, found)
    if row.seen is not None:
        if (pci in translated(result.trace)) != row.seen:
            problems.append("QEMU has %s its DMA" % ("not translated" if row.seen
                                                     else "translated"))
    return problems


def main():
    started = time.monotonic()
    words = [w for w in sys.argv[1:] if w != "--no-build"]
    unknown = [w for w in words if w not in BOOTS]
    if unknown:
        raise report.Failure("no boot %s; there are: %s" % (unknown[0], " ".join(BOOTS)))
    guest_vm.qemu_version()
    names = words or list(BOOTS)
    if "--no-build" not in sys.argv:
        flavours = {BOOTS[name][0] for name in names}
        guest_expect.build(*[["kernel.sh", f] for f in ("ours", "stock", "modular")
                             if f in flavours],
                           ["initramfs.sh"],
                           *([["initramfs.sh", "modular"]] if "modular" in flavours else []))

    skipped, guests = {}, {}
    with report.Progress() as progress:
        for name in names:
            kernel, iommu, _, append = BOOTS[name]
            machine = machine_of(name)
            reason = machine.missing()
            if not reason and name.startswith("vfio") and "edu" not in guest_vm.qemu_devices():
                reason = "%s has no edu device to give to VFIO" % guest_vm.QEMU
            if reason:
                skipped[name] = reason
                continue
            trace = ["vtd_iotlb_page_update"] if iommu.startswith("intel") else []
            guests[name] = guest_vm.Guest(
                "matrix-" + name, guest_vm.kernel_image(kernel),
                guest_vm.initramfs("modular" if kernel == "modular" else "plain"),
                machine, append, command_of(name), 300, trace, progress)
        report.say("matrix: %d boots for %d rows"
                   % (len(guests), sum(r.boot in names for r in ROWS)))
        results = dict(zip(guests, guest_vm.boot_all(guests.values())))

    for name, result in results.items():
        if "vhost-user-access" in name and refused(result):
            skipped[name] = refused(result)
    for name, result in results.items():
        if name not in skipped:
            for problem in result.problems:
                report.say("boot %s: %s" % (name, problem))
    table, values, counts = [], [], {"PASS": 0, "FAIL": 0, "SKIP": 0}
    notes = []
    for row in ROWS:
        if row.boot not in names:
            continue
        problems, reason = [], skipped.get(row.boot)
        if not reason:
            problems = judge(row, guests[row.boot], results[row.boot])
        verdict = "SKIP" if reason else "FAIL" if problems else "PASS"
        counts[verdict] += 1
        if row.seen is None:
            seen = "-"
        else:
            seen = "translated" if row.seen else "untranslated"
        table.append([row.guest, row.text, row.iommu, row.device, row.expect.group,
                      row.expect.access, seen, verdict])
        for note in [reason] if reason else problems:
            notes.append((verdict, row.boot, row.device, note))
        values.append({"guest": row.guest, "text": row.text, "iommu": row.iommu,
                       "boot": row.boot, "device": row.device, "verdict": verdict,
                       "group": row.expect.group, "dma_access": row.expect.access,
                       "translated_by_qemu": row.seen, "notes": [reason] if reason else problems})
    for line in report.format_table(
            ["guest", "device", "IOMMU in guest", "instance", "group", "dma_access", "QEMU saw it",
             "result"], table):
        report.say(line)
    for note in dict.fromkeys(notes):
        report.say("%s %s, %s: %s" % note)
    if "FAIL" in {n[0] for n in notes}:
        report.say("logs: %s/matrix-*.log" % report.LOGS)
    report.write_json(report.BUILD + "/matrix.json", {
        "rows": values, "seconds": round(time.monotonic() - started, 1),
        "passed": counts["PASS"], "failed": counts["FAIL"], "skipped": counts["SKIP"]})
    report.say("%d passed, %d failed, %d skipped" % (
        counts["PASS"], counts["FAIL"], counts["SKIP"]))
    return 1 if counts["FAIL"] or not counts["PASS"] else 0


if __name__ == "__main__":
    report.main_guard(main)

# SPDX-License-Identifier: GPL-2.0-only
"""A guest's table of devices held against what was expected of it."""

import subprocess
from dataclasses import dataclass

from lib import report
from lib.guest.machine import NOT_VIRTIO, Machine

# The features that the table of a reader shows; JSON has all of them.
SHOWN = ("ACCESS_PLATFORM", "VERSION_1", "legacy", "RING_PACKED")
HEADER = ["device", "driver", "features", "IOMMU group", "dma_access", "data check"]


@dataclass
class Expect:
    """What one device of one boot must show.  irq: msi or intx, None if it does
    not matter."""
    group: str
    access: str
    data: str = "ok"
    irq: object = None


def features_wrong(device, features):
    """What is wrong with the negotiated features, or None."""
    wanted = {
        "ACCESS_PLATFORM": device.access,
        "VERSION_1": device.mode != "legacy",
        "legacy": device.mode == "legacy",
        "RING_PACKED": device.packed,
    }
    # Off only where it was asked for, and on unless the device has no use for it.
    for option, name in (("indirect_desc=off", "INDIRECT_DESC"), ("event_idx=off", "EVENT_IDX"),
                         ("in_order=on", "IN_ORDER")):
        if option in device.options.split(","):
            wanted[name] = option.endswith("=on")
    return next(("%s %s negotiated" % (name, "not" if present else "must not be")
                 for name, present in wanted.items() if (name in features) != present), None)


def rings_wrong(device, rings, cpus):
    """What is wrong with the virtqueues of a device of a guest with so many CPUs,
    against the options that QEMU was given, or None."""
    options = dict(word.partition("=")[::2] for word in device.options.split(",") if word)
    name, prefix = device.known().get("size", ("", ""))
    if name in options:
        sized = [r for r in rings if r.name.startswith(prefix)]
        other = [r for r in sized if r.size != int(options[name])]
        if not sized:
            return "no virtqueue is called %s*" % prefix
        if other:
            return "virtqueue %s has %d entries, expected %s" % (
                other[0].name, other[0].size, options[name])
    name, prefix = device.known().get("queues", ("", ""))
    number = device.queues if name == "queues" else int(options.get(name, 1))
    if number > 1:
        used = [r for r in rings if r.name.startswith(prefix) and r.requests]
        if len(used) != min(number, cpus):
            return "%d virtqueues %s* were used, expected %d" % (
                len(used), prefix, min(number, cpus))
    if options.get("indirect_desc") == "off" and any(r.tables for r in rings):
        return "indirect tables written, not negotiated"
    return None


def compare(device, expect, row, cpus=Machine.smp):
    """Problems of one device, none if all is as expected."""
    if row is None:
        return ["%s (%s): not in the guest" % (device.id, device.pci())]
    problems = []
    for what, wanted, found in (("driver", device.known().get("driver", "virtio_" + device.kind),
                                 row.driver),
                                ("IOMMU group", expect.group, row.group),
                                ("dma_access", expect.access, row.access),
                                ("interrupt", expect.irq or row.irq, row.irq)):
        if wanted != found:
            problems.append("%s is %s, expected %s" % (what, found, wanted))
    if device.kind not in NOT_VIRTIO:
        problems += filter(None, [features_wrong(device, row.features)])
        if row.rings:
            problems += filter(None, [rings_wrong(device, row.rings, cpus)])
        elif expect.access != "-":
            problems.append("the kernel tells of no virtqueues")
    if row.data.split(" ")[0].rstrip(":") != expect.data:
        problems.append("data check: " + row.data)
    return ["%s: %s" % (device.id, problem) for problem in problems]


def judge(machine, expects, rows):
    """(rows of a table, colours, problems, JSON) of one boot; expects maps the
    id of a device to its Expect."""
    found = {row.pci: row for row in rows}
    table, colours, problems, values = [], {}, [], []
    for device in machine.devices:
        row, expect = found.pop(device.pci(), None), expects[device.id]
        wrong = compare(device, expect, row)
        problems += wrong
        if row is None:
            table.append([device.id, "-", "-", "-", "-", "FAIL not in the guest"])
            continue
        table.append([device.id, row.driver, " ".join(f for f in row.features if f in SHOWN),
                      row.group, row.access, row.data])
        for column, right in ((3, expect.group == row.group), (4, expect.access == row.access)):
            colours[(len(table) - 1, column)] = "green" if right else "red"
        values.append({"device": device.id, "pci": row.pci, "driver": row.driver,
                       "features": row.features, "group": row.group, "dma_access": row.access,
                       "data": row.data, "as_expected": not wrong})
    problems += ["%s at %s: a device that nothing was expected of" % (row.dev, row.pci)
                 for row in found.values() if row.driver != "virtio_iommu"]
    return table, colours, problems, values


def build(*scripts):
    """Run scripts one after the other, as the words of each say."""
    for words in scripts:
        if finish([report.ROOT + "/scripts/" + words[0], *words[1:]]) != 0:
            raise report.Failure("scripts/%s failed" % " ".join(words))


def finish(words, env=None):
    """Run a script to its end, which is to be soon if something else ends us: it ends
    its own children.  Returns its exit status."""
    script = subprocess.Popen(words, env=env)   # pylint: disable=R1732
    try:
        return script.wait()
    except BaseException:
        script.terminate()
        script.wait()
        raise

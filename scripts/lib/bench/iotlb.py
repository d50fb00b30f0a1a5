# SPDX-License-Identifier: GPL-2.0-only
"""Counts what a back end in another process must ask of the IOMMU for a packet: a
vhost-user NIC, whose every translation is a message to QEMU and one back, and
whose every unmapping is a message that it has to obey."""

import re

from lib import report, trace
from lib.bench import figures, guest, plan
from lib.guest import vm
from lib.guest.vm import Device, Machine

# A kernel and a mode of it.  Not lazy: told to forget all, DPDK (22.11) adds a size
# to an address, has 0, and forgets nothing; stock's packets go wrong with that.
ROWS = (("stock", "pt"), ("ours", "pt"), ("stock", "strict"), ("ours", "strict"),
        ("ours", "strict, bounce_max=0"))
QUICK_ROWS = (("stock", "strict"), ("ours", "strict"))
# Frames that go out and come back: BYTES, and how many, a lap of the ring at least.
CELLS = (("echo-60", 256), ("echo-1514", 256))

# What QEMU's trace has of a miss that it was told of, of a message to the back end
# about its IOTLB (number 22 of the vhost-user protocol), and of what the guest
# invalidates.
MISS = re.compile(r"vhost_iotlb_miss \S+ step 1$")
MESSAGE = re.compile(r"vhost_user_write req:22 ")
EVENTS = ("vhost_iotlb_miss", "vhost_user_write") + trace.INVALIDATIONS["intel"]
FIGURES = ("misses", "invalidations_sent", "invalidations", "maps", "unmaps")


def parse_trace(lines):
    """Misses of the back end, each of which is answered by a message, the other
    messages to it, and invalidations by the guest."""
    misses = sum(bool(MISS.search(line)) for line in lines)
    messages = sum(bool(MESSAGE.search(line)) for line in lines)
    if messages < misses:
        raise report.Failure("QEMU answered %d of the %d misses of the back end"
                             % (messages, misses))
    return {"misses": misses, "invalidations_sent": messages - misses,
            "invalidations": trace.invalidations(lines, "intel")}


def machine():
    """A NIC of another process behind an IOMMU whose invalidations reach it as PCIe
    has it, by address translation services."""
    nic = Device("vhost-user-net", "echo", access=True, options="ats=on", bus="port")
    return Machine("intel", [nic], iommu_options="device-iotlb=on")


def _guest(kernel, mode, progress):
    counter = guest.Counter(lambda _: EVENTS, lambda lines, _: parse_trace(lines))
    counter.guest = vm.Guest(
        machine=machine(), **guest.settings(("iotlb", kernel, mode), kernel, mode,
                                            ["count:%s:%d" % one for one in CELLS], progress),
        serve={"begin": counter.begin, "end": counter.end, "over": lambda _: "nobody waits"})
    return counter


def measure(quick, progress):
    """{(kernel, mode, cell): figures a frame}."""
    found, rows = {}, QUICK_ROWS if quick else ROWS
    counters = [_guest(kernel, mode, progress) for kernel, mode in rows]
    results = vm.boot_all([counter.guest for counter in counters])
    for (kernel, mode), counter, result in zip(rows, counters, results):
        _, _, counts = guest.parse_output(guest.checked(counter.guest, result).output)
        for cell, frames in CELLS:
            seen = {**counts[cell], **counter.cells[cell]}
            found[kernel, mode, cell] = {"frames": frames, **{
                name: seen[name] / frames for name in FIGURES}}
        progress.line("bench: IOTLB of another process, %s, %s" % (kernel, mode))
    return found


def headlines(counted):
    """Lines as those of figures.headlines()."""
    lines = []
    for cell, _ in CELLS:
        ours, stock = (counted.get((kernel, "strict", cell)) for kernel in ("ours", "stock"))
        for what in FIGURES[:2] if ours and stock else ():
            lines.append({"name": "vhost-user: %s per %s, strict" % (
                              what.replace("_", " "), plan.NAMES[cell]),
                          "unit": what, "ours": ours[what], "stock": stock[what],
                          "ratio": ours[what] / stock[what] if stock[what] else None})
    return lines


def table(counted):
    """Stock beside ours, a row a mode."""
    modes = dict.fromkeys(mode for _, mode in ROWS)
    return figures.beside(
        ["a frame there and back", "mode"], FIGURES,
        (([plan.NAMES[cell], mode], counted.get(("ours", mode, cell)),
          counted.get(("stock", figures.plain_mode(mode), cell)))
         for cell, _ in CELLS for mode in modes if ("ours", mode, cell) in counted))

# SPDX-License-Identifier: GPL-2.0-only
"""What make bench measures, where, and how often: rows, no code that runs."""

from dataclasses import dataclass

KERNELS = ("ours", "stock")
IOMMUS = ("intel", "amd", "virtio", "none")

# Stock translates unasked, lazily, and knows no iommu=on; ours passes through
# unasked.  A mode that stock cannot tell from another is left out of it: its
# lazy is its default.
APPEND = {
    ("stock", "default"): "",
    ("stock", "pt"): "iommu=pt",
    ("stock", "strict"): "iommu.strict=1",
    ("stock", "physical"): "",
    ("stock", "bounced"): "iommu=pt swiotlb=force",
    ("ours", "default"): "",
    ("ours", "physical"): "",
    ("ours", "bounced"): "iommu=pt swiotlb=force",
    ("ours", "pt"): "iommu=pt",
    ("ours", "lazy"): "iommu=on",
    ("ours", "strict"): "iommu=on iommu.strict=1",
    ("ours", "strict, bounce_max=0"): "iommu=on iommu.strict=1 virtio_ring.bounce_max=0",
}
SAME = {("stock", "lazy"): ("stock", "default")}

# Timed: RW-BLOCK-DEPTH as fio has it, and the network.
ALL_CELLS = ("randread-4k-1", "randread-4k-32", "randwrite-4k-1", "randwrite-4k-32",
             "read-512k-1", "read-1m-1", "write-512k-1", "write-1m-1", "stream", "rr")
FEW_CELLS = ("randread-4k-1", "randread-4k-32", "read-1m-1", "stream", "rr")
NET_CELLS = ("stream", "rr")
# Not fio's either: two processes read, each by a queue of its CPU, which shows what locks
# queues have in common.
BOTH = "both"
OWN_CELLS = NET_CELLS + (BOTH,)
# Those whose data is copied, unless bounce_max says that it be mapped.
COPIED_CELLS = ("randread-4k-1", "randwrite-4k-1", "rr")

# Counted: READ-OR-WRITE-BLOCK-DEPTH from scattered pages, packets sent, and
# milliseconds of the network's cells, whose requests are sends of 64 KiB and round trips.
TSO = "send-65214"      # 45 segments of 1,448 bytes in one packet
ALL_COUNTS = (("read-4096-1", 300), ("read-4096-32", 600), ("write-4096-1", 300),
              ("read-524288-1", 60), ("write-524288-1", 60), ("read-1048576-1", 40),
              ("send-1514", 300), (TSO, 200), ("stream", 1000), ("rr", 1000))
FEW_COUNTS = (("read-4096-1", 300), ("read-524288-1", 60), ("send-1514", 300), (TSO, 100),
              ("stream", 1000), ("rr", 1000))

NAMES = {
    "randread-4k-1": "4 KiB random read, depth 1",
    "randread-4k-32": "4 KiB random read, depth 32",
    "randwrite-4k-1": "4 KiB random write, depth 1",
    "randwrite-4k-32": "4 KiB random write, depth 32",
    "read-512k-1": "512 KiB read", "read-1m-1": "1 MiB read",
    "write-512k-1": "512 KiB write", "write-1m-1": "1 MiB write",
    BOTH: "4 KiB random read, depth 32, two processes",
    "stream": "TCP stream", "rr": "TCP request/response",
    "read-4096-1": "4 KiB read", "read-4096-32": "4 KiB read, depth 32",
    "write-4096-1": "4 KiB write", "write-4096-32": "4 KiB write, depth 32",
    "read-524288-1": "512 KiB read, scattered",
    "write-524288-1": "512 KiB write, scattered",
    "read-1048576-1": "1 MiB read, scattered",
    "send-1514": "packet of 1,500 bytes", TSO: "packet of 64 KiB (TSO)",
    "echo-60": "packet of 46 bytes", "echo-1514": "packet of 1,500 bytes",
}
IOMMU_NAMES = {"intel": "intel-iommu", "amd": "amd-iommu", "virtio": "virtio-iommu",
               "none": "no IOMMU"}


@dataclass(frozen=True)
class Row:
    """A kernel in a mode behind a vIOMMU: cells that are timed, in how many
    boots, whether dd is, and what is counted in the first of them."""
    iommu: str
    kernel: str
    mode: str
    cells: tuple
    boots: int
    dd: bool
    counts: tuple


def rows(quick):
    """The rows of a run, those that are compared next to each other."""
    plan = []
    few, boots = (FEW_CELLS, 1) if quick else (ALL_CELLS, 3)
    for mode in ("default", "pt", "strict"):
        for kernel in KERNELS:
            counts = ALL_COUNTS if not quick else FEW_COUNTS if mode == "strict" else ()
            plan.append(Row("intel", kernel, mode, few, boots, True, counts))
    if not quick:
        plan.append(Row("intel", "ours", "lazy", few, 1, False, ALL_COUNTS))
    mapped = () if quick else COPIED_CELLS
    plan.append(Row("intel", "ours", "strict, bounce_max=0", mapped, 2, False,
                    FEW_COUNTS if quick else ALL_COUNTS))
    for iommu in ("amd", "virtio"):
        cells, boots = (("randread-4k-1", "read-1m-1"), 1) if quick else (FEW_CELLS, 2)
        plan.append(Row(iommu, "stock", "pt", cells, boots, False, ()))
        plan.append(Row(iommu, "ours", "strict", cells, boots, False, FEW_COUNTS))
        if quick:
            continue
        mapped = tuple(cell for cell in COPIED_CELLS if cell in cells)
        plan.append(Row(iommu, "ours", "strict, bounce_max=0", mapped, boots, False, ()))
        plan.append(Row(iommu, "stock", "strict", cells, boots, False, FEW_COUNTS))
        plan.append(Row(iommu, "ours", "default", cells, boots, False, FEW_COUNTS))
        plan.append(Row(iommu, "stock", "default", (), 1, False, FEW_COUNTS))
        plan.append(Row(iommu, "ours", "lazy", (), 1, False, FEW_COUNTS))
    # Devices without ACCESS_PLATFORM, and those whose every buffer swiotlb copies.
    for mode in ("physical", "bounced"):
        for kernel in KERNELS:
            plan.append(Row("none", kernel, mode, few + (BOTH,), 1 if quick else 3, False,
                            FEW_COUNTS if quick else ALL_COUNTS))
    return plan


# Instructions: modes of a boot behind intel-iommu, and the name of what the
# module measures there with ACCESS_PLATFORM and without.
INSTRUCTIONS = (
    ("stock", "pt", "identity", "physical"),
    ("ours", "pt", "identity", "physical"),
    ("stock", "strict", "strict", None),
    ("ours", "strict", "strict", None),
    ("ours", "strict, bounce_max=0", "strict, bounce_max=0", None),
    ("stock", "bounced", "bounced", None),
    ("ours", "bounced", "bounced", None),
)

# The whole guest, in instructions: (vIOMMU, mode), which are booted with both kernels,
# and the cells, as those that are counted.
BUSY = (("none", "physical"), ("none", "bounced"), ("intel", "default"), ("intel", "pt"),
        ("intel", "strict"))
BUSY_CELLS = (("read-4096-1", 500), ("read-4096-32", 1000), ("write-4096-32", 1000),
              ("read-1048576-1", 60), ("stream", 250), ("rr", 150))


def busy_rows(iommus):
    """(vIOMMU, kernel, mode) of each boot that BUSY asks for behind these vIOMMUs."""
    return [(iommu, kernel, mode) for iommu, mode in BUSY if iommu in iommus
            for kernel in KERNELS]


# Those by which virtio-iommu's own queue is told from the device's.
OWN_QUEUE = ("virtio_iommu_map", "virtio_iommu_unmap")
QUEUES = ("virtqueue_fill", "virtqueue_pop")
# The driver's to the device, and the device's interrupts.
NOTIFICATIONS = ("virtio_queue_notify", "virtio_notify")

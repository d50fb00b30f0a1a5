# SPDX-License-Identifier: GPL-2.0-only
"""What make bench measures, where, and how often, of scripts/bench.toml."""

from dataclasses import dataclass

from lib import tables

TABLE = tables.load("bench")
KERNELS = ("ours", "stock")
IOMMU_NAMES, NAMES = TABLE["iommus"], TABLE["names"]
IOMMUS = tuple(IOMMU_NAMES)

APPEND = {(kernel, mode): append for kernel, modes in TABLE["append"].items()
          for mode, append in modes.items()}
SAME = {("stock", "lazy"): ("stock", "default")}

CELLS = {name: tuple(cells) for name, cells in TABLE["cells"].items()}
ALL_CELLS, FEW_CELLS, NET_CELLS, COPIED_CELLS = map(CELLS.get, ("all", "few", "net", "copied"))
OWN_CELLS = NET_CELLS + CELLS["both"]
COUNTS = {name: tuple(map(tuple, counts)) for name, counts in TABLE["counts"].items()}
ALL_COUNTS = COUNTS["all"]
TSO = "send-65214"

INSTRUCTIONS = TABLE["instructions"]["in"]
BUSY, BUSY_CELLS = (tuple(map(tuple, TABLE["busy"][what])) for what in ("in", "cells"))

# Those by which virtio-iommu's own queue is told from the device's.
OWN_QUEUE = ("virtio_iommu_map", "virtio_iommu_unmap")
QUEUES = ("virtqueue_fill", "virtqueue_pop")
# The driver's to the device, and the device's interrupts.
NOTIFICATIONS = ("virtio_queue_notify", "virtio_notify")


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
    """The rows of a run, those of a vIOMMU together."""
    plan = []
    for row in TABLE["row"]:
        iommus, kernel, mode = row["in"]
        cells, boots, counts = row.get("quick" if quick else "full", (None, 0, None))
        plan += [Row(iommu, kernel, mode, sum(map(CELLS.get, cells), ()), boots,
                     row.get("dd", False), COUNTS[counts]) for iommu in iommus if boots]
    return sorted(plan, key=lambda row: IOMMUS.index(row.iommu))


def busy_rows(iommus):
    """(vIOMMU, kernel, mode) of each boot that BUSY asks for behind these vIOMMUs."""
    return [(iommu, kernel, mode) for iommu, mode in BUSY if iommu in iommus
            for kernel in KERNELS]

# SPDX-License-Identifier: GPL-2.0-only
"""From single runs to figures: medians with their spread, what a request
takes, ratios of ours to stock, and the tables of them."""

import itertools
import statistics

from lib.bench import plan

NAMES, IOMMU_NAMES = plan.NAMES, plan.IOMMU_NAMES
PER_REQUEST = ("maps", "unmaps", "dma_maps", "dma_unmaps", "bounces", "invalidations",
               "iotlb_misses", "descriptors", "vectors", "notifications", "interrupts")


def spread(values):
    """Median, least and largest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "values": list(values)}


def summarise(timed):
    """Figures of the runs of one cell in one row."""
    return {"runs": len(timed),
            "us": spread([1e6 * t.seconds for t in timed]),
            "mb_s": spread([t.mb_s for t in timed])}


def per_request(counts):
    """Counts of one cell in one row, divided by its requests."""
    requests = counts["requests"]
    return {"requests": requests,
            **{name: counts[name] / requests if counts.get(name) is not None else None
               for name in PER_REQUEST}}


def add_descriptors(counted):
    """Descriptors of stock, which does not count them itself: it maps each of
    them in a call of its own, the indirect table's too."""
    for (_, kernel, _, _), one in counted.items():
        if kernel == "stock" and one["descriptors"] is None:
            one["descriptors"] = one["maps"] if one["dma_maps"] is None else one["dma_maps"]


def ratio(ours, stock):
    """Of two spreads.  Runs that followed one another by turns are compared with
    one another, for they had the same host; the median of that stands for all."""
    pairs = list(zip(ours["values"], stock["values"]))
    if len(ours["values"]) != len(stock["values"]) or not all(s for _, s in pairs):
        return ours["median"] / stock["median"] if stock["median"] else None
    return statistics.median(o / s for o, s in pairs)


def plain_mode(mode):
    """The mode that stock has of one of ours with another parameter."""
    return mode.partition(",")[0]


def resolve(kernel, mode):
    """The row that stands for a mode of a kernel."""
    return plan.SAME.get((kernel, mode), (kernel, mode))


# --- the figures that the acceptance asks for -------------------------------

def _us(timed, iommu, kernel, mode, cell):
    one = timed.get((iommu, kernel, mode, cell))
    return one and one["us"]


def headlines(timed, counted, dd, busy):
    """[name, ours, stock, ratio]: each of ours beside what it is held against;
    None where a run did not measure it."""
    lines = []

    def times(name, ours, stock, unit):
        if ours and stock:
            lines.append({"name": name, "unit": unit, "ours": ours["median"],
                          "ours_spread": [ours["min"], ours["max"]], "stock": stock["median"],
                          "stock_spread": [stock["min"], stock["max"]],
                          "ratio": ratio(ours, stock)})

    def counts(name, ours, stock, what):
        if ours and stock and None not in (ours[what], stock[what]):
            lines.append({"name": name, "unit": what, "ours": ours[what], "stock": stock[what],
                          "ratio": ours[what] / stock[what] if stock[what] else None})

    for mode in ("default", "pt"):
        times("dd, 4 KiB reads, %s against stock's %s" % (mode, mode),
              dd.get(("ours", mode)), dd.get(("stock", mode)), "s")
    times("dd, 4 KiB reads, strict against stock's pt", dd.get(("ours", "strict")),
          dd.get(("stock", "pt")), "s")
    for iommu in plan.IOMMUS:
        for cell in ("randread-4k-1", "read-1m-1"):
            times("%s, %s, strict against stock's pt" % (IOMMU_NAMES[iommu], NAMES[cell]),
                  _us(timed, iommu, "ours", "strict", cell),
                  _us(timed, iommu, "stock", "pt", cell), "us")
    for iommu in plan.IOMMUS:
        for cell in plan.COPIED_CELLS:
            times("%s, %s, copied against mapped, both ours" % (IOMMU_NAMES[iommu], NAMES[cell]),
                  _us(timed, iommu, "ours", "strict", cell),
                  _us(timed, iommu, "ours", "strict, bounce_max=0", cell), "us")
    for iommu, mode in plan.BUSY:
        for cell, _ in plan.BUSY_CELLS:
            counts("the whole guest, %s, %s, %s" % (NAMES[cell], IOMMU_NAMES[iommu], mode),
                   *(busy.get((iommu, kernel, mode, cell)) for kernel in plan.KERNELS),
                   "instructions")
    for cell, _ in plan.ALL_COUNTS:
        counts("swiotlb allocations per %s" % NAMES[cell],
               *(counted.get(("none", kernel, "bounced", cell)) for kernel in plan.KERNELS),
               "bounces")
    for mode in ("strict", "strict, bounce_max=0"):
        for cell, what in (("read-4096-1", "invalidations"), ("read-524288-1", "invalidations"),
                           ("send-1514", "maps"), (plan.TSO, "maps"),
                           ("send-1514", "dma_maps"), (plan.TSO, "dma_maps")):
            counts("%s per %s, %s" % (what, NAMES[cell], mode),
                   counted.get(("intel", "ours", mode, cell)),
                   counted.get(("intel", "stock", "strict", cell)), what)
    return lines


# --- tables -----------------------------------------------------------------

def number(value, digits=2):
    """A figure as a table shows it; - for one that there is not."""
    if value is None:
        return "-"
    if digits == 0 or abs(value) >= 1000:
        return "{:,.0f}".format(value)
    return "%.*f" % (digits if abs(value) < 100 else 1, value)


def between(one, scale=1.0):
    return "%s-%s" % (number(one["min"] * scale), number(one["max"] * scale))


def headline_table(lines):
    header = ["", "unit", "ours", "spread", "stock", "spread", "ours/stock"]
    rows = []
    for line in lines:
        cells = [line["name"], line["unit"].replace("_", " ")]
        for kernel in plan.KERNELS:
            cells += [number(line[kernel]), "-".join(map(number, line[kernel + "_spread"]))
                      if kernel + "_spread" in line else "counted"]
        rows.append(cells + [number(line["ratio"])])
    return header, rows


def pairs(found, cells):
    """(vIOMMU, cell, mode, ours, stock's in the same mode) of what has either, in the
    order of a table."""
    for iommu, cell, mode in itertools.product(
            plan.IOMMUS, cells, ("physical", "bounced", "default", "pt", "lazy", "strict",
                                 "strict, bounce_max=0")):
        yield (iommu, cell, mode, found.get((iommu, "ours", mode, cell)),
               found.get((iommu,) + resolve("stock", plain_mode(mode)) + (cell,)))


def timed_table(timed):
    """Ours beside stock in the same mode, and both against stock's pt."""
    header = ["vIOMMU", "cell", "mode", "ours us", "spread", "stock us", "spread",
              "ours/stock", "ours/stock pt", "ours MB/s", "stock MB/s"]
    rows = []
    for iommu, cell, mode, ours, stock in pairs(timed, plan.ALL_CELLS + plan.CELLS["both"]):
        if not ours and (iommu, "stock", mode, cell) not in timed:
            continue
        plain = timed.get((iommu, "stock", "pt", cell))
        row = [IOMMU_NAMES[iommu], NAMES[cell], mode]
        for one in (ours, stock):
            row += [number(one["us"]["median"]), between(one["us"])] if one else ["-", "-"]
        row += [number(ours and one and ratio(ours["us"], one["us"])) for one in (stock, plain)]
        row += [number(one and one["mb_s"]["median"]) for one in (ours, stock)]
        rows.append(row)
    return header, rows


def beside(header, columns, rows):
    """A table of (first cells, ours, stock): each of the columns of both."""
    for what in columns:
        header += [what.replace("_", " ") + " ours", "stock"]
    return header, [[*first, *(number(one and one[what]) for what in columns
                               for one in (ours, stock))] for first, ours, stock in rows]


def counted_table(counted):
    return beside(
        ["vIOMMU", "request", "mode"],
        ("maps", "unmaps", "dma_maps", "bounces", "invalidations", "iotlb_misses",
         "descriptors", "notifications", "interrupts"),
        (([IOMMU_NAMES[iommu], NAMES[cell], mode], ours, stock)
         for iommu, cell, mode, ours, stock in pairs(counted, [c for c, _ in plan.ALL_COUNTS])
         if ours or (stock and mode == "pt")))


def instruction_table(cases):
    """Instructions of an add and a get, ours beside stock."""
    header = ["mode", "ring", "segments", "bytes", "ours add", "get", "both", "stock add", "get", "both",
              "ours/stock"]
    rows = []
    for (mode, layout, segments, size), kernels in cases.items():
        if "ours" not in kernels:
            continue
        ours = kernels["ours"]
        stock = kernels.get("stock")
        row = [mode, layout, segments, size]
        for one in (ours, stock):
            row += [number(one[k], 0) for k in ("add", "get", "both")] if one else ["-"] * 3
        row.append(number(ours["both"] / stock["both"]) if stock else "-")
        rows.append(row)
    return header, rows


def gather_instructions(found):
    """{(mode, layout, segments, bytes): {kernel: case}} of [(kernel, mode, case)].  What
    stock does in strict is what ours with another parameter is held against."""
    cases = {}
    for kernel, mode, case in found:
        one = {**case, "both": case["add"] + case["get"],
               "both_max": case["add_max"] + case["get_max"]}
        key = case["layout"], case["segments"], case["bytes"]
        cases.setdefault((mode,) + key, {})[kernel] = one
    for (mode, *key), kernels in cases.items():
        base = cases.get((plain_mode(mode), *key), {})
        if "stock" not in kernels and "stock" in base:
            kernels["stock"] = base["stock"]
    return cases

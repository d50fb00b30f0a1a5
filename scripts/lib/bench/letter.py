# SPDX-License-Identifier: GPL-2.0-only
"""The figures as a block of text for a mail or a cover letter: tables of what ours
takes, divided by what stock takes, in lines of at most 75 columns."""

from lib.bench import figures, plan

# As short as a column of a mail.
CELLS = {"randread-4k-1": "4K read", "randread-4k-32": "4K rd 32", "randwrite-4k-32": "4K wr 32",
         "read-1m-1": "1M read", "stream": "stream", "rr": "TCP rr", "read-4096-1": "4K read",
         "read-4096-32": "4K rd 32", "write-4096-32": "4K wr 32", "read-1048576-1": "1M read",
         "read-524288-1": "512K rd", "send-1514": "1514 B", "send-65214": "64K TSO"}


def _table(title, rows):
    """Lines: @title, and rows of {column: figure or None} by name; nothing of nothing."""
    rows = {name: row for name, row in rows.items() if any(v is not None for v in row.values())}
    columns = list(dict.fromkeys(c for row in rows.values() for c in row))
    if not rows:
        return []
    width = max(20, *map(len, rows))
    return ["", title, "", " " * width + "".join("%9s" % c for c in columns)] + [
        name.ljust(width) + "".join("%9s" % figures.number(row.get(c)) for c in columns)
        for name, row in rows.items()]


def _by_cell(found, iommu, mode, cells, what):
    """{cell: ours/stock} of figures that are kept by IOMMU, kernel, mode and cell."""
    row = {}
    for cell in cells:
        ours, stock = (found.get((iommu, kernel, mode, cell)) for kernel in plan.KERNELS)
        row[CELLS[cell]] = what(ours, stock) if ours and stock else None
    return row


def text(about, timed, counted, busy, instructions):
    """The block; @about is a line that says what was measured where."""
    add, each, pairs = {}, {}, dict.fromkeys((i, m) for i, _, m, _ in timed)
    for (mode, layout, segments, size), one in instructions.items():
        if "ours" in one and "stock" in one:
            add.setdefault("%s, %s" % (mode, layout), {})["%dx%d" % (segments, size)] = \
                one["ours"]["both"] / one["stock"]["both"]
    for iommu, mode, what in (("intel", "strict", "invalidations"), ("none", "bounced", "bounces")):
        for kernel in reversed(plan.KERNELS):
            each["%s, %s" % (mode, kernel)] = {
                CELLS[cell]: counted.get((iommu, kernel, mode, cell), {}).get(what)
                for cell in ("read-4096-1", "read-524288-1", "send-1514", "send-65214")}
    lines = [about, "Ours divided by stock's, less is better, unless it says otherwise."]
    lines += _table("Instructions of an add and a get, segments x bytes", add)
    lines += _table("Instructions of the whole guest for a request", {
        "%s, %s" % pair: _by_cell(busy, *pair, [c for c, _ in plan.BUSY_CELLS], lambda ours, stock:
                                  ours["instructions"] / stock["instructions"])
        for pair in map(tuple, plan.BUSY)})
    lines += _table("Invalidations (strict) and swiotlb allocations (bounced) a request", each)
    lines += _table("Time of a request", {
        "%s, %s" % pair: _by_cell(timed, *pair, [c for c in CELLS if any(
            key[3] == c for key in timed)], lambda ours, stock: figures.ratio(ours["us"], stock["us"]))
        for pair in pairs})
    return "\n".join(lines) + "\n"

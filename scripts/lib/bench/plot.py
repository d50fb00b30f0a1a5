# SPDX-License-Identifier: GPL-2.0-only
"""Bars that a person understands at a glance, as SVG, of what bench.json has.
usage, from scripts/: python3 -m lib.bench.plot build/BASE/bench.json"""

import json
import sys
from dataclasses import dataclass, field

from lib import report, rows
from lib.bench import plan
from lib.bench.figures import number, resolve

SERIES = plan.TABLE["series"]
LOG_FLOOR = 0.1     # where the bars of a logarithmic axis begin; 0 has none


@dataclass
class Bar:
    """A value with its spread, if it has one, and what stands above it."""
    value: float
    low: float = None
    high: float = None
    label: str = ""


@dataclass
class Panel:
    """A chart: groups along the x axis, a bar of each series, {name: colour}, in each.
    bars maps (series, group) to a Bar.  line: where a line marks what is compared with,
    and its name."""
    title: str
    ylabel: str
    groups: list
    series: dict
    bars: dict = field(default_factory=dict)
    line: tuple = ()
    log: bool = False


def _panel(axes, panel):
    width = min(0.84 / len(panel.series), 0.38)
    line = panel.line[0] if panel.line else 0
    top = max([line] + [bar.high or bar.value for bar in panel.bars.values()])
    if panel.line:
        axes.axhline(line, color="#404040", linestyle="--", linewidth=1.2, label=panel.line[1])
    for s, (name, colour) in enumerate(panel.series.items()):
        for g, group in enumerate(panel.groups):
            bar = panel.bars.get((name, group))
            if not bar:
                continue
            x = g + (s - (len(panel.series) - 1) / 2) * width
            value = max(bar.value, LOG_FLOOR) if panel.log else bar.value
            axes.bar(x, value, width * 0.92, color=colour, label=name)
            if bar.low is not None:
                axes.vlines(x, bar.low, bar.high, color="#303030", linewidth=1.5)
            # Where it would lie on the line it stands above that.
            high, room = bar.high or value, (1 + bar.label.count("\n")) * top / 10
            axes.annotate(bar.label, (x, line if high < line < high + room else high), (0, 3),
                          textcoords="offset points", ha="center", va="bottom", fontsize=9,
                          bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5})
    axes.set_title(panel.title, fontsize=11)
    axes.set_ylabel(panel.ylabel)
    axes.set_xticks(range(len(panel.groups)), panel.groups)
    axes.set_xlim(-0.6, len(panel.groups) - 0.4)
    axes.set_yscale("log" if panel.log else "linear")
    axes.set_ylim(*(LOG_FLOOR, max(top, 1) * 8) if panel.log else (0, top * 1.3 or 1))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(axis="y", color="#d0d0d0")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def figure(title, panels):
    """The panels, one below the other, with one legend for all of them."""
    matplotlib = rows.need("matplotlib", "python3-matplotlib")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": title, "font.size": 10,
                                "font.family": ["DejaVu Sans", "sans-serif"]})
    drawn = rows.need("matplotlib.figure", "python3-matplotlib").Figure(
        figsize=(14, 0.9 + 3.2 * len(panels)), layout="constrained")
    drawn.suptitle(title, fontsize=13, x=0.01, ha="left")
    known = {}
    for axes, panel in zip(drawn.subplots(len(panels), squeeze=False)[:, 0], panels):
        _panel(axes, panel)
        for handle, name in zip(*axes.get_legend_handles_labels()):
            known.setdefault(name, handle)
    drawn.legend(known.values(), known, loc="outside upper right"
                 if matplotlib.__version_info__ >= (3, 7) else "upper right", ncols=len(known),
                 frameon=False)
    return drawn


# --- the three of make bench ------------------------------------------------

def _short(cell):
    return plan.TABLE["short"].get(cell, plan.NAMES[cell].replace("B ", "B\n"))


def time_panels(timed):
    """Time of a request in each mode as a multiple of stock's with iommu=pt."""
    panels = []
    for iommu in plan.IOMMUS:
        groups, bars = [], {}
        for cell in plan.ALL_CELLS:
            plain = timed.get((iommu, "stock", "pt", cell))
            if not plain:
                continue
            group = _short(cell)
            groups.append(group)
            for name in SERIES["time"]:
                one = timed.get((iommu,) + resolve(*name.split(", ")) + (cell,))
                if one:
                    us, base = one["us"], plain["us"]["median"]
                    bars[name, group] = Bar(us["median"] / base, us["min"] / base,
                                            us["max"] / base, "%.2f" % (us["median"] / base))
        if groups:
            panels.append(Panel(plan.IOMMU_NAMES[iommu], "time, stock pt = 1", groups, {
                name: colour for name, colour in SERIES["time"].items()
                if any(key[0] == name for key in bars)}, bars, (1, "stock, iommu=pt")))
    return panels


def busy_panels(busy):
    """Instructions of the whole guest for a request, as a multiple of stock's."""
    groups, bars = [], {}
    for cell, _ in plan.BUSY_CELLS:
        group = _short(cell).replace(", ", "\n")
        for iommu, mode in plan.BUSY:
            name = next((name for name in SERIES["busy"] if mode in name), None)
            ours, stock = (busy.get((iommu, kernel, mode, cell)) for kernel in plan.KERNELS)
            if name and ours and stock:
                groups += [group] * (group not in groups)
                value = ours["instructions"] / stock["instructions"]
                bars[name, group] = Bar(value, label="%.2f" % value)
    return [Panel("the whole guest, all that runs while it is not idle", "ours / stock", groups,
                  SERIES["busy"], bars, (1, "stock"))] if groups else []


def count_panels(counted):
    """Invalidations and maps of a request in strict, behind intel-iommu."""
    kinds = {"stock": ("stock", "strict"), "ours": ("ours", "strict"),
             "ours, bounce_max=0": ("ours", "strict, bounce_max=0")}
    cells, panels = plan.TABLE["groups"], []
    for what, title in plan.TABLE["drawn"].items():
        bars = {(name, group): Bar(one[what], label=number(one[what], 1))
                for name, row in kinds.items() for cell, group in cells.items()
                for one in [counted.get(("intel",) + row + (cell,))] if one}
        groups = [g for g in cells.values() if any(k[1] == g for k in bars)]
        if groups:
            panels.append(Panel(title, "per request, log scale", groups, SERIES["count"], bars,
                                log=True))
    return panels


def instruction_panels(cases):
    """Instructions of an add and a get as a multiple of stock's."""
    panels = []
    for mode, title in plan.TABLE["titles"].items():
        bars = {}
        for segments, size in ((1, 256), (1, 4096), (4, 4096), (64, 4096)):
            group = "%d × %s" % (segments, "256 B" if size == 256 else "4 KiB")
            for layout in ("split", "packed"):
                kernels = cases.get((mode, layout, segments, size), {})
                if "ours" in kernels and "stock" in kernels:
                    ours, stock = (kernels[k]["both"] for k in ("ours", "stock"))
                    bars[layout + " ring", group] = Bar(ours / stock, label="%.2f\n(%s : %s)" % (
                        ours / stock, number(ours, 0), number(stock, 0)))
        if bars:
            panels.append(Panel(title, "ours / stock", list(dict.fromkeys(g for _, g in bars)),
                                SERIES["instructions"], bars, (1, "stock")))
    return panels


def _by(found, *names):
    return {tuple(row[name] for name in names): row for row in found}


def plot_all(values, folder=report.BUILD):
    """All plots of what bench.json has; their paths, none if matplotlib is not there."""
    try:
        rows.need("matplotlib", "python3-matplotlib")
    except report.Failure as error:
        report.say("no plots: %s" % error)
        return []
    row, paths = ("iommu", "kernel", "mode", "cell"), []
    for name, title, panels in (
            ("time", "Time per request against stock with iommu=pt (lower is better)",
             time_panels(_by(values["time"], *row))),
            ("requests", "What a request costs under strict translation, intel-iommu",
             count_panels(_by(values["count"], *row))),
            ("instructions", "Instructions per request, and per add and get of the ring",
             busy_panels(_by(values["busy"], *row)) + instruction_panels(_by(
                 values["instructions"], "mode", "layout", "segments", "bytes")))):
        if panels:
            paths.append("%s/bench-%s.svg" % (folder, name))
            figure(title, panels).savefig(paths[-1], metadata={"Date": None})
    return paths


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as found:
        print("\n".join(plot_all(json.load(found), sys.argv[1].rpartition("/")[0] or ".")))

# SPDX-License-Identifier: GPL-2.0-only
"""Bars that a person understands at a glance, drawn with gnuplot as SVG."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field

from lib import report
from lib.bench import plan
from lib.bench.figures import number, resolve

OURS, OURS_LIGHT, STOCK, STOCK_LIGHT = "#0060a8", "#7fb8e0", "#c05a00", "#f0b070"
FONT = "DejaVu Sans,Arial,sans-serif"


@dataclass
class Bar:
    """A value with its spread, if it has one, and what stands above it."""
    value: float
    low: float = None
    high: float = None
    label: str = ""


@dataclass
class Panel:
    """A chart: groups along the x axis, a bar of each series in each.  bars maps
    (series, group) to a Bar.  line: where a line marks what is compared with, and
    its name."""
    title: str
    ylabel: str
    groups: list
    series: list                            # (name, colour)
    bars: dict = field(default_factory=dict)
    line: tuple = ()
    log: bool = False


LOG_FLOOR = 0.1     # where the bars of a logarithmic axis begin; 0 has none


def quote(text):
    """A string for gnuplot; it may have several lines."""
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def panel_script(panel):
    """Gnuplot's commands for one panel."""
    width = min(0.84 / len(panel.series), 0.38)
    top = max([bar.high or bar.value for bar in panel.bars.values()] +
              [panel.line[0] if panel.line else 0])
    lines = ["unset label", "unset arrow", "set title %s noenhanced" % quote(panel.title),
             "set ylabel %s noenhanced" % quote(panel.ylabel),
             "set xrange [-0.6:%g]" % (len(panel.groups) - 0.4),
             "set xtics (%s) noenhanced" % ", ".join(
                 "%s %d" % (quote(name), i) for i, name in enumerate(panel.groups))]
    if panel.log:
        lines += ["set logscale y", "set yrange [%g:%g]" % (LOG_FLOOR, max(top, 1) * 8),
                  'set format y "%g"']
    else:
        lines += ["unset logscale y", "set yrange [0:%g]" % (top * 1.3 or 1),
                  'set format y "%g"']
    if panel.line:
        lines += ["set arrow from graph 0, first %g to graph 1, first %g nohead "
                  "lw 1.5 dt 2 lc rgb '#404040' front" % (panel.line[0], panel.line[0])]
    plots, data = [], []
    for s, (name, colour) in enumerate(panel.series):
        rows = []
        for g, group in enumerate(panel.groups):
            bar = panel.bars.get((name, group))
            if not bar:
                continue
            x = g + (s - (len(panel.series) - 1) / 2) * width
            value = max(bar.value, LOG_FLOOR) if panel.log else bar.value
            low, high = (bar.low, bar.high) if bar.low is not None else (value, value)
            rows.append((x, value, low, high))
            lines.append("set label %s at first %g, first %g center offset 0,%g front noenhanced"
                         " font ',11'" % (quote(bar.label), x, high,
                                          0.7 + 1.1 * bar.label.count("\n")))
        if not rows:
            continue
        block = "$d%d" % s
        data += [block + " << EOD"] + ["%g %g %g %g" % row for row in rows] + ["EOD"]
        plots.append("%s using 1:2:(%g) with boxes fs solid 0.9 noborder lc rgb '%s' title %s"
                     % (block, width * 0.92, colour, quote(name)))
        if any(row[2] != row[3] for row in rows):
            plots.append("%s using 1:3:(0):($4-$3) with vectors nohead lw 2 lc rgb '#303030' "
                         "notitle" % block)
    if panel.line:
        plots.append("1/0 with lines lw 1.5 dt 2 lc rgb '#404040' title %s"
                     % quote(panel.line[1]))
    return data + lines + ["plot " + ", ".join(plots)]


def draw(path, title, panels, width=1400, height=340):
    """Write the panels, one below the other, to an SVG file."""
    script = ["set terminal svg size %d,%d font '%s,13' background '#ffffff'"
              % (width, 40 + height * len(panels), FONT),
              "set output %s" % quote(path), "set encoding utf8",
              "set key above right horizontal Left reverse noenhanced samplen 1.5",
              "set lmargin 9", "set rmargin 3", "set bmargin 3.5",
              "set grid ytics lc rgb '#d0d0d0'", "set border 3", "set tics nomirror out",
              "set style fill solid",
              "set multiplot layout %d,1 title %s noenhanced font ',16'"
              % (len(panels), quote(title))]
    for panel in panels:
        script += panel_script(panel)
    script += ["unset multiplot", ""]
    done = subprocess.run(["gnuplot"], input="\n".join(script), text=True,
                          capture_output=True, check=False)
    if done.returncode or "error" in done.stderr.lower():
        raise report.Failure("gnuplot: %s" % next(
            (line for line in done.stderr.splitlines() if line.strip()), "failed"))


# --- the three of make bench ------------------------------------------------

def time_panels(timed):
    """Time of a request in each mode as a multiple of stock's with iommu=pt."""
    series = [("stock, default", STOCK_LIGHT), ("ours, default", OURS_LIGHT),
              ("stock, strict", STOCK), ("ours, strict", OURS)]
    panels = []
    for iommu in plan.IOMMUS:
        groups, bars = [], {}
        for cell in plan.ALL_CELLS:
            plain = timed.get((iommu, "stock", "pt", cell))
            if not plain:
                continue
            group = {"randread-4k-1": "4 KiB\nread", "randread-4k-32": "4 KiB read\ndepth 32",
                     "randwrite-4k-1": "4 KiB\nwrite", "randwrite-4k-32": "4 KiB write\ndepth 32",
                     "stream": "TCP\nstream", "rr": "TCP\nreq/resp"}.get(
                         cell, plan.NAMES[cell].replace("B ", "B\n"))
            groups.append(group)
            for name, _ in series:
                one = timed.get((iommu,) + resolve(*name.split(", ")) + (cell,))
                if one:
                    us, base = one["us"], plain["us"]["median"]
                    bars[name, group] = Bar(us["median"] / base, us["min"] / base,
                                            us["max"] / base, "%.2f" % (us["median"] / base))
        if groups:
            panels.append(Panel(plan.IOMMU_NAMES[iommu], "time, stock pt = 1", groups,
                                [s for s in series if any(k[0] == s[0] for k in bars)],
                                bars, (1, "stock, iommu=pt")))
    return panels


def count_panels(counted):
    """Invalidations and maps of a request in strict, behind intel-iommu."""
    series = [("stock", STOCK), ("ours", OURS), ("ours, bounce_max=0", OURS_LIGHT)]
    rows = {"stock": ("stock", "strict"), "ours": ("ours", "strict"),
            "ours, bounce_max=0": ("ours", "strict, bounce_max=0")}
    cells = {"read-4096-1": "4 KiB read", "read-524288-1": "512 KiB read,\nscattered pages",
             "send-1514": "packet of\n1,500 bytes", plan.TSO: "packet of\n64 KiB (TSO)"}
    panels = []
    for what, title in (("invalidations", "IOTLB invalidations per request"),
                        ("dma_maps", "DMA map calls per request"),
                        ("maps", "Page-table updates (iommu:map events) per request")):
        bars = {(name, group): Bar(one[what], label=number(one[what], 1))
                for name, row in rows.items() for cell, group in cells.items()
                for one in [counted.get(("intel",) + row + (cell,))] if one}
        groups = [g for g in cells.values() if any(k[1] == g for k in bars)]
        if groups:
            panels.append(Panel(title, "per request, log scale", groups, series, bars, log=True))
    return panels


def instruction_panels(cases):
    """Instructions of an add and a get as a multiple of stock's."""
    series = [("split ring", OURS), ("packed ring", OURS_LIGHT)]
    panels = []
    for mode, title in (("physical", "physical: no ACCESS_PLATFORM"),
                        ("identity", "identity: ACCESS_PLATFORM, iommu=pt"),
                        ("strict", "strict: ACCESS_PLATFORM, translated"),
                        ("strict, bounce_max=0", "strict, bounce_max=0")):
        groups, bars = [], {}
        for segments, size in ((1, 256), (1, 4096), (4, 4096), (64, 4096)):
            group = "%d × %s" % (segments, "256 B" if size == 256 else "4 KiB")
            for layout, name in (("split", "split ring"), ("packed", "packed ring")):
                kernels = cases.get((mode, layout, segments, size), {})
                if "ours" in kernels and "stock" in kernels:
                    ours, stock = (kernels[k]["both"] for k in ("ours", "stock"))
                    bars[name, group] = Bar(ours / stock, label="%.2f\n(%s : %s)" % (
                        ours / stock, number(ours, 0), number(stock, 0)))
            if any(k[1] == group for k in bars):
                groups.append(group)
        if groups:
            panels.append(Panel(title, "ours / stock", groups, series, bars, (1, "stock")))
    return panels


def plot_all(timed, counted, cases):
    """All plots; returns their paths, none if gnuplot is not there."""
    if not shutil.which("gnuplot"):
        report.say("no plots: gnuplot is missing (apt-get install gnuplot-nox)")
        return []
    paths = []
    for name, title, panels in (
            ("time", "Time per request against stock with iommu=pt (lower is better)",
             time_panels(timed)),
            ("requests", "What a request costs under strict translation, intel-iommu",
             count_panels(counted)),
            ("instructions", "Instructions per add and get, ours against stock",
             instruction_panels(cases))):
        if panels:
            path = os.path.join(report.BUILD, "bench-%s.svg" % name)
            draw(path, title, panels)
            paths.append(path)
    return paths

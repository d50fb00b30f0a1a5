# SPDX-License-Identifier: GPL-2.0-only
"""The results of make matrix as a table, as JSON, as JUnit XML and as a page."""

import html
import os
from xml.etree import ElementTree

from lib import report
from lib.guest import machine as guest_machine

STYLE = """
:root { color-scheme: light dark; --back: #fff; --ink: #1c1f24; --soft: #667; --line: #d8dbe2;
  --stripe: #f5f6f9; --pass: #11703a; --fail: #b3161c; --skip: #7a5b00;
  --fail-back: #fdecec; --skip-back: #fff6dc; }
@media (prefers-color-scheme: dark) { :root { --back: #15181d; --ink: #dfe3ea; --soft: #98a0ad;
  --line: #333a45; --stripe: #1b1f26; --pass: #58c98a; --fail: #ff7d7d; --skip: #e2bd55;
  --fail-back: #3a1e20; --skip-back: #332b14; } }
body { background: var(--back); color: var(--ink); font: 14px/1.45 system-ui, sans-serif;
  margin: 2em auto; max-width: 1400px; padding: 0 1.5em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }
p { max-width: 75ch; } .soft { color: var(--soft); }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25em .7em .25em 0;
  border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; position: sticky; top: 0; background: var(--back); }
tr.boot td { background: var(--stripe); padding: .45em .7em; font-weight: 600; }
tr.boot td span { font-weight: 400; color: var(--soft); }
code { font: 12.5px/1.4 ui-monospace, monospace; }
.PASS { color: var(--pass); } .FAIL { color: var(--fail); font-weight: 700; }
.SKIP { color: var(--skip); } td.number { text-align: right; white-space: nowrap; }
tr.FAIL td { background: var(--fail-back); color: var(--ink); font-weight: 400; }
tr.SKIP td { background: var(--skip-back); color: var(--ink); }
.big { font-size: 1.25em; margin-right: 1.2em; font-weight: 600; }
"""


def seen(row):
    return "-" if row.seen is None else "translated" if row.seen else "untranslated"


def table(verdicts):
    """Lines for a terminal."""
    header = ["boot", "kernel", "device", "", "IOMMU in guest", "group", "dma_access",
              "QEMU saw it", "stock", "s", "result"]
    rows, colours = [], {}
    for v in verdicts:
        if v.stock.startswith("FAILS"):
            colours[(len(rows), 8)] = "yellow"
        rows.append([v.boot.name, v.boot.kernel, v.row.device, v.row.text[:46], v.row.iommu[:34],
                     v.row.expect.group, v.row.expect.access, seen(v.row),
                     v.stock.split(":")[0] or "-", "%.0f" % v.seconds, v.word])
    return report.format_table(header, rows, colours)


def notes(verdicts):
    """(word, boot, why): the devices of that boot of which it is said, in order."""
    found = {}
    for v in verdicts:
        for why in v.notes:
            found.setdefault((v.word, v.boot.name, why), []).append(v.row.device)
    return found


def counts(verdicts, impossible):
    found = {"PASS": 0, "FAIL": 0, "SKIP": 0}
    for v in verdicts:
        found[v.word] += 1
    found["SKIP"] += len(impossible)
    return found


def not_possible(entry):
    """Why a row of what QEMU may not have is skipped."""
    what, needs, said = entry
    if said is None:
        return "%s: this QEMU has it, and nothing here looks at it" % what
    return "%s needs %s; QEMU: %s" % (what, needs, said)


def rows_json(verdicts):
    return [{"boot": v.boot.name, "guest": v.boot.kernel, "device": v.row.device,
             "text": v.row.text, "iommu": v.row.iommu, "append": v.boot.append,
             "levels": {**v.boot.levels, **v.boot.device_levels.get(v.row.device, {})},
             "group": v.row.expect.group, "dma_access": v.row.expect.access,
             "translated_by_qemu": v.row.seen, "stock": v.stock, "verdict": v.word,
             "notes": v.notes} for v in verdicts]


def write_json(path, verdicts, impossible, seconds, boots):
    total = counts(verdicts, impossible)
    report.write_json(path, {
        "rows": rows_json(verdicts),
        "boots": {name: round(s, 1) for name, s in boots.items()},
        "not_possible": [not_possible(e) for e in impossible],
        "seconds": round(seconds, 1), "passed": total["PASS"], "failed": total["FAIL"],
        "skipped": total["SKIP"]})


def write_junit(path, verdicts, impossible, seconds):
    total = counts(verdicts, impossible)
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(root, "testsuite", {
        "name": "matrix", "tests": str(sum(total.values())), "failures": str(total["FAIL"]),
        "skipped": str(total["SKIP"]), "errors": "0", "time": "%.1f" % seconds})
    for v in verdicts:
        case = ElementTree.SubElement(suite, "testcase", {
            "classname": "matrix." + v.boot.name, "name": "%s: %s; %s" % (
                v.row.device, v.row.text, v.row.iommu), "time": "%.1f" % v.seconds})
        if v.word == "FAIL":
            node = ElementTree.SubElement(case, "failure", {"message": v.notes[0]})
            node.text = "\n".join(v.notes)
        elif v.word == "SKIP":
            ElementTree.SubElement(case, "skipped", {"message": v.notes[0]})
    for entry in impossible:
        case = ElementTree.SubElement(suite, "testcase", {
            "classname": "matrix.impossible", "name": entry[0], "time": "0"})
        ElementTree.SubElement(case, "skipped", {"message": not_possible(entry)})
    ElementTree.indent(root)
    _write(path, ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n")


def _write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as out:
        out.write(text)
    os.replace(path + ".new", path)


def _rows(verdicts):
    out, boot = [], None
    for v in verdicts:
        if v.boot is not boot:
            boot = v.boot
            out.append('<tr class="boot"><td colspan="8">%s <span>%s kernel, %s%s%s, %.0f s'
                       '</span></td></tr>' % (
                           html.escape(boot.name), html.escape(boot.kernel),
                           html.escape(boot.machine.board + ", "
                                       if boot.machine.board != "q35" else ""),
                           html.escape(_iommu(boot.machine)),
                           ", <code>%s</code>" % html.escape(boot.append) if boot.append else "",
                           v.seconds))
        notes = "".join("<br><span>%s</span>" % html.escape(n) for n in v.notes)
        stock = '<span class="%s">%s</span>' % (
            "FAIL" if v.stock.startswith("FAILS") else "soft", html.escape(v.stock or "-"))
        out.append('<tr class="%s"><td>%s</td><td>%s</td><td>%s</td><td>%s</td>'
                   '<td><code>%s</code></td><td>%s</td><td>%s</td><td class="%s">%s%s</td></tr>'
                   % (v.word if v.word != "PASS" else "", html.escape(v.row.device),
                      html.escape(v.row.text), html.escape(v.row.iommu),
                      html.escape(v.row.expect.group), html.escape(v.row.expect.access),
                      html.escape(seen(v.row)), stock, v.word, v.word, notes))
    return "\n".join(out)


def _iommu(machine):
    names = {"none": "no vIOMMU", "intel": "intel-iommu", "amd": "amd-iommu",
             "intel-caching": "intel-iommu caching-mode=on", "virtio": "virtio-iommu"}
    words = [names[machine.iommu], machine.iommu_options]
    words += ["root bus bypasses it"] if machine.default_bus_bypass else []
    return ", ".join(filter(None, words))


HEAD = "".join("<th>%s</th>" % h for h in (
    "device", "how it is wired", "IOMMU in the guest", "group", "dma_access", "QEMU saw it",
    "stock", "result"))


def write_page(path, verdicts, impossible, seconds, boots):
    """One page, whole in itself."""
    total = counts(verdicts, impossible)
    by_hand = [v for v in verdicts if not v.boot.levels]
    covered = [v for v in verdicts if v.boot.levels]
    bad = [v for v in verdicts if v.word != "PASS"]
    parts = [
        "<!DOCTYPE html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'><title>make matrix</title>"
        "<style>%s</style></head><body>" % STYLE,
        "<h1>Every way QEMU can wire a virtio device</h1>",
        '<p><span class="big PASS">%d passed</span><span class="big FAIL">%d failed</span>'
        '<span class="big SKIP">%d skipped</span></p>'
        % (total["PASS"], total["FAIL"], total["SKIP"]),
        '<p class=soft>%d boots in %d min %d s; QEMU %s. A row passes if the device has its '
        'driver, the features and virtqueues asked for, the IOMMU group and dma_access that are '
        'shown, and did its job: where data has another end, both compared it. Beside it '
        'stands what the unmodified kernel did with the same.</p>' % (len(boots), seconds // 60, seconds % 60,
                                ".".join(map(str, guest_machine.qemu_version())))]
    if bad or impossible:
        parts.append("<h2>Not green</h2><table><tr><th>row</th><th>why</th></tr>")
        parts += ['<tr class="%s"><td>%s</td><td>%s</td></tr>' % (
            v.word, html.escape(v.name()), html.escape("; ".join(v.notes))) for v in bad]
        parts += ['<tr class="SKIP"><td>%s</td><td>%s</td></tr>' % (
            html.escape(e[0]), html.escape(not_possible(e))) for e in impossible]
        parts.append("</table>")
    for title, some in (("The promise", by_hand), ("The covering design", covered)):
        if some:
            parts.append("<h2>%s: %d rows</h2><table><tr>%s</tr>%s</table>" % (
                title, len(some), HEAD, _rows(some)))
    parts.append("</body></html>\n")
    _write(path, "\n".join(parts))

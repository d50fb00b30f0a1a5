# SPDX-License-Identifier: GPL-2.0-only
"""The results of make matrix as a table, as JSON, as JUnit XML and as a page."""

import os
from xml.etree import ElementTree

from lib import rows
from lib.guest import machine as guest_machine

IOMMUS = {"none": "no vIOMMU", "intel": "intel-iommu", "amd": "amd-iommu",
          "intel-caching": "intel-iommu caching-mode=on", "virtio": "virtio-iommu"}


def seen(row):
    return "-" if row.seen is None else "translated" if row.seen else "untranslated"


def show(verdicts):
    """The table for a terminal."""
    header = ["boot", "kernel", "device", "", "IOMMU in guest", "group", "dma_access",
              "QEMU saw it", "stock", "s", "result"]
    rows.show(header, [
        [v.boot.name, v.boot.kernel, v.row.device, v.row.text[:46], v.row.iommu[:34],
         v.row.expect.group, v.row.expect.access, seen(v.row), v.stock.split(":")[0] or "-",
         "%.0f" % v.seconds, v.word] for v in verdicts],
        {(n, 8): "yellow" for n, v in enumerate(verdicts) if v.stock.startswith("FAILS")})


def notes(verdicts):
    """(word, boot, why): the devices of that boot of which it is said, in order."""
    found = {}
    for v in verdicts:
        for why in v.notes:
            found.setdefault((v.word, v.boot.name, why), []).append(v.row.device)
    return found


def reasons(verdicts, impossible):
    """{word: {why: names of rows}} of what did not pass."""
    found = {"FAIL": {}, "SKIP": {}}
    for (word, boot, why), devices in notes(verdicts).items():
        if word in found:
            found[word].setdefault(why, []).append("%s/%s" % (boot, ", ".join(devices)))
    for entry in impossible:
        found["SKIP"].setdefault(not_possible(entry), []).append(entry[0])
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


def write_junit(path, verdicts, impossible, close):
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(root, "testsuite", {
        "name": "matrix", "tests": str(sum(close.counts.values())), "errors": "0",
        "failures": str(close.counts["FAIL"]), "skipped": str(close.counts["SKIP"]),
        "time": "%.1f" % close.seconds()})
    cases = [(v.boot.name, "%s: %s; %s" % (v.row.device, v.row.text, v.row.iommu), v.seconds,
              v.word, v.notes) for v in verdicts]
    cases += [("impossible", e[0], 0, "SKIP", [not_possible(e)]) for e in impossible]
    for boot, name, seconds, word, why in cases:
        case = ElementTree.SubElement(suite, "testcase", {
            "classname": "matrix." + boot, "name": name, "time": "%.1f" % seconds})
        if word != "PASS":
            node = ElementTree.SubElement(case, {"FAIL": "failure", "SKIP": "skipped"}[word],
                                          {"message": why[0]})
            node.text = "\n".join(why) if word == "FAIL" else None
    ElementTree.indent(root)
    _write(path, ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n")


def _write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as out:
        out.write(text)
    os.replace(path + ".new", path)


def how(boot):
    """What a boot is, in a line."""
    machine = boot.machine
    return ", ".join(filter(None, [
        boot.kernel + " kernel", machine.board if machine.board != "q35" else "",
        IOMMUS[machine.iommu], machine.iommu_options,
        "root bus bypasses it" if machine.default_bus_bypass else ""]))


def write_page(path, verdicts, impossible, close, boots):
    """One page, whole in itself."""
    jinja2 = rows.need("jinja2", "python3-jinja2")
    pages = jinja2.Environment(loader=jinja2.FileSystemLoader(os.path.dirname(__file__)),
                               autoescape=True, trim_blocks=True, lstrip_blocks=True,
                               undefined=jinja2.StrictUndefined)
    _write(path, pages.get_template("page.html").render(
        total=close.counts, reasons=reasons(verdicts, impossible), boots=boots,
        seconds=close.seconds(), qemu=".".join(map(str, guest_machine.qemu_version())),
        parts=[("The promise", [v for v in verdicts if not v.boot.levels]),
               ("The covering design", [v for v in verdicts if v.boot.levels])],
        stock=any(v.stock for v in verdicts), how=how, seen=seen))

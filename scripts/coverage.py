#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: coverage.py [--limits] PROGRAM PROFILE NAME

What PROGRAM, built by clang with coverage, ran of drivers/virtio/ring: a table
with the lines and branches of each file, build/BASE/unit/NAME.json, and the
lines themselves in build/BASE/unit/NAME/index.html.  PROFILE is the folder of
its *.profraw files.  With --limits a file with less than 95 % of its lines or
90 % of its branches is a failure, and the last line is "N passed, N failed, N
skipped".
"""

import glob
import json
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True

from lib import report                                           # noqa: E402

RING = os.path.join(report.ROOT, "drivers/virtio/ring")
UNIT = os.path.join(report.BUILD, "unit")
LIMITS = {"lines": 95.0, "branches": 90.0}


def tool(*command):
    """Output of one of LLVM's programs."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise report.Failure("no %s on this machine; run: apt-get install llvm"
                             % command[0]) from error
    if done.returncode:
        said = (done.stderr.strip() or "exit status %d" % done.returncode).splitlines()
        raise report.Failure("%s %s: %s" % (command[0], command[1], said[-1]))
    return done.stdout


def summary(program, profile):
    """{file: {"lines": {"count", "covered"}, "branches": ...}} of the ring's files."""
    data = json.loads(tool("llvm-cov", "export", "-summary-only",
                           "-instr-profile=" + profile, program))
    files = {}
    for entry in data["data"][0]["files"]:
        if os.path.dirname(os.path.realpath(entry["filename"])) != os.path.realpath(RING):
            continue
        files[os.path.basename(entry["filename"])] = {
            what: {"count": entry["summary"][what]["count"],
                   "covered": entry["summary"][what]["covered"]} for what in LIMITS}
    return files


def percent(part):
    """Covered of what there is; nothing is covered in full."""
    return 100.0 * part["covered"] / part["count"] if part["count"] else 100.0


def missing(files):
    """Files of the ring that should have been built in and were not."""
    sources = {name for name in os.listdir(RING) if name.endswith(".c")}
    return sorted(sources - set(files))


def add_total(files):
    """The files and a row that sums them up."""
    total = {what: {key: sum(f[what][key] for f in files.values())
                    for key in ("count", "covered")} for what in LIMITS}
    return {**dict(sorted(files.items())), "all": total}


def show(files):
    """The table."""
    rows, colours = [], {}
    for name, parts in files.items():
        cells = [name]
        for what, limit in LIMITS.items():
            if percent(parts[what]) < limit:
                colours[len(rows), len(cells)] = "red"
            cells += ["%.1f" % percent(parts[what]),
                      "%d of %d" % (parts[what]["covered"], parts[what]["count"])]
        rows.append(cells)
    for line in report.format_table(("drivers/virtio/ring", "lines %", "", "branches %", ""),
                                    rows, colours):
        report.say(line)


def main():
    args = sys.argv[1:]
    limits = args[:1] == ["--limits"]
    if len(args) != 3 + limits or args[0] in ("-h", "--help"):
        print(__doc__.split("\n", maxsplit=1)[0], file=sys.stderr)
        return 2
    program, folder, name = args[limits:]
    raw = glob.glob(os.path.join(folder, "*.profraw"))
    if not raw:
        raise report.Failure("no profile in %s: %s has not run to its end" % (folder, program))
    profile = os.path.join(folder, "merged")
    tool("llvm-profdata", "merge", "-o", profile, *raw)

    files = summary(program, profile)
    html = os.path.join(UNIT, name)
    shutil.rmtree(html, ignore_errors=True)
    tool("llvm-cov", "show", "-format=html", "-show-branches=count", "-output-dir=" + html,
         "-instr-profile=" + profile, program, RING)
    files = add_total(files)
    report.write_json(os.path.join(UNIT, name + ".json"), {
        "files": {f: {what: dict(part, percent=round(percent(part), 2))
                      for what, part in parts.items()} for f, parts in files.items()},
        "limits": LIMITS})
    show(files)

    failures = ["%s is not in %s" % (f, os.path.basename(program)) for f in missing(files)]
    failures += ["%s: %.1f %% of its %s, %g %% are wanted" % (f, percent(parts[what]), what,
                                                             limit)
                 for f, parts in files.items() for what, limit in LIMITS.items()
                 if percent(parts[what]) < limit]
    if not limits:
        return 0
    for failure in failures:
        report.say("not ok coverage: %s; see %s/index.html" % (
            failure, os.path.relpath(html, report.ROOT)))
    report.say("%d passed, %d failed, 0 skipped" % (
        len(files) * len(LIMITS) + len(missing(files)) - len(failures), len(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    report.main_guard(main)

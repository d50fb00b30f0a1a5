#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""usage: coverage.py [--limits] PROGRAM PROFILE NAME

Show which lines and branches of drivers/virtio/ring PROGRAM has run.  PROGRAM was
built by clang with coverage, and PROFILE is the directory of its *.profraw files.
Prints a table of the files, and writes build/BASE/unit/NAME.json and the lines
themselves to build/BASE/unit/NAME/index.html.  With --limits, a file with less than
95 % of its lines or 90 % of its branches is a failure, and the last line is "N passed,
N failed, N skipped".
"""

import glob
import json
import os
import shutil
import subprocess

from lib import report, words

RING = os.path.join(report.ROOT, "drivers/virtio/ring")
UNIT = os.path.join(report.BUILD, "unit")
LIMITS = {"lines": 95.0, "branches": 90.0}


def tool(*command):
    """Output of one of LLVM's programs."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise report.Failure("no %s on this machine; run: scripts/deps.sh unit"
                             % command[0]) from error
    if done.returncode:
        said = (done.stderr.strip() or "exit status %d" % done.returncode).splitlines()
        raise report.Failure("%s %s: %s" % (command[0], command[1], said[-1]))
    return done.stdout


def part(summaries, what):
    """Covered of what there is; nothing is covered in full."""
    count, covered = (sum(s[what][key] for s in summaries) for key in ("count", "covered"))
    return {"count": count, "covered": covered,
            "percent": round(100.0 * covered / count, 2) if count else 100.0}


def files_of(program, profile):
    """{file: {"lines": part(), "branches": part()}} of the ring, "all" of them last."""
    data = json.loads(tool("llvm-cov", "export", "-summary-only",
                           "-instr-profile=" + profile, program))
    found = {os.path.basename(entry["filename"]): [entry["summary"]]
             for entry in data["data"][0]["files"]
             if os.path.realpath(os.path.dirname(entry["filename"])) == os.path.realpath(RING)}
    found = dict(sorted(found.items()))
    found["all"] = sum(found.values(), [])
    return {name: {what: part(summaries, what) for what in LIMITS}
            for name, summaries in found.items()}


def show(files):
    """The table."""
    rows, colours = [], {}
    for name, parts in files.items():
        cells = [name]
        for what, limit in LIMITS.items():
            if parts[what]["percent"] < limit:
                colours[len(rows), len(cells)] = "red"
            cells += ["%.1f" % parts[what]["percent"],
                      "%d of %d" % (parts[what]["covered"], parts[what]["count"])]
        rows.append(cells)
    for line in report.format_table(("drivers/virtio/ring", "lines %", "", "branches %", ""),
                                    rows, colours):
        report.say(line)


def main():
    parser = words.Words(__doc__, "--limits")
    for key in ("program", "folder", "name"):
        parser.add_argument(key)
    wish = parser.parse_args()
    program, folder, name = wish.program, wish.folder, wish.name
    raw = glob.glob(os.path.join(folder, "*.profraw"))
    if not raw:
        raise report.Failure("no profile in %s: %s has not run to its end" % (folder, program))
    profile = os.path.join(folder, "merged")
    tool("llvm-profdata", "merge", "-o", profile, *raw)
    files = files_of(program, profile)
    html = os.path.join(UNIT, name)
    shutil.rmtree(html, ignore_errors=True)
    tool("llvm-cov", "show", "-format=html", "-show-branches=count", "-output-dir=" + html,
         "-instr-profile=" + profile, program, RING)
    report.write_json(os.path.join(UNIT, name + ".json"), {"files": files, "limits": LIMITS})
    show(files)
    if not wish.limits:
        return 0

    missing = sorted({f for f in os.listdir(RING) if f.endswith(".c")} - set(files))
    failures = ["%s is not in %s" % (f, os.path.basename(program)) for f in missing]
    failures += ["%s: %.1f %% of its %s, %g %% are wanted" % (f, parts[what]["percent"], what,
                                                             limit)
                 for f, parts in files.items() for what, limit in LIMITS.items()
                 if parts[what]["percent"] < limit]
    for failure in failures:
        report.say("not ok coverage: %s; see %s/index.html" % (
            failure, os.path.relpath(html, report.ROOT)))
    report.say("%d passed, %d failed, 0 skipped" % (
        len(files) * len(LIMITS) + len(missing) - len(failures), len(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    report.main_guard(main)

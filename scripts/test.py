#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""usage: test.py [STEP...]

Run all tests, step after step, and sum them up.  Two steps run side by side if each
keeps only one core busy.  Names of steps restrict the run to them.  The output of a
step goes to build/BASE/logs/test-STEP.log, and the results of all steps to
build/BASE/test.json.  The last line is "N passed, N failed, N skipped".  The exit
status is 0 only if nothing failed and something passed.
"""

import concurrent.futures
import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field

from lib import report, tables, words

SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")
UNITTEST = re.compile(r"^Ran (\d+) tests? in ")
UNITTEST_BAD = re.compile(r"^FAILED \((.*)\)$")


@dataclass
class Step:
    """See scripts/test.toml."""
    name: str
    text: str
    command: list
    count: str = "one"
    needs: tuple = ()
    timeout: int = 2400
    cores: int = 2


STEPS = [Step(name, **words) for name, words in tables.load("test").items()
         if words.pop("base", report.BASE) == report.BASE]


@dataclass
class Outcome:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    notes: list = field(default_factory=list)       # failures and skips, a line each
    seconds: float = 0.0


def counts(step, lines, status):
    """Outcome of a step from what it said and its exit status."""
    outcome = Outcome()
    if step.count == "summary":
        match = next(filter(None, map(SUMMARY.match, reversed(lines))), None)
        if match:
            outcome.passed, outcome.failed, outcome.skipped = map(int, match.groups())
        outcome.notes = [line for line in lines
                         if re.match(r"(\w+: )?(FAIL|SKIP|not ok|ok .*# SKIP)\b", line)]
    elif step.count == "unittest":
        ran = next((int(m.group(1)) for m in map(UNITTEST.match, lines) if m), 0)
        bad = next((m.group(1) for m in map(UNITTEST_BAD.match, lines) if m), "")
        numbers = dict((k, int(v)) for k, v in re.findall(r"(\w+)=(\d+)", bad))
        skips = [line for line in lines if re.search(r" \.\.\. skipped ", line)]
        outcome.skipped = len(skips)
        outcome.failed = numbers.get("failures", 0) + numbers.get("errors", 0)
        outcome.passed = ran - outcome.failed - outcome.skipped
        outcome.notes = ["FAIL " + line for line in lines
                         if re.match(r"(ERROR|FAIL): ", line)] + ["SKIP " + s for s in skips]
    else:
        outcome.passed = int(status == 0)
        outcome.failed = int(status != 0)
    if status != 0 and not outcome.failed:
        outcome.failed = 1
        last = next((line for line in reversed(lines) if line.strip()), "no output")
        outcome.notes.append("FAIL exit status %d: %s" % (status, last))
    elif status == 0 and not outcome.passed and not outcome.skipped and not outcome.failed:
        outcome.failed = 1
        outcome.notes.append("FAIL no test reported anything")
    elif status != 0 and step.count == "one":
        outcome.notes = ["FAIL " + line for line in lines[-3:]]
    return outcome


def tell(step, outcome, progress):
    """A line of a step that has ended, and what failed of it."""
    verdict = "FAIL" if outcome.failed else "PASS" if outcome.passed else "SKIP"
    progress.line("%s %-9s %-38s %4d passed, %d failed, %d skipped, %.0f s" % (
        report.colour(verdict, report.VERDICTS[verdict]), step.name, step.text,
        outcome.passed, outcome.failed, outcome.skipped, outcome.seconds))
    if outcome.failed:
        for note in [n for n in outcome.notes if not n.startswith("SKIP")][:20]:
            progress.line("       " + note)
        progress.line("       log: %s/test-%s.log" % (report.LOGS, step.name))


STOP = threading.Event()        # the whole run was interrupted
CHILDREN = set()


def run(step, progress):
    """Run a step; its output goes to its log."""
    started, lines = time.monotonic(), []
    progress.begin(step.name)
    with open("%s/test-%s.log" % (report.LOGS, step.name), "w", encoding="utf-8",
              errors="replace") as out, subprocess.Popen(
            ["timeout", str(step.timeout), *step.command], cwd=report.ROOT,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            encoding="utf-8", errors="replace", start_new_session=True) as child:
        CHILDREN.add(child)
        if STOP.is_set():
            end(child)
        for line in child.stdout:
            out.write(line)
            out.flush()
            lines.append(line.rstrip("\n"))
            if line.strip():
                progress.note(step.name, line.strip().removeprefix("... ")[:70])
    CHILDREN.remove(child)
    progress.end(step.name)
    outcome = counts(step, lines, child.returncode)
    outcome.seconds = time.monotonic() - started
    if child.returncode == 124:         # of timeout(1)
        outcome.notes.append("FAIL timed out after %d s" % step.timeout)
    return outcome


def end(child):
    """With all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)


def run_all(steps, do, cores=2):
    """Call do(step, outcomes so far) of each step, in order, as soon as there
    are cores for it and all that it needs has ended; none overtakes another.
    Returns the outcomes by name."""
    outcomes, running, busy = {}, {}, 0

    def collect():
        nonlocal busy
        for future in concurrent.futures.wait(
                running, return_when=concurrent.futures.FIRST_COMPLETED).done:
            step = running.pop(future)
            outcomes[step.name] = future.result()
            busy -= min(step.cores, cores)

    with concurrent.futures.ThreadPoolExecutor(cores) as pool:
        try:
            for step in steps:
                wanted = min(step.cores, cores)
                while busy + wanted > cores or \
                        any(s.name in step.needs for s in running.values()):
                    collect()
                running[pool.submit(do, step, dict(outcomes))] = step
                busy += wanted
            while running:
                collect()
        except BaseException:
            STOP.set()
            for child in list(CHILDREN):
                end(child)
            raise
    return {step.name: outcomes[step.name] for step in steps}


def main():
    names = words.Words(__doc__).names("steps", [s.name for s in STEPS]).parse_args().steps
    started = time.monotonic()
    os.makedirs(report.LOGS, exist_ok=True)
    with report.Progress() as progress:
        def do(step, before):
            broken = [n for n in step.needs if n in before and before[n].failed]
            if broken:
                outcome = Outcome(skipped=1, notes=["SKIP not run, for %s failed" % broken[0]])
            else:
                outcome = run(step, progress)
            if not STOP.is_set():
                tell(step, outcome, progress)
            return outcome

        outcomes = run_all([s for s in STEPS if not names or s.name in names], do)
    report.say()
    for name, outcome in outcomes.items():
        for note in outcome.notes:
            report.say("%s: %s" % (name, note))
    totals = [sum(getattr(o, key) for o in outcomes.values())
              for key in ("passed", "failed", "skipped")]
    seconds = time.monotonic() - started
    report.write_json(report.BUILD + "/test.json", {
        "steps": {name: {"passed": o.passed, "failed": o.failed, "skipped": o.skipped,
                         "notes": o.notes, "seconds": round(o.seconds, 1)}
                  for name, o in outcomes.items()},
        "passed": totals[0], "failed": totals[1], "skipped": totals[2],
        "seconds": round(seconds, 1)})
    report.say("%d minutes %d seconds" % divmod(round(seconds), 60))
    report.say("%d passed, %d failed, %d skipped" % tuple(totals))
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    report.main_guard(main)

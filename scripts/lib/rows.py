# SPDX-License-Identifier: GPL-2.0-only
"""What the verbs of rows (matrix, matrix-arch, matrix-qemus, life, bench) do alike: read
their words, choose rows, build, boot guests side by side, and close with tables, JSON and a
line of totals."""

import fnmatch
import importlib
import os
import time
from collections import Counter

from lib import report
from lib.guest import expect, machine, vm
from lib.words import Words


class RowWords(Words):
    """The words of a verb of rows."""

    def __init__(self, doc, *flags):
        super().__init__(doc, "--no-build", *flags)

    def patterns(self):
        """Let it have PATTERNs of rows; without any, those of ROWS= hold."""
        self.add_argument("rows", nargs="*")
        return self

    def read(self, argv=None):
        """What the command line, or argv, asks for."""
        wish = self.parse_intermixed_args(argv)
        if getattr(wish, "rows", None) == []:
            wish.rows = (os.environ.get("ROWS") or "").split()
        return wish


def name(word):
    """What results are called, as argparse has it."""
    if not word:
        raise ValueError(word)
    return word


def matches(pattern, words):
    """Whether a pattern, a word with * and ?, is one of the words or is in one."""
    return any(fnmatch.fnmatch(word, pattern) or pattern in word for word in words)


def chosen(patterns, entries, words_of, hint):
    """The entries that a pattern matches by one of their words; all without a pattern.  One
    that matches nothing is an error."""
    for pattern in patterns:
        if not any(matches(pattern, words_of(e)) for e in entries):
            raise report.Failure("no row matches %s; %s" % (pattern, hint))
    return [e for e in entries
            if not patterns or any(matches(p, words_of(e)) for p in patterns)]


def need(module, package):
    """A module that is not Python's own; where it is missing, an error names its package."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise report.Failure("%s is missing: apt-get install %s" % (module, package)) from None


def build(kernels, initramfs=(), first=(), modules=()):
    """Build what is to be booted, kernels and initramfs by their flavours and modules by
    their words, if QEMU is there to boot it."""
    if initramfs:
        machine.qemu_version()
        machine.accelerator()
    expect.build(*first, *(["kernel.sh", k] for k in kernels),
                 *(["module.sh", *words] for words in modules),
                 *(["initramfs.sh"] + ([i] if i != "plain" else []) for i in initramfs))


def boot(boots, guest_for, title):
    """Boot the guest of each, two at a time; (guests, results), both by the names of the
    boots.  title: what is said first."""
    with report.Progress() as progress:
        guests = {b.name: guest_for(b, progress) for b in boots}
        report.say(title)
        return guests, dict(zip(guests, vm.boot_all(guests.values())))


def show(header, rows, colours=None, title=""):
    """Print a table, if it has rows."""
    if title and rows:
        report.say("\n" + title)
    for line in report.format_table(header, rows, colours) if rows else ():
        report.say(line)


class Close:
    """The end of a run that began when this was made."""

    def __init__(self):
        self.started = time.monotonic()
        self.counts = Counter()         # PASS, FAIL and SKIP

    def seconds(self):
        return time.monotonic() - self.started

    def totals(self):
        return {"passed": self.counts["PASS"], "failed": self.counts["FAIL"],
                "skipped": self.counts["SKIP"]}

    def write(self, name, values):
        """Write build/BASE/NAME.json."""
        report.write_json("%s/%s.json" % (report.BUILD, name), {
            **values, **self.totals(), "seconds": round(self.seconds(), 1)})

    def status(self):
        """Say the totals; the exit status of the verb."""
        report.say("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % self.totals())
        return 1 if self.counts["FAIL"] or not self.counts["PASS"] else 0

# SPDX-License-Identifier: GPL-2.0-only
"""What every script says and how: one-line errors, tables, colour on a
terminal only, live progress, and results as JSON."""

import json
import os
import signal
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BASE = os.environ.get("BASE") or "6.12"
BUILD = os.path.join(ROOT, "build", BASE)
LOGS = os.path.join(BUILD, "logs")

COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


class Failure(Exception):
    """An error whose text is one line for the user."""


def colour(text, name, stream=None):
    """text in a colour, when the stream is a terminal that wants it."""
    stream = stream or sys.stdout
    if not stream.isatty() or os.environ.get("NO_COLOR"):
        return text
    return "\033[%sm%s\033[0m" % (COLOURS[name], text)


VERDICTS = {"ok": "green", "PASS": "green", "FAIL": "red", "SKIP": "yellow"}


def format_table(header, rows, colours=None):
    """Lines of a table; colours maps (row, column) to a colour's name."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(str(row[i])) for row in [header] + rows)
              for i in range(len(header))]
    lines = ["  ".join(str(h).ljust(w) for h, w in zip(header, widths)).rstrip()]
    lines.append("  ".join("-" * w for w in widths))
    for r, row in enumerate(rows):
        cells = []
        for c, (cell, width) in enumerate(zip(row, widths)):
            text = cell.ljust(width)
            name = (colours or {}).get((r, c)) or VERDICTS.get(cell.split(" ")[0])
            cells.append(colour(text, name) if name else text)
        lines.append("  ".join(cells).rstrip())
    return lines


def write_json(path, value):
    """Write value to path as JSON; the file is whole or as it was."""
    partial = "%s.%d" % (path, os.getpid())
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(partial, "w", encoding="utf-8") as out:
            json.dump(value, out, indent=1, sort_keys=True)
            out.write("\n")
        os.replace(partial, path)
    except OSError as error:
        raise Failure("cannot write %s: %s" % (path, error.strerror)) from error
    finally:
        if os.path.exists(partial):
            os.unlink(partial)


def say(text=""):
    """One line on stdout, at once."""
    print(text, flush=True)


class Progress:
    """What is under way: one live line on a terminal, now and then a line in
    a pipe.  Several threads may use it."""

    def __init__(self, interval=15.0):
        self.tty = sys.stdout.isatty()
        self.interval = 0.5 if self.tty else interval
        self.lock = threading.Lock()
        self.active = {}        # name: since when, latest news
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self._live("")

    def begin(self, name):
        with self.lock:
            self.active[name] = (time.monotonic(), "")

    def note(self, name, text):
        """The latest news of name, shown with the next update."""
        with self.lock:
            if name in self.active:
                self.active[name] = (self.active[name][0], text)

    def end(self, name):
        with self.lock:
            self.active.pop(name, None)

    def line(self, text):
        with self.lock:
            self._live("")
            say(text)

    def _live(self, text):
        if self.tty:
            sys.stdout.write("\r\033[K" + text[:150])
            sys.stdout.flush()

    def _run(self):
        while not self.stop.wait(self.interval):
            with self.lock:
                now = time.monotonic()
                parts = ["%s %ds%s" % (name, now - since, text and " (" + text + ")")
                         for name, (since, text) in self.active.items()]
                if parts:
                    (self._live if self.tty else say)("... " + ", ".join(parts))


def main_guard(main):
    """Run main(); an error is one line on stderr, an interrupt is quiet."""
    def interrupt(*_):
        # timeout(1) signals the process, then its group: once is enough, and
        # twice would cut off the end of guests that the first has begun.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        sys.exit(main())
    except Failure as error:
        text, status = error, 1
    except KeyboardInterrupt:
        text, status = "interrupted", 130
    print("%s: %s" % (os.path.basename(sys.argv[0]), text), file=sys.stderr)
    sys.exit(status)

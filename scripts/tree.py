#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Lay the base and the series out as a git tree, and take work back from it.

usage: scripts/tree.py COMMAND
  fetch      get the newest base that apt knows into the cache
  tree       build/BASE/linux: the base as one commit, then a commit a patch
  stock      build/BASE/stock: the unmodified base beside it
  series     build/BASE/series/NNNN-*.patch with a cover letter, for git am
  refresh    take the commits made in build/BASE/linux into the repository
  apply      put the series onto the kernel tree at KDIR
  unapply    take it off again: KDIR is what it was, byte for byte
  deb        Debian kernel packages of KDIR (or the base) with the series
  reviewed   note that the base files which the series replaces have been read
  each -- CMD [ARG...]
             run CMD in build/BASE/each on the tree after each patch in turn

environment: BASE (6.12, or 6.12-fixes), KDIR (a kernel tree to use as the base, or to
apply to), CHECK=1 (apply and unapply change nothing), FORCE=1 (they may drop edits),
CONFIG (for deb), JOBS, XDG_CACHE_HOME
"""

import os
import signal
import subprocess
import sys

sys.dont_write_bytecode = True

from lib.series import apply, base, beside, deb, lay             # noqa: E402
from lib.series import mail, refresh, reviewed                   # noqa: E402
from lib.series.paths import Paths                               # noqa: E402
from lib.series.worktree import Worktree                         # noqa: E402
from lib.util import Fail                                        # noqa: E402


def cmd_fetch(paths):
    if paths.kdir:
        raise Fail("KDIR is the base, there is nothing to fetch")
    print("fetch: the base is %s" % base.cached(paths.cache, base.download(paths)))


def cmd_series(paths):
    with paths.lock():
        for path in mail.write(paths):
            print(paths.rel(path))


def cmd_deb(paths):
    for path in deb.build(paths):
        print(paths.rel(path))


def cmd_reviewed(paths):
    state = lay.lay(paths, review=False)
    reviewed.write(paths, Worktree(paths.linux).git, paths.load(), state)


def cmd_each(paths, dashes="", *command):
    if dashes != "--" or not command:
        raise Fail("usage: scripts/tree.py each -- CMD [ARG...]")
    beside.each(paths, command)


def with_lock(function):
    def command(paths):
        with paths.lock():
            function(paths)
    return command


COMMANDS = {"fetch": cmd_fetch, "tree": with_lock(lay.lay), "stock": with_lock(beside.stock),
            "series": cmd_series, "refresh": with_lock(refresh.refresh),
            "apply": with_lock(apply.apply), "unapply": with_lock(apply.unapply),
            "deb": cmd_deb, "reviewed": with_lock(cmd_reviewed), "each": cmd_each}


def check_arguments(verb, paths):
    """What @verb is told by the environment, before anything is done."""
    if paths.kdir:
        base.check_kdir(paths)
    elif verb in ("apply", "unapply"):
        raise Fail("say which tree: make %s KDIR=/path/to/linux" % verb)
    if verb == "deb":
        deb.check_config()
        if not (os.environ.get("JOBS") or "1").isdigit():
            raise Fail("JOBS=%s: give a number" % os.environ["JOBS"])


def main(argv):
    argv = argv[1:]
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(__doc__.strip())
        return 0 if argv else 2
    command = COMMANDS.get(argv[0])
    if not command:
        print("tree.py: no command '%s'; scripts/tree.py --help lists them" % argv[0],
              file=sys.stderr)
        return 2
    if len(argv) > 1 and argv[0] != "each":
        print("usage: scripts/tree.py %s" % argv[0], file=sys.stderr)
        return 2
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, lambda num, _: sys.exit(128 + num))
    try:
        paths = Paths(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        check_arguments(argv[0], paths)
        command(paths, *argv[1:])
    except Fail as err:
        print("tree.py: %s" % err, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as err:
        print("tree.py: %s ended with status %d; is the disk full?" % (
            " ".join(map(str, err.cmd)), err.returncode), file=sys.stderr)
        return 1
    except OSError as err:
        print("tree.py: %s%s" % (err.filename + ": " if err.filename else "",
                                 err.strerror or err), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tree.py: interrupted; the next run goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))

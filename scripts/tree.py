#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Lay the base and the series out as a git tree, and take work back from it.

usage: scripts/tree.py COMMAND
  fetch      get the newest base that apt knows into the cache
  tree       build/BASE/linux: the base as one commit, then a commit a patch
  stock      build/BASE/stock: the unmodified base beside it
  series     build/BASE/series/NNNN-*.patch with a cover letter, for git am
  refresh    take commits and edits made in build/BASE/linux into the repository
  apply      put the series onto the kernel tree at KDIR
  deb        Debian kernel packages of KDIR (or the base) with the series
  reviewed   note that the base files which the series replaces have been read
  each -- CMD [ARG...]
             run CMD in build/BASE/each on the tree after each patch in turn

environment: BASE (6.12), KDIR (a kernel tree to use as the base, or to apply
to), CONFIG (for deb), JOBS, XDG_CACHE_HOME
"""

import os
import signal
import subprocess
import sys

sys.dont_write_bytecode = True

from lib.series import apply, base, deb, lay, mail, refresh      # noqa: E402
from lib.util import Fail                                        # noqa: E402


def cmd_fetch(paths):
    if paths.kdir:
        raise Fail("KDIR is the base, there is nothing to fetch")
    base.download(paths.cache, paths.base)
    print("fetch: the base is %s" % base.cached(paths.cache, paths.base))


def cmd_tree(paths):
    with paths.lock():
        lay.lay(paths)


def cmd_stock(paths):
    with paths.lock():
        lay.stock(paths)


def cmd_series(paths):
    with paths.lock():
        for path in mail.write(paths):
            print(paths.rel(path))


def cmd_refresh(paths):
    with paths.lock():
        refresh.refresh(paths)


def cmd_reviewed(paths):
    with paths.lock():
        lay.write_reviewed(paths)


def cmd_deb(paths):
    for path in deb.build(paths):
        print(paths.rel(path))


def cmd_each(paths, dashes="", *command):
    if dashes != "--" or not command:
        raise Fail("usage: scripts/tree.py each -- CMD [ARG...]")
    lay.each(paths, command)


COMMANDS = {"fetch": cmd_fetch, "tree": cmd_tree, "stock": cmd_stock,
            "series": cmd_series, "refresh": cmd_refresh, "apply": apply.apply,
            "deb": cmd_deb, "reviewed": cmd_reviewed, "each": cmd_each}


def main(argv):
    if len(argv) < 2 or argv[1] in ("-h", "--help", "help"):
        print(__doc__.strip())
        return 0 if len(argv) > 1 else 2
    command = COMMANDS.get(argv[1])
    if not command:
        print("tree.py: no command '%s'; scripts/tree.py --help lists them" % argv[1],
              file=sys.stderr)
        return 2
    if len(argv) > 2 and argv[1] != "each":
        print("usage: scripts/tree.py %s" % argv[1], file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        command(lay.Paths(os.path.dirname(os.path.dirname(
            os.path.abspath(__file__)))), *argv[2:])
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

# SPDX-License-Identifier: GPL-2.0-only
"""make deb: Debian kernel packages of the base with the series."""

import collections
import glob
import os
import platform
import re
import shutil
import subprocess

from lib.series import lay
from lib.util import Fail, progress, read_entry, write_atomic

# The compiler, through ccache, as for the other kernels; but the packages tell
# when and where they were built.
_MAKE = '. "$0/scripts/lib/kbuild.sh"; unset "${!KBUILD_BUILD_@}"; ' \
        'exec env "$@" CC="$cc" HOSTCC="$cc"'


def _make(paths, obj, log, shown, *targets):
    """One make run, its output in the log, its last lines on failure."""
    mine = ["%s=%s" % row for row in os.environ.items() if row[0].startswith("KBUILD_BUILD_")]
    cmd = ["bash", "-c", _MAKE, paths.root, *mine, "make", "-C", paths.linux, "O=" + obj,
           "LOCALVERSION=-virtio-dma", "-j%s" % (os.environ.get("JOBS") or os.cpu_count()),
           *targets]
    # What our own Makefile exports must not reach the kernel's.
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "BASE", "CONFIG", "KDIR",
                        "CHECK", "FORCE", "LOCALVERSION")}
    tail = collections.deque(maxlen=15)
    with open(log, "ab") as out, subprocess.Popen(
            cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=env) as proc:
        try:
            for count, line in enumerate(proc.stdout, 1):
                out.write(line)
                tail.append(line.decode(errors="replace").rstrip())
                shown.update("%d steps, %s" % (count, tail[-1].strip()[:50]))
        except BaseException:
            proc.terminate()
            raise
    if proc.returncode:
        raise Fail("make %s failed, see %s:\n%s" % (
            " ".join(targets), paths.rel(log), "\n".join(tail)))


def check_config():
    """CONFIG as a file, or the name of a default configuration; "" if unset."""
    wanted = os.environ.get("CONFIG") or ""
    if wanted and not os.path.isfile(wanted) and \
            not re.fullmatch(r"[a-z0-9_]*config", wanted):
        raise Fail("CONFIG=%s: no such file: give the .config of a kernel" % wanted)
    return wanted


def _configure(paths, obj, log, shown):
    """The .config: CONFIG, or that of the running kernel, or the default's."""
    running = "/boot/config-" + platform.release()
    source = check_config() or (running if os.path.exists(running) else "x86_64_defconfig")
    target = os.path.join(obj, ".config")
    if os.path.isfile(source):
        text = read_entry(source)[1]
        if read_entry(target + ".from") != ("100644", text) or not os.path.exists(target):
            shutil.copyfile(source, target)
            write_atomic(target + ".from", text)
    else:
        _make(paths, obj, log, shown, source)
    # A distribution's configuration names certificates that only it has.
    edits, text = [], read_entry(target)[1].decode()
    for name in ("SYSTEM_TRUSTED_KEYS", "SYSTEM_REVOCATION_KEYS"):
        match = re.search(r'^CONFIG_%s="(.+)"$' % name, text, re.M)
        if match and not os.path.exists(os.path.join(paths.linux, match.group(1))):
            edits += ["--set-str", name, ""]
    if "CONFIG_DEBUG_INFO_BTF=y" in text and not shutil.which("pahole"):
        edits += ["--disable", "DEBUG_INFO_BTF"]
    if edits:
        subprocess.run([os.path.join(paths.linux, "scripts", "config"), "--file",
                        target] + edits, check=True)
    _make(paths, obj, log, shown, "olddefconfig")
    return source


def build(paths):
    """Returns the packages built."""
    for name in ("dpkg-buildpackage", "dh_listpackages"):
        if not shutil.which(name):
            raise Fail("%s is needed: scripts/deps.sh deb" % name)
    with paths.lock():
        lay.lay(paths)
    top = os.path.join(paths.build, "deb")
    obj, log = os.path.join(top, "obj"), os.path.join(paths.build, "logs", "deb.log")
    os.makedirs(obj, exist_ok=True)
    write_atomic(log, b"")
    for path in glob.glob(glob.escape(top) + "/linux-*"):
        os.unlink(path)
    with progress("deb: configuring") as shown:
        source = _configure(paths, obj, log, shown)
    with progress("deb: building with %s" % source) as shown:
        _make(paths, obj, log, shown, "bindeb-pkg")
    found = sorted(glob.glob(glob.escape(top) + "/*.deb"))
    if not found:
        raise Fail("make bindeb-pkg left no package in %s, see %s"
                   % (paths.rel(top), paths.rel(log)))
    return found

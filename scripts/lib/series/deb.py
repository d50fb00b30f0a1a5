# SPDX-License-Identifier: GPL-2.0-only
"""make deb: Debian kernel packages of the base with the series."""

import collections
import os
import platform
import re
import shutil
import subprocess

from lib.series import lay
from lib.util import Fail, progress, read_entry, write_atomic


def _make(paths, obj, log, shown, *targets):
    """One make run, its output in the log, its last lines on failure."""
    cmd = ["make", "-C", paths.linux, "O=" + obj, "LOCALVERSION=-virtio-dma",
           "-j%s" % (os.environ.get("JOBS") or os.cpu_count())] + list(targets)
    # What our own Makefile exports must not reach the kernel's.
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "BASE", "CONFIG", "KDIR",
                        "LOCALVERSION")}
    tail, count = collections.deque(maxlen=15), 0
    with open(log, "ab") as out:
        proc = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, env=env)
        try:
            for line in proc.stdout:
                out.write(line)
                tail.append(line.decode(errors="replace").rstrip())
                count += 1
                shown.update("%d steps, %s" % (count, tail[-1].strip()[:50]))
        except BaseException:
            proc.terminate()
            raise
        finally:
            proc.stdout.close()
            proc.wait()
    if proc.returncode:
        raise Fail("make %s failed, see %s:\n%s" % (
            " ".join(targets), paths.rel(log), "\n".join(tail)))


def _configure(paths, obj, log, shown):
    """The .config: CONFIG, or that of the running kernel, or the default's."""
    wanted = os.environ.get("CONFIG") or ""
    running = "/boot/config-" + platform.release()
    source = wanted or (running if os.path.exists(running) else "x86_64_defconfig")
    target = os.path.join(obj, ".config")
    if os.path.isfile(source):
        old = read_entry(target + ".from")
        text = read_entry(source)[1]
        if not old or old[1] != text or not os.path.exists(target):
            shutil.copyfile(source, target)
            write_atomic(target + ".from", text)
    elif re.match(r"[a-z0-9_]*config$", source):
        _make(paths, obj, log, shown, source)
    else:
        raise Fail("CONFIG=%s: no such file" % source)
    # A distribution's configuration names certificates that only it has.
    edits = []
    text = read_entry(target)[1].decode()
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
    obj = os.path.join(top, "obj")
    log = os.path.join(paths.build, "logs", "deb.log")
    os.makedirs(obj, exist_ok=True)
    os.makedirs(os.path.dirname(log), exist_ok=True)
    write_atomic(log, b"")
    for name in os.listdir(top):
        if name.startswith("linux-"):
            os.unlink(os.path.join(top, name))
    with progress("deb: configuring") as shown:
        source = _configure(paths, obj, log, shown)
    with progress("deb: building with %s" % source) as shown:
        _make(paths, obj, log, shown, "bindeb-pkg")
    found = [os.path.join(top, n) for n in sorted(os.listdir(top)) if n.endswith(".deb")]
    if not found:
        raise Fail("make bindeb-pkg left no package in %s, see %s"
                   % (paths.rel(top), paths.rel(log)))
    return found

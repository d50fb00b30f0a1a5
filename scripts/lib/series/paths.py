# SPDX-License-Identifier: GPL-2.0-only
"""Where everything is, from the environment that the Makefile exports."""

import os
import re

from lib.series import patches as series
from lib.util import Fail, locked


class Paths:
    """The folders, and the series as the repository has it."""

    def __init__(self, root):
        env = os.environ
        self.root, self.files = root, {}
        self.base = env.get("BASE") or "6.12"       # 6.12-fixes is another series for it
        self.version = self.base.partition("-")[0]
        self.kdir = env.get("KDIR") or ""
        self.build = os.path.join(root, "build", self.base)
        self.linux, self.stock, self.each = (
            os.path.join(self.build, name) for name in ("linux", "stock", "each"))
        self.cache = os.path.join(env.get("XDG_CACHE_HOME") or
                                  os.path.expanduser("~/.cache"), "virtio-dma")
        if not re.match(r"\d+\.\d+(-[a-z]+)?$", self.base):
            raise Fail("BASE=%s: give a version such as 6.12" % self.base)
        if self.kdir:
            self.kdir = os.path.abspath(self.kdir)
            if not os.path.isdir(self.kdir):
                raise Fail("KDIR=%s is not a directory" % self.kdir)
            below = os.path.realpath(self.kdir) + "/"
            if below.startswith(os.path.realpath(self.build) + "/"):
                raise Fail("KDIR=%s is one of our own trees: give the base that "
                           "the series goes on" % self.kdir)

    def rel(self, path):
        """@path as the user would type it from the repository's top."""
        return os.path.relpath(path, self.root)

    def lock(self):
        return locked(os.path.join(self.build, ".lock"))

    def load(self):
        self.files = series.read(self.root, self.base)
        return series.load(self.files, self.base)

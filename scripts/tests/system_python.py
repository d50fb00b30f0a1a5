# SPDX-License-Identifier: GPL-2.0-only
"""Tests of what needs a package of the distribution: its python sees those, another that
comes first in PATH need not."""

import functools
import importlib.util
import os
import subprocess
import sys
import unittest

PYTHON = "/usr/bin/python3"     # of every script that needs such a package
SCRIPTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def system_python(module):
    """Run a test by the system's python where this one has not the module; skip it where
    neither has."""
    def decorate(test):
        @functools.wraps(test)
        def run(self):
            if importlib.util.find_spec(module):
                test(self)
            elif sys.executable == PYTHON or subprocess.call(
                    [PYTHON, "-c", "import " + module], stderr=subprocess.DEVNULL):
                raise unittest.SkipTest("%s has no %s" % (PYTHON, module))
            else:
                path = os.path.relpath(sys.modules[type(self).__module__].__file__, SCRIPTS)
                name = ".".join([path[:-3].replace("/", "."), type(self).__name__, test.__name__])
                done = subprocess.run([PYTHON, "-B", "-m", "unittest", name], cwd=SCRIPTS,
                                      capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
        return run
    return decorate

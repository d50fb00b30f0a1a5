# SPDX-License-Identifier: GPL-2.0-only
"""A repository that a test makes up of what it needs."""

import os
import shutil
import subprocess
import tempfile
import unittest

from lib import report


class MadeUp(unittest.TestCase):
    """One in self.top, gone when the test is."""

    def setUp(self):
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        self.top = tmp.name

    def write(self, name, text):
        """A file that can be run, and its path."""
        path = os.path.join(self.top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)
        return path

    def copy(self, *names):
        """The real ones, of this repository."""
        for name in names:
            os.makedirs(os.path.dirname(self.top + "/" + name), exist_ok=True)
            shutil.copy(os.path.join(report.ROOT, name), os.path.join(self.top, name))

    def commit(self, folder, *names):
        """All of a folder, or these of it, in git."""
        for command in (["init", "-q"], ["add", *(names or ("."))],
                        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
            subprocess.run(["git", *command], cwd=os.path.join(self.top, folder), check=True)

# SPDX-License-Identifier: GPL-2.0-only
"""Tests of kernel.sh with a make that configures a made-up tree."""

import os
import shutil
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lib import report                                           # noqa: E402
from tests.made_up import MadeUp                                 # noqa: E402

MAKE = """#!/bin/sh
for word; do
	case $word in O=*) obj=$PWD/build/6.12/linux/${word#O=} ;; esac
done
case $* in
*tinyconfig) echo '# CONFIG_A is not set' >$obj/.config ;;
*olddefconfig) grep -v LOST $obj/.config >$obj/new; mv $obj/new $obj/.config ;;
*bzImage) exit 1 ;;
esac
"""
MERGE = "#!/bin/sh\nshift 4\nbase=$1\nshift\ncat \"$@\" >>$base\n"


class Kernel(MadeUp):
    def setUp(self):
        super().setUp()
        self.linux = self.top + "/build/6.12/linux"
        os.makedirs(self.linux + "/scripts/kconfig")
        os.makedirs(self.top + "/series/6.12")
        shutil.copytree(report.ROOT + "/scripts/lib", self.top + "/scripts/lib",
                        ignore=lambda folder, names: [n for n in names if ".sh" not in n])
        self.copy("scripts/kernel.sh", "scripts/args.sh", "scripts/args.list")
        for name in ("guest", "ours", "debug"):
            self.write("scripts/config/%s.config" % name, "CONFIG_A=y\n# CONFIG_B is not set\n")
        self.write("scripts/tree.py", "#!/bin/sh\n")
        self.write("build/6.12/linux/Kbuild", "")
        self.write("build/6.12/linux/scripts/kconfig/merge_config.sh", MERGE)
        self.write("bin/make", MAKE)
        self.commit("build/6.12/linux", "Kbuild")

    def kernel(self, *words, **env):
        done = subprocess.run(
            [self.top + "/scripts/kernel.sh", *words], text=True, check=False,
            env={"PATH": self.top + "/bin:" + os.environ["PATH"], "HOME": self.top, **env},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.stdout, done.returncode

    def test_configuration_is_all_that_is_made(self):
        self.assertEqual(self.kernel("--configure", "debug"),
                         ("kernel: debug can be configured\n", 0))
        self.assertFalse(os.path.exists(self.linux + "/build-debug"))

    def test_option_that_is_lost_is_named(self):
        extra = self.write("extra", "CONFIG_LOST=m\nCONFIG_C=\"x=y\"\n")
        self.assertEqual(self.kernel("--configure", "ours", EXTRA_CONFIG=extra), (
            "kernel: ours cannot have what it asks for: CONFIG_LOST=m (is n)\n", 1))

    def test_option_that_should_be_off_is_named(self):
        self.write("scripts/config/guest.config", "CONFIG_B=n\n")
        self.write("scripts/config/ours.config", "")
        self.write("bin/make", MAKE.replace("grep -v LOST $obj/.config", "echo CONFIG_B=y"))
        self.assertEqual(self.kernel("--configure", "ours"), (
            "kernel: ours cannot have what it asks for: CONFIG_B=n (is y)\n", 1))

    def test_configuration_error_is_no_interrupted_build(self):
        extra = self.write("extra", "CONFIG_LOST=y\n")
        for _ in range(2):
            said, status = self.kernel("ours", EXTRA_CONFIG=extra)
            self.assertEqual(status, 1)
            self.assertNotIn("did not end", said)

    def test_build_that_failed_is_tidied_up_after(self):
        self.kernel("ours")
        self.assertIn("did not end", self.kernel("ours")[0])

    def test_garbage_is_refused_before_anything_is_laid_out(self):
        self.write("scripts/tree.py", "#!/bin/sh\necho laid out\n")
        extra = self.write("extra", "garbage\n")
        said, status = self.kernel("ours", EXTRA_CONFIG=extra)
        self.assertIn('line 1: "garbage"', said)
        self.assertNotIn("laid out", said)
        self.assertNotEqual(status, 0)


if __name__ == "__main__":
    unittest.main()

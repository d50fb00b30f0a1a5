# SPDX-License-Identifier: GPL-2.0-only
"""Tests of what unit.sh says, with a make that only leaves results."""

import os
import shutil
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from tests.made_up import MadeUp                                 # noqa: E402

MAKE = """#!/bin/sh
for word; do case $word in O=*) out=${word#O=} ;; esac; done
mkdir -p "$out"
printf '#!/bin/sh\\ncat "%s/ktap"\\n! grep -q "^not ok" "%s/ktap"\\n' "$TOP" "$TOP" >"$out/unit"
printf '#!/bin/sh\\necho 1..0\\n' >"$out/attacks"
chmod +x "$out"/*
"""
PASS = "KTAP version 1\n1..1\nok 1 split: it works\n"
FAIL = """KTAP version 1
1..2
# a remark
ok 1 split: it works
# test_show.c:111: the file is:
# index name
0 test
# and should be:
# index name
1 test
#\x20
not ok 2 split: virtqueues
"""


class Unit(MadeUp):
    def setUp(self):
        super().setUp()
        for folder in ("bin", "scripts", "series/6.12"):
            os.makedirs(os.path.join(self.top, folder))
        self.copy("scripts/unit.sh", "scripts/args.sh", "scripts/args.list")
        self.write("bin/make", MAKE)
        self.write("build/6.12/stock/drivers/virtio/virtio_ring.c", "old\n")
        self.write("series/6.12-fixes/0001-fix/hunks.patch",
                   "--- a/drivers/virtio/virtio_ring.c\n+++ b/drivers/virtio/virtio_ring.c\n"
                   "@@ -1 +1 @@\n-old\n+new\n")
        self.write("drivers/virtio/ring/core.c", "same\n")
        self.write("build/6.12/linux/drivers/virtio/ring/core.c", "same\n")

    def unit(self, ktap, *words, **env):
        self.write("ktap", ktap)
        done = subprocess.run(
            [self.top + "/scripts/unit.sh", *words], text=True, check=False,
            env={"PATH": self.top + "/bin:" + os.environ["PATH"], "TOP": self.top,
                 "COMPILERS": "gcc", "WORD": "it", **env},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.stdout.splitlines(), done.returncode

    def test_failure_is_shown_with_all_that_explains_it(self):
        said, status = self.unit(FAIL)
        self.assertEqual(said[-8:], [
            "gcc: # test_show.c:111: the file is:", "gcc: # index name", "gcc: # 0 test",
            "gcc: # and should be:", "gcc: # index name", "gcc: # 1 test",
            "gcc: not ok 2 split: virtqueues", "1 passed, 1 failed, 0 skipped"])
        self.assertEqual(status, 1)

    def test_trees_that_are_the_same_are_no_news(self):
        said, status = self.unit(PASS)
        self.assertEqual(said[0], "unit: the ring in userspace, gcc")
        self.assertEqual((said[-1], status), ("1 passed, 0 failed, 0 skipped", 0))

    def test_the_fixes_are_on_the_ring_that_is_attacked(self):
        self.unit(PASS)
        fixed = os.path.join(self.top, "build/6.12/unit/fixed/drivers/virtio/virtio_ring.c")
        with open(fixed, encoding="utf-8") as ring:
            self.assertEqual(ring.read(), "new\n")
        self.write("build/6.12/stock/drivers/virtio/virtio_ring.c", "newer\n")
        self.assertEqual(self.unit(PASS)[0][-1], "unit: series/6.12-fixes does not apply to " +
                         self.top + "/build/6.12/stock")

    def test_a_base_without_fixes_has_none(self):
        shutil.rmtree(os.path.join(self.top, "series/6.12-fixes"))
        self.assertEqual(self.unit(PASS)[1], 0)
        self.assertFalse(os.path.exists(os.path.join(self.top, "build/6.12/unit/fixed")))

    def test_edits_in_the_tree_that_kernels_are_built_from_are_named(self):
        self.write("drivers/virtio/ring/core.c", "other\n")
        self.write("build/6.12/linux/drivers/virtio/ring/new.c", "")
        self.assertEqual(
            self.unit(PASS)[0][0],
            "unit: build/6.12/linux, from which kernels are built, has other files than are "
            "tested here: drivers/virtio/ring/core.c drivers/virtio/ring/new.c "
            "(make tree or make refresh)")

    def test_wrong_arguments_are_refused_before_any_work(self):
        self.assertEqual(self.unit(PASS, "fuzz", FUZZ_S="soon"),
                         (["make fuzz: FUZZ_S=soon is no number"], 2))
        said, status = self.unit(PASS, "fuz")
        self.assertEqual((said, status), (["usage: scripts/unit.sh [valgrind|fuzz|corpus]"], 2))


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: GPL-2.0-only
"""Tests of check.sh on a made-up series and with made-up programs."""

import os
import re
import shutil
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lib import report                                           # noqa: E402
from tests.made_up import MadeUp                                 # noqa: E402

ABI = "Documentation/ABI/testing/"
COPIED = (ABI + "debugfs-virtio-virtqueues", ABI + "sysfs-bus-virtio-dma-access",
          "drivers/virtio/ring/debug.c", "drivers/virtio/ring/access.c",
          "scripts/check.sh", "scripts/lib/check/code.sh", "scripts/lib/check/text.sh",
          "scripts/lib/kbuild.sh", "scripts/lib/cached.sh")
SPHINX = """#!/bin/sh
echo "$*" >"$BUILDDIR.args"
mkdir -p "$BUILDDIR"
for word; do case $word in */docs-src/Documentation) cat "$word/abi.rst" ;; esac; done |
	sed 's/kernel-abi:: .*Documentation/Documentation/' >"$BUILDDIR/abi.html"
"""
TABLE = "====  ====\nname  what\n====  ====\none,  1\n%s====  ====\n"


class Check(MadeUp):
    def setUp(self):
        super().setUp()
        self.copy(*COPIED)
        self.write("series/6.12/cover", "")
        self.write("scripts/tree.py", "#!/bin/sh\n")
        self.write("README", "")
        self.write("build/6.12/linux/scripts/get_abi.pl", "")
        self.write("build/6.12/linux/base", "")
        self.commit("build/6.12/linux")
        self.write("build/6.12/linux/Documentation/ours.rst", "")
        self.commit("build/6.12/linux")

    def edit(self, name, old, new):
        with open(os.path.join(self.top, name), encoding="utf-8") as file:
            text = file.read()
        self.assertIn(old, text)
        self.write(name, text.replace(old, new, 1))

    def check(self, *names):
        done = subprocess.run(
            [self.top + "/scripts/check.sh", *names], text=True, check=False,
            env={"PATH": self.top + "/bin:" + os.environ["PATH"], "HOME": self.top, "JOBS": "2"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.stdout, done.returncode

    def test_each_check_of_the_table_is_a_function_and_the_reverse(self):
        functions = []
        for name in COPIED[4:7]:
            with open(os.path.join(report.ROOT, name), encoding="utf-8") as script:
                functions += re.findall(r"^check_([a-z-]+)\(\)$", script.read(), re.M)
        self.assertEqual(sorted(self.check("--list")[0].split()), sorted(functions))
        self.assertEqual(len(functions), 18)

    def test_unknown_name_is_refused_with_the_list(self):
        said, status = self.check("abi", "ab")
        self.assertEqual(status, 1)
        self.assertRegex(said, r"^check: no check is called 'ab'; there are: series .* columns\n$")

    def test_names_alone_are_run(self):
        said, status = self.check("length", "abi")
        self.assertEqual((said, status), (
            "TAP version 13\n1..2\nok 1 length\nok 2 abi\n2 passed, 0 failed, 0 skipped\n", 0))

    def test_program_that_is_missing_skips(self):
        self.edit("scripts/check.sh", "\nabi\t\tperl\n", "\nabi\t\tno-perl\n")
        self.assertIn("ok 1 abi # SKIP no-perl is not installed: scripts/deps.sh check\n"
                      "0 passed, 0 failed, 1 skipped\n", self.check("abi")[0])

    def test_column_without_a_document_fails(self):
        self.edit("drivers/virtio/ring/debug.c", "index name", "index age name")
        said, status = self.check("abi")
        self.assertEqual(status, 1)
        self.assertIn("# < age\n", said)

    def test_document_without_a_column_fails(self):
        self.edit("drivers/virtio/ring/debug.c", " in_use", "")
        self.assertIn("# > in_use\n", self.check("abi")[0])

    def test_word_without_a_document_fails(self):
        self.edit("drivers/virtio/ring/access.c", '"identity"', '"itself"')
        said, status = self.check("abi")
        self.assertEqual(status, 1)
        self.assertIn("# < itself\n", said)

    def maintainers(self, entry):
        for folder in ("", "build/6.12/linux/"):
            self.write(folder + "MAINTAINERS", "OTHER\nF:\tb\n\n%s\n" % entry)
        said, status = self.check("maintainers")
        return [line for line in said.splitlines()[3:-2] if status], status

    def test_files_and_their_maintainers_entry_agree(self):
        entry = "VIRTIO RING DMA\nF:\tDocumentation/\n"
        self.assertEqual(self.maintainers(entry), ([], 0))
        self.assertEqual(self.maintainers(entry + "F:\tgone.c\n"),
                         (["# MAINTAINERS: gone.c is not in the tree"], 1))
        self.assertEqual(self.maintainers("VIRTIO RING DMA\nF:\tbase\n"),
                         (["# Documentation/ours.rst: in no entry of MAINTAINERS"], 1))

    def test_patch_has_a_message_and_its_files(self):
        subprocess.run(["git", "init", "-q"], cwd=self.top, check=True)
        self.write("series/6.12/0001-a/message", "a\nb\n\nSigned-off-by: c\n")
        self.write("series/6.12/0001-a/files", "A drivers/virtio/ring/\nA kernel/gone.c\n")
        self.write("series/6.12/0002-b/files", "")
        said, status = self.check("series")
        self.assertEqual(status, 1)
        for line in ("series/6.12/0001-a/message: line 2 is not blank",
                     "series/6.12/0001-a/message:4: nobody gave this tag",
                     "series/6.12/0002-b: no message",
                     "Documentation/ours.rst: no license tag of GPL-2.0-only",
                     ABI + "debugfs-virtio-virtqueues: in 0 patches, not in one",
                     "kernel/gone.c: in a patch, but not here"):
            self.assertIn("# %s\n" % line, said)
        self.assertNotIn("debug.c", said)

    def test_symbol_that_the_base_exports_may_not_go(self):
        ring = "build/6.12/linux/drivers/virtio/"
        shutil.rmtree(self.top + "/build/6.12/linux/.git")
        self.write(ring + "virtio_ring.c", "EXPORT_SYMBOL_GPL(a);\nEXPORT_SYMBOL_GPL(b);\n")
        self.commit("build/6.12/linux")
        self.write(ring + "ring/core.c", "EXPORT_SYMBOL_GPL(a);\nEXPORT_SYMBOL_GPL(c);\n")
        said, status = self.check("exports")
        self.assertIn("# note: new: c EXPORT_SYMBOL_GPL\n# missing: b EXPORT_SYMBOL_GPL\n", said)
        self.assertEqual(status, 1)
        self.write(ring + "ring/core.c", "EXPORT_SYMBOL_GPL(a);\nEXPORT_SYMBOL_GPL(b);\n")
        self.assertEqual(self.check("exports")[1], 0)

    def test_warning_of_a_compiler_counts_on_lines_of_the_series_only(self):
        self.write("build/6.12/linux/drivers/a.c", "int a;\n")
        self.commit("build/6.12/linux")
        self.write("build/6.12/linux/scripts/kconfig/merge_config.sh", "#!/bin/sh\n")
        self.write("build/6.12/linux/scripts/config", "#!/bin/sh\n")
        for line, status in (("../drivers/a.c:2:1: warning: base", 0),
                             ("../drivers/a.c:1:5: warning: ours", 1)):
            self.write("bin/make", "#!/bin/sh\necho noise\ncase $* in *W=1*a.o) echo '%s' >&2\n"
                                   "esac\n" % line)
            said, ended = self.check("warnings")
            self.assertEqual((ended, "# drivers/a.c:1:5: warning: ours" in said.replace("../", "")),
                             (status, bool(status)))

    def docs(self, readme=""):
        self.write("README", readme)
        self.write("bin/sphinx-build", SPHINX)
        return self.check("docs")

    def test_documents_say_where_they_are_and_of_which_version(self):
        said, status = self.docs(TABLE % "two   2\n")
        self.assertIn("ok 1 docs\n# build/6.12/docs/index.html\n", said)
        self.assertEqual(status, 0)
        with open(self.top + "/build/6.12/docs.args", encoding="utf-8") as args:
            words = args.read().split()
        # The kernel's configuration joins these two with a dash.
        self.assertEqual([w for w in words if w.startswith(("version=", "release="))],
                         ["version=6.12"])

    def test_half_a_row_of_a_table_fails(self):
        said, status = self.docs(TABLE % "two\n")
        self.assertIn("README:5: half a row of a table: two\n", said)
        self.assertEqual(status, 1)

    def test_path_of_the_build_in_the_documents_fails(self):
        self.edit("scripts/lib/check/text.sh", "abi=$src/ABI", "abi=$top/ABI")
        self.assertEqual(self.docs()[1], 1)

    def test_misspelt_word_fails_but_not_the_base_s(self):
        subprocess.run(["git", "init", "-q"], cwd=self.top, check=True)
        self.write(".gitignore", "build/\n")
        self.write("bin/codespell", '#!/bin/sh\nshift 2\n! grep -n MISS""PELT "$@"\n')
        self.write("series/6.12/0001-a/hunks.patch", " MISSPELT\n+right\n")
        self.assertEqual(self.check("spelling")[1], 0)
        self.write("series/6.12/0001-a/hunks.patch", " right\n+MISSPELT\n")
        said, status = self.check("spelling")
        self.assertIn("# series/6.12/0001-a/hunks.patch:2:+MISSPELT\n", said)
        self.assertEqual(status, 1)
        self.write("series/6.12/0001-a/hunks.patch", "")
        self.write("kernel/a.c", "/* MISSPELT */\n")
        self.assertEqual(self.check("spelling")[1], 1)

    def test_line_that_is_too_long_fails_in_prose_only(self):
        subprocess.run(["git", "init", "-q"], cwd=self.top, check=True)
        self.write("a.rst", "a" * 80 + "\n\n==  ==\n" + "b" * 99 + "\n==  ==\n")
        self.write("kernel/a.c", "/* %s */\nint %s;\n" % ("c" * 90, "d" * 99))
        self.write("series/6.12/cover", "e" * 75 + "\n")
        self.write("series/6.12/0001-a/message", "f\n\n    %s\n" % ("g" * 99))
        self.assertEqual(self.check("columns"), (
            "TAP version 13\n1..1\nok 1 columns\n1 passed, 0 failed, 0 skipped\n", 0))
        self.write("a.rst", "a" * 81 + "\n\n==  ==\n" + "b" * 101 + "\n==  ==\n")
        self.write("kernel/a.c", "/* %s */\n\t * %s\n" % ("c" * 95, "d" * 90))
        self.write("series/6.12/cover", "e" * 76 + "\n")
        self.write("series/6.12/0001-a/message", "f\n\n%s\n" % ("g" * 76))
        said, status = self.check("columns")
        self.assertEqual(status, 1)
        for line in ("a.rst:1: beyond 80", "a.rst:4: beyond 100", "kernel/a.c:1: beyond 100",
                     "kernel/a.c:2: beyond 100", "series/6.12/cover:1: beyond 75",
                     "series/6.12/0001-a/message:3: beyond 75"):
            self.assertIn("# %s\n" % line, said)

    def configs(self, script):
        self.write("scripts/kernel.sh", script)
        for name in ("gcc", "clang", "aarch64-linux-gnu-gcc", "s390x-linux-gnu-gcc"):
            self.write("bin/" + name, "#!/bin/sh\n")
        return self.check("configs")

    def test_each_flavour_is_configured(self):
        said, status = self.configs('#!/bin/sh\necho "kernel: $2 can be configured"\n')
        self.assertEqual((said.splitlines()[2:], status),
                         (["ok 1 configs", "1 passed, 0 failed, 0 skipped"], 0))

    def test_flavour_that_cannot_be_configured_fails_and_says_why(self):
        said, status = self.configs(
            '#!/bin/sh\n[ "$2" != kcsan ] || { echo "kernel: kcsan lacks CONFIG_X=y"; exit 1; }\n'
            'echo "kernel: $2 can be configured"\n')
        self.assertIn("# kernel: kcsan lacks CONFIG_X=y\n", said)
        self.assertEqual(status, 1)


if __name__ == "__main__":
    unittest.main()

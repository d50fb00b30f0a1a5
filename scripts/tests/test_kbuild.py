# SPDX-License-Identifier: GPL-2.0-only
"""How kernels are compiled: scripts/lib/kbuild.sh and the compiler that it names."""

import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lib import report                                           # noqa: E402


class TestCompiler(unittest.TestCase):
    """The compiler behind a cache, which must not give back what is out of date."""

    def setUp(self):
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name

    def write(self, name, text):
        """A source file."""
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
            f.write(text)

    def compile(self, name, *flags):
        """Compile it as Kbuild does, with dependencies on the side; the object."""
        script = '. "$1/scripts/lib/kbuild.sh"; shift; exec $cc "$@"'
        environ = {k: v for k, v in os.environ.items() if not k.startswith("CCACHE_")}
        environ["CCACHE_DIR"] = os.path.join(self.dir, "cache")
        done = subprocess.run(
            ["bash", "-c", script, "compile", report.ROOT, "-Wp,-MMD,.out.d", *flags, "-c",
             "-o", "out.o", name],
            cwd=self.dir, env=environ, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(self.dir, "out.o"), "rb") as f:
            return f.read()

    def cached(self):
        """How often an object came from the cache."""
        stats = subprocess.run(
            ["ccache", "--print-stats"], env={**os.environ, "CCACHE_DIR": self.dir + "/cache"},
            capture_output=True, text=True, check=True).stdout
        return sum(int(line.split()[1]) for line in stats.splitlines()
                   if line.startswith(("direct_cache_hit", "preprocessed_cache_hit")))

    def test_object_comes_from_the_cache(self):
        self.write("a.c", "int one(void) { return 1; }\n")
        first = self.compile("a.c")
        self.assertEqual(self.compile("a.c"), first)
        self.assertEqual(self.cached(), 1)

    def test_header_that_changes_is_seen(self):
        self.write("a.c", '#include "a.h"\nint one(void) { return ONE; }\n')
        self.write("a.h", "#define ONE 1\n")
        first = self.compile("a.c")
        self.write("a.h", "#define ONE 2\n")
        self.assertNotEqual(self.compile("a.c"), first)

    def test_blob_of_the_same_size_is_seen(self):
        # The kernel's image in its boot code: piggy.S says no more than its size.
        self.write("piggy.S", '.data\n.incbin "blob"\n')
        self.write("blob", "je")
        self.assertTrue(b"je" in self.compile("piggy.S"))
        self.write("blob", "jn")
        self.assertTrue(b"jn" in self.compile("piggy.S"))

    def test_blob_in_c_is_seen(self):
        # Its configuration, CONFIG_IKCONFIG.
        self.write("configs.c", 'asm(".data\\n"\n    ".incbin \\"blob\\"\\n");\n')
        self.write("blob", "CONFIG_A")
        self.assertTrue(b"CONFIG_A" in self.compile("configs.c"))
        self.write("blob", "CONFIG_BCD")
        self.assertTrue(b"CONFIG_BCD" in self.compile("configs.c"))

    def test_failure_is_one(self):
        self.write("a.c", "#error no\n")
        with self.assertRaises(AssertionError):
            self.compile("a.c")
        self.write("piggy.S", '.incbin "nothing"\n')
        with self.assertRaises(AssertionError):
            self.compile("piggy.S")


class TestSources(unittest.TestCase):
    """Whether objects are of the sources as they are: kernel.sh writes down what each.sh
    compares, and both ask the same function."""

    def test_objects_are_of_the_sources_until_those_change(self):
        with tempfile.TemporaryDirectory() as top:
            def said(words):
                return subprocess.run(
                    ["bash", "-c", '. "$0/scripts/lib/kbuild.sh"; cd "$1"; ' + words,
                     report.ROOT, top], capture_output=True, text=True, check=False)
            said("git init -q; mkdir build-x tools; echo 1 >a.c; echo >tools/b; git add a.c tools; "
                 "git -c user.name=a -c user.email=b commit -qm a; sources . >build-x/.sources")
            self.assertEqual(said("is_built . build-x").returncode, 0)
            self.assertEqual(said("is_built . build-y").returncode, 1)
            said("echo 2 >a.c")
            self.assertEqual(said("is_built . build-x").returncode, 1)

    def test_each_starts_from_what_the_stock_kernel_left(self):
        with open(report.ROOT + "/scripts/each.sh", encoding="utf-8") as script:
            self.assertIn('is_built "$out/stock" build-stock', script.read())


if __name__ == "__main__":
    unittest.main()

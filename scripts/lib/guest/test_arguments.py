#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of what the scripts that boot guests refuse, and when: before any work."""

import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.dont_write_bytecode = True
SCRIPTS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, SCRIPTS)

import guest                                                     # noqa: E402
import run                                                       # noqa: E402
import selftest                                                  # noqa: E402
from lib import report                                           # noqa: E402
from lib.guest import expect, machine                            # noqa: E402

BASE = "nothing-is-built-for-this"
SHELL = ("guest.py", "shell")


class Arguments(unittest.TestCase):
    def start(self, *words, **env):
        """(status, stdout, stderr) of a script, which must not have built anything."""
        env = {**{k: v for k, v in os.environ.items() if k not in ("ACCEL", "QEMU", "QEMU_ARGS")},
               "BASE": BASE, **env}
        done = subprocess.run([sys.executable, "-B", os.path.join(SCRIPTS, words[0]), *words[1:]],
                              env=env, capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)
        self.assertFalse(os.path.exists(os.path.join(report.ROOT, "build", BASE)), words)
        return done.returncode, done.stdout, done.stderr

    def check_one_line(self, text, *words, **env):
        status, out, err = self.start(*words, **env)
        self.assertEqual((status, out, err.count("\n")), (1, "", 1), err)
        self.assertIn(text, err)

    def test_help_prints_the_usage_and_does_nothing(self):
        for script in ("run.py", "selftest.py", "guest.py"):
            for word in ("--help", "-h"):
                status, out, err = self.start(script, word, QEMU="/nonexistent")
                self.assertEqual((status, err), (0, ""))
                self.assertTrue(out.startswith("usage: " + script), out)

    def test_unknown_words_are_refused_with_the_usage(self):
        for words in (("run.py", "--foo"), ("run.py", "foo"), ("run.py", "--no-build", "foo"),
                      ("selftest.py", "--foo"), ("selftest.py", "foo"),
                      ("selftest.py", "--list", "foo"), ("selftest.py", "none-default", "foo"),
                      ("guest.py",), ("guest.py", "foo"), ("guest.py", "shell", "--foo"),
                      ("guest.py", "table", "--iommu", "foo"), ("guest.py", "run"),
                      ("guest.py", "table", "--", "ls"), ("guest.py", "shell", "--", "ls")):
            with self.subTest(words=words):
                status, out, err = self.start(*words, QEMU="/nonexistent")
                self.assertEqual((status, out), (2, ""))
                self.assertIn("usage: " + words[0], err)
                if "foo" in words[-1]:
                    self.assertIn("foo", err)

    def test_an_accelerator_that_is_none(self):
        for words in (("run.py",), ("selftest.py",), ("selftest.py", "none-default"), SHELL):
            self.check_one_line("ACCEL=foo: must be tcg, kvm or auto", *words, ACCEL="foo")

    def test_kvm_where_there_is_none(self):
        for main, words in ((run.main, []), (selftest.main, []), (guest.main, ["shell"])):
            with mock.patch.dict("os.environ", ACCEL="kvm"), \
                    mock.patch.object(machine.os, "open", side_effect=FileNotFoundError), \
                    mock.patch.object(expect, "build") as build, \
                    mock.patch.object(sys, "argv", ["x", *words]), \
                    self.assertRaisesRegex(report.Failure, "^ACCEL=kvm: /dev/kvm does not open"):
                main()
            build.assert_not_called()

    def test_a_qemu_that_is_not_there(self):
        for words in (("run.py",), ("selftest.py",), SHELL):
            self.check_one_line("/nonexistent is missing", *words, ACCEL="tcg", QEMU="/nonexistent")
            self.check_one_line("is it QEMU?", *words, ACCEL="tcg", QEMU="/bin/true")

    def test_arguments_of_qemu_with_an_open_quote(self):
        self.check_one_line("QEMU_ARGS=-x 'y: No closing quotation", *SHELL, QEMU_ARGS="-x 'y")

    def test_files_that_are_not_there(self):
        self.check_one_line("no kernel at /nonexistent", *SHELL, "--kernel", "/nonexistent")
        self.check_one_line("no initramfs at /nonexistent", *SHELL, "--initrd", "/nonexistent")

    def test_each_kernel_that_the_help_names(self):
        for kernel in guest.KERNELS:
            with mock.patch.object(sys, "argv", ["guest.py", "table", "--kernel", kernel]):
                self.assertEqual(guest.arguments().kernel, kernel)

    def test_names_of_boots_are_known_words(self):
        out = io.StringIO()
        with mock.patch.object(sys, "argv", ["selftest.py", "--list", "kmsan", "ours"]), \
                contextlib.redirect_stdout(out), mock.patch.object(selftest.signal, "signal"):
            self.assertEqual(selftest.main(), 0)
        self.assertIn("\nkmsan ", out.getvalue())


    def test_files_that_run_py_cites_are_there(self):
        source = ""
        for name in ("/run.py", "/run.toml"):
            with open(SCRIPTS + name, encoding="utf-8") as file:
                source += file.read()
        cited = re.findall(r"Documentation/[a-z/-]+\.rst", source)
        self.assertTrue(cited)
        for path in cited:
            self.assertTrue(os.path.exists(os.path.join(report.ROOT, path)), path)
        self.assertNotIn("DESIGN", source)


class Table(unittest.TestCase):
    """virtio-table, with a sysfs of one device that has a driver that it does not check."""

    def table(self, *words, **env):
        with open(SCRIPTS + "/guest/virtio-table", encoding="utf-8") as file:
            script = file.read()
        with tempfile.TemporaryDirectory() as top:
            dev = top + "/sys/devices/pci/0000:00:02.0/virtio0"
            os.makedirs(dev)
            os.makedirs(top + "/sys/bus/virtio/devices")
            os.makedirs(top + "/drivers/virtio_other")
            os.symlink(dev, top + "/sys/bus/virtio/devices/virtio0")
            os.symlink(top + "/drivers/virtio_other", dev + "/driver")
            for name, text in (("features", "0" * 32 + "11" + "0" * 30),
                               ("dma_access", "identity")):
                with open(dev + "/" + name, "w", encoding="ascii") as file:
                    file.write(text + "\n")
            self.other_device(top)
            script = script.replace("/sys/", top + "/sys/").replace("/tmp/virtio-table", top + "/w")
            # The path has letters that sort -t would cut at.
            script = script.replace("sort -t o -k 3 -n", "sort")
            done = subprocess.run(["sh", "-c", script, "virtio-table", *words], check=False,
                                  env={"PATH": os.environ["PATH"], **env}, capture_output=True,
                                  text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    @staticmethod
    def other_device(top):
        """One that is not virtio, and swiotlb, which has copied something by now."""
        dev, swiotlb = top + "/sys/bus/pci/devices/0000:00:03.0", top + "/sys/kernel/debug/swiotlb"
        for folder in (dev + "/iommu_group", swiotlb, top + "/drivers/other"):
            os.makedirs(folder)
        os.symlink(top + "/drivers/other", dev + "/driver")
        for path, text in ((dev + "/iommu_group/type", "identity"),
                           (swiotlb + "/io_tlb_used_hiwater", "7")):
            with open(path, "w", encoding="ascii") as file:
                file.write(text + "\n")

    def test_data_that_was_not_asked_for_is_not_mentioned(self):
        row = "virtio0    0000:00:02.0  virtio_other    identity          -         " \
            "ACCESS_PLATFORM,VERSION_1"
        self.assertEqual(self.table()[1:], [row, "  data: - none for this driver"])
        self.assertEqual(self.table("-n")[1:], [row])

    def test_rows_for_programs_have_a_word_in_its_place(self):
        self.assertEqual(self.table("-n", VDMA_OUT="x"), [
            "vdma-row: dev=virtio0 pci=0000:00:02.0 driver=virtio_other features="
            "ACCESS_PLATFORM,VERSION_1 group=- access=identity irq=- rings=- data=-"])

    def test_devices_that_are_not_virtio_have_rows_if_they_are_named(self):
        row = "vdma-row: dev=- pci=0000:00:03.0 driver=other features=- group=identity access=-" \
            " irq=- rings=- data="
        self.assertEqual(self.table("-n", "0000:00:03.0", VDMA_OUT="x")[1:], [row + "-"])
        self.assertEqual(self.table("0000:00:03.0", VDMA_OUT="x")[1:],
                         [row + "- none for this driver"])


if __name__ == "__main__":
    unittest.main()

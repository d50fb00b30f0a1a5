# SPDX-License-Identifier: GPL-2.0-only
"""Tests of make debian without a guest."""

import os
import re
import tempfile
import unittest
from types import SimpleNamespace
from unittest import mock

import debian
from lib import report
from lib.debian import config, guest, image, plan
from lib.guest.result import Result

WHOLE = """#
# Automatically generated
#
CONFIG_64BIT=y
CONFIG_VIRTIO_BLK=m
CONFIG_WLAN_CARD=m
# CONFIG_DEBUG_INFO_NONE is not set
CONFIG_BUILD_SALT="6.12"
"""


class Hosts(unittest.TestCase):
    def test_no_script_names_a_host_to_fetch_from(self):
        named = []
        for here, _, files in os.walk(report.ROOT + "/scripts"):
            for name in files:
                if name.endswith((".py", ".sh", ".toml", ".list")) and \
                        not name.startswith("test_"):
                    with open(os.path.join(here, name), encoding="utf-8") as file:
                        named += [name for line in file if re.search(r"\w://\w", line)]
        self.assertEqual(named, [])


class Config(unittest.TestCase):

    def test_only_modules_that_are_wanted_stay(self):
        self.assertEqual(config.cut(WHOLE, "# disks\nCONFIG_VIRTIO_BLK=m\n"),
                         "CONFIG_64BIT=y\nCONFIG_VIRTIO_BLK=m\n# CONFIG_WLAN_CARD is not set\n"
                         "# CONFIG_DEBUG_INFO_NONE is not set\nCONFIG_BUILD_SALT=\"6.12\"\n")

    def test_other_lines_are_merged(self):
        text = config.cut(WHOLE, "CONFIG_DEBUG_INFO_NONE=y\n# CONFIG_64BIT is not set\n")
        self.assertIn("CONFIG_DEBUG_INFO_NONE=y\n", text)
        self.assertIn("# CONFIG_64BIT is not set\n", text)

    def test_a_module_that_debian_has_not(self):
        with self.assertRaisesRegex(report.Failure, "has no module CONFIG_9P_FS$"):
            config.cut(WHOLE, "CONFIG_9P_FS=m\nCONFIG_VIRTIO_BLK=m\n")

    def test_what_was_lost_in_the_build(self):
        wanted = "CONFIG_VIRTIO_BLK=m\n# CONFIG_BTF is not set\n"
        self.assertEqual(config.lost("CONFIG_VIRTIO_BLK=m\n", wanted), [])
        self.assertEqual(config.lost("CONFIG_VIRTIO_BLK=y\nCONFIG_BTF=y\n", wanted),
                         ["CONFIG_VIRTIO_BLK", "CONFIG_BTF"])

    def test_the_list_is_of_configuration_lines(self):
        with open(config.LIST, encoding="ascii") as file:
            text = file.read()
        self.assertEqual(config.options(text)["CONFIG_VIRTIO_BLK"], "CONFIG_VIRTIO_BLK=m")
        names = [name for name in config.options(text)]
        self.assertEqual(len(names), len([line for line in text.splitlines()
                                          if line.startswith("CONFIG_") or
                                          line.endswith(" is not set")]))


class Images(unittest.TestCase):

    def test_versions_of_the_kernels(self):
        self.assertEqual(image.version_of(["vmlinuz-6.12.1+deb13-cloud-amd64", "root.img",
                                           "vmlinuz-6.12.1-virtio-dma", "initrd.img-x"]),
                         ("6.12.1+deb13-cloud-amd64", "6.12.1-virtio-dma"))
        with self.assertRaisesRegex(report.Failure, "has kernels none"):
            image.version_of(["root.img"])

    def test_what_is_made_is_made_once(self):
        with tempfile.TemporaryDirectory() as top:
            cache = image.Cache(SimpleNamespace(cache=top, build=top, rel=str))
            made = []

            def make(folder):
                made.append(folder)
                with open(folder + "/file", "w", encoding="ascii"):
                    pass
            first = cache.made("base", "k", make)
            self.assertEqual((cache.made("base", "k", make), os.listdir(first), len(made)),
                             (first, ["file"], 1))
            with self.assertRaises(ZeroDivisionError):
                cache.made("base", "other", lambda _: 1 / 0)
            self.assertEqual([n for n in os.listdir(cache.top) if not n.startswith(".lock")],
                             ["base-k"])

    def test_what_is_old_is_removed(self):
        with tempfile.TemporaryDirectory() as top:
            cache = image.Cache(SimpleNamespace(cache=top, build=top, rel=str))
            old, new = (cache.made("image", key, lambda _: None) for key in ("old", "new"))
            os.utime(old, (0, 0))
            cache.made("image", "third", lambda _: None)
            self.assertEqual((os.path.exists(old), os.path.exists(new)), (False, True))


class Judge(unittest.TestCase):

    def test_a_journal_without_what_changes(self):
        lines = ["Nov 27 22:10:01 debian kernel: foo 0xffff1234: took 12.5 s",
                 "Nov 27 22:10:01 debian systemd[123]: 3 units failed"]
        other = ["Nov 28 01:00:59 debian kernel: foo 0x1: took 3 s",
                 "Nov 28 01:00:59 debian systemd[7]: 14 units failed"]
        self.assertEqual(guest.journal(lines), guest.journal(other))
        self.assertNotEqual(guest.journal(lines[:1]), guest.journal(lines[1:]))

    def compared(self, ours, stock):
        return plan.compared(Result("ours", output=ours), Result("stock", output=stock))

    def test_a_new_line_of_the_journal_fails(self):
        known = "journal: Nov 27 22:10:01 debian kernel: old"
        new = "journal: Nov 27 22:10:02 debian kernel: virtio_blk: broken"
        self.assertTrue(self.compared([known], [known])["journal"][0])
        self.assertTrue(self.compared([], [known])["journal"][0])
        slow = "journal: Nov 27 22:10:02 debian kernel: hrtimer: interrupt took 36004882 ns"
        self.assertTrue(self.compared([known, slow], [known])["journal"][0])
        okay, text = self.compared([known, new], [known])["journal"]
        self.assertEqual((okay, text),
                         (False, "new: Nov 27 22:10:02 debian kernel: virtio_blk: broken"))

    def test_a_module_of_stocks_that_is_missing_fails(self):
        self.assertEqual(self.compared(["module: a", "module: b"], ["module: a"])["modules"],
                         (True, "2 loaded, all of stock's among them"))
        self.assertEqual(self.compared(["module: b"], ["module: a"])["modules"],
                         (False, "not loaded: a"))

    @staticmethod
    def rows(access, group="identity"):
        return ["vdma-row: dev=virtio%d pci=0000:00:0%d.0 driver=virtio_%s features=VERSION_1"
                " group=%s access=%s irq=msi rings=- data=-" % (
                    slot - 2, slot, kind, group, "physical" if slot == 6 else access)
                for slot, kind in ((2, "blk"), (3, "blk"), (4, "net"), (5, "rng"), (6, "blk"))]

    def test_devices_are_where_they_should_be(self):
        run = SimpleNamespace(kernel="ours", mode="default",
                              guests=[SimpleNamespace(machine=guest.machine())])
        rows = self.rows("identity")
        self.assertTrue(plan.devices(run, Result("x", output=rows))[0])
        self.assertEqual(plan.devices(run, Result("x", output=rows[1:])),
                         (False, "root is missing"))
        run.mode = "on"
        self.assertEqual(plan.devices(run, Result("x", output=rows))[0], False)
        rows = self.rows("translated-lazy", "DMA-FQ")
        rows[1] = self.rows("identity")[1]
        self.assertEqual(plan.devices(run, Result("x", output=rows)), (
            True, "root translated-lazy, spare identity, nic0 translated-lazy, "
                  "rng0 translated-lazy, work physical"))

    def test_a_file_that_was_synced_and_is_gone_fails(self):
        before = Result("x", output=["written file1 aa", "written file2 bb"])
        self.assertEqual(plan.kept(before, Result("x", output=["found file1 aa", "found file2 bb",
                                                               "found file3 00"])),
                         (True, "2 files written and synced, all there"))
        self.assertEqual(plan.kept(before, Result("x", output=["found file1 aa",
                                                               "found file2 00"])),
                         (False, "lost or other: file2 bb"))
        self.assertEqual(plan.kept(Result("x"), Result("x")), (False, "nothing was written"))

    def test_a_problem_of_a_boot_fails_a_row(self):
        run = SimpleNamespace(kernel="ours", mode="on", scenario="fio",
                              guests=[SimpleNamespace(logins=1)])
        good = Result("x", output=["debian: ok raw 3 GiB"])
        self.assertEqual(plan.checks(run, [good]), {"raw": (True, "3 GiB")})
        bad = Result("x", output=["debian: ok raw 3 GiB"], problems=["kernel: BUG: x"])
        self.assertEqual(plan.checks(run, [bad])["end"], (False, "kernel: BUG: x"))
        run.guests[0].logins = 0
        self.assertEqual(plan.checks(run, [Result("x", problems=["timed out"])]),
                         {"login": (False, "timed out")})


class Rows(unittest.TestCase):

    @staticmethod
    def run_of(kernel, mode):
        return SimpleNamespace(kernel=kernel, mode=mode, scenario="fio",
                               guests=[SimpleNamespace(logins=1)],
                               row=lambda what: "fio/%s/%s" % (mode, what))

    def judged(self, stock, ours, **problems):
        results = [[Result("s", output=stock)], [Result("o", output=ours, **problems)]]
        return [(row["row"], row["ok"], row["stock"], row["ours"]) for row in debian.judge(
            [self.run_of("stock", "default"), self.run_of("ours", "on")], results)]

    def test_stock_stands_beside_ours(self):
        self.assertEqual(
            self.judged(["debian: FAIL raw bad block", "debian: ok ext4 fine"],
                        ["debian: ok raw fine"]),
            [("fio/on/raw", True, "FAIL bad block", "fine"),
             ("fio/on/ext4", False, "fine", "not reached")])

    def test_a_line_of_ktap(self):
        row = {"row": "fio/on/raw", "ok": False, "ours": "bad block"}
        self.assertEqual(debian.ktap(3, row), "not ok 3 fio/on/raw # bad block")

    def test_every_scenario_has_steps_that_the_guest_knows(self):
        with open(guest.GUEST + "debian", encoding="ascii") as file:
            text = file.read()
        for name, scenario in plan.SCENARIOS.items():
            for word in " ".join(scenario.steps).split():
                case = word.split(":")[0] + (":*" if ":" in word else "")
                self.assertTrue("\n\t%s)" % case in text, "%s: %s" % (name, word))


class Console(unittest.TestCase):

    def test_somebody_logs_in(self):
        said = []
        man = guest.DebianGuest("x", image.Image("disk", {"ours": "1"}, "/boot", "x.deb"),
                                "ours", "", ["boot"])
        man.console = mock.Mock(sendall=said.append)
        man.lines = {man.console: [b"", lambda line: None]}
        for text in (b"debian lo", b"gin: ", b"[ 12.0] kernel: noise\r\nPassword: ",
                     b"\r\nLinux\r\nroot@debian:~# "):
            man._feed(man.lines[man.console], text)     # pylint: disable=protected-access
        self.assertEqual(said[:2], [b"root\n", image.PASSWORD.encode() + b"\n"])
        self.assertIn(b"sh /run/work/debian boot ", said[2])
        self.assertEqual(man.logins, 1)


if __name__ == "__main__":
    unittest.main()

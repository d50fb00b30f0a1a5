# SPDX-License-Identifier: GPL-2.0-only
"""A guest that boots Debian from a disk, and in which somebody logs in on the console."""

import os
import re
import signal
import subprocess
import tarfile
import time
from contextlib import suppress

from lib import report
from lib.debian import image
from lib.debian.image import PASSWORD
from lib.guest import vm
from lib.guest.expect import Expect
from lib.guest.vm import MIB, Device, Machine

ROOT, SPARE, PLAIN, NIC = "root", "spare", "work", "nic0"
SPARE_PCI = "0000:00:03.0"
GUEST = report.ROOT + "/scripts/guest/"
WORK = ("debian", "virtio-table")       # programs that the guest finds on the disk PLAIN

# Kernel parameters of each mode, and what a device behind the vIOMMU shows then: the
# spare disk is passed through where the others are translated.
MODES = {"default": "", "pt": "iommu=pt", "on": "iommu=on virtio_dma=%s:pt" % SPARE_PCI}
IDENTITY = Expect("identity", "identity", "-")
BEHIND = {"default": IDENTITY, "pt": IDENTITY, "on": Expect("DMA-FQ", "translated-lazy", "-")}
STOCK = Expect("DMA-FQ", "-", "-")

# What is asked on the console, and the answers: somebody logs in and has a command run,
# whose words go to the second serial port.
LOG_IN = (("debian login: ", "root"), ("Password: ", PASSWORD))
PROMPT = ":~# "
RUN = ("stty -F /dev/ttyS1 raw -echo; mkdir -p /run/work; "
       "tar -xf /dev/disk/by-id/virtio-%s -C /run/work; sh /run/work/debian %%s "
       ">/dev/ttyS1 2>&1; " % PLAIN)
# How it goes on, after each command but the last and after that.
NEXT = "systemctl $(cat /run/next || echo reboot)"
LAST = "echo \"vdma: exit $?\" >/dev/ttyS1; systemctl poweroff"
# The console takes time: it gets warnings and what is worse.
ALWAYS = "root=LABEL=root loglevel=5 systemd.show_status=error " \
    "systemd.default_device_timeout_sec=1h"
AUTOLOGIN = "systemd.set_credential=agetty.autologin:root " \
    "systemd.set_credential=login.noauth:yes"


def machine(memory="1G"):
    """Two disks, a NIC and a source of random bytes behind the vIOMMU, and a disk that
    ignores it.  The vCPUs take turns: while one patches the kernel's text, another may
    still run what QEMU (7.2) translated of it before, and die of an int3."""
    return Machine("intel", [
        Device("blk", ROOT, access=True, slot=2),
        Device("blk", SPARE, access=True, slot=3, size=512 * MIB),
        Device("net", NIC, access=True, slot=4), Device("rng", "rng0", access=True, slot=5),
        Device("blk", PLAIN, slot=6, size=256 * MIB)], memory=memory, one_thread=True)


def expects(kernel, mode):
    """What each device must show: {id: Expect}."""
    behind = STOCK if kernel == "stock" else BEHIND[mode]
    past = Expect(behind.group, "-" if kernel == "stock" else "physical", "-")
    return {ROOT: behind, NIC: behind, "rng0": behind, PLAIN: past,
            SPARE: IDENTITY if mode == "on" and kernel != "stock" else behind}


class DebianGuest(vm.Guest):
    """debian: an Image, of which each guest has a copy on write in folder; kernel: stock or
    ours.  commands: what scripts/guest/debian is told, each after another boot and login;
    none where a guest goes on that was there before."""

    movable = False

    def __init__(self, name, debian, kernel, append, commands, folder=None, timeout=900,
                 progress=None, devices=None, expected=()):
        self.image, self.folder = debian, folder
        super().__init__(name, debian.kernel(kernel), debian.initrd(kernel), devices or machine(),
                         append, commands, timeout, progress=progress, expected=expected)

    def _begin(self):
        super()._begin()
        self.console, self.said, self.logins = None, "", 0
        self.script = []
        for number, command in enumerate(self.command, 1):
            self.script += [*LOG_IN, (PROMPT, RUN % command + (
                NEXT if number < len(self.command) else LAST))]

    # -- what QEMU is started with --

    def command_line(self, interactive=False):
        self.append = "%s %s" % (ALWAYS, self.append)
        args = super().command_line(interactive=True)
        if len(self.command) > 1:
            args.remove("-no-reboot")
        return args

    def _path(self, device, end):
        """Images outlive a boot if there is a folder for them."""
        return os.path.join(self.folder or self.dir, device.id + end)

    def _image(self, device):
        path = self._path(device, ".img")
        self.images[device.id] = path
        if os.path.exists(path):
            return path
        if device.id == ROOT:
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b",
                            self.image.disk, path], check=True)
        elif device.id == PLAIN:
            with tarfile.open(path, "w") as tar:
                for name in WORK:
                    tar.add(GUEST + name, name)
                if "upgrade" in self.command:
                    tar.add(self.image.package, "ours.deb")
            os.truncate(path, device.size)
        else:
            return super()._image(device)
        return path

    def _behind_blk(self, device):
        before, words, after = super()._behind_blk(device)
        form = "qcow2" if device.id == ROOT else "raw"
        return [word.replace("format=raw", "format=" + form).replace("unsafe", "writeback")
                for word in before], words, after

    # -- while it runs --

    def _watch(self, first, second, deadline):
        self.console = first
        return super()._watch(first, second, deadline)

    def _feed(self, buffered, data):        # pylint: disable=arguments-differ
        super()._feed(buffered, data)
        if buffered is self.lines.get(self.console) and self.script:
            self.said = (self.said + data.decode("utf-8", "replace"))[-4096:]
            prompt, answer = self.script[0]
            if prompt in self.said:
                self.said = ""
                self.script.pop(0)
                self.logins += prompt == PROMPT
                self.console.sendall((answer + "\n").encode())

    def _output_line(self, line):
        cut = re.match(r"vdma: cut (\d+)$", line)
        if line in ("vdma: crashes", "vdma: sleeps"):
            self.result.exit_code = self.expect_exit
        elif cut:
            self._in_background(self._cut, (int(cut[1]),))
        super()._output_line(line)

    def _end(self):
        """Until nobody has the disks: QEMU outlives timeout(1) for a moment."""
        super()._end()
        with suppress(ProcessLookupError):
            for _ in range(600):
                os.killpg(self.qemu.pid, 0)
                time.sleep(0.1)

    def _cut(self, seconds):
        """The power fails."""
        time.sleep(seconds)
        self.result.exit_code = self.expect_exit
        os.killpg(self.qemu.pid, signal.SIGKILL)


_CHANGING = ((r"^\w{3} +\d+ [\d:]+ \S+ ", ""), (r"\[\d+\]:", ":"), (r"0x[0-9a-f]+", "N"),
             (r"6\.\d+\.\d+\S*", "VERSION"), (r"\b\d+(\.\d+)?", "N"))


# What only a host that is short of time brings about.
_SLOW = re.compile(r"hrtimer: interrupt took|perf: interrupt took too long|hogged CPU for"
                   r"|clocksource: .*(skew|unstable|watchdog)|Lost \d+ RTC interrupts"
                   r"|tsc: Unable to calibrate|APIC calibration not consistent|TSC found unstable"
                   r"|not authenticated soon enough|is taking (a long time|longer than)")


def warnings(lines):
    """Lines of a journal, but those that blame the host."""
    return [line for line in lines if not _SLOW.search(line)]


def journal(lines):
    """Lines of a journal without what is another on each boot."""
    plain = []
    for line in lines:
        for pattern, instead in _CHANGING:
            line = re.sub(pattern, instead, line)
        plain.append(line)
    return plain


def shell(extra, append):
    """A shell on this terminal, with more arguments of QEMU and kernel parameters."""
    debian = image.provide()
    where = machine()
    where.extra = extra
    return vm.shell(where, "ours", None, "%s %s" % (AUTOLOGIN, append),
                    lambda name, kernel, _, devices, words: DebianGuest(
                        name, debian, kernel, words, (), devices=devices))

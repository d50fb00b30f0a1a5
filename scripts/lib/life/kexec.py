# SPDX-License-Identifier: GPL-2.0-only
"""A guest in which one kernel starts another, after a crash or without one, and what
is looked at from outside: both kernels' devices, and the dump of the first's memory."""

import os
import re
import shutil
import struct

from lib import report
from lib.guest import expect, log, vm
from lib.life import guest, plan
from lib.guest.vm import MIB

BOOT = re.compile(r"vdma: boot (\S+)$")
KERNEL_STARTS = re.compile(r"Linux version ")
# What the first kernel may say: one that is told to crash, the panic and its trace; one
# that shuts its devices down beneath the load, that requests fail.
LAST_WORDS = {"kdump": r"Kernel panic - not syncing: sysrq triggered crash|Call Trace:",
              "kexec": plan.IO_ERROR}

PT_LOAD = 1
# Memory that the crash kernel needs for itself, for its other processors.
LOW_MEMORY = MIB
# Of what the firmware keeps, and of the end of a range that is not a whole page.
NOT_DUMPED = 4 * MIB


class KexecGuest(guest.LifeGuest):
    """The guest of a KexecBoot; kernel is the flavour of the one that is started."""

    def __init__(self, boot, kernel, progress):
        super().__init__(boot, kernel, progress)
        self.second = self.kernel, vm.initramfs("crash")
        if boot.first == "stock":
            self.kernel = vm.kernel_image("stock")
        self.serve.update(kexec=lambda _: self.second_line(), dumped=self._dumped)

    def _device(self, device):
        args = super()._device(device)
        if device.id == "kernels":
            share = self.shares[device.id]
            for path, name in zip(self.second, ("bzImage", "initrd")):
                shutil.copyfile(path, os.path.join(share, name))
        return args

    def second_line(self):
        """Command line of the second kernel."""
        scenario, = self.plan.scenarios
        words = [*vm.ALWAYS, *self.machine.parameters(), plan.SECOND[self.plan.mode]]
        # No more of them than the first kernel has stopped for sure.
        words += ["nr_cpus=1"] if scenario == "kdump" else []
        return " ".join(filter(None, words)) + " -- life %s:second" % scenario

    def _dumped(self, size):
        """Compare a dump of so many bytes with what QEMU has as memory."""
        path = os.path.join(self.dir, "memory")
        self.qmp.command("pmemsave", val=0, size=self.machine.memory_bytes(), filename=path)
        try:
            with open(path, "rb") as memory, open(self.images["vtdump"], "rb") as dump:
                same = compare(dump, int(size), memory)
        finally:
            os.unlink(path)
        reserved = int(re.search(r"crashkernel=(\d+)M", self.append).group(1)) * MIB
        expected = self.machine.memory_bytes() - reserved - NOT_DUMPED
        if same < expected:
            raise report.Failure("the dump has %d MiB of memory, expected %d"
                                 % (same // MIB, expected // MIB))
        return "%d MiB dumped" % (same // MIB)

    # -- the verdict --

    def kernel_lines(self):
        """(scenario, line) of what the kernels should not have said."""
        scenario, = self.plan.scenarios
        lines = self.result.kernel
        starts = [n for n, line in enumerate(lines) if KERNEL_STARTS.search(line)]
        second = starts[1] if len(starts) > 1 else len(lines)
        found = [line for n, line in enumerate(lines)
                 if (guest.BROKEN.search(line) or log.is_splat(line)) and
                 not (n < second and re.search(LAST_WORDS[scenario], line))]
        return [(scenario, line) for line in found]

    def first_problems(self, stock):
        """What is wrong with the boots that there were, and with the first kernel's
        devices."""
        boots = []
        for line in self.result.output:
            match = BOOT.match(line)
            if match:
                boots.append((match.group(1), []))
            elif boots:
                boots[-1][1].append(line)
        if len(boots) != 2:
            return ["%d kernels came up, expected 2" % len(boots)]
        (release, lines), (second, _) = boots
        if not stock and self.plan.first == "stock" and release == second:
            return ["the first kernel is no other than the second"]
        found = {row.pci: row for row in log.parse_rows(lines)}
        wrong = []
        for device in self.machine.devices if self.plan.first != "stock" and not stock else ():
            if device.access:
                wrong += ["first kernel: " + problem for problem in expect.compare(
                    device, self.plan.expect_first(True), found.get(device.pci()))]
        return wrong


def segments(dump, size):
    """(offset in the file, physical address, length) of what a vmcore has."""
    head = dump.read(64)
    if len(head) < 64 or head[:6] != b"\x7fELF\x02\x01":
        raise report.Failure("the dump is no ELF file of 64 bits")
    table, = struct.unpack_from("<Q", head, 32)
    width, number = struct.unpack_from("<HH", head, 54)
    dump.seek(table)
    entries = [struct.unpack_from("<IIQQQQ", dump.read(width)) for _ in range(number)]
    loads = [(offset, address, length) for kind, _, offset, _, address, length in entries
             if kind == PT_LOAD and length]
    if not loads or max(offset + length for offset, _, length in loads) > size:
        raise report.Failure("the dump is cut off at %d bytes" % size)
    return loads


def compare(dump, size, memory):
    """Bytes of memory that the dump has, all of which must be right."""
    have = set()
    for offset, address, length in segments(dump, size):
        dump.seek(offset)
        memory.seek(address)
        end = address + length
        while address < end:
            step = min(MIB - address % MIB, end - address)
            ours, theirs = dump.read(step), memory.read(step)
            if address >= LOW_MEMORY and ours != theirs:
                where = next((n for n, pair in enumerate(zip(ours, theirs)) if pair[0] != pair[1]),
                             min(len(ours), len(theirs)))
                raise report.Failure("the dump of 0x%x is not what is there" % (address + where))
            have.update(range(address // 4096, (address + step) // 4096))
            address += step
    return len(have) * 4096

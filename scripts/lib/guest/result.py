# SPDX-License-Identifier: GPL-2.0-only
"""What came of a boot, and whether QEMU has to answer for it."""

import re
import signal
from dataclasses import dataclass, field

from lib.guest import log as guest_log


@dataclass
class Result:
    """What came of a boot.  problems is empty if all went well."""
    name: str
    seconds: float = 0.0
    exit_code: object = None
    signal: str = ""                                # that QEMU was ended by
    problems: list = field(default_factory=list)
    output: list = field(default_factory=list)      # the command's lines
    kernel: list = field(default_factory=list)      # the kernel's log
    trace: list = field(default_factory=list)       # lines of QEMU's trace
    log: str = ""

    @property
    def ok(self):
        return not self.problems

    def rows(self):
        return guest_log.parse_rows(self.output)


# While one vCPU moves a BAR, the thread of another may have an access that was meant
# for its APIC go to a device's MSI-X table, or to no memory region at all: QEMU looks
# an old entry of its TLB up in the new memory map.  7.2 does not notice the latter.
QEMU_RACE = ("QEMU: .*: (msix_table_mmio_write: Assertion "
             "|iotlb_to_section: Assertion `section_index < )")


def lost_by_qemu(result):
    """Did QEMU (TCG) end by itself: by an assertion, before the guest had a process;
    or by a bad address, before the guest had a driver that could have given it one?"""
    if any(line.startswith("vdma: boot") for line in result.output):
        return False
    return any(re.match(QEMU_RACE, problem) for problem in result.problems) or (
        result.signal == "SIGSEGV" and
        any("pci 0000:" in line for line in result.kernel) and
        not any("PCI: CLS" in line for line in result.kernel))     # the scan's end


def fatal_signal(status):
    """The name of the signal by which a child, or timeout(1)'s, ended by its own
    fault; or an empty string."""
    number = -status if status < 0 else status - 128
    faults = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
    return signal.Signals(number).name if number in faults else ""

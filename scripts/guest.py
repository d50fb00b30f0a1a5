#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-only
"""usage: guest.py shell|table|run [options] [-- COMMAND...]

Boot a guest under QEMU.
  shell   give a shell in the guest on this terminal (make boot); APPEND= adds
          kernel parameters, QEMU_ARGS= adds arguments of QEMU
  table   print the guest's table of virtio devices
  run     run COMMAND in the guest and exit with its status
"""

import argparse
import os
import shlex
import sys

from lib import report
from lib.debian import guest as debian
from lib.guest import expect, vm
from lib.guest.vm import Machine
from run import devices

KERNELS = ("ours", "stock", "debug", "kcsan", "modular")


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["shell", "table", "run"])
    parser.add_argument("--kernel", default="ours",
                        help="ours, stock, debug, kcsan, modular or the path of a bzImage")
    parser.add_argument("--initrd", help="another initramfs")
    parser.add_argument("--iommu", default="intel",
                        choices=["none", "intel", "intel-caching", "amd", "virtio"])
    parser.add_argument("--append", default=os.environ.get("APPEND") or "",
                        help="kernel parameters")
    parser.add_argument("--name", help="name of the log")
    parser.add_argument("--timeout", type=int, default=300)
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:cut])
    args.command = words[cut + 1:]
    if (args.verb == "run") != bool(args.command):
        parser.error("run: which command?  guest.py run -- COMMAND..." if args.verb == "run"
                     else "only run takes a command")
    try:
        args.extra = shlex.split(os.environ.get("QEMU_ARGS") or "")
    except ValueError as error:
        raise report.Failure("QEMU_ARGS=%s: %s" % (os.environ["QEMU_ARGS"], error)) from None
    for path, what in ((args.kernel, "kernel"), (args.initrd, "initramfs")):
        if path and path not in KERNELS and not os.path.exists(path):
            raise report.Failure("no %s at %s" % (what, path))
    return args


def main():
    args = arguments()
    vm.check_host()
    if args.verb == "shell" and os.environ.get("ROOT"):
        return debian.shell(args.extra, args.append)
    machine = Machine(args.iommu, devices(), extra=args.extra)
    reason = machine.missing()
    if reason:
        raise report.Failure(reason)
    kernel, flavour = args.kernel, "modular" if args.kernel == "modular" else "plain"
    if kernel in KERNELS:
        if args.verb == "shell":
            expect.build(["kernel.sh", kernel], ["initramfs.sh", flavour])
        kernel = vm.kernel_image(kernel)
    initrd = args.initrd or vm.initramfs(flavour)
    if args.verb == "shell":
        return vm.shell(machine, kernel, initrd, args.append)
    command = ["virtio-table"] if args.verb == "table" else args.command
    guest = vm.Guest(args.name or args.verb, kernel, initrd, machine, args.append, command,
                     args.timeout)
    result = guest.boot()
    if args.verb == "table":
        by_pci = {d.pci(): d for d in machine.devices}
        rows = [[by_pci[r.pci].id if r.pci in by_pci else r.dev, r.driver,
                 ",".join(r.features), r.group, r.access, r.data] for r in result.rows()]
        for line in report.format_table(
                ["device", "driver", "features", "group", "dma_access", "data"], rows):
            print(line)
    else:
        print("\n".join(result.output))
    for problem in result.problems:
        print("guest.py: %s (log: %s)" % (problem, result.log), file=sys.stderr)
    return result.exit_code or (0 if result.ok else 1)


if __name__ == "__main__":
    report.main_guard(main)

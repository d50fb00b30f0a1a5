# SPDX-License-Identifier: GPL-2.0-only
"""A guest under QEMU: how it is booted, watched and judged.  Nothing here knows
what a test expects."""

import concurrent.futures
import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from lib import report
from lib.guest import log
from lib.guest.backends import (Backends, disk_contents,       # noqa: F401  # pylint: disable=W0611
                                tap_missing)
from lib.guest.machine import (MIB, QEMU, Device,  # noqa: F401  # pylint: disable=W0611
                               Machine, check_host, qemu_devices, qemu_version, trace_events)
from lib.guest.qmp import Qmp
from lib.guest.requests import Requests
from lib.guest.result import Result, fatal_signal, lost_by_qemu

# What QEMU is asked to trace on every boot: a DMA that the IOMMU refused.
FAULT_EVENTS = ("vtd_dmar_fault", "amdvi_page_fault", "virtio_iommu_report_fault")

# Parameters of every boot.  On a host that is short of time an RCU stall is no more
# than the host looking elsewhere.
ALWAYS = ("panic=-1", "rcupdate.rcu_cpu_stall_timeout=100")

# Set when the run is being given up: guests end at once.
STOP = threading.Event()


def _built(name, script, flavour):
    path = os.path.join(report.BUILD, name)
    if not os.path.exists(path):
        raise report.Failure("%s is missing: scripts/%s %s it" % (path, script % flavour,
                             "builds" if script.startswith("kernel") else "packs"))
    return path


def kernel_image(flavour):
    """Path of a built kernel: ours or another flavour of kernel.sh."""
    return _built("bzImage" + ("" if flavour == "ours" else "-" + flavour), "kernel.sh %s", flavour)


def initramfs(flavour="plain"):
    """Path of a packed root file system, a flavour of initramfs.sh."""
    return _built("initramfs%s.cpio%s" % (
        "" if flavour == "plain" else "-" + flavour,
        "" if flavour in ("kmsan", "bench", "life") else ".gz"), "initramfs.sh %s", flavour)


def split_command(command):
    """A command as words for the kernel's command line."""
    for word in command:
        if re.search(r"\s", word) and '"' in word:
            raise report.Failure("no way to pass %r on a kernel command line" % word)
    return " ".join('"%s"' % w if re.search(r"\s", w) else w for w in command)


@dataclass(eq=False, repr=False)
class Guest(Backends, Requests):
    """One boot of one guest that runs one command.  serve: what the guest may
    ask for beyond what every guest may, words with functions of the rest of the
    request that return an answer.  expected: patterns of what the kernel, QEMU and
    its trace say that would be a problem otherwise.  movable: the sockets outlive the
    QEMU that has their other ends, so that another can take its place."""

    movable = False

    name: str
    kernel: str
    initrd: str
    machine: Machine
    append: str = ""
    command: list = ("true",)
    timeout: int = 120
    trace: list = ()
    progress: object = None
    serve: dict = field(default_factory=dict)
    expected: tuple = ()

    def __post_init__(self):
        self._begin()

    def _begin(self):
        """What a boot leaves behind, before there was one."""
        self.result = Result(self.name)
        self.have_nothing()
        self.qmp = self.qemu = self.log = self.control = None
        self.args = []
        self.lines = {}
        self.write_lock = threading.Lock()
        self.requests = []      # threads
        self.last = ""

    def boot(self):
        """Boot, run the command, judge; never raises for what the guest does.  A
        guest that QEMU lost by a race of its own before it ran anything is
        booted once more."""
        result = self._boot()
        if lost_by_qemu(result):
            if self.progress:
                self.progress.line("%s: boots once more: %s" % (self.name, result.problems[-1]))
            self._begin()
            result = self._boot()
        return result

    def _boot(self):
        result = self.result
        result.log = os.path.join(report.LOGS, self.name + ".log")
        started = time.monotonic()
        os.makedirs(report.LOGS, exist_ok=True)
        if self.progress:
            self.progress.begin(self.name)
        try:
            with self.files(), \
                    open(result.log, "w", encoding="utf-8", errors="replace") as self.log:
                self._run()
        finally:
            result.seconds = time.monotonic() - started
            if self.progress:
                self.progress.end(self.name)
        return result

    @contextmanager
    def files(self):
        """A folder for what stands behind the devices, which ends with it."""
        self.dir = tempfile.mkdtemp(prefix="vdma-")
        try:
            yield
        finally:
            for helper in self.helpers:
                helper.terminate()     # timeout(1) hands it on
                helper.wait()
            for sock in self.sockets:
                sock.close()
            shutil.rmtree(self.dir, ignore_errors=True)

    # -- what QEMU is started with --

    def command_line(self, interactive=False):
        """QEMU's whole command line."""
        append = " ".join([*ALWAYS, *self.machine.parameters(), self.append])
        if not interactive:
            append += " -- " + split_command(self.command)
        args = [self.machine.qemu(), *self.machine.arguments(), "-kernel", self.kernel,
                "-initrd", self.initrd, "-append", append.strip()]
        for device in self.machine.devices:
            args += self._device(device)
        return args + self.machine.extra

    # -- while it runs --

    def trace_file(self):
        """Where QEMU writes its trace; there once it has something to say."""
        return os.path.join(self.dir, "trace")

    def _run(self):
        result = self.result
        try:
            qemu_version()
            args = self.command_line()
        except report.Failure as error:
            result.problems.append(str(error))
            return
        first, number = self._socketpair()
        second, out = self._socketpair()
        args += ["-chardev", "socket,id=log,fd=%d" % number, "-serial", "chardev:log",
                 "-chardev", "socket,id=out,fd=%d" % out]
        # A microvm has one serial port by itself.
        if self.machine.board == "q35":
            args += ["-serial", "chardev:out"]
        elif not self.machine.foreign():
            args += ["-device", "isa-serial,index=1,chardev=out"]
        self.control = second
        for event in [*FAULT_EVENTS, *self.trace]:
            if event in trace_events(self.machine.qemu()) or "*" in event:
                args += ["-trace", event]
        args += ["-D", self.trace_file()]
        self.args = args
        deadline = time.monotonic() + self.timeout
        self._start()
        if not self.movable:
            for sock in self.fds:
                sock.close()
        try:
            timed_out = not self._watch(first, second, deadline)
            if STOP.is_set():
                result.problems.append("given up, as the run was")
            elif timed_out:
                result.problems.append("timed out after %d s (%s), last line: %s"
                                       % (self.timeout, self._stuck(), self.last))
        finally:
            self._end()
        self._judge(timed_out)

    def _start(self, more=()):
        """Start QEMU; what it says itself is added to what an earlier one said."""
        control, number = self._socketpair()
        args = [*self.args, "-chardev", "socket,id=qmp,fd=%d" % number,
                "-mon", "chardev=qmp,mode=control", *more]
        self.qmp = Qmp(control)
        self.log.write("# %s\n" % shlex.join(args))
        with open(self._stderr(), "ab") as err:
            self.qemu = subprocess.Popen(  # pylint: disable=R1732
                ["timeout", "-k", "5", str(self.timeout + 30), *args],
                stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                pass_fds=[s.fileno() for s in self.fds if s.fileno() >= 0],
                start_new_session=True)

    def _stuck(self):
        """Where a guest is that does not go on; the log gets its registers too."""
        where, registers = self.qmp.stuck()
        for line in registers.splitlines():
            self.log.write("# %s\n" % line.rstrip())
        return where

    def _stderr(self):
        return os.path.join(self.dir, "stderr")

    def restart(self, more):
        """Another QEMU in place of this one, on the same sockets; for a guest that
        is movable."""
        old, self.qemu = self.qemu, None
        self._quit()
        old.wait(timeout=60)
        self._start(more)

    def _end(self):
        if not self.qemu:       # between two
            for request in self.requests:
                request.join(timeout=60)
        qemu = self.qemu
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number:
                with suppress(ProcessLookupError):
                    os.killpg(qemu.pid, number)
            with suppress(subprocess.TimeoutExpired):
                qemu.wait(timeout=5)
                break
        for request in self.requests:
            request.join(timeout=5)

    def _watch(self, first, second, deadline):
        """Read until the guest has ended; False if the time was up before."""
        selector = selectors.DefaultSelector()
        self.lines = {first: [b"", self._kernel_line], second: [b"", self._output_line]}
        for sock in (first, second, *self.echoes):
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ)
        is_open = {first, second}
        while is_open:
            left = deadline - time.monotonic()
            if left <= 0 or STOP.is_set():
                return False
            for key, _ in selector.select(min(left, 1)):
                sock = key.fileobj
                try:
                    data = sock.recv(65536)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                if not data:
                    selector.unregister(sock)
                    is_open.discard(sock)
                elif sock in self.lines:
                    self._feed(self.lines[sock], data)
                else:
                    self._echo(sock, data)
            qemu = self.qemu
            if qemu and qemu.poll() is not None and not selector.select(0):
                break
        for buffered in self.lines.values():
            if buffered[0]:
                self._feed(buffered, b"\n")
        return True

    @staticmethod
    def _feed(buffered, data):
        *lines, buffered[0] = (buffered[0] + data).split(b"\n")
        for line in lines:
            buffered[1](line.decode("utf-8", "replace").rstrip("\r"))

    @staticmethod
    def _echo(sock, data):
        sock.setblocking(True)
        with suppress(OSError):     # QEMU has gone; the guest's own check tells what is lost
            sock.sendall(data)
        sock.setblocking(False)

    def _note(self, line):
        self.last = line
        self.log.write(line + "\n")
        self.log.flush()

    def _kernel_line(self, line):
        self.result.kernel.append(line)
        self._note(line)
        match = re.search(r"vtest: HOSTASK (\S+) (.*)$", line)
        if match:
            self._in_background(self.asked, match.groups())

    def _output_line(self, line):
        self._note(line)
        exited = re.match(r"vdma: exit (\d+)$", line)
        asked = re.match(r"HOSTREQ (\d+) (.*)$", line)
        if exited:
            self.result.exit_code = int(exited.group(1))
            if self.machine.iommu == "virtio" or self.machine.board != "q35":
                self._in_background(self._quit, ())
        elif asked:
            self._in_background(self.request, asked.groups())
        else:
            self.result.output.append(line)
            if self.progress and line:
                self.progress.note(self.name, line[:60])

    def _in_background(self, work, args):
        thread = threading.Thread(target=work, args=args, daemon=True)
        self.requests.append(thread)
        thread.start()

    def _quit(self):
        """End QEMU in place of the guest's own power-off, which a microvm without
        ACPI has not, nor a guest whose console is a virtio device.

        The base resets every virtio device at power-off, the virtio-iommu
        among them; a flush of lazily freed IOVAs that comes after it waits for
        ever with interrupts off.  Nothing of that is virtio_ring's."""
        with suppress(report.Failure):      # it ended by itself, or before it answered
            self.qmp.command("quit")

    # -- the verdict --

    def _unexpected(self, _, lines):
        """Those of some lines that are a problem.  The first argument is what said
        them: kernel, QEMU or IOMMU fault."""
        return log.unexpected(lines, self.expected)

    def _judge(self, timed_out):
        result, trace = self.result, self.trace_file()
        if os.path.exists(trace):
            with open(trace, encoding="utf-8", errors="replace") as lines:
                result.trace = [line.rstrip("\n") for line in lines]
        faults = [t for t in result.trace if any(e in t for e in FAULT_EVENTS)]
        with open(self._stderr(), encoding="utf-8", errors="replace") as lines:
            complaints = log.complaints(lines, timed_out)
        splats = log.find_splats(result.kernel)
        for line in complaints:
            self.log.write("QEMU: %s\n" % line)
        if not timed_out and self.qemu:
            result.signal = fatal_signal(self.qemu.returncode)
        if result.signal:
            result.problems.append("QEMU was ended by %s" % result.signal)
        elif result.exit_code is None and not timed_out:
            result.problems.append("the guest ended without saying how its command did")
        elif result.exit_code:
            result.problems.append("command ended with status %d" % result.exit_code)
        for kind, lines in (("kernel", splats), ("QEMU", complaints), ("IOMMU fault", faults)):
            lines = self._unexpected(kind, lines)
            if lines:
                more = " (and %d more)" % (len(lines) - 1) if len(lines) > 1 else ""
                result.problems.append("%s: %s%s" % (kind, lines[0], more))
        # Later words about the same place replace earlier ones.
        checks = {check[:2]: check for check in
                  log.parse_hostchecks(result.output + result.kernel)}
        result.problems += filter(None, (self.check_contents(*c) for c in checks.values()))
        for problem in result.problems:
            self.log.write("# problem: %s\n" % problem)


def boot_all(guests, jobs=2):
    """Boot several guests, jobs at a time; results in the order of guests."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(guest.boot) for guest in guests]
        try:
            return [future.result() for future in futures]
        except BaseException:
            STOP.set()
            for future in futures:
                future.cancel()
            raise


def shell(machine, kernel, initrd, append, kind=Guest):
    """An interactive guest on this terminal; returns QEMU's exit status."""
    guest = kind("shell", kernel, initrd, machine, append)
    with guest.files():
        args = guest.command_line(interactive=True)
        args += ["-chardev", "stdio,id=tty,mux=on,signal=off", "-serial", "chardev:tty",
                 "-mon", "chardev=tty"]
        for sock in guest.echoes:
            threading.Thread(target=_echo_forever, args=(sock,), daemon=True).start()
        report.say("Ctrl-A X ends the guest at once, Ctrl-A C reaches QEMU's monitor.")
        try:
            return subprocess.call(args, pass_fds=[s.fileno() for s in guest.fds])
        finally:
            if sys.stdin.isatty():
                subprocess.call(["stty", "sane"])


def _echo_forever(sock):
    with suppress(OSError):     # closed, as the guest has ended
        while data := sock.recv(65536):
            sock.sendall(data)

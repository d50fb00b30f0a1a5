# SPDX-License-Identifier: GPL-2.0-only
"""A guest under QEMU: how it is booted, watched and judged.  Nothing here knows
what a test expects."""

import concurrent.futures
import hashlib
import json
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
import wave

from lib import report
from lib.guest import log
from lib.guest.backends import (Backends, disk_contents,       # noqa: F401  # pylint: disable=W0611
                                tap_missing)
from lib.guest.machine import (FOREIGN, MIB, QEMU, Device, Machine,   # noqa: F401  # pylint: disable=W0611
                               check_host, qemu_devices, qemu_version, trace_events)
from lib.guest.qmp import Qmp
from lib.guest.result import Result, fatal_signal, lost_by_qemu

# What QEMU is asked to trace on every boot: a DMA that the IOMMU refused.
FAULT_EVENTS = ("vtd_dmar_fault", "amdvi_page_fault", "virtio_iommu_report_fault")

# Parameters of every boot.  On a host that is short of time an RCU stall is no more
# than the host looking elsewhere.
ALWAYS = ("panic=-1", "rcupdate.rcu_cpu_stall_timeout=100")

# Set when the run is being given up: guests end at once.
STOP = threading.Event()


def kernel_image(flavour):
    """Path of a built kernel: ours or another flavour of kernel.sh."""
    path = os.path.join(report.BUILD, "bzImage" + ("" if flavour == "ours" else "-" + flavour))
    if not os.path.exists(path):
        raise report.Failure("%s is missing: scripts/kernel.sh %s builds it" % (path, flavour))
    return path


def initramfs(flavour="plain"):
    path = os.path.join(report.BUILD, {
        "plain": "initramfs.cpio.gz", "modular": "initramfs-modular.cpio.gz",
        "kcsan": "initramfs-kcsan.cpio.gz", "kmsan": "initramfs-kmsan.cpio",
        "debug": "initramfs-debug.cpio.gz", "crash": "initramfs-crash.cpio.gz",
        "arm64": "initramfs-arm64.cpio.gz", "s390x": "initramfs-s390x.cpio.gz",
        "bench": "initramfs-bench.cpio",
        "life": "initramfs-life.cpio"}[flavour])
    if not os.path.exists(path):
        raise report.Failure("%s is missing: scripts/initramfs.sh %s packs it" % (path, flavour))
    return path


def split_command(command):
    """A command as words for the kernel's command line."""
    for word in command:
        if re.search(r"\s", word) and '"' in word:
            raise report.Failure("no way to pass %r on a kernel command line" % word)
    return " ".join('"%s"' % w if re.search(r"\s", w) else w for w in command)


class Guest(Backends):
    """One boot of one guest that runs one command.  serve: what the guest may
    ask for beyond what every guest may, words with functions of the rest of the
    request that return an answer.  expected: patterns of what the kernel, QEMU and
    its trace say that would be a problem otherwise.  movable: the sockets outlive the QEMU that has their
    other ends, so that another can take its place."""

    movable = False

    def __init__(self, name, kernel, initrd, machine, append="", command=("true",),
                 timeout=120, trace=(), progress=None, expect_exit=0, serve=None,
                 expected=()):
        self.name = name
        self.kernel = kernel
        self.initrd = initrd
        self.machine = machine
        self.append = append
        self.command = list(command)
        self.timeout = timeout
        self.trace = list(trace)
        self.progress = progress
        self.expect_exit = expect_exit
        self.serve = serve or {}
        self.expected = expected
        self._begin()

    def _begin(self):
        """What a boot leaves behind, before there was one."""
        self.result = Result(self.name)
        self.have_nothing()
        self.qmp = None
        self.qemu = None
        self.args = []
        self.log = None
        self.control = None
        self.lines = {}
        self.write_lock = threading.Lock()
        self.requests = []
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
        self.dir = tempfile.mkdtemp(prefix="vdma-")
        try:
            with open(result.log, "w", encoding="utf-8", errors="replace") as self.log:
                self._run()
        finally:
            for helper in self.helpers:
                helper.terminate()     # timeout(1) hands it on
                helper.wait()
            for sock in self.sockets:
                sock.close()
            shutil.rmtree(self.dir, ignore_errors=True)
            result.seconds = time.monotonic() - started
            if self.progress:
                self.progress.end(self.name)
        return result

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
        args += ["-chardev", "socket,id=log,fd=%d" % number, "-serial", "chardev:log"]
        second, number = self._socketpair()
        args += ["-chardev", "socket,id=out,fd=%d" % number]
        # A microvm has one serial port by itself.
        if self.machine.board == "q35":
            args += ["-serial", "chardev:out"]
        elif self.machine.board not in FOREIGN:
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
        try:
            self.qmp.command("quit")
        except report.Failure:
            pass        # it is gone before it has answered
        old.wait(timeout=60)
        self._start(more)

    def _end(self):
        if not self.qemu:       # between two
            for request in self.requests:
                request.join(timeout=60)
        qemu = self.qemu
        try:
            qemu.wait(timeout=5)
        except subprocess.TimeoutExpired:
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(qemu.pid, number)
                except ProcessLookupError:
                    pass
                try:
                    qemu.wait(timeout=5)
                    break
                except subprocess.TimeoutExpired:
                    continue
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
        try:
            sock.sendall(data)
        except OSError:
            pass        # QEMU has gone; the guest's own check reports what is lost
        sock.setblocking(False)

    def _kernel_line(self, line):
        self.result.kernel.append(line)
        self.last = line
        self.log.write(line + "\n")
        self.log.flush()
        match = re.search(r"vtest: HOSTASK (\S+) (.*)$", line)
        if match:
            self._in_background(self._asked, match.groups())

    def _output_line(self, line):
        self.last = line
        self.log.write(line + "\n")
        self.log.flush()
        match = re.match(r"vdma: exit (\d+)$", line)
        if match:
            self.result.exit_code = int(match.group(1))
            if self.machine.iommu == "virtio" or self.machine.board != "q35":
                self._in_background(self._quit, ())
            return
        match = re.match(r"HOSTREQ (\d+) (.*)$", line)
        if match:
            self._in_background(self._request, match.groups())
            return
        self.result.output.append(line)
        if self.progress and line:
            self.progress.note(self.name, line[:60])

    def _in_background(self, work, args):
        thread = threading.Thread(target=work, args=args, daemon=True)
        self.requests.append(thread)
        thread.start()

    # -- what the guest asks for --

    def _quit(self):
        """End QEMU in place of the guest's own power-off, which a microvm without
        ACPI has not, nor a guest whose console is a virtio device.

        The base resets every virtio device at power-off, the virtio-iommu
        among them; a flush of lazily freed IOVAs that comes after it waits for
        ever with interrupts off.  Nothing of that is virtio_ring's."""
        try:
            self.qmp.command("quit")
        except report.Failure:
            pass        # it has ended by itself

    def _asked(self, word, rest):
        """The requests of the kselftests; nobody waits for an answer."""
        try:
            if word == "input":
                for key in rest.split():
                    self.qmp.command("send-key", keys=[{"type": "qcode", "data": key}])
                    time.sleep(0.1)
            elif word == "balloon":
                size = self.machine.memory_bytes()
                self.qmp.command("balloon", value=size - int(rest) * MIB)
            else:
                raise report.Failure("the host knows no request %r" % word)
        except (report.Failure, ValueError) as error:
            self.result.problems.append("HOSTASK %s %s: %s" % (word, rest, error))

    def _request(self, number, text):
        try:
            answer = "ok " + self._serve(text)
        except report.Failure as error:
            answer = "fail " + str(error)
        with self.write_lock:
            try:
                self.control.setblocking(True)
                self.control.sendall(("HOSTREPLY %s %s\n" % (number, answer)).encode())
                self.control.setblocking(False)
            except OSError:
                pass    # the guest has gone without waiting for the answer

    def _serve(self, text):
        word, _, rest = text.partition(" ")
        if word == "qmp":
            try:
                return json.dumps(self.qmp.send(json.loads(rest)))
            except ValueError:
                raise report.Failure("not JSON: " + rest) from None
        if word == "key":
            for down in (True, False):
                self.qmp.command("input-send-event", events=[
                    {"type": "key", "data": {"down": down,
                                             "key": {"type": "qcode", "data": "a"}}}])
            return "A pressed and released"
        if word == "tablet":
            self.qmp.command("input-send-event", events=[
                {"type": "abs", "data": {"axis": "x", "value": 1000}},
                {"type": "abs", "data": {"axis": "y", "value": 2000}}])
            return "moved"
        if word == "mouse":
            self.qmp.command("input-send-event", events=[
                {"type": "rel", "data": {"axis": "x", "value": 5}}])
            return "moved"
        if word == "balloon":
            return self._balloon()
        if word == "resident":
            return str(self._resident() // 1024)
        if word == "screen":
            return self._screen(rest)
        if word in self.serve:
            return self.serve[word](rest)
        raise report.Failure("the host knows no request %r" % word)

    def _resident(self):
        """What QEMU has in the host's memory, in KiB; it is the child of timeout(1)."""
        timeout = self.qemu.pid
        try:
            with open("/proc/%d/task/%d/children" % (timeout, timeout), encoding="ascii") as file:
                child = file.read().split()[0]
            with open("/proc/%s/status" % child, encoding="ascii") as file:
                return int(re.search(r"^VmRSS:\s+(\d+)", file.read(), re.M).group(1))
        except (OSError, IndexError) as error:
            raise report.Failure("QEMU's memory cannot be read: %s" % error) from None

    def _screen(self, device):
        """What a graphics device shows: WIDTHxHEIGHT, and the digest of its pixels."""
        path = os.path.join(self.dir, "screen.ppm")
        self.qmp.command("screendump", filename=path, device=device)
        with open(path, "rb") as dump:
            kind, size, depth = (dump.readline().strip() for _ in range(3))
            if (kind, depth) != (b"P6", b"255"):
                raise report.Failure("screendump is no PPM of 24 bits")
            return "%s %s" % (size.decode().replace(" ", "x"),
                              hashlib.sha256(dump.read()).hexdigest())

    def _balloon(self):
        whole = self.qmp.command("query-balloon")["actual"]
        for target in (whole - 64 * MIB, whole):
            self.qmp.command("balloon", value=target)
            deadline = time.monotonic() + 40
            while self.qmp.command("query-balloon")["actual"] != target:
                if time.monotonic() > deadline:
                    raise report.Failure("balloon did not reach %d MiB" % (target // MIB))
                time.sleep(0.1)
        return "64 MiB inflated and deflated"

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
            complaints = [line.strip() for line in lines if line.strip()]
        if timed_out:   # what it says about being ended is our own doing
            complaints = [c for c in complaints if "terminating on signal" not in c]
        splats = log.find_splats(result.kernel)
        for line in complaints:
            self.log.write("QEMU: %s\n" % line)
        if not timed_out and self.qemu:
            result.signal = fatal_signal(self.qemu.returncode)
        if result.signal:
            result.problems.append("QEMU was ended by %s" % result.signal)
        elif result.exit_code is None and not timed_out:
            result.problems.append("the guest ended without saying how its command did")
        elif result.exit_code is not None and result.exit_code != self.expect_exit:
            result.problems.append("command ended with status %d" % result.exit_code)
        for kind, lines in (("kernel", splats), ("QEMU", complaints), ("IOMMU fault", faults)):
            lines = self._unexpected(kind, lines)
            if lines:
                more = " (and %d more)" % (len(lines) - 1) if len(lines) > 1 else ""
                result.problems.append("%s: %s%s" % (kind, lines[0], more))
        # Later words about the same place replace earlier ones.
        checks = {check[:2]: check for check in
                  log.parse_hostchecks(result.output + result.kernel)}
        result.hostchecks = len(checks)
        for name, offset, length, digest in checks.values():
            wrong = self._check_contents(name, offset, length, digest)
            if wrong:
                result.problems.append(wrong)
        for problem in result.problems:
            self.log.write("# problem: %s\n" % problem)

    def _check_contents(self, name, offset, length, digest):
        """Compare a disk, a file TAG/PATH of a 9p share, or what a sound card played,
        with a digest."""
        tag, _, path = name.partition("/")
        if name in self.sounds:
            return self._check_sound(name, length, digest)
        if name in self.images:
            where = self.images[name]
        elif path and tag in self.shares and ".." not in path:
            where = os.path.join(self.shares[tag], path)
        else:
            return "guest names a disk or file that it was not given: %s" % name
        try:
            with open(where, "rb") as contents:
                contents.seek(offset)
                found = hashlib.sha256(contents.read(length)).hexdigest()
        except OSError as error:
            return "%s: %s" % (name, error.strerror)
        if found != digest:
            return "%s, %d bytes at %d: the host finds other contents than the guest" % (
                name, length, offset)
        return None

    def _check_sound(self, name, length, digest):
        """Compare what was not silence of a recording, frames of two samples, with a
        digest."""
        try:
            with wave.open(self.sounds[name]) as recording:
                frames = recording.readframes(recording.getnframes())
        except (OSError, EOFError, wave.Error) as error:
            return "%s: %s" % (name, error)
        heard = b"".join(frames[i:i + 4] for i in range(0, len(frames), 4) if any(frames[i:i + 4]))
        if len(heard) != length or hashlib.sha256(heard).hexdigest() != digest:
            return "%s: the host has heard %d bytes that are not what the guest played" % (
                name, len(heard))
        return None


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


def shell(machine, kernel, initrd, append):
    """An interactive guest on this terminal; returns QEMU's exit status."""
    guest = Guest("shell", kernel, initrd, machine, append)
    guest.dir = tempfile.mkdtemp(prefix="vdma-")
    try:
        qemu_version()
        args = guest.command_line(interactive=True)
        args += ["-chardev", "stdio,id=tty,mux=on,signal=off", "-serial", "chardev:tty",
                 "-mon", "chardev=tty"]
        for sock in guest.echoes:
            threading.Thread(target=_echo_forever, args=(sock,), daemon=True).start()
        report.say("Ctrl-A X ends the guest at once, Ctrl-A C reaches QEMU's monitor.")
        return subprocess.call(args, pass_fds=[s.fileno() for s in guest.fds])
    finally:
        for helper in guest.helpers:
            helper.terminate()     # timeout(1) hands it on
            helper.wait()
        shutil.rmtree(guest.dir, ignore_errors=True)
        if sys.stdin.isatty():
            subprocess.call(["stty", "sane"])


def _echo_forever(sock):
    while True:
        data = sock.recv(65536)
        if not data:
            return
        sock.sendall(data)

# SPDX-License-Identifier: GPL-2.0-only
"""What stands behind a guest's devices: disk images, sockets, shares, and
processes of their own."""

import hashlib
import os
import random
import re
import socket
import subprocess
import sys
import time
import wave

from lib import report
from lib.guest.machine import MIB, virtiofsd

SO_SNDBUFFORCE = 32     # of socket(7); Python has no name for it

# The address of a NIC that gets back what it sends, or net-self's frames of it.
ECHO_MAC = "52:54:00:00:00:99"

# testpmd drops what finds no room at once, and room is what the address of a buffer
# is not before QEMU has said what it means: try again, for some seconds.
TESTPMD_COMMANDS = """set fwd io retry
set burst tx delay 50 retry 100000
"""


def disk_contents(serial):
    """The first MiB of every disk, the same on each run."""
    return random.Random(serial).randbytes(MIB)


def tap_missing():
    """Why no tap device can be had here, or None."""
    try:
        process, (tap,) = open_tap()
    except report.Failure as error:
        return str(error)
    tap.close()
    process.terminate()
    process.wait()
    return None


def open_tap(queues=1):
    """(the process that keeps it, the files of its queues) of a new tap device."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(  # pylint: disable=R1732
            [sys.executable, os.path.join(os.path.dirname(__file__), "nettap.py"),
             str(theirs.fileno()), str(queues)], pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL)
        theirs.close()
        answer, fds, _, _ = socket.recv_fds(ours, 1024, queues)
    if not fds:
        process.wait()
        raise report.Failure("no tap device: %s" % (answer.decode() or "nettap.py failed"))
    return process, [os.fdopen(fd, "rb", buffering=0) for fd in fds]


def roomy(sock):
    """Give the wire between two NICs room for all that TCP has in flight: QEMU
    (7.2: assertion in flush_or_purge_queued_packets) does not survive that a
    transmit ring is reset whose packets find no room."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 16 * MIB)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * MIB)


class Backends:
    """The part of a Guest that gives each device what it needs, and QEMU the
    arguments that say so."""

    def have_nothing(self):
        """As before the first device."""
        self.dir = None             # where files and sockets go
        self.images = {}
        self.shares = {}
        self.sounds = {}
        self.helpers = []           # processes
        self.sockets = []
        self.fds = []               # those that QEMU gets
        self.echoes = []            # those whose words we send back
        self.wires = {}

    def _socketpair(self):
        """A socket for us, and the number of its other end for QEMU."""
        ours, theirs = socket.socketpair()
        self.sockets += [ours, theirs]
        self.fds.append(theirs)
        return ours, theirs.fileno()

    def _port(self, name):
        """The socket behind a serial port.  Ports NAME.a and NAME.b are wired
        together, any other is echoed by us."""
        if not name.endswith((".a", ".b")):
            ours, number = self._socketpair()
            self.echoes.append(ours)
            return number
        return self._wire(name)

    def _wire(self, name):
        """One end of the socket between NAME.a and NAME.b, both of them QEMU's."""
        if name not in self.wires:
            pair = socket.socketpair()
            self.sockets += pair
            self.fds += pair
            for end, sock in zip("ab", pair):
                roomy(sock)
                self.wires[name[:-1] + end] = sock.fileno()
        return self.wires[name]

    def _image(self, device):
        path = self._path(device, ".img")
        with open(path, "wb") as image:
            image.write(disk_contents(device.id))
            image.truncate(device.size)
        self.images[device.id] = self.images[device.known().get("serial", device.id)] = path
        return path

    def _path(self, device, end):
        return os.path.join(self.dir, device.id + end)

    def _share(self, device):
        """A folder of the host's that the guest is to see."""
        self.shares[device.id] = share = self._path(device, ".share")
        os.mkdir(share)
        return share

    def _device(self, device):
        """QEMU's arguments for a device and all that it needs."""
        args, port = [], ["-device", "pcie-root-port,id=port-%s,bus=" % device.id]
        if device.bus == "port":
            port[1] += "pcie.0,chassis=%d,slot=%d%s" % (
                100 + device.slot, 100 + device.slot,
                ",addr=0x%x" % device.port if device.port else "")
            args += port
        if device.bus == "bypass":
            port[1] += "bypass,addr=0x%x,chassis=%d,slot=%d" % (
                device.slot, 200 + device.slot, 200 + device.slot)
            args += port
        before, words, after = self._behind(device)
        return [*args, *before, "-device", ",".join(device.properties() + words), *after]

    def _behind(self, device):
        """What is behind a device: arguments before it, more of its properties, and
        what is on a bus of its own."""
        kind = device.known()
        if "behind" in kind:
            return getattr(self, kind["behind"])(device)
        return [self._filled(device, kind.get(part, ())) for part in ("before", "words", "after")]

    def _filled(self, device, texts):
        """Texts of a table for a device, with each {word} as it is there."""
        def word(match):
            if match[1] in ("id", "size", "mac"):
                return str(getattr(device, match[1]))
            return getattr(self, "_" + match[1])(device)
        return [re.sub(r"{(\w+)}", word, text) for text in texts]

    def _network(self, device):
        netdev = "user,guestfwd=tcp:10.0.2.100:7-cmd:cat"
        if device.wire:
            netdev = "socket,fd=%d" % self._wire(device.wire)
        elif device.tap:
            process, taps = open_tap(device.queues)
            self.helpers.append(process)
            self.fds += taps
            netdev = "tap,%s=%s" % ("fds" if device.queues > 1 else "fd",
                                    ":".join(str(tap.fileno()) for tap in taps))
        mac = device.mac or (ECHO_MAC if device.tap and device.queues > 1 else "")
        return (["-netdev", "%s,id=net-%s" % (netdev, device.id)],
                ["netdev=net-" + device.id, *([] if "suffix" in device.place() else ["romfile="]),
                 *(["mac=" + mac] if mac else [])], [])

    def _ports(self, device):
        after = []
        for port in device.ports or [device.id]:
            after += ["-chardev", "socket,id=chr-%s,fd=%d" % (port, self._port(port)),
                      "-device", "virtserialport,bus=%s.0,chardev=chr-%s,name=%s"
                      % (device.id, port, port)]
        return [], [], after

    @staticmethod
    def _limits(device):
        return ",throttling.bps-read=%d" % device.read_bps if device.read_bps else ""

    @staticmethod
    def _echo_mac(device):
        return device.mac or ECHO_MAC

    def _fd(self, device):
        return str(self._wire(device.wire))

    def _sound(self, device):
        self.sounds[device.id] = path = self._path(device, ".wav")
        return path

    def _socket(self, device):
        """Of the other process, which is up then."""
        getattr(self, device.known()["start"])(device)
        return self._path(device, ".sock")

    # -- processes --

    def _storage_daemon(self, device):
        """Another process that is the disk."""
        image = self.images.get(device.id) or self._image(device)
        self._daemon(device, [
            "qemu-storage-daemon", "--pidfile", self._path(device, ".pid"),
            "--blockdev", "driver=file,node-name=disk,filename=" + image,
            "--export", "type=vhost-user-blk,id=exp,node-name=disk,writable=on,"
            "addr.type=unix,addr.path=" + self._path(device, ".sock")])

    def _virtiofsd(self, device):
        """Another process that is the file system."""
        share, program = self._share(device), virtiofsd()
        if program.startswith("/usr/lib/qemu/"):        # QEMU's own, before 8.0
            words = ["-o", "source=" + share, "-o", "sandbox=chroot", "-f"]
        else:
            words = ["--shared-dir", share, "--sandbox=chroot"]
        self._daemon(device, [program, "--socket-path=" + self._path(device, ".sock"), *words])

    def _testpmd(self, device):
        """Another process that is the NIC and sends each frame back.  One
        has all such NICs of a guest, since it polls and so takes a whole CPU: those that
        wait for it come first."""
        nics = [d for d in self.machine.devices if d.kind == "vhost-user-net"]
        paths = {d.id: self._path(d, ".sock") for d in nics}
        if device is nics[0]:
            commands = os.path.join(self.dir, "testpmd.commands")
            with open(commands, "w", encoding="ascii") as out:
                out.write(TESTPMD_COMMANDS)
            cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
            # It reads a line from stdin and ends, unless there are figures to be shown.
            self._daemon(nics[-1], [
                "dpdk-testpmd", "--no-huge", "-m", "256", "--no-pci", "--no-shconf",
                "--no-telemetry", "--lcores=(0,1)@(%s)" % cpus,
                *["--vdev=net_vhost%d,iface=%s,queues=1,iommu-support=1" % (number, path)
                  for number, path in enumerate(paths.values())],
                "--", "--forward-mode=io", "--port-topology=loop", "--disable-link-check",
                "--total-num-mbufs=4096", "--no-mlockall", "--stats-period=3600",
                "--cmdline-file=" + commands], niceness=5)

    def _daemon(self, device, command, niceness=0):
        """Start what is to listen at the socket of a device, and wait until it does."""
        log = open(os.path.join(self.dir, device.id + ".err"), "wb")  # pylint: disable=R1732
        with log:
            daemon = subprocess.Popen(  # pylint: disable=R1732
                ["nice", "-n", str(niceness), "timeout", "-k", "5", str(self.timeout + 30),
                 *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "RUNTIME_DIRECTORY": self.dir})      # DPDK's own files
        self.helpers.append(daemon)
        deadline = time.monotonic() + 60
        while not os.path.exists(self._path(device, ".sock")):
            if daemon.poll() is not None or time.monotonic() > deadline:
                with open(log.name, encoding="utf-8", errors="replace") as said:
                    raise report.Failure("%s: %s does not start: %s" % (
                        self.name, command[0], said.read().strip()))
            time.sleep(0.05)

    # -- what they have in the end --

    def check_contents(self, name, offset, length, digest):
        """What is wrong with a disk, a file TAG/PATH of a share, or what a sound card
        played, by the digest that the guest has of it; or None."""
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
        return None if found == digest else (
            "%s, %d bytes at %d: the host finds other contents than the guest" % (
                name, length, offset))

    def _check_sound(self, name, length, digest):
        """Compare what was not silence of a recording, frames of two samples, with a
        digest."""
        try:
            with wave.open(self.sounds[name]) as recording:
                frames = recording.readframes(recording.getnframes())
        except (OSError, EOFError, wave.Error) as error:
            return "%s: %s" % (name, error)
        heard = b"".join(frames[i:i + 4] for i in range(0, len(frames), 4) if any(frames[i:i + 4]))
        if len(heard) == length and hashlib.sha256(heard).hexdigest() == digest:
            return None
        return "%s: the host has heard %d bytes that are not what the guest played" % (
            name, len(heard))

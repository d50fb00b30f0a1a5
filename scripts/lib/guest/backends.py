# SPDX-License-Identifier: GPL-2.0-only
"""What stands behind a guest's devices: disk images, sockets, shares, and
processes of their own."""

import hashlib
import os
import random
import socket
import subprocess
import sys
import time
import wave

from lib import report
from lib.guest.machine import MIB, NO_PCI, virtiofsd

SO_SNDBUFFORCE = 32     # of socket(7); Python has no name for it

# What qemu-storage-daemon answers when it is asked for a disk's serial number.
STORAGE_DAEMON_SERIAL = "vhost_user_blk"
# What the guest calls the contents of the only device of its kind.
PMEM_SERIAL = "pmem0"
# QEMU's name of a disk on the bus of a controller, by the kind of that.
BUS_DISKS = {"scsi": "scsi-hd", "megasas": "scsi-hd", "ahci": "ide-hd", "xhci": "usb-storage"}
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

    name, timeout = "", 0

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
        self.images[device.id] = path
        if device.kind == "vhost-user-blk":
            self.images[STORAGE_DAEMON_SERIAL] = path
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
        behind = getattr(self, "_behind_" + device.kind.replace("-", "_"), None)
        before, words, after = behind(device) if behind else ([], [], [])
        return [*args, *before, "-device", ",".join(device.properties() + words), *after]

    # What is behind a device of each kind: arguments before it, more of its properties,
    # and what is on a bus of its own.

    def _behind_blk(self, device):
        drive = "file=%s,format=raw,if=none,id=drive-%s,cache=unsafe" % (
            self._image(device), device.id)
        return ["-drive", drive], ["drive=drive-" + device.id, "serial=" + device.id], []

    _behind_nvme = _behind_blk

    def _behind_scsi(self, device):
        before, disk, _ = self._behind_blk(device)
        return before, [], ["-device", ",".join(
            [BUS_DISKS[device.kind], "bus=%s.0" % device.id, *disk])]

    _behind_ahci = _behind_megasas = _behind_xhci = _behind_scsi

    def _behind_net(self, device):
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
                ["netdev=net-" + device.id, *([] if device.bus in NO_PCI else ["romfile="]),
                 *(["mac=" + mac] if mac else [])], [])

    _behind_e1000 = _behind_e1000e = _behind_net

    def _behind_9p(self, device):
        return (["-fsdev", "local,id=fs-%s,path=%s,security_model=none%s" % (
            device.id, self._share(device),
            device.read_bps and ",throttling.bps-read=%d" % device.read_bps or "")],
                ["fsdev=fs-" + device.id, "mount_tag=" + device.id], [])

    def _behind_console(self, device):
        after = []
        for port in device.ports or [device.id]:
            after += ["-chardev", "socket,id=chr-%s,fd=%d" % (port, self._port(port)),
                      "-device", "virtserialport,bus=%s.0,chardev=chr-%s,name=%s"
                      % (device.id, port, port)]
        return [], [], after

    @staticmethod
    def _object(device, kind, prop, more="", *words):
        return (["-object", "%s,id=obj-%s%s" % (kind, device.id, more)],
                ["%s=obj-%s" % (prop, device.id), *words], [])

    def _behind_rng(self, device):
        return self._object(device, "rng-builtin", "rng")

    def _behind_crypto(self, device):
        return self._object(device, "cryptodev-backend-builtin", "cryptodev")

    def _behind_pmem(self, device):
        self.images[PMEM_SERIAL] = path = self._image(device)
        return self._object(device, "memory-backend-file", "memdev",
                            ",share=on,mem-path=%s,size=%d" % (path, device.size))

    def _behind_mem(self, device):
        return self._object(device, "memory-backend-ram", "memdev", ",size=256M",
                            "requested-size=0")

    def _behind_sound(self, device):
        self.sounds[device.id] = self._path(device, ".wav")
        return (["-audiodev", "wav,id=audio-%s,path=%s" % (device.id, self.sounds[device.id])],
                ["audiodev=audio-" + device.id, "streams=1"], [])

    def _behind_fs(self, device):
        return self._by_socket(device, self._virtiofsd, "tag=" + device.id)

    def _behind_vhost_user_blk(self, device):
        return self._by_socket(device, self._storage_daemon, "num-queues=1")

    def _by_socket(self, device, start, word):
        path = self._path(device, ".sock")
        start(device, path)
        return (["-chardev", "socket,id=chr-%s,path=%s" % (device.id, path)],
                ["chardev=chr-" + device.id, word], [])

    def _behind_vhost_user_net(self, device):
        # With MSI-X and without KVM, QEMU (7.2) looks for an irqfd and dies of it.
        return (["-chardev", "socket,id=chr-%s,path=%s" % (device.id, self._testpmd(device)),
                 "-netdev", "vhost-user,id=net-%s,chardev=chr-%s" % (device.id, device.id)],
                ["netdev=net-" + device.id, "romfile=", "mac=" + (device.mac or ECHO_MAC),
                 "vectors=0"], [])

    # -- processes --

    def _storage_daemon(self, device, path):
        """Another process that is the disk."""
        image = self.images.get(device.id) or self._image(device)
        self._daemon(device, path, [
            "qemu-storage-daemon", "--pidfile", self._path(device, ".pid"),
            "--blockdev", "driver=file,node-name=disk,filename=" + image,
            "--export", "type=vhost-user-blk,id=exp,node-name=disk,writable=on,"
            "addr.type=unix,addr.path=" + path])

    def _virtiofsd(self, device, path):
        """Another process that is the file system."""
        share, program = self._share(device), virtiofsd()
        if program.startswith("/usr/lib/qemu/"):        # QEMU's own, before 8.0
            words = ["-o", "source=" + share, "-o", "sandbox=chroot", "-f"]
        else:
            words = ["--shared-dir", share, "--sandbox=chroot"]
        self._daemon(device, path, [program, "--socket-path=" + path, *words])

    def _testpmd(self, device):
        """The socket of another process that is the NIC and sends each frame back.  One
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
            self._daemon(device, paths[nics[-1].id], [
                "dpdk-testpmd", "--no-huge", "-m", "256", "--no-pci", "--no-shconf",
                "--no-telemetry", "--lcores=(0,1)@(%s)" % cpus,
                *["--vdev=net_vhost%d,iface=%s,queues=1,iommu-support=1" % (number, path)
                  for number, path in enumerate(paths.values())],
                "--", "--forward-mode=io", "--port-topology=loop", "--disable-link-check",
                "--total-num-mbufs=4096", "--no-mlockall", "--stats-period=3600",
                "--cmdline-file=" + commands], niceness=5)
        return paths[device.id]

    def _daemon(self, device, path, command, niceness=0):
        """Start what is to listen at path, and wait until it does."""
        log = open(os.path.join(self.dir, device.id + ".err"), "wb")  # pylint: disable=R1732
        with log:
            daemon = subprocess.Popen(  # pylint: disable=R1732
                ["nice", "-n", str(niceness), "timeout", "-k", "5", str(self.timeout + 30),
                 *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "RUNTIME_DIRECTORY": self.dir})      # DPDK's own files
        self.helpers.append(daemon)
        deadline = time.monotonic() + 60
        while not os.path.exists(path):
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

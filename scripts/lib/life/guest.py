# SPDX-License-Identifier: GPL-2.0-only
"""A guest whose machine changes while it runs: devices are plugged and unplugged,
it is reset, put to sleep, moved into another QEMU, and its disks fail."""

import json
import os
import re
import signal
import threading
import time

from lib import report
from lib.guest import log, vm
from lib.life import plan
from lib.guest.vm import MIB, Device, Machine

LIMIT = 60              # seconds for anything that QEMU is asked to do
FIRST_PORT = 0x10       # of those that devices are plugged into

# The pair of NICs that is there from the start, and where it is if it is not virtio.
LOADED = ("vtnet0a", "vtnet0b")
FIRST_E1000 = 0x18

# Places where a disk fails: always at FAILS_HERE; once each, for a read or a write, in
# the part of it that fio uses.
FAILS_HERE = 12 * MIB
FAILS_ONCE = [(kind, 16 * MIB + number * MIB // 5) for number, kind in
              enumerate(("write", "read", "write", "read"), 1)]

BEGIN = re.compile(r"life: (begin|end) (\S+)$")
SAID = re.compile(r"life: (ok|FAIL) (\S+) ?(.*)$")
# What the ring says when a device breaks its rules: here none does.
BROKEN = re.compile(r"queue broken")


def _needs(boot):
    return {"always"}.union(*(plan.SCENARIOS[name].devices for name in boot.scenarios))


def machine_of(boot):
    """What is there from the start, in a guest of a boot."""
    needs = _needs(boot)
    devices = [Device(id=name, **words) for name, words in plan.TABLE["device"].items()
               if plan.TABLE["with"].get(name, name) in needs
               and not (name in LOADED and "e1000" in needs)]
    return Machine(boot.iommu, devices, memory="512M",
                   room="slots=1,maxmem=8G" if "e1000" in needs else "",
                   one_thread=bool(hot_devices(boot)))


def hot_devices(boot):
    """What is plugged in the course of a boot."""
    return [Device(id=name, bus="port-" + name, **words)
            for name, words in plan.TABLE["hot"].items() if name in _needs(boot)]


def typed(words):
    """The words of -device as device_add takes them, and -device as JSON."""
    def value(key, text):
        # Of all that is on or off, this could also be auto.
        if text in ("on", "off") and key != "disable-legacy":
            return text == "on"
        return text
    driver, *rest = words
    return {"driver": driver, **{k: value(k, v) for k, v in (w.split("=", 1) for w in rest)}}


class LifeGuest(vm.Guest):
    """The guest of a boot of the plan."""

    movable = True

    def __init__(self, boot, kernel, progress):
        self.plan = boot
        self.hot = {d.id: d for d in hot_devices(boot)}
        append = boot.parameters() + " no_console_suspend log_buf_len=1M"
        command = ["life"] + boot.words()
        timeout = 120 + sum(plan.SCENARIOS[name].seconds for name in boot.scenarios)
        super().__init__("life-" + boot.name, vm.kernel_image(kernel),
                         vm.initramfs("life"), machine_of(boot), append, command, timeout,
                         progress=progress, serve={
                             "boots": lambda _: str(self.boots), "reset": self._reset,
                             "plug": self._plug, "plug-memory": self._plug_memory,
                             "unplug": self._unplug,
                             "wake-up": self._wake_up, "woken": self._woken,
                             "migrate": self._migrate, "stall": self._stall,
                             "release": self._release, "watch": self._watch_errors,
                             "watched": self._watched, "kill": self._kill,
                             "revive": self._revive})

    def _begin(self):
        super()._begin()
        self.boots = 0
        self.refused = {}       # scenario: what QEMU said
        self.plugged = {}       # id: what device_add was told
        self.woke = None
        self.watching = None
        self.stops = 0

    # -- what QEMU is started with --

    def command_line(self, interactive=False):
        args = super().command_line(interactive)
        for number, device in enumerate(self.hot.values()):
            args += ["-device", "pcie-root-port,id=%s,bus=pcie.0,addr=0x%x,chassis=%d,slot=%d"
                     % (device.bus, FIRST_PORT + number, 1 + number, 1 + number)]
            args += self._filled(device, plan.TABLE["plug"][device.kind]["before"])
        if "dimm" in self.plan.scenarios:
            for number, end in enumerate("ab"):
                args += ["-netdev", "socket,fd=%d,id=e1000-%s" % (self._wire("net0." + end), end),
                         "-device", "e1000,netdev=e1000-%s,mac=%s,romfile=,bus=pcie.0,addr=0x%x"
                         % (end, plan.TABLE["device"][LOADED[number]]["mac"],
                            FIRST_E1000 + number)]
        if self.plan.native:
            args += ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]
        return args

    def _device(self, device):
        if device.id in ("vtbad", "vtstop"):
            return self._failing(device)
        args = super()._device(device)
        if device.kind == "vhost-user-blk":
            args[1] += ",reconnect=1"
        return args

    def _failing(self, device):
        """A disk that fails at some places."""
        rules = [{"event": "none", "iotype": kind, "errno": 5, "sector": where // 512,
                  "once": True} for kind, where in FAILS_ONCE]
        if device.id == "vtbad":
            rules += [{"event": "none", "iotype": kind, "errno": 5, "sector": FAILS_HERE // 512}
                      for kind in ("read", "write")]
        return ["-blockdev", json.dumps({
            "driver": "raw", "node-name": "node-" + device.id, "file": {
                "driver": "blkdebug", "inject-error": rules,
                "image": {"driver": "file", "filename": self._image(device)}}}),
                "-device", ",".join(device.properties() + [
                    "drive=node-" + device.id, "serial=" + device.id])]

    # -- asking QEMU --

    def _wait(self, what, done, limit=LIMIT):
        """Poll QEMU, which hands out events with its answers, until done()."""
        deadline = time.monotonic() + limit
        while not done():
            if time.monotonic() > deadline or vm.STOP.is_set():
                raise report.Failure("QEMU: no " + what)
            time.sleep(0.05)
            self.qmp.command("query-status")

    def _event(self, name, since, **data):
        return any(e["event"] == name and data.items() <= e.get("data", {}).items()
                   for e in self.qmp.events[since:])

    # -- hot plug --

    def _plug(self, name):
        device = self.hot.get(name)
        if not device:
            raise report.Failure("nothing to plug named " + name)
        plug = plan.TABLE["plug"][device.kind]
        parts = [typed(device.properties() + self._filled(device, plug["words"])),
                 *map(json.loads, self._filled(device, plug["parts"]))]
        for part in parts:
            self.qmp.command("device_add", **part)
        self.plugged[name] = parts
        return name

    def _plug_memory(self, size):
        """A DIMM of so many MiB; where memory of that size is no longer below 4 GiB."""
        self.qmp.command("object-add", **{"qom-type": "memory-backend-ram", "id": "dimm-memory",
                                          "size": int(size) * MIB})
        self.qmp.command("device_add", driver="pc-dimm", id="dimm", memdev="dimm-memory")
        found = self.qmp.command("query-memory-devices")
        where = min(device["data"]["addr"] for device in found)
        if where < 1 << 32:
            raise report.Failure("QEMU plugs memory at 0x%x" % where)
        return "at 0x%x" % where

    def _unplug(self, name):
        since = len(self.qmp.events)
        self.qmp.command("device_del", id=name)
        self._wait("DEVICE_DELETED of " + name,
                   lambda: self._event("DEVICE_DELETED", since, device=name))
        del self.plugged[name]
        return name

    # -- power --

    def _reset(self, _):
        self.boots += 1
        self.qmp.command("set-action", reboot="reset")
        self.qmp.command("system_reset")
        return "reset"

    def _wake_up(self, _):
        """Wake it up once it sleeps; a guest that stays asleep is ended."""
        since, said = len(self.qmp.events), len(self.result.output)
        self.woke = None

        def work():
            try:
                self._wait("SUSPEND", lambda: self._event("SUSPEND", since))
                time.sleep(0.5)
                asleep = len(self.result.kernel)
                self.qmp.command("system_wakeup")
                self._wait("line of the kernel's after system_wakeup",
                           lambda: len(self.result.kernel) > asleep)
                self.woke = "yes"
            except report.Failure as error:
                self.woke = str(error)
                if len(self.result.output) == said:     # not even that it does not sleep
                    self.result.problems.append("it does not wake up: %s (%s)"
                                                % (error, self._stuck()))
                    self._quit()
        self._in_background(work, ())
        return "when it sleeps"

    def _woken(self, _):
        deadline = time.monotonic() + LIMIT
        while self.woke is None and time.monotonic() < deadline:
            time.sleep(0.1)
        if self.woke != "yes":
            raise report.Failure(self.woke or "it did not sleep")
        return "yes"

    # -- migration --

    def _migrate(self, _):
        """To a file, and from there into another QEMU that is given the same ends of
        the same sockets."""
        state = os.path.join(self.dir, "state")
        started = time.monotonic()
        self.qmp.command("migrate-set-parameters", **{
            "max-bandwidth": 1 << 33, "downtime-limit": 5000})
        try:
            self.qmp.command("migrate", uri="exec:cat >" + state)
        except report.Failure as error:
            if re.search(self.plan.refused.get("migrate", "(?!)"), str(error)):
                self.refused["migrate"] = str(error)
            raise
        status = {}

        def over():
            status.update(self.qmp.command("query-migrate"))
            return status.get("status") in ("completed", "failed", "cancelled")
        self._wait("end of the migration", over, 4 * LIMIT)
        if status["status"] != "completed":
            raise report.Failure("migration %(status)s" % status)
        plugged = [word for parts in self.plugged.values() for part in parts
                   for word in ("-device", json.dumps(part))]
        self.restart(plugged + ["-incoming", "exec:cat " + state])
        self._wait("running guest after the migration",
                   lambda: self.qmp.command("query-status")["status"] == "running", 4 * LIMIT)
        size = os.path.getsize(state)
        os.unlink(state)
        return "%d MiB in %.0f s" % (size // MIB, time.monotonic() - started)

    # -- back ends --

    def _throttle(self, limit):
        for device in self.machine.devices:
            if device.id in ("vtmain", "vtscsi"):
                self.qmp.command("block_set_io_throttle", device="drive-" + device.id, bps=limit,
                                 bps_rd=0, bps_wr=0, iops=0, iops_rd=0, iops_wr=0)

    def _stall(self, _):
        self._throttle(1)
        return "stalled"

    def _release(self, _):
        self._throttle(0)
        return "released"

    def _watch_errors(self, _):
        """Let the guest go on whenever QEMU has stopped it for an error."""
        self.watching = threading.Event()
        self.stops = 0

        def work():
            while not self.watching.wait(0.2):
                try:
                    if self.qmp.command("query-status")["status"] == "io-error":
                        self.stops += 1
                        self.qmp.command("cont")
                except report.Failure:
                    return
        self._in_background(work, ())
        return "watching"

    def _watched(self, _):
        self.watching.set()
        return str(self.stops)

    def _kill(self, _):
        with open(os.path.join(self.dir, "vhost.pid"), encoding="ascii") as pid:
            os.kill(int(pid.read()), signal.SIGKILL)
        return "killed"

    def _revive(self, _):
        device = next(d for d in self.machine.devices if d.id == "vhost")
        os.unlink(self._path(device, ".sock"))
        self._storage_daemon(device)
        return "revived"

    # -- the verdict --

    def _unexpected(self, kind, lines):
        if kind == "kernel":
            return [line for _, line in self.kernel_lines()]
        allowed = [s.qemu for s in self._scenarios() if s.qemu]
        return [line for line in lines if not any(re.search(p, line) for p in allowed)]

    def _scenarios(self):
        return [plan.SCENARIOS[name] for name in self.plan.scenarios]

    def kernel_lines(self):
        """(scenario, line) of what the kernel should not have said."""
        return unexpected_lines(self.result.kernel)

    def pci(self, device):
        """Address of a device; firmware numbers the buses of the ports in their order."""
        if device.id in self.hot:
            return "0000:%02x:00.0" % (1 + list(self.hot).index(device.id))
        return device.pci()


def unexpected_lines(lines):
    """(scenario, line) of splats that the scenario under way does not explain."""
    found, now = [], ""
    for line in lines:
        match = BEGIN.search(line)
        if match:
            now = match.group(2) if match.group(1) == "begin" else ""
        elif BROKEN.search(line) or log.is_splat(line):
            allowed = plan.SCENARIOS[now].kernel if now in plan.SCENARIOS else ""
            if not allowed or not re.search(allowed, line):
                found.append((now, line))
    return found


def parse(lines):
    """{scenario: (verdict, what it said)}"""
    matches = [SAID.match(line) for line in lines]
    return {m.group(2): (m.group(1), m.group(3)) for m in matches if m}

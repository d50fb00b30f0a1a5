# SPDX-License-Identifier: GPL-2.0-only
"""What a guest asks of its host while it runs, and how the host does it."""

import hashlib
import json
import os
import re
import time

from lib import report
from lib.guest.machine import MIB


def _key(down):
    return {"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": "a"}}}


def _axis(kind, axis, value):
    return {"type": kind, "data": {"axis": axis, "value": value}}


# What is sent to an input device on request, one list of events after the other, and
# the answer.
EVENTS = {
    "key": ([[_key(True)], [_key(False)]], "A pressed and released"),
    "tablet": ([[_axis("abs", "x", 1000), _axis("abs", "y", 2000)]], "moved"),
    "mouse": ([[_axis("rel", "x", 5)]], "moved"),
}


class Requests:
    """The part of a Guest that serves it."""

    def asked(self, word, rest):
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

    def request(self, number, text):
        """A request of a script in the guest, which waits for the answer."""
        try:
            answer = "ok " + self._serve(*text.partition(" ")[::2])
        except report.Failure as error:
            answer = "fail " + str(error)
        with self.write_lock:
            try:
                self.control.setblocking(True)
                self.control.sendall(("HOSTREPLY %s %s\n" % (number, answer)).encode())
                self.control.setblocking(False)
            except OSError:
                pass    # the guest has gone without waiting for the answer

    def _serve(self, word, rest):
        if word in EVENTS:
            events, answer = EVENTS[word]
            for together in events:
                self.qmp.command("input-send-event", events=together)
            return answer
        serve = {"qmp": self._qmp, "balloon": self._balloon, "resident": self._resident,
                 "screen": self._screen, **self.serve}.get(word)
        if not serve:
            raise report.Failure("the host knows no request %r" % word)
        return serve(rest)

    def _qmp(self, text):
        try:
            return json.dumps(self.qmp.send(json.loads(text)))
        except ValueError:
            raise report.Failure("not JSON: " + text) from None

    def _resident(self, _):
        """What QEMU has in the host's memory, in MiB; it is the child of timeout(1)."""
        timeout = self.qemu.pid
        try:
            with open("/proc/%d/task/%d/children" % (timeout, timeout), encoding="ascii") as file:
                child = file.read().split()[0]
            with open("/proc/%s/status" % child, encoding="ascii") as file:
                return str(int(re.search(r"^VmRSS:\s+(\d+)", file.read(), re.M)[1]) // 1024)
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

    def _balloon(self, _):
        whole = self.qmp.command("query-balloon")["actual"]
        for target in (whole - 64 * MIB, whole):
            self.qmp.command("balloon", value=target)
            deadline = time.monotonic() + 40
            while self.qmp.command("query-balloon")["actual"] != target:
                if time.monotonic() > deadline:
                    raise report.Failure("balloon did not reach %d MiB" % (target // MIB))
                time.sleep(0.1)
        return "64 MiB inflated and deflated"

# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's control socket."""

import json
import re
import threading

from lib import report


class Qmp:
    """QEMU's control socket."""

    def __init__(self, sock):
        sock.settimeout(30)
        self.sock = sock
        # For reading only: a text file forgets what it has read ahead when it is
        # written to, which may be an event that came together with an answer.
        self.file = sock.makefile("r", encoding="utf-8", newline="\n")
        self.lock = threading.Lock()
        self.events = []
        self.ready = False

    def command(self, name, **arguments):
        return self.send({"execute": name, "arguments": arguments})

    def send(self, command):
        """The answer to a command; an error is raised as Failure."""
        with self.lock:
            try:
                if not self.ready:
                    self.file.readline()
                    self._exchange({"execute": "qmp_capabilities"})
                    self.ready = True
                return self._exchange(command)
            except (OSError, ValueError) as error:
                raise report.Failure("QMP: %s" % error) from None

    def _exchange(self, command):
        self.sock.sendall((json.dumps(command) + "\n").encode())
        while True:
            line = self.file.readline()
            if not line:
                raise report.Failure("QMP: QEMU has gone")
            answer = json.loads(line)
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise report.Failure("QMP: " + answer["error"].get("desc", line))
            elif "return" in answer:
                return answer["return"]

    def stuck(self):
        """Of a guest that does not go on, in one line: what QEMU says of it and where its
        CPUs are; and all their registers."""
        try:
            status = self.command("query-status")["status"]
            registers = self.command("human-monitor-command",
                                     **{"command-line": "info registers -a"})
        except report.Failure as error:
            return str(error), ""
        where = re.findall(r"\b(?:[RE]IP|PC) *= *([0-9a-f]+)", registers)
        return "QEMU: " + " ".join([status, "at", *where] if where else [status]), registers

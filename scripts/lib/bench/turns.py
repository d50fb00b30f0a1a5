# SPDX-License-Identifier: GPL-2.0-only
"""Turns: guests that are up at the same time measure one after the other, a
slice each, so that what else goes on on the host hits all of them alike.  Who
waits is stopped and takes no time from the one that measures."""

import threading

from lib import report


class Turns:
    """slices: [(label, key of a guest)] in the order in which they are taken;
    keys: all guests.  The first slice is not given before every guest is up."""

    def __init__(self, slices, keys):
        self.slices = list(slices)
        self.keys = set(keys)
        self.arrived = set()
        self.at = 0
        self.broken = None
        self.changed = threading.Condition()

    def _wait(self, key, ready):
        with self.changed:
            self.arrived.add(key)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.broken or
                                  (self.arrived == self.keys and ready()))
            if self.broken:
                raise report.Failure("%s ended before its turn" % self.broken)

    def take(self, key, label):
        """Wait for a slice of this label to be the guest's."""
        self._wait(key, lambda: self.at < len(self.slices)
                   and self.slices[self.at] == (label, key))

    def give(self, key, label):
        """The slice is over, the next one begins."""
        with self.changed:
            if self.broken or self.slices[self.at] != (label, key):
                raise report.Failure("%s gives what is not its own: %s" % (key, label))
            self.at += 1
            self.changed.notify_all()

    def over(self, key):
        """Wait for everybody to have had all turns."""
        self._wait(key, lambda: self.at == len(self.slices))

    def leave(self, key):
        """The guest is gone; if there are turns for it left, nobody gets one."""
        with self.changed:
            left = any(who == key for _, who in self.slices[self.at:])
            if not self.broken and (left or key not in self.arrived):
                self.broken = key
            self.changed.notify_all()


def plan(guests, turn):
    """The slices of guests, [(key, labels)]: a label at a time, every guest that
    has it in turn, the other way round the next time."""
    labels = max((labels for _, labels in guests), key=len, default=())
    done = {key: 0 for key, _ in guests}
    slices = []
    for number, label in enumerate(labels):
        order = guests if (number + turn) % 2 == 0 else guests[::-1]
        for key, mine in order:
            if done[key] < len(mine) and mine[done[key]] == label:
                slices.append((label, key))
                done[key] += 1
    lost = [key for key, mine in guests if done[key] < len(mine)]
    if lost:
        raise report.Failure("%s: its slices are not those of the others" % lost[0])
    return slices

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: attacks.py KTAP

The table of what a device can do to the base's ring, to the same with the fixes of
series/BASE-fixes, and to ours, from what tools/testing/vring/attacks.c reported in the
file KTAP: printed, and written to attacks.txt and attacks.json in build/BASE/unit."""

import collections
import contextlib
import io
import itertools
import os
import re
import sys

sys.dont_write_bytecode = True

from lib import report, words                                    # noqa: E402

UNIT = os.path.join(report.BUILD, "unit")
RESULT = re.compile(r"^(not )?ok \d+ (split|packed): (.*)$")
RINGS = {"stock": "stock", "fixed": "stock + fixes", "ours": "ours"}     # in the table
OUTCOME = re.compile(r"^# (%s) \| (harm|-) \| (.*) \| (.*) \| (.*)$" % "|".join(RINGS))

Outcome = collections.namedtuple("Outcome", "what harm access requests")


class Attack:
    """One attack on either layout, and what came of it."""

    def __init__(self, name, layout, ok, outcomes):
        self.name, self.layout, self.ok, self.outcomes = name, layout, ok, outcomes

    def same(self, other):
        """Whether a row does for both."""
        return (self.name, self.ok, self.outcomes) == (other.name, other.ok, other.outcomes)

    def as_dict(self):
        """What goes into the JSON."""
        return {"attack": self.name, "layout": self.layout, "ok": self.ok,
                **{ring: [o._asdict() for o in found] for ring, found in self.outcomes.items()}}


def kinds(field):
    """Where an outcome came about: the kinds in one field, none if that is everywhere."""
    return field.split("; ") if field != "-" else []


def read(path):
    """The attacks that are reported in a file."""
    attacks, outcomes, plan = [], {ring: [] for ring in RINGS}, None
    try:
        with open(path, encoding="utf-8") as ktap:
            lines = ktap.read().splitlines()
    except OSError as error:
        raise report.Failure("cannot read %s: %s; run scripts/unit.sh"
                             % (path, error.strerror)) from error
    for line in lines:
        outcome, result = OUTCOME.match(line), RESULT.match(line)
        if line.startswith("1.."):
            plan = int(line[3:])
        elif outcome:
            ring, harm, what, access, requests = outcome.groups()
            outcomes[ring].append(Outcome(what, harm == "harm", kinds(access),
                                          kinds(requests)))
        elif result:
            attacks.append(Attack(result.group(3), result.group(2), not result.group(1),
                                  outcomes))
            outcomes = {ring: [] for ring in RINGS}
    if not attacks or len(attacks) != plan:
        raise report.Failure("%s reports %d of %s attacks: see its .stderr" % (
            path, len(attacks), plan))
    for ring in RINGS:      # not every base has fixes
        if not any(attack.outcomes[ring] for attack in attacks):
            for attack in attacks:
                del attack.outcomes[ring]
    return attacks


def describe(outcome):
    """An outcome, and where it came about if not everywhere."""
    where = outcome.access + outcome.requests
    return outcome.what + (" (%s)" % ", ".join(where) if where else "")


def rows_of(attacks):
    """Rows of the table and the colours in it; one for both layouts if they agree."""
    rows, colours, done = [], {}, []
    for attack in attacks:
        twin = next((a for a in attacks if a is not attack and attack.same(a)), None)
        if twin in done:
            continue
        done.append(attack)
        name = attack.name if twin else "%s: %s" % (attack.layout, attack.name)
        for row in itertools.zip_longest(*attack.outcomes.values()):
            for column, outcome in enumerate(row, 1):
                if outcome:
                    colours[len(rows), column] = "red" if outcome.harm else "green"
            rows.append([name] + [describe(o) if o else "" for o in row])
            name = ""
    return rows, colours


def table(attacks):
    """Lines of the table, and a last one that sums it up."""
    rows, colours = rows_of(attacks)
    titles = {ring: title for ring, title in RINGS.items() if ring in attacks[0].outcomes}
    lines = report.format_table(["attack", *titles.values()], rows, colours)
    harmed = ["%d %s" % (sum(any(o.harm for o in attack.outcomes[ring]) for attack in attacks),
                         title) for ring, title in titles.items()]
    lines.append("%d attacks hurt: %s" % (len(attacks), ", ".join(harmed)))
    return lines


def main():
    """The table of one report."""
    parser = words.Words(__doc__)
    parser.add_argument("report")
    attacks = read(parser.parse_args().report)
    report.write_json(os.path.join(UNIT, "attacks.json"), [a.as_dict() for a in attacks])
    with contextlib.redirect_stdout(io.StringIO()):
        plain = table(attacks)
    with open(os.path.join(UNIT, "attacks.txt"), "w", encoding="utf-8") as out:
        out.write("\n".join(plain) + "\n")
    for line in table(attacks):
        report.say(line)
    return 0


if __name__ == "__main__":
    report.main_guard(main)

# SPDX-License-Identifier: GPL-2.0-only
"""The configuration of Debian's cloud kernel, cut to what two cores can build."""

import re

from lib import report

LIST = report.ROOT + "/scripts/config/debian.config"


def options(text):
    """{option: its line} of a configuration."""
    return {match[1]: match[0] for match in
            re.finditer(r"^(?:# )?(CONFIG_\w+)(?:=.*| is not set)$", text, re.M)}


def cut(whole, wanted):
    """The configuration whole without the modules that the list wanted does not name,
    and with what that list says besides.  A module that whole has not is an error."""
    have, want = options(whole), options(wanted)
    gone = [name for name, line in want.items() if line.endswith("=m") and have.get(name) != line]
    if gone:
        raise report.Failure("Debian's configuration has no module " + " ".join(gone))
    lines = {name: "# %s is not set" % name if line.endswith("=m") else line
             for name, line in have.items()}
    return "".join(line + "\n" for line in {**lines, **want}.values())


def lost(built, wanted):
    """Options of the list wanted that the configuration built has otherwise."""
    have = options(built)
    return [name for name, line in options(wanted).items()
            if have.get(name, "# %s is not set" % name) != line]

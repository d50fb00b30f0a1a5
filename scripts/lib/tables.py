# SPDX-License-Identifier: GPL-2.0-only
"""The tables of the verbs, scripts/NAME.toml."""

import tomllib

from lib import report


def load(name, folder=report.ROOT + "/scripts"):
    """What is in a table."""
    path = "%s/%s.toml" % (folder, name)
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise report.Failure("%s: %s" % (path, error)) from None

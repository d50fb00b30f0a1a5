# SPDX-License-Identifier: GPL-2.0-only
"""The words of a verb's command line."""

import argparse


class Words(argparse.ArgumentParser):
    """The docstring at the head of a script is what --help prints; flags are its options
    without a value.  A word that it does not know ends it with the usage and status 2."""

    def __init__(self, doc, *flags):
        super().__init__(allow_abbrev=False)
        self.doc = doc.strip() + "\n"
        for flag in flags:
            self.add_argument(flag, action="store_true")

    def names(self, key, known):
        """Let it have any number of the known names."""
        def name(word):
            if word not in known:
                raise argparse.ArgumentTypeError("no %s; there are: %s" % (word, " ".join(known)))
            return word

        self.add_argument(key, nargs="*", type=name)
        return self

    def format_help(self):
        return self.doc

    def format_usage(self):
        return self.doc.partition("\n\n")[0] + "\n"

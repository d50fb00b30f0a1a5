# SPDX-License-Identifier: GPL-2.0-only
"""The words after a verb's name: options, which begin with "-", and others."""

import os
import sys


def parse(usage, options=(), least=0, most=None, argv=None):
    """({option: value}, other words) of a command line.

    options are those that there are: "--list", or "--soak=" for one that has a value.
    The value of the first is True.  -h and --help print usage, a script's docstring,
    and end with 0.  What is not known, and less than least or more than most other
    words, is refused with one line and status 2, before anything is done."""
    name, *argv = sys.argv if argv is None else argv
    name = os.path.basename(name)
    if "-h" in argv or "--help" in argv:
        print(usage.strip())
        sys.exit(0)

    def refuse(text):
        print("%s: %s; %s --help says more" % (name, text, name), file=sys.stderr)
        sys.exit(2)

    found, words = {}, []
    for word in argv:
        option, equals, value = word.partition("=")
        if not word.startswith("-"):
            words.append(word)
        elif option + equals not in options:
            refuse("no option %s, only: %s" % (word, " ".join(options) or "--help"))
        elif equals and not value:
            refuse("%s needs a value" % word)
        else:
            found[option] = value if equals else True
    if len(words) < least:
        refuse("too few words")
    if most is not None and len(words) > most:
        refuse("what is %s for" % words[most])
    return found, words


def choose(words, known, what):
    """The words, if all of them are known names of what (such as "step")."""
    for word in words:
        if word not in known:
            print("%s: no %s %s; there are: %s" % (
                os.path.basename(sys.argv[0]), what, word, " ".join(known)), file=sys.stderr)
            sys.exit(2)
    return words

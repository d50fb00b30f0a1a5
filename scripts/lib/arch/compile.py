# SPDX-License-Identifier: GPL-2.0-only
"""The files that the series touches, and those that use what it declares, compiled
for other architectures."""

import fnmatch
import os
import re
import subprocess
from dataclasses import dataclass, field

from lib import report, tables

TREE = report.BUILD + "/linux"


@dataclass
class Config:
    """A configuration to compile with.  options: what it must have, or lack with a
    value of "n", beside what its target makes of everything else."""
    name: str
    arch: str
    cross: str
    target: str
    what: str
    options: dict = field(default_factory=dict)


TABLE = tables.load("arch")
CONFIGS = [Config(name, words["arch"], words["cross"], words["target"], words["what"],
                  {**(TABLE["virtio"] if "bare" in words else {}), **words.get("options", {})})
           for name, words in TABLE["config"].items()]


def _git(*words):
    done = subprocess.run(["git", "-C", TREE, *words], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise report.Failure("git %s in %s: %s" % (words[0], TREE, done.stderr.strip()))
    return done.stdout.split("\n")[:-1]


def files():
    """The C files to compile: those that the series has or changes, one that includes
    each header of a driver that it changes, and all that include what it declares for
    others."""
    base = _git("rev-list", "--max-parents=0", "HEAD")[0]
    touched = [f for f in _git("diff", "--name-only", "--diff-filter=d", base, "HEAD", "--",
                               ":!tools", ":!Documentation") if f.endswith((".c", ".h"))]
    found = {f for f in touched if f.endswith(".c")}
    for header in touched:
        if header == "include/linux/virtio_ring.h":
            for user in _users("<linux/virtio_ring.h>"):
                if user.endswith(".c"):
                    found.add(user)
                elif user.startswith("drivers/virtio/"):
                    found |= set(_users('"%s"' % os.path.basename(user), "drivers/virtio"))
        elif header.endswith(".h") and "include/" not in header:
            found |= {u for u in _users('"%s"' % os.path.basename(header),
                                        os.path.dirname(header))[:1]}
    return sorted(f for f in found if f.endswith(".c"))


def _users(header, *where):
    """The files that include a header, in the spelling of their #include."""
    return _git("grep", "-lF", "#include " + header, "--", *where, ":!tools", ":!include")


def needs(path):
    for pattern, option in TABLE["needs"].items():
        if fnmatch.fnmatch(path, pattern):
            return option
    raise report.Failure("the series touches %s: add what it depends on to [needs] of "
                         "scripts/arch.toml" % path)


class Compile:
    """One configuration and what came of it.  files: path to "ok" or what was said;
    left_out: what it cannot have."""

    def __init__(self, config, paths):
        self.config = config
        self.paths = paths
        self.obj = "%s/build-arch-%s" % (TREE, config.name)
        self.log = "%s/arch-%s.log" % (report.LOGS, config.name)
        self.problem = ""
        self.files = {}
        self.left_out = []

    def _make(self, *words):
        """make, with the compiler and the cache that all kernels are built with."""
        script = 'cross=$1; shift; . scripts/lib/kbuild.sh; exec make CC="$cc" "$@"'
        with open(self.log, "a", encoding="utf-8") as log:
            log.write("# make %s\n" % " ".join(words))
            log.flush()
            return subprocess.run(
                ["bash", "-c", script, "make", self.config.cross, "-s", "-C", TREE,
                 "O=" + self.obj, "ARCH=" + self.config.arch,
                 "CROSS_COMPILE=" + self.config.cross, *words],
                cwd=report.ROOT, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, check=False).returncode

    def _configure(self):
        """Options that are as they must be not, or None if there is no configuration."""
        wish = self.obj + "/wish.config"
        options = {**TABLE["plain"], **self.config.options}
        with open(wish, "w", encoding="ascii") as out:
            out.writelines("CONFIG_%s=%s\n" % pair for pair in options.items())
        if self._make(self.config.target, "KCONFIG_ALLCONFIG=" + wish):
            return None
        have = self.options()
        return ["%s=%s" % pair for pair in self.config.options.items()
                if have.get(pair[0], "n") != pair[1]]

    def options(self):
        with open(self.obj + "/.config", encoding="ascii") as lines:
            return dict(re.findall(r"^CONFIG_(\w+)=([ym])$", lines.read(), re.M))

    def run(self):
        os.makedirs(self.obj, exist_ok=True)
        os.makedirs(report.LOGS, exist_ok=True)
        with open(self.log, "w", encoding="utf-8"):
            pass
        wrong = self._configure()
        if wrong is None or wrong:
            self.problem = "no configuration" if wrong is None else \
                "the configuration is without " + " ".join(wrong)
            return self
        have = self.options()
        wanted = [p for p in self.paths if needs(p) in have]
        self.left_out = [p for p in self.paths if p not in wanted]
        objects = [p[:-1] + "o" for p in wanted]
        # What is up to date does not say again what the compiler said of it.
        for one in objects:
            if os.path.exists("%s/%s" % (self.obj, one)):
                os.unlink("%s/%s" % (self.obj, one))
        if self._make("prepare"):
            self.problem = "make prepare failed"
            return self
        self._make("-k", "W=1", *objects)
        with open(self.log, encoding="utf-8", errors="replace") as lines:
            said = [line.strip() for line in lines]
        for path, one in zip(wanted, objects):
            self.files[path] = self._verdict(path, one, said)
        return self

    def _verdict(self, path, one, said):
        about = re.compile(r"(\.\./|%s/)?%s:\d+.*(warning|error): " % (
            re.escape(TREE), re.escape(path)))
        found = [line for line in said if about.match(line)]
        if found:
            return found[0].split(path, 1)[1].lstrip(":")
        if not os.path.exists("%s/%s" % (self.obj, one)):
            return "not compiled, see %s" % self.log
        return "ok"

    def warnings(self):
        """Warnings and errors that are not told by a file: those about a header."""
        with open(self.log, encoding="utf-8", errors="replace") as lines:
            return [line.strip() for line in lines
                    if re.search(r"\.h:\d+.*(warning|error): ", line)]

    def failed(self):
        if self.problem:
            return ["%s: %s, see %s" % (self.config.name, self.problem, self.log)]
        return ["%s: %s: %s" % (self.config.name, path, verdict)
                for path, verdict in self.files.items() if verdict != "ok"] + \
               ["%s: %s" % (self.config.name, line) for line in dict.fromkeys(self.warnings())]


def run(names):
    """The configurations of these names, compiled."""
    paths, done = files(), []
    with report.Progress() as progress:
        for config in CONFIGS:
            if config.name in names:
                progress.begin(config.name)
                done.append(Compile(config, paths).run())
                progress.end(config.name)
    return done


def nowhere(done):
    """Files that no configuration has compiled, and one of them could have."""
    seen = {path for one in done for path in one.files}
    return [path for one in done[:1] for path in one.paths if path not in seen and needs(path)]

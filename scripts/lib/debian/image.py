# SPDX-License-Identifier: GPL-2.0-only
"""The image of a Debian guest with two kernels installed: Debian's own, and the same
with the series.  All that takes long is cached, and named by what it was made from."""

import glob
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass

from lib import report
from lib.debian import config
from lib.series import deb, lay
from lib.series.paths import Paths
from lib.util import Fail, Git, locked, progress, read_entry, write_atomic

SUITE = "trixie"
STOCK = "linux-image-cloud-amd64"
PACKAGES = (STOCK, "systemd-sysv", "dbus", "udev", "login", "passwd",
            "initramfs-tools", "kmod", "zstd", "e2fsprogs", "xfsprogs", "btrfs-progs",
            "iproute2", "iputils-ping", "procps", "fio", "stress-ng", "iperf3",
            "kexec-tools", "makedumpfile", "kdump-tools")
PASSWORD = "virtio"
SIZE = "6G"
KEEP_S = 7 * 86400      # what was not used for so long is removed

# What is configured besides, in the folder "$1": no boot is the first one, and no service
# is given up because the host is short of time.
SET_UP = """
set -e
echo debian >"$1/etc/hostname"
echo "LABEL=root / ext4 errors=remount-ro 0 1" >"$1/etc/fstab"
printf '[Match]\\nType=ether\\n[Network]\\nDHCP=yes\\n' >"$1/etc/systemd/network/80-dhcp.network"
echo root:%s | chroot "$1" chpasswd
echo 5669727475616c494f2d444d412d3130 >"$1/etc/machine-id"
touch "$1/etc/.updated" "$1/var/.updated"
mkdir "$1/etc/systemd/system/service.d"
printf '[Service]\nTimeoutSec=1h\nWatchdogSec=0\n' >"$1/etc/systemd/system/service.d/patience.conf"
sed -i 's/^LOGIN_TIMEOUT.*/LOGIN_TIMEOUT 3600/' "$1/etc/login.defs"
chroot "$1" systemctl enable systemd-networkd
rm -f "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
chroot "$1" systemctl disable kdump-tools
ln -s /dev/null "$1/etc/udev/rules.d/50-kdump-tools.rules"
chroot "$1" systemctl mask apt-daily.timer apt-daily-upgrade.timer
""" % PASSWORD


@dataclass
class Image:
    """disk: a raw file system; versions: of the kernels "stock" and "ours"; boot: the
    folder with the kernel and the initramfs that the package of each installed;
    package: that of ours."""
    disk: str
    versions: dict
    boot: str
    package: str

    def kernel(self, flavour):
        return "%s/vmlinuz-%s" % (self.boot, self.versions[flavour])

    def initrd(self, flavour):
        return "%s/initrd.img-%s" % (self.boot, self.versions[flavour])


def digest(*parts):
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def version_of(names):
    """(stock's version, ours) among the names of files in /boot."""
    found = [name[len("vmlinuz-"):] for name in names if name.startswith("vmlinuz-")]
    ours = [v for v in found if v.endswith("-virtio-dma")]
    stock = [v for v in found if v.endswith("-cloud-amd64")]
    if len(ours) > 1 or len(stock) != 1:
        raise report.Failure("the image has kernels " + (" ".join(found) or "none"))
    return stock[0], (ours or [""])[0]


class Cache:
    """The folder of what is made here, and how it is made."""

    def __init__(self, paths, build=True):
        self.paths, self.build = paths, build
        self.top = os.path.join(paths.cache, "debian")
        os.makedirs(self.top, exist_ok=True)

    def made(self, kind, key, make):
        """The folder KIND-KEY; make(folder) fills it if it is not there."""
        path = os.path.join(self.top, "%s-%s" % (kind, key))
        with locked(os.path.join(self.top, ".lock-" + kind)):
            if not os.path.isdir(path):
                if not self.build:
                    raise report.Failure("%s is missing: leave --no-build out" % path)
                self._prune()
                new = tempfile.mkdtemp(prefix=".new-", dir=self.top)
                try:
                    make(new)
                    os.chmod(new, 0o755)
                    os.rename(new, path)
                finally:
                    shutil.rmtree(new, ignore_errors=True)
        os.utime(path)
        return path

    def _prune(self):
        for old in glob.glob(glob.escape(self.top) + "/*-*"):
            if os.path.getmtime(old) < time.time() - KEEP_S:
                shutil.rmtree(old)

    def _run(self, what, *words):
        """Run a program to its end, its output in a log."""
        log = os.path.join(self.paths.build, "logs", "debian-image.log")
        os.makedirs(os.path.dirname(log), exist_ok=True)
        with progress("debian: " + what), open(log, "ab") as out:
            if subprocess.call(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out):
                raise report.Failure("%s failed, see %s" % (what, self.paths.rel(log)))

    def _debootstrap(self, what, *words):
        if os.getuid():
            raise report.Failure("an image of Debian is made by root: run this as root once")
        self._run(what, "mmdebstrap", "--mode=root", "--variant=" + words[0],
                  "--dpkgopt=force-unsafe-io", "--skip=cleanup/reproducible", *words[1:])

    # -- the steps --

    def base(self):
        """A tar of Debian with its own kernel, and beside it the versions of all of its
        packages, the files in /boot, and the configuration of that kernel."""
        def make(new):
            site = subprocess.run((self.paths.root + "/scripts/foreign.sh", "--site"),
                                  stdout=subprocess.PIPE, text=True, check=False)
            if site.returncode:         # it has said why
                raise report.Failure("no mirror to take Debian %s from" % SUITE)
            self._debootstrap(
                "fetching and installing Debian " + SUITE, "minbase",
                "--include=" + ",".join(PACKAGES), "--customize-hook=" + SET_UP,
                "--customize-hook=chroot \"$1\" dpkg-query -W >%s/packages" % new,
                "--customize-hook=cp \"$1\"/boot/config-* %s/config" % new,
                SUITE, new + "/base.tar", site.stdout.strip())
        return self.made("base", digest(SUITE, SET_UP, *PACKAGES), make)

    def kernel(self, base):
        """The folder of the package of a kernel with the series, of the configuration of
        the one in base."""
        wanted = read_entry(config.LIST)[1].decode()
        text = config.cut(read_entry(base + "/config")[1].decode(), wanted)
        path = os.path.join(self.paths.build, "debian", "config")
        if read_entry(path) != ("100644", text.encode()):
            write_atomic(path, text.encode())
        with self.paths.lock():
            lay.lay(self.paths)
        # Documents and tests are no part of it.
        git = Git(self.paths.linux + "/.git", self.paths.linux)
        tree = "\n".join(line for of in ("HEAD", "HEAD:tools")
                         for line in git.out("ls-tree", of).splitlines()
                         if line.split("\t")[1] not in ("Documentation", "tools", "testing"))

        def make(new):
            os.environ.update(CONFIG=path, KDEB_COMPRESS="zstd")
            for package in deb.build(self.paths):
                if re.match(r"linux-image-.*-virtio-dma_", os.path.basename(package)):
                    shutil.copy(package, new)
            lost = config.lost(read_entry(
                self.paths.build + "/deb/obj/.config")[1].decode(), wanted)
            if lost:
                raise report.Failure("the kernel's configuration has otherwise: " + " ".join(lost))
        return self.made("kernel", digest(tree, text), make)

    def image(self):
        """The Image, made if it is not there."""
        base = self.base()
        package, = glob.glob(glob.escape(self.kernel(base)) + "/linux-image-*.deb")

        def make(new):
            name = os.path.basename(package)
            self._debootstrap(
                "installing " + name, "custom", "--skip=update",
                "--setup-hook=mmtarfilter --path-exclude='/dev/*' <%s/base.tar | tar -C \"$1\" -x"
                % shlex.quote(base), "--customize-hook=copy-in %s /var/tmp" % shlex.quote(package),
                "--customize-hook=chroot \"$1\" apt-get -y install /var/tmp/" + name,
                "--customize-hook=rm \"$1\"/var/tmp/" + name,
                "--customize-hook=cp \"$1\"/boot/vmlinuz-* \"$1\"/boot/initrd.img-* " + new,
                "", new + "/root")
            self._run("writing the image", "mke2fs", "-q", "-t", "ext4", "-L",
                      "root", "-d", new + "/root", new + "/root.img", SIZE)
            shutil.rmtree(new + "/root")
        boot = self.made("image", digest(base, package, SIZE, read_entry(
            base + "/packages")[1].decode()), make)
        stock, ours = version_of(os.listdir(boot))
        return Image(boot + "/root.img", {"stock": stock, "ours": ours}, boot, package)


def provide(build=True):
    """The Image; what is not there is made, if build says so."""
    try:
        return Cache(Paths(report.ROOT), build).image()
    except Fail as error:
        raise report.Failure(str(error)) from error

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: nettap.py FD [QUEUES]

Make a tap device in a network namespace of its own, hand its file descriptor
over the socket FD, and stay until ended, for the namespace goes with the last
process in it.  Nothing of it is seen outside; what is sent into it is lost, but
for the frames of experiments (EtherType 0x88b5), which come back as they went.
With QUEUES it has so many queues, each with a file descriptor.
Behind a tap QEMU's virtio-net takes checksums and TSO, which no other back end
without privileges does.  Without root, a user namespace is what allows it."""

import ctypes
import fcntl
import os
import socket
import struct
import sys

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
TUNSETIFF, SIOCSIFFLAGS = 0x400454ca, 0x8914
IFF_TAP, IFF_MULTI_QUEUE, IFF_NO_PI, IFF_VNET_HDR = 0x2, 0x100, 0x1000, 0x4000
IFF_UP, IFF_NOARP = 0x1, 0x80
NAME = b"bench0"
EXPERIMENT = 0x88b5     # an EtherType of IEEE 802's


def open_tap(queues):
    """The file descriptors of the queues of a tap device that is up."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) and libc.unshare(CLONE_NEWUSER | CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (IFF_MULTI_QUEUE if queues > 1 else 0)
    taps = [os.open("/dev/net/tun", os.O_RDWR) for _ in range(queues)]
    for tap in taps:
        fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", NAME, flags))
    try:        # no router solicitations, if that can be had
        with open("/proc/sys/net/ipv6/conf/%s/disable_ipv6" % NAME.decode(), "w",
                  encoding="ascii") as file:
            file.write("1")
    except OSError:
        pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH22x", NAME, IFF_UP | IFF_NOARP))
    return taps


def echo(wire):
    """Send the frames of experiments back to where they come from, until the tap
    is closed, with which the device goes."""
    try:
        while True:
            wire.send(wire.recv(65536))
    except OSError:
        pass


def main():
    """Hand over the tap device, or the reason why there is none."""
    with socket.socket(fileno=int(sys.argv[1])) as sock:
        try:
            taps = open_tap(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EXPERIMENT))
            wire.bind((NAME.decode(), EXPERIMENT))
            socket.send_fds(sock, [b"ok"], taps)
        except OSError as error:
            sock.sendall(str(error).encode())
            return 1
    for tap in taps:    # QEMU's end of it is QEMU's
        os.close(tap)
    echo(wire)
    return 0


if __name__ == "__main__":
    sys.exit(main())

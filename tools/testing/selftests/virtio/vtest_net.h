/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pairs of NICs that the host has connected, each end in a network namespace of
 * its own, and checked data between them.  See vtest_lib.sh for the addresses.
 */
#ifndef VTEST_NET_H
#define VTEST_NET_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

/* Bits of /sys/bus/virtio/devices/virtioN/features. */
#define VT_NET_F_MRG_RXBUF	15
#define VT_F_EVENT_IDX		29
#define VT_F_RING_PACKED	34
#define VT_F_RING_RESET		40

struct vt_nic {
	char name[16];
	char virtio[32];
	char features[65];	/* as in sysfs: a character a bit */
	int ifindex;
};

#define VT_MAX_PAIRS	8

struct vt_pair {
	unsigned int number;
	struct vt_nic nic[2];	/* of MAC ...:01 and ...:02 */
};

int vt_net_find(struct vt_pair *pairs, int max);
bool vt_nic_has(const struct vt_nic *nic, unsigned int feature);

/*
 * Put the ends of all pairs into two namespaces, give them the addresses
 * 10.K.0.1 and 10.K.0.2 and set them up; and back again.  Their ifindex is
 * what it is where they are.
 */
int vt_net_enter(struct vt_pair *pairs, int count);
void vt_net_leave(void);

/* A socket of one side; the caller stays where it is.  -1 if it fails. */
int vt_net_socket(int side, int domain, int type, int protocol);
int vt_net_set_mtu(int side, const struct vt_nic *nic, int mtu);
int vt_net_set_up(int side, const struct vt_nic *nic, bool up);
/* Datagrams and segments that a side has dropped for their checksum. */
int vt_net_checksum_errors(int side, unsigned long *errors);

/* A pair of connected TCP sockets, fd[0] on side 0 and fd[1] on side 1. */
int vt_net_tcp(const struct vt_pair *pair, int fd[2]);
/* Bound and connected UDP sockets. */
int vt_net_udp(const struct vt_pair *pair, int fd[2]);

/* Sends or receives and checks what is a function of seed alone. */
int vt_net_send(int fd, __u64 seed, __u64 bytes, size_t chunk);
int vt_net_receive(int fd, __u64 seed, __u64 bytes);

/*
 * streams TCP connections at once, bytes in each direction on each of them.
 * If stop is given, they go on, bytes at a time, until *stop is not 0, and
 * *moved counts the bytes that arrived and were right.
 */
int vt_net_streams(const struct vt_pair *pair, int streams, __u64 bytes,
		   size_t chunk, int *stop,
		   __u64 *moved);

/*
 * Single frames, for what takes a NIC away while it is in use: a packet socket
 * on each end of a pair as it is now, -1 while an end of it is away.
 */
int vt_frame_open(unsigned int number, int fd[2]);
/* 1 if a frame went through, 0 if it was lost, -1 if something else arrived. */
int vt_frame_send(const int fd[2], int from, __u64 number);

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * Pairs of NICs that the host has connected, each end in a network namespace of
 * its own, and checked data between them.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vtest.h"
#include "vtest_net.h"

#define SIDES		2
#define HOME		SIDES		/* index of the namespace we came from */
#define RECEIVE_SECONDS	60		/* silence that means: broken */

static int ns_fd[SIDES + 1] = { -1, -1, -1 };
static struct vt_pair *entered;
static int entered_count;

static int nic_device(struct vt_nic *nic)
{
	char path[PATH_MAX], *real, *name;

	snprintf(path, sizeof(path), "/sys/class/net/%s/device", nic->name);
	real = realpath(path, NULL);
	if (!real)
		return -1;
	name = strrchr(real, '/') + 1;
	snprintf(nic->virtio, sizeof(nic->virtio), "%.31s", name);
	free(real);
	/* Another kind of NIC carries data too, and has no features. */
	if (strncmp(nic->virtio, "virtio", 6))
		return 0;
	snprintf(path, sizeof(path), "/sys/class/net/%s/device/features",
		 nic->name);
	return vt_read_line(path, nic->features, sizeof(nic->features));
}

int vt_net_find(struct vt_pair *pairs, int max)
{
	struct vt_pair all[256] = { 0 };
	struct dirent *entry;
	int count = 0;
	DIR *dir;

	dir = opendir("/sys/class/net");
	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		char path[PATH_MAX], mac[32];
		unsigned int number, end;
		struct vt_nic nic = { 0 };

		if (entry->d_name[0] == '.')
			continue;
		snprintf(nic.name, sizeof(nic.name), "%.15s", entry->d_name);
		snprintf(path, sizeof(path), "/sys/class/net/%s/address",
			 nic.name);
		if (vt_read_line(path, mac, sizeof(mac)) ||
		    sscanf(mac, "52:54:00:00:%2x:%2x", &number, &end) != 2 ||
		    number > 255 || (end != 1 && end != 2) || nic_device(&nic))
			continue;
		nic.ifindex = if_nametoindex(nic.name);
		all[number].nic[end - 1] = nic;
	}
	closedir(dir);
	for (unsigned int i = 0; i < VT_ARRAY_SIZE(all) && count < max; i++) {
		if (!all[i].nic[0].ifindex || !all[i].nic[1].ifindex)
			continue;
		all[i].number = i;
		pairs[count++] = all[i];
	}
	return count;
}

bool vt_nic_has(const struct vt_nic *nic, unsigned int feature)
{
	return feature < strlen(nic->features) && nic->features[feature] == '1';
}

/* Moves a NIC from the namespace we are in. */
static int move_nic(int ifindex, int to)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
		struct rtattr attr;
		int fd;
	} request = {
		.header.nlmsg_len = sizeof(request),
		.header.nlmsg_type = RTM_NEWLINK,
		.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		.info.ifi_family = AF_UNSPEC,
		.info.ifi_index = ifindex,
		.attr.rta_type = IFLA_NET_NS_FD,
		.attr.rta_len = RTA_LENGTH(sizeof(int)),
		.fd = to,
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[512];
	} answer;
	int fd, ret = 0;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return vt_fail("netlink: %s", strerror(errno));
	if (send(fd, &request, sizeof(request), 0) < 0 ||
	    recv(fd, &answer, sizeof(answer), 0) < 0)
		ret = vt_fail("netlink: %s", strerror(errno));
	else if (answer.header.nlmsg_type != NLMSG_ERROR || answer.error.error)
		ret = vt_fail("moving a NIC to another namespace: %s",
			      strerror(-answer.error.error));
	close(fd);
	return ret;
}

int vt_net_socket(int side, int domain, int type, int protocol)
{
	int fd;

	if (setns(ns_fd[side], CLONE_NEWNET))
		return vt_fail("setns: %s", strerror(errno));
	fd = socket(domain, type | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		vt_fail("socket: %s", strerror(errno));
	if (setns(ns_fd[HOME], CLONE_NEWNET))
		return vt_fail("setns: %s", strerror(errno));
	return fd;
}

static struct in_addr address(const struct vt_pair *pair, int side)
{
	return (struct in_addr) {
		htonl(10 << 24 | pair->number << 16 | (side + 1)),
	};
}

static int nic_ioctl(int side, const struct vt_nic *nic, unsigned long request,
		     struct ifreq *ifr)
{
	int fd = vt_net_socket(side, AF_INET, SOCK_DGRAM, 0), ret;

	if (fd < 0)
		return -1;
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", nic->name);
	ret = ioctl(fd, request, ifr);
	if (ret)
		vt_fail("%s: ioctl %#lx: %s", nic->name, request,
			strerror(errno));
	close(fd);
	return ret;
}

int vt_net_set_mtu(int side, const struct vt_nic *nic, int mtu)
{
	struct ifreq ifr = { .ifr_mtu = mtu };

	return nic_ioctl(side, nic, SIOCSIFMTU, &ifr);
}

int vt_net_set_up(int side, const struct vt_nic *nic, bool up)
{
	struct ifreq ifr = { 0 };

	if (nic_ioctl(side, nic, SIOCGIFFLAGS, &ifr))
		return -1;
	if (up)
		ifr.ifr_flags |= IFF_UP;
	else
		ifr.ifr_flags &= ~IFF_UP;
	return nic_ioctl(side, nic, SIOCSIFFLAGS, &ifr);
}

static int nic_address(int side, const struct vt_pair *pair)
{
	struct ifreq ifr = { 0 };
	struct sockaddr_in *sin = (struct sockaddr_in *)&ifr.ifr_addr;

	sin->sin_family = AF_INET;
	sin->sin_addr = address(pair, side);
	if (nic_ioctl(side, &pair->nic[side], SIOCSIFADDR, &ifr))
		return -1;
	sin->sin_addr.s_addr = htonl(0xffffff00);
	return nic_ioctl(side, &pair->nic[side], SIOCSIFNETMASK, &ifr);
}

/* The name stays, the index need not: sit0 may have taken it. */
static int nic_index(int side, struct vt_nic *nic)
{
	struct ifreq ifr = { 0 };

	if (nic_ioctl(side, nic, SIOCGIFINDEX, &ifr))
		return -1;
	nic->ifindex = ifr.ifr_ifindex;
	return 0;
}

static int new_namespace(void)
{
	int fd;

	if (unshare(CLONE_NEWNET))
		return vt_fail("unshare: %s", strerror(errno));
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		vt_fail("/proc/self/ns/net: %s", strerror(errno));
	if (setns(ns_fd[HOME], CLONE_NEWNET))
		return vt_fail("setns: %s", strerror(errno));
	return fd;
}

int vt_net_enter(struct vt_pair *pairs, int count)
{
	ns_fd[HOME] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (ns_fd[HOME] < 0)
		return vt_fail("/proc/self/ns/net: %s", strerror(errno));
	for (int side = 0; side < SIDES; side++) {
		ns_fd[side] = new_namespace();
		if (ns_fd[side] < 0)
			return -1;
	}
	entered = pairs;
	entered_count = count;
	for (int i = 0; i < count; i++) {
		for (int side = 0; side < SIDES; side++) {
			struct vt_nic *nic = &pairs[i].nic[side];

			if (move_nic(nic->ifindex, ns_fd[side]) ||
			    nic_index(side, nic) ||
			    nic_address(side, &pairs[i]) ||
			    vt_net_set_up(side, nic, true))
				return -1;
		}
	}
	return 0;
}

void vt_net_leave(void)
{
	for (int i = 0; i < entered_count; i++) {
		for (int side = 0; side < SIDES; side++) {
			if (setns(ns_fd[side], CLONE_NEWNET))
				continue;
			if (move_nic(entered[i].nic[side].ifindex,
				     ns_fd[HOME]))
				printf("# %s\n", vt_error);
		}
	}
	entered_count = 0;
	if (ns_fd[HOME] >= 0 && setns(ns_fd[HOME], CLONE_NEWNET))
		perror("# setns");
}

/* Each protocol has two lines: the names of the columns, and their values. */
static int snmp_value(const char *names, const char *values, const char *name,
		      unsigned long *value)
{
	char a[1024], b[1024], *save_a = NULL, *save_b = NULL;
	char *word_a, *word_b;

	snprintf(a, sizeof(a), "%s", names);
	snprintf(b, sizeof(b), "%s", values);
	word_a = strtok_r(a, "\n ", &save_a);
	word_b = strtok_r(b, "\n ", &save_b);
	while (word_a && word_b) {
		if (!strcmp(word_a, name)) {
			*value = strtoul(word_b, NULL, 10);
			return 0;
		}
		word_a = strtok_r(NULL, "\n ", &save_a);
		word_b = strtok_r(NULL, "\n ", &save_b);
	}
	return -1;
}

int vt_net_checksum_errors(int side, unsigned long *errors)
{
	char names[1024], values[1024];
	int found = 0;
	FILE *file;

	*errors = 0;
	if (setns(ns_fd[side], CLONE_NEWNET))
		return vt_fail("setns: %s", strerror(errno));
	file = fopen("/proc/thread-self/net/snmp", "r");
	if (setns(ns_fd[HOME], CLONE_NEWNET))
		vt_fail("setns: %s", strerror(errno));
	if (!file)
		return vt_fail("snmp: %s", strerror(errno));
	while (fgets(names, sizeof(names), file) &&
	       fgets(values, sizeof(values), file)) {
		unsigned long value;

		if (strncmp(names, "Tcp:", 4) && strncmp(names, "Udp:", 4))
			continue;
		if (!snmp_value(names, values, "InCsumErrors", &value)) {
			*errors += value;
			found++;
		}
	}
	fclose(file);
	return found == 2 ? 0 : vt_fail("snmp has no InCsumErrors");
}

static int set_patience(int fd)
{
	struct timeval limit = { .tv_sec = RECEIVE_SECONDS };

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)))
		return vt_fail("setsockopt: %s", strerror(errno));
	return 0;
}

int vt_net_tcp(const struct vt_pair *pair, int fd[2])
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr = address(pair, 1),
	};
	socklen_t len = sizeof(sin);
	int listener;

	fd[0] = -1;
	fd[1] = -1;
	listener = vt_net_socket(1, AF_INET, SOCK_STREAM, 0);
	if (listener < 0)
		return -1;
	if (set_patience(listener) ||
	    bind(listener, (struct sockaddr *)&sin, sizeof(sin)) ||
	    listen(listener, 8) ||
	    getsockname(listener, (struct sockaddr *)&sin, &len)) {
		vt_fail("listen on pair %u: %s", pair->number, strerror(errno));
		goto close_listener;
	}
	fd[0] = vt_net_socket(0, AF_INET, SOCK_STREAM, 0);
	if (fd[0] < 0)
		goto close_listener;
	if (set_patience(fd[0]) ||
	    TEMP_FAILURE_RETRY(connect(fd[0], (struct sockaddr *)&sin,
				       sizeof(sin)))) {
		vt_fail("connect on pair %u: %s", pair->number,
			strerror(errno));
		goto close_client;
	}
	fd[1] = TEMP_FAILURE_RETRY(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	if (fd[1] < 0 || set_patience(fd[1])) {
		vt_fail("accept on pair %u: %s", pair->number, strerror(errno));
		goto close_client;
	}
	close(listener);
	return 0;

close_client:
	close(fd[0]);
close_listener:
	close(listener);
	return -1;
}

int vt_net_udp(const struct vt_pair *pair, int fd[2])
{
	struct sockaddr_in sin[2];
	int size = VT_MIB;

	for (int side = 0; side < SIDES; side++) {
		socklen_t len = sizeof(sin[side]);

		memset(&sin[side], 0, len);
		sin[side].sin_family = AF_INET;
		sin[side].sin_addr = address(pair, side);
		fd[side] = vt_net_socket(side, AF_INET, SOCK_DGRAM, 0);
		if (fd[side] < 0)
			return -1;
		if (bind(fd[side], (struct sockaddr *)&sin[side], len) ||
		    getsockname(fd[side], (struct sockaddr *)&sin[side],
				&len) ||
		    setsockopt(fd[side], SOL_SOCKET, SO_RCVBUFFORCE, &size,
			       sizeof(size)))
			return vt_fail("bind: %s", strerror(errno));
	}
	for (int side = 0; side < SIDES; side++)
		if (connect(fd[side], (struct sockaddr *)&sin[!side],
			    sizeof(sin[0])))
			return vt_fail("connect: %s", strerror(errno));
	return 0;
}

/*
 * These sockets have time-outs, and with those a system call is not started anew
 * when the guest went to sleep over it: again then, by hand.
 */
int vt_net_send(int fd, __u64 seed, __u64 bytes, size_t chunk)
{
	__u8 *buf = malloc(chunk);
	__u64 pos = 0;

	if (!buf)
		return vt_fail("out of memory");
	while (pos < bytes) {
		size_t n = bytes - pos < chunk ? bytes - pos : chunk;
		size_t done = 0;

		vt_fill(buf, n, seed, pos);
		while (done < n) {
			size_t left = n - done;
			ssize_t sent = TEMP_FAILURE_RETRY(send(fd, buf + done,
							       left,
							       MSG_NOSIGNAL));

			if (sent <= 0) {
				free(buf);
				return vt_fail("send after %llu bytes: %s",
					       (unsigned long long)pos + done,
					       strerror(errno));
			}
			done += sent;
		}
		pos += n;
	}
	free(buf);
	return 0;
}

int vt_net_receive(int fd, __u64 seed, __u64 bytes)
{
	static __u8 buf[65536];
	__u64 pos = 0;

	while (pos < bytes) {
		size_t want = bytes - pos < sizeof(buf) ? bytes - pos :
			      sizeof(buf);
		ssize_t n = TEMP_FAILURE_RETRY(recv(fd, buf, want, 0));

		if (n <= 0)
			return vt_fail("receive after %llu bytes: %s",
				       (unsigned long long)pos,
				       n ? strerror(errno) : "end of stream");
		if (vt_check(buf, n, seed, pos))
			return -1;
		pos += n;
	}
	return 0;
}

/* One direction of one connection: a process that sends and one that checks. */
static int start_flow(int from, int to, __u64 seed, __u64 bytes,
		      size_t chunk, int *stop,
		      __u64 *moved, pid_t pids[2])
{
	for (int receiver = 0; receiver < 2; receiver++) {
		int ret;

		fflush(stdout);
		pids[receiver] = fork();
		if (pids[receiver] < 0)
			return vt_fail("fork: %s", strerror(errno));
		if (pids[receiver])
			continue;
		do {
			/* A byte more says whether another round follows. */
			__u8 more = !receiver && stop &&
				     !__atomic_load_n(stop, __ATOMIC_RELAXED);

			ret = receiver ? vt_net_receive(to, seed, bytes) :
					 vt_net_send(from, seed, bytes, chunk);
			if (!ret && receiver && moved)
				__atomic_fetch_add(moved, bytes,
						   __ATOMIC_RELAXED);
			if (!ret && receiver &&
			    TEMP_FAILURE_RETRY(recv(to, &more, 1, 0)) != 1)
				ret = vt_fail("receive: %s", strerror(errno));
			if (!ret && !receiver &&
			    TEMP_FAILURE_RETRY(send(from, &more, 1,
						    MSG_NOSIGNAL)) != 1)
				ret = vt_fail("send: %s", strerror(errno));
			if (!more)
				break;
			seed = vt_mix(seed);
		} while (!ret);
		if (ret)
			printf("# %s: %s\n", receiver ? "receiver" : "sender",
			       vt_error);
		fflush(stdout);
		_exit(!!ret);
	}
	return 0;
}

int vt_net_streams(const struct vt_pair *pair, int streams, __u64 bytes,
		   size_t chunk, int *stop,
		   __u64 *moved)
{
	pid_t pids[4 * streams];
	int fds[2 * streams];
	int status, ret = 0;
	int opened = 0, started = 0;

	for (; !ret && opened < streams; opened += !ret)
		ret = vt_net_tcp(pair, &fds[2 * opened]);
	memset(pids, 0, sizeof(pids));
	for (; !ret && started < 2 * streams; started++) {
		int *fd = &fds[started / 2 * 2], side = started % 2;

		ret = start_flow(fd[side], fd[!side],
				 vt_mix(pair->number << 16 | started), bytes,
				 chunk, stop, moved, &pids[2 * started]);
	}
	for (int i = 0; i < 4 * streams; i++) {
		if (pids[i] <= 0)
			continue;
		if (waitpid(pids[i], &status, 0) != pids[i] || status)
			ret = vt_fail("pair %u: stream %d failed",
				      pair->number, i / 4);
	}
	for (int i = 0; i < 2 * opened; i++)
		close(fds[i]);
	return ret;
}

#define ETHERTYPE	0x88b6
#define FRAME		700

static int packet_socket(struct vt_nic *nic)
{
	struct sockaddr_ll sll = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETHERTYPE),
	};
	struct timeval limit = { .tv_usec = 100000 };
	struct ifreq ifr = { 0 };
	int fd;

	fd = socket(AF_PACKET, SOCK_RAW, htons(ETHERTYPE));
	if (fd < 0)
		return vt_fail("packet socket: %s", strerror(errno));
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", nic->name);
	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		goto error;
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr))
		goto error;
	sll.sll_ifindex = if_nametoindex(nic->name);
	if (bind(fd, (struct sockaddr *)&sll, sizeof(sll)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
		goto error;
	return fd;

error:
	vt_fail("%s: %s", nic->name, strerror(errno));
	close(fd);
	return -1;
}

int vt_frame_open(unsigned int number, int fd[2])
{
	struct vt_pair pairs[VT_MAX_PAIRS];
	int count = vt_net_find(pairs, VT_MAX_PAIRS);

	for (int i = 0; i < count; i++) {
		if (pairs[i].number != number)
			continue;
		fd[0] = packet_socket(&pairs[i].nic[0]);
		if (fd[0] < 0)
			return -1;
		fd[1] = packet_socket(&pairs[i].nic[1]);
		if (fd[1] >= 0)
			return 0;
		close(fd[0]);
	}
	return -1;
}

int vt_frame_send(const int fd[2], int from, __u64 number)
{
	__u8 out[FRAME], in[FRAME + 64];
	struct ether_header *header = (struct ether_header *)out;
	__u64 got;
	ssize_t n;

	memset(header->ether_dhost, 0xff, ETH_ALEN);
	memcpy(header->ether_shost, "\x02vtest", ETH_ALEN);
	header->ether_type = htons(ETHERTYPE);
	memcpy(out + ETH_HLEN, &number, sizeof(number));
	vt_fill(out + ETH_HLEN + 8, FRAME - ETH_HLEN - 8, number, 0);
	if (send(fd[from], out, FRAME, 0) != FRAME)
		return 0;
	n = recv(fd[!from], in, sizeof(in), 0);
	if (n < 0)
		return 0;
	if (n != FRAME)
		return vt_fail("a frame of %d bytes arrived as %zd", FRAME, n);
	/* It may be an earlier one; then that one must be right. */
	memcpy(&got, in + ETH_HLEN, sizeof(got));
	if (vt_check(in + ETH_HLEN + 8, FRAME - ETH_HLEN - 8, got, 0))
		return -1;
	return 1;
}

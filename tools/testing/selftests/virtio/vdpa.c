// SPDX-License-Identifier: GPL-2.0
/*
 * A virtio device that is not on a bus of virtio's own: the block simulator of
 * vDPA, driven by virtio-blk through virtio-vdpa, with a DMA device of its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/vdpa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "vtest.h"

#define MGMT_DEV	"vdpasim_blk"
#define DEV_NAME	"vtest0"
#define ARENA		(2 * VT_MIB)

struct message {
	struct nlmsghdr header;
	struct genlmsghdr genl;
	__u8 attrs[512];
};

static void message_init(struct message *msg, __u16 family, __u8 cmd,
			 __u8 version)
{
	memset(msg, 0, sizeof(*msg));
	msg->header.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	msg->header.nlmsg_type = family;
	msg->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	msg->genl.cmd = cmd;
	msg->genl.version = version;
}

static void message_string(struct message *msg, __u16 type, const char *text)
{
	struct nlattr *attr;

	attr = (void *)((__u8 *)msg + NLMSG_ALIGN(msg->header.nlmsg_len));
	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + strlen(text) + 1;
	memcpy((__u8 *)attr + NLA_HDRLEN, text, strlen(text) + 1);
	msg->header.nlmsg_len = NLMSG_ALIGN(msg->header.nlmsg_len) +
				NLA_ALIGN(attr->nla_len);
}

/* 0, the errno of the answer, or -1; what came before the ACK goes to reply. */
static int message_send(struct message *msg, struct message *reply)
{
	struct nlmsghdr buf[512];
	struct nlmsghdr *header;
	int fd, ret = -2;
	ssize_t len;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (fd < 0)
		return vt_fail("netlink: %s", strerror(errno));
	if (send(fd, msg, msg->header.nlmsg_len, 0) < 0)
		ret = vt_fail("netlink: %s", strerror(errno));
	while (ret == -2) {
		len = recv(fd, buf, sizeof(buf), 0);
		if (len <= 0) {
			ret = vt_fail("netlink: %s", strerror(errno));
			break;
		}
		for (header = buf; NLMSG_OK(header, len);
		     header = NLMSG_NEXT(header, len)) {
			if (header->nlmsg_type == NLMSG_ERROR) {
				struct nlmsgerr *err = NLMSG_DATA(header);

				ret = -err->error;
			} else if (reply) {
				memcpy(reply, header,
				       header->nlmsg_len < sizeof(*reply) ?
				       header->nlmsg_len : sizeof(*reply));
			}
		}
	}
	close(fd);
	return ret;
}

static int vdpa_family(void)
{
	struct message msg, reply = { 0 };
	struct nlattr *attr;
	__u8 *end;
	int ret;

	message_init(&msg, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	message_string(&msg, CTRL_ATTR_FAMILY_NAME, VDPA_GENL_NAME);
	ret = message_send(&msg, &reply);
	if (ret > 0)
		return vt_fail("no generic netlink family \"vdpa\": CONFIG_VDPA is not set");
	if (ret)
		return -1;
	end = (__u8 *)&reply + reply.header.nlmsg_len;
	if (end > (__u8 *)(&reply + 1))
		end = (__u8 *)(&reply + 1);
	attr = (void *)reply.attrs;
	while ((__u8 *)attr + NLA_HDRLEN <= end && attr->nla_len) {
		if (attr->nla_type == CTRL_ATTR_FAMILY_ID)
			return *(__u16 *)((__u8 *)attr + NLA_HDRLEN);
		attr = (void *)((__u8 *)attr + NLA_ALIGN(attr->nla_len));
	}
	return vt_fail("the answer has no family ID");
}

static int family = -1;

static int create(void)
{
	struct message msg;

	message_init(&msg, family, VDPA_CMD_DEV_NEW, VDPA_GENL_VERSION);
	message_string(&msg, VDPA_ATTR_MGMTDEV_DEV_NAME, MGMT_DEV);
	message_string(&msg, VDPA_ATTR_DEV_NAME, DEV_NAME);
	return message_send(&msg, NULL);
}

static int destroy(void)
{
	struct message msg;

	message_init(&msg, family, VDPA_CMD_DEV_DEL, VDPA_GENL_VERSION);
	message_string(&msg, VDPA_ATTR_DEV_NAME, DEV_NAME);
	return message_send(&msg, NULL);
}

/* The virtio device below the vDPA device, and the disk that it is. */
static int find_disk(char *virtio, size_t virtio_size, char *path,
		     size_t path_size)
{
	char dir_name[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	virtio[0] = '\0';
	dir = opendir("/sys/bus/vdpa/devices/" DEV_NAME);
	if (!dir)
		return vt_fail("no vDPA device " DEV_NAME);
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "virtio", 6))
			snprintf(virtio, virtio_size, "%.31s", entry->d_name);
	closedir(dir);
	if (!virtio[0])
		return vt_fail("no driver of vDPA made a virtio device of it");

	snprintf(dir_name, sizeof(dir_name),
		 "/sys/bus/virtio/devices/%.31s/block", virtio);
	path[0] = '\0';
	for (double limit = vt_now() + 20; vt_now() < limit && !path[0]; ) {
		dir = opendir(dir_name);
		while (dir && (entry = readdir(dir)))
			if (entry->d_name[0] != '.')
				snprintf(path, path_size, "/dev/%.31s",
					 entry->d_name);
		if (dir)
			closedir(dir);
		if (path[0] && access(path, R_OK | W_OK))
			path[0] = '\0';
		if (!path[0])
			usleep(10000);
	}
	return path[0] ? 0 : vt_fail("%s is no disk", virtio);
}

FIXTURE(vdpa)
{
	bool created;
	char virtio[32];
	char path[64];
	__u8 *arena;
	int fd;
};

FIXTURE_SETUP(vdpa)
{
	int ret;

	self->created = false;
	family = vdpa_family();
	if (family < 0)
		SKIP(return, "%s", vt_error);
	ret = create();
	if (ret == ENODEV)
		SKIP(return, "no vdpasim_blk: CONFIG_VDPA_SIM_BLOCK is not set");
	ASSERT_EQ(0, ret) {
		TH_LOG("create: %s", ret > 0 ? strerror(ret) : vt_error);
	}
	self->created = true;
	ASSERT_EQ(0, find_disk(self->virtio, sizeof(self->virtio), self->path,
			       sizeof(self->path))) {
		destroy();
		TH_LOG("%s", vt_error);
	}
	self->arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->arena);
	self->fd = open(self->path, O_RDWR | O_DIRECT);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(vdpa)
{
	if (!self->created)
		return;
	close(self->fd);
	munmap(self->arena, ARENA);
	EXPECT_EQ(0, destroy());
	EXPECT_EQ(-1, access("/sys/bus/vdpa/devices/" DEV_NAME, F_OK));
}

static int write_and_read(int fd, __u8 *buf, size_t len, __u64 pos)
{
	vt_fill(buf, len, len, pos);
	if (pwrite(fd, buf, len, pos) != (ssize_t)len)
		return vt_fail("write of %zu bytes: %s", len, strerror(errno));
	memset(buf, 0, len);
	if (pread(fd, buf, len, pos) != (ssize_t)len)
		return vt_fail("read of %zu bytes: %s", len, strerror(errno));
	return vt_check(buf, len, len, pos);
}

TEST_F_TIMEOUT(vdpa, requests_of_512_bytes_to_1_mib_keep_their_data, VT_TIMEOUT)
{
	static const size_t lengths[] = {
		512, 1024, 4096, 4608, 65536, 128 * VT_KIB + 512, VT_MIB,
	};
	__u64 pos = 0;

	for (size_t i = 0; i < VT_ARRAY_SIZE(lengths); i++) {
		ASSERT_EQ(0, write_and_read(self->fd, self->arena, lengths[i],
					    pos)) {
			TH_LOG("%s", vt_error);
		}
		pos += lengths[i];
	}
}

TEST_F_TIMEOUT(vdpa, requests_of_many_segments_keep_their_data, VT_TIMEOUT)
{
	struct iovec iov[200];
	int count = VT_ARRAY_SIZE(iov);
	size_t len = count * VT_PAGE;
	__u64 pos = 4 * VT_MIB;

	for (int i = 0; i < count; i++) {
		iov[i].iov_base = self->arena + 2 * (count - 1 - i) * VT_PAGE;
		iov[i].iov_len = VT_PAGE;
		vt_fill(iov[i].iov_base, VT_PAGE, 200, i * VT_PAGE);
	}
	ASSERT_EQ((ssize_t)len, pwritev(self->fd, iov, count, pos));
	memset(self->arena, 0, ARENA);
	ASSERT_EQ((ssize_t)len, preadv(self->fd, iov, count, pos));
	for (int i = 0; i < count; i++) {
		ASSERT_EQ(0, vt_check(iov[i].iov_base, VT_PAGE, 200,
				      i * VT_PAGE)) {
			TH_LOG("segment %d: %s", i, vt_error);
		}
	}
}

/* No IOMMU stands between a simulator and memory. */
TEST_F(vdpa, its_dma_access_is_direct)
{
	char path[PATH_MAX], found[64] = "";

	snprintf(path, sizeof(path), "/sys/bus/virtio/devices/%.31s/dma_access",
		 self->virtio);
	ASSERT_EQ(0, vt_read_line(path, found, sizeof(found))) {
		TH_LOG("%s", vt_error);
	}
	EXPECT_STREQ("direct", found);
}

TEST_F_TIMEOUT(vdpa, it_goes_and_comes_back, VT_TIMEOUT)
{
	int cycles = vt_scale(4);

	for (int i = 0; i < cycles; i++) {
		ASSERT_EQ(0, write_and_read(self->fd, self->arena, 65536, 0)) {
			TH_LOG("%s", vt_error);
		}
		close(self->fd);
		ASSERT_EQ(0, destroy());
		ASSERT_EQ(0, create());
		ASSERT_EQ(0, find_disk(self->virtio, sizeof(self->virtio),
				       self->path, sizeof(self->path))) {
			TH_LOG("%s", vt_error);
		}
		self->fd = open(self->path, O_RDWR | O_DIRECT);
		ASSERT_GE(self->fd, 0);
	}
}

TEST_HARNESS_MAIN

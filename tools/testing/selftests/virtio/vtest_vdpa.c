// SPDX-License-Identifier: GPL-2.0
/*
 * Creates and removes vDPA devices by netlink, and finds their virtio devices.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/vdpa.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vtest.h"
#include "vtest_vdpa.h"

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

/* The generic netlink family of vDPA. */
static int family = -1;

int vt_vdpa_open(void)
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
		if (attr->nla_type == CTRL_ATTR_FAMILY_ID) {
			family = *(__u16 *)((__u8 *)attr + NLA_HDRLEN);
			return 0;
		}
		attr = (void *)((__u8 *)attr + NLA_ALIGN(attr->nla_len));
	}
	return vt_fail("the answer has no family ID");
}

int vt_vdpa_create(const char *mgmt_dev, const char *name)
{
	struct message msg;

	message_init(&msg, family, VDPA_CMD_DEV_NEW, VDPA_GENL_VERSION);
	message_string(&msg, VDPA_ATTR_MGMTDEV_DEV_NAME, mgmt_dev);
	message_string(&msg, VDPA_ATTR_DEV_NAME, name);
	return message_send(&msg, NULL);
}

int vt_vdpa_destroy(const char *name)
{
	struct message msg;

	message_init(&msg, family, VDPA_CMD_DEV_DEL, VDPA_GENL_VERSION);
	message_string(&msg, VDPA_ATTR_DEV_NAME, name);
	return message_send(&msg, NULL);
}

int vt_vdpa_virtio(const char *name, char *virtio, size_t size)
{
	char dir_name[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	virtio[0] = '\0';
	snprintf(dir_name, sizeof(dir_name), "/sys/bus/vdpa/devices/%.31s", name);
	dir = opendir(dir_name);
	if (!dir)
		return vt_fail("no vDPA device %s", name);
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "virtio", 6))
			snprintf(virtio, size, "%.31s", entry->d_name);
	closedir(dir);
	return virtio[0] ? 0 :
	       vt_fail("no driver of vDPA made a virtio device of %s", name);
}

int vt_vdpa_disk(const char *virtio, char *path, size_t size)
{
	char dir_name[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	snprintf(dir_name, sizeof(dir_name),
		 "/sys/bus/virtio/devices/%.31s/block", virtio);
	path[0] = '\0';
	for (double limit = vt_now() + 20; vt_now() < limit && !path[0]; ) {
		dir = opendir(dir_name);
		while (dir && (entry = readdir(dir)))
			if (entry->d_name[0] != '.')
				snprintf(path, size, "/dev/%.31s",
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

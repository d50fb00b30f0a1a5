// SPDX-License-Identifier: GPL-2.0
/*
 * A virtio device that is not on a bus of virtio's own: the block simulator of
 * vDPA, driven by virtio-blk through virtio-vdpa, with a DMA device of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "vtest.h"
#include "vtest_load.h"
#include "vtest_vdpa.h"

#define MGMT_DEV	"vdpasim_blk"
#define DEV_NAME	"vtest0"
#define ARENA		(2 * VT_MIB)

static int create(void)
{
	return vt_vdpa_create(MGMT_DEV, DEV_NAME);
}

static int destroy(void)
{
	return vt_vdpa_destroy(DEV_NAME);
}

static int find_disk(char *virtio, size_t virtio_size, char *path,
		     size_t path_size)
{
	return vt_vdpa_virtio(DEV_NAME, virtio, virtio_size) ?:
	       vt_vdpa_disk(virtio, path, path_size);
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
	if (vt_vdpa_open())
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

TEST_F_TIMEOUT(vdpa, requests_of_512_bytes_to_1_mib_keep_their_data, VT_TIMEOUT)
{
	static const size_t lengths[] = {
		512, 1024, 4096, 4608, 65536, 128 * VT_KIB + 512, VT_MIB,
	};
	__u64 pos = 0;

	for (size_t i = 0; i < VT_ARRAY_SIZE(lengths); i++) {
		ASSERT_EQ(0, vt_write_and_read(self->fd, self->arena,
					       lengths[i], pos, lengths[i])) {
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
		ASSERT_EQ(0, vt_write_and_read(self->fd, self->arena, 65536, 0,
					       i)) {
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

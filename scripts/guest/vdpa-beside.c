// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: vdpa-beside KIND[,KIND...] COMMAND...
 *
 * Make a simulator of vDPA of each kind (blk, net), called vdpa-KIND, and run
 * COMMAND while they are there, as virtio devices.
 */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vtest.h"
#include "vtest_vdpa.h"

int main(int argc, char **argv)
{
	char manager[32], name[32], virtio[32];

	if (argc < 3)
		errx(2, "usage: vdpa-beside KIND[,KIND...] COMMAND...");
	if (vt_vdpa_open())
		errx(1, "%s", vt_error);
	for (char *kind = strtok(argv[1], ","); kind; kind = strtok(NULL, ",")) {
		int ret;

		snprintf(manager, sizeof(manager), "vdpasim_%s", kind);
		snprintf(name, sizeof(name), "vdpa-%s", kind);
		ret = vt_vdpa_create(manager, name);
		if (ret)
			errx(1, "%s: %s", name, ret > 0 ? strerror(ret) : vt_error);
		if (vt_vdpa_virtio(name, virtio, sizeof(virtio)))
			errx(1, "%s", vt_error);
	}
	execvp(argv[2], argv + 2);
	err(1, "%s", argv[2]);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: gpu-draw CARD FILE
 *
 * Show a picture of our own on the first screen of CARD (/dev/dri/card0), write its
 * pixels to FILE, three bytes each, and keep it up until killed.  FILE appears when
 * the picture is up.
 */
#include <drm/drm.h>
#include <drm/drm_mode.h>
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST	8

static int card;

static void ask(unsigned long request, void *argument, const char *what)
{
	if (ioctl(card, request, argument))
		err(1, "%s", what);
}

/* The first connector that has a screen, and that screen's first mode. */
static uint32_t find_screen(uint32_t *crtc, struct drm_mode_modeinfo *mode)
{
	uint32_t crtcs[MOST], connectors[MOST], encoders[MOST], fbs[MOST];
	struct drm_mode_card_res all = {
		.crtc_id_ptr = (uintptr_t)crtcs, .count_crtcs = MOST,
		.connector_id_ptr = (uintptr_t)connectors, .count_connectors = MOST,
		.encoder_id_ptr = (uintptr_t)encoders, .count_encoders = MOST,
		.fb_id_ptr = (uintptr_t)fbs, .count_fbs = MOST,
	};

	ask(DRM_IOCTL_MODE_GETRESOURCES, &all, "DRM_IOCTL_MODE_GETRESOURCES");
	if (!all.count_crtcs || all.count_crtcs > MOST || all.count_connectors > MOST)
		errx(1, "%u CRTCs, %u connectors", all.count_crtcs, all.count_connectors);
	*crtc = crtcs[0];
	for (uint32_t i = 0; i < all.count_connectors; i++) {
		struct drm_mode_get_connector one = { .connector_id = connectors[i] };
		struct drm_mode_modeinfo *modes;

		ask(DRM_IOCTL_MODE_GETCONNECTOR, &one, "DRM_IOCTL_MODE_GETCONNECTOR");
		if (one.connection != 1 || !one.count_modes)
			continue;
		modes = calloc(one.count_modes, sizeof(*modes));
		if (!modes)
			err(1, "calloc");
		one.modes_ptr = (uintptr_t)modes;
		one.count_props = 0;
		one.count_encoders = 0;
		ask(DRM_IOCTL_MODE_GETCONNECTOR, &one, "DRM_IOCTL_MODE_GETCONNECTOR");
		*mode = modes[0];
		free(modes);
		return connectors[i];
	}
	errx(1, "no screen is connected");
}

static uint32_t colour(unsigned int x, unsigned int y)
{
	return (x * 5 & 0xff) << 16 | (y * 3 & 0xff) << 8 | ((x ^ y) & 0xff);
}

int main(int argc, char **argv)
{
	struct drm_mode_create_dumb dumb = { .bpp = 32 };
	struct drm_mode_map_dumb map = { 0 };
	struct drm_mode_fb_cmd fb = { .bpp = 32, .depth = 24 };
	struct drm_mode_crtc crtc = { .count_connectors = 1, .mode_valid = 1 };
	uint32_t connector;
	char partial[256];
	uint8_t *picture;
	FILE *out;

	if (argc != 3)
		errx(2, "usage: gpu-draw CARD FILE");
	card = open(argv[1], O_RDWR);
	if (card < 0)
		err(1, "%s", argv[1]);
	connector = find_screen(&crtc.crtc_id, &crtc.mode);
	dumb.width = crtc.mode.hdisplay;
	dumb.height = crtc.mode.vdisplay;
	ask(DRM_IOCTL_MODE_CREATE_DUMB, &dumb, "DRM_IOCTL_MODE_CREATE_DUMB");
	map.handle = dumb.handle;
	ask(DRM_IOCTL_MODE_MAP_DUMB, &map, "DRM_IOCTL_MODE_MAP_DUMB");
	picture = mmap(NULL, dumb.size, PROT_READ | PROT_WRITE, MAP_SHARED, card, map.offset);
	if (picture == MAP_FAILED)
		err(1, "mmap");

	snprintf(partial, sizeof(partial), "%s.part", argv[2]);
	out = fopen(partial, "w");
	if (!out)
		err(1, "%s", partial);
	for (unsigned int y = 0; y < dumb.height; y++) {
		for (unsigned int x = 0; x < dumb.width; x++) {
			uint32_t pixel = colour(x, y);

			memcpy(picture + y * dumb.pitch + x * 4, &pixel, 4);
			putc(pixel >> 16 & 0xff, out);
			putc(pixel >> 8 & 0xff, out);
			putc(pixel & 0xff, out);
		}
	}
	if (fclose(out))
		err(1, "%s", partial);

	fb.width = dumb.width;
	fb.height = dumb.height;
	fb.pitch = dumb.pitch;
	fb.handle = dumb.handle;
	ask(DRM_IOCTL_MODE_ADDFB, &fb, "DRM_IOCTL_MODE_ADDFB");
	crtc.fb_id = fb.fb_id;
	crtc.set_connectors_ptr = (uintptr_t)&connector;
	ask(DRM_IOCTL_MODE_SETCRTC, &crtc, "DRM_IOCTL_MODE_SETCRTC");
	/* Who waits for the file reads this then. */
	printf("%ux%u\n", dumb.width, dumb.height);
	fflush(stdout);
	if (rename(partial, argv[2]))
		err(1, "%s", argv[2]);
	pause();
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: sound-play PCM FILE
 *
 * Play FILE, frames of two samples of 16 bits, 44100 of them a second, on PCM
 * (/dev/snd/pcmC0D0p).  Each part is in the buffer as a whole before it begins and is
 * played to its end before the next: a guest that is slow loses nothing by it.  It ends
 * with silence, since QEMU drops what it has not played when the guest stops it.
 */
#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <sound/asound.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define RATE		44100
#define CHANNELS	2
#define PERIOD		512		/* frames */
#define PERIODS		8
#define SILENT		2		/* of them */

static int pcm;

static void ask(unsigned long request, void *argument, const char *what)
{
	if (ioctl(pcm, request, argument))
		err(1, "%s", what);
}

static void only(struct snd_pcm_hw_params *params, int what, unsigned int value)
{
	struct snd_interval *interval =
		&params->intervals[what - SNDRV_PCM_HW_PARAM_FIRST_INTERVAL];

	memset(interval, 0, sizeof(*interval));
	interval->min = value;
	interval->max = value;
	interval->integer = 1;
}

static void one_of_mask(struct snd_pcm_hw_params *params, int what, unsigned int bit)
{
	struct snd_mask *mask = &params->masks[what - SNDRV_PCM_HW_PARAM_FIRST_MASK];

	memset(mask, 0, sizeof(*mask));
	mask->bits[bit / 32] = 1u << bit % 32;
}

static void prepare(void)
{
	struct snd_pcm_hw_params params;

	memset(&params, 0, sizeof(params));
	memset(params.masks, 0xff, sizeof(params.masks));
	for (size_t i = 0; i < sizeof(params.intervals) / sizeof(params.intervals[0]); i++)
		params.intervals[i].max = UINT_MAX;
	params.rmask = UINT_MAX;
	params.info = UINT_MAX;
	one_of_mask(&params, SNDRV_PCM_HW_PARAM_ACCESS, SNDRV_PCM_ACCESS_RW_INTERLEAVED);
	one_of_mask(&params, SNDRV_PCM_HW_PARAM_FORMAT, SNDRV_PCM_FORMAT_S16_LE);
	only(&params, SNDRV_PCM_HW_PARAM_CHANNELS, CHANNELS);
	only(&params, SNDRV_PCM_HW_PARAM_RATE, RATE);
	only(&params, SNDRV_PCM_HW_PARAM_PERIOD_SIZE, PERIOD);
	only(&params, SNDRV_PCM_HW_PARAM_PERIODS, PERIODS);
	ask(SNDRV_PCM_IOCTL_HW_PARAMS, &params, "SNDRV_PCM_IOCTL_HW_PARAMS");
}

/* Let it begin when the buffer is full, or by SNDRV_PCM_IOCTL_DRAIN. */
static void wait_for_a_full_buffer(void)
{
	struct snd_pcm_sw_params params = {
		.period_step = 1,
		.avail_min = PERIOD,
		.start_threshold = PERIOD * PERIODS,
		.stop_threshold = PERIOD * PERIODS,
		.boundary = PERIOD * PERIODS,
	};

	ask(SNDRV_PCM_IOCTL_SW_PARAMS, &params, "SNDRV_PCM_IOCTL_SW_PARAMS");
}

int main(int argc, char **argv)
{
	static int16_t frames[PERIOD * PERIODS][CHANNELS];
	unsigned long total = 0;
	FILE *file;
	size_t n;

	if (argc != 3)
		errx(2, "usage: sound-play PCM FILE");
	file = fopen(argv[2], "r");
	if (!file)
		err(1, "%s", argv[2]);
	pcm = open(argv[1], O_WRONLY);
	if (pcm < 0)
		err(1, "%s", argv[1]);
	prepare();
	wait_for_a_full_buffer();
	while ((n = fread(frames, sizeof(frames[0]), PERIOD * (PERIODS - SILENT), file))) {
		struct snd_xferi part = { .buf = frames, .frames = PERIOD * PERIODS };

		memset(frames + n, 0, sizeof(frames) - n * sizeof(frames[0]));
		ask(SNDRV_PCM_IOCTL_PREPARE, NULL, "SNDRV_PCM_IOCTL_PREPARE");
		ask(SNDRV_PCM_IOCTL_WRITEI_FRAMES, &part, "SNDRV_PCM_IOCTL_WRITEI_FRAMES");
		if (part.result != PERIOD * PERIODS)
			errx(1, "%ld of %d frames were taken", (long)part.result,
			     PERIOD * PERIODS);
		ask(SNDRV_PCM_IOCTL_DRAIN, NULL, "SNDRV_PCM_IOCTL_DRAIN");
		total += n;
	}
	if (ferror(file))
		err(1, "%s", argv[2]);
	printf("%lu frames\n", total);
	return 0;
}

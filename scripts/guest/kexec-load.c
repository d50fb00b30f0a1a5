// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: kexec-load -l|-p KERNEL INITRD COMMAND-LINE
 *        kexec-load -e
 * Load a kernel to be started now (-l, then -e) or after a crash (-p): what
 * kexec(8) does with "-s", without its libraries.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fail(const char *what)
{
	fprintf(stderr, "kexec-load: %s: %s\n", what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	int kernel, initrd;

	if (argc == 2 && !strcmp(argv[1], "-e")) {
		syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
			LINUX_REBOOT_CMD_KEXEC, NULL);
		return fail("reboot");
	}
	if (argc != 5 || (strcmp(argv[1], "-l") && strcmp(argv[1], "-p"))) {
		fputs("usage: kexec-load -l|-p KERNEL INITRD COMMAND-LINE\n"
		      "       kexec-load -e\n", stderr);
		return 2;
	}

	kernel = open(argv[2], O_RDONLY);
	if (kernel < 0)
		return fail(argv[2]);
	initrd = open(argv[3], O_RDONLY);
	if (initrd < 0)
		return fail(argv[3]);
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[4]) + 1,
		    argv[4], argv[1][1] == 'p' ? KEXEC_FILE_ON_CRASH : 0))
		return fail("kexec_file_load");
	return 0;
}

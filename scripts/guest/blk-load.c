// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: blk-load DEVICE read|write BLOCK DEPTH COUNT
 *
 * A number of direct requests that is known beforehand, from memory whose pages
 * lie scattered, as those of a process that has run for a while do: what fio
 * allocates in a guest that has just booted may be one piece.  Blocks of up to
 * 4096 bytes go to places at random, larger ones follow one another.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/types.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE		4096UL
#define MAX_DEPTH	64

static __u64 seed = 88172645463325252ULL;

static __u64 next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/*
 * One block for each request in flight.  Memory is given out in the order in
 * which it is touched: the even pages first, so that none lies beside the one
 * that follows it.
 */
static char *scattered(size_t size)
{
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		err(1, "%zu bytes", size);
	madvise(mem, size, MADV_NOHUGEPAGE);
	for (size_t odd = 0; odd < 2; odd++)
		for (size_t at = odd * PAGE; at < size; at += 2 * PAGE)
			mem[at] = 1;
	return mem;
}

int main(int argc, char **argv)
{
	struct io_event events[MAX_DEPTH];
	struct iocb iocbs[MAX_DEPTH];
	__u64 size, blocks, submitted = 0, done = 0, count;
	unsigned long block, depth;
	aio_context_t context = 0;
	int fd, write;
	char *mem;

	if (argc != 6)
		errx(2, "usage: DEVICE read|write BLOCK DEPTH COUNT");
	write = !strcmp(argv[2], "write");
	block = strtoul(argv[3], NULL, 0);
	depth = strtoul(argv[4], NULL, 0);
	count = strtoull(argv[5], NULL, 0);
	if (!block || block % PAGE || !depth || depth > MAX_DEPTH)
		errx(2, "no such block or depth");

	fd = open(argv[1], O_RDWR | O_DIRECT);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size))
		err(1, "%s", argv[1]);
	blocks = size / block;
	mem = scattered(block * depth);
	if (syscall(SYS_io_setup, depth, &context))
		err(1, "io_setup");

	memset(iocbs, 0, sizeof(iocbs));
	for (unsigned long i = 0; i < depth; i++) {
		iocbs[i].aio_lio_opcode = write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
		iocbs[i].aio_fildes = fd;
		iocbs[i].aio_buf = (uintptr_t)(mem + i * block);
		iocbs[i].aio_nbytes = block;
		iocbs[i].aio_data = i;
	}
	for (unsigned long i = 0; done < count; ) {
		long n;

		/* First one after the other, then in the place of what is done. */
		while (i < depth && submitted < count) {
			struct iocb *iocb = &iocbs[i++];

			iocb->aio_offset = (block > PAGE ? submitted :
					    next_random()) % blocks * block;
			submitted++;
			if (syscall(SYS_io_submit, context, 1, &iocb) != 1)
				err(1, "io_submit");
		}
		i = depth;
		n = syscall(SYS_io_getevents, context, 1, depth, events, NULL);
		if (n < 1)
			err(1, "io_getevents");
		for (long k = 0; k < n; k++, done++) {
			struct iocb *iocb = &iocbs[events[k].data];

			if (events[k].res != (long)block)
				errx(1, "a request came back with %lld",
				     (long long)events[k].res);
			if (submitted >= count)
				continue;
			iocb->aio_offset = (block > PAGE ? submitted :
					    next_random()) % blocks * block;
			submitted++;
			if (syscall(SYS_io_submit, context, 1, &iocb) != 1)
				err(1, "io_submit");
		}
	}
	return 0;
}

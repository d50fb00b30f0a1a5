// SPDX-License-Identifier: GPL-2.0-only
/*
 * System V shared memory for fio, whose jobs are threads of one process: fio
 * will not start without, and the guest's kernel does not have it.  Loaded with
 * LD_PRELOAD.
 */
#include <stddef.h>
#include <sys/mman.h>
#include <sys/shm.h>

#define SEGMENTS	16

static struct {
	void *mem;
	size_t size;
} segments[SEGMENTS];

int shmget(key_t key, size_t size, int flags)
{
	(void)key;
	(void)flags;
	for (int i = 0; i < SEGMENTS; i++) {
		void *mem;

		if (segments[i].mem)
			continue;
		mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (mem == MAP_FAILED)
			return -1;
		segments[i].mem = mem;
		segments[i].size = size;
		return i;
	}
	return -1;
}

void *shmat(int id, const void *addr, int flags)
{
	(void)addr;
	(void)flags;
	return segments[id].mem;
}

int shmdt(const void *addr)
{
	(void)addr;
	return 0;
}

int shmctl(int id, int cmd, struct shmid_ds *buf)
{
	(void)buf;
	if (cmd == IPC_RMID)
		return 0;	/* goes with the process */
	return id < 0 ? -1 : 0;
}

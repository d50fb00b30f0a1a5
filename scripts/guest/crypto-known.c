// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: crypto-known ALGORITHM
 *
 * Encrypt and decrypt with an AES-CBC that is named by its driver: what NIST gives
 * in SP 800-38A, F.2.1, and 64 KiB there and back.
 */
#include <err.h>
#include <linux/if_alg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SOL_ALG
#define SOL_ALG	279
#endif
#define IV	16
#define LARGE	(64 * 1024)

static const uint8_t key[16] = {
	0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
	0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c,
};

static const uint8_t plain[32] = {
	0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96,
	0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a,
	0xae, 0x2d, 0x8a, 0x57, 0x1e, 0x03, 0xac, 0x9c,
	0x9e, 0xb7, 0x6f, 0xac, 0x45, 0xaf, 0x8e, 0x51,
};

static const uint8_t secret[32] = {
	0x76, 0x49, 0xab, 0xac, 0x81, 0x19, 0xb2, 0x46,
	0xce, 0xe9, 0x8e, 0x9b, 0x12, 0xe9, 0x19, 0x7d,
	0x50, 0x86, 0xcb, 0x9b, 0x50, 0x72, 0x19, 0xee,
	0x95, 0xdb, 0x11, 0x3a, 0x91, 0x76, 0x78, 0xb2,
};

static void crypt_once(int fd, uint32_t how, const uint8_t *in, uint8_t *out, size_t len)
{
	struct {
		struct af_alg_iv head;
		uint8_t iv[IV];
	} iv = { .head.ivlen = IV };
	char room[CMSG_SPACE(sizeof(how)) + CMSG_SPACE(sizeof(iv))] = { 0 };
	struct iovec data = { .iov_base = (void *)in, .iov_len = len };
	struct msghdr msg = {
		.msg_control = room,
		.msg_controllen = sizeof(room),
		.msg_iov = &data,
		.msg_iovlen = 1,
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	size_t done = 0;

	for (int i = 0; i < IV; i++)
		iv.iv[i] = i;
	c->cmsg_level = SOL_ALG;
	c->cmsg_type = ALG_SET_OP;
	c->cmsg_len = CMSG_LEN(sizeof(how));
	memcpy(CMSG_DATA(c), &how, sizeof(how));
	c = CMSG_NXTHDR(&msg, c);
	c->cmsg_level = SOL_ALG;
	c->cmsg_type = ALG_SET_IV;
	c->cmsg_len = CMSG_LEN(sizeof(iv));
	memcpy(CMSG_DATA(c), &iv, sizeof(iv));
	if (sendmsg(fd, &msg, 0) != (ssize_t)len)
		err(1, "sendmsg");
	while (done < len) {
		ssize_t got = read(fd, out + done, len - done);

		if (got <= 0)
			err(1, "read");
		done += got;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_alg name = { .salg_family = AF_ALG, .salg_type = "skcipher" };
	static uint8_t from[LARGE], middle[LARGE], to[LARGE];
	int alg, fd;

	if (argc != 2)
		errx(2, "usage: crypto-known ALGORITHM");
	snprintf((char *)name.salg_name, sizeof(name.salg_name), "%s", argv[1]);
	alg = socket(AF_ALG, SOCK_SEQPACKET, 0);
	if (alg < 0 || bind(alg, (struct sockaddr *)&name, sizeof(name)))
		err(1, "%s", argv[1]);
	if (setsockopt(alg, SOL_ALG, ALG_SET_KEY, key, sizeof(key)))
		err(1, "key");
	fd = accept(alg, NULL, NULL);
	if (fd < 0)
		err(1, "accept");
	crypt_once(fd, ALG_OP_ENCRYPT, plain, to, sizeof(plain));
	if (memcmp(to, secret, sizeof(secret)))
		errx(1, "does not encrypt as SP 800-38A says");
	crypt_once(fd, ALG_OP_DECRYPT, secret, to, sizeof(secret));
	if (memcmp(to, plain, sizeof(plain)))
		errx(1, "does not decrypt as SP 800-38A says");
	for (size_t i = 0; i < LARGE; i++)
		from[i] = i * 131 + i / 256;
	crypt_once(fd, ALG_OP_ENCRYPT, from, middle, LARGE);
	crypt_once(fd, ALG_OP_DECRYPT, middle, to, LARGE);
	if (!memcmp(from, middle, LARGE) || memcmp(from, to, LARGE))
		errx(1, "64 KiB do not come back as they went");
	printf("known answers, 64 KiB there and back\n");
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/* See chance.h */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "chance.h"

static __thread uint64_t state;

/* xorshift64* */
uint64_t any(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dULL;
}

uint32_t below(uint32_t n)
{
	return (any() >> 32) % n;
}

bool one_in(uint32_t n)
{
	return !below(n);
}

void seed_with(uint64_t seed)
{
	state = seed * 0x9e3779b97f4a7c15ULL | 1;
	for (int i = 0; i < 8; i++)
		any();
}

int write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), error = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		error = errno;
	close(fd);
	return error;
}

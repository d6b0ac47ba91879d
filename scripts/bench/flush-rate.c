// SPDX-License-Identifier: GPL-2.0
/*
 * flush-rate [MIB [RUNS]], built with cc -O2: how fast this machine's CPU flushes memory from its
 * caches with CLFLUSHOPT, which is how Linux does it when memory is mapped into
 * an I/O address space that lets no-snoop through, and when it is unmapped.
 *
 * MIB (default 1024) of anonymous memory, on huge pages where there are any, is
 * flushed line by line as clflush_cache_range() does it: a fence, one CLFLUSHOPT
 * for each line, a fence, in steps of 2 MiB. The best of RUNS (default 5) is
 * printed in GiB/s for memory that was not touched since it was flushed last
 * ("clean"), was read just before ("read"), or was written just before
 * ("dirty"). Of memory larger than the caches only the last part is in them.
 */
#include <cpuid.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define STEP (2UL << 20)

static size_t line;

/* CPU time: what else runs on the machine does not count. */
static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void flush(char *p, size_t len)
{
	char *end = p + len;

	__asm__ volatile("mfence" ::: "memory");
	for (; p < end; p += line)
		__asm__ volatile("clflushopt %0" : "+m"(*p));
	__asm__ volatile("mfence" ::: "memory");
}

static double timed(char *buf, size_t len)
{
	double start = now();

	for (size_t pos = 0; pos < len; pos += STEP)
		flush(buf + pos, STEP);
	return now() - start;
}

static void touch_none(char *buf, size_t len)
{
	(void)buf;
	(void)len;
}

static void touch_read(char *buf, size_t len)
{
	for (size_t pos = 0; pos < len; pos += line)
		(void)*(volatile char *)(buf + pos);
}

static void touch_write(char *buf, size_t len)
{
	memset(buf, 0x5a, len);
}

static void measure(const char *name, void (*touch)(char *, size_t), char *buf, size_t len,
		    long runs)
{
	double best = 0, seconds;

	for (long i = 0; i < runs; i++) {
		touch(buf, len);
		seconds = timed(buf, len);
		if (!best || seconds < best)
			best = seconds;
	}
	printf("%s %.2f GiB/s\n", name, len / best / (1UL << 30));
}

static long number(const char *text, long max)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*end || value < 1 || value > max)
		errx(2, "'%s' is not a number from 1 to %ld", text, max);
	return value;
}

int main(int argc, char **argv)
{
	uint32_t a, b, c, d;
	long runs = 5;
	size_t len = 1024;
	char *buf;

	if (argc > 3)
		errx(2, "usage: flush-rate [MIB [RUNS]]");
	if (argc > 1)
		len = number(argv[1], 1 << 20);
	if (argc > 2)
		runs = number(argv[2], 1000);
	len = (len << 20) / STEP * STEP;
	if (!len)
		errx(2, "give at least 2 MiB, that is one step");

	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_CLFLUSHOPT))
		errx(4, "this CPU has no CLFLUSHOPT");
	__cpuid(1, a, b, c, d);
	line = (b >> 8 & 0xff) * 8;

	buf = mmap(NULL, len + STEP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf == MAP_FAILED)
		err(1, "cannot allocate %zu MiB", len >> 20);
	buf = (char *)(((uintptr_t)buf + STEP - 1) & ~(STEP - 1));
	madvise(buf, len, MADV_HUGEPAGE);
	memset(buf, 1, len);

	printf("%zu MiB, best of %ld, lines of %zu bytes\n", len >> 20, runs, line);
	measure("dirty", touch_write, buf, len, runs);
	measure("read", touch_read, buf, len, runs);
	flush(buf, len);
	measure("clean", touch_none, buf, len, runs);
	return 0;
}

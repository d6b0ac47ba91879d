/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For programs that look whether the kernel lost something: what it counts of
 * memory that is pinned for devices.
 */
#ifndef LEAKS_H
#define LEAKS_H

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A value of a file of "NAME VALUE" lines, -1: there is none */
static inline long long file_value(const char *path, const char *name)
{
	char line[256];
	long long v = -1;
	size_t n = strlen(name);
	FILE *f = fopen(path, "re");

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, n) && strchr(" :\t", line[n]))
			v = strtoll(line + n + 1, NULL, 10);
	fclose(f);
	return v;
}

/* Pages that are pinned now, of everyone */
static inline long long pinned_pages(void)
{
	FILE *f = fopen("/proc/sys/vm/stat_refresh", "we");

	/* Each CPU adds what it counted for itself. */
	if (f) {
		fputs("1\n", f);
		fclose(f);
	}
	return file_value("/proc/vmstat", "nr_foll_pin_acquired") -
	       file_value("/proc/vmstat", "nr_foll_pin_released");
}

/*
 * What is closed last may be let go a moment later: waits up to that many seconds
 * until no more than that is pinned, and returns what is.
 */
static inline long long wait_for_pins(long long wanted, unsigned int seconds)
{
	long long now = pinned_pages();

	for (unsigned int i = 0; now != wanted && i < seconds * 10; i++) {
		usleep(100000);
		now = pinned_pages();
	}
	return now;
}

#endif /* LEAKS_H */

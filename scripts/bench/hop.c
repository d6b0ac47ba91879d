// SPDX-License-Identifier: GPL-2.0
/*
 * hop PID MICROSECONDS CPU[,CPU]...: moves the vCPUs of a wbinvdbench (its threads
 * "vcpu/N") from one CPU of the list to the next, MICROSECONDS apart (1 to
 * 1000000), until the process is gone.  KVM flushes on every CPU that a vCPU was on
 * since its last flush, so that this decides how many are flushed.
 *
 * Exit status: 0 the process is gone, 1 a thread cannot be moved, 2 bad usage.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_CPUS 1024

static long number(const char *text, long max, char **end)
{
	long n;

	errno = 0;
	n = strtol(text, end, 10);
	if (*end == text || errno || n < 0 || n > max)
		errx(2, "'%s' is not a number from 0 to %ld", text, max);
	return n;
}

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static int is_vcpu(const char *pid, const char *tid)
{
	char path[300], comm[32];
	int found;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/task/%s/comm", pid, tid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	found = fgets(comm, sizeof(comm), f) && !strncmp(comm, "vcpu/", 5);
	fclose(f);
	return found;
}

/* Neighbours start on neighbouring CPUs of the list. */
static int move_all(const char *pid, const int *cpus, int n, int step)
{
	char path[64];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((d = readdir(dir))) {
		cpu_set_t set;

		if (d->d_name[0] == '.' || !is_vcpu(pid, d->d_name))
			continue;
		CPU_ZERO(&set);
		CPU_SET(cpus[step++ % n], &set);
		if (sched_setaffinity(atoi(d->d_name), sizeof(set), &set) && errno != ESRCH)
			err(1, "thread %s cannot be moved", d->d_name);
	}
	closedir(dir);
	return 1;
}

int main(int argc, char **argv)
{
	int cpus[MAX_CPUS], n = 0, step = 0;
	char *end;
	long us;

	if (argc != 4)
		errx(2, "usage: hop PID MICROSECONDS CPU[,CPU]...");
	us = number(argv[2], 1000000, &end);
	if (*end || !us)
		errx(2, "'%s' is not a number from 1 to 1000000", argv[2]);
	for (char *list = argv[3];; list = end + 1) {
		if (n == MAX_CPUS)
			errx(2, "at most %d CPUs", MAX_CPUS);
		cpus[n++] = number(list, CPU_SETSIZE - 1, &end);
		if (*end != ',')
			break;
	}
	if (*end)
		errx(2, "'%s' is not a list of CPUs", argv[3]);
	for (;;) {
		struct timespec pause;
		int64_t start = now_us(), wait;

		if (!move_all(argv[1], cpus, n, step++))
			return 0;
		/* Where moving is slow, the vCPUs are to run most of the time all the same. */
		wait = 4 * (now_us() - start);
		wait = wait > us ? wait : us;
		pause.tv_sec = wait / 1000000;
		pause.tv_nsec = wait % 1000000 * 1000;
		nanosleep(&pause, NULL);
	}
}

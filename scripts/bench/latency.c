// SPDX-License-Identifier: GPL-2.0
/*
 * latency CPU SECONDS [MICROSECONDS]: how late a task on CPU wakes up.
 *
 * The task sleeps until the next of the deadlines, which are MICROSECONDS apart (50 to
 * 1000000, default 500), and takes how late it is, for SECONDS (1 to 86400).  It is
 * SCHED_FIFO, priority 80, where that is allowed.
 *
 * Prints "samples min p50 p99 p999 max fifo", tabs between, in ns; fifo is 1 or 0.
 * Deadlines that are missed altogether are not taken: what made one late did so once.
 *
 * Exit status: 0, 1 it failed, 2 bad usage.
 */
#include <err.h>
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define NSEC 1000000000LL

static long number(const char *text, long min, long max)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (*end || end == text || errno || n < min || n > max)
		errx(2, "'%s' is not a number from %ld to %ld", text, min, max);
	return n;
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* v is sorted */
static int64_t quantile(const int64_t *v, size_t n, double q)
{
	size_t rank = q * n;

	return v[rank < n ? rank : n - 1];
}

int main(int argc, char **argv)
{
	struct sched_param param = { .sched_priority = 80 };
	int64_t *late, end, deadline, step;
	size_t n = 0, max;
	cpu_set_t set;
	int fifo;

	if (argc < 3 || argc > 4)
		errx(2, "usage: latency CPU SECONDS [MICROSECONDS]");
	CPU_ZERO(&set);
	CPU_SET(number(argv[1], 0, CPU_SETSIZE - 1), &set);
	end = number(argv[2], 1, 86400) * NSEC;
	step = (argc > 3 ? number(argv[3], 50, 1000000) : 500) * 1000;
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "this process cannot run on CPU %s", argv[1]);
	fifo = !sched_setscheduler(0, SCHED_FIFO, &param);

	max = end / step + 1;
	late = malloc(max * sizeof(*late));
	if (!late)
		err(1, "memory for %zu samples", max);
	/* Not while it measures. */
	for (size_t i = 0; i < max; i++)
		late[i] = 0;
	mlockall(MCL_CURRENT | MCL_FUTURE);

	deadline = now() + step;
	end += deadline;
	while (deadline < end && n < max) {
		struct timespec ts = { .tv_sec = deadline / NSEC, .tv_nsec = deadline % NSEC };

		if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL))
			continue;
		late[n] = now() - deadline;
		deadline += (late[n++] / step + 1) * step;
	}
	qsort(late, n, sizeof(*late), compare);
	printf("%zu\t%lld\t%lld\t%lld\t%lld\t%lld\t%d\n", n, (long long)late[0],
	       (long long)quantile(late, n, 0.5), (long long)quantile(late, n, 0.99),
	       (long long)quantile(late, n, 0.999), (long long)late[n - 1], fifo);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * hop PID COMM CPU CPU: moves a thread to and fro between two CPUs, every
 * 2 ms, until its process is gone.  KVM flushes on every CPU that a vCPU was
 * on since its last flush, so that a thread which hops interrupts others.
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/types.h>

/* The thread of that name, 0: there is none (yet). */
static pid_t find_thread(const char *pid, const char *comm)
{
	char path[64], name[32];
	struct dirent *d;
	pid_t found = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	dir = opendir(path);
	if (!dir)
		return -1;
	while (!found && (d = readdir(dir))) {
		FILE *f;

		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/task/%.16s/comm", pid, d->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fgets(name, sizeof(name), f) && !strncmp(name, comm, strcspn(name, "\n")) &&
		    strlen(comm) == strcspn(name, "\n"))
			found = atoi(d->d_name);
		fclose(f);
	}
	closedir(dir);
	return found;
}

int main(int argc, char **argv)
{
	pid_t tid = 0;
	int i;

	if (argc != 5)
		return 2;
	while (!tid) {
		tid = find_thread(argv[1], argv[2]);
		if (tid < 0)
			return 0;
		usleep(1000);
	}
	for (i = 0;; i = !i) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(atoi(argv[3 + i]), &set);
		/* EINVAL: that CPU is offline for now. */
		if (sched_setaffinity(tid, sizeof(set), &set) && errno != EINVAL)
			return errno != ESRCH;
		usleep(2000);
	}
}

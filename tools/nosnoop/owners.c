// SPDX-License-Identifier: GPL-2.0
#include "owners.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/num.h"
#include "../lib/vmname.h"

#define PID_MAX 4194304

void owner_clear(struct owner *o)
{
	free(o->name);
	free(o->id);
	memset(o, 0, sizeof(*o));
}

/* Number of the process' descriptor of a VM, the lowest one; -1: none. */
static int vm_fd(int procfd, pid_t pid)
{
	char path[32], target[64];
	struct dirent *de;
	int fd, lowest = -1;
	uint64_t nr;
	ssize_t n;
	DIR *dir;

	snprintf(path, sizeof(path), "%d/fd", (int)pid);
	fd = openat(procfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -1;
	}
	while ((de = readdir(dir))) {
		n = readlinkat(fd, de->d_name, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (strcmp(target, "anon_inode:kvm-vm") || num_u64(de->d_name, 0, INT32_MAX, &nr))
			continue;
		if (lowest < 0 || (int)nr < lowest)
			lowest = nr;
	}
	closedir(dir);
	return lowest;
}

static int set_owner(struct func_row *r, pid_t pid, uint64_t start, const char *name, int fd)
{
	owner_clear(&r->owner);
	r->owner.pid = pid;
	r->owner.start = start;
	r->owner.is_vm = fd >= 0;
	r->owner.name = strdup(name);
	if (!r->owner.name || (fd >= 0 && asprintf(&r->owner.id, "%d-%d", (int)pid, fd) < 0))
		return -ENOMEM;
	return 0;
}

static char *comm_of(int procfd, pid_t pid)
{
	char path[32], buf[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%d/comm", (int)pid);
	fd = openat(procfd, path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, buf, sizeof(buf)) : -1;
	if (fd >= 0)
		close(fd);
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	return n > 0 ? vmname_sanitize(buf, n) : NULL;
}

static int look_at(struct dev_scan *s, int procfd, const char *procfs, struct vmname_cache *names,
		   pid_t pid, struct func_list *l)
{
	struct wb_device *devs;
	struct func_row *r;
	uint64_t start;
	size_t n, i;
	char *comm;
	int err, fd;

	err = dev_scan_process(s, pid, 0, &devs, &n);
	if (err == -EACCES)
		l->blind = true;
	if (err)
		return err == -ENOMEM ? err : 0;
	if (!n)
		return 0;
	start = proc_start_time(procfs, pid);
	fd = vm_fd(procfd, pid);
	comm = comm_of(procfd, pid);
	for (i = 0; !err && i < n; i++) {
		r = func_find(l, devs[i].bdf);
		/* A helper that got the descriptor passed is not the VM. */
		if (r && (!r->owner.pid || (fd >= 0 && !r->owner.is_vm)))
			err = set_owner(r, pid, start, vmname_get(names, pid, start, comm), fd);
	}
	free(comm);
	devices_free(devs, n);
	return err;
}

int owners_find(struct dev_scan *s, const char *procfs, struct func_list *l)
{
	struct vmname_cache *names;
	struct dirent *de;
	uint64_t pid;
	DIR *dir;
	int err = 0;

	dir = opendir(procfs);
	if (!dir) {
		l->blind = true;
		return 0;
	}
	names = vmname_cache_new(procfs);
	if (!names)
		err = -ENOMEM;
	while (!err && (de = readdir(dir))) {
		if (num_u64(de->d_name, 1, PID_MAX, &pid))
			continue;
		err = look_at(s, dirfd(dir), procfs, names, pid, l);
	}
	vmname_cache_free(names);
	closedir(dir);
	return err;
}

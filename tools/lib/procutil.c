// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "procutil.h"
#include "vmname.h"

/* PROC_PID_INIT_INO, include/linux/proc_ns.h; PID_NS_INIT_INO, include/uapi/linux/nsfs.h. */
#define INIT_PIDNS_LINK "pid:[4026531836]"

static ssize_t read_some(int fd, char *buf, size_t size)
{
	ssize_t n;

	do {
		n = read(fd, buf, size);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int proc_read_file(int dirfd, const char *path, size_t max, char **buf, size_t *len)
{
	size_t size = max < 4096 ? max : 4096, used = 0;
	char *p = malloc(size + 1), *grown;
	ssize_t n = -ENOMEM;
	int fd;

	if (!p)
		return -ENOMEM;
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		n = -errno;
		goto err_free;
	}
	while ((n = read_some(fd, p + used, size - used)) > 0) {
		used += n;
		if (used < size)
			continue;
		if (size == max)
			break;
		size = size > max / 2 ? max : size * 2;
		grown = realloc(p, size + 1);
		if (!grown) {
			n = -ENOMEM;
			break;
		}
		p = grown;
	}
	close(fd);
	if (n < 0)
		goto err_free;
	p[used] = '\0';
	*buf = p;
	*len = used;
	return 0;

err_free:
	free(p);
	return n;
}

ssize_t proc_read_attr(int dirfd, const char *path, char *buf, size_t size)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read_some(fd, buf, size);
	close(fd);
	if (n < 0)
		return n;
	if ((size_t)n == size)
		return -EOVERFLOW;
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return n;
}

int proc_read_number(int dirfd, const char *path, int base, uint64_t *out)
{
	char buf[64], *end;
	ssize_t n = proc_read_attr(dirfd, path, buf, sizeof(buf));

	if (n < 0)
		return n;
	/* strtoull() would take blanks and a sign. */
	if (!((buf[0] >= '0' && buf[0] <= '9') || (buf[0] >= 'a' && buf[0] <= 'f')))
		return -EINVAL;
	errno = 0;
	*out = strtoull(buf, &end, base);
	if (errno)
		return -errno;
	return end == buf + n ? 0 : -EINVAL;
}

ssize_t proc_read_link_name(int dirfd, const char *path, char *buf, size_t size)
{
	char target[PATH_MAX];
	const char *name;
	ssize_t n = readlinkat(dirfd, path, target, sizeof(target) - 1);
	size_t len;

	if (n < 0)
		return -errno;
	target[n] = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	len = strlen(name);
	if (len >= size)
		return -EOVERFLOW;
	memcpy(buf, name, len + 1);
	return len;
}

pid_t proc_tgid(const char *procfs, pid_t task)
{
	static const char label[] = "\nTgid:";
	char *path, *buf, *line;
	pid_t tgid = 0;
	size_t len;
	int err;

	if (asprintf(&path, "%s/%d/status", procfs, (int)task) < 0)
		return 0;
	err = proc_read_file(AT_FDCWD, path, 4096, &buf, &len);
	free(path);
	if (err)
		return 0;
	line = strstr(buf, label);
	if (line)
		tgid = strtol(line + sizeof(label) - 1, NULL, 10);
	free(buf);
	return tgid > 0 ? tgid : 0;
}

uint64_t proc_start_time_at(int dirfd)
{
	/* 52 fields of at most 20 digits, and a comm. */
	char buf[2048], *p, *end;
	uint64_t ticks;
	int field;

	if (proc_read_attr(dirfd, "stat", buf, sizeof(buf)) < 0)
		return 0;
	/* The comm, field 2, may hold blanks and parentheses. */
	p = strrchr(buf, ')');
	for (field = 2; p && field < 22; field++) {
		p = strchr(p, ' ');
		if (p)
			p++;
	}
	if (!p || *p < '0' || *p > '9')
		return 0;
	errno = 0;
	ticks = strtoull(p, &end, 10);
	return errno || (*end != ' ' && *end) ? 0 : ticks;
}

uint64_t proc_start_time(const char *procfs, pid_t pid)
{
	char path[PATH_MAX];
	uint64_t ticks;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%d", procfs, (int)pid) >= (int)sizeof(path))
		return 0;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ticks = proc_start_time_at(fd);
	close(fd);
	return ticks;
}

uint64_t proc_boottime_to_ticks(uint64_t ns, int64_t offset_ns, unsigned long hz)
{
	const uint64_t nsec_per_sec = 1000000000;

	ns += offset_ns;
	if (nsec_per_sec % hz == 0)
		return ns / (nsec_per_sec / hz);
	if (hz % 512 == 0)
		return ns * hz / 512 / (nsec_per_sec / 512);
	return ns * 9 / ((9 * nsec_per_sec + hz / 2) / hz);
}

int64_t proc_boottime_offset(int procfd)
{
	long long sec, nsec;
	int64_t offset = 0;
	char *buf, *line;
	size_t len;

	if (proc_read_file(procfd, "self/timens_offsets", 4096, &buf, &len))
		return 0;
	line = strstr(buf, "boottime");
	if (line && sscanf(line, "boottime %lld %lld", &sec, &nsec) == 2)
		offset = sec * 1000000000 + nsec;
	free(buf);
	return offset;
}

/* Whether procfs shows the namespace that this process lives in, and not one above. */
static bool procfs_is_ours(int procfd)
{
	char *buf, *line;
	bool ours = false;
	size_t len;

	if (proc_read_file(procfd, "self/status", 65536, &buf, &len))
		return false;
	/* One number for each namespace from procfs's inwards. */
	line = strstr(buf, "\nNSpid:\t");
	if (line) {
		line += strlen("\nNSpid:\t");
		ours = line[strspn(line, "0123456789")] == '\n';
	}
	free(buf);
	return ours;
}

bool proc_is_init_pidns(int procfd)
{
	char link[64];
	ssize_t n;

	/* Process 1 of a procfs lives in the namespace that the procfs shows. */
	n = proc_read_link_name(procfd, "1/ns/pid", link, sizeof(link));
	if (n < 0 && procfs_is_ours(procfd))
		n = proc_read_link_name(procfd, "self/ns/pid", link, sizeof(link));
	return n < 0 || !strcmp(link, INIT_PIDNS_LINK);
}

bool proc_module_live(const char *modules, const char *name)
{
	char path[PATH_MAX], state[16];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s/initstate", modules, name);
	n = proc_read_attr(AT_FDCWD, path, state, sizeof(state));
	if (n != -ENOENT)
		return n > 0 && !strcmp(state, "live");
	/* What is built in has no state, and is there from the start. */
	snprintf(path, sizeof(path), "%s/%s", modules, name);
	return !access(path, F_OK);
}

ino_t proc_module_identity(const char *name)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	return stat(path, &st) ? 0 : st.st_ino;
}

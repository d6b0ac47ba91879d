// SPDX-License-Identifier: GPL-2.0
#include "vfioinfo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "num.h"
#include "procutil.h"

/* Where offsets of capabilities count from, and what they must not reach into. */
#define INFO_LEN sizeof(struct vfio_device_info)

/* Room for all capabilities that there may be. */
#define INFO_MAX 4096

struct no_snoop_cap {
	struct vfio_info_cap_header header;
	uint32_t flags;
};

int vfioinfo_parse(const void *info, size_t len, uint32_t *flags)
{
	const char *base = info;
	struct vfio_device_info head;
	struct no_snoop_cap cap;
	size_t at, left;

	if (len < INFO_LEN)
		return -EBADMSG;
	memcpy(&head, info, sizeof(head));
	if (!(head.flags & VFIO_DEVICE_FLAGS_CAPS) || !head.cap_offset)
		return -ENOENT;
	at = head.cap_offset;
	/* A chain that is longer than its bytes runs in a circle. */
	for (left = len / sizeof(cap.header); at && left; left--) {
		if (at < offsetof(struct vfio_device_info, cap_offset) + sizeof(head.cap_offset) ||
		    at + sizeof(cap.header) > len)
			return -EBADMSG;
		memcpy(&cap.header, base + at, sizeof(cap.header));
		if (cap.header.id == VFIOINFO_CAP) {
			if (at + sizeof(cap) > len)
				return -EBADMSG;
			memcpy(&cap, base + at, sizeof(cap));
			*flags = cap.flags;
			return 0;
		}
		at = cap.header.next;
	}
	return at ? -EBADMSG : -ENOENT;
}

static bool names(const char *path, const char *bdf)
{
	const char *slash = strrchr(path, '/');

	return slash && !strcmp(slash + 1, bdf);
}

/* Descriptors of a function name it since Linux 6.18. */
int vfioinfo_parse_box(char *text, const char *bdf)
{
	static const char path[] = "vfio-device-syspath:", box[] = "vfio-dma-box:";
	int found = -ENOENT;
	bool named = false;
	char *line, *save = NULL;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!strncmp(line, path, strlen(path))) {
			if (!names(line, bdf))
				return -ESTALE;
			named = true;
		} else if (!strncmp(line, box, strlen(box))) {
			line += strlen(box);
			line += strspn(line, " \t");
			found = line[0] >= '0' && line[0] <= '4' && !line[1] ? line[0] - '0' :
									       -EBADMSG;
		}
	}
	return named ? found : -ENODATA;
}

static int read_box(int pidfd, const char *fd, const char *bdf)
{
	char path[NAME_MAX + 16], *buf;
	size_t len;
	int box;

	snprintf(path, sizeof(path), "fdinfo/%s", fd);
	box = proc_read_file(pidfd, path, 16384, &buf, &len);
	if (box)
		return box;
	box = vfioinfo_parse_box(buf, bdf);
	free(buf);
	return box;
}

int vfioinfo_box(pid_t pid, int fd, const char *bdf)
{
	char path[32], nr[16];
	int pidfd, box;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	snprintf(nr, sizeof(nr), "%d", fd);
	pidfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (pidfd < 0)
		return -errno;
	box = read_box(pidfd, nr, bdf);
	close(pidfd);
	return box;
}

static bool is_cdev_of(const char *target, const char *bdf)
{
	static const char cdevs[] = "/vfio/devices/";
	const char *name = strstr(target, cdevs);
	char path[128], device[64];

	if (!name || snprintf(path, sizeof(path), "/sys/class/vfio-dev/%s/device",
			      name + strlen(cdevs)) >= (int)sizeof(path))
		return false;
	return proc_read_link_name(AT_FDCWD, path, device, sizeof(device)) > 0 &&
	       !strcmp(device, bdf);
}

int vfioinfo_find(pid_t pid, const char *bdf)
{
	char path[32], target[PATH_MAX];
	int pidfd, fds, found = -ENOENT, best = INT_MIN, box;
	struct dirent *de;
	uint64_t nr;
	ssize_t n;
	bool anon;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	pidfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fds = pidfd >= 0 ? openat(pidfd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	dir = fds >= 0 ? fdopendir(fds) : NULL;
	if (!dir) {
		found = -errno;
		if (fds >= 0)
			close(fds);
		if (pidfd >= 0)
			close(pidfd);
		return found;
	}
	/* Of several files of one function, only the one that is bound has a box. */
	while (best < 1 && (de = readdir(dir))) {
		n = readlinkat(fds, de->d_name, target, sizeof(target) - 1);
		if (n <= 0 || num_u64(de->d_name, 0, INT_MAX, &nr))
			continue;
		target[n] = '\0';
		anon = !strcmp(target, "anon_inode:[vfio-device]");
		if (!anon && !is_cdev_of(target, bdf))
			continue;
		box = read_box(pidfd, de->d_name, bdf);
		/* Before Linux 6.18 nothing but the path of a cdev says whose file it is. */
		if (box == -ESTALE || (anon && box == -ENODATA))
			continue;
		if (found >= 0 && box < best)
			continue;
		found = nr;
		best = box;
	}
	closedir(dir);
	close(pidfd);
	return found;
}

int vfioinfo_query(pid_t pid, int fd, uint32_t *flags)
{
	alignas(struct vfio_device_info) char buf[INFO_MAX] = { 0 };
	struct vfio_device_info *info = (struct vfio_device_info *)buf;
	int pidfd, copy, err = 0;

	pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return -errno;
	copy = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (copy < 0)
		err = -errno;
	close(pidfd);
	if (err)
		return err;
	info->argsz = sizeof(buf);
	if (ioctl(copy, VFIO_DEVICE_GET_INFO, info))
		err = -errno;
	close(copy);
	if (err)
		return err;
	return vfioinfo_parse(buf, info->argsz < sizeof(buf) ? info->argsz : sizeof(buf), flags);
}

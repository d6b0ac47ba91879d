// SPDX-License-Identifier: GPL-2.0
#include "iommupolicy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/ioctl.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../lib/num.h"

/* include/uapi/linux/iommufd.h: struct iommu_option; Debian 12's headers have none of it. */
struct option {
	__u32 size;
	__u32 option_id;
	__u16 op;
	__u16 reserved;
	__u32 object_id;
	__aligned_u64 val64;
};
#define OPTION_IOCTL	     _IO(';', 0x87)
#define OPTION_OP_GET	     1
#define OPTION_HUGE_PAGES    1
#define OPTION_DMA_COHERENCY 2

/*
 * Objects take the lowest number that is free, devices and page tables among
 * them: behind so many that are no address space there is hardly another one.
 */
#define IDS_WITHOUT 64
#define IDS_MAX	    4096

const char *iommu_policy_name(int policy)
{
	static const char *const names[] = {
		[IOMMU_POLICY_AUTO] = "automatic",
		[IOMMU_POLICY_ENFORCED] = "enforced",
		[IOMMU_POLICY_NONCOHERENT] = "noncoherent",
	};

	return policy >= 0 && policy <= IOMMU_POLICY_NONCOHERENT ? names[policy] : NULL;
}

static int get_option(int fd, int (*ask)(int, unsigned long, void *), unsigned int option,
		      unsigned int id, uint64_t *value)
{
	struct option o = {
		.size = sizeof(o), .option_id = option, .op = OPTION_OP_GET, .object_id = id
	};

	if (ask(fd, OPTION_IOCTL, &o) < 0)
		return -errno;
	*value = o.val64;
	return 0;
}

int iommu_policy_ask(int fd, int (*ask)(int fd, unsigned long nr, void *arg))
{
	unsigned int without = 0;
	int policy = -ENOENT, err;
	uint64_t value = 0;

	for (unsigned int id = 1; id < IDS_MAX && without < IDS_WITHOUT; id++) {
		/* Of page tables the policy's option tells the fact: this one is of address spaces alone. */
		err = get_option(fd, ask, OPTION_HUGE_PAGES, id, &value);
		if (err) {
			without++;
			continue;
		}
		without = 0;
		err = get_option(fd, ask, OPTION_DMA_COHERENCY, id, &value);
		/* Destroyed in between. */
		if (err == -ENOENT || err == -EINVAL)
			continue;
		if (err)
			return err;
		if (value > IOMMU_POLICY_NONCOHERENT)
			return -EOPNOTSUPP;
		if (policy >= 0 && policy != (int)value)
			return -EEXIST;
		policy = value;
	}
	return policy;
}

static int ask_kernel(int fd, unsigned long nr, void *arg)
{
	return ioctl(fd, nr, arg);
}

static int ask_copy(int pidfd, int fd)
{
	int copy = syscall(SYS_pidfd_getfd, pidfd, fd, 0), policy;

	if (copy < 0)
		return -errno;
	policy = iommu_policy_ask(copy, ask_kernel);
	close(copy);
	return policy;
}

/* Paths may be of another root. */
static bool is_dev(const char *target, const char *name)
{
	const char *dev = strstr(target, "/dev/");

	return dev && !strcmp(dev, name);
}

/* Of all iommufds of the process. */
static int ask_all(int pidfd, DIR *dir, bool *container)
{
	bool vfio;
	int policy = -ENOENT, one;
	char target[64];
	struct dirent *de;
	uint64_t nr;
	ssize_t n;

	while ((de = readdir(dir))) {
		n = readlinkat(dirfd(dir), de->d_name, target, sizeof(target) - 1);
		if (n <= 0 || num_u64(de->d_name, 0, INT_MAX, &nr))
			continue;
		target[n] = '\0';
		/* iommufd can stand in for it. */
		vfio = is_dev(target, "/dev/vfio/vfio");
		if (!vfio && !is_dev(target, "/dev/iommu"))
			continue;
		one = ask_copy(pidfd, nr);
		*container |= vfio && one < 0;
		if (one == -ENOENT || one == -EBADF || one == -ENOTTY)
			continue;
		if (one < 0)
			return one;
		if (policy >= 0 && policy != one)
			return -EEXIST;
		policy = one;
	}
	return policy;
}

static const char *why_not(int err)
{
	switch (err) {
	case -EOPNOTSUPP:
		return "this kernel has no coherency policies";
	case -ENOENT:
		return "the process has no I/O address space of iommufd; others have no policy";
	case -EEXIST:
		return "the process has I/O address spaces of different policies";
	case -EPERM:
	case -EACCES:
		return "iommufd could not be asked: needs root (CAP_SYS_PTRACE)";
	}
	return "iommufd could not be asked";
}

int iommu_policy_of(pid_t pid, const char **why, bool *container)
{
	int pidfd, policy;
	char path[32];
	DIR *dir;

	*container = false;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	dir = pidfd >= 0 ? opendir(path) : NULL;
	policy = dir ? ask_all(pidfd, dir, container) : -errno;
	if (dir)
		closedir(dir);
	if (pidfd >= 0)
		close(pidfd);
	*why = policy < 0 ? why_not(policy) : NULL;
	return policy;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * mapcost BDF POLICY COUNT KIB[,KIB]...: how long IOMMU_IOAS_MAP and IOMMU_IOAS_UNMAP take.
 *
 * The function BDF, which is on vfio-pci, is attached to a new address space of POLICY
 * ("automatic", "enforced", "noncoherent"); then memory of each size is mapped and
 * unmapped COUNT times. The memory is there and written to before: pinning is part of the
 * times, allocating is not. Each size has one more turn before, which is not timed.
 *
 * Prints a line for each size: "KIB COUNT MAP_MIN MAP_MEDIAN MAP_SUM UNMAP_MIN UNMAP_MEDIAN
 * UNMAP_SUM", tabs between, times in ns of CLOCK_MONOTONIC.
 *
 * Exit status: 0, 1 it failed, 2 bad usage, 3 not permitted, 4 this kernel or IOMMU
 * cannot; but for 0 a sentence says what.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../../tools/wbinvdbench/uapi.h"

#define IOVA	  (1ULL << 32)
#define COUNT_MAX 1000000
#define KIB_MAX	  (64UL << 20)

static const struct policy {
	const char *name;
	uint32_t flags;
} policies[] = {
	{ "automatic", 0 },
	{ "enforced", WB_IOMMU_IOAS_ALLOC_ENFORCE_COHERENCY },
	{ "noncoherent", WB_IOMMU_IOAS_ALLOC_NONCOHERENT },
};

static long number(const char *text, long max, char **end)
{
	long n;

	errno = 0;
	n = strtol(text, end, 10);
	if (*end == text || errno || n < 1 || n > max)
		errx(2, "'%s' is not a number from 1 to %ld", text, max);
	return n;
}

static const struct policy *find_policy(const char *name)
{
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		if (!strcmp(policies[i].name, name))
			return &policies[i];
	errx(2, "no policy is named '%s': there are automatic, enforced, noncoherent", name);
}

static int open_or_say(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		err(errno == EACCES || errno == EPERM  ? 3 :
		    errno == ENOENT || errno == ENODEV ? 4 :
							 1,
		    "%s", path);
	return fd;
}

static int open_device(const char *bdf)
{
	char path[PATH_MAX];
	glob_t found;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/vfio*", bdf);
	if (glob(path, 0, NULL, &found))
		errx(4,
		     "%s has no VFIO character device: it is not on vfio-pci, or the kernel was built without CONFIG_VFIO_DEVICE_CDEV",
		     bdf);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	fd = open_or_say(path);
	return fd;
}

static uint32_t new_ioas(int iommu, const struct policy *policy)
{
	struct wb_iommu_ioas_alloc cmd = { .size = sizeof(cmd), .flags = policy->flags };

	if (!ioctl(iommu, WB_IOMMU_IOAS_ALLOC, &cmd))
		return cmd.out_ioas_id;
	if (policy->flags && (errno == EOPNOTSUPP || errno == EINVAL))
		errx(4, "this kernel has no policy \"%s\" of address spaces", policy->name);
	if (errno == EPERM)
		errx(3, "policy \"%s\" needs CAP_SYS_RAWIO or iommufd.allow_noncoherent=1",
		     policy->name);
	err(1, "IOMMU_IOAS_ALLOC");
}

static void attach(int iommu, int device, uint32_t ioas, const struct policy *policy)
{
	struct wb_vfio_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommu };
	struct wb_vfio_attach_iommufd_pt pt = { .argsz = sizeof(pt), .pt_id = ioas };

	if (ioctl(device, WB_VFIO_DEVICE_BIND_IOMMUFD, &bind))
		err(1, "the device cannot be bound to the iommufd");
	if (!ioctl(device, WB_VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt))
		return;
	if (policy->flags & WB_IOMMU_IOAS_ALLOC_ENFORCE_COHERENCY)
		errx(4, "the IOMMU in front of the device cannot enforce coherency (%s)",
		     strerror(errno));
	err(1, "the device cannot be attached");
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static int64_t map(int iommu, uint32_t ioas, void *mem, size_t len)
{
	struct wb_iommu_ioas_map cmd = { .size = sizeof(cmd),
					 .flags = WB_IOMMU_IOAS_MAP_FIXED_IOVA |
						  WB_IOMMU_IOAS_MAP_WRITEABLE |
						  WB_IOMMU_IOAS_MAP_READABLE,
					 .ioas_id = ioas,
					 .user_va = (uintptr_t)mem,
					 .length = len,
					 .iova = IOVA };
	int64_t start = now();

	if (ioctl(iommu, WB_IOMMU_IOAS_MAP, &cmd))
		err(1, "%zu KiB cannot be mapped", len >> 10);
	return now() - start;
}

static int64_t unmap(int iommu, uint32_t ioas, size_t len)
{
	struct wb_iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = ioas, .iova = IOVA, .length = len
	};
	int64_t start = now();

	if (ioctl(iommu, WB_IOMMU_IOAS_UNMAP, &cmd))
		err(1, "%zu KiB cannot be unmapped", len >> 10);
	return now() - start;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void print(int64_t *ns, long n)
{
	int64_t sum = 0;

	for (long i = 0; i < n; i++)
		sum += ns[i];
	qsort(ns, n, sizeof(*ns), compare);
	printf("\t%lld\t%lld\t%lld", (long long)ns[0], (long long)ns[n / 2], (long long)sum);
}

static void measure(int iommu, uint32_t ioas, long kib, long count)
{
	int64_t *maps = calloc(count, sizeof(*maps)), *unmaps = calloc(count, sizeof(*unmaps));
	size_t len = (size_t)kib << 10;
	void *mem;

	mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!maps || !unmaps || mem == MAP_FAILED)
		errx(1, "memory for %ld KiB", kib);
	memset(mem, 1, len);
	map(iommu, ioas, mem, len);
	unmap(iommu, ioas, len);
	for (long i = 0; i < count; i++) {
		memset(mem, i, len);
		maps[i] = map(iommu, ioas, mem, len);
		unmaps[i] = unmap(iommu, ioas, len);
	}
	printf("%ld\t%ld", kib, count);
	print(maps, count);
	print(unmaps, count);
	putchar('\n');
	munmap(mem, len);
	free(maps);
	free(unmaps);
}

int main(int argc, char **argv)
{
	const struct policy *policy;
	int iommu, device;
	uint32_t ioas;
	long count;
	char *end;

	if (argc != 5)
		errx(2, "usage: mapcost BDF POLICY COUNT KIB[,KIB]...");
	policy = find_policy(argv[2]);
	count = number(argv[3], COUNT_MAX, &end);
	if (*end)
		errx(2, "'%s' is not a number", argv[3]);
	iommu = open_or_say("/dev/iommu");
	device = open_device(argv[1]);
	ioas = new_ioas(iommu, policy);
	attach(iommu, device, ioas, policy);
	for (char *list = argv[4];; list = end + 1) {
		long kib = number(list, KIB_MAX, &end);

		if ((*end && *end != ',') || kib % 4)
			errx(2, "'%s' is not a list of multiples of 4 KiB", argv[4]);
		measure(iommu, ioas, kib, count);
		if (!*end)
			break;
	}
	return fflush(stdout) ? 1 : 0;
}

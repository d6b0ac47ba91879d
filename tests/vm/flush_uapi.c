// SPDX-License-Identifier: GPL-2.0
/*
 * flush_uapi iommufd|type1 BDF
 * flush_uapi replay BDF MDEV
 *
 * Maps and unmaps memory for the PCI function BDF, which is on vfio-pci, through
 * iommufd or through a VFIO container.  Before each step it writes "step NAME"
 * into the kernel's trace, after the last one "step end", so that what the
 * kernel did can be told apart.  With replay the container has mappings and an
 * emulated device, MDEV (a UUID), before the function comes.
 *
 * Exit status: 0 when all steps succeeded, 1 with a message otherwise.
 */
#include <err.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "../../tools/wbinvdbench/uapi.h"

#define MARKER "/sys/kernel/tracing/trace_marker"

#define EARLY_SIZE (8UL << 20) /* mapped before the function is attached */
#define SIZE	   (6UL << 20)
#define EARLY_IOVA (1UL << 32)
#define IOVA	   (2UL << 32)
#define MMIO_IOVA  (3UL << 32)
#define HUGE_SIZE  (2UL << 20)

static int marker;

static void step(const char *name)
{
	if (dprintf(marker, "step %s", name) < 0)
		err(1, "%s", MARKER);
}

static int open_or_die(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static void *memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		err(1, "%zu bytes", size);
	return p;
}

/* ---- iommufd ------------------------------------------------------------------------------------ */

static int iommu;
static uint32_t ioas;

static void ioas_map(uint64_t iova, void *p, size_t size)
{
	struct wb_iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = WB_IOMMU_IOAS_MAP_FIXED_IOVA | WB_IOMMU_IOAS_MAP_WRITEABLE |
			 WB_IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)p,
		.length = size,
		.iova = iova,
	};

	if (ioctl(iommu, WB_IOMMU_IOAS_MAP, &map))
		err(1, "IOMMU_IOAS_MAP");
}

static int open_cdev(const char *bdf)
{
	char path[PATH_MAX];
	glob_t found;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/vfio*", bdf);
	if (glob(path, 0, NULL, &found))
		errx(1, "%s is not on vfio-pci", bdf);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	return open_or_die(path);
}

static void run_iommufd(const char *bdf)
{
	struct wb_iommu_ioas_unmap unmap = { .size = sizeof(unmap), .iova = IOVA, .length = SIZE };
	struct wb_vfio_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct wb_vfio_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct wb_iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct wb_vfio_detach_iommufd_pt detach = { .argsz = sizeof(detach) };
	void *early = memory(EARLY_SIZE), *late = memory(SIZE);
	int device = open_cdev(bdf);

	iommu = open_or_die("/dev/iommu");
	bind.iommufd = iommu;
	if (ioctl(device, WB_VFIO_DEVICE_BIND_IOMMUFD, &bind))
		err(1, "VFIO_DEVICE_BIND_IOMMUFD");
	if (ioctl(iommu, WB_IOMMU_IOAS_ALLOC, &alloc))
		err(1, "IOMMU_IOAS_ALLOC");
	ioas = attach.pt_id = unmap.ioas_id = alloc.out_ioas_id;

	step("early");
	ioas_map(EARLY_IOVA, early, EARLY_SIZE);
	step("attach");
	if (ioctl(device, WB_VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		err(1, "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
	step("map");
	ioas_map(IOVA, late, SIZE);
	step("unmap");
	if (ioctl(iommu, WB_IOMMU_IOAS_UNMAP, &unmap))
		err(1, "IOMMU_IOAS_UNMAP");
	step("detach");
	if (ioctl(device, WB_VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach))
		err(1, "VFIO_DEVICE_DETACH_IOMMUFD_PT");
	step("close");
	close(device);
	close(iommu);
}

/* ---- containers --------------------------------------------------------------------------------- */

static int container;

/* The group of a device, a directory in sysfs, in the container */
static int join(const char *dir)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t len;
	int group;

	snprintf(path, sizeof(path), "%s/iommu_group", dir);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		err(1, "%s", path);
	target[len] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(target, '/') + 1);
	group = open_or_die(path);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container))
		err(1, "VFIO_GROUP_SET_CONTAINER");
	return group;
}

static void dma_map(uint64_t iova, void *p, size_t size)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)p,
		.iova = iova,
		.size = size,
	};

	if (ioctl(container, VFIO_IOMMU_MAP_DMA, &map))
		err(1, "VFIO_IOMMU_MAP_DMA");
}

static void dma_unmap(uint64_t iova, size_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = size,
	};

	if (ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap))
		err(1, "VFIO_IOMMU_UNMAP_DMA");
}

static void set_iommu(void)
{
	if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		err(1, "VFIO_SET_IOMMU");
}

/* BAR 0 of the device at addr, or anywhere if that is NULL */
static void *map_bar(int device, const struct vfio_region_info *bar, void *addr)
{
	void *p = mmap(addr, bar->size, PROT_READ | PROT_WRITE, MAP_SHARED | (addr ? MAP_FIXED : 0),
		       device, bar->offset);

	if (p == MAP_FAILED)
		err(1, "mmap of BAR 0");
	return p;
}

/* BAR 0 and a huge page behind it */
static void *mixed(int device, const struct vfio_region_info *bar)
{
	char *room = mmap(NULL, 3 * HUGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *huge;

	if (room == MAP_FAILED)
		err(1, "%zu bytes", 3 * HUGE_SIZE);
	if (bar->size > HUGE_SIZE)
		errx(1, "BAR 0 is larger than a huge page");
	huge = (char *)(((uintptr_t)room + 2 * HUGE_SIZE - 1) & ~(HUGE_SIZE - 1));
	if (mmap(huge, HUGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED | MAP_POPULATE, -1,
		 0) == MAP_FAILED)
		err(1, "a huge page");
	return map_bar(device, bar, huge - bar->size);
}

static void run_type1(const char *bdf)
{
	struct vfio_region_info bar = { .argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX };
	void *early = memory(EARLY_SIZE), *late = memory(SIZE), *mmio, *both;
	char dir[PATH_MAX];
	int group, device;

	container = open_or_die("/dev/vfio/vfio");
	snprintf(dir, sizeof(dir), "/sys/bus/pci/devices/%s", bdf);
	group = join(dir);
	set_iommu();
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	if (device < 0)
		err(1, "VFIO_GROUP_GET_DEVICE_FD");
	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &bar))
		err(1, "VFIO_DEVICE_GET_REGION_INFO");
	mmio = map_bar(device, &bar, NULL);
	both = mixed(device, &bar);

	step("map");
	dma_map(IOVA, late, SIZE);
	step("map-mmio");
	dma_map(MMIO_IOVA, mmio, bar.size);
	step("unmap-mmio");
	dma_unmap(MMIO_IOVA, bar.size);
	step("map-mixed");
	dma_map(MMIO_IOVA, both, bar.size + HUGE_SIZE);
	step("unmap-mixed");
	dma_unmap(MMIO_IOVA, bar.size + HUGE_SIZE);
	step("unmap");
	dma_unmap(IOVA, SIZE);
	step("map-again");
	dma_map(EARLY_IOVA, early, EARLY_SIZE);
	step("close");
	munmap(mmio, bar.size);
	munmap(both, bar.size);
	close(device);
	close(group);
	close(container);
}

static void run_replay(const char *bdf, const char *mdev)
{
	void *early = memory(EARLY_SIZE);
	int emulated, group;
	char dir[PATH_MAX];

	container = open_or_die("/dev/vfio/vfio");
	snprintf(dir, sizeof(dir), "/sys/bus/mdev/devices/%s", mdev);
	emulated = join(dir);
	set_iommu();

	step("early");
	dma_map(EARLY_IOVA, early, EARLY_SIZE);
	step("replay");
	snprintf(dir, sizeof(dir), "/sys/bus/pci/devices/%s", bdf);
	group = join(dir);
	step("leave");
	if (ioctl(group, VFIO_GROUP_UNSET_CONTAINER))
		err(1, "VFIO_GROUP_UNSET_CONTAINER");
	step("close");
	close(group);
	close(emulated);
	close(container);
}

int main(int argc, char **argv)
{
	marker = open(MARKER, O_WRONLY | O_CLOEXEC);
	if (marker < 0)
		err(1, "%s", MARKER);
	if (argc == 3 && !strcmp(argv[1], "iommufd"))
		run_iommufd(argv[2]);
	else if (argc == 3 && !strcmp(argv[1], "type1"))
		run_type1(argv[2]);
	else if (argc == 4 && !strcmp(argv[1], "replay"))
		run_replay(argv[2], argv[3]);
	else
		errx(1, "usage: flush_uapi iommufd|type1 BDF, or replay BDF MDEV");
	step("end");
	return 0;
}

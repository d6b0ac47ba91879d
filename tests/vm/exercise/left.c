// SPDX-License-Identifier: GPL-2.0
/* Whether the kernel lost something: pinned pages, locked pages, devices */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "../leaks.h"
#include "../uapi-coherency.h"
#include "exercise.h"

/* A device of VFIO, bound and attached, one page of it mapped */
struct attached {
	int iommu, device;
	uint32_t ioas;
	void *page;
};

static int map_page(const struct attached *a)
{
	struct wb_iommu_ioas_map map = { .size = sizeof(map),
					 .flags = 7,
					 .ioas_id = a->ioas,
					 .user_va = (uintptr_t)a->page,
					 .length = PAGE,
					 .iova = FIRST_IOVA };

	return ioctl(a->iommu, WB_IOMMU_IOAS_MAP, &map) ? errno : 0;
}

static bool attach(struct attached *a, const char *device)
{
	struct wb_iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct wb_vfio_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct wb_vfio_attach_iommufd_pt pt = { .argsz = sizeof(pt) };

	/* It may be on its way back. */
	for (int i = 0; i < 100 && (a->device = open_cdev(device)) < 0; i++)
		usleep(100000);
	a->iommu = bind.iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	a->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (a->device < 0 || ioctl(a->device, WB_VFIO_DEVICE_BIND_IOMMUFD, &bind) ||
	    ioctl(a->iommu, WB_IOMMU_IOAS_ALLOC, &ioas))
		return false;
	a->ioas = pt.pt_id = ioas.out_ioas_id;
	return !ioctl(a->device, WB_VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt);
}

static void detach(struct attached *a)
{
	close(a->device);
	close(a->iommu);
	munmap(a->page, PAGE);
}

/*
 * Pages that count against this user's RLIMIT_MEMLOCK, which iommufd does without
 * regard to privilege: as many as the limit has to allow beyond one more.
 */
static long locked_pages(const struct attached *a)
{
	struct rlimit was, limit;
	long low = 0, high = 1 << 22;

	getrlimit(RLIMIT_MEMLOCK, &was);
	limit = was;
	while (low < high) {
		struct wb_iommu_ioas_unmap unmap = { .size = sizeof(unmap),
						     .ioas_id = a->ioas,
						     .iova = FIRST_IOVA,
						     .length = PAGE };
		long middle = (low + high) / 2;

		limit.rlim_cur = (middle + 1) * PAGE;
		setrlimit(RLIMIT_MEMLOCK, &limit);
		if (map_page(a)) {
			low = middle + 1;
		} else {
			high = middle;
			ioctl(a->iommu, WB_IOMMU_IOAS_UNMAP, &unmap);
		}
	}
	setrlimit(RLIMIT_MEMLOCK, &was);
	return low;
}

/* Who has it is not accounted for */
static void drop_ipc_lock(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		err(2, "capabilities");
	data[0].effective &= ~(1U << CAP_IPC_LOCK);
	if (syscall(SYS_capset, &header, data))
		err(2, "capabilities");
}

static struct {
	long long pins;
	long locked;
} before;

void take_stock(bool first)
{
	struct attached a;
	long long pins = first ? pinned_pages() : wait_for_pins(before.pins, 10);
	long locked = 0;

	if (first)
		drop_ipc_lock();
	for (unsigned int i = 0; i < opt.nr_devices; i++) {
		bool good = attach(&a, opt.devices[i]);

		if (!good)
			wrong("%s cannot be attached %s: %s", opt.devices[i],
			      first ? "at first" : "any more", strerror(errno));
		else if (!locked && strlen(opt.devices[i]) < 36)
			locked = locked_pages(&a);
		detach(&a);
	}
	if (first) {
		before.pins = pins;
		before.locked = locked;
		return;
	}
	if (pins != before.pins)
		wrong("%lld pages are pinned, %lld were", pins, before.pins);
	if (locked != before.locked)
		wrong("%ld pages count as locked, %ld did", locked, before.locked);
	printf("pinned: %lld\nlocked: %ld\n", pins, locked);
}

void keep_page(void)
{
	static struct attached kept;

	if (!opt.nr_devices || !attach(&kept, opt.devices[0]) || map_page(&kept))
		errx(2, "a page cannot be mapped for %s",
		     opt.nr_devices ? opt.devices[0] : "nothing");
}

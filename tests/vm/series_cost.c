// SPDX-License-Identifier: GPL-2.0
/*
 * series_cost operations BDF N	what iommufd's operations cost
 * series_cost vcpu N [BDF]		what it costs to load and put a vCPU
 * series_cost noncoherent BDF		one map and unmap in a non-coherent HWPT
 * series_cost rate			how fast this CPU flushes memory
 *
 * For the PCI function BDF, which is on vfio-pci.  operations prints a line
 * for each of them, "NAME COUNT MEAN MEDIAN": nanoseconds of CLOCK_MONOTONIC_RAW,
 * which are instructions where the emulator counts those.  The mean is over all
 * COUNT of them, N for most, the median over stretches of several.  vcpu does the same
 * for ioctls that load a vCPU, do little and put it; with BDF the VM has that
 * function.  Both work on kernels without the series, too.  noncoherent prints how
 * many bytes it mapped, rate GiB/s for lines that are dirty in the cache as far as
 * it holds them, and for lines that are in no cache.
 *
 * Exit status: 0, or 1 with a message.
 */
#include <cpuid.h>
#include <err.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "uapi-coherency.h"

#define KIB  1024UL
#define MIB  (1024 * KIB)
#define IOVA (1UL << 32)

static int iommu, device, vm, vcpu;
static uint32_t dev_id;

static void do_ioctl(int fd, unsigned long cmd, const char *name, void *arg)
{
	if (ioctl(fd, cmd, arg))
		err(1, "%s", name);
}

#define DO(fd, cmd, arg) do_ioctl(fd, cmd, #cmd, arg)

/* ---- operations --------------------------------------------------------------------------------- */

static uint32_t new_ioas(void)
{
	struct wb_iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	DO(iommu, WB_IOMMU_IOAS_ALLOC, &cmd);
	return cmd.out_ioas_id;
}

static uint32_t new_hwpt(uint32_t ioas, uint32_t flags)
{
	struct wb_iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .dev_id = dev_id, .pt_id = ioas, .flags = flags
	};

	DO(iommu, WB_IOMMU_HWPT_ALLOC, &cmd);
	return cmd.out_hwpt_id;
}

static void destroy(uint32_t id)
{
	struct wb_iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	DO(iommu, WB_IOMMU_DESTROY, &cmd);
}

static void attach(uint32_t pt)
{
	struct wb_vfio_attach_iommufd_pt cmd = { .argsz = sizeof(cmd), .pt_id = pt };

	DO(device, WB_VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

static void detach(void)
{
	struct wb_vfio_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	DO(device, WB_VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static void map_unmap(uint32_t ioas, void *p, size_t size)
{
	struct wb_iommu_ioas_map map = { .size = sizeof(map),
					 .flags = WB_IOMMU_IOAS_MAP_FIXED_IOVA |
						  WB_IOMMU_IOAS_MAP_WRITEABLE |
						  WB_IOMMU_IOAS_MAP_READABLE,
					 .ioas_id = ioas,
					 .user_va = (uintptr_t)p,
					 .length = size,
					 .iova = IOVA };
	struct wb_iommu_ioas_unmap unmap = {
		.size = sizeof(unmap), .ioas_id = ioas, .iova = IOVA, .length = size
	};

	DO(iommu, WB_IOMMU_IOAS_MAP, &map);
	DO(iommu, WB_IOMMU_IOAS_UNMAP, &unmap);
}

static void open_device(const char *bdf)
{
	char path[PATH_MAX];
	glob_t found;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/vfio*", bdf);
	if (glob(path, 0, NULL, &found))
		errx(1, "%s is not on vfio-pci", bdf);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	device = open(path, O_RDWR | O_CLOEXEC);
	if (device < 0)
		err(1, "%s", path);
	iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommu < 0)
		err(1, "/dev/iommu");
}

static void bind_device(void)
{
	struct wb_vfio_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommu };

	DO(device, WB_VFIO_DEVICE_BIND_IOMMUFD, &bind);
	dev_id = bind.out_devid;
}

/* ---- a VM ---------------------------------------------------------------------------------------- */

static int new_fd(int fd, unsigned long cmd, const char *name, unsigned long arg)
{
	fd = ioctl(fd, cmd, arg);
	if (fd < 0)
		err(1, "%s", name);
	return fd;
}

static void open_vm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0)
		err(1, "/dev/kvm");
	vm = new_fd(kvm, KVM_CREATE_VM, "KVM_CREATE_VM", 0);
	vcpu = new_fd(vm, KVM_CREATE_VCPU, "KVM_CREATE_VCPU", 0);
}

/* In the order of QEMU: the VM learns of the device before that is bound. */
static void assign(const char *bdf)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	struct kvm_device_attr add = { .group = WB_KVM_DEV_VFIO_FILE,
				       .attr = WB_KVM_DEV_VFIO_FILE_ADD,
				       .addr = (uintptr_t)&device };

	open_device(bdf);
	DO(vm, KVM_CREATE_DEVICE, &create);
	DO(create.fd, KVM_SET_DEVICE_ATTR, &add);
	bind_device();
	attach(new_ioas());
}

/* ---- time --------------------------------------------------------------------------------------- */

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* Aligned to a huge page, and made of such if asked for */
static void *memory(size_t size, bool huge)
{
	size_t align = 2 * MIB;
	char *p = mmap(NULL, size + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	if (p == MAP_FAILED)
		err(1, "%zu bytes", size);
	p += -(uintptr_t)p % align;
	if (madvise(p, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		err(1, "huge pages");
	memset(p, 1, size);
	return p;
}

enum what { MAP, ALLOC, ATTACH, ATTACH_IOAS, MP_STATE, REGS };

struct operation {
	const char *name;
	enum what what;
	size_t size;
	bool huge;
	unsigned int divisor; /* so many times fewer than the others */
	unsigned int stretch; /* that many for a reading of the clock */
};

/* A stretch is shorter than the 4 ms between two ticks, where it can be. */
static const struct operation operations[] = {
	{ "map-4k", MAP, 4 * KIB, false, 1, 20 },
	{ "map-2m", MAP, 2 * MIB, false, 4, 5 },
	{ "map-2m-huge", MAP, 2 * MIB, true, 2, 10 },
	{ "map-256m", MAP, 256 * MIB, false, 100, 1 },
	{ "map-256m-huge", MAP, 256 * MIB, true, 50, 1 },
	{ "hwpt-alloc", ALLOC, 0, false, 1, 20 },
	{ "attach-hwpt", ATTACH, 0, false, 1, 20 },
	{ "attach-ioas", ATTACH_IOAS, 0, false, 1, 20 },
};

static const struct operation vcpu_operations[] = {
	{ "vcpu-mp-state", MP_STATE, 0, false, 1, 100 },
	{ "vcpu-regs", REGS, 0, false, 1, 100 },
};

static void run_once(const struct operation *op, uint32_t ioas, uint32_t hwpt, void *p)
{
	struct kvm_mp_state state;
	struct kvm_regs regs;

	switch (op->what) {
	case MAP:
		map_unmap(ioas, p, op->size);
		break;
	case ALLOC:
		destroy(new_hwpt(ioas, 0));
		break;
	case ATTACH:
		attach(hwpt);
		detach();
		break;
	case ATTACH_IOAS:
		attach(ioas);
		detach();
		break;
	case MP_STATE:
		DO(vcpu, KVM_GET_MP_STATE, &state);
		break;
	case REGS:
		DO(vcpu, KVM_GET_REGS, &regs);
		break;
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void repeat(const struct operation *op, unsigned int n, uint32_t ioas, uint32_t hwpt,
		   void *p)
{
	unsigned int stretches = (n / op->divisor + op->stretch - 1) / op->stretch;
	uint64_t *took = calloc(stretches, sizeof(*took)), total = 0;

	if (!took)
		err(1, "memory");
	for (unsigned int i = 0; i < stretches * op->stretch / 10 + 1; i++)
		run_once(op, ioas, hwpt, p);
	for (unsigned int i = 0; i < stretches; i++) {
		uint64_t start = now();

		for (unsigned int j = 0; j < op->stretch; j++)
			run_once(op, ioas, hwpt, p);
		took[i] = now() - start;
		total += took[i];
	}
	qsort(took, stretches, sizeof(*took), compare);
	printf("%s %u %.0f %.0f\n", op->name, stretches * op->stretch,
	       (double)total / stretches / op->stretch, (double)took[stretches / 2] / op->stretch);
	fflush(stdout);
	free(took);
}

static void measure(const struct operation *op, unsigned int n)
{
	void *p = op->what == MAP ? memory(op->size, op->huge) : NULL;
	uint32_t ioas = new_ioas(), hwpt = 0;

	if (op->what == MAP)
		attach(ioas);
	else if (op->what == ATTACH)
		hwpt = new_hwpt(ioas, 0);
	repeat(op, n, ioas, hwpt, p);
	if (op->what == MAP)
		detach();
	if (hwpt)
		destroy(hwpt);
	destroy(ioas);
	if (p)
		munmap(p, op->size);
}

/* ---- flushing ----------------------------------------------------------------------------------- */

static void noncoherent(void)
{
	size_t size = 64 * MIB;
	uint32_t ioas = new_ioas(), hwpt = new_hwpt(ioas, WB_IOMMU_HWPT_ALLOC_NONCOHERENT);

	attach(hwpt);
	map_unmap(ioas, memory(size, false), size);
	detach();
	printf("%zu\n", size);
}

/* As clflush_cache_range() in the kernel does it: CLFLUSHOPT where there is one */
static double flush(char *p, size_t size, bool opt)
{
	uint64_t start = now();

	__builtin_ia32_mfence();
	for (char *q = p; q < p + size; q += 64) {
		if (opt)
			asm volatile(".byte 0x66; clflush %0" : "+m"(*q));
		else
			asm volatile("clflush %0" : "+m"(*q));
	}
	__builtin_ia32_mfence();
	return size / 1.073741824 / (now() - start);
}

static void rate(void)
{
	unsigned int eax, ebx = 0, ecx, edx;
	double dirty = 0, clean = 0, r;
	size_t size = 512 * MIB;
	char *p = memory(size, true);
	bool opt;

	opt = __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && ebx & bit_CLFLUSHOPT;
	for (int i = 0; i < 10; i++) {
		memset(p, i, size);
		r = flush(p, size, opt);
		dirty = r > dirty ? r : dirty;
		r = flush(p, size, opt);
		clean = r > clean ? r : clean;
	}
	printf("%s %.1f %.1f\n", opt ? "CLFLUSHOPT" : "CLFLUSH", dirty, clean);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "operations")) {
		unsigned int n = strtoul(argv[3], NULL, 10);

		open_device(argv[2]);
		bind_device();
		for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
			measure(&operations[i], n);
	} else if ((argc == 3 || argc == 4) && !strcmp(argv[1], "vcpu")) {
		open_vm();
		if (argc == 4)
			assign(argv[3]);
		for (size_t i = 0; i < sizeof(vcpu_operations) / sizeof(vcpu_operations[0]); i++)
			repeat(&vcpu_operations[i], strtoul(argv[2], NULL, 10), 0, 0, NULL);
	} else if (argc == 3 && !strcmp(argv[1], "noncoherent")) {
		open_device(argv[2]);
		bind_device();
		noncoherent();
	} else if (argc == 2 && !strcmp(argv[1], "rate")) {
		rate();
	} else {
		errx(1,
		     "usage: series_cost operations BDF N, vcpu N [BDF], noncoherent BDF, or rate");
	}
	return 0;
}

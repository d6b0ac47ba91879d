// SPDX-License-Identifier: GPL-2.0
/*
 * coherency [-p POLICY] [-b] [-i] BDF...
 *
 * Gives the PCI functions BDF (0000:01:00.0), which are on vfio-pci, to a VM
 * without vCPUs, in the order in which QEMU does it, and prints for each what
 * its DMA coherency is made of, and what KVM makes of all of them at each step.
 * The text is docs/vmm.md.
 *
 *   -p enforced|automatic|noncoherent	policy of the address space (automatic)
 *   -b					block no-snoop in the functions where
 *					that is worth something
 *   -i					register the iommufd with KVM, once,
 *					in place of each function's file
 *
 * Exit status: 0, 1 when something fails, 2 for bad usage, 3 when permission is
 * lacking, 4 when this kernel or machine cannot.
 *
 *	gcc -std=gnu11 -Wall -Wextra -Werror -o coherency coherency.c
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

#include "coherency_uapi.h"

/* KVM's part of the series, which the installed linux/kvm.h may lack */
#ifndef KVM_CAP_X86_NONCOHERENT_DMA
#define KVM_CAP_X86_NONCOHERENT_DMA  0x4e43
#define KVM_X86_NCDMA_FORCE_COHERENT (1ULL << 0)
#define KVM_X86_NCDMA_PAUSE_WBINVD   (1ULL << 1)

#define KVM_DEV_VFIO_IOMMUFD	 2
#define KVM_DEV_VFIO_IOMMUFD_ADD 1
#define KVM_DEV_VFIO_IOMMUFD_DEL 2

#define KVM_DEV_VFIO_COHERENCY	     3
#define KVM_DEV_VFIO_COHERENCY_STATE 0
struct kvm_vfio_coherency {
	__u32 nr_files;
	__u32 nr_noncoherent;
#define KVM_VFIO_COHERENCY_NONCOHERENT (1 << 0)
#define KVM_VFIO_COHERENCY_WBINVD      (1 << 1)
#define KVM_VFIO_COHERENCY_GUEST_PAT   (1 << 2)
#define KVM_VFIO_COHERENCY_POLICY      (1 << 3)
	__u32 flags;
	__u32 pad;
};
#endif

#define MAX_DEVICES 16
#define MEMORY	    (2UL << 20)

static const struct policy {
	const char *name;
	uint32_t flags;
} policies[] = {
	[IOMMU_DMA_COHERENCY_AUTO] = { "automatic", 0 },
	[IOMMU_DMA_COHERENCY_ENFORCED] = { "enforced", IOMMU_IOAS_ALLOC_ENFORCE_COHERENCY },
	[IOMMU_DMA_COHERENCY_NONCOHERENT] = { "noncoherent", IOMMU_IOAS_ALLOC_NONCOHERENT },
};

#define NR_POLICIES (sizeof(policies) / sizeof(policies[0]))

struct device {
	const char *bdf;
	int fd;
	uint32_t id; /* in iommufd */
	uint32_t hwpt;
	bool iommu_blocks;
	uint32_t no_snoop; /* VFIO_PCI_NO_SNOOP_* */
};

struct hwpt {
	uint32_t id;
	bool enforced;
};

static struct vm {
	int iommu;
	int vm;
	int kvm_vfio;
	uint64_t kvm_policies; /* KVM_X86_NCDMA_* that this KVM has */
	bool by_iommufd;       /* it is what is registered with KVM, not the devices' files */
	uint32_t ioas;
	const struct policy *policy;
	struct device devices[MAX_DEVICES];
	int nr_devices;
	struct hwpt hwpts[MAX_DEVICES];
	int nr_hwpts;
} vm;

/* Errors that have a meaning of their own end with a status of their own. */
static void fail(const char *bdf, const char *what)
{
	int status = errno == EPERM || errno == EACCES ? 3 : errno == EOPNOTSUPP ? 4 : 1;

	err(status, "%s%s%s", bdf, *bdf ? ": " : "", what);
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		errx(4, "%s: this machine or kernel has none, or its module is not loaded", path);
	if (fd < 0)
		fail("", path);
	return fd;
}

/* ---- KVM ---------------------------------------------------------------------------------------- */

static bool kvm_has(uint32_t group, uint64_t attribute)
{
	struct kvm_device_attr attr = { .group = group, .attr = attribute };

	return !ioctl(vm.kvm_vfio, KVM_HAS_DEVICE_ATTR, &attr);
}

static void create_vm(void)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	int policies, kvm = open_file("/dev/kvm");

	vm.vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm.vm < 0)
		fail("", "KVM_CREATE_VM");
	close(kvm);
	if (ioctl(vm.vm, KVM_CREATE_DEVICE, &create))
		fail("", "KVM_CREATE_DEVICE");
	vm.kvm_vfio = create.fd;

	/* A KVM without the series would refuse to be read with EPERM, as if privilege helped. */
	if (!kvm_has(KVM_DEV_VFIO_COHERENCY, KVM_DEV_VFIO_COHERENCY_STATE))
		errx(4, "KVM of this kernel does not tell the DMA coherency of a VM");
	policies = ioctl(vm.vm, KVM_CHECK_EXTENSION, KVM_CAP_X86_NONCOHERENT_DMA);
	vm.kvm_policies = policies > 0 ? policies : 0;
}

/* FD is a device's file or the iommufd, as the group says. */
static void kvm_register(const char *bdf, uint32_t group, uint64_t what, int32_t fd)
{
	struct kvm_device_attr attr = {
		.group = group,
		.attr = what,
		.addr = (uintptr_t)&fd,
	};

	if (ioctl(vm.kvm_vfio, KVM_SET_DEVICE_ATTR, &attr))
		fail(bdf, "KVM_SET_DEVICE_ATTR");
}

/* 0: KVM goes by the devices. Any time, before there are any and while the guest runs */
static void set_kvm_policy(uint64_t policy)
{
	struct kvm_enable_cap enable = {
		.cap = KVM_CAP_X86_NONCOHERENT_DMA,
		.args = { policy },
	};

	if (ioctl(vm.vm, KVM_ENABLE_CAP, &enable))
		fail("", "KVM_CAP_X86_NONCOHERENT_DMA");
}

static void print_kvm(const char *when)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} flags[] = {
		{ KVM_VFIO_COHERENCY_NONCOHERENT, "noncoherent" },
		{ KVM_VFIO_COHERENCY_WBINVD, "wbinvd" },
		{ KVM_VFIO_COHERENCY_GUEST_PAT, "guest-pat" },
		{ KVM_VFIO_COHERENCY_POLICY, "policy" },
	};
	struct kvm_vfio_coherency state = {};
	struct kvm_device_attr attr = {
		.group = KVM_DEV_VFIO_COHERENCY,
		.attr = KVM_DEV_VFIO_COHERENCY_STATE,
		.addr = (uintptr_t)&state,
	};

	if (ioctl(vm.kvm_vfio, KVM_GET_DEVICE_ATTR, &attr))
		fail("", "KVM_DEV_VFIO_COHERENCY_STATE");
	printf("KVM, %s: registrations %u, non-coherent %u, flags", when, state.nr_files,
	       state.nr_noncoherent);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (state.flags & flags[i].flag)
			printf(" %s", flags[i].name);
	puts(state.flags ? "" : " none");
}

/* ---- what is known before anything is attached -------------------------------------------------- */

static void open_device(struct device *d)
{
	char path[PATH_MAX];
	glob_t found;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/vfio*", d->bdf);
	if (glob(path, 0, NULL, &found))
		errx(1, "%s is not on vfio-pci", d->bdf);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	d->fd = open_file(path);
}

static void bind_device(struct device *d)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = vm.iommu };

	if (ioctl(d->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		fail(d->bdf, "VFIO_DEVICE_BIND_IOMMUFD");
	d->id = bind.out_devid;
}

/* Can the IOMMU in front of the device block no-snoop? */
static bool iommu_blocks(struct device *d)
{
	struct iommu_hw_info info = { .size = sizeof(info), .dev_id = d->id };

	if (ioctl(vm.iommu, IOMMU_GET_HW_INFO, &info))
		fail(d->bdf, "IOMMU_GET_HW_INFO");
	return info.out_capabilities & IOMMU_HW_CAP_ENFORCE_DMA_COHERENCY;
}

/* Can the device issue any?  Without the capability nothing is proven. */
static uint32_t no_snoop(struct device *d)
{
	struct vfio_device_info *info = calloc(1, sizeof(*info));
	uint32_t flags = VFIO_PCI_NO_SNOOP_CAPABLE | VFIO_PCI_NO_SNOOP_UNTRUSTED;
	uint32_t at, size = sizeof(*info);

	/* Once for the size, once for the capabilities */
	for (int i = 0; i < 2; i++) {
		if (!info)
			fail(d->bdf, "memory");
		info->argsz = size;
		if (ioctl(d->fd, VFIO_DEVICE_GET_INFO, info))
			fail(d->bdf, "VFIO_DEVICE_GET_INFO");
		if (info->argsz <= size)
			break;
		size = info->argsz;
		free(info);
		info = calloc(1, size);
	}
	at = info->flags & VFIO_DEVICE_FLAGS_CAPS ? info->cap_offset : 0;
	while (at && at + sizeof(struct vfio_device_info_cap_pci_no_snoop) <= size) {
		struct vfio_device_info_cap_pci_no_snoop *cap = (void *)((char *)info + at);

		if (cap->header.id == VFIO_DEVICE_INFO_CAP_PCI_NO_SNOOP) {
			flags = cap->flags;
			break;
		}
		at = cap->header.next;
	}
	free(info);
	return flags;
}

/* Pointless for a device that cannot, and no proof for one that need not follow the bit */
static void block(struct device *d)
{
	_Alignas(struct vfio_device_feature) char
		room[sizeof(struct vfio_device_feature) +
		     sizeof(struct vfio_device_feature_pci_no_snoop)];
	struct vfio_device_feature_pci_no_snoop no_snoop_block = { .op = VFIO_PCI_NO_SNOOP_BLOCK };
	struct vfio_device_feature *set = (void *)room;

	if (!(d->no_snoop & VFIO_PCI_NO_SNOOP_CAPABLE) || d->no_snoop & VFIO_PCI_NO_SNOOP_UNTRUSTED)
		return;
	set->argsz = sizeof(room);
	set->flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_NO_SNOOP;
	memcpy(set->data, &no_snoop_block, sizeof(no_snoop_block));
	if (ioctl(d->fd, VFIO_DEVICE_FEATURE, set))
		fail(d->bdf, "VFIO_DEVICE_FEATURE_PCI_NO_SNOOP");
	d->no_snoop = no_snoop(d);
}

/* ---- address space ------------------------------------------------------------------------------ */

static void create_ioas(void)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc), .flags = vm.policy->flags };

	if (ioctl(vm.iommu, IOMMU_IOAS_ALLOC, &alloc)) {
		if (errno == EOPNOTSUPP && vm.policy->flags)
			errx(4, "this kernel knows no policy of DMA coherency");
		fail("", "IOMMU_IOAS_ALLOC");
	}
	vm.ioas = alloc.out_ioas_id;
}

static void map_memory(void)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.ioas_id = vm.ioas,
		.length = MEMORY,
	};
	void *p = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fail("", "mmap");
	map.user_va = (uintptr_t)p;
	if (ioctl(vm.iommu, IOMMU_IOAS_MAP, &map))
		fail("", "IOMMU_IOAS_MAP");
}

/* 0 or -errno */
static int attach_hwpt(struct device *d, uint32_t id)
{
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach), .pt_id = id };

	return ioctl(d->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) ? -errno : 0;
}

/* IOMMU_DMA_COHERENCY_*: the policy of an IOAS, the fact of a HWPT */
static uint64_t coherency(uint32_t id)
{
	struct iommu_option option = {
		.size = sizeof(option),
		.option_id = IOMMU_OPTION_DMA_COHERENCY,
		.op = IOMMU_OPTION_OP_GET,
		.object_id = id,
	};

	if (ioctl(vm.iommu, IOMMU_OPTION, &option)) {
		if (errno == EOPNOTSUPP)
			errx(4, "this kernel does not tell the DMA coherency of a HWPT");
		fail("", "IOMMU_OPTION_DMA_COHERENCY");
	}
	return option.val64;
}

static struct hwpt *new_hwpt(struct device *d)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.dev_id = d->id,
		.pt_id = vm.ioas,
	};
	struct hwpt *hwpt = &vm.hwpts[vm.nr_hwpts++];

	if (ioctl(vm.iommu, IOMMU_HWPT_ALLOC, &alloc)) {
		if (errno == EINVAL && !d->iommu_blocks)
			errx(1, "%s: its IOMMU cannot block no-snoop, as the policy %s wants",
			     d->bdf, vm.policy->name);
		if (errno == EPERM)
			errx(3,
			     "%s: the policy %s needs CAP_SYS_RAWIO or iommufd.allow_noncoherent=1",
			     d->bdf, vm.policy->name);
		fail(d->bdf, "IOMMU_HWPT_ALLOC");
	}
	hwpt->id = alloc.out_hwpt_id;
	hwpt->enforced = coherency(hwpt->id) == IOMMU_DMA_COHERENCY_ENFORCED;
	return hwpt;
}

/* Finds a HWPT that the device can share, or makes one. */
static void attach_device(struct device *d)
{
	struct hwpt *hwpt;
	int rc;

	for (int i = 0; i < vm.nr_hwpts; i++) {
		/*
		 * The kernel would take it, as it may be what is wanted, and the device
		 * would lose what its IOMMU could do for it.
		 */
		if (!vm.policy->flags && d->iommu_blocks && !vm.hwpts[i].enforced)
			continue;
		rc = attach_hwpt(d, vm.hwpts[i].id);
		if (rc && rc != -EINVAL) {
			errno = -rc;
			fail(d->bdf, "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
		}
		if (!rc) {
			d->hwpt = vm.hwpts[i].id;
			return;
		}
	}
	hwpt = new_hwpt(d);
	rc = attach_hwpt(d, hwpt->id);
	if (rc) {
		errno = -rc;
		fail(d->bdf, "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
	}
	d->hwpt = hwpt->id;
}

/* ---- what came of it ---------------------------------------------------------------------------- */

static unsigned int box(struct device *d)
{
	unsigned int box = 0;
	char path[64], line[PATH_MAX + 64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", d->fd);
	f = fopen(path, "re");
	if (!f)
		fail("", path);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "vfio-dma-box: %u", &box) == 1)
			break;
	fclose(f);
	return box;
}

static void print(struct device *d)
{
	unsigned int b = box(d);

	printf("%s: policy %s, IOMMU %s, device %s%s%s, HWPT %s, box %u: %s\n", d->bdf,
	       policies[coherency(vm.ioas)].name, d->iommu_blocks ? "blocks" : "cannot block",
	       d->no_snoop & VFIO_PCI_NO_SNOOP_CAPABLE ? "may" : "never",
	       d->no_snoop & VFIO_PCI_NO_SNOOP_UNTRUSTED ? ", untrusted" : "",
	       d->no_snoop & VFIO_PCI_NO_SNOOP_BLOCKED ? ", blocked" : "",
	       policies[coherency(d->hwpt)].name, b, b == 3 ? "non-coherent" : "coherent");
}

static void detach_device(struct device *d)
{
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };

	if (ioctl(d->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach))
		fail(d->bdf, "VFIO_DEVICE_DETACH_IOMMUFD_PT");
}

static void destroy(uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	if (ioctl(vm.iommu, IOMMU_DESTROY, &cmd))
		fail("", "IOMMU_DESTROY");
}

static void usage(void)
{
	errx(2, "usage: coherency [-p enforced|automatic|noncoherent] [-b] [-i] BDF..., at most %d",
	     MAX_DEVICES);
}

static void add_devices(char **bdfs, bool blocking)
{
	for (int i = 0; i < vm.nr_devices; i++) {
		struct device *d = &vm.devices[i];

		d->bdf = bdfs[i];
		open_device(d);
		if (!vm.by_iommufd)
			kvm_register(d->bdf, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_ADD, d->fd);
		bind_device(d);
		d->iommu_blocks = iommu_blocks(d);
		d->no_snoop = no_snoop(d);
		if (blocking)
			block(d);
	}
	print_kvm("bound");
	for (int i = 0; i < vm.nr_devices; i++) {
		attach_device(&vm.devices[i]);
		if (!i)
			map_memory();
	}
}

static void remove_devices(void)
{
	for (int i = 0; i < vm.nr_devices; i++)
		detach_device(&vm.devices[i]);
	print_kvm("detached");
	for (int i = 0; i < vm.nr_devices; i++) {
		struct device *d = &vm.devices[i];

		/* KVM keeps the file open until it is told to let go. */
		if (!vm.by_iommufd)
			kvm_register(d->bdf, KVM_DEV_VFIO_FILE, KVM_DEV_VFIO_FILE_DEL, d->fd);
		close(d->fd);
	}
}

/* While nobody needs the guest's WBINVD, other users of the host need not pay for it. */
static void pause_and_resume(void)
{
	if (!(vm.kvm_policies & KVM_X86_NCDMA_PAUSE_WBINVD)) {
		puts("KVM: WBINVD cannot be paused here");
		return;
	}
	set_kvm_policy(KVM_X86_NCDMA_PAUSE_WBINVD);
	print_kvm("paused");
	set_kvm_policy(0);
	print_kvm("resumed");
}

int main(int argc, char **argv)
{
	bool blocking = false;
	int opt;

	vm.policy = &policies[IOMMU_DMA_COHERENCY_AUTO];
	while ((opt = getopt(argc, argv, "p:bi")) != -1) {
		if (opt == 'b') {
			blocking = true;
			continue;
		}
		if (opt == 'i') {
			vm.by_iommufd = true;
			continue;
		}
		vm.policy = NULL;
		for (size_t i = 0; opt == 'p' && i < NR_POLICIES; i++)
			if (!strcmp(optarg, policies[i].name))
				vm.policy = &policies[i];
		if (!vm.policy)
			usage();
	}
	vm.nr_devices = argc - optind;
	if (vm.nr_devices < 1 || vm.nr_devices > MAX_DEVICES)
		usage();

	create_vm();
	vm.iommu = open_file("/dev/iommu");
	create_ioas();
	if (vm.by_iommufd)
		kvm_register("", KVM_DEV_VFIO_IOMMUFD, KVM_DEV_VFIO_IOMMUFD_ADD, vm.iommu);
	add_devices(argv + optind, blocking);
	for (int i = 0; i < vm.nr_devices; i++)
		print(&vm.devices[i]);
	print_kvm("attached");
	pause_and_resume();

	remove_devices();
	if (vm.by_iommufd)
		kvm_register("", KVM_DEV_VFIO_IOMMUFD, KVM_DEV_VFIO_IOMMUFD_DEL, vm.iommu);
	for (int i = 0; i < vm.nr_hwpts; i++)
		destroy(vm.hwpts[i].id);
	destroy(vm.ioas);
	return 0;
}

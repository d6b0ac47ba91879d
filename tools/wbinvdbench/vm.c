// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "bench.h"
#include "log.h"

#define SLOT_CTL   0
#define SLOT_DIRTY 1

/* Where KVM on Intel may put its own pages; anywhere the guest has no memory. */
#define IDENTITY_MAP_ADDR 0xfffbc000ULL
#define TSS_ADDR	  0xfffbd000ULL

#define MSR_MTRR_DEF_TYPE 0x2ff
#define MTRR_ENABLED_WB	  0x806

/* What KVM does not know, it calls invalid: then this kernel cannot, and nobody asked badly. */
static int kvm_refused(const char *what)
{
	int err = errno;

	log_err("KVM refuses %s: %s%s", what, strerror(err),
		err == EMFILE ? "; raise the limit with ulimit -n" : "");
	switch (err) {
	case EINVAL:
	case ENOTTY:
	case ENXIO:
	case ENODEV:
		return -EOPNOTSUPP;
	}
	return -err;
}

static int open_kvm(struct vm *vm)
{
	int version;

	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm < 0) {
		int err = errno;

		switch (err) {
		case ENOENT:
		case ENODEV:
		case ENXIO:
			log_err("no KVM on this kernel (/dev/kvm: %s): load kvm_intel or kvm_amd, and enable virtualization in the firmware",
				strerror(err));
			return -EOPNOTSUPP;
		case EACCES:
		case EPERM:
			log_err("may not open /dev/kvm: run as root or as a member of its group");
			return -err;
		}
		log_err("cannot open /dev/kvm: %s", strerror(err));
		return -err;
	}
	version = ioctl(vm->kvm, KVM_GET_API_VERSION, 0);
	if (version < 0)
		return kvm_refused("KVM_GET_API_VERSION (is /dev/kvm really KVM?)");
	if (version != KVM_API_VERSION) {
		log_err("KVM speaks API version %d, not %d", version, KVM_API_VERSION);
		return -EOPNOTSUPP;
	}
	if (ioctl(vm->kvm, KVM_CHECK_EXTENSION, KVM_CAP_IMMEDIATE_EXIT) <= 0) {
		log_err("this kernel's KVM is too old: KVM_CAP_IMMEDIATE_EXIT is missing");
		return -EOPNOTSUPP;
	}
	return 0;
}

static int check_vcpus(struct vm *vm)
{
	int max = ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);

	if (max > 0 && vm->opt->vcpus > (unsigned int)max) {
		log_err("%u vCPUs wanted, this kernel's KVM takes at most %d in one VM",
			vm->opt->vcpus, max);
		return -EOPNOTSUPP;
	}
	return 0;
}

static int add_memory(struct vm *vm, unsigned int slot, uint64_t gpa, size_t size, void **mem)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
	};

	/* Populated, so that no batch pays for the host's first page faults. */
	*mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		    -1, 0);
	if (*mem == MAP_FAILED) {
		int err = errno;

		*mem = NULL;
		log_err("cannot get %zu MiB for the guest: %s", (size + (1 << 20) - 1) >> 20,
			strerror(err));
		return -err;
	}
	region.userspace_addr = (uintptr_t)*mem;
	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return kvm_refused("guest memory (KVM_SET_USER_MEMORY_REGION)");
	return 0;
}

/* mmap() overcommits: too much would end in the OOM killer, not in an error. */
static int check_memory(uint64_t bytes)
{
	char line[128];
	unsigned long long kib = 0;
	FILE *f = fopen("/proc/meminfo", "re");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	fclose(f);
	if (kib && bytes > kib << 10) {
		log_err("--dirty needs %llu MiB for all vCPUs, %llu MiB are available",
			(unsigned long long)bytes >> 20, kib >> 10);
		return -ENOMEM;
	}
	return 0;
}

static int create_memory(struct vm *vm)
{
	int err;

	vm->ctl_size = guest_ctl_size(vm->opt->vcpus, vm->dirty);
	err = add_memory(vm, SLOT_CTL, 0, vm->ctl_size, &vm->ctl_mem);
	if (err)
		return err;
	guest_load(vm->ctl_mem, vm->dirty);
	if (!vm->dirty)
		return 0;
	err = check_memory(vm->dirty);
	if (err)
		return err;
	return add_memory(vm, SLOT_DIRTY, GUEST_DIRTY_GPA, vm->dirty, &vm->dirty_mem);
}

int bench_create(struct vm *vm, const struct bench_options *opt)
{
	uint64_t identity = IDENTITY_MAP_ADDR;
	int err;

	memset(vm, 0, sizeof(*vm));
	vm->opt = opt;
	vm->kvm = -1;
	vm->fd = -1;
	vm->done = -1;
	vm->dirty = opt->dirty * opt->vcpus;

	err = open_kvm(vm);
	if (err)
		return err;
	vm->fd = ioctl(vm->kvm, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		return kvm_refused("to create a VM (KVM_CREATE_VM)");
	err = check_vcpus(vm);
	if (err)
		return err;
	/* Needed where the CPU cannot run a guest's real mode itself, before any vCPU. */
	if (ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_SET_IDENTITY_MAP_ADDR) > 0 &&
	    ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
		return kvm_refused("KVM_SET_IDENTITY_MAP_ADDR");
	if (ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_SET_TSS_ADDR) > 0 &&
	    ioctl(vm->fd, KVM_SET_TSS_ADDR, TSS_ADDR) < 0)
		return kvm_refused("KVM_SET_TSS_ADDR");
	return create_memory(vm);
}

/* The CPUID leaves KVM offers; free() it. NULL: errno is set. */
static struct kvm_cpuid2 *supported_cpuid(int kvm)
{
	for (unsigned int n = 128; n <= 4096; n *= 2) {
		struct kvm_cpuid2 *cpuid;

		cpuid = calloc(1, sizeof(*cpuid) + n * sizeof(cpuid->entries[0]));
		if (!cpuid)
			return NULL;
		cpuid->nent = n;
		if (!ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid))
			return cpuid;
		free(cpuid);
		if (errno != E2BIG)
			return NULL;
	}
	return NULL;
}

/*
 * MTRRs are off after reset, which means uncached; KVM on Intel honours that
 * in a non-coherent VM (before 6.11), and then no line would ever be dirty.
 */
static void enable_mtrrs(const struct vcpu *vcpu)
{
	struct kvm_msrs *msrs = calloc(1, sizeof(*msrs) + sizeof(msrs->entries[0]));

	if (!msrs)
		return;
	msrs->nmsrs = 1;
	msrs->entries[0].index = MSR_MTRR_DEF_TYPE;
	msrs->entries[0].data = MTRR_ENABLED_WB;
	if (ioctl(vcpu->fd, KVM_SET_MSRS, msrs) != 1)
		log_debug("vCPU %u: KVM takes no MTRR default type", vcpu->id);
	free(msrs);
}

static int set_state(struct vm *vm, struct vcpu *vcpu, struct kvm_cpuid2 *cpuid)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid) < 0)
		return kvm_refused("its own CPUID leaves (KVM_SET_CPUID2)");
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return kvm_refused("KVM_GET_SREGS");
	guest_set_sregs(&sregs);
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0)
		return kvm_refused("long mode (KVM_SET_SREGS)");
	guest_set_regs(&regs, vm->opt->insn, vcpu->id, vm->dirty);
	if (ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
		return kvm_refused("KVM_SET_REGS");
	enable_mtrrs(vcpu);
	return 0;
}

static int create_vcpu(struct vm *vm, struct vcpu *vcpu, struct kvm_cpuid2 *cpuid)
{
	int size;

	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)vcpu->id);
	if (vcpu->fd < 0)
		return kvm_refused("a vCPU (KVM_CREATE_VCPU)");
	size = ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(*vcpu->run))
		return kvm_refused("KVM_GET_VCPU_MMAP_SIZE");
	vcpu->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		vcpu->run = NULL;
		return kvm_refused("to share a vCPU's run area");
	}
	vcpu->run_size = size;
	vcpu->ctl = guest_ctl(vm->ctl_mem, vcpu->id, vm->dirty);
	return set_state(vm, vcpu, cpuid);
}

/* Each vCPU is a file. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int bench_create_vcpus(struct vm *vm)
{
	const struct bench_options *opt = vm->opt;
	struct kvm_cpuid2 *cpuid;
	int err = 0;

	raise_file_limit();
	vm->vcpus = calloc(opt->vcpus, sizeof(*vm->vcpus));
	cpuid = supported_cpuid(vm->kvm);
	if (!vm->vcpus || !cpuid) {
		err = kvm_refused("to list its CPUID leaves (KVM_GET_SUPPORTED_CPUID)");
		goto out;
	}
	for (unsigned int i = 0; i < opt->vcpus; i++)
		vm->vcpus[i].fd = -1;
	for (unsigned int i = 0; i < opt->vcpus && !err; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		vcpu->id = i;
		vcpu->vm = vm;
		vcpu->cpu = opt->n_pin ? opt->pin[i % opt->n_pin] : BENCH_NO_CPU;
		err = create_vcpu(vm, vcpu, cpuid);
	}
out:
	free(cpuid);
	return err;
}

void bench_destroy(struct vm *vm)
{
	for (unsigned int i = 0; vm->vcpus && i < vm->opt->vcpus; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		if (vcpu->run)
			munmap(vcpu->run, vcpu->run_size);
		if (vcpu->fd >= 0)
			close(vcpu->fd);
		free(vcpu->why);
	}
	free(vm->vcpus);
	vm->vcpus = NULL;
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->kvm >= 0)
		close(vm->kvm);
	if (vm->dirty_mem)
		munmap(vm->dirty_mem, vm->dirty);
	if (vm->ctl_mem)
		munmap(vm->ctl_mem, vm->ctl_size);
	vm->fd = -1;
	vm->kvm = -1;
	vm->dirty_mem = NULL;
	vm->ctl_mem = NULL;
}

// SPDX-License-Identifier: GPL-2.0
/* Steps of ncdma: a VM with one vCPU, its policy, and KVM's VFIO device */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "ncdma.h"

#define TRACE "/sys/kernel/tracing/"
#define PAGE  4096UL

static char text[160];

/* ---- the VM ------------------------------------------------------------------------------------ */

/*
 * One round for each KVM_RUN, so that nothing but KVM_RUN loads the vCPU on a CPU
 * once it exists: that alone would make KVM flush there.
 */
static const uint8_t code[] = {
	0x8a, 0x0e, 0x00, 0x08, /* loop:  mov  cl, [COUNT_ADDR] */
	0x84, 0xc9,		/*		   test cl, cl */
	0x74, 0x06,		/*		   jz   done */
	0x0f, 0x09,		/*	   again:  wbinvd */
	0xfe, 0xc9,		/*		   dec  cl */
	0x75, 0xfa,		/*		   jnz  again */
	0xf4,			/*	   done:   hlt */
	0xeb, 0xef,		/*		   jmp  loop */
};

#define CODE_ADDR  0x1000
#define COUNT_ADDR 0x800

static int vcpu = -1;
static uint8_t *memory;
static struct kvm_run *kvm_run;

static void go_to(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "CPU %u", cpu);
}

static void new_vcpu(int kvm, int vm)
{
	struct kvm_userspace_memory_region region = { .memory_size = 2 * PAGE };
	struct kvm_regs regs = { .rip = CODE_ADDR, .rflags = 2 };
	struct kvm_sregs sregs;

	memory = mmap(NULL, region.memory_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	memcpy(memory + CODE_ADDR, code, sizeof(code));
	region.userspace_addr = (uintptr_t)memory;
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
		err(1, "memory of the VM");
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0 || ioctl(vcpu, KVM_GET_SREGS, &sregs))
		err(1, "vCPU");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) || ioctl(vcpu, KVM_SET_REGS, &regs))
		err(1, "registers of the vCPU");
	kvm_run = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
		       MAP_SHARED, vcpu, 0);
	if (kvm_run == MAP_FAILED)
		err(1, "mmap of the vCPU");
}

struct new_vm {
	int kvm, fd;
	pthread_barrier_t made;
};

static void *create_vm(void *arg)
{
	struct new_vm *vm = arg;

	vm->fd = ioctl(vm->kvm, KVM_CREATE_VM, 0);
	pthread_barrier_wait(&vm->made);
	for (;;)
		pause();
	return NULL;
}

static int do_kvm(char **arg)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	struct new_vm new = { .fd = -1 };
	pthread_t thread;
	int kvm, vm;

	go_to(0);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	new.kvm = kvm;
	if (arg[0] && strcmp(arg[0], "thread"))
		errx(2, "kvm has no word %s", arg[0]);
	if (arg[0]) {
		pthread_barrier_init(&new.made, NULL, 2);
		if (pthread_create(&thread, NULL, create_vm, &new))
			errx(1, "no thread");
		pthread_barrier_wait(&new.made);
		vm = new.fd;
	} else {
		vm = kvm < 0 ? kvm : ioctl(kvm, KVM_CREATE_VM, 0);
	}
	if (vm < 0)
		return -errno;
	new_vcpu(kvm, vm);
	if (ioctl(vm, KVM_CREATE_DEVICE, &create))
		return -errno;
	name_it("system", kvm, 0);
	name_it("vm", vm, 0);
	name_it("kvm", create.fd, 0);
	return 0;
}

/* How often the kernel ran into its kprobe event */
static unsigned long hits(const char *event)
{
	unsigned long n, missed;
	char name[64];
	FILE *f = fopen(TRACE "kprobe_profile", "re");

	if (!f)
		err(1, TRACE "kprobe_profile");
	while (fscanf(f, "%63s %lu %lu", name, &n, &missed) == 3) {
		if (strcmp(name, event))
			continue;
		fclose(f);
		return n + missed;
	}
	errx(1, "the kernel does not count %s", event);
}

static int run_on(unsigned int cpu, uint64_t count)
{
	if (vcpu < 0)
		errx(2, "there is no vCPU to run");
	if (count > UINT8_MAX)
		errx(2, "%" PRIu64 " WBINVDs are more than %u", count, UINT8_MAX);
	go_to(cpu);
	memory[COUNT_ADDR] = count;
	if (ioctl(vcpu, KVM_RUN, 0))
		return -errno;
	if (kvm_run->exit_reason != KVM_EXIT_HLT)
		errx(1, "the guest ended with exit reason %u", kvm_run->exit_reason);
	return 0;
}

static int do_wbinvd(char **arg)
{
	unsigned long before = hits("test_callback");
	int rc;

	rc = run_on(number(arg[0]), number(arg[1]));
	snprintf(text, sizeof(text), "%lu", hits("test_callback") - before);
	answer = text;
	return rc;
}

/* What a CPU has in the trace instance */
static unsigned long traced(unsigned int cpu)
{
	unsigned long entries, overrun;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), TRACE "instances/flushes/per_cpu/cpu%u/stats", cpu);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "entries: %lu overrun: %lu", &entries, &overrun) != 2)
		errx(1, "%s is not as expected", path);
	fclose(f);
	return entries + overrun;
}

static int do_flushed(char **arg)
{
	unsigned int cpus = get_nprocs_conf();
	unsigned long before[cpus], n;
	size_t len = 0;
	int rc;

	for (unsigned int cpu = 0; cpu < cpus; cpu++)
		before[cpu] = traced(cpu);
	rc = run_on(number(arg[0]), number(arg[1]));
	for (unsigned int cpu = 0; cpu < cpus; cpu++) {
		n = traced(cpu) - before[cpu];
		if (n && len < sizeof(text))
			len += snprintf(text + len, sizeof(text) - len, n > 1 ? "%s%u*%lu" : "%s%u",
					len ? " " : "", cpu, n);
	}
	answer = len ? text : "none";
	return rc;
}

static int do_run(char **arg)
{
	unsigned long exits = hits("test_exit"), flushes = hits("test_callback");
	uint64_t n = arg[0] ? number(arg[0]) : 3;
	int rc;

	rc = run_on(0, n);
	exits = hits("test_exit") - exits;
	flushes = hits("test_callback") - flushes;
	snprintf(text, sizeof(text), "%lu of %lu exits flushed for %" PRIu64 " WBINVDs", flushes,
		 exits, n);
	answer = exits == n && flushes == n ? "flushed" : exits == n && !flushes ? "skipped" : text;
	return rc;
}

static uint64_t stat(int fd, const char *wanted)
{
	struct kvm_stats_header header;
	struct kvm_stats_desc *d;
	uint64_t value;
	size_t size;

	if (pread(fd, &header, sizeof(header), 0) != sizeof(header))
		err(1, "header of the statistics");
	size = sizeof(*d) + header.name_size;
	d = malloc(size);
	if (!d)
		err(1, "statistics");
	for (uint32_t i = 0; i < header.num_desc; i++) {
		if (pread(fd, d, size, header.desc_offset + i * size) != (ssize_t)size)
			err(1, "descriptor of the statistics");
		if (strcmp(d->name, wanted))
			continue;
		if (pread(fd, &value, sizeof(value), header.data_offset + d->offset) !=
		    sizeof(value))
			err(1, "%s", wanted);
		free(d);
		return value;
	}
	errx(1, "KVM has no %s", wanted);
}

static int do_stats(char **arg)
{
	static const char *const names[] = { "wbinvd_exits", "wbinvd_flushes", "wbinvd_skipped",
					     "wbinvd_migration_flushes" };
	uint64_t v[4];
	int fd = ioctl(vcpu, KVM_GET_STATS_FD, NULL);

	(void)arg;
	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < 4; i++)
		v[i] = stat(fd, names[i]);
	close(fd);
	snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, v[0], v[1],
		 v[2], v[3]);
	answer = text;
	return 0;
}

static int do_cap(char **arg)
{
	int of_kvm = ioctl(get("system")->fd, KVM_CHECK_EXTENSION, WB_KVM_CAP_X86_NONCOHERENT_DMA);
	int of_vm = ioctl(get("vm")->fd, KVM_CHECK_EXTENSION, WB_KVM_CAP_X86_NONCOHERENT_DMA);

	(void)arg;
	snprintf(text, sizeof(text), "%d %d", of_kvm, of_vm);
	answer = text;
	return 0;
}

static int do_policy(char **arg)
{
	struct kvm_enable_cap cap = { .cap = WB_KVM_CAP_X86_NONCOHERENT_DMA,
				      .args = { number(arg[0]) } };

	if (arg[1]) {
		cap.flags = number(arg[1]);
		for (int i = 1; i < 4 && arg[i + 1]; i++)
			cap.args[i] = number(arg[i + 1]);
	}
	return result(ioctl(get("vm")->fd, KVM_ENABLE_CAP, &cap));
}

static int attr(unsigned long op, uint32_t group, uint64_t what, uintptr_t addr)
{
	struct kvm_device_attr a = { .group = group, .attr = what, .addr = addr };

	return result(ioctl(get("kvm")->fd, op, &a));
}

static int set_file(uint32_t group, uint64_t what, const char *name)
{
	int32_t fd = -1;

	if (!strcmp(name, "nowhere"))
		return attr(KVM_SET_DEVICE_ATTR, group, what, 1);
	if (strcmp(name, "none"))
		fd = get(name)->fd;
	return attr(KVM_SET_DEVICE_ATTR, group, what, (uintptr_t)&fd);
}

static int do_add(char **arg)
{
	return set_file(WB_KVM_DEV_VFIO_FILE, WB_KVM_DEV_VFIO_FILE_ADD, arg[0]);
}

static int do_del(char **arg)
{
	return set_file(WB_KVM_DEV_VFIO_FILE, WB_KVM_DEV_VFIO_FILE_DEL, arg[0]);
}

static int do_iommufd_add(char **arg)
{
	return set_file(WB_KVM_DEV_VFIO_IOMMUFD, WB_KVM_DEV_VFIO_IOMMUFD_ADD, arg[0]);
}

static int do_iommufd_del(char **arg)
{
	return set_file(WB_KVM_DEV_VFIO_IOMMUFD, WB_KVM_DEV_VFIO_IOMMUFD_DEL, arg[0]);
}

static int do_state(char **arg)
{
	struct wb_kvm_vfio_coherency state = { .pad = ~0 };
	int rc;

	rc = attr(KVM_GET_DEVICE_ATTR, WB_KVM_DEV_VFIO_COHERENCY, WB_KVM_DEV_VFIO_COHERENCY_STATE,
		  arg[0] ? 1 : (uintptr_t)&state);
	if (rc)
		return rc;
	snprintf(text, sizeof(text), "%u %u 0x%x%s", state.nr_files, state.nr_noncoherent,
		 state.flags, state.pad ? " and a pad that is not 0" : "");
	answer = text;
	return 0;
}

static int by_numbers(unsigned long op, char **arg)
{
	static char buffer[64];

	return attr(op, number(arg[0]), number(arg[1]), (uintptr_t)buffer);
}

static int do_attr_has(char **arg)
{
	return by_numbers(KVM_HAS_DEVICE_ATTR, arg);
}

static int do_attr_get(char **arg)
{
	return by_numbers(KVM_GET_DEVICE_ATTR, arg);
}

static int do_attr_set(char **arg)
{
	return by_numbers(KVM_SET_DEVICE_ATTR, arg);
}

/* ---- steps ------------------------------------------------------------------------------------- */

const struct step kvm_steps[] = {
	{ "kvm", 0, 1, do_kvm },
	{ "run", 0, 1, do_run },
	{ "wbinvd", 2, 2, do_wbinvd },
	{ "flushed", 2, 2, do_flushed },
	{ "stats", 0, 0, do_stats },
	{ "cap", 0, 0, do_cap },
	{ "policy", 1, 5, do_policy },
	{ "add", 1, 1, do_add },
	{ "del", 1, 1, do_del },
	{ "iommufd-add", 1, 1, do_iommufd_add },
	{ "iommufd-del", 1, 1, do_iommufd_del },
	{ "state", 0, 1, do_state },
	{ "attr-has", 2, 2, do_attr_has },
	{ "attr-get", 2, 2, do_attr_get },
	{ "attr-set", 2, 2, do_attr_set },
	{ 0 },
};

// SPDX-License-Identifier: GPL-2.0
/*
 * kvm_uapi STEP...
 *
 * Goes through the steps, each one argument of words, and prints for each
 * "STEP: RESULT", where RESULT is 0, the name of the error ("EINVAL") or what the
 * step has to say. Steps name what they make, and the names of others.
 *
 *   iommu                   open /dev/iommu, named so
 *   cdev NAME DEVICE        open the VFIO device of a PCI function or of a UUID
 *   kvm                     create a VM, "vm", with one vCPU, on CPU 0, and its VFIO
 *                           device, "kvm"
 *   null                    open /dev/null, named so
 *   close NAME              a file; ids stay what they are
 *
 *   bind NAME               a device to the iommufd
 *   ioas NAME
 *   attach NAME PT, detach NAME
 *
 *   run CPU N               the vCPU runs on that CPU and executes N (0 to 255) WBINVDs.
 *                           Tells on how many CPUs the kernel flushed, in all, as the
 *                           kprobe event "test_callback" counted
 *   stats                   wbinvd_exits, _flushes, _skipped, _migration_flushes
 *   cap                     KVM_CHECK_EXTENSION of the policy, of KVM and of the VM
 *   policy ARG [FLAGS [ARG1 [ARG2 [ARG3]]]]   KVM_ENABLE_CAP of it
 *   add FILE, del FILE      KVM_DEV_VFIO_FILE_ADD and _DEL
 *   iommufd-add FILE, iommufd-del FILE   KVM_DEV_VFIO_IOMMUFD_ADD and _DEL
 *                           FILE may be "none", not open, and "nowhere", a bad address
 *   state [nowhere]         KVM_DEV_VFIO_COHERENCY_STATE: files, of them non-coherent,
 *                           flags
 *   has GROUP ATTR, get GROUP ATTR, set GROUP ATTR   of the VFIO device, by numbers
 *
 * Exit status: 0 when all steps were tried, 1 when this program cannot, 2 when
 * there is no such step.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define MAX_OBJECTS 32
#include "steps.h"
#include "uapi-coherency.h"

#define PROFILE "/sys/kernel/tracing/kprobe_profile"

/* Of the kernel series: KVM_CAP_X86_NONCOHERENT_DMA, KVM_DEV_VFIO_* and a struct */
#define WB_KVM_CAP_X86_NONCOHERENT_DMA	0x4e43
#define WB_KVM_DEV_VFIO_IOMMUFD		2
#define WB_KVM_DEV_VFIO_IOMMUFD_ADD	1
#define WB_KVM_DEV_VFIO_IOMMUFD_DEL	2
#define WB_KVM_DEV_VFIO_COHERENCY	3
#define WB_KVM_DEV_VFIO_COHERENCY_STATE 0

struct wb_kvm_vfio_coherency {
	__u32 nr_files;
	__u32 nr_noncoherent;
	__u32 flags;
	__u32 pad;
};

#define MAX_WORDS 8
#define PAGE	  4096UL

static char text[160];

/* ---- devices ------------------------------------------------------------------------------------ */

static int do_iommu(char **arg)
{
	(void)arg;
	return open_file("iommu", "/dev/iommu");
}

static int do_null(char **arg)
{
	(void)arg;
	return open_file("null", "/dev/null");
}

static int do_cdev(char **arg)
{
	static const char *const buses[] = { "pci", "mdev" };
	int rc = -ENODEV;

	for (size_t i = 0; i < 2 && rc == -ENODEV; i++) {
		char path[128];
		glob_t g;

		snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s/vfio-dev/vfio*", buses[i],
			 arg[1]);
		if (glob(path, 0, NULL, &g))
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%s",
			 strrchr(g.gl_pathv[0], '/') + 1);
		globfree(&g);
		rc = open_file(arg[0], path);
	}
	return rc;
}

static int do_close(char **arg)
{
	return result(close(get(arg[0])->fd));
}

static int do_bind(char **arg)
{
	struct object *o = get(arg[0]);
	struct wb_vfio_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = get("iommu")->fd };

	if (ioctl(o->fd, WB_VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return -errno;
	o->id = bind.out_devid;
	return 0;
}

static int do_ioas(char **arg)
{
	struct wb_iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	if (ioctl(get("iommu")->fd, WB_IOMMU_IOAS_ALLOC, &alloc))
		return -errno;
	name_it(arg[0], -1, alloc.out_ioas_id);
	return 0;
}

static int do_attach(char **arg)
{
	struct wb_vfio_attach_iommufd_pt attach = { .argsz = sizeof(attach),
						    .pt_id = get(arg[1])->id };

	return result(ioctl(get(arg[0])->fd, WB_VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
}

static int do_detach(char **arg)
{
	struct wb_vfio_detach_iommufd_pt detach = { .argsz = sizeof(detach) };

	return result(ioctl(get(arg[0])->fd, WB_VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
}

/* ---- the VM ------------------------------------------------------------------------------------- */

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

static int do_kvm(char **arg)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	int kvm, vm;

	(void)arg;
	go_to(0);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	vm = kvm < 0 ? kvm : ioctl(kvm, KVM_CREATE_VM, 0);
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
	FILE *f = fopen(PROFILE, "re");

	if (!f)
		err(1, PROFILE);
	while (fscanf(f, "%63s %lu %lu", name, &n, &missed) == 3) {
		if (strcmp(name, event))
			continue;
		fclose(f);
		return n + missed;
	}
	errx(1, "the kernel does not count %s", event);
}

static int do_run(char **arg)
{
	unsigned long before;

	if (vcpu < 0)
		errx(2, "run comes after kvm");
	go_to(number(arg[0]));
	memory[COUNT_ADDR] = number(arg[1]);
	before = hits("test_callback");
	if (ioctl(vcpu, KVM_RUN, 0))
		return -errno;
	if (kvm_run->exit_reason != KVM_EXIT_HLT)
		errx(1, "the guest ended with exit reason %u", kvm_run->exit_reason);
	snprintf(text, sizeof(text), "%lu", hits("test_callback") - before);
	answer = text;
	return 0;
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

static int do_attr(unsigned long op, char **arg)
{
	static char buffer[64];

	return attr(op, number(arg[0]), number(arg[1]), (uintptr_t)buffer);
}

static int do_has(char **arg)
{
	return do_attr(KVM_HAS_DEVICE_ATTR, arg);
}

static int do_get(char **arg)
{
	return do_attr(KVM_GET_DEVICE_ATTR, arg);
}

static int do_set(char **arg)
{
	return do_attr(KVM_SET_DEVICE_ATTR, arg);
}

/* ---- steps -------------------------------------------------------------------------------------- */

static const struct step {
	const char *name;
	int (*run)(char **arg);
	int args; /* at least */
} steps[] = {
	{ "iommu", do_iommu, 0 },
	{ "null", do_null, 0 },
	{ "cdev", do_cdev, 2 },
	{ "close", do_close, 1 },
	{ "bind", do_bind, 1 },
	{ "ioas", do_ioas, 1 },
	{ "attach", do_attach, 2 },
	{ "detach", do_detach, 1 },
	{ "kvm", do_kvm, 0 },
	{ "run", do_run, 2 },
	{ "stats", do_stats, 0 },
	{ "cap", do_cap, 0 },
	{ "policy", do_policy, 1 },
	{ "add", do_add, 1 },
	{ "del", do_del, 1 },
	{ "iommufd-add", do_iommufd_add, 1 },
	{ "iommufd-del", do_iommufd_del, 1 },
	{ "state", do_state, 0 },
	{ "has", do_has, 2 },
	{ "get", do_get, 2 },
	{ "set", do_set, 2 },
};

static int run_step(char *line)
{
	char *words[MAX_WORDS + 1] = { NULL };
	size_t n = 0;

	for (char *w = strtok(line, " "); w && n < MAX_WORDS; w = strtok(NULL, " "))
		words[n++] = w;
	for (size_t i = 0; n && i < sizeof(steps) / sizeof(steps[0]); i++)
		if (!strcmp(steps[i].name, words[0]) && n > (size_t)steps[i].args)
			return steps[i].run(words + 1);
	errx(2, "no such step: %s", n ? words[0] : "");
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int rc;

		printf("%s: ", argv[i]);
		fflush(stdout);
		answer = NULL;
		rc = run_step(argv[i]);
		if (rc)
			puts(strerrorname_np(-rc));
		else
			puts(answer ? answer : "0");
		fflush(stdout);
	}
	return 0;
}

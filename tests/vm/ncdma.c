// SPDX-License-Identifier: GPL-2.0
/*
 * ncdma STEP...
 *
 * Goes through the steps, each one argument of words, and prints for each
 * "STEP: RESULT", where RESULT is 0, the name of the error ("EINVAL") or what the
 * step has to say. Steps name what they make, and the names of others.
 *
 *   iommu                   open /dev/iommu, named so
 *   container NAME          open /dev/vfio/vfio
 *   cdev NAME DEVICE        open the VFIO device of a PCI function or of a UUID
 *   group NAME DEVICE       open its group
 *   device NAME GROUP DEVICE   the device through its group
 *   kvm                     create a VM with one vCPU and its VFIO device, "kvm"
 *   close NAME              a file; ids stay what they are
 *
 *   add FILE, del FILE      KVM_DEV_VFIO_FILE_ADD and _DEL
 *   run [N]                 the guest executes N WBINVDs (default: 3). "flushed" or
 *                           "skipped", as the kernel's kprobe events "test_exit" and
 *                           "test_callback" counted, else the numbers
 *
 *   bind NAME               a device to the iommufd
 *   attach NAME PT          to an IOAS or HWPT; names what it is attached to NAME.pt
 *   detach NAME
 *   hw-info NAME            "enforces" or "cannot", of its IOMMU
 *   no-snoop NAME           "may" or "never", as VFIO tells; "unknown" if it does not
 *   join GROUP CONTAINER, leave GROUP, set-iommu CONTAINER
 *                           "iommu" is a container, too
 *   cc CONTAINER            VFIO_DMA_CC_IOMMU
 *   compat-set IOAS         IOMMU_VFIO_IOAS
 *   compat-get NAME
 *
 *   ioas NAME [WORD...], hwpt NAME DEVICE PT [WORD...], get PT [WORD...],
 *   set PT VALUE [WORD...]  the coherency, "automatic", "enforced", "noncoherent"
 *   destroy NAME            the object of that id
 *   map PT IOVA, unmap PT IOVA   one page, in an IOAS or a container
 *   snp DEVICE IOVA         "snp", "no snp" or "not mapped", from the IOMMU's tables
 *
 *   unprivileged, privileged   drop and regain CAP_SYS_RAWIO
 *
 * WORD: enforce, noncoherent, nest-parent, flags=N (added to those); and to do it
 * wrong: size=N, tail (a byte behind the struct that is not 0), reserved, id=N,
 * op=N, value=N, data (of a nested HWPT).
 *
 * Exit status: 0 when all steps were tried, 1 when this program cannot, 2 when
 * there is no such step.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define MAX_OBJECTS 64
#include "steps.h"
#include "uapi-coherency.h"

#define TRACE  "/sys/kernel/tracing/"
#define TABLES "/sys/kernel/debug/iommu/intel/%s/domain_translation_struct"

#define MAX_WORDS 12
#define PAGE	  4096UL
#define PTE_SNP	  (1ULL << 11)
#define ABSENT_ID 0xabcdef

static int iommu(void)
{
	return get("iommu")->fd;
}

/* ---- deliberate mistakes ------------------------------------------------------------------------ */

static struct {
	uint32_t flags;
	uint64_t size;
	bool tail, reserved, data;
	const char *id, *op, *value;
} how;

static bool has_prefix(const char *s, const char *prefix, const char **rest)
{
	*rest = s + strlen(prefix);
	return !strncmp(s, prefix, strlen(prefix));
}

static void parse_words(char **words, uint32_t enforce, uint32_t noncoherent)
{
	const char *rest;

	memset(&how, 0, sizeof(how));
	for (; *words; words++) {
		if (!strcmp(*words, "enforce"))
			how.flags |= enforce;
		else if (!strcmp(*words, "noncoherent"))
			how.flags |= noncoherent;
		else if (!strcmp(*words, "nest-parent"))
			how.flags |= WB_IOMMU_HWPT_ALLOC_NEST_PARENT;
		else if (!strcmp(*words, "tail"))
			how.tail = true;
		else if (!strcmp(*words, "reserved"))
			how.reserved = true;
		else if (!strcmp(*words, "data"))
			how.data = true;
		else if (has_prefix(*words, "flags=", &rest))
			how.flags |= number(rest);
		else if (has_prefix(*words, "size=", &rest))
			how.size = number(rest);
		else if (has_prefix(*words, "id=", &rest))
			how.id = rest;
		else if (has_prefix(*words, "op=", &rest))
			how.op = rest;
		else if (has_prefix(*words, "value=", &rest))
			how.value = rest;
		else
			errx(2, "there is no word %s", *words);
	}
}

/* Of the struct in the first bytes of cmd, which starts with its size */
static int command(unsigned long nr, void *cmd, size_t size)
{
	union {
		uint32_t size;
		uint8_t bytes[256];
	} buf = { 0 };
	int rc;

	memcpy(&buf, cmd, size);
	buf.size = how.size ? how.size : size + (how.tail ? 8 : 0);
	buf.bytes[size] = how.tail;
	if (buf.size > sizeof(buf))
		errx(2, "a size of %u is too much for this program", buf.size);
	rc = result(ioctl(iommu(), nr, &buf));
	memcpy(cmd, &buf, size);
	return rc;
}

/* ---- files -------------------------------------------------------------------------------------- */

static int do_iommu(char **arg)
{
	(void)arg;
	return open_file("iommu", "/dev/iommu");
}

static int do_container(char **arg)
{
	return open_file(arg[0], "/dev/vfio/vfio");
}

/* In sysfs, of a PCI function or a mediated device */
static void sysfs(char *path, const char *device, const char *what)
{
	snprintf(path, PATH_MAX, "/sys/bus/%s/devices/%s/%s", strlen(device) == 36 ? "mdev" : "pci",
		 device, what);
}

static int do_cdev(char **arg)
{
	char path[PATH_MAX];
	glob_t found;

	sysfs(path, arg[1], "vfio-dev/vfio*");
	if (glob(path, 0, NULL, &found))
		errx(1, "%s is not on VFIO", arg[1]);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	return open_file(arg[0], path);
}

static int do_group(char **arg)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t len;

	sysfs(path, arg[1], "iommu_group");
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		err(1, "%s", path);
	target[len] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(target, '/') + 1);
	return open_file(arg[0], path);
}

static int do_device(char **arg)
{
	int fd = ioctl(get(arg[1])->fd, VFIO_GROUP_GET_DEVICE_FD, arg[2]);

	if (fd < 0)
		return -errno;
	name_it(arg[0], fd, 0);
	return 0;
}

static int do_close(char **arg)
{
	return result(close(get(arg[0])->fd));
}

/* ---- KVM ---------------------------------------------------------------------------------------- */

/* 1: wbinvd; dec ecx; jnz 1b; hlt */
static const uint8_t code[] = { 0x0f, 0x09, 0x66, 0x49, 0x75, 0xfa, 0xf4 };

#define CODE_ADDR 0x1000

static int vcpu = -1;
static struct kvm_run *kvm_run;

static void new_vcpu(int kvm, int vm)
{
	struct kvm_userspace_memory_region region = { .memory_size = 2 * PAGE };
	struct kvm_sregs sregs;
	uint8_t *mem;

	mem = mmap(NULL, region.memory_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		   0);
	if (mem == MAP_FAILED)
		err(1, "mmap");
	memcpy(mem + CODE_ADDR, code, sizeof(code));
	region.userspace_addr = (uintptr_t)mem;
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
		err(1, "memory of the VM");
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0 || ioctl(vcpu, KVM_GET_SREGS, &sregs))
		err(1, "vCPU");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs))
		err(1, "registers of the vCPU");
	kvm_run = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
		       MAP_SHARED, vcpu, 0);
	if (kvm_run == MAP_FAILED)
		err(1, "mmap of the vCPU");
}

/* On one CPU, so that each WBINVD that is not skipped is flushed once */
static int do_kvm(char **arg)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	int kvm, vm;
	cpu_set_t set;

	(void)arg;
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "CPU 0");
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	vm = kvm < 0 ? kvm : ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return -errno;
	new_vcpu(kvm, vm);
	close(kvm);
	if (ioctl(vm, KVM_CREATE_DEVICE, &create))
		return -errno;
	name_it("kvm", create.fd, 0);
	return 0;
}

static int set_file(const char *name, uint64_t what)
{
	int32_t fd = get(name)->fd;
	struct kvm_device_attr attr = { .group = WB_KVM_DEV_VFIO_FILE,
					.attr = what,
					.addr = (uintptr_t)&fd };

	return result(ioctl(get("kvm")->fd, KVM_SET_DEVICE_ATTR, &attr));
}

static int do_add(char **arg)
{
	return set_file(arg[0], WB_KVM_DEV_VFIO_FILE_ADD);
}

static int do_del(char **arg)
{
	return set_file(arg[0], WB_KVM_DEV_VFIO_FILE_DEL);
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

static int do_run(char **arg)
{
	uint32_t n = arg[0] ? number(arg[0]) : 3;
	struct kvm_regs regs = { .rip = CODE_ADDR, .rcx = n, .rflags = 2 };
	unsigned long exits = hits("test_exit"), flushes = hits("test_callback");
	static char text[80];

	if (vcpu < 0)
		errx(2, "run comes after kvm");
	if (ioctl(vcpu, KVM_SET_REGS, &regs) || ioctl(vcpu, KVM_RUN, 0))
		return -errno;
	if (kvm_run->exit_reason != KVM_EXIT_HLT)
		errx(1, "the guest ended with exit reason %u", kvm_run->exit_reason);
	exits = hits("test_exit") - exits;
	flushes = hits("test_callback") - flushes;
	snprintf(text, sizeof(text), "%lu of %lu exits flushed for %u WBINVDs", flushes, exits, n);
	answer = exits == n && flushes == n ? "flushed" : exits == n && !flushes ? "skipped" : text;
	return 0;
}

/* ---- devices ------------------------------------------------------------------------------------ */

static int do_bind(char **arg)
{
	struct wb_vfio_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommu() };
	struct object *o = get(arg[0]);

	if (ioctl(o->fd, WB_VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return -errno;
	o->id = bind.out_devid;
	return 0;
}

static int do_attach(char **arg)
{
	struct wb_vfio_attach_iommufd_pt attach = { .argsz = sizeof(attach),
						    .pt_id = get(arg[1])->id };
	char name[16];

	if (ioctl(get(arg[0])->fd, WB_VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		return -errno;
	snprintf(name, sizeof(name), "%.12s.pt", arg[0]);
	name_it(name, -1, attach.pt_id);
	return 0;
}

static int do_detach(char **arg)
{
	struct wb_vfio_detach_iommufd_pt detach = { .argsz = sizeof(detach) };

	return result(ioctl(get(arg[0])->fd, WB_VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
}

static int do_hw_info(char **arg)
{
	struct wb_iommu_hw_info info = { .size = sizeof(info), .dev_id = get(arg[0])->id };

	if (ioctl(iommu(), WB_IOMMU_GET_HW_INFO, &info))
		return -errno;
	answer = info.out_capabilities & WB_IOMMU_HW_CAP_ENFORCE_DMA_COHERENCY ? "enforces" :
										 "cannot";
	return 0;
}

static int do_no_snoop(char **arg)
{
	union {
		struct vfio_device_info info;
		uint8_t bytes[1024];
	} u = { .info.argsz = sizeof(u) };
	uint32_t pos = 0;

	if (ioctl(get(arg[0])->fd, VFIO_DEVICE_GET_INFO, &u))
		return -errno;
	if (u.info.flags & VFIO_DEVICE_FLAGS_CAPS)
		pos = u.info.cap_offset;
	answer = "unknown";
	while (pos && pos + sizeof(struct vfio_info_cap_header) + 4 <= sizeof(u)) {
		struct vfio_info_cap_header *header = (void *)(u.bytes + pos);

		if (header->id == WB_VFIO_DEVICE_INFO_CAP_PCI_NO_SNOOP) {
			uint32_t flags = *(uint32_t *)(header + 1);

			answer = flags & WB_VFIO_PCI_NO_SNOOP_CAPABLE ? "may" : "never";
			break;
		}
		pos = header->next;
	}
	return 0;
}

static int do_join(char **arg)
{
	int fd = get(arg[1])->fd;

	return result(ioctl(get(arg[0])->fd, VFIO_GROUP_SET_CONTAINER, &fd));
}

static int do_leave(char **arg)
{
	return result(ioctl(get(arg[0])->fd, VFIO_GROUP_UNSET_CONTAINER));
}

static int do_set_iommu(char **arg)
{
	return result(ioctl(get(arg[0])->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
}

static int do_cc(char **arg)
{
	int rc = ioctl(get(arg[0])->fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU);

	if (rc < 0)
		return -errno;
	answer = rc ? "yes" : "no";
	return 0;
}

static int do_compat_set(char **arg)
{
	struct wb_iommu_vfio_ioas cmd = { .size = sizeof(cmd),
					  .ioas_id = get(arg[0])->id,
					  .op = WB_IOMMU_VFIO_IOAS_SET };

	return result(ioctl(iommu(), WB_IOMMU_VFIO_IOAS, &cmd));
}

static int do_compat_get(char **arg)
{
	struct wb_iommu_vfio_ioas cmd = { .size = sizeof(cmd), .op = WB_IOMMU_VFIO_IOAS_GET };

	if (ioctl(iommu(), WB_IOMMU_VFIO_IOAS, &cmd))
		return -errno;
	name_it(arg[0], -1, cmd.ioas_id);
	return 0;
}

/* ---- address spaces ----------------------------------------------------------------------------- */

static int do_ioas(char **arg)
{
	struct wb_iommu_ioas_alloc cmd = { 0 };
	int rc;

	parse_words(arg + 1, WB_IOMMU_IOAS_ALLOC_ENFORCE_COHERENCY,
		    WB_IOMMU_IOAS_ALLOC_NONCOHERENT);
	cmd.flags = how.flags;
	rc = command(WB_IOMMU_IOAS_ALLOC, &cmd, sizeof(cmd));
	if (!rc)
		name_it(arg[0], -1, cmd.out_ioas_id);
	return rc;
}

static int do_hwpt(char **arg)
{
	struct wb_iommu_hwpt_vtd_s1 s1 = { .addr_width = 48 };
	struct wb_iommu_hwpt_alloc cmd = { .dev_id = get(arg[1])->id, .pt_id = get(arg[2])->id };
	int rc;

	parse_words(arg + 3, WB_IOMMU_HWPT_ALLOC_ENFORCE_COHERENCY,
		    WB_IOMMU_HWPT_ALLOC_NONCOHERENT);
	cmd.flags = how.flags;
	cmd.__reserved = how.reserved;
	if (how.id)
		cmd.pt_id = number(how.id);
	if (how.data) {
		cmd.data_type = WB_IOMMU_HWPT_DATA_VTD_S1;
		cmd.data_len = sizeof(s1);
		cmd.data_uptr = (uintptr_t)&s1;
	}
	rc = command(WB_IOMMU_HWPT_ALLOC, &cmd, sizeof(cmd));
	if (!rc)
		name_it(arg[0], -1, cmd.out_hwpt_id);
	return rc;
}

static const char *const coherencies[] = {
	[WB_IOMMU_DMA_COHERENCY_AUTO] = "automatic",
	[WB_IOMMU_DMA_COHERENCY_ENFORCED] = "enforced",
	[WB_IOMMU_DMA_COHERENCY_NONCOHERENT] = "noncoherent",
};

#define NR_COHERENCIES (sizeof(coherencies) / sizeof(coherencies[0]))

static int option(struct wb_iommu_option *cmd, const char *name, char **words)
{
	cmd->option_id = WB_IOMMU_OPTION_DMA_COHERENCY;
	cmd->object_id = get(name)->id;
	parse_words(words, 0, 0);
	cmd->__reserved = how.reserved;
	if (how.id)
		cmd->object_id = number(how.id);
	if (how.op)
		cmd->op = number(how.op);
	if (how.value)
		cmd->val64 = number(how.value);
	return command(WB_IOMMU_OPTION, cmd, sizeof(*cmd));
}

static int do_get(char **arg)
{
	struct wb_iommu_option cmd = { .op = WB_IOMMU_OPTION_OP_GET, .val64 = UINT64_MAX };
	static char text[24];
	int rc;

	rc = option(&cmd, arg[0], arg + 1);
	if (rc)
		return rc;
	snprintf(text, sizeof(text), "%" PRIu64, (uint64_t)cmd.val64);
	answer = cmd.val64 < NR_COHERENCIES ? coherencies[cmd.val64] : text;
	return 0;
}

static int do_set(char **arg)
{
	struct wb_iommu_option cmd = { .op = WB_IOMMU_OPTION_OP_SET };

	while (cmd.val64 < NR_COHERENCIES && strcmp(coherencies[cmd.val64], arg[1]))
		cmd.val64++;
	if (cmd.val64 == NR_COHERENCIES)
		cmd.val64 = number(arg[1]);
	return option(&cmd, arg[0], arg + 2);
}

static int do_destroy(char **arg)
{
	struct wb_iommu_destroy cmd = { .size = sizeof(cmd), .id = get(arg[0])->id };

	return result(ioctl(iommu(), WB_IOMMU_DESTROY, &cmd));
}

static char page[PAGE] __attribute__((aligned(PAGE)));

static int do_map(char **arg)
{
	struct object *o = get(arg[0]);
	struct wb_iommu_ioas_map ioas = { .size = sizeof(ioas),
					  .flags = WB_IOMMU_IOAS_MAP_FIXED_IOVA |
						   WB_IOMMU_IOAS_MAP_WRITEABLE |
						   WB_IOMMU_IOAS_MAP_READABLE,
					  .ioas_id = o->id,
					  .user_va = (uintptr_t)page,
					  .length = PAGE,
					  .iova = number(arg[1]) };
	struct vfio_iommu_type1_dma_map type1 = { .argsz = sizeof(type1),
						  .flags = VFIO_DMA_MAP_FLAG_READ |
							   VFIO_DMA_MAP_FLAG_WRITE,
						  .vaddr = (uintptr_t)page,
						  .iova = number(arg[1]),
						  .size = PAGE };

	page[0] = 1;
	if (o->fd >= 0)
		return result(ioctl(o->fd, VFIO_IOMMU_MAP_DMA, &type1));
	return result(ioctl(iommu(), WB_IOMMU_IOAS_MAP, &ioas));
}

static int do_unmap(char **arg)
{
	struct object *o = get(arg[0]);
	struct wb_iommu_ioas_unmap ioas = {
		.size = sizeof(ioas), .ioas_id = o->id, .iova = number(arg[1]), .length = PAGE
	};
	struct vfio_iommu_type1_dma_unmap type1 = { .argsz = sizeof(type1),
						    .iova = number(arg[1]),
						    .size = PAGE };

	if (o->fd >= 0)
		return result(ioctl(o->fd, VFIO_IOMMU_UNMAP_DMA, &type1));
	return result(ioctl(iommu(), WB_IOMMU_IOAS_UNMAP, &ioas));
}

/* The last column is the entry that maps the page */
static int do_snp(char **arg)
{
	uint64_t pfn = number(arg[1]) / PAGE, pte;
	char path[PATH_MAX], line[256];
	FILE *f;

	snprintf(path, sizeof(path), TABLES, arg[0]);
	f = fopen(path, "re");
	if (!f)
		err(1, "%s", path);
	answer = "not mapped";
	while (fgets(line, sizeof(line), f)) {
		char *last = strrchr(line, '\t'), *end;

		if (!last || strtoull(line, &end, 16) != pfn || strncmp(end, " |", 2))
			continue;
		pte = strtoull(last, NULL, 16);
		answer = pte & PTE_SNP ? "snp" : "no snp";
	}
	fclose(f);
	return 0;
}

/* ---- privilege ---------------------------------------------------------------------------------- */

static int set_rawio(bool on)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	if (on)
		data[0].effective |= 1U << CAP_SYS_RAWIO;
	else
		data[0].effective &= ~(1U << CAP_SYS_RAWIO);
	return result(syscall(SYS_capset, &header, data));
}

static int do_unprivileged(char **arg)
{
	(void)arg;
	return set_rawio(false);
}

static int do_privileged(char **arg)
{
	(void)arg;
	return set_rawio(true);
}

/* ---- steps -------------------------------------------------------------------------------------- */

static const struct step {
	const char *name;
	int min, max; /* words that follow */
	int (*run)(char **arg);
} steps[] = {
	{ "iommu", 0, 0, do_iommu },
	{ "container", 1, 1, do_container },
	{ "cdev", 2, 2, do_cdev },
	{ "group", 2, 2, do_group },
	{ "device", 3, 3, do_device },
	{ "kvm", 0, 0, do_kvm },
	{ "close", 1, 1, do_close },
	{ "add", 1, 1, do_add },
	{ "del", 1, 1, do_del },
	{ "run", 0, 1, do_run },
	{ "bind", 1, 1, do_bind },
	{ "attach", 2, 2, do_attach },
	{ "detach", 1, 1, do_detach },
	{ "hw-info", 1, 1, do_hw_info },
	{ "no-snoop", 1, 1, do_no_snoop },
	{ "join", 2, 2, do_join },
	{ "leave", 1, 1, do_leave },
	{ "set-iommu", 1, 1, do_set_iommu },
	{ "cc", 1, 1, do_cc },
	{ "compat-set", 1, 1, do_compat_set },
	{ "compat-get", 1, 1, do_compat_get },
	{ "ioas", 1, MAX_WORDS, do_ioas },
	{ "hwpt", 3, MAX_WORDS, do_hwpt },
	{ "get", 1, MAX_WORDS, do_get },
	{ "set", 2, MAX_WORDS, do_set },
	{ "destroy", 1, 1, do_destroy },
	{ "map", 2, 2, do_map },
	{ "unmap", 2, 2, do_unmap },
	{ "snp", 2, 2, do_snp },
	{ "unprivileged", 0, 0, do_unprivileged },
	{ "privileged", 0, 0, do_privileged },
};

static int run_step(char *text)
{
	char *words[MAX_WORDS + 2] = { NULL }, *save;
	int n = 0;

	for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		if (n > MAX_WORDS)
			errx(2, "a step has at most %d words", MAX_WORDS + 1);
		words[n++] = w;
	}
	for (size_t i = 0; n && i < sizeof(steps) / sizeof(steps[0]); i++)
		if (!strcmp(words[0], steps[i].name) && n - 1 >= steps[i].min &&
		    n - 1 <= steps[i].max)
			return steps[i].run(words + 1);
	errx(2, "there is no such step: %s", n ? words[0] : "");
}

int main(int argc, char **argv)
{
	/* For errors: an id that nothing has */
	name_it("nothing", -1, ABSENT_ID);
	for (int i = 1; i < argc; i++) {
		char *text = strdup(argv[i]);
		int rc;

		if (!text)
			err(1, "memory");
		answer = "0";
		rc = run_step(text);
		printf("%s: %s\n", argv[i], rc ? strerrorname_np(-rc) : answer);
		fflush(stdout);
		free(text);
	}
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/* Calls that take more than a struct of a table */
#include <string.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "../chance.h"
#include "../uapi-coherency.h"
#include "exercise.h"

#define NO_SNOOP_BITS 0x1fU

/* The config region's Command, power management and Device Control, and anything else */
void do_config(void)
{
	int fd = some_file(one_in(5) ? GROUP_DEVICE : CDEV);
	uint64_t region = 7ULL << 40, at = 0;
	bool is_write = one_in(2);
	uint32_t value = any();
	uint8_t pos, cap[2];
	size_t n = 1 << below(3);
	ssize_t rc;

	if (one_in(3)) {
		at = PCI_COMMAND;
	} else if (one_in(8)) {
		at = below(4100);
		n = below(9);
		is_write = is_write && at < 0x10;
	} else if (pread(fd, &pos, 1, region + PCI_CAPABILITY_LIST) == 1) {
		uint8_t wanted = one_in(2) ? PCI_CAP_ID_EXP : PCI_CAP_ID_PM;

		for (int i = 0; pos >= 0x40 && i < 48; i++, pos = cap[1]) {
			if (pread(fd, cap, 2, region + pos) != 2 || cap[0] == wanted)
				break;
		}
		at = pos + (wanted == PCI_CAP_ID_EXP ? PCI_EXP_DEVCTL : PCI_PM_CTRL);
		/* No function level reset, which takes 100 ms each: there are others */
		value &= wanted == PCI_CAP_ID_EXP ? 0x7fff7fff : 3;
	}
	rc = is_write ? pwrite(fd, &value, n, region + at) : pread(fd, &value, n, region + at);
	judge((is_write ? CONFIG_WRITE : CONFIG_READ), rc < 0 ? errno : 0,
	      ERRORS(EFAULT, EIO, EINVAL, EPERM, EBUSY, ENOMEM));
}

/* The capabilities fit in, and what is said of no-snoop is sound */
static void check_info(const uint8_t *buf, uint32_t argsz)
{
	const struct vfio_device_info *info = (const void *)buf;
	uint32_t at = info->flags & VFIO_DEVICE_FLAGS_CAPS && argsz >= 24 ? info->cap_offset : 0;

	if (!at && info->flags & VFIO_DEVICE_FLAGS_CAPS && info->argsz <= argsz && argsz >= 24)
		wrong("VFIO_DEVICE_GET_INFO: %u bytes are enough, and not used", argsz);
	while (at) {
		const struct vfio_info_cap_header *cap = (const void *)(buf + at);
		uint32_t flags;

		if (at + sizeof(*cap) > argsz || (cap->next && cap->next <= at)) {
			wrong("VFIO_DEVICE_GET_INFO: a capability at %u of %u", at, argsz);
			return;
		}
		if (cap->id == WB_VFIO_DEVICE_INFO_CAP_PCI_NO_SNOOP) {
			memcpy(&flags, cap + 1, 4);
			if (at + 16 > argsz || cap->version != 1 || flags & ~NO_SNOOP_BITS ||
			    (flags & 8 && !(flags & 1)) || memcmp(buf + at + 12, "\0\0\0\0", 4))
				wrong("VFIO_DEVICE_GET_INFO: no-snoop, version %u, flags 0x%x",
				      cap->version, flags);
		}
		at = cap->next;
	}
}

void do_info(void)
{
	uint32_t argsz = one_in(2) ? 256 : below(120);
	uint8_t buf[512] __attribute__((aligned(8)));
	struct vfio_device_info *info = (void *)buf;
	int error;

	memset(buf, CANARY, sizeof(buf));
	info->argsz = argsz;
	error = ioctl(some_file(one_in(5) ? GROUP_DEVICE : CDEV), VFIO_DEVICE_GET_INFO, buf) ?
			errno :
			0;
	judge(GET_INFO, error, ERRORS(EINVAL, EFAULT));
	if (error)
		return;
	if (argsz < 16)
		wrong("VFIO_DEVICE_GET_INFO: %u bytes are enough", argsz);
	for (size_t i = argsz; i < sizeof(buf) && argsz >= 16; i++)
		if (buf[i] != CANARY) {
			wrong("VFIO_DEVICE_GET_INFO: wrote behind %u bytes", argsz);
			break;
		}
	check_info(buf, argsz);
}

void do_feature(void)
{
	struct {
		uint32_t argsz, flags, op, how;
		uint8_t rest[64];
	} f = { .argsz = one_in(6) ? below(80) : 16,
		.op = one_in(10) ? odd_number() : below(2),
		.how = one_in(10) ? odd_number() : below(2) };
	uint32_t feature = one_in(10) ? below(16) : 13, op = f.op, how = f.how;
	int fd = some_file(one_in(6) ? GROUP_DEVICE : CDEV), error;

	f.flags = feature | below(8) << 16;
	if (one_in(20))
		f.flags |= odd_number();
	error = ioctl(fd, VFIO_DEVICE_FEATURE, &f) ? errno : 0;
	/* EACCES: of a container that has taken the number meanwhile, VFIO_IOMMU_DIRTY_PAGES */
	judge(FEATURE, error,
	      ERRORS(EINVAL, EOPNOTSUPP, EIO, EFAULT, EBUSY, ENOENT, EAGAIN, EACCES));
	if (error || (f.flags & 0xffff) != 13 || f.flags & VFIO_DEVICE_FEATURE_PROBE)
		return;
	if (f.argsz < 16)
		wrong("VFIO_DEVICE_FEATURE: %u bytes are enough", f.argsz);
	if (f.flags & VFIO_DEVICE_FEATURE_SET && (op > 1 || how & ~1U || (how && !op)))
		wrong("VFIO_DEVICE_FEATURE: set %u 0x%x", op, how);
	if (f.flags & VFIO_DEVICE_FEATURE_GET && (f.op > 1 || f.how & ~1U || (f.how && !f.op)))
		wrong("VFIO_DEVICE_FEATURE: got %u 0x%x", f.op, f.how);
}

void do_set_container(void)
{
	int group = some_file(GROUP), fd = one_in(30) ? some_file(QUEUE) : container_for(group);

	judge(SET_CONTAINER,
	      ioctl(group, VFIO_GROUP_SET_CONTAINER, one_in(40) ? (void *)PAGE : &fd) ? errno : 0,
	      ERRORS(EINVAL, EFAULT, EBADFD, EBUSY, EPERM, ENODEV));
}

void do_get_device(void)
{
	int fd = ioctl(some_file(GROUP), VFIO_GROUP_GET_DEVICE_FD, some_device());

	judge(GET_DEVICE_FD, fd < 0 ? errno : 0,
	      ERRORS(EINVAL, EFAULT, ENODEV, EPERM, EBUSY, EOPNOTSUPP, EADDRINUSE, ENOENT, EAGAIN));
	if (fd >= 0)
		put_file(GROUP_DEVICE, below(SLOTS), fd);
}

/* ---- KVM ----------------------------------------------------------------------------------------- */

static void check_state(const struct wb_kvm_vfio_coherency *s)
{
	bool some = s->nr_noncoherent;

	if (s->nr_noncoherent > s->nr_files || s->flags & ~0xfU || s->pad ||
	    (s->flags & 1) != some || (s->flags & 2 && !some) || (s->flags & 2 && s->flags & 8) ||
	    (some && !(s->flags & 0xa)))
		wrong("state of coherency: %u of %u, flags 0x%x, pad %u", s->nr_noncoherent,
		      s->nr_files, s->flags, s->pad);
}

void do_attr(void)
{
	static const unsigned long ops[] = { KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR,
					     KVM_HAS_DEVICE_ATTR };
	struct wb_kvm_vfio_coherency state = { .pad = 1 };
	unsigned int op = one_in(6) ? 2 : below(2);
	int32_t fd;
	struct kvm_device_attr a = { .flags = one_in(60) ? odd_number() : 0 };
	int error;

	a.group = one_in(30) ? odd_number() : op == 1 ? 3 : 1 + below(2);
	a.attr = one_in(30) ? odd_number() : op == 1 ? 0 : 1 + below(2);
	fd = a.group == 2 ? some_file(IOMMUFD) :
			    some_file(one_in(2) ? CDEV :
				      one_in(2) ? GROUP :
						  GROUP_DEVICE);
	a.addr = one_in(40) ? PAGE : op == 1 ? (uintptr_t)&state : (uintptr_t)&fd;
	error = ioctl(some_file(KVM_VFIO), ops[op], &a) ? errno : 0;
	judge(SET_ATTR + op, error, ERRORS(EFAULT, EBADF, EEXIST, ENOENT, ENXIO, EPERM, EINVAL));
	if (!error && op == 1)
		check_state(&state);
}

void do_enable_cap(void)
{
	struct kvm_enable_cap cap = { .cap = 0x4e43, .args = { below(4) } };
	bool bad = one_in(5);
	int error;

	if (bad) {
		__u64 *where[] = { &cap.args[0], &cap.args[1], &cap.args[2], &cap.args[3] };
		unsigned int i = below(5);

		if (i == 4)
			cap.flags = odd_number() | 1;
		else
			*where[i] |= odd_number() | (i ? 1 : 4);
	}
	error = ioctl(some_file(VM), KVM_ENABLE_CAP, &cap) ? errno : 0;
	judge(ENABLE_CAP, error, ERRORS(EINVAL));
	if (bad && !error)
		wrong("KVM_ENABLE_CAP: 0x%llx, flags 0x%x", cap.args[0], cap.flags);
}

void do_run(void)
{
	struct kvm_regs regs = { .rip = PAGE, .rcx = 1 + below(20), .rflags = 2 };
	int fd = some_file(VCPU);
	int error = ioctl(fd, KVM_SET_REGS, &regs) || ioctl(fd, KVM_RUN, 0) ? errno : 0;

	judge(RUN, error, ERRORS(EINTR, EFAULT, EEXIST));
}

/* ---- what random calls seldom come to ------------------------------------------------------------- */

/* A device that is bound, attached and known to KVM */
void do_attach(void)
{
	unsigned int at = below(SLOTS), slot = iommufd_slot(false);
	struct wb_vfio_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct wb_iommu_ioas_alloc ioas = { .size = sizeof(ioas), .flags = below(3) };
	struct wb_vfio_attach_iommufd_pt pt = { .argsz = sizeof(pt) };
	struct kvm_device_attr attr = { .group = 1, .attr = 1, .addr = (uintptr_t)&bind.iommufd };

	reopen(CDEV, at);
	bind.iommufd = file_at(IOMMUFD, slot);
	if (ioctl(file_at(CDEV, at), WB_VFIO_DEVICE_BIND_IOMMUFD, &bind) ||
	    ioctl(bind.iommufd, WB_IOMMU_IOAS_ALLOC, &ioas))
		return;
	put_id(slot, DEVICE, bind.out_devid);
	put_id(slot, IOAS, ioas.out_ioas_id);
	atomic_store(&bound_to[at], slot);
	pt.pt_id = ioas.out_ioas_id;
	if (!ioctl(file_at(CDEV, at), WB_VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt))
		put_id(slot, HWPT, pt.pt_id);
	bind.iommufd = file_at(CDEV, at);
	if (one_in(2))
		ioctl(some_file(KVM_VFIO), KVM_SET_DEVICE_ATTR, &attr);
}

/* A device that is opened through its group, in a container of either kind */
void do_open_by_group(void)
{
	unsigned int at = below(SLOTS);
	const char *device = some_device();
	int group, device_fd, container;
	struct kvm_device_attr attr = { .group = 1, .attr = 1, .addr = (uintptr_t)&group };

	put_file(GROUP, at, -1);
	group = open_group(device);
	if (group < 0)
		return;
	put_file(GROUP, at, group);
	if (one_in(2))
		reopen(CONTAINER, below(SLOTS));
	container = container_for(group);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container))
		return;
	ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
	device_fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, device);
	if (device_fd >= 0)
		put_file(GROUP_DEVICE, at, device_fd);
	if (one_in(2))
		ioctl(some_file(KVM_VFIO), KVM_SET_DEVICE_ATTR, &attr);
}

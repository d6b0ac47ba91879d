// SPDX-License-Identifier: GPL-2.0
/* The files and ids that all threads use at once, and lose at any time */
#include <err.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <linux/vfio.h>
#include <sys/mman.h>

#include "../chance.h"
#include "../uapi-coherency.h"
#include "exercise.h"

#define RECENT 6

static atomic_int files[NR_FILE_KINDS][SLOTS];
/* Those that an iommufd gave out last, of the slot that it is in */
static atomic_uint ids[SLOTS][NR_ID_KINDS][RECENT];
/* The slot of the iommufd that a device was bound to */
atomic_uint bound_to[SLOTS];
/* 1: wbinvd; dec ecx; jnz 1b; hlt */
static const uint8_t guest_code[] = { 0x0f, 0x09, 0x66, 0x49, 0x75, 0xfa, 0xf4 };
/* 1: jmp 1b */
static const uint8_t spin_code[sizeof(guest_code)] = { 0xeb, 0xfe };

/* A slot with a file, if there is one */
unsigned int slot_of(enum file_kind kind)
{
	unsigned int slot = below(SLOTS);

	for (int i = 0; i < SLOTS && atomic_load(&files[kind][slot]) < 0; i++)
		slot = (slot + 1) % SLOTS;
	return slot;
}

/*
 * What 7.2 cannot bear, with the series or without, is left out.  Replacing takes
 * it for granted that a HWPT is of the device's own driver: the mock driver's
 * devices and those of VFIO are never in one iommufd, the first half of the
 * iommufds is for the former.  And a group's device that is open in an iommufd
 * must not be opened again in a container: each group has one of the two only.
 * A device of the mock driver takes PASIDs for granted that are attached when it
 * is destroyed, or never were: they are for rules.c.  And a file that is mapped is
 * kept: none that keeps the iommufd, as devices and queues do.
 *
 * Another thread may close a file and get its number for another one: of these
 * kinds, each has numbers of its own.
 */
enum { MOCK_FDS = 500, CONTAINER_FDS = 600, TYPE1_FDS = 700, COMPAT_FDS = 800, OTHER_FDS = 900 };

static int move_to(int fd, int first)
{
	int moved = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, first), error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return moved;
}

unsigned int iommufd_slot(bool mock)
{
	return (mock ? 0 : SLOTS / 2) + below(SLOTS / 2);
}

int some_file(enum file_kind kind)
{
	/* Of the wrong kind now and then, or none */
	if (one_in(60))
		kind = IOMMUFD + 1 + below(NR_FILE_KINDS - 1);
	return one_in(200) ? -1 : atomic_load(&files[kind][slot_of(kind)]);
}

void put_file(enum file_kind kind, unsigned int slot, int fd)
{
	int was = atomic_exchange(&files[kind][slot], fd);

	if (was > 2)
		close(was);
}

uint32_t some_id(unsigned int slot, enum id_kind kind)
{
	if (kind == PT)
		kind = below(5) < 3 ? IOAS : HWPT;
	if (kind == NR_ID_KINDS || one_in(30))
		kind = below(NR_ID_KINDS);
	if (one_in(40))
		return odd_number();
	for (unsigned int i = 0, n = below(RECENT); i < RECENT; i++, n = (n + 1) % RECENT) {
		uint32_t value = atomic_load(&ids[slot][kind][n]);

		if (value)
			return value;
	}
	return 0;
}

void put_id(unsigned int slot, enum id_kind kind, uint32_t id)
{
	atomic_store(&ids[slot][kind][below(RECENT)], id);
}

int file_at(enum file_kind kind, unsigned int slot)
{
	return atomic_load(&files[kind][slot]);
}

int container_for(int group)
{
	if (group >= COMPAT_FDS)
		return atomic_load(&files[IOMMUFD][iommufd_slot(false)]);
	return group >= TYPE1_FDS ? atomic_load(&files[CONTAINER][slot_of(CONTAINER)]) : -1;
}

void no_files(void)
{
	for (int kind = 0; kind < NR_FILE_KINDS; kind++)
		for (int slot = 0; slot < SLOTS; slot++)
			atomic_store(&files[kind][slot], -1);
}

/* ---- devices and VMs ----------------------------------------------------------------------------- */

/* Seldom one behind a port: at the last close its bus is reset, for a second and more */
const char *some_device(void)
{
	const char *device = "0000:ff:1f.7";

	for (int i = 0; i < 4 && opt.nr_devices; i++) {
		device = opt.devices[below(opt.nr_devices)];
		if (strlen(device) == 36 || !strncmp(device, "0000:00:", 8))
			break;
	}
	return device;
}

int open_cdev(const char *device)
{
	char path[128];
	glob_t found;
	int fd = -1;

	snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s/vfio-dev/vfio*",
		 strlen(device) == 36 ? "mdev" : "pci", device);
	if (glob(path, 0, NULL, &found)) {
		errno = ENOENT;
		return -1;
	}
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd;
}

int open_group(const char *device)
{
	char path[128], target[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s/iommu_group",
		 strlen(device) == 36 ? "mdev" : "pci", device);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -1;
	target[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(target, '/') + 1);
	return move_to(open(path, O_RDWR | O_CLOEXEC),
		       strchr("02468ace", device[strlen(device) - 3]) ? TYPE1_FDS : COMPAT_FDS);
}

static int new_vm(int *kvm_vfio, int *vcpu)
{
	struct kvm_userspace_memory_region region = { .memory_size = 2 * PAGE,
						      .userspace_addr =
							      (uintptr_t)arena + ARENA - 2 * PAGE };
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = ioctl(kvm, KVM_CREATE_VM, 0);
	struct kvm_sregs sregs;

	close(kvm);
	if (vm < 0)
		return -1;
	memcpy(arena + ARENA - PAGE, opt.spin ? spin_code : guest_code, sizeof(guest_code));
	*kvm_vfio = ioctl(vm, KVM_CREATE_DEVICE, &create) ? -1 : (int)create.fd;
	*vcpu = ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) ? -1 : ioctl(vm, KVM_CREATE_VCPU, 0);
	if (*vcpu >= 0 && !ioctl(*vcpu, KVM_GET_SREGS, &sregs)) {
		sregs.cs.base = sregs.cs.selector = 0;
		ioctl(*vcpu, KVM_SET_SREGS, &sregs);
	}
	return vm;
}

/* Something to begin with in a new iommufd */
static void populate(unsigned int slot)
{
	struct wb_iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	int fd = file_at(IOMMUFD, slot);

	for (int i = 0; i < 3; i++) {
		uint32_t device[18] = { sizeof(device),
					TEST_OP_DEVICE_FLAGS, [7] = one_in(2) ? MOCK_ENFORCES : 0 };

		ioas.flags = below(3);
		if (ioctl(fd, WB_IOMMU_IOAS_ALLOC, &ioas))
			return;
		put_id(slot, IOAS, ioas.out_ioas_id);
		device[2] = ioas.out_ioas_id;
		if (slot >= SLOTS / 2 || ioctl(fd, TEST_CMD, device))
			continue;
		put_id(slot, MOCK, device[4]);
		put_id(slot, HWPT, device[5]);
		put_id(slot, DEVICE, device[6]);
	}
}

void reopen(enum file_kind kind, unsigned int slot)
{
	int fd = -1, kvm_vfio = -1, vcpu = -1;

	switch (kind) {
	case IOMMUFD:
		put_file(kind, slot, -1);
		for (int k = 0; k < NR_ID_KINDS * RECENT; k++)
			atomic_store(&ids[slot][k / RECENT][k % RECENT], 0);
		fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
		if (slot < SLOTS / 2)
			fd = move_to(fd, MOCK_FDS);
		break;
	case CDEV:
		fd = open_cdev(some_device());
		break;
	case GROUP:
		put_file(kind, slot, -1);
		fd = open_group(some_device());
		break;
	case CONTAINER:
		fd = move_to(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC), CONTAINER_FDS);
		break;
	case VM:
		fd = new_vm(&kvm_vfio, &vcpu);
		put_file(KVM_VFIO, slot, kvm_vfio);
		put_file(VCPU, slot, vcpu);
		break;
	case OTHER:
		fd = one_in(2) ? open("/dev/null", O_RDWR | O_CLOEXEC) :
				 memfd_create("exercise", MFD_CLOEXEC);
		if (fd >= 0 && ftruncate(fd, ARENA) && errno != EINVAL)
			err(2, "ftruncate");
		fd = move_to(fd, OTHER_FDS);
		break;
	default:
		break;
	}
	judge(OPEN, fd < 0 && kind != GROUP_DEVICE && kind < KVM_VFIO ? errno : 0,
	      ERRORS(ENOENT, ENODEV, EBUSY, EINVAL, ENXIO));
	put_file(kind, slot, fd);
	if (kind == IOMMUFD)
		populate(slot);
}

void do_reopen(void)
{
	static const enum file_kind often[] = { CDEV, GROUP, GROUP,	   CONTAINER,	IOMMUFD,
						VM,   OTHER, GROUP_DEVICE, GROUP_DEVICE };

	reopen(often[below(sizeof(often) / sizeof(often[0]))], below(SLOTS));
}

void do_close(void)
{
	put_file(below(ACCESS + 1), below(SLOTS), -1);
	count(CLOSE, 0);
}

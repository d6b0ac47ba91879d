// SPDX-License-Identifier: GPL-2.0
/* Who makes DMA coherent and non-coherent: two devices, and the policy of the VM */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>

#include "../chance.h"
#include "../uapi-coherency.h"
#include "transitions.h"

struct device devices[2];

/* A change between two notes, unless it is from one to the same; left: what holds after it */
#define CHANGE(log, left, what)                                  \
	do {                                                     \
		if ((log)->at[(log)->n - 1].known != (left))     \
			note(log, MAYBE);                        \
		if (what)                                        \
			wrong("%s: %s", #what, strerror(errno)); \
		note(log, left);                                 \
		atomic_fetch_add(&shared->transitions, 1);       \
	} while (0)

int open_cdev(const char *device)
{
	char path[128];
	glob_t found;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/vfio*", device);
	if (glob(path, 0, NULL, &found))
		return -1;
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd;
}

static uint32_t new_ioas(int iommu, uint32_t flags)
{
	struct wb_iommu_ioas_alloc ioas = { .size = sizeof(ioas), .flags = flags };
	struct wb_iommu_ioas_map map = { .size = sizeof(map),
					 .flags = 7,
					 .user_va = (uintptr_t)memory,
					 .length = MAPPED,
					 .iova = IOVA };

	if (ioctl(iommu, WB_IOMMU_IOAS_ALLOC, &ioas))
		err(2, "IOAS");
	map.ioas_id = ioas.out_ioas_id;
	if (ioctl(iommu, WB_IOMMU_IOAS_MAP, &map))
		err(2, "map");
	return ioas.out_ioas_id;
}

static uint32_t new_hwpt(const struct device *d, uint32_t flags)
{
	struct wb_iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = flags, .dev_id = d->id, .pt_id = d->flat
	};

	if (ioctl(d->iommu, WB_IOMMU_HWPT_ALLOC, &cmd))
		err(2, "HWPT");
	return cmd.out_hwpt_id;
}

/* It may be on its way back */
static void open_device(struct device *d)
{
	struct wb_vfio_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = d->iommu };
	int i = 0;

	do {
		d->fd = open_cdev(opt.devices[d->nr]);
		if (d->fd >= 0 && !ioctl(d->fd, WB_VFIO_DEVICE_BIND_IOMMUFD, &bind))
			break;
		close(d->fd);
		usleep(50000);
	} while (++i < 1200);
	if (i == 1200)
		err(2, "%s", opt.devices[d->nr]);
	d->id = bind.out_devid;
	d->attached = -1;
	d->targets[HWPT_ENFORCED] = new_hwpt(d, WB_IOMMU_HWPT_ALLOC_ENFORCE_COHERENCY);
	d->targets[HWPT_NONCOHERENT] = new_hwpt(d, WB_IOMMU_HWPT_ALLOC_NONCOHERENT);
}

static int tell_kvm(uint32_t group, uint64_t attr, int fd)
{
	struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uintptr_t)&fd };

	return ioctl(kvm_vfio, KVM_SET_DEVICE_ATTR, &a);
}

static int attach_to(const struct device *d, uint32_t id)
{
	struct wb_vfio_attach_iommufd_pt cmd = { .argsz = sizeof(cmd), .pt_id = id };

	return ioctl(d->fd, WB_VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

static int detach(const struct device *d)
{
	struct wb_vfio_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	return ioctl(d->fd, WB_VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static int block(const struct device *d, uint32_t op)
{
	struct {
		uint32_t argsz, flags, op, how;
	} f = { 16, VFIO_DEVICE_FEATURE_SET | WB_VFIO_DEVICE_FEATURE_PCI_NO_SNOOP, op, 0 };

	return ioctl(d->fd, VFIO_DEVICE_FEATURE, &f);
}

/* Does the device do non-coherent DMA, as far as KVM is to know? */
static enum known of(const struct device *d)
{
	bool coherent = d->attached < 0 || d->attached == ENFORCED || d->attached == HWPT_ENFORCED;

	if (!strcmp(opt.belie, "attach"))
		coherent = true;
	return d->known && !d->blocked && !coherent ? YES : NO;
}

/* Unplugging waits for the device to be closed, as KVM has it open: after it was told */
static void unplug(struct device *d)
{
	struct wb_iommu_destroy destroy = { .size = sizeof(destroy) };
	unsigned int want = 0;

	while (!atomic_compare_exchange_weak(&shared->unplug, &want, d->nr + 1)) {
		want = 0;
		usleep(1000);
	}
	usleep(below(50000));
	if (d->nr == OF_DEVICE && d->known) {
		d->known = false;
		CHANGE(d->log, NO, tell_kvm(WB_KVM_DEV_VFIO_FILE, WB_KVM_DEV_VFIO_FILE_DEL, d->fd));
	}
	d->attached = -1;
	d->blocked = false;
	CHANGE(d->log, NO, close(d->fd));
	for (int i = HWPT_ENFORCED; i < NR_TARGETS; i++) {
		destroy.id = d->targets[i];
		if (ioctl(d->iommu, WB_IOMMU_DESTROY, &destroy))
			wrong("a HWPT is not destroyed: %s", strerror(errno));
	}
	while (atomic_load(&shared->unplug) == d->nr + 1 && !atomic_load(&shared->stop))
		usleep(1000);
	open_device(d);
	if (d->nr == OF_DEVICE) {
		d->known = true;
		CHANGE(d->log, NO, tell_kvm(WB_KVM_DEV_VFIO_FILE, WB_KVM_DEV_VFIO_FILE_ADD, d->fd));
	}
	d->attached = NONCOHERENT;
	CHANGE(d->log, of(d), attach_to(d, d->targets[NONCOHERENT]));
	atomic_fetch_add(&shared->unplugged, 1);
}

static void change_device(struct device *d)
{
	unsigned int what = below(25);

	if (what == 0) {
		unplug(d);
	} else if (what < 8 && d->attached >= 0) {
		d->attached = -1;
		CHANGE(d->log, of(d), detach(d));
	} else if (what < 16 && d->nr == OF_DEVICE) {
		d->known = !d->known;
		CHANGE(d->log, of(d),
		       tell_kvm(WB_KVM_DEV_VFIO_FILE,
				d->known ? WB_KVM_DEV_VFIO_FILE_ADD : WB_KVM_DEV_VFIO_FILE_DEL,
				d->fd));
	} else if (what < 22 && d->nr == OF_PORT) {
		d->blocked = !d->blocked;
		CHANGE(d->log, of(d), block(d, d->blocked));
	} else {
		d->attached = below(3) ? NONCOHERENT + 2 * below(2) : ENFORCED + 2 * below(2);
		CHANGE(d->log, of(d), attach_to(d, d->targets[d->attached]));
	}
}

void *change_devices(void *arg)
{
	struct device *d = arg;

	seed_with(opt.seed + 200 + d->nr);
	while (!atomic_load(&shared->stop)) {
		change_device(d);
		/* What is flushed takes longer than what is not */
		usleep(below(of(d) == YES ? 100000 : 5000));
	}
	return NULL;
}

static int set_policy(uint64_t policy)
{
	struct kvm_enable_cap cap = { .cap = WB_KVM_CAP_X86_NONCOHERENT_DMA, .args = { policy } };

	return ioctl(vm, KVM_ENABLE_CAP, &cap);
}

/* Pause, force coherent, resume; resumed most of the time */
void *change_policy(void *arg)
{
	struct log *log = arg;

	seed_with(opt.seed + 300);
	while (!atomic_load(&shared->stop)) {
		unsigned int policy = below(4) ? 0 : 1 + below(3);

		CHANGE(log, policy && strcmp(opt.belie, "policy") ? NO : YES, set_policy(policy));
		usleep(below(policy ? 10000 : 100000));
	}
	return NULL;
}

void prepare(struct device *d, unsigned int nr)
{
	d->nr = nr;
	d->log = &logs[nr];
	d->iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	d->flat = new_ioas(d->iommu, 0);
	d->targets[ENFORCED] = new_ioas(d->iommu, WB_IOMMU_IOAS_ALLOC_ENFORCE_COHERENCY);
	d->targets[NONCOHERENT] = new_ioas(d->iommu, WB_IOMMU_IOAS_ALLOC_NONCOHERENT);
	open_device(d);
	/* One is known by its file, the other one by its iommufd. */
	d->known = true;
	if (nr == OF_DEVICE ?
		    tell_kvm(WB_KVM_DEV_VFIO_FILE, WB_KVM_DEV_VFIO_FILE_ADD, d->fd) :
		    tell_kvm(WB_KVM_DEV_VFIO_IOMMUFD, WB_KVM_DEV_VFIO_IOMMUFD_ADD, d->iommu))
		err(2, "KVM");
	note(d->log, NO);
}

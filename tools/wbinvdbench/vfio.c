// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "log.h"
#include "uapi.h"
#include "vfio.h"
#include "vfioinfo.h"

#define PCI_CONFIG_SIZE 4096
#define VTD_ECAP_SC	(1ULL << 7) /* snoop control */

void vfio_init(struct vfio_dev *v)
{
	memset(v, 0, sizeof(*v));
	v->dev.group = -1;
	v->dev.snoop_control = -1;
	v->device = -1;
	v->group = -1;
	v->container = -1;
	v->kvm_dev = -1;
}

/* A kernel without the request is one that cannot, not one that was asked badly. */
static int refused(const struct vfio_dev *v, const char *what)
{
	int err = errno;

	/* VFIO forbids what is unsafe even to root, for instance without interrupt remapping. */
	log_err("%s: the kernel refuses %s: %s%s", v->dev.bdf, what, strerror(err),
		err == EPERM ? "; if not root, be root, else dmesg says why" : "");
	switch (err) {
	case EINVAL:
	case ENOTTY:
	case ENXIO:
	case ENODEV:
		return -EOPNOTSUPP;
	}
	return -err;
}

static int open_node(const struct vfio_dev *v, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int err = errno;

	if (fd >= 0)
		return fd;
	if (err == EACCES || err == EPERM)
		log_err("%s: may not open %s; run as root", v->dev.bdf, path);
	else if (err == EBUSY)
		log_err("%s: another process has %s open", v->dev.bdf, path);
	else
		log_err("%s: cannot open %s: %s", v->dev.bdf, path, strerror(err));
	return -err;
}

/* The function's device node, "/dev/vfio/devices/vfioN". */
static int open_cdev(struct vfio_dev *v)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int fd = -ENOENT;
	DIR *d;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", v->dev.bdf);
	d = opendir(path);
	if (!d)
		return refused(v, "to list its VFIO device");
	while ((entry = readdir(d))) {
		if (strncmp(entry->d_name, "vfio", 4))
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%s", entry->d_name);
		fd = open_node(v, path);
		break;
	}
	closedir(d);
	return fd;
}

static int kvm_add(struct vfio_dev *v, int vm_fd, int fd)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	struct kvm_device_attr attr = {
		.group = WB_KVM_DEV_VFIO_FILE,
		.attr = WB_KVM_DEV_VFIO_FILE_ADD,
		.addr = (uintptr_t)&fd,
	};

	if (ioctl(vm_fd, KVM_CREATE_DEVICE, &create) < 0)
		return refused(v, "a kvm-vfio device (KVM_CREATE_DEVICE)");
	v->kvm_dev = create.fd;
	if (ioctl(v->kvm_dev, KVM_SET_DEVICE_ATTR, &attr) < 0)
		return refused(v, "to add it to the VM (KVM_DEV_VFIO_FILE_ADD)");
	return 0;
}

static int alloc_ioas(const struct vfio_dev *v, uint32_t flags, uint32_t *id)
{
	struct wb_iommu_ioas_alloc alloc = { .size = sizeof(alloc), .flags = flags };

	if (ioctl(v->container, WB_IOMMU_IOAS_ALLOC, &alloc) < 0) {
		if (flags && errno == EOPNOTSUPP) {
			log_err("%s: this kernel's I/O address spaces have no policy (IOMMU_IOAS_ALLOC); the series in patches/ adds it",
				v->dev.bdf);
			return -EOPNOTSUPP;
		}
		return refused(v, "IOMMU_IOAS_ALLOC");
	}
	*id = alloc.out_ioas_id;
	return 0;
}

/* Of a device that is attached already this is a replacement, without a gap. */
static int attach(const struct vfio_dev *v, uint32_t ioas, uint32_t flags)
{
	struct wb_vfio_attach_iommufd_pt cmd = { .argsz = sizeof(cmd), .pt_id = ioas };

	if (ioctl(v->device, WB_VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd) == 0)
		return 0;
	if (flags == WB_IOMMU_IOAS_ALLOC_ENFORCE_COHERENCY && errno == EINVAL) {
		log_err("%s: its IOMMU cannot enforce coherency: VFIO_DEVICE_ATTACH_IOMMUFD_PT to an address space that does gives EINVAL",
			v->dev.bdf);
		return -EOPNOTSUPP;
	}
	if (flags == WB_IOMMU_IOAS_ALLOC_NONCOHERENT && errno == EPERM) {
		log_err("%s: to opt out of coherency that its IOMMU can enforce needs CAP_SYS_RAWIO, or allow_noncoherent=1 of the module iommufd",
			v->dev.bdf);
		return -EPERM;
	}
	return refused(v, "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
}

/* KVM first, as QEMU does: binding wants to know the VM. */
static int open_iommufd(struct vfio_dev *v, int vm_fd, uint32_t ioas_flags)
{
	struct wb_vfio_bind_iommufd bind = { .argsz = sizeof(bind) };
	int err;

	v->device = open_cdev(v);
	if (v->device < 0)
		return v->device;
	v->container = open_node(v, "/dev/iommu");
	if (v->container < 0)
		return v->container;
	err = kvm_add(v, vm_fd, v->device);
	if (err)
		return err;
	bind.iommufd = v->container;
	if (ioctl(v->device, WB_VFIO_DEVICE_BIND_IOMMUFD, &bind) < 0) {
		/* What a second bind of a function gets: nothing else here can be invalid. */
		if (errno == EINVAL) {
			log_err("%s: another process has it open", v->dev.bdf);
			return -EBUSY;
		}
		return refused(v, "VFIO_DEVICE_BIND_IOMMUFD");
	}
	v->dev_id = bind.out_devid;
	err = alloc_ioas(v, ioas_flags, &v->ioas);
	return err ? err : attach(v, v->ioas, ioas_flags);
}

static int open_group(struct vfio_dev *v)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%d", v->dev.group);
	v->group = open_node(v, path);
	if (v->group < 0)
		return v->group;
	if (ioctl(v->group, VFIO_GROUP_GET_STATUS, &status) < 0)
		return refused(v, "VFIO_GROUP_GET_STATUS");
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		log_err("%s: other functions of its IOMMU group are not on vfio-pci; ls /sys/kernel/iommu_groups/%d/devices lists them",
			v->dev.bdf, v->dev.group);
		return -EBUSY;
	}
	return 0;
}

static int open_type1(struct vfio_dev *v, int vm_fd)
{
	int err;

	v->container = open_node(v, "/dev/vfio/vfio");
	if (v->container < 0)
		return v->container;
	if (ioctl(v->container, VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
	    ioctl(v->container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) <= 0) {
		log_err("%s: this kernel's VFIO has no type1 IOMMU; modprobe vfio_iommu_type1",
			v->dev.bdf);
		return -EOPNOTSUPP;
	}
	err = open_group(v);
	if (err)
		return err;
	if (ioctl(v->group, VFIO_GROUP_SET_CONTAINER, &v->container) < 0)
		return refused(v, "VFIO_GROUP_SET_CONTAINER");
	if (ioctl(v->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0)
		return refused(v, "VFIO_SET_IOMMU");
	err = kvm_add(v, vm_fd, v->group);
	if (err)
		return err;
	v->device = ioctl(v->group, VFIO_GROUP_GET_DEVICE_FD, v->dev.bdf);
	if (v->device < 0)
		return refused(v, "VFIO_GROUP_GET_DEVICE_FD");
	return 0;
}

/* What sysfs knows; the open function may know better. */
static int scan(struct vfio_dev *v, const char *bdf)
{
	struct dev_scan *s = dev_scan_new(NULL);
	int err = s ? dev_scan_bdf(s, bdf, &v->dev) : -ENOMEM;

	dev_scan_free(s);
	if (err)
		log_err("%s: cannot read its facts from sysfs: %s", bdf, strerror(-err));
	return err;
}

int vfio_open(struct vfio_dev *v, const char *bdf, int vm_fd, uint32_t ioas_flags)
{
	int err;

	err = vfio_check("", bdf, &v->iommufd);
	if (!err)
		err = scan(v, bdf);
	if (err)
		return err;
	if (v->iommufd)
		return open_iommufd(v, vm_fd, ioas_flags);
	if (!ioas_flags)
		return open_type1(v, vm_fd);
	log_err("%s: a policy of its address space needs iommufd and the function's VFIO character device, which this kernel lacks",
		bdf);
	return -EOPNOTSUPP;
}

static int map(const struct vfio_dev *v, uint32_t ioas_id, uint64_t iova, void *mem, size_t len)
{
	struct wb_iommu_ioas_map ioas = {
		.size = sizeof(ioas),
		.flags = WB_IOMMU_IOAS_MAP_FIXED_IOVA | WB_IOMMU_IOAS_MAP_WRITEABLE |
			 WB_IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas_id,
		.user_va = (uintptr_t)mem,
		.length = len,
		.iova = iova,
	};
	struct vfio_iommu_type1_dma_map type1 = {
		.argsz = sizeof(type1),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)mem,
		.iova = iova,
		.size = len,
	};
	int rc;

	if (v->iommufd)
		rc = ioctl(v->container, WB_IOMMU_IOAS_MAP, &ioas);
	else
		rc = ioctl(v->container, VFIO_IOMMU_MAP_DMA, &type1);
	if (!rc)
		return 0;
	if (errno == ENOMEM) {
		log_err("%s: cannot pin %zu MiB of guest memory: raise the limit of locked memory (ulimit -l)",
			v->dev.bdf, (len + (1 << 20) - 1) >> 20);
		return -ENOMEM;
	}
	return refused(v, "to map the guest's memory for it");
}

int vfio_map(struct vfio_dev *v, uint64_t iova, void *mem, size_t len)
{
	int err;

	if (v->n_maps == VFIO_MAX_MAPS)
		return -ENOSPC;
	err = map(v, v->ioas, iova, mem, len);
	if (!err)
		v->maps[v->n_maps++] = (struct vfio_map){ iova, mem, len };
	return err;
}

static void destroy(const struct vfio_dev *v, uint32_t id)
{
	struct wb_iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	if (ioctl(v->container, WB_IOMMU_DESTROY, &cmd) < 0)
		log_warn("%s: the address space it left stays: %s", v->dev.bdf, strerror(errno));
}

int vfio_move(struct vfio_dev *v, uint32_t ioas_flags)
{
	uint32_t ioas, leave;
	int err;

	if (!v->iommufd) {
		log_err("%s: to move it to another address space needs iommufd and its VFIO character device, which this kernel lacks",
			v->dev.bdf);
		return -EOPNOTSUPP;
	}
	err = alloc_ioas(v, ioas_flags, &ioas);
	if (err)
		return err;
	for (unsigned int i = 0; i < v->n_maps && !err; i++)
		err = map(v, ioas, v->maps[i].iova, v->maps[i].mem, v->maps[i].len);
	if (!err)
		err = attach(v, ioas, ioas_flags);
	leave = err ? ioas : v->ioas;
	if (!err)
		v->ioas = ioas;
	destroy(v, leave);
	return err;
}

int vfio_set_no_snoop(struct vfio_dev *v, bool block)
{
	union {
		struct vfio_device_feature head;
		uint32_t words[4];
	} cmd = { .words = { sizeof(cmd),
			     VFIO_DEVICE_FEATURE_SET | WB_VFIO_DEVICE_FEATURE_PCI_NO_SNOOP,
			     block ? WB_VFIO_PCI_NO_SNOOP_BLOCK : WB_VFIO_PCI_NO_SNOOP_ALLOW } };

	if (ioctl(v->device, VFIO_DEVICE_FEATURE, &cmd) == 0)
		return 0;
	switch (errno) {
	case ENOTTY:
		log_err("%s: this kernel cannot block a device's no-snoop (VFIO_DEVICE_FEATURE_PCI_NO_SNOOP); the series in patches/ adds it",
			v->dev.bdf);
		return -EOPNOTSUPP;
	case EOPNOTSUPP:
		log_err("%s: the kernel does not know that it follows Enable No Snoop, so that blocking would prove nothing",
			v->dev.bdf);
		return -EOPNOTSUPP;
	}
	return refused(v, block ? "to block its no-snoop" : "to allow its no-snoop");
}

/* Whether the IOMMU enforces coherency for this function, in the kernel's own words. */
static int snoop_control(const struct vfio_dev *v)
{
	struct wb_iommu_hw_info_vtd vtd = { 0 };
	struct wb_iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = v->dev_id,
		.data_len = sizeof(vtd),
		.data_uptr = (uintptr_t)&vtd,
	};

	if (!v->iommufd)
		return ioctl(v->container, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU) > 0;
	if (ioctl(v->container, WB_IOMMU_GET_HW_INFO, &info) < 0 ||
	    info.out_data_type != WB_IOMMU_HW_INFO_INTEL_VTD || info.data_len < sizeof(vtd))
		return v->dev.snoop_control;
	return !!(vtd.ecap_reg & VTD_ECAP_SC);
}

/* The function's Enable No Snoop as it is now that VFIO may have reset it. */
static int read_no_snoop(struct vfio_dev *v, const char **why)
{
	struct vfio_region_info region = {
		.argsz = sizeof(region),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	uint8_t cfg[PCI_CONFIG_SIZE];
	char path[PATH_MAX];
	ssize_t len;

	if (ioctl(v->device, VFIO_DEVICE_GET_REGION_INFO, &region) < 0)
		return refused(v, "VFIO_DEVICE_GET_REGION_INFO");
	len = region.size < sizeof(cfg) ? region.size : sizeof(cfg);
	len = pread(v->device, cfg, len, region.offset);
	if (len < 0)
		return refused(v, "to read its config space");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/physfn", v->dev.bdf);
	v->dev.no_snoop = device_no_snoop(cfg, len, !access(path, F_OK), why);
	return 0;
}

/* What the kernel says in place of what sysfs and the bit let us suppose. */
static int certain_box(struct vfio_dev *v, int box)
{
	char *reason = strdup("the kernel reports it");

	if (!reason)
		return -ENOMEM;
	free(v->dev.box_reason);
	v->dev.box_reason = reason;
	v->dev.box = box;
	v->dev.box_candidates = DEV_BOX(box);
	v->dev.certain = true;
	v->noncoherent = box == 3;
	return 0;
}

int vfio_facts(struct vfio_dev *v)
{
	const char *why = NULL;
	int err, box;

	v->dev.snoop_control = snoop_control(v);
	v->noncoherent = v->dev.snoop_control < 0 ? -1 : !v->dev.snoop_control;
	err = read_no_snoop(v, &why);
	if (err)
		return err;
	box = vfioinfo_box(getpid(), v->device, v->dev.bdf);
	if (box > 0)
		return certain_box(v, box);
	return device_box(&v->dev, why);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void vfio_close(struct vfio_dev *v)
{
	close_fd(&v->device);
	close_fd(&v->kvm_dev);
	close_fd(&v->group);
	close_fd(&v->container);
	free(v->dev.name);
	free(v->dev.box_reason);
	v->dev.name = NULL;
	v->dev.box_reason = NULL;
}

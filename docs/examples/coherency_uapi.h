/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What coherency.c uses of the kernel's interface and the installed headers may
 * lack: VFIO's cdev and iommufd in those of Debian 12 (6.1), DMA coherency in
 * all that do not come from a kernel with the series.  Names, numbers and
 * layouts are the kernel's.
 */
#ifndef COHERENCY_UAPI_H
#define COHERENCY_UAPI_H

#include <linux/ioctl.h>
#include <linux/kvm.h>
#include <linux/types.h>
#include <linux/vfio.h>

#if __has_include(<linux/iommufd.h>)
#include <linux/iommufd.h>
#endif

/* ---- include/uapi/linux/kvm.h since 6.6 -------------------------------------------------------- */

#ifndef KVM_DEV_VFIO_FILE
#define KVM_DEV_VFIO_FILE     1
#define KVM_DEV_VFIO_FILE_ADD 1
#define KVM_DEV_VFIO_FILE_DEL 2
#endif

/* ---- include/uapi/linux/vfio.h since 6.6 ------------------------------------------------------- */

#ifndef VFIO_DEVICE_BIND_IOMMUFD
struct vfio_device_bind_iommufd {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
};
#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)

struct vfio_device_attach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
	__u32 pt_id;
};
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)

struct vfio_device_detach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
};
#define VFIO_DEVICE_DETACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 20)
#endif

/* ---- include/uapi/linux/iommufd.h since 6.6 ---------------------------------------------------- */

#ifndef IOMMU_IOAS_ALLOC
struct iommu_destroy {
	__u32 size;
	__u32 id;
};
#define IOMMU_DESTROY _IO(';', 0x80)

struct iommu_ioas_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_ioas_id;
};
#define IOMMU_IOAS_ALLOC _IO(';', 0x81)

struct iommu_ioas_map {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 user_va;
	__aligned_u64 length;
	__aligned_u64 iova;
};
#define IOMMU_IOAS_MAP		  _IO(';', 0x85)
#define IOMMU_IOAS_MAP_FIXED_IOVA (1 << 0)
#define IOMMU_IOAS_MAP_WRITEABLE  (1 << 1)
#define IOMMU_IOAS_MAP_READABLE	  (1 << 2)

struct iommu_option {
	__u32 size;
	__u32 option_id;
	__u16 op;
	__u16 __reserved;
	__u32 object_id;
	__aligned_u64 val64;
};
#define IOMMU_OPTION	    _IO(';', 0x87)
#define IOMMU_OPTION_OP_GET 1

struct iommu_hwpt_alloc {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 pt_id;
	__u32 out_hwpt_id;
	__u32 __reserved;
	__u32 data_type;
	__u32 data_len;
	__aligned_u64 data_uptr;
};
#define IOMMU_HWPT_ALLOC _IO(';', 0x89)

struct iommu_hw_info {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 out_data_type;
	__u32 __reserved;
	__aligned_u64 out_capabilities;
};
#define IOMMU_GET_HW_INFO _IO(';', 0x8a)
#endif

/* ---- the series -------------------------------------------------------------------------------- */

/* Most of these are enumerators, which #ifndef cannot see; this macro comes with them. */
#ifndef VFIO_DEVICE_FEATURE_PCI_NO_SNOOP
#define IOMMU_IOAS_ALLOC_ENFORCE_COHERENCY (1 << 0)
#define IOMMU_IOAS_ALLOC_NONCOHERENT	   (1 << 1)

#define IOMMU_OPTION_DMA_COHERENCY	2
#define IOMMU_DMA_COHERENCY_AUTO	0
#define IOMMU_DMA_COHERENCY_ENFORCED	1
#define IOMMU_DMA_COHERENCY_NONCOHERENT 2

#define IOMMU_HW_CAP_ENFORCE_DMA_COHERENCY (1 << 4)

#define VFIO_DEVICE_INFO_CAP_PCI_NO_SNOOP 6
struct vfio_device_info_cap_pci_no_snoop {
	struct vfio_info_cap_header header;
	__u32 flags;
#define VFIO_PCI_NO_SNOOP_CAPABLE   (1 << 0)
#define VFIO_PCI_NO_SNOOP_ENABLED   (1 << 1)
#define VFIO_PCI_NO_SNOOP_BLOCKED   (1 << 2)
#define VFIO_PCI_NO_SNOOP_UNTRUSTED (1 << 3)
#define VFIO_PCI_NO_SNOOP_IOMMU_CC  (1 << 4)
	__u32 __reserved;
};

#define VFIO_DEVICE_FEATURE_PCI_NO_SNOOP 13
struct vfio_device_feature_pci_no_snoop {
	__u32 op;
#define VFIO_PCI_NO_SNOOP_ALLOW 0
#define VFIO_PCI_NO_SNOOP_BLOCK 1
	__u32 flags;
#define VFIO_PCI_NO_SNOOP_FORCE (1 << 0)
};
#endif

#endif /* COHERENCY_UAPI_H */

/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The parts of the kernel's interface that Debian 12's headers (6.1) lack:
 * VFIO cdev and iommufd, from include/uapi/linux/vfio.h and
 * include/uapi/linux/iommufd.h of 6.12.  Names differ from the kernel's, so
 * that headers which do have them can be included as well.
 */
#ifndef WBINVDBENCH_UAPI_H
#define WBINVDBENCH_UAPI_H

#include <linux/ioctl.h>
#include <linux/kvm.h>
#include <linux/types.h>
#include <linux/vfio.h>

/* KVM_DEV_VFIO_FILE and _FILE_ADD have the numbers of their _GROUP ancestors. */
#define WB_KVM_DEV_VFIO_FILE	 KVM_DEV_VFIO_GROUP
#define WB_KVM_DEV_VFIO_FILE_ADD KVM_DEV_VFIO_GROUP_ADD

/* struct vfio_device_bind_iommufd */
struct wb_vfio_bind_iommufd {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
};
#define WB_VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)

/* struct vfio_device_attach_iommufd_pt */
struct wb_vfio_attach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
	__u32 pt_id;
};
#define WB_VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)

/* struct vfio_device_detach_iommufd_pt */
struct wb_vfio_detach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
};
#define WB_VFIO_DEVICE_DETACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 20)

#define WB_IOMMUFD_TYPE (';')

/* struct iommu_ioas_alloc */
struct wb_iommu_ioas_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_ioas_id;
};
#define WB_IOMMU_IOAS_ALLOC _IO(WB_IOMMUFD_TYPE, 0x81)

/* enum iommufd_ioas_alloc_flags of patches/7.2; kernels without it refuse them with EOPNOTSUPP */
#define WB_IOMMU_IOAS_ALLOC_ENFORCE_COHERENCY (1 << 0)
#define WB_IOMMU_IOAS_ALLOC_NONCOHERENT	      (1 << 1)

/* struct iommu_ioas_map, enum iommufd_ioas_map_flags */
struct wb_iommu_ioas_map {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 reserved;
	__aligned_u64 user_va;
	__aligned_u64 length;
	__aligned_u64 iova;
};
#define WB_IOMMU_IOAS_MAP	     _IO(WB_IOMMUFD_TYPE, 0x85)
#define WB_IOMMU_IOAS_MAP_FIXED_IOVA (1 << 0)
#define WB_IOMMU_IOAS_MAP_WRITEABLE  (1 << 1)
#define WB_IOMMU_IOAS_MAP_READABLE   (1 << 2)

/* struct iommu_ioas_unmap */
struct wb_iommu_ioas_unmap {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 length;
};
#define WB_IOMMU_IOAS_UNMAP _IO(WB_IOMMUFD_TYPE, 0x86)

/* struct iommu_hw_info, enum iommu_hw_info_type */
struct wb_iommu_hw_info {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 out_data_type;
	__u32 reserved;
	__aligned_u64 out_capabilities;
};
#define WB_IOMMU_GET_HW_INFO	   _IO(WB_IOMMUFD_TYPE, 0x8a)
#define WB_IOMMU_HW_INFO_INTEL_VTD 1

/* struct iommu_hw_info_vtd */
struct wb_iommu_hw_info_vtd {
	__u32 flags;
	__u32 reserved;
	__aligned_u64 cap_reg;
	__aligned_u64 ecap_reg;
};

/* struct iommu_destroy */
struct wb_iommu_destroy {
	__u32 size;
	__u32 id;
};
#define WB_IOMMU_DESTROY _IO(WB_IOMMUFD_TYPE, 0x80)

/*
 * Of the kernel series, which kernels without it refuse with ENOTTY or EINVAL:
 * struct vfio_device_feature_pci_no_snoop { __u32 op, flags; } and
 * KVM_CAP_X86_NONCOHERENT_DMA
 */
#define WB_VFIO_DEVICE_FEATURE_PCI_NO_SNOOP 13
#define WB_VFIO_PCI_NO_SNOOP_ALLOW	    0
#define WB_VFIO_PCI_NO_SNOOP_BLOCK	    1
#define WB_VFIO_PCI_NO_SNOOP_FORCE	    (1 << 0)

#define WB_KVM_CAP_X86_NONCOHERENT_DMA	0x4e43
#define WB_KVM_X86_NCDMA_FORCE_COHERENT (1 << 0)
#define WB_KVM_X86_NCDMA_PAUSE_WBINVD	(1 << 1)

#endif /* WBINVDBENCH_UAPI_H */

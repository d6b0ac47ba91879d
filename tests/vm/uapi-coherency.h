/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What the programs here need of the kernel series' interface, and of
 * include/uapi/linux/iommufd.h and vfio.h of 7.2, that Debian 12's headers
 * lack.  Names differ from the kernel's, so that headers which do have them can
 * be included as well.
 */
#ifndef UAPI_COHERENCY_H
#define UAPI_COHERENCY_H

#include <linux/types.h>
#include <linux/vfio.h>

#include "../../tools/wbinvdbench/uapi.h"

/* ---- 7.2 --------------------------------------------------------------------------------------- */

#define WB_KVM_DEV_VFIO_FILE_DEL KVM_DEV_VFIO_GROUP_DEL

/* struct iommu_option, enum iommufd_option_ops */
struct wb_iommu_option {
	__u32 size;
	__u32 option_id;
	__u16 op;
	__u16 __reserved;
	__u32 object_id;
	__aligned_u64 val64;
};
#define WB_IOMMU_OPTION	       _IO(WB_IOMMUFD_TYPE, 0x87)
#define WB_IOMMU_OPTION_OP_SET 0
#define WB_IOMMU_OPTION_OP_GET 1

/* struct iommu_vfio_ioas, enum iommufd_vfio_ioas_op */
struct wb_iommu_vfio_ioas {
	__u32 size;
	__u32 ioas_id;
	__u16 op;
	__u16 __reserved;
};
#define WB_IOMMU_VFIO_IOAS     _IO(WB_IOMMUFD_TYPE, 0x88)
#define WB_IOMMU_VFIO_IOAS_GET 0
#define WB_IOMMU_VFIO_IOAS_SET 1

/* struct iommu_hwpt_alloc, enum iommufd_hwpt_alloc_flags, enum iommu_hwpt_data_type */
struct wb_iommu_hwpt_alloc {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 pt_id;
	__u32 out_hwpt_id;
	__u32 __reserved;
	__u32 data_type;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 fault_id;
	__u32 __reserved2;
};
#define WB_IOMMU_HWPT_ALLOC		_IO(WB_IOMMUFD_TYPE, 0x89)
#define WB_IOMMU_HWPT_ALLOC_NEST_PARENT (1 << 0)
#define WB_IOMMU_HWPT_DATA_VTD_S1	1

/* struct iommu_hwpt_vtd_s1 */
struct wb_iommu_hwpt_vtd_s1 {
	__aligned_u64 flags;
	__aligned_u64 pgtbl_addr;
	__u32 addr_width;
	__u32 __reserved;
};

/* ---- the series -------------------------------------------------------------------------------- */

/* enum iommufd_hwpt_alloc_flags */
#define WB_IOMMU_HWPT_ALLOC_ENFORCE_COHERENCY (1 << 4)
#define WB_IOMMU_HWPT_ALLOC_NONCOHERENT	      (1 << 5)

/* enum iommufd_option, enum iommufd_dma_coherency */
#define WB_IOMMU_OPTION_DMA_COHERENCY	   2
#define WB_IOMMU_DMA_COHERENCY_AUTO	   0
#define WB_IOMMU_DMA_COHERENCY_ENFORCED	   1
#define WB_IOMMU_DMA_COHERENCY_NONCOHERENT 2

/* enum iommufd_hw_capabilities */
#define WB_IOMMU_HW_CAP_ENFORCE_DMA_COHERENCY (1 << 4)

/* struct vfio_device_info_cap_pci_no_snoop */
#define WB_VFIO_DEVICE_INFO_CAP_PCI_NO_SNOOP 6
#define WB_VFIO_PCI_NO_SNOOP_CAPABLE	     (1 << 0)

/* include/uapi/linux/kvm.h */
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

#endif /* UAPI_COHERENCY_H */

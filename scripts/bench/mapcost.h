/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What mapcost needs of include/uapi/linux/iommufd.h that Debian 12's headers lack and
 * tools/wbinvdbench/uapi.h does not have: IOMMU_IOAS_UNMAP (7.2), and the policies of an
 * address space, which kernels without the series refuse with EOPNOTSUPP.
 */
#ifndef MAPCOST_H
#define MAPCOST_H

#include "../../tools/wbinvdbench/uapi.h"

/* struct iommu_ioas_unmap */
struct wb_iommu_ioas_unmap {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 length;
};
#define WB_IOMMU_IOAS_UNMAP _IO(WB_IOMMUFD_TYPE, 0x86)

/* enum iommufd_ioas_alloc_flags */
#define WB_IOMMU_IOAS_ALLOC_ENFORCE_COHERENCY (1 << 0)
#define WB_IOMMU_IOAS_ALLOC_NONCOHERENT	      (1 << 1)

#endif /* MAPCOST_H */

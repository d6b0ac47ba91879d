/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The coherency policy of the I/O address spaces of a process, asked of its
 * iommufds: kernels that let user space choose it have an option to read it.
 */
#ifndef IOMMUPOLICY_H
#define IOMMUPOLICY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The numbers of enum iommufd_dma_coherency. */
enum iommu_policy { IOMMU_POLICY_AUTO, IOMMU_POLICY_ENFORCED, IOMMU_POLICY_NONCOHERENT };

/* "automatic", "enforced", "noncoherent"; NULL: no such policy. */
const char *iommu_policy_name(int policy);

/*
 * The policy that all address spaces of the process have in common, or a
 * negative errno with *why saying in a sentence why there is none: -EOPNOTSUPP
 * this kernel has no policies, -ENOENT no iommufd or no address space in it,
 * -EEXIST they differ, so that it is not known which one a device has; others
 * of looking.  *container: it has one of VFIO's own (type 1), too, or one for
 * which iommufd stands in and that has no address space yet.
 */
int iommu_policy_of(pid_t pid, const char **why, bool *container);

/*
 * The same of one iommufd.  ask: ioctl() or a test's stand-in for it.
 */
int iommu_policy_ask(int fd, int (*ask)(int fd, unsigned long nr, void *arg));

#endif /* IOMMUPOLICY_H */

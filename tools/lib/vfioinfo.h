/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What VFIO says of a function's no-snoop, asked through the descriptor of the
 * process that holds it: kernels whose VFIO probes and can block it report
 * that; others have no such capability in VFIO_DEVICE_GET_INFO.
 */
#ifndef VFIOINFO_H
#define VFIOINFO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* VFIO_DEVICE_INFO_CAP_PCI_NO_SNOOP and its flags. */
#define VFIOINFO_CAP	   6
#define VFIOINFO_CAPABLE   (1u << 0) /* the bit is set or can be set, or that must be assumed */
#define VFIOINFO_ENABLED   (1u << 1)
#define VFIOINFO_BLOCKED   (1u << 2)
#define VFIOINFO_UNTRUSTED (1u << 3) /* known or assumed to ignore the bit */
#define VFIOINFO_IOMMU_CC  (1u << 4)

/*
 * The flags from what VFIO_DEVICE_GET_INFO filled in.  0; -ENOENT: the kernel
 * does not report it; -EBADMSG: the chain of capabilities is damaged.
 */
int vfioinfo_parse(const void *info, size_t len, uint32_t *flags);

/*
 * Number of the descriptor through which pid, a process of the running system,
 * holds the function; -ENOENT: none says so; other errors of looking.
 */
int vfioinfo_find(pid_t pid, const char *bdf);

/*
 * The box of what the function is attached to, 1 to 4, 0: to nothing, from what
 * the kernel shows of that descriptor.  -ENOENT, -ENODATA: it does not show it,
 * or not even whose it is; -ESTALE: the descriptor is not, or no longer, of this
 * function; other errors of looking.
 */
int vfioinfo_box(pid_t pid, int fd, const char *bdf);

/* The same from the text of fdinfo, which is changed. */
int vfioinfo_parse_box(char *text, const char *bdf);

/*
 * Asks through that descriptor, of which a copy is open only meanwhile.  0,
 * errors as of vfioinfo_parse(), or those of the system calls.
 */
int vfioinfo_query(pid_t pid, int fd, uint32_t *flags);

#endif /* VFIOINFO_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* What cfgwrite.bpf.c and tools/nosnoop/guestwrites.c share. */
#ifndef CFGWRITE_ABI_H
#define CFGWRITE_ABI_H

#include <linux/types.h>

/* Functions that are counted at once: so many sets of so many places. */
#define CFGWRITE_SETS 256
#define CFGWRITE_WAYS 8

#define CFGWRITE_KEY(domain, bus, devfn) \
	(1ULL << 63 | (__u64)(__u32)(domain) << 16 | (__u64)(bus) << 8 | (devfn))
#define CFGWRITE_SET(key) \
	((__u32)((__u32)((key) ^ (key) >> 32) * 0x9e3779b1U) >> 24 & (CFGWRITE_SETS - 1))

/* Writes of Enable No Snoop of one function by its user; counters only grow. */
struct cfgwrite_dev {
	__u64 key; /* CFGWRITE_KEY(); 0: free */
	__u64 set; /* that wrote a 1 */
	__u64 cleared;
	__u64 unread; /* of which the value could not be read */
	__u64 last;   /* CLOCK_MONOTONIC in ns << 1 | value of the last one; 0: there was none */
};

#endif /* CFGWRITE_ABI_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What sysfs tells of a PCI function beside its box: who it is, who drives it,
 * what stands above it.  Nothing is written, and nothing is woken.
 */
#ifndef DEVFACTS_H
#define DEVFACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEVFACTS_BDF 16

/* What a root port does with no-snoop writes, and why that is not known. */
enum dev_honour { DEV_HONOUR_UNKNOWN, DEV_HONOUR_IGNORED, DEV_HONOUR_HONOURED };

struct dev_facts {
	uint16_t vendor, device;
	uint32_t class;	 /* 0xbbsspp; UINT32_MAX: not known */
	bool nameless;	 /* vendor or device could not be read */
	char driver[64]; /* "": none */
	bool is_vf;
	char physfn[DEVFACTS_BDF]; /* of a virtual function; "": not told */
	int num_vfs;		   /* VFs that are enabled; -1: the function cannot have any */
	int port_type;		   /* PCI_EXP_TYPE_*; -1: not known, or no PCI Express */
	int port_err; /* 0: it is known; -EACCES: only to root; other errors of reading it */
	const char *port_why; /* why it is not known; NULL: it is */
	bool suspended;	      /* by runtime power management: its config space was not read */
	char iommu[32];	      /* "dmar0"; "": none */
	char domain[32];      /* of the group, as in iommu_groups/N/type; "": not told */
	int group_size;	      /* functions in its group; -1: no group */
	int numa_node;	      /* -1: not told */
	char root_port[DEVFACTS_BDF];
	enum dev_honour writes; /* no-snoop writes below that root port */
	const char *writes_why; /* why not known; NULL: it is */
	size_t cfg_len;		/* bytes of config space that were readable, at most 256 */
};

/*
 * The facts of one function below rootfd ("/" or a test's tree).  0, -EINVAL
 * for no address, -ENODEV when it is not there (any more).
 */
int dev_facts_read(int rootfd, const char *bdf, struct dev_facts *f);

/* port_type once more, of a function that is awake, and what goes with it. */
void dev_facts_port(int rootfd, const char *bdf, struct dev_facts *f);

/* 1: runtime-suspended now, so that reading its config space would wake it; 0; -ENODEV: gone. */
int dev_facts_suspended(int rootfd, const char *bdf);

/* The same from the first len bytes of config space. */
void dev_facts_port_of(struct dev_facts *f, const uint8_t *cfg, size_t len);

#endif /* DEVFACTS_H */

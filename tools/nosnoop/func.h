/* SPDX-License-Identifier: GPL-2.0 */
/* Everything that is known of one PCI function: what list shows and watch repeats. */
#ifndef FUNC_H
#define FUNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../lib/devfacts.h"
#include "../lib/devices.h"
#include "bitfd.h"
#include "exposure.h"
#include "guestwrites.h"

enum ability { ABILITY_UNKNOWN, ABILITY_CAN, ABILITY_CANNOT };

/* What stands for the process that holds a function open through VFIO. */
struct owner {
	pid_t pid; /* 0: nobody */
	uint64_t start;
	char *name;
	char *id;   /* "PID-FD" of its VM, NULL: not known, or no VM */
	bool is_vm; /* the process holds a VM */
};

struct func_row {
	struct wb_device d;
	struct dev_facts f;
	const char *why_no_snoop; /* why d.no_snoop is not known; NULL: it is */
	const char *why_iommu;
	enum ability ability;
	const char *ability_why; /* what it rests on, or why it is not known */
	bool integrated, display, listed;
	const char *
		why_kind; /* why it is not known of which kind it is, so whether the bit governs it */
	const char
		*why_names; /* why not what quirks it has: it does not say who it is; NULL: known */
	bool backdoor;
	bool can_be_set;   /* the bit reads 0 and took a 1 in a probe */
	bool seen_set;	   /* the bit has read 1: no proof holds against that, ever */
	char proof_by[32]; /* who proved a hardwired 0; "": nobody */
	char proof_time[40];
	struct owner owner;
	int vfio_fd;	      /* of the owner; -1: none is known */
	bool vfio_known;      /* VFIO reports of the function */
	uint32_t vfio_flags;  /* VFIOINFO_* */
	const char *vfio_why; /* why it does not */
	int kernel_box;	      /* of what is attached: 1-4, 0: nothing is; -1: not known */
	int policy;	      /* enum iommu_policy of its address space; -1: not known */
	const char *policy_why;
	bool has_ioas;	    /* its process has an I/O address space of iommufd */
	bool has_container; /* and, or, one of VFIO's containers (type 1) */
	/* Of watch. */
	struct bitfd fds;
	bool heard;			 /* the kernel's log tells of it */
	struct exposure x;		 /* since the start */
	uint64_t readings, set_readings; /* of the bit, and those that read 1 */
	unsigned int changes;		 /* of the bit, since the start */
	enum dev_no_snoop last;		 /* as it was last read */
	bool writes_known;		 /* those of its user are counted */
	struct guest_writes writes;	 /* of the bit */
	int socket;			 /* that it is attached to; -1: not known */
};

struct func_list {
	struct func_row *rows; /* by address */
	size_t n;
	unsigned int vanished; /* functions that went away during the scan */
	bool blind;	       /* some process could not be looked at */
};

/*
 * All functions of the tree, or those that a VFIO driver has.  0 or a negative
 * errno; func_list_free() is due in every case.
 */
int func_list_read(struct dev_scan *s, const char *procfs, bool vfio_only, struct func_list *l);
void func_list_free(struct func_list *l);
void func_row_clear(struct func_row *r);

/* Who holds the functions of a list of which nobody does as yet, and what VFIO reports of them. */
int func_list_owners(struct dev_scan *s, const char *procfs, struct func_list *l);

/*
 * ability and box from the other facts: "can" by the bit, "cannot" by a proof
 * alone and never where quirks say that the bit does not govern the function, or
 * once the bit was seen set, which ends a proof.
 * A box that the kernel reports counts, unless it rests on the bit of such a one.
 */
int func_judge(struct func_row *r);

/*
 * What VFIO and iommufd report of rows that somebody holds, which may prove that
 * they cannot; of the running system alone.  find: look for the descriptors anew.
 * 0 or -ENOMEM.
 */
int func_ask_vfio(struct func_row *r, bool find);

/* By address; NULL: not there. */
struct func_row *func_find(const struct func_list *l, const char *bdf);

const char *func_kind(const struct func_row *r); /* NULL: unknown */
const char *ability_name(enum ability a);	 /* NULL: unknown */

/*
 * Whether Enable No Snoop alone reads as it did.  False: func_reread() is due.  A
 * suspended function is not read.
 */
bool func_reads_same(int rootfd, struct func_row *r);

/*
 * Enable No Snoop again.  0; -ENODEV: gone.  A suspended function is not woken: f.suspended is
 * set, and the rest stays as it was last known.
 */
int func_reread(struct dev_scan *s, struct func_row *r);

#endif /* FUNC_H */

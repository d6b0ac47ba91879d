/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What dmalog.bpf.c and tools/lib/dmalog.c share: events, and what is only
 * counted.  Fixed-width types and explicit padding throughout.
 */
#ifndef DMALOG_ABI_H
#define DMALOG_ABI_H

#include <linux/types.h>

#define DMALOG_COMM_LEN 16
#define DMALOG_DEV_LEN	40 /* a PCI address, or a UUID */

enum dmalog_kind {
	DMALOG_ATTACH,
	DMALOG_REPLACE,
	DMALOG_DETACH,
	DMALOG_HWPT,	 /* an I/O page table was allocated */
	DMALOG_BOX,	 /* the box of an open device changed */
	DMALOG_NO_SNOOP, /* Enable No Snoop was blocked, allowed, ... */
	DMALOG_KVM,	 /* a VM's coherency or its policy changed */
	DMALOG_MAP,	 /* the maps of one interval into one IOAS, made by user space */
	DMALOG_KINDS
};

/* Values of coherency and policy of attachments and page tables. */
#define DMALOG_COH_AUTO	       0
#define DMALOG_COH_ENFORCED    1
#define DMALOG_COH_NONCOHERENT 2

/* Values of op of DMALOG_NO_SNOOP. */
#define DMALOG_OP_ALLOW	   0
#define DMALOG_OP_BLOCK	   1
#define DMALOG_OP_REASSERT 0x100 /* these two are the kernel's own */
#define DMALOG_OP_CLOSE	   0x101

/* Bits of policy, and of before and after, of DMALOG_KVM. */
#define DMALOG_KVM_FORCE       1
#define DMALOG_KVM_PAUSE       2
#define DMALOG_EFFECT_WBINVD   1
#define DMALOG_EFFECT_GUESTPAT 2

/*
 * One event.  pid, tid and comm are of the task in which it happened, in the
 * initial pid namespace.  A number that a kind has no use for is 0.
 */
struct dmalog_event {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u32 kind;    /* enum dmalog_kind */
	__u32 pid;
	__u32 tid;
	__u32 pad;
	char comm[DMALOG_COMM_LEN];
	char dev[DMALOG_DEV_LEN]; /* "" where the event has no device */
	/* Attachments, page tables, maps. */
	__s64 group; /* of the IOMMU, -1: none; also of DMALOG_BOX */
	__s64 pasid;
	__s64 hwpt;
	__s64 old_hwpt;
	__s64 ioas;
	__s64 nested;
	__s64 coherency;   /* DMALOG_COH_* that resulted */
	__s64 can_enforce; /* the IOMMU can block no-snoop of this device */
	__s64 policy;	   /* DMALOG_COH_* asked for; of DMALOG_KVM: DMALOG_KVM_* */
	__s64 is_auto;	   /* the page table was allocated by an attachment */
	__s64 rc;	   /* 0 or a negative errno */
	/* DMALOG_BOX: 1-4, 0: not attached. */
	__s64 old_box;
	__s64 box;
	/* DMALOG_NO_SNOOP: Device Control; DMALOG_KVM: DMALOG_EFFECT_*. */
	__s64 op;
	__s64 before;
	__s64 after;
	/* DMALOG_KVM. */
	__s64 vm_pid; /* the thread that made the VM; for dmalog_cb its process */
	__s64 count;  /* of those that do non-coherent DMA */
	__s64 zapped;
	/* DMALOG_MAP. */
	__s64 maps;
	__s64 failed;
	__s64 bytes;
	__s64 noncoherent_bytes; /* of bytes: into domains that are not coherent */
	/* DMALOG_MAP, _ATTACH, _REPLACE, _HWPT. */
	__s64 flushed_bytes; /* from the CPU caches, on this account */
	__s64 flush_ns;	     /* how long that took */
};

/*
 * Maps into one IOAS by one process; counters only grow.  With the id
 * DMALOG_UNPINS: flushes before memory is unpinned, in the process' context,
 * which the kernel tells without an IOAS; maps is their number then.
 */
struct dmalog_ioas {
	__u64 key; /* pid << 32 | id of the IOAS; 0: free */
	__u64 maps;
	__u64 failed;
	__u64 bytes;
	__u64 noncoherent_bytes;
	__u64 flushed_bytes;
	__u64 flush_ns;
	char comm[DMALOG_COMM_LEN];
};

/* No IOAS: ids begin at 1. */
#define DMALOG_UNPINS 0

/* In place of the key while user space empties the entry. */
#define DMALOG_KEY_CLEARED 0xffffffffULL

/* IOAS that are counted at once: so many sets of so many places. */
#define DMALOG_SETS 256
#define DMALOG_WAYS 8

/* Flushes of the CPU caches by reason. */
enum dmalog_reason { DMALOG_FLUSH_MAP, DMALOG_FLUSH_ATTACH, DMALOG_FLUSH_UNPIN, DMALOG_REASONS };

struct dmalog_flush {
	__u64 flushes;
	__u64 bytes;
	__u64 ns;
};

struct dmalog_losses {
	__u64 events; /* found no room in the ring */
	__u64 maps; /* found no place for their IOAS; also flushes before unpins, for their process */
};

#endif /* DMALOG_ABI_H */

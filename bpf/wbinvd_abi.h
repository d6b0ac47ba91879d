/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the BPF programs and user space share: map keys, map values, the
 * histogram and the records of the VM iterator.  The only header that both
 * sides include; fixed-width types and explicit padding throughout.
 */
#ifndef WBINVD_ABI_H
#define WBINVD_ABI_H

#include <linux/types.h>

/*
 * Duration histogram: 4 linear sub-buckets per octave, so a bucket is at most
 * 25 % wide.  Slot 0 holds everything below 2^WB_HIST_MIN_SHIFT ns, the last
 * slot everything from 2^WB_HIST_MAX_SHIFT ns (8.6 s) on.
 */
#define WB_HIST_MIN_SHIFT 6
#define WB_HIST_MAX_SHIFT 33
#define WB_HIST_SLOTS	  (4 * (WB_HIST_MAX_SHIFT - WB_HIST_MIN_SHIFT) + 2)

#define WB_COMM_LEN 16
#define WB_ID_LEN   24 /* "PID-FD" as in debugfs kvm/, NUL terminated */

/* Culprits of a stall that are no VM; generations of VMs start above. */
#define WB_CULPRIT_SHARED 1ULL /* several flushers at once */
#define WB_CULPRIT_OTHER  2ULL /* no flush of ours was under way */
#define WB_GEN_FIRST	  16ULL

/* In open_seq: the exit may be more than a plain skip. */
#define WB_ATTENTION (1ULL << 63)

/* In place of a vCPU's address: the entry is being emptied. */
#define WB_PLACE_CLEARED 1ULL

/*
 * A maximum and the epoch in which it was reached, in one word so that it can
 * be compared and swapped: user space starts an epoch with each reading, and
 * one of two words keeps the maximum of the interval before.
 * Durations from 2^36 ns (68 s) on are stored as 2^36 - 1.
 */
#define WB_MAX_NS_BITS 36
#define WB_MAX_NS_MASK ((1ULL << WB_MAX_NS_BITS) - 1)

/*
 * One vCPU, keyed by the address of its struct kvm_vcpu.  Written by the
 * thread that runs the vCPU, the flush callback in its context included; only
 * the stall counters are also written from other CPUs, atomically.  Counters
 * never go down.
 *
 * ends_alone makes losses exact: an exit is counted when either end was seen,
 * so with M runs of the begin program that the kernel skipped, M -
 * sum(ends_alone) exits were seen by neither.
 */
struct wb_vcpu_val {
	__u64 gen;	  /* of the VM; 0: the entry is being filled */
	__u64 serial;	  /* of this entry, never reused */
	__u64 vcpu;	  /* struct kvm_vcpu, the key */
	__u64 kvm;	  /* struct kvm, to notice a reused address */
	__u64 fast;	  /* the key again where exits may be plain skips, else 0 */
	__u64 begin_ns;	  /* start of the open exit, CLOCK_MONOTONIC */
	__u64 open_seq;	  /* its vcpu->stat.exits, with WB_ATTENTION; 0: none is open */
	__u64 flush_seq;  /* vcpu->stat.exits when the callback last ran here */
	__u64 ends_alone; /* exits that only the end program saw */
	__u64 flushes;
	__u64 skips;	    /* and with a source that cannot tell, all exits */
	__u64 skips_policy; /* of skips, where KVM tells why */
	__u64 untimed;	    /* exits of which one end was not seen */
	__u64 emulation_ns;
	__u64 cpus_flushed;  /* the flushing CPU included */
	__u64 stall_ns;	     /* callbacks on other, busy CPUs */
	__u64 stall_idle_ns; /* callbacks on other, idle CPUs */
	__u64 max_ns;	     /* longest exit so far */
	__u64 max[2];	     /* longest exit of an interval, see WB_MAX_NS_BITS */
	__u32 vcpu_id;
	__u32 pending_cpus; /* CPUs of the open exit's flush */
	__u32 noncoherent;  /* KVM's count of reasons, as read at the last exit */
	__u8 published;	    /* mask[] stands in the targets array */
	__u8 based;	    /* base_flushes and base_skips are set */
	__u8 pad[2];
	/* Where KVM itself keeps the counts: what they were before this entry's first exit. */
	__u64 base_flushes;
	__u64 base_skips;
	/* Of a destroyed vCPU: exits that KVM has counted and no program was run for. */
	__u64 missed_flushes;
	__u64 missed_skips;
	__u32 hist[WB_HIST_SLOTS]; /* wraps; differences are modulo 2^32 */
	__u64 serial_again; /* differs from serial in a copy made while the entry was cleared */
	/*
	 * The CPUs that the open flush was announced to, one bit each; a map's
	 * value is as much longer as this machine has CPUs.
	 */
	__u64 mask[];
};

/*
 * The same of a living vCPU, by its place, as the program "recount" has last
 * found; valid while the place has that serial.
 */
struct wb_missed {
	__u64 serial;
	__u64 flushes;
	__u64 skips;
};

/* A machine of 8,192 CPUs, the most that Debian's kernels are built for. */
#define WB_MAX_MASK_WORDS 128

/* vCPUs that are found without hashing; a power of 2. */
#define WB_PLACES_BITS 10
#define WB_PLACES      (1U << WB_PLACES_BITS)

/* One of them, with the longest mask. */
union wb_place {
	struct wb_vcpu_val vcpu;
	__u64 word[sizeof(struct wb_vcpu_val) / 8 + WB_MAX_MASK_WORDS];
};

/* One VM, keyed by its generation: addresses are reused, generations are not. */
struct wb_vm_val {
	__u64 kvm;
	__u64 start_ns;		/* start of the process, CLOCK_BOOTTIME of the initial namespace */
	__u32 tgid;		/* in the initial pid namespace */
	__u32 noncoherent;	/* as last read */
	__u32 dead;		/* KVM has destroyed it */
	__u32 policy;		/* as in struct wb_vm_rec, when the VM was first seen */
	char comm[WB_COMM_LEN]; /* of the thread group leader */
	char id[WB_ID_LEN];	/* "" where debugfs does not name the VM */
};

/* Who was stalled by whom.  A task is its thread group, 0 is idle. */
struct wb_victim_key {
	__u64 culprit; /* generation, or WB_CULPRIT_* */
	__u64 vm;      /* generation of the stalled vCPU's VM, 0: not a vCPU */
	__u32 tgid;
	__u32 start; /* low 32 bits of the process's start_ns, against reused pids */
};

struct wb_victim_val {
	__u64 count;
	__u64 stall_ns;
	__u64 max_ns;
	__u64 max[2];
	__u64 start_ns;
	char comm[WB_COMM_LEN];
};

/* Global counters of what could not be accounted. */
struct wb_losses {
	__u64 full_begins;  /* begin program found no room for its vCPU */
	__u64 full_victims; /* callbacks that found no room */
	__u64 full_retired; /* exits of destroyed vCPUs that found no room */
	__u64 outliers;	    /* found no room in the ring */
};

/*
 * Insertions into and deletions from the hash maps that user space reads, begun
 * and done.  A walk of a map in which neither has changed has met each entry once.
 */
struct wb_changes {
	__u64 begun;
	__u64 done;
};

/* What user space has no more use for: the argument of the program "forget". */
enum wb_forgettable {
	WB_FORGET_VCPU,	   /* of a VM that is gone: key[0] is its address, key[1] the generation */
	WB_FORGET_RETIRED, /* key[0]: serial */
	WB_FORGET_VM,	   /* key[0]: generation, key[1]: struct kvm */
	WB_FORGET_VICTIM,  /* key[]: struct wb_victim_key */
};

struct wb_forget {
	__u64 what; /* enum wb_forgettable */
	__u64 key[3];
};

/* One flush longer than the threshold. */
struct wb_outlier {
	__u64 time_ns; /* CLOCK_MONOTONIC, end of the exit */
	__u64 gen;
	__u64 ns;
	__u32 vcpu_id;
	__u32 cpus;
};

/* What the task_file iterator writes: a VM, or a vCPU of it, that tgid holds open. */
struct wb_vm_rec {
	__u64 gen;
	__u32 tgid;
	__u32 fd;
	__u32 noncoherent; /* count of reasons, as KVM has it */
	__u32 policy;	   /* KVM_X86_NCDMA_*, WB_NO_POLICY: this kernel has none */
};

#define WB_NO_POLICY (~0U)

/*
 * Where no type information says which vCPU a task runs: the vCPUs of that
 * number of one process, which may have several VMs.  Written by all their
 * threads, atomically; counters never go down.
 */
struct wb_told {
	__u64 key; /* process << 32 | vcpu_id; 0: free */
	__u64 flushes;
	__u64 skips;
	__u64 skips_policy;
	__u64 emulation_ns;
	__u64 cpus_flushed;
	__u64 max_ns;
	__u64 max[2];	   /* longest of an interval, see WB_MAX_NS_BITS */
	__u32 last_reason; /* of the newest exit: 0 flushed, 1 coherent, 2 policy */
	__u32 pad;
	__u64 hist[WB_HIST_SLOTS];
	char comm[WB_COMM_LEN]; /* of the first thread that was seen */
};

/* In place of the key while user space empties the entry. */
#define WB_TOLD_CLEARED 0xffffffffULL

/* So many sets of so many places. */
#define WB_TOLD_SETS 256
#define WB_TOLD_WAYS 8

#ifdef __BPF__
#define wb_inline static __always_inline
#else
#define wb_inline static inline
#endif

/* Index of the highest set bit; 0 for 0 and 1. */
wb_inline __u32 wb_log2(__u64 v)
{
	__u32 r = 0, shift;

	shift = (v > 0xffffffffULL) << 5;
	v >>= shift;
	r |= shift;
	shift = (v > 0xffff) << 4;
	v >>= shift;
	r |= shift;
	shift = (v > 0xff) << 3;
	v >>= shift;
	r |= shift;
	shift = (v > 0xf) << 2;
	v >>= shift;
	r |= shift;
	shift = (v > 0x3) << 1;
	v >>= shift;
	r |= shift;
	return r | (__u32)(v >> 1);
}

/*
 * Durations below this are looked up: every bucket's bounds are multiples of
 * its 256th part, and shorter ones than a bucket's by 6 octaves look the same.
 */
#define WB_HIST_TABLE	   256
#define WB_HIST_TABLE_STEP 16
#define WB_HIST_TABLE_NS   (WB_HIST_TABLE * WB_HIST_TABLE_STEP)

/* The slot of a duration; always below WB_HIST_SLOTS. */
wb_inline __u32 wb_hist_slot(__u64 ns)
{
	__u32 l;

	if (ns < (1ULL << WB_HIST_MIN_SHIFT))
		return 0;
	if (ns >= (1ULL << WB_HIST_MAX_SHIFT))
		return WB_HIST_SLOTS - 1;
	l = wb_log2(ns);
	return 1 + 4 * (l - WB_HIST_MIN_SHIFT) + (__u32)((ns >> (l - 2)) & 3);
}

#endif /* WBINVD_ABI_H */

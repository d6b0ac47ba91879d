/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the BPF programs and user space share: map keys, map values, the
 * histogram and the records of the VM iterator.  The only header that both
 * sides include; fixed-width types and explicit padding throughout.
 */
#ifndef WBINVD_ABI_H
#define WBINVD_ABI_H

#ifndef __VMLINUX_TYPES__
#include <linux/types.h>
#endif

/*
 * Duration histogram: 4 linear sub-buckets per octave, so a bucket is at most
 * 25 % wide.  Slot 0 holds everything below 2^WB_HIST_MIN_SHIFT ns, the last
 * slot everything from 2^WB_HIST_MAX_SHIFT ns (8.6 s) on.
 */
#define WB_HIST_MIN_SHIFT	6
#define WB_HIST_MAX_SHIFT	33
#define WB_HIST_SLOTS		(4 * (WB_HIST_MAX_SHIFT - WB_HIST_MIN_SHIFT) + 2)

#define WB_COMM_LEN		16
#define WB_ID_LEN		24	/* "PID-FD" as in debugfs kvm/, NUL terminated */

/* No vCPU could be named: several flushers at once, or nobody of ours. */
#define WB_CULPRIT_SHARED	1ULL
#define WB_CULPRIT_OTHER	2ULL

/*
 * One vCPU, keyed by the address of its struct kvm_vcpu.  Written by the
 * thread that runs the vCPU and by the flush callback in its context; only
 * the two stall counters are also written from other CPUs, atomically.
 * Counters never go down.
 */
struct wb_vcpu_val {
	__u64 kvm;		/* struct kvm, the VM's key */
	__u64 begin_ns;		/* start of the open exit, CLOCK_MONOTONIC */
	__u64 begin_seq;	/* vcpu->stat.exits of the open exit */
	__u64 flush_seq;	/* vcpu->stat.exits when the callback last ran here */
	__u64 begins;		/* runs of the begin program */
	__u64 ends_alone;	/* exits that only the end program saw */
	__u64 exits;
	__u64 flushes;
	__u64 skips;
	__u64 untimed;		/* exits of which one end was not seen */
	__u64 emulation_ns;
	__u64 cpus_flushed;	/* the flushing CPU included */
	__u64 stall_ns;		/* callbacks on other, busy CPUs */
	__u64 stall_idle_ns;	/* callbacks on other, idle CPUs */
	__u64 max_ns[2];	/* longest exit, by parity of the epoch ... */
	__u32 max_epoch[2];	/* ... in which it was written */
	__u32 tgid;
	__u32 vcpu_id;
	__u8 open;		/* between begin and end */
	__u8 noncoherent;	/* as read at the last exit */
	__u8 outcome;		/* enum wb_outcome of the open exit */
	__u8 published;		/* mask[] stands in the targets array */
	__u32 pending_cpus;	/* CPUs of the open exit's flush */
	char comm[WB_COMM_LEN];	/* of the thread group leader */
	char id[WB_ID_LEN];	/* "" where debugfs does not name the VM */
	__u64 start_ns;		/* start of the process, CLOCK_BOOTTIME */
	__u32 hist[WB_HIST_SLOTS];	/* wraps; differences are modulo 2^32 */
	/* The CPUs that the open flush was announced to, one bit each. */
	__u64 mask[];
};

/*
 * Who was stalled by whom.  For a vCPU thread or a task: its thread group.
 */
struct wb_victim_key {
	__u64 culprit;		/* struct kvm, or WB_CULPRIT_* */
	__u32 tgid;		/* 0: idle */
	__u32 is_vm;		/* the stalled task was running a vCPU */
};

struct wb_victim_val {
	__u64 count;
	__u64 stall_ns;
	__u64 max_ns[2];	/* as in wb_vcpu_val */
	__u32 max_epoch[2];
	__u64 kvm;		/* of the stalled vCPU, else 0 */
	__u64 start_ns;		/* start of the process, CLOCK_BOOTTIME */
	char comm[WB_COMM_LEN];	/* of the thread group leader */
};

#ifdef __BPF__
#define wb_inline static __always_inline
#else
#define wb_inline static inline
#endif

/* Index of the highest set bit; 0 for 0 and 1. */
wb_inline __u32 wb_log2(__u64 v)
{
	__u32 r = 0, shift;

	shift = (v > 0xffffffffULL) << 5; v >>= shift; r |= shift;
	shift = (v > 0xffff) << 4; v >>= shift; r |= shift;
	shift = (v > 0xff) << 3; v >>= shift; r |= shift;
	shift = (v > 0xf) << 2; v >>= shift; r |= shift;
	shift = (v > 0x3) << 1; v >>= shift; r |= shift;
	return r | (__u32)(v >> 1);
}

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

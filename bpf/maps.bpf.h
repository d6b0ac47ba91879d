/* SPDX-License-Identifier: GPL-2.0 */
/* Parameters set before loading, maps, and the small helpers on them. */
#ifndef MAPS_BPF_H
#define MAPS_BPF_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "ktypes.h"
#include "wbinvd_abi.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Set by user space before loading; constants to the verifier. */
const volatile __u32 mask_words = 1;  /* (possible CPUs + 63) / 64 */
const volatile __u64 threshold_ns;    /* 0: no outliers wanted */
const volatile bool count_open;	      /* keep nr_open, for the exit source */
const volatile bool have_callback;    /* the flush callback's programs are attached */
const volatile bool callback_skipped; /* now and then, as kprobes are */
const volatile bool told;	      /* KVM's tracepoints say what an exit is */
const volatile bool have_destroy;     /* the destruction of vCPUs is probed */
const volatile __u32 vcpu_size;	      /* bytes of a value of vcpus and retired */
/* wb_hist_slot() of the multiples of WB_HIST_TABLE_STEP. */
const volatile __u8 hist_slots[WB_HIST_TABLE];

/* The interval's number, where words of maxima have it; advanced by user space with each reading. */
__u64 epoch = 1ULL << WB_MAX_NS_BITS;

/* Exits between their begin and end: kvm_entry has something to do. */
__s64 nr_open;

/* Runs of kp_begin and kp_callback_begin, against the kernel's count of the calls. */
__u64 kprobe_begins;
__u64 kprobe_callbacks;

__u64 next_gen = WB_GEN_FIRST;
__u64 next_serial = 1;
struct wb_losses losses;

struct wb_changes changes;

/*
 * vCPUs, each where its address falls: no lookup, and user space reads them as
 * memory.  A vCPU whose place is taken is in vcpus.  Where user space wants no
 * places, all of them are taken by the address ~0.
 */
union wb_place places[WB_PLACES];
struct wb_missed missed[WB_PLACES];

/* The other vCPUs by address of struct kvm_vcpu; the value is longer by the CPU mask. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__uint(key_size, sizeof(__u64));
	__uint(value_size, sizeof(struct wb_vcpu_val));
} vcpus SEC(".maps");

/* Destroyed vCPUs by serial, until user space has read them. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__uint(key_size, sizeof(__u64));
	__uint(value_size, sizeof(struct wb_vcpu_val));
} retired SEC(".maps");

/* What new entries of vcpus are made from: zeroes, never written. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct wb_vcpu_val));
} blank SEC(".maps");

/* Living VMs: struct kvm to generation. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u64);
} live SEC(".maps");

/* VMs by generation; user space deletes those it has reported as ended. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct wb_vm_val);
} vms SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct wb_victim_key);
	__type(value, struct wb_victim_val);
} victims SEC(".maps");

/* Who is about to interrupt each CPU; one word per CPU, see announce(). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} targets SEC(".maps");

/* When the flush callback started on this CPU, 0: not as a victim. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} callback_start SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} outliers SEC(".maps");

#define atomic_inc(p) __sync_fetch_and_add(p, 1)

/* Insertion into and deletion from a map that user space reads, see struct wb_changes. */
static __always_inline long table_update(void *map, const void *key, const void *value, __u64 flags)
{
	long err;

	atomic_inc(&changes.begun);
	err = bpf_map_update_elem(map, key, value, flags);
	atomic_inc(&changes.done);
	return err;
}

static __always_inline long table_delete(void *map, const void *key)
{
	long err;

	atomic_inc(&changes.begun);
	err = bpf_map_delete_elem(map, key);
	atomic_inc(&changes.done);
	return err;
}

#define read_field(dst, type, base, field)         \
	bpf_probe_read_kernel(&(dst), sizeof(dst), \
			      (void *)(base) + bpf_core_field_offset(type, field))

static __always_inline __u64 max_word(__u64 ns)
{
	if (ns > WB_MAX_NS_MASK)
		ns = WB_MAX_NS_MASK;
	return epoch | ns;
}

/*
 * The vCPU that the current task has loaded, 0: none.  An address to read
 * from with a helper, not one that the verifier lets us follow.
 */
static __always_inline __u64 current_vcpu(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 first = (__u64)task->preempt_notifiers.first;

	if (!first)
		return 0;
	return first - bpf_core_field_offset(struct kvm_vcpu, preempt_notifier.link);
}

static __always_inline __u64 vcpu_seq(__u64 vcpu)
{
	__u64 seq = 0;

	read_field(seq, struct kvm_vcpu, vcpu, stat.exits);
	return seq;
}

static __always_inline __u64 vcpu_kvm(__u64 vcpu)
{
	__u64 kvm = 0;

	read_field(kvm, struct kvm_vcpu, vcpu, kvm);
	return kvm;
}

/* Of KVM's count of those that do non-coherent DMA, in struct kvm. */
static __always_inline __u64 noncoherent_offset(void)
{
	__u64 off;

	/*
	 * A load with the offset in the instruction cannot reach beyond 32 KiB, and
	 * struct kvm is longer: the compiler must not fold the two, nor the branches
	 * into one that extends 32 bits to 64.
	 */
	if (bpf_core_field_exists(struct kvm, arch.noncoherent_dma_count)) {
		off = bpf_core_field_offset(struct kvm, arch.noncoherent_dma_count);
		asm volatile("" : "+r"(off));
	} else {
		off = bpf_core_field_offset(struct kvm___policy, arch.noncoherent_dma_count);
		asm volatile("" : "+r"(off));
	}
	return off;
}

static __always_inline __u32 kvm_noncoherent(__u64 kvm)
{
	__u32 n = 0;

	bpf_probe_read_kernel(&n, sizeof(n), (void *)kvm + noncoherent_offset());
	return n;
}

/* What KVM itself has counted of a vCPU. */
struct kvm_counts {
	__u64 flushes;
	__u64 skips;
};

static __always_inline bool kvm_counts(__u64 vcpu, struct kvm_counts *c)
{
	if (!bpf_core_field_exists(struct kvm_vcpu___wbinvd, stat.wbinvd_skipped))
		return false;
	return !read_field(c->flushes, struct kvm_vcpu___wbinvd, vcpu, stat.wbinvd_flushes) &&
	       !read_field(c->skips, struct kvm_vcpu___wbinvd, vcpu, stat.wbinvd_skipped);
}

static __always_inline __u32 kvm_policy(__u64 kvm)
{
	__u64 policy = 0;

	if (!bpf_core_field_exists(struct kvm___policy, arch.noncoherent_dma_policy))
		return WB_NO_POLICY;
	read_field(policy, struct kvm___policy, kvm, arch.noncoherent_dma_policy);
	return policy;
}

/* Where the words of wbinvd_dirty_mask are, 0: this kernel has none. */
static __always_inline __u64 dirty_mask(__u64 vcpu)
{
	__u64 p = 0;

	if (bpf_core_field_exists(struct kvm_vcpu___offstack, arch.wbinvd_dirty_mask))
		read_field(p, struct kvm_vcpu___offstack, vcpu, arch.wbinvd_dirty_mask);
	else if (bpf_core_field_exists(struct kvm_vcpu___onstack, arch.wbinvd_dirty_mask))
		p = vcpu + bpf_core_field_offset(struct kvm_vcpu___onstack, arch.wbinvd_dirty_mask);
	return p;
}

#endif /* MAPS_BPF_H */

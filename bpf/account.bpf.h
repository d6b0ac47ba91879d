/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Accounting of exits: VMs, vCPU entries, begin and end.
 *
 * Either end of an exit may go unseen: fentry programs can be preempted, and
 * the kernel then skips them for every other task on that CPU.  What belongs
 * together is told by vcpu->stat.exits, which KVM advances once per exit.
 */
#ifndef ACCOUNT_BPF_H
#define ACCOUNT_BPF_H

#include "announce.bpf.h"

/* No exit has this number. */
#define NO_SEQ (~0ULL)

static __noinline __u64 new_vm(__u64 kvm, struct task_struct *task)
{
	struct wb_vm_val vm = { .kvm = kvm };
	struct task_struct *leader = task->group_leader;
	__u64 gen = __sync_fetch_and_add(&next_gen, 1);
	__u64 *other, dentry = 0, name = 0;

	vm.tgid = task->tgid;
	vm.start_ns = leader->start_boottime;
	bpf_probe_read_kernel_str(vm.comm, sizeof(vm.comm), leader->comm);
	vm.noncoherent = kvm_noncoherent(kvm);
	vm.policy = kvm_policy(kvm);
	/* An error pointer where debugfs is off: the read fails, the id stays "". */
	read_field(dentry, struct kvm, kvm, debugfs_dentry);
	if (dentry && !read_field(name, struct dentry, dentry, d_name.name))
		bpf_probe_read_kernel_str(vm.id, sizeof(vm.id), (void *)name);

	if (table_update(&vms, &gen, &vm, BPF_NOEXIST))
		return 0;
	if (!bpf_map_update_elem(&live, &kvm, &gen, BPF_NOEXIST))
		return gen;
	table_delete(&vms, &gen);
	/* Another vCPU of the VM was faster. */
	other = bpf_map_lookup_elem(&live, &kvm);
	return other ? *other : 0;
}

static __always_inline __u64 vm_gen(__u64 kvm, struct task_struct *task)
{
	__u64 *gen = bpf_map_lookup_elem(&live, &kvm);

	return gen ? *gen : new_vm(kvm, task);
}

/*
 * The place of a vCPU: the upper bits of its address times 2^32 / golden ratio.
 * The verifier forbids arithmetic with pointers, but not with half of one.
 */
static __always_inline struct wb_vcpu_val *place_of(__u64 vcpu)
{
	struct wb_vcpu_val *e;
	__u32 low;

	asm volatile("%0 = %1" : "=w"(low) : "w"((__u32)vcpu));
	e = &places[(low * 0x9e3779b9U) >> (32 - WB_PLACES_BITS)].vcpu;
	/* Or else the compiler computes it anew for each field. */
	asm volatile("" : "+r"(e));
	return e;
}

static __noinline struct wb_vcpu_val *find_hashed(__u64 vcpu)
{
	return bpf_map_lookup_elem(&vcpus, &vcpu);
}

static __always_inline struct wb_vcpu_val *find_vcpu(__u64 vcpu)
{
	struct wb_vcpu_val *e = place_of(vcpu);

	if (likely(e->vcpu == vcpu))
		return e;
	return find_hashed(vcpu);
}

/* A flush cannot have been without its callback having been seen. */
static __always_inline bool sure_of_callback(void)
{
	return have_callback && !callback_skipped;
}

static __always_inline __u64 open_seq(const struct wb_vcpu_val *e)
{
	return e->open_seq & ~WB_ATTENTION;
}

/*
 * Whether KVM has counted a flush since the exit began, where it counts them: with the
 * series, whose policy may have WBINVD skipped in a non-coherent VM.  Otherwise what
 * the caller thinks.
 */
static __always_inline bool kvm_flushed(const struct wb_vcpu_val *e, bool otherwise)
{
	struct kvm_counts c;

	return kvm_counts(e->vcpu, &c) ? c.flushes != e->base_flushes : otherwise;
}

/* Ends an exit whose end was not seen, as far as is known. */
static __always_inline void settle(struct wb_vcpu_val *e)
{
	if (e->published)
		withdraw(e);
	e->untimed++;
	if (e->flush_seq == open_seq(e) ||
	    (!sure_of_callback() && kvm_flushed(e, e->noncoherent))) {
		e->flushes++;
		e->cpus_flushed += e->pending_cpus;
	} else {
		e->skips++;
	}
	e->flush_seq = NO_SEQ;
	e->open_seq = 0;
	if (count_open)
		__sync_fetch_and_add(&nr_open, -1);
}

/* The last chance to learn what was missed: KVM is about to free the vCPU. */
static __noinline int count_missed(struct wb_vcpu_val *e, __u64 vcpu)
{
	struct kvm_counts c;

	if (!e || !e->based || !kvm_counts(vcpu, &c))
		return 0;
	e->missed_flushes = c.flushes - e->base_flushes - e->flushes;
	e->missed_skips = c.skips - e->base_skips - e->skips;
	return 0;
}

static __always_inline void keep(struct wb_vcpu_val *e)
{
	__u64 serial = e->serial;

	if (table_update(&retired, &serial, e, BPF_ANY))
		__sync_fetch_and_add(&losses.full_retired, e->flushes + e->skips - e->ends_alone);
}

static __always_inline void clear_place(struct wb_vcpu_val *e)
{
	__builtin_memset(e, 0, offsetof(struct wb_vcpu_val, vcpu));
	__builtin_memset(&e->kvm, 0, sizeof(*e) - offsetof(struct wb_vcpu_val, kvm));
	/* Nobody may take the place before all of it is empty. */
	__sync_val_compare_and_swap(&e->vcpu, WB_PLACE_CLEARED, 0);
}

/* KVM destroys the vCPU: its address may be another's next. */
static __always_inline void last_look(__u64 vcpu)
{
	if (told)
		count_missed(find_vcpu(vcpu), vcpu);
}

/* Keeps a destroyed vCPU's figures for user space and frees its address. */
static __noinline int retire(__u64 vcpu)
{
	struct wb_vcpu_val *e = place_of(vcpu);

	if (e->vcpu == vcpu) {
		if (e->open_seq)
			settle(e);
		if (e->published)
			withdraw(e);
		/* Of several that try, one does; from here on the address finds nothing. */
		if (__sync_val_compare_and_swap(&e->vcpu, vcpu, WB_PLACE_CLEARED) == vcpu) {
			e->fast = 0;
			keep(e);
			clear_place(e);
		}
		return 0;
	}
	e = find_hashed(vcpu);
	if (!e)
		return 0;
	if (e->open_seq)
		settle(e);
	if (e->published)
		withdraw(e);
	keep(e);
	table_delete(&vcpus, &vcpu);
	return 0;
}

/* An entry of zeroes, NULL: there is no room. */
static __always_inline struct wb_vcpu_val *empty_entry(__u64 vcpu)
{
	struct wb_vcpu_val *e = place_of(vcpu);
	__u32 zero = 0;

	if (!__sync_val_compare_and_swap(&e->vcpu, 0, vcpu))
		return e;
	e = bpf_map_lookup_elem(&blank, &zero);
	if (!e || table_update(&vcpus, &vcpu, e, BPF_NOEXIST))
		return NULL;
	return bpf_map_lookup_elem(&vcpus, &vcpu);
}

static __noinline struct wb_vcpu_val *new_vcpu(__u64 vcpu, __u64 kvm)
{
	struct wb_vcpu_val *e;
	__u64 gen;

	gen = vm_gen(kvm, bpf_get_current_task_btf());
	if (!gen)
		return NULL;
	e = empty_entry(vcpu);
	if (!e)
		return NULL;
	read_field(e->vcpu_id, struct kvm_vcpu, vcpu, vcpu_id);
	e->vcpu = vcpu;
	e->kvm = kvm;
	e->flush_seq = NO_SEQ;
	/* An announcement and the callback call for attention; without them, or with a threshold, all do. */
	e->fast = told || (have_callback && !threshold_ns) ? vcpu : 0;
	e->serial = __sync_fetch_and_add(&next_serial, 1);
	e->serial_again = e->serial;
	e->gen = gen;
	return e;
}

/*
 * The entry of a vCPU, made where there is none.  An entry whose address now
 * belongs to another vCPU is retired first: where KVM's destruction of vCPUs
 * cannot be probed, this is how a reused address is noticed.
 */
static __always_inline struct wb_vcpu_val *get_vcpu(__u64 vcpu, __u64 kvm)
{
	struct wb_vcpu_val *e = find_vcpu(vcpu);

	if (e && e->kvm == kvm)
		return e;
	if (e)
		retire(vcpu);
	return new_vcpu(vcpu, kvm);
}

static __always_inline void report_outlier(const struct wb_vcpu_val *e, __u64 now, __u64 ns)
{
	struct wb_outlier *o = bpf_ringbuf_reserve(&outliers, sizeof(*o), 0);

	if (!o) {
		atomic_inc(&losses.outliers);
		return;
	}
	o->time_ns = now;
	o->gen = e->gen;
	o->ns = ns;
	o->vcpu_id = e->vcpu_id;
	o->cpus = e->pending_cpus;
	bpf_ringbuf_submit(o, 0);
}

/* max[0] is of the latest epoch that had an exit, max[1] of the one before. */
static __always_inline void new_max(struct wb_vcpu_val *e, __u64 ns, __u64 word)
{
	if (word >> WB_MAX_NS_BITS != e->max[0] >> WB_MAX_NS_BITS)
		e->max[1] = e->max[0];
	e->max[0] = word;
	if (ns > e->max_ns)
		e->max_ns = ns;
}

/* A timed exit's duration. */
static __always_inline void add_time(struct wb_vcpu_val *e, __u64 ns)
{
	__u64 word = max_word(ns);
	__u32 slot;

	if (ns < WB_HIST_TABLE_NS)
		slot = hist_slots[ns / WB_HIST_TABLE_STEP];
	else
		slot = wb_hist_slot(ns);
	e->emulation_ns += ns;
	if (slot < WB_HIST_SLOTS)
		e->hist[slot]++;
	if (word > e->max[0])
		new_max(e, ns, word);
}

/* count: nr_open is kept, for the exit source. */
static __always_inline void exit_begin(__u64 vcpu, __u64 kvm, __u64 seq, __u32 noncoherent,
				       bool count)
{
	struct wb_vcpu_val *e = get_vcpu(vcpu, kvm);
	struct kvm_counts before;

	if (!e) {
		atomic_inc(&losses.full_begins);
		return;
	}
	if (e->open_seq)
		settle(e);
	e->noncoherent = noncoherent;
	if (!sure_of_callback() && kvm_counts(vcpu, &before))
		e->base_flushes = before.flushes;
	if (noncoherent) {
		if (!sure_of_callback())
			e->pending_cpus = count_cpus(vcpu, true);
		if (have_callback)
			announce(e, true);
	}
	e->open_seq = seq | (e->fast && !e->published ? 0 : WB_ATTENTION);
	if (count)
		atomic_inc(&nr_open);
	e->begin_ns = bpf_ktime_get_ns();
}

/*
 * Decided by what happened.  Without the callback, or if that was not seen,
 * there is KVM's own count, and where it has none the flag, and if that changed
 * while KVM was at it, the mask that a flush leaves empty.
 */
static __always_inline bool was_flushed(__u64 vcpu, struct wb_vcpu_val *e, __u64 seq)
{
	bool now;

	if (e->flush_seq == seq)
		return true;
	if (sure_of_callback())
		return false;
	if (bpf_core_field_exists(struct kvm_vcpu___wbinvd, stat.wbinvd_skipped))
		return kvm_flushed(e, false);
	now = kvm_noncoherent(e->kvm) != 0;
	if (now == (e->noncoherent != 0))
		return now;
	return !count_cpus(vcpu, false);
}

/* Was it a flush? */
static __always_inline bool outcome(__u64 vcpu, struct wb_vcpu_val *e, __u64 seq)
{
	bool flushed = was_flushed(vcpu, e, seq);

	if (flushed) {
		e->flushes++;
		e->cpus_flushed += e->pending_cpus;
	} else {
		e->skips++;
	}
	e->flush_seq = NO_SEQ;
	if (e->published)
		withdraw(e);
	return flushed;
}

/* The end of an exit whose begin was not seen. */
static __noinline int end_alone(__u64 vcpu, __u64 seq)
{
	__u64 kvm = vcpu_kvm(vcpu);
	struct wb_vcpu_val *e = get_vcpu(vcpu, kvm);

	if (!e)
		return 0;
	if (e->open_seq)
		settle(e);
	e->ends_alone++;
	e->untimed++;
	e->noncoherent = kvm_noncoherent(kvm);
	if (!sure_of_callback() && e->flush_seq != seq)
		e->pending_cpus = count_cpus(vcpu, true);
	outcome(vcpu, e, seq);
	return 0;
}

static __always_inline void close_exit(__u64 vcpu, struct wb_vcpu_val *e, __u64 now, bool count)
{
	__u64 ns = now - e->begin_ns, seq = open_seq(e);
	bool plain = e->open_seq == seq;

	e->open_seq = 0;
	if (count)
		__sync_fetch_and_add(&nr_open, -1);
	add_time(e, ns);
	if (plain) {
		e->skips++;
		return;
	}
	if (outcome(vcpu, e, seq) && threshold_ns && ns > threshold_ns)
		report_outlier(e, now, ns);
}

static __always_inline void exit_end(__u64 vcpu, __u64 seq, __u64 now)
{
	struct wb_vcpu_val *e = find_vcpu(vcpu);

	if (e && e->open_seq && open_seq(e) == seq)
		close_exit(vcpu, e, now, false);
	else
		end_alone(vcpu, seq);
}

/*
 * KVM's own tracepoint says what an exit was, how long it took and how many CPUs
 * it flushed.
 */
static __noinline int told_end(__u64 vcpu, __u32 reason, __u32 cpus, __u64 ns)
{
	struct wb_vcpu_val *e = get_vcpu(vcpu, vcpu_kvm(vcpu));
	struct kvm_counts before;

	if (!e) {
		atomic_inc(&losses.full_begins);
		return 0;
	}
	if (e->published)
		withdraw(e);
	/* This exit is in KVM's counts already. */
	if (!e->based && kvm_counts(vcpu, &before)) {
		e->base_flushes = before.flushes - (reason == KVM_WBINVD_EMULATED);
		e->base_skips = before.skips - (reason != KVM_WBINVD_EMULATED);
		e->based = 1;
	}
	e->flush_seq = NO_SEQ;
	e->noncoherent = reason != KVM_WBINVD_COHERENT;
	add_time(e, ns);
	if (reason == KVM_WBINVD_EMULATED) {
		e->flushes++;
		e->cpus_flushed += cpus;
		e->pending_cpus = cpus;
		if (threshold_ns && ns > threshold_ns)
			report_outlier(e, bpf_ktime_get_ns(), ns);
		return 0;
	}
	e->skips++;
	if (reason == KVM_WBINVD_POLICY)
		e->skips_policy++;
	return 0;
}

/* The place of a vCPU that has one, and that is still the same vCPU; else NULL. */
static __always_inline struct wb_vcpu_val *told_place(__u64 vcpu)
{
	struct wb_vcpu_val *e = place_of(vcpu);

	if (unlikely(e->fast != vcpu))
		return NULL;
	if (!have_destroy && e->kvm != vcpu_kvm(vcpu))
		return NULL;
	return e;
}

#endif /* ACCOUNT_BPF_H */

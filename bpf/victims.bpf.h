/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who is stalled by whom.  KVM flushes by running a callback on every CPU of
 * the vCPU's dirty mask: on the flushing CPU it proves the flush, on every
 * other one it takes time from whatever ran there.
 */
#ifndef VICTIMS_BPF_H
#define VICTIMS_BPF_H

#include "account.bpf.h"

extern const int __preempt_count __ksym __weak;
extern const struct pcpu_hot pcpu_hot __ksym __weak;

static __always_inline bool in_hardirq(void)
{
	if (&__preempt_count) {
		const int *p = bpf_this_cpu_ptr(&__preempt_count);

		return *p & HARDIRQ_MASK;
	}
	if (&pcpu_hot) {
		const struct pcpu_hot *p = bpf_this_cpu_ptr(&pcpu_hot);

		return p->preempt_count & HARDIRQ_MASK;
	}
	return false;
}

/*
 * The callback on the flushing CPU itself runs in the vCPU's thread, outside
 * of interrupts, once per exit.  At that moment the mask is what KVM sent its
 * interrupts to.  False: this callback interrupts somebody.
 */
static __always_inline bool own_callback(void)
{
	__u64 vcpu = current_vcpu(), seq;
	struct wb_vcpu_val *e;

	if (!vcpu || in_hardirq())
		return false;
	/* The tracepoint will say all about the exit. */
	if (told)
		return true;
	seq = vcpu_seq(vcpu);
	e = get_vcpu(vcpu, vcpu_kvm(vcpu));
	if (!e)
		return true;
	/* KVM may have counted the exit before its tracepoint (6.1 on AMD), which then gave it the next number. */
	if (count_open && e->open_seq)
		seq = open_seq(e);
	if (e->flush_seq == seq)
		return false;
	/* The end of an earlier exit was not seen, nor was the begin of this one. */
	if (!count_open && e->open_seq && open_seq(e) != seq)
		settle(e);
	e->flush_seq = seq;
	if (e->open_seq)
		e->open_seq |= WB_ATTENTION;
	e->pending_cpus = count_cpus(vcpu, false);
	return true;
}

static __always_inline int callback_begin(void)
{
	__u32 zero = 0;
	__u64 *start;

	start = bpf_map_lookup_elem(&callback_start, &zero);
	if (start)
		*start = own_callback() ? 0 : bpf_ktime_get_ns();
	return 0;
}

/*
 * Generation of the one VM that has announced itself to this CPU.  The vCPU
 * that runs here does not interrupt itself: its own announcement, made before
 * it gets to flushing, is left out.
 */
static __always_inline __u64 find_culprit(__u64 self, struct wb_vcpu_val **culprit)
{
	__u32 cpu = bpf_get_smp_processor_id();
	__u64 *target = bpf_map_lookup_elem(&targets, &cpu);
	struct wb_vcpu_val *e;
	__u64 word, vcpu;

	if (!target)
		return WB_CULPRIT_OTHER;
	word = *target;
	if (self) {
		e = find_vcpu(self);
		if (e && e->published && cpu / WORD_BITS < mask_words &&
		    cpu / WORD_BITS < WB_MAX_MASK_WORDS &&
		    e->mask[cpu / WORD_BITS] >> (cpu % WORD_BITS) & 1)
			word -= announcement(e->vcpu);
	}
	if (!word)
		return WB_CULPRIT_OTHER;
	if (word >> ADDR_BITS != 1)
		return WB_CULPRIT_SHARED;
	vcpu = announced_vcpu(word);
	e = find_vcpu(vcpu);
	if (!e || !e->gen)
		return WB_CULPRIT_SHARED;
	*culprit = e;
	return e->gen;
}

static __always_inline void raise_max(__u64 *max, __u64 word)
{
	__u64 old = *max;
	int i;

	for (i = 0; i < 4 && old < word; i++) {
		__u64 seen = __sync_val_compare_and_swap(max, old, word);

		if (seen == old)
			break;
		old = seen;
	}
}

static __noinline int add_victim(struct wb_victim_key *key, __u64 ns)
{
	struct task_struct *leader = bpf_get_current_task_btf()->group_leader;
	struct wb_victim_val fresh = {};
	struct wb_victim_val *v;

	if (!key)
		return 0;
	v = bpf_map_lookup_elem(&victims, key);
	if (!v) {
		fresh.start_ns = leader->start_boottime;
		bpf_probe_read_kernel_str(fresh.comm, sizeof(fresh.comm), leader->comm);
		/* Another CPU may be faster: then its entry serves. */
		table_update(&victims, key, &fresh, BPF_NOEXIST);
		v = bpf_map_lookup_elem(&victims, key);
	}
	if (!v) {
		atomic_inc(&losses.full_victims);
		return 0;
	}
	atomic_inc(&v->count);
	__sync_fetch_and_add(&v->stall_ns, ns);
	raise_max(&v->max[epoch >> WB_MAX_NS_BITS & 1], max_word(ns));
	raise_max(&v->max_ns, ns);
	return 0;
}

static __always_inline int callback_end(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct wb_victim_key key = {};
	struct wb_vcpu_val *culprit = NULL;
	__u64 now, *start, self, ns, *gen, kvm;
	__u32 zero = 0;

	start = bpf_map_lookup_elem(&callback_start, &zero);
	if (!start || !*start)
		return 0;
	now = bpf_ktime_get_ns();
	ns = now - *start;
	*start = 0;

	self = current_vcpu();
	key.culprit = find_culprit(self, &culprit);
	key.tgid = task->tgid;
	if (key.tgid)
		key.start = (__u32)task->group_leader->start_boottime;
	if (self) {
		kvm = vcpu_kvm(self);
		gen = bpf_map_lookup_elem(&live, &kvm);
		key.vm = gen ? *gen : 0;
	}
	if (culprit) {
		/* pid 0 is idle on every CPU. */
		if (task->pid)
			__sync_fetch_and_add(&culprit->stall_ns, ns);
		else
			__sync_fetch_and_add(&culprit->stall_idle_ns, ns);
	}
	return add_victim(&key, ns);
}

#endif /* VICTIMS_BPF_H */

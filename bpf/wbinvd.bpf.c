// SPDX-License-Identifier: GPL-2.0
/*
 * The programs of wbinvdtop.  User space loads one rung's: fentry, kprobe,
 * exit or insn, with the flush callback and the destruction of VMs by fentry
 * or kprobe, whichever this kernel lets it attach.
 */
#include "tables.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/*
 * fentry: KVM's handler of intercepted WBINVDs, and the emulator's way there.
 *
 * The two programs below decide what an exit costs: the plain skip of a vCPU
 * that has its place is all that they do themselves, in few registers and with
 * nothing to save around calls.
 */

static __noinline int begin_other(__u64 vcpu, __u64 kvm, __u64 seq, __u32 noncoherent)
{
	exit_begin(vcpu, kvm, seq, noncoherent, false);
	return 0;
}

static __noinline int end_other(__u64 vcpu, __u64 seq, __u64 now)
{
	exit_end(vcpu, seq, now);
	return 0;
}

static __noinline int add_other(struct wb_vcpu_val *e, __u64 ns)
{
	if (e)
		add_time(e, ns);
	return 0;
}

static __noinline int add_max(struct wb_vcpu_val *e, __u64 ns, __u64 word)
{
	if (e)
		new_max(e, ns, word);
	return 0;
}

SEC("fentry/kvm_emulate_wbinvd")
int BPF_PROG(fe_begin, struct kvm_vcpu *vcpu)
{
	struct wb_vcpu_val *e = place_of((__u64)vcpu);
	struct kvm *kvm = vcpu->kvm;
	__u32 noncoherent = *(__u32 *)((void *)kvm + noncoherent_offset());
	__u64 seq = vcpu->stat.exits;

	if (unlikely(noncoherent || e->fast != (__u64)vcpu || e->kvm != (__u64)kvm || e->open_seq))
		return begin_other((__u64)vcpu, (__u64)kvm, seq, noncoherent);
	/* The 0 that is in a register already. */
	asm volatile("" : "+r"(noncoherent));
	e->noncoherent = noncoherent;
	e->open_seq = seq;
	e->begin_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("fexit/kvm_emulate_wbinvd")
int BPF_PROG(fe_end, struct kvm_vcpu *vcpu)
{
	__u64 now = bpf_ktime_get_ns(), seq = vcpu->stat.exits, ns, word;
	struct wb_vcpu_val *e = place_of((__u64)vcpu);
	__u32 slot;

	if (unlikely(e->fast != (__u64)vcpu || e->open_seq != seq))
		return end_other((__u64)vcpu, seq, now);
	e->open_seq = 0;
	e->skips++;
	ns = now - e->begin_ns;
	if (unlikely(ns >= WB_HIST_TABLE_NS))
		return add_other(e, ns);
	e->emulation_ns += ns;
	slot = hist_slots[ns / WB_HIST_TABLE_STEP];
	if (slot < WB_HIST_SLOTS)
		e->hist[slot]++;
	word = epoch | ns;
	if (unlikely(word > e->max[0]))
		return add_max(e, ns, word);
	return 0;
}

/*
 * tracepoint: what KVM itself tells, of kernels with the series.  Each exit has
 * one kvm_wbinvd_end that says all, and the kernel counts the runs that it skips
 * because its CPU is in the middle of the program.  As above, the plain skip is
 * all that the program does itself.
 */

SEC("raw_tp/kvm_wbinvd_end")
int rt_told_end(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 vcpu = current_vcpu(), ns = ctx->args[3], word;
	__u32 policy = (__u32)ctx->args[1] - KVM_WBINVD_COHERENT, slot;
	struct wb_vcpu_val *e = vcpu ? told_place(vcpu) : NULL;

	if (unlikely(policy > KVM_WBINVD_POLICY - KVM_WBINVD_COHERENT || !e || e->published ||
		     ns >= WB_HIST_TABLE_NS)) {
		/* A flush because the vCPU has moved is no exit. */
		if ((__u32)ctx->args[1] > KVM_WBINVD_POLICY || !vcpu)
			return 0;
		return told_end(vcpu, ctx->args[1], ctx->args[2], ns);
	}
	e->noncoherent = policy;
	e->skips++;
	e->skips_policy += policy;
	e->emulation_ns += ns;
	slot = hist_slots[ns / WB_HIST_TABLE_STEP];
	if (slot < WB_HIST_SLOTS)
		e->hist[slot]++;
	word = epoch | ns;
	if (unlikely(word > e->max[0]))
		return add_max(e, ns, word);
	return 0;
}

/*
 * Before KVM interrupts the others, with preemption off: other users of the function are
 * in no vCPU's thread.
 */
SEC("fentry/wbinvd_on_cpus_mask")
int fe_told_flush(void *ctx)
{
	__u64 vcpu = current_vcpu();
	struct wb_vcpu_val *e;

	if (!vcpu)
		return 0;
	e = get_vcpu(vcpu, vcpu_kvm(vcpu));
	if (e && !e->published)
		announce(e, false);
	return 0;
}

/* A begin and an end that find the vCPU by the task that runs it. */
static __always_inline int task_begin(bool count)
{
	__u64 vcpu = current_vcpu(), kvm;

	if (!vcpu)
		return 0;
	kvm = vcpu_kvm(vcpu);
	exit_begin(vcpu, kvm, vcpu_seq(vcpu), kvm_noncoherent(kvm), count);
	return 0;
}

static __always_inline int task_end(void)
{
	__u64 now = bpf_ktime_get_ns(), vcpu = current_vcpu();

	if (vcpu)
		exit_end(vcpu, vcpu_seq(vcpu), now);
	return 0;
}

SEC("fentry/emulator_wbinvd")
int fe_emul_begin(void *ctx)
{
	return task_begin(false);
}

SEC("fexit/emulator_wbinvd")
int fe_emul_end(void *ctx)
{
	return task_end();
}

SEC("kprobe")
int kp_begin(void *ctx)
{
	atomic_inc(&kprobe_begins);
	return task_begin(false);
}

SEC("kprobe")
int kp_end(void *ctx)
{
	return task_end();
}

/*
 * The callback of a flush.  The function's name differs between kernels: user
 * space sets the target.
 */

SEC("fentry/wbinvd_ipi")
int fe_callback_begin(void *ctx)
{
	return callback_begin();
}

SEC("fexit/wbinvd_ipi")
int fe_callback_end(void *ctx)
{
	return callback_end();
}

SEC("kprobe")
int kp_callback_begin(void *ctx)
{
	atomic_inc(&kprobe_callbacks);
	return callback_begin();
}

SEC("kprobe")
int kp_callback_end(void *ctx)
{
	return callback_end();
}

/* Destruction: addresses become free for reuse. */

static __always_inline int vm_destroyed(__u64 kvm)
{
	__u64 *p = bpf_map_lookup_elem(&live, &kvm), gen;
	struct wb_vm_val *vm;

	if (!p)
		return 0;
	gen = *p;
	vm = bpf_map_lookup_elem(&vms, &gen);
	if (vm)
		vm->dead = 1;
	bpf_map_delete_elem(&live, &kvm);
	return 0;
}

SEC("fentry/kvm_arch_destroy_vm")
int BPF_PROG(fe_vm_destroy, struct kvm *kvm)
{
	return vm_destroyed((__u64)kvm);
}

SEC("fentry/kvm_arch_vcpu_destroy")
int BPF_PROG(fe_vcpu_destroy, struct kvm_vcpu *vcpu)
{
	last_look((__u64)vcpu);
	return retire((__u64)vcpu);
}

SEC("kprobe")
int BPF_KPROBE(kp_vm_destroy, void *kvm)
{
	return vm_destroyed((__u64)kvm);
}

SEC("kprobe")
int BPF_KPROBE(kp_vcpu_destroy, void *vcpu)
{
	return retire((__u64)vcpu);
}

/*
 * exit: from the hardware's exit to the next entry.  vcpu->stat.exits advances
 * between the two, and before or after kvm_exit depending on the kernel: what is
 * open ends at most one further on.
 *
 * Raw tracepoints, which the kernel skips for nothing but the program itself on
 * the same CPU, and here that cannot be: nothing preempts these tracepoints.
 * Programs of perf events are skipped wherever a task uses bpf(2) on its maps.
 */

/* As the modules' own get_exit_info() has it. */
static __always_inline bool left_for_wbinvd(__u64 vcpu, __u32 isa)
{
	__u64 vmcb = 0;
	__u32 reason = 0;

	if (isa == KVM_ISA_SVM && bpf_core_field_exists(struct vcpu_svm, vmcb)) {
		read_field(vmcb, struct vcpu_svm, vcpu, vmcb);
		read_field(reason, struct vmcb, vmcb, control.exit_code);
		return reason == SVM_EXIT_WBINVD;
	}
	if (isa != KVM_ISA_VMX)
		return false;
	if (bpf_core_field_exists(struct vcpu_vmx___vt, vt))
		read_field(reason, struct vcpu_vmx___vt, vcpu, vt.exit_reason);
	else if (bpf_core_field_exists(struct vcpu_vmx, exit_reason))
		read_field(reason, struct vcpu_vmx, vcpu, exit_reason);
	return reason == EXIT_REASON_WBINVD;
}

SEC("raw_tp/kvm_exit")
int rt_exit(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 vcpu = ctx->args[0], kvm;

	if (!left_for_wbinvd(vcpu, ctx->args[1]))
		return 0;
	kvm = vcpu_kvm(vcpu);
	/* The first exit of a vCPU may have the number 0, which is none. */
	exit_begin(vcpu, kvm, vcpu_seq(vcpu) + 1, kvm_noncoherent(kvm), true);
	return 0;
}

SEC("raw_tp/kvm_entry")
int rt_entry(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 vcpu = ctx->args[0], now;
	struct wb_vcpu_val *e;

	if (!nr_open)
		return 0;
	now = bpf_ktime_get_ns();
	e = find_vcpu(vcpu);
	if (!e || !e->open_seq)
		return 0;
	/* Further on than one exit: this entry is not the one that ended it. */
	if (vcpu_seq(vcpu) + 1 - open_seq(e) > 1)
		settle(e);
	else
		close_exit(vcpu, e, now, true);
	return 0;
}

/* insn: instructions that KVM emulates, told by their bytes. */

static __always_inline bool is_prefix(__u8 b)
{
	/* Operand and address size, segments, lock, repeat, REX. */
	return b == 0x66 || b == 0x67 || b == 0x2e || b == 0x36 || b == 0x3e || b == 0x26 ||
	       b == 0x64 || b == 0x65 || b == 0xf0 || b == 0xf2 || b == 0xf3 || (b & 0xf0) == 0x40;
}

/* 0F 09 is WBINVD, with F3 before it WBNOINVD. */
static __always_inline bool is_wbinvd(const __u8 *insn)
{
	int i;

	for (i = 0; i < 13; i++) {
		if (!is_prefix(insn[i]))
			return insn[i] == 0x0f && insn[i + 1] == 0x09;
	}
	return false;
}

SEC("tp/kvm/kvm_emulate_insn")
int tp_insn(struct trace_event_raw_kvm_emulate_insn *ctx)
{
	struct wb_vcpu_val *e;
	__u64 vcpu, kvm;
	__u8 insn[15];

	if (ctx->failed)
		return 0;
	bpf_core_read(insn, sizeof(insn), &ctx->insn);
	if (!is_wbinvd(insn))
		return 0;
	vcpu = current_vcpu();
	if (!vcpu)
		return 0;
	kvm = vcpu_kvm(vcpu);
	e = get_vcpu(vcpu, kvm);
	if (!e) {
		atomic_inc(&losses.full_begins);
		return 0;
	}
	e->skips++;
	e->noncoherent = kvm_noncoherent(kvm);
	return 0;
}

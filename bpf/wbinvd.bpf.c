// SPDX-License-Identifier: GPL-2.0
/*
 * The programs of wbinvdtop.  User space loads one rung's: fentry, kprobe,
 * exit or insn, with the flush callback and the destruction of VMs by fentry
 * or kprobe, whichever this kernel lets it attach.
 */
#include "victims.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* fentry: KVM's handler of intercepted WBINVDs, and the emulator's way there. */

SEC("fentry/kvm_emulate_wbinvd")
int BPF_PROG(fe_begin, struct kvm_vcpu *vcpu)
{
	struct kvm *kvm = vcpu->kvm;
	__u32 noncoherent = *(__u32 *)field_ptr(struct kvm, kvm, arch.noncoherent_dma_count);

	exit_begin((__u64)vcpu, (__u64)kvm, vcpu->stat.exits, noncoherent, false);
	return 0;
}

SEC("fexit/kvm_emulate_wbinvd")
int BPF_PROG(fe_end, struct kvm_vcpu *vcpu)
{
	exit_end((__u64)vcpu, vcpu->stat.exits);
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
	__u64 vcpu = current_vcpu();

	if (vcpu)
		exit_end(vcpu, vcpu_seq(vcpu));
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
 */

SEC("tp/kvm/kvm_exit")
int tp_exit(struct trace_event_raw_kvm_exit *ctx)
{
	__u32 reason = ctx->exit_reason, isa = ctx->isa;

	if ((isa != KVM_ISA_SVM || reason != SVM_EXIT_WBINVD) &&
	    (isa != KVM_ISA_VMX || reason != EXIT_REASON_WBINVD))
		return 0;
	return task_begin(true);
}

SEC("tp/kvm/kvm_entry")
int tp_entry(void *ctx)
{
	struct wb_vcpu_val *e;
	__u64 vcpu, now;

	if (!nr_open)
		return 0;
	now = bpf_ktime_get_ns();
	vcpu = current_vcpu();
	e = vcpu ? find_vcpu(vcpu) : NULL;
	if (!e || !e->begin_ns)
		return 0;
	/* Further on than one exit: this entry is not the one that ended it. */
	if (vcpu_seq(vcpu) - e->begin_seq > 1)
		settle(e);
	else
		close_exit(vcpu, e, e->begin_seq, now, true);
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
	e = get_vcpu(vcpu, kvm, vcpu_seq(vcpu));
	if (!e) {
		atomic_inc(&losses.full_begins);
		return 0;
	}
	e->skips++;
	e->noncoherent = kvm_noncoherent(kvm);
	return 0;
}

/* VMs that exist: files that are a VM or one of its vCPUs. */

#define VM_NAME	  "kvm-vm"
#define VCPU_NAME "kvm-vcpu"

static __always_inline bool name_is(const char *name, const char *want, int len)
{
	int i;

	for (i = 0; i < len; i++) {
		if (name[i] != want[i])
			return false;
	}
	return true;
}

SEC("iter/task_file")
int list_vms(struct bpf_iter__task_file *ctx)
{
	struct wb_vm_rec rec = {};
	struct file *file = ctx->file;
	struct task_struct *task = ctx->task;
	char name[10] = {};
	__u64 kvm;

	if (!file || !task)
		return 0;
	bpf_probe_read_kernel_str(name, sizeof(name), file->f_path.dentry->d_name.name);
	if (name_is(name, VM_NAME, sizeof(VM_NAME)))
		kvm = (__u64)file->private_data;
	else if (name_is(name, VCPU_NAME, sizeof(VCPU_NAME) - 1))
		kvm = vcpu_kvm((__u64)file->private_data);
	else
		return 0;
	if (!kvm)
		return 0;
	rec.gen = vm_gen(kvm, task);
	rec.tgid = task->tgid;
	rec.fd = ctx->fd;
	rec.noncoherent = kvm_noncoherent(kvm);
	bpf_seq_write(ctx->meta->seq, &rec, sizeof(rec));
	return 0;
}

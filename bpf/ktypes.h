/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The few kernel types that the programs read, with just the fields used.
 * CO-RE finds their real places, in vmlinux BTF or, where a type is KVM's
 * alone, in kvm.ko's.  A suffix after three underscores is a flavour: another
 * shape of the same kernel type.
 */
#ifndef KTYPES_H
#define KTYPES_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct list_head {
	struct list_head *next;
};

struct task_struct {
	int pid;
	int tgid;
	struct task_struct *group_leader;
	__u64 start_boottime;
	char comm[16];
	/* One per vcpu_load(): a vCPU thread inside a vCPU ioctl has its vCPU here. */
	struct hlist_head preempt_notifiers;
};

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct qstr d_name;
};

struct path {
	struct dentry *dentry;
};

struct super_block {
	unsigned long s_magic;
};

struct inode {
	struct super_block *i_sb;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	void *private_data;
};

typedef struct {
	int counter;
} atomic_t;

struct kvm_arch {
	atomic_t noncoherent_dma_count;
};

struct kvm {
	struct dentry *debugfs_dentry;
	struct kvm_arch arch;
};

/* With the kernel series: a plain number, and more beside it. */
struct kvm_arch___policy {
	unsigned int noncoherent_dma_count;
	__u64 noncoherent_dma_policy;
};

struct kvm___policy {
	struct kvm_arch___policy arch;
};

struct preempt_notifier {
	struct hlist_node link;
};

struct kvm_vcpu_stat {
	__u64 exits;
};

/* With the kernel series. */
struct kvm_vcpu_stat___wbinvd {
	__u64 wbinvd_flushes;
	__u64 wbinvd_skipped;
};

struct kvm_vcpu___wbinvd {
	struct kvm_vcpu_stat___wbinvd stat;
};

struct kvm_vcpu {
	struct kvm *kvm;
	int vcpu_id;
	struct preempt_notifier preempt_notifier;
	struct kvm_vcpu_stat stat;
};

struct cpumask {
	unsigned long bits[1];
};

/* CONFIG_CPUMASK_OFFSTACK=y */
struct kvm_vcpu_arch___offstack {
	struct cpumask *wbinvd_dirty_mask;
};

struct kvm_vcpu___offstack {
	struct kvm_vcpu_arch___offstack arch;
};

/* CONFIG_CPUMASK_OFFSTACK=n */
struct kvm_vcpu_arch___onstack {
	struct cpumask wbinvd_dirty_mask[1];
};

struct kvm_vcpu___onstack {
	struct kvm_vcpu_arch___onstack arch;
};

/* The kvm-vfio device: 6.1 has groups, later kernels files. */
struct kvm_device_ops {
	const char *name;
};

struct kvm_device {
	const struct kvm_device_ops *ops;
	struct kvm *kvm;
	void *private;
};

struct kvm_vfio {
	struct list_head file_list;
};

struct kvm_vfio___groups {
	struct list_head group_list;
};

struct kvm_vfio_file {
	struct list_head node;
	struct file *file;
};

struct kvm_vfio_group {
	struct list_head node;
	struct file *file;
};

/* The vendor modules', for the reason of an exit. */
struct vmcb_control_area {
	__u64 exit_code;
};

struct vmcb {
	struct vmcb_control_area control;
};

struct vcpu_svm {
	struct kvm_vcpu vcpu;
	struct vmcb *vmcb;
};

union vmx_exit_reason {
	__u32 full;
};

struct vcpu_vmx {
	struct kvm_vcpu vcpu;
	union vmx_exit_reason exit_reason;
};

/* Since 6.16. */
struct vcpu_vt {
	union vmx_exit_reason exit_reason;
};

struct vcpu_vmx___vt {
	struct kvm_vcpu vcpu;
	struct vcpu_vt vt;
};

struct trace_event_raw_kvm_emulate_insn {
	__u8 len;
	__u8 insn[15];
	__u8 failed;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	void *key;
	void *value;
};

/* How far a CPU has come up or gone down: include/linux/cpuhotplug.h.  The number is each kernel's own. */
enum cpuhp_state {
	CPUHP_AP_ONLINE,
};

struct cpuhp_cpu_state {
	enum cpuhp_state state;
};

/* Since 6.2 and until 6.14; before and after, __preempt_count stands alone. */
struct pcpu_hot {
	int preempt_count;
};

#pragma clang attribute pop

/* Exit reasons: arch/x86/include/uapi/asm/{vmx,svm}.h, isa: arch/x86/kvm/trace.h. */
#define KVM_ISA_VMX	   1
#define KVM_ISA_SVM	   2
#define EXIT_REASON_WBINVD 54
#define SVM_EXIT_WBINVD	   0x089

/* Reasons of kvm_wbinvd_end: arch/x86/kvm/trace.h. */
#define KVM_WBINVD_EMULATED 0
#define KVM_WBINVD_COHERENT 1
#define KVM_WBINVD_POLICY   2

/* include/linux/preempt.h: bits 16-19 count hard interrupts. */
#define HARDIRQ_MASK 0x000f0000

#endif /* KTYPES_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How user space gets at the tables: iterators to read them and a program to
 * delete from them.  bpf(2) does both, too, but keeps the programs of kprobes
 * and tracepoints from running on its CPU meanwhile, and a vCPU that preempts it
 * there would not be counted.
 */
#ifndef TABLES_BPF_H
#define TABLES_BPF_H

#include "victims.bpf.h"

static __always_inline int write_entry(struct bpf_iter__bpf_map_elem *ctx, __u32 key_size,
				       __u32 value_size)
{
	struct seq_file *seq = ctx->meta->seq;
	void *key = ctx->key, *value = ctx->value;

	/* The end of the map. */
	if (!key || !value)
		return 0;
	/* What finds no room is asked for again. */
	bpf_seq_write(seq, key, key_size);
	bpf_seq_write(seq, value, value_size);
	return 0;
}

/* vcpus and retired. */
SEC("iter/bpf_map_elem")
int read_vcpus(struct bpf_iter__bpf_map_elem *ctx)
{
	return write_entry(ctx, sizeof(__u64), vcpu_size);
}

SEC("iter/bpf_map_elem")
int read_vms(struct bpf_iter__bpf_map_elem *ctx)
{
	return write_entry(ctx, sizeof(__u64), sizeof(struct wb_vm_val));
}

SEC("iter/bpf_map_elem")
int read_victims(struct bpf_iter__bpf_map_elem *ctx)
{
	return write_entry(ctx, sizeof(struct wb_victim_key), sizeof(struct wb_victim_val));
}

static __always_inline void forget_vm(__u64 gen, __u64 kvm)
{
	__u64 *now = bpf_map_lookup_elem(&live, &kvm);

	table_delete(&vms, &gen);
	if (now && *now == gen)
		bpf_map_delete_elem(&live, &kvm);
}

SEC("syscall")
int forget(struct wb_forget *f)
{
	__u64 key[3] = { f->key[0], f->key[1], f->key[2] };
	struct wb_vcpu_val *e;

	switch (f->what) {
	case WB_FORGET_VCPU:
		e = find_vcpu(key[0]);
		/* Its address may belong to another by now. */
		if (e && e->gen == key[1])
			retire(key[0]);
		break;
	case WB_FORGET_RETIRED:
		table_delete(&retired, &key[0]);
		break;
	case WB_FORGET_VM:
		forget_vm(key[0], key[1]);
		break;
	case WB_FORGET_VICTIM:
		table_delete(&victims, key);
		break;
	}
	return 0;
}

static __always_inline __u64 more_of(__u64 before, __s64 found)
{
	/* One may be under way, which is no miss. */
	return found - 1 > (__s64)before ? found - 1 : before;
}

static long recount_place(__u32 i, void *ctx)
{
	struct wb_vcpu_val *e;
	struct wb_missed *m;
	struct kvm_counts c;
	__u64 vcpu, serial;

	if (i >= WB_PLACES)
		return 1;
	e = &places[i].vcpu;
	m = &missed[i];
	vcpu = e->vcpu;
	serial = e->serial;
	if (!e->gen || !e->based || !kvm_counts(vcpu, &c))
		return 0;
	/* Destroyed vCPUs lose their place before their memory. */
	if (e->vcpu != vcpu || e->serial != serial)
		return 0;
	if (m->serial != serial) {
		m->flushes = 0;
		m->skips = 0;
		m->serial = serial;
	}
	/* Ours after KVM's: what happens meanwhile makes it fewer, not more. */
	m->flushes = more_of(m->flushes, c.flushes - e->base_flushes - e->flushes);
	m->skips = more_of(m->skips, c.skips - e->base_skips - e->skips);
	return 0;
}

/*
 * Finds the exits that no program was run for, by KVM's own counts, where its
 * tracepoints are the source and the kernel has skipped some runs.
 */
SEC("syscall")
int recount(void *ctx)
{
	bpf_loop(WB_PLACES, recount_place, NULL, 0);
	return 0;
}

/* VMs that exist: files that are a VM or one of its vCPUs. */

#define VM_NAME	  "kvm-vm"
#define VCPU_NAME "kvm-vcpu"

#define ANON_INODE_FS_MAGIC 0x09041934 /* linux/magic.h */

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
	/* Of these alone the kernel gives the name: any other file may have been called so by its owner. */
	if (file->f_inode->i_sb->s_magic != ANON_INODE_FS_MAGIC)
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
	rec.policy = kvm_policy(kvm);
	bpf_seq_write(ctx->meta->seq, &rec, sizeof(rec));
	return 0;
}

#endif /* TABLES_BPF_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest: a loop in long mode, without an operating system, interrupts or
 * stack, that runs one instruction in batches and reports by port writes.
 *
 * Guest-physical layout: control memory (code, page tables, one page per
 * vCPU) from 0; memory to dirty from 4 GiB, clear of the APIC, TSS and
 * identity-map addresses below it.
 */
#ifndef WBINVDBENCH_GUEST_H
#define WBINVDBENCH_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kvm_regs;
struct kvm_sregs;

enum guest_insn {
	INSN_WBINVD,
	INSN_CPUID,
	INSN_NOP,
};

/* Ports the guest writes; neither is claimed by KVM without an in-kernel PIC. */
#define GUEST_PORT_BEGIN 0x10 /* memory is dirty, the batch comes next */
#define GUEST_PORT_END	 0x11 /* the batch is done */

#define GUEST_PAGE	 4096ULL
#define GUEST_DIRTY_GPA	 (4ULL << 30)
/* One page directory pointer table, less the four GiB below GUEST_DIRTY_GPA. */
#define GUEST_DIRTY_MAX	 (508ULL << 30)
#define GUEST_CACHE_LINE 64

/* Shared with the guest, one page per vCPU: the offsets are in guest.c's code. */
struct guest_ctl {
	uint64_t todo;	    /* host: instructions in the next batch, 0 is allowed */
	uint64_t executed;  /* guest: counted after each instruction */
	uint64_t dirty_gpa; /* host: first byte to dirty before a batch */
	uint64_t dirty_end; /* host: first byte not to dirty; same as dirty_gpa: none */
};

/* "wbinvd", "cpuid" or "nop". 0 or -EINVAL. */
int guest_insn_parse(const char *s, enum guest_insn *insn);
const char *guest_insn_name(enum guest_insn insn);

/* Bytes of control memory that vcpus vCPUs and dirty bytes in total need, whole pages. */
size_t guest_ctl_size(unsigned int vcpus, uint64_t dirty);

/* Fills zeroed control memory of guest_ctl_size() bytes with code and page tables. */
void guest_load(void *mem, uint64_t dirty);

/* The control page of one vCPU inside control memory. */
struct guest_ctl *guest_ctl(void *mem, unsigned int vcpu, uint64_t dirty);

/* Initial register state; sregs holds what KVM_GET_SREGS gave and is changed in place. */
void guest_set_sregs(struct kvm_sregs *sregs);
void guest_set_regs(struct kvm_regs *regs, enum guest_insn insn, unsigned int vcpu, uint64_t dirty);

/*
 * True when rip lies between the instruction and its counting: a vCPU stopped
 * there has run one instruction more than guest_ctl.executed says.
 */
bool guest_uncounted(enum guest_insn insn, uint64_t rip);

#endif /* WBINVDBENCH_GUEST_H */

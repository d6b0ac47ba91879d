// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>

#include <linux/kvm.h>

#include "guest.h"

#ifndef __x86_64__
#error "the guest is x86-64 code"
#endif

#define CODE_GPA 0x1000ULL
#define PML4_GPA 0x2000ULL
#define PDPT_GPA 0x3000ULL
#define PD_GPA	 0x4000ULL /* the first GiB, then those of the dirty memory */

#define PTE_PRESENT  (1ULL << 0)
#define PTE_WRITE    (1ULL << 1)
/* Set beforehand, so that no batch pays for the CPU setting them. */
#define PTE_ACCESSED (1ULL << 5)
#define PTE_DIRTY    (1ULL << 6)
#define PTE_LARGE    (1ULL << 7)

#define CR0_PE	 (1ULL << 0)
#define CR0_MP	 (1ULL << 1)
#define CR0_ET	 (1ULL << 4)
#define CR0_NE	 (1ULL << 5)
#define CR0_WP	 (1ULL << 16)
#define CR0_PG	 (1ULL << 31)
#define CR4_PAE	 (1ULL << 5)
#define EFER_LME (1ULL << 8)
#define EFER_LMA (1ULL << 10)

#define STR_(x) #x
#define STR(x)	STR_(x)

/*
 * %rdi: struct guest_ctl, %r8: instructions left.  cpuid overwrites %rax to
 * %rdx, so nothing lives there.
 */
/* clang-format off */
#define GUEST_LOOP(name, insn)						\
	".globl guest_" name ", guest_" name "_count\n"			\
	"guest_" name ":\n"						\
	"1:	mov 0(%rdi), %r8\n"					\
	"	mov 16(%rdi), %r10\n"					\
	"	mov 24(%rdi), %r11\n"					\
	"	cmp %r11, %r10\n"					\
	"	jae 3f\n"						\
	"2:	incq (%r10)\n"						\
	"	add $" STR(GUEST_CACHE_LINE) ", %r10\n"			\
	"	cmp %r11, %r10\n"					\
	"	jb 2b\n"						\
	"	out %al, $" STR(GUEST_PORT_BEGIN) "\n"			\
	"3:	test %r8, %r8\n"					\
	"	jz 5f\n"						\
	"4:	" insn "\n"						\
	"guest_" name "_count:\n"					\
	"	incq 8(%rdi)\n"						\
	"	dec %r8\n"						\
	"	jnz 4b\n"						\
	"5:	out %al, $" STR(GUEST_PORT_END) "\n"			\
	"	jmp 1b\n"

/* One statement: a compiler may reorder several, and the guest copies it whole. */
asm(".pushsection .rodata\n"
    ".globl guest_start, guest_end\n"
    "guest_start:\n"
    GUEST_LOOP("wbinvd", "wbinvd")
    GUEST_LOOP("cpuid", "xor %eax, %eax\n\txor %ecx, %ecx\n\tcpuid")
    GUEST_LOOP("nop", "nop")
    "guest_end:\n"
    ".popsection\n");
/* clang-format on */

extern const uint8_t guest_start[], guest_end[];
extern const uint8_t guest_wbinvd[], guest_wbinvd_count[];
extern const uint8_t guest_cpuid[], guest_cpuid_count[];
extern const uint8_t guest_nop[], guest_nop_count[];

static const struct {
	const char *name;
	const uint8_t *entry;
	const uint8_t *count; /* where the instruction is done but not yet counted */
} loops[] = {
	[INSN_WBINVD] = { "wbinvd", guest_wbinvd, guest_wbinvd_count },
	[INSN_CPUID] = { "cpuid", guest_cpuid, guest_cpuid_count },
	[INSN_NOP] = { "nop", guest_nop, guest_nop_count },
};

_Static_assert(offsetof(struct guest_ctl, todo) == 0, "guest code");
_Static_assert(offsetof(struct guest_ctl, executed) == 8, "guest code");
_Static_assert(offsetof(struct guest_ctl, dirty_gpa) == 16, "guest code");
_Static_assert(offsetof(struct guest_ctl, dirty_end) == 24, "guest code");

int guest_insn_parse(const char *s, enum guest_insn *insn)
{
	for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
		if (!strcmp(s, loops[i].name)) {
			*insn = i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *guest_insn_name(enum guest_insn insn)
{
	return loops[insn].name;
}

static uint64_t dirty_gib(uint64_t dirty)
{
	return (dirty + (1ULL << 30) - 1) >> 30;
}

static uint64_t ctl_gpa(unsigned int vcpu, uint64_t dirty)
{
	return PD_GPA + (1 + dirty_gib(dirty) + vcpu) * GUEST_PAGE;
}

size_t guest_ctl_size(unsigned int vcpus, uint64_t dirty)
{
	return ctl_gpa(vcpus, dirty);
}

static void map_gib(uint8_t *mem, unsigned int slot, unsigned int gib)
{
	uint64_t *pdpt = (uint64_t *)(mem + PDPT_GPA);
	uint64_t pd_gpa = PD_GPA + slot * GUEST_PAGE;
	uint64_t *pd = (uint64_t *)(mem + pd_gpa);

	pdpt[gib] = pd_gpa | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
	for (uint64_t i = 0; i < 512; i++)
		pd[i] = ((uint64_t)gib << 30) | (i << 21) | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED |
			PTE_DIRTY | PTE_LARGE;
}

void guest_load(void *mem, uint64_t dirty)
{
	uint8_t *base = mem;
	uint64_t *pml4 = (uint64_t *)(base + PML4_GPA);

	memcpy(base + CODE_GPA, guest_start, guest_end - guest_start);
	pml4[0] = PDPT_GPA | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
	map_gib(base, 0, 0);
	for (uint64_t i = 0; i < dirty_gib(dirty); i++)
		map_gib(base, 1 + i, (GUEST_DIRTY_GPA >> 30) + i);
}

struct guest_ctl *guest_ctl(void *mem, unsigned int vcpu, uint64_t dirty)
{
	return (struct guest_ctl *)((uint8_t *)mem + ctl_gpa(vcpu, dirty));
}

static uint64_t code_gpa(const uint8_t *label)
{
	return CODE_GPA + (label - guest_start);
}

void guest_set_sregs(struct kvm_sregs *sregs)
{
	struct kvm_segment code = {
		.limit = 0xffffffff,
		.selector = 0x8,
		.type = 0xb,
		.present = 1,
		.s = 1,
		.l = 1,
		.g = 1,
	};
	struct kvm_segment data = {
		.limit = 0xffffffff,
		.selector = 0x10,
		.type = 0x3,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1,
	};

	sregs->cs = code;
	sregs->ds = data;
	sregs->es = data;
	sregs->fs = data;
	sregs->gs = data;
	sregs->ss = data;
	sregs->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	sregs->cr3 = PML4_GPA;
	sregs->cr4 = CR4_PAE;
	sregs->efer = EFER_LME | EFER_LMA;
}

void guest_set_regs(struct kvm_regs *regs, enum guest_insn insn, unsigned int vcpu, uint64_t dirty)
{
	memset(regs, 0, sizeof(*regs));
	regs->rip = code_gpa(loops[insn].entry);
	regs->rdi = ctl_gpa(vcpu, dirty);
	regs->rflags = 2; /* the bit that is always set: interrupts stay off */
}

bool guest_uncounted(enum guest_insn insn, uint64_t rip)
{
	return rip == code_gpa(loops[insn].count);
}

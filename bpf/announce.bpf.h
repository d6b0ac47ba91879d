/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Before it flushes, a vCPU is announced to the CPUs that will be interrupted,
 * so that the callback finds there whether it has one cause, several, or none
 * that we know.
 *
 * An announcement is one atomic addition to the CPU's word in the targets
 * map: 1 in the upper bits, and the vCPU's address in the lower ones.  One
 * flusher alone is thereby named; n of them give between n and 2n - 1 in the
 * upper bits, which hold up to 1,023 flushers of one CPU.  Addresses are
 * stored without their low 3 bits, which are 0, and their high 8, which are 1
 * (5-level paging uses the other 56).
 */
#ifndef ANNOUNCE_BPF_H
#define ANNOUNCE_BPF_H

#include "maps.bpf.h"

#define ADDR_BITS 53
#define ADDR_MASK ((1ULL << ADDR_BITS) - 1)

static __always_inline __u64 announcement(__u64 vcpu)
{
	return (1ULL << ADDR_BITS) + ((vcpu >> 3) & ADDR_MASK);
}

static __always_inline __u64 announced_vcpu(__u64 word)
{
	return (word & ADDR_MASK) << 3 | 0xffULL << 56;
}

#define WORD_BITS 64

extern const struct cpuhp_cpu_state cpuhp_state __ksym __weak;

/* What is done with the CPUs of a mask. */
struct mask_ctx {
	struct wb_vcpu_val *e;
	__u64 from; /* address of the mask in the kernel */
	__u64 bits; /* those of the current word that are still to do */
	__u64 add;  /* to the target of each CPU */
	__u32 word;
	__u32 count;
	__u32 self; /* CPU that is left out, or NO_CPU */
};

#define NO_CPU (~0U)

/*
 * Whether the kernel would send it an interrupt.  cpu_online_mask has no type information;
 * a CPU leaves it, while all others stand still, between this state and the one below
 * (take_cpu_down), and joins it a few instructions after it has come to this state (start_secondary).
 */
static __always_inline bool cpu_is_online(__u32 cpu)
{
	const struct cpuhp_cpu_state *st;

	if (!&cpuhp_state)
		return true;
	st = bpf_per_cpu_ptr(&cpuhp_state, cpu);
	return st && st->state >= bpf_core_enum_value(enum cpuhp_state, CPUHP_AP_ONLINE);
}

/* Takes a CPU from those that are still to do. */
static __always_inline __u32 next_cpu(struct mask_ctx *c)
{
	__u64 lowest = c->bits & -c->bits;

	c->bits ^= lowest;
	return c->word * WORD_BITS + wb_log2(lowest);
}

/* Loops are helpers' with callbacks: the verifier walks a callback once, a loop 64 times. */
static long add_to_target(__u32 i, struct mask_ctx *c)
{
	__u64 *target;
	__u32 cpu;

	if (!c->bits)
		return 1;
	cpu = next_cpu(c);
	target = bpf_map_lookup_elem(&targets, &cpu);
	if (target)
		__sync_fetch_and_add(target, c->add);
	return 0;
}

/*
 * Apart from the other, as a program that refers to cpuhp_state does not load where the kernel has
 * its type information but, without CONFIG_KALLSYMS_ALL, not its address.
 */
static long count_if_online(__u32 i, struct mask_ctx *c)
{
	if (!c->bits)
		return 1;
	c->count += cpu_is_online(next_cpu(c));
	return 0;
}

static long announce_word(__u32 i, struct mask_ctx *c)
{
	if (i >= mask_words || i >= WB_MAX_MASK_WORDS)
		return 1;
	c->bits = 0;
	bpf_probe_read_kernel(&c->bits, sizeof(c->bits), (void *)(c->from + 8 * i));
	if (c->self / WORD_BITS == i)
		c->bits &= ~(1ULL << (c->self % WORD_BITS));
	c->e->mask[i] = c->bits;
	if (!c->bits)
		return 0;
	c->e->published = 1;
	c->word = i;
	bpf_loop(WORD_BITS, add_to_target, c, 0);
	return 0;
}

static long withdraw_word(__u32 i, struct mask_ctx *c)
{
	if (i >= mask_words || i >= WB_MAX_MASK_WORDS)
		return 1;
	c->bits = c->e->mask[i];
	c->word = i;
	bpf_loop(WORD_BITS, add_to_target, c, 0);
	return 0;
}

static long count_word(__u32 i, struct mask_ctx *c)
{
	if (i >= mask_words || i >= WB_MAX_MASK_WORDS)
		return 1;
	c->bits = 0;
	bpf_probe_read_kernel(&c->bits, sizeof(c->bits), (void *)(c->from + 8 * i));
	c->word = i;
	bpf_loop(WORD_BITS, count_if_online, c, 0);
	return 0;
}

/* One word is the common case, and a loop through a helper costs more. */
#define for_each_mask_word(fn, ctx)                       \
	do {                                              \
		if (mask_words == 1)                      \
			fn(0, ctx);                       \
		else                                      \
			bpf_loop(mask_words, fn, ctx, 0); \
	} while (0)

/*
 * Where it cannot be preempted before KVM sends its interrupts, the current CPU is
 * certain not to get one.
 */
static __noinline int announce(struct wb_vcpu_val *e, bool preemptible)
{
	struct mask_ctx c = { .e = e, .self = NO_CPU };

	if (!e)
		return 0;
	c.from = dirty_mask(e->vcpu);
	c.add = announcement(e->vcpu);
	if (!c.from)
		return 0;
	if (!preemptible)
		c.self = bpf_get_smp_processor_id();
	else
		e->published = 1;
	for_each_mask_word(announce_word, &c);
	return 0;
}

static __noinline int withdraw(struct wb_vcpu_val *e)
{
	struct mask_ctx c = { .e = e };

	if (!e)
		return 0;
	c.add = -announcement(e->vcpu);
	for_each_mask_word(withdraw_word, &c);
	e->published = 0;
	return 0;
}

/*
 * CPUs that a flush reaches: those of the mask that are online, and with_self
 * the current one, which KVM adds to the mask just before it flushes.
 */
static __noinline __u32 count_cpus(__u64 vcpu, bool with_self)
{
	struct mask_ctx c = { .from = dirty_mask(vcpu) };
	__u32 cpu = bpf_get_smp_processor_id();
	__u64 bits = 0;

	if (!c.from)
		return 0;
	for_each_mask_word(count_word, &c);
	if (with_self) {
		bpf_probe_read_kernel(&bits, sizeof(bits), (void *)(c.from + cpu / WORD_BITS * 8));
		if (!(bits >> (cpu % WORD_BITS) & 1))
			c.count++;
	}
	return c.count;
}

#endif /* ANNOUNCE_BPF_H */

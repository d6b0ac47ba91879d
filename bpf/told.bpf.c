// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoint source of wbinvdtop on a kernel without type information: all
 * that it knows is what the tracepoint says, and the current process.
 *
 * Each exit has one kvm_wbinvd_end, so that one program counts all.  The kernel
 * counts those that it skips because its CPU is in the middle of the program.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "wbinvd_abi.h"

char LICENSE[] SEC("license") = "GPL";

#define REASON_EMULATED 0
#define REASON_POLICY	2

struct wb_told places[WB_TOLD_SETS * WB_TOLD_WAYS];
/* Exits that found no place. */
__u64 full;
__u64 epoch = 1ULL << WB_MAX_NS_BITS;

#define add(p, n) __sync_fetch_and_add(p, n)

static __always_inline struct wb_told *find_place(__u64 key)
{
	__u32 set = (__u32)((key ^ key >> 32) * 0x9e3779b1U) >> 24;
	__u64 seen;
	int i;

	set &= WB_TOLD_SETS - 1;
	for (i = 0; i < WB_TOLD_WAYS; i++) {
		struct wb_told *p = &places[set * WB_TOLD_WAYS + i];

		if (p->key == key)
			return p;
	}
	for (i = 0; i < WB_TOLD_WAYS; i++) {
		struct wb_told *p = &places[set * WB_TOLD_WAYS + i];

		seen = __sync_val_compare_and_swap(&p->key, 0, key);
		if (!seen)
			bpf_get_current_comm(p->comm, sizeof(p->comm));
		if (!seen || seen == key)
			return p;
	}
	return NULL;
}

static __always_inline void raise(__u64 *max, __u64 word)
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

SEC("raw_tp/kvm_wbinvd_end")
int told_end(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 key = bpf_get_current_pid_tgid() >> 32 << 32 | (__u32)ctx->args[0];
	__u32 reason = ctx->args[1], cpus = ctx->args[2], slot;
	__u64 ns = ctx->args[3], now = epoch, word;
	struct wb_told *p;

	/* A flush because the vCPU has moved is no exit. */
	if (reason > REASON_POLICY)
		return 0;
	p = find_place(key);
	if (!p) {
		add(&full, 1);
		return 0;
	}
	add(&p->emulation_ns, ns);
	slot = wb_hist_slot(ns);
	if (slot < WB_HIST_SLOTS)
		add(&p->hist[slot], 1);
	word = now | (ns > WB_MAX_NS_MASK ? WB_MAX_NS_MASK : ns);
	raise(&p->max[now >> WB_MAX_NS_BITS & 1], word);
	raise(&p->max_ns, ns);
	p->last_reason = reason;
	if (reason == REASON_EMULATED) {
		add(&p->cpus_flushed, cpus);
		add(&p->flushes, 1);
		return 0;
	}
	if (reason == REASON_POLICY)
		add(&p->skips_policy, 1);
	add(&p->skips, 1);
	return 0;
}

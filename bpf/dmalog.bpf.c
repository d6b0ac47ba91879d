// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel's tracepoints tell of attachments, maps, flushes of the CPU
 * caches, boxes and policies.  Raw tracepoints with numbers and names as
 * arguments: no type information of the kernel is needed.
 *
 * What is rare goes to user space as it happens.  Maps and flushes, of which a
 * VM's start makes many, are counted here.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "dmalog_abi.h"

char LICENSE[] SEC("license") = "GPL";

struct dmalog_ioas ioas[DMALOG_SETS * DMALOG_WAYS];
/* The last one is of reasons that are not known here. */
struct dmalog_flush flushes[DMALOG_REASONS + 1];
struct dmalog_losses losses;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

/*
 * What a thread has flushed and not yet been told for which map or attachment:
 * that event follows in the same thread.  Least recently used first out, for
 * one that never comes.
 */
struct pending {
	__u64 bytes;
	__u64 ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct pending);
} pending SEC(".maps");

/* ctx->args[] of numbers that are narrower than 64 bits: the rest is not defined. */
#define U32(n)	((__s64)(__u32)ctx->args[n])
#define S32(n)	((__s64)(__s32)ctx->args[n])
#define U16(n)	((__s64)(__u16)ctx->args[n])
#define BOOL(n) ((__s64)(ctx->args[n] & 1))

static __always_inline struct dmalog_event *new_event(enum dmalog_kind kind, __u64 dev)
{
	struct dmalog_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	__u64 id = bpf_get_current_pid_tgid();

	if (!e) {
		__sync_fetch_and_add(&losses.events, 1);
		return NULL;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->time_ns = bpf_ktime_get_ns();
	e->kind = kind;
	e->pid = id >> 32;
	e->tid = id;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	if (dev)
		bpf_probe_read_kernel_str(e->dev, sizeof(e->dev), (void *)dev);
	return e;
}

static __always_inline void take_pending(struct pending *to)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct pending *p = bpf_map_lookup_elem(&pending, &id);

	to->bytes = 0;
	to->ns = 0;
	if (p) {
		*to = *p;
		bpf_map_delete_elem(&pending, &id);
	}
}

static __always_inline int attachment(struct bpf_raw_tracepoint_args *ctx, enum dmalog_kind kind)
{
	struct dmalog_event *e;
	struct pending flushed;

	take_pending(&flushed);
	e = new_event(kind, ctx->args[0]);
	if (!e)
		return 0;
	e->group = S32(1);
	e->pasid = U32(2);
	e->hwpt = U32(3);
	e->old_hwpt = U32(4);
	e->ioas = U32(5);
	e->nested = BOOL(6);
	e->coherency = U32(7);
	e->can_enforce = BOOL(8);
	e->policy = U32(9);
	e->rc = S32(10);
	e->flushed_bytes = flushed.bytes;
	e->flush_ns = flushed.ns;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

SEC("raw_tp/iommufd_attach")
int on_attach(struct bpf_raw_tracepoint_args *ctx)
{
	return attachment(ctx, DMALOG_ATTACH);
}

SEC("raw_tp/iommufd_replace")
int on_replace(struct bpf_raw_tracepoint_args *ctx)
{
	return attachment(ctx, DMALOG_REPLACE);
}

SEC("raw_tp/iommufd_detach")
int on_detach(struct bpf_raw_tracepoint_args *ctx)
{
	return attachment(ctx, DMALOG_DETACH);
}

SEC("raw_tp/iommufd_hwpt_alloc")
int on_hwpt(struct bpf_raw_tracepoint_args *ctx)
{
	struct pending flushed = {};
	struct dmalog_event *e;

	/* An attachment that has allocated it follows, and tells. */
	if (!BOOL(4))
		take_pending(&flushed);
	e = new_event(DMALOG_HWPT, ctx->args[2]);
	if (!e)
		return 0;
	e->flushed_bytes = flushed.bytes;
	e->flush_ns = flushed.ns;
	e->hwpt = U32(0);
	e->ioas = U32(1);
	e->is_auto = BOOL(4);
	e->coherency = U32(5);
	e->rc = S32(6);
	bpf_ringbuf_submit(e, 0);
	return 0;
}

SEC("raw_tp/vfio_dma_coherency")
int on_box(struct bpf_raw_tracepoint_args *ctx)
{
	struct dmalog_event *e = new_event(DMALOG_BOX, ctx->args[0]);

	if (!e)
		return 0;
	e->old_box = U32(1);
	e->box = U32(2);
	e->group = S32(3);
	bpf_ringbuf_submit(e, 0);
	return 0;
}

SEC("raw_tp/vfio_pci_no_snoop")
int on_no_snoop(struct bpf_raw_tracepoint_args *ctx)
{
	struct dmalog_event *e = new_event(DMALOG_NO_SNOOP, ctx->args[0]);

	if (!e)
		return 0;
	e->op = U32(1);
	e->before = U16(2);
	e->after = U16(3);
	bpf_ringbuf_submit(e, 0);
	return 0;
}

SEC("raw_tp/kvm_noncoherent_dma")
int on_kvm(struct bpf_raw_tracepoint_args *ctx)
{
	struct dmalog_event *e = new_event(DMALOG_KVM, 0);

	if (!e)
		return 0;
	e->vm_pid = S32(0);
	e->count = U32(1);
	e->policy = ctx->args[2];
	e->before = U32(3);
	e->after = U32(4);
	e->zapped = BOOL(5);
	bpf_ringbuf_submit(e, 0);
	return 0;
}

/* The place of an IOAS of the current process, taken where it has none; NULL: its set is full. */
static __always_inline struct dmalog_ioas *find_ioas(__u32 id)
{
	__u64 key = bpf_get_current_pid_tgid() >> 32 << 32 | id;
	__u32 set = (__u32)((key ^ key >> 32) * 0x9e3779b1U) >> 24;
	struct dmalog_ioas *free = NULL;
	__u64 seen;
	int i;

	/* No address of the array is computed before its index is known to be inside. */
	set &= DMALOG_SETS - 1;
	for (i = 0; i < DMALOG_WAYS; i++) {
		struct dmalog_ioas *p = &ioas[set * DMALOG_WAYS + i];

		if (p->key == key)
			return p;
	}
	for (i = 0; i < DMALOG_WAYS; i++) {
		free = &ioas[set * DMALOG_WAYS + i];
		seen = __sync_val_compare_and_swap(&free->key, 0, key);
		/* Ours, or another thread of the process was faster. */
		if (!seen) {
			bpf_get_current_comm(free->comm, sizeof(free->comm));
			return free;
		}
		if (seen == key)
			return free;
	}
	return NULL;
}

SEC("raw_tp/iommufd_ioas_map")
int on_map(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 length = ctx->args[2];
	struct dmalog_ioas *p;
	struct pending flushed;

	take_pending(&flushed);
	p = find_ioas(ctx->args[0]);
	if (!p) {
		__sync_fetch_and_add(&losses.maps, 1);
		return 0;
	}
	if (S32(7)) {
		__sync_fetch_and_add(&p->failed, 1);
	} else {
		__sync_fetch_and_add(&p->bytes, length);
		if (U32(5))
			__sync_fetch_and_add(&p->noncoherent_bytes, length);
	}
	__sync_fetch_and_add(&p->flushed_bytes, ctx->args[6]);
	__sync_fetch_and_add(&p->flush_ns, flushed.ns);
	/* Last: who sees the map sees what belongs to it, or it comes an interval later. */
	__sync_fetch_and_add(&p->maps, 1);
	return 0;
}

/* By the process that unpins: its own call, or its exit.  What a kernel thread does is nobody's. */
static __always_inline void count_unpin(__u64 bytes, __u64 ns)
{
	struct dmalog_ioas *p;

	/* The key of an idle task would be that of a free place. */
	if (!(bpf_get_current_pid_tgid() >> 32))
		return;
	p = find_ioas(DMALOG_UNPINS);
	if (!p) {
		__sync_fetch_and_add(&losses.maps, 1);
		return;
	}
	__sync_fetch_and_add(&p->flushed_bytes, bytes);
	__sync_fetch_and_add(&p->flush_ns, ns);
	__sync_fetch_and_add(&p->maps, 1);
}

SEC("raw_tp/iommufd_cache_flush")
int on_flush(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct pending first = { .bytes = ctx->args[1], .ns = ctx->args[2] }, *p;
	__u32 reason = ctx->args[0];

	if (reason > DMALOG_REASONS)
		reason = DMALOG_REASONS;
	__sync_fetch_and_add(&flushes[reason].flushes, 1);
	__sync_fetch_and_add(&flushes[reason].bytes, first.bytes);
	__sync_fetch_and_add(&flushes[reason].ns, first.ns);
	if (reason == DMALOG_FLUSH_UNPIN)
		count_unpin(first.bytes, first.ns);
	if (reason != DMALOG_FLUSH_MAP && reason != DMALOG_FLUSH_ATTACH)
		return 0;
	p = bpf_map_lookup_elem(&pending, &id);
	if (!p) {
		bpf_map_update_elem(&pending, &id, &first, BPF_ANY);
		return 0;
	}
	p->bytes += first.bytes;
	p->ns += first.ns;
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
#include "fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "../lib/devices.h"

#define NSEC_PER_SEC 1000000000LL

static void set_u64(struct out_value *v, uint64_t u)
{
	v->type = OUT_U64;
	v->u = u;
}

static void set_u64_if(struct out_value *v, bool known, uint64_t u)
{
	if (known)
		set_u64(v, u);
}

static void set_f64(struct out_value *v, double f)
{
	v->type = OUT_F64;
	v->f = f;
}

static void set_bool(struct out_value *v, bool b)
{
	v->type = OUT_BOOL;
	v->b = b;
}

static void set_str(struct out_value *v, const char *s)
{
	if (!s)
		return;
	v->type = OUT_STR;
	v->s = s;
}

enum stat_item {
	STAT_exits,
	STAT_flushes,
	STAT_skips,
	STAT_untimed,
	STAT_emulation_ns,
	STAT_stall_ns,
	STAT_stall_idle_ns,
	STAT_cpus_flushed,
	STAT_mean_ns,
	STAT_p50_ns,
	STAT_p99_ns,
	STAT_max_ns,
	STAT_skips_coherent,
	STAT_skips_policy,
};

static void stat_value(const struct wb_stat *s, unsigned int known, enum stat_item item,
		       struct out_value *v)
{
	switch (item) {
	case STAT_exits:
		return set_u64(v, s->c.exits);
	case STAT_flushes:
		return set_u64_if(v, known & WB_KNOWN_OUTCOME, s->c.flushes);
	case STAT_skips:
		return set_u64_if(v, known & WB_KNOWN_OUTCOME, s->c.skips);
	case STAT_untimed:
		return set_u64_if(v, known & WB_KNOWN_TIME, s->c.untimed);
	case STAT_emulation_ns:
		return set_u64_if(v, known & WB_KNOWN_TIME, s->c.emulation_ns);
	case STAT_stall_ns:
		return set_u64_if(v, known & WB_KNOWN_STALL, s->c.stall_ns);
	case STAT_stall_idle_ns:
		return set_u64_if(v, known & WB_KNOWN_STALL, s->c.stall_idle_ns);
	case STAT_cpus_flushed:
		return set_u64_if(v, known & WB_KNOWN_CPUS, s->c.cpus_flushed);
	case STAT_mean_ns:
		return set_u64_if(v, (known & WB_KNOWN_TIME) && s->timed, s->mean_ns);
	case STAT_p50_ns:
		return set_u64_if(v, (known & WB_KNOWN_TIME) && s->p50_ns, s->p50_ns);
	case STAT_p99_ns:
		return set_u64_if(v, (known & WB_KNOWN_TIME) && s->p99_ns, s->p99_ns);
	case STAT_max_ns:
		return set_u64_if(v, (known & WB_KNOWN_TIME) && s->max_ns, s->max_ns);
	case STAT_skips_coherent:
		return set_u64_if(v, known & WB_KNOWN_REASON, s->c.skips - s->c.skips_policy);
	case STAT_skips_policy:
		return set_u64_if(v, known & WB_KNOWN_REASON, s->c.skips_policy);
	}
}

enum derived_item {
	RATE_EXITS,
	RATE_FLUSHES,
	RATE_SKIPS,
	CPUS_PER_FLUSH,
	SHARE_EMULATION,
	SHARE_STOLEN,
	SHARE_STOLEN_IDLE,
};

static double per_second(uint64_t n, const struct frame *f)
{
	return (double)n * NSEC_PER_SEC / (double)f->interval_ns;
}

static double percent(uint64_t ns, const struct frame *f)
{
	return 100.0 * (double)ns / (double)f->interval_ns;
}

static void derived_value(const struct wb_stat *s, const struct frame *f, enum derived_item item,
			  struct out_value *v)
{
	unsigned int known = f->cur->known;

	if (!f->interval_ns)
		return;
	switch (item) {
	case RATE_EXITS:
		return set_f64(v, per_second(s->c.exits, f));
	case RATE_FLUSHES:
		if (known & WB_KNOWN_OUTCOME)
			set_f64(v, per_second(s->c.flushes, f));
		return;
	case RATE_SKIPS:
		if (known & WB_KNOWN_OUTCOME)
			set_f64(v, per_second(s->c.skips, f));
		return;
	case CPUS_PER_FLUSH:
		if ((known & WB_KNOWN_OUTCOME) && (known & WB_KNOWN_CPUS) && s->c.flushes)
			set_f64(v, (double)s->c.cpus_flushed / (double)s->c.flushes);
		return;
	case SHARE_EMULATION:
		if (known & WB_KNOWN_TIME)
			set_f64(v, percent(s->c.emulation_ns, f));
		return;
	case SHARE_STOLEN:
		if (known & WB_KNOWN_STALL)
			set_f64(v, percent(s->c.stall_ns, f));
		return;
	case SHARE_STOLEN_IDLE:
		if (known & WB_KNOWN_STALL)
			set_f64(v, percent(s->c.stall_idle_ns, f));
		return;
	}
}

/*
 * A getter is told the row alone, so that each list has one per object and
 * counter.  X(fn, row, stat, path, title, shown, item, unit, title, help): stat
 * leads from the row to its struct wb_stat, shown puts durations into tables.
 */
#define STATS(X, ...)                                                                            \
	X(__VA_ARGS__, exits, COUNT, "exits", "WBINVD/WBNOINVD that reached KVM, each once")     \
	X(__VA_ARGS__, flushes, COUNT, "flush", "of these, those that flushed CPUs")             \
	X(__VA_ARGS__, skips, COUNT, "skip", "of these, those that flushed nothing")             \
	X(__VA_ARGS__, untimed, COUNT, "untim", "of these, those of which one end was not seen") \
	X(__VA_ARGS__, emulation_ns, NS, "emul", "time the timed exits took")                    \
	X(__VA_ARGS__, stall_ns, NS, "stolen", "flush callback time on other, busy CPUs")        \
	X(__VA_ARGS__, stall_idle_ns, NS, "idle", "flush callback time on other, idle CPUs")     \
	X(__VA_ARGS__, cpus_flushed, COUNT, "CPUs", "CPUs flushed, the vCPU's own included")     \
	X(__VA_ARGS__, mean_ns, NS, "mean", "mean of the timed exits")                           \
	X(__VA_ARGS__, p50_ns, NS, "p50", "median, upper bucket bound")                          \
	X(__VA_ARGS__, p99_ns, NS, "p99", "99th percentile, upper bucket bound")                 \
	X(__VA_ARGS__, max_ns, NS, "max", "longest of the timed exits")                          \
	X(__VA_ARGS__, skips_coherent, COUNT, "skip.c", "skips because the VM is coherent")      \
	X(__VA_ARGS__, skips_policy, COUNT, "skip.p", "skips because of the VM's policy")

#define STAT_GETTER(fn, row, stat, path, pfx, shown, item, unit, title, help) \
	static void fn##_##item(const void *p, struct out_value *v)           \
	{                                                                     \
		const struct row *r = p;                                      \
                                                                              \
		stat_value(&r->stat, r->frame->cur->known, STAT_##item, v);   \
	}

#define STAT_FIELD(fn, row, stat, path, pfx, shown, item, unit, title, help)                       \
	{ path #item,                                                                              \
	  pfx title,                                                                               \
	  help,                                                                                    \
	  OUT_##unit,                                                                              \
	  (shown) && STAT_##item >= STAT_mean_ns && STAT_##item <= STAT_max_ns ? OUT_IN_TABLE : 0, \
	  sizeof(pfx title) > 7 ? sizeof(pfx title) - 1 : 6,                                       \
	  fn##_##item },

#define SUM_TOTAL(X)  STATS(X, sum_total, frame_row, frame->sum_total, "sum.total.", "t.", 0)
#define SUM_DELTA(X)  STATS(X, sum_delta, frame_row, frame->sum_delta, "sum.delta.", "", 0)
#define VM_TOTAL(X)   STATS(X, vm_total, vm_row, vm->total, "total.", "t.", 0)
#define VM_DELTA(X)   STATS(X, vm_delta, vm_row, vm->delta, "delta.", "", 1)
#define VCPU_TOTAL(X) STATS(X, vcpu_total, vcpu_row, vcpu->total, "total.", "t.", 0)
#define VCPU_DELTA(X) STATS(X, vcpu_delta, vcpu_row, vcpu->delta, "delta.", "", 1)

/* Before the durations of the interval, and after them. */
#define RATES(X, ...)                                                                           \
	X(__VA_ARGS__, RATE_EXITS, PER_S, "rate.exits", "WBINVD/s", 8, "exits per second")      \
	X(__VA_ARGS__, RATE_FLUSHES, PER_S, "rate.flushes", "flush/s", 7, "flushes per second") \
	X(__VA_ARGS__, RATE_SKIPS, PER_S, "rate.skips", "skip/s", 6, "skips per second")        \
	X(__VA_ARGS__, CPUS_PER_FLUSH, PLAIN, "cpus_per_flush", "CPUs", 5, "CPUs flushed per flush")
#define SHARES(X, ...)                                                              \
	X(__VA_ARGS__, SHARE_EMULATION, PERCENT, "share.emulation", "%emul", 5,     \
	  "share of one CPU spent emulating")                                       \
	X(__VA_ARGS__, SHARE_STOLEN, PERCENT, "share.stolen", "%stolen", 7,         \
	  "share of one CPU stolen from other, busy CPUs")                          \
	X(__VA_ARGS__, SHARE_STOLEN_IDLE, PERCENT, "share.stolen_idle", "%idle", 5, \
	  "flush time of idle CPUs as a share of one CPU: nobody lost that")

#define DERIVED_GETTER(fn, row, stat, item, unit, path, title, width, help) \
	static void fn##_##item(const void *p, struct out_value *v)         \
	{                                                                   \
		const struct row *r = p;                                    \
                                                                            \
		derived_value(&r->stat, r->frame, item, v);                 \
	}

#define DERIVED_FIELD(fn, row, stat, item, unit, path, title, width, help) \
	{ path, title, help, OUT_##unit, OUT_IN_TABLE | OUT_DERIVED, width, fn##_##item },

#define VM_RATES(X)    RATES(X, vm, vm_row, vm->delta)
#define VM_SHARES(X)   SHARES(X, vm, vm_row, vm->delta)
#define VCPU_RATES(X)  RATES(X, vcpu, vcpu_row, vcpu->delta)
#define VCPU_SHARES(X) SHARES(X, vcpu, vcpu_row, vcpu->delta)

#define GET(fn, row_type)                                                   \
	static void fn##_of(const struct row_type *r, struct out_value *v); \
	static void fn(const void *p, struct out_value *v)                  \
	{                                                                   \
		fn##_of(p, v);                                              \
	}                                                                   \
	static void fn##_of(const struct row_type *r, struct out_value *v)

/* The host's line of a frame. */

static void frame_schema(const void *p, struct out_value *v)
{
	(void)p;
	set_str(v, WB_SCHEMA);
}

GET(frame_source, frame_row)
{
	set_str(v, r->src->name);
}

GET(frame_kernel, frame_row)
{
	set_str(v, r->src->kernel);
}

GET(frame_time, frame_row)
{
	set_str(v, r->time);
}

GET(frame_time_ns, frame_row)
{
	set_u64(v, r->frame->cur->time_ns);
}

GET(frame_interval, frame_row)
{
	set_u64(v, r->frame->interval_ns);
}

GET(frame_time_scope, frame_row)
{
	if (r->frame->cur->known & WB_KNOWN_TIME)
		set_str(v, r->src->time_scope);
}

GET(frame_notice, frame_row)
{
	set_str(v, r->src->notice);
}

GET(frame_lost_total, frame_row)
{
	set_u64(v, r->frame->lost_total);
}

GET(frame_lost_delta, frame_row)
{
	set_u64(v, r->frame->lost_delta);
}

SUM_TOTAL(STAT_GETTER)
SUM_DELTA(STAT_GETTER)

const struct out_field frame_fields[] = {
	{ "schema", "schema", "name and version of this format", OUT_PLAIN, OUT_LEFT, 12,
	  frame_schema },
	{ "source", "source", "where the readings come from", OUT_PLAIN, OUT_LEFT, 7,
	  frame_source },
	{ "kernel", "kernel", "release of the kernel that was read", OUT_PLAIN, OUT_LEFT, 20,
	  frame_kernel },
	{ "time", "time", "wall clock of the reading, UTC", OUT_PLAIN, OUT_LEFT, 30, frame_time },
	{ "time_ns", "time_ns", "CLOCK_MONOTONIC of the reading, ns", OUT_PLAIN, 0, 16,
	  frame_time_ns },
	{ "interval_ns", "interval", "length of the interval", OUT_NS, 0, 8, frame_interval },
	{ "time_scope", "scope", "what emulation_ns covers: function or exit", OUT_PLAIN, OUT_LEFT,
	  8, frame_time_scope },
	{ "notice", "notice", "what is to be said about the source", OUT_PLAIN, OUT_LEFT, 40,
	  frame_notice },
	{ "lost.total", "t.lost", "exits that were not counted", OUT_COUNT, 0, 6,
	  frame_lost_total },
	{ "lost.delta", "lost", "exits that were not counted in the interval", OUT_COUNT, 0, 6,
	  frame_lost_delta },
	/* clang-format off */
	SUM_TOTAL(STAT_FIELD)
	SUM_DELTA(STAT_FIELD)
	{ 0 }
	/* clang-format on */
};

/* A VM. */

GET(vm_id, vm_row)
{
	set_str(v, r->vm->cur->id);
}

GET(vm_pid, vm_row)
{
	set_u64(v, r->vm->cur->pid);
}

GET(vm_start, vm_row)
{
	set_u64_if(v, r->vm->cur->start, r->vm->cur->start);
}

GET(vm_name, vm_row)
{
	set_str(v, r->label ? r->label : r->vm->cur->name);
}

GET(vm_ended, vm_row)
{
	set_bool(v, r->vm->cur->ended);
}

GET(vm_noncoherent, vm_row)
{
	if (r->vm->cur->noncoherent != WB_UNKNOWN)
		set_bool(v, r->vm->cur->noncoherent == WB_YES);
}

GET(vm_policy, vm_row)
{
	static const char *const names[] = {
		[WB_POLICY_UNKNOWN] = NULL,
		[WB_POLICY_NONE] = "none",
		[WB_POLICY_FORCE] = "force",
		[WB_POLICY_PAUSE] = "pause",
	};

	set_str(v, names[r->vm->cur->policy]);
}

VM_TOTAL(STAT_GETTER)
VM_DELTA(STAT_GETTER)
VM_RATES(DERIVED_GETTER)
VM_SHARES(DERIVED_GETTER)

const struct out_field vm_fields[] = {
	{ "id", "id", "PID-FD as in debugfs kvm/", OUT_PLAIN, OUT_LEFT, 12, vm_id },
	{ "pid", "pid", "process of the VM", OUT_PLAIN, OUT_IN_TABLE, 7, vm_pid },
	{ "start", "start", "start of the process, clock ticks since boot", OUT_PLAIN, 0, 12,
	  vm_start },
	{ "name", "name", "QEMU -name, libvirt's name, else the command", OUT_PLAIN,
	  OUT_IN_TABLE | OUT_LEFT, 16, vm_name },
	{ "ended", "ended", "the VM is gone, this is its last frame", OUT_PLAIN, 0, 5, vm_ended },
	{ "noncoherent", "NC", "non-coherent DMA: its WBINVDs flush", OUT_PLAIN, OUT_IN_TABLE, 3,
	  vm_noncoherent },
	{ "policy", "policy", "what user space has KVM do: none, force (as if coherent), pause",
	  OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT, 6, vm_policy },
	/* clang-format off */
	VM_TOTAL(STAT_FIELD)
	VM_RATES(DERIVED_FIELD)
	VM_DELTA(STAT_FIELD)
	VM_SHARES(DERIVED_FIELD)
	{ 0 }
	/* clang-format on */
};

/* A vCPU. */

GET(vcpu_id, vcpu_row)
{
	set_u64(v, r->vcpu->cur->id);
}

VCPU_TOTAL(STAT_GETTER)
VCPU_DELTA(STAT_GETTER)
VCPU_RATES(DERIVED_GETTER)
VCPU_SHARES(DERIVED_GETTER)

const struct out_field vcpu_fields[] = {
	{ "id", "vCPU", "number of the vCPU", OUT_PLAIN, OUT_IN_TABLE, 5, vcpu_id },
	/* clang-format off */
	VCPU_TOTAL(STAT_FIELD)
	VCPU_RATES(DERIVED_FIELD)
	VCPU_DELTA(STAT_FIELD)
	VCPU_SHARES(DERIVED_FIELD)
	{ 0 }
	/* clang-format on */
};

/* A victim. */

GET(victim_kind, victim_row)
{
	static const char *const kinds[] = { "vm", "task", "idle" };

	set_str(v, kinds[r->victim->cur->kind]);
}

GET(victim_pid, victim_row)
{
	set_u64(v, r->victim->cur->pid);
}

GET(victim_name, victim_row)
{
	set_str(v, r->victim->cur->name);
}

GET(victim_culprit, victim_row)
{
	switch (r->victim->cur->culprit_kind) {
	case WB_CULPRIT_IS_VM:
		return set_str(v, r->victim->cur->culprit);
	case WB_CULPRIT_IS_SHARED:
		return set_str(v, "shared");
	case WB_CULPRIT_IS_OTHER:
		return set_str(v, "other");
	}
}

GET(victim_culprit_name, victim_row)
{
	const struct wb_vm *vm;

	if (r->victim->cur->culprit_kind != WB_CULPRIT_IS_VM)
		return;
	vm = snapshot_find_vm(r->frame->cur, r->victim->cur->culprit_key);
	if (vm)
		set_str(v, vm->name);
}

GET(victim_count, victim_row)
{
	set_u64(v, r->victim->count);
}

GET(victim_stall, victim_row)
{
	set_u64(v, r->victim->stall_ns);
}

GET(victim_max, victim_row)
{
	set_u64_if(v, r->victim->max_ns, r->victim->max_ns);
}

const struct out_field victim_fields[] = {
	{ "kind", "victim", "what was stalled: vm, task or idle", OUT_PLAIN,
	  OUT_IN_TABLE | OUT_LEFT, 6, victim_kind },
	{ "pid", "pid", "its process, 0: idle", OUT_PLAIN, OUT_IN_TABLE, 7, victim_pid },
	{ "name", "name", "its name", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT, 20, victim_name },
	{ "culprit", "culprit", "id of the VM that flushed, shared or other", OUT_PLAIN,
	  OUT_IN_TABLE | OUT_LEFT, 12, victim_culprit },
	{ "culprit_name", "culprit's name", "name of the VM that flushed", OUT_PLAIN,
	  OUT_IN_TABLE | OUT_LEFT | OUT_DERIVED, 16, victim_culprit_name },
	{ "count", "stalls", "times it was stalled", OUT_COUNT, OUT_IN_TABLE, 7, victim_count },
	{ "stall_ns", "time", "time it lost", OUT_NS, OUT_IN_TABLE, 7, victim_stall },
	{ "max_ns", "max", "longest stall", OUT_NS, OUT_IN_TABLE, 7, victim_max },
	{ 0 }
};

/* A device. */

GET(dev_vm, device_row)
{
	set_str(v, r->vm->cur->name);
}

GET(dev_pid, device_row)
{
	set_u64(v, r->vm->cur->pid);
}

GET(dev_bdf, device_row)
{
	set_str(v, r->dev->bdf);
}

GET(dev_name, device_row)
{
	set_str(v, r->dev->name);
}

GET(dev_group, device_row)
{
	set_u64_if(v, r->dev->group >= 0, r->dev->group);
}

GET(dev_snoop_control, device_row)
{
	if (r->dev->snoop_control >= 0)
		set_bool(v, r->dev->snoop_control);
}

GET(dev_no_snoop, device_row)
{
	switch (r->dev->no_snoop) {
	case DEV_NO_SNOOP_ENABLED:
		return set_str(v, "enabled");
	case DEV_NO_SNOOP_DISABLED:
		return set_str(v, "disabled");
	case DEV_NO_SNOOP_HARDWIRED0:
		return set_str(v, "hardwired0");
	case DEV_NO_SNOOP_UNKNOWN:
		return;
	}
}

GET(dev_box_number, device_row)
{
	set_u64_if(v, r->dev->box, r->dev->box);
}

GET(dev_box_candidates, device_row)
{
	v->type = OUT_SET;
	v->u = r->dev->box_candidates;
}

GET(dev_box_reason, device_row)
{
	set_str(v, r->dev->box_reason);
}

GET(dev_certain, device_row)
{
	set_bool(v, r->dev->certain);
}

const struct out_field device_fields[] = {
	{ "vm", "VM", "name of the VM", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT | OUT_DERIVED, 16,
	  dev_vm },
	{ "pid", "pid", "process of the VM", OUT_PLAIN, OUT_IN_TABLE | OUT_DERIVED, 7, dev_pid },
	{ "bdf", "function", "PCI address", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT, 12, dev_bdf },
	{ "name", "name", "vendor and device", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT | OUT_DERIVED, 28,
	  dev_name },
	{ "group", "group", "IOMMU group", OUT_PLAIN, OUT_IN_TABLE, 5, dev_group },
	{ "snoop_control", "blocks", "the IOMMU in front can block no-snoop", OUT_PLAIN,
	  OUT_IN_TABLE, 6, dev_snoop_control },
	{ "no_snoop", "no-snoop", "Enable No Snoop: enabled, disabled or hardwired0", OUT_PLAIN,
	  OUT_IN_TABLE | OUT_LEFT, 10, dev_no_snoop },
	{ "box", "box", "coherency box 1 to 4, where certain", OUT_PLAIN, OUT_IN_TABLE, 3,
	  dev_box_number },
	{ "box_candidates", "boxes", "boxes that are possible", OUT_PLAIN, OUT_IN_TABLE, 7,
	  dev_box_candidates },
	{ "box_reason", "why", "what decides, or what is not known", OUT_PLAIN,
	  OUT_IN_TABLE | OUT_LEFT, 40, dev_box_reason },
	{ "certain", "certain", "exactly one box is possible", OUT_PLAIN, 0, 7, dev_certain },
	{ 0 }
};

void frame_row_init(struct frame_row *row, const struct frame *f, const struct source *src)
{
	int64_t sec = f->cur->wall_ns / NSEC_PER_SEC, ns = f->cur->wall_ns % NSEC_PER_SEC;
	time_t t;
	struct tm tm;
	size_t len;

	if (ns < 0) {
		sec--;
		ns += NSEC_PER_SEC;
	}
	t = sec;
	row->frame = f;
	row->src = src;
	row->time[0] = '\0';
	if (!gmtime_r(&t, &tm))
		return;
	len = strftime(row->time, sizeof(row->time), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(row->time + len, sizeof(row->time) - len, ".%09dZ", (int)ns);
}

/* Sorting */

struct sort_key {
	struct out_value v;
	uint64_t cost;
	const struct frame_vm *vm;
};

struct sort_ctx {
	bool by_cost;
	bool reverse;
};

static int cmp_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* A total order that does not depend on the order of discovery. */
static int cmp_identity(const struct wb_vm *a, const struct wb_vm *b)
{
	int c = cmp_u64(a->pid, b->pid);

	/* "PID-FD" of one process: the shorter has the smaller FD. */
	if (!c && a->id && b->id)
		c = cmp_u64(strlen(a->id), strlen(b->id));
	if (!c && a->id && b->id)
		c = strcmp(a->id, b->id);
	if (!c)
		c = cmp_u64(a->start, b->start);
	if (!c)
		c = cmp_u64(a->key, b->key);
	return c;
}

/* Negative: a goes first in the usual direction. */
static int cmp_value(const struct out_value *a, const struct out_value *b)
{
	switch (a->type) {
	case OUT_STR:
		return strcasecmp(a->s, b->s);
	case OUT_F64:
		return a->f > b->f ? -1 : a->f < b->f;
	case OUT_BOOL:
		return (int)b->b - (int)a->b;
	default:
		return cmp_u64(b->u, a->u);
	}
}

static int sort_cmp(const void *p, const void *q, void *arg)
{
	const struct sort_key *a = p, *b = q;
	const struct sort_ctx *ctx = arg;
	int c;

	if (ctx->by_cost) {
		c = cmp_u64(b->cost, a->cost);
		if (!c)
			c = cmp_u64(b->vm->delta.c.exits, a->vm->delta.c.exits);
	} else if (a->v.type != b->v.type) {
		return a->v.type == OUT_NULL ? 1 : -1;
	} else {
		c = a->v.type == OUT_NULL ? 0 : cmp_value(&a->v, &b->v);
	}
	if (c)
		return ctx->reverse ? -c : c;
	return cmp_identity(a->vm->cur, b->vm->cur);
}

void frame_sort(struct frame_vm *vms, size_t n, const struct frame *f, const struct out_field *by,
		bool reverse)
{
	struct sort_ctx ctx = { .by_cost = !by, .reverse = reverse };
	struct sort_key *keys;
	struct frame_vm *sorted;

	if (n < 2)
		return;
	keys = calloc(n, sizeof(*keys));
	sorted = reallocarray(NULL, n, sizeof(*sorted));
	if (!keys || !sorted)
		goto out;
	for (size_t i = 0; i < n; i++) {
		struct vm_row row = { .frame = f, .vm = &vms[i] };

		keys[i].vm = &vms[i];
		keys[i].cost = vms[i].delta.c.emulation_ns + vms[i].delta.c.stall_ns;
		if (by)
			by->get(&row, &keys[i].v);
	}
	qsort_r(keys, n, sizeof(*keys), sort_cmp, &ctx);
	for (size_t i = 0; i < n; i++)
		sorted[i] = *keys[i].vm;
	memcpy(vms, sorted, n * sizeof(*vms));
out:
	free(keys);
	free(sorted);
}

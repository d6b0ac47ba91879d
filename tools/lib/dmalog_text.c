// SPDX-License-Identifier: GPL-2.0
/* Events of the log in words, to JSON and back. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dmalog.h"

static const char *const kinds[DMALOG_KINDS] = {
	[DMALOG_ATTACH] = "attach", [DMALOG_REPLACE] = "replace", [DMALOG_DETACH] = "detach",
	[DMALOG_HWPT] = "hwpt",	    [DMALOG_BOX] = "box",	  [DMALOG_NO_SNOOP] = "no_snoop",
	[DMALOG_KVM] = "kvm",	    [DMALOG_MAP] = "map",
};

const char *dmalog_kind_name(unsigned int kind)
{
	return kind < DMALOG_KINDS ? kinds[kind] : "?";
}

void dmalog_bytes(uint64_t bytes, char *buf, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned int i = 0;
	uint64_t unit = 1;

	while (i < 6 && bytes / unit >= 1024) {
		unit *= 1024;
		i++;
	}
	if (bytes % unit == 0)
		snprintf(buf, size, "%llu %s", (unsigned long long)(bytes / unit), units[i]);
	else
		snprintf(buf, size, "%.1f %s", (double)bytes / unit, units[i]);
}

static void duration(int64_t ns, char *buf, size_t size)
{
	if (ns < 1000)
		snprintf(buf, size, "%lld ns", (long long)ns);
	else if (ns < 1000000)
		snprintf(buf, size, "%.3g us", ns / 1e3);
	else if (ns < 1000000000)
		snprintf(buf, size, "%.3g ms", ns / 1e6);
	else
		snprintf(buf, size, "%.3g s", ns / 1e9);
}

/* A text that is written piece by piece and cut where there is no more room. */
struct text {
	char *buf;
	size_t size, used;
};

static void add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *t, const char *fmt, ...)
{
	va_list args;
	int n;

	if (t->used >= t->size)
		return;
	va_start(args, fmt);
	n = vsnprintf(t->buf + t->used, t->size - t->used, fmt, args);
	va_end(args);
	t->used += n > 0 ? n : 0;
}

static const char *coherency(int64_t c)
{
	switch (c) {
	case DMALOG_COH_AUTO:
		return "automatic";
	case DMALOG_COH_ENFORCED:
		return "coherent";
	case DMALOG_COH_NONCOHERENT:
		return "non-coherent";
	}
	return "of unknown coherency";
}

static void add_flushed(struct text *t, const struct dmalog_event *e)
{
	char bytes[32], took[32];

	if (!e->flushed_bytes)
		return;
	dmalog_bytes(e->flushed_bytes, bytes, sizeof(bytes));
	duration(e->flush_ns, took, sizeof(took));
	add(t, ", flushed %s in %s", bytes, took);
}

static void add_error(struct text *t, const struct dmalog_event *e)
{
	if (e->rc)
		add(t, ": %s", strerror(e->rc < 0 && e->rc > -4096 ? -e->rc : EINVAL));
}

static void attach_text(struct text *t, const struct dmalog_event *e)
{
	const char *what = e->kind == DMALOG_REPLACE ? "replace: to" : "attach to";

	if (e->rc) {
		add(t, "%s %lld refused", what, e->hwpt);
		add_error(t, e);
		return;
	}
	add(t, "%s IOAS %lld", what, e->ioas);
	if (e->nested)
		add(t, " (nested page table %lld)", e->hwpt);
	add(t, ", %s", coherency(e->coherency));
	if (e->coherency == DMALOG_COH_NONCOHERENT && e->can_enforce)
		add(t, " though the IOMMU could enforce");
	if (e->pasid)
		add(t, ", PASID %lld", e->pasid);
	add_flushed(t, e);
}

static void map_text(struct text *t, const struct dmalog_event *e)
{
	char bytes[32];

	dmalog_bytes(e->bytes, bytes, sizeof(bytes));
	add(t, "map %s into IOAS %lld", bytes, e->ioas);
	if (e->maps > 1)
		add(t, " (%lld maps)", e->maps);
	if (!e->noncoherent_bytes) {
		add(t, ", none of it non-coherent");
	} else if (e->noncoherent_bytes == e->bytes) {
		add(t, ", non-coherent");
	} else {
		dmalog_bytes(e->noncoherent_bytes, bytes, sizeof(bytes));
		add(t, ", %s of it non-coherent", bytes);
	}
	add_flushed(t, e);
	if (e->failed)
		add(t, ", %lld failed", e->failed);
}

static void add_box(struct text *t, int64_t box)
{
	if (box)
		add(t, "%lld", (long long)box);
	else
		add(t, "none");
}

static void no_snoop_text(struct text *t, const struct dmalog_event *e)
{
	switch (e->op) {
	case DMALOG_OP_ALLOW:
		add(t, "ALLOW no-snoop");
		break;
	case DMALOG_OP_BLOCK:
		add(t, "BLOCK no-snoop");
		break;
	case DMALOG_OP_REASSERT:
		add(t, "no-snoop blocked again after a reset");
		break;
	case DMALOG_OP_CLOSE:
		add(t, "no-snoop as before, at close");
		break;
	default:
		add(t, "no-snoop operation %lld", (long long)e->op);
	}
	add(t, " (Device Control 0x%04llx -> 0x%04llx)", e->before, e->after);
}

static void kvm_text(struct text *t, const struct dmalog_event *e)
{
	if (e->policy & DMALOG_KVM_FORCE)
		add(t, "VM policy: treated as coherent");
	else if (e->policy & DMALOG_KVM_PAUSE)
		add(t, "VM policy: WBINVD paused");
	else
		add(t, "VM policy: none");
	add(t, ", WBINVD %s", e->after & DMALOG_EFFECT_WBINVD ? "flushes" : "skipped");
	if (e->count)
		add(t, ", non-coherent: %lld", e->count);
	if (e->zapped)
		add(t, ", memory types changed");
}

void dmalog_text(const struct dmalog_event *e, char *buf, size_t size)
{
	struct text t = { .buf = buf, .size = size };

	if (size)
		buf[0] = '\0';
	switch (e->kind) {
	case DMALOG_ATTACH:
	case DMALOG_REPLACE:
		attach_text(&t, e);
		break;
	case DMALOG_DETACH:
		add(&t, "detach from IOAS %lld", e->ioas);
		add_error(&t, e);
		break;
	case DMALOG_HWPT:
		add(&t, "page table %lld for IOAS %lld", e->hwpt, e->ioas);
		if (e->rc) {
			add(&t, " refused");
			add_error(&t, e);
			break;
		}
		add(&t, ", %s%s", coherency(e->coherency), e->is_auto ? ", automatic" : "");
		add_flushed(&t, e);
		break;
	case DMALOG_BOX:
		add(&t, "box ");
		add_box(&t, e->old_box);
		add(&t, " -> ");
		add_box(&t, e->box);
		break;
	case DMALOG_NO_SNOOP:
		no_snoop_text(&t, e);
		break;
	case DMALOG_KVM:
		kvm_text(&t, e);
		break;
	case DMALOG_MAP:
		map_text(&t, e);
		break;
	default:
		add(&t, "unknown event %u", e->kind);
	}
}

#define K(kind)	   (1u << DMALOG_##kind)
#define ATTACHMENT (K(ATTACH) | K(REPLACE) | K(DETACH))

/* As of other counters in recordings. */
#define COUNT_MAX 1000000000000000000LL

/*
 * The members that are numbers, the kinds that have them, and what they can be:
 * what the kernel's argument holds, or, where words are made of it, what is
 * documented.
 */
static const struct member {
	const char *name;
	unsigned int kinds;
	size_t offset;
	int64_t min, max;
} members[] = {
#define MEMBER(name, kinds, min, max)                                       \
	{                                                                   \
#name, kinds, offsetof(struct dmalog_event, name), min, max \
	}
#define COUNT(name, kinds) MEMBER(name, kinds, 0, COUNT_MAX)
	MEMBER(group, ATTACHMENT | K(BOX), -1, INT32_MAX),
	MEMBER(pasid, ATTACHMENT, 0, UINT32_MAX),
	MEMBER(hwpt, ATTACHMENT | K(HWPT), 0, UINT32_MAX),
	MEMBER(old_hwpt, K(REPLACE), 0, UINT32_MAX),
	MEMBER(ioas, ATTACHMENT | K(HWPT) | K(MAP), 0, UINT32_MAX),
	MEMBER(nested, ATTACHMENT, 0, 1),
	MEMBER(coherency, ATTACHMENT | K(HWPT), 0, DMALOG_COH_NONCOHERENT),
	MEMBER(can_enforce, ATTACHMENT, 0, 1),
	MEMBER(policy, ATTACHMENT, 0, DMALOG_COH_NONCOHERENT),
	MEMBER(policy, K(KVM), 0, INT64_MAX),
	MEMBER(is_auto, K(HWPT), 0, 1),
	MEMBER(rc, ATTACHMENT | K(HWPT), -4095, 0),
	MEMBER(old_box, K(BOX), 0, 4),
	MEMBER(box, K(BOX), 0, 4),
	MEMBER(op, K(NO_SNOOP), 0, UINT32_MAX),
	MEMBER(before, K(NO_SNOOP), 0, UINT16_MAX),
	MEMBER(after, K(NO_SNOOP), 0, UINT16_MAX),
	MEMBER(before, K(KVM), 0, UINT32_MAX),
	MEMBER(after, K(KVM), 0, UINT32_MAX),
	MEMBER(vm_pid, K(KVM), 0, INT32_MAX),
	MEMBER(count, K(KVM), 0, UINT32_MAX),
	MEMBER(zapped, K(KVM), 0, 1),
	COUNT(maps, K(MAP)),
	COUNT(failed, K(MAP)),
	COUNT(bytes, K(MAP)),
	COUNT(noncoherent_bytes, K(MAP)),
	COUNT(flushed_bytes, K(MAP) | K(ATTACH) | K(REPLACE) | K(HWPT)),
	COUNT(flush_ns, K(MAP) | K(ATTACH) | K(REPLACE) | K(HWPT)),
#undef COUNT
#undef MEMBER
};

#define NR_MEMBERS (sizeof(members) / sizeof(members[0]))

static __s64 *member_of(const struct dmalog_event *e, const struct member *m)
{
	return (__s64 *)((char *)e + m->offset);
}

json_t *dmalog_to_json(const struct dmalog_event *e)
{
	char words[256];
	json_t *o = json_object();
	unsigned int i;
	int err = 0;

	if (!o)
		return NULL;
	dmalog_text(e, words, sizeof(words));
	err |= json_object_set_new(o, "time_ns", json_integer(e->time_ns));
	err |= json_object_set_new(o, "kind", json_string(dmalog_kind_name(e->kind)));
	err |= json_object_set_new(o, "pid", json_integer(e->pid));
	err |= json_object_set_new(o, "tid", json_integer(e->tid));
	err |= json_object_set_new(o, "comm", json_string(e->comm));
	err |= json_object_set_new(o, "device", e->dev[0] ? json_string(e->dev) : json_null());
	err |= json_object_set_new(o, "text", json_string(words));
	for (i = 0; i < NR_MEMBERS; i++) {
		if (e->kind < DMALOG_KINDS && members[i].kinds & 1u << e->kind)
			err |= json_object_set_new(o, members[i].name,
						   json_integer(*member_of(e, &members[i])));
	}
	if (err) {
		json_decref(o);
		return NULL;
	}
	return o;
}

/* Cut to size; what there is no room for was never written by the kernel side. */
static int read_name(struct jread *j, const json_t *obj, const char *key, char *to, size_t size)
{
	char *s = NULL;
	int err = jread_str_null(j, obj, key, &s);

	if (s)
		snprintf(to, size, "%s", s);
	free(s);
	return err;
}

static int read_member(struct jread *j, const json_t *obj, const struct member *m,
		       struct dmalog_event *e)
{
	const json_t *v = json_object_get(obj, m->name);
	long long i = json_integer_value(v);

	if (!json_is_integer(v))
		return jread_bad(j, "%s%s is not a whole number", j->where, m->name);
	if (i < m->min || i > m->max)
		return jread_bad(j, "%s%s is %lld, not within %lld to %lld", j->where, m->name, i,
				 (long long)m->min, (long long)m->max);
	*member_of(e, m) = i;
	return 0;
}

int dmalog_from_json(struct jread *j, const json_t *obj, struct dmalog_event *e)
{
	uint64_t pid = 0, tid = 0, time_ns = 0;
	char kind[16] = "";
	unsigned int i;
	int err;

	memset(e, 0, sizeof(*e));
	err = jread_u64(j, obj, "time_ns", 0, INT64_MAX, &time_ns);
	err = err ? err : jread_u64(j, obj, "pid", 0, INT32_MAX, &pid);
	err = err ? err : jread_u64(j, obj, "tid", 0, INT32_MAX, &tid);
	err = err ? err : read_name(j, obj, "kind", kind, sizeof(kind));
	err = err ? err : read_name(j, obj, "comm", e->comm, sizeof(e->comm));
	err = err ? err : read_name(j, obj, "device", e->dev, sizeof(e->dev));
	if (err)
		return err;
	e->time_ns = time_ns;
	e->pid = pid;
	e->tid = tid;
	while (e->kind < DMALOG_KINDS && strcmp(kinds[e->kind], kind))
		e->kind++;
	if (e->kind == DMALOG_KINDS)
		return jread_bad(j, "%skind is no kind of event", j->where);
	for (i = 0; i < NR_MEMBERS && !err; i++) {
		if (members[i].kinds & 1u << e->kind)
			err = read_member(j, obj, &members[i], e);
	}
	return err;
}

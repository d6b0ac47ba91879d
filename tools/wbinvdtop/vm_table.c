// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/dmalog.h"
#include "../lib/vfioinfo.h"
#include "../lib/vmname.h"
#include "vm_table.h"

/*
 * Devices come and go by hot-plug, which changes the VM's coherency at once
 * where that matters; else a look every few seconds will do.
 */
#define DEVICES_EVERY_NS (5 * 1000000000ULL)

struct vm_table {
	struct vm_state *vms; /* sorted by gen; generations only grow */
	size_t nr;
	size_t room;
	char *procfs;
	struct vmname_cache *names;
	struct dev_scan *devices;
};

struct vm_table *vm_table_new(const char *procfs)
{
	struct vm_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->procfs = strdup(procfs);
	t->names = vmname_cache_new(procfs);
	t->devices = dev_scan_new(NULL);
	if (!t->procfs || !t->names || !t->devices) {
		vm_table_free(t);
		return NULL;
	}
	return t;
}

static void state_clear(struct vm_state *s)
{
	free(s->name);
	devices_free(s->devices, s->nr_devices);
	free(s->kept);
	free(s->seen);
}

void vm_table_free(struct vm_table *t)
{
	size_t i;

	if (!t)
		return;
	for (i = 0; i < t->nr; i++)
		state_clear(&t->vms[i]);
	free(t->vms);
	free(t->procfs);
	vmname_cache_free(t->names);
	dev_scan_free(t->devices);
	free(t);
}

/* Index of the first VM that is not before gen. */
static size_t lower_bound(const struct vm_table *t, uint64_t gen)
{
	size_t lo = 0, hi = t->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->vms[mid].gen < gen)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct vm_state *vm_table_find(struct vm_table *t, uint64_t gen)
{
	size_t i = lower_bound(t, gen);

	return i < t->nr && t->vms[i].gen == gen ? &t->vms[i] : NULL;
}

enum wb_policy vm_policy_of(uint32_t bits)
{
	if (bits == WB_NO_POLICY)
		return WB_POLICY_UNKNOWN;
	if (bits & DMALOG_KVM_FORCE)
		return WB_POLICY_FORCE;
	return bits & DMALOG_KVM_PAUSE ? WB_POLICY_PAUSE : WB_POLICY_NONE;
}

struct vm_state *vm_table_add(struct vm_table *t, uint64_t gen, const struct wb_vm_val *val)
{
	size_t i = lower_bound(t, gen);
	struct vm_state *s;

	if (i < t->nr && t->vms[i].gen == gen) {
		t->vms[i].val = *val;
		return &t->vms[i];
	}
	if (t->nr == t->room) {
		size_t room = t->room ? 2 * t->room : 16;

		s = realloc(t->vms, room * sizeof(*s));
		if (!s)
			return NULL;
		t->vms = s;
		t->room = room;
	}
	s = &t->vms[i];
	memmove(s + 1, s, (t->nr - i) * sizeof(*s));
	memset(s, 0, sizeof(*s));
	s->gen = gen;
	s->val = *val;
	s->start = vm_table_ticks(t, val->start_ns);
	s->noncoherent = val->noncoherent ? WB_YES : WB_NO;
	s->policy = vm_policy_of(val->policy);
	t->nr++;
	return s;
}

void vm_table_remove(struct vm_table *t, uint64_t gen)
{
	struct vm_state *s = vm_table_find(t, gen);

	if (!s)
		return;
	state_clear(s);
	t->nr--;
	memmove(s, s + 1, (t->nr - (s - t->vms)) * sizeof(*s));
}

struct vm_state *vm_table_all(struct vm_table *t, size_t *n)
{
	*n = t->nr;
	return t->vms;
}

void vm_table_begin(struct vm_table *t)
{
	size_t i, k;

	for (i = 0; i < t->nr; i++) {
		t->vms[i].listed = false;
		t->vms[i].has_entries = false;
		t->vms[i].nr_seen = 0;
		/* The interval that they ended in has been shown. */
		for (k = 0; k < t->vms[i].nr_kept; k++)
			t->vms[i].kept[k].vcpu.interval_max_ns = 0;
	}
	vmname_cache_age(t->names);
}

int vm_state_keep(struct vm_state *s, uint64_t serial, const struct wb_vcpu *v)
{
	struct kept_vcpu *kept = realloc(s->kept, (s->nr_kept + 1) * sizeof(*kept));

	if (!kept)
		return -ENOMEM;
	s->kept = kept;
	kept[s->nr_kept].serial = serial;
	kept[s->nr_kept].vcpu = *v;
	s->nr_kept++;
	return 0;
}

int vm_state_add_seen(struct vm_state *s, uint64_t serial, uint64_t ends_alone)
{
	if (s->nr_seen == s->room) {
		size_t room = s->room ? 2 * s->room : 8;
		struct seen_vcpu *p = realloc(s->seen, room * sizeof(*p));

		if (!p)
			return -ENOMEM;
		s->seen = p;
		s->room = room;
	}
	s->seen[s->nr_seen++] = (struct seen_vcpu){ serial, ends_alone };
	return 0;
}

void vm_table_look_again(struct vm_table *t)
{
	size_t i;

	for (i = 0; i < t->nr; i++)
		t->vms[i].devices_ns = 0;
}

/* The box as the kernel itself reports it, in place of one that was worked out.  0 or -ENOMEM. */
static int ask_for_box(struct wb_device *d, pid_t pid)
{
	int fd = vfioinfo_find(pid, d->bdf), box;
	char *reason;

	box = fd < 0 ? fd : vfioinfo_box(pid, fd, d->bdf);
	if (box < 0)
		return 0;
	reason = strdup(box ? "as the kernel reports it" : "the kernel reports no attachment");
	if (!reason)
		return -ENOMEM;
	free(d->box_reason);
	d->box_reason = reason;
	d->box = box;
	d->box_candidates = box ? DEV_BOX(box) : 0;
	d->certain = box;
	return 0;
}

/*
 * A process that is gone, or whose number our procfs gives to another, leaves
 * what was known before.
 */
static void look_at_devices(struct vm_table *t, struct vm_state *s, uint64_t now)
{
	struct wb_device *devs;
	size_t i, n;

	if (s->devices_ns && now - s->devices_ns < DEVICES_EVERY_NS &&
	    s->devices_noncoherent == s->noncoherent)
		return;
	if (dev_scan_process(t->devices, s->val.tgid, s->start, &devs, &n))
		return;
	for (i = 0; i < n; i++) {
		if (ask_for_box(&devs[i], s->val.tgid))
			break;
	}
	s->devices_ns = now;
	s->devices_noncoherent = s->noncoherent;
	devices_free(s->devices, s->nr_devices);
	s->devices = devs;
	s->nr_devices = n;
}

int vm_table_identify(struct vm_table *t, struct vm_state *s, struct wb_vm *vm, uint64_t now)
{
	const char *name = vm_table_name(t, s->val.tgid, s->start, s->val.comm);
	size_t i;

	if (!s->val.dead && (!s->name || strcmp(s->name, name))) {
		free(s->name);
		s->name = strdup(name);
	}
	vm->name = strdup(s->name ? s->name : name);
	if (!vm->name)
		return -ENOMEM;
	if (!s->val.dead)
		look_at_devices(t, s, now);
	if (!s->nr_devices)
		return 0;
	vm->devices = calloc(s->nr_devices, sizeof(*vm->devices));
	if (!vm->devices)
		return -ENOMEM;
	for (i = 0; i < s->nr_devices; i++) {
		if (device_copy(&vm->devices[i], &s->devices[i]))
			return -ENOMEM;
		vm->nr_devices++;
	}
	return 0;
}

const char *vm_table_vm_name(struct vm_table *t, struct vm_state *s)
{
	const char *name;

	if (s->name)
		return s->name;
	/* Kept, as the process may be gone by the next reading; and looked up once, not for each event. */
	name = vm_table_name(t, s->val.tgid, s->start, s->val.comm);
	s->name = strdup(name);
	return name;
}

const char *vm_table_name(struct vm_table *t, pid_t pid, uint64_t start, const char *comm)
{
	return vmname_get(t->names, pid, start, comm);
}

char *vm_table_command(const struct vm_table *t, pid_t pid, const char *comm)
{
	return vmname_fallback(t->names, pid, comm);
}

bool vm_table_process_gone(const struct vm_table *t, pid_t pid, uint64_t start)
{
	return !vmname_foreign(t->names) && proc_start_time(t->procfs, pid) != start;
}

uint64_t vm_table_ticks(const struct vm_table *t, uint64_t start_ns)
{
	return vmname_start_ticks(t->names, start_ns);
}

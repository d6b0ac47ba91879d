// SPDX-License-Identifier: GPL-2.0
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "devices.h"

struct wb_snapshot *snapshot_new(void)
{
	return calloc(1, sizeof(struct wb_snapshot));
}

static void vm_clear(struct wb_vm *vm)
{
	free(vm->id);
	free(vm->name);
	free(vm->vcpus);
	devices_free(vm->devices, vm->nr_devices);
}

static void victim_clear(struct wb_victim *v)
{
	free(v->name);
	free(v->culprit);
}

void snapshot_clear(struct wb_snapshot *s)
{
	for (size_t i = 0; i < s->nr_vms; i++)
		vm_clear(&s->vms[i]);
	for (size_t i = 0; i < s->nr_victims; i++)
		victim_clear(&s->victims[i]);
	free(s->vms);
	free(s->victims);
	free(s->events);
	free(s->events_why);
	memset(s, 0, sizeof(*s));
}

void snapshot_free(struct wb_snapshot *s)
{
	if (!s)
		return;
	snapshot_clear(s);
	free(s);
}

/*
 * Room for one more element, zeroed.  The capacity is the next power of two,
 * so that most VMs, which have few vCPUs, carry little that is unused.
 */
static void *array_add(void **array, size_t *n, size_t size)
{
	void *p = *array;

	if (!(*n & (*n - 1))) {
		p = reallocarray(p, *n ? *n * 2 : 1, size);
		if (!p)
			return NULL;
		*array = p;
	}
	p = (char *)p + *n * size;
	(*n)++;
	return memset(p, 0, size);
}

struct wb_vm *snapshot_add_vm(struct wb_snapshot *s)
{
	return array_add((void **)&s->vms, &s->nr_vms, sizeof(*s->vms));
}

struct dmalog_event *snapshot_add_event(struct wb_snapshot *s)
{
	return array_add((void **)&s->events, &s->nr_events, sizeof(*s->events));
}

struct wb_vcpu *snapshot_add_vcpu(struct wb_vm *vm)
{
	return array_add((void **)&vm->vcpus, &vm->nr_vcpus, sizeof(*vm->vcpus));
}

struct wb_victim *snapshot_add_victim(struct wb_snapshot *s)
{
	return array_add((void **)&s->victims, &s->nr_victims, sizeof(*s->victims));
}

static int cmp_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int vm_cmp(const void *a, const void *b)
{
	const struct wb_vm *x = a, *y = b;

	return cmp_u64(x->key, y->key);
}

static int vcpu_cmp(const void *a, const void *b)
{
	const struct wb_vcpu *x = a, *y = b;

	return cmp_u64(x->id, y->id);
}

int victim_cmp(const void *a, const void *b)
{
	const struct wb_victim *x = a, *y = b;
	int c = cmp_u64(x->kind, y->kind);

	if (!c)
		c = cmp_u64(x->pid, y->pid);
	if (!c)
		c = cmp_u64(x->start, y->start);
	if (!c)
		c = cmp_u64(x->culprit_kind, y->culprit_kind);
	if (!c)
		c = cmp_u64(x->culprit_key, y->culprit_key);
	return c;
}

/* Sources often deliver in order: finding that out is much cheaper than moving big elements. */
static void sort_array(void *array, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	const char *p = array;

	for (size_t i = 1; i < n; i++, p += size) {
		if (cmp(p, p + size) > 0) {
			qsort(array, n, size, cmp);
			return;
		}
	}
}

/*
 * vCPUs mostly have the numbers from 0 on, once each: then each is moved to its
 * place, in whose stead the one that stood there goes on.  false: not so, and
 * they are in whatever order.
 */
static bool place_vcpus(struct wb_vcpu *v, size_t n)
{
	struct wb_vcpu held[2];

	for (size_t i = 0; i < n; i++) {
		unsigned int h = 0;
		size_t to = v[i].id;

		if (to == i)
			continue;
		held[h] = v[i];
		for (; to != i && to < n && v[to].id != to; to = held[h].id) {
			held[!h] = v[to];
			v[to] = held[h];
			h = !h;
		}
		v[i] = held[h];
		if (to != i)
			return false;
	}
	return true;
}

static void trim(void **array, size_t n, size_t size)
{
	void *p;

	if (!n)
		return;
	p = reallocarray(*array, n, size);
	if (p)
		*array = p;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void merge_victims(struct wb_snapshot *s)
{
	size_t to = 0;

	for (size_t i = 1; i < s->nr_victims; i++) {
		struct wb_victim *v = &s->victims[i], *into = &s->victims[to];

		if (victim_cmp(into, v)) {
			s->victims[++to] = *v;
			continue;
		}
		into->count += v->count;
		into->stall_ns += v->stall_ns;
		into->max_ns = max_u64(into->max_ns, v->max_ns);
		into->interval_max_ns = max_u64(into->interval_max_ns, v->interval_max_ns);
		victim_clear(v);
	}
	if (s->nr_victims)
		s->nr_victims = to + 1;
}

void snapshot_sort(struct wb_snapshot *s)
{
	sort_array(s->vms, s->nr_vms, sizeof(*s->vms), vm_cmp);
	sort_array(s->victims, s->nr_victims, sizeof(*s->victims), victim_cmp);
	merge_victims(s);
	for (size_t i = 0; i < s->nr_vms; i++) {
		struct wb_vm *vm = &s->vms[i];

		if (!place_vcpus(vm->vcpus, vm->nr_vcpus))
			sort_array(vm->vcpus, vm->nr_vcpus, sizeof(*vm->vcpus), vcpu_cmp);
		trim((void **)&vm->vcpus, vm->nr_vcpus, sizeof(*vm->vcpus));
	}
}

const struct wb_vm *snapshot_find_vm(const struct wb_snapshot *s, uint64_t key)
{
	struct wb_vm want = { .key = key };

	if (!s->nr_vms)
		return NULL;
	return bsearch(&want, s->vms, s->nr_vms, sizeof(*s->vms), vm_cmp);
}

struct wb_counters vm_total(const struct wb_vm *vm)
{
	struct wb_counters c = { 0 };

	for (size_t i = 0; i < vm->nr_vcpus; i++)
		counters_add(&c, &vm->vcpus[i].total);
	return c;
}

struct wb_counters snapshot_sum(const struct wb_snapshot *s)
{
	struct wb_counters sum = s->ended;

	for (size_t i = 0; i < s->nr_vms; i++) {
		struct wb_counters c = vm_total(&s->vms[i]);

		counters_add(&sum, &c);
	}
	for (size_t i = 0; i < s->nr_victims; i++) {
		const struct wb_victim *v = &s->victims[i];

		if (v->culprit_kind != WB_CULPRIT_IS_SHARED)
			continue;
		if (v->kind == WB_VICTIM_IDLE)
			sum.stall_idle_ns += v->stall_ns;
		else
			sum.stall_ns += v->stall_ns;
	}
	return sum;
}

void counters_add(struct wb_counters *to, const struct wb_counters *c)
{
	to->exits += c->exits;
	to->flushes += c->flushes;
	to->skips += c->skips;
	to->skips_policy += c->skips_policy;
	to->untimed += c->untimed;
	to->emulation_ns += c->emulation_ns;
	to->stall_ns += c->stall_ns;
	to->stall_idle_ns += c->stall_idle_ns;
	to->cpus_flushed += c->cpus_flushed;
}

/* A figure that is read while it is written may lag behind its fellows, but never below 0. */
static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

void counters_sub(struct wb_counters *to, const struct wb_counters *c)
{
	to->exits = minus(to->exits, c->exits);
	to->flushes = minus(to->flushes, c->flushes);
	to->skips = minus(to->skips, c->skips);
	to->skips_policy = minus(to->skips_policy, c->skips_policy);
	to->untimed = minus(to->untimed, c->untimed);
	to->emulation_ns = minus(to->emulation_ns, c->emulation_ns);
	to->stall_ns = minus(to->stall_ns, c->stall_ns);
	to->stall_idle_ns = minus(to->stall_idle_ns, c->stall_idle_ns);
	to->cpus_flushed = minus(to->cpus_flushed, c->cpus_flushed);
}

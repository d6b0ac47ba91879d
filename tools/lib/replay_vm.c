// SPDX-License-Identifier: GPL-2.0
/* The VMs of one line of a recording. */
#include "replay_int.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "devices.h"

#define COUNTER(name, known)                                     \
	{                                                        \
#name, offsetof(struct wb_counters, name), known \
	}

const struct replay_counter replay_counters[REPLAY_NR_COUNTERS] = {
	COUNTER(exits, 0),
	COUNTER(flushes, WB_KNOWN_OUTCOME),
	COUNTER(skips, WB_KNOWN_OUTCOME),
	COUNTER(untimed, WB_KNOWN_TIME),
	COUNTER(emulation_ns, WB_KNOWN_TIME),
	COUNTER(stall_ns, WB_KNOWN_STALL),
	COUNTER(stall_idle_ns, WB_KNOWN_STALL),
	COUNTER(cpus_flushed, WB_KNOWN_CPUS),
	{ "skips_policy", offsetof(struct wb_counters, skips_policy), WB_KNOWN_REASON, true },
};

static int read_counters(struct replay_parse *l, const json_t *obj, struct wb_counters *c,
			 uint64_t *max)
{
	int err = 0;
	bool null;

	for (unsigned int i = 0; !err && i < REPLAY_NR_COUNTERS; i++) {
		unsigned int needs = replay_counters[i].known;
		uint64_t v = 0;

		null = replay_counters[i].added && !json_object_get(obj, replay_counters[i].key);
		if (!null)
			err = jread_u64_null(&l->j, obj, replay_counters[i].key, 0, REPLAY_LIMIT,
					     &v, &null);
		if (!err && null != ((l->s->known & needs) != needs))
			err = jread_bad(&l->j, "%s%s is %snull, unlike the others of its kind",
					l->j.where, replay_counters[i].key, null ? "" : "not ");
		*replay_counter_of(c, i) = v;
	}
	*max = 0;
	if (!err && c->skips_policy > c->skips)
		err = jread_bad(&l->j, "%sskips_policy is more than skips", l->j.where);
	return err ? err : jread_u64_null(&l->j, obj, "max_ns", 0, REPLAY_LIMIT, max, &null);
}

int replay_read_stat(struct replay_parse *l, const json_t *obj, const char *path, struct wb_vcpu *v,
		     struct wb_counters *delta)
{
	json_t *total_obj, *delta_obj;
	int err;

	jread_at(&l->j, "%s.", path);
	err = jread_obj(&l->j, obj, "total", &total_obj);
	if (!err)
		err = jread_obj(&l->j, obj, "delta", &delta_obj);
	if (err)
		return err;
	jread_at(&l->j, "%s.total.", path);
	err = read_counters(l, total_obj, &v->total, &v->max_ns);
	if (err)
		return err;
	jread_at(&l->j, "%s.delta.", path);
	err = read_counters(l, delta_obj, delta, &v->interval_max_ns);
	for (unsigned int i = 0; !err && i < REPLAY_NR_COUNTERS; i++)
		if (replay_counter_get(delta, i) > replay_counter_get(&v->total, i))
			err = jread_bad(&l->j, "%s.delta.%s is more than the total", path,
					replay_counters[i].key);
	return err;
}

/* [[slot, count], ...], slots ascending. */
static int read_hist(struct replay_parse *l, const json_t *obj, uint32_t *hist)
{
	json_t *pairs, *pair;
	size_t i;
	json_int_t last = -1;

	if (!json_object_get(obj, "hist"))
		return 0;
	if (jread_array(&l->j, obj, "hist", &pairs))
		return -EBADMSG;
	json_array_foreach(pairs, i, pair) {
		const json_t *slot = json_array_get(pair, 0), *count = json_array_get(pair, 1);

		if (json_array_size(pair) != 2 || !json_is_integer(slot) || !json_is_integer(count))
			return jread_bad(&l->j, "%shist[%zu] is not a slot and its count",
					 l->j.where, i);
		if (json_integer_value(slot) <= last || json_integer_value(slot) >= WB_HIST_SLOTS)
			return jread_bad(&l->j,
					 "%shist[%zu] is out of order, or its slot is not "
					 "below %d",
					 l->j.where, i, WB_HIST_SLOTS);
		if (json_integer_value(count) < 0 || json_integer_value(count) > UINT32_MAX)
			return jread_bad(&l->j,
					 "%shist[%zu] has a count that is not within 0 to "
					 "%" PRIu32,
					 l->j.where, i, UINT32_MAX);
		last = json_integer_value(slot);
		hist[last] = json_integer_value(count);
	}
	return 0;
}

/* The same vCPU before the first line; its histogram of the interval is not known. */
static int add_before(struct wb_vm *before, const struct wb_vcpu *v,
		      const struct wb_counters *delta)
{
	struct wb_vcpu *b;

	if (!before)
		return 0;
	b = snapshot_add_vcpu(before);
	if (!b)
		return -ENOMEM;
	*b = *v;
	counters_sub(&b->total, delta);
	return 0;
}

static int vcpu_order(const void *a, const void *b)
{
	const struct wb_vcpu *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int read_vcpus(struct replay_parse *l, const json_t *array, const char *path,
		      struct wb_vm *vm, struct wb_vm *before)
{
	struct wb_counters delta;
	char at[64];
	json_t *obj;
	size_t i;
	int err;

	json_array_foreach(array, i, obj) {
		struct wb_vcpu *v = snapshot_add_vcpu(vm);
		uint64_t id;

		if (!v)
			return -ENOMEM;
		snprintf(at, sizeof(at), "%s.vcpus[%zu]", path, i);
		err = replay_read_stat(l, obj, at, v, &delta);
		jread_at(&l->j, "%s.", at);
		if (!err)
			err = jread_u64(&l->j, obj, "id", 0, UINT32_MAX, &id);
		if (!err)
			err = read_hist(l, obj, v->hist);
		if (err)
			return err;
		v->id = id;
		err = add_before(before, v, &delta);
		if (err)
			return err;
	}
	if (vm->nr_vcpus > 1)
		qsort(vm->vcpus, vm->nr_vcpus, sizeof(*vm->vcpus), vcpu_order);
	for (i = 1; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i].id == vm->vcpus[i - 1].id)
			return jread_bad(&l->j, "%s has vCPU %" PRIu32 " twice", path,
					 vm->vcpus[i].id);
	return 0;
}

static int read_no_snoop(struct replay_parse *l, const json_t *obj, enum dev_no_snoop *out)
{
	static const char *const names[] = {
		[DEV_NO_SNOOP_ENABLED] = "enabled",
		[DEV_NO_SNOOP_DISABLED] = "disabled",
		[DEV_NO_SNOOP_HARDWIRED0] = "hardwired0",
	};
	const json_t *v = json_object_get(obj, "no_snoop");

	*out = DEV_NO_SNOOP_UNKNOWN;
	if (json_is_null(v))
		return 0;
	for (unsigned int i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
		if (json_is_string(v) && !strcmp(json_string_value(v), names[i])) {
			*out = i;
			return 0;
		}
	}
	return jread_bad(&l->j, "%sno_snoop is neither enabled, disabled, hardwired0 nor null",
			 l->j.where);
}

static int read_candidates(struct replay_parse *l, const json_t *obj, unsigned int *out)
{
	json_t *array, *v;
	size_t i;

	if (jread_array(&l->j, obj, "box_candidates", &array))
		return -EBADMSG;
	*out = 0;
	json_array_foreach(array, i, v) {
		if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > 4)
			return jread_bad(&l->j, "%sbox_candidates[%zu] is not a box from 1 to 4",
					 l->j.where, i);
		*out |= DEV_BOX(json_integer_value(v));
	}
	return 0;
}

static int read_device(struct replay_parse *l, const json_t *obj, struct wb_device *d)
{
	uint64_t group = 0, box = 0;
	bool no_group = false, null;
	char *bdf;
	int err;

	err = jread_str(&l->j, obj, "bdf", &bdf);
	if (!err && strlen(bdf) >= sizeof(d->bdf))
		err = jread_bad(&l->j, "%sbdf is no PCI address", l->j.where);
	if (!err)
		strcpy(d->bdf, bdf);
	free(bdf);
	if (!err)
		err = jread_u64_null(&l->j, obj, "group", 0, INT_MAX, &group, &no_group);
	if (!err)
		err = jread_bool_null(&l->j, obj, "snoop_control", &d->snoop_control);
	if (!err)
		err = read_no_snoop(l, obj, &d->no_snoop);
	if (!err)
		err = jread_u64_null(&l->j, obj, "box", 1, 4, &box, &null);
	if (!err)
		err = read_candidates(l, obj, &d->box_candidates);
	if (!err)
		err = jread_str_null(&l->j, obj, "box_reason", &d->box_reason);
	if (!err)
		err = jread_bool(&l->j, obj, "certain", &d->certain);
	if (!err && json_object_get(obj, "name"))
		err = jread_str_null(&l->j, obj, "name", &d->name);
	d->group = no_group ? -1 : (int)group;
	d->box = box;
	return err;
}

static int read_devices(struct replay_parse *l, const json_t *vm_obj, size_t nr, struct wb_vm *vm)
{
	json_t *array, *obj;
	size_t i;
	int err = jread_array(&l->j, vm_obj, "devices", &array);

	if (err || !json_array_size(array))
		return err;
	vm->devices = calloc(json_array_size(array), sizeof(*vm->devices));
	if (!vm->devices)
		return -ENOMEM;
	json_array_foreach(array, i, obj) {
		jread_at(&l->j, "vms[%zu].devices[%zu].", nr, i);
		vm->nr_devices++;
		err = read_device(l, obj, &vm->devices[i]);
		if (err)
			return err;
	}
	return 0;
}

static int read_policy(struct replay_parse *l, const json_t *obj, enum wb_policy *out)
{
	static const char *const names[] = {
		[WB_POLICY_NONE] = "none",
		[WB_POLICY_FORCE] = "force",
		[WB_POLICY_PAUSE] = "pause",
	};
	const json_t *v = json_object_get(obj, "policy");

	*out = WB_POLICY_UNKNOWN;
	if (!v || json_is_null(v))
		return 0;
	for (unsigned int i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
		if (json_is_string(v) && !strcmp(json_string_value(v), names[i])) {
			*out = i;
			l->s->known |= WB_KNOWN_POLICY;
			return 0;
		}
	}
	return jread_bad(&l->j, "%spolicy is neither none, force, pause nor null", l->j.where);
}

static int read_identity(struct replay_parse *l, const json_t *obj, struct wb_vm *vm)
{
	uint64_t pid;
	int noncoherent, err;
	bool null;

	err = jread_str_null(&l->j, obj, "id", &vm->id);
	if (!err)
		err = jread_u64(&l->j, obj, "pid", 1, INT_MAX, &pid);
	if (!err)
		err = jread_u64_null(&l->j, obj, "start", 1, REPLAY_LIMIT, &vm->start, &null);
	if (!err)
		err = jread_str(&l->j, obj, "name", &vm->name);
	if (!err)
		err = jread_bool(&l->j, obj, "ended", &vm->ended);
	if (!err)
		err = jread_bool_null(&l->j, obj, "noncoherent", &noncoherent);
	if (!err)
		err = read_policy(l, obj, &vm->policy);
	if (err)
		return err;
	vm->pid = pid;
	vm->noncoherent = noncoherent < 0 ? WB_UNKNOWN : noncoherent ? WB_YES : WB_NO;
	err = replay_read_key(l, obj, "key", &vm->key);
	return err == -ENODATA ? replay_find_key(l->st, vm) : err;
}

/* A VM of the reading before the first line. */
static int begin_before(struct wb_snapshot *s, const struct wb_vm *vm, struct wb_vm **out)
{
	struct wb_vm *b = snapshot_add_vm(s);

	*out = b;
	if (!b)
		return -ENOMEM;
	b->key = vm->key;
	b->pid = vm->pid;
	b->start = vm->start;
	b->noncoherent = vm->noncoherent;
	b->policy = vm->policy;
	b->vcpus_unknown = vm->vcpus_unknown;
	b->id = vm->id ? strdup(vm->id) : NULL;
	b->name = strdup(vm->name);
	return b->name && (b->id || !vm->id) ? 0 : -ENOMEM;
}

int replay_read_vm(struct replay_parse *l, const json_t *obj, size_t nr)
{
	struct wb_vm *vm = snapshot_add_vm(l->s), *before = NULL;
	struct wb_vcpu whole = { 0 };
	struct wb_counters delta, sum;
	json_t *vcpus = json_object_get(obj, "vcpus");
	char path[32];
	int err;

	if (!vm)
		return -ENOMEM;
	snprintf(path, sizeof(path), "vms[%zu]", nr);
	jread_at(&l->j, "%s.", path);
	err = read_identity(l, obj, vm);
	if (!err)
		err = read_devices(l, obj, nr, vm);
	if (!err)
		err = replay_read_stat(l, obj, path, &whole, &delta);
	if (err)
		return err;
	if (vcpus && !json_is_null(vcpus) && !json_is_array(vcpus))
		return jread_bad(&l->j, "%s.vcpus is not an array", path);
	vm->vcpus_unknown = !json_is_array(vcpus);
	if (l->before) {
		err = begin_before(l->before, vm, &before);
		if (err)
			return err;
	}
	if (vm->vcpus_unknown) {
		struct wb_vcpu *v = snapshot_add_vcpu(vm);

		if (!v)
			return -ENOMEM;
		*v = whole;
		return add_before(before, v, &delta);
	}
	err = read_vcpus(l, vcpus, path, vm, before);
	if (err)
		return err;
	sum = vm_total(vm);
	for (unsigned int i = 0; i < REPLAY_NR_COUNTERS; i++)
		if (replay_counter_get(&sum, i) != replay_counter_get(&whole.total, i))
			return jread_bad(&l->j, "%s.total.%s is not the sum of its vCPUs", path,
					 replay_counters[i].key);
	return 0;
}

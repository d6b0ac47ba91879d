// SPDX-License-Identifier: GPL-2.0
/* What the lines of a recording have said so far. */
#include "replay_int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct replay_state *replay_state_new(void)
{
	struct replay_state *st = calloc(1, sizeof(*st));

	if (st)
		st->next_key = 1;
	return st;
}

static void forget(struct replay_state *st)
{
	for (size_t i = 0; i < st->nr_vms; i++) {
		free(st->vms[i].id);
		free(st->vms[i].vcpus);
	}
	free(st->vms);
	free(st->by_identity);
	free(st->victims);
	st->nr_vms = 0;
	st->vms = NULL;
	st->by_identity = NULL;
	st->nr_victims = 0;
	st->victims = NULL;
}

void replay_state_free(struct replay_state *st)
{
	if (!st)
		return;
	forget(st);
	free(st);
}

int replay_read_key(struct replay_parse *l, const json_t *obj, const char *name, uint64_t *key)
{
	bool given = json_object_get(obj, name);

	if (l->st->keys == KEYS_UNDECIDED)
		l->st->keys = given ? KEYS_GIVEN : KEYS_MADE_UP;
	if (given != (l->st->keys == KEYS_GIVEN))
		return jread_bad(&l->j, "%s%s is %s, unlike the keys before", l->j.where, name,
				 given ? "there" : "missing");
	return given ? jread_u64(&l->j, obj, name, 0, INT64_MAX, key) : -ENODATA;
}

static int cmp_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int identity_cmp(pid_t pid, uint64_t start, const char *id, const struct seen_vm *vm)
{
	int c = cmp_u64(pid, vm->pid);

	if (!c)
		c = cmp_u64(start, vm->start);
	if (!c)
		c = strcmp(id ? id : "", vm->id ? vm->id : "");
	return c;
}

static int identity_order(const void *a, const void *b)
{
	const struct seen_vm *x = *(struct seen_vm *const *)a, *y = *(struct seen_vm *const *)b;
	int c = identity_cmp(x->pid, x->start, x->id, y);

	return c ? c : cmp_u64(x->key, y->key);
}

int replay_find_key(struct replay_state *st, struct wb_vm *vm)
{
	size_t lo = 0, hi = st->nr_vms;

	if (!st->by_identity && st->nr_vms) {
		st->by_identity = calloc(st->nr_vms, sizeof(struct seen_vm *));
		if (!st->by_identity)
			return -ENOMEM;
		for (size_t i = 0; i < st->nr_vms; i++)
			st->by_identity[i] = &st->vms[i];
		qsort(st->by_identity, st->nr_vms, sizeof(struct seen_vm *), identity_order);
	}
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (identity_cmp(vm->pid, vm->start, vm->id, st->by_identity[mid]) > 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < st->nr_vms; lo++) {
		struct seen_vm *seen = st->by_identity[lo];

		if (identity_cmp(vm->pid, vm->start, vm->id, seen))
			break;
		if (seen->taken || seen->ended)
			continue;
		seen->taken = true;
		vm->key = seen->key;
		return 0;
	}
	vm->key = st->next_key++;
	return 0;
}

/* The vCPUs of a VM must be there again and not have gone back. */
static int check_vm(struct replay_parse *l, const struct wb_vm *vm, const struct seen_vm *seen)
{
	size_t j = 0;

	if (seen->ended)
		return jread_bad(&l->j, "the VM of process %d has ended on the line before",
				 vm->pid);
	for (size_t k = 0; k < seen->nr_vcpus; k++) {
		const struct seen_vcpu *s = &seen->vcpus[k];

		while (j < vm->nr_vcpus && vm->vcpus[j].id < s->id)
			j++;
		if (j == vm->nr_vcpus || vm->vcpus[j].id != s->id)
			return jread_bad(&l->j,
					 "vCPU %" PRIu32 " of the VM of process %d is "
					 "missing",
					 s->id, vm->pid);
		for (unsigned int i = 0; i < REPLAY_NR_COUNTERS; i++)
			if (replay_counter_get(&vm->vcpus[j].total, i) <
			    replay_counter_get(&s->total, i))
				return jread_bad(&l->j,
						 "total.%s of the VM of process %d goes "
						 "backwards",
						 replay_counters[i].key, vm->pid);
	}
	return 0;
}

int replay_check_vms(struct replay_parse *l)
{
	const struct replay_state *st = l->st;
	size_t j = 0;
	int err = 0;

	for (size_t i = 0; !err && i < l->s->nr_vms; i++) {
		const struct wb_vm *vm = &l->s->vms[i];

		if (i && vm->key == vm[-1].key)
			return jread_bad(&l->j, "two VMs have the key %" PRIu64, vm->key);
		while (j < st->nr_vms && st->vms[j].key < vm->key)
			j++;
		if (j < st->nr_vms && st->vms[j].key == vm->key)
			err = check_vm(l, vm, &st->vms[j]);
	}
	return err;
}

static int remember_vm(struct seen_vm *seen, const struct wb_vm *vm)
{
	*seen = (struct seen_vm){
		.key = vm->key,
		.pid = vm->pid,
		.start = vm->start,
		.ended = vm->ended,
		.id = vm->id ? strdup(vm->id) : NULL,
		.vcpus = calloc(vm->nr_vcpus + 1, sizeof(*seen->vcpus)),
	};
	if (!seen->vcpus || (vm->id && !seen->id))
		return -ENOMEM;
	seen->nr_vcpus = vm->nr_vcpus;
	for (size_t i = 0; i < vm->nr_vcpus; i++) {
		seen->vcpus[i].id = vm->vcpus[i].id;
		seen->vcpus[i].total = vm->vcpus[i].total;
	}
	return 0;
}

int replay_remember(struct replay_state *st, const struct wb_snapshot *s,
		    const struct wb_counters *sum)
{
	int err = 0;

	forget(st);
	st->vms = calloc(s->nr_vms + 1, sizeof(*st->vms));
	st->victims = calloc(s->nr_victims + 1, sizeof(*st->victims));
	if (!st->vms || !st->victims)
		return -ENOMEM;
	for (; !err && st->nr_vms < s->nr_vms; st->nr_vms++)
		err = remember_vm(&st->vms[st->nr_vms], &s->vms[st->nr_vms]);
	for (size_t i = 0; i < s->nr_victims; i++) {
		st->victims[i] = s->victims[i];
		st->victims[i].name = NULL;
		st->victims[i].culprit = NULL;
	}
	st->nr_victims = s->nr_victims;
	st->started = true;
	st->time_ns = s->time_ns;
	st->sum = *sum;
	st->events_lost = s->events_lost;
	return err;
}

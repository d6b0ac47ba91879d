// SPDX-License-Identifier: GPL-2.0
/* The live source's victims: who was stalled by whom. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src_bpf_int.h"

static struct past_vm *find_past(struct bpf_source *b, uint64_t gen)
{
	size_t i;

	for (i = 0; i < b->nr_past; i++) {
		if (b->past[i].gen == gen)
			return &b->past[i];
	}
	return NULL;
}

int bpf_remember_vm(struct bpf_source *b, const struct wb_vm *vm)
{
	struct past_vm *p = realloc(b->past, (b->nr_past + 1) * sizeof(*p));

	if (!p)
		return -ENOMEM;
	b->past = p;
	p += b->nr_past;
	p->gen = vm->key;
	p->named = true;
	p->id = vm->id ? strdup(vm->id) : NULL;
	p->name = strdup(vm->name);
	if ((vm->id && !p->id) || !p->name) {
		free(p->id);
		free(p->name);
		return -ENOMEM;
	}
	b->nr_past++;
	return 0;
}

/* Drops the VMs that no victim of this reading has named. */
static void forget_past(struct bpf_source *b)
{
	size_t i, to = 0;

	for (i = 0; i < b->nr_past; i++) {
		if (b->past[i].named) {
			b->past[i].named = false;
			b->past[to++] = b->past[i];
		} else {
			free(b->past[i].id);
			free(b->past[i].name);
		}
	}
	b->nr_past = to;
}

/* Id and name of a living or past VM; false: nothing is known of it. */
static bool vm_of(struct bpf_source *b, const struct wb_snapshot *s, uint64_t gen, const char **id,
		  const char **name)
{
	const struct wb_vm *vm = snapshot_vm((struct wb_snapshot *)s, gen);
	struct past_vm *past = vm ? NULL : find_past(b, gen);

	if (past)
		past->named = true;
	*id = vm ? vm->id : past ? past->id : NULL;
	*name = vm ? vm->name : past ? past->name : NULL;
	return vm || past;
}

static int name_victim(struct bpf_source *b, struct wb_snapshot *s, struct wb_victim *v,
		       const struct wb_victim_key *key, const struct wb_victim_val *val)
{
	const char *id, *name = NULL;

	switch (v->kind) {
	case WB_VICTIM_IDLE:
		v->name = strdup("idle");
		break;
	case WB_VICTIM_TASK:
		v->name = vm_table_command(b->vms, key->tgid, val->comm);
		break;
	case WB_VICTIM_VM:
		vm_of(b, s, key->vm, &id, &name);
		v->name =
			strdup(name ? name : vm_table_name(b->vms, key->tgid, v->start, val->comm));
		break;
	}
	if (!v->name)
		return -ENOMEM;
	if (v->culprit_kind != WB_CULPRIT_IS_VM)
		return 0;
	vm_of(b, s, key->culprit, &id, &name);
	if (id) {
		v->culprit = strdup(id);
		if (!v->culprit)
			return -ENOMEM;
	}
	return 0;
}

struct victim_reading {
	struct reading *r;
	struct wb_victim_key *gone; /* rows that may be dropped when room gets scarce */
	struct wb_counters gone_shared;
	size_t nr_gone;
};

/* Nothing will be added to the row any more: one side of it is history. */
static bool row_is_past(struct bpf_source *b, const struct wb_victim *v,
			const struct wb_victim_key *key)
{
	if (v->culprit_kind == WB_CULPRIT_IS_VM && !vm_table_find(b->vms, key->culprit))
		return true;
	return key->tgid && vm_table_process_gone(b->vms, key->tgid, v->start);
}

static int on_victim(struct bpf_source *b, const void *key, const void *value, void *ctx)
{
	const struct wb_victim_val *val = value;
	struct victim_reading *vr = ctx;
	struct wb_victim_key k;
	struct wb_victim *v;

	memcpy(&k, key, sizeof(k));
	/* A VM that is younger than our list: its row can wait for the next reading. */
	if (k.culprit >= WB_GEN_FIRST && !snapshot_vm(vr->r->s, k.culprit) &&
	    !find_past(b, k.culprit))
		return 0;
	v = snapshot_add_victim(vr->r->s);
	if (!v)
		return -ENOMEM;
	v->kind = k.vm ? WB_VICTIM_VM : k.tgid ? WB_VICTIM_TASK : WB_VICTIM_IDLE;
	v->pid = k.tgid;
	v->start = k.tgid ? vm_table_ticks(b->vms, val->start_ns) : 0;
	v->count = val->count;
	v->stall_ns = val->stall_ns;
	v->max_ns = val->max_ns;
	v->interval_max_ns = epoch_max(val->max, vr->r->epoch);
	v->culprit_kind = k.culprit == WB_CULPRIT_SHARED ? WB_CULPRIT_IS_SHARED :
			  k.culprit == WB_CULPRIT_OTHER	 ? WB_CULPRIT_IS_OTHER :
							   WB_CULPRIT_IS_VM;
	if (v->culprit_kind == WB_CULPRIT_IS_VM)
		v->culprit_key = k.culprit;
	if (vr->gone && vr->nr_gone < b->cfg.map_entries && row_is_past(b, v, &k)) {
		vr->gone[vr->nr_gone++] = k;
		if (v->culprit_kind == WB_CULPRIT_IS_SHARED)
			vr->gone_shared.stall_ns += v->stall_ns;
	}
	return name_victim(b, vr->r->s, v, &k, val);
}

/*
 * Rows stay for as long as there is room; when three quarters of it are used,
 * those go that nothing can be added to.
 */
int bpf_read_victims(struct bpf_source *b, struct reading *r)
{
	struct wb_forget what = { .what = WB_FORGET_VICTIM };
	struct victim_reading vr = { .r = r };
	size_t i;
	int err;

	if (b->nr_victims > b->cfg.map_entries / 4 * 3)
		vr.gone = malloc(b->cfg.map_entries * sizeof(*vr.gone));
	err = for_each_entry(b, &b->obj->victims, on_victim, &vr);
	b->nr_victims = r->s->nr_victims;
	for (i = 0; i < vr.nr_gone && !err; i++) {
		memcpy(what.key, &vr.gone[i], sizeof(what.key));
		bpf_obj_forget(b->obj, &what);
	}
	if (!err)
		counters_add(&b->ended, &vr.gone_shared);
	free(vr.gone);
	forget_past(b);
	return err;
}

void bpf_forget_vms(struct bpf_source *b)
{
	size_t i;

	for (i = 0; i < b->nr_past; i++)
		b->past[i].named = false;
	forget_past(b);
	free(b->past);
}

// SPDX-License-Identifier: GPL-2.0
#include "replay_int.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "source.h"

void replay_head_clear(struct replay_head *h)
{
	free(h->source);
	free(h->kernel);
	free(h->time_scope);
	free(h->notice);
	memset(h, 0, sizeof(*h));
}

/* What a null in sum.total says is not known, is known of no VM. */
static unsigned int known_of(const json_t *sum_total)
{
	unsigned int known = 0;

	for (unsigned int i = 0; i < REPLAY_NR_COUNTERS; i++) {
		const json_t *v = json_object_get(sum_total, replay_counters[i].key);

		if (!json_is_null(v) && (v || !replay_counters[i].added))
			known |= replay_counters[i].known;
	}
	return known;
}

static int read_culprit(struct replay_parse *l, const json_t *obj, struct wb_victim *v)
{
	int err = jread_str_null(&l->j, obj, "culprit", &v->culprit);

	if (err)
		return err;
	v->culprit_kind = WB_CULPRIT_IS_VM;
	if (v->culprit && !strcmp(v->culprit, "shared"))
		v->culprit_kind = WB_CULPRIT_IS_SHARED;
	if (v->culprit && !strcmp(v->culprit, "other"))
		v->culprit_kind = WB_CULPRIT_IS_OTHER;
	if (v->culprit_kind != WB_CULPRIT_IS_VM) {
		free(v->culprit);
		v->culprit = NULL;
		return 0;
	}
	err = replay_read_key(l, obj, "culprit_key", &v->culprit_key);
	if (err != -ENODATA)
		return err;
	for (size_t i = 0; v->culprit && i < l->s->nr_vms; i++) {
		const struct wb_vm *vm = &l->s->vms[i];

		if (vm->id && !strcmp(vm->id, v->culprit)) {
			v->culprit_key = vm->key;
			return 0;
		}
	}
	/* A VM that is not listed: all that is known is that it is none of the others. */
	v->culprit_key = l->st->next_key++;
	return 0;
}

/* Lines hold what happened in their interval: readings go on counting. */
static int accumulate(struct replay_parse *l, struct wb_victim *v)
{
	const struct wb_victim *p = NULL;

	if (l->st->nr_victims)
		p = bsearch(v, l->st->victims, l->st->nr_victims, sizeof(*v), victim_cmp);
	if (p) {
		v->count += p->count;
		v->stall_ns += p->stall_ns;
		v->max_ns = p->max_ns > v->max_ns ? p->max_ns : v->max_ns;
	}
	l->victim_count += v->count;
	l->victim_ns += v->stall_ns;
	if (l->victim_count > REPLAY_LIMIT || l->victim_ns > REPLAY_LIMIT)
		return jread_bad(&l->j, "the stalls of the victims are absurdly many");
	return 0;
}

static int read_victim(struct replay_parse *l, const json_t *obj, size_t nr)
{
	static const char *const kinds[] = { "vm", "task", "idle" };
	struct wb_victim *v = snapshot_add_victim(l->s);
	const json_t *kind = json_object_get(obj, "kind");
	uint64_t pid = 0;
	unsigned int i;
	bool null;
	int err;

	if (!v)
		return -ENOMEM;
	jread_at(&l->j, "victims[%zu].", nr);
	for (i = 0; i < 3; i++)
		if (json_is_string(kind) && !strcmp(json_string_value(kind), kinds[i]))
			break;
	if (i == 3)
		return jread_bad(&l->j, "%skind is neither vm, task nor idle", l->j.where);
	v->kind = i;
	err = jread_u64(&l->j, obj, "pid", 0, INT_MAX, &pid);
	if (!err)
		err = jread_str(&l->j, obj, "name", &v->name);
	if (!err)
		err = jread_u64(&l->j, obj, "count", 0, REPLAY_LIMIT, &v->count);
	if (!err)
		err = jread_u64(&l->j, obj, "stall_ns", 0, REPLAY_LIMIT, &v->stall_ns);
	if (!err)
		err = jread_u64_null(&l->j, obj, "max_ns", 0, REPLAY_LIMIT, &v->interval_max_ns,
				     &null);
	if (!err && json_object_get(obj, "start"))
		err = jread_u64(&l->j, obj, "start", 0, REPLAY_LIMIT, &v->start);
	if (!err)
		err = read_culprit(l, obj, v);
	if (err)
		return err;
	v->pid = pid;
	v->max_ns = v->interval_max_ns;
	return accumulate(l, v);
}

static int read_times(struct replay_parse *l, const json_t *root, uint64_t *interval)
{
	const struct replay_state *st = l->st;
	uint64_t now;
	int err = jread_u64(&l->j, root, "time_ns", 0, INT64_MAX, &now);

	if (!err)
		err = jread_u64(&l->j, root, "interval_ns", 0, INT64_MAX, interval);
	if (!err)
		err = jread_time(&l->j, root, "time", &l->s->wall_ns);
	if (err)
		return err;
	l->s->time_ns = now;
	if (*interval > now)
		return jread_bad(&l->j, "interval_ns is more than time_ns");
	if (!st->started)
		return 0;
	if (now <= st->time_ns)
		return jread_bad(&l->j, "time_ns goes backwards, from %" PRIu64 " to %" PRIu64,
				 st->time_ns, now);
	if (!*interval)
		return jread_bad(&l->j, "interval_ns is 0: another recording begins here");
	if (*interval > now - st->time_ns)
		return jread_bad(&l->j, "interval_ns reaches back beyond the line before");
	l->s->gap_ns = now - st->time_ns - *interval;
	return 0;
}

static int read_head(struct replay_parse *l, const json_t *root, struct replay_head *head)
{
	char *schema;
	int err = jread_str(&l->j, root, "schema", &schema);

	if (!err && strcmp(schema, WB_SCHEMA))
		err = jread_bad(&l->j,
				"schema is \"%s\", not \"%s\": written by another version "
				"or program",
				schema, WB_SCHEMA);
	free(schema);
	if (!err)
		err = jread_str(&l->j, root, "source", &head->source);
	if (!err)
		err = jread_str(&l->j, root, "kernel", &head->kernel);
	if (!err)
		err = jread_str_null(&l->j, root, "time_scope", &head->time_scope);
	if (!err && json_object_get(root, "notice"))
		err = jread_str_null(&l->j, root, "notice", &head->notice);
	return err;
}

/* What the sum has beyond the VMs and victims of the line is of those that ended. */
static int set_ended(struct replay_parse *l, struct wb_snapshot *s, const struct wb_counters *sum)
{
	struct wb_counters parts = snapshot_sum(s);

	for (unsigned int i = 0; i < REPLAY_NR_COUNTERS; i++)
		if (replay_counter_get(&parts, i) > replay_counter_get(sum, i))
			return jread_bad(&l->j, "sum.total.%s is less than its parts",
					 replay_counters[i].key);
	s->ended = *sum;
	counters_sub(&s->ended, &parts);
	return 0;
}

/* Lines may be missing, so that the total may have grown by more. */
static int check_delta(struct replay_parse *l, const struct wb_counters *sum,
		       const struct wb_counters *delta)
{
	for (unsigned int i = 0; i < REPLAY_NR_COUNTERS; i++)
		if (replay_counter_get(delta, i) >
		    replay_counter_get(sum, i) - replay_counter_get(&l->st->sum, i))
			return jread_bad(
				&l->j,
				"sum.delta.%s is more than sum.total grew by: another recording begins here",
				replay_counters[i].key);
	return 0;
}

static int read_lost(struct replay_parse *l, const json_t *root, uint64_t *delta)
{
	json_t *lost;
	int err = jread_obj(&l->j, root, "lost", &lost);

	if (err)
		return err;
	jread_at(&l->j, "lost.");
	err = jread_u64(&l->j, lost, "total", 0, REPLAY_LIMIT, &l->s->lost);
	/* The total may go back: an exit whose end is seen late was not lost after all. */
	return err ? err : jread_u64(&l->j, lost, "delta", 0, l->s->lost, delta);
}

static int read_sum(struct replay_parse *l, const json_t *root, struct wb_vcpu *sum,
		    struct wb_counters *delta)
{
	json_t *obj;
	int err;

	jread_at(&l->j, "%s", "");
	err = jread_obj(&l->j, root, "sum", &obj);
	if (err)
		return err;
	l->s->known = known_of(json_object_get(obj, "total"));
	err = replay_read_stat(l, obj, "sum", sum, delta);
	for (unsigned int i = 0; !err && i < REPLAY_NR_COUNTERS; i++)
		if (replay_counter_get(&sum->total, i) < replay_counter_get(&l->st->sum, i))
			err = jread_bad(&l->j, "sum.total.%s goes backwards",
					replay_counters[i].key);
	return err;
}

static int read_vms(struct replay_parse *l, const json_t *root)
{
	bool known = false;
	json_t *array, *obj;
	size_t i;
	int err;

	jread_at(&l->j, "%s", "");
	err = jread_array(&l->j, root, "vms", &array);
	if (err)
		return err;
	json_array_foreach(array, i, obj) {
		err = replay_read_vm(l, obj, i);
		if (err)
			return err;
		known |= l->s->vms[i].noncoherent != WB_UNKNOWN;
	}
	if (known || !l->s->nr_vms)
		l->s->known |= WB_KNOWN_NONCOHERENT;
	return 0;
}

static int read_victims(struct replay_parse *l, const json_t *root)
{
	json_t *array, *obj;
	size_t i;
	int err;

	jread_at(&l->j, "%s", "");
	if (json_is_null(json_object_get(root, "victims")) && !(l->s->known & WB_KNOWN_STALL))
		return 0;
	err = jread_array(&l->j, root, "victims", &array);
	if (err)
		return err;
	json_array_foreach(array, i, obj) {
		err = read_victim(l, obj, i);
		if (err)
			return err;
	}
	return 0;
}

static int read_line(struct replay_parse *l, const json_t *root, struct replay_head *head,
		     struct wb_snapshot *before)
{
	struct wb_counters sum_delta;
	struct wb_vcpu sum = { 0 };
	uint64_t interval = 0, lost_delta = 0;
	int err;

	err = read_head(l, root, head);
	if (!err)
		err = read_times(l, root, &interval);
	if (!err && !l->st->started && interval)
		l->before = before;
	if (!err)
		err = read_lost(l, root, &lost_delta);
	if (!err)
		err = read_sum(l, root, &sum, &sum_delta);
	if (!err)
		err = read_vms(l, root);
	if (!err)
		err = read_victims(l, root);
	if (!err)
		err = replay_read_events(l, root);
	if (err)
		return err;
	snapshot_sort(l->s);
	err = replay_check_vms(l);
	if (!err)
		err = set_ended(l, l->s, &sum.total);
	if (!err)
		err = check_delta(l, &sum.total, &sum_delta);
	if (!err)
		err = replay_remember(l->st, l->s, &sum.total);
	if (err || !l->before)
		return err;
	before->time_ns = l->s->time_ns - interval;
	before->wall_ns = l->s->wall_ns - (int64_t)interval;
	head->has_before = true;
	before->known = l->s->known;
	before->lost = l->s->lost - lost_delta;
	snapshot_sort(before);
	counters_sub(&sum.total, &sum_delta);
	return set_ended(l, before, &sum.total);
}

/* jansson's own words quote the input, which a terminal might obey. */
static const char *json_problem(const json_error_t *e)
{
	switch (json_error_code(e)) {
	case json_error_numeric_overflow:
		return "a number is too big";
	case json_error_duplicate_key:
		return "a name stands twice in one object";
	case json_error_invalid_utf8:
		return "not UTF-8";
	case json_error_stack_overflow:
		return "nested too deeply";
	default:
		return "not JSON";
	}
}

int replay_line(struct replay_state *st, const char *text, size_t len, struct replay_head *head,
		struct wb_snapshot *s, struct wb_snapshot *before, char **error)
{
	struct replay_parse l = { .st = st, .s = s };
	json_error_t jerr;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &jerr);
	int err;

	memset(head, 0, sizeof(*head));
	if (!root)
		err = jread_bad(&l.j, "%s at byte %d", json_problem(&jerr), jerr.position);
	else if (!json_is_object(root))
		err = jread_bad(&l.j, "not a JSON object");
	else
		err = read_line(&l, root, head, before);
	json_decref(root);
	*error = l.j.error;
	if (err) {
		snapshot_clear(s);
		snapshot_clear(before);
		replay_head_clear(head);
	}
	return err;
}

// SPDX-License-Identifier: GPL-2.0
#include "model.h"

#include <emmintrin.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One vCPU as it was at the baseline; sorted by key, then id. */
struct base_vcpu {
	uint64_t key;
	uint32_t id;
	struct wb_counters total;
	uint64_t max_ns; /* longest exit since the baseline */
	uint32_t hist[WB_HIST_SLOTS];
};

struct baseline {
	bool set;
	size_t n;
	struct base_vcpu *v;
	struct wb_counters sum;
	uint64_t lost;
};

/* What is kept of VMs that have ended, for the quantiles of the sum. */
struct gone {
	uint64_t hist[WB_HIST_SLOTS];
	uint64_t max_ns;
};

/* model_filter, owned. */
struct filter {
	pid_t *pids;
	size_t nr_pids;
	char **names;
	size_t nr_names;
	char *text;
};

struct model {
	struct wb_snapshot *cur;
	struct wb_snapshot *prev;
	struct wb_counters cur_sum; /* no baseline subtracted */
	struct wb_counters prev_sum;
	struct baseline base;
	struct gone gone;	/* since the source started */
	struct gone gone_based; /* since the baseline */
	struct filter filter;
	struct frame frame;
	struct frame raw_frame;
	struct model_log log;
	struct frame_vcpu *vcpus;
};

/* A sum over vCPUs on its way to a struct wb_stat. */
struct tally {
	struct wb_counters c;
	uint64_t max_ns;
	uint64_t hist[WB_HIST_SLOTS];
};

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t hist_bound(unsigned int slot)
{
	unsigned int octave, sub;

	if (!slot)
		return (1ULL << WB_HIST_MIN_SHIFT) - 1;
	if (slot >= WB_HIST_SLOTS - 1)
		return UINT64_MAX;
	octave = WB_HIST_MIN_SHIFT + (slot - 1) / 4;
	sub = (slot - 1) % 4;
	return (1ULL << octave) + (sub + 1ULL) * (1ULL << (octave - 2)) - 1;
}

/* The rank of the percent-quantile of n, from 1: ceil(n * percent / 100) without the overflow. */
static uint64_t rank_of(uint64_t n, unsigned int percent)
{
	return n / 100 * percent + (n % 100 * percent + 99) / 100;
}

/* A slot's upper bound, as far as it is known. */
static uint64_t slot_bound(unsigned int slot, uint64_t max)
{
	uint64_t bound = hist_bound(slot);

	if (max)
		return bound < max ? bound : max;
	/* Nothing better is known of the open-ended slot than where it begins. */
	return bound == UINT64_MAX ? 1ULL << WB_HIST_MAX_SHIFT : bound;
}

/* The slot of a rank; *seen exits are in the slots before slot. */
static unsigned int slot_of_rank(const uint64_t *hist, uint64_t rank, unsigned int slot,
				 uint64_t *seen)
{
	for (; slot < WB_HIST_SLOTS - 1; slot++) {
		if (*seen + hist[slot] >= rank)
			break;
		*seen += hist[slot];
	}
	return slot;
}

void hist_quantiles(const uint64_t hist[WB_HIST_SLOTS], const unsigned int *percent,
		    uint64_t *quantile, size_t nr, uint64_t max)
{
	unsigned int slot = 0;
	uint64_t n = 0, seen = 0;

	for (unsigned int i = 0; i < WB_HIST_SLOTS; i++)
		n += hist[i];
	for (size_t i = 0; i < nr; i++) {
		quantile[i] = 0;
		if (!n)
			continue;
		slot = slot_of_rank(hist, rank_of(n, percent[i]), slot, &seen);
		quantile[i] = slot_bound(slot, max);
	}
}

static void stat_from(struct wb_stat *s, const struct tally *t)
{
	static const unsigned int percents[] = { 50, 99 };
	uint64_t quantiles[2];

	s->c = t->c;
	s->timed = s->c.exits > s->c.untimed ? s->c.exits - s->c.untimed : 0;
	s->mean_ns = s->timed ? s->c.emulation_ns / s->timed : 0;
	s->max_ns = t->max_ns;
	hist_quantiles(t->hist, percents, quantiles, 2, t->max_ns);
	s->p50_ns = quantiles[0];
	s->p99_ns = quantiles[1];
}

static void tally_add(struct tally *to, const struct tally *t)
{
	counters_add(&to->c, &t->c);
	to->max_ns = max_u64(to->max_ns, t->max_ns);
	for (unsigned int i = 0; i < WB_HIST_SLOTS; i++)
		to->hist[i] += t->hist[i];
}

static __m128i load(const void *p)
{
	return _mm_loadu_si128(p);
}

static void add_pair(uint64_t *to, __m128i pair)
{
	_mm_storeu_si128((__m128i *)to, _mm_add_epi64(load(to), pair));
}

static void add_four(uint64_t *to, __m128i four)
{
	add_pair(to, _mm_unpacklo_epi32(four, _mm_setzero_si128()));
	add_pair(to + 2, _mm_unpackhi_epi32(four, _mm_setzero_si128()));
}

static bool all_zero(__m128i v)
{
	return _mm_movemask_epi8(_mm_cmpeq_epi32(v, _mm_setzero_si128())) == 0xffff;
}

/*
 * Adds cur - from; from NULL: cur.  Modulo 2^32, as the histogram counts.  This
 * is most of what thousands of vCPUs take, of which few change, and few slots of
 * those: eight at once.
 */
static void hist_add(uint64_t *to, const uint32_t *cur, const uint32_t *from)
{
	static const uint32_t zeros[WB_HIST_SLOTS];
	unsigned int i;

	if (!from)
		from = zeros;
	else if (!memcmp(cur, from, sizeof(zeros)))
		return;
	for (i = 0; i + 8 <= WB_HIST_SLOTS; i += 8) {
		__m128i a = _mm_sub_epi32(load(cur + i), load(from + i));
		__m128i b = _mm_sub_epi32(load(cur + i + 4), load(from + i + 4));

		if (all_zero(_mm_or_si128(a, b)))
			continue;
		add_four(to + i, a);
		add_four(to + i + 4, b);
	}
	for (; i < WB_HIST_SLOTS; i++)
		to[i] += (uint32_t)(cur[i] - from[i]);
}

static void tally_total(struct tally *t, const struct wb_vcpu *v, const struct base_vcpu *base)
{
	struct wb_counters c = v->total;

	if (base)
		counters_sub(&c, &base->total);
	counters_add(&t->c, &c);
	t->max_ns = max_u64(t->max_ns, base ? base->max_ns : v->max_ns);
	if (v->total.exits)
		hist_add(t->hist, v->hist, base ? base->hist : NULL);
}

static void tally_delta(struct tally *t, const struct wb_vcpu *v, const struct wb_vcpu *prev)
{
	struct wb_counters c = v->total;

	if (prev)
		counters_sub(&c, &prev->total);
	counters_add(&t->c, &c);
	t->max_ns = max_u64(t->max_ns, v->interval_max_ns);
	if (v->total.exits)
		hist_add(t->hist, v->hist, prev ? prev->hist : NULL);
}

/* The baseline's vCPUs of one VM; *n is their number. */
static struct base_vcpu *base_of(const struct baseline *b, uint64_t key, size_t *n)
{
	size_t lo = 0, hi = b->n, end;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (b->v[mid].key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (end = lo; end < b->n && b->v[end].key == key; end++)
		;
	*n = end - lo;
	return *n ? b->v + lo : NULL;
}

/*
 * One VM's vCPUs next to their like of the previous reading and of the
 * baseline.  Start with prev and base at their first element, then ask for
 * each vCPU in order of id.
 */
struct join {
	const struct wb_vcpu *prev, *prev_end;
	struct base_vcpu *base, *base_end;
};

static void join_start(struct join *j, const struct model *m, const struct wb_vm *vm,
		       const struct wb_vm *prev, bool based)
{
	size_t n = 0;

	j->prev = prev ? prev->vcpus : NULL;
	j->prev_end = prev && prev->nr_vcpus ? prev->vcpus + prev->nr_vcpus : j->prev;
	j->base = based ? base_of(&m->base, vm->key, &n) : NULL;
	j->base_end = n ? j->base + n : j->base;
}

static const struct wb_vcpu *join_prev(struct join *j, uint32_t id)
{
	while (j->prev != j->prev_end && j->prev->id < id)
		j->prev++;
	return j->prev != j->prev_end && j->prev->id == id ? j->prev : NULL;
}

static struct base_vcpu *join_base(struct join *j, uint32_t id)
{
	while (j->base != j->base_end && j->base->id < id)
		j->base++;
	return j->base != j->base_end && j->base->id == id ? j->base : NULL;
}

static bool contains(const char *s, const char *what)
{
	return s && strcasestr(s, what);
}

static bool process_passes(const struct filter *f, pid_t pid, const char *name)
{
	if (!f->nr_pids && !f->nr_names)
		return true;
	for (size_t i = 0; i < f->nr_pids; i++)
		if (pid == f->pids[i])
			return true;
	for (size_t i = 0; i < f->nr_names; i++)
		if (contains(name, f->names[i]))
			return true;
	return false;
}

static bool text_passes(const struct filter *f, pid_t pid, const char *name)
{
	char number[16];

	if (!f->text || contains(name, f->text))
		return true;
	snprintf(number, sizeof(number), "%d", pid);
	return contains(number, f->text);
}

static bool vm_passes(const struct filter *f, const struct wb_vm *vm)
{
	if (!process_passes(f, vm->pid, vm->name))
		return false;
	if (text_passes(f, vm->pid, vm->name) || contains(vm->id, f->text))
		return true;
	for (size_t i = 0; i < vm->nr_devices; i++)
		if (contains(vm->devices[i].bdf, f->text) || contains(vm->devices[i].name, f->text))
			return true;
	return false;
}

static bool filter_empty(const struct filter *f)
{
	return !f->nr_pids && !f->nr_names && !f->text;
}

static bool victim_passes(const struct filter *f, const struct wb_snapshot *s,
			  const struct wb_victim *v)
{
	const struct wb_vm *culprit;

	if (filter_empty(f))
		return true;
	if (v->kind != WB_VICTIM_IDLE && process_passes(f, v->pid, v->name) &&
	    text_passes(f, v->pid, v->name))
		return true;
	if (v->culprit_kind != WB_CULPRIT_IS_VM)
		return false;
	culprit = snapshot_find_vm(s, v->culprit_key);
	return culprit && vm_passes(f, culprit);
}

/* The VMs of a frame; their tallies are added to the sums, filtered out or not. */
static void frame_vms(const struct model *m, struct frame *f, const struct filter *filter,
		      struct tally *sum_total, struct tally *sum_delta)
{
	const struct wb_snapshot *prev = m->prev;
	size_t j = 0;

	for (size_t i = 0; i < m->cur->nr_vms; i++) {
		const struct wb_vm *vm = &m->cur->vms[i], *before = NULL;
		struct tally total = { 0 }, delta = { 0 };
		struct frame_vm *fvm;
		struct join join;

		while (prev && j < prev->nr_vms && prev->vms[j].key < vm->key)
			j++;
		if (prev && j < prev->nr_vms && prev->vms[j].key == vm->key)
			before = &prev->vms[j];
		join_start(&join, m, vm, before, f->rebased);
		for (size_t k = 0; k < vm->nr_vcpus; k++) {
			const struct wb_vcpu *v = &vm->vcpus[k];

			tally_total(&total, v, join_base(&join, v->id));
			if (prev)
				tally_delta(&delta, v, join_prev(&join, v->id));
		}
		tally_add(sum_total, &total);
		tally_add(sum_delta, &delta);
		if (!vm->ended) {
			f->nr_living++;
			f->nr_noncoherent += vm->noncoherent == WB_YES;
		}
		if (!vm_passes(filter, vm))
			continue;
		fvm = &f->vms[f->nr_vms++];
		fvm->cur = vm;
		stat_from(&fvm->total, &total);
		stat_from(&fvm->delta, &delta);
	}
}

static int frame_victim_cmp(const void *a, const void *b)
{
	const struct frame_victim *x = a, *y = b;

	if (x->stall_ns != y->stall_ns)
		return x->stall_ns > y->stall_ns ? -1 : 1;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return victim_cmp(x->cur, y->cur);
}

static void frame_victims(const struct model *m, struct frame *f, const struct filter *filter)
{
	const struct wb_snapshot *prev = m->prev;
	size_t j = 0;

	if (!prev)
		return;
	for (size_t i = 0; i < m->cur->nr_victims; i++) {
		const struct wb_victim *v = &m->cur->victims[i];
		struct frame_victim fv = {
			.cur = v,
			.count = v->count,
			.stall_ns = v->stall_ns,
			.max_ns = v->interval_max_ns,
		};

		while (j < prev->nr_victims && victim_cmp(&prev->victims[j], v) < 0)
			j++;
		if (j < prev->nr_victims && !victim_cmp(&prev->victims[j], v)) {
			const struct wb_victim *p = &prev->victims[j];

			fv.count = v->count > p->count ? v->count - p->count : 0;
			fv.stall_ns = v->stall_ns > p->stall_ns ? v->stall_ns - p->stall_ns : 0;
		}
		if ((fv.count || fv.stall_ns) && victim_passes(filter, m->cur, v))
			f->victims[f->nr_victims++] = fv;
	}
	if (f->nr_victims > 1)
		qsort(f->victims, f->nr_victims, sizeof(*f->victims), frame_victim_cmp);
}

static bool event_passes(const struct filter *f, const struct frame_event *e)
{
	if (!process_passes(f, e->pid, e->who))
		return false;
	return text_passes(f, e->pid, e->who) || contains(e->e.dev, f->text) ||
	       (e->id && contains(e->id, f->text));
}

static void frame_events(const struct model *m, struct frame *f, const struct filter *filter)
{
	const struct model_log *log = &m->log;

	for (size_t i = 0; i < log->nr; i++) {
		if (!event_passes(filter, &log->events[i]))
			continue;
		f->events[f->nr_events++] = &log->events[i];
		f->nr_new_events += i >= log->nr - log->nr_new;
	}
}

static int frame_room(struct frame *f, size_t nr_vms, size_t nr_victims, size_t nr_events)
{
	struct frame_vm *vms = reallocarray(f->vms, nr_vms + 1, sizeof(*vms));
	struct frame_victim *victims;
	const struct frame_event **events;

	if (!vms)
		return -ENOMEM;
	f->vms = vms;
	victims = reallocarray(f->victims, nr_victims + 1, sizeof(*victims));
	if (!victims)
		return -ENOMEM;
	f->victims = victims;
	events = reallocarray(f->events, nr_events + 1, sizeof(*events));
	if (!events)
		return -ENOMEM;
	f->events = events;
	return 0;
}

static int build_frame(const struct model *m, struct frame *f, const struct filter *filter,
		       bool based)
{
	const struct gone *gone = based ? &m->gone_based : &m->gone;
	struct tally total = { 0 }, delta = { 0 };
	const struct wb_snapshot *cur = m->cur;
	int err;

	err = frame_room(f, cur->nr_vms, cur->nr_victims, m->log.nr);
	if (err)
		return err;
	*f = (struct frame){
		.cur = cur,
		.rebased = based,
		.lost_total = cur->lost,
		.vms = f->vms,
		.victims = f->victims,
		.events = f->events,
	};
	if (based)
		f->lost_total -= m->base.lost < cur->lost ? m->base.lost : cur->lost;
	if (m->prev) {
		if (cur->time_ns > m->prev->time_ns)
			f->interval_ns = cur->time_ns - m->prev->time_ns;
		if (cur->lost > m->prev->lost)
			f->lost_delta = cur->lost - m->prev->lost;
	}
	frame_vms(m, f, filter, &total, &delta);
	frame_victims(m, f, filter);
	frame_events(m, f, filter);

	for (unsigned int i = 0; i < WB_HIST_SLOTS; i++)
		total.hist[i] += gone->hist[i];
	total.max_ns = max_u64(total.max_ns, gone->max_ns);
	total.c = m->cur_sum;
	if (based)
		counters_sub(&total.c, &m->base.sum);
	memset(&delta.c, 0, sizeof(delta.c));
	if (m->prev) {
		delta.c = m->cur_sum;
		counters_sub(&delta.c, &m->prev_sum);
	}
	stat_from(&f->sum_total, &total);
	stat_from(&f->sum_delta, &delta);
	return 0;
}

/* Remembers what the sum still needs of a VM that is no longer listed. */
static void keep_gone(struct model *m, const struct wb_vm *vm)
{
	struct join join;

	join_start(&join, m, vm, NULL, m->base.set);
	for (size_t i = 0; i < vm->nr_vcpus; i++) {
		const struct wb_vcpu *v = &vm->vcpus[i];
		const struct base_vcpu *b = join_base(&join, v->id);

		hist_add(m->gone.hist, v->hist, NULL);
		m->gone.max_ns = max_u64(m->gone.max_ns, v->max_ns);
		if (!m->base.set)
			continue;
		hist_add(m->gone_based.hist, v->hist, b ? b->hist : NULL);
		m->gone_based.max_ns = max_u64(m->gone_based.max_ns, b ? b->max_ns : v->max_ns);
	}
}

static void find_gone(struct model *m)
{
	size_t j = 0;

	for (size_t i = 0; i < m->prev->nr_vms; i++) {
		const struct wb_vm *vm = &m->prev->vms[i];

		while (j < m->cur->nr_vms && m->cur->vms[j].key < vm->key)
			j++;
		if (j == m->cur->nr_vms || m->cur->vms[j].key != vm->key)
			keep_gone(m, vm);
	}
}

/* A source knows the longest exit since its start alone: here, since the baseline. */
static void base_follow_max(struct model *m)
{
	if (!m->base.set)
		return;
	for (size_t i = 0; i < m->cur->nr_vms; i++) {
		const struct wb_vm *vm = &m->cur->vms[i];
		struct join join;

		join_start(&join, m, vm, NULL, true);
		for (size_t k = 0; k < vm->nr_vcpus; k++) {
			struct base_vcpu *b = join_base(&join, vm->vcpus[k].id);

			if (b)
				b->max_ns = max_u64(b->max_ns, vm->vcpus[k].interval_max_ns);
		}
	}
}

struct model *model_new(void)
{
	return calloc(1, sizeof(struct model));
}

static void filter_free(struct filter *f)
{
	for (size_t i = 0; i < f->nr_names; i++)
		free(f->names[i]);
	free(f->names);
	free(f->pids);
	free(f->text);
	memset(f, 0, sizeof(*f));
}

void model_free(struct model *m)
{
	if (!m)
		return;
	snapshot_free(m->cur);
	snapshot_free(m->prev);
	free(m->base.v);
	filter_free(&m->filter);
	free(m->frame.vms);
	free(m->frame.victims);
	free(m->raw_frame.vms);
	free(m->raw_frame.victims);
	free(m->frame.events);
	free(m->raw_frame.events);
	model_log_clear(&m->log);
	free(m->vcpus);
	free(m);
}

int model_update(struct model *m, struct wb_snapshot *cur, const struct frame **f)
{
	snapshot_sort(cur);
	snapshot_free(m->prev);
	m->prev = m->cur;
	m->cur = cur;
	m->prev_sum = m->cur_sum;
	m->cur_sum = snapshot_sum(cur);
	if (m->prev)
		find_gone(m);
	base_follow_max(m);
	if (model_log_take(&m->log, cur)) {
		*f = NULL;
		return -ENOMEM;
	}
	return model_frame(m, f);
}

void model_make_room(struct model *m)
{
	snapshot_free(m->prev);
	m->prev = NULL;
}

int model_frame(struct model *m, const struct frame **f)
{
	int err;

	if (!m->cur)
		return -ENODATA;
	err = build_frame(m, &m->frame, &m->filter, m->base.set);
	*f = err ? NULL : &m->frame;
	return err;
}

int model_raw_frame(struct model *m, const struct frame **f)
{
	static const struct filter none;
	int err;

	if (!m->cur)
		return -ENODATA;
	err = build_frame(m, &m->raw_frame, &none, false);
	*f = err ? NULL : &m->raw_frame;
	return err;
}

int model_vcpus(struct model *m, const struct frame *f, const struct frame_vm *fvm,
		struct frame_vcpu **v, size_t *n)
{
	const struct wb_vm *vm = fvm->cur;
	struct frame_vcpu *vcpus;
	struct join join;

	*v = NULL;
	*n = 0;
	if (vm->vcpus_unknown || !vm->nr_vcpus)
		return 0;
	vcpus = reallocarray(m->vcpus, vm->nr_vcpus, sizeof(*vcpus));
	if (!vcpus)
		return -ENOMEM;
	m->vcpus = vcpus;
	join_start(&join, m, vm, m->prev ? snapshot_find_vm(m->prev, vm->key) : NULL, f->rebased);
	for (size_t i = 0; i < vm->nr_vcpus; i++) {
		const struct wb_vcpu *cur = &vm->vcpus[i];
		struct tally total = { 0 }, delta = { 0 };

		tally_total(&total, cur, join_base(&join, cur->id));
		if (m->prev)
			tally_delta(&delta, cur, join_prev(&join, cur->id));
		vcpus[i].cur = cur;
		stat_from(&vcpus[i].total, &total);
		stat_from(&vcpus[i].delta, &delta);
	}
	*v = vcpus;
	*n = vm->nr_vcpus;
	return 0;
}

int model_rebase(struct model *m)
{
	struct baseline *b = &m->base;
	struct base_vcpu *v;
	size_t n = 0;

	if (!m->cur)
		return 0;
	for (size_t i = 0; i < m->cur->nr_vms; i++)
		n += m->cur->vms[i].nr_vcpus;
	v = reallocarray(b->v, n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	b->v = v;
	b->n = n;
	for (size_t i = 0; i < m->cur->nr_vms; i++) {
		const struct wb_vm *vm = &m->cur->vms[i];

		for (size_t k = 0; k < vm->nr_vcpus; k++, v++) {
			v->key = vm->key;
			v->id = vm->vcpus[k].id;
			v->total = vm->vcpus[k].total;
			v->max_ns = 0;
			memcpy(v->hist, vm->vcpus[k].hist, sizeof(v->hist));
		}
	}
	b->sum = m->cur_sum;
	b->lost = m->cur->lost;
	b->set = true;
	memset(&m->gone_based, 0, sizeof(m->gone_based));
	return 0;
}

static int filter_copy(struct filter *to, const struct model_filter *f)
{
	if (f->nr_pids) {
		to->pids = reallocarray(NULL, f->nr_pids, sizeof(*to->pids));
		if (!to->pids)
			return -ENOMEM;
		memcpy(to->pids, f->pids, f->nr_pids * sizeof(*to->pids));
		to->nr_pids = f->nr_pids;
	}
	if (f->nr_names) {
		to->names = calloc(f->nr_names, sizeof(*to->names));
		if (!to->names)
			return -ENOMEM;
		for (; to->nr_names < f->nr_names; to->nr_names++) {
			to->names[to->nr_names] = strdup(f->names[to->nr_names]);
			if (!to->names[to->nr_names])
				return -ENOMEM;
		}
	}
	if (f->text && *f->text) {
		to->text = strdup(f->text);
		if (!to->text)
			return -ENOMEM;
	}
	return 0;
}

int model_set_filter(struct model *m, const struct model_filter *f)
{
	struct filter new = { 0 };
	int err = f ? filter_copy(&new, f) : 0;

	if (err) {
		filter_free(&new);
		return err;
	}
	filter_free(&m->filter);
	m->filter = new;
	return 0;
}

bool model_shows(const struct model *m, uint64_t key, pid_t pid, const char *name)
{
	const struct wb_vm *vm = m->cur ? snapshot_find_vm(m->cur, key) : NULL;

	if (vm)
		return vm_passes(&m->filter, vm);
	return process_passes(&m->filter, pid, name) && text_passes(&m->filter, pid, name);
}

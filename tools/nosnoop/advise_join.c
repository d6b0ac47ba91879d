// SPDX-License-Identifier: GPL-2.0
/* What is known of a side, and whether its recordings belong together. */
#include "advise_side.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/log.h"

#define NSEC_PER_SEC 1000000000LL

void *side_grow(void *array, size_t *n, size_t size)
{
	char *grown = reallocarray(array, *n + 1, size);

	if (grown)
		memset(grown + (*n)++ * size, 0, size);
	return grown;
}

/* A leap second is none, whatever the time between reading one clock and the other adds to it. */
static bool is_step(int64_t ns)
{
	return ns > 3 * NSEC_PER_SEC / 2 || ns < -3 * NSEC_PER_SEC / 2;
}

struct adv_dev *side_find_dev(const struct adv_side *s, const char *bdf)
{
	for (size_t i = 0; i < s->nr_devs; i++)
		if (!strcmp(s->devs[i].bdf, bdf))
			return &s->devs[i];
	return NULL;
}

struct adv_dev *side_dev(struct adv_side *s, const char *bdf)
{
	struct adv_dev *d, *grown;

	if (s->next_dev < s->nr_devs && !strcmp(s->devs[s->next_dev].bdf, bdf))
		return &s->devs[s->next_dev++];
	d = side_find_dev(s, bdf);
	if (d) {
		s->next_dev = d - s->devs + 1;
		return d;
	}
	grown = side_grow(s->devs, &s->nr_devs, sizeof(*grown));
	if (!grown)
		return NULL;
	s->devs = grown;
	d = &grown[s->nr_devs - 1];
	snprintf(d->bdf, sizeof(d->bdf), "%s", bdf);
	d->blocks = d->can = d->alone = d->backdoor = TRI_UNKNOWN;
	d->coverage = d->coverage_here = COVERAGE_UNKNOWN;
	d->vendor = d->device = -1;
	return d;
}

bool vm_is(const struct adv_vm *vm, const char *id, uint64_t start)
{
	return id && !strcmp(id, vm->id) && start == vm->start;
}

struct adv_vm *side_find_vm(const struct adv_side *s, const char *id, uint64_t start)
{
	for (size_t i = 0; i < s->nr_vms; i++)
		if (vm_is(&s->vms[i], id, start))
			return &s->vms[i];
	return NULL;
}

/* An id stands in for a name that nobody told so far. */
static int side_vm_name(struct adv_vm *vm, const char *name)
{
	bool better = name && strcmp(name, vm->id) &&
		      (!strcmp(vm->name, vm->id) || strcmp(name, vm->name) < 0);

	return better ? side_text(&vm->name, name) : 0;
}

struct adv_vm *side_vm(struct adv_side *s, const char *id, uint64_t start, const char *name)
{
	struct adv_vm *vm = side_find_vm(s, id, start), *grown;

	if (vm)
		return side_vm_name(vm, name) ? NULL : vm;
	grown = side_grow(s->vms, &s->nr_vms, sizeof(*grown));
	if (!grown)
		return NULL;
	s->vms = grown;
	vm = &grown[s->nr_vms - 1];
	vm->noncoherent = TRI_UNKNOWN;
	vm->start = start;
	if (!side_text(&vm->id, id) && !side_text(&vm->name, name ? name : id))
		return vm;
	free(vm->id);
	s->nr_vms--;
	return NULL;
}

void side_line(struct adv_side *s, bool anew, int64_t wall_ns, uint64_t time_ns)
{
	if (anew)
		s->here_since_ns = wall_ns;
	if (s->clocks.path || !time_ns || wall_ns < s->from_ns || wall_ns > s->to_ns)
		return;
	s->clocks = (struct adv_offset){ s->path, (uint64_t)wall_ns - time_ns };
}

void side_vm_seen(struct adv_side *s, struct adv_vm *vm, int64_t wall_ns)
{
	struct adv_offset *least = &vm->clocks[0], *most = &vm->clocks[1];
	int64_t apart;

	if (!vm->first_ns || wall_ns < vm->first_ns)
		vm->first_ns = wall_ns;
	if (!s->clocks.path)
		return;
	if (!least->path || (int64_t)(s->clocks.ns - least->ns) < 0)
		*least = s->clocks;
	if (!most->path || (int64_t)(s->clocks.ns - most->ns) > 0)
		*most = s->clocks;
	apart = (int64_t)(most->ns - least->ns);
	if (is_step(apart) && apart > s->clash.apart_ns)
		s->clash = (struct adv_clash){ vm->id, { least->path, most->path }, apart };
}

int side_text(char **to, const char *from)
{
	char *copy;

	if (!from || (*to && !strcmp(*to, from)))
		return 0;
	copy = strdup(from);
	if (!copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

void side_dev_can(struct adv_dev *d, bool can)
{
	if (can)
		d->can = TRI_YES;
	else if (d->can != TRI_YES)
		d->can = TRI_NO;
}

int side_dev_proof(struct adv_dev *d, const char *proof)
{
	return d->proof && strcmp(d->proof, proof) <= 0 ? 0 : side_text(&d->proof, proof);
}

void side_dev_blocks(struct adv_dev *d, bool can)
{
	enum tri blocks = can ? TRI_YES : TRI_NO;

	d->blocks_differ |= d->blocks != TRI_UNKNOWN && d->blocks != blocks;
	d->blocks = blocks;
}

void side_dev_kind(struct adv_dev *d, const char *kind)
{
	if (!kind)
		return;
	if (!d->kind || !strcmp(d->kind, "other") ||
	    (strcmp(kind, "other") && strcmp(kind, d->kind) < 0))
		d->kind = kind;
}

struct adv_when side_when(const struct adv_side *s, int64_t wall_ns, bool recording)
{
	bool inside = recording && wall_ns >= s->from_ns && wall_ns <= s->to_ns;

	return (struct adv_when){ inside ? WHEN_INSIDE : WHEN_OUTSIDE, wall_ns };
}

/* Below 0: what was told before holds; 0: both were told at the same time. */
static int when_cmp(struct adv_when now, struct adv_when before)
{
	if (now.rank != before.rank)
		return now.rank < before.rank ? -1 : 1;
	return now.wall_ns < before.wall_ns ? -1 : now.wall_ns > before.wall_ns;
}

int side_dev_owner(struct adv_dev *d, struct adv_when when, const char *id, uint64_t start)
{
	int newer = when_cmp(when, d->owned), other = d->vm_id ? strcmp(id, d->vm_id) : -1;

	d->owner_told = true;
	if (newer < 0 || (!newer && (other > 0 || (!other && start >= d->vm_start))))
		return 0;
	d->owned = when;
	d->vm_start = start;
	return side_text(&d->vm_id, id);
}

void side_dev_box(struct adv_dev *d, struct adv_when when, int box)
{
	int newer = when_cmp(when, d->boxed);

	d->enforced |= box <= 2;
	d->was_box3 |= box == 3;
	if (newer < 0 || (!newer && box >= d->box))
		return;
	d->boxed = when;
	d->box = box;
}

void side_vm_noncoherent(struct adv_vm *vm, int64_t wall_ns, bool noncoherent)
{
	vm->was_coherent |= !noncoherent;
	if (vm->noncoherent != TRI_UNKNOWN &&
	    (wall_ns < vm->noncoherent_ns || (wall_ns == vm->noncoherent_ns && noncoherent)))
		return;
	vm->noncoherent = noncoherent ? TRI_YES : TRI_NO;
	vm->noncoherent_ns = wall_ns;
}

static int told(const struct adv_times *t)
{
	return 8 * !(t->lost || t->untimed || t->went_back || t->gap) +
	       4 * (t->state_told && !t->state_untold && !t->policy_untold) + t->times_known +
	       t->stalls_known;
}

/*
 * The one that lacks nothing, else the one that tells more, else the longer, else the one with the
 * higher cost, else the earlier.
 */
static bool tells_more(const struct adv_times *a, const struct adv_times *b)
{
	int known = told(a) - told(b);
	uint64_t span = a->last_ns - a->first_ns, other = b->last_ns - b->first_ns;

	if (!b->seen || known)
		return !b->seen || known > 0;
	if (span != other)
		return span > other;
	if (a->emulation_ns + a->stall_ns != b->emulation_ns + b->stall_ns)
		return a->emulation_ns + a->stall_ns > b->emulation_ns + b->stall_ns;
	if (a->emulation_ns != b->emulation_ns)
		return a->emulation_ns > b->emulation_ns;
	if (a->shared_ns != b->shared_ns)
		return a->shared_ns > b->shared_ns;
	return a->first_ns < b->first_ns;
}

void side_end_times(struct adv_side *s, bool lost)
{
	for (size_t i = 0; i < s->nr_vms; i++) {
		struct adv_vm *vm = &s->vms[i];
		struct adv_times rest = vm->now;

		if (!vm->now.seen)
			continue;
		vm->now.lost = lost;
		if (tells_more(&vm->now, &vm->times)) {
			rest = vm->times;
			vm->times = vm->now;
		}
		free(rest.points);
		memset(&vm->now, 0, sizeof(vm->now));
	}
}

int side_kernel(struct adv_side *s, const char *kernel)
{
	if (s->kernel && kernel && strcmp(s->kernel, kernel))
		s->kernels_differ = true;
	return side_text(&s->kernel, kernel);
}

int side_dev_name(struct adv_dev *d, const char *name)
{
	if (d->name && name && strcmp(d->name, name))
		d->renamed = true;
	return side_text(&d->name, name);
}

void side_free(struct adv_side *s)
{
	for (size_t i = 0; i < s->nr_vms; i++) {
		free(s->vms[i].id);
		free(s->vms[i].name);
		free(s->vms[i].times.points);
		free(s->vms[i].now.points);
	}
	for (size_t i = 0; i < s->nr_devs; i++) {
		free(s->devs[i].name);
		free(s->devs[i].vm_id);
		free(s->devs[i].proof);
		for (size_t k = 0; k < s->devs[i].nr_stays; k++)
			free(s->devs[i].stays[k].vm_id);
		free(s->devs[i].stays);
	}
	free(s->events);
	free(s->vms);
	free(s->devs);
	free(s->files);
	free(s->kernel);
	memset(s, 0, sizeof(*s));
}

/* Nobody sets CLOCK_MONOTONIC, and it stops while the host sleeps. */
void clock_goes_on(struct adv_clock *c, bool anew, int64_t wall_ns, uint64_t time_ns)
{
	uint64_t offset = (uint64_t)wall_ns - time_ns;
	int64_t step;

	if (!c->begun)
		c->first_ns = time_ns;
	if (!c->begun || anew)
		c->offset_ns = offset;
	c->begun = true;
	step = (int64_t)(offset - c->offset_ns);
	if (c->step_ns || !is_step(step))
		return;
	c->step_ns = step;
	c->step_at_ns = time_ns;
}

int clock_check(const struct adv_clock *c, const char *path)
{
	if (!c->step_ns)
		return 0;
	log_err("%s: in the line %.1f s behind the first, time has moved by %.1f s against time_ns: the clock was set, or the host slept; give the lines before that one, or those from it on",
		path, (double)(int64_t)(c->step_at_ns - c->first_ns) / NSEC_PER_SEC,
		(double)c->step_ns / NSEC_PER_SEC);
	return -EINVAL;
}

void side_begin(struct adv_side *s, const struct adv_file *file)
{
	memset(&s->track, 0, sizeof(s->track));
	s->track.wall_ns = file->first_ns;
	for (size_t i = 0; i < s->nr_devs; i++) {
		s->devs[i].ops = s->devs[i].blocking_ops = s->devs[i].requests_here = 0;
		s->devs[i].coverage_here = COVERAGE_UNKNOWN;
	}
}

static uint64_t in_common(const struct adv_side *s, int64_t from_ns, int64_t to_ns)
{
	if (from_ns < s->from_ns)
		from_ns = s->from_ns;
	if (to_ns > s->to_ns)
		to_ns = s->to_ns;
	return to_ns > from_ns ? to_ns - from_ns : 0;
}

int side_end(struct adv_side *s, struct adv_file *file)
{
	const struct adv_track *t = &s->track;

	file->missed_ns = t->missed_ns;
	if (t->lines)
		file->missed_ns += in_common(s, t->wall_ns, file->last_ns);
	if (t->lines && file->is_list) {
		log_err("%s begins and ends with what nosnoop list tells of a moment, and is of nosnoop watch in between: give the two as files of their own",
			file->path);
		return -EINVAL;
	}
	/* A recording is one from its second line on: a single one, of any length, says nothing of what follows it. */
	if (!t->gap && t->lines > 1) {
		file->unbroken_ns = t->covered_ns;
		file->from_ns = t->from_ns;
		file->to_ns = t->wall_ns;
	}
	for (size_t i = 0; i < s->nr_devs; i++) {
		struct adv_dev *d = &s->devs[i];

		d->untold |= d->ops > d->blocking_ops;
		/* One that counts them has them all, whatever others of the same time could not. */
		if (d->coverage_here > d->coverage)
			d->coverage = d->coverage_here;
	}
	return clock_check(&t->clock, file->path);
}

/* Between two moments, which may be the other way around where lines of several recordings are in one file. */
static void add_gap(struct adv_side *s, int64_t a_ns, int64_t b_ns)
{
	int64_t from_ns = a_ns < b_ns ? a_ns : b_ns, to_ns = a_ns < b_ns ? b_ns : a_ns;

	if (!s->gap || from_ns < s->gap_from_ns)
		s->gap_from_ns = from_ns;
	if (!s->gap || to_ns > s->gap_to_ns)
		s->gap_to_ns = to_ns;
	s->gap = true;
}

uint64_t side_watched(struct adv_side *s, int64_t wall_ns, uint64_t time_ns, uint64_t interval_ns)
{
	int64_t from_ns = wall_ns - (int64_t)interval_ns;
	struct adv_track *t = &s->track;

	/* By the clock that nobody sets; a line of another recording does not even begin there. */
	bool follows = t->lines && t->time_ns + interval_ns == time_ns;

	if (!follows)
		t->missed_ns += in_common(s, t->wall_ns, from_ns);
	/* Whether the bit stayed blocked is asked of the whole recording. */
	if (t->lines && !follows) {
		t->gap = true;
		add_gap(s, t->wall_ns, from_ns);
	}
	side_line(s, !follows, wall_ns, time_ns);
	/* Recordings of other versions do not tell it. */
	if (time_ns)
		clock_goes_on(&t->clock, !follows, wall_ns, time_ns);
	if (!t->lines++)
		t->from_ns = from_ns;
	t->wall_ns = wall_ns;
	t->time_ns = time_ns;
	t->covered_ns += interval_ns;
	return in_common(s, from_ns, wall_ns);
}

/* What all recordings have in common; lists of one line hold at any time. */
static int find_window(struct adv_side *s, uint64_t min_overlap_ns)
{
	const struct adv_file *a = NULL, *b = NULL;
	int64_t span;

	s->from_ns = INT64_MIN;
	s->to_ns = INT64_MAX;
	for (size_t i = 0; i < s->nr_files; i++) {
		const struct adv_file *f = &s->files[i];

		if (f->is_list || (f->lines < 2 && f->is_watch))
			continue;
		if (f->first_ns > s->from_ns) {
			s->from_ns = f->first_ns;
			a = f;
		}
		if (f->last_ns < s->to_ns) {
			s->to_ns = f->last_ns;
			b = f;
		}
	}
	if (!a || !b)
		return 0;
	span = s->to_ns - s->from_ns;
	if (span >= 0 && (uint64_t)span >= min_overlap_ns)
		return 0;
	if (span < 0)
		span = 0;
	if (a == b)
		log_err("%s lasts %.1f s, less than the %.1f s of --min-overlap", a->path,
			(double)span / NSEC_PER_SEC, (double)min_overlap_ns / NSEC_PER_SEC);
	else
		log_err("%s and %s have %.1f s in common, less than the %.1f s of --min-overlap",
			a->path, b->path, (double)span / NSEC_PER_SEC,
			(double)min_overlap_ns / NSEC_PER_SEC);
	return -EINVAL;
}

static void find_unbroken(struct adv_side *s)
{
	for (size_t i = 0; i < s->nr_files; i++) {
		const struct adv_file *f = &s->files[i];

		if (s->gap && (f->from_ns > s->gap_from_ns || f->to_ns < s->gap_to_ns))
			continue;
		if (f->unbroken_ns > s->unbroken_ns)
			s->unbroken_ns = f->unbroken_ns;
	}
}

/* Gaps are no time in common; those of two recordings are taken as if they did not overlap. */
static int check_gaps(const struct adv_side *s, uint64_t min_overlap_ns)
{
	const struct adv_file *worst = NULL;
	uint64_t missed = 0;

	for (size_t i = 0; i < s->nr_files; i++) {
		missed += s->files[i].missed_ns;
		if (!worst || s->files[i].missed_ns > worst->missed_ns)
			worst = &s->files[i];
	}
	if (!missed || (uint64_t)(s->to_ns - s->from_ns) >= missed + min_overlap_ns)
		return 0;
	log_err("%s was not watched for %.1f s: lines are missing, or it is several recordings; what is left of the %.1f s in common is less than the %.1f s of --min-overlap",
		worst->path, (double)worst->missed_ns / NSEC_PER_SEC,
		(double)(s->to_ns - s->from_ns) / NSEC_PER_SEC,
		(double)min_overlap_ns / NSEC_PER_SEC);
	return -EINVAL;
}

/* One VM is of one boot, in which nobody sets CLOCK_MONOTONIC. */
static int check_clocks(const struct adv_side *s)
{
	const struct adv_clash *c = &s->clash;

	if (!c->vm)
		return 0;
	log_err("%s and %s both have VM %s (by id and start), but time is %.1f s further from time_ns in one: they are of different times; give those of one time only",
		c->paths[0], c->paths[1], c->vm, (double)c->apart_ns / NSEC_PER_SEC);
	return -EINVAL;
}

/* A VM that both kinds of recordings should have, and do not. */
static int check_vms(const struct adv_side *s)
{
	bool top = false, watch = false;
	size_t both = 0, of_devs = 0;

	for (size_t i = 0; i < s->nr_files; i++) {
		top |= !s->files[i].is_watch;
		watch |= s->files[i].is_watch && s->files[i].lines > 1 && !s->files[i].is_list;
	}
	if (!top || !watch)
		return 0;
	for (size_t i = 0; i < s->nr_devs; i++) {
		const struct adv_dev *d = &s->devs[i];
		const struct adv_vm *vm = side_find_vm(s, d->vm_id, d->vm_start);

		of_devs += d->vm_id && d->lines;
		both += vm && vm->times.seen;
	}
	if (!of_devs || both)
		return 0;
	log_err("the recordings of the %s have no VM in common (by id and start): they are of different VMs or hosts",
		s->name);
	return -EINVAL;
}

/* Proofs, and all else, are of one device of one host. */
static int check_devs(const struct adv_side *s)
{
	if (s->kernels_differ) {
		log_err("the recordings of the %s are of different kernels or hosts: they do not belong together",
			s->name);
		return -EINVAL;
	}
	for (size_t i = 0; i < s->nr_devs; i++) {
		const struct adv_dev *d = &s->devs[i];

		if (d->renamed) {
			log_err("the recordings of the %s have different devices at %s: they do not belong together",
				s->name, d->bdf);
			return -EINVAL;
		}
		if (d->blocks_differ) {
			log_err("the recordings of the %s contradict each other: the IOMMU in front of %s can block no-snoop in one and cannot in another; give those of one host only",
				s->name, d->bdf);
			return -EINVAL;
		}
		if (d->proof && d->can == TRI_YES) {
			log_err("the recordings of the %s contradict each other: %s is proven unable (%s), but its bit was set or could be; give those of one device only",
				s->name, d->bdf, d->proof);
			return -EINVAL;
		}
	}
	return 0;
}

static int dev_order(const void *a, const void *b)
{
	return strcmp(((const struct adv_dev *)a)->bdf, ((const struct adv_dev *)b)->bdf);
}

static int vm_order(const void *a, const void *b)
{
	const struct adv_vm *x = a, *y = b;
	int order = strcmp(x->id, y->id);

	return order ? order : (x->start > y->start) - (x->start < y->start);
}

/* Nothing that is said depends on the order of the files. */
static void sort(struct adv_side *s)
{
	if (s->nr_devs)
		qsort(s->devs, s->nr_devs, sizeof(*s->devs), dev_order);
	if (s->nr_vms)
		qsort(s->vms, s->nr_vms, sizeof(*s->vms), vm_order);
	s->next_dev = 0;
}

int side_read(struct adv_side *s, const char *const *paths, size_t n, uint64_t min_overlap_ns)
{
	int err = 0;

	s->files = calloc(n, sizeof(*s->files));
	if (!s->files)
		return -ENOMEM;
	s->nr_files = n;
	for (size_t i = 0; !err && i < n; i++) {
		s->files[i].path = paths[i];
		err = recording_peek(&s->files[i]);
	}
	if (!err)
		err = find_window(s, min_overlap_ns);
	/* What was seen at a moment depends on whether somebody watched then. */
	for (int watch = 1; watch >= 0; watch--)
		for (size_t i = 0; !err && i < n; i++)
			if ((s->files[i].is_watch && !s->files[i].is_list) == watch)
				err = recording_read(s, &s->files[i]);
	if (!err)
		err = side_events_apply(s);
	find_unbroken(s);
	sort(s);
	if (!err)
		err = check_clocks(s);
	if (!err)
		err = check_gaps(s, min_overlap_ns);
	if (!err)
		err = check_devs(s);
	return err ? err : check_vms(s);
}

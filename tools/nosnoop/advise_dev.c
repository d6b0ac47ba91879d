// SPDX-License-Identifier: GPL-2.0
/* One device, as all recordings of both sides tell of it. */
#include "advise_dev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "advise_why.h"

/* Both tools look for the functions of a process this often: a VM's may be told as late. */
#define OWNER_LAG_NS 5000000000LL

/* A bit that stays 0 proves nothing of a device whose accesses it need not govern, whoever reports it. */
static bool proof_counts(const struct adv_dev *d)
{
	return d->kind && !strcmp(d->kind, "other");
}

enum tri advice_ability(const struct adv_dev *d)
{
	return d->can == TRI_NO && !proof_counts(d) ? TRI_UNKNOWN : d->can;
}

/* bad if either is, else unknown if either is. */
static enum tri worse_tri(enum tri a, enum tri b, enum tri bad)
{
	if (a == bad || b == bad)
		return bad;
	return b == TRI_UNKNOWN ? b : a;
}

/* What one side did not count leaves room for requests, unless it was not to count any. */
static void join_requests(struct adv_dev *d, const struct adv_dev *cand)
{
	enum coverage a = d->coverage, b = cand->coverage;

	if (b == COVERAGE_UNKNOWN)
		return;
	d->coverage = a == COVERAGE_UNKNOWN || a == b ? b : COVERAGE_PARTIAL;
	d->all_sockets |= cand->all_sockets;
	d->no_socket |= cand->no_socket;
	if (cand->requests > d->requests)
		d->requests = cand->requests;
}

/*
 * What the baseline knows against a device holds, else what the candidate tells, who was asked last.  What no
 * recording of nosnoop was to tell, as wbinvdtop's are not, is not unknown to one.
 */
static void join_static(struct adv_dev *d, const struct adv_dev *cand)
{
	if (!cand->lines)
		return;
	if (!d->kind || !strcmp(d->kind, "other"))
		d->kind = cand->kind;
	if (d->alone != TRI_NO)
		d->alone = cand->alone;
	if (d->backdoor != TRI_YES)
		d->backdoor = cand->backdoor;
}

/* What is known against a device in either side counts, and what one side looked for and could not tell. */
static void join_candidate(struct adv_dev *d, const struct adv_dev *cand)
{
	d->set += cand->set;
	d->clear += cand->clear;
	d->unread += cand->unread;
	d->asleep += cand->asleep;
	d->else_unread |= cand->else_unread;
	d->was_set |= cand->was_set;
	d->enforced |= cand->enforced;
	/* A proof in one side and a set bit in the other were refused. */
	if (d->can == TRI_UNKNOWN) {
		d->can = cand->can;
		d->proof = cand->proof;
	}
	if (d->blocks == TRI_UNKNOWN)
		d->blocks = cand->blocks;
	join_requests(d, cand);
	join_static(d, cand);
}

static struct adv_dev join(const struct adv_dev *of, const struct adv_dev *cand)
{
	struct adv_dev d = *of;

	if (cand)
		join_candidate(&d, cand);
	/* Whether one is listed is known of what is known; what need not obey the bit has a way around it. */
	if (!d.kind && d.backdoor == TRI_NO)
		d.backdoor = TRI_UNKNOWN;
	else if (d.kind && strcmp(d.kind, "other"))
		d.backdoor = TRI_YES;
	/* A domain is enforced by an IOMMU that can; where something says that it cannot, nobody knows. */
	d.blocks_differ = d.enforced && d.blocks == TRI_NO;
	if (d.enforced)
		d.blocks = d.blocks_differ ? TRI_UNKNOWN : TRI_YES;
	return d;
}

int advice_join(struct advice_list *l)
{
	const struct adv_side *sides[] = { l->base, l->cand };

	for (size_t k = 0; k < 2 && sides[k]; k++) {
		l->joined[k] = calloc(sides[k]->nr_devs + 1, sizeof(*l->joined[k]));
		if (!l->joined[k])
			return -ENOMEM;
	}
	for (size_t i = 0; i < l->base->nr_devs; i++)
		l->joined[0][i] =
			join(&l->base->devs[i],
			     l->cand ? side_find_dev(l->cand, l->base->devs[i].bdf) : NULL);
	for (size_t i = 0; l->cand && i < l->cand->nr_devs; i++) {
		const struct adv_dev *base = side_find_dev(l->base, l->cand->devs[i].bdf);

		l->joined[1][i] =
			base ? l->joined[0][base - l->base->devs] : join(&l->cand->devs[i], NULL);
	}
	return 0;
}

static bool has_dev(const struct adv_side *s, const struct adv_dev *d)
{
	return s->nr_devs && d >= s->devs && d <= &s->devs[s->nr_devs - 1];
}

const struct adv_dev *advice_joined(const struct advice_list *l, const struct adv_dev *of)
{
	return has_dev(l->base, of) ? &l->joined[0][of - l->base->devs] :
				      &l->joined[1][of - l->cand->devs];
}

const struct adv_dev *advice_candidate_only(const struct advice_list *l, size_t *at)
{
	while (l->cand && !l->cfg->bdf && *at < l->cand->nr_devs) {
		const struct adv_dev *d = &l->cand->devs[(*at)++];

		if (!side_find_dev(l->base, d->bdf))
			return d;
	}
	return NULL;
}

static bool is_in(const struct adv_stay *s, const struct adv_vm *vm)
{
	return vm_is(vm, s->vm_id, s->vm_start);
}

bool advice_was_in(const struct adv_dev *d, const struct adv_vm *vm)
{
	for (size_t i = 0; i < d->nr_stays; i++)
		if (is_in(&d->stays[i], vm))
			return true;
	return vm_is(vm, d->vm_id, d->vm_start);
}

/* Of one recording, with no gap in between. */
static bool follows(const struct adv_stay *s, const struct adv_stay *before)
{
	return s->path == before->path && s->since_ns == before->since_ns;
}

/* One reading between two that tell one box in one VM, as where what it is attached to was changed just then. */
static int box_at(const struct adv_dev *d, size_t i, const struct adv_vm *vm)
{
	const struct adv_stay *s = &d->stays[i];

	if (s->box || s->from_ns != s->to_ns || !i || i + 1 == d->nr_stays || !follows(s, &s[-1]) ||
	    !follows(&s[1], s))
		return s->box;
	if (s[-1].box < 0 || s[-1].box != s[1].box || !is_in(&s[-1], vm) || !is_in(&s[1], vm))
		return s->box;
	return s[1].box;
}

/*
 * By the box that the kernel reports it in while the VM had it: in all but box 3 no access of its own
 * passes the caches by.
 */
static enum tri kernel_blocked(const struct adv_dev *d, const struct adv_vm *vm)
{
	bool blocked = false, untold = false;

	for (size_t i = 0; i < d->nr_stays; i++) {
		const struct adv_stay *s = &d->stays[i];
		int box = box_at(d, i, vm);

		if ((!is_in(s, vm) && !s->mute) || box == BOX_UNTOLD)
			continue;
		if (box == 3)
			return TRI_NO;
		/* Who sees no owner need not see the box; an event is but a moment. */
		blocked |= box && !s->event;
		untold |= !box && !s->mute;
	}
	if (!blocked && !untold && d->was_box3)
		return TRI_NO;
	return blocked && !untold ? TRI_YES : TRI_UNKNOWN;
}

enum tri advice_blocked(const struct advice_list *l, const struct adv_dev *d,
			const struct adv_vm *vm)
{
	enum tri blocked = kernel_blocked(d, vm);

	return blocked == TRI_UNKNOWN ? advice_joined(l, d)->blocks : blocked;
}

/* Of one side's devices that the VM ever had.  all_through: TRI_UNKNOWN also where none of them was there so. */
static enum tri devices_unable(const struct advice_list *l, const struct adv_side *s,
			       const struct adv_vm *vm, bool all_through)
{
	int64_t from_ns = vm->times.seen ? vm->times.from_wall_ns : s->from_ns;
	int64_t to_ns = vm->times.seen ? vm->times.to_wall_ns : s->to_ns;
	enum tri answer = TRI_YES;
	bool stayed = false;

	for (size_t i = 0; i < s->nr_devs; i++) {
		const struct adv_dev *d = &s->devs[i];
		enum tri blocked, can;

		if (!advice_was_in(d, vm))
			continue;
		can = advice_ability(advice_joined(l, d));
		blocked = advice_blocked(l, d, vm);
		if (blocked == TRI_YES)
			continue;
		if (can == TRI_YES)
			return TRI_NO;
		if (can == TRI_UNKNOWN || blocked == TRI_UNKNOWN)
			answer = TRI_UNKNOWN;
		stayed |= advice_stayed(d, vm, from_ns, to_ns);
	}
	return stayed || !all_through ? answer : TRI_UNKNOWN;
}

enum tri advice_only_unable(const struct advice_list *l, const struct adv_vm *base,
			    const struct adv_vm *cand, const struct adv_vm *cost)
{
	enum tri answer;

	if (!base || base->noncoherent == TRI_UNKNOWN)
		return TRI_UNKNOWN;
	if (base->noncoherent == TRI_NO)
		return TRI_NO;
	answer = devices_unable(l, l->base, base, true);
	if (cand)
		answer = worse_tri(answer, devices_unable(l, l->cand, cand, cand == cost), TRI_NO);
	return answer;
}

/* What of a stay lies in that time, and while the VM was alive. */
static bool counts(const struct adv_stay *s, const struct adv_vm *vm, int64_t from_ns,
		   int64_t to_ns)
{
	if (from_ns < vm->first_ns)
		from_ns = vm->first_ns;
	if (vm->alive_ns && to_ns > vm->alive_ns)
		to_ns = vm->alive_ns;
	return s->to_ns >= from_ns && s->from_ns <= to_ns;
}

/* A VM that came while the recording went on: its devices are told later.  The first line looks for all at once. */
static bool is_late(const struct adv_stay *s, const struct adv_vm *vm)
{
	return !s->vm_id && vm->first_ns > s->since_ns && s->to_ns < vm->first_ns + OWNER_LAG_NS;
}

bool advice_stayed(const struct adv_dev *d, const struct adv_vm *vm, int64_t from_ns, int64_t to_ns)
{
	bool in = false;

	for (size_t i = 0; i < d->nr_stays; i++) {
		const struct adv_stay *s = &d->stays[i];

		if (s->mute || !counts(s, vm, from_ns, to_ns))
			continue;
		if (is_in(s, vm))
			in |= !s->moment;
		else if (!is_late(s, vm))
			return false;
	}
	return in;
}

/* Another device that may be what makes the VM non-coherent. */
static bool has_others(const struct adv_side *s, const struct adv_dev *d, const struct adv_vm *vm)
{
	for (size_t i = 0; i < s->nr_devs; i++) {
		const struct adv_dev *other = &s->devs[i];

		/* By ability alone one is not known to be blocked: its address space may let it pass. */
		if (other != d && advice_was_in(other, vm) && kernel_blocked(other, vm) != TRI_YES)
			return true;
	}
	return false;
}

const char *advice_not_box3(const struct advice_list *l, const struct adv_dev *d,
			    const struct adv_vm *vm, int64_t from_ns, int64_t to_ns)
{
	const struct adv_side *s = has_dev(l->base, d) ? l->base : l->cand;
	const struct adv_dev *joined = advice_joined(l, d);
	bool told = false, untold = false;

	/* One that cannot is in none of the boxes that cost; its VM's cost is what there is to recover. */
	if (advice_ability(joined) == TRI_NO)
		return NULL;
	if (!advice_stayed(d, vm, from_ns, to_ns))
		return WHY_AWAY;
	for (size_t i = 0; i < d->nr_stays; i++) {
		const struct adv_stay *stay = &d->stays[i];
		int box = box_at(d, i, vm);

		if (box == BOX_UNTOLD || !counts(stay, vm, from_ns, to_ns))
			continue;
		if (box && box != 3)
			return WHY_BLOCKED;
		/* One that is told late was somewhere before, and who sees no owner need not see the box. */
		told |= box && !stay->event && (stay->mute || is_in(stay, vm));
		untold |= !box && is_in(stay, vm);
	}
	/* What another time tells may be against it, and never for it. */
	if (!told && !untold && d->box && d->box != 3)
		return WHY_BLOCKED;
	/* Alone in a VM that is non-coherent it is what makes it so. */
	return (told && !untold) || joined->blocks == TRI_NO || !has_others(s, d, vm) ?
		       NULL :
		       WHY_BOX_UNTOLD;
}

bool advice_same(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

/* In every line: one that does not tell leaves room for a time when it was not blocked. */
enum tri advice_block_held(const struct advice_list *l, const struct adv_dev *d, const char **why)
{
	const struct adv_side *s = l->cand;

	*why = "no candidate was recorded";
	if (!d)
		return TRI_UNKNOWN;
	*why = WHY_HELD_KERNEL;
	if (!advice_same(l->base->kernel, s->kernel))
		return TRI_UNKNOWN;
	*why = WHY_HELD_NO_BLOCK;
	if (!d->blocked && !d->unblocked && !d->let_go)
		return TRI_UNKNOWN;
	if (d->unblocked || d->set || d->let_go)
		return TRI_NO;
	*why = WHY_HELD_DISTRUSTED;
	if (d->distrusted)
		return TRI_UNKNOWN;
	*why = s->gap && !s->unbroken_ns ?
		       WHY_HELD_GAP :
		       "no recording of nosnoop watch shows the device over --min-overlap of the candidate";
	if (!s->unbroken_ns || (double)s->unbroken_ns < l->cfg->threshold[RULE_T_min_overlap] * 1e9)
		return TRI_UNKNOWN;
	*why = WHY_HELD_UNHEARD;
	if (d->unheard || s->events_lost)
		return TRI_UNKNOWN;
	*why = WHY_HELD_UNTOLD;
	if (d->untold)
		return TRI_UNKNOWN;
	*why = WHY_HELD_ASLEEP;
	if (d->asleep)
		return TRI_UNKNOWN;
	*why = WHY_HELD_UNREAD;
	if (d->unread || d->watch_lines != s->watch_lines)
		return TRI_UNKNOWN;
	*why = WHY_HELD_NO_BLOCK;
	return d->blocked && d->blocked == s->watch_lines ? TRI_YES : TRI_UNKNOWN;
}

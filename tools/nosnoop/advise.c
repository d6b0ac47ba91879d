// SPDX-License-Identifier: GPL-2.0
/* From two sides to the inputs of the rule, and what the verdicts mean for whom. */
#include "advise.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/log.h"
#include "advise_dev.h"
#include "advise_why.h"

static int note(struct advice *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int note(struct advice *a, const char *fmt, ...)
{
	char *text, *all;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0)
		return -ENOMEM;
	len = asprintf(&all, "%s%s\n", a->notes ? a->notes : "", text);
	free(text);
	if (len < 0)
		return -ENOMEM;
	free(a->notes);
	a->notes = all;
	return 0;
}

static void set_tri(struct rule_case *c, enum rule_input i, enum tri v, const char *source,
		    const char *why)
{
	if (v != TRI_UNKNOWN)
		rule_set_word(c, i, v == TRI_YES ? "yes" : "no", RULE_MEASURED, source);
	else
		c->in[i].source = why;
}

char *advice_for(const struct advice *a, const char *text)
{
	static const char place[] = "BDF";
	size_t len = strlen(text) + 1, n = 0;
	const char *p = text, *at;
	char *out;

	while ((p = strstr(p, place))) {
		p += strlen(place);
		len += sizeof(a->dev->bdf);
	}
	out = malloc(len);
	if (!out)
		return NULL;
	for (p = text; (at = strstr(p, place)); p = at + strlen(place))
		n += sprintf(out + n, "%.*s%s", (int)(at - p), p, a->dev->bdf);
	strcpy(out + n, p);
	return out;
}

static enum tri seen_set(const struct adv_dev *d)
{
	if (d->set || d->was_set)
		return TRI_YES;
	return d->clear && !d->unread && !d->asleep && !d->else_unread ? TRI_NO : TRI_UNKNOWN;
}

static bool differ(const char *a, const char *b)
{
	return a && b && strcmp(a, b);
}

static bool is_other_device(const struct adv_dev *a, const struct adv_dev *b)
{
	return differ(a->name, b->name) ||
	       (a->vendor >= 0 && b->vendor >= 0 && a->vendor != b->vendor) ||
	       (a->device >= 0 && b->device >= 0 && a->device != b->device);
}

/* A VM that came late or ended early is known for less than the recordings have in common. */
static bool lasts(const struct advice_list *l, const struct adv_vm *vm)
{
	return vm && vm->times.seen && vm->times.last_ns > vm->times.first_ns &&
	       (double)(vm->times.last_ns - vm->times.first_ns) >=
		       l->cfg->threshold[RULE_T_min_overlap] * 1e9;
}

const struct advice_cpus *advice_cpus(const struct advice_list *l, const struct adv_vm *vm)
{
	for (size_t i = 0; l->cand && i < l->cand->nr_vms; i++)
		if (vm == &l->cand->vms[i])
			return &l->cand_cpus;
	return &l->cpus;
}

/* What a recording's counters lack makes them no low cost.  NULL: nothing. */
static const char *why_lacking(const struct adv_times *t)
{
	if (t->lost)
		return "WBINVDs were lost: the recording does not count all";
	if (t->untimed)
		return "of some WBINVDs only one end was seen: the recording does not time all";
	if (t->gap)
		return "lines of wbinvdtop's recording are missing, or it is several: give one without a gap";
	return t->went_back ? "the recording's counters go back" : NULL;
}

bool advice_share(const struct advice_list *l, const struct adv_vm *vm, bool stall, double *pct)
{
	double span;

	if (!lasts(l, vm) || why_lacking(&vm->times) ||
	    !(stall ? vm->times.stalls_known : vm->times.times_known))
		return false;
	span = (double)(vm->times.last_ns - vm->times.first_ns) * advice_cpus(l, vm)->n;
	*pct = rule_round(stall ? RULE_t : RULE_f,
			  100 * (double)(stall ? vm->times.stall_ns : vm->times.emulation_ns) /
				  span);
	return true;
}

/* What T has of stalls by one of several VMs: another's, perhaps. */
static double shared_share(const struct advice_list *l, const struct adv_vm *vm)
{
	double span = (double)(vm->times.last_ns - vm->times.first_ns) * advice_cpus(l, vm)->n;

	return rule_round(RULE_t, 100 * (double)vm->times.shared_ns / span);
}

/* From nosnoop's recordings alone. */
static bool flush_share(const struct advice_list *l, const struct adv_vm *vm, double *pct)
{
	double least = l->cfg->threshold[RULE_T_min_overlap] * 1e9;

	/* Two recordings of the same time have it twice, and a gap between two lines is no time of it. */
	if (!vm || !vm->flush_known || vm->flush_lost || !vm->flush_span_ns ||
	    (double)vm->flush_span_ns < least ||
	    (double)(vm->flush_last_ns - vm->flush_first_ns) < least)
		return false;
	*pct = rule_round(RULE_m, 100 * (double)vm->flush_ns /
					  ((double)vm->flush_span_ns * advice_cpus(l, vm)->n));
	return true;
}

static const char *why_no_m(const struct adv_vm *vm)
{
	if (!vm || !vm->flush_first_ns)
		return "no nosnoop recording of the device's VM";
	if (!vm->flush_known)
		return "the kernel did not report its flushes: it has no such tracepoints, or the VM a container of VFIO (type 1)";
	if (vm->flush_lost)
		return WHY_MAPS_LOST;
	return WHY_SHORT;
}

static const char *why_no_share(const struct advice_list *l, const struct adv_vm *vm, bool stall)
{
	if (vm && vm->times.seen && !lasts(l, vm))
		return WHY_SHORT_STATE;
	if (vm && vm->times.seen && why_lacking(&vm->times))
		return why_lacking(&vm->times);
	return stall ? "no recording of the device's VM tells stalls" :
		       "no recording of the device's VM tells the time";
}

/* A coherent VM's WBINVDs cost nothing, which says nothing about box 3.  NULL: what was recorded is its cost. */
static const char *why_no_box3(const struct advice_list *l, const struct advice *a,
			       const struct adv_dev *d, bool flushes)
{
	const char *why;

	if (!a->vm)
		return NULL;
	if (a->vm->was_coherent)
		return WHY_COHERENT;
	if (flushes && !a->vm->flush_first_ns)
		return NULL;
	why = flushes ? advice_not_box3(l, d, a->vm, a->vm->flush_first_ns, a->vm->flush_last_ns) :
			advice_not_box3(l, d, a->vm, a->vm->times.from_wall_ns,
					a->vm->times.to_wall_ns);
	if (why)
		return why;
	/* Of M only nosnoop's recordings tell, which do not know the VM's state: F and T are unknown then. */
	if (flushes || !a->vm->times.seen)
		return NULL;
	if (!a->vm->times.state_told)
		return WHY_STATE;
	if (a->vm->times.state_untold)
		return WHY_STATE_PART;
	if (a->vm->skipped)
		return WHY_SKIPPED;
	if (a->vm->times.policy_untold)
		return WHY_POLICY;
	return NULL;
}

static bool is_same_process(const struct adv_vm *a, const struct adv_vm *b)
{
	return vm_is(a, b->id, b->start);
}

/* An id stands in for a name that nobody told. */
static bool has_name(const struct adv_vm *vm)
{
	return strcmp(vm->name, vm->id);
}

static bool is_same_vm(const struct adv_vm *a, const struct adv_vm *b)
{
	return !strcmp(a->name, b->name) ||
	       (is_same_process(a, b) && (!has_name(a) || !has_name(b)));
}

static void set_costs(const struct advice_list *l, struct advice *a, const struct adv_dev *d)
{
	const char *not_box3 = why_no_box3(l, a, d, false);
	const char *assumed = advice_cpus(l, a->vm)->assumed ? WHY_CPUS : NULL;
	const char *source = "wbinvdtop's recording", *m_source = "nosnoop's recording";
	enum rule_origin origin = RULE_MEASURED;
	double v;

	if (a->base_vm && a->vm && !is_same_process(a->base_vm, a->vm))
		assumed = WHY_BY_NAME;
	if (advice_cpus(l, a->vm) == &l->cand_cpus &&
	    !advice_same(l->base->kernel, l->cand->kernel))
		assumed = WHY_KERNEL;
	if (assumed) {
		origin = RULE_ASSUMED;
		source = m_source = assumed;
	}
	if (not_box3)
		a->c.in[RULE_f].source = not_box3;
	else if (advice_share(l, a->vm, false, &v))
		rule_set_number(&a->c, RULE_f, v, origin, source);
	else
		a->c.in[RULE_f].source = why_no_share(l, a->vm, false);
	if (a->vm && a->vm->times.shared_ns && origin == RULE_MEASURED)
		source =
			"wbinvdtop's recording, with stalls by one of several VMs, which may be another";
	if (not_box3)
		a->c.in[RULE_t].source = not_box3;
	else if (advice_share(l, a->vm, true, &v))
		rule_set_number(&a->c, RULE_t, v, origin, source);
	else
		a->c.in[RULE_t].source = why_no_share(l, a->vm, true);
	not_box3 = why_no_box3(l, a, d, true);
	if (not_box3)
		a->c.in[RULE_m].source = not_box3;
	else if (flush_share(l, a->vm, &v))
		rule_set_number(&a->c, RULE_m, v, origin, m_source);
	else
		a->c.in[RULE_m].source = why_no_m(a->vm);
}

/* NULL: it was measured on the host of the recordings, as far as they tell. */
static const char *why_assumed(const struct advice_list *l, const struct adv_ab *ab)
{
	if (!ab->kernel || !ab->kind)
		return WHY_AB_UNTOLD;
	if (!advice_same(ab->kernel, l->base->kernel))
		return WHY_AB_KERNEL;
	return strncmp(ab->kind, "emulated", strlen("emulated")) ? NULL : WHY_AB_EMULATED;
}

static void set_gain(const struct advice_list *l, struct advice *a)
{
	const char *assumed = a->ab ? why_assumed(l, a->ab) : NULL;

	if (!a->ab)
		a->c.in[RULE_gain_lo].source = "no file of policy-ab is about this device";
	else if (!a->ab->has_interval)
		a->c.in[RULE_gain_lo].source = "one block A B B A alone has no interval";
	else
		rule_set_number(&a->c, RULE_gain_lo, a->ab->lo,
				assumed ? RULE_ASSUMED : RULE_MEASURED,
				assumed ? assumed : a->ab->path);
}

static void set_requests(struct advice *a, const struct adv_dev *d)
{
	static const char *const words[] = { "none", "partial", "full" };

	if (d->coverage == COVERAGE_UNKNOWN) {
		a->c.in[RULE_coverage].source = "no recording counts requests";
		a->c.in[RULE_h].source = "no recording counts requests";
		return;
	}
	rule_set_word(&a->c, RULE_coverage, words[d->coverage], RULE_MEASURED,
		      "nosnoop's recording");
	if (d->coverage == COVERAGE_NONE)
		a->c.in[RULE_h].source =
			d->no_socket ? WHY_NO_SOCKET : "not measurable on this CPU";
	else
		rule_set_number(
			&a->c, RULE_h, d->requests, RULE_MEASURED,
			d->all_sockets ?
				"nosnoop's recording, of all sockets: the device's is not known" :
				"nosnoop's recording, of the device's socket");
}

static void set_ability(struct rule_case *c, const struct adv_dev *d)
{
	enum tri can = advice_ability(d);

	if (can != TRI_UNKNOWN)
		rule_set_word(c, RULE_ability, can == TRI_YES ? "can" : "cannot", RULE_MEASURED,
			      can == TRI_YES ? "the bit was set, or could be set" : d->proof);
	else if (d->can == TRI_NO)
		c->in[RULE_ability].source = d->kind ? WHY_UNGOVERNED : WHY_KIND_PROOF;
	else if (d->kind && strcmp(d->kind, "other"))
		c->in[RULE_ability].source = WHY_UNPROVABLE;
	else
		c->in[RULE_ability].source = "nothing recorded proves it either way";
}

static void fill_case(const struct advice_list *l, struct advice *a, const struct adv_dev *base)
{
	static const char by_static[] = "nosnoop's recording or list",
			  by_none[] = "no nosnoop recording or list tells it";
	const struct adv_dev *cand = l->cand ? side_find_dev(l->cand, base->bdf) : NULL;
	const struct adv_dev *worse = advice_joined(l, base);
	struct rule_case *c = &a->c;
	const char *why;
	enum tri held = advice_block_held(l, cand, &why);

	rule_case_init(c);
	memcpy(c->threshold, l->cfg->threshold, sizeof(c->threshold));
	set_ability(c, worse);
	if (worse->kind)
		rule_set_word(c, RULE_kind, worse->kind, RULE_MEASURED, by_static);
	else
		c->in[RULE_kind].source = base->lines || (cand && cand->lines) ?
						  WHY_KIND_UNREAD :
						  "wbinvdtop's recordings do not tell it";
	if (worse->blocks != TRI_UNKNOWN)
		rule_set_word(c, RULE_iommu, worse->blocks == TRI_YES ? "blocks" : "cannot",
			      RULE_MEASURED,
			      worse->enforced ? "the kernel reports that it blocks" :
						"the recordings");
	else
		c->in[RULE_iommu].source =
			worse->blocks_differ ? WHY_IOMMU_DIFFERS : "the recordings do not tell it";
	set_tri(c, RULE_only_unable, advice_only_unable(l, a->base_vm, a->cand_vm, a->vm),
		"the devices of its VM",
		"not all devices of its VM are known to be able or unable, or its state is not known");
	set_tri(c, RULE_alone, worse->alone, by_static, by_none);
	set_tri(c, RULE_backdoor, worse->backdoor, by_static, by_none);
	set_tri(c, RULE_block_held, held, "nosnoop's recording of the candidate", why);
	set_tri(c, RULE_bit_seen_set, seen_set(worse), "readings of the bit",
		"the bit could not be read at some or all readings");
	set_requests(a, worse);
	set_gain(l, a);
	set_costs(l, a, a->vm == a->base_vm ? base : cand);
}

/* The candidate's VM of the device: by id, else the one that holds the device and has the name. */
static const struct adv_vm *candidate_vm(const struct adv_side *cand, const struct adv_dev *d,
					 const struct adv_vm *base)
{
	const struct adv_vm *vm = side_find_vm(cand, d->vm_id, d->vm_start);

	return vm && (!base || is_same_vm(vm, base)) ? vm : NULL;
}

/* Devices of a side beside this one that keep the VM in box 3: *one is the first, *others that there are more. */
static void find_others(const struct advice_list *l, const struct advice *a,
			const struct adv_side *s, const struct adv_vm *vm, const char **one,
			bool *others)
{
	for (size_t i = 0; i < s->nr_devs; i++) {
		const struct adv_dev *d = &s->devs[i];

		if (!strcmp(d->bdf, a->dev->bdf) || (*one && !strcmp(d->bdf, *one)) ||
		    !advice_was_in(d, vm) || advice_blocked(l, d, vm) == TRI_YES ||
		    advice_ability(advice_joined(l, d)) == TRI_NO)
			continue;
		*others = *one != NULL;
		if (!*one || strcmp(d->bdf, *one) < 0)
			*one = d->bdf;
	}
}

/* WBINVDs are a VM's: one device that stays keeps all of them. */
static int note_others(const struct advice_list *l, struct advice *a)
{
	const char *one = NULL;
	bool others = false, leaves_3 = !strncmp(a->r.verdict, "keep-1", 6) && a->dev->box == 3;

	if (!a->base_vm ||
	    (!leaves_3 && strcmp(a->r.verdict, "3-to-4-safe") &&
	     strcmp(a->r.verdict, "costs-nothing") && strcmp(a->r.verdict, "kernel-waste")))
		return 0;
	find_others(l, a, l->base, a->base_vm, &one, &others);
	if (a->cand_vm)
		find_others(l, a, l->cand, a->cand_vm, &one, &others);
	if (!one)
		return 0;
	return note(
		a,
		"The cost is the VM's: while %s%s in box 3, the WBINVDs of %s are carried out all the same, and nothing is saved.",
		one, others ? " and others stay" : " stays", a->base_vm->name);
}

static int add_notes(const struct advice_list *l, struct advice *a)
{
	const struct rule_value *in = a->c.in;
	double f, t;
	int err = note_others(l, a);

	if (!err && a->dev->blocks == TRI_YES && a->dev->box == 3 &&
	    !strncmp(a->r.verdict, "keep-1", 6))
		err = note(
			a,
			"It is in box 3 now: its address space lets no-snoop pass, though the IOMMU could block it. Box 1 is there without IOMMU_IOAS_ALLOC_NONCOHERENT.");

	if (!err && !strcmp(a->r.verdict, "kernel-waste") && in[RULE_f].origin &&
	    in[RULE_t].origin) {
		f = in[RULE_f].number;
		t = rule_round(RULE_t, in[RULE_t].number - shared_share(l, a->vm));
		err = note(
			a,
			"Recoverable: %.10g %% of the host's CPU time (F %.10g %% + T %.10g %%%s).",
			rule_round(RULE_f, f + t), f, t,
			a->vm->times.shared_ns ? " without the stalls by one of several VMs" : "");
	}
	if (!err && l->cand && a->base_vm && a->vm && a->vm != a->base_vm &&
	    advice_share(l, a->base_vm, false, &f) && advice_share(l, a->vm, false, &t))
		err = note(a, "F went from %.10g %% in the baseline to %.10g %% in the candidate.",
			   f, t);
	if (!err && in[RULE_h].origin && !(in[RULE_h].number > 0) &&
	    !strcmp(in[RULE_coverage].word, "full"))
		err = note(
			a,
			"The count of 0 is not a proof: a root port that ignores no-snoop, an IOMMU that blocks it, and a device that was not at work all give 0.");
	return err;
}

/* Whether wbinvdtop recorded the side. */
static bool has_times(const struct adv_side *s)
{
	for (size_t i = 0; i < s->nr_files; i++)
		if (!s->files[i].is_watch)
			return true;
	return false;
}

static int judge(const struct advice_list *l, struct advice *a, const struct adv_dev *base,
		 const struct adv_ab *abs, size_t nr_abs)
{
	const struct adv_dev *cand = l->cand ? side_find_dev(l->cand, base->bdf) : NULL;
	int err;

	a->dev = base;
	a->base_vm = side_find_vm(l->base, base->vm_id, base->vm_start);
	if (cand)
		a->cand_vm = candidate_vm(l->cand, cand, a->base_vm);
	if (cand && (has_times(l->cand) || (cand->vm_id && !a->cand_vm)))
		a->vm = a->cand_vm;
	else
		a->vm = a->base_vm;
	for (size_t i = 0; i < nr_abs; i++)
		if (!strcmp(abs[i].bdf, base->bdf))
			a->ab = &abs[i];
	fill_case(l, a, base);
	err = rule_apply(&a->c, &a->r);
	if (err) {
		log_err("the table of the rule is damaged");
		return err;
	}
	for (int i = 0; i < RULE_NR_INPUTS; i++) {
		const char *raise = advice_raise(i, &a->c.in[i]);

		if (a->r.uses[i] && a->c.in[i].origin != RULE_MEASURED && raise)
			a->raise[a->nr_raise++] = raise;
	}
	return add_notes(l, a);
}

static int check_match(const struct adv_side *base, const struct adv_side *cand)
{
	size_t both = 0;

	if (!cand)
		return 0;
	for (size_t i = 0; i < base->nr_devs; i++) {
		const struct adv_dev *b = &base->devs[i], *c = side_find_dev(cand, b->bdf);

		both += !!c;
		if (c && is_other_device(b, c)) {
			log_err("the candidate has another device than the baseline at %s: they do not belong together",
				b->bdf);
			return -EINVAL;
		}
		if (c && b->blocks != TRI_UNKNOWN && c->blocks != TRI_UNKNOWN &&
		    b->blocks != c->blocks) {
			log_err("the baseline and the candidate contradict each other: the IOMMU in front of %s can block no-snoop in one and cannot in the other",
				b->bdf);
			return -EINVAL;
		}
		if (!c || b->can == TRI_UNKNOWN || c->can == TRI_UNKNOWN || b->can == c->can)
			continue;
		log_err("the baseline and the candidate contradict each other: %s is proven unable in one, and its bit was set or could be in the other",
			b->bdf);
		return -EINVAL;
	}
	if (both)
		return 0;
	log_err("the baseline and the candidate have no device in common: they do not belong together");
	return -EINVAL;
}

static int check_abs(const struct adv_side *base, const struct adv_ab *abs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < i; k++) {
			if (strcmp(abs[k].bdf, abs[i].bdf))
				continue;
			log_err("%s and %s are both about %s: give one --ab of each device",
				abs[k].path, abs[i].path, abs[i].bdf);
			return -EINVAL;
		}
		if (side_find_dev(base, abs[i].bdf))
			continue;
		log_err("%s is about %s, which is not in the baseline", abs[i].path, abs[i].bdf);
		return -EINVAL;
	}
	return 0;
}

/* Each side by its own recordings; what the other side tells, or nobody, is assumed. */
static struct advice_cpus find_cpus(const struct advice_list *l, const struct adv_side *own,
				    const struct adv_side *other)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);

	if (own && own->cpus)
		return (struct advice_cpus){ own->cpus, false };
	if (l->cfg->cpus)
		return (struct advice_cpus){ l->cfg->cpus, true };
	if (other && other->cpus)
		return (struct advice_cpus){ other->cpus, true };
	return (struct advice_cpus){ online > 0 ? online : 1, true };
}

int advice_make(struct advice_list *l, const struct adv_side *base, const struct adv_side *cand,
		const struct adv_ab *abs, size_t nr_abs, const struct advice_config *cfg)
{
	int err;

	memset(l, 0, sizeof(*l));
	l->base = base;
	l->cand = cand;
	l->cfg = cfg;
	l->cpus = find_cpus(l, base, cand);
	l->cand_cpus = find_cpus(l, cand, base);
	err = check_match(base, cand);
	if (!err)
		err = check_abs(base, abs, nr_abs);
	if (!err)
		err = advice_join(l);
	if (err)
		return err;
	l->a = calloc(base->nr_devs ? base->nr_devs : 1, sizeof(*l->a));
	if (!l->a)
		return -ENOMEM;
	for (size_t i = 0; !err && i < base->nr_devs; i++) {
		if (cfg->bdf && strcmp(base->devs[i].bdf, cfg->bdf))
			continue;
		err = judge(l, &l->a[l->n], &base->devs[i], abs, nr_abs);
		l->n++;
	}
	if (!err && !l->n) {
		if (cfg->bdf && cand && side_find_dev(cand, cfg->bdf))
			log_err("%s is in the candidate alone: give a recording that has it as --baseline",
				cfg->bdf);
		else if (cfg->bdf)
			log_err("%s is not in the baseline", cfg->bdf);
		else
			log_err("the baseline holds no devices: record while a VM has some, with wbinvdtop --record or nosnoop watch --record");
		err = -EINVAL;
	}
	return err;
}

void advice_free(struct advice_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->a[i].notes);
	free(l->a);
	free(l->joined[0]);
	free(l->joined[1]);
	memset(l, 0, sizeof(*l));
}

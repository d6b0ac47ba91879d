// SPDX-License-Identifier: GPL-2.0
/* What wbinvdtop's recordings tell of a side, through their replay. */
#include "advise_side.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/devices.h"
#include "../lib/log.h"
#include "../lib/num.h"
#include "../lib/source.h"

/* The recording at hand. */
struct top {
	struct adv_side *s;
	const char *path;
	bool begun;
	/* The least that it tells since its first and since its last reading in the time in common. */
	uint64_t lost_first, lost_last;
	struct adv_clock clock;
	uint64_t ended_ns;  /* stalls by VMs that are not listed any more */
	uint64_t shared_ns; /* stalls of which the VM is not known */
};

static int add_device(const struct top *t, int64_t wall_ns, const struct wb_vm *vm,
		      const struct wb_device *w)
{
	struct adv_side *s = t->s;
	struct adv_dev *d;
	char bdf[16];
	int err;

	if (num_bdf(w->bdf, bdf, sizeof(bdf))) {
		log_err("%s: the bdf of a device of %s is no PCI address", t->path, vm->id);
		return -EBADMSG;
	}
	d = side_dev(s, bdf);
	if (!d || side_dev_name(d, w->name))
		return -ENOMEM;
	if (w->snoop_control >= 0)
		side_dev_blocks(d, w->snoop_control);
	switch (w->no_snoop) {
	case DEV_NO_SNOOP_ENABLED:
		side_dev_found_set(s, d, wall_ns);
		break;
	case DEV_NO_SNOOP_DISABLED:
		d->clear++;
		break;
	case DEV_NO_SNOOP_HARDWIRED0:
		d->clear++;
		side_dev_can(d, false);
		if (side_dev_proof(d, "the recorded kernel's probe"))
			return -ENOMEM;
		break;
	case DEV_NO_SNOOP_UNKNOWN:
		d->else_unread = true;
		break;
	}
	/* What its box follows from may not be the kernel's word, so that it counts against the device alone. */
	d->was_box3 |= w->certain && w->box == 3;
	d->distrusted |= w->certain && (w->box == 1 || w->box == 3) && side_was_watched(s, wall_ns);
	err = side_dev_owner(d, side_when(s, wall_ns, true), vm->id, vm->start);
	return err ? err : side_dev_stay(s, d, wall_ns, vm->id, vm->start, BOX_UNTOLD);
}

static int add_point(struct adv_times *t, uint64_t time_ns, const struct wb_counters *c)
{
	struct adv_point *p, *grown = side_grow(t->points, &t->nr_points, sizeof(*grown));
	uint64_t emulation = c->emulation_ns - t->emulation_first;
	uint64_t stall = c->stall_ns - t->stall_first;

	if (!grown)
		return -ENOMEM;
	t->points = grown;
	p = &grown[t->nr_points - 1];
	p->time_ns = time_ns;
	if (c->emulation_ns < t->emulation_first + t->emulation_ns ||
	    c->stall_ns < t->stall_first + t->stall_ns) {
		t->went_back = true;
		return 0;
	}
	p->span_ns = time_ns - t->last_ns;
	p->emulation_ns = emulation - t->emulation_ns;
	p->stall_ns = stall - t->stall_ns;
	t->emulation_ns = emulation;
	t->stall_ns = stall;
	return 0;
}

/* What there was before the VM's state was told is the cost of nobody knows what. */
static void add_state(struct adv_times *t, const struct wb_vm *w)
{
	bool told = w->noncoherent != WB_UNKNOWN;

	if (told && t->seen && !t->state_told) {
		free(t->points);
		memset(t, 0, sizeof(*t));
	}
	if (told && !t->seen)
		t->state_told = true;
	t->state_untold |= !told && t->state_told;
}

/* One that was skipped costs less than one in box 3.  A source that sees the outcome sees that, too. */
static bool may_be_skipped(const struct wb_snapshot *snap, const struct wb_vm *w)
{
	return w->policy == WB_POLICY_UNKNOWN && !(snap->known & WB_KNOWN_OUTCOME) &&
	       snap->known & (WB_KNOWN_POLICY | WB_KNOWN_EVENTS);
}

static int add_times(const struct top *top, struct adv_vm *vm, const struct wb_snapshot *snap,
		     const struct wb_vm *w)
{
	struct wb_counters c = vm_total(w);
	struct adv_times *t = &vm->now;
	int err;

	add_state(t, w);
	c.stall_ns += top->shared_ns;
	if (!t->seen) {
		t->seen = true;
		t->first_ns = t->last_ns = snap->time_ns;
		t->from_wall_ns = snap->wall_ns;
		t->emulation_first = c.emulation_ns;
		t->stall_first = c.stall_ns;
		t->untimed_first = c.untimed;
		t->skips_first = c.skips;
		t->shared_first = top->shared_ns;
		t->times_known = t->stalls_known = true;
	}
	t->times_known &= !!(snap->known & WB_KNOWN_TIME);
	t->stalls_known &= !!(snap->known & WB_KNOWN_STALL);
	t->untimed |= c.untimed > t->untimed_first;
	vm->skipped |= c.skips > t->skips_first || w->policy == WB_POLICY_FORCE ||
		       w->policy == WB_POLICY_PAUSE;
	t->policy_untold |= may_be_skipped(snap, w);
	if (top->shared_ns > t->shared_first)
		t->shared_ns = top->shared_ns - t->shared_first;
	err = add_point(t, snap->time_ns, &c);
	t->last_ns = snap->time_ns;
	t->to_wall_ns = snap->wall_ns;
	return err;
}

/* Costs are those of the time in common; what is told of the devices holds at any time. */
static int add_vm(const struct top *t, const struct wb_snapshot *snap, const struct wb_vm *w,
		  bool inside)
{
	struct adv_vm *vm;
	int err = 0;

	if (!w->id)
		return 0;
	vm = side_vm(t->s, w->id, w->start, w->name);
	if (!vm)
		return -ENOMEM;
	side_vm_seen(t->s, vm, snap->wall_ns);
	if (inside) {
		if (w->noncoherent != WB_UNKNOWN)
			side_vm_noncoherent(vm, snap->wall_ns, w->noncoherent == WB_YES);
		if (!w->ended && snap->wall_ns > vm->alive_ns)
			vm->alive_ns = snap->wall_ns;
		err = add_times(t, vm, snap, w);
	}
	for (size_t i = 0; !err && i < w->nr_devices; i++)
		err = add_device(t, snap->wall_ns, w, &w->devices[i]);
	return err;
}

/* The count may fall again, by exits that were under way at the reading before. */
static void add_lost(struct top *t, uint64_t lost, bool inside)
{
	if (!t->begun && !inside)
		return;
	if (!t->begun || lost < t->lost_first)
		t->lost_first = lost;
	if (inside || lost < t->lost_last)
		t->lost_last = lost;
	t->begun = true;
}

/* What the sum has beyond the VMs is of one of several, or of one that is not listed. */
static void add_shared(struct top *t, const struct wb_snapshot *snap)
{
	uint64_t sum = snapshot_sum(snap).stall_ns, listed = t->ended_ns;

	for (size_t i = 0; i < snap->nr_vms; i++) {
		uint64_t stall = vm_total(&snap->vms[i]).stall_ns;

		listed += stall;
		t->ended_ns += snap->vms[i].ended ? stall : 0;
	}
	t->shared_ns = sum > listed ? sum - listed : 0;
}

/* Of what was between two readings nothing is known: two recordings may have been made one. */
static void add_gap(const struct top *t, const struct wb_snapshot *snap)
{
	for (size_t i = 0; snap->gap_ns && i < t->s->nr_vms; i++)
		t->s->vms[i].now.gap |= t->s->vms[i].now.seen;
}

static int add_events(const struct top *t, const struct wb_snapshot *snap)
{
	int err = 0;

	for (size_t i = 0; !err && i < snap->nr_events; i++)
		err = side_event(t->s, &snap->events[i], snap->wall_ns, snap->time_ns);
	return err;
}

static int add_snapshot(struct top *t, const struct wb_snapshot *snap)
{
	bool inside = snap->wall_ns >= t->s->from_ns && snap->wall_ns <= t->s->to_ns;
	int err = 0;

	side_line(t->s, !t->clock.begun || snap->gap_ns, snap->wall_ns, snap->time_ns);
	clock_goes_on(&t->clock, snap->gap_ns, snap->wall_ns, snap->time_ns);
	add_lost(t, snap->lost, inside);
	add_shared(t, snap);
	if (inside)
		add_gap(t, snap);
	for (size_t i = 0; !err && i < snap->nr_vms; i++)
		err = add_vm(t, snap, &snap->vms[i], inside);
	if (!err)
		err = side_stays_read(t->s, snap->wall_ns);
	if (!err)
		err = add_events(t, snap);
	return err;
}

int top_read(struct adv_side *s, const char *path)
{
	struct source_config cfg = { .replay = path };
	struct top t = { .s = s, .path = path };
	struct wb_snapshot *snap;
	struct source *src;
	int err;

	err = source_open_replay(&src, &cfg);
	if (err)
		return err;
	err = side_kernel(s, src->kernel);
	while (!err) {
		snap = snapshot_new();
		if (!snap) {
			err = -ENOMEM;
			break;
		}
		err = src->ops->read(src, snap);
		if (!err)
			err = add_snapshot(&t, snap);
		snapshot_free(snap);
	}
	source_close(src);
	side_end_times(s, t.lost_last > t.lost_first);
	if (err == -ENOMEM)
		log_err("out of memory");
	return err == -ENODATA ? clock_check(&t.clock, path) : err;
}

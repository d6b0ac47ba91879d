// SPDX-License-Identifier: GPL-2.0
/* What the kernel told between readings, of devices whose readings may come later, or from another file. */
#include "advise_side.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "../lib/num.h"

int side_event(struct adv_side *s, const struct dmalog_event *e, int64_t wall_ns, uint64_t time_ns)
{
	struct adv_event *grown, *last;
	char bdf[16];

	if ((e->kind != DMALOG_NO_SNOOP && (e->kind != DMALOG_BOX || !e->box)) ||
	    num_bdf(e->dev, bdf, sizeof(bdf)))
		return 0;
	grown = side_grow(s->events, &s->nr_events, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	s->events = grown;
	last = &grown[s->nr_events - 1];
	memcpy(last->bdf, bdf, sizeof(bdf));
	last->path = s->path;
	last->wall_ns = wall_ns;
	/* Recordings of other versions may tell neither. */
	if (e->time_ns && e->time_ns < time_ns)
		last->wall_ns -= (int64_t)(time_ns - e->time_ns);
	if (e->kind == DMALOG_BOX) {
		last->box = e->box;
		return 0;
	}
	last->op = e->op;
	last->before = e->before;
	last->after = e->after;
	return 0;
}

bool side_was_watched(const struct adv_side *s, int64_t wall_ns)
{
	for (size_t i = 0; i < s->nr_files; i++)
		if (s->files[i].unbroken_ns && s->files[i].from_ns <= wall_ns &&
		    wall_ns <= s->files[i].to_ns)
			return true;
	return false;
}

/* As long as nobody watched how it stayed blocked it may be set, and that is no fault. */
void side_dev_found_set(const struct adv_side *s, struct adv_dev *d, int64_t wall_ns)
{
	d->was_set = true;
	d->set += side_was_watched(s, wall_ns);
	side_dev_can(d, true);
}

/* All ones are an error. */
static bool is_set(uint64_t devctl)
{
	return (devctl & PCI_EXP_DEVCTL_NOSNOOP_EN) && (devctl & 0xffff) != 0xffff;
}

/*
 * Before it is blocked the bit may be 1, as it is after a reset (PCIe Base Specification, Device Control
 * Register): that it can be, then, and no more, unless somebody watched how it stayed blocked.  What is closed
 * when nobody watches any more is the VM's end.
 */
static void apply_operation(const struct adv_side *s, const struct adv_event *e, struct adv_dev *d)
{
	bool watched = side_was_watched(s, e->wall_ns);
	bool blocks = e->op == DMALOG_OP_BLOCK || e->op == DMALOG_OP_REASSERT;
	bool of_end = e->op == DMALOG_OP_CLOSE && !watched;

	d->let_go |= !blocks && !of_end;
	if ((is_set(e->after) && !of_end) ||
	    (is_set(e->before) && e->op == DMALOG_OP_BLOCK && watched))
		d->set++;
	if ((e->after & 0xffff) == 0xffff)
		d->unread++;
	if (is_set(e->before) || is_set(e->after)) {
		d->was_set = true;
		side_dev_can(d, true);
	}
}

static int apply_box(const struct adv_side *s, const struct adv_event *e, struct adv_dev *d)
{
	struct adv_stay *grown, *stay;

	d->distrusted |= (e->box == 1 || e->box == 3) && side_was_watched(s, e->wall_ns);
	if (e->wall_ns < s->from_ns || e->wall_ns > s->to_ns)
		return 0;
	grown = side_grow(d->stays, &d->nr_stays, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	d->stays = grown;
	stay = &grown[d->nr_stays - 1];
	stay->from_ns = stay->to_ns = e->wall_ns;
	stay->path = e->path;
	stay->box = e->box;
	stay->mute = stay->event = true;
	return 0;
}

int side_events_apply(struct adv_side *s)
{
	int err = 0;

	for (size_t i = 0; !err && i < s->nr_events; i++) {
		const struct adv_event *e = &s->events[i];
		struct adv_dev *d = side_find_dev(s, e->bdf);

		if (d && e->box)
			err = apply_box(s, e, d);
		else if (d)
			apply_operation(s, e, d);
	}
	return err;
}

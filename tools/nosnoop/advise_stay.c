// SPDX-License-Identifier: GPL-2.0
/* In which VM a device was, and in which box, reading by reading. */
#include "advise_side.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool tells_same(const struct adv_stay *s, int64_t since_ns, const char *id, uint64_t start,
		       int box)
{
	return s->box == box && s->since_ns == since_ns &&
	       (id ? s->vm_id && !strcmp(s->vm_id, id) && s->vm_start == start : !s->vm_id);
}

static int add_stay(const struct adv_side *s, struct adv_dev *d, int64_t from_ns, int64_t to_ns,
		    const char *id, uint64_t start, int box)
{
	struct adv_stay *last, *grown;

	if (d->nr_stays > d->first_stay) {
		last = &d->stays[d->nr_stays - 1];
		if (tells_same(last, s->here_since_ns, id, start, box)) {
			last->to_ns = to_ns > last->to_ns ? to_ns : last->to_ns;
			return 0;
		}
	}
	grown = side_grow(d->stays, &d->nr_stays, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	d->stays = grown;
	last = &grown[d->nr_stays - 1];
	last->from_ns = from_ns;
	last->to_ns = to_ns;
	last->path = s->path;
	last->since_ns = s->here_since_ns;
	last->vm_start = start;
	last->box = box;
	return side_text(&last->vm_id, id);
}

int side_dev_stay(const struct adv_side *s, struct adv_dev *d, int64_t wall_ns, const char *id,
		  uint64_t start, int box)
{
	int err = 0;

	if (d->nr_stays == d->first_stay && s->here_first_ns)
		err = add_stay(s, d, s->here_first_ns, s->here_last_ns, NULL, 0, BOX_UNTOLD);
	return err ? err : add_stay(s, d, wall_ns, wall_ns, id, start, box);
}

int side_stays_read(struct adv_side *s, int64_t wall_ns)
{
	int err = 0;

	for (size_t i = 0; !err && i < s->nr_devs; i++) {
		struct adv_dev *d = &s->devs[i];

		if (d->nr_stays > d->first_stay && d->stays[d->nr_stays - 1].to_ns != wall_ns)
			err = add_stay(s, d, wall_ns, wall_ns, NULL, 0, BOX_UNTOLD);
	}
	if (!s->here_first_ns)
		s->here_first_ns = wall_ns;
	s->here_last_ns = wall_ns;
	return err;
}

/* What lies before or behind the time in common tells nothing of it; what begins before it and ends in or behind it does. */
static void keep_in_common(const struct adv_side *s, struct adv_dev *d)
{
	size_t n = d->first_stay;

	for (size_t k = n; k < d->nr_stays; k++) {
		struct adv_stay *stay = &d->stays[k];

		if (stay->to_ns < s->from_ns || stay->from_ns > s->to_ns) {
			free(stay->vm_id);
			continue;
		}
		stay->mute = !d->owner_told;
		stay->moment = s->here_first_ns == s->here_last_ns;
		d->stays[n++] = *stay;
	}
	d->nr_stays = n;
}

void side_stays_end(struct adv_side *s)
{
	for (size_t i = 0; i < s->nr_devs; i++) {
		struct adv_dev *d = &s->devs[i];

		keep_in_common(s, d);
		d->owner_told = false;
		d->first_stay = d->nr_stays;
	}
	s->here_first_ns = s->here_last_ns = s->here_since_ns = 0;
}

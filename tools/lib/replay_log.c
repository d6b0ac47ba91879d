// SPDX-License-Identifier: GPL-2.0
/* The events of one line of a recording. */
#include "replay_int.h"

#include <errno.h>

#include "dmalog.h"

/* More do not find room in the kernel's ring. */
#define EVENTS_MAX    65536
#define MUCH_LATER_NS 60000000000ULL

static int read_event(struct replay_parse *l, const json_t *obj, size_t nr)
{
	struct dmalog_event *e = snapshot_add_event(l->s);
	int err;

	if (!e)
		return -ENOMEM;
	jread_at(&l->j, "events[%zu].", nr);
	err = dmalog_from_json(&l->j, obj, e);
	/* Those that come while it is taken are still part of a reading. */
	if (!err && e->time_ns > l->s->time_ns + MUCH_LATER_NS)
		err = jread_bad(&l->j, "%stime_ns is after the reading", l->j.where);
	return err;
}

int replay_read_events(struct replay_parse *l, const json_t *root)
{
	const json_t *events = json_object_get(root, "events");
	json_t *array, *obj;
	bool null = false;
	size_t i;
	int err = 0;

	jread_at(&l->j, "%s", "");
	if (json_object_get(root, "events_why"))
		err = jread_str_null(&l->j, root, "events_why", &l->s->events_why);
	if (err || !events || json_is_null(events))
		return err;
	l->s->known |= WB_KNOWN_EVENTS;
	err = jread_u64_null(&l->j, root, "events_lost", 0, REPLAY_LIMIT, &l->s->events_lost,
			     &null);
	if (!err && !null && l->s->events_lost < l->st->events_lost)
		return jread_bad(&l->j, "events_lost goes backwards");
	if (!err)
		err = jread_array(&l->j, root, "events", &array);
	if (err)
		return err;
	if (json_array_size(array) > EVENTS_MAX)
		return jread_bad(&l->j, "events are more than %d", EVENTS_MAX);
	json_array_foreach(array, i, obj) {
		err = read_event(l, obj, i);
		if (err)
			return err;
	}
	return 0;
}

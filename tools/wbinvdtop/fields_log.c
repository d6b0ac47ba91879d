// SPDX-License-Identifier: GPL-2.0
/* The columns of the log. */
#include <stdio.h>
#include <time.h>

#include "../lib/dmalog.h"
#include "fields.h"

#define NSEC_PER_SEC 1000000000LL

void event_row_init(struct event_row *row, const struct frame_event *e)
{
	int64_t sec = e->wall_ns / NSEC_PER_SEC, ns = e->wall_ns % NSEC_PER_SEC;
	struct tm tm;
	size_t len;
	time_t t;

	if (ns < 0) {
		sec--;
		ns += NSEC_PER_SEC;
	}
	t = sec;
	row->e = e;
	row->time[0] = '\0';
	if (localtime_r(&t, &tm)) {
		len = strftime(row->time, sizeof(row->time), "%H:%M:%S", &tm);
		snprintf(row->time + len, sizeof(row->time) - len, ".%03d", (int)(ns / 1000000));
	}
	dmalog_text(&e->e, row->text, sizeof(row->text));
}

const char *events_unknown(const struct wb_snapshot *s, char *buf, size_t size)
{
	if (s->known & WB_KNOWN_EVENTS)
		return NULL;
	snprintf(buf, size, "Nothing is logged: %s",
		 s->events_why ? s->events_why : "this source does not tell");
	return buf;
}

static void set_str(struct out_value *v, const char *s)
{
	v->type = OUT_STR;
	v->s = s;
}

static void event_time(const void *p, struct out_value *v)
{
	set_str(v, ((const struct event_row *)p)->time);
}

static void event_pid(const void *p, struct out_value *v)
{
	v->type = OUT_U64;
	v->u = ((const struct event_row *)p)->e->pid;
}

static void event_name(const void *p, struct out_value *v)
{
	set_str(v, ((const struct event_row *)p)->e->who);
}

static void event_device(const void *p, struct out_value *v)
{
	const struct event_row *r = p;

	if (r->e->e.dev[0])
		set_str(v, r->e->e.dev);
}

static void event_text(const void *p, struct out_value *v)
{
	set_str(v, ((const struct event_row *)p)->text);
}

const struct out_field event_fields[] = {
	{ "time", "time", "wall clock", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT, 12, event_time },
	{ "pid", "pid", "process of the VM, or that did it", OUT_PLAIN, OUT_IN_TABLE, 7,
	  event_pid },
	{ "name", "name", "name of the VM, else the command", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT,
	  16, event_name },
	{ "device", "device", "PCI address", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT, 12, event_device },
	{ "event", "event", "what happened", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT, 24, event_text },
	{ 0 }
};

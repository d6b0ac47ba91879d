// SPDX-License-Identifier: GPL-2.0
#include "src_log.h"

#include <errno.h>
#include <string.h>

struct log_reading {
	struct wb_snapshot *s;
	dmalog_cb on_event;
	void *ctx;
};

static int take(void *ctx, const struct dmalog_event *e)
{
	struct log_reading *r = ctx;
	struct dmalog_event *to = snapshot_add_event(r->s);

	if (!to)
		return -ENOMEM;
	*to = *e;
	return r->on_event(r->ctx, e);
}

static int say_why(struct wb_snapshot *s, const char *why)
{
	s->events_why = why ? strdup(why) : NULL;
	return why && !s->events_why ? -ENOMEM : 0;
}

int src_log_read(struct src_log *l, struct wb_snapshot *s, dmalog_cb on_event, void *ctx)
{
	struct log_reading r = { .s = s, .on_event = on_event, .ctx = ctx };
	struct dmalog_losses lost;
	int err;

	if (!l->log && !l->err)
		l->err = dmalog_open(&l->log);
	if (l->err)
		return say_why(s, strerror(-l->err));
	err = dmalog_read(l->log, s->time_ns, take, &r);
	if (err)
		return err;
	lost = dmalog_losses(l->log);
	s->events_lost = lost.events + lost.maps;
	return say_why(s, dmalog_why(l->log));
}

unsigned int src_log_known(const struct src_log *l)
{
	unsigned int attached = l->log ? dmalog_attached(l->log) : 0;

	return (attached ? WB_KNOWN_EVENTS : 0) | (attached & DMALOG_KVM_MOD ? WB_KNOWN_POLICY : 0);
}

void src_log_close(struct src_log *l)
{
	dmalog_close(l->log);
}

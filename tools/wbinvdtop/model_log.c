// SPDX-License-Identifier: GPL-2.0
#include "model_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void event_clear(struct frame_event *e)
{
	free(e->who);
	free(e->id);
}

void model_log_clear(struct model_log *log)
{
	for (size_t i = 0; i < log->nr; i++)
		event_clear(&log->events[i]);
	free(log->events);
	memset(log, 0, sizeof(*log));
}

/* A process with several VMs does not tell which one it was. */
static const struct wb_vm *vm_of(const struct wb_snapshot *s, pid_t pid, bool *several)
{
	const struct wb_vm *found = NULL;

	*several = false;
	for (size_t i = 0; i < s->nr_vms; i++) {
		if (s->vms[i].pid != pid)
			continue;
		*several = found;
		found = &s->vms[i];
	}
	return found;
}

static int fill(struct frame_event *to, const struct wb_snapshot *s, const struct dmalog_event *e)
{
	const struct wb_vm *vm;
	bool several;

	*to = (struct frame_event){
		.e = *e,
		.wall_ns = s->wall_ns - (int64_t)(s->time_ns - e->time_ns),
		.pid = e->kind == DMALOG_KVM && e->vm_pid ? e->vm_pid : e->pid,
	};
	vm = vm_of(s, to->pid, &several);
	to->who = vm ? strdup(vm->name) : strndup(e->comm, sizeof(e->comm));
	if (vm && vm->id && !several)
		to->id = strdup(vm->id);
	if (to->who && (to->id || !vm || !vm->id || several))
		return 0;
	event_clear(to);
	return -ENOMEM;
}

/* Drops the oldest ones so that there is room for n more, if that many are kept at all. */
static void make_room(struct model_log *log, size_t n)
{
	size_t drop = log->nr + n > MODEL_LOG_MAX ? log->nr + n - MODEL_LOG_MAX : 0;

	if (drop > log->nr)
		drop = log->nr;
	for (size_t i = 0; i < drop; i++)
		event_clear(&log->events[i]);
	log->nr -= drop;
	memmove(log->events, log->events + drop, log->nr * sizeof(*log->events));
}

int model_log_take(struct model_log *log, const struct wb_snapshot *s)
{
	/* Of more than are kept, the newest: the frame's JSON has all of them. */
	size_t from = s->nr_events > MODEL_LOG_MAX ? s->nr_events - MODEL_LOG_MAX : 0;

	log->nr_new = 0;
	if (!s->nr_events)
		return 0;
	if (!log->events)
		log->events = calloc(MODEL_LOG_MAX, sizeof(*log->events));
	if (!log->events)
		return -ENOMEM;
	make_room(log, s->nr_events - from);
	for (size_t i = from; i < s->nr_events; i++) {
		if (fill(&log->events[log->nr], s, &s->events[i]))
			return -ENOMEM;
		log->nr++;
		log->nr_new++;
	}
	return 0;
}

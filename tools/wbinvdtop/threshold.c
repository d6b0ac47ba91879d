// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "threshold.h"

#define NSEC_PER_SEC 1000000000LL

/* "2025-01-31T12:00:00.123456Z" */
static void put_time(int64_t wall_ns, char *buf, size_t size)
{
	time_t sec = wall_ns / NSEC_PER_SEC;
	char date[32];
	struct tm tm;

	if (!gmtime_r(&sec, &tm) || !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm))
		snprintf(date, sizeof(date), "-");
	snprintf(buf, size, "%s.%06dZ", date, (int)(wall_ns % NSEC_PER_SEC / 1000));
}

static int64_t wall_of(const struct source_outlier *o, const struct frame *f)
{
	struct timespec mono, wall;

	if (f)
		return f->cur->wall_ns + (int64_t)(o->time_ns - f->cur->time_ns);
	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	return (wall.tv_sec - mono.tv_sec) * NSEC_PER_SEC + wall.tv_nsec - mono.tv_nsec +
	       (int64_t)o->time_ns;
}

char *threshold_line(struct threshold *t, const struct source_outlier *o, const struct frame *f,
		     char *buf, size_t size)
{
	const struct wb_vm *vm = f ? snapshot_find_vm(f->cur, o->vm_key) : NULL;
	const char *name = vm ? vm->name : o->name;
	char when[64], id[32], cpus[16] = "-";

	/* They come from several CPUs, so a little out of order. */
	if (!t->second_ns || (int64_t)(o->time_ns - t->second_ns) >= NSEC_PER_SEC) {
		t->second_ns = o->time_ns;
		t->shown = 0;
	}
	if (t->shown == THRESHOLD_PER_S) {
		t->suppressed++;
		return NULL;
	}
	t->shown++;
	put_time(wall_of(o, f), when, sizeof(when));
	if (o->cpus)
		snprintf(cpus, sizeof(cpus), "%" PRIu32, o->cpus);
	if (o->id[0])
		snprintf(id, sizeof(id), "%.*s", WB_ID_LEN, o->id);
	else
		snprintf(id, sizeof(id), "%d", o->pid);
	snprintf(buf, size, "%s long flush: VM %s (%s) vCPU %" PRIu32 " %" PRIu64 " ns %s CPUs",
		 when, id, name ? name : "?", o->vcpu_id, o->ns, cpus);
	return buf;
}

char *threshold_rest(struct threshold *t, const struct source *src, char *buf, size_t size)
{
	uint64_t n = t->suppressed + (src->outliers_dropped - t->dropped);

	t->suppressed = 0;
	t->dropped = src->outliers_dropped;
	if (!n)
		return NULL;
	snprintf(buf, size, "%" PRIu64 " more flushes took longer than %" PRIu64 " ns", n,
		 t->limit_ns);
	return buf;
}

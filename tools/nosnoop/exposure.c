// SPDX-License-Identifier: GPL-2.0
#include "exposure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GIB ((double)(1ULL << 30))

void exposure_start(struct exposure *x, int box, uint64_t pinned, uint64_t time_ns)
{
	memset(x, 0, sizeof(*x));
	x->box = box > 0 ? box : 0;
	x->pinned = pinned;
	x->since_ns = time_ns;
}

static void count_until(struct exposure *x, uint64_t time_ns)
{
	if (time_ns <= x->since_ns)
		return;
	if (x->box == 3)
		x->box3_ns += time_ns - x->since_ns;
	x->since_ns = time_ns;
}

void exposure_event(struct exposure *x, const struct dmalog_event *e)
{
	switch (e->kind) {
	case DMALOG_ATTACH:
		*(e->rc ? &x->refused : &x->attaches) += 1;
		break;
	case DMALOG_REPLACE:
		*(e->rc ? &x->refused : &x->replaces) += 1;
		break;
	case DMALOG_DETACH:
		x->detaches += !e->rc;
		break;
	case DMALOG_NO_SNOOP:
		x->operations++;
		break;
	case DMALOG_BOX:
		count_until(x, e->time_ns);
		x->box = e->box;
		x->box_changes++;
		break;
	}
}

static double bytes_between(uint64_t before, uint64_t after, uint64_t mapped)
{
	if (before && after)
		return ((double)before + (double)after) / 2;
	if (before || after)
		return before ? before : after;
	return mapped;
}

void exposure_read(struct exposure *x, int box, uint64_t pinned, uint64_t mapped, uint64_t time_ns)
{
	count_until(x, time_ns);
	x->gib_s += (double)x->box3_ns / 1e9 * bytes_between(x->pinned, pinned, mapped) / GIB;
	x->box3_ns = 0;
	/* An event may have been lost: what is read is what holds. */
	x->box = box > 0 ? box : 0;
	x->pinned = pinned;
}

void map_table_reset(struct map_table *t)
{
	t->n = 0;
}

void map_table_free(struct map_table *t)
{
	free(t->sums);
	memset(t, 0, sizeof(*t));
}

static struct map_sums *sums_of(struct map_table *t, pid_t pid)
{
	size_t max = t->max ? 2 * t->max : 16;
	struct map_sums *grown;

	for (size_t i = 0; i < t->n; i++)
		if (t->sums[i].pid == pid)
			return &t->sums[i];
	if (t->n == t->max) {
		grown = reallocarray(t->sums, max, sizeof(*grown));
		if (!grown)
			return NULL;
		t->sums = grown;
		t->max = max;
	}
	memset(&t->sums[t->n], 0, sizeof(*t->sums));
	t->sums[t->n].pid = pid;
	return &t->sums[t->n++];
}

int map_table_event(struct map_table *t, const struct dmalog_event *e)
{
	bool map = e->kind == DMALOG_MAP;
	struct map_sums *s;

	if (!map && e->kind != DMALOG_ATTACH && e->kind != DMALOG_REPLACE && e->kind != DMALOG_HWPT)
		return 0;
	if (!map && !e->flushed_bytes && !e->flush_ns)
		return 0;
	s = sums_of(t, e->pid);
	if (!s)
		return -ENOMEM;
	if (map) {
		s->maps += e->maps;
		s->failed += e->failed;
		s->bytes += e->bytes;
		s->noncoherent_bytes += e->noncoherent_bytes;
	} else if (!e->rc) {
		/* All that was mapped before is flushed when it becomes reachable so. */
		s->noncoherent_bytes += e->flushed_bytes;
	}
	s->flushed_bytes += e->flushed_bytes;
	s->flush_ns += e->flush_ns;
	return 0;
}

int map_table_unpin(struct map_table *t, const struct dmalog_unpin *u)
{
	struct map_sums *s = sums_of(t, u->pid);

	if (!s)
		return -ENOMEM;
	s->unpin_flushed_bytes += u->f.bytes;
	s->unpin_flush_ns += u->f.ns;
	return 0;
}

const struct map_sums *map_table_find(const struct map_table *t, pid_t pid)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->sums[i].pid == pid)
			return &t->sums[i];
	return NULL;
}

static uint64_t kib_of(const char *status, const char *key)
{
	size_t len = strlen(key);
	const char *line;

	for (line = status; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, len))
			return strtoull(line + len, NULL, 10);
	}
	return 0;
}

uint64_t pinned_bytes(const char *status)
{
	uint64_t kib = kib_of(status, "VmPin:");

	if (!kib)
		kib = kib_of(status, "VmLck:");
	return kib << 10;
}

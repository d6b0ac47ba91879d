/* SPDX-License-Identifier: GPL-2.0 */
/* Readings for unit tests, in few words. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../tools/wbinvdtop/model.h"

#define KNOWN_ALL \
	(WB_KNOWN_OUTCOME | WB_KNOWN_TIME | WB_KNOWN_CPUS | WB_KNOWN_STALL | WB_KNOWN_NONCOHERENT)

static inline struct wb_snapshot *snap(uint64_t seconds)
{
	struct wb_snapshot *s = snapshot_new();

	assert_non_null(s);
	s->time_ns = seconds * 1000000000;
	s->wall_ns = (int64_t)(1700000000 + seconds) * 1000000000;
	s->known = KNOWN_ALL;
	return s;
}

/* fd < 0: the id is not known. */
static inline struct wb_vm *add_vm(struct wb_snapshot *s, uint64_t key, pid_t pid, int fd,
				   const char *name)
{
	struct wb_vm *vm = snapshot_add_vm(s);

	assert_non_null(vm);
	vm->key = key;
	vm->pid = pid;
	vm->start = 5000 + pid;
	vm->noncoherent = WB_YES;
	vm->name = strdup(name);
	if (fd >= 0 && asprintf(&vm->id, "%d-%d", pid, fd) < 0)
		abort();
	return vm;
}

/* So many flushes of ns each, every one of them on cpus CPUs. */
static inline struct wb_vcpu *add_vcpu(struct wb_vm *vm, uint32_t id, uint64_t n, uint64_t ns,
				       uint64_t cpus)
{
	struct wb_vcpu *v = snapshot_add_vcpu(vm);

	assert_non_null(v);
	v->id = id;
	v->total.exits = n;
	v->total.flushes = n;
	v->total.emulation_ns = n * ns;
	v->total.cpus_flushed = n * cpus;
	v->hist[wb_hist_slot(ns)] = n;
	v->max_ns = n ? ns : 0;
	v->interval_max_ns = v->max_ns;
	return v;
}

static inline struct wb_victim *add_victim(struct wb_snapshot *s, enum wb_victim_kind kind,
					   pid_t pid, const char *name, enum wb_culprit_kind by,
					   uint64_t key, uint64_t count, uint64_t ns)
{
	struct wb_victim *v = snapshot_add_victim(s);

	assert_non_null(v);
	v->kind = kind;
	v->pid = pid;
	v->name = strdup(name);
	v->culprit_kind = by;
	v->culprit_key = key;
	v->count = count;
	v->stall_ns = ns;
	v->interval_max_ns = count ? ns / count : 0;
	v->max_ns = v->interval_max_ns;
	return v;
}

#endif /* FRAMES_H */

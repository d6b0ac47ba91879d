/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Compares two snapshots and works out what is shown: pure, no I/O, no clock.
 * Everything that a screen or a writer prints about a frame is here.
 */
#ifndef MODEL_H
#define MODEL_H

#include "../lib/snapshot.h"
#include "../lib/devices.h"
#include "model_log.h"

/* Quantiles are upper bucket bounds in ns, limited to the maximum; 0: there were none. */
struct wb_stat {
	struct wb_counters c;
	uint64_t timed;	  /* exits less the untimed ones */
	uint64_t mean_ns; /* emulation_ns / timed, 0: there were none */
	uint64_t p50_ns;
	uint64_t p99_ns;
	uint64_t max_ns;
};

struct frame_vcpu {
	const struct wb_vcpu *cur;
	struct wb_stat total;
	struct wb_stat delta;
};

struct frame_vm {
	const struct wb_vm *cur;
	struct wb_stat total;
	struct wb_stat delta;
};

struct frame_victim {
	const struct wb_victim *cur;
	uint64_t count; /* of the interval */
	uint64_t stall_ns;
	uint64_t max_ns;
};

struct frame {
	const struct wb_snapshot *cur;
	uint64_t interval_ns; /* measured, between the two readings */
	uint64_t lost_total;  /* since the baseline */
	uint64_t lost_delta;
	struct wb_stat sum_total; /* all VMs, ended ones too, and shared stalls */
	struct wb_stat sum_delta;
	unsigned int nr_noncoherent; /* living VMs that are non-coherent, filter or not */
	unsigned int nr_living;	     /* living VMs, filter or not */
	bool rebased;		     /* totals count from model_rebase() */
	size_t nr_vms;		     /* those that pass the filter */
	struct frame_vm *vms;	     /* by key; frame_sort() puts them in the order asked for */
	size_t nr_victims;
	struct frame_victim *victims;	   /* of the interval, most stalled first */
	size_t nr_events;		   /* those that pass the filter */
	const struct frame_event **events; /* so far, oldest first */
	size_t nr_new_events;		   /* the last of them: of the interval */
};

struct model;

struct model *model_new(void);
void model_free(struct model *m);

/*
 * Takes ownership of cur (also on error) and returns in *f a frame that is
 * valid until the next call; the first call gives a frame whose interval is 0
 * and whose deltas are 0.  0 or -ENOMEM.
 */
int model_update(struct model *m, struct wb_snapshot *cur, const struct frame **f);

/*
 * Frees what the present reading was compared with, to have room for the next
 * one.  Only model_update() may follow.
 */
void model_make_room(struct model *m);

/*
 * The present reading again, after a change of filter or baseline; frames
 * returned before are invalid.  0, -ENOMEM, -ENODATA before the first update.
 */
int model_frame(struct model *m, const struct frame **f);

/*
 * The present reading with no filter and no baseline, for recordings; lives
 * beside the other frame.  0, -ENOMEM, -ENODATA before the first update.
 */
int model_raw_frame(struct model *m, const struct frame **f);

/*
 * vCPUs of one VM of a frame; *v is owned by the model, valid until the next
 * call.  0 or -ENOMEM.
 */
int model_vcpus(struct model *m, const struct frame *f, const struct frame_vm *vm,
		struct frame_vcpu **v, size_t *n);

/* Makes the current reading the zero of all totals (the 'r' key).  0 or -ENOMEM. */
int model_rebase(struct model *m);

/* Which VMs and tasks a frame keeps; an empty filter keeps all. */
struct model_filter {
	const pid_t *pids; /* any of these ... */
	size_t nr_pids;
	const char *const *names; /* ... or a name that contains one of these, case ignored */
	size_t nr_names;
	const char *text; /* and: name, pid, id or device contains it; NULL: off */
};

/*
 * Copies *f (NULL: keep all); VMs and victims of later frames are those that
 * pass.  A victim passes as itself or by its culprit.  0 or -ENOMEM.
 */
int model_set_filter(struct model *m, const struct model_filter *f);

/*
 * Does the VM pass the filter?  One that is not among the present reading is
 * judged by pid and name.
 */
bool model_shows(const struct model *m, uint64_t key, pid_t pid, const char *name);

/* Upper bound in ns of a histogram slot (inclusive); UINT64_MAX for the last one. */
uint64_t hist_bound(unsigned int slot);

/*
 * The nr percent-quantiles (1 to 100, ascending) of a histogram as upper
 * bucket bounds, at most max (0: not known); 0 when all counts are 0.
 */
void hist_quantiles(const uint64_t hist[WB_HIST_SLOTS], const unsigned int *percent,
		    uint64_t *quantile, size_t nr, uint64_t max);

#endif /* MODEL_H */

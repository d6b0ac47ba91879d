/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Compares two snapshots and works out what is shown: pure, no I/O, no clock.
 * Everything that a screen or a writer prints about a frame is here.
 */
#ifndef MODEL_H
#define MODEL_H

#include "snapshot.h"
#include "../lib/devices.h"

/* Quantiles are upper bucket bounds in ns, limited to the maximum; 0: there were none. */
struct wb_stat {
	struct wb_counters c;
	uint64_t timed;		/* exits in the histogram */
	uint64_t mean_ns;	/* emulation_ns / timed, 0: there were none */
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
	uint64_t count;		/* of the interval */
	uint64_t stall_ns;
	uint64_t max_ns;
};

struct frame {
	const struct wb_snapshot *cur;
	uint64_t interval_ns;	/* measured, between the two readings */
	uint64_t lost_delta;
	struct wb_stat sum_total;	/* all VMs, ended ones too, and shared stalls */
	struct wb_stat sum_delta;
	unsigned int nr_noncoherent;	/* living VMs that are non-coherent */
	size_t nr_vms;
	struct frame_vm *vms;	/* in the order asked for */
	size_t nr_victims;
	struct frame_victim *victims;	/* most stalled first */
};

struct model;

struct model *model_new(void);
void model_free(struct model *m);

/*
 * Takes ownership of cur (also on error) and returns in *f a frame that is
 * valid until the next call; the first call gives a frame whose interval is 0
 * and whose deltas are 0.  After model_rebase() totals count from there.
 * 0 or -ENOMEM.
 */
int model_update(struct model *m, struct wb_snapshot *cur, const struct frame **f);

/* vCPUs of one VM of the frame; *v is owned by the model, valid until the next call. */
int model_vcpus(struct model *m, const struct frame_vm *vm, struct frame_vcpu **v, size_t *n);

/* Makes the current reading the zero of all totals (the 'r' key). */
void model_rebase(struct model *m);

/* Which VMs and tasks a frame keeps; an empty filter keeps all. */
struct model_filter {
	const pid_t *pids;	/* any of these ... */
	size_t nr_pids;
	const char *const *names;	/* ... or a name that contains one of these, case ignored */
	size_t nr_names;
	const char *text;	/* and, typed on the screen: name, id or device contains it; NULL: off */
};
void model_set_filter(struct model *m, const struct model_filter *f);

/* Upper bound in ns of a histogram slot (inclusive). */
uint64_t hist_bound(unsigned int slot);

/* The q-quantile (0 < q <= 1) of n counts; 0 when all are 0. */
uint64_t hist_quantile(const uint64_t hist[WB_HIST_SLOTS], double q);

#endif /* MODEL_H */

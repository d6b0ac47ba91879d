/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One line per flush that took longer than --threshold, at most
 * THRESHOLD_PER_S of them in a second; how many more there were is said.
 */
#ifndef THRESHOLD_H
#define THRESHOLD_H

#include "model.h"
#include "../lib/source.h"

#define THRESHOLD_PER_S 10

struct threshold {
	uint64_t limit_ns;
	uint64_t second_ns;  /* CLOCK_MONOTONIC: when the present second began */
	unsigned int shown;  /* in the present second */
	uint64_t suppressed; /* not shown and not yet told */
	uint64_t dropped;    /* source.outliers_dropped that have been told */
};

/*
 * The line for o, without a newline, or NULL when too many have come in this
 * second.  f (NULL: none yet) names the VM where it has it, and tells the wall
 * clock.  Returns buf.
 */
char *threshold_line(struct threshold *t, const struct source_outlier *o, const struct frame *f,
		     char *buf, size_t size);

/*
 * What was left out since the last call, as a line; NULL: nothing.  Returns buf.
 */
char *threshold_rest(struct threshold *t, const struct source *src, char *buf, size_t size);

#endif /* THRESHOLD_H */

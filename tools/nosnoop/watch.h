/* SPDX-License-Identifier: GPL-2.0 */
/* What watch follows from reading to reading. */
#ifndef WATCH_H
#define WATCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../lib/dmalog.h"
#include "../lib/out.h"
#include "exposure.h"
#include "fields.h"
#include "nosnoop.h"
#include "pmu.h"

struct watch {
	struct tree tree;
	const struct filter *filter;
	bool all; /* also functions that no VFIO driver has */
	struct func_list l;
	struct pmu *pmu;
	const char *pmu_why;  /* why nothing is counted; NULL: it is */
	struct moment at;     /* when the reading began */
	uint64_t interval_ns; /* since the one before; 0: the first one */
	uint64_t read_ns;     /* when the bits were last read */
	uint64_t longest_ns;  /* that they were not read, since the reading before */
	uint64_t unread_ns;   /* the same of the interval that the reading ended */
	uint64_t listed_ns;   /* when functions were last read; 0: they are to be */
	uint64_t checked_ns;  /* when they were last looked for */
	char (*names)[16];    /* addresses that there were then */
	size_t nr_names;
	FILE *telling;		     /* where changes are told; NULL: nowhere */
	struct dmalog *log;	     /* what the kernel tells itself; NULL: nothing */
	const char *log_why;	     /* why there is no log */
	struct dmalog_event *events; /* of the interval, of what is watched */
	size_t nr_events, max_events;
	struct map_table maps;	 /* of the interval */
	struct watch_left *left; /* who had functions, and may still be unpinning */
	size_t nr_left;
	struct dmalog_flush flushes[DMALOG_REASONS + 1], flushes_before[DMALOG_REASONS + 1];
	struct guestwrites *writes; /* NULL: they are not counted */
	const char *writes_why;	    /* why not */
};

/* The root of a test's tree, or NULL.  0 or a negative errno after a sentence. */
int watch_open(struct watch *w, const char *root, const struct filter *filter, bool all);
void watch_close(struct watch *w);

/* The next reading.  0 or a negative errno. */
int watch_read(struct watch *w);

/*
 * The bits alone, between two readings, so that fewer changes are undone unseen.
 * 0 or a negative errno.  *wait_ns: how long until they should be read again for
 * that to take but a small part of a CPU.
 */
int watch_poll(struct watch *w, uint64_t *wait_ns);

/* The reading as the line of a recording; NULL: no memory. */
json_t *watch_json(const struct watch *w);

/* Fields of struct func_row under watch. */
extern const struct out_field watch_fields[];

/* How long the bits were not read, and what that may hide. */
void watch_bits_text(FILE *f, const struct watch *w);

/* A sentence on what was counted, and what a count of 0 may hide. */
void watch_requests_text(FILE *f, const struct watch *w);
void watch_socket_text(FILE *f, const struct pmu_generation *g, const struct pmu_socket *s);

#endif /* WATCH_H */

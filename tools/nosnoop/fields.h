/* SPDX-License-Identifier: GPL-2.0 */
/* Names, units and getters of everything that is shown of a function; and the JSON of a frame. */
#ifndef FIELDS_H
#define FIELDS_H

#include <stdio.h>
#include <jansson.h>
#include <time.h>

#include "../lib/out.h"
#include "func.h"

#define NS_SCHEMA "nosnoop/1"

extern const struct out_field func_fields[]; /* rows are struct func_row */

/* The function with all that is known, and its quirks, as an object; NULL: no memory. */
json_t *func_json(const struct func_row *r);

/* One moment by both clocks, which are read one right after the other: who joins recordings compares them. */
struct moment {
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	struct timespec wall;
};

struct moment moment_now(void);

/*
 * An object with schema, command, kernel, time, time_ns and interval_ns; NULL:
 * no memory.  kernel: its release, NULL: not known.
 */
json_t *frame_head(const char *command, const char *kernel, struct moment at, uint64_t interval_ns);

/* One line, flushed.  Steals obj (NULL: no memory).  0 or a negative errno. */
int frame_write(FILE *f, json_t *obj);

uint64_t monotonic_ns(void);

#endif /* FIELDS_H */

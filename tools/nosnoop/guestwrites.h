/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What users of VFIO write to Enable No Snoop of the functions that they hold,
 * counted by the kernel as they write.  It is their wish: whether VFIO let it
 * through, and whether the function took it, shows in the bit alone.
 */
#ifndef GUESTWRITES_H
#define GUESTWRITES_H

#include <stdbool.h>
#include <stdint.h>

struct guestwrites;

/* Of one function, since counting began. */
struct guest_writes {
	uint64_t set, cleared; /* writes of a 1, of a 0, whatever was there before */
	uint64_t unread;       /* whose value could not be read */
	uint64_t last_ns; /* CLOCK_MONOTONIC of the last one whose value was; 0: there was none */
	bool last;	  /* its value */
};

/*
 * Starts to count, or to wait for the module.  0 or -ENOMEM; guestwrites_why()
 * tells what else is wrong.  Nothing is written to stderr but with --verbose.
 */
int guestwrites_open(struct guestwrites **out);
void guestwrites_close(struct guestwrites *g);

/* The end of an interval: begins to count where that has become possible. */
void guestwrites_read(struct guestwrites *g);

/* "fexit", or "kprobe", which also counts writes that VFIO refuses; NULL: nothing is counted. */
const char *guestwrites_by(const struct guestwrites *g);

/* Why nothing is counted; NULL: it is. */
const char *guestwrites_why(const struct guestwrites *g);

/* CLOCK_MONOTONIC. */
uint64_t guestwrites_since_ns(const struct guestwrites *g);

/* Writes since then that were not counted. */
uint64_t guestwrites_lost(const struct guestwrites *g);

/* False: not known. */
bool guestwrites_of(const struct guestwrites *g, const char *bdf, struct guest_writes *to);

#endif /* GUESTWRITES_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * No-snoop requests counted by hardware, on the CPUs whose vendor publishes an
 * event for them.  Encodings are put together from the format files that the
 * kernel shows for the PMU, never from perf's named events: two of those that
 * speak of no-snoop count ordinary writes (ItoM and RFO).
 */
#ifndef PMU_H
#define PMU_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/procutil.h"

#define PMU_NR_KINDS 3

enum pmu_kind { PMU_READS, PMU_WRITES, PMU_PARTIAL_WRITES };

/* Where the bits of a field go, as in "config1:23-31" or "config:0-7,21". */
struct pmu_field {
	unsigned int config; /* 0: config, 1: config1, 2: config2 */
	unsigned int nr_bits;
	uint8_t bit[64]; /* place of the field's bit i */
};

/* 0 or -EINVAL. */
int pmu_field_parse(const char *text, struct pmu_field *f);

/* Puts value into config[]; 0, or -ERANGE where it does not fit. */
int pmu_field_set(const struct pmu_field *f, uint64_t value, uint64_t config[3]);

struct pmu_term {
	const char *field; /* NULL behind the last one */
	uint64_t value;
};

struct pmu_generation {
	const char *name;
	unsigned int models[4];	  /* of family 6; 0 behind the last one */
	const char *pmu;	  /* "uncore_cbox" */
	bool whole;		  /* sees all requests of the socket's devices, not a part only */
	unsigned int max_sockets; /* of more the counts are not of one socket's devices; 0: any */
	const char *hides;	  /* what a count of 0 may hide, beside what always may */
	struct pmu_term terms[PMU_NR_KINDS][6]; /* no terms: that kind has no event */
};

/*
 * The generation of the CPU in a /proc/cpuinfo image; NULL where no event is
 * published, *why says which CPUs those are.
 */
const struct pmu_generation *pmu_generation_of(const char *cpuinfo, const char **why);

/*
 * The event of one kind by the format files in sysfs below dirfd, the
 * directory of one PMU.  0; -ENOENT: a field is missing; -EINVAL: a format file
 * that cannot be understood; -ERANGE; -EOPNOTSUPP: there is no such event.
 */
int pmu_attr(int dirfd, const struct pmu_generation *g, enum pmu_kind kind,
	     struct perf_event_attr *attr);

/* A reading of one event, as perf gives it. */
struct pmu_value {
	uint64_t value, enabled, running;
};

/* The count since before, scaled to the whole time; *share: part of the time that it ran. */
double pmu_scaled(const struct pmu_value *before, const struct pmu_value *now, double *share);

struct pmu_socket {
	unsigned int socket;
	double count[PMU_NR_KINDS]; /* of the interval */
	double share[PMU_NR_KINDS]; /* least part of the interval that an event of the kind ran */
	unsigned int boxes[PMU_NR_KINDS], ran[PMU_NR_KINDS]; /* that have the event; where it ran */
};

/* One box's readings of the interval into its socket's. */
void pmu_add(struct pmu_socket *s, enum pmu_kind kind, const struct pmu_value *before,
	     const struct pmu_value *now);

/* Whether every box of the socket counted: what one of them did not see is not 0. */
bool pmu_known(const struct pmu_socket *s, enum pmu_kind kind);

/* Whether all kinds ran all the time on all boxes. */
bool pmu_ran_always(const struct pmu_socket *s);

/* The i-th of what a 0 of these sockets may hide; NULL: no more. */
const char *pmu_hides(const struct pmu_generation *g, const struct pmu_socket *s, size_t n,
		      size_t i);

struct pmu;

/*
 * Opens all events that this machine has.  rootfd: "/" (a test's tree has no
 * events).  NULL where there is none: *why is a sentence that says so.
 */
struct pmu *pmu_open(int rootfd, const char **why);
void pmu_close(struct pmu *p);

/* Counts since the call before.  0 or a negative errno. */
int pmu_read(struct pmu *p);
const struct pmu_socket *pmu_sockets(const struct pmu *p, size_t *n);
const struct pmu_generation *pmu_generation(const struct pmu *p);

#endif /* PMU_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* Between the parts of the recording reader. */
#ifndef REPLAY_INT_H
#define REPLAY_INT_H

#include "replay_line.h"
#include "jread.h"

/* No counter is higher: 31 years in nanoseconds, and sums of a few stay below 2^64. */
#define REPLAY_LIMIT 1000000000000000000ULL

struct seen_vcpu {
	uint32_t id;
	struct wb_counters total;
};

struct seen_vm {
	uint64_t key;
	pid_t pid;
	uint64_t start;
	char *id;
	bool ended;
	bool taken; /* by a VM without a key in the line at hand */
	size_t nr_vcpus;
	struct seen_vcpu *vcpus;
};

/* The line before. */
struct replay_state {
	bool started;
	uint64_t time_ns;
	struct wb_counters sum;
	uint64_t events_lost;
	size_t nr_vms;
	struct seen_vm *vms;	      /* by key */
	struct seen_vm **by_identity; /* NULL until asked for */
	size_t nr_victims;
	struct wb_victim *victims; /* sorted, without their strings */
	enum { KEYS_UNDECIDED, KEYS_GIVEN, KEYS_MADE_UP } keys;
	uint64_t next_key; /* of those made up */
};

/* One line on its way. */
struct replay_parse {
	struct jread j;
	struct replay_state *st;
	struct wb_snapshot *s;
	struct wb_snapshot *before; /* NULL: not wanted */
	uint64_t victim_count;	    /* sums, to stay in the limit */
	uint64_t victim_ns;
};

/* The members of struct wb_counters by their names in JSON. */
struct replay_counter {
	const char *key;
	size_t offset;
	unsigned int known; /* enum wb_known without which it is null; 0: never */
	bool added; /* to the format: older files do not have it, which says as much as null */
};

#define REPLAY_NR_COUNTERS 9
extern const struct replay_counter replay_counters[REPLAY_NR_COUNTERS];

static inline uint64_t *replay_counter_of(struct wb_counters *c, unsigned int i)
{
	return (uint64_t *)((char *)c + replay_counters[i].offset);
}

static inline uint64_t replay_counter_get(const struct wb_counters *c, unsigned int i)
{
	return *(const uint64_t *)((const char *)c + replay_counters[i].offset);
}

/*
 * The objects "total" and "delta" of obj, which stands at path: total and both
 * maxima go into v, the other into delta.
 */
int replay_read_stat(struct replay_parse *l, const json_t *obj, const char *path, struct wb_vcpu *v,
		     struct wb_counters *delta);

/* Element nr of "vms". */
int replay_read_vm(struct replay_parse *l, const json_t *obj, size_t nr);

/*
 * The key of a VM in obj: -ENODATA in a file that has none.  All keys of a file
 * are given or none is, so that those made up are nobody else's.
 */
int replay_read_key(struct replay_parse *l, const json_t *obj, const char *name, uint64_t *key);

/*
 * Plain --json output has no keys: the VM is the one of the line before with
 * the same process and id, the first that is not taken yet, else a new one.
 */
int replay_find_key(struct replay_state *st, struct wb_vm *vm);

/* "events" and what belongs to them, which older files do not have. */
int replay_read_events(struct replay_parse *l, const json_t *root);

/* Holds the sorted VMs of the line against those of the line before. */
int replay_check_vms(struct replay_parse *l);

/* Makes s the line before. */
int replay_remember(struct replay_state *st, const struct wb_snapshot *s,
		    const struct wb_counters *sum);

#endif /* REPLAY_INT_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel's log (tools/lib/dmalog.h) comes to, for each function since
 * watching began and for each process in an interval.  Plain arithmetic.
 */
#ifndef EXPOSURE_H
#define EXPOSURE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../lib/dmalog.h"

/* Of one function. */
struct exposure {
	uint64_t attaches, replaces, detaches;
	uint64_t refused;    /* attachments that failed */
	uint64_t operations; /* VFIO blocked, allowed or restored Enable No Snoop */
	uint64_t box_changes;
	int box;	   /* 0: attached to nothing */
	uint64_t since_ns; /* what was in box 3 before that is counted */
	uint64_t box3_ns;  /* of the interval that is under way */
	uint64_t pinned;   /* bytes, by its process at the last reading */
	double gib_s;	   /* GiB that it could reach in box 3, times seconds */
};

/* The function as it is first seen; pinned: bytes that its process has pinned. */
void exposure_start(struct exposure *x, int box, uint64_t pinned, uint64_t time_ns);

/* In the order of time; events that are older than the last reading count from that on. */
void exposure_event(struct exposure *x, const struct dmalog_event *e);

/*
 * The end of an interval, in which the process mapped so many bytes.  Unmaps are
 * not in the log: what is pinned is taken for what is mapped, the mean of
 * both ends of the interval, or of one where the other has none.
 */
void exposure_read(struct exposure *x, int box, uint64_t pinned, uint64_t mapped, uint64_t time_ns);

/* Of one process, in one interval. */
struct map_sums {
	pid_t pid;
	uint64_t maps, failed;
	uint64_t bytes; /* mapped */
	uint64_t
		noncoherent_bytes; /* that became reachable without snooping, by maps or attachments */
	uint64_t flushed_bytes;	   /* from the CPU caches for that */
	uint64_t flush_ns;
	uint64_t unpin_flushed_bytes; /* before memory was unpinned */
	uint64_t unpin_flush_ns;
};

struct map_table {
	struct map_sums *sums;
	size_t n, max;
};

/* Empties it for the next interval. */
void map_table_reset(struct map_table *t);
void map_table_free(struct map_table *t);

/* 0 or -ENOMEM; an event that says nothing of maps changes nothing. */
int map_table_event(struct map_table *t, const struct dmalog_event *e);

/* Flushes before memory was unpinned: 0 or -ENOMEM. */
int map_table_unpin(struct map_table *t, const struct dmalog_unpin *u);

/* NULL: the process neither mapped nor unpinned anything. */
const struct map_sums *map_table_find(const struct map_table *t, pid_t pid);

/*
 * Bytes that a process has pinned for devices, from the text of its
 * /proc/PID/status: iommufd counts them as VmPin, VFIO's type1 as locked
 * (VmLck), together with what the process has locked for itself.  0: none.
 */
uint64_t pinned_bytes(const char *status);

#endif /* EXPOSURE_H */

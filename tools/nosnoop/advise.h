/* SPDX-License-Identifier: GPL-2.0 */
/* From recordings to verdicts: what was read of each side, and what follows for each device. */
#ifndef ADVISE_H
#define ADVISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <jansson.h>

#include "rule.h"

#define ADVICE_SCHEMA "nosnoop-advice/1"
#define AB_SCHEMA     "nosnoop-ab/1"

/* A fact that recordings may not tell. */
enum tri { TRI_UNKNOWN = -1, TRI_NO = 0, TRI_YES = 1 };

enum coverage { COVERAGE_UNKNOWN = -1, COVERAGE_NONE, COVERAGE_PARTIAL, COVERAGE_FULL };

struct adv_point {
	uint64_t time_ns;
	uint64_t span_ns; /* since the point before */
	uint64_t emulation_ns, stall_ns;
};

/* What one recording of wbinvdtop tells of a VM: its counters began with it. */
struct adv_times {
	bool seen;
	uint64_t first_ns, last_ns; /* CLOCK_MONOTONIC of the readings in the time in common */
	int64_t from_wall_ns, to_wall_ns; /* the same by the wall clock */
	bool times_known, stalls_known;
	bool lost, untimed, went_back, gap; /* the counters are not all that there was */
	bool state_told,
		state_untold; /* non-coherent or not: at the first reading; not at a later one */
	bool policy_untold;
	uint64_t emulation_first, emulation_ns, untimed_first, skips_first;
	/* Stalls: with those by one of several VMs, which may be this one. */
	uint64_t stall_first, stall_ns, shared_first, shared_ns;
	struct adv_point *points;
	size_t nr_points;
};

/* How far the wall clock of a file was from CLOCK_MONOTONIC at its first line in the time in common. */
struct adv_offset {
	const char *path; /* NULL: no such line */
	uint64_t ns;	  /* modulo 2^64 */
};

/* One VM of one side. */
struct adv_vm {
	char *id;
	uint64_t start;
	char *name;
	enum tri noncoherent;
	bool was_coherent;	/* at some reading */
	bool skipped;		/* a policy had some of its WBINVDs skipped, or may have */
	int64_t noncoherent_ns; /* wall clock of the reading that noncoherent is of */
	struct adv_times times; /* of the recording that is taken */
	struct adv_times now;	/* of the one at hand */
	bool flush_known, flush_gap, flush_lost;
	uint64_t flush_ns;		       /* at map and unmap */
	uint64_t flush_span_ns;		       /* the time in which that was */
	int64_t flush_first_ns, flush_last_ns; /* wall clock of the readings that tell it */
	unsigned int line;		       /* the last of adv_side.lines that has it */
	int64_t alive_ns; /* wall clock of the last reading that shows it alive; 0: none does */
	int64_t first_ns; /* of the first line of any recording that shows it */
	struct adv_offset clocks[2]; /* of the files that have it: the least and the most */
};

/* Of two tellings of what changes in time, the one inside the time in common holds, and of these the later. */
struct adv_when {
	enum { WHEN_NEVER, WHEN_OUTSIDE, WHEN_INSIDE } rank;
	int64_t wall_ns;
};

#define BOX_UNTOLD (-1) /* the recording is of a kind that does not tell */

/* Readings of one recording and one after the other that tell the same of a device, some of it in the time in common. */
struct adv_stay {
	int64_t from_ns, to_ns; /* wall clock of the first and the last of them */
	const char *path;	/* of the recording: one of adv_side.files, by its address */
	int64_t since_ns;	/* of the first of all lines that follow each other without a gap */
	char *vm_id;		/* NULL: in no VM, or nobody knows in which, or not there at all */
	uint64_t vm_start;
	int box;     /* as in adv_dev, or BOX_UNTOLD */
	bool mute;   /* the recording never tells of a VM, so that it tells of no absence either */
	bool moment; /* the recording is one reading, which tells of no time */
	bool event;  /* what the kernel told between readings, of the box alone */
};

/* One device of one side. */
struct adv_dev {
	char bdf[16];
	char *name;
	char *vm_id; /* NULL: in no VM */
	uint64_t vm_start;
	struct adv_when owned, boxed; /* when vm_id and box were told */
	enum tri blocks;	      /* the IOMMU in front can block */
	bool blocks_differ;	      /* two recordings contradict each other in that */
	enum tri can;		      /* TRI_YES if any recording says so, whatever others say */
	char *proof; /* who and when, of a "cannot"; beside TRI_YES: they contradict each other */
	int64_t vendor, device; /* numbers; -1: not told */
	const char *kind;	/* as the rule has it; NULL: unknown */
	bool renamed;		/* two recordings tell different names or numbers */
	enum tri alone, backdoor;
	int box;       /* that the kernel reported for what it is attached to; 0: none */
	bool enforced; /* it was 1 or 2 at some time */
	bool was_box3; /* or 3 */
	struct adv_stay *stays;
	size_t nr_stays;
	size_t first_stay;			 /* of the recording at hand */
	bool owner_told;			 /* in some line of that, at any time */
	unsigned int set, clear, asleep, unread; /* readings of the bit */
	bool else_unread; /* in a reading that is no line of watch it could not be read, or the function slept */
	bool was_set; /* it was set at a time that no line tells: asleep, or before it was blocked */
	unsigned int blocked, unblocked; /* readings of VFIO's state */
	unsigned int lines;		 /* of nosnoop's recordings that have it */
	unsigned int watch_lines;	 /* of these, of nosnoop watch */
	unsigned int line;		 /* the last of adv_side.lines that has it */
	bool distrusted; /* the kernel reported it as able although VFIO blocked the bit */
	bool let_go; /* between lines the bit was set, it changed, or VFIO was told not to block */
	bool unheard,
		untold; /* operations of VFIO on the bit: some may have been; some were, and are not told */
	uint64_t ops,
		blocking_ops; /* in the recording at hand: counted, and told of as blocking it */
	enum coverage coverage, coverage_here; /* the best of a recording; of the one at hand */
	bool no_socket;			       /* some recording counts, but not at its socket */
	bool all_sockets;	/* its own is not known, so that those of all were counted */
	uint64_t requests;	/* the most that a recording has */
	uint64_t requests_here; /* in the one at hand */
};

struct adv_file {
	const char *path;
	bool is_watch; /* nosnoop/1, else wbinvdtop/1 */
	bool is_list;  /* what nosnoop list saw at some moments, and no time in between */
	int64_t first_ns, last_ns;
	unsigned long lines;
	uint64_t missed_ns;	/* in the time in common nobody watched for so long */
	uint64_t unbroken_ns;	/* that watch lasts without a gap; 0: it has one, or but one line */
	int64_t from_ns, to_ns; /* wall clock of that */
};

/* How the wall clock of a recording and CLOCK_MONOTONIC went on. */
struct adv_clock {
	bool begun;
	uint64_t first_ns, offset_ns; /* the latter modulo 2^64 */
	int64_t step_ns;	      /* the first step; 0: none */
	uint64_t step_at_ns;	      /* CLOCK_MONOTONIC */
};

/* The recording of nosnoop watch at hand. */
struct adv_track {
	bool gap;
	struct adv_clock clock;
	unsigned int lines;
	int64_t from_ns; /* where the first begins */
	int64_t wall_ns; /* of the line before */
	uint64_t time_ns;
	uint64_t covered_ns;
	uint64_t missed_ns; /* in the time in common */
};

/* What the kernel told between two readings. */
struct adv_event {
	char bdf[16];
	const char *path;
	int64_t wall_ns;
	int box;		    /* 1-4: the box that it came to; 0: an operation on the bit: */
	uint64_t op, before, after; /* DMALOG_OP_*, Device Control before and after it */
};

/* All recordings of one side. */
struct adv_side {
	const char *name; /* "baseline", "candidate" */
	struct adv_file *files;
	size_t nr_files;
	struct adv_vm *vms;
	size_t nr_vms;
	struct adv_dev *devs;
	size_t nr_devs;
	struct adv_event *events; /* of devices that other recordings may tell of first */
	size_t nr_events;
	size_t next_dev; /* the one behind the last that was told: lines have them in one order */
	int64_t from_ns, to_ns;	  /* time in common */
	unsigned int cpus;	  /* the fewest that any line tells; 0: no recording tells */
	unsigned int lines;	  /* of nosnoop's recordings that were taken */
	unsigned int watch_lines; /* of these, of nosnoop watch */
	struct adv_track track;
	int64_t here_first_ns, here_last_ns; /* readings of the recording at hand; 0: none */
	int64_t here_since_ns;		     /* its first line, or the one behind its last gap */
	const char *path;		     /* of the file at hand */
	struct adv_offset clocks;	     /* the same */
	/* Two files that have one VM and are yet of different times.  vm: NULL where there are none. */
	struct adv_clash {
		const char *vm;
		const char *paths[2];
		int64_t apart_ns;
	} clash;
	bool gap; /* some recording of watch has one; all of them lie between: */
	int64_t gap_from_ns, gap_to_ns;
	uint64_t
		unbroken_ns; /* the longest that one lasts without a gap, and covers all of those */
	bool events_lost;
	char *kernel;
	bool kernels_differ;
};

/* A workload under two policies. */
struct adv_ab {
	char bdf[16];
	char *workload;
	char *unit;
	char *policies[2];
	size_t blocks;
	char *kernel, *kind; /* of the host that it was measured on; NULL: not told */
	bool has_interval;   /* needs two blocks */
	double mean, lo, hi; /* gain in per cent; better is positive */
	const char *path;
};

/*
 * Reads all files of a side.  min_overlap_ns: what they must have in common.
 * 0 or a negative errno after a sentence.
 */
int side_read(struct adv_side *s, const char *const *paths, size_t n, uint64_t min_overlap_ns);
void side_free(struct adv_side *s);
struct adv_dev *side_find_dev(const struct adv_side *s, const char *bdf);

/* Whether it is the VM of that id (NULL: none is) and start. */
bool vm_is(const struct adv_vm *vm, const char *id, uint64_t start);
struct adv_vm *side_find_vm(const struct adv_side *s, const char *id, uint64_t start);

/* One line of a nosnoop recording; for fuzzing. 0, -EBADMSG with *error set, -ENOMEM. */
int side_watch_line(struct adv_side *s, const char *text, size_t len, char **error);

/*
 * A file, for reading; what is none, and might never end or begin, is refused unopened.
 * what: "the recording".  0, or after a sentence -EACCES where it may not be read, else -EINVAL.
 */
int advise_open(FILE **f, const char *what, const char *path);

int ab_read(struct adv_ab *ab, const char *path);
int ab_parse(struct adv_ab *ab, const char *text, size_t len, char **error);
void ab_free(struct adv_ab *ab);

/* Gain and its 95 % interval of n blocks. has_interval is false for n below 2. */
void ab_interval(const double *gains, size_t n, struct adv_ab *ab);

#define ADVICE_RAISE_MAX (RULE_NR_INPUTS + 1)

struct advice {
	const struct adv_dev *dev;		/* of the candidate where there is one */
	const struct adv_vm *vm;		/* whose cost counts; NULL: none */
	const struct adv_vm *base_vm, *cand_vm; /* of either side; NULL: none */
	const struct adv_ab *ab;
	struct rule_case c;
	struct rule_result r;
	char *notes;			     /* sentences, each with its newline; NULL: none */
	const char *raise[ADVICE_RAISE_MAX]; /* what would raise the confidence */
	size_t nr_raise;
};

struct advice_config {
	double threshold[RULE_NR_THRESHOLDS];
	unsigned int cpus; /* 0: not given */
	const char *bdf;   /* only this one; NULL: all */
};

/* Online CPUs of the host while one side was recorded. */
struct advice_cpus {
	unsigned int n;
	bool assumed;
};

struct advice_list {
	struct advice *a;
	size_t n;
	const struct adv_side *base, *cand; /* cand: NULL without one */
	struct adv_dev *joined[2]; /* of the devices of base and of cand, what both sides tell */
	const struct advice_config *cfg;
	struct advice_cpus cpus, cand_cpus;
};

/* 0 or a negative errno after a sentence. */
int advice_make(struct advice_list *l, const struct adv_side *base, const struct adv_side *cand,
		const struct adv_ab *abs, size_t nr_abs, const struct advice_config *cfg);
void advice_free(struct advice_list *l);

/* Of the side that the VM is of. */
const struct advice_cpus *advice_cpus(const struct advice_list *l, const struct adv_vm *vm);

/* F, T of a VM in per cent of the host's CPU time; false: not known. */
bool advice_share(const struct advice_list *l, const struct adv_vm *vm, bool stall, double *pct);

/* text with each "BDF" replaced by the device's address, malloc()ed; NULL: no memory. */
char *advice_for(const struct advice *a, const char *text);

/* "5 %, 95 % interval 4 to 6 %" */
void advice_gain(FILE *f, const struct adv_ab *ab);

void advice_text(FILE *f, const struct advice_list *l);
/* NULL: no memory, or a number that JSON has no form for. */
json_t *advice_json(const struct advice_list *l);
void advice_html(FILE *f, const struct advice_list *l);

#endif /* ADVISE_H */

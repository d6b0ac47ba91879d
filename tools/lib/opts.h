/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The options that every monitoring tool has, as one argp child, and the
 * sentences that refuse what cannot be meant.  A tool names opts_argp as its
 * first child, hands it its struct opts from ARGP_KEY_INIT and calls
 * opts_parse().
 */
#ifndef OPTS_H
#define OPTS_H

#include <argp.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define OPTS_INTERVAL_MIN     100000000ULL	/* ns: 0.1 s */
#define OPTS_INTERVAL_MAX     86400000000000ULL /* ns: one day */
#define OPTS_INTERVAL_DEFAULT 1000000000ULL

enum opts_format { OPTS_TEXT, OPTS_JSON, OPTS_CSV };

/* Strings belong to argv. */
struct opts {
	bool batch; /* -b, or implied by a format */
	enum opts_format format;
	uint64_t interval_ns; /* -d */
	bool interval_set;    /* -d was given */
	uint64_t frames;      /* -n; 0: until stopped */
	const char *fields;   /* -o, unchecked; NULL: the default columns */
	bool list_fields;
	const char *sort; /* -s, unchecked; NULL: the default */
	pid_t *pids;	  /* -p */
	size_t nr_pids;
	const char **names; /* -g */
	size_t nr_names;
	const char *record; /* --record; NULL: none */
	bool verbose;
};

/* Keys of a tool's own options without a short form start here. */
#define OPTS_KEY_TOOL 0x200

extern const struct argp opts_argp;

/*
 * Parses argv, options in any order.  input is what the tool's parser gets, o
 * what its ARGP_KEY_INIT hands to opts_argp.  0; 1 when --help or --version
 * has been answered on stdout and nothing is left to do; -EINVAL after one
 * sentence on stderr; -ENOMEM.  opts_free(o) is due in every case.
 */
int opts_parse(const struct argp *argp, int argc, char **argv, void *input, struct opts *o);
void opts_free(struct opts *o);

/* What an argp parser returns after it has said what was wrong. */
#define OPTS_REFUSED EDOM

/*
 * Refuses the value of an option in one sentence and returns OPTS_REFUSED:
 * opts_bad("-n", "12abc", "a number from 1 to 9").
 */
int opts_bad(const char *option, const char *value, const char *expected);

#endif /* OPTS_H */

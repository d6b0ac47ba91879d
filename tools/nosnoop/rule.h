/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The rule of docs/rule.md: from inputs that may be unknown to a verdict.
 * Pure; the rows are the page's own table.
 */
#ifndef RULE_H
#define RULE_H

#include <stdbool.h>
#include <stddef.h>

enum rule_input {
#define RULE_INPUT(name, values, meaning, from) RULE_##name,
#include "rule_table.h"
	RULE_NR_INPUTS
};

enum rule_threshold {
#define RULE_THRESHOLD(name, option, value, unit, meaning) RULE_T_##name,
#include "rule_table.h"
	RULE_NR_THRESHOLDS
};

enum rule_origin { RULE_UNKNOWN, RULE_ASSUMED, RULE_MEASURED };

/* A word ("can", "yes") or a number; neither while origin is RULE_UNKNOWN. */
struct rule_value {
	enum rule_origin origin;
	const char *word; /* NULL: it is a number */
	double number;
	const char *source; /* where it was read, or why it is unknown; NULL: nothing to say */
};

struct rule_case {
	struct rule_value in[RULE_NR_INPUTS];
	double threshold[RULE_NR_THRESHOLDS]; /* in the unit of the page */
};

enum rule_confidence { RULE_LOW, RULE_MEDIUM, RULE_HIGH };

struct rule_result {
	size_t line; /* of the table, from 0 */
	const char *row;
	const char *when;
	const char *verdict;
	const char *meaning;
	const char *apply;
	bool uses[RULE_NR_INPUTS]; /* inputs that the line lists */
	/* Conditions of the line before that failed, where that is of the same row; "". */
	char missed[256];
	enum rule_confidence confidence;
};

const char *rule_input_name(enum rule_input i);
const char *rule_input_unit(enum rule_input i); /* its values, or the unit of a number */
const char *rule_input_from(enum rule_input i);
const char *rule_threshold_name(enum rule_threshold t);
const char *rule_threshold_option(enum rule_threshold t);
const char *rule_threshold_unit(enum rule_threshold t);
const char *rule_confidence_name(enum rule_confidence c);
const char *rule_origin_name(enum rule_origin o);

/* As an input of that kind is compared and printed. */
double rule_round(enum rule_input i, double v);

/* All inputs unknown, thresholds by default. */
void rule_case_init(struct rule_case *c);
void rule_set_word(struct rule_case *c, enum rule_input i, const char *word,
		   enum rule_origin origin, const char *source);
void rule_set_number(struct rule_case *c, enum rule_input i, double v, enum rule_origin origin,
		     const char *source);

/* f + t + m in per cent; false: one of them is unknown. */
bool rule_cost(const struct rule_case *c, double *cost);

/* The first line that matches.  0, or -EINVAL where the table itself is wrong. */
int rule_apply(const struct rule_case *c, struct rule_result *r);

/* Whether the i-th line's conditions hold; -EINVAL behind the last line, or a bad condition. */
int rule_line_holds(const struct rule_case *c, size_t i);

#endif /* RULE_H */

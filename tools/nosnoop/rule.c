// SPDX-License-Identifier: GPL-2.0
#include "rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *row, *when, *verdict, *inputs;
} lines[] = {
#define RULE_ROW(row, when, verdict, inputs) { row, when, verdict, inputs },
#include "rule_table.h"
};

static const struct {
	const char *name, *values, *meaning, *from;
} inputs[] = {
#define RULE_INPUT(name, values, meaning, from) { #name, values, meaning, from },
#include "rule_table.h"
};

static const struct {
	const char *name, *option;
	double value;
	const char *unit;
} thresholds[] = {
#define RULE_THRESHOLD(name, option, value, unit, meaning) { #name, option, value, unit },
#include "rule_table.h"
};

static const struct {
	const char *verdict, *meaning, *apply;
} verdicts[] = {
#define RULE_VERDICT(verdict, meaning, apply) { verdict, meaning, apply },
#include "rule_table.h"
};

static const struct {
	const char *verdict, *when, *apply;
} otherwise[] = {
#define RULE_OTHERWISE(verdict, when, apply) { verdict, when, apply },
#include "rule_table.h"
};

#define NR(array) (sizeof(array) / sizeof((array)[0]))

/* The longest condition, "f+t+m <= max_cost", many times over. */
#define COND_MAX 512

const char *rule_input_name(enum rule_input i)
{
	return inputs[i].name;
}

const char *rule_input_unit(enum rule_input i)
{
	return inputs[i].values;
}

const char *rule_input_from(enum rule_input i)
{
	return inputs[i].from;
}

const char *rule_threshold_name(enum rule_threshold t)
{
	return thresholds[t].name;
}

const char *rule_threshold_option(enum rule_threshold t)
{
	return thresholds[t].option;
}

const char *rule_threshold_unit(enum rule_threshold t)
{
	return thresholds[t].unit;
}

const char *rule_confidence_name(enum rule_confidence c)
{
	static const char *const names[] = { "low", "medium", "high" };

	return names[c];
}

const char *rule_origin_name(enum rule_origin o)
{
	static const char *const names[] = { "unknown", "assumed", "measured" };

	return names[o];
}

/* Those of JSON, and of what is measured in per cent. */
#define DIGITS	       10
#define DIGITS_PERCENT 6

static double rounded(double v, int digits)
{
	char buf[64];

	snprintf(buf, sizeof(buf), "%.*g", digits, v);
	return strtod(buf, NULL);
}

double rule_round(enum rule_input i, double v)
{
	return rounded(v, strcmp(inputs[i].values, "%") ? DIGITS : DIGITS_PERCENT);
}

void rule_case_init(struct rule_case *c)
{
	memset(c, 0, sizeof(*c));
	for (size_t t = 0; t < NR(thresholds); t++)
		c->threshold[t] = thresholds[t].value;
}

void rule_set_word(struct rule_case *c, enum rule_input i, const char *word,
		   enum rule_origin origin, const char *source)
{
	c->in[i] = (struct rule_value){ .origin = origin, .word = word, .source = source };
}

void rule_set_number(struct rule_case *c, enum rule_input i, double v, enum rule_origin origin,
		     const char *source)
{
	c->in[i] = (struct rule_value){ .origin = origin,
					.number = rule_round(i, v),
					.source = source };
}

static int find_input(const char *name)
{
	for (size_t i = 0; i < NR(inputs); i++)
		if (!strcmp(inputs[i].name, name))
			return i;
	return -EINVAL;
}

static int find_threshold(const char *name)
{
	for (size_t t = 0; t < NR(thresholds); t++)
		if (!strcmp(thresholds[t].name, name))
			return t;
	return -EINVAL;
}

/* 1: known, and in *v; 0: a part is unknown. */
static int sum_of(const struct rule_case *c, char *expr, double *v)
{
	char *part, *save = NULL;
	int i = -EINVAL;

	*v = 0;
	for (part = strtok_r(expr, "+", &save); part; part = strtok_r(NULL, "+", &save)) {
		i = find_input(part);
		if (i < 0)
			return i;
		if (c->in[i].origin == RULE_UNKNOWN || c->in[i].word)
			return 0;
		*v += c->in[i].number;
	}
	if (i < 0)
		return i;
	*v = rule_round(i, *v);
	return 1;
}

static int compare_number(const struct rule_case *c, char *expr, const char *op, const char *limit)
{
	int t = find_threshold(limit), known;
	double v, than;

	if (t < 0)
		return t;
	known = sum_of(c, expr, &v);
	if (known <= 0)
		return known;
	than = rounded(c->threshold[t], DIGITS);
	if (!strcmp(op, ">"))
		return v > than;
	if (!strcmp(op, "<="))
		return v <= than;
	return -EINVAL;
}

static int compare_word(const struct rule_case *c, const char *name, char *words)
{
	char *word, *save = NULL;
	int i = find_input(name);

	if (i < 0)
		return i;
	for (word = strtok_r(words, "/", &save); word; word = strtok_r(NULL, "/", &save)) {
		if (c->in[i].origin == RULE_UNKNOWN ? !strcmp(word, "unknown") :
						      c->in[i].word && !strcmp(word, c->in[i].word))
			return 1;
	}
	return 0;
}

static int holds(const struct rule_case *c, char *cond)
{
	char *save = NULL, *left = strtok_r(cond, " ", &save), *op = strtok_r(NULL, " ", &save),
	     *right = strtok_r(NULL, " ", &save);

	if (left && !op && !strcmp(left, "always"))
		return 1;
	if (!right)
		return -EINVAL;
	return strcmp(op, "=") ? compare_number(c, left, op, right) : compare_word(c, left, right);
}

static int all_hold(const struct rule_case *c, const char *when)
{
	char buf[COND_MAX], *cond, *save = NULL;
	int ret = 1;

	if (snprintf(buf, sizeof(buf), "%s", when) >= (int)sizeof(buf))
		return -EINVAL;
	for (cond = strtok_r(buf, ",", &save); ret > 0 && cond; cond = strtok_r(NULL, ",", &save))
		ret = holds(c, cond);
	return ret;
}

int rule_line_holds(const struct rule_case *c, size_t i)
{
	return i < NR(lines) ? all_hold(c, lines[i].when) : -EINVAL;
}

bool rule_cost(const struct rule_case *c, double *cost)
{
	char expr[] = "f+t+m";

	return sum_of(c, expr, cost) > 0;
}

static int note_inputs(const struct rule_case *c, struct rule_result *r, const char *list)
{
	char buf[COND_MAX], *name, *save = NULL;
	unsigned int lacking = 0;

	snprintf(buf, sizeof(buf), "%s", list);
	for (name = strtok_r(buf, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
		int i = find_input(name);

		if (i < 0)
			return i;
		r->uses[i] = true;
		lacking += c->in[i].origin != RULE_MEASURED;
	}
	r->confidence = lacking > 1 ? RULE_LOW : lacking ? RULE_MEDIUM : RULE_HIGH;
	return 0;
}

/* What would have had to hold for the bolder verdict of the same row. */
static void note_missed(const struct rule_case *c, struct rule_result *r, size_t i)
{
	char buf[COND_MAX], *cond, *save = NULL, copy[COND_MAX];
	size_t used = 0;

	if (!i || strcmp(lines[i - 1].row, lines[i].row))
		return;
	snprintf(buf, sizeof(buf), "%s", lines[i - 1].when);
	for (cond = strtok_r(buf, ",", &save); cond; cond = strtok_r(NULL, ",", &save)) {
		snprintf(copy, sizeof(copy), "%s", cond);
		if (holds(c, copy) > 0 || used >= sizeof(r->missed))
			continue;
		used += snprintf(r->missed + used, sizeof(r->missed) - used, "%s%s",
				 used ? ", " : "", cond + strspn(cond, " "));
	}
}

static int note_otherwise(const struct rule_case *c, struct rule_result *r)
{
	for (size_t i = 0; i < NR(otherwise); i++) {
		int ret = strcmp(otherwise[i].verdict, r->verdict) ? 0 :
								     all_hold(c, otherwise[i].when);

		if (ret < 0)
			return ret;
		if (!ret)
			continue;
		r->apply = otherwise[i].apply;
		break;
	}
	return 0;
}

int rule_apply(const struct rule_case *c, struct rule_result *r)
{
	memset(r, 0, sizeof(*r));
	for (size_t i = 0; i < NR(lines); i++) {
		int ret = rule_line_holds(c, i);

		if (ret < 0)
			return ret;
		if (!ret)
			continue;
		r->line = i;
		r->row = lines[i].row;
		r->when = lines[i].when;
		r->verdict = lines[i].verdict;
		note_missed(c, r, i);
		for (size_t v = 0; v < NR(verdicts); v++) {
			if (strcmp(verdicts[v].verdict, r->verdict))
				continue;
			r->meaning = verdicts[v].meaning;
			r->apply = verdicts[v].apply;
		}
		ret = note_otherwise(c, r);
		if (ret)
			return ret;
		return r->meaning ? note_inputs(c, r, lines[i].inputs) : -EINVAL;
	}
	return -EINVAL;
}

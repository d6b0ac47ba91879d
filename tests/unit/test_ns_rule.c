// SPDX-License-Identifier: GPL-2.0
/* The rule, row by row and on each side of each threshold, by fixtures worked out by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../tools/nosnoop/advise.h"
#include "../../tools/nosnoop/rule.h"

/* "ability=can f=0.4 t?=0.1": measured, or with '?' assumed; what is not named is unknown. */
static struct rule_case parse(const char *text)
{
	static char buf[16][256];
	static unsigned int turn;
	char *copy = buf[turn++ % 16], *word, *save = NULL;
	struct rule_case c;

	rule_case_init(&c);
	snprintf(copy, sizeof(buf[0]), "%s", text);
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		enum rule_origin origin = RULE_MEASURED;
		char *value = strchr(word, '='), *end;
		unsigned int i;
		double v;

		assert_non_null(value);
		*value++ = '\0';
		if (word[strlen(word) - 1] == '?') {
			word[strlen(word) - 1] = '\0';
			origin = RULE_ASSUMED;
		}
		for (i = 0; i < RULE_NR_INPUTS; i++)
			if (!strcmp(rule_input_name(i), word))
				break;
		if (i == RULE_NR_INPUTS)
			fail_msg("there is no input %s", word);
		v = strtod(value, &end);
		if (*end)
			rule_set_word(&c, i, value, origin, NULL);
		else
			rule_set_number(&c, i, v, origin, NULL);
	}
	return c;
}

struct fixture {
	const char *inputs;
	const char *row, *verdict;
	enum rule_confidence confidence;
};

static void check(const struct fixture *f)
{
	struct rule_case c = parse(f->inputs);
	struct rule_result r;

	assert_int_equal(rule_apply(&c, &r), 0);
	if (strcmp(r.row, f->row) || strcmp(r.verdict, f->verdict) || r.confidence != f->confidence)
		fail_msg("%s: %s %s %s, not %s %s %s", f->inputs, r.row, r.verdict,
			 rule_confidence_name(r.confidence), f->row, f->verdict,
			 rule_confidence_name(f->confidence));
	assert_non_null(r.meaning);
	assert_non_null(r.apply);
}

static void test_rows(void **state)
{
	static const struct fixture t[] = {
		/* R1: proven unable; its VM pays for nothing, or does not. */
		{ "ability=cannot kind=other iommu=cannot only_unable=yes f=0.3 t=0.1", "R1",
		  "kernel-waste", RULE_HIGH },
		{ "ability=cannot kind=other iommu=cannot only_unable=yes", "R1", "kernel-waste",
		  RULE_LOW },
		{ "ability=cannot iommu=cannot only_unable=no f=0.3 t=0.1", "R1", "costs-nothing",
		  RULE_HIGH },
		{ "ability=cannot", "R1", "costs-nothing", RULE_MEDIUM },
		/* R2: not known, and no bit could prove it. */
		{ "kind=vf iommu=cannot", "R2", "never-4", RULE_MEDIUM },
		{ "kind=integrated", "R2", "never-4", RULE_MEDIUM },
		{ "kind=display iommu=blocks gain_lo=5 f=0 t=0 m=0", "R2", "never-4", RULE_MEDIUM },
		{ "kind=listed bit_seen_set=yes coverage=none", "R2", "never-4", RULE_MEDIUM },
		/* R3: blocked, nothing measured, whatever it can do. */
		{ "ability=can kind=other iommu=blocks", "R3", "keep-1-unmeasured", RULE_MEDIUM },
		{ "kind=other iommu=blocks f=0 t=0 m=0", "R3", "keep-1-unmeasured", RULE_MEDIUM },
		{ "ability=can kind=display iommu=blocks", "R3", "keep-1-unmeasured", RULE_MEDIUM },
		/* R4: pays, or does not. */
		{ "ability=can kind=other iommu=blocks gain_lo=5 f=0.3 t=0.2 m=0.1", "R4",
		  "1-to-3-pays", RULE_HIGH },
		{ "ability=can kind=display iommu=blocks gain_lo=5 f?=0.3 t=0.2 m=0.1", "R4",
		  "1-to-3-pays", RULE_MEDIUM },
		{ "iommu=blocks kind=other gain_lo=-2 f=0.3 t=0.2 m=0.1", "R4", "keep-1",
		  RULE_HIGH },
		{ "iommu=blocks kind=other gain_lo=5 f=0.6 t=0.3 m=0.2", "R4", "keep-1",
		  RULE_HIGH },
		/* One part of the cost is unknown: it is not small. */
		{ "iommu=blocks kind=other gain_lo=5 f=0.1 t=0.1", "R4", "keep-1", RULE_MEDIUM },
		{ "iommu=blocks kind=other gain_lo=5", "R4", "keep-1", RULE_LOW },
		/* R5: all of it, or not. */
		{ "ability=can kind=other iommu=cannot alone=yes block_held=yes backdoor=no", "R5",
		  "3-to-4-safe", RULE_HIGH },
		{ "ability=can kind=other iommu=cannot alone=no block_held=yes backdoor=no", "R5",
		  "3-to-4-unproven", RULE_HIGH },
		{ "ability=can kind=other iommu=cannot alone=yes block_held=no backdoor=no", "R5",
		  "3-to-4-unproven", RULE_HIGH },
		{ "ability=can kind=display iommu=cannot alone=yes block_held=yes backdoor=yes",
		  "R5", "3-to-4-unproven", RULE_HIGH },
		{ "ability=can kind=other iommu=cannot block_held=yes backdoor=no", "R5",
		  "3-to-4-unproven", RULE_MEDIUM },
		{ "ability=can kind=other iommu=cannot bit_seen_set=yes coverage=none", "R5",
		  "3-to-4-unproven", RULE_LOW },
		/* R6: the rest. */
		{ "ability=can kind=other bit_seen_set=yes coverage=none", "R6", "3-needed",
		  RULE_LOW },
		{ "ability=can kind=other bit_seen_set=yes", "R6", "3-needed", RULE_LOW },
		{ "kind=other iommu=cannot bit_seen_set=yes coverage=partial h=0", "R6", "3-needed",
		  RULE_HIGH },
		{ "ability=can kind=other bit_seen_set=yes coverage=full h=12", "R6", "3-needed",
		  RULE_MEDIUM },
		{ "ability=can kind=other bit_seen_set=yes coverage=full h=0", "R6", "not-shown",
		  RULE_MEDIUM },
		{ "kind=other iommu=cannot coverage=full h=0 bit_seen_set=yes", "R6", "not-shown",
		  RULE_HIGH },
		{ "kind=other iommu=cannot bit_seen_set=no coverage=none", "R6", "not-shown",
		  RULE_MEDIUM },
		{ "kind=other iommu=cannot coverage=full h=12", "R6", "not-shown", RULE_MEDIUM },
		{ "", "R2", "never-4", RULE_LOW },
		{ "iommu=blocks gain_lo=5 f=0 t=0 m=0", "R2", "never-4", RULE_LOW },
		{ "kind=other", "R6", "not-shown", RULE_LOW },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		check(&t[i]);
}

/* On each side of each threshold, and on it: nothing but the named row's verdict changes. */
static void test_thresholds(void **state)
{
	static const struct fixture t[] = {
		{ "iommu=blocks kind=other gain_lo=1.0001 f=0.5 t=0.25 m=0.25", "R4", "1-to-3-pays",
		  RULE_HIGH },
		{ "iommu=blocks kind=other gain_lo=1 f=0.5 t=0.25 m=0.25", "R4", "keep-1",
		  RULE_HIGH },
		{ "iommu=blocks kind=other gain_lo=0.9999 f=0.5 t=0.25 m=0.25", "R4", "keep-1",
		  RULE_HIGH },
		{ "iommu=blocks kind=other gain_lo=2 f=0.5 t=0.25 m=0.2499", "R4", "1-to-3-pays",
		  RULE_HIGH },
		{ "iommu=blocks kind=other gain_lo=2 f=0.5 t=0.25 m=0.25", "R4", "1-to-3-pays",
		  RULE_HIGH },
		{ "iommu=blocks kind=other gain_lo=2 f=0.5 t=0.25 m=0.2501", "R4", "keep-1",
		  RULE_HIGH },
		/* What is printed the same is the same. */
		{ "iommu=blocks kind=other gain_lo=1.0000000000000009 f=0 t=0 m=0", "R4", "keep-1",
		  RULE_HIGH },
		{ "iommu=blocks kind=other gain_lo=1.00001 f=0 t=0 m=0", "R4", "1-to-3-pays",
		  RULE_HIGH },
		{ "iommu=blocks kind=other gain_lo=2 f=0.7 t=0.2 m=0.1", "R4", "1-to-3-pays",
		  RULE_HIGH },
		{ "iommu=blocks kind=other gain_lo=2 f=0.7475 t=0.195 m=0.0575", "R4",
		  "1-to-3-pays", RULE_HIGH },
		{ "ability=can kind=other bit_seen_set=yes coverage=full h=0", "R6", "not-shown",
		  RULE_MEDIUM },
		{ "ability=can kind=other bit_seen_set=yes coverage=full h=1", "R6", "3-needed",
		  RULE_MEDIUM },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		check(&t[i]);
}

/* Thresholds are the caller's. */
static void test_other_thresholds(void **state)
{
	struct rule_case c = parse("iommu=blocks kind=other gain_lo=2 f=0.5 t=0.25 m=0.25");
	struct rule_result r;

	(void)state;
	assert_true(c.threshold[RULE_T_min_gain] == 1);
	assert_true(c.threshold[RULE_T_max_cost] == 1);
	assert_true(c.threshold[RULE_T_h_above] == 0);
	assert_true(c.threshold[RULE_T_min_overlap] == 60);
	c.threshold[RULE_T_min_gain] = 2;
	assert_int_equal(rule_apply(&c, &r), 0);
	assert_string_equal(r.verdict, "keep-1");
	c.threshold[RULE_T_min_gain] = 1.9;
	assert_int_equal(rule_apply(&c, &r), 0);
	assert_string_equal(r.verdict, "1-to-3-pays");
	c.threshold[RULE_T_max_cost] = 0.9;
	assert_int_equal(rule_apply(&c, &r), 0);
	assert_string_equal(r.verdict, "keep-1");
}

/* Taking any one input away never makes a verdict bolder. */
static void test_unknown_is_never_bold(void **state)
{
	static const char *const bold[] = {
		"ability=cannot kind=other iommu=cannot only_unable=yes f=0.3 t=0.1",
		"ability=can kind=other iommu=blocks gain_lo=5 f=0.3 t=0.2 m=0.1",
		"ability=can kind=other iommu=cannot alone=yes block_held=yes backdoor=no bit_seen_set=yes coverage=none",
		"kind=vf iommu=blocks gain_lo=5 f=0 t=0 m=0 alone=yes block_held=yes backdoor=no",
		"kind=other iommu=cannot alone=yes block_held=yes backdoor=no bit_seen_set=yes coverage=full h=0",
	};
	struct rule_result before, after;

	(void)state;
	for (size_t i = 0; i < sizeof(bold) / sizeof(bold[0]); i++) {
		struct rule_case c = parse(bold[i]);

		assert_int_equal(rule_apply(&c, &before), 0);
		for (unsigned int in = 0; in < RULE_NR_INPUTS; in++) {
			struct rule_case less = c;

			less.in[in] = (struct rule_value){ 0 };
			assert_int_equal(rule_apply(&less, &after), 0);
			if (!strcmp(after.verdict, "3-to-4-safe") ||
			    !strcmp(after.verdict, "1-to-3-pays") ||
			    !strcmp(after.verdict, "kernel-waste"))
				assert_string_equal(after.verdict, before.verdict);
		}
	}
}

/* What is to be done next is not what is there already. */
static void test_applied(void **state)
{
	static const struct {
		const char *inputs, *wanted;
	} t[] = {
		{ "", "with BLOCK set" },
		{ "alone=yes backdoor=no", "with BLOCK set" },
		{ "alone=yes backdoor=yes block_held=yes", "a back door" },
		{ "alone=no backdoor=no block_held=yes", "a group of its own" },
		{ "alone=yes backdoor=no block_held=no", "what set the bit" },
		{ "backdoor=no block_held=yes", "nosnoop list --json" },
	};
	struct rule_case c;
	struct rule_result r;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		c = parse(t[i].inputs);
		rule_set_word(&c, RULE_iommu, "cannot", RULE_MEASURED, NULL);
		rule_set_word(&c, RULE_ability, "can", RULE_MEASURED, NULL);
		assert_int_equal(rule_apply(&c, &r), 0);
		assert_string_equal(r.verdict, "3-to-4-unproven");
		if (!strstr(r.apply, t[i].wanted))
			fail_msg("%s: %s", t[i].inputs, r.apply);
	}
	c = parse("kind=other bit_seen_set=no");
	assert_int_equal(rule_apply(&c, &r), 0);
	assert_non_null(strstr(r.apply, "--probe"));
	c = parse("ability=can bit_seen_set=yes coverage=full h=0");
	assert_int_equal(rule_apply(&c, &r), 0);
	assert_non_null(strstr(r.apply, "/sys/class/iommu"));
}

/* Every condition, input list and verdict of the page can be understood. */
static void test_table(void **state)
{
	struct rule_case c;
	size_t i;

	(void)state;
	rule_case_init(&c);
	for (i = 0; i < 11; i++)
		assert_true(rule_line_holds(&c, i) >= 0);
	assert_true(rule_line_holds(&c, i) < 0);
}

/* A number that JSON has no form for is an error: what is left of the list would look like all of it. */
static void test_json_whole(void **state)
{
	static const char line[] =
		"{\"schema\":\"nosnoop/1\",\"time\":\"2025-01-01T00:00:00.000000000Z\",\"interval_ns\":0,"
		"\"kernel\":\"6.12.0\",\"functions\":[{\"bdf\":\"0000:01:00.0\",\"kind\":\"endpoint\","
		"\"name\":null,\"listed\":false,\"backdoor\":false,\"snoop_control\":null,\"group_size\":1,"
		"\"ability\":null,\"no_snoop\":\"disabled\",\"suspended\":false,"
		"\"vm\":{\"id\":null,\"name\":null,\"start\":null}}]}";
	struct adv_side s = { .name = "baseline", .from_ns = INT64_MIN, .to_ns = INT64_MAX };
	struct advice_config cfg = { 0 };
	struct advice_list l;
	char *error = NULL;
	json_t *whole;

	(void)state;
	assert_int_equal(side_watch_line(&s, line, strlen(line), &error), 0);
	assert_int_equal(advice_make(&l, &s, NULL, NULL, 0, &cfg), 0);
	whole = advice_json(&l);
	assert_int_equal(json_array_size(json_object_get(whole, "devices")), 1);
	json_decref(whole);
	rule_set_number(&l.a[0].c, RULE_h, INFINITY, RULE_MEASURED, "a test");
	assert_null(advice_json(&l));
	rule_set_number(&l.a[0].c, RULE_h, 0, RULE_MEASURED, "a test");
	cfg.threshold[0] = INFINITY;
	assert_null(advice_json(&l));
	advice_free(&l);
	side_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_thresholds),
		cmocka_unit_test(test_other_thresholds),
		cmocka_unit_test(test_unknown_is_never_bold),
		cmocka_unit_test(test_applied),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_json_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

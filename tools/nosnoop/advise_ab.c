// SPDX-License-Identifier: GPL-2.0
/* The file of policy-ab: one workload under two policies. */
#include "advise.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/jread.h"
#include "../lib/log.h"
#include "../lib/num.h"

#define FILE_MAX_BYTES (32u << 20)
#define BLOCK	       4 /* A B B A */
#define BLOCKS_MAX     100000
#define SCORES_APART \
	"the scores of runs[%zu] to runs[%zu] are too large or too far apart to compare"

/* 0.975 quantiles of Student's t for 1 to 30 degrees of freedom; beyond, that of 30: wider, not narrower. */
static double t_quantile(size_t df)
{
	static const double t[] = { 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
				    2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
				    2.110,  2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
				    2.060,  2.056, 2.052, 2.048, 2.045, 2.042 };

	return t[(df < 30 ? df : 30) - 1];
}

void ab_interval(const double *gains, size_t n, struct adv_ab *ab)
{
	double sum = 0, squares = 0, half;

	for (size_t i = 0; i < n; i++)
		sum += gains[i];
	ab->blocks = n;
	ab->mean = n ? sum / n : 0;
	ab->lo = ab->hi = ab->mean;
	ab->has_interval = n > 1;
	if (n < 2)
		return;
	for (size_t i = 0; i < n; i++)
		squares += (gains[i] - ab->mean) * (gains[i] - ab->mean);
	half = t_quantile(n - 1) * sqrt(squares / (n - 1) / n);
	ab->lo = ab->mean - half;
	ab->hi = ab->mean + half;
}

static int read_score(struct jread *j, const json_t *run, size_t nr, char *policy, double *score)
{
	const json_t *v = json_object_get(run, "score");
	const char *p = json_string_value(json_object_get(run, "policy"));

	if (!p || (strcmp(p, "a") && strcmp(p, "b")))
		return jread_bad(j, "runs[%zu].policy is neither \"a\" nor \"b\"", nr);
	if (!json_is_number(v) || !isfinite(json_number_value(v)) || json_number_value(v) <= 0)
		return jread_bad(j, "runs[%zu].score is not a number above 0", nr);
	*policy = *p;
	*score = json_number_value(v);
	return 0;
}

/* Gain in per cent of one A B B A; what is better counts as positive. */
static int read_block(struct jread *j, const json_t *runs, size_t first, bool higher, double *gain)
{
	static const char order[] = "abba";
	double sum[2] = { 0, 0 }, score = 0;
	char policy = 0;

	for (size_t i = 0; i < BLOCK; i++) {
		int err =
			read_score(j, json_array_get(runs, first + i), first + i, &policy, &score);

		if (err)
			return err;
		if (policy != order[i])
			return jread_bad(j, "runs[%zu] is out of the order A B B A", first + i);
		sum[policy == 'b'] += score;
	}
	*gain = 100 * (sum[1] - sum[0]) / sum[0] * (higher ? 1 : -1);
	if (!isfinite(sum[0]) || !isfinite(sum[1]) || !isfinite(*gain))
		return jread_bad(j, SCORES_APART, first, first + BLOCK - 1);
	return 0;
}

static int read_runs(struct jread *j, const json_t *root, struct adv_ab *ab)
{
	bool higher = false;
	json_t *runs;
	double *gains;
	size_t n;
	int err = jread_bool(j, root, "higher_is_better", &higher);

	if (!err)
		err = jread_array(j, root, "runs", &runs);
	if (err)
		return err;
	n = json_array_size(runs);
	if (!n || n % BLOCK || n / BLOCK > BLOCKS_MAX)
		return jread_bad(j, "runs has %zu elements, not a multiple of 4 (A B B A)", n);
	n /= BLOCK;
	gains = calloc(n, sizeof(*gains));
	if (!gains)
		return -ENOMEM;
	for (size_t i = 0; !err && i < n; i++)
		err = read_block(j, runs, i * BLOCK, higher, &gains[i]);
	if (!err) {
		ab_interval(gains, n, ab);
		if (!isfinite(ab->mean) || !isfinite(ab->lo) || !isfinite(ab->hi))
			err = jread_bad(j, SCORES_APART, (size_t)0, n * BLOCK - 1);
		ab->mean = rule_round(RULE_gain_lo, ab->mean);
		ab->lo = rule_round(RULE_gain_lo, ab->lo);
		ab->hi = rule_round(RULE_gain_lo, ab->hi);
	}
	free(gains);
	return err;
}

/* The rule asks one question: what allowing no-snoop gains over keeping it blocked. */
static int check_policies(struct jread *j, const struct adv_ab *ab)
{
	const char *a = ab->policies[0], *b = ab->policies[1];

	if (!strcmp(a, "enforced") && !strcmp(b, "noncoherent"))
		return 0;
	if (!strcmp(a, "noncoherent") && !strcmp(b, "enforced"))
		return jread_bad(
			j,
			"policy_a is noncoherent and policy_b enforced, which is the gain of blocking: measure again with scripts/bench/policy-ab -a enforced -b noncoherent");
	return jread_bad(
		j,
		"policy_a and policy_b are not enforced and noncoherent, which the rule compares: measure again with scripts/bench/policy-ab -a enforced -b noncoherent");
}

/* Files written by hand may have none. */
static int read_host(struct jread *j, const json_t *root, struct adv_ab *ab)
{
	char **const to[] = { &ab->kernel, &ab->kind };
	static const char *const keys[] = { "kernel", "kind" };
	json_t *host;
	int err = 0;

	if (!json_object_get(root, "host"))
		return 0;
	err = jread_obj(j, root, "host", &host);
	jread_at(j, "host.");
	for (size_t i = 0; !err && i < 2; i++)
		if (json_object_get(host, keys[i]))
			err = jread_str_null(j, host, keys[i], to[i]);
	jread_at(j, "%s", "");
	return err;
}

static int read_ab(struct jread *j, const json_t *root, struct adv_ab *ab)
{
	char *schema = NULL, *bdf = NULL;
	int err = jread_str(j, root, "schema", &schema);

	if (!err && strcmp(schema, AB_SCHEMA))
		err = jread_bad(j, "schema is \"%s\", not \"%s\"", schema, AB_SCHEMA);
	free(schema);
	if (!err)
		err = jread_str(j, root, "bdf", &bdf);
	if (!err && num_bdf(bdf, ab->bdf, sizeof(ab->bdf)))
		err = jread_bad(j, "bdf is no PCI address");
	free(bdf);
	if (!err)
		err = jread_str(j, root, "workload", &ab->workload);
	if (!err)
		err = jread_str(j, root, "unit", &ab->unit);
	if (!err)
		err = jread_str(j, root, "policy_a", &ab->policies[0]);
	if (!err)
		err = jread_str(j, root, "policy_b", &ab->policies[1]);
	if (!err)
		err = check_policies(j, ab);
	if (!err)
		err = read_host(j, root, ab);
	return err ? err : read_runs(j, root, ab);
}

int ab_parse(struct adv_ab *ab, const char *text, size_t len, char **error)
{
	struct jread j = { 0 };
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	int err;

	if (!json_is_object(root))
		err = jread_bad(&j, "not a JSON object");
	else
		err = read_ab(&j, root, ab);
	json_decref(root);
	*error = j.error;
	return err;
}

void ab_free(struct adv_ab *ab)
{
	free(ab->workload);
	free(ab->unit);
	free(ab->kernel);
	free(ab->kind);
	free(ab->policies[0]);
	free(ab->policies[1]);
	memset(ab, 0, sizeof(*ab));
}

int ab_read(struct adv_ab *ab, const char *path)
{
	char *text = NULL, *error = NULL;
	size_t len = 0;
	FILE *f;
	int err;

	memset(ab, 0, sizeof(*ab));
	ab->path = path;
	err = advise_open(&f, "the file of policy-ab", path);
	if (err)
		return err;
	text = malloc(FILE_MAX_BYTES + 1);
	if (text)
		len = fread(text, 1, FILE_MAX_BYTES + 1, f);
	if (!text)
		err = -ENOMEM;
	else if (ferror(f) || len > FILE_MAX_BYTES)
		err = -EINVAL;
	fclose(f);
	if (!err)
		err = ab_parse(ab, text, len, &error);
	if (err)
		log_err("%s: %s", path, error ? error : "it cannot be read as a file of policy-ab");
	free(error);
	free(text);
	return err;
}

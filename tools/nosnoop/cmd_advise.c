// SPDX-License-Identifier: GPL-2.0
/* nosnoop advise: the verdict of the rule for each device of some recordings. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/log.h"
#include "../lib/num.h"
#include "../lib/opts.h"
#include "../lib/stream.h"
#include "advise.h"
#include "fields.h"
#include "nosnoop.h"

struct paths {
	const char **p;
	size_t n;
};

struct advise_config {
	struct paths base, cand, ab;
	struct advice_config a;
	const char *html;
	char bdf[16];
	bool json;
};

enum {
	KEY_BASELINE = OPTS_KEY_TOOL,
	KEY_CANDIDATE,
	KEY_AB,
	KEY_CPUS,
	KEY_JSON,
	KEY_HTML,
	KEY_THRESHOLD
};

static const struct argp_option options[] = {
	{ 0, 0, 0, 0, "Input (each of the first three may be repeated):", 1 },
	{ "baseline", KEY_BASELINE, "REC", 0,
	  "Recording of wbinvdtop or nosnoop watch, or output of nosnoop list --json, under the present policy",
	  1 },
	{ "candidate", KEY_CANDIDATE, "REC", 0, "The same under the policy that is considered", 1 },
	{ "ab", KEY_AB, "FILE", 0, "What scripts/bench/policy-ab measured", 1 },
	{ "device", 'D', "BDF", 0, "Only this PCI function", 1 },
	{ "cpus", KEY_CPUS, "N", 0, "Online CPUs of the recorded host, where no recording tells",
	  1 },
	{ 0, 0, 0, 0, "Thresholds of the rule:", 2 },
	{ "min-gain", KEY_THRESHOLD + RULE_T_min_gain, "PERCENT", 0, "Least gain that is one (1)",
	  2 },
	{ "max-cost", KEY_THRESHOLD + RULE_T_max_cost, "PERCENT", 0,
	  "Most that F + T + M may be, of the host's CPU time (1)", 2 },
	{ "min-requests", KEY_THRESHOLD + RULE_T_h_above, "N", 0,
	  "More counted requests than this are no-snoop traffic (0)", 2 },
	{ "min-overlap", KEY_THRESHOLD + RULE_T_min_overlap, "SECONDS", 0,
	  "Least time that recordings have in common (60)", 2 },
	{ 0, 0, 0, 0, "Output:", 3 },
	{ "json", KEY_JSON, 0, 0, "One JSON object", 3 },
	{ "html", KEY_HTML, "FILE", 0, "Write one page with plots to FILE, beside the text or JSON",
	  3 },
	{ 0, 0, 0, 0, "General:", -1 },
	{ "help", 'h', 0, 0, "Show this help and exit", -1 },
	{ "version", 'V', 0, 0, "Show the version and exit", -1 },
	{ 0 }
};

static int add_path(struct paths *l, const char *option, const char *arg)
{
	const char **grown;

	if (!*arg)
		return opts_bad(option, arg, "a file name");
	grown = reallocarray(l->p, l->n + 1, sizeof(*grown));
	if (!grown)
		return ENOMEM;
	l->p = grown;
	grown[l->n++] = arg;
	return 0;
}

#define OVERLAP_MAX_S 1000000000 /* 31 years; in ns it is far within 64 bits */

/* Digits with an optional fraction; "inf", signs and exponents are nobody's threshold. */
static int set_threshold(struct advise_config *c, int t, const char *arg)
{
	char *end;
	double v = strtod(arg, &end);

	if (!*arg || strspn(arg, "0123456789.") != strlen(arg) || *end || v > 1e15)
		return opts_bad(rule_threshold_option(t), arg, "a number of 0 or more");
	if (t == RULE_T_min_overlap && v > OVERLAP_MAX_S)
		return opts_bad(rule_threshold_option(t), arg,
				"a number of seconds from 0 to 1000000000");
	c->a.threshold[t] = v;
	return 0;
}

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct advise_config *c = state->input;
	uint64_t n;

	if (key >= KEY_THRESHOLD && key < KEY_THRESHOLD + RULE_NR_THRESHOLDS)
		return set_threshold(c, key - KEY_THRESHOLD, arg);
	switch (key) {
	case KEY_BASELINE:
		return add_path(&c->base, "--baseline", arg);
	case KEY_CANDIDATE:
		return add_path(&c->cand, "--candidate", arg);
	case KEY_AB:
		return add_path(&c->ab, "--ab", arg);
	case 'D':
		if (num_bdf(arg, c->bdf, sizeof(c->bdf)))
			return opts_bad("-D", arg, "a PCI address as 0000:01:00.0");
		c->a.bdf = c->bdf;
		return 0;
	case KEY_CPUS:
		if (num_u64(arg, 1, 1 << 20, &n))
			return opts_bad("--cpus", arg, "a number from 1 to 1048576");
		c->a.cpus = n;
		return 0;
	case KEY_JSON:
		c->json = true;
		return 0;
	case KEY_HTML:
		if (!*arg)
			return opts_bad("--html", arg, "a file name");
		c->html = arg;
		return 0;
	case 'h':
		argp_help(state->root_argp, stdout,
			  ARGP_HELP_LONG | ARGP_HELP_SHORT_USAGE | ARGP_HELP_DOC, state->name);
		return ECANCELED;
	case 'V':
		printf("nosnoop %s\n", VERSION);
		return ECANCELED;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* An input that is written over is lost before anybody has read the page. */
static int check_html(const struct advise_config *c)
{
	const struct paths *all[] = { &c->base, &c->cand, &c->ab };
	struct stat page, in;

	if (!c->html || stat(c->html, &page))
		return 0;
	for (size_t k = 0; k < 3; k++)
		for (size_t i = 0; i < all[k]->n; i++)
			if (!stat(all[k]->p[i], &in) && in.st_dev == page.st_dev &&
			    in.st_ino == page.st_ino) {
				log_err("option --html: %s is %s, which would be lost: give another file",
					c->html, all[k]->p[i]);
				return -EINVAL;
			}
	return 0;
}

static int write_html(const char *path, const struct advice_list *l)
{
	FILE *f = fopen(path, "we");
	int err = 0;

	if (!f) {
		log_err("%s cannot be written: %s", path, strerror(errno));
		return -EIO;
	}
	errno = 0;
	advice_html(f, l);
	if (ferror(f) | fclose(f)) {
		err = errno ? -errno : -EIO;
		log_err("%s cannot be written: %s", path, strerror(-err));
		return -EIO;
	}
	return err;
}

static int show(const struct advise_config *c, const struct advice_list *l)
{
	FILE *f = stream_open(STDOUT_FILENO);
	int err = 0;

	if (!f)
		return -ENOMEM;
	if (c->json)
		err = frame_write(f, advice_json(l));
	else
		advice_text(f, l);
	errno = 0;
	if ((ferror(f) | fclose(f)) && !err)
		err = errno ? -errno : -EIO;
	if (err == -EPIPE)
		return 0;
	if (err)
		log_err("standard output cannot be written: %s", strerror(-err));
	return err;
}

static int run(const struct advise_config *c)
{
	struct adv_side base = { .name = "baseline" }, cand = { .name = "candidate" };
	uint64_t overlap = c->a.threshold[RULE_T_min_overlap] * 1e9;
	struct adv_ab *abs = calloc(c->ab.n ? c->ab.n : 1, sizeof(*abs));
	struct advice_list l = { 0 };
	size_t nr_abs = 0;
	int err = abs ? side_read(&base, c->base.p, c->base.n, overlap) : -ENOMEM;

	if (!err && c->cand.n)
		err = side_read(&cand, c->cand.p, c->cand.n, overlap);
	for (; !err && nr_abs < c->ab.n; nr_abs++)
		err = ab_read(&abs[nr_abs], c->ab.p[nr_abs]);
	if (!err)
		err = advice_make(&l, &base, c->cand.n ? &cand : NULL, abs, nr_abs, &c->a);
	if (!err && c->html)
		err = write_html(c->html, &l);
	if (!err)
		err = show(c, &l);
	if (err == -ENOMEM)
		log_err("out of memory");
	advice_free(&l);
	for (size_t i = 0; abs && i < nr_abs; i++)
		ab_free(&abs[i]);
	free(abs);
	side_free(&base);
	side_free(&cand);
	return err;
}

int cmd_advise(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse_opt,
		.doc = "The policy that follows for each device from recordings, with the numbers behind it." EXIT_TEXT,
	};
	struct advise_config c = { 0 };
	struct opts unused = { 0 };
	struct rule_case defaults;
	int err;

	rule_case_init(&defaults);
	memcpy(c.a.threshold, defaults.threshold, sizeof(c.a.threshold));
	err = opts_parse(&argp, argc, argv, &c, &unused);
	opts_free(&unused);
	if (!err && !c.base.n) {
		log_err("--baseline is missing: a recording made with wbinvdtop --record or nosnoop watch --record");
		err = -EINVAL;
	} else if (!err) {
		err = check_html(&c);
		if (!err)
			err = run(&c);
	}
	free(c.base.p);
	free(c.cand.p);
	free(c.ab.p);
	return err > 0 ? 0 : err;
}

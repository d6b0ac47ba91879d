// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "num.h"
#include "opts.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

enum {
	KEY_JSON = 0x100,
	KEY_CSV,
	KEY_LIST_FIELDS,
	KEY_RECORD,
	KEY_VERBOSE,
};

static const struct argp_option options[] = {
	{ 0, 0, 0, 0, "Output:", 1 },
	{ "batch", 'b', 0, 0, "Text to standard output instead of the screen", 1 },
	{ "interval", 'd', "SECONDS", 0, "Time between two frames, 0.1 to 86400 (1)", 1 },
	{ "frames", 'n', "N", 0, "End after N frames", 1 },
	{ "fields", 'o', "FIELD,...", 0, "Columns to show, in this order", 1 },
	{ "list-fields", KEY_LIST_FIELDS, 0, 0, "List the fields that -o and -s know", 1 },
	{ "sort", 's', "FIELD", 0, "Sort by this field: numbers largest first, text from A to Z",
	  1 },
	{ "json", KEY_JSON, 0, 0, "JSON, one line per frame; implies -b", 1 },
	{ "csv", KEY_CSV, 0, 0, "CSV, one line per row and frame; implies -b", 1 },
	{ "record", KEY_RECORD, "FILE", 0, "Write every reading to FILE, for --replay", 1 },
	{ 0, 0, 0, 0, "Selection (each may be repeated):", 2 },
	{ "pid", 'p', "PID", 0, "Only what belongs to this process", 2 },
	{ "name", 'g', "NAME", 0, "Only names that contain NAME, case ignored", 2 },
	{ 0, 0, 0, 0, "General:", -1 },
	{ "verbose", KEY_VERBOSE, 0, 0, "Say more on standard error", -1 },
	{ "help", 'h', 0, 0, "Show this help and exit", -1 },
	{ "version", 'V', 0, 0, "Show the version and exit", -1 },
	{ 0 }
};

int opts_bad(const char *option, const char *value, const char *expected)
{
	log_err("option %s: '%s' is not %s", option, value, expected);
	return OPTS_REFUSED;
}

static int set_format(struct opts *o, enum opts_format format)
{
	if (o->format != OPTS_TEXT && o->format != format) {
		log_err("--json and --csv exclude each other; give one of them");
		return OPTS_REFUSED;
	}
	o->format = format;
	o->batch = true;
	return 0;
}

static int add_pid(struct opts *o, const char *arg)
{
	uint64_t pid;
	pid_t *p;

	/* The kernel's PID_MAX_LIMIT. */
	if (num_u64(arg, 1, 4 * 1024 * 1024, &pid))
		return opts_bad("-p", arg, "a process id from 1 to 4194304");
	p = reallocarray(o->pids, o->nr_pids + 1, sizeof(*p));
	if (!p)
		return ENOMEM;
	o->pids = p;
	p[o->nr_pids++] = pid;
	return 0;
}

static int add_name(struct opts *o, const char *arg)
{
	const char **p;

	if (!*arg)
		return opts_bad("-g", arg, "a name or a part of one");
	p = reallocarray(o->names, o->nr_names + 1, sizeof(*p));
	if (!p)
		return ENOMEM;
	o->names = p;
	p[o->nr_names++] = arg;
	return 0;
}

static int set_text(const char **to, const char *option, const char *arg, const char *expected)
{
	if (!*arg)
		return opts_bad(option, arg, expected);
	*to = arg;
	return 0;
}

static int answer(struct argp_state *state, int key)
{
	if (key == 'V')
		printf("%s %s\n", state->name, VERSION);
	else /* argp_state_help() is silent under ARGP_NO_ERRS. */
		argp_help(state->root_argp, stdout,
			  ARGP_HELP_LONG | ARGP_HELP_SHORT_USAGE | ARGP_HELP_DOC, state->name);
	return ECANCELED;
}

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct opts *o = state->input;

	switch (key) {
	case 'b':
		o->batch = true;
		return 0;
	case 'd':
		if (num_seconds(arg, OPTS_INTERVAL_MIN, OPTS_INTERVAL_MAX, &o->interval_ns))
			return opts_bad("-d", arg, "a number of seconds from 0.1 to 86400");
		o->interval_set = true;
		return 0;
	case 'n':
		if (num_u64(arg, 1, UINT32_MAX, &o->frames))
			return opts_bad("-n", arg, "a number of frames from 1 to 4294967295");
		return 0;
	case 'o':
		return set_text(&o->fields, "-o", arg, "a list of fields (see --list-fields)");
	case 's':
		return set_text(&o->sort, "-s", arg, "a field (see --list-fields)");
	case 'p':
		return add_pid(o, arg);
	case 'g':
		return add_name(o, arg);
	case KEY_JSON:
		return set_format(o, OPTS_JSON);
	case KEY_CSV:
		return set_format(o, OPTS_CSV);
	case KEY_LIST_FIELDS:
		o->list_fields = true;
		return 0;
	case KEY_RECORD:
		return set_text(&o->record, "--record", arg, "a file name");
	case KEY_VERBOSE:
		o->verbose = true;
		return 0;
	case 'h':
	case 'V':
		return answer(state, key);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp opts_argp = { .options = options, .parser = parse_opt };

struct long_list {
	struct option *longs;
	size_t nr;
	/* getopt's string; a leading ':' tells a missing value from an unknown option. */
	char *shorts;
	size_t nr_shorts;
};

static int flatten(struct long_list *l, const struct argp *argp)
{
	const struct argp_option *a;

	for (a = argp->options; a && (a->name || a->key || a->doc); a++) {
		struct option *longs = reallocarray(l->longs, l->nr + 2, sizeof(*longs));
		char *shorts = realloc(l->shorts, l->nr_shorts + 4);

		if (longs)
			l->longs = longs;
		if (shorts)
			l->shorts = shorts;
		if (!longs || !shorts)
			return -ENOMEM;
		if (a->name)
			longs[l->nr++] =
				(struct option){ a->name, a->arg ? required_argument : no_argument,
						 NULL, a->key };
		longs[l->nr] = (struct option){ 0 };
		if (!l->nr_shorts)
			shorts[l->nr_shorts++] = ':';
		if (isascii(a->key) && isprint(a->key)) {
			shorts[l->nr_shorts++] = a->key;
			if (a->arg)
				shorts[l->nr_shorts++] = ':';
		}
		shorts[l->nr_shorts] = '\0';
	}
	return 0;
}

static void say_bad_option(char **argv, int c, int index)
{
	const char *word = argv[index];
	const char *problem;
	int len;

	if (c == ':')
		problem = "needs a value";
	else if (optopt && !strncmp(word, "--", 2))
		problem = "takes no value";
	else
		problem = "is unknown";
	if (strncmp(word, "--", 2))
		log_err("option -%c %s; --help lists the options", optopt, problem);
	else {
		len = strcspn(word, "=");
		log_err("option %.*s %s; --help lists the options", len, word, problem);
	}
}

/*
 * argp only says that an option was bad, or prints two lines of its own.  The
 * same words through getopt tell which one it was.
 */
static void explain(const struct argp *argp, int argc, char **argv)
{
	const struct argp_child *child;
	struct long_list l = { 0 };
	int c, at, err;

	err = flatten(&l, argp);
	for (child = argp->children; !err && child && child->argp; child++)
		err = flatten(&l, child->argp);
	if (err || !l.longs) {
		log_err("an option is unknown; --help lists the options");
		goto out;
	}
	opterr = 0;
	optind = 0;
	do {
		at = optind ? optind : 1;
		c = getopt_long(argc, argv, l.shorts, l.longs, NULL);
	} while (c != -1 && c != '?' && c != ':');
	if (c != -1)
		say_bad_option(argv, c, optind > at ? optind - 1 : at);
	else
		log_err("an option is unknown; --help lists the options");
out:
	free(l.longs);
	free(l.shorts);
}

int opts_parse(const struct argp *argp, int argc, char **argv, void *input, struct opts *o)
{
	int err, rest = argc;

	o->interval_ns = OPTS_INTERVAL_DEFAULT;
	err = argp_parse(argp, argc, argv, ARGP_NO_ERRS | ARGP_NO_EXIT | ARGP_NO_HELP, &rest,
			 input);
	switch (err) {
	case 0:
		break;
	case ECANCELED:
		return 1;
	case ENOMEM:
		return -ENOMEM;
	case OPTS_REFUSED:
		return -EINVAL;
	default:
		explain(argp, argc, argv);
		return -EINVAL;
	}
	if (rest < argc) {
		log_err("'%s' is one argument too many; only options are expected", argv[rest]);
		return -EINVAL;
	}
	if (o->list_fields && argc > 2) {
		log_err("--list-fields goes without other options");
		return -EINVAL;
	}
	return 0;
}

void opts_free(struct opts *o)
{
	free(o->pids);
	free(o->names);
	o->pids = NULL;
	o->names = NULL;
	o->nr_pids = 0;
	o->nr_names = 0;
}

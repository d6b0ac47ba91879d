// SPDX-License-Identifier: GPL-2.0
/* nosnoop list: every PCI function and what is known of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/log.h"
#include "../lib/opts.h"
#include "../lib/stream.h"
#include "fields.h"
#include "nosnoop.h"
#include "probe.h"
#include "quirks.h"

struct list_config {
	struct filter filter;
	enum opts_format format;
	const char *fields; /* NULL: the default columns */
	const char *sysroot;
	bool list_fields, list_quirks, probe, verbose;
};

enum {
	KEY_DRIVER = OPTS_KEY_TOOL,
	KEY_ASSIGNED,
	KEY_PROBE,
	KEY_QUIRKS,
	KEY_SYSROOT,
	KEY_JSON,
	KEY_CSV,
	KEY_LIST_FIELDS,
	KEY_VERBOSE
};

static const struct argp_option options[] = {
	{ 0, 0, 0, 0, "Selection (each may be repeated):", 1 },
	{ "device", 'D', "BDF", 0, "Only this PCI function", 1 },
	{ "driver", KEY_DRIVER, "NAME", 0, "Only what is bound to this driver; none: to nothing",
	  1 },
	{ "pid", 'p', "PID", 0, "Only what this process holds through VFIO", 1 },
	{ "name", 'g', "NAME", 0, "Only what a VM holds whose name contains NAME", 1 },
	{ "assigned", KEY_ASSIGNED, 0, 0, "Only what some process holds through VFIO", 1 },
	{ 0, 0, 0, 0, "Probe:", 2 },
	{ "probe", KEY_PROBE, 0, 0,
	  "Find out, by a write, whether a cleared bit is hardwired (needs -D; idle functions only)",
	  2 },
	{ 0, 0, 0, 0, "Output:", 3 },
	{ "fields", 'o', "FIELD,...", 0, "Columns to show, in this order", 3 },
	{ "list-fields", KEY_LIST_FIELDS, 0, 0, "List the fields that -o knows", 3 },
	{ "json", KEY_JSON, 0, 0, "One JSON object", 3 },
	{ "csv", KEY_CSV, 0, 0, "CSV, one line per function", 3 },
	{ "quirks", KEY_QUIRKS, 0, 0, "Show the table of quirks and backdoors with its sources",
	  3 },
	{ "sysroot", KEY_SYSROOT, "DIR", 0, "Read DIR/sys and DIR/proc instead of this system's",
	  3 },
	{ 0, 0, 0, 0, "General:", -1 },
	{ "verbose", KEY_VERBOSE, 0, 0, "Say more on standard error", -1 },
	{ "help", 'h', 0, 0, "Show this help and exit", -1 },
	{ "version", 'V', 0, 0, "Show the version and exit", -1 },
	{ 0 }
};

static int set_format(struct list_config *c, enum opts_format format)
{
	if (c->format != OPTS_TEXT && c->format != format) {
		log_err("--json and --csv exclude each other; give one of them");
		return OPTS_REFUSED;
	}
	c->format = format;
	return 0;
}

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct list_config *c = state->input;

	switch (key) {
	case 'D':
		return filter_add_bdf(&c->filter, arg);
	case KEY_DRIVER:
		return filter_add_driver(&c->filter, arg);
	case 'p':
		return filter_add_pid(&c->filter, arg);
	case 'g':
		return filter_add_vm(&c->filter, arg);
	case KEY_ASSIGNED:
		c->filter.any_vm = true;
		return 0;
	case KEY_PROBE:
		c->probe = true;
		return 0;
	case 'o':
		if (!*arg)
			return opts_bad("-o", arg, "a list of fields (see --list-fields)");
		c->fields = arg;
		return 0;
	case KEY_LIST_FIELDS:
		c->list_fields = true;
		return 0;
	case KEY_JSON:
		return set_format(c, OPTS_JSON);
	case KEY_CSV:
		return set_format(c, OPTS_CSV);
	case KEY_QUIRKS:
		c->list_quirks = true;
		return 0;
	case KEY_SYSROOT:
		if (!*arg)
			return opts_bad("--sysroot", arg, "a directory");
		c->sysroot = arg;
		return 0;
	case KEY_VERBOSE:
		c->verbose = true;
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

static int check(const struct list_config *c)
{
	if (!c->probe)
		return 0;
	if (!c->filter.nr_bdfs) {
		log_err("--probe writes to a device: name it with -D");
		return -EINVAL;
	}
	if (c->sysroot) {
		log_err("--probe goes without --sysroot");
		return -EINVAL;
	}
	return 0;
}

static void show_quirks(FILE *f)
{
	const struct quirk *q;
	const char *whom, *before = "";

	for (size_t i = 0; (q = quirk_entry(i, &whom)); i++) {
		/* One sentence for the ranges of numbers of one family. */
		if (!strcmp(whom, before))
			continue;
		before = whom;
		fprintf(f, "%s (%s)\n    %s\n    source: %s\n", whom, quirk_kind_name(q->kind),
			q->what, q->source);
	}
}

/* Each reason once, with the number of functions that it concerns. */
static void show_reasons(FILE *f, const struct func_list *l, const struct filter *filter)
{
	const char *seen[64];
	size_t nr_seen = 0, i, k, count;

	for (i = 0; i < l->n; i++) {
		const char *why = l->rows[i].d.box_reason;

		if (l->rows[i].d.certain || !filter_passes(filter, &l->rows[i]))
			continue;
		for (k = 0; k < nr_seen && strcmp(seen[k], why); k++)
			;
		if (k < nr_seen || nr_seen == sizeof(seen) / sizeof(seen[0]))
			continue;
		seen[nr_seen++] = why;
		for (count = 0, k = i; k < l->n; k++)
			count += !l->rows[k].d.certain && filter_passes(filter, &l->rows[k]) &&
				 !strcmp(l->rows[k].d.box_reason, why);
		fprintf(f, "%sbox not certain, %zu function%s: %s\n", nr_seen == 1 ? "\n" : "",
			count, count == 1 ? "" : "s", why);
	}
}

static void show_rows(FILE *f, const struct list_config *c, const struct func_list *l,
		      const struct out_field *const *sel, size_t n)
{
	if (c->format == OPTS_CSV)
		out_csv_header(f, sel, n, true), fputc('\n', f);
	else
		out_table_header(f, sel, n);
	for (size_t i = 0; i < l->n; i++) {
		if (!filter_passes(&c->filter, &l->rows[i]))
			continue;
		if (c->format == OPTS_CSV)
			out_csv_row(f, sel, n, &l->rows[i], true), fputc('\n', f);
		else
			out_table_row(f, sel, n, &l->rows[i]);
	}
	if (c->format == OPTS_TEXT && !c->fields)
		show_reasons(f, l, &c->filter);
}

static int show_json(FILE *f, const struct list_config *c, const struct func_list *l,
		     const char *kernel, const struct out_field *const *sel, size_t n)
{
	json_t *obj = frame_head("list", kernel, moment_now(), 0), *array = json_array();

	if (!obj || json_object_set_new(obj, "functions", array)) {
		json_decref(obj);
		return -ENOMEM;
	}
	for (size_t i = 0; i < l->n; i++) {
		json_t *row;

		if (!filter_passes(&c->filter, &l->rows[i]))
			continue;
		row = c->fields ? out_json_row(sel, n, &l->rows[i]) : func_json(&l->rows[i]);
		if (!row || json_array_append_new(array, row)) {
			json_decref(obj);
			return -ENOMEM;
		}
	}
	return frame_write(f, obj);
}

static int show(const struct list_config *c, const struct func_list *l, const struct tree *t)
{
	const struct out_field **sel = NULL;
	size_t n = 0;
	FILE *f;
	int err;

	err = c->format == OPTS_CSV && !c->fields ? out_select_all(func_fields, &sel, &n) :
						    out_select(func_fields, c->fields, &sel, &n);
	if (err)
		return err;
	f = stream_open(STDOUT_FILENO);
	if (!f) {
		free(sel);
		return -ENOMEM;
	}
	if (c->format == OPTS_JSON)
		err = show_json(f, c, l, *t->kernel ? t->kernel : NULL, sel, n);
	else
		show_rows(f, c, l, sel, n);
	errno = 0;
	if ((ferror(f) || fclose(f)) && !err)
		err = errno ? -errno : -EIO;
	free(sel);
	if (err == -EPIPE)
		err = 0;
	if (err)
		log_err("standard output cannot be written: %s", strerror(-err));
	return err;
}

static int check_fields(const char *spec)
{
	const struct out_field **sel = NULL;
	size_t n;
	int err = out_select(func_fields, spec, &sel, &n);

	free(sel);
	return err;
}

static int run(const struct list_config *c)
{
	struct func_list l = { 0 };
	struct tree t;
	size_t probed = 0;
	int refused = 0;
	int err = c->fields ? check_fields(c->fields) : 0;

	if (err)
		return err;
	err = tree_open(&t, c->sysroot);
	if (!err) {
		err = func_list_read(t.scan, t.procfs, false, &l);
		if (err)
			log_err("the PCI functions cannot be listed: %s", strerror(-err));
	}
	if (!err && !l.n)
		log_warn("there are no PCI functions here");
	if (!err && l.vanished && c->verbose)
		log_warn("%u functions vanished while they were looked at", l.vanished);
	if (!err)
		err = filter_check(&c->filter, &l);
	if (!err && c->probe)
		refused = probe_functions(t.scan, &c->filter, &l, &probed);
	/* What was found out about others is not lost. */
	if (refused && !probed)
		err = refused;
	if (!err && l.blind)
		log_warn(
			"not all processes could be looked at, so the VM of a function may be missing; that needs root");
	if (!err)
		err = show(c, &l, &t);
	func_list_free(&l);
	tree_close(&t);
	return err ? err : refused;
}

int cmd_list(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse_opt,
		.doc = "Every PCI function: what can block no-snoop, whether it can make any." EXIT_TEXT,
	};
	struct list_config c = { 0 };
	struct opts unused = { 0 };
	int err;

	err = opts_parse(&argp, argc, argv, &c, &unused);
	opts_free(&unused);
	if (err > 0)
		err = 0;
	else if (!err && c.list_fields)
		out_list_fields(stdout, func_fields);
	else if (!err && c.list_quirks)
		show_quirks(stdout);
	else if (!err)
		err = check(&c) ? -EINVAL : run(&c);
	filter_free(&c.filter);
	return err;
}

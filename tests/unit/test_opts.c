// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../tools/lib/log.h"
#include "../../tools/lib/opts.h"

struct tool {
	struct opts o;
	const char *colour;
	char *words; /* what the strings in o point into */
};

static error_t parse_tool(int key, char *arg, struct argp_state *state)
{
	struct tool *t = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &t->o;
		return 0;
	case OPTS_KEY_TOOL:
		if (strcmp(arg, "red"))
			return opts_bad("--colour", arg, "red");
		t->colour = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option tool_options[] = {
	{ "colour", OPTS_KEY_TOOL, "RED", 0, "A colour", 0 }, { 0 }
};

static const struct argp_child children[] = { { &opts_argp, 0, NULL, 0 }, { 0 } };
static const struct argp argp = { tool_options, parse_tool, NULL, "A tool.", children, NULL, NULL };

/* Parses one line of words; what came on stderr stands in said. */
static char said[4096];

static int parse(struct tool *t, const char *line)
{
	char *words = strdup(line), *argv[32], *save = NULL, *w;
	int argc = 0, err, saved;
	FILE *f = tmpfile();
	size_t len;

	argv[argc++] = (char *)"/usr/sbin/tool";
	for (w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = strcmp(w, "''") ? w : (char *)"";
	argv[argc] = NULL;
	memset(t, 0, sizeof(*t));
	fflush(stderr);
	saved = dup(2);
	dup2(fileno(f), 2);
	log_init(argv[0], false);
	err = opts_parse(&argp, argc, argv, t, &t->o);
	fflush(stderr);
	dup2(saved, 2);
	close(saved);
	rewind(f);
	len = fread(said, 1, sizeof(said) - 1, f);
	said[len] = '\0';
	fclose(f);
	t->words = words;
	return err;
}

static void done(struct tool *t)
{
	opts_free(&t->o);
	free(t->words);
}

static void test_defaults(void **state)
{
	struct tool t;

	(void)state;
	assert_int_equal(parse(&t, ""), 0);
	assert_string_equal(said, "");
	assert_false(t.o.batch);
	assert_int_equal(t.o.format, OPTS_TEXT);
	assert_int_equal(t.o.interval_ns, 1000000000);
	assert_false(t.o.interval_set);
	assert_int_equal(t.o.frames, 0);
	assert_null(t.o.fields);
	done(&t);
}

static void test_any_order(void **state)
{
	static const char longs[] =
		"--frames 3 --interval 0.25 --batch --fields=a,b --sort=c --pid=1 --pid 77 "
		"--name web --name=db --colour red --record f --verb";
	static const char *const lines[] = {
		"-bd 0.25 -n 3 -o a,b -s c -p 1 -p 77 -g web -g db --record f --colour red --verb",
		"--colour=red --verbose --record=f -gweb -g db -p1 -p77 -s c -o a,b -n3 -bd0.25",
		longs,
	};
	struct tool t;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(parse(&t, lines[i]), 0);
		assert_string_equal(said, "");
		assert_true(t.o.batch);
		assert_true(t.o.interval_set);
		assert_int_equal(t.o.interval_ns, 250000000);
		assert_int_equal(t.o.frames, 3);
		assert_string_equal(t.o.fields, "a,b");
		assert_string_equal(t.o.sort, "c");
		assert_int_equal(t.o.nr_pids, 2);
		assert_int_equal(t.o.pids[0], 1);
		assert_int_equal(t.o.pids[1], 77);
		assert_int_equal(t.o.nr_names, 2);
		assert_string_equal(t.o.names[0], "web");
		assert_string_equal(t.o.names[1], "db");
		assert_string_equal(t.o.record, "f");
		assert_string_equal(t.colour, "red");
		assert_true(t.o.verbose);
		done(&t);
	}
	assert_int_equal(parse(&t, "--json --json"), 0);
	assert_int_equal(t.o.format, OPTS_JSON);
	assert_true(t.o.batch);
	done(&t);
	assert_int_equal(parse(&t, "-d 5 -d 7"), 0);
	assert_int_equal(t.o.interval_ns, 7000000000);
	done(&t);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *line, *sentence;
	} cases[] = {
		{ "-d 12abc", "option -d: '12abc' is not a number of seconds from 0.1 to 86400" },
		{ "-d 0.09", "option -d: '0.09' is not a number of seconds from 0.1 to 86400" },
		{ "-d -1", "option -d: '-1' is not a number of seconds from 0.1 to 86400" },
		{ "-n 0", "option -n: '0' is not a number of frames from 1 to 4294967295" },
		{ "-n 4294967296",
		  "option -n: '4294967296' is not a number of frames from 1 to 4294967295" },
		{ "-n ''", "option -n: '' is not a number of frames from 1 to 4294967295" },
		{ "-p 0", "option -p: '0' is not a process id from 1 to 4194304" },
		{ "-g ''", "option -g: '' is not a name or a part of one" },
		{ "-o ''", "option -o: '' is not a list of fields (see --list-fields)" },
		{ "-s ''", "option -s: '' is not a field (see --list-fields)" },
		{ "--record=", "option --record: '' is not a file name" },
		{ "--colour blue", "option --colour: 'blue' is not red" },
		{ "--json --csv", "--json and --csv exclude each other; give one of them" },
		{ "--csv -b --json", "--json and --csv exclude each other; give one of them" },
		{ "--list-fields -b", "--list-fields goes without other options" },
		{ "-b extra", "'extra' is one argument too many; only options are expected" },
		{ "-- -b", "'-b' is one argument too many; only options are expected" },
		{ "--nope", "option --nope is unknown; --help lists the options" },
		{ "--nope=3 -b", "option --nope is unknown; --help lists the options" },
		{ "-b -x", "option -x is unknown; --help lists the options" },
		{ "-bxd 3", "option -x is unknown; --help lists the options" },
		{ "-n 3 -xb", "option -x is unknown; --help lists the options" },
		{ "-b -d", "option -d needs a value; --help lists the options" },
		{ "-bd", "option -d needs a value; --help lists the options" },
		{ "--interval", "option --interval needs a value; --help lists the options" },
		{ "--colour", "option --colour needs a value; --help lists the options" },
		{ "--json=yes", "option --json takes no value; --help lists the options" },
		{ "--re", NULL }, /* an abbreviation of one option: needs its value */
		{ "--ver", "option --ver is unknown; --help lists the options" },
	};
	struct tool t;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char want[256];

		assert_int_equal(parse(&t, cases[i].line), -EINVAL);
		done(&t);
		if (!cases[i].sentence)
			continue;
		snprintf(want, sizeof(want), "tool: %s\n", cases[i].sentence);
		assert_string_equal(said, want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

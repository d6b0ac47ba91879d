// SPDX-License-Identifier: GPL-2.0
/* nosnoop: what a device can do, what it does, what it costs, and the policy that follows. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../lib/exitcode.h"
#include "../lib/log.h"
#include "../lib/stream.h"
#include "nosnoop.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

static const struct command {
	const char *name;
	const char *help;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "list", "every PCI function: what can block no-snoop, whether it can make any",
	  cmd_list },
	{ "watch", "over time: the Enable No Snoop bit, and no-snoop requests where countable",
	  cmd_watch },
	{ "advise", "from recordings: the policy that follows, with the numbers behind it",
	  cmd_advise },
};

static void help(void)
{
	puts("Usage: nosnoop COMMAND [OPTION...]\n"
	     "What a PCI function can do with no-snoop, what it does, what that costs.\n\nCommands:");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		printf("  %-7s %s\n", commands[i].name, commands[i].help);
	puts("\n  -h, --help     Show this help and exit\n"
	     "  -V, --version  Show the version and exit\n\n"
	     "nosnoop COMMAND --help lists a command's options.\n\n"
	     "Exit status: 0 done; 1 failed while running; 2 bad option, argument or\n"
	     "recording; 3 missing privilege; 4 this kernel cannot.");
}

/* The help of a command shows how it is called. */
static int run_command(const struct command *c, int argc, char **argv)
{
	char name[32];

	snprintf(name, sizeof(name), "nosnoop %s", c->name);
	argv[0] = name;
	return c->run(argc, argv);
}

static int run(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;

	if (!word) {
		log_err("a command is missing: list, watch or advise; --help says more");
		return -EINVAL;
	}
	if (!strcmp(word, "-h") || !strcmp(word, "--help")) {
		help();
		return 0;
	}
	if (!strcmp(word, "-V") || !strcmp(word, "--version")) {
		printf("nosnoop %s\n", VERSION);
		return 0;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(word, commands[i].name))
			return run_command(&commands[i], argc - 1, argv + 1);
	log_err("'%s' is no command; there are list, watch and advise", word);
	return -EINVAL;
}

int main(int argc, char **argv)
{
	int err;

	/* A reader that went away shows as EPIPE. */
	signal(SIGPIPE, SIG_IGN);
	setlocale(LC_CTYPE, "");
	log_init(argv[0], false);
	err = stream_check_standard();
	if (!err)
		err = run(argc, argv);
	if (!err)
		err = stream_flush_standard();
	return exit_code_of(err);
}

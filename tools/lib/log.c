// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define LOG_KEPT 64

static const char *prefix = "";
static bool verbose;
static bool held;

/* A ring: the oldest message stands at kept[first]. */
static char *kept[LOG_KEPT];
static unsigned int first, nr_kept;
static unsigned long nr_dropped;

void log_init(const char *argv0, bool verb)
{
	const char *slash = argv0 ? strrchr(argv0, '/') : NULL;

	if (slash)
		prefix = slash + 1;
	else if (argv0)
		prefix = argv0;
	verbose = verb;
}

bool log_verbose(void)
{
	return verbose;
}

static void keep(const char *fmt, va_list ap)
{
	char *line;

	if (vasprintf(&line, fmt, ap) < 0) {
		nr_dropped++;
		return;
	}
	if (nr_kept == LOG_KEPT) {
		free(kept[first]);
		first = (first + 1) % LOG_KEPT;
		nr_kept--;
		nr_dropped++;
	}
	kept[(first + nr_kept++) % LOG_KEPT] = line;
}

static void emit(const char *fmt, va_list ap)
{
	if (held) {
		keep(fmt, ap);
		return;
	}
	flockfile(stderr);
	if (*prefix)
		fprintf(stderr, "%s: ", prefix);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	funlockfile(stderr);
}

/* An error written below a full screen would vanish with it, so it waits as well. */
void log_err(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(fmt, ap);
	va_end(ap);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(fmt, ap);
	va_end(ap);
}

void log_debug(const char *fmt, ...)
{
	va_list ap;

	if (!verbose)
		return;
	va_start(ap, fmt);
	emit(fmt, ap);
	va_end(ap);
}

void log_hold(void)
{
	/* Redirected to a file, stderr does not disturb the screen. */
	held = isatty(STDERR_FILENO);
}

void log_release(void)
{
	held = false;
	if (nr_dropped)
		log_warn("%lu older messages were dropped", nr_dropped);
	for (; nr_kept; nr_kept--) {
		log_warn("%s", kept[first]);
		free(kept[first]);
		kept[first] = NULL;
		first = (first + 1) % LOG_KEPT;
	}
	nr_dropped = 0;
}

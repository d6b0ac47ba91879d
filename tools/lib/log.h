/* SPDX-License-Identifier: GPL-2.0 */
/* Sentences for people, on stderr, prefixed with the program's name. */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdarg.h>

/* The prefix; argv0 is kept by pointer. */
void log_init(const char *argv0, bool verbose);

/*
 * One sentence without a trailing newline.  log_warn() and log_debug() are
 * held back while a full screen owns the terminal (log_hold()) and printed by
 * log_release(); at most the newest 64 are kept, older ones are counted.
 */
void log_err(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool log_verbose(void);
void log_hold(void);
void log_release(void);

#endif /* LOG_H */

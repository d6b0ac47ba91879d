/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One poll() for everything: the timer, signals (signalfd, so no handler runs
 * any code), and whatever else has a descriptor.
 */
#ifndef LOOP_H
#define LOOP_H

#include <stdint.h>

struct loop;

/*
 * What a callback returns: 0 goes on, LOOP_STOP ends loop_run() with 0, a
 * negative errno ends loop_run() with it.
 */
#define LOOP_STOP 1

struct loop_ops {
	/* The interval is over; once, however many intervals went by unattended. */
	int (*tick)(void *ctx);
	/* SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT or SIGWINCH came. */
	int (*signal)(void *ctx, int signo);
};

/* A descriptor is readable, or its other end is gone. */
typedef int (*loop_fd_cb)(void *ctx, int fd);

/*
 * Blocks the signals above and ignores SIGPIPE; call it before any thread is
 * started.  0 or a negative errno.
 */
int loop_new(struct loop **out, const struct loop_ops *ops, void *ctx);

/*
 * Signals stay as they are: one that comes late must not end the process on
 * its orderly way out.
 */
void loop_free(struct loop *l);

/* 0, -ENOMEM, or -EEXIST when fd is being watched. */
int loop_watch(struct loop *l, int fd, loop_fd_cb cb);
void loop_unwatch(struct loop *l, int fd);

#define LOOP_NEVER UINT64_MAX

/*
 * Ticks every ns nanoseconds, the first one that long from now; the grid does
 * not drift when ticks are handled late.  0: ticks as fast as they are
 * handled.  LOOP_NEVER: none.  0 or a negative errno.
 */
int loop_set_interval(struct loop *l, uint64_t ns);

/* Until a callback ends it.  0 or a negative errno. */
int loop_run(struct loop *l);

#endif /* LOOP_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* Standard output for a tool whose signals are blocked. */
#ifndef STREAM_H
#define STREAM_H

#include <stdio.h>

/* How long a reader that has stopped reading may hold up the end, in ms. */
#define STREAM_GRACE_MS 1000

/*
 * A fully buffered stream onto fd.  Where nobody reads a full pipe, a plain
 * write() would wait for ever, with SIGTERM blocked; this one gives up with
 * EINTR when SIGINT, SIGTERM, SIGHUP or SIGQUIT has been pending for
 * STREAM_GRACE_MS.  After an error every write fails with it.  fclose() leaves
 * fd open.  NULL: no memory.
 */
FILE *stream_open(int fd);

#endif /* STREAM_H */

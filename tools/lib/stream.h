/* SPDX-License-Identifier: GPL-2.0 */
/* The standard files of a tool, and standard output for one whose signals are blocked. */
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

/*
 * To be called before any file is opened: a descriptor below 3 that is closed would be given to the next
 * one, and what is meant for people would end there.  0, or -EBADF after a sentence: nobody could read
 * what the tool is started for.
 */
int stream_check_standard(void);

/* At the end: 0 also where the reader has gone, else -EIO after a sentence. */
int stream_flush_standard(void);

#endif /* STREAM_H */

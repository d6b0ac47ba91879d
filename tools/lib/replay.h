/* SPDX-License-Identifier: GPL-2.0 */
#ifndef REPLAY_H
#define REPLAY_H

#include "source.h"

/* source_open_replay() of an open stream, which it takes over; path is for messages. */
int source_open_stream(struct source **out, FILE *f, const char *path);

#endif /* REPLAY_H */

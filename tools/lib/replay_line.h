/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One line of a recording, or of --json output, turned back into the reading
 * behind it.  Trusts nothing; pure, no I/O.
 */
#ifndef REPLAY_LINE_H
#define REPLAY_LINE_H

#include "snapshot.h"

/* What a line says of its source; malloc()ed, see replay_head_clear(). */
struct replay_head {
	char *source;
	char *kernel;
	char *time_scope; /* NULL: not timed */
	char *notice;	  /* NULL: none */
	bool has_before;  /* the line is the first and has an interval */
};

void replay_head_clear(struct replay_head *h);

/* What the lines so far have said, to hold the next one against it. */
struct replay_state;

struct replay_state *replay_state_new(void);
void replay_state_free(struct replay_state *st);

/*
 * Fills *s (empty, sorted afterwards) and *head from a line of len bytes.  The
 * reading before a first line whose interval is not 0 was not written: *before
 * is filled with it, else left empty.  0; -EBADMSG with a
 * malloc()ed sentence in *error that says what is wrong; -ENOMEM.  On error *s,
 * *before and *head hold nothing, and the state is of no more use.
 */
int replay_line(struct replay_state *st, const char *text, size_t len, struct replay_head *head,
		struct wb_snapshot *s, struct wb_snapshot *before, char **error);

#endif /* REPLAY_LINE_H */

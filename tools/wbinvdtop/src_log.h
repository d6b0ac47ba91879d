/* SPDX-License-Identifier: GPL-2.0 */
/* The log of a live source, whatever it counts exits with. */
#ifndef SRC_LOG_H
#define SRC_LOG_H

#include "../lib/dmalog.h"
#include "../lib/snapshot.h"

/* All zeroes: not tried yet. */
struct src_log {
	struct dmalog *log;
	int err; /* why there is none */
};

/*
 * Adds to a snapshot whose time is set what has happened since the last
 * reading; on_event sees each, too.  A kernel that tells nothing is no failure:
 * the snapshot says why.  0 or a negative errno.
 */
int src_log_read(struct src_log *l, struct wb_snapshot *s, dmalog_cb on_event, void *ctx);

/* What the readings know by it: enum wb_known. */
unsigned int src_log_known(const struct src_log *l);

void src_log_close(struct src_log *l);

#endif /* SRC_LOG_H */

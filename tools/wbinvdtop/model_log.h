/* SPDX-License-Identifier: GPL-2.0 */
/* What has happened so far, as the log view shows it: the newest events of all readings. */
#ifndef MODEL_LOG_H
#define MODEL_LOG_H

#include "../lib/snapshot.h"

/* As many are kept. */
#define MODEL_LOG_MAX 1024

struct frame_event {
	struct dmalog_event e;
	int64_t wall_ns; /* CLOCK_REALTIME, ns since the epoch */
	pid_t pid;	 /* of the VM that it concerns, else of the task in which it happened */
	char *who;	 /* name of the VM, else the task's command; valid UTF-8 */
	char *id;	 /* of the VM, NULL where it is not certain */
};

struct model_log {
	struct frame_event *events; /* oldest first */
	size_t nr;
	size_t nr_new; /* the newest ones, of the last reading */
};

/* Adds the events of a reading whose VMs are complete.  0 or -ENOMEM. */
int model_log_take(struct model_log *log, const struct wb_snapshot *s);
void model_log_clear(struct model_log *log);

#endif /* MODEL_LOG_H */

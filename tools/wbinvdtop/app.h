/* SPDX-License-Identifier: GPL-2.0 */
/* The running tool: from a tick, a key or a signal to a frame.  main.c sets it up. */
#ifndef APP_H
#define APP_H

#include "../lib/loop.h"
#include "config.h"
#include "threshold.h"
#include "ui.h"

struct app {
	struct config cfg;
	struct loop *loop;
	struct source *src;
	struct model *model;
	struct model *empty; /* of the screen that stands until the source is attached */
	int events_fd;	     /* of the source, that the loop watches; -1: none yet */
	FILE *out;	     /* text, JSON or CSV; NULL while there is a screen */
	struct batch *batch; /* one of batch and ui is there */
	struct ui *ui;
	struct ui_config ui_cfg;
	struct ui_pace pace;
	struct record *record;
	struct threshold threshold;
	struct wb_snapshot *ahead; /* a replay on the screen: the reading that is due next */
	const struct frame *frame;
	uint64_t frames; /* shown, the baseline apart */
	bool record_failed;
};

/* Callbacks of the loop; ctx is the struct app. */
extern const struct loop_ops app_loop_ops;
int app_on_keys(void *ctx, int fd);
int app_on_reader_gone(void *ctx, int fd); /* of standard output */

static inline bool app_is_replay(const struct app *app)
{
	return app->cfg.src.replay;
}

/*
 * Takes the baseline, which only the screen shows as nothing has gone by yet,
 * and sets the pace.  0; LOOP_STOP when there is nothing to show; a negative
 * errno after a sentence.
 */
int app_start(struct app *app);

#endif /* APP_H */

// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../lib/log.h"
#include "app.h"

/* Where writing fails, the next frame will, and says so. */
static void put_line(struct app *app, const char *line)
{
	if (app->ui)
		ui_message(app->ui, line);
	else if (app->cfg.o.format == OPTS_TEXT)
		fprintf(app->out, "%s\n", line);
	else /* Frames for programs stay parseable. */
		fprintf(stderr, "%s\n", line);
}

static void outlier(void *ctx, const struct source_outlier *o)
{
	struct app *app = ctx;
	char buf[512];

	if (!model_shows(app->model, o->vm_key, o->pid, o->name ? o->name : ""))
		return;
	if (threshold_line(&app->threshold, o, app->frame, buf, sizeof(buf)))
		put_line(app, buf);
}

static int on_events(void *ctx, int fd)
{
	struct app *app = ctx;
	int err;

	(void)fd;
	err = app->src->ops->poll_events(app->src, outlier, app);
	if (!app->ui && app->cfg.o.format == OPTS_TEXT)
		fflush(app->out);
	return err;
}

/* A source that waits for KVM has events only once it is attached. */
static int watch_events(struct app *app)
{
	int fd = app->src->ops->poll_fd ? app->src->ops->poll_fd(app->src) : -1;

	if (fd < 0 || fd == app->events_fd)
		return 0;
	app->events_fd = fd;
	return loop_watch(app->loop, fd, on_events);
}

/* 0, -ENODATA at the end of a recording, or a negative errno after a sentence. */
static int read_source(struct app *app, struct wb_snapshot **out)
{
	struct wb_snapshot *s = snapshot_new();
	int err;

	if (!s) {
		log_err("out of memory");
		return -ENOMEM;
	}
	err = app->src->ops->read(app->src, s);
	if (err) {
		snapshot_free(s);
		return err;
	}
	*out = s;
	return watch_events(app);
}

/* Keeps what is counted when nothing more can be written down. */
static void record_reading(struct app *app)
{
	if (!app->record || !record_frame(app->record, app->model, app->src))
		return;
	app->record_failed = true;
	record_close(app->record);
	app->record = NULL;
	if (app->ui)
		ui_message(app->ui, "The recording could not be written and has ended");
}

static int accept_reading(struct app *app, struct wb_snapshot *s)
{
	int err = model_update(app->model, s, &app->frame);

	if (err) {
		app->frame = NULL;
		log_err("out of memory");
		return err;
	}
	record_reading(app);
	return 0;
}

/* 0, LOOP_STOP when nobody reads any more, or a negative errno after a sentence. */
static int show_frame(struct app *app)
{
	int err;

	if (app->ui) {
		err = ui_frame(app->ui, app->frame);
		if (err)
			log_err("the screen cannot be drawn: %s", strerror(-err));
		return err;
	}
	err = batch_frame(app->batch, app->model, app->frame, app->src);
	if (err == -EPIPE)
		return LOOP_STOP;
	if (err == -EINTR) {
		log_warn("nobody reads standard output: the last frame is incomplete");
		return LOOP_STOP;
	}
	if (err)
		log_err("standard output cannot be written: %s", strerror(-err));
	return err;
}

static int count_frame(struct app *app)
{
	app->frames++;
	return app->cfg.o.frames && app->frames >= app->cfg.o.frames ? LOOP_STOP : 0;
}

/* When the next tick is due, by pace and, on the screen, by the recording. */
static int set_pace(struct app *app)
{
	uint64_t ns = app->pace.interval_ns;

	if (app->pace.paused || app->pace.at_end)
		ns = LOOP_NEVER;
	else if (app_is_replay(app) && !app->ui)
		ns = 0;
	else if (app->ahead && !app->pace.fixed)
		ns = app->ahead->time_ns > app->frame->cur->time_ns ?
			     app->ahead->time_ns - app->frame->cur->time_ns :
			     1;
	return loop_set_interval(app->loop, ns);
}

/* A replay on the screen knows when the next frame is due by having read it. */
static int read_ahead(struct app *app)
{
	int err;

	if (!app_is_replay(app) || !app->ui || app->ahead || app->pace.at_end)
		return 0;
	err = read_source(app, &app->ahead);
	if (err != -ENODATA)
		return err;
	app->pace.at_end = true;
	return 0;
}

/* The next reading into the model.  0, LOOP_STOP at the end of a recording, or an error. */
static int next_reading(struct app *app)
{
	struct wb_snapshot *s = app->ahead;
	int err;

	if (!s) {
		/* Where there are thousands of vCPUs, each reading takes megabytes. */
		if (!app_is_replay(app))
			model_make_room(app->model);
		err = app->pace.at_end ? -ENODATA : read_source(app, &s);
		if (err)
			return err == -ENODATA ? LOOP_STOP : err;
	}
	app->ahead = NULL;
	err = accept_reading(app, s);
	return err ? err : read_ahead(app);
}

static int next_frame(struct app *app)
{
	int ret = next_reading(app);

	/* The screen stays at the end of a recording. */
	if (ret == LOOP_STOP && app->ui)
		return 0;
	if (!ret)
		ret = show_frame(app);
	return ret ? ret : count_frame(app);
}

static void tell_suppressed(struct app *app)
{
	char buf[128];

	if (app->threshold.limit_ns && threshold_rest(&app->threshold, app->src, buf, sizeof(buf)))
		put_line(app, buf);
}

static int on_tick(void *ctx)
{
	struct app *app = ctx;
	int ret;

	tell_suppressed(app);
	ret = next_frame(app);
	/* The grid of a live source stands; recorded intervals differ. */
	if (!ret && app_is_replay(app))
		ret = set_pace(app);
	return ret;
}

int app_on_keys(void *ctx, int fd)
{
	struct app *app = ctx;
	int keys = ui_input(app->ui), ret = 0;

	(void)fd;
	if (keys < 0)
		return keys;
	if (keys & UI_QUIT)
		return LOOP_STOP;
	if (keys & UI_REFRESH)
		ret = next_frame(app);
	if (!ret && keys & (UI_REFRESH | UI_PACE))
		ret = set_pace(app);
	return ret;
}

int app_on_reader_gone(void *ctx, int fd)
{
	(void)ctx;
	(void)fd;
	return LOOP_STOP;
}

/* The signal is blocked and has been taken: here it does what it does by default. */
static int stop_until_continued(struct app *app)
{
	sigset_t tstp;

	if (app->ui)
		ui_suspend(app->ui);
	sigemptyset(&tstp);
	sigaddset(&tstp, SIGTSTP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &tstp, NULL);
	sigprocmask(SIG_BLOCK, &tstp, NULL);
	return app->ui ? ui_resume(app->ui) : 0;
}

/* What has been counted since the last frame is shown before a live batch ends. */
static int show_rest(struct app *app, int signo)
{
	int ret;

	if (app->ui || app_is_replay(app))
		return LOOP_STOP;
	/* Pending again, it bounds how long the last frame waits for its reader. */
	raise(signo);
	tell_suppressed(app);
	ret = next_frame(app);
	return ret < 0 ? ret : LOOP_STOP;
}

static int on_signal(void *ctx, int signo)
{
	struct app *app = ctx;

	switch (signo) {
	case SIGTSTP:
		return stop_until_continued(app);
	case SIGCONT:
		return app->ui ? ui_resume(app->ui) : 0;
	case SIGWINCH:
		return app->ui ? ui_resize(app->ui) : 0;
	default:
		return show_rest(app, signo);
	}
}

const struct loop_ops app_loop_ops = { .tick = on_tick, .signal = on_signal };

/*
 * Attaching takes a noticeable time: until then the screen shows that.  The
 * frame is no reading, so it stays out of the model and of the recording.
 */
static int show_empty_screen(struct app *app)
{
	struct wb_snapshot *s = snapshot_new();
	const struct frame *f;
	struct timespec now;
	int err = -ENOMEM;

	app->empty = model_new();
	if (s && !clock_gettime(CLOCK_REALTIME, &now))
		s->wall_ns = now.tv_sec * 1000000000LL + now.tv_nsec;
	if (app->empty && s)
		err = model_update(app->empty, s, &f);
	else
		snapshot_free(s);
	if (!err)
		err = ui_frame(app->ui, f);
	if (err)
		log_err("the screen cannot be drawn: %s", strerror(-err));
	return err;
}

int app_start(struct app *app)
{
	int ret = 0;

	if (app->ui && !app_is_replay(app))
		ret = show_empty_screen(app);
	if (!ret)
		ret = next_reading(app);
	if (!ret && app->ui)
		ret = show_frame(app);
	return ret ? ret : set_pace(app);
}

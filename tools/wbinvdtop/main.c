// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/exitcode.h"
#include "../lib/log.h"
#include "../lib/loop.h"
#include "config.h"
#include "threshold.h"
#include "ui.h"

struct app {
	struct config cfg;
	struct loop *loop;
	struct source *src;
	struct model *model;
	struct batch *batch;	/* one of batch and ui is there */
	struct ui *ui;
	struct ui_config ui_cfg;
	struct ui_pace pace;
	struct record *record;
	struct threshold threshold;
	struct wb_snapshot *ahead;	/* screen of a replay: the reading whose time has not come */
	const struct frame *frame;
	uint64_t frames;	/* shown, the baseline apart */
	bool record_failed;
};

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
	return 0;
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
	if (err)
		log_err("standard output cannot be written: %s", strerror(-err));
	return err;
}

static int count_frame(struct app *app)
{
	app->frames++;
	return app->cfg.o.frames && app->frames >= app->cfg.o.frames ? LOOP_STOP : 0;
}

static bool is_replay(const struct app *app)
{
	return app->cfg.src.replay;
}

/* When the next tick is due, by pace and, on the screen, by the recording. */
static int set_pace(struct app *app)
{
	uint64_t ns = app->pace.interval_ns;

	if (app->pace.paused || app->pace.at_end)
		ns = LOOP_NEVER;
	else if (is_replay(app) && !app->ui)
		ns = 0;
	else if (app->ahead && !app->pace.fixed)
		ns = app->ahead->time_ns > app->frame->cur->time_ns ?
		     app->ahead->time_ns - app->frame->cur->time_ns : 1;
	return loop_set_interval(app->loop, ns);
}

/* A replay on the screen knows when the next frame is due by having read it. */
static int read_ahead(struct app *app)
{
	int err;

	if (!is_replay(app) || !app->ui || app->ahead || app->pace.at_end)
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

/* Where writing fails, the next frame will, and says so. */
static void put_line(struct app *app, const char *line)
{
	if (app->ui)
		ui_message(app->ui, line);
	else if (app->cfg.o.format == OPTS_TEXT)
		printf("%s\n", line);
	else	/* Frames for programs stay parseable. */
		fprintf(stderr, "%s\n", line);
}

static void tell_suppressed(struct app *app)
{
	char buf[128];

	if (app->threshold.limit_ns &&
	    threshold_rest(&app->threshold, app->src, buf, sizeof(buf)))
		put_line(app, buf);
}

static int on_tick(void *ctx)
{
	struct app *app = ctx;
	int ret;

	tell_suppressed(app);
	ret = next_frame(app);
	/* The grid of a live source stands; recorded intervals differ. */
	if (!ret && is_replay(app))
		ret = set_pace(app);
	return ret;
}

static void outlier(void *ctx, const struct source_outlier *o)
{
	struct app *app = ctx;
	char buf[512];

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
		fflush(stdout);
	return err;
}

static int on_keys(void *ctx, int fd)
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

static int on_reader_gone(void *ctx, int fd)
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
static int show_rest(struct app *app)
{
	int ret;

	if (app->ui || is_replay(app))
		return LOOP_STOP;
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
		return show_rest(app);
	}
}

static struct model_filter filter_of(const struct config *cfg)
{
	return (struct model_filter) {
		.pids = cfg->o.pids,
		.nr_pids = cfg->o.nr_pids,
		.names = cfg->o.names,
		.nr_names = cfg->o.nr_names,
	};
}

/* -ENOTTY after a sentence: text it is. */
static int open_screen(struct app *app)
{
	const char *why;
	int err;

	app->ui_cfg = (struct ui_config) {
		.fields = app->cfg.o.fields,
		.sort = app->cfg.sort,
		.view = app->cfg.view,
		.vcpus = app->cfg.vcpus,
		.replay = is_replay(app),
		.filter = filter_of(&app->cfg),
	};
	err = ui_open(&app->ui, &app->ui_cfg, app->model, app->src, &app->pace, &why);
	if (err == -ENOTTY)
		log_warn("%s; text follows instead of the screen", why);
	else if (err)
		log_err("the screen cannot be opened: %s", strerror(-err));
	if (err)
		return err;
	return loop_watch(app->loop, STDIN_FILENO, on_keys);
}

static int open_text(struct app *app)
{
	static const enum batch_format formats[] = {
		[OPTS_TEXT] = BATCH_TABLE,
		[OPTS_JSON] = BATCH_JSON,
		[OPTS_CSV] = BATCH_CSV,
	};
	struct batch_config cfg = {
		.format = formats[app->cfg.o.format],
		.view = app->cfg.view,
		.vcpus = app->cfg.vcpus,
		.fields = app->cfg.o.fields,
		.sort = app->cfg.sort,
	};
	struct stat st;
	int err;

	err = batch_open(&app->batch, stdout, &cfg);
	if (err)
		return err;
	/* Without this, a long interval would pass before a closed pipe is noticed. */
	if (!fstat(STDOUT_FILENO, &st) && S_ISFIFO(st.st_mode) &&
	    (fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) == O_WRONLY)
		err = loop_watch(app->loop, STDOUT_FILENO, on_reader_gone);
	return err;
}

static int open_recording(struct app *app)
{
	struct stat from, to;

	if (!app->cfg.o.record)
		return 0;
	if (is_replay(app) && !stat(app->cfg.src.replay, &from) &&
	    !stat(app->cfg.o.record, &to) &&
	    from.st_dev == to.st_dev && from.st_ino == to.st_ino) {
		log_err("--record would overwrite '%s' while it is being replayed",
			app->cfg.src.replay);
		return -EINVAL;
	}
	return record_open(&app->record, app->cfg.o.record);
}

static int open_source(struct app *app)
{
	int err, fd;

	err = is_replay(app) ? source_open_replay(&app->src, &app->cfg.src)
			     : source_open_bpf(&app->src, &app->cfg.src);
	if (err)
		return err;
	app->threshold.limit_ns = app->cfg.src.threshold_ns;
	fd = app->src->ops->poll_fd(app->src);
	return fd < 0 ? 0 : loop_watch(app->loop, fd, on_events);
}

static int run(struct app *app)
{
	static const struct loop_ops ops = { .tick = on_tick, .signal = on_signal };
	struct model_filter filter = filter_of(&app->cfg);
	int err;

	err = loop_new(&app->loop, &ops, app);
	if (err) {
		log_err("signals and timers cannot be set up: %s", strerror(-err));
		return err;
	}
	app->model = model_new();
	if (!app->model || model_set_filter(app->model, &filter)) {
		log_err("out of memory");
		return -ENOMEM;
	}
	err = open_source(app);
	if (err)
		return err;
	err = open_recording(app);
	if (err)
		return err;
	app->pace.interval_ns = app->cfg.o.interval_ns;
	app->pace.fixed = app->cfg.o.interval_set;
	err = -ENOTTY;
	if (!app->cfg.o.batch && isatty(STDOUT_FILENO))
		err = open_screen(app);
	if (err == -ENOTTY)
		err = open_text(app);
	if (err)
		return err;
	/* The baseline: shown on the screen alone, as nothing has gone by yet. */
	err = next_reading(app);
	if (!err && app->ui)
		err = show_frame(app);
	if (!err)
		err = set_pace(app);
	if (!err)
		err = loop_run(app->loop);
	return err < 0 ? err : 0;
}

/*
 * A descriptor below 3 that is closed would be given to the next file that is
 * opened, and what is meant for people would end in a recording.
 */
static int check_standard_files(void)
{
	if (fcntl(STDOUT_FILENO, F_GETFD) < 0) {
		log_err("standard output is closed");
		return -EBADF;
	}
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -EBADF;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct app app = { 0 };
	int err;

	/* Names are UTF-8, and columns are counted in characters; numbers stay as in C. */
	setlocale(LC_CTYPE, "");
	log_init(argv[0], false);
	err = check_standard_files();
	if (!err)
		err = config_parse(&app.cfg, argc, argv);
	if (!err)
		err = run(&app);
	ui_close(app.ui);
	batch_close(app.batch);
	if (record_close(app.record))
		app.record_failed = true;
	snapshot_free(app.ahead);
	model_free(app.model);
	source_close(app.src);
	loop_free(app.loop);
	config_free(&app.cfg);
	if (err >= 0 && fflush(stdout) && errno != EPIPE) {
		log_err("standard output cannot be written: %s", strerror(errno));
		err = -EIO;
	}
	if (err < 0)
		return exit_code_of(err);
	return app.record_failed ? EXIT_RUNTIME : EXIT_OK;
}

// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/exitcode.h"
#include "../lib/log.h"
#include "../lib/stream.h"
#include "app.h"
#include "src_bpf.h"

static struct model_filter filter_of(const struct config *cfg)
{
	return (struct model_filter){
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

	app->ui_cfg = (struct ui_config){
		.fields = app->cfg.o.fields,
		.sort = app->cfg.sort,
		.view = app->cfg.view,
		.vcpus = app->cfg.vcpus,
		.replay = app_is_replay(app),
		.filter = filter_of(&app->cfg),
	};
	err = ui_open(&app->ui, &app->ui_cfg, app->model, app->src, &app->pace, &why);
	if (err == -ENOTTY)
		log_warn("%s; text follows instead of the screen", why);
	else if (err)
		log_err("the screen cannot be opened: %s", strerror(-err));
	if (err)
		return err;
	return loop_watch(app->loop, STDIN_FILENO, app_on_keys);
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
		.log = app->cfg.log,
		.fields = app->cfg.o.fields,
		.sort = app->cfg.sort,
	};
	struct stat st;
	int err;

	app->out = stream_open(STDOUT_FILENO);
	if (!app->out) {
		log_err("out of memory");
		return -ENOMEM;
	}
	err = batch_open(&app->batch, app->out, &cfg);
	if (err)
		return err;
	/* Without this, a long interval would pass before a closed pipe is noticed. */
	if (!fstat(STDOUT_FILENO, &st) && S_ISFIFO(st.st_mode) &&
	    (fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) == O_WRONLY)
		err = loop_watch(app->loop, STDOUT_FILENO, app_on_reader_gone);
	return err;
}

static int open_recording(struct app *app)
{
	struct stat from, to;

	if (!app->cfg.o.record)
		return 0;
	if (app_is_replay(app) && !stat(app->cfg.src.replay, &from) &&
	    !stat(app->cfg.o.record, &to) && from.st_dev == to.st_dev && from.st_ino == to.st_ino) {
		log_err("--record would overwrite '%s' while it is being replayed",
			app->cfg.src.replay);
		return -EINVAL;
	}
	return record_open(&app->record, app->cfg.o.record);
}

static int open_source(struct app *app)
{
	int err;

	err = app_is_replay(app) ? source_open_replay(&app->src, &app->cfg.src) :
				   source_open_bpf(&app->src, &app->cfg.src);
	if (err)
		return err;
	app->threshold.limit_ns = app->cfg.src.threshold_ns;
	return 0;
}

static int run(struct app *app)
{
	struct model_filter filter = filter_of(&app->cfg);
	int err;

	err = loop_new(&app->loop, &app_loop_ops, app);
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
	/* Without keys a screen could not be left; with an input that has ended it would end at once. */
	if (!app->cfg.o.batch && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		err = open_screen(app);
	if (err == -ENOTTY)
		err = open_text(app);
	if (err)
		return err;
	err = app_start(app);
	if (!err)
		err = loop_run(app->loop);
	return err < 0 ? err : 0;
}

/* What one reading frees the next one needs: giving it back in between costs a fault per page. */
static void keep_memory(void)
{
	mallopt(M_TRIM_THRESHOLD, 32 << 20);
}

int main(int argc, char **argv)
{
	struct app app = { .events_fd = -1 };
	int err;

	/* A reader that went away shows as EPIPE. */
	signal(SIGPIPE, SIG_IGN);
	/* Names are UTF-8, and columns are counted in characters; numbers stay as in C. */
	setlocale(LC_CTYPE, "");
	keep_memory();
	log_init(argv[0], false);
	err = stream_check_standard();
	if (!err)
		err = config_parse(&app.cfg, argc, argv);
	if (!err)
		err = run(&app);
	ui_close(app.ui);
	batch_close(app.batch);
	if (app.out)
		fclose(app.out);
	if (record_close(app.record))
		app.record_failed = true;
	snapshot_free(app.ahead);
	model_free(app.empty);
	model_free(app.model);
	source_close(app.src);
	loop_free(app.loop);
	config_free(&app.cfg);
	if (err >= 0)
		err = stream_flush_standard();
	if (err < 0)
		return exit_code_of(err);
	return app.record_failed ? EXIT_RUNTIME : EXIT_OK;
}

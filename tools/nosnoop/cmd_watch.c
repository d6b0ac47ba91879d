// SPDX-License-Identifier: GPL-2.0
/* nosnoop watch: the bit and the requests, over time. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "../lib/log.h"
#include "../lib/loop.h"
#include "../lib/opts.h"
#include "../lib/stream.h"
#include "fields.h"
#include "nosnoop.h"
#include "watch.h"

#define NSEC_PER_SEC 1000000000ULL

struct watch_config {
	struct opts o;
	struct filter filter;
	const char *sysroot;
	bool all;
};

struct run {
	const struct watch_config *c;
	struct watch w;
	struct loop *loop;
	FILE *out, *record;
	off_t recorded; /* bytes of whole lines */
	const struct out_field **sel;
	size_t n;
	uint64_t frames;
	bool headed, record_failed;
	int poll_fd; /* the timer of readings in between; -1: none */
};

enum { KEY_DRIVER = OPTS_KEY_TOOL, KEY_ALL, KEY_SYSROOT };

static const struct argp_option options[] = {
	{ 0, 0, 0, 0, "Devices (each may be repeated):", 3 },
	{ "device", 'D', "BDF", 0, "Only this PCI function, whatever it is bound to", 3 },
	{ "driver", KEY_DRIVER, "NAME", 0, "Only what is bound to this driver; none: to nothing",
	  3 },
	{ "all", KEY_ALL, 0, 0, "Every function (default: those that a VFIO driver has)", 3 },
	{ "sysroot", KEY_SYSROOT, "DIR", 0, "Read DIR/sys and DIR/proc instead of this system's",
	  3 },
	{ 0 }
};

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct watch_config *c = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &c->o;
		return 0;
	case 'D':
		c->all = true;
		return filter_add_bdf(&c->filter, arg);
	case KEY_DRIVER:
		c->all = true;
		return filter_add_driver(&c->filter, arg);
	case KEY_ALL:
		c->all = true;
		return 0;
	case KEY_SYSROOT:
		if (!*arg)
			return opts_bad("--sysroot", arg, "a directory");
		c->sysroot = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The shared -p and -g select by owner here. */
static int take_filters(struct watch_config *c)
{
	char pid[16];
	int err = 0;

	for (size_t i = 0; !err && i < c->o.nr_pids; i++) {
		snprintf(pid, sizeof(pid), "%d", (int)c->o.pids[i]);
		err = filter_add_pid(&c->filter, pid);
	}
	for (size_t i = 0; !err && i < c->o.nr_names; i++)
		err = filter_add_vm(&c->filter, c->o.names[i]);
	return err ? -ENOMEM : 0;
}

static int check(const struct watch_config *c)
{
	if (c->o.sort) {
		log_err("option -s has no meaning for watch: functions stand by address");
		return -EINVAL;
	}
	if (c->o.fields && c->o.format == OPTS_JSON) {
		log_err("-o goes without --json, which holds everything");
		return -EINVAL;
	}
	return 0;
}

static int show_text(struct run *r)
{
	bool csv = r->c->o.format == OPTS_CSV;

	if (csv && !r->headed) {
		fputs("time_ns", r->out);
		out_csv_header(r->out, r->sel, r->n, false);
		fputc('\n', r->out);
	} else if (!csv) {
		out_table_header(r->out, r->sel, r->n);
	}
	r->headed = true;
	for (size_t i = 0; i < r->w.l.n; i++) {
		if (csv) {
			fprintf(r->out, "%llu", (unsigned long long)r->w.at.time_ns);
			out_csv_row(r->out, r->sel, r->n, &r->w.l.rows[i], false);
			fputc('\n', r->out);
		} else {
			out_table_row(r->out, r->sel, r->n, &r->w.l.rows[i]);
		}
	}
	if (!csv) {
		watch_bits_text(r->out, &r->w);
		watch_requests_text(r->out, &r->w);
		fputc('\n', r->out);
	}
	errno = 0;
	return fflush(r->out) ? errno ? -errno : -EIO : 0;
}

static int show(struct run *r)
{
	int err =
		r->c->o.format == OPTS_JSON ? frame_write(r->out, watch_json(&r->w)) : show_text(r);

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

/* A line that cannot be written whole is cut off, and watching goes on. */
static void record(struct run *r)
{
	int err;

	if (!r->record)
		return;
	err = frame_write(r->record, watch_json(&r->w));
	if (!err) {
		r->recorded = ftello(r->record);
		return;
	}
	log_err("recording to %s stopped: %s; what was written so far can be used", r->c->o.record,
		strerror(-err));
	r->record_failed = true;
	if (r->recorded >= 0 && ftruncate(fileno(r->record), r->recorded))
		log_warn("the last line of %s is incomplete", r->c->o.record);
	fclose(r->record);
	r->record = NULL;
}

static int next(struct run *r)
{
	int err = watch_read(&r->w);

	if (err) {
		log_err("the functions cannot be read: %s", strerror(-err));
		return err;
	}
	record(r);
	return 0;
}

static int on_tick(void *ctx)
{
	struct run *r = ctx;
	int ret = next(r);

	if (!ret)
		ret = show(r);
	if (ret)
		return ret;
	r->frames++;
	return r->c->o.frames && r->frames >= r->c->o.frames ? LOOP_STOP : 0;
}

/* Where readings come as often anyway, those in between are tried now and then: what they take may change. */
static int arm_poll(struct run *r, uint64_t wait_ns)
{
	struct itimerspec its = { 0 };

	if (wait_ns >= r->c->o.interval_ns)
		wait_ns *= 10;
	its.it_value.tv_sec = wait_ns / NSEC_PER_SEC;
	its.it_value.tv_nsec = wait_ns % NSEC_PER_SEC;
	return timerfd_settime(r->poll_fd, 0, &its, NULL) ? -errno : 0;
}

static int on_poll(void *ctx, int fd)
{
	uint64_t expired, wait_ns;
	struct run *r = ctx;
	int err;

	if (read(fd, &expired, sizeof(expired)) < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	err = watch_poll(&r->w, &wait_ns);
	/* Changes are told when they are seen; what cannot be written is the next frame's error. */
	if (r->w.telling)
		fflush(r->w.telling);
	if (err) {
		log_err("the functions cannot be read: %s", strerror(-err));
		return err;
	}
	return arm_poll(r, wait_ns);
}

static int start_polls(struct run *r)
{
	uint64_t wait_ns;
	int err = watch_poll(&r->w, &wait_ns);

	if (err)
		return err;
	r->poll_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (r->poll_fd < 0)
		return -errno;
	err = loop_watch(r->loop, r->poll_fd, on_poll);
	return err ? err : arm_poll(r, wait_ns);
}

static int on_signal(void *ctx, int signo)
{
	struct run *r = ctx;
	int ret;

	if (signo == SIGTSTP)
		raise(SIGSTOP);
	if (signo == SIGTSTP || signo == SIGCONT || signo == SIGWINCH)
		return 0;
	/* Pending again, it bounds how long the last frame waits for its reader. */
	raise(signo);
	ret = next(r);
	if (!ret)
		ret = show(r);
	return ret < 0 ? ret : LOOP_STOP;
}

static int open_record(struct run *r)
{
	const char *path = r->c->o.record;

	if (!path)
		return 0;
	r->record = fopen(path, "we");
	if (r->record)
		return 0;
	log_err("cannot record to %s: %s", path, strerror(errno));
	return -EIO;
}

static int run_loop(struct run *r)
{
	static const struct loop_ops ops = { .tick = on_tick, .signal = on_signal };
	int err = loop_new(&r->loop, &ops, r);

	if (err) {
		log_err("signals and timers cannot be set up: %s", strerror(-err));
		return err;
	}
	r->out = stream_open(STDOUT_FILENO);
	if (!r->out)
		return -ENOMEM;
	err = next(r);
	if (!err)
		err = filter_check(&r->c->filter, &r->w.l);
	if (!err && !r->w.l.n)
		log_warn("no function is watched: %s",
			 r->c->all ? "none passes the filters" :
				     "no VFIO driver has any; --all or -D BDF watches others");
	if (!err && r->c->o.format == OPTS_TEXT)
		r->w.telling = r->out;
	if (!err)
		err = start_polls(r);
	if (!err)
		err = loop_set_interval(r->loop, r->c->o.interval_ns);
	if (!err)
		err = loop_run(r->loop);
	return err < 0 ? err : 0;
}

static int run(const struct watch_config *c)
{
	struct run r = { .c = c, .poll_fd = -1 };
	int err = out_select(watch_fields, c->o.fields, &r.sel, &r.n);

	if (!err)
		err = watch_open(&r.w, c->sysroot, &c->filter, c->all);
	if (!err)
		err = open_record(&r);
	if (!err)
		err = run_loop(&r);
	if (r.out)
		fclose(r.out);
	if (r.record && fclose(r.record) && !err) {
		log_err("recording to %s failed at its end: %s", c->o.record, strerror(errno));
		err = -EIO;
	}
	if (r.poll_fd >= 0)
		close(r.poll_fd);
	loop_free(r.loop);
	watch_close(&r.w);
	free(r.sel);
	return !err && r.record_failed ? -EIO : err;
}

int cmd_watch(int argc, char **argv)
{
	static const struct argp_child children[] = { { &opts_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		.options = options,
		.parser = parse_opt,
		.children = children,
		.doc = "Enable No Snoop of functions over time, and no-snoop requests where the CPU counts them." EXIT_TEXT,
	};
	struct watch_config c = { 0 };
	int err = opts_parse(&argp, argc, argv, &c, &c.o);

	if (!err && c.o.list_fields) {
		out_list_fields(stdout, watch_fields);
	} else if (!err) {
		err = check(&c);
		if (!err)
			err = take_filters(&c);
		if (!err)
			err = run(&c);
	}
	opts_free(&c.o);
	filter_free(&c.filter);
	return err > 0 ? 0 : err;
}

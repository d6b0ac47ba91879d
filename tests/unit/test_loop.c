// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../tools/lib/loop.h"

#define MSEC 1000000ULL

struct seen {
	struct loop *loop;
	int ticks, stop_after;
	int signals[8], nr_signals;
	int inputs;
	uint64_t last_ns;
	int nap_ms; /* the first tick takes that long */
	int ret;    /* what the last callback returns */
	int pipe[2], pipe2[2];
};

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static int on_tick(void *ctx)
{
	struct seen *s = ctx;

	s->last_ns = now();
	if (!s->ticks++ && s->nap_ms) {
		struct timespec ts = { 0, s->nap_ms * 1000000L };

		nanosleep(&ts, NULL);
	}
	return s->ticks >= s->stop_after ? s->ret : 0;
}

static int on_signal(void *ctx, int signo)
{
	struct seen *s = ctx;

	s->signals[s->nr_signals++] = signo;
	return signo == SIGTERM ? LOOP_STOP : 0;
}

static int on_input(void *ctx, int fd)
{
	struct seen *s = ctx;
	char c;

	s->inputs++;
	if (read(fd, &c, 1) <= 0) {
		loop_unwatch(s->loop, fd);
		return 0;
	}
	return c == 'q' ? LOOP_STOP : c == 'e' ? -EIO : 0;
}

static const struct loop_ops ops = { on_tick, on_signal };

static int set_up(void **state)
{
	static struct seen s;

	memset(&s, 0, sizeof(s));
	s.stop_after = 3;
	s.ret = LOOP_STOP;
	if (pipe2(s.pipe, O_CLOEXEC) || pipe2(s.pipe2, O_CLOEXEC))
		return -1;
	*state = &s;
	return loop_new(&s.loop, &ops, &s);
}

static int tear_down(void **state)
{
	struct seen *s = *state;

	loop_free(s->loop);
	for (int i = 0; i < 2; i++) {
		close(s->pipe[i]);
		close(s->pipe2[i]);
	}
	return 0;
}

static void test_ticks_keep_the_grid(void **state)
{
	struct seen *s = *state;
	uint64_t start = now();

	assert_int_equal(loop_set_interval(s->loop, 20 * MSEC), 0);
	assert_int_equal(loop_run(s->loop), 0);
	assert_int_equal(s->ticks, 3);
	assert_true(s->last_ns - start >= 60 * MSEC);
}

static void test_missed_ticks_are_one(void **state)
{
	struct seen *s = *state;
	uint64_t start = now();

	/* Due at 20, 40, ... ms; the first takes until 90, so 40 to 80 are one late tick. */
	s->nap_ms = 70;
	assert_int_equal(loop_set_interval(s->loop, 20 * MSEC), 0);
	assert_int_equal(loop_run(s->loop), 0);
	assert_int_equal(s->ticks, 3);
	assert_true(s->last_ns - start >= 100 * MSEC);
}

static void test_free_running(void **state)
{
	struct seen *s = *state;

	s->stop_after = 1000;
	assert_int_equal(loop_set_interval(s->loop, 0), 0);
	assert_int_equal(loop_run(s->loop), 0);
	assert_int_equal(s->ticks, 1000);
}

static void test_signals(void **state)
{
	struct seen *s = *state;

	assert_int_equal(loop_set_interval(s->loop, LOOP_NEVER), 0);
	raise(SIGTERM);
	raise(SIGINT);
	raise(SIGPIPE);
	assert_int_equal(loop_run(s->loop), 0);
	/* Pending signals come lowest first. */
	assert_int_equal(s->nr_signals, 2);
	assert_int_equal(s->signals[0], SIGINT);
	assert_int_equal(s->signals[1], SIGTERM);
	raise(SIGWINCH);
	raise(SIGTERM);
	assert_int_equal(loop_run(s->loop), 0);
	assert_int_equal(s->nr_signals, 3);
	/* Behind a stop, signals stay pending. */
	assert_int_equal(s->signals[2], SIGTERM);
	raise(SIGTERM);
	assert_int_equal(loop_run(s->loop), 0);
	assert_int_equal(s->nr_signals, 4);
	assert_int_equal(s->signals[3], SIGTERM);
	assert_int_equal(s->ticks, 0);
}

static void test_hangup_can_be_ignored(void **state)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
	struct seen *s = *state;

	loop_free(s->loop);
	sigaction(SIGHUP, &ignore, &old);
	assert_int_equal(loop_new(&s->loop, &ops, s), 0);
	assert_int_equal(loop_set_interval(s->loop, LOOP_NEVER), 0);
	raise(SIGHUP);
	raise(SIGTERM);
	assert_int_equal(loop_run(s->loop), 0);
	assert_int_equal(s->nr_signals, 1);
	sigaction(SIGHUP, &old, NULL);
}

static void test_input(void **state)
{
	struct seen *s = *state;

	assert_int_equal(loop_watch(s->loop, s->pipe[0], on_input), 0);
	assert_int_equal(loop_watch(s->loop, s->pipe[0], on_input), -EEXIST);
	assert_int_equal(loop_watch(s->loop, s->pipe2[0], on_input), 0);
	/* The end of one input leaves the other in place. */
	close(s->pipe[1]);
	s->pipe[1] = -1;
	assert_int_equal(write(s->pipe2[1], "xq", 2), 2);
	assert_int_equal(loop_run(s->loop), 0);
	assert_int_equal(s->inputs, 3);
}

static void test_errors_come_back(void **state)
{
	struct seen *s = *state;

	assert_int_equal(loop_watch(s->loop, s->pipe[0], on_input), 0);
	assert_int_equal(write(s->pipe[1], "e", 1), 1);
	assert_int_equal(loop_run(s->loop), -EIO);
	s->ret = -ENOSPC;
	s->stop_after = 1;
	assert_int_equal(loop_set_interval(s->loop, MSEC), 0);
	assert_int_equal(loop_run(s->loop), -ENOSPC);
}

static void test_late_signals_do_no_harm(void **state)
{
	struct seen *s = *state;

	loop_free(s->loop);
	s->loop = NULL;
	raise(SIGTERM);
	raise(SIGPIPE);
	/* Taken by the next loop. */
	assert_int_equal(loop_new(&s->loop, &ops, s), 0);
	assert_int_equal(loop_run(s->loop), 0);
	assert_int_equal(s->nr_signals, 1);
	assert_int_equal(s->signals[0], SIGTERM);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_ticks_keep_the_grid),	  TEST(test_missed_ticks_are_one),
		TEST(test_free_running),	  TEST(test_signals),
		TEST(test_hangup_can_be_ignored), TEST(test_input),
		TEST(test_errors_come_back),	  TEST(test_late_signals_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

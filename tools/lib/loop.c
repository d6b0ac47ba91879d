// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"

#define NSEC_PER_SEC 1000000000ULL

enum { FD_SIGNAL, FD_TIMER, FD_OTHERS };

struct loop {
	const struct loop_ops *ops;
	void *ctx;
	bool free_running;
	size_t nr; /* of fds and cbs */
	struct pollfd *fds;
	loop_fd_cb *cbs; /* NULL for the first FD_OTHERS */
};

static int grow(struct loop *l)
{
	struct pollfd *fds = reallocarray(l->fds, l->nr + 1, sizeof(*fds));
	loop_fd_cb *cbs;

	if (!fds)
		return -ENOMEM;
	l->fds = fds;
	cbs = reallocarray(l->cbs, l->nr + 1, sizeof(*cbs));
	if (!cbs)
		return -ENOMEM;
	l->cbs = cbs;
	return 0;
}

static int add(struct loop *l, int fd, loop_fd_cb cb)
{
	int err = grow(l);

	if (err)
		return err;
	l->fds[l->nr] = (struct pollfd){ .fd = fd, .events = POLLIN };
	l->cbs[l->nr++] = cb;
	return 0;
}

int loop_watch(struct loop *l, int fd, loop_fd_cb cb)
{
	for (size_t i = 0; i < l->nr; i++) {
		if (l->fds[i].fd == fd)
			return -EEXIST;
	}
	return add(l, fd, cb);
}

void loop_unwatch(struct loop *l, int fd)
{
	for (size_t i = FD_OTHERS; i < l->nr; i++) {
		if (l->fds[i].fd != fd)
			continue;
		l->nr--;
		l->fds[i] = l->fds[l->nr];
		l->cbs[i] = l->cbs[l->nr];
		return;
	}
}

static int block_signals(struct loop *l)
{
	static const int signals[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH,
	};
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction hup;
	sigset_t mask;
	int fd, err;

	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&mask, signals[i]);
	/* nohup ignores it, but a blocked signal would reach us all the same. */
	if (!sigaction(SIGHUP, NULL, &hup) && hup.sa_handler == SIG_IGN)
		sigdelset(&mask, SIGHUP);
	fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	err = add(l, fd, NULL);
	if (!err)
		err = -pthread_sigmask(SIG_BLOCK, &mask, NULL);
	if (err) {
		close(fd);
		l->nr = 0;
		return err;
	}
	/* A closed pipe is met where it is written to, as EPIPE. */
	sigaction(SIGPIPE, &ignore, NULL);
	return 0;
}

int loop_new(struct loop **out, const struct loop_ops *ops, void *ctx)
{
	struct loop *l = calloc(1, sizeof(*l));
	int fd, err;

	if (!l)
		return -ENOMEM;
	l->ops = ops;
	l->ctx = ctx;
	err = block_signals(l);
	if (err) {
		free(l->fds);
		free(l->cbs);
		free(l);
		return err;
	}
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	err = fd < 0 ? -errno : add(l, fd, NULL);
	if (err) {
		if (fd >= 0)
			close(fd);
		loop_free(l);
		return err;
	}
	*out = l;
	return 0;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->nr && i < FD_OTHERS; i++)
		close(l->fds[i].fd);
	free(l->fds);
	free(l->cbs);
	free(l);
}

int loop_set_interval(struct loop *l, uint64_t ns)
{
	struct itimerspec its = { 0 };
	struct timespec now;
	uint64_t first;

	l->free_running = !ns;
	if (ns && ns != LOOP_NEVER) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		first = now.tv_sec * NSEC_PER_SEC + now.tv_nsec + ns;
		its.it_value.tv_sec = first / NSEC_PER_SEC;
		its.it_value.tv_nsec = first % NSEC_PER_SEC;
		its.it_interval.tv_sec = ns / NSEC_PER_SEC;
		its.it_interval.tv_nsec = ns % NSEC_PER_SEC;
	}
	if (timerfd_settime(l->fds[FD_TIMER].fd, TFD_TIMER_ABSTIME, &its, NULL))
		return -errno;
	return 0;
}

static int run_signals(struct loop *l)
{
	struct signalfd_siginfo info;
	ssize_t len;
	int ret = 0;

	while (!ret) {
		len = read(l->fds[FD_SIGNAL].fd, &info, sizeof(info));
		if (len < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (len != sizeof(info))
			return -EIO;
		ret = l->ops->signal(l->ctx, info.ssi_signo);
	}
	return ret;
}

static int run_timer(struct loop *l)
{
	uint64_t expired;
	ssize_t len;

	/* The interval may have been changed since poll() returned: then nothing is there. */
	len = read(l->fds[FD_TIMER].fd, &expired, sizeof(expired));
	if (len < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return l->ops->tick(l->ctx);
}

static int run_others(struct loop *l)
{
	int ret = 0;

	/* A callback may unwatch, which moves the last one into the gap. */
	for (size_t i = FD_OTHERS; !ret && i < l->nr; i++) {
		if (!l->fds[i].revents)
			continue;
		l->fds[i].revents = 0;
		ret = l->cbs[i](l->ctx, l->fds[i].fd);
	}
	return ret;
}

int loop_run(struct loop *l)
{
	int ret = 0;

	while (!ret) {
		if (poll(l->fds, l->nr, l->free_running ? 0 : -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		/* Signals first: a stop must not wait for a slow reading. */
		if (l->fds[FD_SIGNAL].revents)
			ret = run_signals(l);
		if (!ret)
			ret = run_others(l);
		if (!ret && l->fds[FD_TIMER].revents)
			ret = run_timer(l);
		else if (!ret && l->free_running)
			ret = l->ops->tick(l->ctx);
	}
	return ret < 0 ? ret : 0;
}

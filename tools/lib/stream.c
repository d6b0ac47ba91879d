// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "stream.h"

/* How often a reader that does not read is looked after, in ms. */
#define STREAM_STEP_MS 100

struct stream {
	int fd;
	bool may_block;
	int err; /* of the first write that failed */
};

static bool stop_is_pending(void)
{
	static const int stops[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t pending;

	if (sigpending(&pending))
		return false;
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		if (sigismember(&pending, stops[i]))
			return true;
	}
	return false;
}

/* Until a piece can be written without waiting.  0 or an errno. */
static int wait_for_room(const struct stream *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };
	int late = 0, n;

	while (!(n = poll(&p, 1, STREAM_STEP_MS)) || (n < 0 && errno == EINTR)) {
		if (!stop_is_pending())
			continue;
		late += STREAM_STEP_MS;
		if (late >= STREAM_GRACE_MS)
			return EINTR;
	}
	return n < 0 ? errno : 0;
}

static ssize_t stream_write(void *cookie, const char *buf, size_t size)
{
	struct stream *s = cookie;
	size_t done = 0;

	while (done < size && !s->err) {
		size_t piece = size - done;
		ssize_t n;

		if (s->may_block) {
			s->err = wait_for_room(s);
			if (s->err)
				break;
			/* What is said to be writable takes at least that much. */
			if (piece > PIPE_BUF)
				piece = PIPE_BUF;
		}
		n = write(s->fd, buf + done, piece);
		if (n >= 0)
			done += n;
		else if (errno != EAGAIN && errno != EINTR)
			s->err = errno;
	}
	if (s->err)
		errno = s->err;
	return done;
}

static int stream_close(void *cookie)
{
	free(cookie);
	return 0;
}

FILE *stream_open(int fd)
{
	static const cookie_io_functions_t io = { .write = stream_write, .close = stream_close };
	struct stream *s = calloc(1, sizeof(*s));
	struct stat st;
	FILE *f;

	if (!s)
		return NULL;
	s->fd = fd;
	s->may_block = fstat(fd, &st) || !S_ISREG(st.st_mode);
	f = fopencookie(s, "w", io);
	if (!f) {
		free(s);
		return NULL;
	}
	setvbuf(f, NULL, _IOFBF, 256 << 10);
	return f;
}

int stream_check_standard(void)
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

int stream_flush_standard(void)
{
	if (!fflush(stdout) || errno == EPIPE)
		return 0;
	log_err("standard output cannot be written: %s", strerror(errno));
	return -EIO;
}

// SPDX-License-Identifier: GPL-2.0
#include "batch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frame_json.h"
#include "../lib/log.h"

struct record {
	FILE *f;
	int fd; /* outlives f, to cut off what a failed write left */
	bool regular;
	bool emptied; /* of what an earlier recording left */
	off_t good;   /* end of the last complete line */
	char *path;
	struct frame_json *json;
};

static void record_free(struct record *r)
{
	if (r->f)
		fclose(r->f);
	if (r->fd >= 0)
		close(r->fd);
	frame_json_free(r->json);
	free(r->path);
	free(r);
}

int record_open(struct record **out, const char *path)
{
	struct record *r = calloc(1, sizeof(*r));
	struct stat st;
	int fd = -1, err;

	if (!r)
		return -ENOMEM;
	r->fd = -1;
	r->path = strdup(path);
	err = r->path ? frame_json_new(&r->json, NULL, true, true) : -ENOMEM;
	if (err)
		goto out;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (fd >= 0)
		r->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (r->fd < 0 || fstat(r->fd, &st))
		goto out_errno;
	r->regular = S_ISREG(st.st_mode);
	r->f = fdopen(fd, "w");
	if (!r->f)
		goto out_errno;
	*out = r;
	return 0;

out_errno:
	err = -errno;
	log_err("cannot record to %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
out:
	record_free(r);
	return err;
}

/* Leaves complete lines alone in the file, and f closed. */
static void cut(struct record *r)
{
	fclose(r->f);
	r->f = NULL;
	if (r->regular && ftruncate(r->fd, r->good))
		log_err("the last line of %s is incomplete: %s", r->path, strerror(errno));
}

static int begin(struct record *r)
{
	if (r->regular && !r->emptied && ftruncate(r->fd, 0)) {
		int err = -errno;

		log_err("cannot record to %s: %s", r->path, strerror(-err));
		fclose(r->f);
		r->f = NULL;
		return err;
	}
	r->emptied = true;
	return 0;
}

int record_frame(struct record *r, struct model *m, const struct source *src)
{
	const struct frame *f;
	int err;

	/* After a failure, of which the caller knows. */
	if (!r->f)
		return -EIO;
	err = begin(r);
	if (err)
		return err;
	err = model_raw_frame(m, &f);
	if (!err)
		err = frame_json_write(r->json, r->f, m, f, src);
	errno = 0;
	if ((fflush(r->f) || ferror(r->f)) && !err)
		err = errno ? -errno : -EIO;
	if (err) {
		log_err("recording to %s stopped: %s; what was written so far can be replayed",
			r->path, strerror(-err));
		cut(r);
		return err;
	}
	if (r->regular)
		r->good = ftello(r->f);
	return 0;
}

int record_close(struct record *r)
{
	int err = 0;

	if (!r)
		return 0;
	if (r->f) {
		/* Network filesystems report a full disk as late as here. */
		if (fclose(r->f)) {
			err = -errno;
			log_err("recording to %s failed at its end: %s", r->path, strerror(-err));
		}
		r->f = NULL;
	}
	record_free(r);
	return err;
}

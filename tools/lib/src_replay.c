// SPDX-License-Identifier: GPL-2.0
/* A recording as a source: read line by line, one reading at a time. */
#include "replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "replay_line.h"
#include "jread.h"
#include "log.h"

/* Twice what 10,000 vCPUs with full histograms take. */
#define LINE_MAX_BYTES (32u << 20)

struct replay {
	struct source base;
	FILE *f;
	char *path;
	char *line;
	size_t len;
	size_t cap;
	bool complete; /* the line at hand ends with a newline */
	unsigned long lineno;
	struct replay_state *state;
	struct replay_head head; /* of the reading handed over last */
	struct replay_head next_head;
	struct wb_snapshot before; /* handed over first, if have_before */
	struct wb_snapshot next;   /* read ahead by open, if have_next */
	bool have_before;
	bool have_next;
	bool has_baseline; /* the first line is the reading at the start, and no frame */
};

static int grow_line(struct replay *r)
{
	size_t cap = r->cap ? r->cap * 2 : 65536;
	char *line = realloc(r->line, cap);

	if (!line)
		return -ENOMEM;
	r->line = line;
	r->cap = cap;
	return 0;
}

/* The next line without its newline.  0, -ENODATA, or an error after a sentence. */
static int read_text(struct replay *r)
{
	int c;

	r->len = 0;
	r->complete = false;
	while ((c = getc_unlocked(r->f)) != EOF) {
		if (c == '\n') {
			r->complete = true;
			break;
		}
		if (r->len == r->cap) {
			if (r->len >= LINE_MAX_BYTES) {
				log_err("%s, line %lu: longer than %u MiB, not a recording",
					r->path, r->lineno + 1, LINE_MAX_BYTES >> 20);
				return -EBADMSG;
			}
			if (grow_line(r)) {
				log_err("out of memory for line %lu of %s", r->lineno + 1, r->path);
				return -ENOMEM;
			}
		}
		r->line[r->len++] = c;
	}
	if (ferror(r->f)) {
		int err = errno ? -errno : -EIO;

		log_err("%s cannot be read: %s", r->path, strerror(-err));
		return err == -EISDIR ? -EINVAL : err;
	}
	if (!r->len && (c == EOF || jread_at_end(r->f)))
		return -ENODATA;
	r->lineno++;
	return 0;
}

/* A line that ends with the file is what an interrupted writer leaves. */
static void say_cut(const struct replay *r)
{
	unsigned long frames = r->lineno - 1 - r->has_baseline;

	if (!frames)
		log_err("%s ends in the middle of line %lu, before its first frame is whole",
			r->path, r->lineno);
	else if (frames == 1)
		log_err("%s ends in the middle of line %lu; the one frame before it is whole",
			r->path, r->lineno);
	else
		log_err("%s ends in the middle of line %lu; the %lu frames before it are whole",
			r->path, r->lineno, frames);
}

/* The next line into r->next.  Errors as read_text(). */
static int read_next(struct replay *r)
{
	char *error = NULL;
	int err = read_text(r);

	if (err)
		return err;
	err = replay_line(r->state, r->line, r->len, &r->next_head, &r->next, &r->before, &error);
	if (err == -ENOMEM || (err && !error))
		log_err("out of memory for line %lu of %s", r->lineno, r->path);
	else if (err && !r->complete)
		say_cut(r);
	else if (err)
		log_err("%s, line %lu: %s", r->path, r->lineno, error);
	free(error);
	return err;
}

static void take_head(struct replay *r)
{
	replay_head_clear(&r->head);
	r->head = r->next_head;
	memset(&r->next_head, 0, sizeof(r->next_head));
	r->base.name = r->head.source;
	r->base.kernel = r->head.kernel;
	r->base.time_scope = r->head.time_scope;
	r->base.notice = r->head.notice;
}

static int replay_read(struct source *src, struct wb_snapshot *s)
{
	struct replay *r = (struct replay *)src;

	if (r->have_before) {
		*s = r->before;
		memset(&r->before, 0, sizeof(r->before));
		r->have_before = false;
		return 0;
	}
	if (!r->have_next) {
		int err = read_next(r);

		if (err)
			return err;
		take_head(r);
	}
	*s = r->next;
	memset(&r->next, 0, sizeof(r->next));
	r->have_next = false;
	return 0;
}

static void replay_close(struct source *src)
{
	struct replay *r = (struct replay *)src;

	if (r->f)
		fclose(r->f);
	snapshot_clear(&r->before);
	snapshot_clear(&r->next);
	replay_head_clear(&r->head);
	replay_head_clear(&r->next_head);
	replay_state_free(r->state);
	free(r->line);
	free(r->path);
	free(r);
}

static const struct source_ops replay_ops = {
	.kind = "replay",
	.read = replay_read,
	.close = replay_close,
};

/* The first line is read at once: it names the source, and shows what is no recording. */
int source_open_stream(struct source **out, FILE *f, const char *path)
{
	struct replay *r = calloc(1, sizeof(*r));
	int err = -ENOMEM;

	if (!r) {
		fclose(f);
		goto out_memory;
	}
	r->f = f;
	r->base.ops = &replay_ops;
	r->path = strdup(path);
	r->state = replay_state_new();
	if (!r->path || !r->state)
		goto out_memory;
	err = read_next(r);
	if (err == -ENODATA) {
		log_err("%s is empty; it should hold what --record or --json writes", path);
		err = -EBADMSG;
	}
	if (err) {
		replay_close(&r->base);
		return err;
	}
	take_head(r);
	r->have_next = true;
	r->have_before = r->head.has_before;
	r->has_baseline = !r->have_before;
	*out = &r->base;
	return 0;

out_memory:
	log_err("out of memory");
	if (r)
		replay_close(&r->base);
	return err;
}

int source_open_replay(struct source **out, const struct source_config *cfg)
{
	FILE *f = fopen(cfg->replay, "re");
	int err = errno;

	if (!f) {
		log_err("the recording %s cannot be opened: %s", cfg->replay, strerror(err));
		return err == EACCES || err == EPERM ? -EACCES : -EINVAL;
	}
	return source_open_stream(out, f, cfg->replay);
}

/* SPDX-License-Identifier: GPL-2.0 */
/* Frames as text, CSV or JSON lines, and the recording: everything but the screen. */
#ifndef BATCH_H
#define BATCH_H

#include "fields.h"

enum batch_format { BATCH_TABLE, BATCH_CSV, BATCH_JSON };
enum batch_view { BATCH_VMS, BATCH_VICTIMS, BATCH_DEVICES, BATCH_LOG };

struct batch_config {
	enum batch_format format;
	enum batch_view view;	      /* tables only */
	bool vcpus;		      /* tables and JSON */
	bool log;		      /* tables: the interval's events below */
	const char *fields;	      /* -o: paths of vm_fields, NULL: the defaults */
	const struct out_field *sort; /* a field of vm_fields, NULL: the most expensive first */
	bool reverse;
};

struct batch;

/*
 * f stays the caller's; a big buffer is set on it.  0, -EINVAL after a sentence
 * about cfg->fields, -ENOMEM.
 */
int batch_open(struct batch **out, FILE *f, const struct batch_config *cfg);

/*
 * Sorts the frame, writes it and flushes it whole.  0 or a negative errno
 * without a sentence; -EPIPE: nobody reads any more.
 */
int batch_frame(struct batch *b, struct model *m, const struct frame *f, const struct source *src);
void batch_close(struct batch *b);

/* One line about the host, without a newline, cut at size - 1 bytes.  Returns buf. */
char *batch_headline(const struct frame *f, const struct source *src, char *buf, size_t size);

struct record;

/*
 * Creates the file; what one that is there holds is left until the first reading is recorded.
 * 0 or a negative errno after a sentence.
 */
int record_open(struct record **out, const char *path);

/*
 * Appends the model's present reading: whole, whatever is filtered or reset on
 * the screen.  To be called after every model_update(), the first one (whose
 * interval is 0) included.  0, or a negative errno after a sentence: then the
 * file ends with the last complete line.
 */
int record_frame(struct record *r, struct model *m, const struct source *src);

/* 0, or a negative errno after a sentence. r may be NULL. */
int record_close(struct record *r);

#endif /* BATCH_H */

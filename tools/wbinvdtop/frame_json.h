/* SPDX-License-Identifier: GPL-2.0 */
/* A frame as one line of JSON: the one writer of output and recordings. */
#ifndef FRAME_JSON_H
#define FRAME_JSON_H

#include "fields.h"

struct frame_json;

/*
 * vm_paths: -o, or NULL for all; vcpus: with the vCPUs of each VM; record: with
 * what src_replay.c needs beyond that (histograms, keys).  0, -EINVAL after a
 * sentence about vm_paths, -ENOMEM.
 */
int frame_json_new(struct frame_json **out, const char *vm_paths, bool vcpus, bool record);
void frame_json_free(struct frame_json *j);

/*
 * Writes the frame and a newline; nothing but the text of one row is ever
 * built in memory.  Does not flush: errors of f stay in ferror(f).  0 or
 * -ENOMEM.
 */
int frame_json_write(struct frame_json *j, FILE *f, struct model *m, const struct frame *fr,
		     const struct source *src);

#endif /* FRAME_JSON_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* What a frame consists of, once, for every way of showing it. */
#ifndef FIELDS_H
#define FIELDS_H

#include "../lib/out.h"
#include "model.h"
#include "../lib/source.h"

/* The row behind frame_fields; filled by frame_row_init(). */
struct frame_row {
	const struct frame *frame;
	const struct source *src;
	char time[40]; /* RFC 3339, UTC */
};

void frame_row_init(struct frame_row *row, const struct frame *f, const struct source *src);

/* The row behind vm_fields: what is known of the source decides which values are null. */
struct vm_row {
	const struct frame *frame;
	const struct frame_vm *vm;
	const char *label; /* shown instead of the name; NULL: the name */
};

struct vcpu_row {
	const struct frame *frame;
	const struct frame_vm *vm;
	const struct frame_vcpu *vcpu;
};

struct victim_row {
	const struct frame *frame;
	const struct frame_victim *victim;
};

struct device_row {
	const struct frame_vm *vm;
	const struct wb_device *dev;
};

struct event_row {
	const struct frame_event *e;
	char time[24];	/* of the day, local */
	char text[256]; /* what happened */
};

void event_row_init(struct event_row *row, const struct frame_event *e);

/* Why there is no log at all, as a sentence in buf; NULL: there is one. */
const char *events_unknown(const struct wb_snapshot *s, char *buf, size_t size);

extern const struct out_field frame_fields[]; /* schema, source, ... lost.*, sum.* */
extern const struct out_field vm_fields[];    /* id, pid, ... total.*, delta.*, derived rates */
extern const struct out_field vcpu_fields[];
extern const struct out_field victim_fields[];
extern const struct out_field device_fields[];
extern const struct out_field event_fields[]; /* of the log */

/*
 * Sort key: a field of vm_fields; descending for numbers and truth,
 * ascending for strings, null last in either direction, equal ones by id.
 * NULL: the most expensive of the interval first (emulation and stall, then
 * exits).  Without memory the order stays as it is.
 */
void frame_sort(struct frame_vm *vms, size_t n, const struct frame *f, const struct out_field *by,
		bool reverse);

#endif /* FIELDS_H */

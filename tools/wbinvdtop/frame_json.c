// SPDX-License-Identifier: GPL-2.0
#include "frame_json.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/devices.h"
#include "../lib/dmalog.h"

/* One kind of object: its fields, and what writes row after row. */
struct kind {
	const struct out_field **sel;
	size_t n;
	struct out_json *json;
};

struct frame_json {
	bool vcpus;
	bool record;
	bool restricted; /* by -o */
	struct kind frame;
	struct kind vm;
	struct kind vcpu;
	struct kind victim;
	struct kind device;
	FILE *f; /* of the frame at hand */
	int err; /* why it could not be written */
	size_t used;
	char buf[16384];
};

static void kind_free(struct kind *k)
{
	out_json_free(k->json);
	free(k->sel);
}

/* Adds a field that is not there without being asked for. */
static int kind_add(struct kind *k, const struct out_field *field)
{
	const struct out_field **sel = reallocarray(k->sel, k->n + 1, sizeof(*sel));

	if (!sel)
		return -ENOMEM;
	k->sel = sel;
	sel[k->n++] = field;
	return 0;
}

/* paths: NULL: all; more: a derived field behind these, or NULL. */
static int kind_init(struct kind *k, const struct out_field *list, const char *paths,
		     const char *more)
{
	int err = paths ? out_select(list, paths, &k->sel, &k->n) :
			  out_select_all(list, &k->sel, &k->n);

	if (!err && more)
		err = kind_add(k, out_field_find(list, more));
	if (err)
		return err;
	k->json = out_json_new(k->sel, k->n);
	return k->json ? 0 : -ENOMEM;
}

void frame_json_free(struct frame_json *j)
{
	if (!j)
		return;
	kind_free(&j->frame);
	kind_free(&j->vm);
	kind_free(&j->vcpu);
	kind_free(&j->victim);
	kind_free(&j->device);
	free(j);
}

int frame_json_new(struct frame_json **out, const char *vm_paths, bool vcpus, bool record)
{
	struct frame_json *j = calloc(1, sizeof(*j));
	int err;

	if (!j)
		return -ENOMEM;
	j->vcpus = vcpus;
	j->record = record;
	j->restricted = vm_paths;
	err = kind_init(&j->vm, vm_fields, vm_paths, NULL);
	if (!err)
		err = kind_init(&j->frame, frame_fields, NULL, NULL);
	if (!err)
		err = kind_init(&j->vcpu, vcpu_fields, NULL, NULL);
	if (!err)
		err = kind_init(&j->victim, victim_fields, NULL, NULL);
	if (!err)
		err = kind_init(&j->device, device_fields, NULL, record ? "name" : NULL);
	if (err) {
		frame_json_free(j);
		return err;
	}
	*out = j;
	return 0;
}

/* ferror() alone does not say why. */
static void write_out(struct frame_json *j, const char *s, size_t len)
{
	errno = 0;
	if (fwrite(s, 1, len, j->f) != len && !j->err)
		j->err = errno ? -errno : -EIO;
}

static void drain(struct frame_json *j)
{
	write_out(j, j->buf, j->used);
	j->used = 0;
}

static void append(struct frame_json *j, const char *s, size_t len)
{
	if (len > sizeof(j->buf) - j->used)
		drain(j);
	if (len > sizeof(j->buf)) {
		write_out(j, s, len);
		return;
	}
	memcpy(j->buf + j->used, s, len);
	j->used += len;
}

static void put(struct frame_json *j, const char *s)
{
	append(j, s, strlen(s));
}

static void put_number(struct frame_json *j, uint64_t u)
{
	char digits[20];

	append(j, digits, out_digits(u, digits) - digits);
}

/* The row's members without the braces.  0 or -ENOMEM. */
static int put_members(struct frame_json *j, const struct kind *k, const void *row)
{
	size_t len;
	const char *text = out_json_members(k->json, row, &len);

	if (!text)
		return -ENOMEM;
	append(j, text, len);
	return 0;
}

/* A member that only recordings have. */
static void put_extra(struct frame_json *j, const char *name, uint64_t u)
{
	put(j, ",\"");
	put(j, name);
	put(j, "\":");
	put_number(j, u);
}

/* Pairs of slot and count, slots that are 0 left out. */
static void put_hist(struct frame_json *j, const uint32_t *hist)
{
	const char *open = "[";

	put(j, ",\"hist\":[");
	for (unsigned int i = 0; i < WB_HIST_SLOTS; i++) {
		if (!hist[i])
			continue;
		put(j, open);
		put_number(j, i);
		put(j, ",");
		put_number(j, hist[i]);
		put(j, "]");
		open = ",[";
	}
	put(j, "]");
}

static int put_devices(struct frame_json *j, const struct frame_vm *vm)
{
	int err = 0;

	put(j, ",\"devices\":[");
	for (size_t i = 0; !err && i < vm->cur->nr_devices; i++) {
		struct device_row row = { .vm = vm, .dev = &vm->cur->devices[i] };

		put(j, i ? ",{" : "{");
		err = put_members(j, &j->device, &row);
		put(j, "}");
	}
	put(j, "]");
	return err;
}

static int put_vcpus(struct frame_json *j, struct model *m, const struct frame *fr,
		     const struct frame_vm *vm)
{
	struct frame_vcpu *vcpus;
	size_t n;
	int err;

	if (vm->cur->vcpus_unknown) {
		put(j, ",\"vcpus\":null");
		return 0;
	}
	err = model_vcpus(m, fr, vm, &vcpus, &n);
	put(j, ",\"vcpus\":[");
	for (size_t i = 0; !err && i < n; i++) {
		struct vcpu_row row = { .frame = fr, .vm = vm, .vcpu = &vcpus[i] };

		put(j, i ? ",{" : "{");
		err = put_members(j, &j->vcpu, &row);
		if (j->record)
			put_hist(j, vcpus[i].cur->hist);
		put(j, "}");
	}
	put(j, "]");
	return err;
}

static int put_vms(struct frame_json *j, struct model *m, const struct frame *fr)
{
	int err = 0;

	put(j, ",\"vms\":[");
	for (size_t i = 0; !err && i < fr->nr_vms; i++) {
		struct vm_row row = { .frame = fr, .vm = &fr->vms[i] };

		put(j, i ? ",{" : "{");
		err = put_members(j, &j->vm, &row);
		if (j->record)
			put_extra(j, "key", row.vm->cur->key);
		if (!err && !j->restricted)
			err = put_devices(j, row.vm);
		if (!err && j->vcpus)
			err = put_vcpus(j, m, fr, row.vm);
		put(j, "}");
	}
	put(j, "]");
	return err;
}

static int put_victims(struct frame_json *j, const struct frame *fr)
{
	int err = 0;

	if (!(fr->cur->known & WB_KNOWN_STALL)) {
		put(j, ",\"victims\":null");
		return 0;
	}
	put(j, ",\"victims\":[");
	for (size_t i = 0; !err && i < fr->nr_victims; i++) {
		struct victim_row row = { .frame = fr, .victim = &fr->victims[i] };
		const struct wb_victim *v = row.victim->cur;

		put(j, i ? ",{" : "{");
		err = put_members(j, &j->victim, &row);
		if (j->record) {
			put_extra(j, "start", v->start);
			if (v->culprit_kind == WB_CULPRIT_IS_VM)
				put_extra(j, "culprit_key", v->culprit_key);
		}
		put(j, "}");
	}
	put(j, "]");
	return err;
}

/* Gives o away; NULL is no memory. */
static int put_json(struct frame_json *j, json_t *o, size_t flags)
{
	char *text = o ? json_dumps(o, flags) : NULL;

	json_decref(o);
	if (!text)
		return -ENOMEM;
	put(j, text);
	free(text);
	return 0;
}

static int put_event(struct frame_json *j, const struct frame_event *e)
{
	json_t *o = dmalog_to_json(&e->e);

	if (o && json_object_set_new(o, "vm", e->id ? json_string(e->id) : json_null())) {
		json_decref(o);
		o = NULL;
	}
	return put_json(j, o, JSON_COMPACT | JSON_ENSURE_ASCII);
}

static int put_json_str(struct frame_json *j, const char *s)
{
	return put_json(j, s ? json_string(s) : json_null(), JSON_ENCODE_ANY);
}

/* Of the interval. */
static int put_events(struct frame_json *j, const struct frame *fr)
{
	int err = 0;

	put(j, ",\"events_why\":");
	err = put_json_str(j, fr->cur->events_why);
	if (!(fr->cur->known & WB_KNOWN_EVENTS)) {
		put(j, ",\"events\":null,\"events_lost\":null");
		return err;
	}
	put(j, ",\"events_lost\":");
	put_number(j, fr->cur->events_lost);
	put(j, ",\"events\":[");
	for (size_t i = fr->nr_events - fr->nr_new_events; !err && i < fr->nr_events; i++) {
		if (i > fr->nr_events - fr->nr_new_events)
			put(j, ",");
		err = put_event(j, fr->events[i]);
	}
	put(j, "]");
	return err;
}

int frame_json_write(struct frame_json *j, FILE *f, struct model *m, const struct frame *fr,
		     const struct source *src)
{
	struct frame_row row;
	int err;

	j->f = f;
	j->used = 0;
	j->err = 0;
	frame_row_init(&row, fr, src);
	put(j, "{");
	err = put_members(j, &j->frame, &row);
	if (!err)
		err = put_vms(j, m, fr);
	if (!err)
		err = put_victims(j, fr);
	if (!err)
		err = put_events(j, fr);
	put(j, "}\n");
	drain(j);
	return err ? err : j->err;
}

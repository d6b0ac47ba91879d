// SPDX-License-Identifier: GPL-2.0
#include "frame_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/devices.h"

#define DUMP_FLAGS (JSON_COMPACT | JSON_EMBED | JSON_REAL_PRECISION(10))

/* One kind of object: its fields, and the object that holds row after row. */
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
	size_t used;
	char buf[16384]; /* jansson hands over every comma by itself */
};

static void kind_free(struct kind *k)
{
	out_json_free(k->json);
	free(k->sel);
}

static int kind_init(struct kind *k, const struct out_field *list, const char *paths)
{
	int err = paths ? out_select(list, paths, &k->sel, &k->n) :
			  out_select_all(list, &k->sel, &k->n);

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
	err = kind_init(&j->vm, vm_fields, vm_paths);
	if (!err)
		err = kind_init(&j->frame, frame_fields, NULL);
	if (!err)
		err = kind_init(&j->vcpu, vcpu_fields, NULL);
	if (!err)
		err = kind_init(&j->victim, victim_fields, NULL);
	if (!err)
		err = kind_init(&j->device, device_fields, NULL);
	if (err) {
		frame_json_free(j);
		return err;
	}
	*out = j;
	return 0;
}

/* Errors show in ferror(). */
static void drain(struct frame_json *j)
{
	fwrite(j->buf, 1, j->used, j->f);
	j->used = 0;
}

static int append(const char *s, size_t len, void *arg)
{
	struct frame_json *j = arg;

	if (len > sizeof(j->buf) - j->used)
		drain(j);
	if (len > sizeof(j->buf)) {
		fwrite(s, 1, len, j->f);
		return 0;
	}
	memcpy(j->buf + j->used, s, len);
	j->used += len;
	return 0;
}

static void put(struct frame_json *j, const char *s)
{
	append(s, strlen(s), j);
}

/* The members of obj without the braces; NULL: no memory. */
static int put_members(struct frame_json *j, const json_t *obj)
{
	return obj && !json_dump_callback(obj, append, j, DUMP_FLAGS) ? 0 : -ENOMEM;
}

/* Adds a member that only recordings have.  obj and value may be NULL: no memory. */
static json_t *with(json_t *obj, const char *key, json_t *value)
{
	return json_object_set_new(obj, key, value) ? NULL : obj;
}

static json_t *row_of(const struct kind *k, const void *row)
{
	return out_json_fill(k->json, row);
}

/* Pairs of slot and count, slots that are 0 left out. */
static json_t *hist_json(const uint32_t *hist)
{
	json_t *a = json_array();

	for (unsigned int i = 0; a && i < WB_HIST_SLOTS; i++) {
		if (!hist[i])
			continue;
		if (json_array_append_new(a, json_pack("[i,I]", i, (json_int_t)hist[i]))) {
			json_decref(a);
			a = NULL;
		}
	}
	return a;
}

static int put_devices(struct frame_json *j, const struct frame_vm *vm)
{
	int err = 0;

	put(j, ",\"devices\":[");
	for (size_t i = 0; !err && i < vm->cur->nr_devices; i++) {
		struct device_row row = { .vm = vm, .dev = &vm->cur->devices[i] };
		json_t *obj = row_of(&j->device, &row);

		if (j->record)
			obj = with(obj, "name",
				   row.dev->name ? json_string(row.dev->name) : json_null());
		put(j, i ? ",{" : "{");
		err = put_members(j, obj);
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
		json_t *obj = row_of(&j->vcpu, &row);

		if (j->record)
			obj = with(obj, "hist", hist_json(vcpus[i].cur->hist));
		put(j, i ? ",{" : "{");
		err = put_members(j, obj);
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
		json_t *obj = row_of(&j->vm, &row);

		if (j->record)
			obj = with(obj, "key", json_integer(row.vm->cur->key));
		put(j, i ? ",{" : "{");
		err = put_members(j, obj);
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
		json_t *obj = row_of(&j->victim, &row);

		if (j->record) {
			obj = with(obj, "start", json_integer(v->start));
			if (v->culprit_kind == WB_CULPRIT_IS_VM)
				obj = with(obj, "culprit_key", json_integer(v->culprit_key));
			else
				json_object_del(obj, "culprit_key");
		}
		put(j, i ? ",{" : "{");
		err = put_members(j, obj);
		put(j, "}");
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
	frame_row_init(&row, fr, src);
	put(j, "{");
	err = put_members(j, row_of(&j->frame, &row));
	if (!err)
		err = put_vms(j, m, fr);
	if (!err)
		err = put_victims(j, fr);
	put(j, "}\n");
	drain(j);
	return err;
}

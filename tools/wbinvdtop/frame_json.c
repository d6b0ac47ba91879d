// SPDX-License-Identifier: GPL-2.0
#include "frame_json.h"

#include <errno.h>
#include <stdlib.h>

#include "../lib/devices.h"

#define DUMP_FLAGS (JSON_COMPACT | JSON_EMBED | JSON_REAL_PRECISION(10))

struct selection {
	const struct out_field **f;
	size_t n;
};

struct frame_json {
	bool vcpus;
	bool record;
	bool restricted;	/* by -o */
	struct selection frame;
	struct selection vm;
	struct selection vcpu;
	struct selection victim;
	struct selection device;
};

void frame_json_free(struct frame_json *j)
{
	if (!j)
		return;
	free(j->frame.f);
	free(j->vm.f);
	free(j->vcpu.f);
	free(j->victim.f);
	free(j->device.f);
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
	err = vm_paths ? out_select(vm_fields, vm_paths, &j->vm.f, &j->vm.n) :
			 out_select_all(vm_fields, &j->vm.f, &j->vm.n);
	if (!err)
		err = out_select_all(frame_fields, &j->frame.f, &j->frame.n);
	if (!err)
		err = out_select_all(vcpu_fields, &j->vcpu.f, &j->vcpu.n);
	if (!err)
		err = out_select_all(victim_fields, &j->victim.f, &j->victim.n);
	if (!err)
		err = out_select_all(device_fields, &j->device.f, &j->device.n);
	if (err) {
		frame_json_free(j);
		return err;
	}
	*out = j;
	return 0;
}

static int dump_to(const char *buf, size_t size, void *f)
{
	return fwrite_unlocked(buf, 1, size, f) == size ? 0 : -1;
}

/* The members of obj, which may be NULL: no memory.  Takes obj over. */
static int put_members(FILE *f, json_t *obj)
{
	if (!obj)
		return -ENOMEM;
	/* A write error shows in ferror(f), too. */
	json_dump_callback(obj, dump_to, f, DUMP_FLAGS);
	json_decref(obj);
	return 0;
}

static void put(FILE *f, const char *s)
{
	fputs_unlocked(s, f);
}

/* Adds a member that only recordings have; obj and value may be NULL. */
static json_t *with(json_t *obj, const char *key, json_t *value)
{
	if (json_object_set_new(obj, key, value)) {
		json_decref(obj);
		return NULL;
	}
	return obj;
}

static json_t *row_of(const struct selection *s, const void *row)
{
	return out_json_row(s->f, s->n, row);
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

static int put_devices(const struct frame_json *j, FILE *f, const struct frame_vm *vm)
{
	int err = 0;

	put(f, ",\"devices\":[");
	for (size_t i = 0; !err && i < vm->cur->nr_devices; i++) {
		struct device_row row = { .vm = vm, .dev = &vm->cur->devices[i] };
		json_t *obj = row_of(&j->device, &row);

		if (j->record && row.dev->name)
			obj = with(obj, "name", json_string(row.dev->name));
		put(f, i ? ",{" : "{");
		err = put_members(f, obj);
		put(f, "}");
	}
	put(f, "]");
	return err;
}

static int put_vcpus(const struct frame_json *j, FILE *f, struct model *m,
		     const struct frame *fr, const struct frame_vm *vm)
{
	struct frame_vcpu *vcpus;
	size_t n;
	int err;

	if (vm->cur->vcpus_unknown) {
		put(f, ",\"vcpus\":null");
		return 0;
	}
	err = model_vcpus(m, fr, vm, &vcpus, &n);
	put(f, ",\"vcpus\":[");
	for (size_t i = 0; !err && i < n; i++) {
		struct vcpu_row row = { .frame = fr, .vm = vm, .vcpu = &vcpus[i] };
		json_t *obj = row_of(&j->vcpu, &row);

		if (j->record)
			obj = with(obj, "hist", hist_json(vcpus[i].cur->hist));
		put(f, i ? ",{" : "{");
		err = put_members(f, obj);
		put(f, "}");
	}
	put(f, "]");
	return err;
}

static int put_vms(const struct frame_json *j, FILE *f, struct model *m, const struct frame *fr)
{
	int err = 0;

	put(f, ",\"vms\":[");
	for (size_t i = 0; !err && i < fr->nr_vms; i++) {
		struct vm_row row = { .frame = fr, .vm = &fr->vms[i] };
		json_t *obj = row_of(&j->vm, &row);

		if (j->record)
			obj = with(obj, "key", json_integer(row.vm->cur->key));
		put(f, i ? ",{" : "{");
		err = put_members(f, obj);
		if (!err && !j->restricted)
			err = put_devices(j, f, row.vm);
		if (!err && j->vcpus)
			err = put_vcpus(j, f, m, fr, row.vm);
		put(f, "}");
	}
	put(f, "]");
	return err;
}

static int put_victims(const struct frame_json *j, FILE *f, const struct frame *fr)
{
	int err = 0;

	if (!(fr->cur->known & WB_KNOWN_STALL)) {
		put(f, ",\"victims\":null");
		return 0;
	}
	put(f, ",\"victims\":[");
	for (size_t i = 0; !err && i < fr->nr_victims; i++) {
		struct victim_row row = { .frame = fr, .victim = &fr->victims[i] };
		const struct wb_victim *v = row.victim->cur;
		json_t *obj = row_of(&j->victim, &row);

		if (j->record) {
			obj = with(obj, "start", json_integer(v->start));
			if (v->culprit_kind == WB_CULPRIT_IS_VM)
				obj = with(obj, "culprit_key", json_integer(v->culprit_key));
		}
		put(f, i ? ",{" : "{");
		err = put_members(f, obj);
		put(f, "}");
	}
	put(f, "]");
	return err;
}

int frame_json_write(struct frame_json *j, FILE *f, struct model *m, const struct frame *fr,
		     const struct source *src)
{
	struct frame_row row;
	int err;

	frame_row_init(&row, fr, src);
	put(f, "{");
	err = put_members(f, row_of(&j->frame, &row));
	if (!err)
		err = put_vms(j, f, m, fr);
	if (!err)
		err = put_victims(j, f, fr);
	put(f, "}\n");
	return err;
}

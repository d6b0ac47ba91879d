/* SPDX-License-Identifier: GPL-2.0 */
/* Playing recordings in unit tests, and a source that needs no kernel. */
#ifndef REPLAYS_H
#define REPLAYS_H

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frames.h"
#include "../../tools/lib/devices.h"
#include "../../tools/wbinvdtop/batch.h"
#include "../../tools/lib/replay.h"

#define STALL "tests/data/stall.jsonl"
#define THREE "tests/data/three-vms.jsonl"

static inline char *slurp(const char *path)
{
	struct stat st;
	char *text;
	FILE *f = fopen(path, "r");

	if (!f)
		fail_msg("%s: %s; the tests run at the top of the tree", path, strerror(errno));
	fstat(fileno(f), &st);
	text = calloc(1, st.st_size + 1);
	assert_int_equal(fread(text, 1, st.st_size, f), st.st_size);
	fclose(f);
	return text;
}

/* text with the nth (from 1) a replaced by b; free() it. */
static inline char *replaced(const char *text, unsigned int nth, const char *a, const char *b)
{
	const char *at = strstr(text, a);
	char *out;

	while (at && --nth)
		at = strstr(at + 1, a);
	if (!at)
		fail_msg("no %s in the recording", a);
	assert_true(asprintf(&out, "%.*s%s%s", (int)(at - text), text, b, at + strlen(a)) > 0);
	return out;
}

/* Every frame of a source but the first as batch_frame() writes it.  Returns read()'s last. */
static inline int play(struct source *src, const struct batch_config *cfg, const char *record,
		       char **out)
{
	struct model *m = model_new();
	struct record *r = NULL;
	struct batch *b;
	size_t len;
	FILE *f = open_memstream(out, &len);
	bool first = true;
	int err;

	assert_int_equal(batch_open(&b, f, cfg), 0);
	if (record)
		assert_int_equal(record_open(&r, record), 0);
	for (;;) {
		struct wb_snapshot *s = snapshot_new();
		const struct frame *frame;

		err = src->ops->read(src, s);
		if (err) {
			snapshot_free(s);
			break;
		}
		assert_int_equal(model_update(m, s, &frame), 0);
		if (r)
			assert_int_equal(record_frame(r, m, src), 0);
		if (!first)
			assert_int_equal(batch_frame(b, m, frame, src), 0);
		first = false;
	}
	assert_int_equal(record_close(r), 0);
	batch_close(b);
	model_free(m);
	fclose(f);
	return err;
}

static const struct batch_config json = { .format = BATCH_JSON, .vcpus = true };
static const struct batch_config json_plain = { .format = BATCH_JSON };

/*
 * All of a recording in memory, written as cfg says; free() it.  Inlined, gcc 12
 * takes what a memory stream has written for a dangling pointer.
 */
static __attribute__((noinline, unused)) char *play_text(const char *text,
							 const struct batch_config *cfg)
{
	struct source *src;
	char *out;

	assert_int_equal(source_open_stream(&src, fmemopen((void *)text, strlen(text), "r"), "REC"),
			 0);
	assert_int_equal(play(src, cfg, NULL, &out), -ENODATA);
	source_close(src);
	return out;
}

static inline json_t *line_of(const char *text, unsigned int nr)
{
	json_t *obj;

	while (nr--)
		text = strchr(text, '\n') + 1;
	obj = json_loadb(text, strchr(text, '\n') - text, 0, NULL);
	assert_non_null(obj);
	return obj;
}

/* The number at a path such as "vms.0.delta.exits"; -1: null. */
static inline json_int_t at(const json_t *v, const char *path)
{
	char *copy = strdup(path), *rest = copy, *key;

	while ((key = strsep(&rest, ".")))
		v = json_is_array(v) ? json_array_get(v, atoi(key)) : json_object_get(v, key);
	free(copy);
	if (!v)
		fail_msg("no %s", path);
	return json_is_null(v) ? -1 : json_integer_value(v);
}

struct live {
	struct source base;
	unsigned int at;
};

/* Readings with everything in them that a recording has to carry. */
static inline int live_read(struct source *src, struct wb_snapshot *to)
{
	struct live *live = (struct live *)src;
	uint64_t i = live->at++;
	struct wb_snapshot *s;
	struct wb_victim *v;
	struct wb_vm *vm;

	if (i == 5)
		return -ENODATA;
	s = snap(100 + i);
	s->wall_ns += 123456789;
	/* Falls once. */
	s->lost = i == 3 ? 0 : i / 2;
	/* Two VMs of one process without an id, one of them idle for long. */
	vm = add_vm(s, 11, 500, -1, "zw\xc3\xb6lf \"quoted\\\" \xf0\x9f\x90\x84");
	vm->start = 0;
	add_vcpu(vm, 3, 7 * i, 1000 * i, 2);
	add_vcpu(vm, 40, 5 * i * i, 70, 1)->hist[0] = 0xfffffff0 + i;
	vm = add_vm(s, 4, 500, -1, "twin");
	vm->start = 0;
	vm->noncoherent = WB_UNKNOWN;
	/* Ends in reading 2. */
	if (i < 3) {
		vm = add_vm(s, 2, 600, 9, "short");
		add_vcpu(vm, 0, 3 + i, 1ULL << 34, 4)->total.stall_idle_ns = 5 * i;
		vm->ended = i == 2;
		vm->nr_devices = 2;
		vm->devices = calloc(2, sizeof(*vm->devices));
		strcpy(vm->devices[0].bdf, "0000:01:00.0");
		vm->devices[0].name = strdup("Ether");
		vm->devices[0].group = 3;
		vm->devices[0].snoop_control = 0;
		vm->devices[0].no_snoop = DEV_NO_SNOOP_DISABLED;
		assert_int_equal(device_box(&vm->devices[0], NULL), 0);
		strcpy(vm->devices[1].bdf, "0001:ff:1f.7");
		vm->devices[1].group = -1;
		vm->devices[1].snoop_control = -1;
		assert_int_equal(device_box(&vm->devices[1], "a VF"), 0);
	} else {
		s->ended = (struct wb_counters){ .exits = 5,
						 .flushes = 5,
						 .cpus_flushed = 20,
						 .emulation_ns = 5 * (1ULL << 34),
						 .stall_idle_ns = 10 };
	}
	add_victim(s, WB_VICTIM_VM, 600, "short", WB_CULPRIT_IS_VM, 11, i, 100 * i);
	v = add_victim(s, WB_VICTIM_TASK, 70, "t", WB_CULPRIT_IS_VM, 2, 1 + i / 2, 9 * (1 + i));
	v->culprit = strdup("600-9");
	v->start = 4;
	/* The same number, another process. */
	v = add_victim(s, WB_VICTIM_TASK, 70, "t", WB_CULPRIT_IS_SHARED, 0, i, 11 * i);
	v->start = 9;
	add_victim(s, WB_VICTIM_IDLE, 0, "idle", WB_CULPRIT_IS_SHARED, 0, i, 13 * i);
	add_victim(s, WB_VICTIM_TASK, 71, "o", WB_CULPRIT_IS_OTHER, 0, i, 17 * i);
	*to = *s;
	free(s);
	return 0;
}

static inline void live_close(struct source *src)
{
	(void)src;
}

static const struct source_ops live_ops = {
	.kind = "live",
	.read = live_read,
	.close = live_close,
};

static inline struct live live_source(void)
{
	return (struct live){
		.base = { .ops = &live_ops,
			  .name = "fentry",
			  .kernel = "7.2.0-rc1+",
			  .time_scope = "function",
			  .notice = "said of the source" },
	};
}

#endif /* REPLAYS_H */

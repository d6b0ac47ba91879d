// SPDX-License-Identifier: GPL-2.0
/* The log of the model: order, limits, names and filters; and of recordings. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/replay.h"
#include "wbinvdtop/model.h"

#define BDF "0000:01:00.0"

static struct wb_snapshot *reading(uint64_t time_ns)
{
	struct wb_snapshot *s = snapshot_new();

	assert_non_null(s);
	s->time_ns = time_ns;
	s->wall_ns = time_ns;
	s->known = WB_KNOWN_EVENTS;
	return s;
}

static void add_vm(struct wb_snapshot *s, uint64_t key, pid_t pid, const char *id, const char *name)
{
	struct wb_vm *vm = snapshot_add_vm(s);

	assert_non_null(vm);
	vm->key = key;
	vm->pid = pid;
	vm->id = strdup(id);
	vm->name = strdup(name);
}

static void add_event(struct wb_snapshot *s, uint64_t time_ns, pid_t pid, const char *dev)
{
	struct dmalog_event *e = snapshot_add_event(s);

	assert_non_null(e);
	e->time_ns = time_ns;
	e->kind = DMALOG_BOX;
	e->pid = pid;
	snprintf(e->dev, sizeof(e->dev), "%s", dev);
	strcpy(e->comm, "helper");
}

static void names(void **state)
{
	struct model *m = model_new();
	struct wb_snapshot *s = reading(1000);
	const struct frame *f;

	(void)state;
	add_vm(s, 1, 10, "10-7", "web");
	add_vm(s, 2, 20, "20-7", "twin");
	add_vm(s, 3, 20, "20-9", "twin");
	add_event(s, 900, 10, BDF);
	add_event(s, 950, 20, "");
	add_event(s, 990, 30, "");
	assert_int_equal(model_update(m, s, &f), 0);
	assert_int_equal(f->nr_events, 3);
	assert_int_equal(f->nr_new_events, 3);
	assert_string_equal(f->events[0]->who, "web");
	assert_string_equal(f->events[0]->id, "10-7");
	assert_int_equal(f->events[0]->wall_ns, 900);
	/* Of two VMs nobody knows which one it was. */
	assert_string_equal(f->events[1]->who, "twin");
	assert_null(f->events[1]->id);
	assert_string_equal(f->events[2]->who, "helper");
	assert_null(f->events[2]->id);
	model_free(m);
}

static void kvm_is_the_vms(void **state)
{
	struct model *m = model_new();
	struct wb_snapshot *s = reading(1000);
	const struct frame *f;

	(void)state;
	add_vm(s, 1, 10, "10-7", "web");
	add_event(s, 900, 30, "");
	s->events[0].kind = DMALOG_KVM;
	s->events[0].vm_pid = 10;
	assert_int_equal(model_update(m, s, &f), 0);
	assert_int_equal(f->events[0]->pid, 10);
	assert_string_equal(f->events[0]->who, "web");
	model_free(m);
}

static void filters(void **state)
{
	static const pid_t pids[] = { 10 };
	struct model_filter by_pid = { .pids = pids, .nr_pids = 1 };
	struct model_filter by_device = { .text = "01:00" };
	struct model *m = model_new();
	struct wb_snapshot *s = reading(1000);
	const struct frame *f;

	(void)state;
	add_vm(s, 1, 10, "10-7", "web");
	add_event(s, 900, 10, "");
	add_event(s, 950, 20, BDF);
	assert_int_equal(model_update(m, s, &f), 0);
	assert_int_equal(model_set_filter(m, &by_pid), 0);
	assert_int_equal(model_frame(m, &f), 0);
	assert_int_equal(f->nr_events, 1);
	assert_int_equal(f->events[0]->pid, 10);
	assert_int_equal(model_set_filter(m, &by_device), 0);
	assert_int_equal(model_frame(m, &f), 0);
	assert_int_equal(f->nr_events, 1);
	assert_int_equal(f->events[0]->pid, 20);
	/* A recording has all of them. */
	assert_int_equal(model_raw_frame(m, &f), 0);
	assert_int_equal(f->nr_events, 2);
	model_free(m);
}

static void limits(void **state)
{
	struct model *m = model_new();
	struct wb_snapshot *s;
	const struct frame *f;
	uint64_t n = 0;

	(void)state;
	for (int round = 1; round <= 3; round++) {
		s = reading(round * 1000000);
		for (int i = 0; i < 500; i++)
			add_event(s, n++, 10, "");
		assert_int_equal(model_update(m, s, &f), 0);
		assert_int_equal(f->nr_new_events, 500);
	}
	assert_int_equal(f->nr_events, MODEL_LOG_MAX);
	assert_int_equal(f->events[MODEL_LOG_MAX - 1]->e.time_ns, 1499);
	assert_int_equal(f->events[0]->e.time_ns, 1500 - MODEL_LOG_MAX);
	/* More at once than are kept, and then nothing. */
	s = reading(4000000);
	for (int i = 0; i < 3000; i++)
		add_event(s, n++, 10, "");
	assert_int_equal(model_update(m, s, &f), 0);
	assert_int_equal(f->nr_events, MODEL_LOG_MAX);
	assert_int_equal(f->nr_new_events, MODEL_LOG_MAX);
	assert_int_equal(f->events[MODEL_LOG_MAX - 1]->e.time_ns, 4499);
	assert_int_equal(model_update(m, reading(5000000), &f), 0);
	assert_int_equal(f->nr_events, MODEL_LOG_MAX);
	assert_int_equal(f->nr_new_events, 0);
	model_free(m);
}

/* The first line of a recording with one thing replaced; -1: it is refused. */
static long replay_with(const char *from, const char *to)
{
	struct source *src = NULL;
	struct wb_snapshot *s = snapshot_new();
	char *text = NULL, *at;
	size_t room = 0, len;
	long events = -1;
	FILE *in = fopen("tests/data/log.jsonl", "r"), *tmp = tmpfile();
	int err = 0;

	assert_non_null(in);
	assert_non_null(tmp);
	assert_non_null(s);
	/* The third has the events of the attachment. */
	while (getline(&text, &room, in) > 0 && !strstr(text, "\"attach\""))
		;
	at = strstr(text, from);
	assert_non_null(at);
	len = at - text;
	fprintf(tmp, "%.*s%s%s", (int)len, text, to, at + strlen(from));
	rewind(tmp);
	err = source_open_stream(&src, tmp, "it");
	/* The reading before the first line comes first. */
	if (!err)
		err = src->ops->read(src, s);
	snapshot_clear(s);
	if (!err)
		err = src->ops->read(src, s);
	if (!err)
		events = s->nr_events;
	source_close(src);
	snapshot_free(s);
	free(text);
	fclose(in);
	return events;
}

static void recordings(void **state)
{
	(void)state;
	freopen("/dev/null", "w", stderr);
	assert_int_equal(replay_with("\"events\"", "\"events\""), 5);
	/* As if it were older. */
	assert_int_equal(replay_with("\"events\"", "\"others\""), 0);
	assert_int_equal(replay_with("\"policy\":\"none\"", "\"policy\":null"), 5);
	assert_int_equal(replay_with("\"policy\":\"none\"", "\"policy\":\"some\""), -1);
	assert_int_equal(replay_with("\"kind\":\"attach\"", "\"kind\":\"attack\""), -1);
	assert_int_equal(replay_with("\"ioas\":2", "\"ioas\":\"2\""), -1);
	assert_int_equal(replay_with("\"events\":[", "\"events\":[1,"), -1);
	assert_int_equal(replay_with("\"events_lost\":0", "\"events_lost\":-1"), -1);
	assert_int_equal(replay_with("\"skips_policy\":0", "\"skips_policy\":1"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),      cmocka_unit_test(kvm_is_the_vms),
		cmocka_unit_test(filters),    cmocka_unit_test(limits),
		cmocka_unit_test(recordings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0
/* Frames from recordings: computed by hand, written in every way, and back again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "replays.h"

/* --- what comes out -------------------------------------------------------- */

/*
 * Two flushers, A (vCPU 0 of pid 100) and B (vCPU 1 of pid 200), and a spinner.
 *
 * First 2 s: A flushes 4 times in 100, 100, 200 and 400 us and stalls the
 * spinner 3 times (150 us) and an idle CPU once (20 us); B twice in 1 and
 * 3 ms, stalling the spinner once (300 us) and A once (200 us).  Twice (80 us)
 * both may have been it: shared.  Once (1 ms) somebody else.
 * Next 1 s: A once, untimed, stalling an idle CPU (30 us); B once in 10 us;
 * once (40 us) shared.
 */
static void test_stall_fixture(void **state)
{
	static const struct {
		const char *path;
		json_int_t first, second;
	} want[] = {
		{ "interval_ns", 2000000000, 1000000000 },
		/* 150 + 300 + 200 + 80; then 40: shared counts, other does not */
		{ "sum.delta.stall_ns", 730000, 40000 },
		{ "sum.total.stall_ns", 730000, 770000 },
		{ "sum.delta.stall_idle_ns", 20000, 30000 },
		/* 4 + 2 flushes and 3 + 1 + 1 + 1 + 2 stalls; 2 flushes and 1 + 1 stalls */
		{ "sum.delta.flushes", 6, 2 },
		{ "sum.delta.cpus_flushed", 14, 4 },
		/* 800 us + 4 ms over 6; 10 us over the one that was timed */
		{ "sum.delta.mean_ns", 800000, 10000 },
		/* (4.8 ms + 10 us) / 7 */
		{ "sum.total.mean_ns", 800000, 687142 },
		/*
		 * 3rd of 100 100 200 400 1000 3000 us: 200000 is in 7 quarters above 2^17,
		 * 2^17 + 3 * 2^15 - 1; of 7 with 10 us in front the 4th, the same
		 */
		{ "sum.total.p50_ns", 229375, 229375 },
		{ "sum.total.p99_ns", 3000000, 3000000 },
		/* B is the more expensive: vms.0 */
		{ "vms.0.pid", 200, 200 },
		{ "vms.0.delta.stall_ns", 500000, 0 },
		{ "vms.0.delta.emulation_ns", 4000000, 10000 },
		{ "vms.0.delta.mean_ns", 2000000, 10000 },
		/* the 1st of 2: 1 ms is within 7 * 2^17 and 2^20 - 1 */
		{ "vms.0.delta.p50_ns", 1048575, 10000 },
		{ "vms.0.delta.p99_ns", 3000000, 10000 },
		{ "vms.0.delta.max_ns", 3000000, 10000 },
		{ "vms.0.total.max_ns", 3000000, 3000000 },
		{ "vms.0.vcpus.0.id", 1, 1 },
		{ "vms.0.vcpus.0.delta.exits", 2, 1 },
		{ "vms.1.pid", 100, 100 },
		{ "vms.1.delta.stall_ns", 150000, 0 },
		{ "vms.1.delta.stall_idle_ns", 20000, 30000 },
		{ "vms.1.delta.mean_ns", 200000, -1 },
		/* the 2nd of 4: 100000 is within 6 * 2^14 and 7 * 2^14 - 1; then none was timed */
		{ "vms.1.delta.p50_ns", 114687, -1 },
		{ "vms.1.delta.p99_ns", 400000, -1 },
		{ "vms.1.delta.max_ns", 400000, -1 },
		{ "vms.1.delta.untimed", 0, 1 },
		{ "vms.1.total.mean_ns", 200000, 200000 },
		/* most stalled first: other, B, B on A, A, shared, A on idle; then shared, idle */
		{ "victims.0.stall_ns", 1000000, 40000 },
		{ "victims.0.count", 1, 1 },
		{ "victims.1.stall_ns", 300000, 30000 },
	};
	char *text = slurp(STALL), *out = play_text(text, &json);
	json_t *first = line_of(out, 0), *second = line_of(out, 1);

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		if (at(first, want[i].path) != want[i].first)
			fail_msg("first %s is %lld", want[i].path, at(first, want[i].path));
		if (at(second, want[i].path) != want[i].second)
			fail_msg("second %s is %lld", want[i].path, at(second, want[i].path));
	}
	assert_int_equal(json_array_size(json_object_get(first, "victims")), 6);
	assert_int_equal(at(first, "victims.2.pid"), 100);
	assert_int_equal(at(first, "victims.2.stall_ns"), 200000);
	assert_int_equal(at(first, "victims.3.count"), 3);
	assert_int_equal(at(first, "victims.3.max_ns"), 60000);
	assert_int_equal(at(first, "victims.4.count"), 2);
	assert_int_equal(at(first, "victims.5.pid"), 0);
	json_decref(first);
	json_decref(second);
	free(out);
	free(text);
}

/* A shape, names in order: "{a,b{c}}", of arrays the first element. */
static void shape(FILE *f, json_t *v)
{
	const char *key, *sep = "";
	json_t *member;

	if (json_is_array(v) && json_is_object(json_array_get(v, 0))) {
		fputc('[', f);
		shape(f, json_array_get(v, 0));
		fputc(']', f);
	}
	if (!json_is_object(v))
		return;
	fputc('{', f);
	json_object_foreach(v, key, member) {
		fprintf(f, "%s%s", sep, key);
		shape(f, member);
		sep = ",";
	}
	fputc('}', f);
}

/* The names are an interface: none may change or go. */
static void test_names(void **state)
{
#define COUNTERS                                                            \
	"{exits,flushes,skips,untimed,emulation_ns,stall_ns,stall_idle_ns," \
	"cpus_flushed,mean_ns,p50_ns,p99_ns,max_ns,skips_coherent,skips_policy}"
#define VM "id,pid,start,name,ended,noncoherent,policy,total" COUNTERS ",delta" COUNTERS
#define DEVICES                                                                    \
	"devices[{bdf,group,snoop_control,no_snoop,box,box_candidates,box_reason," \
	"certain}]"
#define FRAME                                                                                 \
	"{schema,source,kernel,time,time_ns,interval_ns,time_scope,notice,lost{total,delta}," \
	"sum{total" COUNTERS ",delta" COUNTERS "}"
#define VICTIMS                                                              \
	"victims[{kind,pid,name,culprit,count,stall_ns,max_ns}],events_why," \
	"events,events_lost"
	static const struct {
		struct batch_config cfg;
		const char *shape;
	} t[] = {
		{ { .format = BATCH_JSON }, FRAME ",vms[{" VM "," DEVICES "}]," VICTIMS "}" },
		{ { .format = BATCH_JSON, .vcpus = true },
		  FRAME ",vms[{" VM "," DEVICES ",vcpus[{id,total" COUNTERS ",delta" COUNTERS
			"}]}]," VICTIMS "}" },
		{ { .format = BATCH_JSON, .fields = "name,delta.exits,share.stolen" },
		  FRAME ",vms[{name,delta{exits},share{stolen}}]," VICTIMS "}" },
	};
	char *text = slurp(THREE), *out, *got;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		FILE *f = open_memstream(&got, &len);
		json_t *frame;

		out = play_text(text, &t[i].cfg);
		frame = line_of(out, 0);
		shape(f, frame);
		fclose(f);
		assert_string_equal(got, t[i].shape);
		json_decref(frame);
		free(got);
		free(out);
	}
	free(text);
}

static void test_csv(void **state)
{
	static const struct batch_config cfg = {
		.format = BATCH_CSV,
		.fields = "id,delta.exits,noncoherent",
	};
	static const struct batch_config all = { .format = BATCH_CSV };
	char *text = slurp(STALL), *out = play_text(text, &cfg);
	int commas = 0;

	(void)state;
	assert_string_equal(
		out,
		"source,kernel,time,time_ns,interval_ns,time_scope,lost.total,lost.delta,"
		"id,delta.exits,noncoherent\n"
		"kprobe,6.12.0,2025-01-01T00:00:12.000000000Z,12000000000,2000000000,function,0,0,"
		"200-12,2,true\n"
		"kprobe,6.12.0,2025-01-01T00:00:12.000000000Z,12000000000,2000000000,function,0,0,"
		"100-10,4,true\n"
		"kprobe,6.12.0,2025-01-01T00:00:13.000000000Z,13000000000,1000000000,function,0,0,"
		"200-12,1,true\n"
		"kprobe,6.12.0,2025-01-01T00:00:13.000000000Z,13000000000,1000000000,function,0,0,"
		"100-10,1,true\n");
	free(out);
	/* 8 columns of the frame, 7 + 14 + 14 of the VM; nothing derived */
	out = play_text(text, &all);
	for (const char *c = out; *c != '\n'; c++)
		commas += *c == ',';
	assert_int_equal(commas, 42);
	assert_null(strstr(out, "rate"));
	free(out);
	free(text);
}

/* A frame without VMs has no row, the header comes once all the same. */
static void test_csv_empty(void **state)
{
	static const struct batch_config cfg = { .format = BATCH_CSV, .fields = "id" };
	char *text = slurp(STALL), *out;

	(void)state;
	/* A baseline alone is followed by nothing. */
	*(strchr(text, '\n') + 1) = '\0';
	out = play_text(text, &cfg);
	assert_string_equal(out, "");
	free(out);
	free(text);
}

static void test_table(void **state)
{
	static const struct batch_config cfg = {
		.format = BATCH_TABLE,
		.vcpus = true,
		.fields = "name,delta.exits,delta.max_ns",
	};
	static const struct batch_config victims = {
		.format = BATCH_TABLE,
		.view = BATCH_VICTIMS,
	};
	static const struct batch_config devices = {
		.format = BATCH_TABLE,
		.view = BATCH_DEVICES,
	};
	char *text = slurp(STALL), *out = play_text(text, &cfg), *second;

	(void)state;
	second = strstr(out, "\n\n");
	assert_non_null(second);
	assert_non_null(strstr(out, "WBINVD/s 3.00  flushes/s 3.00  CPU time stolen 0.04%  "
				    "VMs non-coherent 2 of 2  lost 0  source kprobe\n"
				    "name              exits    max\n"
				    "B                     2 3.00ms\n"
				    "  vCPU 1              2 3.00ms\n"
				    "A                     4  400us\n"
				    "  vCPU 0              4  400us\n"
				    "\n"));
	assert_non_null(strstr(second, "A                     1      -\n"));
	free(out);
	out = play_text(text, &victims);
	assert_non_null(strstr(out, "\nvm         100 A                    200-12       B"
				    "                      1   200us   200us\n"));
	assert_non_null(strstr(out, "\ntask       300 spin                 other        -"
				    "                      1  1.00ms  1.00ms\n"));
	free(out);
	free(text);
	text = slurp(THREE);
	out = play_text(text, &devices);
	assert_non_null(strstr(out, "\nweb01               2101 0000:01:00.0 "));
	assert_non_null(strstr(out, "   3|4 bit reads 0; whether hardwired is not proven\n"));
	free(out);
	out = play_text(text, &cfg);
	assert_non_null(strstr(out, "\n(ended) batch         5"));
	free(out);
	free(text);
}

/* Whoever reads text or JSON sees what the screen says of the source. */
static void test_notice(void **state)
{
	static const struct batch_config table = { .format = BATCH_TABLE };
	struct live live = live_source();
	char *out, *line;

	(void)state;
	assert_int_equal(play(&live.base, &table, NULL, &out), -ENODATA);
	for (line = out; line; line = strstr(line + 1, "\n\n")) {
		char *second = strchr(line + 2, '\n');

		assert_non_null(second);
		assert_memory_equal(second, "\nsaid of the source\n ", 21);
	}
	free(out);
	live.at = 0;
	assert_int_equal(play(&live.base, &json, NULL, &out), -ENODATA);
	assert_non_null(strstr(out, ",\"notice\":\"said of the source\","));
	free(out);
	live.at = 0;
	live.base.notice = NULL;
	assert_int_equal(play(&live.base, &json, NULL, &out), -ENODATA);
	assert_non_null(strstr(out, ",\"notice\":null,"));
	free(out);
}

/* --- round trips ------------------------------------------------------------ */

static void test_round_trip(void **state)
{
	char path[] = "/tmp/wb-record-XXXXXX", path2[] = "/tmp/wb-record-XXXXXX";
	struct live live = live_source();
	char *out, *out2, *rec, *rec2;
	struct source *src;

	(void)state;
	close(mkstemp(path));
	close(mkstemp(path2));
	assert_int_equal(play(&live.base, &json, path, &out), -ENODATA);
	assert_int_equal(source_open_replay(&src, &(struct source_config){ .replay = path }), 0);
	assert_string_equal(src->name, "fentry");
	assert_string_equal(src->kernel, "7.2.0-rc1+");
	assert_string_equal(src->time_scope, "function");
	assert_string_equal(src->notice, "said of the source");
	assert_int_equal(play(src, &json, path2, &out2), -ENODATA);
	source_close(src);
	assert_non_null(strstr(out, "\"p50_ns\":"));
	assert_string_equal(out, out2);
	rec = slurp(path);
	rec2 = slurp(path2);
	assert_string_equal(rec, rec2);
	free(out);
	free(out2);
	free(rec);
	free(rec2);
	unlink(path);
	unlink(path2);
}

/* The fixtures themselves are what a recorder writes. */
static void test_fixture_round_trip(void **state)
{
	char path[] = "/tmp/wb-record-XXXXXX";
	char *text = slurp(THREE), *out, *rec;
	struct source *src;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(source_open_replay(&src, &(struct source_config){ .replay = THREE }), 0);
	assert_int_equal(play(src, &json, path, &out), -ENODATA);
	source_close(src);
	rec = slurp(path);
	assert_string_equal(rec, text);
	unlink(path);
	free(out);
	free(rec);
	free(text);
}

/* A filter and a baseline change the screen, not the recording. */
static void test_record_is_whole(void **state)
{
	char path[] = "/tmp/wb-record-XXXXXX", path2[] = "/tmp/wb-record-XXXXXX";
	struct live live = live_source();
	struct model *m = model_new();
	const struct frame *f;
	struct record *r;
	char *out, *rec, *rec2;

	(void)state;
	close(mkstemp(path));
	close(mkstemp(path2));
	assert_int_equal(play(&live.base, &json, path, &out), -ENODATA);
	live.at = 0;
	assert_int_equal(record_open(&r, path2), 0);
	assert_int_equal(model_set_filter(m, &(struct model_filter){ .text = "twin" }), 0);
	for (unsigned int i = 0; i < 5; i++) {
		struct wb_snapshot *s = snapshot_new();

		assert_int_equal(live_read(&live.base, s), 0);
		assert_int_equal(model_update(m, s, &f), 0);
		assert_int_equal(f->nr_vms, 1);
		if (i == 2)
			assert_int_equal(model_rebase(m), 0);
		assert_int_equal(record_frame(r, m, &live.base), 0);
	}
	assert_int_equal(record_close(r), 0);
	model_free(m);
	rec = slurp(path);
	rec2 = slurp(path2);
	assert_string_equal(rec, rec2);
	unlink(path);
	unlink(path2);
	free(out);
	free(rec);
	free(rec2);
}

/* What was recorded earlier is lost to a reading, not to a source that cannot be had. */
static void test_record_keeps(void **state)
{
	char path[] = "/tmp/wb-record-XXXXXX", old[8192];
	struct live live = live_source();
	struct model *m = model_new();
	struct wb_snapshot *s = snapshot_new();
	const struct frame *f;
	struct record *r;
	char *rec;
	int fd = mkstemp(path);

	(void)state;
	memset(old, '~', sizeof(old));
	assert_int_equal(write(fd, old, sizeof(old)), sizeof(old));
	assert_int_equal(record_open(&r, path), 0);
	assert_int_equal(record_close(r), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), sizeof(old));
	assert_int_equal(record_open(&r, path), 0);
	assert_int_equal(live_read(&live.base, s), 0);
	assert_int_equal(model_update(m, s, &f), 0);
	assert_int_equal(record_frame(r, m, &live.base), 0);
	assert_int_equal(record_close(r), 0);
	model_free(m);
	rec = slurp(path);
	assert_null(strchr(rec, '~'));
	assert_ptr_equal(strchr(rec, '\n'), rec + strlen(rec) - 1);
	unlink(path);
	close(fd);
	free(rec);
}

static void drop(json_t *v, const char *key)
{
	json_t *member;
	const char *k;
	size_t i;

	json_object_del(v, key);
	json_object_foreach(v, k, member)
		drop(member, key);
	json_array_foreach(v, i, member)
		drop(member, key);
}

/* Quantiles need histograms: without them they are not known. */
static void nullify(json_t *v, const char *key)
{
	json_t *member;
	const char *k;
	size_t i;

	if (json_object_get(v, key))
		json_object_set_new(v, key, json_null());
	json_object_foreach(v, k, member)
		nullify(member, key);
	json_array_foreach(v, i, member)
		nullify(member, key);
}

/* Lines that differ in quantiles at most. */
static void assert_same_but_quantiles(const char *a, const char *b)
{
	while (*a && *b) {
		json_t *first = line_of(a, 0), *second = line_of(b, 0);

		nullify(first, "p50_ns");
		nullify(first, "p99_ns");
		nullify(second, "p50_ns");
		nullify(second, "p99_ns");
		assert_true(json_equal(first, second));
		json_decref(first);
		json_decref(second);
		a = strchr(a, '\n') + 1;
		b = strchr(b, '\n') + 1;
	}
	assert_true(!*a && !*b);
}

/* What --json wrote, with or without vCPUs, says the same again but for its quantiles. */
static void test_plain_json(void **state)
{
	static const char *const paths[] = { STALL, THREE };

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		const struct batch_config *cfg = i & 1 ? &json : &json_plain;
		char *text = slurp(paths[i / 2]), *once = play_text(text, cfg);
		char *twice = play_text(once, cfg);

		assert_null(strstr(twice, "\"p50_ns\":1"));
		assert_same_but_quantiles(once, twice);
		free(text);
		free(once);
		free(twice);
	}
}

/* Two VMs of one process without an id are told apart by their order. */
static void test_plain_twins(void **state)
{
	struct live live = live_source();
	char *once, *twice;

	(void)state;
	assert_int_equal(play(&live.base, &json, NULL, &once), -ENODATA);
	twice = play_text(once, &json);
	assert_same_but_quantiles(once, twice);
	free(once);
	free(twice);
}

/* A process may make a VM again under the number of one that has ended. */
static void test_plain_again(void **state)
{
	char *text = slurp(STALL), *plain = play_text(text, &json);
	char *ended = replaced(plain, 2, "\"ended\":false", "\"ended\":true");
	char *out = play_text(ended, &json);
	json_t *second = line_of(out, 1);

	(void)state;
	/* A, the second of the line: all it has is new */
	assert_int_equal(at(second, "vms.0.pid"), 100);
	assert_int_equal(at(second, "vms.0.delta.exits"), 5);
	json_decref(second);
	free(out);
	free(ended);
	free(plain);
	free(text);
}

/* Culprits that a filter left out are still two. */
static void test_plain_unlisted(void **state)
{
	char *text = slurp(STALL), *plain = play_text(text, &json);
	char *one = replaced(plain, 1, "\"culprit\":\"200-12\"", "\"culprit\":\"1-1\"");
	char *two = replaced(one, 1, "\"culprit\":\"100-10\"", "\"culprit\":\"2-2\"");
	char *out = play_text(two, &json);
	json_t *first = line_of(out, 0);

	(void)state;
	assert_int_equal(json_array_size(json_object_get(first, "victims")), 6);
	json_decref(first);
	free(out);
	free(two);
	free(one);
	free(plain);
	free(text);
}

/* More than any buffer on the way holds. */
static void test_big(void **state)
{
	struct model *m = model_new();
	struct live live = live_source();
	const struct frame *f;
	struct batch *b;
	char *name = malloc(40001), *text;
	json_t *frame, *vm;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	memset(name, 'x', 40000);
	name[40000] = '\0';
	assert_int_equal(batch_open(&b, out, &json), 0);
	for (uint64_t t = 1; t <= 2; t++) {
		struct wb_snapshot *s = snap(t);
		struct wb_vm *v = add_vm(s, 1, 100, 5, t == 1 ? "x" : name);

		for (unsigned int i = 0; i < 1000; i++)
			add_vcpu(v, i, i * t, 1000 + i, 2);
		assert_int_equal(model_update(m, s, &f), 0);
	}
	assert_int_equal(batch_frame(b, m, f, &live.base), 0);
	batch_close(b);
	fclose(out);
	frame = line_of(text, 0);
	vm = json_array_get(json_object_get(frame, "vms"), 0);
	assert_string_equal(json_string_value(json_object_get(vm, "name")), name);
	assert_int_equal(json_array_size(json_object_get(vm, "vcpus")), 1000);
	for (unsigned int i = 0; i < 1000; i++)
		assert_int_equal(at(json_array_get(json_object_get(vm, "vcpus"), i), "delta.exits"),
				 i);
	json_decref(frame);
	free(text);
	free(name);
	model_free(m);
}

/* Recording a replay of plain output makes a recording of it. */
static void test_plain_becomes_recording(void **state)
{
	char path[] = "/tmp/wb-record-XXXXXX";
	char *text = slurp(THREE), *plain = play_text(text, &json), *out, *out2;
	struct source *src;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(source_open_stream(&src, fmemopen(plain, strlen(plain), "r"), "REC"), 0);
	assert_int_equal(play(src, &json, path, &out), -ENODATA);
	source_close(src);
	assert_int_equal(source_open_replay(&src, &(struct source_config){ .replay = path }), 0);
	assert_int_equal(play(src, &json, NULL, &out2), -ENODATA);
	source_close(src);
	assert_string_equal(out, out2);
	unlink(path);
	free(out);
	free(out2);
	free(plain);
	free(text);
}

/* A recording whose beginning was cut off goes on from where it is. */
static void test_no_baseline(void **state)
{
	char *text = slurp(STALL), *cut = strchr(text, '\n') + 1;
	char *whole = play_text(text, &json), *out = play_text(cut, &json);
	json_t *a = line_of(whole, 0), *b = line_of(out, 0);

	(void)state;
	/* Of the first interval there is no histogram. */
	assert_true(json_equal(json_object_get(json_object_get(a, "sum"), "total"),
			       json_object_get(json_object_get(b, "sum"), "total")));
	assert_int_equal(at(b, "sum.delta.p50_ns"), -1);
	assert_int_equal(at(b, "sum.delta.mean_ns"), 800000);
	drop(a, "sum");
	drop(b, "sum");
	nullify(a, "p50_ns");
	nullify(a, "p99_ns");
	nullify(b, "p50_ns");
	nullify(b, "p99_ns");
	assert_true(json_equal(a, b));
	/* the second frame is the same to the byte */
	assert_string_equal(strchr(whole, '\n'), strchr(out, '\n'));
	json_decref(a);
	json_decref(b);
	free(whole);
	free(out);
	free(text);

	/* 3 exits were lost, but before the last line. */
	text = slurp(THREE);
	cut = text;
	for (unsigned int i = 0; i < 6; i++)
		cut = strchr(cut, '\n') + 1;
	out = play_text(cut, &json);
	a = line_of(out, 0);
	assert_int_equal(at(a, "lost.total"), 3);
	assert_int_equal(at(a, "lost.delta"), 0);
	json_decref(a);
	free(out);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stall_fixture),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_csv_empty),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_notice),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_fixture_round_trip),
		cmocka_unit_test(test_record_is_whole),
		cmocka_unit_test(test_record_keeps),
		cmocka_unit_test(test_plain_json),
		cmocka_unit_test(test_plain_twins),
		cmocka_unit_test(test_plain_again),
		cmocka_unit_test(test_plain_unlisted),
		cmocka_unit_test(test_big),
		cmocka_unit_test(test_plain_becomes_recording),
		cmocka_unit_test(test_no_baseline),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0
/* Recordings: what is written comes back, and what is wrong is said. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "frames.h"
#include "../../tools/lib/devices.h"
#include "../../tools/wbinvdtop/batch.h"
#include "../../tools/wbinvdtop/replay.h"

#define STALL "tests/data/stall.jsonl"
#define THREE "tests/data/three-vms.jsonl"

/* --- helpers --------------------------------------------------------------- */

struct capture {
	int fd;
	int saved;
};

static void capture_stderr(struct capture *c)
{
	fflush(stderr);
	c->fd = memfd_create("stderr", 0);
	c->saved = dup(STDERR_FILENO);
	assert_true(c->fd >= 0 && c->saved >= 0);
	dup2(c->fd, STDERR_FILENO);
}

/* What went to stderr meanwhile; free() it. */
static char *release_stderr(struct capture *c)
{
	off_t len;
	char *text;

	fflush(stderr);
	dup2(c->saved, STDERR_FILENO);
	len = lseek(c->fd, 0, SEEK_END);
	text = calloc(1, len + 1);
	assert_non_null(text);
	assert_int_equal(pread(c->fd, text, len, 0), len);
	close(c->fd);
	close(c->saved);
	return text;
}

static char *slurp(const char *path)
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
static char *replaced(const char *text, unsigned int nth, const char *a, const char *b)
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
static int play(struct source *src, const struct batch_config *cfg, const char *record, char **out)
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

/* All of a recording in memory, written as cfg says; free() it. */
static char *play_text(const char *text, const struct batch_config *cfg)
{
	struct source *src;
	char *out;

	assert_int_equal(source_open_stream(&src, fmemopen((void *)text, strlen(text), "r"), "REC"),
			 0);
	assert_int_equal(play(src, cfg, NULL, &out), -ENODATA);
	source_close(src);
	return out;
}

/* "byte " at the end of the sentence wanted: where the parser stopped is jansson's to say. */
static bool said_so(const char *said, const char *sentence)
{
	size_t n = strlen(sentence);

	if (n < 6 || strcmp(sentence + n - 6, "byte \n"))
		return !strcmp(said, sentence);
	return !strncmp(said, sentence, n - 1) &&
	       !strcmp(said + n - 1 + strspn(said + n - 1, "0123456789"), "\n");
}

/*
 * Frames that come before the error, which must be the sentence given and the
 * only one.
 */
static int frames_until(const char *text, size_t len, int want, const char *sentence)
{
	struct capture c;
	struct source *src;
	char *out = NULL, *said;
	int err, frames = 0;

	capture_stderr(&c);
	err = source_open_stream(
		&src, len ? fmemopen((void *)text, len, "r") : fopen("/dev/null", "r"), "REC");
	if (!err) {
		err = play(src, &json, NULL, &out);
		source_close(src);
	}
	said = release_stderr(&c);
	if (err != want || !said_so(said, sentence))
		fail_msg("error %d, not %d; said: %swanted: %s", err, want, said, sentence);
	for (char *p = out; p && *p; p++)
		frames += *p == '\n';
	free(out);
	free(said);
	return frames;
}

static void assert_refused(const char *text, int frames, const char *sentence)
{
	char *line;

	assert_true(asprintf(&line, "REC%s\n", sentence) > 0);
	assert_int_equal(frames_until(text, strlen(text), -EBADMSG, line), frames);
	free(line);
}

static json_t *line_of(const char *text, unsigned int nr)
{
	json_t *obj;

	while (nr--)
		text = strchr(text, '\n') + 1;
	obj = json_loadb(text, strchr(text, '\n') - text, 0, NULL);
	assert_non_null(obj);
	return obj;
}

/* The number at a path such as "vms.0.delta.exits"; -1: null. */
static json_int_t at(const json_t *v, const char *path)
{
	char *copy = strdup(path), *rest = copy, *key;

	while ((key = strsep(&rest, ".")))
		v = json_is_array(v) ? json_array_get(v, atoi(key)) : json_object_get(v, key);
	free(copy);
	if (!v)
		fail_msg("no %s", path);
	return json_is_null(v) ? -1 : json_integer_value(v);
}

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

/* The names are an interface: none may change, go or move. */
static void test_names(void **state)
{
#define COUNTERS                                                            \
	"{exits,flushes,skips,untimed,emulation_ns,stall_ns,stall_idle_ns," \
	"cpus_flushed,mean_ns,p50_ns,p99_ns,max_ns}"
#define VM "id,pid,start,name,ended,noncoherent,total" COUNTERS ",delta" COUNTERS
#define DEVICES                                                                    \
	"devices[{bdf,group,snoop_control,no_snoop,box,box_candidates,box_reason," \
	"certain}]"
#define FRAME                                                                          \
	"{schema,source,kernel,time,time_ns,interval_ns,time_scope,lost{total,delta}," \
	"sum{total" COUNTERS ",delta" COUNTERS "}"
#define VICTIMS "victims[{kind,pid,name,culprit,count,stall_ns,max_ns}]"
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
	/* 8 columns of the frame, 6 + 12 + 12 of the VM; nothing derived */
	out = play_text(text, &all);
	for (const char *c = out; *c != '\n'; c++)
		commas += *c == ',';
	assert_int_equal(commas, 37);
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

/* --- round trips ------------------------------------------------------------ */

struct live {
	struct source base;
	unsigned int at;
};

/* Readings with everything in them that a recording has to carry. */
static int live_read(struct source *src, struct wb_snapshot *to)
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

static void live_close(struct source *src)
{
	(void)src;
}

static const struct source_ops live_ops = {
	.kind = "live",
	.read = live_read,
	.close = live_close,
};

static struct live live_source(void)
{
	return (struct live){
		.base = { .ops = &live_ops,
			  .name = "fentry",
			  .kernel = "7.2.0-rc1+",
			  .time_scope = "function" },
	};
}

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

/* --- bad input --------------------------------------------------------------- */

static void test_refused(void **state)
{
	static const struct {
		unsigned int nth;
		const char *a, *b;
		int frames;
		const char *sentence;
	} t[] = {
		{ 1, "wbinvdtop/1", "wbinvdtop/2", 0,
		  ", line 1: schema is \"wbinvdtop/2\", not \"wbinvdtop/1\": written by another "
		  "version or program" },
		{ 3, "wbinvdtop/1", "wbinvdtop/2", 1,
		  ", line 3: schema is \"wbinvdtop/2\", not \"wbinvdtop/1\": written by another "
		  "version or program" },
		{ 2, "\"schema\":\"wbinvdtop/1\",", "", 0, ", line 2: schema is missing" },
		{ 1, "\"source\":\"kprobe\"", "\"source\":7", 0,
		  ", line 1: source is not a string" },
		{ 1, "\"source\":\"kprobe\"", "\"source\":null", 0, ", line 1: source is null" },
		{ 1, "\"kprobe\"", "\"k\\u001b[2J\"", 0,
		  ", line 1: source holds control characters" },
		{ 1, "\"kprobe\"", "\"k\\u009b2J\"", 0,
		  ", line 1: source holds control characters" },
		{ 1, "T00:00:10.0", " 00:00:10.0", 0,
		  ", line 1: time is not as in 2025-12-31T23:59:59.000000000Z" },
		{ 1, "00:00:10.000000000Z", "00:00:10.000000000+01:00", 0,
		  ", line 1: time is not as in 2025-12-31T23:59:59.000000000Z" },
		{ 1, "2025-01-01T00:00:10", "9999-01-01T00:00:10", 0,
		  ", line 1: time is not as in 2025-12-31T23:59:59.000000000Z" },
		{ 1, ":12000000000,", ":9000000000,", 0,
		  ", line 2: time_ns goes backwards, from 10000000000 to 9000000000" },
		{ 1, ":12000000000,", ":-12000000000,", 0, ", line 2: time_ns is negative" },
		{ 1, ":12000000000,", ":12e9,", 0, ", line 2: time_ns is not a whole number" },
		{ 1, ":12000000000,", ":99999999999999999999,", 0,
		  ", line 2: a number is too big at byte " },
		{ 1, "\"interval_ns\":2000000000", "\"interval_ns\":2000000001", 0,
		  ", line 2: interval_ns reaches back beyond the line before" },
		{ 1, "\"interval_ns\":0", "\"interval_ns\":10000000001", 0,
		  ", line 1: interval_ns is more than time_ns" },
		{ 1, "\"interval_ns\":1000000000", "\"interval_ns\":0", 1,
		  ", line 3: interval_ns is 0: another recording begins here" },
		{ 2, "\"lost\":{\"total\":0", "\"lost\":{\"total\":-1", 0,
		  ", line 2: lost.total is negative" },
		{ 2, "\"lost\":{\"total\":0,\"delta\":0", "\"lost\":{\"total\":0,\"delta\":1", 0,
		  ", line 2: lost.delta is 1, not within 0 to 0" },
		{ 1, "\"exits\":6", "\"exits\":\"6\"", 0,
		  ", line 2: sum.total.exits is not a whole number" },
		{ 1, "\"exits\":6", "\"exits\":1000000000000000001", 0,
		  ", line 2: sum.total.exits is 1000000000000000001, not within 0 to "
		  "1000000000000000000" },
		{ 1, "\"exits\":6", "\"exits\":5", 0,
		  ", line 2: sum.delta.exits is more than the total" },
		{ 1, "\"exits\":8", "\"exits\":7", 1,
		  ", line 3: sum.total.exits is less than its parts" },
		{ 1, "\"flushes\":4", "\"flushes\":null", 0,
		  ", line 2: vms[0].total.flushes is null, unlike the others of its kind" },
		{ 1, "\"exits\":4", "\"exits\":5", 0,
		  ", line 2: vms[0].total.exits is not the sum of its vCPUs" },
		{ 1, "\"pid\":100", "\"pid\":0", 0,
		  ", line 2: vms[0].pid is 0, not within 1 to 2147483647" },
		{ 1, "\"name\":\"A\",", "", 0, ", line 2: vms[0].name is missing" },
		{ 1, "\"name\":\"A\"", "\"name\":\"A\",\"name\":\"B\"", 0,
		  ", line 2: a name stands twice in one object at byte " },
		{ 1, "\"ended\":false", "\"ended\":null", 0,
		  ", line 2: vms[0].ended is neither true nor false" },
		{ 1, "\"ended\":false", "\"ended\":true", 1,
		  ", line 3: the VM of process 100 has ended on the line before" },
		{ 1, "\"key\":1", "\"key\":2", 0, ", line 2: two VMs have the key 2" },
		{ 2, "\"key\":2,", "", 1,
		  ", line 3: vms[1].key is missing, unlike the keys before" },
		{ 1, ",\"culprit_key\":2", "", 0,
		  ", line 2: victims[1].culprit_key is missing, unlike the keys before" },
		{ 1, "\"devices\":[]", "\"devices\":{}", 0,
		  ", line 2: vms[0].devices is not an array" },
		{ 1, "\"devices\":[]", "\"devices\":[{}]", 0,
		  ", line 2: vms[0].devices[0].bdf is missing" },
		{ 1, "\"vcpus\":[{\"id\":0", "\"vcpus\":[{\"id\":4294967296", 0,
		  ", line 2: vms[0].vcpus[0].id is 4294967296, not within 0 to 4294967295" },
		{ 2, "\"vcpus\":[{\"id\":0", "\"vcpus\":[{\"id\":5", 1,
		  ", line 3: vCPU 0 of the VM of process 100 is missing" },
		{ 1, "[43,2]", "[43,2,1]", 0,
		  ", line 2: vms[0].vcpus[0].hist[0] is not a slot and its count" },
		{ 1, "[43,2]", "[43,-2]", 0,
		  ", line 2: vms[0].vcpus[0].hist[0] has a count that is not within 0 to "
		  "4294967295" },
		{ 1, "[43,2]", "[110,2]", 0,
		  ", line 2: vms[0].vcpus[0].hist[0] is out of order, or its slot is not below "
		  "110" },
		{ 1, "[43,2]", "[47,2]", 0,
		  ", line 2: vms[0].vcpus[0].hist[1] is out of order, or its slot is not below "
		  "110" },
		{ 1, "\"count\":1,", "\"count\":1000000000000000000,", 0,
		  ", line 2: the stalls of the victims are absurdly many" },
		{ 1, "\"kind\":\"task\"", "\"kind\":\"cow\"", 0,
		  ", line 2: victims[0].kind is neither vm, task nor idle" },
		{ 2, "\"victims\":[", "\"victims\":null,\"x\":[", 0,
		  ", line 2: victims is not an array" },
		{ 1, "\"vms\":[]", "\"vms\":7", 0, ", line 1: vms is not an array" },
		{ 2, "{\"schema\"", "[{\"schema\"", 0, ", line 2: not JSON at byte " },
		{ 2, "{\"schema\"", "7\n{\"schema\"", 0, ", line 2: not JSON at byte " },
		{ 2, "{\"schema\"", "[7]\n{\"schema\"", 0, ", line 2: not a JSON object" },
		{ 2, "{\"schema\"", "\n{\"schema\"", 0, ", line 2: not JSON at byte " },
	};
	char *text = slurp(STALL);

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char *bad;

		bad = replaced(text, t[i].nth, t[i].a, t[i].b);
		assert_refused(bad, t[i].frames, t[i].sentence);
		free(bad);
	}
	free(text);
}

static void test_long_string(void **state)
{
	char *text = slurp(STALL), *name, *bad;

	(void)state;
	assert_true(asprintf(&name, "\"name\":\"%05000d\"", 0) > 0);
	bad = replaced(text, 1, "\"name\":\"A\"", name);
	assert_refused(bad, 0, ", line 2: vms[0].name has 5000 bytes, more than 4096");
	free(bad);
	free(name);
	free(text);
}

/* One vCPU of the second line with a counter lower than before, the sums made to fit. */
static void test_backwards(void **state)
{
	char *text = slurp(STALL), *bad = text, *next;
	static const char *const from[] = {
		"\"exits\":5,\"flushes\":5",
		"\"exits\":5,\"flushes\":5",
		"\"exits\":1,\"flushes\":1",
		"\"exits\":1,\"flushes\":1",
	};
	static const char *const to[] = {
		"\"exits\":3,\"flushes\":3",
		"\"exits\":3,\"flushes\":3",
		"\"exits\":0,\"flushes\":0",
		"\"exits\":0,\"flushes\":0",
	};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		next = replaced(bad, 1, from[i], to[i]);
		free(bad);
		bad = next;
	}
	assert_refused(bad, 1, ", line 3: total.exits of the VM of process 100 goes backwards");
	free(bad);
}

/* Complete frames are shown, then the line that is not is named. */
static void test_truncated(void **state)
{
	char *text = slurp(STALL);
	size_t len = strlen(text);

	(void)state;
	/* The newline alone may be missing. */
	assert_int_equal(frames_until(text, len - 1, -ENODATA, ""), 2);
	assert_int_equal(
		frames_until(text, len - 2, -EBADMSG,
			     "REC ends in the middle of line 3; the 2 before it are whole\n"),
		1);
	assert_int_equal(
		frames_until(text, 5, -EBADMSG,
			     "REC ends in the middle of line 1; the 0 before it are whole\n"),
		0);
	assert_int_equal(
		frames_until(text, 0, -EBADMSG,
			     "REC is empty; it should hold what --record or --json writes\n"),
		0);
	/* every length in between is one or the other, and ends */
	for (size_t i = 1; i < len; i += 97) {
		unsigned int lines = 0;
		char *line;

		for (size_t k = 0; k < i; k++)
			lines += text[k] == '\n';
		assert_true(asprintf(&line,
				     "REC ends in the middle of line %u; the %u before it "
				     "are whole\n",
				     lines + 1, lines) > 0);
		if (text[i] != '\n' && text[i - 1] != '\n')
			assert_int_equal(frames_until(text, i, -EBADMSG, line),
					 lines ? lines - 1 : 0);
		free(line);
	}
	free(text);
}

static void test_unreadable(void **state)
{
	static const char *const paths[] = { "/no/such/file", "/" };
	static const char *const sentences[] = {
		"the recording /no/such/file cannot be opened: No such file or directory\n",
		"/ cannot be read: Is a directory\n",
	};

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct capture c;
		struct source *src;
		char *said;
		int err;

		capture_stderr(&c);
		err = source_open_replay(&src, &(struct source_config){ .replay = paths[i] });
		said = release_stderr(&c);
		assert_int_equal(err, -EINVAL);
		assert_string_equal(said, sentences[i]);
		free(said);
	}
}

/* A line without an end is not swallowed whole. */
static void test_endless_line(void **state)
{
	struct capture c;
	struct source *src;
	char *said;
	int err;

	(void)state;
	capture_stderr(&c);
	err = source_open_replay(&src, &(struct source_config){ .replay = "/dev/zero" });
	said = release_stderr(&c);
	assert_int_equal(err, -EBADMSG);
	assert_string_equal(said, "/dev/zero, line 1: longer than 32 MiB, not a recording\n");
	free(said);
}

/* --- faults of the output ---------------------------------------------------- */

static void test_disk_full(void **state)
{
	struct live live = live_source();
	struct model *m = model_new();
	const struct frame *f;
	struct capture c;
	struct record *r;
	struct wb_snapshot *s = snapshot_new();
	char *said;

	(void)state;
	assert_int_equal(live_read(&live.base, s), 0);
	assert_int_equal(model_update(m, s, &f), 0);
	assert_int_equal(record_open(&r, "/dev/full"), 0);
	capture_stderr(&c);
	assert_int_equal(record_frame(r, m, &live.base), -ENOSPC);
	/* said once */
	assert_int_equal(record_frame(r, m, &live.base), -EIO);
	assert_int_equal(record_close(r), 0);
	said = release_stderr(&c);
	assert_string_equal(said, "recording to /dev/full stopped: No space left on device; what "
				  "was written so far can be replayed\n");
	free(said);
	model_free(m);
}

/* A file that may not grow, as a disk that fills up in the middle of a line. */
static void test_disk_fills_up(void **state)
{
	char path[] = "/tmp/wb-record-XXXXXX";
	struct live live = live_source();
	struct model *m = model_new();
	struct rlimit old, small;
	struct capture c;
	struct source *src;
	struct record *r;
	char *said, *out;
	int err = 0, written = 0, frames = 0;

	(void)state;
	close(mkstemp(path));
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = old;
	small.rlim_cur = 16000; /* some three lines and a half */
	assert_int_equal(record_open(&r, path), 0);
	capture_stderr(&c);
	setrlimit(RLIMIT_FSIZE, &small);
	for (unsigned int i = 0; !err && i < 5; i++) {
		struct wb_snapshot *s = snapshot_new();
		const struct frame *f;

		assert_int_equal(live_read(&live.base, s), 0);
		assert_int_equal(model_update(m, s, &f), 0);
		err = record_frame(r, m, &live.base);
		written += !err;
	}
	setrlimit(RLIMIT_FSIZE, &old);
	said = release_stderr(&c);
	assert_int_equal(err, -EFBIG);
	assert_int_equal(record_close(r), 0);
	assert_non_null(strstr(said, "stopped: File too large; what was written so far can be"));
	assert_int_not_equal(written, 0);
	free(said);

	/* What is left ends with a whole line. */
	assert_int_equal(source_open_replay(&src, &(struct source_config){ .replay = path }), 0);
	assert_int_equal(play(src, &json, NULL, &out), -ENODATA);
	source_close(src);
	for (char *p = out; *p; p++)
		frames += *p == '\n';
	assert_int_equal(frames, written - 1);
	free(out);
	model_free(m);
	unlink(path);
}

static void test_reader_gone(void **state)
{
	struct live live = live_source();
	struct model *m = model_new();
	struct wb_snapshot *s = snapshot_new();
	const struct frame *f;
	struct batch *b;
	int fds[2];
	FILE *out;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	out = fdopen(fds[1], "w");
	assert_int_equal(live_read(&live.base, s), 0);
	assert_int_equal(model_update(m, s, &f), 0);
	assert_int_equal(batch_open(&b, out, &json), 0);
	assert_int_equal(batch_frame(b, m, f, &live.base), -EPIPE);
	batch_close(b);
	fclose(out);
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stall_fixture),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_csv_empty),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_fixture_round_trip),
		cmocka_unit_test(test_record_is_whole),
		cmocka_unit_test(test_plain_json),
		cmocka_unit_test(test_plain_twins),
		cmocka_unit_test(test_plain_again),
		cmocka_unit_test(test_plain_unlisted),
		cmocka_unit_test(test_big),
		cmocka_unit_test(test_plain_becomes_recording),
		cmocka_unit_test(test_no_baseline),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_long_string),
		cmocka_unit_test(test_backwards),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_endless_line),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_disk_fills_up),
		cmocka_unit_test(test_reader_gone),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

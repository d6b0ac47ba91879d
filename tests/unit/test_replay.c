// SPDX-License-Identifier: GPL-2.0
/* Recordings that are broken, and outputs that fail. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "replays.h"

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
		{ 1, "\"stall_ns\":40000", "\"stall_ns\":40001", 1,
		  ", line 3: sum.delta.stall_ns is more than sum.total grew by: another recording "
		  "begins here" },
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
	char *text = slurp(STALL), *longer;
	size_t len = strlen(text);

	(void)state;
	/* The newline alone may be missing. */
	assert_int_equal(frames_until(text, len - 1, -ENODATA, ""), 2);
	/* Nor is an empty line at the end one. */
	assert_true(asprintf(&longer, "%s\n", text) > 0);
	assert_int_equal(frames_until(longer, len + 1, -ENODATA, ""), 2);
	free(longer);
	assert_int_equal(
		frames_until(
			text, len - 2, -EBADMSG,
			"REC ends in the middle of line 3; the one frame before it is whole\n"),
		1);
	assert_int_equal(
		frames_until(text, 5, -EBADMSG,
			     "REC ends in the middle of line 1, before its first frame is whole\n"),
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
		assert_true(asprintf(&line, "REC ends in the middle of line %u%s\n", lines + 1,
				     lines < 2 ? ", before its first frame is whole" :
						 "; the one frame before it is whole") > 0);
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
		cmocka_unit_test(test_refused),	    cmocka_unit_test(test_long_string),
		cmocka_unit_test(test_backwards),   cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_unreadable),  cmocka_unit_test(test_endless_line),
		cmocka_unit_test(test_disk_full),   cmocka_unit_test(test_disk_fills_up),
		cmocka_unit_test(test_reader_gone),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

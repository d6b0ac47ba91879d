// SPDX-License-Identifier: GPL-2.0
/*
 * Recordings of any bytes: read to the end or to an error, shown in every way
 * there is.  What was accepted must come back from a recording of itself.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../tools/wbinvdtop/batch.h"
#include "../../tools/wbinvdtop/frame_json.h"
#include "../../tools/lib/replay.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

static struct frame_json *recorder;
static struct frame_json *writer;
static FILE *null;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	/* Every sentence about bad input, a million times. */
	if (!freopen("/dev/null", "w", stdout))
		abort();
	null = fopen("/dev/null", "w");
	if (!null || frame_json_new(&recorder, NULL, true, true) ||
	    frame_json_new(&writer, NULL, true, false))
		abort();
	return 0;
}

/*
 * Mutated bytes are hardly ever JSON: every other time, one number or word is
 * replaced, so that the checks behind the parser get their share.
 */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	static const char *const words[] = {
		"0",
		"1",
		"2",
		"7",
		"43",
		"109",
		"110",
		"-1",
		"4294967295",
		"4294967296",
		"999999999999999999",
		"1000000000000000001",
		"9223372036854775807",
		"1e9",
		"null",
		"true",
		"false",
		"\"shared\"",
		"\"other\"",
		"\"\"",
		"[]",
		"{}",
		"[[3,5]]",
	};
	size_t begin, end, len;
	const char *word;

	srand(seed);
	if (!size || rand() % 2)
		return LLVMFuzzerMutate(data, size, max);
	begin = rand() % size;
	while (begin < size && data[begin] != ':' && data[begin] != '[')
		begin++;
	if (begin == size)
		return LLVMFuzzerMutate(data, size, max);
	for (end = ++begin; end < size && !strchr(",]}", data[end]); end++)
		;
	word = words[rand() % (sizeof(words) / sizeof(words[0]))];
	len = strlen(word);
	if (size - (end - begin) + len > max)
		return LLVMFuzzerMutate(data, size, max);
	memmove(data + begin + len, data + end, size - end);
	memcpy(data + begin, word, len);
	return size - (end - begin) + len;
}

static void show(struct model *m, const struct frame *f, const struct source *src)
{
	static const struct batch_config configs[] = {
		{ .format = BATCH_TABLE, .vcpus = true },
		{ .format = BATCH_TABLE, .view = BATCH_VICTIMS },
		{ .format = BATCH_TABLE, .view = BATCH_DEVICES },
		{ .format = BATCH_CSV },
	};

	for (unsigned int i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
		struct batch *b;

		if (batch_open(&b, null, &configs[i]))
			abort();
		if (batch_frame(b, m, f, src))
			abort();
		batch_close(b);
	}
}

/* Whether all of it was read; what was shown and recorded until then comes back. */
static int play(const char *data, size_t size, char **shown, size_t *shown_len, char **recorded,
		size_t *recorded_len)
{
	FILE *in = fmemopen((void *)data, size, "r"), *out, *rec;
	const struct frame *f, *raw;
	struct source *src;
	struct model *m;
	int err;

	if (!in || source_open_stream(&src, in, "REC"))
		return -1;
	m = model_new();
	out = open_memstream(shown, shown_len);
	rec = open_memstream(recorded, recorded_len);
	for (unsigned int n = 0;; n++) {
		struct wb_snapshot *s = snapshot_new();

		err = src->ops->read(src, s);
		if (err) {
			snapshot_free(s);
			break;
		}
		if (model_update(m, s, &f))
			abort();
		show(m, f, src);
		if (frame_json_write(writer, out, m, f, src) || model_raw_frame(m, &raw) ||
		    frame_json_write(recorder, rec, m, raw, src))
			abort();
		if (n == 1 && (model_rebase(m) || model_frame(m, &f)))
			abort();
	}
	fclose(out);
	fclose(rec);
	model_free(m);
	source_close(src);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy, *shown[2] = { NULL }, *recorded[2] = { NULL };
	size_t shown_len[2], recorded_len[2];

	if (!size)
		return 0;
	/* A copy of its own in the heap, so that reading past the end is seen. */
	copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	play(copy, size, &shown[0], &shown_len[0], &recorded[0], &recorded_len[0]);
	if (recorded[0] && recorded_len[0]) {
		play(recorded[0], recorded_len[0], &shown[1], &shown_len[1], &recorded[1],
		     &recorded_len[1]);
		if (!recorded[1] || recorded_len[0] != recorded_len[1] ||
		    memcmp(recorded[0], recorded[1], recorded_len[0]) ||
		    shown_len[0] != shown_len[1] || memcmp(shown[0], shown[1], shown_len[0]))
			abort();
	}
	for (unsigned int i = 0; i < 2; i++) {
		free(shown[i]);
		free(recorded[i]);
	}
	free(copy);
	return 0;
}

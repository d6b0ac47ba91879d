// SPDX-License-Identifier: GPL-2.0
/* From the kernel's log to attachments, bytes and GiB seconds; all computed by hand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../tools/nosnoop/exposure.h"

#define S   1000000000ULL
#define GIB (1ULL << 30)

#define assert_gib_s(x, wanted) \
	assert_true((x).gib_s > (wanted)-1e-9 && (x).gib_s < (wanted) + 1e-9)

static void box(struct exposure *x, uint64_t time_ns, int from, int to)
{
	struct dmalog_event e = {
		.kind = DMALOG_BOX, .time_ns = time_ns, .old_box = from, .box = to
	};

	exposure_event(x, &e);
}

static void test_time(void **state)
{
	struct exposure x;

	(void)state;
	exposure_start(&x, 0, 0, 10 * S);
	/* Attached for the second half of the interval, with 2 GiB at its end. */
	box(&x, 10 * S + S / 2, 0, 3);
	exposure_read(&x, 3, 2 * GIB, 0, 11 * S);
	assert_gib_s(x, 1.0);
	/* 2 GiB before, 4 after. */
	exposure_read(&x, 3, 4 * GIB, 2 * GIB, 12 * S);
	assert_gib_s(x, 1.0 + 3.0);
	/* Out of box 3 after a quarter, and back for the last one; all unmapped at the end. */
	box(&x, 12 * S + S / 4, 3, 4);
	box(&x, 12 * S + S * 3 / 4, 4, 3);
	exposure_read(&x, 3, 0, 0, 13 * S);
	assert_gib_s(x, 4.0 + 2.0);
	/* Nothing is pinned: nothing is exposed. */
	exposure_read(&x, 3, 0, 0, 14 * S);
	assert_gib_s(x, 6.0);
	box(&x, 14 * S, 3, 0);
	exposure_read(&x, 0, 8 * GIB, 0, 15 * S);
	assert_gib_s(x, 6.0);
	assert_int_equal(x.box_changes, 4);
}

/* Attached, given memory and detached between two readings, at which nothing is pinned. */
static void test_between(void **state)
{
	struct exposure x;

	(void)state;
	exposure_start(&x, 0, 0, 0);
	box(&x, 1 * S, 0, 3);
	box(&x, 3 * S, 3, 0);
	exposure_read(&x, 0, 0, GIB / 2, 4 * S);
	assert_gib_s(x, 1.0);
	assert_int_equal(x.box, 0);
}

/* In boxes 1, 2 and 4 nothing can be reached without snooping. */
static void test_boxes(void **state)
{
	(void)state;
	for (int b = -1; b <= 4; b++) {
		struct exposure x;

		exposure_start(&x, b, GIB, 0);
		exposure_read(&x, b, GIB, 0, S);
		assert_gib_s(x, b == 3 ? 1.0 : 0.0);
	}
}

static void test_lost(void **state)
{
	struct exposure x;

	(void)state;
	/* The event that ended box 3 was lost: what is read holds from then on. */
	exposure_start(&x, 3, GIB, 0);
	exposure_read(&x, 1, GIB, 0, S);
	assert_gib_s(x, 1.0);
	exposure_read(&x, 1, GIB, 0, 2 * S);
	assert_gib_s(x, 1.0);
	/* One that is older than the last reading takes nothing away and adds nothing. */
	box(&x, S / 2, 1, 3);
	exposure_read(&x, 3, GIB, 0, 3 * S);
	assert_gib_s(x, 2.0);
}

static void test_counts(void **state)
{
	static const struct {
		unsigned int kind;
		int rc;
	} events[] = { { DMALOG_ATTACH, 0 },   { DMALOG_ATTACH, -EINVAL }, { DMALOG_REPLACE, 0 },
		       { DMALOG_REPLACE, 0 },  { DMALOG_REPLACE, -EBUSY }, { DMALOG_DETACH, 0 },
		       { DMALOG_NO_SNOOP, 0 }, { DMALOG_HWPT, 0 },	   { DMALOG_MAP, 0 },
		       { DMALOG_NO_SNOOP, 0 }, { DMALOG_NO_SNOOP, 0 },	   { DMALOG_KVM, 0 } };
	struct exposure x;

	(void)state;
	exposure_start(&x, 0, 0, 0);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		struct dmalog_event e = { .kind = events[i].kind, .rc = events[i].rc };

		exposure_event(&x, &e);
	}
	assert_int_equal(x.attaches, 1);
	assert_int_equal(x.replaces, 2);
	assert_int_equal(x.refused, 2);
	assert_int_equal(x.detaches, 1);
	assert_int_equal(x.operations, 3);
	assert_int_equal(x.box_changes, 0);
}

static void test_maps(void **state)
{
	static const struct dmalog_event events[] = {
		{ .kind = DMALOG_MAP,
		  .pid = 7,
		  .maps = 3,
		  .failed = 1,
		  .bytes = 100,
		  .noncoherent_bytes = 60,
		  .flushed_bytes = 60,
		  .flush_ns = 5 },
		/* Another address space of the same process; it is attached later. */
		{ .kind = DMALOG_MAP, .pid = 7, .maps = 1, .bytes = 11 },
		{ .kind = DMALOG_ATTACH, .pid = 7, .flushed_bytes = 11, .flush_ns = 2 },
		{ .kind = DMALOG_MAP, .pid = 8, .maps = 1, .bytes = 1000 },
		{ .kind = DMALOG_HWPT, .pid = 8, .flushed_bytes = 1000, .flush_ns = 9 },
		/* What failed took its time, and made nothing reachable. */
		{ .kind = DMALOG_REPLACE,
		  .pid = 8,
		  .rc = -ENOMEM,
		  .flushed_bytes = 500,
		  .flush_ns = 4 },
		{ .kind = DMALOG_DETACH, .pid = 9, .flushed_bytes = 3 },
		{ .kind = DMALOG_ATTACH, .pid = 9 },
		{ .kind = DMALOG_BOX, .pid = 9, .flushed_bytes = 3 },
	};
	struct map_table t = { 0 };
	const struct map_sums *s;

	(void)state;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		assert_int_equal(map_table_event(&t, &events[i]), 0);
	s = map_table_find(&t, 7);
	assert_non_null(s);
	assert_int_equal(s->maps, 4);
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->bytes, 111);
	assert_int_equal(s->noncoherent_bytes, 71);
	assert_int_equal(s->flushed_bytes, 71);
	assert_int_equal(s->flush_ns, 7);
	s = map_table_find(&t, 8);
	assert_non_null(s);
	assert_int_equal(s->noncoherent_bytes, 1000);
	assert_int_equal(s->flushed_bytes, 1500);
	assert_int_equal(s->flush_ns, 13);
	assert_null(map_table_find(&t, 9));
	map_table_reset(&t);
	assert_null(map_table_find(&t, 7));
	/* Many processes. */
	for (uint32_t pid = 1; pid <= 1000; pid++) {
		struct dmalog_event e = { .kind = DMALOG_MAP, .pid = pid, .maps = 1, .bytes = pid };

		assert_int_equal(map_table_event(&t, &e), 0);
	}
	assert_int_equal(map_table_find(&t, 999)->bytes, 999);
	map_table_free(&t);
}

/* Beside what is mapped, and of processes that map nothing. */
static void test_unpins(void **state)
{
	static const struct dmalog_event map = { .kind = DMALOG_MAP,
						 .pid = 7,
						 .maps = 1,
						 .bytes = 100,
						 .flushed_bytes = 100,
						 .flush_ns = 5 };
	static const struct dmalog_unpin unpins[] = {
		{ 7, { .flushes = 1, .bytes = 60, .ns = 3 } },
		{ 8, { .flushes = 2, .bytes = 1000, .ns = 9 } },
		{ 7, { .flushes = 1, .bytes = 40, .ns = 1 } },
	};
	struct map_table t = { 0 };
	const struct map_sums *s;

	(void)state;
	assert_int_equal(map_table_event(&t, &map), 0);
	for (size_t i = 0; i < sizeof(unpins) / sizeof(unpins[0]); i++)
		assert_int_equal(map_table_unpin(&t, &unpins[i]), 0);
	s = map_table_find(&t, 7);
	assert_int_equal(s->flushed_bytes, 100);
	assert_int_equal(s->flush_ns, 5);
	assert_int_equal(s->unpin_flushed_bytes, 100);
	assert_int_equal(s->unpin_flush_ns, 4);
	s = map_table_find(&t, 8);
	assert_int_equal(s->bytes, 0);
	assert_int_equal(s->unpin_flushed_bytes, 1000);
	assert_int_equal(s->unpin_flush_ns, 9);
	map_table_free(&t);
}

static void test_pinned(void **state)
{
	(void)state;
	assert_int_equal(
		pinned_bytes(
			"Name:\tqemu\nVmLck:\t       8 kB\nVmPin:\t   65536 kB\nVmHWM:\t 1 kB\n"),
		65536 << 10);
	assert_int_equal(pinned_bytes("Name:\tqemu\nVmLck:\t       8 kB\nVmPin:\t       0 kB\n"),
			 8 << 10);
	assert_int_equal(pinned_bytes("Name:\tVmPin:\nVmLck:\t0 kB\n"), 0);
	assert_int_equal(pinned_bytes(""), 0);
	assert_int_equal(pinned_bytes("VmPin:"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),   cmocka_unit_test(test_between),
		cmocka_unit_test(test_boxes),  cmocka_unit_test(test_lost),
		cmocka_unit_test(test_counts), cmocka_unit_test(test_maps),
		cmocka_unit_test(test_unpins), cmocka_unit_test(test_pinned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

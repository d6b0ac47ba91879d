// SPDX-License-Identifier: GPL-2.0
/* Events of the log: in words, to JSON and back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dmalog.h"

#define BDF "0000:01:00.0"

static void assert_text(const struct dmalog_event *e, const char *want)
{
	char text[256];

	dmalog_text(e, text, sizeof(text));
	assert_string_equal(text, want);
}

static void bytes(void **state)
{
	static const struct {
		uint64_t n;
		const char *want;
	} t[] = {
		{ 0, "0 B" },
		{ 1023, "1023 B" },
		{ 1024, "1 KiB" },
		{ 4097, "4.0 KiB" },
		{ 512ULL << 20, "512 MiB" },
		{ 3ULL << 29, "1.5 GiB" },
		{ 1ULL << 60, "1 EiB" },
		{ UINT64_MAX, "16.0 EiB" },
	};
	char buf[32];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		dmalog_bytes(t[i].n, buf, sizeof(buf));
		assert_string_equal(buf, t[i].want);
	}
}

static void attachments(void **state)
{
	struct dmalog_event e = {
		.kind = DMALOG_ATTACH, .ioas = 2, .hwpt = 3, .coherency = DMALOG_COH_ENFORCED
	};

	(void)state;
	assert_text(&e, "attach to IOAS 2, coherent");
	e.coherency = DMALOG_COH_NONCOHERENT;
	assert_text(&e, "attach to IOAS 2, non-coherent");
	e.can_enforce = 1;
	e.flushed_bytes = 512 << 20;
	e.flush_ns = 20000000;
	assert_text(&e, "attach to IOAS 2, non-coherent though the IOMMU could enforce, "
			"flushed 512 MiB in 20 ms");
	e.kind = DMALOG_REPLACE;
	e.rc = -EINVAL;
	assert_text(&e, "replace: to 3 refused: Invalid argument");
	e.kind = DMALOG_DETACH;
	e.rc = 0;
	assert_text(&e, "detach from IOAS 2");
}

static void maps(void **state)
{
	struct dmalog_event e = { .kind = DMALOG_MAP, .ioas = 2, .maps = 1, .bytes = 512 << 20 };

	(void)state;
	assert_text(&e, "map 512 MiB into IOAS 2, none of it non-coherent");
	e.noncoherent_bytes = e.bytes;
	e.flushed_bytes = e.bytes;
	e.flush_ns = 20 * 1000 * 1000;
	assert_text(&e, "map 512 MiB into IOAS 2, non-coherent, flushed 512 MiB in 20 ms");
	e.maps = 3;
	e.failed = 1;
	e.noncoherent_bytes = 1 << 20;
	e.flushed_bytes = 0;
	assert_text(&e, "map 512 MiB into IOAS 2 (3 maps), 1 MiB of it non-coherent, 1 failed");
}

static void changes(void **state)
{
	struct dmalog_event e = { .kind = DMALOG_BOX, .old_box = 1, .box = 3 };

	(void)state;
	assert_text(&e, "box 1 -> 3");
	e.box = 0;
	assert_text(&e, "box 1 -> none");
	e = (struct dmalog_event){
		.kind = DMALOG_NO_SNOOP, .op = DMALOG_OP_BLOCK, .before = 0x2810, .after = 0x2010
	};
	assert_text(&e, "BLOCK no-snoop (Device Control 0x2810 -> 0x2010)");
	e.op = 7;
	assert_text(&e, "no-snoop operation 7 (Device Control 0x2810 -> 0x2010)");
	e = (struct dmalog_event){ .kind = DMALOG_KVM,
				   .policy = DMALOG_KVM_PAUSE,
				   .count = 1,
				   .after = DMALOG_EFFECT_GUESTPAT };
	assert_text(&e, "VM policy: WBINVD paused, WBINVD skipped, non-coherent: 1");
	e.policy = DMALOG_KVM_FORCE;
	e.zapped = 1;
	assert_text(&e, "VM policy: treated as coherent, WBINVD skipped, non-coherent: 1, "
			"memory types changed");
	e = (struct dmalog_event){ .kind = DMALOG_KVM, .count = 1, .after = DMALOG_EFFECT_WBINVD };
	assert_text(&e, "VM policy: none, WBINVD flushes, non-coherent: 1");
}

static void cut(void **state)
{
	struct dmalog_event e = { .kind = DMALOG_ATTACH, .ioas = 2, .coherency = 1 };
	char text[8];

	(void)state;
	dmalog_text(&e, text, sizeof(text));
	assert_string_equal(text, "attach ");
	e.kind = 99;
	assert_text(&e, "unknown event 99");
	assert_string_equal(dmalog_kind_name(99), "?");
}

/* Every kind, with a different value in each member that it has. */
static void there_and_back(void **state)
{
	struct dmalog_event e, back, again;
	struct jread j = {};
	unsigned int kind;
	json_t *o, *p;
	__s64 *v;

	(void)state;
	for (kind = 0; kind < DMALOG_KINDS; kind++) {
		memset(&e, 0, sizeof(e));
		e.time_ns = 5;
		e.kind = kind;
		e.pid = 17;
		e.tid = 18;
		strcpy(e.comm, "qemu");
		if (kind != DMALOG_KVM && kind != DMALOG_MAP)
			strcpy(e.dev, BDF);
		for (v = &e.group; v <= &e.flush_ns; v++)
			*v = v - &e.group + 1;
		e.nested = e.can_enforce = e.is_auto = e.zapped = 1;
		e.coherency = DMALOG_COH_NONCOHERENT;
		e.policy = DMALOG_COH_ENFORCED;
		e.old_box = 3;
		e.box = 4;
		e.rc = -EPERM;
		o = dmalog_to_json(&e);
		assert_non_null(o);
		assert_int_equal(dmalog_from_json(&j, o, &back), 0);
		assert_string_equal(back.comm, e.comm);
		assert_string_equal(back.dev, e.dev);
		assert_int_equal(back.kind, kind);
		assert_int_equal(back.tid, 18);
		p = dmalog_to_json(&back);
		assert_true(json_equal(o, p));
		/* What was left out is 0, and stays so. */
		assert_int_equal(dmalog_from_json(&j, p, &again), 0);
		assert_memory_equal(&again, &back, sizeof(back));
		json_decref(o);
		json_decref(p);
	}
}

static void bad_json(void **state)
{
	static const char *const member[] = { "time_ns", "kind", "pid", "device", "box" };
	struct dmalog_event e = { .kind = DMALOG_BOX, .dev = BDF };
	json_t *o, *wrong;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(member) / sizeof(member[0]); i++) {
		struct jread j = {};

		o = dmalog_to_json(&e);
		wrong = json_true();
		assert_int_equal(json_object_set_new(o, member[i], wrong), 0);
		assert_int_equal(dmalog_from_json(&j, o, &e), -EBADMSG);
		assert_non_null(strstr(j.error, member[i]));
		free(j.error);
		json_decref(o);
		memset(&e, 0, sizeof(e));
		e.kind = DMALOG_BOX;
	}
}

/* The last number that is taken, and the first that is not, on both sides. */
static void ranges(void **state)
{
	static const struct {
		unsigned int kind;
		const char *member;
		json_int_t min, max;
	} t[] = {
		{ DMALOG_ATTACH, "group", -1, INT32_MAX },
		{ DMALOG_BOX, "group", -1, INT32_MAX },
		{ DMALOG_ATTACH, "pasid", 0, UINT32_MAX },
		{ DMALOG_DETACH, "hwpt", 0, UINT32_MAX },
		{ DMALOG_REPLACE, "old_hwpt", 0, UINT32_MAX },
		{ DMALOG_MAP, "ioas", 0, UINT32_MAX },
		{ DMALOG_ATTACH, "nested", 0, 1 },
		{ DMALOG_HWPT, "coherency", 0, 2 },
		{ DMALOG_ATTACH, "can_enforce", 0, 1 },
		{ DMALOG_ATTACH, "policy", 0, 2 },
		{ DMALOG_KVM, "policy", 0, INT64_MAX },
		{ DMALOG_HWPT, "is_auto", 0, 1 },
		{ DMALOG_ATTACH, "rc", -4095, 0 },
		{ DMALOG_BOX, "old_box", 0, 4 },
		{ DMALOG_BOX, "box", 0, 4 },
		{ DMALOG_NO_SNOOP, "op", 0, UINT32_MAX },
		{ DMALOG_NO_SNOOP, "before", 0, 65535 },
		{ DMALOG_NO_SNOOP, "after", 0, 65535 },
		{ DMALOG_KVM, "before", 0, UINT32_MAX },
		{ DMALOG_KVM, "after", 0, UINT32_MAX },
		{ DMALOG_KVM, "vm_pid", 0, INT32_MAX },
		{ DMALOG_KVM, "count", 0, UINT32_MAX },
		{ DMALOG_KVM, "zapped", 0, 1 },
		{ DMALOG_MAP, "maps", 0, 1000000000000000000 },
		{ DMALOG_MAP, "failed", 0, 1000000000000000000 },
		{ DMALOG_MAP, "bytes", 0, 1000000000000000000 },
		{ DMALOG_MAP, "noncoherent_bytes", 0, 1000000000000000000 },
		{ DMALOG_MAP, "flushed_bytes", 0, 1000000000000000000 },
		{ DMALOG_ATTACH, "flush_ns", 0, 1000000000000000000 },
	};
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		/* Above the highest of all is the lowest. */
		const json_int_t at[] = { t[i].min, t[i].max, t[i].min - 1,
					  (json_int_t)(t[i].max + 1ULL) };
		struct dmalog_event e = { .kind = t[i].kind }, back;

		for (k = 0; k < 4; k++) {
			json_t *o = dmalog_to_json(&e);
			struct jread j = {};
			int want = k < 2 ? 0 : -EBADMSG;

			assert_int_equal(json_object_set_new(o, t[i].member, json_integer(at[k])),
					 0);
			assert_int_equal(dmalog_from_json(&j, o, &back), want);
			if (want)
				assert_non_null(strstr(j.error, t[i].member));
			free(j.error);
			json_decref(o);
		}
	}
}

/* As a person reads it. */
static void one_sentence(void **state)
{
	struct dmalog_event e = { .kind = DMALOG_BOX, .dev = BDF, .box = 77 };
	json_t *o = dmalog_to_json(&e);
	struct jread j = {};

	(void)state;
	jread_at(&j, "events[%d].", 2);
	assert_int_equal(dmalog_from_json(&j, o, &e), -EBADMSG);
	assert_string_equal(j.error, "events[2].box is 77, not within 0 to 4");
	free(j.error);
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes),	cmocka_unit_test(attachments),
		cmocka_unit_test(maps),		cmocka_unit_test(changes),
		cmocka_unit_test(cut),		cmocka_unit_test(there_and_back),
		cmocka_unit_test(bad_json),	cmocka_unit_test(ranges),
		cmocka_unit_test(one_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../tools/wbinvdtop/threshold.h"

#define SEC 1000000000ULL

/* 2025-01-15T12:00:00Z, at 5 s of CLOCK_MONOTONIC */
static struct wb_snapshot snapshot = {
	.time_ns = 5 * SEC,
	.wall_ns = 1736942400LL * 1000000000LL,
};
static struct frame frame = { .cur = &snapshot };

static struct source_outlier outlier(uint64_t time_ns)
{
	return (struct source_outlier){
		.time_ns = time_ns,
		.vm_key = 7,
		.pid = 2101,
		.id = "2101-14",
		.name = "qemu",
		.vcpu_id = 3,
		.ns = 1234567,
		.cpus = 2,
	};
}

static void test_line(void **state)
{
	struct source_outlier o = outlier(5 * SEC - 1500000);
	struct threshold t = { .limit_ns = 1 };
	char buf[512];

	(void)state;
	assert_string_equal(threshold_line(&t, &o, &frame, buf, sizeof(buf)),
			    "2025-01-15T11:59:59.998500Z long flush: "
			    "VM 2101-14 (qemu) vCPU 3 1234567 ns 2 CPUs");
	o.id[0] = '\0';
	o.cpus = 0;
	o.name = NULL;
	o.time_ns = 6 * SEC;
	assert_string_equal(threshold_line(&t, &o, &frame, buf, sizeof(buf)),
			    "2025-01-15T12:00:01.000000Z long flush: "
			    "VM 2101 (?) vCPU 3 1234567 ns - CPUs");
	/* Before the first frame the clocks are asked. */
	assert_non_null(threshold_line(&t, &o, NULL, buf, sizeof(buf)));
	assert_non_null(strstr(buf, "Z long flush: VM 2101 "));
}

static void test_names_the_vm(void **state)
{
	struct source_outlier o = outlier(5 * SEC);
	struct threshold t = { .limit_ns = 1 };
	struct wb_snapshot *s = snapshot_new();
	struct frame f = { .cur = s };
	struct wb_vm *vm;
	char buf[512];

	(void)state;
	vm = snapshot_add_vm(s);
	vm->key = 7;
	vm->name = strdup("web01");
	snapshot_sort(s);
	assert_non_null(threshold_line(&t, &o, &f, buf, sizeof(buf)));
	assert_non_null(strstr(buf, "VM 2101-14 (web01) vCPU 3"));
	/* It is younger than the frame. */
	o.vm_key = 8;
	o.name = "web02";
	assert_non_null(threshold_line(&t, &o, &f, buf, sizeof(buf)));
	assert_non_null(strstr(buf, "VM 2101-14 (web02) vCPU 3"));
	snapshot_free(s);
}

static void test_rate_limit(void **state)
{
	struct threshold t = { .limit_ns = 1000 };
	struct source src = { .outliers_dropped = 0 };
	struct source_outlier o;
	char buf[512];
	int lines = 0;

	(void)state;
	for (int i = 0; i < 25; i++) {
		o = outlier(5 * SEC + i * 1000);
		lines += !!threshold_line(&t, &o, &frame, buf, sizeof(buf));
	}
	assert_int_equal(lines, THRESHOLD_PER_S);
	/* A little out of order, and still the same second. */
	o = outlier(5 * SEC - 1000);
	assert_null(threshold_line(&t, &o, &frame, buf, sizeof(buf)));
	src.outliers_dropped = 4;
	assert_string_equal(threshold_rest(&t, &src, buf, sizeof(buf)),
			    "20 more flushes took longer than 1000 ns");
	assert_null(threshold_rest(&t, &src, buf, sizeof(buf)));
	o = outlier(6 * SEC);
	assert_non_null(threshold_line(&t, &o, &frame, buf, sizeof(buf)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_names_the_vm),
		cmocka_unit_test(test_rate_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../tools/lib/exitcode.h"
#include "../../tools/lib/num.h"

#define SEC 1000000000ULL

static void test_u64(void **state)
{
	static const struct {
		const char *s;
		uint64_t min, max;
		int err;
		uint64_t v;
	} cases[] = {
		{ "0", 0, 10, 0, 0 },
		{ "10", 0, 10, 0, 10 },
		{ "007", 0, 10, 0, 7 },
		{ "18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", 0, UINT64_MAX, -ERANGE, 0 },
		{ "99999999999999999999999", 0, UINT64_MAX, -ERANGE, 0 },
		{ "99999999999999999999999x", 0, UINT64_MAX, -EINVAL, 0 },
		{ "11", 0, 10, -ERANGE, 0 },
		{ "0", 1, 10, -ERANGE, 0 },
		{ "", 0, 10, -EINVAL, 0 },
		{ "12abc", 0, 100, -EINVAL, 0 },
		{ "-1", 0, 10, -EINVAL, 0 },
		{ "+1", 0, 10, -EINVAL, 0 },
		{ " 1", 0, 10, -EINVAL, 0 },
		{ "1 ", 0, 10, -EINVAL, 0 },
		{ "0x10", 0, 100, -EINVAL, 0 },
		{ "1e3", 0, 9999, -EINVAL, 0 },
		{ "1.0", 0, 9999, -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t v = 4711;

		assert_int_equal(num_u64(cases[i].s, cases[i].min, cases[i].max, &v), cases[i].err);
		assert_int_equal(v, cases[i].err ? 4711 : cases[i].v);
	}
}

static void test_seconds(void **state)
{
	static const struct {
		const char *s;
		int err;
		uint64_t ns;
	} cases[] = {
		{ "1", 0, SEC },
		{ "0.5", 0, SEC / 2 },
		{ "0.1", 0, SEC / 10 },
		{ "2.000000001", 0, 2 * SEC + 1 },
		{ "1.0000000019", 0, SEC + 1 },
		{ "86400", 0, 86400 * SEC },
		{ "86400.000000001", -ERANGE, 0 },
		{ "0.099999999", -ERANGE, 0 },
		{ "0", -ERANGE, 0 },
		{ "18446744074", -ERANGE, 0 },
		{ "99999999999999999999999.5", -ERANGE, 0 },
		{ "18446744073.999999999", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ ".", -EINVAL, 0 },
		{ ".5", -EINVAL, 0 },
		{ "1.", -EINVAL, 0 },
		{ "1.5.2", -EINVAL, 0 },
		{ "1,5", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "1s", -EINVAL, 0 },
		{ "1e1", -EINVAL, 0 },
		{ "inf", -EINVAL, 0 },
		{ "nan", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t ns = 4711;

		assert_int_equal(num_seconds(cases[i].s, SEC / 10, 86400 * SEC, &ns), cases[i].err);
		assert_int_equal(ns, cases[i].err ? 4711 : cases[i].ns);
	}
}

static void test_cpulist(void **state)
{
	static const char *const bad[] = {
		"", ",", "0,", ",0", "0-", "-1", "3-2", "0,,1", "a", "0 1", "1-2-3", "0x1",
	};
	static const char *const far[] = { "8", "0-8", "0,99999999999999999999" };
	unsigned int *cpus;
	size_t n;

	(void)state;
	assert_int_equal(num_cpulist("0,2-3", 8, &cpus, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(cpus[0], 0);
	assert_int_equal(cpus[1], 2);
	assert_int_equal(cpus[2], 3);
	free(cpus);

	assert_int_equal(num_cpulist("7,1-1,7", 8, &cpus, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(cpus[0], 7);
	assert_int_equal(cpus[1], 1);
	assert_int_equal(cpus[2], 7);
	free(cpus);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(num_cpulist(bad[i], 8, &cpus, &n), -EINVAL);
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++)
		assert_int_equal(num_cpulist(far[i], 8, &cpus, &n), -ERANGE);
}

static void test_bdf(void **state)
{
	static const char *const bad[] = {
		"",
		"1:00.0",
		"01:00",
		"01:20.0",
		"01:00.8",
		"001:00.0",
		"000:01:00.0",
		"0000:01:00.0 ",
		" 01:00.0",
		"0000:0000:01:00.0",
		"0000000:01:00.0",
		"0000:01:00.00",
		"gg:00.0",
		"01:00,0",
	};
	char buf[16];

	(void)state;
	assert_int_equal(num_bdf("01:00.0", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "0000:01:00.0");
	assert_int_equal(num_bdf("00AB:Cd:1f.7", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "00ab:cd:1f.7");
	assert_int_equal(num_bdf("10000:e1:00.0", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "10000:e1:00.0");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(num_bdf(bad[i], buf, sizeof(buf)), -EINVAL);
	assert_int_equal(num_bdf("01:00.0", buf, 12), -EINVAL);
}

static void test_exit_codes(void **state)
{
	(void)state;
	assert_int_equal(exit_code_of(0), 0);
	assert_int_equal(exit_code_of(-EIO), 1);
	assert_int_equal(exit_code_of(-ENOMEM), 1);
	assert_int_equal(exit_code_of(-EINVAL), 2);
	assert_int_equal(exit_code_of(-EBADMSG), 2);
	assert_int_equal(exit_code_of(-EPERM), 3);
	assert_int_equal(exit_code_of(-EACCES), 3);
	assert_int_equal(exit_code_of(-EOPNOTSUPP), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_u64),	   cmocka_unit_test(test_seconds),
		cmocka_unit_test(test_cpulist),	   cmocka_unit_test(test_bdf),
		cmocka_unit_test(test_exit_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../tools/lib/out.h"
#include "../../tools/wbinvdtop/fields.h"

struct row {
	struct out_value name, pid, ns, n, rate, flag, set;
};

#define GET(member)                                                    \
	static void get_##member(const void *row, struct out_value *v) \
	{                                                              \
		*v = ((const struct row *)row)->member;                \
	}

GET(name)
GET(pid)
GET(ns)
GET(n)
GET(rate)
GET(flag)
GET(set)

static const struct out_field fields[] = {
	{ "name", "name", "what it is called", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT, 6, get_name },
	{ "pid", "pid", "its process", OUT_PLAIN, OUT_IN_TABLE, 5, get_pid },
	{ "a.ns", "time", "how long", OUT_NS, OUT_IN_TABLE, 6, get_ns },
	{ "a.n", "count", "how many", OUT_COUNT, 0, 6, get_n },
	{ "b.c.flag", "flag", "whether", OUT_PLAIN, OUT_IN_TABLE, 4, get_flag },
	{ "b.set", "set", "which", OUT_PLAIN, 0, 5, get_set },
	{ "rate", "n/s", "how often", OUT_PER_S, OUT_DERIVED, 6, get_rate },
	{ 0 }
};

static const struct row full = {
	.name = { OUT_STR, { .s = "web" } },
	.pid = { OUT_U64, { .u = 1234567 } },
	.ns = { OUT_U64, { .u = 12345 } },
	.n = { OUT_U64, { .u = 1234567 } },
	.rate = { OUT_F64, { .f = 12.3456 } },
	.flag = { OUT_BOOL, { .b = true } },
	.set = { OUT_SET, { .u = 1 << 3 | 1 << 4 } },
};

static const struct row nothing;

static void test_ns(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} t[] = {
		{ 0, "0ns" },
		{ 850, "850ns" },
		{ 999, "999ns" },
		{ 1000, "1.00us" },
		{ 1005, "1.01us" },
		{ 1004, "1.00us" },
		{ 9994, "9.99us" },
		{ 9995, "10.0us" },
		{ 12345, "12.3us" },
		{ 12350, "12.4us" },
		{ 12349, "12.3us" },
		{ 99949, "99.9us" },
		{ 99950, "100us" },
		{ 999499, "999us" },
		{ 999500, "1.00ms" },
		{ 8600000000, "8.60s" },
		{ 999499999999, "999s" },
		{ 999500000000, "1000s" },
		{ 99999499999999, "99999s" },
		{ 99999500000000, "27h" },
		{ UINT64_MAX, "584y" },
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_string_equal(out_ns(t[i].ns, buf, sizeof(buf)), t[i].text);
	/* Six columns are enough for any time. */
	for (uint64_t ns = 1; ns < UINT64_MAX / 3; ns = ns * 3 / 2 + 1)
		assert_true(strlen(out_ns(ns, buf, sizeof(buf))) <= 6);
}

static void test_count(void **state)
{
	static const struct {
		double v;
		const char *text;
	} t[] = {
		{ 0, "0" },	   { 0.5, "0.50" },	 { 9.99, "9.99" },  { 9.996, "10.0" },
		{ 99.96, "100" },  { 850, "850" },	 { 999.4, "999" },  { 999.6, "1.00k" },
		{ 9990, "9.99k" }, { 1200000, "1.20M" }, { 1e18, "1.00E" },
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_string_equal(out_count(t[i].v, buf, sizeof(buf)), t[i].text);
}

static void test_cells(void **state)
{
	static const char *const texts[] = {
		"web", "1234567", "12.3us", "1.23M", "yes", "3|4", "12.3",
	};
	char buf[64];

	(void)state;
	for (size_t i = 0; fields[i].path; i++) {
		assert_string_equal(out_cell(&fields[i], &full, buf, sizeof(buf)), texts[i]);
		assert_string_equal(out_cell(&fields[i], &nothing, buf, sizeof(buf)), "-");
		/* cut, never beyond the end */
		assert_true(strlen(out_cell(&fields[i], &full, buf, 3)) == 2);
	}
}

/* A mean over many may be a fraction of a nanosecond. */
static void test_fractions_of_ns(void **state)
{
	static const struct {
		double ns;
		const char *text;
	} t[] = {
		{ 0, "0ns" },	    { 0.314, "0.31ns" }, { 72.8, "72.8ns" }, { 999.4, "999ns" },
		{ 999.6, "999ns" }, { 72800, "72.8us" }, { 1e9, "1.00s" },   { 1e30, "584y" },
		{ 1000, "1.00us" }, { 999499, "999us" },
	};
	char buf[64];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct row row = { .ns = { OUT_F64, { .f = t[i].ns } } };

		out_cell(out_field_find(fields, "a.ns"), &row, buf, sizeof(buf));
		assert_string_equal(buf, t[i].text);
	}
}

/* What fn(f) prints; free() it. */
static char *printed(void (*fn)(FILE *f, const void *arg), const void *arg)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	fn(f, arg);
	fclose(f);
	return text;
}

static void table(FILE *f, const void *arg)
{
	const struct out_field **sel;
	size_t n;

	assert_int_equal(out_select(fields, NULL, &sel, &n), 0);
	out_table_header(f, sel, n);
	out_table_row(f, sel, n, arg);
	free(sel);
}

static void assert_table(const char *name, const char *text)
{
	struct row row = { .name = { OUT_STR, { .s = name } }, .pid = { OUT_U64, { .u = 7 } } };
	char *got = printed(table, &row);

	assert_string_equal(got, text);
	free(got);
}

static void test_table(void **state)
{
	(void)state;
	assert_table("web", "name     pid   time flag\nweb        7      -    -\n");
	/* What is cut says so; what just fits is not cut. */
	assert_table("longer", "name     pid   time flag\nlonger     7      -    -\n");
	assert_table("longer-name", "name     pid   time flag\nlonge+     7      -    -\n");
	/* Columns are counted, not bytes. */
	assert_table("b\303\274cher",
		     "name     pid   time flag\nb\303\274cher     7      -    -\n");
	assert_table("b\303\274cherei",
		     "name     pid   time flag\nb\303\274che+     7      -    -\n");
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		skip();
	assert_table("b\303\274cher",
		     "name     pid   time flag\nb\303\274cher     7      -    -\n");
	/* Two columns each: three just fit; of four, the third would leave no room for the mark. */
	assert_table("\xe4\xbb\xae\xe6\x83\xb3\xe6\xa9\x9f",
		     "name     pid   time flag\n"
		     "\xe4\xbb\xae\xe6\x83\xb3\xe6\xa9\x9f     7      -    -\n");
	assert_table("\xe4\xbb\xae\xe6\x83\xb3\xe6\xa9\x9f\xe6\xa2\xb0",
		     "name     pid   time flag\n"
		     "\xe4\xbb\xae\xe6\x83\xb3+      7      -    -\n");
	assert_table("a\xe4\xbb\xae\xe6\x83\xb3\xe6\xa9\x9f",
		     "name     pid   time flag\na\xe4\xbb\xae\xe6\x83\xb3+     7      -    -\n");
	/* A mark on the last letter that fits takes no column. */
	assert_table("longer\xcc\x81",
		     "name     pid   time flag\nlonger\xcc\x81     7      -    -\n");
	setlocale(LC_CTYPE, "C");
}

static void csv(FILE *f, const void *arg)
{
	const struct out_field **sel;
	size_t n;

	assert_int_equal(out_select_all(fields, &sel, &n), 0);
	out_csv_header(f, sel, n, true);
	out_csv_header(f, &sel[1], 1, false);
	fputc('\n', f);
	out_csv_row(f, sel, n, arg, true);
	out_csv_row(f, &sel[1], 1, arg, false);
	free(sel);
}

static void assert_csv(const struct row *row, const char *line)
{
	char *got = printed(csv, row);

	assert_memory_equal(got, "name,pid,a.ns,a.n,b.c.flag,b.set,pid\n", 37);
	assert_string_equal(got + 37, line);
	free(got);
}

static void test_csv(void **state)
{
	struct row row = full;

	(void)state;
	assert_csv(&full, "web,1234567,12345,1234567,true,3|4,1234567");
	assert_csv(&nothing, ",,,,,,");
	row.name.s = "say \"a,b\"";
	assert_csv(&row, "\"say \"\"a,b\"\"\",1234567,12345,1234567,true,3|4,1234567");
	row.name.s = "two\nlines";
	row.flag.b = false;
	assert_csv(&row, "\"two\nlines\",1234567,12345,1234567,false,3|4,1234567");
	row.pid.u = UINT64_MAX;
	row.name.s = "";
	assert_csv(&row, ",18446744073709551615,12345,1234567,false,3|4,18446744073709551615");
}

static void assert_json(const json_t *obj, const char *text)
{
	char *got = json_dumps(obj, JSON_COMPACT | JSON_REAL_PRECISION(10));

	assert_non_null(got);
	assert_string_equal(got, text);
	free(got);
}

/* All but the braces. */
static void assert_members(struct out_json *j, const struct row *row, const char *text)
{
	size_t len;
	const char *got = out_json_members(j, row, &len);

	assert_non_null(got);
	assert_int_equal(len, strlen(text) - 2);
	assert_memory_equal(got, text + 1, len);
}

/* A string may be longer than all numbers of a row, a path asked for twice, nothing asked for. */
static void test_json_members(void **state)
{
	static char name[100001], text[100100];
	const struct out_field **sel;
	struct row row = full;
	struct out_json *j;
	size_t n;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	row.name.s = name;
	assert_int_equal(out_select(fields, "pid,name,rate,a.n,pid", &sel, &n), 0);
	j = out_json_new(sel, n);
	assert_non_null(j);
	snprintf(text, sizeof(text),
		 "{\"pid\":1234567,\"name\":\"%s\",\"rate\":12.3456,"
		 "\"a\":{\"n\":1234567}}",
		 name);
	assert_members(j, &full,
		       "{\"pid\":1234567,\"name\":\"web\",\"rate\":12.3456,"
		       "\"a\":{\"n\":1234567}}");
	assert_members(j, &row, text);
	assert_members(j, &row, text);
	out_json_free(j);
	j = out_json_new(sel, 0);
	assert_non_null(j);
	assert_members(j, &row, "{}");
	out_json_free(j);
	free(sel);
}

static void test_digits(void **state)
{
	static const uint64_t numbers[] = { 0, 9, 10, 99, 100, 1234567890, INT64_MAX, UINT64_MAX };
	char got[21], want[24];

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		*out_digits(numbers[i], got) = '\0';
		snprintf(want, sizeof(want), "%" PRIu64, numbers[i]);
		assert_string_equal(got, want);
	}
}

static void test_json(void **state)
{
	static const char all[] = "{\"name\":\"web\",\"pid\":1234567,\"a\":{\"ns\":12345,"
				  "\"n\":1234567},\"b\":{\"c\":{\"flag\":true},\"set\":[3,4]}}";
	static const char none[] = "{\"name\":null,\"pid\":null,\"a\":{\"ns\":null,\"n\":null},"
				   "\"b\":{\"c\":{\"flag\":null},\"set\":null}}";
	const struct out_field **sel;
	struct row row = full;
	struct out_json *j;
	json_t *obj;
	size_t n;

	(void)state;
	assert_int_equal(out_select_all(fields, &sel, &n), 0);
	obj = out_json_row(sel, n, &full);
	assert_json(obj, all);
	json_decref(obj);

	/* Text for many rows: values come and go, places stay. */
	j = out_json_new(sel, n);
	assert_non_null(j);
	assert_members(j, &nothing, none);
	assert_members(j, &full, all);
	assert_members(j, &nothing, none);
	row.pid.u = UINT64_MAX;
	row.name.s = "\xe4\xbb\xae \"x\"\\";
	assert_members(j, &row,
		       "{\"name\":\"\xe4\xbb\xae \\\"x\\\"\\\\\",\"pid\":9223372036854775807,"
		       "\"a\":{\"ns\":12345,\"n\":1234567},\"b\":{\"c\":{\"flag\":true},"
		       "\"set\":[3,4]}}");
	row.name.s = "\xff";
	assert_null(out_json_members(j, &row, &n));
	assert_members(j, &full, all);
	out_json_free(j);
	free(sel);

	/* what is derived comes when it is asked for */
	assert_int_equal(out_select(fields, "rate,b.set,a.n", &sel, &n), 0);
	obj = out_json_row(sel, n, &full);
	assert_json(obj, "{\"rate\":12.3456,\"b\":{\"set\":[3,4]},\"a\":{\"n\":1234567}}");
	json_decref(obj);
	free(sel);
}

static void test_select(void **state)
{
	static const char *const bad[] = { "",		"nope", "name,", ",name",
					   "name,,pid", "Name", "a",	 "name pid" };
	const struct out_field **sel;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(out_select(fields, bad[i], &sel, &n), -EINVAL);
	assert_int_equal(out_select(fields, "pid,name", &sel, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(sel[0]->path, "pid");
	assert_string_equal(sel[1]->path, "name");
	free(sel);
	assert_int_equal(out_select(fields, NULL, &sel, &n), 0);
	assert_int_equal(n, 4);
	free(sel);
}

/* Every list that there is: each path once, something said of each, titles that fit. */
static void test_lists(void **state)
{
	static const struct out_field *const lists[] = {
		frame_fields, vm_fields, vcpu_fields, victim_fields, device_fields,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		for (const struct out_field *f = lists[i]; f->path; f++) {
			assert_ptr_equal(out_field_find(lists[i], f->path), f);
			assert_true(f->help && *f->help);
			assert_non_null(f->get);
			assert_true(out_width(f->title) <= f->width);
		}
		assert_null(out_field_find(lists[i], "total"));
	}
}

static void list(FILE *f, const void *arg)
{
	out_list_fields(f, arg);
}

static void test_list_fields(void **state)
{
	char *got = printed(list, vm_fields), *line, *rest = got;
	const struct out_field *f = vm_fields;

	(void)state;
	while ((line = strsep(&rest, "\n")) && *line) {
		assert_memory_equal(line, f->path, strlen(f->path));
		assert_non_null(strstr(line, f->help));
		f++;
	}
	assert_null(f->path);
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ns),     cmocka_unit_test(test_count),
		cmocka_unit_test(test_cells),  cmocka_unit_test(test_fractions_of_ns),
		cmocka_unit_test(test_table),  cmocka_unit_test(test_csv),
		cmocka_unit_test(test_json),   cmocka_unit_test(test_json_members),
		cmocka_unit_test(test_digits), cmocka_unit_test(test_select),
		cmocka_unit_test(test_lists),  cmocka_unit_test(test_list_fields),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

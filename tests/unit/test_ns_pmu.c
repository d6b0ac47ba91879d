// SPDX-License-Identifier: GPL-2.0
/*
 * Encodings from format files as the kernel shows them, field by field.  The
 * texts are those of Linux 7.2, arch/x86/events/intel/uncore_snbep.c; the
 * number is the line of DEFINE_UNCORE_FORMAT_ATTR, the array's that of the
 * generation's formats.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../tools/nosnoop/pmu.h"
#include "../../tools/nosnoop/watch.h"
#include "rmtree.h"

struct format {
	const char *name, *text;
};

/* snbep_uncore_cbox_formats_attr[], 714 */
static const struct format snbep[] = {
	{ "event", "config:0-7" },	     /* 489 */
	{ "umask", "config:8-15" },	     /* 493 */
	{ "edge", "config:18" },	     /* 500 */
	{ "tid_en", "config:19" },	     /* 501 */
	{ "inv", "config:23" },		     /* 503 */
	{ "thresh", "config:24-31" },	     /* 509 */
	{ "filter_tid", "config1:0-4" },     /* 527 */
	{ "filter_nid", "config1:10-17" },   /* 536 */
	{ "filter_state", "config1:18-22" }, /* 538 */
	{ "filter_opc", "config1:23-31" },   /* 550 */
	{ NULL, NULL },
};

/* ivbep_uncore_cbox_formats_attr[], 1579 */
static const struct format ivbep[] = {
	{ "event", "config:0-7" },	     /* 489 */
	{ "umask", "config:8-15" },	     /* 493 */
	{ "filter_tid", "config1:0-4" },     /* 527 */
	{ "filter_link", "config1:5-8" },    /* 533 */
	{ "filter_state", "config1:17-22" }, /* 539 */
	{ "filter_nid", "config1:32-47" },   /* 537 */
	{ "filter_opc", "config1:52-60" },   /* 551 */
	{ "filter_nc", "config1:62" },	     /* 555 */
	{ "filter_c6", "config1:61" },	     /* 556 */
	{ "filter_isoc", "config1:63" },     /* 557 */
	{ NULL, NULL },
};

/* hswep_uncore_cbox_formats_attr[], 2627; bdx_uncore_cbox, 3195, has them too */
static const struct format hswep[] = {
	{ "event", "config:0-7" },	     /* 489 */
	{ "umask", "config:8-15" },	     /* 493 */
	{ "filter_tid", "config1:0-5" },     /* 529 */
	{ "filter_link", "config1:6-8" },    /* 534 */
	{ "filter_state", "config1:17-23" }, /* 540 */
	{ "filter_nid", "config1:32-47" },   /* 537 */
	{ "filter_opc", "config1:52-60" },   /* 551 */
	{ NULL, NULL },
};

/* skx_upi_uncore_formats_attr[]: event, 489; umask_ext, 494 */
static const struct format skx_upi[] = {
	{ "event", "config:0-7" },
	{ "umask", "config:8-15,32-43,45-55" },
	{ NULL, NULL },
};

static char root[] = "/tmp/test_ns_pmu.XXXXXX";

static void put(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%s\n", text);
	fclose(f);
}

static int make_pmu(const char *name, const struct format *formats)
{
	char dir[128], format[160];
	int fd;

	snprintf(dir, sizeof(dir), "%s/%s", root, name);
	snprintf(format, sizeof(format), "%s/format", dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(mkdir(format, 0755), 0);
	put(dir, "type", "27");
	put(dir, "cpumask", "0,12");
	for (; formats->name; formats++)
		put(format, formats->name, formats->text);
	fd = open(dir, O_PATH | O_DIRECTORY);
	assert_true(fd >= 0);
	return fd;
}

static const struct pmu_generation *generation(const char *model)
{
	char text[256];
	const char *why;

	snprintf(text, sizeof(text),
		 "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: %s\n"
		 "model name\t: Intel(R) Xeon(R)\n",
		 model);
	return pmu_generation_of(text, &why);
}

static void expect(int fd, const struct pmu_generation *g, enum pmu_kind kind, uint64_t config,
		   uint64_t config1)
{
	struct perf_event_attr attr, wanted = {
		.type = 27,
		.size = sizeof(attr),
		.config = config,
		.config1 = config1,
		.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
	};

	assert_non_null(g);
	assert_int_equal(pmu_attr(fd, g, kind, &attr), 0);
	assert_int_equal(attr.type, wanted.type);
	assert_int_equal(attr.size, wanted.size);
	assert_int_equal(attr.config, config);
	assert_int_equal(attr.config1, config1);
	assert_int_equal(attr.config2, 0);
	assert_int_equal(attr.sample_period, 0);
	assert_int_equal(attr.read_format, wanted.read_format);
	assert_false(attr.disabled);
	assert_false(attr.inherit);
	assert_false(attr.exclude_kernel);
	/* And nothing else: uncore PMUs refuse whatever they do not know. */
	assert_memory_equal(&attr, &wanted, sizeof(attr));
}

static void test_snbep(void **state)
{
	int fd = make_pmu("snbep", snbep);
	const struct pmu_generation *g = generation("45");

	(void)state;
	expect(fd, g, PMU_READS, 0x0135, 0xf2000000);	       /* 0x1e4 << 23 */
	expect(fd, g, PMU_PARTIAL_WRITES, 0x0135, 0xf2800000); /* 0x1e5 << 23 */
	expect(fd, g, PMU_WRITES, 0x0135, 0xf3000000);	       /* 0x1e6 << 23 */
	close(fd);
}

static void test_later(void **state)
{
	static const struct {
		const char *dir, *model;
		const struct format *formats;
	} t[] = { { "ivbep", "62", ivbep },
		  { "hswep", "63", hswep },
		  { "bdx", "79", hswep },
		  { "bdxde", "86", hswep } };

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		int fd = make_pmu(t[i].dir, t[i].formats);
		const struct pmu_generation *g = generation(t[i].model);

		expect(fd, g, PMU_READS, 0x0135, 0x1e40000000000000);
		expect(fd, g, PMU_PARTIAL_WRITES, 0x0135, 0x1e50000000000000);
		expect(fd, g, PMU_WRITES, 0x0135, 0x1e60000000000000);
		assert_true(g->whole);
		close(fd);
	}
}

/*
 * umask 0x13d and 0x1dd: bit 8 of the field is bit 32 of config.  Event 0x4 is
 * UNC_UPI_TxL_BASIC_HDR_MATCH, at the sender: RxL (0x5) would give each socket the other's.
 */
static void test_upi(void **state)
{
	int fd = make_pmu("upi", skx_upi);
	const struct pmu_generation *g = generation("85");
	struct perf_event_attr attr;

	(void)state;
	expect(fd, g, PMU_READS, 0x10000dd04, 0);
	expect(fd, g, PMU_WRITES, 0x100003d04, 0);
	assert_int_equal(pmu_attr(fd, g, PMU_PARTIAL_WRITES, &attr), -EOPNOTSUPP);
	assert_false(g->whole);
	assert_non_null(g->hides);
	close(fd);
}

/* Another generation's format files do not take the value, or lack the field. */
static void test_wrong_formats(void **state)
{
	static const struct format narrow[] = { { "event", "config:0-7" },
						{ "umask", "config:8-15" },
						{ "filter_opc", "config1:23-30" },
						{ NULL, NULL } };
	static const struct format none[] = { { "event", "config:0-7" },
					      { "umask", "config:8-15" },
					      { NULL, NULL } };
	static const struct format garbage[] = { { "event", "config:0-7" },
						 { "umask", "config9:8-15" },
						 { NULL, NULL } };
	const struct pmu_generation *g = generation("45");
	struct perf_event_attr attr;
	int fd;

	(void)state;
	fd = make_pmu("narrow", narrow);
	assert_int_equal(pmu_attr(fd, g, PMU_READS, &attr), -ERANGE);
	close(fd);
	fd = make_pmu("none", none);
	assert_int_equal(pmu_attr(fd, g, PMU_READS, &attr), -ENOENT);
	close(fd);
	fd = make_pmu("garbage", garbage);
	assert_int_equal(pmu_attr(fd, g, PMU_READS, &attr), -EINVAL);
	close(fd);
}

static void test_fields(void **state)
{
	static const char *const bad[] = { "",		 "config",	  "config:",
					   "config:x",	 "config:1-",	  "config:64",
					   "config:3-2", "config:0-63,1", "config:1,",
					   "config:1 2", "config3:0-7",	  "config:-1" };
	struct pmu_field f;
	uint64_t config[3] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (pmu_field_parse(bad[i], &f) != -EINVAL)
			fail_msg("\"%s\" is taken", bad[i]);
	assert_int_equal(pmu_field_parse("config:0-7,21\n", &f), 0);
	assert_int_equal(pmu_field_set(&f, 0x138, config), 0);
	assert_int_equal(config[0], 0x200038);
	assert_int_equal(pmu_field_set(&f, 0x200, config), -ERANGE);
	assert_int_equal(pmu_field_parse("config2:0-63", &f), 0);
	assert_int_equal(pmu_field_set(&f, UINT64_MAX, config), 0);
	assert_int_equal(config[2], UINT64_MAX);
}

static void test_generations(void **state)
{
	static const char *const none[] = { "94", "106", "143", "207", "173", "87" };
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_null(generation(none[i]));
	assert_null(pmu_generation_of(
		"vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 45\n", &why));
	assert_non_null(strstr(why, "AMD"));
	/* The number of another family. */
	assert_null(pmu_generation_of(
		"vendor_id\t: GenuineIntel\ncpu family\t: 15\nmodel\t\t: 45\n", &why));
	assert_non_null(strstr(why, "not measurable"));
	assert_null(pmu_generation_of("", &why));
	assert_non_null(why);
}

static void test_scaling(void **state)
{
	struct pmu_value a = { 100, 1000, 1000 }, b = { 130, 4000, 2000 }, c = { 130, 5000, 2000 };
	double share;

	(void)state;
	/* 30 counted in 1000 of 3000: 90. */
	assert_true(pmu_scaled(&a, &b, &share) == 90);
	assert_true(share > 0.333 && share < 0.334);
	/* It did not run at all. */
	assert_true(pmu_scaled(&b, &c, &share) == 0);
	assert_true(share == 0);
	assert_true(pmu_scaled(&a, &a, &share) == 0);
	assert_true(share == 0);
}

/* Links of a third socket: whose requests they carry is not known. */
static void test_more_sockets(void **state)
{
	static const char *const dirs[] = { "many",
					    "many/proc",
					    "many/sys",
					    "many/sys/bus",
					    "many/sys/bus/event_source",
					    "many/sys/bus/event_source/devices",
					    "many/sys/devices",
					    "many/sys/devices/system",
					    "many/sys/devices/system/cpu" };
	const char *why;
	char path[128];
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, dirs[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	snprintf(path, sizeof(path), "%s/many/proc", root);
	put(path, "cpuinfo", "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85");
	close(make_pmu("many/sys/bus/event_source/devices/uncore_upi_0", skx_upi));
	snprintf(path, sizeof(path), "%s/many/sys/bus/event_source/devices/uncore_upi_0", root);
	put(path, "cpumask", "0-2");
	for (int cpu = 0; cpu < 3; cpu++) {
		char text[16];

		snprintf(path, sizeof(path), "%s/many/sys/devices/system/cpu/cpu%d", root, cpu);
		assert_int_equal(mkdir(path, 0755), 0);
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "/topology");
		assert_int_equal(mkdir(path, 0755), 0);
		snprintf(text, sizeof(text), "%d", cpu);
		put(path, "physical_package_id", text);
	}
	snprintf(path, sizeof(path), "%s/many", root);
	fd = open(path, O_PATH | O_DIRECTORY);
	assert_null(pmu_open(fd, &why));
	assert_non_null(strstr(why, "more than two sockets"));
	close(fd);
}

/* What one box of a socket did not count is not 0, and a 0 names what it may hide. */
static void test_never_ran(void **state)
{
	const struct pmu_value zero = { 0, 0, 0 }, ran = { 0, 1000, 1000 }, half = { 0, 1000, 500 },
			       idle = { 0, 1000, 0 };
	const struct pmu_generation *g = generation("45");
	struct pmu_socket s = { 0 };
	char text[1024] = "";
	FILE *f;

	(void)state;
	for (int kind = 0; kind < PMU_NR_KINDS; kind++) {
		pmu_add(&s, kind, &zero, &ran);
		assert_true(pmu_known(&s, kind));
	}
	assert_true(pmu_ran_always(&s));
	assert_non_null(pmu_hides(g, &s, 1, 2));
	assert_null(pmu_hides(g, &s, 1, 3));
	pmu_add(&s, PMU_READS, &zero, &half);
	assert_true(pmu_known(&s, PMU_READS));
	assert_false(pmu_ran_always(&s));
	assert_non_null(strstr(pmu_hides(g, &s, 1, 3), "multiplex"));
	pmu_add(&s, PMU_WRITES, &zero, &idle);
	assert_false(pmu_known(&s, PMU_WRITES));
	assert_true(s.share[PMU_WRITES] == 0);
	/* Another box cannot make up for it. */
	pmu_add(&s, PMU_WRITES, &zero, &ran);
	assert_false(pmu_known(&s, PMU_WRITES));
	/* An event that there is not hides nothing of this kind. */
	memset(&s, 0, sizeof(s));
	pmu_add(&s, PMU_READS, &zero, &ran);
	assert_null(pmu_hides(g, &s, 1, 3));

	pmu_add(&s, PMU_WRITES, &zero, &idle);
	f = fmemopen(text, sizeof(text), "w");
	assert_non_null(f);
	watch_socket_text(f, g, &s);
	fclose(f);
	assert_non_null(strstr(text, "reads 0 (counted 100 % of the time)"));
	assert_non_null(strstr(text, "writes not counted: the event did not run"));
	assert_non_null(strstr(text, "partial writes not measurable"));
	assert_non_null(strstr(text, "multiplex"));
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return rmtree(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_snbep),	  cmocka_unit_test(test_later),
		cmocka_unit_test(test_upi),	  cmocka_unit_test(test_wrong_formats),
		cmocka_unit_test(test_fields),	  cmocka_unit_test(test_generations),
		cmocka_unit_test(test_scaling),	  cmocka_unit_test(test_more_sockets),
		cmocka_unit_test(test_never_ran),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

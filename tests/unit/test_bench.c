// SPDX-License-Identifier: GPL-2.0
/* wbinvdbench without KVM: options, the guest's memory, quantiles, what KVM says. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include <linux/kvm.h>

#include "../../tools/lib/log.h"
#include "../../tools/wbinvdbench/bench.h"

#define GIB (1ULL << 30)
#define MIB (1ULL << 20)

/* Where what goes to a descriptor is kept meanwhile. */
struct capture {
	FILE *stream;
	int of, saved, file;
};

static void capture_begin(struct capture *c, FILE *stream)
{
	fflush(stream);
	c->stream = stream;
	c->of = fileno(stream);
	c->saved = dup(c->of);
	c->file = memfd_create("captured", 0);
	assert_true(c->file >= 0);
	dup2(c->file, c->of);
}

/* free() what it returns. */
static char *capture_end(struct capture *c)
{
	char *said;
	off_t len;

	fflush(c->stream);
	dup2(c->saved, c->of);
	close(c->saved);
	len = lseek(c->file, 0, SEEK_END);
	said = calloc(1, len + 1);
	assert_int_equal(pread(c->file, said, len, 0), len);
	close(c->file);
	return said;
}

/* Parses words (ended by NULL); *said is what went to stderr, free() it. */
static int parse(struct bench_options *opt, char **said, ...)
{
	char *argv[32] = { (char *)"wbinvdbench" };
	struct capture c;
	int argc = 1, err;
	va_list ap;

	va_start(ap, said);
	while ((argv[argc] = va_arg(ap, char *)))
		argc++;
	va_end(ap);
	capture_begin(&c, stderr);
	err = bench_parse(argc, argv, opt);
	*said = capture_end(&c);
	return err;
}

static void test_defaults(void **state)
{
	struct bench_options opt;
	char *said;

	(void)state;
	assert_int_equal(parse(&opt, &said, NULL), 0);
	assert_string_equal(said, "");
	assert_int_equal(opt.count, 1000);
	assert_int_equal(opt.vcpus, 1);
	assert_int_equal(opt.insn, INSN_WBINVD);
	assert_int_equal(opt.n_pin, 0);
	assert_int_equal(opt.dirty, 0);
	assert_int_equal(opt.rate, 0);
	assert_string_equal(opt.bdf, "");
	assert_false(opt.json);
	free(said);
	bench_options_free(&opt);
}

static void test_any_order(void **state)
{
	struct bench_options a, b;
	char *said;

	(void)state;
	assert_int_equal(parse(&a, &said, "-n", "25000", "-v", "4", "-i", "cpuid", "--dirty", "8",
			       "--rate", "500", "--vfio", "01:02.3", "--json", "--hold", "0.5",
			       NULL),
			 0);
	free(said);
	assert_int_equal(parse(&b, &said, "--hold=0.5", "--json", "--vfio=0000:01:02.3",
			       "--rate=500", "--dirty=8", "--instruction=cpuid", "-v4",
			       "--count=25000", NULL),
			 0);
	free(said);
	assert_int_equal(a.count, 25000);
	assert_int_equal(a.vcpus, 4);
	assert_int_equal(a.insn, INSN_CPUID);
	assert_int_equal(a.dirty, 8 * MIB);
	assert_int_equal(a.rate, 500);
	assert_string_equal(a.bdf, "0000:01:02.3");
	assert_int_equal(a.hold_ns, 500000000);
	assert_true(a.json);
	assert_memory_equal(&a, &b, sizeof(a));
	bench_options_free(&a);
	bench_options_free(&b);
}

static void test_refused(void **state)
{
	static const char *const cases[][3] = {
		{ "-n", "0", "-n" },
		{ "-n", "-1", "-n" },
		{ "-n", "", "-n" },
		{ "-n", "12abc", "12abc" },
		{ "-n", "0x10", "0x10" },
		{ "-n", "18446744073709551616", "18446744073709551616" },
		{ "-n", "1000000000000001", "from 1 to 1000000000000000" },
		{ "-v", "0", "-v" },
		{ "-v", "65537", "from 1 to 65536" },
		{ "-v", "1.5", "1.5" },
		{ "-i", "invd", "wbinvd, cpuid or nop" },
		{ "-i", "", "-i" },
		{ "--pin", "0,", "--pin" },
		{ "--pin", "3-1", "3-1" },
		{ "--pin", "8192", "8192" },
		{ "--pin", "8191", "no CPU 8191" },
		{ "--pin", "", "--pin" },
		{ "--dirty", "0", "--dirty" },
		{ "--dirty", "520193", "520192" },
		{ "--rate", "0", "--rate" },
		{ "--rate", "1000001", "1000000" },
		{ "--batch", "0", "--batch" },
		{ "--vfio", "1:2", "1:2" },
		{ "--vfio", "", "--vfio" },
		{ "--vfio", "0000:01:00.8", "0000:01:00.8" },
		{ "--hold", "-1", "--hold" },
		{ "--hold", "86401", "86400" },
		{ "--start-delay", "1e3", "1e3" },
		{ "-o", "executed,zork", "zork" },
		{ "--json", "x", "x" },
		{ "--zork", NULL, "--zork" },
		{ "-n", NULL, "-n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench_options opt;
		char *said, *newline;

		if (parse(&opt, &said, cases[i][0], cases[i][1], NULL) != -EINVAL)
			fail_msg("%s %s is accepted", cases[i][0], cases[i][1]);
		newline = strchr(said, '\n');
		if (!newline || newline[1] || !strstr(said, cases[i][2]))
			fail_msg("%s %s: not one sentence about it: %s", cases[i][0], cases[i][1],
				 said);
		free(said);
		bench_options_free(&opt);
	}
}

static void test_contradictions(void **state)
{
	struct bench_options opt;
	char *said;

	(void)state;
	assert_int_equal(parse(&opt, &said, "--dirty", "1", "--batch", "2", NULL), -EINVAL);
	assert_non_null(strstr(said, "--dirty"));
	free(said);
	bench_options_free(&opt);
	assert_int_equal(parse(&opt, &said, "--dirty", "1", "--batch", "1", NULL), 0);
	free(said);
	bench_options_free(&opt);
	/* Each fits, all together do not. */
	assert_int_equal(parse(&opt, &said, "--dirty", "260097", "-v", "2", NULL), -EINVAL);
	assert_non_null(strstr(said, "520192 MiB"));
	free(said);
	bench_options_free(&opt);
	assert_int_equal(parse(&opt, &said, "--dirty", "260096", "-v", "2", NULL), 0);
	free(said);
	bench_options_free(&opt);
}

static void test_batch(void **state)
{
	struct bench_options opt = { .count = 25000, .vcpus = 1 };

	(void)state;
	assert_int_equal(bench_batch(&opt, false), 100);
	assert_int_equal(bench_batch(&opt, true), 1);
	opt.count = 1000;
	assert_int_equal(bench_batch(&opt, false), 10);
	opt.count = 1;
	assert_int_equal(bench_batch(&opt, false), 1);
	opt.insn = INSN_CPUID;
	opt.count = 25000;
	assert_int_equal(bench_batch(&opt, true), 100);
	opt.insn = INSN_NOP;
	opt.count = 1000000000;
	assert_int_equal(bench_batch(&opt, false), 100000);
	opt.rate = 10;
	assert_int_equal(bench_batch(&opt, false), 1);
	opt.batch = 7;
	assert_int_equal(bench_batch(&opt, true), 7);
}

static int plan_of(const char *text, struct dma_plan *plan)
{
	const char *why = NULL;
	int err = dma_parse(text, plan, &why);

	assert_int_equal(!err, !why);
	return err;
}

static void test_dma_plan(void **state)
{
	static const char *const bad[] = {
		"",
		"noncoherent,",
		"@1",
		"block@",
		"block@-1",
		"block@1x",
		"block@86401",
		"Block",
		"pause@2,resume@1.9",
		"pause@1,block",
		"noncoherent,enforced",
		"automatic,block,automatic",
	};
	struct dma_plan plan;

	(void)state;
	assert_int_equal(plan_of("noncoherent,block,pause@0,automatic@1.5,automatic@1.5", &plan),
			 0);
	assert_int_equal(plan.n, 5);
	assert_int_equal(dma_first_flags(&plan), 2);
	assert_true(!plan.steps[1].later && plan.steps[2].later);
	assert_int_equal(plan.steps[3].at_ns, 1500000000);
	assert_string_equal(dma_name(plan.steps[4].what), "automatic");

	plan.next = 3;
	assert_int_equal(dma_wait_ms(&plan, 1000, 1000), 1500);
	assert_int_equal(dma_wait_ms(&plan, 1000, 1001), 1500);
	assert_int_equal(dma_wait_ms(&plan, 1000, 1500000999), 1);
	assert_int_equal(dma_wait_ms(&plan, 1000, 1500001000), 0);
	assert_int_equal(dma_wait_ms(&plan, 1000, 9500001000), 0);
	plan.next = 5;
	assert_int_equal(dma_wait_ms(&plan, 1000, 2000), -1);
	dma_plan_free(&plan);

	assert_int_equal(plan_of("pause,enforced", &plan), 0);
	assert_int_equal(dma_first_flags(&plan), 1);
	dma_plan_free(&plan);
	assert_int_equal(plan_of("noncoherent@1", &plan), 0);
	assert_int_equal(dma_first_flags(&plan), 0);
	dma_plan_free(&plan);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(plan_of(bad[i], &plan), -EINVAL);
		dma_plan_free(&plan);
	}
}

static void test_quantiles(void **state)
{
	struct quant *q = calloc(1, sizeof(*q)), *all = calloc(1, sizeof(*all));

	(void)state;
	assert_int_equal(quant_at(q, 500), 0);
	for (uint64_t v = 1; v <= 200; v++)
		quant_add(q, v);
	assert_int_equal(q->count, 200);
	assert_int_equal(quant_at(q, 0), 1);
	assert_int_equal(quant_at(q, 500), 100);
	assert_int_equal(quant_at(q, 990), 198);
	assert_int_equal(quant_at(q, 1000), 200);
	quant_merge(all, q);
	quant_merge(all, q);
	assert_int_equal(all->count, 400);
	assert_int_equal(all->min, 1);
	assert_int_equal(quant_at(all, 500), 100);
	free(q);
	free(all);
}

/* Every size of value: never too low, at most one part in 128 too high. */
static void test_quantile_bounds(void **state)
{
	struct quant *q = calloc(1, sizeof(*q));

	(void)state;
	for (unsigned int bit = 0; bit < 64; bit++) {
		for (int off = -1; off <= 1; off++) {
			uint64_t v = (1ULL << bit) + off, got;

			memset(q, 0, sizeof(*q));
			quant_add(q, v);
			quant_add(q, UINT64_MAX);
			got = quant_at(q, 500);
			if (got < v || got - v > v / 128)
				fail_msg("%llu is reported as %llu", (unsigned long long)v,
					 (unsigned long long)got);
			assert_int_equal(q->min, v);
			assert_int_equal(quant_at(q, 1000), UINT64_MAX);
		}
	}
	free(q);
}

/* The page tables as a CPU would walk them; 0: not mapped. */
static uint64_t walk(const uint8_t *mem, size_t size, uint64_t cr3, uint64_t va)
{
	uint64_t table = cr3;

	for (int level = 4; level >= 2; level--) {
		unsigned int index = va >> (12 + 9 * (level - 1)) & 511;
		uint64_t entry;

		assert_true(table + 4096 <= size);
		entry = ((const uint64_t *)(mem + table))[index];
		if ((entry & 3) != 3)
			return 0;
		table = entry & 0xffffffffff000ULL;
		if (entry & 0x80)
			return table | (va & ((1ULL << (12 + 9 * (level - 1))) - 1));
	}
	return 0;
}

static void test_page_tables(void **state)
{
	static const uint64_t dirty[] = { 0, MIB, GIB, 5 * GIB + MIB };

	(void)state;
	for (size_t i = 0; i < sizeof(dirty) / sizeof(dirty[0]); i++) {
		size_t size = guest_ctl_size(3, dirty[i]);
		struct kvm_sregs sregs = { 0 };
		struct kvm_regs regs;
		uint8_t *mem = calloc(1, size);
		uint64_t end = GUEST_DIRTY_GPA + dirty[i];

		assert_int_equal(size % 4096, 0);
		guest_load(mem, dirty[i]);
		guest_set_sregs(&sregs);
		guest_set_regs(&regs, INSN_WBINVD, 2, dirty[i]);
		assert_int_equal(walk(mem, size, sregs.cr3, regs.rip), regs.rip);
		assert_int_equal(walk(mem, size, sregs.cr3, regs.rdi), regs.rdi);
		assert_ptr_equal(guest_ctl(mem, 2, dirty[i]), mem + regs.rdi);
		assert_true(regs.rdi + sizeof(struct guest_ctl) <= size);
		if (dirty[i]) {
			assert_int_equal(walk(mem, size, sregs.cr3, GUEST_DIRTY_GPA),
					 GUEST_DIRTY_GPA);
			assert_int_equal(walk(mem, size, sregs.cr3, end - 8), end - 8);
		}
		assert_int_equal(walk(mem, size, sregs.cr3, 2 * GIB), 0);
		/* vCPUs must not share a page of counters, nor use one of the tables'. */
		assert_int_equal((uint8_t *)guest_ctl(mem, 1, dirty[i]) -
					 (uint8_t *)guest_ctl(mem, 0, dirty[i]),
				 4096);
		assert_int_equal(guest_ctl(mem, 0, dirty[i])->todo, 0);
		assert_int_equal(guest_ctl(mem, 2, dirty[i])->executed, 0);
		free(mem);
	}
}

static size_t count_bytes(const uint8_t *mem, size_t len, const char *bytes)
{
	size_t n = 0;

	for (size_t i = 0; i + 1 < len; i++)
		n += !memcmp(mem + i, bytes, 2);
	return n;
}

static void test_guest_code(void **state)
{
	size_t size = guest_ctl_size(1, 0);
	uint8_t *mem = calloc(1, size);
	enum guest_insn insn;
	struct kvm_regs regs;

	(void)state;
	guest_load(mem, 0);
	guest_set_regs(&regs, INSN_WBINVD, 0, 0);
	/* From the first loop to the page tables: one wbinvd, one cpuid, and never invd. */
	assert_int_equal(count_bytes(mem + regs.rip, 0x2000 - regs.rip, "\x0f\x09"), 1);
	assert_int_equal(count_bytes(mem + regs.rip, 0x2000 - regs.rip, "\x0f\xa2"), 1);
	assert_int_equal(count_bytes(mem + regs.rip, 0x2000 - regs.rip, "\x0f\x08"), 0);
	/* Right behind the instruction, and nowhere else, it is not counted yet. */
	for (uint64_t rip = regs.rip; rip < 0x2000; rip++)
		assert_int_equal(guest_uncounted(INSN_WBINVD, rip),
				 mem[rip - 2] == 0x0f && mem[rip - 1] == 0x09);
	assert_int_equal(guest_insn_parse("cpuid", &insn), 0);
	assert_int_equal(insn, INSN_CPUID);
	assert_string_equal(guest_insn_name(insn), "cpuid");
	assert_int_equal(guest_insn_parse("WBINVD", &insn), -EINVAL);
	free(mem);
}

static void assert_says(const struct kvm_run *run, const char *expected)
{
	char *text = bench_exit_text(run);

	assert_string_equal(text, expected);
	free(text);
}

static void test_exit_text(void **state)
{
	struct kvm_run run = { .exit_reason = KVM_EXIT_SHUTDOWN };

	(void)state;
	assert_says(&run, "exit reason 8 (KVM_EXIT_SHUTDOWN), a triple fault of the guest");

	run.exit_reason = KVM_EXIT_FAIL_ENTRY;
	run.fail_entry.hardware_entry_failure_reason = 0x80000021;
	run.fail_entry.cpu = 3;
	assert_says(
		&run,
		"exit reason 9 (KVM_EXIT_FAIL_ENTRY), hardware entry failure reason 0x80000021 on CPU 3");

	memset(&run, 0, sizeof(run));
	run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run.internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run.internal.ndata = 2;
	run.internal.data[0] = 0x4009090f;
	run.internal.data[1] = 1;
	assert_says(
		&run,
		"exit reason 17 (KVM_EXIT_INTERNAL_ERROR), suberror 1 (KVM_INTERNAL_ERROR_EMULATION), data 0x4009090f, 0x1");

	/* A kernel that lies about the length, and one that is newer than we are. */
	run.internal.suberror = 77;
	run.internal.ndata = 0xffffffff;
	free(bench_exit_text(&run));
	memset(&run, 0, sizeof(run));
	run.exit_reason = 12345;
	assert_says(&run, "exit reason 12345 (unnamed)");
	run.exit_reason = KVM_EXIT_UNKNOWN;
	run.hw.hardware_exit_reason = 0x89;
	assert_says(&run, "exit reason 0 (KVM_EXIT_UNKNOWN), hardware reason 0x89");
}

/* Stopped before a vCPU ran: what was never measured is no 0. */
static void test_report_unknown(void **state)
{
	struct bench_options opt;
	struct vcpu vcpus[2] = { { .cpu = BENCH_NO_CPU }, { .id = 1, .cpu = BENCH_NO_CPU } };
	struct vm vm = { .opt = &opt, .fd = 3, .batch = 1, .vcpus = vcpus, .interrupted = true };
	struct capture c;
	char *said;

	(void)state;
	assert_int_equal(parse(&opt, &said, "-v", "2", "--json", "-o",
			       "executed,batches,ns.min,wall_ns,rate,overhead_ns", NULL),
			 0);
	free(said);
	vm.dma = &opt.dma;
	capture_begin(&c, stdout);
	assert_int_equal(bench_report(&vm, NULL), 0);
	said = capture_end(&c);
	assert_non_null(strstr(said,
			       "\"total\":{\"executed\":0,\"batches\":0,\"ns\":{\"min\":null},"
			       "\"wall_ns\":null,\"rate\":null,\"overhead_ns\":null}"));
	free(said);
	bench_options_free(&opt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),    cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_refused),	    cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_batch),	    cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_dma_plan),    cmocka_unit_test(test_quantile_bounds),
		cmocka_unit_test(test_page_tables), cmocka_unit_test(test_guest_code),
		cmocka_unit_test(test_exit_text),   cmocka_unit_test(test_report_unknown),
	};

	log_init("wbinvdbench", false);
	return cmocka_run_group_tests_name("wbinvdbench", tests, NULL, NULL);
}

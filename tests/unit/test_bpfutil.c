// SPDX-License-Identifier: GPL-2.0
/* Which of libbpf's many lines ends in the one sentence. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bpfutil.h"

__attribute__((format(printf, 2, 3))) static void say(enum libbpf_print_level level,
						      const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	bpfutil_print(level, fmt, args);
	va_end(args);
}

static void test_nothing_said(void **state)
{
	(void)state;
	bpfutil_begin();
	assert_string_equal(bpfutil_why(-EPERM), "Operation not permitted");
	say(LIBBPF_DEBUG, "libbpf: loading object 'x'\n");
	assert_string_equal(bpfutil_why(-EPERM), "Operation not permitted");
}

static void test_symbol(void **state)
{
	(void)state;
	bpfutil_begin();
	say(LIBBPF_WARN, "libbpf: extern (func ksym) '%s': not found in kernel or module BTFs\n",
	    "kvm_get_vcpu");
	say(LIBBPF_WARN, "libbpf: failed to load object 'wbinvd_bpf'\n");
	say(LIBBPF_WARN, "libbpf: failed to load BPF skeleton 'wbinvd_bpf': -3\n");
	assert_string_equal(bpfutil_why(-ESRCH),
			    "No such process (extern (func ksym) 'kvm_get_vcpu': not found in "
			    "kernel or module BTFs)");
	bpfutil_begin();
	assert_string_equal(bpfutil_why(-ESRCH), "No such process");
}

static void test_verifier(void **state)
{
	(void)state;
	bpfutil_begin();
	say(LIBBPF_WARN, "libbpf: prog 'fe_begin': BPF program load failed: Permission denied\n");
	say(LIBBPF_WARN,
	    "libbpf: prog 'fe_begin': -- BEGIN PROG LOAD LOG --\n0: R1=ctx(off=0,imm=0)\n"
	    "; e->flushes++;\n7: (79) r1 = *(u64 *)(r0 +0)\n%s\n"
	    "processed 8 insns (limit 1000000) max_states_per_insn 0\n"
	    "-- END PROG LOAD LOG --\n",
	    "R0 invalid mem access 'scalar'");
	say(LIBBPF_WARN, "libbpf: prog 'fe_begin': failed to load: -13\n");
	say(LIBBPF_WARN, "libbpf: failed to load object 'wbinvd_bpf'\n");
	assert_string_equal(bpfutil_why(-EACCES),
			    "Permission denied (R0 invalid mem access 'scalar')");
}

/* The same words are not said twice. */
static void test_attach(void **state)
{
	(void)state;
	bpfutil_begin();
	say(LIBBPF_WARN, "libbpf: prog 'fe_begin': failed to attach: Operation not permitted\n");
	assert_string_equal(bpfutil_why(-EPERM),
			    "prog 'fe_begin': failed to attach: Operation not permitted");
}

/* libbpf's guess at EPERM is none of the reasons. */
static void test_memlock(void **state)
{
	(void)state;
	bpfutil_begin();
	say(LIBBPF_WARN,
	    "libbpf: prog 'fe_begin': BPF program load failed: Operation not permitted\n");
	say(LIBBPF_WARN,
	    "libbpf: permission error while running as root; try raising 'ulimit -l'? current value: %s\n",
	    "8.0 MiB");
	say(LIBBPF_WARN, "libbpf: prog 'fe_begin': failed to load: -1\n");
	assert_string_equal(bpfutil_why(-EPERM),
			    "prog 'fe_begin': BPF program load failed: Operation not permitted");
	bpfutil_begin();
	say(LIBBPF_WARN,
	    "libbpf: Error in %s():%s(%d). Couldn't load trivial BPF program. Make sure your kernel supports BPF (CONFIG_BPF_SYSCALL=y) and/or that RLIMIT_MEMLOCK is set to big enough value.\n",
	    "bpf_object__probe_loading", "Operation not permitted", 1);
	assert_string_equal(bpfutil_why(-EPERM), "Operation not permitted");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_said), cmocka_unit_test(test_symbol),
		cmocka_unit_test(test_verifier),     cmocka_unit_test(test_attach),
		cmocka_unit_test(test_memlock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

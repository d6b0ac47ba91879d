// SPDX-License-Identifier: GPL-2.0
/* What the live source concludes from procfs and sysfs, in trees made here. */
#include <limits.h>
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

#include "../../tools/lib/procutil.h"
#include "../../tools/wbinvdtop/bpf_obj.h"
#include "../../tools/wbinvdtop/vm_table.h"
#include "rmtree.h"

#define INIT_PIDNS  "pid:[4026531836]"
#define OTHER_PIDNS "pid:[4026532999]"

/* DIR/NAME below root, with its directories; NULL: DIR alone. */
static void full_path(char *full, const char *root, const char *dir, const char *name)
{
	char *p;

	snprintf(full, PATH_MAX, "%s/%s/", root, dir);
	for (p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(full, 0755);
		*p = '/';
	}
	if (name)
		strcat(full, name);
}

static void put(const char *root, const char *dir, const char *name, const char *text)
{
	char full[PATH_MAX];
	FILE *f;

	full_path(full, root, dir, name);
	f = fopen(full, "w");
	assert_non_null(f);
	assert_int_not_equal(fputs(text, f), EOF);
	assert_int_equal(fclose(f), 0);
}

static void put_link(const char *root, const char *dir, const char *name, const char *target)
{
	char full[PATH_MAX];

	full_path(full, root, dir, name);
	unlink(full);
	assert_int_equal(symlink(target, full), 0);
}

static int setup(void **state)
{
	char *root = strdup("/tmp/test_live.XXXXXX");

	*state = root;
	return root && mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
	rmtree(*state);
	free(*state);
	return 0;
}

static void test_module_live(void **state)
{
	char full[PATH_MAX];

	assert_false(proc_module_live(*state, "kvm"));
	put(*state, "kvm", "initstate", "coming\n");
	assert_false(proc_module_live(*state, "kvm"));
	put(*state, "kvm", "initstate", "going\n");
	assert_false(proc_module_live(*state, "kvm"));
	/* The kernel gives no more while it takes the file away. */
	put(*state, "kvm", "initstate", "");
	assert_false(proc_module_live(*state, "kvm"));
	put(*state, "kvm", "initstate", "live\n");
	assert_true(proc_module_live(*state, "kvm"));
	assert_false(proc_module_live(*state, "kvm_amd"));
	/* Built in. */
	full_path(full, *state, "kvm_amd/parameters", NULL);
	assert_true(proc_module_live(*state, "kvm_amd"));
}

static void test_waits_for(void **state)
{
	assert_string_equal(bpf_obj_waits_for(*state, false), "KVM is not loaded; waiting for it");
	assert_string_equal(bpf_obj_waits_for(*state, true), "KVM is not loaded; waiting for it");
	put(*state, "kvm", "initstate", "live\n");
	assert_null(bpf_obj_waits_for(*state, false));
	assert_string_equal(bpf_obj_waits_for(*state, true),
			    "KVM is loaded without kvm_intel or kvm_amd; waiting for one of them");
	put(*state, "kvm_intel", "initstate", "coming\n");
	assert_non_null(bpf_obj_waits_for(*state, true));
	put(*state, "kvm_intel", "initstate", "live\n");
	assert_null(bpf_obj_waits_for(*state, true));
}

static void put_process(const char *root, const char *pid, const char *start)
{
	char stat[256];

	snprintf(stat, sizeof(stat),
		 "%s (x) S 1 2 3 0 -1 4194304 9 0 0 0 5 6 0 0 20 0 4 0 %s 999 8 0\n", pid, start);
	put(root, pid, "stat", stat);
}

static void test_process_gone(void **state)
{
	struct vm_table *t;

	put_link(*state, "1/ns", "pid", INIT_PIDNS);
	put_process(*state, "100", "5000");
	t = vm_table_new(*state);
	assert_non_null(t);
	assert_false(vm_table_process_gone(t, 100, 5000));
	assert_true(vm_table_process_gone(t, 100, 4000));
	assert_true(vm_table_process_gone(t, 101, 5000));
	vm_table_free(t);
}

/* The number is another process's, or nobody's: that says nothing of the one that BPF saw. */
static void test_process_foreign(void **state)
{
	struct vm_table *t;

	put_link(*state, "1/ns", "pid", OTHER_PIDNS);
	put_process(*state, "100", "5000");
	t = vm_table_new(*state);
	assert_non_null(t);
	assert_false(vm_table_process_gone(t, 100, 5000));
	assert_false(vm_table_process_gone(t, 100, 4000));
	assert_false(vm_table_process_gone(t, 101, 5000));
	vm_table_free(t);
}

/* What a destroyed vCPU did last belongs to the interval that it was destroyed in, and to no later one. */
static void test_destroyed_vcpu(void **state)
{
	const struct wb_vcpu v = { .id = 2, .max_ns = 9000, .interval_max_ns = 700 };
	const struct wb_vm_val val = { .tgid = 100 };
	struct vm_state *s;
	struct vm_table *t;

	put_link(*state, "1/ns", "pid", INIT_PIDNS);
	t = vm_table_new(*state);
	assert_non_null(t);
	vm_table_begin(t);
	s = vm_table_add(t, 1, &val);
	assert_non_null(s);
	assert_int_equal(vm_state_keep(s, 5, &v), 0);
	assert_int_equal(s->kept[0].vcpu.interval_max_ns, 700);
	vm_table_begin(t);
	assert_int_equal(s->kept[0].vcpu.interval_max_ns, 0);
	assert_int_equal(s->kept[0].vcpu.max_ns, 9000);
	vm_table_free(t);
}

/* Between two readings a VM is called what the next one will call it, also when its process is gone by then. */
static void test_name_of_young_vm(void **state)
{
	const struct wb_vm_val val = { .tgid = 100, .comm = "qemu", .id = "100-7" };
	const struct wb_vm_val other = { .tgid = 101, .comm = "\033[2J", .id = "101-7" };
	struct vm_state *s;
	struct vm_table *t;
	struct wb_vm vm = {};
	char full[PATH_MAX];

	put_link(*state, "1/ns", "pid", INIT_PIDNS);
	put_process(*state, "100", "5000");
	put(*state, "100", "cgroup",
	    "0::/machine.slice/machine-qemu\\x2d3\\x2dweb01.scope/emulator\n");
	t = vm_table_new(*state);
	assert_non_null(t);
	vm_table_begin(t);
	s = vm_table_add(t, 1, &val);
	assert_non_null(s);
	assert_string_equal(vm_table_vm_name(t, s), "web01");
	full_path(full, *state, "100", NULL);
	rmtree(full);
	vm_table_begin(t);
	vm_table_begin(t);
	assert_string_equal(vm_table_vm_name(t, s), "web01");
	s->val.dead = true;
	assert_int_equal(vm_table_identify(t, s, &vm, 1), 0);
	assert_string_equal(vm.name, "web01");
	free(vm.name);
	s = vm_table_add(t, 2, &other);
	assert_non_null(s);
	assert_string_equal(vm_table_vm_name(t, s), "\xef\xbf\xbd[2J");
	vm_table_free(t);
}

/* "-name" is a VM's name to a VM alone. */
static void test_command(void **state)
{
	static const char cmdline[] = "find\0-name\0decoy";
	char full[PATH_MAX], *name;
	struct vm_table *t;
	FILE *f;

	put_link(*state, "1/ns", "pid", INIT_PIDNS);
	put_process(*state, "100", "5000");
	full_path(full, *state, "100", "cmdline");
	f = fopen(full, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(cmdline, sizeof(cmdline), 1, f), 1);
	assert_int_equal(fclose(f), 0);
	t = vm_table_new(*state);
	assert_non_null(t);
	assert_string_equal(vm_table_name(t, 100, 5000, "find"), "decoy");
	name = vm_table_command(t, 100, "find");
	assert_string_equal(name, "find");
	free(name);
	name = vm_table_command(t, 100, "\033[2J");
	assert_string_equal(name, "\xef\xbf\xbd[2J");
	free(name);
	vm_table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_module_live, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waits_for, setup, teardown),
		cmocka_unit_test_setup_teardown(test_process_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_process_foreign, setup, teardown),
		cmocka_unit_test_setup_teardown(test_destroyed_vcpu, setup, teardown),
		cmocka_unit_test_setup_teardown(test_name_of_young_vm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_command, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

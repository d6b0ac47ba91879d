// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../tools/lib/procutil.h"
#include "../../tools/lib/vmname.h"
#include "rmtree.h"

#define FFFD "\xef\xbf\xbd"

/* A command line as a C string literal with embedded NULs, its last NUL included. */
#define ARGV(lit) lit, sizeof(lit)

static void expect_name(const char *buf, size_t len, const char *want, int line)
{
	/* A copy without slack, so that a sanitizer sees every byte too many. */
	char *exact = malloc(len ? len : 1), *got;

	assert_non_null(exact);
	memcpy(exact, buf, len);
	got = vmname_from_cmdline(exact, len);
	free(exact);
	if (!want ? got != NULL : !got || strcmp(got, want)) {
		print_error("line %d: got \"%s\", want \"%s\"\n", line, got ? got : "(null)",
			    want ? want : "(null)");
		fail();
	}
	free(got);
}

#define expect(lit, want) expect_name(ARGV(lit), want, __LINE__)

static void test_qemu_forms(void **state)
{
	(void)state;
	expect("/usr/bin/qemu-system-x86_64\0-name\0web", "web");
	expect("qemu-system-x86_64\0--name\0web", "web");
	expect("qemu\0-name\0guest=web,debug-threads=on", "web");
	expect("qemu\0-name\0debug-threads=on,guest=web", "web");
	expect("qemu\0-name\0web,process=x,debug-threads=on", "web");
	expect("qemu\0-name\0guest=a=b", "a=b");
	expect("qemu\0-name\0web,debug-threads", "web");
	expect("qemu\0-name\0debug-threads=on,web", NULL);
	expect("qemu\0-name\0guest=a,guest=b", "b");
	expect("kvm\0-id\0"
	       "100\0-name\0vm100,debug-threads=on\0-daemonize",
	       "vm100");
	expect("/nix/store/x/.qemu-system-x86_64-wrapped\0-enable-kvm\0-name\0web", "web");
	expect("qemu\0-name\0b\xc3\xbc"
	       "cher",
	       "b\xc3\xbc"
	       "cher");
	expect("qemu\0-name\0a b", "a b");
}

static void test_commas(void **state)
{
	(void)state;
	expect("qemu\0-name\0guest=a,,b", "a,b");
	expect("qemu\0-name\0a,,b,debug-threads=on", "a,b");
	expect("qemu\0-name\0a,,b=c", "a,b=c");
	expect("qemu\0-name\0guest=a,,,,b", "a,,b");
	expect("qemu\0-name\0guest=a,,,debug-threads=on", "a,");
	expect("qemu\0-name\0guest=,,", ",");
	expect("qemu\0-name\0process=x,,guest=y", NULL);
	expect("qemu\0-name\0debug-threads=on,,x,guest=y", "y");
}

static void test_several(void **state)
{
	(void)state;
	/* The lists of all -name options are merged. */
	expect("qemu\0-name\0a\0-name\0b", "b");
	expect("qemu\0-name\0guest=a\0-name\0debug-threads=on", "a");
	expect("qemu\0-name\0a\0-m\0"
	       "1G\0--name\0guest=b",
	       "b");
}

static void test_no_name(void **state)
{
	(void)state;
	expect_name("", 0, NULL, __LINE__);
	expect("", NULL);
	expect("qemu", NULL);
	expect("qemu\0-name", NULL);
	expect("qemu\0-m\0"
	       "1G\0-name",
	       NULL);
	expect("qemu\0-name\0", NULL);
	expect("qemu\0-name\0guest=", NULL);
	expect("qemu\0-name\0debug-threads=on", NULL);
	expect("qemu\0-name\0,guest=", NULL);
	expect("-name\0web", NULL);
	expect("qemu\0name\0web", NULL);
	expect("qemu\0---name\0web", NULL);
	expect("qemu\0-name=web", NULL);
	expect("qemu\0-names\0web", NULL);
	expect("\0\0\0\0", NULL);
}

/* The value of another option is not an option, as long as that option has one. */
static void test_values_that_look_like_options(void **state)
{
	(void)state;
	expect("qemu\0-append\0-name\0trap", NULL);
	expect("qemu\0-append\0-name\0-name\0web", "web");
	expect("qemu\0-name\0web\0-append\0-name\0trap", "web");
	expect("qemu\0-kernel\0--name\0-name\0web", "web");
	expect("qemu\0-enable-kvm\0-name\0web", "web");
	expect("qemu\0-S\0-nographic\0-nodefaults\0-name\0web\0-no-reboot", "web");
	expect("qemu\0--preconfig\0--name\0web", "web");
	/* -name takes its value, too. */
	expect("qemu\0-name\0-name\0x", "-name");
	expect("qemu\0-name\0-append", "-append");
	/* Arguments without a dash are disk images. */
	expect("qemu\0disk.img\0-name\0web", "web");
}

static void test_other_vmms(void **state)
{
	(void)state;
	expect("/usr/bin/firecracker\0--id\0vm7\0--api-sock\0/run/a", "vm7");
	expect("firecracker-v1.7.0-x86_64\0--id=vm7", "vm7");
	expect("firecracker\0--id\0guest=a,,b", "guest=a,,b");
	expect("firecracker\0--name\0vm7", NULL);
	expect("firecracker\0--id", NULL);
	expect("crosvm\0run\0--name\0chrome\0-m\0"
	       "512",
	       "chrome");
	expect("crosvm\0run\0--name=chrome", "chrome");
	expect("lkvm\0run\0--name\0small", "small");
	expect("cloud-hypervisor\0--api-socket\0/run/ch.sock", NULL);
	/* Unknown programs: nobody knows which of their options take values. */
	expect("wrapped\0-S\0-name\0guest=web,debug-threads=on", "web");
}

static void test_bytes(void **state)
{
	(void)state;
	expect("qemu\0-name\0a\xff"
	       "b",
	       "a" FFFD "b");
	expect("qemu\0-name\0\xc3", FFFD);
	expect("qemu\0-name\0\xe2\x82", FFFD FFFD);
	expect("qemu\0-name\0\xed\xa0\x80", FFFD FFFD FFFD); /* a surrogate */
	expect("qemu\0-name\0\xc0\xaf", FFFD FFFD);	     /* overlong */
	expect("qemu\0-name\0\xe0\x80\xaf", FFFD FFFD FFFD);
	expect("qemu\0-name\0\xf0\x80\x80\xaf", FFFD FFFD FFFD FFFD);
	expect("qemu\0-name\0\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD);
	expect("qemu\0-name\0\xf0\x9f\x90\xa7", "\xf0\x9f\x90\xa7");
	expect("qemu\0-name\0a\nb\x1b[2Jc\x7f", "a" FFFD "b" FFFD "[2Jc" FFFD);
	expect("qemu\0-name\0a\xc2\x9b"
	       "b",
	       "a" FFFD "b"); /* CSI, one character */
	expect("qemu\0-name\0a\xe2\x80\xae"
	       "b",
	       "a" FFFD "b"); /* turns text around */
	/* Not NUL-terminated, cut anywhere. */
	expect_name("qemu\0-name\0web01", 15, "web0", __LINE__);
	expect_name("qemu\0-name\0web01", 10, NULL, __LINE__);
	expect_name("qemu\0-name\0web01", 9, NULL, __LINE__);
	expect_name("qemu\0-nam", 9, NULL, __LINE__);
}

static void test_long(void **state)
{
	const size_t len = 3 << 20;
	char *buf = calloc(1, len), *got;
	size_t pos;

	(void)state;
	assert_non_null(buf);
	/* Three megabytes of "-device x", and the name at the very end. */
	memcpy(buf, "qemu", 5);
	for (pos = 5; pos + 64 < len; pos += 10)
		memcpy(buf + pos, "-device\0x", 10);
	memcpy(buf + pos, "-name\0late", 11);
	got = vmname_from_cmdline(buf, pos + 11);
	assert_string_equal(got, "late");
	free(got);

	/* A name of megabytes is cut at a whole character. */
	memcpy(buf, "qemu\0-name\0", 11);
	for (pos = 11; pos + 2 <= len; pos += 2)
		memcpy(buf + pos, "\xc3\xbc", 2);
	got = vmname_from_cmdline(buf, pos);
	assert_int_equal(strlen(got), VMNAME_MAX);
	assert_memory_equal(got + 250, "\xc3\xbc\xe2\x80\xa6", 6);
	free(got);

	/* The longest name that stays whole, and one byte more. */
	memset(buf + 11, 'x', VMNAME_MAX + 1);
	got = vmname_from_cmdline(buf, 11 + VMNAME_MAX);
	assert_int_equal(strlen(got), VMNAME_MAX);
	assert_int_equal(got[VMNAME_MAX - 1], 'x');
	free(got);
	got = vmname_from_cmdline(buf, 11 + VMNAME_MAX + 1);
	assert_int_equal(strlen(got), VMNAME_MAX);
	assert_string_equal(got + VMNAME_MAX - 3, "\xe2\x80\xa6");
	free(got);
	free(buf);
}

static void expect_machine_at(const char *cgroup, const char *want, int line)
{
	size_t len = strlen(cgroup);
	char *exact = malloc(len ? len : 1), *got;

	assert_non_null(exact);
	memcpy(exact, cgroup, len);
	got = vmname_from_cgroup(exact, len);
	free(exact);
	if (!want ? got != NULL : !got || strcmp(got, want)) {
		print_error("line %d: got \"%s\", want \"%s\"\n", line, got ? got : "(null)",
			    want ? want : "(null)");
		fail();
	}
	free(got);
}

#define expect_machine(cgroup, want) expect_machine_at(cgroup, want, __LINE__)

static void test_cgroup(void **state)
{
	(void)state;
	/* v2 */
	expect_machine("0::/machine.slice/machine-qemu\\x2d3\\x2dweb01.scope\n", "web01");
	expect_machine(
		"0::/machine.slice/machine-qemu\\x2d12\\x2dweb\\x2d01.scope/libvirt/emulator\n",
		"web-01");
	expect_machine("0::/machine.slice/machine-lxc\\x2d1\\x2dbox.scope", "box");
	expect_machine("0::/machine.slice/machine-ch\\x2d1\\x2dvm.scope", "vm");
	/* v1: the same machine in each hierarchy, vCPUs one level down */
	expect_machine("12:pids:/user.slice\n"
		       "4:cpuset:/machine.slice/machine-qemu\\x2d7\\x2ddb.example.scope/vcpu0\n"
		       "1:name=systemd:/machine.slice/machine-qemu\\x2d7\\x2ddb.example.scope\n",
		       "db.example");
	/* without systemd */
	expect_machine("3:memory:/machine/qemu-3-web01.libvirt-qemu/emulator\n", "web01");
	expect_machine("3:memory:/machine/web01.libvirt-lxc\n", "web01");
	/* machined's own machines: the name is not libvirt's */
	expect_machine("0::/machine.slice/machine-debian.scope\n", "debian");
	expect_machine("0::/machine.slice/machine-web\\x2d01\\x2dx.scope\n", "web-01-x");
	/* a domain whose name looks like a machine's */
	expect_machine("0::/machine.slice/machine-qemu\\x2d3\\x2dqemu\\x2d4\\x2dx.scope\n",
		       "qemu-4-x");
	/* nested: the innermost */
	expect_machine("0::/machine.slice/machine-outer.scope/machine.slice/"
		       "machine-qemu\\x2d1\\x2dinner.scope/libvirt\n",
		       "inner");
	expect_machine("0::/machine.slice/machine-qemu\\x2d1\\x2dweb.scope (deleted)\n", "web");
	expect_machine("0::/a:b/machine-x.scope\n", "x");
}

static void test_cgroup_none(void **state)
{
	(void)state;
	expect_machine("", NULL);
	expect_machine("0::/\n", NULL);
	expect_machine("0::/user.slice/user-1000.slice/session-2.scope\n", NULL);
	expect_machine("0::/machine.slice/machine-.scope\n", NULL);
	expect_machine("0::/machine.slice/machine-qemu\\x2d3\\x2d.scope\n", NULL);
	expect_machine("0::/machine.slice\n", NULL);
	expect_machine("machine-x.scope\n", NULL);
	/* Escapes that are none stay, those of anything else are cleaned. */
	expect_machine("0::/machine-a\\x2.scope\n", "a\\x2");
	expect_machine("0::/machine-a\\xzz.scope\n", "a\\xzz");
	expect_machine("0::/machine-a\\x00b\\xff.scope\n", "a" FFFD "b" FFFD);
}

/* --- a procfs of our own -------------------------------------------------- */

struct tree {
	char root[64];
};

static void put(const struct tree *t, const char *path, const void *data, size_t len)
{
	char full[PATH_MAX], *p;
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", t->root, path);
	for (p = full + strlen(t->root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(full, 0755);
		*p = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void put_link(const struct tree *t, const char *path, const char *target)
{
	char full[PATH_MAX];

	put(t, path, "", 0);
	snprintf(full, sizeof(full), "%s/%s", t->root, path);
	unlink(full);
	assert_int_equal(symlink(target, full), 0);
}

static void put_process(const struct tree *t, int pid, unsigned long start, const void *cmdline,
			size_t len)
{
	char path[64], stat[512];

	snprintf(path, sizeof(path), "%d/stat", pid);
	/* A comm with everything that misleads a parser. */
	snprintf(stat, sizeof(stat),
		 "%d (a) 1 (b) S 1 2 3 0 -1 4194304 9 0 0 0 5 6 0 0 20 0 4 0 %lu 999 8 0\n", pid,
		 start);
	put(t, path, stat, strlen(stat));
	snprintf(path, sizeof(path), "%d/cmdline", pid);
	put(t, path, cmdline, len);
}

static void put_cgroup(const struct tree *t, int pid, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/cgroup", pid);
	put(t, path, text, strlen(text));
}

static void tree_remove(const struct tree *t, const char *sub)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", t->root, sub);
	rmtree(full);
}

static int setup(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	if (!t)
		return -1;
	strcpy(t->root, "/tmp/test_vmname.XXXXXX");
	*state = t;
	return mkdtemp(t->root) ? 0 : -1;
}

static int teardown(void **state)
{
	tree_remove(*state, ".");
	rmdir(((struct tree *)*state)->root);
	free(*state);
	return 0;
}

static void test_cache(void **state)
{
	const struct tree *t = *state;
	struct vmname_cache *c;

	put_link(t, "1/ns/pid", "pid:[4026531836]");
	put_process(t, 100, 5000, ARGV("qemu\0-name\0web"));
	put_process(t, 101, 5001, "", 0);
	put_cgroup(t, 101, "0::/machine.slice/machine-qemu\\x2d3\\x2dscoped.scope\n");
	put_process(t, 102, 5002, "", 0);
	put_cgroup(t, 102, "0::/init.scope\n");
	c = vmname_cache_new(t->root);
	assert_non_null(c);
	assert_false(vmname_foreign(c));
	assert_string_equal(vmname_get(c, 100, 5000, "qemu-system-x86"), "web");
	assert_string_equal(vmname_get(c, 100, 0, "qemu-system-x86"), "web");
	assert_string_equal(vmname_get(c, 101, 5001, "qemu-system-x86"), "scoped");
	assert_string_equal(vmname_get(c, 102, 5002, "kvm-\x1b"), "kvm-" FFFD);
	/* Not there, no comm. */
	assert_string_equal(vmname_get(c, 999, 1, "gone"), "gone");
	assert_string_equal(vmname_get(c, 998, 1, NULL), "pid 998");
	assert_string_equal(vmname_get(c, 997, 1, ""), "pid 997");

	/* A name outlives its process, and is another process's when the pid is reused. */
	put_process(t, 100, 7777, ARGV("qemu\0-name\0other"));
	assert_string_equal(vmname_get(c, 100, 5000, "qemu-system-x86"), "web");
	assert_string_equal(vmname_get(c, 100, 7777, "qemu-system-x86"), "other");
	tree_remove(t, "100");
	assert_string_equal(vmname_get(c, 100, 5000, "qemu-system-x86"), "web");

	/* Aged once: asked for since. Twice without being asked: forgotten. */
	vmname_cache_age(c);
	assert_string_equal(vmname_get(c, 100, 5000, "qemu-system-x86"), "web");
	vmname_cache_age(c);
	vmname_cache_age(c);
	assert_string_equal(vmname_get(c, 100, 5000, "qemu-system-x86"), "qemu-system-x86");
	vmname_cache_free(c);
}

/* The pid says another process by now. */
static void test_reused_pid(void **state)
{
	const struct tree *t = *state;
	struct vmname_cache *c;

	put_link(t, "1/ns/pid", "pid:[4026531836]");
	put_process(t, 100, 6000, ARGV("qemu\0-name\0newcomer"));
	c = vmname_cache_new(t->root);
	assert_string_equal(vmname_get(c, 100, 5000, "qemu-system-x86"), "qemu-system-x86");
	vmname_cache_free(c);
}

/* A fallback is not for ever: the command line comes with exec. */
static void test_retry(void **state)
{
	const struct tree *t = *state;
	struct vmname_cache *c;
	int i;

	put_link(t, "1/ns/pid", "pid:[4026531836]");
	c = vmname_cache_new(t->root);
	assert_string_equal(vmname_get(c, 100, 5000, "sh"), "sh");
	assert_string_equal(vmname_get(c, 100, 5000, "qemu-system-x86"), "qemu-system-x86");
	put_process(t, 100, 5000, ARGV("qemu\0-name\0web"));
	assert_string_equal(vmname_get(c, 100, 5000, "qemu-system-x86"), "web");
	/* But it is looked for a bounded number of times. */
	for (i = 0; i < 100; i++)
		assert_string_equal(vmname_get(c, 200, 1, "comm"), "comm");
	put_process(t, 200, 1, ARGV("qemu\0-name\0late"));
	assert_string_equal(vmname_get(c, 200, 1, "comm"), "comm");
	vmname_cache_free(c);
}

static void test_foreign_namespace(void **state)
{
	const struct tree *t = *state;
	struct vmname_cache *c;

	put_link(t, "1/ns/pid", "pid:[4026532999]");
	put_process(t, 100, 5000, ARGV("qemu\0-name\0unrelated"));
	c = vmname_cache_new(t->root);
	assert_true(vmname_foreign(c));
	/* Nothing there, somebody else there, and not known who is meant. */
	assert_string_equal(vmname_get(c, 4242, 800, "qemu-system-x86"),
			    "qemu-system-x86 (other pid ns)");
	assert_string_equal(vmname_get(c, 100, 800, "qemu-system-x86"),
			    "qemu-system-x86 (other pid ns)");
	assert_string_equal(vmname_get(c, 100, 0, "qemu-system-x86"),
			    "qemu-system-x86 (other pid ns)");
	assert_string_equal(vmname_get(c, 7, 0, NULL), "pid 7 (other pid ns)");
	vmname_cache_free(c);
}

/* Process 1 may not be looked at. */
static void test_namespace_of_self(void **state)
{
	static const char ours[] = "Name:\tx\nNSpid:\t42\nNSpgid:\t42\n";
	static const char above[] = "Name:\tx\nNSpid:\t42\t7\nNSpgid:\t42\t7\n";
	static const struct {
		const char *status, *link;
		bool foreign;
	} t[] = {
		{ ours, "pid:[4026531836]", false },
		{ ours, "pid:[4026532999]", true },
		/* Ours is below the one that procfs shows: it says nothing. */
		{ above, "pid:[4026532999]", false },
		{ "", "pid:[4026532999]", false },
	};
	struct vmname_cache *c;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put_link(*state, "self/ns/pid", t[i].link);
		put(*state, "self/status", t[i].status, strlen(t[i].status));
		c = vmname_cache_new(((struct tree *)*state)->root);
		assert_non_null(c);
		assert_int_equal(vmname_foreign(c), t[i].foreign);
		vmname_cache_free(c);
	}
}

static void test_no_procfs(void **state)
{
	struct vmname_cache *c = vmname_cache_new("/nonexistent");

	(void)state;
	assert_non_null(c);
	assert_string_equal(vmname_get(c, 1, 1, "comm"), "comm");
	assert_int_equal(proc_start_time("/nonexistent", 1), 0);
	vmname_cache_free(c);
}

/* A command line longer than what is read: a name that is cut through is not used. */
static void test_limit(void **state)
{
	const struct tree *t = *state;
	const size_t limit = 4 << 20;
	char *buf = malloc(limit + 64);
	struct vmname_cache *c;

	assert_non_null(buf);
	put_link(t, "1/ns/pid", "pid:[4026531836]");
	memset(buf, 'x', limit + 64);
	memcpy(buf, "qemu", 5);
	memcpy(buf + limit - 13, "\0-name\0web01", 13);
	put_process(t, 100, 1, buf, limit + 64);
	memset(buf + limit - 13, 'x', 13);
	memcpy(buf + limit - 10, "\0-name\0web01", 13);
	put_process(t, 101, 1, buf, limit + 64);
	c = vmname_cache_new(t->root);
	assert_string_equal(vmname_get(c, 100, 1, "comm"), "web01");
	assert_string_equal(vmname_get(c, 101, 1, "comm"), "comm");
	vmname_cache_free(c);
	free(buf);
}

static void test_start_time(void **state)
{
	const struct tree *t = *state;

	put_process(t, 100, 123456, "", 0);
	assert_int_equal(proc_start_time(t->root, 100), 123456);
	assert_int_equal(proc_start_time(t->root, 101), 0);
	put(t, "101/stat", "101 (x) S 1 2", 13);
	assert_int_equal(proc_start_time(t->root, 101), 0);
	put(t, "102/stat", "garbage", 7);
	assert_int_equal(proc_start_time(t->root, 102), 0);
	put(t, "103/stat", "", 0);
	assert_int_equal(proc_start_time(t->root, 103), 0);
}

static void test_ticks(void **state)
{
	static const char offsets[] = "monotonic           7         5\n"
				      "boottime         3600 500000000\n";
	const struct tree *t = *state;
	struct vmname_cache *c;

	/* The kernel rounds down to whole ticks. */
	assert_int_equal(proc_boottime_to_ticks(0, 0, 100), 0);
	assert_int_equal(proc_boottime_to_ticks(9999999, 0, 100), 0);
	assert_int_equal(proc_boottime_to_ticks(10000000, 0, 100), 1);
	assert_int_equal(proc_boottime_to_ticks(123456789012345, 0, 100), 12345678);
	assert_int_equal(proc_boottime_to_ticks(5000000000, 0, 1024), 5120);
	assert_int_equal(proc_boottime_to_ticks(5000000000, -2000000000, 100), 300);

	put(t, "self/timens_offsets", offsets, strlen(offsets));
	c = vmname_cache_new(t->root);
	assert_int_equal(vmname_start_ticks(c, 10000000000), 361050);
	assert_int_equal(vmname_start_ticks(c, 0), 0);
	vmname_cache_free(c);
}

/* The clock without the offset of our time namespace, as the kernel keeps it. */
static uint64_t boottime_of_bpf(int procfd)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec - proc_boottime_offset(procfd);
}

/* The running kernel: a shell that waits under a name of ours. */
static void test_real_proc(void **state)
{
	struct vmname_cache *c = vmname_cache_new("/proc");
	int in[2], out[2], procfd = open("/proc", O_PATH | O_CLOEXEC);
	uint64_t before, after;
	uint64_t start;
	char byte, self[16];
	pid_t pid;

	(void)state;
	assert_non_null(c);
	/* A procfs of another pid namespace numbers our child differently from fork(). */
	if (proc_read_link_name(procfd, "self", self, sizeof(self)) < 0 || atoi(self) != getpid()) {
		print_message("# /proc is another pid namespace's\n");
		close(procfd);
		vmname_cache_free(c);
		return;
	}
	assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	before = boottime_of_bpf(procfd);
	pid = fork();
	if (!pid) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execl("/bin/sh", "qemu-test", "-c", "echo; read x", "-name", "guest=a,,b",
		      (char *)NULL);
		_exit(127);
	}
	assert_true(pid > 0);
	after = boottime_of_bpf(procfd);
	assert_int_equal(read(out[0], &byte, 1), 1);
	start = proc_start_time("/proc", pid);
	assert_in_range(start, vmname_start_ticks(c, before), vmname_start_ticks(c, after));
	/* Also in a pid namespace of our own: its procfs has the start that we compare with. */
	assert_string_equal(vmname_get(c, pid, start, "sh"), "a,b");
	close(in[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(proc_start_time("/proc", pid), 0);
	assert_string_equal(vmname_get(c, pid, start, "sh"), "a,b");
	assert_string_equal(vmname_get(c, pid, start + 1, "sh"),
			    vmname_foreign(c) ? "sh" VMNAME_FOREIGN : "sh");
	close(procfd);
	close(in[0]);
	close(out[0]);
	close(out[1]);
	vmname_cache_free(c);
}

#define test_in_tree(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_qemu_forms),
		cmocka_unit_test(test_commas),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_no_name),
		cmocka_unit_test(test_values_that_look_like_options),
		cmocka_unit_test(test_other_vmms),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_cgroup),
		cmocka_unit_test(test_cgroup_none),
		test_in_tree(test_cache),
		test_in_tree(test_reused_pid),
		test_in_tree(test_retry),
		test_in_tree(test_foreign_namespace),
		test_in_tree(test_namespace_of_self),
		cmocka_unit_test(test_no_procfs),
		test_in_tree(test_limit),
		test_in_tree(test_start_time),
		test_in_tree(test_ticks),
		cmocka_unit_test(test_real_proc),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0
/* Functions of a tree made by hand: what ends a proof, and which of them a probe writes to. */
#include <errno.h>
#include <linux/pci_regs.h>
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

#include "../../tools/lib/vfioinfo.h"
#include "../../tools/nosnoop/probe.h"
#include "rmtree.h"

#define CAP    0x40
#define DEVCTL (CAP + PCI_EXP_DEVCTL)

static char root[64];

/* text: NULL: a directory. */
static void put(const char *bdf, const char *name, const char *text)
{
	char path[192];
	FILE *f;

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s%s%s", root, bdf, *name ? "/" : "",
		 name);
	if (!text) {
		assert_int_equal(mkdir(path, 0755), 0);
		return;
	}
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* An endpoint whose Device Control is a file, so that it takes what is written. */
static void put_config(const char *bdf, uint16_t devctl)
{
	uint8_t cfg[256] = { 0x86, 0x80, 0xd3, 0x10, [PCI_STATUS] = PCI_STATUS_CAP_LIST };
	char path[192];
	FILE *f;

	cfg[PCI_CAPABILITY_LIST] = CAP;
	cfg[CAP] = PCI_CAP_ID_EXP;
	cfg[CAP + PCI_EXP_FLAGS] = 2;
	cfg[DEVCTL] = devctl & 0xff;
	cfg[DEVCTL + 1] = devctl >> 8;
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/config", root, bdf);
	f = fopen(path, "r+");
	if (!f)
		f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(cfg, 1, sizeof(cfg), f), sizeof(cfg));
	fclose(f);
}

static void put_function(const char *bdf)
{
	put(bdf, "", NULL);
	put(bdf, "vendor", "0x8086\n");
	put(bdf, "device", "0x10d3\n");
	put(bdf, "class", "0x020000\n");
	put(bdf, "power_state", "D0\n");
	put_config(bdf, 0x2010);
}

static struct dev_scan *scan(struct func_list *l)
{
	struct dev_scan *s = dev_scan_new(root);
	char procfs[80];

	assert_non_null(s);
	snprintf(procfs, sizeof(procfs), "%s/proc", root);
	assert_int_equal(func_list_read(s, procfs, false, l), 0);
	return s;
}

/* A reading of 1 ends a proof for good, whoever made it. */
static void test_proof_ends(void **state)
{
	struct func_list l;
	struct dev_scan *s;
	struct func_row *r;

	(void)state;
	put_function("0000:01:00.0");
	s = scan(&l);
	r = func_find(&l, "0000:01:00.0");
	assert_non_null(r);
	r->d.no_snoop = DEV_NO_SNOOP_HARDWIRED0;
	strcpy(r->proof_by, "nosnoop --probe");
	assert_int_equal(func_judge(r), 0);
	assert_int_equal(r->ability, ABILITY_CANNOT);
	assert_int_equal(func_reread(s, r), 0);
	assert_int_equal(r->d.no_snoop, DEV_NO_SNOOP_HARDWIRED0);

	put_config("0000:01:00.0", 0x2810);
	assert_int_equal(func_reread(s, r), 0);
	assert_int_equal(r->d.no_snoop, DEV_NO_SNOOP_ENABLED);
	assert_string_equal(r->proof_by, "");
	put_config("0000:01:00.0", 0x2010);
	assert_int_equal(func_reread(s, r), 0);
	assert_int_equal(r->d.no_snoop, DEV_NO_SNOOP_DISABLED);
	assert_int_equal(r->ability, ABILITY_CAN);
	assert_non_null(strstr(r->ability_why, "seen set"));

	/* VFIO says the same again; the kernel calls it box 4. */
	r->d.no_snoop = DEV_NO_SNOOP_HARDWIRED0;
	strcpy(r->proof_by, "VFIO");
	r->vfio_known = true;
	r->vfio_flags = 0;
	r->kernel_box = 4;
	assert_int_equal(func_judge(r), 0);
	assert_int_equal(r->d.no_snoop, DEV_NO_SNOOP_DISABLED);
	assert_int_equal(r->ability, ABILITY_CAN);
	assert_string_equal(r->proof_by, "");
	assert_int_equal(r->d.box, 0);
	assert_int_equal(r->d.box_candidates, DEV_BOX(3) | DEV_BOX(4));
	/* That VFIO keeps it from no-snoop is no word about its ability. */
	r->vfio_flags = VFIOINFO_BLOCKED;
	assert_int_equal(func_judge(r), 0);
	assert_int_equal(r->d.box, 4);
	func_list_free(&l);
	dev_scan_free(s);
}

/* What another option leaves out is not written to; who is refused takes nothing from the others. */
static void test_probe_filter(void **state)
{
	struct filter f = { 0 };
	size_t probed;
	struct func_list l;
	struct dev_scan *s;

	(void)state;
	put_function("0000:01:00.0");
	put_function("0000:02:00.0");
	put_function("0000:03:00.0");
	put("0000:02:00.0", "sriov_numvfs", "4\n");
	s = scan(&l);
	assert_int_equal(filter_add_bdf(&f, "0000:01:00.0"), 0);
	assert_int_equal(filter_add_bdf(&f, "0000:02:00.0"), 0);
	assert_int_equal(filter_add_bdf(&f, "0000:03:00.0"), 0);
	assert_int_equal(probe_functions(s, &f, &l, &probed), -EBUSY);
	assert_int_equal(probed, 2);
	assert_true(func_find(&l, "0000:01:00.0")->can_be_set);
	assert_false(func_find(&l, "0000:02:00.0")->can_be_set);
	assert_true(func_find(&l, "0000:03:00.0")->can_be_set);
	func_list_free(&l);
	dev_scan_free(s);

	s = scan(&l);
	assert_int_equal(filter_add_driver(&f, "vfio-pci"), 0);
	assert_int_equal(probe_functions(s, &f, &l, &probed), 0);
	assert_int_equal(probed, 0);
	assert_false(func_find(&l, "0000:01:00.0")->can_be_set);
	func_list_free(&l);
	dev_scan_free(s);
	filter_free(&f);
}

/* VFs that were enabled since the scan. */
static void test_probe_vfs(void **state)
{
	struct func_list l;
	struct dev_scan *s;
	struct func_row *r;

	(void)state;
	put_function("0000:01:00.0");
	put("0000:01:00.0", "sriov_numvfs", "0\n");
	s = scan(&l);
	r = func_find(&l, "0000:01:00.0");
	assert_non_null(r);
	put("0000:01:00.0", "sriov_numvfs", "2\n");
	assert_int_equal(probe_function(s, r), -EBUSY);
	assert_false(r->can_be_set);
	put("0000:01:00.0", "sriov_numvfs", "0\n");
	r->f.num_vfs = 0;
	assert_int_equal(probe_function(s, r), 0);
	assert_true(r->can_be_set);
	func_list_free(&l);
	dev_scan_free(s);
}

static int setup(void **state)
{
	static const char *const dirs[] = { "proc", "sys", "sys/bus", "sys/bus/pci",
					    "sys/bus/pci/devices" };
	char path[128];

	(void)state;
	strcpy(root, "/tmp/test_ns_func.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, dirs[i]);
		if (mkdir(path, 0755))
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return rmtree(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_proof_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_probe_filter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_probe_vfs, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

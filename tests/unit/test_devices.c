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
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../tools/lib/devices.h"
#include "rmtree.h"

/* --- the box rule --------------------------------------------------------- */

static void test_box_rule(void **state)
{
	static const char zero[] = "bit reads 0; whether hardwired is not proven";
	static const char vf[] = "a VF", iommu[] = "no IOMMU", both[] = "no IOMMU; a VF";
	static const char may_yes[] = "the device may use no-snoop, the IOMMU can block it";
	static const char may_no[] = "the device may use no-snoop, the IOMMU cannot block it";
	static const char not_yes[] =
		"the device cannot use no-snoop, and the IOMMU could block it";
	static const char not_no[] =
		"the device cannot use no-snoop, though the IOMMU could not block it";
	static const struct {
		int snoop_control;
		enum dev_no_snoop no_snoop;
		int box;
		unsigned int candidates; /* 0x2: box 1, 0x4: box 2, 0x8: box 3, 0x10: box 4 */
		const char *reason;
	} t[] = {
		/* can block	Enable No Snoop		 box	candidates	reason */
		{ 1, DEV_NO_SNOOP_ENABLED, 1, 0x02, may_yes },
		{ 1, DEV_NO_SNOOP_DISABLED, 0, 0x06, zero },
		{ 1, DEV_NO_SNOOP_HARDWIRED0, 2, 0x04, not_yes },
		{ 1, DEV_NO_SNOOP_UNKNOWN, 0, 0x06, vf },
		{ 0, DEV_NO_SNOOP_ENABLED, 3, 0x08, may_no },
		{ 0, DEV_NO_SNOOP_DISABLED, 0, 0x18, zero },
		{ 0, DEV_NO_SNOOP_HARDWIRED0, 4, 0x10, not_no },
		{ 0, DEV_NO_SNOOP_UNKNOWN, 0, 0x18, vf },
		{ -1, DEV_NO_SNOOP_ENABLED, 0, 0x0a, iommu },
		{ -1, DEV_NO_SNOOP_DISABLED, 0, 0x1e,
		  "no IOMMU; bit reads 0; whether hardwired is not proven" },
		{ -1, DEV_NO_SNOOP_HARDWIRED0, 0, 0x14, iommu },
		{ -1, DEV_NO_SNOOP_UNKNOWN, 0, 0x1e, both },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct wb_device d = {
			.snoop_control = t[i].snoop_control,
			.no_snoop = t[i].no_snoop,
			.box = 99,
			.certain = true,
		};

		assert_int_equal(device_box_why(&d, vf, iommu), 0);
		assert_int_equal(d.box, t[i].box);
		assert_int_equal(d.box_candidates, t[i].candidates);
		assert_int_equal(d.certain, t[i].box != 0);
		assert_string_equal(d.box_reason, t[i].reason);
		/* Again over the old reason, without sentences of the caller's. */
		assert_int_equal(device_box(&d, NULL), 0);
		assert_int_equal(d.box_candidates, t[i].candidates);
		assert_true(strlen(d.box_reason) > 0);
		device_clear(&d);
	}
}

/* --- config space images -------------------------------------------------- */

struct image {
	uint8_t b[256];
	size_t len;
};

static void set16(struct image *img, size_t pos, unsigned int v)
{
	img->b[pos] = v;
	img->b[pos + 1] = v >> 8;
}

/*
 * An endpoint as QEMU's e1000e shows it:
 *   00 vendor 8086   02 device 10d3
 *   06 status: bit 4, there is a list of capabilities
 *   0e header type 0
 *   34 first capability at c8
 *   c8 power management (01), next d0
 *   d0 MSI (05), next e0
 *   e0 PCI Express (10), next a0
 *   e2   capabilities: version 2, device/port type in bits 7:4
 *   e8   Device Control: 2810 is 128-byte payloads, relaxed ordering, and bit
 *        11, Enable No Snoop
 *   a0 MSI-X (11), last
 */
static struct image endpoint(unsigned int port_type, unsigned int devctl)
{
	struct image img = { .len = 256 };

	set16(&img, 0x00, 0x8086);
	set16(&img, 0x02, 0x10d3);
	set16(&img, 0x06, 0x0010);
	img.b[0x34] = 0xc8;
	set16(&img, 0xc8, 0xd001);
	set16(&img, 0xd0, 0xe005);
	set16(&img, 0xe0, 0xa010);
	set16(&img, 0xe2, port_type << 4 | 2);
	set16(&img, 0xe8, devctl);
	set16(&img, 0xa0, 0x0011);
	return img;
}

#define DEVCTL_ON  0x2810
#define DEVCTL_OFF 0x2010

static enum dev_no_snoop no_snoop_of(const struct image *img, bool is_vf, const char **why)
{
	/* Without slack, so that a sanitizer sees every byte too many. */
	uint8_t *exact = malloc(img->len ? img->len : 1);
	enum dev_no_snoop v;

	assert_non_null(exact);
	memcpy(exact, img->b, img->len);
	v = device_no_snoop(exact, img->len, is_vf, why);
	free(exact);
	return v;
}

static void expect_unknown(const struct image *img, bool is_vf, const char *part)
{
	const char *why = NULL;

	assert_int_equal(no_snoop_of(img, is_vf, &why), DEV_NO_SNOOP_UNKNOWN);
	assert_non_null(why);
	if (!strstr(why, part))
		fail_msg("\"%s\" is not in \"%s\"", part, why);
}

static void test_bit(void **state)
{
	/* Endpoint, legacy endpoint, root port, upstream and downstream port. */
	static const unsigned int types[] = { 0, 1, 4, 5, 6 };
	const char *why = "stale";
	struct image img;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		img = endpoint(types[i], DEVCTL_ON);
		assert_int_equal(no_snoop_of(&img, false, &why), DEV_NO_SNOOP_ENABLED);
		assert_null(why);
		img = endpoint(types[i], DEVCTL_OFF);
		assert_int_equal(no_snoop_of(&img, false, &why), DEV_NO_SNOOP_DISABLED);
		assert_null(why);
	}
	/* Every other bit of Device Control leaves the answer alone. */
	for (i = 0; i < 16; i++) {
		img = endpoint(0, 1u << i);
		assert_int_equal(no_snoop_of(&img, false, &why),
				 i == 11 ? DEV_NO_SNOOP_ENABLED : DEV_NO_SNOOP_DISABLED);
		img = endpoint(0, 0xffff & ~(1u << i));
		assert_int_equal(no_snoop_of(&img, false, &why),
				 i == 11 ? DEV_NO_SNOOP_DISABLED : DEV_NO_SNOOP_ENABLED);
	}
	/* The lowest place and the last one that a capability can have. */
	img = endpoint(0, DEVCTL_OFF);
	img.b[0x34] = 0x40;
	set16(&img, 0x40, 0x0010);
	set16(&img, 0x42, 0x0002);
	set16(&img, 0x48, DEVCTL_ON);
	assert_int_equal(no_snoop_of(&img, false, &why), DEV_NO_SNOOP_ENABLED);
	img.b[0x34] = 0xf4;
	set16(&img, 0xf4, 0x0010);
	set16(&img, 0xf6, 0x0002);
	set16(&img, 0xfc, DEVCTL_ON);
	assert_int_equal(no_snoop_of(&img, false, &why), DEV_NO_SNOOP_ENABLED);
	/* The two low bits of a pointer are reserved. */
	img = endpoint(0, DEVCTL_ON);
	img.b[0x34] = 0xcb;
	assert_int_equal(no_snoop_of(&img, false, &why), DEV_NO_SNOOP_ENABLED);
	/* CardBus keeps its list elsewhere. */
	img = endpoint(0, DEVCTL_ON);
	img.b[0x0e] = 0x82;
	img.b[0x34] = 0x00;
	img.b[0x14] = 0xc8;
	assert_int_equal(no_snoop_of(&img, false, &why), DEV_NO_SNOOP_ENABLED);
}

static void test_bit_unknown(void **state)
{
	struct image img = endpoint(0, DEVCTL_ON);

	(void)state;
	expect_unknown(&img, true, "virtual function");
	/* A zero there is no proof, and a one is not either. */
	img = endpoint(9, DEVCTL_OFF);
	expect_unknown(&img, false, "root-complex integrated");
	img = endpoint(9, DEVCTL_ON);
	expect_unknown(&img, false, "root-complex integrated");
	img = endpoint(10, DEVCTL_OFF);
	expect_unknown(&img, false, "root-complex integrated");

	/* Conventional PCI: capabilities but not that one; no list at all. */
	img = endpoint(0, DEVCTL_ON);
	img.b[0xe0] = 0x09;
	expect_unknown(&img, false, "no PCI Express capability");
	img = endpoint(0, DEVCTL_ON);
	set16(&img, 0x06, 0);
	expect_unknown(&img, false, "no PCI Express capability");
	img = endpoint(0, DEVCTL_ON);
	img.b[0x34] = 0;
	expect_unknown(&img, false, "no PCI Express capability");

	/* Vanished, before and while reading. */
	memset(img.b, 0xff, sizeof(img.b));
	expect_unknown(&img, false, "all ones");
	img = endpoint(0, 0xffff);
	expect_unknown(&img, false, "all ones");

	/* Without root. */
	img = endpoint(0, DEVCTL_ON);
	img.len = 64;
	expect_unknown(&img, false, "needs root");
	img.len = 128;
	expect_unknown(&img, false, "needs root");
	img.len = 0;
	expect_unknown(&img, false, "could not be read");
	img.len = 63;
	expect_unknown(&img, false, "could not be read");
}

static void test_corrupt_lists(void **state)
{
	struct image img = endpoint(0, DEVCTL_ON);
	const char *why;
	size_t len, i;

	(void)state;
	/* A capability that points at itself; two that point at each other. */
	set16(&img, 0xd0, 0xd005);
	expect_unknown(&img, false, "corrupt");
	set16(&img, 0xd0, 0xc805);
	expect_unknown(&img, false, "corrupt");
	/* Into the header. */
	set16(&img, 0xd0, 0x0405);
	expect_unknown(&img, false, "corrupt");
	/* PCI Express where it does not fit. */
	img = endpoint(0, DEVCTL_ON);
	img.b[0x34] = 0xfc;
	set16(&img, 0xfc, 0x0010);
	expect_unknown(&img, false, "corrupt");
	/* The longest list there can be: 48 capabilities, the last is the one. */
	img = endpoint(0, DEVCTL_ON);
	for (i = 0x40; i < 0x100; i += 4)
		set16(&img, i, (i + 4) << 8 | 0x05);
	for (i = 0x40; i < 0xf0; i += 4)
		set16(&img, i, (i + 4) << 8 | 0x05);
	set16(&img, 0xf4, 0x0010);
	set16(&img, 0xf6, 0x0002);
	set16(&img, 0xfc, DEVCTL_ON);
	set16(&img, 0xf0, 0xf405);
	img.b[0x34] = 0x40;
	assert_int_equal(no_snoop_of(&img, false, &why), DEV_NO_SNOOP_ENABLED);
	/* Cut anywhere: never a word about what was not there. */
	img = endpoint(0, DEVCTL_ON);
	for (len = 0; len < 256; len++) {
		img.len = len;
		assert_int_equal(no_snoop_of(&img, false, &why),
				 len < 0xea ? DEV_NO_SNOOP_UNKNOWN : DEV_NO_SNOOP_ENABLED);
	}
}

/* --- a system of our own -------------------------------------------------- */

struct tree {
	char root[64];
	struct dev_scan *scan;
};

static void path_of(const struct tree *t, const char *path, char *full)
{
	char *p;

	assert_true(snprintf(full, PATH_MAX, "%s/%s", t->root, path) < PATH_MAX);
	for (p = full + strlen(t->root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(full, 0755);
		*p = '/';
	}
}

static void put(const struct tree *t, const char *path, const void *data, size_t len)
{
	char full[PATH_MAX];
	FILE *f;

	path_of(t, path, full);
	f = fopen(full, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void put_text(const struct tree *t, const char *path, const char *text)
{
	put(t, path, text, strlen(text));
}

static void put_link(const struct tree *t, const char *path, const char *target)
{
	char full[PATH_MAX];

	path_of(t, path, full);
	unlink(full);
	assert_int_equal(symlink(target, full), 0);
}

static void put_dir(const struct tree *t, const char *path)
{
	char full[PATH_MAX];

	path_of(t, path, full);
	mkdir(full, 0755);
}

static void tree_remove(const struct tree *t, const char *path)
{
	char full[PATH_MAX];

	path_of(t, path, full);
	rmtree(full);
}

static int setup(void **state)
{
	static const char ids[] = "8086  Intel Corporation\n"
				  "\t10d3  82574L Gigabit Network Connection\n"
				  "10de  NVIDIA Corporation\n"
				  "\t2330  GH100 [H100 SXM5 80GB]\n";
	struct tree *t = calloc(1, sizeof(*t));

	if (!t)
		return -1;
	strcpy(t->root, "/tmp/test_devices.XXXXXX");
	if (!mkdtemp(t->root))
		return -1;
	*state = t;
	put_text(t, "usr/share/misc/pci.ids", ids);
	/* VT-d's Extended Capability Register: bit 7 is Snoop Control. */
	put_text(t, "sys/devices/virtual/iommu/dmar0/intel-iommu/ecap", "f00f5a\n");
	put_text(t, "sys/devices/virtual/iommu/dmar1/intel-iommu/ecap", "f00fda\n");
	put_text(t, "sys/devices/virtual/iommu/ivhd0/amd-iommu/cap", "190b640f\n");
	put_text(t, "sys/devices/virtual/iommu/other0/features", "x\n");
	t->scan = dev_scan_new(t->root);
	return t->scan ? 0 : -1;
}

static int teardown(void **state)
{
	struct tree *t = *state;

	dev_scan_free(t->scan);
	tree_remove(t, ".");
	rmdir(t->root);
	free(t);
	return 0;
}

/* A function below a root port, as sysfs shows it. */
static void put_function(const struct tree *t, const char *bdf, int group, const char *iommu,
			 const char *driver, const struct image *img)
{
	char path[PATH_MAX], target[PATH_MAX];

#define FN(file) \
	(snprintf(path, sizeof(path), "sys/devices/pci0000:00/0000:00:01.0/%s/" file, bdf), path)
	put(t, FN("config"), img->b, img->len);
	snprintf(target, sizeof(target), "0x%02x%02x\n", img->b[1], img->b[0]);
	put_text(t, FN("vendor"), target);
	snprintf(target, sizeof(target), "0x%02x%02x\n", img->b[3], img->b[2]);
	put_text(t, FN("device"), target);
	put_text(t, FN("power/runtime_status"), "active\n");
	if (iommu) {
		snprintf(target, sizeof(target), "../../../virtual/iommu/%s", iommu);
		put_link(t, FN("iommu"), target);
	}
	if (driver) {
		snprintf(target, sizeof(target), "../../../../bus/pci/drivers/%s", driver);
		put_link(t, FN("driver"), target);
	}
	if (group >= 0) {
		snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%d", group);
		put_link(t, FN("iommu_group"), target);
		snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%d/devices/%s", group, bdf);
		snprintf(target, sizeof(target), "../../../../devices/pci0000:00/0000:00:01.0/%s",
			 bdf);
		put_link(t, path, target);
	}
#undef FN
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", bdf);
	snprintf(target, sizeof(target), "../../../devices/pci0000:00/0000:00:01.0/%s", bdf);
	put_link(t, path, target);
}

static void put_function_file(const struct tree *t, const char *bdf, const char *file,
			      const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "sys/devices/pci0000:00/0000:00:01.0/%s/%s", bdf, file);
	put_text(t, path, text);
}

static void put_fd(const struct tree *t, int pid, int fd, const char *target, const char *syspath)
{
	char path[PATH_MAX], text[512];

	snprintf(path, sizeof(path), "proc/%d/fd/%d", pid, fd);
	put_link(t, path, target);
	snprintf(path, sizeof(path), "proc/%d/fdinfo/%d", pid, fd);
	snprintf(text, sizeof(text), "pos:\t0\nflags:\t02000002\nmnt_id:\t17\nino:\t5122\n%s%s%s",
		 syspath ? "vfio-device-syspath: " : "", syspath ? syspath : "",
		 syspath ? "\n" : "");
	put_text(t, path, text);
}

/* The BDFs that a process holds, joined by blanks. */
static void expect_devices_at(struct tree *t, pid_t pid, uint64_t start, const char *want, int line)
{
	struct wb_device *devs = (void *)1;
	char got[4096] = "";
	size_t n = 99, i;

	if (dev_scan_process(t->scan, pid, start, &devs, &n))
		fail_msg("line %d: error", line);
	for (i = 0; i < n; i++) {
		if (i)
			strcat(got, " ");
		strcat(got, devs[i].bdf);
	}
	devices_free(devs, n);
	if (strcmp(got, want))
		fail_msg("line %d: got \"%s\", want \"%s\"", line, got, want);
}

#define expect_devices(t, pid, want) expect_devices_at(t, pid, 0, want, __LINE__)

static void expect_gone(struct tree *t, pid_t pid, uint64_t start)
{
	struct wb_device *devs = (void *)1;
	size_t n = 99;

	assert_int_equal(dev_scan_process(t->scan, pid, start, &devs, &n), -ESRCH);
	assert_null(devs);
	assert_int_equal(n, 0);
}

#define SYSPATH(bdf) "/sys/devices/pci0000:00/0000:00:01.0/" bdf

static void test_cdev(void **state)
{
	struct image img = endpoint(0, DEVCTL_OFF);
	struct tree *t = *state;

	put_function(t, "0000:02:00.0", 7, "dmar0", "vfio-pci", &img);
	put_function(t, "0000:01:00.0", 8, "dmar0", "vfio-pci", &img);
	put_link(t, "sys/class/vfio-dev/vfio0",
		 "../../devices/pci0000:00/0000:00:01.0/0000:02:00.0/vfio-dev/vfio0");
	put_link(t, "sys/devices/pci0000:00/0000:00:01.0/0000:02:00.0/vfio-dev/vfio0/device",
		 "../../../0000:02:00.0");
	put_link(t, "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/vfio-dev/vfio1/device",
		 "../../../0000:01:00.0");
	put_link(t, "sys/class/vfio-dev/vfio1",
		 "../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/vfio-dev/vfio1");
	put_link(t, "proc/50/fd/0", "/dev/null");
	put_link(t, "proc/50/fd/1", "socket:[1234]");
	put_link(t, "proc/50/fd/2", "/dev/iommu");
	put_link(t, "proc/50/fd/3", "anon_inode:kvm-vm");
	expect_devices(t, 50, "");
	put_fd(t, 50, 4, "/dev/vfio/devices/vfio0", NULL);
	put_fd(t, 50, 5, "/dev/vfio/devices/vfio1", NULL);
	put_fd(t, 50, 6, "/dev/vfio/devices/vfio0", NULL);
	put_fd(t, 50, 7, "/dev/vfio/devices/vfio9", NULL);
	dev_scan_forget(t->scan);
	expect_devices(t, 50, "0000:01:00.0 0000:02:00.0");
	/* Below a jail's root; unlinked there. */
	put_fd(t, 51, 4, "/srv/jail/dev/vfio/devices/vfio1 (deleted)", NULL);
	expect_devices(t, 51, "0000:01:00.0");
	/* Nobody there; exiting, without a file table. */
	expect_gone(t, 52, 0);
	put_dir(t, "proc/53/fd/");
	expect_gone(t, 53, 0);
}

static void test_device_fd(void **state)
{
	struct image img = endpoint(0, DEVCTL_OFF);
	struct tree *t = *state;

	put_function(t, "0000:01:00.0", 7, "dmar0", "vfio-pci", &img);
	put_function(t, "0000:01:00.1", 7, "dmar0", "vfio-pci", &img);
	put_function(t, "10000:01:00.0", 9, "dmar0", "vfio-pci", &img);
	put_function(t, "0000:02:00.0", 8, "dmar0", "mlx5_vfio_pci", &img);
	/* Its file names the function: the rest of its group is not the process's. */
	put_fd(t, 50, 10, "/dev/vfio/vfio", NULL);
	put_fd(t, 50, 11, "/dev/vfio/7", NULL);
	put_fd(t, 50, 12, "anon_inode:[vfio-device]", SYSPATH("0000:01:00.1"));
	expect_devices(t, 50, "0000:01:00.1");
	/* A second group, of which no device is open. */
	put_fd(t, 50, 13, "/dev/vfio/8", NULL);
	dev_scan_forget(t->scan);
	expect_devices(t, 50, "0000:01:00.1 0000:02:00.0");
	/* Domains sort as numbers. */
	put_fd(t, 50, 14, "anon_inode:[vfio-device]", SYSPATH("10000:01:00.0"));
	dev_scan_forget(t->scan);
	expect_devices(t, 50, "0000:01:00.1 0000:02:00.0 10000:01:00.0");
	/* Mediated devices are no PCI functions, and garbage is nothing. */
	put_fd(t, 51, 12, "anon_inode:[vfio-device]",
	       SYSPATH("0000:01:00.0/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"));
	put_fd(t, 51, 13, "anon_inode:[vfio-device]", "");
	put_fd(t, 51, 14, "anon_inode:[vfio-device]", "/");
	put_fd(t, 51, 15, "anon_inode:[vfio-device]", SYSPATH("0000:01:00.8"));
	/* A device that sysfs does not have (any more). */
	put_fd(t, 51, 16, "anon_inode:[vfio-device]", SYSPATH("0000:77:00.0"));
	expect_devices(t, 51, "");
}

static void test_group(void **state)
{
	struct image img = endpoint(0, DEVCTL_OFF);
	struct tree *t = *state;

	put_function(t, "0000:01:00.0", 7, "dmar0", "vfio-pci", &img);
	put_function(t, "0000:01:00.1", 7, "dmar0", "snd_hda_intel", &img);
	put_function(t, "0000:01:00.2", 7, "dmar0", NULL, &img);
	put_function(t, "0000:01:00.3", 7, "dmar0", "qat_vf_core", &img);
	/* A driver of any name that has made a VFIO device of it. */
	put_dir(t, "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.3/vfio-dev/");
	put_link(t, "sys/kernel/iommu_groups/7/devices/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", "x");
	/* Linux before 6.18: the device's file says nothing. */
	put_fd(t, 50, 11, "/dev/vfio/7", NULL);
	put_fd(t, 50, 12, "anon_inode:[vfio-device]", NULL);
	expect_devices(t, 50, "0000:01:00.0 0000:01:00.3");
	put_fd(t, 51, 11, "/dev/vfio/noiommu-7", NULL);
	expect_devices(t, 51, "0000:01:00.0 0000:01:00.3");
	put_fd(t, 52, 11, "/dev/vfio/77", NULL);
	put_fd(t, 52, 12, "/dev/vfio/7x", NULL);
	put_fd(t, 52, 13, "/dev/vfio/99999999999999999999", NULL);
	put_fd(t, 52, 14, "/home/vfio", NULL);
	expect_devices(t, 52, "");
}

/* pid is somebody else by now. */
static void test_start(void **state)
{
	static const char stat[] = "50 (q) S 1 2 3 0 -1 4 9 0 0 0 5 6 0 0 20 0 4 0 777 999 8 0\n";
	struct image img = endpoint(0, DEVCTL_OFF);
	struct tree *t = *state;

	put_function(t, "0000:01:00.0", 7, "dmar0", "vfio-pci", &img);
	put_fd(t, 50, 11, "/dev/vfio/7", NULL);
	put_text(t, "proc/50/stat", stat);
	expect_devices_at(t, 50, 777, "0000:01:00.0", __LINE__);
	expect_gone(t, 50, 778);
	expect_devices_at(t, 50, 0, "0000:01:00.0", __LINE__);
	/* The process ends. */
	tree_remove(t, "proc/50");
	expect_gone(t, 50, 777);
}

/* Descriptors are looked through when their number changes, or after a while. */
static void test_kept(void **state)
{
	struct image img = endpoint(0, DEVCTL_OFF);
	struct tree *t = *state;
	struct stat before, after;
	char full[PATH_MAX];

	put_function(t, "0000:01:00.0", 7, "dmar0", "vfio-pci", &img);
	put_function(t, "0000:02:00.0", 8, "dmar0", "vfio-pci", &img);
	put_fd(t, 50, 11, "/dev/vfio/7", NULL);
	expect_devices(t, 50, "0000:01:00.0");
	path_of(t, "proc/50/fd", full);
	assert_int_equal(stat(full, &before), 0);
	/* The number stays, as far as the size of the directory tells. */
	put_link(t, "proc/50/fd/11", "/dev/vfio/8");
	assert_int_equal(stat(full, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	expect_devices(t, 50, before.st_size ? "0000:01:00.0" : "0000:02:00.0");
	sleep(6);
	expect_devices(t, 50, "0000:02:00.0");
	/* Another directory there is another process. */
	put_fd(t, 60, 11, "/dev/vfio/7", NULL);
	tree_remove(t, "proc/50/fd");
	put_link(t, "proc/50/fd", "../60/fd");
	expect_devices(t, 50, "0000:01:00.0");
}

static void test_many(void **state)
{
	struct image img = endpoint(0, DEVCTL_OFF);
	struct wb_device *devs;
	struct tree *t = *state;
	char bdf[16], link[64];
	size_t n, i;

	for (i = 0; i < 512; i++) {
		snprintf(bdf, sizeof(bdf), "0000:%02zx:%02zx.%zx", 0x10 + i / 256, i / 8 % 32,
			 i % 8);
		put_function(t, bdf, 100 + i, i % 2 ? "dmar0" : "dmar1", "vfio-pci", &img);
		snprintf(link, sizeof(link), "/dev/vfio/%zu", 100 + i);
		/* In an order that is not that of the addresses. */
		put_fd(t, 50, 1000 - i, link, NULL);
	}
	assert_int_equal(dev_scan_pid(t->scan, 50, &devs, &n), 0);
	assert_int_equal(n, 512);
	for (i = 0; i < n; i++) {
		assert_int_equal(devs[i].group, 100 + i);
		assert_int_equal(devs[i].snoop_control, i % 2 ? 0 : 1);
		assert_string_equal(devs[i].name,
				    "Intel Corporation 82574L Gigabit Network Connection");
	}
	devices_free(devs, n);
}

static void facts(struct tree *t, const char *bdf, struct wb_device *d)
{
	dev_scan_forget(t->scan);
	assert_int_equal(dev_scan_bdf(t->scan, bdf, d), 0);
	assert_string_equal(d->bdf, bdf);
}

static void expect_reason(const struct wb_device *d, const char *part)
{
	if (!strstr(d->box_reason, part))
		fail_msg("\"%s\" is not in \"%s\"", part, d->box_reason);
}

static void test_facts(void **state)
{
	struct image img = endpoint(0, DEVCTL_OFF), on = endpoint(0, DEVCTL_ON);
	struct tree *t = *state;
	struct wb_device d;

	set16(&on, 0x00, 0x10de);
	set16(&on, 0x02, 0x2330);
	put_function(t, "0000:01:00.0", 12, "dmar0", "vfio-pci", &img);
	put_function(t, "0000:02:00.0", 13, "dmar1", "vfio-pci", &on);
	put_function(t, "0000:03:00.0", 14, "ivhd0", "vfio-pci", &img);
	put_function(t, "0000:04:00.0", 15, "other0", "vfio-pci", &on);
	put_function(t, "0000:05:00.0", -1, NULL, "vfio-pci", &on);

	facts(t, "0000:01:00.0", &d);
	assert_int_equal(d.group, 12);
	assert_int_equal(d.snoop_control, 0);
	assert_int_equal(d.no_snoop, DEV_NO_SNOOP_DISABLED);
	assert_int_equal(d.box, 0);
	assert_int_equal(d.box_candidates, DEV_BOX(3) | DEV_BOX(4));
	assert_false(d.certain);
	expect_reason(&d, "bit reads 0; whether hardwired is not proven");
	assert_string_equal(d.name, "Intel Corporation 82574L Gigabit Network Connection");
	device_clear(&d);

	facts(t, "0000:02:00.0", &d);
	assert_int_equal(d.group, 13);
	assert_int_equal(d.snoop_control, 1);
	assert_int_equal(d.no_snoop, DEV_NO_SNOOP_ENABLED);
	assert_int_equal(d.box, 1);
	assert_true(d.certain);
	assert_string_equal(d.name, "NVIDIA Corporation GH100 [H100 SXM5 80GB]");
	device_clear(&d);

	facts(t, "0000:03:00.0", &d);
	assert_int_equal(d.snoop_control, 1);
	assert_int_equal(d.box_candidates, DEV_BOX(1) | DEV_BOX(2));
	device_clear(&d);

	/* Another vendor's IOMMU, and none. */
	facts(t, "0000:04:00.0", &d);
	assert_int_equal(d.snoop_control, -1);
	assert_int_equal(d.box_candidates, DEV_BOX(1) | DEV_BOX(3));
	expect_reason(&d, "driver of the IOMMU");
	device_clear(&d);
	facts(t, "0000:05:00.0", &d);
	assert_int_equal(d.group, -1);
	assert_int_equal(d.snoop_control, -1);
	expect_reason(&d, "no IOMMU");
	device_clear(&d);

	put_text(t, "sys/devices/virtual/iommu/dmar0/intel-iommu/ecap", "junk\n");
	facts(t, "0000:01:00.0", &d);
	assert_int_equal(d.snoop_control, -1);
	device_clear(&d);

	/* Written in another way, and wrong ones. */
	assert_int_equal(dev_scan_bdf(t->scan, "01:00.0", &d), 0);
	assert_string_equal(d.bdf, "0000:01:00.0");
	device_clear(&d);
	assert_int_equal(dev_scan_bdf(t->scan, "0000:77:00.0", &d), -ENODEV);
	assert_int_equal(dev_scan_bdf(t->scan, "../../etc", &d), -EINVAL);
}

/* Page tables without a force-coherent bit. */
static void test_amd_v2(void **state)
{
	static const struct {
		const char *cmdline;
		int snoop_control;
	} t[] = {
		{ "root=/dev/sda1 amd_iommu=pgtbl_v2 quiet\n", -1 },
		{ "amd_iommu=fullflush,pgtbl_v2\n", -1 },
		{ "amd_iommu=pgtbl_v2 amd_iommu=pgtbl_v1\n", 1 },
		{ "x.amd_iommu=pgtbl_v2 pgtbl_v2\n", 1 },
		{ "quiet\n", 1 },
		{ "", 1 },
	};
	struct image img = endpoint(0, DEVCTL_ON);
	struct tree *t_root = *state;
	struct wb_device d;
	size_t i;

	put_function(t_root, "0000:01:00.0", 1, "ivhd0", "vfio-pci", &img);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		put_text(t_root, "proc/cmdline", t[i].cmdline);
		dev_scan_free(t_root->scan);
		t_root->scan = dev_scan_new(t_root->root);
		assert_non_null(t_root->scan);
		facts(t_root, "0000:01:00.0", &d);
		assert_int_equal(d.snoop_control, t[i].snoop_control);
		if (d.snoop_control < 0)
			expect_reason(&d, "version 2 page tables");
		device_clear(&d);
	}
}

static void test_facts_unknown(void **state)
{
	struct image img = endpoint(0, DEVCTL_ON), rcie = endpoint(9, DEVCTL_OFF);
	struct image plain = endpoint(0, DEVCTL_ON), gone = endpoint(0, DEVCTL_ON);
	struct tree *t = *state;
	struct wb_device d;

	put_function(t, "0000:01:00.0", 1, "dmar0", "vfio-pci", &img);
	put_link(t, "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/physfn", "../0000:01:00.7");
	facts(t, "0000:01:00.0", &d);
	assert_int_equal(d.no_snoop, DEV_NO_SNOOP_UNKNOWN);
	assert_int_equal(d.box_candidates, DEV_BOX(3) | DEV_BOX(4));
	expect_reason(&d, "virtual function");
	device_clear(&d);

	put_function(t, "0000:02:00.0", 2, "dmar1", "vfio-pci", &rcie);
	facts(t, "0000:02:00.0", &d);
	assert_int_equal(d.no_snoop, DEV_NO_SNOOP_UNKNOWN);
	assert_int_equal(d.box_candidates, DEV_BOX(1) | DEV_BOX(2));
	expect_reason(&d, "root-complex integrated");
	device_clear(&d);

	set16(&plain, 0x06, 0);
	put_function(t, "0000:03:00.0", 3, "dmar0", "vfio-pci", &plain);
	facts(t, "0000:03:00.0", &d);
	expect_reason(&d, "no PCI Express capability");
	device_clear(&d);

	memset(gone.b, 0xff, sizeof(gone.b));
	put_function(t, "0000:04:00.0", 4, "dmar0", "vfio-pci", &gone);
	facts(t, "0000:04:00.0", &d);
	expect_reason(&d, "all ones");
	device_clear(&d);

	img.len = 64;
	put_function(t, "0000:05:00.0", 5, "dmar0", "vfio-pci", &img);
	facts(t, "0000:05:00.0", &d);
	expect_reason(&d, "needs root");
	device_clear(&d);

	/* Asleep: not woken. A config that cannot be opened proves that it is not read. */
	img.len = 256;
	put_function(t, "0000:06:00.0", 6, "dmar0", "vfio-pci", &img);
	put_function_file(t, "0000:06:00.0", "power/runtime_status", "suspended\n");
	facts(t, "0000:06:00.0", &d);
	assert_int_equal(d.no_snoop, DEV_NO_SNOOP_UNKNOWN);
	expect_reason(&d, "runtime-suspended");
	device_clear(&d);

	tree_remove(t, "sys/devices/pci0000:00/0000:00:01.0/0000:05:00.0/config");
	facts(t, "0000:05:00.0", &d);
	expect_reason(&d, "could not be read");
	device_clear(&d);
}

/* What a guest does to the bit is seen, once per second. */
static void test_changes(void **state)
{
	struct image off = endpoint(0, DEVCTL_OFF), on = endpoint(0, DEVCTL_ON);
	struct image moved = endpoint(0, DEVCTL_ON);
	struct tree *t = *state;
	struct wb_device d;

	put_function(t, "0000:01:00.0", 1, "dmar0", "vfio-pci", &off);
	facts(t, "0000:01:00.0", &d);
	assert_int_equal(d.no_snoop, DEV_NO_SNOOP_DISABLED);
	device_clear(&d);
	put_function(t, "0000:01:00.0", 1, "dmar0", "vfio-pci", &on);
	assert_int_equal(dev_scan_bdf(t->scan, "0000:01:00.0", &d), 0);
	assert_int_equal(d.no_snoop, DEV_NO_SNOOP_DISABLED);
	device_clear(&d);
	usleep(1000000);
	assert_int_equal(dev_scan_bdf(t->scan, "0000:01:00.0", &d), 0);
	assert_int_equal(d.no_snoop, DEV_NO_SNOOP_ENABLED);
	assert_int_equal(d.box, 3);
	device_clear(&d);

	/* Falls asleep, and comes back as something else at the same place. */
	put_function_file(t, "0000:01:00.0", "power/runtime_status", "suspended\n");
	usleep(1000000);
	assert_int_equal(dev_scan_bdf(t->scan, "0000:01:00.0", &d), 0);
	assert_int_equal(d.no_snoop, DEV_NO_SNOOP_UNKNOWN);
	device_clear(&d);
	memset(moved.b + 0xc8, 0, 0x30);
	moved.b[0x34] = 0x40;
	set16(&moved, 0x40, 0x0010);
	set16(&moved, 0x42, 0x0002);
	set16(&moved, 0x48, DEVCTL_ON);
	put_function(t, "0000:01:00.0", 1, "dmar0", "vfio-pci", &moved);
	usleep(1000000);
	assert_int_equal(dev_scan_bdf(t->scan, "0000:01:00.0", &d), 0);
	assert_int_equal(d.no_snoop, DEV_NO_SNOOP_ENABLED);
	device_clear(&d);
	/* Gone. */
	tree_remove(t, "sys/bus/pci/devices/0000:01:00.0");
	usleep(1000000);
	assert_int_equal(dev_scan_bdf(t->scan, "0000:01:00.0", &d), -ENODEV);
}

static void test_names(void **state)
{
	struct image img = endpoint(0, DEVCTL_OFF);
	struct tree *t = *state;
	struct wb_device d;

	set16(&img, 0x02, 0xbeef);
	put_function(t, "0000:01:00.0", 1, "dmar0", "vfio-pci", &img);
	facts(t, "0000:01:00.0", &d);
	assert_string_equal(d.name, "Intel Corporation beef");
	device_clear(&d);
	set16(&img, 0x00, 0x1234);
	put_function(t, "0000:01:00.0", 1, "dmar0", "vfio-pci", &img);
	facts(t, "0000:01:00.0", &d);
	assert_string_equal(d.name, "1234:beef");
	device_clear(&d);
}

/* libpci would end the process here. */
static void test_damaged_ids(void **state)
{
	struct image img = endpoint(0, DEVCTL_OFF);
	struct tree *t = *state;
	struct wb_device d;

	put_text(t, "usr/share/misc/pci.ids", "80q6  Intel\n\t\t\tx\n");
	put_function(t, "0000:01:00.0", 1, "dmar0", "vfio-pci", &img);
	facts(t, "0000:01:00.0", &d);
	assert_string_equal(d.name, "8086:10d3");
	device_clear(&d);
	facts(t, "0000:01:00.0", &d);
	assert_string_equal(d.name, "8086:10d3");
	device_clear(&d);
}

static void test_no_ids(void **state)
{
	struct image img = endpoint(0, DEVCTL_OFF);
	struct tree *t = *state;
	struct wb_device d;

	tree_remove(t, "usr/share/misc/pci.ids");
	put_function(t, "0000:01:00.0", 1, "dmar0", "vfio-pci", &img);
	facts(t, "0000:01:00.0", &d);
	assert_string_equal(d.name, "8086:10d3");
	device_clear(&d);
}

/* Somebody else's descriptors, for a user who is not root. */
static void test_not_allowed(void **state)
{
	struct tree *t = *state;
	struct wb_device *devs;
	char full[PATH_MAX];
	int status;
	size_t n;
	pid_t pid;

	put_fd(t, 50, 11, "/dev/vfio/7", NULL);
	put_fd(t, 51, 11, "/dev/null", NULL);
	path_of(t, "proc/50/fd", full);
	assert_int_equal(chmod(full, 0), 0);
	assert_int_equal(chmod(t->root, 0755), 0);
	pid = fork();
	if (!pid) {
		/* nobody; a no-op where we are not root. */
		if (!geteuid() && setresuid(65534, 65534, 65534))
			_exit(2);
		if (dev_scan_pid(t->scan, 50, &devs, &n) != -EACCES || devs || n)
			_exit(3);
		_exit(dev_scan_pid(t->scan, 51, &devs, &n) || devs || n ? 4 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(chmod(full, 0755), 0);
}

static void test_copy(void **state)
{
	struct wb_device d = { .bdf = "0000:01:00.0", .snoop_control = 1 }, copy;

	(void)state;
	assert_int_equal(device_copy(&copy, &d), 0);
	assert_null(copy.name);
	assert_null(copy.box_reason);
	d.name = strdup("name");
	assert_int_equal(device_box(&d, "x"), 0);
	assert_int_equal(device_copy(&copy, &d), 0);
	assert_ptr_not_equal(copy.name, d.name);
	assert_ptr_not_equal(copy.box_reason, d.box_reason);
	assert_string_equal(copy.name, "name");
	assert_string_equal(copy.box_reason, "x");
	assert_string_equal(copy.bdf, "0000:01:00.0");
	device_clear(&d);
	device_clear(&copy);
}

/* The running system: this process holds no VFIO device, and process 0 does not exist. */
static void test_real_system(void **state)
{
	struct dev_scan *s = dev_scan_new(NULL);
	struct wb_device *devs;
	size_t n;

	(void)state;
	assert_non_null(s);
	assert_int_equal(dev_scan_pid(s, getpid(), &devs, &n), 0);
	assert_int_equal(n, 0);
	assert_null(devs);
	assert_int_equal(dev_scan_pid(s, 0, &devs, &n), -ESRCH);
	assert_int_equal(n, 0);
	dev_scan_free(s);
	dev_scan_free(NULL);
}

#define test_in_tree(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_box_rule),
		cmocka_unit_test(test_bit),
		cmocka_unit_test(test_bit_unknown),
		cmocka_unit_test(test_corrupt_lists),
		test_in_tree(test_cdev),
		test_in_tree(test_device_fd),
		test_in_tree(test_group),
		test_in_tree(test_start),
		test_in_tree(test_kept),
		test_in_tree(test_many),
		test_in_tree(test_facts),
		test_in_tree(test_amd_v2),
		test_in_tree(test_facts_unknown),
		test_in_tree(test_changes),
		test_in_tree(test_names),
		test_in_tree(test_damaged_ids),
		test_in_tree(test_no_ids),
		test_in_tree(test_not_allowed),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_real_system),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

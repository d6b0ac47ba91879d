// SPDX-License-Identifier: GPL-2.0
/* VFIO's answer: chains of capabilities, whole and damaged; and what follows for a function. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../tools/nosnoop/func.h"
#include "../../tools/nosnoop/iommupolicy.h"
#include "../../tools/lib/vfioinfo.h"

#define FIRST 24 /* behind struct vfio_device_info of Linux 6.6 and later */

struct cap {
	struct vfio_info_cap_header header;
	uint32_t value[2];
};

static size_t put_head(char *buf, uint32_t flags, uint32_t first)
{
	struct vfio_device_info info = { .argsz = 64, .flags = flags, .cap_offset = first };

	memset(buf, 0, 128);
	memcpy(buf, &info, sizeof(info));
	return 64;
}

static void put_cap(char *buf, uint32_t at, uint16_t id, uint32_t next, uint32_t value)
{
	struct cap cap = { .header = { .id = id, .version = 1, .next = next }, .value = { value } };

	memcpy(buf + at, &cap, sizeof(cap));
}

static int parse(const char *buf, size_t len, uint32_t *flags)
{
	/* Without slack, so that a sanitizer sees every byte too many. */
	char *exact = malloc(len ? len : 1);
	int err;

	assert_non_null(exact);
	memcpy(exact, buf, len);
	err = vfioinfo_parse(exact, len, flags);
	free(exact);
	return err;
}

static void test_parse(void **state)
{
	uint32_t flags = 99;
	char buf[128];
	size_t len;

	(void)state;
	/* As stock kernels answer. */
	len = put_head(buf, VFIO_DEVICE_FLAGS_PCI, 0);
	assert_int_equal(parse(buf, len, &flags), -ENOENT);
	len = put_head(buf, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_CAPS, 0);
	assert_int_equal(parse(buf, len, &flags), -ENOENT);
	/* Another capability alone: PCI_ATOMIC_COMP, 5. */
	len = put_head(buf, VFIO_DEVICE_FLAGS_CAPS, FIRST);
	put_cap(buf, FIRST, 5, 0, 7);
	assert_int_equal(parse(buf, len, &flags), -ENOENT);
	/* Ours behind it. */
	put_cap(buf, FIRST, 5, FIRST + 16, 7);
	put_cap(buf, FIRST + 16, VFIOINFO_CAP, 0, VFIOINFO_CAPABLE | VFIOINFO_BLOCKED);
	assert_int_equal(flags, 99);
	assert_int_equal(parse(buf, len, &flags), 0);
	assert_int_equal(flags, 5);
}

static void test_damaged(void **state)
{
	uint32_t flags = 99;
	char buf[128];
	size_t len;

	(void)state;
	len = put_head(buf, VFIO_DEVICE_FLAGS_CAPS, FIRST);
	put_cap(buf, FIRST, 5, FIRST, 7);
	assert_int_equal(parse(buf, len, &flags), -EBADMSG);
	put_cap(buf, FIRST, 5, 4096, 7);
	assert_int_equal(parse(buf, len, &flags), -EBADMSG);
	put_cap(buf, FIRST, 5, 60, 7);
	assert_int_equal(parse(buf, len, &flags), -EBADMSG);
	put_cap(buf, FIRST, 5, 4, 7);
	assert_int_equal(parse(buf, len, &flags), -EBADMSG);
	put_cap(buf, FIRST, 5, 54, 7);
	put_cap(buf, 54, VFIOINFO_CAP, 0, 1);
	assert_int_equal(parse(buf, len, &flags), -EBADMSG);
	put_head(buf, VFIO_DEVICE_FLAGS_CAPS, UINT32_MAX);
	assert_int_equal(parse(buf, len, &flags), -EBADMSG);
	for (len = 0; len < FIRST; len++) {
		int err = parse(buf, len, &flags);

		assert_true(err == -EBADMSG || err == -ENOENT);
	}
	assert_int_equal(flags, 99);
}

/* What the answer makes of a function whose bit reads so. */
static void test_judge(void **state)
{
	static const struct {
		uint32_t flags;
		enum dev_no_snoop bit;
		enum ability ability;
		int box; /* behind an IOMMU that cannot block */
	} t[] = {
		{ VFIOINFO_CAPABLE | VFIOINFO_ENABLED, DEV_NO_SNOOP_ENABLED, ABILITY_CAN, 3 },
		{ VFIOINFO_CAPABLE, DEV_NO_SNOOP_DISABLED, ABILITY_CAN, 3 },
		{ VFIOINFO_CAPABLE | VFIOINFO_BLOCKED, DEV_NO_SNOOP_DISABLED, ABILITY_CAN, 0 },
		{ VFIOINFO_CAPABLE | VFIOINFO_UNTRUSTED, DEV_NO_SNOOP_DISABLED, ABILITY_UNKNOWN,
		  0 },
		{ 0, DEV_NO_SNOOP_HARDWIRED0, ABILITY_CANNOT, 4 },
		/* A proof is worth nothing for a function that ignores the bit. */
		{ VFIOINFO_UNTRUSTED, DEV_NO_SNOOP_HARDWIRED0, ABILITY_UNKNOWN, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct func_row r = { .kernel_box = -1,
				      .f = { .class = 0x020000,
					     .port_type = PCI_EXP_TYPE_ENDPOINT },
				      .vfio_known = true,
				      .vfio_flags = t[i].flags,
				      .d = { .no_snoop = t[i].bit } };

		assert_int_equal(func_judge(&r), 0);
		assert_int_equal(r.ability, t[i].ability);
		assert_int_equal(r.d.box, t[i].box);
		device_clear(&r.d);
	}
}

/* What the kernel reports counts, but for one that ignores the bit. */
static void test_kernel_box(void **state)
{
	static const struct {
		uint32_t flags;
		int snoop_control, kernel_box, box;
		unsigned int candidates;
		const char *reason;
	} t[] = {
		/* By its policy attached to what lets no-snoop pass, though the IOMMU could block it. */
		{ VFIOINFO_CAPABLE, 1, 3, 3, DEV_BOX(3), "lets it pass" },
		{ VFIOINFO_CAPABLE, 1, 1, 1, DEV_BOX(1), "blocks it" },
		{ VFIOINFO_CAPABLE | VFIOINFO_BLOCKED, 0, 4, 4, DEV_BOX(4), "VFIO keeps" },
		{ VFIOINFO_CAPABLE | VFIOINFO_BLOCKED, 1, 2, 2, DEV_BOX(2), "VFIO keeps" },
		{ 0, 0, 4, 4, DEV_BOX(4), "cannot" },
		{ 0, 1, 2, 2, DEV_BOX(2), "cannot" },
		/* Attached to nothing: what it would be. */
		{ VFIOINFO_CAPABLE, 1, 0, 1, DEV_BOX(1), "may use" },
		{ VFIOINFO_CAPABLE | VFIOINFO_BLOCKED, 0, 0, 0, DEV_BOX(3) | DEV_BOX(4), "bit" },
		{ VFIOINFO_CAPABLE | VFIOINFO_UNTRUSTED | VFIOINFO_BLOCKED, 0, 3, 3, DEV_BOX(3),
		  "lets it pass" },
		{ VFIOINFO_UNTRUSTED, 0, 4, 0, DEV_BOX(3) | DEV_BOX(4), "does not govern" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct func_row r = { .kernel_box = t[i].kernel_box,
				      .f = { .class = 0x020000,
					     .port_type = PCI_EXP_TYPE_ENDPOINT },
				      .vfio_known = true,
				      .vfio_flags = t[i].flags,
				      .d = { .no_snoop = DEV_NO_SNOOP_DISABLED,
					     .snoop_control = t[i].snoop_control } };

		if (!t[i].flags)
			r.d.no_snoop = DEV_NO_SNOOP_HARDWIRED0;
		assert_int_equal(func_judge(&r), 0);
		assert_int_equal(r.d.box, t[i].box);
		assert_int_equal(r.d.certain, t[i].box != 0);
		assert_int_equal(r.d.box_candidates, t[i].candidates);
		assert_non_null(strstr(r.d.box_reason, t[i].reason));
		device_clear(&r.d);
	}
}

/* A function of which it is not known whether it is integrated: nothing proves it unable. */
static void test_unknown_kind(void **state)
{
	static const char why[] = "asleep";
	struct func_row r = { .kernel_box = 4,
			      .f = { .class = 0x020000, .port_type = -1, .port_why = why },
			      .vfio_known = true,
			      .d = { .no_snoop = DEV_NO_SNOOP_HARDWIRED0, .snoop_control = 0 } };

	(void)state;
	assert_int_equal(func_judge(&r), 0);
	assert_null(func_kind(&r));
	assert_ptr_equal(r.why_kind, why);
	assert_int_equal(r.ability, ABILITY_UNKNOWN);
	assert_int_equal(r.d.box, 0);
	assert_int_equal(r.d.box_candidates, DEV_BOX(3) | DEV_BOX(4));
	assert_non_null(strstr(r.d.box_reason, "kind is not known"));
	/* Its class says enough. */
	r.f.class = 0x060400;
	assert_int_equal(func_judge(&r), 0);
	assert_string_equal(func_kind(&r), "bridge");
	r.f.class = 0x020000;
	r.f.port_why = NULL;
	r.d.no_snoop = DEV_NO_SNOOP_HARDWIRED0;
	assert_int_equal(func_judge(&r), 0);
	assert_string_equal(func_kind(&r), "endpoint");
	assert_int_equal(r.ability, ABILITY_CANNOT);
	assert_int_equal(r.d.box, 4);
	/* Without its numbers it may be on the list. */
	r.f.nameless = true;
	r.d.no_snoop = DEV_NO_SNOOP_HARDWIRED0;
	assert_int_equal(func_judge(&r), 0);
	assert_null(func_kind(&r));
	assert_int_equal(r.ability, ABILITY_UNKNOWN);
	device_clear(&r.d);
}

static void test_fdinfo(void **state)
{
	static const char me[] = "0000:01:00.0";
	static const struct {
		const char *text;
		int box;
	} t[] = {
		/* Linux 6.12, 6.18, with the series; attached to nothing. */
		{ "pos:\t0\nflags:\t02000002\nmnt_id:\t15\nino:\t2060\n", -ENODATA },
		{ "pos:\t0\nvfio-device-syspath: /sys/devices/pci0000:00/0000:00:02.0/0000:01:00.0\n",
		  -ENOENT },
		{ "pos:\t0\nvfio-device-syspath: /sys/devices/pci0000:00/0000:00:02.0/0000:01:00.0\nvfio-dma-box: 3\n",
		  3 },
		{ "vfio-device-syspath: /sys/0000:01:00.0\nvfio-dma-box: 0\n", 0 },
		/* The number is of another file by now. */
		{ "vfio-device-syspath: /sys/devices/pci0000:00/0000:01:00.1\nvfio-dma-box: 4\n",
		  -ESTALE },
		{ "pos:\t0\nvfio-dma-box: 4\n", -ENODATA },
		{ "vfio-device-syspath: /sys/0000:01:00.0\nvfio-dma-box: 5\n", -EBADMSG },
		{ "vfio-device-syspath: /sys/0000:01:00.0\nvfio-dma-box: 41\n", -EBADMSG },
		{ "vfio-device-syspath: /sys/0000:01:00.0\nvfio-dma-box:", -EBADMSG },
		{ "", -ENODATA },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char *text = strdup(t[i].text);

		assert_non_null(text);
		assert_int_equal(vfioinfo_parse_box(text, me), t[i].box);
		free(text);
	}
}

/* An iommufd with a device 1, address spaces 2 and 66, and a page table 3. */
static int first, second, nr_asked, failing;

static int ask_made_up(int fd, unsigned long nr, void *arg)
{
	struct {
		uint32_t size, option_id;
		uint16_t op, reserved;
		uint32_t id;
		uint64_t value;
	} *o = arg;

	assert_int_equal(fd, 5);
	assert_int_equal(nr, 0x3b87);
	assert_int_equal(o->size, 24);
	assert_int_equal(o->op, 1);
	nr_asked++;
	errno = ENOENT;
	if (o->id != 2 && o->id != 66 && !(o->id == 3 && o->option_id == 2))
		return -1;
	if (o->option_id == 1) {
		o->value = 1;
		return 0;
	}
	assert_int_equal(o->option_id, 2);
	errno = failing;
	if (failing)
		return -1;
	o->value = o->id == 2 ? first : o->id == 66 ? second : 2;
	return 0;
}

static void test_policy(void **state)
{
	static const struct {
		int first, second, failing, policy;
	} t[] = {
		{ 0, 0, 0, 0 },
		{ 2, 2, 0, 2 },
		{ 1, 1, 0, 1 },
		{ 0, 2, 0, -EEXIST },
		{ 3, 3, 0, -EOPNOTSUPP },
		{ 0, 0, EOPNOTSUPP, -EOPNOTSUPP },
		{ 0, 0, EINVAL, -ENOENT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		first = t[i].first;
		second = t[i].second;
		failing = t[i].failing;
		nr_asked = 0;
		assert_int_equal(iommu_policy_ask(5, ask_made_up), t[i].policy);
		assert_in_range(nr_asked, 1, 200);
	}
	assert_string_equal(iommu_policy_name(2), "noncoherent");
	assert_null(iommu_policy_name(-1));
	assert_null(iommu_policy_name(3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),	     cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_judge),	     cmocka_unit_test(test_kernel_box),
		cmocka_unit_test(test_fdinfo),	     cmocka_unit_test(test_policy),
		cmocka_unit_test(test_unknown_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

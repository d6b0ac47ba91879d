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
#include "../../tools/nosnoop/vfioinfo.h"

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
		{ VFIOINFO_CAPABLE, DEV_NO_SNOOP_DISABLED, ABILITY_CAN, 0 },
		{ VFIOINFO_CAPABLE | VFIOINFO_BLOCKED, DEV_NO_SNOOP_DISABLED, ABILITY_CAN, 0 },
		{ VFIOINFO_CAPABLE | VFIOINFO_UNTRUSTED, DEV_NO_SNOOP_DISABLED, ABILITY_UNKNOWN,
		  0 },
		{ 0, DEV_NO_SNOOP_HARDWIRED0, ABILITY_CANNOT, 4 },
		/* A proof is worth nothing for a function that ignores the bit. */
		{ VFIOINFO_UNTRUSTED, DEV_NO_SNOOP_HARDWIRED0, ABILITY_UNKNOWN, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct func_row r = { .f = { .class = 0x020000,
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_judge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

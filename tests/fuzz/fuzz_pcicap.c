// SPDX-License-Identifier: GPL-2.0
/*
 * Config space images of any bytes and length.  The first byte says whether it
 * is a virtual function, the rest is the image.
 */
#include <linux/pci_regs.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../tools/lib/devices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Some dword-aligned place holds a PCI Express capability whose bit reads so. */
static int somewhere(const uint8_t *cfg, size_t len, int bit)
{
	size_t pos;

	for (pos = PCI_STD_HEADER_SIZEOF; pos + 10 <= len && pos + 10 <= PCI_CFG_SPACE_SIZE;
	     pos += 4)
		if (cfg[pos] == PCI_CAP_ID_EXP &&
		    !!(cfg[pos + 9] & PCI_EXP_DEVCTL_NOSNOOP_EN >> 8) == bit)
			return 1;
	return 0;
}

static void check_box(enum dev_no_snoop no_snoop, const char *why)
{
	struct wb_device d = { .no_snoop = no_snoop };

	for (d.snoop_control = -1; d.snoop_control <= 1; d.snoop_control++) {
		if (device_box(&d, why))
			return;
		if (!d.box_candidates || d.certain != (d.box != 0) || !*d.box_reason ||
		    (d.certain && d.box_candidates != DEV_BOX(d.box)) ||
		    (d.certain && no_snoop != DEV_NO_SNOOP_ENABLED))
			abort();
	}
	free(d.box_reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *why = NULL;
	enum dev_no_snoop v;
	uint8_t *cfg;
	size_t len;
	int is_vf;

	if (!size)
		return 0;
	is_vf = data[0] & 1;
	len = size - 1;
	/* A copy of its own in the heap, so that reading past the end is seen. */
	cfg = malloc(len ? len : 1);
	if (!cfg)
		return 0;
	memcpy(cfg, data + 1, len);
	v = device_no_snoop(cfg, len, is_vf, &why);
	switch (v) {
	case DEV_NO_SNOOP_UNKNOWN:
		if (!why || !*why)
			abort();
		break;
	case DEV_NO_SNOOP_ENABLED:
	case DEV_NO_SNOOP_DISABLED:
		if (why || is_vf || !somewhere(cfg, len, v == DEV_NO_SNOOP_ENABLED))
			abort();
		break;
	default:
		/* Never without a write probe. */
		abort();
	}
	check_box(v, why);
	free(cfg);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * libpci reads a device, not an image: one image is read at once, can be
 * tested and fuzzed byte by byte, and never ends in libpci's exit().
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "pcicap.h"

/* Capabilities lie dword-aligned between the header and 256. */
#define CAPS_MAX ((PCI_CFG_SPACE_SIZE - PCI_STD_HEADER_SIZEOF) / 4)

#define EXP_TYPE(flags) (((flags)&PCI_EXP_FLAGS_TYPE) >> 4)

const char why_vf[] =
	"virtual function: Enable No Snoop is reserved there, its physical function's bit applies";

static const char why_unread[] = "config space could not be read";
static const char why_gone[] = "config space reads all ones: the device does not answer";
static const char why_no_cap[] = "no PCI Express capability, so no Enable No Snoop bit";
static const char why_short[] =
	"only the first 64 bytes of config space are readable: needs root (CAP_SYS_ADMIN)";
static const char why_corrupt[] = "the list of capabilities in config space is corrupt";
static const char why_rcie[] =
	"root-complex integrated endpoint: its traffic need not be transactions that the bit governs";

static unsigned int get16(const uint8_t *p)
{
	return p[0] | p[1] << 8;
}

int pcie_cap_find(const uint8_t *cfg, size_t len, const char **why)
{
	size_t pos, start = PCI_CAPABILITY_LIST;
	unsigned int left;

	*why = why_unread;
	if (len < PCI_STD_HEADER_SIZEOF)
		return -EIO;
	*why = why_gone;
	if (get16(cfg + PCI_VENDOR_ID) == 0xffff)
		return -EIO;
	*why = why_no_cap;
	if (!(get16(cfg + PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return -ENXIO;
	if ((cfg[PCI_HEADER_TYPE] & 0x7f) == PCI_HEADER_TYPE_CARDBUS)
		start = PCI_CB_CAPABILITY_LIST;
	if (len > PCI_CFG_SPACE_SIZE)
		len = PCI_CFG_SPACE_SIZE;

	pos = cfg[start] & ~3;
	for (left = CAPS_MAX; left; left--) {
		if (!pos)
			return -ENXIO;
		*why = why_corrupt;
		if (pos < PCI_STD_HEADER_SIZEOF)
			return -EIO;
		if (pos + PCIE_CAP_LEN > len && len < PCI_CFG_SPACE_SIZE) {
			*why = why_short;
			return -EACCES;
		}
		if (cfg[pos + PCI_CAP_LIST_ID] == PCI_CAP_ID_EXP)
			return pos + PCIE_CAP_LEN > len ? -EIO : (int)pos;
		*why = why_no_cap;
		pos = cfg[pos + PCI_CAP_LIST_NEXT] & ~3;
	}
	*why = why_corrupt;
	return -EIO;
}

enum dev_no_snoop pcie_cap_no_snoop(const uint8_t *cap, const char **why, bool *settled)
{
	unsigned int flags = get16(cap + PCI_EXP_FLAGS);
	unsigned int devctl = get16(cap + PCI_EXP_DEVCTL);

	*settled = false;
	*why = why_gone;
	/* No device has all bits of Device Control set: FLR's reads 0. */
	if (devctl == 0xffff)
		return DEV_NO_SNOOP_UNKNOWN;
	if (EXP_TYPE(flags) == PCI_EXP_TYPE_RC_END || EXP_TYPE(flags) == PCI_EXP_TYPE_RC_EC) {
		*why = why_rcie;
		*settled = true;
		return DEV_NO_SNOOP_UNKNOWN;
	}
	*why = NULL;
	return devctl & PCI_EXP_DEVCTL_NOSNOOP_EN ? DEV_NO_SNOOP_ENABLED : DEV_NO_SNOOP_DISABLED;
}

enum dev_no_snoop device_no_snoop(const uint8_t *cfg, size_t len, bool is_vf, const char **why)
{
	bool settled;
	int pos;

	*why = why_vf;
	if (is_vf)
		return DEV_NO_SNOOP_UNKNOWN;
	pos = pcie_cap_find(cfg, len, why);
	if (pos < 0)
		return DEV_NO_SNOOP_UNKNOWN;
	return pcie_cap_no_snoop(cfg + pos, why, &settled);
}

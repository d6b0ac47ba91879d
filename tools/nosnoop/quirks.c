// SPDX-License-Identifier: GPL-2.0
#include "quirks.h"

#include <linux/pci_regs.h>
#include <string.h>

#define ANY	 (-1)
#define DISPLAY	 0x030000
#define AUDIO_HD 0x040300
#define XHCI	 0x0c0330

struct match {
	int vendor;		/* ANY */
	int device_first, last; /* ANY */
	int class;		/* 0xbbsspp under class_mask; ANY */
	unsigned int class_mask;
	const char *driver; /* bound to this one; NULL: whatever it is bound to */
	int port_type;	    /* ANY */
	const char *whom;
	struct quirk q;
};

/* 82571 to 82574 and 82583, by the device numbers in e1000e's hw.h; whatever they are bound to. */
#define GCR(first, last)                                                                           \
	{                                                                                          \
		.vendor = 0x8086, first, last, ANY, 0, NULL, ANY,                                  \
		"Intel 82571 to 82583 network controllers",                                        \
		{                                                                                  \
			QUIRK_CHOOSES,                                                             \
				"six bits of a device register choose no-snoop by kind of access", \
				"drivers/net/ethernet/intel/e1000e/defines.h:565-570"              \
		}                                                                                  \
	}

static const struct match table[] = {
	{ .vendor = 0x8086,
	  ANY,
	  ANY,
	  DISPLAY,
	  0xff0000,
	  NULL,
	  ANY,
	  "Intel display controllers",
	  { QUIRK_IGNORES,
	    "whether an access is snooped is chosen by page table entry, and no document says that the bit governs it",
	    "drivers/gpu/drm/i915/i915_drv.h:559 (HAS_SNOOP), drivers/gpu/drm/xe/xe_pat.h:29; told from others by drivers/vfio/pci/vfio_pci_igd.c:438" } },
	{ .vendor = 0x8086,
	  ANY,
	  ANY,
	  ANY,
	  0,
	  NULL,
	  PCI_EXP_TYPE_RC_END,
	  "Intel root-complex integrated endpoints",
	  { QUIRK_IGNORES,
	    "its accesses need not be PCI Express transactions, which are what the bit governs",
	    "PCI Express Base Specification, Device Control Register and root-complex integrated endpoint rules" } },
	{ .vendor = 0x10de,
	  ANY,
	  ANY,
	  DISPLAY,
	  0xff0000,
	  NULL,
	  ANY,
	  "NVIDIA display controllers",
	  { QUIRK_BACKDOOR,
	    "BAR 0 from 0x88000 on mirrors config space, so that the bit can be changed without a config write",
	    "drivers/gpu/drm/nouveau/nouveau_drm.c:654 (0x88080, bit 11); kernel_bif_gm107.c of NVIDIA's open kernel modules" } },
	{ .vendor = 0x10de,
	  ANY,
	  ANY,
	  AUDIO_HD,
	  0xffff00,
	  NULL,
	  ANY,
	  "NVIDIA HD audio controllers",
	  { QUIRK_BACKDOOR, "snooping is switched by registers of its own in config space",
	    "controllers/intel.c of snd_hda_intel:79-82, 411-422" } },
	{ .vendor = 0x1002,
	  ANY,
	  ANY,
	  AUDIO_HD,
	  0xffff00,
	  NULL,
	  ANY,
	  "ATI and AMD HD audio controllers",
	  { QUIRK_BACKDOOR, "snooping is switched by a register of its own in config space",
	    "controllers/intel.c of snd_hda_intel:75, 402-407" } },
	{ .vendor = 0x8086,
	  ANY,
	  ANY,
	  AUDIO_HD,
	  0xffff00,
	  NULL,
	  ANY,
	  "Intel HD audio controllers",
	  { QUIRK_BACKDOOR, "older ones switch snooping by a register of their own in config space",
	    "controllers/intel.c of snd_hda_intel:88, 426-433" } },
	{ .vendor = 0x1002,
	  ANY,
	  ANY,
	  DISPLAY,
	  0xff0000,
	  NULL,
	  ANY,
	  "AMD display controllers",
	  { QUIRK_CHOOSES, "snooping is chosen by page table entry of the GPU",
	    "drivers/gpu/drm/amd/amdgpu/amdgpu_vm.h:59, drivers/gpu/drm/radeon/radeon.h:848" } },
	GCR(0x105e, 0x1060),
	GCR(0x107d, 0x107f),
	GCR(0x108b, 0x108c),
	GCR(0x109a, 0x109a),
	GCR(0x10a4, 0x10a5),
	GCR(0x10b9, 0x10b9),
	GCR(0x10bc, 0x10bc),
	GCR(0x10d3, 0x10d3),
	GCR(0x10d5, 0x10d5),
	GCR(0x10d9, 0x10da),
	GCR(0x10f6, 0x10f6),
	GCR(0x150c, 0x150c),
	{ .vendor = 0x8086,
	  ANY,
	  ANY,
	  ANY,
	  0,
	  "ioatdma",
	  ANY,
	  "I/OAT DMA engines",
	  { QUIRK_CHOOSES, "each descriptor chooses, for source and destination",
	    "drivers/dma/ioat/hw.h:74-75" } },
	{ .vendor = ANY,
	  ANY,
	  ANY,
	  XHCI,
	  0xffffff,
	  NULL,
	  ANY,
	  "xHCI USB controllers",
	  { QUIRK_CHOOSES, "each transfer chooses; no Linux driver sets it, a guest's may",
	    "drivers/usb/host/xhci.h:1054" } },
	{ .vendor = ANY,
	  ANY,
	  ANY,
	  ANY,
	  0,
	  "thunderbolt",
	  ANY,
	  "Thunderbolt and USB4 controllers",
	  { QUIRK_CHOOSES, "each ring chooses; no Linux driver sets it, a guest's may",
	    "drivers/thunderbolt/nhi_regs.h:17" } },
	{ .vendor = 0x8086,
	  ANY,
	  ANY,
	  ANY,
	  0,
	  "intel_vpu",
	  ANY,
	  "Intel NPUs bound to intel_vpu",
	  { QUIRK_CHOOSES, "the driver chooses unless intel_vpu.force_snoop=1",
	    "drivers/accel/ivpu/ivpu_drv.c:66-68" } },
	{ .vendor = ANY,
	  ANY,
	  ANY,
	  ANY,
	  0,
	  "tg3",
	  ANY,
	  "network controllers bound to tg3",
	  { QUIRK_CLEARED, "the driver clears the bit",
	    "drivers/net/ethernet/broadcom/tg3.c:9301" } },
	{ .vendor = ANY,
	  ANY,
	  ANY,
	  ANY,
	  0,
	  "niu",
	  ANY,
	  "network controllers bound to niu",
	  { QUIRK_CLEARED, "the driver clears the bit", "drivers/net/ethernet/sun/niu.c:9832" } },
	{ .vendor = ANY,
	  ANY,
	  ANY,
	  ANY,
	  0,
	  "tsi721",
	  ANY,
	  "RapidIO bridges bound to tsi721",
	  { QUIRK_CLEARED, "the driver clears the bit", "drivers/rapidio/devices/tsi721.c:2896" } },
	{ .vendor = ANY,
	  ANY,
	  ANY,
	  ANY,
	  0,
	  "netup_unidvb",
	  ANY,
	  "DVB cards bound to netup_unidvb",
	  { QUIRK_CLEARED, "the driver clears the bit",
	    "drivers/media/pci/netup_unidvb/netup_unidvb_core.c:859" } },
	{ .vendor = 0x1425,
	  0x5400,
	  0x58ff,
	  ANY,
	  0,
	  NULL,
	  ANY,
	  "Chelsio T5 network controllers",
	  { QUIRK_ABOVE,
	    "the kernel clears the bit of the root port above, which leaves the function's own accesses alone",
	    "drivers/pci/quirks.c:4636-4650" } },
};

#define NR_ENTRIES (sizeof(table) / sizeof(table[0]))

const char *quirk_kind_name(enum quirk_kind kind)
{
	static const char *const names[] = {
		[QUIRK_IGNORES] = "ignores", [QUIRK_BACKDOOR] = "backdoor",
		[QUIRK_CLEARED] = "cleared", [QUIRK_CHOOSES] = "chooses",
		[QUIRK_ABOVE] = "above",
	};

	return names[kind];
}

static int applies(const struct match *m, const struct dev_facts *f)
{
	if (m->vendor != ANY && m->vendor != f->vendor)
		return 0;
	if (m->device_first != ANY && (f->device < m->device_first || f->device > m->last))
		return 0;
	if (m->class != ANY &&
	    (f->class == UINT32_MAX || (f->class & m->class_mask) != (unsigned int)m->class))
		return 0;
	if (m->driver && strcmp(m->driver, f->driver))
		return 0;
	return m->port_type == ANY || m->port_type == f->port_type;
}

const struct quirk *quirk_of(const struct dev_facts *f, size_t i)
{
	for (size_t e = 0; e < NR_ENTRIES; e++)
		if (applies(&table[e], f) && !i--)
			return &table[e].q;
	return NULL;
}

int quirk_has(const struct dev_facts *f, enum quirk_kind kind)
{
	for (size_t e = 0; e < NR_ENTRIES; e++)
		if (table[e].q.kind == kind && applies(&table[e], f))
			return 1;
	return 0;
}

const struct quirk *quirk_entry(size_t i, const char **whom)
{
	if (i >= NR_ENTRIES)
		return NULL;
	*whom = table[i].whom;
	return &table[i].q;
}

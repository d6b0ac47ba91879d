// SPDX-License-Identifier: GPL-2.0
/*
 * What users of VFIO write to Enable No Snoop of their PCI functions: the wish
 * of the guest, whether or not VFIO lets it through to the function.
 *
 * User space loads one of the two programs.  The one at the end of the function
 * counts what VFIO took, and reads the value when the kernel has just read it, so
 * that its page is there.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/pci_regs.h>
#include <linux/ptrace.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "cfgwrite_abi.h"

char LICENSE[] SEC("license") = "GPL";

/* The region's number is above: VFIO_PCI_OFFSET_MASK. */
#define POS_MASK ((1ULL << 40) - 1)

/* Of Device Control, the byte that holds the bit. */
#define BYTE_OFFSET (PCI_EXP_DEVCTL + 1)
#define BYTE_BIT    (PCI_EXP_DEVCTL_NOSNOOP_EN >> 8)

struct cfgwrite_dev devs[CFGWRITE_SETS * CFGWRITE_WAYS];
/* Writes to functions that found no place. */
__u64 full;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct pci_sysdata {
	int domain;
};

struct pci_bus {
	void *sysdata;
	unsigned char number;
};

struct pci_dev {
	struct pci_bus *bus;
	unsigned int devfn;
	__u8 pcie_cap;
};

struct vfio_pci_core_device {
	struct pci_dev *pdev;
};

#pragma clang attribute pop

static __always_inline struct cfgwrite_dev *find_dev(__u64 key)
{
	__u32 set = CFGWRITE_SET(key);
	__u64 seen;
	int i;

	/* No address of the array is computed before its index is known to be inside. */
	set &= CFGWRITE_SETS - 1;
	for (i = 0; i < CFGWRITE_WAYS; i++) {
		struct cfgwrite_dev *d = &devs[set * CFGWRITE_WAYS + i];

		if (d->key == key)
			return d;
	}
	for (i = 0; i < CFGWRITE_WAYS; i++) {
		struct cfgwrite_dev *d = &devs[set * CFGWRITE_WAYS + i];

		seen = __sync_val_compare_and_swap(&d->key, 0, key);
		if (!seen || seen == key)
			return d;
	}
	return NULL;
}

/* So many bytes at pos of config space, from buf of the current process. */
static __always_inline int count_write(struct vfio_pci_core_device *vdev, const char *buf,
				       __u64 bytes, __u64 pos)
{
	struct pci_dev *pdev = BPF_CORE_READ(vdev, pdev);
	__u8 cap = BPF_CORE_READ(pdev, pcie_cap), value = 0;
	struct pci_bus *bus = BPF_CORE_READ(pdev, bus);
	struct pci_sysdata *sysdata = BPF_CORE_READ(bus, sysdata);
	__u64 at = cap + BYTE_OFFSET;
	struct cfgwrite_dev *d;

	if (!cap || pos > at || at - pos >= bytes)
		return 0;
	d = find_dev(CFGWRITE_KEY(BPF_CORE_READ(sysdata, domain), BPF_CORE_READ(bus, number),
				  BPF_CORE_READ(pdev, devfn) & 0xff));
	if (!d) {
		__sync_fetch_and_add(&full, 1);
		return 0;
	}
	if (bpf_probe_read_user(&value, 1, buf + (at - pos))) {
		__sync_fetch_and_add(&d->unread, 1);
		return 0;
	}
	d->last = bpf_ktime_get_ns() << 1 | !!(value & BYTE_BIT);
	__sync_fetch_and_add(value & BYTE_BIT ? &d->set : &d->cleared, 1);
	return 0;
}

SEC("fexit/vfio_pci_config_rw")
int BPF_PROG(write_end, struct vfio_pci_core_device *vdev, const char *buf, __u64 count,
	     const __u64 *ppos, __u64 iswrite, long ret)
{
	__u64 pos = 0;

	/* A bool is 8 bits: the rest of its register is not defined. */
	if (!(iswrite & 1) || ret <= 0)
		return 0;
	bpf_probe_read_kernel(&pos, sizeof(pos), ppos);
	return count_write(vdev, buf, ret, (pos - ret) & POS_MASK);
}

SEC("kprobe/vfio_pci_config_rw")
int BPF_KPROBE(write_begin, struct vfio_pci_core_device *vdev, const char *buf, __u64 count,
	       const __u64 *ppos, __u64 iswrite)
{
	__u64 pos = 0;

	if (!(iswrite & 1))
		return 0;
	bpf_probe_read_kernel(&pos, sizeof(pos), ppos);
	return count_write(vdev, buf, count, pos & POS_MASK);
}

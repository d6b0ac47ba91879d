/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PCI functions assigned to processes, and the box of each, from procfs and
 * sysfs alone: nothing is ever written to a device.
 */
#ifndef DEVICES_H
#define DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum dev_no_snoop {
	DEV_NO_SNOOP_UNKNOWN,
	DEV_NO_SNOOP_ENABLED,	 /* Device Control bit 11 reads 1 */
	DEV_NO_SNOOP_DISABLED,	 /* reads 0; whether hardwired is not known */
	DEV_NO_SNOOP_HARDWIRED0, /* proven to be hardwired to 0 */
};

/* Bits of wb_device.box_candidates: 1 << box. */
#define DEV_BOX(n) (1u << (n))

struct wb_device {
	char bdf[16];	   /* "0000:01:00.0" */
	char *name;	   /* vendor and device from pci.ids */
	int group;	   /* IOMMU group, -1: none */
	int snoop_control; /* IOMMU in front can block no-snoop: 1 yes, 0 no, -1 unknown */
	enum dev_no_snoop no_snoop;
	int box;		     /* 1-4, 0: not certain */
	unsigned int box_candidates; /* DEV_BOX() bits; the one bit of box when certain */
	char *box_reason;	     /* why not certain, or what decides */
	bool certain;		     /* exactly one box is possible */
};

/*
 * The box rule without a write probe: blocked + enabled 1; blocked + disabled
 * 1 or 2; not blocked + enabled 3; not blocked + disabled 3 or 4; what is
 * unknown on either side leaves both of its values possible.  Fills box,
 * box_candidates, box_reason and certain from snoop_control and no_snoop.
 *
 * why_no_snoop explains DEV_NO_SNOOP_UNKNOWN (VF, no PCIe capability,
 * root-complex integrated endpoint, not readable), why_iommu a snoop_control
 * of -1; NULL: a general sentence.  box_reason is allocated anew (an old one
 * is freed).  0 or -ENOMEM.
 */
int device_box_why(struct wb_device *d, const char *why_no_snoop, const char *why_iommu);
int device_box(struct wb_device *d, const char *why_no_snoop);

/*
 * Device Control's Enable No Snoop from a config space image of len bytes
 * (64 are visible without root, 256 or 4096 otherwise).  *why gets a static
 * sentence when the answer is unknown, else NULL.  Walks a corrupt capability
 * list without looping or reading past len.
 */
enum dev_no_snoop device_no_snoop(const uint8_t *cfg, size_t len, bool is_vf, const char **why);

struct dev_scan;

/*
 * root: NULL for the running system, else the prefix of a test's tree holding
 * proc/, sys/ and usr/share/misc/pci.ids.  NULL: no memory.
 */
struct dev_scan *dev_scan_new(const char *root);
void dev_scan_free(struct dev_scan *s);

/*
 * PCI functions that pid holds open through VFIO, sorted by address, each
 * once.  *devs is malloc()ed, free with devices_free().
 *
 * A device's file (its cdev; since Linux 6.18 also the descriptor that a group
 * hands out) names its function.  A group's file alone stands for all
 * functions of the group that are bound to a VFIO driver.  Mediated devices
 * and devices that are not PCI are left out.
 *
 * start is the process's start in clock ticks since boot: another process's
 * devices are not reported (0: not compared, so not for a pid that procfs may
 * not mean, see vmname_foreign()).
 *
 * 0, with *n == 0 when there are none; -ESRCH: the process has ended, is
 * exiting or is another one, so that what was reported last stays the last;
 * -EACCES: its descriptors may not be looked at, others' may; -ENOMEM.  *n is
 * 0 and *devs NULL on error.
 *
 * Called once per second this costs one stat() of /proc/PID/fd and three reads
 * per function on Linux 6.2 and later: facts of a function are re-read at most
 * once per second, and descriptors are looked through when their number has
 * changed, or after 5 s (before 6.2, which does not tell the number: every
 * time).  A runtime-suspended function's config space is not read, as that
 * would wake it.
 */
int dev_scan_process(struct dev_scan *s, pid_t pid, uint64_t start, struct wb_device **devs,
		     size_t *n);

/* The same for a process that is known to be meant. */
int dev_scan_pid(struct dev_scan *s, pid_t pid, struct wb_device **devs, size_t *n);

/* Facts of one function, freed by device_clear(). 0, -EINVAL, -ENODEV or -ENOMEM. */
int dev_scan_bdf(struct dev_scan *s, const char *bdf, struct wb_device *d);

/*
 * The same; *why_no_snoop and *why_iommu are static sentences that say why
 * no_snoop or snoop_control is not known, else NULL.
 */
int dev_scan_bdf_why(struct dev_scan *s, const char *bdf, struct wb_device *d,
		     const char **why_no_snoop, const char **why_iommu);

/*
 * Addresses of all PCI functions, sorted.  *bdfs is malloc()ed, NULL where
 * there are none (or no PCI).  0 or a negative errno.
 */
int dev_scan_list(struct dev_scan *s, char (**bdfs)[16], size_t *n);

/* The tree that is read: of the running system "/".  Belongs to s. */
int dev_scan_rootfd(const struct dev_scan *s);

/* The bit of one function has changed: the next look-up reads it, however soon. */
void dev_scan_outdated(struct dev_scan *s, const char *bdf);

/* Forgets everything that was read: the next look-ups read again. */
void dev_scan_forget(struct dev_scan *s);

/* Deep copy; 0 or -ENOMEM. */
int device_copy(struct wb_device *to, const struct wb_device *from);

/* Frees what d owns. */
void device_clear(struct wb_device *d);
void devices_free(struct wb_device *devs, size_t n);

#endif /* DEVICES_H */

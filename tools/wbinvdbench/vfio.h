/* SPDX-License-Identifier: GPL-2.0 */
/* One assigned PCI function, and whether its DMA is coherent as far as the kernel tells. */
#ifndef WBINVDBENCH_VFIO_H
#define WBINVDBENCH_VFIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices.h"

#define VFIO_MAX_MAPS 2

struct vfio_map {
	uint64_t iova;
	void *mem;
	size_t len;
};

struct vfio_dev {
	struct wb_device dev; /* bdf, group, snoop_control, no_snoop, box */
	bool iommufd;	      /* cdev and iommufd, else group and type1 container */
	int device;	      /* fds, -1: not open */
	int group;
	int container; /* iommufd or type1 container */
	int kvm_dev;
	uint32_t dev_id; /* iommufd's, of this function */
	uint32_t ioas;
	int noncoherent; /* DMA: 1 yes, 0 no, -1 unknown */
	struct vfio_map maps[VFIO_MAX_MAPS];
	unsigned int n_maps;
};

void vfio_init(struct vfio_dev *v);

/*
 * Where a function stands before it is opened: 0, or a negative errno after a
 * sentence on stderr, followed by the commands that would put it on vfio-pci.
 * root: "" for the running system, else the prefix of a test's sys/ and dev/.
 */
int vfio_check(const char *root, const char *bdf, bool *cdev);

/*
 * Opens the function, adds it to the VM's kvm-vfio device, and attaches it to
 * an I/O address space of its own; the kernel may reset it, and nothing else
 * is done to it.  ioas_flags: of IOMMU_IOAS_ALLOC, 0 where it may be type1.
 * 0, or a negative errno after a sentence on stderr; vfio_close() is due in
 * both cases.
 */
int vfio_open(struct vfio_dev *v, const char *bdf, int vm_fd, uint32_t ioas_flags);

/* Makes len bytes at mem the I/O addresses from iova on, at most VFIO_MAX_MAPS times. Same errors. */
int vfio_map(struct vfio_dev *v, uint64_t iova, void *mem, size_t len);

/*
 * Moves the function, without a gap, to a new I/O address space of those flags
 * in which the same memory is mapped, and destroys the old one. Same errors.
 */
int vfio_move(struct vfio_dev *v, uint32_t ioas_flags);

/* VFIO_DEVICE_FEATURE_PCI_NO_SNOOP: BLOCK or ALLOW. Same errors. */
int vfio_set_no_snoop(struct vfio_dev *v, bool block);

/* Reads the facts of the open function and fills v->dev. Same errors. */
int vfio_facts(struct vfio_dev *v);

void vfio_close(struct vfio_dev *v);

#endif /* WBINVDBENCH_VFIO_H */

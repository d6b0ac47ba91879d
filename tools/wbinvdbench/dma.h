/* SPDX-License-Identifier: GPL-2.0 */
/* What --dma asks for: changes of the DMA coherency, before the vCPUs run and while they do. */
#ifndef WBINVDBENCH_DMA_H
#define WBINVDBENCH_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vfio_dev;

/* In the order of their names in dma.c */
enum dma_what {
	DMA_AUTOMATIC, /* the policy of an I/O address space, to which the device is moved */
	DMA_ENFORCED,
	DMA_NONCOHERENT,
	DMA_BLOCK, /* of the device */
	DMA_ALLOW,
	DMA_PAUSE, /* of the VM */
	DMA_FORCE,
	DMA_RESUME,
};

struct dma_step {
	enum dma_what what;
	bool later; /* at at_ns after the vCPUs' common start, else when the device is assigned */
	uint64_t at_ns;	 /* asked for */
	uint64_t did_ns; /* when it was done, from the same start; 0: it was not, or before */
};

struct dma_plan {
	struct dma_step *steps;
	size_t n, next; /* next: the first that is not done */
};

/*
 * "WHAT[@SECONDS],..." to a plan, in the order of time: 0, -ENOMEM, or -EINVAL
 * with *why, a static sentence.  dma_plan_free() is due in every case.
 */
int dma_parse(const char *text, struct dma_plan *plan, const char **why);
void dma_plan_free(struct dma_plan *plan);

const char *dma_name(enum dma_what what);

/* The flags of IOMMU_IOAS_ALLOC that the plan begins with. */
uint32_t dma_first_flags(const struct dma_plan *plan);

/*
 * What the plan begins with, but for the address space: vfio_open() has made
 * that.  0 or a negative errno after a sentence on stderr.
 */
int dma_begin(struct dma_plan *plan, struct vfio_dev *vfio, int vm_fd);

/* Milliseconds until the next step is due, rounded up; -1: there is none. */
int dma_wait_ms(const struct dma_plan *plan, uint64_t start_ns, uint64_t now_ns);

/* Does what is due, and says so on stderr; same errors. */
int dma_go_on(struct dma_plan *plan, struct vfio_dev *vfio, int vm_fd, uint64_t start_ns);

#endif /* WBINVDBENCH_DMA_H */

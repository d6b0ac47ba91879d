/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of wbinvdbench share: its options, its VM, its vCPUs. */
#ifndef WBINVDBENCH_BENCH_H
#define WBINVDBENCH_BENCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "dma.h"
#include "guest.h"
#include "quant.h"

#define BENCH_MAX_COUNT	  1000000000000000ULL
#define BENCH_MAX_VCPUS	  65536
#define BENCH_MAX_RATE	  1000000
#define BENCH_MAX_BATCH	  1000000000ULL
#define BENCH_MAX_WAIT_NS (86400ULL * 1000000000ULL)
#define BENCH_NO_CPU	  (~0u)

/* Batch sizes nobody asked for: 1 % of the run, at most these. */
#define BENCH_BATCH_EXIT 100
#define BENCH_BATCH_NOP	 100000

struct bench_options {
	uint64_t count; /* instructions per vCPU */
	unsigned int vcpus;
	enum guest_insn insn;
	unsigned int *pin; /* host CPUs, NULL: not pinned */
	size_t n_pin;
	uint64_t dirty; /* bytes per vCPU to dirty before each instruction */
	uint64_t rate;	/* instructions per second and vCPU, 0: as fast as it goes */
	uint64_t batch; /* instructions per batch, 0: chosen by bench_batch() */
	char bdf[16];	/* canonical, "": no --vfio */
	struct dma_plan dma;
	uint64_t start_delay_ns;
	uint64_t hold_ns;
	const char *fields; /* -o */
	bool json;
	bool verbose;
};

/* See vfio.h. */
struct vfio_dev;

struct vcpu {
	unsigned int id;
	unsigned int cpu; /* pinned to, or BENCH_NO_CPU */
	int fd;
	struct kvm_run *run;
	size_t run_size;
	struct guest_ctl *ctl;
	struct vm *vm;
	pthread_t thread;
	bool started; /* the thread exists */

	/* Written by the vCPU's thread, read after it has ended. */
	struct quant ps; /* picoseconds per instruction, one value per complete batch */
	uint64_t executed;
	uint64_t wall_ns;     /* from the common start to the end of the last batch; 0: none */
	uint64_t overhead_ns; /* an empty batch, median; 0: none was run */
	int err;	      /* negative errno */
	char *why;	      /* what KVM said, NULL: nothing */
};

struct vm {
	const struct bench_options *opt;
	int kvm;
	int fd;
	uint64_t batch;
	uint64_t dirty; /* bytes of all vCPUs together */
	void *ctl_mem;
	size_t ctl_size;
	void *dirty_mem;
	struct vcpu *vcpus;

	/* Shared with the threads. */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* ready or go */
	unsigned int ready;	/* threads that have calibrated */
	bool go;
	bool stop;	      /* atomic */
	unsigned int running; /* atomic: threads that have not ended */
	int done;	      /* eventfd: a thread has ended */
	bool interrupted;

	/* What goes through its plan while the vCPUs run; NULL: no device */
	struct vfio_dev *vfio;
	struct dma_plan *dma;
};

/* Instructions per batch for these options; noncoherent: each WBINVD is a real flush. */
uint64_t bench_batch(const struct bench_options *opt, bool noncoherent);

/*
 * Command line to options: 0; 1 when --help and the like have been answered;
 * -EINVAL after one sentence on stderr; -ENOMEM.  bench_options_free() is due
 * in every case.
 */
int bench_parse(int argc, char **argv, struct bench_options *opt);
void bench_options_free(struct bench_options *opt);

/*
 * vm.c: every function returns 0 or a negative errno after one sentence on
 * stderr that holds what KVM said.
 */

/* Opens /dev/kvm and creates the VM with its memory, but no vCPU. */
int bench_create(struct vm *vm, const struct bench_options *opt);
int bench_create_vcpus(struct vm *vm);
void bench_destroy(struct vm *vm);

/* What a KVM_RUN that returned says, for people; malloc()ed. */
char *bench_exit_text(const struct kvm_run *run);

/* "wall_ns" per vCPU starts here and ends with its last batch: CLOCK_MONOTONIC. */
uint64_t bench_now(void);

/*
 * run.c.  bench_start() creates the threads and returns when all of them wait;
 * bench_go() lets them go and returns when they have ended, or have been
 * stopped by a signal that sigfd delivers (vm->interrupted).  Both return 0 or
 * a negative errno after a sentence on stderr; after either has failed no
 * thread is left.
 */
int bench_start(struct vm *vm);
int bench_go(struct vm *vm, int sigfd);

/* Waits ns, or until a signal arrives: 1 then, else 0. */
int bench_wait(int sigfd, uint64_t ns);

/* report.c: 0 or -EIO when standard output cannot take it. */
int bench_report(struct vm *vm, const struct vfio_dev *vfio);
/* --list-fields, on standard output. */
void bench_list_fields(void);
/* Checks opt->fields. 0, or -EINVAL after a sentence. */
int bench_check_fields(const char *fields);

#endif /* WBINVDBENCH_BENCH_H */

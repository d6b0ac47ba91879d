/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of transitions have of each other */
#ifndef TRANSITIONS_H
#define TRANSITIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define INSTANCE "/sys/kernel/tracing/instances/transitions"
#define PAGE	 4096UL
#define MAPPED	 (16 * PAGE)
#define IOVA	 (1UL << 24)
#define VCPUS	 3
#define MAX_LOG	 4096
#define MAX_RUNS (1 << 20)

/* ---- main.c -------------------------------------------------------------------------------------- */

extern struct options {
	unsigned int transitions;
	uint64_t seed;
	bool seeded;
	const char *belie;
	const char *devices[2];
} opt;

/* What all processes see */
extern struct shared {
	atomic_uint wrong, transitions, flushed, skipped, unknown, unplugged;
	atomic_bool stop, checked, stop_unplug;
	/* 1 + the number of the device to be unplugged, 0: done */
	atomic_uint unplug;
} * shared;

struct run {
	uint64_t from;
	unsigned int cpu, n;
};

struct event {
	uint64_t ns;
	unsigned int cpus;
	bool flushed;
};

extern struct vcpu {
	int fd;
	struct kvm_run *run;
	unsigned int nr_runs, nr_events, nr_wbinvds;
	struct run *runs;
	struct event *events;
} vcpus[VCPUS];

extern int vm, kvm_vfio;
extern uint8_t *memory; /* MAPPED bytes */

/* Something is: prints it */
void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* CLOCK_MONOTONIC, in nanoseconds */
uint64_t now(void);

/* ---- check.c ------------------------------------------------------------------------------------- */

enum known { NO, YES, MAYBE };

/* Of each of those who change something: does it ask for flushes, or for the policy, allow them? */
extern struct log {
	struct {
		uint64_t ns;
		enum known known;
	} at[MAX_LOG];
	unsigned int n;
} logs[3];

enum { OF_DEVICE, OF_PORT, OF_POLICY };

/* From now on that is known */
void note(struct log *log, enum known known);
/* What KVM tells of each WBINVD goes to the vCPUs' events, until reading is stopped */
void start_tracing(void);
void *read_events(void *arg);
extern atomic_bool stop_reading;
/* Whether each WBINVD was flushed or skipped as it had to be */
void check_vcpu(struct vcpu *v);

/* ---- change.c ------------------------------------------------------------------------------------ */

enum { ENFORCED, NONCOHERENT, HWPT_ENFORCED, HWPT_NONCOHERENT, NR_TARGETS };

extern struct device {
	unsigned int nr;
	int iommu, fd;
	uint32_t id, targets[NR_TARGETS], flat;
	int attached; /* a target, -1: nothing */
	bool known, blocked;
	struct log *log;
} devices[2];

int open_cdev(const char *device);
/* An iommufd with what the device will be attached to; it is bound, and KVM knows it */
void prepare(struct device *d, unsigned int nr);
/* Threads that change a device or the policy, with its log, until all is to stop */
void *change_devices(void *arg);
void *change_policy(void *arg);

#endif /* TRANSITIONS_H */

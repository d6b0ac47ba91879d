/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One reading of a source: plain data, no pointers into kernel or BPF objects.
 * Sources (BPF, replay) fill it, the model compares two of them.  Every
 * counter is cumulative since the source started and never goes down, but for
 * the members that say "of the interval".
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../bpf/dmalog_abi.h"
#include "../../bpf/wbinvd_abi.h"

/* Which figures the source can know; the others are null everywhere. */
enum wb_known {
	WB_KNOWN_OUTCOME = 1u << 0,	/* flushes, skips */
	WB_KNOWN_TIME = 1u << 1,	/* emulation_ns, untimed, quantiles, max */
	WB_KNOWN_CPUS = 1u << 2,	/* cpus_flushed */
	WB_KNOWN_STALL = 1u << 3,	/* stall_ns, stall_idle_ns, victims */
	WB_KNOWN_NONCOHERENT = 1u << 4, /* non-coherent or not, VMs from before */
	WB_KNOWN_REASON = 1u << 5,	/* skips_coherent, skips_policy */
	WB_KNOWN_EVENTS = 1u << 6,	/* events */
	WB_KNOWN_POLICY = 1u << 7,	/* this kernel has policies */
};

/* A fact that may be unknown. */
enum wb_tri { WB_NO = 0, WB_YES = 1, WB_UNKNOWN = 2 };

struct wb_counters {
	uint64_t exits; /* WBINVD/WBNOINVD that reached KVM, each once */
	uint64_t flushes;
	uint64_t skips;
	uint64_t untimed;	/* exits of which one end was not seen */
	uint64_t emulation_ns;	/* of the timed exits */
	uint64_t stall_ns;	/* callbacks on busy CPUs other than the flushing one */
	uint64_t stall_idle_ns; /* the same on idle CPUs */
	uint64_t cpus_flushed;	/* the flushing CPU included */
	uint64_t
		skips_policy; /* of skips: user space has KVM skip, the others are of coherent VMs */
};

/* What user space has told KVM to do for a VM (KVM_CAP_X86_NONCOHERENT_DMA). */
enum wb_policy {
	WB_POLICY_UNKNOWN, /* of kernels that have none, too */
	WB_POLICY_NONE,
	WB_POLICY_FORCE, /* as if nothing did non-coherent DMA */
	WB_POLICY_PAUSE, /* WBINVD is skipped for now */
};

struct wb_vcpu {
	uint32_t id; /* vcpu_id as KVM has it */
	struct wb_counters total;
	uint64_t max_ns;	  /* longest exit so far */
	uint64_t interval_max_ns; /* longest exit of the interval; 0: none */
	/* Timed exits by duration; counts wrap, use differences modulo 2^32. */
	uint32_t hist[WB_HIST_SLOTS];
};

/* A PCI function assigned to a VM; box rule: tools/lib/devices.h. */
struct wb_device;

struct wb_vm {
	/*
	 * Unique in one run of a source and never reused: a serial number, not
	 * an address, for recordings hold it.
	 */
	uint64_t key;
	char *id; /* "PID-FD", NULL where unknown */
	pid_t pid;
	uint64_t start;		 /* of the process: clock ticks since boot; 0: unknown */
	char *name;		 /* valid UTF-8, never NULL */
	bool ended;		 /* set in exactly one snapshot, then the VM is left out */
	enum wb_tri noncoherent; /* of an ended VM the last known */
	enum wb_policy policy;	 /* the same */
	bool vcpus_unknown;	 /* vcpus has one element that stands for all of them */
	size_t nr_vcpus;	 /* only those that executed WBINVD */
	struct wb_vcpu *vcpus;	 /* sorted by id */
	size_t nr_devices;
	struct wb_device *devices;
};

enum wb_victim_kind { WB_VICTIM_VM, WB_VICTIM_TASK, WB_VICTIM_IDLE };

enum wb_culprit_kind { WB_CULPRIT_IS_VM, WB_CULPRIT_IS_SHARED, WB_CULPRIT_IS_OTHER };

/* Stalls of one task or VM by one culprit. */
struct wb_victim {
	enum wb_victim_kind kind;
	pid_t pid;	/* 0: idle */
	uint64_t start; /* as in struct wb_vm */
	char *name;	/* valid UTF-8; "idle" for the idle tasks */
	enum wb_culprit_kind culprit_kind;
	char *culprit;	      /* VM id, NULL where the VM's id is unknown or kind is not VM */
	uint64_t culprit_key; /* wb_vm.key, 0 unless kind is VM */
	uint64_t count;
	uint64_t stall_ns;
	uint64_t max_ns; /* longest so far */
	uint64_t interval_max_ns;
};

struct wb_snapshot {
	uint64_t time_ns;   /* CLOCK_MONOTONIC */
	int64_t wall_ns;    /* CLOCK_REALTIME, ns since the epoch */
	unsigned int known; /* enum wb_known */
	/*
	 * Of a recording: between the reading before and the interval of this one
	 * is so much time that no reading tells of.
	 */
	uint64_t gap_ns;
	/*
	 * Exits that no program saw, or that found no room in the map.  May fall
	 * again, by those that were under way at the reading before.
	 */
	uint64_t lost;
	/*
	 * Of VMs that have ended and been reported, and the stalls of shared
	 * culprit of victims that are no longer listed.
	 */
	struct wb_counters ended;
	size_t nr_vms;
	struct wb_vm *vms; /* sorted by key */
	size_t nr_victims;
	struct wb_victim *victims; /* sorted, each kind, process and culprit once */
	/* What happened in the interval, in order; see tools/lib/dmalog.h. */
	size_t nr_events;
	struct dmalog_event *events;
	uint64_t events_lost; /* so far: they found no room */
	char *events_why;     /* why there are none, or not all; NULL: nothing to say */
};

/* An empty snapshot, to be filled and handed to snapshot_free(); NULL: no memory. */
struct wb_snapshot *snapshot_new(void);
void snapshot_free(struct wb_snapshot *s);

/* Empties a snapshot and frees what its members own; s itself stays usable. */
void snapshot_clear(struct wb_snapshot *s);

/*
 * Appends a zeroed element and returns it (NULL: no memory).  Pointers
 * returned before are invalid afterwards: arrays grow by realloc.
 */
struct wb_vm *snapshot_add_vm(struct wb_snapshot *s);
struct wb_vcpu *snapshot_add_vcpu(struct wb_vm *vm);
struct wb_victim *snapshot_add_victim(struct wb_snapshot *s);
struct dmalog_event *snapshot_add_event(struct wb_snapshot *s);

/*
 * Sorts VMs by key, each VM's vCPUs by id, and victims by who and by whom;
 * victims alike in that are added up.  Nothing may be added afterwards.
 */
void snapshot_sort(struct wb_snapshot *s);

/* By kind, process and culprit; 0: the same entry.  For qsort(). */
int victim_cmp(const void *a, const void *b);

/* The VM of that key in a sorted snapshot, or NULL. */
const struct wb_vm *snapshot_find_vm(const struct wb_snapshot *s, uint64_t key);

/* Sum over a VM's vCPUs. */
struct wb_counters vm_total(const struct wb_vm *vm);

/*
 * Sum over all VMs, ended ones too, and over shared stalls, but not over those
 * by other users of the callback.
 */
struct wb_counters snapshot_sum(const struct wb_snapshot *s);

void counters_add(struct wb_counters *to, const struct wb_counters *c);

/* to -= c, member by member, not below 0. */
void counters_sub(struct wb_counters *to, const struct wb_counters *c);

#endif /* SNAPSHOT_H */

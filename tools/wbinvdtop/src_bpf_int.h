/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the parts of the live source; nobody else includes it. */
#ifndef SRC_BPF_INT_H
#define SRC_BPF_INT_H

#include <sys/utsname.h>
#include <time.h>

#include "bpf_obj.h"
#include "src_log.h"
#include "../lib/source.h"
#include "vm_table.h"

/* Entries per system call; a bucket of the kernel's hash must fit. */
#define BATCH 256

uint64_t clock_ns(clockid_t id);

/* A VM that is gone and that victims still name. */
struct past_vm {
	uint64_t gen;
	char *id; /* NULL where unknown */
	char *name;
	bool named; /* by a victim of this reading */
};

struct bpf_source {
	struct source src;
	struct source_config cfg;
	struct bpf_obj *obj; /* NULL: KVM is not loaded yet */
	struct vm_table *vms;
	struct wb_counters ended;
	struct past_vm *past;
	size_t nr_past;
	size_t nr_victims; /* rows of the last reading */
	struct ring_buffer *ring;
	void (*on_outlier)(void *ctx, const struct source_outlier *o);
	void *outlier_ctx;
	struct utsname uts;
	char *notice;
	char *entries; /* of the table that is being read */
	size_t entries_room;
	uint64_t newest_gen;	 /* of the VMs in vms */
	void *keys, *values;	 /* of one batch */
	uint64_t ends_alone;	 /* of entries that are no longer in the map of vCPUs */
	uint64_t ends_alone_now; /* of those that are, this time */
	uint64_t under_way;	 /* of ends_alone: exits older than the probes */
	bool has_read;
	uint64_t next_list_ns; /* when the files of the host may be listed again */
	bool listed;	       /* they were, this time */
	ino_t module;	       /* identity of the loaded kvm.ko, 0: none */
	bool ftrace_off;       /* and so what was attached does not run */
	struct src_log log;
	bool said_victims, said_stalls, said_unseen;
};

struct reading {
	struct wb_snapshot *s;
	uint32_t epoch;
};

/*
 * Calls fn for each entry of a table, with copies of key and value that are
 * valid during the call.  0 or a negative errno, fn's too.
 */
typedef int (*entry_fn)(struct bpf_source *b, const void *key, const void *value, void *ctx);
int for_each_entry(struct bpf_source *b, const struct bpf_table *t, entry_fn fn, void *ctx);

/* The VM of that generation in a snapshot whose VMs are sorted, or NULL. */
struct wb_vm *snapshot_vm(struct wb_snapshot *s, uint64_t gen);

/* The maximum in ns that max[2] of a map's value holds for an epoch; 0: none. */
uint64_t epoch_max(const __u64 max[2], uint32_t epoch);

/* bpf_read.c: fills a snapshot from the maps. 0 or a negative errno. */
int bpf_read_maps(struct bpf_source *b, struct wb_snapshot *s);

/* bpf_read.c: brings b->vms up to date. 0 or a negative errno. */
int bpf_read_vms(struct bpf_source *b);

/* bpf_victims.c: adds the victims; the snapshot's VMs must be complete. */
int bpf_read_victims(struct bpf_source *b, struct reading *r);

/* Keeps id and name of a VM that has ended for as long as victims name it. */
int bpf_remember_vm(struct bpf_source *b, const struct wb_vm *vm);
void bpf_forget_vms(struct bpf_source *b);

#endif /* SRC_BPF_INT_H */

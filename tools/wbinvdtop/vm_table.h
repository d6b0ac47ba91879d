/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the BPF source remembers of VMs between readings: names and devices,
 * which are gone with the process, and the figures of vCPUs that are gone.
 */
#ifndef VM_TABLE_H
#define VM_TABLE_H

#include "../lib/devices.h"
#include "../lib/snapshot.h"

/* A destroyed vCPU. */
struct kept_vcpu {
	uint64_t serial; /* of its map entry */
	struct wb_vcpu vcpu;
};

/* A living vCPU, that this reading has met. */
struct seen_vcpu {
	uint64_t serial;
	uint64_t ends_alone; /* as in its map entry */
};

struct vm_state {
	uint64_t gen; /* wb_vm.key */
	struct wb_vm_val val;
	uint64_t start;		 /* of the process, in clock ticks; 0: unknown */
	enum wb_tri noncoherent; /* last known */
	enum wb_policy policy;	 /* the same */
	bool listed;		 /* the iterator saw it this time */
	unsigned int unlisted;	 /* lists in a row that it was missing from */
	bool has_entries;	 /* the map of vCPUs held some of it this time */
	char *name;
	struct wb_device *devices;
	size_t nr_devices;
	uint64_t devices_ns;		 /* CLOCK_MONOTONIC of the last look, 0: never */
	enum wb_tri devices_noncoherent; /* noncoherent at that time */
	struct kept_vcpu *kept;
	size_t nr_kept;
	struct seen_vcpu *seen; /* this time, as in the snapshot's vcpus */
	size_t nr_seen;
	size_t room;
};

struct vm_table;

/* The policy of struct wb_vm_rec or wb_vm_val. */
enum wb_policy vm_policy_of(uint32_t bits);

/* procfs: /proc, but in tests. NULL: no memory. */
struct vm_table *vm_table_new(const char *procfs);
void vm_table_free(struct vm_table *t);

/* The VM of that generation, NULL: not known. */
struct vm_state *vm_table_find(struct vm_table *t, uint64_t gen);

/*
 * Adds a VM, or takes over val's news of a known one.  Pointers from before are
 * invalid afterwards.  NULL: no memory.
 */
struct vm_state *vm_table_add(struct vm_table *t, uint64_t gen, const struct wb_vm_val *val);
void vm_table_remove(struct vm_table *t, uint64_t gen);

/* All VMs, sorted by generation. */
struct vm_state *vm_table_all(struct vm_table *t, size_t *n);

/* The devices of all VMs may have changed: the next reading looks at them again. */
void vm_table_look_again(struct vm_table *t);

/* Forgets what concerns one reading alone. */
void vm_table_begin(struct vm_table *t);

/* 0 or -ENOMEM. */
int vm_state_keep(struct vm_state *s, uint64_t serial, const struct wb_vcpu *v);
int vm_state_add_seen(struct vm_state *s, uint64_t serial, uint64_t ends_alone);

/*
 * Looks up name and devices as far as they may have changed, and copies them
 * to vm.  now is CLOCK_MONOTONIC in ns.  0 or -ENOMEM.
 */
int vm_table_identify(struct vm_table *t, struct vm_state *s, struct wb_vm *vm, uint64_t now);

/*
 * The VM's name between two readings, as the next one will have it unless the
 * process gets another meanwhile.  Valid until the next call of vm_table_begin().
 */
const char *vm_table_vm_name(struct vm_table *t, struct vm_state *s);

/* Name of a VM's process, valid until the next call of vm_table_begin(). */
const char *vm_table_name(struct vm_table *t, pid_t pid, uint64_t start, const char *comm);

/* What any process is called, malloc()ed: by its command, never by its arguments.  NULL: no memory. */
char *vm_table_command(const struct vm_table *t, pid_t pid, const char *comm);

/*
 * Whether the process that started then is gone, start as by vm_table_ticks();
 * false also where /proc numbers processes differently and so cannot tell.
 */
bool vm_table_process_gone(const struct vm_table *t, pid_t pid, uint64_t start);

/* CLOCK_BOOTTIME ns of the initial namespace to /proc's clock ticks. */
uint64_t vm_table_ticks(const struct vm_table *t, uint64_t start_ns);

#endif /* VM_TABLE_H */

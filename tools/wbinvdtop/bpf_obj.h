/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The BPF object: which programs are loaded and where they are attached.  The
 * only interface to the skeleton; readings go through the file descriptors.
 */
#ifndef BPF_OBJ_H
#define BPF_OBJ_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/source.h"

/* A hash map that is read as a whole. */
struct bpf_table {
	int map;
	int iter; /* link of the iterator that writes its entries, key and value */
	size_t key_size;
	size_t value_size;
};

struct bpf_obj {
	const char *rung;	/* "fentry", "kprobe", "exit", "insn" */
	const char *time_scope; /* as in struct source */
	unsigned int known;	/* enum wb_known */
	bool destroy_probed;	/* the kernel side tells when a VM is gone */
	bool needs_ftrace;	/* some program is attached to a function */
	char *notice;		/* why a better rung is not used; NULL */

	struct bpf_table vcpus, retired, vms, victims;
	int iter;     /* link of the task_file iterator */
	int outliers; /* ring buffer map */

	struct wbinvd_bpf *skel;
	struct kprobe_set *kprobes;
	uint64_t early_begins, early_callbacks; /* before the probes had programs */
	struct bpf_link **links;
	unsigned int nr_links;
};

/*
 * Says in one sentence what keeps every rung from working, as far as that can
 * be told without loading anything.  0, -EINVAL: no such rung, -EPERM,
 * -EOPNOTSUPP.
 */
int bpf_obj_check(const struct source_config *cfg);

/*
 * Loads and attaches the best rung, or the one that cfg forces.  0, or after
 * one sentence on stderr -EPERM, -EOPNOTSUPP, -ENOMEM ...; -ENODEV without one,
 * which is *waits_for: a module is not loaded.
 */
int bpf_obj_open(struct bpf_obj **out, const struct source_config *cfg, const char **waits_for);
void bpf_obj_close(struct bpf_obj *o);

/*
 * Function tracing is switched off: programs on functions, and probes, can
 * still be attached then, without a complaint, but never run.
 */
bool bpf_obj_ftrace_off(void);

/*
 * Which of KVM's modules below modules, /sys/module but in tests, has to be waited for, as
 * a sentence, vendor: including the one of the processor's vendor; NULL: none.
 */
const char *bpf_obj_waits_for(const char *modules, bool vendor);

/* Starts the next interval for maxima; returns the number of the one before. */
uint32_t bpf_obj_next_epoch(struct bpf_obj *o);

/* Runs of begin programs, or of the tracepoint's one, that the kernel skipped, since they were attached. */
uint64_t bpf_obj_skipped_begins(struct bpf_obj *o);

/* Flush callbacks that kprobes' programs were skipped for; trampolines' are for none. */
uint64_t bpf_obj_skipped_callbacks(struct bpf_obj *o);

/*
 * Runs of the insn source's program that the kernel skipped: instructions of any
 * kind, so no more than a bound of the WBINVDs among them; 0 also before Linux
 * 6.7, which does not tell.
 */
uint64_t bpf_obj_unseen(struct bpf_obj *o);

/* The vCPUs that are in no table, WB_PLACES of them, as the kernel side writes them. */
union wb_place;
const volatile union wb_place *bpf_obj_places(const struct bpf_obj *o);

/* What has happened to the tables so far. */
struct wb_changes;
struct wb_changes bpf_obj_changes(const struct bpf_obj *o);

/* Deletes from the tables, as enum wb_forgettable says. */
struct wb_forget;
void bpf_obj_forget(struct bpf_obj *o, const struct wb_forget *what);

/*
 * What living vCPUs have executed and no program was run for, one for each of
 * bpf_obj_places(), as found just now; NULL: nothing was missed, or this source
 * cannot find out.
 */
struct wb_missed;
const struct wb_missed *bpf_obj_missed(struct bpf_obj *o);

struct wb_losses;
struct wb_losses bpf_obj_losses(const struct bpf_obj *o);

#endif /* BPF_OBJ_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where readings come from.  main() chooses one source, the loop asks it for
 * a snapshot per interval; nothing above knows BPF or files.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "snapshot.h"

/* Name and version of the JSON frames, and so of a recording, in each of them. */
#define WB_SCHEMA "wbinvdtop/1"

struct source_config {
	const char *wanted;	  /* rung forced by --source, NULL: by trying */
	const char *replay;	  /* recording to read, NULL: live */
	unsigned int map_entries; /* room for that many vCPUs and as many victims */
	uint64_t threshold_ns;	  /* report single flushes longer than this; 0: off */
	bool verbose;
};

/* One flush that took longer than --threshold. */
struct source_outlier {
	uint64_t time_ns; /* CLOCK_MONOTONIC, end of the flush */
	uint64_t vm_key;
	pid_t pid;
	char id[WB_ID_LEN]; /* "" where unknown */
	const char *name;   /* as in the table of VMs; NULL where unknown */
	uint32_t vcpu_id;
	uint64_t ns;
	uint32_t cpus; /* 0: unknown */
};

struct source;

struct source_ops {
	const char *kind; /* "bpf", "replay" */
	/*
	 * Fills an empty snapshot.  0, -ENODATA at the end of a recording, or a
	 * negative errno after a sentence on stderr.
	 */
	int (*read)(struct source *src, struct wb_snapshot *s);
	/*
	 * File descriptor that polls readable when poll_events() has work, -1:
	 * none yet.  Both are NULL where there never is any.
	 */
	int (*poll_fd)(struct source *src);
	/* Hands over outliers that have come since, each valid during the call; cb may be NULL. */
	int (*poll_events)(struct source *src,
			   void (*cb)(void *ctx, const struct source_outlier *o), void *ctx);
	void (*close)(struct source *src);
};

struct source {
	const struct source_ops *ops;
	const char
		*name; /* rung: "fentry", "kprobe", "exit", "insn"; of a replay the recorded one */
	const char *time_scope; /* what emulation_ns covers: "function", "exit"; NULL: not timed */
	const char *kernel;	/* uname -r of the readings */
	const char *notice;	/* one sentence for the header, e.g. why a rung was refused; NULL */
	uint64_t outliers_dropped; /* outliers that found no room in the ring */
};

/*
 * Opens the recording cfg->replay.  0 or a negative errno after one sentence
 * on stderr: -EACCES it may not be read, -EINVAL/-EBADMSG it cannot be.
 */
int source_open_replay(struct source **out, const struct source_config *cfg);

static inline void source_close(struct source *src)
{
	if (src)
		src->ops->close(src);
}

#endif /* SOURCE_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel tells of DMA coherency as it happens: attachments, page
 * tables, boxes, Enable No Snoop, the policies of VMs, and how much was mapped
 * and flushed.  From tracepoints that only a kernel with the series has; their
 * modules may be loaded later.
 */
#ifndef DMALOG_H
#define DMALOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../bpf/dmalog_abi.h"
#include "jread.h"

struct dmalog;

/* Bits of dmalog_attached(): whose tracepoints are attached. */
enum dmalog_module {
	DMALOG_IOMMUFD = 1u << 0,  /* attachments, page tables, maps, flushes */
	DMALOG_VFIO = 1u << 1,	   /* boxes */
	DMALOG_VFIO_PCI = 1u << 2, /* Enable No Snoop */
	DMALOG_KVM_MOD = 1u << 3,  /* effects and policy of VMs */
	DMALOG_MODULES = 4	   /* their number */
};

/* Whether the kernel has that tracepoint, its module loaded; false also without privilege. */
bool dmalog_has_tracepoint(const char *name);

/*
 * Loads the programs and attaches those whose tracepoints are there.  0, also
 * where none is: dmalog_attached() and dmalog_why() tell.  -EPERM: no
 * privilege; -EOPNOTSUPP: the kernel refuses the programs; -ENOMEM.  Nothing
 * is written to stderr but with --verbose.
 */
int dmalog_open(struct dmalog **out);
void dmalog_close(struct dmalog *d);

/* enum dmalog_module; of a module that is not among them nothing is known: that is not 0 events. */
unsigned int dmalog_attached(const struct dmalog *d);

/*
 * Why nothing, or not everything, is heard: "this kernel has no such
 * tracepoints", or which modules are not loaded.  NULL: everything is.  Valid
 * until the next dmalog_read().
 */
const char *dmalog_why(const struct dmalog *d);

/* Readable when dmalog_poll() has something; -1: nothing is attached yet. */
int dmalog_fd(const struct dmalog *d);

/* e is valid during the call.  Returns 0, or a negative errno that ends the reading. */
typedef int (*dmalog_cb)(void *ctx, const struct dmalog_event *e);

/* Hands over the events that have come since, in the order in which they came.  0 or a negative errno. */
int dmalog_poll(struct dmalog *d, dmalog_cb cb, void *ctx);

/*
 * The end of an interval: attaches what has become available, hands over the
 * events like dmalog_poll(), and then for each IOAS into which something was
 * mapped since the last reading one DMALOG_MAP, with the sums of the interval
 * and time_ns as given, or that of the newest event where that is later.  0 or
 * a negative errno.
 */
int dmalog_read(struct dmalog *d, uint64_t time_ns, dmalog_cb cb, void *ctx);

/* Since dmalog_open(): what found no room and was therefore not handed over. */
struct dmalog_losses dmalog_losses(const struct dmalog *d);

/*
 * Since dmalog_open(): flushes of the CPU caches by enum dmalog_reason; the
 * last is of reasons that are not known here.
 */
void dmalog_flushes(const struct dmalog *d, struct dmalog_flush f[DMALOG_REASONS + 1]);

/* Flushes before memory was unpinned, by the process in whose context they were. */
struct dmalog_unpin {
	uint32_t pid;
	struct dmalog_flush f;
};

/* Those of the interval that the last dmalog_read() ended; valid until the next one. */
const struct dmalog_unpin *dmalog_unpins(const struct dmalog *d, size_t *n);

/* "attach", "box", "map", ... as in JSON; "?" for a kind that there is not. */
const char *dmalog_kind_name(unsigned int kind);

/*
 * What happened, in words and without time, process and device: "box 1 -> 3".
 * Writes at most size bytes including the NUL, never a control character.
 */
void dmalog_text(const struct dmalog_event *e, char *buf, size_t size);

/* How many bytes in words: "512 MiB"; not a whole number of a unit: "1.5 GiB". */
void dmalog_bytes(uint64_t bytes, char *buf, size_t size);

/*
 * The event as an object whose members are those of struct dmalog_event that
 * its kind has; device is null where there is none.  NULL: no memory.
 */
json_t *dmalog_to_json(const struct dmalog_event *e);

/* The other way: 0, -EBADMSG or -ENOMEM as in jread.h; members it does not know are left out. */
int dmalog_from_json(struct jread *j, const json_t *obj, struct dmalog_event *e);

#endif /* DMALOG_H */

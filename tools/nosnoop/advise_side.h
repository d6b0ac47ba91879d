/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between advise_join.c, which keeps what is known of a side and decides whether
 * its recordings belong together, and advise_read.c and advise_top.c, which read them into it.
 */
#ifndef ADVISE_SIDE_H
#define ADVISE_SIDE_H

#include "../../bpf/dmalog_abi.h"
#include "advise.h"

/* --- advise_join.c --------------------------------------------------------- */

/* The array with a zeroed element more, counted in *n; NULL: no memory, and it is as it was. */
void *side_grow(void *array, size_t *n, size_t size);

/* The device or VM, added where it is new; NULL: no memory.  name: NULL for the id. */
struct adv_dev *side_dev(struct adv_side *s, const char *bdf);
struct adv_vm *side_vm(struct adv_side *s, const char *id, uint64_t start, const char *name);

/* The text becomes a copy of from, unless that is NULL.  0 or -ENOMEM, as the next two. */
int side_text(char **to, const char *from);

/* What two recordings tell differently is noted, and refused in the end. */
int side_kernel(struct adv_side *s, const char *kernel);
int side_dev_name(struct adv_dev *d, const char *name);

/* A set bit was seen: no proof makes that undone. */
void side_dev_can(struct adv_dev *d, bool can);

/* The text of a proof; of several, the same one in whatever order they come. */
int side_dev_proof(struct adv_dev *d, const char *proof);

/* Whether the IOMMU can block; a contradiction is noted, and refused in the end. */
void side_dev_blocks(struct adv_dev *d, bool can);

/* What a device is to the rule; what one recording knows against it holds.  kind: NULL for unknown. */
void side_dev_kind(struct adv_dev *d, const char *kind);

/* When a line was written, for side_dev_owner() and side_dev_box(); a list sees one moment. */
struct adv_when side_when(const struct adv_side *s, int64_t wall_ns, bool recording);
int side_dev_owner(struct adv_dev *d, struct adv_when when, const char *id, uint64_t start);
void side_dev_box(struct adv_dev *d, struct adv_when when, int box);

void side_vm_noncoherent(struct adv_vm *vm, int64_t wall_ns, bool noncoherent);

/*
 * A line of a recording, by both clocks; they begin anew behind a gap.  Then,
 * whether they went on alike: -EINVAL after a sentence.
 */
void clock_goes_on(struct adv_clock *c, bool anew, int64_t wall_ns, uint64_t time_ns);
int clock_check(const struct adv_clock *c, const char *path);

/* A recording of wbinvdtop ends: of each VM, one recording is taken, as the counters of two do not add up. */
void side_end_times(struct adv_side *s, bool lost);

/*
 * A line of a recording of either kind, and a VM that it shows.  anew: nobody
 * watched before it; time_ns: 0 where it is not told.
 */
void side_line(struct adv_side *s, bool anew, int64_t wall_ns, uint64_t time_ns);
void side_vm_seen(struct adv_side *s, struct adv_vm *vm, int64_t wall_ns);

/* A recording begins, and ends: what is counted since its start is its own.  As clock_check(). */
void side_begin(struct adv_side *s, const struct adv_file *file);
int side_end(struct adv_side *s, struct adv_file *file);

/*
 * A line of watch, which stands for the interval before it.  What lies between
 * that and the line before was watched by nobody.  Returns for how much of the
 * time in common the line stands.
 */
uint64_t side_watched(struct adv_side *s, int64_t wall_ns, uint64_t time_ns, uint64_t interval_ns);

/* --- advise_stay.c --------------------------------------------------------- */

/*
 * A reading, at any time: the VM (NULL: none is told) that it shows the
 * device in, and its box.  When all of the reading is told, those that it should
 * show and does not were in no VM.  0 or -ENOMEM.
 */
int side_dev_stay(const struct adv_side *s, struct adv_dev *d, int64_t wall_ns, const char *id,
		  uint64_t start, int box);
int side_stays_read(struct adv_side *s, int64_t wall_ns);

/* A recording of either kind ends.  Of its stays those are kept that have something of the time in common. */
void side_stays_end(struct adv_side *s);

/* --- advise_event.c -------------------------------------------------------- */

/*
 * Keeps an event, if it is one that matters; wall_ns, time_ns: of the line that
 * has it, by both clocks.  0 or -ENOMEM.
 */
int side_event(struct adv_side *s, const struct dmalog_event *e, int64_t wall_ns, uint64_t time_ns);

/* Whether a recording of nosnoop watch that was read has that moment, and no gap. */
bool side_was_watched(const struct adv_side *s, int64_t wall_ns);

/* A reading that is no line of watch found the bit set. */
void side_dev_found_set(const struct adv_side *s, struct adv_dev *d, int64_t wall_ns);

/* When all recordings are read: what events say of devices that any of them has.  0 or -ENOMEM. */
int side_events_apply(struct adv_side *s);

/* --- advise_top.c ---------------------------------------------------------- */

/* What a recording of wbinvdtop tells.  0 or a negative errno after a sentence. */
int top_read(struct adv_side *s, const char *path);

/* --- advise_read.c --------------------------------------------------------- */

/* Kind, first and last time and number of lines.  0 or a negative errno after a sentence. */
int recording_peek(struct adv_file *file);

/* What the recording tells of the side's time in common.  As above. */
int recording_read(struct adv_side *s, struct adv_file *file);

#endif /* ADVISE_SIDE_H */

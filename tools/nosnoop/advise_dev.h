/* SPDX-License-Identifier: GPL-2.0 */
/* What follows for one device from all lines that tell of it, in both sides. */
#ifndef ADVISE_DEV_H
#define ADVISE_DEV_H

#include "advise.h"

/*
 * What both sides together tell of a device of either: what is known against it
 * in one counts.  What changes with the policy (VM, box, stays) is the baseline's,
 * where that has it.
 */
const struct adv_dev *advice_joined(const struct advice_list *l, const struct adv_dev *of);

/* For all devices of both sides, before that.  0 or -ENOMEM. */
int advice_join(struct advice_list *l);

/* The next device, from the *at-th on, that only the candidate has, and so has no verdict; NULL: no more. */
const struct adv_dev *advice_candidate_only(const struct advice_list *l, size_t *at);

/* Whether it can make no-snoop accesses, of a joined device. */
enum tri advice_ability(const struct adv_dev *d);

/* Whether a device of a side was ever in this VM of it. */
bool advice_was_in(const struct adv_dev *d, const struct adv_vm *vm);

/* Whether it was in the VM all the time from and to, as far as that was alive. */
bool advice_stayed(const struct adv_dev *d, const struct adv_vm *vm, int64_t from_ns,
		   int64_t to_ns);

/*
 * Whether no-snoop accesses of a device of the VM were blocked on their way all the time: by
 * what it was attached to, else by what its IOMMU can.
 */
enum tri advice_blocked(const struct advice_list *l, const struct adv_dev *d,
			const struct adv_vm *vm);

/*
 * Whether the VM is non-coherent for the sake of devices alone that are proven unable, in either side; cost: the
 * one of the two whose cost counts.
 */
enum tri advice_only_unable(const struct advice_list *l, const struct adv_vm *base,
			    const struct adv_vm *cand, const struct adv_vm *cost);

/* Why the VM's cost in that time is not what the device costs in box 3; NULL: it is. */
const char *advice_not_box3(const struct advice_list *l, const struct adv_dev *d,
			    const struct adv_vm *vm, int64_t from_ns, int64_t to_ns);

/* d: the candidate's, or NULL.  *why: why it is unknown. */
enum tri advice_block_held(const struct advice_list *l, const struct adv_dev *d, const char **why);

/* Whether two texts are known to be the same: NULL may be another. */
bool advice_same(const char *a, const char *b);

#endif /* ADVISE_DEV_H */

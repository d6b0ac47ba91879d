/* SPDX-License-Identifier: GPL-2.0 */
/* Why inputs are unknown or assumed, as far as what would make them measured follows from it: advise_raise.c. */
#ifndef ADVISE_WHY_H
#define ADVISE_WHY_H

#include "rule.h"

#define WHY_UNGOVERNED \
	"a proof was recorded, but the bit need not govern the accesses of such a device"
#define WHY_UNPROVABLE \
	"nothing recorded shows that it can, and that such a device cannot has no proof"
#define WHY_KIND_PROOF \
	"a proof was recorded, but not whether the bit governs the accesses of such a device"
#define WHY_KIND_UNREAD "nosnoop could not read it"
#define WHY_IOMMU_DIFFERS \
	"the recordings contradict each other: the IOMMU cannot block, and the kernel reports that it does"

#define WHY_COHERENT \
	"its VM was coherent in all or part of the recording: what box 3 costs was not measured"
#define WHY_BLOCKED \
	"the device was blocked in all or part of the recording: what box 3 costs was not measured"
#define WHY_AWAY \
	"the device was not, or not known to be, in its VM all through the recording: what box 3 costs was not measured"
#define WHY_BOX_UNTOLD \
	"whether the device was in box 3 was not recorded, and another one of its VM may be what made that non-coherent"
#define WHY_SHORT "its VM was there for less than --min-overlap"
#define WHY_SHORT_STATE \
	"its VM was there, and known to be non-coherent or not, for less than --min-overlap"
#define WHY_STATE      "whether its VM was non-coherent was not recorded"
#define WHY_STATE_PART "whether its VM was non-coherent was not recorded all through"
#define WHY_SKIPPED \
	"WBINVDs of its VM were skipped in all or part of the recording, by a policy or as it was coherent between two readings: what box 3 costs was not measured"
#define WHY_POLICY \
	"whether a policy had the VM's WBINVDs skipped was not recorded: give a recording of wbinvdtop --source fentry"
#define WHY_MAPS_LOST "some of what the kernel told of flushes was lost, or may have been"
#define WHY_CPUS      "the recordings, the number of CPUs assumed"
#define WHY_BY_NAME   "the recordings of the candidate, its VM found by name and device"
#define WHY_KERNEL    "the candidate's recording, which is not known to be of the baseline's kernel"

#define WHY_AB_UNTOLD \
	"the file of policy-ab, which does not tell its kernel, or what kind of machine"
#define WHY_AB_KERNEL \
	"the file of policy-ab, not known to be measured under the kernel and on the host of the baseline"
#define WHY_AB_EMULATED \
	"the file of policy-ab, measured on an emulated machine, whose times are not those of one"

#define WHY_HELD_KERNEL	  "the candidate is not known to be of the baseline's kernel"
#define WHY_HELD_NO_BLOCK "the candidate's recordings do not tell of VFIO's block"
#define WHY_HELD_DISTRUSTED \
	"VFIO blocked the bit, and the kernel reports the device as able all the same"
#define WHY_HELD_GAP \
	"in a part of the candidate nobody watched: lines are missing, or a file is several recordings"
#define WHY_HELD_UNHEARD \
	"the candidate does not tell all that changed the bit: what the kernel tells was not heard, or events were lost"
#define WHY_HELD_UNTOLD "VFIO acted on the bit in the candidate, and the recordings do not tell how"
#define WHY_HELD_ASLEEP "the device was asleep in a part of the candidate: its bit was not read"
#define WHY_HELD_UNREAD "the bit could not be read in a part of the candidate"

#define WHY_NO_SOCKET "the recording has no counts of the device's socket"

/* What would make an input measured; NULL: nothing that is known. */
const char *advice_raise(enum rule_input i, const struct rule_value *v);

#endif /* ADVISE_WHY_H */

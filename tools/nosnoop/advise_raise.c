// SPDX-License-Identifier: GPL-2.0
/* What would raise the confidence, by why it is not high. */
#include "advise_why.h"

#include <string.h>

#define IN_BOX_3                                                                              \
	"a --candidate recorded with the device in box 3 (IOMMU_IOAS_ALLOC_NONCOHERENT) all " \
	"through: wbinvdtop --record and nosnoop watch --record at the same time"
#define ONE_KERNEL "recordings of both sides under one kernel, which they tell"
#define READ_AWAKE \
	"nosnoop list --json as root while the device is awake, given as another --baseline"
#define HEAR_ALL                                                                                 \
	"nosnoop watch --record of the candidate as root, on a kernel that tells of VFIO's and " \
	"iommufd's operations, none of them lost"

#define TELL_STATIC "nosnoop list --json or nosnoop watch --record, given as another --baseline"
#define LONGER	    "recordings for --min-overlap or longer of the time that the VM is there"
#define BY_FENTRY   "wbinvdtop --source fentry --record, all through"

static const struct {
	const char *why, *raise; /* raise: NULL for nothing */
} by_reason[] = {
	{ WHY_UNGOVERNED, NULL },
	{ WHY_UNPROVABLE, NULL },
	{ WHY_KIND_PROOF, READ_AWAKE },
	{ WHY_KIND_UNREAD, READ_AWAKE },
	{ WHY_IOMMU_DIFFERS, NULL },
	{ WHY_COHERENT, IN_BOX_3 },
	{ WHY_BLOCKED, IN_BOX_3 },
	{ WHY_AWAY, IN_BOX_3 },
	{ WHY_BOX_UNTOLD,
	  "recordings on a kernel that reports what the device is attached to, or without the VM's other devices" },
	{ WHY_SHORT, LONGER },
	{ WHY_SHORT_STATE, LONGER },
	{ WHY_STATE, BY_FENTRY },
	{ WHY_STATE_PART, BY_FENTRY },
	{ WHY_SKIPPED, IN_BOX_3 },
	{ WHY_POLICY, BY_FENTRY },
	{ WHY_MAPS_LOST, "nosnoop watch --record that loses nothing of what the kernel tells" },
	{ WHY_CPUS, "nosnoop watch --record at the same time, which tells the number of CPUs" },
	{ WHY_BY_NAME, NULL },
	{ WHY_KERNEL, ONE_KERNEL },
	{ WHY_AB_UNTOLD, "the file as scripts/bench/policy-ab wrote it, with its host" },
	{ WHY_AB_KERNEL,
	  "scripts/bench/policy-ab --device BDF on the host and under the kernel of the recordings, which they tell" },
	{ WHY_AB_EMULATED,
	  "scripts/bench/policy-ab --device BDF on a machine that is not emulated" },
	{ WHY_HELD_KERNEL, ONE_KERNEL },
	{ WHY_HELD_DISTRUSTED, NULL },
	{ WHY_HELD_GAP, "nosnoop watch --record of the candidate in one piece" },
	{ WHY_HELD_UNHEARD, HEAR_ALL },
	{ WHY_HELD_UNTOLD, HEAR_ALL },
	{ WHY_HELD_ASLEEP,
	  "nosnoop watch --record of a candidate whose device is awake all through" },
	{ WHY_HELD_UNREAD,
	  "nosnoop watch --record of the candidate as root, the device being there all through" },
	{ WHY_NO_SOCKET,
	  "nosnoop watch --record on a kernel that has the counters of the device's socket" },
};

/* Where nothing better follows from the reason. */
static const char *const by_input[RULE_NR_INPUTS] = {
	[RULE_ability] =
		"nosnoop list --probe -D BDF --json while the device is idle, given as another --baseline",
	[RULE_kind] = TELL_STATIC,
	[RULE_iommu] = "a kernel that has the IOMMU in use and shows it (/sys/class/iommu)",
	[RULE_only_unable] = "wbinvdtop --record, and a probe of each device of the VM",
	[RULE_gain_lo] = "scripts/bench/policy-ab --device BDF with two blocks A B B A or more",
	[RULE_f] =
		"wbinvdtop --record on this host with a source that times, and nosnoop watch --record at the same time, which tells the number of CPUs",
	[RULE_t] =
		"wbinvdtop --record with a source that sees stalls, and nosnoop watch --record at the same time",
	[RULE_m] = "a kernel that reports flushes at map, and nosnoop watch --record on it",
	[RULE_alone] = TELL_STATIC,
	[RULE_block_held] =
		"nosnoop watch --record of a candidate with no-snoop blocked through VFIO",
	[RULE_backdoor] = TELL_STATIC,
	[RULE_bit_seen_set] =
		"a recording during which the device's bit can be read (awake, as root)",
	[RULE_coverage] = "nosnoop watch --record",
	[RULE_h] = "nosnoop watch --record on a host whose CPU counts no-snoop requests",
};

const char *advice_raise(enum rule_input i, const struct rule_value *v)
{
	for (size_t k = 0; v->source && k < sizeof(by_reason) / sizeof(by_reason[0]); k++)
		if (!strcmp(by_reason[k].why, v->source))
			return by_reason[k].raise;
	return by_input[i];
}

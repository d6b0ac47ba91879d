// SPDX-License-Identifier: GPL-2.0
#include "fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "iommupolicy.h"
#include "quirks.h"
#include "../lib/vfioinfo.h"

#define NSEC_PER_SEC 1000000000LL

uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

struct moment moment_now(void)
{
	struct moment m = { .time_ns = monotonic_ns() };

	clock_gettime(CLOCK_REALTIME, &m.wall);
	return m;
}

static void set_u64(struct out_value *v, uint64_t u)
{
	v->type = OUT_U64;
	v->u = u;
}

static void set_str(struct out_value *v, const char *s)
{
	if (!s || !*s)
		return;
	v->type = OUT_STR;
	v->s = s;
}

static void set_bool(struct out_value *v, bool b)
{
	v->type = OUT_BOOL;
	v->b = b;
}

#define GETTER(name, body)                                   \
	static void name(const void *p, struct out_value *v) \
	{                                                    \
		const struct func_row *r = p;                \
		body;                                        \
	}

static const char *no_snoop_name(enum dev_no_snoop n)
{
	static const char *const names[] = {
		[DEV_NO_SNOOP_ENABLED] = "enabled",
		[DEV_NO_SNOOP_DISABLED] = "disabled",
		[DEV_NO_SNOOP_HARDWIRED0] = "hardwired0",
	};

	return names[n];
}

/* Where the VFIO drivers have it, a domain is made by somebody else than the kernel's DMA API. */
static bool has_domain(const struct func_row *r)
{
	return r->d.group >= 0;
}

static const char *domain_why(const struct func_row *r)
{
	if (!has_domain(r))
		return "the function is in no IOMMU group";
	if (r->d.snoop_control == 0 || r->kernel_box > 0)
		return NULL;
	if (r->kernel_box == 0)
		return "it is attached to nothing";
	return "this kernel does not tell whether the domain enforces coherency";
}

static const char *policy_why(const struct func_row *r)
{
	return r->policy >= 0 ? NULL :
	       has_domain(r)  ? r->policy_why :
				"the function is in no IOMMU group";
}

static void get_enforced(const void *p, struct out_value *v)
{
	const struct func_row *r = p;

	if (r->kernel_box > 0)
		set_bool(v, r->kernel_box <= 2);
	else if (has_domain(r) && r->d.snoop_control == 0)
		/* An IOMMU that cannot block leaves no other answer. */
		set_bool(v, false);
}

GETTER(get_bdf, set_str(v, r->d.bdf))
GETTER(get_name, set_str(v, r->d.name))
/* Of a nameless one at least one number could not be read, and is 0. */
GETTER(get_vendor, if (r->f.vendor || !r->f.nameless) set_u64(v, r->f.vendor))
GETTER(get_device, if (r->f.device || !r->f.nameless) set_u64(v, r->f.device))
GETTER(get_class, if (r->f.class != UINT32_MAX) set_u64(v, r->f.class))
GETTER(get_kind, set_str(v, func_kind(r)))
GETTER(get_physfn, set_str(v, r->f.physfn))
GETTER(get_num_vfs, if (r->f.num_vfs >= 0) set_u64(v, r->f.num_vfs))
GETTER(get_node, if (r->f.numa_node >= 0) set_u64(v, r->f.numa_node))
GETTER(get_suspended, set_bool(v, r->f.suspended))
GETTER(get_group, if (r->d.group >= 0) set_u64(v, r->d.group))
GETTER(get_group_size, if (r->f.group_size >= 0) set_u64(v, r->f.group_size))
GETTER(get_iommu, set_str(v, r->f.iommu))
GETTER(get_block, if (r->d.snoop_control >= 0) set_bool(v, r->d.snoop_control))
GETTER(get_block_why, set_str(v, r->why_iommu))
GETTER(get_no_snoop, set_str(v, no_snoop_name(r->d.no_snoop)))
GETTER(get_no_snoop_why, set_str(v, r->why_no_snoop))
GETTER(get_ability, set_str(v, ability_name(r->ability)))
GETTER(get_ability_why, set_str(v, r->ability_why))
GETTER(get_proof_by, set_str(v, r->proof_by))
GETTER(get_proof_time, set_str(v, r->proof_time))
GETTER(get_blocked, if (r->vfio_known) set_bool(v, r->vfio_flags &VFIOINFO_BLOCKED))
GETTER(get_blocked_why, if (!r->vfio_known) set_str(v, r->vfio_why))
GETTER(get_kind_why, set_str(v, r->why_kind ? r->why_kind : r->why_names))
GETTER(get_listed, if (r->listed || (!r->why_kind && !r->why_names)) set_bool(v, r->listed))
GETTER(get_backdoor, if (r->backdoor || !r->why_names) set_bool(v, r->backdoor))
GETTER(get_driver, set_str(v, r->f.driver))
GETTER(get_vm_id, set_str(v, r->owner.id))
GETTER(get_vm_pid, if (r->owner.pid) set_u64(v, r->owner.pid))
GETTER(get_vm_start, if (r->owner.pid && r->owner.start) set_u64(v, r->owner.start))
GETTER(get_vm_name, set_str(v, r->owner.name))
GETTER(get_domain_type, set_str(v, r->f.domain))
GETTER(get_domain_why, set_str(v, domain_why(r)))
GETTER(get_policy, set_str(v, iommu_policy_name(r->policy)))
GETTER(get_attached_box, if (r->kernel_box > 0) set_u64(v, r->kernel_box))
GETTER(get_policy_why, set_str(v, policy_why(r)))
GETTER(get_box, if (r->d.box) set_u64(v, r->d.box))
GETTER(get_box_why, set_str(v, r->d.box_reason))
GETTER(get_port, set_str(v, r->f.root_port))
GETTER(get_honours, if (r->f.writes) set_bool(v, r->f.writes == DEV_HONOUR_HONOURED))
GETTER(get_honours_why, set_str(v, r->f.writes_why))

static void get_candidates(const void *p, struct out_value *v)
{
	v->type = OUT_SET;
	v->u = ((const struct func_row *)p)->d.box_candidates;
}

/* The kinds of its quirks, for the table. */
static void get_quirks(const void *p, struct out_value *v)
{
	static __thread char buf[128];
	const struct func_row *r = p;
	size_t used = 0;

	for (enum quirk_kind k = QUIRK_IGNORES; k <= QUIRK_ABOVE; k++)
		if (quirk_has(&r->f, k) && used < sizeof(buf))
			used += snprintf(buf + used, sizeof(buf) - used, "%s%s", used ? "," : "",
					 quirk_kind_name(k));
	if (used)
		set_str(v, buf);
}

const struct out_field func_fields[] = {
	{ "bdf", "address", "PCI address", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT, 12, get_bdf },
	{ "name", "name", "vendor and device by pci.ids", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT, 34,
	  get_name },
	{ "vendor", "vendor", "vendor's number", OUT_PLAIN, 0, 6, get_vendor },
	{ "device", "device", "device's number", OUT_PLAIN, 0, 6, get_device },
	{ "class", "class", "class, subclass and interface, 24 bits", OUT_PLAIN, 0, 8, get_class },
	{ "kind", "kind", "endpoint, pf, vf, integrated, display or bridge", OUT_PLAIN,
	  OUT_IN_TABLE | OUT_LEFT, 10, get_kind },
	{ "kind_why", "kind: why not known", "why kind, listed or backdoor is not known", OUT_PLAIN,
	  OUT_LEFT, 40, get_kind_why },
	{ "physfn", "physfn", "physical function of a VF", OUT_PLAIN, OUT_LEFT, 12, get_physfn },
	{ "num_vfs", "VFs", "VFs that are enabled", OUT_PLAIN, 0, 4, get_num_vfs },
	{ "node", "node", "NUMA node", OUT_PLAIN, 0, 4, get_node },
	{ "suspended", "asleep", "runtime-suspended, so that its config space was not read",
	  OUT_PLAIN, 0, 6, get_suspended },
	{ "group", "group", "IOMMU group", OUT_PLAIN, OUT_IN_TABLE, 5, get_group },
	{ "group_size", "in group", "functions in its group", OUT_PLAIN, 0, 8, get_group_size },
	{ "iommu", "IOMMU", "IOMMU in front of it", OUT_PLAIN, OUT_LEFT, 8, get_iommu },
	{ "snoop_control", "blocks", "whether the IOMMU in front of it can block no-snoop",
	  OUT_PLAIN, OUT_IN_TABLE, 6, get_block },
	{ "snoop_control_why", "blocks: why not known", "why snoop_control is not known", OUT_PLAIN,
	  OUT_LEFT, 40, get_block_why },
	{ "no_snoop", "bit", "Enable No Snoop: enabled, disabled or hardwired0", OUT_PLAIN,
	  OUT_IN_TABLE | OUT_LEFT, 10, get_no_snoop },
	{ "no_snoop_why", "bit: why not known", "why no_snoop is not known", OUT_PLAIN, OUT_LEFT,
	  40, get_no_snoop_why },
	{ "ability", "ability", "can or cannot make no-snoop accesses", OUT_PLAIN, OUT_LEFT, 7,
	  get_ability },
	{ "ability_why", "ability: why", "what ability rests on, or why it is not known", OUT_PLAIN,
	  OUT_LEFT, 40, get_ability_why },
	{ "proof.by", "proven by", "who proved that the bit is hardwired to 0", OUT_PLAIN, OUT_LEFT,
	  12, get_proof_by },
	{ "proof.time", "proven at", "when", OUT_PLAIN, OUT_LEFT, 20, get_proof_time },
	{ "blocked", "blocked", "VFIO blocks no-snoop in the function", OUT_PLAIN, 0, 7,
	  get_blocked },
	{ "blocked_why", "blocked: why not known", "why blocked is not known", OUT_PLAIN, OUT_LEFT,
	  40, get_blocked_why },
	{ "listed", "listed", "on the list of those that ignore the bit", OUT_PLAIN, 0, 6,
	  get_listed },
	{ "backdoor", "backdoor", "the bit can be changed or overruled by other ways", OUT_PLAIN, 0,
	  8, get_backdoor },
	{ "quirk_kinds", "quirks", "kinds of the quirks that are known of it", OUT_PLAIN,
	  OUT_IN_TABLE | OUT_LEFT | OUT_DERIVED, 9, get_quirks },
	{ "driver", "driver", "driver that it is bound to", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT, 10,
	  get_driver },
	{ "vm.id", "VM", "PID-FD of the VM that holds it", OUT_PLAIN, OUT_LEFT, 12, get_vm_id },
	{ "vm.pid", "pid", "process that holds it through VFIO", OUT_PLAIN, 0, 7, get_vm_pid },
	{ "vm.start", "start", "start of that process, clock ticks since boot", OUT_PLAIN, 0, 10,
	  get_vm_start },
	{ "vm.name", "VM", "name of that process or VM", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT, 12,
	  get_vm_name },
	{ "domain.type", "domain", "type of the group's domain", OUT_PLAIN, OUT_LEFT, 8,
	  get_domain_type },
	{ "domain.enforced", "enforced", "whether the domain blocks no-snoop", OUT_PLAIN, 0, 8,
	  get_enforced },
	{ "domain.enforced_why", "enforced: why not known", "why domain.enforced is not known",
	  OUT_PLAIN, OUT_LEFT, 40, get_domain_why },
	{ "domain.box", "kernel's box", "box that the kernel reports for what is attached",
	  OUT_PLAIN, 0, 12, get_attached_box },
	{ "domain.policy", "policy", "coherency policy of its address space", OUT_PLAIN, OUT_LEFT,
	  12, get_policy },
	{ "domain.policy_why", "policy: why not known", "why domain.policy is not known", OUT_PLAIN,
	  OUT_LEFT, 40, get_policy_why },
	{ "root_port.bdf", "root port", "root port above it", OUT_PLAIN, OUT_LEFT, 12, get_port },
	{ "root_port.writes_honoured", "honours", "whether that port honours no-snoop in writes",
	  OUT_PLAIN, 0, 7, get_honours },
	{ "root_port.writes_why", "honours: why not known", "why that is not known", OUT_PLAIN,
	  OUT_LEFT, 40, get_honours_why },
	{ "box", "box", "box 1 to 4, where only one is possible", OUT_PLAIN, OUT_IN_TABLE, 3,
	  get_box },
	{ "box_candidates", "boxes", "boxes that are possible", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT,
	  7, get_candidates },
	{ "box_reason", "why this box", "what decides, or what is not known", OUT_PLAIN, OUT_LEFT,
	  60, get_box_why },
	{ 0 },
};

static json_t *quirks_json(const struct func_row *r)
{
	json_t *a = json_array();
	const struct quirk *q;

	for (size_t i = 0; a && (q = quirk_of(&r->f, i)); i++)
		if (json_array_append_new(a, json_pack("{s:s,s:s,s:s}", "kind",
						       quirk_kind_name(q->kind), "what", q->what,
						       "source", q->source))) {
			json_decref(a);
			return NULL;
		}
	return a;
}

json_t *func_json(const struct func_row *r)
{
	const struct out_field **sel;
	json_t *obj;
	size_t n;

	if (out_select_all(func_fields, &sel, &n))
		return NULL;
	obj = out_json_row(sel, n, r);
	free(sel);
	if (obj && json_object_set_new(obj, "quirks", quirks_json(r))) {
		json_decref(obj);
		return NULL;
	}
	return obj;
}

json_t *frame_head(const char *command, const char *kernel, struct moment at, uint64_t interval_ns)
{
	char buf[64], when[96];
	struct tm tm;

	gmtime_r(&at.wall.tv_sec, &tm);
	strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when, sizeof(when), "%s.%09ldZ", buf, at.wall.tv_nsec);
	return json_pack("{s:s,s:s,s:s?,s:s,s:I,s:I}", "schema", NS_SCHEMA, "command", command,
			 "kernel", kernel, "time", when, "time_ns", (json_int_t)at.time_ns,
			 "interval_ns", (json_int_t)interval_ns);
}

int frame_write(FILE *f, json_t *obj)
{
	int err = obj ? 0 : -ENOMEM;
	char *text = obj ? json_dumps(obj, JSON_COMPACT | JSON_REAL_PRECISION(10)) : NULL;

	json_decref(obj);
	if (!text)
		return -ENOMEM;
	errno = 0;
	if (fprintf(f, "%s\n", text) < 0 || fflush(f))
		err = errno ? -errno : -EIO;
	free(text);
	return err;
}

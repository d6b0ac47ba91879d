// SPDX-License-Identifier: GPL-2.0
#include "func.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "../lib/procutil.h"
#include "../lib/vfioinfo.h"
#include "iommupolicy.h"
#include "owners.h"
#include "quirks.h"

#define CLASS_DISPLAY 0x03
#define CLASS_BRIDGE  0x06

static const char why_cleared[] = "the bit reads 0; whether it is hardwired is not proven";
static const char why_listed[] =
	"known to make accesses that the bit does not govern, so that nothing read from it proves inability";
static const char why_unknown_kind[] =
	"its kind is not known, so that it may be one whose accesses the bit does not govern";
static const char why_unnamed[] = "sysfs does not tell its vendor, device and class";
static const char why_set[] = "the bit is set";
static const char why_settable[] = "the bit reads 0, but a probe could set it";
static const char why_seen_set[] = "the bit reads 0, but was seen set";
static const char why_contradicted[] =
	"the kernel reports that the device cannot use no-snoop, but the bit was seen set";
static const char why_vfio_able[] = "the bit reads 0, but VFIO could set it";
static const char why_proven[] = "the bit is proven to be hardwired to 0";

static const char *kernel_reason(const struct func_row *r)
{
	bool blocked = r->vfio_known && (r->vfio_flags & VFIOINFO_BLOCKED);

	switch (r->kernel_box) {
	case 1:
		return "as the kernel reports: the device may use no-snoop, what it is attached to blocks it";
	case 2:
		return blocked ?
			       "as the kernel reports: VFIO keeps the device from no-snoop, and what it is attached to blocks it, too" :
			       "as the kernel reports: the device cannot use no-snoop, and what it is attached to would block it";
	case 3:
		return "as the kernel reports: the device may use no-snoop, what it is attached to lets it pass";
	default:
		return blocked ?
			       "as the kernel reports: VFIO keeps the device from no-snoop, which what it is attached to would let pass" :
			       "as the kernel reports: the device cannot use no-snoop, which what it is attached to would let pass";
	}
}

/* The kernel knows what is attached, and has asked the device; its list of those that lie may be shorter. */
static int take_kernel_box(struct func_row *r)
{
	bool blocked = r->vfio_known && (r->vfio_flags & VFIOINFO_BLOCKED);
	bool contradicted = r->seen_set && !blocked;
	char *reason;

	if (r->kernel_box < 1)
		return 0;
	if ((r->listed || r->why_kind || contradicted) && r->kernel_box % 2 == 0) {
		r->d.box = 0;
		r->d.box_candidates = DEV_BOX(r->kernel_box - 1) | DEV_BOX(r->kernel_box);
		r->d.certain = false;
		reason = strdup(contradicted ? why_contradicted :
				r->listed    ? why_listed :
					       why_unknown_kind);
	} else {
		r->d.box = r->kernel_box;
		r->d.box_candidates = DEV_BOX(r->kernel_box);
		r->d.certain = true;
		reason = strdup(kernel_reason(r));
	}
	if (!reason)
		return -ENOMEM;
	free(r->d.box_reason);
	r->d.box_reason = reason;
	return 0;
}

/* One that can, and is not kept from it, is in box 1 or 3 whatever its bit reads just now. */
static int find_box(struct func_row *r)
{
	bool blocked = r->vfio_known && (r->vfio_flags & VFIOINFO_BLOCKED);
	enum dev_no_snoop bit = r->d.no_snoop;
	int err;

	if (r->ability == ABILITY_CAN && !blocked)
		r->d.no_snoop = DEV_NO_SNOOP_ENABLED;
	err = device_box_why(&r->d, r->why_no_snoop, r->why_iommu);
	r->d.no_snoop = bit;
	return err;
}

static bool is_class(const struct func_row *r, unsigned int class)
{
	return r->f.class != UINT32_MAX && r->f.class >> 16 == class;
}

static void find_kind(struct func_row *r)
{
	r->display = is_class(r, CLASS_DISPLAY);
	r->integrated =
		r->f.port_type == PCI_EXP_TYPE_RC_END || r->f.port_type == PCI_EXP_TYPE_RC_EC;
	r->why_names = r->f.class == UINT32_MAX || r->f.nameless ? why_unnamed : NULL;
	/* Of these the port's type says no more; of others it may be that of an integrated endpoint. */
	if (r->f.is_vf || r->integrated || r->display || is_class(r, CLASS_BRIDGE))
		r->why_kind = NULL;
	else
		r->why_kind = r->why_names ? r->why_names : r->f.port_why;
}

static void end_proof(struct func_row *r)
{
	r->seen_set |= r->d.no_snoop == DEV_NO_SNOOP_ENABLED;
	if (!r->seen_set)
		return;
	*r->proof_by = *r->proof_time = '\0';
	if (r->d.no_snoop == DEV_NO_SNOOP_HARDWIRED0)
		r->d.no_snoop = DEV_NO_SNOOP_DISABLED;
}

int func_judge(struct func_row *r)
{
	int err;

	find_kind(r);
	end_proof(r);
	r->listed = quirk_has(&r->f, QUIRK_IGNORES) ||
		    (r->vfio_known && (r->vfio_flags & VFIOINFO_UNTRUSTED));
	r->backdoor = quirk_has(&r->f, QUIRK_BACKDOOR);
	r->ability = ABILITY_UNKNOWN;
	switch (r->d.no_snoop) {
	case DEV_NO_SNOOP_ENABLED:
		r->ability = ABILITY_CAN;
		r->ability_why = why_set;
		break;
	case DEV_NO_SNOOP_HARDWIRED0:
		r->ability_why = why_proven;
		if (r->f.is_vf || r->integrated || r->display || r->listed || r->why_kind) {
			/* A 0 that cannot be set proves nothing here. */
			r->d.no_snoop = DEV_NO_SNOOP_DISABLED;
			r->ability_why = r->why_kind && !r->listed ? why_unknown_kind : why_listed;
		} else {
			r->ability = ABILITY_CANNOT;
		}
		break;
	case DEV_NO_SNOOP_DISABLED:
		if (r->can_be_set) {
			r->ability = ABILITY_CAN;
			r->ability_why = why_settable;
			break;
		}
		if (r->seen_set) {
			r->ability = ABILITY_CAN;
			r->ability_why = why_seen_set;
			break;
		}
		if (r->vfio_known && (r->vfio_flags & VFIOINFO_CAPABLE) && !r->listed) {
			r->ability = ABILITY_CAN;
			r->ability_why = why_vfio_able;
			break;
		}
		r->ability_why = r->listed ? why_listed : why_cleared;
		break;
	case DEV_NO_SNOOP_UNKNOWN:
		r->ability_why = r->why_no_snoop;
		break;
	}
	err = find_box(r);
	return err ? err : take_kernel_box(r);
}

const char *ability_name(enum ability a)
{
	return a == ABILITY_CAN ? "can" : a == ABILITY_CANNOT ? "cannot" : NULL;
}

const char *func_kind(const struct func_row *r)
{
	if (r->why_kind)
		return NULL;
	if (r->f.is_vf)
		return "vf";
	if (r->integrated)
		return "integrated";
	if (r->display)
		return "display";
	if (is_class(r, CLASS_BRIDGE))
		return "bridge";
	if (r->f.num_vfs > 0)
		return "pf";
	return "endpoint";
}

static void note_vfio_proof(struct func_row *r)
{
	struct utsname u;
	struct timespec ts;
	struct tm tm;

	if (*r->proof_by)
		return;
	uname(&u);
	snprintf(r->proof_by, sizeof(r->proof_by), "VFIO of Linux %.17s", u.release);
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(r->proof_time, sizeof(r->proof_time), "%Y-%m-%dT%H:%M:%SZ", &tm);
}

int func_ask_vfio(struct func_row *r, bool find)
{
	static const char why_nobody
		[] = "nobody holds the function through VFIO",
      why_no_fd[] =
		"no descriptor of its process names the function: before Linux 6.18 those of groups do not",
      why_kernel[] = "this kernel's VFIO does not report no-snoop",
      why_refused[] = "VFIO could not be asked: needs root (CAP_SYS_PTRACE)";
	int err, policy;

	r->vfio_known = false;
	r->vfio_why = why_nobody;
	r->kernel_box = -1;
	if (!r->owner.pid) {
		r->policy = -1;
		r->policy_why = why_nobody;
		return 0;
	}
	if (find) {
		r->vfio_fd = vfioinfo_find(r->owner.pid, r->d.bdf);
		policy = iommu_policy_of(r->owner.pid, &r->policy_why, &r->has_container);
		r->policy = policy < 0 ? -1 : policy;
		r->has_ioas = policy >= 0 || policy == -EEXIST;
	}
	r->vfio_why = why_no_fd;
	if (r->vfio_fd < 0)
		return 0;
	r->kernel_box = vfioinfo_box(r->owner.pid, r->vfio_fd, r->d.bdf);
	if (r->kernel_box == -ESTALE)
		return 0;
	err = vfioinfo_query(r->owner.pid, r->vfio_fd, &r->vfio_flags);
	r->vfio_known = !err;
	r->vfio_why = !err ? NULL : err == -EPERM || err == -EACCES ? why_refused : why_kernel;
	if (err)
		return func_judge(r);
	/* VFIO set the bit and it did not stay, or there is none and cannot be an attribute. */
	if (!(r->vfio_flags & (VFIOINFO_CAPABLE | VFIOINFO_UNTRUSTED)) &&
	    r->d.no_snoop != DEV_NO_SNOOP_ENABLED) {
		r->d.no_snoop = DEV_NO_SNOOP_HARDWIRED0;
		r->why_no_snoop = NULL;
		note_vfio_proof(r);
	}
	return func_judge(r);
}

static int row_cmp(const void *key, const void *row)
{
	const char *a = key, *b = ((const struct func_row *)row)->d.bdf;
	size_t la = strlen(a), lb = strlen(b);

	if (la != lb)
		return la < lb ? -1 : 1;
	return strcmp(a, b);
}

struct func_row *func_find(const struct func_list *l, const char *bdf)
{
	return l->n ? bsearch(bdf, l->rows, l->n, sizeof(*l->rows), row_cmp) : NULL;
}

void func_row_clear(struct func_row *r)
{
	bitfd_close(&r->fds);
	device_clear(&r->d);
	owner_clear(&r->owner);
}

void func_list_free(struct func_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		func_row_clear(&l->rows[i]);
	free(l->rows);
	memset(l, 0, sizeof(*l));
}

static int read_row(struct dev_scan *s, const char *bdf, struct func_row *r)
{
	int err = dev_scan_bdf_why(s, bdf, &r->d, &r->why_no_snoop, &r->why_iommu);

	if (!err)
		err = dev_facts_read(dev_scan_rootfd(s), bdf, &r->f);
	return err ? err : func_judge(r);
}

/* What a VFIO driver has can be in a VM. */
static bool has_vfio(struct dev_scan *s, const char *bdf)
{
	char path[96], driver[64];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/vfio-dev", bdf);
	if (!faccessat(dev_scan_rootfd(s), path, F_OK, 0))
		return true;
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver", bdf);
	return proc_read_link_name(dev_scan_rootfd(s), path, driver, sizeof(driver)) > 0 &&
	       strstr(driver, "vfio");
}

int func_list_read(struct dev_scan *s, const char *procfs, bool vfio_only, struct func_list *l)
{
	char(*bdfs)[16];
	size_t n, i;
	int err;

	memset(l, 0, sizeof(*l));
	err = dev_scan_list(s, &bdfs, &n);
	if (err)
		return err;
	l->rows = calloc(n ? n : 1, sizeof(*l->rows));
	if (!l->rows)
		err = -ENOMEM;
	for (i = 0; !err && i < n; i++) {
		struct func_row *r = &l->rows[l->n];

		if (vfio_only && !has_vfio(s, bdfs[i]))
			continue;
		r->vfio_fd = -1;
		r->fds = BITFD_INIT;
		r->vfio_why = r->policy_why = "this is not the running system";
		r->kernel_box = r->policy = -1;
		err = read_row(s, bdfs[i], r);
		if (!err) {
			l->n++;
			continue;
		}
		func_row_clear(r);
		memset(r, 0, sizeof(*r));
		if (err == -ENODEV) {
			l->vanished++;
			err = 0;
		}
	}
	free(bdfs);
	return err ? err : func_list_owners(s, procfs, l);
}

int func_list_owners(struct dev_scan *s, const char *procfs, struct func_list *l)
{
	/* A tree of files has nobody to ask. */
	static const char live[] = "/proc";
	int err = owners_find(s, procfs, l);

	for (size_t i = 0; !err && !strcmp(procfs, live) && i < l->n; i++)
		err = func_ask_vfio(&l->rows[i], true);
	return err;
}

/* Most of the time that is so. */
bool func_reads_same(int rootfd, struct func_row *r)
{
	enum dev_no_snoop bit, before = r->d.no_snoop;
	bool suspended;

	if (r->fds.config < 0 && !r->f.suspended)
		bitfd_open(&r->fds, rootfd, r->d.bdf);
	/* The bit of a virtual function means nothing. */
	if (r->f.is_vf)
		r->fds.cap = 0;
	if (bitfd_read(&r->fds, &suspended, &bit) || suspended != r->f.suspended)
		return false;
	if (before == DEV_NO_SNOOP_HARDWIRED0)
		before = DEV_NO_SNOOP_DISABLED;
	return suspended || bit == before;
}

int func_reread(struct dev_scan *s, struct func_row *r)
{
	const char *why_no_snoop, *why_iommu;
	struct wb_device d;
	int err;

	if (func_reads_same(dev_scan_rootfd(s), r))
		return r->vfio_fd < 0 ? 0 : func_ask_vfio(r, false);
	err = dev_facts_suspended(dev_scan_rootfd(s), r->d.bdf);
	if (err < 0)
		return err;
	r->f.suspended = err;
	if (r->f.suspended)
		return 0;
	dev_scan_outdated(s, r->d.bdf);
	err = dev_scan_bdf_why(s, r->d.bdf, &d, &why_no_snoop, &why_iommu);
	if (err)
		return err;
	/* What was proven stays so while the bit reads 0. */
	if (*r->proof_by && d.no_snoop == DEV_NO_SNOOP_DISABLED)
		d.no_snoop = DEV_NO_SNOOP_HARDWIRED0;
	device_clear(&r->d);
	r->d = d;
	r->why_no_snoop = why_no_snoop;
	r->why_iommu = why_iommu;
	if (r->f.port_why)
		dev_facts_port(dev_scan_rootfd(s), r->d.bdf, &r->f);
	err = func_judge(r);
	return err || r->vfio_fd < 0 ? err : func_ask_vfio(r, false);
}

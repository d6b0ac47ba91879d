// SPDX-License-Identifier: GPL-2.0
/* The part of watch that the kernel tells itself: attachments, maps, flushes, boxes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/procutil.h"
#include "owners.h"
#include "watch.h"
#include "watch_int.h"

#define STATUS_MAX 16384

/* How long the flushes of a process that has given its functions back are its VM's. */
#define LEFT_NS 60000000000ULL

struct watch_left {
	struct owner owner;
	bool known; /* what it maps and flushes */
	uint64_t since_ns;
};

static const char why_type1
	[] = "its process has a container of VFIO (type 1), of which this kernel tells neither attachments nor maps nor flushes",
	why_no_ioas[] =
		"its process has no I/O address space of iommufd, and of others this kernel tells neither maps nor flushes";

void watch_log_open(struct watch *w, bool live)
{
	int err, procfd;
	bool same;

	w->log_why = "this is not the running system";
	if (!live)
		return;
	procfd = open(w->tree.procfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	same = procfd >= 0 && proc_is_init_pidns(procfd);
	if (procfd >= 0)
		close(procfd);
	if (!same) {
		w->log_why =
			"processes have other numbers here than in the kernel's log (pid namespace)";
		return;
	}
	err = dmalog_open(&w->log);
	w->log_why =
		err == -EPERM || err == -EACCES ?
			"the kernel's log cannot be read: needs root (CAP_BPF and CAP_PERFMON)" :
		err ? "the kernel refuses the programs that read its log" :
		      NULL;
	if (err)
		w->log = NULL;
}

void watch_log_close(struct watch *w)
{
	dmalog_close(w->log);
	for (size_t i = 0; i < w->nr_left; i++)
		owner_clear(&w->left[i].owner);
	free(w->left);
	map_table_free(&w->maps);
	free(w->events);
}

static bool hears(const struct watch *w, unsigned int modules)
{
	return w->log && (dmalog_attached(w->log) & modules) == modules;
}

const char *watch_log_why(const struct watch *w)
{
	const char *why = w->log ? dmalog_why(w->log) : w->log_why;

	return why ? why : "the kernel's log is not heard";
}

static int keep(void *ctx, const struct dmalog_event *e)
{
	struct watch *w = ctx;
	size_t max = w->max_events ? 2 * w->max_events : 64;
	void *grown;

	if (w->nr_events == w->max_events) {
		grown = reallocarray(w->events, max, sizeof(*w->events));
		if (!grown)
			return -ENOMEM;
		w->events = grown;
		w->max_events = max;
	}
	w->events[w->nr_events++] = *e;
	/* Who has it, and through which file, is another now. */
	if (*e->dev)
		w->listed_ns = 0;
	return map_table_event(&w->maps, e);
}

int watch_log_read(struct watch *w)
{
	struct dmalog_flush now[DMALOG_REASONS + 1];
	const struct dmalog_unpin *unpins;
	size_t n;
	int err;

	w->nr_events = 0;
	map_table_reset(&w->maps);
	if (!w->log)
		return 0;
	err = dmalog_read(w->log, w->at.time_ns, keep, w);
	if (err)
		return err;
	unpins = dmalog_unpins(w->log, &n);
	for (size_t i = 0; !err && i < n; i++)
		err = map_table_unpin(&w->maps, &unpins[i]);
	if (err)
		return err;
	dmalog_flushes(w->log, now);
	for (size_t i = 0; i < DMALOG_REASONS + 1; i++) {
		w->flushes[i].flushes = now[i].flushes - w->flushes_before[i].flushes;
		w->flushes[i].bytes = now[i].bytes - w->flushes_before[i].bytes;
		w->flushes[i].ns = now[i].ns - w->flushes_before[i].ns;
		w->flushes_before[i] = now[i];
	}
	return 0;
}

static uint64_t pinned_by(const struct watch *w, pid_t pid)
{
	uint64_t bytes = 0;
	char path[48], *text;
	size_t len;

	snprintf(path, sizeof(path), "proc/%d/status", (int)pid);
	if (pid && !proc_read_file(dev_scan_rootfd(w->tree.scan), path, STATUS_MAX, &text, &len)) {
		bytes = pinned_bytes(text);
		free(text);
	}
	return bytes;
}

/* Of a function that is there since the last reading, or since the first one. */
void watch_log_first_seen(const struct watch *w, struct func_row *r)
{
	if (w->interval_ns)
		exposure_start(&r->x, 0, 0, w->at.time_ns - w->interval_ns);
	else
		exposure_start(&r->x, r->kernel_box, 0, w->at.time_ns);
}

/* Whether vms has it. */
static bool is_vm(const struct watch *w, pid_t pid)
{
	for (size_t i = 0; i < w->l.n; i++)
		if (w->l.rows[i].owner.pid == pid && w->l.rows[i].owner.id)
			return true;
	return false;
}

static bool is_owner(const struct watch *w, pid_t pid)
{
	for (size_t i = 0; i < w->l.n; i++)
		if (w->l.rows[i].owner.pid == pid)
			return true;
	return false;
}

int watch_log_left(struct watch *w, const struct owner *o, bool known)
{
	struct watch_left left = { .known = known, .since_ns = w->at.time_ns }, *grown;

	if (!w->log || !o->id || is_owner(w, o->pid))
		return 0;
	for (size_t i = 0; i < w->nr_left; i++)
		if (w->left[i].owner.pid == o->pid)
			return 0;
	grown = reallocarray(w->left, w->nr_left + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	w->left = grown;
	left.owner = *o;
	left.owner.id = strdup(o->id);
	left.owner.name = strdup(o->name);
	if (!left.owner.id || !left.owner.name) {
		owner_clear(&left.owner);
		return -ENOMEM;
	}
	w->left[w->nr_left++] = left;
	return 0;
}

/* Those that have functions again, and those of long ago. */
static void forget_left(struct watch *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->nr_left; i++) {
		struct watch_left *l = &w->left[i];

		if (is_owner(w, l->owner.pid) || w->at.time_ns - l->since_ns > LEFT_NS)
			owner_clear(&l->owner);
		else
			w->left[kept++] = *l;
	}
	w->nr_left = kept;
}

static bool has_left(const struct watch *w, pid_t pid)
{
	for (size_t i = 0; i < w->nr_left; i++)
		if (w->left[i].owner.pid == pid)
			return true;
	return false;
}

/* What other devices and processes do is not watched. */
static bool concerns(const struct watch *w, const struct dmalog_event *e)
{
	return *e->dev ? func_find(&w->l, e->dev) != NULL :
			 is_owner(w, e->pid) || has_left(w, e->pid);
}

static void tell_event(const struct watch *w, const struct dmalog_event *e)
{
	char text[256], who[64];

	if (!w->telling)
		return;
	dmalog_text(e, text, sizeof(text));
	snprintf(who, sizeof(who), "%s (%u)", e->comm, e->pid);
	watch_tell(w, *e->dev ? e->dev : who, text);
}

void watch_log_apply(struct watch *w)
{
	const struct map_sums *sums;
	uint64_t pinned = 0;
	size_t kept = 0;
	pid_t pid = 0;

	forget_left(w);
	for (size_t i = 0; i < w->nr_events; i++) {
		struct func_row *r = *w->events[i].dev ? func_find(&w->l, w->events[i].dev) : NULL;

		if (!concerns(w, &w->events[i]))
			continue;
		if (r)
			exposure_event(&r->x, &w->events[i]);
		tell_event(w, &w->events[i]);
		w->events[kept++] = w->events[i];
	}
	w->nr_events = kept;
	for (size_t i = 0; i < w->l.n; i++) {
		struct func_row *r = &w->l.rows[i];

		r->heard = hears(w, DMALOG_VFIO);
		if (!r->heard)
			continue;
		if (r->owner.pid != pid)
			pinned = pinned_by(w, r->owner.pid);
		pid = r->owner.pid;
		sums = map_table_find(&w->maps, pid);
		exposure_read(&r->x, r->kernel_box, pinned, sums ? sums->bytes : 0, w->at.time_ns);
	}
}

/* --- as JSON -------------------------------------------------------------- */

static json_t *count(bool known, uint64_t n)
{
	return known ? json_integer(n) : json_null();
}

int watch_log_function_json(const struct watch *w, const struct func_row *r, json_t *obj)
{
	const struct exposure *x = &r->x;
	bool type1 = r->owner.pid && r->has_container;
	bool maps = hears(w, DMALOG_IOMMUFD) && !type1, ops = hears(w, DMALOG_VFIO_PCI);
	const char *why = r->heard && maps && ops ? NULL : type1 ? why_type1 : watch_log_why(w);
	json_t *more = json_pack(
		"{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:s?}", "attaches", count(maps, x->attaches),
		"replaces", count(maps, x->replaces), "detaches", count(maps, x->detaches),
		"refused", count(maps, x->refused), "box_changes", count(r->heard, x->box_changes),
		"no_snoop_operations", count(ops, x->operations), "exposed_bytes",
		count(r->heard, x->box == 3 ? x->pinned : 0), "exposed_gib_s",
		r->heard ? json_real(x->gib_s) : json_null(), "exposure_why", why);
	int err = more ? json_object_update(obj, more) : -1;

	json_decref(more);
	return err;
}

/* why: of what is null; flush_ns is M of the rule. */
static json_t *vm_json(const struct watch *w, const struct owner *o, bool known, json_t *pinned,
		       bool ended, const char *why)
{
	const struct map_sums none = { 0 }, *s = map_table_find(&w->maps, o->pid);

	s = s ? s : &none;
	return json_pack("{s:s,s:I,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b,s:s?}", "id", o->id, "start",
			 (json_int_t)o->start, "name", o->name, "mapped_bytes",
			 count(known, s->bytes), "noncoherent_bytes",
			 count(known, s->noncoherent_bytes), "flushed_bytes",
			 count(known, s->flushed_bytes), "unpin_flushed_bytes",
			 count(known, s->unpin_flushed_bytes), "unpin_flush_ns",
			 count(known, s->unpin_flush_ns), "flush_ns",
			 count(known, s->flush_ns + s->unpin_flush_ns), "pinned_bytes", pinned,
			 "ended", ended, "why", why);
}

json_t *watch_log_vm_json(const struct watch *w, const struct func_row *r)
{
	bool heard = hears(w, DMALOG_IOMMUFD), known = heard && r->has_ioas && !r->has_container;
	const char *why = known		   ? NULL :
			  !heard	   ? watch_log_why(w) :
			  r->has_container ? why_type1 :
					     why_no_ioas;

	return vm_json(w, &r->owner, known, count(r->heard, r->x.pinned), false, why);
}

void watch_log_left_json(const struct watch *w, json_t *vms)
{
	for (size_t i = 0; i < w->nr_left; i++) {
		const struct watch_left *l = &w->left[i];

		if (l->known && hears(w, DMALOG_IOMMUFD) && map_table_find(&w->maps, l->owner.pid))
			json_array_append_new(vms, vm_json(w, &l->owner, true, json_null(), true,
							   "it has no function any more"));
	}
}

static json_t *flush_json(const struct dmalog_flush *f)
{
	return json_pack("{s:I,s:I,s:I}", "flushes", (json_int_t)f->flushes, "bytes",
			 (json_int_t)f->bytes, "ns", (json_int_t)f->ns);
}

/* Flushes before unpins that stand with no VM: of other processes, of kernel threads. */
static json_t *others_json(const struct watch *w)
{
	uint64_t bytes = 0, ns = 0;

	for (size_t i = 0; i < w->maps.n; i++) {
		const struct map_sums *s = &w->maps.sums[i];

		if (is_vm(w, s->pid) || has_left(w, s->pid))
			continue;
		bytes += s->unpin_flushed_bytes;
		ns += s->unpin_flush_ns;
	}
	return json_pack("{s:I,s:I}", "bytes", (json_int_t)bytes, "ns", (json_int_t)ns);
}

int watch_log_json(const struct watch *w, json_t *root)
{
	struct dmalog_losses lost = { 0 };
	json_t *events = json_array(), *flushes = NULL, *log;

	if (w->log)
		lost = dmalog_losses(w->log);
	if (hears(w, DMALOG_IOMMUFD))
		flushes = json_pack("{s:o,s:o,s:o,s:o}", "map",
				    flush_json(&w->flushes[DMALOG_FLUSH_MAP]), "attach",
				    flush_json(&w->flushes[DMALOG_FLUSH_ATTACH]), "unpin",
				    flush_json(&w->flushes[DMALOG_FLUSH_UNPIN]), "unpin_by_others",
				    others_json(w));
	log = json_pack("{s:b,s:s?,s:I,s:I,s:o?}", "heard", w->log && dmalog_attached(w->log),
			"why", w->log ? dmalog_why(w->log) : w->log_why, "lost_events",
			(json_int_t)lost.events, "lost_maps", (json_int_t)lost.maps, "flushes",
			flushes);
	for (size_t i = 0; i < w->nr_events; i++)
		json_array_append_new(events, dmalog_to_json(&w->events[i]));
	return json_object_set_new(root, "log", log) | json_object_set_new(root, "events", events);
}

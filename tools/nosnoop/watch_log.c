// SPDX-License-Identifier: GPL-2.0
/* The part of watch that the kernel tells itself: attachments, maps, flushes, boxes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/procutil.h"
#include "watch.h"
#include "watch_int.h"

#define STATUS_MAX 16384

static const char why_type1[] =
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
	int err;

	w->nr_events = 0;
	map_table_reset(&w->maps);
	if (!w->log)
		return 0;
	err = dmalog_read(w->log, w->time_ns, keep, w);
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
		exposure_start(&r->x, 0, 0, w->time_ns - w->interval_ns);
	else
		exposure_start(&r->x, r->kernel_box, 0, w->time_ns);
}

static bool is_owner(const struct watch *w, pid_t pid)
{
	for (size_t i = 0; i < w->l.n; i++)
		if (w->l.rows[i].owner.pid == pid)
			return true;
	return false;
}

/* What other devices and processes do is not watched. */
static bool concerns(const struct watch *w, const struct dmalog_event *e)
{
	return *e->dev ? func_find(&w->l, e->dev) != NULL : is_owner(w, e->pid);
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
		exposure_read(&r->x, r->kernel_box, pinned, sums ? sums->bytes : 0, w->time_ns);
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
	bool maps = hears(w, DMALOG_IOMMUFD), ops = hears(w, DMALOG_VFIO_PCI);
	const char *why = r->heard && maps && ops ? NULL : watch_log_why(w);
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

/* Flushes before an unpin are told without their process: all of them may be its. */
static uint64_t unpin_ns(const struct watch *w, const struct owner *o)
{
	for (size_t i = 0; i < w->l.n; i++) {
		const struct func_row *r = &w->l.rows[i];

		if (r->owner.pid == o->pid && r->kernel_box >= 3)
			return w->flushes[DMALOG_FLUSH_UNPIN].ns;
	}
	return 0;
}

json_t *watch_log_vm_json(const struct watch *w, const struct func_row *r)
{
	const struct owner *o = &r->owner;
	const struct map_sums none = { 0 }, *s = map_table_find(&w->maps, o->pid);
	bool heard = hears(w, DMALOG_IOMMUFD), known = heard && r->has_ioas;
	const char *why = known ? NULL : heard ? why_type1 : watch_log_why(w);

	s = s ? s : &none;
	return json_pack("{s:s,s:I,s:s,s:o,s:o,s:o,s:o,s:o,s:s?}", "id", o->id, "start",
			 (json_int_t)o->start, "name", o->name, "mapped_bytes",
			 count(known, s->bytes), "noncoherent_bytes",
			 count(known, s->noncoherent_bytes), "flushed_bytes",
			 count(known, s->flushed_bytes), "flush_ns",
			 count(known, s->flush_ns + unpin_ns(w, o)), "pinned_bytes",
			 count(r->heard, r->x.pinned), "why", why);
}

static json_t *flush_json(const struct dmalog_flush *f)
{
	return json_pack("{s:I,s:I,s:I}", "flushes", (json_int_t)f->flushes, "bytes",
			 (json_int_t)f->bytes, "ns", (json_int_t)f->ns);
}

int watch_log_json(const struct watch *w, json_t *root)
{
	struct dmalog_losses lost = { 0 };
	json_t *events = json_array(), *flushes = NULL, *log;

	if (w->log)
		lost = dmalog_losses(w->log);
	if (hears(w, DMALOG_IOMMUFD))
		flushes =
			json_pack("{s:o,s:o,s:o}", "map", flush_json(&w->flushes[DMALOG_FLUSH_MAP]),
				  "attach", flush_json(&w->flushes[DMALOG_FLUSH_ATTACH]), "unpin",
				  flush_json(&w->flushes[DMALOG_FLUSH_UNPIN]));
	log = json_pack("{s:b,s:s?,s:I,s:I,s:o?}", "heard", w->log && dmalog_attached(w->log),
			"why", w->log ? dmalog_why(w->log) : w->log_why, "lost_events",
			(json_int_t)lost.events, "lost_maps", (json_int_t)lost.maps, "flushes",
			flushes);
	for (size_t i = 0; i < w->nr_events; i++)
		json_array_append_new(events, dmalog_to_json(&w->events[i]));
	return json_object_set_new(root, "log", log) | json_object_set_new(root, "events", events);
}

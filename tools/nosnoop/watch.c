// SPDX-License-Identifier: GPL-2.0
#include "watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../lib/num.h"
#include "../lib/procutil.h"
#include "fields.h"
#include "watch_int.h"

#define NSEC_PER_SEC 1000000000ULL

/* The bits are read at most this often between two readings, and for this part of a CPU. */
#define POLL_NS	   (NSEC_PER_SEC / 10)
#define POLL_SHARE 1000

void watch_tell(const struct watch *w, const char *who, const char *what)
{
	char when[32];
	time_t now = time(NULL);
	struct tm tm;

	if (!w->telling)
		return;
	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	fprintf(w->telling, "%s %s %s\n", when, who, what);
}

static bool is_set(const struct func_row *r)
{
	return r->d.no_snoop == DEV_NO_SNOOP_ENABLED;
}

void watch_count_reading(struct func_row *r)
{
	if (r->f.suspended || r->d.no_snoop == DEV_NO_SNOOP_UNKNOWN)
		return;
	r->readings++;
	r->set_readings += is_set(r);
}

static void tell_writes(const struct watch *w, const struct func_row *r,
			const struct guest_writes *before)
{
	uint64_t set = r->writes.set - before->set, cleared = r->writes.cleared - before->cleared;
	char text[160];

	if (!r->writes_known || (!set && !cleared) || r->writes.set < before->set ||
	    r->writes.cleared < before->cleared)
		return;
	snprintf(text, sizeof(text),
		 "written by its user: Enable No Snoop = 1 %llu times, = 0 %llu times",
		 (unsigned long long)set, (unsigned long long)cleared);
	watch_tell(w, r->d.bdf, text);
}

static void read_writes(struct watch *w)
{
	if (!w->writes)
		return;
	guestwrites_read(w->writes);
	w->writes_why = guestwrites_why(w->writes);
	for (size_t i = 0; i < w->l.n; i++) {
		struct func_row *r = &w->l.rows[i];
		struct guest_writes before = r->writes;

		r->writes_known = guestwrites_of(w->writes, r->d.bdf, &r->writes);
		tell_writes(w, r, &before);
	}
}

static void note_read(struct watch *w)
{
	uint64_t now = monotonic_ns();

	if (w->read_ns && now - w->read_ns > w->longest_ns)
		w->longest_ns = now - w->read_ns;
	w->read_ns = now;
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

int watch_poll(struct watch *w, uint64_t *wait_ns)
{
	uint64_t start = cpu_ns();
	int err = watch_list_poll(w);

	note_read(w);
	*wait_ns = (cpu_ns() - start) * POLL_SHARE;
	if (*wait_ns < POLL_NS)
		*wait_ns = POLL_NS;
	return err;
}

int watch_read(struct watch *w)
{
	struct moment now = moment_now();
	int err;

	w->interval_ns = w->at.time_ns ? now.time_ns - w->at.time_ns : 0;
	w->at = now;
	err = watch_log_read(w);
	if (err)
		return err;
	err = watch_list_read(w);
	note_read(w);
	w->unread_ns = w->longest_ns;
	w->longest_ns = 0;
	for (size_t i = 0; !err && i < w->l.n; i++)
		watch_count_reading(&w->l.rows[i]);
	if (!err) {
		watch_log_apply(w);
		read_writes(w);
	}
	if (!err && w->pmu && pmu_read(w->pmu)) {
		pmu_close(w->pmu);
		w->pmu = NULL;
		w->pmu_why = "the counters could not be read any more";
	}
	return err;
}

/* Two descriptors stay open for each function. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int watch_open(struct watch *w, const char *root, const struct filter *filter, bool all)
{
	int err;

	memset(w, 0, sizeof(*w));
	w->filter = filter;
	w->all = all;
	allow_descriptors();
	err = tree_open(&w->tree, root);
	if (err)
		return err;
	watch_log_open(w, !root);
	w->pmu_why = "not measurable: this is not the running system";
	w->writes_why = "this is not the running system";
	if (root)
		return 0;
	w->pmu = pmu_open(dev_scan_rootfd(w->tree.scan), &w->pmu_why);
	return guestwrites_open(&w->writes);
}

void watch_close(struct watch *w)
{
	pmu_close(w->pmu);
	guestwrites_close(w->writes);
	watch_log_close(w);
	func_list_free(&w->l);
	free(w->names);
	tree_close(&w->tree);
}

/* --- as JSON -------------------------------------------------------------- */

/* Full: all requests of the socket's devices, and the events ran all the time. */
static const char *coverage(const struct watch *w)
{
	const struct pmu_socket *s;
	size_t n;

	if (!w->pmu)
		return "none";
	s = pmu_sockets(w->pmu, &n);
	if (!pmu_generation(w->pmu)->whole)
		return "partial";
	for (size_t i = 0; i < n; i++)
		if (!pmu_ran_always(&s[i]))
			return "partial";
	return n ? "full" : "none";
}

static json_t *count_json(const struct pmu_socket *s, enum pmu_kind kind)
{
	return pmu_known(s, kind) ? json_integer((json_int_t)(s->count[kind] + 0.5)) : json_null();
}

static json_t *share_json(const struct pmu_socket *s, enum pmu_kind kind)
{
	return s->boxes[kind] ? json_real(s->share[kind]) : json_null();
}

static json_t *socket_json(const struct pmu_socket *s)
{
	return json_pack("{s:i,s:o,s:o,s:o,s:{s:o,s:o,s:o}}", "socket", s->socket, "reads",
			 count_json(s, PMU_READS), "writes", count_json(s, PMU_WRITES),
			 "partial_writes", count_json(s, PMU_PARTIAL_WRITES), "share", "reads",
			 share_json(s, PMU_READS), "writes", share_json(s, PMU_WRITES),
			 "partial_writes", share_json(s, PMU_PARTIAL_WRITES));
}

static json_t *requests_json(const struct watch *w)
{
	json_t *sockets = json_array(), *hides = json_array();
	const struct pmu_socket *s = NULL;
	const char *hidden;
	size_t n = 0;

	if (w->pmu)
		s = pmu_sockets(w->pmu, &n);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(sockets, socket_json(&s[i]));
	for (size_t i = 0; w->pmu && (hidden = pmu_hides(pmu_generation(w->pmu), s, n, i)); i++)
		json_array_append_new(hides, json_string(hidden));
	return json_pack("{s:s,s:s?,s:s?,s:o,s:o}", "coverage", coverage(w), "reason", w->pmu_why,
			 "cpu", w->pmu ? pmu_generation(w->pmu)->name : NULL, "zero_may_hide",
			 hides, "sockets", sockets);
}

static json_t *writes_json(const struct func_row *r)
{
	const struct guest_writes *g = &r->writes;

	if (!r->writes_known)
		return json_null();
	return json_pack("{s:I,s:I,s:I,s:s?,s:o}", "set", (json_int_t)g->set, "cleared",
			 (json_int_t)g->cleared, "unread", (json_int_t)g->unread, "last",
			 !g->last_ns ? NULL :
			 g->last     ? "set" :
				       "cleared",
			 "last_time_ns", g->last_ns ? json_integer(g->last_ns) : json_null());
}

/* How they were counted, and since when. */
static json_t *counting_json(const struct watch *w)
{
	const struct guestwrites *g = w->writes;
	const char *by = g ? guestwrites_by(g) : NULL;

	return json_pack("{s:s?,s:o,s:o,s:s?}", "by", by, "since_ns",
			 by ? json_integer(guestwrites_since_ns(g)) : json_null(), "lost",
			 by ? json_integer(guestwrites_lost(g)) : json_null(), "why",
			 w->writes_why);
}

static int add_watched(const struct watch *w, json_t *obj, const struct func_row *r)
{
	json_t *more =
		json_pack("{s:o,s:I,s:I,s:i,s:o,s:s?}", "socket",
			  r->socket >= 0 ? json_integer(r->socket) : json_null(), "readings",
			  (json_int_t)r->readings, "set_readings", (json_int_t)r->set_readings,
			  "changes", (int)r->changes, "guest_writes", writes_json(r),
			  "guest_writes_why", r->writes_known ? NULL : w->writes_why);
	int err = more ? json_object_update(obj, more) : -1;

	json_decref(more);
	return err ? err : watch_log_function_json(w, r, obj);
}

/* Each VM once. */
static json_t *vms_json(const struct watch *w)
{
	json_t *array = json_array();

	for (size_t i = 0; i < w->l.n; i++) {
		const struct owner *o = &w->l.rows[i].owner;
		size_t k;

		if (!o->id)
			continue;
		for (k = 0; k < i; k++)
			if (w->l.rows[k].owner.id && !strcmp(w->l.rows[k].owner.id, o->id) &&
			    w->l.rows[k].owner.start == o->start)
				break;
		if (k < i)
			continue;
		json_array_append_new(array, watch_log_vm_json(w, &w->l.rows[i]));
	}
	watch_log_left_json(w, array);
	return array;
}

json_t *watch_json(const struct watch *w)
{
	const char *kernel = *w->tree.kernel ? w->tree.kernel : NULL;
	unsigned int cpus = w->tree.cpus;
	json_t *root = frame_head("watch", kernel, w->at, w->interval_ns);
	json_t *functions = json_array();
	bool ok = root && functions && !watch_log_json(w, root) &&
		  !json_object_set_new(root, "cpus", cpus ? json_integer(cpus) : json_null()) &&
		  !json_object_set_new(root, "unread_ns", json_integer(w->unread_ns)) &&
		  !json_object_set_new(root, "requests", requests_json(w)) &&
		  !json_object_set_new(root, "guest_writes", counting_json(w)) &&
		  !json_object_set_new(root, "vms", vms_json(w));

	for (size_t i = 0; ok && i < w->l.n; i++) {
		json_t *obj = func_json(&w->l.rows[i]);

		ok = obj && !add_watched(w, obj, &w->l.rows[i]) &&
		     !json_array_append_new(functions, obj);
	}
	if (ok && !json_object_set_new(root, "functions", functions))
		return root;
	json_decref(root);
	return NULL;
}

/* --- as text -------------------------------------------------------------- */

void watch_bits_text(FILE *f, const struct watch *w)
{
	if (w->unread_ns)
		fprintf(f,
			"bit: read every %.3f s or more often; what changed and was undone in between shows in no column but of what the kernel tells and the user wrote\n",
			(double)w->unread_ns / NSEC_PER_SEC);
}

void watch_socket_text(FILE *f, const struct pmu_generation *g, const struct pmu_socket *s)
{
	static const char *const names[] = { "reads", "writes", "partial writes" };
	const char *hidden;
	bool any = false;

	fprintf(f, "no-snoop requests, socket %u: ", s->socket);
	for (int kind = 0; kind < PMU_NR_KINDS; kind++) {
		fprintf(f, "%s%s ", kind ? ", " : "", names[kind]);
		if (!s->boxes[kind])
			fputs("not measurable", f);
		else if (!pmu_known(s, kind))
			fputs("not counted: the event did not run", f);
		else
			fprintf(f, "%.0f (counted %.0f %% of the time)", s->count[kind],
				100 * s->share[kind]);
		any |= s->count[kind] > 0;
	}
	fputc('\n', f);
	if (any)
		return;
	fputs("    0 may hide:", f);
	for (size_t i = 0; (hidden = pmu_hides(g, s, 1, i)); i++)
		fprintf(f, "%s %s", i ? ";" : "", hidden);
	fputc('\n', f);
}

void watch_requests_text(FILE *f, const struct watch *w)
{
	const struct pmu_socket *s;
	size_t n;

	if (!w->pmu) {
		fprintf(f, "no-snoop requests: %s\n", w->pmu_why);
		return;
	}
	s = pmu_sockets(w->pmu, &n);
	for (size_t i = 0; i < n; i++)
		watch_socket_text(f, pmu_generation(w->pmu), &s[i]);
}

static void get_bdf(const void *p, struct out_value *v)
{
	v->type = OUT_STR;
	v->s = ((const struct func_row *)p)->d.bdf;
}

static void get_name(const void *p, struct out_value *v)
{
	v->type = OUT_STR;
	v->s = ((const struct func_row *)p)->d.name;
}

static void get_vm(const void *p, struct out_value *v)
{
	const struct func_row *r = p;

	if (!r->owner.pid)
		return;
	v->type = OUT_STR;
	v->s = r->owner.name;
}

static void get_bit(const void *p, struct out_value *v)
{
	const struct func_row *r = p;

	if (r->d.no_snoop == DEV_NO_SNOOP_UNKNOWN)
		return;
	v->type = OUT_STR;
	v->s = watch_bit_word(r->d.no_snoop);
}

static void get_state(const void *p, struct out_value *v)
{
	const struct func_row *r = p;

	v->type = OUT_STR;
	v->s = !r->f.suspended			     ? "awake" :
	       r->d.no_snoop != DEV_NO_SNOOP_UNKNOWN ? "suspended, last known" :
						       "suspended";
}

#define NUMBER(name, expr)                                   \
	static void name(const void *p, struct out_value *v) \
	{                                                    \
		const struct func_row *r = p;                \
		v->type = OUT_U64;                           \
		v->u = expr;                                 \
	}

static void get_box(const void *p, struct out_value *v)
{
	const struct func_row *r = p;

	if (!r->d.box)
		return;
	v->type = OUT_U64;
	v->u = r->d.box;
}

static void get_exposed(const void *p, struct out_value *v)
{
	const struct func_row *r = p;

	if (!r->heard)
		return;
	v->type = OUT_F64;
	v->f = r->x.gib_s;
}

static void get_written(const void *p, struct out_value *v, bool set)
{
	const struct func_row *r = p;

	if (!r->writes_known)
		return;
	v->type = OUT_U64;
	v->u = set ? r->writes.set : r->writes.cleared;
}

static void get_written_set(const void *p, struct out_value *v)
{
	get_written(p, v, true);
}

static void get_written_cleared(const void *p, struct out_value *v)
{
	get_written(p, v, false);
}

NUMBER(get_changes, r->changes)
NUMBER(get_readings, r->readings)
NUMBER(get_set, r->set_readings)

const struct out_field watch_fields[] = {
	{ "bdf", "address", "PCI address", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT, 12, get_bdf },
	{ "name", "name", "vendor and device by pci.ids", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT, 26,
	  get_name },
	{ "vm.name", "VM", "name of the process or VM that holds it", OUT_PLAIN,
	  OUT_IN_TABLE | OUT_LEFT, 12, get_vm },
	{ "box", "box", "box 1 to 4, where only one is possible", OUT_PLAIN, OUT_IN_TABLE, 3,
	  get_box },
	{ "bit", "bit", "Enable No Snoop: set or cleared", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT, 9,
	  get_bit },
	{ "state", "state", "awake, or suspended and not read", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT,
	  21, get_state },
	{ "changes", "changes", "changes of the bit since the start", OUT_PLAIN, OUT_IN_TABLE, 7,
	  get_changes },
	{ "set_readings", "set", "readings that found it set", OUT_PLAIN, OUT_IN_TABLE, 8,
	  get_set },
	{ "readings", "of", "readings of it", OUT_PLAIN, OUT_IN_TABLE, 8, get_readings },
	{ "guest_writes.set", "wrote 1", "writes of a 1 to the bit by its user, through VFIO",
	  OUT_PLAIN, OUT_IN_TABLE, 7, get_written_set },
	{ "guest_writes.cleared", "wrote 0", "writes of a 0 to it", OUT_PLAIN, OUT_IN_TABLE, 7,
	  get_written_cleared },
	{ "exposed_gib_s", "GiB s", "GiB that it could reach without snooping, times seconds",
	  OUT_PLAIN, OUT_IN_TABLE, 8, get_exposed },
	{ 0 },
};

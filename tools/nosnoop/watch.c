// SPDX-License-Identifier: GPL-2.0
#include "watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../lib/num.h"
#include "../lib/procutil.h"
#include "fields.h"
#include "watch_int.h"

#define NSEC_PER_SEC 1000000000ULL

/* How often functions and their owners are looked for anew. */
#define LIST_NS (5 * NSEC_PER_SEC)

static const char why_no_writes[] =
	"no kernel reports guests' writes to the bit; those that change it between two readings are in changes";

static const char *const always_hides[] = {
	"a root port that ignores no-snoop",
	"an IOMMU that blocks it",
	"a device that was not at work",
};

/* The socket of the function's NUMA node, by its first CPU. */
static int socket_of(int rootfd, int node)
{
	unsigned int *cpus = NULL;
	char path[96], text[4096];
	uint64_t socket;
	size_t n = 0;
	int v = -1;

	if (node < 0)
		return -1;
	snprintf(path, sizeof(path), "sys/devices/system/node/node%d/cpulist", node);
	if (proc_read_attr(rootfd, path, text, sizeof(text)) <= 0 ||
	    num_cpulist(text, 1 << 20, &cpus, &n) || !n)
		goto out;
	snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/topology/physical_package_id",
		 cpus[0]);
	if (!proc_read_number(rootfd, path, 10, &socket) && socket < 65536)
		v = socket;
out:
	free(cpus);
	return v;
}

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

static const char *bit_word(enum dev_no_snoop n)
{
	return n == DEV_NO_SNOOP_ENABLED ? "set" :
	       n == DEV_NO_SNOOP_UNKNOWN ? "not known" :
					   "cleared";
}

static bool is_set(const struct func_row *r)
{
	return r->d.no_snoop == DEV_NO_SNOOP_ENABLED;
}

static void count_reading(struct func_row *r)
{
	if (r->f.suspended || r->d.no_snoop == DEV_NO_SNOOP_UNKNOWN)
		return;
	r->readings++;
	r->set_readings += is_set(r);
}

static void note_change(const struct watch *w, struct func_row *r, enum dev_no_snoop before)
{
	char text[96];

	if (before == r->d.no_snoop || before == DEV_NO_SNOOP_UNKNOWN ||
	    r->d.no_snoop == DEV_NO_SNOOP_UNKNOWN)
		return;
	r->changes++;
	snprintf(text, sizeof(text), "Enable No Snoop: %s, was %s", bit_word(r->d.no_snoop),
		 bit_word(before));
	watch_tell(w, r->d.bdf, text);
}

/* What is followed from one list to the next. */
static void carry_over(struct watch *w, struct func_list *old)
{
	for (size_t i = 0; i < w->l.n; i++) {
		struct func_row *r = &w->l.rows[i], *o = func_find(old, r->d.bdf);
		char text[160];

		r->socket = socket_of(dev_scan_rootfd(w->tree.scan), r->f.numa_node);
		if (!o) {
			watch_log_first_seen(w, r);
			continue;
		}
		r->x = o->x;
		r->readings = o->readings;
		r->set_readings = o->set_readings;
		r->changes = o->changes;
		/* What it was before it fell asleep. */
		if (r->f.suspended && r->d.no_snoop == DEV_NO_SNOOP_UNKNOWN) {
			r->d.no_snoop = o->d.no_snoop;
			r->why_no_snoop = o->why_no_snoop;
			func_judge(r);
		}
		note_change(w, r, o->d.no_snoop);
		if (o->owner.pid == r->owner.pid && o->owner.start == r->owner.start)
			continue;
		snprintf(text, sizeof(text), "held by %s, was by %s",
			 r->owner.pid ? r->owner.name : "nobody",
			 o->owner.pid ? o->owner.name : "nobody");
		watch_tell(w, r->d.bdf, text);
	}
}

static int list_anew(struct watch *w)
{
	struct func_list old = w->l;
	size_t kept = 0;
	int err;

	memset(&w->l, 0, sizeof(w->l));
	err = func_list_read(w->tree.scan, w->tree.procfs, !w->all, &w->l);
	for (size_t i = 0; !err && i < w->l.n; i++) {
		struct func_row r = w->l.rows[i];

		/* Those that are left out go behind the others, to be freed with them. */
		if (!filter_passes(w->filter, &r))
			continue;
		memmove(&w->l.rows[kept + 1], &w->l.rows[kept], (i - kept) * sizeof(r));
		w->l.rows[kept++] = r;
	}
	for (size_t i = kept; !err && i < w->l.n; i++) {
		device_clear(&w->l.rows[i].d);
		free(w->l.rows[i].owner.name);
		free(w->l.rows[i].owner.id);
	}
	if (!err) {
		w->l.n = kept;
		carry_over(w, &old);
	}
	func_list_free(&old);
	w->listed_ns = w->time_ns;
	return err;
}

static int read_bits(struct watch *w)
{
	for (size_t i = 0; i < w->l.n; i++) {
		struct func_row *r = &w->l.rows[i];
		enum dev_no_snoop before = r->d.no_snoop;
		int err = func_reread(w->tree.scan, r);

		/* The next list leaves it out. */
		if (err == -ENODEV) {
			w->listed_ns = 0;
			continue;
		}
		if (err)
			return err;
		note_change(w, r, before);
	}
	return 0;
}

int watch_read(struct watch *w)
{
	uint64_t now = monotonic_ns();
	int err;

	w->interval_ns = w->time_ns ? now - w->time_ns : 0;
	w->time_ns = now;
	err = watch_log_read(w);
	if (err)
		return err;
	if (!w->listed_ns || now - w->listed_ns >= LIST_NS)
		err = list_anew(w);
	else
		err = read_bits(w);
	for (size_t i = 0; !err && i < w->l.n; i++)
		count_reading(&w->l.rows[i]);
	if (!err)
		watch_log_apply(w);
	if (!err && w->pmu && pmu_read(w->pmu)) {
		pmu_close(w->pmu);
		w->pmu = NULL;
		w->pmu_why = "the counters could not be read any more";
	}
	return err;
}

int watch_open(struct watch *w, const char *root, const struct filter *filter, bool all)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int err;

	memset(w, 0, sizeof(*w));
	w->filter = filter;
	w->all = all;
	w->cpus = cpus > 0 ? cpus : 1;
	err = tree_open(&w->tree, root);
	if (err)
		return err;
	watch_log_open(w, !root);
	w->pmu_why = "not measurable: this is not the running system";
	if (!root)
		w->pmu = pmu_open(dev_scan_rootfd(w->tree.scan), &w->pmu_why);
	return 0;
}

void watch_close(struct watch *w)
{
	pmu_close(w->pmu);
	watch_log_close(w);
	func_list_free(&w->l);
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
		for (int kind = 0; kind < PMU_NR_KINDS; kind++)
			if (!s[i].known[kind] || s[i].share[kind] < 0.99)
				return "partial";
	return n ? "full" : "none";
}

static json_t *count_json(const struct pmu_socket *s, enum pmu_kind kind)
{
	return json_integer(s->known[kind] ? (json_int_t)(s->count[kind] + 0.5) : 0);
}

static json_t *share_json(const struct pmu_socket *s, enum pmu_kind kind)
{
	return s->known[kind] ? json_real(s->share[kind]) : json_null();
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
	size_t n = 0;

	if (w->pmu)
		s = pmu_sockets(w->pmu, &n);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(sockets, socket_json(&s[i]));
	for (size_t i = 0; w->pmu && i < sizeof(always_hides) / sizeof(always_hides[0]); i++)
		json_array_append_new(hides, json_string(always_hides[i]));
	if (w->pmu && pmu_generation(w->pmu)->hides)
		json_array_append_new(hides, json_string(pmu_generation(w->pmu)->hides));
	return json_pack("{s:s,s:s?,s:s?,s:o,s:o}", "coverage", coverage(w), "reason", w->pmu_why,
			 "cpu", w->pmu ? pmu_generation(w->pmu)->name : NULL, "zero_may_hide",
			 hides, "sockets", sockets);
}

static int add_watched(const struct watch *w, json_t *obj, const struct func_row *r)
{
	json_t *more = json_pack("{s:o,s:I,s:I,s:i,s:n,s:s}", "socket",
				 r->socket >= 0 ? json_integer(r->socket) : json_null(), "readings",
				 (json_int_t)r->readings, "set_readings",
				 (json_int_t)r->set_readings, "changes", (int)r->changes,
				 "guest_writes", "guest_writes_why", why_no_writes);
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
	return array;
}

json_t *watch_json(const struct watch *w)
{
	json_t *root = frame_head("watch", w->time_ns, w->interval_ns), *functions = json_array();
	bool ok = root && functions && !watch_log_json(w, root) &&
		  !json_object_set_new(root, "cpus", json_integer(w->cpus)) &&
		  !json_object_set_new(root, "requests", requests_json(w)) &&
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

void watch_requests_text(FILE *f, const struct watch *w)
{
	const struct pmu_socket *s;
	size_t n;

	if (!w->pmu) {
		fprintf(f, "no-snoop requests: %s\n", w->pmu_why);
		return;
	}
	s = pmu_sockets(w->pmu, &n);
	for (size_t i = 0; i < n; i++) {
		double sum = s[i].count[0] + s[i].count[1] + s[i].count[2];

		fprintf(f,
			"no-snoop requests, socket %u: reads %.0f (counted %.0f %% of the time), writes %.0f (%.0f %%), partial writes ",
			s[i].socket, s[i].count[PMU_READS], 100 * s[i].share[PMU_READS],
			s[i].count[PMU_WRITES], 100 * s[i].share[PMU_WRITES]);
		if (s[i].known[PMU_PARTIAL_WRITES])
			fprintf(f, "%.0f (%.0f %%)\n", s[i].count[PMU_PARTIAL_WRITES],
				100 * s[i].share[PMU_PARTIAL_WRITES]);
		else
			fputs("not measurable\n", f);
		if (sum > 0)
			continue;
		fputs("    0 may hide:", f);
		for (size_t k = 0; k < sizeof(always_hides) / sizeof(always_hides[0]); k++)
			fprintf(f, "%s %s", k ? ";" : "", always_hides[k]);
		if (pmu_generation(w->pmu)->hides)
			fprintf(f, "; %s", pmu_generation(w->pmu)->hides);
		fputc('\n', f);
	}
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
	v->s = bit_word(r->d.no_snoop);
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
	{ "exposed_gib_s", "GiB s", "GiB that it could reach without snooping, times seconds",
	  OUT_PLAIN, OUT_IN_TABLE, 8, get_exposed },
	{ 0 },
};

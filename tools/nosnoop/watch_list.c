// SPDX-License-Identifier: GPL-2.0
/* The part of watch that finds functions and owners, and reads the bit. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/num.h"
#include "../lib/procutil.h"
#include "owners.h"
#include "watch_int.h"

#define NSEC_PER_SEC 1000000000ULL

/* How often functions and their owners are looked for anew. */
#define LIST_NS (5 * NSEC_PER_SEC)

/* How often all is read again of functions that are the same by address. */
#define FULL_NS (300 * NSEC_PER_SEC)

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

const char *watch_bit_word(enum dev_no_snoop n)
{
	return n == DEV_NO_SNOOP_ENABLED ? "set" :
	       n == DEV_NO_SNOOP_UNKNOWN ? "not known" :
					   "cleared";
}

/* From the last reading on, whatever could not be read in between. */
static void note_change(const struct watch *w, struct func_row *r)
{
	enum dev_no_snoop before = r->last;
	char text[96];

	if (r->d.no_snoop == DEV_NO_SNOOP_UNKNOWN)
		return;
	r->last = r->d.no_snoop;
	/* A proof that comes or goes changes nothing in the bit. */
	if ((before == DEV_NO_SNOOP_ENABLED) == (r->d.no_snoop == DEV_NO_SNOOP_ENABLED) ||
	    before == DEV_NO_SNOOP_UNKNOWN)
		return;
	r->changes++;
	snprintf(text, sizeof(text), "Enable No Snoop: %s, was %s", watch_bit_word(r->d.no_snoop),
		 watch_bit_word(before));
	watch_tell(w, r->d.bdf, text);
}

/*
 * Who held it before, and whether that process had an address space.  It may close that before
 * it gives the function back, as one that ends does: what it mapped stays until then, and the
 * kernel goes on telling of it.
 */
static void note_owner(const struct watch *w, struct func_row *r, const struct owner *before,
		       bool had_ioas)
{
	char text[160];

	if (before->pid == r->owner.pid && before->start == r->owner.start) {
		r->has_ioas |= had_ioas;
		return;
	}
	snprintf(text, sizeof(text), "held by %s, was by %s",
		 r->owner.pid ? r->owner.name : "nobody", before->pid ? before->name : "nobody");
	watch_tell(w, r->d.bdf, text);
}

static bool same_device(const struct func_row *r, const struct func_row *o)
{
	return r->f.vendor == o->f.vendor && r->f.device == o->f.device;
}

/* What it was before it fell asleep. */
static void last_known(struct func_row *r, const struct func_row *o)
{
	r->f.port_type = o->f.port_type;
	r->f.port_err = o->f.port_err;
	r->f.port_why = o->f.port_why;
	if (r->d.no_snoop == DEV_NO_SNOOP_UNKNOWN) {
		r->d.no_snoop = o->d.no_snoop;
		r->why_no_snoop = o->why_no_snoop;
	}
	func_judge(r);
}

/* What is followed from one list to the next. */
static void carry_over(struct watch *w, struct func_list *old)
{
	for (size_t i = 0; i < w->l.n; i++) {
		struct func_row *r = &w->l.rows[i], *o = func_find(old, r->d.bdf);

		r->socket = socket_of(dev_scan_rootfd(w->tree.scan), r->f.numa_node);
		if (!o) {
			r->last = r->d.no_snoop;
			watch_log_first_seen(w, r);
			continue;
		}
		r->x = o->x;
		r->readings = o->readings;
		r->set_readings = o->set_readings;
		r->changes = o->changes;
		r->writes = o->writes;
		r->last = o->last;
		r->seen_set |= o->seen_set && same_device(r, o);
		if (r->f.suspended && same_device(r, o))
			last_known(r, o);
		else if (r->seen_set)
			func_judge(r);
		note_change(w, r);
		note_owner(w, r, &o->owner, o->has_ioas);
	}
}

static bool maps_known(const struct func_row *r)
{
	return r->has_ioas && !r->has_container;
}

static int note_left(struct watch *w, const struct func_list *old)
{
	int err = 0;

	for (size_t i = 0; !err && i < old->n; i++)
		err = watch_log_left(w, &old->rows[i].owner, maps_known(&old->rows[i]));
	return err;
}

/* All addresses, those of functions that are not watched, too. */
static int keep_names(struct watch *w)
{
	free(w->names);
	w->names = NULL;
	return dev_scan_list(w->tree.scan, &w->names, &w->nr_names);
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
	for (size_t i = kept; !err && i < w->l.n; i++)
		func_row_clear(&w->l.rows[i]);
	if (!err) {
		w->l.n = kept;
		carry_over(w, &old);
		err = note_left(w, &old);
	}
	func_list_free(&old);
	w->listed_ns = w->checked_ns = w->at.time_ns;
	return err ? err : keep_names(w);
}

static bool same_driver(struct watch *w, const struct func_row *r)
{
	char path[96], driver[sizeof(r->f.driver)];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver", r->d.bdf);
	if (proc_read_link_name(dev_scan_rootfd(w->tree.scan), path, driver, sizeof(driver)) < 0)
		*driver = '\0';
	return !strcmp(driver, r->f.driver);
}

/* Whether the functions are those that were listed; their drivers count where they select. */
static int still_same(struct watch *w, bool *same)
{
	char(*names)[16];
	size_t n;
	int err = dev_scan_list(w->tree.scan, &names, &n);

	if (err)
		return err;
	*same = n == w->nr_names && (!n || !memcmp(names, w->names, n * sizeof(*names)));
	free(names);
	for (size_t i = 0; *same && w->filter->nr_drivers && i < w->l.n; i++)
		*same = same_driver(w, &w->l.rows[i]);
	return 0;
}

static int refresh_owners(struct watch *w)
{
	struct {
		struct owner owner;
		bool has_ioas, known;
	} *before = calloc(w->l.n ? w->l.n : 1, sizeof(*before));
	int err = before ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < w->l.n; i++) {
		before[i].owner = w->l.rows[i].owner;
		before[i].has_ioas = w->l.rows[i].has_ioas;
		before[i].known = maps_known(&w->l.rows[i]);
		memset(&w->l.rows[i].owner, 0, sizeof(before->owner));
	}
	if (!err)
		err = func_list_owners(w->tree.scan, w->tree.procfs, &w->l);
	for (size_t i = 0; before && i < w->l.n; i++) {
		if (!err) {
			note_owner(w, &w->l.rows[i], &before[i].owner, before[i].has_ioas);
			err = watch_log_left(w, &before[i].owner, before[i].known);
		}
		owner_clear(&before[i].owner);
	}
	free(before);
	return err;
}

static int read_bits(struct watch *w)
{
	for (size_t i = 0; i < w->l.n; i++) {
		struct func_row *r = &w->l.rows[i];
		int err = func_reread(w->tree.scan, r);

		/* The next list leaves it out. */
		if (err == -ENODEV) {
			w->listed_ns = 0;
			continue;
		}
		if (err)
			return err;
		note_change(w, r);
	}
	return 0;
}

int watch_list_poll(struct watch *w)
{
	for (size_t i = 0; i < w->l.n; i++) {
		struct func_row *r = &w->l.rows[i];
		int err;

		/* What could never be read is the next reading's; what sleeps is asked only whether it woke. */
		if (!r->f.suspended && r->fds.config < 0 && r->d.no_snoop == DEV_NO_SNOOP_UNKNOWN)
			continue;
		if (!func_reads_same(dev_scan_rootfd(w->tree.scan), r)) {
			err = func_reread(w->tree.scan, r);
			if (err == -ENODEV)
				w->listed_ns = 0;
			else if (err)
				return err;
			if (err)
				continue;
			note_change(w, r);
		}
		watch_count_reading(r);
	}
	return 0;
}

int watch_list_read(struct watch *w)
{
	bool same = false;
	int err = 0;

	if (!w->listed_ns || w->at.time_ns - w->listed_ns >= FULL_NS)
		return list_anew(w);
	if (w->at.time_ns - w->checked_ns < LIST_NS)
		return read_bits(w);
	/* Of few functions the long way is as short. */
	if (w->all)
		err = still_same(w, &same);
	if (err || !same)
		return err ? err : list_anew(w);
	w->checked_ns = w->at.time_ns;
	err = refresh_owners(w);
	return err ? err : read_bits(w);
}

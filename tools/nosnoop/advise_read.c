// SPDX-License-Identifier: GPL-2.0
/* The recordings of one side, and nosnoop's line by line. */
#include "advise_side.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../lib/dmalog.h"
#include "../lib/jread.h"
#include "../lib/log.h"
#include "../lib/num.h"
#include "fields.h"

#define NSEC_PER_SEC   1000000000LL
#define LINE_MAX_BYTES (32u << 20)
#define LIMIT	       1000000000000000000ULL

/* --- nosnoop's ------------------------------------------------------------ */

/* A line of a recording, and the side that it is read into. */
struct line {
	struct adv_side *s;
	const json_t *root;
	const json_t *requests; /* NULL: it has none */
	int64_t wall_ns;
	uint64_t time_ns, interval_ns;
	struct adv_when when;
	uint64_t covered_ns; /* of the time in common, by watch */
	bool watched;	     /* by watch; list sees one moment */
	bool in_common; /* what costs and counts are taken from; all else holds whenever it was */
	bool maps_lost;
};

typedef int (*element_cb)(struct jread *j, struct line *l, const json_t *obj, size_t nr);

/* The elements of an array of the line, which recordings of other versions may lack unless it is needed. */
static int each_element(struct jread *j, struct line *l, const char *key, bool needed,
			element_cb cb)
{
	json_t *array, *obj;
	size_t i;
	int err;

	jread_at(j, "%s", "");
	if (!needed && !json_object_get(l->root, key))
		return 0;
	err = jread_array(j, l->root, key, &array);
	if (err)
		return err;
	json_array_foreach(array, i, obj) {
		jread_at(j, "%s[%zu].", key, i);
		err = cb(j, l, obj, i);
		if (err)
			return err;
	}
	return 0;
}

/* One of a few words, or null.  *i is its place, -1 for null. */
static int read_word(struct jread *j, const json_t *obj, const char *key, const char *const *words,
		     int *i)
{
	const json_t *v = json_object_get(obj, key);

	*i = -1;
	if (!v)
		return jread_bad(j, "%s%s is missing", j->where, key);
	if (json_is_null(v))
		return 0;
	if (json_is_string(v))
		for (int k = 0; words[k]; k++)
			if (!strcmp(json_string_value(v), words[k])) {
				*i = k;
				return 0;
			}
	return jread_bad(j, "%s%s is none of the words it may be", j->where, key);
}

static const char *rule_kind(int kind, int listed)
{
	/* In the order of words in read_device(). */
	static const char *const kinds[] = { "vf", "integrated", "display" };

	if (kind >= 0 && kind < 3)
		return kinds[kind];
	if (listed > 0)
		return "listed";
	return kind >= 0 && !listed ? "other" : NULL;
}

static int read_proof(struct jread *j, const json_t *obj, struct adv_dev *d)
{
	char *by = NULL, *when = NULL, *text = NULL;
	json_t *proof;
	int err = jread_obj(j, obj, "proof", &proof);

	if (!err)
		err = jread_str_null(j, proof, "by", &by);
	if (!err)
		err = jread_str_null(j, proof, "time", &when);
	if (!err && !by)
		err = jread_bad(j, "%sability is \"cannot\" without a proof", j->where);
	if (!err && asprintf(&text, "%s, %s", by, when ? when : "at an unknown time") < 0)
		err = -ENOMEM;
	if (!err)
		err = side_dev_proof(d, text);
	free(by);
	free(when);
	free(text);
	return err;
}

static int read_ability(struct jread *j, const json_t *obj, struct adv_dev *d)
{
	static const char *const words[] = { "cannot", "can", NULL };
	int can, err = read_word(j, obj, "ability", words, &can);

	if (err || can < 0)
		return err;
	side_dev_can(d, can);
	return can ? 0 : read_proof(j, obj, d);
}

/* A reading by list: as one by wbinvdtop it is of no time.  bit: as in read_bit(), -1 also of one that sleeps. */
static void note_moment(const struct line *l, struct adv_dev *d, int bit)
{
	if (bit < 0)
		d->else_unread = true;
	else if (bit == 0)
		side_dev_found_set(l->s, d, l->wall_ns);
	else
		d->clear++;
}

static int read_bit(struct jread *j, const struct line *l, const json_t *obj, int box,
		    struct adv_dev *d)
{
	static const char *const words[] = { "enabled", "disabled", "hardwired0", NULL };
	bool asleep = false;
	int bit, blocked, err = read_word(j, obj, "no_snoop", words, &bit);

	if (!err)
		err = jread_bool(j, obj, "suspended", &asleep);
	if (err)
		return err;
	/* A function that sleeps makes no accesses: what was last read still holds. */
	d->was_set |= asleep && bit == 0;
	if (!l->watched)
		note_moment(l, d, asleep ? -1 : bit);
	else if (asleep)
		d->asleep++;
	else
		*(bit < 0 ? &d->unread : bit == 0 ? &d->set : &d->clear) += 1;
	if (bit == 0)
		side_dev_can(d, true);
	d->watch_lines += l->watched;
	if (!json_object_get(obj, "blocked"))
		return 0;
	err = jread_bool_null(j, obj, "blocked", &blocked);
	if (!err && blocked > 0)
		d->blocked += l->watched;
	else if (!err && !blocked)
		d->unblocked += l->watched || side_was_watched(l->s, l->wall_ns);
	d->distrusted |= !err && blocked > 0 && (box == 1 || box == 3);
	return err;
}

static int note_stay(const struct line *l, struct adv_dev *d, struct adv_vm *vm, int box)
{
	if (!l->watched)
		return 0;
	if (vm && l->when.rank == WHEN_INSIDE && l->wall_ns > vm->alive_ns)
		vm->alive_ns = l->wall_ns;
	return side_dev_stay(l->s, d, l->wall_ns, vm ? vm->id : NULL, vm ? vm->start : 0, box);
}

static int read_owner(struct jread *j, const struct line *l, const json_t *obj, int box,
		      struct adv_dev *d)
{
	struct adv_vm *of = NULL;
	char *id = NULL, *name = NULL;
	uint64_t start = 0;
	bool null;
	json_t *vm;
	int err = jread_obj(j, obj, "vm", &vm);

	if (!err)
		err = jread_str_null(j, vm, "id", &id);
	if (!err)
		err = jread_str_null(j, vm, "name", &name);
	if (!err)
		err = jread_u64_null(j, vm, "start", 0, LIMIT, &start, &null);
	if (!err && id) {
		err = side_dev_owner(d, l->when, id, start);
		of = err ? NULL : side_vm(l->s, id, start, name);
		if (of)
			side_vm_seen(l->s, of, l->wall_ns);
		else
			err = -ENOMEM;
	}
	if (!err)
		err = note_stay(l, d, of, box);
	free(id);
	free(name);
	return err;
}

/* The numbers, which recordings of other versions may lack. */
static int read_id(struct jread *j, const json_t *obj, const char *key, int64_t *id, bool *differs)
{
	uint64_t v = 0;
	bool null = true;
	int err = json_object_get(obj, key) ? jread_u64_null(j, obj, key, 0, 0xffff, &v, &null) : 0;

	if (err || null)
		return err;
	*differs |= *id >= 0 && *id != (int64_t)v;
	*id = v;
	return 0;
}

static int read_identity(struct jread *j, const json_t *obj, struct adv_dev *d)
{
	int err = read_id(j, obj, "vendor", &d->vendor, &d->renamed);

	return err ? err : read_id(j, obj, "device", &d->device, &d->renamed);
}

/* Recordings of other versions have none. */
static int read_box(struct jread *j, const struct line *l, const json_t *obj, size_t nr,
		    struct adv_dev *d, int *told)
{
	const json_t *domain = json_object_get(obj, "domain");
	uint64_t box = 0;
	bool null = true;
	int err;

	*told = BOX_UNTOLD;
	if (!json_object_get(domain, "box"))
		return 0;
	jread_at(j, "functions[%zu].domain.", nr);
	err = jread_u64_null(j, domain, "box", 1, 4, &box, &null);
	jread_at(j, "functions[%zu].", nr);
	*told = box;
	if (!err && !null)
		side_dev_box(d, l->when, box);
	return err;
}

/* NULL in *out: a bridge, about whose own accesses nobody decides. */
static int read_device(struct jread *j, const struct line *l, const json_t *obj, size_t nr,
		       struct adv_dev **out)
{
	static const char *const kinds[] = { "vf", "integrated", "display", "endpoint",
					     "pf", "bridge",	 NULL };
	struct adv_side *s = l->s;
	char *told = NULL, *name = NULL, bdf[16];
	bool null = true;
	uint64_t size = 0;
	struct adv_dev *d;
	int kind, listed = -1, backdoor = -1, blocks = -1, box, err;

	*out = NULL;
	err = jread_str(j, obj, "bdf", &told);
	if (!err && num_bdf(told, bdf, sizeof(bdf)))
		err = jread_bad(j, "%sbdf is no PCI address", j->where);
	if (!err)
		err = read_word(j, obj, "kind", kinds, &kind);
	if (!err)
		err = jread_str_null(j, obj, "name", &name);
	if (!err)
		err = jread_bool_null(j, obj, "listed", &listed);
	if (!err)
		err = jread_bool_null(j, obj, "backdoor", &backdoor);
	if (!err)
		err = jread_bool_null(j, obj, "snoop_control", &blocks);
	if (!err)
		err = jread_u64_null(j, obj, "group_size", 0, 65536, &size, &null);
	if (err || kind == 5)
		goto out;
	d = side_dev(s, bdf);
	err = !d || side_dev_name(d, name) ? -ENOMEM : 0;
	if (!err)
		err = read_identity(j, obj, d);
	if (err)
		goto out;
	if (d->line == s->lines) {
		err = jread_bad(j, "%sbdf is there twice in this line", j->where);
		goto out;
	}
	d->line = s->lines;
	d->lines++;
	/* What one recording knows against a device, another that does not know it does not undo. */
	side_dev_kind(d, rule_kind(kind, listed));
	if (backdoor > 0 || listed > 0)
		d->backdoor = TRI_YES;
	else if (d->backdoor != TRI_YES && !backdoor)
		d->backdoor = TRI_NO;
	if (blocks >= 0)
		side_dev_blocks(d, blocks);
	if (!null && d->alone != TRI_NO)
		d->alone = size == 1 ? TRI_YES : TRI_NO;
	err = read_ability(j, obj, d);
	if (!err)
		err = read_box(j, l, obj, nr, d, &box);
	if (!err)
		err = read_bit(j, l, obj, box, d);
	if (!err)
		err = read_owner(j, l, obj, box, d);
	*out = d;
out:
	free(told);
	free(name);
	return err;
}

/* Counts of one socket.  *whole is cleared where one of the three kinds is not known. */
static int read_socket(struct jread *j, const json_t *obj, uint64_t *sum, bool *whole)
{
	static const char *const keys[] = { "reads", "writes", "partial_writes" };
	bool null = false;
	uint64_t v = 0;
	int err = 0;

	*sum = 0;
	for (size_t i = 0; !err && i < 3; i++) {
		err = jread_u64_null(j, obj, keys[i], 0, LIMIT / 4, &v, &null);
		*whole &= !null;
		*sum += null ? 0 : v;
	}
	return err;
}

/* Of the function's socket, or of all where it is not known. */
static int read_requests(struct jread *j, const json_t *requests, const json_t *function,
			 struct adv_dev *d)
{
	static const char *const words[] = { "none", "partial", "full", NULL };
	bool found = false;
	json_t *sockets, *one;
	uint64_t socket = 0, sum = 0, at, count;
	bool null = true, whole = true;
	size_t i;
	int coverage, err;

	jread_at(j, "requests.");
	err = read_word(j, requests, "coverage", words, &coverage);
	if (!err && coverage < 0)
		err = jread_bad(j, "requests.coverage is null");
	if (!err)
		err = jread_array(j, requests, "sockets", &sockets);
	if (!err && json_object_get(function, "socket"))
		err = jread_u64_null(j, function, "socket", 0, 65536, &socket, &null);
	if (err)
		return err;
	json_array_foreach(sockets, i, one) {
		err = jread_u64(j, one, "socket", 0, 65536, &at);
		if (!err)
			err = read_socket(j, one, &count, &whole);
		if (err)
			return err;
		if (!null && at != socket)
			continue;
		found = true;
		sum += count;
	}
	if (sum > LIMIT || d->requests_here > LIMIT)
		return jread_bad(j, "requests are absurdly many");
	d->no_socket |= !found && coverage != COVERAGE_NONE;
	if (!found)
		coverage = COVERAGE_NONE;
	else if (!whole && coverage == COVERAGE_FULL)
		coverage = COVERAGE_PARTIAL;
	d->all_sockets |= null;
	/* The worst of all readings. */
	if (d->coverage_here == COVERAGE_UNKNOWN || coverage < (int)d->coverage_here)
		d->coverage_here = coverage;
	d->requests_here += sum;
	if (d->requests_here > d->requests)
		d->requests = d->requests_here;
	return 0;
}

/* Time spent flushing for a VM at map and unmap, in the interval; null in one line: not known. */
static int read_flush(struct jread *j, struct line *l, const json_t *obj, size_t nr)
{
	uint64_t start = 0, ns = 0;
	int64_t start_ns, end_ns;
	struct adv_vm *vm = NULL;
	bool no_start, null;
	char *id = NULL, *name = NULL;
	int err;

	(void)nr;
	err = jread_str_null(j, obj, "id", &id);
	/* Recordings of other versions have none. */
	if (!err && json_object_get(obj, "name"))
		err = jread_str_null(j, obj, "name", &name);
	if (!err)
		err = jread_u64_null(j, obj, "start", 0, LIMIT, &start, &no_start);
	if (!err)
		err = jread_u64_null(j, obj, "flush_ns", 0, LIMIT / 1000, &ns, &null);
	if (!err && id)
		vm = side_vm(l->s, id, start, name);
	if (!err && id && !vm)
		err = -ENOMEM;
	free(id);
	free(name);
	if (vm)
		side_vm_seen(l->s, vm, l->wall_ns);
	if (err || !vm || !l->in_common)
		return err;
	start_ns = l->wall_ns - (int64_t)l->interval_ns;
	if (start_ns < l->s->from_ns)
		start_ns = l->s->from_ns;
	end_ns = l->wall_ns < l->s->to_ns ? l->wall_ns : l->s->to_ns;
	if (vm->line == l->s->lines)
		return jread_bad(j, "%sid is there twice in this line", j->where);
	vm->line = l->s->lines;
	if (ns > LIMIT || vm->flush_ns > LIMIT)
		return jread_bad(j, "%sflush_ns is absurd", j->where);
	if (!vm->flush_first_ns || start_ns < vm->flush_first_ns)
		vm->flush_first_ns = start_ns;
	if (end_ns > vm->flush_last_ns)
		vm->flush_last_ns = end_ns;
	vm->flush_span_ns += l->covered_ns;
	vm->flush_lost |= l->maps_lost;
	vm->flush_gap |= null;
	vm->flush_known = !vm->flush_gap;
	vm->flush_ns += ns;
	return 0;
}

/* Those that recordings of other versions lack are not known. */
static int read_count(struct jread *j, const json_t *obj, const char *key, uint64_t *n, bool *null)
{
	*n = 0;
	*null = true;
	return json_object_get(obj, key) ? jread_u64_null(j, obj, key, 0, LIMIT, n, null) : 0;
}

/* What watch saw of the bit between its lines; list sees one moment. */
static int read_watched(struct jread *j, const json_t *obj, struct adv_dev *d)
{
	uint64_t changes = 0, set = 0, ops = 0;
	bool no_changes = true, no_set = true, no_ops = true;
	int err = read_count(j, obj, "changes", &changes, &no_changes);

	if (!err)
		err = read_count(j, obj, "set_readings", &set, &no_set);
	if (!err)
		err = read_count(j, obj, "no_snoop_operations", &ops, &no_ops);
	d->let_go |= changes || set;
	if (changes || set) {
		d->set++;
		side_dev_can(d, true);
	}
	d->unheard |= no_changes || no_set || no_ops;
	if (ops > d->ops)
		d->ops = ops;
	return err;
}

static int read_function(struct jread *j, struct line *l, const json_t *obj, size_t nr)
{
	struct adv_dev *d;
	int err = read_device(j, l, obj, nr, &d);

	if (!err && d && l->watched)
		err = read_watched(j, obj, d);
	if (!err && d && l->requests && l->in_common)
		err = read_requests(j, l->requests, obj, d);
	return err;
}

static int read_event(struct jread *j, struct line *l, const json_t *obj, size_t nr)
{
	const char *kind = json_string_value(json_object_get(obj, "kind"));
	const char *bdf = json_string_value(json_object_get(obj, "device"));
	struct dmalog_event e = { .kind = DMALOG_NO_SNOOP };
	uint64_t time_ns = 0, box = 0, op = 0, before = 0, after = 0;
	struct adv_dev *d;
	bool null;
	int err;

	(void)nr;
	if (kind && !strcmp(kind, dmalog_kind_name(DMALOG_BOX)))
		e.kind = DMALOG_BOX;
	else if (!kind || strcmp(kind, dmalog_kind_name(DMALOG_NO_SNOOP)))
		return 0;
	if (!bdf)
		return 0;
	snprintf(e.dev, sizeof(e.dev), "%s", bdf);
	err = read_count(j, obj, "time_ns", &time_ns, &null);
	if (!err && e.kind == DMALOG_BOX)
		err = jread_u64(j, obj, "box", 0, 4, &box);
	else if (!err)
		err = jread_u64(j, obj, "op", 0, UINT32_MAX, &op);
	if (!err)
		err = read_count(j, obj, "before", &before, &null);
	if (!err)
		err = read_count(j, obj, "after", &after, &null);
	if (err)
		return err;
	e.time_ns = time_ns;
	e.box = box;
	e.op = op;
	e.before = before;
	e.after = after;
	d = side_find_dev(l->s, bdf);
	if (d && e.kind == DMALOG_NO_SNOOP && (op == DMALOG_OP_BLOCK || op == DMALOG_OP_REASSERT))
		d->blocking_ops++;
	return side_event(l->s, &e, l->wall_ns, l->time_ns);
}

static int read_head(struct jread *j, struct line *l)
{
	struct adv_side *s = l->s;
	bool no_cpus = false;
	uint64_t cpus = 0;
	char *text = NULL;
	int err = jread_str(j, l->root, "schema", &text);

	if (!err && strcmp(text, NS_SCHEMA))
		err = jread_bad(
			j, "schema is \"%s\", not \"%s\": written by another version or program",
			text, NS_SCHEMA);
	free(text);
	text = NULL;
	/* A tree that was collected elsewhere need not tell either. */
	if (!err)
		err = jread_str_null(j, l->root, "kernel", &text);
	if (!err && text)
		err = side_kernel(s, text);
	free(text);
	if (!err && json_object_get(l->root, "cpus")) {
		err = jread_u64_null(j, l->root, "cpus", 1, 1 << 20, &cpus, &no_cpus);
		/* CPUs that come and go: the fewest make the cost the highest. */
		if (!err && !no_cpus && (!s->cpus || cpus < s->cpus))
			s->cpus = cpus;
	}
	if (!err && l->requests && !json_is_object(l->requests))
		err = jread_bad(j, "requests is not an object");
	return err;
}

static int read_losses(struct jread *j, struct line *l)
{
	const json_t *log = json_object_get(l->root, "log");
	bool no_events = true, no_maps = true;
	uint64_t events = 0, maps = 0;
	int err = 0;

	if (log && !json_is_object(log))
		err = jread_bad(j, "log is not an object");
	jread_at(j, "log.");
	if (!err)
		err = read_count(j, log, "lost_events", &events, &no_events);
	if (!err)
		err = read_count(j, log, "lost_maps", &maps, &no_maps);
	/* What is not told may have been. */
	l->maps_lost = no_events || events || no_maps || maps;
	l->s->events_lost |= l->watched && (no_events || events);
	return err;
}

static int read_frame(struct jread *j, struct line *l)
{
	int err = read_head(j, l);

	if (!err)
		err = read_losses(j, l);
	if (err)
		return err;
	l->s->lines++;
	l->s->watch_lines += l->watched;
	err = each_element(j, l, "functions", true, read_function);
	if (!err && l->watched)
		err = side_stays_read(l->s, l->wall_ns);
	if (!err)
		err = each_element(j, l, "events", false, read_event);
	return err ? err : each_element(j, l, "vms", false, read_flush);
}

static bool is_command(const json_t *root, const char *name)
{
	const char *command = json_string_value(json_object_get(root, "command"));

	return command && !strcmp(command, name);
}

int side_watch_line(struct adv_side *s, const char *text, size_t len, char **error)
{
	struct jread j = { 0 };
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	struct line l = { .s = s, .root = root, .requests = json_object_get(root, "requests") };
	bool null;
	int err;

	if (!root || !json_is_object(root))
		err = jread_bad(&j, "not a JSON object");
	else
		err = jread_time(&j, root, "time", &l.wall_ns);
	if (!err)
		err = read_count(&j, root, "time_ns", &l.time_ns, &null);
	if (!err)
		err = read_count(&j, root, "interval_ns", &l.interval_ns, &null);
	l.watched = is_command(root, "watch");
	if (!err && l.watched)
		l.covered_ns = side_watched(s, l.wall_ns, l.time_ns, l.interval_ns);
	l.when = side_when(s, l.wall_ns, l.watched);
	/* All of a line whose interval has some of that time: what it counts may be of that. */
	l.in_common = l.covered_ns || l.when.rank == WHEN_INSIDE;
	if (!err)
		err = read_frame(&j, &l);
	json_decref(root);
	*error = j.error;
	return err;
}

/* --- files ---------------------------------------------------------------- */

int advise_open(FILE **f, const char *what, const char *path)
{
	const char *is;
	struct stat st;
	int err;

	if (!stat(path, &st) && !S_ISREG(st.st_mode)) {
		is = S_ISDIR(st.st_mode)  ? "a directory" :
		     S_ISFIFO(st.st_mode) ? "a pipe" :
		     S_ISSOCK(st.st_mode) ? "a socket" :
					    "a device";
		log_err("%s %s is %s, not a file: write what it should be into one", what, path,
			is);
		return -EINVAL;
	}
	*f = fopen(path, "re");
	if (*f)
		return 0;
	err = errno;
	log_err("%s %s cannot be opened: %s", what, path, strerror(err));
	return err == EACCES || err == EPERM ? -EACCES : -EINVAL;
}

typedef int (*line_cb)(void *ctx, const char *line, size_t len, unsigned long nr);

static int each_line(const char *path, line_cb cb, void *ctx)
{
	unsigned long nr = 0;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	FILE *f;
	int err;

	err = advise_open(&f, "the recording", path);
	if (err)
		return err;
	errno = 0;
	while (!err && (n = getline(&line, &cap, f)) > 0) {
		nr++;
		if (line[n - 1] == '\n')
			n--;
		if (!n && jread_at_end(f)) {
			break;
		} else if (nr == 1 && n > 2 && !memcmp(line, "\xef\xbb\xbf", 3)) {
			log_err("%s begins with a byte order mark: take that away (sed '1s/^\\xEF\\xBB\\xBF//')",
				path);
			err = -EBADMSG;
		} else if ((size_t)n > LINE_MAX_BYTES) {
			log_err("%s, line %lu: longer than %u MiB, not a recording", path, nr,
				LINE_MAX_BYTES >> 20);
			err = -EBADMSG;
		} else {
			err = cb(ctx, line, n, nr);
		}
	}
	if (!err && ferror(f)) {
		err = -EIO;
		log_err("%s cannot be read: %s", path, strerror(errno));
	}
	free(line);
	fclose(f);
	return err;
}

struct peek {
	struct adv_file *file;
	bool cut; /* it does not end with a newline */
	char *last;
	size_t last_len;
};

/* What an interrupted writer leaves. */
static void say_cut(const struct adv_file *file, unsigned long nr)
{
	if (nr == 1)
		log_err("%s ends in the middle of line 1, before any is whole", file->path);
	else
		log_err("%s ends in the middle of line %lu; the %lu before it are whole: give a copy with these alone (head -n %lu)",
			file->path, nr, nr - 1, nr - 1);
}

static int peek_head(struct peek *p, const char *line, size_t len, unsigned long nr,
		     int64_t *wall_ns)
{
	struct adv_file *file = p->file;
	json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	struct jread j = { 0 };
	char *schema = NULL;
	int err = json_is_object(root) ? 0 : jread_bad(&j, "not a JSON object");

	if (!err)
		err = jread_str(&j, root, "schema", &schema);
	if (!err && strcmp(schema, NS_SCHEMA) && strcmp(schema, "wbinvdtop/1"))
		err = jread_bad(&j, "schema is \"%s\", neither \"%s\" nor \"wbinvdtop/1\"", schema,
				NS_SCHEMA);
	if (!err) {
		file->is_watch = !strcmp(schema, NS_SCHEMA);
		file->is_list =
			file->is_watch && is_command(root, "list") && (nr == 1 || file->is_list);
	}
	if (!err)
		err = jread_time(&j, root, "time", wall_ns);
	if (err == -EBADMSG && !root && p->cut && nr == file->lines)
		say_cut(file, nr);
	else if (err)
		log_err("%s, line %lu: %s", file->path, nr, j.error ? j.error : "out of memory");
	free(j.error);
	free(schema);
	json_decref(root);
	return err;
}

static int peek_line(void *ctx, const char *line, size_t len, unsigned long nr)
{
	struct peek *p = ctx;
	char *copy;

	p->file->lines = nr;
	p->cut = line[len] != '\n';
	if (nr == 1)
		return peek_head(p, line, len, nr, &p->file->first_ns);
	copy = realloc(p->last, len + 1);
	if (!copy)
		return -ENOMEM;
	p->last = copy;
	memcpy(copy, line, len);
	p->last_len = len;
	return 0;
}

int recording_peek(struct adv_file *file)
{
	struct peek p = { .file = file };
	int err = each_line(file->path, peek_line, &p);

	if (!err && !file->lines) {
		log_err("%s is empty; it should hold what --record or --json writes", file->path);
		err = -EBADMSG;
	}
	file->last_ns = file->first_ns;
	if (!err && p.last)
		err = peek_head(&p, p.last, p.last_len, file->lines, &file->last_ns);
	free(p.last);
	return err;
}

struct watch_ctx {
	struct adv_side *s;
	const char *path;
};

static int on_watch_line(void *ctx, const char *line, size_t len, unsigned long nr)
{
	struct watch_ctx *w = ctx;
	char *error = NULL;
	int err = side_watch_line(w->s, line, len, &error);

	if (err)
		log_err("%s, line %lu: %s", w->path, nr, error ? error : "out of memory");
	free(error);
	return err;
}

int recording_read(struct adv_side *s, struct adv_file *file)
{
	struct watch_ctx w = { s, file->path };
	int err;

	s->clocks.path = NULL;
	s->path = file->path;
	if (file->is_watch) {
		side_begin(s, file);
		err = each_line(file->path, on_watch_line, &w);
		if (!err)
			err = side_end(s, file);
	} else {
		err = top_read(s, file->path);
	}
	side_stays_end(s);
	return err;
}

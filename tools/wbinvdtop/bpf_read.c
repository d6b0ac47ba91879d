// SPDX-License-Identifier: GPL-2.0
/*
 * One reading of the BPF maps.
 *
 * The order matters.  Skipped runs are read first, so that an exit of which
 * the end alone is still to come is not taken for a lost one.  vCPU entries
 * are read before those of destroyed vCPUs, so that an entry that moves in
 * between is seen twice, which its serial number tells, and never missed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "src_bpf_int.h"

/* Listing all files of the host may take this share of the time: 1 in ... */
#define LIST_SHARE	 100
/* A VM that nobody has open for so many lists is gone. */
#define UNLISTED_MAX	 5
#define LIST_AT_LEAST_NS (10 * 1000000000ULL)

/* What one read() of an iterator may return. */
#define ITER_BUFFER 32768
/* Walks of a table that others change meanwhile, before another way is taken. */
#define WALKS	    3

/* Reads all entries, key and value, into b->entries.  Their number, or a negative errno. */
static ssize_t walk_table(struct bpf_source *b, const struct bpf_table *t)
{
	int fd = bpf_iter_create(t->iter);
	ssize_t n = fd < 0 ? -errno : 1;
	size_t size = 0;

	while (n > 0) {
		if (b->entries_room - size < ITER_BUFFER) {
			size_t room = b->entries_room ? 2 * b->entries_room : 2 * ITER_BUFFER;
			char *p = realloc(b->entries, room);

			if (!p) {
				n = -ENOMEM;
				break;
			}
			b->entries = p;
			b->entries_room = room;
		}
		n = read(fd, b->entries + size, b->entries_room - size);
		if (n < 0)
			n = -errno;
		else
			size += n;
	}
	if (fd >= 0)
		close(fd);
	return n < 0 ? n : (ssize_t)(size / (t->key_size + t->value_size));
}

/* By system calls that see a bucket at once, and keep kprobes' programs from running meanwhile. */
static int for_each_in_batches(struct bpf_source *b, const struct bpf_table *t, entry_fn fn,
			       void *ctx)
{
	bool more = true, first = true;
	uint64_t token;
	__u32 n, i;
	int err;

	while (more) {
		n = BATCH;
		err = bpf_map_lookup_batch(t->map, first ? NULL : &token, &token, b->keys,
					   b->values, &n, NULL);
		if (err && err != -ENOENT)
			return err;
		more = !err;
		first = false;
		for (i = 0; i < n; i++) {
			err = fn(b, (char *)b->keys + i * t->key_size,
				 (char *)b->values + i * t->value_size, ctx);
			if (err)
				return err;
		}
	}
	return 0;
}

int for_each_entry(struct bpf_source *b, const struct bpf_table *t, entry_fn fn, void *ctx)
{
	size_t size = t->key_size + t->value_size;
	ssize_t i, n = 0;
	int walk, err;

	for (walk = 0; walk < WALKS; walk++) {
		uint64_t done = bpf_obj_changes(b->obj).done;

		n = walk_table(b, t);
		if (n < 0)
			return n;
		/* An iterator may miss entries, or meet them twice, where others come and go. */
		if (bpf_obj_changes(b->obj).begun == done)
			break;
	}
	if (walk == WALKS)
		return for_each_in_batches(b, t, fn, ctx);
	for (i = 0; i < n; i++) {
		err = fn(b, b->entries + i * size, b->entries + i * size + t->key_size, ctx);
		if (err)
			return err;
	}
	return 0;
}

/* False: there is no vCPU, or it moves while we read and is among the retired ones. */
static bool copy_place(const volatile union wb_place *place, struct wb_vcpu_val *copy)
{
	const volatile struct wb_vcpu_val *e = &place->vcpu;
	__u64 *to = (__u64 *)copy;
	size_t i;

	if (!e->gen)
		return false;
	for (i = 0; i < sizeof(*copy) / sizeof(*to); i++)
		to[i] = place->word[i];
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return copy->serial == copy->serial_again && copy->serial == e->serial;
}

/* All that are not retired; fn gets no keys. */
static int for_each_vcpu(struct bpf_source *b, entry_fn fn, void *ctx)
{
	const volatile union wb_place *places = bpf_obj_places(b->obj);
	const struct wb_missed *missed = bpf_obj_missed(b->obj);
	struct wb_vcpu_val copy;
	unsigned int i;
	int err;

	for (i = 0; i < WB_PLACES; i++) {
		if (!copy_place(&places[i], &copy))
			continue;
		if (missed && missed[i].serial == copy.serial) {
			copy.missed_flushes = missed[i].flushes;
			copy.missed_skips = missed[i].skips;
		}
		err = fn(b, NULL, &copy, ctx);
		if (err)
			return err;
	}
	return for_each_entry(b, &b->obj->vcpus, fn, ctx);
}

/*
 * As max_word() in the BPF programs stores it.  What happened while we were
 * reading, after the epoch was advanced, may be in the counters already: it
 * counts here, too, and once more in the next interval if that has any.
 */
uint64_t epoch_max(const __u64 max[2], uint32_t epoch)
{
	const uint32_t mask = (1U << (64 - WB_MAX_NS_BITS)) - 1;
	uint64_t most = 0;

	for (int i = 0; i < 2; i++) {
		uint32_t since = (max[i] >> WB_MAX_NS_BITS) - epoch;

		if ((since & mask) <= 1 && (max[i] & WB_MAX_NS_MASK) > most)
			most = max[i] & WB_MAX_NS_MASK;
	}
	return most;
}

struct wb_vm *snapshot_vm(struct wb_snapshot *s, uint64_t gen)
{
	size_t lo = 0, hi = s->nr_vms;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->vms[mid].key < gen)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->nr_vms && s->vms[lo].key == gen ? &s->vms[lo] : NULL;
}

static void take_vcpu(struct wb_vcpu *v, const struct wb_vcpu_val *e, uint32_t epoch)
{
	v->id = e->vcpu_id;
	v->total.flushes = e->flushes + e->missed_flushes;
	v->total.skips = e->skips + e->missed_skips;
	v->total.exits = v->total.flushes + v->total.skips;
	/* Of those that nobody saw nobody knows why they were skipped. */
	v->total.skips_policy = e->skips_policy;
	v->total.untimed = e->untimed + e->missed_flushes + e->missed_skips;
	v->total.emulation_ns = e->emulation_ns;
	v->total.stall_ns = e->stall_ns;
	v->total.stall_idle_ns = e->stall_idle_ns;
	v->total.cpus_flushed = e->cpus_flushed;
	v->max_ns = e->max_ns;
	v->interval_max_ns = epoch_max(e->max, epoch);
	memcpy(v->hist, e->hist, sizeof(v->hist));
}

/*
 * An exit that has been open for longer than any exit takes has ended unseen;
 * the kernel side settles it with the vCPU's next one or its end.
 */
static void settle_stale(struct wb_vcpu *v, const struct wb_vcpu_val *e, uint64_t now)
{
	if (!e->open_seq || now < e->begin_ns || now - e->begin_ns < 1000000000ULL)
		return;
	v->total.exits++;
	v->total.untimed++;
	if (e->flush_seq == (e->open_seq & ~WB_ATTENTION) || (!e->pending_cpus && e->noncoherent)) {
		v->total.flushes++;
		v->total.cpus_flushed += e->pending_cpus;
	} else {
		v->total.skips++;
	}
}

static int on_vm(struct bpf_source *b, const void *key, const void *value, void *ctx)
{
	uint64_t gen;

	(void)ctx;
	memcpy(&gen, key, sizeof(gen));
	return vm_table_add(b->vms, gen, value) ? 0 : -ENOMEM;
}

/* Exits that are counted though the kernel skipped a program for them. */
static uint64_t found_later(const struct wb_vcpu_val *e)
{
	return e->ends_alone + e->missed_flushes + e->missed_skips;
}

static int on_vcpu(struct bpf_source *b, const void *key, const void *value, void *ctx)
{
	const struct wb_vcpu_val *e = value;
	struct reading *r = ctx;
	struct vm_state *state;
	struct wb_vcpu *v;
	struct wb_vm *vm;

	(void)key;
	state = e->gen ? vm_table_find(b->vms, e->gen) : NULL;
	/* No VM: it has been reported as ended, or it is younger than our list. */
	vm = state ? snapshot_vm(r->s, e->gen) : NULL;
	if (!vm)
		return 0;
	v = snapshot_add_vcpu(vm);
	if (!v)
		return -ENOMEM;
	b->ends_alone_now += found_later(e);
	take_vcpu(v, e, r->epoch);
	settle_stale(v, e, r->s->time_ns);
	state->has_entries = true;
	if (!state->listed)
		state->noncoherent = e->noncoherent ? WB_YES : WB_NO;
	return vm_state_add_seen(state, e->serial, found_later(e));
}

static int on_retired(struct bpf_source *b, const void *key, const void *value, void *ctx)
{
	const struct wb_vcpu_val *e = value;
	struct reading *r = ctx;
	struct wb_vcpu v = {};
	struct vm_state *state;
	struct wb_vm *vm;
	size_t i;

	(void)key;
	b->ends_alone += found_later(e);
	state = vm_table_find(b->vms, e->gen);
	vm = state ? snapshot_vm(r->s, e->gen) : NULL;
	if (!vm)
		return 0;
	take_vcpu(&v, e, r->epoch);
	for (i = 0; i < state->nr_seen && i < vm->nr_vcpus; i++) {
		if (state->seen[i].serial == e->serial) {
			/* Moved while we were reading: this is the later copy. */
			vm->vcpus[i] = v;
			b->ends_alone_now -= state->seen[i].ends_alone;
			return vm_state_keep(state, e->serial, &v);
		}
	}
	return vm_state_keep(state, e->serial, &v);
}

/* Keys of what was read and is to be deleted. */
struct keys {
	uint64_t *key;
	size_t n, room;
};

static int keys_add(struct keys *k, uint64_t key)
{
	if (k->n == k->room) {
		size_t room = k->room ? 2 * k->room : 64;
		uint64_t *p = realloc(k->key, room * sizeof(*p));

		if (!p)
			return -ENOMEM;
		k->key = p;
		k->room = room;
	}
	k->key[k->n++] = key;
	return 0;
}

struct retired_reading {
	struct reading *r;
	struct keys keys;
};

static int on_retired_entry(struct bpf_source *b, const void *key, const void *value, void *ctx)
{
	const struct wb_vcpu_val *e = value;
	struct retired_reading *rr = ctx;
	uint64_t serial;
	int err;

	/* Its VM is younger than our list, and it waits for the next reading. */
	if (e->gen > b->newest_gen)
		return 0;
	memcpy(&serial, key, sizeof(serial));
	err = keys_add(&rr->keys, serial);
	return err ? err : on_retired(b, key, value, rr->r);
}

static int read_retired(struct bpf_source *b, struct reading *r)
{
	struct retired_reading rr = { .r = r };
	struct wb_forget what = { .what = WB_FORGET_RETIRED };
	size_t i;
	int err;

	err = for_each_entry(b, &b->obj->retired, on_retired_entry, &rr);
	for (i = 0; i < rr.keys.n && !err; i++) {
		what.key[0] = rr.keys.key[i];
		bpf_obj_forget(b->obj, &what);
	}
	free(rr.keys.key);
	return err;
}

static void count_unlisted(struct bpf_source *b)
{
	struct vm_state *states;
	size_t i, n;

	states = vm_table_all(b->vms, &n);
	for (i = 0; i < n; i++)
		states[i].unlisted = states[i].listed ? 0 : states[i].unlisted + 1;
}

/* The table of VMs as the kernel side has it now. */
int bpf_read_vms(struct bpf_source *b)
{
	struct vm_state *states;
	size_t n;
	int err = for_each_entry(b, &b->obj->vms, on_vm, NULL);

	states = vm_table_all(b->vms, &n);
	if (n && states[n - 1].gen > b->newest_gen)
		b->newest_gen = states[n - 1].gen;
	return err;
}

/* What the iterator over all open files has found. */
struct listing {
	struct wb_vm_rec *rec;
	size_t n, room;
};

static int run_listing(struct bpf_source *b, struct listing *l)
{
	int fd = bpf_iter_create(b->obj->iter);
	ssize_t n = fd < 0 ? -errno : 1;

	while (n > 0) {
		if (l->n == l->room) {
			size_t room = l->room ? 2 * l->room : 64;
			struct wb_vm_rec *p = realloc(l->rec, room * sizeof(*p));

			if (!p) {
				n = -ENOMEM;
				break;
			}
			l->rec = p;
			l->room = room;
		}
		n = read(fd, l->rec + l->n, (l->room - l->n) * sizeof(*l->rec));
		if (n < 0)
			n = -errno;
		else
			l->n += n / sizeof(*l->rec);
	}
	if (fd >= 0)
		close(fd);
	return n;
}

/* Lists the VMs that somebody has open, when it is due, and reads the table of VMs. */
static int list_vms(struct bpf_source *b, uint64_t now)
{
	struct listing l = {};
	uint64_t cost;
	size_t i;
	int err;

	b->listed = false;
	if (now < b->next_list_ns)
		return bpf_read_vms(b);
	err = run_listing(b, &l);
	cost = clock_ns(CLOCK_MONOTONIC) - now;
	/* After the listing, which gives the VMs that it meets their generations. */
	if (!err)
		err = bpf_read_vms(b);
	for (i = 0; i < l.n && !err; i++) {
		struct vm_state *s = l.rec[i].gen ? vm_table_find(b->vms, l.rec[i].gen) : NULL;

		if (!s)
			continue;
		s->listed = true;
		s->noncoherent = l.rec[i].noncoherent ? WB_YES : WB_NO;
		s->policy = vm_policy_of(l.rec[i].policy);
	}
	free(l.rec);
	b->listed = !err;
	if (b->listed)
		count_unlisted(b);
	cost = cost * LIST_SHARE < LIST_AT_LEAST_NS ? cost * LIST_SHARE : LIST_AT_LEAST_NS;
	/* Cheap enough for every interval, however short. */
	b->next_list_ns = cost < 1000000000ULL ? 0 : now + cost;
	return err;
}

/* Is there nothing left of the VM that could still count? */
static bool has_ended(const struct bpf_source *b, const struct vm_state *s)
{
	if (!b->obj->destroy_probed)
		return b->listed && !s->listed;
	/* Its destruction may have gone unseen, where the kernel skipped the program. */
	return (s->val.dead && !s->has_entries) || s->unlisted >= UNLISTED_MAX;
}

/* vCPUs that are gone, and one vCPU number that stands for several lives. */
static int add_kept(struct wb_vm *vm, const struct vm_state *s)
{
	size_t i, j;

	for (i = 0; i < s->nr_kept; i++) {
		struct wb_vcpu *v;
		bool known = false;

		for (j = 0; j < s->nr_seen && !known; j++)
			known = s->seen[j].serial == s->kept[i].serial;
		if (known)
			continue;
		v = snapshot_add_vcpu(vm);
		if (!v)
			return -ENOMEM;
		*v = s->kept[i].vcpu;
	}
	return 0;
}

static void merge_lives(struct wb_vm *vm)
{
	size_t i, slot, to = 0;

	for (i = 1; i < vm->nr_vcpus; i++) {
		struct wb_vcpu *a = &vm->vcpus[to], *c = &vm->vcpus[i];

		if (a->id != c->id) {
			vm->vcpus[++to] = *c;
			continue;
		}
		counters_add(&a->total, &c->total);
		if (c->max_ns > a->max_ns)
			a->max_ns = c->max_ns;
		if (c->interval_max_ns > a->interval_max_ns)
			a->interval_max_ns = c->interval_max_ns;
		for (slot = 0; slot < WB_HIST_SLOTS; slot++)
			a->hist[slot] += c->hist[slot];
	}
	if (vm->nr_vcpus)
		vm->nr_vcpus = to + 1;
}

/* Names, devices and the end of each VM. */
static int finish_vms(struct bpf_source *b, struct wb_snapshot *s)
{
	struct vm_state *states;
	size_t i, n;
	int err;

	states = vm_table_all(b->vms, &n);
	for (i = 0; i < n; i++) {
		struct wb_vm *vm = snapshot_vm(s, states[i].gen);

		if (!vm)
			continue;
		err = add_kept(vm, &states[i]);
		if (!err)
			err = vm_table_identify(b->vms, &states[i], vm, s->time_ns);
		if (err)
			return err;
		vm->noncoherent = states[i].noncoherent;
		vm->policy = states[i].policy;
		vm->ended = has_ended(b, &states[i]);
	}
	snapshot_sort(s);
	for (i = 0; i < s->nr_vms; i++)
		merge_lives(&s->vms[i]);
	return 0;
}

static int add_vms(struct bpf_source *b, struct wb_snapshot *s)
{
	struct vm_state *states;
	size_t i, n;

	states = vm_table_all(b->vms, &n);
	for (i = 0; i < n; i++) {
		struct wb_vm *vm = snapshot_add_vm(s);

		if (!vm)
			return -ENOMEM;
		vm->key = states[i].gen;
		vm->pid = states[i].val.tgid;
		vm->start = states[i].start;
		if (states[i].val.id[0]) {
			vm->id = strndup(states[i].val.id, sizeof(states[i].val.id));
			if (!vm->id)
				return -ENOMEM;
		}
	}
	return 0;
}

struct orphans {
	uint64_t gen;
	struct keys vcpus;
};

static int on_orphan(struct bpf_source *b, const void *key, const void *value, void *ctx)
{
	const struct wb_vcpu_val *e = value;
	struct orphans *o = ctx;

	(void)b;
	(void)key;
	return e->gen == o->gen ? keys_add(&o->vcpus, e->vcpu) : 0;
}

/* Without the destruction probed, entries of a VM that is gone are ours to retire. */
static int retire_entries(struct bpf_source *b, uint64_t gen)
{
	struct orphans o = { .gen = gen };
	struct wb_forget what = { .what = WB_FORGET_VCPU, .key[1] = gen };
	size_t i;
	int err;

	err = for_each_vcpu(b, on_orphan, &o);
	for (i = 0; i < o.vcpus.n; i++) {
		what.key[0] = o.vcpus.key[i];
		bpf_obj_forget(b->obj, &what);
	}
	free(o.vcpus.key);
	return err;
}

/* After this reading an ended VM lives on in the sum alone. */
static int forget_ended(struct bpf_source *b, const struct wb_snapshot *s)
{
	struct vm_state *state;
	struct wb_forget what = { .what = WB_FORGET_VM };
	struct wb_counters c;
	size_t i;
	int err;

	for (i = 0; i < s->nr_vms; i++) {
		uint64_t gen = s->vms[i].key;

		if (!s->vms[i].ended)
			continue;
		c = vm_total(&s->vms[i]);
		counters_add(&b->ended, &c);
		state = vm_table_find(b->vms, gen);
		/* Nobody else does where its destruction went unseen. */
		if (!b->obj->destroy_probed || !state->val.dead) {
			err = retire_entries(b, gen);
			if (err)
				return err;
		}
		err = bpf_remember_vm(b, &s->vms[i]);
		if (err)
			return err;
		what.key[0] = gen;
		what.key[1] = state->val.kvm;
		bpf_obj_forget(b->obj, &what);
		vm_table_remove(b->vms, gen);
	}
	return 0;
}

/*
 * What is lost: see struct wb_vcpu_val.  Exits that were under way when the
 * probes were attached have ended alone, too, and nothing of them was skipped.
 */
static uint64_t lost(struct bpf_source *b, uint64_t skipped)
{
	struct wb_losses l = bpf_obj_losses(b->obj);
	uint64_t seen = b->ends_alone + b->ends_alone_now;

	skipped += l.full_begins;
	if (!b->has_read)
		b->under_way = seen > skipped ? seen - skipped : 0;
	b->has_read = true;
	seen -= b->under_way;
	return (skipped > seen ? skipped - seen : 0) + l.full_retired;
}

int bpf_read_maps(struct bpf_source *b, struct wb_snapshot *s)
{
	uint64_t skipped = bpf_obj_skipped_begins(b->obj);
	struct reading r = { .s = s, .epoch = bpf_obj_next_epoch(b->obj) };
	/* Rows that this reading shows are summed from there, not from here. */
	struct wb_counters ended = b->ended;
	int err;

	b->ends_alone_now = 0;
	vm_table_begin(b->vms);
	err = list_vms(b, s->time_ns);
	if (!err)
		err = add_vms(b, s);
	if (!err)
		err = for_each_vcpu(b, on_vcpu, &r);
	if (!err)
		err = read_retired(b, &r);
	if (!err)
		err = finish_vms(b, s);
	if (!err && b->obj->known & WB_KNOWN_STALL)
		err = bpf_read_victims(b, &r);
	if (err)
		return err;
	s->known = b->obj->known;
	s->ended = ended;
	s->lost = lost(b, skipped);
	b->src.outliers_dropped = bpf_obj_losses(b->obj).outliers;
	return forget_ended(b, s);
}

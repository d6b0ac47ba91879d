// SPDX-License-Identifier: GPL-2.0
/*
 * The live source: turns what the BPF programs have counted into snapshots.
 *
 * The order of one reading matters.  Skipped runs are read first, so that an
 * exit of which the end alone is still to come is not taken for a lost one.
 * vCPU entries are read before those of destroyed vCPUs, so that an entry that
 * moves in between is seen twice, which its serial number tells, and never
 * missed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../lib/log.h"
#include "bpf_obj.h"
#include "source.h"
#include "vm_table.h"

/* Entries per system call; a bucket of the kernel's hash must fit. */
#define BATCH	256

/* Listing all files of the host may take this share of the time: 1 in ... */
#define LIST_SHARE	100
#define LIST_AT_LEAST_NS	(10 * 1000000000ULL)

struct bpf_source {
	struct source src;
	struct source_config cfg;
	struct bpf_obj *obj;	/* NULL: KVM is not loaded yet */
	struct vm_table *vms;
	struct wb_counters ended;
	struct ring_buffer *ring;
	void (*on_outlier)(void *ctx, const struct source_outlier *o);
	void *outlier_ctx;
	struct utsname uts;
	char *notice;
	void *keys, *values;	/* of one batch */
	uint64_t ends_alone;	/* of entries that are no longer in the map of vCPUs */
	uint64_t ends_alone_now;	/* of those that are, this time */
	uint64_t next_list_ns;	/* when the files of the host may be listed again */
	bool listed;		/* they were, this time */
	ino_t module;		/* identity of the loaded kvm.ko, 0: none */
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Calls fn for each entry of a hash map. 0 or a negative errno, fn's too. */
static int for_each_entry(struct bpf_source *b, int fd, size_t key_size, size_t value_size,
			  int (*fn)(struct bpf_source *b, const void *key, const void *value,
				    void *ctx), void *ctx)
{
	bool more = true, first = true;
	uint64_t token;
	__u32 n, i;
	int err;

	while (more) {
		n = BATCH;
		err = bpf_map_lookup_batch(fd, first ? NULL : &token, &token, b->keys, b->values,
					   &n, NULL);
		if (err && err != -ENOENT)
			return err;
		more = !err;
		first = false;
		for (i = 0; i < n; i++) {
			err = fn(b, (char *)b->keys + i * key_size,
				 (char *)b->values + i * value_size, ctx);
			if (err)
				return err;
		}
	}
	return 0;
}

static void take_vcpu(struct wb_vcpu *v, const struct wb_vcpu_val *e, uint32_t epoch)
{
	uint64_t max = e->max[epoch & 1];

	v->id = e->vcpu_id;
	v->total.exits = e->exits;
	v->total.flushes = e->flushes;
	v->total.skips = e->skips;
	v->total.untimed = e->untimed;
	v->total.emulation_ns = e->emulation_ns;
	v->total.stall_ns = e->stall_ns;
	v->total.stall_idle_ns = e->stall_idle_ns;
	v->total.cpus_flushed = e->cpus_flushed;
	v->max_ns = e->max_ns;
	if (max >> WB_MAX_NS_BITS == (uint64_t)epoch << WB_MAX_NS_BITS >> WB_MAX_NS_BITS)
		v->interval_max_ns = max & WB_MAX_NS_MASK;
	memcpy(v->hist, e->hist, sizeof(v->hist));
}

/*
 * An exit that has been open for longer than any exit takes has ended unseen;
 * the kernel side settles it with the vCPU's next one or its end.
 */
static void settle_stale(struct wb_vcpu *v, const struct wb_vcpu_val *e, uint64_t now)
{
	if (!e->open || now < e->begin_ns || now - e->begin_ns < 1000000000ULL)
		return;
	v->total.exits++;
	v->total.untimed++;
	if (e->flush_seq == e->begin_seq || (!e->pending_cpus && e->noncoherent)) {
		v->total.flushes++;
		v->total.cpus_flushed += e->pending_cpus;
	} else {
		v->total.skips++;
	}
}

struct reading {
	struct wb_snapshot *s;
	uint32_t epoch;
};

static int on_vm(struct bpf_source *b, const void *key, const void *value, void *ctx)
{
	uint64_t gen;

	(void)ctx;
	memcpy(&gen, key, sizeof(gen));
	return vm_table_add(b->vms, gen, value) ? 0 : -ENOMEM;
}

/* The snapshot's VMs stand in the table's order: both by generation. */
static struct wb_vm *snapshot_vm(struct wb_snapshot *s, uint64_t gen)
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

static int on_vcpu(struct bpf_source *b, const void *key, const void *value, void *ctx)
{
	const struct wb_vcpu_val *e = value;
	struct reading *r = ctx;
	struct vm_state *state;
	struct wb_vcpu *v;
	struct wb_vm *vm;

	(void)key;
	b->ends_alone_now += e->ends_alone;
	state = e->gen ? vm_table_find(b->vms, e->gen) : NULL;
	/* No VM: it has been reported as ended, or it is younger than our list. */
	vm = state ? snapshot_vm(r->s, e->gen) : NULL;
	if (!vm)
		return 0;
	v = snapshot_add_vcpu(vm);
	if (!v)
		return -ENOMEM;
	take_vcpu(v, e, r->epoch);
	settle_stale(v, e, r->s->time_ns);
	state->has_entries = true;
	if (!state->listed)
		state->noncoherent = e->noncoherent ? WB_YES : WB_NO;
	return vm_state_add_serial(state, e->serial);
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
	b->ends_alone += e->ends_alone;
	state = vm_table_find(b->vms, e->gen);
	vm = state ? snapshot_vm(r->s, e->gen) : NULL;
	if (!vm)
		return 0;
	take_vcpu(&v, e, r->epoch);
	for (i = 0; i < state->nr_serials && i < vm->nr_vcpus; i++) {
		if (state->serials[i] == e->serial) {
			/* Moved while we were reading: this is the later copy. */
			vm->vcpus[i] = v;
			b->ends_alone_now -= e->ends_alone;
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
	struct retired_reading *rr = ctx;
	uint64_t serial;
	int err;

	memcpy(&serial, key, sizeof(serial));
	err = keys_add(&rr->keys, serial);
	return err ? err : on_retired(b, key, value, rr->r);
}

static int read_retired(struct bpf_source *b, struct reading *r)
{
	struct retired_reading rr = { .r = r };
	size_t i;
	int err;

	err = for_each_entry(b, b->obj->retired, sizeof(uint64_t), b->obj->vcpu_size,
			     on_retired_entry, &rr);
	for (i = 0; i < rr.keys.n && !err; i++)
		bpf_map_delete_elem(b->obj->retired, &rr.keys.key[i]);
	free(rr.keys.key);
	return err;
}

/* Runs the iterator over all open files, when it is due. */
static int list_vms(struct bpf_source *b, uint64_t now)
{
	struct wb_vm_rec rec[32];
	struct vm_state *s;
	uint64_t cost;
	ssize_t n, i;
	int fd, err = 0;

	b->listed = false;
	if (now < b->next_list_ns)
		return 0;
	fd = bpf_iter_create(b->obj->iter);
	if (fd < 0)
		return fd;
	while ((n = read(fd, rec, sizeof(rec))) > 0) {
		for (i = 0; i < n / (ssize_t)sizeof(rec[0]) && !err; i++) {
			struct wb_vm_val val;

			s = rec[i].gen ? vm_table_find(b->vms, rec[i].gen) : NULL;
			if (!s && rec[i].gen &&
			    !bpf_map_lookup_elem(b->obj->vms, &rec[i].gen, &val)) {
				s = vm_table_add(b->vms, rec[i].gen, &val);
				if (!s)
					err = -ENOMEM;
			}
			if (!s)
				continue;
			s->listed = true;
			s->noncoherent = rec[i].noncoherent ? WB_YES : WB_NO;
		}
	}
	if (n < 0)
		err = -errno;
	close(fd);
	b->listed = !err;
	cost = clock_ns(CLOCK_MONOTONIC) - now;
	cost = cost * LIST_SHARE < LIST_AT_LEAST_NS ? cost * LIST_SHARE : LIST_AT_LEAST_NS;
	/* Cheap enough for every interval, however short. */
	b->next_list_ns = cost < 1000000000ULL ? 0 : now + cost;
	return err;
}

/* Is there nothing left of the VM that could still count? */
static bool has_ended(const struct bpf_source *b, const struct vm_state *s)
{
	if (b->obj->destroy_probed)
		return s->val.dead && !s->has_entries;
	return b->listed && !s->listed;
}

/* vCPUs that are gone, and one vCPU number that stands for several lives. */
static int add_kept(struct wb_vm *vm, const struct vm_state *s)
{
	size_t i, j;

	for (i = 0; i < s->nr_kept; i++) {
		struct wb_vcpu *v;
		bool known = false;

		for (j = 0; j < s->nr_serials && !known; j++)
			known = s->serials[j] == s->kept[i].serial;
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
	struct keys keys;
};

static int on_orphan(struct bpf_source *b, const void *key, const void *value, void *ctx)
{
	const struct wb_vcpu_val *e = value;
	struct orphans *o = ctx;
	uint64_t vcpu;

	if (e->gen != o->gen)
		return 0;
	b->ends_alone += e->ends_alone;
	memcpy(&vcpu, key, sizeof(vcpu));
	return keys_add(&o->keys, vcpu);
}

/* Without the destruction probed, entries of a VM that is gone are ours to delete. */
static int delete_entries(struct bpf_source *b, const struct vm_state *s)
{
	struct orphans o = { .gen = s->gen };
	size_t i;
	int err;

	err = for_each_entry(b, b->obj->vcpus, sizeof(uint64_t), b->obj->vcpu_size, on_orphan, &o);
	for (i = 0; i < o.keys.n; i++)
		bpf_map_delete_elem(b->obj->vcpus, &o.keys.key[i]);
	free(o.keys.key);
	bpf_map_delete_elem(b->obj->live, &s->val.kvm);
	return err;
}

/* After this reading an ended VM lives on in the sum alone. */
static int forget_ended(struct bpf_source *b, const struct wb_snapshot *s)
{
	struct wb_counters c;
	size_t i;
	int err;

	for (i = 0; i < s->nr_vms; i++) {
		uint64_t gen = s->vms[i].key;

		if (!s->vms[i].ended)
			continue;
		c = vm_total(&s->vms[i]);
		counters_add(&b->ended, &c);
		if (!b->obj->destroy_probed) {
			err = delete_entries(b, vm_table_find(b->vms, gen));
			if (err)
				return err;
		}
		bpf_map_delete_elem(b->obj->vms, &gen);
		vm_table_remove(b->vms, gen);
	}
	return 0;
}

static int name_victim(struct bpf_source *b, struct wb_snapshot *s, struct wb_victim *v,
		       const struct wb_victim_key *key, const struct wb_victim_val *val)
{
	const struct wb_vm *vm = key->vm ? snapshot_vm(s, key->vm) : NULL;
	const char *name;

	if (v->kind == WB_VICTIM_IDLE)
		name = "idle";
	else if (vm && vm->name)
		name = vm->name;
	else
		name = vm_table_name(b->vms, key->tgid, v->start, val->comm);
	v->name = strdup(name);
	return v->name ? 0 : -ENOMEM;
}

static int on_victim(struct bpf_source *b, const void *key, const void *value, void *ctx)
{
	const struct wb_victim_val *val = value;
	struct wb_victim_key k;
	struct reading *r = ctx;
	const struct wb_vm *culprit;
	struct wb_victim *v;
	uint64_t max = val->max[r->epoch & 1];

	memcpy(&k, key, sizeof(k));
	v = snapshot_add_victim(r->s);
	if (!v)
		return -ENOMEM;
	v->kind = k.vm ? WB_VICTIM_VM : k.tgid ? WB_VICTIM_TASK : WB_VICTIM_IDLE;
	v->pid = k.tgid;
	v->start = k.tgid ? vm_table_ticks(b->vms, val->start_ns) : 0;
	v->count = val->count;
	v->stall_ns = val->stall_ns;
	v->max_ns = val->max_ns;
	if (max >> WB_MAX_NS_BITS == (uint64_t)r->epoch << WB_MAX_NS_BITS >> WB_MAX_NS_BITS)
		v->interval_max_ns = max & WB_MAX_NS_MASK;
	switch (k.culprit) {
	case WB_CULPRIT_SHARED:
		v->culprit_kind = WB_CULPRIT_IS_SHARED;
		break;
	case WB_CULPRIT_OTHER:
		v->culprit_kind = WB_CULPRIT_IS_OTHER;
		break;
	default:
		v->culprit_kind = WB_CULPRIT_IS_VM;
		v->culprit_key = k.culprit;
		culprit = snapshot_vm(r->s, k.culprit);
		if (culprit && culprit->id) {
			v->culprit = strdup(culprit->id);
			if (!v->culprit)
				return -ENOMEM;
		}
	}
	return name_victim(b, r->s, v, &k, val);
}

/* What is lost: see struct wb_vcpu_val. */
static uint64_t lost(const struct bpf_source *b, uint64_t skipped)
{
	struct wb_losses l = bpf_obj_losses(b->obj);
	uint64_t seen = b->ends_alone + b->ends_alone_now;

	skipped += l.full_begins;
	return (skipped > seen ? skipped - seen : 0) + l.full_retired;
}

static int read_maps(struct bpf_source *b, struct wb_snapshot *s)
{
	uint64_t skipped = bpf_obj_skipped_begins(b->obj);
	struct reading r = { .s = s, .epoch = bpf_obj_next_epoch(b->obj) };
	int err;

	b->ends_alone_now = 0;
	vm_table_begin(b->vms);
	err = list_vms(b, s->time_ns);
	if (!err)
		err = for_each_entry(b, b->obj->vms, sizeof(uint64_t), sizeof(struct wb_vm_val),
				     on_vm, NULL);
	if (!err)
		err = add_vms(b, s);
	if (!err)
		err = for_each_entry(b, b->obj->vcpus, sizeof(uint64_t), b->obj->vcpu_size,
				     on_vcpu, &r);
	if (!err)
		err = read_retired(b, &r);
	if (!err)
		err = finish_vms(b, s);
	if (!err && b->obj->known & WB_KNOWN_STALL)
		err = for_each_entry(b, b->obj->victims, sizeof(struct wb_victim_key),
				     sizeof(struct wb_victim_val), on_victim, &r);
	if (err)
		return err;
	s->known = b->obj->known;
	s->ended = b->ended;
	s->lost = lost(b, skipped);
	b->src.outliers_dropped = bpf_obj_losses(b->obj).outliers;
	return forget_ended(b, s);
}

static int on_ring(void *ctx, void *data, size_t size)
{
	struct bpf_source *b = ctx;
	const struct wb_outlier *w = data;
	struct source_outlier o = {};
	const struct vm_state *s;
	struct wb_vm_val val;

	if (size < sizeof(*w) || !b->on_outlier)
		return 0;
	o.time_ns = w->time_ns;
	o.vm_key = w->gen;
	o.vcpu_id = w->vcpu_id;
	o.ns = w->ns;
	o.cpus = w->cpus;
	s = vm_table_find(b->vms, w->gen);
	if (s)
		val = s->val;
	else if (bpf_map_lookup_elem(b->obj->vms, &w->gen, &val))
		memset(&val, 0, sizeof(val));
	o.pid = val.tgid;
	memcpy(o.id, val.id, sizeof(o.id));
	memcpy(o.comm, val.comm, sizeof(o.comm));
	b->on_outlier(b->outlier_ctx, &o);
	return 0;
}

static int set_notice(struct bpf_source *b, const char *text)
{
	free(b->notice);
	b->notice = text ? strdup(text) : NULL;
	b->src.notice = b->notice;
	return text && !b->notice ? -ENOMEM : 0;
}

static ino_t module_identity(void)
{
	struct stat st;

	return stat("/sys/module/kvm", &st) ? 0 : st.st_ino;
}

/* Attaches now, or waits for KVM to be loaded. */
static int try_attach(struct bpf_source *b)
{
	size_t value;
	int err;

	err = bpf_obj_open(&b->obj, &b->cfg);
	if (err == -ENODEV) {
		b->src.name = "waiting";
		return set_notice(b, "KVM is not loaded; waiting for it");
	}
	if (err)
		return err;
	value = b->obj->vcpu_size > sizeof(struct wb_victim_val) ?
		b->obj->vcpu_size : sizeof(struct wb_victim_val);
	b->keys = malloc(BATCH * sizeof(struct wb_victim_key));
	b->values = malloc(BATCH * value);
	if (!b->keys || !b->values)
		return -ENOMEM;
	b->src.name = b->obj->rung;
	b->src.time_scope = b->obj->time_scope;
	b->module = module_identity();
	if (b->cfg.threshold_ns) {
		b->ring = ring_buffer__new(b->obj->outliers, on_ring, b, NULL);
		if (!b->ring)
			return -errno;
	}
	return set_notice(b, b->obj->notice);
}

/* Probes of the kprobe rung outlive kvm.ko: the kernel attaches them again. */
static void watch_module(struct bpf_source *b)
{
	ino_t now = module_identity();

	if (now == b->module)
		return;
	if (!now)
		set_notice(b, "KVM was unloaded; its probes will be attached again when it is loaded");
	else
		set_notice(b, "KVM was loaded again and its probes attached");
	b->module = now;
}

static int bpf_source_read(struct source *src, struct wb_snapshot *s)
{
	struct bpf_source *b = (struct bpf_source *)src;
	int err = 0;

	if (!b->obj)
		err = try_attach(b);
	s->time_ns = clock_ns(CLOCK_MONOTONIC);
	s->wall_ns = clock_ns(CLOCK_REALTIME);
	if (err || !b->obj)
		return err;
	watch_module(b);
	err = read_maps(b, s);
	if (err)
		log_err("cannot read the BPF maps: %s", strerror(-err));
	return err;
}

static int bpf_source_poll_fd(struct source *src)
{
	struct bpf_source *b = (struct bpf_source *)src;

	return b->ring ? ring_buffer__epoll_fd(b->ring) : -1;
}

static int bpf_source_poll_events(struct source *src,
				  void (*cb)(void *ctx, const struct source_outlier *o), void *ctx)
{
	struct bpf_source *b = (struct bpf_source *)src;
	int err;

	if (!b->ring)
		return 0;
	b->on_outlier = cb;
	b->outlier_ctx = ctx;
	err = ring_buffer__consume(b->ring);
	return err < 0 ? err : 0;
}

static void bpf_source_close(struct source *src)
{
	struct bpf_source *b = (struct bpf_source *)src;

	ring_buffer__free(b->ring);
	bpf_obj_close(b->obj);
	vm_table_free(b->vms);
	free(b->keys);
	free(b->values);
	free(b->notice);
	free(b);
}

static const struct source_ops bpf_ops = {
	.kind = "bpf",
	.read = bpf_source_read,
	.poll_fd = bpf_source_poll_fd,
	.poll_events = bpf_source_poll_events,
	.close = bpf_source_close,
};

int source_open_bpf(struct source **out, const struct source_config *cfg)
{
	struct bpf_source *b = calloc(1, sizeof(*b));
	int err = -ENOMEM;

	if (!b)
		return err;
	b->src.ops = &bpf_ops;
	b->cfg = *cfg;
	uname(&b->uts);
	b->src.kernel = b->uts.release;
	b->vms = vm_table_new();
	if (b->vms)
		err = try_attach(b);
	if (err) {
		bpf_source_close(&b->src);
		return err;
	}
	*out = &b->src;
	return 0;
}

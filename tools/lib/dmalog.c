// SPDX-License-Identifier: GPL-2.0
/* The only file that knows the skeleton of dmalog.bpf.c. */
#include "dmalog.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dmalog.skel.h"
#include "log.h"
#include "procutil.h"

#define NR_PLACES (DMALOG_SETS * DMALOG_WAYS)

/* The tracepoints of one module come and go together. */
static const struct module_desc {
	const char *sys; /* its name in /sys/module */
	const char *prefix;
	const char *first; /* one of its tracepoints */
} modules[DMALOG_MODULES] = {
	{ "iommufd", "iommufd_", "iommufd_attach" },
	{ "vfio", "vfio_dma_", "vfio_dma_coherency" },
	{ "vfio_pci_core", "vfio_pci_", "vfio_pci_no_snoop" },
	{ "kvm", "kvm_", "kvm_noncoherent_dma" },
};

enum state { NOT_LOADED, ABSENT, ATTACHED };

struct dmalog {
	struct dmalog_bpf *skel;
	struct ring_buffer *ring;
	struct bpf_link **links;
	unsigned int nr_links;
	enum state state[DMALOG_MODULES];
	ino_t identity[DMALOG_MODULES]; /* of the module that was tried last */
	char why[160];
	struct dmalog_ioas *last;    /* of each place, at the last reading */
	unsigned char *idle;	     /* readings without a map */
	struct dmalog_unpin *unpins; /* of the last interval */
	size_t nr_unpins, max_unpins;
	dmalog_cb cb;
	void *ctx;
	int err;	    /* the callback's */
	uint64_t newest_ns; /* of the events that were handed over */
};

/* Readings after which the place of an IOAS is given to another. */
#define IDLE_MAX 200

static const char *tracepoint_of(const struct bpf_program *prog)
{
	return strchr(bpf_program__section_name(prog), '/') + 1;
}

/* Names of tasks and devices go to terminals. */
static void make_plain(char *s, size_t size)
{
	size_t i;

	s[size - 1] = '\0';
	for (i = 0; i < size && s[i]; i++) {
		if (!isprint((unsigned char)s[i]))
			s[i] = '?';
	}
}

/*
 * KVM names the thread that made the VM.  Where that has ended, so has the VM, or its
 * process goes on without it: either way it hardly was another that caused the event.
 */
static void find_process(struct dmalog_event *e)
{
	pid_t tgid;

	if (e->kind != DMALOG_KVM)
		return;
	tgid = proc_tgid("/proc", e->vm_pid);
	e->vm_pid = tgid ? tgid : (pid_t)e->pid;
}

static int on_ring(void *ctx, void *data, size_t size)
{
	struct dmalog *d = ctx;
	struct dmalog_event e;

	if (size < sizeof(e) || d->err)
		return 0;
	memcpy(&e, data, sizeof(e));
	make_plain(e.comm, sizeof(e.comm));
	make_plain(e.dev, sizeof(e.dev));
	find_process(&e);
	if (e.time_ns > d->newest_ns)
		d->newest_ns = e.time_ns;
	d->err = d->cb(d->ctx, &e);
	return 0;
}

bool dmalog_has_tracepoint(const char *name)
{
	const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int prog, tp;

	prog = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, NULL, "GPL", nothing, 2, NULL);
	if (prog < 0)
		return false;
	tp = bpf_raw_tracepoint_open(name, prog);
	if (tp >= 0)
		close(tp);
	close(prog);
	return tp >= 0;
}

static int load(struct dmalog *d)
{
	int err;

	d->skel = dmalog_bpf__open();
	if (!d->skel)
		return -errno;
	d->links = calloc(d->skel->skeleton->prog_cnt, sizeof(*d->links));
	if (!d->links)
		return -ENOMEM;
	err = dmalog_bpf__load(d->skel);
	if (err) {
		log_debug("programs for the log: %s", strerror(-err));
		return err == -EPERM || err == -ENOMEM ? err : -EOPNOTSUPP;
	}
	d->ring = ring_buffer__new(bpf_map__fd(d->skel->maps.events), on_ring, d, NULL);
	return d->ring ? 0 : -errno;
}

/* All tracepoints of one module, or none.  0, or the errno of the one that failed. */
static int attach_module(struct dmalog *d, const struct module_desc *m)
{
	unsigned int before = d->nr_links;
	struct bpf_program *prog;
	int err = 0;

	/* Most kernels have none of them: the programs are not loaded for that. */
	if (!dmalog_has_tracepoint(m->first))
		return -ENOENT;
	if (!d->skel)
		err = load(d);
	if (err)
		return err;
	bpf_object__for_each_program(prog, d->skel->obj) {
		const char *name = tracepoint_of(prog);
		struct bpf_link *link;

		if (strncmp(name, m->prefix, strlen(m->prefix)))
			continue;
		link = bpf_program__attach_raw_tracepoint(prog, name);
		if (!link) {
			err = -errno;
			log_debug("tracepoint %s: %s", name, strerror(errno));
			break;
		}
		d->links[d->nr_links++] = link;
	}
	while (err && d->nr_links > before)
		bpf_link__destroy(d->links[--d->nr_links]);
	return err;
}

static void explain(struct dmalog *d)
{
	unsigned int i, absent = 0, missing = 0;

	d->why[0] = '\0';
	for (i = 0; i < DMALOG_MODULES; i++) {
		absent += d->state[i] == ABSENT;
		missing += d->state[i] == NOT_LOADED;
	}
	if (absent) {
		snprintf(d->why, sizeof(d->why),
			 absent + missing == DMALOG_MODULES ?
				 "this kernel has no such tracepoints" :
				 "this kernel has not all of the tracepoints");
		return;
	}
	for (i = 0; i < DMALOG_MODULES; i++) {
		size_t used = strlen(d->why);

		if (d->state[i] == NOT_LOADED)
			snprintf(d->why + used, sizeof(d->why) - used, "%s%s",
				 used ? ", " : "not loaded yet: ", modules[i].sys);
	}
}

/* A module that was tried is tried again only when it was loaded anew. */
static int attach_all(struct dmalog *d)
{
	unsigned int i;
	int err;

	for (i = 0; i < DMALOG_MODULES; i++) {
		ino_t now;

		if (d->state[i] == ATTACHED)
			continue;
		now = proc_module_identity(modules[i].sys);
		if (!now) {
			d->state[i] = NOT_LOADED;
			d->identity[i] = 0;
			continue;
		}
		if (now == d->identity[i])
			continue;
		err = attach_module(d, &modules[i]);
		if (err && err != -ENOENT)
			return err;
		d->state[i] = err ? ABSENT : ATTACHED;
		d->identity[i] = now;
	}
	explain(d);
	return 0;
}

int dmalog_open(struct dmalog **out)
{
	struct dmalog *d = calloc(1, sizeof(*d));
	int err = -ENOMEM;

	if (!d)
		return err;
	d->last = calloc(NR_PLACES, sizeof(*d->last));
	d->idle = calloc(NR_PLACES, 1);
	if (!d->last || !d->idle)
		goto fail;
	err = attach_all(d);
	if (err)
		goto fail;
	*out = d;
	return 0;
fail:
	dmalog_close(d);
	return err;
}

void dmalog_close(struct dmalog *d)
{
	unsigned int i;

	if (!d)
		return;
	for (i = 0; i < d->nr_links; i++)
		bpf_link__destroy(d->links[i]);
	free(d->links);
	ring_buffer__free(d->ring);
	dmalog_bpf__destroy(d->skel);
	free(d->last);
	free(d->idle);
	free(d->unpins);
	free(d);
}

unsigned int dmalog_attached(const struct dmalog *d)
{
	unsigned int i, set = 0;

	for (i = 0; i < DMALOG_MODULES; i++)
		set |= d->state[i] == ATTACHED ? 1u << i : 0;
	return set;
}

const char *dmalog_why(const struct dmalog *d)
{
	return d->why[0] ? d->why : NULL;
}

int dmalog_fd(const struct dmalog *d)
{
	return d->ring ? ring_buffer__epoll_fd(d->ring) : -1;
}

int dmalog_poll(struct dmalog *d, dmalog_cb cb, void *ctx)
{
	int err;

	if (!d->ring)
		return 0;
	d->cb = cb;
	d->ctx = ctx;
	d->err = 0;
	err = ring_buffer__consume(d->ring);
	if (err < 0)
		return err;
	return d->err;
}

/* The process is gone, or has been idle: nobody is about to write to the place. */
static void free_place(struct dmalog *d, unsigned int i)
{
	volatile struct dmalog_ioas *p = &d->skel->bss->ioas[i];
	__u64 key = d->last[i].key;

	if (!__atomic_compare_exchange_n(&p->key, &key, DMALOG_KEY_CLEARED, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		return;
	memset((char *)&d->skel->bss->ioas[i] + sizeof(p->key), 0, sizeof(*p) - sizeof(p->key));
	memset(&d->last[i], 0, sizeof(d->last[i]));
	d->idle[i] = 0;
	__atomic_store_n(&p->key, 0, __ATOMIC_SEQ_CST);
}

static void copy_place(const struct dmalog *d, unsigned int i, struct dmalog_ioas *to)
{
	const volatile struct dmalog_ioas *p = &d->skel->bss->ioas[i];

	to->key = p->key;
	/* First: a map that is counted after this is the next reading's. */
	to->maps = __atomic_load_n(&p->maps, __ATOMIC_ACQUIRE);
	to->failed = p->failed;
	to->bytes = p->bytes;
	to->noncoherent_bytes = p->noncoherent_bytes;
	to->flushed_bytes = p->flushed_bytes;
	to->flush_ns = p->flush_ns;
	memcpy(to->comm, (const char *)p->comm, sizeof(to->comm));
}

static int add_unpins(struct dmalog *d, const struct dmalog_ioas *now,
		      const struct dmalog_ioas *last)
{
	size_t max = d->max_unpins ? 2 * d->max_unpins : 16;
	struct dmalog_unpin *grown;

	if (d->nr_unpins == d->max_unpins) {
		grown = reallocarray(d->unpins, max, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		d->unpins = grown;
		d->max_unpins = max;
	}
	d->unpins[d->nr_unpins++] = (struct dmalog_unpin){
		.pid = now->key >> 32,
		.f = { .flushes = now->maps - last->maps,
		       .bytes = now->flushed_bytes - last->flushed_bytes,
		       .ns = now->flush_ns - last->flush_ns },
	};
	return 0;
}

static int read_place(struct dmalog *d, unsigned int i, uint64_t time_ns, dmalog_cb cb, void *ctx)
{
	struct dmalog_ioas now, *last = &d->last[i];
	struct dmalog_event e = { .time_ns = time_ns, .kind = DMALOG_MAP };
	int err;

	copy_place(d, i, &now);
	if (now.maps == last->maps) {
		last->key = now.key;
		if (now.maps && ++d->idle[i] >= IDLE_MAX)
			free_place(d, i);
		return 0;
	}
	e.pid = now.key >> 32;
	e.tid = e.pid;
	e.ioas = now.key & 0xffffffff;
	memcpy(e.comm, now.comm, sizeof(e.comm));
	make_plain(e.comm, sizeof(e.comm));
	e.maps = now.maps - last->maps;
	e.failed = now.failed - last->failed;
	e.bytes = now.bytes - last->bytes;
	e.noncoherent_bytes = now.noncoherent_bytes - last->noncoherent_bytes;
	e.flushed_bytes = now.flushed_bytes - last->flushed_bytes;
	e.flush_ns = now.flush_ns - last->flush_ns;
	err = e.ioas == DMALOG_UNPINS ? add_unpins(d, &now, last) : cb(ctx, &e);
	*last = now;
	d->idle[i] = 0;
	return err;
}

int dmalog_read(struct dmalog *d, uint64_t time_ns, dmalog_cb cb, void *ctx)
{
	unsigned int i;
	int err;

	d->nr_unpins = 0;
	err = attach_all(d);
	if (!err)
		err = dmalog_poll(d, cb, ctx);
	/* What has happened since the reading began is before it. */
	if (time_ns < d->newest_ns)
		time_ns = d->newest_ns;
	for (i = 0; d->skel && i < NR_PLACES && !err; i++) {
		if (d->skel->bss->ioas[i].key > DMALOG_KEY_CLEARED)
			err = read_place(d, i, time_ns, cb, ctx);
	}
	return err;
}

const struct dmalog_unpin *dmalog_unpins(const struct dmalog *d, size_t *n)
{
	*n = d->nr_unpins;
	return d->unpins;
}

struct dmalog_losses dmalog_losses(const struct dmalog *d)
{
	struct dmalog_losses none = {};

	return d->skel ? d->skel->bss->losses : none;
}

void dmalog_flushes(const struct dmalog *d, struct dmalog_flush f[DMALOG_REASONS + 1])
{
	memset(f, 0, (DMALOG_REASONS + 1) * sizeof(*f));
	if (d->skel)
		memcpy(f, d->skel->bss->flushes, sizeof(d->skel->bss->flushes));
}

// SPDX-License-Identifier: GPL-2.0
/* The live source: attaches, waits for KVM, hands over readings and outliers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../lib/log.h"
#include "../lib/procutil.h"
#include "src_bpf.h"
#include "src_bpf_int.h"
#include "src_told.h"

uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int on_ring(void *ctx, void *data, size_t size)
{
	struct bpf_source *b = ctx;
	const struct wb_outlier *w = data;
	struct source_outlier o = {};
	struct vm_state *s;

	if (size < sizeof(*w) || !b->on_outlier)
		return 0;
	o.time_ns = w->time_ns;
	o.vm_key = w->gen;
	o.vcpu_id = w->vcpu_id;
	o.ns = w->ns;
	o.cpus = w->cpus;
	s = vm_table_find(b->vms, w->gen);
	if (!s && !bpf_read_vms(b))
		s = vm_table_find(b->vms, w->gen);
	if (s) {
		o.pid = s->val.tgid;
		memcpy(o.id, s->val.id, sizeof(o.id));
		o.name = vm_table_vm_name(b->vms, s);
	}
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

/* What the rung that was found cannot do of what was asked for, behind why no better one is used. */
static int set_notice_of_rung(struct bpf_source *b)
{
	const char *better = b->obj->notice;
	char *text;
	int err;

	if (!b->cfg.threshold_ns || b->obj->known & WB_KNOWN_TIME)
		return set_notice(b, better);
	log_warn("--threshold reports nothing: source %s has no times", b->obj->rung);
	if (asprintf(&text, "%s%s--threshold reports nothing: %s has no times",
		     better ? better : "", better ? "; " : "", b->obj->rung) < 0)
		return -ENOMEM;
	err = set_notice(b, text);
	free(text);
	return err;
}

/* Attaches now, or waits for KVM to be loaded. */
static int try_attach(struct bpf_source *b)
{
	const char *waits_for;
	size_t value;
	int err;

	err = bpf_obj_open(&b->obj, &b->cfg, &waits_for);
	if (err == -ENODEV) {
		b->src.name = "waiting";
		return set_notice(b, waits_for);
	}
	if (err)
		return err;
	value = b->obj->vcpus.value_size > b->obj->victims.value_size ? b->obj->vcpus.value_size :
									b->obj->victims.value_size;
	b->keys = malloc(BATCH * sizeof(struct wb_victim_key));
	b->values = malloc(BATCH * value);
	if (!b->keys || !b->values)
		return -ENOMEM;
	b->src.name = b->obj->rung;
	b->src.time_scope = b->obj->time_scope;
	b->module = proc_module_identity("kvm");
	if (b->cfg.threshold_ns) {
		b->ring = ring_buffer__new(b->obj->outliers, on_ring, b, NULL);
		if (!b->ring)
			return -errno;
	}
	return set_notice_of_rung(b);
}

/* Probes of the kprobe rung outlive kvm.ko: the kernel attaches them again. */
static void watch_module(struct bpf_source *b)
{
	ino_t now = proc_module_identity("kvm");

	if (now == b->module)
		return;
	if (!now)
		set_notice(b,
			   "KVM was unloaded; its probes will be attached again when it is loaded");
	else
		set_notice(b, "KVM was loaded again and its probes attached");
	b->module = now;
}

/* Nothing else tells that nothing is counted any more. */
static void watch_ftrace(struct bpf_source *b)
{
	bool off = b->obj->needs_ftrace && bpf_obj_ftrace_off();

	if (off == b->ftrace_off)
		return;
	b->ftrace_off = off;
	if (off) {
		log_warn(
			"function tracing was switched off (sysctl kernel.ftrace_enabled=0): exits are missed until it is on again");
		set_notice(
			b,
			"Function tracing is off (sysctl kernel.ftrace_enabled=0): exits are missed");
	} else {
		set_notice(b, "Function tracing was off for some time: exits were missed");
	}
}

/* What is missing from the counts and not in lost, said once for each kind. */
static void watch_losses(struct bpf_source *b)
{
	if (!b->said_victims && bpf_obj_losses(b->obj).full_victims) {
		b->said_victims = true;
		log_warn("some stalls found no room among the victims: use a larger --map-entries");
		set_notice(b, "Some stalls found no room: use a larger --map-entries");
	}
	if (!b->said_stalls && bpf_obj_skipped_callbacks(b->obj)) {
		b->said_stalls = true;
		set_notice(b, "The kernel skipped some stalls: they are missing");
	}
	if (!b->said_unseen && bpf_obj_unseen(b->obj)) {
		b->said_unseen = true;
		log_warn(
			"the kernel skipped this source's programs for some exits, which may be missing: --source fentry misses none unnoticed");
		set_notice(b, "The kernel skipped some exits: they may be missing");
	}
}

static int on_event(void *ctx, const struct dmalog_event *e)
{
	struct bpf_source *b = ctx;

	if (e->kind == DMALOG_BOX)
		vm_table_look_again(b->vms);
	/* Which VM of a process has changed, and whose device it is, the files tell. */
	if (e->kind != DMALOG_MAP)
		b->next_list_ns = 0;
	return 0;
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
	watch_ftrace(b);
	watch_losses(b);
	err = src_log_read(&b->log, s, on_event, b);
	if (!err)
		err = bpf_read_maps(b, s);
	if (!err)
		s->known |= src_log_known(&b->log);
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
	src_log_close(&b->log);
	vm_table_free(b->vms);
	free(b->entries);
	free(b->keys);
	free(b->values);
	free(b->notice);
	bpf_forget_vms(b);
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
	struct bpf_source *b;
	int err = -ENOMEM;

	if (source_told_fits(cfg))
		return source_open_told(out, cfg);
	b = calloc(1, sizeof(*b));
	if (!b)
		return err;
	b->src.ops = &bpf_ops;
	b->cfg = *cfg;
	uname(&b->uts);
	b->src.kernel = b->uts.release;
	b->src.name = "attaching";
	b->vms = vm_table_new("/proc");
	if (b->vms)
		err = bpf_obj_check(cfg);
	if (err) {
		bpf_source_close(&b->src);
		return err;
	}
	*out = &b->src;
	return 0;
}

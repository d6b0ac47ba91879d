// SPDX-License-Identifier: GPL-2.0
/* The only file that knows the skeleton of cfgwrite.bpf.c. */
#include "guestwrites.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../../bpf/cfgwrite_abi.h"
#include "../lib/bpfutil.h"
#include "../lib/log.h"
#include "../lib/num.h"
#include "../lib/procutil.h"
#include "cfgwrite.skel.h"
#include "fields.h"

#define MODULE "vfio_pci_core"

enum by { BY_NOTHING, BY_FEXIT, BY_KPROBE };

static const char why_not_loaded[] = MODULE " is not loaded yet";

struct guestwrites {
	struct cfgwrite_bpf *skel;
	struct bpf_link *link;
	enum by by;
	bool tried;
	ino_t identity; /* of the module that was tried last; 0: it was not loaded */
	const char *why;
	uint64_t since_ns;
	uint64_t missed;
};

static void unload(struct guestwrites *g)
{
	bpf_link__destroy(g->link);
	cfgwrite_bpf__destroy(g->skel);
	g->link = NULL;
	g->skel = NULL;
	g->by = BY_NOTHING;
	g->missed = 0;
}

static int try(struct guestwrites *g, enum by by)
{
	struct bpf_program *prog;
	int err;

	g->skel = cfgwrite_bpf__open();
	if (!g->skel)
		return -errno;
	bpf_program__set_autoload(g->skel->progs.write_end, by == BY_FEXIT);
	bpf_program__set_autoload(g->skel->progs.write_begin, by == BY_KPROBE);
	prog = by == BY_FEXIT ? g->skel->progs.write_end : g->skel->progs.write_begin;
	err = cfgwrite_bpf__load(g->skel);
	if (!err) {
		g->link = bpf_program__attach(prog);
		err = g->link ? 0 : -errno;
	}
	if (err) {
		log_debug("guests' writes by %s: %s", bpf_program__section_name(prog),
			  strerror(-err));
		unload(g);
		return err;
	}
	g->by = by;
	return 0;
}

/* Nothing that is attached to a function is run then, and nothing else tells. */
static bool tracing_is_off(void)
{
	uint64_t on;

	return !proc_read_number(AT_FDCWD, "/proc/sys/kernel/ftrace_enabled", 10, &on) && !on;
}

static void attach(struct guestwrites *g)
{
	libbpf_print_fn_t print = libbpf_set_print(bpfutil_print);
	int err = try(g, BY_FEXIT);

	if (err && err != -EPERM && err != -ENOMEM)
		err = try(g, BY_KPROBE);
	libbpf_set_print(print);
	g->why =
		!err ? NULL :
		err == -EPERM ?
		       "guests' writes cannot be counted: needs root (CAP_BPF and CAP_PERFMON)" :
		!g->identity ?
		       why_not_loaded :
		       "this kernel lets nothing be attached to vfio_pci_config_rw(), or has no type information of " MODULE;
	if (!err)
		g->since_ns = monotonic_ns();
}

void guestwrites_read(struct guestwrites *g)
{
	ino_t now;

	if (tracing_is_off()) {
		unload(g);
		g->tried = false;
		g->why = "function tracing is off (sysctl kernel.ftrace_enabled is 0)";
		return;
	}
	if (g->by == BY_FEXIT) {
		/* The module stays: its function is in use. */
		g->missed = bpfutil_misses(g->skel->progs.write_end);
		return;
	}
	now = proc_module_identity(MODULE);
	if ((g->tried && now == g->identity) || (now && !proc_module_live("/sys/module", MODULE)))
		return;
	unload(g);
	/* Built in, it may have no directory: once it is tried without one. */
	if (!now && g->tried) {
		g->identity = 0;
		g->why = why_not_loaded;
		return;
	}
	g->tried = true;
	g->identity = now;
	attach(g);
}

int guestwrites_open(struct guestwrites **out)
{
	struct guestwrites *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->why = why_not_loaded;
	guestwrites_read(g);
	*out = g;
	return 0;
}

void guestwrites_close(struct guestwrites *g)
{
	if (!g)
		return;
	unload(g);
	free(g);
}

const char *guestwrites_by(const struct guestwrites *g)
{
	static const char *const names[] = {
		[BY_NOTHING] = NULL,
		[BY_FEXIT] = "fexit",
		[BY_KPROBE] = "kprobe",
	};

	return names[g->by];
}

const char *guestwrites_why(const struct guestwrites *g)
{
	return g->why;
}

uint64_t guestwrites_since_ns(const struct guestwrites *g)
{
	return g->since_ns;
}

uint64_t guestwrites_lost(const struct guestwrites *g)
{
	return g->skel ? g->skel->bss->full + g->missed : 0;
}

static const struct cfgwrite_dev *find(const struct guestwrites *g, const char *bdf)
{
	unsigned long part[4];
	const struct cfgwrite_dev *set;
	char *end = (char *)bdf;
	__u64 key;

	/* Domain, bus, device, function: of a thousand functions at each reading. */
	for (size_t i = 0; i < 4; i++) {
		part[i] = strtoul(end, &end, 16);
		end += *end != '\0';
	}
	key = CFGWRITE_KEY(part[0], part[1] & 0xff, (part[2] & 0x1f) << 3 | (part[3] & 7));
	set = &g->skel->bss->devs[CFGWRITE_SET(key) * CFGWRITE_WAYS];
	for (unsigned int i = 0; i < CFGWRITE_WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

bool guestwrites_of(const struct guestwrites *g, const char *bdf, struct guest_writes *to)
{
	const volatile struct cfgwrite_dev *d;
	uint64_t last;

	memset(to, 0, sizeof(*to));
	if (g->by == BY_NOTHING)
		return false;
	d = find(g, bdf);
	if (!d)
		return true;
	to->set = d->set;
	to->cleared = d->cleared;
	to->unread = d->unread;
	last = d->last;
	to->last_ns = last >> 1;
	to->last = last & 1;
	return true;
}

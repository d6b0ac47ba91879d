// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/capability.h>

#include "../lib/bpfutil.h"
#include "../lib/dmalog.h"
#include "../lib/log.h"
#include "../lib/procutil.h"
#include "bpf_obj.h"
#include "kprobe_set.h"
#include "wbinvd.skel.h"

/* Programs are chosen by set: one main set, one for what is watched beside it. */
enum set {
	MAIN_FENTRY = 1 << 0,
	MAIN_KPROBE = 1 << 1,
	MAIN_EXIT = 1 << 2,
	MAIN_INSN = 1 << 3,
	CALLBACK_FENTRY = 1 << 4,
	CALLBACK_KPROBE = 1 << 5,
	DESTROY_FENTRY = 1 << 6,
	DESTROY_KPROBE = 1 << 7,
	ITER = 1 << 8,
	MAIN_TOLD = 1 << 9,
	TOLD_FLUSH = 1 << 10,
};

#define CALLBACKS (CALLBACK_FENTRY | CALLBACK_KPROBE)
#define DESTROYS  (DESTROY_FENTRY | DESTROY_KPROBE)
/* What needs ftrace; a tracepoint does not. */
#define FUNCTIONS (MAIN_FENTRY | MAIN_KPROBE | CALLBACKS | DESTROYS | TOLD_FLUSH)

#define SYS_MODULE "/sys/module"

enum how {
	TRAMPOLINE,
	KPROBE,
	KRETPROBE,
	TRACEPOINT,
	RAW_TRACEPOINT,
	ITERATOR,
	MAP_ITERATOR,
	CALLED
};

/* The flush callback is KVM's own until 6.x, and a general one after that. */
#define CALLBACK_FN "*callback"
static const char *const callbacks[] = { "wbinvd_ipi", "__wbinvd" };

static const struct prog_desc {
	const char *prog;
	enum set set;
	enum how how;
	const char *fn;
	bool optional; /* the function may not exist, e.g. be inlined */
} descs[] = {
	{ "fe_told_flush", TOLD_FLUSH, TRAMPOLINE, "wbinvd_on_cpus_mask" },
	{ "rt_told_end", MAIN_TOLD, RAW_TRACEPOINT, "kvm_wbinvd_end" },
	{ "fe_begin", MAIN_FENTRY, TRAMPOLINE, "kvm_emulate_wbinvd" },
	{ "fe_end", MAIN_FENTRY, TRAMPOLINE, "kvm_emulate_wbinvd" },
	{ "fe_emul_begin", MAIN_FENTRY, TRAMPOLINE, "emulator_wbinvd", .optional = true },
	{ "fe_emul_end", MAIN_FENTRY, TRAMPOLINE, "emulator_wbinvd", .optional = true },
	{ "kp_begin", MAIN_KPROBE, KPROBE, "kvm_emulate_wbinvd" },
	{ "kp_begin", MAIN_KPROBE, KPROBE, "emulator_wbinvd", .optional = true },
	{ "kp_end", MAIN_KPROBE, KRETPROBE, "kvm_emulate_wbinvd" },
	{ "kp_end", MAIN_KPROBE, KRETPROBE, "emulator_wbinvd", .optional = true },
	{ "rt_exit", MAIN_EXIT, RAW_TRACEPOINT, "kvm_exit" },
	{ "rt_entry", MAIN_EXIT, RAW_TRACEPOINT, "kvm_entry" },
	{ "tp_insn", MAIN_INSN, TRACEPOINT, "kvm_emulate_insn" },
	{ "fe_callback_begin", CALLBACK_FENTRY, TRAMPOLINE, CALLBACK_FN },
	{ "fe_callback_end", CALLBACK_FENTRY, TRAMPOLINE, CALLBACK_FN },
	{ "kp_callback_begin", CALLBACK_KPROBE, KPROBE, CALLBACK_FN },
	{ "kp_callback_end", CALLBACK_KPROBE, KRETPROBE, CALLBACK_FN },
	{ "fe_vm_destroy", DESTROY_FENTRY, TRAMPOLINE, "kvm_arch_destroy_vm" },
	{ "fe_vcpu_destroy", DESTROY_FENTRY, TRAMPOLINE, "kvm_arch_vcpu_destroy" },
	{ "kp_vm_destroy", DESTROY_KPROBE, KPROBE, "kvm_arch_destroy_vm" },
	{ "kp_vcpu_destroy", DESTROY_KPROBE, KPROBE, "kvm_arch_vcpu_destroy" },
	{ "list_vms", ITER, ITERATOR, "task_file" },
	{ "read_vcpus", ITER, MAP_ITERATOR, "vcpus" },
	{ "read_vcpus", ITER, MAP_ITERATOR, "retired" },
	{ "read_vms", ITER, MAP_ITERATOR, "vms" },
	{ "read_victims", ITER, MAP_ITERATOR, "victims" },
	{ "forget", ITER, CALLED, "" },
	{ "recount", MAIN_TOLD, CALLED, "" },
};

#define NR_DESCS (sizeof(descs) / sizeof(descs[0]))

/* Best first; what is beside a main set is tried in the order of beside[]. */
static const struct rung {
	const char *name;
	const char *time_scope;
	enum set main;
	unsigned int known;
	unsigned int known_callback; /* in addition, with the callback probed */
	unsigned int beside[4];	     /* 0 ends the list and means nothing beside */
} rungs[] = {
	{ "tracepoint",
	  "function",
	  MAIN_TOLD,
	  WB_KNOWN_OUTCOME | WB_KNOWN_TIME | WB_KNOWN_CPUS | WB_KNOWN_NONCOHERENT | WB_KNOWN_REASON,
	  WB_KNOWN_STALL,
	  { CALLBACK_FENTRY | TOLD_FLUSH | DESTROY_FENTRY, DESTROY_FENTRY } },
	{ "fentry",
	  "function",
	  MAIN_FENTRY,
	  WB_KNOWN_OUTCOME | WB_KNOWN_TIME | WB_KNOWN_CPUS | WB_KNOWN_NONCOHERENT,
	  WB_KNOWN_STALL,
	  { CALLBACK_FENTRY | DESTROY_FENTRY, DESTROY_FENTRY } },
	{ "kprobe",
	  "function",
	  MAIN_KPROBE,
	  WB_KNOWN_OUTCOME | WB_KNOWN_TIME | WB_KNOWN_CPUS | WB_KNOWN_NONCOHERENT,
	  WB_KNOWN_STALL,
	  /* KVM's own functions by kprobe alone, so that it can be unloaded. */
	  { CALLBACK_FENTRY | DESTROY_KPROBE, CALLBACK_KPROBE | DESTROY_KPROBE, DESTROY_KPROBE } },
	{ "exit",
	  "exit",
	  MAIN_EXIT,
	  WB_KNOWN_TIME | WB_KNOWN_NONCOHERENT,
	  WB_KNOWN_STALL,
	  { CALLBACK_FENTRY | DESTROY_FENTRY, CALLBACK_KPROBE | DESTROY_KPROBE } },
	{ "insn", NULL, MAIN_INSN, WB_KNOWN_NONCOHERENT, 0, { DESTROY_FENTRY, DESTROY_KPROBE } },
};

#define NR_RUNGS (sizeof(rungs) / sizeof(rungs[0]))

/* Why the rung under trial is refused, where it is known better than by errno. */
static char last_complaint[256];

/* The reason of an exit is the vendor module's to know: its type information is needed. */
static bool vendor_loaded(const char *modules)
{
	return proc_module_live(modules, "kvm_amd") || proc_module_live(modules, "kvm_intel");
}

const char *bpf_obj_waits_for(const char *modules, bool vendor)
{
	if (!proc_module_live(modules, "kvm"))
		return "KVM is not loaded; waiting for it";
	if (vendor && !vendor_loaded(modules))
		return "KVM is loaded without kvm_intel or kvm_amd; waiting for one of them";
	return NULL;
}

bool bpf_obj_ftrace_off(void)
{
	FILE *f = fopen("/proc/sys/kernel/ftrace_enabled", "re");
	int value = '1';

	if (f) {
		value = fgetc(f);
		fclose(f);
	}
	return value == '0';
}

/*
 * Points a trampoline program at its function; -ENOENT: there is none in BTF,
 * -EBUSY: it is KVM's, which kprobes let go and a trampoline would hold.
 */
static int set_target(struct bpf_program *prog, const struct prog_desc *d, unsigned int sets)
{
	unsigned int i;

	if (strcmp(d->fn, CALLBACK_FN))
		return bpf_program__set_attach_target(prog, 0, d->fn) ? -ENOENT : 0;
	for (i = 0; i < sizeof(callbacks) / sizeof(callbacks[0]); i++) {
		if (!bpf_program__set_attach_target(prog, 0, callbacks[i]))
			return !i && sets & MAIN_KPROBE ? -EBUSY : 0;
	}
	return -ENOENT;
}

/* Switches everything off but the programs of the sets. */
static int select_programs(struct bpf_obj *o, unsigned int sets)
{
	struct bpf_program *prog;
	unsigned int i;
	int err;

	bpf_object__for_each_program(prog, o->skel->obj)
		bpf_program__set_autoload(prog, false);
	for (i = 0; i < NR_DESCS; i++) {
		const struct prog_desc *d = &descs[i];

		if (!(d->set & sets))
			continue;
		prog = bpf_object__find_program_by_name(o->skel->obj, d->prog);
		err = d->how == TRAMPOLINE ? set_target(prog, d, sets) : 0;
		if (err && d->optional)
			continue;
		if (err) {
			snprintf(last_complaint, sizeof(last_complaint),
				 err == -EBUSY ? "%s() is a module's" :
						 "no type information for %s()",
				 strcmp(d->fn, CALLBACK_FN) ? d->fn : callbacks[0]);
			return err;
		}
		bpf_program__set_autoload(prog, true);
	}
	return 0;
}

/* With room for few vCPUs asked for, all of it is the hash's, to the unit. */
static bool use_places(const struct source_config *cfg)
{
	return cfg->map_entries >= 2 * WB_PLACES;
}

static int configure(struct bpf_obj *o, const struct source_config *cfg, const struct rung *r,
		     unsigned int sets)
{
	struct bpf_map *per_vcpu[] = { o->skel->maps.vcpus, o->skel->maps.retired,
				       o->skel->maps.blank };
	unsigned int mask_words;
	size_t vcpu_size;
	int nr_cpus = libbpf_num_possible_cpus();
	unsigned int i;

	if (nr_cpus < 0)
		return nr_cpus;
	mask_words = (nr_cpus + 63) / 64;
	if (mask_words > WB_MAX_MASK_WORDS)
		return -E2BIG;
	vcpu_size = sizeof(struct wb_vcpu_val) + 8 * mask_words;
	o->skel->rodata->mask_words = mask_words;
	o->skel->rodata->vcpu_size = vcpu_size;
	for (i = 0; i < WB_PLACES && !use_places(cfg); i++)
		o->skel->bss->places[i].vcpu.vcpu = ~0ULL;
	o->skel->rodata->threshold_ns = cfg->threshold_ns;
	o->skel->rodata->have_callback = sets & CALLBACKS;
	o->skel->rodata->callback_skipped = sets & CALLBACK_KPROBE;
	o->skel->rodata->count_open = r->main == MAIN_EXIT;
	o->skel->rodata->told = r->main == MAIN_TOLD;
	o->skel->rodata->have_destroy = sets & DESTROYS;

	for (i = 0; i < WB_HIST_TABLE; i++)
		o->skel->rodata->hist_slots[i] = wb_hist_slot(i * WB_HIST_TABLE_STEP);

	for (i = 0; i < sizeof(per_vcpu) / sizeof(per_vcpu[0]); i++)
		bpf_map__set_value_size(per_vcpu[i], vcpu_size);
	bpf_map__set_max_entries(o->skel->maps.vcpus,
				 cfg->map_entries - (use_places(cfg) ? WB_PLACES : 0));
	bpf_map__set_max_entries(o->skel->maps.retired, cfg->map_entries);
	bpf_map__set_max_entries(o->skel->maps.targets, nr_cpus);
	bpf_map__set_max_entries(o->skel->maps.victims, cfg->map_entries);
	return select_programs(o, sets | ITER);
}

static void event_name(const struct prog_desc *d, char *buf, size_t size)
{
	snprintf(buf, size, "%s_%s", strcmp(d->fn, CALLBACK_FN) ? d->fn : "callback",
		 d->how == KRETPROBE ? "end" : "begin");
}

static struct bpf_link *attach_kprobe(struct bpf_obj *o, struct bpf_program *prog,
				      const struct prog_desc *d)
{
	bool callback = !strcmp(d->fn, CALLBACK_FN), ret = d->how == KRETPROBE;
	char event[64], name[80];
	unsigned int i;
	int err;

	if (!o->kprobes) {
		err = kprobe_set_new(&o->kprobes);
		if (err)
			goto fail;
	}
	event_name(d, event, sizeof(event));
	if (!callback) {
		err = kprobe_set_add(o->kprobes, event, "kvm", d->fn, ret);
	} else {
		err = -ENOENT;
		for (i = 0; i < sizeof(callbacks) / sizeof(callbacks[0]) && err; i++)
			err = kprobe_set_add(o->kprobes, event, i ? NULL : "kvm", callbacks[i],
					     ret);
	}
	if (err)
		goto fail;
	kprobe_set_name(event, name, sizeof(name));
	return bpf_program__attach_tracepoint(prog, kprobe_set_group(o->kprobes), name);
fail:
	snprintf(last_complaint, sizeof(last_complaint), "kprobe on %s(): %s",
		 callback ? callbacks[0] : d->fn, strerror(-err));
	errno = -err;
	return NULL;
}

/* The table of that name; what is not known of it is filled in. */
static struct bpf_table *table_of(struct bpf_obj *o, const char *name)
{
	const struct {
		const char *name;
		struct bpf_table *table;
		struct bpf_map *map;
	} tables[] = {
		{ "vcpus", &o->vcpus, o->skel->maps.vcpus },
		{ "retired", &o->retired, o->skel->maps.retired },
		{ "vms", &o->vms, o->skel->maps.vms },
		{ "victims", &o->victims, o->skel->maps.victims },
	};
	unsigned int i = 0;

	while (strcmp(tables[i].name, name))
		i++;
	tables[i].table->map = bpf_map__fd(tables[i].map);
	tables[i].table->key_size = bpf_map__key_size(tables[i].map);
	tables[i].table->value_size = bpf_map__value_size(tables[i].map);
	return tables[i].table;
}

static struct bpf_link *attach_table(struct bpf_obj *o, struct bpf_program *prog, const char *name)
{
	struct bpf_table *table = table_of(o, name);
	union bpf_iter_link_info info = { .map.map_fd = table->map };
	struct bpf_link *link;

	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
	link = bpf_program__attach_iter(prog, &opts);
	if (link)
		table->iter = bpf_link__fd(link);
	return link;
}

static int attach_one(struct bpf_obj *o, const struct prog_desc *d)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(o->skel->obj, d->prog);
	struct bpf_link *link;

	switch (d->how) {
	case KPROBE:
	case KRETPROBE:
		link = attach_kprobe(o, prog, d);
		break;
	case TRACEPOINT:
		link = bpf_program__attach_tracepoint(prog, "kvm", d->fn);
		break;
	case RAW_TRACEPOINT:
		link = bpf_program__attach_raw_tracepoint(prog, d->fn);
		break;
	case MAP_ITERATOR:
		link = attach_table(o, prog, d->fn);
		break;
	case CALLED:
		return 0;
	default:
		if (!bpf_program__autoload(prog))
			return 0;
		link = bpf_program__attach(prog);
	}
	if (!link)
		return d->optional ? 0 : -errno;
	if (d->how == ITERATOR)
		o->iter = bpf_link__fd(link);
	o->links[o->nr_links++] = link;
	return 0;
}

/*
 * Begin programs last: an exit whose end alone is seen is told from the
 * others, one whose begin alone is seen would stay open.  The list has ends
 * after begins, so it is walked from its end.
 */
static int attach(struct bpf_obj *o, unsigned int sets)
{
	unsigned int i;
	int err;

	o->links = calloc(NR_DESCS, sizeof(*o->links));
	if (!o->links)
		return -ENOMEM;
	for (i = NR_DESCS; i-- > 0;) {
		if (!(descs[i].set & (sets | ITER)))
			continue;
		err = attach_one(o, &descs[i]);
		if (err)
			return err;
	}
	return 0;
}

static int try_rung(struct bpf_obj **out, const struct source_config *cfg, const struct rung *r,
		    unsigned int beside)
{
	struct bpf_obj *o = calloc(1, sizeof(*o));
	int err = -ENOMEM;

	if (!o)
		return err;
	last_complaint[0] = '\0';
	bpfutil_begin();
	if (((r->main | beside) & FUNCTIONS) && bpf_obj_ftrace_off()) {
		snprintf(last_complaint, sizeof(last_complaint),
			 "function tracing is off (sysctl kernel.ftrace_enabled is 0)");
		err = -EBUSY;
		goto fail;
	}
	if (r->main == MAIN_EXIT && !vendor_loaded(SYS_MODULE)) {
		snprintf(last_complaint, sizeof(last_complaint),
			 "no vendor module of KVM is loaded");
		err = -ENOENT;
		goto fail;
	}
	o->skel = wbinvd_bpf__open();
	if (!o->skel) {
		err = -errno;
		goto fail;
	}
	err = configure(o, cfg, r, r->main | beside);
	if (!err)
		err = wbinvd_bpf__load(o->skel);
	if (!err)
		err = attach(o, r->main | beside);
	if (err)
		goto fail;
	o->rung = r->name;
	o->time_scope = r->time_scope;
	o->known = r->known | (beside & CALLBACKS ? r->known_callback : 0);
	o->destroy_probed = beside & DESTROYS;
	o->needs_ftrace = (r->main | beside) & FUNCTIONS;
	o->outliers = bpf_map__fd(o->skel->maps.outliers);
	o->early_begins = bpf_obj_skipped_begins(o);
	o->early_callbacks = bpf_obj_skipped_callbacks(o);
	*out = o;
	return 0;
fail:
	bpf_obj_close(o);
	return err;
}

static const char *explain(int err)
{
	return last_complaint[0] ? last_complaint : bpfutil_why(err);
}

/* One rung with the best that can be had beside it. */
static int try_beside(struct bpf_obj **out, const struct source_config *cfg, const struct rung *r)
{
	unsigned int i;
	int err;

	for (i = 0;; i++) {
		err = try_rung(out, cfg, r, r->beside[i]);
		if (!err || !r->beside[i])
			return err;
		log_debug("source %s with sets %#x: %s", r->name, r->beside[i], explain(err));
	}
}

/*
 * CAP_SYS_ADMIN in the effective set.  CAP_BPF and CAP_PERFMON would do for the
 * programs, but not for finding the type information of kvm.ko, without which
 * none of them loads.
 */
static bool privileged(void)
{
	unsigned long long caps = 0;
	char *line = NULL;
	size_t size = 0;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && getline(&line, &size, f) > 0) {
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	}
	free(line);
	if (f)
		fclose(f);
	return caps >> CAP_SYS_ADMIN & 1;
}

/*
 * Needs CAP_SYS_ADMIN of the initial user namespace, as finding kvm.ko's type
 * information does; what is in CapEff may be of another one.
 */
static bool bpf_refused(void)
{
	__u32 id;

	return bpf_btf_get_next_id(0, &id) && errno == EPERM;
}

static bool locked_down(void)
{
	FILE *f = fopen("/sys/kernel/security/lockdown", "re");
	char text[64] = "";

	if (f) {
		if (!fgets(text, sizeof(text), f))
			text[0] = '\0';
		fclose(f);
	}
	return strstr(text, "[confidentiality]") != NULL;
}

static const struct rung *find_rung(const char *name)
{
	unsigned int i;

	for (i = 0; i < NR_RUNGS; i++) {
		if (!strcmp(rungs[i].name, name))
			return &rungs[i];
	}
	return NULL;
}

int bpf_obj_check(const struct source_config *cfg)
{
	if (cfg->wanted && !find_rung(cfg->wanted)) {
		log_err("unknown source \"%s\": use tracepoint, fentry, kprobe, exit or insn",
			cfg->wanted);
		return -EINVAL;
	}
	if (!privileged()) {
		log_err("watching KVM with BPF programs needs root (CAP_SYS_ADMIN)");
		return -EPERM;
	}
	if (bpf_refused()) {
		log_err("the kernel refuses bpf() here: watching KVM with BPF programs needs root (CAP_SYS_ADMIN) of the initial user namespace, outside of containers");
		return -EPERM;
	}
	if (access("/sys/kernel/btf/vmlinux", R_OK)) {
		log_err("this kernel carries no BTF (CONFIG_DEBUG_INFO_BTF), which every live source needs; only --replay works here");
		return -EOPNOTSUPP;
	}
	if (locked_down()) {
		log_err("kernel lockdown is in confidentiality mode, which keeps BPF from reading kernel memory; boot with lockdown=integrity or less");
		return -EPERM;
	}
	return 0;
}

/* Adds "fentry refused: Operation not permitted" to the notice. */
static void note_refusal(char **notice, const struct rung *r, int err)
{
	char *old = *notice;

	if (asprintf(notice, "%s%s%s refused: %s", old ? old : "", old ? "; " : "", r->name,
		     explain(err)) < 0)
		*notice = NULL;
	free(old);
}

/* What is used in place of what was refused. */
static void note_instead(char **notice, const struct rung *r)
{
	char *old = *notice;

	if (!old)
		return;
	if (asprintf(notice, "%s; using %s instead", old, r->name) < 0)
		*notice = NULL;
	free(old);
}

int bpf_obj_open(struct bpf_obj **out, const struct source_config *cfg, const char **waits_for)
{
	const struct rung *wanted = cfg->wanted ? find_rung(cfg->wanted) : NULL;
	char *notice = NULL;
	int err = -EOPNOTSUPP;
	unsigned int i;

	libbpf_set_print(bpfutil_print);
	*waits_for = bpf_obj_waits_for(SYS_MODULE, wanted && wanted->main == MAIN_EXIT);
	if (*waits_for)
		return -ENODEV;
	for (i = 0; i < NR_RUNGS; i++) {
		const struct rung *r = wanted ? wanted : &rungs[i];

		if (r->main == MAIN_TOLD && !dmalog_has_tracepoint("kvm_wbinvd_end")) {
			/* Most kernels have none, and nobody misses them there. */
			if (!wanted)
				continue;
			snprintf(last_complaint, sizeof(last_complaint),
				 "this kernel has no such tracepoints");
			err = -ENOENT;
			note_refusal(&notice, r, err);
			break;
		}
		err = try_beside(out, cfg, r);
		if (!err) {
			note_instead(&notice, r);
			(*out)->notice = notice;
			/* Type information of the whole kernel has just been freed. */
			malloc_trim(0);
			return 0;
		}
		log_debug("source %s: %s", r->name, explain(err));
		note_refusal(&notice, r, err);
		if (wanted)
			break;
	}
	/* It may have gone meanwhile. */
	*waits_for = bpf_obj_waits_for(SYS_MODULE, false);
	if (*waits_for)
		err = -ENODEV;
	else
		log_err("this kernel lets no source attach: %s", notice ? notice : strerror(-err));
	free(notice);
	return *waits_for || err == -ENOMEM ? err : -EOPNOTSUPP;
}

void bpf_obj_close(struct bpf_obj *o)
{
	unsigned int i;

	if (!o)
		return;
	for (i = 0; i < o->nr_links; i++)
		bpf_link__destroy(o->links[i]);
	free(o->links);
	kprobe_set_free(o->kprobes);
	wbinvd_bpf__destroy(o->skel);
	free(o->notice);
	free(o);
}

uint32_t bpf_obj_next_epoch(struct bpf_obj *o)
{
	return __atomic_fetch_add(&o->skel->data->epoch, 1ULL << WB_MAX_NS_BITS,
				  __ATOMIC_RELAXED) >>
	       WB_MAX_NS_BITS;
}

static uint64_t recursion_misses(struct bpf_obj *o, const char *name)
{
	return bpfutil_misses(bpf_object__find_program_by_name(o->skel->obj, name));
}

/* Calls of what the begin programs of one set are probes on, as the kernel counts them. */
static uint64_t probed_calls(struct bpf_obj *o, enum set set)
{
	uint64_t sum = 0;
	char event[64];
	unsigned int i;

	for (i = 0; i < NR_DESCS && o->kprobes; i++) {
		if (descs[i].set != set || descs[i].how != KPROBE)
			continue;
		event_name(&descs[i], event, sizeof(event));
		sum += kprobe_set_calls(o->kprobes, event);
	}
	return sum;
}

/* Calls first: what is under way between the two readings is not skipped. */
static uint64_t skipped_calls(struct bpf_obj *o, enum set set, const __u64 *runs, uint64_t early)
{
	uint64_t calls = probed_calls(o, set);
	uint64_t seen = __atomic_load_n(runs, __ATOMIC_SEQ_CST) + early;

	return calls > seen ? calls - seen : 0;
}

uint64_t bpf_obj_skipped_begins(struct bpf_obj *o)
{
	return recursion_misses(o, "rt_told_end") + recursion_misses(o, "fe_begin") +
	       recursion_misses(o, "fe_emul_begin") +
	       skipped_calls(o, MAIN_KPROBE, &o->skel->bss->kprobe_begins, o->early_begins);
}

uint64_t bpf_obj_skipped_callbacks(struct bpf_obj *o)
{
	return skipped_calls(o, CALLBACK_KPROBE, &o->skel->bss->kprobe_callbacks,
			     o->early_callbacks);
}

uint64_t bpf_obj_unseen(struct bpf_obj *o)
{
	return recursion_misses(o, "tp_insn");
}

const volatile union wb_place *bpf_obj_places(const struct bpf_obj *o)
{
	return o->skel->bss->places;
}

struct wb_changes bpf_obj_changes(const struct bpf_obj *o)
{
	const struct wb_changes *c = &o->skel->bss->changes;
	struct wb_changes now;

	/* Done first: then as many done as begun means that none was under way. */
	now.done = __atomic_load_n(&c->done, __ATOMIC_SEQ_CST);
	now.begun = __atomic_load_n(&c->begun, __ATOMIC_SEQ_CST);
	return now;
}

void bpf_obj_forget(struct bpf_obj *o, const struct wb_forget *what)
{
	struct wb_forget copy = *what;
	int err;

	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &copy, .ctx_size_in = sizeof(copy));
	err = bpf_prog_test_run_opts(bpf_program__fd(o->skel->progs.forget), &opts);
	if (err)
		log_debug("cannot delete from the maps: %s", strerror(-err));
}

const struct wb_missed *bpf_obj_missed(struct bpf_obj *o)
{
	int err;

	LIBBPF_OPTS(bpf_test_run_opts, opts);
	if (!(o->known & WB_KNOWN_REASON) || !recursion_misses(o, "rt_told_end"))
		return NULL;
	err = bpf_prog_test_run_opts(bpf_program__fd(o->skel->progs.recount), &opts);
	if (err)
		log_debug("cannot look for missed exits: %s", strerror(-err));
	return err ? NULL : o->skel->bss->missed;
}

struct wb_losses bpf_obj_losses(const struct bpf_obj *o)
{
	return o->skel->bss->losses;
}

// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/log.h"
#include "../lib/num.h"
#include "config.h"

#define NSEC_PER_SEC 1000000000ULL

#define MAP_ENTRIES_DEFAULT 16384

enum {
	KEY_SOURCE = OPTS_KEY_TOOL,
	KEY_REPLAY,
	KEY_VCPUS,
	KEY_VIEW,
	KEY_LOG,
	KEY_THRESHOLD,
	KEY_MAP_ENTRIES,
};

static const struct argp_option options[] = {
	{ 0, 0, 0, 0, "What is shown:", 3 },
	{ "view", KEY_VIEW, "VIEW", 0,
	  "vms, victims, devices or log (vms); also a key of the screen", 3 },
	{ "vcpus", KEY_VCPUS, 0, 0, "Each VM's vCPUs below it", 3 },
	{ "log", KEY_LOG, 0, 0, "What was attached, mapped or changed, below each frame of text",
	  3 },
	{ "threshold", KEY_THRESHOLD, "NS", 0,
	  "Report each flush that takes longer than NS nanoseconds", 3 },
	{ 0, 0, 0, 0, "Where it comes from:", 4 },
	{ "source", KEY_SOURCE, "NAME", 0,
	  "tracepoint, fentry, kprobe, exit or insn instead of the first of them that works", 4 },
	{ "replay", KEY_REPLAY, "FILE", 0, "A recording made with --record", 4 },
	{ "map-entries", KEY_MAP_ENTRIES, "N", 0,
	  "Room in the kernel for N vCPUs and N victims, 1 to 1048576 (16384)", 4 },
	{ 0 }
};

static const char doc[] =
	"Shows what the WBINVD instructions of virtual machines cost, and who pays.\v"
	"Exit status: 0 done, 1 failed while running, 2 bad option or recording, "
	"3 no permission, 4 this kernel cannot.";

static error_t set_source(struct config *cfg, const char *arg)
{
	static const char *const rungs[] = { "tracepoint", "fentry", "kprobe", "exit", "insn" };

	for (size_t i = 0; i < sizeof(rungs) / sizeof(rungs[0]); i++) {
		if (!strcmp(arg, rungs[i])) {
			cfg->src.wanted = arg;
			return 0;
		}
	}
	/* The same word that the header and the frames use for a recording. */
	if (!strncmp(arg, "replay:", 7) && arg[7]) {
		cfg->src.replay = arg + 7;
		return 0;
	}
	return opts_bad("--source", arg, "tracepoint, fentry, kprobe, exit, insn or replay:FILE");
}

static error_t set_view(struct config *cfg, const char *arg)
{
	static const char *const views[] = {
		[BATCH_VMS] = "vms",
		[BATCH_VICTIMS] = "victims",
		[BATCH_DEVICES] = "devices",
		[BATCH_LOG] = "log",
	};

	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		if (!strcmp(arg, views[i])) {
			cfg->view = i;
			return 0;
		}
	}
	return opts_bad("--view", arg, "vms, victims, devices or log");
}

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct config *cfg = state->input;
	uint64_t n;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &cfg->o;
		return 0;
	case KEY_SOURCE:
		return set_source(cfg, arg);
	case KEY_REPLAY:
		if (!*arg)
			return opts_bad("--replay", arg, "a file name");
		cfg->src.replay = arg;
		return 0;
	case KEY_VCPUS:
		cfg->vcpus = true;
		return 0;
	case KEY_LOG:
		cfg->log = true;
		return 0;
	case KEY_VIEW:
		return set_view(cfg, arg);
	case KEY_THRESHOLD:
		if (num_u64(arg, 1, 1000 * NSEC_PER_SEC, &cfg->src.threshold_ns))
			return opts_bad("--threshold", arg,
					"a number of nanoseconds from 1 to 1000000000000");
		return 0;
	case KEY_MAP_ENTRIES:
		if (num_u64(arg, 1, 1048576, &n))
			return opts_bad("--map-entries", arg, "a number from 1 to 1048576");
		cfg->src.map_entries = n;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int refuse(const char *sentence)
{
	log_err("%s", sentence);
	return -EINVAL;
}

/* What each option allows but the whole does not mean anything. */
static int check_together(const struct config *cfg)
{
	const struct source_config *src = &cfg->src;

	if (src->replay && src->wanted)
		return refuse("--source and --replay exclude each other: "
			      "a recording has its own source");
	if (src->replay && src->threshold_ns)
		return refuse("--threshold needs a live source: "
			      "a recording does not hold single flushes");
	if (src->wanted && !strcmp(src->wanted, "insn") && src->threshold_ns)
		return refuse("--threshold needs another source than insn, which has no times");
	if (src->replay && src->map_entries)
		return refuse("--map-entries needs a live source: a recording uses no maps");
	if (cfg->view != BATCH_VMS && cfg->o.format == OPTS_JSON)
		return refuse("--view goes with text: JSON frames hold every view");
	if (cfg->view != BATCH_VMS && cfg->o.format == OPTS_CSV)
		return refuse("--view goes with text: CSV rows are VMs");
	if (cfg->log && cfg->o.format == OPTS_JSON)
		return refuse("--log goes with text: JSON frames hold the events");
	if (cfg->log && cfg->o.format == OPTS_CSV)
		return refuse("--log goes with text: CSV rows are VMs");
	if (cfg->vcpus && cfg->o.format == OPTS_CSV)
		return refuse("--vcpus goes with text and --json: CSV rows are VMs");
	if (cfg->view != BATCH_VMS && cfg->o.fields)
		return refuse("-o chooses fields of VMs: it goes with --view vms only");
	return 0;
}

static int check_fields(struct config *cfg)
{
	const struct out_field **sel;
	size_t n;
	int err;

	if (cfg->o.sort) {
		cfg->sort = out_field_find(vm_fields, cfg->o.sort);
		if (!cfg->sort) {
			log_err("option -s: '%s' is not a field (see --list-fields)", cfg->o.sort);
			return -EINVAL;
		}
	}
	if (!cfg->o.fields)
		return 0;
	err = out_select(vm_fields, cfg->o.fields, &sel, &n);
	if (!err)
		free(sel);
	return err;
}

int config_parse(struct config *cfg, int argc, char **argv)
{
	static const struct argp_child children[] = { { &opts_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = { options, parse_opt, NULL, doc, children, NULL, NULL };
	int err;

	memset(cfg, 0, sizeof(*cfg));
	log_init(argv[0], false);
	err = opts_parse(&argp, argc, argv, cfg, &cfg->o);
	if (err)
		return err;
	log_init(argv[0], cfg->o.verbose);
	if (cfg->o.list_fields) {
		out_list_fields(stdout, vm_fields);
		return 1;
	}
	err = check_together(cfg);
	if (!err)
		err = check_fields(cfg);
	if (!cfg->src.map_entries)
		cfg->src.map_entries = MAP_ENTRIES_DEFAULT;
	cfg->src.verbose = cfg->o.verbose;
	return err;
}

void config_free(struct config *cfg)
{
	opts_free(&cfg->o);
}

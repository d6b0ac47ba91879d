// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "log.h"
#include "num.h"
#include "opts.h"

#define MIB	 (1ULL << 20)
#define MAX_CPUS 8192

enum {
	KEY_PIN = OPTS_KEY_TOOL,
	KEY_DIRTY,
	KEY_RATE,
	KEY_BATCH,
	KEY_VFIO,
	KEY_DMA,
	KEY_START_DELAY,
	KEY_HOLD,
	KEY_JSON,
	KEY_LIST_FIELDS,
	KEY_VERBOSE,
};

static const struct argp_option options[] = {
	{ 0, 0, 0, 0, "Work:", 1 },
	{ "count", 'n', "COUNT", 0, "Instructions per vCPU, exactly (1000)", 1 },
	{ "vcpus", 'v', "VCPUS", 0, "vCPUs, each with a thread of its own (1)", 1 },
	{ "instruction", 'i', "INSN", 0,
	  "wbinvd, cpuid (another exit) or nop (no exit); default wbinvd", 1 },
	{ "pin", KEY_PIN, "LIST", 0, "Host CPUs, as 0,2-3: vCPU i on entry i modulo their number",
	  1 },
	{ "dirty", KEY_DIRTY, "MIB", 0, "Memory each vCPU dirties before each instruction", 1 },
	{ "rate", KEY_RATE, "PER_SECOND", 0, "Instructions per second and vCPU (no limit)", 1 },
	{ "batch", KEY_BATCH, "K", 0, "Instructions between two readings of the clock", 1 },
	{ "vfio", KEY_VFIO, "BDF", 0, "Assign this PCI function, which is on vfio-pci already", 1 },
	{ "dma", KEY_DMA, "WHAT[@SECONDS],...", 0,
	  "Coherency of its DMA (automatic, enforced, noncoherent), of the device (block, allow) or the VM (pause, force, resume), at once or while the vCPUs run",
	  1 },
	{ "start-delay", KEY_START_DELAY, "SECONDS", 0, "Let the VM stand before it runs", 1 },
	{ "hold", KEY_HOLD, "SECONDS", 0, "Let the VM stand after it has run", 1 },
	{ 0, 0, 0, 0, "Output:", 2 },
	{ "fields", 'o', "FIELD,...", 0, "What to print per vCPU, in this order", 2 },
	{ "list-fields", KEY_LIST_FIELDS, 0, 0, "List the fields that -o knows", 2 },
	{ "json", KEY_JSON, 0, 0, "Print one JSON object", 2 },
	{ 0, 0, 0, 0, "General:", -1 },
	{ "verbose", KEY_VERBOSE, 0, 0, "Say more on standard error", -1 },
	{ "help", 'h', 0, 0, "Show this help and exit", -1 },
	{ "version", 'V', 0, 0, "Show the version and exit", -1 },
	{ 0 }
};

/* A whole number of the option in [1, max]. */
static int number(const char *option, const char *arg, uint64_t max, uint64_t *v)
{
	char expected[64];

	if (!num_u64(arg, 1, max, v))
		return 0;
	snprintf(expected, sizeof(expected), "a whole number from 1 to %llu",
		 (unsigned long long)max);
	return opts_bad(option, arg, expected);
}

static int seconds(const char *option, const char *arg, uint64_t *ns)
{
	if (num_seconds(arg, 0, BENCH_MAX_WAIT_NS, ns))
		return opts_bad(option, arg, "a number of seconds from 0 to 86400");
	return 0;
}

static int parse_pin(struct bench_options *opt, const char *arg)
{
	int err;

	free(opt->pin);
	opt->pin = NULL;
	opt->n_pin = 0;
	err = num_cpulist(arg, MAX_CPUS, &opt->pin, &opt->n_pin);
	if (err == -ENOMEM)
		return ENOMEM;
	return err ? opts_bad("--pin", arg, "a list of CPUs below 8192, as in 0,2-3") : 0;
}

static int parse_dma(struct bench_options *opt, const char *arg)
{
	const char *why = NULL;
	int err;

	dma_plan_free(&opt->dma);
	err = dma_parse(arg, &opt->dma, &why);
	if (err == -ENOMEM)
		return ENOMEM;
	return err ? opts_bad("--dma", arg, why) : 0;
}

static int answer_help(struct argp_state *state)
{
	/* argp_state_help() is silent under ARGP_NO_ERRS. */
	argp_help(state->root_argp, stdout, ARGP_HELP_LONG | ARGP_HELP_USAGE | ARGP_HELP_DOC,
		  program_invocation_short_name);
	return ECANCELED;
}

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct bench_options *opt = state->input;
	uint64_t v = 0;
	int err = 0;

	switch (key) {
	case 'n':
		return number("-n", arg, BENCH_MAX_COUNT, &opt->count);
	case 'v':
		err = number("-v", arg, BENCH_MAX_VCPUS, &v);
		opt->vcpus = v;
		return err;
	case 'i':
		if (guest_insn_parse(arg, &opt->insn))
			return opts_bad("-i", arg, "wbinvd, cpuid or nop");
		return 0;
	case KEY_PIN:
		return parse_pin(opt, arg);
	case KEY_DIRTY:
		err = number("--dirty", arg, GUEST_DIRTY_MAX / MIB, &v);
		opt->dirty = v * MIB;
		return err;
	case KEY_RATE:
		return number("--rate", arg, BENCH_MAX_RATE, &opt->rate);
	case KEY_BATCH:
		return number("--batch", arg, BENCH_MAX_BATCH, &opt->batch);
	case KEY_VFIO:
		if (num_bdf(arg, opt->bdf, sizeof(opt->bdf)))
			return opts_bad("--vfio", arg, "a PCI address, as in 0000:01:00.0");
		return 0;
	case KEY_DMA:
		return parse_dma(opt, arg);
	case KEY_START_DELAY:
		return seconds("--start-delay", arg, &opt->start_delay_ns);
	case KEY_HOLD:
		return seconds("--hold", arg, &opt->hold_ns);
	case 'o':
		opt->fields = arg;
		return 0;
	case KEY_LIST_FIELDS:
		bench_list_fields();
		return ECANCELED;
	case KEY_JSON:
		opt->json = true;
		return 0;
	case KEY_VERBOSE:
		opt->verbose = true;
		return 0;
	case 'h':
		return answer_help(state);
	case 'V':
		printf("wbinvdbench %s\n", VERSION);
		return ECANCELED;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* A thread that cannot be placed would fail later, and say less. */
static int check_pin(const struct bench_options *opt)
{
	size_t size = CPU_ALLOC_SIZE(MAX_CPUS);
	cpu_set_t *allowed = CPU_ALLOC(MAX_CPUS);
	char path[64];
	int err = 0;

	if (!allowed)
		return -ENOMEM;
	if (sched_getaffinity(0, size, allowed))
		goto out;
	for (size_t i = 0; i < opt->n_pin && !err; i++) {
		if (CPU_ISSET_S(opt->pin[i], size, allowed))
			continue;
		err = -EINVAL;
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u", opt->pin[i]);
		if (access(path, F_OK))
			log_err("--pin: there is no CPU %u on this machine", opt->pin[i]);
		else
			log_err("--pin: CPU %u is offline or not among those this process may use; taskset -p $$ lists them",
				opt->pin[i]);
	}
out:
	CPU_FREE(allowed);
	return err;
}

static int check(const struct bench_options *opt)
{
	if (opt->dirty && opt->dirty > GUEST_DIRTY_MAX / opt->vcpus) {
		log_err("--dirty: %u vCPUs of %llu MiB each are more than the %llu MiB one VM takes",
			opt->vcpus, (unsigned long long)(opt->dirty / MIB),
			(unsigned long long)(GUEST_DIRTY_MAX / MIB));
		return -EINVAL;
	}
	if (opt->dirty && opt->batch > 1) {
		log_err("--batch %llu excludes --dirty, which dirties memory before each instruction",
			(unsigned long long)opt->batch);
		return -EINVAL;
	}
	if (opt->dma.n && !*opt->bdf) {
		log_err("--dma is about an assigned device: --vfio names it");
		return -EINVAL;
	}
	if (opt->fields && bench_check_fields(opt->fields))
		return -EINVAL;
	return check_pin(opt);
}

uint64_t bench_batch(const struct bench_options *opt, bool noncoherent)
{
	uint64_t max = opt->insn == INSN_NOP ? BENCH_BATCH_NOP : BENCH_BATCH_EXIT;

	if (opt->batch)
		return opt->batch;
	if (opt->dirty || opt->rate || (noncoherent && opt->insn == INSN_WBINVD))
		return 1;
	if (opt->count / 100 < max)
		max = opt->count / 100;
	return max ? max : 1;
}

int bench_parse(int argc, char **argv, struct bench_options *opt)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse_opt,
		.doc = "Run a guest that executes WBINVD, and time it."
		       "\vExit status: 0 done, also when stopped by a signal; 1 failed; 2 bad option; "
		       "3 missing privilege; 4 this kernel cannot.",
	};
	struct opts unused = { 0 };
	int err;

	memset(opt, 0, sizeof(*opt));
	opt->count = 1000;
	opt->vcpus = 1;
	err = opts_parse(&argp, argc, argv, opt, &unused);
	opts_free(&unused);
	return err ? err : check(opt);
}

void bench_options_free(struct bench_options *opt)
{
	free(opt->pin);
	opt->pin = NULL;
	dma_plan_free(&opt->dma);
}

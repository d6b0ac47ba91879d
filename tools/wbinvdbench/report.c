// SPDX-License-Identifier: GPL-2.0
/* Results for people and for programs, from one list of fields. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "host.h"
#include "log.h"
#include "out.h"
#include "vfio.h"

#define SCHEMA "wbinvdbench/1"

/* A vCPU, or all of them together. */
struct row {
	const struct vcpu *vcpu; /* NULL: all */
	const struct quant *ps;
	uint64_t executed;
	uint64_t wall_ns;
	uint64_t overhead_ns;
};

static void set_u64(struct out_value *v, uint64_t u)
{
	v->type = OUT_U64;
	v->u = u;
}

static void get_id(const void *row, struct out_value *v)
{
	const struct row *r = row;

	v->type = OUT_NULL;
	if (r->vcpu)
		set_u64(v, r->vcpu->id);
}

static void get_cpu(const void *row, struct out_value *v)
{
	const struct row *r = row;

	v->type = OUT_NULL;
	if (r->vcpu && r->vcpu->cpu != BENCH_NO_CPU)
		set_u64(v, r->vcpu->cpu);
}

static void get_executed(const void *row, struct out_value *v)
{
	set_u64(v, ((const struct row *)row)->executed);
}

static void get_batches(const void *row, struct out_value *v)
{
	set_u64(v, ((const struct row *)row)->ps->count);
}

static void set_ps(const struct row *r, struct out_value *v, uint64_t ps)
{
	v->type = r->ps->count ? OUT_F64 : OUT_NULL;
	v->f = ps / 1000.0;
}

static void get_min(const void *row, struct out_value *v)
{
	set_ps(row, v, ((const struct row *)row)->ps->min);
}

static void get_median(const void *row, struct out_value *v)
{
	set_ps(row, v, quant_at(((const struct row *)row)->ps, 500));
}

static void get_p99(const void *row, struct out_value *v)
{
	set_ps(row, v, quant_at(((const struct row *)row)->ps, 990));
}

static void get_max(const void *row, struct out_value *v)
{
	set_ps(row, v, ((const struct row *)row)->ps->max);
}

/* What takes time takes some: 0 is what was never run. */
static void set_ns(struct out_value *v, uint64_t ns)
{
	v->type = OUT_NULL;
	if (ns)
		set_u64(v, ns);
}

static void get_wall(const void *row, struct out_value *v)
{
	set_ns(v, ((const struct row *)row)->wall_ns);
}

static void get_rate(const void *row, struct out_value *v)
{
	const struct row *r = row;

	v->type = r->wall_ns ? OUT_F64 : OUT_NULL;
	v->f = r->wall_ns ? r->executed * 1e9 / r->wall_ns : 0;
}

static void get_overhead(const void *row, struct out_value *v)
{
	set_ns(v, ((const struct row *)row)->overhead_ns);
}

/* clang-format off */
static const struct out_field fields[] = {
	{ "id", "vCPU", "number of the vCPU; null in the total", OUT_PLAIN,
	  OUT_IN_TABLE, 5, get_id },
	{ "cpu", "CPU", "host CPU it is pinned to; null if not pinned", OUT_PLAIN,
	  OUT_IN_TABLE, 5, get_cpu },
	{ "executed", "executed", "instructions the guest has run, exactly", OUT_PLAIN,
	  OUT_IN_TABLE, 12, get_executed },
	{ "batches", "batches", "complete batches, each timed once", OUT_PLAIN,
	  0, 10, get_batches },
	{ "ns.min", "min", "ns per instruction of the fastest batch", OUT_NS,
	  OUT_IN_TABLE, 8, get_min },
	{ "ns.median", "median", "ns per instruction, median over the batches", OUT_NS,
	  OUT_IN_TABLE, 8, get_median },
	{ "ns.p99", "p99", "ns per instruction, 99th percentile over the batches", OUT_NS,
	  OUT_IN_TABLE, 8, get_p99 },
	{ "ns.max", "max", "ns per instruction of the slowest batch", OUT_NS,
	  OUT_IN_TABLE, 8, get_max },
	{ "wall_ns", "wall", "ns from the common start to the end of the last batch; null: none ended", OUT_NS,
	  OUT_IN_TABLE, 8, get_wall },
	{ "rate", "per s", "instructions per second of wall_ns", OUT_PER_S,
	  OUT_DERIVED, 8, get_rate },
	{ "overhead_ns", "empty", "ns of a batch without an instruction, median; contained in the times above once per batch",
	  OUT_NS, OUT_IN_TABLE, 8, get_overhead },
	{ 0 }
};
/* clang-format on */

int bench_check_fields(const char *spec)
{
	const struct out_field **sel;
	size_t n;
	int err = out_select(fields, spec, &sel, &n);

	if (!err)
		free(sel);
	return err;
}

void bench_list_fields(void)
{
	out_list_fields(stdout, fields);
}

static void vcpu_row(const struct vcpu *vcpu, struct row *r)
{
	r->vcpu = vcpu;
	r->ps = &vcpu->ps;
	r->executed = vcpu->executed;
	r->wall_ns = vcpu->wall_ns;
	r->overhead_ns = vcpu->overhead_ns;
}

/* wall_ns and overhead_ns: the largest of any vCPU. */
static void total_row(const struct vm *vm, struct quant *ps, struct row *r)
{
	memset(r, 0, sizeof(*r));
	r->ps = ps;
	for (unsigned int i = 0; i < vm->opt->vcpus; i++) {
		const struct vcpu *vcpu = &vm->vcpus[i];

		quant_merge(ps, &vcpu->ps);
		r->executed += vcpu->executed;
		if (vcpu->wall_ns > r->wall_ns)
			r->wall_ns = vcpu->wall_ns;
		if (vcpu->overhead_ns > r->overhead_ns)
			r->overhead_ns = vcpu->overhead_ns;
	}
}

static const char *vfio_path(const struct vfio_dev *vfio)
{
	return vfio->iommufd ? "iommufd" : "type1";
}

static json_t *dma_json(const struct dma_plan *plan)
{
	json_t *steps = json_array();

	for (size_t i = 0; i < plan->n; i++) {
		const struct dma_step *s = &plan->steps[i];

		json_array_append_new(
			steps, json_pack("{s:s, s:o, s:o}", "what", dma_name(s->what), "at_ns",
					 s->later ? json_integer(s->at_ns) : json_null(), "did_ns",
					 s->did_ns ? json_integer(s->did_ns) : json_null()));
	}
	return steps;
}

static json_t *vfio_json(const struct vfio_dev *vfio)
{
	const struct wb_device *d = &vfio->dev;
	static const char *const no_snoop[] = {
		[DEV_NO_SNOOP_ENABLED] = "enabled",
		[DEV_NO_SNOOP_DISABLED] = "disabled",
		[DEV_NO_SNOOP_HARDWIRED0] = "hardwired0",
	};
	json_t *boxes = json_array();

	for (int box = 1; box <= 4; box++)
		if (d->box_candidates & DEV_BOX(box))
			json_array_append_new(boxes, json_integer(box));
	/* clang-format off */
	return json_pack("{s:s, s:o, s:s, s:o, s:o, s:s?, s:o, s:o, s:s?}",
			 "bdf", d->bdf,
			 "group", d->group < 0 ? json_null() : json_integer(d->group),
			 "path", vfio_path(vfio),
			 "noncoherent", vfio->noncoherent < 0 ? json_null() :
					json_boolean(vfio->noncoherent),
			 "snoop_control", d->snoop_control < 0 ? json_null() :
					  json_boolean(d->snoop_control),
			 "no_snoop", no_snoop[d->no_snoop],
			 "box", d->box ? json_integer(d->box) : json_null(),
			 "box_candidates", boxes,
			 "box_reason", d->box_reason);
	/* clang-format on */
}

static int print_json(const struct vm *vm, const struct host *host, const struct row *total,
		      const struct vfio_dev *vfio, const struct out_field *const *sel, size_t n)
{
	const struct bench_options *opt = vm->opt;
	json_t *vcpus = json_array(), *root;
	char id[32];
	int err;

	snprintf(id, sizeof(id), "%d-%d", getpid(), vm->fd);
	for (unsigned int i = 0; i < opt->vcpus; i++) {
		struct row r;

		vcpu_row(&vm->vcpus[i], &r);
		json_array_append_new(vcpus, out_json_row(sel, n, &r));
	}
	/* clang-format off */
	root = json_pack("{s:s, s:s, s:s?, s:s?, s:b, s:s, s:s, s:I, s:I, s:o, s:I, s:b, s:o, s:o, s:o, s:o}",
			 "schema", SCHEMA,
			 "kernel", host->kernel,
			 "cpu_model", host->cpu_model,
			 "vendor_module", host->vendor_module,
			 "hypervisor", host->hypervisor,
			 "vm", id,
			 "instruction", guest_insn_name(opt->insn),
			 "count", (json_int_t)opt->count,
			 "batch", (json_int_t)vm->batch,
			 "rate", opt->rate ? json_integer(opt->rate) : json_null(),
			 "dirty_bytes", (json_int_t)opt->dirty,
			 "interrupted", vm->interrupted,
			 "vcpus", vcpus,
			 "total", out_json_row(sel, n, total),
			 "vfio", vfio ? vfio_json(vfio) : json_null(),
			 "dma", dma_json(vm->dma));
	/* clang-format on */
	if (!root)
		return -ENOMEM;
	err = json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
	json_decref(root);
	putchar('\n');
	return err ? -EIO : 0;
}

static const char *or_unknown(const char *s)
{
	return s ? s : "unknown";
}

static void print_head(const struct vm *vm, const struct host *host, const struct vfio_dev *vfio)
{
	const struct bench_options *opt = vm->opt;

	printf("VM %d-%d, Linux %s, %s, %s%s\n", getpid(), vm->fd, host->kernel,
	       or_unknown(host->vendor_module), or_unknown(host->cpu_model),
	       host->hypervisor ? " (itself a VM)" : "");
	printf("%llu %s per vCPU in batches of %llu", (unsigned long long)opt->count,
	       guest_insn_name(opt->insn), (unsigned long long)vm->batch);
	if (opt->dirty)
		printf(", %llu MiB dirtied before each", (unsigned long long)opt->dirty >> 20);
	if (opt->rate)
		printf(", %llu per second", (unsigned long long)opt->rate);
	printf("%s\n", vm->interrupted ? ", stopped by a signal" : "");
	if (!vfio)
		return;
	printf("%s, group %d, %s: DMA %s, box", vfio->dev.bdf, vfio->dev.group, vfio_path(vfio),
	       vfio->noncoherent < 0 ? "not known to be coherent" :
	       vfio->noncoherent     ? "not coherent" :
				       "coherent");
	for (int box = 1, first = 1; box <= 4; box++) {
		if (!(vfio->dev.box_candidates & DEV_BOX(box)))
			continue;
		printf("%s %d", first ? "" : " or", box);
		first = 0;
	}
	if (vfio->dev.box_reason)
		printf(" (%s)", vfio->dev.box_reason);
	putchar('\n');
}

static void print_table(const struct vm *vm, const struct row *total,
			const struct out_field *const *sel, size_t n)
{
	out_table_header(stdout, sel, n);
	for (unsigned int i = 0; i < vm->opt->vcpus; i++) {
		struct row r;

		vcpu_row(&vm->vcpus[i], &r);
		out_table_row(stdout, sel, n, &r);
	}
	if (vm->opt->vcpus > 1)
		out_table_row(stdout, sel, n, total);
}

int bench_report(struct vm *vm, const struct vfio_dev *vfio)
{
	const struct out_field **sel;
	struct quant *ps = calloc(1, sizeof(*ps));
	struct host host;
	struct row total;
	size_t n;
	int err;

	if (!ps)
		return -ENOMEM;
	if (vm->opt->json && !vm->opt->fields)
		err = out_select_all(fields, &sel, &n);
	else
		err = out_select(fields, vm->opt->fields, &sel, &n);
	if (err)
		goto out;
	host_read(&host, "");
	total_row(vm, ps, &total);
	if (vm->opt->json) {
		err = print_json(vm, &host, &total, vfio, sel, n);
	} else {
		print_head(vm, &host, vfio);
		print_table(vm, &total, sel, n);
	}
	host_free(&host);
	free(sel);
	errno = 0;
	if (fflush(stdout) || ferror(stdout)) {
		log_err("cannot write the results: %s", strerror(errno ? errno : EIO));
		err = -EIO;
	}
out:
	free(ps);
	return err;
}

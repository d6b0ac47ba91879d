// SPDX-License-Identifier: GPL-2.0
#include "batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frame_json.h"

/* The columns of the frame in CSV; the VM's follow. */
#define CSV_FRAME "source,kernel,time,time_ns,interval_ns,time_scope,lost.total,lost.delta"

struct selection {
	const struct out_field **f;
	size_t n;
};

struct batch {
	FILE *f;
	struct batch_config cfg;
	bool started;
	struct selection frame;	     /* CSV */
	struct selection rows;	     /* the view's columns */
	struct selection events;     /* of the log */
	struct out_field *vcpu_cols; /* in the places of rows */
	struct selection vcpus;
	/* The same for kernels without policies, where that column would be empty. */
	struct selection rows_plain, vcpus_plain;
	struct frame_json *json;
};

/* The row behind vcpu_cols; vcpu_fields see its first member. */
struct labelled_vcpu {
	struct vcpu_row row;
	char label[24];
};

static char stdout_buffer[256 << 10];

static void vcpu_label(const void *p, struct out_value *v)
{
	v->type = OUT_STR;
	v->s = ((const struct labelled_vcpu *)p)->label;
}

static void blank(const void *p, struct out_value *v)
{
	(void)p;
	v->type = OUT_STR;
	v->s = "";
}

/* Where vCPUs are named if no name is asked for. */
static const struct out_field own_column = {
	"vcpu", "vCPU", "", OUT_PLAIN, OUT_IN_TABLE | OUT_LEFT, 10, blank,
};

static int add_own_column(struct selection *s)
{
	const struct out_field **f = reallocarray(s->f, s->n + 1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	memmove(f + 1, f, s->n++ * sizeof(*f));
	f[0] = &own_column;
	s->f = f;
	return 0;
}

static bool has_column(const struct selection *s, const char *path)
{
	size_t i = 0;

	while (i < s->n && strcmp(s->f[i]->path, path))
		i++;
	return i < s->n;
}

/* What a vCPU shows in the columns of its VM: its number in the name's place. */
static int vcpu_columns(struct batch *b)
{
	if (b->cfg.vcpus && !has_column(&b->rows, "name") && add_own_column(&b->rows))
		return -ENOMEM;
	b->vcpu_cols = calloc(b->rows.n, sizeof(*b->vcpu_cols));
	b->vcpus.f = calloc(b->rows.n, sizeof(*b->vcpus.f));
	if (!b->vcpu_cols || !b->vcpus.f)
		return -ENOMEM;
	b->vcpus.n = b->rows.n;
	for (size_t i = 0; i < b->rows.n; i++) {
		const struct out_field *vm = b->rows.f[i];
		const struct out_field *vcpu = out_field_find(vcpu_fields, vm->path);

		b->vcpus.f[i] = &b->vcpu_cols[i];
		b->vcpu_cols[i] = *vm;
		b->vcpu_cols[i].get = vcpu && strcmp(vm->path, "id") ? vcpu->get : blank;
		if (!strcmp(vm->path, "name") || vm == &own_column)
			b->vcpu_cols[i].get = vcpu_label;
	}
	return 0;
}

/* All but the place at, of nobody's own choice. */
static int leave_out(const struct selection *from, size_t at, struct selection *to)
{
	to->f = calloc(from->n, sizeof(*to->f));
	if (!to->f)
		return -ENOMEM;
	for (size_t i = 0; i < from->n; i++) {
		if (i != at)
			to->f[to->n++] = from->f[i];
	}
	return 0;
}

static int plain_columns(struct batch *b)
{
	size_t at = 0;
	int err;

	while (at < b->rows.n && (b->cfg.fields || strcmp(b->rows.f[at]->path, "policy")))
		at++;
	err = leave_out(&b->rows, at, &b->rows_plain);
	return err ? err : leave_out(&b->vcpus, at, &b->vcpus_plain);
}

static int table_open(struct batch *b)
{
	int err;

	err = out_select(event_fields, NULL, &b->events.f, &b->events.n);
	if (err)
		return err;
	switch (b->cfg.view) {
	case BATCH_VICTIMS:
		return out_select(victim_fields, NULL, &b->rows.f, &b->rows.n);
	case BATCH_DEVICES:
		return out_select(device_fields, NULL, &b->rows.f, &b->rows.n);
	case BATCH_LOG:
		return 0;
	case BATCH_VMS:
		break;
	}
	err = out_select(vm_fields, b->cfg.fields, &b->rows.f, &b->rows.n);
	if (!err)
		err = vcpu_columns(b);
	return err ? err : plain_columns(b);
}

static int csv_open(struct batch *b)
{
	int err = out_select(frame_fields, CSV_FRAME, &b->frame.f, &b->frame.n);

	if (err)
		return err;
	return b->cfg.fields ? out_select(vm_fields, b->cfg.fields, &b->rows.f, &b->rows.n) :
			       out_select_all(vm_fields, &b->rows.f, &b->rows.n);
}

int batch_open(struct batch **out, FILE *f, const struct batch_config *cfg)
{
	struct batch *b = calloc(1, sizeof(*b));
	int err = 0;

	if (!b)
		return -ENOMEM;
	b->f = f;
	b->cfg = *cfg;
	if (f == stdout)
		setvbuf(f, stdout_buffer, _IOFBF, sizeof(stdout_buffer));
	switch (cfg->format) {
	case BATCH_TABLE:
		err = table_open(b);
		break;
	case BATCH_CSV:
		err = csv_open(b);
		break;
	case BATCH_JSON:
		err = frame_json_new(&b->json, cfg->fields, cfg->vcpus, false);
		break;
	}
	if (err)
		batch_close(b);
	else
		*out = b;
	return err;
}

void batch_close(struct batch *b)
{
	if (!b)
		return;
	frame_json_free(b->json);
	free(b->frame.f);
	free(b->rows.f);
	free(b->vcpus.f);
	free(b->rows_plain.f);
	free(b->vcpus_plain.f);
	free(b->events.f);
	free(b->vcpu_cols);
	free(b);
}

/* n times scale per second. */
static void rate(const struct frame *f, uint64_t n, bool known, double scale, char *buf,
		 size_t size)
{
	if (known && f->interval_ns)
		out_count((double)n * scale * 1e9 / (double)f->interval_ns, buf, size);
	else
		snprintf(buf, size, "-");
}

char *batch_headline(const struct frame *f, const struct source *src, char *buf, size_t size)
{
	const struct wb_counters *c = &f->sum_delta.c;
	unsigned int known = f->cur->known;
	time_t t = f->cur->wall_ns / 1000000000;
	char when[32] = "", exits[16], flushes[16], stolen[16], noncoherent[32] = "-";
	struct tm tm;

	if (localtime_r(&t, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	rate(f, c->exits, true, 1, exits, sizeof(exits));
	rate(f, c->flushes, known & WB_KNOWN_OUTCOME, 1, flushes, sizeof(flushes));
	/* 10^9 ns of a second are 100 % of a CPU. */
	rate(f, c->stall_ns, known & WB_KNOWN_STALL, 1e-7, stolen, sizeof(stolen) - 1);
	if (*stolen != '-')
		strcat(stolen, "%");
	if (known & WB_KNOWN_NONCOHERENT)
		snprintf(noncoherent, sizeof(noncoherent), "%u of %u", f->nr_noncoherent,
			 f->nr_living);
	snprintf(buf, size,
		 "%s  WBINVD/s %s  flushes/s %s  CPU time stolen %s  VMs non-coherent %s"
		 "  lost %llu  source %s",
		 when, exits, flushes, stolen, noncoherent, (unsigned long long)f->lost_total,
		 src->name);
	return buf;
}

static int vm_rows(struct batch *b, struct model *m, const struct frame *f)
{
	bool policy = f->cur->known & WB_KNOWN_POLICY;
	const struct selection *rows = policy ? &b->rows : &b->rows_plain;
	const struct selection *vcpu_cols = policy ? &b->vcpus : &b->vcpus_plain;

	out_table_header(b->f, rows->f, rows->n);
	for (size_t i = 0; i < f->nr_vms; i++) {
		struct vm_row row = { .frame = f, .vm = &f->vms[i] };
		struct frame_vcpu *vcpus;
		char *label = NULL;
		size_t n;
		int err;

		if (row.vm->cur->ended && asprintf(&label, "(ended) %s", row.vm->cur->name) < 0)
			return -ENOMEM;
		row.label = label;
		out_table_row(b->f, rows->f, rows->n, &row);
		free(label);
		if (!b->cfg.vcpus)
			continue;
		err = model_vcpus(m, f, row.vm, &vcpus, &n);
		if (err)
			return err;
		for (size_t k = 0; k < n; k++) {
			struct labelled_vcpu v = {
				.row = { .frame = f, .vm = row.vm, .vcpu = &vcpus[k] },
			};

			snprintf(v.label, sizeof(v.label), "  vCPU %u", vcpus[k].cur->id);
			out_table_row(b->f, vcpu_cols->f, vcpu_cols->n, &v);
		}
	}
	return 0;
}

static void victim_rows(struct batch *b, const struct frame *f)
{
	for (size_t i = 0; i < f->nr_victims; i++) {
		struct victim_row row = { .frame = f, .victim = &f->victims[i] };

		out_table_row(b->f, b->rows.f, b->rows.n, &row);
	}
}

static void device_rows(struct batch *b, const struct frame *f)
{
	for (size_t i = 0; i < f->nr_vms; i++) {
		const struct frame_vm *vm = &f->vms[i];

		for (size_t k = 0; k < vm->cur->nr_devices; k++) {
			struct device_row row = { .vm = vm, .dev = &vm->cur->devices[k] };

			out_table_row(b->f, b->rows.f, b->rows.n, &row);
		}
	}
}

/* What happened in the interval; where that is not known, why. */
static void log_rows(struct batch *b, const struct frame *f)
{
	char line[512];

	/* Attaching, or waiting for KVM, as the notice says. */
	if (!f->cur->known)
		return;
	if (events_unknown(f->cur, line, sizeof(line))) {
		fprintf(b->f, "%s\n", line);
		return;
	}
	if (f->nr_new_events || b->cfg.view == BATCH_LOG)
		out_table_header(b->f, b->events.f, b->events.n);
	for (size_t i = f->nr_events - f->nr_new_events; i < f->nr_events; i++) {
		struct event_row row;

		event_row_init(&row, f->events[i]);
		out_table_row(b->f, b->events.f, b->events.n, &row);
	}
	if (f->cur->events_why)
		fprintf(b->f, "The log is not complete: %s\n", f->cur->events_why);
	if (f->cur->events_lost)
		fprintf(b->f, "Events that found no room so far: %llu\n",
			(unsigned long long)f->cur->events_lost);
}

static int table_frame(struct batch *b, struct model *m, const struct frame *f,
		       const struct source *src)
{
	char line[256];
	int err = 0;

	if (b->started)
		fputc('\n', b->f);
	fprintf(b->f, "%s\n", batch_headline(f, src, line, sizeof(line)));
	if (src->notice)
		fprintf(b->f, "%s\n", src->notice);
	if (b->cfg.view == BATCH_VICTIMS || b->cfg.view == BATCH_DEVICES)
		out_table_header(b->f, b->rows.f, b->rows.n);
	switch (b->cfg.view) {
	case BATCH_VICTIMS:
		victim_rows(b, f);
		break;
	case BATCH_DEVICES:
		device_rows(b, f);
		break;
	case BATCH_LOG:
		break;
	case BATCH_VMS:
		err = vm_rows(b, m, f);
	}
	if (!err && (b->cfg.log || b->cfg.view == BATCH_LOG))
		log_rows(b, f);
	return err;
}

static void csv_frame(struct batch *b, const struct frame *f, const struct source *src)
{
	struct frame_row frame;

	if (!b->started) {
		out_csv_header(b->f, b->frame.f, b->frame.n, true);
		out_csv_header(b->f, b->rows.f, b->rows.n, false);
		fputc('\n', b->f);
	}
	frame_row_init(&frame, f, src);
	for (size_t i = 0; i < f->nr_vms; i++) {
		struct vm_row row = { .frame = f, .vm = &f->vms[i] };

		out_csv_row(b->f, b->frame.f, b->frame.n, &frame, true);
		out_csv_row(b->f, b->rows.f, b->rows.n, &row, false);
		fputc('\n', b->f);
	}
}

int batch_frame(struct batch *b, struct model *m, const struct frame *f, const struct source *src)
{
	int err = 0;

	frame_sort(f->vms, f->nr_vms, f, b->cfg.sort, b->cfg.reverse);
	switch (b->cfg.format) {
	case BATCH_TABLE:
		err = table_frame(b, m, f, src);
		break;
	case BATCH_CSV:
		csv_frame(b, f, src);
		break;
	case BATCH_JSON:
		err = frame_json_write(b->json, b->f, m, f, src);
		break;
	}
	b->started = true;
	errno = 0;
	if ((fflush(b->f) || ferror(b->f)) && !err)
		err = errno ? -errno : -EIO;
	return err;
}

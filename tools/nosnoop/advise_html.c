// SPDX-License-Identifier: GPL-2.0
/* Advice as one HTML page: no script, no network, plots as SVG within it. */
#include "advise.h"

#include <stdlib.h>
#include <string.h>

#include "advise_dev.h"

#define PLOT_W	 720
#define PLOT_H	 200
#define PLOT_L	 70 /* left of the axes */
#define PLOT_R	 16
#define PLOT_T	 14
#define PLOT_B	 34
#define SPAN_W	 (PLOT_W - PLOT_L - PLOT_R)
#define SPAN_H	 (PLOT_H - PLOT_T - PLOT_B)
#define MAX_XY	 1000 /* points of one line; more are joined */
#define NR_TICKS 4

static const char style[] =
	"<style>\n"
	":root{--bg:#fff;--fg:#1c2024;--dim:#60666d;--line:#d5d9de;--soft:#f4f6f8;--f:#1f6fb4;--t:#c2571a;"
	"--m:#7a5aa6;--limit:#b3261e;--good:#1b7a3d;--keep:#4b5563;--bad:#a4600a}\n"
	"@media(prefers-color-scheme:dark){:root{--bg:#15181c;--fg:#e4e7ea;--dim:#9aa2ab;--line:#3a4048;"
	"--soft:#1e2328;--f:#6ab0ea;--t:#f0945a;--m:#b79be0;--limit:#f0857d;--good:#58c07f;--keep:#a8b0ba;--bad:#e0a550}}\n"
	"body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:60rem;"
	"margin:2rem auto;padding:0 1rem}\n"
	"h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin:2.2rem 0 .4rem;"
	"border-top:1px solid var(--line);padding-top:1.2rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}\n"
	"p{margin:.4rem 0}.dim{color:var(--dim)}table{border-collapse:collapse;width:100%;margin:.5rem 0}\n"
	"th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line)}\n"
	"th{font-weight:600;color:var(--dim);font-size:.85rem}code{font-size:.88em;background:var(--soft);"
	"padding:.05rem .25rem;border-radius:3px}\n"
	".verdict{font-weight:650}.good{color:var(--good)}.keep{color:var(--keep)}.bad{color:var(--bad)}\n"
	".wide{overflow-x:auto}svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:var(--dim)}\n"
	".note{background:var(--soft);border-left:3px solid var(--bad);padding:.4rem .7rem;margin:.5rem 0}\n"
	"a{color:var(--f)}tr.off td{color:var(--dim)}dt{font-weight:600}dd{margin:0 0 .4rem 1.2rem}\n"
	"@media print{body{max-width:none}h2{break-after:avoid}svg,table{break-inside:avoid}}\n"
	"</style>\n";

static void put_some(FILE *f, const char *s, size_t n)
{
	for (; s && n && *s; s++, n--) {
		switch (*s) {
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '&':
			fputs("&amp;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		default:
			fputc(*s, f);
		}
	}
}

static void put(FILE *f, const char *s)
{
	put_some(f, s, SIZE_MAX);
}

/* What lies between the names of ioctls stays readable: those in capitals are set as code. */
static void put_code(FILE *f, const char *s)
{
	while (s && *s) {
		size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
		char c[2] = { *s, '\0' };

		if (n > 5) {
			fprintf(f, "<code>%.*s</code>", (int)n, s);
			s += n;
			continue;
		}
		put(f, c);
		s++;
	}
}

static const char *verdict_class(const char *verdict)
{
	if (!strcmp(verdict, "1-to-3-pays") || !strcmp(verdict, "3-to-4-safe") ||
	    !strcmp(verdict, "costs-nothing") || !strcmp(verdict, "kernel-waste"))
		return "good";
	if (!strcmp(verdict, "3-needed") || !strcmp(verdict, "never-4"))
		return "bad";
	return "keep";
}

static void put_value(FILE *f, const struct rule_value *v)
{
	if (v->origin == RULE_UNKNOWN)
		fputs("unknown", f);
	else if (v->word)
		put(f, v->word);
	else
		fprintf(f, "%.10g", v->number);
}

/* --- plots ---------------------------------------------------------------- */

/* 1, 2 or 5 times a power of ten, so that NR_TICKS of it reach max. */
static double tick_step(double max)
{
	static const double steps[] = { 1, 2, 5, 10 };
	double unit = 1;

	if (max <= 0)
		return 1;
	while (unit * NR_TICKS > max)
		unit /= 10;
	while (unit * 10 * NR_TICKS <= max)
		unit *= 10;
	for (size_t i = 0; i < 4; i++)
		if (steps[i] * unit * NR_TICKS >= max)
			return steps[i] * unit;
	return 10 * unit;
}

static void plot_begin(FILE *f, const char *label, double ymax, const char *ytitle)
{
	double step = tick_step(ymax);

	fprintf(f,
		"<div class=\"wide\"><svg viewBox=\"0 0 %d %d\" width=\"%d\" role=\"img\" aria-label=\"",
		PLOT_W, PLOT_H, PLOT_W);
	put(f, label);
	fputs("\">\n", f);
	for (int i = 0; i <= NR_TICKS; i++) {
		double y = PLOT_T + SPAN_H - (double)SPAN_H * i / NR_TICKS;

		fprintf(f,
			"<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"var(--line)\"/>"
			"<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.3g</text>\n",
			PLOT_L, PLOT_W - PLOT_R, y, y, PLOT_L - 8, y + 4, step * i);
	}
	fprintf(f,
		"<text x=\"14\" y=\"%d\" transform=\"rotate(-90 14 %d)\" text-anchor=\"middle\">",
		PLOT_T + SPAN_H / 2, PLOT_T + SPAN_H / 2);
	put(f, ytitle);
	fputs("</text>\n", f);
}

static double share_of(const struct advice_list *l, const struct adv_vm *vm, uint64_t ns,
		       uint64_t span_ns)
{
	unsigned int cpus = advice_cpus(l, vm)->n;

	return span_ns ? 100.0 * (double)ns / ((double)span_ns * cpus) : 0;
}

static double plot_x(const struct adv_vm *vm, const struct adv_point *p)
{
	return PLOT_L + SPAN_W * (double)(p->time_ns - vm->times.first_ns) /
				(double)(vm->times.last_ns - vm->times.first_ns);
}

/*
 * A value is that of the time since the reading before, and drawn as long.  Several
 * readings are one value where there are too many to draw.
 */
static void plot_line(FILE *f, const struct advice_list *l, const struct adv_vm *vm, bool stall,
		      double top, const char *colour, const char *dash)
{
	size_t join = vm->times.nr_points / MAX_XY + 1;

	fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.6\"%s points=\"", colour,
		dash);
	for (size_t i = 1; i < vm->times.nr_points; i += join) {
		uint64_t ns = 0, span = 0;
		double y;
		size_t k;

		for (k = i; k < i + join && k < vm->times.nr_points; k++) {
			ns += stall ? vm->times.points[k].stall_ns :
				      vm->times.points[k].emulation_ns;
			span += vm->times.points[k].span_ns;
		}
		y = PLOT_T + SPAN_H - SPAN_H * share_of(l, vm, ns, span) / top;
		fprintf(f, "%.1f,%.1f %.1f,%.1f ", plot_x(vm, &vm->times.points[i - 1]), y,
			plot_x(vm, &vm->times.points[k - 1]), y);
	}
	fputs("\"/>\n", f);
}

static double top_share(const struct advice_list *l, const struct adv_vm *vm, bool stall)
{
	double top = 0, v;

	for (size_t i = 1; i < vm->times.nr_points; i++) {
		const struct adv_point *p = &vm->times.points[i];

		v = share_of(l, vm, stall ? p->stall_ns : p->emulation_ns, p->span_ns);
		top = v > top ? v : top;
	}
	return top;
}

static void plot_shares(FILE *f, const struct advice_list *l, const struct adv_vm *vm, bool has_f,
			bool has_t)
{
	double seconds = (double)(vm->times.last_ns - vm->times.first_ns) / 1e9;
	double top_f = has_f ? top_share(l, vm, false) : 0;
	double top_t = has_t ? top_share(l, vm, true) : 0;
	double top = tick_step(top_f > top_t ? top_f : top_t) * NR_TICKS;

	plot_begin(f, "cost over time", top, "% of the host");
	for (int i = 0; i <= NR_TICKS; i++)
		fprintf(f, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.4g s</text>\n",
			PLOT_L + (double)SPAN_W * i / NR_TICKS, PLOT_H - 14,
			seconds * i / NR_TICKS);
	if (has_f)
		plot_line(f, l, vm, false, top, "var(--f)", "");
	if (has_t)
		plot_line(f, l, vm, true, top, "var(--t)", " stroke-dasharray=\"6 3\"");
	fputs("</svg></div>\n", f);
}

/* What the text calls unknown is not drawn. */
static void plot_vm(FILE *f, const struct advice_list *l, const struct adv_side *s,
		    const struct adv_vm *vm)
{
	double v;
	bool has_f = advice_share(l, vm, false, &v), has_t = advice_share(l, vm, true, &v);

	if (has_f || has_t)
		plot_shares(f, l, vm, has_f, has_t);
	fputs("<p class=\"dim\">", f);
	put(f, vm->name);
	fprintf(f,
		", %s: <span style=\"color:var(--f)\">F, emulation (solid)</span>%s, "
		"<span style=\"color:var(--t)\">T, stalls of busy CPUs (dashed)</span>%s; "
		"in per cent of the host's CPU time (%u CPUs%s).</p>\n",
		s->name, has_f ? "" : " not known", has_t ? "" : " not known",
		advice_cpus(l, vm)->n, advice_cpus(l, vm)->assumed ? ", assumed" : "");
}

/* F, T and M of one device's VM as parts of one bar, with the threshold across it. */
static void plot_cost(FILE *f, const struct advice *a)
{
	static const enum rule_input parts[] = { RULE_f, RULE_t, RULE_m };
	static const char *const colours[] = { "var(--f)", "var(--t)", "var(--m)" };
	double limit = a->c.threshold[RULE_T_max_cost], sum = 0, top, x = PLOT_L;

	for (size_t i = 0; i < 3; i++)
		sum += a->c.in[parts[i]].origin ? a->c.in[parts[i]].number : 0;
	top = (sum > limit ? sum : limit) * 1.5;
	if (top <= 0)
		return;
	fprintf(f,
		"<div class=\"wide\"><svg viewBox=\"0 0 %d 64\" width=\"%d\" role=\"img\" aria-label=\"cost against its threshold\">\n",
		PLOT_W, PLOT_W);
	fputs("<text x=\"0\" y=\"32\">cost</text>", f);
	for (size_t i = 0; i < 3; i++) {
		double w;

		if (!a->c.in[parts[i]].origin)
			continue;
		w = SPAN_W * a->c.in[parts[i]].number / top;
		fprintf(f, "<rect x=\"%.1f\" y=\"16\" width=\"%.1f\" height=\"24\" fill=\"%s\"/>\n",
			x, w, colours[i]);
		x += w;
	}
	fprintf(f, "<text x=\"%.1f\" y=\"32\">%.4g %%%s</text>\n", x + 6, sum,
		a->c.in[RULE_f].origin && a->c.in[RULE_t].origin && a->c.in[RULE_m].origin ?
			"" :
			", parts of it unknown");
	x = PLOT_L + SPAN_W * limit / top;
	fprintf(f,
		"<line x1=\"%.1f\" x2=\"%.1f\" y1=\"8\" y2=\"48\" stroke=\"var(--limit)\" stroke-width=\"2\"/>"
		"<text x=\"%.1f\" y=\"61\" text-anchor=\"middle\">--max-cost %.4g %%</text></svg></div>\n",
		x, x, x, limit);
}

/* The gain's interval against the threshold and 0. */
static void plot_gain(FILE *f, const struct advice *a)
{
	double limit = a->c.threshold[RULE_T_min_gain], lo, hi, span;

	if (!a->ab || !a->ab->has_interval)
		return;
	lo = a->ab->lo < 0 ? a->ab->lo : 0;
	hi = a->ab->hi > limit ? a->ab->hi : limit;
	span = (hi - lo) * 1.2;
	lo -= span * 0.08;
	if (span <= 0)
		return;
#define GAIN_X(v) (PLOT_L + SPAN_W * ((v)-lo) / span)
	fprintf(f,
		"<div class=\"wide\"><svg viewBox=\"0 0 %d 72\" width=\"%d\" role=\"img\" aria-label=\"gain against its threshold\">\n"
		"<text x=\"0\" y=\"28\">gain</text>"
		"<line x1=\"%.1f\" x2=\"%.1f\" y1=\"24\" y2=\"24\" stroke=\"var(--f)\" stroke-width=\"5\"/>"
		"<circle cx=\"%.1f\" cy=\"24\" r=\"6\" fill=\"var(--f)\"/>"
		"<text x=\"%.1f\" y=\"14\" text-anchor=\"middle\">%.4g %% (95 %%: %.4g to %.4g)</text>\n",
		PLOT_W, PLOT_W, GAIN_X(a->ab->lo), GAIN_X(a->ab->hi), GAIN_X(a->ab->mean),
		GAIN_X(a->ab->mean), a->ab->mean, a->ab->lo, a->ab->hi);
	fprintf(f,
		"<line x1=\"%.1f\" x2=\"%.1f\" y1=\"16\" y2=\"44\" stroke=\"var(--dim)\"/>"
		"<text x=\"%.1f\" y=\"56\" text-anchor=\"middle\">0</text>"
		"<line x1=\"%.1f\" x2=\"%.1f\" y1=\"16\" y2=\"56\" stroke=\"var(--limit)\" stroke-width=\"2\"/>"
		"<text x=\"%.1f\" y=\"69\" text-anchor=\"middle\">--min-gain %.4g %%</text></svg></div>\n",
		GAIN_X(0), GAIN_X(0), GAIN_X(0), GAIN_X(limit), GAIN_X(limit), GAIN_X(limit),
		limit);
#undef GAIN_X
}

/* --- the page ------------------------------------------------------------- */

static void html_inputs(FILE *f, const struct advice *a)
{
	fputs("<div class=\"wide\"><table><tr><th>input</th><th>value</th><th>origin</th><th>from</th></tr>\n",
	      f);
	for (int pass = 1; pass >= 0; pass--) {
		for (int i = 0; i < RULE_NR_INPUTS; i++) {
			const struct rule_value *v = &a->c.in[i];

			if (a->r.uses[i] != !!pass)
				continue;
			fprintf(f, "<tr%s><td><code>%s</code></td><td>",
				pass ? "" : " class=\"off\"", rule_input_name(i));
			put_value(f, v);
			if (v->origin && !v->word)
				fprintf(f, " %s", rule_input_unit(i));
			fprintf(f, "</td><td>%s</td><td>", rule_origin_name(v->origin));
			put(f, v->source);
			fputs("</td></tr>\n", f);
		}
	}
	fputs("</table></div>\n<p class=\"dim\">Inputs in grey are not part of this row.</p>\n", f);
}

static void html_notes(FILE *f, const char *notes)
{
	while (notes && *notes) {
		size_t n = strcspn(notes, "\n");

		fputs("<p class=\"note\">", f);
		put_some(f, notes, n);
		fputs("</p>\n", f);
		notes += n + (notes[n] == '\n');
	}
}

static void html_device(FILE *f, const struct advice *a)
{
	char *own;

	fputs("<h2 id=\"d", f);
	put(f, a->dev->bdf);
	fputs("\">", f);
	put(f, a->dev->bdf);
	fputs(" <span class=\"dim\">", f);
	put(f, a->dev->name);
	if (a->base_vm) {
		fputs(", VM ", f);
		put(f, a->base_vm->name);
	}
	fprintf(f, "</span></h2>\n<p><span class=\"verdict %s\">%s</span>: ",
		verdict_class(a->r.verdict), a->r.verdict);
	put(f, a->r.meaning);
	fprintf(f, ".</p>\n<dl><dt>Row %s</dt><dd><code>", a->r.row);
	put(f, a->r.when);
	fputs("</code>", f);
	if (*a->r.missed) {
		fputs("<br>did not hold: <code>", f);
		put(f, a->r.missed);
		fputs("</code>", f);
	}
	fprintf(f, "</dd><dt>Confidence</dt><dd>%s</dd><dt>Applied by</dt><dd>",
		rule_confidence_name(a->r.confidence));
	own = advice_for(a, a->r.apply);
	put_code(f, own);
	free(own);
	fputs("</dd>\n", f);
	if (a->nr_raise) {
		fputs("<dt>What would raise the confidence</dt>", f);
		for (size_t i = 0; i < a->nr_raise; i++) {
			size_t k;

			for (k = 0; k < i && strcmp(a->raise[k], a->raise[i]); k++)
				;
			if (k < i)
				continue;
			own = advice_for(a, a->raise[i]);
			fputs("<dd>", f);
			put(f, own);
			fputs("</dd>", f);
			free(own);
		}
	}
	fputs("</dl>\n", f);
	html_notes(f, a->notes);
	if (a->ab) {
		fputs("<p>A/B: ", f);
		put(f, a->ab->workload);
		fprintf(f, ", %zu blocks, ", a->ab->blocks);
		put(f, a->ab->policies[1]);
		fputs(" against ", f);
		put(f, a->ab->policies[0]);
		fputs(": ", f);
		advice_gain(f, a->ab);
		fputs(".</p>\n", f);
	}
	plot_gain(f, a);
	if (a->c.in[RULE_f].origin || a->c.in[RULE_t].origin)
		plot_cost(f, a);
	html_inputs(f, a);
}

static void html_summary(FILE *f, const struct advice_list *l)
{
	fputs("<div class=\"wide\"><table><tr><th>device</th><th>name</th><th>VM</th><th>verdict</th>"
	      "<th>row</th><th>confidence</th></tr>\n",
	      f);
	for (size_t i = 0; i < l->n; i++) {
		const struct advice *a = &l->a[i];

		fputs("<tr><td><a href=\"#d", f);
		put(f, a->dev->bdf);
		fputs("\">", f);
		put(f, a->dev->bdf);
		fputs("</a></td><td>", f);
		put(f, a->dev->name);
		fputs("</td><td>", f);
		put(f, a->base_vm ? a->base_vm->name : "none");
		fprintf(f, "</td><td class=\"verdict %s\">%s</td><td>%s</td><td>%s</td></tr>\n",
			verdict_class(a->r.verdict), a->r.verdict, a->r.row,
			rule_confidence_name(a->r.confidence));
	}
	fputs("</table></div>\n", f);
}

static void html_side(FILE *f, const struct advice_list *l, const struct adv_side *s)
{
	for (size_t i = 0; s && i < s->nr_vms; i++) {
		const struct adv_vm *vm = &s->vms[i];

		if (vm->times.seen)
			plot_vm(f, l, s, vm);
	}
}

void advice_html(FILE *f, const struct advice_list *l)
{
	const struct adv_dev *only;
	size_t at = 0;

	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
	      "<title>No-snoop: which policy for which device</title>\n",
	      f);
	fputs(style, f);
	fputs("</head>\n<body>\n<h1>No-snoop: which policy for which device</h1>\n<p class=\"dim\">Kernel ",
	      f);
	put(f, l->base->kernel ? l->base->kernel : "unknown");
	fprintf(f, ", %u CPUs%s", l->cpus.n, l->cpus.assumed ? " (assumed)" : "");
	if (l->cand) {
		fputs("; of the candidate kernel ", f);
		put(f, l->cand->kernel ? l->cand->kernel : "unknown");
		fprintf(f, ", %u CPUs%s", l->cand_cpus.n, l->cand_cpus.assumed ? " (assumed)" : "");
	}
	fputs(". Recordings:", f);
	for (size_t i = 0; i < l->base->nr_files; i++) {
		fputs(" <code>", f);
		put(f, l->base->files[i].path);
		fputs("</code>", f);
	}
	if (l->cand)
		fputs("; candidate:", f);
	for (size_t i = 0; l->cand && i < l->cand->nr_files; i++) {
		fputs(" <code>", f);
		put(f, l->cand->files[i].path);
		fputs("</code>", f);
	}
	fputs(".</p>\n", f);
	html_summary(f, l);
	while ((only = advice_candidate_only(l, &at)))
		fprintf(f, "<p>%s: in the candidate alone, so that it has no verdict.</p>\n",
			only->bdf);
	fputs("<h2>What WBINVD costs</h2>\n<p>The cost is a VM's, and belongs to all of its non-coherent devices together: "
	      "moving one of them while another stays in box 3 saves nothing.</p>\n",
	      f);
	html_side(f, l, l->base);
	html_side(f, l, l->cand);
	for (size_t i = 0; i < l->n; i++)
		html_device(f, &l->a[i]);
	fputs("<h2>Thresholds</h2>\n<p>", f);
	for (int t = 0; t < RULE_NR_THRESHOLDS; t++)
		fprintf(f, "%s<code>%s</code> %.10g %s", t ? ", " : "", rule_threshold_option(t),
			l->cfg->threshold[t], rule_threshold_unit(t));
	fputs(". The rule is written out in nosnoop(8).</p>\n</body>\n</html>\n", f);
}

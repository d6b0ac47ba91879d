// SPDX-License-Identifier: GPL-2.0
/* Advice as text and as JSON. */
#include "advise.h"

#include <stdlib.h>
#include <string.h>

#include "advise_dev.h"

static void print_value(FILE *f, const struct rule_value *v)
{
	if (v->origin == RULE_UNKNOWN)
		fputs("unknown", f);
	else if (v->word)
		fputs(v->word, f);
	else
		fprintf(f, "%.10g", v->number);
}

static void text_inputs(FILE *f, const struct advice *a)
{
	for (int i = 0; i < RULE_NR_INPUTS; i++) {
		const struct rule_value *v = &a->c.in[i];

		fprintf(f, "  %c %-13s ", a->r.uses[i] ? '*' : ' ', rule_input_name(i));
		print_value(f, v);
		if (v->origin != RULE_UNKNOWN && !v->word)
			fprintf(f, " %s", rule_input_unit(i));
		if (v->origin == RULE_ASSUMED)
			fputs(" (assumed)", f);
		if (v->source)
			fprintf(f, ": %s", v->source);
		fputc('\n', f);
	}
}

static void print_for(FILE *f, const struct advice *a, const char *title, const char *text)
{
	char *own = advice_for(a, text);

	fprintf(f, "  %s: %s\n", title, own ? own : text);
	free(own);
}

void advice_gain(FILE *f, const struct adv_ab *ab)
{
	fprintf(f, "%.10g %%, 95 %% interval ", ab->mean);
	if (ab->has_interval)
		fprintf(f, "%.10g to %.10g %%", ab->lo, ab->hi);
	else
		fputs("not known", f);
}

static void text_device(FILE *f, const struct advice *a)
{
	double cost;

	fprintf(f, "%s %s%s%s\n", a->dev->bdf, a->dev->name ? a->dev->name : "",
		a->base_vm ? ", VM " : "", a->base_vm ? a->base_vm->name : "");
	fprintf(f, "  verdict: %s (row %s), confidence %s\n", a->r.verdict, a->r.row,
		rule_confidence_name(a->r.confidence));
	fprintf(f, "  %s\n  because: %s\n", a->r.meaning, a->r.when);
	if (*a->r.missed)
		fprintf(f, "  did not hold: %s\n", a->r.missed);
	print_for(f, a, "applied by", a->r.apply);
	if (a->notes) {
		char *copy = strdup(a->notes), *line, *save = NULL;

		for (line = copy ? strtok_r(copy, "\n", &save) : NULL; line;
		     line = strtok_r(NULL, "\n", &save))
			fprintf(f, "  note: %s\n", line);
		free(copy);
	}
	if (a->ab) {
		fprintf(f, "  A/B: %s, %s against %s: ", a->ab->workload, a->ab->policies[1],
			a->ab->policies[0]);
		advice_gain(f, a->ab);
		fprintf(f, ", %zu block%s\n", a->ab->blocks, a->ab->blocks == 1 ? "" : "s");
	}
	if (rule_cost(&a->c, &cost))
		fprintf(f, "  F + T + M: %.10g %% of the host's CPU time\n", cost);
	fputs("  inputs (* of this row):\n", f);
	text_inputs(f, a);
	for (size_t i = 0; i < a->nr_raise; i++) {
		size_t k;

		for (k = 0; k < i && strcmp(a->raise[k], a->raise[i]); k++)
			;
		if (k == i)
			print_for(f, a, "raises the confidence", a->raise[i]);
	}
	fputc('\n', f);
}

void advice_text(FILE *f, const struct advice_list *l)
{
	const struct adv_dev *d;
	size_t at = 0;

	for (size_t i = 0; i < l->n; i++)
		text_device(f, &l->a[i]);
	while ((d = advice_candidate_only(l, &at)))
		fprintf(f, "%s: in the candidate alone, so that it has no verdict\n\n", d->bdf);
	fputs("thresholds:", f);
	for (int t = 0; t < RULE_NR_THRESHOLDS; t++)
		fprintf(f, "%s %s %.10g %s", t ? "," : "", rule_threshold_option(t),
			l->cfg->threshold[t], rule_threshold_unit(t));
	fprintf(f, "\nhost: %u CPUs%s, kernel %s", l->cpus.n, l->cpus.assumed ? " (assumed)" : "",
		l->base->kernel ? l->base->kernel : "unknown");
	if (l->cand)
		fprintf(f, "; of the candidate: %u CPUs%s, kernel %s", l->cand_cpus.n,
			l->cand_cpus.assumed ? " (assumed)" : "",
			l->cand->kernel ? l->cand->kernel : "unknown");
	fputc('\n', f);
}

static json_t *value_json(const struct rule_value *v)
{
	json_t *value = v->origin == RULE_UNKNOWN ? json_null() :
			v->word			  ? json_string(v->word) :
						    json_real(v->number);

	return json_pack("{s:o,s:s,s:s?}", "value", value, "origin", rule_origin_name(v->origin),
			 "source", v->source);
}

static json_t *inputs_json(const struct advice *a)
{
	json_t *inputs = json_object();

	for (int i = 0; inputs && i < RULE_NR_INPUTS; i++) {
		json_t *v = value_json(&a->c.in[i]);

		/* A NULL in the place of a value is refused, too. */
		if (json_object_set_new(v, "of_row", json_boolean(a->r.uses[i])) |
		    json_object_set_new(inputs, rule_input_name(i), v)) {
			json_decref(inputs);
			return NULL;
		}
	}
	return inputs;
}

static json_t *string_for(const struct advice *a, const char *text)
{
	char *own = advice_for(a, text);
	json_t *s = own ? json_string(own) : NULL;

	free(own);
	return s;
}

/* An element that could not be made is never left out: the array is gone then. */
static json_t *append(json_t *array, json_t *element)
{
	if (!json_array_append_new(array, element))
		return array;
	json_decref(array);
	return NULL;
}

static json_t *raise_json(const struct advice *adv)
{
	json_t *a = json_array();

	for (size_t i = 0; a && i < adv->nr_raise; i++) {
		size_t k;

		for (k = 0; k < i && strcmp(adv->raise[k], adv->raise[i]); k++)
			;
		if (k == i)
			a = append(a, string_for(adv, adv->raise[i]));
	}
	return a;
}

static json_t *lines_json(const char *text)
{
	char *copy = strdup(text ? text : ""), *line, *save = NULL;
	json_t *a = copy ? json_array() : NULL;

	for (line = copy ? strtok_r(copy, "\n", &save) : NULL; a && line;
	     line = strtok_r(NULL, "\n", &save))
		a = append(a, json_string(line));
	free(copy);
	return a;
}

static json_t *ab_json(const struct adv_ab *ab)
{
	if (!ab)
		return json_null();
	return json_pack("{s:s,s:s,s:s,s:s,s:I,s:f,s:o,s:o}", "workload", ab->workload, "unit",
			 ab->unit, "policy_a", ab->policies[0], "policy_b", ab->policies[1],
			 "blocks", (json_int_t)ab->blocks, "gain", ab->mean, "gain_lo",
			 ab->has_interval ? json_real(ab->lo) : json_null(), "gain_hi",
			 ab->has_interval ? json_real(ab->hi) : json_null());
}

static json_t *vm_json(const struct adv_vm *vm)
{
	if (!vm)
		return json_null();
	return json_pack("{s:s,s:I,s:s}", "id", vm->id, "start", (json_int_t)vm->start, "name",
			 vm->name);
}

static json_t *device_json(const struct advice *a)
{
	return json_pack("{s:s,s:s?,s:o,s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o}", "bdf",
			 a->dev->bdf, "name", a->dev->name, "vm", vm_json(a->base_vm), "row",
			 a->r.row, "verdict", a->r.verdict, "meaning", a->r.meaning, "when",
			 a->r.when, "did_not_hold", a->r.missed, "confidence",
			 rule_confidence_name(a->r.confidence), "apply", string_for(a, a->r.apply),
			 "inputs", inputs_json(a), "raise", raise_json(a), "notes",
			 lines_json(a->notes), "ab", ab_json(a->ab));
}

static json_t *share_json(const struct advice_list *l, const struct adv_vm *vm, bool stall)
{
	double pct;

	return advice_share(l, vm, stall, &pct) ? json_real(pct) : json_null();
}

/* A VM's cost, which belongs to all of its non-coherent devices together. */
static json_t *vm_cost_json(const struct advice_list *l, const struct adv_side *s,
			    const struct adv_vm *vm)
{
	json_t *devices = json_array();

	for (size_t i = 0; devices && i < s->nr_devs; i++)
		if (advice_was_in(&s->devs[i], vm) && advice_blocked(l, &s->devs[i], vm) != TRI_YES)
			devices = append(devices, json_string(s->devs[i].bdf));
	return json_pack("{s:s,s:s,s:I,s:s,s:o,s:o,s:f,s:i,s:o,s:o}", "side", s->name, "id", vm->id,
			 "start", (json_int_t)vm->start, "name", vm->name, "noncoherent",
			 vm->noncoherent == TRI_UNKNOWN ? json_null() :
							  json_boolean(vm->noncoherent == TRI_YES),
			 "noncoherent_devices", devices, "seconds",
			 (double)(vm->times.last_ns - vm->times.first_ns) / 1e9, "cpus",
			 (int)advice_cpus(l, vm)->n, "f", share_json(l, vm, false), "t",
			 share_json(l, vm, true));
}

static json_t *add_vms(json_t *array, const struct advice_list *l, const struct adv_side *s)
{
	for (size_t i = 0; array && s && i < s->nr_vms; i++)
		array = append(array, vm_cost_json(l, s, &s->vms[i]));
	return array;
}

json_t *advice_json(const struct advice_list *l)
{
	json_t *devices = json_array(), *vms = json_array(), *thresholds = json_object();
	json_t *only = json_array();
	const struct adv_dev *d;
	size_t at = 0;

	while (only && (d = advice_candidate_only(l, &at)))
		only = append(only, json_string(d->bdf));
	for (size_t i = 0; devices && i < l->n; i++)
		devices = append(devices, device_json(&l->a[i]));
	for (int t = 0; thresholds && t < RULE_NR_THRESHOLDS; t++)
		if (json_object_set_new(thresholds, rule_threshold_name(t),
					json_real(l->cfg->threshold[t]))) {
			json_decref(thresholds);
			thresholds = NULL;
		}
	vms = add_vms(add_vms(vms, l, l->base), l, l->cand);
	return json_pack("{s:s,s:s?,s:i,s:b,s:o,s:o,s:o,s:o}", "schema", ADVICE_SCHEMA, "kernel",
			 l->base->kernel, "cpus", (int)l->cpus.n, "cpus_assumed",
			 (int)l->cpus.assumed, "thresholds", thresholds, "devices", devices,
			 "candidate_only", only, "vms", vms);
}

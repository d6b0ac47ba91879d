// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ui_int.h"

#define NSEC_PER_SEC 1000000000ULL

static int key_cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t *find_toggled(const struct ui *ui, uint64_t key)
{
	if (!ui->nr_toggled)
		return NULL;
	return bsearch(&key, ui->toggled, ui->nr_toggled, sizeof(key), key_cmp);
}

bool ui_is_open(const struct ui *ui, uint64_t key)
{
	return !!find_toggled(ui, key) != ui->all_open;
}

static size_t group_rows(const struct ui *ui, size_t group)
{
	const struct wb_vm *vm;

	if (ui->view == BATCH_VICTIMS || ui->view == BATCH_LOG)
		return 1;
	vm = ui->f->vms[group].cur;
	if (ui->view == BATCH_DEVICES)
		return vm->nr_devices;
	return !vm->vcpus_unknown && ui_is_open(ui, vm->key) ? 1 + vm->nr_vcpus : 1;
}

static size_t nr_groups(const struct ui *ui)
{
	switch (ui->view) {
	case BATCH_VICTIMS:
		return ui->f->nr_victims;
	case BATCH_LOG:
		return ui->f->nr_events;
	default:
		return ui->f->nr_vms;
	}
}

static int find_rows(struct ui *ui)
{
	struct ui_rows *r = &ui->rows;
	size_t n = nr_groups(ui);

	if (n + 1 > r->room) {
		size_t *first = reallocarray(r->first, n + 1, sizeof(*first));

		if (!first)
			return -ENOMEM;
		r->first = first;
		r->room = n + 1;
	}
	r->nr_groups = n;
	r->nr = 0;
	for (size_t i = 0; i < n; i++) {
		r->first[i] = r->nr;
		r->nr += group_rows(ui, i);
	}
	r->first[n] = r->nr;
	return 0;
}

size_t ui_group(const struct ui *ui, size_t row)
{
	const struct ui_rows *r = &ui->rows;
	size_t lo = 0, hi = r->nr_groups;

	/* The last group that begins at or before the row: those before it may be empty. */
	while (lo + 1 < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->first[mid] <= row)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* Remembers what is selected, for its row number changes with every frame. */
static void note_selection(struct ui *ui)
{
	const struct wb_vm *vm;
	size_t group, sub;

	ui->at_is_vcpu = false;
	if (ui->view != BATCH_VMS || !ui->rows.nr)
		return;
	group = ui_group(ui, ui->at);
	sub = ui->at - ui->rows.first[group];
	vm = ui->f->vms[group].cur;
	ui->at_key = vm->key;
	if (sub) {
		ui->at_is_vcpu = true;
		ui->at_vcpu = vm->vcpus[sub - 1].id;
	}
}

static void clamp_selection(struct ui *ui)
{
	if (ui->at >= ui->rows.nr)
		ui->at = ui->rows.nr ? ui->rows.nr - 1 : 0;
}

static void find_selection(struct ui *ui)
{
	if (ui->view != BATCH_VMS || !ui->follow) {
		clamp_selection(ui);
		return;
	}
	for (size_t i = 0; i < ui->f->nr_vms; i++) {
		const struct wb_vm *vm = ui->f->vms[i].cur;

		if (vm->key != ui->at_key)
			continue;
		ui->at = ui->rows.first[i];
		if (!ui->at_is_vcpu || group_rows(ui, i) == 1)
			return;
		for (size_t k = 0; k < vm->nr_vcpus; k++) {
			if (vm->vcpus[k].id == ui->at_vcpu)
				ui->at += k + 1;
		}
		return;
	}
	clamp_selection(ui);
}

int ui_layout(struct ui *ui)
{
	int err;

	if (!ui->f)
		return 0;
	frame_sort(ui->f->vms, ui->f->nr_vms, ui->f, ui->sort, ui->reverse);
	err = find_rows(ui);
	if (err)
		return err;
	find_selection(ui);
	return 0;
}

void ui_select(struct ui *ui, size_t row)
{
	ui->at = row;
	clamp_selection(ui);
	/* At the top the selection stays with the place: the first is the most interesting. */
	ui->follow = ui->at;
	if (ui->f)
		note_selection(ui);
}

void ui_scroll(struct ui *ui, size_t page)
{
	ui->page = page;
	if (!page || ui->rows.nr <= page)
		ui->top = 0;
	else if (ui->at < ui->top)
		ui->top = ui->at;
	else if (ui->at >= ui->top + page)
		ui->top = ui->at - page + 1;
	else if (ui->top + page > ui->rows.nr)
		ui->top = ui->rows.nr - page;
}

int ui_toggle(struct ui *ui)
{
	uint64_t key, *at;

	if (ui->view != BATCH_VMS || !ui->f || !ui->rows.nr)
		return 0;
	key = ui->f->vms[ui_group(ui, ui->at)].cur->key;
	at = find_toggled(ui, key);
	if (at) {
		ui->nr_toggled--;
		memmove(at, at + 1, (ui->toggled + ui->nr_toggled - at) * sizeof(*at));
	} else {
		at = reallocarray(ui->toggled, ui->nr_toggled + 1, sizeof(*at));
		if (!at)
			return -ENOMEM;
		ui->toggled = at;
		at[ui->nr_toggled++] = key;
		qsort(at, ui->nr_toggled, sizeof(*at), key_cmp);
	}
	/* Whoever opens a VM wants to keep an eye on it. */
	ui->follow = true;
	ui->at_key = key;
	ui->at_is_vcpu = false;
	return 0;
}

void ui_toggle_all(struct ui *ui)
{
	ui->all_open = !ui->all_open;
	ui->nr_toggled = 0;
}

bool ui_is_hidden(const struct ui *ui, const struct out_field *field)
{
	return !ui->cfg->fields && !strcmp(field->path, "policy") &&
	       !(ui->f && ui->f->cur->known & WB_KNOWN_POLICY);
}

void ui_sort_step(struct ui *ui, int step)
{
	const struct ui_columns *c = &ui->cols[BATCH_VMS];
	/* Place 0 is the default order, the columns follow. */
	size_t places = c->n + 1, at = 0;

	for (size_t i = 0; ui->sort && i < c->n; i++) {
		if (c->sel[i] == ui->sort)
			at = i + 1;
	}
	do {
		at = (at + places + step) % places;
	} while (at && ui_is_hidden(ui, c->sel[at - 1]));
	ui->sort = at ? c->sel[at - 1] : NULL;
}

int ui_apply_filter(struct ui *ui)
{
	struct model_filter filter = ui->cfg->filter;
	const struct frame *f;
	int err;

	filter.text = ui->filter[0] ? ui->filter : NULL;
	err = model_set_filter(ui->model, &filter);
	if (err || !ui->f)
		return err;
	ui->f = NULL;
	err = model_frame(ui->model, &f);
	if (!err)
		ui->f = f;
	return err;
}

uint64_t ui_interval_step(uint64_t ns, int step)
{
	static const uint64_t tenths[] = {
		1, 2, 5, 10, 20, 50, 100, 300, 600, 3000, 6000, 36000, 864000,
	};
	static const size_t n = sizeof(tenths) / sizeof(tenths[0]);

	if (step > 0) {
		for (size_t i = 0; i < n; i++) {
			if (tenths[i] * (NSEC_PER_SEC / 10) > ns)
				return tenths[i] * (NSEC_PER_SEC / 10);
		}
	} else {
		for (size_t i = n; i-- > 0;) {
			if (tenths[i] * (NSEC_PER_SEC / 10) < ns)
				return tenths[i] * (NSEC_PER_SEC / 10);
		}
	}
	return ns;
}

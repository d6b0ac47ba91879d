// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../tools/wbinvdtop/ui_int.h"

#define SEC 1000000000ULL

static struct ui_config cfg;
static struct ui_pace pace;

/* A VM with vCPUs 0 to nr - 1, of which each has spent ns emulating. */
static void add_vm(struct wb_snapshot *s, uint64_t key, const char *name, unsigned int nr,
		   uint64_t ns)
{
	struct wb_vm *vm = snapshot_add_vm(s);

	vm->key = key;
	vm->pid = 1000 + key;
	vm->name = strdup(name);
	for (unsigned int i = 0; i < nr; i++) {
		struct wb_vcpu *v = snapshot_add_vcpu(vm);

		v->id = i;
		v->total.exits = 1;
		v->total.emulation_ns = ns;
	}
}

/* Names of VMs and what each vCPU spends per second: "a4:10 b2:5" */
static void next(struct ui *ui, int second, const char *vms)
{
	struct wb_snapshot *s = snapshot_new();
	char name[2] = "";
	int nr, ns, len;

	s->time_ns = second * SEC;
	s->known = WB_KNOWN_TIME | WB_KNOWN_OUTCOME | WB_KNOWN_STALL;
	for (; sscanf(vms, " %1[a-z]%d:%d%n", name, &nr, &ns, &len) == 3; vms += len)
		add_vm(s, name[0], name, nr, (uint64_t)second * second * ns);
	assert_int_equal(model_update(ui->model, s, &ui->f), 0);
	assert_int_equal(ui_layout(ui), 0);
}

static int set_up(void **state)
{
	static const char fields[] = "pid,name,delta.exits";
	struct ui *ui = calloc(1, sizeof(*ui));

	memset(&cfg, 0, sizeof(cfg));
	ui->cfg = &cfg;
	ui->pace = &pace;
	ui->model = model_new();
	*state = ui;
	return out_select(vm_fields, fields, &ui->cols[BATCH_VMS].sel, &ui->cols[BATCH_VMS].n);
}

static int tear_down(void **state)
{
	struct ui *ui = *state;

	model_free(ui->model);
	free(ui->cols[BATCH_VMS].sel);
	free(ui->rows.first);
	free(ui->toggled);
	free(ui);
	return 0;
}

/* "b" for the row of VM b, "b1" for that of its vCPU 1 */
static const char *at(const struct ui *ui)
{
	static char buf[16];
	size_t group = ui_group(ui, ui->at), sub = ui->at - ui->rows.first[group];
	const struct wb_vm *vm = ui->f->vms[group].cur;

	if (sub)
		snprintf(buf, sizeof(buf), "%s%u", vm->name, vm->vcpus[sub - 1].id);
	else
		snprintf(buf, sizeof(buf), "%s", vm->name);
	return buf;
}

static void test_no_rows(void **state)
{
	struct ui *ui = *state;

	ui_select(ui, 3);
	assert_int_equal(ui_toggle(ui), 0);
	next(ui, 1, "");
	assert_int_equal(ui->rows.nr, 0);
	ui_select(ui, SIZE_MAX);
	assert_int_equal(ui->at, 0);
	assert_int_equal(ui_toggle(ui), 0);
	ui_scroll(ui, 10);
	assert_int_equal(ui->top, 0);
	ui->view = BATCH_VICTIMS;
	assert_int_equal(ui_layout(ui), 0);
	ui->view = BATCH_DEVICES;
	assert_int_equal(ui_layout(ui), 0);
}

static void test_expand(void **state)
{
	struct ui *ui = *state;

	next(ui, 1, "a4:30 b2:20 c1:10");
	next(ui, 2, "a4:30 b2:20 c1:10");
	assert_int_equal(ui->rows.nr, 3);
	ui_select(ui, 1);
	assert_string_equal(at(ui), "b");
	assert_int_equal(ui_toggle(ui), 0);
	assert_int_equal(ui_layout(ui), 0);
	assert_int_equal(ui->rows.nr, 5);
	ui_select(ui, 3);
	assert_string_equal(at(ui), "b1");
	ui_toggle_all(ui);
	assert_int_equal(ui_layout(ui), 0);
	assert_int_equal(ui->rows.nr, 10);
	assert_string_equal(at(ui), "b1");
	/* From a vCPU its VM is closed, and selected. */
	assert_int_equal(ui_toggle(ui), 0);
	assert_int_equal(ui_layout(ui), 0);
	assert_int_equal(ui->rows.nr, 8);
	assert_string_equal(at(ui), "b");
	ui_toggle_all(ui);
	assert_int_equal(ui_layout(ui), 0);
	assert_int_equal(ui->rows.nr, 3);
}

static void test_follow(void **state)
{
	struct ui *ui = *state;

	next(ui, 1, "a4:30 b2:20 c1:10");
	next(ui, 2, "a4:30 b2:20 c1:10");
	assert_string_equal(at(ui), "a");
	/* Untouched, the top stays selected. */
	next(ui, 3, "a4:30 b2:20 c1:900");
	assert_string_equal(at(ui), "c");
	ui_select(ui, 1);
	assert_string_equal(at(ui), "a");
	next(ui, 4, "a4:30 b2:700 c1:900");
	assert_string_equal(at(ui), "a");
	assert_int_equal(ui->at, 2);
	/* What is gone leaves the place to the next one. */
	next(ui, 5, "b2:700 c1:900");
	assert_int_equal(ui->at, 1);
	ui_select(ui, 0);
	next(ui, 6, "b2:700 c1:9000");
	assert_int_equal(ui->at, 0);
}

static void test_scroll(void **state)
{
	struct ui *ui = *state;

	next(ui, 1, "a9:30 b9:20");
	ui_toggle_all(ui);
	assert_int_equal(ui_layout(ui), 0);
	assert_int_equal(ui->rows.nr, 20);
	ui_select(ui, 19);
	ui_scroll(ui, 5);
	assert_int_equal(ui->top, 15);
	ui_select(ui, 16);
	ui_scroll(ui, 5);
	assert_int_equal(ui->top, 15);
	ui_select(ui, 3);
	ui_scroll(ui, 5);
	assert_int_equal(ui->top, 3);
	/* A taller terminal shows no emptiness below the last row. */
	ui_select(ui, 19);
	ui_scroll(ui, 5);
	ui_scroll(ui, 12);
	assert_int_equal(ui->top, 8);
	ui_scroll(ui, 40);
	assert_int_equal(ui->top, 0);
	/* Nothing of a row is seen in no lines. */
	ui_scroll(ui, 0);
	assert_int_equal(ui->top, 0);
}

static void test_sort_steps(void **state)
{
	struct ui *ui = *state;

	ui_sort_step(ui, 1);
	assert_string_equal(ui->sort->path, "pid");
	ui_sort_step(ui, 1);
	ui_sort_step(ui, 1);
	assert_string_equal(ui->sort->path, "delta.exits");
	ui_sort_step(ui, 1);
	assert_null(ui->sort);
	ui_sort_step(ui, -1);
	assert_string_equal(ui->sort->path, "delta.exits");
	/* A field that -s chose and no column shows: on from the start. */
	ui->sort = out_field_find(vm_fields, "total.exits");
	ui_sort_step(ui, 1);
	assert_string_equal(ui->sort->path, "pid");
}

static void test_filter(void **state)
{
	struct ui *ui = *state;

	next(ui, 1, "a4:30 b2:20 c1:10");
	strcpy(ui->filter, "b");
	assert_int_equal(ui_apply_filter(ui), 0);
	assert_int_equal(ui_layout(ui), 0);
	assert_int_equal(ui->rows.nr, 1);
	assert_string_equal(at(ui), "b");
	ui->filter[0] = '\0';
	assert_int_equal(ui_apply_filter(ui), 0);
	assert_int_equal(ui_layout(ui), 0);
	assert_int_equal(ui->rows.nr, 3);
}

static void test_interval_steps(void **state)
{
	(void)state;
	assert_int_equal(ui_interval_step(SEC, 1), 2 * SEC);
	assert_int_equal(ui_interval_step(SEC, -1), SEC / 2);
	assert_int_equal(ui_interval_step(3 * SEC / 2, 1), 2 * SEC);
	assert_int_equal(ui_interval_step(3 * SEC / 2, -1), SEC);
	assert_int_equal(ui_interval_step(SEC / 10, -1), SEC / 10);
	assert_int_equal(ui_interval_step(86400 * SEC, 1), 86400 * SEC);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_no_rows),	   TEST(test_expand),	  TEST(test_follow),
		TEST(test_scroll),	   TEST(test_sort_steps), TEST(test_filter),
		TEST(test_interval_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

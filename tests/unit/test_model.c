// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "frames.h"
#include "../../tools/wbinvdtop/fields.h"

static const struct frame *update(struct model *m, struct wb_snapshot *s)
{
	const struct frame *f = NULL;

	assert_int_equal(model_update(m, s, &f), 0);
	assert_non_null(f);
	return f;
}

static const struct frame *again(struct model *m)
{
	const struct frame *f = NULL;

	assert_int_equal(model_frame(m, &f), 0);
	return f;
}

/* The VM of that process, or NULL. */
static const struct frame_vm *vm_of(const struct frame *f, pid_t pid)
{
	for (size_t i = 0; i < f->nr_vms; i++)
		if (f->vms[i].cur->pid == pid)
			return &f->vms[i];
	return NULL;
}

static void test_bounds(void **state)
{
	(void)state;
	/* 2^6 - 1; then quarters of an octave: 64 + 16 - 1, ... 64 + 64 - 1, 128 + 32 - 1 */
	assert_int_equal(hist_bound(0), 63);
	assert_int_equal(hist_bound(1), 79);
	assert_int_equal(hist_bound(4), 127);
	assert_int_equal(hist_bound(5), 159);
	assert_true(hist_bound(WB_HIST_SLOTS - 1) == UINT64_MAX);
	for (unsigned int slot = 0; slot < WB_HIST_SLOTS - 1; slot++) {
		assert_int_equal(wb_hist_slot(hist_bound(slot)), slot);
		assert_int_equal(wb_hist_slot(hist_bound(slot) + 1), slot + 1);
	}
	assert_int_equal(wb_hist_slot(0), 0);
	assert_int_equal(wb_hist_slot(UINT64_MAX), WB_HIST_SLOTS - 1);
}

static uint64_t hist_quantile(const uint64_t *hist, unsigned int percent, uint64_t max)
{
	uint64_t quantile;

	hist_quantiles(hist, &percent, &quantile, 1, max);
	return quantile;
}

static void test_quantiles(void **state)
{
	static const unsigned int percents[] = { 1, 50, 51, 99, 100 };
	uint64_t several[5];
	uint64_t hist[WB_HIST_SLOTS] = { 0 };

	(void)state;
	assert_int_equal(hist_quantile(hist, 50, 1000), 0);
	/* 99 in slot 1 (to 79), 1 in slot 9 (256 to 319): ranks 1 to 99 and 100 */
	hist[1] = 99;
	hist[9] = 1;
	assert_int_equal(hist_quantile(hist, 1, 0), 79);
	assert_int_equal(hist_quantile(hist, 99, 0), 79);
	assert_int_equal(hist_quantile(hist, 100, 0), 319);
	assert_int_equal(hist_quantile(hist, 100, 300), 300);
	/* several at once, of which some are in the same slot */
	hist_quantiles(hist, percents, several, 5, 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(several[i], percents[i] == 100 ? 319 : 79);
	/* 98 + 2: rank 99 is the first of the two */
	hist[1] = 98;
	hist[9] = 2;
	assert_int_equal(hist_quantile(hist, 99, 0), 319);
	/* one alone is every quantile */
	memset(hist, 0, sizeof(hist));
	hist[WB_HIST_SLOTS - 1] = 1;
	assert_int_equal(hist_quantile(hist, 50, 0), 1ULL << 33);
	assert_int_equal(hist_quantile(hist, 50, 9000000000), 9000000000);
	/* 2^63 counts below, as many above: no overflow on the way to rank 2^63 */
	memset(hist, 0, sizeof(hist));
	hist[1] = 1ULL << 63;
	hist[9] = (1ULL << 63) - 1;
	assert_int_equal(hist_quantile(hist, 50, 0), 79);
	assert_int_equal(hist_quantile(hist, 51, 0), 319);
}

static void test_first_frame(void **state)
{
	struct model *m = model_new();
	struct wb_snapshot *s = snap(10);
	const struct frame *f;

	(void)state;
	add_vcpu(add_vm(s, 1, 100, 5, "a"), 0, 10, 1000, 2);
	s->lost = 4;
	f = update(m, s);
	assert_int_equal(f->interval_ns, 0);
	assert_int_equal(f->lost_total, 4);
	assert_int_equal(f->lost_delta, 0);
	assert_int_equal(f->nr_vms, 1);
	assert_int_equal(f->vms[0].total.c.exits, 10);
	assert_int_equal(f->vms[0].total.max_ns, 1000);
	assert_int_equal(f->vms[0].delta.c.exits, 0);
	assert_int_equal(f->vms[0].delta.max_ns, 0);
	assert_int_equal(f->sum_total.c.exits, 10);
	assert_int_equal(f->sum_delta.c.exits, 0);
	assert_int_equal(f->sum_delta.p50_ns, 0);
	model_free(m);
}

static void test_delta(void **state)
{
	struct model *m = model_new();
	struct wb_snapshot *s = snap(10);
	const struct frame *f;
	const struct frame_vm *vm;
	struct wb_vcpu *v;

	(void)state;
	v = add_vcpu(add_vm(s, 1, 100, 5, "a"), 0, 10, 1000, 2);
	v->hist[wb_hist_slot(1000)] = 0xfffffffe; /* wraps below */
	update(m, s);

	s = snap(12);
	s->lost = 3;
	v = add_vcpu(add_vm(s, 1, 100, 5, "a"), 0, 14, 1000, 2);
	v->total.untimed = 1;
	v->total.emulation_ns = 10 * 1000 + 3 * 1200;
	v->hist[wb_hist_slot(1000)] = 0;
	v->hist[wb_hist_slot(1390)] = 1;
	v->max_ns = 5000;
	v->interval_max_ns = 1400;
	f = update(m, s);
	assert_int_equal(f->interval_ns, 2000000000);
	assert_int_equal(f->lost_delta, 3);
	vm = vm_of(f, 100);
	/* 14 - 10 exits, one of them untimed; 3600 ns over the other three */
	assert_int_equal(vm->delta.c.exits, 4);
	assert_int_equal(vm->delta.timed, 3);
	assert_int_equal(vm->delta.mean_ns, 1200);
	/* 0 - 0xfffffffe = 2 modulo 2^32, in slot 896 to 1023; then one in 1280 to 1535 */
	assert_int_equal(vm->delta.p50_ns, 1023);
	assert_int_equal(vm->delta.p99_ns, 1400);
	assert_int_equal(vm->delta.max_ns, 1400);
	assert_int_equal(vm->delta.c.cpus_flushed, 8);
	assert_int_equal(vm->total.max_ns, 5000);
	assert_int_equal(vm->total.timed, 13);
	/* 13600 / 13 = 1046.15 */
	assert_int_equal(vm->total.mean_ns, 1046);
	model_free(m);
}

/* A figure that is read while it is written may seem to go back: the delta is 0. */
static void test_backwards(void **state)
{
	struct model *m = model_new();
	struct wb_snapshot *s = snap(10);
	const struct frame *f;

	(void)state;
	add_vcpu(add_vm(s, 1, 100, 5, "a"), 0, 10, 1000, 2);
	s->lost = 5;
	update(m, s);
	s = snap(9);
	add_vcpu(add_vm(s, 1, 100, 5, "a"), 0, 7, 1000, 2);
	f = update(m, s);
	assert_int_equal(f->interval_ns, 0);
	assert_int_equal(f->lost_delta, 0);
	assert_int_equal(f->vms[0].delta.c.exits, 0);
	assert_int_equal(f->sum_delta.c.exits, 0);
	model_free(m);
}

static void test_vcpu_join(void **state)
{
	struct model *m = model_new();
	struct wb_snapshot *s = snap(1);
	struct frame_vcpu *v;
	const struct frame *f;
	struct wb_vm *vm;
	size_t n;

	(void)state;
	vm = add_vm(s, 7, 100, 5, "a");
	add_vcpu(vm, 2, 20, 100, 1); /* out of order: the model sorts */
	add_vcpu(vm, 0, 10, 100, 1);
	add_vcpu(add_vm(s, 3, 90, 5, "b"), 0, 1000, 100, 1);
	update(m, s);
	s = snap(2);
	vm = add_vm(s, 7, 100, 5, "a");
	add_vcpu(vm, 0, 11, 100, 1);
	add_vcpu(vm, 1, 5, 100, 1);
	add_vcpu(vm, 2, 22, 100, 1);
	add_vcpu(vm, 9, 7, 100, 1);
	add_vcpu(add_vm(s, 3, 90, 5, "b"), 0, 1000, 100, 1);
	f = update(m, s);
	assert_int_equal(model_vcpus(m, f, vm_of(f, 100), &v, &n), 0);
	assert_int_equal(n, 4);
	assert_int_equal(v[0].delta.c.exits, 1);
	assert_int_equal(v[1].delta.c.exits, 5);
	assert_int_equal(v[2].delta.c.exits, 2);
	assert_int_equal(v[3].cur->id, 9);
	assert_int_equal(v[3].delta.c.exits, 7);
	assert_int_equal(v[3].total.c.exits, 7);
	/* 1 + 5 + 2 + 7 */
	assert_int_equal(vm_of(f, 100)->delta.c.exits, 15);
	assert_int_equal(vm_of(f, 90)->delta.c.exits, 0);
	assert_int_equal(vm_of(f, 90)->delta.p50_ns, 0);
	assert_int_equal(f->sum_delta.c.exits, 15);
	assert_int_equal(f->sum_total.c.exits, 1045);
	model_free(m);
}

/* One vCPU entry that stands for all is no vCPU to show. */
static void test_vcpus_unknown(void **state)
{
	struct model *m = model_new();
	struct wb_snapshot *s = snap(1);
	struct frame_vcpu *v;
	const struct frame *f;
	struct wb_vm *vm = add_vm(s, 7, 100, 5, "a");
	size_t n = 1;

	(void)state;
	add_vcpu(vm, 0, 20, 100, 1);
	vm->vcpus_unknown = true;
	f = update(m, s);
	assert_int_equal(f->vms[0].total.c.exits, 20);
	assert_int_equal(model_vcpus(m, f, &f->vms[0], &v, &n), 0);
	assert_int_equal(n, 0);
	model_free(m);
}

/* VM 1 goes on, VM 2 (20 exits of 1 ms) ends: sums keep it. */
static void test_ended(void **state)
{
	struct model *m = model_new();
	struct wb_snapshot *s = snap(1);
	const struct frame *f;
	struct wb_vm *vm;

	(void)state;
	add_vcpu(add_vm(s, 1, 100, 5, "a"), 0, 10, 1000, 2);
	add_vcpu(add_vm(s, 2, 200, 5, "b"), 0, 15, 1000000, 2);
	f = update(m, s);
	assert_int_equal(f->nr_living, 2);
	assert_int_equal(f->nr_noncoherent, 2);

	s = snap(2);
	add_vcpu(add_vm(s, 1, 100, 5, "a"), 0, 10, 1000, 2);
	vm = add_vm(s, 2, 200, 5, "b");
	vm->ended = true;
	add_vcpu(vm, 0, 20, 1000000, 2);
	f = update(m, s);
	assert_int_equal(f->nr_vms, 2);
	assert_int_equal(f->nr_living, 1);
	assert_int_equal(f->nr_noncoherent, 1);
	assert_int_equal(vm_of(f, 200)->delta.c.exits, 5);
	assert_int_equal(f->sum_total.c.exits, 30);

	s = snap(3);
	s->ended.exits = 20;
	s->ended.emulation_ns = 20000000;
	add_vcpu(add_vm(s, 1, 100, 5, "a"), 0, 11, 1000, 2);
	f = update(m, s);
	assert_int_equal(f->nr_vms, 1);
	assert_int_equal(f->sum_total.c.exits, 31);
	assert_int_equal(f->sum_delta.c.exits, 1);
	assert_int_equal(f->sum_delta.max_ns, 1000);
	/* of 31, the 16th and the 31st are of VM 2: 1 ms is in slot 917504 to 1048575 */
	assert_int_equal(f->sum_total.p50_ns, 1000000);
	assert_int_equal(f->sum_total.max_ns, 1000000);
	/* (11 * 1000 + 20 * 1000000) / 31 = 645516.1 */
	assert_int_equal(f->sum_total.mean_ns, 645516);
	model_free(m);
}

static void test_victims(void **state)
{
	struct model *m = model_new();
	struct wb_snapshot *s = snap(1);
	const struct frame *f;

	(void)state;
	add_vcpu(add_vm(s, 1, 100, 5, "a"), 0, 10, 1000, 2)->total.stall_ns = 500;
	add_victim(s, WB_VICTIM_TASK, 300, "spin", WB_CULPRIT_IS_VM, 1, 5, 500);
	add_victim(s, WB_VICTIM_TASK, 300, "spin", WB_CULPRIT_IS_SHARED, 0, 2, 70);
	f = update(m, s);
	assert_int_equal(f->nr_victims, 0);
	assert_int_equal(f->sum_total.c.stall_ns, 570);

	s = snap(2);
	add_vcpu(add_vm(s, 1, 100, 5, "a"), 0, 12, 1000, 2)->total.stall_ns = 700;
	add_victim(s, WB_VICTIM_TASK, 300, "spin", WB_CULPRIT_IS_VM, 1, 5, 500);
	add_victim(s, WB_VICTIM_TASK, 301, "new", WB_CULPRIT_IS_VM, 1, 2, 200);
	/* twice the same: added up */
	add_victim(s, WB_VICTIM_TASK, 300, "spin", WB_CULPRIT_IS_SHARED, 0, 2, 70);
	add_victim(s, WB_VICTIM_TASK, 300, "spin", WB_CULPRIT_IS_SHARED, 0, 3, 330);
	add_victim(s, WB_VICTIM_IDLE, 0, "idle", WB_CULPRIT_IS_SHARED, 0, 3, 40);
	add_victim(s, WB_VICTIM_TASK, 302, "rarely", WB_CULPRIT_IS_OTHER, 0, 2, 40);
	add_victim(s, WB_VICTIM_TASK, 300, "spin", WB_CULPRIT_IS_OTHER, 0, 1, 9000);
	f = update(m, s);
	/* The first has not been stalled again; the most stalled come first. */
	assert_int_equal(f->nr_victims, 5);
	assert_int_equal(f->victims[0].cur->culprit_kind, WB_CULPRIT_IS_OTHER);
	assert_int_equal(f->victims[1].cur->culprit_kind, WB_CULPRIT_IS_SHARED);
	assert_int_equal(f->victims[1].count, 3);
	assert_int_equal(f->victims[1].stall_ns, 330);
	assert_string_equal(f->victims[2].cur->name, "new");
	assert_int_equal(f->victims[2].stall_ns, 200);
	/* equally long: the more often */
	assert_int_equal(f->victims[3].cur->kind, WB_VICTIM_IDLE);
	assert_string_equal(f->victims[4].cur->name, "rarely");
	/* VM 200, shared 330; idle apart; never what others flushed */
	assert_int_equal(f->sum_delta.c.stall_ns, 530);
	assert_int_equal(f->sum_delta.c.stall_idle_ns, 40);
	assert_int_equal(f->sum_total.c.stall_ns, 1100);
	model_free(m);
}

static void test_rebase(void **state)
{
	struct model *m = model_new();
	const struct frame *f, *raw;
	struct wb_snapshot *s = snap(1);
	struct wb_vcpu *v;
	struct frame_vcpu *vcpus;
	size_t n;

	(void)state;
	assert_int_equal(model_frame(m, &f), -ENODATA);
	add_vcpu(add_vm(s, 1, 100, 5, "a"), 0, 10, 9000, 2);
	add_vcpu(add_vm(s, 2, 200, 5, "b"), 0, 6, 9000, 2);
	s->lost = 2;
	update(m, s);
	assert_int_equal(model_rebase(m), 0);
	f = again(m);
	assert_true(f->rebased);
	assert_int_equal(f->lost_total, 0);
	assert_int_equal(f->sum_total.c.exits, 0);
	assert_int_equal(f->vms[0].total.c.exits, 0);
	assert_int_equal(f->vms[0].total.p50_ns, 0);
	assert_int_equal(f->vms[0].total.max_ns, 0);

	s = snap(2);
	s->lost = 3;
	v = add_vcpu(add_vm(s, 1, 100, 5, "a"), 0, 12, 9000, 2);
	v->interval_max_ns = 1000;
	v->total.emulation_ns = 10 * 9000 + 2000;
	v->hist[wb_hist_slot(9000)] = 10;
	v->hist[wb_hist_slot(1000)] = 2;
	add_vcpu(add_vm(s, 2, 200, 5, "b"), 0, 7, 9000, 2);
	add_vcpu(add_vm(s, 3, 300, 5, "c"), 0, 4, 500, 2);
	f = update(m, s);
	assert_int_equal(f->lost_total, 1);
	assert_int_equal(f->lost_delta, 1);
	assert_int_equal(vm_of(f, 100)->total.c.exits, 2);
	assert_int_equal(vm_of(f, 100)->total.mean_ns, 1000);
	assert_int_equal(vm_of(f, 100)->total.p99_ns, 1000);
	/* 9000 was before the baseline */
	assert_int_equal(vm_of(f, 100)->total.max_ns, 1000);
	assert_int_equal(vm_of(f, 300)->total.c.exits, 4);
	assert_int_equal(vm_of(f, 300)->total.max_ns, 500);
	/* 2 + 1 + 4 */
	assert_int_equal(f->sum_total.c.exits, 7);
	assert_int_equal(model_vcpus(m, f, vm_of(f, 100), &vcpus, &n), 0);
	assert_int_equal(vcpus[0].total.c.exits, 2);

	/* A recording goes on as if nothing had been reset. */
	assert_int_equal(model_raw_frame(m, &raw), 0);
	assert_false(raw->rebased);
	assert_int_equal(raw->lost_total, 3);
	assert_int_equal(raw->sum_total.c.exits, 23);
	assert_int_equal(vm_of(raw, 100)->total.max_ns, 9000);
	assert_int_equal(model_vcpus(m, raw, vm_of(raw, 100), &vcpus, &n), 0);
	assert_int_equal(vcpus[0].total.c.exits, 12);
	assert_int_equal(vm_of(f, 100)->total.c.exits, 2);

	/* VM 2 is gone: of its 7 exits one counts since the baseline. */
	s = snap(3);
	s->lost = 3;
	v = add_vcpu(add_vm(s, 1, 100, 5, "a"), 0, 12, 9000, 2);
	v->interval_max_ns = 0;
	v->total.emulation_ns = 10 * 9000 + 2000;
	v->hist[wb_hist_slot(9000)] = 10;
	v->hist[wb_hist_slot(1000)] = 2;
	add_vcpu(add_vm(s, 3, 300, 5, "c"), 0, 4, 500, 2)->interval_max_ns = 0;
	s->ended.exits = 7;
	f = update(m, s);
	assert_int_equal(f->sum_total.c.exits, 7);
	assert_int_equal(vm_of(f, 100)->total.max_ns, 1000);
	assert_int_equal(f->sum_total.max_ns, 9000);
	/* 500 four times, 1000 twice, 9000 once: the 4th of 7 is in 448 to 511 */
	assert_int_equal(f->sum_total.p50_ns, 511);
	assert_int_equal(f->sum_delta.c.exits, 0);

	/* And once more, with VMs 1 and 3 alone. */
	assert_int_equal(model_rebase(m), 0);
	f = again(m);
	assert_int_equal(f->sum_total.c.exits, 0);
	assert_int_equal(f->sum_total.p50_ns, 0);
	assert_int_equal(f->sum_total.max_ns, 0);
	model_free(m);
}

static struct model *three_vms(void)
{
	struct model *m = model_new();
	struct wb_vm *vm;

	for (uint64_t i = 1; i <= 2; i++) {
		struct wb_snapshot *s = snap(i);

		vm = add_vm(s, 1, 100, 5, "Web-One");
		add_vcpu(vm, 0, 10 * i, 1000, 2);
		vm->devices = calloc(1, sizeof(*vm->devices));
		vm->nr_devices = 1;
		strcpy(vm->devices[0].bdf, "0000:01:00.0");
		vm->devices[0].name = strdup("Intel 82574L");
		add_vcpu(add_vm(s, 2, 200, 12, "db"), 0, 40 * i, 1000, 2);
		vm = add_vm(s, 3, 300, -1, "web-two");
		vm->noncoherent = WB_UNKNOWN;
		add_vcpu(vm, 0, 20 * i, 1000, 2);
		add_victim(s, WB_VICTIM_VM, 200, "db", WB_CULPRIT_IS_VM, 1, i, 100 * i);
		add_victim(s, WB_VICTIM_TASK, 77, "webster", WB_CULPRIT_IS_VM, 2, i, 50 * i);
		add_victim(s, WB_VICTIM_IDLE, 0, "idle", WB_CULPRIT_IS_VM, 3, i, 10 * i);
		update(m, s);
	}
	return m;
}

static void test_filter(void **state)
{
	static const pid_t pids[] = { 200 };
	static const char *const names[] = { "nothing", "WEB" };
	struct model_filter filter = { .pids = pids, .nr_pids = 1 };
	struct model *m = three_vms();
	const struct frame *f;

	(void)state;
	assert_int_equal(model_set_filter(m, &filter), 0);
	f = again(m);
	assert_int_equal(f->nr_vms, 1);
	assert_non_null(vm_of(f, 200));
	/* The victim itself, and what it did to another. */
	assert_int_equal(f->nr_victims, 2);
	assert_int_equal(f->victims[0].cur->pid, 200);
	assert_int_equal(f->victims[1].cur->pid, 77);
	/* The host's line is about the host. */
	assert_int_equal(f->sum_delta.c.exits, 70);
	assert_int_equal(f->nr_noncoherent, 2);
	assert_int_equal(f->nr_living, 3);

	filter.names = names;
	filter.nr_names = 2;
	assert_int_equal(model_set_filter(m, &filter), 0);
	f = again(m);
	assert_int_equal(f->nr_vms, 3);

	filter.nr_pids = 0;
	assert_int_equal(model_set_filter(m, &filter), 0);
	f = again(m);
	assert_int_equal(f->nr_vms, 2);
	assert_null(vm_of(f, 200));
	/* idle by web-two, webster by its own name, db by Web-One */
	assert_int_equal(f->nr_victims, 3);

	filter.text = "two";
	assert_int_equal(model_set_filter(m, &filter), 0);
	f = again(m);
	assert_int_equal(f->nr_vms, 1);
	assert_non_null(vm_of(f, 300));
	assert_int_equal(f->nr_victims, 1);

	filter = (struct model_filter){ .text = "01:00" };
	assert_int_equal(model_set_filter(m, &filter), 0);
	assert_non_null(vm_of(again(m), 100));
	assert_int_equal(again(m)->nr_vms, 1);
	filter.text = "82574l";
	assert_int_equal(model_set_filter(m, &filter), 0);
	assert_non_null(vm_of(again(m), 100));
	filter.text = "200-12";
	assert_int_equal(model_set_filter(m, &filter), 0);
	assert_non_null(vm_of(again(m), 200));
	filter.text = "300";
	assert_int_equal(model_set_filter(m, &filter), 0);
	assert_non_null(vm_of(again(m), 300));
	filter.text = "no such thing";
	assert_int_equal(model_set_filter(m, &filter), 0);
	assert_int_equal(again(m)->nr_vms, 0);
	filter.text = "";
	assert_int_equal(model_set_filter(m, &filter), 0);
	assert_int_equal(again(m)->nr_vms, 3);
	assert_int_equal(model_set_filter(m, NULL), 0);
	assert_int_equal(again(m)->nr_vms, 3);
	model_free(m);
}

static void assert_order(const struct frame *f, const char *path, bool reverse, pid_t a, pid_t b,
			 pid_t c)
{
	const struct out_field *by = path ? out_field_find(vm_fields, path) : NULL;

	assert_true(!path || by);
	frame_sort(f->vms, f->nr_vms, f, by, reverse);
	assert_int_equal(f->vms[0].cur->pid, a);
	assert_int_equal(f->vms[1].cur->pid, b);
	assert_int_equal(f->vms[2].cur->pid, c);
}

/* What is freed early is not missed by the next frame. */
static void test_make_room(void **state)
{
	struct model *m = model_new();
	const struct frame *f;

	(void)state;
	model_make_room(m);
	for (uint64_t i = 1; i < 5; i++) {
		struct wb_snapshot *s = snap(10 * i);

		add_vcpu(add_vm(s, 1, 10, 1, "a"), 0, i * i, 1000, 1);
		assert_int_equal(model_update(m, s, &f), 0);
		assert_int_equal(f->sum_total.c.exits, i * i);
		assert_int_equal(f->sum_delta.c.exits, i > 1 ? 2 * i - 1 : 0);
		assert_int_equal(f->interval_ns, i > 1 ? 10000000000 : 0);
		model_make_room(m);
	}
	model_free(m);
}

/* Of a flush that was longer than --threshold, too. */
static void test_shows(void **state)
{
	static const pid_t pids[] = { 30 };
	static const char *const names[] = { "web" };
	struct model *m = model_new();
	struct wb_snapshot *s = snap(10);
	const struct frame *f;

	(void)state;
	assert_true(model_shows(m, 1, 10, "qemu"));
	add_vm(s, 1, 10, 1, "Web01");
	add_vm(s, 2, 20, 1, "db");
	add_vm(s, 3, 30, 1, "other");
	assert_int_equal(model_set_filter(m, &(struct model_filter){ .pids = pids,
								     .nr_pids = 1,
								     .names = names,
								     .nr_names = 1 }),
			 0);
	assert_int_equal(model_update(m, s, &f), 0);
	/* By the name that the VM has, not by that of its process. */
	assert_true(model_shows(m, 1, 10, "qemu"));
	assert_false(model_shows(m, 2, 20, "web"));
	assert_true(model_shows(m, 3, 30, "qemu"));
	/* Younger than the reading. */
	assert_true(model_shows(m, 4, 30, "qemu"));
	assert_true(model_shows(m, 4, 40, "web02"));
	assert_false(model_shows(m, 4, 40, "qemu"));
	model_free(m);
}

/* In whatever order a source finds them: all of them, some missing, one twice. */
static void test_vcpu_order(void **state)
{
	static const uint32_t found[][5] = {
		{ 0, 1, 2, 3, 4 },	{ 4, 3, 2, 1, 0 }, { 2, 4, 1, 0, 3 },
		{ 3, 0, 7, 1, 100000 }, { 4, 0, 3, 4, 1 }, { 9, 9, 9, 0, 9 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
		struct wb_snapshot *s = snap(10);
		struct wb_vm *vm = add_vm(s, 1, 1, 1, "a");
		uint64_t sum = 0;

		for (int k = 0; k < 5; k++) {
			add_vcpu(vm, found[i][k], 10 + found[i][k], 1000, 1);
			sum += found[i][k];
		}
		snapshot_sort(s);
		for (int k = 0; k < 5; k++) {
			assert_true(!k || vm->vcpus[k - 1].id <= vm->vcpus[k].id);
			assert_int_equal(vm->vcpus[k].total.exits, 10 + vm->vcpus[k].id);
			sum -= vm->vcpus[k].id;
		}
		assert_int_equal(sum, 0);
		snapshot_free(s);
	}
}

static void test_sort(void **state)
{
	struct model *m = three_vms();
	const struct frame *f = again(m);

	(void)state;
	/* 40, 20 and 10 exits of 1 us in the interval */
	assert_order(f, NULL, false, 200, 300, 100);
	assert_order(f, NULL, true, 100, 300, 200);
	assert_order(f, "delta.exits", false, 200, 300, 100);
	assert_order(f, "rate.exits", true, 100, 300, 200);
	assert_order(f, "pid", false, 300, 200, 100);
	assert_order(f, "name", false, 200, 100, 300);
	assert_order(f, "name", true, 300, 100, 200);
	/* equal ones by id; what is not known is last in either direction */
	assert_order(f, "ended", false, 100, 200, 300);
	assert_order(f, "ended", true, 100, 200, 300);
	assert_order(f, "noncoherent", false, 100, 200, 300);
	assert_order(f, "noncoherent", true, 100, 200, 300);
	assert_order(f, "id", false, 100, 200, 300);
	assert_order(f, "id", true, 200, 100, 300);
	model_free(m);
}

/* Two VMs of one process that cost the same: "99-7" before "99-12", whatever the keys. */
static void test_sort_stable(void **state)
{
	struct model *m = model_new();
	struct wb_snapshot *s = snap(1);
	const struct frame *f;

	(void)state;
	add_vm(s, 1, 99, 12, "x");
	add_vm(s, 2, 99, 7, "x");
	add_vm(s, 3, 98, 20, "x");
	f = update(m, s);
	frame_sort(f->vms, f->nr_vms, f, NULL, false);
	assert_string_equal(f->vms[0].cur->id, "98-20");
	assert_string_equal(f->vms[1].cur->id, "99-7");
	assert_string_equal(f->vms[2].cur->id, "99-12");
	model_free(m);
}

static enum out_type type_of(const struct frame *f, const char *path)
{
	struct vm_row row = { .frame = f, .vm = &f->vms[0] };
	struct out_value v = { .type = OUT_NULL };

	out_field_find(vm_fields, path)->get(&row, &v);
	return v.type;
}

/* Each row: what a source without that knowledge must not show as 0. */
static void test_unknown_is_null(void **state)
{
	static const struct {
		unsigned int known;
		const char *path;
	} rows[] = {
		{ WB_KNOWN_OUTCOME, "delta.flushes" },	 { WB_KNOWN_OUTCOME, "delta.skips" },
		{ WB_KNOWN_OUTCOME, "rate.flushes" },	 { WB_KNOWN_OUTCOME, "rate.skips" },
		{ WB_KNOWN_OUTCOME, "cpus_per_flush" },	 { WB_KNOWN_CPUS, "cpus_per_flush" },
		{ WB_KNOWN_CPUS, "delta.cpus_flushed" }, { WB_KNOWN_TIME, "delta.untimed" },
		{ WB_KNOWN_TIME, "delta.emulation_ns" }, { WB_KNOWN_TIME, "delta.mean_ns" },
		{ WB_KNOWN_TIME, "delta.p50_ns" },	 { WB_KNOWN_TIME, "delta.p99_ns" },
		{ WB_KNOWN_TIME, "delta.max_ns" },	 { WB_KNOWN_TIME, "share.emulation" },
		{ WB_KNOWN_STALL, "delta.stall_ns" },	 { WB_KNOWN_STALL, "delta.stall_idle_ns" },
		{ WB_KNOWN_STALL, "share.stolen" },	 { WB_KNOWN_STALL, "share.stolen_idle" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct model *m = model_new();
		const struct frame *f = NULL;

		for (uint64_t t = 1; t <= 2; t++) {
			struct wb_snapshot *s = snap(t);

			add_vcpu(add_vm(s, 1, 100, 5, "a"), 0, 10 * t, 1000, 2);
			f = update(m, s);
		}
		assert_int_not_equal(type_of(f, rows[i].path), OUT_NULL);
		((struct wb_snapshot *)f->cur)->known &= ~rows[i].known;
		assert_int_equal(type_of(f, rows[i].path), OUT_NULL);
		assert_int_equal(type_of(f, "delta.exits"), OUT_U64);
		model_free(m);
	}
}

/* Known, but there was none of it. */
static void test_none_is_null(void **state)
{
	struct model *m = model_new();
	struct wb_snapshot *s = snap(1);
	const struct frame *f;

	(void)state;
	add_vcpu(add_vm(s, 1, 100, -1, "a"), 0, 10, 1000, 2);
	s->vms[0].noncoherent = WB_UNKNOWN;
	s->vms[0].start = 0;
	f = update(m, s);
	assert_int_equal(type_of(f, "delta.exits"), OUT_U64);
	assert_int_equal(type_of(f, "delta.mean_ns"), OUT_NULL);
	assert_int_equal(type_of(f, "delta.p50_ns"), OUT_NULL);
	assert_int_equal(type_of(f, "delta.max_ns"), OUT_NULL);
	assert_int_equal(type_of(f, "cpus_per_flush"), OUT_NULL);
	/* an interval of 0 has no rates */
	assert_int_equal(type_of(f, "rate.exits"), OUT_NULL);
	assert_int_equal(type_of(f, "share.stolen"), OUT_NULL);
	assert_int_equal(type_of(f, "id"), OUT_NULL);
	assert_int_equal(type_of(f, "start"), OUT_NULL);
	assert_int_equal(type_of(f, "noncoherent"), OUT_NULL);
	model_free(m);
}

static double f64(const struct frame *f, const char *path)
{
	struct vm_row row = { .frame = f, .vm = &f->vms[0] };
	struct out_value v = { .type = OUT_NULL };

	out_field_find(vm_fields, path)->get(&row, &v);
	assert_int_equal(v.type, OUT_F64);
	return v.f;
}

static void test_derived(void **state)
{
	struct model *m = model_new();
	const struct frame *f = NULL;

	(void)state;
	for (uint64_t t = 0; t <= 1; t++) {
		struct wb_snapshot *s = snap(4 * t);
		struct wb_vcpu *v = add_vcpu(add_vm(s, 1, 100, 5, "a"), 0, 100 * t, 4000000, 3);

		v->total.exits += 20 * t;
		v->total.skips += 20 * t;
		v->total.stall_ns = 200000000 * t;
		v->total.stall_idle_ns = 2000000 * t;
		f = update(m, s);
	}
	/* in 4 s: 120 exits, 100 flushes of 4 ms on 3 CPUs, 0.2 s stolen, 2 ms of idle CPUs */
	assert_true(f64(f, "rate.exits") == 30.0);
	assert_true(f64(f, "rate.flushes") == 25.0);
	assert_true(f64(f, "rate.skips") == 5.0);
	assert_true(f64(f, "cpus_per_flush") == 3.0);
	assert_true(f64(f, "share.emulation") == 10.0);
	assert_true(f64(f, "share.stolen") == 5.0);
	assert_true(f64(f, "share.stolen_idle") == 0.05);
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_first_frame),
		cmocka_unit_test(test_delta),
		cmocka_unit_test(test_backwards),
		cmocka_unit_test(test_vcpu_join),
		cmocka_unit_test(test_vcpus_unknown),
		cmocka_unit_test(test_ended),
		cmocka_unit_test(test_victims),
		cmocka_unit_test(test_rebase),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_shows),
		cmocka_unit_test(test_make_room),
		cmocka_unit_test(test_vcpu_order),
		cmocka_unit_test(test_sort),
		cmocka_unit_test(test_sort_stable),
		cmocka_unit_test(test_unknown_is_null),
		cmocka_unit_test(test_none_is_null),
		cmocka_unit_test(test_derived),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

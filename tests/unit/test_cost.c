// SPDX-License-Identifier: GPL-2.0
/*
 * What a reading of 10,000 vCPUs takes of a CPU of this machine, from the copies of the map's entries to a
 * frame: the part of a screen refresh that is neither the kernel's nor ncurses'.  tests/vm/monitor.t counts the
 * instructions of all of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "wbinvdtop/model.h"

#define VCPUS	 10000
#define VMS	 100
#define ROUNDS	 50
#define LIMIT_MS 20

/* As tests/vm/fillmap.c has them. */
static void fill(struct wb_vcpu *v, unsigned int i)
{
	v->id = i / VMS;
	v->total.flushes = i + 1;
	v->total.skips = 3;
	v->total.exits = i + 4;
	v->total.emulation_ns = (i + 1) * 2500ULL;
	v->total.cpus_flushed = 2ULL * (i + 1);
	v->max_ns = 1000000 + i;
	for (unsigned int slot = 20; slot < 60; slot++)
		v->hist[slot] = i % 7 + slot;
}

static struct wb_snapshot *read_all(const struct wb_vcpu *entries, unsigned int round)
{
	struct wb_snapshot *s = snapshot_new();

	assert_non_null(s);
	s->time_ns = (round + 1) * 1000000000ULL;
	s->known = WB_KNOWN_OUTCOME | WB_KNOWN_TIME | WB_KNOWN_CPUS | WB_KNOWN_NONCOHERENT;
	for (unsigned int i = 0; i < VMS; i++) {
		struct wb_vm *vm = snapshot_add_vm(s);

		assert_non_null(vm);
		vm->key = i + 1;
		vm->pid = i + 100;
		vm->name = strdup("fillmap");
	}
	/* In no order, as a hash table gives them: the factor is prime to VCPUS. */
	for (unsigned int k = 0; k < VCPUS; k++) {
		unsigned int i = k * 7919 % VCPUS;
		struct wb_vcpu *v = snapshot_add_vcpu(&s->vms[i % VMS]);

		assert_non_null(v);
		*v = entries[i];
	}
	return s;
}

static double cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static void test_refresh(void **state)
{
	static struct wb_vcpu entries[VCPUS];
	struct model *m = model_new();
	const struct frame *f;
	double least = 1e9;

	(void)state;
	assert_non_null(m);
	for (unsigned int i = 0; i < VCPUS; i++)
		fill(&entries[i], i);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		double ms = cpu_ms();

		model_make_room(m);
		assert_int_equal(model_update(m, read_all(entries, round), &f), 0);
		ms = cpu_ms() - ms;
		least = ms < least ? ms : least;
	}
	model_free(m);
	print_message("# 10000 vCPUs: %.2f ms of CPU, the least of %d\n", least, ROUNDS);
#ifndef __SANITIZE_ADDRESS__
	assert_true(least <= LIMIT_MS);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_refresh) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

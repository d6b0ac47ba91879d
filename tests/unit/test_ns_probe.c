// SPDX-License-Identifier: GPL-2.0
/* The write probe on registers made by hand: what is written, and that it is always taken back. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../tools/nosnoop/probe.h"

#define CAP    0xe0
#define DEVCTL (CAP + PCI_EXP_DEVCTL)
#define BIT    PCI_EXP_DEVCTL_NOSNOOP_EN

struct dev {
	uint16_t command, devctl;
	uint16_t writable; /* bits of devctl that take a write */
	bool stuck;	   /* a 1 stays */
	bool gone_after_write;
	int write_error;
	int restore_error;
	unsigned int writes;
	uint16_t written[4];
	int raise; /* this signal, in the middle */
};

static struct dev *current;
static volatile sig_atomic_t at_signal = -1;

static void on_signal(int signo)
{
	(void)signo;
	at_signal = current->devctl & BIT ? 1 : 0;
}

static int read16(void *ctx, unsigned int pos, uint16_t *v)
{
	struct dev *d = ctx;

	*v = pos == PCI_COMMAND ? d->command : d->devctl;
	assert_true(pos == PCI_COMMAND || pos == DEVCTL);
	if (d->gone_after_write && d->writes)
		*v = 0xffff;
	return 0;
}

static int write16(void *ctx, unsigned int pos, uint16_t v)
{
	struct dev *d = ctx;

	/* Nothing but Device Control is ever written. */
	assert_int_equal(pos, DEVCTL);
	assert_true(d->writes < 4);
	d->written[d->writes++] = v;
	if (d->writes == 1 && d->write_error)
		return d->write_error;
	if (d->writes == 2 && d->restore_error)
		return d->restore_error;
	if (d->stuck)
		v |= d->devctl & BIT;
	d->devctl = (d->devctl & ~d->writable) | (v & d->writable);
	if (d->raise && d->writes == 1)
		raise(d->raise);
	return 0;
}

static int probe(struct dev *d, enum probe_result *res, const char **why)
{
	struct probe_io io = { read16, write16, d };

	current = d;
	return probe_bit(&io, CAP, res, why);
}

static void test_results(void **state)
{
	struct dev writable = { .devctl = 0x2010, .writable = 0xffff };
	struct dev hardwired = { .devctl = 0x2010, .writable = 0xffff & ~BIT };
	struct dev set = { .devctl = 0x2810, .command = PCI_COMMAND_MASTER, .writable = 0xffff };
	enum probe_result res;
	const char *why;

	(void)state;
	assert_int_equal(probe(&writable, &res, &why), 0);
	assert_int_equal(res, PROBE_WRITABLE);
	assert_int_equal(writable.devctl, 0x2010);
	assert_int_equal(writable.writes, 2);
	/* The other bits are written as they were. */
	assert_int_equal(writable.written[0], 0x2810);
	assert_int_equal(writable.written[1], 0x2010);

	assert_int_equal(probe(&hardwired, &res, &why), 0);
	assert_int_equal(res, PROBE_HARDWIRED);
	assert_int_equal(hardwired.devctl, 0x2010);

	assert_int_equal(probe(&set, &res, &why), 0);
	assert_int_equal(res, PROBE_SET);
	assert_int_equal(set.writes, 0);
}

static void test_refusals(void **state)
{
	struct dev master = { .devctl = 0x2010, .command = 0x406, .writable = 0xffff };
	struct dev gone = { .devctl = 0xffff, .command = 0xffff };
	struct dev lockdown = { .devctl = 0x2010, .writable = 0xffff, .write_error = -EPERM };
	struct dev vanishes = { .devctl = 0x2010, .writable = 0xffff, .gone_after_write = true };
	struct dev stuck = { .devctl = 0x2010, .writable = 0xffff, .stuck = true };
	struct dev unrestored = { .devctl = 0x2010, .writable = 0xffff, .restore_error = -EIO };
	enum probe_result res = 77;
	const char *why;

	(void)state;
	assert_int_equal(probe(&master, &res, &why), -EBUSY);
	assert_int_equal(master.writes, 0);
	assert_non_null(strstr(why, "bus mastering"));
	assert_int_equal(probe(&gone, &res, &why), -EIO);
	assert_int_equal(gone.writes, 0);
	assert_int_equal(probe(&lockdown, &res, &why), -EPERM);
	assert_int_equal(probe(&vanishes, &res, &why), -EIO);
	assert_non_null(strstr(why, "does not answer"));
	assert_int_equal(probe(&stuck, &res, &why), -EIO);
	assert_non_null(strstr(why, "could not be set back"));
	assert_int_equal(probe(&unrestored, &res, &why), -EIO);
	/* None of them is a result. */
	assert_int_equal(res, 77);
}

/* A signal between the write and the restoring waits until the register is as it was. */
static void test_signals(void **state)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGALRM };
	enum probe_result res;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct dev d = { .devctl = 0x2010, .writable = 0xffff, .raise = signals[i] };

		signal(signals[i], on_signal);
		at_signal = -1;
		assert_int_equal(probe(&d, &res, &why), 0);
		assert_int_equal(d.devctl, 0x2010);
		/* It was not lost, and found the bit cleared. */
		assert_int_equal(at_signal, 0);
		signal(signals[i], SIG_DFL);
	}
}

/* What must never be written to is refused before anything is opened. */
static void test_objections(void **state)
{
	static const struct {
		struct func_row r;
		int err;
	} t[] = {
		{ { .f = { .is_vf = true } }, -EOPNOTSUPP },
		{ { .integrated = true, .f = { .port_type = PCI_EXP_TYPE_RC_END } }, -EOPNOTSUPP },
		{ { .display = true }, -EOPNOTSUPP },
		{ { .listed = true }, -EOPNOTSUPP },
		{ { .f = { .port_type = PCI_EXP_TYPE_ROOT_PORT } }, -EOPNOTSUPP },
		{ { .f = { .port_type = -1 } }, -EOPNOTSUPP },
		{ { .f = { .port_type = -1, .port_err = -EACCES } }, -EACCES },
		{ { .f = { .num_vfs = 2 } }, -EBUSY },
		{ { .owner = { .pid = 7 }, .f = { .driver = "vfio-pci" } }, -EBUSY },
		{ { .f = { .driver = "nvme" } }, -EBUSY },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct dev_scan *s = dev_scan_new(NULL);
		struct func_row r = t[i].r;

		assert_non_null(s);
		strcpy(r.d.bdf, "ffff:ff:1f.7");
		assert_int_equal(probe_function(s, &r), t[i].err);
		assert_int_equal(*r.proof_by, 0);
		dev_scan_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_objections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

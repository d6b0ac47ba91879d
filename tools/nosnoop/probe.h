/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The write probe: whether Enable No Snoop can be set in a function where it
 * reads 0.  The only thing in this tool that writes to a device.
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdint.h>

#include "nosnoop.h"

/* How the probe reaches 16-bit registers of config space. 0 or a negative errno. */
struct probe_io {
	int (*read16)(void *ctx, unsigned int pos, uint16_t *v);
	int (*write16)(void *ctx, unsigned int pos, uint16_t v);
	void *ctx;
};

enum probe_result {
	PROBE_SET,	 /* reads 1, nothing was written */
	PROBE_WRITABLE,	 /* read 0, took a 1, and is 0 again */
	PROBE_HARDWIRED, /* read 0 and did not take a 1 */
};

/*
 * The probe itself, at the capability's offset cap.  Every signal that can be
 * blocked is, from before the write until the register is as it was, so that
 * none ends the process in between.  0; -EBUSY: bus mastering is on; -EIO: the
 * device does not answer, or the register could not be restored (*why says
 * which); other errors of the writes.  *why is a static sentence on error.
 */
int probe_bit(const struct probe_io *io, unsigned int cap, enum probe_result *res,
	      const char **why);

/*
 * Probes r's function and notes the outcome in r.  0 or a negative errno after
 * a sentence that says what is in the way and what to do: -EBUSY where it is
 * not idle, -EOPNOTSUPP where a probe would prove nothing.
 */
int probe_function(struct dev_scan *s, struct func_row *r);

/*
 * Probes the functions that the filter names by address, but for those that it
 * leaves out by something else.  The first error, after all have had their turn;
 * *probed: how many were probed.
 */
int probe_functions(struct dev_scan *s, const struct filter *f, const struct func_list *l,
		    size_t *probed);

#endif /* PROBE_H */

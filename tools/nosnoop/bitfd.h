/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Enable No Snoop of one function, again and again: through descriptors that
 * stay open, two reads each time where looking for it anew takes some thirty
 * system calls.
 */
#ifndef BITFD_H
#define BITFD_H

#include <stdbool.h>

#include "../lib/devices.h"

struct bitfd {
	int status; /* of power/runtime_status; -1: there is none */
	int config; /* -1: not open */
	int cap;    /* offset of the PCI Express capability; 0: no bit to read */
};

#define BITFD_INIT ((struct bitfd){ .status = -1, .config = -1 })

/*
 * Opens them below rootfd; the function must be awake.  0 or a negative errno:
 * -EMFILE where there may not be so many descriptors.
 */
int bitfd_open(struct bitfd *b, int rootfd, const char *bdf);
void bitfd_close(struct bitfd *b);

/*
 * *suspended, and if it is not, *bit as it reads now (DEV_NO_SNOOP_DISABLED for
 * every 0).  0; -ENODEV: the function is gone; -EAGAIN: this way it cannot be
 * known.
 */
int bitfd_read(const struct bitfd *b, bool *suspended, enum dev_no_snoop *bit);

#endif /* BITFD_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is publicly known of devices that do not do with Enable No Snoop what
 * one would expect: one table, each entry with its source.
 */
#ifndef QUIRKS_H
#define QUIRKS_H

#include <stddef.h>

#include "../lib/devfacts.h"

enum quirk_kind {
	QUIRK_IGNORES, /* its accesses need not obey the bit: never "cannot" */
	QUIRK_BACKDOOR, /* can change the bit, or what it means, other than by a config write to it */
	QUIRK_CLEARED, /* a driver clears the bit: a 0 is a choice, no proof */
	QUIRK_CHOOSES, /* chooses no-snoop by transfer, page or register while the bit is set */
	QUIRK_ABOVE,   /* concerns the port above it, not the function's own accesses */
};

struct quirk {
	enum quirk_kind kind;
	const char *what;   /* one sentence */
	const char *source; /* file and line of Linux 7.2 unless it says otherwise */
};

/* "ignores", "backdoor", ... */
const char *quirk_kind_name(enum quirk_kind kind);

/* The i-th entry that applies to a function, NULL behind the last one. */
const struct quirk *quirk_of(const struct dev_facts *f, size_t i);

/* Whether one of that kind applies. */
int quirk_has(const struct dev_facts *f, enum quirk_kind kind);

/* The i-th entry of the table and whom it concerns in words, NULL behind the last one. */
const struct quirk *quirk_entry(size_t i, const char **whom);

#endif /* QUIRKS_H */

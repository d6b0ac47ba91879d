/* SPDX-License-Identifier: GPL-2.0 */
/* Which process, and VM, holds which function open through VFIO. */
#ifndef OWNERS_H
#define OWNERS_H

#include "func.h"

/*
 * Fills owner of all rows.  procfs is the path of the same tree's proc.
 * l->blind is set when some process may not be looked at.  0 or -ENOMEM.
 */
int owners_find(struct dev_scan *s, const char *procfs, struct func_list *l);
void owner_clear(struct owner *o);

#endif /* OWNERS_H */

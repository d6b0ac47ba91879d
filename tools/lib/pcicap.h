/* SPDX-License-Identifier: GPL-2.0 */
/* The PCI Express capability in a config space image, and its Enable No Snoop. */
#ifndef PCICAP_H
#define PCICAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "devices.h"

/* From the capability's ID to the end of Device Control. */
#define PCIE_CAP_LEN 10

/*
 * Offset of the PCI Express capability in an image of len bytes.  -ENXIO: the
 * function has none, which will not change; -EACCES: the list leaves the part
 * that was readable; -EIO: nothing was read, the list is corrupt, or all bits
 * are ones, as when the device is gone.  *why gets a static sentence on error.
 */
int pcie_cap_find(const uint8_t *cfg, size_t len, const char **why);

/*
 * Enable No Snoop from the first PCIE_CAP_LEN bytes of the capability.  *why
 * is set when the answer is unknown; *settled tells that it will stay so.
 */
enum dev_no_snoop pcie_cap_no_snoop(const uint8_t *cap, const char **why, bool *settled);

/* The answer for every virtual function. */
extern const char why_vf[];

#endif /* PCICAP_H */

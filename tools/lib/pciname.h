/* SPDX-License-Identifier: GPL-2.0 */
/* Names of PCI devices from pci.ids, through libpci. */
#ifndef PCINAME_H
#define PCINAME_H

#include <stdint.h>

struct pciname;

/* ids: the file to use, NULL: libpci's own. NULL: no memory. */
struct pciname *pciname_new(const char *ids);
void pciname_free(struct pciname *p);

/*
 * Vendor and device in words, in numbers where pci.ids does not have them or
 * cannot be read.  malloc()ed valid UTF-8; NULL: no memory.
 */
char *pciname_get(struct pciname *p, uint16_t vendor, uint16_t device);

/*
 * Gives the parsed pci.ids back; it is read again when needed.  To be called
 * now and then: does nothing if there was a look-up since the last call.
 */
void pciname_idle(struct pciname *p);

#endif /* PCINAME_H */

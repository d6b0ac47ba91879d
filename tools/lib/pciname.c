// SPDX-License-Identifier: GPL-2.0
#include <pci/pci.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "pciname.h"
#include "vmname.h"

struct pciname {
	struct pci_access *acc;
	bool broken; /* libpci gave up: numbers from now on */
	bool used;   /* since the last pciname_idle() */
};

/*
 * libpci's errors (a pci.ids that it cannot parse) end the process unless its
 * error function does not return.
 */
static __thread jmp_buf on_error;

static void quiet(char *msg, ...)
{
	(void)msg;
}

static void __attribute__((noreturn)) give_up(char *msg, ...)
{
	(void)msg;
	longjmp(on_error, 1);
}

struct pciname *pciname_new(const char *ids)
{
	struct pciname *p = calloc(1, sizeof(*p));
	char *path;

	if (!p)
		return NULL;
	if (setjmp(on_error)) {
		p->broken = true;
		return p;
	}
	p->acc = pci_alloc();
	p->acc->error = give_up;
	p->acc->warning = quiet;
	p->acc->debug = quiet;
	/* Any method will do, none is asked to look at a device. */
	p->acc->method = PCI_ACCESS_SYS_BUS_PCI;
	pci_init(p->acc);
	if (ids) {
		path = strdup(ids);
		if (path)
			pci_set_name_list_path(p->acc, path, 1);
		else
			p->broken = true;
	}
	return p;
}

void pciname_free(struct pciname *p)
{
	if (!p)
		return;
	if (p->acc && !setjmp(on_error))
		pci_cleanup(p->acc);
	free(p);
}

static const char *look_up(struct pciname *p, char *buf, size_t size, int what, int vendor,
			   int device)
{
	const char *name;

	if (p->broken)
		return NULL;
	if (setjmp(on_error)) {
		log_warn("pci.ids is damaged; devices are shown by their numbers");
		p->broken = true;
		return NULL;
	}
	p->used = true;
	name = pci_lookup_name(p->acc, buf, size, what | PCI_LOOKUP_NO_NUMBERS | PCI_LOOKUP_NO_HWDB,
			       vendor, device);
	return name;
}

char *pciname_get(struct pciname *p, uint16_t vendor, uint16_t device)
{
	char vbuf[256], dbuf[256], *text, *name;
	const char *v, *d;
	int len;

	v = look_up(p, vbuf, sizeof(vbuf), PCI_LOOKUP_VENDOR, vendor, 0);
	d = v ? look_up(p, dbuf, sizeof(dbuf), PCI_LOOKUP_DEVICE, vendor, device) : NULL;
	if (v && d)
		len = asprintf(&text, "%s %s", v, d);
	else if (v)
		len = asprintf(&text, "%s %04x", v, device);
	else
		len = asprintf(&text, "%04x:%04x", vendor, device);
	if (len < 0)
		return NULL;
	name = vmname_sanitize(text, len);
	free(text);
	return name;
}

void pciname_idle(struct pciname *p)
{
	if (!p->used && p->acc && !p->broken && !setjmp(on_error))
		pci_free_name_list(p->acc);
	p->used = false;
}

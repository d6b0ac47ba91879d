/* SPDX-License-Identifier: GPL-2.0 */
/* The machine a result was measured on. */
#ifndef WBINVDBENCH_HOST_H
#define WBINVDBENCH_HOST_H

#include <stdbool.h>

struct host {
	char kernel[65];     /* uname -r */
	char *cpu_model;     /* valid UTF-8, NULL: unknown */
	char *vendor_module; /* "kvm_intel", "kvm_amd", ...; NULL: unknown */
	bool hypervisor;     /* CPUID says that this machine is itself a VM */
};

/* root: "" for the running system, else the prefix of a test's proc/ and sys/. */
void host_read(struct host *h, const char *root);
void host_free(struct host *h);

#endif /* WBINVDBENCH_HOST_H */

// SPDX-License-Identifier: GPL-2.0
#include <cpuid.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "host.h"
#include "vmname.h"

/* The value after "key\t: " in cpuinfo, of the first CPU. */
static char *cpuinfo_value(const char *root, const char *key)
{
	char *line = NULL, *path = NULL, *value = NULL;
	size_t size = 0, len = strlen(key);
	FILE *f;

	if (asprintf(&path, "%s/proc/cpuinfo", root) < 0)
		return NULL;
	f = fopen(path, "re");
	free(path);
	if (!f)
		return NULL;
	while (!value && getline(&line, &size, f) > 0) {
		char *colon = strchr(line, ':');

		if (!colon || strncmp(line, key, len) || (line[len] != '\t' && line[len] != ':'))
			continue;
		colon += 1 + strspn(colon + 1, " ");
		value = vmname_sanitize(colon, strcspn(colon, "\n"));
	}
	free(line);
	fclose(f);
	return value;
}

/* With both vendors' modules built in, sysfs lists both, though only one can work. */
static const char *module_of_vendor(const char *vendor)
{
	if (!vendor)
		return NULL;
	if (!strcmp(vendor, "AuthenticAMD") || !strcmp(vendor, "HygonGenuine"))
		return "kvm_amd";
	if (!strcmp(vendor, "GenuineIntel") || !strcmp(vendor, "CentaurHauls") ||
	    !strcmp(vendor, "  Shanghai  "))
		return "kvm_intel";
	return NULL;
}

/* The kvm_* entry of a directory; with several of them the one that is wanted. */
static char *kvm_module_in(const char *root, const char *dir, const char *wanted)
{
	char *path = NULL, *found = NULL;
	struct dirent *entry;
	DIR *d;

	if (asprintf(&path, "%s%s", root, dir) < 0)
		return NULL;
	d = opendir(path);
	free(path);
	if (!d)
		return NULL;
	while ((entry = readdir(d))) {
		if (strncmp(entry->d_name, "kvm_", 4))
			continue;
		if (found && (!wanted || strcmp(entry->d_name, wanted)))
			continue;
		free(found);
		found = strdup(entry->d_name);
		if (!found)
			break;
	}
	closedir(d);
	return found;
}

void host_read(struct host *h, const char *root)
{
	unsigned int eax, ebx, ecx = 0, edx;
	struct utsname uts;
	char *vendor;

	memset(h, 0, sizeof(*h));
	if (!uname(&uts))
		snprintf(h->kernel, sizeof(h->kernel), "%s", uts.release);
	h->cpu_model = cpuinfo_value(root, "model name");
	vendor = cpuinfo_value(root, "vendor_id");
	h->vendor_module = kvm_module_in(root, "/sys/module/kvm/holders", module_of_vendor(vendor));
	if (!h->vendor_module)
		h->vendor_module = kvm_module_in(root, "/sys/module", module_of_vendor(vendor));
	free(vendor);
	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
		h->hypervisor = ecx >> 31;
}

void host_free(struct host *h)
{
	free(h->cpu_model);
	free(h->vendor_module);
	memset(h, 0, sizeof(*h));
}

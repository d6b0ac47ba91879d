// SPDX-License-Identifier: GPL-2.0
#include "nosnoop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../lib/log.h"
#include "../lib/num.h"
#include "../lib/opts.h"
#include "../lib/procutil.h"

void filter_free(struct filter *f)
{
	free(f->bdfs);
	free(f->drivers);
	free(f->vms);
	free(f->pids);
	memset(f, 0, sizeof(*f));
}

int filter_add_bdf(struct filter *f, const char *arg)
{
	char bdf[16];
	char(*grown)[16];

	if (num_bdf(arg, bdf, sizeof(bdf)))
		return opts_bad("-D", arg, "a PCI address as 0000:01:00.0");
	grown = reallocarray(f->bdfs, f->nr_bdfs + 1, sizeof(*grown));
	if (!grown)
		return ENOMEM;
	f->bdfs = grown;
	memcpy(grown[f->nr_bdfs++], bdf, sizeof(bdf));
	return 0;
}

static int add_text(const char ***list, size_t *n, const char *arg)
{
	const char **grown = reallocarray(*list, *n + 1, sizeof(*grown));

	if (!grown)
		return ENOMEM;
	*list = grown;
	grown[(*n)++] = arg;
	return 0;
}

int filter_add_driver(struct filter *f, const char *arg)
{
	if (!*arg)
		return opts_bad("--driver", arg, "a driver's name, or none");
	return add_text(&f->drivers, &f->nr_drivers, arg);
}

int filter_add_vm(struct filter *f, const char *arg)
{
	if (!*arg)
		return opts_bad("-g", arg, "a name or a part of one");
	return add_text(&f->vms, &f->nr_vms, arg);
}

int filter_add_pid(struct filter *f, const char *arg)
{
	uint64_t pid;
	pid_t *grown;

	if (num_u64(arg, 1, 4 * 1024 * 1024, &pid))
		return opts_bad("-p", arg, "a process id from 1 to 4194304");
	grown = reallocarray(f->pids, f->nr_pids + 1, sizeof(*grown));
	if (!grown)
		return ENOMEM;
	f->pids = grown;
	grown[f->nr_pids++] = pid;
	return 0;
}

static bool has_bdf(const struct filter *f, const struct func_row *r)
{
	for (size_t i = 0; i < f->nr_bdfs; i++)
		if (!strcmp(f->bdfs[i], r->d.bdf))
			return true;
	return !f->nr_bdfs;
}

static bool has_driver(const struct filter *f, const struct func_row *r)
{
	for (size_t i = 0; i < f->nr_drivers; i++)
		if (!strcmp(f->drivers[i], *r->f.driver ? r->f.driver : "none"))
			return true;
	return !f->nr_drivers;
}

static bool has_owner(const struct filter *f, const struct func_row *r)
{
	for (size_t i = 0; i < f->nr_pids; i++)
		if (f->pids[i] == r->owner.pid)
			return true;
	for (size_t i = 0; r->owner.name && i < f->nr_vms; i++)
		if (strcasestr(r->owner.name, f->vms[i]))
			return true;
	return !f->nr_pids && !f->nr_vms && (!f->any_vm || r->owner.pid);
}

bool filter_passes(const struct filter *f, const struct func_row *r)
{
	return has_bdf(f, r) && has_driver(f, r) && has_owner(f, r);
}

int filter_check(const struct filter *f, const struct func_list *l)
{
	for (size_t i = 0; i < f->nr_bdfs; i++) {
		if (func_find(l, f->bdfs[i]))
			continue;
		log_err("option -D: there is no PCI function %s; nosnoop list shows those there are",
			f->bdfs[i]);
		return -EINVAL;
	}
	return 0;
}

static void read_machine(struct tree *t, bool live)
{
	unsigned int *cpus = NULL;
	char text[4096];
	struct utsname u;
	size_t n = 0;
	long online;

	if (live && !uname(&u)) {
		snprintf(t->kernel, sizeof(t->kernel), "%s", u.release);
		online = sysconf(_SC_NPROCESSORS_ONLN);
		t->cpus = online > 0 ? online : 0;
		return;
	}
	if (proc_read_attr(dev_scan_rootfd(t->scan), "proc/version", text, sizeof(text)) > 0 &&
	    sscanf(text, "Linux version %64[!-~]", t->kernel) != 1)
		*t->kernel = '\0';
	if (proc_read_attr(dev_scan_rootfd(t->scan), "sys/devices/system/cpu/online", text,
			   sizeof(text)) > 0 &&
	    !num_cpulist(text, 1 << 20, &cpus, &n))
		t->cpus = n;
	free(cpus);
}

int tree_open(struct tree *t, const char *root)
{
	memset(t, 0, sizeof(*t));
	if (asprintf(&t->procfs, "%s/proc", root ? root : "") < 0)
		t->procfs = NULL;
	t->scan = dev_scan_new(root);
	if (t->procfs && t->scan && dev_scan_rootfd(t->scan) >= 0) {
		read_machine(t, !root);
		return 0;
	}
	if (root && t->scan && dev_scan_rootfd(t->scan) < 0) {
		log_err("option --sysroot: '%s' is not a directory that can be opened", root);
		return -EINVAL;
	}
	log_err("out of memory");
	return -ENOMEM;
}

void tree_close(struct tree *t)
{
	dev_scan_free(t->scan);
	free(t->procfs);
	memset(t, 0, sizeof(*t));
}

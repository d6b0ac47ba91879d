/* SPDX-License-Identifier: GPL-2.0 */
/* The commands; each takes its words from its own name on and returns 0 or a negative errno after a sentence. */
#ifndef NOSNOOP_H
#define NOSNOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "func.h"

int cmd_list(int argc, char **argv);
int cmd_watch(int argc, char **argv);
int cmd_advise(int argc, char **argv);

#define EXIT_TEXT                                                                              \
	"\vExit status: 0 done; 1 failed while running; 2 bad option, argument or recording; " \
	"3 missing privilege; 4 this kernel cannot."

/* Which functions are meant: all of what is given must hold; nothing given: every function. */
struct filter {
	char (*bdfs)[16]; /* any of these */
	size_t nr_bdfs;
	const char **drivers; /* bound to any of these; "none": to nothing */
	size_t nr_drivers;
	const char **vms; /* held by a VM or process whose name contains one, case ignored */
	size_t nr_vms;
	pid_t *pids;
	size_t nr_pids;
	bool any_vm;
};

void filter_free(struct filter *f);

/* Each refuses in one sentence: 0, OPTS_REFUSED or ENOMEM. */
int filter_add_bdf(struct filter *f, const char *arg);
int filter_add_driver(struct filter *f, const char *arg);
int filter_add_vm(struct filter *f, const char *arg);
int filter_add_pid(struct filter *f, const char *arg);
bool filter_passes(const struct filter *f, const struct func_row *r);

/* Says which wanted address does not exist.  0 or -EINVAL. */
int filter_check(const struct filter *f, const struct func_list *l);

/* The tree given by --sysroot (NULL: the running system) and the path of its procfs. */
struct tree {
	struct dev_scan *scan;
	char *procfs;
	char kernel[65];   /* its release; "": not known */
	unsigned int cpus; /* online; 0: not known */
};
int tree_open(struct tree *t, const char *root);
void tree_close(struct tree *t);

#endif /* NOSNOOP_H */

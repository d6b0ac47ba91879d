/* SPDX-License-Identifier: GPL-2.0 */
/* Exit statuses of every tool; the manual pages list them. */
#ifndef EXITCODE_H
#define EXITCODE_H

enum exit_code {
	EXIT_OK = 0,
	EXIT_RUNTIME = 1, /* something failed while running */
	EXIT_USAGE = 2,	  /* bad option, argument or input file */
	EXIT_PERM = 3,	  /* missing privilege */
	EXIT_KERNEL = 4,  /* this kernel cannot */
};

/* The exit status for a negative errno that reached main(). */
int exit_code_of(int err);

#endif /* EXITCODE_H */

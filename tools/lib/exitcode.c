// SPDX-License-Identifier: GPL-2.0
#include <errno.h>

#include "exitcode.h"

int exit_code_of(int err)
{
	switch (err) {
	case 0:
		return EXIT_OK;
	case -EPERM:
	case -EACCES:
		return EXIT_PERM;
	case -EOPNOTSUPP:
		return EXIT_KERNEL;
	case -EINVAL:
	case -EBADMSG:
		return EXIT_USAGE;
	default:
		return EXIT_RUNTIME;
	}
}

// SPDX-License-Identifier: GPL-2.0
#include "bpfutil.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "log.h"

/* The last line that says more than that something failed; "": none. */
static char telling[192];

/*
 * What libbpf and the verifier write after the line that says why, or around it;
 * and libbpf's guess at EPERM, the limit of locked memory, to which BPF has not
 * been held since Linux 5.11.
 */
static bool says_why(const char *line)
{
	static const char *const others[] = {
		"failed to load object", "failed to load BPF skeleton",
		": failed to load: ",	 "-- BEGIN PROG LOAD LOG --",
		"-- END PROG LOAD LOG",	 "verification time ",
		"stack depth ",		 "permission error while running as root",
		"RLIMIT_MEMLOCK",
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (strstr(line, others[i]))
			return false;
	}
	return *line && strncmp(line, "processed ", 10);
}

static void keep_telling(const char *line)
{
	if (!strncmp(line, "libbpf: ", 8))
		line += 8;
	if (says_why(line))
		snprintf(telling, sizeof(telling), "%s", line);
}

void bpfutil_begin(void)
{
	telling[0] = '\0';
}

const char *bpfutil_why(int err)
{
	static char why[sizeof(telling) + 64];

	if (!telling[0])
		return strerror(-err);
	snprintf(why, sizeof(why), "%s (%s)", strerror(-err), telling);
	/* libbpf says itself what the kernel has said. */
	return strstr(telling, strerror(-err)) ? telling : why;
}

int bpfutil_print(enum libbpf_print_level level, const char *fmt, va_list args)
{
	char *text, *line, *rest;

	if (level == LIBBPF_DEBUG || vasprintf(&text, fmt, args) < 0)
		return 0;
	/* A verifier's log is one message of many lines. */
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		keep_telling(line);
		log_debug("%s", line);
	}
	free(text);
	return 0;
}

uint64_t bpfutil_misses(const struct bpf_program *prog)
{
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);
	int fd = bpf_program__fd(prog);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return 0;
	return info.recursion_misses;
}

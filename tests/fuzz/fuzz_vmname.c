// SPDX-License-Identifier: GPL-2.0
/*
 * Command lines, cgroup files and comms of any bytes: a name comes out as
 * valid UTF-8 without anything that moves the cursor, or none does.
 */
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "../../tools/lib/vmname.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	/* The C library's decoder judges ours. */
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		abort();
	return 0;
}

static void check(char *name, int may_be_empty)
{
	size_t len, pos = 0, n;
	mbstate_t st = { 0 };
	wchar_t wc;

	if (!name)
		return;
	len = strlen(name);
	if (len > VMNAME_MAX || (!len && !may_be_empty))
		abort();
	while (pos < len) {
		n = mbrtowc(&wc, name + pos, len - pos, &st);
		if (n == 0 || n > 4 || wc < 0x20 || (wc >= 0x7f && wc < 0xa0))
			abort();
		pos += n;
	}
	free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of its own in the heap, so that reading past the end is seen. */
	char *copy = malloc(size ? size : 1);

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	check(vmname_from_cmdline(copy, size), 0);
	check(vmname_from_cgroup(copy, size), 0);
	check(vmname_sanitize(copy, size), 1);
	free(copy);
	return 0;
}

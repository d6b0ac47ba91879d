/* SPDX-License-Identifier: GPL-2.0 */
/* What all that load BPF programs share. */
#ifndef BPFUTIL_H
#define BPFUTIL_H

#include <stdarg.h>
#include <stdint.h>

#include <bpf/libbpf.h>

/* For libbpf_set_print(): its complaints line by line, with --verbose alone; the last is kept for bpfutil_why(). */
int bpfutil_print(enum libbpf_print_level level, const char *fmt, va_list args);

/* Before an attempt: forgets what libbpf complained of. */
void bpfutil_begin(void);

/*
 * Why the attempt failed with err, a negative errno, for the end of a sentence: with what libbpf or the
 * verifier complained of last, if anything.  Valid until the next call.
 */
const char *bpfutil_why(int err);

/* Runs that the kernel skipped as the program's CPU was in the middle of it; 0 where it does not tell. */
uint64_t bpfutil_misses(const struct bpf_program *prog);

#endif /* BPFUTIL_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* Strict parsing of numbers: the whole string, or an error. */
#ifndef NUM_H
#define NUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Decimal integer in [min, max].  0, or -EINVAL for anything but digits
 * ("12abc", "", "-1", " 1", "0x10"), -ERANGE outside the range.
 */
int num_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out);

/*
 * Seconds with an optional fraction ("0.5", "2"), in [min_ns, max_ns]
 * nanoseconds.  Same errors; no exponent, sign, hex, "inf" or "nan".
 */
int num_seconds(const char *s, uint64_t min_ns, uint64_t max_ns, uint64_t *ns);

/*
 * A CPU list as the kernel writes it, "0,2-3", each entry below limit.
 * *cpus is malloc()ed, order and repetitions kept.  0, -EINVAL, -ERANGE, -ENOMEM.
 */
int num_cpulist(const char *s, unsigned int limit, unsigned int **cpus, size_t *n);

/*
 * "[DDDD:]BB:DD.F" in hex to its canonical form "dddd:bb:dd.f"; buf holds 16
 * bytes.  0 or -EINVAL.
 */
int num_bdf(const char *s, char *buf, size_t size);

#endif /* NUM_H */

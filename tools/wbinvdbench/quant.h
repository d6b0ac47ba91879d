/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Quantiles of batch times in constant memory, however long the run: buckets
 * of 1/128 of an octave.  Values below 256 are exact, others are reported as
 * the bucket's upper bound, at most 0.8 % too high; minimum and maximum are exact.
 */
#ifndef WBINVDBENCH_QUANT_H
#define WBINVDBENCH_QUANT_H

#include <stdint.h>

#define QUANT_SUB_BITS 7
#define QUANT_BUCKETS  ((64 - QUANT_SUB_BITS + 1) << QUANT_SUB_BITS)

struct quant {
	uint64_t count;
	uint64_t min; /* meaningless while count is 0 */
	uint64_t max;
	uint64_t bucket[QUANT_BUCKETS];
};

void quant_add(struct quant *h, uint64_t value);
void quant_merge(struct quant *to, const struct quant *from);

/*
 * The smallest recorded value that at least per_mille of 1000 values do not
 * exceed (500: median, 990: p99), never above max; 0 of an empty histogram.
 */
uint64_t quant_at(const struct quant *h, unsigned int per_mille);

#endif /* WBINVDBENCH_QUANT_H */

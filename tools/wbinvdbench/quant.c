// SPDX-License-Identifier: GPL-2.0
#include "quant.h"

#define SUB (1u << QUANT_SUB_BITS)

static unsigned int quant_index(uint64_t value)
{
	unsigned int shift;

	if (value < 2 * SUB)
		return value;
	shift = 63 - __builtin_clzll(value) - QUANT_SUB_BITS;
	return (shift << QUANT_SUB_BITS) + (value >> shift);
}

static uint64_t quant_upper(unsigned int index)
{
	unsigned int shift;

	if (index < 2 * SUB)
		return index;
	shift = (index >> QUANT_SUB_BITS) - 1;
	return ((((uint64_t)index & (SUB - 1)) + SUB) << shift) + ((1ULL << shift) - 1);
}

void quant_add(struct quant *h, uint64_t value)
{
	if (!h->count || value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->count++;
	h->bucket[quant_index(value)]++;
}

void quant_merge(struct quant *to, const struct quant *from)
{
	if (!from->count)
		return;
	if (!to->count || from->min < to->min)
		to->min = from->min;
	if (from->max > to->max)
		to->max = from->max;
	to->count += from->count;
	for (unsigned int i = 0; i < QUANT_BUCKETS; i++)
		to->bucket[i] += from->bucket[i];
}

uint64_t quant_at(const struct quant *h, unsigned int per_mille)
{
	/* Rounded up, without overflow for any count. */
	uint64_t rank = h->count / 1000 * per_mille + (h->count % 1000 * per_mille + 999) / 1000;
	uint64_t seen = 0;

	if (!h->count)
		return 0;
	if (!rank)
		return h->min;
	for (unsigned int i = 0; i < QUANT_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= rank) {
			uint64_t upper = quant_upper(i);

			return upper < h->max ? upper : h->max;
		}
	}
	return h->max;
}

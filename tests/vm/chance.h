/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For programs that do things at random, and again if they are given the same seed: numbers of
 * the calling thread. Built by "helper NAME chance.c".
 */
#ifndef CHANCE_H
#define CHANCE_H

#include <stdbool.h>
#include <stdint.h>

/* Before the first number: another stream for each seed and thread */
void seed_with(uint64_t seed);
uint64_t any(void);
/* From 0, n at most 2^32 - 1 and not 0 */
uint32_t below(uint32_t n);
bool one_in(uint32_t n);

/* Writes text to an existing file, of sysfs or tracefs, in one call; 0 or an errno */
int write_to(const char *path, const char *text);

#endif /* CHANCE_H */

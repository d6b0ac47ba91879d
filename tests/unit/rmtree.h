/* SPDX-License-Identifier: GPL-2.0 */
/* For tests that make a tree of files: its end. */
#ifndef RMTREE_H
#define RMTREE_H

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

static inline int rmtree_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Removes path and all below it; 0, or as nftw() */
static inline int rmtree(const char *path)
{
	return nftw(path, rmtree_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif /* RMTREE_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* What the steps of ncdma have in common */
#ifndef NCDMA_H
#define NCDMA_H

#include <stdint.h>

#include "../uapi-coherency.h"

#define MAX_WORDS 12

/* Words of a step that follow its name, and its result: 0, or a negative errno */
struct step {
	const char *name;
	int min, max;
	int (*run)(char **arg);
};

/* Each ends with one that has no name */
extern const struct step vfio_steps[], iommufd_steps[], kvm_steps[];

/* A file, or what has an id in the iommufd; a bound device is both */
struct object {
	char name[16];
	int fd;
	uint32_t id;
};

/* Ends the program if nothing is named so */
struct object *get(const char *name);

/* A name may be used again */
void name_it(const char *name, int fd, uint32_t id);

int open_file(const char *name, const char *path);

/* Ends the program if it is none */
uint64_t number(const char *s);

/* Of a system call: 0 or a negative errno */
int result(int rc);

/* What a step that succeeds says in place of 0 */
extern const char *answer;

#endif /* NCDMA_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For programs whose arguments are steps: objects that the steps name, and what
 * they answer.  A .c file that reads this defines MAX_OBJECTS before.
 */
#ifndef STEPS_H
#define STEPS_H

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file, or what has an id in the iommufd; a bound device is both */
static struct object {
	char name[16];
	int fd;
	uint32_t id;
} objects[MAX_OBJECTS];
static unsigned int nr_objects;

/* What a step says when it is not a number */
static const char *answer;

static struct object *find(const char *name)
{
	for (unsigned int i = 0; i < nr_objects; i++)
		if (!strcmp(objects[i].name, name))
			return &objects[i];
	return NULL;
}

static struct object *get(const char *name)
{
	struct object *o = find(name);

	if (!o)
		errx(2, "nothing is named %s", name);
	return o;
}

/* A name may be used again */
static struct object *name_it(const char *name, int fd, uint32_t id)
{
	struct object *o = find(name);

	if (!o) {
		if (nr_objects == MAX_OBJECTS)
			errx(1, "more than %d names", MAX_OBJECTS);
		o = &objects[nr_objects++];
		snprintf(o->name, sizeof(o->name), "%s", name);
	}
	o->fd = fd;
	o->id = id;
	return o;
}

static uint64_t number(const char *s)
{
	char *end;
	uint64_t n;

	if (!s)
		errx(2, "a number is missing");
	n = strtoull(s, &end, 0);
	if (!*s || *end)
		errx(2, "%s is not a number", s);
	return n;
}

static int result(int rc)
{
	return rc < 0 ? -errno : 0;
}

static int open_file(const char *name, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	name_it(name, fd, 0);
	return 0;
}

#endif /* STEPS_H */

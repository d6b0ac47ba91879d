/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Strict reading of JSON objects that nobody vouches for: the first thing that
 * is wrong is kept as a sentence that names the member.  Every function
 * returns 0, -EBADMSG or -ENOMEM; after an error the others may still be called.
 */
#ifndef JREAD_H
#define JREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <jansson.h>

/* Longest string that is accepted, in bytes. */
#define JREAD_STR_MAX 4096

struct jread {
	char where[96]; /* path of the object at hand with its dot, "vms[2]." */
	char *error;	/* malloc()ed, NULL: nothing wrong so far */
};

/* Whether a file of lines ends here: an empty line before its end is none. */
bool jread_at_end(FILE *f);

/* Notes what is wrong, unless something was before.  -EBADMSG. */
int jread_bad(struct jread *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sets where; cut when it is too long. */
void jread_at(struct jread *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A whole number from min to max. */
int jread_u64(struct jread *j, const json_t *obj, const char *key, uint64_t min, uint64_t max,
	      uint64_t *out);

/* The same or null, which leaves *out alone and sets *null. */
int jread_u64_null(struct jread *j, const json_t *obj, const char *key, uint64_t min, uint64_t max,
		   uint64_t *out, bool *null);
int jread_bool(struct jread *j, const json_t *obj, const char *key, bool *out);

/* 1, 0, or -1 for null. */
int jread_bool_null(struct jread *j, const json_t *obj, const char *key, int *out);

/*
 * *out is malloc()ed; refused are control characters, which a terminal would
 * obey, and more than JREAD_STR_MAX bytes.
 */
int jread_str(struct jread *j, const json_t *obj, const char *key, char **out);

/* The same or null: *out is NULL then. */
int jread_str_null(struct jread *j, const json_t *obj, const char *key, char **out);

/* A time as in RFC 3339, of UTC, from 1970 to 2250; nanoseconds since 1970. */
int jread_time(struct jread *j, const json_t *obj, const char *key, int64_t *wall_ns);

/* Borrowed references. */
int jread_obj(struct jread *j, const json_t *obj, const char *key, json_t **out);
int jread_array(struct jread *j, const json_t *obj, const char *key, json_t **out);

#endif /* JREAD_H */

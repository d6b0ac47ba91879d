// SPDX-License-Identifier: GPL-2.0
#include "jread.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NSEC_PER_SEC 1000000000LL

int jread_bad(struct jread *j, const char *fmt, ...)
{
	va_list ap;

	if (j->error)
		return -EBADMSG;
	va_start(ap, fmt);
	if (vasprintf(&j->error, fmt, ap) < 0)
		j->error = NULL;
	va_end(ap);
	return -EBADMSG;
}

bool jread_at_end(FILE *f)
{
	int c = getc(f);

	if (c != EOF)
		ungetc(c, f);
	return c == EOF;
}

void jread_at(struct jread *j, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(j->where, sizeof(j->where), fmt, ap);
	va_end(ap);
}

static int member(struct jread *j, const json_t *obj, const char *key, json_t **out)
{
	*out = json_object_get(obj, key);
	return *out ? 0 : jread_bad(j, "%s%s is missing", j->where, key);
}

static int number(struct jread *j, const json_t *v, const char *key, uint64_t min, uint64_t max,
		  uint64_t *out)
{
	json_int_t i;

	if (!json_is_integer(v))
		return jread_bad(j, "%s%s is not a whole number", j->where, key);
	i = json_integer_value(v);
	if (i < 0)
		return jread_bad(j, "%s%s is negative", j->where, key);
	if ((uint64_t)i < min || (uint64_t)i > max)
		return jread_bad(
			j, "%s%s is %" JSON_INTEGER_FORMAT ", not within %" PRIu64 " to %" PRIu64,
			j->where, key, i, min, max);
	*out = i;
	return 0;
}

int jread_u64(struct jread *j, const json_t *obj, const char *key, uint64_t min, uint64_t max,
	      uint64_t *out)
{
	json_t *v;
	int err = member(j, obj, key, &v);

	return err ? err : number(j, v, key, min, max, out);
}

int jread_u64_null(struct jread *j, const json_t *obj, const char *key, uint64_t min, uint64_t max,
		   uint64_t *out, bool *null)
{
	json_t *v;
	int err = member(j, obj, key, &v);

	if (err)
		return err;
	*null = json_is_null(v);
	return *null ? 0 : number(j, v, key, min, max, out);
}

int jread_bool_null(struct jread *j, const json_t *obj, const char *key, int *out)
{
	json_t *v;
	int err = member(j, obj, key, &v);

	if (err)
		return err;
	if (!json_is_boolean(v) && !json_is_null(v))
		return jread_bad(j, "%s%s is neither true, false nor null", j->where, key);
	*out = json_is_null(v) ? -1 : json_is_true(v);
	return 0;
}

int jread_bool(struct jread *j, const json_t *obj, const char *key, bool *out)
{
	int tri = 0, err = jread_bool_null(j, obj, key, &tri);

	if (err)
		return err;
	if (tri < 0)
		return jread_bad(j, "%s%s is neither true nor false", j->where, key);
	*out = tri;
	return 0;
}

/* s is valid UTF-8: control characters are 0-1f, 7f and, as c2 80 to c2 9f, 80-9f. */
static bool has_control(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	for (; *p; p++)
		if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0))
			return true;
	return false;
}

int jread_str_null(struct jread *j, const json_t *obj, const char *key, char **out)
{
	json_t *v;
	int err = member(j, obj, key, &v);

	*out = NULL;
	if (err || json_is_null(v))
		return err;
	if (!json_is_string(v))
		return jread_bad(j, "%s%s is not a string", j->where, key);
	if (json_string_length(v) > JREAD_STR_MAX)
		return jread_bad(j, "%s%s has %zu bytes, more than %d", j->where, key,
				 json_string_length(v), JREAD_STR_MAX);
	if (has_control(json_string_value(v)))
		return jread_bad(j, "%s%s holds control characters", j->where, key);
	*out = strdup(json_string_value(v));
	return *out ? 0 : -ENOMEM;
}

int jread_str(struct jread *j, const json_t *obj, const char *key, char **out)
{
	int err = jread_str_null(j, obj, key, out);

	if (!err && !*out)
		return jread_bad(j, "%s%s is null", j->where, key);
	return err;
}

int jread_obj(struct jread *j, const json_t *obj, const char *key, json_t **out)
{
	int err = member(j, obj, key, out);

	if (!err && !json_is_object(*out))
		return jread_bad(j, "%s%s is not an object", j->where, key);
	return err;
}

int jread_array(struct jread *j, const json_t *obj, const char *key, json_t **out)
{
	int err = member(j, obj, key, out);

	if (!err && !json_is_array(*out))
		return jread_bad(j, "%s%s is not an array", j->where, key);
	return err;
}

int jread_time(struct jread *j, const json_t *obj, const char *key, int64_t *wall_ns)
{
	int64_t ns = 0, unit = NSEC_PER_SEC / 10;
	struct tm tm = { 0 };
	const char *rest;
	char *text;
	int err = jread_str(j, obj, key, &text);

	if (err)
		return err;
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (rest && *rest == '.')
		for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
			ns += (*rest - '0') * unit;
	/* Nanoseconds since 1970 end in 2262. */
	if (!rest || strcmp(rest, "Z") || tm.tm_year < 70 || tm.tm_year > 350)
		err = jread_bad(j, "%s%s is not as in 2025-12-31T23:59:59.000000000Z", j->where,
				key);
	else
		*wall_ns = timegm(&tm) * NSEC_PER_SEC + ns;
	free(text);
	return err;
}

// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "num.h"

#define NSEC_PER_SEC 1000000000ULL

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Consumes at least one digit; *s is left behind the last one, also when out of range. */
static int take_u64(const char **s, uint64_t *out)
{
	uint64_t v = 0;
	int err = 0;

	if (!is_digit(**s))
		return -EINVAL;
	for (; is_digit(**s); (*s)++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(**s - '0'), &v))
			err = -ERANGE;
	}
	*out = v;
	return err;
}

int num_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v;
	int err;

	err = take_u64(&s, &v);
	if (*s)
		return -EINVAL;
	if (err)
		return err;
	if (v < min || v > max)
		return -ERANGE;
	*out = v;
	return 0;
}

int num_seconds(const char *s, uint64_t min_ns, uint64_t max_ns, uint64_t *ns)
{
	uint64_t v, unit = NSEC_PER_SEC / 10;
	int err;

	err = take_u64(&s, &v);
	if (err == -EINVAL)
		return err;
	if (__builtin_mul_overflow(v, NSEC_PER_SEC, &v))
		err = -ERANGE;
	if (*s == '.') {
		s++;
		if (!is_digit(*s))
			return -EINVAL;
		/* What is finer than a nanosecond is dropped. */
		for (; is_digit(*s); s++, unit /= 10) {
			if (__builtin_add_overflow(v, (uint64_t)(*s - '0') * unit, &v))
				err = -ERANGE;
		}
	}
	if (*s)
		return -EINVAL;
	if (err)
		return err;
	if (v < min_ns || v > max_ns)
		return -ERANGE;
	*ns = v;
	return 0;
}

static int append_range(unsigned int **cpus, size_t *n, unsigned int from, unsigned int to)
{
	unsigned int *p;

	p = reallocarray(*cpus, *n + (to - from) + 1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*cpus = p;
	for (;; from++) {
		p[(*n)++] = from;
		if (from == to)
			return 0;
	}
}

int num_cpulist(const char *s, unsigned int limit, unsigned int **cpus, size_t *n)
{
	unsigned int *list = NULL;
	size_t nr = 0;
	int err;

	for (;;) {
		uint64_t from, to;

		err = take_u64(&s, &from);
		if (err)
			break;
		to = from;
		if (*s == '-') {
			s++;
			err = take_u64(&s, &to);
			if (err)
				break;
		}
		err = -EINVAL;
		if (to < from || (*s && *s != ','))
			break;
		err = -ERANGE;
		if (to >= limit)
			break;
		err = append_range(&list, &nr, from, to);
		if (err || !*s)
			break;
		s++;
	}
	if (err) {
		free(list);
		return err;
	}
	*cpus = list;
	*n = nr;
	return 0;
}

/* Hex digits, at least min and at most max of them. */
static int take_hex(const char **s, int min, int max, unsigned int *out)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	unsigned int v = 0;
	int len = 0;

	for (; **s && strchr(digits, **s); (*s)++, len++) {
		unsigned int d = strchr(digits, **s) - digits;

		if (len == max)
			return -EINVAL;
		v = v << 4 | (d < 16 ? d : d - 6);
	}
	if (len < min)
		return -EINVAL;
	*out = v;
	return 0;
}

static int take_char(const char **s, char c)
{
	if (**s != c)
		return -EINVAL;
	(*s)++;
	return 0;
}

int num_bdf(const char *s, char *buf, size_t size)
{
	unsigned int domain = 0, bus, dev, fn;
	int len;

	/* Domains made up by drivers (VMD) have five digits. */
	if (strchr(s, ':') != strrchr(s, ':') &&
	    (take_hex(&s, 4, 6, &domain) || take_char(&s, ':')))
		return -EINVAL;
	if (take_hex(&s, 2, 2, &bus) || take_char(&s, ':') || take_hex(&s, 2, 2, &dev) ||
	    take_char(&s, '.') || take_hex(&s, 1, 1, &fn) || *s || dev > 0x1f || fn > 7)
		return -EINVAL;
	len = snprintf(buf, size, "%04x:%02x:%02x.%x", domain, bus, dev, fn);
	return len < 0 || (size_t)len >= size ? -EINVAL : 0;
}

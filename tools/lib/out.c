// SPDX-License-Identifier: GPL-2.0
#include "out.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "log.h"

/* Longest cell that is not text: 64 digits and bars of a set. */
#define CELL_MAX 192

static struct out_value value_of(const struct out_field *field, const void *row)
{
	struct out_value v = { .type = OUT_NULL };

	field->get(row, &v);
	return v;
}

const struct out_field *out_field_find(const struct out_field *list, const char *path)
{
	for (; list->path; list++)
		if (!strcmp(list->path, path))
			return list;
	return NULL;
}

static size_t list_len(const struct out_field *list)
{
	size_t n = 0;

	while (list[n].path)
		n++;
	return n;
}

static int select_by_flags(const struct out_field *list, unsigned int mask, unsigned int want,
			   const struct out_field ***sel, size_t *n)
{
	const struct out_field **s = calloc(list_len(list) + 1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	*sel = s;
	*n = 0;
	for (; list->path; list++)
		if ((list->flags & mask) == want)
			s[(*n)++] = list;
	return 0;
}

int out_select_all(const struct out_field *list, const struct out_field ***sel, size_t *n)
{
	return select_by_flags(list, OUT_DERIVED, 0, sel, n);
}

int out_select(const struct out_field *list, const char *spec, const struct out_field ***sel,
	       size_t *n)
{
	const struct out_field **s;
	char *copy, *rest, *name;
	size_t max = 2;

	if (!spec)
		return select_by_flags(list, OUT_IN_TABLE, OUT_IN_TABLE, sel, n);
	for (const char *p = spec; *p; p++)
		max += *p == ',';
	s = calloc(max, sizeof(*s));
	copy = rest = strdup(spec);
	if (!s || !copy) {
		free(s);
		free(copy);
		return -ENOMEM;
	}
	*n = 0;
	while ((name = strsep(&rest, ","))) {
		const struct out_field *field = out_field_find(list, name);

		if (!field) {
			if (*name)
				log_err("there is no field \"%s\"; --list-fields prints all", name);
			else
				log_err("the list of fields \"%s\" has an empty name in it", spec);
			free(copy);
			free(s);
			return -EINVAL;
		}
		s[(*n)++] = field;
	}
	free(copy);
	*sel = s;
	return 0;
}

static const char *unit_name(enum out_unit unit)
{
	switch (unit) {
	case OUT_NS:
		return "ns";
	case OUT_PER_S:
		return "1/s";
	case OUT_PERCENT:
		return "%";
	case OUT_COUNT:
		return "count";
	case OUT_PLAIN:
		break;
	}
	return "-";
}

void out_list_fields(FILE *f, const struct out_field *list)
{
	for (; list->path; list++)
		fprintf(f, "%-22s %-5s  %s\n", list->path, unit_name(list->unit), list->help);
}

/* v / unit * mul to the nearest, half up. */
static uint64_t scaled(uint64_t v, uint64_t unit, uint64_t mul)
{
	return v / unit * mul + (v % unit * mul + unit / 2) / unit;
}

/* v in units of unit with 3 digits: "1.23", "12.3", "123". */
static void three_digits(char *buf, size_t size, uint64_t v, uint64_t unit, const char *name)
{
	uint64_t hundredths = scaled(v, unit, 100), tenths = scaled(v, unit, 10);

	if (hundredths < 1000)
		snprintf(buf, size, "%" PRIu64 ".%02" PRIu64 "%s", hundredths / 100,
			 hundredths % 100, name);
	else if (tenths < 1000)
		snprintf(buf, size, "%" PRIu64 ".%" PRIu64 "%s", tenths / 10, tenths % 10, name);
	else
		snprintf(buf, size, "%" PRIu64 "%s", scaled(v, unit, 1), name);
}

char *out_ns(uint64_t ns, char *buf, size_t size)
{
	/* A unit ends where rounding to 3 digits would give 1000 of it. */
	if (ns < 1000)
		snprintf(buf, size, "%" PRIu64 "ns", ns);
	else if (ns < 999500)
		three_digits(buf, size, ns, 1000, "us");
	else if (ns < 999500000)
		three_digits(buf, size, ns, 1000000, "ms");
	else if (ns < 999500000000)
		three_digits(buf, size, ns, 1000000000, "s");
	else if (ns < 99999500000000)
		snprintf(buf, size, "%" PRIu64 "s", scaled(ns, 1000000000, 1));
	else if (ns < 99999 * 3600000000000)
		snprintf(buf, size, "%" PRIu64 "h", ns / 3600000000000);
	else
		snprintf(buf, size, "%" PRIu64 "y", ns / (8766 * 3600000000000));
	return buf;
}

char *out_count(double v, char *buf, size_t size)
{
	static const char *const units[] = { "", "k", "M", "G", "T", "P", "E" };
	unsigned int i = 0;

	while (v >= 999.5 && i < sizeof(units) / sizeof(units[0]) - 1) {
		v /= 1000;
		i++;
	}
	if (!(v > 0))
		snprintf(buf, size, "0");
	else if (v < 9.995)
		snprintf(buf, size, "%.2f%s", v, units[i]);
	else if (v < 99.95)
		snprintf(buf, size, "%.1f%s", v, units[i]);
	else
		snprintf(buf, size, "%.0f%s", v, units[i]);
	return buf;
}

static void set_text(uint64_t set, char *buf, size_t size)
{
	size_t len = 0;

	*buf = '\0';
	for (unsigned int bit = 0; bit < 64 && len < size; bit++)
		if (set & (1ULL << bit))
			len += snprintf(buf + len, size - len, "%s%u", len ? "|" : "", bit);
}

static void cell_u64(const struct out_field *field, uint64_t u, char *buf, size_t size)
{
	if (field->unit == OUT_NS)
		out_ns(u, buf, size);
	else if (field->unit == OUT_COUNT && u > 999999)
		out_count((double)u, buf, size);
	else
		snprintf(buf, size, "%" PRIu64, u);
}

static void cell_f64(const struct out_field *field, double f, char *buf, size_t size)
{
	char number[16];

	if (field->unit != OUT_NS)
		out_count(f, buf, size);
	else if (f < 999.5)
		snprintf(buf, size, "%sns", out_count(f, number, sizeof(number)));
	else
		out_ns(f < 1e19 ? (uint64_t)f : UINT64_MAX, buf, size);
}

char *out_cell(const struct out_field *field, const void *row, char *buf, size_t size)
{
	struct out_value v = value_of(field, row);

	switch (v.type) {
	case OUT_NULL:
		snprintf(buf, size, "-");
		break;
	case OUT_U64:
		cell_u64(field, v.u, buf, size);
		break;
	case OUT_F64:
		cell_f64(field, v.f, buf, size);
		break;
	case OUT_BOOL:
		snprintf(buf, size, "%s", v.b ? "yes" : "no");
		break;
	case OUT_STR:
		snprintf(buf, size, "%s", v.s);
		break;
	case OUT_SET:
		if (v.u)
			set_text(v.u, buf, size);
		else
			snprintf(buf, size, "-");
		break;
	}
	return buf;
}

/*
 * Length in bytes of the first character and its columns.  Where the locale
 * cannot tell, every character takes one.
 */
static size_t char_len(const char *s, int *columns)
{
	mbstate_t state = { 0 };
	size_t len, left;
	wchar_t wc;

	*columns = 1;
	/* Most of what tables hold. */
	if (*s >= ' ' && *s < 0x7f)
		return 1;
	left = strlen(s);
	len = mbrtowc(&wc, s, left, &state);
	if (len && len <= left) {
		int w = wcwidth(wc);

		if (w >= 0)
			*columns = w;
		return len;
	}
	for (len = 1; ((unsigned char)s[len] & 0xc0) == 0x80; len++)
		;
	return len;
}

int out_width(const char *s)
{
	int width = 0, columns;

	while (*s) {
		s += char_len(s, &columns);
		width += columns;
	}
	return width;
}

static void pad(FILE *f, int n)
{
	static const char blanks[] = "                                ";

	for (int len = sizeof(blanks) - 1; n > 0; n -= len)
		fwrite_unlocked(blanks, 1, n < len ? n : len, f);
}

/* What is cut ends with a mark: two names may begin alike. */
static void put_left(FILE *f, const char *s, int width, bool last)
{
	const char *end = s, *cut = s;
	int used = 0, used_cut = 0, columns;

	/* The last column has the rest of the line. */
	if (last) {
		fputs_unlocked(s, f);
		return;
	}
	while (*end) {
		size_t len = char_len(end, &columns);

		if (used + columns > width) {
			fwrite_unlocked(s, 1, cut - s, f);
			fputc_unlocked('+', f);
			pad(f, width - used_cut - 1);
			return;
		}
		used += columns;
		end += len;
		if (used < width) {
			cut = end;
			used_cut = used;
		}
	}
	fwrite_unlocked(s, 1, end - s, f);
	pad(f, width - used);
}

static void put_cell(FILE *f, const struct out_field *field, const char *s, bool first, bool last)
{
	if (!first)
		fputc_unlocked(' ', f);
	if (field->flags & OUT_LEFT) {
		put_left(f, s, field->width, last);
		return;
	}
	pad(f, field->width - out_width(s));
	fputs_unlocked(s, f);
}

void out_table_header(FILE *f, const struct out_field *const *sel, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_cell(f, sel[i], sel[i]->title, !i, i == n - 1);
	fputc('\n', f);
}

void out_table_row(FILE *f, const struct out_field *const *sel, size_t n, const void *row)
{
	char buf[CELL_MAX];

	for (size_t i = 0; i < n; i++) {
		struct out_value v = value_of(sel[i], row);
		const char *s = v.type == OUT_STR ? v.s : out_cell(sel[i], row, buf, sizeof(buf));

		put_cell(f, sel[i], s, !i, i == n - 1);
	}
	fputc('\n', f);
}

static void csv_text(FILE *f, const char *s)
{
	if (!strpbrk(s, ",\"\r\n")) {
		fputs(s, f);
		return;
	}
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"')
			fputc('"', f);
		fputc(*s, f);
	}
	fputc('"', f);
}

void out_csv_header(FILE *f, const struct out_field *const *sel, size_t n, bool first)
{
	for (size_t i = 0; i < n; i++) {
		if (i || !first)
			fputc(',', f);
		csv_text(f, sel[i]->path);
	}
}

void out_csv_row(FILE *f, const struct out_field *const *sel, size_t n, const void *row, bool first)
{
	char buf[CELL_MAX];

	for (size_t i = 0; i < n; i++) {
		struct out_value v = value_of(sel[i], row);

		if (i || !first)
			fputc(',', f);
		switch (v.type) {
		case OUT_NULL:
			break;
		case OUT_U64:
			fprintf(f, "%" PRIu64, v.u);
			break;
		case OUT_F64:
			fprintf(f, "%.3f", v.f);
			break;
		case OUT_BOOL:
			fputs(v.b ? "true" : "false", f);
			break;
		case OUT_STR:
			csv_text(f, v.s);
			break;
		case OUT_SET:
			set_text(v.u, buf, sizeof(buf));
			fputs(buf, f);
			break;
		}
	}
}

/* jansson's integers end at 2^63 - 1: 292 years in nanoseconds. */
static json_int_t json_from_u64(uint64_t u)
{
	return u > INT64_MAX ? INT64_MAX : (json_int_t)u;
}

static json_t *json_set(uint64_t set)
{
	json_t *a = json_array();

	for (unsigned int bit = 0; a && bit < 64; bit++) {
		if ((set & (1ULL << bit)) && json_array_append_new(a, json_integer(bit))) {
			json_decref(a);
			a = NULL;
		}
	}
	return a;
}

static json_t *json_value(const struct out_value *v)
{
	switch (v->type) {
	case OUT_U64:
		return json_integer(json_from_u64(v->u));
	case OUT_F64:
		return json_real(v->f);
	case OUT_BOOL:
		return json_boolean(v->b);
	case OUT_STR:
		return json_string(v->s);
	case OUT_SET:
		return json_set(v->u);
	case OUT_NULL:
		break;
	}
	return json_null();
}

/* The object that holds the path's last part; *last is set to that part. */
static json_t *json_parent(json_t *obj, const char *path, const char **last)
{
	const char *dot;

	while (obj && (dot = strchr(path, '.'))) {
		json_t *child;
		char *key = strndup(path, dot - path);

		if (!key)
			return NULL;
		child = json_object_get(obj, key);
		if (!child) {
			child = json_object();
			if (json_object_set_new(obj, key, child))
				child = NULL;
		}
		free(key);
		obj = child;
		path = dot + 1;
	}
	*last = path;
	return obj;
}

/* Stands for value number i until rows are written; no path has a control character. */
#define MARK	  "\x01"
#define MARK_JSON "\"\\u0001"

/* Characters of the longest number, truth or null. */
#define SCALAR_MAX 24

struct out_json {
	char *text; /* what stands around the values, as jansson wrote it */
	char *row;
	size_t size;  /* of row */
	size_t fixed; /* bytes of a row without its strings, reals and sets, at most */
	size_t n;
	struct {
		const struct out_field *field; /* NULL behind the last value */
		const char *before;
		size_t len;
	} m[];
};

void out_json_free(struct out_json *j)
{
	if (!j)
		return;
	free(j->text);
	free(j->row);
	free(j);
}

/* One row's members with a mark for each value; NULL: no memory. */
static char *marked_text(const struct out_field *const *sel, size_t n)
{
	json_t *obj = json_object();
	char *text = NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		const char *key = NULL;
		json_t *parent = json_parent(obj, sel[i]->path, &key);

		if (json_object_set_new(parent, key, json_sprintf(MARK "%zu", i)))
			break;
	}
	if (i == n)
		text = json_dumps(obj, JSON_COMPACT | JSON_EMBED);
	json_decref(obj);
	return text;
}

struct out_json *out_json_new(const struct out_field *const *sel, size_t n)
{
	struct out_json *j = calloc(1, sizeof(*j) + (n + 1) * sizeof(j->m[0]));
	char *at, *mark;

	if (!j)
		return NULL;
	j->text = at = marked_text(sel, n);
	if (!at)
		goto no_memory;
	/* A path that was asked for twice is there once. */
	while ((mark = strstr(at, MARK_JSON))) {
		j->m[j->n].before = at;
		j->m[j->n].len = mark - at;
		j->m[j->n].field = sel[strtoul(mark + strlen(MARK_JSON), &at, 10)];
		j->n++;
		at++; /* the quote */
	}
	j->m[j->n].before = at;
	j->m[j->n].len = strlen(at);
	j->fixed = strlen(j->text) + j->n * SCALAR_MAX;
	j->size = j->fixed;
	j->row = malloc(j->size + 1);
	if (j->row)
		return j;
no_memory:
	out_json_free(j);
	return NULL;
}

char *out_digits(uint64_t u, char *to)
{
	char digits[20];
	unsigned int n = 0;

	do {
		digits[n++] = '0' + u % 10;
		u /= 10;
	} while (u);
	while (n)
		*to++ = digits[--n];
	return to;
}

/* A value that jansson has to write, at row + *used.  *more: such bytes of this row so far. */
static int put_other(struct out_json *j, const struct out_value *v, size_t *used, size_t *more)
{
	const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(10);
	json_t *value = json_value(v);
	size_t len = value ? json_dumpb(value, NULL, 0, flags) : 0;
	char *row;

	if (len) {
		*more += len;
		if (j->fixed + *more > j->size) {
			row = realloc(j->row, 2 * (j->fixed + *more));
			if (row) {
				j->row = row;
				j->size = 2 * (j->fixed + *more);
			} else {
				len = 0;
			}
		}
	}
	if (len)
		json_dumpb(value, j->row + *used, len, flags);
	*used += len;
	json_decref(value);
	return len ? 0 : -ENOMEM;
}

const char *out_json_members(struct out_json *j, const void *row, size_t *len)
{
	size_t used = 0, more = 0;

	for (size_t i = 0; i < j->n; i++) {
		struct out_value v = value_of(j->m[i].field, row);
		const char *word = NULL;

		memcpy(j->row + used, j->m[i].before, j->m[i].len);
		used += j->m[i].len;
		/* Nearly all values are numbers, and there are thousands of rows. */
		if (v.type == OUT_U64)
			used = out_digits(json_from_u64(v.u), j->row + used) - j->row;
		else if (v.type == OUT_NULL)
			word = "null";
		else if (v.type == OUT_BOOL)
			word = v.b ? "true" : "false";
		else if (put_other(j, &v, &used, &more))
			return NULL;
		if (word) {
			memcpy(j->row + used, word, strlen(word));
			used += strlen(word);
		}
	}
	memcpy(j->row + used, j->m[j->n].before, j->m[j->n].len);
	*len = used + j->m[j->n].len;
	return j->row;
}

json_t *out_json_row(const struct out_field *const *sel, size_t n, const void *row)
{
	json_t *obj = json_object();

	for (size_t i = 0; i < n; i++) {
		struct out_value v = value_of(sel[i], row);
		const char *key = NULL;
		json_t *parent = json_parent(obj, sel[i]->path, &key);

		if (json_object_set_new(parent, key, json_value(&v))) {
			json_decref(obj);
			return NULL;
		}
	}
	return obj;
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The output layer: tables, CSV and JSON from one list of fields.  A tool
 * describes its rows once; headings, CSV columns, JSON names, --list-fields
 * and -o all come from that description.
 */
#ifndef OUT_H
#define OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <jansson.h>

enum out_type {
	OUT_NULL, /* unknown: "-" in tables, empty in CSV, null in JSON */
	OUT_U64,
	OUT_F64,
	OUT_BOOL,
	OUT_STR, /* valid UTF-8, owned by the row */
	OUT_SET, /* numbers, one bit each: a JSON array, "3|4" in CSV and tables */
};

struct out_value {
	enum out_type type;
	union {
		uint64_t u;
		double f;
		bool b;
		const char *s;
	};
};

enum out_unit {
	OUT_PLAIN,
	OUT_NS,	     /* nanoseconds; tables scale to ns, us, ms, s */
	OUT_PER_S,   /* events per second */
	OUT_PERCENT, /* of one CPU, already multiplied by 100 */
	OUT_COUNT,   /* tables scale to k, M, G; OUT_PLAIN integers are never scaled */
};

#define OUT_IN_TABLE (1u << 0) /* a default column of the table */
#define OUT_LEFT     (1u << 1) /* left aligned; a table of text marks what it cuts with a + */
#define OUT_DERIVED  (1u << 2) /* computed from others: in JSON and CSV only when asked for */

struct out_field {
	const char *path;  /* JSON path within the row, "delta.exits" */
	const char *title; /* column heading */
	const char *help;  /* one line for --list-fields and the manual */
	enum out_unit unit;
	unsigned int flags;
	int width; /* column width in the table, heading included */
	void (*get)(const void *row, struct out_value *v);
};

/* A list that ends with an entry whose path is NULL. */
const struct out_field *out_field_find(const struct out_field *list, const char *path);

/*
 * The fields of a comma-separated list, in its order ("" and unknown names:
 * -EINVAL after a sentence on stderr that says where to look), or with
 * spec == NULL the default columns.  *sel is a malloc()ed array of *n pointers.
 * 0, -EINVAL, -ENOMEM.
 */
int out_select(const struct out_field *list, const char *spec, const struct out_field ***sel,
	       size_t *n);

/* Every field that is not derived, as out_select() returns it: what JSON and CSV hold. */
int out_select_all(const struct out_field *list, const struct out_field ***sel, size_t *n);

/* Prints path, unit and help of every field, one per line. */
void out_list_fields(FILE *f, const struct out_field *list);

/*
 * One cell as a person reads it ("12.3us", "1.2k", "-"), at most size - 1
 * bytes; never longer than the field's width unless OUT_LEFT.  Returns buf.
 */
char *out_cell(const struct out_field *field, const void *row, char *buf, size_t size);

/* A duration or a count scaled to at most 6 characters: "850ns", "12.3us", "9.99k", "1.20M". */
char *out_ns(uint64_t ns, char *buf, size_t size);
char *out_count(double v, char *buf, size_t size);

void out_table_header(FILE *f, const struct out_field *const *sel, size_t n);
void out_table_row(FILE *f, const struct out_field *const *sel, size_t n, const void *row);

/* Columns of the terminal that a UTF-8 string takes. */
int out_width(const char *s);

/* RFC 4180 quoting. Several groups of fields make one line: sep is 0 for the first cell only. */
void out_csv_header(FILE *f, const struct out_field *const *sel, size_t n, bool first);
void out_csv_row(FILE *f, const struct out_field *const *sel, size_t n, const void *row,
		 bool first);

/*
 * The row as a JSON object, dots making nested objects; NULL: no memory, or a
 * string that is not UTF-8.
 */
json_t *out_json_row(const struct out_field *const *sel, size_t n, const void *row);

/*
 * The same as text, for many rows: jansson writes the names once, and strings;
 * per row little more is done than to fill in the numbers.  sel's fields must
 * live as long.  out_json_members() gives the members without the braces, *len
 * bytes without an end, valid until the next call; NULL as above.
 */
struct out_json;
struct out_json *out_json_new(const struct out_field *const *sel, size_t n);
void out_json_free(struct out_json *j);
const char *out_json_members(struct out_json *j, const void *row, size_t *len);

/* Writes at most 20 digits, without an end, and returns what follows them. */
char *out_digits(uint64_t u, char *to);

#endif /* OUT_H */

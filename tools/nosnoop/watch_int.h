/* SPDX-License-Identifier: GPL-2.0 */
/* Between the parts of watch. */
#ifndef WATCH_INT_H
#define WATCH_INT_H

#include "watch.h"

/* A line of text, where changes are told. */
void watch_tell(const struct watch *w, const char *who, const char *what);

const char *watch_bit_word(enum dev_no_snoop n);

/* The functions, or what may have changed of them.  0 or a negative errno. */
int watch_list_read(struct watch *w);

/* The bits of functions that were listed.  0 or a negative errno. */
int watch_list_poll(struct watch *w);

/* A reading of the bit. */
void watch_count_reading(struct func_row *r);

/* live: the running system. */
void watch_log_open(struct watch *w, bool live);
void watch_log_close(struct watch *w);

/* Before and after the functions are read.  0 or a negative errno. */
int watch_log_read(struct watch *w);
void watch_log_apply(struct watch *w);
void watch_log_first_seen(const struct watch *w, struct func_row *r);

/* A process that has had a function, and may have none now; known: it maps through iommufd alone.  0 or -ENOMEM. */
int watch_log_left(struct watch *w, const struct owner *o, bool known);

/* Why something that the log would tell is not known. */
const char *watch_log_why(const struct watch *w);

/* Members for the log, for a function, and a VM (of which r is one function); 0 or not. */
int watch_log_json(const struct watch *w, json_t *root);
int watch_log_function_json(const struct watch *w, const struct func_row *r, json_t *obj);
json_t *watch_log_vm_json(const struct watch *w, const struct func_row *r);

/* Appends the VMs that have no function any more, and did something in the interval. */
void watch_log_left_json(const struct watch *w, json_t *vms);

#endif /* WATCH_INT_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kprobes as tracefs events of our own.  Unlike those that perf makes for one
 * file descriptor, the kernel puts them back when a module is loaded again,
 * and it counts their hits and misses.
 */
#ifndef KPROBE_SET_H
#define KPROBE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kprobe_set;

/*
 * An empty set whose events form a group named after this process; events of
 * processes that are gone are removed first.  0, -ENOENT: no tracefs mounted,
 * -EACCES, -ENOMEM.
 */
int kprobe_set_new(struct kprobe_set **out);

/* Removes the events; those that a program is still attached to stay. */
void kprobe_set_free(struct kprobe_set *s);

/*
 * Adds an event on function fn, of module (or of the kernel proper where the
 * module is NULL or built in); on its return if ret.  0, -ENOENT: no such function, or
 * what the kernel said.
 */
int kprobe_set_add(struct kprobe_set *s, const char *event, const char *module, const char *fn,
		   bool ret);

/* Group, and name within it, under which tracefs knows an event. */
void kprobe_set_name(const char *event, char *buf, size_t size);
const char *kprobe_set_group(const struct kprobe_set *s);

/*
 * How often an event's function was called so far, as the kernel counts it,
 * whether or not programs ran for it; 0 also if the kernel does not tell.
 */
uint64_t kprobe_set_calls(const struct kprobe_set *s, const char *event);

#endif /* KPROBE_SET_H */

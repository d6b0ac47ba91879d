/* SPDX-License-Identifier: GPL-2.0 */
/* What people call a VM: QEMU's -name, libvirt's scope, else the comm. */
#ifndef VMNAME_H
#define VMNAME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The name in a /proc/PID/cmdline image (NUL-separated, possibly truncated,
 * any bytes): the value of the last "-name" or "--name" option, its guest= key
 * or its leading unnamed value, with QEMU's ",," unescaped.  Returns a
 * malloc()ed string of valid UTF-8 without control characters (bytes that are not become U+FFFD),
 * or NULL if there is none.  Never reads past len.
 */
char *vmname_from_cmdline(const char *buf, size_t len);

/*
 * The machine in a /proc/PID/cgroup image, as libvirt and systemd-machined
 * name their scopes ("machine-qemu\x2d3\x2dweb01.scope" gives "web01").
 * malloc()ed valid UTF-8, or NULL.
 */
char *vmname_from_cgroup(const char *buf, size_t len);

/* s as valid UTF-8 without control characters, malloc()ed; NULL: no memory. */
char *vmname_sanitize(const char *s, size_t len);

/*
 * Cached look-up through procfs ("/proc" or a test's tree).  fallback is the
 * comm; start guards against a reused pid: it is compared with field 22 of /proc/PID/stat (0: not compared).
 * A process in another pid namespace that we cannot see falls back, too.
 */
struct vmname_cache;
struct vmname_cache *vmname_cache_new(const char *procfs);
void vmname_cache_free(struct vmname_cache *c);
const char *vmname_get(struct vmname_cache *c, pid_t pid, uint64_t start, const char *fallback);

/* Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat), 0: gone. */
uint64_t proc_start_time(const char *procfs, pid_t pid);

/* Drops what has not been asked for since the last call. */
void vmname_cache_age(struct vmname_cache *c);

#endif /* VMNAME_H */

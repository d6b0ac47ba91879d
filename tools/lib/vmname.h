/* SPDX-License-Identifier: GPL-2.0 */
/* What people call a VM: QEMU's -name, libvirt's scope, else the comm. */
#ifndef VMNAME_H
#define VMNAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Longest name in bytes, without its NUL; longer ones are cut and end in an ellipsis. */
#define VMNAME_MAX 255

/* Stands behind the comm of a process that our procfs does not number as BPF does. */
#define VMNAME_FOREIGN " (other pid ns)"

/*
 * The name in a /proc/PID/cmdline image (NUL-separated, possibly truncated,
 * any bytes): the value of the last "-name" or "--name" option, its guest= key
 * or its leading unnamed value, with QEMU's ",," unescaped.  Options are taken
 * apart as QEMU does, so that "-append -name" names nothing.  Of firecracker
 * the value of --id.  Returns a malloc()ed string as from vmname_sanitize(),
 * or NULL if there is none or it is empty.  Never reads past len.
 */
char *vmname_from_cmdline(const char *buf, size_t len);

/*
 * The machine in a /proc/PID/cgroup image (v1 or v2), as libvirt and
 * systemd-machined name their scopes ("machine-qemu\x2d3\x2dweb01.scope" gives
 * "web01"; libvirt leaves out what a host name may not hold and cuts at 64
 * characters).  The innermost one where they are nested.  malloc()ed as from
 * vmname_sanitize(), or NULL.
 */
char *vmname_from_cgroup(const char *buf, size_t len);

/*
 * s as valid UTF-8 of at most VMNAME_MAX bytes without control characters,
 * line separators and marks that reorder text: those, and bytes that are not
 * UTF-8, become U+FFFD.  malloc()ed; NULL: no memory.
 */
char *vmname_sanitize(const char *s, size_t len);

/*
 * Cached look-up through procfs ("/proc" or a test's tree).
 *
 * Processes are named as BPF knows them: by their pid in the initial
 * namespace and their start in clock ticks since boot, as field 22 of
 * /proc/PID/stat shows it (vmname_start_ticks(); 0: not compared).  Where
 * /proc/PID is gone or another process by now, the name is fallback, the comm.
 * Where procfs belongs to another pid namespace, so that PID says nothing
 * there, it is the comm with VMNAME_FOREIGN behind it.
 */
struct vmname_cache;

/* NULL: no memory. A procfs that cannot be opened leaves the fallbacks. */
struct vmname_cache *vmname_cache_new(const char *procfs);
void vmname_cache_free(struct vmname_cache *c);

/*
 * Never NULL (without a fallback "pid N"), valid until the next call with the
 * same pid and start, or until vmname_cache_age() drops it.  A name that was
 * found stays while it is asked for, also when the process has ended; a
 * fallback is looked up again a few times, as a process may still be on its
 * way to its command line.
 */
const char *vmname_get(struct vmname_cache *c, pid_t pid, uint64_t start, const char *fallback);

/* The fallback itself, malloc()ed; NULL: no memory. */
char *vmname_fallback(const struct vmname_cache *c, pid_t pid, const char *comm);

/*
 * A start in CLOCK_BOOTTIME nanoseconds (task_struct.start_boottime of the
 * thread group leader) as /proc/PID/stat shows it to us; 0 stays 0.
 */
uint64_t vmname_start_ticks(const struct vmname_cache *c, uint64_t start_boottime_ns);

/* procfs numbers processes differently from BPF: names and devices are limited to what start proves. */
bool vmname_foreign(const struct vmname_cache *c);

/* Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat), 0: gone. */
uint64_t proc_start_time(const char *procfs, pid_t pid);

/* Drops what has not been asked for since the last call. */
void vmname_cache_age(struct vmname_cache *c);

#endif /* VMNAME_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* Reading procfs and sysfs, in the running system or in a test's tree. */
#ifndef PROCUTIL_H
#define PROCUTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A whole file, at most max bytes of it, into a malloc()ed buffer with a NUL
 * behind its last byte (*len does not count that).  *len == max: there may be
 * more.  0, or a negative errno (-ESRCH, -ENOENT: the process is gone).
 */
int proc_read_file(int dirfd, const char *path, size_t max, char **buf, size_t *len);

/*
 * A one-line attribute into buf, without its newline, NUL-terminated.  Length,
 * or a negative errno; -EOVERFLOW if it does not fit.
 */
ssize_t proc_read_attr(int dirfd, const char *path, char *buf, size_t size);

/* A number as sysfs prints them, "0x8086" or "c08086"; base as for strtoull(). */
int proc_read_number(int dirfd, const char *path, int base, uint64_t *out);

/*
 * Whether a module below the directory modules, /sys/module but in tests, can be
 * used: the kernel gives out neither its type information nor its functions
 * while it is still initialized, or on its way out.  True also for one that is
 * built in.
 */
bool proc_module_live(const char *modules, const char *name);

/* What tells a loaded module from the one of that name that was loaded before; 0: it is not loaded. */
ino_t proc_module_identity(const char *name);

/*
 * The last component of a symbolic link's target.  Length, or a negative
 * errno; -EOVERFLOW if it does not fit.
 */
ssize_t proc_read_link_name(int dirfd, const char *path, char *buf, size_t size);

/* The process that a task belongs to; 0: there is no such task below procfs, or not any more. */
pid_t proc_tgid(const char *procfs, pid_t task);

/* Field 22 of stat below dirfd, an open /proc/PID: clock ticks since boot; 0: gone or garbled. */
uint64_t proc_start_time_at(int dirfd);

/*
 * CLOCK_BOOTTIME nanoseconds as /proc/PID/stat shows them to a process whose
 * time namespace adds offset_ns: the arithmetic of the kernel's
 * nsec_to_clock_t(), hz being sysconf(_SC_CLK_TCK).
 */
uint64_t proc_boottime_to_ticks(uint64_t ns, int64_t offset_ns, unsigned long hz);

/*
 * Offset of this process's time namespace against boot time, from
 * self/timens_offsets below an open procfs; 0 where there is none.
 */
int64_t proc_boottime_offset(int procfd);

/*
 * Whether an open procfs numbers processes as the initial pid namespace does,
 * which is what BPF programs report.  True when that cannot be found out.
 */
bool proc_is_init_pidns(int procfd);

#endif /* PROCUTIL_H */

// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/log.h"
#include "kprobe_set.h"

#define GROUP_PREFIX "wbinvdtop_"

/*
 * Instances of a return probe, one for each task inside the function; the
 * kernel's default of twice the CPUs is too few for many preempted vCPUs.
 * KRETPROBE_MAXACTIVE_MAX is 4096.
 */
#define MAX_ACTIVE 4096

struct kprobe_set {
	const char *tracefs;
	char group[sizeof(GROUP_PREFIX) + 12];
	char **events;
	unsigned int nr;
};

/*
 * kprobe_profile names events without their group, so the names themselves
 * carry our pid.
 */
static void full_name(const char *event, char *buf, size_t size)
{
	snprintf(buf, size, "%s_%d", event, getpid());
}

static const char *find_tracefs(void)
{
	static const char *const dirs[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	char path[64];
	unsigned int i;

	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/kprobe_events", dirs[i]);
		if (!access(path, F_OK))
			return dirs[i];
	}
	return NULL;
}

static int tracefs_open(const char *tracefs, const char *file, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", tracefs, file);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* One command per write: the kernel's answer is then that command's. */
static int command(const char *tracefs, const char *cmd)
{
	int fd = tracefs_open(tracefs, "kprobe_events", O_WRONLY | O_APPEND);
	int err = 0;

	if (fd < 0)
		return fd;
	if (write(fd, cmd, strlen(cmd)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static void remove_event(const char *tracefs, const char *group_event)
{
	char cmd[160];
	int err;

	snprintf(cmd, sizeof(cmd), "-:%s\n", group_event);
	err = command(tracefs, cmd);
	if (err)
		log_debug("cannot remove the probe %s: %s", group_event, strerror(-err));
}

/* A process that was killed leaves its events behind, disabled. */
static void remove_stale(const char *tracefs)
{
	char *line = NULL, *name, *end;
	size_t size = 0;
	FILE *f;
	long pid;
	int fd;

	fd = tracefs_open(tracefs, "kprobe_events", O_RDONLY);
	if (fd < 0)
		return;
	f = fdopen(fd, "r");
	if (!f) {
		close(fd);
		return;
	}
	while (getline(&line, &size, f) > 0) {
		name = strchr(line, ':');
		if (!name || strncmp(++name, GROUP_PREFIX, strlen(GROUP_PREFIX)))
			continue;
		pid = strtol(name + strlen(GROUP_PREFIX), &end, 10);
		if (*end != '/' || pid <= 0 || !kill(pid, 0) || errno != ESRCH)
			continue;
		name[strcspn(name, " \t\n")] = '\0';
		remove_event(tracefs, name);
	}
	free(line);
	fclose(f);
}

int kprobe_set_new(struct kprobe_set **out)
{
	const char *tracefs = find_tracefs();
	struct kprobe_set *s;
	int fd;

	if (!tracefs)
		return -ENOENT;
	fd = tracefs_open(tracefs, "kprobe_events", O_WRONLY | O_APPEND);
	if (fd < 0)
		return fd;
	close(fd);
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->tracefs = tracefs;
	snprintf(s->group, sizeof(s->group), GROUP_PREFIX "%d", getpid());
	remove_stale(tracefs);
	*out = s;
	return 0;
}

void kprobe_set_free(struct kprobe_set *s)
{
	char name[128];
	unsigned int i;

	if (!s)
		return;
	for (i = 0; i < s->nr; i++) {
		snprintf(name, sizeof(name), "%s/%s", s->group, s->events[i]);
		remove_event(s->tracefs, name);
		free(s->events[i]);
	}
	free(s->events);
	free(s);
}

int kprobe_set_add(struct kprobe_set *s, const char *event, const char *module, const char *fn,
		   bool ret)
{
	char sysfs[64], kind[16], name[64], cmd[256];
	bool built_in = true;
	char **events;
	int err;

	events = realloc(s->events, (s->nr + 1) * sizeof(*events));
	if (!events)
		return -ENOMEM;
	s->events = events;
	full_name(event, name, sizeof(name));
	events[s->nr] = strdup(name);
	if (!events[s->nr])
		return -ENOMEM;

	/* Only a loadable module has a reference count. */
	if (module) {
		snprintf(sysfs, sizeof(sysfs), "/sys/module/%s/refcnt", module);
		built_in = access(sysfs, F_OK) != 0;
	}
	snprintf(kind, sizeof(kind), ret ? "r%d" : "p", MAX_ACTIVE);
	snprintf(cmd, sizeof(cmd), "%s:%s/%s %s%s%s\n", kind, s->group, name,
		 built_in ? "" : module, built_in ? "" : ":", fn);
	err = command(s->tracefs, cmd);
	if (err) {
		free(events[s->nr]);
		return err;
	}
	s->nr++;
	return 0;
}

void kprobe_set_name(const char *event, char *buf, size_t size)
{
	full_name(event, buf, size);
}

const char *kprobe_set_group(const struct kprobe_set *s)
{
	return s->group;
}

uint64_t kprobe_set_calls(const struct kprobe_set *s, const char *event)
{
	int fd = tracefs_open(s->tracefs, "kprobe_profile", O_RDONLY);
	char *line = NULL, name[128], want[64];
	uint64_t hits, missed, calls = 0;
	size_t size = 0;
	FILE *f;

	full_name(event, want, sizeof(want));
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f)
		return 0;
	while (getline(&line, &size, f) > 0) {
		if (sscanf(line, " %127s %" SCNu64 " %" SCNu64, name, &hits, &missed) == 3 &&
		    !strcmp(name, want)) {
			calls = hits + missed;
			break;
		}
	}
	free(line);
	fclose(f);
	return calls;
}

// SPDX-License-Identifier: GPL-2.0
/* What was known when, what was traced, and whether the two agree */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "../chance.h"
#include "transitions.h"

struct log logs[3];
atomic_bool stop_reading;

void note(struct log *log, enum known known)
{
	if (log->n == MAX_LOG)
		errx(2, "more than %d changes in a round", MAX_LOG);
	log->at[log->n].ns = now();
	log->at[log->n++].known = known;
}

/* What held from one time to another; cursor: where the last time began */
static enum known all_the_time(const struct log *log, uint64_t from, uint64_t to,
			       unsigned int *cursor)
{
	unsigned int i = *cursor;
	enum known known;

	while (i + 1 < log->n && log->at[i + 1].ns <= from)
		i++;
	*cursor = i;
	known = log->at[i].ns <= from ? log->at[i].known : MAYBE;
	for (i++; i < log->n && log->at[i].ns <= to; i++)
		if (log->at[i].known != known)
			return MAYBE;
	return known;
}

/* ---- what was traced ----------------------------------------------------------------------------- */

void start_tracing(void)
{
	rmdir(INSTANCE);
	if (mkdir(INSTANCE, 0755) || write_to(INSTANCE "/trace_clock", "mono") ||
	    write_to(INSTANCE "/buffer_size_kb", "4096") ||
	    write_to(INSTANCE "/events/kvm/kvm_wbinvd_end/enable", "1"))
		errx(2, "KVM's WBINVD cannot be traced: %s", strerror(errno));
}

/* One line: "COMM-TID [CPU] FLAGS SECONDS.MICROSECONDS: kvm_wbinvd_end: vcpu N reason ..." */
static void read_event(const char *line)
{
	const char *name = strstr(line, ": kvm_wbinvd_end: vcpu "), *start = name;
	unsigned int vcpu, cpus;
	unsigned long s, us;
	char reason[16];
	struct vcpu *v;

	while (start && start > line && start[-1] != ' ')
		start--;
	if (!name || sscanf(start, "%lu.%lu", &s, &us) != 2 ||
	    sscanf(name, ": kvm_wbinvd_end: vcpu %u reason %15s cpus %u", &vcpu, reason, &cpus) !=
		    3 ||
	    vcpu >= VCPUS)
		return;
	v = &vcpus[vcpu];
	if (v->nr_events == MAX_RUNS)
		errx(2, "more than %d WBINVDs in a round", MAX_RUNS);
	v->events[v->nr_events].ns = s * 1000000000ULL + us * 1000;
	v->events[v->nr_events].cpus = cpus;
	v->events[v->nr_events++].flushed = !strcmp(reason, "emulated");
}

void *read_events(void *arg)
{
	int fd = open(INSTANCE "/trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	static char text[65536];
	size_t have = 0;

	(void)arg;
	if (fd < 0)
		err(2, INSTANCE);
	for (;;) {
		bool last = atomic_load(&stop_reading);
		ssize_t n = read(fd, text + have, sizeof(text) - have - 1);
		char *line = text, *end;

		if (n <= 0) {
			if (last)
				break;
			usleep(5000);
			continue;
		}
		text[have + n] = '\0';
		for (; (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			read_event(line);
		}
		have = strlen(line);
		memmove(text, line, have);
	}
	close(fd);
	return NULL;
}

/* ---- whether it was right ------------------------------------------------------------------------ */

static uint64_t counter(int fd, const char *wanted)
{
	struct kvm_stats_header header;
	struct kvm_stats_desc *d;
	uint64_t value = 0;
	size_t size;

	if (pread(fd, &header, sizeof(header), 0) != sizeof(header))
		err(2, "header of the statistics");
	size = sizeof(*d) + header.name_size;
	d = malloc(size);
	for (uint32_t i = 0; d && i < header.num_desc; i++)
		if (pread(fd, d, size, header.desc_offset + i * size) == (ssize_t)size &&
		    !strcmp(d->name, wanted) &&
		    pread(fd, &value, 8, header.data_offset + d->offset) == 8) {
			free(d);
			return value;
		}
	errx(2, "KVM has no %s", wanted);
}

static void check_stats(const struct vcpu *v, unsigned int flushed)
{
	int fd = ioctl(v->fd, KVM_GET_STATS_FD, NULL);
	uint64_t exits = counter(fd, "wbinvd_exits"), flushes = counter(fd, "wbinvd_flushes"),
		 skipped = counter(fd, "wbinvd_skipped");

	if (exits != flushes + skipped || exits != v->nr_wbinvds || flushes != flushed)
		wrong("vCPU %td: %u WBINVDs, %u traced as flushed; exits %lu, flushes %lu, skipped %lu",
		      v - vcpus, v->nr_wbinvds, flushed, exits, flushes, skipped);
	close(fd);
}

static int earlier(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	/* Of two at the same time the first one stays so */
	return x->ns != y->ns ? (x->ns > y->ns) - (x->ns < y->ns) : (x > y) - (x < y);
}

struct cursors {
	unsigned int of[3];
};

static void check_event(const struct vcpu *v, const struct event *e, uint64_t from,
			struct cursors *c)
{
	/* Times of the trace are in microseconds. */
	uint64_t to = e->ns + 1000;
	enum known device = all_the_time(&logs[OF_DEVICE], from - 1000, to, &c->of[OF_DEVICE]);
	enum known port = all_the_time(&logs[OF_PORT], from - 1000, to, &c->of[OF_PORT]);
	enum known policy = all_the_time(&logs[OF_POLICY], from - 1000, to, &c->of[OF_POLICY]);
	enum known wanted = MAYBE;

	if (policy == NO || (device == NO && port == NO))
		wanted = NO;
	else if (policy == YES && (device == YES || port == YES))
		wanted = YES;
	if (wanted == MAYBE)
		atomic_fetch_add(&shared->unknown, 1);
	else
		atomic_fetch_add(e->flushed ? &shared->flushed : &shared->skipped, 1);
	if (wanted != MAYBE && (wanted == YES) != e->flushed)
		wrong("vCPU %td: a WBINVD is %s: device %d, port %d, policy %d, for %lu us",
		      v - vcpus, e->flushed ? "flushed" : "skipped", device, port, policy,
		      (to - from) / 1000);
}

void check_vcpu(struct vcpu *v)
{
	unsigned int flushed = 0, n = 0;
	/* Where it was made */
	uint64_t dirty = 1;
	struct cursors cursors = { { 0 } };

	if (v->nr_events != v->nr_wbinvds) {
		wrong("vCPU %td: %u WBINVDs, %u of them traced", v - vcpus, v->nr_wbinvds,
		      v->nr_events);
		return;
	}
	qsort(v->events, v->nr_events, sizeof(*v->events), earlier);
	for (unsigned int i = 0; i < v->nr_runs; i++) {
		const struct run *r = &v->runs[i];
		uint64_t from = r->from;

		if (strcmp(opt.belie, "cpus"))
			dirty |= 1ULL << r->cpu;
		for (unsigned int k = 0; k < r->n; k++, n++) {
			const struct event *e = &v->events[n];
			unsigned int cpus = __builtin_popcountll(dirty);

			check_event(v, e, from, &cursors);
			from = e->ns;
			if (e->cpus != (e->flushed ? cpus : 0))
				wrong("vCPU %td: %u CPUs were flushed, not %u", v - vcpus, e->cpus,
				      e->flushed ? cpus : 0);
			if (e->flushed) {
				dirty = strcmp(opt.belie, "cpus") ? 1ULL << r->cpu : 1;
				flushed++;
			}
		}
	}
	check_stats(v, flushed);
}

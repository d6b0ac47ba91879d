// SPDX-License-Identifier: GPL-2.0
#include "pmu.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../lib/num.h"

#define NAME_LEN 64
#define MAX_CPUS 8192

/*
 * TOR_INSERTS.OPCODE (0x35) with umask OPCODE (0x1): the kernel programs the
 * opcode filter for this pair, and drops it without a word for most others
 * (snbep, ivbep and hswep_uncore_cbox_extra_regs[] in
 * arch/x86/events/intel/uncore_snbep.c:893, 1676, 2660).
 */
#define CBO(opcode)                                                                         \
	{                                                                                   \
		{ "event", 0x35 }, { "umask", 0x1 }, { "filter_opc", opcode }, { NULL, 0 }, \
	}
#define CBO_EVENTS                                                   \
	{                                                            \
		[PMU_READS] = CBO(0x1e4), [PMU_WRITES] = CBO(0x1e6), \
		[PMU_PARTIAL_WRITES] = CBO(0x1e5),                   \
	}

static const struct pmu_generation generations[] = {
	{ "Sandy Bridge-EP", { 45 }, "uncore_cbox", true, 0, NULL, CBO_EVENTS },
	{ "Ivy Bridge-EP", { 62 }, "uncore_cbox", true, 0, NULL, CBO_EVENTS },
	{ "Haswell-EP", { 63 }, "uncore_cbox", true, 0, NULL, CBO_EVENTS },
	{ "Broadwell-EP", { 79, 86 }, "uncore_cbox", true, 0, NULL, CBO_EVENTS },
	/*
	 * UNC_UPI_TxL_BASIC_HDR_MATCH (0x4; tools/perf/pmu-events/arch/x86/skylakex/
	 * uncore-interconnect.json), write-back class with an opcode: at the sender, the
	 * socket of the device.  RxL (0x5) counts at the socket of the memory.  Beyond two
	 * sockets links pass on what others send.
	 */
	{ "Skylake-SP or Cascade Lake-SP",
	  { 85 },
	  "uncore_upi",
	  false,
	  2,
	  "only requests to another socket's memory are seen, partial writes not at all",
	  { [PMU_READS] = { { "event", 0x4 }, { "umask", 0x1dd }, { NULL, 0 } },
	    [PMU_WRITES] = { { "event", 0x4 }, { "umask", 0x13d }, { NULL, 0 } } } },
};

#define NR(array) (sizeof(array) / sizeof((array)[0]))

int pmu_field_parse(const char *text, struct pmu_field *f)
{
	static const char *const configs[] = { "config:", "config1:", "config2:" };
	unsigned int first, last, i;
	char *end;

	memset(f, 0, sizeof(*f));
	for (i = 0; i < 3; i++)
		if (!strncmp(text, configs[i], strlen(configs[i])))
			break;
	if (i == 3)
		return -EINVAL;
	f->config = i;
	text += strlen(configs[i]);
	do {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		first = last = strtoul(text, &end, 10);
		if (*end == '-') {
			text = end + 1;
			if (*text < '0' || *text > '9')
				return -EINVAL;
			last = strtoul(text, &end, 10);
		}
		if (last > 63 || first > last || f->nr_bits + last - first + 1 > 64)
			return -EINVAL;
		while (first <= last)
			f->bit[f->nr_bits++] = first++;
		text = end + 1;
	} while (*end == ',');
	return *end && *end != '\n' ? -EINVAL : 0;
}

int pmu_field_set(const struct pmu_field *f, uint64_t value, uint64_t config[3])
{
	if (f->nr_bits < 64 && value >> f->nr_bits)
		return -ERANGE;
	for (unsigned int i = 0; i < f->nr_bits; i++)
		if (value >> i & 1)
			config[f->config] |= 1ULL << f->bit[i];
	return 0;
}

/* The value behind "key<tab>: " in the first processor's part. */
static int cpuinfo_value(const char *cpuinfo, const char *key, char *buf, size_t size)
{
	const char *p = cpuinfo;
	size_t n = strlen(key);

	for (; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		if (strncmp(p, key, n) || (p[n] != '\t' && p[n] != ' ' && p[n] != ':'))
			continue;
		p += strcspn(p, ":\n");
		if (*p != ':')
			continue;
		p += 1 + strspn(p + 1, " ");
		snprintf(buf, size, "%.*s", (int)strcspn(p, "\n"), p);
		return 0;
	}
	return -ENOENT;
}

const struct pmu_generation *pmu_generation_of(const char *cpuinfo, const char **why)
{
	char vendor[64] = "", family[16] = "", model[16] = "";
	uint64_t f = 0, m = 0;

	cpuinfo_value(cpuinfo, "vendor_id", vendor, sizeof(vendor));
	cpuinfo_value(cpuinfo, "cpu family", family, sizeof(family));
	cpuinfo_value(cpuinfo, "model", model, sizeof(model));
	num_u64(family, 0, 1000, &f);
	num_u64(model, 0, 1000, &m);
	if (!strcmp(vendor, "AuthenticAMD") || !strcmp(vendor, "HygonGenuine")) {
		*why = "not measurable on this CPU: none of AMD's published events tells no-snoop requests from others";
		return NULL;
	}
	*why = "not measurable on this CPU: no event for it has been published";
	if (strcmp(vendor, "GenuineIntel") || f != 6)
		return NULL;
	for (size_t i = 0; i < NR(generations); i++)
		for (size_t k = 0; k < 4 && generations[i].models[k]; k++)
			if (generations[i].models[k] == m) {
				*why = NULL;
				return &generations[i];
			}
	*why = "not measurable on this CPU: Intel has published events for no-snoop requests of local devices for Sandy Bridge-EP to Broadwell-EP alone";
	return NULL;
}

static int read_field(int dirfd, const char *name, struct pmu_field *f)
{
	char path[NAME_LEN], text[128];

	snprintf(path, sizeof(path), "format/%s", name);
	if (proc_read_attr(dirfd, path, text, sizeof(text)) <= 0)
		return -ENOENT;
	return pmu_field_parse(text, f);
}

int pmu_attr(int dirfd, const struct pmu_generation *g, enum pmu_kind kind,
	     struct perf_event_attr *attr)
{
	uint64_t config[3] = { 0 }, type;
	struct pmu_field f;
	int err;

	memset(attr, 0, sizeof(*attr));
	if (!g->terms[kind][0].field)
		return -EOPNOTSUPP;
	err = proc_read_number(dirfd, "type", 10, &type);
	if (err)
		return -ENOENT;
	for (const struct pmu_term *t = g->terms[kind]; t->field; t++) {
		err = read_field(dirfd, t->field, &f);
		if (!err)
			err = pmu_field_set(&f, t->value, config);
		if (err)
			return err;
	}
	attr->size = sizeof(*attr);
	attr->type = type;
	attr->config = config[0];
	attr->config1 = config[1];
	attr->config2 = config[2];
	attr->read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
	return 0;
}

double pmu_scaled(const struct pmu_value *before, const struct pmu_value *now, double *share)
{
	uint64_t enabled = now->enabled - before->enabled, running = now->running - before->running;

	*share = enabled ? (double)running / enabled : 0;
	if (!running)
		return 0;
	return (double)(now->value - before->value) * enabled / running;
}

void pmu_add(struct pmu_socket *s, enum pmu_kind kind, const struct pmu_value *before,
	     const struct pmu_value *now)
{
	double share;

	s->count[kind] += pmu_scaled(before, now, &share);
	if (!s->boxes[kind]++ || share < s->share[kind])
		s->share[kind] = share;
	s->ran[kind] += now->running != before->running;
}

bool pmu_known(const struct pmu_socket *s, enum pmu_kind kind)
{
	return s->boxes[kind] && s->ran[kind] == s->boxes[kind];
}

static bool ran_always(const struct pmu_socket *s, enum pmu_kind kind)
{
	return pmu_known(s, kind) && s->share[kind] >= 0.99;
}

bool pmu_ran_always(const struct pmu_socket *s)
{
	for (int kind = 0; kind < PMU_NR_KINDS; kind++)
		if (!ran_always(s, kind))
			return false;
	return true;
}

/* Counted in turns with others, or not at all. */
static bool shared(const struct pmu_socket *s)
{
	for (int kind = 0; kind < PMU_NR_KINDS; kind++)
		if (s->boxes[kind] && !ran_always(s, kind))
			return true;
	return false;
}

const char *pmu_hides(const struct pmu_generation *g, const struct pmu_socket *s, size_t n,
		      size_t i)
{
	static const char *const always[] = {
		"a root port that ignores no-snoop",
		"an IOMMU that blocks it",
		"a device that was not at work",
	};
	bool turns = false;

	if (i < NR(always))
		return always[i];
	i -= NR(always);
	if (g->hides && !i--)
		return g->hides;
	for (size_t k = 0; k < n; k++)
		turns |= shared(&s[k]);
	return turns && !i ? "the time in which an event did not run: the counters multiplex them" :
			     NULL;
}

/* --- the events of this machine ------------------------------------------- */

struct counter {
	int fd;
	enum pmu_kind kind;
	unsigned int socket;
	struct pmu_value last;
};

struct pmu {
	const struct pmu_generation *g;
	struct counter *counters;
	size_t n;
	struct pmu_socket *sockets;
	size_t nr_sockets;
};

void pmu_close(struct pmu *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		close(p->counters[i].fd);
	free(p->counters);
	free(p->sockets);
	free(p);
}

static unsigned int socket_of(int rootfd, unsigned int cpu)
{
	char path[96];
	uint64_t v;

	snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/topology/physical_package_id",
		 cpu);
	return proc_read_number(rootfd, path, 10, &v) ? 0 : v;
}

static struct pmu_socket *get_socket(struct pmu *p, unsigned int socket)
{
	struct pmu_socket *grown;

	for (size_t i = 0; i < p->nr_sockets; i++)
		if (p->sockets[i].socket == socket)
			return &p->sockets[i];
	grown = reallocarray(p->sockets, p->nr_sockets + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	p->sockets = grown;
	memset(&grown[p->nr_sockets], 0, sizeof(*grown));
	grown[p->nr_sockets].socket = socket;
	return &grown[p->nr_sockets++];
}

static int open_counter(struct pmu *p, struct perf_event_attr *attr, enum pmu_kind kind,
			unsigned int cpu, unsigned int socket)
{
	struct counter *grown = reallocarray(p->counters, p->n + 1, sizeof(*grown));
	int fd;

	if (!grown)
		return -ENOMEM;
	p->counters = grown;
	fd = syscall(SYS_perf_event_open, attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	grown[p->n++] = (struct counter){ .fd = fd, .kind = kind, .socket = socket };
	return 0;
}

/* The sockets of these CPUs; -EXDEV where they are too many to tell whose requests are counted. */
static int add_sockets(struct pmu *p, int rootfd, const unsigned int *cpus, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!get_socket(p, socket_of(rootfd, cpus[i])))
			return -ENOMEM;
	return p->g->max_sockets && p->nr_sockets > p->g->max_sockets ? -EXDEV : 0;
}

/* One box: each kind on the CPU that stands for each socket. */
static int open_box(struct pmu *p, int rootfd, int dirfd)
{
	struct perf_event_attr attr;
	unsigned int *cpus = NULL;
	char mask[256];
	size_t n = 0;
	int err;

	if (proc_read_attr(dirfd, "cpumask", mask, sizeof(mask)) <= 0)
		return -ENOENT;
	err = num_cpulist(mask, MAX_CPUS, &cpus, &n);
	if (!err)
		err = add_sockets(p, rootfd, cpus, n);
	for (int kind = 0; !err && kind < PMU_NR_KINDS; kind++) {
		err = pmu_attr(dirfd, p->g, kind, &attr);
		if (err == -EOPNOTSUPP) {
			err = 0;
			continue;
		}
		for (size_t i = 0; !err && i < n; i++)
			err = open_counter(p, &attr, kind, cpus[i], socket_of(rootfd, cpus[i]));
	}
	free(cpus);
	return err;
}

static int open_boxes(struct pmu *p, int rootfd)
{
	size_t len = strlen(p->g->pmu), boxes = 0;
	struct dirent *de;
	int fd, box, err = 0;
	DIR *dir;

	fd = openat(rootfd, "sys/bus/event_source/devices", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return -ENOENT;
	}
	while (!err && (de = readdir(dir))) {
		if (strncmp(de->d_name, p->g->pmu, len) ||
		    (de->d_name[len] && de->d_name[len] != '_'))
			continue;
		box = openat(fd, de->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (box < 0)
			continue;
		boxes++;
		err = open_box(p, rootfd, box);
		close(box);
	}
	closedir(dir);
	return err ? err : boxes ? 0 : -ENOENT;
}

static const char *sentence(int err)
{
	switch (err) {
	case -ENOENT:
		return "this CPU could count, but the kernel shows no PMU for it: a VM, or the module intel_uncore is not loaded";
	case -EACCES:
	case -EPERM:
		return "this CPU could count, but perf_event_open() was refused: needs root or CAP_PERFMON";
	case -EXDEV:
		return "not measurable here: with more than two sockets their links pass on what others send";
	case -ENOMEM:
		return "out of memory for the events";
	default:
		return "this CPU could count, but its events cannot be put together from what the kernel shows";
	}
}

struct pmu *pmu_open(int rootfd, const char **why)
{
	const struct pmu_generation *g;
	char *cpuinfo = NULL;
	struct pmu *p;
	size_t len;
	int err;

	*why = "not measurable: /proc/cpuinfo cannot be read";
	if (proc_read_file(rootfd, "proc/cpuinfo", 65536, &cpuinfo, &len))
		return NULL;
	g = pmu_generation_of(cpuinfo, why);
	free(cpuinfo);
	if (!g)
		return NULL;
	p = calloc(1, sizeof(*p));
	err = p ? 0 : -ENOMEM;
	if (p) {
		p->g = g;
		err = open_boxes(p, rootfd);
	}
	if (!err)
		err = pmu_read(p);
	if (!err) {
		*why = NULL;
		return p;
	}
	*why = sentence(err);
	pmu_close(p);
	return NULL;
}

int pmu_read(struct pmu *p)
{
	for (size_t i = 0; i < p->nr_sockets; i++) {
		unsigned int socket = p->sockets[i].socket;

		memset(&p->sockets[i], 0, sizeof(p->sockets[i]));
		p->sockets[i].socket = socket;
	}
	for (size_t i = 0; i < p->n; i++) {
		struct counter *c = &p->counters[i];
		struct pmu_socket *s = get_socket(p, c->socket);
		struct pmu_value now;

		if (read(c->fd, &now, sizeof(now)) != sizeof(now))
			return -EIO;
		pmu_add(s, c->kind, &c->last, &now);
		c->last = now;
	}
	return 0;
}

const struct pmu_socket *pmu_sockets(const struct pmu *p, size_t *n)
{
	*n = p->nr_sockets;
	return p->sockets;
}

const struct pmu_generation *pmu_generation(const struct pmu *p)
{
	return p->g;
}

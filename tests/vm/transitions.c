// SPDX-License-Identifier: GPL-2.0
/*
 * transitions [OPTION]... DEVICE PORT
 *
 * vCPUs execute WBINVD while DMA becomes coherent and non-coherent around them:
 * DEVICE is attached, replaced and detached, KVM loses and regains it, and it is
 * unplugged; PORT, of which the kernel trusts that it follows Enable No Snoop, is
 * attached and blocked; and the policy of the VM changes.  At the end of each
 * round the process of the VM is killed in the middle of it.
 *
 * Of each change it is noted when its call began and when it returned.  A WBINVD
 * that ends before the next call begins, and starts after the last one returned,
 * has to be flushed or skipped as it was left, on as many CPUs as that vCPU ran
 * on since its last flush.  What came of each WBINVD is told by the tracepoint
 * kvm_wbinvd_end, and added up by the statistics of the vCPU.
 *
 *   --transitions N   changes, all rounds together (default: 60)
 *   --seed N          of the numbers (default: from the clock; printed)
 *   --belie WHAT      believe that what attaches without coherency is coherent
 *                     ("attach"), that the policy never changes ("policy"), or
 *                     that vCPUs never move ("cpus"): something is wrong then
 *
 * Both are on vfio-pci, and the IOMMU can block no-snoop.  Prints numbers,
 * "NAME: N", and a line for each thing that is wrong.  Exit status: 0 nothing
 * is, 1 something is, 2 this program cannot.
 */
#include <argp.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "leaks.h"
#include "uapi-coherency.h"

#define INSTANCE "/sys/kernel/tracing/instances/transitions"
#define PAGE	 4096UL
#define MAPPED	 (16 * PAGE)
#define IOVA	 (1UL << 24)
#define ROUND	 100 /* changes */
#define VCPUS	 3
#define MAX_CPUS 64
#define MAX_LOG	 4096
#define MAX_RUNS (1 << 20)
#define HANG_S	 300

static struct options {
	unsigned int transitions;
	uint64_t seed;
	bool seeded;
	const char *belie;
	const char *devices[2];
} opt = { .transitions = 60, .belie = "" };

/* What all processes see */
static struct shared {
	atomic_uint wrong, transitions, flushed, skipped, unknown, unplugged;
	atomic_bool stop, checked, stop_unplug;
	/* 1 + the number of the device to be unplugged, 0: done */
	atomic_uint unplug;
} * shared;

static void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void wrong(const char *format, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	/* More of the same would drown the rest. */
	if (atomic_fetch_add(&shared->wrong, 1) < 20)
		dprintf(STDOUT_FILENO, "wrong: %s\n", text);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static __thread uint64_t state;

static uint32_t below(uint32_t n)
{
	/* xorshift64* */
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 0x2545f4914f6cdd1dULL >> 32) % n;
}

static void seed_with(uint64_t what)
{
	state = (opt.seed + what) * 0x9e3779b97f4a7c15ULL | 1;
	for (int i = 0; i < 8; i++)
		below(2);
}

static int write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), error = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		error = errno;
	close(fd);
	return error;
}

/* ---- what was known when ------------------------------------------------------------------------- */

enum known { NO, YES, MAYBE };

/* Of each of those who change something: does it ask for flushes, or for the policy, allow them? */
static struct log {
	struct {
		uint64_t ns;
		enum known known;
	} at[MAX_LOG];
	unsigned int n;
} logs[3];

enum { OF_DEVICE, OF_PORT, OF_POLICY };

static void note(struct log *log, enum known known)
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

/* A change between two notes, unless it is from one to the same; left: what holds after it */
#define CHANGE(log, left, what)                                  \
	do {                                                     \
		if ((log)->at[(log)->n - 1].known != (left))     \
			note(log, MAYBE);                        \
		if (what)                                        \
			wrong("%s: %s", #what, strerror(errno)); \
		note(log, left);                                 \
		atomic_fetch_add(&shared->transitions, 1);       \
	} while (0)

/* ---- the VM -------------------------------------------------------------------------------------- */

/* 1: wbinvd; dec ecx; jnz 1b; hlt */
static const uint8_t code[] = { 0x0f, 0x09, 0x66, 0x49, 0x75, 0xfa, 0xf4 };

struct run {
	uint64_t from;
	unsigned int cpu, n;
};

struct event {
	uint64_t ns;
	unsigned int cpus;
	bool flushed;
};

static struct vcpu {
	int fd;
	struct kvm_run *run;
	unsigned int nr_runs, nr_events, nr_wbinvds;
	struct run *runs;
	struct event *events;
} vcpus[VCPUS];

static int vm, kvm_vfio;
static unsigned int nr_cpus;
static uint8_t *memory;

static void go_to(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(2, "CPU %u", cpu);
}

static void *records(size_t size)
{
	void *p = mmap(NULL, size * MAX_RUNS, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		err(2, "memory");
	return p;
}

static void new_vcpu(int kvm, unsigned int i)
{
	struct vcpu *v = &vcpus[i];
	struct kvm_sregs sregs;

	v->fd = ioctl(vm, KVM_CREATE_VCPU, i);
	if (v->fd < 0 || ioctl(v->fd, KVM_GET_SREGS, &sregs))
		err(2, "vCPU");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(v->fd, KVM_SET_SREGS, &sregs))
		err(2, "registers of the vCPU");
	v->run = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
		      MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED)
		err(2, "mmap of the vCPU");
	v->runs = records(sizeof(*v->runs));
	v->events = records(sizeof(*v->events));
}

/* On CPU 0, as what loads a vCPU makes KVM flush there */
static void new_vm(void)
{
	struct kvm_userspace_memory_region region = { .memory_size = 2 * PAGE };
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	go_to(0);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	memory = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (vm < 0 || memory == MAP_FAILED)
		err(2, "VM");
	memcpy(memory + PAGE, code, sizeof(code));
	region.userspace_addr = (uintptr_t)memory;
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) || ioctl(vm, KVM_CREATE_DEVICE, &create))
		err(2, "VM");
	kvm_vfio = create.fd;
	for (unsigned int i = 0; i < VCPUS; i++)
		new_vcpu(kvm, i);
	close(kvm);
}

static atomic_bool stop_vcpus;

static void *run_vcpu(void *arg)
{
	struct vcpu *v = arg;

	seed_with(100 + (v - vcpus));
	while (!atomic_load(&stop_vcpus) && v->nr_runs < MAX_RUNS) {
		struct run *r = &v->runs[v->nr_runs];
		struct kvm_regs regs = { .rip = PAGE, .rflags = 2 };

		r->cpu = below(nr_cpus);
		r->n = regs.rcx = 1 + below(6);
		go_to(r->cpu);
		r->from = now();
		if (ioctl(v->fd, KVM_SET_REGS, &regs) || ioctl(v->fd, KVM_RUN, 0) ||
		    v->run->exit_reason != KVM_EXIT_HLT)
			errx(2, "a vCPU ended with %s, exit reason %u", strerror(errno),
			     v->run->exit_reason);
		v->nr_wbinvds += r->n;
		v->nr_runs++;
		usleep(below(2000));
	}
	return NULL;
}

/* ---- what was traced ----------------------------------------------------------------------------- */

static void start_tracing(void)
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

static atomic_bool stop_reading;

static void *read_events(void *arg)
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

/* ---- who changes something ----------------------------------------------------------------------- */

enum { ENFORCED, NONCOHERENT, HWPT_ENFORCED, HWPT_NONCOHERENT, NR_TARGETS };

static struct device {
	unsigned int nr;
	int iommu, fd;
	uint32_t id, targets[NR_TARGETS], flat;
	int attached; /* a target, -1: nothing */
	bool known, blocked;
	struct log *log;
} devices[2];

static int open_cdev(const char *device)
{
	char path[128];
	glob_t found;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/vfio*", device);
	if (glob(path, 0, NULL, &found))
		return -1;
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd;
}

static uint32_t new_ioas(int iommu, uint32_t flags)
{
	struct wb_iommu_ioas_alloc ioas = { .size = sizeof(ioas), .flags = flags };
	struct wb_iommu_ioas_map map = { .size = sizeof(map),
					 .flags = 7,
					 .user_va = (uintptr_t)memory,
					 .length = MAPPED,
					 .iova = IOVA };

	if (ioctl(iommu, WB_IOMMU_IOAS_ALLOC, &ioas))
		err(2, "IOAS");
	map.ioas_id = ioas.out_ioas_id;
	if (ioctl(iommu, WB_IOMMU_IOAS_MAP, &map))
		err(2, "map");
	return ioas.out_ioas_id;
}

static uint32_t new_hwpt(const struct device *d, uint32_t flags)
{
	struct wb_iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = flags, .dev_id = d->id, .pt_id = d->flat
	};

	if (ioctl(d->iommu, WB_IOMMU_HWPT_ALLOC, &cmd))
		err(2, "HWPT");
	return cmd.out_hwpt_id;
}

/* It may be on its way back */
static void open_device(struct device *d)
{
	struct wb_vfio_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = d->iommu };
	int i = 0;

	do {
		d->fd = open_cdev(opt.devices[d->nr]);
		if (d->fd >= 0 && !ioctl(d->fd, WB_VFIO_DEVICE_BIND_IOMMUFD, &bind))
			break;
		close(d->fd);
		usleep(50000);
	} while (++i < 1200);
	if (i == 1200)
		err(2, "%s", opt.devices[d->nr]);
	d->id = bind.out_devid;
	d->attached = -1;
	d->targets[HWPT_ENFORCED] = new_hwpt(d, WB_IOMMU_HWPT_ALLOC_ENFORCE_COHERENCY);
	d->targets[HWPT_NONCOHERENT] = new_hwpt(d, WB_IOMMU_HWPT_ALLOC_NONCOHERENT);
}

static int tell_kvm(uint32_t group, uint64_t attr, int fd)
{
	struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uintptr_t)&fd };

	return ioctl(kvm_vfio, KVM_SET_DEVICE_ATTR, &a);
}

static int attach_to(const struct device *d, uint32_t id)
{
	struct wb_vfio_attach_iommufd_pt cmd = { .argsz = sizeof(cmd), .pt_id = id };

	return ioctl(d->fd, WB_VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

static int detach(const struct device *d)
{
	struct wb_vfio_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	return ioctl(d->fd, WB_VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static int block(const struct device *d, uint32_t op)
{
	struct {
		uint32_t argsz, flags, op, how;
	} f = { 16, VFIO_DEVICE_FEATURE_SET | WB_VFIO_DEVICE_FEATURE_PCI_NO_SNOOP, op, 0 };

	return ioctl(d->fd, VFIO_DEVICE_FEATURE, &f);
}

/* Does the device do non-coherent DMA, as far as KVM is to know? */
static enum known of(const struct device *d)
{
	bool coherent = d->attached < 0 || d->attached == ENFORCED || d->attached == HWPT_ENFORCED;

	if (!strcmp(opt.belie, "attach"))
		coherent = true;
	return d->known && !d->blocked && !coherent ? YES : NO;
}

/* Unplugging waits for the device to be closed, as KVM has it open: after it was told */
static void unplug(struct device *d)
{
	struct wb_iommu_destroy destroy = { .size = sizeof(destroy) };
	unsigned int want = 0;

	while (!atomic_compare_exchange_weak(&shared->unplug, &want, d->nr + 1)) {
		want = 0;
		usleep(1000);
	}
	usleep(below(50000));
	if (d->nr == OF_DEVICE && d->known) {
		d->known = false;
		CHANGE(d->log, NO, tell_kvm(WB_KVM_DEV_VFIO_FILE, WB_KVM_DEV_VFIO_FILE_DEL, d->fd));
	}
	d->attached = -1;
	d->blocked = false;
	CHANGE(d->log, NO, close(d->fd));
	for (int i = HWPT_ENFORCED; i < NR_TARGETS; i++) {
		destroy.id = d->targets[i];
		if (ioctl(d->iommu, WB_IOMMU_DESTROY, &destroy))
			wrong("a HWPT is not destroyed: %s", strerror(errno));
	}
	while (atomic_load(&shared->unplug) == d->nr + 1 && !atomic_load(&shared->stop))
		usleep(1000);
	open_device(d);
	if (d->nr == OF_DEVICE) {
		d->known = true;
		CHANGE(d->log, NO, tell_kvm(WB_KVM_DEV_VFIO_FILE, WB_KVM_DEV_VFIO_FILE_ADD, d->fd));
	}
	d->attached = NONCOHERENT;
	CHANGE(d->log, of(d), attach_to(d, d->targets[NONCOHERENT]));
	atomic_fetch_add(&shared->unplugged, 1);
}

static void change_device(struct device *d)
{
	unsigned int what = below(25);

	if (what == 0) {
		unplug(d);
	} else if (what < 8 && d->attached >= 0) {
		d->attached = -1;
		CHANGE(d->log, of(d), detach(d));
	} else if (what < 16 && d->nr == OF_DEVICE) {
		d->known = !d->known;
		CHANGE(d->log, of(d),
		       tell_kvm(WB_KVM_DEV_VFIO_FILE,
				d->known ? WB_KVM_DEV_VFIO_FILE_ADD : WB_KVM_DEV_VFIO_FILE_DEL,
				d->fd));
	} else if (what < 22 && d->nr == OF_PORT) {
		d->blocked = !d->blocked;
		CHANGE(d->log, of(d), block(d, d->blocked));
	} else {
		d->attached = below(3) ? NONCOHERENT + 2 * below(2) : ENFORCED + 2 * below(2);
		CHANGE(d->log, of(d), attach_to(d, d->targets[d->attached]));
	}
}

static void *change_devices(void *arg)
{
	struct device *d = arg;

	seed_with(200 + d->nr);
	while (!atomic_load(&shared->stop)) {
		change_device(d);
		/* What is flushed takes longer than what is not */
		usleep(below(of(d) == YES ? 100000 : 5000));
	}
	return NULL;
}

static int set_policy(uint64_t policy)
{
	struct kvm_enable_cap cap = { .cap = WB_KVM_CAP_X86_NONCOHERENT_DMA, .args = { policy } };

	return ioctl(vm, KVM_ENABLE_CAP, &cap);
}

/* Pause, force coherent, resume; resumed most of the time */
static void *change_policy(void *arg)
{
	struct log *log = arg;

	seed_with(300);
	while (!atomic_load(&shared->stop)) {
		unsigned int policy = below(4) ? 0 : 1 + below(3);

		CHANGE(log, policy && strcmp(opt.belie, "policy") ? NO : YES, set_policy(policy));
		usleep(below(policy ? 10000 : 100000));
	}
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

static void check_vcpu(struct vcpu *v)
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

static unsigned int all_events(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < VCPUS; i++)
		n += vcpus[i].nr_events - vcpus[i].nr_wbinvds;
	return n;
}

/* ---- a round ------------------------------------------------------------------------------------- */

static void start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	if (pthread_create(thread, NULL, run, arg))
		errx(2, "threads");
}

static void prepare(struct device *d, unsigned int nr)
{
	d->nr = nr;
	d->log = &logs[nr];
	d->iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	d->flat = new_ioas(d->iommu, 0);
	d->targets[ENFORCED] = new_ioas(d->iommu, WB_IOMMU_IOAS_ALLOC_ENFORCE_COHERENCY);
	d->targets[NONCOHERENT] = new_ioas(d->iommu, WB_IOMMU_IOAS_ALLOC_NONCOHERENT);
	open_device(d);
	/* One is known by its file, the other one by its iommufd. */
	d->known = true;
	if (nr == OF_DEVICE ?
		    tell_kvm(WB_KVM_DEV_VFIO_FILE, WB_KVM_DEV_VFIO_FILE_ADD, d->fd) :
		    tell_kvm(WB_KVM_DEV_VFIO_IOMMUFD, WB_KVM_DEV_VFIO_IOMMUFD_ADD, d->iommu))
		err(2, "KVM");
	note(d->log, NO);
}

/* In a process of its own, which ends when it is killed */
static void round_of_changes(unsigned int nr, unsigned int until)
{
	pthread_t runners[VCPUS], changers[3], reader;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	opt.seed += nr;
	seed_with(0);
	new_vm();
	for (unsigned int i = 0; i < 2; i++)
		prepare(&devices[i], i);
	note(&logs[OF_POLICY], YES);
	start_tracing();
	start(&reader, read_events, NULL);
	for (unsigned int i = 0; i < VCPUS; i++)
		start(&runners[i], run_vcpu, &vcpus[i]);
	for (unsigned int i = 0; i < 2; i++)
		start(&changers[i], change_devices, &devices[i]);
	start(&changers[2], change_policy, &logs[OF_POLICY]);
	while (atomic_load(&shared->transitions) < until)
		usleep(5000);
	atomic_store(&shared->stop, true);
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(changers[i], NULL);
	atomic_store(&stop_vcpus, true);
	for (unsigned int i = 0; i < VCPUS; i++)
		pthread_join(runners[i], NULL);
	for (int i = 0; i < 200 && all_events(); i++)
		usleep(50000);
	atomic_store(&stop_reading, true);
	pthread_join(reader, NULL);
	for (unsigned int i = 0; i < VCPUS; i++)
		check_vcpu(&vcpus[i]);
	/* Again, to be killed in the middle of it */
	write_to(INSTANCE "/events/kvm/kvm_wbinvd_end/enable", "0");
	atomic_store(&shared->stop, false);
	atomic_store(&stop_vcpus, false);
	for (unsigned int i = 0; i < VCPUS; i++)
		start(&runners[i], run_vcpu, &vcpus[i]);
	for (unsigned int i = 0; i < 2; i++)
		start(&changers[i], change_devices, &devices[i]);
	start(&changers[2], change_policy, &logs[OF_POLICY]);
	atomic_store(&shared->checked, true);
	for (;;)
		pause();
}

static int wait_for(pid_t pid, const char *what, bool (*done)(void))
{
	uint64_t end = now() + HANG_S * 1000000000ULL;
	int status = 0;

	while (!(done && done()) && !waitpid(pid, &status, WNOHANG)) {
		if (now() > end) {
			wrong("%s does not end", what);
			write_to("/proc/sysrq-trigger", "w");
			exit(1);
		}
		usleep(10000);
	}
	return status;
}

static bool checked(void)
{
	return atomic_load(&shared->checked);
}

static void one_round(unsigned int nr, unsigned int until)
{
	pid_t pid;
	int status;

	atomic_store(&shared->stop, false);
	atomic_store(&shared->checked, false);
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		err(2, "fork");
	if (!pid)
		round_of_changes(nr, until);
	status = wait_for(pid, "a round", checked);
	if (!checked())
		errx(2, "a round ended with status 0x%x", status);
	usleep(50000 + below(200000));
	kill(pid, SIGKILL);
	wait_for(pid, "a VM that was killed", NULL);
}

/* In a process of its own that has none of the files: removing waits for who has them */
static pid_t start_unplugging(void)
{
	char path[64];
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!atomic_load(&shared->stop_unplug)) {
		unsigned int which = atomic_load(&shared->unplug);

		if (!which) {
			usleep(1000);
			continue;
		}
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove",
			 opt.devices[which - 1]);
		write_to(path, "1");
		write_to("/sys/bus/pci/rescan", "1");
		atomic_store(&shared->unplug, 0);
	}
	_exit(0);
}

/* Whether each device can be had again */
static void check_devices(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct wb_vfio_bind_iommufd bind = { .argsz = sizeof(bind) };
		int fd = -1;

		bind.iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
		for (int k = 0; k < 600 && fd < 0; k++) {
			fd = open_cdev(opt.devices[i]);
			usleep(fd < 0 ? 50000 : 0);
		}
		if (ioctl(fd, WB_VFIO_DEVICE_BIND_IOMMUFD, &bind))
			wrong("%s cannot be bound any more: %s", opt.devices[i], strerror(errno));
		close(fd);
		close(bind.iommufd);
	}
}

static error_t parse(int key, char *arg, struct argp_state *s)
{
	switch (key) {
	case 't':
		opt.transitions = strtoul(arg, NULL, 0);
		return 0;
	case 's':
		opt.seed = strtoull(arg, NULL, 0);
		opt.seeded = true;
		return 0;
	case 'b':
		opt.belie = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (s->arg_num > 1)
			return ARGP_ERR_UNKNOWN;
		opt.devices[s->arg_num] = arg;
		return 0;
	case ARGP_KEY_END:
		if (s->arg_num < 2)
			argp_error(s, "two devices are needed");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = (const struct argp_option[]){ { "transitions", 't', "N", 0, "changes", 0 },
						 { "seed", 's', "N", 0, "of the numbers", 0 },
						 { "belie", 'b', "WHAT", 0,
						   "attach, policy or cpus", 0 },
						 { 0 } },
	.parser = parse,
	.args_doc = "DEVICE PORT",
};

int main(int argc, char **argv)
{
	unsigned int rounds = 0;
	long long before, after;
	pid_t unplugging;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	if (!opt.seeded)
		opt.seed = (uint64_t)time(NULL);
	seed_with(400);
	nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (nr_cpus > MAX_CPUS)
		errx(2, "more than %d CPUs", MAX_CPUS);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		err(2, "memory");
	printf("seed: %llu\n", (unsigned long long)opt.seed);
	before = pinned_pages();
	unplugging = start_unplugging();
	for (unsigned int n = 0; n < opt.transitions; rounds++) {
		n = n + ROUND < opt.transitions ? n + ROUND : opt.transitions;
		one_round(rounds, n);
	}
	atomic_store(&shared->stop_unplug, true);
	wait_for(unplugging, "unplugging", NULL);
	check_devices();
	after = wait_for_pins(before, 10);
	if (after != before)
		wrong("%lld pages are pinned, %lld were", after, before);
	rmdir(INSTANCE);
	printf("rounds: %u\ntransitions: %u\nflushed: %u\nskipped: %u\nunknown: %u\nunplugged: %u\nwrong: %u\n",
	       rounds, atomic_load(&shared->transitions), atomic_load(&shared->flushed),
	       atomic_load(&shared->skipped), atomic_load(&shared->unknown),
	       atomic_load(&shared->unplugged), atomic_load(&shared->wrong));
	return atomic_load(&shared->wrong) ? 1 : 0;
}

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
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../chance.h"
#include "../leaks.h"
#include "../uapi-coherency.h"
#include "transitions.h"

#define ROUND	 100 /* changes */
#define MAX_CPUS 64
#define HANG_S	 300

struct options opt = { .transitions = 60, .belie = "" };
struct shared *shared;
struct vcpu vcpus[VCPUS];
int vm, kvm_vfio;
uint8_t *memory;

void wrong(const char *format, ...)
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

uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* ---- the VM -------------------------------------------------------------------------------------- */

/* 1: wbinvd; dec ecx; jnz 1b; hlt */
static const uint8_t code[] = { 0x0f, 0x09, 0x66, 0x49, 0x75, 0xfa, 0xf4 };

static unsigned int nr_cpus;

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

	seed_with(opt.seed + 100 + (v - vcpus));
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

/* ---- a round ------------------------------------------------------------------------------------- */

static void start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	if (pthread_create(thread, NULL, run, arg))
		errx(2, "threads");
}

static unsigned int all_events(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < VCPUS; i++)
		n += vcpus[i].nr_events - vcpus[i].nr_wbinvds;
	return n;
}

/* In a process of its own, which ends when it is killed */
static void round_of_changes(unsigned int nr, unsigned int until)
{
	pthread_t runners[VCPUS], changers[3], reader;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	opt.seed += nr;
	seed_with(opt.seed + 0);
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
	seed_with(opt.seed + 400);
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

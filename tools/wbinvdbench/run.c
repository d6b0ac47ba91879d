// SPDX-License-Identifier: GPL-2.0
/* The vCPUs' threads: one each, batches timed by the host's clock. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "bench.h"
#include "log.h"

#define NSEC_PER_SEC 1000000000ULL
#define KICK_SIGNAL  SIGUSR1
#define KICK_MS	     10

#define WARM_UP	      10
#define EMPTY_BATCHES 101

uint64_t bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static bool stopped(const struct vm *vm)
{
	return __atomic_load_n(&vm->stop, __ATOMIC_ACQUIRE);
}

/* KVM_RUN has returned: true when the batch is done, else go on or *err says why not. */
static bool batch_done(struct vcpu *vcpu, uint64_t *begin, int *err)
{
	const struct kvm_run *run = vcpu->run;

	if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT) {
		if (run->io.port == GUEST_PORT_END)
			return true;
		if (run->io.port == GUEST_PORT_BEGIN) {
			*begin = bench_now();
			return false;
		}
	}
	if (run->exit_reason == KVM_EXIT_INTR)
		return false;
	vcpu->why = bench_exit_text(run);
	*err = -EIO;
	return false;
}

/*
 * Lets the guest run one batch of n instructions; *ns is what it took, *end
 * when it ended.  0, -EINTR when stopped, or -errno with vcpu->why.
 */
static int run_batch(struct vcpu *vcpu, uint64_t n, uint64_t *ns, uint64_t *end)
{
	uint64_t begin;
	int err = 0;

	vcpu->ctl->todo = n;
	begin = bench_now();
	while (!err) {
		if (!ioctl(vcpu->fd, KVM_RUN, 0)) {
			uint64_t now = bench_now();

			if (batch_done(vcpu, &begin, &err)) {
				*ns = now - begin;
				*end = now;
				return 0;
			}
		} else if (errno == EINTR || errno == EAGAIN) {
			if (stopped(vcpu->vm))
				return -EINTR;
		} else {
			err = -errno;
			if (asprintf(&vcpu->why, "KVM_RUN failed: %s", strerror(-err)) < 0)
				vcpu->why = NULL;
		}
	}
	return err;
}

static int cmp_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* What a batch costs before its first instruction: the median of empty ones. */
static int calibrate(struct vcpu *vcpu)
{
	uint64_t ns[EMPTY_BATCHES], end;
	int err = 0;

	vcpu->ctl->dirty_gpa = 0;
	vcpu->ctl->dirty_end = 0;
	for (int i = -WARM_UP; i < EMPTY_BATCHES && !err; i++)
		err = run_batch(vcpu, 0, &ns[i < 0 ? 0 : i], &end);
	if (err)
		return err;
	qsort(ns, EMPTY_BATCHES, sizeof(ns[0]), cmp_u64);
	vcpu->overhead_ns = ns[EMPTY_BATCHES / 2];
	return 0;
}

/* Absolute deadlines: a late batch does not shift those after it. */
static int pace(const struct vcpu *vcpu, uint64_t start, uint64_t done)
{
	uint64_t rate = vcpu->vm->opt->rate;
	uint64_t due = start + done / rate * NSEC_PER_SEC + done % rate * NSEC_PER_SEC / rate;
	struct timespec ts = { .tv_sec = due / NSEC_PER_SEC, .tv_nsec = due % NSEC_PER_SEC };

	while (!stopped(vcpu->vm)) {
		if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) != EINTR)
			return 0;
	}
	return -EINTR;
}

static int run_batches(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	uint64_t start = bench_now(), done = 0, ns, end, n;
	int err;

	vcpu->ctl->dirty_gpa = GUEST_DIRTY_GPA + vcpu->id * vm->opt->dirty;
	vcpu->ctl->dirty_end = vcpu->ctl->dirty_gpa + vm->opt->dirty;
	while (done < vm->opt->count) {
		n = vm->opt->count - done < vm->batch ? vm->opt->count - done : vm->batch;
		if (vm->opt->rate) {
			err = pace(vcpu, start, done);
			if (err)
				return err;
		}
		err = run_batch(vcpu, n, &ns, &end);
		if (err)
			return err;
		done += n;
		if (vcpu->ctl->executed != done) {
			if (asprintf(&vcpu->why, "the guest counted %llu instructions, not %llu",
				     (unsigned long long)vcpu->ctl->executed,
				     (unsigned long long)done) < 0)
				vcpu->why = NULL;
			return -EIO;
		}
		/* A shorter one at the end has more of the exit that ends it in each instruction. */
		if (n == vm->batch)
			quant_add(&vcpu->ps, ns * 1000 / n);
		vcpu->wall_ns = end - start;
		if (stopped(vm))
			return -EINTR;
	}
	return 0;
}

/* To the unit even when stopped in the middle of a batch. */
static uint64_t executed(const struct vcpu *vcpu)
{
	struct kvm_regs regs;
	uint64_t n = vcpu->ctl->executed;

	if (!ioctl(vcpu->fd, KVM_GET_REGS, &regs) && guest_uncounted(vcpu->vm->opt->insn, regs.rip))
		n++;
	return n;
}

static void wait_for_go(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->ready++;
	pthread_cond_broadcast(&vm->changed);
	while (!vm->go)
		pthread_cond_wait(&vm->changed, &vm->lock);
	pthread_mutex_unlock(&vm->lock);
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct vm *vm = vcpu->vm;
	uint64_t one = 1;
	char name[16];
	sigset_t kick;

	snprintf(name, sizeof(name), "vcpu/%u", vcpu->id);
	pthread_setname_np(pthread_self(), name);
	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);

	vcpu->err = calibrate(vcpu);
	wait_for_go(vm);
	if (!vcpu->err && !stopped(vm))
		vcpu->err = run_batches(vcpu);
	if (vcpu->err == -EINTR)
		vcpu->err = 0;
	vcpu->executed = executed(vcpu);
	/* One that fails ends the run: the others' results would not be comparable. */
	if (vcpu->err)
		__atomic_store_n(&vm->stop, true, __ATOMIC_RELEASE);
	__atomic_sub_fetch(&vm->running, 1, __ATOMIC_ACQ_REL);
	if (write(vm->done, &one, sizeof(one)) < 0)
		return NULL; /* a full eventfd wakes main as well */
	return NULL;
}

static void on_kick(int sig)
{
	(void)sig; /* only there to make KVM_RUN return */
}

static int start_thread(struct vcpu *vcpu)
{
	pthread_attr_t attr;
	cpu_set_t *set = NULL;
	size_t size = 0;
	int err;

	err = pthread_attr_init(&attr);
	if (err)
		return -err;
	if (vcpu->cpu != BENCH_NO_CPU) {
		set = CPU_ALLOC(vcpu->cpu + 1);
		size = CPU_ALLOC_SIZE(vcpu->cpu + 1);
		if (!set) {
			err = ENOMEM;
			goto out;
		}
		CPU_ZERO_S(size, set);
		CPU_SET_S(vcpu->cpu, size, set);
		err = pthread_attr_setaffinity_np(&attr, size, set);
	}
	if (!err)
		err = pthread_create(&vcpu->thread, &attr, vcpu_thread, vcpu);
out:
	CPU_FREE(set);
	pthread_attr_destroy(&attr);
	return -err;
}

/* Kicks until all have ended: one kick may come just before a thread sleeps. */
static void stop_threads(struct vm *vm)
{
	struct pollfd pfd = { .fd = vm->done, .events = POLLIN };
	uint64_t count;

	__atomic_store_n(&vm->stop, true, __ATOMIC_RELEASE);
	while (__atomic_load_n(&vm->running, __ATOMIC_ACQUIRE)) {
		for (unsigned int i = 0; i < vm->opt->vcpus; i++) {
			struct vcpu *vcpu = &vm->vcpus[i];

			if (!vcpu->started)
				continue;
			__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELEASE);
			pthread_kill(vcpu->thread, KICK_SIGNAL);
		}
		if (poll(&pfd, 1, KICK_MS) > 0 && read(vm->done, &count, sizeof(count)) < 0)
			break;
	}
}

static void join_threads(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->opt->vcpus; i++) {
		if (vm->vcpus[i].started)
			pthread_join(vm->vcpus[i].thread, NULL);
		vm->vcpus[i].started = false;
	}
	close(vm->done);
	vm->done = -1;
}

static void let_go(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->go = true;
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
}

static void abort_threads(struct vm *vm)
{
	__atomic_store_n(&vm->stop, true, __ATOMIC_RELEASE);
	let_go(vm);
	stop_threads(vm);
	join_threads(vm);
}

static int report_errors(const struct vm *vm)
{
	for (unsigned int i = 0; i < vm->opt->vcpus; i++) {
		const struct vcpu *vcpu = &vm->vcpus[i];

		if (!vcpu->err)
			continue;
		log_err("vCPU %u stopped after %llu %s: %s", vcpu->id,
			(unsigned long long)vcpu->executed, guest_insn_name(vm->opt->insn),
			vcpu->why ? vcpu->why : strerror(-vcpu->err));
		return vcpu->err == -EINVAL ? -EIO : vcpu->err;
	}
	return 0;
}

int bench_start(struct vm *vm)
{
	struct sigaction sa = { .sa_handler = on_kick };
	unsigned int n = 0;
	int err = 0;

	pthread_mutex_init(&vm->lock, NULL);
	pthread_cond_init(&vm->changed, NULL);
	sigaction(KICK_SIGNAL, &sa, NULL);
	vm->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->done < 0) {
		err = -errno;
		log_err("cannot create an eventfd: %s", strerror(-err));
		return err;
	}
	for (; n < vm->opt->vcpus && !err; n++) {
		struct vcpu *vcpu = &vm->vcpus[n];

		__atomic_add_fetch(&vm->running, 1, __ATOMIC_ACQ_REL);
		err = start_thread(vcpu);
		vcpu->started = !err;
		if (err) {
			__atomic_sub_fetch(&vm->running, 1, __ATOMIC_ACQ_REL);
			log_err("cannot start the thread of vCPU %u: %s", n, strerror(-err));
		}
	}
	if (err) {
		abort_threads(vm);
		return err == -EINVAL ? -EIO : err;
	}
	pthread_mutex_lock(&vm->lock);
	while (vm->ready < vm->opt->vcpus)
		pthread_cond_wait(&vm->changed, &vm->lock);
	pthread_mutex_unlock(&vm->lock);
	return 0;
}

int bench_go(struct vm *vm, int sigfd)
{
	struct pollfd pfd[] = {
		{ .fd = sigfd, .events = POLLIN },
		{ .fd = vm->done, .events = POLLIN },
	};
	uint64_t count, start = bench_now();
	int err = 0;

	let_go(vm);
	while (__atomic_load_n(&vm->running, __ATOMIC_ACQUIRE) && !stopped(vm)) {
		if (poll(pfd, 2, dma_wait_ms(vm->dma, start, bench_now())) < 0 && errno != EINTR)
			break;
		err = dma_go_on(vm->dma, vm->vfio, vm->fd, start);
		if (err)
			break;
		if (pfd[0].revents)
			vm->interrupted = true;
		if (vm->interrupted)
			break;
		if (read(vm->done, &count, sizeof(count)) < 0 && errno != EAGAIN)
			break;
	}
	if (__atomic_load_n(&vm->running, __ATOMIC_ACQUIRE))
		stop_threads(vm);
	join_threads(vm);
	return err ? err : report_errors(vm);
}

int bench_wait(int sigfd, uint64_t ns)
{
	struct timespec ts = { .tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC };
	struct pollfd pfd = { .fd = sigfd, .events = POLLIN };

	return ppoll(&pfd, 1, &ts, NULL) > 0;
}

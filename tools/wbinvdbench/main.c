// SPDX-License-Identifier: GPL-2.0
/* wbinvdbench: a guest without an operating system that executes WBINVD under KVM. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bench.h"
#include "exitcode.h"
#include "host.h"
#include "log.h"
#include "stream.h"
#include "vfio.h"

static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0) {
		int err = errno;

		log_err("cannot create a signalfd: %s", strerror(err));
		return -err;
	}
	return fd;
}

static int assign(struct vm *vm, struct vfio_dev *vfio)
{
	int err;

	err = vfio_open(vfio, vm->opt->bdf, vm->fd, dma_first_flags(vm->dma));
	if (!err)
		err = vfio_map(vfio, 0, vm->ctl_mem, vm->ctl_size);
	if (!err && vm->dirty)
		err = vfio_map(vfio, GUEST_DIRTY_GPA, vm->dirty_mem, vm->dirty);
	if (!err)
		err = dma_begin(vm->dma, vfio, vm->fd);
	return err ? err : vfio_facts(vfio);
}

static void warn_bare_metal(const struct bench_options *opt, const struct vfio_dev *vfio)
{
	struct host host;

	if (!*opt->bdf || opt->insn != INSN_WBINVD || (!vfio->noncoherent && !opt->dma.n))
		return;
	host_read(&host, "");
	if (!host.hypervisor)
		log_warn(
			"this is bare metal: each WBINVD will stall every CPU on which the vCPUs have run until its caches are written back");
	host_free(&host);
}

static int run(struct vm *vm, struct vfio_dev *vfio, int sigfd)
{
	const struct bench_options *opt = vm->opt;
	int err = 0, report_err;

	vm->batch = bench_batch(opt, *opt->bdf && (vfio->noncoherent > 0 || opt->dma.n));
	warn_bare_metal(opt, vfio);
	if (opt->start_delay_ns || opt->hold_ns)
		log_warn("VM %d-%d", getpid(), vm->fd);
	if (opt->start_delay_ns)
		vm->interrupted = bench_wait(sigfd, opt->start_delay_ns);
	if (!vm->interrupted) {
		err = bench_start(vm);
		if (err)
			return err;
		err = bench_go(vm, sigfd);
	}
	if (vm->dma->next < vm->dma->n && !vm->interrupted)
		log_warn("--dma: the vCPUs ended before %s@%.3g",
			 dma_name(vm->dma->steps[vm->dma->next].what),
			 vm->dma->steps[vm->dma->next].at_ns / 1e9);
	/* The results are worth more than what became of the device. */
	if (opt->dma.n)
		vfio_facts(vfio);
	report_err = bench_report(vm, *opt->bdf ? vfio : NULL);
	if (opt->hold_ns && !err)
		bench_wait(sigfd, opt->hold_ns);
	return err ? err : report_err;
}

int main(int argc, char **argv)
{
	struct vfio_dev vfio;
	struct bench_options opt;
	struct vm vm;
	int err, sigfd;

	/* A closed pipe is an error of the write, which says what happened. */
	signal(SIGPIPE, SIG_IGN);
	log_init(argv[0], false);
	err = stream_check_standard();
	if (err)
		return exit_code_of(err);
	err = bench_parse(argc, argv, &opt);
	if (err) {
		bench_options_free(&opt);
		return exit_code_of(err > 0 ? stream_flush_standard() : err);
	}
	log_init(argv[0], opt.verbose);

	vfio_init(&vfio);
	sigfd = open_signals();
	if (sigfd < 0) {
		bench_options_free(&opt);
		return exit_code_of(sigfd);
	}
	err = bench_create(&vm, &opt);
	if (!err) {
		vm.vfio = &vfio;
		vm.dma = &opt.dma;
	}
	if (!err && *opt.bdf)
		err = assign(&vm, &vfio);
	if (!err)
		err = bench_create_vcpus(&vm);
	if (!err)
		err = run(&vm, &vfio, sigfd);
	vfio_close(&vfio);
	bench_destroy(&vm);
	close(sigfd);
	bench_options_free(&opt);
	return exit_code_of(err);
}

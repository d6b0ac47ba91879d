// SPDX-License-Identifier: GPL-2.0
/*
 * mover, a shared object for LD_PRELOAD: wbinvdbench --dirty, of one vCPU, changes from one of CPU 0 and
 * CPU 1 to the other between the dirtying and the instruction that is timed.  So each WBINVD of a VM whose DMA
 * is not coherent has exactly two CPUs to flush, and what it takes to get there is not timed.  No timer is
 * involved, unlike in hop: where CPUs take turns, in an emulator that counts instructions, those of the
 * CPU that waits come late.
 */
#include <dlfcn.h>
#include <err.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/kvm.h>

#include "../../tools/wbinvdbench/guest.h"

static int (*next_ioctl)(int fd, unsigned long request, ...);
static void *(*next_mmap)(void *addr, size_t size, int prot, int flags, int fd, off_t offset);

static struct {
	int fd; /* of the last mapping that has one: after them all comes the vCPU's */
	const struct kvm_run *run;
} vcpu;

__attribute__((constructor)) static void find(void)
{
	next_ioctl = dlsym(RTLD_NEXT, "ioctl");
	next_mmap = dlsym(RTLD_NEXT, "mmap");
	if (!next_ioctl || !next_mmap)
		errx(1, "mover: the C library has no ioctl or no mmap");
}

void *mmap(void *addr, size_t size, int prot, int flags, int fd, off_t offset)
{
	void *p = next_mmap(addr, size, prot, flags, fd, offset);

	if (fd >= 0 && p != MAP_FAILED) {
		vcpu.fd = fd;
		vcpu.run = p;
	}
	return p;
}

static void change(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu() == 0, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "mover: the vCPU cannot be moved");
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;
	int ret;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	ret = next_ioctl(fd, request, arg);
	if (request == KVM_RUN && fd == vcpu.fd && !ret && vcpu.run->exit_reason == KVM_EXIT_IO &&
	    vcpu.run->io.port == GUEST_PORT_BEGIN)
		change();
	return ret;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * several COUNT...: one process with a VM for each COUNT, whose one vCPU
 * executes so many WBINVDs; then it prints the file descriptors of the VMs and
 * stays until it is killed.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* 1: wbinvd; dec ecx; jnz 1b; hlt */
static const uint8_t code[] = { 0x0f, 0x09, 0x66, 0x49, 0x75, 0xfa, 0xf4 };

#define CODE_ADDR 0x1000

static int new_vm(int kvm, uint32_t count)
{
	struct kvm_userspace_memory_region region = { .memory_size = 0x2000 };
	struct kvm_regs regs = { .rip = CODE_ADDR, .rcx = count, .rflags = 2 };
	struct kvm_sregs sregs;
	struct kvm_run *run;
	int vm, vcpu;
	uint8_t *mem;

	mem = mmap(NULL, region.memory_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		   0);
	if (mem == MAP_FAILED)
		err(1, "mmap");
	memcpy(mem + CODE_ADDR, code, sizeof(code));
	region.userspace_addr = (uintptr_t)mem;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0 || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
		err(1, "VM");
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0 || ioctl(vcpu, KVM_GET_SREGS, &sregs))
		err(1, "vCPU");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) || ioctl(vcpu, KVM_SET_REGS, &regs))
		err(1, "registers");
	run = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE, MAP_SHARED,
		   vcpu, 0);
	if (run == MAP_FAILED)
		err(1, "mmap of the vCPU");
	if (ioctl(vcpu, KVM_RUN, 0))
		err(1, "KVM_RUN");
	if (run->exit_reason != KVM_EXIT_HLT)
		errx(1, "the guest ended with exit reason %u", run->exit_reason);
	return vm;
}

int main(int argc, char **argv)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int i;

	if (kvm < 0)
		err(1, "/dev/kvm");
	for (i = 1; i < argc; i++)
		printf("%d\n", new_vm(kvm, strtoul(argv[i], NULL, 10)));
	fflush(stdout);
	pause();
	return 0;
}

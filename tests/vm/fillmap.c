// SPDX-License-Identifier: GPL-2.0
/*
 * fillmap VCPUS VMS
 *
 * Starts VMS processes, each with a virtual machine that never runs; waits until
 * the wbinvdtop that runs has found them, and fills VCPUS entries between them
 * into its map, as if each had been seen by a probe.  Then prints a line, and
 * keeps the VMs until it is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include <bpf/bpf.h>

#include "../../bpf/wbinvd_abi.h"

#define FIRST_SERIAL  (1ULL << 40)
#define FIRST_ADDRESS 0xffff900000000000ULL
#define BATCH	      256
#define PATIENCE      600 /* tenths of a second */

struct vm {
	pid_t pid;
	__u64 gen;
	__u64 kvm;
};

/* The newest of that name: those of a wbinvdtop that has ended may live on for a while.  fd or -ENOENT. */
static int find_map(const char *name, struct bpf_map_info *info)
{
	struct bpf_map_info got;
	int fd, found = -ENOENT;
	__u32 id = 0, len;

	while (!bpf_map_get_next_id(id, &id)) {
		fd = bpf_map_get_fd_by_id(id);
		if (fd < 0)
			continue;
		memset(&got, 0, sizeof(got));
		len = sizeof(got);
		if (bpf_obj_get_info_by_fd(fd, &got, &len) || strcmp(got.name, name)) {
			close(fd);
			continue;
		}
		if (found >= 0)
			close(found);
		found = fd;
		*info = got;
	}
	return found;
}

/* A process with a VM.  Its pid, or a negative errno. */
static pid_t start_vm(void)
{
	int kvm, pipefd[2];
	char ok = 0;
	pid_t pid;

	if (pipe(pipefd))
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		kvm = open("/dev/kvm", O_RDWR);
		ok = kvm >= 0 && ioctl(kvm, KVM_CREATE_VM, 0) >= 0;
		if (write(pipefd[1], &ok, 1) == 1 && ok)
			pause();
		_exit(1);
	}
	close(pipefd[1]);
	if (read(pipefd[0], &ok, 1) != 1 || !ok)
		pid = -ENODEV;
	close(pipefd[0]);
	return pid;
}

static int vm_cmp(const void *a, const void *b)
{
	const struct vm *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* What wbinvdtop knows of the VMs, which are sorted.  How many it has found. */
static unsigned long look_up(struct vm *vms, unsigned long n)
{
	__u64 gen, *last = NULL;
	unsigned long found = 0;
	struct bpf_map_info info;
	struct wb_vm_val val;
	int fd = find_map("vms", &info);

	while (fd >= 0 && !bpf_map_get_next_key(fd, last, &gen)) {
		struct vm *vm, want;

		last = &gen;
		if (bpf_map_lookup_elem(fd, &gen, &val))
			continue;
		want.pid = val.tgid;
		vm = bsearch(&want, vms, n, sizeof(*vms), vm_cmp);
		if (!vm)
			continue;
		vm->gen = gen;
		vm->kvm = val.kvm;
		found++;
	}
	if (fd >= 0)
		close(fd);
	return found;
}

static int start_vms(struct vm *vms, unsigned long n)
{
	unsigned long i, found = 0;

	for (i = 0; i < n; i++) {
		vms[i].pid = start_vm();
		if (vms[i].pid < 0) {
			fprintf(stderr, "fillmap: VM %lu: %s\n", i, strerror(-vms[i].pid));
			return vms[i].pid;
		}
	}
	qsort(vms, n, sizeof(*vms), vm_cmp);
	for (i = 0; found < n && i < PATIENCE; i++) {
		usleep(100000);
		found = look_up(vms, n);
	}
	if (found == n)
		return 0;
	fprintf(stderr, "fillmap: wbinvdtop has found %lu of %lu VMs\n", found, n);
	return -ETIMEDOUT;
}

static void fill(struct wb_vcpu_val *e, unsigned long i, const struct vm *vm, unsigned long vms)
{
	unsigned long slot;

	e->gen = vm->gen;
	e->serial = FIRST_SERIAL + i;
	e->serial_again = e->serial;
	e->vcpu = FIRST_ADDRESS + i * 0x10000;
	e->kvm = vm->kvm;
	e->vcpu_id = i / vms;
	e->flushes = i + 1;
	e->skips = 3;
	e->emulation_ns = (i + 1) * 2500;
	e->cpus_flushed = e->flushes * 2;
	e->max_ns = 1000000 + i;
	for (slot = 20; slot < 60; slot++)
		e->hist[slot] = i % 7 + slot;
}

static int fill_map(int fd, __u32 value_size, unsigned long vcpus, const struct vm *vms,
		    unsigned long nr_vms)
{
	char *values = calloc(BATCH, value_size);
	unsigned long i, done;
	__u64 keys[BATCH];
	__u32 n;

	for (done = 0; values && done < vcpus; done += n) {
		for (i = 0; i < BATCH && done + i < vcpus; i++) {
			struct wb_vcpu_val *e = (void *)(values + i * value_size);

			fill(e, done + i, &vms[(done + i) % nr_vms], nr_vms);
			keys[i] = e->vcpu;
		}
		n = i;
		if (bpf_map_update_batch(fd, keys, values, &n, NULL)) {
			fprintf(stderr, "fillmap: entry %lu: %s\n", done + n, strerror(errno));
			break;
		}
	}
	free(values);
	return done < vcpus ? -EIO : 0;
}

int main(int argc, char **argv)
{
	unsigned long vcpus, nr_vms;
	struct bpf_map_info info;
	struct vm *vms;
	int fd;

	if (argc != 3 || !(vcpus = strtoul(argv[1], NULL, 10)) ||
	    !(nr_vms = strtoul(argv[2], NULL, 10))) {
		fprintf(stderr, "usage: fillmap VCPUS VMS\n");
		return 2;
	}
	vms = calloc(nr_vms, sizeof(*vms));
	if (!vms || start_vms(vms, nr_vms))
		return 1;
	fd = find_map("vcpus", &info);
	if (fd < 0 || info.value_size < sizeof(struct wb_vcpu_val) ||
	    fill_map(fd, info.value_size, vcpus, vms, nr_vms))
		return 1;
	puts("filled");
	fflush(stdout);
	pause();
	return 1;
}

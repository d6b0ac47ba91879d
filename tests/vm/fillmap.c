// SPDX-License-Identifier: GPL-2.0
/*
 * fillmap VCPUS VMS PID [ROUND]
 *
 * Fills the maps of the wbinvdtop that runs: VMS virtual machines of process
 * PID with VCPUS entries between them, as if each had been seen by a probe.
 * Another ROUND lets every counter grow.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../../bpf/wbinvd_abi.h"

#define FIRST_GEN     (1ULL << 32)
#define FIRST_SERIAL  (1ULL << 40)
#define FIRST_ADDRESS 0xffff900000000000ULL

static int find_map(const char *name, struct bpf_map_info *info)
{
	__u32 id = 0, len;
	int fd;

	while (!bpf_map_get_next_id(id, &id)) {
		fd = bpf_map_get_fd_by_id(id);
		if (fd < 0)
			continue;
		memset(info, 0, sizeof(*info));
		len = sizeof(*info);
		if (!bpf_obj_get_info_by_fd(fd, info, &len) && !strcmp(info->name, name))
			return fd;
		close(fd);
	}
	fprintf(stderr, "fillmap: no map is named %s\n", name);
	return -ENOENT;
}

static unsigned long long start_of(const char *pid)
{
	unsigned long long ticks = 0;
	char path[64], line[1024], *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	f = fopen(path, "r");
	if (f && fgets(line, sizeof(line), f)) {
		p = strrchr(line, ')');
		if (p)
			sscanf(p + 1,
			       " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			       &ticks);
	}
	if (f)
		fclose(f);
	return ticks * (1000000000ULL / sysconf(_SC_CLK_TCK));
}

static int add_vms(int fd, unsigned long n, const char *pid)
{
	struct wb_vm_val vm = { .tgid = atoi(pid), .start_ns = start_of(pid), .comm = "fill" };
	unsigned long i;

	for (i = 0; i < n; i++) {
		__u64 gen = FIRST_GEN + i;

		vm.kvm = FIRST_ADDRESS + i * 0x10000;
		vm.noncoherent = i & 1;
		snprintf(vm.id, sizeof(vm.id), "%s-%lu", pid, 100 + i);
		if (bpf_map_update_elem(fd, &gen, &vm, BPF_ANY))
			return -errno;
	}
	return 0;
}

static void fill(struct wb_vcpu_val *e, unsigned long i, unsigned long vms, unsigned long vcpus,
		 unsigned long round)
{
	unsigned long slot;

	e->gen = FIRST_GEN + i % vms;
	e->serial = FIRST_SERIAL + i;
	e->serial_again = e->serial;
	e->vcpu = FIRST_ADDRESS + (vcpus + i) * 0x10000;
	e->kvm = FIRST_ADDRESS + i % vms * 0x10000;
	e->vcpu_id = i / vms;
	e->flushes = round * (i + 1);
	e->skips = round * 3;
	e->emulation_ns = round * (i + 1) * 2500;
	e->cpus_flushed = e->flushes * 2;
	e->max_ns = 1000000 + i;
	for (slot = 20; slot < 60; slot++)
		e->hist[slot] = round * (i % 7 + slot);
}

int main(int argc, char **argv)
{
	unsigned long vcpus, vms, round, i;
	struct bpf_map_info info;
	struct wb_vcpu_val *e;
	int fd, err;

	if (argc < 4 || argc > 5) {
		fprintf(stderr, "usage: fillmap VCPUS VMS PID [ROUND]\n");
		return 2;
	}
	vcpus = strtoul(argv[1], NULL, 10);
	vms = strtoul(argv[2], NULL, 10);
	round = argc > 4 ? strtoul(argv[4], NULL, 10) : 1;
	fd = find_map("vms", &info);
	if (fd < 0 || !vms)
		return 1;
	err = add_vms(fd, vms, argv[3]);
	fd = find_map("vcpus", &info);
	if (fd < 0 || err || info.value_size < sizeof(*e))
		return 1;
	e = calloc(1, info.value_size);
	for (i = 0; e && i < vcpus && !err; i++) {
		__u64 key;

		fill(e, i, vms, vcpus, round);
		key = e->vcpu;
		err = bpf_map_update_elem(fd, &key, e, BPF_ANY);
	}
	if (!e || err) {
		fprintf(stderr, "fillmap: entry %lu: %s\n", i, strerror(e ? errno : ENOMEM));
		return 1;
	}
	return 0;
}

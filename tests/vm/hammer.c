// SPDX-License-Identifier: GPL-2.0
/*
 * hammer CPU...: on each of these CPUs, a process that does nothing but look
 * through a large BPF map, as bpf(2) does it: with the programs of kprobes and
 * tracepoints kept from running on that CPU.  Until it is killed.
 */
#include <err.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <sys/prctl.h>
#include <sys/signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define ENTRIES 65536

static long bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

/* Empty: a lookup of many then walks all of it in one go. */
static int empty_map(void)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_HASH;
	attr.key_size = 8;
	attr.value_size = 8;
	attr.max_entries = ENTRIES;
	return bpf(BPF_MAP_CREATE, &attr);
}

static void look_through(int map)
{
	uint64_t keys[16], values[16], token;
	union bpf_attr attr;

	for (;;) {
		memset(&attr, 0, sizeof(attr));
		attr.batch.map_fd = map;
		attr.batch.out_batch = (uintptr_t)&token;
		attr.batch.keys = (uintptr_t)keys;
		attr.batch.values = (uintptr_t)values;
		attr.batch.count = 16;
		bpf(BPF_MAP_LOOKUP_BATCH, &attr);
	}
}

int main(int argc, char **argv)
{
	int map = empty_map(), i;

	if (map < 0)
		err(1, "BPF map");
	for (i = 1; i < argc; i++) {
		cpu_set_t set;

		if (fork())
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		CPU_ZERO(&set);
		CPU_SET(atoi(argv[i]), &set);
		if (sched_setaffinity(0, sizeof(set), &set))
			err(1, "CPU %s", argv[i]);
		look_through(map);
	}
	while (wait(NULL) > 0)
		;
	return 1;
}

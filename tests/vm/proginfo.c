// SPDX-License-Identifier: GPL-2.0
/* proginfo ID: prints how many instructions the verifier walked for that BPF program. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

int main(int argc, char **argv)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: proginfo ID\n");
		return 2;
	}
	fd = bpf_prog_get_fd_by_id(strtoul(argv[1], NULL, 10));
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len)) {
		fprintf(stderr, "proginfo: program %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	printf("%u\n", info.verified_insns);
	return 0;
}

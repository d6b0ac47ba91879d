// SPDX-License-Identifier: GPL-2.0
/* proginfo: for every BPF program that is loaded, its name and how many instructions the verifier walked. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

int main(void)
{
	struct bpf_prog_info info;
	__u32 id = 0, len;
	int fd;

	while (!bpf_prog_get_next_id(id, &id)) {
		fd = bpf_prog_get_fd_by_id(id);
		if (fd < 0 && errno == ENOENT)
			continue; /* unloaded meanwhile */
		memset(&info, 0, sizeof(info));
		len = sizeof(info);
		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len)) {
			fprintf(stderr, "proginfo: program %u: %s\n", id, strerror(errno));
			return 1;
		}
		close(fd);
		printf("%s %u\n", info.name, info.verified_insns);
	}
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * fillfexit MODULE FUNCTION: attaches programs that do nothing to the end of the
 * function until the kernel takes no more, prints how many, and holds them until
 * standard input ends. What the kernel cannot attach so has to be done otherwise.
 */
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

/* The type information of the module; *fd: open */
static struct btf *find_module(struct btf *base, const char *name, int *fd)
{
	char text[64];
	__u32 id = 0;

	while (!bpf_btf_get_next_id(id, &id)) {
		struct bpf_btf_info info = { .name = (__u64)(unsigned long)text,
					     .name_len = sizeof(text) };
		__u32 len = sizeof(info);

		*fd = bpf_btf_get_fd_by_id(id);
		if (*fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(*fd, &info, &len) && !strcmp(text, name))
			return btf__load_from_kernel_by_id_split(id, base);
		close(*fd);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct bpf_prog_load_opts opts = { .sz = sizeof(opts),
					   .expected_attach_type = BPF_TRACE_FEXIT };
	struct btf *module;
	int fd = -1, prog, n = 0;

	if (argc != 3)
		errx(2, "usage: fillfexit MODULE FUNCTION");
	module = find_module(btf__load_vmlinux_btf(), argv[1], &fd);
	if (!module)
		errx(1, "no type information of %s", argv[1]);
	opts.attach_btf_obj_fd = fd;
	opts.attach_btf_id = btf__find_by_name_kind(module, argv[2], BTF_KIND_FUNC);
	do {
		prog = bpf_prog_load(BPF_PROG_TYPE_TRACING, NULL, "GPL", nothing, 2, &opts);
		if (prog < 0)
			err(1, "program");
	} while (bpf_raw_tracepoint_open(NULL, prog) >= 0 && ++n < 1000);
	printf("%d\n", n);
	fflush(stdout);
	return n && getchar() != EOF;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Usage: emptypair OBJECT
 *
 * Loads the BPF object, attaches all of its programs, prints "attached" and
 * stays until SIGTERM or SIGINT.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

static int attach_all(struct bpf_object *obj)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, obj) {
		if (!bpf_program__attach(prog)) {
			fprintf(stderr, "emptypair: cannot attach %s: %s\n",
				bpf_program__name(prog), strerror(errno));
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct bpf_object *obj;
	sigset_t set;
	int sig;

	if (argc != 2) {
		fprintf(stderr, "usage: emptypair OBJECT\n");
		return 2;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	obj = bpf_object__open_file(argv[1], NULL);
	if (!obj || bpf_object__load(obj)) {
		fprintf(stderr, "emptypair: cannot load %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	if (attach_all(obj))
		return 1;
	puts("attached");
	fflush(stdout);
	sigwait(&set, &sig);
	bpf_object__close(obj);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * notrampoline COMMAND [ARG]...: runs it as on a kernel that does not let it load
 * BPF programs on trampolines (fentry, fexit): EPERM, and all others load.
 */
#include <err.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* Asks the listener for each BPF_PROG_LOAD: a filter cannot read what pointers point to. */
static int filter(void)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BPF_PROG_LOAD, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(insns) / sizeof(insns[0]), insns };
	int fd;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		err(1, "no_new_privs");
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	if (fd < 0)
		err(1, "seccomp");
	return fd;
}

static int on_trampoline(const struct seccomp_notif *n)
{
	union bpf_attr attr = {};
	struct iovec to = { &attr, sizeof(attr) };
	struct iovec from = { (void *)(uintptr_t)n->data.args[1], sizeof(attr) };

	if (n->data.args[2] < sizeof(attr))
		from.iov_len = n->data.args[2];
	if (process_vm_readv(n->pid, &to, 1, &from, 1, 0) < 0)
		err(1, "process_vm_readv");
	return attr.prog_type == BPF_PROG_TYPE_TRACING &&
	       (attr.expected_attach_type == BPF_TRACE_FENTRY ||
		attr.expected_attach_type == BPF_TRACE_FEXIT);
}

static void answer(int fd)
{
	struct seccomp_notif n = {};
	struct seccomp_notif_resp r = {};

	if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n))
		return;
	r.id = n.id;
	if (on_trampoline(&n))
		r.error = -EPERM;
	else
		r.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

/* Hands the listener over, as the command must not answer itself. */
static void send_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] = {};
	struct iovec iov = { "", 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	*(int *)CMSG_DATA(c) = fd;
	if (sendmsg(sock, &msg, 0) != 1)
		err(1, "sendmsg");
}

static int receive_fd(int sock)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&msg))
		errx(1, "no listener");
	return *(int *)CMSG_DATA(CMSG_FIRSTHDR(&msg));
}

/* The command stays this process, so that signals reach it; the listener is its child. */
int main(int argc, char **argv)
{
	int sock[2], fd;
	pid_t child;

	if (argc < 2)
		errx(2, "usage: notrampoline COMMAND [ARG]...");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock))
		err(1, "socketpair");
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (!child) {
		close(sock[0]);
		fd = receive_fd(sock[1]);
		prctl(PR_SET_PDEATHSIG, 9);
		for (;;)
			answer(fd);
	}
	close(sock[1]);
	fd = filter();
	send_fd(sock[0], fd);
	close(fd);
	execvp(argv[1], argv + 1);
	err(1, "%s", argv[1]);
}

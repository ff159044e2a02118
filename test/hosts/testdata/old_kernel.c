/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * old_kernel - runs a program as a kernel before 5.2 would, without the mount
 * API of descriptors and close_range(2)
 *
 *	old_kernel PROGRAM ARGS...
 */
#include <err.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENDS_IN_ENOSYS(call)                                                                       \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),                                           \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS)

int main(int argc, char **argv)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ENDS_IN_ENOSYS(SYS_open_tree),
		ENDS_IN_ENOSYS(SYS_move_mount),
		ENDS_IN_ENOSYS(SYS_fsopen),
		ENDS_IN_ENOSYS(SYS_fsconfig),
		ENDS_IN_ENOSYS(SYS_fsmount),
		ENDS_IN_ENOSYS(SYS_fspick),
		ENDS_IN_ENOSYS(SYS_mount_setattr),
		ENDS_IN_ENOSYS(SYS_close_range),
		ENDS_IN_ENOSYS(SYS_openat2),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	if (argc < 2)
		errx(2, "usage: old_kernel PROGRAM ARGS...");
	/* Not no_new_privs, which root need not set: the session would have it, too. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		err(2, "seccomp");
	execvp(argv[1], argv + 1);
	err(127, "%s", argv[1]);
}

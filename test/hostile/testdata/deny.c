/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * deny - runs a program for which a system call fails
 *
 *	deny ERRNO CALL PROGRAM ARGS...
 *
 * CALL is one of those below; "fork" is every way to make a process or thread,
 * "thread" every way to make a thread.
 */
#include <err.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define FAIL(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))

static const struct {
	const char *name;
	int call;
} calls[] = {
#define CALL(name) { #name, SYS_##name }
	CALL(unshare),	     CALL(setns),	  CALL(mount),	     CALL(umount2),	  CALL(fsopen),
	CALL(fsmount),	     CALL(open_tree),	  CALL(move_mount),  CALL(mount_setattr), CALL(socketpair),
	CALL(clone3),	     CALL(prctl),	  CALL(setresuid),   CALL(close_range),	 
	CALL(sendmsg),	     CALL(recvmsg),	  CALL(chroot),	     CALL(fchdir),	  CALL(flock),
	CALL(epoll_create1), 	  CALL(prlimit64),   CALL(rt_sigaction),  CALL(futex),
#ifdef SYS_poll
	CALL(poll),
#else
	{ "poll", SYS_ppoll },
#endif
	{ "fork", SYS_clone }, { "thread", SYS_clone },
};

static int number_of(const char *name)
{
	for (size_t i = 0; i < COUNT(calls); i++) {
		if (strcmp(calls[i].name, name) == 0)
			return calls[i].call;
	}
	errx(2, "unknown system call %s", name);
}

int main(int argc, char **argv)
{
	if (argc < 4)
		errx(2, "usage: deny ERRNO CALL PROGRAM ARGS...");

	unsigned int error = (unsigned int)strtoul(argv[1], NULL, 10), call = (unsigned int)number_of(argv[2]);
	int fork = strcmp(argv[2], "fork") == 0, thread = strcmp(argv[2], "thread") == 0;
	/* As flags in memory cannot be seen, clone3 is away; libc then takes clone. */
	unsigned int no_clone3 = fork || thread ? SYS_clone3 : ~0U, flags = thread ? CLONE_THREAD : ~0U;
	struct sock_filter filter[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, no_clone3, 0, 1),
		FAIL(ENOSYS),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, thread ? call : ~0U, 0, 2),
		LOAD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flags, 0, 1),
		FAIL(error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { COUNT(filter), filter };

	/* Not no_new_privs, which root need not set: the session would have it, too. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		err(2, "seccomp");
	execvp(argv[3], argv + 3);
	err(127, "%s", argv[3]);
}

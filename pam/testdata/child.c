/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * usage: child member|unknown [NUMBER]...
 *
 * Starts a child as a login does that has closed these descriptors and has others
 * open. Prints what the core of a member finds there, or the lookup of an unknown user:
 * its name, its descriptors, whether it may be dumped, leads its session and has signals
 * blocked, its umask, its environment.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../child.h"

/* cgo's _cgo_export.h says that it is Go's; and there is no runtime to wait for. */
void pamnetCore(struct request *r);
size_t _cgo_wait_runtime_init_done(void);

size_t _cgo_wait_runtime_init_done(void)
{
	return 0;
}

static void tell(struct request *r, const char *name)
{
	char text[1000] = "";
	size_t n = (size_t)snprintf(text, sizeof(text), "%s ", name);
	sigset_t blocked;

	for (int fd = 0; fd < 100; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%d ", fd);
	}
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	n += (size_t)snprintf(text + n, sizeof(text) - n, "%d %d %d %03o", prctl(PR_GET_DUMPABLE),
			      getsid(0) == getpid(), sigismember(&blocked, SIGTERM), umask(0));
	for (char **variable = environ; *variable; variable++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %s", *variable);
	if (send(r->socket, text, strlen(text), 0) < 0)
		abort();
}

void pamnetCore(struct request *r)
{
	tell(r, "core");
}

bool child_lookup(struct request *r)
{
	tell(r, "lookup");
	return false;
}

int main(int argc, char **argv)
{
	const struct options options = { .timeout = 10 };
	struct request request = { .options = &options, .socket = -1 };
	int sockets[2], status, printed = fcntl(1, F_DUPFD, 50);
	pid_t parent = getpid();
	char text[1000];
	sigset_t all;
	ssize_t n;

	if (printed < 0 || argc < 2)
		return 1;
	request.answer.membership = strcmp(argv[1], "member") == 0 ? MEMBER : UNKNOWN;
	for (int i = 0; i < 20; i++) {
		if (dup(0) < 0)
			return 1;
	}
	for (int i = 2; i < argc; i++)
		close(atoi(argv[i]));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return 1;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	umask(0777);
	request.socket = sockets[1];
	if (fork() == 0)
		child_run(&request, parent);
	close(sockets[1]);
	n = recv(sockets[0], text, sizeof(text), 0);
	close(sockets[0]);
	if (n <= 0 || write(printed, text, (size_t)n) != n || wait(&status) < 0)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

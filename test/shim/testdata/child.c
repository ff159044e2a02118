/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands in for pam/child.c: a child that says and does what it is told, where
 * the module is otherwise the real one. Each argument mask=/WORD of the module
 * is one thing to do, in their order:
 *
 *	exit, kill, stop, pause		ends, or does not
 *	hangup				closes the socket
 *	serve				answers the login process until that hangs up
 *	lines				sends a thousand lines for the log
 *	flood				sends such for debugging, without end
 *	HEX[+N][:LETTERS]		sends a datagram: these bytes, N letters, and
 *					descriptors, a letter each, see descriptor()
 */
#define _GNU_SOURCE
#include "../../../pam/child.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>


#ifndef KIND
#define KIND KIND_NEWNET
#endif

static const struct module standin = { "pam_standin", "members", KIND };
const struct module *const pamnet_module = &standin;

#define DATAGRAM_MAX 100000
#define FDS_MAX 253 /* SCM_MAX_FD, unix(7) */

static void require(bool done)
{
	if (!done)
		abort();
}

/* The login's own, for capital letters. */
static int own_net, own_mnt, own_root, own_cwd;
/* What a good child makes. */
static int new_net, new_mnt, new_root, new_cwd;

static void open_place(int *net, int *mnt, int *root, int *cwd)
{
	*net = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	*mnt = open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC);
	*root = open("/", O_PATH | O_CLOEXEC);
	*cwd = open(".", O_PATH | O_CLOEXEC);
	require(*net >= 0 && *mnt >= 0 && *root >= 0 && *cwd >= 0);
}

static int descriptor(char letter)
{
	switch (letter) {
	case 'n': return new_net;
	case 'm': return new_mnt;
	case 'r': return new_root;
	case 'c': return new_cwd;
	case 'N': return own_net;
	case 'M': return own_mnt;
	case 'R': return own_root;
	case 'C': return own_cwd;
	case 'P': return open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC);
	case 'O': return open("/proc/self/ns/net", O_PATH | O_CLOEXEC);
	case 'U': return open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
	case 'd': return open("/usr", O_PATH | O_CLOEXEC);
	case 'f': return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	case 'z': return open("/dev/null", O_RDONLY | O_CLOEXEC);
	case 's': return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	default: return -1;
	}
}

static bool send_datagram(int socket, const void *data, size_t size, const int *fds, size_t nfds)
{
	union {
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr header;
	} control = { 0 };
	struct iovec iov = { (void *)data, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, nfds * sizeof(int));
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
	}
	return sendmsg(socket, &msg, MSG_NOSIGNAL) >= 0;
}

static void datagram(int socket, const char *word)
{
	static char data[DATAGRAM_MAX];
	char digits[3] = "";
	int fds[FDS_MAX];
	size_t size = 0, nfds = 0, more = 0;

	for (; *word && *word != '+' && *word != ':'; word += 2) {
		require(size < sizeof(data));
		memcpy(digits, word, 2);
		data[size++] = (char)strtol(digits, NULL, 16);
	}
	if (*word == '+')
		more = strtoul(word + 1, (char **)&word, 10);
	require(more <= sizeof(data) - size);
	memset(data + size, 'a', more);
	if (*word == ':') {
		while (*++word) {
			require(nfds < FDS_MAX);
			fds[nfds] = descriptor(*word);
			require(fds[nfds++] >= 0);
		}
	}
	require(send_datagram(socket, data, size + more, fds, nfds));
}

static void act(int socket, const char *word)
{
	if (strcmp(word, "exit") == 0)
		_exit(EXIT_SUCCESS);
	else if (strcmp(word, "kill") == 0)
		raise(SIGKILL);
	else if (strcmp(word, "stop") == 0)
		raise(SIGSTOP);
	else if (strcmp(word, "pause") == 0)
		pause();
	else if (strcmp(word, "hangup") == 0)
		close(socket);
	else if (strcmp(word, "serve") == 0)
		for (char byte; read(socket, &byte, 1) == 1;)
			require(write(socket, &byte, 1) == 1);
	else if (strcmp(word, "lines") == 0)
		for (int i = 0; i < 1000; i++)
			require(send_datagram(socket, "L\3line", 6, NULL, 0));
	else if (strcmp(word, "flood") == 0)
		while (send_datagram(socket, "L\7line", 6, NULL, 0))
			;
	else
		datagram(socket, word);
}

bool child_can_start_go(void)
{
	return true;
}

_Noreturn void child_run(struct request *request, pid_t parent)
{
	const struct options *o = request->options;
	struct rlimit limit;

	(void)parent;
	require(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = limit.rlim_max;
	require(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	open_place(&own_net, &own_mnt, &own_root, &own_cwd);
	require(unshare(CLONE_NEWNET | CLONE_NEWNS) == 0);
	open_place(&new_net, &new_mnt, &new_root, &new_cwd);
	for (size_t i = 0; i < o->nmasks; i++)
		act(request->socket, o->masks[i] + 1);
	_exit(EXIT_SUCCESS);
}

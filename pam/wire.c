/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The login process receives, the child sends: wire.h says which function runs where. */
#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* For how long the login process waits for the child's answer, which only has to be scheduled. */
#define IN_USE_MS 5000

static bool is_namespace(int fd, int type)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC && ioctl(fd, NS_GET_NSTYPE) == type;
}

static bool is_directory(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/*
 * Returns the same without asking the directory's server, which may hang. A FUSE mount of a
 * user denies root even that (EACCES); fchdir(2) accepts nothing but a directory later.
 */
static bool is_working_directory(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0)
		return errno == EACCES;
	return S_ISDIR(st.stx_mode);
}

static void copy_text(struct message *m, const unsigned char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		m->text[i] = text[i] < ' ' || text[i] == 127 ? '?' : (char)text[i];
	m->text[size] = '\0';
}

static bool decode_answer(struct message *m, const unsigned char *answer, size_t size)
{
	if (size != KINDS)
		return false;
	for (size_t i = 0; i < KINDS; i++) {
		m->answer[i] = answer[i];
		switch (m->answer[i]) {
		case UNKNOWN:
		case MEMBER:
		case NONMEMBER:
		case NO_GROUP:
			break;
		default:
			return false;
		}
	}
	return true;
}

static bool decode_verdict(struct message *m, const unsigned char *verdict, size_t size,
			   const int *fds, size_t nfds)
{
	m->outcome = verdict[0];
	m->cwd_moved = verdict[1];
	copy_text(m, verdict + 2, size - 2);
	if (verdict[1] > 1)
		return false;
	switch (verdict[0]) {
	case OUTCOME_REFUSED:
	case OUTCOME_UNKNOWN:
		return nfds == 0;
	case OUTCOME_ISOLATED:
		break;
	default:
		return false;
	}
	if (nfds != VERDICT_FDS)
		return false;
	m->net = fds[0];
	m->mnt = fds[1];
	m->root = fds[2];
	m->cwd = fds[3];
	return is_namespace(m->net, CLONE_NEWNET) && is_namespace(m->mnt, CLONE_NEWNS) &&
	       is_directory(m->root) && is_working_directory(m->cwd);
}

/* Decodes a datagram and the descriptors that came with it, which stay the caller's. */
static bool decode(struct message *m, const unsigned char *data, size_t size, const int *fds,
		   size_t nfds)
{
	*m = (struct message){ .net = -1, .mnt = -1, .root = -1, .cwd = -1 };
	if (size < 3 || size > MESSAGE_MAX)
		return false;
	m->type = data[0];
	switch (data[0]) {
	case MESSAGE_LOG:
		m->priority = data[1];
		copy_text(m, data + 2, size - 2);
		return data[1] <= 7 && nfds == 0;
	case MESSAGE_ANSWER:
		return decode_answer(m, data + 1, size - 1) && nfds == 0;
	case MESSAGE_VERDICT:
		return decode_verdict(m, data + 1, size - 1, fds, nfds);
	default:
		return false;
	}
}

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

void wire_close(const struct message *m)
{
	close_all((const int[]){ m->net, m->mnt, m->root, m->cwd }, VERDICT_FDS);
}

bool wire_receive(int socket, struct message *m, char reason[REASON_MAX])
{
	unsigned char data[MESSAGE_MAX];
	/* Room for one descriptor more than is right, to tell "too many" from "cut off". */
	union {
		char bytes[CMSG_SPACE((VERDICT_FDS + 1) * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { data, sizeof(data) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	int fds[sizeof(control.bytes) / sizeof(int)] = { 0 };
	size_t nfds = 0;
	ssize_t size = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);

	if (size < 0)
		return fail(reason, "receive the verdict: %m");
	/* The kernel puts all descriptors of a datagram into one control message (unix(7)). */
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		nfds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), nfds * sizeof(int));
	}
	if (size == 0 && nfds == 0)
		return fail(reason, "the child ended without a verdict");
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || !decode(m, data, (size_t)size, fds, nfds)) {
		close_all(fds, nfds);
		return fail(reason, "the child's message is malformed%s",
			    msg.msg_flags & MSG_CTRUNC ? " (too few free descriptors?)" : "");
	}
	return true;
}

bool wire_is_in_use(int socket)
{
	struct pollfd p = { .fd = socket, .events = POLLIN };
	char question = MESSAGE_MOVED, answer;
	int ready;

	if (send(socket, &question, 1, MSG_NOSIGNAL) != 1)
		return false;
	do
		ready = poll(&p, 1, IN_USE_MS);
	while (ready < 0 && errno == EINTR);
	return ready == 1 && recv(socket, &answer, 1, MSG_DONTWAIT) == 1 && answer == question;
}

void wire_serve(int socket)
{
	char byte;
	ssize_t n;

	while ((n = read(socket, &byte, 1)) == 1 || (n < 0 && errno == EINTR)) {
		if (n == 1 && write(socket, &byte, 1) < 0)
			return;
	}
}

bool wire_send_answer(int socket, const enum membership answer[KINDS])
{
	char data[1 + KINDS] = { MESSAGE_ANSWER };

	for (int kind = 0; kind < KINDS; kind++)
		data[1 + kind] = (char)answer[kind];
	return send(socket, data, sizeof(data), MSG_NOSIGNAL) == sizeof(data);
}

void wire_send_unknown(int socket, const char *problem)
{
	char data[MESSAGE_MAX + 1] = { MESSAGE_VERDICT, OUTCOME_UNKNOWN, 0 };

	snprintf(data + 3, sizeof(data) - 3, "cannot tell whether the user is a member: %s", problem);
	send(socket, data, 3 + strlen(data + 3), MSG_NOSIGNAL);
}

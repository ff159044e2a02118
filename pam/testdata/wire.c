/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints, a line each, what decode makes of the datagrams that come from the
 * SOCK_SEQPACKET socket on stdin with their descriptors, 3, 4 and so on; and of the
 * end, too, which looks like an empty one.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../wire.c"

static void print(const unsigned char *data, size_t size, const int *fds, size_t nfds)
{
	struct message m;

	if (!decode(&m, data, size, fds, nfds))
		printf("malformed\n");
	else if (m.type == MESSAGE_LOG)
		printf("log %d: %s\n", m.priority, m.text);
	else if (m.type == MESSAGE_ANSWER)
		printf("answer %c%c%c\n", m.answer[KIND_NEWNET], m.answer[KIND_USERNET],
		       m.answer[KIND_GROUPNET]);
	else
		printf("verdict %c %d (%d %d %d %d): %s\n", m.outcome, m.cwd_moved, m.net, m.mnt,
		       m.root, m.cwd, m.text);
	fflush(stdout);
}

int main(void)
{
	unsigned char buffer[8192];
	union {
		char bytes[CMSG_SPACE(64 * sizeof(int))];
		struct cmsghdr header;
	} control;
	ssize_t size;
	size_t nfds;

	close_range(3, ~0U, 0); /* what is inherited: the first to come is 3 */
	do {
		struct iovec iov = { buffer, sizeof(buffer) };
		struct msghdr msg = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = sizeof(control),
		};
		struct cmsghdr *c;
		unsigned char *data;
		int *fds;

		size = recvmsg(0, &msg, 0);
		if (size < 0)
			return 1;
		c = CMSG_FIRSTHDR(&msg);
		nfds = c ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
		data = malloc((size_t)size + 1);
		fds = malloc((nfds + 1) * sizeof(*fds));
		if (!data || !fds)
			return 1;
		/* At the ends of what is allocated, so that ASan notices what is read beyond. */
		memcpy(data + 1, buffer, (size_t)size);
		if (c)
			memcpy(fds + 1, CMSG_DATA(c), nfds * sizeof(*fds));
		print(data + 1, (size_t)size, fds + 1, nfds);
		for (size_t i = 1; i <= nfds; i++)
			close(fds[i]);
		free(data);
		free(fds);
	} while (size > 0 || nfds > 0);
	return 0;
}

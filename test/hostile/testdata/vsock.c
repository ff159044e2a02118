/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vsock - takes a free port of AF_VSOCK, prints its number and keeps it until stdin ends
 * vsock PORT - prints whether that port is "free" or "taken"
 *
 * Nothing is sent. Exit status 3 where the kernel has no AF_VSOCK.
 */
#include <err.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_vm address = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_ANY,
		.svm_port = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 10) : VMADDR_PORT_ANY,
	};
	socklen_t size = sizeof(address);
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char byte;

	if (fd < 0)
		err(errno == EAFNOSUPPORT ? 3 : 1, "socket");
	if (bind(fd, (struct sockaddr *)&address, size) == 0) {
		if (argc > 1)
			return puts("free") < 0;
	} else if (errno == EADDRINUSE) {
		return puts("taken") < 0;
	} else {
		err(1, "bind");
	}
	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		err(1, "getsockname");
	printf("%u\n", address.svm_port);
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}

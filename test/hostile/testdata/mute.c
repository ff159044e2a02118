/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mute DIR deaf|mute - mounts a FUSE file system whose server never answers
 *
 * "deaf" does not even read what it is asked, so that who asks can be killed;
 * "mute" reads it, and until the server ends nothing ends who asks. Prints
 * "mounted" and runs until stdin ends.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static char request[FUSE_MIN_READ_BUFFER + (128 << 10)];

/* Answers the one question that the kernel asks for itself. */
static void initialize(int fuse)
{
	struct fuse_in_header *in = (void *)request;
	struct {
		struct fuse_out_header header;
		struct fuse_init_out init;
	} out = { .init = { .major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096 } };

	if (read(fuse, request, sizeof(request)) < (ssize_t)sizeof(*in) || in->opcode != FUSE_INIT)
		errx(1, "no FUSE_INIT");
	out.header.len = sizeof(out);
	out.header.unique = in->unique;
	if (write(fuse, &out, sizeof(out)) != sizeof(out))
		err(1, "answer FUSE_INIT");
}

int main(int argc, char **argv)
{
	char options[128], byte;
	int fuse;

	if (argc != 3)
		errx(2, "usage: mute DIR deaf|mute");
	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fuse < 0)
		err(3, "/dev/fuse");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other", fuse);
	if (mount("mute", argv[1], "fuse", MS_NOSUID | MS_NODEV, options) < 0)
		err(3, "mount %s", argv[1]);
	initialize(fuse);
	printf("mounted\n");
	fflush(stdout);
	for (;;) {
		struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = fuse, .events = POLLIN } };

		if (poll(fds, strcmp(argv[2], "deaf") == 0 ? 1 : 2, -1) < 0)
			err(1, "poll");
		if (fds[0].revents && read(STDIN_FILENO, &byte, 1) <= 0)
			return 0;
		if (fds[1].revents && read(fuse, request, sizeof(request)) < 0)
			err(1, "read");
	}
}

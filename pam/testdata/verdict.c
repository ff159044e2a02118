/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * usage: verdict NFDS < DATAGRAM
 *
 * Prints what verdict_decode makes of the datagram, with the descriptors from 3 on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../verdict.h"

int main(int argc, char **argv)
{
	unsigned char buffer[4096];
	ssize_t size = read(0, buffer, sizeof(buffer));
	size_t nfds = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned char *data = malloc(size > 0 ? (size_t)size : 1); /* ASan knows where it ends */
	int *fds = malloc((nfds + 1) * sizeof(*fds));
	struct verdict v;

	if (size < 0 || !data || !fds)
		return 1;
	for (ssize_t i = 0; i < size; i++)
		data[i] = buffer[i];
	for (size_t i = 0; i < nfds; i++)
		fds[i] = 3 + (int)i;
	if (!verdict_decode(&v, data, (size_t)size, fds, nfds))
		printf("malformed");
	else if (v.message == MESSAGE_LOG)
		printf("log %d: %s", v.priority, v.text);
	else
		printf("verdict %c %d (%d %d %d %d): %s", v.outcome, v.cwd_moved, v.net, v.mnt,
		       v.root, v.cwd, v.text);
	free(data);
	free(fds);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* exchange A B - exchanges two files, there and back, until it is killed */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: exchange A B");
	while (renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE) == 0)
		;
	err(1, "exchange %s and %s", argv[1], argv[2]);
}

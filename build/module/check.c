/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Logs a non-member and a member in through a module, and proves that loading it starts no Go.
 *
 * usage: check MODULE
 *
 * Exit status: 0 the module is right; 1 it is wrong; 77 it is right as far as it could be
 * tried. The reason is on stderr. A module that crashes takes this program along.
 */
#include <dirent.h>
#include <err.h>
#include <stddef.h>

#include "../../internal/trial/module.h"

static int count_threads(void)
{
	int threads = 0;
	DIR *tasks = opendir("/proc/self/task");

	if (!tasks)
		err(1, "/proc/self/task");
	for (struct dirent *task; (task = readdir(tasks));)
		threads += task->d_name[0] != '.';
	closedir(tasks);
	return threads;
}

int main(int argc, char **argv)
{
	const int before = count_threads(); /* one, and qemu's own */
	const char *wrong, *untried = NULL;

	if (argc != 2)
		errx(2, "usage: check MODULE");
	wrong = try_nonmember(argv[1]);
	if (!wrong && count_threads() != before)
		wrong = "starts Go when it is loaded";
	if (!wrong)
		wrong = try_member(argv[1], &untried);
	if (wrong)
		errx(1, "%s %s", argv[1], wrong);
	if (untried)
		errx(77, "%s: a member's login was not tried: %s", argv[1], untried);
	return 0;
}

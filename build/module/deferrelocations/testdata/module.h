/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdbool.h>

#define ADDRESSES 1024

extern char *const go_constants[ADDRESSES];
extern char *go_data[ADDRESSES];
extern bool go_started;

extern int counter; /* reached by .got */

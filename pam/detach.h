/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_DETACH_H
#define PAMNET_DETACH_H

/*
 * Takes from the calling process, which has one thread, what the user of su or sudo may
 * have set for it and what would slow it down or give rights to what it creates: others
 * wait for what it does. What may not be undone stays as it is.
 */
void detach_from_caller(void);

/*
 * Makes the kernel kill the calling process after so many seconds, also if it is stopped
 * or frozen by then.
 */
void end_after(unsigned int seconds);

#endif

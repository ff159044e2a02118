/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Has pamhost connected to the log from the start, as login services are. */
#include <syslog.h>

__attribute__((constructor)) static void connect_log(void)
{
	openlog("pamhost", LOG_PID | LOG_NDELAY, LOG_AUTHPRIV);
}

package sandbox

import "context"

// StartCron starts cron(8). The jobs are those of the sandbox alone; one marked @reboot runs at once.
func (s *Sandbox) StartCron() error {
	return s.succeed(context.Background(), "/usr/sbin/cron")
}

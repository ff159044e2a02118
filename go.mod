module libpam-net

go 1.25.0

require (
	github.com/moby/sys/mountinfo v0.7.3
	github.com/msteinert/pam/v2 v2.1.0
	github.com/prometheus/procfs v0.20.1
	github.com/spf13/cobra v1.10.2
	github.com/vishvananda/netns v0.0.5
	golang.org/x/sys v0.47.0
)

require (
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/spf13/pflag v1.0.9 // indirect
)

module libpam-net

go 1.26.0

require (
	github.com/moby/sys/mountinfo v0.7.3 // indirect
	github.com/msteinert/pam/v2 v2.1.0 // indirect
	github.com/vishvananda/netns v0.0.5 // indirect
	golang.org/x/sys v0.47.0 // indirect
)

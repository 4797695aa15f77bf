module okd-libvirt/lab/node

go 1.25.0

require (
	github.com/coreos/ignition/v2 v2.24.0 // indirect
	golang.org/x/crypto v0.55.0 // indirect
)

// Clients of the server that are written in Go: what LiteFS sends, and the load of `make bench-server`.
module litevfs/tests

go 1.24

require github.com/superfly/ltx v0.3.14

require github.com/pierrec/lz4/v4 v4.1.17 // indirect

// Command latency is the network of `make bench`: a proxy that holds each request back for some
// time, as a server that is so far away would, and counts what passes. It adds the delay once a
// request, not once a connection or a byte; answers pass through untouched and undelayed.
//
// It prints the address that it listens on. For each line on standard input it then prints a line of
// JSON with its counts so far, and it ends when standard input does.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
)

var (
	target = flag.String("target", "", "HOST:PORT of the server")
	delay  = flag.Duration("delay", 0, "how long to hold back each request")
	folder = flag.String("folder", "", "instead of all that: serve the files of this folder")
)

// Bytes are those of the connections, headers included: those of answers count when their connection
// ends, so wait until none is open.
var counts struct {
	requests, connections, open, sent, received atomic.Int64
}

func main() {
	flag.Parse()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "latency:", err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr())
	if *folder != "" {
		go http.Serve(listener, http.FileServer(http.Dir(*folder)))
	} else {
		go accept(listener)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		json.NewEncoder(os.Stdout).Encode(map[string]int64{
			"requests":    counts.requests.Load(),
			"connections": counts.connections.Load(),
			"open":        counts.open.Load(),
			"sent":        counts.sent.Load(),
			"received":    counts.received.Load(),
		})
	}
}

func accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		counts.connections.Add(1)
		counts.open.Add(1)
		go func() {
			defer counts.open.Add(-1)
			pass(client)
		}()
	}
}

// pass carries one connection until either side ends it.
func pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", *target)
	if err != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		received, _ := io.Copy(client, server)
		counts.received.Add(received)
		client.Close() // wakes `requests`
	}()
	sent, _ := requests(client, server)
	counts.sent.Add(sent)
	server.Close() // wakes the copy
	<-done
}

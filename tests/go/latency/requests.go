package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// requests forwards the client's requests byte for byte, each after the delay, until there are no
// more. It returns how many bytes that were.
func requests(client io.Reader, server net.Conn) (int64, error) {
	in := bufio.NewReaderSize(client, 64<<10)
	var sent int64
	for {
		head, err := head(in)
		if err != nil {
			return sent, err
		}
		counts.requests.Add(1)
		length, chunked := bodyOf(head)
		// What has come with the head goes on with it, in one segment, as it came.
		part := min(int64(in.Buffered()), length)
		rest, err := in.Peek(int(part))
		if err != nil {
			return sent, err
		}
		head = append(head, rest...)
		in.Discard(int(part))
		holdBack(*delay)
		n, err := server.Write(head)
		sent += int64(n)
		if err != nil {
			return sent, err
		}
		if chunked {
			length, err = chunks(in, server)
		} else {
			length, err = io.CopyN(server, in, length-part)
		}
		sent += length
		if err != nil {
			return sent, err
		}
	}
}

// holdBack waits as exactly as the system can. The timers of Go are late by a fifth of a millisecond,
// which 500 requests would add up.
func holdBack(delay time.Duration) {
	for end := time.Now().Add(delay); time.Until(end) > 0; {
		left := syscall.NsecToTimespec(int64(time.Until(end)))
		syscall.Nanosleep(&left, nil)
	}
}

// head is a request's line and headers, with the empty line that ends them.
func head(in *bufio.Reader) ([]byte, error) {
	var all []byte
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		all = append(all, line...)
		if len(bytes.TrimSpace(line)) == 0 && len(all) > len(line) {
			return all, nil
		}
	}
}

// bodyOf is what the head says of the body: its length, or that it comes in chunks.
func bodyOf(head []byte) (length int64, chunked bool) {
	for _, line := range strings.Split(string(head), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		switch strings.ToLower(name) {
		case "content-length":
			length, _ = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		case "transfer-encoding":
			chunked = strings.Contains(strings.ToLower(value), "chunked")
		}
	}
	return length, chunked
}

// chunks forwards a body in chunks, with the trailer after the last one.
func chunks(in *bufio.Reader, server io.Writer) (int64, error) {
	var sent int64
	last := false
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return sent, err
		}
		n, err := server.Write(line)
		sent += int64(n)
		if err != nil {
			return sent, err
		}
		text, _, _ := strings.Cut(string(line), ";")
		text = strings.TrimSpace(text)
		if last {
			if text == "" {
				return sent, nil
			}
			continue
		}
		size, err := strconv.ParseInt(text, 16, 64)
		if err != nil {
			return sent, err
		}
		if size == 0 {
			last = true
			continue
		}
		copied, err := io.CopyN(server, in, size+2) // with the line end after it
		sent += copied
		if err != nil {
			return sent, err
		}
	}
}

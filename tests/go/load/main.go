// Command load is the load of `make bench-server`: some clients in a closed loop for some seconds,
// against the server, or against the bare disk or bucket it would write to. It prints one JSON line.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"sync"
	"time"
)

// work is what one client does over and over. It is not called concurrently.
type work func() error

// modes make the work of client number i.
var modes = map[string]func(i int) (work, error){
	"disk":    diskWriter,
	"bucket":  bucketWriter,
	"commits": committer,
	"pages":   pageReader,
}

var (
	mode     = flag.String("mode", "", "disk, bucket, commits or pages")
	clients  = flag.Int("clients", 1, "how many at once")
	duration = flag.Duration("for", 5*time.Second, "how long")
	rounds   = flag.Int("rounds", 0, "how often each client works at most; 0: as often as it can")
	place    = flag.String("place", "", "a folder, or the bucket and prefix, or the server's address")
	prefix   = flag.String("prefix", "bench", "the databases are called PREFIX-0, PREFIX-1, ...")
	touched  = flag.Int("touched", 3, "pages that one commit changes, or one request reads")
	size     = flag.Int("pages", 100, "pages of a new database")
)

// result is what is printed.
type result struct {
	Mode    string  `json:"mode"`
	Clients int     `json:"clients"`
	Done    int     `json:"done"`
	PerS    float64 `json:"per_s"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run() error {
	make, known := modes[*mode]
	if !known {
		return fmt.Errorf("no mode %q", *mode)
	}
	all := []work{}
	for i := range *clients {
		one, err := make(i)
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	took, elapsed, err := drive(all)
	if err != nil {
		return err
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	return json.NewEncoder(os.Stdout).Encode(result{
		Mode: *mode, Clients: *clients, Done: len(took),
		PerS: float64(len(took)) / elapsed.Seconds(),
		P50:  ms(took[len(took)/2]), P99: ms(took[len(took)*99/100]),
	})
}

// drive lets all work at once and gives what each call took.
func drive(all []work) ([]time.Duration, time.Duration, error) {
	var group sync.WaitGroup
	var lock sync.Mutex
	var took []time.Duration
	var failed error
	start := time.Now()
	for _, one := range all {
		group.Add(1)
		go func() {
			defer group.Done()
			mine, err := repeat(one, start)
			lock.Lock()
			defer lock.Unlock()
			took = append(took, mine...)
			if err != nil && failed == nil {
				failed = err
			}
		}()
	}
	group.Wait()
	return took, time.Since(start), failed
}

func repeat(one work, start time.Time) ([]time.Duration, error) {
	var took []time.Duration
	for len(took) == 0 || time.Since(start) < *duration {
		before := time.Now()
		if err := one(); err != nil {
			return took, err
		}
		took = append(took, time.Since(before))
		if len(took) == *rounds {
			break
		}
	}
	return took, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

package litefs

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"

	"github.com/superfly/ltx"
)

// client reaches the server that tests/sh/litefs.sh has started; every test has a cluster of its own.
func client(t *testing.T) *Client {
	t.Helper()
	url := os.Getenv("LITEFS_CLOUD_ENDPOINT")
	if url == "" {
		t.Fatal("LITEFS_CLOUD_ENDPOINT is not set: run tests/sh/litefs.sh")
	}
	return &Client{
		URL: url, Token: os.Getenv("LITEFS_CLOUD_TOKEN"), Cluster: t.Name(), ClusterID: "LFSC0123456789ABCDEF",
	}
}

// replica makes one with some transactions.
func replica(t *testing.T, seed int64, transactions int) *Replica {
	t.Helper()
	r := NewReplica(seed)
	commit(t, r, transactions)
	return r
}

func commit(t *testing.T, r *Replica, transactions int) {
	t.Helper()
	for range transactions {
		if err := r.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

// upload sends transactions and checks the high-water mark.
func upload(t *testing.T, c *Client, db string, r *Replica, from, to int, flags uint32) {
	t.Helper()
	hwm, err := r.Upload(context.Background(), c, db, from, to, flags)
	if err != nil {
		t.Fatalf("transactions %d to %d: %v", from, to, err)
	}
	if hwm != ltx.TXID(to) {
		t.Fatalf("transactions %d to %d: high-water mark %s", from, to, hwm)
	}
}

// same checks that the server has what the replica has.
func same(t *testing.T, c *Client, db string, want *Replica) {
	t.Helper()
	positions, err := c.PosMap(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if positions[db] != want.Pos {
		t.Fatalf("%s is at %s, want %s", db, positions[db], want.Pos)
	}
	got := NewReplica(0)
	if err := got.Restore(context.Background(), c, db); err != nil {
		t.Fatal(err)
	}
	if got.Pos != want.Pos || !bytes.Equal(got.Image(), want.Image()) {
		t.Fatalf("%s: the snapshot at %s is not the database at %s", db, got.Pos, want.Pos)
	}
}

func TestNoDatabases(t *testing.T) {
	positions, err := client(t).PosMap(context.Background())
	if err != nil || len(positions) != 0 {
		t.Fatalf("positions %v, error %v", positions, err)
	}
}

func TestOneByOne(t *testing.T) {
	c, r := client(t), NewReplica(1)
	for i := 1; i <= 40; i++ {
		commit(t, r, 1)
		upload(t, c, "db", r, i, i, uint32(i%2)*ltx.HeaderFlagCompressLZ4)
	}
	same(t, c, "db", r)
}

func TestManyInOneUpload(t *testing.T) {
	c, r := client(t), replica(t, 2, 600)
	upload(t, c, "db", r, 1, 256, ltx.HeaderFlagCompressLZ4)
	upload(t, c, "db", r, 257, 257, ltx.HeaderFlagCompressLZ4)
	upload(t, c, "db", r, 258, 513, 0)
	upload(t, c, "db", r, 514, 600, ltx.HeaderFlagCompressLZ4)
	same(t, c, "db", r)
}

func TestSeveralDatabases(t *testing.T) {
	c := client(t)
	one, other := replica(t, 3, 5), replica(t, 4, 9)
	upload(t, c, "one", one, 1, 5, 0)
	upload(t, c, "other", other, 1, 9, 0)
	same(t, c, "one", one)
	same(t, c, "other", other)
}

func TestSameFileAgain(t *testing.T) {
	c, r := client(t), replica(t, 5, 12)
	for range 3 {
		upload(t, c, "db", r, 1, 12, ltx.HeaderFlagCompressLZ4)
	}
	same(t, c, "db", r)
}

// TestServerIsRight: who does not follow the server's position is told it, and starts over from there.
func TestServerIsRight(t *testing.T) {
	c, r, fork := client(t), replica(t, 6, 10), replica(t, 7, 11)
	upload(t, c, "db", r, 1, 10, 0)
	for name, try := range map[string]func() (ltx.TXID, error){
		"a gap":            func() (ltx.TXID, error) { commit(t, r, 2); return r.Upload(context.Background(), c, "db", 12, 12, 0) },
		"another checksum": func() (ltx.TXID, error) { return fork.Upload(context.Background(), c, "db", 11, 11, 0) },
		"another history":  func() (ltx.TXID, error) { return fork.Upload(context.Background(), c, "db", 1, 10, 0) },
	} {
		_, err := try()
		var mismatch *ltx.PosMismatchError
		if !errors.As(err, &mismatch) || mismatch.Pos.TXID != 10 {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if err := fork.Restore(context.Background(), c, "db"); err != nil {
		t.Fatal(err)
	}
	commit(t, fork, 1)
	upload(t, c, "db", fork, 11, 11, 0)
	same(t, c, "db", fork)
}

func TestNewDatabaseStartsAtOne(t *testing.T) {
	c, r := client(t), replica(t, 8, 2)
	_, err := r.Upload(context.Background(), c, "db", 2, 2, 0)
	var mismatch *ltx.PosMismatchError
	if !errors.As(err, &mismatch) || !mismatch.Pos.IsZero() {
		t.Fatal(err)
	}
}

// TestBrokenUpload: LiteFS ends the pipe with an error when a file of its own is bad.
func TestBrokenUpload(t *testing.T) {
	c, r := client(t), replica(t, 9, 3)
	file := bytes.Clone(r.Files[2])
	r.Files[2][len(file)/2] ^= 1
	if _, err := r.Upload(context.Background(), c, "db", 1, 3, 0); err == nil {
		t.Fatal("a bad file was taken")
	}
	positions, err := c.PosMap(context.Background())
	if err != nil || len(positions) != 0 {
		t.Fatalf("positions %v, error %v", positions, err)
	}
	r.Files[2] = file
	upload(t, c, "db", r, 1, 3, 0)
	same(t, c, "db", r)
}

package litefs

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand"

	"github.com/superfly/ltx"
)

const pageSize = 4096

// Replica is a LiteFS node's copy of one database, with an LTX file for each transaction made on it.
type Replica struct {
	Pages [][]byte
	Pos   ltx.Pos
	Files [][]byte // Files[i] is transaction i + 1
	rng   *rand.Rand
}

// NewReplica makes an empty one, whose transactions follow from the seed.
func NewReplica(seed int64) *Replica { return &Replica{rng: rand.New(rand.NewSource(seed))} }

// Image is the database file.
func (r *Replica) Image() []byte { return bytes.Join(r.Pages, nil) }

// Commit changes some pages, now and then the number of pages too, and keeps the LTX file.
func (r *Replica) Commit() error {
	before := len(r.Pages)
	commit := max(1, before+r.rng.Intn(7)-2)
	changed := map[int]bool{0: true} // SQLite always rewrites page 1
	for pgno := before; pgno < commit; pgno++ {
		changed[pgno] = true
	}
	for range r.rng.Intn(5) {
		changed[r.rng.Intn(commit)] = true
	}
	pages := make([][]byte, commit)
	copy(pages, r.Pages)
	for i := range changed {
		pages[i] = make([]byte, pageSize)
		r.rng.Read(pages[i][:r.rng.Intn(pageSize)])
	}
	setHeader(pages[0], commit)
	file, post, err := r.encode(pages, changed)
	if err != nil {
		return err
	}
	r.Pages, r.Pos = pages, ltx.NewPos(r.Pos.TXID+1, post)
	r.Files = append(r.Files, file)
	return nil
}

// setHeader makes a page one that SQLite could begin a database with.
func setHeader(page []byte, commit int) {
	copy(page, "SQLite format 3\x00")
	binary.BigEndian.PutUint16(page[16:], pageSize)
	copy(page[18:], []byte{1, 1, 0, 64, 32, 32})
	binary.BigEndian.PutUint32(page[28:], uint32(commit))
	clear(page[44:60])
	page[100] = 13
}

func (r *Replica) encode(pages [][]byte, changed map[int]bool) ([]byte, ltx.Checksum, error) {
	var file bytes.Buffer
	encoder := ltx.NewEncoder(&file)
	header := ltx.Header{
		Version: ltx.Version, PageSize: pageSize, Commit: uint32(len(pages)),
		MinTXID: r.Pos.TXID + 1, MaxTXID: r.Pos.TXID + 1,
		Timestamp: 1_700_000_000_000 + int64(r.Pos.TXID), PreApplyChecksum: r.Pos.PostApplyChecksum,
	}
	if err := encoder.EncodeHeader(header); err != nil {
		return nil, 0, err
	}
	for i, page := range pages {
		if !changed[i] {
			continue
		}
		if err := encoder.EncodePage(ltx.PageHeader{Pgno: uint32(i + 1)}, page); err != nil {
			return nil, 0, err
		}
	}
	post, err := ltx.ChecksumReader(bytes.NewReader(bytes.Join(pages, nil)), pageSize)
	if err != nil {
		return nil, 0, err
	}
	encoder.SetPostApplyChecksum(post)
	err = encoder.Close()
	return file.Bytes(), post, err
}

// Upload sends the transactions `from` to `to` as LiteFS does: merged into one file by its compactor
// while the request is under way, compressed unless told otherwise.
func (r *Replica) Upload(ctx context.Context, c *Client, db string, from, to int, flags uint32) (ltx.TXID, error) {
	var files []io.Reader
	for _, file := range r.Files[from-1 : to] {
		files = append(files, bytes.NewReader(file))
	}
	reader, writer := io.Pipe()
	go func() {
		compactor := ltx.NewCompactor(writer, files)
		compactor.HeaderFlags = flags
		_ = writer.CloseWithError(compactor.Compact(ctx))
	}()
	defer reader.Close()
	return c.WriteTx(ctx, db, reader)
}

// Restore replaces the copy by the server's snapshot, as LiteFS does when the server is ahead of it.
func (r *Replica) Restore(ctx context.Context, c *Client, db string) error {
	snapshot, err := c.FetchSnapshot(ctx, db)
	if err != nil {
		return err
	}
	defer snapshot.Close()
	var image bytes.Buffer
	decoder := ltx.NewDecoder(snapshot)
	if err := decoder.DecodeDatabaseTo(&image); err != nil {
		return fmt.Errorf("the snapshot does not decode: %w", err)
	}
	r.Pages = nil
	for page := image.Bytes(); len(page) > 0; page = page[pageSize:] {
		r.Pages = append(r.Pages, page[:pageSize:pageSize])
	}
	// The decoder's own position is only set once it has verified the file's checksum.
	r.Pos = decoder.PostApplyPos()
	r.Files = make([][]byte, r.Pos.TXID) // those of before are not known here
	return nil
}

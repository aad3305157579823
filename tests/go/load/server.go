package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/superfly/ltx"
)

const pageSize = 4096

// replica is a database of random pages, that is, of pages that no compression makes smaller.
type replica struct {
	rng    *rand.Rand
	sums   []ltx.Checksum
	pos    ltx.Pos
	page   []byte
	upload bytes.Buffer
}

func newReplica(seed int64) *replica {
	return &replica{rng: rand.New(rand.NewSource(seed)), page: make([]byte, pageSize)}
}

// next gives the LTX file of the next commit: the whole database at first, then some pages.
func (r *replica) next() ([]byte, error) {
	changed := map[uint32]bool{1: true}
	for len(changed) < min(*touched, *size) && r.sums != nil {
		changed[uint32(r.rng.Intn(*size))+1] = true
	}
	if r.sums == nil {
		r.sums = make([]ltx.Checksum, *size)
		for pgno := range *size {
			changed[uint32(pgno)+1] = true
		}
	}
	r.upload.Reset()
	encoder := ltx.NewEncoder(&r.upload)
	header := ltx.Header{
		Version: ltx.Version, PageSize: pageSize, Commit: uint32(*size),
		MinTXID: r.pos.TXID + 1, MaxTXID: r.pos.TXID + 1, PreApplyChecksum: r.pos.PostApplyChecksum,
	}
	if err := encoder.EncodeHeader(header); err != nil {
		return nil, err
	}
	for pgno := uint32(1); pgno <= uint32(*size); pgno++ {
		if !changed[pgno] {
			continue
		}
		r.fill(pgno)
		if err := encoder.EncodePage(ltx.PageHeader{Pgno: pgno}, r.page); err != nil {
			return nil, err
		}
		r.sums[pgno-1] = ltx.ChecksumPage(pgno, r.page)
	}
	r.pos = ltx.NewPos(r.pos.TXID+1, r.checksum())
	encoder.SetPostApplyChecksum(r.pos.PostApplyChecksum)
	if err := encoder.Close(); err != nil {
		return nil, err
	}
	return r.upload.Bytes(), nil
}

func (r *replica) fill(pgno uint32) {
	r.rng.Read(r.page)
	if pgno == 1 {
		// As SQLite could begin a database with it.
		copy(r.page, "SQLite format 3\x00")
		binary.BigEndian.PutUint16(r.page[16:], pageSize)
		copy(r.page[18:], []byte{1, 1, 0, 64, 32, 32})
		binary.BigEndian.PutUint32(r.page[28:], uint32(*size))
		clear(r.page[44:60])
		r.page[100] = 13
	}
}

func (r *replica) checksum() ltx.Checksum {
	var sum ltx.Checksum
	for _, page := range r.sums {
		sum ^= page
	}
	return sum | ltx.ChecksumFlag
}

// api is one client's connection.
type api struct{ http.Client }

func newAPI() *api { return &api{http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}} }

func (a *api) call(method, path string, query url.Values, body []byte) ([]byte, error) {
	request, err := http.NewRequest(method, *place+path+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", os.Getenv("LITEFS_CLOUD_TOKEN"))
	answer, err := a.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %d %s", method, path, answer.StatusCode, content)
	}
	return content, err
}

func database(i int) string { return fmt.Sprintf("%s-%d", *prefix, i) }

// committer commits to a database of its own, which its first commit makes.
func committer(i int) (work, error) {
	replica, api, query := newReplica(int64(i)), newAPI(), url.Values{"db": {database(i)}}
	commit := func() error {
		file, err := replica.next()
		if err == nil {
			_, err = api.call(http.MethodPost, "/db/tx", query, file)
		}
		return err
	}
	return commit, commit()
}

// pageReader reads random pages of the newest position of a database that is there.
func pageReader(i int) (work, error) {
	api, rng := newAPI(), rand.New(rand.NewSource(int64(i)))
	query := url.Values{"db": {database(i)}}
	body, err := api.call(http.MethodGet, "/db/sync", query, nil)
	if err != nil {
		return nil, err
	}
	var sync struct{ Pos ltx.Pos }
	if err := json.Unmarshal(body, &sync); err != nil {
		return nil, err
	}
	query.Set("pos", sync.Pos.String())
	return func() error {
		wanted := make([]string, *touched)
		for i := range wanted {
			wanted[i] = fmt.Sprint(rng.Intn(*size) + 1)
		}
		query.Set("pgno", strings.Join(wanted, ","))
		_, err := api.call(http.MethodGet, "/db/page", query, nil)
		return err
	}, nil
}

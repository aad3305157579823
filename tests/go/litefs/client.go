// Package litefs talks to a LiteFS Cloud server as LiteFS does.
//
// LiteFS's own client is a package of its main module, which cannot be had from every Go module
// proxy. So the calls are made here, in the same shape: Go's HTTP client, bodies of unknown length
// from a pipe, no lease, the cluster id in a header. The codec is LiteFS's own.
package litefs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/superfly/ltx"
)

// Client is one LiteFS node's connection to the server.
type Client struct {
	URL       string // scheme and host
	Token     string
	Cluster   string // empty when the token says it
	ClusterID string // "LFSC" and 16 upper-case hex digits
}

// PosMap gives the position of every database of the cluster.
func (c *Client) PosMap(ctx context.Context) (map[string]ltx.Pos, error) {
	body, _, err := c.call(ctx, http.MethodGet, "/pos", nil, nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	positions := make(map[string]ltx.Pos)
	return positions, json.NewDecoder(body).Decode(&positions)
}

// WriteTx uploads one LTX file and returns the TXID up to which all is durable. A file that does not
// follow the server's position gives a *ltx.PosMismatchError with that position.
func (c *Client) WriteTx(ctx context.Context, db string, file io.Reader) (ltx.TXID, error) {
	body, header, err := c.call(ctx, http.MethodPost, "/db/tx", url.Values{"db": {db}}, file)
	if err != nil {
		return 0, err
	}
	if err := body.Close(); err != nil {
		return 0, err
	}
	return ltx.ParseTXID(header.Get("Litefs-Hwm"))
}

// FetchSnapshot opens the whole database as one LTX file.
func (c *Client) FetchSnapshot(ctx context.Context, db string) (io.ReadCloser, error) {
	body, _, err := c.call(ctx, http.MethodGet, "/db/snapshot", url.Values{"db": {db}}, nil)
	return body, err
}

func (c *Client) call(
	ctx context.Context, method, path string, query url.Values, body io.Reader,
) (io.ReadCloser, http.Header, error) {
	if query == nil {
		query = url.Values{}
	}
	if c.Cluster != "" {
		query.Set("cluster", c.Cluster)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.URL+path+"?"+query.Encode(), body)
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Authorization", c.Token)
	if c.ClusterID != "" {
		request.Header.Set("Litefs-Cluster-Id", c.ClusterID)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, nil, err
	}
	if answer.StatusCode/100 != 2 {
		defer answer.Body.Close()
		return nil, nil, refusal(answer)
	}
	return answer.Body, answer.Header, nil
}

// Refused is an error answer other than a position mismatch.
type Refused struct {
	Status int
	Code   string
	Text   string
}

func (e *Refused) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Text) }

func refusal(answer *http.Response) error {
	var body struct {
		Code  string  `json:"code"`
		Error string  `json:"error"`
		Pos   ltx.Pos `json:"pos"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<16)).Decode(&body); err != nil {
		return fmt.Errorf("status %d without a JSON error: %w", answer.StatusCode, err)
	}
	if body.Code == "EPOSMISMATCH" {
		return ltx.NewPosMismatchError(body.Pos)
	}
	return &Refused{Status: answer.StatusCode, Code: body.Code, Text: body.Error}
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// diskWriter creates a file with the bytes of one commit and syncs it and its folder: the least that
// makes a commit durable on a disk. Every client has a folder, as every database has.
func diskWriter(i int) (work, error) {
	folder := filepath.Join(*place, fmt.Sprintf("%s-%d", *prefix, i))
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, err
	}
	opened, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	replica, number := newReplica(int64(i)), 0
	write := func() error {
		content, err := replica.next()
		if err != nil {
			return err
		}
		number++
		file, err := os.OpenFile(filepath.Join(folder, fmt.Sprintf("%016x", number)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		if err != nil {
			return err
		}
		defer file.Close()
		if _, err := file.Write(content); err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
		return opened.Sync()
	}
	return write, write() // the first is the whole database
}

// bucketWriter creates an object with the bytes of one commit unless there is one: the least that
// makes a commit durable in a bucket. Keys and address come from the AWS variables.
func bucketWriter(i int) (work, error) {
	endpoint, err := url.Parse(os.Getenv("AWS_ENDPOINT_URL"))
	if err != nil {
		return nil, err
	}
	bucket, path, _ := strings.Cut(*place, "/")
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds:  credentials.NewEnvAWS(),
		Region: os.Getenv("AWS_REGION"),
		Secure: endpoint.Scheme == "https",
	})
	if err != nil {
		return nil, err
	}
	replica, number := newReplica(int64(i)), 0
	write := func() error {
		content, err := replica.next()
		if err != nil {
			return err
		}
		number++
		key := fmt.Sprintf("%s/%s-%d/%016x", path, *prefix, i, number)
		options := minio.PutObjectOptions{}
		options.SetMatchETagExcept("*")
		_, err = client.PutObject(context.Background(), bucket, key, bytes.NewReader(content), int64(len(content)), options)
		return err
	}
	return write, write()
}

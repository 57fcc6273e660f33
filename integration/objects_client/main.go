// Reads every object of a JetStream object store with NATS's own Go client, which checks digests: a line of JSON
// each. For tests: what Millrace writes is what others read.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
)

type line struct {
	Name   string `json:"name"`
	Size   int    `json:"size"`
	Sha256 string `json:"sha256"`
	Text   string `json:"text,omitempty"`
}

func read(url, bucket string) error {
	connection, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer connection.Close()
	stream, err := connection.JetStream()
	if err != nil {
		return err
	}
	store, err := stream.ObjectStore(bucket)
	if err != nil {
		return err
	}
	objects, err := store.List()
	if err != nil {
		return err
	}
	for _, object := range objects {
		content, err := store.GetBytes(object.Name)
		if err != nil {
			return fmt.Errorf("%s: %w", object.Name, err)
		}
		if uint64(len(content)) != object.Size {
			return fmt.Errorf("%s: %d bytes, described as %d", object.Name, len(content), object.Size)
		}
		digest := sha256.Sum256(content)
		out := line{Name: object.Name, Size: len(content), Sha256: hex.EncodeToString(digest[:])}
		if strings.HasSuffix(object.Name, ".json") {
			out.Text = string(content)
		}
		if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if err := read(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A handler in Go, without a package and without libzmq: a running total for each key, for one worker, as
// docs/handlers.md has it.
//
//	go run . ipc:///run/total-w1.sock
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/vmihailenco/msgpack/v5"
)

type object = map[string]any
type list = []any

type total struct {
	Total int64 `msgpack:"total"`
}

type key struct {
	_msgpack struct{} `msgpack:",as_array"`
	Key      []byte
	State    *total
}

type call struct {
	_msgpack struct{} `msgpack:",as_array"`
	Kind     int
	Key      int
	Value    msgpack.RawMessage
	TimeMs   int64
	Headers  [][]string
	Label    string
}

// What welcome, refused and batch have in them.
type message struct {
	HeartbeatMs int64  `msgpack:"heartbeat_ms"`
	ProgressMs  int64  `msgpack:"progress_ms"`
	Code        string `msgpack:"code"`
	Why         string `msgpack:"why"`
	ID          string `msgpack:"id"`
	Keys        []key  `msgpack:"keys"`
	Calls       []call `msgpack:"calls"`
}

func handle(batch message, progress func(done int)) object {
	states, outputs, errs := list{}, list{}, list{}
	failed := map[int]bool{}
	for index, call := range batch.Calls {
		progress(index)
		if failed[call.Key] {
			continue
		}
		var record struct {
			Amount *int64 `msgpack:"amount"`
		}
		if err := msgpack.Unmarshal(call.Value, &record); err != nil || record.Amount == nil {
			failed[call.Key] = true
			errs = append(errs, list{index, "no amount"})
			continue
		}
		key := &batch.Keys[call.Key]
		if key.State == nil {
			key.State = &total{}
		}
		key.State.Total += *record.Amount
		states = append(states, list{index, *key.State})
		outputs = append(outputs, list{index, *key.State, nil, nil})
	}
	return object{"id": batch.ID, "states": states, "outputs": outputs, "errors": errs}
}

// One registration: until the worker is lost, refuses, or says bye. With a socket of its own.
func session(endpoint string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	socket := zmq4.NewDealer(ctx)
	defer socket.Close()
	if err := socket.Dial(endpoint); err != nil {
		return err
	}
	send := func(kind string, body object) {
		packed, _ := msgpack.Marshal(body)
		socket.SendMulti(zmq4.NewMsgFrom([]byte("MR1"), []byte(kind), packed))
	}
	received := make(chan zmq4.Msg)
	go func() {
		defer close(received)
		for {
			next, err := socket.Recv()
			if err != nil {
				return
			}
			select {
			case received <- next:
			case <-ctx.Done():
				return
			}
		}
	}()
	send("register", object{"versions": list{1}, "name": "total", "sdk": "go", "mode": "keyed", "capacity": 2})
	patience, pace := 5*time.Second, time.Second
	for {
		var body message
		select {
		case next, ok := <-received:
			if !ok {
				return errors.New("the connection is lost")
			}
			if len(next.Frames) != 3 || msgpack.Unmarshal(next.Frames[2], &body) != nil {
				return errors.New("no message of the protocol")
			}
			switch kind := string(next.Frames[1]); kind {
			case "welcome":
				patience = 5 * time.Duration(body.HeartbeatMs) * time.Millisecond
				pace = time.Duration(body.ProgressMs) * time.Millisecond
			case "heartbeat":
				send("heartbeat", object{})
			case "batch":
				said := time.Time{}
				send("result", handle(body, func(done int) {
					if time.Since(said) >= pace {
						said = time.Now()
						send("progress", object{"id": body.ID, "done": done})
					}
				}))
			default:
				return fmt.Errorf("%s: %s: %s", kind, body.Code, body.Why)
			}
		case <-time.After(patience):
			return errors.New("the worker is silent")
		}
	}
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: total ENDPOINT — like ipc:///run/total-w1.sock")
	}
	for {
		log.Print(session(os.Args[1]))
		time.Sleep(time.Second)
	}
}

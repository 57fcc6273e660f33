// Makes an account of NATS with a user for each role that standard input names with its permissions, as JSON:
// {"worker": {"publish": [...], "subscribe": [...]}, ...}. What comes out, as JSON: the server's configuration, and each user's credentials.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

type permissions struct {
	Publish   []string `json:"publish"`
	Subscribe []string `json:"subscribe"`
	Responses bool     `json:"allow_responses"`
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func publicKey(pair nkeys.KeyPair) string { return must(pair.PublicKey()) }

func credentials(role string, allowed permissions, account nkeys.KeyPair) string {
	pair := must(nkeys.CreateUser())
	claims := jwt.NewUserClaims(publicKey(pair))
	claims.Name = role
	claims.Pub.Allow = allowed.Publish
	claims.Sub.Allow = allowed.Subscribe
	if allowed.Responses {
		claims.Resp = &jwt.ResponsePermission{MaxMsgs: 1}
	}
	return string(must(jwt.FormatUserConfig(must(claims.Encode(account)), must(pair.Seed()))))
}

// An account of this name, and the server's line for it.
func makeAccount(name string, limits jwt.JetStreamLimits, operator nkeys.KeyPair) (nkeys.KeyPair, string) {
	pair := must(nkeys.CreateAccount())
	claims := jwt.NewAccountClaims(publicKey(pair))
	claims.Name = name
	claims.Limits.JetStreamLimits = limits
	return pair, fmt.Sprintf("%s: %s\n", publicKey(pair), must(claims.Encode(operator)))
}

func main() {
	var roles map[string]permissions
	if err := json.NewDecoder(os.Stdin).Decode(&roles); err != nil {
		log.Fatal(err)
	}
	operator := must(nkeys.CreateOperator())
	operatorToken := must(jwt.NewOperatorClaims(publicKey(operator)).Encode(operator))
	system, systemLine := makeAccount("system", jwt.JetStreamLimits{}, operator)
	account, accountLine := makeAccount("millrace",
		jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}, operator)

	users := map[string]string{}
	for role, allowed := range roles {
		users[role] = credentials(role, allowed, account)
	}
	made := map[string]any{"users": users, "server": fmt.Sprintf(
		"operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: {\n%s%s}\n",
		operatorToken, publicKey(system), systemLine, accountLine)}
	if err := json.NewEncoder(os.Stdout).Encode(made); err != nil {
		log.Fatal(err)
	}
}

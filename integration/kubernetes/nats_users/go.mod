module millrace/nats_users

go 1.25.0

require (
	github.com/nats-io/jwt/v2 v2.8.0
	github.com/nats-io/nkeys v0.4.15
)

require (
	golang.org/x/crypto v0.47.0 // indirect
	golang.org/x/sys v0.40.0 // indirect
)

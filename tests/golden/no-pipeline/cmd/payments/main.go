// Command payments serves the payments API over HTTP.
package main

import (
	"os"

	"example.com/platform/payments/internal/app"
)

const service = "payments"

// version is set by the build: -ldflags "-X main.version=1.2.3".
var version = "dev"

func main() {
	os.Exit(app.Run(service, version, os.Args[1:], os.Stdout, os.Stderr))
}

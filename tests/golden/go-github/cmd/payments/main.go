// Command payments serves the payments API over HTTP.
package main

import (
	"log/slog"
	"os"

	"example.com/platform/payments/internal/config"
	"example.com/platform/payments/internal/platform"
	"example.com/platform/payments/internal/server"
)

// version is set by the build: -ldflags "-X main.version=1.2.3".
var version = "dev"

func main() {
	var cfg config.Config
	platform.Start("payments", version, &cfg)
	if err := run(cfg); err != nil {
		slog.Error("failed", "error", err)
		os.Exit(1)
	}
}

func run(cfg config.Config) error {
	return platform.Serve(cfg.Settings, server.New())
}

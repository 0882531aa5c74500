// Package app runs the service's commands: serve, version and healthcheck.
package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"example.com/platform/payments/internal/config"
	"example.com/platform/payments/internal/health"
	"example.com/platform/payments/internal/logging"
	"example.com/platform/payments/internal/server"
)

// Exit codes of the process.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Run runs the command that args name, to its end, and returns the process's
// exit code. The configuration comes from the environment.
func Run(service, version string, args []string, stdout, stderr io.Writer) int {
	switch {
	case len(args) == 0:
		return serve(service, version, stdout, stderr)
	case len(args) == 1 && args[0] == "version":
		fmt.Fprintln(stdout, service, version)
		return exitOK
	case len(args) == 1 && args[0] == "healthcheck":
		return healthcheck(stderr)
	default:
		fmt.Fprintf(stderr, "usage: %s [version | healthcheck]\n", service)
		return exitUsage
	}
}

func serve(service, version string, stdout, stderr io.Writer) int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)

	cfg, err := config.Load(os.LookupEnv)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	log := logging.New(stdout, cfg.LogLevel, service, version)

	listener, err := listen(cfg.Address())
	if err != nil {
		log.Error("cannot listen", "error", err)
		return exitFailed
	}
	if err := server.New(cfg, log, service, version).Serve(listener, signals); err != nil {
		return exitFailed
	}
	return exitOK
}

func listen(addr netip.AddrPort) (net.Listener, error) {
	network := "tcp"
	if addr.Addr().Is4() {
		network = "tcp4" // "tcp" would turn 0.0.0.0 into [::]
	}
	return net.Listen(network, addr.String())
}

func healthcheck(stderr io.Writer) int {
	cfg, err := config.Load(os.LookupEnv)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	if err := health.Check(context.Background(), cfg.Address()); err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	return exitOK
}

// Package server answers the service's HTTP requests, and drains before it
// stops.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"example.com/platform/payments/internal/config"
	"example.com/platform/payments/internal/health"
	"example.com/platform/payments/internal/metrics"
)

// Limits on what one request may take.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 15 * time.Second
	idleTimeout       = 60 * time.Second
	maxHeaderBytes    = 16 << 10
	maxBodyBytes      = 1 << 20

	// net/http reads this much more than its MaxHeaderBytes says.
	headerSlop = 4 << 10
)

// What Serve returns when it could not stop cleanly.
var (
	ErrDeadline    = errors.New("shutdown deadline exceeded")
	ErrInterrupted = errors.New("interrupted while shutting down")
)

// Server is the service's HTTP server.
type Server struct {
	config  config.Config
	log     *slog.Logger
	status  *health.Status
	metrics *metrics.Metrics
	http    *http.Server
	after   func(time.Duration) <-chan time.Time // time.After, but in tests
}

// New returns a server that does not listen yet.
func New(cfg config.Config, log *slog.Logger, service, version string) *Server {
	s := &Server{
		config:  cfg,
		log:     log,
		status:  new(health.Status),
		metrics: metrics.New(service, version),
		after:   time.After,
	}
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes - headerSlop,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),

		// OPTIONS * is answered like any other request.
		DisableGeneralOptionsHandler: true,
	}
	return s
}

// Serve answers the requests that arrive on listener. The first signal starts
// the drain; a second one ends it at once. Serve returns nil when every request
// was answered.
func (s *Server) Serve(listener net.Listener, signals <-chan os.Signal) error {
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(listener) }()
	s.log.Info("listening", "address", listener.Addr().String())

	select {
	case err := <-failed:
		s.log.Error("cannot serve", "error", err)
		return err
	case received := <-signals:
		return s.drain(received, signals)
	}
}

func (s *Server) drain(received os.Signal, signals <-chan os.Signal) error {
	deadline := s.after(s.config.ShutdownTimeout)
	s.status.Drain()
	s.log.Info("draining", "signal", signalName(received))

	select {
	case <-s.after(s.config.DrainDelay):
	case <-signals:
		return ErrInterrupted
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- s.http.Shutdown(ctx) }()

	select {
	case err := <-stopped:
		if err != nil {
			s.log.Warn("closing the listener failed", "error", err)
		}
	case <-deadline:
		// A connection without a request may still be open; nobody waits on it.
		if left := s.metrics.InFlight(); left > 0 {
			s.log.Error(ErrDeadline.Error(), "error", fmt.Sprintf("requests cut off after %s: %d", s.config.ShutdownTimeout, left))
			s.http.Close()
			return ErrDeadline
		}
		s.http.Close()
	case <-signals:
		return ErrInterrupted
	}
	s.log.Info("stopped")
	return nil
}

func signalName(received os.Signal) string {
	switch received {
	case syscall.SIGTERM:
		return "SIGTERM"
	case syscall.SIGINT:
		return "SIGINT"
	default:
		return received.String()
	}
}

// Package platform is what every service has from its platform. Its files are
// the same everywhere, and `make update` replaces them.
package platform

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	readHeaderTimeout  = 5 * time.Second
	readTimeout        = 60 * time.Second
	maxHeaderBytes     = 16 << 10
	healthcheckTimeout = 2 * time.Second
)

var (
	draining atomic.Bool
	stopping = make(chan struct{})
)

// Stopping is closed when the drain delay is over, for what streams to end.
func Stopping() <-chan struct{} { return stopping }

// Start reads the settings and sets up the default logger. It ends the process
// where the settings are wrong, and after a command that is not to serve.
func Start(service, version string, settings embedding) {
	command := strings.Join(os.Args[1:], " ")
	switch command {
	case "", "healthcheck":
	case "version":
		fmt.Println(service, version)
		os.Exit(0)
	default:
		fmt.Fprintf(os.Stderr, "usage: %s [version | healthcheck]\n", service)
		os.Exit(2)
	}
	if err := Load(settings); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if command == "healthcheck" {
		if err := healthcheck(settings.common().address()); err != nil {
			fmt.Fprintln(os.Stderr, "healthcheck:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}

	slog.SetDefault(newLogger(os.Stdout, settings.common().LogLevel, service, version))
	promauto.NewGauge(prometheus.GaugeOpts{
		Name:        "build_info",
		Help:        "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"service": service, "version": version},
	}).Set(1)
	if err := startTracing(service, version); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// healthcheck asks the service itself, past any proxy.
func healthcheck(address string) error {
	client := http.Client{Transport: new(http.Transport), Timeout: healthcheckTimeout}
	resp, err := client.Get("http://" + address + "/livez")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("/livez answers %s", resp.Status)
	}
	return nil
}

// Routes adds the probes and the metrics.
func Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if draining.Load() {
			http.Error(w, "draining", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", promhttp.Handler())
}

// Serve answers requests until SIGTERM or SIGINT, and drains: it turns unready,
// serves on for the drain delay, and lets what is in flight finish.
func Serve(settings Settings, handler http.Handler) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	defer stopTracing()
	server := &http.Server{
		Handler:           traced(handler),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       time.Duration(settings.IdleTimeout) * time.Second,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	listener, err := net.Listen("tcp", settings.address())
	if err != nil {
		return err
	}
	slog.Info("listening", "address", listener.Addr().String())
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}

	draining.Store(true)
	slog.Info("draining", "cause", context.Cause(ctx).Error())
	stop() // a second signal ends the process at once
	timeout := time.Duration(settings.ShutdownTimeout) * time.Second
	deadline, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	time.Sleep(time.Duration(settings.DrainDelay) * time.Second)
	close(stopping)
	if err := server.Shutdown(deadline); err != nil {
		return fmt.Errorf("cut off %s after the signal: %w", timeout, err)
	}
	slog.Info("stopped")
	return nil
}

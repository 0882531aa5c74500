// Package health answers the probes, and asks them of a running service.
package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"
)

const checkTimeout = 2 * time.Second

// Status is whether the service takes new work. Its zero value does.
type Status struct {
	draining atomic.Bool
}

// Drain turns the service unready, for good.
func (s *Status) Drain() {
	s.draining.Store(true)
}

// Draining reports whether Drain was called.
func (s *Status) Draining() bool {
	return s.draining.Load()
}

// Live answers the liveness probe: the process runs, draining or not.
func (s *Status) Live(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, http.StatusOK, "ok\n")
}

// Ready answers the readiness probe.
func (s *Status) Ready(w http.ResponseWriter, _ *http.Request) error {
	if s.Draining() {
		return answer(w, http.StatusServiceUnavailable, "draining\n")
	}
	return answer(w, http.StatusOK, "ok\n")
}

func answer(w http.ResponseWriter, status int, body string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, err := io.WriteString(w, body)
	return err
}

// Check asks the service that listens on addr whether it is live.
func Check(ctx context.Context, addr netip.AddrPort) error {
	target := url.URL{Scheme: "http", Host: loopback(addr).String(), Path: "/livez"}
	if err := get(ctx, target.String()); err != nil {
		return fmt.Errorf("healthcheck: %s: %w", &target, err)
	}
	return nil
}

func get(ctx context.Context, target string) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}

	// Not the default transport: a proxy from the environment has no part here.
	resp, err := new(http.Transport).RoundTrip(req)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s", checkTimeout)
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("got status %d, want %d", resp.StatusCode, http.StatusOK)
	}
	return nil
}

// loopback turns an unspecified address into the loopback address of its
// family: 0.0.0.0 can be listened on, not called.
func loopback(addr netip.AddrPort) netip.AddrPort {
	host := addr.Addr().Unmap()
	switch {
	case !host.IsUnspecified():
		return addr
	case host.Is4():
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		host = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(host, addr.Port())
}

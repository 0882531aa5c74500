// Package config reads the service's settings from the environment.
package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"time"
)

// Config holds the settings of one process.
type Config struct {
	Host            netip.Addr
	Port            uint16
	LogLevel        slog.Level
	DrainDelay      time.Duration
	ShutdownTimeout time.Duration
}

// Address is what the service listens on.
func (c Config) Address() netip.AddrPort {
	return netip.AddrPortFrom(c.Host, c.Port)
}

// Error says which variable is wrong, what it holds and what it should hold.
type Error struct {
	Variable string
	Got      string
	Want     string
}

func (e *Error) Error() string {
	return fmt.Sprintf("configuration error: %s: got %s, want %s", e.Variable, quote(e.Got), e.Want)
}

var logLevels = map[string]slog.Level{
	"debug": slog.LevelDebug,
	"info":  slog.LevelInfo,
	"warn":  slog.LevelWarn,
	"error": slog.LevelError,
}

// Load reads the configuration through lookup, which is os.LookupEnv outside
// of tests. It stops at the first variable that is wrong.
func Load(lookup func(name string) (value string, ok bool)) (Config, error) {
	var c Config
	get := func(name, fallback string) string {
		if value, ok := lookup(name); ok {
			return value
		}
		return fallback
	}

	host := get("HOST", "0.0.0.0")
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return c, &Error{"HOST", host, "an IP address"}
	}
	c.Host = addr

	port := get("PORT", "8080")
	n, ok := integer(port, 1, 65535)
	if !ok {
		return c, &Error{"PORT", port, "an integer from 1 to 65535"}
	}
	c.Port = uint16(n)

	level := get("LOG_LEVEL", "info")
	if c.LogLevel, ok = logLevels[level]; !ok {
		return c, &Error{"LOG_LEVEL", level, "one of debug, info, warn, error"}
	}

	delay := get("DRAIN_DELAY_SECONDS", "5")
	if n, ok = integer(delay, 0, 20); !ok {
		return c, &Error{"DRAIN_DELAY_SECONDS", delay, "an integer from 0 to 20"}
	}
	c.DrainDelay = time.Duration(n) * time.Second

	timeout := get("SHUTDOWN_TIMEOUT_SECONDS", "25")
	n, ok = integer(timeout, 1, 29)
	c.ShutdownTimeout = time.Duration(n) * time.Second
	if !ok || c.ShutdownTimeout <= c.DrainDelay {
		return c, &Error{
			"SHUTDOWN_TIMEOUT_SECONDS", timeout,
			"an integer from 1 to 29, greater than DRAIN_DELAY_SECONDS",
		}
	}
	return c, nil
}

// integer accepts one to five ASCII digits; strconv alone would accept a sign.
func integer(s string, low, high int) (int, bool) {
	if len(s) < 1 || len(s) > 5 {
		return 0, false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && low <= n && n <= high
}

func quote(s string) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		return strconv.Quote(s)
	}
	return string(bytes.TrimSpace(b.Bytes()))
}

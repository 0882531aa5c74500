package config

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"
)

func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := vars[name]
		return value, ok
	}
}

func TestLoad(t *testing.T) {
	tests := map[string]struct {
		vars map[string]string
		want Config
	}{
		"defaults": {
			want: Config{
				Host:            netip.MustParseAddr("0.0.0.0"),
				Port:            8080,
				LogLevel:        slog.LevelInfo,
				DrainDelay:      5 * time.Second,
				ShutdownTimeout: 25 * time.Second,
			},
		},
		"everything set": {
			vars: map[string]string{
				"HOST":                     "::1",
				"PORT":                     "00080",
				"LOG_LEVEL":                "debug",
				"DRAIN_DELAY_SECONDS":      "0",
				"SHUTDOWN_TIMEOUT_SECONDS": "1",
			},
			want: Config{
				Host:            netip.MustParseAddr("::1"),
				Port:            80,
				LogLevel:        slog.LevelDebug,
				ShutdownTimeout: time.Second,
			},
		},
		"largest": {
			vars: map[string]string{
				"PORT":                     "65535",
				"LOG_LEVEL":                "error",
				"DRAIN_DELAY_SECONDS":      "20",
				"SHUTDOWN_TIMEOUT_SECONDS": "29",
			},
			want: Config{
				Host:            netip.MustParseAddr("0.0.0.0"),
				Port:            65535,
				LogLevel:        slog.LevelError,
				DrainDelay:      20 * time.Second,
				ShutdownTimeout: 29 * time.Second,
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Load(environment(test.vars))
			if err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestLoadRejects(t *testing.T) {
	const (
		host     = "an IP address"
		port     = "an integer from 1 to 65535"
		level    = "one of debug, info, warn, error"
		delay    = "an integer from 0 to 20"
		shutdown = "an integer from 1 to 29, greater than DRAIN_DELAY_SECONDS"
	)
	tests := []struct {
		variable, value string
		quoted, want    string
	}{
		{"HOST", "", `""`, host},
		{"HOST", "localhost", `"localhost"`, host},
		{"HOST", "fe80::1%eth0", `"fe80::1%eth0"`, host},
		{"HOST", "<a&b>\n\"", `"<a&b>\n\""`, host},
		{"PORT", "", `""`, port},
		{"PORT", "http", `"http"`, port},
		{"PORT", "0", `"0"`, port},
		{"PORT", "65536", `"65536"`, port},
		{"PORT", "+80", `"+80"`, port},
		{"PORT", " 80", `" 80"`, port},
		{"PORT", "8_0", `"8_0"`, port},
		{"PORT", "000080", `"000080"`, port},
		{"PORT", "٨٠", `"٨٠"`, port},
		{"LOG_LEVEL", "INFO", `"INFO"`, level},
		{"LOG_LEVEL", "", `""`, level},
		{"DRAIN_DELAY_SECONDS", "21", `"21"`, delay},
		{"DRAIN_DELAY_SECONDS", "-1", `"-1"`, delay},
		{"SHUTDOWN_TIMEOUT_SECONDS", "30", `"30"`, shutdown},
		{"SHUTDOWN_TIMEOUT_SECONDS", "0", `"0"`, shutdown},
		{"SHUTDOWN_TIMEOUT_SECONDS", "5", `"5"`, shutdown},
	}
	for _, test := range tests {
		t.Run(test.variable+"="+test.value, func(t *testing.T) {
			_, err := Load(environment(map[string]string{test.variable: test.value}))
			want := "configuration error: " + test.variable + ": got " + test.quoted + ", want " + test.want
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

func TestLoadReportsTheFirstInOrder(t *testing.T) {
	_, err := Load(environment(map[string]string{"LOG_LEVEL": "loud", "PORT": "x"}))
	want := `configuration error: PORT: got "x", want an integer from 1 to 65535`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

package app

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func run(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = Run("payments", "1.2.3", args, &out, &err)
	return code, out.String(), err.String()
}

func TestCommands(t *testing.T) {
	const usage = "usage: payments [version | healthcheck]\n"
	tests := map[string]struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		"version":      {[]string{"version"}, 0, "payments 1.2.3\n", ""},
		"unknown":      {[]string{"serve"}, 2, "", usage},
		"option":       {[]string{"--help"}, 2, "", usage},
		"empty":        {[]string{""}, 2, "", usage},
		"one too many": {[]string{"version", "healthcheck"}, 2, "", usage},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PORT", "version reads no configuration")
			code, stdout, stderr := run(test.args...)
			if code != test.code || stdout != test.stdout || stderr != test.stderr {
				t.Errorf("got %d %q %q, want %d %q %q",
					code, stdout, stderr, test.code, test.stdout, test.stderr)
			}
		})
	}
}

func TestWrongConfiguration(t *testing.T) {
	for name, args := range map[string][]string{"serve": nil, "healthcheck": {"healthcheck"}} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PORT", "http")
			code, stdout, stderr := run(args...)
			want := "configuration error: PORT: got \"http\", want an integer from 1 to 65535\n"
			if code != 2 || stdout != "" || stderr != want {
				t.Errorf("got %d %q %q, want 2 and %q", code, stdout, stderr, want)
			}
		})
	}
}

func TestListen(t *testing.T) {
	for _, host := range []string{"0.0.0.0", "127.0.0.1"} {
		t.Run(host, func(t *testing.T) {
			listener, err := listen(netip.AddrPortFrom(netip.MustParseAddr(host), 0))
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			if got, _, _ := net.SplitHostPort(listener.Addr().String()); got != host {
				t.Errorf("got %s, want %s", got, host)
			}
		})
	}
}

func TestCannotListen(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	setAddress(t, listener.Addr())

	code, stdout, stderr := run()
	var line struct{ Level, Msg, Error string }
	if err := json.Unmarshal([]byte(stdout), &line); err != nil {
		t.Fatalf("stdout: %v: %s", err, stdout)
	}
	if line.Level != "error" || line.Msg != "cannot listen" || !strings.Contains(line.Error, "address already in use") {
		t.Errorf("got %+v", line)
	}
	if code != 1 || stderr != "" {
		t.Errorf("got %d %q, want 1 and nothing on stderr", code, stderr)
	}
}

func TestHealthcheck(t *testing.T) {
	tests := map[string]struct {
		status, code int
		stderr       string
	}{
		"healthy":   {200, 0, ""},
		"unhealthy": {500, 1, "got status 500, want 200\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
			}))
			defer server.Close()
			setAddress(t, server.Listener.Addr())

			want := test.stderr
			if want != "" {
				want = "healthcheck: " + server.URL + "/livez: " + want
			}
			code, stdout, stderr := run("healthcheck")
			if code != test.code || stdout != "" || stderr != want {
				t.Errorf("got %d %q %q, want %d and %q", code, stdout, stderr, test.code, want)
			}
		})
	}
}

func setAddress(t *testing.T, addr net.Addr) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOST", host)
	t.Setenv("PORT", port)
}

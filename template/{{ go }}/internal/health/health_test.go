package health

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestProbes(t *testing.T) {
	var status Status
	expect := func(name string, probe func(http.ResponseWriter, *http.Request) error, code int, body string) {
		t.Helper()
		rec := httptest.NewRecorder()
		if err := probe(rec, httptest.NewRequest("GET", "/", nil)); err != nil {
			t.Fatal(err)
		}
		if rec.Code != code || rec.Body.String() != body {
			t.Errorf("%s: got %d %q, want %d %q", name, rec.Code, rec.Body, code, body)
		}
		if got := rec.Header().Get("Content-Type"); got != "text/plain; charset=utf-8" {
			t.Errorf("%s: content type %q", name, got)
		}
	}

	expect("live", status.Live, 200, "ok\n")
	expect("ready", status.Ready, 200, "ok\n")
	status.Drain()
	expect("live while draining", status.Live, 200, "ok\n")
	expect("ready while draining", status.Ready, 503, "draining\n")
}

func TestLoopback(t *testing.T) {
	tests := map[string]string{
		"0.0.0.0:8080":          "127.0.0.1:8080",
		"[::]:8080":             "[::1]:8080",
		"[::ffff:0.0.0.0]:8080": "127.0.0.1:8080",
		"192.0.2.7:80":          "192.0.2.7:80",
		"[2001:db8::7]:80":      "[2001:db8::7]:80",
	}
	for addr, want := range tests {
		t.Run(addr, func(t *testing.T) {
			if got := loopback(netip.MustParseAddrPort(addr)); got.String() != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	tests := map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"healthy": {
			handler: func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/livez" {
					w.WriteHeader(http.StatusNotFound)
				}
			},
		},
		"unhealthy": {
			handler: func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusServiceUnavailable)
			},
			want: "got status 503, want 200",
		},
		"redirect": {
			handler: func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "/elsewhere", http.StatusFound)
			},
			want: "got status 302, want 200",
		},
		"silent": {
			handler: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			want:    "no answer within 2s",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.handler)
			defer server.Close()
			addr := netip.MustParseAddrPort(server.Listener.Addr().String())
			err := Check(t.Context(), addr)
			if test.want == "" {
				if err != nil {
					t.Errorf("got %v, want healthy", err)
				}
				return
			}
			want := "healthcheck: " + server.URL + "/livez: " + test.want
			if err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}

func TestCheckNobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort(listener.Addr().String())
	listener.Close()

	err = Check(context.Background(), addr)
	if err == nil || !strings.HasPrefix(err.Error(), "healthcheck: http://"+addr.String()+"/livez: ") {
		t.Errorf("got %v, want the address and the reason", err)
	}
}

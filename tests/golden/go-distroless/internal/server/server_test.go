package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/platform/payments/internal/config"
	"example.com/platform/payments/internal/logging"
	"example.com/platform/payments/internal/problem"
)

// logs is a log that a server writes while a test reads it.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// lines returns the lines with the message msg.
func (l *logs) lines(t *testing.T, msg string) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []map[string]any
	for text := range strings.Lines(l.buf.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("log line %q: %v", text, err)
		}
		if line["msg"] == msg {
			found = append(found, line)
		}
	}
	return found
}

func newServer() (*Server, *logs) {
	out := new(logs)
	log := logging.New(out, slog.LevelDebug, "payments", "1.2.3")
	cfg := config.Config{DrainDelay: 5 * time.Second, ShutdownTimeout: 25 * time.Second}
	return New(cfg, log, "payments", "1.2.3"), out
}

func serve(handler http.Handler, method, target, contentType, body string) *http.Response {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, r)
	return rec.Result()
}

func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestAnswers(t *testing.T) {
	const (
		text = "text/plain; charset=utf-8"
		js   = "application/json"
	)
	tests := []struct {
		method, target    string
		contentType, body string
		wantType          string
		want              string
	}{
		{"GET", "/livez", "", "", text, "ok\n"},
		{"HEAD", "/livez", "", "", text, "ok\n"},
		{"GET", "/readyz?verbose", "", "", text, "ok\n"},
		{"POST", "/v1/greetings", js, `{"name":"Ada"}`, js, `{"message":"Hello, Ada!"}`},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.target, func(t *testing.T) {
			s, _ := newServer()
			resp := serve(s.http.Handler, test.method, test.target, test.contentType, test.body)
			if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != test.wantType {
				t.Errorf("got %s, %v", resp.Status, resp.Header)
			}
			if got := read(t, resp); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	const js = "application/json"
	tests := map[string]struct {
		method, target    string
		contentType, body string
		want              int
		allow             string
	}{
		"root":             {"GET", "/", "", "", 404, ""},
		"no such path":     {"GET", "/v1/farewells", "", "", 404, ""},
		"trailing slash":   {"GET", "/livez/", "", "", 404, ""},
		"double slash":     {"GET", "//livez", "", "", 404, ""},
		"dot segment":      {"GET", "/v1/../livez", "", "", 404, ""},
		"asterisk":         {"OPTIONS", "*", "", "", 404, ""},
		"authority":        {"CONNECT", "example.com:443", "", "", 404, ""},
		"post to a probe":  {"POST", "/livez", "", "", 405, "GET, HEAD"},
		"get a greeting":   {"GET", "/v1/greetings", "", "", 405, "POST"},
		"unknown method":   {"BREW", "/metrics", "", "", 405, "GET, HEAD"},
		"no media type":    {"POST", "/v1/greetings", "", `{"name":"Ada"}`, 415, ""},
		"not JSON":         {"POST", "/v1/greetings", js, `{"name":`, 400, ""},
		"no name":          {"POST", "/v1/greetings", js, `{}`, 400, ""},
		"body at limit":    {"POST", "/v1/greetings", js, strings.Repeat(" ", 1<<20), 400, ""},
		"body above limit": {"POST", "/v1/greetings", js, strings.Repeat(" ", 1<<20+1), 413, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, _ := newServer()
			resp := serve(s.http.Handler, test.method, test.target, test.contentType, test.body)
			checkProblem(t, resp, test.want)
			if got := resp.Header.Get("Allow"); got != test.allow {
				t.Errorf("Allow: got %q, want %q", got, test.allow)
			}
			if resp.Header.Get("X-Request-Id") == "" {
				t.Error("the answer has no request id")
			}
		})
	}
}

func checkProblem(t *testing.T, resp *http.Response, status int) {
	t.Helper()
	if resp.StatusCode != status || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %s, %v; want a problem with status %d", resp.Status, resp.Header, status)
	}
	var got problem.Problem
	if err := json.Unmarshal([]byte(read(t, resp)), &got); err != nil {
		t.Fatal(err)
	}
	if want := problem.New(status, got.Detail); got != *want || got.Detail == "" {
		t.Errorf("got %+v, want %+v", got, *want)
	}
}

func TestRequestID(t *testing.T) {
	s, out := newServer()
	r := httptest.NewRequest("GET", "/livez", nil)
	r.Header.Set("X-Request-Id", "order-42")
	rec := httptest.NewRecorder()
	s.http.Handler.ServeHTTP(rec, r)

	if got := rec.Header().Get("X-Request-Id"); got != "order-42" {
		t.Errorf("answer: got %q, want order-42", got)
	}
	if got := out.lines(t, "request")[0]["request_id"]; got != "order-42" {
		t.Errorf("log: got %q, want order-42", got)
	}
}

func TestRequestLog(t *testing.T) {
	tests := []struct {
		method, target string
		path           string
		status         int
		level          string
	}{
		{"GET", "/livez?secret=1", "/livez", 200, "debug"},
		{"GET", "/readyz", "/readyz", 503, "debug"},
		{"GET", "/metrics", "/metrics", 200, "debug"},
		{"GET", "/caf%C3%A9", "/caf%C3%A9", 404, "info"},
		{"GET", `/a"b%2Fc?d`, `/a"b%2Fc`, 404, "info"},
		{"GET", "http://example.com/elsewhere?a", "/elsewhere", 404, "info"},
		{"GET", "/broken", "/broken", 500, "error"},
	}
	for _, test := range tests {
		t.Run(test.target, func(t *testing.T) {
			s, out := newServer()
			s.status.Drain()
			handler := s.http.Handler
			if test.status == http.StatusInternalServerError {
				handler = s.endpoint(test.path, func(http.ResponseWriter, *http.Request) error {
					return errors.New("no more paper")
				})
			}
			serve(handler, test.method, test.target, "", "")

			line := out.lines(t, "request")[0]
			if _, ok := line["duration_ms"].(float64); !ok {
				t.Errorf("duration_ms: got %v, want a number", line["duration_ms"])
			}
			want := map[string]any{
				"level":   test.level,
				"service": "payments",
				"version": "1.2.3",
				"method":  test.method,
				"path":    test.path,
				"status":  float64(test.status),
			}
			if test.level == "error" {
				want["error"] = "no more paper"
			}
			for key, value := range want {
				if line[key] != value {
					t.Errorf("%s: got %v, want %v", key, line[key], value)
				}
			}
		})
	}
}

func TestFaults(t *testing.T) {
	tests := map[string]struct {
		handle handler
		want   string
	}{
		"error": {
			func(http.ResponseWriter, *http.Request) error { return errors.New("secret") },
			"secret",
		},
		"panic": {
			func(http.ResponseWriter, *http.Request) error { panic("secret") },
			"panic: secret",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, out := newServer()
			resp := serve(s.endpoint("/fault", test.handle), "GET", "/fault", "", "")
			var body bytes.Buffer
			resp.Body = io.NopCloser(io.TeeReader(resp.Body, &body))
			checkProblem(t, resp, http.StatusInternalServerError)
			if strings.Contains(body.String(), "secret") {
				t.Errorf("the answer shows the fault: %s", &body)
			}
			line := out.lines(t, "request")[0]
			if line["level"] != "error" || line["error"] != test.want {
				t.Errorf("log: got %v, want the error %q", line, test.want)
			}
			if got := s.metrics.InFlight(); got != 0 {
				t.Errorf("%d requests are still in flight", got)
			}
		})
	}
}

func TestFaultAfterTheAnswerBegan(t *testing.T) {
	s, out := newServer()
	server := httptest.NewServer(s.endpoint("/fault", func(w http.ResponseWriter, _ *http.Request) error {
		io.WriteString(w, "half of it")
		http.NewResponseController(w).Flush()
		panic("secret")
	}))
	defer server.Close()

	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the client took the half for the whole")
	}
	if lines := out.lines(t, "answer cut short"); len(lines) != 1 || lines[0]["error"] != "panic: secret" {
		t.Errorf("log: got %v", lines)
	}
}

// unreachable is a client that has left.
type unreachable struct{ http.ResponseWriter }

func (unreachable) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestClientLeaves(t *testing.T) {
	s, out := newServer()
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("recovered %v, want %v", v, http.ErrAbortHandler)
		}
		if lines := out.lines(t, "answer cut short"); len(lines) != 1 || lines[0]["level"] != "debug" {
			t.Errorf("log: got %v, want one line at debug", lines)
		}
	}()
	s.http.Handler.ServeHTTP(unreachable{httptest.NewRecorder()}, httptest.NewRequest("GET", "/metrics", nil))
}

func TestSlowHandler(t *testing.T) {
	s, _ := newServer()
	server := httptest.NewServer(s.endpoint("/slow", func(w http.ResponseWriter, _ *http.Request) error {
		// As if the handler took longer than that.
		http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
		io.WriteString(w, "done")
		return nil
	}))
	defer server.Close()

	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := read(t, resp); got != "done" {
		t.Errorf("got %q, want the answer", got)
	}
}

func TestMetrics(t *testing.T) {
	s, _ := newServer()
	serve(s.http.Handler, "POST", "/livez", "", "")
	serve(s.http.Handler, "BREW", "/nowhere/42", "", "")
	body := read(t, serve(s.http.Handler, "GET", "/metrics", "", ""))
	for _, want := range []string{
		`http_requests_total{method="POST",route="/livez",status="405"} 1`,
		`http_requests_total{method="other",route="unmatched",status="404"} 1`,
		`http_requests_in_flight 1`,
		`build_info{service="payments",version="1.2.3"} 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
}

func TestClean(t *testing.T) {
	for _, p := range []string{"/", "/a", "/a/", "/a/b.c", "/a/..b"} {
		if !clean(p) {
			t.Errorf("%q: got false, want true", p)
		}
	}
	for _, p := range []string{"", "*", "a", "//", "/a//b", "/a//", "/./a", "/a/..", "/a/../"} {
		if clean(p) {
			t.Errorf("%q: got true, want false", p)
		}
	}
}

// running is a server on a loopback port, with a clock that the test moves.
type running struct {
	*Server
	logs    *logs
	addr    string
	signals chan os.Signal
	result  chan error

	drainDelay, deadline chan time.Time
}

func start(t *testing.T) *running {
	t.Helper()
	s, out := newServer()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &running{
		Server:     s,
		logs:       out,
		addr:       listener.Addr().String(),
		signals:    make(chan os.Signal, 2),
		result:     make(chan error, 1),
		drainDelay: make(chan time.Time, 1),
		deadline:   make(chan time.Time, 1),
	}
	s.after = func(d time.Duration) <-chan time.Time {
		if d == s.config.ShutdownTimeout {
			return r.deadline
		}
		return r.drainDelay
	}
	t.Cleanup(func() { s.http.Close() })
	go func() { r.result <- s.Serve(listener, r.signals) }()
	return r
}

// signal sends the first signal and waits until it is heard.
func (r *running) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	r.signals <- sig
	for len(r.logs.lines(t, "draining")) == 0 {
		time.Sleep(time.Millisecond)
	}
}

func (r *running) get(t *testing.T, path string) *http.Response {
	t.Helper()
	resp, err := http.Get("http://" + r.addr + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// begin sends a request without the end of its body and returns once the server
// waits for that.
func (r *running) begin(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp4", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	io.WriteString(conn, "POST /v1/greetings HTTP/1.1\r\nHost: localhost\r\n"+
		"Content-Type: application/json\r\nContent-Length: 14\r\n\r\n"+`{"name":`)
	for r.metrics.InFlight() == 0 {
		time.Sleep(time.Millisecond)
	}
	return conn
}

func finish(t *testing.T, conn net.Conn) *http.Response {
	t.Helper()
	io.WriteString(conn, `"Ada"}`)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestDrain(t *testing.T) {
	for name, sig := range map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			if resp := r.get(t, "/readyz"); resp.StatusCode != 200 || resp.Close {
				t.Errorf("before the signal: got %s, close %t", resp.Status, resp.Close)
			}
			conn := r.begin(t)

			r.signal(t, sig)
			if resp := r.get(t, "/readyz"); resp.StatusCode != 503 || !resp.Close {
				t.Errorf("/readyz: got %s, close %t; want 503 and close", resp.Status, resp.Close)
			}
			if resp := r.get(t, "/livez"); resp.StatusCode != 200 || !resp.Close {
				t.Errorf("/livez: got %s, close %t; want 200 and close", resp.Status, resp.Close)
			}

			r.drainDelay <- time.Time{}
			waitUntilRefused(t, r.addr)
			if resp := finish(t, conn); resp.StatusCode != 200 || !resp.Close {
				t.Errorf("in flight: got %s, close %t; want 200 and close", resp.Status, resp.Close)
			}
			if err := <-r.result; err != nil {
				t.Errorf("got %v, want a clean stop", err)
			}

			if lines := r.logs.lines(t, "listening"); len(lines) != 1 || lines[0]["address"] != r.addr {
				t.Errorf("listening: got %v", lines)
			}
			if lines := r.logs.lines(t, "draining"); len(lines) != 1 || lines[0]["signal"] != name {
				t.Errorf("draining: got %v", lines)
			}
			if lines := r.logs.lines(t, "stopped"); len(lines) != 1 {
				t.Errorf("stopped: got %v", lines)
			}
		})
	}
}

// waitUntilRefused returns when the listener on addr is closed.
func waitUntilRefused(t *testing.T, addr string) {
	t.Helper()
	for {
		conn, err := net.Dial("tcp4", addr)
		if err != nil {
			return
		}
		conn.Close()
	}
}

func TestDeadline(t *testing.T) {
	r := start(t)
	conn := r.begin(t)
	r.signal(t, syscall.SIGTERM)
	r.drainDelay <- time.Time{}
	r.deadline <- time.Time{}

	if err := <-r.result; !errors.Is(err, ErrDeadline) {
		t.Errorf("got %v, want %v", err, ErrDeadline)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the request was answered after the deadline")
	}
	lines := r.logs.lines(t, "shutdown deadline exceeded")
	if len(lines) != 1 || lines[0]["level"] != "error" || lines[0]["error"] == nil {
		t.Errorf("got %v", lines)
	}
	if lines := r.logs.lines(t, "stopped"); len(lines) != 0 {
		t.Errorf("got %v, want no such line", lines)
	}
}

func TestDeadlineWithoutRequests(t *testing.T) {
	r := start(t)
	conn, err := net.Dial("tcp4", r.addr) // a connection that never asks
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r.get(t, "/livez") // accepted after conn, so that is known to the server
	r.signal(t, syscall.SIGTERM)
	r.drainDelay <- time.Time{}
	r.deadline <- time.Time{}

	if err := <-r.result; err != nil {
		t.Errorf("got %v, want a clean stop", err)
	}
}

func TestSecondSignal(t *testing.T) {
	t.Run("in the drain delay", func(t *testing.T) {
		r := start(t)
		r.signal(t, syscall.SIGTERM)
		r.signals <- syscall.SIGINT
		if err := <-r.result; !errors.Is(err, ErrInterrupted) {
			t.Errorf("got %v, want %v", err, ErrInterrupted)
		}
	})
	t.Run("while requests finish", func(t *testing.T) {
		r := start(t)
		r.begin(t)
		r.signal(t, syscall.SIGTERM)
		r.drainDelay <- time.Time{}
		r.signals <- syscall.SIGTERM
		if err := <-r.result; !errors.Is(err, ErrInterrupted) {
			t.Errorf("got %v, want %v", err, ErrInterrupted)
		}
	})
}

func TestListenerFails(t *testing.T) {
	s, out := newServer()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if err := s.Serve(listener, nil); err == nil {
		t.Error("a closed listener was served")
	}
	if lines := out.lines(t, "cannot serve"); len(lines) != 1 || lines[0]["error"] == nil {
		t.Errorf("got %v", lines)
	}
}

// TestBodyAnnounced sends headers only: the answer must not wait for the body.
func TestBodyAnnounced(t *testing.T) {
	tests := map[string]string{
		"declared": "Content-Length: 1048577\r\n\r\n",
		"chunked":  "Transfer-Encoding: chunked\r\n\r\n100001\r\n" + strings.Repeat(" ", 1<<20+1),
	}
	for name, rest := range tests {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			conn, err := net.Dial("tcp4", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, "POST /v1/greetings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+rest)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			checkProblem(t, resp, http.StatusRequestEntityTooLarge)
		})
	}
}

// TestOptionsAsterisk asks over the wire: net/http could answer before the
// handler.
func TestOptionsAsterisk(t *testing.T) {
	r := start(t)
	conn, err := net.Dial("tcp4", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	checkProblem(t, resp, http.StatusNotFound)
}

func TestHeaderLimit(t *testing.T) {
	r := start(t)
	head := "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Filler: "
	tests := map[int]int{
		16 << 10:     http.StatusOK,
		16<<10 + 512: http.StatusRequestHeaderFieldsTooLarge,
	}
	for size, want := range tests {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			conn, err := net.Dial("tcp4", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, head+strings.Repeat("x", size-len(head)-4)+"\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != want {
				t.Errorf("got %s, want %d", resp.Status, want)
			}
		})
	}
}

func TestTimeouts(t *testing.T) {
	s, _ := newServer()
	got := []time.Duration{s.http.ReadHeaderTimeout, s.http.ReadTimeout, s.http.WriteTimeout, s.http.IdleTimeout}
	want := []time.Duration{5 * time.Second, 15 * time.Second, 15 * time.Second, 60 * time.Second}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

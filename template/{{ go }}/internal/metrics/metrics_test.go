package metrics

import (
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func expose(t *testing.T, m *Metrics) []string {
	t.Helper()
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	rec := httptest.NewRecorder()
	if err := m.Expose(rec, r); err != nil {
		t.Fatal(err)
	}
	if got, want := rec.Header().Get("Content-Type"), "text/plain; version=0.0.4; charset=utf-8"; got != want {
		t.Errorf("content type: got %q, want %q", got, want)
	}
	return strings.Split(rec.Body.String(), "\n")
}

func TestExpose(t *testing.T) {
	m := New("payments", "1.2.3")
	m.Observe("GET", "/livez", 200, 30*time.Millisecond)
	m.Observe("GET", "/livez", 200, 3*time.Second)
	m.Observe("BREW", "unmatched", 404, 0)
	end := m.Begin()
	m.Begin()
	end()

	lines := expose(t, m)
	for _, want := range []string{
		"# TYPE http_requests_total counter",
		`http_requests_total{method="GET",route="/livez",status="200"} 2`,
		`http_requests_total{method="other",route="unmatched",status="404"} 1`,
		"# TYPE http_request_duration_seconds histogram",
		`http_request_duration_seconds_bucket{method="GET",route="/livez",le="0.025"} 0`,
		`http_request_duration_seconds_bucket{method="GET",route="/livez",le="0.05"} 1`,
		`http_request_duration_seconds_bucket{method="GET",route="/livez",le="5"} 2`,
		`http_request_duration_seconds_count{method="GET",route="/livez"} 2`,
		"# TYPE http_requests_in_flight gauge",
		"http_requests_in_flight 1",
		"# TYPE build_info gauge",
		`build_info{service="payments",version="1.2.3"} 1`,
		"# TYPE go_goroutines gauge",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("missing: %s", want)
		}
	}
}

func TestBuckets(t *testing.T) {
	m := New("payments", "dev")
	m.Observe("GET", "/livez", 200, 0)
	const start = `http_request_duration_seconds_bucket{method="GET",route="/livez",le="`
	var got []string
	for _, line := range expose(t, m) {
		if rest, ok := strings.CutPrefix(line, start); ok {
			bound, _, _ := strings.Cut(rest, `"`)
			got = append(got, bound)
		}
	}
	want := strings.Fields("0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 +Inf")
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

type broken struct{}

func (broken) Describe(chan<- *prometheus.Desc) {}

func (broken) Collect(metrics chan<- prometheus.Metric) {
	metrics <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(errors.New("broken")), errors.New("broken"))
}

func TestExposeFails(t *testing.T) {
	m := New("payments", "dev")
	m.Registry.MustRegister(broken{})
	rec := httptest.NewRecorder()
	if err := m.Expose(rec, httptest.NewRequest("GET", "/metrics", nil)); err == nil {
		t.Error("a broken collector went unnoticed")
	}
	if rec.Body.Len() > 0 {
		t.Errorf("the answer was begun: %s", rec.Body)
	}
}

func TestMethodLabel(t *testing.T) {
	for _, method := range strings.Fields("GET HEAD POST PUT PATCH DELETE CONNECT OPTIONS TRACE") {
		if got := methodLabel(method); got != method {
			t.Errorf("%s: got %q", method, got)
		}
	}
	for _, method := range []string{"get", "BREW", "PROPFIND", ""} {
		if got := methodLabel(method); got != "other" {
			t.Errorf("%s: got %q, want other", method, got)
		}
	}
}

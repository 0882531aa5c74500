// Package metrics counts requests and shows the counts to Prometheus.
package metrics

import (
	"bytes"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
)

var buckets = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// Metrics holds the service's metrics. Register the service's own ones with
// Registry.
type Metrics struct {
	Registry *prometheus.Registry

	inFlight atomic.Int64
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// New returns the metrics of one process.
func New(service, version string) *Metrics {
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total",
			Help: "Requests that were answered.",
		}, []string{"method", "route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_request_duration_seconds",
			Help:    "Time from a request's headers to its answer.",
			Buckets: buckets,
		}, []string{"method", "route"}),
	}
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "http_requests_in_flight",
		Help: "Requests that are being answered.",
	}, func() float64 { return float64(m.InFlight()) })
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "build_info",
		Help:        "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"service": service, "version": version},
	})
	info.Set(1)

	m.Registry.MustRegister(
		m.requests,
		m.duration,
		inFlight,
		info,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Begin counts a request as being in flight until the returned function is
// called.
func (m *Metrics) Begin() (end func()) {
	m.inFlight.Add(1)
	return func() { m.inFlight.Add(-1) }
}

// InFlight is the number of requests that are being answered.
func (m *Metrics) InFlight() int64 {
	return m.inFlight.Load()
}

// Observe counts an answered request. Route is the pattern that matched, never
// the path of the request: a label has few values.
func (m *Metrics) Observe(method, route string, status int, elapsed time.Duration) {
	method = methodLabel(method)
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(method, route).Observe(elapsed.Seconds())
}

// Expose answers GET /metrics in the text format, whatever the client accepts.
func (m *Metrics) Expose(w http.ResponseWriter, _ *http.Request) error {
	families, err := m.Registry.Gather()
	if err != nil {
		return err
	}
	var body bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&body, family); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", string(expfmt.FmtText))
	_, err = body.WriteTo(w)
	return err
}

func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	default:
		return "other"
	}
}

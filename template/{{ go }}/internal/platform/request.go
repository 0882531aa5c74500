package platform

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/felixge/httpsnoop"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const (
	requestIDHeader     = "X-Request-Id"
	requestIDCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

	statusClientLeft = 499 // as nginx has it; nobody sees the answer
)

var (
	traceparent = regexp.MustCompile(`^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$`)

	inFlight atomic.Int64

	duration = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_server_request_duration_seconds",
		Help: "Time from the headers of a request to the end of its answer.",
	}, []string{"http_request_method", "http_route", "http_response_status_code"})
)

type requestKey struct{}

// request is what the context of a request knows of it.
type request struct {
	id, traceID string
	answer      httpsnoop.Metrics
}

func (r *request) begun() bool { return r.answer.Code != 0 || r.answer.Written > 0 }

// Wrap puts middleware around mux, the first outermost, and around both what every
// request has: an id, a line in the log, a place in the metrics, a limit to its body,
// and an answer where a handler panics.
func Wrap(mux *http.ServeMux, maxBodyBytes int64, middleware ...func(http.Handler) http.Handler) http.Handler {
	var next http.Handler = mux
	for _, wrap := range slices.Backward(middleware) {
		next = wrap(next)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		known := identify(r)
		w.Header().Set(requestIDHeader, known.id)
		if draining.Load() {
			w.Header().Set("Connection", "close")
		}
		inner := r.WithContext(context.WithValue(r.Context(), requestKey{}, known))
		inner.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)

		inFlight.Add(1)
		defer inFlight.Add(-1)
		whole := false
		known.answer.CaptureMetrics(w, func(w http.ResponseWriter) {
			whole = answer(next, w, inner, known)
		})

		// Middleware may have given mux another copy of the request.
		if r.Pattern = inner.Pattern; r.Pattern == "" {
			_, r.Pattern = mux.Handler(r)
		}
		status := cmp.Or(known.answer.Code, http.StatusOK)
		if !whole && !known.begun() {
			status = statusClientLeft
		}
		record(inner.Context(), r, status, known.answer.Duration.Seconds())
		if !whole {
			panic(http.ErrAbortHandler) // so that the client sees it, too
		}
	})
}

func identify(r *http.Request) *request {
	known := &request{id: r.Header.Get(requestIDHeader)}
	if known.id == "" || len(known.id) > 128 || strings.Trim(known.id, requestIDCharacters) != "" {
		known.id = rand.Text()
	}
	if match := traceparent.FindStringSubmatch(r.Header.Get("Traceparent")); match != nil && strings.Trim(match[1], "0") != "" {
		known.traceID = match[1]
	}
	return known
}

// answer reports whether the client has a whole answer, of next or in its place.
func answer(next http.Handler, w http.ResponseWriter, r *http.Request, known *request) (whole bool) {
	defer func() {
		switch v := recover(); v {
		case nil, http.ErrAbortHandler:
		default:
			slog.ErrorContext(r.Context(), "panic", "error", v, "stack", string(debug.Stack()))
			if !known.begun() {
				unexpected.write(w)
				whole = true
			}
		}
	}()
	next.ServeHTTP(w, r)
	return true
}

func record(ctx context.Context, r *http.Request, status int, seconds float64) {
	_, route, ok := strings.Cut(r.Pattern, " ")
	if !ok {
		route = r.Pattern
	}
	duration.WithLabelValues(methodLabel(r.Method), route, strconv.Itoa(status)).Observe(seconds)

	level := slog.LevelInfo
	switch {
	case route == "/livez", route == "/readyz", route == "/metrics":
		level = slog.LevelDebug
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	}
	slog.LogAttrs(ctx, level, "request",
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
		slog.Int("status", status),
		slog.Float64("duration_ms", seconds*1000))
}

// methodLabel bounds the values of a label that clients choose.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	default:
		return "_OTHER"
	}
}

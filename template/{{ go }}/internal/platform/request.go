package platform

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const (
	requestIDCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	statusClientLeft    = 499 // as nginx has it: nobody sees an answer
)

var (
	traceparent = regexp.MustCompile(`^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$`)

	methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"}

	duration = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_server_request_duration_seconds",
		Help: "Time from the headers of a request to the end of its answer.",
	}, []string{"http_request_method", "http_route", "http_response_status_code"})
)

type exchangeKey struct{}

// exchange is a request and its answer, which it passes on to net/http.
type exchange struct {
	http.ResponseWriter
	id, traceID string
	body        io.ReadCloser // without a limit
	status      int           // 0 before the answer begins
}

func (e *exchange) WriteHeader(status int) {
	if e.status == 0 && status >= http.StatusOK {
		e.status = status
	}
	e.ResponseWriter.WriteHeader(status)
}

func (e *exchange) Write(p []byte) (int, error) {
	e.status = cmp.Or(e.status, http.StatusOK)
	return e.ResponseWriter.Write(p)
}

func (e *exchange) FlushError() error {
	e.status = cmp.Or(e.status, http.StatusOK)
	return http.NewResponseController(e.ResponseWriter).Flush()
}

func (e *exchange) Flush() { e.FlushError() }

// Hijack is for websockets.
func (e *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(e.ResponseWriter).Hijack()
	if err == nil {
		e.status = http.StatusSwitchingProtocols
	}
	return conn, buffered, err
}

// Unwrap is for http.ResponseController.
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// Wrap puts middleware around mux, the first outermost, and around both what every
// request has: an id, a line in the log, a place in the metrics, a limit to its body,
// and an answer where a handler panics.
func Wrap(mux *http.ServeMux, maxBodyBytes int64, middleware ...func(http.Handler) http.Handler) http.Handler {
	var next http.Handler = mux
	for _, wrap := range slices.Backward(middleware) {
		next = wrap(next)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		e := &exchange{ResponseWriter: w, id: requestID(r), traceID: traceID(r), body: r.Body}
		w.Header().Set("X-Request-Id", e.id)
		if draining.Load() {
			w.Header().Set("Connection", "close")
		}
		inner := r.WithContext(context.WithValue(r.Context(), exchangeKey{}, e))
		inner.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)

		whole := e.answer(next, inner)
		r.MultipartForm = inner.MultipartForm // whose files net/http removes
		// Middleware may have given mux another copy of the request.
		if r.Pattern = inner.Pattern; r.Pattern == "" {
			_, r.Pattern = mux.Handler(r)
		}
		e.record(inner, r.Pattern, time.Since(start))
		if !whole {
			panic(http.ErrAbortHandler) // so that the client sees it, too
		}
	})
}

// BodyLimit gives a route a limit of its own.
func BodyLimit(maxBodyBytes int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
			r.Body = http.MaxBytesReader(e.ResponseWriter, e.body, maxBodyBytes)
		}
		next.ServeHTTP(w, r)
	})
}

func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if id == "" || len(id) > 128 || strings.Trim(id, requestIDCharacters) != "" {
		return rand.Text()
	}
	return id
}

func traceID(r *http.Request) string {
	if id := spanTraceID(r.Context()); id != "" {
		return id
	}
	match := traceparent.FindStringSubmatch(r.Header.Get("Traceparent"))
	if match == nil || strings.Trim(match[1], "0") == "" {
		return ""
	}
	return match[1]
}

// answer reports whether the client has a whole answer, of next or in its place.
func (e *exchange) answer(next http.Handler, r *http.Request) (whole bool) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			e.status = cmp.Or(e.status, statusClientLeft)
		default:
			slog.ErrorContext(r.Context(), "panic", "error", v, "stack", string(debug.Stack()))
			if whole = e.status == 0; whole {
				unexpected.write(e)
			}
		}
	}()
	next.ServeHTTP(e, r)
	return true
}

// record puts the exchange into the metrics and the log.
func (e *exchange) record(r *http.Request, pattern string, elapsed time.Duration) {
	status := cmp.Or(e.status, http.StatusOK)
	_, route, _ := strings.Cut(pattern, " ")
	route = cmp.Or(route, pattern)
	method := r.Method
	if !slices.Contains(methods, method) {
		method = "_OTHER" // a client chooses no label
	}
	duration.WithLabelValues(method, route, strconv.Itoa(status)).Observe(elapsed.Seconds())

	level := slog.LevelInfo
	switch {
	case routine(r.URL.Path):
		level = slog.LevelDebug
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	}
	slog.LogAttrs(r.Context(), level, "request",
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
		slog.Int("status", status),
		slog.Float64("duration_ms", float64(elapsed.Microseconds())/1000))
}

// routine reports whether a path is one that machines ask for all day.
func routine(path string) bool {
	return path == "/livez" || path == "/readyz" || path == "/metrics"
}

package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"example.com/platform/payments/internal/problem"
	"example.com/platform/payments/internal/requestid"
)

// handler answers a request or says why it cannot: a *problem.Problem is shown
// to the client as it stands, any other error to the log only.
type handler func(w http.ResponseWriter, r *http.Request) error

// endpoint adds to handle what all routes share: the request id, error answers,
// metrics and the log line.
func (s *Server) endpoint(route string, handle handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		defer s.metrics.Begin()()

		id := requestid.From(r)
		res := &response{ResponseWriter: w, draining: s.status.Draining}
		res.Header().Set(requestid.Header, id)

		err := guard(handle, res, r)
		cutShort := err != nil && res.status != 0
		switch {
		case cutShort:
		case err != nil:
			fail(res, err)
		case res.status == 0:
			res.WriteHeader(http.StatusOK)
		}

		elapsed := time.Since(start)
		s.metrics.Observe(r.Method, route, res.status, elapsed)
		attrs := []slog.Attr{
			slog.String("method", r.Method),
			slog.String("path", sentPath(r)),
			slog.Int("status", res.status),
			slog.Float64("duration_ms", float64(elapsed.Microseconds())/1000),
			slog.String("request_id", id),
		}
		level := requestLevel(route, res.status)
		if level == slog.LevelError {
			attrs = append(attrs, reason(err, res.status)...)
		}
		s.log.LogAttrs(r.Context(), level, "request", attrs...)

		if cutShort {
			level := slog.LevelError
			if res.lost != nil && errors.Is(err, res.lost) {
				level = slog.LevelDebug // the client has left, and the service is well
			}
			attrs := append(reason(err, res.status), slog.String("request_id", id))
			s.log.LogAttrs(r.Context(), level, "answer cut short", attrs...)
			panic(http.ErrAbortHandler) // so that the client sees it too
		}
	})
}

// sentPath is the path of a request as the client wrote it.
func sentPath(r *http.Request) string {
	if sent, _, _ := strings.Cut(r.RequestURI, "?"); strings.HasPrefix(sent, "/") {
		return sent
	}
	return r.URL.EscapedPath()
}

// guard turns a panic of handle into an error.
func guard(handle handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			panic(v)
		default:
			err = &panicError{value: v, stack: debug.Stack()}
		}
	}()
	return handle(w, r)
}

type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("panic: %v", e.value)
}

// fail answers with err, or with as much of it as a client may see.
func fail(w http.ResponseWriter, err error) {
	p, ok := errors.AsType[*problem.Problem](err)
	if !ok {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			p = problem.New(http.StatusRequestEntityTooLarge, "The body must not be larger than 1 MiB.")
			// Without this, net/http waits for more of the body before it answers.
			w.Header().Set("Connection", "close")
		} else {
			p = problem.New(http.StatusInternalServerError, "The service could not answer this request.")
		}
	}
	p.Write(w)
}

// requestLevel keeps probes and scrapes out of the log, and an unready probe out
// of the errors.
func requestLevel(route string, status int) slog.Level {
	switch {
	case route == "/livez" || route == "/readyz":
		return slog.LevelDebug
	case status >= http.StatusInternalServerError:
		return slog.LevelError
	case route == "/metrics":
		return slog.LevelDebug
	default:
		return slog.LevelInfo
	}
}

// reason is what the log says about an answer that failed.
func reason(err error, status int) []slog.Attr {
	if err == nil {
		return []slog.Attr{slog.String("error", http.StatusText(status))}
	}
	attrs := []slog.Attr{slog.String("error", err.Error())}
	if p, ok := errors.AsType[*panicError](err); ok {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	return attrs
}

// response remembers its status, and why the client could not be reached. While
// the service drains, it closes the connection behind the answer.
type response struct {
	http.ResponseWriter
	draining func() bool
	status   int
	lost     error
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
		// net/http counts from the end of the headers, and the handler's time with it.
		http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(writeTimeout))
		if w.draining() {
			w.Header().Set("Connection", "close")
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	if err != nil {
		w.lost = err
	}
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter {
	return w.ResponseWriter
}

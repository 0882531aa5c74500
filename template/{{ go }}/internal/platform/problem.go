package platform

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
)

// Problem is an error that the client is told as it stands (RFC 9457).
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func (p *Problem) Error() string { return p.Detail }

func (p Problem) write(w http.ResponseWriter) {
	p.Title = cmp.Or(p.Title, http.StatusText(p.Status))
	body, _ := json.Marshal(p) // strings and a number: it cannot fail
	for _, name := range []string{"Cache-Control", "Content-Encoding", "Content-Length", "Etag", "Last-Modified"} {
		w.Header().Del(name) // of the answer that it replaces
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	w.Write(body)
}

var unexpected = &Problem{
	Status: http.StatusInternalServerError,
	Detail: "The service could not answer this request.",
}

// Handler is an http.Handler that may fail: see [Fail].
type Handler func(w http.ResponseWriter, r *http.Request) error

func (h Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		Fail(w, r, err)
	}
}

// Fail answers a request with err: with a [*Problem] as it stands, with any other
// error as a 500, of which only the log has the reason.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	problem, ok := errors.AsType[*Problem](err)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		problem, ok = &Problem{Status: http.StatusRequestEntityTooLarge, Detail: "The body is too large."}, true
	}
	e, _ := r.Context().Value(exchangeKey{}).(*exchange)
	switch left := errors.Is(r.Context().Err(), context.Canceled); {
	case left && !ok:
		panic(http.ErrAbortHandler)
	case e != nil && e.status != 0:
		slog.ErrorContext(r.Context(), "answer cut short", "error", err)
		panic(http.ErrAbortHandler)
	case !ok:
		slog.ErrorContext(r.Context(), "request failed", "error", err)
		problem = unexpected
	}
	problem.write(w)
}

// ReadJSON decodes the body of a request.
func ReadJSON(r *http.Request, into any) error {
	if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType != "application/json" {
		return &Problem{Status: http.StatusUnsupportedMediaType, Detail: "The body must be application/json."}
	}
	body, err := io.ReadAll(r.Body)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return err
	}
	if err != nil || json.Unmarshal(body, into) != nil {
		return &Problem{Status: http.StatusBadRequest, Detail: "The body must be JSON of the documented form."}
	}
	return nil
}

// WriteJSON answers with value.
func WriteJSON(w http.ResponseWriter, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err = w.Write(body)
	return err
}

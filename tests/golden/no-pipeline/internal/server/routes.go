package server

import (
	"net/http"
	"path"
	"strings"

	"example.com/platform/payments/internal/greeting"
	"example.com/platform/payments/internal/problem"
)

// unmatched is the route of a request whose path is none of the service's.
const unmatched = "unmatched"

func (s *Server) routes() http.Handler {
	routes := []struct {
		method, path string
		handle       handler
	}{
		{http.MethodGet, "/livez", s.status.Live},
		{http.MethodGet, "/readyz", s.status.Ready},
		{http.MethodGet, "/metrics", s.metrics.Expose},
		{http.MethodPost, "/v1/greetings", greeting.Create},
	}

	mux := http.NewServeMux()
	allowed := map[string][]string{}
	for _, route := range routes {
		mux.Handle(route.method+" "+route.path, s.endpoint(route.path, limitBody(route.handle)))
		allowed[route.path] = append(allowed[route.path], route.method)
		if route.method == http.MethodGet {
			allowed[route.path] = append(allowed[route.path], http.MethodHead)
		}
	}
	for path, methods := range allowed {
		mux.Handle(path, s.endpoint(path, methodNotAllowed(methods)))
	}
	missing := s.endpoint(unmatched, notFound)
	mux.Handle("/", missing)

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The mux would redirect //livez to /livez.
		if !clean(r.URL.EscapedPath()) {
			missing.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func notFound(http.ResponseWriter, *http.Request) error {
	return problem.New(http.StatusNotFound, "There is nothing at this path.")
}

func methodNotAllowed(methods []string) handler {
	allow := strings.Join(methods, ", ")
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Allow", allow)
		return problem.New(http.StatusMethodNotAllowed, "The methods of this path are "+allow+".")
	}
}

// limitBody bounds the body that handle can read; a client that announces a
// larger one hears so before it sends it.
func limitBody(handle handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.ContentLength > maxBodyBytes {
			return &http.MaxBytesError{Limit: maxBodyBytes}
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		return handle(w, r)
	}
}

// clean reports whether p is absolute and without empty or dot segments.
func clean(p string) bool {
	cleaned := path.Clean("/" + p)
	return p == cleaned || p == cleaned+"/" && cleaned != "/"
}

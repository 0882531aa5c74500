// Package server is the HTTP API of the service.
package server

import (
	"net/http"

	openapi "example.com/platform/payments"
	"example.com/platform/payments/internal/greeting"
	"example.com/platform/payments/internal/platform"
)

const maxBodyBytes = 1 << 20

// New returns the handler of every request.
func New() http.Handler {
	mux := http.NewServeMux()
	routes(mux)
	mux.Handle("GET /openapi.json", http.FileServerFS(openapi.Files))
	platform.Routes(mux)
	return platform.Wrap(mux, maxBodyBytes)
}

// router is what routes needs of http.ServeMux.
type router interface {
	Handle(pattern string, handler http.Handler)
	HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request))
}

// routes adds the API, which openapi.json describes.
func routes(mux router) {
	mux.Handle("POST /v1/greetings", platform.Handler(greeting.Create))
}

package server

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestServer(t *testing.T) {
	tests := []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/livez", "", 200},
		{"GET", "/readyz", "", 200},
		{"GET", "/metrics", "", 200},
		{"GET", "/openapi.json", "", 200},
		{"POST", "/v1/greetings", `{"name":"Ada"}`, 200},
		{"POST", "/v1/greetings", strings.Repeat(" ", maxBodyBytes+1), 413},
		{"GET", "/v1/greetings", "", 405},
		{"GET", "/nowhere", "", 404},
	}
	handler := New()
	for _, test := range tests {
		r := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Request-Id", "mine")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != test.status || w.Header().Get("X-Request-Id") != "mine" {
			t.Errorf("%s %s: got %d %v, want %d", test.method, test.path, w.Code, w.Header(), test.status)
		}
	}
}

package greeting

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/platform/payments/internal/platform"
)

func TestCreate(t *testing.T) {
	tests := map[string]struct {
		body   string
		status int
		want   string
	}{
		"greets":        {`{"name":"Ada"}`, 200, `{"message":"Hello, Ada!"}`},
		"empty name":    {`{"name":""}`, 400, "1 to 100 characters"},
		"long name":     {`{"name":"` + strings.Repeat("é", 101) + `"}`, 400, "1 to 100 characters"},
		"not a name":    {`{"name":7}`, 400, "JSON"},
		"not an object": {`[]`, 400, "JSON"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/v1/greetings", strings.NewReader(test.body))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			platform.Handler(Create).ServeHTTP(w, r)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.want) {
				t.Errorf("got %d %s, want %d and %s", w.Code, w.Body, test.status, test.want)
			}
		})
	}
}

package problem

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestWrite(t *testing.T) {
	tests := []struct {
		status int
		want   string
	}{
		{http.StatusBadRequest, `{"title":"Bad Request","status":400,"detail":"Because."}`},
		{http.StatusNotFound, `{"title":"Not Found","status":404,"detail":"Because."}`},
		{http.StatusRequestEntityTooLarge, `{"title":"Content Too Large","status":413,"detail":"Because."}`},
	}
	for _, test := range tests {
		t.Run(http.StatusText(test.status), func(t *testing.T) {
			rec := httptest.NewRecorder()
			if err := New(test.status, "Because.").Write(rec); err != nil {
				t.Fatal(err)
			}
			if rec.Code != test.status {
				t.Errorf("status: got %d, want %d", rec.Code, test.status)
			}
			if got := rec.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type: got %q", got)
			}
			if got := rec.Body.String(); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestError(t *testing.T) {
	got := New(http.StatusNotFound, "No such path.").Error()
	if want := "Not Found: No such path."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

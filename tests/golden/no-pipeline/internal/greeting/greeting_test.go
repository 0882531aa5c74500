package greeting

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/platform/payments/internal/problem"
)

func create(body string) (*httptest.ResponseRecorder, error) {
	r := httptest.NewRequest("POST", "/v1/greetings", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	return rec, Create(rec, r)
}

func TestCreate(t *testing.T) {
	tests := map[string]struct{ body, want string }{
		"plain":         {`{"name":"Ada"}`, "Hello, Ada!"},
		"other members": {`{"title":"Dr","name":"Ada","NAME":7}`, "Hello, Ada!"},
		"markup":        {`{"name":"<b>&"}`, "Hello, <b>&!"},
		"escapes":       {`{"name":"\u0041\n"}`, "Hello, A\n!"},
		"longest":       {`{"name":"` + strings.Repeat("😀", 100) + `"}`, "Hello, " + strings.Repeat("😀", 100) + "!"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rec, err := create(test.body)
			if err != nil {
				t.Fatal(err)
			}
			var got Greeting
			if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if rec.Code != http.StatusOK || got.Message != test.want {
				t.Errorf("got %d %q, want 200 %q", rec.Code, got.Message, test.want)
			}
		})
	}
}

func TestCreateRejects(t *testing.T) {
	tests := map[string]string{
		"missing":      `{}`,
		"other case":   `{"Name":"Ada"}`,
		"null":         `{"name":null}`,
		"number":       `{"name":1}`,
		"array":        `{"name":["Ada"]}`,
		"empty":        `{"name":""}`,
		"too long":     `{"name":"` + strings.Repeat("é", 101) + `"}`,
		"not an array": `["name"]`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := create(body)
			p, ok := errors.AsType[*problem.Problem](err)
			if !ok || p.Status != http.StatusBadRequest || p.Detail == "" {
				t.Errorf("got %v, want a problem with status 400", err)
			}
		})
	}
}

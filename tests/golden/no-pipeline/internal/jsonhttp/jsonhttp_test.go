package jsonhttp

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/platform/payments/internal/problem"
)

func post(contentType, body string) *http.Request {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return r
}

func TestReadObject(t *testing.T) {
	for _, contentType := range []string{
		"application/json",
		"Application/JSON; charset=utf-8",
		"application/json ; =",
	} {
		t.Run(contentType, func(t *testing.T) {
			object, err := ReadObject(post(contentType, ` {"a": "b", "A": [1]} `))
			if err != nil {
				t.Fatal(err)
			}
			if len(object) != 2 || string(object["a"]) != `"b"` || string(object["A"]) != "[1]" {
				t.Errorf("got %s", object)
			}
		})
	}
}

func TestReadObjectRejects(t *testing.T) {
	tests := map[string]struct {
		contentType, body string
		status            int
	}{
		"no media type":  {"", `{}`, 415},
		"form":           {"application/x-www-form-urlencoded", `{}`, 415},
		"longer type":    {"application/json5", `{}`, 415},
		"empty":          {"application/json", ``, 400},
		"cut short":      {"application/json", `{"a":`, 400},
		"two values":     {"application/json", `{} {}`, 400},
		"array":          {"application/json", `[]`, 400},
		"string":         {"application/json", `"a"`, 400},
		"null":           {"application/json", `null`, 400},
		"invalid UTF-8":  {"application/json", "{\"a\":\"\xff\"}", 400},
		"byte order":     {"application/json", "\ufeff{}", 400},
		"trailing comma": {"application/json", `{"a":1,}`, 400},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ReadObject(post(test.contentType, test.body))
			p, ok := errors.AsType[*problem.Problem](err)
			if !ok || p.Status != test.status {
				t.Errorf("got %v, want a problem with status %d", err, test.status)
			}
		})
	}
}

func TestReadObjectTooLarge(t *testing.T) {
	r := post("application/json", `{"a":1}`)
	r.Body = http.MaxBytesReader(nil, r.Body, 3)
	_, err := ReadObject(r)
	if _, ok := errors.AsType[*http.MaxBytesError](err); !ok {
		t.Errorf("got %v, want the reader's own error", err)
	}
}

func TestWrite(t *testing.T) {
	rec := httptest.NewRecorder()
	if err := Write(rec, http.StatusCreated, map[string]int{"a": 1}); err != nil {
		t.Fatal(err)
	}
	if rec.Code != 201 || rec.Header().Get("Content-Type") != "application/json" || rec.Body.String() != `{"a":1}` {
		t.Errorf("got %d %v %s", rec.Code, rec.Header(), rec.Body)
	}
}

func TestWriteFails(t *testing.T) {
	rec := httptest.NewRecorder()
	if err := Write(rec, http.StatusOK, func() {}); err == nil {
		t.Error("a function was written as JSON")
	}
	if rec.Body.Len() > 0 {
		t.Errorf("the answer was begun: %s", rec.Body)
	}
}

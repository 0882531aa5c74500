// Package jsonhttp reads and writes the JSON bodies of the API.
package jsonhttp

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"example.com/platform/payments/internal/problem"
)

// ReadObject returns the members of the request's JSON object. Names are
// compared exactly, which encoding/json does not do for the fields of a struct.
func ReadObject(r *http.Request) (map[string]json.RawMessage, error) {
	mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(mediaType), "application/json") {
		return nil, problem.New(http.StatusUnsupportedMediaType, "The media type of the body must be application/json.")
	}

	body, err := io.ReadAll(r.Body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, err
	}
	if err != nil {
		return nil, problem.New(http.StatusBadRequest, "The body could not be read to its end.")
	}
	if !utf8.Valid(body) || !json.Valid(body) {
		return nil, problem.New(http.StatusBadRequest, "The body must be valid JSON.")
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil || object == nil {
		return nil, problem.New(http.StatusBadRequest, "The body must be a JSON object.")
	}
	return object, nil
}

// Write answers with value as JSON.
func Write(w http.ResponseWriter, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err = w.Write(body)
	return err
}

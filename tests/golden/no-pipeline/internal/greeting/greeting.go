// Package greeting is the example endpoint: copy its shape, then delete it.
package greeting

import (
	"encoding/json"
	"net/http"
	"unicode/utf8"

	"example.com/platform/payments/internal/jsonhttp"
	"example.com/platform/payments/internal/problem"
)

const maxNameLength = 100

// Greeting is the answer to a request for one.
type Greeting struct {
	Message string `json:"message"`
}

// New greets name.
func New(name string) Greeting {
	return Greeting{Message: "Hello, " + name + "!"}
}

// Create answers POST /v1/greetings.
func Create(w http.ResponseWriter, r *http.Request) error {
	object, err := jsonhttp.ReadObject(r)
	if err != nil {
		return err
	}
	name, ok := parseName(object["name"])
	if !ok {
		return problem.New(http.StatusBadRequest, "The member name must be a string of 1 to 100 characters.")
	}
	return jsonhttp.Write(w, http.StatusOK, New(name))
}

func parseName(raw json.RawMessage) (name string, ok bool) {
	if err := json.Unmarshal(raw, &name); err != nil {
		return "", false
	}
	length := utf8.RuneCountInString(name)
	return name, 1 <= length && length <= maxNameLength
}

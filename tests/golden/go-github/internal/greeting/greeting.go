// Package greeting is the example: copy its shape, then delete it.
package greeting

import (
	"net/http"
	"unicode/utf8"

	"example.com/platform/payments/internal/platform"
)

const maxNameLength = 100

// Request says whom to greet.
type Request struct {
	Name string `json:"name" required:"true" minLength:"1" maxLength:"100"`
}

// Greeting is the answer.
type Greeting struct {
	Message string `json:"message" required:"true"`
}

// Create answers POST /v1/greetings.
func Create(w http.ResponseWriter, r *http.Request) error {
	var request Request
	if err := platform.ReadJSON(r, &request); err != nil {
		return err
	}
	if n := utf8.RuneCountInString(request.Name); n < 1 || n > maxNameLength {
		return &platform.Problem{Status: http.StatusBadRequest, Detail: "The name must have 1 to 100 characters."}
	}
	return platform.WriteJSON(w, http.StatusOK, Greeting{Message: "Hello, " + request.Name + "!"})
}

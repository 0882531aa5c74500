// Package problem is the error answer of the API: application/problem+json
// (RFC 9457).
package problem

import (
	"encoding/json"
	"net/http"
)

// Problem is an error that is shown to the client as it stands.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// New returns a problem with the standard phrase of status as its title.
// Detail is one sentence for the client.
func New(status int, detail string) *Problem {
	return &Problem{Title: title(status), Status: status, Detail: detail}
}

func (p *Problem) Error() string {
	return p.Title + ": " + p.Detail
}

// Write sends the problem as the answer.
func (p *Problem) Write(w http.ResponseWriter) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, err = w.Write(body)
	return err
}

func title(status int) string {
	if status == http.StatusRequestEntityTooLarge {
		return "Content Too Large" // RFC 9110; net/http keeps the older phrase
	}
	return http.StatusText(status)
}

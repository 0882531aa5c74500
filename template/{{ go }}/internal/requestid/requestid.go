// Package requestid names requests, so that a log line can be found by what
// the client saw.
package requestid

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"regexp"
)

// Header carries the id, in the request and in its answer.
const Header = "X-Request-Id"

var valid = regexp.MustCompile(`\A[A-Za-z0-9._-]{1,128}\z`)

// From returns the request's own id if it is well formed, or a new one.
func From(r *http.Request) string {
	if id := r.Header.Get(Header); valid.MatchString(id) {
		return id
	}
	return random()
}

// random returns a UUID, version 4.
func random() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: it ends the program instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

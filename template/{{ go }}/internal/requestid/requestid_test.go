package requestid

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

var uuid4 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestFrom(t *testing.T) {
	tests := map[string]struct {
		id   string
		kept bool
	}{
		"plain":         {"order-42_a.b", true},
		"longest":       {strings.Repeat("x", 128), true},
		"missing":       {"", false},
		"too long":      {strings.Repeat("x", 129), false},
		"space":         {"a b", false},
		"line feed":     {"a\n", false},
		"not ASCII":     {"é", false},
		"markup":        {"<b>", false},
		"colon":         {"a:b", false},
		"JSON breakout": {`a","level":"error`, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header[Header] = []string{test.id}
			got := From(r)
			if test.kept && got != test.id {
				t.Errorf("got %q, want %q", got, test.id)
			}
			if !test.kept && !uuid4.MatchString(got) {
				t.Errorf("got %q, want a random UUID", got)
			}
		})
	}
}

func TestFromIsUnique(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	if a, b := From(r), From(r); a == b {
		t.Errorf("two requests have the id %s", a)
	}
}

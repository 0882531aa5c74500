package server

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/swaggest/openapi-go"
	"github.com/swaggest/openapi-go/openapi31"

	"example.com/platform/payments/internal/greeting"
	"example.com/platform/payments/internal/platform"
)

var update = flag.Bool("update", false, "write openapi.json")

// operations describes each route for openapi.json.
var operations = map[string]func(openapi.OperationContext){
	"POST /v1/greetings": func(o openapi.OperationContext) {
		o.SetSummary("Greet somebody")
		o.AddReqStructure(greeting.Request{})
		o.AddRespStructure(greeting.Greeting{})
	},
}

// patterns is a router that keeps the patterns of the routes.
type patterns []string

func (p *patterns) Handle(pattern string, _ http.Handler) { *p = append(*p, pattern) }

func (p *patterns) HandleFunc(pattern string, _ func(http.ResponseWriter, *http.Request)) {
	*p = append(*p, pattern)
}

func TestOpenAPI(t *testing.T) {
	const file = "../../openapi.json"
	reflector := openapi31.NewReflector()
	reflector.Spec.Info.WithTitle("payments").WithVersion("1.0.0")

	var added patterns
	routes(&added)
	for _, pattern := range added {
		describe, ok := operations[pattern]
		if !ok {
			t.Errorf("%s is not in operations", pattern)
			continue
		}
		method, path, _ := strings.Cut(pattern, " ")
		operation, err := reflector.NewOperationContext(method, path)
		if err != nil {
			t.Fatal(err)
		}
		describe(operation)
		operation.AddRespStructure(platform.Problem{}, func(unit *openapi.ContentUnit) {
			unit.IsDefault = true
			unit.Description = "An error"
			unit.ContentType = "application/problem+json"
		})
		if err := reflector.AddOperation(operation); err != nil {
			t.Fatal(err)
		}
	}

	want, err := json.MarshalIndent(reflector.Spec, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("openapi.json is out of date (%v): run make openapi", err)
	}
}

//go:build !tracing

package platform

import (
	"context"
	"net/http"
)

func startTracing(service, version string) error { return nil }

func stopTracing() {}

func traced(next http.Handler) http.Handler { return next }

func spanTraceID(context.Context) string { return "" }

// Transport is next: this service is built without tracing.
func Transport(next http.RoundTripper) http.RoundTripper { return next }

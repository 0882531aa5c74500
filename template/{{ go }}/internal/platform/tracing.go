//go:build tracing

package platform

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const flushTimeout = 2 * time.Second

// startTracing exports spans where OTEL_EXPORTER_OTLP_ENDPOINT is set; the library
// reads the other OTEL_* variables.
func startTracing(service, version string) error {
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" {
		return nil
	}
	otel.SetLogger(logr.Discard()) // it shows what OTEL_EXPORTER_OTLP_HEADERS holds
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { slog.Warn("tracing", "error", err) }))
	exporter, err := otlptracehttp.New(context.Background())
	if err != nil {
		return err
	}
	attributes, err := resource.New(context.Background(),
		resource.WithAttributes(attribute.String("service.name", service), attribute.String("service.version", version)),
		resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return errors.New("configuration error: OTEL_RESOURCE_ATTRIBUTES wants key=value pairs with commas between them")
	}
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	otel.SetTracerProvider(sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(attributes)))
	return nil
}

// stopTracing sends what is left.
func stopTracing() {
	if provider, ok := otel.GetTracerProvider().(*sdk.TracerProvider); ok {
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			otel.Handle(err)
		}
	}
}

// traced gives each request a span, but for those that a machine makes all day.
func traced(next http.Handler) http.Handler {
	if _, ok := otel.GetTracerProvider().(*sdk.TracerProvider); !ok {
		return next
	}
	return otelhttp.NewHandler(next, "request", otelhttp.WithFilter(func(r *http.Request) bool {
		return !routine(r.URL.Path)
	}))
}

// spanTraceID is the trace of the span in ctx.
func spanTraceID(ctx context.Context) string {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		return span.TraceID().String()
	}
	return ""
}

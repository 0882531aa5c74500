// Package logging builds the service's logger: one JSON object a line.
package logging

import (
	"io"
	"log/slog"
	"strings"
	"time"
)

const timeFormat = "2006-01-02T15:04:05.000Z"

// New returns a logger that writes to w and puts service and version in every
// line.
func New(w io.Writer, level slog.Level, service, version string) *slog.Logger {
	handler := slog.NewJSONHandler(w, &slog.HandlerOptions{
		Level:       level,
		ReplaceAttr: replace,
	})
	return slog.New(handler).With("service", service, "version", version)
}

// replace writes the time in UTC with milliseconds and the level in lower case.
func replace(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return attr
	}
	switch value := attr.Value.Any().(type) {
	case time.Time:
		attr.Value = slog.StringValue(value.UTC().Format(timeFormat))
	case slog.Level:
		attr.Value = slog.StringValue(strings.ToLower(value.String()))
	}
	return attr
}

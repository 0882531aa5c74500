package platform

import (
	"context"
	"io"
	"log/slog"
	"strings"
)

// newLogger writes one JSON object a line.
func newLogger(w io.Writer, level slog.Leveler, service, version string) *slog.Logger {
	handler := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: lowerLevel})
	return slog.New(requestHandler{handler}).With("service", service, "version", version)
}

func lowerLevel(groups []string, attr slog.Attr) slog.Attr {
	if attr.Key == slog.LevelKey && len(groups) == 0 {
		attr.Value = slog.StringValue(strings.ToLower(attr.Value.String()))
	}
	return attr
}

// requestHandler adds to a line which request it is about, where the context says so.
type requestHandler struct{ slog.Handler }

func (h requestHandler) Handle(ctx context.Context, record slog.Record) error {
	record.Time = record.Time.UTC()
	if e, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		record.AddAttrs(slog.String("request_id", e.id))
		if e.traceID != "" {
			record.AddAttrs(slog.String("trace_id", e.traceID))
		}
	}
	return h.Handler.Handle(ctx, record)
}

func (h requestHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestHandler{h.Handler.WithAttrs(attrs)}
}

func (h requestHandler) WithGroup(name string) slog.Handler {
	return requestHandler{h.Handler.WithGroup(name)}
}

package logging

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	var out bytes.Buffer
	New(&out, slog.LevelInfo, "payments", "1.2.3").Warn("disk <full>", "free", 3)

	if strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("want one line, got %q", out.String())
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}

	stamp, _ := line["time"].(string)
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`).MatchString(stamp) {
		t.Errorf("time: got %q, want UTC with milliseconds", stamp)
	}
	delete(line, "time")
	want := map[string]any{
		"level":   "warn",
		"msg":     "disk <full>",
		"service": "payments",
		"version": "1.2.3",
		"free":    3.0,
	}
	if !maps.Equal(line, want) {
		t.Errorf("got %v, want %v", line, want)
	}
}

func TestLevels(t *testing.T) {
	tests := []struct {
		level slog.Level
		want  []string
	}{
		{slog.LevelDebug, []string{"debug", "info", "warn", "error"}},
		{slog.LevelInfo, []string{"info", "warn", "error"}},
		{slog.LevelWarn, []string{"warn", "error"}},
		{slog.LevelError, []string{"error"}},
	}
	for _, test := range tests {
		t.Run(test.level.String(), func(t *testing.T) {
			var out bytes.Buffer
			log := New(&out, test.level, "payments", "dev")
			log.Debug("line")
			log.Info("line")
			log.Warn("line")
			log.Error("line")

			var got []string
			for decoder := json.NewDecoder(&out); decoder.More(); {
				var line struct{ Level string }
				if err := decoder.Decode(&line); err != nil {
					t.Fatal(err)
				}
				got = append(got, line.Level)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

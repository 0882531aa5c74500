package config

import (
	"strings"
	"testing"

	"example.com/platform/payments/internal/platform"
)

func TestDefaults(t *testing.T) {
	var cfg Config
	if err := platform.Load(&cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.Port != 8080 {
		t.Errorf("port: got %d, want 8080", cfg.Port)
	}
}

func TestWrong(t *testing.T) {
	const secret = "hunter2"
	t.Setenv("PORT", secret)
	t.Setenv("DRAIN_DELAY_SECONDS", "21")
	err := platform.Load(new(Config))
	if err == nil {
		t.Fatal("got no error")
	}
	for _, name := range []string{"PORT", "DRAIN_DELAY_SECONDS"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the value is shown: %v", err)
	}
}

package platform

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Settings are those of every service. A service embeds them in a struct with
// its own; the tag want says what a variable should hold.
type Settings struct {
	Host            netip.Addr `env:"HOST" envDefault:"0.0.0.0" want:"an IP address"`
	Port            uint16     `env:"PORT" envDefault:"8080" want:"an integer from 1 to 65535"`
	LogLevel        slog.Level `env:"LOG_LEVEL" envDefault:"info" want:"one of debug, info, warn, error"`
	DrainDelay      int        `env:"DRAIN_DELAY_SECONDS" envDefault:"5" want:"an integer from 0 to 20"`
	ShutdownTimeout int        `env:"SHUTDOWN_TIMEOUT_SECONDS" envDefault:"25" want:"an integer from 1 to 29, greater than DRAIN_DELAY_SECONDS"`
	IdleTimeout     int        `env:"IDLE_TIMEOUT_SECONDS" envDefault:"620" want:"an integer from 1 to 3600"`
}

// embedding is a pointer to a struct that embeds Settings.
type embedding interface{ common() *Settings }

func (s *Settings) common() *Settings { return s }

func (s *Settings) inRange() bool {
	return s.Port > 0 &&
		0 <= s.DrainDelay && s.DrainDelay <= 20 &&
		1 <= s.ShutdownTimeout && s.ShutdownTimeout <= 29 &&
		1 <= s.IdleTimeout && s.IdleTimeout <= 3600
}

func (s *Settings) address() string {
	return netip.AddrPortFrom(s.Host, s.Port).String()
}

// Load reads the settings from the environment. Its error has a line for every
// variable that is wrong, and never shows what one holds: it may be a secret.
func Load(settings embedding) error {
	fields, err := env.GetFieldParams(settings)
	if err != nil {
		return err
	}
	var wrong []error
	for _, field := range fields {
		if want := try(settings, field); want != "" {
			wrong = append(wrong, fmt.Errorf("configuration error: %s wants %s", field.Key, want))
		}
	}
	err = env.Parse(settings)
	if s := settings.common(); s.inRange() && s.ShutdownTimeout <= s.DrainDelay {
		wrong = append(wrong, errors.New("configuration error: SHUTDOWN_TIMEOUT_SECONDS wants more than DRAIN_DELAY_SECONDS"))
	}
	if wrong == nil {
		return err
	}
	return errors.Join(wrong...)
}

// try reads one variable into settings of its own, and says what it wants if it
// is wrong. An error of the library shows the value and names only a field.
func try(settings embedding, field env.FieldParams) (want string) {
	value, set := os.LookupEnv(field.Key)
	if field.Required && !set || field.NotEmpty && value == "" {
		return "a value"
	}
	structType := reflect.TypeOf(settings).Elem()
	trial := reflect.New(structType).Interface().(embedding)
	err := env.ParseWithOptions(trial, env.Options{Environment: map[string]string{field.Key: value}})
	failed, ok := errors.AsType[env.ParseError](err)
	if !ok && trial.common().inRange() {
		return ""
	}
	for _, f := range reflect.VisibleFields(structType) {
		key, _, _ := strings.Cut(f.Tag.Get("env"), ",")
		if want := f.Tag.Get("want"); key == field.Key && want != "" {
			return want
		}
	}
	return failed.Type.String()
}

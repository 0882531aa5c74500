package platform

import (
	"cmp"
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
	return s.Port > 0 && 0 <= s.DrainDelay && s.DrainDelay <= 20 &&
		1 <= s.ShutdownTimeout && s.ShutdownTimeout <= 29 && 1 <= s.IdleTimeout && s.IdleTimeout <= 3600
}

func (s *Settings) address() string { return netip.AddrPortFrom(s.Host, s.Port).String() }

// Load reads the settings from the environment. Its error has a line for every
// variable that is wrong, and never shows what one holds: it may be a secret.
func Load(settings embedding) error {
	fields, err := env.GetFieldParams(settings)
	if err != nil {
		return err
	}
	variables := env.ToMap(os.Environ()) // once: a parse takes away what is `unset`
	var wrong []error
	for _, field := range fields {
		// One variable at a time: an error of the library has the name of a field, and the value.
		value := variables[field.Key]
		trial := reflect.New(reflect.TypeOf(settings).Elem()).Interface().(embedding)
		err := env.ParseWithOptions(trial, env.Options{Environment: map[string]string{field.Key: value}})
		_, unread := errors.AsType[env.ParseError](err)
		_, unloaded := errors.AsType[env.LoadFileContentError](err)
		missing := value == "" && !field.HasDefaultValue && (field.Required || field.NotEmpty)
		if unread || unloaded || missing || !trial.common().inRange() {
			want := cmp.Or(wanted(reflect.TypeOf(settings).Elem(), field.Key), "a valid value")
			wrong = append(wrong, fmt.Errorf("configuration error: %s wants %s", field.Key, want))
		}
	}
	if wrong != nil {
		return errors.Join(wrong...)
	}
	if err := env.ParseWithOptions(settings, env.Options{Environment: variables}); err != nil {
		return err
	}
	if s := settings.common(); s.ShutdownTimeout <= s.DrainDelay {
		return errors.New("configuration error: SHUTDOWN_TIMEOUT_SECONDS wants to be greater than DRAIN_DELAY_SECONDS")
	}
	return nil
}

func wanted(settings reflect.Type, variable string) string {
	for _, field := range reflect.VisibleFields(settings) {
		if key, _, _ := strings.Cut(field.Tag.Get("env"), ","); key == variable {
			return field.Tag.Get("want")
		}
		inner, ok := strings.CutPrefix(variable, field.Tag.Get("envPrefix"))
		if ok && inner != variable && field.Type.Kind() == reflect.Struct {
			if want := wanted(field.Type, inner); want != "" {
				return want
			}
		}
	}
	return ""
}

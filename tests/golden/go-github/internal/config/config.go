// Package config is what the service reads from its environment.
package config

import "example.com/platform/payments/internal/platform"

// Config holds the settings of the service: those of every service and its own,
// which are fields with the tags of github.com/caarlos0/env.
type Config struct {
	platform.Settings
}

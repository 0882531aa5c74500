// Package openapi holds the description of the service's API.
package openapi

import "embed"

// Files has openapi.json.
//
//go:embed openapi.json
var Files embed.FS

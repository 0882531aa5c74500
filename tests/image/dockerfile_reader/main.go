// Command dockerfile_reader says how BuildKit reads Dockerfiles.
//
// It takes a JSON object of texts by name on standard input, and prints one of readings:
// the error that a build of any stage would stop with before its first step, or the
// instructions and the ports of the image's configuration.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/opencontainers/go-digest"
)

type reading struct {
	Error        string        `json:"error,omitempty"`
	Instructions []instruction `json:"instructions"`
	Ports        []string      `json:"ports"`
}

type instruction struct {
	Line     int      `json:"line"`
	Keyword  string   `json:"keyword"`
	Flags    []string `json:"flags"`
	Words    []string `json:"words"`
	Heredocs []string `json:"heredocs"`
}

// anyImage is a registry that has every image, each without a configuration.
type anyImage struct{}

func (anyImage) ResolveImageConfig(
	_ context.Context, ref string, _ sourceresolver.Opt,
) (string, digest.Digest, []byte, error) {
	config := []byte(`{"architecture":"amd64","os":"linux","config":{}}`)
	return ref, digest.FromBytes(config), config, nil
}

// triggers reads what stands behind ONBUILD as the build of a child image will.
func triggers(file *parser.Node) error {
	stages, _, err := instructions.Parse(file, nil)
	if err != nil {
		return err
	}
	for _, stage := range stages {
		for _, command := range stage.Commands {
			trigger, ok := command.(*instructions.OnbuildCommand)
			if !ok {
				continue
			}
			parsed, err := parser.Parse(strings.NewReader(trigger.Expression))
			if err != nil {
				return err
			}
			for _, node := range parsed.AST.Children {
				if _, err := instructions.ParseCommand(node); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func read(text string) (found reading) {
	found.Instructions, found.Ports = []instruction{}, []string{}
	parsed, err := parser.Parse(bytes.NewReader([]byte(text)))
	if err != nil {
		found.Error = err.Error()
		return found
	}
	for _, node := range parsed.AST.Children {
		item := instruction{node.StartLine, node.Value, node.Flags, []string{}, []string{}}
		for next := node.Next; next != nil; next = next.Next {
			item.Words = append(item.Words, next.Value)
		}
		for _, heredoc := range node.Heredocs {
			item.Heredocs = append(item.Heredocs, heredoc.Content)
		}
		found.Instructions = append(found.Instructions, item)
	}
	result, err := dockerfile2llb.Dockerfile2LLB(
		context.Background(), []byte(text), dockerfile2llb.ConvertOpt{
			MetaResolver: anyImage{}, AllStages: true,
		})
	if err != nil {
		found.Error = err.Error()
		return found
	}
	if err := triggers(parsed.AST); err != nil {
		found.Error = err.Error()
		return found
	}
	found.Ports = slices.Sorted(maps.Keys(result.Image.Config.ExposedPorts))
	return found
}

func main() {
	texts := map[string]string{}
	if err := json.NewDecoder(os.Stdin).Decode(&texts); err != nil {
		log.Fatal(err)
	}
	readings := map[string]reading{}
	for name, text := range texts {
		readings[name] = read(text)
	}
	if err := json.NewEncoder(os.Stdout).Encode(readings); err != nil {
		log.Fatal(err)
	}
}

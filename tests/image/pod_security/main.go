// Command pod-security says what keeps pods from being admitted where a namespace enforces
// the Pod Security Standard `restricted`.
//
// It takes a JSON object of pod templates by name on standard input, and prints one of the
// reasons; an admitted pod has none.
package main

import (
	"encoding/json"
	"log"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func main() {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		log.Fatal(err)
	}
	input := json.NewDecoder(os.Stdin)
	input.DisallowUnknownFields()
	var pods map[string]corev1.PodTemplateSpec
	if err := input.Decode(&pods); err != nil {
		log.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	reasons := map[string]string{}
	for name, pod := range pods {
		results := evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec)
		if all := policy.AggregateCheckResults(results); !all.Allowed {
			reasons[name] = all.ForbiddenReason() + ": " + all.ForbiddenDetail()
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(reasons); err != nil {
		log.Fatal(err)
	}
}

// Writes a database of planted flaws, as Grype reads it, below the directory that is named.
package main

import (
	"log"
	"os"
	"time"

	v6 "github.com/anchore/grype/grype/db/v6"
)

var (
	captured = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	planted  = &v6.Provider{ID: "planted", Version: "1", Processor: "planted", DateCaptured: &captured, InputDigest: "xxh64:0000000000000000"}
	debian   = &v6.OperatingSystem{Name: "debian", ReleaseID: "debian", MajorVersion: "13", Codename: "trixie"}
)

func flaw(id, cve, severity, ecosystem, name, versions, kind, fix string, system *v6.OperatingSystem) *v6.AffectedPackageHandle {
	state := v6.FixedStatus
	if fix == "" {
		state = v6.WontFixStatus
	}
	return &v6.AffectedPackageHandle{
		OperatingSystem: system,
		Package:         &v6.Package{Ecosystem: ecosystem, Name: name},
		Vulnerability: &v6.VulnerabilityHandle{
			Name: id, Status: v6.VulnerabilityActive, PublishedDate: &captured, ModifiedDate: &captured, Provider: planted,
			BlobValue: &v6.VulnerabilityBlob{
				ID: id, Description: "planted",
				Severities: []v6.Severity{{Scheme: v6.SeveritySchemeCHMLN, Value: severity, Rank: 1}},
			},
		},
		BlobValue: &v6.PackageBlob{
			CVEs: []string{cve},
			Ranges: []v6.Range{{
				Version: v6.Version{Type: kind, Constraint: versions},
				Fix:     &v6.Fix{Version: fix, State: state},
			}},
		},
	}
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: database DIRECTORY")
	}
	store, err := v6.NewWriter(v6.Config{DBDirPath: os.Args[1]})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.SetDBMetadata(); err != nil {
		log.Fatal(err)
	}
	packages := []*v6.AffectedPackageHandle{
		flaw("CVE-2026-20001", "CVE-2026-20001", "high", "deb", "tzdata", "< 2099a-1", "dpkg", "2099a-1", debian),
		flaw("CVE-2026-20002", "CVE-2026-20002", "negligible", "deb", "netbase", "", "dpkg", "", debian),
		flaw("CVE-2026-20003", "CVE-2026-20003", "critical", "go-module", "stdlib", "< 1.26.5", "go", "1.26.5", nil),
		flaw("GHSA-aaaa-bbbb-cccc", "CVE-2026-20004", "medium", "go-module", "go.opentelemetry.io/otel", "< 1.41.0", "go", "1.41.0", nil),
		flaw("GHSA-dddd-eeee-ffff", "CVE-2026-20005", "critical", "go-module", "github.com/prometheus/client_golang", "< 1.22.1", "go", "1.22.1", nil),
		flaw("CVE-2026-20006", "CVE-2026-20006", "critical", "rust-crate", "serde", "< 99.0.0", "semver", "99.0.0", nil),
	}
	for _, item := range packages {
		if err := store.AddVulnerabilities(item.Vulnerability); err != nil {
			log.Fatal(err)
		}
		if err := store.AddAffectedPackages(item); err != nil {
			log.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}
}

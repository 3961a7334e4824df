package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

// billOfMaterials says in CycloneDX what is in a binary, from what the Go toolchain wrote
// into it and into the programs that it embeds. It has no time and no random number.
func billOfMaterials(labctl program, embedded []program) ([]byte, error) {
	bom := cdx.NewBOM()
	app, err := application(labctl)
	if err != nil {
		return nil, err
	}
	app.Licenses = &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}}
	bom.Metadata = &cdx.Metadata{Component: &app}

	modules := map[string]cdx.Component{}
	needs := map[string][]string{}
	use := func(ref string, info *debug.BuildInfo) {
		for _, c := range libraries(info) {
			modules[c.BOMRef] = c
			needs[ref] = append(needs[ref], c.BOMRef)
		}
	}
	use(app.BOMRef, labctl.info)
	components := make([]cdx.Component, 0, len(embedded)+len(labctl.info.Deps))
	for _, p := range embedded {
		c, err := application(p)
		if err != nil {
			return nil, err
		}
		components = append(components, c)
		needs[app.BOMRef] = append(needs[app.BOMRef], c.BOMRef)
		use(c.BOMRef, p.info)
	}
	for _, ref := range slices.Sorted(maps.Keys(modules)) {
		components = append(components, modules[ref])
	}
	bom.Components = &components

	// Which module needs which is not in a binary, so the graph is one level deep.
	var dependencies []cdx.Dependency
	for _, ref := range slices.Sorted(maps.Keys(needs)) {
		on := slices.Sorted(slices.Values(needs[ref]))
		dependencies = append(dependencies, cdx.Dependency{Ref: ref, Dependencies: &on})
	}
	bom.Dependencies = &dependencies

	text, err := encode(bom)
	if err != nil {
		return nil, err
	}
	// The serial number stands for the content: the same one has the same, another another.
	bom.SerialNumber = uuid.NewSHA1(uuid.NameSpaceURL, text).URN()
	return encode(bom)
}

// encode writes version 1.6 of the format, which more tools read than the latest.
func encode(bom *cdx.BOM) ([]byte, error) {
	var out bytes.Buffer
	err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom, cdx.SpecVersion1_6)
	return out.Bytes(), err
}

// application describes a program of ours.
func application(p program) (cdx.Component, error) {
	body, err := os.ReadFile(p.path)
	if err != nil {
		return cdx.Component{}, err
	}
	sum := sha256.Sum256(body)
	purl := fmt.Sprintf("%s?goarch=%s&goos=%s#%s", packageURL(p.info.Main.Path, p.info.Main.Version), p.platform.arch, p.platform.os, p.name)
	properties := make([]cdx.Property, 0, len(p.info.Settings))
	for _, s := range p.info.Settings {
		properties = append(properties, cdx.Property{Name: "go:build:" + s.Key, Value: s.Value})
	}
	return cdx.Component{
		BOMRef: purl, Type: cdx.ComponentTypeApplication, Name: p.info.Main.Path + "/" + p.name, Version: known(p.info.Main.Version),
		PackageURL: purl, Properties: &properties,
		Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
	}, nil
}

// libraries are Go's standard library and the modules in a binary.
func libraries(info *debug.BuildInfo) []cdx.Component {
	goVersion, _, _ := strings.Cut(info.GoVersion, " ") // experiments follow it
	all := []cdx.Component{library("stdlib", strings.TrimPrefix(goVersion, "go"), "")}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		all = append(all, library(m.Path, m.Version, m.Sum))
	}
	return all
}

func library(name, version, sum string) cdx.Component {
	purl := packageURL(name, version)
	c := cdx.Component{BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: name, Version: version, PackageURL: purl}
	if sum != "" {
		// As go.sum has it: a hash over the module's files, which is the hash of no one file.
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: sum}}
	}
	return c
}

// packageURL names a Go module. The path stays as it is written, because modules whose paths
// differ in case only are different ones.
func packageURL(module, version string) string {
	if version = known(version); version == "" {
		return "pkg:golang/" + module
	}
	return "pkg:golang/" + module + "@" + strings.ReplaceAll(version, "+", "%2B")
}

// known is a version, or "" where the toolchain knew none.
func known(version string) string {
	if version == "(devel)" {
		return ""
	}
	return version
}

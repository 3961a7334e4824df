package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// BundleSchema names the format of bundles: a tar in gzip whose first entry, bundle.json,
// is a Bundle, and whose other entries are exactly its files, in that order.
const BundleSchema = "labctl.dev/bundle/v1"

// The entries of a bundle.
const (
	bundleHead    = "bundle.json"
	bundleNode    = "node-image/node.tar"
	bundleBlobs   = "images/blobs/sha256/"
	bundleRecords = "images/made/"
)

// Bounds on what is believed of a file that may come from anywhere.
const (
	maxBundleHead = 1 << 20
	maxBundle     = 16 << 30
)

// Bundle describes a bundle: the node image and the fixture images of one architecture, with
// the store's own files, so that a machine without registry and packages needs nothing else.
type Bundle struct {
	Schema    string         `json:"schema"`
	Labctl    string         `json:"labctl"` // version of the labctl that saved it
	Arch      string         `json:"arch"`   // as Go names it
	NodeImage BundledNode    `json:"nodeImage"`
	Images    []BundledImage `json:"images"`
	Files     []BundledFile  `json:"files"`
}

// BundledNode is the node image in a bundle.
type BundledNode struct {
	Ref        string `json:"ref"`
	ID         string `json:"id"`
	Kubernetes string `json:"kubernetes"`
}

// BundledImage is a fixture image in a bundle.
type BundledImage struct {
	Ref    string `json:"ref"`
	ID     string `json:"id"`
	Digest string `json:"digest"`
}

// BundledFile is an entry of a bundle.
type BundledFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hexadecimal
}

// Size returns the bytes of all files, uncompressed.
func (b Bundle) Size() int64 {
	var sum int64
	for _, f := range b.Files {
		sum += f.Size
	}
	return sum
}

// check says what keeps a bundle from being one.
func (b Bundle) check() error {
	if b.Schema != BundleSchema {
		return fmt.Errorf("its schema is %q; this labctl reads %s", b.Schema, BundleSchema)
	}
	if !only(b.Arch, lower+digits) {
		return fmt.Errorf("its architecture %q is none", b.Arch)
	}
	if err := b.checkNames(); err != nil {
		return err
	}
	seen := map[string]bool{}
	left := int64(maxBundle)
	for _, f := range b.Files {
		if err := f.check(); err != nil {
			return fmt.Errorf("%q: %w", f.Name, err)
		}
		if seen[f.Name] {
			return fmt.Errorf("%s: listed twice", f.Name)
		}
		seen[f.Name] = true
		if f.Size > left {
			return fmt.Errorf("%s: more than %d bytes in all", f.Name, int64(maxBundle))
		}
		left -= f.Size
	}
	if b.NodeImage.Ref == "" || !seen[bundleNode] {
		return errors.New("it holds no node image")
	}
	return nil
}

// checkNames refuses what would be an option to an engine, or more than text to a terminal.
func (b Bundle) checkNames() error {
	const name = lower + digits + "ABCDEFGHIJKLMNOPQRSTUVWXYZ._/:@+-"
	names := []string{b.NodeImage.Ref, b.NodeImage.ID, b.NodeImage.Kubernetes}
	for _, i := range b.Images {
		names = append(names, i.Ref, i.ID, i.Digest)
	}
	for _, n := range names {
		if n != "" && (n[0] == '-' || !only(n, name)) {
			return fmt.Errorf("%q names no image", n)
		}
	}
	if !only(b.Labctl, name+"()") {
		return fmt.Errorf("labctl %q is no version", b.Labctl)
	}
	return nil
}

// check lets only those names pass that a store has: none of them leads out of its folder.
func (f BundledFile) check() error {
	if f.Size < 0 {
		return fmt.Errorf("size %d", f.Size)
	}
	if len(f.SHA256) != 64 || !only(f.SHA256, digits+"abcdef") {
		return fmt.Errorf("sha256 %q is no checksum", f.SHA256)
	}
	if hex, ok := strings.CutPrefix(f.Name, bundleBlobs); ok && hex == f.SHA256 {
		return nil
	}
	record, ok := strings.CutPrefix(strings.TrimSuffix(f.Name, ".json"), bundleRecords)
	if f.Name == bundleNode || ok && only(record, lower+digits+"-") {
		return nil
	}
	return errors.New("no file of a bundle has such a name")
}

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	digits = "0123456789"
)

// only tells whether a text has characters, and all of them from the set.
func only(text, set string) bool { return text != "" && strings.Trim(text, set) == "" }

// records returns the names of the records in the bundle, as getRecord takes them.
func (b Bundle) records() []string {
	var names []string
	for _, f := range b.Files {
		if file, ok := strings.CutPrefix(f.Name, bundleRecords); ok {
			names = append(names, strings.TrimSuffix(file, "-"+b.Arch+".json"))
		}
	}
	return names
}

// bundledBlob is the entry of a blob; digest is "sha256:…".
func bundledBlob(digest string) string {
	return bundleBlobs + strings.TrimPrefix(digest, "sha256:")
}

// bundlePath is where an entry lies in a cache folder.
func bundlePath(cache string, f BundledFile) string {
	if f.Name == bundleNode {
		return filepath.Join(cache, loadedNode(f))
	}
	return filepath.Join(cache, filepath.FromSlash(f.Name))
}

// loadedNode is the node image's file in a cache folder. Another one gets another name, so
// that an engine that is reading the old one is not disturbed.
func loadedNode(f BundledFile) string {
	return filepath.Join("node-image", "loaded", f.SHA256[:12]+".tar")
}

// wanted returns the inputs that this labctl looks for, by the name of the record.
func (s *Store) wanted() map[string]string {
	inputs := map[string]string{}
	for _, r := range recipes() {
		j := job{recipe: r}
		if s.prepare(&j, s.ready) == nil { // without its programs, this labctl looks for none
			inputs[short(r.Ref)] = j.inputs
		}
		if r.Packages == nil {
			continue
		}
		if in, err := j.baseInputs(); err == nil {
			inputs[j.baseName()] = in
		}
	}
	return inputs
}

// complete says what unpacked files lack of what the bundle promises. s is a store over them.
func (s *Store) complete(b Bundle) error {
	records := map[string]record{}
	for _, name := range b.records() {
		entry := bundleRecords + filepath.Base(s.recordPath(name))
		if err := b.names(entry, s.recordPath(name)); err != nil {
			return fmt.Errorf("%s: %w", entry, err)
		}
		r, ok := s.getRecord(name)
		if !ok {
			return fmt.Errorf("%s: a file of %s is not in the bundle", entry, name)
		}
		records[name] = r
	}
	for _, i := range b.Images {
		r, ok := records[short(i.Ref)]
		if !ok || r.Ref != i.Ref || r.ID != i.ID || r.Digest != i.Digest {
			return fmt.Errorf("%s: it names %s as %s, which is not what the bundle holds", bundleHead, i.Ref, i.Digest)
		}
	}
	return nil
}

// names checks, before a record is followed, that it leads to small files of the bundle and
// nowhere else.
func (b Bundle) names(entry, file string) error {
	var r record
	if f, ok := b.find(entry); !ok || f.Size > maxBundleHead {
		return errors.New("no record of an image")
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return err
	}
	for _, digest := range []string{r.Digest, r.ID} {
		if f, ok := b.find(bundledBlob(digest)); !ok || f.Size > maxBundleHead {
			return fmt.Errorf("%q is not in the bundle", digest)
		}
	}
	return nil
}

func (b Bundle) find(name string) (BundledFile, bool) {
	at := slices.IndexFunc(b.Files, func(f BundledFile) bool { return f.Name == name })
	if at < 0 {
		return BundledFile{}, false
	}
	return b.Files[at], true
}

func (n NodeImage) encode() ([]byte, error) {
	body, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the record of the node image: %w", err)
	}
	return append(body, '\n'), nil
}

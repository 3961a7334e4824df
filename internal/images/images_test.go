package images

import (
	"reflect"
	"strings"
	"testing"
)

func TestMatches(t *testing.T) {
	i := Image{Ref: Backend, ID: "sha256:aaaa", Digest: "sha256:bbbb"}
	for _, c := range []struct {
		imageID string
		want    bool
	}{
		{"sha256:aaaa", true},
		{"sha256:bbbb", true},
		{"docker.io/labctl/backend@sha256:bbbb", true},
		{"docker-pullable://labctl/backend@sha256:bbbb", true},
		{"docker.io/library/nginx@sha256:cccc", false},
		{"sha256:aaaabbbb", false},
		{"docker.io/labctl/backend:v1", false}, // a name proves nothing
		{"sha256:", false},
		{"", false},
	} {
		if got := i.Matches(c.imageID); got != c.want {
			t.Errorf("Matches(%q) = %v, want %v", c.imageID, got, c.want)
		}
	}
	if (Image{}).Matches("") {
		t.Error("nothing matches nothing")
	}
}

func TestInventory(t *testing.T) {
	images := []Image{
		{Ref: Backend, ID: "sha256:aa", Digest: "sha256:bb", Source: "labctl", Size: 7},
		{Ref: Database, ID: "sha256:cc", Digest: "sha256:dd"},
	}
	data, err := Inventory(images)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadInventory(data)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]Image{Backend: images[0], Database: images[1]}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for name, data := range map[string]map[string]string{
		"no data": nil, "another's ConfigMap": {"a": "[]"}, "no list": {"images.json": "{}"},
	} {
		if _, err := ReadInventory(data); err == nil || !strings.Contains(err.Error(), "inventory") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestNames(t *testing.T) {
	known := recipes()
	for i, ref := range Refs() {
		if known[i].Ref != ref {
			t.Errorf("recipe %d is of %s, want %s", i, known[i].Ref, ref)
		}
		if want := strings.TrimSuffix(strings.TrimPrefix(ref, "labctl/"), ":v1"); short(ref) != want {
			t.Errorf("short(%q) = %q, want %q", ref, short(ref), want)
		}
		if want := "docker.io/" + ref; (Image{Ref: ref}).Name() != want {
			t.Errorf("Name of %s is %q", ref, (Image{Ref: ref}).Name())
		}
		user, _, _ := strings.Cut(known[i].Config.User, ":")
		if user == "" || user == "0" {
			t.Errorf("%s runs as %q: restricted namespaces refuse root", ref, known[i].Config.User)
		}
	}
}

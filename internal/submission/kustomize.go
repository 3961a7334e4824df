package submission

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"labctl.dev/labctl/internal/result"
)

// kustomizationNames returns the names that kustomize looks for, in its order.
func kustomizationNames() []string {
	return []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}
}

func isKustomization(name string) bool {
	return slices.Contains(kustomizationNames(), path.Base(name))
}

// kustomizationIn returns the kustomization at the top of a folder.
func kustomizationIn(files fs.FS) (string, bool) {
	for _, name := range kustomizationNames() {
		if _, err := fs.Stat(files, name); err == nil {
			return name, true
		}
	}
	return "", false
}

// kustomization returns the path of the kustomization that is the submission.
func (t *tree) kustomization() (string, bool) {
	for _, base := range kustomizationNames() {
		name := path.Join(t.root, base)
		if _, ok := t.files[name]; ok {
			return name, true
		}
	}
	return "", false
}

// kustomize builds the kustomization from the files in memory. There is nothing outside
// that it could read; what would make it fetch or run something is refused before.
func (r *reader) kustomize(name string) []Object {
	before := len(r.findings)
	for _, file := range r.tree.names() {
		if isKustomization(file) {
			r.inspect(file)
		}
	}
	if len(r.findings) > before {
		return nil
	}
	if r.expands(path.Dir(name), nil) > r.limits.Objects {
		r.refuse(r.tree.display(name), "includes the same files again and again, to more than %d objects", r.limits.Objects)
		return nil
	}
	memory := filesys.MakeFsInMemory()
	for file, data := range r.tree.files {
		if err := memory.WriteFile("/"+file, data); err != nil {
			r.refuse(r.tree.display(file), "cannot be used: %v", err)
			return nil
		}
	}
	options := krusty.MakeDefaultOptions() // no plugins
	// All that can be loaded is the submission's own, so a kustomization may name files of
	// its other folders, as the labs' wrong submissions do with those of the solution.
	options.LoadRestrictions = types.LoadRestrictionsNone
	made, err := krusty.MakeKustomizer(options).Run(memory, "/"+r.tree.root)
	if err != nil {
		r.refuse(r.tree.display(name), "kustomize: %s", strings.ReplaceAll(err.Error(), "\n", " "))
		return nil
	}
	var objects []Object
	for i, resource := range made.Resources() {
		at := result.Finding{File: r.tree.display(name), Document: i + 1}
		data, err := resource.MarshalJSON()
		if err != nil {
			r.refuse(at.File, "kustomize: write object %d: %v", i+1, err)
			continue
		}
		objects = append(objects, r.object(at, data)...)
	}
	return objects
}

// expands counts the documents that a folder's kustomization makes, each as often as it is
// included, up to a little over the limit: overlays of overlays double what is in them. A
// folder that includes itself counts as nothing; kustomize itself refuses it.
func (r *reader) expands(dir string, within []string) int {
	if slices.Contains(within, dir) {
		return 0
	}
	total := 0
	for _, base := range kustomizationNames() {
		file := path.Join(dir, base)
		data, ok := r.tree.files[file]
		if !ok {
			continue
		}
		var fields map[string]any
		if err := yaml.Unmarshal(data, &fields); err != nil {
			continue // refused before
		}
		for _, field := range []string{"resources", "bases", "components"} {
			for _, p := range stringsIn(fields[field]) {
				full := path.Join(dir, p)
				if content, ok := r.tree.files[full]; ok {
					total += len(split(content, r.limits.Objects))
				} else {
					total += r.expands(full, append(slices.Clone(within), dir))
				}
				if total > r.limits.Objects {
					return total
				}
			}
		}
	}
	return total
}

// inspect refuses a kustomization that reaches outside of the submission or runs plugins.
func (r *reader) inspect(file string) {
	refuse := func(field, format string, args ...any) {
		r.findings = append(r.findings, result.Finding{
			File: r.tree.display(file), Document: 1, Field: field, Message: fmt.Sprintf(format, args...),
		})
	}
	var fields map[string]any
	if err := yaml.UnmarshalStrict(r.tree.files[file], &fields); err != nil {
		refuse("", "%s", notYAML(err, 0))
		return
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		paths, known := pathsOf(field, fields[field])
		if !known {
			refuse(field, "is not allowed in a submission's kustomization")
		}
		for _, p := range paths {
			if !r.tree.local(path.Dir(file), p) {
				refuse(field, "%q is not in the submission; remote ones and those outside are not read", p)
			}
		}
	}
}

// pathsOf returns the paths that a field of a kustomization names, and whether the field
// is one that submissions may use.
func pathsOf(field string, value any) (paths []string, known bool) {
	switch field {
	case "apiVersion", "kind", "metadata", "namespace", "namePrefix", "nameSuffix", "labels", "commonLabels",
		"commonAnnotations", "images", "replicas", "generatorOptions", "sortOptions", "buildMetadata":
		return nil, true
	case "resources", "bases", "components":
		return stringsIn(value), true
	case "patchesStrategicMerge":
		return slices.DeleteFunc(stringsIn(value), func(s string) bool { return strings.Contains(s, "\n") }), true
	case "patches", "patchesJson6902", "replacements":
		return keysIn(value, "path"), true
	case "configMapGenerator", "secretGenerator":
		paths := append(keysIn(value, "env"), keysIn(value, "envs")...)
		for _, p := range keysIn(value, "files") {
			if _, after, ok := strings.Cut(p, "="); ok {
				p = after // written as key=path
			}
			paths = append(paths, p)
		}
		return paths, true
	}
	return nil, false
}

// keysIn returns the texts under a key of each mapping in a list.
func keysIn(value any, key string) []string {
	var found []string
	items, _ := value.([]any)
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			found = append(found, stringsIn(m[key])...)
		}
	}
	return found
}

// stringsIn returns a text, or the texts of a list.
func stringsIn(value any) []string {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		var found []string
		for _, item := range v {
			found = append(found, stringsIn(item)...)
		}
		return found
	}
	return nil
}

// local tells whether a path that a kustomization in dir names is a file or a folder of
// the tree. Kustomize takes many spellings for addresses of repositories, even where a
// folder of that name exists, so only plain paths pass.
func (t *tree) local(dir, name string) bool {
	plain := regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*/?$`)
	if !plain.MatchString(name) || strings.HasPrefix(strings.ToLower(name), "github.com/") {
		return false
	}
	full := path.Join(dir, name)
	for file := range t.files {
		if file == full || full == "." || strings.HasPrefix(file, full+"/") {
			return true
		}
	}
	return false
}

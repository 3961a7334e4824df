package submission

import (
	"encoding/json"
	"path"

	"labctl.dev/labctl/internal/result"
)

// ReportName is the student's own report at the top of a submission. It comes from the
// student's machine: it is for people to read, and grading ignores it.
const ReportName = "report.json"

// dropReport takes the student's own report out of what was read. Any other file of that
// name is a manifest like all others.
func (t *tree) dropReport() {
	name := path.Join(t.root, ReportName)
	var head struct {
		Schema string `json:"schema"`
	}
	if data, ok := t.files[name]; ok && json.Unmarshal(data, &head) == nil && head.Schema == result.Schema {
		delete(t.files, name)
	}
}

package gradescope

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/submission"
)

// The steps of a submission that is only read.
const (
	presentStep = "hand-in"  // what is needed for it to be graded
	foundStep   = "findings" // what strikes one about it; no points depend on it
)

// Examine makes the report say what can be known of a submission without running it. The points,
// which are all or none, are for one that can be graded: it could be read, the policy allows it,
// and it has what the lab names. A hidden check's name for something is not given away.
func Examine(l *lab.Lab, sub *submission.Submission, points float64, r *result.Report) {
	r.Status, r.MaxScore = result.Graded, points
	r.Checks = []result.Check{{
		ID: "readable", Title: "The submission can be read, and asks for nothing that is refused", Step: presentStep, Status: result.Passed,
		Message: fmt.Sprintf("%d Kubernetes objects were read", len(sub.Objects)),
	}}
	complete := true
	if len(sub.Refused) > 0 {
		r.Findings, complete = sub.Refused, false
		r.Checks[0].Status, r.Checks[0].Message = result.Failed, "objects are refused, and would be left out of the grading"
	}
	for _, w := range wanted(l) {
		c := result.Check{ID: w.id, Title: w.title, Step: presentStep, Status: result.Passed}
		if why := w.lacks(sub); why != "" {
			c.Status, c.Message, complete = result.Failed, why, false
		}
		r.Checks = append(r.Checks, c)
	}
	if complete {
		r.Score = points
	}
	// Elsewhere, finding the fault is the exercise.
	if l.Category == "core" {
		r.Checks = append(r.Checks, findings(l, sub)...)
	}
}

// want is something that a submission must have to be graded.
type want struct {
	id, title string
	lacks     func(*submission.Submission) string // why it is not there; "" where it is
}

// wanted is all that the lab's visible checks name, each thing once.
func wanted(l *lab.Lab) []want {
	var all []want
	for _, t := range l.Tiers {
		all = append(all, want{"workload-" + t.Name, fmt.Sprintf("There is a workload that runs %s", t.Image), func(s *submission.Submission) string {
			for _, o := range s.Unstructured() {
				if runs(o, t.Image) {
					return ""
				}
			}
			return "no Deployment, StatefulSet, ReplicaSet or Pod has a container with this image"
		}})
	}
	for _, service := range services(l) {
		all = append(all, want{"service-" + service, fmt.Sprintf("There is a Service named %s", service), func(s *submission.Submission) string {
			if find(s, service) != nil {
				return ""
			}
			return "no manifest has a Service of this name"
		}})
	}
	if len(l.Unanswered(nil)) > 0 {
		all = append(all, want{"answers", "Every question has an answer", func(s *submission.Submission) string {
			missing := l.Unanswered(s.Answers)
			if len(missing) == 0 {
				return ""
			}
			return "answers.yaml has no answer to " + strings.Join(missing, ", ")
		}})
	}
	return all
}

// services are the names of the Services that the visible checks use, in their order.
func services(l *lab.Lab) []string {
	var names []string
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, c := range l.Visible() {
		switch {
		case c.Reach != nil:
			add(c.Reach.Service)
		case c.Resolve != nil:
			add(c.Resolve.Service)
			add(c.Resolve.Target)
		case c.Run != nil:
			add(c.Run.With["service"])
		case c.Question != nil && c.Question.Predict != nil:
			add(c.Question.Predict.Service)
		}
	}
	return names
}

// find returns the Service of that name, or nil.
func find(s *submission.Submission, service string) *unstructured.Unstructured {
	for _, o := range s.Unstructured() {
		if o.GetKind() == "Service" && o.GetName() == service {
			return o
		}
	}
	return nil
}

// template returns the path of the pod's metadata and spec within a workload; ok is false for what
// is none that keeps running.
func template(o *unstructured.Unstructured) (at []string, ok bool) {
	switch o.GetKind() {
	case "Pod":
		return nil, true
	case "Deployment", "StatefulSet", "ReplicaSet":
		return []string{"spec", "template"}, true
	}
	return nil, false
}

// runs tells whether a workload has a container with the image, in any tag, as the policy compares.
func runs(o *unstructured.Unstructured, image string) bool {
	at, ok := template(o)
	if !ok {
		return false
	}
	containers, _, _ := unstructured.NestedSlice(o.Object, append(at, "spec", "containers")...)
	for _, c := range containers {
		fields, _ := c.(map[string]any)
		if own, _ := fields["image"].(string); submission.SameRepository(own, image) {
			return true
		}
	}
	return false
}

// findings are what strikes one about the Services that the lab names.
func findings(l *lab.Lab, s *submission.Submission) []result.Check {
	var all []result.Check
	add := func(id, title, why string) {
		all = append(all, result.Check{ID: id, Title: title, Step: foundStep, Status: result.Failed, Message: why})
	}
	for _, service := range services(l) {
		o := find(s, service)
		if o == nil {
			continue
		}
		if !selects(o, s) {
			add("selector-"+service, fmt.Sprintf("Service %s leads to a workload", service), "its selector fits the labels of no pod in the submission")
		}
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "type")
		if kind == "" {
			kind = "ClusterIP"
		}
		if want := asked(l, service); want != "" && want != kind {
			add("type-"+service, fmt.Sprintf("Service %s is of the type that the lab asks for", service), fmt.Sprintf("it is a %s, and the lab asks for a %s", kind, want))
		}
	}
	return all
}

// asked is the type that the visible checks require of a Service, or "".
func asked(l *lab.Lab, service string) string {
	for _, c := range l.Visible() {
		if c.Reach != nil && c.Reach.Service == service && c.Reach.Type != "" {
			return c.Reach.Type
		}
	}
	return ""
}

// selects tells whether a Service's selector fits a workload of the submission. One without a
// selector leads where somebody else says.
func selects(service *unstructured.Unstructured, s *submission.Submission) bool {
	selector, _, _ := unstructured.NestedStringMap(service.Object, "spec", "selector")
	if len(selector) == 0 {
		return true
	}
	for _, o := range s.Unstructured() {
		at, ok := template(o)
		if !ok {
			continue
		}
		labels, _, _ := unstructured.NestedStringMap(o.Object, append(at, "metadata", "labels")...)
		fits := true
		for key, value := range selector {
			fits = fits && labels[key] == value && labels != nil
		}
		if fits {
			return true
		}
	}
	return false
}

package grader

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"labctl.dev/labctl/internal/kube"
)

func portTaken(err error) bool {
	for _, e := range kube.ApplyErrors(err) {
		if strings.Contains(e.Reason, "port is already allocated") {
			return true
		}
	}
	return false
}

// portHolder is a Service of another namespace that has a node port which is wanted here.
type portHolder struct {
	port               int32
	namespace, service string
	leaving            bool
	purpose            string // of the namespace
}

// remedy is what frees the port. What a student works on is stopped for a while, not lost.
func (h *portHolder) remedy(kubeContext string) string {
	stop := fmt.Sprintf("kubectl --context %s -n %s delete service %s", kubeContext, h.namespace, h.service)
	if h.purpose == PurposeStudent {
		return "grade in another cluster: labctl up --name grading, labctl grade … --name grading; or stop that lab's Service until it is graded (" +
			stop + "), and apply it again then"
	}
	return stop
}

func (g *Grading) portHolder(ctx context.Context) (*portHolder, error) {
	holders, err := g.API.NodePorts(ctx)
	if err != nil {
		return nil, err
	}
	for _, o := range g.Objects {
		ports, _, _ := unstructured.NestedSlice(o.Object, "spec", "ports")
		for _, p := range ports {
			fields, _ := p.(map[string]any)
			port, ok := number(fields["nodePort"])
			svc, held := holders[port]
			if !ok || !held || svc.Namespace == g.Target.Namespace {
				continue
			}
			h := &portHolder{port: port, namespace: svc.Namespace, service: svc.Name, leaving: svc.DeletionTimestamp != nil}
			return h, g.holding(ctx, h)
		}
	}
	return nil, nil
}

// holding completes the holder with what its namespace tells.
func (g *Grading) holding(ctx context.Context, h *portHolder) error {
	all, err := g.API.Namespaces(ctx, "")
	if err != nil {
		return err
	}
	for _, ns := range all {
		if ns.Name == h.namespace {
			h.leaving = h.leaving || ns.DeletionTimestamp != nil
			h.purpose = ns.Labels[PurposeLabel]
			return nil
		}
	}
	h.leaving = true // gone in the meantime
	return nil
}

func number(v any) (int32, bool) {
	switch n := v.(type) {
	case int64:
		return int32(n), true
	case float64:
		return int32(n), true
	}
	return 0, false
}

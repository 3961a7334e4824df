package kube

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"labctl.dev/labctl/internal/fault"
)

func TestUnreadyNamesOnlyWhatIsMissing(t *testing.T) {
	answer := "an error on the server (\"[+]ping ok\\n[+]etcd ok\\n[-]etcd-readiness failed: reason withheld\\n[-]poststarthook/rbac/bootstrap-roles failed: not finished\\n[+]shutdown ok\\nreadyz check failed\")"
	if got, want := unready(answer), []string{"etcd-readiness", "poststarthook/rbac/bootstrap-roles"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := unready("dial tcp 127.0.0.1:6443: connect: connection refused"); got != nil {
		t.Errorf("got %q for a connection that was refused", got)
	}
}

// What was answered speaks for itself; where nothing answered, the cluster needs a look.
func TestEnvironmentNamesARemedyWhereNothingAnswered(t *testing.T) {
	tests := map[string]struct {
		err    error
		remedy bool
	}{
		"refused":     {syscall.ECONNREFUSED, true},
		"lost":        {errors.New("http2: client connection lost"), true},
		"late":        {context.DeadlineExceeded, true},
		"interrupted": {context.Canceled, false},
		"answered":    {apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "p", nil), false},
	}
	for name, tt := range tests {
		err := environment(tt.err, "apply it")
		if got := fault.RemedyOf(err) != ""; got != tt.remedy || fault.KindOf(err) != fault.Environment {
			t.Errorf("%s: remedy %v, kind %d", name, got, fault.KindOf(err))
		}
	}
}

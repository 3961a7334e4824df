package kube

import (
	"slices"
	"testing"
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

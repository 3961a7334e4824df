package batch

import (
	"errors"
	"fmt"
	"testing"
)

func TestPoolState(t *testing.T) {
	f := newSites()
	p := NewPool(f, PoolSize{Clusters: 2, PerCluster: 3, Recycle: 2}, func(string) {})
	if got := p.State(); got.Unmade != 2 || got.Capacity != 6 || got.Limit != 6 || got.Running != 0 {
		t.Errorf("at first: %+v", got)
	}
	f.refuse = 1
	gradeAll(t, p, many(1))
	if got := p.State(); got.Idle != 1 || got.Unmade != 1 || got.Failed != 1 || fmt.Sprint(got.Made) != "map[first:1 recycled:0 unsound:0]" {
		t.Errorf("after one: %+v", got)
	}
	first, _, err := p.acquire(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.State(); got.Busy != 1 || got.Running != 1 || got.Idle != 0 {
		t.Errorf("at work: %+v", got)
	}
	p.close(first, errors.New("a node is gone").Error())
	if got := p.State(); got.Draining != 1 || got.Busy != 0 {
		t.Errorf("closed: %+v", got)
	}
	p.release(first, nil)
	for range 6 {
		gradeAll(t, p, many(1))
	}
	got := p.State()
	if got.Made[Unsound] != 1 || got.Made[Recycled] == 0 || got.Running != 0 || got.Idle+got.Unmade != 2 {
		t.Errorf("at last: %+v", got)
	}
	made := 0
	for _, n := range got.Made {
		made += n
	}
	if made+got.Failed != len(f.made) {
		t.Errorf("%d made and %d failed of %q", made, got.Failed, f.made)
	}
}

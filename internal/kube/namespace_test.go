package kube

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

func TestCreateNamespaceWaitsForItsServiceAccount(t *testing.T) {
	cluster := fake.NewClientset()
	var order []string
	cluster.PrependReactor("*", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		order = append(order, a.GetVerb()+" "+a.GetResource().Resource)
		return false, nil, nil
	})
	cluster.PrependWatchReactor("serviceaccounts", func(clienttesting.Action) (bool, watch.Interface, error) {
		order = append(order, "watch serviceaccounts")
		w := watch.NewFakeWithOptions(watch.FakeOptions{})
		go w.Add(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", ResourceVersion: "2"}})
		return true, w, nil
	})
	cluster.PrependReactor("list", "serviceaccounts", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, &corev1.ServiceAccountList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}, nil
	})
	c := &Client{typed: cluster}
	if err := c.CreateNamespace(t.Context(), "ns", map[string]string{"a": "b"}, nil); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(order, "create namespaces") || order[len(order)-1] != "watch serviceaccounts" {
		t.Errorf("did %q", order)
	}
}

func TestDeleteNamespace(t *testing.T) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}}
	cluster := fake.NewClientset(ns)
	cluster.PrependReactor("delete", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, nil // it only begins to go
	})
	cluster.PrependReactor("list", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, &corev1.NamespaceList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []corev1.Namespace{*ns}}, nil
	})
	stuck := ns.DeepCopy()
	stuck.ResourceVersion = "2"
	stuck.Status.Conditions = []corev1.NamespaceCondition{{Status: corev1.ConditionTrue, Message: "some finalizers remain"}}
	next := make(chan watch.Event, 1) // what the next watch shows
	cluster.PrependWatchReactor("namespaces", func(clienttesting.Action) (bool, watch.Interface, error) {
		w := watch.NewFakeWithOptions(watch.FakeOptions{ChannelSize: 1})
		e := <-next
		w.Action(e.Type, e.Object)
		return true, w, nil
	})
	c := &Client{typed: cluster}
	if err := c.DeleteNamespace(t.Context(), "ns", false); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	next <- watch.Event{Type: watch.Modified, Object: stuck}
	if err := c.DeleteNamespace(ctx, "ns", true); err == nil || !strings.Contains(err.Error(), "some finalizers remain") {
		t.Errorf("got %v", err)
	}
	next <- watch.Event{Type: watch.Deleted, Object: stuck}
	if err := c.DeleteNamespace(t.Context(), "ns", true); err != nil {
		t.Error(err)
	}
}

func TestDeleteNamespaceThatIsNotThere(t *testing.T) {
	c := &Client{typed: fake.NewClientset()}
	if err := c.DeleteNamespace(t.Context(), "ns", true); err != nil {
		t.Error(err)
	}
}
